/*
 * supervisor/bind.h - directories of the spool seen at their usual places: bind mounts, or symbolic
 * links with the original kept as PATH.drbdlinks. Blocks: for workers.
 */
#ifndef SUPERVISOR_BIND_H
#define SUPERVISOR_BIND_H

#include <stdbool.h>

#include "common/conf.h"
#include "common/fact.h"
#include "common/spawn.h"

/* All binds in order; undoes what it did when one fails. Idempotent; a left-over of a dead run is
 * recognised and used or cleaned. The source must exist on the spool and be of the target's type. */
bool		binds_up(const struct conf *, struct spawn_out *, struct err *);
bool		binds_down(const struct conf *, struct spawn_out *, struct err *);	/* reverse order; idempotent */
enum fact	binds_held(const struct conf *, struct err *);	/* YES: all, NO: none, UNKNOWN: some or cannot tell */

#endif
