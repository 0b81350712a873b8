/*
 * tests/unit/test_config_install_fault.c - laws of an installation in which something fails: what is to come as a whole comes so or not at all, and what
 * the disk does not take is not put in place. Each call that fails, on random trees: tests/config/trees.
 */
#include "tests/unit/harness.h"

#include <stdatomic.h>
#include <sys/syscall.h>

#include "tests/unit/config_install_bed.h"

/* The first change that fails is not the first one. */
START_TEST(what_is_to_come_as_a_whole_is_taken_back_where_one_of_it_cannot_be_done)
{
	static void (*const edit[])(struct bed *) = { edit_in_place, edit_by_rename, come_first };
	static const char *const path[] = { "t/a", "t/a", "t/new" };
	struct stat st, was;
	struct bed bed;

	bed_open(&bed);
	box_write(&bed.box, "t/.gone", "old gone");
	ck_assert_int_eq(fchmodat(bed.box.root, "t/d/b", 0640, 0), 0);
	ck_assert_int_eq(fstatat(bed.box.root, "t/d", &was, 0), 0);
	bed_plan(&bed, usual);
	bed.o.whole = bed.o.partial = true;
	bed.at_content = edit[_i];
	ck_assert(!bed_apply(&bed));
	ck_assert(report_has(&bed.report, NOTE_FAILED, path[_i]) && !report_has(&bed.report, NOTE_NOT_DONE, NULL));
	ck_assert_str_eq(text_of(&bed, path[_i]), "mine!");
	ck_assert_str_eq(text_of(&bed, "t/.gone"), "old gone");
	ck_assert_str_eq(text_of(&bed, "t/d/b"), "old b");
	ck_assert_str_eq(text_of(&bed, _i == 2 ? "t/a" : "t/new"), _i == 2 ? "old a" : "(none)");
	ck_assert_int_eq(fstatat(bed.box.root, "t/d", &st, 0), 0);
	ck_assert_uint_eq(st.st_mode, was.st_mode);
	nothing_left_over(&bed);
	bed.at_content = NULL;
	bed_plan(&bed, usual);
	ck_assert_msg(bed_apply(&bed), "%s", bed.err.text);
	bed_plan(&bed, usual);
	ck_assert_uint_eq(bed.diff->changes, 0);
	nothing_left_over(&bed);
	bed_close(&bed);
}
END_TEST

/* ---------------------------------------------------------------- many: the disk is written while others are staged */

#define LOTS 3000

static const uint8_t *
no_bytes(void *arg, const struct entry *e)
{
	(void)arg;
	return e->size == 0 ? (const uint8_t *)"" : NULL;
}

/* In place of the C library's: each call counts, and one of them tells, once, that the disk has lost something. */
static _Atomic unsigned int syncs;
static unsigned int lost;

int
syncfs(int fd)
{
	if (atomic_fetch_add(&syncs, 1) + 1 != lost)
		return (int)syscall(SYS_syncfs, fd);
	errno = EIO;
	return -1;
}

static struct theirs *
lots(void)
{
	static char name[LOTS][16];
	static struct theirs theirs[LOTS + 2];

	theirs[0] = (struct theirs){ .path = "t/a", .bytes = "new a", .mode = 0600 };
	for (int i = 0; i < LOTS; i++) {
		snprintf(name[i], sizeof name[i], "t/new-%04d", i);
		theirs[i + 1] = (struct theirs){ .path = name[i], .bytes = "", .mode = 0600 };
	}
	return theirs;
}

/* Once: the kernel tells a descriptor of a loss one time only, and of many syncs it may be any. */
START_TEST(a_sync_that_fails_before_the_first_rename_changes_nothing_whichever_it_is)
{
	unsigned int all = 1;
	struct bed bed;

	bed_open(&bed);
	bed.o.bytes = no_bytes;
	for (lost = 1; lost <= all; lost++) {
		atomic_store(&syncs, 0);
		bed_plan(&bed, lots());
		ck_assert(!bed_apply(&bed));
		ck_assert_msg(strstr(bed.err.text, "cannot be brought to the disk") != NULL, "%s", bed.err.text);
		ck_assert_str_eq(text_of(&bed, "t/new-0000"), "(none)");
		ck_assert_str_eq(text_of(&bed, "t/new-2999"), "(none)");
		old_tree_stands(&bed);
		if (atomic_load(&syncs) > all)
			all = atomic_load(&syncs);
	}
	ck_assert_msg(all >= 2, "no file was on its way before all were staged: %u syncs", all);
	lost = 0;
	bed_plan(&bed, lots());
	ck_assert_msg(bed_apply(&bed), "%s", bed.err.text);
	ck_assert_str_eq(text_of(&bed, "t/new-2999"), "");
	bed_close(&bed);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config install fault");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, what_is_to_come_as_a_whole_is_taken_back_where_one_of_it_cannot_be_done, 0, 3);
	tcase_add_test(tc, a_sync_that_fails_before_the_first_rename_changes_nothing_whichever_it_is);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
