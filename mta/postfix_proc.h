/*
 * mta/postfix_proc.h - the processes of one Postfix instance: who holds its locks, who else is
 * there, and how they are ended. Blocks; for workers.
 */
#ifndef MTA_POSTFIX_PROC_H
#define MTA_POSTFIX_PROC_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "common/err.h"
#include "common/fact.h"
#include "mta/postfix_conf.h"

#define POSTFIX_PROCS_MAX 512	/* each needs a descriptor while it is ended */

struct postfix_proc { pid_t pid; char program[32]; };

/* At most POSTFIX_PROCS_MAX at a time; who ends them looks again until none is left. */
struct postfix_procs { struct postfix_proc proc[POSTFIX_PROCS_MAX]; size_t len; };

/*
 * Is a master alive? Told by the kernel's locks on pid/master.pid and master.lock, never by what is
 * written in them. *ret_pid is set on YES: the holder, 0 where it lives in another pid namespace.
 */
enum fact postfix_master_alive(const struct postfix_conf *, pid_t *ret_pid, struct err *);

/* Is that process a master of these programs? A holder of the locks may be somebody else: a repair of the queue. */
bool	postfix_is_master(const struct postfix_conf *, pid_t);

/* What makes a process one of this instance: its program's directory and its working directory. */
struct postfix_instance {
	char		daemon_dir[PATH_MAX];	/* without symbolic links */
	struct stat	queue;
};

/*
 * master: the lock holder, whose working directory then is the queue directory of the instance,
 * also where queue_directory now is another one or unmounted; 0: take queue_directory.
 */
bool	postfix_instance(const struct postfix_conf *, pid_t master, struct postfix_instance *ret,
	    struct err *);

/* All its processes, chrooted ones and the master included. */
bool	postfix_procs_find(const struct postfix_instance *, struct postfix_procs *ret, struct err *);

/*
 * Send signo to each that still is what it was when it was found, then wait until all are gone or
 * until the deadline (clock_mono_ms). Returns how many are left. *ret_sent: how many got it.
 */
size_t	postfix_procs_end(const struct postfix_instance *, const struct postfix_procs *, int signo,
	    uint64_t deadline_ms, size_t *ret_sent);

#endif
