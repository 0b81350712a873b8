/*
 * mta/postfix_layout.h - where a Postfix queue keeps what: as the program's settings say, or as a foreign tree shows
 * it. Blocks in stat(2) and a few readdir(3); for workers and mailpair-queue.
 */
#ifndef MTA_POSTFIX_LAYOUT_H
#define MTA_POSTFIX_LAYOUT_H

#include <stdbool.h>

#include "common/err.h"
#include "mta/mta.h"
#include "mta/postfix_conf.h"
#include "mta/queue.h"

/*
 * Kinds of places, in the order of a message's life and messages before their logs: the rules of the queue
 * (queuesync/rules_postfix.c) rely on being told of them in this order.
 */
enum postfix_place {
	POSTFIX_PLACE_ROOT,	/* of the queue: sockets of filters, chroot copies and the like may stand there */
	POSTFIX_PLACE_MAILDROP, POSTFIX_PLACE_INCOMING, POSTFIX_PLACE_ACTIVE, POSTFIX_PLACE_DEFERRED, POSTFIX_PLACE_HOLD,
	POSTFIX_PLACE_CORRUPT, POSTFIX_PLACE_SAVED,
	POSTFIX_PLACE_DEFER, POSTFIX_PLACE_BOUNCE, POSTFIX_PLACE_TRACE,
	POSTFIX_PLACE_FLUSH,
	POSTFIX_PLACE_PID, POSTFIX_PLACE_PRIVATE, POSTFIX_PLACE_PUBLIC,	/* of processes, not of messages */
	POSTFIX_PLACE_COUNT
};

/* By the settings of this instance; owners NULL: this host's accounts. */
bool	postfix_layout_own(const struct postfix_conf *, const struct queue_owners *, struct queue_layout *ret, struct err *);

/*
 * Of another node's queue: Postfix's usual accounts, "postfix" and "postdrop", and as many levels of directories as most of
 * the files in each queue are below.
 */
bool	postfix_layout_tree(const char *dir, const struct queue_owners *, struct queue_layout *ret, struct err *);

#endif
