/*
 * mta/postfix_log.h - reads the log files that Postfix keeps beside a message: defer, bounce, trace. Pure, streaming.
 * Source: bounce/bounce_append_service.c and global/bounce_log.c of Postfix.
 *
 * A blank line, lines "<address>: reason" or "name=value", a blank line; one such paragraph a recipient, each appended
 * and synced at once.
 */
#ifndef MTA_POSTFIX_LOG_H
#define MTA_POSTFIX_LOG_H

#include <stdint.h>

#include "mta/queue.h"

enum postfix_log_fault {
	POSTFIX_LOG_WHOLE,
	POSTFIX_LOG_EMPTY,		/* made, nothing written yet: legal after a crash */
	POSTFIX_LOG_TRUNCATED,		/* the last paragraph is not ended: Postfix leaves it out */
	POSTFIX_LOG_NUL_TAIL,		/* from some byte on there are only NULs */
	POSTFIX_LOG_BAD_LINE,		/* neither form, or a NUL in it */
	POSTFIX_LOG_UNREADABLE
};

struct postfix_log {
	enum postfix_log_fault fault;
	uint64_t	entries;	/* whole paragraphs */
	uint64_t	whole_to;	/* bytes up to the end of the last of them before the fault */
	char		what[120];	/* for people; "" when whole */
};

void	postfix_log_read(struct queue_source *, struct postfix_log *ret);

#endif
