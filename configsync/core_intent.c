/*
 * configsync/core_intent.c - what was about to be put in place when the program was killed: where it is found, it was. Pure.
 *
 * Found is what the first scan says. What was edited meanwhile, or was not put in place, is judged by the last common version in the store, as
 * if nothing had been written down.
 */
#include <stdlib.h>
#include <string.h>

#include "configsync/core_priv.h"

void
core_intent(struct core *c, const struct core_store_row *row, const struct core_origin *origin)
{
	core_saw(c, row->stamp);
	c->intended = need(reallocarray(c->intended, c->intendeds + 1, sizeof *c->intended));
	c->intended[c->intendeds++] = (struct intended){ need(strdup(row->path)), row->entry == NULL ? NULL : version_new(c, row->entry), row->stamp,
		origin_new(origin) };
	c->intended_sorted = false;
}

static int
by_path(const void *left, const void *right)
{
	const struct intended *a = left, *b = right;
	int order = strcmp(a->path, b->path);

	return order != 0 ? order : a->stamp < b->stamp ? -1 : a->stamp > b->stamp;
}

/* The newest of them that is what was found, and newer than the base. */
static const struct intended *
find(const struct core *c, const struct row *r, const struct entry *e)
{
	size_t low = 0, high = c->intendeds;
	struct entry was;

	while (low < high) {		/* the end of those of this path */
		size_t middle = low + (high - low) / 2;

		if (strcmp(c->intended[middle].path, r->path) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low > 0; low--) {
		const struct intended *i = &c->intended[low - 1];

		if (strcmp(i->path, r->path) != 0 || i->stamp <= r->stamp)
			break;
		if ((entry_diff(version_entry(i->v, r->path, &was), e) & ~(ENTRY_DIFF_TIME | ENTRY_DIFF_HARD)) == 0)	/* not all its names, perhaps */
			return i;
	}
	return NULL;
}

bool
core_found_intended(struct core *c, struct row *r, const struct entry *e)
{
	const struct intended *i;
	struct ext *x;

	if (c->intendeds == 0)
		return false;
	if (!c->intended_sorted)
		qsort(c->intended, c->intendeds, sizeof *c->intended, by_path);
	c->intended_sorted = true;
	if ((i = find(c, r, e)) == NULL)
		return false;
	x = row_open(c, r);
	row_set_m(c, r, e);
	row_set_t(c, r, e);
	x->sm = x->st = r->stamp = i->stamp;
	version_id(x->m, x->base_id);
	row_from(c, r, i->from);
	core_store(c, r, x->m, x->sm, true, true);
	core_note(c, r->path);
	row_close(c, r);
	return true;
}

void
core_forget_intended(struct core *c)
{
	for (size_t i = 0; i < c->intendeds; i++) {
		free(c->intended[i].path);
		version_drop(c, c->intended[i].v);
		origin_drop(c->intended[i].from);
	}
	free(c->intended);
	c->intended = NULL;
	c->intendeds = 0;
}
