/*
 * mta/exim_process.h - the processes of one Exim: those of its program that work in its spool or run with its
 * configuration. Exim has no lock that tells whether it runs; this is what does. Blocks; for workers.
 */
#ifndef MTA_EXIM_PROCESS_H
#define MTA_EXIM_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"
#include "common/fact.h"
#include "mta/exim_conf.h"

enum exim_role {
	EXIM_ROLE_DAEMON,	/* listens, or starts queue runs */
	EXIM_ROLE_DELIVERY,	/* has a message locked, or its journal open: ending it may deliver twice */
	EXIM_ROLE_RECEPTION,	/* writes a message, or has yet to say 250 to it: ended now it is sent again */
	EXIM_ROLE_OTHER,	/* waits for a client's command, goes through the queue, or is between two of these */
	EXIM_ROLE_ASKS		/* -bP, -bp, -bV, ...: writes nothing */
};

struct exim_process { pid_t pid, parent, session; enum exim_role role; };

#define EXIM_PROCESSES_MAX 512	/* each needs a descriptor while it is ended */

/* At most so many at a time; who ends them looks again until none is left. */
struct exim_processes { struct exim_process at[EXIM_PROCESSES_MAX]; size_t len; };

/* What makes a process one of this Exim. */
struct exim_instance {
	char	 program[EXIM_PATH_MAX];	/* without symbolic links; "": any program whose name begins with exim */
	char	 given[EXIM_PATH_MAX];		/* of -C, "": none */
	bool	 any_config;			/* only the spool counts */
	dev_t	 dev;				/* of the spool; ino 0: it is not there */
	ino_t	 ino;
};

/* Of an installed Exim. A spool that is not there (not mounted) is no error: then its configuration alone tells. */
bool	exim_instance(const struct exim_conf *, struct exim_instance *ret, struct err *);
/* Whoever works in this directory, for the queue of another node. */
bool	exim_instance_of_tree(const char *directory, struct exim_instance *ret, struct err *);

/*
 * All of them. UNKNOWN: a process may be one, but cannot be looked at; *err says which. NO: there is none.
 */
enum fact exim_processes(const struct exim_instance *, struct exim_processes *ret, struct err *);

/* The daemon among them; NULL: none. pid_file is preferred where several are there (a listener and a queue runner). */
const struct exim_process *exim_daemon_of(const struct exim_processes *, const char *pid_file);

/*
 * Send signo (0: none) to each that still is what it was when it was found, then wait until all are gone or until the
 * deadline (clock_mono_ms). Returns how many are left. *ret_sent: how many got it.
 */
size_t	exim_processes_end(const struct exim_instance *, const struct exim_processes *, int signo, uint64_t deadline_ms,
	    size_t *ret_sent);

/*
 * Send signo to those that are still of their role, and do not wait. A process may begin a message at any moment, so each is
 * stopped first, and looked at while it cannot; who does something else by now goes on. Blocks for some milliseconds a process.
 */
void	exim_processes_end_exact(const struct exim_instance *, const struct exim_processes *, int signo, size_t *ret_sent);

#endif
