/*
 * tests/unit/test_config_intent.c - laws of configsync/intent.h: what was noted is read back after any end of the program, a record whole or not at all, and by
 * nobody but root.
 */
#include "tests/unit/harness.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "configsync/intent.h"
#include "tests/unit/config_toy.h"
#include "tests/unit/disk.h"

static char dir[] = "/tmp/mailpair-intent.XXXXXX", path[64];
static struct intent *in;
static struct manifest *m;
static struct err err;
static size_t seen, rows, bad;

static void
open_anew(void)
{
	intent_close(in);
	in = intent_open(dir, &err);
	ck_assert_msg(in != NULL, "%s", err.text);
}

static void
setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/config.intent", dir);
	m = toy_tree(11);
	ck_assert_uint_gt(m->len, 2);
	open_anew();
}

static void
teardown(void)
{
	intent_close(in);
	in = NULL;
	manifest_free(m);
	unlink(path);
	rmdir(dir);
	memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
}

/* Record k: some of the entries, and one that is gone. */
static bool
note(size_t k)
{
	struct core_origin from = { .name = "set", .node = "alpha", .who = "anna", .why = "because", .cause = STORE_APPLIED, .wall_ms = 1000 + k };
	struct core_store_row row[64] = { { .path = "gone", .stamp = k } };
	size_t n = 1;

	for (size_t i = k % 3; i < m->len && n < 64; i++)
		row[n++] = (struct core_store_row){ .path = m->at[i].path, .entry = &m->at[i], .stamp = k + i };
	return intent_note(in, &from, row, n, true, &err);
}

/* How many bytes have been noted: a mark and a length (4, 4), that, and a digest. */
static off_t
noted(void)
{
	uint8_t head[8];
	off_t at = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	while (pread(fd, head, sizeof head, at) == sizeof head && memcmp(head, "MPI1", 4) == 0)
		at += 8 + (head[4] << 24 | head[5] << 16 | head[6] << 8 | head[7]) + DIGEST_LEN;
	close(fd);
	return at;
}

/* seen counts rows of "gone", one of each record, in their order. */
static void
look(void *arg, const struct core_store_row *row, const struct core_origin *from)
{
	const struct entry *is = manifest_find(m, row->path);

	(void)arg;
	rows++;
	if (row->entry == NULL)
		bad += strcmp(row->path, "gone") != 0 || row->stamp != seen++;
	else
		bad += is == NULL || entry_diff(is, row->entry) != 0;
	bad += strcmp(from->name, "set") != 0 || strcmp(from->node, "alpha") != 0 || strcmp(from->who, "anna") != 0 || strcmp(from->why, "because") != 0 ||
	    from->cause != STORE_APPLIED || from->wall_ms != 1000 + seen - 1;
}

static size_t
records(void)
{
	seen = rows = bad = 0;
	ck_assert(intent_each(in, look, NULL, &err));
	ck_assert_uint_eq(bad, 0);
	return seen;
}

START_TEST(what_was_noted_is_there_until_it_is_cleared)
{
	for (size_t k = 0; k < 3; k++)
		ck_assert(note(k));
	ck_assert_uint_eq(records(), 3);
	open_anew();
	ck_assert_uint_eq(records(), 3);
	ck_assert(note(3));
	ck_assert_uint_eq(records(), 4);
	ck_assert(intent_clear(in, NULL, NULL, &err));
	ck_assert_uint_eq(records(), 0);
	ck_assert(note(0));
	open_anew();
	ck_assert_uint_eq(records(), 1);
}
END_TEST

static bool
is_gone(const void *arg, const char *p)
{
	(void)arg;
	return strcmp(p, "gone") == 0;
}

/* It is emptied at first, and then whenever that is worth while. */
START_TEST(what_stays_is_written_down_still_and_all_else_is_not)
{
	struct stat st;
	size_t n = 4;

	for (size_t k = 0; k < 3; k++)
		ck_assert(note(k));
	ck_assert(intent_clear(in, is_gone, NULL, &err));
	for (int i = 0; i < 2; i++) {
		ck_assert_uint_eq(records(), 3);
		ck_assert_uint_eq(rows, 3);
		open_anew();
	}
	ck_assert(intent_clear(in, is_gone, NULL, &err));
	ck_assert_uint_eq(records(), 3);
	for (bool emptied = false; !emptied; emptied = rows == n, n++) {
		ck_assert_uint_lt(n, 1000);
		ck_assert(note(n - 1));
		ck_assert_uint_eq(records(), n);
		ck_assert_uint_gt(rows, n);
		ck_assert(intent_clear(in, is_gone, NULL, &err));
		ck_assert_uint_eq(records(), n);
	}
	ck_assert_uint_gt(n, 10);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_size, 64 << 10);
	ck_assert(intent_clear(in, NULL, NULL, &err));
	ck_assert_uint_eq(records(), 0);
}
END_TEST

START_TEST(a_record_that_is_cut_short_or_spoilt_counts_for_nothing)
{
	off_t one, two;
	uint8_t byte;
	int fd;

	ck_assert(note(0));
	one = noted();
	ck_assert(note(1));
	two = noted();
	fd = open(path, O_RDWR | O_CLOEXEC);
	for (off_t at = one; at < two; at++) {
		ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
		byte ^= 0x10;
		ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
		ck_assert_uint_eq(records(), 1);
		byte ^= 0x10;
		ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
	}
	ck_assert_uint_eq(records(), 2);
	for (off_t at = two - 1; at >= one; at -= 11) {
		ck_assert_int_eq(ftruncate(fd, at), 0);
		open_anew();
		ck_assert_uint_eq(records(), 1);
	}
	close(fd);
	ck_assert(note(1));		/* and hides nothing that comes after it */
	open_anew();
	ck_assert_uint_eq(records(), 2);
}
END_TEST

/* Records of many files, and of many installations before the store has them. */
START_TEST(what_has_no_room_in_the_file_makes_it_longer_until_it_is_cleared)
{
	struct stat before, st;
	size_t n = 0;

	ck_assert_int_eq(stat(path, &before), 0);
	while (noted() <= 2 * before.st_size) {
		ck_assert(note(n++));
		if (n % 3 == 0)
			ck_assert_msg(intent_hold(in, &err), "%s", err.text);
	}
	ck_assert_uint_eq(records(), n);
	open_anew();
	ck_assert_uint_eq(records(), n);
	ck_assert(note(n));
	ck_assert_uint_eq(records(), n + 1);
	ck_assert(intent_clear(in, NULL, NULL, &err));
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_size, before.st_size);
	ck_assert(note(0));
	open_anew();
	ck_assert_uint_eq(records(), 1);
}
END_TEST

/* ---------------------------------------------------------------- a power cut */

/* As an installation does it: staged, noted, renamed; and its directory synced, which no power cut takes back. */
static void
put_in_place(const char *staged, const char *name, size_t k)
{
	int fd;

	ck_assert(note(k));
	disk_file(staged, "x", true);
	ck_assert_msg(intent_hold(in, &err), "%s", err.text);
	ck_assert_int_eq(rename(staged, name), 0);
	fd = open(DISK_POINT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(fsync(fd), 0);
	close(fd);
}

/* What the device has by then is all there is: it is copied while the file system is in use. */
START_TEST(what_was_noted_is_on_the_disk_when_the_new_name_is)
{
	static const char *const type[] = { "ext4", "xfs" };
	static const size_t most[] = { 2, 1000 };	/* within the room of the file, and beyond it */
	const char *fs = type[_i / 2], *copy[] = { "cp", "--sparse=always", DISK_ROOT "/image", DISK_ROOT "/cut", NULL };
	char device[32];
	size_t more = 2;

	disk_world();
	disk_image(DISK_ROOT "/image", fs);
	ck_assert_int_eq(mount(disk_attach(DISK_ROOT "/image", false, device), DISK_POINT, fs, 0, NULL), 0);
	intent_close(in);
	ck_assert_ptr_nonnull(in = intent_open(DISK_POINT, &err));
	put_in_place(DISK_POINT "/staged", DISK_POINT "/one", 0);
	ck_assert(intent_clear(in, NULL, NULL, &err));
	put_in_place(DISK_POINT "/staged", DISK_POINT "/two", 0);
	put_in_place(DISK_POINT "/staged", DISK_POINT "/three", 1);
	for (; more < most[_i % 2]; more++)
		ck_assert(note(more));
	put_in_place(DISK_POINT "/staged", DISK_POINT "/four", more++);
	ck_assert_int_eq(disk_run(copy), 0);
	ck_assert_int_eq(mount(disk_attach(DISK_ROOT "/cut", false, device), DISK_RUN, fs, 0, _i < 2 ? NULL : "nouuid"), 0);
	ck_assert_int_eq(access(DISK_RUN "/four", F_OK), 0);
	intent_close(in);
	ck_assert_ptr_nonnull(in = intent_open(DISK_RUN, &err));
	ck_assert_uint_eq(records(), more);
}
END_TEST

/* As with a full disk: half a record would hide those after it. */
START_TEST(what_has_no_room_leaves_the_others_as_they_are)
{
	struct rlimit limit = { 0 }, old;
	bool limited, done;

	signal(SIGXFSZ, SIG_IGN);
	ck_assert(note(0));
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit = (struct rlimit){ (rlim_t)noted() + 20, old.rlim_max };
	limited = setrlimit(RLIMIT_FSIZE, &limit) == 0;		/* libcheck writes files as well: nothing is asserted meanwhile */
	done = note(1);
	setrlimit(RLIMIT_FSIZE, &old);
	ck_assert(limited && !done);
	ck_assert_ptr_nonnull(strstr(err.text, "config.intent"));
	ck_assert(note(1));
	ck_assert_uint_eq(records(), 2);
}
END_TEST

/* As a worker is told to. */
START_TEST(a_process_without_its_parents_descriptors_waits_for_the_disk_as_well)
{
	int fd;

	ck_assert(note(0));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ne(fd, -1);
	close(fd - 1);			/* the one that in has */
	close(fd);
	ck_assert(!intent_hold(in, &err));
	ck_assert(intent_again(in, dir, &err));
	ck_assert_msg(intent_hold(in, &err), "%s", err.text);
	ck_assert_uint_eq(records(), 1);
}
END_TEST

START_TEST(nobody_else_reads_it_and_no_link_leads_away_from_it)
{
	struct stat st;

	ck_assert(note(0));
	ck_assert_int_eq(chmod(path, 0644), 0);
	open_anew();
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(symlink("/tmp/mailpair-elsewhere", path), 0);
	ck_assert_ptr_null(intent_open(dir, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "config.intent"));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config_intent");
	TCase *tcase = tcase_create("intent");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, what_was_noted_is_there_until_it_is_cleared);
	tcase_add_test(tcase, what_stays_is_written_down_still_and_all_else_is_not);
	tcase_add_test(tcase, a_record_that_is_cut_short_or_spoilt_counts_for_nothing);
	tcase_add_test(tcase, what_has_no_room_leaves_the_others_as_they_are);
	tcase_add_test(tcase, what_has_no_room_in_the_file_makes_it_longer_until_it_is_cleared);
	tcase_add_test(tcase, a_process_without_its_parents_descriptors_waits_for_the_disk_as_well);
	if (disk_possible("test_config_intent: power cuts"))
		tcase_add_loop_test(tcase, what_was_noted_is_on_the_disk_when_the_new_name_is, 0, access("/usr/sbin/mkfs.xfs", X_OK) == 0 ? 4 : 2);
	tcase_add_test(tcase, nobody_else_reads_it_and_no_link_leads_away_from_it);
	suite_add_tcase(suite, tcase);
	return unit_main(suite);
}
