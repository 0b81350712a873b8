/*
 * tests/unit/test_rules_exim.c - Exim's rules (30 to 38) over spools of a few files in memory: what is legal is quiet, what is
 * damaged is told with the change that mends it.
 */
#include "tests/unit/exim_bed.h"

/* ---------------------------------------------------------------- what is legal */

START_TEST(a_whole_spool_is_quiet)
{
	for (int split = 0; split < 2; split++) {
		begin(split == 1);
		put(split == 1 ? "input/9/" ID "-H" : "input/" ID "-H", H(ID));
		put(split == 1 ? "input/9/" ID "-D" : "input/" ID "-D", D(ID));
		put("msglog/" ID, "");
		put("input/" LONG "-H", H(LONG));	/* from before the split, or after the next update */
		put("input/" LONG "-D", D(LONG));
		put("input/" LONG "-J", "");
		put("work/input/" OTHER "-H", H(OTHER));
		put("work/input/" OTHER "-D", D(OTHER));
		put("work/input/" OTHER "-J", "b@example.net\n");
		put("db/retry.lockfile", "");
		put("db/retry", "");
		quiet(false);
		quiet(true);
		ck_assert_uint_eq(messages, 3);
		end();
	}
}
END_TEST

/* Of what is as it should be nothing is opened: neither header nor body, nor an empty journal. */
START_TEST(the_fast_pass_opens_nothing_that_is_not_suspect)
{
	begin(false);
	put("input/" ID "-H", H(ID));
	put("input/" ID "-D", D(ID));
	put("input/" ID "-J", "");
	put("msglog/" ID, "log\n");
	quiet(false);
	ck_assert_int_eq(reads, 0);
	end();
}
END_TEST

START_TEST(what_a_crash_leaves_of_a_reception_waits)
{
	begin(false);
	put("input/" ID "-D", D(ID));
	look(false);
	ck_assert_uint_eq(only(30, CLASS_WAIT, PROBLEM_UNFINISHED, "input/" ID "-D")->remedies, 0);
	ck_assert_int_eq(findings.at[0].acknowledged, ACK_NO);
	ck_assert_int_eq(findings_verdict(&findings), VERDICT_CONSISTENT);
	entry[0].len = 0;
	look(false);
	only(30, CLASS_WAIT, PROBLEM_UNFINISHED, "input/" ID "-D");
	entry[0].mtime = NOW - 8 * DAY;
	look(false);
	ck_assert_str_eq(remedies(only(30, CLASS_GARBAGE, PROBLEM_UNFINISHED, "input/" ID "-D")), "aside input/" ID "-D");
	end();
}
END_TEST

START_TEST(temporary_files_wait_and_go_when_they_are_old)
{
	static const char *const names[] = { "input/hdr." ID, "input/hdr.4711", "input/" ID "-4711-K", "msglog/" ID "-4711-0",
		"scan/" ID ".eml" };

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		begin(false);
		put("input/" ID "-H", H(ID));
		put("input/" ID "-D", D(ID));
		put(names[i], "x");
		look(true);
		only(37, CLASS_WAIT, PROBLEM_UNFINISHED, names[i]);
		entry[2].mtime = NOW - 8 * DAY;
		look(true);
		ck_assert_uint_eq(only(37, CLASS_GARBAGE, PROBLEM_UNFINISHED, names[i])->remedies, 1);
		end();
	}
}
END_TEST

START_TEST(what_is_left_of_a_finished_message_is_garbage)
{
	begin(false);
	put("input/" ID "-H", HEADER(ID, "", "YN c@example.net\nNN b@Example.NET\n", "2\nb@example.net\nc@example.net\n"));
	look(false);
	ck_assert_str_eq(remedies(only(30, CLASS_GARBAGE, PROBLEM_ORPHAN_PART, "input/" ID "-H")), "aside input/" ID "-H");
	put("input/" ID "-J", "b@example.net\n");
	entry[0] = (struct entry){ .bytes = HEADER(ID, "", "NN c@example.net\n", "2\nb@example.net\nc@example.net\n"), .ino = 101, .nlink = 1,
		.mtime = NOW, .path = "input/" ID "-H" };
	entry[0].len = strlen(entry[0].bytes);
	look(false);
	ck_assert_str_eq(remedies(only(30, CLASS_GARBAGE, PROBLEM_ORPHAN_PART, "input/" ID "-H")),
	    "aside input/" ID "-H, aside input/" ID "-J");
	end();
	begin(false);
	put("input/" ID "-J", "b@example.net\n");
	look(false);
	only(30, CLASS_GARBAGE, PROBLEM_ORPHAN_PART, "input/" ID "-J");
	end();
}
END_TEST

START_TEST(a_log_without_message_is_garbage_when_it_is_old)
{
	begin(false);
	put("msglog/" ID, "x\n");
	look(false);
	only(37, CLASS_WAIT, PROBLEM_ORPHAN_PART, "msglog/" ID);
	entry[0].mtime = NOW - 8 * DAY;
	look(false);
	ck_assert_uint_eq(only(37, CLASS_GARBAGE, PROBLEM_ORPHAN_PART, "msglog/" ID)->remedies, 1);
	end();
}
END_TEST

/* ---------------------------------------------------------------- what is lost */

START_TEST(a_header_without_body_is_a_loss)
{
	begin(false);
	put("input/" ID "-H", H(ID));
	put("msglog/" ID, "");
	put("input/" ID "-J", "b@example.net\n");
	look(false);
	ck_assert_str_eq(remedies(only(30, CLASS_QUARANTINE, PROBLEM_MISSING_PART, "input/" ID "-H")),
	    "aside input/" ID "-H, aside input/" ID "-J, aside msglog/" ID);
	ck_assert(findings.at[0].damages && findings.at[0].acknowledged == ACK_YES);
	ck_assert_uint_eq(messages, 0);
	end();
}
END_TEST

START_TEST(a_body_with_a_log_has_lost_its_header)
{
	begin(false);
	put("input/" ID "-D", D(ID));
	put("msglog/" ID, "");
	look(false);
	ck_assert_str_eq(remedies(only(30, CLASS_QUARANTINE, PROBLEM_MISSING_PART, "input/" ID "-D")),
	    "aside input/" ID "-D, aside msglog/" ID);
	ck_assert_int_eq(findings_verdict(&findings), VERDICT_DAMAGED);
	end();
}
END_TEST

START_TEST(a_header_that_does_not_parse_takes_the_message_along)
{
	static const struct { const char *bytes; enum problem problem; } bad[] = {
		{ ID "-H\nDebian-exim 990 990\n<a@example.org>\n1795296065 0\nXX\n2\nb@example.net\n", PROBLEM_TRUNCATED },
		{ ID "-H\nDebian-exim 990 990\n<a@example.org>\n1795296065 0\nXX\nb@example.net\n", PROBLEM_BAD_RECORD },
	};

	for (size_t i = 0; i < 2; i++) {
		begin(true);
		put("input/9/" ID "-H", bad[i].bytes);
		put("input/9/" ID "-D", D(ID));
		put("msglog/9/" ID, "");
		quiet(false);
		look(true);
		ck_assert_str_eq(remedies(only(32, CLASS_QUARANTINE, bad[i].problem, "input/9/" ID "-H")),
		    "aside input/9/" ID "-H, aside input/9/" ID "-D, aside msglog/9/" ID);
		ck_assert(findings.at[0].damages);
		end();
	}
}
END_TEST

/* "1xSv5u" is of four days before. Exim deletes at the first try what does not parse and is older. */
START_TEST(an_old_header_that_does_not_parse_is_found_before_exim_starts)
{
	static const char old[] = "1xSt00-0002fS-1c";
	struct exim_id id;

	ck_assert(exim_id_parse(old, 16, &id) && exim_id_time(id) < NOW - 4 * DAY);
	begin(false);
	put("input/1xSt00-0002fS-1c-H", "1xSt00-0002fS-1c-H\nDebian-exim 990 990\n<a@example.org>\n1795296065 0\nXX\n2\nb@example.net\n");
	put("input/1xSt00-0002fS-1c-D", D("1xSt00-0002fS-1c"));
	look(false);
	only(32, CLASS_QUARANTINE, PROBLEM_TRUNCATED, "input/1xSt00-0002fS-1c-H");
	end();
}
END_TEST

START_TEST(an_empty_file_of_an_acknowledged_message_is_told_by_its_size)
{
	begin(false);
	put("input/" ID "-H", H(ID));
	put("input/" ID "-D", "");
	look(false);
	only(33, CLASS_QUARANTINE, PROBLEM_EMPTY, "input/" ID "-D");
	ck_assert(findings.at[0].damages);
	end();
	begin(false);
	put("input/" ID "-H", "");
	put("input/" ID "-D", D(ID));
	look(false);
	ck_assert_str_eq(remedies(only(32, CLASS_QUARANTINE, PROBLEM_EMPTY, "input/" ID "-H")), "aside input/" ID "-H, aside input/" ID "-D");
	ck_assert(findings.at[0].damages);
	end();
}
END_TEST

START_TEST(a_body_has_the_lines_that_its_header_says)
{
	static const char nul[] = ID "-D\none\ntwo\n\0\0\0";

	begin(false);
	put("input/" ID "-H", H(ID));
	put("input/" ID "-D", ID "-D\none\n");
	quiet(false);
	look(true);
	ck_assert_str_eq(remedies(only(33, CLASS_QUARANTINE, PROBLEM_TRUNCATED, "input/" ID "-D")),
	    "aside input/" ID "-H, aside input/" ID "-D");
	entry[0].ino = 500;	/* read in the other order */
	look(true);
	only(33, CLASS_QUARANTINE, PROBLEM_TRUNCATED, "input/" ID "-D");
	entry[1].bytes = nul;
	entry[1].len = sizeof nul - 1;
	look(true);
	only(33, CLASS_QUARANTINE, PROBLEM_NUL_TAIL, "input/" ID "-D");
	entry[0].bytes = HEADER(ID, "-spool_file_wireformat\n", "XX\n", "1\nb@c\n");
	entry[0].len = strlen(entry[0].bytes);
	entry[1].len -= 5;
	quiet(true);
	end();
}
END_TEST

START_TEST(first_lines_are_the_names)
{
	begin(true);
	put("input/9/" ID "-H", H(OTHER));
	put("input/9/" ID "-D", D(OTHER));
	put("input/9/" ID "-J", "");
	look(true);
	ck_assert_str_eq(remedies(only(31, CLASS_REPAIR, PROBLEM_NAME_INODE, "input/9/" ID "-H")),
	    "move input/9/" ID "-J>input/9/" OTHER "-J, mkdir input/9, move input/9/" ID "-D>input/9/" OTHER "-D, move input/9/" ID
	    "-H>input/9/" OTHER "-H");
	ck_assert(!findings.at[0].damages);
	entry[1].bytes = D(ID);
	look(true);
	ck_assert_str_eq(remedies(only(31, CLASS_QUARANTINE, PROBLEM_BAD_RECORD, "input/9/" ID "-H")),
	    "aside input/9/" ID "-H, aside input/9/" ID "-D, aside input/9/" ID "-J");
	entry[0].bytes = H(ID);
	entry[1].bytes = D(OTHER);
	look(true);
	only(31, CLASS_QUARANTINE, PROBLEM_BAD_RECORD, "input/9/" ID "-D");
	entry[0].bytes = H(OTHER);
	put("input/9/" OTHER "-H", H(OTHER));	/* the name is taken */
	put("input/9/" OTHER "-D", D(OTHER));
	look(true);
	only(31, CLASS_QUARANTINE, PROBLEM_BAD_RECORD, "input/9/" ID "-H");
	ck_assert_uint_eq(messages, 1);
	end();
}
END_TEST

/* ---------------------------------------------------------------- journals */

START_TEST(a_journal_that_is_cut_gets_its_line_end)
{
	begin(false);
	put("input/" ID "-H", H(ID));
	put("input/" ID "-D", D(ID));
	put("input/" ID "-J", "b@example.net");
	for (int deep = 0; deep < 2; deep++) {
		look(deep == 1);
		ck_assert_str_eq(remedies(only(34, CLASS_REPAIR, PROBLEM_TRUNCATED, "input/" ID "-J")), "append input/" ID "-J");
		ck_assert_uint_eq(findings.at[0].remedy[0].offset, 13);
		ck_assert_uint_eq(findings.at[0].remedy[0].len, 1);
		ck_assert_int_eq(findings.at[0].remedy[0].bytes[0], '\n');
	}
	ck_assert_uint_eq(messages, 1);
	put_bytes("input/" LONG "-J", "b@example.net\n\0\0\0", 17);
	put("input/" LONG "-H", H(LONG));
	put("input/" LONG "-D", D(LONG));
	entries = 6;
	memmove(entry, entry + 3, 3 * sizeof entry[0]);
	entries = 3;
	look(false);
	ck_assert_str_eq(remedies(only(34, CLASS_QUARANTINE, PROBLEM_NUL_TAIL, "input/" LONG "-J")), "aside input/" LONG "-J");
	ck_assert(!findings.at[0].damages);
	end();
}
END_TEST

/* ---------------------------------------------------------------- two places */

START_TEST(a_message_that_was_torn_apart_is_brought_together)
{
	begin(true);
	put("input/" ID "-H", H(ID));
	put("input/9/" ID "-D", D(ID));
	put("input/" ID "-J", "b@example.net\n");
	look(false);
	ck_assert_str_eq(remedies(only(35, CLASS_REPAIR, PROBLEM_WRONG_DIRECTORY, "input/" ID "-H")),
	    "move input/" ID "-J>input/9/" ID "-J, move input/" ID "-H>input/9/" ID "-H");
	end();
	begin(false);
	put("input/9/" ID "-D", D(ID));
	put("input/" ID "-H", H(ID));
	look(false);
	ck_assert_str_eq(remedies(only(35, CLASS_REPAIR, PROBLEM_WRONG_DIRECTORY, "input/" ID "-H")),
	    "move input/" ID "-H>input/9/" ID "-H");
	end();
	begin(false);
	put("input/" ID "-H", H(ID));
	put("input/" ID "-D", D(ID));
	put("input/9/" ID "-J", "b@example.net\n");
	look(false);
	ck_assert_str_eq(remedies(only(35, CLASS_REPAIR, PROBLEM_WRONG_DIRECTORY, "input/9/" ID "-J")),
	    "move input/9/" ID "-J>input/" ID "-J");
	end();
}
END_TEST

static void
put_twice(const char *second_header, const char *second_body)
{
	begin(true);
	put("input/" ID "-H", H(ID));
	put("input/" ID "-D", D(ID));
	put("input/9/" ID "-H", second_header);
	put("input/9/" ID "-D", second_body);
}

#define ONE_DONE HEADER(ID, "-body_linecount 2\n", "NN c@example.net\n", "2\nb@example.net\nc@example.net\n")

START_TEST(of_two_equal_messages_the_one_with_more_done_stays)
{
	put_twice(ONE_DONE, D(ID));
	look(false);
	ck_assert_str_eq(remedies(only(35, CLASS_REPAIR, PROBLEM_DUPLICATE, "input/" ID "-H")), "aside input/" ID "-H, aside input/" ID "-D");
	ck_assert_uint_eq(messages, 1);
	end();
	put_twice(H(ID), D(ID));
	put("input/" ID "-J", "b@example.net\n");
	look(true);
	ck_assert_str_eq(remedies(only(35, CLASS_REPAIR, PROBLEM_DUPLICATE, "input/9/" ID "-H")),
	    "aside input/9/" ID "-H, aside input/9/" ID "-D");
	end();
}
END_TEST

START_TEST(of_two_different_messages_none_stays)
{
	put_twice(H(ID), ID "-D\none\nTWO\n");
	look(false);
	ck_assert_uint_eq(only(35, CLASS_QUARANTINE, PROBLEM_DUPLICATE, "input/9/" ID "-H")->remedies, 4);
	ck_assert(findings.at[0].damages);
	ck_assert_uint_eq(messages, 0);
	end();
	put_twice(HEADER(ID, "-body_linecount 2\n", "XX\n", "1\nsomeone@example.net\n"), D(ID));
	look(false);
	ck_assert_uint_eq(only(35, CLASS_QUARANTINE, PROBLEM_DUPLICATE, "input/9/" ID "-H")->remedies, 4);
	end();
}
END_TEST

START_TEST(half_a_message_beside_a_whole_one_goes)
{
	put_twice(H(ID), D(ID));
	entries = 3;
	entry[2] = entry[3];
	snprintf(entry[2].path, sizeof entry[2].path, "input/9/" ID "-D");
	look(false);
	ck_assert_str_eq(remedies(only(35, CLASS_REPAIR, PROBLEM_DUPLICATE, "input/9/" ID "-D")), "aside input/9/" ID "-D");
	end();
	begin(false);
	put("input/" ID "-H", H(ID));
	put("input/" ID "-D", D(ID));
	put("work/input/" ID "-H", H(ID));
	put("work/input/" ID "-D", D(ID));
	look(false);
	ck_assert_uint_eq(findings.len, 1);
	ck_assert_uint_eq(findings.at[0].rule, 35);
	ck_assert_uint_eq(messages, 1);
	end();
}
END_TEST

/* Frozen messages are moved by second names; where that was cut the message is there once. */
START_TEST(a_move_that_was_cut_is_undone_by_its_links)
{
	begin(false);
	put("input/" ID "-H", H(ID));
	put("input/" ID "-D", D(ID))->nlink = 2;
	put("Finput/" ID "-D", D(ID))->nlink = 2;
	entry[2].ino = entry[1].ino;
	look(false);
	ck_assert_str_eq(remedies(only(3, CLASS_REPAIR, PROBLEM_DUPLICATE, "Finput/" ID "-D")), "aside Finput/" ID "-D");
	snprintf(entry[0].path, sizeof entry[0].path, "Finput/" ID "-H");	/* the header has moved already */
	look(false);
	ck_assert_str_eq(remedies(only(3, CLASS_REPAIR, PROBLEM_DUPLICATE, "input/" ID "-D")), "aside input/" ID "-D");
	end();
}
END_TEST

/* ---------------------------------------------------------------- the rest */

START_TEST(a_file_in_a_foreign_sub_directory_is_moved_where_exim_looks)
{
	begin(true);
	put("input/9/" ID "-D", D(ID));
	put("input/x/" ID "-H", H(ID));
	look(false);
	ck_assert_uint_ge(findings.len, 1);
	ck_assert_uint_eq(findings.at[0].rule, 7);
	ck_assert_str_eq(remedies(&findings.at[0]), "mkdir input/9, move input/x/" ID "-H>input/9/" ID "-H");
	ck_assert(!findings.at[0].damages && findings_verdict(&findings) == VERDICT_REPAIRABLE);
	end();
}
END_TEST

START_TEST(hints_that_no_library_opens_go)
{
	begin(false);
	put("db/retry", "garbage");
	put("db/wait-remote_smtp.pag", "no mark");
	put("db/misc", "");
	look(false);
	ck_assert_str_eq(remedies(only(36, CLASS_GARBAGE, PROBLEM_BAD_HINTS, "db/retry")), "aside db/retry");
	look(true);
	only(36, CLASS_GARBAGE, PROBLEM_BAD_HINTS, "db/retry");
	end();
}
END_TEST

START_TEST(an_id_of_the_future_is_told_once)
{
	begin(false);
	put("input/1zUsW9-0002fS-1c-H", H("1zUsW9-0002fS-1c"));
	put("input/1zUsW9-0002fS-1c-D", D("1zUsW9-0002fS-1c"));
	put("input/1zUsW9-0002fS-1d-H", H("1zUsW9-0002fS-1d"));
	put("input/1zUsW9-0002fS-1d-D", D("1zUsW9-0002fS-1d"));
	look(true);
	ck_assert_uint_eq(findings.len, 1);
	ck_assert_uint_eq(findings.at[0].rule, 38);
	ck_assert_uint_eq(findings.at[0].count, 2);
	ck_assert_int_eq(findings_verdict(&findings), VERDICT_CONSISTENT);
	end();
}
END_TEST

START_TEST(ids_that_this_exim_does_not_see_are_told)
{
	begin(false);
	layout.id_length = EXIM_ID_SHORT;
	put("input/" LONG "-H", H(LONG));
	put("input/" LONG "-D", D(LONG));
	look(true);
	ck_assert_uint_eq(findings.len, 1);
	ck_assert_uint_eq(findings.at[0].rule, 30);
	ck_assert_str_eq(problem_word(findings.at[0].problem), "bad-name");
	end();
}
END_TEST

START_TEST(what_has_no_name_of_exims_is_a_stray)
{
	static const char *const strays[] = { "input/README", "input/" ID, "input/" ID "-X", "input/" ID "-H.bak", "msglog/" ID "-H", "input/hdr.x",
		"input/1xUsW9-0002fS-1_-H" };

	for (size_t i = 0; i < sizeof strays / sizeof strays[0]; i++) {
		begin(false);
		put(strays[i], "x");
		look(true);
		only(2, CLASS_STRAY, PROBLEM_FOREIGN_FILE, strays[i]);
		end();
	}
}
END_TEST

/* ---------------------------------------------------------------- the list of messages */

static void
read_into(struct queue_message *m, const char *path, const char *bytes)
{
	struct queue_memory memory = { bytes, strlen(bytes) };
	struct queue_source source = queue_source_memory(&memory);
	struct queue_content content = { 0 };
	struct entry e = { .bytes = bytes, .len = strlen(bytes), .nlink = 1 };
	struct queue_file f;
	char copy[128];

	snprintf(e.path, sizeof e.path, "%s", path);
	f = file_of(&e, copy, sizeof copy);
	rules_exim.read(&layout, &f, &source, &content, m);
}

START_TEST(a_message_is_header_body_and_journal)
{
	struct queue_message m = { 0 };

	begin(false);
	read_into(&m, "input/" ID "-H", ONE_DONE);
	ck_assert_str_eq(m.state, "deferred");
	read_into(&m, "input/" ID "-D", D(ID));
	read_into(&m, "input/" ID "-J", "b@EXAMPLE.net\nx@y\n");
	ck_assert_str_eq(m.id, ID);
	ck_assert_str_eq(m.state, "active");
	ck_assert_str_eq(m.sender, "a@example.org");
	ck_assert_uint_eq(m.recipients, 2);
	ck_assert_str_eq(m.recipient[0].address, "b@example.net");
	ck_assert(m.recipient[0].done && m.recipient[1].done);
	ck_assert_int_eq(m.arrived, 1795296065);
	ck_assert_uint_eq(m.size, 11 + 1 + 8);
	queue_message_free(&m);
	m = (struct queue_message){ 0 };
	read_into(&m, "input/" ID "-H", HEADER(ID, "-frozen 1795296070\n", "XX\n", "1\nb@c\n"));
	read_into(&m, "input/" ID "-J", "");
	ck_assert_str_eq(m.state, "frozen");
	ck_assert(!m.recipient[0].done);
	queue_message_free(&m);
	end();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("rules_exim");
	TCase *tc = tcase_create("rules");

	tcase_add_test(tc, a_whole_spool_is_quiet);
	tcase_add_test(tc, the_fast_pass_opens_nothing_that_is_not_suspect);
	tcase_add_test(tc, what_a_crash_leaves_of_a_reception_waits);
	tcase_add_test(tc, temporary_files_wait_and_go_when_they_are_old);
	tcase_add_test(tc, what_is_left_of_a_finished_message_is_garbage);
	tcase_add_test(tc, a_log_without_message_is_garbage_when_it_is_old);
	tcase_add_test(tc, a_header_without_body_is_a_loss);
	tcase_add_test(tc, a_body_with_a_log_has_lost_its_header);
	tcase_add_test(tc, a_header_that_does_not_parse_takes_the_message_along);
	tcase_add_test(tc, an_old_header_that_does_not_parse_is_found_before_exim_starts);
	tcase_add_test(tc, an_empty_file_of_an_acknowledged_message_is_told_by_its_size);
	tcase_add_test(tc, a_body_has_the_lines_that_its_header_says);
	tcase_add_test(tc, first_lines_are_the_names);
	tcase_add_test(tc, a_journal_that_is_cut_gets_its_line_end);
	tcase_add_test(tc, a_message_that_was_torn_apart_is_brought_together);
	tcase_add_test(tc, of_two_equal_messages_the_one_with_more_done_stays);
	tcase_add_test(tc, of_two_different_messages_none_stays);
	tcase_add_test(tc, half_a_message_beside_a_whole_one_goes);
	tcase_add_test(tc, a_move_that_was_cut_is_undone_by_its_links);
	tcase_add_test(tc, a_file_in_a_foreign_sub_directory_is_moved_where_exim_looks);
	tcase_add_test(tc, hints_that_no_library_opens_go);
	tcase_add_test(tc, an_id_of_the_future_is_told_once);
	tcase_add_test(tc, ids_that_this_exim_does_not_see_are_told);
	tcase_add_test(tc, what_has_no_name_of_exims_is_a_stray);
	tcase_add_test(tc, a_message_is_header_body_and_journal);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
