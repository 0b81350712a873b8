/*
 * supervisor/scribe.c - hands log lines and journal events to a child that may block. Runs in the
 * supervisor's main process and never waits, but in scribe_free(). Where and how things are written
 * is scribe_child.c.
 *
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

/* Outlives its scribe's interest in it until the kernel has given its end. */
struct scribe_kid {
	pid_t		 pid;
	int		 pidfd;
	struct loop_io	*ended;
};

struct scribe {
	struct loop		*loop;
	struct scribe_target	 to;
	uint32_t		 stall_ms;
	int			 fd;		/* to the child, -1: there is none */
	struct loop_io		*io;
	struct scribe_kid	*kid;		/* the latest, perhaps NULL */
	struct loop_timer	*timer;
	char			*queue;		/* of size_t length, bytes; NULL when empty */
	size_t			 head, tail, size;
	uint64_t		 untaken;	/* records sent, not acknowledged */
	uint64_t		 progress_ms;	/* the child took something, or had nothing to take */
	uint64_t		 dropped, untold;
};

static void scribe_flush(struct scribe *s);

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
kid_run(struct scribe *s, int fd)
{
	sigset_t empty;

	/* It ends with the socket, not with the signals that end the daemon: last words come then. */
	kid_settle(false);
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&empty);
	sigprocmask(SIG_SETMASK, &empty, NULL);
	loop_forked(s->loop);
	log_to(NULL, NULL);
	if (fd != CHILD_FD && dup2(fd, CHILD_FD) == -1)
		_exit(1);
	kid_close_from(CHILD_FD + 1);
	scribe_child(CHILD_FD, &s->to);
	_exit(0);
}

/* The child no longer counts: what it has not acknowledged may be lost. */
static void
child_drop(struct scribe *s, bool failed)
{
	if (s->fd == -1)
		return;
	loop_io_free(s->io);
	close(s->fd);
	s->io = NULL;
	s->fd = -1;
	if (failed) {
		s->dropped += s->untaken;
		s->untold += s->untaken;
	}
	s->untaken = 0;
	kid_release(s->kid);
	s->kid = NULL;
	if (s->head != s->tail)
		loop_timer_in(s->timer, RETRY_MS);
	else
		loop_timer_cancel(s->timer);
}

static void
child_ready(int fd, unsigned int ready, void *arg)
{
	struct scribe *s = arg;
	uint32_t taken;
	ssize_t n;

	(void)ready;
	while ((n = recv(fd, &taken, sizeof(taken), MSG_DONTWAIT)) == (ssize_t)sizeof(taken)) {
		s->untaken -= taken < s->untaken ? taken : s->untaken;
		s->progress_ms = clock_mono_ms();
	}
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		scribe_flush(s);
	else
		child_drop(s, true);
}

static bool
child_start(struct scribe *s)
{
	struct scribe_kid *kid = calloc(1, sizeof(*kid));
	sigset_t all, before;
	int pair[2] = { -1, -1 };

	if (kid == NULL || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == -1)
		goto failed;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);	/* our handlers would speak to the parent's loop */
	if ((kid->pid = fork()) == 0)
		kid_run(s, pair[1]);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (kid->pid == -1)
		goto failed;
	if ((kid->pidfd = (int)syscall(SYS_pidfd_open, kid->pid, 0)) == -1) {
		kill(kid->pid, SIGKILL);
		waitpid(kid->pid, NULL, 0);	/* waits for input yet: dies at once */
		goto failed;
	}
	close(pair[1]);
	s->fd = pair[0];
	s->kid = kid;
	kid->ended = loop_io_new(s->loop, kid->pidfd, LOOP_READ, kid_gone, kid);
	s->io = loop_io_new(s->loop, s->fd, LOOP_READ, child_ready, s);
	s->progress_ms = clock_mono_ms();
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
queue_add(struct scribe *s, const struct scribe_record *r, size_t len)
{
	size_t need = sizeof(len) + len, size = s->size;

	if (s->tail - s->head + need > SCRIBE_BUFFER)
		return false;
	if (s->tail + need > s->size && s->head > 0) {
		memmove(s->queue, s->queue + s->head, s->tail - s->head);
		s->tail -= s->head;
		s->head = 0;
	}
	while (size < s->tail + need)
		size = size == 0 ? 4096 : size * 2;
	if (size != s->size) {
		if ((s->queue = realloc(s->queue, size)) == NULL)
			abort();
		s->size = size;
	}
	memcpy(s->queue + s->tail, &len, sizeof(len));
	memcpy(s->queue + s->tail + sizeof(len), r, len);
	s->tail += need;
	return true;
}

/* True: one record went to the child. */
static bool
queue_send(struct scribe *s)
{
	size_t len;

	if (s->head == s->tail)
		return false;
	memcpy(&len, s->queue + s->head, sizeof(len));
	if (send(s->fd, s->queue + s->head + sizeof(len), len, MSG_NOSIGNAL | MSG_DONTWAIT) == -1)
		return false;
	if (s->untaken++ == 0)
		s->progress_ms = clock_mono_ms();
	s->head += sizeof(len) + len;
	if (s->head == s->tail) {	/* an idle scribe holds no memory */
		free(s->queue);
		s->queue = NULL;
		s->head = s->tail = s->size = 0;
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

/* Once there is room again it is told how much there was no room for. */
static void
tell_dropped(struct scribe *s)
{
	struct scribe_record r = { 0 };
	char line[128];

	if (s->untold == 0 || s->head != s->tail)
		return;
	snprintf(line, sizeof(line), "%llu log lines and journal events may be missing before this one: "
	    "the log or the disk was too slow", (unsigned long long)s->untold);
	if (queue_add(s, &r, record_line(&r, LOG_LVL_WARN, line)))
		s->untold = 0;
}

static void
scribe_flush(struct scribe *s)
{
	tell_dropped(s);
	if (s->fd == -1 && s->head != s->tail && !child_start(s)) {
		loop_timer_in(s->timer, RETRY_MS);
		return;
	}
	while (queue_send(s))
		tell_dropped(s);
	if (s->fd == -1)
		return;
	if (s->head != s->tail && errno != EAGAIN) {
		child_drop(s, true);		/* it is dead; the next write makes another */
		return;
	}
	loop_io_want(s->io, s->head != s->tail ? LOOP_READ | LOOP_WRITE : LOOP_READ);
	loop_timer_in(s->timer, IDLE_MS);
}

static void
scribe_timer(void *arg)
{
	struct scribe *s = arg;

	if (s->fd == -1)
		scribe_flush(s);
	else if (s->untaken == 0 && s->head == s->tail)
		child_drop(s, false);
	else
		loop_timer_in(s->timer, IDLE_MS);
}

static void
scribe_take(struct scribe *s, const struct scribe_record *r, size_t len)
{
	if (!queue_add(s, r, len)) {
		s->dropped++;
		s->untold++;
	}
	scribe_flush(s);
}

/* ---------------------------------------------------------------- what others call */

struct scribe *
scribe_new(struct loop *loop, const struct conf *conf)
{
	struct scribe *s = calloc(1, sizeof(*s));

	if (s == NULL)
		abort();
	s->loop = loop;
	s->fd = -1;
	s->timer = loop_timer_new(loop, scribe_timer, s);
	scribe_conf(s, conf);
	return s;
}

void
scribe_conf(struct scribe *s, const struct conf *conf)
{
	struct scribe_target was = s->to;

	snprintf(s->to.log, sizeof(s->to.log), "%s", conf->log);
	snprintf(s->to.journal, sizeof(s->to.journal), "%s/journal.db", conf->state_dir);
	s->stall_ms = conf->stall_ms;
	/* The child of now finishes for the old place, the next one begins with the new. */
	if (strcmp(was.log, s->to.log) != 0 || strcmp(was.journal, s->to.journal) != 0) {
		child_drop(s, false);
		scribe_flush(s);
	}
}

void
scribe_log(void *scribe, enum log_level level, const char *line)
{
	struct scribe_record r = { 0 };

	scribe_take(scribe, &r, record_line(&r, level, line));
}

void
scribe_event(struct scribe *s, const struct journal_event *e)
{
	struct scribe_record r = { .wall_ms = e->wall_ms, .kind = SCRIBE_EVENT, .u.event = *e };

	scribe_take(s, &r, sizeof(r));
}

uint64_t
scribe_waiting_ms(const struct scribe *s, uint64_t now_ms)
{
	if ((s->untaken == 0 && s->head == s->tail) || now_ms <= s->progress_ms)
		return 0;
	return now_ms - s->progress_ms;
}

bool
scribe_stalled(const struct scribe *s, uint64_t now_ms)
{
	return scribe_waiting_ms(s, now_ms) > s->stall_ms;
}

uint64_t
scribe_dropped(const struct scribe *s)
{
	return s->dropped;
}

/* Send the rest, then wait for the child to write it: both within FREE_MS. */
static void
scribe_drain(struct scribe *s)
{
	uint64_t now, until = clock_mono_ms() + FREE_MS;
	uint32_t taken;

	while (s->fd != -1 && s->kid->pidfd != -1 && (now = clock_mono_ms()) < until) {
		struct pollfd p[] = { { .fd = s->fd, .events = POLLIN },
			{ .fd = s->kid->pidfd, .events = POLLIN } };

		while (queue_send(s))
			continue;
		if (s->head == s->tail)
			shutdown(s->fd, SHUT_WR);
		else
			p[0].events |= POLLOUT;
		poll(p, 2, (int)(until - now));
		/* its counts must be read even now: it waits for room to send them */
		while (recv(s->fd, &taken, sizeof(taken), MSG_DONTWAIT) > 0)
			continue;
		if (p[1].revents != 0)
			kid_gone(s->kid->pidfd, LOOP_READ, s->kid);
	}
}

void
scribe_free(struct scribe *s)
{
	if (s == NULL)
		return;
	scribe_flush(s);
	scribe_drain(s);
	child_drop(s, false);
	loop_timer_free(s->timer);
	free(s->queue);
	free(s);
}
