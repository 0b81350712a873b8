/*
 * configsync/watch_dirs.c - a sorted table of the directories that are watched, and the walk that fills it. Runs in the watch child.
 */
#include "configsync/watch_dirs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "configsync/arena.h"
#include "configsync/beneath.h"
#include "configsync/watch_inotify.h"

#define BLIND_MAX 64u
#define SAID_MAX 400u

struct row { char *path; int wd; };

struct paths { char **at; size_t len, room; };

struct watch_dirs {
	int			 root;
	const struct scope	*scope;
	struct row		*at;		/* sorted by entry_path_order() */
	size_t			 len, room;
	struct watch_pending	*blind;
	char			 why[SAID_MAX];	/* of the first that is blind, or "" */
	struct paths		 todo;		/* of the walk */
};

/* IN_MODIFY alone is not told at once, see watch_child.c. */
#define INSIDE (IN_CREATE | IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE)
#define ABOVE (IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE)

struct watch_dirs *
watch_dirs_new(int root, const struct scope *scope)
{
	struct watch_dirs *d = need(calloc(1, sizeof *d));

	d->root = root;
	d->scope = scope;
	d->blind = watch_pending_new(BLIND_MAX);
	return d;
}

/* ---------------------------------------------------------------- the table */

static size_t
place(const struct watch_dirs *d, const char *path)
{
	size_t low = 0, high = d->len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (entry_path_order(d->at[middle].path, path) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void
note(struct watch_dirs *d, const char *path, int wd)
{
	size_t i = place(d, path);

	if (d->len == d->room) {
		d->room = d->room == 0 ? 64 : 2 * d->room;
		d->at = need(reallocarray(d->at, d->room, sizeof *d->at));
	}
	memmove(&d->at[i + 1], &d->at[i], (d->len - i) * sizeof *d->at);
	d->at[i] = (struct row){ need(strdup(path)), wd };
	d->len++;
}

void
watch_dirs_forget(struct watch_dirs *d, const char *path)
{
	size_t first = *path == '\0' ? 0 : place(d, path), end;

	for (end = first; end < d->len && (*path == '\0' || entry_path_within(d->at[end].path, path)); end++) {
		watch_inotify_remove(d->at[end].wd);
		free(d->at[end].path);
	}
	if (end > first)
		memmove(&d->at[first], &d->at[end], (d->len - end) * sizeof *d->at);
	d->len -= end - first;
}

bool
watch_dirs_is(const struct watch_dirs *d, const char *path, int wd)
{
	size_t i = place(d, path);

	return i < d->len && d->at[i].wd == wd && strcmp(d->at[i].path, path) == 0;
}

size_t
watch_dirs_count(const struct watch_dirs *d)
{
	return d->len;
}

/* ---------------------------------------------------------------- what cannot be watched */

static void
is_blind(struct watch_dirs *d, const char *path, int sys)
{
	int limit;

	watch_pending_add(d->blind, path, true);
	if (d->why[0] != '\0')
		return;
	limit = watch_inotify_limit();
	if (sys == ENOSPC)
		snprintf(d->why, sizeof d->why, "%zu directories are watched, and the limit fs.inotify.max_user_watches (%d) is reached: \"/%.128s\" "
		    "is one of those that are only looked at from time to time; sysctl -w fs.inotify.max_user_watches=%lld would do",
		    d->len, limit, path, 2LL * (limit > 0 ? limit : 8192));
	else
		snprintf(d->why, sizeof d->why, "\"/%.128s\" cannot be watched (%s): it is only looked at from time to time", path, strerror(sys));
	for (char *c = d->why; *c != '\0'; c++) {
		if ((unsigned char)*c < ' ')
			*c = '?';
	}
}

const char *
watch_dirs_blind(const struct watch_dirs *d)
{
	return d->why;
}

void
watch_dirs_retry(struct watch_dirs *d, struct watch_pending *pending)
{
	struct watch_pending *blind = d->blind;
	char path[ENTRY_PATH_MAX + 1];
	bool below;

	d->blind = watch_pending_new(BLIND_MAX);
	d->why[0] = '\0';
	while (watch_pending_take(blind, path, &below)) {
		watch_dirs_add(d, path);
		watch_pending_add(pending, path, true);
	}
	watch_pending_free(blind);
}

/* ---------------------------------------------------------------- the walk */

static void
want(struct watch_dirs *d, const char *dir, const char *name, size_t len)
{
	size_t size = strlen(dir) + len + 2;
	char *path;

	if (size > ENTRY_PATH_MAX + 1)
		return;
	path = need(malloc(size));
	snprintf(path, size, "%s%s%.*s", dir, *dir != '\0' ? "/" : "", (int)len, name);
	if (d->todo.len == d->todo.room) {
		d->todo.room = d->todo.room == 0 ? 64 : 2 * d->todo.room;
		d->todo.at = need(reallocarray(d->todo.at, d->todo.room, sizeof *d->todo.at));
	}
	d->todo.at[d->todo.len++] = path;
}

/* On the way to trees, the next steps; each once, though several trees may lie there. */
static void
want_trees(struct watch_dirs *d, const char *dir)
{
	size_t len = strlen(dir), first = d->todo.len;
	const char *tree;

	for (size_t i = 0; (tree = scope_tree(d->scope, i)) != NULL; i++) {
		const char *name = tree + len + (len > 0);
		size_t n;
		bool seen = false;

		if (len > 0 && !entry_path_within(tree, dir))
			continue;
		n = strcspn(name, "/");
		for (size_t k = first; k < d->todo.len && !seen; k++)
			seen = strlen(d->todo.at[k]) == (size_t)(name - tree) + n && strncmp(d->todo.at[k], tree, (size_t)(name - tree) + n) == 0;
		if (!seen)
			want(d, dir, name, n);
	}
}

static bool
is_directory(int dir, const struct dirent *e)
{
	struct stat st;

	if (e->d_type != DT_UNKNOWN)
		return e->d_type == DT_DIR;
	return fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static int
want_below(struct watch_dirs *d, const char *path)
{
	int fd = beneath_open(d->root, path, O_RDONLY | O_DIRECTORY, false);
	DIR *dir = fd == -1 ? NULL : fdopendir(fd);
	struct dirent *e;
	int sys = errno;

	if (dir == NULL) {
		if (fd != -1)
			close(fd);
		return sys;
	}
	while (errno = 0, (e = readdir(dir)) != NULL) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && is_directory(fd, e))
			want(d, path, e->d_name, strlen(e->d_name));
	}
	sys = errno;
	closedir(dir);
	return sys;
}

/* Watched first and listed then: what is made in between is in the list, or gives an event. */
static void
watch_one(struct watch_dirs *d, const char *path)
{
	enum scope_place place_of = *path == '\0' ? SCOPE_ABOVE : scope_place(d->scope, path);
	char was[ENTRY_PATH_MAX + 1];
	bool trees_here = false;
	const char *tree;
	int wd, sys;

	if (place_of != SCOPE_INSIDE && place_of != SCOPE_ABOVE)
		return;
	for (size_t i = 0; (tree = scope_tree(d->scope, i)) != NULL && !trees_here; i++)	/* a tree may be a file */
		trees_here = entry_path_parent(tree) == strlen(path) && strncmp(tree, path, strlen(path)) == 0;
	sys = watch_inotify_add(path, place_of == SCOPE_INSIDE || trees_here ? INSIDE : ABOVE, &wd, was);
	if (was[0] != '\0')
		watch_dirs_forget(d, was);	/* it has moved here */
	if (sys == 0) {
		note(d, path, wd);
		if (place_of == SCOPE_ABOVE)
			want_trees(d, path);
		else
			sys = want_below(d, path);
	}
	if (sys != 0 && sys != ENOENT && sys != ENOTDIR && sys != ELOOP)
		is_blind(d, path, sys);
}

void
watch_dirs_add(struct watch_dirs *d, const char *path)
{
	watch_dirs_forget(d, path);
	want(d, "", path, strlen(path));
	while (d->todo.len > 0) {
		char *next = d->todo.at[--d->todo.len];

		watch_one(d, next);
		free(next);
	}
}
