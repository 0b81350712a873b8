/*
 * tests/unit/test_config_placed.c - laws of what an installation tells of the files that it has put in place: they are known without being read,
 * as long as they are the ones.
 */
#include "tests/unit/harness.h"

#include <sys/xattr.h>

#include "configsync/install.h"
#include "tests/unit/config_box.h"
#include "tests/unit/config_toy.h"

static const uint8_t *
bytes(void *arg, const struct entry *e)
{
	(void)e;
	return arg;
}

/* With what was told as without, and so many files are read. */
static void
is_known(struct config_box *b, const struct manifest *placed, unsigned long read)
{
	struct manifest *known = box_scan_with(b, (struct scan_options){ .placed = placed, .margin_ms = SCAN_MARGIN_MS }), *is;

	ck_assert_uint_eq(b->count.read, read);
	is = box_scan(b);
	ck_assert(toy_same(known, is));
	ck_assert(!manifest_find(known, "t/a")->local.steady);
	manifest_free(known);
	manifest_free(is);
}

#define N 5
static char text[] = "hello";

struct plan { struct entry e[N]; struct change c[N]; };

/* A directory with a file and a link in it, and both beside it; each is another's variant. */
static void
plan(struct plan *p)
{
	static const struct { enum entry_type type; enum change_kind kind; const char *path; } of[N] = { { ENTRY_DIRECTORY, CHANGE_DIRECTORY, "t/n" },
		{ ENTRY_FILE, CHANGE_FILE, "t/n/b" }, { ENTRY_LINK, CHANGE_LINK, "t/n/l" }, { ENTRY_FILE, CHANGE_FILE, "t/a" },
		{ ENTRY_LINK, CHANGE_LINK, "t/l" } };

	for (int i = 0; i < N; i++) {
		p->e[i] = (struct entry){ .type = of[i].type, .path = "t/variant", .mode = of[i].type == ENTRY_LINK ? 0777 : 0644, .mtime_s = 1000,
			.user = { "root", 0 }, .group = { "root", 0 }, .target = of[i].type == ENTRY_LINK ? "there" : NULL };
		p->c[i] = (struct change){ .kind = of[i].kind, .path = of[i].path, .to = &p->e[i] };
		if (of[i].type == ENTRY_FILE) {
			p->e[i].size = strlen(text);
			digest_sha256(text, strlen(text), p->e[i].digest);
		}
	}
}

static struct manifest *
install(struct config_box *b, const struct plan *p)
{
	struct install_options o = { .scope = b->scope, .names = b->names, .bytes = bytes, .arg = text, .placed = manifest_new() };
	struct report report = { 0 };
	struct err err;

	ck_assert_msg(install_apply(b->root, p->c, N, &o, &report, &err), "%s", err.text);
	for (size_t i = 0; i < o.placed->len; i++)
		ck_assert_str_eq(o.placed->at[i].path, p->c[i].path);	/* in their order */
	ck_assert(manifest_seal(o.placed, &err));
	report_free(&report);
	return o.placed;
}

START_TEST(what_was_just_put_in_place_is_known_without_being_read)
{
	static const struct timespec same[2] = { { 1000, 0 }, { 1000, 0 } };
	const char *path = _i == 0 ? "t/a" : "t/n/b";	/* one that was renamed, and one that came with its directory */
	struct manifest *placed;
	struct config_box b;
	struct plan p;

	box_open(&b, NULL);
	plan(&p);
	placed = install(&b, &p);
	is_known(&b, placed, 0);
	box_write(&b, path, "HELLO");	/* as long as before, and as old */
	ck_assert_int_eq(utimensat(b.root, path, same, 0), 0);
	is_known(&b, placed, 1);
	ck_assert_int_eq(fchmodat(b.root, _i == 0 ? "t/n/b" : "t/a", 0600, 0), 0);	/* the other one, however soon that was */
	is_known(&b, placed, 2);
	manifest_free(placed);
	box_close(&b);
}
END_TEST

START_TEST(what_is_told_of_it_is_what_a_reading_finds)
{
	struct manifest *placed, *is;
	struct config_box b;
	struct plan p;

	box_open(&b, NULL);
	plan(&p);
	placed = install(&b, &p);
	is = box_scan(&b);
	ck_assert_uint_eq(placed->len, N);
	for (size_t i = 0; i < placed->len; i++) {
		const struct entry *e = manifest_find(is, placed->at[i].path);

		ck_assert_ptr_nonnull(e);
		ck_assert_uint_eq(entry_diff(e, &placed->at[i]), 0);
		ck_assert_uint_eq(e->local.ino, placed->at[i].local.ino);
		ck_assert_uint_eq(e->local.links, placed->at[i].local.links);
		ck_assert_uint_eq(e->sparse, placed->at[i].sparse);
		ck_assert_uint_eq(e->local.ctime_ns, placed->at[i].local.ctime_ns);
	}
	ck_assert(!manifest_find(placed, "t/a")->local.steady);		/* it has just been renamed */
	manifest_free(placed);
	manifest_free(is);
	box_close(&b);
}
END_TEST

/* ---------------------------------------------------------------- in a new directory */

/* Each among others, before and behind it, that nobody has to make as they are. */
static const struct { const char *path; enum entry_type type; uint16_t mode; uint32_t uid, gid; } among[] = {
	{ "t/n", ENTRY_DIRECTORY, 0755, 0, 0 }, { "t/n/a", ENTRY_FILE, 0644, 0, 0 }, { "t/n/b", ENTRY_FILE, 0644, 1, 0 },
	{ "t/n/c", ENTRY_FILE, 0666, 0, 0 }, { "t/n/d", ENTRY_FILE, 0640, 0, 1 }, { "t/n/e", ENTRY_FILE, 0755, 0, 0 },
	{ "t/n/f", ENTRY_FILE, 06755, 0, 0 }, { "t/n/g", ENTRY_FILE, 0, 0, 0 }, { "t/n/h", ENTRY_FILE, 01600, 0, 1 },
	{ "t/n/i", ENTRY_LINK, 0777, 0, 0 }, { "t/n/j", ENTRY_LINK, 0777, 1, 0 }, { "t/n/k", ENTRY_FILE, 0600, 0, 0 },
	{ "t/n/l", ENTRY_DIRECTORY, 02755, 0, 1 }, { "t/n/l/a", ENTRY_FILE, 0644, 0, 1 }, { "t/n/l/b", ENTRY_FILE, 0644, 0, 0 },
	{ "t/p/n", ENTRY_DIRECTORY, 0755, 0, 0 }, { "t/p/n/a", ENTRY_FILE, 0644, 0, 0 },
};
#define AMONG (sizeof among / sizeof *among)

/* What comes in it is its group's, or gets an ACL. */
static void
gives(struct config_box *b, const char *path, bool group, bool acl)
{
	static const uint8_t value[] = { 2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 2, 0, 7, 0, 1, 0, 0, 0, 4, 0, 5, 0, 255, 255, 255, 255,
		16, 0, 7, 0, 255, 255, 255, 255, 32, 0, 5, 0, 255, 255, 255, 255 };
	int fd = openat(b->root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (group)
		ck_assert(fchown(fd, 0, 1) == 0 && fchmod(fd, 02755) == 0);
	if (acl)
		ck_assert(fsetxattr(fd, "system.posix_acl_default", value, sizeof value, 0) == 0);
	close(fd);
}

START_TEST(what_comes_in_a_new_directory_is_as_it_shall_be_whatever_that_gives_it)
{
	mode_t mask = umask((_i & 1) != 0 ? 077 : 0);
	struct entry to[AMONG];
	struct change change[AMONG];
	struct manifest *is;
	struct config_box b;
	struct install_options o;
	struct report report = { 0 };
	struct err err;

	box_open(&b, NULL);
	ck_assert_int_eq(mkdirat(b.root, "t/p", 0755), 0);
	gives(&b, "t", (_i & 2) != 0, (_i & 4) != 0);
	gives(&b, "t/p", false, true);
	o = (struct install_options){ .scope = b.scope, .names = b.names, .bytes = bytes, .arg = text, .placed = manifest_new(), .setuid = true };
	for (size_t i = 0; i < AMONG; i++) {
		to[i] = (struct entry){ .path = among[i].path, .type = among[i].type, .mode = among[i].mode, .mtime_s = 1000 + (int64_t)i,
			.user = { names_of(b.names, false, among[i].uid), among[i].uid }, .group = { names_of(b.names, true, among[i].gid), among[i].gid },
			.target = among[i].type == ENTRY_LINK ? "there" : NULL };
		if (to[i].type == ENTRY_FILE) {
			to[i].size = strlen(text);
			digest_sha256(text, strlen(text), to[i].digest);
		}
		change[i] = (struct change){ .path = to[i].path, .to = &to[i],
			.kind = to[i].type == ENTRY_FILE ? CHANGE_FILE : to[i].type == ENTRY_LINK ? CHANGE_LINK : CHANGE_DIRECTORY };
	}
	ck_assert_msg(install_apply(b.root, change, AMONG, &o, &report, &err), "%s", err.text);
	is = box_scan(&b);
	ck_assert_uint_eq(o.placed->len, AMONG);
	for (size_t i = 0; i < AMONG; i++) {
		const struct entry *e = manifest_find(is, to[i].path), *told = &o.placed->at[i];

		ck_assert_msg(e != NULL && (entry_diff(e, &to[i]) & ~(to[i].type == ENTRY_DIRECTORY ? ENTRY_DIFF_TIME : 0)) == 0, "%s", to[i].path);
		ck_assert_msg(entry_diff(e, told) == 0 && e->local.ino == told->local.ino && e->local.ctime_ns == told->local.ctime_ns, "%s", to[i].path);
	}
	manifest_free(o.placed);
	manifest_free(is);
	report_free(&report);
	box_close(&b);
	umask(mask);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config placed");
	TCase *tc = tcase_create("all");

	tcase_add_loop_test(tc, what_was_just_put_in_place_is_known_without_being_read, 0, 2);
	tcase_add_test(tc, what_is_told_of_it_is_what_a_reading_finds);
	tcase_add_loop_test(tc, what_comes_in_a_new_directory_is_as_it_shall_be_whatever_that_gives_it, 0, 8);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
