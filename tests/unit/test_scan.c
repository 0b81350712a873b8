/*
 * tests/unit/test_scan.c - the walk over a tree that someone made to hurt: links, FIFOs, sockets, names of any
 * bytes, mounts, files that come and go. The toy's queue of check_bed.h, on a real file system.
 */
#include "queuesync/scan.h"

#include <pthread.h>
#include <sched.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "tests/unit/tree.h"

#define THREADS 4

static bool
look_with(unsigned int threads, bool with_root, struct err *err)
{
	bool ok = scan_with(threads, with_root, false, err);

	check_end(check, &findings, &messages, &files);
	return ok;
}

static void
look(void)
{
	struct err err = { 0 };

	ck_assert_msg(look_with(THREADS, true, &err), "%s", err.text);
}

static size_t
found(enum finding_class class, enum problem problem, const char *path)
{
	size_t n = 0;

	for (size_t i = 0; i < findings.len; i++)
		n += findings.at[i].class == class && findings.at[i].problem == problem &&
		    (path == NULL || strcmp(findings.at[i].path, path) == 0);
	return n;
}

/* ---------------------------------------------------------------- laws */

START_TEST(every_file_is_told_once_with_any_number_of_threads)
{
	tree(2500);
	for (unsigned int threads = 0; threads <= 8; threads += threads + 1) {
		struct err err = { 0 };

		ck_assert(look_with(threads, true, &err));
		ck_assert_uint_eq(findings.len, 0);
		ck_assert_uint_eq(messages, 2500);
		ck_assert_uint_eq(files, 2500);
		ck_assert_uint_eq(seen.entries, 2500);
		ck_assert_uint_eq(seen.directories, 7);
		ck_assert(!seen.moved);
		finish();
	}
	untree();
}
END_TEST

START_TEST(what_is_no_file_is_neither_opened_nor_followed)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), opened = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	struct inotify_event event;

	tree(3);
	ck_assert_int_eq(mkfifo(in("new/7"), 0600), 0);
	ck_assert_int_ne(inotify_add_watch(opened, in("new/7"), IN_OPEN), -1);
	ck_assert_int_eq(symlink("/etc/passwd", in("new/8")), 0);
	ck_assert_int_eq(symlink("10", in("new/9")), 0);
	ck_assert_int_eq(mkdir(in("new/11"), 0700), 0);
	write_file(in("new/11/12"), "good");
	snprintf(un.sun_path, sizeof un.sun_path, "%s/new/13", root);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
	look();
	ck_assert_uint_eq(found(CLASS_STRAY, PROBLEM_WRONG_TYPE, NULL), 5);
	ck_assert_uint_eq(findings.len, 5);
	ck_assert_uint_eq(messages, 3);
	ck_assert_msg(read(opened, &event, sizeof event) == -1, "the FIFO was opened");
	close(opened);
	close(fd);
	finish();
	untree();
}
END_TEST

START_TEST(a_link_in_a_directorys_place_is_not_entered)
{
	tree(6);
	write_file(in("../%s/33", strrchr(outside, '/') + 1), "good");
	ck_assert_int_eq(remove(in("log")), 0);
	ck_assert_int_eq(symlink(outside, in("log")), 0);
	ck_assert_int_eq(rename(in("cur/1"), in("cur/one")), 0);
	ck_assert_int_eq(symlink("one", in("cur/1")), 0);
	look();
	ck_assert_uint_eq(found(CLASS_REPORT, PROBLEM_WRONG_TYPE, "log"), 1);
	ck_assert_uint_eq(found(CLASS_REPORT, PROBLEM_WRONG_TYPE, "cur/1"), 1);
	ck_assert_uint_eq(found(CLASS_STRAY, PROBLEM_WRONG_TYPE, "cur/one"), 1);
	ck_assert_uint_eq(messages, 4);
	finish();
	untree();
}
END_TEST

START_TEST(a_file_a_fifo_or_a_socket_in_a_directorys_place_does_not_stop_the_scan)
{
	tree(3);
	ck_assert_int_eq(remove(in("log")), 0);
	ck_assert_int_eq(mkfifo(in("log"), 0600), 0);
	ck_assert_int_eq(rename(in("cur/2"), in("cur-2")), 0);
	write_file(in("cur/2"), "x");
	look();
	ck_assert_uint_eq(found(CLASS_STRAY, PROBLEM_WRONG_TYPE, "log"), 1);
	ck_assert_uint_eq(found(CLASS_STRAY, PROBLEM_WRONG_TYPE, "cur/2"), 1);
	ck_assert_uint_eq(found(CLASS_STRAY, PROBLEM_WRONG_TYPE, "cur-2"), 1);
	ck_assert_uint_eq(messages, 2);
	finish();
	untree();
}
END_TEST

START_TEST(names_of_any_bytes_and_lengths_are_strays_and_nothing_else)
{
	char name[256];
	unsigned int n = 0;

	tree(3);
	for (unsigned int byte = 1; byte < 256; byte++) {
		if (byte == '/' || byte == '.' || (byte >= '1' && byte <= '9'))
			continue;
		write_file(in("new/%c", (int)byte), "x");
		n++;
	}
	for (size_t len = 100; len <= 255; len += 31) {
		memset(name, '7', len);
		name[len] = '\0';
		write_file(in("new/%s", name), "x");
		n++;
	}
	write_file(in("new/%%s%%n%%d"), "x");
	write_file(in("new/-rf"), "x");
	write_file(in("new/..."), "x");
	look();
	ck_assert_uint_eq(found(CLASS_STRAY, PROBLEM_FOREIGN_FILE, NULL), n + 3);
	ck_assert_uint_eq(findings.len, n + 3);
	finish();
	untree();
}
END_TEST

START_TEST(many_long_names_arrive_whole)
{
	char name[256];

	tree(3);
	memset(name, 'x', 250);
	name[250] = '\0';
	for (unsigned int i = 0; i < 600; i++)
		write_file(in("new/%s%u", name, i), "x");
	look();
	ck_assert_uint_eq(findings.len, 600);
	for (size_t i = 0; i < findings.len; i++) {
		ck_assert_uint_ge(strlen(findings.at[i].path), 255);
		ck_assert_int_eq(strncmp(findings.at[i].path + 4, name, 250), 0);
		ck_assert(i == 0 || strcmp(findings.at[i - 1].path, findings.at[i].path) != 0);
	}
	finish();
	untree();
}
END_TEST

START_TEST(the_depth_of_a_tree_is_bounded_by_its_layout)
{
	int fd;

	tree(3);
	fd = open(in("cur/0"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int depth = 0; depth < 3000; depth++) {
		int next;

		ck_assert_int_eq(mkdirat(fd, "1", 0700), 0);
		next = openat(fd, "1", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(fd);
		fd = next;
	}
	close(fd);
	look();
	ck_assert_uint_eq(found(CLASS_STRAY, PROBLEM_WRONG_TYPE, "cur/0/1"), 1);
	ck_assert_uint_eq(findings.len, 1);
	finish();
	/* nftw() cannot: the path is too long. */
	ck_assert_int_eq(rename(in("cur/0/1"), in("deep")), 0);
	for (int depth = 0; depth < 3000; depth++) {
		if (renameat(AT_FDCWD, in("deep/1"), AT_FDCWD, in("deeper")) == -1)
			break;
		ck_assert_int_eq(rmdir(in("deep")), 0);
		ck_assert_int_eq(rename(in("deeper"), in("deep")), 0);
	}
	untree();
}
END_TEST

START_TEST(a_hard_link_out_of_the_tree_is_told)
{
	tree(3);
	ck_assert_int_eq(link(in("cur/1/1"), in("../%s/1", strrchr(outside, '/') + 1)), 0);
	look();
	ck_assert_uint_eq(found(CLASS_REPORT, PROBLEM_DUPLICATE, "cur/1/1"), 1);
	ck_assert_uint_eq(findings.len, 1);
	finish();
	untree();
}
END_TEST

START_TEST(what_stands_at_the_root_is_judged_as_well)
{
	tree(3);
	ck_assert_int_eq(mkdir(in("deferred.old"), 0700), 0);
	write_file(in("core"), "x");
	ck_assert_int_eq(mkdir(in(".mailpair"), 0700), 0);
	ck_assert_int_eq(mkdir(in(QUEUE_QUARANTINE), 0700), 0);
	ck_assert_int_eq(mkdir(in("lost+found"), 0700), 0);
	look();
	ck_assert_uint_eq(found(CLASS_STRAY, PROBLEM_WRONG_TYPE, "deferred.old"), 1);
	ck_assert_uint_eq(found(CLASS_STRAY, PROBLEM_FOREIGN_FILE, "core"), 1);
	ck_assert_uint_eq(findings.len, 2);
	finish();
	ck_assert_int_eq(rmdir(in(QUEUE_QUARANTINE)), 0);
	ck_assert_int_eq(symlink(outside, in(QUEUE_QUARANTINE)), 0);
	look();
	ck_assert_uint_eq(found(CLASS_STRAY, PROBLEM_WRONG_TYPE, QUEUE_QUARANTINE), 1);
	finish();
	write_file(in("lost+found/#12"), "x");
	look();
	ck_assert_uint_eq(found(CLASS_REPORT, PROBLEM_ORPHAN_PART, "lost+found"), 1);
	finish();
	untree();
}
END_TEST

/* In a namespace of its own, so that the mount is gone with the process. */
static void
mounted_child(void)
{
	if (unshare(CLONE_NEWNS) == -1 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1 ||
	    mount("none", in("log"), "tmpfs", 0, "size=64k") == -1)
		_exit(77);
	write_file(in("log/5"), "good");
	write_file(in("new/5"), "good");
	if (mount(in("log/5"), in("new/5"), NULL, MS_BIND, NULL) == -1)
		_exit(77);
	look();
	_exit(found(CLASS_REPORT, PROBLEM_WRONG_TYPE, "log") == 1 && found(CLASS_REPORT, PROBLEM_WRONG_TYPE, "new/5") == 1 &&
	    findings.len == 2 && findings_verdict(&findings) == VERDICT_DAMAGED && messages == 3 ? 0 : 1);
}

START_TEST(a_mount_inside_of_the_queue_is_not_entered)
{
	int status;
	pid_t pid;

	tree(3);
	if ((pid = fork()) == 0)
		mounted_child();
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	untree();
	ck_assert(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		fprintf(stderr, "skip: no mount namespace for a_mount_inside_of_the_queue_is_not_entered\n");
	else
		ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

/* ---------------------------------------------------------------- while others work on it */

static volatile bool stop_working;

/* Moves messages from new to cur and makes new ones, as a mail program does; sometimes swaps a directory for a link. */
static void *
work(void *arg)
{
	char from[200], to[200];

	(void)arg;
	for (unsigned int i = 0; !stop_working; i++) {
		unsigned int n = 10000 + i % 500;

		snprintf(from, sizeof from, "%s/new/%u", root, n);
		snprintf(to, sizeof to, "%s/cur/%u/%u", root, n % 3, n);
		if (rename(from, to) == -1) {
			int fd = open(from, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

			if (fd != -1) {
				ck_assert_int_eq(write(fd, "x", 1), 1);
				close(fd);
			}
		}
		if (i % 3 == 0)
			unlink(to);
		if (i % 50 == 0) {
			snprintf(from, sizeof from, "%s/log", root);
			snprintf(to, sizeof to, "%s/.away", root);
			rename(from, to);
			if (symlink("/", from) == 0)
				unlink(from);
			rename(to, from);
		}
	}
	return NULL;
}

START_TEST(files_that_come_and_go_neither_stop_nor_mislead_the_scan)
{
	struct findings first = { 0 };
	pthread_t worker;

	tree(1500);
	stop_working = false;
	ck_assert_int_eq(pthread_create(&worker, NULL, work, NULL), 0);
	for (int i = 0; i < 20; i++) {
		struct err err = { 0 };

		ck_assert_msg(look_with(THREADS, false, &err), "%s", err.text);
		ck_assert_uint_ge(messages, 1500);
		/* What two looks agree about is so: nothing, here. */
		if (i > 0)
			findings_both(&first, &findings);
		else
			first = findings, findings = (struct findings){ 0 };
		finish();
	}
	stop_working = true;
	pthread_join(worker, NULL);
	ck_assert_uint_eq(first.len, 0);
	findings_free(&first);
	untree();
}
END_TEST

START_TEST(a_change_during_the_scan_is_noticed)
{
	pthread_t worker;
	bool moved = false;

	tree(1500);
	stop_working = false;
	ck_assert_int_eq(pthread_create(&worker, NULL, work, NULL), 0);
	for (int i = 0; i < 1000 && !moved; i++) {
		struct err err = { 0 };

		ck_assert(look_with(THREADS, false, &err));
		moved = seen.moved;
		finish();
	}
	stop_working = true;
	pthread_join(worker, NULL);
	ck_assert(moved);
	untree();
}
END_TEST

static bool
holds_logs(const struct queue_place *place)
{
	return place->kind == TOY_LOG;
}

START_TEST(places_that_nobody_waits_for_are_passed_over_and_no_others)
{
	tree(3);
	write_file(in("log/stray"), "good");
	write_file(in("cur/0/stray"), "good");
	look();
	ck_assert_uint_eq(findings.len, 2);
	finish();
	scan_without = holds_logs;
	look();
	ck_assert_uint_eq(findings.len, 1);
	ck_assert_str_eq(findings.at[0].path, "cur/0/stray");
	ck_assert_uint_eq(messages, 3);
	finish();
	scan_without = NULL;
	untree();
}
END_TEST

START_TEST(what_cannot_be_looked_into_is_an_error_that_says_where)
{
	struct err err = { 0 };
	char was[64];

	tree(3);
	memcpy(was, root, sizeof was);
	snprintf(root, sizeof root, "/nowhere/at/all");
	ck_assert(!look_with(THREADS, true, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "/nowhere/at/all"));
	ck_assert_int_eq(err.sys, ENOENT);
	finish();
	memcpy(root, was, sizeof was);
	if (getuid() != 0) {
		ck_assert_int_eq(chmod(in("cur/1"), 0), 0);
		ck_assert(!look_with(THREADS, true, &err));
		ck_assert_ptr_nonnull(strstr(err.text, "cur/1"));
		finish();
		ck_assert_int_eq(chmod(in("cur/1"), 0700), 0);
	}
	untree();
}
END_TEST

START_TEST(nothing_is_written_not_even_times_of_access)
{
	struct timespec past[2] = { { 1000000000, 0 }, { 1000000000, 0 } };
	struct stat st;

	tree(3);
	ck_assert_int_eq(utimensat(AT_FDCWD, in("cur/1/1"), past, 0), 0);
	ck_assert_int_eq(utimensat(AT_FDCWD, in("cur/1"), past, 0), 0);
	look();
	ck_assert_int_eq(stat(in("cur/1"), &st), 0);
	ck_assert_int_eq(st.st_atim.tv_sec, 1000000000);
	ck_assert_int_eq(stat(in("cur/1/1"), &st), 0);
	ck_assert_int_eq(st.st_atim.tv_sec, 1000000000);
	finish();
	untree();
}
END_TEST

/* ---------------------------------------------------------------- read as it is met */

START_TEST(what_is_read_as_it_is_met_is_asked_for_again_only_where_it_says_something)
{
	struct check_asked asked;
	unsigned int asks = 0;
	struct err err;

	tree(30);
	write_file(in("new/77"), "bad");
	write_file(in("cur/0/78"), "good");
	write_file(in("cur/0/79"), "good");	/* in a wrong directory */
	ck_assert(scan_with(THREADS, false, true, &err));
	for (; check_asked(check, &asked); asks++)
		ck_assert(strcmp(asked.path, "new/77") == 0 || strcmp(asked.path, "cur/0/79") == 0);
	ck_assert_uint_eq(asks, 2);
	check_end(check, &findings, &messages, &files);
	ck_assert_uint_eq(found(CLASS_REPAIR, PROBLEM_WRONG_DIRECTORY, "cur/0/79"), 1);
	finish();
	untree();
}
END_TEST

START_TEST(what_cannot_be_opened_as_it_is_met_is_still_asked_about)
{
	struct check_asked asked;
	struct err err;

	if (geteuid() == 0)
		return;			/* whom nothing is refused */
	tree(3);
	ck_assert_int_eq(chmod(in("cur/1/1"), 0), 0);
	ck_assert(scan_with(THREADS, false, true, &err));
	ck_assert(check_asked(check, &asked));
	ck_assert_str_eq(asked.path, "cur/1/1");
	check_end(check, &findings, &messages, &files);
	ck_assert_uint_eq(messages, 3);
	finish();
	untree();
}
END_TEST

static void
read_all(void)
{
	scan_reads = true;
}

static void
read_none(void)
{
	scan_reads = false;
}

static TCase *
hostile_trees(const char *name)
{
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, every_file_is_told_once_with_any_number_of_threads);
	tcase_add_test(tc, what_is_no_file_is_neither_opened_nor_followed);
	tcase_add_test(tc, a_link_in_a_directorys_place_is_not_entered);
	tcase_add_test(tc, a_file_a_fifo_or_a_socket_in_a_directorys_place_does_not_stop_the_scan);
	tcase_add_test(tc, names_of_any_bytes_and_lengths_are_strays_and_nothing_else);
	tcase_add_test(tc, many_long_names_arrive_whole);
	tcase_add_test(tc, the_depth_of_a_tree_is_bounded_by_its_layout);
	tcase_add_test(tc, a_hard_link_out_of_the_tree_is_told);
	tcase_add_test(tc, what_stands_at_the_root_is_judged_as_well);
	tcase_add_test(tc, a_mount_inside_of_the_queue_is_not_entered);
	tcase_add_test(tc, files_that_come_and_go_neither_stop_nor_mislead_the_scan);
	tcase_add_test(tc, a_change_during_the_scan_is_noticed);
	tcase_add_test(tc, places_that_nobody_waits_for_are_passed_over_and_no_others);
	tcase_add_test(tc, what_cannot_be_looked_into_is_an_error_that_says_where);
	tcase_add_test(tc, nothing_is_written_not_even_times_of_access);
	return tc;
}

int
main(void)
{
	Suite *suite = suite_create("scan");
	TCase *reading = hostile_trees("hostile trees, read");

	suite_add_tcase(suite, hostile_trees("hostile trees"));
	tcase_add_checked_fixture(reading, read_all, read_none);
	tcase_add_test(reading, what_is_read_as_it_is_met_is_asked_for_again_only_where_it_says_something);
	tcase_add_test(reading, what_cannot_be_opened_as_it_is_met_is_still_asked_about);
	suite_add_tcase(suite, reading);
	return unit_main(suite);
}
