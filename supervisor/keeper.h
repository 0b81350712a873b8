/*
 * supervisor/keeper.h - the outer process of mailpaird: starts the supervisor process, and starts it again at once when
 * it dies, so that a killed supervisor costs some milliseconds of heartbeat and nothing else (S11). Watches by
 * pidfd; blocks in poll() only. Passes TERM, HUP and USR2 on.
 *
 * Whoever holds the lock RUN_DIR/mailpaird.lock is the supervisor; a keeper that finds it taken watches the holder
 * instead. So either process may die alone, in any order, and two supervisors never run.
 */
#ifndef SUPERVISOR_KEEPER_H
#define SUPERVISOR_KEEPER_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/err.h"

/* Exit codes of the supervisor process that the keeper understands. */
#define KEEPER_END 0		/* ended in order: the keeper ends too */
#define KEEPER_LOCKED 73	/* another supervisor runs: watch it */
#define KEEPER_AGAIN 75		/* wants to be started again, from the program file (upgrade) */

/*
 * run(arg, keeper_fd) is the supervisor; it returns its exit code. keeper_fd becomes readable (end of file) when
 * this keeper dies. watch: a supervisor that runs already (0: none). argv[0] is the absolute path of the program
 * file (after an upgrade a new file stands there). Returns the exit code for the program.
 */
int	keeper_run(const char *run_dir, int (*run)(void *arg, int keeper_fd), void *arg, pid_t watch, char *const argv[]);

/* For the supervisor: take the lock and write the pid into it. False with err->sys == EWOULDBLOCK: somebody has it. */
bool	keeper_lock(const char *run_dir, int *ret_fd, struct err *);

/* For the supervisor: the keeper died; fork a new one that watches us. Returns the new keeper_fd, or -1. */
int	keeper_renew(const char *run_dir, int (*run)(void *arg, int keeper_fd), void *arg, char *const argv[]);

#endif
