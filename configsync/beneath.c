/*
 * configsync/beneath.c - openat2(2), which the C library has no name for. Used by installations; blocks.
 */
#include "configsync/beneath.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "configsync/entry.h"

#define DEPTH_MAX 200u	/* a descriptor is held for each */
#define TRIES 100	/* a rename elsewhere on the system may make the kernel say EAGAIN */

static bool remove_at(int dir, const char *name, unsigned int depth);

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

/* What is in an open directory. */
static bool
empty(int fd, unsigned int depth)
{
	DIR *dir = fdopendir(fd);
	struct dirent *d;
	bool ok = dir != NULL;

	if (dir == NULL) {
		close(fd);
		return false;
	}
	while (ok && (d = readdir(dir)) != NULL)
		ok = strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0 || remove_at(dirfd(dir), d->d_name, depth + 1);
	closedir(dir);
	return ok;
}

static bool
remove_at(int dir, const char *name, unsigned int depth)
{
	int fd;

	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return true;
	if (errno != EISDIR || depth > DEPTH_MAX)
		return false;
	if (unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return true;
	fd = errno == ENOTEMPTY || errno == EEXIST ? openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
	return fd != -1 && empty(fd, depth) && unlinkat(dir, name, AT_REMOVEDIR) == 0;
}

bool
beneath_remove(int dir, const char *name)
{
	return remove_at(dir, name, 0);
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
