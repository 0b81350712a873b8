/*
 * queuesync/read.h - reads the files that the check asks for: in the order of their inodes, a few side by side, what
 * they hold told to the check by the caller's thread. Blocks.
 */
#ifndef QUEUESYNC_READ_H
#define QUEUESYNC_READ_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "queuesync/check.h"

#define READ_THREADS 4

struct read_options {
	unsigned int	threads;	/* beside the caller */
	uint64_t	until_us;	/* monotonic; 0: no end. Files not begun by then are not read */
	uint32_t	per_second;	/* most files a second, with idle priority; 0: as fast as it goes */
};

struct read_seen {
	uint64_t files;		/* read */
	uint64_t vanished;	/* gone, or another file by now */
	bool	 cut;		/* the time was over */
};

/* Until the check asks for no more. False: the queue's root cannot be opened. */
bool	read_asked(const struct rules *, const struct queue_layout *, struct check *, const struct read_options *,
	    struct read_seen *ret, struct err *);

#endif
