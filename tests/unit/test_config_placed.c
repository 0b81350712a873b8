/*
 * tests/unit/test_config_placed.c - laws of what an installation tells of the files that it has put in place: they are known without being read,
 * as long as they are the ones.
 */
#include "tests/unit/harness.h"

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

START_TEST(what_was_just_put_in_place_is_known_without_being_read)
{
	static const struct timespec same[2] = { { 1000, 0 }, { 1000, 0 } };
	static char text[] = "hello";
	struct entry e[3] = { { .type = ENTRY_DIRECTORY, .path = "t/n", .mode = 0755 }, { .type = ENTRY_FILE, .path = "t/n/b" },
		{ .type = ENTRY_FILE, .path = "t/a" } };
	struct change c[3] = { { .kind = CHANGE_DIRECTORY }, { .kind = CHANGE_FILE }, { .kind = CHANGE_FILE } };
	const char *path = _i == 0 ? "t/a" : "t/n/b";	/* one that was renamed, and one that came with its directory */
	struct report report = { 0 };
	struct config_box b;
	struct err err;
	struct install_options o = { .bytes = bytes, .arg = text, .placed = manifest_new() };

	box_open(&b, NULL);
	o.scope = b.scope;
	o.names = b.names;
	for (int i = 0; i < 3; i++) {
		e[i].user = e[i].group = (struct entry_owner){ "root", 0 };
		e[i].mtime_s = 1000;
		if (e[i].type == ENTRY_FILE) {
			e[i].size = strlen(text);
			e[i].mode = 0644;
			digest_sha256(text, strlen(text), e[i].digest);
		}
		c[i].path = e[i].path;
		c[i].to = &e[i];
	}
	ck_assert_msg(install_apply(b.root, c, 3, &o, &report, &err), "%s", err.text);
	ck_assert(manifest_seal(o.placed, &err));
	is_known(&b, o.placed, 0);
	box_write(&b, path, "HELLO");	/* as long as before, and as old */
	ck_assert_int_eq(utimensat(b.root, path, same, 0), 0);
	is_known(&b, o.placed, 1);
	manifest_free(o.placed);
	report_free(&report);
	box_close(&b);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config placed");
	TCase *tc = tcase_create("all");

	tcase_add_loop_test(tc, what_was_just_put_in_place_is_known_without_being_read, 0, 2);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
