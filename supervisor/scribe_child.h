/*
 * supervisor/scribe_child.h - what the scribe's child does, and what the two say to each other.
 *
 * A SOCK_SEQPACKET pair: down go records, each one packet; up go counts (uint32_t) of records that
 * were taken care of. End of file ends the child when it has written everything.
 */
#ifndef SUPERVISOR_SCRIBE_CHILD_H
#define SUPERVISOR_SCRIBE_CHILD_H

#include <limits.h>
#include <stdint.h>

#include "common/journal.h"
#include "common/log.h"

#define SCRIBE_LINE_MAX 1024

enum scribe_kind { SCRIBE_LINE, SCRIBE_EVENT };

struct scribe_record {
	uint64_t	wall_ms;	/* when it happened, not when it is written */
	enum scribe_kind kind;
	enum log_level	level;
	union {
		struct journal_event	event;
		char			line[SCRIBE_LINE_MAX];	/* sent up to its NUL only */
	} u;
};

struct scribe_target {
	char	log[PATH_MAX];		/* "syslog", "stderr" or a path */
	char	journal[PATH_MAX];
};

/* Write what comes over fd until its end. Blocks at its leisure. */
void	scribe_child(int fd, const struct scribe_target *);

#endif
