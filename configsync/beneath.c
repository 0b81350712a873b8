/*
 * configsync/beneath.c - openat2(2), which the C library has no name for. Used by installations; blocks.
 */
#include "configsync/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "configsync/entry.h"

#define TRIES 100	/* a rename elsewhere on the system may make the kernel say EAGAIN */

int
beneath_open(int root, const char *path, int flags, bool no_mounts)
{
	struct open_how how = { .flags = (unsigned long long)(flags | O_CLOEXEC),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | (no_mounts ? RESOLVE_NO_XDEV : 0u) };
	long fd = -1;

	errno = EAGAIN;
	for (int i = 0; i < TRIES && fd == -1 && (errno == EAGAIN || errno == EINTR); i++)
		fd = syscall(SYS_openat2, root, path, &how, sizeof how);
	return (int)fd;
}

int
beneath_parent(int root, const char *path, bool no_mounts, const char **ret_name)
{
	char dir[ENTRY_PATH_MAX + 1];
	size_t len = entry_path_parent(path);

	*ret_name = path + len + (len > 0);
	if (len == 0)
		return beneath_open(root, ".", O_RDONLY | O_DIRECTORY, no_mounts);
	if (len > ENTRY_PATH_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(dir, path, len);
	dir[len] = '\0';
	return beneath_open(root, dir, O_RDONLY | O_DIRECTORY, no_mounts);
}
