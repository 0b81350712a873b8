/*
 * configsync/core_doubt.c - readings of different moments that do not fit together: what stands below what is no directory any more, and
 * names of one file that are known to be joined otherwise than they can be. It is read again. Pure.
 *
 * An installation replaces a name of a file: the watch tells of that name alone, and the others are no longer joined with it. So names are compared
 * here whenever one of them was read, and after the installations that were under way.
 */
#include <stdlib.h>
#include <string.h>

#include "configsync/core_priv.h"

void
core_doubt_row(struct core *c, struct row *r)
{
	core_edited(c, r, &(struct entry){ .path = r->path, .type = ENTRY_OTHER, .user.name = "", .group.name = "" });
	core_again(c, r->path, true);
}

static void
doubt_places(struct core *c)
{
	struct row *r, *last = NULL;

	for (struct place p = { 0, 0 }; (r = tree_next(&c->tree, &p)) != NULL;) {
		if (row_m(r) == NULL)
			continue;
		if (last != NULL && entry_path_within(r->path, last->path)) {
			if (row_m(last)->type != ENTRY_OTHER)
				core_doubt_row(c, last);
			core_edited(c, r, NULL);
		} else {
			last = row_m(r)->type == ENTRY_DIRECTORY ? NULL : r;
		}
	}
}

/* ---------------------------------------------------------------- names of one file */

static int
by_inode(const void *left, const void *right)
{
	const struct row *a = *(struct row *const *)left, *b = *(struct row *const *)right;
	const struct version *v = row_m(a), *w = row_m(b);

	if (v->dev != w->dev)
		return v->dev < w->dev ? -1 : 1;
	if (v->ino != w->ino)
		return v->ino < w->ino ? -1 : 1;
	return entry_path_order(a->path, b->path);
}

/* All that have or are said to have more names, as manifest_seal() joins them: of one inode, the first by path before the others. */
static struct row_list
names(const struct core *c)
{
	struct row_list l = { 0 };
	struct row *r;

	for (struct place p = { 0, 0 }; (r = tree_next(&c->tree, &p)) != NULL;) {
		const struct version *v = row_m(r);

		if (v != NULL && v->type == ENTRY_FILE && (v->links > 1 || v->text != NULL))
			list_add(&l, r);
	}
	if (l.len > 1)
		qsort(l.at, l.len, sizeof *l.at, by_inode);
	return l;
}

static bool
same_file(const struct row *a, const struct row *b)
{
	return row_m(a)->links > 1 && row_m(b)->links > 1 && row_m(a)->dev == row_m(b)->dev && row_m(a)->ino == row_m(b)->ino;
}

/* Leader: the first name; alone: there is no other. */
static bool
fits(const struct row *r, const struct row *leader, bool alone)
{
	struct entry a, b;

	if (alone)
		return row_m(r)->text == NULL;
	return row_m(r)->text != NULL && strcmp(row_m(r)->text, leader->path) == 0 &&
	    entry_diff(version_entry(row_m(r), r->path, &a), version_entry(row_m(leader), leader->path, &b)) == 0;
}

static bool
doubt_files(struct core *c, void (*f)(struct core *, struct row *))
{
	struct row_list l = names(c);
	bool some = false;

	for (size_t i = 0, n; i < l.len; i += n) {
		for (n = 1; i + n < l.len && same_file(l.at[i], l.at[i + n]); n++)
			;
		for (size_t k = i; k < i + n; k++)
			l.at[k]->seen = !fits(l.at[k], l.at[i], n == 1);
	}
	for (size_t i = 0; i < l.len; i++) {
		if (!l.at[i]->seen)
			continue;
		l.at[i]->seen = false;
		f(c, l.at[i]);
		some = true;
	}
	list_free(&l);
	return some;
}

void
core_doubt(struct core *c)
{
	doubt_places(c);
	while (doubt_files(c, core_doubt_row))
		;	/* where one name is not known, the others are joined otherwise */
	c->names_changed = false;
}

void
core_names_changed(struct core *c, const struct version *was, const struct entry *is)
{
	c->names_changed = c->names_changed || (was != NULL && was->type == ENTRY_FILE && (was->links > 1 || was->text != NULL)) ||
	    (is != NULL && is->type == ENTRY_FILE && (is->local.links > 1 || is->hard != NULL));
}

static void
read_again(struct core *c, struct row *r)
{
	core_again(c, r->path, false);
}

void
core_doubt_names(struct core *c)
{
	if (!c->names_changed || !c->scanned || core_installing(c, NULL))
		return;
	c->names_changed = false;
	doubt_files(c, read_again);
}
