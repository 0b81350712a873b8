/*
 * mta/postfix_file.c - notes files as they are and tells later whether they still are so. Runs in a
 * worker; blocks in stat(2) only. What the files mean is for others.
 */
#include "mta/postfix_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int64_t
in_ns(struct timespec t)
{
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void
look(const char *path, struct postfix_seen *ret)
{
	struct stat st;

	memset(ret, 0, sizeof *ret);
	snprintf(ret->path, sizeof ret->path, "%s", path);
	if (stat(path, &st) == -1) {
		ret->size = -1;
		return;
	}
	ret->size = (int64_t)st.st_size;
	ret->mtime_ns = in_ns(st.st_mtim);
	ret->ctime_ns = in_ns(st.st_ctim);
	ret->inode = (uint64_t)st.st_ino;
}

bool
postfix_see(struct postfix_seen_list *list, const char *path, struct err *err)
{
	if (strlen(path) >= POSTFIX_PATH_MAX || strchr(path, '\n') != NULL)
		return err_set(err, ENAMETOOLONG, "the path %.60s... cannot be noted", path);
	for (size_t i = 0; i < list->len; i++)
		if (strcmp(list->file[i].path, path) == 0)
			return true;
	if (list->len == POSTFIX_SEEN_MAX)
		return err_set(err, 0, "more than %d files belong to this Postfix configuration",
		    POSTFIX_SEEN_MAX);
	look(path, &list->file[list->len++]);
	return true;
}

const char *
postfix_seen_changed(const struct postfix_seen_list *list)
{
	for (size_t i = 0; i < list->len; i++) {
		const struct postfix_seen *was = &list->file[i];
		struct postfix_seen now;

		look(was->path, &now);
		if (now.size != was->size || now.mtime_ns != was->mtime_ns ||
		    now.ctime_ns != was->ctime_ns || now.inode != was->inode)
			return was->path;
	}
	return NULL;
}

int
postfix_seen_print(const struct postfix_seen *seen, char *buf, size_t size)
{
	return snprintf(buf, size, "seen %" PRId64 " %" PRId64 " %" PRId64 " %" PRIu64 " %s\n",
	    seen->size, seen->mtime_ns, seen->ctime_ns, seen->inode, seen->path);
}

bool
postfix_seen_parse(const char *line, struct postfix_seen *ret)
{
	struct postfix_seen seen = { .size = 0 };
	int at = -1;

	if (sscanf(line, "seen %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNu64 " %n", &seen.size,
	    &seen.mtime_ns, &seen.ctime_ns, &seen.inode, &at) != 4 || at == -1)
		return false;
	if (line[at] != '/' || strlen(line + at) >= sizeof seen.path)
		return false;
	memcpy(seen.path, line + at, strlen(line + at) + 1);
	*ret = seen;
	return true;
}
