/*
 * tests/unit/test_storage_parts.c - the pure parts of the driver "shared": options, super blocks,
 * tables.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

#include "supervisor/storage_impl.h"
#include "tests/unit/harness.h"

START_TEST(options_become_flags_and_the_rest_is_handed_on_in_order)
{
	static const struct {
		const char *text;
		unsigned long flags;
		const char *data;
	} good[] = {
	    {"", 0, ""},
	    {"defaults", 0, ""},
	    {"noatime,nodev", MS_NOATIME | MS_NODEV, ""},
	    {"noatime,atime", 0, ""},
	    {"errors=panic,noexec,data=ordered", MS_NOEXEC, "errors=panic,data=ordered"},
	    {",,sync,,dirsync,", MS_SYNCHRONOUS | MS_DIRSYNC, ""},
	    {"context=\"a:b,c\",lazytime", MS_LAZYTIME, "context=\"a:b,c\""},
	    {"x-systemd.requires=a,comment=b,noauto,nofail,user", 0, ""},
	    {"noatimes", 0, "noatimes"},
	};
	static const char *const bad[] = {"ro", "noatime,remount", "bind"};
	unsigned long flags;
	char data[STORAGE_DATA_MAX], longer[2 * STORAGE_DATA_MAX];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ck_assert(storage_options(good[i].text, &flags, data, NULL));
		ck_assert_msg(flags == good[i].flags && strcmp(data, good[i].data) == 0,
		    "%s: %lx %s", good[i].text, flags, data);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!storage_options(bad[i], &flags, data, NULL), "%s", bad[i]);
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	ck_assert(!storage_options(longer, &flags, data, NULL));
}
END_TEST

START_TEST(only_file_systems_with_a_journal_are_known)
{
	static const char *const known[] = {"ext4", "ext3", "xfs", "jfs", "btrfs", "f2fs"};
	static const char *const unknown[] = {"ext2", "vfat", "tmpfs", "nfs", "", "ext"};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		ck_assert(storage_fs_find(known[i]) != NULL);
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		ck_assert(storage_fs_find(unknown[i]) == NULL);
}
END_TEST

START_TEST(a_crash_alone_is_no_flaw_and_an_error_is_one_whatever_else)
{
	static const struct {
		uint8_t state, incompat;
		bool flawed, replay;
	} cases[] = {
	    {1, 0, false, false}, /* clean */
	    {1, 4, false, true},  /* crashed */
	    {0, 4, false, true},  /* crashed, by an older kernel */
	    {0, 0, true, false},  /* not valid, and no journal will make it so */
	    {3, 0, true, false},
	    {3, 4, true, true},
	    {2, 4, true, true},
	};
	const struct storage_fs *fs = storage_fs_find("ext4");
	struct storage_super s;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t b[SUPER_LEN] = {0};

		b[1024 + 56] = 0x53;
		b[1024 + 57] = 0xEF;
		b[1024 + 58] = cases[i].state;
		b[1024 + 92] = 4;
		b[1024 + 96] = cases[i].incompat;
		ck_assert(storage_super_parse(fs, b, "x", &s, NULL));
		ck_assert_msg(
		    s.flawed == cases[i].flawed && s.replay == cases[i].replay, "case %zu", i);
		b[1024 + 56] = 0;
		ck_assert(!storage_super_parse(fs, b, "x", &s, NULL));
	}
}
END_TEST

START_TEST(the_tables_of_mounts_are_read_as_the_kernel_writes_them)
{
	const char *text =
	    "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
	    "40 27 7:3 /postfix /var/spool/my\\040post rw shared:5 master:1 - ext4 /dev/loop3 rw\n"
	    "41 40 0:50 / /var/spool/my\\040post rw - tmpfs none rw\n"
	    "39 27 8:300 / /a rw - xfs  rw\n";
	struct mounts m;

	ck_assert(mounts_parse(strdup(text), &m, NULL));
	ck_assert_uint_eq(m.len, 4);
	ck_assert_str_eq(m.row[1].root, "/postfix");
	ck_assert(m.row[1].dev == makedev(7, 3) && m.row[3].dev == makedev(8, 300));
	ck_assert_str_eq(m.row[1].source, "/dev/loop3");
	ck_assert_ptr_eq(mounts_top(&m, "/var/spool/my post"), &m.row[2]);
	ck_assert_ptr_null(mounts_top(&m, "/var"));
	mounts_free(&m);
	ck_assert(!mounts_parse(strdup("22 27 0:21 / /proc\n"), &m, NULL));
	ck_assert(!mounts_parse(strdup("garbage\n"), &m, NULL));
	ck_assert(mounts_parse(strdup(""), &m, NULL));
	mounts_free(&m);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("storage_parts");
	TCase *pure = tcase_create("pure");

	tcase_add_test(pure, options_become_flags_and_the_rest_is_handed_on_in_order);
	tcase_add_test(pure, only_file_systems_with_a_journal_are_known);
	tcase_add_test(pure, a_crash_alone_is_no_flaw_and_an_error_is_one_whatever_else);
	tcase_add_test(pure, the_tables_of_mounts_are_read_as_the_kernel_writes_them);
	suite_add_tcase(suite, pure);
	return unit_main(suite);
}
