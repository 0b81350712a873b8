/*
 * configsync/manifest.c - gathering entries, sorting them, finding one. Pure.
 */
#include "configsync/manifest.h"

#include <stdlib.h>
#include <string.h>

#include "configsync/arena.h"

struct manifest *
manifest_new(void)
{
	struct manifest *m = need(calloc(1, sizeof *m));

	m->arena = arena_new();
	return m;
}

void
manifest_free(struct manifest *m)
{
	if (m == NULL)
		return;
	arena_free(m->arena);
	free(m->at);
	free(m);
}

static const struct entry_xattr *
copy_xattrs(struct arena *arena, const struct entry *from)
{
	struct entry_xattr *to;

	if (from->xattrs == 0)
		return NULL;
	to = arena_take(arena, from->xattrs * sizeof *to);
	for (uint32_t i = 0; i < from->xattrs; i++) {
		const struct entry_xattr *x = &from->xattr[i];
		uint8_t *value = arena_take(arena, x->len);

		if (x->len > 0)
			memcpy(value, x->value, x->len);
		to[i] = (struct entry_xattr){ arena_word(arena, x->name), value, x->len };
	}
	return to;
}

struct entry *
manifest_add(struct manifest *m, const struct entry *from)
{
	struct entry *to;

	if (m->len == m->room) {
		m->room = m->room == 0 ? 64 : m->room + m->room / 2;
		m->at = need(reallocarray(m->at, m->room, sizeof *m->at));
	}
	to = &m->at[m->len++];
	*to = *from;
	to->path = arena_text(m->arena, from->path);
	to->user.name = arena_word(m->arena, from->user.name);
	to->group.name = arena_word(m->arena, from->group.name);
	to->target = from->target == NULL ? NULL : arena_text(m->arena, from->target);
	to->hard = from->hard == NULL ? NULL : arena_text(m->arena, from->hard);
	to->xattr = copy_xattrs(m->arena, from);
	return to;
}

/* ---------------------------------------------------------------- sealing */

static int
by_path(const void *left, const void *right)
{
	return entry_path_order(((const struct entry *)left)->path, ((const struct entry *)right)->path);
}

/* Most often it is: what is read or known comes in order. */
static bool
is_sorted(const struct manifest *m)
{
	for (size_t i = 1; i < m->len; i++) {
		if (entry_path_order(m->at[i - 1].path, m->at[i].path) > 0)
			return false;
	}
	return true;
}

/* By inode, then by path: the first of a group is its leader. */
static int
by_inode(const void *left, const void *right)
{
	const struct entry *a = *(struct entry *const *)left, *b = *(struct entry *const *)right;

	if (a->local.dev != b->local.dev)
		return a->local.dev < b->local.dev ? -1 : 1;
	if (a->local.ino != b->local.ino)
		return a->local.ino < b->local.ino ? -1 : 1;
	return entry_path_order(a->path, b->path);
}

/* Names of one inode outside of the manifest make no group. */
static void
join_hard_links(struct manifest *m)
{
	size_t len = 0;
	struct entry **linked;

	for (size_t i = 0; i < m->len; i++)
		len += m->at[i].type == ENTRY_FILE && m->at[i].local.links > 1;
	if (len == 0)
		return;
	linked = need(calloc(len, sizeof *linked));
	len = 0;
	for (size_t i = 0; i < m->len; i++) {
		if (m->at[i].type == ENTRY_FILE && m->at[i].local.links > 1) {
			linked[len++] = &m->at[i];
			m->at[i].hard = NULL;
		}
	}
	qsort(linked, len, sizeof *linked, by_inode);
	for (size_t i = 1, leader = 0; i < len; i++) {
		if (linked[i]->local.dev != linked[leader]->local.dev || linked[i]->local.ino != linked[leader]->local.ino)
			leader = i;
		else
			linked[i]->hard = linked[leader]->hard = linked[leader]->path;
	}
	free(linked);
}

/*
 * What is below a path stands right behind it, so one look back is enough: the last entry that is no directory would be
 * the one that it stands below.
 */
static bool
is_tree(const struct manifest *m, struct err *err)
{
	for (size_t i = 1; i < m->len; i++) {
		const struct entry *last = &m->at[i - 1], *e = &m->at[i];

		if (strcmp(last->path, e->path) == 0)
			return err_set(err, 0, "%.200s stands twice in the manifest", e->path);
		if (last->type != ENTRY_DIRECTORY && entry_path_within(e->path, last->path))
			return err_set(err, 0, "%.200s stands below a %s in the manifest", e->path, entry_type_word(last->type));
	}
	return true;
}

bool
manifest_seal(struct manifest *m, struct err *err)
{
	if (!is_sorted(m))
		qsort(m->at, m->len, sizeof *m->at, by_path);
	if (!is_tree(m, err))
		return false;
	join_hard_links(m);
	return true;
}

/* ---------------------------------------------------------------- finding */

size_t
manifest_place(const struct manifest *m, const char *path)
{
	size_t low = 0, high = m->len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (entry_path_order(m->at[middle].path, path) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct entry *
manifest_find(const struct manifest *m, const char *path)
{
	size_t i = manifest_place(m, path);

	return i < m->len && strcmp(m->at[i].path, path) == 0 ? &m->at[i] : NULL;
}

const struct entry *
manifest_find_next(const struct manifest *m, size_t *at, const char *path)
{
	int order = -1;

	while (*at < m->len && (order = entry_path_order(m->at[*at].path, path)) < 0)
		++*at;
	return *at < m->len && order == 0 ? &m->at[*at] : NULL;
}
