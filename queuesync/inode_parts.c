/*
 * queuesync/inode_parts.c - see inode_parts.h.
 */
#include "queuesync/inode_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>

#include "common/need.h"

#define PARTS_MAX (1u << 22)

enum part_state { PART_UNREAD, PART_READING, PART_READ };
struct part { atomic_uint asked; _Atomic enum part_state state; };

struct inode_parts {
	struct part	*part;
	uint32_t	 worth;
	void		(*read)(void *arg, uint32_t number);
	void		*arg;
	pthread_mutex_t	 lock;			/* of a part's way to PART_READING */
	pthread_cond_t	 news;			/* one was read */
};

struct inode_parts *
inode_parts_new(uint32_t len, uint32_t worth, void (*read)(void *arg, uint32_t number), void *arg, struct err *err)
{
	struct part *part = len > 0 && len <= PARTS_MAX ? calloc(len, sizeof *part) : NULL;
	struct inode_parts *p;

	if (part == NULL) {
		err_set(err, 0, "the inode tables cannot be read: of %" PRIu32 " parts, or no memory", len);
		return NULL;
	}
	p = need(calloc(1, sizeof *p));
	*p = (struct inode_parts){ .part = part, .worth = worth, .read = read, .arg = arg };
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->news, NULL);
	return p;
}

void
inode_parts_free(struct inode_parts *p)
{
	if (p == NULL)
		return;
	pthread_cond_destroy(&p->news);
	pthread_mutex_destroy(&p->lock);
	free(p->part);
	free(p);
}

static void
part_read(struct inode_parts *p, uint32_t number)
{
	struct part *part = &p->part[number];
	bool mine;

	pthread_mutex_lock(&p->lock);
	while (part->state == PART_READING)
		pthread_cond_wait(&p->news, &p->lock);
	mine = part->state == PART_UNREAD;
	if (mine)
		part->state = PART_READING;
	pthread_mutex_unlock(&p->lock);
	if (!mine)
		return;
	p->read(p->arg, number);
	pthread_mutex_lock(&p->lock);
	part->state = PART_READ;
	pthread_cond_broadcast(&p->news);
	pthread_mutex_unlock(&p->lock);
}

bool
inode_parts_ask(struct inode_parts *p, uint32_t number)
{
	struct part *part = &p->part[number];

	if (atomic_load(&part->state) != PART_READ) {
		if (atomic_fetch_add(&part->asked, 1) < p->worth)
			return false;
		part_read(p, number);
	}
	return true;
}
