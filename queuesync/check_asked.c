/*
 * queuesync/check_asked.c - which files are to be read, in the order of their inodes: on a cold cache that is
 * several times faster than the order of the directory. Pure.
 *
 * A deep pass keeps 16 bytes a file: its inode and the row of its message; the path is made anew from the
 * row's key. What stands elsewhere than its key says is kept whole instead.
 */
#include "queuesync/check_priv.h"

#include <stdlib.h>
#include <string.h>

static void
ask_add(struct check *c, const struct queue_file *file, uint32_t ref, uint32_t bit, bool odd)
{
	if (c->asks == c->ask_room) {
		/* By a quarter: the list is long, and what was is copied by the kernel's tables only. */
		c->ask_room = c->ask_room < 1024 ? 1024 : c->ask_room + c->ask_room / 4;
		c->ask = check_need(reallocarray(c->ask, c->ask_room, sizeof *c->ask));
	}
	c->ask[c->asks++] = (struct ask){ .ino = file->ino, .ref = ref, .place = file->place,
	    .bit = bit == 0 ? 0 : (uint8_t)__builtin_ctz(bit), .odd = odd };
}

void
check_ask_read(struct check *c, const struct queue_file *file, struct queue_key key, uint32_t bit)
{
	char canonical[512], path[CHECK_PATH_MAX];
	uint32_t number = bit != 0 && c->rules->path != NULL ? table_find(c->table, key) : TABLE_NONE;

	if (number != TABLE_NONE && c->rules->path(c->layout, key, bit, canonical) != NULL &&
	    strcmp(canonical, check_file_path(c, file, path, sizeof path)) == 0)
		ask_add(c, file, number, bit, false);
	else if (check_odd(c, file, key, bit, NULL, WHY_ASKED) != NULL)
		ask_add(c, file, (uint32_t)c->odds - 1, bit, true);
	else
		c->ask_missed++;
}

void
check_ask(struct check *c, const struct queue_file *file, struct queue_key key, uint32_t bit)
{
	check_ask_read(c, file, key, bit);
}

/* ---------------------------------------------------------------- the order */

static int
order(const void *left, const void *right)
{
	const struct ask *a = left, *b = right;

	if (a->ino != b->ino)
		return a->ino < b->ino ? -1 : 1;
	if (a->place != b->place)
		return a->place < b->place ? -1 : 1;
	return a->ref < b->ref ? -1 : a->ref > b->ref;
}

/*
 * Bit by bit from the highest, in place: qsort(3) would take as much memory again, and this is faster. What has
 * equal inodes, or is short, is left to it.
 */
static void
sort(struct ask *at, size_t len, unsigned int bit)
{
	uint64_t mask = UINT64_C(1) << bit;
	size_t low = 0, high = len;

	if (len < 32) {
		qsort(at, len, sizeof *at, order);
		return;
	}
	while (low < high) {
		if ((at[low].ino & mask) == 0) {
			low++;
		} else {
			struct ask other = at[--high];

			at[high] = at[low];
			at[low] = other;
		}
	}
	if (bit == 0) {
		qsort(at, low, sizeof *at, order);
		qsort(at + low, len - low, sizeof *at, order);
		return;
	}
	sort(at, low, bit - 1);
	sort(at + low, len - low, bit - 1);
}

/* What was asked for since the last round becomes the next one. */
static bool
round_begin(struct check *c)
{
	uint64_t all = 0;

	for (size_t i = 0; i < c->asks; i++)
		all |= c->ask[i].ino;
	if (c->asks > 1)
		sort(c->ask, c->asks, all == 0 ? 0 : 63 - (unsigned int)__builtin_clzll(all));
	c->ask_end = c->asks;
	c->ask_was[0] = '\0';
	return c->asks > 0;
}

static void
round_end(struct check *c)
{
	c->asks -= c->ask_end;
	memmove(c->ask, c->ask + c->ask_end, c->asks * sizeof *c->ask);
	c->ask_next = c->ask_end = 0;
}

/* ---------------------------------------------------------------- one after another */

/* From the path below the root to place, sub and name; the strings are cut out of c->ask_path. */
static void
split_path(struct check *c, const struct ask *ask, struct queue_file *ret)
{
	size_t skip = strlen(c->layout->place[ask->place].path);
	char *rest = c->ask_path + skip + (skip > 0), *slash = strrchr(rest, '/');

	*ret = (struct queue_file){ .place = ask->place, .sub = "", .name = rest, .ino = ask->ino };
	if (slash != NULL) {
		*slash = '\0';
		ret->sub = rest;
		ret->name = slash + 1;
	}
}

/* False: the very file that came before, which was asked for twice. */
static bool
fill(struct check *c, const struct ask *ask, struct check_asked *ret)
{
	if (ask->odd) {
		const struct odd *odd = c->odd[ask->ref];

		check_file_path(c, &odd->file, c->ask_path, sizeof c->ask_path);
		ret->key = odd->key;
		ret->bit = odd->bit;
	} else {
		ret->key = table_row(c->table, ask->ref)->key;
		ret->bit = UINT32_C(1) << ask->bit;
		c->rules->path(c->layout, ret->key, ret->bit, c->ask_path);
	}
	if (ask->ino == c->ask_was_ino && strcmp(c->ask_path, c->ask_was) == 0)
		return false;
	memcpy(c->ask_was, c->ask_path, strlen(c->ask_path) + 1);
	c->ask_was_ino = ask->ino;
	split_path(c, ask, &ret->file);
	return true;
}

bool
check_asked(struct check *c, struct check_asked *ret)
{
	if (c->ask_next == 0 && !round_begin(c))
		return false;
	while (c->ask_next < c->ask_end)
		if (fill(c, &c->ask[c->ask_next++], ret))
			return true;
	round_end(c);
	return false;
}
