/*
 * tests/unit/test_config_spool.c - laws of configsync/spool.h: what is whole has its digest, what was begun is gone on with, and no peer
 * gets more room than it was given.
 */
#include "tests/unit/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "configsync/spool.h"

#define SIZE 300000u

static const struct spool_limits limits = { .one = 400000, .bytes = 1000000, .files = 4 };
static char base[] = "/tmp/mailpair-spool.XXXXXX", dir[64];
static struct spool *s;
static struct err err;
static uint8_t content[SIZE], digest[DIGEST_LEN];

/* Contents that differ by their first byte. */
static void
content_of(uint8_t which)
{
	for (size_t i = 0; i < SIZE; i++)
		content[i] = (uint8_t)(i * 7 + i / 251);
	content[0] = which;
	digest_sha256(content, SIZE, digest);
}

static void
open_anew(void)
{
	spool_close(s);
	s = NULL;
	ck_assert_msg(spool_open(dir, &limits, &s, &err), "%s", err.text);
}

static const char *
path_of(void)
{
	static char path[64 + DIGEST_HEX];
	char hex[DIGEST_HEX];

	snprintf(path, sizeof path, "%s/%s", dir, digest_hex(digest, DIGEST_LEN, hex));
	return path;
}

static void
setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(base));
	snprintf(dir, sizeof dir, "%s/config.parts", base);
	content_of(1);
	open_anew();
}

static bool
none(void *arg, const uint8_t *which)
{
	(void)arg;
	(void)which;
	return false;
}

static bool
that_one(void *arg, const uint8_t *which)
{
	return memcmp(arg, which, DIGEST_LEN) == 0;
}

static void
teardown(void)
{
	spool_sweep(s, none, NULL, 0);
	spool_close(s);
	s = NULL;
	ck_assert_msg(rmdir(dir) == 0, "the spool left something behind");
	ck_assert_int_eq(rmdir(base), 0);
	memcpy(base + sizeof base - 7, "XXXXXX", 6);
}

static uint64_t
begin(void)
{
	uint64_t have = UINT64_MAX;

	ck_assert_msg(spool_begin(s, digest, SIZE, &have, &err), "%s", err.text);
	return have;
}

/* From what is here up to an offset. */
static bool
feed(size_t from, size_t to, size_t step)
{
	bool whole = false;

	for (size_t len; from < to; from += len) {
		len = to - from < step ? to - from : step;
		ck_assert(!whole);
		ck_assert_msg(spool_append(s, digest, from, content + from, len, &whole, &err), "%s", err.text);
	}
	return whole;
}

static void
is_here(void)
{
	static uint8_t back[SIZE + 1];
	int fd = spool_fd(s, digest, &err);
	struct stat st;

	ck_assert_msg(fd != -1, "%s", err.text);
	ck_assert_int_eq(read(fd, back, sizeof back), SIZE);
	ck_assert_mem_eq(back, content, SIZE);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	close(fd);
}

START_TEST(a_content_in_pieces_is_whole_at_the_last_one_and_not_before)
{
	ck_assert_uint_eq(begin(), 0);
	ck_assert(!feed(0, SIZE - 1, 65536));
	ck_assert_int_eq(spool_fd(s, digest, &err), -1);
	ck_assert_int_eq(err.sys, ENOENT);
	ck_assert(feed(SIZE - 1, SIZE, 1));
	is_here();
	ck_assert_uint_eq(begin(), SIZE);
	is_here();
	spool_remove(s, digest);
	ck_assert_int_eq(spool_fd(s, digest, &err), -1);
	ck_assert_int_eq(access(path_of(), F_OK), -1);
}
END_TEST

START_TEST(what_was_begun_is_gone_on_with_after_a_restart)
{
	struct spool_totals now;
	bool whole;

	begin();
	feed(0, 100001, 50000);
	open_anew();
	ck_assert(!spool_append(s, digest, 100001, content, 1, &whole, &err));	/* not asked for in this run */
	ck_assert_int_eq(err.sys, ENOENT);
	spool_totals(s, &now);
	ck_assert(now.files == 1 && now.bytes == 100001 && now.reserved == 100001);
	ck_assert_uint_eq(begin(), 100001);
	spool_totals(s, &now);
	ck_assert_uint_eq(now.reserved, SIZE);
	ck_assert(feed(100001, SIZE, 65536));
	is_here();
}
END_TEST

START_TEST(what_was_whole_is_whole_after_a_restart)
{
	begin();
	feed(0, SIZE, 65536);
	open_anew();
	ck_assert_int_eq(spool_fd(s, digest, &err), -1);	/* nobody has looked yet */
	ck_assert_uint_eq(begin(), SIZE);
	is_here();
}
END_TEST

START_TEST(what_a_crash_has_spoilt_is_thrown_away)
{
	int fd;

	begin();
	feed(0, _i == 0 ? SIZE : SIZE - 5, 65536);
	fd = open(path_of(), O_WRONLY);
	ck_assert_int_eq(pwrite(fd, "?", 1, 1000), 1);
	close(fd);
	open_anew();
	if (_i == 0) {
		ck_assert_uint_eq(begin(), 0);
	} else {
		bool whole;

		ck_assert_uint_eq(begin(), SIZE - 5);
		ck_assert(!spool_append(s, digest, SIZE - 5, content + SIZE - 5, 5, &whole, &err));
		ck_assert_int_eq(err.sys, EBADMSG);
		ck_assert_uint_eq(begin(), 0);
	}
	ck_assert(feed(0, SIZE, 65536));
	is_here();
}
END_TEST

START_TEST(other_bytes_than_the_digest_says_are_thrown_away)
{
	bool whole = false;
	struct spool_totals now;

	begin();
	content[SIZE / 2] ^= 1;
	feed(0, SIZE - 1, 65536);
	ck_assert(!spool_append(s, digest, SIZE - 1, content + SIZE - 1, 1, &whole, &err));
	ck_assert_int_eq(err.sys, EBADMSG);
	spool_totals(s, &now);
	ck_assert(now.files == 0 && now.reserved == 0);
	ck_assert_int_eq(access(path_of(), F_OK), -1);
}
END_TEST

START_TEST(a_piece_that_does_not_follow_the_last_one_is_refused)
{
	bool whole = false;

	ck_assert(!spool_append(s, digest, 0, content, 1, &whole, &err));
	ck_assert_int_eq(err.sys, ENOENT);
	begin();
	feed(0, 1000, 1000);
	ck_assert(!spool_append(s, digest, 999, content, 1, &whole, &err));
	ck_assert_int_eq(err.sys, EINVAL);
	ck_assert(!spool_append(s, digest, 1001, content, 1, &whole, &err));
	ck_assert_int_eq(err.sys, EINVAL);
	ck_assert(!spool_append(s, digest, 1000, content, SIZE - 999, &whole, &err));
	ck_assert_int_eq(err.sys, EINVAL);
	ck_assert(feed(1000, SIZE, 65536));
	is_here();
}
END_TEST

START_TEST(a_whole_content_has_the_size_that_it_has)
{
	uint64_t have;

	begin();
	feed(0, SIZE, 65536);
	ck_assert(!spool_begin(s, digest, SIZE + 1, &have, &err));
	ck_assert_int_eq(err.sys, EINVAL);
	open_anew();
	ck_assert(spool_begin(s, digest, SIZE - 1, &have, &err));	/* longer than it can be */
	ck_assert_uint_eq(have, 0);
}
END_TEST

START_TEST(nobody_gets_more_room_than_the_bounds)
{
	struct spool_totals now;
	uint64_t have;

	ck_assert(!spool_begin(s, digest, limits.one + 1, &have, &err));
	ck_assert_int_eq(err.sys, EDQUOT);
	for (uint8_t i = 1; i <= 3; i++) {
		content_of(i);
		begin();
	}
	content_of(4);
	ck_assert(!spool_begin(s, digest, SIZE, &have, &err));	/* 1,200,000 of 1,000,000 */
	ck_assert_int_eq(err.sys, EDQUOT);
	ck_assert(spool_begin(s, digest, 50000, &have, &err));
	content_of(5);
	ck_assert(!spool_begin(s, digest, 1, &have, &err));	/* the fifth of four */
	ck_assert_int_eq(err.sys, EDQUOT);
	content_of(1);
	spool_remove(s, digest);
	content_of(5);
	begin();
	spool_totals(s, &now);
	ck_assert(now.files == 4 && now.reserved == limits.bytes - 50000);
}
END_TEST

START_TEST(what_an_earlier_run_left_gives_way_and_what_this_one_began_does_not)
{
	uint64_t have;

	for (uint8_t i = 1; i <= 3; i++) {
		content_of(i);
		begin();
		feed(0, SIZE, SIZE);
	}
	open_anew();
	content_of(2);
	begin();
	content_of(7);
	begin();
	content_of(8);
	begin();
	content_of(2);
	is_here();
	content_of(1);
	ck_assert(!spool_begin(s, digest, SIZE, &have, &err));
	ck_assert_int_eq(access(path_of(), F_OK), -1);
}
END_TEST

START_TEST(what_nobody_wants_is_swept_when_it_is_old)
{
	struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
	uint8_t wanted[DIGEST_LEN];

	content_of(2);
	memcpy(wanted, digest, DIGEST_LEN);
	begin();
	feed(0, SIZE, SIZE);
	ck_assert_int_eq(utimensat(AT_FDCWD, path_of(), old, 0), 0);
	content_of(1);
	begin();
	feed(0, 10, 10);
	ck_assert_int_eq(utimensat(AT_FDCWD, path_of(), old, 0), 0);
	open_anew();
	content_of(3);
	begin();
	feed(0, 10, 10);
	ck_assert_uint_eq(spool_sweep(s, that_one, wanted, 3600000), 1);
	ck_assert_int_eq(access(path_of(), F_OK), 0);
	content_of(1);
	ck_assert_int_eq(access(path_of(), F_OK), -1);
	content_of(2);
	ck_assert_uint_eq(begin(), SIZE);
	ck_assert_uint_eq(spool_sweep(s, that_one, wanted, 0), 1);
	is_here();
}
END_TEST

/* A descriptor that install reads from stays good. */
START_TEST(what_is_removed_while_it_is_read_can_be_read_to_its_end)
{
	uint8_t back[100];
	int fd;

	begin();
	feed(0, SIZE, SIZE);
	fd = spool_fd(s, digest, &err);
	spool_remove(s, digest);
	ck_assert_int_eq(pread(fd, back, sizeof back, SIZE - 100), 100);
	ck_assert_mem_eq(back, content + SIZE - 100, 100);
	close(fd);
}
END_TEST

START_TEST(nothing_in_the_directory_is_followed)
{
	char target[64];
	struct stat st;

	snprintf(target, sizeof target, "%s/precious", base);
	close(open(target, O_WRONLY | O_CREAT, 0600));
	ck_assert_int_eq(symlink(target, path_of()), 0);
	open_anew();
	begin();
	ck_assert(feed(0, SIZE, 65536));
	is_here();
	ck_assert(stat(target, &st) == 0 && st.st_size == 0);
	spool_remove(s, digest);
	begin();
	ck_assert_int_eq(symlink(target, path_of()), 0);	/* later than it was looked at */
	bool whole;
	ck_assert(!spool_append(s, digest, 0, content, 10, &whole, &err));
	ck_assert_int_eq(err.sys, ELOOP);
	ck_assert(stat(target, &st) == 0 && st.st_size == 0);
	unlink(target);
}
END_TEST

START_TEST(the_directory_is_nobody_elses)
{
	char link[80];
	struct spool *other;
	struct stat st;

	ck_assert_int_eq(chmod(dir, 0755), 0);
	open_anew();
	ck_assert(stat(dir, &st) == 0 && (st.st_mode & 07777) == 0700);
	snprintf(link, sizeof link, "%s/link", base);
	ck_assert_int_eq(symlink(dir, link), 0);
	ck_assert(!spool_open(link, &limits, &other, &err));
	unlink(link);
	if (geteuid() == 0) {
		ck_assert_int_eq(chown(dir, 12345, 12345), 0);
		ck_assert(!spool_open(dir, &limits, &other, &err));
		ck_assert_ptr_nonnull(strstr(err.text, "12345"));
		ck_assert_int_eq(chown(dir, 0, 0), 0);
	}
}
END_TEST

START_TEST(after_a_full_disk_it_is_gone_on_with)
{
	char full[64], filler[80];
	bool whole = false;
	int fd;

	if (unshare(CLONE_NEWNS) == -1)
		return;		/* needs root */
	spool_close(s);
	ck_assert(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && mount("tmpfs", base, "tmpfs", 0, "size=1m") == 0);
	s = NULL;
	open_anew();
	snprintf(full, sizeof full, "%s/filler", base);
	snprintf(filler, sizeof filler, "%s", full);
	fd = open(filler, O_WRONLY | O_CREAT, 0600);
	ck_assert_int_eq(posix_fallocate(fd, 0, 1024 * 1024 - 200 * 1024), 0);
	close(fd);
	begin();
	ck_assert(!spool_append(s, digest, 0, content, SIZE, &whole, &err));
	ck_assert_int_eq(err.sys, ENOSPC);
	ck_assert(!whole);
	unlink(filler);
	uint64_t have = begin();
	ck_assert_uint_lt(have, SIZE);
	ck_assert_uint_gt(have, 0);
	ck_assert(feed((size_t)have, SIZE, 65536));
	is_here();
	spool_sweep(s, none, NULL, 0);
	spool_close(s);
	s = NULL;
	ck_assert_int_eq(umount2(base, MNT_DETACH), 0);
	open_anew();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config_spool");
	TCase *c = tcase_create("spool");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, a_content_in_pieces_is_whole_at_the_last_one_and_not_before);
	tcase_add_test(c, what_was_begun_is_gone_on_with_after_a_restart);
	tcase_add_test(c, what_was_whole_is_whole_after_a_restart);
	tcase_add_loop_test(c, what_a_crash_has_spoilt_is_thrown_away, 0, 2);
	tcase_add_test(c, other_bytes_than_the_digest_says_are_thrown_away);
	tcase_add_test(c, a_piece_that_does_not_follow_the_last_one_is_refused);
	tcase_add_test(c, a_whole_content_has_the_size_that_it_has);
	tcase_add_test(c, nobody_gets_more_room_than_the_bounds);
	tcase_add_test(c, what_an_earlier_run_left_gives_way_and_what_this_one_began_does_not);
	tcase_add_test(c, what_nobody_wants_is_swept_when_it_is_old);
	tcase_add_test(c, what_is_removed_while_it_is_read_can_be_read_to_its_end);
	tcase_add_test(c, nothing_in_the_directory_is_followed);
	tcase_add_test(c, the_directory_is_nobody_elses);
	tcase_add_test(c, after_a_full_disk_it_is_gone_on_with);
	suite_add_tcase(suite, c);
	return unit_main(suite);
}
