/*
 * mta/flock.h - who has an flock(2) on a file: how Postfix' master and qmail-send say that they run. The
 * kernel is asked, never what is written in the file: after a power cut the dead node's pid stands there, and
 * its number belongs to somebody else. Blocks on /proc; for workers.
 */
#ifndef MTA_FLOCK_H
#define MTA_FLOCK_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "common/err.h"
#include "common/fact.h"

/*
 * Is it locked? what: whose lock file, for messages ("qmail-send"). hint: a pid that probably has it, or 0.
 * YES: *ret_pid is the holder, 0 where it lives in another pid namespace. NO: nobody has it, or there is no such
 * file. The lock is tried only when no holder is seen, shared and for an instant, so a program that starts in
 * that very moment may fail to get it.
 */
enum fact flock_held(const char *path, const char *what, pid_t hint, pid_t *ret_pid, struct err *);

/* The holder as far as /proc shows one; 0: none seen. */
pid_t	flock_holder(const struct stat *file);

/* Does this process have a lock on that file? By its descriptors: true on every file system. */
bool	flock_is_of(pid_t, const struct stat *file);

#endif
