/*
 * tests/unit/test_repair.c - plans and steps on a real directory: nothing is lost or written over, whatever the
 * names, and a plan that is cut off anywhere and begun again comes to the same tree.
 */
#include "queuesync/repair.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/harness.h"

#define FILES 7
#define RUN QUEUE_QUARANTINE "/run"

static char root_path[64];
static int root;

static void
make_root(void)
{
	snprintf(root_path, sizeof(root_path), "/tmp/mailpair-repair.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root_path));
	root = open(root_path, O_RDONLY | O_DIRECTORY);
	ck_assert_int_ne(root, -1);
	ck_assert_int_eq(mkdirat(root, "d", 0700), 0);
	ck_assert_int_eq(mkdirat(root, QUEUE_QUARANTINE, 0700), 0);
	ck_assert_int_eq(mkdirat(root, RUN, 0700), 0);
}

static void
empty(const char *sub, bool self)
{
	int fd = openat(root, sub, O_RDONLY | O_DIRECTORY);
	DIR *dir = fd == -1 ? NULL : fdopendir(fd);
	struct dirent *d;

	while (dir != NULL && (d = readdir(dir)) != NULL) {
		char path[600];

		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", sub, d->d_name);
		if (unlinkat(root, path, 0) == -1)
			empty(path, true);
	}
	if (dir != NULL)
		closedir(dir);
	if (self)
		unlinkat(root, sub, AT_REMOVEDIR);
}

static void
drop_root(void)
{
	empty("d", true);
	empty(QUEUE_QUARANTINE, true);
	close(root);
	ck_assert_int_eq(rmdir(root_path), 0);
}

static uint64_t
put(const char *path, const char *text)
{
	int fd = openat(root, path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	struct stat st;

	ck_assert_msg(fd != -1, "%s", path);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	ck_assert_int_eq(fstat(fd, &st), 0);
	close(fd);
	return st.st_ino;
}

static bool
holds(const char *path, const char *text)
{
	char buf[64] = "";
	int fd = openat(root, path, O_RDONLY);

	if (fd == -1)
		return false;
	ck_assert_int_ge(read(fd, buf, sizeof(buf) - 1), 0);
	close(fd);
	return strcmp(buf, text) == 0;
}

static bool
stands(void *arg, const char *path)
{
	struct stat st;

	(void)arg;
	return fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A file for each i named d/i, which wants the name d/to[i]. */
static void
wishes(const int *to, struct findings *f)
{
	for (int i = 0; i < FILES; i++) {
		char path[16], want[16], text[16];
		struct finding *one;
		uint64_t ino;

		snprintf(path, sizeof(path), "d/%d", i);
		snprintf(want, sizeof(want), "d/%d", to[i]);
		snprintf(text, sizeof(text), "file %d", i);
		ino = put(path, text);
		if (to[i] == i)
			continue;
		one = finding_add(f, 8, CLASS_REPAIR, PROBLEM_NAME_INODE, ACK_YES, path, NULL, "a wrong name");
		finding_remedy(one, REMEDY_MOVE, path, want, ino);
	}
}

/* All permutations of FILES, and shifts to names that are free, by a number. */
static void
permutation(unsigned int number, int *to)
{
	int left[FILES];

	for (int i = 0; i < FILES; i++)
		left[i] = i;
	for (int i = 0; i < FILES; i++) {
		unsigned int n = (unsigned int)(FILES - i), at = number % n;

		number /= n;
		to[i] = left[at];
		memmove(left + at, left + at + 1, (n - at - 1) * sizeof(*left));
	}
}

START_TEST(files_that_want_each_others_names_get_them_wherever_the_run_is_cut_off)
{
	int to[FILES];
	struct findings f = { 0 };
	struct plan plan;
	struct err err = { 0 };
	size_t cut, changed = 0;

	make_root();
	permutation((unsigned int)_i * 97, to);
	wishes(to, &f);
	plan_make(&f, RUN, stands, NULL, &plan);
	ck_assert_uint_eq(plan.refused, 0);
	ck_assert_uint_eq(plan.left, 0);
	cut = plan.steps == 0 ? 0 : (size_t)_i % plan.steps;
	for (size_t i = 0; i < cut; i++)
		ck_assert_int_eq(step_do(root, &plan.step[i], false, &err), STEP_DONE);
	ck_assert_msg(steps_do(root, &plan, cut != 0, &changed, &err), "%s", err.text);
	ck_assert_uint_eq(changed, 0);
	for (int i = 0; i < FILES; i++) {
		char want[16], text[16];

		snprintf(want, sizeof(want), "d/%d", to[i]);
		snprintf(text, sizeof(text), "file %d", i);
		ck_assert_msg(holds(want, text), "%s is not in %s", text, want);
	}
	plan_free(&plan);
	findings_free(&f);
	drop_root();
}
END_TEST

START_TEST(a_name_that_is_taken_by_a_file_that_stays_is_never_written_over)
{
	struct findings f = { 0 };
	struct finding *one;
	struct plan plan;
	struct plan_step *s;
	struct err err = { 0 };
	uint64_t ino;

	make_root();
	ino = put("d/1", "one");
	put("d/2", "two");
	one = finding_add(&f, 8, CLASS_REPAIR, PROBLEM_NAME_INODE, ACK_YES, "d/1", NULL, "a wrong name");
	finding_remedy(one, REMEDY_MOVE, "d/1", "d/2", ino);
	plan_make(&f, RUN, stands, NULL, &plan);
	ck_assert_uint_eq(plan.steps, 0);
	ck_assert_uint_eq(plan.refused, 1);
	ck_assert(f.at[0].damages);
	/* and the step itself, had the other file come later, does not either */
	s = plan_add(&plan, REMEDY_MOVE, "d/1", "d/2");
	s->ino = ino;
	ck_assert_int_eq(step_do(root, s, false, &err), STEP_CHANGED);
	s->kind = REMEDY_LINK;
	ck_assert_int_eq(step_do(root, s, false, &err), STEP_CHANGED);
	ck_assert(holds("d/1", "one"));
	ck_assert(holds("d/2", "two"));
	plan_free(&plan);
	findings_free(&f);
	drop_root();
}
END_TEST

START_TEST(a_file_that_was_replaced_since_it_was_judged_is_left_alone)
{
	static const enum remedy_kind kinds[] = { REMEDY_MOVE, REMEDY_LINK, REMEDY_MODE, REMEDY_OWNER, REMEDY_APPEND, REMEDY_BYTE,
		REMEDY_QUARANTINE };
	struct plan plan = { 0 };
	struct plan_step *s;
	struct err err = { 0 };

	make_root();
	s = plan_add(&plan, kinds[_i], "d/1", kinds[_i] == REMEDY_QUARANTINE ? RUN "/0" : "d/2");
	s->ino = put("d/1", "one") + 1;
	s->size = 3;
	s->mode = 0644;
	s->uid = s->gid = 12345;
	s->bytes[0] = 'o';
	s->bytes[1] = 'X';
	s->len = 2;
	ck_assert_int_eq(step_do(root, s, false, &err), STEP_CHANGED);
	ck_assert(holds("d/1", "one"));
	plan_free(&plan);
	drop_root();
}
END_TEST

START_TEST(a_symbolic_link_on_the_way_is_not_followed)
{
	struct plan plan = { 0 };
	struct plan_step *s;
	struct err err = { 0 };

	make_root();
	ck_assert_int_eq(mkdirat(root, "d/real", 0700), 0);
	ck_assert_int_eq(symlinkat("real", root, "d/link"), 0);
	s = plan_add(&plan, REMEDY_MOVE, "d/link/1", "d/2");
	s->ino = put("d/real/1", "one");
	ck_assert_int_eq(step_do(root, s, false, &err), STEP_CHANGED);
	ck_assert(holds("d/real/1", "one"));
	free(s->path);
	s->path = strdup("../etc/passwd");
	ck_assert_int_ne(step_do(root, s, false, &err), STEP_DONE);
	plan_free(&plan);
	drop_root();
}
END_TEST

START_TEST(bytes_are_put_once_however_often_the_run_is_begun_again)
{
	struct plan plan = { 0 };
	struct plan_step *s;
	struct err err = { 0 };
	uint64_t ino;

	make_root();
	ino = put("d/1", "addr");
	s = plan_add(&plan, REMEDY_APPEND, "d/1", NULL);
	s->ino = ino;
	s->size = 4;
	s->bytes[0] = '\n';
	s->len = 1;
	s = plan_add(&plan, REMEDY_BYTE, "d/1", NULL);
	s->ino = ino;
	s->offset = 0;
	s->bytes[0] = 'a';
	s->bytes[1] = 'D';
	s->len = 2;
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(step_do(root, &plan.step[0], i > 0, &err), i == 0 ? STEP_DONE : STEP_ALREADY);
		ck_assert_int_eq(step_do(root, &plan.step[1], i > 0, &err), i == 0 ? STEP_DONE : STEP_ALREADY);
	}
	ck_assert(holds("d/1", "Dddr\n"));
	plan_free(&plan);
	drop_root();
}
END_TEST

START_TEST(what_goes_into_the_quarantine_goes_as_it_is_and_comes_back)
{
	struct findings f = { 0 };
	struct finding *one;
	struct plan plan, back;
	struct err err = { 0 };
	enum run_state state;
	char run[RUN_NAME_MAX], path[80];
	size_t changed = 0;
	uint64_t ino;

	make_root();
	ino = put("d/odd\tname%\n", "mail");
	one = finding_add(&f, 12, CLASS_QUARANTINE, PROBLEM_BAD_RECORD, ACK_YES, "d/odd\tname%\n", NULL, "cut off\nat 7");
	finding_remedy(one, REMEDY_MODE, "d/odd\tname%\n", NULL, ino)->mode = 0644;
	finding_remedy(one, REMEDY_QUARANTINE, "d/odd\tname%\n", NULL, ino);
	ck_assert_msg(quarantine_begin(root, run, &err), "%s", err.text);
	ck_assert(quarantine_state(root, run, &state, &err));
	ck_assert_int_eq(state, RUN_EMPTY);
	plan_make(&f, quarantine_path(run, path), stands, NULL, &plan);
	ck_assert_uint_eq(plan.steps, 1);
	ck_assert_msg(quarantine_manifest(root, run, "qmail", &plan, &f, &err), "%s", err.text);
	ck_assert(quarantine_state(root, run, &state, &err));
	ck_assert_int_eq(state, RUN_BEGUN);
	ck_assert(steps_do(root, &plan, false, &changed, &err));
	ck_assert(!stands(NULL, "d/odd\tname%\n"));
	ck_assert(quarantine_mark(root, run, "done", "1\n", &err));
	ck_assert_msg(quarantine_read(root, run, &back, &err), "%s", err.text);
	ck_assert_uint_eq(back.steps, 1);
	ck_assert_str_eq(back.step[0].path, "d/odd\tname%\n");
	ck_assert_uint_eq(back.step[0].ino, ino);
	ck_assert(holds(back.step[0].to, "mail"));
	plan_free(&plan);
	plan_free(&back);
	findings_free(&f);
	drop_root();
}
END_TEST

/* Cut after each of its bytes: only the whole text is a manifest. */
START_TEST(a_manifest_that_is_not_whole_is_none)
{
	struct plan plan = { 0 }, back;
	struct findings f = { 0 };
	struct plan_step *s;
	struct err err = { 0 };
	char run[RUN_NAME_MAX], dir[80], path[128];
	struct stat st;

	make_root();
	ck_assert(quarantine_begin(root, run, &err));
	s = plan_add(&plan, REMEDY_MODE, "d/1", NULL);
	s->ino = 7;
	ck_assert(quarantine_manifest(root, run, "exim", &plan, &f, &err));
	snprintf(path, sizeof(path), "%s/%s/manifest", root_path, quarantine_path(run, dir));
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert(quarantine_read(root, run, &back, &err));
	plan_free(&back);
	for (off_t len = st.st_size - 1; len >= 0; len--) {
		enum run_state state;

		ck_assert_int_eq(truncate(path, len), 0);
		ck_assert(!quarantine_read(root, run, &back, &err));
		ck_assert(quarantine_state(root, run, &state, &err));
		ck_assert_int_eq(state, RUN_EMPTY);
	}
	plan_free(&plan);
	drop_root();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("repair");
	TCase *tc = tcase_create("steps");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, files_that_want_each_others_names_get_them_wherever_the_run_is_cut_off, 0, 60);
	tcase_add_test(tc, a_name_that_is_taken_by_a_file_that_stays_is_never_written_over);
	tcase_add_loop_test(tc, a_file_that_was_replaced_since_it_was_judged_is_left_alone, 0, 7);
	tcase_add_test(tc, a_symbolic_link_on_the_way_is_not_followed);
	tcase_add_test(tc, bytes_are_put_once_however_often_the_run_is_begun_again);
	tcase_add_test(tc, what_goes_into_the_quarantine_goes_as_it_is_and_comes_back);
	tcase_add_test(tc, a_manifest_that_is_not_whole_is_none);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
