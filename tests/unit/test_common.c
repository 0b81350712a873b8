/*
 * tests/unit/test_common.c - laws of common/err.h, log.h and clock.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/fact.h"
#include "common/log.h"
#include "tests/unit/harness.h"

START_TEST(an_error_is_one_line_with_its_reason_and_may_wrap_itself)
{
	struct err err = { 0 };

	ck_assert(!err_set(&err, ENOENT, "cannot open %s", "/etc/a\nb"));
	ck_assert_int_eq(err.sys, ENOENT);
	ck_assert_str_eq(err.text, "cannot open /etc/a b: No such file or directory");
	err_set(&err, 0, "mount of disk: %s", err.text);
	ck_assert_str_eq(err.text, "mount of disk: cannot open /etc/a b: No such file or directory");
	ck_assert_int_eq(err.sys, 0);
	ck_assert(!err_set(NULL, EIO, "nobody asks"));
}
END_TEST

START_TEST(a_long_error_is_cut_and_ends)
{
	struct err err;
	char big[2000];

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	err_set(&err, EIO, "%s", big);
	ck_assert_uint_eq(strlen(err.text), sizeof(err.text) - 1);
}
END_TEST

struct caught {
	int		lines;
	enum log_level	level;
	char		line[1100];
};

static void
catch(void *arg, enum log_level level, const char *line)
{
	struct caught *c = arg;

	c->lines++;
	c->level = level;
	snprintf(c->line, sizeof(c->line), "%s", line);
}

START_TEST(a_sink_gets_each_line_once_with_its_level)
{
	struct caught c = { 0 };

	log_to(catch, &c);
	log_info("node %s is up", "mx1");
	ck_assert_int_eq(c.lines, 1);
	ck_assert_int_eq(c.level, LOG_LVL_INFO);
	ck_assert_str_eq(c.line, "node mx1 is up");
	errno = EACCES;
	log_warn("key file %s", "authkeys");
	ck_assert_str_eq(c.line, "key file authkeys: Permission denied");
	ck_assert_int_eq(c.level, LOG_LVL_WARN);
	log_warnx("plain");
	ck_assert_str_eq(c.line, "plain");
	log_err("bad");
	ck_assert_int_eq(c.level, LOG_LVL_ERR);
	ck_assert_int_eq(c.lines, 4);
}
END_TEST

START_TEST(levels_below_the_verbosity_are_silent)
{
	struct caught c = { 0 };

	log_to(catch, &c);
	log_debug("hidden");
	ck_assert_int_eq(c.lines, 0);
	log_verbose(LOG_LVL_DEBUG);
	log_debug("seen");
	ck_assert_int_eq(c.lines, 1);
	log_verbose(LOG_LVL_ERR);
	log_warnx("hidden");
	ck_assert_int_eq(c.lines, 1);
}
END_TEST

START_TEST(nobody_can_forge_a_second_log_line)
{
	struct caught c = { 0 };

	log_to(catch, &c);
	log_info("from %s", "x\nmailpaird: peer is dead\r\x1b[2J");
	ck_assert_ptr_null(strpbrk(c.line, "\n\r\x1b"));
	ck_assert_int_eq(c.lines, 1);
}
END_TEST

START_TEST(a_standard_error_that_nobody_reads_is_not_waited_for_and_losses_are_told)
{
	char junk[4096] = "", said[256];
	int fd[2], real = dup(STDERR_FILENO);
	ssize_t n;

	ck_assert_int_eq(pipe(fd), 0);
	ck_assert_int_eq(fcntl(fd[1], F_SETFL, O_NONBLOCK), 0);
	while (write(fd[1], junk, sizeof(junk)) > 0)
		continue;
	ck_assert_int_eq(fcntl(fd[1], F_SETFL, 0), 0);
	ck_assert_int_eq(dup2(fd[1], STDERR_FILENO), STDERR_FILENO);
	log_to(NULL, NULL);
	log_info("one");			/* would wait for ever */
	log_info("two");
	ck_assert_int_eq(fcntl(fd[0], F_SETFL, O_NONBLOCK), 0);
	while (read(fd[0], junk, sizeof(junk)) > 0)
		continue;
	log_warnx("three");
	log_info("four");
	n = read(fd[0], said, sizeof(said) - 1);
	dup2(real, STDERR_FILENO);
	ck_assert_int_gt(n, 0);
	said[n] = '\0';
	ck_assert_str_eq(said, "(2 lines lost) warning: three\nfour\n");
	close(fd[0]);
	close(fd[1]);
	close(real);
}
END_TEST

START_TEST(fatal_writes_one_line_to_standard_error_and_ends_with_two)
{
	char buf[256] = "";
	int fd[2], status;
	pid_t pid;

	ck_assert_int_eq(pipe(fd), 0);
	if ((pid = fork()) == 0) {
		dup2(fd[1], STDERR_FILENO);
		log_to(NULL, NULL);
		errno = ENOENT;
		fatal("cannot read %s", "mailpair.conf");
	}
	close(fd[1]);
	ck_assert_int_gt(read(fd[0], buf, sizeof(buf) - 1), 0);
	ck_assert_str_eq(buf, "error: cannot read mailpair.conf: No such file or directory\n");
	ck_assert_int_eq(read(fd[0], buf, 1), 0);
	waitpid(pid, &status, 0);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 2);
}
END_TEST

START_TEST(dates_agree_with_the_c_library_through_four_centuries)
{
	char mine[CLOCK_RFC3339_MAX], theirs[CLOCK_RFC3339_MAX];

	/* a prime number of seconds, so that every day of year, hour and minute is met */
	for (uint64_t s = 0; s < 13000000000; s += 40009) {
		time_t t = (time_t)s;
		struct tm tm;

		strftime(theirs, sizeof(theirs), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
		ck_assert_str_eq(clock_rfc3339(s * 1000 + 999, mine), theirs);
	}
	ck_assert_str_eq(clock_rfc3339_ms(1795284031250, mine), "2026-11-21T18:00:31.250Z");
	clock_rfc3339_ms(UINT64_MAX, mine);	/* nonsense, but within the buffer */
	ck_assert_uint_lt(strlen(mine), sizeof(mine));
}
END_TEST

START_TEST(clocks_run_forward_in_their_units)
{
	uint64_t us = clock_mono_us(), ms = clock_mono_ms(), boot = clock_boot_ms();

	ck_assert_uint_ge(ms, us / 1000);
	ck_assert_uint_lt(ms - us / 1000, 1000);
	ck_assert_uint_ge(boot + 1, ms);
	ck_assert_uint_le(clock_wall_ms() / 1000 - (uint64_t)time(NULL) + 1, 2);
	while (clock_mono_us() == us)
		continue;
	ck_assert_uint_gt(clock_mono_us(), us);
}
END_TEST

START_TEST(facts_have_three_names_and_zero_is_unknown)
{
	enum fact zero = { 0 };

	ck_assert_str_eq(fact_name(zero), "unknown");
	ck_assert_str_eq(fact_name(FACT_NO), "no");
	ck_assert_str_eq(fact_name(FACT_YES), "yes");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("common");
	TCase *t = tcase_create("common");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, an_error_is_one_line_with_its_reason_and_may_wrap_itself);
	tcase_add_test(t, a_long_error_is_cut_and_ends);
	tcase_add_test(t, a_sink_gets_each_line_once_with_its_level);
	tcase_add_test(t, levels_below_the_verbosity_are_silent);
	tcase_add_test(t, nobody_can_forge_a_second_log_line);
	tcase_add_test(t, a_standard_error_that_nobody_reads_is_not_waited_for_and_losses_are_told);
	tcase_add_test(t, fatal_writes_one_line_to_standard_error_and_ends_with_two);
	tcase_add_test(t, dates_agree_with_the_c_library_through_four_centuries);
	tcase_add_test(t, clocks_run_forward_in_their_units);
	tcase_add_test(t, facts_have_three_names_and_zero_is_unknown);
	suite_add_tcase(s, t);
	return unit_main(s);
}
