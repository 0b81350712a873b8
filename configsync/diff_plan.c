/*
 * configsync/diff_plan.c - from verdicts to changes in an order in which they can be done: a directory is there before what is in
 * it, and empty before it goes; what is renamed goes before its directory does. Pure.
 */
#include <stdlib.h>
#include <string.h>

#include "common/sort.h"
#include "configsync/arena.h"
#include "configsync/diff_rows.h"

/* Files here by content: for renames, and for bytes that do not have to come. */
struct index { const struct entry **at; size_t len; };

struct change *
diff_add(struct diff *d, enum change_kind kind, const char *path, const struct entry *was, const struct entry *to)
{
	if ((d->changes & (d->changes - 1)) == 0)	/* at each power of two */
		d->change = need(reallocarray(d->change, d->changes == 0 ? 1 : 2 * d->changes, sizeof *d->change));
	d->change[d->changes] = (struct change){ .kind = kind, .path = path, .was = was, .to = to, .step = STEP_PLACE };
	return &d->change[d->changes++];
}

void
diff_add_conflict(struct diff *d, enum conflict_kind kind, const struct row *r)
{
	if ((d->conflicts & (d->conflicts - 1)) == 0)
		d->conflict = need(reallocarray(d->conflict, d->conflicts == 0 ? 1 : 2 * d->conflicts, sizeof *d->conflict));
	d->conflict[d->conflicts++] = (struct conflict){ kind, r->path, r->m, r->t, r->b };
}

/* ---------------------------------------------------------------- bytes that are here */

static int
by_content(const void *left, const void *right)
{
	const struct entry *a = *(const struct entry *const *)left, *b = *(const struct entry *const *)right;
	int order = memcmp(a->digest, b->digest, DIGEST_LEN);

	return order != 0 ? order : entry_path_order(a->path, b->path);
}

static struct index
index_of(const struct manifest *m)
{
	struct index x = { need(calloc(m->len + 1, sizeof *x.at)), 0 };

	for (size_t i = 0; i < m->len; i++) {
		if (m->at[i].type == ENTRY_FILE)
			x.at[x.len++] = &m->at[i];
	}
	if (x.len > 1)
		qsort(x.at, x.len, sizeof *x.at, by_content);
	return x;
}

/* The first with the content of e, or len. */
static size_t
index_find(const struct index *x, const struct entry *e)
{
	size_t low = 0, high = x->len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (memcmp(x->at[middle]->digest, e->digest, DIGEST_LEN) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < x->len && memcmp(x->at[low]->digest, e->digest, DIGEST_LEN) == 0 ? low : x->len;
}

/* ---------------------------------------------------------------- renames */

static bool
goes(const struct row *r)
{
	return r->verdict == ROW_TAKE && r->t == NULL && r->m != NULL;
}

/* A file that goes here and comes there, and is otherwise the same, is the same file. *used: it was taken for another one. */
static const struct entry *
renamed_from(const struct rows *rows, const struct index *x, bool *used, const struct entry *to)
{
	for (size_t i = index_find(x, to); i < x->len && memcmp(x->at[i]->digest, to->digest, DIGEST_LEN) == 0; i++) {
		const struct entry *e = x->at[i];

		if (!used[i] && e->local.links == 1 && entry_diff(e, to) == 0 && goes(rows_find(rows, e->path, strlen(e->path)))) {
			used[i] = true;
			return e;
		}
	}
	return NULL;
}

/* ---------------------------------------------------------------- one row */

/* In place only where no other name has the same inode: a change to it would be one to them. */
static bool
meta_is_enough(const struct entry *was, const struct entry *to)
{
	if (was == NULL || (entry_diff(was, to) & (ENTRY_DIFF_TYPE | ENTRY_DIFF_CONTENT)) != 0)
		return false;
	return to->type == ENTRY_DIRECTORY || (was->local.links <= 1 && was->hard == NULL && to->hard == NULL);
}

/* It was alone with its inode, and others join it: nothing to be done to it. */
static bool
only_joined(const struct entry *was, const struct entry *to)
{
	return was != NULL && entry_diff(was, to) == ENTRY_DIFF_HARD && was->hard == NULL && to->hard != NULL &&
	    strcmp(to->hard, to->path) == 0;
}

static void
plan_file(struct diff *d, const struct row *r, const struct index *x)
{
	struct change *c;

	if (only_joined(r->m, r->t))
		return;
	if (r->t->hard != NULL && strcmp(r->t->hard, r->path) != 0) {
		c = diff_add(d, CHANGE_HARD, r->path, r->m, r->t);
		c->from = r->t->hard;
	} else {
		size_t i = index_find(x, r->t);

		c = diff_add(d, CHANGE_FILE, r->path, r->m, r->t);
		c->from_was = i < x->len ? x->at[i] : NULL;
		c->from = c->from_was == NULL ? NULL : c->from_was->path;
	}
}

static void
plan_row(struct diff *d, const struct row *r, const struct index *x)
{
	if (r->t == NULL)
		diff_add(d, CHANGE_REMOVE, r->path, r->m, NULL);
	else if (meta_is_enough(r->m, r->t))
		diff_add(d, CHANGE_META, r->path, r->m, r->t);
	else if (r->t->type == ENTRY_FILE)
		plan_file(d, r, x);
	else
		diff_add(d, r->t->type == ENTRY_LINK ? CHANGE_LINK : CHANGE_DIRECTORY, r->path, r->m, r->t);
}

/* ---------------------------------------------------------------- order */

static enum change_step
step_of(const struct change *c)
{
	switch (c->kind) {
	case CHANGE_DIRECTORY:
		return STEP_DIRECTORY;
	case CHANGE_REMOVE:
		return STEP_REMOVE;
	case CHANGE_META:
		return c->to->type == ENTRY_DIRECTORY ? STEP_DIRECTORY_META : STEP_PLACE;
	case CHANGE_FILE:
	case CHANGE_LINK:
	case CHANGE_HARD:
	case CHANGE_RENAME:
	case CHANGE_COUNT:
		break;
	}
	return c->was != NULL && c->was->type == ENTRY_DIRECTORY ? STEP_PLACE_OVER_DIRECTORY : STEP_PLACE;
}

static int
by_step(const void *left, const void *right)
{
	const struct change *a = left, *b = right;

	if (a->step != b->step)
		return a->step < b->step ? -1 : 1;
	if (a->step == STEP_REMOVE || a->step == STEP_DIRECTORY_META)
		return entry_path_order(b->path, a->path);
	return entry_path_order(a->path, b->path);
}

/* They are made in the order of paths: so are those of each step, then, but where it is the other way round. */
static void
sort_by_step(struct diff *d)
{
	struct change *sorted = need(calloc(d->changes + 1, sizeof *sorted));
	size_t n = 0;

	for (unsigned int step = 0; step < STEP_COUNT; step++) {
		for (size_t i = 0; i < d->changes; i++) {
			if ((unsigned int)d->change[i].step == step)
				sorted[n++] = d->change[i];
		}
	}
	sort_rows(sorted, n, sizeof *sorted, by_step);
	free(d->change);
	d->change = sorted;
}

/* The leader of a group is its first path, but it may have to wait for a directory to go: then so do the others. */
static void
hard_links_wait(struct diff *d, const struct rows *rows)
{
	for (size_t i = 0; i < d->changes; i++) {
		struct change *c = &d->change[i];
		const struct row *leader = c->kind == CHANGE_HARD ? rows_find(rows, c->from, strlen(c->from)) : NULL;

		if (leader == NULL)
			continue;
		c->from_was = leader->verdict == ROW_SAME || only_joined(leader->m, leader->t) ? leader->m : NULL;
		if (leader->verdict == ROW_TAKE && leader->m != NULL && leader->m->type == ENTRY_DIRECTORY)
			c->step = STEP_PLACE_OVER_DIRECTORY;
	}
}

void
diff_plan(struct diff *d, const struct diff_input *in, const struct rows *rows)
{
	struct index x = index_of(in->mine);
	bool *used = need(calloc(x.len + 1, sizeof *used)), *moved = need(calloc(rows->len + 1, sizeof *moved));

	for (size_t i = 0; i < rows->len; i++) {
		const struct row *r = &rows->at[i];
		const struct entry *from = NULL;

		if (r->verdict == ROW_TAKE && r->m == NULL && r->t->type == ENTRY_FILE && r->t->hard == NULL)
			from = renamed_from(rows, &x, used, r->t);
		if (from != NULL) {
			struct change *c = diff_add(d, CHANGE_RENAME, r->path, NULL, r->t);

			c->from = from->path;
			c->from_was = from;
			moved[rows_find(rows, from->path, strlen(from->path)) - rows->at] = true;
			moved[i] = true;
		}
	}
	for (size_t i = 0; i < rows->len; i++) {
		if (rows->at[i].verdict == ROW_TAKE && !moved[i] && (rows->at[i].t != NULL || rows->at[i].m != NULL))
			plan_row(d, &rows->at[i], &x);
	}
	for (size_t i = 0; i < d->changes; i++)
		d->change[i].step = step_of(&d->change[i]);
	hard_links_wait(d, rows);
	sort_by_step(d);
	free(used);
	free(moved);
	free(x.at);
}
