/*
 * tests/unit/test_config_child.c - laws of supervisor/config_child.h, with a shell script for mailpair-config: it writes down what it is told, and
 * says what stands in a file whenever it is told something.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "supervisor/config_child.h"
#include "tests/unit/harness.h"

static struct config_child_pace quick = { .first_ms = 20, .most_ms = 100, .well_ms = 60000, .patience_ms = 60000, .look_ms = 20 };
static const char file[] = "/etc/mailpair/mailpair.conf";
static char dir[] = "/tmp/test_config_child.XXXXXX", program[128];
static struct conf on = { .node = { "mx1", "mx2" }, .self = 1, .sync = { .on = true } }, off = { .node = { "mx1", "mx2" } };
static struct loop *loop;
static struct config_child *child;
static char alarms[4096], logged[1 << 16];

static const char *
in_dir(const char *name)
{
	static char path[4][160];
	static int turn;

	turn = (turn + 1) % 4;
	snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
	return path[turn];
}

static void
put(const char *name, const char *text)
{
	FILE *f = fopen(in_dir("new"), "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
	ck_assert_int_eq(rename(in_dir("new"), in_dir(name)), 0);
}

static const char *
get(const char *name)
{
	static char text[1 << 16];
	FILE *f = fopen(in_dir(name), "r");
	size_t len = f != NULL ? fread(text, 1, sizeof text - 1, f) : 0;

	if (f != NULL)
		fclose(f);
	text[len] = '\0';
	return text;
}

static void
alarmed(void *arg, const char *text)
{
	(void)arg;
	snprintf(alarms + strlen(alarms), sizeof alarms - strlen(alarms), "%s\n", text);
}

static void
note_log(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	snprintf(logged + strlen(logged), sizeof logged - strlen(logged), "%d %s\n", (int)level, line);
}

static void
begin(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(program, sizeof program, "%s/mailpair-config", dir);
	put("mailpair-config", "#!/bin/sh\nD=${0%/*}\necho \"$*\" >>$D/args\necho $$ >$D/pid\ncat $D/says 2>/dev/null\n"
	    "if [ -e $D/fail ]; then echo 'warning: it is so' >&2; for n in 1 2 3 4 5 6 7 8; do printf '%0400d\\n' 0 >&2; done; echo 'mailpair-config: it says' >&2; echo 'error: no good' >&2; exit 3; fi\n"
	    "while read -r line; do echo \"$line\" >>$D/heard; cat $D/says 2>/dev/null; done\necho end >>$D/heard\n");
	ck_assert_int_eq(chmod(program, 0700), 0);
	log_to(note_log, NULL);
	loop = loop_new();
	child = config_child_new(loop, program, file, &quick, alarmed, NULL);
	config_child_role(child, "standby", 6);
}

static void
end(void)
{
	if (child != NULL)
		config_child_free(child);
	loop_free(loop);
	log_to(NULL, NULL);
	for (const char *const *name = (const char *const[]){ "mailpair-config", "args", "pid", "says", "fail", "heard", NULL }; *name != NULL; name++)
		unlink(in_dir(*name));
	ck_assert_int_eq(rmdir(dir), 0);
}

/* ---------------------------------------------------------------- waiting */

typedef bool truth(const char *text);
struct waiting { truth *is; const char *text; struct loop_timer *timer; uint64_t until; bool ok; };

static void
wait_look(void *arg)
{
	struct waiting *w = arg;

	w->ok = w->is != NULL && w->is(w->text);
	if (w->ok || clock_mono_ms() >= w->until)
		loop_stop(loop);
	else
		loop_timer_in(w->timer, 5);
}

static bool
within(uint32_t ms, truth *is, const char *text)
{
	struct waiting w = { .is = is, .text = text, .until = clock_mono_ms() + ms };

	w.timer = loop_timer_new(loop, wait_look, &w);
	loop_timer_in(w.timer, 0);
	loop_run(loop);
	loop_timer_free(w.timer);
	return w.ok;
}

static struct status
status(void)
{
	static struct status st;

	memset(&st, 0, sizeof st);
	config_child_status(child, &st);
	return st;
}

static bool heard(const char *text) { return strcmp(get("heard"), text) == 0; }
static bool heard_last(const char *text) { const char *all = get("heard"); size_t n = strlen(text), m = strlen(all); return m >= n && strcmp(all + m - n, text) == 0; }
static bool has_problem(const char *text) { struct status st = status(); return st.problems == 1 && strstr(st.problem[0].text, text) != NULL; }
static bool is_well(const char *text) { (void)text; struct status st = status(); return st.problems == 0 && st.config.in_step == FACT_YES; }
static bool starts_are(const char *n) { const char *all = get("args"); int lines = 0; for (; *all != '\0'; all++) lines += *all == '\n'; return lines >= n[0] - '0'; }
static bool conflicts_are(const char *n) { return status().config.conflicts == strtoull(n, NULL, 10); }
#define MUST(what) ck_assert_msg(what, "%s; heard %s; alarms %s; log %s", #what, get("heard"), alarms, logged)

/* ---------------------------------------------------------------- laws */

START_TEST(it_is_told_the_role_at_its_start_and_whenever_that_changes)
{
	begin();
	config_child_conf(child, &off);
	ck_assert(!within(50, starts_are, "1") && !status().config_on && status().problems == 0);
	config_child_conf(child, &on);
	MUST(within(5000, heard, "role standby tenure 6\n"));
	ck_assert_str_eq(get("args"), "run --conf /etc/mailpair/mailpair.conf --node mx2\n");
	config_child_role(child, "standby", 6);
	config_child_role(child, "acquiring", 6);
	config_child_role(child, "active", 7);
	config_child_role(child, "active", 7);
	config_child_conf(child, &on);
	MUST(within(5000, heard, "role standby tenure 6\nrole acquiring tenure 6\nrole active tenure 7\nreload\n"));
	end();
}
END_TEST

START_TEST(what_it_says_stands_in_status_and_what_it_alerts_is_one_alarm)
{
	struct status st;

	begin();
	put("says", "in_step=yes files=412 pending=0 conflicts=0 problem=\n");
	config_child_conf(child, &on);
	MUST(within(5000, is_well, ""));
	st = status();
	ck_assert(st.config_on && st.config.files == 412 && st.config.conflicts == 0);
	put("says", "in_step=no files=413 pending=2 conflicts=2 problem=/etc/x is in \x1b[31m conflict\nrubbish\nfiles=many in_step=yes\n"
	    "alert configuration: conflict /etc/x\n");
	config_child_role(child, "active", 7);
	MUST(within(5000, has_problem, "2 paths are in conflict"));
	st = status();
	ck_assert(st.config.in_step == FACT_NO && st.config.pending == 2);
	ck_assert_str_eq(st.config.problem, "/etc/x is in  [31m conflict");
	ck_assert(strstr(st.problem[0].advice, "mailpair config status") != NULL);
	(void)within(100, NULL, NULL);
	/* with its name (as often as it says so), and not once more as a number */
	ck_assert(strncmp(alarms, "configuration: conflict /etc/x\n", 31) == 0 && strstr(alarms, "paths are") == NULL);
	put("says", "in_step=no files=413 pending=1 conflicts=0 refused=1 problem=invalid certificate mail: expired\n");
	config_child_role(child, "active", 9);
	MUST(within(5000, has_problem, "is not valid, and is not taken: invalid certificate mail: expired"));
	(void)within(100, NULL, NULL);
	ck_assert_ptr_null(strstr(alarms, "not valid"));
	put("says", "in_step=yes files=413 pending=0 conflicts=0\n");
	config_child_role(child, "active", 8);
	MUST(within(5000, is_well, ""));
	end();
}
END_TEST

static bool alarms_are(const char *text) { return strcmp(alarms, text) == 0; }

START_TEST(what_it_has_told_before_it_was_killed_is_told_once)
{
	begin();
	put("says", "alert one\n");
	config_child_conf(child, &on);
	MUST(within(5000, starts_are, "1") && within(5000, alarms_are, "one\none\n"));	/* it says all again when it hears its role: of one life all counts */
	put("says", "alert one\nalert two\n");
	ck_assert_int_eq(kill((pid_t)strtol(get("pid"), NULL, 10), SIGKILL), 0);
	MUST(within(5000, starts_are, "2") && within(5000, alarms_are, "one\none\ntwo\ntwo\n"));
	end();
}
END_TEST

START_TEST(out_of_step_is_a_problem_when_it_lasts)
{
	uint64_t began;

	quick.patience_ms = 2000;
	begin();
	put("says", "in_step=no files=1 pending=1 conflicts=0 problem=set postfix: main.cf line 3 is wrong\n");
	config_child_conf(child, &on);
	MUST(within(5000, heard, "role standby tenure 6\n"));
	ck_assert_uint_eq(status().problems, 0);
	/* it goes on to say so: it is not silent */
	for (began = clock_mono_ms(); clock_mono_ms() - began < 2500;) {
		config_child_role(child, "standby", 1 + clock_mono_ms());
		(void)within(50, NULL, NULL);
	}
	MUST(has_problem("is not in step for ") && has_problem(" s: set postfix: main.cf line 3 is wrong"));
	ck_assert_int_eq(strncmp(alarms, "the configuration of the two nodes is not in step", 40), 0);
	ck_assert_ptr_null(strchr(strchr(alarms, '\n') + 1, '\n'));
	put("says", "in_step=yes files=1 pending=0 conflicts=0\n");
	config_child_role(child, "active", 7);
	MUST(within(5000, is_well, ""));
	end();
}
END_TEST

START_TEST(one_that_says_nothing_is_a_problem)
{
	quick.patience_ms = 2000;
	begin();
	put("says", "in_step=yes files=1 pending=0 conflicts=0\n");
	config_child_conf(child, &on);
	MUST(within(5000, is_well, ""));
	MUST(within(9000, has_problem, "has said nothing for"));
	config_child_role(child, "active", 7);
	MUST(within(5000, is_well, ""));
	end();
}
END_TEST

/* The loop stands still until it has ended: then everything comes at once. */
static bool
ended_meanwhile(const char *text)
{
	pid_t pid = (pid_t)strtol(get("pid"), NULL, 10);

	(void)text;
	return pid > 0 && waitid(P_PID, (id_t)pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT) == 0;
}

START_TEST(one_that_ends_is_started_again_ever_later_and_then_a_problem_with_its_last_words)
{
	uint64_t began;

	begin();
	put("fail", "");
	began = clock_mono_ms();
	config_child_conf(child, &on);
	MUST(within(9000, ended_meanwhile, ""));
	MUST(within(9000, starts_are, "2"));
	ck_assert_msg(strstr(logged, "no good") < strstr(logged, "again in 20 ms") && strstr(logged, "no good") != NULL, "%s", logged);
	MUST(within(9000, has_problem, "cannot be kept running: it ended with status 3: error: no good"));
	MUST(within(9000, starts_are, "5"));
	ck_assert_uint_ge(clock_mono_ms() - began, 20 + 40 + 80 + 100);
	(void)within(50, NULL, NULL);
	ck_assert_str_eq(alarms, "mailpair-config cannot be kept running: it ended with status 3: error: no good\n");
	ck_assert(strstr(logged, "2 mailpair-config: it says\n") != NULL && strstr(logged, "1 mailpair-config: it is so\n") != NULL && strstr(logged, "0 mailpair-config: no good\n") != NULL);
	ck_assert(strstr(logged, "it is started again in 20 ms") != NULL && strstr(logged, "it is started again in 80 ms") != NULL);
	ck_assert_int_eq(unlink(in_dir("fail")), 0);
	MUST(within(5000, heard, "role standby tenure 6\n"));
	ck_assert(has_problem("cannot be kept running"));	/* until it has run for a while */
	end();
}
END_TEST

static bool is_unknown(const char *text) { (void)text; struct status st = status(); return st.config_on && st.config.in_step == FACT_UNKNOWN && st.config.files == 0; }

START_TEST(of_one_that_was_killed_nothing_is_known)
{
	begin();
	put("says", "in_step=yes files=412 pending=0 conflicts=0\n");
	config_child_conf(child, &on);
	MUST(within(5000, is_well, ""));
	put("fail", "");
	put("says", "");
	ck_assert_int_eq(kill((pid_t)strtol(get("pid"), NULL, 10), SIGKILL), 0);
	MUST(within(5000, is_unknown, ""));
	ck_assert(strstr(logged, "it was ended by signal 9 (Killed); it is started again in 20 ms") != NULL);
	end();
}
END_TEST

START_TEST(a_program_that_is_not_there_is_a_problem_and_no_more)
{
	begin();
	ck_assert_int_eq(unlink(program), 0);
	config_child_conf(child, &on);
	MUST(within(9000, has_problem, "mailpair-config cannot be run: No such file or directory"));
	end();
}
END_TEST

START_TEST(without_its_section_it_ends_and_with_it_it_comes_back)
{
	begin();
	put("says", "in_step=no files=1 pending=0 conflicts=3\n");
	config_child_conf(child, &on);
	MUST(within(5000, conflicts_are, "3"));
	config_child_conf(child, &off);
	MUST(within(5000, heard, "role standby tenure 6\nend\n"));
	(void)within(100, NULL, NULL);
	ck_assert(!status().config_on && status().problems == 0 && starts_are("1") && !starts_are("2"));
	config_child_conf(child, &on);
	MUST(within(5000, heard, "role standby tenure 6\nend\nrole standby tenure 6\n"));
	end();
}
END_TEST

START_TEST(its_input_ends_with_us)
{
	begin();
	config_child_conf(child, &on);
	MUST(within(5000, heard, "role standby tenure 6\n"));
	config_child_free(child);
	child = NULL;
	MUST(within(5000, heard, "role standby tenure 6\nend\n"));
	end();
}
END_TEST

START_TEST(one_that_does_not_listen_holds_nobody_up_and_hears_the_newest_afterwards)
{
	uint64_t began, longest = 0;
	pid_t pid;

	begin();
	config_child_conf(child, &on);
	MUST(within(5000, heard, "role standby tenure 6\n"));
	pid = (pid_t)strtol(get("pid"), NULL, 10);
	ck_assert_int_eq(kill(pid, SIGSTOP), 0);
	for (uint64_t i = 1; i <= 8000; i++) {
		began = clock_mono_us();
		config_child_role(child, "active", 1000000 + i);
		if (clock_mono_us() - began > longest)
			longest = clock_mono_us() - began;
	}
	ck_assert_uint_lt(longest, 500000);
	ck_assert_int_eq(kill(pid, SIGCONT), 0);
	MUST(within(20000, heard_last, "role active tenure 1008000\n"));
	end();
}
END_TEST

static const struct { const char *line; bool ok; enum fact in_step; uint64_t files, conflicts; const char *problem; } lines[] = {
	{ "in_step=yes files=412 pending=0 conflicts=0 problem=", true, FACT_YES, 412, 0, "" },
	{ "in_step=no", true, FACT_NO, 0, 0, "" }, { "in_step=maybe conflicts=7", true, FACT_UNKNOWN, 0, 7, "" },
	{ "problem=files=9 in_step=yes", true, FACT_UNKNOWN, 0, 0, "files=9 in_step=yes" }, { "  in_step=yes   new=1  files=3", true, FACT_YES, 3, 0, "" },
	{ "", false, FACT_UNKNOWN, 0, 0, "" }, { "hello", false, FACT_UNKNOWN, 0, 0, "" }, { "files=3", false, FACT_UNKNOWN, 0, 0, "" },
	{ "in_step=yes files=", false, FACT_UNKNOWN, 0, 0, "" }, { "in_step=yes files=-1", false, FACT_UNKNOWN, 0, 0, "" },
	{ "in_step=yes files=1x", false, FACT_UNKNOWN, 0, 0, "" }, { "in_step=yes files=9999999999999999999", false, FACT_UNKNOWN, 0, 0, "" },
	{ "in_step=yesno", true, FACT_UNKNOWN, 0, 0, "" },
};

START_TEST(a_line_means_what_the_header_says)
{
	struct status_config c = { .files = 4711 };
	bool ok = config_child_parse(lines[_i].line, &c);

	ck_assert_msg(ok == lines[_i].ok, "%s", lines[_i].line);
	if (!ok) {
		ck_assert_uint_eq(c.files, 4711);
		return;
	}
	ck_assert_int_eq(c.in_step, lines[_i].in_step);
	ck_assert_uint_eq(c.files, lines[_i].files);
	ck_assert_uint_eq(c.conflicts, lines[_i].conflicts);
	ck_assert_str_eq(c.problem, lines[_i].problem);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config_child");
	TCase *tc = tcase_create("config_child");

	signal(SIGPIPE, SIG_IGN);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, it_is_told_the_role_at_its_start_and_whenever_that_changes);
	tcase_add_test(tc, what_it_says_stands_in_status_and_what_it_alerts_is_one_alarm);
	tcase_add_test(tc, what_it_has_told_before_it_was_killed_is_told_once);
	tcase_add_test(tc, out_of_step_is_a_problem_when_it_lasts);
	tcase_add_test(tc, one_that_says_nothing_is_a_problem);
	tcase_add_test(tc, one_that_ends_is_started_again_ever_later_and_then_a_problem_with_its_last_words);
	tcase_add_test(tc, of_one_that_was_killed_nothing_is_known);
	tcase_add_test(tc, a_program_that_is_not_there_is_a_problem_and_no_more);
	tcase_add_test(tc, without_its_section_it_ends_and_with_it_it_comes_back);
	tcase_add_test(tc, its_input_ends_with_us);
	tcase_add_test(tc, one_that_does_not_listen_holds_nobody_up_and_hears_the_newest_afterwards);
	tcase_add_loop_test(tc, a_line_means_what_the_header_says, 0, (int)(sizeof lines / sizeof *lines));
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
