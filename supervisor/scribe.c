/*
 * supervisor/scribe.c - hands log lines and journal events to children that may block. Runs in the
 * supervisor's main process and never waits, but in scribe_free(). Where and how things are written
 * is scribe_log.c and scribe_journal.c.
 *
 * Two pens, each with a queue and a child of its own: a syslog that hangs must not keep the journal from being written.
 * Records go over a packet socket; what it does not take at once stays in a queue of bounded size.
 * The child acknowledges what it has written: so a hung disk shows, and a killed child is known to
 * have lost something. It ends when its socket does, and so survives us just long enough to write
 * our last words.
 */
#include "supervisor/scribe.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/spawn_kid.h"
#include "supervisor/scribe_child.h"

#define IDLE_MS 5000		/* a child with nothing to do is sent home */
#define RETRY_MS 1000		/* after a failed fork or a killed child, while something waits */
#define FREE_MS 2000
#define CHILD_FD 3
#define NEWS_MAX 4		/* answers that are handled in one turn */

/* Outlives its scribe's interest in it until the kernel has given its end. */
struct scribe_kid {
	pid_t		 pid;
	int		 pidfd;
	struct loop_io	*ended;
};

struct pen {
	struct scribe		*scribe;
	enum scribe_pen		 which;
	char			 to[PATH_MAX];	/* where the child writes */
	int			 fd;		/* to the child, -1: there is none */
	struct loop_io		*io;
	struct scribe_kid	*kid;		/* the latest, perhaps NULL */
	struct loop_timer	*timer;
	char			*queue;		/* of size_t length, bytes; NULL when empty */
	size_t			 head, tail, size, waits;
	uint64_t		 untaken;	/* records sent, not acknowledged */
	uint64_t		 progress_ms;	/* the child took something, or had nothing to take */
	uint64_t		 dropped, untold;
	uint64_t		 stuck_ms;	/* since when it cannot be written, 0: it can */
	char			 stuck[SCRIBE_TEXT_MAX];
};

struct scribe {
	struct loop		*loop;
	scribe_told_f		*told;
	void			*arg;
	struct pen		 pen[SCRIBE_PENS];
};

static void pen_flush(struct pen *p);

/* ---------------------------------------------------------------- the child */

static void
kid_gone(int fd, unsigned int ready, void *arg)
{
	struct scribe_kid *kid = arg;
	siginfo_t si;

	(void)ready;
	waitid(P_PIDFD, (id_t)fd, &si, WEXITED | WNOHANG);
	loop_io_free(kid->ended);
	close(kid->pidfd);
	kid->pidfd = -1;
	kid->ended = NULL;
	if (kid->pid == -1)
		free(kid);		/* nobody refers to it any more */
}

/* It reaps itself when its time comes. */
static void
kid_release(struct scribe_kid *kid)
{
	if (kid == NULL)
		return;
	kid->pid = -1;
	if (kid->pidfd == -1)
		free(kid);
}

static void __attribute__((noreturn))
kid_run(const struct pen *p, int fd)
{
	sigset_t empty;

	/* It ends with the socket, not with the signals that end the daemon: last words come then. */
	kid_settle(false);
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&empty);
	sigprocmask(SIG_SETMASK, &empty, NULL);
	loop_forked(p->scribe->loop);
	log_to(NULL, NULL);
	if (fd != CHILD_FD && dup2(fd, CHILD_FD) == -1)
		_exit(1);
	kid_close_from(CHILD_FD + 1);
	if (p->which == SCRIBE_LOG)
		scribe_write_log(CHILD_FD, p->to);
	else
		scribe_write_journal(CHILD_FD, p->to);
	_exit(0);
}

/* The child no longer counts: what it has not acknowledged may be lost. */
static void
child_drop(struct pen *p, bool failed)
{
	if (p->fd == -1)
		return;
	loop_io_free(p->io);
	close(p->fd);
	p->io = NULL;
	p->fd = -1;
	if (failed) {
		p->dropped += p->untaken;
		p->untold += p->untaken;
	}
	p->untaken = 0;
	kid_release(p->kid);
	p->kid = NULL;
	if (p->head != p->tail)
		loop_timer_in(p->timer, RETRY_MS);
	else
		loop_timer_cancel(p->timer);
}

/* What an answer means for us, and what is to be told of it; false: nothing. */
static bool
child_answered(struct pen *p, struct scribe_answer *a)
{
	uint64_t now = clock_mono_ms();

	p->untaken -= a->taken < p->untaken ? a->taken : p->untaken;
	if (a->taken > 0)
		p->progress_ms = now;
	a->text[sizeof(a->text) - 1] = '\0';
	if (a->news == SCRIBE_STUCK) {
		if (p->stuck_ms != 0)
			return false;		/* a new child says it again */
		p->stuck_ms = now;
		memcpy(p->stuck, a->text, sizeof(p->stuck));
	} else if (a->taken > 0 && p->stuck_ms != 0) {
		a->news = SCRIBE_WELL;
		snprintf(a->text, sizeof(a->text), "the journal is written again, after %llu s; %llu entries are missing in it",
		    (unsigned long long)(now - p->stuck_ms) / 1000, (unsigned long long)p->untold);
		p->stuck_ms = 0;
	}
	return a->news != SCRIBE_NO_NEWS;
}

static void
child_ready(int fd, unsigned int ready, void *arg)
{
	struct scribe_answer a, news[NEWS_MAX];
	struct pen *p = arg;
	struct scribe *s = p->scribe;
	size_t len = 0;
	ssize_t n = -1;

	(void)ready;
	while (len < NEWS_MAX && (n = recv(fd, &a, sizeof(a), MSG_DONTWAIT)) == (ssize_t)sizeof(a)) {
		if (child_answered(p, &a))
			news[len++] = a;
	}
	if (len == NEWS_MAX || (n == -1 && (errno == EAGAIN || errno == EINTR)))
		pen_flush(p);
	else
		child_drop(p, true);
	/* last, since who is told may write something, which may make another child */
	for (size_t i = 0; s->told != NULL && i < len; i++)
		s->told(s->arg, news[i].news, news[i].text);
}

static bool
child_start(struct pen *p)
{
	struct scribe_kid *kid = calloc(1, sizeof(*kid));
	sigset_t all, before;
	int pair[2] = { -1, -1 };

	if (kid == NULL || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == -1)
		goto failed;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);	/* our handlers would speak to the parent's loop */
	if ((kid->pid = fork()) == 0)
		kid_run(p, pair[1]);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (kid->pid == -1)
		goto failed;
	if ((kid->pidfd = (int)syscall(SYS_pidfd_open, kid->pid, 0)) == -1) {
		kill(kid->pid, SIGKILL);
		waitpid(kid->pid, NULL, 0);	/* waits for input yet: dies at once */
		goto failed;
	}
	close(pair[1]);
	p->fd = pair[0];
	p->kid = kid;
	kid->ended = loop_io_new(p->scribe->loop, kid->pidfd, LOOP_READ, kid_gone, kid);
	p->io = loop_io_new(p->scribe->loop, p->fd, LOOP_READ, child_ready, p);
	p->progress_ms = clock_mono_ms();
	return true;
failed:
	if (pair[0] != -1)
		close(pair[0]);
	if (pair[1] != -1)
		close(pair[1]);
	free(kid);
	return false;
}

/* ---------------------------------------------------------------- the queue */

/* False where it is full. */
static bool
queue_add(struct pen *p, const struct scribe_record *r, size_t len)
{
	size_t need = sizeof(len) + len, size = p->size;

	if (p->tail - p->head + need > SCRIBE_BUFFER)
		return false;
	if (p->tail + need > p->size && p->head > 0) {
		memmove(p->queue, p->queue + p->head, p->tail - p->head);
		p->tail -= p->head;
		p->head = 0;
	}
	while (size < p->tail + need)
		size = size == 0 ? 4096 : size * 2;
	if (size != p->size) {
		if ((p->queue = realloc(p->queue, size)) == NULL)
			abort();
		p->size = size;
	}
	memcpy(p->queue + p->tail, &len, sizeof(len));
	memcpy(p->queue + p->tail + sizeof(len), r, len);
	p->tail += need;
	p->waits++;
	return true;
}

/* True: one record went to the child. */
static bool
queue_send(struct pen *p)
{
	size_t len;

	if (p->head == p->tail)
		return false;
	memcpy(&len, p->queue + p->head, sizeof(len));
	if (send(p->fd, p->queue + p->head + sizeof(len), len, MSG_NOSIGNAL | MSG_DONTWAIT) == -1)
		return false;
	if (p->untaken++ == 0)
		p->progress_ms = clock_mono_ms();
	p->head += sizeof(len) + len;
	p->waits--;
	if (p->head == p->tail) {	/* an idle scribe holds no memory */
		free(p->queue);
		p->queue = NULL;
		p->head = p->tail = p->size = 0;
	}
	return true;
}

static size_t
record_line(struct scribe_record *r, enum log_level level, const char *line)
{
	r->wall_ms = clock_wall_ms();
	r->kind = SCRIBE_LINE;
	r->level = level;
	snprintf(r->u.line, sizeof(r->u.line), "%s", line);
	return offsetof(struct scribe_record, u) + strlen(r->u.line) + 1;
}

static size_t
record_event(struct scribe_record *r, const struct journal_event *e)
{
	r->wall_ms = e->wall_ms;
	r->kind = SCRIBE_EVENT;
	r->u.event = *e;
	return offsetof(struct scribe_record, u) + sizeof(r->u.event);
}

/* Once there is room again it is told how much there was no room for. */
static void
tell_dropped(struct pen *p)
{
	struct journal_event e = { .kind = JOURNAL_EVENT, .name = "gap", .wall_ms = clock_wall_ms() };
	struct scribe_record r = { 0 };
	char line[160];
	size_t len;

	if (p->untold == 0 || p->head != p->tail)
		return;
	snprintf(line, sizeof(line), "%llu %s may be missing before this one: %s", (unsigned long long)p->untold,
	    p->which == SCRIBE_LOG ? "lines" : "entries", p->which == SCRIBE_LOG ? "the log took nothing more" :
	    "the journal could not be written");
	snprintf(e.text, sizeof(e.text), "%s", line);
	len = p->which == SCRIBE_LOG ? record_line(&r, LOG_LVL_WARN, line) : record_event(&r, &e);
	if (queue_add(p, &r, len))
		p->untold = 0;
}

static void
pen_flush(struct pen *p)
{
	tell_dropped(p);
	if (p->fd == -1 && p->head != p->tail && !child_start(p)) {
		loop_timer_in(p->timer, RETRY_MS);
		return;
	}
	while (queue_send(p))
		tell_dropped(p);
	if (p->fd == -1)
		return;
	if (p->head != p->tail && errno != EAGAIN) {
		child_drop(p, true);		/* it is dead; the next write makes another */
		return;
	}
	loop_io_want(p->io, p->head != p->tail ? LOOP_READ | LOOP_WRITE : LOOP_READ);
	loop_timer_in(p->timer, IDLE_MS);
}

static void
pen_timer(void *arg)
{
	struct pen *p = arg;

	if (p->fd == -1)
		pen_flush(p);
	else if (p->untaken == 0 && p->head == p->tail)
		child_drop(p, false);
	else
		loop_timer_in(p->timer, IDLE_MS);
}

static void
pen_take(struct pen *p, const struct scribe_record *r, size_t len)
{
	tell_dropped(p);
	if (!queue_add(p, r, len)) {
		p->dropped++;
		p->untold++;
	}
	pen_flush(p);
}

/* ---------------------------------------------------------------- what others call */

struct scribe *
scribe_new(struct loop *loop, const struct conf *conf, scribe_told_f *told, void *arg)
{
	struct scribe *s = calloc(1, sizeof(*s));

	if (s == NULL)
		abort();
	s->loop = loop;
	s->told = told;
	s->arg = arg;
	for (int i = 0; i < SCRIBE_PENS; i++) {
		s->pen[i].scribe = s;
		s->pen[i].which = (enum scribe_pen)i;
		s->pen[i].fd = -1;
		s->pen[i].timer = loop_timer_new(loop, pen_timer, &s->pen[i]);
	}
	scribe_conf(s, conf);
	return s;
}

/* The child of now finishes for the old place, the next one begins with the new. */
static void
pen_move(struct pen *p, const char *to)
{
	if (strcmp(p->to, to) == 0)
		return;
	snprintf(p->to, sizeof(p->to), "%s", to);
	child_drop(p, false);
	pen_flush(p);
}

void
scribe_conf(struct scribe *s, const struct conf *conf)
{
	char journal[PATH_MAX];

	snprintf(journal, sizeof(journal), "%s/journal.db", conf->state_dir);
	pen_move(&s->pen[SCRIBE_LOG], conf->log);
	pen_move(&s->pen[SCRIBE_JOURNAL], journal);
}

void
scribe_log(void *scribe, enum log_level level, const char *line)
{
	struct scribe *s = scribe;
	struct scribe_record r = { 0 };

	pen_take(&s->pen[SCRIBE_LOG], &r, record_line(&r, level, line));
}

void
scribe_event(struct scribe *s, const struct journal_event *e)
{
	struct scribe_record r = { 0 };

	pen_take(&s->pen[SCRIBE_JOURNAL], &r, record_event(&r, e));
}

void
scribe_try(struct scribe *s)
{
	struct scribe_record r = { .kind = SCRIBE_TRY };
	struct pen *p = &s->pen[SCRIBE_JOURNAL];

	if (p->untaken == 0 && p->head == p->tail)	/* else it is tried already */
		pen_take(p, &r, offsetof(struct scribe_record, u));
}

void
scribe_health(const struct scribe *s, enum scribe_pen which, uint64_t now_ms, struct scribe_health *ret)
{
	const struct pen *p = &s->pen[which];
	bool busy = p->untaken > 0 || p->head != p->tail;

	*ret = (struct scribe_health){ .waits = p->waits + p->untaken, .dropped = p->dropped,
		.stuck = p->stuck_ms != 0 ? p->stuck : NULL,
		.waiting_ms = busy && now_ms > p->progress_ms ? now_ms - p->progress_ms : 0 };
}

/* Send the rest, then wait for the child to write it: both until then. */
static void
pen_drain(struct pen *p, uint64_t until_ms)
{
	struct scribe_answer a;
	uint64_t now;

	while (p->fd != -1 && p->kid->pidfd != -1 && (now = clock_mono_ms()) < until_ms) {
		struct pollfd fds[] = { { .fd = p->fd, .events = POLLIN }, { .fd = p->kid->pidfd, .events = POLLIN } };

		while (queue_send(p))
			continue;
		if (p->head == p->tail)
			shutdown(p->fd, SHUT_WR);
		else
			fds[0].events |= POLLOUT;
		poll(fds, 2, (int)(until_ms - now));
		/* its answers must be read even now: it waits for room to send them */
		while (recv(p->fd, &a, sizeof(a), MSG_DONTWAIT) > 0)
			continue;
		if (fds[1].revents != 0)
			kid_gone(p->kid->pidfd, LOOP_READ, p->kid);
	}
}

void
scribe_free(struct scribe *s)
{
	uint64_t until = clock_mono_ms() + FREE_MS;

	if (s == NULL)
		return;
	/* what is still to be written of one must not begin only when the other is done */
	for (int i = 0; i < SCRIBE_PENS; i++)
		pen_flush(&s->pen[i]);
	for (int i = 0; i < SCRIBE_PENS; i++) {
		pen_drain(&s->pen[i], until);
		child_drop(&s->pen[i], false);
		loop_timer_free(s->pen[i].timer);
		free(s->pen[i].queue);
	}
	free(s);
}
