/*
 * configsync/pool.c - blocks, filled from the front, and a list of free places for each size. Pure.
 */
#include "configsync/pool.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>

#include "configsync/arena.h"

#define BLOCK ((128u << 10) - 64u)	/* and malloc's own words */
#define STEP alignof(uint64_t)		/* sizes are rounded up to it */

struct place { struct place *next; };
struct block { struct block *next; alignas(max_align_t) uint8_t bytes[]; };

struct pool {
	struct block	*block;
	size_t		 used;			/* of the first one */
	struct place	*place[POOL_LARGE / STEP + 1];	/* free ones, by size */
};

struct pool *
pool_new(void)
{
	return need(calloc(1, sizeof(struct pool)));
}

void
pool_free(struct pool *p)
{
	if (p == NULL)
		return;
	for (struct block *b = p->block, *next; b != NULL; b = next) {
		next = b->next;
		free(b);
	}
	free(p);
}

void *
pool_take(struct pool *p, size_t size)
{
	size_t n = (size + STEP - 1) / STEP;
	struct place *free_one;

	if (size >= POOL_LARGE)
		return need(malloc(size));
	if ((free_one = p->place[n]) != NULL) {
		p->place[n] = free_one->next;
		return free_one;
	}
	if (p->block == NULL || BLOCK - sizeof(struct block) - p->used < n * STEP) {
		struct block *b = need(malloc(BLOCK));

		b->next = p->block;
		p->block = b;
		p->used = 0;
	}
	p->used += n * STEP;
	return p->block->bytes + p->used - n * STEP;
}

void
pool_give(struct pool *p, void *memory, size_t size)
{
	struct place *free_one = memory;
	size_t n = (size + STEP - 1) / STEP;

	if (memory == NULL)
		return;
	if (size >= POOL_LARGE) {
		free(memory);
		return;
	}
	free_one->next = p->place[n];
	p->place[n] = free_one;
}
