/*
 * configsync/desk_common.c - what both nodes had last is given to the core: from the store, from what waits for it, and what was about to be put in place
 * when the program ended.
 */
#include "configsync/desk_priv.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"

/* A common version that waits for the store; at: which came first. */
struct late { const struct kept *row; size_t at; };
struct loading { struct desk *d; struct manifest *m; struct late *late; size_t lates, bad, n; };

static int
by_path(const void *left, const void *right)
{
	const struct late *a = left, *b = right;
	int order = strcmp(a->row->path, b->row->path);

	return order != 0 ? order : a->at < b->at ? -1 : a->at > b->at;
}

/* The newest of each path. The store has older ones as long as it cannot be written. */
static void
find_late(struct loading *l)
{
	size_t n = 0, kept = 0;

	l->late = desk_alloc((l->d->keeping_rows + 1) * sizeof *l->late);
	for (const struct keeping *k = l->d->keeping; k != NULL; k = k->next)
		for (size_t i = k->done; i < k->rows; i++)
			if (k->row[i].common) {
				l->late[n] = (struct late){ &k->row[i], n };
				n++;
			}
	if (n > 1)
		qsort(l->late, n, sizeof *l->late, by_path);
	for (size_t i = 0; i < n; i++)
		if (i + 1 == n || strcmp(l->late[i].row->path, l->late[i + 1].row->path) != 0)
			l->late[kept++] = l->late[i];
	l->lates = kept;
}

static void
load(struct loading *l, const char *path, const uint8_t *entry, size_t len)
{
	uint64_t stamp = 0;
	struct err err;

	l->n++;
	if (entry == NULL)
		core_base(l->d->core, path, NULL, 0);
	else if (core_unstamped(l->m, entry, len, &stamp, &err))
		core_base(l->d->core, path, &l->m->at[l->m->len - 1], stamp);
	else
		l->bad++;
}

static bool
load_one(void *arg, const struct store_version *v)
{
	struct loading *l = arg;

	for (size_t low = 0, high = l->lates; low < high;) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(l->late[middle].row->path, v->path);

		if (order == 0)
			return true;	/* a newer one waits */
		low = order < 0 ? middle + 1 : low;
		high = order > 0 ? middle : high;
	}
	load(l, v->path, v->entry, v->entry_len);
	return true;
}

static void
load_intent(void *arg, const struct core_store_row *row, const struct core_origin *origin)
{
	core_intent(arg, row, origin);
}

bool
desk_load_common(struct desk *d)
{
	struct loading l = { .d = d, .m = manifest_new() };
	struct err err;
	bool ok;

	find_late(&l);
	for (size_t i = 0; i < l.lates; i++)
		load(&l, l.late[i].row->path, l.late[i].row->entry, l.late[i].row->entry_len);
	ok = store_common(d->store, load_one, &l, &err);
	if (!ok)
		log_err("the last common versions of files cannot be read: %s", err.text);
	if (l.bad > 0)
		log_warnx("%zu last common versions of files cannot be read; where the nodes differ there, it is shown as a conflict", l.bad);
	if (!d->scanned && !intent_each(d->intent, load_intent, d->core, &err))
		log_warnx("%s", err.text);
	free(l.late);
	manifest_free(l.m);
	d->strange = l.n == 0;
	return ok;
}
