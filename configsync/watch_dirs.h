/*
 * configsync/watch_dirs.h - which directories are watched: all of the trees, and those on the way to them. Inner to the watch child;
 * blocks on the disk.
 *
 * What could not be watched is "blind": tried again by watch_dirs_retry(), and to be looked at by whoever wants to know.
 */
#ifndef CONFIGSYNC_WATCH_DIRS_H
#define CONFIGSYNC_WATCH_DIRS_H

#include <stdbool.h>
#include <stddef.h>

#include "configsync/scope.h"
#include "configsync/watch_pending.h"

struct watch_dirs;

/* The working directory has to be root. Lives as long as the process. */
struct watch_dirs *watch_dirs_new(int root, const struct scope *);
/*
 * Watches the directory path ("": root) and all below it anew, whatever was watched there before. When it returns, what comes
 * gives events; of what came before nobody was told. Where there is no directory it does nothing.
 */
void	watch_dirs_add(struct watch_dirs *, const char *path);
void	watch_dirs_forget(struct watch_dirs *, const char *path);	/* and all below */
bool	watch_dirs_is(const struct watch_dirs *, const char *path, int wd);
size_t	watch_dirs_count(const struct watch_dirs *);
/* Tries what is blind once more, and puts it into pending, whether it is watched now or not. */
void	watch_dirs_retry(struct watch_dirs *, struct watch_pending *);
/* "": all is watched; else a sentence of what is not, why, and what would help. Valid until the next call. */
const char *watch_dirs_blind(const struct watch_dirs *);

#endif
