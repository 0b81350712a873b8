/*
 * tests/unit/test_scribe.c - laws of supervisor/scribe.h, with its real children, which are stopped and
 * killed under it. What a journal that cannot be written does is test_scribe_journal.c's.
 */
#include "tests/unit/scribe_desk.h"

START_TEST(lines_and_events_arrive_with_level_and_date)
{
	struct desk d;
	uint64_t began = clock_mono_ms();

	desk_open(&d);
	ck_assert_int_eq(child(), 0);
	scribe_log(d.scribe, LOG_LVL_INFO, "node mx1 is active");
	scribe_log(d.scribe, LOG_LVL_ERR, "disk gone");
	scribe_event(d.scribe, &step);
	await_lines(d.loop, LOG, "Z mailpaird: node mx1 is active", 1);
	await_lines(d.loop, LOG, "Z mailpaird: error: disk gone", 1);
	await_events(d.loop, 1);
	ck_assert_uint_lt(clock_mono_ms() - began, 3000);	/* what a power cut may take with it */
	ck_assert_uint_eq(dropped(&d, SCRIBE_LOG), 0);
	ck_assert_uint_eq(waiting_ms(&d, SCRIBE_LOG, 100000), 0);
	desk_close(&d);
}
END_TEST

START_TEST(last_words_are_written_before_free_returns)
{
	struct desk d;

	desk_open(&d);
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
	struct desk d;

	desk_open(&d);
	scribe_event(d.scribe, &step);
	ck_assert_int_ne(child(), 0);
	run_for(d.loop, 5500);
	ck_assert_int_eq(child(), 0);
	ck_assert_int_eq(events(), 1);
	scribe_log(d.scribe, LOG_LVL_INFO, "again");
	await_lines(d.loop, LOG, "again", 1);
	ck_assert_uint_eq(dropped(&d, SCRIBE_LOG), 0);
	desk_close(&d);
}
END_TEST

START_TEST(a_rotated_log_file_is_begun_anew_without_a_signal)
{
	struct desk d;

	desk_open(&d);
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
	struct desk d;
	pid_t first;

	desk_open(&d);
	scribe_log(d.scribe, LOG_LVL_INFO, "one");
	await_lines(d.loop, LOG, "one", 1);
	run_for(d.loop, 50);			/* it is acknowledged after it is written */
	first = child();
	kill(first, SIGSTOP);
	scribe_log(d.scribe, LOG_LVL_INFO, "lost");
	kill(first, SIGKILL);
	run_for(d.loop, 100);
	ck_assert_int_eq(child(), 0);
	ck_assert_uint_eq(dropped(&d, SCRIBE_LOG), 1);
	scribe_log(d.scribe, LOG_LVL_INFO, "three");
	await_lines(d.loop, LOG, "three", 1);
	ck_assert_int_ne(child(), first);
	await_lines(d.loop, LOG, "1 lines may be missing", 1);
	desk_close(&d);
}
END_TEST

START_TEST(a_killed_child_is_noticed_by_a_write_before_the_loop_ran)
{
	struct desk d;
	pid_t first;

	desk_open(&d);
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
	struct desk d;
	uint64_t began, longest = 0;
	char line[1000];
	int sent = 0;

	desk_open(&d);
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	scribe_log(d.scribe, LOG_LVL_INFO, "first");
	await_lines(d.loop, LOG, "first", 1);
	run_for(d.loop, 50);
	kill(child(), SIGSTOP);
	for (; dropped(&d, SCRIBE_LOG) < 100 && sent < 5000; sent++) {
		began = clock_mono_us();
		scribe_log(d.scribe, LOG_LVL_INFO, line);
		if (clock_mono_us() - began > longest)
			longest = clock_mono_us() - began;
	}
	ck_assert_uint_eq(dropped(&d, SCRIBE_LOG), 100);
	ck_assert_int_gt(sent, 300);
	ck_assert_int_lt(sent, 1000);		/* 256 KiB and what the socket holds */
	ck_assert_uint_lt(longest, 200000);
	ck_assert_uint_lt(waiting_ms(&d, SCRIBE_LOG, 0), 300);
	run_for(d.loop, 400);
	ck_assert_uint_gt(waiting_ms(&d, SCRIBE_LOG, 0), 300);
	kill(child(), SIGCONT);
	await_lines(d.loop, LOG, "xxx", sent - 100);
	await_lines(d.loop, LOG, "100 lines may be missing", 1);
	run_for(d.loop, 100);
	ck_assert_uint_eq(waiting_ms(&d, SCRIBE_LOG, 100000), 0);
	desk_close(&d);
}
END_TEST

START_TEST(how_long_a_child_takes_nothing_counts_from_the_first_that_waits)
{
	struct desk d;

	desk_open(&d);
	scribe_log(d.scribe, LOG_LVL_INFO, "one");
	run_for(d.loop, 100);
	ck_assert_int_ne(child(), 0);
	ck_assert_uint_eq(waiting_ms(&d, SCRIBE_LOG, 100000), 0);
	kill(child(), SIGSTOP);
	scribe_log(d.scribe, LOG_LVL_INFO, "two");
	run_for(d.loop, 200);
	ck_assert_uint_ge(waiting_ms(&d, SCRIBE_LOG, 0), 190);
	scribe_log(d.scribe, LOG_LVL_INFO, "three");	/* the clock goes on */
	run_for(d.loop, 200);
	ck_assert_uint_ge(waiting_ms(&d, SCRIBE_LOG, 0), 390);
	kill(child(), SIGCONT);
	await_lines(d.loop, LOG, "three", 1);
	run_for(d.loop, 100);
	ck_assert_uint_eq(waiting_ms(&d, SCRIBE_LOG, 100000), 0);
	ck_assert_uint_eq(dropped(&d, SCRIBE_LOG), 0);
	desk_close(&d);
}
END_TEST

START_TEST(freeing_waits_two_seconds_at_most)
{
	struct desk d;
	uint64_t began = clock_mono_ms();
	pid_t pid;

	desk_open(&d);
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
	struct desk d;
	struct conf other = conf_of("other");

	desk_open(&d);
	scribe_log(d.scribe, LOG_LVL_INFO, "old place");
	scribe_conf(d.scribe, &other);
	scribe_log(d.scribe, LOG_LVL_INFO, "new place");
	await_lines(d.loop, LOG, "old place", 1);
	await_lines(d.loop, "other", "new place", 1);
	ck_assert_int_eq(lines("other", "old place"), 0);
	ck_assert_uint_eq(dropped(&d, SCRIBE_LOG), 0);
	desk_close(&d);
}
END_TEST

START_TEST(a_log_file_that_cannot_be_written_does_not_stop_the_journal)
{
	struct desk d;
	struct conf bad = conf_of("none/log");

	desk_open(&d);
	scribe_conf(d.scribe, &bad);
	scribe_log(d.scribe, LOG_LVL_INFO, "nowhere but in syslog");
	scribe_event(d.scribe, &step);
	await_events(d.loop, 1);
	ck_assert_uint_eq(dropped(&d, SCRIBE_LOG), 0);
	desk_close(&d);
}
END_TEST

START_TEST(the_signals_that_end_the_daemon_do_not_end_the_child)
{
	struct desk d;
	pid_t first;

	desk_open(&d);
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
	tcase_add_test(t, a_log_file_that_cannot_be_written_does_not_stop_the_journal);
	tcase_add_test(t, the_signals_that_end_the_daemon_do_not_end_the_child);
	suite_add_tcase(s, t);
	return at_desk(s);
}
