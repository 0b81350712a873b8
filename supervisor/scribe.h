/*
 * supervisor/scribe.h - writes what must be remembered without ever holding up the loop: log lines and journal
 * events (common/journal) go over sockets to two children, which may wait for disks, locks and syslog.
 *
 * One child has the log and one the journal, so that neither waits for the other's disk. Each is forked when there is
 * something to write and ends after some idle seconds. What it does not take waits in memory, up to SCRIBE_BUFFER bytes;
 * beyond that it is dropped and counted, and the count is itself written as soon as there is room again.
 */
#ifndef SUPERVISOR_SCRIBE_H
#define SUPERVISOR_SCRIBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/journal.h"
#include "common/log.h"
#include "common/loop.h"

#define SCRIBE_BUFFER (256 * 1024)

enum scribe_pen { SCRIBE_LOG, SCRIBE_JOURNAL, SCRIBE_PENS };

/* What the journal's child reports. */
enum scribe_news {
	SCRIBE_NO_NEWS,
	SCRIBE_STUCK,		/* it cannot be written; it is tried again every second */
	SCRIBE_WELL,		/* ... and now it is written again */
	SCRIBE_RENEWED		/* it was spoilt, is moved aside and begun anew */
};
typedef void scribe_told_f(void *arg, enum scribe_news, const char *text);

struct scribe_health {
	uint64_t	waiting_ms;	/* its child has taken nothing of what waits for so long; 0: nothing waits */
	size_t		waits;		/* lines or events in memory */
	uint64_t	dropped;	/* since the start: there was no room, or a child was killed before it had written them */
	const char	*stuck;		/* why the journal cannot be written; NULL: it can, as far as is known */
};

struct scribe;
/* told may be NULL; it is called from the loop, and may log and write events. */
struct scribe	*scribe_new(struct loop *, const struct conf *, scribe_told_f *told, void *arg);
void		 scribe_free(struct scribe *);		/* waits at most 2 s for the children to drain */
void		 scribe_conf(struct scribe *, const struct conf *);	/* after a reload */
void		 scribe_log(void *scribe, enum log_level, const char *line);	/* a log_sink_f */
void		 scribe_event(struct scribe *, const struct journal_event *);
/* Have the child look whether the journal can be written, as if there were an event to write. */
void		 scribe_try(struct scribe *);
void		 scribe_health(const struct scribe *, enum scribe_pen, uint64_t now_ms, struct scribe_health *ret);

#endif
