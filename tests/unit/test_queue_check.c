/*
 * tests/unit/test_queue_check.c - what mailpair-queue says before a start, and what may be done then.
 */
#include "supervisor/queue_check.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/harness.h"

static struct queue_report
said(const char *verdict)
{
	struct queue_report r = { .verdict = "" };

	snprintf(r.verdict, sizeof(r.verdict), "%s", verdict);
	return r;
}

START_TEST(a_whole_queue_is_started_under_every_policy)
{
	struct queue_report whole = said("consistent"), mended = said("repaired");

	ck_assert_int_eq(queue_judge((enum conf_queue_check)_i, &whole), QUEUE_GO);
	ck_assert_int_eq(queue_judge((enum conf_queue_check)_i, &mended), QUEUE_GO);
}
END_TEST

START_TEST(nothing_is_changed_unless_the_policy_is_to_mend)
{
	static const char *const words[] = { "consistent", "repairable", "damaged", "repaired", "unknown" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct queue_report r = said(words[i]);

		ck_assert_int_ne(queue_judge(CONF_QUEUE_REPORT, &r), QUEUE_MEND);
		ck_assert_int_ne(queue_judge(CONF_QUEUE_REFUSE, &r), QUEUE_MEND);
	}
}
END_TEST

START_TEST(what_is_not_whole_is_mended_reported_or_refused_as_the_policy_says)
{
	static const char *const words[] = { "repairable", "damaged" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct queue_report r = said(words[i]);

		ck_assert_int_eq(queue_judge(CONF_QUEUE_MEND, &r), QUEUE_MEND);
		ck_assert_int_eq(queue_judge(CONF_QUEUE_REPORT, &r), QUEUE_GO);
		ck_assert_int_eq(queue_judge(CONF_QUEUE_REFUSE, &r), QUEUE_REFUSE);
	}
}
END_TEST

START_TEST(a_check_that_could_not_be_made_holds_up_mail_only_where_the_policy_is_to_refuse)
{
	struct queue_report r = said("unknown");

	ck_assert_int_eq(queue_judge(CONF_QUEUE_MEND, &r), QUEUE_GO);
	ck_assert_int_eq(queue_judge(CONF_QUEUE_REPORT, &r), QUEUE_GO);
	ck_assert_int_eq(queue_judge(CONF_QUEUE_REFUSE, &r), QUEUE_REFUSE);
}
END_TEST

START_TEST(a_report_is_read_whole_and_text_that_is_none_gives_no_verdict)
{
	struct queue_report r;

	ck_assert(queue_report_read("queue-verdict repairable\nqueue-messages 1204\nqueue-findings 3\nqueue-damaged 1\n"
	    "queue-took 38\nqueue-text todo/2567: cut off\n", &r));
	ck_assert_str_eq(r.verdict, "repairable");
	ck_assert_uint_eq(r.messages, 1204);
	ck_assert_uint_eq(r.findings, 3);
	ck_assert_uint_eq(r.damaged, 1);
	ck_assert_uint_eq(r.took_ms, 38);
	ck_assert_str_eq(r.text, "todo/2567: cut off");
	ck_assert(!r.cut);
	ck_assert(queue_report_read("queue-verdict consistent\nqueue-took 251\nqueue-cut yes\n", &r));
	ck_assert(r.cut);
	ck_assert(!queue_report_read("mailpair-queue: no such directory\n", &r));
	ck_assert_str_eq(r.verdict, "unknown");
	ck_assert(!queue_report_read("", &r));
	ck_assert_str_eq(r.verdict, "unknown");
}
END_TEST

/* Instances of Postfix have a queue each. */
START_TEST(of_several_queues_the_worst_is_told)
{
	struct queue_report r;

	ck_assert(queue_report_read("queue-verdict consistent\nqueue-messages 5\nqueue-findings 0\nqueue-damaged 0\nqueue-took 3\n"
	    "queue-verdict damaged\nqueue-messages 7\nqueue-findings 2\nqueue-damaged 1\nqueue-took 4\nqueue-text truncated at x\nqueue-cut yes\n"
	    "queue-verdict repairable\nqueue-messages 1\nqueue-findings 1\nqueue-damaged 0\nqueue-took 1\nqueue-text wrong-mode at y\n",
	    &r));
	ck_assert_str_eq(r.verdict, "damaged");
	ck_assert_str_eq(r.text, "truncated at x");
	ck_assert_uint_eq(r.messages, 13);
	ck_assert_uint_eq(r.findings, 3);
	ck_assert_uint_eq(r.damaged, 1);
	ck_assert_uint_eq(r.took_ms, 8);
	ck_assert(r.cut);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("queue_check");
	TCase *tc = tcase_create("policy");

	tcase_add_loop_test(tc, a_whole_queue_is_started_under_every_policy, 0, CONF_QUEUE_COUNT);
	tcase_add_test(tc, nothing_is_changed_unless_the_policy_is_to_mend);
	tcase_add_test(tc, what_is_not_whole_is_mended_reported_or_refused_as_the_policy_says);
	tcase_add_test(tc, a_check_that_could_not_be_made_holds_up_mail_only_where_the_policy_is_to_refuse);
	tcase_add_test(tc, a_report_is_read_whole_and_text_that_is_none_gives_no_verdict);
	tcase_add_test(tc, of_several_queues_the_worst_is_told);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
