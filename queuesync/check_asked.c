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
		c->ask = need(reallocarray(c->ask, c->ask_room, sizeof *c->ask));
	}
	c->ask[c->asks++] = (struct by_inode){ .ino = file->ino, .ref = ref, .place = file->place,
	    .bit = bit == 0 ? 0 : (uint8_t)__builtin_ctz(bit), .odd = odd };
}

/* Is this the path of place, sub and name? Not by putting that together: this is done for every file. */
static bool
is_path(const char *path, const char *place, const char *sub, const char *name)
{
	const char *part[] = { place, sub, name };

	for (size_t i = 0; i < 3; i++) {
		size_t len = strlen(part[i]);

		if (len == 0)
			continue;
		if (strncmp(path, part[i], len) != 0)
			return false;
		path += len;
		if (i < 2 && *path++ != '/')
			return false;
	}
	return *path == '\0';
}

void
check_ask_read(struct check *c, const struct queue_file *file, struct queue_key key, uint32_t bit)
{
	uint32_t number = bit != 0 && c->rules->path != NULL ? table_find(c->table, key) : TABLE_NONE;
	char path[512];

	if (number != TABLE_NONE && c->rules->path(c->layout, key, bit, path) != NULL &&
	    is_path(path, c->layout->place[file->place].path, file->sub, file->name))
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

/* ---------------------------------------------------------------- rounds */

/* What was asked for since the last round becomes the next one. */
static bool
round_begin(struct check *c)
{
	by_inode_sort(c->ask, c->asks);
	c->ask_end = c->asks;
	for (c->ask_unknown = 0; c->ask_unknown < c->asks && c->ask[c->ask_unknown].ino == 0; c->ask_unknown++)
		continue;
	c->ask_path[c->ask_turn][0] = '\0';
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

/* From the path below the root to place, sub and name. */
static void
split_path(struct check *c, const struct by_inode *ask, const char *path, struct queue_file *ret)
{
	size_t skip = strlen(c->layout->place[ask->place].path);
	const char *rest = path + skip + (skip > 0), *slash = strrchr(rest, '/');

	*ret = (struct queue_file){ .place = ask->place, .sub = "", .name = rest, .ino = ask->ino };
	if (slash != NULL) {
		ret->sub = memcpy(c->ask_sub, rest, (size_t)(slash - rest));
		c->ask_sub[slash - rest] = '\0';
		ret->name = slash + 1;
	}
}

/* Was it asked for in this round without its inode, too, and so read already? */
static bool
was_unknown(const struct check *c, const struct by_inode *ask)
{
	size_t low = 0, high = ask->ino == 0 || ask->odd ? 0 : c->ask_unknown;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct by_inode *at = &c->ask[mid];

		if (at->place < ask->place || (at->place == ask->place && at->ref < ask->ref))
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < c->ask_unknown && c->ask[low].place == ask->place && c->ask[low].ref == ask->ref; low++)
		if (ask->ino != 0 && !ask->odd && !c->ask[low].odd && c->ask[low].bit == ask->bit)
			return true;
	return false;
}

/* False: a file that was asked for twice and came before. */
static bool
fill(struct check *c, const struct by_inode *ask, struct check_asked *ret)
{
	const char *was = c->ask_path[c->ask_turn];
	char *path = c->ask_path[c->ask_turn ^ 1];

	if (was_unknown(c, ask))
		return false;
	if (ask->odd) {
		const struct odd *odd = c->odd[ask->ref];

		check_file_path(c, &odd->file, path, CHECK_PATH_MAX);
		ret->key = odd->key;
		ret->bit = odd->bit;
	} else {
		ret->key = table_row(c->table, ask->ref)->key;
		ret->bit = UINT32_C(1) << ask->bit;
		c->rules->path(c->layout, ret->key, ret->bit, path);
	}
	if (ask->ino == c->ask_was_ino && strcmp(path, was) == 0)
		return false;
	c->ask_turn ^= 1;
	c->ask_was_ino = ask->ino;
	ret->path = path;
	split_path(c, ask, path, &ret->file);
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
