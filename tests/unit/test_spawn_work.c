/*
 * tests/unit/test_spawn_work.c - laws of common/spawn.h for workers and for what they run.
 */
#include "common/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/unit/harness.h"
#include "tests/unit/spawn_seen.h"

static struct seen *
worker(spawn_work_f *work, const void *ctx, uint32_t deadline_ms)
{
	struct seen *seen = seen_new(1);

	spawn_work(seen->loop, "mount", work, ctx, deadline_ms, seen_done, seen);
	loop_run(seen->loop);
	return seen;
}

static bool
work_report(const void *ctx, struct spawn_out *out, struct err *err)
{
	spawn_say(out, "device", "%s", (const char *)ctx);
	spawn_say(out, "dev", "two\nlines");
	return err_set(err, EBUSY, "cannot mount %s", (const char *)ctx);
}

START_TEST(a_worker_reports_lines_and_its_own_error)
{
	struct seen *seen = worker(work_report, "/dev/sdb1", PATIENCE_MS);
	char buf[64];

	ck_assert_int_eq(seen->r.end, SPAWN_EXITED);
	ck_assert_int_eq(seen->r.code, 1);
	ck_assert_int_eq(seen->r.err.sys, EBUSY);
	ck_assert_str_eq(seen->r.err.text, "cannot mount /dev/sdb1: Device or resource busy");
	ck_assert_str_eq(seen->out, "device /dev/sdb1\ndev two lines\n");
	ck_assert_str_eq(spawn_get(seen->out, "dev", buf, sizeof(buf)), "two lines");
	ck_assert_str_eq(spawn_get(seen->out, "device", buf, 5), "/dev");
	ck_assert_ptr_null(spawn_get(seen->out, "two", buf, sizeof(buf)));
	ck_assert_str_eq(seen->errout, "");
	seen_free(seen);
}
END_TEST

static bool
work_flood(const void *ctx, struct spawn_out *out, struct err *err)
{
	(void)ctx;
	for (int i = 0; i < 20000; i++)
		spawn_say(out, "line", "%d", i);
	return err_set(err, 0, "the last word");
}

START_TEST(a_report_is_cut_in_whole_lines_and_the_error_still_arrives)
{
	struct seen *seen = worker(work_flood, NULL, PATIENCE_MS);
	size_t len = strlen(seen->out);

	ck_assert_uint_gt(len, SPAWN_OUT_MAX - 32);
	ck_assert_int_eq(seen->out[len - 1], '\n');
	ck_assert_str_eq(seen->r.err.text, "the last word");
	seen_free(seen);
}
END_TEST

static bool
work_crash(const void *ctx, struct spawn_out *out, struct err *err)
{
	(void)ctx;
	(void)err;
	spawn_say(out, "so", "far");
	raise(SIGTERM);		/* default again, though the parent ignores it */
	return true;
}

START_TEST(a_worker_killed_by_a_signal_is_told_as_such)
{
	struct seen *seen;

	signal(SIGTERM, SIG_IGN);
	seen = worker(work_crash, NULL, PATIENCE_MS);
	ck_assert_int_eq(seen->r.end, SPAWN_SIGNALED);
	ck_assert_int_eq(seen->r.code, SIGTERM);
	ck_assert_str_eq(seen->out, "so far\n");
	seen_free(seen);
}
END_TEST

static bool
work_hang(const void *ctx, struct spawn_out *out, struct err *err)
{
	(void)ctx;
	(void)err;
	spawn_say(out, "step", "one");
	pause();
	return true;
}

START_TEST(a_worker_that_hangs_is_killed_and_its_report_so_far_is_given)
{
	struct seen *seen = worker(work_hang, NULL, 200);

	ck_assert_int_eq(seen->r.end, SPAWN_TIMEOUT);
	ck_assert_str_eq(seen->out, "step one\n");
	run_for(seen->loop, 200);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	seen_free(seen);
}
END_TEST

/* A zombie that nobody has reaped yet has no descriptors. */
static bool
runs(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd/0", (int)pid);
	return access(path, F_OK) == 0;
}

static bool
work_daemon(const void *ctx, struct spawn_out *out, struct err *err)
{
	pid_t pid = fork();

	(void)ctx;
	(void)err;
	if (pid == 0) {
		pause();		/* in the worker's group: not even then it is killed */
		_exit(0);
	}
	spawn_say(out, "daemon", "%d", (int)pid);
	return true;
}

START_TEST(a_daemon_started_by_a_worker_survives_it_and_does_not_delay_it)
{
	struct seen *seen = worker(work_daemon, NULL, PATIENCE_MS);
	char buf[16];
	pid_t pid;

	ck_assert_int_eq(seen->r.end, SPAWN_EXITED);
	ck_assert_int_eq(seen->r.code, 0);
	ck_assert_uint_lt(seen->r.took_ms, 3000);
	pid = (pid_t)strtol(spawn_get(seen->out, "daemon", buf, sizeof(buf)), NULL, 10);
	run_for(seen->loop, 50);
	ck_assert(runs(pid));
	kill(pid, SIGKILL);
	seen_free(seen);
}
END_TEST

/* What a worker must not have from its parent. */
static bool
work_inspect(const void *ctx, struct spawn_out *out, struct err *err)
{
	struct sigaction sa;
	sigset_t mask;
	int open_fds = 0;

	(void)err;
	for (int fd = 0; fd < 256; fd++)
		open_fds += fcntl(fd, F_GETFD) != -1;
	sigprocmask(SIG_SETMASK, NULL, &mask);
	sigaction(SIGUSR1, NULL, &sa);
	spawn_say(out, "fds", "%d", open_fds);
	spawn_say(out, "group", "%s", getpgrp() == getpid() ? "own" : "shared");
	spawn_say(out, "policy", "%d", sched_getscheduler(0));
	spawn_say(out, "nice", "%d", getpriority(PRIO_PROCESS, 0));
	spawn_say(out, "usr1", "%s", sa.sa_handler == SIG_DFL ? "default" : "kept");
	spawn_say(out, "blocked", "%d", sigismember(&mask, SIGUSR2));
	spawn_say(out, "given", "%s", fcntl(*(const int *)ctx, F_GETFD) == -1 ? "closed" : "open");
	printf("what a worker prints becomes a log line\n");
	fflush(stdout);
	return true;
}

static void
on_signal(int signo)
{
	(void)signo;
}

START_TEST(a_worker_inherits_neither_descriptors_nor_handlers_nor_priority)
{
	struct sched_param fast = { .sched_priority = 1 };
	int fd = fcntl(0, F_DUPFD, 50);
	struct seen *seen;
	sigset_t mask;
	char buf[16];

	signal(SIGUSR1, on_signal);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	if (sched_setscheduler(0, SCHED_RR, &fast) == -1)
		printf("skip: SCHED_RR is not permitted here, its inheritance is not tested\n");
	seen = worker(work_inspect, &fd, PATIENCE_MS);
	fast.sched_priority = 0;
	sched_setscheduler(0, SCHED_OTHER, &fast);
	ck_assert_str_eq(spawn_get(seen->out, "fds", buf, sizeof(buf)), "5");
	ck_assert_str_eq(spawn_get(seen->out, "group", buf, sizeof(buf)), "own");
	ck_assert_str_eq(spawn_get(seen->out, "policy", buf, sizeof(buf)), "0");
	ck_assert_str_eq(spawn_get(seen->out, "nice", buf, sizeof(buf)), "0");
	ck_assert_str_eq(spawn_get(seen->out, "usr1", buf, sizeof(buf)), "default");
	ck_assert_str_eq(spawn_get(seen->out, "blocked", buf, sizeof(buf)), "0");
	ck_assert_str_eq(spawn_get(seen->out, "given", buf, sizeof(buf)), "closed");
	seen_free(seen);
}
END_TEST

static void
usr1_caught(int signo, void *arg)
{
	(void)signo;
	++*(int *)arg;
}

static bool
work_signal_self(const void *ctx, struct spawn_out *out, struct err *err)
{
	(void)ctx;
	(void)out;
	(void)err;
	raise(SIGUSR1);
	return true;
}

START_TEST(a_signal_to_a_worker_does_not_reach_the_parents_loop)
{
	struct seen *seen = seen_new(1);
	int caught = 0;
	struct loop_signal *sig = loop_signal_new(seen->loop, SIGUSR1, usr1_caught, &caught);

	spawn_work(seen->loop, "self", work_signal_self, NULL, PATIENCE_MS, seen_done, seen);
	loop_run(seen->loop);
	ck_assert_int_eq(seen->r.end, SPAWN_SIGNALED);
	run_for(seen->loop, 50);
	ck_assert_int_eq(caught, 0);
	raise(SIGUSR1);				/* and the loop still hears its own */
	run_for(seen->loop, 50);
	ck_assert_int_eq(caught, 1);
	loop_signal_free(sig);
	seen_free(seen);
}
END_TEST

/* ---------------------------------------------------------------- progress */

#define WORD_MS 200	/* between two words */
#define QUIET_MS 1000	/* the deadline */

static char progress_last[64];
static int progress_calls;

static void
progress_heard(void *arg, const char *text)
{
	(void)arg;
	snprintf(progress_last, sizeof(progress_last), "%s", text);
	progress_calls++;
}

/* So many words, then the report; "hang": and then nothing more. */
static bool
work_moving(const void *ctx, struct spawn_out *out, struct err *err)
{
	char text[32];

	(void)err;
	for (int i = 1; i <= 8; i++) {
		struct timespec pause = { .tv_nsec = WORD_MS * 1000000 };

		nanosleep(&pause, NULL);	/* tidy: the pace of the work is what is tested */
		snprintf(text, sizeof(text), "%d\nof 8", i);
		spawn_progress(out, text);
		spawn_say(out, "step", "%d", i);
	}
	while (strcmp(ctx, "hang") == 0)
		pause();
	return true;
}

START_TEST(a_worker_that_comes_further_may_take_longer_than_its_deadline)
{
	struct seen *seen = seen_new(1);

	spawn_work_moving(seen->loop, "mend", work_moving, "", QUIET_MS, progress_heard, seen_done, seen);
	loop_run(seen->loop);
	ck_assert_int_eq(seen->r.end, SPAWN_EXITED);
	ck_assert_int_eq(seen->r.code, 0);
	ck_assert_uint_ge(seen->r.took_ms, 8 * WORD_MS);
	ck_assert_int_ge(progress_calls, 2);
	ck_assert_str_eq(progress_last, "8 of 8");
	ck_assert_str_eq(seen->out, "step 1\nstep 2\nstep 3\nstep 4\nstep 5\nstep 6\nstep 7\nstep 8\n");
	seen_free(seen);
}
END_TEST

START_TEST(a_worker_that_comes_no_further_ends_at_the_deadline_after_its_last_word)
{
	struct seen *seen = seen_new(1);
	uint64_t began = clock_mono_ms();

	spawn_work_moving(seen->loop, "mend", work_moving, "hang", QUIET_MS, progress_heard, seen_done, seen);
	loop_run(seen->loop);
	ck_assert_int_eq(seen->r.end, SPAWN_TIMEOUT);
	ck_assert_uint_ge(clock_mono_ms() - began, 8 * WORD_MS + QUIET_MS - 10);
	seen_free(seen);
}
END_TEST

START_TEST(words_of_progress_fill_no_report)
{
	struct seen *seen = seen_new(1);
	const char *argv[] = { "sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10; do yes 'progress and so on' | head -n 400; sleep 0.02; "
	    "done; echo verdict; echo 'progress last'", NULL };	/* tidy: more than a report may hold, but not at once */
	struct spawn_cmd cmd = { .argv = argv, .progress = progress_heard };
	char out[64];
	struct err err;

	progress_calls = 0;
	ck_assert_int_eq(spawn_run(&cmd, PATIENCE_MS, out, sizeof(out), NULL, 0, &err), 0);
	ck_assert_str_eq(out, "verdict\n");
	ck_assert_int_ge(progress_calls, 1);
	seen_free(seen);
}
END_TEST

START_TEST(a_run_that_comes_further_may_take_longer_and_one_that_does_not_is_told_to_be_gone)
{
	const char *moving[] = { "sh", "-c", "for i in 1 2 3 4; do echo progress $i; sleep 0.2; done", NULL };	/* tidy: its pace */
	const char *still[] = { "sh", "-c", "echo progress 1; exec tail -f /dev/null", NULL };
	struct spawn_cmd cmd = { .argv = moving, .progress = progress_heard };
	struct err err;

	ck_assert_int_eq(spawn_run(&cmd, 600, NULL, 0, NULL, 0, &err), 0);
	cmd.argv = still;
	ck_assert_int_eq(spawn_run(&cmd, 300, NULL, 0, NULL, 0, &err), -1);
	ck_assert_int_eq(err.sys, ETIMEDOUT);
}
END_TEST

START_TEST(a_worker_that_is_stopped_is_told_as_such_at_once)
{
	struct seen *seen = seen_new(1);
	struct spawn *s = spawn_work_moving(seen->loop, "mend", work_moving, "hang", PATIENCE_MS, progress_heard, seen_done, seen);

	ck_assert_int_eq(seen->calls, 0);
	spawn_stop(s);
	loop_run(seen->loop);
	ck_assert_int_eq(seen->r.end, SPAWN_SIGNALED);
	ck_assert_int_eq(seen->r.code, SIGKILL);
	ck_assert_uint_lt(seen->r.took_ms, PATIENCE_MS / 2);
	seen_free(seen);
}
END_TEST

/* ---------------------------------------------------------------- spawn_run */

static int
run(const char *script, const char *in, uint32_t deadline_ms, char *out, size_t size, struct err *err)
{
	const char *argv[] = { "sh", "-c", script, NULL };
	struct spawn_cmd cmd = { .argv = argv, .in = in };

	return spawn_run(&cmd, deadline_ms, out, size, NULL, 0, err);
}

START_TEST(run_waits_and_gives_status_and_cut_output)
{
	char out[8] = "";
	struct err err;

	ck_assert_int_eq(run("cat; exit 7", "0123456789", PATIENCE_MS, out, sizeof(out), &err), 7);
	ck_assert_str_eq(out, "0123456");
	ck_assert_int_eq(run("kill -9 $$", NULL, PATIENCE_MS, NULL, 0, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "signal 9"));
}
END_TEST

START_TEST(run_kills_what_is_late_and_does_not_wait_for_daemons)
{
	uint64_t began = clock_mono_ms();
	char out[16];
	struct err err;
	pid_t pid;

	ck_assert_int_eq(run("trap '' TERM; tail -f /dev/null >/dev/null", NULL, 200, NULL, 0, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "200 ms"));
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(run("setsid tail -f /dev/null 3>&1 >/dev/null & echo $!", NULL, PATIENCE_MS, out, sizeof(out),
	    &err), 0);
	pid = (pid_t)strtol(out, NULL, 10);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_uint_lt(clock_mono_ms() - began, 3000);
}
END_TEST

static bool
work_run_long(const void *ctx, struct spawn_out *out, struct err *err)
{
	(void)out;
	return run(ctx, NULL, PATIENCE_MS, NULL, 0, err) == 0;
}

START_TEST(a_command_of_a_worker_does_not_outlive_the_workers_deadline)
{
	char pid[16];
	struct seen *seen = worker(work_run_long, "echo $$ > pid; exec tail -f /dev/null >/dev/null", 500);
	FILE *f = fopen("pid", "r");
	bool gone = false;

	ck_assert_int_eq(seen->r.end, SPAWN_TIMEOUT);
	ck_assert_ptr_nonnull(f);
	ck_assert_ptr_nonnull(fgets(pid, sizeof(pid), f));
	fclose(f);
	unlink("pid");
	for (int i = 0; i < 50 && !gone; i++) {
		run_for(seen->loop, 20);
		gone = !runs((pid_t)strtol(pid, NULL, 10));
	}
	ck_assert(gone);
	seen_free(seen);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("spawn_work");
	TCase *t = tcase_create("workers");
	char dir[] = "/tmp/test_spawn_work.XXXXXX";
	int failed;

	if (mkdtemp(dir) == NULL || chdir(dir) == -1)
		return 1;
	tcase_set_timeout(t, 30);
	tcase_add_test(t, a_worker_reports_lines_and_its_own_error);
	tcase_add_test(t, a_report_is_cut_in_whole_lines_and_the_error_still_arrives);
	tcase_add_test(t, a_worker_killed_by_a_signal_is_told_as_such);
	tcase_add_test(t, a_worker_that_hangs_is_killed_and_its_report_so_far_is_given);
	tcase_add_test(t, a_daemon_started_by_a_worker_survives_it_and_does_not_delay_it);
	tcase_add_test(t, a_worker_inherits_neither_descriptors_nor_handlers_nor_priority);
	tcase_add_test(t, a_signal_to_a_worker_does_not_reach_the_parents_loop);
	tcase_add_test(t, a_command_of_a_worker_does_not_outlive_the_workers_deadline);
	tcase_add_test(t, a_worker_that_comes_further_may_take_longer_than_its_deadline);
	tcase_add_test(t, a_worker_that_comes_no_further_ends_at_the_deadline_after_its_last_word);
	tcase_add_test(t, words_of_progress_fill_no_report);
	tcase_add_test(t, a_run_that_comes_further_may_take_longer_and_one_that_does_not_is_told_to_be_gone);
	tcase_add_test(t, a_worker_that_is_stopped_is_told_as_such_at_once);
	tcase_add_test(t, run_waits_and_gives_status_and_cut_output);
	tcase_add_test(t, run_kills_what_is_late_and_does_not_wait_for_daemons);
	suite_add_tcase(s, t);
	failed = unit_main(s);
	if (chdir("/") == -1 || rmdir(dir) == -1)
		return 1;
	return failed;
}
