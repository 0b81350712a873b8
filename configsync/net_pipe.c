/*
 * configsync/net_pipe.c - frames over a local socket. What the kernel takes at once is not copied.
 */
#include "configsync/net_pipe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "configsync/arena.h"

#define HEAD 9u
#define ROOM (64u << 10)	/* kept for what comes while idle */

struct queue { uint8_t *bytes; size_t at, len, room; };

struct net_pipe {
	int				 fd;
	struct loop_io			*io;
	struct loop_timer		*again;		/* after a pause: what was here already */
	const struct net_pipe_calls	*calls;
	void				*arg;
	struct queue			 in, out;
	size_t				 body_max, below;
	bool				 wants_drain, paused, ended;
	bool				 busy, dead;	/* frames are given out; freed meanwhile */
};

static uint32_t
u32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void
u32_put(uint32_t value, uint8_t *to)
{
	for (int i = 3; i >= 0; i--, value >>= 8)
		to[i] = (uint8_t)value;
}

/* Room for more bytes behind what is there. */
static void
queue_room(struct queue *q, size_t more)
{
	if (q->len == 0)
		q->at = 0;
	if (q->room - q->at - q->len >= more)
		return;
	if (q->at > 0)
		memmove(q->bytes, q->bytes + q->at, q->len);
	q->at = 0;
	while (q->room - q->len < more)
		q->room = q->room == 0 ? ROOM : 2 * q->room;
	q->bytes = need(realloc(q->bytes, q->room));
}

static void
queue_add(struct queue *q, const void *bytes, size_t len)
{
	if (len == 0)
		return;
	queue_room(q, len);
	memcpy(q->bytes + q->at + q->len, bytes, len);
	q->len += len;
}

/* A burst does not stay in memory. */
static void
queue_take(struct queue *q, size_t len)
{
	q->at += len;
	q->len -= len;
	if (q->len == 0 && q->room > ROOM) {
		free(q->bytes);
		*q = (struct queue){ 0 };
	}
}

static void
want(struct net_pipe *p)
{
	loop_io_want(p->io, (p->paused || p->ended ? 0u : (unsigned int)LOOP_READ) |
	    ((p->out.len > 0 || p->wants_drain) && !p->ended ? (unsigned int)LOOP_WRITE : 0u));
}

/* ---------------------------------------------------------------- out */

/* How much the kernel took. What cannot be sent any more is of no use to anybody: its end is noticed where it is read. */
static size_t
out_now(struct net_pipe *p, struct iovec *iov, size_t n)
{
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = n };
	ssize_t did;

	do
		did = sendmsg(p->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (did == -1 && errno == EINTR);
	if (did >= 0)
		return (size_t)did;
	return errno == EAGAIN || errno == ENOBUFS ? 0 : SIZE_MAX;
}

void
net_pipe_put(struct net_pipe *p, uint8_t type, uint32_t stream, const void *bytes, size_t len)
{
	uint8_t head[HEAD];
	struct iovec iov[2] = { { head, HEAD }, { (void *)(uintptr_t)bytes, len } };
	size_t did = 0;

	if (p->ended)
		return;
	u32_put((uint32_t)len, head);
	head[4] = type;
	u32_put(stream, head + 5);
	if (p->out.len == 0)
		did = out_now(p, iov, len > 0 ? 2 : 1);
	if (did == SIZE_MAX)
		return;
	if (did < HEAD)
		queue_add(&p->out, head + did, HEAD - did);
	did = did < HEAD ? 0 : did - HEAD;
	queue_add(&p->out, (const uint8_t *)bytes + did, len - did);
	want(p);
}

static void
out_more(struct net_pipe *p)
{
	struct iovec iov = { p->out.bytes + p->out.at, p->out.len };
	size_t did = p->out.len > 0 ? out_now(p, &iov, 1) : 0;

	queue_take(&p->out, did == SIZE_MAX ? p->out.len : did);
}

size_t
net_pipe_waits(const struct net_pipe *p)
{
	return p->out.len;
}

void
net_pipe_tell_below(struct net_pipe *p, size_t bytes)
{
	p->below = bytes;
	p->wants_drain = true;
	want(p);
}

/* ---------------------------------------------------------------- in */

static void
end(struct net_pipe *p, const char *why)
{
	p->ended = true;
	want(p);
	loop_timer_cancel(p->again);
	p->calls->ended(p->arg, why);
}

/* Give out one frame. False: no more of them now. */
static bool
in_take(struct net_pipe *p)
{
	const uint8_t *at;
	size_t len;

	if (p->in.len < HEAD)
		return false;
	at = p->in.bytes + p->in.at;
	len = u32(at);
	if (len > p->body_max) {
		end(p, "a frame that is longer than any message");
		return false;
	}
	if (p->in.len < HEAD + len)
		return false;
	if (!p->calls->frame(p->arg, at[4], u32(at + 5), at + HEAD, len)) {
		p->paused = true;
		return false;
	}
	queue_take(&p->in, HEAD + len);
	return true;
}

/* False: the pipe is gone. */
static bool
in_take_all(struct net_pipe *p)
{
	p->busy = true;
	while (!p->dead && !p->paused && !p->ended && in_take(p))
		continue;
	p->busy = false;
	if (p->dead) {
		free(p->in.bytes);
		free(p);
		return false;
	}
	want(p);
	return true;
}

/* Read what is there, at most what makes the frame under way whole, or a roomful. */
static ssize_t
in_read(struct net_pipe *p)
{
	size_t whole = p->in.len < HEAD ? 0 : HEAD + u32(p->in.bytes + p->in.at);
	ssize_t n;

	queue_room(&p->in, whole > p->in.len + ROOM / 2 ? whole - p->in.len : ROOM / 2);
	do
		n = recv(p->fd, p->in.bytes + p->in.at + p->in.len, p->in.room - p->in.at - p->in.len, MSG_DONTWAIT);
	while (n == -1 && errno == EINTR);
	if (n > 0)
		p->in.len += (size_t)n;
	return n;
}

static void
ready(int fd, unsigned int what, void *arg)
{
	struct net_pipe *p = arg;
	ssize_t n;

	(void)fd;
	if (what & LOOP_WRITE) {
		out_more(p);
		if (p->wants_drain && p->out.len <= p->below) {
			p->wants_drain = false;
			want(p);
			p->busy = true;
			p->calls->drained(p->arg);
			p->busy = false;
			if (p->dead) {
				free(p->in.bytes);
				free(p);
				return;
			}
		}
		want(p);
	}
	if (!(what & LOOP_READ) || p->paused || p->ended)
		return;
	n = in_read(p);
	if (n > 0)
		in_take_all(p);
	else if (n == 0 || errno != EAGAIN)
		end(p, "it is closed");
}

static void
taken_again(void *arg)
{
	in_take_all(arg);
}

void
net_pipe_pause(struct net_pipe *p, bool paused)
{
	if (p->paused == paused || p->ended)
		return;
	p->paused = paused;
	want(p);
	if (!paused)
		loop_timer_in(p->again, 0);
}

/* What is bounded is the time: nobody writes any more. */
void
net_pipe_rest(struct net_pipe *p)
{
	do
		if (!in_take_all(p))
			return;
	while (!p->paused && !p->ended && in_read(p) > 0);
}

struct net_pipe *
net_pipe_new(struct loop *loop, int fd, size_t body_max, const struct net_pipe_calls *calls, void *arg)
{
	struct net_pipe *p = need(calloc(1, sizeof *p));

	p->fd = fd;
	p->body_max = body_max;
	p->calls = calls;
	p->arg = arg;
	p->again = loop_timer_new(loop, taken_again, p);
	p->io = loop_io_new(loop, fd, LOOP_READ, ready, p);
	return p;
}

void
net_pipe_free(struct net_pipe *p)
{
	if (p == NULL)
		return;
	loop_io_free(p->io);
	loop_timer_free(p->again);
	close(p->fd);
	free(p->out.bytes);
	p->dead = true;
	if (p->busy)
		return;
	free(p->in.bytes);
	free(p);
}
