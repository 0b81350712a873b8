/*
 * tests/unit/net_case.h - what the tests of configsync/net.h have in common: two nodes in one process, each with a network process of its own,
 * over loopback.
 */
#ifndef TESTS_UNIT_NET_CASE_H
#define TESTS_UNIT_NET_CASE_H

#include "tests/unit/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/spawn.h"
#include "configsync/net.h"
#include "configsync/net_pipe.h"
#include "configsync/net_priv.h"

#define PATIENCE_MS 20000
#define MESSAGE_MAX (1u << 20)
#define NOBODY 65534

struct side {
	struct net		*net;
	struct net_setup	 setup;
	struct authkeys		 keys;
	int			 up, down, refused, drained, messages, ended;
	uint64_t		 bytes, sum;
	size_t			 len;
	uint8_t			 type;
	enum channel_why	 why, refused_why;		/* of down, of refused */
	char			 text[CHANNEL_TEXT_MAX], refusal[CHANNEL_TEXT_MAX], end[CHANNEL_TEXT_MAX];
	void			(*got)(struct side *, uint8_t type, const uint8_t *, size_t);
	bool			 free_in_callback;
};

static struct loop *loop;
static struct side a, b;	/* a listens */
static char tool[PATH_MAX];
static uint64_t deadline;
static uint8_t big[MESSAGE_MAX];

static inline void
tick(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static inline void
turn(const char *what)
{
	struct loop_timer *t = loop_timer_new(loop, tick, NULL);

	if (clock_mono_ms() > deadline)
		ck_abort_msg("waited in vain for: %s (a: %s, %s, %s; b: %s, %s, %s)", what, a.text, a.refusal, a.end,
		    b.text, b.refusal, b.end);
	loop_timer_at_us(t, clock_mono_us() + 300);
	loop_run(loop);
	loop_timer_free(t);
}

#define UNTIL(law) for (deadline = clock_mono_ms() + PATIENCE_MS; !(law);) turn(#law)
#define FOR_MS(ms) for (uint64_t end_ = deadline = clock_mono_ms() + (ms); clock_mono_ms() < end_;) turn("time")

static inline void
perhaps_free(struct side *s)
{
	if (!s->free_in_callback)
		return;
	net_free(s->net);
	s->net = NULL;
}

static inline void
on_up(void *arg)
{
	struct side *s = arg;

	s->up++;
	perhaps_free(s);
}

static inline void
on_received(void *arg, uint8_t type, const uint8_t *bytes, size_t len)
{
	struct side *s = arg;

	s->messages++;
	s->bytes += len;
	s->type = type;
	s->len = len;
	if (len > 0)
		s->sum = s->sum * 31 + bytes[0] + bytes[len - 1];
	if (s->got != NULL)
		s->got(s, type, bytes, len);
	perhaps_free(s);
}

static inline void
on_drained(void *arg)
{
	struct side *s = arg;
	struct net_status now;

	net_status(s->net, &now);
	ck_assert_uint_le(now.queued, 2 * 1024 * 1024);	/* half of queue_max has gone */
	s->drained++;
}

static inline void
on_down(void *arg, enum channel_why why, const char *sentence)
{
	struct side *s = arg;

	s->down++;
	s->why = why;
	snprintf(s->text, sizeof s->text, "%s", sentence);
	perhaps_free(s);
}

static inline void
on_refused(void *arg, enum channel_why why, const char *sentence)
{
	struct side *s = arg;

	s->refused++;
	s->refused_why = why;
	snprintf(s->refusal, sizeof s->refusal, "%s", sentence);
}

static inline void
on_ended(void *arg, const char *sentence)
{
	struct side *s = arg;

	s->ended++;
	snprintf(s->end, sizeof s->end, "%s", sentence);
	perhaps_free(s);
}

static const struct net_calls calls = { on_up, on_received, on_drained, on_down, on_refused, on_ended };

static inline void
side_new(struct side *s, const char *node, const char *peer, const char *secret)
{
	uid_t uid = geteuid() == 0 ? NOBODY : geteuid();

	*s = (struct side){ .setup = { .program = tool, .subcommand = "net-child", .listen = s == &a, .pair = "mail", .service = "config",
		.node = node, .peer = peer, .at_len = 1, .at = { { .address = "127.0.0.1" } }, .keys = &s->keys, .calls = &calls, .arg = s,
		.uid = uid, .gid = geteuid() == 0 ? NOBODY : getegid(), .limits = { .handshake_ms = 3000, .retry_min_ms = 5, .retry_max_ms = 40 } } };
	s->keys.len = 1;
	s->keys.key[0].id = 1;
	s->keys.key[0].len = strlen(secret);
	memcpy(s->keys.key[0].key, secret, strlen(secret));
}

static inline void
start(struct side *s)
{
	struct err err = { 0 };

	ck_assert_msg(net_start(loop, &s->setup, &s->net, &err), "%s", err.text);
}

static inline struct net_status
status(const struct side *s)
{
	struct net_status now;

	net_status(s->net, &now);
	return now;
}

static inline void
start_a(void)
{
	start(&a);
	UNTIL(status(&a).ready);
	a.setup.at[0].port = b.setup.at[0].port = status(&a).port[0];
	ck_assert_uint_ne(b.setup.at[0].port, 0);
}

/* So that a child that is started again has the same port. */
static inline void
start_again_a(void)
{
	uint16_t port;

	start_a();
	port = a.setup.at[0].port;
	net_free(a.net);
	a.setup.at[0].port = port;
	start(&a);
	UNTIL(status(&a).ready);
}

static inline void
both_up(void)
{
	start_again_a();
	start(&b);
	UNTIL(a.up == 1 && b.up == 1);
}

static inline void
setup(void)
{
	loop = loop_new();
	side_new(&a, "mx1", "mx2", "first-secret-of-the-pair");
	side_new(&b, "mx2", "mx1", "first-secret-of-the-pair");
	for (size_t i = 0; i < sizeof big; i++)
		big[i] = (uint8_t)(i * 13 + i / 4099);
}

static inline void
teardown(void)
{
	net_free(a.net);
	net_free(b.net);
	loop_free(loop);
	ck_assert_msg(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD, "a process was left behind");
}

static inline void
must_send(struct side *s, uint8_t type, const void *bytes, size_t len)
{
	ck_assert_int_eq(net_send(s->net, type, bytes, len), CHANNEL_SENT);
}

/* Runs the tests of this case, each between setup() and teardown(). */
static inline int
net_case_main(Suite *suite, TCase *c)
{
	ssize_t n = readlink("/proc/self/exe", tool, sizeof tool - 32);

	if (n <= 0)
		return 1;
	tool[n] = '\0';
	*strrchr(tool, '/') = '\0';
	strncat(tool, "/../tools/net_child", sizeof tool - strlen(tool) - 1);
	tcase_set_timeout(c, 60);
	tcase_add_checked_fixture(c, setup, teardown);
	suite_add_tcase(suite, c);
	return unit_main(suite);
}

#endif
