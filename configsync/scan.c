/*
 * configsync/scan.c - finds the trees of a scope, and reads them. Runs in a worker; blocks.
 */
#include "configsync/scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "configsync/arena.h"
#include "configsync/scan_walk.h"

/* New files of a tree that is not there yet, or is a single file, are written beside it. */
static void
find_leftovers(struct walk *w, int fd, size_t len)
{
	char *names = walk_names(fd);

	for (const char *name = names; name != NULL && *name != '\0'; name += strlen(name) + 1) {
		if (strncmp(name, SCOPE_STAGING, strlen(SCOPE_STAGING)) != 0 || len + 1 + strlen(name) > ENTRY_PATH_MAX)
			continue;
		snprintf(w->path + len, sizeof w->path - len, "%s%s", len > 0 ? "/" : "", name);
		if (scope_place(w->o->scope, w->path) == SCOPE_BEING_WRITTEN)
			walk_one(w, fd, name, 0);
		w->path[len] = '\0';
	}
	free(names);
}

/* On the way to a tree, only the names on the way. */
static void
walk_above(struct walk *w, int fd, size_t len, unsigned int depth)
{
	const char *tree;

	find_leftovers(w, fd, len);
	for (size_t i = 0; (tree = scope_tree(w->o->scope, i)) != NULL; i++) {
		char name[ENTRY_NAME_MAX + 1], before[ENTRY_PATH_MAX + 1];
		const char *rest = tree + len + (len > 0);
		size_t n, next = len + (len > 0);
		bool seen = false;

		if (len > 0 && (!entry_path_within(tree, w->path) || tree[len] == '\0'))
			continue;
		n = strcspn(rest, "/");
		for (size_t k = 0; k < i && !seen; k++)	/* two trees on one way */
			seen = strncmp(scope_tree(w->o->scope, k), tree, next + n) == 0 &&
			    strchr("/", scope_tree(w->o->scope, k)[next + n]) != NULL;
		if (seen)
			continue;
		memcpy(before, w->path, len + 1);
		snprintf(name, sizeof name, "%.*s", (int)n, rest);
		snprintf(w->path, sizeof w->path, "%.*s", (int)(next + n), tree);
		walk_one(w, fd, name, depth + 1);
		memcpy(w->path, before, len + 1);
	}
}

static bool
through(struct walk *w, int fd, unsigned int depth)
{
	size_t len = strlen(w->path);

	if (len > 0 && scope_place(w->o->scope, w->path) != SCOPE_ABOVE)
		return false;
	walk_above(w, fd, len, depth);
	return true;
}

struct manifest *
scan_trees(int root, const struct scan_options *o, struct report *report, struct scan_count *ret_count, struct err *err)
{
	struct walk *w;
	struct manifest *m;

	if (!walk_is_root(root, err))
		return NULL;
	w = need(calloc(1, sizeof *w));
	w->o = o;
	w->root = root;
	w->through = through;
	m = walk_all(w, report, err);
	if (ret_count != NULL)
		*ret_count = w->count;
	free(w);
	for (size_t i = 0; m != NULL && scope_tree(o->scope, i) != NULL; i++) {
		if (manifest_find(m, scope_tree(o->scope, i)) == NULL)
			report_add(report, NOTE_MISSING_TREE, scope_tree(o->scope, i), "is not there");
	}
	return m;
}
