/*
 * common/channel.c - which streams a channel has: listening and connecting again, the one that is up, the bound on the others, and
 * what is counted. One connection is channel_stream.c's. Nothing here blocks.
 *
 * A function that calls the user ends with that call, or holds the channel's memory meanwhile and asks afterwards whether it is dead.
 */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/channel_priv.h"
#include "common/clock.h"

#define ACCEPTS_PER_WAKE 4	/* a flood shares the loop with everything else, and leaves an honest peer some turns to prove itself */
#define ACCEPT_AGAIN_MS	 200	/* where the kernel has no descriptor left */

const char *
channel_why_name(enum channel_why why)
{
	static const char *const name[] = {
		[CHANNEL_OURS] = "ours", [CHANNEL_DROPPED] = "dropped", [CHANNEL_BYE] = "bye", [CHANNEL_LOST] = "lost",
		[CHANNEL_SILENT] = "silent", [CHANNEL_REPLACED] = "replaced", [CHANNEL_KEY_REMOVED] = "key-removed",
		[CHANNEL_UNREACHABLE] = "unreachable", [CHANNEL_SLOW] = "slow", [CHANNEL_CROWDED] = "crowded",
		[CHANNEL_NOT_TLS] = "not-tls", [CHANNEL_OLD_TLS] = "old-tls", [CHANNEL_NO_KEY] = "no-key",
		[CHANNEL_UNKNOWN_KEY] = "unknown-key", [CHANNEL_FORGED] = "forged", [CHANNEL_BAD_TLS] = "bad-tls",
		[CHANNEL_STRANGER] = "stranger", [CHANNEL_MALFORMED] = "malformed",
	};

	_Static_assert(sizeof(name) / sizeof(name[0]) == CHANNEL_WHY_COUNT, "each reason has its name");
	return name[why];
}

/* ---- ends */

static void
channel_note(struct channel *ch, enum channel_why why, const char *sentence)
{
	ch->ended[why]++;
	ch->last_why = why;
	snprintf(ch->last, sizeof(ch->last), "%s", sentence);
}

static void
channel_retry(struct channel *ch)
{
	if (!ch->connecting || ch->closing)
		return;
	loop_timer_in(ch->again, ch->retry_ms);
	ch->retry_ms = ch->retry_ms < ch->limits.retry_max_ms / 2 ? 2 * ch->retry_ms : ch->limits.retry_max_ms;
}

static void
channel_down(struct channel *ch, enum channel_why why, const char *sentence)
{
	if (clock_mono_ms() - ch->up_ms >= ch->limits.retry_max_ms)
		ch->retry_ms = ch->limits.retry_min_ms;
	ch->up = NULL;
	channel_note(ch, why, sentence);
	channel_retry(ch);
	ch->calls->down(ch->arg, why, sentence);
}

static void
channel_refused(struct channel *ch, enum channel_why why, const char *sentence)
{
	channel_note(ch, why, sentence);
	channel_retry(ch);
	ch->calls->refused(ch->arg, why, sentence);
}

static void
others_add(struct channel *ch, struct stream *s)
{
	TAILQ_INSERT_TAIL(&ch->others, s, entry);
	ch->others_len++;
}

static void
others_remove(struct channel *ch, struct stream *s)
{
	TAILQ_REMOVE(&ch->others, s, entry);
	ch->others_len--;
}

void
channel_stream_ended(struct stream *s, enum channel_why why, const char *sentence)
{
	struct channel *ch = s->ch;
	bool told = s->told, up = ch->up == s;

	if (!up)
		others_remove(ch, s);
	stream_free(s);
	if (up)
		channel_down(ch, why, sentence);
	else if (!told)
		channel_refused(ch, why, sentence);
}

void
channel_stream_leaves(struct stream *s, enum channel_why why, const char *sentence)
{
	struct channel *ch = s->ch;

	s->told = true;
	if (ch->up == s) {
		others_add(ch, s);
		channel_down(ch, why, sentence);
	} else {
		channel_refused(ch, why, sentence);
	}
}

/* Ours to end, with a word to the other side. */
static void
stream_leave(struct stream *s, enum channel_why why, const char *reason)
{
	char sentence[CHANNEL_TEXT_MAX];

	snprintf(sentence, sizeof(sentence), "%s: %.300s", s->where, reason);
	stream_say_bye(s, reason);
	channel_stream_leaves(s, why, sentence);
}

/* ---- beginnings */

static void
channel_hold(struct channel *ch)
{
	ch->busy++;
}

/* False: it was freed meanwhile. */
static bool
channel_release(struct channel *ch)
{
	bool dead = ch->dead;

	ch->busy--;
	if (dead && ch->busy == 0)
		free(ch);
	return !dead;
}

void
channel_stream_proven(struct stream *s)
{
	struct channel *ch = s->ch;

	if (ch->up != NULL) {
		channel_hold(ch);
		stream_leave(ch->up, CHANNEL_REPLACED, "the peer made a newer stream");
		/* s is in the midst of giving out frames, so its memory is there */
		if (!channel_release(ch) || s->dead || ch->closing)
			return;
	}
	others_remove(ch, s);
	ch->up = s;
	ch->up_ms = clock_mono_ms();
	ch->streams++;
	ch->calls->up(ch->arg);
}

/* One more that is not proven. Of too many the oldest goes: an honest peer proves itself within milliseconds. */
static void
channel_begin(struct channel *ch, int fd, bool accepting, const char *where)
{
	struct stream *oldest;
	char sentence[CHANNEL_TEXT_MAX];

	channel_socket_ready(fd);
	others_add(ch, stream_new(ch, fd, accepting, where));
	if (ch->others_len <= ch->limits.half_open_max)
		return;
	oldest = TAILQ_FIRST(&ch->others);
	snprintf(sentence, sizeof(sentence), "%s: the oldest of %zu connections that have not proven who they are", oldest->where,
	    ch->others_len);
	channel_stream_ended(oldest, CHANNEL_CROWDED, sentence);
}

static void
channel_acceptable(int fd, unsigned int ready, void *arg)
{
	struct channel *ch = arg;
	(void)ready;
	channel_hold(ch);
	for (int n = 0; n < ACCEPTS_PER_WAKE && !ch->dead && !ch->closing; n++) {
		struct sockaddr_storage from = { 0 };
		socklen_t len = sizeof(from);
		char where[CHANNEL_WHERE_MAX];
		int got = accept4(fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (got != -1) {
			channel_begin(ch, got, true, channel_socket_text(&from, where));
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			for (size_t i = 0; i < ch->at_len; i++)
				loop_io_want(ch->io[i], 0);
			loop_timer_in(ch->again, ACCEPT_AGAIN_MS);
		}
		break;
	}
	channel_release(ch);
}

/* The attempt to connect is over. */
static void
dial_end(struct channel *ch)
{
	loop_io_free(ch->io[0]);
	ch->io[0] = NULL;
	ch->fd[0] = -1;
}

static void
dial_failed(struct channel *ch, enum channel_why why, const char *sentence)
{
	int fd = ch->fd[0];

	dial_end(ch);
	if (fd != -1)
		close(fd);
	channel_refused(ch, why, sentence);
}

static void
dial_writable(int fd, unsigned int ready, void *arg)
{
	struct channel *ch = arg;
	char where[CHANNEL_WHERE_MAX], sentence[CHANNEL_TEXT_MAX];
	socklen_t len = sizeof(int);
	int sys = 0;

	(void)ready;
	channel_socket_text(&ch->at[ch->at_next], where);
	ch->at_next = (ch->at_next + 1) % ch->at_len;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &sys, &len) == -1)
		sys = errno;
	if (sys != 0) {
		snprintf(sentence, sizeof(sentence), "%s: cannot connect: %s", where, strerror(sys));
		dial_failed(ch, CHANNEL_UNREACHABLE, sentence);
		return;
	}
	loop_timer_cancel(ch->again);
	dial_end(ch);
	channel_begin(ch, fd, false, where);
}

static void
dial(struct channel *ch)
{
	struct err err;

	ch->fd[0] = channel_socket_connect(&ch->at[ch->at_next], &err);
	if (ch->fd[0] == -1) {
		ch->at_next = (ch->at_next + 1) % ch->at_len;
		dial_failed(ch, CHANNEL_UNREACHABLE, err.text);
		return;
	}
	ch->io[0] = loop_io_new(ch->loop, ch->fd[0], LOOP_WRITE, dial_writable, ch);
	loop_timer_in(ch->again, ch->limits.handshake_ms);
}

static void
channel_again(void *arg)
{
	struct channel *ch = arg;
	char where[CHANNEL_WHERE_MAX], sentence[CHANNEL_TEXT_MAX];

	if (!ch->connecting) {
		for (size_t i = 0; i < ch->at_len; i++)
			loop_io_want(ch->io[i], LOOP_READ);
	} else if (ch->fd[0] != -1) {
		snprintf(sentence, sizeof(sentence), "%s: no connection within %u ms", channel_socket_text(&ch->at[ch->at_next], where),
		    ch->limits.handshake_ms);
		ch->at_next = (ch->at_next + 1) % ch->at_len;
		dial_failed(ch, CHANNEL_UNREACHABLE, sentence);
	} else {
		dial(ch);
	}
}

/* ---- making one */

static bool
name_copy(const char *what, const char *name, char out[CONF_NAME_MAX], struct err *err)
{
	size_t len = name == NULL ? 0 : strlen(name);

	if (len == 0 || len >= CONF_NAME_MAX)
		return err_set(err, 0, "the name of the %s has %zu bytes, right are 1 to %d", what, len, CONF_NAME_MAX - 1);
	for (size_t i = 0; i < len; i++)
		if (name[i] <= ' ' || name[i] > '~')
			return err_set(err, 0, "the name of the %s has byte 0x%02x, right is printable ASCII without blanks", what,
			    (unsigned char)name[i]);
	memcpy(out, name, len + 1);
	return true;
}

static void
limit(uint32_t *value, uint32_t fallback)
{
	if (*value == 0)
		*value = fallback;
}

static void
channel_bound(struct channel_limits *l)
{
	limit(&l->message_max, 1024 * 1024);
	limit(&l->queue_max, 4 * 1024 * 1024);
	limit(&l->half_open_max, 64);
	limit(&l->handshake_ms, 5000);
	limit(&l->keepalive_ms, 2000);
	limit(&l->idle_ms, 10000);
	limit(&l->retry_min_ms, 100);
	limit(&l->retry_max_ms, 500);
	limit(&l->key_records, 1u << 20);
	/* half of it gone must mean that any message fits */
	if (l->queue_max / 2 < l->message_max + CHANNEL_HEAD)
		l->queue_max = 2 * (l->message_max + CHANNEL_HEAD);
	if (l->keepalive_ms > l->idle_ms / 3)
		l->keepalive_ms = l->idle_ms / 3;
}

/* Writing to a socket that the peer has reset must be an error and not the end of the process. */
static void
pipe_ignore(void)
{
	struct sigaction now;

	if (sigaction(SIGPIPE, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) && now.sa_handler == SIG_DFL)
		signal(SIGPIPE, SIG_IGN);
}

static bool
channel_new(struct loop *loop, const struct channel_setup *setup, struct channel **ret, struct err *err)
{
	struct channel_hello hello = { .version = CHANNEL_VERSION };
	struct channel_keys keys;
	struct channel *ch;

	if (!name_copy("pair", setup->pair, hello.pair, err) || !name_copy("service", setup->service, hello.service, err) ||
	    !name_copy("node", setup->node, hello.node, err) || !name_copy("peer", setup->peer, hello.peer, err))
		return false;
	if (setup->at_len == 0 || setup->at_len > CHANNEL_ADDRESSES_MAX)
		return err_set(err, 0, "%zu addresses for the service %s, right are 1 to %d", setup->at_len, hello.service, CHANNEL_ADDRESSES_MAX);
	if (setup->derived != NULL)
		keys = *setup->derived;
	else if (!channel_key_derive(setup->keys, hello.pair, hello.service, &keys, err))
		return false;
	ch = calloc(1, sizeof(*ch));
	if (ch == NULL)
		abort();
	ch->loop = loop;
	ch->calls = setup->calls;
	ch->arg = setup->arg;
	ch->limits = setup->limits;
	channel_bound(&ch->limits);
	ch->retry_ms = ch->limits.retry_min_ms;
	ch->hello = hello;
	ch->hello.message_max = ch->limits.message_max;
	TAILQ_INIT(&ch->others);
	ch->keys = keys;
	explicit_bzero(&keys, sizeof(keys));
	ch->tls = channel_tls_new();
	ch->again = loop_timer_new(loop, channel_again, ch);
	for (size_t i = 0; i < CHANNEL_ADDRESSES_MAX; i++)
		ch->fd[i] = -1;
	for (; ch->at_len < setup->at_len; ch->at_len++) {
		if (!channel_socket_parse(&setup->at[ch->at_len], &ch->at[ch->at_len], err)) {
			channel_free(ch);
			return false;
		}
	}
	pipe_ignore();
	*ret = ch;
	return true;
}

bool
channel_listen(struct loop *loop, const struct channel_setup *setup, struct channel **ret, struct err *err)
{
	struct channel *ch;

	if (!channel_new(loop, setup, &ch, err))
		return false;
	for (size_t i = 0; i < ch->at_len; i++) {
		ch->fd[i] = channel_socket_listen(&ch->at[i], err);
		if (ch->fd[i] == -1) {
			channel_free(ch);
			return false;
		}
		ch->io[i] = loop_io_new(loop, ch->fd[i], LOOP_READ, channel_acceptable, ch);
	}
	*ret = ch;
	return true;
}

bool
channel_connect(struct loop *loop, const struct channel_setup *setup, struct channel **ret, struct err *err)
{
	if (!channel_new(loop, setup, ret, err))
		return false;
	(*ret)->connecting = true;
	loop_timer_in((*ret)->again, 0);
	return true;
}

/* No further connection. */
static void
channel_deafen(struct channel *ch)
{
	loop_timer_cancel(ch->again);
	for (size_t i = 0; i < CHANNEL_ADDRESSES_MAX; i++) {
		loop_io_free(ch->io[i]);
		ch->io[i] = NULL;
		if (ch->fd[i] != -1)
			close(ch->fd[i]);
		ch->fd[i] = -1;
	}
}

void
channel_free(struct channel *ch)
{
	struct stream *s;

	if (ch == NULL)
		return;
	channel_deafen(ch);
	while ((s = TAILQ_FIRST(&ch->others)) != NULL) {
		others_remove(ch, s);
		stream_free(s);
	}
	if (ch->up != NULL)
		stream_free(ch->up);
	loop_timer_free(ch->again);
	channel_tls_free(ch->tls);
	explicit_bzero(&ch->keys, sizeof(ch->keys));
	ch->dead = true;
	if (ch->busy == 0)
		free(ch);
}

/* ---- using one */

enum channel_sent
channel_send(struct channel *ch, uint8_t type, const void *bytes, size_t len)
{
	assert(type >= CHANNEL_TYPE_MIN && len <= ch->limits.message_max);
	if (ch->up == NULL || ch->up->state != STREAM_UP)
		return CHANNEL_DOWN;
	return stream_send(ch->up, type, bytes, len) ? CHANNEL_SENT : CHANNEL_FULL;
}

void
channel_pause(struct channel *ch)
{
	if (ch->up != NULL)
		stream_pause(ch->up, true);
}

void
channel_resume(struct channel *ch)
{
	if (ch->up != NULL)
		stream_pause(ch->up, false);
}

void
channel_drop(struct channel *ch, const char *why)
{
	if (ch->up != NULL && ch->up->state == STREAM_UP)
		stream_leave(ch->up, CHANNEL_DROPPED, why);
}

bool
channel_close(struct channel *ch, const char *why)
{
	struct stream *s, *next;

	ch->closing = true;
	channel_deafen(ch);
	for (s = TAILQ_FIRST(&ch->others); s != NULL; s = next) {
		next = TAILQ_NEXT(s, entry);
		if (s->told)
			continue;	/* lives on for its last words */
		others_remove(ch, s);
		stream_free(s);
	}
	if (ch->up != NULL)
		stream_say_bye(ch->up, why);
	return ch->up != NULL;
}

/* Is the key that proved (or is about to prove) the stream still one of ours? */
static bool
stream_key_holds(const struct stream *s)
{
	const struct channel_keys *keys = &s->ch->keys;

	for (size_t i = 0; i < keys->len; i++)
		if (keys->key[i].number == s->seen.key.number && digest_equal(keys->key[i].psk, s->seen.key.psk, DIGEST_LEN))
			return true;
	return s->seen.key.number == 0;	/* not chosen yet: from the new ones */
}

bool
channel_keys(struct channel *ch, const struct authkeys *keys, struct err *err)
{
	struct stream *s, *next;

	if (!channel_key_derive(keys, ch->hello.pair, ch->hello.service, &ch->keys, err))
		return false;
	for (s = TAILQ_FIRST(&ch->others); s != NULL; s = next) {
		next = TAILQ_NEXT(s, entry);
		if (s->told || stream_key_holds(s))
			continue;
		others_remove(ch, s);
		stream_free(s);
		channel_note(ch, CHANNEL_KEY_REMOVED, "a key was removed while a connection was proving it");
		channel_retry(ch);
	}
	if (ch->up != NULL && ch->up->state == STREAM_UP && !stream_key_holds(ch->up))
		stream_leave(ch->up, CHANNEL_KEY_REMOVED, "its key is no longer accepted");
	return true;
}

void
channel_status(const struct channel *ch, struct channel_status *ret)
{
	*ret = (struct channel_status){ .up = ch->up != NULL, .half_open = (uint32_t)ch->others_len, .streams = ch->streams,
		.last_why = ch->last_why };
	memcpy(ret->ended, ch->ended, sizeof(ret->ended));
	memcpy(ret->last, ch->last, sizeof(ret->last));
	if (ch->up != NULL)
		stream_status(ch->up, ret);
}

uint16_t
channel_port(const struct channel *ch, size_t at)
{
	struct sockaddr_storage name = { 0 };
	socklen_t len = sizeof(name);

	if (at >= ch->at_len || getsockname(ch->fd[at], (struct sockaddr *)&name, &len) == -1)
		return 0;
	return channel_socket_port(&name);
}
