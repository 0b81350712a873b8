/*
 * tests/unit/cdb_made.h - a cdb made of rows, by the format's description and by no code that reads one.
 */
#ifndef TESTS_UNIT_CDB_MADE_H
#define TESTS_UNIT_CDB_MADE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cdb_made { uint8_t at[8192]; size_t len, rows; struct { uint32_t hash, place; } row[64]; };

static inline void
cdb_number(uint8_t *at, size_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

static inline void
cdb_add(struct cdb_made *c, const void *key, size_t key_len, const void *data, size_t data_len)
{
	uint32_t hash = 5381;

	if (c->len == 0)
		c->len = 2048;
	for (size_t i = 0; i < key_len; i++)
		hash = (hash * 33) ^ ((const uint8_t *)key)[i];
	c->row[c->rows].hash = hash;
	c->row[c->rows++].place = (uint32_t)c->len;
	cdb_number(c->at + c->len, key_len);
	cdb_number(c->at + c->len + 4, data_len);
	memcpy(c->at + c->len + 8, key, key_len);
	memcpy(c->at + c->len + 8 + key_len, data, data_len);
	c->len += 8 + key_len + data_len;
}

/* Twice as many places as rows in each table, so that some are free. */
static inline void
cdb_finish(struct cdb_made *c)
{
	if (c->len == 0)
		c->len = 2048;
	for (size_t table = 0; table < 256; table++) {
		size_t slots = 0;

		for (size_t i = 0; i < c->rows; i++)
			slots += 2 * (c->row[i].hash % 256 == table);
		cdb_number(c->at + 8 * table, c->len);
		cdb_number(c->at + 8 * table + 4, slots);
		for (size_t i = 0; i < c->rows; i++) {
			size_t slot;

			if (c->row[i].hash % 256 != table)
				continue;
			slot = c->row[i].hash / 256 % slots;
			while (memcmp(c->at + c->len + 8 * slot + 4, "\0\0\0\0", 4) != 0)
				slot = (slot + 1) % slots;
			cdb_number(c->at + c->len + 8 * slot, c->row[i].hash);
			cdb_number(c->at + c->len + 8 * slot + 4, c->row[i].place);
		}
		c->len += 8 * slots;
	}
}

#endif
