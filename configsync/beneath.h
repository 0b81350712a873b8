/*
 * configsync/beneath.h - opening what is below a root and nowhere else. Blocks on the disk.
 */
#ifndef CONFIGSYNC_BENEATH_H
#define CONFIGSYNC_BENEATH_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

/* openat2(2) with RESOLVE_BENEATH, NO_SYMLINKS, NO_MAGICLINKS, with no_mounts also NO_XDEV; O_CLOEXEC is added. -1 with errno. */
int	beneath_open(int root, const char *path, int flags, bool no_mounts);
/* The directory that path stands in; *ret_name points to the last component. -1 with errno. */
int	beneath_parent(int root, const char *path, bool no_mounts, const char **ret_name);
/* Whatever it is, a directory with all that is in it; nothing is followed. True: it is not there any more. False with errno. */
bool	beneath_remove(int dir, const char *name);

#endif
