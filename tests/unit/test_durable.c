/*
 * tests/unit/test_durable.c - laws of common/durable.h, in a directory of its own.
 */
#include "common/durable.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/harness.h"

static void
put(const char *path, const char *text)
{
	struct err err;

	ck_assert_msg(durable_write(path, text, strlen(text), 0640, &err), "%s", err.text);
}

START_TEST(what_is_written_is_read_back_with_the_mode_asked_for)
{
	char buf[64];
	struct stat st;
	struct err err;

	umask(077);
	put("a", "tenure 7\n");
	ck_assert_int_eq(durable_read("a", buf, sizeof(buf), &err), 9);
	ck_assert_str_eq(buf, "tenure 7\n");
	ck_assert_int_eq(stat("a", &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0640);
	put("a", "");
	ck_assert_int_eq(durable_read("a", buf, sizeof(buf), &err), 0);
	ck_assert_str_eq(buf, "");
	ck_assert_int_eq(access("a.new", F_OK), -1);
}
END_TEST

START_TEST(left_overs_of_a_crash_do_not_stand_in_the_way)
{
	char buf[64];
	struct err err;

	put("b.new", "torn");
	put("b", "whole");
	ck_assert_int_eq(durable_read("b", buf, sizeof(buf), &err), 5);
	ck_assert_str_eq(buf, "whole");
	/* not even a link that someone put there to have another file overwritten */
	put("victim", "victim");
	ck_assert_int_eq(symlink("victim", "b.new"), 0);
	put("b", "again");
	ck_assert_int_eq(durable_read("victim", buf, sizeof(buf), &err), 6);
	ck_assert_str_eq(buf, "victim");
}
END_TEST

START_TEST(a_failed_write_leaves_the_old_file_whole)
{
	struct rlimit was, small;
	char big[8192], buf[64];
	struct err err;
	bool ok;

	put("c", "old");
	memset(big, 'x', sizeof(big));
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &was);
	small = (struct rlimit){ .rlim_cur = 4096, .rlim_max = was.rlim_max };
	setrlimit(RLIMIT_FSIZE, &small);
	ok = durable_write("c", big, sizeof(big), 0600, &err);
	setrlimit(RLIMIT_FSIZE, &was);
	ck_assert(!ok);
	ck_assert_int_eq(err.sys, EFBIG);
	ck_assert_ptr_nonnull(strstr(err.text, "c"));
	ck_assert_int_eq(durable_read("c", buf, sizeof(buf), &err), 3);
	ck_assert_str_eq(buf, "old");
	ck_assert_int_eq(access("c.new", F_OK), -1);
	ck_assert(!durable_write("none/c", "x", 1, 0600, &err));
	ck_assert_int_eq(err.sys, ENOENT);
}
END_TEST

START_TEST(a_reader_never_sees_a_torn_file)
{
	char a[4001], b[4001], buf[8192];
	struct err err;
	pid_t pid;

	memset(a, 'a', sizeof(a));
	memset(b, 'b', 2000);
	a[4000] = b[2000] = '\0';
	put("d", a);
	if ((pid = fork()) == 0)
		for (int i = 0;; i++)
			durable_write("d", i % 2 == 0 ? b : a, i % 2 == 0 ? 2000 : 4000, 0600, NULL);
	for (int i = 0; i < 2000; i++) {
		ssize_t n = durable_read("d", buf, sizeof(buf), &err);

		ck_assert_msg(n == 4000 || n == 2000, "%zd bytes", n);
		ck_assert_str_eq(buf, n == 4000 ? a : b);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
END_TEST

START_TEST(only_regular_files_that_fit_are_read)
{
	char buf[6] = "kept";
	struct err err;

	put("e", "12345");
	ck_assert_int_eq(durable_read("e", buf, 6, &err), 5);
	put("e", "123456");
	ck_assert_int_eq(durable_read("e", buf, 6, &err), -1);
	ck_assert_int_eq(err.sys, EFBIG);
	ck_assert_int_eq(durable_read("missing", buf, 6, &err), -1);
	ck_assert_int_eq(err.sys, ENOENT);
	ck_assert_int_eq(symlink("e", "link"), 0);
	ck_assert_int_eq(durable_read("link", buf, 6, &err), -1);
	ck_assert_int_eq(err.sys, ELOOP);
	ck_assert_int_eq(mkfifo("fifo", 0600), 0);
	ck_assert_int_eq(durable_read("fifo", buf, 6, &err), -1);	/* and does not hang */
	ck_assert_int_eq(durable_read(".", buf, 6, &err), -1);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("durable");
	TCase *t = tcase_create("durable");
	char dir[] = "/tmp/test_durable.XXXXXX";
	int failed;

	if (mkdtemp(dir) == NULL || chdir(dir) == -1)
		return 1;
	tcase_set_timeout(t, 60);
	tcase_add_test(t, what_is_written_is_read_back_with_the_mode_asked_for);
	tcase_add_test(t, left_overs_of_a_crash_do_not_stand_in_the_way);
	tcase_add_test(t, a_failed_write_leaves_the_old_file_whole);
	tcase_add_test(t, a_reader_never_sees_a_torn_file);
	tcase_add_test(t, only_regular_files_that_fit_are_read);
	suite_add_tcase(s, t);
	failed = unit_main(s);
	for (const char *const *f = (const char *const[]){ "a", "b", "c", "d", "d.new", "e", "link", "fifo",
	    "victim", "b.new", NULL }; *f != NULL; f++)
		unlink(*f);
	if (chdir("/") == -1 || rmdir(dir) == -1)
		return 1;
	return failed;
}
