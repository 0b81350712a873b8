/*
 * configsync/core_plan.c - changes become jobs: what belongs to one set goes together, checked; what is of no set goes at once. Pure.
 *
 * Hard links, renames, and what takes a directory's place are never torn apart. A directory is made before the set whose files stand in it, and
 * goes after the set whose files stood in it: whichever has to wait is planned again when the other one is done.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/sort.h"
#include "configsync/core_priv.h"

#define PART_LAST UINT32_MAX

struct key { const char *text; size_t change; };
struct plan {
	struct core		*core;
	const struct change	*change;
	size_t			 n;
	size_t			*group;		/* of each change: the first of its group, through others */
	size_t			*by_path;	/* changes sorted by path */
	struct key		*key;
	size_t			 keys;
	bool			*keyed, *blocked;	/* by group: is of a set; by change: has to wait */
	const char		*beside;	/* the path asked for last by change_above(), and its answer: most of the next ones stand beside it */
	size_t			 above;
	struct arena		*arena;
};

static size_t
group_of(struct plan *p, size_t i)
{
	while (p->group[i] != i)
		i = p->group[i] = p->group[p->group[i]];
	return i;
}

static void
join(struct plan *p, size_t a, size_t b)
{
	a = group_of(p, a);
	b = group_of(p, b);
	if (a < b)
		p->group[b] = a;
	else
		p->group[a] = b;
}

/* ---------------------------------------------------------------- by path */

static const struct change *sorting;	/* sort_rows() has no argument for it */

static int
by_path(const void *left, const void *right)
{
	return entry_path_order(sorting[*(const size_t *)left].path, sorting[*(const size_t *)right].path);
}

static size_t
place_of(const struct plan *p, const char *path)
{
	size_t low = 0, high = p->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (entry_path_order(p->change[p->by_path[middle]].path, path) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The change at path, or p->n. */
static size_t
change_at(const struct plan *p, const char *path)
{
	size_t at = place_of(p, path);

	return at < p->n && strcmp(p->change[p->by_path[at]].path, path) == 0 ? p->by_path[at] : p->n;
}

/* The change at the directory that path stands in, or p->n. */
static size_t
change_above(struct plan *p, const char *path)
{
	char above[ENTRY_PATH_MAX + 1];
	size_t len = entry_path_parent(path);

	if (p->beside == NULL || entry_path_parent(p->beside) != len || memcmp(p->beside, path, len) != 0) {
		memcpy(above, path, len);
		above[len] = '\0';
		p->above = change_at(p, above);
		p->beside = path;
	}
	return p->above;
}

static bool
makes_directory(const struct change *c)
{
	return c->to != NULL && c->to->type == ENTRY_DIRECTORY && (c->was == NULL || c->was->type != ENTRY_DIRECTORY);
}

static bool
ends_directory(const struct change *c)
{
	return c->was != NULL && c->was->type == ENTRY_DIRECTORY && (c->to == NULL || c->to->type != ENTRY_DIRECTORY);
}

/* ---------------------------------------------------------------- groups */

static void
add_key(struct plan *p, const char *path, size_t change)
{
	char text[SET_KEY_MAX + 16];
	struct set_id id;

	set_of(p->core->o.sets, path, &id);
	if (id.kind == SET_SINGLE)
		return;
	snprintf(text, sizeof text, "%d %s", (int)id.kind, id.key);
	p->key[p->keys++] = (struct key){ arena_text(p->arena, text), change };
}

static int
by_key(const void *left, const void *right)
{
	return strcmp(((const struct key *)left)->text, ((const struct key *)right)->text);
}

static void
join_sets(struct plan *p)
{
	for (size_t i = 0; i < p->n; i++) {
		if (!core_only_time(&p->change[i]))
			add_key(p, p->change[i].path, i);
		if (p->change[i].kind == CHANGE_RENAME)
			add_key(p, p->change[i].from, i);
	}
	if (p->keys > 1)
		qsort(p->key, p->keys, sizeof *p->key, by_key);
	for (size_t i = 1; i < p->keys; i++) {
		if (strcmp(p->key[i - 1].text, p->key[i].text) == 0)
			join(p, p->key[i - 1].change, p->key[i].change);
	}
}

static void
join_inseparable(struct plan *p)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct change *c = &p->change[i];
		size_t other = c->kind == CHANGE_HARD ? change_at(p, c->from) : p->n;

		if (other < p->n)
			join(p, i, other);
		if (!ends_directory(c) || c->to == NULL)
			continue;
		for (size_t at = place_of(p, c->path); at < p->n && entry_path_within(p->change[p->by_path[at]].path, c->path); at++)
			join(p, i, p->by_path[at]);
		for (size_t k = 0; k < p->n; k++) {
			if (p->change[k].kind == CHANGE_RENAME && entry_path_within(p->change[k].from, c->path))
				join(p, i, k);
		}
	}
}

/* ---------------------------------------------------------------- what has to wait */

/* j, which has to be done before change i, is done in the same job. */
static bool
along(struct plan *p, size_t i, size_t j)
{
	size_t a = group_of(p, i), b = group_of(p, j);

	return a == b || (!p->keyed[a] && !p->keyed[b] && !p->blocked[j]);
}

static bool
has_to_wait(struct plan *p, size_t i)
{
	const struct change *c = &p->change[i];
	size_t j = change_above(p, c->path);

	if (j < p->n && makes_directory(&p->change[j]) && !along(p, i, j))
		return true;
	if (c->kind != CHANGE_REMOVE || !ends_directory(c))
		return false;
	for (size_t at = place_of(p, c->path); at < p->n && entry_path_within(p->change[p->by_path[at]].path, c->path); at++) {
		if (!along(p, i, p->by_path[at]))
			return true;
	}
	for (size_t k = 0; k < p->n; k++) {
		if (p->change[k].kind == CHANGE_RENAME && entry_path_within(p->change[k].from, c->path) && !along(p, i, k))
			return true;
	}
	return false;
}

/* A group waits as a whole; the single files are one group but for this. */
static void
find_blocked(struct plan *p)
{
	bool more;

	do {
		more = false;
		for (size_t i = 0; i < p->n; i++) {
			size_t first = group_of(p, i);

			if (p->blocked[i])
				continue;
			if (p->blocked[first] || has_to_wait(p, i)) {
				p->blocked[i] = p->blocked[first] = true;
				more = true;
			}
		}
	} while (more);
}

/* Another job is at work on the same set. */
static bool
set_busy(const struct plan *p, const char *path)
{
	struct set_id id;

	set_of(p->core->o.sets, path, &id);
	for (const struct job *j = p->core->job; j != NULL && id.kind != SET_SINGLE; j = j->next) {
		for (size_t i = 0; i < j->sets; i++) {
			if (set_same(&j->set[i], &id))
				return true;
		}
	}
	return false;
}

static void
wait_at(struct plan *p, const char *path, struct row_list *later)
{
	struct row *r = tree_find(&p->core->tree, path, strlen(path));

	if (r == NULL || r->ext == NULL)
		return;
	row_state(p->core, r, ROW_WAITS, CONFLICT_COUNT);
	list_add(later, r);
}

static void
wait(struct plan *p, size_t i, struct row_list *later)
{
	wait_at(p, p->change[i].path, later);
	if (p->change[i].kind == CHANGE_RENAME)
		wait_at(p, p->change[i].from, later);
}

/* ---------------------------------------------------------------- the whole */

static void
start_sets(struct plan *p, const struct change **list, struct row_list *later)
{
	for (size_t g = 0; g < p->n; g++) {
		bool busy = false;
		size_t n = 0;

		if (group_of(p, g) != g || !p->keyed[g])
			continue;
		for (size_t i = g; i < p->n; i++) {
			if (group_of(p, i) == g) {
				list[n++] = &p->change[i];
				busy = busy || set_busy(p, p->change[i].path);
			}
		}
		if (!p->blocked[g] && !busy && p->core->jobs < p->core->o.limits.jobs) {
			core_job_new(p->core, list, n, false, 0);
			continue;
		}
		for (size_t i = 0; i < n; i++)
			wait(p, (size_t)(list[i] - p->change), later);
	}
}

/* What is new, and was no more than that. */
static bool
is_new(const struct change *c)
{
	return c->was == NULL && (c->kind == CHANGE_DIRECTORY || c->kind == CHANGE_FILE || c->kind == CHANGE_LINK);
}

/*
 * Which installation each change goes in that goes at once: what is new by path, so that a directory is there before what is in it; all else,
 * with what is inseparable from it or stands below it, in the last one. How many, but for the last one. What fits in one is not divided: bytes
 * that are here at a path that changes too need not come then.
 */
static uint32_t
find_parts(struct plan *p, uint32_t *part)
{
	const struct core_limits *most = &p->core->o.limits;
	size_t changes = most->part_changes;
	const char *other = NULL;
	uint64_t bytes = 0;
	uint32_t parts = 0;

	for (size_t i = 0; i < p->n; i++)
		part[group_of(p, i)]++;		/* of the first of a group, until it is judged: how many they are */
	for (size_t i = 0; i < p->n; i++)
		part[i] = part[group_of(p, i)] == 1 && is_new(&p->change[i]) ? 0 : PART_LAST;
	for (size_t at = 0; at < p->n; at++) {
		size_t i = p->by_path[at];
		const struct change *c = &p->change[i];

		if (p->keyed[group_of(p, i)] || p->blocked[i])
			continue;
		if (part[i] == PART_LAST || (other != NULL && entry_path_within(c->path, other))) {
			part[i] = PART_LAST;
			other = other != NULL && entry_path_within(c->path, other) ? other : c->path;
			continue;
		}
		if (changes == most->part_changes || bytes >= most->part_bytes) {
			parts++;
			changes = 0;
			bytes = 0;
		}
		part[i] = parts - 1;
		changes++;
		bytes += c->kind == CHANGE_FILE && c->from == NULL ? c->to->size : 0;
	}
	for (size_t i = 0; i < p->n && parts == 1; i++)
		part[i] = PART_LAST;
	return parts == 1 ? 0 : parts;
}

static void
start_singles(struct plan *p, const struct change **list, struct row_list *later)
{
	uint32_t *part = need(calloc(p->n + 1, sizeof *part)), parts = find_parts(p, part);
	uint64_t last = 0;

	for (uint32_t k = 0; k <= parts; k++) {
		uint32_t which = k < parts ? k : PART_LAST;
		size_t n = 0;

		for (size_t i = 0; i < p->n; i++) {
			if (part[i] == which && !p->keyed[group_of(p, i)] && !p->blocked[i])
				list[n++] = &p->change[i];
		}
		if (n > 0)
			last = core_job_new(p->core, list, n, true, last);
	}
	for (size_t i = 0; i < p->n; i++) {
		if (p->blocked[i] && !p->keyed[group_of(p, i)])
			wait(p, i, later);
	}
	free(part);
}

static void
start(struct plan *p, struct row_list *later)
{
	const struct change **list = need(calloc(p->n + 1, sizeof *list));
	size_t jobs = p->core->jobs;

	start_singles(p, list, later);
	start_sets(p, list, later);
	if (p->core->jobs == jobs && jobs == 0) {	/* each waits for another one: then all at once */
		for (size_t i = 0; i < p->n; i++)
			list[i] = &p->change[i];
		core_job_new(p->core, list, p->n, false, 0);
	}
	free(list);
}

void
core_plan(struct core *c, const struct diff *d, struct row_list *later)
{
	struct plan p = { .core = c, .change = d->change, .n = d->changes };

	if (p.n == 0)
		return;
	p.arena = arena_new();
	p.group = need(calloc(p.n, sizeof *p.group));
	p.by_path = need(calloc(p.n, sizeof *p.by_path));
	p.key = need(calloc(2 * p.n, sizeof *p.key));
	p.keyed = need(calloc(p.n, sizeof *p.keyed));
	p.blocked = need(calloc(p.n, sizeof *p.blocked));
	for (size_t i = 0; i < p.n; i++)
		p.group[i] = p.by_path[i] = i;
	sorting = p.change;
	sort_rows(p.by_path, p.n, sizeof *p.by_path, by_path);
	join_sets(&p);
	join_inseparable(&p);
	for (size_t i = 0; i < p.keys; i++)
		p.keyed[group_of(&p, p.key[i].change)] = true;
	find_blocked(&p);
	start(&p, later);
	free(p.group);
	free(p.by_path);
	free(p.key);
	free(p.keyed);
	free(p.blocked);
	arena_free(p.arena);
}
