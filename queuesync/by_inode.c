/*
 * queuesync/by_inode.c - sorting bit by bit from the highest, in place: qsort(3) takes as much memory again, and
 * three times as long. Pure.
 */
#include "queuesync/by_inode.h"

#include <stdlib.h>

#define FEW 24

static bool
before(const struct by_inode *a, const struct by_inode *b)
{
	if (a->ino != b->ino)
		return a->ino < b->ino;
	if (a->place != b->place)
		return a->place < b->place;
	return a->ref < b->ref;
}

static int
order(const void *left, const void *right)
{
	return before(left, right) ? -1 : before(right, left);
}

static void
sort_few(struct by_inode *at, size_t len)
{
	for (size_t i = 1; i < len; i++) {
		struct by_inode mine = at[i];
		size_t k = i;

		for (; k > 0 && before(&mine, &at[k - 1]); k--)
			at[k] = at[k - 1];
		at[k] = mine;
	}
}

static void
sort(struct by_inode *at, size_t len, unsigned int bit)
{
	uint64_t mask = UINT64_C(1) << bit;
	size_t low = 0, high = len;

	if (len <= FEW) {
		sort_few(at, len);
		return;
	}
	while (low < high) {
		if ((at[low].ino & mask) == 0) {
			low++;
		} else {
			struct by_inode other = at[--high];

			at[high] = at[low];
			at[low] = other;
		}
	}
	if (bit == 0) {
		/* Many names of one inode: a hard link, or a hostile tree. */
		qsort(at, low, sizeof *at, order);
		qsort(at + low, len - low, sizeof *at, order);
		return;
	}
	sort(at, low, bit - 1);
	sort(at + low, len - low, bit - 1);
}

void
by_inode_sort(struct by_inode *at, size_t len)
{
	uint64_t all = 0, none = UINT64_MAX;

	for (size_t i = 0; i < len; i++) {
		all |= at[i].ino;
		none &= at[i].ino;
	}
	if (len > 1)
		sort(at, len, (all & ~none) == 0 ? 0 : 63 - (unsigned int)__builtin_clzll(all & ~none));
}
