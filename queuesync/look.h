/*
 * queuesync/look.h - one look at a queue: scan, read what is asked for, findings. Where somebody works on the queue
 * meanwhile there is a second look, and only what both have seen counts. Blocks.
 */
#ifndef QUEUESYNC_LOOK_H
#define QUEUESYNC_LOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "queuesync/finding.h"
#include "queuesync/target.h"

struct look_options {
	bool		deep;
	bool		mending;	/* it is followed by a repair, and by another look */
	uint32_t	per_second;	/* most files read a second; 0: as fast as it goes */
	uint32_t	limit_ms;	/* for reading; 0: none */
	bool		at_rest;	/* nobody works on it: what is right by the inode tables of its file system (known.h) need not be asked about */
	uint32_t	names_ms;	/* where nothing is known so and all names are right, files are asked about so long at most; 0: all */
};

struct look {
	struct findings	findings;	/* the caller frees them */
	uint64_t	messages, files, took_ms;
	bool		live, cut;
};

/* False: the queue cannot be looked at. */
bool	look_at(const struct target *, const struct look_options *, struct look *ret, struct err *);

/* A check of a deep kind up to its joint, of which nothing was read: for list_messages(). NULL with *err. */
struct check *look_for_list(const struct target *, struct err *);

#endif
