/*
 * configsync/awake.h - who is awake when an edit comes. Four processes are between an edit and the other node's disk, each sleeps, and most of the way would be their
 * waking up, one after the other: so they are told before the news are there. Pure: times in, decisions out. All times in microseconds of one clock.
 *
 * The other node is told (WIRE_SOON) when a file begins to be written, and when it is about to be read; where edits follow soon on each other all are awake. Who is told
 * waits without sleeping, for a moment, and lets others have the processor meanwhile; where they take long for it the machine is busy, and is not made more so.
 */
#ifndef CONFIGSYNC_AWAKE_H
#define CONFIGSYNC_AWAKE_H

#include <stdbool.h>
#include <stdint.h>

#define AWAKE_US 400u		/* the bytes of a small file are here in half of it */
#define AWAKE_SPAN_US 5000u	/* between two edits; those that follow sooner find everything awake */
#define AWAKE_TIMES 2u		/* in one span, whatever the other node sends */
#define AWAKE_LONG_US 500u	/* others had the processor for so long */
#define AWAKE_BUSY_US 1000000u	/* then it is not given to them, nor stayed awake, for this time */

/* All zero at first. */
struct awake {
	uint64_t	edit_us, told_us;		/* the last edit, or installation here; the other node was told then */
	uint64_t	span_us, until_us;		/* of those who are told: the span began then, and this wait ends */
	unsigned int	times;
	uint64_t	busy_us;			/* until then */
};

/* An installation here: what is heard of changes next is that, and nobody has to be awake for it. */
void	awake_installed(struct awake *, uint64_t now_us);
/* A file begins to be written (begun), or is about to be read as it most likely has changed. True: the other node is to be told. */
bool	awake_tell(struct awake *, bool begun, uint64_t now_us);

/* The other node tells. True: do not sleep while awake_is(). */
bool	awake_told(struct awake *, uint64_t now_us);
bool	awake_is(const struct awake *, uint64_t now_us);
void	awake_over(struct awake *);		/* the news are here */

/* Whether others may have the processor now; and how long they had it. */
bool	awake_may_yield(const struct awake *, uint64_t now_us);
void	awake_yielded(struct awake *, uint64_t begun_us, uint64_t now_us);

#endif
