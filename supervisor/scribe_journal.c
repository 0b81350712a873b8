/*
 * supervisor/scribe_journal.c - writes events into the journal. Runs in a child of the scribe only, which may wait for the disk
 * and for whoever has the journal locked.
 *
 * Events are committed when nothing more came for QUIET_MS, at the latest BATCH_MS after the first of them, and at once when a
 * transition has ended: one wait for the disk for a whole transition, no more than that is lost in a power cut, and "history"
 * has what a command has just done. A batch is kept until it is on disk: where that fails, the same one is tried again.
 */
#include "supervisor/scribe_child.h"

#include <errno.h>
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
#define AGAIN_MS 1000		/* a journal that could not be written is tried again */
#define FAREWELL_MS 5000	/* ... for so long after the supervisor has ended */
#define KEEP_MS (180 * 86400000ULL)

struct writer {
	int		 fd;
	const char	*path;
	struct journal	*journal;
	struct journal_event event[SCRIBE_RECORDS_MAX];
	size_t		 events;	/* of the batch ... */
	uint32_t	 records;	/* ... which may have more records than events */
	uint64_t	 begun_ms, last_ms;	/* its first and latest record */
	bool		 whole;		/* it has a transition's end, or a trial */
	bool		 afresh;	/* it has a trial: what is in memory of the journal may be better than what is on disk */
	bool		 stuck, ended;
};

static void
answer(struct writer *w, uint32_t taken, enum scribe_news news, const char *text)
{
	struct scribe_answer a = { .taken = taken, .news = news };

	snprintf(a.text, sizeof(a.text), "%s", text);
	send(w->fd, &a, sizeof(a), MSG_NOSIGNAL);
}

/* ---------------------------------------------------------------- writing */

static bool
journal_ready(struct writer *w, struct err *err)
{
	uint64_t now = clock_wall_ms();
	bool moved;

	if (w->journal != NULL)
		return true;
	if (!journal_open(w->path, true, &w->journal, &moved, err))
		return false;
	if (moved)
		answer(w, 0, SCRIBE_RENEWED, err->text);
	return now <= KEEP_MS || journal_prune(w->journal, now - KEEP_MS, err);
}

static bool
batch_try(struct writer *w, struct err *err)
{
	if (!journal_ready(w, err) || !journal_begin(w->journal, err))
		return false;
	for (size_t i = 0; i < w->events; i++) {
		if (!journal_add(w->journal, &w->event[i], err))
			return false;
	}
	return journal_end(w->journal, err);
}

/* Once more with a fresh journal, where this one is spoilt. */
static bool
batch_write(struct writer *w, struct err *err)
{
	if (batch_try(w, err))
		return true;
	if (w->journal != NULL && journal_spoilt(w->journal)) {
		if (!journal_renew(&w->journal, err))
			return false;
		answer(w, 0, SCRIBE_RENEWED, err->text);
		if (batch_try(w, err))
			return true;
	}
	journal_close(w->journal);
	w->journal = NULL;
	return false;
}

/* The last chance: nobody is there any more to be told. */
static void
farewell(struct writer *w, const char *why)
{
	syslog(LOG_ERR, "%zu or more events are lost with the end of mailpaird: %s", w->events, why);
	_exit(1);
}

/* Until it is written. What comes meanwhile waits in the socket, and then in the supervisor. */
static void
batch_commit(struct writer *w)
{
	struct pollfd p = { .fd = w->fd, .events = POLLRDHUP };
	uint64_t until = 0;
	struct err err;

	if (w->afresh) {
		journal_close(w->journal);
		w->journal = NULL;
	}
	while (!batch_write(w, &err)) {
		bool alone;

		if (!w->stuck)
			answer(w, 0, SCRIBE_STUCK, err.text);
		w->stuck = true;
		alone = w->ended || poll(&p, 1, AGAIN_MS) > 0;
		if (alone && until == 0)
			until = clock_mono_ms() + FAREWELL_MS;
		if (alone && clock_mono_ms() > until)
			farewell(w, err.text);
		if (alone)
			poll(NULL, 0, AGAIN_MS / 10);
	}
	answer(w, w->records, SCRIBE_NO_NEWS, "");
	w->stuck = w->whole = w->afresh = false;
	w->events = w->records = 0;
}

/* ---------------------------------------------------------------- reading */

static void
record_take(struct writer *w, const struct scribe_record *r)
{
	w->last_ms = clock_mono_ms();
	if (w->records++ == 0)
		w->begun_ms = w->last_ms;
	if (r->kind != SCRIBE_EVENT) {
		w->whole = w->afresh = true;
		return;
	}
	w->event[w->events++] = r->u.event;
	w->whole = w->whole || r->u.event.kind == JOURNAL_TRANSITION;
}

/* How long to wait for more before the batch is committed; -1: as long as it takes. */
static int
batch_wait(const struct writer *w)
{
	uint64_t now = clock_mono_ms(), due;

	if (w->records == 0)
		return -1;
	if (w->whole || w->ended || w->records == SCRIBE_RECORDS_MAX)
		return 0;
	due = w->last_ms + QUIET_MS < w->begun_ms + BATCH_MS ? w->last_ms + QUIET_MS : w->begun_ms + BATCH_MS;
	return due > now ? (int)(due - now) : 0;
}

void
scribe_write_journal(int fd, const char *path)
{
	struct writer *w = calloc(1, sizeof(*w));
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct scribe_record r;
	ssize_t n;

	if (w == NULL)
		abort();
	w->fd = fd;
	w->path = path;
	openlog("mailpaird", 0, LOG_DAEMON);
	while (!w->ended || w->records > 0) {
		int wait = batch_wait(w);

		if (wait == 0 || poll(&p, 1, wait) == 0)
			batch_commit(w);
		while (w->records < SCRIBE_RECORDS_MAX && !w->ended &&
		    (n = recv(fd, &r, sizeof(r), MSG_DONTWAIT)) != -1) {
			if (n == 0)
				w->ended = true;
			else
				record_take(w, &r);
		}
	}
	journal_close(w->journal);
	free(w);
}
