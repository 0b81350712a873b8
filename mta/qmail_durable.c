/*
 * mta/qmail_durable.c - are changes to the directories of qmail's queue on disk at once? By the kernel's table of
 * mounts and the attributes of todo. Runs in workers; blocks in stat(2) and ioctl(2).
 *
 * "remount,dirsync" is accepted by the kernel and changes nothing, so that only the table tells the truth.
 */
#include "mta/qmail_queue.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define MOUNTS_MAX (4 << 20)

static bool
has_word(const char *list, size_t len, const char *word)
{
	size_t n = strlen(word);

	for (size_t at = 0; at < len; at += strcspn(list + at, ",\n") + 1)
		if (len - at >= n && strncmp(list + at, word, n) == 0 && (at + n == len || list[at + n] == ','))
			return true;
	return false;
}

enum fact
qmail_mount_is_dirsync(const char *mountinfo, uint64_t mount_id)
{
	for (const char *line = mountinfo; *line != '\0'; line += strcspn(line, "\n"), line += *line == '\n') {
		size_t len = strcspn(line, "\n");
		const char *end = line + len, *last;
		unsigned long long id;

		if (sscanf(line, "%llu ", &id) != 1 || id != mount_id)
			continue;
		/* the options of the super block are the last word: flags such as dirsync stand there, not among the mount's own */
		for (last = end; last > line && last[-1] != ' '; last--)
			;
		return has_word(last, (size_t)(end - last), "dirsync") || has_word(last, (size_t)(end - last), "sync") ? FACT_YES :
		    FACT_NO;
	}
	return FACT_UNKNOWN;
}

static char *
mounts_text(void)
{
	size_t len = 0, room = 65536;
	char *text = malloc(room);
	int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	while (fd != -1 && text != NULL && len < MOUNTS_MAX && (n = read(fd, text + len, room - len - 1)) > 0) {
		len += (size_t)n;
		if (room - len < 4096) {
			char *more = realloc(text, room *= 2);

			if (more == NULL)
				break;
			text = more;
		}
	}
	if (fd != -1)
		close(fd);
	if (text != NULL)
		text[len] = '\0';
	if (n != 0) {
		free(text);
		return NULL;
	}
	return text;
}

static enum fact
mounted_dirsync(int fd, const char *path, struct err *err)
{
	struct statx stx;
	enum fact fact = FACT_UNKNOWN;
	char *text;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx) == -1 || (stx.stx_mask & STATX_MNT_ID) == 0) {
		err_set(err, errno, "cannot find the mount of %s", path);
		return FACT_UNKNOWN;
	}
	text = mounts_text();
	if (text != NULL)
		fact = qmail_mount_is_dirsync(text, stx.stx_mnt_id);
	if (fact == FACT_UNKNOWN)
		err_set(err, 0, "the mount of %s does not stand in /proc/self/mountinfo", path);
	free(text);
	return fact;
}

/* Attributes of an open directory: D (dirsync) or S (sync). */
static bool
has_attribute(int fd)
{
	int flags = 0;

	return ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && (flags & (FS_DIRSYNC_FL | FS_SYNC_FL)) != 0;
}

/* With big-todo the links are made in its sub-directories. */
static bool
subs_have_attribute(int todo)
{
	DIR *dir = fdopendir(dup(todo));
	struct dirent *entry;
	bool all = dir != NULL;

	while (all && (entry = readdir(dir)) != NULL) {
		int fd;

		if (entry->d_name[0] == '.' || (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN))
			continue;
		fd = openat(todo, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd == -1)
			continue;
		all = has_attribute(fd);
		close(fd);
	}
	if (dir != NULL)
		closedir(dir);
	return all;
}

enum fact
qmail_queue_durable(const char *root, struct err *err)
{
	char path[4096];
	struct statfs fs;
	enum fact fact = FACT_UNKNOWN;
	int fd;

	snprintf(path, sizeof path, "%s/todo", root);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1 || fstatfs(fd, &fs) == -1) {
		err_set(err, errno, "cannot look at %s", path);
	} else if (fs.f_type == BTRFS_SUPER_MAGIC) {
		err_set(err, 0, "%s lies on btrfs, which does not heed dirsync: a power cut can take mail away that was "
		    "acknowledged", path);
		fact = FACT_NO;
	} else if (has_attribute(fd) && subs_have_attribute(fd)) {
		fact = FACT_YES;
	} else {
		fact = mounted_dirsync(fd, path, err);
		if (fact == FACT_NO)
			err_set(err, 0, "%s is neither mounted with dirsync nor has the attribute D: a power cut can take mail "
			    "away that was acknowledged", path);
	}
	if (fd != -1)
		close(fd);
	return fact;
}
