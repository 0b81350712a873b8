/*
 * configsync/rebuild_parts.h - what the parts of rebuild share, in its worker. Everything here blocks.
 */
#ifndef CONFIGSYNC_REBUILD_PARTS_H
#define CONFIGSYNC_REBUILD_PARTS_H

#include "common/spawn.h"
#include "configsync/rebuild.h"

struct work {
	const struct rebuild_job	*job;
	struct spawn_out		*report;
	int				 root;
	char				 at[512];	/* the root's path, without a slash at its end */
	uint64_t			 until_ms;	/* clock_mono_ms() */
	char				 out[SPAWN_OUT_MAX + 1], err[SPAWN_OUT_MAX + 1];	/* of the last command */
};

/* Exit status; -1: it did not run, or too long. Its output is in out and err; *why says what went wrong where that is not 0. */
int	work_run(struct work *, const char *const *argv, struct err *why);
/* Makes the table of one step and puts it in place. */
bool	work_table(struct work *, const struct rebuild_step *, struct err *);
/* The table that a program of qmail has put in place: does it say what its source says? */
bool	work_compare(struct work *, const struct rebuild_step *, struct err *);
/* Of those that the job concerns, up to most. */
size_t	work_running(struct work *, struct rebuild_running *, size_t most);

#endif
