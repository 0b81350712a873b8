/*
 * tests/unit/test_storage.c - the driver "shared" on real block devices: taken once, let go for
 * certain.
 */
#include "mta/qmail_queue.h"
#include "supervisor/storage.h"
#include "supervisor/storage_impl.h"
#include "tests/unit/harness.h"
#include "tests/unit/storage_world.h"

/* Set some bytes of the ext4 super block, as an error or another machine would. */
static void
super_poke(const char *path, off_t at, const void *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	ck_assert(fd != -1 && pwrite(fd, bytes, len, 1024 + at) == (ssize_t)len && fsync(fd) == 0);
	close(fd);
}

static void
no_checksums(void)
{
	const char *argv[] = {"tune2fs", "-O", "^metadata_csum", DISK_ROOT "/image", NULL};

	ck_assert_int_eq(disk_run(argv), 0);
}

static bool
hold_cwd(const char *path)
{
	return chdir(path) == 0;
}

/* ---------------------------------------------------------------- up and down */

START_TEST(what_is_taken_is_held_and_what_is_let_go_is_not)
{
	struct disk_work w;
	struct err err;
	char text[100], ms[20];

	ck_assert_msg(storage_shared.ready(&conf, &err), "%s", err.text);
	ck_assert_int_eq(storage_shared.held(&conf, &err), FACT_NO);
	ck_assert_msg(disk_act(up, &conf, &w), "%s", w.err.text);
	ck_assert(spawn_get(w.report, "mount", ms, sizeof(ms)) != NULL);
	ck_assert_int_eq(storage_shared.held(&conf, &err), FACT_YES);
	ck_assert(storage_shared.ready(&conf, &err));
	ck_assert(storage_shared.describe(&conf, text, sizeof(text), &err));
	ck_assert_msg(strstr(text, " rw, ") != NULL && strstr(text, "% used") != NULL, "%s", text);
	ck_assert(!nobody_has_it());
	must_down(&w);
	ck_assert_int_eq(storage_shared.held(&conf, &err), FACT_NO);
	ck_assert(nobody_has_it());
}
END_TEST

START_TEST(up_and_down_twice_are_as_good_as_once)
{
	struct disk_work w;

	must_down(&w);
	must_up();
	must_up();
	must_down(&w);
	ck_assert(nobody_has_it());
	must_down(&w);
}
END_TEST

/* The super block's options, with a comma at both ends. */
static void
super_options(char *buf, size_t size)
{
	char line[4096], options[256] = "";
	FILE *f = fopen("/proc/self/mounts", "re");

	while (fgets(line, sizeof(line), f) != NULL)
		if (strstr(line, " " DISK_POINT " ") != NULL)
			sscanf(line, "%*s %*s %*s %255s", options);
	fclose(f);
	snprintf(buf, size, ",%s,", options);
}

START_TEST(the_mount_has_the_options_of_the_configuration)
{
	struct mounts m;
	char options[300];

	conf.storage.options =
	    "defaults,noatime,nodev,nosuid,noexec,errors=panic,x-systemd.device-timeout=5,_netdev";
	must_up();
	ck_assert(mounts_read("/proc/self/mountinfo", &m, NULL));
	ck_assert_str_eq(mounts_top(&m, DISK_POINT)->fstype, "ext4");
	mounts_free(&m);
	super_options(options, sizeof(options));
	ck_assert_msg(strstr(options, "noatime") && strstr(options, "nodev") &&
			  strstr(options, "nosuid") && strstr(options, "noexec") &&
			  strstr(options, "errors=panic"),
	    "%s", options);
}
END_TEST

START_TEST(a_spool_of_qmail_is_mounted_dirsync_and_no_other)
{
	static const char *const names[] = {"postfix", "exim", "qmail"};
	struct disk_work w;
	char options[300];

	for (size_t i = 0; i < 3; i++) {
		bool qmail = strcmp(names[i], "qmail") == 0;

		conf.mta.name = names[i];
		must_up();
		super_options(options, sizeof(options));
		ck_assert_msg((strstr(options, ",dirsync,") != NULL) == qmail, "%s: %s", names[i], options);
		ck_assert(mkdir(DISK_POINT "/todo", 0700) == 0 || errno == EEXIST);
		ck_assert_int_eq(qmail_queue_durable(DISK_POINT, NULL), qmail ? FACT_YES : FACT_NO);
		must_down(&w);
	}
}
END_TEST

START_TEST(a_missing_mountpoint_is_made_and_a_filled_one_is_reported)
{
	struct disk_work w;
	char text[200];

	ck_assert(rmdir(DISK_POINT) == 0);
	ck_assert(disk_act(up, &conf, &w));
	ck_assert_str_eq(spawn_get(w.report, "created", text, sizeof(text)), DISK_POINT);
	must_down(&w);
	disk_file(DISK_POINT "/stray", "x", false);
	ck_assert(disk_act(up, &conf, &w));
	ck_assert_str_eq(spawn_get(w.report, "not-empty", text, sizeof(text)), DISK_POINT);
	must_down(&w);
	conf.storage.mountpoint = DISK_ROOT "/no/such/place";
	ck_assert(!disk_act(up, &conf, &w));
}
END_TEST

START_TEST(a_mountpoint_reached_by_a_symbolic_link_is_the_same_mountpoint)
{
	struct disk_work w;

	ck_assert(symlink(DISK_ROOT, DISK_ROOT "/run/link") == 0);
	conf.storage.mountpoint = DISK_ROOT "/run/link/spool/";
	must_up();
	must_up();
	ck_assert_int_eq(storage_shared.held(&conf, NULL), FACT_YES);
	must_down(&w);
	ck_assert(nobody_has_it());
}
END_TEST

START_TEST(an_image_file_gets_a_loop_device_that_goes_with_the_mount)
{
	struct disk_work w;
	struct storage_device d;

	disk_image(DISK_ROOT "/second", "ext4");
	conf.storage.node_device[0] = DISK_ROOT "/second";
	must_up();
	must_up();
	ck_assert_int_eq(storage_shared.held(&conf, NULL), FACT_YES);
	ck_assert(storage_device_find(&conf, &d, NULL));
	ck_assert_uint_eq(d.nodes, 1);
	ck_assert_int_eq(storage_shared.touched(&conf, NULL), FACT_NO);
	must_down(&w);
	ck_assert(storage_device_find(&conf, &d, NULL));
	ck_assert_uint_eq(d.nodes, 0);
	ck_assert_int_eq(storage_shared.held(&conf, NULL), FACT_NO);
}
END_TEST

/* ---------------------------------------------------------------- what is refused */

START_TEST(a_device_mounted_elsewhere_is_refused_and_named)
{
	struct disk_work w;
	struct err err;

	ck_assert(mkdir(DISK_ROOT "/other", 0755) == 0);
	ck_assert(mount(device, DISK_ROOT "/other", conf.storage.fstype, 0, NULL) == 0);
	ck_assert(!disk_act(up, &conf, &w));
	ck_assert_msg(strstr(w.err.text, DISK_ROOT "/other") != NULL, "%s", w.err.text);
	ck_assert(!storage_shared.ready(&conf, &err));
	ck_assert_int_eq(storage_shared.held(&conf, &err), FACT_UNKNOWN);
	must_down(&w); /* lets go of that as well */
	ck_assert(nobody_has_it());
}
END_TEST

START_TEST(a_device_mounted_in_another_namespace_is_refused_and_never_called_not_held)
{
	struct disk_work w;
	struct err err;
	pid_t child;

	must_up();
	child = disk_child(hold_namespace, "", false);
	ck_assert(umount2(DISK_POINT, 0) == 0);
	ck_assert(!nobody_has_it());
	ck_assert(!disk_act(up, &conf, &w));
	ck_assert_msg(strstr(w.err.text, "namespace") != NULL, "%s", w.err.text);
	ck_assert(!storage_shared.ready(&conf, &err));
	ck_assert_int_eq(storage_shared.held(&conf, &err), FACT_UNKNOWN);
	kill(child, SIGKILL);
	disk_ended_by(child);
}
END_TEST

START_TEST(a_device_that_a_program_has_claimed_is_refused)
{
	struct disk_work w;
	int fd = open(device, O_RDONLY | O_EXCL | O_CLOEXEC);

	ck_assert(fd != -1);
	ck_assert(!disk_act(up, &conf, &w));
	ck_assert_int_eq(w.err.sys, EBUSY);
	close(fd);
	must_up();
}
END_TEST

START_TEST(what_holds_no_journalled_file_system_of_that_type_is_refused)
{
	struct disk_work w;
	const char *no_journal[] = {
	    "mkfs.ext4", "-q", "-F", "-O", "^has_journal", DISK_ROOT "/image", NULL};

	conf.storage.fstype = "xfs";
	ck_assert(!disk_act(up, &conf, &w));
	ck_assert_msg(strstr(w.err.text, "no xfs file system") != NULL, "%s", w.err.text);
	conf.storage.fstype = "vfat";
	ck_assert(!disk_act(up, &conf, &w));
	ck_assert_msg(strstr(w.err.text, "journal") != NULL, "%s", w.err.text);
	conf.storage.fstype = "ext4";
	ck_assert_int_eq(disk_run(no_journal), 0);
	ck_assert(!disk_act(up, &conf, &w));
	ck_assert_msg(strstr(w.err.text, "no journal") != NULL, "%s", w.err.text);
	conf.storage.node_device[0] = DISK_ROOT "/nothing";
	ck_assert(!disk_act(up, &conf, &w));
	ck_assert(!storage_shared.ready(&conf, NULL));
	ck_assert(nobody_has_it());
}
END_TEST

START_TEST(a_device_that_can_only_be_read_is_refused)
{
	struct disk_work w;

	disk_image(DISK_ROOT "/fixed", conf.storage.fstype);
	conf.storage.node_device[0] = disk_attach(DISK_ROOT "/fixed", true, device);
	ck_assert(!disk_act(up, &conf, &w));
	ck_assert_int_eq(storage_shared.held(&conf, NULL), FACT_NO);
	ck_assert(nobody_has_it());
}
END_TEST

/* ---------------------------------------------------------------- the check */

START_TEST(a_flawed_file_system_is_mended_asked_about_or_left_by_policy)
{
	static const uint8_t error_state[2] = {3, 0};
	struct disk_work w;
	char text[300];

	no_checksums();
	super_poke(DISK_ROOT "/image", 58, error_state, 2);
	conf.storage.fsck = CONF_FSCK_ASK;
	ck_assert(!storage_shared.ready(&conf, NULL));
	ck_assert(!disk_act(up, &conf, &w));
	ck_assert_msg(strstr(w.err.text, "fsck.ext4") != NULL, "%s", w.err.text);
	conf.storage.fsck = CONF_FSCK_NEVER;
	ck_assert_msg(disk_act(up, &conf, &w), "%s", w.err.text);
	ck_assert(spawn_get(w.report, "flawed", text, sizeof(text)) != NULL);
	must_down(&w);
	super_poke(DISK_ROOT "/image", 58, error_state, 2);
	conf.storage.fsck = CONF_FSCK_PREEN;
	ck_assert_msg(disk_act(up, &conf, &w), "%s", w.err.text);
	ck_assert(spawn_get(w.report, "fsck", text, sizeof(text)) != NULL);
	must_down(&w);
	ck_assert(disk_act(up, &conf, &w));
	ck_assert_msg(
	    spawn_get(w.report, "fsck", text, sizeof(text)) == NULL, "checked again: %s", w.report);
}
END_TEST

START_TEST(what_the_check_cannot_mend_is_refused)
{
	static const uint8_t error_state[2] = {3, 0};
	const char *ruin[] = {"debugfs", "-w", "-R", "clri <2>", DISK_ROOT "/image", NULL};
	struct disk_work w;

	no_checksums();
	ck_assert_int_eq(disk_run(ruin), 0);
	super_poke(DISK_ROOT "/image", 58, error_state, 2);
	conf.storage.fsck = CONF_FSCK_PREEN;
	ck_assert(!disk_act(up, &conf, &w));
	ck_assert_msg(strstr(w.err.text, "exit status") != NULL, "%s", w.err.text);
	ck_assert(nobody_has_it());
}
END_TEST

/* ---------------------------------------------------------------- holders */

START_TEST(a_holder_is_named_and_asked_to_go_first)
{
	struct disk_work w;
	char text[300], expected[300];
	pid_t child;

	must_up();
	child = disk_child(hold_file, DISK_POINT "/open", false);
	must_down(&w);
	ck_assert_int_eq(disk_ended_by(child), SIGTERM);
	snprintf(expected, sizeof(expected), "%d test_storage " DISK_POINT "/open", (int)child);
	ck_assert(spawn_get(w.report, "holder", text, sizeof(text)) != NULL);
	ck_assert_str_eq(text, expected);
	ck_assert(spawn_get(w.report, "killed", text, sizeof(text)) == NULL);
	ck_assert(nobody_has_it());
}
END_TEST

START_TEST(a_holder_that_ignores_term_is_killed_after_its_time)
{
	struct disk_work w;
	char text[300];
	pid_t child, other;

	must_up();
	child = disk_child(hold_file, DISK_POINT "/open", true);
	other = disk_child(hold_cwd, "/", false);
	must_down(&w);
	ck_assert_int_eq(disk_ended_by(child), SIGKILL);
	ck_assert_str_eq(spawn_get(w.report, "killed", text, sizeof(text)), "1");
	ck_assert_msg(kill(other, 0) == 0, "an innocent process was hit");
	kill(other, SIGKILL);
	ck_assert_int_eq(disk_ended_by(other), SIGKILL);
	ck_assert(nobody_has_it());
}
END_TEST

START_TEST(a_holder_that_may_not_be_stopped_is_blamed_in_time_and_the_spool_stays_held)
{
	static const enum conf_holders policies[] = {CONF_HOLDERS_LEAVE, CONF_HOLDERS_TERM};
	struct disk_work w;
	char who[64];
	pid_t child;

	must_up();
	child = disk_child(hold_cwd, DISK_POINT, true);
	snprintf(who, sizeof(who), "test_storage[%d]", (int)child);
	conf.unmount_ms = 900;
	for (size_t i = 0; i < 2; i++) {
		conf.storage.holders = policies[i];
		ck_assert(!disk_act(down, &conf, &w));
		ck_assert_msg(strstr(w.err.text, who) != NULL, "%s", w.err.text);
		ck_assert(kill(child, 0) == 0);
		ck_assert_int_eq(storage_shared.held(&conf, NULL), FACT_YES);
	}
	kill(child, SIGKILL);
	disk_ended_by(child);
}
END_TEST

START_TEST(our_own_ancestors_are_named_and_never_ended)
{
	struct disk_work w;
	char who[64];

	must_up();
	ck_assert(chdir(DISK_POINT) == 0);
	conf.unmount_ms = 1500;
	snprintf(who, sizeof(who), "[%d]", (int)getpid());
	ck_assert(!disk_act(down, &conf, &w));
	ck_assert_msg(strstr(w.err.text, who) != NULL, "%s", w.err.text);
	ck_assert(chdir("/") == 0);
	must_down(&w);
}
END_TEST

START_TEST(mounts_on_it_and_from_it_are_removed_first)
{
	struct disk_work w;

	must_up();
	ck_assert(mkdir(DISK_POINT "/a", 0755) == 0 && mkdir(DISK_POINT "/a/b", 0755) == 0 &&
		  mkdir(DISK_ROOT "/usual", 0755) == 0);
	ck_assert(mount(DISK_POINT "/a", DISK_ROOT "/usual", NULL, MS_BIND, NULL) == 0);
	ck_assert(mount("tmpfs", DISK_POINT "/a", "tmpfs", 0, NULL) == 0);
	ck_assert(mount("tmpfs", DISK_ROOT "/usual/b", "tmpfs", 0, NULL) == 0);
	ck_assert(mount("tmpfs", DISK_POINT, "tmpfs", 0, NULL) == 0);
	ck_assert_int_eq(storage_shared.held(&conf, NULL), FACT_UNKNOWN);
	must_down(&w);
	ck_assert(nobody_has_it());
}
END_TEST

START_TEST(a_copy_in_another_namespace_is_unmounted_there_and_its_process_lives)
{
	struct disk_work w;
	pid_t child;

	must_up();
	child = disk_child(hold_namespace, "", false);
	must_down(&w);
	ck_assert(nobody_has_it());
	ck_assert(kill(child, 0) == 0);
	kill(child, SIGKILL);
	ck_assert_int_eq(disk_ended_by(child), SIGKILL);
}
END_TEST

START_TEST(a_copy_in_another_namespace_that_must_stay_is_no_release)
{
	struct disk_work w;
	pid_t child;

	must_up();
	child = disk_child(hold_namespace, "", false);
	conf.storage.holders = CONF_HOLDERS_TERM;
	conf.unmount_ms = 800;
	ck_assert(!disk_act(down, &conf, &w));
	ck_assert_msg(strstr(w.err.text, "held by") != NULL, "%s", w.err.text);
	ck_assert(!nobody_has_it());
	kill(child, SIGKILL);
	disk_ended_by(child);
	must_down(&w);
}
END_TEST

START_TEST(a_lazily_unmounted_spool_is_not_let_go_until_its_last_file_is_closed)
{
	struct disk_work w;
	pid_t child;

	must_up();
	child = disk_child(hold_file, DISK_POINT "/open", true);
	ck_assert(umount2(DISK_POINT, MNT_DETACH) == 0);
	ck_assert(!nobody_has_it());
	must_down(&w);
	ck_assert_int_eq(disk_ended_by(child), SIGKILL);
	ck_assert(nobody_has_it());
}
END_TEST

START_TEST(a_loop_device_on_the_spool_is_blamed)
{
	struct disk_work w;
	char name[32];

	must_up();
	disk_file(DISK_POINT "/inner", "", false);
	ck_assert(truncate(DISK_POINT "/inner", 1 << 20) == 0);
	disk_attach(DISK_POINT "/inner", false, name);
	ck_assert(!disk_act(down, &conf, &w));
	ck_assert_msg(strstr(w.err.text, name) != NULL, "%s", w.err.text);
	ck_assert_int_eq(storage_shared.held(&conf, NULL), FACT_YES);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("storage");
	TCase *ext4 = tcase_create("ext4"), *both = tcase_create("both-ext4");
	TCase *xfs = tcase_create("both-xfs");
	const TTest *const for_both[] = {
	    what_is_taken_is_held_and_what_is_let_go_is_not,
	    up_and_down_twice_are_as_good_as_once,
	    a_device_mounted_elsewhere_is_refused_and_named,
	    a_device_that_can_only_be_read_is_refused,
	    a_holder_that_ignores_term_is_killed_after_its_time,
	    a_lazily_unmounted_spool_is_not_let_go_until_its_last_file_is_closed,
	};

	if (!disk_possible("test_storage"))
		return 0;
	tcase_add_checked_fixture(ext4, world_ext4, NULL);
	tcase_set_timeout(ext4, 60);
	tcase_add_test(ext4, the_mount_has_the_options_of_the_configuration);
	tcase_add_test(ext4, a_spool_of_qmail_is_mounted_dirsync_and_no_other);
	tcase_add_test(ext4, a_missing_mountpoint_is_made_and_a_filled_one_is_reported);
	tcase_add_test(ext4, a_mountpoint_reached_by_a_symbolic_link_is_the_same_mountpoint);
	tcase_add_test(ext4, an_image_file_gets_a_loop_device_that_goes_with_the_mount);
	tcase_add_test(
	    ext4, a_device_mounted_in_another_namespace_is_refused_and_never_called_not_held);
	tcase_add_test(ext4, a_device_that_a_program_has_claimed_is_refused);
	tcase_add_test(ext4, what_holds_no_journalled_file_system_of_that_type_is_refused);
	tcase_add_test(ext4, a_flawed_file_system_is_mended_asked_about_or_left_by_policy);
	tcase_add_test(ext4, what_the_check_cannot_mend_is_refused);
	tcase_add_test(ext4, a_holder_is_named_and_asked_to_go_first);
	tcase_add_test(
	    ext4, a_holder_that_may_not_be_stopped_is_blamed_in_time_and_the_spool_stays_held);
	tcase_add_test(ext4, our_own_ancestors_are_named_and_never_ended);
	tcase_add_test(ext4, mounts_on_it_and_from_it_are_removed_first);
	tcase_add_test(ext4, a_copy_in_another_namespace_is_unmounted_there_and_its_process_lives);
	tcase_add_test(ext4, a_copy_in_another_namespace_that_must_stay_is_no_release);
	tcase_add_test(ext4, a_loop_device_on_the_spool_is_blamed);
	suite_add_tcase(suite, ext4);
	tcase_add_checked_fixture(both, world_ext4, NULL);
	tcase_set_timeout(both, 60);
	tcase_add_checked_fixture(xfs, world_xfs, NULL);
	tcase_set_timeout(xfs, 60);
	for (size_t i = 0; i < sizeof(for_both) / sizeof(for_both[0]); i++) {
		tcase_add_test(both, for_both[i]);
		tcase_add_test(xfs, for_both[i]);
	}
	suite_add_tcase(suite, both);
	suite_add_tcase(suite, xfs);
	return unit_main(suite);
}
