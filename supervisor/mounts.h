/*
 * supervisor/mounts.h - the kernel's tables of mounts (proc_pid_mountinfo(5)), of this mount
 * namespace and of the others that can be seen. Reads /proc only: never touches a mounted file system.
 */
#ifndef SUPERVISOR_MOUNTS_H
#define SUPERVISOR_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/err.h"

struct mount_row {
	int		 id, parent;
	dev_t		 dev;		/* of the super block; major 0 for btrfs and the like */
	const char	*root;		/* the directory of the file system that is seen there */
	const char	*point;
	const char	*fstype;
	const char	*source;
};

struct mounts {
	struct mount_row	*row;
	size_t			 len;
	char			*text;	/* owns the strings of the rows */
};

/* Parse a whole mountinfo; takes text (malloc'ed), also on failure. Pure. */
bool	mounts_parse(char *text, struct mounts *ret, struct err *);
/* file: "/proc/self/mountinfo" or that of another process. */
bool	mounts_read(const char *file, struct mounts *ret, struct err *);
void	mounts_free(struct mounts *);

/* The uppermost mount at exactly this path, or NULL. */
const struct mount_row *mounts_top(const struct mounts *, const char *point);
/* Is this a mount of the block device? By the source where the super block has no device number. */
bool	mount_of_device(const struct mount_row *, dev_t block);

/*
 * Visit each mount namespace but our own that some process lives in, with one of its processes.
 * visit returns false to stop.
 */
typedef bool mounts_visit_f(void *arg, pid_t, ino_t ns, const struct mounts *);
void	mounts_elsewhere(mounts_visit_f *, void *arg);

/*
 * Absolute path without symbolic links, dots and doubled slashes in what exists of it; the last
 * component is not followed and need not exist when keep_last. False where it cannot be resolved.
 */
bool	mounts_canonical(const char *path, bool keep_last, char *buf, size_t size, struct err *);

#endif
