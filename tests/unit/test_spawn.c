/*
 * tests/unit/test_spawn.c - laws of common/spawn.h for commands, with real ones and short deadlines.
 */
#include "common/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/unit/harness.h"
#include "tests/unit/spawn_seen.h"

static struct seen *
shell(const char *script, const char *in, uint32_t deadline_ms)
{
	struct seen *seen = seen_new(1);
	const char *argv[] = { "sh", "-c", script, NULL };
	struct spawn_cmd cmd = { .argv = argv, .in = in };

	spawn_exec(seen->loop, "shell", &cmd, deadline_ms, seen_done, seen);
	ck_assert_int_eq(seen->calls, 0);	/* later, never at once */
	loop_run(seen->loop);
	return seen;
}

START_TEST(a_command_gives_its_output_and_its_status)
{
	struct seen *seen = shell("cat; echo bad >&2; exit 3", "good\n", PATIENCE_MS);

	ck_assert_int_eq(seen->r.end, SPAWN_EXITED);
	ck_assert_int_eq(seen->r.code, 3);
	ck_assert_str_eq(seen->out, "good\n");
	ck_assert_str_eq(seen->errout, "bad\n");
	ck_assert_int_eq(seen->calls, 1);
	seen_free(seen);
}
END_TEST

START_TEST(a_command_that_does_not_exist_is_said_to_have_failed)
{
	struct seen *seen = seen_new(1);
	const char *argv[] = { "/nonexistent/agent", NULL };
	struct spawn_cmd cmd = { .argv = argv };

	spawn_exec(seen->loop, "fence bmc", &cmd, PATIENCE_MS, seen_done, seen);
	loop_run(seen->loop);
	ck_assert_int_eq(seen->r.end, SPAWN_FAILED);
	ck_assert_int_eq(seen->r.err.sys, ENOENT);
	ck_assert_ptr_nonnull(strstr(seen->r.err.text, "/nonexistent/agent"));
	ck_assert_ptr_nonnull(strstr(seen->r.err.text, "fence bmc"));
	seen_free(seen);
}
END_TEST

START_TEST(without_descriptors_left_failure_comes_through_done)
{
	struct seen *seen = seen_new(1);
	const char *argv[] = { "true", NULL };
	struct spawn_cmd cmd = { .argv = argv };
	struct rlimit was, tight;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &was), 0);
	tight = (struct rlimit){ .rlim_cur = 0, .rlim_max = was.rlim_max };
	setrlimit(RLIMIT_NOFILE, &tight);
	spawn_exec(seen->loop, "true", &cmd, PATIENCE_MS, seen_done, seen);
	setrlimit(RLIMIT_NOFILE, &was);
	ck_assert_int_eq(seen->calls, 0);
	loop_run(seen->loop);
	ck_assert_int_eq(seen->r.end, SPAWN_FAILED);
	ck_assert_int_eq(seen->r.err.sys, EMFILE);
	seen_free(seen);
}
END_TEST

START_TEST(a_command_has_a_plain_environment_and_three_descriptors)
{
	struct seen *seen;

	setenv("SECRET", "x", 1);
	ck_assert_int_ne(open("/dev/null", O_RDONLY), -1);	/* no close-on-exec */
	seen = shell("env | grep -v -e ^PWD= -e ^SHLVL= -e ^_= -e ^OLDPWD= | sort;"
	    "for n in 0 1 2 3 4 5 6 7 8 9 10 11 12; do [ -e /proc/$$/fd/$n ] && echo $n; done", NULL,
	    PATIENCE_MS);
	ck_assert_str_eq(seen->out, "HOME=/root\nLANG=C\nPATH=/usr/local/sbin:/usr/local/bin:"
	    "/usr/sbin:/usr/bin:/sbin:/bin\n0\n1\n2\n");
	seen_free(seen);
}
END_TEST

START_TEST(a_given_environment_replaces_the_plain_one)
{
	struct seen *seen = seen_new(1);
	const char *argv[] = { "env", NULL }, *env[] = { "PATH=/usr/bin:/bin", "A=b", NULL };
	struct spawn_cmd cmd = { .argv = argv, .env = env };

	spawn_exec(seen->loop, "env", &cmd, PATIENCE_MS, seen_done, seen);
	loop_run(seen->loop);
	ck_assert_str_eq(seen->out, "PATH=/usr/bin:/bin\nA=b\n");
	seen_free(seen);
}
END_TEST

START_TEST(input_that_is_not_read_harms_nobody)
{
	char *in = malloc(1024 * 1024);
	struct seen *seen;

	memset(in, 'x', 1024 * 1024 - 1);
	in[1024 * 1024 - 1] = '\0';
	seen = shell("exec <&-; echo done", in, PATIENCE_MS);
	ck_assert_str_eq(seen->out, "done\n");
	seen_free(seen);
	seen = shell("wc -c", in, PATIENCE_MS);		/* and all of it is there for who reads */
	ck_assert_int_eq(strtol(seen->out, NULL, 10), 1024 * 1024 - 1);
	seen_free(seen);
	free(in);
}
END_TEST

START_TEST(output_is_cut_at_the_limit_and_the_command_still_ends)
{
	struct seen *seen = shell("yes | head -c 3000000; yes 2>&1 >&2 | head -c 300000 >&2; exit 4",
	    NULL, PATIENCE_MS);

	ck_assert_int_eq(seen->r.end, SPAWN_EXITED);
	ck_assert_int_eq(seen->r.code, 4);
	ck_assert_uint_eq(seen->out_len, SPAWN_OUT_MAX);
	seen_free(seen);
}
END_TEST

START_TEST(a_deadline_kills_the_whole_group_and_tells_at_once)
{
	/* The shell and its child both ignore TERM; the pipe they share tells when both are gone. */
	int life[2];
	char script[128], byte;
	struct seen *seen;
	uint64_t began;

	ck_assert_int_eq(mkfifo("life", 0600), 0);
	life[0] = open("life", O_RDONLY | O_NONBLOCK);
	snprintf(script, sizeof(script), "trap '' TERM; exec 3>life; echo x >&3; tail -f /dev/null >/dev/null & wait");
	began = clock_mono_ms();
	seen = shell(script, NULL, 300);
	ck_assert_int_eq(seen->r.end, SPAWN_TIMEOUT);
	ck_assert_uint_ge(seen->r.took_ms, 300);
	ck_assert_uint_lt(clock_mono_ms() - began, 2000);
	ck_assert_ptr_nonnull(strstr(seen->r.err.text, "300 ms"));
	run_for(seen->loop, 300);			/* reaped in silence */
	ck_assert_int_eq(seen->calls, 1);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
	fcntl(life[0], F_SETFL, 0);
	while (read(life[0], &byte, 1) == 1)
		continue;				/* ends only when no writer is left */
	close(life[0]);
	unlink("life");
	seen_free(seen);
}
END_TEST

START_TEST(a_daemon_left_behind_holds_nothing_back_and_lives)
{
	/* It keeps both pipes open, in a session of its own. */
	struct seen *seen = shell("setsid tail -f /dev/null 3>&1 >/dev/null & echo $!", NULL, PATIENCE_MS);
	pid_t pid = (pid_t)strtol(seen->out, NULL, 10);

	ck_assert_int_eq(seen->r.end, SPAWN_EXITED);
	ck_assert_uint_lt(seen->r.took_ms, 3000);
	ck_assert_int_gt(pid, 1);
	ck_assert_int_eq(kill(pid, 0), 0);
	kill(pid, SIGKILL);
	seen_free(seen);
}
END_TEST

START_TEST(one_hundred_children_at_once_all_answer)
{
	struct seen *seen = seen_new(100);
	const char *argv[] = { "sh", "-c", "echo $$", NULL };
	struct spawn_cmd cmd = { .argv = argv };

	for (int i = 0; i < 100; i++)
		spawn_exec(seen->loop, "many", &cmd, PATIENCE_MS, seen_done, seen);
	loop_run(seen->loop);
	ck_assert_int_eq(seen->calls, 100);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	seen_free(seen);
}
END_TEST

static int
open_descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 512; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

START_TEST(no_descriptor_is_lost_over_many_children)
{
	int before = open_descriptors();

	for (int i = 0; i < 20; i++) {
		struct seen *seen = shell("echo x; exit $#", "in", i % 2 == 0 ? PATIENCE_MS : 0);

		run_for(seen->loop, 30);	/* the killed ones are reaped */
		seen_free(seen);
	}
	ck_assert_int_eq(open_descriptors(), before);
}
END_TEST

START_TEST(a_forgotten_child_is_killed_and_not_told)
{
	struct seen *seen = seen_new(1);
	const char *argv[] = { "tail", "-f", "/dev/null", NULL };
	struct spawn_cmd cmd = { .argv = argv };

	spawn_forget(spawn_exec(seen->loop, "tail", &cmd, 100, seen_done, seen));
	run_for(seen->loop, 300);
	ck_assert_int_eq(seen->calls, 0);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	seen_free(seen);
}
END_TEST

START_TEST(a_parent_that_ignored_child_signals_still_learns_the_status)
{
	struct seen *seen;

	signal(SIGCHLD, SIG_IGN);
	seen = shell("exit 5", NULL, PATIENCE_MS);
	ck_assert_int_eq(seen->r.code, 5);
	seen_free(seen);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("spawn");
	TCase *commands = tcase_create("commands");
	char dir[] = "/tmp/test_spawn.XXXXXX";
	int failed;

	if (mkdtemp(dir) == NULL || chdir(dir) == -1)
		return 1;
	tcase_set_timeout(commands, 30);
	tcase_add_test(commands, a_command_gives_its_output_and_its_status);
	tcase_add_test(commands, a_command_that_does_not_exist_is_said_to_have_failed);
	tcase_add_test(commands, without_descriptors_left_failure_comes_through_done);
	tcase_add_test(commands, a_command_has_a_plain_environment_and_three_descriptors);
	tcase_add_test(commands, a_given_environment_replaces_the_plain_one);
	tcase_add_test(commands, input_that_is_not_read_harms_nobody);
	tcase_add_test(commands, output_is_cut_at_the_limit_and_the_command_still_ends);
	tcase_add_test(commands, a_deadline_kills_the_whole_group_and_tells_at_once);
	tcase_add_test(commands, a_daemon_left_behind_holds_nothing_back_and_lives);
	tcase_add_test(commands, one_hundred_children_at_once_all_answer);
	tcase_add_test(commands, no_descriptor_is_lost_over_many_children);
	tcase_add_test(commands, a_forgotten_child_is_killed_and_not_told);
	tcase_add_test(commands, a_parent_that_ignored_child_signals_still_learns_the_status);
	suite_add_tcase(s, commands);
	failed = unit_main(s);
	if (chdir("/") == -1 || rmdir(dir) == -1)
		return 1;
	return failed;
}
