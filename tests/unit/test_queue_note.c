/*
 * tests/unit/test_queue_note.c - directories that a check has read are taken as known only while they are the very same. No mail
 * program is needed.
 */
#include "mta/queue_note.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/unit/harness.h"

static char top[64], root[80], run_dir[80], in[96];

static void
setup(void)
{
	snprintf(top, sizeof top, "/tmp/mailpair-note-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	snprintf(root, sizeof root, "%s/queue", top);
	snprintf(run_dir, sizeof run_dir, "%s/run", top);
	snprintf(in, sizeof in, "%s/in", root);
	ck_assert_int_eq(mkdir(root, 0700) | mkdir(run_dir, 0700) | mkdir(in, 0700), 0);
}

static void
teardown(void)
{
	char path[160];

	snprintf(path, sizeof path, "%s/file", in);
	unlink(path);
	rmdir(in);
	rmdir(root);
	queue_note_drop(run_dir, root);
	rmdir(run_dir);
	rmdir(top);
}

static struct stat
state(void)
{
	struct stat st;

	ck_assert_int_eq(stat(in, &st), 0);
	return st;
}

/* As if it were read a second from now, so that nothing is too fresh. */
static void
keep(void)
{
	struct stat st = state();
	struct queue_note note = { 0 };
	struct err err = { 0 };

	queue_note_add(&note, "in", &st, clock_wall_ms() + 1000);
	ck_assert_msg(queue_note_write(&note, run_dir, root, &err), "%s", err.text);
	queue_note_free(&note);
}

static bool
is_known(const char *path)
{
	struct queue_note note;
	struct stat st = state();
	bool same;

	queue_note_read(run_dir, root, &note);
	same = queue_note_same(&note, path, &st);
	queue_note_free(&note);
	return same;
}

static void
touch(void)
{
	char path[128];
	int fd;

	snprintf(path, sizeof path, "%s/file", in);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ck_assert_int_ne(fd, -1);
	close(fd);
	ck_assert_int_eq(unlink(path), 0);
}

START_TEST(a_directory_is_known_until_a_name_in_it_changes)
{
	struct timespec times[2];
	struct stat st;

	ck_assert(!is_known("in"));
	keep();
	ck_assert(is_known("in"));
	ck_assert(!is_known("other"));
	st = state();
	touch();
	ck_assert(!is_known("in"));
	/* also where somebody puts its time back */
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	ck_assert_int_eq(utimensat(AT_FDCWD, in, times, 0), 0);
	ck_assert(!is_known("in"));
	keep();
	ck_assert(is_known("in"));
	queue_note_drop(run_dir, root);
	ck_assert(!is_known("in"));
}
END_TEST

START_TEST(what_was_changed_within_a_tick_of_being_read_is_not_noted)
{
	struct queue_note note = { 0 };
	struct stat st = state();
	uint64_t changed_ms = (uint64_t)st.st_ctim.tv_sec * 1000 + (uint64_t)st.st_ctim.tv_nsec / 1000000;

	queue_note_add(&note, "in", &st, changed_ms);
	queue_note_add(&note, "in", &st, changed_ms + QUEUE_NOTE_TICK_MS - 1);
	queue_note_add(&note, "in", &st, changed_ms - 5000);	/* a clock that was set */
	ck_assert_uint_eq(note.dirs, 0);
	queue_note_add(&note, "in", &st, changed_ms + QUEUE_NOTE_TICK_MS + 1);
	ck_assert_uint_eq(note.dirs, 1);
	queue_note_free(&note);
}
END_TEST

static void
note_file(char *path, size_t size)
{
	snprintf(path, size, "%s/queue-names.%s", run_dir, root);
	for (char *c = path + strlen(run_dir) + 1; *c != '\0'; c++)
		*c = *c == '/' ? '-' : *c;
}

START_TEST(a_note_that_is_cut_or_of_another_boot_is_none)
{
	char path[256], text[1024];
	FILE *stream;
	size_t len;

	keep();
	note_file(path, sizeof path);
	stream = fopen(path, "re");
	ck_assert_ptr_nonnull(stream);
	len = fread(text, 1, sizeof text, stream);
	fclose(stream);
	ck_assert_uint_gt(len, 60);
	for (size_t n = 0; n <= len; n++) {
		stream = fopen(path, "we");
		ck_assert_uint_eq(fwrite(text, 1, n, stream), n);
		fclose(stream);
		ck_assert_msg(is_known("in") == (n >= len - 1), "%zu of %zu", n, len);	/* all but the last newline */
	}
	*strchr(strstr(text, "boot ") + 5, '-') = '+';
	stream = fopen(path, "we");
	ck_assert_uint_eq(fwrite(text, 1, len, stream), len);
	fclose(stream);
	ck_assert(!is_known("in"));
}
END_TEST

/* In a child, which has mounts of its own. */
static int
remounted(void)
{
	struct stat st;
	struct queue_note note;
	bool same;

	if (unshare(CLONE_NEWNS) == -1 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1)
		return 2;
	keep();
	if (!is_known("in") || mount(root, root, NULL, MS_BIND, NULL) == -1)
		return 3;
	queue_note_read(run_dir, root, &note);
	same = stat(in, &st) == 0 && queue_note_same(&note, "in", &st);
	queue_note_free(&note);
	return same;
}

START_TEST(another_mount_of_the_same_queue_is_not_known)
{
	int status;
	pid_t pid;

	if (getuid() != 0)
		return;
	pid = fork();
	if (pid == 0)
		_exit(remounted());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(a_queue_of_more_directories_than_can_be_noted_has_no_note)
{
	struct queue_note note = { 0 };
	struct stat st = state();
	struct err err = { 0 };

	for (unsigned int i = 0; i <= QUEUE_NOTE_DIRS_MAX; i++)
		queue_note_add(&note, "in", &st, clock_wall_ms() + 1000);
	ck_assert(!queue_note_write(&note, run_dir, root, &err));
	ck_assert_str_ne(err.text, "");
	ck_assert(!queue_note_same(&note, "in", &st));
	queue_note_free(&note);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("queue_note");
	TCase *tc = tcase_create("note");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_directory_is_known_until_a_name_in_it_changes);
	tcase_add_test(tc, what_was_changed_within_a_tick_of_being_read_is_not_noted);
	tcase_add_test(tc, a_note_that_is_cut_or_of_another_boot_is_none);
	tcase_add_test(tc, another_mount_of_the_same_queue_is_not_known);
	tcase_add_test(tc, a_queue_of_more_directories_than_can_be_noted_has_no_note);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
