/*
 * configsync/watch_pending.c - a sorted list of paths, of which the last is taken first. Pure.
 */
#include "configsync/watch_pending.h"

#include <stdlib.h>
#include <string.h>

#include "configsync/arena.h"

struct row { char *path; bool below; };

struct watch_pending {
	struct row	*at;		/* sorted by entry_path_order(); nothing stands below a row with "below" */
	size_t		 len, room, most;
};

struct watch_pending *
watch_pending_new(size_t most)
{
	struct watch_pending *p = need(calloc(1, sizeof *p));

	p->most = most;
	return p;
}

void
watch_pending_free(struct watch_pending *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->len; i++)
		free(p->at[i].path);
	free(p->at);
	free(p);
}

size_t
watch_pending_len(const struct watch_pending *p)
{
	return p->len;
}

/* Where path stands, or would. */
static size_t
place(const struct watch_pending *p, const char *path)
{
	size_t low = 0, high = p->len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (entry_path_order(p->at[middle].path, path) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool
within(const char *path, const char *dir)
{
	return *dir == '\0' || entry_path_within(path, dir);
}

/* Is path below a row with "below"? */
static bool
covered(const struct watch_pending *p, const char *path)
{
	char above[ENTRY_PATH_MAX + 1];
	size_t len = strlen(path), i;

	memcpy(above, path, len + 1);
	while (len > 0) {
		above[len = entry_path_parent(above)] = '\0';
		i = place(p, above);
		if (i < p->len && p->at[i].below && strcmp(p->at[i].path, above) == 0)
			return true;
	}
	return false;
}

static void
insert(struct watch_pending *p, size_t i, const char *path, bool below)
{
	if (p->len == p->room) {
		p->room = p->room == 0 ? 64 : 2 * p->room;
		p->at = need(reallocarray(p->at, p->room, sizeof *p->at));
	}
	memmove(&p->at[i + 1], &p->at[i], (p->len - i) * sizeof *p->at);
	p->at[i] = (struct row){ need(strdup(path)), below };
	p->len++;
}

static void
add(struct watch_pending *p, const char *path, bool below)
{
	size_t i, end;

	if (covered(p, path))
		return;
	i = place(p, path);
	if (i == p->len || strcmp(p->at[i].path, path) != 0)
		insert(p, i, path, below);
	if (!below)
		return;
	p->at[i].below = true;
	for (end = i + 1; end < p->len && within(p->at[end].path, path); end++)
		free(p->at[end].path);
	memmove(&p->at[i + 1], &p->at[end], (p->len - end) * sizeof *p->at);
	p->len -= end - i - 1;
}

/* Each path gives way to its directory, until half of the room is free. */
static void
coarsen(struct watch_pending *p)
{
	while (p->len > p->most / 2 && !(p->len == 1 && p->at[0].path[0] == '\0')) {
		struct watch_pending coarse = { .most = p->most };

		for (size_t i = 0; i < p->len; i++) {
			p->at[i].path[entry_path_parent(p->at[i].path)] = '\0';
			add(&coarse, p->at[i].path, true);
			free(p->at[i].path);
		}
		free(p->at);
		*p = coarse;
	}
}

void
watch_pending_add(struct watch_pending *p, const char *path, bool below)
{
	if (strlen(path) > ENTRY_PATH_MAX)
		return;
	add(p, path, below);
	if (p->len > p->most)
		coarsen(p);
}

bool
watch_pending_take(struct watch_pending *p, char ret_path[ENTRY_PATH_MAX + 1], bool *ret_below)
{
	struct row *r;

	if (p->len == 0)
		return false;
	r = &p->at[--p->len];
	memcpy(ret_path, r->path, strlen(r->path) + 1);
	*ret_below = r->below;
	free(r->path);
	return true;
}
