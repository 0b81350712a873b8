/*
 * tests/unit/test_config_paths.c - laws of reading a few paths: laid over what was known before, a slice is what a scan of everything would
 * say, and it costs what was asked for.
 */
#include "tests/unit/harness.h"

#include "common/clock.h"
#include "configsync/scan_paths.h"
#include "tests/unit/config_box.h"

static struct scan_slice
ask_with(struct config_box *b, struct scan_options o, const struct scan_path *path, size_t len)
{
	struct scan_slice slice;
	struct err err;

	o.scope = b->scope;
	o.names = b->names;
	report_free(&b->report);
	ck_assert_msg(scan_paths(b->root, &o, path, len, &slice, &b->report, &b->count, &err), "%s", err.text);
	return slice;
}

static struct scan_slice
ask(struct config_box *b, const struct manifest *known, const char *path, bool below)
{
	return ask_with(b, (struct scan_options){ .known = known, .margin_ms = SCAN_MARGIN_MS }, &(struct scan_path){ path, below }, 1);
}

static bool
looked(const struct scan_slice *s, const char *path, bool below)
{
	for (size_t i = 0; i < s->len; i++) {
		if (strcmp(s->looked[i].path, path) == 0)
			return s->looked[i].below == below;
	}
	return false;
}

static enum entry_type
type_of(const struct scan_slice *s, const char *path)
{
	const struct entry *e = manifest_find(s->manifest, path);

	return e == NULL ? ENTRY_NONE : e->type;
}

/* known, without what was looked at, and the slice. */
static struct manifest *
laid_over(const struct manifest *known, const struct scan_slice *s)
{
	struct manifest *m = manifest_new();
	struct err err;

	for (size_t i = 0; i < known->len; i++) {
		if (!scan_slice_covers(s, known->at[i].path))
			manifest_add(m, &known->at[i]);
	}
	for (size_t i = 0; i < s->manifest->len; i++) {
		ck_assert_msg(scan_slice_covers(s, s->manifest->at[i].path), "%s", s->manifest->at[i].path);
		manifest_add(m, &s->manifest->at[i]);
	}
	ck_assert_msg(manifest_seal(m, &err), "%s", err.text);
	return m;
}

static void
box_dir(struct config_box *b, const char *path)
{
	ck_assert_msg(mkdirat(b->root, path, 0755) == 0, "%s: %s", path, strerror(errno));
}

START_TEST(a_path_is_read_with_the_directories_it_stands_in_and_nothing_else)
{
	struct config_box b;
	struct scan_slice s;

	box_open(&b, NULL);
	box_dir(&b, "t/a");
	box_dir(&b, "t/a/b");
	box_write(&b, "t/a/b/f", "hello");
	box_write(&b, "t/a/b/other", "x");
	box_write(&b, "t/a/x", "x");
	s = ask(&b, NULL, "t/a/b/f", false);
	ck_assert_uint_eq(s.manifest->len, 4);
	ck_assert_uint_eq(s.len, 4);
	ck_assert(type_of(&s, "t/a/b/f") == ENTRY_FILE && looked(&s, "t/a/b/f", true));
	ck_assert(type_of(&s, "t/a/b") == ENTRY_DIRECTORY && looked(&s, "t/a/b", false));
	ck_assert(type_of(&s, "t") == ENTRY_DIRECTORY && looked(&s, "t", false));
	ck_assert_uint_eq(b.count.read, 1);
	scan_slice_free(&s);
	s = ask(&b, NULL, "t/a/b", true);
	ck_assert(type_of(&s, "t/a/b/other") == ENTRY_FILE && looked(&s, "t/a/b", true));
	ck_assert_uint_eq(s.manifest->len, 5);
	ck_assert_uint_eq(s.len, 3);
	scan_slice_free(&s);
	s = ask(&b, NULL, "t/a", false);	/* itself only */
	ck_assert_uint_eq(s.manifest->len, 2);
	ck_assert(looked(&s, "t/a", false));
	scan_slice_free(&s);
	box_close(&b);
}
END_TEST

START_TEST(what_is_not_there_is_gone_with_all_below_it)
{
	static const char *const trees[] = { "/t", "/way/to/tree", NULL };
	struct config_box b;
	struct scan_slice s;

	box_open(&b, &(struct scope_rules){ .tree = trees });
	s = ask(&b, NULL, "t/a/b/f", false);
	ck_assert_uint_eq(s.manifest->len, 1);
	ck_assert(looked(&s, "t/a", true) && looked(&s, "t", false) && s.len == 2);
	ck_assert(scan_slice_covers(&s, "t/a/b/f") && scan_slice_covers(&s, "t") && !scan_slice_covers(&s, "t/c"));
	scan_slice_free(&s);
	s = ask(&b, NULL, "way/to/tree/f", false);
	ck_assert(s.manifest->len == 0 && looked(&s, "way/to/tree", true));
	ck_assert(report_has(&b.report, NOTE_MISSING_TREE, "way/to/tree"));
	scan_slice_free(&s);
	ck_assert_int_eq(unlinkat(b.root, "t", AT_REMOVEDIR), 0);
	s = ask(&b, NULL, "", false);		/* everything */
	ck_assert(s.manifest->len == 0 && looked(&s, "t", true) && looked(&s, "way/to/tree", true));
	scan_slice_free(&s);
	box_close(&b);
}
END_TEST

START_TEST(what_cannot_be_told_is_there_and_what_is_outside_is_not_looked_at)
{
	static const char *const trees[] = { "/t", "/way/tree", NULL }, *const out[] = { "/t/not", NULL };
	struct config_box b;
	struct scan_slice s;
	const struct scan_path outside[] = { { "elsewhere", true }, { "t/not/f", true }, { "t/not", true },
		{ "t/.mailpair-new.00000000000000000000000000000000", false } };

	box_open(&b, &(struct scope_rules){ .tree = trees, .exclude = out });
	box_dir(&b, "real");
	box_dir(&b, "real/tree");
	box_dir(&b, "t/not");
	box_write(&b, "t/not/f", "x");
	ck_assert_int_eq(symlinkat("real", b.root, "way"), 0);
	ck_assert_int_eq(symlinkat("../real", b.root, "t/link"), 0);
	ck_assert_int_eq(mkfifoat(b.root, "t/fifo", 0600), 0);
	s = ask(&b, NULL, "way/tree/f", false);		/* the way leads over a link */
	ck_assert(type_of(&s, "way/tree") == ENTRY_OTHER && looked(&s, "way/tree", true) && s.len == 1);
	scan_slice_free(&s);
	s = ask(&b, NULL, "t/link/tree", true);		/* a link is a link, and nothing is below it */
	ck_assert(type_of(&s, "t/link") == ENTRY_LINK && looked(&s, "t/link", true) && s.manifest->len == 2);
	scan_slice_free(&s);
	s = ask(&b, NULL, "t/fifo", false);
	ck_assert(type_of(&s, "t/fifo") == ENTRY_OTHER && report_has(&b.report, NOTE_SPECIAL, "t/fifo"));
	scan_slice_free(&s);
	s = ask_with(&b, (struct scan_options){ 0 }, outside, 4);
	ck_assert(s.manifest->len == 0 && s.len == 0);
	scan_slice_free(&s);
	box_close(&b);
}
END_TEST

/* The file that was to be read later is moved to where the reader has been already. */
static void
move_back(void *arg, const char *path)
{
	struct config_box *b = arg;

	if (strcmp(path, "t/b") == 0)
		renameat(b->root, "t/z", b->root, "t/a");
}

static void
to_and_fro(void *arg, const char *path)
{
	struct config_box *b = arg;

	if (strcmp(path, "t/b") == 0 && renameat(b->root, "t/z", b->root, "t/a") == -1)
		renameat(b->root, "t/a", b->root, "t/z");
	if (strcmp(path, "t/z") == 0)
		renameat(b->root, "t/z", b->root, "t/a");
}

START_TEST(what_is_moved_while_it_is_looked_for_is_not_taken_for_gone)
{
	static const struct scan_path all[] = { { "t/z", false }, { "t/b", false }, { "t/a", false } };
	struct config_box b;
	struct scan_slice s;

	box_open(&b, NULL);
	box_write(&b, "t/b", "b");
	box_write(&b, "t/z", "z");
	s = ask_with(&b, (struct scan_options){ .at_read = _i == 0 ? move_back : to_and_fro, .arg = &b }, all, 3);
	ck_assert_msg(type_of(&s, "t/a") != ENTRY_NONE || type_of(&s, "t/z") != ENTRY_NONE, "gone from both");
	ck_assert_int_eq(type_of(&s, "t/b"), ENTRY_FILE);
	ck_assert(_i == 1 || b.report.len == 0);
	scan_slice_free(&s);
	box_close(&b);
}
END_TEST

START_TEST(a_directory_that_known_does_not_have_is_read_whole)
{
	struct config_box b;
	struct manifest *known;
	struct scan_slice s;

	box_open(&b, NULL);
	box_write(&b, "t/d", "a file once");
	known = box_scan(&b);
	ck_assert_int_eq(unlinkat(b.root, "t/d", 0), 0);
	box_dir(&b, "t/d");
	box_dir(&b, "t/d/e");
	box_write(&b, "t/d/e/f", "x");
	box_write(&b, "t/d/g", "x");
	s = ask(&b, known, _i == 0 ? "t/d" : "t/d/e/f", false);
	ck_assert(looked(&s, "t/d", true) && s.manifest->len == 5);
	scan_slice_free(&s);
	manifest_free(known);
	box_close(&b);
}
END_TEST

START_TEST(all_known_names_of_a_file_are_read_with_one_of_them)
{
	struct config_box b;
	struct manifest *known;
	struct scan_slice s;

	box_open(&b, NULL);
	box_write(&b, "t/a", "x");
	box_write(&b, "t/alone", "x");
	ck_assert_int_eq(linkat(b.root, "t/a", b.root, "t/b", 0), 0);
	ck_assert_int_eq(linkat(b.root, "t/a", b.root, "t/c", 0), 0);
	known = box_scan(&b);
	box_write(&b, "t/c", "changed by one name");
	s = ask(&b, known, "t/c", false);
	ck_assert(type_of(&s, "t/a") == ENTRY_FILE && type_of(&s, "t/b") == ENTRY_FILE && s.manifest->len == 4);
	ck_assert_str_eq(manifest_find(s.manifest, "t/c")->hard, "t/a");
	scan_slice_free(&s);
	ck_assert_int_eq(unlinkat(b.root, "t/a", 0), 0);		/* the leader of the group goes */
	s = ask(&b, known, "t/a", false);
	ck_assert(type_of(&s, "t/a") == ENTRY_NONE && looked(&s, "t/a", true));
	ck_assert_str_eq(manifest_find(s.manifest, "t/c")->hard, "t/b");
	ck_assert_str_eq(manifest_find(s.manifest, "t/b")->hard, "t/b");
	scan_slice_free(&s);
	s = ask(&b, NULL, "t/b", false);	/* without known: there is another name somewhere */
	ck_assert_uint_eq(manifest_find(s.manifest, "t/b")->local.links, 2);
	ck_assert_ptr_null(manifest_find(s.manifest, "t/b")->hard);
	scan_slice_free(&s);
	manifest_free(known);
	box_close(&b);
}
END_TEST

/* ---------------------------------------------------------------- anything at all */

static unsigned int seed;

static unsigned int
pick(unsigned int below)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 16) % below;
}

static void
any_path(char path[64])
{
	size_t len = 1;

	snprintf(path, 64, "t");
	for (unsigned int depth = 1 + pick(3); depth > 0; depth--)
		len += (size_t)snprintf(path + len, 64 - len, "/%c", 'a' + (char)pick(3));
}

/* One edit, which may fail; which paths it was about. */
static void
edit(struct config_box *b, char one[64], char two[64])
{
	int fd;

	any_path(one);
	any_path(two);
	switch (pick(7)) {
	case 0:
	case 1:
		if ((fd = openat(b->root, one, O_WRONLY | O_CREAT | O_CLOEXEC, 0644)) != -1) {
			(void)!write(fd, two, strlen(two));
			close(fd);
		}
		break;
	case 2:
		mkdirat(b->root, one, 0755);
		break;
	case 3:
		(void)!renameat(b->root, one, b->root, two);
		break;
	case 4:
		if (unlinkat(b->root, one, 0) == -1)
			unlinkat(b->root, one, AT_REMOVEDIR);
		break;
	case 5:
		(void)!linkat(b->root, one, b->root, two, 0);
		break;
	default:
		(void)!symlinkat(two, b->root, one);
	}
}

START_TEST(a_slice_laid_over_what_was_known_is_what_a_full_scan_says)
{
	struct config_box b;
	struct manifest *known, *now, *full;

	seed = (unsigned int)_i + 1;
	box_open(&b, NULL);
	known = box_scan(&b);
	for (unsigned int round = 0; round < 60; round++) {
		char text[8][64];
		struct scan_path path[8];
		struct scan_slice s;

		for (size_t i = 0; i < 8; i += 2)
			edit(&b, text[i], text[i + 1]);
		for (size_t i = 0; i < 8; i++)	/* a directory may have been renamed: with all below it, as the watch says it */
			path[i] = (struct scan_path){ text[i], true };
		s = ask_with(&b, (struct scan_options){ .known = known }, path, 8);
		now = laid_over(known, &s);
		full = box_scan(&b);
		for (size_t i = 0; i < full->len; i++)
			ck_assert_msg(entry_diff(&full->at[i], manifest_find(now, full->at[i].path)) == 0, "seed %d round %u: %s differs by %x",
			    _i + 1, round, full->at[i].path, entry_diff(&full->at[i], manifest_find(now, full->at[i].path)));
		ck_assert_uint_eq(now->len, full->len);
		scan_slice_free(&s);
		manifest_free(full);
		manifest_free(known);
		known = now;
	}
	manifest_free(known);
	box_close(&b);
}
END_TEST

START_TEST(one_file_among_many_costs_a_small_part_of_a_full_scan)
{
	struct config_box b;
	struct manifest *known;
	struct scan_slice s;
	uint64_t best = UINT64_MAX, full, began;
	char path[64];

	box_open(&b, NULL);
	for (unsigned int i = 0; i < 2000; i++) {
		snprintf(path, sizeof path, "t/%u", i);
		box_write(&b, path, "some words\n");
	}
	began = clock_mono_us();
	known = box_scan(&b);
	full = clock_mono_us() - began;
	for (unsigned int i = 0; i < 20; i++) {
		began = clock_mono_us();
		s = ask(&b, known, "t/77", false);
		if (clock_mono_us() - began < best)
			best = clock_mono_us() - began;
		scan_slice_free(&s);
	}
	ck_assert_msg(best * 20 < full, "%lu of %lu us", (unsigned long)best, (unsigned long)full);
	manifest_free(known);
	box_close(&b);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config paths");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_path_is_read_with_the_directories_it_stands_in_and_nothing_else);
	tcase_add_test(tc, what_is_not_there_is_gone_with_all_below_it);
	tcase_add_test(tc, what_cannot_be_told_is_there_and_what_is_outside_is_not_looked_at);
	tcase_add_loop_test(tc, what_is_moved_while_it_is_looked_for_is_not_taken_for_gone, 0, 2);
	tcase_add_loop_test(tc, a_directory_that_known_does_not_have_is_read_whole, 0, 2);
	tcase_add_test(tc, all_known_names_of_a_file_are_read_with_one_of_them);
	tcase_add_loop_test(tc, a_slice_laid_over_what_was_known_is_what_a_full_scan_says, 0, 20);
	tcase_add_test(tc, one_file_among_many_costs_a_small_part_of_a_full_scan);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
