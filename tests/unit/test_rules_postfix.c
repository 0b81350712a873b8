/*
 * tests/unit/test_rules_postfix.c - the rules of Postfix's queue: names, places and modes, over queues that are made up.
 */
#include "tests/unit/postfix_rules_bed.h"

/* As the directories tell them: no mode, no owner, no size. */
START_TEST(the_names_of_a_whole_queue_are_right_by_themselves)
{
	whole_queue();
	text_len = 0;
	add(POSTFIX_PLACE_INCOMING, "", "607871.4711", 0x99, QUEUE_REGULAR | 0600);	/* being written */
	add(POSTFIX_PLACE_HOLD, "", "4jX4l72SYYzm", 0x98, READY);				/* a long id holds no inode */
	for (size_t i = 0; i < entries; i++) {
		struct named told = { 0 };
		struct queue_file seen = { .name = queue[i].name, .sub = queue[i].sub, .place = queue[i].file.place, .ino = queue[i].file.ino };

		ck_assert_msg(rules_postfix.named(&layout, &seen, 0, &told) == NAMED_RIGHT, "%s/%s", paths[seen.place], seen.name);
	}
}
END_TEST

START_TEST(a_queue_as_postfix_leaves_it_has_nothing_to_find)
{
	whole_queue();
	text_len = 0;
	add(POSTFIX_PLACE_BOUNCE, "", "4918D14", 0x19, QUEUE_REGULAR | 0600);	/* made, and nothing written yet */
	for (int deep = 0; deep < 2; deep++) {
		look(deep == 1);
		nothing_else(0);
		ck_assert_uint_eq(messages, 6);
		ck_assert_uint_eq(files, 11);
		ck_assert_uint_eq(opened, deep == 1 ? 10 : 0);	/* flush holds no message */
	}
}
END_TEST

START_TEST(what_a_crash_leaves_waits_and_is_not_opened)
{
	whole_queue();
	text_len = 0;
	add(POSTFIX_PLACE_INCOMING, "", "4918D20", 0x20, QUEUE_REGULAR | 0600);
	message_text("4918D21", "R");
	add(POSTFIX_PLACE_INCOMING, "", "4918D21", 0x21, QUEUE_REGULAR | 0600);
	add(POSTFIX_PLACE_MAILDROP, "", "4918D22", 0x22, QUEUE_REGULAR | 0644);
	add(POSTFIX_PLACE_INCOMING, "", "123456.789", 0x23, QUEUE_REGULAR | 0600);
	add_log(POSTFIX_PLACE_TRACE, "", "4918D21", 0x24);	/* of a message that is still being written */
	look(false);
	nothing_else(4);
	for (size_t i = 0; i < found.len; i++) {
		ck_assert_int_eq(found.at[i].class, CLASS_WAIT);
		ck_assert_int_eq(found.at[i].acknowledged, ACK_NO);
		ck_assert_uint_eq(found.at[i].remedies, 0);
	}
	ck_assert_uint_eq(opened, 0);
	ck_assert_uint_eq(messages, 6);
	ck_assert_int_eq(findings_verdict(&found), VERDICT_CONSISTENT);
}
END_TEST

START_TEST(unfinished_files_of_eight_days_are_put_aside)
{
	text_len = 0;
	add(POSTFIX_PLACE_INCOMING, "", "4918D20", 0x20, QUEUE_REGULAR | 0600)->file.mtime = NOW - 8 * DAY;
	look(false);
	is_put_aside(sole(22, CLASS_GARBAGE, PROBLEM_UNFINISHED, "incoming/4918D20"));
	ck_assert_int_eq(found.at[0].acknowledged, ACK_NO);
}
END_TEST

/* ---------------------------------------------------------------- names */

START_TEST(a_message_of_another_inode_is_renamed_and_its_logs_before_it)
{
	const struct finding *f;

	whole_queue();
	add_message(POSTFIX_PLACE_DEFERRED, "4", "4918DAA", 0xBB);
	add_log(POSTFIX_PLACE_DEFER, "4", "4918DAA", 0x31);
	add_log(POSTFIX_PLACE_BOUNCE, "", "4918DAA", 0x32);
	look(false);
	nothing_else(1);
	f = sole(19, CLASS_REPAIR, PROBLEM_NAME_INODE, "deferred/4/4918DAA");
	ck_assert_uint_eq(f->remedies, 3);
	moves(f, 0, "defer/4/4918DAA", "defer/4/4918DBB", 0x31);
	moves(f, 1, "bounce/4918DAA", "bounce/4918DBB", 0x32);
	moves(f, 2, "deferred/4/4918DAA", "deferred/4/4918DBB", 0xBB);
	ck_assert_uint_eq(messages, 7);
	ck_assert_uint_eq(opened, 0);
}
END_TEST

START_TEST(the_logs_of_an_id_stay_with_the_message_that_has_it_rightly)
{
	const struct finding *f;

	add_message(POSTFIX_PLACE_HOLD, "", "4918DAA", 0xAA);
	message_text("another", "R");
	add(POSTFIX_PLACE_DEFERRED, "4", "4918DAA", 0xBB, READY);
	add_log(POSTFIX_PLACE_DEFER, "4", "4918DAA", 0x31);
	look(false);
	nothing_else(1);
	f = sole(19, CLASS_REPAIR, PROBLEM_NAME_INODE, "deferred/4/4918DAA");
	ck_assert_uint_eq(f->remedies, 1);
	moves(f, 0, "deferred/4/4918DAA", "deferred/4/4918DBB", 0xBB);
}
END_TEST

START_TEST(the_new_name_brings_its_directory_along)
{
	const struct finding *f;

	layout.place[POSTFIX_PLACE_HOLD].depth = 1;
	add_message(POSTFIX_PLACE_HOLD, "A", "4918DAA", 0xBB);	/* neither name nor directory is right */
	look(false);
	nothing_else(1);
	f = sole(19, CLASS_REPAIR, PROBLEM_NAME_INODE, "hold/A/4918DAA");
	ck_assert_uint_eq(f->remedies, 2);
	ck_assert_int_eq(f->remedy[0].kind, REMEDY_MKDIR);
	ck_assert_str_eq(f->remedy[0].path, "hold/4");
	ck_assert_uint_eq(f->remedy[0].uid, OWNER);
	moves(f, 1, "hold/A/4918DAA", "hold/4/4918DBB", 0xBB);
}
END_TEST

START_TEST(a_right_name_in_a_wrong_directory_is_only_moved)
{
	const struct finding *f;

	add_message(POSTFIX_PLACE_HOLD, "4", "4918DAA", 0xAA);		/* once it was hashed */
	add_message(POSTFIX_PLACE_DEFERRED, "", "4jX4j75Jm4z4n", 7);
	look(false);
	nothing_else(2);
	for (size_t i = 0; i < 2; i++) {
		f = &found.at[i];
		ck_assert_uint_eq(f->rule, 7);
		if (strcmp(f->path, "hold/4/4918DAA") == 0)
			moves(f, 0, "hold/4/4918DAA", "hold/4918DAA", 0xAA);
		else
			moves(f, 1, "deferred/4jX4j75Jm4z4n", "deferred/B/4jX4j75Jm4z4n", 7);
	}
}
END_TEST

START_TEST(what_postsuper_left_half_renamed_is_finished)
{
	add_message(POSTFIX_PLACE_DEFERRED, "4", "4918DBB#FIX", 0xBB);
	add_log(POSTFIX_PLACE_DEFER, "4", "4918DBB#FIX", 0x31);
	look(false);
	nothing_else(2);
	for (size_t i = 0; i < 2; i++) {
		ck_assert_uint_eq(found.at[i].rule, 20);
		ck_assert_int_eq(found.at[i].class, CLASS_REPAIR);
		if (found.at[i].path[5] == '/')
			moves(&found.at[i], 0, "defer/4/4918DBB#FIX", "defer/4/4918DBB", 0x31);
		else
			moves(&found.at[i], 0, "deferred/4/4918DBB#FIX", "deferred/4/4918DBB", 0xBB);
	}
	ck_assert_uint_eq(messages, 1);
}
END_TEST

/* The log was renamed, the message not yet: both come to the same id. */
START_TEST(a_renaming_that_was_cut_between_log_and_message_comes_to_one_id)
{
	add_message(POSTFIX_PLACE_DEFERRED, "4", "4918DAA", 0xBB);
	add_log(POSTFIX_PLACE_DEFER, "4", "4918DBB#FIX", 0x31);
	look(false);
	nothing_else(2);
	moves(sole(20, CLASS_REPAIR, PROBLEM_INTERRUPTED_REPAIR, "defer/4/4918DBB#FIX"), 0, "defer/4/4918DBB#FIX", "defer/4/4918DBB", 0x31);
	moves(sole(19, CLASS_REPAIR, PROBLEM_NAME_INODE, "deferred/4/4918DAA"), 0, "deferred/4/4918DAA", "deferred/4/4918DBB", 0xBB);
}
END_TEST

START_TEST(a_half_renamed_log_never_takes_the_place_of_another)
{
	add_message(POSTFIX_PLACE_DEFERRED, "4", "4918DBB", 0xBB);
	add_log(POSTFIX_PLACE_DEFER, "4", "4918DBB", 0x31);
	add_log(POSTFIX_PLACE_DEFER, "4", "4918DBB#FIX", 0x32);
	look(false);
	nothing_else(1);
	is_put_aside(sole(20, CLASS_REPAIR, PROBLEM_INTERRUPTED_REPAIR, "defer/4/4918DBB#FIX"));
}
END_TEST

START_TEST(a_message_under_a_name_that_is_no_id_gets_one_and_what_is_none_goes)
{
	add_message(POSTFIX_PLACE_HOLD, "", "4918dbb", 0xBB);
	text_len = (size_t)snprintf(text, sizeof text, "notes of an operator\n");
	add(POSTFIX_PLACE_HOLD, "", "README", 0xCC, READY);
	add(POSTFIX_PLACE_HOLD, "", "notes.txt", 0xDD, QUEUE_REGULAR | 0644);
	look(false);
	nothing_else(3);
	moves(sole(19, CLASS_REPAIR, PROBLEM_BAD_NAME, "hold/4918dbb"), 0, "hold/4918dbb", "hold/4918DBB", 0xBB);
	for (size_t i = 0; i < found.len; i++)
		if (found.at[i].class == CLASS_STRAY)
			is_put_aside(&found.at[i]);
	ck_assert_uint_eq(opened, 2);
}
END_TEST

START_TEST(the_root_may_hold_what_it_likes)
{
	text_len = 0;
	add(POSTFIX_PLACE_ROOT, "", "etc", 1, QUEUE_DIRECTORY | 0755);
	add(POSTFIX_PLACE_ROOT, "", "opendkim.sock", 2, QUEUE_SOCKET | 0777);
	add(POSTFIX_PLACE_ROOT, "", "quick-start", 3, QUEUE_REGULAR | 0666);
	look(true);
	nothing_else(0);
	ck_assert_uint_eq(opened, 0);
}
END_TEST

START_TEST(of_two_names_of_a_file_the_one_that_holds_its_inode_stays)
{
	struct entry *right = add_message(POSTFIX_PLACE_ACTIVE, "", "4918DAA", 0xAA);
	struct entry *wrong = add_message(POSTFIX_PLACE_HOLD, "", "4918DBB", 0xAA);

	right->file.nlink = wrong->file.nlink = 2;
	look(false);
	is_put_aside(sole(3, CLASS_REPAIR, PROBLEM_DUPLICATE, "hold/4918DBB"));
}
END_TEST

/* ---------------------------------------------------------------- modes */

START_TEST(a_settled_message_without_its_bits_is_read_and_gets_them_back)
{
	const struct finding *f;

	whole_queue();
	message_text("4918D20", "R");
	add(POSTFIX_PLACE_ACTIVE, "", "4918D20", 0x20, QUEUE_REGULAR | 0644);
	look(false);
	nothing_else(1);
	ck_assert_uint_eq(opened, 1);
	f = sole(22, CLASS_REPAIR, PROBLEM_WRONG_MODE, "active/4918D20");
	ck_assert_int_eq(f->remedy[0].kind, REMEDY_MODE);
	ck_assert_uint_eq(f->remedy[0].mode, 0700);
	ck_assert_uint_eq(messages, 7);
}
END_TEST

START_TEST(one_that_is_not_whole_does_not_get_them_back)
{
	const struct finding *f;

	whole_queue();
	message_text("4918D20", "R");
	text_len -= 20;
	add(POSTFIX_PLACE_ACTIVE, "", "4918D20", 0x20, QUEUE_REGULAR | 0400);
	look(false);
	nothing_else(1);
	f = sole(22, CLASS_QUARANTINE, PROBLEM_WRONG_MODE, "active/4918D20");
	ck_assert(f->damages);
	is_put_aside(f);
	ck_assert_uint_eq(messages, 6);
}
END_TEST

/* As after a copy without modes: the whole queue is one finding; what is broken in it is told by itself. */
START_TEST(modes_lost_by_a_copy_are_one_finding)
{
	char name[16];
	const struct finding *f;

	for (unsigned int i = 0; i < 20; i++) {
		bool hold = i % 4 == 0;

		snprintf(name, sizeof name, "4918D%X", 0x100 + i);
		message_text(name, "R");
		text_len -= i == 7 ? 10 : 0;
		add(hold ? POSTFIX_PLACE_HOLD : POSTFIX_PLACE_DEFERRED, hold ? "" : "4", name, 0x100 + i, QUEUE_REGULAR | 0644);
	}
	message_text("4918D200", "R");
	add(POSTFIX_PLACE_INCOMING, "", "4918D200", 0x200, QUEUE_REGULAR | 0644);	/* was ready */
	text_len -= 20;
	add(POSTFIX_PLACE_INCOMING, "", "4918D201", 0x201, QUEUE_REGULAR | 0644);	/* was not */
	look(false);
	nothing_else(4);
	f = finding(22, CLASS_REPAIR);
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(f->count, 19);
	ck_assert_uint_eq(f->remedies, 2);
	for (size_t i = 0; i < 2; i++) {
		ck_assert_int_eq(f->remedy[i].kind, REMEDY_SWEEP_MODE);
		ck_assert_uint_eq(f->remedy[i].offset, 0644);
		ck_assert_uint_eq(f->remedy[i].mode, 0700);
	}
	ck_assert(finding(22, CLASS_QUARANTINE)->damages);
	f = sole(22, CLASS_PROMOTE, PROBLEM_WRONG_MODE, "incoming/4918D200");
	ck_assert_int_eq(f->acknowledged, ACK_MAYBE);
	ck_assert_uint_eq(f->remedy[0].mode, 0700);
	sole(22, CLASS_WAIT, PROBLEM_UNFINISHED, "incoming/4918D201");
	ck_assert_uint_eq(opened, 22);
}
END_TEST

START_TEST(a_file_of_maildrop_with_a_mode_that_postdrop_does_not_give_is_looked_at)
{
	const struct finding *f;

	text_len = 0;
	put('T', "1 2");
	put('S', "%s", "");
	put('R', "r@rcpt.invalid");
	put('M', "%s", "");
	put('N', "text");
	put('X', "%s", "");
	put('E', "%s", "");
	add(POSTFIX_PLACE_MAILDROP, "", "4918D20", 0x20, QUEUE_REGULAR | 0664);
	add(POSTFIX_PLACE_MAILDROP, "", "4918D21", 0x21, QUEUE_REGULAR | 0644);	/* being written */
	look(false);
	nothing_else(2);
	ck_assert_uint_eq(opened, 1);
	f = sole(22, CLASS_PROMOTE, PROBLEM_WRONG_MODE, "maildrop/4918D20");
	ck_assert_uint_eq(f->remedy[0].mode, 0744);
	sole(22, CLASS_WAIT, PROBLEM_UNFINISHED, "maildrop/4918D21");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("rules_postfix");
	TCase *tc = tcase_create("rules");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, the_names_of_a_whole_queue_are_right_by_themselves);
	tcase_add_test(tc, a_queue_as_postfix_leaves_it_has_nothing_to_find);
	tcase_add_test(tc, what_a_crash_leaves_waits_and_is_not_opened);
	tcase_add_test(tc, unfinished_files_of_eight_days_are_put_aside);
	tcase_add_test(tc, a_message_of_another_inode_is_renamed_and_its_logs_before_it);
	tcase_add_test(tc, the_logs_of_an_id_stay_with_the_message_that_has_it_rightly);
	tcase_add_test(tc, the_new_name_brings_its_directory_along);
	tcase_add_test(tc, a_right_name_in_a_wrong_directory_is_only_moved);
	tcase_add_test(tc, what_postsuper_left_half_renamed_is_finished);
	tcase_add_test(tc, a_renaming_that_was_cut_between_log_and_message_comes_to_one_id);
	tcase_add_test(tc, a_half_renamed_log_never_takes_the_place_of_another);
	tcase_add_test(tc, a_message_under_a_name_that_is_no_id_gets_one_and_what_is_none_goes);
	tcase_add_test(tc, the_root_may_hold_what_it_likes);
	tcase_add_test(tc, of_two_names_of_a_file_the_one_that_holds_its_inode_stays);
	tcase_add_test(tc, a_settled_message_without_its_bits_is_read_and_gets_them_back);
	tcase_add_test(tc, one_that_is_not_whole_does_not_get_them_back);
	tcase_add_test(tc, modes_lost_by_a_copy_are_one_finding);
	tcase_add_test(tc, a_file_of_maildrop_with_a_mode_that_postdrop_does_not_give_is_looked_at);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
