/*
 * supervisor/bind_impl.h - what bind.c and bind_link.c share. Blocks: for workers.
 */
#ifndef SUPERVISOR_BIND_IMPL_H
#define SUPERVISOR_BIND_IMPL_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "common/conf.h"
#include "common/spawn.h"
#include "supervisor/storage_impl.h"

#define BIND_SUFFIX ".drbdlinks"	/* the original of a path that is a link now */

struct binds {
	const struct conf	*conf;
	struct storage_device	 device;		/* no nodes where the device is not there */
	char			 point[PATH_MAX];	/* the mountpoint */
	bool			 mounted;		/* the spool is mounted there */
	dev_t			 dev;			/* of the file system when mounted */
};

bool	bind_same_file(const struct stat *, const struct stat *);
bool	bind_unmount(const struct binds *, const char *path, struct spawn_out *, struct err *);

/* Is path a symbolic link to somewhere below the mountpoint (whether or not that exists)? */
bool	bind_is_link(const struct binds *, const char *path);
bool	bind_link_up(const struct binds *, const char *path, const char *from, struct spawn_out *,
	    bool *ret_done, struct err *);
/* Put the original back, also after a run that died in between. Nothing to do is success. */
bool	bind_link_down(const struct binds *, const char *path, struct spawn_out *, struct err *);

#endif
