/*
 * supervisor/scribe.h - writes what must be remembered without ever holding up the loop: journal
 * events (common/journal) and log lines go over a pipe to a child that may wait for disk and syslog.
 *
 * The child is forked when there is something to write and ends after some idle seconds. What does not
 * fit into the buffer (SCRIBE_BUFFER bytes) is dropped and counted; the count is itself written later. A
 * child that does not take anything for stall_ms is reported by scribe_stalled().
 */
#ifndef SUPERVISOR_SCRIBE_H
#define SUPERVISOR_SCRIBE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/journal.h"
#include "common/log.h"
#include "common/loop.h"

#define SCRIBE_BUFFER (256 * 1024)

struct scribe;
struct scribe	*scribe_new(struct loop *, const struct conf *);
void		 scribe_free(struct scribe *);		/* waits at most 2 s for the child to drain */
void		 scribe_conf(struct scribe *, const struct conf *);	/* after a reload */
void		 scribe_log(void *scribe, enum log_level, const char *line);	/* a log_sink_f */
void		 scribe_event(struct scribe *, const struct journal_event *);
/* How long the child has taken nothing of what waits for it; 0: nothing waits. */
uint64_t	 scribe_waiting_ms(const struct scribe *, uint64_t now_ms);
bool		 scribe_stalled(const struct scribe *, uint64_t now_ms);
uint64_t	 scribe_dropped(const struct scribe *);

#endif
