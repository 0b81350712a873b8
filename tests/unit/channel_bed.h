/*
 * tests/unit/channel_bed.h - two ends of a channel in one loop over loopback, and children that are somebody else.
 */
#ifndef TESTS_UNIT_CHANNEL_BED_H
#define TESTS_UNIT_CHANNEL_BED_H

#include <dirent.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/channel_key.h"
#include "common/channel_wire.h"
#include "common/clock.h"
#include "tests/unit/harness.h"

#define PATIENCE_MS 20000

/* What one end was told. */
struct side {
	struct channel		*ch;
	struct channel_setup	 setup;
	struct authkeys		 keys;
	int			 up, down, refused, drained, messages;
	uint64_t		 bytes;
	uint8_t			 type;			/* of the last message */
	size_t			 len;
	uint8_t			 body[64];		/* its beginning */
	enum channel_why	 why;
	char			 text[CHANNEL_TEXT_MAX];
	void			(*then)(struct side *);	/* after each callback */
	void			(*got)(struct side *, const uint8_t *, size_t);
};

static struct loop *loop;
static struct side mx1, mx2;	/* mx1 listens */
static uint64_t bed_deadline;

static inline void
bed_tick(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static inline void
bed_turn(const char *what)
{
	struct loop_timer *t = loop_timer_new(loop, bed_tick, NULL);

	if (clock_mono_ms() > bed_deadline)
		ck_abort_msg("waited in vain for: %s (mx1: %s; mx2: %s)", what, mx1.text, mx2.text);
	loop_timer_at_us(t, clock_mono_us() + 300);
	loop_run(loop);
	loop_timer_free(t);
}

#define UNTIL(law) for (bed_deadline = clock_mono_ms() + PATIENCE_MS; !(law);) bed_turn(#law)
#define FOR_MS(ms) for (uint64_t end_ = bed_deadline = clock_mono_ms() + (ms); clock_mono_ms() < end_;) bed_turn("time")

static inline void
side_then(struct side *s)
{
	if (s->then != NULL)
		s->then(s);
}

static inline void
side_up(void *arg)
{
	struct side *s = arg;

	s->up++;
	side_then(s);
}

static inline void
side_received(void *arg, uint8_t type, const uint8_t *bytes, size_t len)
{
	struct side *s = arg;

	s->messages++;
	s->bytes += len;
	s->type = type;
	s->len = len;
	memcpy(s->body, bytes, len < sizeof(s->body) ? len : sizeof(s->body));
	if (s->got != NULL)
		s->got(s, bytes, len);
	side_then(s);
}

static inline void
side_drained(void *arg)
{
	struct side *s = arg;

	s->drained++;
	side_then(s);
}

static inline void
side_ended(struct side *s, enum channel_why why, const char *text)
{
	s->why = why;
	snprintf(s->text, sizeof(s->text), "%s", text);
	for (const char *c = text; *c != '\0'; c++)
		ck_assert(*c >= ' ' && *c <= '~');
	side_then(s);
}

static inline void
side_down(void *arg, enum channel_why why, const char *text)
{
	struct side *s = arg;

	s->down++;
	side_ended(s, why, text);
}

static inline void
side_refused(void *arg, enum channel_why why, const char *text)
{
	struct side *s = arg;

	s->refused++;
	side_ended(s, why, text);
}

static const struct channel_calls side_calls = { side_up, side_received, side_drained, side_down, side_refused };

static inline void
key_add(struct side *s, uint8_t number, const char *secret)
{
	s->keys.key[s->keys.len].id = number;
	s->keys.key[s->keys.len].len = strlen(secret);
	memcpy(s->keys.key[s->keys.len].key, secret, strlen(secret));
	s->keys.len++;
}

static inline void
side_new(struct side *s, const char *node, const char *peer, const char *address)
{
	*s = (struct side){ .setup = { .pair = "mail", .service = "config", .node = node, .peer = peer, .keys = &s->keys,
	    .at_len = 1, .at = { { .address = address } }, .calls = &side_calls, .arg = s,
	    .limits = { .handshake_ms = 3000, .retry_min_ms = 5, .retry_max_ms = 40 } } };
	key_add(s, 1, "first-secret-of-the-pair");
}

static inline void
bed_new(const char *address)
{
	loop = loop_new();
	side_new(&mx1, "mx1", "mx2", address);
	side_new(&mx2, "mx2", "mx1", address);
}

static inline void
bed_listen(void)
{
	struct err err = { 0 };

	ck_assert_msg(channel_listen(loop, &mx1.setup, &mx1.ch, &err), "%s", err.text);
	mx2.setup.at[0].port = channel_port(mx1.ch, 0);
	ck_assert_uint_ne(mx2.setup.at[0].port, 0);
}

static inline void
bed_connect(void)
{
	struct err err = { 0 };

	ck_assert_msg(channel_connect(loop, &mx2.setup, &mx2.ch, &err), "%s", err.text);
}

static inline void
bed_up(void)
{
	bed_listen();
	bed_connect();
	UNTIL(mx1.up == 1 && mx2.up == 1);
}

static inline int
descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

static inline void
bed_free(void)
{
	channel_free(mx1.ch);
	channel_free(mx2.ch);
	loop_free(loop);
}

static inline struct channel_status
status(const struct side *s)
{
	struct channel_status now;

	channel_status(s->ch, &now);
	return now;
}

static inline uint64_t
ended(const struct side *s, enum channel_why why)
{
	return status(s).ended[why];
}

/* ---- somebody else, in a child of his own: blocking, and alarmed */

static inline bool
child_ended(pid_t pid, int *ret_status)
{
	return waitpid(pid, ret_status, WNOHANG) == pid;
}

static inline pid_t
child_begin(void)
{
	pid_t pid = fork();

	ck_assert_int_ne(pid, -1);
	if (pid == 0)
		alarm(20);
	return pid;
}

static inline int
tcp_open(uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd == -1 || connect(fd, (const struct sockaddr *)&to, sizeof(to)) == -1)
		return -1;
	return fd;
}

/* A listening socket for a child that plays the peer. */
static inline int
tcp_listen(uint16_t *ret_port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert(fd != -1 && bind(fd, (const struct sockaddr *)&at, sizeof(at)) == 0 && listen(fd, 8) == 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	*ret_port = ntohs(at.sin_port);
	return fd;
}

/* A frame of any kind. Returns its length. */
static inline size_t
frame(uint8_t *out, uint8_t type, const void *body, size_t len)
{
	channel_frame_head(type, (uint32_t)len, out);
	if (len > 0)
		memcpy(out + CHANNEL_HEAD, body, len);
	return CHANNEL_HEAD + len;
}

/* The greeting of mx2 to mx1, as a frame. */
static inline size_t
greeting(uint8_t *out)
{
	struct channel_hello hello = { .version = CHANNEL_VERSION, .message_max = 1024 * 1024, .pair = "mail", .service = "config",
		.node = "mx2", .peer = "mx1" };
	uint8_t body[CHANNEL_HELLO_MAX];

	return frame(out, CHANNEL_OWN_HELLO, body, channel_hello_put(&hello, body));
}

#endif
