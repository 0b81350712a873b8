/*
 * queuesync/batch_read.c - see batch_read.h. By liburing: the kernel keeps what one submission asks of the disk together until
 * all of it is asked. Nothing but reads of files that are open already goes through it. To make and to end a ring costs
 * milliseconds: none is made as long as all that is asked for is in memory. Nor are files opened together then: one after the other
 * they are read into the same few pages, which the processor has at hand.
 */
#include "queuesync/batch_read.h"

#include <errno.h>
#include <liburing.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/uio.h>

#include "common/need.h"
#include "queuesync/open.h"

#define ROOM (1u << 20)		/* of it only what was read into is memory */
#define ALIGNED(n) (((n) + 63) / 64 * 64)
#define READERS 12		/* at the same time, so many may need their files open */

struct batch_reader {
	struct io_uring	 uring;
	bool		 ready;			/* the ring is made */
	bool		 cold;			/* what was read last was not in memory, or not all of it */
	char		*room;			/* NULL: given up */
	size_t		 used;			/* of it, by this batch */
	struct batch_reader *next;
};

struct batch_pool { pthread_mutex_t lock; struct batch_reader *idle; };

static atomic_bool forbidden;

void
batch_forbid(void)
{
	atomic_store(&forbidden, true);
}

bool
batch_forbidden(void)
{
	return atomic_load(&forbidden);
}

/* ---------------------------------------------------------------- readers */

struct batch_pool *
batch_pool_new(void)
{
	struct batch_pool *pool = need(calloc(1, sizeof *pool));

	pthread_mutex_init(&pool->lock, NULL);
	return pool;
}

static struct batch_reader *
reader_new(void)
{
	struct batch_reader *r;
	struct rlimit files = { 0 };

	getrlimit(RLIMIT_NOFILE, &files);
	if (files.rlim_cur <= READERS * BATCH_FILES) {
		batch_forbid();
		return NULL;
	}
	r = need(calloc(1, sizeof *r));
	r->room = need(malloc(ROOM));
	return r;
}

/* Whatever there is against it: it is asked once. */
static bool
ring_ready(struct batch_reader *r)
{
	if (!r->ready && !batch_forbidden()) {
		r->ready = io_uring_queue_init(BATCH_FILES, &r->uring, 0) == 0;
		if (!r->ready)
			batch_forbid();
	}
	return r->ready;
}

struct batch_reader *
batch_reader_take(struct batch_pool *pool)
{
	struct batch_reader *r;

	if (batch_forbidden())
		return NULL;
	pthread_mutex_lock(&pool->lock);
	r = pool->idle;
	if (r != NULL)
		pool->idle = r->next;
	pthread_mutex_unlock(&pool->lock);
	return r != NULL ? r : reader_new();
}

static void
reader_free(struct batch_reader *r)
{
	if (r->ready)
		io_uring_queue_exit(&r->uring);
	free(r->room);
	free(r);
}

void
batch_reader_give(struct batch_pool *pool, struct batch_reader *r)
{
	if (r == NULL)
		return;
	if (r->room == NULL) {
		reader_free(r);
		return;
	}
	pthread_mutex_lock(&pool->lock);
	r->next = pool->idle;
	pool->idle = r;
	pthread_mutex_unlock(&pool->lock);
}

void
batch_pool_free(struct batch_pool *pool)
{
	while (pool->idle != NULL) {
		struct batch_reader *r = pool->idle;

		pool->idle = r->next;
		reader_free(r);
	}
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

/* ---------------------------------------------------------------- reading */

/* Where its beginning goes; NULL: nothing of it is to be read, or there is no more room. */
static char *
place(const struct batch_reader *r, const struct batch_file *file, size_t *ret_want)
{
	*ret_want = file->size < READ_WINDOW ? (size_t)file->size : READ_WINDOW;
	return file->fd != -1 && *ret_want > 0 && r->used + *ret_want <= ROOM ? r->room + r->used : NULL;
}

static void
placed(struct batch_reader *r, struct batch_file *file, char *head, size_t want)
{
	file->head = head;
	r->used += ALIGNED(want);
}

/* Reads what is in memory, as far as the first that is not (or of which the kernel does not say so); how far that is. */
static unsigned int
read_present(struct batch_reader *r, struct batch_file *file, unsigned int len)
{
	unsigned int i;

	for (i = 0; i < len; i++) {
		size_t want;
		char *head = place(r, &file[i], &want);
		ssize_t got;

		if (head == NULL)
			continue;
		got = preadv2(file[i].fd, &(struct iovec){ head, want }, 1, 0, RWF_NOWAIT);
		if (got == -1 && (errno == EAGAIN || errno == EOPNOTSUPP))
			break;
		if (got <= 0)
			continue;
		file[i].len = (size_t)got;
		placed(r, &file[i], head, want);
	}
	return i;
}

/* Puts down what is to be read; how many that is. */
static unsigned int
put_down(struct batch_reader *r, struct batch_file *file, unsigned int len)
{
	unsigned int asked = 0;

	for (unsigned int i = 0; i < len; i++) {
		size_t want;
		char *head = place(r, &file[i], &want);
		struct io_uring_sqe *sqe;

		if (head == NULL || (sqe = io_uring_get_sqe(&r->uring)) == NULL)
			continue;
		io_uring_prep_read(sqe, file[i].fd, head, (unsigned int)want, 0);
		io_uring_sqe_set_data(sqe, &file[i]);
		placed(r, &file[i], head, want);
		asked++;
	}
	return asked;
}

/* Which of them were read; false: the kernel does not say so of all. */
static bool
take_back(struct batch_reader *r, unsigned int begun)
{
	while (begun > 0) {
		struct io_uring_cqe *cqe;
		unsigned int head, seen = 0;
		int sys = io_uring_wait_cqe_nr(&r->uring, &cqe, begun);

		if (sys != 0 && sys != -EINTR)
			return false;
		io_uring_for_each_cqe(&r->uring, head, cqe) {
			struct batch_file *file = io_uring_cqe_get_data(cqe);

			file->len = cqe->res > 0 ? (size_t)cqe->res : 0;
			seen++;
		}
		io_uring_cq_advance(&r->uring, seen);
		begun -= seen;
	}
	return true;
}

/* The kernel may write there still: it is left to it. */
static void
give_up(struct batch_reader *r)
{
	batch_forbid();
	r->room = NULL;
}

static bool
fetch(struct batch_reader *r, unsigned int asked)
{
	unsigned int begun = 0;
	int got = 0;

	while (begun < asked && ((got = io_uring_submit_and_wait(&r->uring, asked - begun)) > 0 || got == -EINTR))
		begun += got > 0 ? (unsigned int)got : 0;
	if (take_back(r, begun) && begun == asked)
		return true;
	give_up(r);
	return false;
}

unsigned int
batch_len(const struct batch_reader *r, unsigned int left)
{
	unsigned int most = r != NULL && r->room != NULL && r->cold ? BATCH_FILES : 1;

	return left < most ? left : most;
}

void
batch_read(struct batch_reader *r, struct batch_file *file, unsigned int len)
{
	unsigned int present, worth = 0;
	bool whole = true;

	for (unsigned int i = 0; i < len; i++) {
		file[i].head = NULL;
		file[i].len = 0;
	}
	if (r == NULL || r->room == NULL)
		return;
	r->used = 0;
	present = read_present(r, file, len);
	r->cold = present < len;
	for (unsigned int i = present; i < len; i++)
		worth += file[i].fd != -1 && file[i].size > 0;
	if (worth >= 2 && ring_ready(r))
		whole = fetch(r, put_down(r, file + present, len - present));
	for (unsigned int i = 0; i < len; i++) {
		if ((!whole && i >= present) || file[i].len == 0) {
			file[i].head = NULL;
			file[i].len = 0;
		}
	}
}
