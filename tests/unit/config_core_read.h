/*
 * tests/unit/config_core_read.h - for test_config_core_model.c: what a desk reads of its disk, for the watch, for its core, and after an installation.
 */
#ifndef TESTS_UNIT_CONFIG_CORE_READ_H
#define TESTS_UNIT_CONFIG_CORE_READ_H

#include "tests/unit/config_core_store.h"

static inline uint32_t
w_all_names(const struct node *n, uint32_t paths)
{
	for (int i = 0; i < W_PATHS; i++) {
		const struct row *r = tree_find(&n->core->tree, w_path[i], strlen(w_path[i]));
		const struct version *v = r == NULL ? NULL : row_m(r);

		for (int k = 0; k < W_PATHS && (paths >> i & 1) != 0; k++) {
			const struct row *o = tree_find(&n->core->tree, w_path[k], strlen(w_path[k]));
			const struct version *u = o == NULL ? NULL : row_m(o);

			if (n->disk.at[i].state >= W_FIRST && n->disk.at[k].state >= W_FIRST && n->disk.at[i].ino == n->disk.at[k].ino)
				paths |= 1u << k;
			if (u != NULL && v != NULL && u->links > 1 && u->ino == v->ino)
				paths |= 1u << k;
		}
	}
	return paths;
}

/* The core has no directory there, or in one that it stands in. */
static inline bool
w_is_new(const struct node *n, int path)
{
	for (; path >= 0; path = w_parent(path)) {
		const struct row *r = tree_find(&n->core->tree, w_path[path], strlen(w_path[path]));

		if (r == NULL || row_m(r) == NULL || row_m(r)->type != ENTRY_DIRECTORY)
			return true;
	}
	return false;
}

/* As configsync/scan_paths.h promises: what they stand in, all below what was no directory before or is none now, and all names of a file. */
static inline uint32_t
w_covered(const struct node *n, uint32_t paths)
{
	uint32_t before;

	do {
		before = paths;
		paths = w_all_names(n, paths);
		for (int i = 0; i < W_PATHS; i++) {
			int p = w_parent(i);

			if ((paths >> i & 1) != 0 && p >= 0)
				paths |= 1u << p;
			if (p >= 0 && (paths >> p & 1) != 0 && (!w_is_dir(n->disk.at[p].state) || n->disk.at[p].odd || w_is_new(n, p)))
				paths |= 1u << i;
		}
	} while (paths != before);
	return paths;
}

static inline size_t
w_looked(const struct node *n, uint32_t paths, struct core_looked *ret)
{
	size_t len = 0;

	for (int i = 0; i < W_PATHS; i++) {
		if ((paths >> i & 1) != 0 && w_carried(n, i))
			ret[len++] = (struct core_looked){ w_path[i], false };
	}
	return len;
}

/* ---------------------------------------------------------------- after an installation */

/* What was new and is in its place, as it was left there. */
static inline uint32_t
w_placed(const struct core_job *job, const struct disk *left, const struct report *report)
{
	uint32_t placed = 0;

	for (size_t i = 0; i < job->changes; i++) {
		const struct change *c = &job->change[i];
		const struct thing *t = &left->at[w_at(c->path)];
		bool told = false;

		for (size_t k = 0; k < report->len; k++)
			told = told || (report->at[k].kind != NOTE_UNKNOWN_OWNER && strcmp(report->at[k].path, c->path) == 0);
		if (!told && (c->kind == CHANGE_FILE || c->kind == CHANGE_LINK || c->kind == CHANGE_DIRECTORY) && !t->odd && t->state == w_state(c->to) &&
		    (t->state < W_FIRST || w_links(left, t->ino) == 1))
			placed |= 1u << w_at(c->path);
	}
	return placed;
}

/* As desk_read(): what was placed is not looked at again, unless along with something else. NULL: that does not fit together. */
static inline struct manifest *
w_read_rest(const struct node *n, const struct disk *left, uint32_t placed, uint32_t paths)
{
	uint32_t read = (paths & ~placed) == 0 ? 0 : w_covered(n, paths & ~placed);
	struct manifest *m = w_read(n, &n->disk, read), *all = manifest_new();

	for (size_t i = 0; i < m->len; i++)
		manifest_add(all, &m->at[i]);
	for (int i = 0; i < W_PATHS; i++) {
		struct entry e;

		if ((placed >> i & 1) == 0 || manifest_find(m, w_path[i]) != NULL)
			continue;
		e = w_entry(n, left, i);
		manifest_add(all, &e);
	}
	manifest_free(m);
	if (manifest_seal(all, NULL))
		return all;
	manifest_free(all);
	return NULL;
}

#endif
