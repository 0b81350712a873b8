/*
 * configsync/cdb.c - a header of 256 places and lengths of hash tables, the records, the tables. Pure.
 */
#include "configsync/cdb.h"

#define TABLES 256u
#define PAIR 8u			/* two numbers: a table's place and length, a record's two lengths, a hash and a record's place */
#define HEADER ((size_t)TABLES * PAIR)

static uint32_t
number(const uint8_t *at)
{
	return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* How many places are taken in all tables; each leads to what may be a record. */
static bool
count_places(const uint8_t *cdb, size_t len, size_t end, uint64_t *ret, struct err *err)
{
	*ret = 0;
	for (size_t i = 0; i < TABLES; i++) {
		size_t at = number(cdb + i * PAIR), slots = number(cdb + i * PAIR + 4);

		if (slots > 0 && (at < end || at > len || slots > (len - at) / PAIR))
			return err_set(err, 0, "its hash table %zu is at %zu with %zu places, and the file has %zu bytes", i, at, slots, len);
		for (size_t k = 0; k < slots; k++) {
			size_t place = number(cdb + at + k * PAIR + 4);

			if (place == 0)
				continue;
			if (place < HEADER || place >= end)
				return err_set(err, 0, "its hash table %zu leads to %zu; right is a place from %zu to %zu", i, place, HEADER, end);
			(*ret)++;
		}
	}
	return true;
}

bool
cdb_each(const void *bytes, size_t len, cdb_row_f *row, void *arg, struct err *err)
{
	const uint8_t *cdb = bytes;
	uint64_t places, records = 0;
	size_t end;

	if (len < HEADER)
		return err_set(err, 0, "it has %zu bytes; a cdb has at least %zu", len, HEADER);
	end = number(cdb);		/* the first table follows the last record */
	if (end < HEADER || end > len)
		return err_set(err, 0, "its records end at %zu; right is a place from %zu to %zu", end, HEADER, len);
	if (!count_places(cdb, len, end, &places, err))
		return false;
	for (size_t at = HEADER; at < end; records++) {
		size_t key, data, left = end - at;

		if (left < PAIR || (key = number(cdb + at)) > left - PAIR || (data = number(cdb + at + 4)) > left - PAIR - key)
			return err_set(err, 0, "the record at %zu leads beyond the last one's end, %zu", at, end);
		row(arg, cdb + at + PAIR, key, cdb + at + PAIR + key, data);
		at += PAIR + key + data;
	}
	return records == places || err_set(err, 0, "it has %ju records, and %ju places in its hash tables", (uintmax_t)records, (uintmax_t)places);
}
