/*
 * mta/postfix_master.h - starting and stopping the master of one Postfix instance, without the
 * shell scripts. What must be checked before a start is mta/postfix_check.h's. Blocks; for workers.
 */
#ifndef MTA_POSTFIX_MASTER_H
#define MTA_POSTFIX_MASTER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"
#include "common/spawn.h"
#include "mta/postfix_conf.h"

/*
 * Children of a master that died and that must not run beside a new one are ended; deliveries under
 * way are left to finish. Only to be called while no master is alive. Reports "orphans N".
 */
bool	postfix_orphans_end(const struct postfix_conf *, uint64_t deadline_ms, struct spawn_out *,
	    struct err *);

/* Run master -w; true once it listens, with its pid. At the deadline it is stopped again. */
bool	postfix_master_start(const struct postfix_conf *, uint64_t deadline_ms, pid_t *ret_pid,
	    struct err *);

/* Have Postfix itself make directories that our checks do not know; never "postfix start", which runs postsuper. */
bool	postfix_make_missing(const struct postfix_conf *, uint64_t deadline_ms, struct err *);

/* TERM to the master, TERM to each process, KILL; true once none is left and the locks are free. */
bool	postfix_master_stop(const struct postfix_conf *, uint64_t deadline_ms, struct spawn_out *,
	    struct err *);

#endif
