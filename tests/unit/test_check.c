/*
 * tests/unit/test_check.c - the rules that hold for every mail program (1 to 7), over queues made of a few lines
 * for a toy program: no file, no clock.
 */
#include "queuesync/check.h"

#include "tests/unit/check_bed.h"

/* ---------------------------------------------------------------- whole queues */

START_TEST(a_whole_queue_has_no_findings)
{
	begin();
	directories();
	many(100, NULL);
	add(file(TOY_NEW, "", "101"));
	add(file(TOY_LOG, "", "101"));
	end();
	ck_assert_uint_eq(findings.len, 0);
	ck_assert_int_eq(findings_verdict(&findings), VERDICT_CONSISTENT);
	ck_assert_uint_eq(messages, 101);
	ck_assert_uint_eq(files, 102);
	finish();
}
END_TEST

START_TEST(an_empty_queue_is_whole)
{
	begin();
	directories();
	end();
	ck_assert_uint_eq(findings.len, 0);
	ck_assert_uint_eq(messages, 0);
	finish();
}
END_TEST

/* ---------------------------------------------------------------- rule 1 */

START_TEST(each_directory_that_is_missing_is_made_with_the_owner_of_its_place)
{
	begin();
	directory("new", TOY_NEW, TOY_UID, QUEUE_DIRECTORY | 0700);
	directory("cur", TOY_CUR, TOY_UID, QUEUE_DIRECTORY | 0700);
	directory("cur/0", TOY_CUR, TOY_UID, QUEUE_DIRECTORY | 0700);
	directory("cur/2", TOY_CUR, TOY_UID, QUEUE_DIRECTORY | 0700);
	end();
	ck_assert_uint_eq(findings.len, 2);
	ck_assert_str_eq(findings.at[0].path, "cur/1");
	ck_assert_str_eq(findings.at[1].path, "log");
	ck_assert_int_eq(findings.at[1].remedy[0].kind, REMEDY_MKDIR);
	ck_assert_uint_eq(findings.at[1].remedy[0].mode, 0700);
	ck_assert_uint_eq(findings.at[1].remedy[0].uid, TOY_UID);
	ck_assert_int_eq(findings_verdict(&findings), VERDICT_REPAIRABLE);
	finish();
}
END_TEST

START_TEST(a_directory_that_is_a_link_is_for_a_person)
{
	begin();
	directories();
	directory("log", TOY_LOG, TOY_UID, QUEUE_SYMLINK | 0777);
	end();
	ck_assert_uint_eq(only(CLASS_REPORT, PROBLEM_WRONG_TYPE, "log")->remedies, 0);
	ck_assert_int_eq(findings_verdict(&findings), VERDICT_DAMAGED);
	finish();
}
END_TEST

START_TEST(a_file_in_a_directorys_place_makes_room)
{
	const struct finding *f;

	begin();
	directories();
	directory("log", TOY_LOG, TOY_UID, QUEUE_REGULAR | 0600);
	end();
	f = only(CLASS_STRAY, PROBLEM_WRONG_TYPE, "log");
	ck_assert_uint_eq(f->remedies, 2);
	ck_assert_int_eq(f->remedy[0].kind, REMEDY_QUARANTINE);
	ck_assert_int_eq(f->remedy[1].kind, REMEDY_MKDIR);
	finish();
}
END_TEST

START_TEST(a_mount_inside_of_the_queue_is_for_a_person)
{
	begin();
	directories();
	check_mounted(check, "log", TOY_LOG);
	check_lost_found(check, "lost+found", 3);
	end();
	ck_assert_uint_eq(findings.len, 2);
	ck_assert_int_eq(findings_verdict(&findings), VERDICT_DAMAGED);
	finish();
}
END_TEST

/* ---------------------------------------------------------------- rule 2 */

START_TEST(what_is_no_queue_file_is_a_stray)
{
	static const char *const names[] = { "hello", "0123", "12 ", "1234567890123456789012345678901234567890", "\xff\xfe" };

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		char path[100];
		const struct finding *f;

		begin();
		directories();
		add(file(TOY_NEW, "", names[i]));
		end();
		snprintf(path, sizeof path, "new/%s", names[i]);
		f = only(CLASS_STRAY, PROBLEM_FOREIGN_FILE, path);
		ck_assert_int_eq(f->remedy[0].kind, REMEDY_QUARANTINE);
		ck_assert_uint_eq(f->remedy[0].ino, findings.at[0].remedy[0].ino);
		finish();
	}
}
END_TEST

START_TEST(only_regular_files_are_messages)
{
	static const uint32_t types[] = { QUEUE_FIFO, QUEUE_SOCKET, QUEUE_SYMLINK, QUEUE_DIRECTORY, QUEUE_CHAR_DEVICE,
		QUEUE_BLOCK_DEVICE, 0 };

	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		struct queue_file f = file(TOY_NEW, "", "77");

		f.mode = types[i] | 0600;
		begin();
		directories();
		add(f);
		end();
		only(CLASS_STRAY, PROBLEM_WRONG_TYPE, "new/77");
		ck_assert_uint_eq(messages, 0);
		finish();
	}
}
END_TEST

/* ---------------------------------------------------------------- rule 3 */

START_TEST(of_two_names_of_one_file_the_earlier_goes)
{
	struct queue_file a = file(TOY_NEW, "", "6"), b = file(TOY_CUR, "0", "6");
	const struct finding *f;

	a.nlink = b.nlink = 2;
	b.ino = a.ino;
	begin();
	directories();
	add(a);
	add(b);
	end();
	f = only(CLASS_REPAIR, PROBLEM_DUPLICATE, "new/6");
	ck_assert_int_eq(f->remedy[0].kind, REMEDY_QUARANTINE);
	ck_assert_uint_eq(f->remedy[0].ino, a.ino);
	finish();
}
END_TEST

START_TEST(of_two_names_of_one_file_the_misplaced_goes_and_is_not_moved_as_well)
{
	struct queue_file a = file(TOY_CUR, "0", "6"), b = file(TOY_CUR, "1", "6");

	a.nlink = b.nlink = 2;
	b.ino = a.ino;
	begin();
	directories();
	add(a);
	add(b);
	end();
	only(CLASS_REPAIR, PROBLEM_DUPLICATE, "cur/1/6");
	finish();
}
END_TEST

START_TEST(a_name_outside_of_the_queue_is_told_and_its_owner_never_changed)
{
	struct queue_file f = file(TOY_NEW, "", "6");

	f.nlink = 2;
	f.uid = 0;
	begin();
	directories();
	add(f);
	end();
	ck_assert_uint_eq(findings.len, 2);
	for (size_t i = 0; i < 2; i++) {
		ck_assert_int_eq(findings.at[i].class, CLASS_REPORT);
		ck_assert_uint_eq(findings.at[i].remedies, 0);
	}
	finish();
}
END_TEST

/* ---------------------------------------------------------------- rule 4 */

static void
to_root(struct queue_file *f)
{
	f->uid = 0;
}

static void
to_someone(struct queue_file *f)
{
	f->uid = (uint32_t)f->ino;
}

static void
without_mode(struct queue_file *f)
{
	f->mode = QUEUE_REGULAR | 0644;
}

START_TEST(a_wrong_owner_or_mode_is_one_finding_each)
{
	struct queue_file f = file(TOY_NEW, "", "101");

	f.uid = 3;
	f.mode = QUEUE_REGULAR | 0666;
	begin();
	directories();
	many(100, NULL);
	add(f);
	end();
	ck_assert_uint_eq(findings.len, 2);
	ck_assert_int_eq(findings.at[0].problem, PROBLEM_WRONG_OWNER);
	ck_assert_int_eq(findings.at[0].remedy[0].kind, REMEDY_OWNER);
	ck_assert_uint_eq(findings.at[0].remedy[0].uid, TOY_UID);
	ck_assert_uint_eq(findings.at[0].remedy[0].gid, QUEUE_ID_ANY);
	ck_assert_int_eq(findings.at[1].problem, PROBLEM_WRONG_MODE);
	ck_assert_int_eq(findings.at[1].remedy[0].kind, REMEDY_MODE);
	ck_assert_uint_eq(findings.at[1].remedy[0].mode, 0600);
	ck_assert_uint_eq(findings.at[0].remedy[0].ino, f.ino);
	finish();
}
END_TEST

START_TEST(most_files_of_another_number_are_one_finding_with_a_count)
{
	const struct finding *f;

	begin();
	directories();
	many(5000, to_root);
	end();
	f = only(CLASS_REPAIR, PROBLEM_UID_MAP, "cur/1/1");
	ck_assert_uint_eq(f->count, 5000);
	ck_assert_uint_eq(f->remedies, 1);
	ck_assert_int_eq(f->remedy[0].kind, REMEDY_SWEEP_OWNER);
	ck_assert_str_eq(f->remedy[0].path, "cur");
	ck_assert_uint_eq(f->remedy[0].old_uid, 0);
	ck_assert_uint_eq(f->remedy[0].uid, TOY_UID);
	ck_assert_uint_eq(f->remedy[0].links, 1);
	ck_assert_uint_eq(messages, 5000);
	finish();
}
END_TEST

START_TEST(a_uid_map_takes_the_directories_along)
{
	const struct finding *f;

	begin();
	directory("new", TOY_NEW, 0, QUEUE_DIRECTORY | 0700);
	directory("cur", TOY_CUR, 0, QUEUE_DIRECTORY | 0700);
	directory("cur/0", TOY_CUR, 0, QUEUE_DIRECTORY | 0700);
	directory("cur/1", TOY_CUR, 0, QUEUE_DIRECTORY | 0700);
	directory("cur/2", TOY_CUR, 0, QUEUE_DIRECTORY | 0700);
	directory("log", TOY_LOG, 0, QUEUE_DIRECTORY | 0700);
	many(10, to_root);
	end();
	f = only(CLASS_REPAIR, PROBLEM_UID_MAP, "new");
	ck_assert_uint_eq(f->count, 16);
	ck_assert_uint_eq(f->remedies, 7);
	finish();
}
END_TEST

START_TEST(owners_that_differ_all_in_their_own_way_are_no_map)
{
	begin();
	directories();
	many(600, to_someone);
	end();
	ck_assert_uint_eq(findings.len, 600);
	for (size_t i = 0; i < findings.len; i++) {
		ck_assert_int_eq(findings.at[i].problem, PROBLEM_WRONG_OWNER);
		ck_assert_uint_eq(findings.at[i].count, 1);
		ck_assert_uint_eq(findings.at[i].remedies, 1);
	}
	finish();
}
END_TEST

START_TEST(lost_modes_are_one_finding)
{
	const struct finding *f;

	begin();
	directories();
	many(50, without_mode);
	end();
	f = only(CLASS_REPAIR, PROBLEM_WRONG_MODE, "cur/1/1");
	ck_assert_uint_eq(f->count, 50);
	ck_assert_int_eq(f->remedy[0].kind, REMEDY_SWEEP_MODE);
	ck_assert_uint_eq(f->remedy[0].offset, 0644);
	ck_assert_uint_eq(f->remedy[0].mode, 0600);
	finish();
}
END_TEST

START_TEST(less_than_half_are_no_system)
{
	begin();
	directories();
	many(40, to_root);
	for (unsigned int i = 0; i < 41; i++) {
		char name[8];

		snprintf(name, sizeof name, "%u", 100 + i);
		add(file(TOY_NEW, "", name));
	}
	end();
	ck_assert_uint_eq(findings.len, 40);
	finish();
}
END_TEST

START_TEST(wrong_owners_beyond_what_is_kept_are_counted)
{
	uint64_t n = 0;

	for (int alike = 0; alike < 2; alike++) {
		begin();
		directories();
		many(3 * CHECK_ODD_MAX, alike ? to_root : to_someone);
		for (unsigned int i = 0; i < 3 * CHECK_ODD_MAX; i++) {
			char name[16];

			snprintf(name, sizeof name, "%u", 100000 + i);
			add(file(TOY_NEW, "", name));
		}
		end();
		n = 0;
		for (size_t i = 0; i < findings.len; i++) {
			ck_assert_int_eq(findings.at[i].problem, PROBLEM_WRONG_OWNER);
			n += findings.at[i].count;
		}
		ck_assert_uint_eq(n, 3 * CHECK_ODD_MAX);
		finish();
	}
}
END_TEST

/* ---------------------------------------------------------------- rules 5, 6, 7 */

START_TEST(a_file_of_no_bytes_is_damage)
{
	struct queue_file f = file(TOY_NEW, "", "9");

	f.size = 0;
	begin();
	directories();
	add(f);
	end();
	ck_assert_int_eq(only(CLASS_QUARANTINE, PROBLEM_EMPTY, "new/9")->acknowledged, ACK_YES);
	ck_assert_int_eq(findings_verdict(&findings), VERDICT_DAMAGED);
	ck_assert_uint_eq(messages, 0);
	finish();
}
END_TEST

START_TEST(times_of_the_future_are_mended_but_for_next_tries)
{
	struct queue_file late = file(TOY_NEW, "", "9"), next = file(TOY_CUR, "1", "10"), never = file(TOY_CUR, "2", "11");

	late.mtime = TOY_NOW + 61;
	next.mtime = TOY_NOW + 4000;
	never.mtime = TOY_NOW + 300 * 86400;
	begin();
	directories();
	add(late);
	add(next);
	add(never);
	add(file(TOY_NEW, "", "12"));
	end();
	ck_assert_uint_eq(findings.len, 2);
	ck_assert_str_eq(findings.at[0].path, "cur/2/11");
	ck_assert_str_eq(findings.at[1].path, "new/9");
	ck_assert_int_eq(findings.at[1].remedy[0].kind, REMEDY_TIMES);
	finish();
}
END_TEST

static void
of_the_future(struct queue_file *f)
{
	f->mtime = TOY_NOW + 400 * 86400;
}

START_TEST(a_clock_that_is_behind_mends_no_times)
{
	const struct finding *f;

	begin();
	directories();
	many(500, of_the_future);
	end();
	f = only(CLASS_REPORT, PROBLEM_BAD_TIME, "");
	ck_assert_uint_eq(f->count, 500);
	ck_assert_uint_eq(f->remedies, 0);
	finish();
}
END_TEST

START_TEST(a_misplaced_file_is_moved_to_where_it_is_looked_for)
{
	const struct finding *f;

	begin();
	directory("new", TOY_NEW, TOY_UID, QUEUE_DIRECTORY | 0700);
	directory("cur", TOY_CUR, TOY_UID, QUEUE_DIRECTORY | 0700);
	directory("cur/0", TOY_CUR, TOY_UID, QUEUE_DIRECTORY | 0700);
	directory("log", TOY_LOG, TOY_UID, QUEUE_DIRECTORY | 0700);
	layout.place[TOY_CUR].subs_required = false;
	add(file(TOY_CUR, "0", "4"));
	end();
	f = only(CLASS_REPAIR, PROBLEM_WRONG_DIRECTORY, "cur/0/4");
	ck_assert_uint_eq(f->remedies, 2);
	ck_assert_int_eq(f->remedy[0].kind, REMEDY_MKDIR);
	ck_assert_str_eq(f->remedy[0].path, "cur/1");
	ck_assert_int_eq(f->remedy[1].kind, REMEDY_MOVE);
	ck_assert_str_eq(f->remedy[1].to, "cur/1/4");
	ck_assert_str_eq(f->message, "4");
	ck_assert_uint_eq(messages, 1);
	finish();
}
END_TEST

START_TEST(a_misplaced_file_is_never_moved_over_another)
{
	for (int first = 0; first < 2; first++) {
		begin();
		directories();
		add(file(TOY_CUR, first ? "0" : "1", "4"));
		add(file(TOY_CUR, first ? "1" : "0", "4"));
		end();
		ck_assert_int_eq(only(CLASS_QUARANTINE, PROBLEM_DUPLICATE, "cur/0/4")->remedy[0].kind, REMEDY_QUARANTINE);
		finish();
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("check");
	TCase *tc = tcase_create("rules 1 to 7");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_whole_queue_has_no_findings);
	tcase_add_test(tc, an_empty_queue_is_whole);
	tcase_add_test(tc, each_directory_that_is_missing_is_made_with_the_owner_of_its_place);
	tcase_add_test(tc, a_directory_that_is_a_link_is_for_a_person);
	tcase_add_test(tc, a_file_in_a_directorys_place_makes_room);
	tcase_add_test(tc, a_mount_inside_of_the_queue_is_for_a_person);
	tcase_add_test(tc, what_is_no_queue_file_is_a_stray);
	tcase_add_test(tc, only_regular_files_are_messages);
	tcase_add_test(tc, of_two_names_of_one_file_the_earlier_goes);
	tcase_add_test(tc, of_two_names_of_one_file_the_misplaced_goes_and_is_not_moved_as_well);
	tcase_add_test(tc, a_name_outside_of_the_queue_is_told_and_its_owner_never_changed);
	tcase_add_test(tc, a_wrong_owner_or_mode_is_one_finding_each);
	tcase_add_test(tc, most_files_of_another_number_are_one_finding_with_a_count);
	tcase_add_test(tc, a_uid_map_takes_the_directories_along);
	tcase_add_test(tc, owners_that_differ_all_in_their_own_way_are_no_map);
	tcase_add_test(tc, lost_modes_are_one_finding);
	tcase_add_test(tc, less_than_half_are_no_system);
	tcase_add_test(tc, wrong_owners_beyond_what_is_kept_are_counted);
	tcase_add_test(tc, a_file_of_no_bytes_is_damage);
	tcase_add_test(tc, times_of_the_future_are_mended_but_for_next_tries);
	tcase_add_test(tc, a_clock_that_is_behind_mends_no_times);
	tcase_add_test(tc, a_misplaced_file_is_moved_to_where_it_is_looked_for);
	tcase_add_test(tc, a_misplaced_file_is_never_moved_over_another);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
