/*
 * tests/unit/test_memory.c - laws of common/memory.h.
 */
#include "tests/unit/harness.h"

#include <fcntl.h>
#include <unistd.h>

#include "common/digest.h"
#include "common/memory.h"

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define OTHER_MALLOC	/* which keeps what was freed, to find who uses it */
#endif
#endif
#define BLOCKS 20000u
#define BLOCK 1000u

/* KiB, as /proc/self/statm counts them: of all, and of files. */
static long
resident(bool of_files)
{
	char text[128], *at = text;
	int fd = open("/proc/self/statm", O_RDONLY);
	ssize_t n = read(fd, text, sizeof text - 1);

	ck_assert_int_gt(n, 0);
	text[n] = '\0';
	close(fd);
	strtol(at, &at, 10);
	for (int i = 0; i < of_files; i++)
		strtol(at, &at, 10);
	return strtol(at, &at, 10) * (sysconf(_SC_PAGESIZE) / 1024);
}

#ifndef OTHER_MALLOC
START_TEST(what_was_freed_goes_back_though_something_behind_it_stays)
{
	static char *block[BLOCKS];
	char *last;
	long full;

	for (size_t i = 0; i < BLOCKS; i++) {
		block[i] = malloc(BLOCK);
		memset(block[i], 1, BLOCK);
	}
	last = malloc(BLOCK);
	memset(last, 2, BLOCK);
	full = resident(false);
	for (size_t i = 0; i < BLOCKS; i++)
		free(block[i]);
	memory_give_back();
	ck_assert_int_lt(resident(false), full - (long)(BLOCKS * BLOCK / 1024 / 2));
	ck_assert_int_eq(last[BLOCK - 1], 2);
	free(last);
}
END_TEST
#endif

START_TEST(pages_that_come_from_files_go_back_and_are_read_again)
{
	uint8_t before[DIGEST_LEN], after[DIGEST_LEN];
	long full;

	digest_sha256("mail", 4, before);
	full = resident(true);
	memory_give_back();
	ck_assert_int_lt(resident(true), full);
	digest_sha256("mail", 4, after);
	ck_assert_mem_eq(before, after, DIGEST_LEN);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("memory");
	TCase *t = tcase_create("memory");

#ifndef OTHER_MALLOC
	tcase_add_test(t, what_was_freed_goes_back_though_something_behind_it_stays);
#endif
	tcase_add_test(t, pages_that_come_from_files_go_back_and_are_read_again);
	suite_add_tcase(s, t);
	return unit_main(s);
}
