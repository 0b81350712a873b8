/*
 * mta/postfix_chroot.h - the copies of system files that chrooted Postfix services need within the
 * queue directory (name service, time zone, libraries, certificates). Blocks; for workers.
 */
#ifndef MTA_POSTFIX_CHROOT_H
#define MTA_POSTFIX_CHROOT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/spawn.h"
#include "mta/postfix_check.h"

/* Without the queue: which files there are to copy. Fills the chroot members of the plan. */
bool	postfix_chroot_plan(const struct postfix_conf *, struct postfix_plan *, struct err *);

/*
 * With the queue: copy what differs. Certificates that differ are left to the distribution's
 * script, which also makes their hash names. Reports "chroot refreshed N" and, where it ran,
 * "script MS".
 */
bool	postfix_chroot_refresh(const struct postfix_conf *, const struct postfix_plan *,
	    uint64_t deadline_ms, struct spawn_out *, struct err *);

#endif
