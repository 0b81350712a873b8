/*
 * tests/unit/test_journal_spoilt.c - laws of common/journal.h about databases that are damaged, cut, somebody else's, or locked.
 */
#include "tests/unit/journal_box.h"

/* Open for writing, and mend what is spoilt. */
static struct journal *
must_mend(bool *ret_moved)
{
	struct journal *j = NULL;

	ck_assert_msg(journal_open(DB, true, &j, ret_moved, &err), "%s", err.text);
	return j;
}

/* It was moved aside, is told so by the first entry of the new one, and the next open finds nothing wrong. */
static void
expect_begun_anew(size_t aside, const char *why)
{
	struct journal_event e = event(JOURNAL_EVENT, 1, "x");
	bool moved = false;
	struct journal *j = must_mend(&moved);
	char newest[256], said[sizeof(err.text)];
	struct list l;

	ck_assert(moved);
	snprintf(said, sizeof(said), "%s", err.text);
	ck_assert_msg(strstr(said, why) != NULL, "%s", said);
	ck_assert_uint_eq(journal_aside(DB, newest, sizeof(newest)), aside);
	ck_assert_msg(strstr(said, newest) != NULL, "%s", said);
	must_add(j, &e);
	l = walk(j, ALL, 9);
	ck_assert_int_eq(l.len, 2);
	ck_assert_str_eq(l.e[1].name, "journal begun anew");
	ck_assert(!l.e[1].ok);
	ck_assert_str_eq(l.e[1].text, said);
	journal_close(j);
	j = must_mend(&moved);
	ck_assert(!moved);
	journal_close(j);
}

START_TEST(a_file_that_is_no_database_is_moved_aside_and_begun_anew)
{
	struct journal *j = NULL;
	char newest[256] = "?";

	clean();
	journal_close(must_open(true));
	ck_assert_uint_eq(journal_aside(DB, newest, sizeof(newest)), 0);
	ck_assert_str_eq(newest, "");
	overwrite(0, 8192);
	ck_assert(!journal_open(DB, false, &j, NULL, &err));	/* a reader moves nothing */
	ck_assert(!journal_open(DB, true, &j, NULL, &err));	/* nor does who did not ask for it */
	ck_assert_int_eq(access(DB, F_OK), 0);
	ck_assert_uint_eq(matching(DB ".corrupt-*", false), 0);
	expect_begun_anew(1, "not a database");
	ck_assert_uint_eq(matching(DB ".corrupt-20[0-9][0-9][01][0-9][0-3][0-9]T[0-2][0-9][0-5][0-9][0-5][0-9]Z", false), 1);
}
END_TEST

START_TEST(a_file_cut_at_any_length_is_begun_anew_or_whole)
{
	static const off_t cuts[] = { 0, 1, 15, 16, 99, 100, 511, 512, 4095, 4096, 8192, 12288 };
	struct journal_event e = event(JOURNAL_EVENT, 1, "x");

	for (size_t c = 0; c < sizeof(cuts) / sizeof(cuts[0]); c++) {
		struct journal *j;
		bool ok, moved = false;

		clean();
		j = must_open(true);
		for (int i = 0; i < 50; i++)
			must_add(j, &e);
		journal_close(j);
		ck_assert_int_eq(truncate(DB, cuts[c]), 0);
		j = must_mend(&moved);
		ok = journal_add(j, &e, &err);
		if (!ok) {
			ck_assert_msg(journal_spoilt(j), "cut to %d: %s", (int)cuts[c], err.text);
			ck_assert_msg(journal_renew(&j, &err), "%s", err.text);
			moved = true;
		}
		/* what was there is there, or it is said that it is not */
		ck_assert_msg(moved || walk(j, ALL, 100).len == 51, "cut to %d bytes in silence", (int)cuts[c]);
		ck_assert_uint_eq(journal_aside(DB, NULL, 0), moved);
		must_add(j, &e);
		journal_close(j);
	}
}
END_TEST

START_TEST(all_three_files_of_a_spoilt_one_are_kept)
{
	struct journal_event e = event(JOURNAL_EVENT, 1, "x");
	char newest[200], path[256];
	struct journal *j;
	bool moved = false;
	struct stat st;
	off_t was;

	clean();
	if (fork() == 0) {			/* killed: its log stays as it is */
		j = must_open(true);
		must_add(j, &e);
		by_hand("DROP TABLE value");
		kill(getpid(), SIGKILL);
	}
	wait(NULL);
	ck_assert_int_eq(stat(DB "-wal", &st), 0);
	was = st.st_size;
	ck_assert_int_gt(was, 0);
	journal_close(must_mend(&moved));
	ck_assert(moved);
	journal_aside(DB, newest, sizeof(newest));
	snprintf(path, sizeof(path), "%s-wal", newest);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_size, was);
	snprintf(path, sizeof(path), "%s-shm", newest);
	ck_assert_int_eq(access(path, F_OK), 0);
	ck_assert_uint_eq(matching(DB "*", false), 6);
}
END_TEST

START_TEST(nothing_that_was_moved_aside_is_ever_overwritten_and_not_more_than_some_are_kept)
{
	struct journal *j = NULL;
	bool moved = false;

	clean();
	for (size_t i = 1; i <= JOURNAL_ASIDE_MAX; i++) {	/* within the same second */
		journal_close(must_open(true));
		overwrite(0, 8192);
		expect_begun_anew(i, "not a database");
	}
	overwrite(0, 8192);
	ck_assert(!journal_open(DB, true, &j, &moved, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "remove them"));
	ck_assert_int_eq(access(DB, F_OK), 0);
	ck_assert_uint_eq(journal_aside(DB, NULL, 0), JOURNAL_ASIDE_MAX);
}
END_TEST

/* Until the damage shows. */
static void
write_until_it_fails(struct journal *j)
{
	struct journal_event e = event(JOURNAL_EVENT, 1, "x");
	bool ok = true;

	for (int i = 0; i < 50 && ok; i++)
		ok = journal_add(j, &e, &err);
	ck_assert(!ok);
	ck_assert(journal_spoilt(j));
}

/* All but the first page. */
static void
damage_pages(void)
{
	struct journal_event e = event(JOURNAL_EVENT, 1, "x");
	struct journal *j;
	struct stat st;

	clean();
	j = must_open(true);
	ck_assert(journal_begin(j, &err));
	for (int i = 0; i < 500; i++)
		must_add(j, &e);
	ck_assert(journal_end(j, &err));
	journal_close(j);
	unlink(DB "-wal");
	stat(DB, &st);
	overwrite(4096, st.st_size - 4096 < 65536 ? (size_t)st.st_size - 4096 : 65536);
}

START_TEST(damage_found_while_writing_is_told_and_can_be_renewed)
{
	struct journal_event e = event(JOURNAL_EVENT, 1, "x");
	struct journal *j;
	struct list l;

	damage_pages();
	j = must_open(true);
	ck_assert(!journal_spoilt(j));
	write_until_it_fails(j);
	ck_assert_msg(journal_renew(&j, &err), "%s", err.text);
	ck_assert_ptr_nonnull(strstr(err.text, ".corrupt-20"));
	must_add(j, &e);
	l = walk(j, ALL, 9);
	ck_assert_int_eq(l.len, 2);
	ck_assert_str_eq(l.e[1].name, "journal begun anew");
	journal_close(j);
	ck_assert_uint_eq(journal_aside(DB, NULL, 0), 1);
}
END_TEST

START_TEST(what_another_process_has_moved_aside_is_not_moved_again)
{
	struct journal_event e = event(JOURNAL_EVENT, 1, "x");
	struct journal *first, *late;

	damage_pages();
	first = must_open(true);
	late = must_open(true);
	write_until_it_fails(first);
	write_until_it_fails(late);
	ck_assert_msg(journal_renew(&first, &err), "%s", err.text);
	must_add(first, &e);
	ck_assert_msg(journal_renew(&late, &err), "%s", err.text);
	must_add(late, &e);
	ck_assert_int_eq(walk(first, ALL, 9).len, 3);
	ck_assert_uint_eq(journal_aside(DB, NULL, 0), 1);
	journal_close(late);
	journal_close(first);
}
END_TEST

START_TEST(tables_that_are_not_ours_are_moved_aside_and_begun_anew)
{
	static const struct { const char *sql, *why; } ways[] = {
		{ "DROP TABLE event", "no such table" },
		{ "DROP TABLE value", "no such table" },
		{ "ALTER TABLE event RENAME COLUMN took_ms TO took", "took_ms" },
		{ "PRAGMA user_version = -5", "version" },
		{ "PRAGMA user_version = 0", "already exists" },
	};

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		clean();
		journal_close(must_open(true));
		by_hand(ways[i].sql);
		expect_begun_anew(1, ways[i].why);
	}
}
END_TEST

START_TEST(a_journal_that_cannot_be_written_is_told_without_one_being_made)
{
	pid_t pid;
	uint64_t began;

	clean();
	ck_assert(journal_writable(DB, &err));
	ck_assert_int_ne(access(DB, F_OK), 0);
	journal_close(must_open(true));
	ck_assert_msg(journal_writable(DB, &err), "%s", err.text);
	pid = locker(5000);
	began = clock_mono_ms();
	ck_assert(!journal_writable(DB, &err));
	ck_assert_int_eq(err.sys, EBUSY);
	ck_assert_uint_lt(clock_mono_ms() - began, 2000);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	ck_assert_msg(journal_writable(DB, &err), "%s", err.text);
	overwrite(0, 100);
	ck_assert(!journal_writable(DB, &err));
	ck_assert_uint_eq(journal_aside(DB, NULL, 0), 0);
	clean();
	ck_assert_int_eq(mkdir(DB, 0700), 0);
	ck_assert(!journal_writable(DB, &err));
	rmdir(DB);
}
END_TEST

START_TEST(a_database_of_a_newer_version_is_refused_and_left_alone)
{
	struct journal *j = NULL;
	uint8_t version[4] = { 0, 0, 0, 99 };
	int fd;

	clean();
	journal_close(must_open(true));
	fd = open(DB, O_WRONLY);
	ck_assert_int_eq(pwrite(fd, version, 4, 60), 4);	/* user_version, fileformat.html 1.3 */
	close(fd);
	unlink(DB "-wal");
	ck_assert(!journal_open(DB, true, &j, NULL, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "newer"));
	ck_assert_ptr_null(j);
	ck_assert_int_eq(access(DB, F_OK), 0);
	ck_assert_uint_eq(matching(DB ".corrupt*", false), 0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("journal_spoilt");
	TCase *t = tcase_create("journal_spoilt");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_file_that_is_no_database_is_moved_aside_and_begun_anew);
	tcase_add_test(t, a_file_cut_at_any_length_is_begun_anew_or_whole);
	tcase_add_test(t, all_three_files_of_a_spoilt_one_are_kept);
	tcase_add_test(t, nothing_that_was_moved_aside_is_ever_overwritten_and_not_more_than_some_are_kept);
	tcase_add_test(t, damage_found_while_writing_is_told_and_can_be_renewed);
	tcase_add_test(t, what_another_process_has_moved_aside_is_not_moved_again);
	tcase_add_test(t, tables_that_are_not_ours_are_moved_aside_and_begun_anew);
	tcase_add_test(t, a_journal_that_cannot_be_written_is_told_without_one_being_made);
	tcase_add_test(t, a_database_of_a_newer_version_is_refused_and_left_alone);
	suite_add_tcase(s, t);
	return boxed(s);
}
