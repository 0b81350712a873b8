/*
 * queuesync/quarantine.h - the runs of repairs: one directory each in QUEUE_QUARANTINE, with a manifest of all that
 * will be done, written and synced before the first change, and with the files that were put aside. Blocks.
 *
 * A run's directory is named after its beginning in UTC (20261122T015300Z; -2, -3 where one stands there already). In it
 * are: "manifest"; files 0, 1, 2, ... put aside; waiting-N on their way to another name; "done" or "restored" at the end,
 * both with a line of what came of it. Nothing in it is ever deleted by mailpair.
 *
 * Manifest: lines of fields with tabs between; bytes of names other than letters, digits and "-._/#,:@=+~" are %XX.
 *	mailpair-manifest 1 MTA BEGAN
 *	step KIND INODE SIZE OFFSET MODE UID GID OLD-UID OLD-GID LINKS BYTES PATH TO
 *	was PATH INODE MODE UID GID SIZE ATIME MTIME SHA-256 REASON		of each file that is put aside
 *	end LINES SHA-256						over all lines before it
 * A manifest without its last line is of a run that changed nothing.
 */
#ifndef QUEUESYNC_QUARANTINE_H
#define QUEUESYNC_QUARANTINE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "mta/queue.h"
#include "queuesync/plan.h"

#define RUN_NAME_MAX 40

enum run_state {
	RUN_EMPTY,		/* no whole manifest: nothing was changed */
	RUN_BEGUN,		/* has to be ended before anybody works on the queue */
	RUN_DONE,
	RUN_RESTORED
};

/* A new run's directory, made and synced; root: an open descriptor of the queue's root. */
bool	quarantine_begin(int root, char ret_run[RUN_NAME_MAX], struct err *);
/* "QUARANTINE/RUN", the path below the root; buf has 80 bytes. */
const char *quarantine_path(const char *run, char *buf);
/* The manifest of a plan whose files are looked at and hashed now; findings give the reasons. True: it is on disk. */
bool	quarantine_manifest(int root, const char *run, const char *mta, const struct plan *, const struct findings *,
	    struct err *);
/* Read it back. False with err->sys == 0 where it is not whole. */
bool	quarantine_read(int root, const char *run, struct plan *ret, struct err *);
bool	quarantine_state(int root, const char *run, enum run_state *ret, struct err *);
/* mark: "done", "restored". */
bool	quarantine_mark(int root, const char *run, const char *mark, const char *text, struct err *);
/* The runs that have begun and are not ended, oldest first; the first in *ret. False: there is none, or *err. */
bool	quarantine_unfinished(int root, char ret_run[RUN_NAME_MAX], struct err *);
/* One mailpair-queue at a time: an exclusive lock, -1 with *err where another one has it. Close it to let go. */
int	quarantine_lock(int root, struct err *);

/*
 * The directory of a path below root, opened one component at a time without following a symbolic link; *ret_name is
 * the last component. -1 with errno.
 */
int	quarantine_parent(int root, const char *path, const char **ret_name);

#endif
