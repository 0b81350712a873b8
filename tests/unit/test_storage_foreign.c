/*
 * tests/unit/test_storage_foreign.c - when another node has the spool by right: seen, and let go
 * without writing. The other node is a second loop device on the same image.
 */
#include "supervisor/storage.h"
#include "supervisor/storage_impl.h"
#include "tests/unit/harness.h"
#include "tests/unit/storage_world.h"

static bool
abandon(const struct conf *c, struct spawn_out *out, struct err *err)
{
	return storage_shared.abandon(c, out, err);
}

/* See the disk as the other node would: through another loop device, in this kernel. */
static void
other_node_mounts(const char *point)
{
	char name[32];

	ck_assert(mkdir(point, 0755) == 0);
	disk_attach(DISK_ROOT "/image", false, name);
	ck_assert_msg(mount(name, point, conf.storage.fstype, 0,
			  strcmp(conf.storage.fstype, "xfs") == 0 ? "nouuid" : NULL) == 0,
	    "%s", strerror(errno));
}

START_TEST(abandoned_means_synced_is_there_and_unsynced_never_gets_there)
{
	struct disk_work w;
	pid_t child;

	must_up();
	disk_file(DISK_POINT "/synced", "kept", true);
	child = disk_child(hold_file, DISK_POINT "/held", true);
	disk_file(DISK_POINT "/unsynced", "lost", false);
	ck_assert_msg(disk_act(abandon, &conf, &w), "%s", w.err.text);
	ck_assert_int_eq(disk_ended_by(child), SIGKILL);
	ck_assert(nobody_has_it());
	ck_assert_int_eq(storage_shared.held(&conf, NULL), FACT_NO);
	other_node_mounts(DISK_ROOT "/other");
	ck_assert(access(DISK_ROOT "/other/synced", F_OK) == 0);
	ck_assert(access(DISK_ROOT "/other/unsynced", F_OK) == -1);
	ck_assert(umount2(DISK_ROOT "/other", 0) == 0);
	ck_assert_msg(disk_act(abandon, &conf, &w), "%s", w.err.text);
}
END_TEST

START_TEST(abandoning_reaches_a_spool_that_only_another_namespace_sees)
{
	struct disk_work w;
	pid_t child;

	must_up();
	disk_file(DISK_POINT "/synced", "kept", true);
	disk_file(DISK_POINT "/unsynced", "lost", false);
	child = disk_child(hold_namespace, "", false);
	ck_assert(umount2(DISK_POINT, 0) == 0);
	ck_assert_msg(disk_act(abandon, &conf, &w), "%s", w.err.text);
	ck_assert(nobody_has_it());
	other_node_mounts(DISK_ROOT "/other");
	ck_assert(access(DISK_ROOT "/other/unsynced", F_OK) == -1);
	kill(child, SIGKILL);
	disk_ended_by(child);
}
END_TEST

START_TEST(a_mount_by_another_node_is_noticed)
{
	struct disk_work w;
	struct err err;

	ck_assert_int_eq(storage_shared.touched(&conf, &err), FACT_UNKNOWN);
	must_up();
	ck_assert_int_eq(storage_shared.touched(&conf, &err), FACT_NO);
	other_node_mounts(DISK_ROOT "/other");
	ck_assert_int_eq(storage_shared.touched(&conf, &err), FACT_YES);
	ck_assert_msg(disk_act(abandon, &conf, &w), "%s", w.err.text);
}
END_TEST

START_TEST(our_own_writes_and_remounts_are_no_foreign_mount)
{
	struct err err;

	must_up();
	for (int i = 0; i < 50; i++) {
		disk_file(DISK_POINT "/file", "text", true);
		ck_assert(unlink(DISK_POINT "/file") == 0);
	}
	sync();
	ck_assert_int_eq(storage_shared.touched(&conf, &err), FACT_NO);
	ck_assert(mount(NULL, DISK_POINT, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0);
	ck_assert(mount(NULL, DISK_POINT, NULL, MS_REMOUNT, NULL) == 0);
	sync();
	ck_assert_int_eq(storage_shared.touched(&conf, &err), FACT_NO);
}
END_TEST

static void
image_head(int fd, uint8_t head[4096])
{
	ck_assert(pread(fd, head, 4096, 0) == 4096);
}

/*
 * Our kernel has the super block dirty: looking must not write it over what another one has there.
 * Told from beneath the device, or, where that cannot be reached, not told.
 */
START_TEST(looking_for_another_nodes_mount_writes_nothing)
{
	uint8_t before[4096], after[4096];
	struct storage_super super;
	struct err err;
	int fd, held;

	must_up();
	disk_file(DISK_POINT "/doomed", "text", true);
	held = open(DISK_POINT "/doomed", O_RDWR | O_CLOEXEC);
	/* An orphan is noted in the super block: committed to the journal, dirty in its place. */
	ck_assert(held != -1 && unlink(DISK_POINT "/doomed") == 0);
	disk_file(DISK_POINT "/file", "text", true);
	fd = open(DISK_ROOT "/image", O_RDONLY | O_CLOEXEC);
	ck_assert(fd != -1);
	image_head(fd, before);
	ck_assert_int_eq(storage_shared.touched(&conf, &err), FACT_NO);
	ck_assert(unlink(DISK_ROOT "/image") == 0);
	ck_assert_int_eq(storage_shared.touched(&conf, &err), FACT_UNKNOWN);
	image_head(fd, after);
	ck_assert_msg(memcmp(before, after, sizeof(before)) == 0, "the question wrote");
	ck_assert(storage_super_read(storage_fs_find("ext4"), device, VIEW_DISK, &super, NULL));
	image_head(fd, after);
	ck_assert_msg(memcmp(before, after, sizeof(before)) != 0, "nothing was dirty: no proof");
	close(held);
	close(fd);
}
END_TEST

START_TEST(another_file_of_the_images_name_is_not_taken_for_it)
{
	struct err err;

	must_up();
	ck_assert(rename(DISK_ROOT "/image", DISK_ROOT "/kept") == 0);
	ck_assert(mkdir(DISK_ROOT "/other", 0755) == 0);
	ck_assert(mount("tmpfs", DISK_ROOT "/other", "tmpfs", 0, NULL) == 0);
	disk_image(DISK_ROOT "/other/kept", "ext4");
	ck_assert(mount(DISK_ROOT "/other/kept", DISK_ROOT "/kept", NULL, MS_BIND, NULL) == 0);
	ck_assert_int_ne(storage_shared.touched(&conf, &err), FACT_YES);
}
END_TEST

START_TEST(a_partition_is_read_beneath_at_its_place)
{
	char disk[32], name[40];
	struct storage_super here, below;
	uint8_t bytes[SUPER_LEN];
	const char *mkfs[] = {"mkfs.ext4", "-q", "-F", name, NULL};
	off_t offset = 0;
	int fd;

	disk_image(DISK_ROOT "/disk", NULL);
	fd = open(disk_attach(DISK_ROOT "/disk", false, disk), O_RDWR | O_CLOEXEC);
	ck_assert(fd != -1);
	ck_assert(disk_partition(fd, 2048 * 512, 40960 * 512));
	snprintf(name, sizeof(name), "%sp1", disk);
	ck_assert_int_eq(disk_run(mkfs), 0);
	close(fd);
	fd = storage_beneath_open(name, &offset);
	ck_assert(fd != -1);
	ck_assert_int_eq(offset, 2048 * 512);
	ck_assert(storage_super_read(storage_fs_find("ext4"), name, VIEW_DISK, &here, NULL));
	ck_assert(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0);
	close(fd);
	fd = open(disk, O_RDONLY | O_CLOEXEC);
	ck_assert(pread(fd, bytes, sizeof(bytes), offset) == sizeof(bytes));
	close(fd);
	ck_assert(storage_super_parse(storage_fs_find("ext4"), bytes, name, &below, NULL));
	ck_assert(memcmp(here.uuid, below.uuid, sizeof(here.uuid)) == 0);
	ck_assert(storage_super_read(storage_fs_find("ext4"), name, VIEW_DISK_ONLY, &below, NULL));
	ck_assert(memcmp(here.uuid, below.uuid, sizeof(here.uuid)) == 0);
}
END_TEST

START_TEST(a_busy_spool_can_be_asked_at_any_time)
{
	struct err err;

	must_up();
	for (int i = 0; i < 50; i++) {
		int fd;

		disk_file(DISK_POINT "/file", "text", true);
		fd = open(DISK_POINT "/file", O_RDWR | O_CLOEXEC);
		ck_assert(fd != -1 && unlink(DISK_POINT "/file") == 0);
		ck_assert_msg(storage_shared.touched(&conf, &err) == FACT_NO, "%s", err.text);
		close(fd);
	}
}
END_TEST

START_TEST(who_mounted_it_is_known_until_it_is_let_go)
{
	struct disk_work w;

	ck_assert(!storage_shared.mine(&conf));
	must_up();
	ck_assert(storage_shared.mine(&conf));
	ck_assert_msg(disk_act(abandon, &conf, &w), "%s", w.err.text);
	ck_assert(!storage_shared.mine(&conf));
	ck_assert(mount(conf.storage.node_device[0], DISK_POINT, conf.storage.fstype, 0, NULL) == 0);
	ck_assert(!storage_shared.mine(&conf));
}
END_TEST

START_TEST(a_file_system_without_stamps_leaves_it_unknown)
{
	struct err err;

	must_up();
	ck_assert_int_eq(storage_shared.touched(&conf, &err), FACT_UNKNOWN);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("storage_foreign");
	TCase *ext4 = tcase_create("ext4"), *xfs = tcase_create("xfs");

	if (!disk_possible("test_storage_foreign"))
		return 0;
	tcase_add_checked_fixture(ext4, world_ext4, NULL);
	tcase_set_timeout(ext4, 60);
	tcase_add_test(ext4, abandoned_means_synced_is_there_and_unsynced_never_gets_there);
	tcase_add_test(ext4, abandoning_reaches_a_spool_that_only_another_namespace_sees);
	tcase_add_test(ext4, a_mount_by_another_node_is_noticed);
	tcase_add_test(ext4, who_mounted_it_is_known_until_it_is_let_go);
	tcase_add_test(ext4, our_own_writes_and_remounts_are_no_foreign_mount);
	tcase_add_test(ext4, looking_for_another_nodes_mount_writes_nothing);
	tcase_add_test(ext4, a_busy_spool_can_be_asked_at_any_time);
	tcase_add_test(ext4, another_file_of_the_images_name_is_not_taken_for_it);
	tcase_add_test(ext4, a_partition_is_read_beneath_at_its_place);
	suite_add_tcase(suite, ext4);
	tcase_add_checked_fixture(xfs, world_xfs, NULL);
	tcase_set_timeout(xfs, 60);
	tcase_add_test(xfs, abandoned_means_synced_is_there_and_unsynced_never_gets_there);
	tcase_add_test(xfs, who_mounted_it_is_known_until_it_is_let_go);
	tcase_add_test(xfs, a_file_system_without_stamps_leaves_it_unknown);
	suite_add_tcase(suite, xfs);
	return unit_main(suite);
}
