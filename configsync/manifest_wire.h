/*
 * configsync/manifest_wire.h - for manifest.c: the digest of a manifest, over its entries in a form in which the same tree is the
 * same bytes on both nodes (no number where there is a name, nothing about holes); for wire.c: an entry within a message. Pure.
 */
#ifndef CONFIGSYNC_MANIFEST_WIRE_H
#define CONFIGSYNC_MANIFEST_WIRE_H

#include "configsync/bytes.h"
#include "configsync/manifest.h"

void	manifest_digest(const struct manifest *, uint8_t ret[DIGEST_LEN]);
void	manifest_put_entry(struct bytes_out *, const struct entry *);	/* manifest_encode_entry() */

#endif
