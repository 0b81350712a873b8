/*
 * tests/unit/test_storage_ease.c - what is done of an unmount while mail is still served changes nothing that anybody sees. On real file
 * systems and loop devices.
 */
#include <sys/mount.h>
#include <sys/statvfs.h>

#include "supervisor/mounts.h"
#include "supervisor/storage_impl.h"
#include "tests/unit/harness.h"
#include "tests/unit/storage_world.h"

static bool
ease(const struct conf *c, struct spawn_out *out, struct err *err)
{
	return storage_shared.ease(c, out, err);
}

/* The line of mountinfo that the mountpoint has. */
static void
options(char *buf, size_t size)
{
	FILE *f = fopen("/proc/self/mountinfo", "r");
	char line[1024];

	buf[0] = '\0';
	while (fgets(line, sizeof line, f) != NULL)
		if (strstr(line, " " DISK_POINT " ") != NULL)
			snprintf(buf, size, "%s", line);
	fclose(f);
	ck_assert_str_ne(buf, "");
}

START_TEST(what_is_mounted_stays_as_it_is)
{
	char before[1024], after[1024];
	struct disk_work w;
	struct stat st;
	int fd;

	conf.storage.options = "noatime,nodev,commit=7";
	if (strcmp(conf.storage.fstype, "xfs") == 0)
		conf.storage.options = "noatime,nodev";
	must_up();
	fd = open(DISK_POINT "/written", O_RDWR | O_CREAT | O_EXCL, 0600);
	ck_assert_int_eq(write(fd, "mail", 4), 4);
	options(before, sizeof before);
	for (int i = 0; i < 3; i++)
		ck_assert_msg(disk_act(ease, &conf, &w), "%s", w.err.text);
	options(after, sizeof after);
	ck_assert_str_eq(before, after);
	ck_assert(strstr(w.report, "sync ") != NULL && (strstr(w.report, "forget ") != NULL) == (strcmp(conf.storage.fstype, "ext4") == 0));
	ck_assert_int_eq(pwrite(fd, "more", 4, 4), 4);		/* who has it open goes on */
	ck_assert(fstat(fd, &st) == 0 && st.st_size == 8);
	close(fd);
	ck_assert_int_eq(storage_shared.touched(&conf, NULL), strcmp(conf.storage.fstype, "ext4") == 0 ? FACT_NO : FACT_UNKNOWN);
	must_down(&w);
}
END_TEST

/* After an error ext4 can only be read, and that must stay so. */
START_TEST(what_can_only_be_read_is_not_made_writable)
{
	struct disk_work w;
	struct statvfs v;

	must_up();
	ck_assert_int_eq(mount(NULL, DISK_POINT, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	ck_assert_msg(disk_act(ease, &conf, &w), "%s", w.err.text);
	ck_assert_ptr_null(strstr(w.report, "forget"));
	ck_assert(statvfs(DISK_POINT, &v) == 0 && (v.f_flag & ST_RDONLY) != 0);
	must_down(&w);
}
END_TEST

/* What lies beneath is this node's own disk. */
START_TEST(what_is_not_mounted_is_left_alone)
{
	struct disk_work w;

	must_up();
	must_down(&w);
	ck_assert(!disk_act(ease, &conf, &w));
	ck_assert_ptr_nonnull(strstr(w.err.text, "not mounted"));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("storage_ease");
	static const char *const kinds[] = {"ext4", "xfs"};

	if (!disk_possible("test_storage_ease")) {
		printf("0 passed, 0 failed\n");
		return 0;
	}
	for (int i = 0; i < 2; i++) {
		TCase *t = tcase_create(kinds[i]);

		tcase_set_timeout(t, 60);
		tcase_add_checked_fixture(t, i == 0 ? world_ext4 : world_xfs, NULL);
		tcase_add_test(t, what_is_mounted_stays_as_it_is);
		tcase_add_test(t, what_can_only_be_read_is_not_made_writable);
		tcase_add_test(t, what_is_not_mounted_is_left_alone);
		suite_add_tcase(suite, t);
	}
	return unit_main(suite);
}
