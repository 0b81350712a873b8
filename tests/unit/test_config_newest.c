/*
 * tests/unit/test_config_newest.c - laws of configsync/intent.h where a journal orders what reaches the disk, and the newest record is an attribute as well: whenever
 * the power fails, of a new file that is there it is known that it was to be put there; and what the attribute has is neither missed nor taken twice.
 */
#include "tests/unit/harness.h"

#include <sys/xattr.h>

#include "configsync/intent.h"
#include "tests/unit/disk_cache.h"

#define NEWEST "user.mailpair.intent"
#define MARK DISK_POINT "/config.intent"
#define LONG_ROWS 40u

static struct intent *in;
static struct err err;
static unsigned int seen[64];	/* how often each record was read */

static void
open_at(const char *dir)
{
	intent_close(in);
	in = intent_open(dir, &err);
	ck_assert_msg(in != NULL, "%s", err.text);
}

static void
world(const char *fs, bool cache)
{
	disk_cache_mount(fs, cache);
	open_at(DISK_POINT);
}

/* Record k; a long one has no room in the attribute. */
static void
note(size_t k, bool is_long)
{
	struct core_origin from = { .node = "alpha", .cause = STORE_APPLIED, .wall_ms = k };
	struct entry e = { .path = "etc/hosts", .type = ENTRY_FILE, .mode = 0644, .size = 10, .user = { "root", 0 }, .group = { "root", 0 } };
	struct core_store_row row[LONG_ROWS];

	for (size_t i = 0; i < LONG_ROWS; i++)
		row[i] = (struct core_store_row){ .path = "etc/hosts", .entry = &e, .stamp = 1 + k };
	ck_assert_msg(intent_note(in, &from, row, is_long ? LONG_ROWS : 1, true, &err), "%s", err.text);
}

static void
look(void *arg, const struct core_store_row *row, const struct core_origin *from)
{
	(void)arg;
	ck_assert_uint_eq(row->stamp, 1 + from->wall_ms);
	ck_assert_uint_lt(from->wall_ms, sizeof seen / sizeof seen[0]);
	seen[from->wall_ms]++;
}

static void
read_all(void)
{
	memset(seen, 0, sizeof seen);
	ck_assert_msg(intent_each(in, look, NULL, &err), "%s", err.text);
}

static bool
has_newest(void)
{
	return getxattr(MARK, NEWEST, NULL, 0) > 0;
}

/* As if the file had never reached the disk. */
static void
lose_file(off_t from)
{
	static const char zeros[65536];
	int fd = open(MARK, O_WRONLY | O_CLOEXEC);

	ck_assert_int_eq(pwrite(fd, zeros, sizeof zeros - (size_t)from, from), (ssize_t)sizeof zeros - from);
	close(fd);
}

START_TEST(a_record_that_the_disk_does_not_have_is_found_in_the_attribute_and_once)
{
	world("ext4", false);
	for (size_t k = 0; k < 3; k++) {
		note(k, false);
		ck_assert(has_newest());
		ck_assert(intent_hold(in, &err));
	}
	open_at(DISK_POINT);		/* both have it */
	ck_assert(!has_newest());
	read_all();
	ck_assert(seen[0] == 1 && seen[1] == 1 && seen[2] == 1);
	note(3, false);
	lose_file(0);
	for (int turn = 0; turn < 2; turn++) {		/* it is in the file then */
		open_at(DISK_POINT);
		ck_assert(!has_newest());
		read_all();
		ck_assert(seen[0] == 0 && seen[3] == 1);
	}
	note(4, false);
	read_all();
	ck_assert(seen[3] == 1 && seen[4] == 1);
}
END_TEST

static bool
stays(const void *arg, const char *path)
{
	(void)path;
	return arg != NULL;
}

START_TEST(what_was_cleared_does_not_come_back)
{
	world("ext4", false);
	note(0, false);
	ck_assert(intent_clear(in, NULL, NULL, &err));
	ck_assert(!has_newest());
	open_at(DISK_POINT);
	read_all();
	ck_assert_uint_eq(seen[0], 0);
	note(1, false);
	ck_assert(intent_clear(in, stays, "it", &err));		/* what stays is in the file alone */
	ck_assert(!has_newest());
	open_at(DISK_POINT);
	read_all();
	ck_assert_uint_eq(seen[1], 1);
}
END_TEST

START_TEST(an_attribute_that_is_spoilt_or_somebody_elses_counts_for_nothing)
{
	static char value[4000];
	ssize_t len;

	world("ext4", false);
	note(0, false);
	len = getxattr(MARK, NEWEST, value, sizeof value);
	ck_assert_int_gt(len, 50);
	intent_close(in);
	in = NULL;
	for (ssize_t i = len; i >= 0; i -= 7) {
		char is = value[i];

		lose_file(0);
		value[i] ^= 4;			/* the first time: longer than the record */
		ck_assert_int_eq(setxattr(MARK, NEWEST, value, (size_t)len + (i == len), 0), 0);
		open_at(DISK_POINT);
		read_all();
		ck_assert_uint_eq(seen[0], 0);
		ck_assert(!has_newest());
		value[i] = is;
	}
	ck_assert_int_eq(setxattr(MARK, NEWEST, "somebody else's", 15, 0), 0);
	open_at(DISK_POINT);
	note(1, false);
	read_all();
	ck_assert(seen[0] == 0 && seen[1] == 1);
}
END_TEST

/* Too long for it, for another file system, or on one without order: the file is waited for as ever. */
START_TEST(what_the_attribute_cannot_hold_the_file_does)
{
	struct core_origin from = { .node = "alpha", .cause = STORE_APPLIED, .wall_ms = 9 };
	struct core_store_row row = { .path = "mnt/other", .stamp = 10 };

	world(_i == 0 ? "ext4" : NULL, false);
	ck_assert(intent_note(in, &from, &row, 1, false, &err));
	ck_assert(!has_newest());
	ck_assert(intent_hold(in, &err));
	note(0, true);
	ck_assert(!has_newest());
	ck_assert(intent_hold(in, &err));
	note(1, false);
	ck_assert_int_eq(has_newest(), _i == 0);
	ck_assert(intent_note(in, &from, &row, 1, false, &err));
	ck_assert(intent_hold(in, &err));
	open_at(DISK_POINT);
	read_all();
	ck_assert(seen[0] == LONG_ROWS && seen[1] == 1 && seen[9] == 2);
	ck_assert_msg(intent_clear(in, NULL, NULL, &err), "%s", err.text);
	read_all();
	ck_assert(seen[0] == 0 && seen[1] == 0);
}
END_TEST

/* ---------------------------------------------------------------- a power cut */

#define FILES 6u

/* As an installation does it. Some of them bring their directory to the disk, and some leave it to the next one that the disk is given their records. */
static void
put_in_place(size_t k, bool is_long)
{
	char name[64];
	int fd;

	snprintf(name, sizeof name, DISK_POINT "/f%zu", k);
	disk_file(DISK_POINT "/staged", "x", true);
	note(k, is_long);
	ck_assert_msg(intent_hold(in, &err), "%s", err.text);
	ck_assert_int_eq(rename(DISK_POINT "/staged", name), 0);
	if (k % 3 != 2) {
		fd = open(DISK_POINT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		ck_assert_int_eq(fsync(fd), 0);
		close(fd);
	}
	if (k % 3 == 0)
		intent_rest(in);
	if (k == 2)
		ck_assert(intent_clear(in, stays, "all", &err));
}

static unsigned int
is_known(size_t event, unsigned int keep, const char *fs)
{
	char name[64];
	unsigned int there = 0;

	disk_cache_mount_cut(event, keep, fs);
	open_at(DISK_RUN);
	read_all();
	for (size_t k = 1; k <= FILES; k++) {
		snprintf(name, sizeof name, DISK_RUN "/f%zu", k);
		if (access(name, F_OK) == -1)
			continue;
		there++;
		ck_assert_msg(seen[k] >= 1, "cut %zu, keep %u: file %zu is there, and nothing is known of it", event, keep, k);
	}
	intent_close(in);
	in = NULL;
	ck_assert_int_eq(umount(DISK_RUN), 0);
	return there;
}

START_TEST(whenever_the_power_fails_a_file_that_is_there_was_noted)
{
	const char *fs = _i == 0 ? "ext4" : "xfs";	/* whose image is large */
	unsigned int most = 0, kinds = _i == 0 ? 4 : 2;
	size_t events;

	world(fs, true);
	put_in_place(0, false);
	sync();
	disk_cache_remember();
	ck_assert(intent_clear(in, NULL, NULL, &err));
	for (size_t k = 1; k <= FILES; k++)
		put_in_place(k, k == 4);
	events = disk_cache_events();
	ck_assert_uint_gt(events, 10);
	for (size_t k = 0; k <= events; k += _i == 0 ? 1 : 3)
		for (unsigned int keep = 0; keep < kinds; keep++) {
			unsigned int there = is_known(k, keep, fs);

			most = there > most ? there : most;
		}
	ck_assert_uint_ge(most, FILES - 1);		/* the last one is not brought to the disk by anybody */
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config_newest");
	TCase *tcase = tcase_create("newest");

	if (!disk_possible("test_config_newest")) {
		printf("0 passed, 0 failed\n");
		return 0;
	}
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, a_record_that_the_disk_does_not_have_is_found_in_the_attribute_and_once);
	tcase_add_test(tcase, what_was_cleared_does_not_come_back);
	tcase_add_test(tcase, an_attribute_that_is_spoilt_or_somebody_elses_counts_for_nothing);
	tcase_add_loop_test(tcase, what_the_attribute_cannot_hold_the_file_does, 0, 2);
	if (access("/dev/fuse", R_OK | W_OK) == 0)
		tcase_add_loop_test(tcase, whenever_the_power_fails_a_file_that_is_there_was_noted, 0, access("/usr/sbin/mkfs.xfs", X_OK) == 0 ? 2 : 1);
	else
		printf("test_config_newest: power cuts: skipped, no /dev/fuse\n");
	suite_add_tcase(suite, tcase);
	return unit_main(suite);
}
