/*
 * tests/unit/test_config_scan.c - laws of reading trees: nothing that is there is taken for gone, nothing outside is read, and
 * what may have changed is read again.
 */
#include "tests/unit/harness.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>

#include "tests/unit/config_box.h"
#include "tests/unit/config_toy.h"

static enum entry_type
type_of(const struct manifest *m, const char *path)
{
	const struct entry *e = manifest_find(m, path);

	return e == NULL ? ENTRY_NONE : e->type;
}

START_TEST(files_directories_and_links_are_read_with_all_about_them)
{
	static const struct timespec times[2] = { { 5, 6 }, { 1700000000, 123456789 } };
	struct config_box b;
	struct manifest *m;
	const struct entry *e;
	uint8_t digest[DIGEST_LEN];
	char path[128];

	box_open(&b, NULL);
	box_write(&b, "t/a", "hello");
	snprintf(path, sizeof path, "%s/t/a", b.dir);
	ck_assert_int_eq(setxattr(path, "user.note", "x\0y", 3, 0), 0);
	ck_assert_int_eq(chmod(path, 04751), 0);
	ck_assert_int_eq(utimensat(b.root, "t/a", times, 0), 0);
	ck_assert_int_eq(linkat(b.root, "t/a", b.root, "t/second", 0), 0);
	ck_assert_int_eq(linkat(b.root, "t/a", b.root, "elsewhere", 0), 0);
	ck_assert_int_eq(symlinkat("../no/where", b.root, "t/l"), 0);
	ck_assert_int_eq(mkdirat(b.root, "t/\xff\n", 0700), 0);
	m = box_scan(&b);
	digest_sha256("hello", 5, digest);
	e = manifest_find(m, "t/a");
	ck_assert_ptr_nonnull(e);
	ck_assert_mem_eq(e->digest, digest, DIGEST_LEN);
	ck_assert_uint_eq(e->size, 5);
	ck_assert_uint_eq(e->mode, 04751);
	ck_assert_int_eq(e->mtime_s, 1700000000);
	ck_assert_uint_eq(e->mtime_ns, 123456789);
	ck_assert_uint_eq(e->user.id, geteuid());
	ck_assert_str_eq(e->hard, "t/a");
	ck_assert_str_eq(manifest_find(m, "t/second")->hard, "t/a");
	ck_assert_uint_eq(e->xattrs, 1);
	ck_assert_str_eq(e->xattr[0].name, "user.note");
	ck_assert_mem_eq(e->xattr[0].value, "x\0y", 3);
	ck_assert_str_eq(manifest_find(m, "t/l")->target, "../no/where");
	ck_assert_uint_eq(manifest_find(m, "t/\xff\n")->mode, 0700);
	ck_assert_uint_eq(m->len, 5);
	ck_assert_uint_eq(b.report.len, 0);
	manifest_free(m);
	box_close(&b);
}
END_TEST

START_TEST(what_cannot_be_carried_is_said_and_not_taken_for_gone)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct config_box b;
	struct manifest *m;
	int fd;

	box_open(&b, NULL);
	ck_assert_int_eq(mkfifoat(b.root, "t/fifo", 0600), 0);
	snprintf(address.sun_path, sizeof address.sun_path, "%s/t/sock", b.dir);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	box_write(&b, "t/.mailpair-new.00000000000000000000000000000000", "");
	box_write(&b, "t/attributes", "");
	for (unsigned int i = 0; i <= ENTRY_XATTRS_MAX; i++) {
		char path[160], name[16];

		snprintf(path, sizeof path, "%s/t/attributes", b.dir);
		snprintf(name, sizeof name, "user.%u", i);
		ck_assert_int_eq(setxattr(path, name, "", 0, 0), 0);
	}
	m = box_scan(&b);
	ck_assert_int_eq(type_of(m, "t/attributes"), ENTRY_OTHER);
	ck_assert(report_has(&b.report, NOTE_UNREADABLE, "t/attributes"));
	ck_assert_int_eq(type_of(m, "t/fifo"), ENTRY_OTHER);
	ck_assert_int_eq(type_of(m, "t/sock"), ENTRY_OTHER);
	ck_assert(report_has(&b.report, NOTE_SPECIAL, "t/fifo") && report_has(&b.report, NOTE_SPECIAL, "t/sock"));
	ck_assert(report_has(&b.report, NOTE_LEFTOVER, "t/.mailpair-new.00000000000000000000000000000000"));
	ck_assert_uint_eq(m->len, 4);
	close(fd);
	manifest_free(m);
	box_close(&b);
}
END_TEST

START_TEST(what_may_not_be_read_is_said_and_not_taken_for_gone)
{
	struct config_box b;
	struct manifest *m;

	if (geteuid() != 0)
		return;
	box_open(&b, NULL);
	box_write(&b, "t/secret", "x");
	ck_assert_int_eq(mkdirat(b.root, "t/closed", 0700), 0);
	box_write(&b, "t/closed/in", "x");
	ck_assert_int_eq(fchmodat(b.root, "t/secret", 0600, 0), 0);
	ck_assert_int_eq(fchmod(b.root, 0755), 0);
	ck_assert_int_eq(seteuid(65534), 0);
	m = box_scan(&b);
	ck_assert_int_eq(seteuid(0), 0);
	ck_assert_int_eq(type_of(m, "t/secret"), ENTRY_OTHER);
	ck_assert_int_eq(type_of(m, "t/closed"), ENTRY_OTHER);
	ck_assert(report_has(&b.report, NOTE_UNREADABLE, "t/secret") && report_has(&b.report, NOTE_UNREADABLE, "t/closed"));
	manifest_free(m);
	box_close(&b);
}
END_TEST

START_TEST(no_symbolic_link_leads_out_and_a_tree_behind_one_is_not_gone)
{
	static const char *const trees[] = { "/t", "/way/tree", "/not/there", NULL };
	struct config_box b;
	struct manifest *m;

	box_open(&b, &(struct scope_rules){ .tree = trees });
	ck_assert_int_eq(mkdirat(b.root, "real", 0755), 0);
	ck_assert_int_eq(mkdirat(b.root, "real/tree", 0755), 0);
	box_write(&b, "real/tree/a", "x");
	ck_assert_int_eq(symlinkat("real", b.root, "way"), 0);
	ck_assert_int_eq(symlinkat("../real", b.root, "t/link"), 0);
	m = box_scan(&b);
	ck_assert_int_eq(type_of(m, "t/link"), ENTRY_LINK);
	ck_assert_int_eq(type_of(m, "way/tree"), ENTRY_OTHER);
	ck_assert(report_has(&b.report, NOTE_UNREADABLE, "way"));
	ck_assert(report_has(&b.report, NOTE_MISSING_TREE, "not/there"));
	ck_assert_uint_eq(m->len, 3);
	manifest_free(m);
	box_close(&b);
}
END_TEST

START_TEST(trees_on_one_way_and_single_files_are_read_once)
{
	static const char *const trees[] = { "/d/e/f", "/d/e/g", "/d/h", "/t/file", NULL };
	struct config_box b;
	struct manifest *m;

	box_open(&b, &(struct scope_rules){ .tree = trees });
	ck_assert_int_eq(mkdirat(b.root, "d", 0755), 0);
	ck_assert_int_eq(mkdirat(b.root, "d/e", 0755), 0);
	ck_assert_int_eq(mkdirat(b.root, "d/e/f", 0755), 0);
	box_write(&b, "d/e/f/1", "1");
	box_write(&b, "d/e/g", "2");
	box_write(&b, "d/e/not", "2");
	box_write(&b, "d/h", "3");
	box_write(&b, "t/file", "4");
	box_write(&b, "t/other", "5");
	m = box_scan(&b);
	ck_assert_uint_eq(m->len, 5);
	ck_assert(type_of(m, "d/e/f") == ENTRY_DIRECTORY && type_of(m, "d/e/f/1") == ENTRY_FILE && type_of(m, "d/e/g") == ENTRY_FILE);
	ck_assert(type_of(m, "d/h") == ENTRY_FILE && type_of(m, "t/file") == ENTRY_FILE);
	manifest_free(m);
	box_close(&b);
}
END_TEST

/* ---------------------------------------------------------------- what changes meanwhile */

struct meddler { struct config_box *b; const char *path; int times, what; };

/* 0: writes to the file that was just read; 1: moves a file from a directory that is to be read to the one that was. */
static void
meddle(void *arg, const char *path)
{
	struct meddler *m = arg;
	struct stat st;

	if (strcmp(path, m->path) != 0 || m->times-- <= 0)
		return;
	if (m->what == 0) {
		int fd = openat(m->b->root, path, O_WRONLY | O_CLOEXEC);
		struct timespec times[2];

		fstat(fd, &st);
		ck_assert_int_eq(write(fd, "!", 1), 1);
		times[0] = times[1] = st.st_mtim;	/* the size is the same, and the clock may not have moved on */
		times[1].tv_nsec = (times[1].tv_nsec + 1) % 1000000000;
		futimens(fd, times);
		close(fd);
	} else {
		ck_assert_int_eq(renameat(m->b->root, "t/b/f", m->b->root, "t/a/f"), 0);
	}
}

START_TEST(a_file_that_changes_while_it_is_read_is_read_again_or_reported)
{
	struct config_box b;
	struct meddler meddler = { .b = &b, .path = "t/a", .times = _i == 0 ? 1 : 1000 };
	struct manifest *m;
	uint8_t digest[DIGEST_LEN];

	box_open(&b, NULL);
	box_write(&b, "t/a", "hello");
	m = box_scan_with(&b, (struct scan_options){ .at_read = meddle, .arg = &meddler });
	digest_sha256("!ello", 5, digest);
	if (_i == 0) {
		ck_assert_mem_eq(manifest_find(m, "t/a")->digest, digest, DIGEST_LEN);
		ck_assert_uint_eq(b.report.len, 0);
	} else {
		ck_assert_int_eq(type_of(m, "t/a"), ENTRY_OTHER);
		ck_assert(report_has(&b.report, NOTE_UNSETTLED, "t/a"));
	}
	manifest_free(m);
	box_close(&b);
}
END_TEST

struct told { unsigned int times; size_t len; uint8_t digest[DIGEST_LEN], is[DIGEST_LEN]; };

static void
tell(void *arg, const uint8_t digest[DIGEST_LEN], const uint8_t *bytes, size_t len)
{
	struct told *told = arg;

	told->times++;
	told->len = len;
	memcpy(told->digest, digest, DIGEST_LEN);
	digest_sha256(bytes, len, told->is);
}

START_TEST(of_a_small_file_its_bytes_are_told_and_its_digest_is_theirs_however_large_it_is)
{
	static const size_t len[] = { 0, 1, SCAN_SMALL_MAX - 1, SCAN_SMALL_MAX, SCAN_SMALL_MAX + 1, 3 * SCAN_SMALL_MAX };
	char *text = calloc(1, len[_i] + 1);
	struct told told = { 0 };
	uint8_t digest[DIGEST_LEN];
	struct config_box b;
	struct manifest *m;

	ck_assert_ptr_nonnull(text);
	memset(text, 'x', len[_i]);
	digest_sha256(text, len[_i], digest);
	box_open(&b, NULL);
	box_write(&b, "t/f", text);
	m = box_scan_with(&b, (struct scan_options){ .small = tell, .arg = &told });
	ck_assert_mem_eq(manifest_find(m, "t/f")->digest, digest, DIGEST_LEN);
	ck_assert_uint_eq(told.times, len[_i] <= SCAN_SMALL_MAX);
	if (told.times > 0)
		ck_assert(told.len == len[_i] && memcmp(told.digest, digest, DIGEST_LEN) == 0 && memcmp(told.is, digest, DIGEST_LEN) == 0);
	manifest_free(m);
	box_close(&b);
	free(text);
}
END_TEST

/* An editor in place begins with an empty file. */
START_TEST(what_somebody_has_just_begun_to_write_is_not_read_before_he_closes_it)
{
	static const struct timespec long_ago[2] = { { 5, 6 }, { 1700000000, 123456789 } };
	struct config_box b;
	struct manifest *m;
	int fd;

	signal(SIGIO, SIG_IGN);
	box_open(&b, NULL);
	box_write(&b, "t/a", "hello");
	ck_assert_int_ge(fd = openat(b.root, "t/a", O_WRONLY | O_TRUNC | O_CLOEXEC), 0);
	m = box_scan(&b);
	ck_assert_int_eq(type_of(m, "t/a"), ENTRY_OTHER);
	ck_assert(report_has(&b.report, NOTE_BEING_WRITTEN, "t/a"));
	manifest_free(m);
	ck_assert_int_eq(write(fd, "again", 5), 5);
	close(fd);
	m = box_scan(&b);
	ck_assert_int_eq(type_of(m, "t/a"), ENTRY_FILE);
	manifest_free(m);
	box_close(&b);

	box_open(&b, NULL);		/* one that is never closed is read when it was left alone for a while */
	box_write(&b, "t/log", "hello");
	ck_assert_int_ge(fd = openat(b.root, "t/log", O_WRONLY | O_CLOEXEC), 0);
	ck_assert_int_eq(futimens(fd, long_ago), 0);
	m = box_scan_with(&b, (struct scan_options){ .margin_ms = 1 });
	while (type_of(m, "t/log") == ENTRY_OTHER) {	/* until a moment has passed since */
		manifest_free(m);
		m = box_scan_with(&b, (struct scan_options){ .margin_ms = 1 });
	}
	ck_assert_int_eq(type_of(m, "t/log"), ENTRY_FILE);
	ck_assert(!report_has(&b.report, NOTE_BEING_WRITTEN, NULL));
	close(fd);
	manifest_free(m);
	box_close(&b);
}
END_TEST

START_TEST(a_file_that_is_moved_behind_the_reader_is_not_taken_for_gone)
{
	struct config_box b;
	struct meddler meddler = { .b = &b, .path = "t/a", .times = 1, .what = 1 };
	struct manifest *m;

	box_open(&b, NULL);
	ck_assert_int_eq(mkdirat(b.root, "t/a", 0755), 0);
	ck_assert_int_eq(mkdirat(b.root, "t/b", 0755), 0);
	box_write(&b, "t/b/f", "x");
	/* directories are read in any order: see that b comes after a, or change the names */
	m = box_scan_with(&b, (struct scan_options){ .at_read = meddle, .arg = &meddler });
	ck_assert_int_eq(type_of(m, "t/a/f"), ENTRY_FILE);
	ck_assert_int_eq(type_of(m, "t/b/f"), ENTRY_NONE);
	manifest_free(m);
	box_close(&b);
}
END_TEST

static void
touch_listed(void *arg, const char *path)
{
	struct config_box *b = arg;
	char name[64];
	static unsigned int n;

	if (strcmp(path, "t/a") == 0) {
		snprintf(name, sizeof name, "t/a/%u", n++);
		box_write(b, name, "");
	}
}

START_TEST(a_directory_that_changes_at_every_reading_is_unknown_with_all_below_it)
{
	struct config_box b;
	struct manifest *m;

	box_open(&b, NULL);
	ck_assert_int_eq(mkdirat(b.root, "t/a", 0755), 0);
	box_write(&b, "t/a/f", "x");
	box_write(&b, "t/a-", "x");
	m = box_scan_with(&b, (struct scan_options){ .at_read = touch_listed, .arg = &b });
	ck_assert_int_eq(type_of(m, "t/a"), ENTRY_OTHER);
	ck_assert_int_eq(type_of(m, "t/a-"), ENTRY_FILE);
	ck_assert_uint_eq(m->len, 3);
	ck_assert(report_has(&b.report, NOTE_UNSETTLED, "t/a"));
	manifest_free(m);
	box_close(&b);
}
END_TEST

/* ---------------------------------------------------------------- what is not read again */

static bool
steady(const struct manifest *m, const char *path)
{
	return manifest_find(m, path)->local.steady;
}

START_TEST(only_what_was_steady_and_has_not_moved_is_not_read_again)
{
	static const struct timespec old[2] = { { 1, 0 }, { 1, 0 } };
	struct config_box b;
	struct manifest *first, *second;

	box_open(&b, NULL);
	box_write(&b, "t/a", "hello");
	ck_assert_int_eq(utimensat(b.root, "t/a", old, 0), 0);
	first = box_scan(&b);
	ck_assert(!steady(first, "t/a"));	/* its ctime is of now, whatever its mtime says */
	second = box_scan_with(&b, (struct scan_options){ .known = first, .margin_ms = SCAN_MARGIN_MS });
	ck_assert_uint_eq(b.count.reused, 0);
	manifest_free(first);
	for (first = second; !steady(first, "t/a"); first = second) {	/* the clock has to move on by a step */
		second = box_scan_with(&b, (struct scan_options){ .known = first, .margin_ms = MARGIN_NONE });
		manifest_free(first);
	}
	second = box_scan_with(&b, (struct scan_options){ .known = first, .margin_ms = MARGIN_NONE });
	ck_assert_uint_eq(b.count.reused, 1);
	ck_assert(toy_same(first, second));
	manifest_free(second);
	/* the same size and mtime, another content: the ctime tells */
	box_write(&b, "t/a", "HELLO");
	ck_assert_int_eq(utimensat(b.root, "t/a", old, 0), 0);
	second = box_scan_with(&b, (struct scan_options){ .known = first, .margin_ms = MARGIN_NONE });
	ck_assert_uint_eq(b.count.reused, 0);
	ck_assert(!toy_same(first, second));
	manifest_free(first);
	manifest_free(second);
	box_close(&b);
}
END_TEST

START_TEST(where_the_clock_of_the_files_is_fine_a_moment_is_enough)
{
	struct config_box b;
	struct stat st;
	struct manifest *m;
	bool fine;

	box_open(&b, NULL);
	box_write(&b, "t/a", "hello");
	ck_assert_int_eq(fstatat(b.root, "t/a", &st, 0), 0);
	fine = major(st.st_dev) != 0 && st.st_ctim.tv_nsec % 1000000 != 0;	/* not in memory */
	m = box_scan_with(&b, (struct scan_options){ .margin_ms = MARGIN_HOUR, .fine_ms = SCAN_FINE_MS });
	while (fine && !steady(m, "t/a")) {
		manifest_free(m);
		m = box_scan_with(&b, (struct scan_options){ .margin_ms = MARGIN_HOUR, .fine_ms = SCAN_FINE_MS });
	}
	ck_assert_int_eq(steady(m, "t/a"), fine);
	manifest_free(m);
	m = box_scan_with(&b, (struct scan_options){ .margin_ms = MARGIN_HOUR });
	ck_assert(!steady(m, "t/a"));
	manifest_free(m);
	box_close(&b);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config scan");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, files_directories_and_links_are_read_with_all_about_them);
	tcase_add_loop_test(tc, of_a_small_file_its_bytes_are_told_and_its_digest_is_theirs_however_large_it_is, 0, 6);
	tcase_add_test(tc, what_cannot_be_carried_is_said_and_not_taken_for_gone);
	tcase_add_test(tc, what_may_not_be_read_is_said_and_not_taken_for_gone);
	tcase_add_test(tc, no_symbolic_link_leads_out_and_a_tree_behind_one_is_not_gone);
	tcase_add_test(tc, trees_on_one_way_and_single_files_are_read_once);
	tcase_add_loop_test(tc, a_file_that_changes_while_it_is_read_is_read_again_or_reported, 0, 2);
	tcase_add_test(tc, what_somebody_has_just_begun_to_write_is_not_read_before_he_closes_it);
	tcase_add_test(tc, a_file_that_is_moved_behind_the_reader_is_not_taken_for_gone);
	tcase_add_test(tc, a_directory_that_changes_at_every_reading_is_unknown_with_all_below_it);
	tcase_add_test(tc, only_what_was_steady_and_has_not_moved_is_not_read_again);
	tcase_add_test(tc, where_the_clock_of_the_files_is_fine_a_moment_is_enough);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
