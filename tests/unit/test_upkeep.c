/*
 * tests/unit/test_upkeep.c - laws of supervisor/upkeep.h: what is wrong with a node's journal and log is a problem within 5 s of tries
 * that are 2 s apart, also when there is nothing to write, and an alarm once.
 */
#include "supervisor/upkeep.h"

#include "tests/unit/scribe_desk.h"

#define SOON_MS 5000
#define TRY_MS 2000

struct office {
	struct desk	 d;
	struct upkeep	 u;
	struct loop_timer *timer;	/* tries, as the engine does */
	bool		 trying;
	int		 alarms;
	char		 alarm[512];	/* the last one */
	struct status	 st;
};

static struct office o;

static void
alarmed(void *arg, const char *text)
{
	(void)arg;
	o.alarms++;
	snprintf(o.alarm, sizeof(o.alarm), "%s", text);
}

static bool
try(const void *ctx, struct spawn_out *out, struct err *ignored)
{
	(void)ignored;
	upkeep_try(ctx, out);
	return true;
}

static void
tried(void *arg, const struct spawn_result *res)
{
	(void)arg;
	o.trying = false;
	upkeep_learn(&o.u, res->out);
	if (o.timer != NULL)
		loop_timer_in(o.timer, TRY_MS);
}

static void
try_now(void *arg)
{
	(void)arg;
	o.trying = true;
	(void)spawn_work(o.d.loop, "try", try, &o.d.conf, 10000, tried, NULL);
}

static void
office_open(void)
{
	clean();
	o = (struct office){ .d = { .loop = loop_new(), .conf = conf_of(LOG) } };
	o.d.conf.node[0] = "mx1";
	o.d.scribe = scribe_new(o.d.loop, &o.d.conf, upkeep_told, &o.u);
	upkeep_init(&o.u, o.d.scribe, &o.d.conf, alarmed, NULL);
	o.timer = loop_timer_new(o.d.loop, try_now, NULL);
	loop_timer_in(o.timer, TRY_MS);
}

static void
office_close(void)
{
	loop_timer_free(o.timer);
	o.timer = NULL;
	for (int i = 0; i < 100 && o.trying; i++)
		run_for(o.d.loop, 20);
	desk_close(&o.d);
}

/* Whether status says so; "": whether it says nothing. */
static bool
problem(const char *text)
{
	memset(&o.st, 0, sizeof(o.st));
	upkeep_status(&o.u, false, &o.st);
	for (size_t i = 0; i < o.st.problems; i++) {
		if (text[0] != '\0' && strstr(o.st.problem[i].text, text) != NULL && o.st.problem[i].advice[0] != '\0')
			return true;
	}
	return text[0] == '\0' && o.st.problems == 0;
}

static void
await_problem(const char *text)
{
	uint64_t until = clock_mono_ms() + SOON_MS;

	while (!problem(text) && clock_mono_ms() < until)
		run_for(o.d.loop, 20);
	ck_assert_msg(problem(text), "not \"%s\", but %zu: %s", text, o.st.problems, o.st.problem[0].text);
}

static void
await_alarm(const char *text)
{
	for (int i = 0; i < 150 && strstr(o.alarm, text) == NULL; i++)
		run_for(o.d.loop, 20);
	ck_assert_msg(strstr(o.alarm, text) != NULL, "%s", o.alarm);
}

static void
one_event(void)
{
	struct journal_event e = step;

	e.wall_ms = clock_wall_ms();		/* one without a date is as old as can be, and forgotten */
	scribe_event(o.d.scribe, &e);
	await_events(o.d.loop, 1);
}

START_TEST(where_nothing_is_wrong_there_is_no_problem_and_no_alarm)
{
	office_open();
	one_event();
	run_for(o.d.loop, 3000);
	ck_assert(problem(""));
	ck_assert_int_eq(o.alarms, 0);
	office_close();
}
END_TEST

START_TEST(a_lock_on_an_idle_journal_is_a_problem_within_five_seconds_and_one_alarm)
{
	int fd[2];
	char byte;
	pid_t pid;

	office_open();
	one_event();
	ck_assert_int_eq(pipe(fd), 0);
	pid = fork();
	if (pid == 0) {
		struct journal *j;

		if (!journal_open(DB, true, &j, NULL, &err) || !journal_begin(j, &err) || write(fd[1], "x", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	ck_assert_int_eq(read(fd[0], &byte, 1), 1);
	await_problem("locked");
	await_alarm("locked");
	run_for(o.d.loop, 3000);
	ck_assert_int_eq(o.alarms, 1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	await_problem("");
	await_events(o.d.loop, 2);
	office_close();
}
END_TEST

START_TEST(an_idle_journal_that_is_spoilt_is_begun_anew_and_a_problem_until_the_old_one_is_taken_away)
{
	char path[128];
	int fd;

	office_open();
	one_event();
	run_for(o.d.loop, 300);
	scribe_free(o.d.scribe);
	o.d.scribe = o.u.scribe = scribe_new(o.d.loop, &o.d.conf, upkeep_told, &o.u);
	fd = open(DB, O_WRONLY | O_TRUNC);
	ck_assert_int_eq(write(fd, "this is no database, whatever its name may say", 46), 46);
	close(fd);
	await_problem(".corrupt-20");
	ck_assert_int_eq(o.alarms, 1);
	ck_assert_ptr_nonnull(strstr(o.alarm, "begun anew"));
	await_events(o.d.loop, 1);		/* the one that says so */
	run_for(o.d.loop, 3000);
	ck_assert_int_eq(o.alarms, 1);
	snprintf(path, sizeof(path), "state/%s", o.u.newest);
	ck_assert_int_eq(unlink(path), 0);
	await_problem("");
	office_close();
}
END_TEST

START_TEST(a_log_that_takes_nothing_is_a_problem_and_an_alarm)
{
	pid_t pid;

	office_open();
	scribe_log(o.d.scribe, LOG_LVL_INFO, "one");
	pid = child();
	await_lines(o.d.loop, LOG, "one", 1);
	kill(pid, SIGSTOP);
	scribe_log(o.d.scribe, LOG_LVL_INFO, "two");
	await_problem("the log (log) has taken nothing");
	await_alarm("the log (log)");
	ck_assert_int_eq(o.alarms, 1);
	kill(pid, SIGCONT);
	await_problem("");
	office_close();
}
END_TEST

START_TEST(where_the_disk_of_the_state_directory_is_ill_the_journal_on_it_is_no_problem_of_its_own)
{
	office_open();
	ck_assert_int_eq(rename("state", "gone"), 0);
	scribe_event(o.d.scribe, &step);
	await_problem("cannot create it");
	memset(&o.st, 0, sizeof(o.st));
	upkeep_status(&o.u, true, &o.st);
	ck_assert_uint_eq(o.st.problems, 0);
	ck_assert_int_eq(rename("gone", "state"), 0);
	await_problem("");
	office_close();
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("upkeep");
	TCase *t = tcase_create("upkeep");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, where_nothing_is_wrong_there_is_no_problem_and_no_alarm);
	tcase_add_test(t, a_lock_on_an_idle_journal_is_a_problem_within_five_seconds_and_one_alarm);
	tcase_add_test(t, an_idle_journal_that_is_spoilt_is_begun_anew_and_a_problem_until_the_old_one_is_taken_away);
	tcase_add_test(t, a_log_that_takes_nothing_is_a_problem_and_an_alarm);
	tcase_add_test(t, where_the_disk_of_the_state_directory_is_ill_the_journal_on_it_is_no_problem_of_its_own);
	suite_add_tcase(s, t);
	return at_desk(s);
}
