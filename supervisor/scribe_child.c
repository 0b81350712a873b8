/*
 * supervisor/scribe_child.c - writes log lines and journal events to where they are kept. Runs in
 * the scribe's child only, which may wait for disks and for syslog as long as they like.
 *
 * The log file is opened for every batch, so that logrotate needs no signal. Events are committed
 * when nothing more came for QUIET_MS, at the latest BATCH_MS after the first of them, and at once
 * when a transition has ended: one wait for the disk for a whole transition, no more than that is
 * lost in a power cut, and "history" has what a command has just done.
 */
#include "supervisor/scribe_child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

#include "common/clock.h"

#define QUIET_MS 200
#define BATCH_MS 1000
#define RECORDS_MAX 64		/* taken before the parent is told */
#define KEEP_MS (180 * 86400000ULL)

struct writer {
	const struct scribe_target *to;
	struct journal	*journal;
	bool		 batch;		/* a transaction is open */
	uint64_t	 begun_ms, last_ms;	/* of the batch: its first and latest event */
	bool		 whole;		/* the batch has a transition's end */
	bool		 journal_bad, log_bad;	/* said once, until it is well again */
	uint64_t	 lost;		/* events, while the journal was bad */
	size_t		 len;
	char		 text[RECORDS_MAX * (SCRIBE_LINE_MAX + 64)];	/* lines of this turn */
};

static const struct {
	const char	*prefix;
	int		 priority;
} levels[LOG_LVL_COUNT] = {
	[LOG_LVL_ERR] = { "error: ", LOG_ERR },
	[LOG_LVL_WARN] = { "warning: ", LOG_WARNING },
	[LOG_LVL_INFO] = { "", LOG_INFO },
	[LOG_LVL_DEBUG] = { "debug: ", LOG_DEBUG },
};

static bool
write_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return false;
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

/* Where the log file cannot be written, syslog is better than nothing; said once. */
static void
lines_rescue(struct writer *w)
{
	if (!w->log_bad)
		syslog(LOG_ERR, "log file %s cannot be written: %s; its lines go to syslog meanwhile",
		    w->to->log, strerror(errno));
	w->log_bad = true;
	for (char *line = w->text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		*end = '\0';
		syslog(LOG_NOTICE, "%s", line);
	}
}

static void
lines_flush(struct writer *w)
{
	int fd = STDERR_FILENO;

	if (w->len == 0)
		return;
	w->text[w->len] = '\0';
	if (strcmp(w->to->log, "stderr") != 0)
		fd = open(w->to->log, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_CLOEXEC, 0640);
	if (fd == -1 || !write_all(fd, w->text, w->len))
		lines_rescue(w);
	else
		w->log_bad = false;
	if (fd > STDERR_FILENO)
		close(fd);
	w->len = 0;
}

static void
line_write(struct writer *w, enum log_level level, uint64_t wall_ms, const char *line)
{
	char when[CLOCK_RFC3339_MAX];
	int n;

	if (strcmp(w->to->log, "syslog") == 0) {
		syslog(levels[level].priority, "%s", line);
		return;
	}
	if (sizeof(w->text) - w->len < SCRIBE_LINE_MAX + 64)
		lines_flush(w);
	clock_rfc3339_ms(wall_ms, when);
	n = snprintf(w->text + w->len, sizeof(w->text) - w->len, "%s mailpaird: %s%s\n", when,
	    levels[level].prefix, line);
	w->len += (size_t)n;
}

/* Closing it moves a spoilt one aside, so that the next event begins a fresh one. */
static void
journal_lost(struct writer *w, const struct err *err)
{
	if (!w->journal_bad)
		line_write(w, LOG_LVL_ERR, clock_wall_ms(), err->text);
	w->journal_bad = true;
	journal_close(w->journal);
	w->journal = NULL;
	w->batch = false;
}

static bool
journal_ready(struct writer *w)
{
	char line[SCRIBE_LINE_MAX];
	struct err err = { 0 };
	bool moved = false;
	uint64_t now = clock_wall_ms();

	if (w->journal == NULL) {
		if (!journal_open(w->to->journal, true, &w->journal, &moved, &err)) {
			journal_lost(w, &err);
			return false;
		}
		if (moved) {
			snprintf(line, sizeof(line), "the journal was spoilt, has been moved aside and is begun "
			    "anew: %s", err.text);
			line_write(w, LOG_LVL_ERR, now, line);
		}
		if (now > KEEP_MS && !journal_prune(w->journal, now - KEEP_MS, &err)) {
			journal_lost(w, &err);
			return false;
		}
	}
	if (!w->batch && !journal_begin(w->journal, &err)) {
		journal_lost(w, &err);
		return false;
	}
	if (!w->batch)
		w->begun_ms = clock_mono_ms();
	w->batch = true;
	return true;
}

static void
event_write(struct writer *w, const struct journal_event *e)
{
	struct err err = { 0 };

	if (!journal_ready(w)) {
		w->lost++;
		return;
	}
	w->last_ms = clock_mono_ms();
	w->whole = w->whole || e->kind == JOURNAL_TRANSITION;
	if (!journal_add(w->journal, e, &err)) {
		w->lost++;
		journal_lost(w, &err);
	}
}

static void
batch_commit(struct writer *w)
{
	char line[SCRIBE_LINE_MAX];
	struct err err = { 0 };

	if (!w->batch)
		return;
	if (!journal_end(w->journal, &err)) {
		w->lost++;
		journal_lost(w, &err);
		return;
	}
	w->batch = w->whole = false;
	if (w->journal_bad) {
		snprintf(line, sizeof(line), "the journal is written again; at least %llu events are missing "
		    "in it", (unsigned long long)w->lost);
		line_write(w, LOG_LVL_WARN, clock_wall_ms(), line);
	}
	w->journal_bad = false;
	w->lost = 0;
}

static void
record_write(struct writer *w, struct scribe_record *r, size_t len)
{
	switch (r->kind) {
	case SCRIBE_EVENT:
		event_write(w, &r->u.event);
		break;
	case SCRIBE_LINE:
		((char *)r)[len < sizeof(*r) ? len : sizeof(*r) - 1] = '\0';
		line_write(w, r->level, r->wall_ms, r->u.line);
		break;
	}
}

/* How long to wait for more before the batch is committed; -1: as long as it takes. */
static int
batch_wait(const struct writer *w)
{
	uint64_t now = clock_mono_ms(), due;

	if (!w->batch)
		return -1;
	if (w->whole)
		return 0;
	due = w->last_ms + QUIET_MS < w->begun_ms + BATCH_MS ? w->last_ms + QUIET_MS :
	    w->begun_ms + BATCH_MS;
	return due > now ? (int)(due - now) : 0;
}

void
scribe_child(int fd, const struct scribe_target *to)
{
	struct writer *w = calloc(1, sizeof(*w));
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct scribe_record r;
	ssize_t n = 1;

	if (w == NULL)
		abort();
	w->to = to;
	openlog("mailpaird", 0, LOG_DAEMON);
	while (n != 0) {
		int wait = batch_wait(w);
		uint32_t taken = 0;

		if (wait == 0 || poll(&p, 1, wait) == 0)
			batch_commit(w);
		while (taken < RECORDS_MAX && (n = recv(fd, &r, sizeof(r), MSG_DONTWAIT)) > 0) {
			record_write(w, &r, (size_t)n);
			taken++;
		}
		lines_flush(w);
		if (taken > 0)
			send(fd, &taken, sizeof(taken), MSG_NOSIGNAL);
	}
	batch_commit(w);
	lines_flush(w);
	journal_close(w->journal);
	free(w);
}
