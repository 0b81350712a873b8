/*
 * queuesync/batch_read.h - the beginnings of several open files, asked of the kernel at once: what lies side by side on a cold
 * disk then comes by one request instead of by one each (docs/adr/0011), and what is in memory is read without any. Where
 * io_uring(7) is not there, is forbidden, has no memory or may open few files, only what is in memory is read here, and whoever
 * wants the others reads them one by one. Blocks on the disk.
 */
#ifndef QUEUESYNC_BATCH_READ_H
#define QUEUESYNC_BATCH_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BATCH_FILES 64

/*
 * fd: of a regular file, -1: none; size: as fstat(2) says. Out: its first bytes, as many as one read of a queue_reader is, until
 * the next batch of the same reader; NULL: not read, for whatever reason. That is no error: to read it by itself tells.
 */
struct batch_file { int fd; uint64_t size; const char *head; size_t len; };

struct batch_pool;
struct batch_reader;		/* for one thread at a time */

struct batch_pool *batch_pool_new(void);
void	batch_pool_free(struct batch_pool *);	/* all readers were given back */
/* From any thread. NULL: there is none, now or ever; the others take that for a reader that reads nothing. Cheap. */
struct batch_reader *batch_reader_take(struct batch_pool *);
void	batch_reader_give(struct batch_pool *, struct batch_reader *);
/* How many of so many files to open for the next batch: one where nothing is read, or where the last ones were all in memory. */
unsigned int batch_len(const struct batch_reader *, unsigned int left);
/* At most BATCH_FILES. Where fewer than two are not in memory, they are not read: nothing lies beside them. */
void	batch_read(struct batch_reader *, struct batch_file *, unsigned int len);

/* For tests: as if the kernel had no io_uring. Does it? Known when a ring was first needed. */
void	batch_forbid(void);
bool	batch_forbidden(void);

#endif
