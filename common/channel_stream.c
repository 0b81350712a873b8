/*
 * common/channel_stream.c - one connection of a channel: handshake, names, messages, last words. Which connections there are and
 * what their end means is channel.c's business. With loop.c the only file that knows libevent: a bufferevent moves the bytes
 * between socket, OpenSSL and two buffers, on the base of our loop. Nothing here blocks.
 *
 * Frames are given out in stream_take_all() only. Whatever is called from there may free the stream: its memory lasts till the end of it.
 */
#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/channel_priv.h"
#include "common/clock.h"

#define RECORD 16384	/* of TLS, at most */

static void
need(bool done)
{
	if (!done)
		abort();
}

static struct evbuffer *
input(const struct stream *s)
{
	return bufferevent_get_input(s->bev);
}

static struct evbuffer *
output(const struct stream *s)
{
	return bufferevent_get_output(s->bev);
}

static void
stream_due(struct stream *s, uint64_t in_ms)
{
	s->due_ms = clock_mono_ms() + in_ms;
	loop_timer_at(s->timer, s->due_ms);
}

static void
sentence(const struct stream *s, char out[CHANNEL_TEXT_MAX], const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void
sentence(const struct stream *s, char out[CHANNEL_TEXT_MAX], const char *fmt, ...)
{
	char text[CHANNEL_TEXT_MAX - CHANNEL_WHERE_MAX - 2];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(out, CHANNEL_TEXT_MAX, "%s: %s", s->where, text);
}

/* ---- sending */

static void
stream_put(struct stream *s, uint8_t type, const void *bytes, size_t len)
{
	uint8_t head[CHANNEL_HEAD];

	channel_frame_head(type, (uint32_t)len, head);
	/* in one piece, so that a small message is one record */
	need(evbuffer_expand(output(s), sizeof(head) + len) == 0 && evbuffer_add(output(s), head, sizeof(head)) == 0 &&
	    (len == 0 || evbuffer_add(output(s), bytes, len) == 0));
	s->sent_ms = clock_mono_ms();
	s->records += 1 + (uint32_t)(len / RECORD);
}

/* Not while a record waits for the socket. */
static void
stream_renew(struct stream *s)
{
	if (s->records >= s->ch->limits.key_records && channel_tls_new_keys(s->ssl)) {
		s->records = 0;
		s->key_updates++;
	}
}

/*
 * A small message goes to the kernel at once where nothing waits before it: a turn of the loop for that is a good part of its way. What the kernel does not take
 * is put where libevent finds it, which OpenSSL allows as long as it begins with the same bytes.
 */
static bool
stream_put_now(struct stream *s, uint8_t type, const void *bytes, size_t len)
{
	uint8_t frame[RECORD];

	if (len > sizeof(frame) - CHANNEL_HEAD || evbuffer_get_length(output(s)) > 0)
		return false;
	channel_frame_head(type, (uint32_t)len, frame);
	if (len > 0)
		memcpy(frame + CHANNEL_HEAD, bytes, len);
	if (channel_tls_write(s->ssl, frame, CHANNEL_HEAD + len) == 0)
		return false;
	s->sent_ms = clock_mono_ms();
	s->records++;
	stream_renew(s);
	return true;
}

bool
stream_send(struct stream *s, uint8_t type, const void *bytes, size_t len)
{
	if (stream_put_now(s, type, bytes, len))
		return true;
	if (evbuffer_get_length(output(s)) + CHANNEL_HEAD + len > s->ch->limits.queue_max) {
		s->wants_drain = true;
		return false;
	}
	stream_put(s, type, bytes, len);
	return true;
}

/* All is in the kernel's hands: say so in TLS, then in TCP. The peer's answer to that is the end. */
static void
stream_flushed(struct stream *s)
{
	if (s->flushed)
		return;
	s->flushed = true;
	channel_tls_goodbye(s->ssl);
	shutdown(bufferevent_getfd(s->bev), SHUT_WR);
}

static void
stream_closing(struct stream *s)
{
	s->state = STREAM_CLOSING;
	s->paused = false;
	stream_due(s, s->ch->limits.handshake_ms);
	bufferevent_setwatermark(s->bev, EV_WRITE, 0, 0);
	bufferevent_enable(s->bev, EV_READ | EV_WRITE);	/* what comes is thrown away by stream_take_all() */
	if (evbuffer_get_length(output(s)) == 0)
		stream_flushed(s);
}

void
stream_say_bye(struct stream *s, const char *why)
{
	size_t len = strlen(why);

	if (s->state == STREAM_CLOSING)
		return;
	stream_put(s, CHANNEL_OWN_BYE, why, len < CHANNEL_BYE_MAX ? len : CHANNEL_BYE_MAX);
	stream_closing(s);
}

static void
stream_writable(struct bufferevent *bev, void *arg)
{
	struct stream *s = arg;

	(void)bev;
	if (s->state == STREAM_CLOSING) {
		if (evbuffer_get_length(output(s)) == 0)
			stream_flushed(s);
		return;
	}
	stream_renew(s);
	if (s->wants_drain) {
		s->wants_drain = false;
		s->ch->calls->drained(s->ch->arg);
	}
}

/* ---- receiving */

/* The other side breaks the rules: it is told why, if it listens. */
static void
stream_breach(struct stream *s, enum channel_why why, const char *text)
{
	char said[CHANNEL_TEXT_MAX];

	sentence(s, said, "%s", text);
	stream_say_bye(s, text);
	channel_stream_leaves(s, why, said);
}

static void
stream_bye(struct stream *s, const uint8_t *body, size_t len)
{
	char text[CHANNEL_BYE_MAX + 1], said[CHANNEL_TEXT_MAX];

	sentence(s, said, "the peer closed: %s", channel_printable(body, len, text, sizeof(text)));
	stream_closing(s);
	channel_stream_leaves(s, CHANNEL_BYE, said);
}

static void
stream_greeted(struct stream *s, const uint8_t *body, size_t len)
{
	struct channel_hello theirs;
	struct err err;

	if (!channel_hello_get(body, len, &theirs, &err) || !channel_hello_fits(&s->ch->hello, &theirs, &err)) {
		stream_breach(s, CHANNEL_STRANGER, err.text);
		return;
	}
	s->state = STREAM_UP;
	stream_due(s, s->ch->limits.keepalive_ms);
	channel_stream_proven(s);
}

static void
stream_frame(struct stream *s, uint8_t type, const uint8_t *body, size_t len)
{
	char text[64];

	if (type == CHANNEL_OWN_BYE) {
		stream_bye(s, body, len);
	} else if (s->state == STREAM_HELLO && type == CHANNEL_OWN_HELLO) {
		stream_greeted(s, body, len);
	} else if (s->state == STREAM_UP && type >= CHANNEL_TYPE_MIN) {
		s->ch->calls->received(s->ch->arg, type, body, len);
	} else if (s->state != STREAM_UP || type != CHANNEL_OWN_PING) {
		snprintf(text, sizeof(text), "a message of type %u is not right here", type);
		stream_breach(s, CHANNEL_MALFORMED, text);
	}
}

/* Give out one frame, if one is there. False: no more of them now, or no stream. */
static bool
stream_take(struct stream *s)
{
	uint8_t head[CHANNEL_HEAD];
	ev_ssize_t got = evbuffer_copyout(input(s), head, sizeof(head));
	uint32_t max = s->state == STREAM_UP ? s->ch->limits.message_max : CHANNEL_GREETING_MAX;
	size_t whole;
	struct err err;

	if (s->state == STREAM_UP && got == CHANNEL_HEAD && head[4] < CHANNEL_TYPE_MIN)
		max = CHANNEL_GREETING_MAX;
	whole = got < 0 ? CHANNEL_HEAD : channel_frame_need(head, (size_t)got, max, &err);
	if (whole == 0) {
		stream_breach(s, CHANNEL_MALFORMED, err.text);
		return false;
	}
	if (got < CHANNEL_HEAD || evbuffer_get_length(input(s)) < whole)
		return false;
	stream_frame(s, head[4], evbuffer_pullup(input(s), (ev_ssize_t)whole) + CHANNEL_HEAD, whole - CHANNEL_HEAD);
	if (!s->dead)
		evbuffer_drain(input(s), whole);
	return !s->dead;
}

/* Give out what is there. False: the stream is gone. */
static bool
stream_take_all(struct stream *s)
{
	s->busy = true;
	while (s->state != STREAM_CLOSING && !s->paused)
		if (!stream_take(s))
			break;
	s->busy = false;
	if (s->dead) {
		free(s);
		return false;
	}
	if (s->state == STREAM_CLOSING)
		evbuffer_drain(input(s), evbuffer_get_length(input(s)));
	return true;
}

static void
stream_readable(struct bufferevent *bev, void *arg)
{
	struct stream *s = arg;

	(void)bev;
	s->heard_ms = clock_mono_ms();
	stream_take_all(s);
}

static void
stream_resumed(void *arg)
{
	stream_take_all(arg);
}

/* ---- beginning and end */

static void
stream_encrypted(struct stream *s)
{
	uint8_t body[CHANNEL_HELLO_MAX];

	if (!channel_tls_proven(s->ssl)) {
		channel_stream_ended(s, CHANNEL_BAD_TLS, "a handshake without a key of ours came to an end: TLS is not as it should be");
		return;
	}
	s->state = STREAM_HELLO;
	stream_put(s, CHANNEL_OWN_HELLO, body, channel_hello_put(&s->ch->hello, body));
}

/* The most telling one of OpenSSL's errors, else the system's. */
static enum channel_why
stream_why(struct stream *s, int sys, char *text, size_t size)
{
	enum channel_why why = CHANNEL_LOST;
	unsigned long error;
	bool known = sys != 0 && sys != EAGAIN;

	snprintf(text, size, "the connection ended without a word%s%s", known ? ": " : "", known ? strerror(sys) : "");
	while ((error = bufferevent_get_openssl_error(s->bev)) != 0) {
		/* small numbers are results of SSL_get_error() */
		if (error > 0xff && channel_tls_why(&s->seen, error, &why, text, size))
			break;
	}
	return why;
}

static void
stream_happened(struct bufferevent *bev, short what, void *arg)
{
	int sys = errno;
	struct stream *s = arg;
	char text[CHANNEL_TEXT_MAX - CHANNEL_WHERE_MAX - 2], said[CHANNEL_TEXT_MAX];
	enum channel_why why;

	(void)bev;
	if (what & BEV_EVENT_CONNECTED) {
		stream_encrypted(s);
		return;
	}
	why = stream_why(s, what & BEV_EVENT_ERROR ? sys : 0, text, sizeof(text));
	/* what came before the end has not been given out yet */
	if (s->state != STREAM_HANDSHAKE && !stream_take_all(s))
		return;
	if (s->state == STREAM_CLOSING && what & BEV_EVENT_EOF) {
		/* only the peer itself can end in TLS, and it does so after our last message */
		if (s->flushed)
			why = CHANNEL_OURS;
		channel_tls_goodbye(s->ssl);
	}
	sentence(s, said, "%s", why == CHANNEL_OURS ? "closed by this node" : text);
	channel_stream_ended(s, why, said);
}

static void
stream_beat(struct stream *s)
{
	const struct channel_limits *limits = &s->ch->limits;
	uint64_t now = clock_mono_ms();
	char said[CHANNEL_TEXT_MAX];

	/* who stood still himself has no right to call the other silent: what it said is still in the socket */
	if (now - s->due_ms > limits->idle_ms / 2 || s->paused)
		s->heard_ms = now;
	if (now - s->heard_ms >= limits->idle_ms) {
		sentence(s, said, "nothing heard for %llu ms", (unsigned long long)(now - s->heard_ms));
		channel_stream_ended(s, CHANNEL_SILENT, said);
		return;
	}
	if (evbuffer_get_length(output(s)) == 0 && now - s->sent_ms >= limits->keepalive_ms)
		stream_put(s, CHANNEL_OWN_PING, NULL, 0);
	stream_due(s, limits->keepalive_ms);
}

static void
stream_timer(void *arg)
{
	struct stream *s = arg;
	char said[CHANNEL_TEXT_MAX];

	if (s->state == STREAM_UP) {
		stream_beat(s);
		return;
	}
	sentence(s, said, "%s within %u ms", s->state == STREAM_HANDSHAKE ? "no handshake" :
	    s->state == STREAM_HELLO ? "did not say who it is" : "did not take the last messages", s->ch->limits.handshake_ms);
	channel_stream_ended(s, CHANNEL_SLOW, said);
}

struct stream *
stream_new(struct channel *ch, int fd, bool accepting, const char *where)
{
	struct stream *s = calloc(1, sizeof(*s));

	need(s != NULL);
	s->ch = ch;
	s->seen = (struct channel_tls_seen){ .keys = &ch->keys, .service = ch->hello.service, .accepting = accepting };
	snprintf(s->where, sizeof(s->where), "%s", where);
	s->ssl = channel_tls_conn(ch->tls, &s->seen);
	s->bev = bufferevent_openssl_socket_new(loop_base(ch->loop), fd, s->ssl,
	    accepting ? BUFFEREVENT_SSL_ACCEPTING : BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE);
	need(s->bev != NULL);
	s->timer = loop_timer_new(ch->loop, stream_timer, s);
	s->resumed = loop_timer_new(ch->loop, stream_resumed, s);
	stream_due(s, ch->limits.handshake_ms);
	bufferevent_setcb(s->bev, stream_readable, stream_writable, stream_happened, s);
	/*
	 * A mark that is never reached: libevent, stopped by it in the middle of a record, may go on only when the socket has more.
	 * What bounds the input is that whole messages are taken at once and nothing is read while paused.
	 */
	bufferevent_setwatermark(s->bev, EV_READ, 0, CHANNEL_HEAD + (size_t)ch->limits.message_max + 4 * RECORD);
	bufferevent_setwatermark(s->bev, EV_WRITE, ch->limits.queue_max / 2, 0);
	bufferevent_enable(s->bev, EV_READ | EV_WRITE);
	return s;
}

void
stream_free(struct stream *s)
{
	loop_timer_free(s->timer);
	loop_timer_free(s->resumed);
	bufferevent_free(s->bev);
	explicit_bzero(&s->seen, sizeof(s->seen));
	s->dead = true;
	if (!s->busy)
		free(s);
}

void
stream_pause(struct stream *s, bool paused)
{
	if (s->state != STREAM_UP || s->paused == paused)
		return;
	s->paused = paused;
	if (paused) {
		bufferevent_disable(s->bev, EV_READ);
		return;
	}
	s->heard_ms = clock_mono_ms();
	bufferevent_enable(s->bev, EV_READ);
	/* not by a deferred callback of libevent's: one that is pending when the loop is freed leaks its bufferevent */
	loop_timer_in(s->resumed, 0);
}

void
stream_status(const struct stream *s, struct channel_status *ret)
{
	snprintf(ret->where, sizeof(ret->where), "%s", s->where);
	ret->key = s->seen.key.number;
	ret->queued = evbuffer_get_length(output(s));
	ret->held = evbuffer_get_length(input(s));
	ret->key_updates = s->key_updates;
}
