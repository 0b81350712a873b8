/*
 * configsync/watch.h - says which paths of the trees change, a moment after they did. The work is done by a child process with
 * libinotifytools, whose state is global and which would wait. The parent never blocks.
 *
 * The child is a plain fork, as all workers are: it needs nothing but the scope, which it inherits, and no name of a program; it has
 * no descriptor but its own, and ends with its parent (PR_SET_PDEATHSIG, and the end of their socket).
 *
 * What is told is where to look, and nothing more: the caller reads these paths (configsync/scan_paths.h), and finds what is
 * there now. It may find nothing new (its own writes are told as all others), and a path may be told more often than it changed.
 *
 *   - A file is told when it was closed after writing, renamed, linked, deleted, or its attributes changed. One that is kept open and
 *     written to is told linger_ms after its first change, and again after as long while that goes on.
 *   - A directory that appeared is told with all below it, when everything in it is watched.
 *   - Not told: what is outside of the scope, staging names.
 *   - Unseen: writes through a memory map, or by a name that is gone again before anybody knew it; what is below a mount point that
 *     came later; changes on a network file system by another host. For these the full scan every hour is there.
 *
 * A parent that is slow is told less exactly: pending paths are kept once each, beyond WATCH_PENDING_MAX as directories with
 * all below, and at last as "everything".
 */
#ifndef CONFIGSYNC_WATCH_H
#define CONFIGSYNC_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"
#include "common/loop.h"
#include "configsync/scope.h"

#define WATCH_LINGER_MS 5000u		/* as SETTLE_MOST_MS */
#define WATCH_RETRY_MS 60000u
#define WATCH_PENDING_MAX 4096u
#define WATCH_TEXT_MAX 512u

struct watch_setup {
	int			 root;		/* an open directory; copied */
	const struct scope	*scope;
	uint32_t		 linger_ms;	/* 0: WATCH_LINGER_MS */
	uint32_t		 retry_ms;	/* what cannot be watched is tried again, and told with all below; 0: WATCH_RETRY_MS */
};

struct watch_calls {
	void (*changed)(void *arg, const char *path, bool below);	/* below: and all below it */
	void (*told)(void *arg);	/* after one changed() or many: that is all for now. May be NULL */
	void (*begun)(void *arg);	/* a file begins to be written, which is told when it is closed or takes long. May be NULL */
	/*
	 * Anything may have changed. At the first time all directories are watched: what is there then has to be read as a whole. Later
	 * after a loss (why: a sentence for status).
	 */
	void (*all)(void *arg, const char *why);
	/*
	 * After the first all(), and whenever blind is another: how many directories are watched, and "" or a sentence about what cannot
	 * be (a limit, and how to raise it). That is told with all below every retry_ms.
	 */
	void (*watching)(void *arg, size_t directories, const char *blind);
	/* The child has ended, by whatever: nothing is told any more. To be freed, and started anew by the caller in its own time. */
	void (*ended)(void *arg, const char *why);
};

struct watch;

/* Calls come later, from the loop; the watch may be freed in them. NULL with *err: no process could be started. */
struct watch *watch_start(struct loop *, const struct watch_setup *, const struct watch_calls *, void *arg, struct err *);
void	watch_free(struct watch *);		/* NULL is allowed; the child is killed, and reaped by the loop */
pid_t	watch_pid(const struct watch *);	/* of the child; -1: it has ended */

#endif
