/*
 * configsync/manifest_wire.h - for wire.c: an entry of a manifest within a message. Pure.
 */
#ifndef CONFIGSYNC_MANIFEST_WIRE_H
#define CONFIGSYNC_MANIFEST_WIRE_H

#include "configsync/bytes.h"
#include "configsync/manifest.h"

void	manifest_put_entry(struct bytes_out *, const struct entry *);	/* manifest_encode_entry() */

#endif
