/*
 * tests/unit/test_config_install.c - laws of installing: what was edited meanwhile stands, what is refused or fails leaves the old
 * tree, and a reader sees one version, whole. Random trees and crashes at every step: tests/config/trees.
 */
#include "tests/unit/harness.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "tests/unit/config_install_bed.h"

START_TEST(what_the_other_node_has_is_here_afterwards)
{
	struct bed bed;
	struct stat st;

	bed_open(&bed);
	bed_plan(&bed, usual);
	ck_assert_msg(bed_apply(&bed), "%s", bed.err.text);
	ck_assert_str_eq(text_of(&bed, "t/a"), "new a");
	ck_assert_str_eq(text_of(&bed, "t/d/b"), "new b");
	ck_assert_str_eq(text_of(&bed, "t/new"), "new");
	ck_assert_int_eq(fstatat(bed.box.root, "t/d", &st, 0), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0700);
	nothing_left_over(&bed);
	bed_plan(&bed, usual);
	ck_assert_uint_eq(bed.diff->changes, 0);
	bed_close(&bed);
}
END_TEST

static const struct theirs whole[] = { { .path = "t/n", .mode = 0750 }, { .path = "t/n/a", .bytes = "a", .mode = 0644 },
	{ .path = "t/n/m", .mode = 0755 }, { .path = "t/n/m/b", .bytes = "b", .mode = 0600 }, { .path = "t/n/z", .bytes = "z", .mode = 0644 }, { 0 } };

/* Nothing of it while bytes still come, and what stands ready is nobody else's to enter. */
static void
not_there_yet(struct bed *bed)
{
	struct manifest *m;

	ck_assert_int_eq(faccessat(bed->box.root, "t/n", F_OK, 0), -1);
	m = box_scan(&bed->box);
	ck_assert_ptr_null(manifest_find(m, "t/n"));
	ck_assert_uint_eq(m->len, 4);
	manifest_free(m);
}

START_TEST(a_new_directory_comes_with_all_that_is_in_it)
{
	struct bed bed;
	struct stat st;

	bed_open(&bed);
	bed_plan(&bed, whole);
	bed.at_content = not_there_yet;
	ck_assert_msg(bed_apply(&bed), "%s", bed.err.text);
	bed_plan(&bed, whole);
	ck_assert_str_eq(text_of(&bed, "t/n/a"), "a");
	ck_assert_str_eq(text_of(&bed, "t/n/m/b"), "b");
	ck_assert_int_eq(fstatat(bed.box.root, "t/n", &st, 0), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0750);
	ck_assert_int_eq(st.st_mtime, 1000);
	ck_assert_uint_eq(bed.diff->changes, 0);
	nothing_left_over(&bed);
	bed_close(&bed);
}
END_TEST

START_TEST(a_new_directory_of_which_a_part_does_not_come_is_not_there_at_all)
{
	struct theirs theirs[6];
	struct bed bed;

	bed_open(&bed);
	memcpy(theirs, whole, sizeof theirs);
	theirs[4].claim = "other bytes";
	bed_plan(&bed, theirs);
	ck_assert(!bed_apply(&bed));
	ck_assert_ptr_nonnull(strstr(bed.err.text, "t/n/z"));
	ck_assert_int_eq(faccessat(bed.box.root, "t/n", F_OK, 0), -1);
	nothing_left_over(&bed);
	old_tree_stands(&bed);
	bed_close(&bed);
}
END_TEST

/* ---------------------------------------------------------------- meanwhile */

START_TEST(what_is_edited_after_the_scan_stands)
{
	struct bed bed;

	bed_open(&bed);
	bed_plan(&bed, usual);
	edit_in_place(&bed);
	ck_assert(!bed_apply(&bed));
	ck_assert(report_has(&bed.report, NOTE_CHANGED_MEANWHILE, "t/a"));
	ck_assert_str_eq(text_of(&bed, "t/a"), "mine!");
	ck_assert_str_eq(text_of(&bed, "t/d/b"), "old b");
	bed_close(&bed);
}
END_TEST

START_TEST(what_is_edited_while_new_files_are_written_stands)
{
	static void (*const edit[])(struct bed *) = { edit_in_place, edit_by_rename, come_first };
	static const char *const path[] = { "t/a", "t/a", "t/new" };
	struct bed bed;

	bed_open(&bed);
	bed_plan(&bed, usual);
	bed.at_content = edit[_i];
	ck_assert(!bed_apply(&bed));
	ck_assert(report_has(&bed.report, NOTE_CHANGED_MEANWHILE, path[_i]));
	ck_assert(report_has(&bed.report, NOTE_NOT_DONE, path[_i]));
	ck_assert(report_has(&bed.report, NOTE_FAILED, path[_i]));
	ck_assert_str_eq(text_of(&bed, path[_i]), "mine!");
	nothing_left_over(&bed);
	bed_close(&bed);
}
END_TEST

/* ---------------------------------------------------------------- refused, failed */

START_TEST(bytes_that_are_other_ones_than_was_said_change_nothing)
{
	static const struct theirs theirs[] = { { .path = "t/a", .bytes = "new a", .mode = 0600 },
		{ .path = "t/new", .bytes = "false", .mode = 0600, .claim = "right" }, { 0 } };
	struct bed bed;

	bed_open(&bed);
	bed_plan(&bed, theirs);
	ck_assert(!bed_apply(&bed));
	ck_assert_ptr_nonnull(strstr(bed.err.text, "t/new"));
	ck_assert(report_has(&bed.report, NOTE_FAILED, "t/new") && !report_has(&bed.report, NOTE_FAILED, "t/a"));
	old_tree_stands(&bed);
	bed_close(&bed);
}
END_TEST

static bool
not_ready(void *arg, struct err *err)
{
	struct bed *bed = arg;

	ck_assert_str_eq(text_of(bed, "t/a"), "old a");
	manifest_free(box_scan(&bed->box));
	ck_assert(report_has(&bed->box.report, NOTE_LEFTOVER, NULL));	/* it is staged */
	return err_set(err, EIO, "what is replaced is not in the store");
}

START_TEST(who_says_that_it_is_not_time_when_all_stands_ready_has_changed_nothing)
{
	struct bed bed;

	bed_open(&bed);
	bed_plan(&bed, usual);
	bed.o.ready = not_ready;
	ck_assert(!bed_apply(&bed));
	ck_assert_ptr_nonnull(strstr(bed.err.text, "what is replaced is not in the store"));
	ck_assert(!report_has(&bed.report, NOTE_FAILED, NULL));
	old_tree_stands(&bed);
	bed_close(&bed);
}
END_TEST

START_TEST(a_disk_that_takes_no_more_changes_nothing)
{
	struct rlimit limit, small;
	struct bed bed;
	bool ok;

	bed_open(&bed);
	bed_plan(&bed, usual);
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	bed.o.content = NULL;			/* "new a" is here, so that no other file has to be written */
	box_write(&bed.box, "t/same", "new a");
	bed_plan(&bed, (const struct theirs[]){ usual[0], { .path = "t/d", .mode = 0755 }, { .path = "t/d/b", .bytes = "old b", .mode = 0644 }, { 0 } });
	small = (struct rlimit){ 3, limit.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	ok = bed_apply(&bed);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert(!ok);
	old_tree_stands(&bed);
	bed_close(&bed);
}
END_TEST

START_TEST(setuid_is_refused_unless_allowed)
{
	static const struct theirs theirs[] = { { .path = "t/a", .bytes = "new a", .mode = 04755 },
		{ .path = "t/d", .mode = 02755 }, { .path = "t/d/b", .bytes = "new b", .mode = 0644 }, { 0 } };
	struct bed bed;
	struct stat st;

	bed_open(&bed);
	bed_plan(&bed, theirs);
	ck_assert(!bed_apply(&bed));
	ck_assert(report_has(&bed.report, NOTE_REFUSED, "t/a"));
	old_tree_stands(&bed);
	bed.o.partial = bed.o.whole = true;
	ck_assert(!bed_apply(&bed));
	ck_assert(report_has(&bed.report, NOTE_REFUSED, "t/a"));
	old_tree_stands(&bed);
	bed.o.whole = false;
	ck_assert_msg(bed_apply(&bed), "%s", bed.err.text);
	ck_assert(report_has(&bed.report, NOTE_REFUSED, "t/a"));
	ck_assert_str_eq(text_of(&bed, "t/a"), "old a");
	ck_assert_str_eq(text_of(&bed, "t/d/b"), "new b");
	bed.o.setuid = true;
	bed_plan(&bed, theirs);
	ck_assert_msg(bed_apply(&bed), "%s", bed.err.text);
	ck_assert_int_eq(fstatat(bed.box.root, "t/a", &st, 0), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 04755);
	bed_close(&bed);
}
END_TEST

START_TEST(a_name_that_is_unknown_here_becomes_its_number_but_never_another_ones)
{
	struct theirs theirs[] = { { .path = "t/a", .bytes = "new a", .mode = 0600, .owner = { "no-such-user", 3999999 } }, { 0 } };
	struct bed bed;
	struct stat st;

	if (geteuid() != 0)
		return;
	bed_open(&bed);
	bed_plan(&bed, theirs);
	ck_assert_msg(bed_apply(&bed), "%s", bed.err.text);
	ck_assert(report_has(&bed.report, NOTE_UNKNOWN_OWNER, "t/a"));
	ck_assert_int_eq(fstatat(bed.box.root, "t/a", &st, 0), 0);
	ck_assert_uint_eq(st.st_uid, 3999999);
	theirs[0].bytes = "newer";
	theirs[0].owner.id = 1;		/* daemon's */
	bed_plan(&bed, theirs);
	ck_assert(!bed_apply(&bed));
	ck_assert(report_has(&bed.report, NOTE_REFUSED, "t/a"));
	ck_assert_str_eq(text_of(&bed, "t/a"), "new a");
	bed_close(&bed);
}
END_TEST

START_TEST(what_needs_something_that_is_refused_is_left_out_with_it)
{
	struct theirs theirs[] = { { .path = "t/a", .bytes = "new a", .mode = 0600 }, { .path = "t/d", .mode = 0755 },
		{ .path = "t/d/b", .mode = 0755, .owner = { "no-such-user", 1 } }, { .path = "t/d/b/c", .bytes = "c", .mode = 0600 },
		{ .path = "t/d/b/c2", .bytes = "c2", .mode = 0600 }, { 0 } };
	struct bed bed;

	if (geteuid() != 0)
		return;
	bed_open(&bed);
	bed.o.partial = true;
	bed_plan(&bed, theirs);
	ck_assert_msg(bed_apply(&bed), "%s", bed.err.text);
	ck_assert(report_has(&bed.report, NOTE_REFUSED, "t/d/b") && report_has(&bed.report, NOTE_REFUSED, "t/d/b/c"));
	ck_assert_str_eq(text_of(&bed, "t/a"), "new a");
	ck_assert_str_eq(text_of(&bed, "t/d/b"), "old b");
	nothing_left_over(&bed);
	bed_close(&bed);
}
END_TEST

START_TEST(nothing_outside_of_the_trees_is_written)
{
	static const char *const path[] = { "u/x", "t/link/x", "t/d/x.swp~", "t/.mailpair-new.00000000000000000000000000000000", "../x" };
	struct entry to = { .path = path[_i], .type = ENTRY_FILE, .mode = 0600, .user = { "root", 0 }, .group = { "root", 0 } };
	struct change change = { .step = STEP_PLACE, .kind = CHANGE_FILE, .path = path[_i], .to = &to };
	const struct theirs theirs[] = { { .path = path[_i], .bytes = "" }, { 0 } };
	struct bed bed;

	bed_open(&bed);
	bed.theirs = theirs;
	digest_sha256("", 0, to.digest);
	ck_assert_int_eq(mkdirat(bed.box.root, "u", 0755), 0);
	ck_assert_int_eq(symlinkat("../u", bed.box.root, "t/link"), 0);
	ck_assert(!install_apply(bed.box.root, &change, 1, &bed.o, &bed.report, &bed.err));
	ck_assert_str_eq(text_of(&bed, "u/x"), "(none)");
	nothing_left_over(&bed);
	bed_close(&bed);
}
END_TEST

/* Nothing that has no bytes of its own to compare: no device, pipe or socket is made, whatever the peer calls it. */
START_TEST(what_is_no_file_directory_or_link_is_never_made)
{
	static const enum change_kind kind[] = { CHANGE_FILE, CHANGE_LINK, CHANGE_META };
	const struct entry to = { .path = "t/null", .type = ENTRY_OTHER, .mode = 0666, .user = { "root", 0 }, .group = { "root", 0 } };
	struct change change = { .step = STEP_PLACE, .kind = kind[_i], .path = "t/null", .to = &to };
	const struct theirs theirs[] = { { .path = "t/null", .bytes = "" }, { 0 } };
	struct stat st;
	struct bed bed;

	bed_open(&bed);
	bed.theirs = theirs;
	ck_assert(!install_apply(bed.box.root, &change, 1, &bed.o, &bed.report, &bed.err));
	ck_assert_int_eq(fstatat(bed.box.root, "t/null", &st, AT_SYMLINK_NOFOLLOW), -1);
	nothing_left_over(&bed);
	bed_close(&bed);
}
END_TEST

/* A link that somebody puts in the way leads nothing astray: neither what is written, nor what is removed, renamed or given another mode. */
START_TEST(a_symbolic_link_on_the_way_is_followed_by_nothing)
{
	struct entry file = { .path = "t/link/x", .type = ENTRY_FILE, .mode = 0777, .user = { "root", 0 }, .group = { "root", 0 } }, was = file;
	const struct change change[] = {
		{ .step = STEP_PLACE, .kind = CHANGE_FILE, .path = "t/link/x", .to = &file, .was = &was },
		{ .step = STEP_PLACE, .kind = CHANGE_META, .path = "t/link/x", .to = &file, .was = &was },
		{ .step = STEP_PLACE, .kind = CHANGE_RENAME, .path = "t/here", .from = "t/link/x", .from_was = &was, .to = &file },
		{ .step = STEP_PLACE, .kind = CHANGE_HARD, .path = "t/here", .from = "t/link/x", .from_was = &was, .to = &file },
		{ .step = STEP_REMOVE, .kind = CHANGE_REMOVE, .path = "t/link/x", .was = &was },
	};
	const struct theirs theirs[] = { { .path = "t/link/x", .bytes = "theirs" }, { 0 } };
	struct stat st;
	struct bed bed;

	bed_open(&bed);
	bed.theirs = theirs;
	digest_sha256("outside", 7, was.digest);
	digest_sha256("theirs", 6, file.digest);
	was.size = 7;
	file.size = 6;
	was.mode = 0600;
	ck_assert_int_eq(mkdirat(bed.box.root, "u", 0755), 0);
	box_write(&bed.box, "u/x", "outside");
	ck_assert_int_eq(fchmodat(bed.box.root, "u/x", 0600, 0), 0);
	ck_assert_int_eq(symlinkat("../u", bed.box.root, "t/link"), 0);
	/* through the link it is just what the plan saw */
	ck_assert_int_eq(fstatat(bed.box.root, "u/x", &st, 0), 0);
	was.local = (struct entry_local){ .dev = st.st_dev, .ino = st.st_ino, .ctime_s = st.st_ctim.tv_sec, .ctime_ns = (uint32_t)st.st_ctim.tv_nsec, .links = 1 };
	was.mtime_s = st.st_mtim.tv_sec;
	was.mtime_ns = (uint32_t)st.st_mtim.tv_nsec;
	ck_assert(!install_apply(bed.box.root, &change[_i], 1, &bed.o, &bed.report, &bed.err));
	ck_assert_str_eq(text_of(&bed, "u/x"), "outside");
	ck_assert_int_eq(fstatat(bed.box.root, "u/x", &st, 0), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_uint_eq(st.st_nlink, 1);
	bed_close(&bed);
}
END_TEST

START_TEST(a_directory_that_holds_what_is_not_carried_stays)
{
	struct bed bed;

	bed_open(&bed);
	box_write(&bed.box, "t/d/.b.swp", "x");
	bed_plan(&bed, (const struct theirs[]){ usual[0], { 0 } });
	ck_assert_msg(bed_apply(&bed), "%s", bed.err.text);
	ck_assert(report_has(&bed.report, NOTE_NOT_EMPTY, "t/d"));
	ck_assert_str_eq(text_of(&bed, "t/d/b"), "(none)");
	ck_assert_str_eq(text_of(&bed, "t/d/.b.swp"), "x");
	bed_close(&bed);
}
END_TEST

/* ---------------------------------------------------------------- readers */

#define BIG 200000

/* Exits with 0 when told to, with 1 when it saw a file of two versions, or none. */
static void
read_until_told(const char *path, int told)
{
	char *buf = malloc(BIG + 1), word;

	while (read(told, &word, 1) == -1) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t n = fd == -1 ? -1 : read(fd, buf, BIG + 1);

		if (n != BIG || memchr("AB", buf[0], 2) == NULL || memcmp(buf, buf + 1, BIG - 1) != 0)
			_exit(1);
		close(fd);
	}
	_exit(0);
}

START_TEST(a_reader_sees_one_version_whole)
{
	char *text[2] = { calloc(1, BIG + 1), calloc(1, BIG + 1) }, path[128];
	int told[2], status;
	struct bed bed;
	pid_t pid;

	bed_open(&bed);
	memset(text[0], 'A', BIG);
	memset(text[1], 'B', BIG);
	box_write(&bed.box, "t/a", text[0]);
	snprintf(path, sizeof path, "%s/t/a", bed.box.dir);
	ck_assert_int_eq(pipe2(told, O_NONBLOCK), 0);
	if ((pid = fork()) == 0)
		read_until_told(path, told[0]);
	for (int i = 1; i <= 100; i++) {
		bed_plan(&bed, (const struct theirs[]){ { .path = "t/a", .bytes = text[i % 2], .mode = i % 3 == 0 ? 0644 : 0600 }, { 0 } });
		ck_assert_msg(bed_apply(&bed), "%s", bed.err.text);
	}
	ck_assert_int_eq(write(told[1], "", 1), 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	bed_close(&bed);
	free(text[0]);
	free(text[1]);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config install");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, what_the_other_node_has_is_here_afterwards);
	tcase_add_test(tc, a_new_directory_comes_with_all_that_is_in_it);
	tcase_add_test(tc, a_new_directory_of_which_a_part_does_not_come_is_not_there_at_all);
	tcase_add_test(tc, what_is_edited_after_the_scan_stands);
	tcase_add_loop_test(tc, what_is_edited_while_new_files_are_written_stands, 0, 3);
	tcase_add_test(tc, bytes_that_are_other_ones_than_was_said_change_nothing);
	tcase_add_test(tc, who_says_that_it_is_not_time_when_all_stands_ready_has_changed_nothing);
	tcase_add_test(tc, a_disk_that_takes_no_more_changes_nothing);
	tcase_add_test(tc, setuid_is_refused_unless_allowed);
	tcase_add_test(tc, a_name_that_is_unknown_here_becomes_its_number_but_never_another_ones);
	tcase_add_test(tc, what_needs_something_that_is_refused_is_left_out_with_it);
	tcase_add_loop_test(tc, nothing_outside_of_the_trees_is_written, 0, 5);
	tcase_add_loop_test(tc, what_is_no_file_directory_or_link_is_never_made, 0, 3);
	tcase_add_loop_test(tc, a_symbolic_link_on_the_way_is_followed_by_nothing, 0, 5);
	tcase_add_test(tc, a_directory_that_holds_what_is_not_carried_stays);
	tcase_add_test(tc, a_reader_sees_one_version_whole);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
