/*
 * queuesync/table.h - the messages of a queue: a key of 128 bits, and 64 bits about it. Rows never move, so
 * that a row's number can stand for its key. 24 bytes a row, and 4.6 to 9.1 bytes of index. Pure.
 */
#ifndef QUEUESYNC_TABLE_H
#define QUEUESYNC_TABLE_H

#include <stddef.h>
#include <stdint.h>

/* A message's id without loss of anything in it; {0, 0} is none. */
struct queue_key { uint64_t hi, lo; };

struct table_row {
	struct queue_key key;
	uint32_t	 parts, more;
};

#define TABLE_NONE UINT32_MAX

struct table;
/* The seed must not be known to whoever chooses the names: a few of equal hash make every search long. */
struct table *table_new(uint64_t seed);
void	table_free(struct table *);

uint32_t table_find(const struct table *, struct queue_key);	/* its number, or TABLE_NONE */
uint32_t table_make(struct table *, struct queue_key);		/* the same; a new row is zero but for the key */
struct table_row *table_row(const struct table *, uint32_t number);
uint32_t table_len(const struct table *);			/* rows are 0 .. len-1 */
size_t	table_bytes(const struct table *);			/* of memory, in all */

#endif
