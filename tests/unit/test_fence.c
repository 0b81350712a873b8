/*
 * tests/unit/test_fence.c - fence devices against small agents written into a temporary directory:
 * they keep the "power" in a file, note each call, and misbehave in one way each. No root needed.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "supervisor/fence.h"
#include "tests/unit/harness.h"

static char dir[64];
static struct conf conf;
static struct err err;
static char report[SPAWN_OUT_MAX];

/* An honest agent in full; a bad one says at "here" what it does otherwise.  */
static const char before[] =
    "#!/bin/sh\n"
    "cd \"$(dirname \"$0\")\" || exit 1\n"
    "test $# = 0 || exit 1\n"
    "power=power; action=none\n"
    "while IFS= read -r line; do echo \"$line\" >>input; case $line in\n"
    "power=*) power=${line#power=};; action=*) action=${line#action=};;\n"
    "nodename=*) node=${line#nodename=};; passw*=*) password=${line#*=};;\n"
    "esac; done\n"
    "echo \"$node $power $action\" >>calls\n"
    "now=$(cat $power)\n";
static const char after[] =
    "\ncase $action in\n"
    "on|off) echo $action >$power; echo \"Success: Powered $action\"; exit 0;;\n"
    "status) echo \"Status: $now\"; test $now = on; exit $(($? * 2));;\n"
    "monitor) exit 0;;\n"
    "metadata) echo '<resource-agent><actions><action name=\"on\"/><action name=\"off\"/>'\n"
    "echo \"$more</actions></resource-agent>\"; exit 0;;\n"
    "esac; exit 1\n";

static void file_put(const char *name, mode_t mode, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void
file_put(const char *name, mode_t mode, const char *fmt, ...)
{
	char path[128];
	va_list ap;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	ck_assert_ptr_nonnull(f);
	va_start(ap, fmt);
	vfprintf(f, fmt, ap);
	va_end(ap);
	fclose(f);
	ck_assert_int_eq(chmod(path, mode), 0);
}

static const char *
file_get(const char *name)
{
	static char text[4096];
	char path[128];
	size_t n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "re");
	if (f != NULL) {
		n = fread(text, 1, sizeof(text) - 1, f);
		fclose(f);
	}
	text[n] = '\0';
	return text;
}

static size_t
calls(const char *what)
{
	size_t n = 0;

	for (const char *at = file_get("calls"); (at = strstr(at, what)) != NULL; at++)
		n++;
	return n;
}

static struct conf_fence *
device(const char *name, const char *agent)
{
	struct conf_fence *f = &conf.fence[conf.fences++];

	*f = (struct conf_fence){
	    .name = name, .node = 1, .agent = agent, .timeout_ms = 10000, .level = 1};
	return f;
}

/* A device whose agent does "here" before the honest part. */
static struct conf_fence *
agent(const char *name, const char *here)
{
	static char path[CONF_FENCES_MAX][128];
	char *agent_path = path[conf.fences];

	file_put(name, 0755, "%s%s%s", before, here, after);
	snprintf(agent_path, sizeof(path[0]), "%s/%s", dir, name);
	return device(name, agent_path);
}

static void
option(struct conf_fence *f, const char *text)
{
	f->options[f->options_len++] = text;
}

static void
set_up(void)
{
	memset(&conf, 0, sizeof(conf));
	memset(&err, 0, sizeof(err));
	report[0] = '\0';
	conf.node[0] = "mx1";
	conf.node[1] = "mx2";
	snprintf(dir, sizeof(dir), "/tmp/test_fence.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	file_put("power", 0644, "on\n");
	file_put("power2", 0644, "on\n");
	file_put("calls", 0644, "%s", "");
}

static void
tear_down(void)
{
	const char *argv[] = {"rm", "-r", dir, NULL};
	struct spawn_cmd cmd = {.argv = argv};

	ck_assert_int_eq(spawn_run(&cmd, 10000, NULL, 0, NULL, 0, NULL), 0);
}

/* ---------------------------------------------------------------- run in a worker, as always */

enum question { POWER, OFF, ON, RESET, MONITOR };
struct request {
	enum question question;
	struct loop *loop;
	int answer; /* enum fact for POWER, else 0 or 1 */
};

static bool
request_work(const void *ctx, struct spawn_out *out, struct err *why)
{
	const struct request *rq = ctx;
	int answer = 0;

	memset(why, 0, sizeof(*why));
	switch (rq->question) {
	case POWER:
		answer = (int)fence_power(&conf, 1, out, why);
		break;
	case OFF:
		answer = fence_off(&conf, 1, out, why);
		break;
	case ON:
		answer = fence_on(&conf, 1, out, why);
		break;
	case RESET:
		answer = fence_reset(&conf, 1, out, why);
		break;
	case MONITOR:
		answer = fence_monitor(&conf, 1, out, why);
		break;
	}
	spawn_say(out, "answer", "%d", answer);
	spawn_say(out, "error", "%s", why->text);
	return true;
}

static void
request_done(void *arg, const struct spawn_result *result)
{
	struct request *rq = arg;
	char value[16];

	ck_assert_msg(result->end == SPAWN_EXITED, "%s", result->err.text);
	snprintf(report, sizeof(report), "%s", result->out);
	ck_assert_ptr_nonnull(spawn_get(report, "answer", value, sizeof(value)));
	rq->answer = (int)strtol(value, NULL, 10);
	spawn_get(report, "error", err.text, sizeof(err.text));
	loop_stop(rq->loop);
}

static int
ask(enum question question)
{
	struct request rq = {.question = question, .loop = loop_new()};

	spawn_work(
	    rq.loop, "fence", request_work, &rq, fence_longest_ms(&conf, 1), request_done, &rq);
	loop_run(rq.loop);
	loop_free(rq.loop);
	return rq.answer;
}

#define SAYS(text)     ck_assert_msg(strstr(report, text) != NULL, "no \"%s\" in: %s", text, report)
#define SAYS_NOT(text) ck_assert_msg(strstr(report, text) == NULL, "\"%s\" in: %s", text, report)

/* ---------------------------------------------------------------- laws */

START_TEST(an_honest_agent_is_proof)
{
	agent("bmc", "");
	ck_assert_int_eq(ask(POWER), FACT_YES);
	SAYS("device bmc on ");
	ck_assert_int_eq(ask(OFF), true);
	ck_assert_str_eq(file_get("calls"),
	    "mx2 power status\nmx2 power off\nmx2 power status\n"); /* off first, then status */
	SAYS("device bmc off ");
	SAYS("proof node mx2 is off by bmc: the agent says off, and so does its status");
	ck_assert_int_eq(ask(POWER), FACT_NO);
	ck_assert_int_eq(ask(ON), true);
	ck_assert_int_eq(ask(POWER), FACT_YES);
	ck_assert_int_eq(ask(MONITOR), true);
	SAYS("device bmc answers ");
}
END_TEST

START_TEST(an_agent_that_says_off_while_its_status_says_on_is_no_proof)
{
	agent("bmc", "test $action = off && { echo 'Success: Powered OFF'; exit 0; }")->retries = 2;
	ck_assert_int_eq(ask(OFF), false);
	SAYS_NOT("proof");
	SAYS("its status says on");
	ck_assert_msg(
	    strstr(err.text, "mx2") != NULL && strstr(err.text, "bmc") != NULL, "%s", err.text);
	ck_assert_uint_eq(calls("off"), 3); /* the first try and two more */
}
END_TEST

START_TEST(an_agent_that_hangs_is_no_proof_and_is_ended_in_time)
{
	uint64_t start = clock_mono_ms();

	agent("bmc", "exec sleep 100")->timeout_ms = 300;
	ck_assert_int_eq(ask(OFF), false);
	ck_assert_uint_lt(clock_mono_ms() - start, 5000);
	SAYS("not finished after 300 ms");
	SAYS_NOT("proof");
	ck_assert_int_eq(ask(POWER), FACT_UNKNOWN);
	ck_assert_int_eq(ask(MONITOR), false);
	SAYS("device bmc fails ");
}
END_TEST

START_TEST(an_off_beyond_the_timeout_counts_only_by_the_status_that_follows)
{
	agent("bmc", "test $action = off && exec sleep 100")->timeout_ms = 500;
	ck_assert_int_eq(ask(OFF), false);
	SAYS_NOT("proof");
	file_put("bmc", 0755, "%s%s%s", before,
	    "test $action = off && { echo off >power; exec sleep 100; }", after);
	ck_assert_int_eq(ask(OFF), true);
	SAYS("the agent failed, but its status says off");
}
END_TEST

START_TEST(a_failed_off_is_success_only_when_the_status_says_off)
{
	agent("bmc",
	    "test $action = off && { echo off >power; echo 'Failed: session lost' >&2; exit 1; }");
	ck_assert_int_eq(ask(OFF), true);
	SAYS("proof node mx2 is off by bmc: the agent failed, but its status says off "
	     "(Failed: session lost)");
	file_put("power", 0644, "on\n");
	file_put("bmc", 0755, "%s%s%s", before, "test $action = off && exit 1", after);
	ck_assert_int_eq(ask(OFF), false);
	SAYS_NOT("proof");
}
END_TEST

START_TEST(a_further_try_may_succeed)
{
	agent("bmc", "test $action = off && test ! -e again && { >again; exit 1; }")->retries = 1;
	ck_assert_int_eq(ask(OFF), true);
	ck_assert_uint_eq(calls("off"), 2);
	SAYS("proof");
}
END_TEST

START_TEST(garbage_is_shown_in_one_printable_line)
{
	char line[512];

	agent("bmc", "printf 'a\\001\\033[31mb\\377\\n\\n  c\\td\\377\\r\\n \\n' >&2; exit 7");
	ck_assert_int_eq(ask(POWER), FACT_UNKNOWN);
	ck_assert_ptr_nonnull(spawn_get(report, "device", line, sizeof(line)));
	ck_assert_msg(strstr(line, " c d?") != NULL, "%s", line);
	for (const char *c = report; *c != '\0'; c++)
		ck_assert(*c == '\n' || (*c >= ' ' && *c <= '~'));
}
END_TEST

START_TEST(an_agent_killed_by_a_signal_is_no_answer)
{
	agent("bmc", "kill -SEGV $$");
	ck_assert_int_eq(ask(OFF), false);
	SAYS("killed by signal 11");
	ck_assert_int_eq(ask(POWER), FACT_UNKNOWN);
}
END_TEST

START_TEST(an_agent_that_cannot_be_called_is_named_and_not_tried_again)
{
	static char path[128];

	device("bmc", "fence_there_is_no_such_agent")->retries = 50;
	ck_assert_int_eq(ask(OFF), false);
	ck_assert_msg(strstr(err.text, "fence_there_is_no_such_agent is not installed") != NULL,
	    "%s", err.text);
	ck_assert_ptr_eq(strstr(strstr(report, "device ") + 1, "device "), NULL);
	file_put("plain", 0644, "#!/bin/sh\nexit 0\n");
	snprintf(path, sizeof(path), "%s/plain", dir);
	conf.fence[0].agent = path;
	ck_assert_int_eq(ask(OFF), false);
	ck_assert_msg(strstr(err.text, "not executable") != NULL, "%s", err.text);
	conf.fence[0].agent = dir;
	ck_assert_int_eq(ask(OFF), false);
	conf.fence[0].agent = "bin/fence";
	ck_assert_int_eq(ask(OFF), false);
	ck_assert_int_eq(ask(POWER), FACT_UNKNOWN);
	ck_assert_int_eq(ask(MONITOR), false);
	ck_assert_int_eq(ask(ON), false);
}
END_TEST

START_TEST(an_interpreter_that_fails_with_2_does_not_say_off)
{
	agent("bmc", "");
	file_put(
	    "bmc", 0755, "#!/bin/sh\n( syntax\n"); /* the shell ends with 2, which would be "off" */
	ck_assert_int_eq(ask(POWER), FACT_UNKNOWN);
	ck_assert_int_eq(ask(OFF), false);
	SAYS_NOT("proof");
}
END_TEST

START_TEST(a_silent_2_is_off)
{
	agent("bmc", "test $action = status && exit 2");
	ck_assert_int_eq(ask(POWER), FACT_NO);
}
END_TEST

START_TEST(an_agent_without_status_is_believed_only_if_its_metadata_say_so)
{
	agent("bmc", "test $action = status && exit 1");
	ck_assert_int_eq(ask(OFF), true);
	SAYS("it has no status to ask");
	file_put("power", 0644, "on\n");
	file_put("bmc", 0755, "%s%s%s", before,
	    "more='<action name=\"status\"/>'; test $action = status && exit 1", after);
	file_put("calls", 0644, "%s", "");
	ck_assert_int_eq(ask(OFF), false);
	SAYS("its status cannot be told");
	ck_assert_uint_eq(calls("status"), 2); /* asked once more */
	file_put("bmc", 0755, "%s%s%s", before,
	    "test $action = status && exit 1; test $action = metadata && exit 0", after);
	ck_assert_int_eq(ask(OFF), false);
	file_put("bmc", 0755, "%s%s%s", before,
	    "test $action = status && exit 1\n"
	    "test $action = metadata && { echo '<actions></actions>'; exit 0; }",
	    after);
	ck_assert_int_eq(ask(OFF), false);
	file_put("bmc", 0755, "%s%s%s", before,
	    "test $action = status && exit 1; test $action = off && exit 1", after);
	ck_assert_int_eq(ask(OFF), false);
}
END_TEST

START_TEST(both_devices_of_a_level_must_be_off)
{
	option(agent("pdu-a", ""), "power=power");
	option(agent("pdu-b", ""), "power=power2");
	ck_assert_int_eq(ask(OFF), true);
	SAYS("proof node mx2 is off by pdu-a: the agent says off, and so does its status (Success: "
	     "Powered off); pdu-b: ");
	ck_assert_int_eq(ask(POWER), FACT_NO);
	file_put("power2", 0644, "on\n");
	ck_assert_int_eq(ask(POWER), FACT_YES);
	file_put("pdu-b", 0755, "%s%s%s", before, "exit 1", after);
	ck_assert_int_eq(ask(POWER), FACT_UNKNOWN);
	ck_assert_int_eq(ask(OFF), false);
	SAYS_NOT("proof");
}
END_TEST

START_TEST(the_next_level_is_tried_when_one_fails_and_only_then)
{
	struct conf_fence *pdu;

	pdu = agent("pdu", ""); /* stands first, is second */
	pdu->level = 7;
	option(pdu, "power=power2");
	agent("bmc", "test -e dead && exit 1")->level = 2;
	ck_assert_int_eq(ask(OFF), true);
	ck_assert_uint_eq(calls("power2"), 0);
	file_put("dead", 0644, "%s", "");
	file_put("power", 0644, "on\n");
	ck_assert_int_eq(ask(OFF), true);
	SAYS("proof node mx2 is off by pdu: ");
	ck_assert_str_eq(file_get("power2"), "off\n");
	ck_assert_int_eq(ask(POWER), FACT_NO); /* one whole level says so, the other cannot tell */
	file_put("calls", 0644, "%s", "");
	ck_assert_int_eq(ask(ON), true); /* the socket first */
	ck_assert(strncmp(file_get("calls"), "mx2 power2 on\n", 14) == 0);
}
END_TEST

START_TEST(a_reset_is_off_with_its_proof_and_then_on)
{
	agent("bmc", "");
	ck_assert_int_eq(ask(RESET), true);
	ck_assert_str_eq(
	    file_get("calls"), "mx2 power off\nmx2 power status\nmx2 power on\nmx2 power status\n");
	SAYS("proof node mx2 is off");
	file_put("bmc", 0755, "%s%s%s", before, "test $action = on && exit 1", after);
	ck_assert_int_eq(ask(RESET), false);
	SAYS("proof node mx2 is off");
	ck_assert_msg(strstr(err.text, "powered on") != NULL, "%s", err.text);
	file_put("bmc", 0755, "%s%s%s", before, "test $action = off && exit 1", after);
	file_put("power", 0644, "on\n");
	file_put("calls", 0644, "%s", "");
	ck_assert_int_eq(ask(RESET), false);
	ck_assert_uint_eq(calls(" on\n"), 0); /* nothing is switched on that was not off */
}
END_TEST

START_TEST(devices_of_the_other_node_are_left_alone)
{
	agent("bmc", "");
	agent("own", "")->node = 0;
	ck_assert_int_eq(ask(OFF), true);
	SAYS_NOT("own");
	conf.fence[0].node = 0;
	ck_assert_int_eq(ask(OFF), false);
	ck_assert_msg(strstr(err.text, "no fence device for node mx2") != NULL, "%s", err.text);
	ck_assert_int_eq(ask(POWER), FACT_UNKNOWN);
}
END_TEST

START_TEST(a_megabyte_of_output_neither_blocks_nor_swells_the_report)
{
	agent("bmc", "head -c 1048576 /dev/zero | tr '\\0' x\n"
		     "test $action = off && head -c 1048576 /dev/zero | tr '\\0' y >&2");
	ck_assert_int_eq(ask(OFF), true);
	SAYS("proof");
	ck_assert_uint_lt(strlen(report), 2000);
}
END_TEST

START_TEST(no_password_ever_stands_in_a_report_or_an_error)
{
	struct conf_fence *f = agent("bmc",
	    "test $action = off && { echo \"login with $password refused\" >&2; exit 1; }\n"
	    "test $action = status && { head -c 65526 /dev/zero | tr '\\0' x; echo; echo "
	    "\"$password\"; exit 1; }");

	option(f, "password=s3cr3t-Word");
	option(f, "username=s3cr3t");
	option(f, "snmp_priv_passwd=s3cr3t-Word-and-more");
	ck_assert_int_eq(ask(OFF), false);
	SAYS("login with *** refused");
	SAYS_NOT("s3cr3t-");
	ck_assert(strstr(err.text, "s3cr3t-") == NULL);
	ck_assert_int_eq(ask(POWER), FACT_UNKNOWN); /* its output is cut within the password */
	SAYS_NOT("s3cr3t-");
	f->options[0] = "password=\"s3cr3t-Word\"";
	file_put("bmc", 0755, "%s%s%s", before,
	    "password=${password#?}; echo \"Error: ${password%%?} is wrong\"; exit 1", after);
	ck_assert_int_eq(ask(MONITOR), false);
	SAYS("Error: *** is wrong");
	f->options[0] = "password=two\nlines";
	ck_assert_int_eq(ask(MONITOR), false);
	ck_assert_msg(strstr(err.text, "\"password\" has a line break") != NULL, "%s", err.text);
	ck_assert(strstr(err.text, "two") == NULL);
}
END_TEST

START_TEST(the_file_cannot_choose_the_action)
{
	struct conf_fence *f = agent("bmc", "");

	option(f, "action=off");
	option(f, "option=off");
	ck_assert_int_eq(ask(POWER), FACT_YES);
	ck_assert_str_eq(file_get("input"), "nodename=mx2\naction=status\n");
}
END_TEST

START_TEST(the_longest_time_is_that_of_all_devices_and_tries)
{
	device("a", "x")->retries = 1;
	device("b", "x");
	device("c", "x")->node = 0;
	ck_assert_uint_ge(fence_longest_ms(&conf, 1), 6 * 3 * 10000);
	ck_assert_uint_lt(fence_longest_ms(&conf, 1), 6 * 3 * 12000);
	conf.fence[0].retries = UINT32_MAX;
	ck_assert_uint_eq(fence_longest_ms(&conf, 1), UINT32_MAX);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("fence");
	TCase *tc = tcase_create("agents");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, an_honest_agent_is_proof);
	tcase_add_test(tc, an_agent_that_says_off_while_its_status_says_on_is_no_proof);
	tcase_add_test(tc, an_agent_that_hangs_is_no_proof_and_is_ended_in_time);
	tcase_add_test(tc, an_off_beyond_the_timeout_counts_only_by_the_status_that_follows);
	tcase_add_test(tc, a_failed_off_is_success_only_when_the_status_says_off);
	tcase_add_test(tc, a_further_try_may_succeed);
	tcase_add_test(tc, garbage_is_shown_in_one_printable_line);
	tcase_add_test(tc, an_agent_killed_by_a_signal_is_no_answer);
	tcase_add_test(tc, an_agent_that_cannot_be_called_is_named_and_not_tried_again);
	tcase_add_test(tc, an_interpreter_that_fails_with_2_does_not_say_off);
	tcase_add_test(tc, a_silent_2_is_off);
	tcase_add_test(tc, an_agent_without_status_is_believed_only_if_its_metadata_say_so);
	tcase_add_test(tc, both_devices_of_a_level_must_be_off);
	tcase_add_test(tc, the_next_level_is_tried_when_one_fails_and_only_then);
	tcase_add_test(tc, a_reset_is_off_with_its_proof_and_then_on);
	tcase_add_test(tc, devices_of_the_other_node_are_left_alone);
	tcase_add_test(tc, a_megabyte_of_output_neither_blocks_nor_swells_the_report);
	tcase_add_test(tc, no_password_ever_stands_in_a_report_or_an_error);
	tcase_add_test(tc, the_file_cannot_choose_the_action);
	tcase_add_test(tc, the_longest_time_is_that_of_all_devices_and_tries);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
