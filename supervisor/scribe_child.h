/*
 * supervisor/scribe_child.h - what the scribe's children do, and what they and the scribe say to each other.
 *
 * A SOCK_SEQPACKET pair: down go records, each one packet; up go answers. A record counts as taken when it was written:
 * an event, when it is on disk. End of file ends the child when it has written everything.
 */
#ifndef SUPERVISOR_SCRIBE_CHILD_H
#define SUPERVISOR_SCRIBE_CHILD_H

#include <limits.h>
#include <stdint.h>

#include "common/journal.h"
#include "common/log.h"
#include "supervisor/scribe.h"

#define SCRIBE_LINE_MAX 1024
#define SCRIBE_TEXT_MAX 512
#define SCRIBE_RECORDS_MAX 64		/* taken before the parent is told */

enum scribe_kind { SCRIBE_LINE, SCRIBE_EVENT, SCRIBE_TRY };

struct scribe_record {
	uint64_t	wall_ms;	/* when it happened, not when it is written */
	enum scribe_kind kind;
	enum log_level	level;
	union {				/* sent as far as it is used */
		struct journal_event	event;
		char			line[SCRIBE_LINE_MAX];
	} u;
};

struct scribe_answer {
	uint32_t	taken;		/* records, since the last answer */
	enum scribe_news news;		/* of the journal only: STUCK, RENEWED */
	char		text[SCRIBE_TEXT_MAX];
};

/* Write what comes over fd until its end. Both block at their leisure. */
void	scribe_write_log(int fd, const char *log);		/* "syslog", "stderr" or a path */
void	scribe_write_journal(int fd, const char *journal);

#endif
