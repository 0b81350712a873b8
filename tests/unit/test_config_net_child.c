/*
 * tests/unit/test_config_net_child.c - laws of configsync/net.h about its process: what its parent may do and when, what it may say, what it
 * may not do.
 */
#include "tests/unit/net_case.h"

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
	Suite *suite = suite_create("config_net_child");
	TCase *c = tcase_create("net");

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
	return net_case_main(suite, c);
}
