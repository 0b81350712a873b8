/*
 * queuesync/table.c - rows in blocks that stay where they are, found by an index of row numbers with open
 * addressing. Pure.
 *
 * Only the index grows by doubling: a table of rows that doubles would need three times its size just then.
 */
#include "queuesync/table.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/need.h"

#define BLOCK_BITS 12
#define BLOCK_ROWS (1u << BLOCK_BITS)
#define INDEX_LEAST 64u

struct table {
	struct table_row	**block;
	uint32_t		 *index;	/* row number + 1; 0: free */
	uint32_t		  len, mask;
	uint32_t		  blocks_room;
	uint32_t		  last;		/* row that was made last: a file asks for it several times */
	uint64_t		  seed;
};

__extension__ typedef unsigned __int128 wide;

static uint64_t
mix(uint64_t a, uint64_t b)
{
	wide product = (wide)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Two multiplications of 128 bits; the constants only have to be odd and without a pattern. */
static uint32_t
slot_of(const struct table *t, struct queue_key key)
{
	uint64_t h = mix(key.lo ^ t->seed, key.hi ^ 0x9e6c63d0676a9a99u);

	return (uint32_t)mix(h ^ 0xd1b54a32d192ed03u, key.lo + (t->seed | 1)) & t->mask;
}

struct table *
table_new(uint64_t seed)
{
	struct table *t = need(calloc(1, sizeof *t));

	t->seed = seed;
	t->mask = INDEX_LEAST - 1;
	t->index = need(calloc(INDEX_LEAST, sizeof *t->index));
	return t;
}

void
table_free(struct table *t)
{
	for (uint32_t i = 0; i * BLOCK_ROWS < t->len; i++)
		free(t->block[i]);
	free(t->block);
	free(t->index);
	free(t);
}

struct table_row *
table_row(const struct table *t, uint32_t number)
{
	assert(number < t->len);
	return &t->block[number >> BLOCK_BITS][number & (BLOCK_ROWS - 1)];
}

uint32_t
table_len(const struct table *t)
{
	return t->len;
}

size_t
table_bytes(const struct table *t)
{
	size_t blocks = (t->len + (size_t)BLOCK_ROWS - 1) / BLOCK_ROWS;

	return sizeof *t + ((size_t)t->mask + 1) * sizeof *t->index + t->blocks_room * sizeof *t->block +
	    blocks * BLOCK_ROWS * sizeof **t->block;
}

/* The key's slot: where it is, or the free one where it would be. */
static uint32_t
probe(const struct table *t, struct queue_key key)
{
	uint32_t slot = slot_of(t, key);

	for (; t->index[slot] != 0; slot = (slot + 1) & t->mask) {
		const struct table_row *row = table_row(t, t->index[slot] - 1);

		if (row->key.lo == key.lo && row->key.hi == key.hi)
			break;
	}
	return slot;
}

static bool
is_last(const struct table *t, struct queue_key key)
{
	const struct table_row *row;

	if (t->last >= t->len)
		return false;
	row = table_row(t, t->last);
	return row->key.lo == key.lo && row->key.hi == key.hi;
}

uint32_t
table_find(const struct table *t, struct queue_key key)
{
	if (is_last(t, key))
		return t->last;
	return t->index[probe(t, key)] - 1;	/* a free slot is 0, and so TABLE_NONE */
}

static void
index_grow(struct table *t)
{
	uint32_t size = 2 * (t->mask + 1);

	assert(size > t->mask);
	free(t->index);
	t->index = need(calloc(size, sizeof *t->index));
	t->mask = size - 1;
	for (uint32_t i = 0; i < t->len; i++) {
		uint32_t slot = slot_of(t, table_row(t, i)->key);

		/* All keys differ: only a free slot is looked for. */
		while (t->index[slot] != 0)
			slot = (slot + 1) & t->mask;
		t->index[slot] = i + 1;
	}
}

static void
block_add(struct table *t)
{
	uint32_t n = t->len >> BLOCK_BITS;

	if (n == t->blocks_room) {
		t->blocks_room = n == 0 ? 16 : 2 * n;
		t->block = need(reallocarray(t->block, t->blocks_room, sizeof *t->block));
	}
	t->block[n] = need(malloc(BLOCK_ROWS * sizeof **t->block));
}

uint32_t
table_make(struct table *t, struct queue_key key)
{
	uint32_t slot;

	if (is_last(t, key))
		return t->last;
	slot = probe(t, key);
	if (t->index[slot] != 0)
		return t->last = t->index[slot] - 1;
	assert(t->len < TABLE_NONE - 1);
	if (t->len >= (t->mask + 1) / 8 * 5) {		/* fuller, a key is looked for in many rows */
		index_grow(t);
		slot = probe(t, key);
	}
	if ((t->len & (BLOCK_ROWS - 1)) == 0)
		block_add(t);
	t->index[slot] = ++t->len;
	*table_row(t, t->len - 1) = (struct table_row){ .key = key };
	return t->last = t->len - 1;
}
