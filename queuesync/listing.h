/*
 * queuesync/listing.h - the entries of one open directory, as getdents64(2) gives them. Of a large directory a thread of its own reads
 * on while the caller works on what came before: the kernel's share of a listing is as much processor time as the caller's.
 * Blocks on the disk.
 */
#ifndef QUEUESYNC_LISTING_H
#define QUEUESYNC_LISTING_H

#include <stdint.h>
#include <sys/types.h>

/* As the kernel writes it; reclen bytes further on stands the next one. */
struct listing_entry {
	uint64_t	ino;
	int64_t		off;
	uint16_t	reclen;
	uint8_t		type;		/* DT_REG, ... */
	char		name[];
};

#define LISTING_BYTES (256u << 10)

struct listing;

/*
 * Of an open directory of so many bytes, from where it stands; it stays the caller's. own: LISTING_BYTES, aligned as malloc() does, for
 * small ones, that only one listing uses at a time.
 */
struct listing *listing_begin(int directory, off_t size, char *own);
/* How many bytes of entries are at *ret, until the next call. 0: that was all; -1: errno. */
ssize_t	listing_next(struct listing *, const char **ret);
void	listing_end(struct listing *);		/* at any time */

#endif
