/*
 * tests/unit/test_journal.c - laws of common/journal.h, on real databases; what damage does is test_journal_spoilt.c's.
 */
#include <grp.h>

#include "tests/unit/journal_box.h"

START_TEST(what_was_added_comes_back_whole_and_newest_first)
{
	struct journal_event a = event(JOURNAL_EVENT, 5000, "peer-silent"),
	    b = event(JOURNAL_TRANSITION, 4000, "takeover");	/* the clock went back: still newer */
	struct journal *j;
	struct list l;

	clean();
	j = must_open(true);
	b.tenure = UINT64_MAX;
	b.took_ms = UINT32_MAX;
	b.ok = false;
	snprintf(b.text, sizeof(b.text), "it's \"quoted\"; DROP TABLE event; --");
	must_add(j, &a);
	must_add(j, &b);
	journal_close(j);
	j = must_open(false);
	l = walk(j, ALL, 10);
	ck_assert_int_eq(l.len, 2);
	ck_assert(same(&l.e[0], &b));
	ck_assert(same(&l.e[1], &a));
	l = walk(j, 1u << JOURNAL_EVENT, 10);
	ck_assert_int_eq(l.len, 1);
	ck_assert_str_eq(l.e[0].name, "peer-silent");
	ck_assert_int_eq(walk(j, ALL, 1).len, 1);
	ck_assert_int_eq(walk(j, 0, 10).len, 0);
	l = (struct list){ .most = 1 };
	ck_assert(journal_walk(j, ALL, 10, collect, &l, &err));
	ck_assert_int_eq(l.len, 1);		/* the visitor had enough */
	journal_close(j);
}
END_TEST

START_TEST(steps_of_one_transition_come_oldest_first_and_no_others)
{
	static const char *const names[] = { "storage", "bind", "mta" };
	struct journal *j;
	struct list l = { 0 };

	clean();
	j = must_open(true);
	for (int i = 0; i < 3; i++) {
		struct journal_event e = event(JOURNAL_STEP, 100, names[i]), other = e;

		e.transition = 77;
		other.transition = i == 0 ? 0 : 78;
		must_add(j, &e);
		must_add(j, &other);
	}
	ck_assert(journal_steps(j, 77, collect, &l, &err));
	ck_assert_int_eq(l.len, 3);
	for (int i = 0; i < 3; i++)
		ck_assert_str_eq(l.e[i].name, names[i]);
	l.len = 0;
	ck_assert(journal_steps(j, 0, collect, &l, &err));
	ck_assert_int_eq(l.len, 0);
	journal_close(j);
}
END_TEST

START_TEST(values_are_kept_replaced_and_told_apart_from_none)
{
	char buf[32] = "before";
	struct journal *j;

	clean();
	j = must_open(true);
	ck_assert(!journal_get(j, "fence-test mx1", buf, sizeof(buf), &err));
	ck_assert_int_eq(err.sys, ENOENT);
	ck_assert_str_eq(buf, "before");
	ck_assert(journal_put(j, "fence-test mx1", "2026-01-01T00:00:00Z", &err));
	ck_assert(journal_put(j, "fence-test mx1", "2026-11-21T18:00:31Z", &err));
	journal_close(j);
	j = must_open(false);
	ck_assert(journal_get(j, "fence-test mx1", buf, sizeof(buf), &err));
	ck_assert_str_eq(buf, "2026-11-21T18:00:31Z");
	ck_assert(!journal_put(j, "a", "b", &err));
	journal_close(j);
}
END_TEST

START_TEST(a_batch_is_there_whole_or_not_at_all_when_its_writer_is_killed)
{
	struct journal_event e = event(JOURNAL_STATE, 1, "kept"), lost = event(JOURNAL_STATE, 2, "lost");
	struct journal *j;
	struct list l;
	pid_t pid;

	clean();
	if ((pid = fork()) == 0) {
		j = must_open(true);
		journal_begin(j, &err);
		journal_add(j, &e, &err);
		journal_add(j, &e, &err);
		journal_end(j, &err);
		journal_begin(j, &err);
		journal_add(j, &lost, &err);
		kill(getpid(), SIGKILL);
	}
	waitpid(pid, NULL, 0);
	j = must_open(true);
	l = walk(j, ALL, 10);
	ck_assert_int_eq(l.len, 2);
	ck_assert_str_eq(l.e[0].name, "kept");
	ck_assert_str_eq(l.e[1].name, "kept");
	journal_close(j);
}
END_TEST

START_TEST(a_locked_database_is_waited_for_but_not_for_ever)
{
	struct journal_event e = event(JOURNAL_EVENT, 1, "x");
	struct journal *j;
	uint64_t began;
	pid_t pid;

	clean();
	j = must_open(true);
	pid = locker(300);
	must_add(j, &e);
	waitpid(pid, NULL, 0);
	pid = locker(5000);
	began = clock_mono_ms();
	ck_assert(!journal_add(j, &e, &err));
	ck_assert_int_eq(err.sys, EBUSY);
	ck_assert_uint_lt(clock_mono_ms() - began, 3500);
	ck_assert_int_eq(walk(j, ALL, 9).len, 1);	/* readers are not held up meanwhile */
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	must_add(j, &e);
	journal_close(j);
}
END_TEST

START_TEST(the_file_belongs_to_the_group_of_its_directory_and_to_no_others)
{
	struct stat st, dir;

	clean();
	umask(077);
	if (geteuid() == 0)
		ck_assert_int_eq(chown(".", 0, 4711), 0);
	else
		printf("skip: not root, the group is not tested\n");
	journal_close(must_open(true));
	ck_assert_int_eq(stat(DB, &st), 0);
	ck_assert_int_eq(stat(".", &dir), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0640);
	ck_assert_uint_eq(st.st_gid, dir.st_gid);
}
END_TEST

START_TEST(members_of_the_group_can_read_while_nobody_writes_and_while_someone_does)
{
	struct journal_event e = event(JOURNAL_EVENT, 1, "x");
	struct journal *j;
	gid_t group = 4711;
	int status;
	pid_t pid;

	if (geteuid() != 0) {
		printf("skip: not root, reading as another user is not tested\n");
		return;
	}
	clean();
	ck_assert_int_eq(chown(".", 0, group), 0);
	ck_assert_int_eq(chmod(".", 0750), 0);
	j = must_open(true);
	must_add(j, &e);
	for (int open_too = 1; open_too >= 0; open_too--) {
		if (!open_too)
			journal_close(j);
		if ((pid = fork()) == 0) {
			if (setgroups(1, &group) == -1 || setgid(65534) == -1 || setuid(65534) == -1)
				_exit(2);
			if (!journal_open(DB, false, &j, NULL, &err)) {
				fprintf(stderr, "%s\n", err.text);
				_exit(3);
			}
			_exit(walk(j, ALL, 9).len == 1 ? 0 : 4);
		}
		waitpid(pid, &status, 0);
		ck_assert_int_eq(WEXITSTATUS(status), 0);
	}
}
END_TEST

START_TEST(pruning_removes_the_old_and_keeps_the_new_and_the_file_stays_small)
{
	struct journal_event e = event(JOURNAL_EVENT, 0, "x");
	struct journal *j;
	struct stat st;
	struct list l;

	clean();
	j = must_open(true);
	for (int round = 0; round < 10; round++) {
		ck_assert(journal_begin(j, &err));
		for (int i = 0; i < 1000; i++) {
			e.wall_ms = (uint64_t)(round * 1000 + i);
			must_add(j, &e);
		}
		ck_assert(journal_end(j, &err));
		ck_assert_msg(journal_prune(j, (uint64_t)(round * 1000 + 990), &err), "%s", err.text);
	}
	l = walk(j, ALL, 100);
	ck_assert_int_eq(l.len, 10);
	ck_assert_uint_eq(l.e[0].wall_ms, 9999);
	ck_assert_uint_eq(l.e[7].wall_ms, 9992);
	journal_close(j);
	stat(DB, &st);
	ck_assert_int_lt(st.st_size, 64 * 1024);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("journal");
	TCase *t = tcase_create("journal");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, what_was_added_comes_back_whole_and_newest_first);
	tcase_add_test(t, steps_of_one_transition_come_oldest_first_and_no_others);
	tcase_add_test(t, values_are_kept_replaced_and_told_apart_from_none);
	tcase_add_test(t, a_batch_is_there_whole_or_not_at_all_when_its_writer_is_killed);
	tcase_add_test(t, a_locked_database_is_waited_for_but_not_for_ever);
	tcase_add_test(t, the_file_belongs_to_the_group_of_its_directory_and_to_no_others);
	tcase_add_test(t, members_of_the_group_can_read_while_nobody_writes_and_while_someone_does);
	tcase_add_test(t, pruning_removes_the_old_and_keeps_the_new_and_the_file_stays_small);
	suite_add_tcase(s, t);
	return boxed(s);
}
