/*
 * configsync/desk_disks.c - which file systems a job's paths are on, and those brought to the disk: they and no others. One that hangs elsewhere, the
 * mail spool for one, is to hold nothing up here. desk_disks_sync() blocks on the disk.
 */
#include "configsync/desk_priv.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The nearest directory above path that is there. *ret as fstatat() has it; the length of its path, -1: there is none. */
static int
directory_above(int root, const char *path, char above[ENTRY_PATH_MAX + 1], struct stat *ret)
{
	size_t len = entry_path_parent(path);

	memcpy(above, path, len);
	above[len] = '\0';
	while (fstatat(root, len == 0 ? "." : above, ret, 0) == -1) {
		if (len == 0)
			return -1;
		len = entry_path_parent(above);
		above[len] = '\0';
	}
	return (int)len;
}

bool
desk_is_on(const struct desk *d, const char *path, dev_t device)
{
	char above[ENTRY_PATH_MAX + 1];
	struct stat st;

	return directory_above(d->root, path, above, &st) != -1 && st.st_dev == device;
}

void
desk_disks_add(const struct desk *d, struct desk_disks *disks, const struct core_job *job)
{
	char above[ENTRY_PATH_MAX + 1];
	struct stat st;

	for (size_t i = 0; i < job->changes; i++) {
		int len = directory_above(d->root, job->change[i].path, above, &st), fd;
		size_t k = 0;

		while (k < disks->len && disks->dev[k] != st.st_dev)
			k++;
		if (len == -1 || k < disks->len)
			continue;
		fd = openat(d->root, len == 0 ? "." : above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd == -1 || k == DESK_DISKS) {
			disks->others = true;
			if (fd != -1)
				close(fd);
			continue;
		}
		disks->dev[k] = st.st_dev;
		disks->fd[disks->len++] = fd;
	}
}

void
desk_disks_sync(struct desk_disks *disks)
{
	bool all = disks->others;

	while (disks->len > 0) {
		all = syncfs(disks->fd[--disks->len]) == -1 || all;
		close(disks->fd[disks->len]);
	}
	if (all)
		sync();
	disks->others = false;
}
