/*
 * tests/unit/test_rules_postfix_read.c - the rules of Postfix's queue: what is in its files, over queues that are made up.
 */
#include "tests/unit/postfix_rules_bed.h"

START_TEST(a_damaged_message_is_found_by_the_deep_pass_and_put_aside)
{
	const struct finding *f;

	whole_queue();
	message_text("4918D20", "R");
	text_len -= 12;
	add(POSTFIX_PLACE_DEFERRED, "4", "4918D20", 0x20, READY);
	look(false);
	nothing_else(0);
	look(true);
	nothing_else(1);
	f = sole(23, CLASS_QUARANTINE, PROBLEM_TRUNCATED, "deferred/4/4918D20");
	ck_assert(f->damages);
	ck_assert_int_eq(f->acknowledged, ACK_YES);
	is_put_aside(f);
	ck_assert_int_eq(findings_verdict(&found), VERDICT_DAMAGED);
}
END_TEST

START_TEST(where_only_the_end_is_missing_it_is_said_how_to_mend_it)
{
	message_text("4918D20", "RR");
	text_len -= 2;
	add(POSTFIX_PLACE_HOLD, "", "4918D20", 0x20, READY);
	look(true);
	nothing_else(1);
	is_put_aside(sole(24, CLASS_QUARANTINE, PROBLEM_TRUNCATED, "hold/4918D20"));
	ck_assert_ptr_nonnull(strstr(found.at[0].detail, "E\\0"));
}
END_TEST

START_TEST(a_message_that_is_all_done_is_told_unless_its_bounce_is_still_to_be_sent)
{
	message_text("4918D20", "DD");
	add(POSTFIX_PLACE_ACTIVE, "", "4918D20", 0x20, READY);
	add(POSTFIX_PLACE_ACTIVE, "", "4918D21", 0x21, READY);
	add_log(POSTFIX_PLACE_BOUNCE, "", "4918D21", 0x22);
	look(true);
	nothing_else(1);
	ck_assert_uint_eq(sole(27, CLASS_REPORT, PROBLEM_UNFINISHED, "active/4918D20")->remedies, 0);
	ck_assert_int_eq(findings_verdict(&found), VERDICT_CONSISTENT);
}
END_TEST

START_TEST(what_was_put_aside_by_postfix_is_told_and_never_touched)
{
	text_len = 10;
	add(POSTFIX_PLACE_CORRUPT, "", "4918D20", 0x20, READY);
	add(POSTFIX_PLACE_CORRUPT, "", "old.mail", 0x22, READY);
	add(POSTFIX_PLACE_SAVED, "", "4918D21", 0x21, READY);
	look(true);
	nothing_else(3);
	for (size_t i = 0; i < 3; i++) {
		ck_assert_uint_eq(found.at[i].rule, 28);
		ck_assert_int_eq(found.at[i].class, CLASS_REPORT);
		ck_assert_uint_eq(found.at[i].remedies, 0);
	}
	ck_assert_uint_eq(messages, 0);
}
END_TEST

/* ---------------------------------------------------------------- logs */

START_TEST(a_log_without_its_message_is_put_aside)
{
	whole_queue();
	add_log(POSTFIX_PLACE_DEFER, "4", "4918DAA", 0x20);
	text_len = 0;
	add(POSTFIX_PLACE_CORRUPT, "", "4918DCC", 0x21, READY);
	add_log(POSTFIX_PLACE_BOUNCE, "", "4918DCC", 0x22);
	add_log(POSTFIX_PLACE_DEFER, "4", "4918D10", 0x23);	/* of a message that went back into maildrop */
	look(false);
	nothing_else(4);
	for (size_t i = 0; i < found.len; i++) {
		if (found.at[i].rule == 28)
			continue;
		ck_assert_uint_eq(found.at[i].rule, 25);
		ck_assert_int_eq(found.at[i].class, CLASS_GARBAGE);
		is_put_aside(&found.at[i]);
	}
}
END_TEST

START_TEST(a_broken_defer_log_goes_and_a_broken_bounce_log_stays)
{
	whole_queue();
	text_len = (size_t)snprintf(text, sizeof text, "\n<a@b>: no\n\n");
	memset(text + text_len, 0, 8);
	text_len += 8;
	add(POSTFIX_PLACE_DEFER, "4", "4918D14", 0x20, QUEUE_REGULAR | 0600);
	add(POSTFIX_PLACE_BOUNCE, "", "4918D14", 0x21, QUEUE_REGULAR | 0600);
	text_len -= 9;
	add(POSTFIX_PLACE_TRACE, "", "4918D14", 0x22, QUEUE_REGULAR | 0600);	/* its end was cut: a crash */
	look(true);
	nothing_else(2);
	is_put_aside(sole(26, CLASS_GARBAGE, PROBLEM_NUL_TAIL, "defer/4/4918D14"));
	ck_assert_uint_eq(sole(26, CLASS_REPORT, PROBLEM_NUL_TAIL, "bounce/4918D14")->remedies, 0);
}
END_TEST

/* ---------------------------------------------------------------- one id, several queues */

START_TEST(of_two_copies_one_stays_and_what_was_done_in_the_other_is_done)
{
	for (int deep = 0; deep < 2; deep++) {
		const struct finding *f;
		uint64_t offset = 0;

		entries = 0;
		message_text("4918DAA", "RDR");
		add(POSTFIX_PLACE_ACTIVE, "", "4918DAA", 0xAA, READY);
		message_text("4918DAA", "DDR");
		for (size_t i = 97; i < text_len; i++)
			if (offset == 0 && strncmp(text + i + 2, "r0@", 3) == 0)
				offset = i;
		add(POSTFIX_PLACE_DEFERRED, "4", "4918DAA", 0xBB, READY);
		look(deep == 1);
		nothing_else(1);
		f = sole(21, CLASS_REPAIR, PROBLEM_DUPLICATE, "deferred/4/4918DAA");
		is_put_aside(f);
		ck_assert_uint_eq(f->remedies, 2);
		ck_assert_int_eq(f->remedy[1].kind, REMEDY_BYTE);
		ck_assert_str_eq(f->remedy[1].path, "active/4918DAA");
		ck_assert_uint_eq(f->remedy[1].ino, 0xAA);
		ck_assert_uint_eq(f->remedy[1].offset, offset);
		ck_assert(f->remedy[1].bytes[0] == 'R' && f->remedy[1].bytes[1] == 'D');
	}
}
END_TEST

START_TEST(of_two_copies_with_a_long_id_the_one_that_is_further_stays)
{
	message_text("4jX4j75Jm4z4n", "R");
	add(POSTFIX_PLACE_DEFERRED, "B", "4jX4j75Jm4z4n", 6, READY);
	add(POSTFIX_PLACE_INCOMING, "", "4jX4j75Jm4z4n", 5, READY);
	look(false);
	nothing_else(1);
	is_put_aside(sole(21, CLASS_REPAIR, PROBLEM_DUPLICATE, "incoming/4jX4j75Jm4z4n"));
}
END_TEST

START_TEST(two_strangers_with_one_long_id_are_told_apart)
{
	const struct finding *f;

	message_text("one", "R");
	add(POSTFIX_PLACE_HOLD, "", "4jX4j75Jm4z4n", 6, READY);
	message_text("other", "R");
	add(POSTFIX_PLACE_INCOMING, "", "4jX4j75Jm4z4n", 5, READY);
	look(true);
	nothing_else(1);
	f = sole(21, CLASS_REPAIR, PROBLEM_DUPLICATE, "incoming/4jX4j75Jm4z4n");
	moves(f, 0, "incoming/4jX4j75Jm4z4n", "incoming/4jX4j75Jm4z5", 5);
}
END_TEST

/* ---------------------------------------------------------------- the table */

static bool
has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = strstr(list, word); at != NULL; at = strstr(at + 1, word))
		if ((at == list || at[-1] == ' ') && (at[len] == '\0' || at[len] == ','))
			return true;
	return false;
}

START_TEST(what_is_found_is_what_the_table_of_rules_says)
{
	whole_queue();
	add_message(POSTFIX_PLACE_HOLD, "", "4918DAA", 0xBB);
	add_message(POSTFIX_PLACE_HOLD, "", "4918DCC#FIX", 0xCC);
	add_message(POSTFIX_PLACE_HOLD, "", "4918dee", 0xEE);
	add_message(POSTFIX_PLACE_ACTIVE, "", "4918D30", 0x30)->file.mode = QUEUE_REGULAR | 0600;
	add_log(POSTFIX_PLACE_DEFER, "4", "4918DFF", 0x31);
	text_len = 9;
	add(POSTFIX_PLACE_HOLD, "", "4918D32", 0x32, READY);
	add(POSTFIX_PLACE_CORRUPT, "", "4918D33", 0x33, READY);
	add(POSTFIX_PLACE_INCOMING, "", "4918D34", 0x34, QUEUE_REGULAR | 0600);
	add(POSTFIX_PLACE_INCOMING, "", "4918D35", 0x35, QUEUE_REGULAR | 0600)->file.mtime = NOW - 9 * DAY;
	add_message(POSTFIX_PLACE_INCOMING, "", "4918D36", 0x36)->file.mode = QUEUE_REGULAR | 0640;
	look(true);
	ck_assert_uint_ge(found.len, 10);
	for (size_t i = 0; i < found.len; i++) {
		const struct rule *rule = rule_find(found.at[i].rule);

		ck_assert_msg(has_word(rule->classes, class_word(found.at[i].class)) &&
		    has_word(rule->problems, problem_word(found.at[i].problem)), "rule %u gives %s, %s", rule->number,
		    class_word(found.at[i].class), problem_word(found.at[i].problem));
	}
}
END_TEST

/* More than are kept are counted, and the first of them can be mended. */
START_TEST(a_restored_queue_is_counted_whole)
{
	struct check_options options = { .now = NOW, .slack = 60, .seed = 7 };
	struct check *check = check_new(&rules_postfix, &layout, &options);
	uint64_t counted = 0;
	const unsigned int n = 6000;

	for (unsigned int i = 0; i < n; i++) {
		char name[16];
		struct queue_file file = { .name = name, .sub = "", .place = POSTFIX_PLACE_HOLD, .ino = 0x10000 + i, .size = 9,
			.mode = READY, .uid = OWNER, .nlink = 1, .mtime = NOW };

		snprintf(name, sizeof name, "4918D%X", 0x100000 + i);
		check_file(check, &file);
	}
	check_joined(check);
	check_end(check, &found, &messages, &files);
	check_free(check);
	for (size_t i = 0; i < found.len; i++)
		counted += found.at[i].rule == 19 ? found.at[i].count : 0;
	ck_assert_uint_eq(counted, n);
	ck_assert_uint_eq(messages, n);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("rules_postfix_read");
	TCase *tc = tcase_create("rules");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_damaged_message_is_found_by_the_deep_pass_and_put_aside);
	tcase_add_test(tc, where_only_the_end_is_missing_it_is_said_how_to_mend_it);
	tcase_add_test(tc, a_message_that_is_all_done_is_told_unless_its_bounce_is_still_to_be_sent);
	tcase_add_test(tc, what_was_put_aside_by_postfix_is_told_and_never_touched);
	tcase_add_test(tc, a_log_without_its_message_is_put_aside);
	tcase_add_test(tc, a_broken_defer_log_goes_and_a_broken_bounce_log_stays);
	tcase_add_test(tc, of_two_copies_one_stays_and_what_was_done_in_the_other_is_done);
	tcase_add_test(tc, of_two_copies_with_a_long_id_the_one_that_is_further_stays);
	tcase_add_test(tc, two_strangers_with_one_long_id_are_told_apart);
	tcase_add_test(tc, what_is_found_is_what_the_table_of_rules_says);
	tcase_add_test(tc, a_restored_queue_is_counted_whole);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
