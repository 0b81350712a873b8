/*
 * tests/unit/test_storage_try.c - does the disk of the spool answer? On real file systems and loop devices: one that works, is full, can
 * only be read, hangs.
 */
#include <sys/statvfs.h>

#include "supervisor/seal.h"
#include "supervisor/storage_impl.h"
#include "tests/unit/harness.h"
#include "tests/unit/storage_world.h"

#define FILE_NAME DISK_POINT "/" SEAL_DIR "/try"

/* A spool as the owner has it: mounted and sealed. */
static void
must_own(void)
{
	struct seal s = {.pair = "mail", .node = "mx1", .boot = "b", .tenure = 7};
	struct err err;

	must_up();
	ck_assert_msg(seal_write(DISK_POINT, &s, &err), "%s", err.text);
}

static void
must_answer(bool owner)
{
	struct err err = {.text = ""};

	ck_assert_msg(storage_shared.answers(&conf, owner, &err), "%s", err.text);
}

static void
must_refuse(bool owner, const char *words)
{
	struct err err = {.text = ""};

	ck_assert(!storage_shared.answers(&conf, owner, &err));
	ck_assert_msg(strstr(err.text, words) != NULL, "%s", err.text);
}

START_TEST(a_spool_that_works_answers_again_and_again_and_keeps_its_seal)
{
	struct disk_work w;
	struct seal s;
	struct stat st;
	bool exists;

	must_own();
	for (int i = 0; i < 3; i++)
		must_answer(true);
	ck_assert(stat(FILE_NAME, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0777) == 0600);
	ck_assert(seal_read(DISK_POINT, &s, &exists, NULL) && exists && s.tenure == 7);
	must_down(&w);
	ck_assert_ptr_null(strstr(w.report, "holder"));
}
END_TEST

START_TEST(a_full_disk_answers)
{
	char block[65536] = "";
	int fd;

	must_own();
	for (int first = 0; first < 2; first++) {
		fd = open(DISK_POINT "/filler", O_WRONLY | O_CREAT | O_APPEND, 0600);
		ck_assert(fd != -1);
		while (write(fd, block, sizeof(block)) > 0)
			continue;
		while (write(fd, block, 512) > 0)
			continue;
		ck_assert_int_eq(errno, ENOSPC);
		close(fd);
		must_answer(true);
		/* once more with the file there before the disk was full */
		ck_assert(truncate(DISK_POINT "/filler", 0) == 0);
		must_answer(true);
	}
}
END_TEST

START_TEST(a_spool_that_can_only_be_read_says_no)
{
	must_own();
	must_answer(true);
	ck_assert(mount(NULL, DISK_POINT, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0);
	must_refuse(true, "Read-only file system");
}
END_TEST

START_TEST(a_spool_that_is_not_mounted_says_no)
{
	must_refuse(true, "no spool is mounted");
	ck_assert_int_eq(access(DISK_POINT "/" SEAL_DIR, F_OK), -1);
}
END_TEST

START_TEST(nothing_outside_is_written_by_a_link_in_its_place)
{
	must_own();
	disk_file(DISK_ROOT "/outside", "precious", true);
	ck_assert(symlink(DISK_ROOT "/outside", FILE_NAME) == 0);
	must_refuse(true, "cannot write on");
	ck_assert(unlink(FILE_NAME) == 0 && mkdir(FILE_NAME, 0700) == 0);
	must_refuse(true, "cannot write on");
}
END_TEST

static void
device_bytes(char *buf, size_t size)
{
	int fd = open(device, O_RDONLY | O_CLOEXEC);

	ck_assert(fd != -1 && read(fd, buf, size) == (ssize_t)size);
	close(fd);
}

START_TEST(on_the_other_node_the_device_is_read_and_not_written)
{
	static char before[1 << 20], after[1 << 20];

	device_bytes(before, sizeof(before));
	for (int i = 0; i < 3; i++)
		must_answer(false);
	device_bytes(after, sizeof(after));
	ck_assert_mem_eq(before, after, sizeof(before));
	ck_assert(nobody_has_it());
	conf.storage.node_device[0] = "/dev/there-is-no-such-disk";
	must_refuse(false, "cannot open");
}
END_TEST

static bool
try_it(const struct conf *c, struct spawn_out *out, struct err *err)
{
	(void)out;
	return storage_shared.answers(c, true, err);
}

static void
thaw_later(void *arg)
{
	(void)arg;
	disk_thaw();
}

START_TEST(a_spool_that_hangs_does_not_answer_until_it_works_again)
{
	struct disk_work w = {.conf = &conf, .act = try_it, .loop = loop_new()};
	struct loop_timer *t = loop_timer_new(w.loop, thaw_later, NULL);

	must_own();
	must_answer(true);
	disk_freeze(DISK_POINT);
	loop_timer_in(t, 500);
	spawn_work_alone(w.loop, "try", disk_work_run, &w, 20000, disk_work_done, &w);
	loop_run(w.loop);
	ck_assert_msg(w.ok, "%s", w.err.text);
	ck_assert_msg(disk_frozen.fd == -1, "it came back before the disk worked");
	must_answer(true);
	loop_timer_free(t);
	loop_free(w.loop);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("storage_try");
	static const char *const kinds[] = {"ext4", "xfs"};

	if (!disk_possible("test_storage_try")) {
		printf("0 passed, 0 failed\n");
		return 0;
	}
	for (int i = 0; i < 2; i++) {
		TCase *t = tcase_create(kinds[i]);

		tcase_set_timeout(t, 60);
		tcase_add_checked_fixture(t, i == 0 ? world_ext4 : world_xfs, NULL);
		tcase_add_test(t, a_spool_that_works_answers_again_and_again_and_keeps_its_seal);
		tcase_add_test(t, a_full_disk_answers);
		tcase_add_test(t, a_spool_that_can_only_be_read_says_no);
		tcase_add_test(t, a_spool_that_is_not_mounted_says_no);
		tcase_add_test(t, nothing_outside_is_written_by_a_link_in_its_place);
		tcase_add_test(t, on_the_other_node_the_device_is_read_and_not_written);
		tcase_add_test(t, a_spool_that_hangs_does_not_answer_until_it_works_again);
		suite_add_tcase(suite, t);
	}
	return unit_main(suite);
}
