/*
 * configsync/core_intent.c - what was about to be put in place when the program was killed: where it is found, it was. Pure.
 *
 * Found is what the first reading says that could see the path. What was edited meanwhile, or was not put in place, is judged by the last common version
 * in the store, as if nothing had been written down.
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
	c->awaited += row->stamp != 0;
	c->intended_sorted = false;
}

static int
by_path(const void *left, const void *right)
{
	const struct intended *a = left, *b = right;
	int order = strcmp(a->path, b->path);

	return order != 0 ? order : a->stamp < b->stamp ? -1 : a->stamp > b->stamp;
}

/* The end of those of this path. */
static size_t
end_of(const struct core *c, const char *path)
{
	size_t low = 0, high = c->intendeds;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(c->intended[middle].path, path) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool
core_awaits(const struct core *c, const char *path)
{
	size_t end = path == NULL || c->awaited == 0 ? 0 : c->intended_sorted ? end_of(c, path) : c->intendeds;
	bool is = path == NULL && c->awaited > 0;

	for (size_t at = end; at > 0 && !is && (!c->intended_sorted || strcmp(c->intended[at - 1].path, path) == 0); at--)
		is = c->intended[at - 1].stamp != 0 && strcmp(c->intended[at - 1].path, path) == 0;
	return is;
}

/* The newest of them that is what was found, and newer than the base. */
static struct intended *
find(const struct core *c, const struct row *r, const struct entry *e)
{
	struct entry was;

	for (size_t at = end_of(c, r->path); at > 0; at--) {
		struct intended *i = &c->intended[at - 1];

		if (strcmp(i->path, r->path) != 0 || i->stamp <= r->stamp)
			break;
		if ((entry_diff(version_entry(i->v, r->path, &was), e) & ~(ENTRY_DIFF_TIME | ENTRY_DIFF_HARD)) == 0)	/* not all its names, perhaps */
			return i;
	}
	return NULL;
}

/* The path was read: whatever is found there later has come since. */
static void
close_path(struct core *c, const char *path)
{
	for (size_t at = end_of(c, path); at > 0 && strcmp(c->intended[at - 1].path, path) == 0; at--) {
		c->awaited -= c->intended[at - 1].stamp != 0;
		c->intended[at - 1].stamp = 0;
	}
}

/* The nodes have met before it could be read: it is what theirs has followed on, unless they have undone it, which cannot be told from never having made it. */
static bool
found_late(struct core *c, struct row *r, const struct entry *e, const struct intended *i)
{
	struct ext *x = r->ext;
	struct origin *newest;

	if (x == NULL || x->st <= i->stamp || x->sm > i->stamp)
		return false;
	newest = origin_ref(x->from);
	row_set_m(c, r, e);
	row_from(c, r, i->from);
	x->sm = i->stamp;
	x->wait_ms = x->tries = 0;
	core_relate(c, r);
	row_from(c, r, newest);
	origin_drop(newest);
	core_release(c, r);
	core_say(c, r);
	row_dirty(c, r);
	if (x->job != 0)
		core_job_cancel(c, core_job(c, x->job));
	return true;
}

static bool
found_in_time(struct core *c, struct row *r, const struct entry *e, const struct intended *i)
{
	struct ext *x = row_open(c, r);

	row_set_m(c, r, e);
	row_set_t(c, r, e);
	x->sm = x->st = r->stamp = i->stamp;
	version_id(x->m, x->base_id);
	row_from(c, r, i->from);
	core_store(c, r, x->m, x->sm, true, true);
	row_close(c, r);
	return true;
}

bool
core_found_intended(struct core *c, struct row *r, const struct entry *e)
{
	const struct intended *i;
	bool found;

	if (c->awaited == 0 || (e == NULL ? core_hidden(c, r->path, false) : e->type == ENTRY_OTHER))
		return false;
	if (!c->intended_sorted)
		qsort(c->intended, c->intendeds, sizeof *c->intended, by_path);
	c->intended_sorted = true;
	i = find(c, r, e);
	found = i != NULL && (c->link == CORE_LINKED ? found_late(c, r, e, i) : found_in_time(c, r, e, i));
	if (found)
		core_note(c, r->path);
	close_path(c, r->path);
	return found;
}

void
core_forget_intended(struct core *c, bool (*but)(const struct core *, const char *path))
{
	size_t kept = 0;

	for (size_t k = 0; k < c->intendeds; k++) {
		struct intended *i = &c->intended[k];

		if (but != NULL && i->stamp != 0 && but(c, i->path)) {
			c->intended[kept++] = *i;
			continue;
		}
		free(i->path);
		version_drop(c, i->v);
		origin_drop(i->from);
	}
	c->intendeds = c->awaited = kept;
	if (kept > 0)
		return;
	free(c->intended);
	c->intended = NULL;
}
