/*
 * configsync/install_new.c - a directory that is new is staged with all that is in it below one hidden name, and put in place by one rename.
 * Blocks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/sort.h"
#include "configsync/arena.h"
#include "configsync/install_priv.h"

struct made { const char *path; size_t change; };

static int
by_path(const void *left, const void *right)
{
	return strcmp(((const struct made *)left)->path, ((const struct made *)right)->path);
}

static bool
is_new(const struct change *c)
{
	return c->was == NULL && (c->kind == CHANGE_DIRECTORY || c->kind == CHANGE_FILE || c->kind == CHANGE_LINK || c->kind == CHANGE_HARD);
}

void
install_find_new(struct install *in)
{
	struct made *made = need(calloc(in->len + 1, sizeof *made));
	char above[ENTRY_PATH_MAX + 1];
	size_t n = 0;

	for (size_t i = 0; i < in->len; i++) {
		in->item[i].in = IN_NONE;
		if (in->change[i].kind == CHANGE_DIRECTORY && in->change[i].was == NULL)
			made[n++] = (struct made){ in->change[i].path, i };
	}
	sort_rows(made, n, sizeof *made, by_path);
	for (size_t i = 0; i < in->len && n > 0; i++) {
		const char *path = in->change[i].path;
		size_t len = entry_path_parent(path);
		const struct made *parent;

		if (!is_new(&in->change[i]) || len == 0 || strlen(path) + STAGING_MAX > ENTRY_PATH_MAX)	/* what is staged has a longer path */
			continue;
		memcpy(above, path, len);
		above[len] = '\0';
		parent = bsearch(&(struct made){ .path = above }, made, n, sizeof *made, by_path);
		if (parent != NULL && parent->change < i)
			in->item[i].in = parent->change;
	}
	free(made);
}

void
install_staged_path(const struct install *in, size_t i, char path[STAGED_MAX])
{
	char name[STAGING_MAX];
	size_t top = i;

	while (in->item[top].in != IN_NONE)
		top = in->item[top].in;
	install_staging_name(in->change[top].path, name);
	snprintf(path, STAGED_MAX, "%.*s%s%s%s", (int)in->item[top].staging_dir, in->change[top].path, in->item[top].staging_dir > 0 ? "/" : "", name,
	    in->change[i].path + strlen(in->change[top].path));
}

bool
install_finish_new(struct install *in, struct err *err)
{
	for (size_t i = in->len; i-- > 0;) {
		const struct change *c = &in->change[i];
		struct stat st;
		int fd;

		if (c->kind != CHANGE_DIRECTORY || !in->item[i].staged)
			continue;
		if ((fd = install_staged_directory(in, i)) == -1 || fstat(fd, &st) == -1)
			return err_set(err, errno, "directory %s cannot be made", c->path);
		if (!install_attributes(in, fd, &st, &in->item[i], NULL, c->to, c->path, err))
			return false;
		if (!install_sync(in, fd, &st))
			return err_set(err, errno, "directory %s cannot be brought to the disk", c->path);
		install_left(in, i, fd);
	}
	return true;
}
