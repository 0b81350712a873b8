/*
 * queuesync/output.h - what mailpair-queue says: JSON as the contract has it, and text for people. Documents of any
 * size go through a small buffer. Blocks only where standard output does.
 */
#ifndef QUEUESYNC_OUTPUT_H
#define QUEUESYNC_OUTPUT_H

#include <stdio.h>

#include "common/json.h"
#include "mta/queue.h"
#include "queuesync/finding.h"

/* One queue that was checked. */
struct report {
	const char	*mta, *queue;
	bool		 deep;
	bool		 live;		/* it was changed while it was looked at */
	bool		 cut;		/* the time was over before all was read */
	uint64_t	 messages, files, took_ms;
	enum verdict	 verdict;
	const struct findings *findings;
	const char	*run;		/* of a repair: where to find what was put aside; NULL: none */
};

/* A document on a stream; key of the outermost object is NULL. */
struct output { FILE *to; struct json json; char buffer[16384]; };
void	output_begin(struct output *, FILE *to);
void	output_end(struct output *);

void	output_report_json(struct json *, const struct report *);
void	output_report_text(FILE *, const struct report *);
/* For programs: lines "queue-KEY VALUE"; verdict, messages, findings (that need a hand), damaged, took (ms), text (the worst). */
void	output_report_brief(FILE *, const struct report *);

void	output_message_json(struct json *, const char *mta, const struct queue_message *);
void	output_messages_head(FILE *);
void	output_message_text(FILE *, const char *mta, const struct queue_message *);

#endif
