/*
 * tests/unit/test_journal.c - laws of common/journal.h, on real databases, some of them spoilt.
 */
#include "common/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/unit/harness.h"

#define DB "journal.db"

static struct err err;

/* How many files match; they are removed on request. */
static size_t
matching(const char *pattern, bool removed)
{
	glob_t g = { 0 };
	size_t n;

	glob(pattern, 0, NULL, &g);
	for (size_t i = 0; removed && i < g.gl_pathc; i++)
		unlink(g.gl_pathv[i]);
	n = g.gl_pathc;
	globfree(&g);
	return n;
}

/* Every test begins without a database. */
static void
clean(void)
{
	matching(DB "*", true);
}

static struct journal *
must_open(bool write)
{
	struct journal *j = NULL;

	ck_assert_msg(journal_open(DB, write, &j, NULL, &err), "%s", err.text);
	return j;
}

static struct journal_event
event(enum journal_kind kind, uint64_t wall_ms, const char *name)
{
	struct journal_event e = { .kind = kind, .wall_ms = wall_ms, .tenure = 3, .took_ms = 40, .ok = true,
		.from = "mx1", .to = "mx2", .text = "peer is certainly off" };

	snprintf(e.name, sizeof(e.name), "%s", name);
	return e;
}

static void
must_add(struct journal *j, const struct journal_event *e)
{
	ck_assert_msg(journal_add(j, e, &err), "%s", err.text);
}

struct list {
	int			len, most;
	struct journal_event	e[8];
};

static bool
collect(void *arg, const struct journal_event *e)
{
	struct list *l = arg;

	if (l->len < 8)
		l->e[l->len] = *e;
	return ++l->len != l->most;
}

static struct list
walk(struct journal *j, unsigned int kinds, size_t n)
{
	struct list l = { 0 };

	ck_assert_msg(journal_walk(j, kinds, n, collect, &l, &err), "%s", err.text);
	return l;
}

/* Member by member: there are gaps between them. */
static bool
same(const struct journal_event *a, const struct journal_event *b)
{
	return a->kind == b->kind && a->wall_ms == b->wall_ms && a->tenure == b->tenure &&
	    a->transition == b->transition && a->took_ms == b->took_ms && a->ok == b->ok &&
	    strcmp(a->name, b->name) == 0 && strcmp(a->from, b->from) == 0 &&
	    strcmp(a->to, b->to) == 0 && strcmp(a->text, b->text) == 0;
}

#define ALL ((1u << JOURNAL_KIND_COUNT) - 1)

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

/* Holds the database for ms, after it has said so. */
static pid_t
locker(uint64_t ms)
{
	int fd[2];
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe(fd), 0);
	if ((pid = fork()) == 0) {
		struct journal *j = must_open(true);
		uint64_t until;

		journal_begin(j, &err);
		until = clock_mono_ms() + ms;
		if (write(fd[1], "x", 1) != 1)
			_exit(1);
		while (clock_mono_ms() < until)
			sched_yield();
		journal_end(j, &err);
		_exit(0);
	}
	ck_assert_int_eq(read(fd[0], &byte, 1), 1);
	close(fd[0]);
	close(fd[1]);
	return pid;
}

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

static void
overwrite(off_t at, size_t len)
{
	char junk[65536];
	int fd = open(DB, O_WRONLY);

	memset(junk, 0x5a, sizeof(junk));
	ck_assert_int_eq(pwrite(fd, junk, len, at), (ssize_t)len);
	close(fd);
}

START_TEST(a_file_that_is_no_database_is_moved_aside_and_begun_anew)
{
	struct journal *j = NULL;
	bool moved = false;

	clean();
	j = must_open(true);
	journal_close(j);
	unlink(DB "-wal");
	overwrite(0, 8192);
	ck_assert(!journal_open(DB, false, &j, NULL, &err));	/* a reader moves nothing */
	ck_assert_int_eq(access(DB, F_OK), 0);
	ck_assert_msg(journal_open(DB, true, &j, &moved, &err), "%s", err.text);
	ck_assert(moved);
	ck_assert_int_eq(walk(j, ALL, 9).len, 0);
	journal_close(j);
	ck_assert_uint_eq(matching(DB ".corrupt-20*Z", false), 1);
	ck_assert(journal_open(DB, true, &j, &moved, &err));
	ck_assert(!moved);
	journal_close(j);
}
END_TEST

START_TEST(damage_found_while_writing_is_told_and_mended_by_the_next_open)
{
	struct journal_event e = event(JOURNAL_EVENT, 1, "x");
	struct journal *j;
	struct stat st;
	bool ok = true, moved = true;

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
	j = must_open(true);			/* the first page is whole */
	for (int i = 0; i < 50 && ok; i++)
		ok = journal_add(j, &e, &err);
	ck_assert(!ok);
	journal_close(j);
	j = must_open(true);
	must_add(j, &e);
	ck_assert_int_eq(walk(j, ALL, 9).len, 1);
	journal_close(j);
	ck_assert(journal_open(DB, true, &j, &moved, &err));
	ck_assert(!moved);
	journal_close(j);
	ck_assert_uint_eq(matching(DB ".corrupt-20*Z", false), 1);
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
	char dir[] = "/tmp/test_journal.XXXXXX";
	int failed;

	if (mkdtemp(dir) == NULL || chdir(dir) == -1)
		return 1;
	tcase_set_timeout(t, 60);
	tcase_add_test(t, what_was_added_comes_back_whole_and_newest_first);
	tcase_add_test(t, steps_of_one_transition_come_oldest_first_and_no_others);
	tcase_add_test(t, values_are_kept_replaced_and_told_apart_from_none);
	tcase_add_test(t, a_batch_is_there_whole_or_not_at_all_when_its_writer_is_killed);
	tcase_add_test(t, a_locked_database_is_waited_for_but_not_for_ever);
	tcase_add_test(t, a_file_that_is_no_database_is_moved_aside_and_begun_anew);
	tcase_add_test(t, damage_found_while_writing_is_told_and_mended_by_the_next_open);
	tcase_add_test(t, a_database_of_a_newer_version_is_refused_and_left_alone);
	tcase_add_test(t, the_file_belongs_to_the_group_of_its_directory_and_to_no_others);
	tcase_add_test(t, members_of_the_group_can_read_while_nobody_writes_and_while_someone_does);
	tcase_add_test(t, pruning_removes_the_old_and_keeps_the_new_and_the_file_stays_small);
	suite_add_tcase(s, t);
	failed = unit_main(s);
	clean();
	if (chdir("/") == -1 || rmdir(dir) == -1)
		return 1;
	return failed;
}
