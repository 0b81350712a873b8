/*
 * queuesync/listing.c - see listing.h.
 */
#include "queuesync/listing.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/need.h"

#define LARGE (1 << 20)		/* bytes; some 25,000 files */
#define AHEAD 4u		/* buffers that are read and not yet taken */

struct part { char *buffer; ssize_t got; int sys; };

struct listing {
	int		 directory;
	char		*own;		/* NULL: a thread reads */
	struct part	 part[AHEAD];
	uint64_t	 read, taken;	/* parts so far; the one that was taken last is still in use */
	bool		 ending;
	pthread_t	 thread;
	pthread_mutex_t	 lock;
	pthread_cond_t	 changed;
};

static void *
work(void *arg)
{
	struct listing *l = arg;
	ssize_t got = 1;

	pthread_mutex_lock(&l->lock);
	while (got > 0) {
		struct part *p = &l->part[l->read % AHEAD];

		while (!l->ending && l->read - l->taken >= AHEAD - 1)
			pthread_cond_wait(&l->changed, &l->lock);
		if (l->ending)
			break;
		pthread_mutex_unlock(&l->lock);
		p->got = got = syscall(SYS_getdents64, l->directory, p->buffer, LISTING_BYTES);
		p->sys = errno;
		pthread_mutex_lock(&l->lock);
		l->read++;
		pthread_cond_signal(&l->changed);
	}
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

struct listing *
listing_begin(int directory, off_t size, char *own)
{
	struct listing *l = need(calloc(1, sizeof *l));

	l->directory = directory;
	l->own = own;
	if (size < LARGE)
		return l;
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->changed, NULL);
	for (unsigned int i = 0; i < AHEAD; i++)
		l->part[i].buffer = need(malloc(LISTING_BYTES));
	if (pthread_create(&l->thread, NULL, work, l) == 0)
		l->own = NULL;	/* a thread that cannot be made is only missed in speed */
	return l;
}

ssize_t
listing_next(struct listing *l, const char **ret)
{
	const struct part *p;

	if (l->own != NULL) {
		*ret = l->own;
		return syscall(SYS_getdents64, l->directory, l->own, LISTING_BYTES);
	}
	pthread_mutex_lock(&l->lock);
	while (l->read == l->taken)
		pthread_cond_wait(&l->changed, &l->lock);
	p = &l->part[l->taken % AHEAD];
	if (p->got > 0)
		l->taken++;	/* the end stays for who asks again */
	pthread_cond_signal(&l->changed);
	pthread_mutex_unlock(&l->lock);
	*ret = p->buffer;
	errno = p->sys;
	return p->got;
}

void
listing_end(struct listing *l)
{
	if (l->own == NULL) {
		pthread_mutex_lock(&l->lock);
		l->ending = true;
		pthread_cond_signal(&l->changed);
		pthread_mutex_unlock(&l->lock);
		pthread_join(l->thread, NULL);
	}
	if (l->part[0].buffer != NULL) {
		pthread_cond_destroy(&l->changed);
		pthread_mutex_destroy(&l->lock);
	}
	for (unsigned int i = 0; i < AHEAD; i++)
		free(l->part[i].buffer);
	free(l);
}
