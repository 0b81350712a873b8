/*
 * queuesync/ring.h - work that waits for the disk, done by a few threads, begun and taken back in one order by one
 * caller: ring_slot(), fill it, ring_push(), and so on; ring_end(). The ring is bounded: when it is full the oldest
 * slot is taken first. A caller who would have to wait for work that nobody has begun does it himself.
 */
#ifndef QUEUESYNC_RING_H
#define QUEUESYNC_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RING_THREADS_MAX 16

struct ring;
struct ring_jobs {
	void	(*work)(void *arg, void *slot);	/* in any thread; touches nothing but its slot */
	void	(*take)(void *arg, void *slot);	/* in the caller's, in the order of pushing */
	void	*arg;
	bool	 idle;		/* the threads run only when nobody else wants processor or disk */
};

/* Slots are zero at first and keep what was in them. threads 0: the caller does it all. */
struct ring *ring_new(const struct ring_jobs *, size_t slots, size_t slot_size, unsigned int threads);
void	*ring_slot(struct ring *);		/* may take the oldest */
void	ring_push(struct ring *);		/* the slot of the last ring_slot() */
void	ring_wait(struct ring *, uint64_t until_us);	/* monotonic; takes what is done meanwhile */
/* Takes the rest, ends the threads. Slots are freed by the caller's each(), which may be NULL, and the ring. */
void	ring_end(struct ring *, void (*each)(void *slot));

#endif
