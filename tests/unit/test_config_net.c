/*
 * tests/unit/test_config_net.c - laws of configsync/net.h: two nodes in one process, each with a network process of its own, over loopback.
 * And what that process may not do.
 */
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

static void
tick(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void
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

static void
perhaps_free(struct side *s)
{
	if (!s->free_in_callback)
		return;
	net_free(s->net);
	s->net = NULL;
}

static void
on_up(void *arg)
{
	struct side *s = arg;

	s->up++;
	perhaps_free(s);
}

static void
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

static void
on_drained(void *arg)
{
	struct side *s = arg;
	struct net_status now;

	net_status(s->net, &now);
	ck_assert_uint_le(now.queued, 2 * 1024 * 1024);	/* half of queue_max has gone */
	s->drained++;
}

static void
on_down(void *arg, enum channel_why why, const char *sentence)
{
	struct side *s = arg;

	s->down++;
	s->why = why;
	snprintf(s->text, sizeof s->text, "%s", sentence);
	perhaps_free(s);
}

static void
on_refused(void *arg, enum channel_why why, const char *sentence)
{
	struct side *s = arg;

	s->refused++;
	s->refused_why = why;
	snprintf(s->refusal, sizeof s->refusal, "%s", sentence);
}

static void
on_ended(void *arg, const char *sentence)
{
	struct side *s = arg;

	s->ended++;
	snprintf(s->end, sizeof s->end, "%s", sentence);
	perhaps_free(s);
}

static const struct net_calls calls = { on_up, on_received, on_drained, on_down, on_refused, on_ended };

static void
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

static void
start(struct side *s)
{
	struct err err = { 0 };

	ck_assert_msg(net_start(loop, &s->setup, &s->net, &err), "%s", err.text);
}

static struct net_status
status(const struct side *s)
{
	struct net_status now;

	net_status(s->net, &now);
	return now;
}

static void
start_a(void)
{
	start(&a);
	UNTIL(status(&a).ready);
	a.setup.at[0].port = b.setup.at[0].port = status(&a).port[0];
	ck_assert_uint_ne(b.setup.at[0].port, 0);
}

/* So that a child that is started again has the same port. */
static void
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

static void
both_up(void)
{
	start_again_a();
	start(&b);
	UNTIL(a.up == 1 && b.up == 1);
}

static void
setup(void)
{
	loop = loop_new();
	side_new(&a, "mx1", "mx2", "first-secret-of-the-pair");
	side_new(&b, "mx2", "mx1", "first-secret-of-the-pair");
	for (size_t i = 0; i < sizeof big; i++)
		big[i] = (uint8_t)(i * 13 + i / 4099);
}

static void
teardown(void)
{
	net_free(a.net);
	net_free(b.net);
	loop_free(loop);
	ck_assert_msg(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD, "a process was left behind");
}

static void
must_send(struct side *s, uint8_t type, const void *bytes, size_t len)
{
	ck_assert_int_eq(net_send(s->net, type, bytes, len), CHANNEL_SENT);
}

static const char *
proc_status(pid_t pid, const char *field, char *buf, size_t size)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	ck_assert_ptr_nonnull(f = fopen(path, "re"));
	while (fgets(buf, (int)size, f) != NULL && strncmp(buf, field, strlen(field)) != 0)
		continue;
	fclose(f);
	buf[strcspn(buf, "\n")] = '\0';
	return buf + strlen(field);
}

/* ---------------------------------------------------------------- messages */

START_TEST(messages_of_all_sizes_arrive_whole_both_ways)
{
	static const size_t len[] = { 0, 1, 8, 9, 10, 1000, 16384, 65527, 65536, 65537, 262144, 1048575, MESSAGE_MAX };

	both_up();
	for (size_t i = 0; i < sizeof len / sizeof *len; i++) {
		uint8_t type = (uint8_t)(CHANNEL_TYPE_MIN + i * 18);

		must_send(&a, type, big, len[i]);
		must_send(&b, (uint8_t)(type + 1), big, len[i]);
		UNTIL(a.messages == (int)i + 1 && b.messages == (int)i + 1);
		ck_assert(b.type == type && a.type == type + 1 && a.len == len[i] && b.len == len[i]);
	}
	ck_assert(a.sum == b.sum && a.sum != 0);
}
END_TEST

static void
echo(struct side *s, uint8_t type, const uint8_t *bytes, size_t len)
{
	ck_assert_mem_eq(bytes, big + (bytes[0] == big[0] ? 0 : 1), len);
	ck_assert_int_ne(net_send(s->net, type, bytes, len), CHANNEL_DOWN);
}

START_TEST(bytes_come_as_they_were_sent)
{
	both_up();
	b.got = echo;
	for (int i = 0; i < 3; i++)
		must_send(&a, CHANNEL_TYPE_MIN, big + i % 2, 700000);
	UNTIL(a.messages == 3);
	ck_assert(a.len == 700000 && b.bytes == 3 * 700000);
}
END_TEST

START_TEST(nothing_is_lost_when_more_is_sent_than_fits)
{
	int sent = 0, full = 0;

	both_up();
	while (sent < 60) {
		if (net_send(a.net, 20, big + sent, 500000) == CHANNEL_SENT) {
			sent++;
			continue;
		}
		full++;
		ck_assert_uint_le(status(&a).queued, 4 * 1024 * 1024);
		UNTIL(a.drained == full);
	}
	ck_assert_int_gt(full, 0);
	UNTIL(b.messages == sent);
	ck_assert_uint_eq(b.bytes, 60u * 500000);
}
END_TEST

/* Bounds: both parents' queues, both children's, the kernel's. */
START_TEST(who_does_not_listen_makes_the_peer_wait_and_misses_nothing)
{
	int sent = 0, before;

	both_up();
	net_pause(b.net, true);
	for (uint64_t quiet = clock_mono_ms(); clock_mono_ms() - quiet < 400;) {
		deadline = clock_mono_ms() + PATIENCE_MS;
		if (net_send(a.net, 20, big, 500000) == CHANNEL_SENT) {
			sent++;
			quiet = clock_mono_ms();
		} else {
			turn("room");
		}
	}
	ck_assert_int_eq(b.messages, 0);
	ck_assert_int_gt(sent, 8);
	ck_assert_int_lt(sent, 60);
	before = a.drained;
	net_pause(b.net, false);
	UNTIL(b.messages == sent && a.drained > before);
	ck_assert(a.down == 0 && b.down == 0);
	must_send(&b, 30, "x", 1);
	UNTIL(a.messages == 1);
}
END_TEST

START_TEST(without_a_stream_nothing_is_taken)
{
	start_a();
	ck_assert_int_eq(net_send(a.net, 20, "x", 1), CHANNEL_DOWN);
	start(&b);
	ck_assert_int_eq(net_send(b.net, 20, "x", 1), CHANNEL_DOWN);
	UNTIL(a.up == 1 && b.up == 1);
	net_close(a.net, "enough");
	ck_assert_int_eq(net_send(a.net, 20, "x", 1), CHANNEL_DOWN);
}
END_TEST

/* ---------------------------------------------------------------- ends */

START_TEST(a_child_that_is_killed_is_told_and_started_again)
{
	pid_t first;

	both_up();
	first = status(&a).pid;
	kill(first, SIGKILL);
	UNTIL(a.ended == 1);
	ck_assert_int_eq(a.down, 1);
	ck_assert_int_eq(a.why, CHANNEL_LOST);
	ck_assert_ptr_nonnull(strstr(a.end, "signal 9"));
	ck_assert_int_eq(net_send(a.net, 20, "x", 1), CHANNEL_DOWN);
	UNTIL(a.up == 2 && b.up == 2);
	ck_assert(status(&a).pid != first && status(&a).started == 2 && b.ended == 0);
	must_send(&a, 20, "again", 5);
	must_send(&b, 21, "again", 5);
	UNTIL(a.messages == 1 && b.messages == 1);
}
END_TEST

START_TEST(what_was_meant_for_one_stream_never_goes_into_the_next)
{
	both_up();
	kill(status(&b).pid, SIGSTOP);
	for (int i = 0; i < 8; i++)
		must_send(&a, 20, big, 100000);
	kill(status(&b).pid, SIGKILL);
	UNTIL(a.up == 2 && b.up == 2);
	must_send(&a, 33, "new", 3);
	UNTIL(b.messages > 0);
	ck_assert(b.messages == 1 && b.type == 33);
}
END_TEST

START_TEST(a_peer_that_is_gone_comes_back)
{
	both_up();
	net_free(b.net);
	b.net = NULL;
	UNTIL(a.down == 1);
	ck_assert_int_eq(a.ended, 0);
	start(&b);
	UNTIL(a.up == 2 && b.up == 2);
	ck_assert_ptr_nonnull(strstr(status(&a).where, "127.0.0.1:"));
	ck_assert_uint_eq(status(&a).key, 1);
}
END_TEST

START_TEST(a_goodbye_comes_with_its_reason_after_all_messages)
{
	both_up();
	for (int i = 0; i < 3; i++)
		must_send(&a, 20, big, MESSAGE_MAX);
	net_close(a.net, "this node is told to stop");
	UNTIL(a.ended == 1 && b.down == 1);
	ck_assert_int_eq(b.messages, 3);
	ck_assert_int_eq(b.why, CHANNEL_BYE);
	ck_assert_ptr_nonnull(strstr(b.text, "told to stop"));
	ck_assert_int_eq(a.why, CHANNEL_OURS);
	FOR_MS(300);
	ck_assert(status(&a).pid == -1 && status(&a).started == 1);
}
END_TEST

START_TEST(a_stream_that_makes_no_sense_is_dropped_with_a_word)
{
	both_up();
	net_drop(a.net, "news, row 3 of 20: path out of order");
	UNTIL(a.down == 1 && b.down >= 1);
	ck_assert_int_eq(a.why, CHANNEL_DROPPED);
	UNTIL(a.up == 2 && b.up == 2);
}
END_TEST

START_TEST(another_secret_is_refused_and_told_on_both_sides)
{
	side_new(&b, "mx2", "mx1", "another-secret-of-the-pair");
	start_a();
	start(&b);
	UNTIL(a.refused > 0 && b.refused > 0);
	ck_assert_int_eq(a.refused_why, CHANNEL_FORGED);
	ck_assert_int_eq(status(&b).last_why, CHANNEL_FORGED);
	ck_assert_ptr_nonnull(strstr(status(&a).last, "another secret in key 1"));
	ck_assert(a.up == 0 && b.up == 0 && status(&a).refused > 0);
	FOR_MS(1200);
	ck_assert_int_le(a.refused, 3);		/* one each second, though there were many */
	ck_assert_uint_gt(status(&a).refused, (uint64_t)a.refused);
}
END_TEST

START_TEST(new_keys_begin_with_a_new_child)
{
	struct authkeys both = a.keys, weak = a.keys;
	struct err err;

	both_up();
	both.key[1] = both.key[0];
	both.key[1].id = 2;
	both.key[1].key[0] = 'x';
	both.len = 2;
	ck_assert(net_keys(a.net, &both, &err));
	UNTIL(a.up == 2 && b.up == 2);
	both.sending = 1;
	ck_assert(net_keys(b.net, &both, &err));
	UNTIL(a.up == 3 && b.up == 3);
	ck_assert_uint_eq(status(&a).key, 2);
	ck_assert_ptr_nonnull(strstr(b.end, "authkeys"));
	weak.key[0].len = 4;
	ck_assert(!net_keys(a.net, &weak, &err));
	FOR_MS(50);
	ck_assert(a.down == 2 && status(&a).up);
}
END_TEST

START_TEST(a_port_that_is_taken_is_told_and_tried_again)
{
	struct side other;

	start_again_a();
	other = a;
	side_new(&a, "mx1", "mx2", "first-secret-of-the-pair");
	a.setup.at[0].port = other.setup.at[0].port;
	start(&a);
	UNTIL(a.ended == 2);
	ck_assert_msg(strstr(a.end, "cannot listen on 127.0.0.1:") != NULL, "%s", a.end);
	net_free(other.net);
	UNTIL(status(&a).ready);
}
END_TEST

START_TEST(a_setup_that_cannot_be_is_refused_at_once)
{
	struct err err = { 0 };

	a.setup.at_len = 0;
	ck_assert(!net_start(loop, &a.setup, &a.net, &err));
	a.setup.at_len = 1;
	a.setup.peer = "";
	ck_assert(!net_start(loop, &a.setup, &a.net, &err));
	a.setup.peer = "mx2";
	a.keys.key[0].len = 3;
	ck_assert(!net_start(loop, &a.setup, &a.net, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "keygen"));
	a.keys.key[0].len = 12;
	a.setup.program = "/nonexistent/mailpair-config";
	start(&a);
	UNTIL(a.ended == 1);
	ck_assert_ptr_nonnull(strstr(a.end, "status 127"));
}
END_TEST

/* ---------------------------------------------------------------- callbacks */

START_TEST(it_may_be_freed_in_any_callback)
{
	both_up();
	a.free_in_callback = true;
	if (_i == 0)
		must_send(&b, 20, "x", 1);	/* received */
	else if (_i == 1)
		net_free(b.net), b.net = NULL;	/* down */
	else
		kill(status(&a).pid, SIGKILL);	/* down, before ended */
	UNTIL(a.net == NULL);
	FOR_MS(50);
	ck_assert(a.ended == 0);
}
END_TEST

static const struct { const char *lie, *why; } lies[] = {
	{ "exits", "status 42" }, { "long", "signal 9" }, { "early", "before it was ready" }, { "unknown", "unknown type" },
	{ "stray", "without a stream" }, { "other", "without a stream" }, { "down", "up or down twice" },
};

START_TEST(a_child_that_says_what_it_must_not_is_ended)
{
	a.setup.subcommand = lies[_i].lie;
	start(&a);
	UNTIL(a.ended == 1);
	ck_assert_msg(strstr(a.end, lies[_i].why) != NULL, "%s", a.end);
	ck_assert(a.messages == 0 && a.up == a.down);
}
END_TEST

START_TEST(what_a_child_said_before_it_ended_is_heard)
{
	char buf[256];

	a.setup.subcommand = "leaves";
	start(&a);
	UNTIL(status(&a).pid != -1);
	for (deadline = clock_mono_ms() + PATIENCE_MS; proc_status(status(&a).pid, "State:\t", buf, sizeof buf)[0] != 'Z';)
		ck_assert_uint_lt(clock_mono_ms(), deadline);	/* without the loop: all of it is there at once */
	UNTIL(a.ended == 1);
	ck_assert(a.up == 1 && a.down == 1 && a.messages == 3 && a.bytes == 150000);
	ck_assert_ptr_nonnull(strstr(a.end, "status 42"));
}
END_TEST

START_TEST(who_is_paused_from_the_beginning_hears_nothing)
{
	start_again_a();
	start(&b);
	net_pause(b.net, true);
	UNTIL(a.up == 1);
	FOR_MS(100);
	ck_assert(b.up == 0 && !status(&b).ready);
	net_pause(b.net, false);
	UNTIL(b.up == 1);
}
END_TEST

/* ---------------------------------------------------------------- the child, with another parent */

static uint32_t its_stream;

static bool
child_said(void *arg, uint8_t type, uint32_t stream, const uint8_t *bytes, size_t len)
{
	(void)arg;
	(void)bytes;
	(void)len;
	if (type == NET_UP)
		its_stream = stream;
	return true;
}

static void
child_drained(void *arg)
{
	(void)arg;
}

static void
child_closed(void *arg, const char *why)
{
	(void)arg;
	(void)why;
}

static const struct net_pipe_calls child_calls = { child_said, child_drained, child_closed };

START_TEST(a_message_for_another_stream_than_the_one_that_is_up_is_not_sent)
{
	struct net_boot boot = { .parent = getpid(), .uid = b.setup.uid, .gid = b.setup.gid, .pair = "mail", .service = "config", .node = "mx2",
		.peer = "mx1", .host = { "127.0.0.1" }, .at_len = 1, .limits = { .message_max = MESSAGE_MAX } };
	struct net_pipe *pipe;
	int pair[2];
	pid_t pid;

	start_a();
	boot.port[0] = b.setup.at[0].port;
	ck_assert(channel_key_derive(&b.keys, "mail", "config", &boot.keys, NULL));
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	if ((pid = fork()) == 0) {
		if (dup2(fcntl(pair[1], F_DUPFD_CLOEXEC, 10), NET_FD) == NET_FD)
			execl(tool, tool, "net-child", NULL);
		_exit(126);
	}
	close(pair[1]);
	pipe = net_pipe_new(loop, pair[0], MESSAGE_MAX, &child_calls, NULL);
	net_pipe_put(pipe, NET_BOOT, 0, &boot, sizeof boot);
	UNTIL(a.up == 1 && its_stream == 1);
	net_pipe_put(pipe, 20, 0, "before", 6);
	net_pipe_put(pipe, 20, 2, "after", 5);
	net_pipe_put(pipe, 33, 1, "now", 3);
	UNTIL(a.messages > 0);
	ck_assert(a.messages == 1 && a.type == 33);
	net_pipe_free(pipe);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);	/* its parent's end was its end */
}
END_TEST

START_TEST(it_is_started_again_ever_more_slowly)
{
	uint64_t begin = clock_mono_ms();

	a.setup.subcommand = "exits";
	start(&a);
	UNTIL(a.ended == 4);	/* 100 + 200 + 400 */
	ck_assert_uint_ge(clock_mono_ms() - begin, 690);
}
END_TEST

/* ---------------------------------------------------------------- the sandbox */

static long
landlock_here(void)
{
	long version = syscall(444, NULL, 0, 1);	/* landlock_create_ruleset(), only asked */

	return version < 0 ? 0 : version;
}

START_TEST(the_child_has_no_rights_no_files_and_no_environment)
{
	char buf[4096], path[64];
	pid_t pid;

	setenv("SECRET_OF_THE_PARENT", "x", 1);
	int kept = open("/etc/passwd", O_RDONLY);	/* without close-on-exec */
	if (geteuid() == 0)
		ck_assert_int_eq(setgroups(1, &(gid_t){ 12345 }), 0);
	both_up();
	close(kept);
	for (struct side *s = &a; s != NULL; s = s == &a ? &b : NULL) {
		pid = status(s).pid;
		ck_assert_str_eq(proc_status(pid, "CapPrm:\t", buf, sizeof buf), "0000000000000000");
		ck_assert_str_eq(proc_status(pid, "CapEff:\t", buf, sizeof buf), "0000000000000000");
		ck_assert_str_eq(proc_status(pid, "NoNewPrivs:\t", buf, sizeof buf), "1");
		ck_assert_str_eq(proc_status(pid, "Seccomp:\t", buf, sizeof buf), "2");
		if (geteuid() == 0) {
			ck_assert_str_eq(proc_status(pid, "CapBnd:\t", buf, sizeof buf), "0000000000000000");
			ck_assert_str_eq(proc_status(pid, "Uid:\t", buf, sizeof buf), "65534\t65534\t65534\t65534");
			ck_assert_str_eq(proc_status(pid, "Gid:\t", buf, sizeof buf), "65534\t65534\t65534\t65534");
			ck_assert_ptr_null(strpbrk(proc_status(pid, "Groups:", buf, sizeof buf), "0123456789"));
		}
		ck_assert(status(s).seccomp);
		ck_assert_int_eq(status(s).landlock, landlock_here());
		for (int fd = 3; fd < 40; fd++) {
			ssize_t n;

			snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, fd);
			n = readlink(path, buf, sizeof buf - 1);
			if (n <= 0)
				continue;
			buf[n] = '\0';
			ck_assert_msg(strncmp(buf, "socket:", 7) == 0 || strncmp(buf, "anon_inode:", 11) == 0 || strncmp(buf, "pipe:", 5) == 0,
			    "descriptor %d is %s", fd, buf);
		}
		snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t n = read(fd, buf, sizeof buf);
		close(fd);
		ck_assert(n <= 0 || memmem(buf, (size_t)n, "SECRET", 6) == NULL);
	}
}
END_TEST

/* -SIGSYS, or the exit status of the attempt. */
static const struct { const char *what, *role; int end; } attempts[] = {
	{ "memory", "listen", 0 }, { "read", "listen", -SIGSYS }, { "read", "connect", -SIGSYS }, { "create", "connect", -SIGSYS },
	{ "stat", "listen", -SIGSYS }, { "fork", "listen", -SIGSYS }, { "fork", "connect", -SIGSYS }, { "exec", "listen", -SIGSYS },
	{ "kill", "listen", -SIGSYS }, { "trace", "connect", -SIGSYS }, { "root", "listen", -SIGSYS }, { "connect", "listen", -SIGSYS },
	{ "reuse", "listen", -SIGSYS }, { "bind", "connect", -SIGSYS }, { "unix", "connect", -SIGSYS }, { "raw", "connect", -SIGSYS },
	{ "datagram", "connect", EACCES }, { "datagram", "listen", EACCES }, { "code", "listen", -SIGSYS }, { "connect", "connect", EACCES },
};

START_TEST(whoever_breaks_out_is_ended)
{
	char user[16];
	int end;
	pid_t pid;

	if (attempts[_i].end == EACCES && strcmp(attempts[_i].what, "connect") == 0 && landlock_here() < 4)
		return;		/* nothing there that knows ports */

	snprintf(user, sizeof user, "%u", geteuid() == 0 ? (unsigned int)NOBODY : (unsigned int)geteuid());
	pid = fork();
	if (pid == 0) {
		execl(tool, tool, "breach", attempts[_i].what, attempts[_i].role, user, NULL);
		_exit(126);
	}
	ck_assert_int_eq(waitpid(pid, &end, 0), pid);
	ck_assert_msg(end == (attempts[_i].end < 0 ? -attempts[_i].end : attempts[_i].end << 8) ||
	    (attempts[_i].end < 0 && WIFSIGNALED(end) && WTERMSIG(end) == -attempts[_i].end), "%s, %s: ended with 0x%x", attempts[_i].what,
	    attempts[_i].role, end);
}
END_TEST

static bool
is_gone(pid_t pid)
{
	char path[64], buf[256];

	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	return access(path, F_OK) == -1 || strchr(proc_status(pid, "State:\t", buf, sizeof buf), 'Z') != NULL;
}

START_TEST(the_child_ends_when_its_parent_is_killed)
{
	pid_t parent, child = -1;
	int fd[2], end;

	ck_assert_int_eq(pipe(fd), 0);
	if ((parent = fork()) == 0) {
		start_a();
		child = status(&a).pid;
		if (write(fd[1], &child, sizeof child) != (ssize_t)sizeof child)
			_exit(1);
		for (;;)
			pause();
	}
	ck_assert_int_eq(read(fd[0], &child, sizeof child), sizeof child);
	ck_assert(!is_gone(child));
	kill(parent, SIGKILL);
	ck_assert_int_eq(waitpid(parent, &end, 0), parent);
	UNTIL(is_gone(child));
	close(fd[0]);
	close(fd[1]);
}
END_TEST

/* Also one that waits for something else than its parent's socket. */
START_TEST(the_sandbox_ends_with_its_parent)
{
	char user[16], c;
	int in[2], out[2], end;
	pid_t parent, child;

	snprintf(user, sizeof user, "%u", geteuid() == 0 ? (unsigned int)NOBODY : (unsigned int)geteuid());
	ck_assert(pipe(in) == 0 && pipe(out) == 0);
	if ((parent = fork()) == 0) {
		if ((child = fork()) == 0) {
			dup2(in[0], STDIN_FILENO);
			dup2(out[1], STDOUT_FILENO);
			execl(tool, tool, "breach", "wait", "listen", user, NULL);
			_exit(126);
		}
		pause();
	}
	close(out[1]);
	ck_assert_int_eq(read(out[0], &c, 1), 1);
	kill(parent, SIGKILL);
	ck_assert_int_eq(waitpid(parent, &end, 0), parent);
	alarm(20);
	ck_assert_int_eq(read(out[0], &c, 1), 0);	/* nobody has its other end any more */
	close(in[0]);
	close(in[1]);
	close(out[0]);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config_net");
	TCase *c = tcase_create("net");
	ssize_t n = readlink("/proc/self/exe", tool, sizeof tool - 32);

	if (n <= 0)
		return 1;
	tool[n] = '\0';
	*strrchr(tool, '/') = '\0';
	strncat(tool, "/../tools/net_child", sizeof tool - strlen(tool) - 1);
	tcase_set_timeout(c, 60);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, messages_of_all_sizes_arrive_whole_both_ways);
	tcase_add_test(c, bytes_come_as_they_were_sent);
	tcase_add_test(c, nothing_is_lost_when_more_is_sent_than_fits);
	tcase_add_test(c, who_does_not_listen_makes_the_peer_wait_and_misses_nothing);
	tcase_add_test(c, without_a_stream_nothing_is_taken);
	tcase_add_test(c, a_child_that_is_killed_is_told_and_started_again);
	tcase_add_test(c, what_was_meant_for_one_stream_never_goes_into_the_next);
	tcase_add_test(c, a_peer_that_is_gone_comes_back);
	tcase_add_test(c, a_goodbye_comes_with_its_reason_after_all_messages);
	tcase_add_test(c, a_stream_that_makes_no_sense_is_dropped_with_a_word);
	tcase_add_test(c, another_secret_is_refused_and_told_on_both_sides);
	tcase_add_test(c, new_keys_begin_with_a_new_child);
	tcase_add_test(c, a_port_that_is_taken_is_told_and_tried_again);
	tcase_add_test(c, a_setup_that_cannot_be_is_refused_at_once);
	tcase_add_loop_test(c, it_may_be_freed_in_any_callback, 0, 3);
	tcase_add_loop_test(c, a_child_that_says_what_it_must_not_is_ended, 0, sizeof lies / sizeof *lies);
	tcase_add_test(c, what_a_child_said_before_it_ended_is_heard);
	tcase_add_test(c, who_is_paused_from_the_beginning_hears_nothing);
	tcase_add_test(c, a_message_for_another_stream_than_the_one_that_is_up_is_not_sent);
	tcase_add_test(c, it_is_started_again_ever_more_slowly);
	tcase_add_test(c, the_child_has_no_rights_no_files_and_no_environment);
	tcase_add_loop_test(c, whoever_breaks_out_is_ended, 0, sizeof attempts / sizeof *attempts);
	tcase_add_test(c, the_child_ends_when_its_parent_is_killed);
	tcase_add_test(c, the_sandbox_ends_with_its_parent);
	suite_add_tcase(suite, c);
	return unit_main(suite);
}
