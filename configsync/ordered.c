/*
 * configsync/ordered.c - what is known of a file system's journal: from its type, and for ext4 from what the kernel says of it in /proc/fs.
 */
#include "configsync/ordered.h"

#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

/* What the kernel calls the device, as in the names below /proc/fs. */
static bool
device_name(dev_t dev, char name[NAME_MAX + 1])
{
	char link[64], to[PATH_MAX];
	ssize_t len;

	snprintf(link, sizeof link, "/sys/dev/block/%u:%u", major(dev), minor(dev));
	len = readlink(link, to, sizeof to - 1);
	if (len <= 0)
		return false;
	to[len] = '\0';
	return snprintf(name, NAME_MAX + 1, "%s", strrchr(to, '/') == NULL ? to : strrchr(to, '/') + 1) <= NAME_MAX;
}

/* Its own journal, on its own device: that is inode 8. With asynchronous commits nothing is flushed before the end of one is written. */
static bool
ext4_is_ordered(dev_t dev)
{
	char name[NAME_MAX + 1], path[NAME_MAX + 64], line[256];
	bool ordered;
	FILE *f;

	if (!device_name(dev, name))
		return false;
	snprintf(path, sizeof path, "/proc/fs/jbd2/%s-8", name);
	ordered = access(path, F_OK) == 0;
	snprintf(path, sizeof path, "/proc/fs/ext4/%s/options", name);
	if (!ordered || (f = fopen(path, "re")) == NULL)
		return false;
	while (fgets(line, sizeof line, f) != NULL)
		ordered = ordered && strcmp(line, "journal_async_commit\n") != 0;
	fclose(f);
	return ordered;
}

bool
ordered_by_journal(int fd)
{
	struct statfs fs;
	struct stat st;

	if (fstatfs(fd, &fs) == -1 || fstat(fd, &st) == -1)
		return false;
	return fs.f_type == XFS_SUPER_MAGIC || (fs.f_type == EXT4_SUPER_MAGIC && ext4_is_ordered(st.st_dev));
}
