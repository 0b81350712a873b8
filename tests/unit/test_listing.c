/*
 * tests/unit/test_listing.c - a directory is listed whole, with a thread that reads on and without.
 */
#include "queuesync/listing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/unit/harness.h"

#define FILES 10000u
#define NAME "%0200u"		/* long: several buffers */
#define LARGE (1 << 24)		/* what a directory is said to be of which a thread lists */

static char dir[UNIT_DIR_MAX], own[LISTING_BYTES];

static void
begin(void)
{
	ck_assert(unit_dir(dir, "mailpair-listing"));
}

static void
end(void)
{
	ck_assert_int_eq(rmdir(dir), 0);
}

static int
open_dir(unsigned int files)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (unsigned int i = 0; i < files; i++) {
		char name[256];
		int file;

		snprintf(name, sizeof name, NAME, i);
		file = openat(fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		ck_assert_int_ne(file, -1);
		close(file);
	}
	return fd;
}

static void
empty(int fd, unsigned int files)
{
	for (unsigned int i = 0; i < files; i++) {
		char name[256];

		snprintf(name, sizeof name, NAME, i);
		ck_assert_int_eq(unlinkat(fd, name, 0), 0);
	}
	close(fd);
}

START_TEST(every_entry_is_listed_once_with_its_inode_and_type)
{
	off_t size = _i == 0 ? 0 : LARGE;
	bool *seen = calloc(FILES, sizeof *seen);
	int fd = open_dir(FILES);
	struct listing *l = listing_begin(fd, size, own);
	unsigned int files = 0, calls = 0;
	const char *bytes;
	struct stat st;
	ssize_t got;

	for (; (got = listing_next(l, &bytes)) > 0; calls++) {
		for (ssize_t at = 0; at < got;) {
			const struct listing_entry *e = (const struct listing_entry *)(const void *)(bytes + at);
			unsigned int n;

			at += e->reclen;
			if (sscanf(e->name, "%u", &n) != 1)
				continue;
			if (n >= FILES || seen[n] || e->type != S_IFREG >> 12)
				ck_abort_msg("%s", e->name);
			seen[n] = true;
			/* which takes longer than to list it: the thread is ahead as far as it may */
			if (fstatat(fd, e->name, &st, 0) == -1 || st.st_ino != e->ino)
				ck_abort_msg("%s", e->name);
			files++;
		}
	}
	ck_assert_int_eq(got, 0);
	ck_assert_int_eq(listing_next(l, &bytes), 0);
	listing_end(l);
	ck_assert_uint_eq(files, FILES);
	ck_assert_uint_gt(calls, 6);
	free(seen);
	empty(fd, FILES);
}
END_TEST

START_TEST(it_can_be_ended_before_it_is_over)
{
	int fd = open_dir(FILES);
	const char *bytes;

	for (unsigned int calls = 0; calls < 4; calls++) {
		struct listing *l;

		ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
		l = listing_begin(fd, LARGE, own);
		for (unsigned int i = 0; i < calls; i++)
			ck_assert_int_gt(listing_next(l, &bytes), 0);
		listing_end(l);
	}
	empty(fd, FILES);
}
END_TEST

START_TEST(what_cannot_be_listed_says_why)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct listing *l = listing_begin(fd, _i == 0 ? 0 : LARGE, own);
	const char *bytes;

	for (int i = 0; i < 2; i++) {
		errno = 0;
		ck_assert_int_eq(listing_next(l, &bytes), -1);
		ck_assert_int_eq(errno, ENOTDIR);
	}
	listing_end(l);
	close(fd);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("listing");
	TCase *tc = tcase_create("laws");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_loop_test(tc, every_entry_is_listed_once_with_its_inode_and_type, 0, 2);
	tcase_add_test(tc, it_can_be_ended_before_it_is_over);
	tcase_add_loop_test(tc, what_cannot_be_listed_says_why, 0, 2);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
