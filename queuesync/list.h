/*
 * queuesync/list.h - the messages of a queue in one form. Each is put together from its parts by a few threads, told
 * in the order of inodes by the caller's; only some are in memory at a time. Blocks.
 */
#ifndef QUEUESYNC_LIST_H
#define QUEUESYNC_LIST_H

#include "common/err.h"
#include "mta/queue.h"
#include "queuesync/check.h"

typedef void list_message_f(void *arg, const struct queue_message *);

/* check: after check_joined() of a deep pass whose files were not read. False: the root cannot be opened. */
bool	list_messages(const struct rules *, const struct queue_layout *, struct check *, unsigned int threads,
	    list_message_f *, void *arg, struct err *);

#endif
