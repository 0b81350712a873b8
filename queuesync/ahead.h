/*
 * queuesync/ahead.h - one large directory is read block by block, each after the other, and on a cold disk waits for each: a few threads that begin
 * further on in it bring its blocks into the cache. What they read is thrown away, so it does no harm where a file system's positions
 * are no such thing. ext4's are hashes, spread over all numbers. Runs beside the reader; blocks on the disk.
 */
#ifndef QUEUESYNC_AHEAD_H
#define QUEUESYNC_AHEAD_H

#include <sys/types.h>

struct ahead;
struct ahead *ahead_begin(int directory, off_t size);	/* size: of the directory; NULL: not worth it */
void	ahead_end(struct ahead *);			/* it has been read */

#endif
