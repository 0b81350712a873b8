/*
 * configsync/watch_inotify.h - libinotifytools in the one process that has it, and what has to be done so that it can be relied on.
 * Inner to the watch child; nothing here waits.
 *
 * The library's state is global, it keeps its descriptor to itself, waits by whole seconds, and never forgets a directory that was
 * deleted: its record, and its name, stay. So the descriptor is found at the lowest free number, whoever waits does it
 * with poll(), and a name is written differently after each deletion ("./etc", ".//etc"), which is another one for the library only.
 */
#ifndef CONFIGSYNC_WATCH_INOTIFY_H
#define CONFIGSYNC_WATCH_INOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/inotify.h>

#include "common/err.h"
#include "configsync/entry.h"

/* So many deleted directories are remembered by the library; then the process should begin anew. */
#define WATCH_STALE_MAX 65000u

struct watch_event {
	int		 wd;
	uint32_t	 mask;
	bool		 known;				/* a directory that is watched, or was; else dir is "" */
	char		 dir[ENTRY_PATH_MAX + 1];	/* from the root: "" is the root itself */
	const char	*name;				/* in it; "": itself. Until the next call */
};

/* Paths are relative to the working directory from now on. ret_fd: to be polled for reading. */
bool	watch_inotify_open(int *ret_fd, struct err *);
/*
 * Watches a directory, and follows no link there. 0, or errno; ENOSPC: the limit is reached. ret_was: by which other path this
 * directory was watched until now, which ends with that, or "".
 */
int	watch_inotify_add(const char *path, uint32_t mask, int *ret_wd, char ret_was[ENTRY_PATH_MAX + 1]);
void	watch_inotify_remove(int wd);
/* False: there is none now. Also what was read before counts, of which poll() knows nothing. */
bool	watch_inotify_next(struct watch_event *);
unsigned int watch_inotify_stale(void);
int	watch_inotify_limit(void);		/* fs.inotify.max_user_watches; 0: not known */
int	watch_inotify_queue(void);		/* fs.inotify.max_queued_events */

#endif
