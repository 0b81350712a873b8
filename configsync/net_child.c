/*
 * configsync/net_child.c - relays messages between the parent's socket and the channel, with back-pressure both ways: what the parent
 * does not take stays with the peer, what the peer does not take stays with the parent.
 */
#include "configsync/net_child.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/memory.h"
#include "configsync/arena.h"
#include "configsync/net_pipe.h"
#include "configsync/net_priv.h"

#define REFUSED_EVERY_MS 1000	/* a stranger can make many */
#define QUIET_MS 5000		/* without a message; then memory is given back */

struct child {
	struct loop		*loop;
	struct channel		*channel;
	struct net_pipe		*pipe;
	struct loop_timer	*quiet;
	struct loop_timer	*tell;		/* runs: a refusal was told less than so long ago */
	struct net_event	 refused;	/* the last one that was not told; why CHANNEL_WHY_COUNT: none */
	uint64_t		 refusals;
	uint32_t		 stream;	/* number of the last one */
	bool			 up, choked, closing;
};

/* ---------------------------------------------------------------- from the channel */

/* Too much waits for the parent: so may the peer, and so may the next stream of one that connects again and again. */
static void
choke(struct child *c)
{
	if (c->choked || net_pipe_waits(c->pipe) <= NET_WAITS_MAX)
		return;
	c->choked = true;
	channel_pause(c->channel);
	net_pipe_tell_below(c->pipe, NET_WAITS_MAX / 2);
}

static void
channel_up(void *arg)
{
	struct child *c = arg;
	struct channel_status now;
	struct net_event e = { .refused = c->refusals };

	channel_status(c->channel, &now);
	c->up = true;
	c->choked = false;
	loop_timer_in(c->quiet, QUIET_MS);
	e.key = now.key;
	memcpy(e.where, now.where, sizeof e.where);
	net_pipe_put(c->pipe, NET_UP, ++c->stream, &e, sizeof e);
	choke(c);
}

static void
channel_received(void *arg, uint8_t type, const uint8_t *bytes, size_t len)
{
	struct child *c = arg;

	net_pipe_put(c->pipe, type, c->stream, bytes, len);
	loop_timer_in(c->quiet, QUIET_MS);
	choke(c);
}

/* What the parent said, and could not be sent, is offered again. */
static void
channel_drained(void *arg)
{
	struct child *c = arg;

	net_pipe_pause(c->pipe, false);
}

static void
channel_down(void *arg, enum channel_why why, const char *sentence)
{
	struct child *c = arg;
	struct net_event e = { .why = (int)why, .refused = c->refusals };

	c->up = false;
	snprintf(e.text, sizeof e.text, "%s", sentence);
	net_pipe_put(c->pipe, NET_DOWN, c->stream, &e, sizeof e);
	if (c->closing)
		_exit(0);
	net_pipe_pause(c->pipe, false);
}

static void
tell_refused(void *arg)
{
	struct child *c = arg;

	if (c->refused.why == CHANNEL_WHY_COUNT)
		return;
	c->refused.refused = c->refusals;
	net_pipe_put(c->pipe, NET_REFUSED, c->stream, &c->refused, sizeof c->refused);
	c->refused.why = CHANNEL_WHY_COUNT;
	loop_timer_in(c->tell, REFUSED_EVERY_MS);
}

static void
is_quiet(void *arg)
{
	(void)arg;
	memory_give_back();
}

static void
channel_refused(void *arg, enum channel_why why, const char *sentence)
{
	struct child *c = arg;

	c->refusals++;
	c->refused.why = (int)why;
	snprintf(c->refused.text, sizeof c->refused.text, "%s", sentence);
	if (!loop_timer_pending(c->tell))
		tell_refused(c);
}

static const struct channel_calls channel_calls = { channel_up, channel_received, channel_drained, channel_down, channel_refused };

/* ---------------------------------------------------------------- from the parent */

static void
said(const uint8_t *bytes, size_t len, char out[CHANNEL_TEXT_MAX])
{
	snprintf(out, CHANNEL_TEXT_MAX, "%.*s", (int)(len < CHANNEL_TEXT_MAX ? len : CHANNEL_TEXT_MAX - 1), (const char *)bytes);
}

static bool
pipe_frame(void *arg, uint8_t type, uint32_t stream, const uint8_t *bytes, size_t len)
{
	struct child *c = arg;
	char text[CHANNEL_TEXT_MAX];

	if (type == NET_CLOSE) {
		said(bytes, len, text);
		c->closing = true;
		if (!channel_close(c->channel, text))
			_exit(0);
	} else if (!c->up || stream != c->stream) {
		return true;	/* meant for one that has ended */
	} else if (type == NET_DROP) {
		said(bytes, len, text);
		channel_drop(c->channel, text);
	} else if (type >= CHANNEL_TYPE_MIN) {
		loop_timer_in(c->quiet, QUIET_MS);
		return channel_send(c->channel, type, bytes, len) != CHANNEL_FULL;
	}
	return true;
}

static void
pipe_drained(void *arg)
{
	struct child *c = arg;

	if (c->choked) {
		c->choked = false;
		channel_resume(c->channel);
	}
}

static void __attribute__((noreturn))
pipe_ended(void *arg, const char *why)
{
	(void)arg;
	(void)why;
	_exit(0);
}

static const struct net_pipe_calls pipe_calls = { pipe_frame, pipe_drained, pipe_ended };

/* ---------------------------------------------------------------- beginning */

static bool
read_whole(void *to, size_t len)
{
	for (size_t done = 0; done < len; ) {
		ssize_t n = read(NET_FD, (uint8_t *)to + done, len - done);

		if (n > 0)
			done += (size_t)n;
		else if (n == 0 || errno != EINTR)
			return false;
	}
	return true;
}

/* The first frame, while there is no loop yet. */
static bool
read_boot(struct net_boot *ret)
{
	uint8_t head[9], expect[4] = { 0, 0, sizeof *ret >> 8, sizeof *ret & 0xff };

	_Static_assert(sizeof *ret < 65536, "its length is compared as two bytes");
	return read_whole(head, sizeof head) && memcmp(head, expect, sizeof expect) == 0 && head[4] == NET_BOOT &&
	    read_whole(ret, sizeof *ret);
}

static bool
channel_begin(struct child *c, const struct net_boot *boot, struct err *err)
{
	struct channel_setup setup = { .pair = boot->pair, .service = boot->service, .node = boot->node, .peer = boot->peer,
		.at_len = boot->at_len, .derived = &boot->keys, .limits = boot->limits, .calls = &channel_calls, .arg = c };

	for (size_t i = 0; i < boot->at_len; i++)
		setup.at[i] = (struct channel_address){ boot->host[i], boot->port[i] };
	return boot->listen ? channel_listen(c->loop, &setup, &c->channel, err) : channel_connect(c->loop, &setup, &c->channel, err);
}

static bool
begin(struct child *c, const struct net_boot *boot, struct net_ready *ready, struct err *err)
{
	struct net_sandbox box = { .parent = boot->parent, .uid = boot->uid, .gid = boot->gid, .connects = !boot->listen, .ports = boot->at_len };

	_Static_assert(NET_PORTS_MAX == CHANNEL_ADDRESSES_MAX, "a port for each address");
	if (!channel_begin(c, boot, err))
		return false;
	memcpy(box.port, boot->port, sizeof box.port);
	for (size_t i = 0; boot->listen && i < boot->at_len; i++)
		ready->port[i] = channel_port(c->channel, i);
	return net_sandbox(&box, &ready->sandbox, err);
}

int
net_child_main(void)
{
	struct child *c = need(calloc(1, sizeof *c));
	struct net_ready ready = { .port = { 0 } };
	struct net_boot boot;
	struct err err;

	if (!read_boot(&boot))
		_exit(2);
	c->loop = loop_new();
	c->refused.why = CHANNEL_WHY_COUNT;
	fcntl(NET_FD, F_SETFL, O_NONBLOCK);
	fcntl(NET_FD, F_SETFD, FD_CLOEXEC);
	c->pipe = net_pipe_new(c->loop, NET_FD, boot.limits.message_max, &pipe_calls, c);
	c->tell = loop_timer_new(c->loop, tell_refused, c);
	c->quiet = loop_timer_new(c->loop, is_quiet, c);
	loop_timer_in(c->quiet, QUIET_MS);
	if (!begin(c, &boot, &ready, &err)) {
		net_pipe_put(c->pipe, NET_FAILED, 0, err.text, strlen(err.text));
		_exit(1);
	}
	explicit_bzero(&boot, sizeof boot);
	net_pipe_put(c->pipe, NET_READY, 0, &ready, sizeof ready);
	loop_run(c->loop);
	return 0;
}
