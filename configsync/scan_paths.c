/*
 * configsync/scan_paths.c - on the way to given paths, and no further. Runs in a worker; blocks.
 */
#include "configsync/scan_paths.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/sort.h"
#include "configsync/arena.h"
#include "configsync/beneath.h"
#include "configsync/scan_walk.h"

struct paths { struct scan_path *at; size_t len, room; };

struct slice {
	struct paths	 wanted;	/* sorted, none below another with "below" */
	size_t		 next;		/* of wanted, on the way */
	bool		 whole;		/* now in a directory that is read whole */
	struct paths	 looked;	/* in any order; the texts are the manifest's or the scope's */
	struct paths	 missing;	/* of these */
};

/* ---------------------------------------------------------------- lists of paths */

static void
paths_add(struct paths *p, const char *path, bool below)
{
	if (p->len == p->room) {
		p->room = p->room == 0 ? 16 : 2 * p->room;
		p->at = need(reallocarray(p->at, p->room, sizeof *p->at));
	}
	p->at[p->len++] = (struct scan_path){ path, below };
}

static int
by_path(const void *left, const void *right)
{
	const struct scan_path *a = left, *b = right;
	int order = entry_path_order(a->path, b->path);

	return order != 0 ? order : (int)b->below - (int)a->below;
}

/* Sorted, each once, and nothing that another one says already. */
static void
paths_sort(struct paths *p)
{
	size_t len = 0;

	sort_rows(p->at, p->len, sizeof *p->at, by_path);
	for (size_t i = 0; i < p->len; i++) {
		const struct scan_path *last = len == 0 ? NULL : &p->at[len - 1];

		if (last != NULL && (last->below ? entry_path_within(p->at[i].path, last->path) : strcmp(p->at[i].path, last->path) == 0))
			continue;
		p->at[len++] = p->at[i];
	}
	p->len = len;
}

/* Of sorted ones. */
static bool
paths_have(const struct paths *p, const char *path, bool below)
{
	return p->len > 0 && bsearch(&(struct scan_path){ path, below }, p->at, p->len, sizeof *p->at, by_path) != NULL;
}

static bool
paths_cover(const struct paths *p, const char *path)
{
	char above[ENTRY_PATH_MAX + 1];
	size_t len = strlen(path);

	if (len > ENTRY_PATH_MAX || paths_have(p, path, false))
		return len <= ENTRY_PATH_MAX;
	memcpy(above, path, len + 1);
	while (len > 0 && !paths_have(p, above, true))
		above[len = entry_path_parent(above)] = '\0';
	return len > 0;
}

/* ---------------------------------------------------------------- what is wanted */

static void
want(struct paths *wanted, const struct scope *scope, const char *path, bool below)
{
	enum scope_place place = *path == '\0' ? SCOPE_ABOVE : scope_place(scope, path);
	const char *tree;

	if (place == SCOPE_INSIDE)
		paths_add(wanted, path, below);
	for (size_t i = 0; place == SCOPE_ABOVE && (tree = scope_tree(scope, i)) != NULL; i++) {
		if (*path == '\0' || entry_path_within(tree, path))
			paths_add(wanted, tree, true);
	}
}

/* Does known not have the directory that is in w->path now? */
static bool
is_new(const struct walk *w, const char *path)
{
	const struct entry *k = w->o->known == NULL ? NULL : manifest_find(w->o->known, path);

	return w->o->known != NULL && (k == NULL || k->type != ENTRY_DIRECTORY);
}

/* ---------------------------------------------------------------- on the way */

static void
missing(struct slice *s, const char *path)
{
	paths_add(&s->looked, path, true);
	paths_add(&s->missing, path, true);
}

/* What walk_one() found in w->path, beginning with entry number first. */
static void
note_looked(struct walk *w, size_t first, bool below)
{
	const struct entry *e = w->m->len > first ? &w->m->at[first] : NULL;
	struct slice *s = w->arg;
	const char *tree;

	if (scope_place(w->o->scope, w->path) != SCOPE_ABOVE) {
		if (e != NULL)
			paths_add(&s->looked, e->path, below || e->type != ENTRY_DIRECTORY);
		else
			missing(s, arena_text(w->m->arena, w->path));
		return;
	}
	for (size_t i = 0; (tree = scope_tree(w->o->scope, i)) != NULL; i++) {	/* does the way end before the trees? */
		if (!entry_path_within(tree, w->path))
			continue;
		if (e == NULL)
			missing(s, tree);
		else if (e->type == ENTRY_OTHER && strcmp(e->path, tree) == 0)
			paths_add(&s->looked, tree, true);
	}
}

/* Is the next wanted one in or below the directory of len bytes? Its name there: *ret_end is where that ends in its path. */
static bool
next_in(const struct slice *s, const char *dir, size_t len, size_t *ret_end)
{
	const char *path;

	if (s->next == s->wanted.len)
		return false;
	path = s->wanted.at[s->next].path;
	if (len > 0 && !entry_path_within(path, dir))
		return false;
	*ret_end = len + (len > 0);
	*ret_end += strcspn(path + *ret_end, "/");
	return true;
}

static bool
through(struct walk *w, int fd, unsigned int depth)
{
	struct slice *s = w->arg;
	size_t len = strlen(w->path), end;

	if (len == 0)
		s->next = s->looked.len = s->missing.len = 0;
	if (!s->whole && s->next < s->wanted.len && strcmp(s->wanted.at[s->next].path, w->path) == 0)
		s->whole = s->wanted.at[s->next++].below;
	if (!s->whole && len > 0)
		s->whole = scope_place(w->o->scope, w->path) == SCOPE_INSIDE && is_new(w, w->path);
	if (s->whole)
		return false;
	while (next_in(s, w->path, len, &end)) {
		size_t first = w->m->len, at = s->next;
		bool below;

		memcpy(w->path, s->wanted.at[at].path, end);
		w->path[end] = '\0';
		below = strcmp(s->wanted.at[at].path, w->path) == 0 && s->wanted.at[at].below;
		walk_one(w, fd, w->path + len + (len > 0), depth + 1);
		s->whole = false;
		note_looked(w, first, below || is_new(w, w->path));
		while (s->next < s->wanted.len && entry_path_within(s->wanted.at[s->next].path, w->path))
			s->next++;
		w->path[len] = '\0';
	}
	return true;
}

/* ---------------------------------------------------------------- the end */

static bool
there(int root, const char *path)
{
	const char *name;
	struct stat st;
	int dir = beneath_parent(root, path, false, &name);
	bool found = dir != -1 && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;

	if (dir != -1)
		close(dir);
	return found;
}

/* What was missing when it was looked at, and is there now, may be what was moved away from a path that was looked at later. */
static bool
ended(struct walk *w, bool last)
{
	const struct slice *s = w->arg;
	bool same = true;

	for (size_t i = 0; i < s->missing.len; i++) {
		const char *path = s->missing.at[i].path;

		if (!there(w->root, path))
			continue;
		same = false;
		if (!last)
			break;
		report_add(w->report, NOTE_UNSETTLED, path, "came and went while it was looked for, %u times", SCAN_TRIES);
		manifest_add(w->m, &(struct entry){ .path = path, .type = ENTRY_OTHER, .user = { "", 0 }, .group = { "", 0 } });
	}
	return same;
}

/* ---------------------------------------------------------------- hard links */

struct inode { uint64_t dev, ino; };

struct mates {
	struct inode	*inode;		/* of the slice, with more than one name */
	size_t		 inodes;
	struct paths	 leader;	/* of groups in known that a looked path was in */
};

static int
by_inode(const void *left, const void *right)
{
	const struct inode *a = left, *b = right;

	if (a->dev != b->dev)
		return a->dev < b->dev ? -1 : 1;
	return a->ino == b->ino ? 0 : a->ino < b->ino ? -1 : 1;
}

static void
find_groups(const struct walk *w, const struct slice *s, struct mates *ret)
{
	const struct manifest *known = w->o->known;

	ret->inode = need(calloc(w->m->len + 1, sizeof *ret->inode));
	for (size_t i = 0; i < w->m->len; i++) {
		const struct entry *e = &w->m->at[i];

		if (e->type == ENTRY_FILE && e->local.links > 1)
			ret->inode[ret->inodes++] = (struct inode){ e->local.dev, e->local.ino };
	}
	qsort(ret->inode, ret->inodes, sizeof *ret->inode, by_inode);
	for (size_t i = 0; i < s->looked.len; i++) {
		const struct scan_path *l = &s->looked.at[i];

		for (size_t k = manifest_place(known, l->path); k < known->len && entry_path_within(known->at[k].path, l->path) &&
		    (l->below || strcmp(known->at[k].path, l->path) == 0); k++) {
			if (known->at[k].hard != NULL)
				paths_add(&ret->leader, known->at[k].hard, false);
		}
	}
	paths_sort(&ret->leader);
}

/* Names that known has of files that were looked at, are wanted as well. False: there are no more. */
static bool
want_mates(const struct walk *w, struct slice *s)
{
	const struct manifest *known = w->o->known;
	size_t before = s->wanted.len;
	struct mates mates = { 0 };

	if (known == NULL)
		return false;
	find_groups(w, s, &mates);
	for (size_t i = 0; i < known->len && mates.inodes + mates.leader.len > 0; i++) {
		const struct entry *e = &known->at[i];
		const struct inode inode = { e->local.dev, e->local.ino };

		if (e->type != ENTRY_FILE || paths_cover(&s->looked, e->path))
			continue;
		if ((e->hard != NULL && paths_have(&mates.leader, e->hard, false)) ||
		    (inode.ino != 0 && mates.inodes > 0 && bsearch(&inode, mates.inode, mates.inodes, sizeof inode, by_inode) != NULL))
			want(&s->wanted, w->o->scope, e->path, false);
	}
	free(mates.inode);
	free(mates.leader.at);
	return s->wanted.len > before;
}

/* ---------------------------------------------------------------- all of it */

/* Until all mates are in it. */
static struct manifest *
read_slice(struct walk *w, struct slice *s, struct report *report, struct err *err)
{
	struct manifest *m = NULL;
	const char *tree;
	bool again = true;

	while (again) {
		struct report notes = { 0 };

		manifest_free(m);
		paths_sort(&s->wanted);
		m = walk_all(w, &notes, err);
		paths_sort(&s->looked);
		again = m != NULL && want_mates(w, s);
		for (size_t i = 0; i < notes.len && !again; i++)
			report_add(report, notes.at[i].kind, notes.at[i].path, "%s", notes.at[i].text);
		report_free(&notes);
	}
	for (size_t i = 0; m != NULL && s->missing.len > 0 && (tree = scope_tree(w->o->scope, i)) != NULL; i++) {
		if (paths_cover(&s->looked, tree) && manifest_find(m, tree) == NULL)
			report_add(report, NOTE_MISSING_TREE, tree, "is not there");
	}
	return m;
}

bool
scan_paths(int root, const struct scan_options *o, const struct scan_path *path, size_t len, struct scan_slice *ret,
    struct report *report, struct scan_count *ret_count, struct err *err)
{
	struct slice s = { 0 };
	struct manifest *m;
	struct walk *w;

	if (!walk_is_root(root, err))
		return false;
	for (size_t i = 0; i < len; i++)
		want(&s.wanted, o->scope, path[i].path, path[i].below);
	w = need(calloc(1, sizeof *w));
	*w = (struct walk){ .o = o, .root = root, .through = through, .ended = ended, .arg = &s };
	m = read_slice(w, &s, report, err);
	if (m != NULL) {
		if (ret_count != NULL)
			*ret_count = w->count;
		*ret = (struct scan_slice){ m, s.looked.at, s.looked.len, arena_new() };
		for (size_t i = 0; i < ret->len; i++)	/* the manifest may be replaced by what is made of it */
			ret->looked[i].path = arena_text(ret->texts, ret->looked[i].path);
	} else {
		free(s.looked.at);
	}
	free(s.wanted.at);
	free(s.missing.at);
	free(w);
	return m != NULL;
}

void
scan_slice_free(struct scan_slice *s)
{
	manifest_free(s->manifest);
	free(s->looked);
	arena_free(s->texts);
	*s = (struct scan_slice){ 0 };
}

bool
scan_slice_covers(const struct scan_slice *s, const char *path)
{
	const struct paths looked = { s->looked, s->len, s->len };

	return paths_cover(&looked, path);
}
