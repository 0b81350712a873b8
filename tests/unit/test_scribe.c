/*
 * tests/unit/test_scribe.c - laws of supervisor/scribe.h, with its real child, which is stopped and
 * killed under it.
 */
#include "supervisor/scribe.h"

#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/unit/harness.h"

#define LOG "log"
#define DB "state/journal.db"

static struct err err;

static struct conf
conf_of(const char *log)
{
	return (struct conf){ .log = log, .state_dir = "state", .stall_ms = 300 };
}

static void
stop(void *arg)
{
	loop_stop(arg);
}

static void
run_for(struct loop *loop, uint64_t ms)
{
	struct loop_timer *t = loop_timer_new(loop, stop, loop);

	loop_timer_in(t, ms);
	loop_run(loop);
	loop_timer_free(t);
}

/* The scribe's child is the only one a test has; 0: none. */
static pid_t
child(void)
{
	char path[64], buf[64] = "";
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	ck_assert_ptr_nonnull(f = fopen(path, "r"));
	n = fread(buf, 1, sizeof(buf) - 1, f);
	fclose(f);
	return n == 0 ? 0 : (pid_t)strtol(buf, NULL, 10);
}

/* Lines of a file that hold this text. */
static int
lines(const char *path, const char *text)
{
	char line[2048];
	FILE *f = fopen(path, "r");
	int n = 0;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		n += strstr(line, text) != NULL;
	if (f != NULL)
		fclose(f);
	return n;
}

/* Run the loop until so many lines are there. */
static void
await_lines(struct loop *loop, const char *path, const char *text, int n)
{
	for (int i = 0; i < 500 && lines(path, text) < n; i++)
		run_for(loop, 10);
	ck_assert_int_eq(lines(path, text), n);
}

static bool
count(void *arg, const struct journal_event *e)
{
	(void)e;
	++*(int *)arg;
	return true;
}

static int
events(void)
{
	struct journal *j;
	int n = 0;

	if (!journal_open(DB, false, &j, NULL, &err))
		return 0;
	ck_assert(journal_walk(j, ~0u, 100000, count, &n, &err));
	journal_close(j);
	return n;
}

static void
await_events(struct loop *loop, int n)
{
	for (int i = 0; i < 300 && events() < n; i++)
		run_for(loop, 20);
	ck_assert_int_eq(events(), n);
}

static const struct journal_event step = { .kind = JOURNAL_STEP, .name = "mount", .ok = true };

static void
clean(void)
{
	static const char *const patterns[] = { LOG "*", DB "*", "other" };

	for (size_t p = 0; p < 3; p++) {
		glob_t g = { 0 };

		glob(patterns[p], 0, NULL, &g);
		for (size_t i = 0; i < g.gl_pathc; i++)
			unlink(g.gl_pathv[i]);
		globfree(&g);
	}
}

struct desk {
	struct loop	*loop;
	struct conf	 conf;
	struct scribe	*scribe;
};

static struct desk
desk_open(void)
{
	struct desk d = { .loop = loop_new(), .conf = conf_of(LOG) };

	clean();
	d.scribe = scribe_new(d.loop, &d.conf);
	return d;
}

static void
desk_close(struct desk *d)
{
	scribe_free(d->scribe);
	run_for(d->loop, 50);		/* children released earlier are reaped */
	loop_free(d->loop);
}

START_TEST(lines_and_events_arrive_with_level_and_date)
{
	struct desk d = desk_open();
	uint64_t began = clock_mono_ms();

	ck_assert_int_eq(child(), 0);
	scribe_log(d.scribe, LOG_LVL_INFO, "node mx1 is active");
	scribe_log(d.scribe, LOG_LVL_ERR, "disk gone");
	scribe_event(d.scribe, &step);
	await_lines(d.loop, LOG, "Z mailpaird: node mx1 is active", 1);
	await_lines(d.loop, LOG, "Z mailpaird: error: disk gone", 1);
	await_events(d.loop, 1);
	ck_assert_uint_lt(clock_mono_ms() - began, 3000);	/* what a power cut may take with it */
	ck_assert_uint_eq(scribe_dropped(d.scribe), 0);
	ck_assert(!scribe_stalled(d.scribe, clock_mono_ms() + 100000));
	desk_close(&d);
}
END_TEST

START_TEST(last_words_are_written_before_free_returns)
{
	struct desk d = desk_open();

	for (int i = 0; i < 300; i++)
		scribe_log(d.scribe, LOG_LVL_INFO, "last words");
	for (int i = 0; i < 100; i++)
		scribe_event(d.scribe, &step);
	scribe_free(d.scribe);
	ck_assert_int_eq(lines(LOG, "last words"), 300);
	ck_assert_int_eq(events(), 100);
	ck_assert_int_eq(child(), 0);
	loop_free(d.loop);
}
END_TEST

START_TEST(an_idle_scribe_has_no_process)
{
	struct desk d = desk_open();

	scribe_event(d.scribe, &step);
	ck_assert_int_ne(child(), 0);
	run_for(d.loop, 5500);
	ck_assert_int_eq(child(), 0);
	ck_assert_int_eq(events(), 1);
	scribe_log(d.scribe, LOG_LVL_INFO, "again");
	await_lines(d.loop, LOG, "again", 1);
	ck_assert_uint_eq(scribe_dropped(d.scribe), 0);
	desk_close(&d);
}
END_TEST

START_TEST(a_rotated_log_file_is_begun_anew_without_a_signal)
{
	struct desk d = desk_open();

	scribe_log(d.scribe, LOG_LVL_INFO, "one");
	await_lines(d.loop, LOG, "one", 1);
	ck_assert_int_eq(rename(LOG, LOG ".1"), 0);
	scribe_log(d.scribe, LOG_LVL_INFO, "two");
	await_lines(d.loop, LOG, "two", 1);
	ck_assert_int_eq(lines(LOG ".1", "two"), 0);
	desk_close(&d);
}
END_TEST

START_TEST(a_killed_child_is_replaced_by_the_next_write_and_losses_are_told)
{
	struct desk d = desk_open();
	pid_t first;

	scribe_log(d.scribe, LOG_LVL_INFO, "one");
	await_lines(d.loop, LOG, "one", 1);
	run_for(d.loop, 50);			/* it is acknowledged after it is written */
	first = child();
	kill(first, SIGSTOP);
	scribe_log(d.scribe, LOG_LVL_INFO, "lost");
	kill(first, SIGKILL);
	run_for(d.loop, 100);
	ck_assert_int_eq(child(), 0);
	ck_assert_uint_eq(scribe_dropped(d.scribe), 1);
	scribe_log(d.scribe, LOG_LVL_INFO, "three");
	await_lines(d.loop, LOG, "three", 1);
	ck_assert_int_ne(child(), first);
	await_lines(d.loop, LOG, "1 log lines and journal events may be missing", 1);
	desk_close(&d);
}
END_TEST

START_TEST(a_killed_child_is_noticed_by_a_write_before_the_loop_ran)
{
	struct desk d = desk_open();
	pid_t first;

	scribe_log(d.scribe, LOG_LVL_INFO, "one");
	await_lines(d.loop, LOG, "one", 1);
	first = child();
	kill(first, SIGKILL);
	ck_assert_int_eq(waitid(P_PID, (id_t)first, &(siginfo_t){ 0 }, WEXITED | WNOWAIT), 0);
	scribe_log(d.scribe, LOG_LVL_INFO, "two");
	await_lines(d.loop, LOG, "two", 1);
	desk_close(&d);
}
END_TEST

START_TEST(a_child_that_takes_nothing_stalls_drops_and_recovers_but_never_blocks_us)
{
	struct desk d = desk_open();
	uint64_t began, longest = 0;
	char line[1000];
	int sent = 0;

	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	scribe_log(d.scribe, LOG_LVL_INFO, "first");
	await_lines(d.loop, LOG, "first", 1);
	run_for(d.loop, 50);
	kill(child(), SIGSTOP);
	for (; scribe_dropped(d.scribe) < 100 && sent < 5000; sent++) {
		began = clock_mono_us();
		scribe_log(d.scribe, LOG_LVL_INFO, line);
		if (clock_mono_us() - began > longest)
			longest = clock_mono_us() - began;
	}
	ck_assert_uint_eq(scribe_dropped(d.scribe), 100);
	ck_assert_int_gt(sent, 300);
	ck_assert_int_lt(sent, 1000);		/* 256 KiB and what the socket holds */
	ck_assert_uint_lt(longest, 200000);
	ck_assert(!scribe_stalled(d.scribe, clock_mono_ms()));
	run_for(d.loop, 400);
	ck_assert(scribe_stalled(d.scribe, clock_mono_ms()));
	kill(child(), SIGCONT);
	await_lines(d.loop, LOG, "xxx", sent - 100);
	await_lines(d.loop, LOG, "100 log lines and journal events may be missing", 1);
	run_for(d.loop, 100);
	ck_assert(!scribe_stalled(d.scribe, clock_mono_ms() + 100000));
	desk_close(&d);
}
END_TEST

START_TEST(how_long_a_child_takes_nothing_counts_from_the_first_that_waits)
{
	struct desk d = desk_open();

	scribe_log(d.scribe, LOG_LVL_INFO, "one");
	run_for(d.loop, 100);
	ck_assert_int_ne(child(), 0);
	ck_assert_uint_eq(scribe_waiting_ms(d.scribe, clock_mono_ms() + 100000), 0);
	kill(child(), SIGSTOP);
	scribe_log(d.scribe, LOG_LVL_INFO, "two");
	run_for(d.loop, 200);
	ck_assert_uint_ge(scribe_waiting_ms(d.scribe, clock_mono_ms()), 190);
	scribe_log(d.scribe, LOG_LVL_INFO, "three");	/* the clock goes on */
	run_for(d.loop, 200);
	ck_assert_uint_ge(scribe_waiting_ms(d.scribe, clock_mono_ms()), 390);
	kill(child(), SIGCONT);
	await_lines(d.loop, LOG, "three", 1);
	run_for(d.loop, 100);
	ck_assert_uint_eq(scribe_waiting_ms(d.scribe, clock_mono_ms() + 100000), 0);
	ck_assert_uint_eq(scribe_dropped(d.scribe), 0);
	desk_close(&d);
}
END_TEST

START_TEST(freeing_waits_two_seconds_at_most)
{
	struct desk d = desk_open();
	uint64_t began = clock_mono_ms();
	pid_t pid;

	scribe_log(d.scribe, LOG_LVL_INFO, "x");
	pid = child();
	kill(pid, SIGSTOP);
	scribe_free(d.scribe);
	ck_assert_uint_lt(clock_mono_ms() - began, 3000);
	ck_assert_uint_ge(clock_mono_ms() - began, 1900);
	kill(pid, SIGKILL);
	run_for(d.loop, 50);
	loop_free(d.loop);
}
END_TEST

START_TEST(after_a_reload_lines_go_to_the_new_place)
{
	struct desk d = desk_open();
	struct conf other = conf_of("other");

	scribe_log(d.scribe, LOG_LVL_INFO, "old place");
	scribe_conf(d.scribe, &other);
	scribe_log(d.scribe, LOG_LVL_INFO, "new place");
	await_lines(d.loop, LOG, "old place", 1);
	await_lines(d.loop, "other", "new place", 1);
	ck_assert_int_eq(lines("other", "old place"), 0);
	ck_assert_uint_eq(scribe_dropped(d.scribe), 0);
	desk_close(&d);
}
END_TEST

START_TEST(a_spoilt_journal_is_replaced_and_told_in_the_log)
{
	struct desk d = desk_open();
	int fd = open(DB, O_WRONLY | O_CREAT, 0640);

	ck_assert_int_eq(write(fd, "this is no database, whatever its name may say", 46), 46);
	close(fd);
	scribe_event(d.scribe, &step);
	await_events(d.loop, 1);
	await_lines(d.loop, LOG, "moved aside", 1);
	desk_close(&d);
}
END_TEST

START_TEST(a_journal_that_cannot_be_written_is_told_once_and_log_lines_go_on)
{
	struct desk d = desk_open();

	ck_assert_int_eq(rename("state", "gone"), 0);
	for (int i = 0; i < 20; i++) {
		scribe_event(d.scribe, &step);
		scribe_log(d.scribe, LOG_LVL_INFO, "line");
		run_for(d.loop, 5);
	}
	await_lines(d.loop, LOG, "line", 20);
	await_lines(d.loop, LOG, "error: journal state/journal.db", 1);
	ck_assert_int_eq(rename("gone", "state"), 0);
	scribe_event(d.scribe, &step);
	await_events(d.loop, 1);
	await_lines(d.loop, LOG, "at least 20 events are missing", 1);
	desk_close(&d);
}
END_TEST

START_TEST(a_log_file_that_cannot_be_written_does_not_stop_the_journal)
{
	struct desk d = desk_open();
	struct conf bad = conf_of("none/log");

	scribe_conf(d.scribe, &bad);
	scribe_log(d.scribe, LOG_LVL_INFO, "nowhere but in syslog");
	scribe_event(d.scribe, &step);
	await_events(d.loop, 1);
	ck_assert_uint_eq(scribe_dropped(d.scribe), 0);
	desk_close(&d);
}
END_TEST

START_TEST(the_signals_that_end_the_daemon_do_not_end_the_child)
{
	struct desk d = desk_open();
	pid_t first;

	scribe_log(d.scribe, LOG_LVL_INFO, "one");
	await_lines(d.loop, LOG, "one", 1);
	first = child();
	kill(first, SIGTERM);
	kill(first, SIGINT);
	kill(first, SIGHUP);
	run_for(d.loop, 50);
	ck_assert_int_eq(child(), first);
	desk_close(&d);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("scribe");
	TCase *t = tcase_create("scribe");
	char dir[] = "/tmp/test_scribe.XXXXXX";
	int failed;

	if (mkdtemp(dir) == NULL || chdir(dir) == -1 || mkdir("state", 0750) == -1)
		return 1;
	tcase_set_timeout(t, 60);
	tcase_add_test(t, lines_and_events_arrive_with_level_and_date);
	tcase_add_test(t, last_words_are_written_before_free_returns);
	tcase_add_test(t, an_idle_scribe_has_no_process);
	tcase_add_test(t, a_rotated_log_file_is_begun_anew_without_a_signal);
	tcase_add_test(t, a_killed_child_is_replaced_by_the_next_write_and_losses_are_told);
	tcase_add_test(t, a_killed_child_is_noticed_by_a_write_before_the_loop_ran);
	tcase_add_test(t, a_child_that_takes_nothing_stalls_drops_and_recovers_but_never_blocks_us);
	tcase_add_test(t, how_long_a_child_takes_nothing_counts_from_the_first_that_waits);
	tcase_add_test(t, freeing_waits_two_seconds_at_most);
	tcase_add_test(t, after_a_reload_lines_go_to_the_new_place);
	tcase_add_test(t, a_spoilt_journal_is_replaced_and_told_in_the_log);
	tcase_add_test(t, a_journal_that_cannot_be_written_is_told_once_and_log_lines_go_on);
	tcase_add_test(t, a_log_file_that_cannot_be_written_does_not_stop_the_journal);
	tcase_add_test(t, the_signals_that_end_the_daemon_do_not_end_the_child);
	suite_add_tcase(s, t);
	failed = unit_main(s);
	clean();
	if (rmdir("state") == -1 || chdir("/") == -1 || rmdir(dir) == -1)
		return 1;
	return failed;
}
