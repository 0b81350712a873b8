/*
 * tests/unit/test_statefile.c - laws of the durable state of a node: what was saved is what is read, and what is damaged is never
 * taken for a fresh start.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "supervisor/statefile.h"
#include "tests/unit/harness.h"

static const struct state full = { .tenure = 18446744073709551615u, .released = 7, .offline = true, .gave_up = true,
	.services_stopped = true, .queue_refused = true, .maintenance = true, .maintenance_until_wall_ms = 1234567890123u, .stalls = 3 };

static bool
same(const struct state *a, const struct state *b)
{
	return a->tenure == b->tenure && a->released == b->released && a->offline == b->offline && a->gave_up == b->gave_up &&
	    a->services_stopped == b->services_stopped && a->queue_refused == b->queue_refused && a->maintenance == b->maintenance &&
	    a->maintenance_until_wall_ms == b->maintenance_until_wall_ms && a->stalls == b->stalls;
}

START_TEST(what_is_formatted_is_what_is_parsed)
{
	struct state st = { 0 };
	char text[1024];
	struct err err;

	ck_assert_uint_lt(state_format(&full, text, sizeof(text)), sizeof(text));
	ck_assert(state_parse(text, &st, &err));
	ck_assert(same(&st, &full));
}
END_TEST

START_TEST(a_cut_file_is_refused_at_every_length)
{
	struct state st = { .tenure = 99 };
	char text[1024];
	struct err err;
	size_t len = state_format(&full, text, sizeof(text));

	for (size_t cut = 0; cut + 1 < len; cut++) {
		char part[1024];

		memcpy(part, text, cut);
		part[cut] = '\0';
		ck_assert_msg(!state_parse(part, &st, &err), "accepted after %zu of %zu bytes", cut, len);
		ck_assert_uint_eq(st.tenure, 99);
	}
}
END_TEST

START_TEST(no_file_is_a_fresh_start_and_a_damaged_one_is_an_error)
{
	char dir[] = "/tmp/statefile.XXXXXX", path[64];
	struct state st = { .tenure = 1 };
	struct err err;
	FILE *f;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert(state_load(dir, &st, &err));
	ck_assert_uint_eq(st.tenure, 0);
	ck_assert(state_save(dir, &full, &err));
	ck_assert(state_load(dir, &st, &err));
	ck_assert(same(&st, &full));
	snprintf(path, sizeof(path), "%s/state", dir);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs("mailpair-state 1\ntenure x\nend\n", f);
	fclose(f);
	ck_assert(!state_load(dir, &st, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "line 2"));
	ck_assert(same(&st, &full));
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

START_TEST(keys_of_a_newer_version_are_passed_over)
{
	struct state st;
	struct err err;

	ck_assert(state_parse("mailpair-state 1\ntenure 5\nnew-key 1\nend\n", &st, &err));
	ck_assert_uint_eq(st.tenure, 5);
	ck_assert(!state_parse("mailpair-state 2\ntenure 5\nend\n", &st, &err));
}
END_TEST

START_TEST(a_number_is_digits_and_nothing_else)
{
	static const char *const wrong[] = { "-1", "+1", "1x", "0x10", "18446744073709551616", "99999999999999999999999", "", "1 2", " 1" };
	struct state st = { .tenure = 99 };
	char text[128];
	struct err err;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(text, sizeof(text), "mailpair-state 1\ntenure %s\nend\n", wrong[i]);
		ck_assert_msg(!state_parse(text, &st, &err), "accepted: \"%s\"", wrong[i]);
		ck_assert_uint_eq(st.tenure, 99);
	}
}
END_TEST

static bool
refuses(const char *dir, const char *why)
{
	struct err err;

	return !state_try(dir, &err) && strstr(err.text, dir) != NULL && strstr(err.text, why) != NULL;
}

START_TEST(a_directory_that_is_full_read_only_or_gone_is_told_before_it_is_needed)
{
	char dir[] = "/tmp/test_statefile.XXXXXX", path[64], block[4096] = "x";
	struct err err;
	int fd;

	if (geteuid() != 0) {
		printf("skip: not root, full and read-only file systems are not tested\n");
		return;
	}
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	ck_assert_int_eq(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	ck_assert_int_eq(mount("state", dir, "tmpfs", 0, "size=256k"), 0);
	ck_assert_msg(state_try(dir, &err), "%s", err.text);
	ck_assert_msg(state_try(dir, &err), "%s", err.text);	/* nothing of the first is left */
	snprintf(path, sizeof(path), "%s/filler", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	while (write(fd, block, sizeof(block)) > 0)
		continue;
	close(fd);
	ck_assert(refuses(dir, "No space"));
	ck_assert_int_eq(unlink(path), 0);
	ck_assert(state_try(dir, &err));
	ck_assert_int_eq(mount(NULL, dir, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	ck_assert(refuses(dir, "Read-only"));
	ck_assert_int_eq(umount(dir), 0);
	ck_assert_int_eq(rmdir(dir), 0);
	ck_assert(refuses(dir, "No such"));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("statefile");
	TCase *tc = tcase_create("statefile");

	tcase_add_test(tc, what_is_formatted_is_what_is_parsed);
	tcase_add_test(tc, a_cut_file_is_refused_at_every_length);
	tcase_add_test(tc, no_file_is_a_fresh_start_and_a_damaged_one_is_an_error);
	tcase_add_test(tc, keys_of_a_newer_version_are_passed_over);
	tcase_add_test(tc, a_number_is_digits_and_nothing_else);
	tcase_add_test(tc, a_directory_that_is_full_read_only_or_gone_is_told_before_it_is_needed);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
