/*
 * tests/unit/config_core_store.h - for test_config_core_model.c: what a node keeps beside its disk: its store, what waits for that, and what it notes before an
 * installation.
 */
#ifndef TESTS_UNIT_CONFIG_CORE_STORE_H
#define TESTS_UNIT_CONFIG_CORE_STORE_H

#include "tests/unit/config_core_disk.h"

static inline void
w_store(struct world *w, struct node *n, const struct core_store_row *row, bool common)
{
	struct deferred *d = &n->late[n->lates++];

	law(w, n->lates < sizeof n->late / sizeof n->late[0], "versions are stored without an end", n->name, row->path);
	if (w->broken[0] != '\0')
		n->lates = 1;
	*d = (struct deferred){ .path = w_at(row->path), .common = common, .states = 1ull << w_state(row->entry) };
	if (row->entry != NULL)
		d->kept.bytes = core_stamped(row->entry, row->stamp, &d->kept.len);
	if (row->theirs != NULL)
		d->states |= 1ull << w_state(row->theirs);
}

static inline void
w_forget_cleared(struct node *n)
{
	while (n->cleareds > 0)
		free(n->cleared[--n->cleareds].kept.bytes);
}

/* It is in the store, but for what the core could not look at yet. */
static inline void
w_clear_noted(struct node *n)
{
	size_t kept = 0;

	if (n->noteds == 0)
		return;
	w_forget_cleared(n);
	for (size_t i = 0; i < n->noteds; i++) {
		if (n->core != NULL && core_awaits(n->core, w_path[n->noted[i].path]))
			n->noted[kept++] = n->noted[i];
		else
			n->cleared[n->cleareds++] = n->noted[i];
	}
	n->noteds = kept;
}

/* That it was cleared was not on the disk yet. */
static inline void
w_remember_noted(struct node *n)
{
	if (n->noteds > 0)
		return;
	memcpy(n->noted, n->cleared, sizeof n->noted);
	n->noteds = n->cleareds;
	n->cleareds = 0;
}

/* As desk_install(): what will be theirs is written down before. */
static inline void
w_note(struct node *n, const struct core_job *job)
{
	w_forget_cleared(n);
	for (size_t i = 0; i < job->intents; i++) {
		const struct core_store_row *row = &job->intent[i];
		struct noted *to = &n->noted[n->noteds++];

		w_must(n->noteds < sizeof n->noted / sizeof n->noted[0]);
		*to = (struct noted){ .path = w_at(row->path), .stamp = row->stamp };
		if (row->entry != NULL)
			to->kept.bytes = core_stamped(row->entry, row->stamp, &to->kept.len);
	}
}

/* What waits is put in the store, if there is room. */
static inline void
w_flush(struct node *n)
{
	if (n->full)
		return;
	for (size_t i = 0; i < n->lates; i++) {
		struct deferred *d = &n->late[i];

		n->stored[d->path] |= d->states;
		if (!d->common) {
			free(d->kept.bytes);
			continue;
		}
		free(n->base[d->path].bytes);
		n->base[d->path] = d->kept;
		n->based[d->path] = n->ever = true;
	}
	n->lates = 0;
	if (n->core != NULL && n->core->scanned)
		w_clear_noted(n);
}

static inline void
w_forget_late(struct node *n)
{
	for (size_t i = 0; i < n->lates; i++) {
		n->set_back[n->late[i].path] = true;
		free(n->late[i].kept.bytes);
	}
	n->lates = 0;
}

#endif
