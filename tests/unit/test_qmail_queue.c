/*
 * tests/unit/test_qmail_queue.c - laws of qmail's queue as directories, on trees that are made here; and on a real
 * ext4: what makes changes of directories durable, and what only seems to. Needs root.
 */
#include <pwd.h>
#include <stdarg.h>
#include <sys/types.h>

#include "mta/qmail_queue.h"
#include "tests/unit/disk.h"
#include "tests/unit/harness.h"

#define ROOT DISK_ROOT "/queue"
#define SPLIT 23

static const char owners_text[] = "user qmailq 7794\nuser qmails 7796\nuser qmailr 7795\ngroup qmail 2107\n";
static struct queue_owners owners;
static struct queue_layout layout;
static struct err err;

static void __attribute__((format(printf, 3, 4)))
make(unsigned int uid, unsigned int mode, const char *fmt, ...)
{
	char path[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(path, sizeof path, fmt, ap);
	va_end(ap);
	ck_assert(mkdir(path, 0700) == 0);
	ck_assert(chown(path, uid, 2107) == 0 && chmod(path, mode) == 0);
}

static void __attribute__((format(printf, 1, 2)))
touch(const char *fmt, ...)
{
	char path[256];
	va_list ap;
	int fd;

	va_start(ap, fmt);
	vsnprintf(path, sizeof path, fmt, ap);
	va_end(ap);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ck_assert_msg(fd != -1, "%s: %s", path, strerror(errno));
	close(fd);
}

static void
split_up(const char *at, unsigned int uid, unsigned int mode)
{
	for (int n = 0; n < SPLIT; n++)
		make(uid, mode, "%s/%d", at, n);
}

/* As "make setup" leaves it. */
static void
queue_at(const char *root, bool big_todo)
{
	static const struct { const char *name; unsigned int uid, mode; int split; } dirs[] = {
		{ "pid", 7794, 0700, 0 }, { "mess", 7794, 0750, 1 }, { "intd", 7794, 0700, 2 }, { "todo", 7794, 0750, 2 },
		{ "info", 7796, 0700, 1 }, { "local", 7796, 0700, 1 }, { "remote", 7796, 0700, 1 }, { "bounce", 7796, 0700, 0 },
		{ "lock", 7794, 0750, 0 },
	};
	char path[256];

	make(7794, 0750, "%s", root);
	for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
		snprintf(path, sizeof path, "%s/%s", root, dirs[i].name);
		make(dirs[i].uid, dirs[i].mode, "%s", path);
		if (dirs[i].split == 1 || (dirs[i].split == 2 && big_todo))
			split_up(path, dirs[i].uid, dirs[i].mode);
	}
	touch("%s/lock/sendmutex", root);
	touch("%s/lock/tcpto", root);
	snprintf(path, sizeof path, "%s/lock/trigger", root);
	ck_assert(mkfifo(path, 0600) == 0 && chmod(path, 0622) == 0);
}

static void
setup(void)
{
	disk_world();
	err.text[0] = '\0';
	ck_assert(queue_owners_parse(owners_text, "owners", &owners, &err));
}

static void
lay_out(uint32_t built)
{
	ck_assert_msg(qmail_layout(ROOT, built, &owners, &layout, &err), "%s", err.text);
}

static const struct queue_place *
place(const char *path)
{
	for (size_t i = 0; i < layout.places; i++)
		if (strcmp(layout.place[i].path, path) == 0)
			return &layout.place[i];
	ck_abort_msg("no place %s", path);
	return NULL;
}

START_TEST(split_and_big_todo_are_told_from_the_tree)
{
	queue_at(ROOT, _i != 0);
	lay_out(0);
	ck_assert_uint_eq(layout.split, SPLIT);
	ck_assert_int_eq(layout.big_todo, _i != 0);
	ck_assert_int_eq(place("mess")->hash, QUEUE_MOD);
	ck_assert(place("mess")->subs_required && !place("bounce")->subs_required);
	ck_assert_int_eq(place("todo")->hash, _i != 0 ? QUEUE_MOD : QUEUE_FLAT);
	ck_assert_int_eq(place("intd")->subs_required, _i != 0);
	ck_assert_uint_eq(place("info")->uid, 7796);
	ck_assert_uint_eq(place("mess")->uid, 7794);
	ck_assert_uint_eq(place("mess")->gid, 2107);
	ck_assert_uint_eq(layout.remote_uid, 7795);
	ck_assert_msg(qmail_queue_startable(&layout, &err), "%s", err.text);
	queue_layout_free(&layout);
}
END_TEST

START_TEST(a_missing_or_a_stray_directory_changes_no_split)
{
	queue_at(ROOT, false);
	ck_assert(rmdir(ROOT "/mess/22") == 0 && rmdir(ROOT "/info/22") == 0 && rmdir(ROOT "/info/3") == 0);
	make(0, 0700, ROOT "/remote/99");
	make(0, 0700, ROOT "/local/007");
	make(0, 0700, ROOT "/mess/4000000000");
	make(0, 0700, ROOT "/todo/5");
	touch(ROOT "/mess/150");
	lay_out(0);
	ck_assert_uint_eq(layout.split, SPLIT);
	ck_assert(!layout.big_todo);
	ck_assert(!qmail_queue_startable(&layout, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "lacks the directory"));
	queue_layout_free(&layout);
}
END_TEST

START_TEST(what_shows_no_split_is_no_queue_unless_the_programs_say)
{
	char *text = err.text;

	make(0, 0755, ROOT);
	ck_assert(!qmail_layout(ROOT, 0, &owners, &layout, &err));
	ck_assert_ptr_nonnull(strstr(text, "no queue of qmail"));
	ck_assert(!qmail_layout(DISK_ROOT "/nothing", 0, &owners, &layout, &err));
	lay_out(151);
	ck_assert_uint_eq(layout.split, 151);
	queue_layout_free(&layout);
}
END_TEST

START_TEST(accounts_come_from_the_file_or_else_from_the_queue_itself)
{
	queue_at(ROOT, false);
	ck_assert(queue_owners_parse("user qmailq 1\n", "x", &owners, &err));
	ck_assert(!qmail_layout(ROOT, 0, &owners, &layout, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "qmailr"));
	if (getpwnam("qmailq") != NULL)
		return;		/* a host with qmail has its own numbers */
	ck_assert(qmail_layout(ROOT, 0, NULL, &layout, &err));
	ck_assert_uint_eq(place("info")->uid, 7796);
	ck_assert_uint_eq(place("todo")->uid, 7794);
	ck_assert_uint_eq(place("pid")->gid, 2107);
	queue_layout_free(&layout);
}
END_TEST

/* Each thing on which qmail-send hangs, spins or loses its way. */
static const struct { const char *how; const char *says; } spoilt[] = {
	{ "mess/7", "lacks the directory" }, { "bounce", "lacks the directory" }, { "lock/trigger", "lacks lock/trigger" },
	{ "lock/sendmutex", "lacks lock/sendmutex" }, { "regular trigger", "no FIFO" }, { "mode of trigger", "no FIFO" },
	{ "owner", "belongs to uid" }, { "split", "conf-split" }, { "link", "no directory" },
};

START_TEST(qmail_is_not_started_on_what_would_hold_it_up)
{
	const char *how = spoilt[_i].how;
	char path[256];

	queue_at(ROOT, false);
	snprintf(path, sizeof path, ROOT "/%s", how);
	if (strcmp(how, "regular trigger") == 0) {
		ck_assert(unlink(ROOT "/lock/trigger") == 0);
		touch(ROOT "/lock/trigger");
		ck_assert(chmod(ROOT "/lock/trigger", 0622) == 0);
	} else if (strcmp(how, "mode of trigger") == 0) {
		ck_assert(chmod(ROOT "/lock/trigger", 0600) == 0);
	} else if (strcmp(how, "owner") == 0) {
		ck_assert(chown(ROOT "/local/4", 0, 0) == 0);
	} else if (strcmp(how, "link") == 0) {
		ck_assert(rmdir(ROOT "/pid") == 0 && symlink("/tmp", ROOT "/pid") == 0);
	} else if (strcmp(how, "split") != 0) {
		ck_assert(remove(path) == 0);
	}
	lay_out(strcmp(how, "split") == 0 ? 151 : SPLIT);
	ck_assert(!qmail_queue_startable(&layout, &err));
	ck_assert_msg(strstr(err.text, spoilt[_i].says) != NULL, "%s", err.text);
	queue_layout_free(&layout);
}
END_TEST

START_TEST(a_message_that_is_being_preprocessed_counts_once)
{
	struct mta_queue_counts n;

	queue_at(ROOT, _i != 0);
	for (int i = 100; i < 150; i++)
		_i != 0 ? touch(ROOT "/todo/%d/%d", i % SPLIT, i) : touch(ROOT "/todo/%d", i);
	for (int i = 145; i < 170; i++)
		touch(ROOT "/info/%d/%d", i % SPLIT, i);
	touch(ROOT "/todo/%sREADME", _i != 0 ? "3/" : "");
	touch(ROOT "/info/3/0123");
	lay_out(0);
	ck_assert_msg(qmail_queue_count(&layout, &n, &err), "%s", err.text);
	ck_assert_uint_eq(n.incoming, 50);
	ck_assert_uint_eq(n.deferred, 20);
	ck_assert_uint_eq(n.total, 70);
	ck_assert_uint_eq(n.active + n.hold + n.corrupt + n.maildrop, 0);
	ck_assert(rename(ROOT "/info/3", ROOT "/three") == 0);
	memset(&n, 0x5a, sizeof n);
	ck_assert(!qmail_queue_count(&layout, &n, &err));
	ck_assert_uint_eq(n.total, UINT64_C(0x5a5a5a5a5a5a5a5a));
	queue_layout_free(&layout);
}
END_TEST

/* ---------------------------------------------------------------- dirsync */

static const char mountinfo[] =
    "21 26 0:19 / /sys rw,nosuid shared:7 - sysfs sysfs rw\n"
    "26 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro\n"
    "301 26 7:0 / /srv/mail rw,noatime shared:9 - ext4 /dev/loop0 rw,dirsync\n"
    "302 26 7:1 / /srv/dirsync rw,dirsync - ext4 /dev/loop1 rw,nodirsync,dirsyncs,data=ordered\n"
    "303 26 7:2 / /srv/sync rw - ext4 /dev/loop2 rw,sync,discard\n"
    "30 26 7:3 / /srv/mail2 rw,noatime - ext4 /dev/loop3 rw,seclabel,dirsync,data=ordered\n";

START_TEST(dirsync_is_what_the_super_block_says)
{
	static const struct { uint64_t id; enum fact fact; } mounts[] = { { 301, FACT_YES }, { 30, FACT_YES }, { 303, FACT_YES },
		{ 302, FACT_NO }, { 26, FACT_NO }, { 3, FACT_UNKNOWN }, { 3010, FACT_UNKNOWN } };

	for (size_t i = 0; i < sizeof mounts / sizeof mounts[0]; i++)
		ck_assert_int_eq(qmail_mount_is_dirsync(mountinfo, mounts[i].id), mounts[i].fact);
	ck_assert_int_eq(qmail_mount_is_dirsync("", 1), FACT_UNKNOWN);
}
END_TEST

static void
set_attribute(const char *path, int flag)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), flags = 0;

	ck_assert(fd != -1 && ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0);
	flags |= flag;
	ck_assert(ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0);
	close(fd);
}

/* The kernel takes a remount with dirsync and does nothing of it: mail was lost so. */
START_TEST(only_a_mount_with_dirsync_or_the_attribute_is_durable)
{
	char device[32];

	disk_image(DISK_ROOT "/image", "ext4");
	disk_attach(DISK_ROOT "/image", false, device);
	ck_assert(mount(device, DISK_POINT, "ext4", 0, NULL) == 0);
	queue_at(DISK_POINT "/queue", _i != 0);
	ck_assert_int_eq(qmail_queue_durable(DISK_POINT "/queue", &err), FACT_NO);
	ck_assert_ptr_nonnull(strstr(err.text, "power cut"));
	ck_assert(mount(device, DISK_POINT, "ext4", MS_REMOUNT | MS_DIRSYNC, NULL) == 0);
	ck_assert_int_eq(qmail_queue_durable(DISK_POINT "/queue", &err), FACT_NO);
	set_attribute(DISK_POINT "/queue/todo", FS_DIRSYNC_FL);
	/* with big-todo the links are made one level below */
	ck_assert_int_eq(qmail_queue_durable(DISK_POINT "/queue", &err), _i != 0 ? FACT_NO : FACT_YES);
	for (int n = 0; _i != 0 && n < SPLIT; n++) {
		char path[64];

		snprintf(path, sizeof path, DISK_POINT "/queue/todo/%d", n);
		set_attribute(path, FS_DIRSYNC_FL);
		ck_assert_int_eq(qmail_queue_durable(DISK_POINT "/queue", &err), n == SPLIT - 1 ? FACT_YES : FACT_NO);
	}
	ck_assert(rename(DISK_POINT "/queue", DISK_POINT "/old") == 0);
	queue_at(DISK_POINT "/queue", _i != 0);
	ck_assert_int_eq(qmail_queue_durable(DISK_POINT "/queue", &err), FACT_NO);
	ck_assert(umount(DISK_POINT) == 0);
	ck_assert(mount(device, DISK_POINT, "ext4", MS_DIRSYNC, NULL) == 0);
	ck_assert_int_eq(qmail_queue_durable(DISK_POINT "/queue", &err), FACT_YES);
	ck_assert_int_eq(qmail_queue_durable(DISK_POINT "/none", &err), FACT_UNKNOWN);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("qmail_queue");
	TCase *tc = tcase_create("laws");

	if (!disk_possible("qmail_queue")) {
		printf("0 passed, 0 failed\n");
		return 0;
	}
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(tc, split_and_big_todo_are_told_from_the_tree, 0, 2);
	tcase_add_test(tc, a_missing_or_a_stray_directory_changes_no_split);
	tcase_add_test(tc, what_shows_no_split_is_no_queue_unless_the_programs_say);
	tcase_add_test(tc, accounts_come_from_the_file_or_else_from_the_queue_itself);
	tcase_add_loop_test(tc, qmail_is_not_started_on_what_would_hold_it_up, 0, (int)(sizeof spoilt / sizeof spoilt[0]));
	tcase_add_loop_test(tc, a_message_that_is_being_preprocessed_counts_once, 0, 2);
	tcase_add_test(tc, dirsync_is_what_the_super_block_says);
	tcase_add_loop_test(tc, only_a_mount_with_dirsync_or_the_attribute_is_durable, 0, 2);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
