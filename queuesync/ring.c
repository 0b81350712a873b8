/*
 * queuesync/ring.c - a bounded ring of jobs between one caller and a few threads. Blocks as long as the jobs do.
 */
#include "queuesync/ring.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/need.h"

#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_IDLE (3 << 13)	/* the class that only gets what nobody else wants: ioprio_set(2) */

struct ring {
	struct ring_jobs jobs;
	size_t		 slots, slot_size;
	char		*slot;
	bool		*done;
	uint64_t	 first, next, last;	/* taken back, begun, pushed so far */
	bool		 ending;
	pthread_mutex_t	 lock;
	pthread_cond_t	 ready, finished;
	pthread_t	 thread[RING_THREADS_MAX];
	unsigned int	 threads;
};

static void *
slot_at(const struct ring *r, uint64_t number)
{
	return r->slot + number % r->slots * r->slot_size;
}

static void *
worker(void *arg)
{
	struct ring *r = arg;

	if (r->jobs.idle) {
		/* Both are of this thread alone; a kernel that knows neither only makes it less polite. */
		setpriority(PRIO_PROCESS, 0, 19);
		syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_IDLE);
	}
	pthread_mutex_lock(&r->lock);
	for (;;) {
		uint64_t mine;

		while (r->next == r->last && !r->ending)
			pthread_cond_wait(&r->ready, &r->lock);
		if (r->next == r->last)
			break;
		mine = r->next++;
		pthread_mutex_unlock(&r->lock);
		r->jobs.work(r->jobs.arg, slot_at(r, mine));
		pthread_mutex_lock(&r->lock);
		r->done[mine % r->slots] = true;
		if (mine == r->first)
			pthread_cond_signal(&r->finished);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

struct ring *
ring_new(const struct ring_jobs *jobs, size_t slots, size_t slot_size, unsigned int threads)
{
	struct ring *r = need(calloc(1, sizeof *r));
	pthread_condattr_t attr;

	r->jobs = *jobs;
	r->slots = slots;
	r->slot_size = (slot_size + 63) / 64 * 64;
	r->slot = need(calloc(slots, r->slot_size));
	r->done = need(calloc(slots, sizeof *r->done));
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->ready, NULL);
	pthread_cond_init(&r->finished, &attr);
	pthread_condattr_destroy(&attr);
	/* A thread that cannot be made is only missed in speed. */
	while (r->threads < threads && r->threads < RING_THREADS_MAX &&
	    pthread_create(&r->thread[r->threads], NULL, worker, r) == 0)
		r->threads++;
	return r;
}

/* The oldest: done here if nobody has begun it. */
static void
take_first(struct ring *r)
{
	void *slot = slot_at(r, r->first);

	assert(r->first < r->last);
	pthread_mutex_lock(&r->lock);
	if (r->next == r->first) {
		r->next++;
		pthread_mutex_unlock(&r->lock);
		r->jobs.work(r->jobs.arg, slot);
		pthread_mutex_lock(&r->lock);
	} else {
		while (!r->done[r->first % r->slots])
			pthread_cond_wait(&r->finished, &r->lock);
	}
	r->done[r->first % r->slots] = false;
	r->first++;
	pthread_mutex_unlock(&r->lock);
	r->jobs.take(r->jobs.arg, slot);
}

void *
ring_slot(struct ring *r)
{
	if (r->last - r->first == r->slots)
		take_first(r);
	return slot_at(r, r->last);
}

void
ring_push(struct ring *r)
{
	pthread_mutex_lock(&r->lock);
	r->last++;
	pthread_cond_signal(&r->ready);
	pthread_mutex_unlock(&r->lock);
}

void
ring_wait(struct ring *r, uint64_t until_us)
{
	struct timespec until = { .tv_sec = (time_t)(until_us / 1000000), .tv_nsec = (long)(until_us % 1000000) * 1000 };

	while (clock_mono_us() < until_us) {
		bool done;

		pthread_mutex_lock(&r->lock);
		done = r->first < r->last && r->done[r->first % r->slots];
		if (!done)
			pthread_cond_timedwait(&r->finished, &r->lock, &until);
		pthread_mutex_unlock(&r->lock);
		if (done)
			take_first(r);
	}
}

void
ring_end(struct ring *r, void (*each)(void *slot))
{
	while (r->first < r->last)
		take_first(r);
	pthread_mutex_lock(&r->lock);
	r->ending = true;
	pthread_cond_broadcast(&r->ready);
	pthread_mutex_unlock(&r->lock);
	for (unsigned int i = 0; i < r->threads; i++)
		pthread_join(r->thread[i], NULL);
	for (size_t i = 0; each != NULL && i < r->slots; i++)
		each(r->slot + i * r->slot_size);
	pthread_mutex_destroy(&r->lock);
	pthread_cond_destroy(&r->ready);
	pthread_cond_destroy(&r->finished);
	free(r->slot);
	free(r->done);
	free(r);
}
