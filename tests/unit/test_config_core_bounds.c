/*
 * tests/unit/test_config_core_bounds.c - what a peer that has lost its mind, or is somebody else's by now, gets from configsync/core.h:
 * no more room than there are limits, no path that is not carried, and nothing of a set put in place that was not found valid.
 */
#include "tests/unit/harness.h"

#include "configsync/core_priv.h"
#include "tests/unit/config_toy.h"

static const struct core_origin somebody = { .name = "1", .node = "alpha" };
static const struct core_limits tight = { .entries = 4, .bytes = 4096, .report_rows = 3, .jobs = 4 };
static const char *dropped;

/* So many files and directories with short names. */
static struct manifest *
tree_of(size_t n, const char *prefix)
{
	struct manifest *m = manifest_new();
	char path[64];

	for (size_t i = 0; i < n; i++) {
		struct entry e = { .type = ENTRY_DIRECTORY, .mode = 0755, .user.name = "root", .group.name = "root" };

		snprintf(path, sizeof path, "%s%03zu", prefix, i);
		e.path = arena_text(m->arena, path);
		manifest_add(m, &e);
	}
	return toy_sealed(m);
}

static struct core *
beta_of(struct core_options o, const struct manifest *mine)
{
	struct core *c;

	o.self = "beta";
	o.peer = "alpha";
	o.epoch = 1;
	o.both_write = true;
	c = core_new(&o);
	core_scan(c, mine, core_moment(c), &somebody, 1);
	core_link(c, true, 2);
	return c;
}

/* What beta is told by a peer of which it knows nothing good. */
static void
hears(struct core *c, struct wire w)
{
	const struct core_action *a;

	core_wire(c, &w, 5, 5);
	while ((a = core_action_next(c)) != NULL)
		if (a->type == CORE_DROP)
			dropped = strdup(a->text);
}

static void
greets(struct core *c, uint8_t tree)
{
	dropped = NULL;
	hears(c, (struct wire){ .type = WIRE_HELLO, .hello = { .version = WIRE_VERSION, .epoch = 2, .tree = { tree }, .index = { 0 } } });
	ck_assert_ptr_null(dropped);
}

static void
is_cut_off(struct core *c, const char *why)
{
	struct core_status s;

	ck_assert_ptr_nonnull(dropped);
	ck_assert_msg(strstr(dropped, why) != NULL, "\"%s\" does not say \"%s\"", dropped, why);
	core_status(c, &s);
	ck_assert_int_eq(s.link, CORE_REFUSED);
	ck_assert(s.problems == 1 && strcmp(s.problem[0].kind, "link") == 0);
}

/* Both trees are empty, so that they are linked at once. */
static struct core *
linked_beta(struct core_options o)
{
	struct manifest *none = tree_of(0, "");
	struct core *c = beta_of(o, none);
	struct wire w = { .type = WIRE_HELLO };
	const struct core_action *a;
	struct core_status s;

	while ((a = core_action_next(c)) != NULL)
		if (a->type == CORE_SEND && a->wire.type == WIRE_HELLO)
			w.hello = a->wire.hello;
	w.hello.epoch = 2;
	dropped = NULL;
	hears(c, w);
	core_status(c, &s);
	ck_assert_int_eq(s.link, CORE_LINKED);
	manifest_free(none);
	return c;
}

/* Of all entries of a tree, the first has this number. */
static void
news(struct core *c, const struct manifest *m, uint64_t serial)
{
	struct wire_news_row *row = calloc(m->len + 1, sizeof *row);

	ck_assert_ptr_nonnull(row);
	for (size_t i = 0; i < m->len; i++)
		row[i] = (struct wire_news_row){ .path = m->at[i].path, .stamp = 100 + 2 * i, .entry = &m->at[i] };
	hears(c, (struct wire){ .type = WIRE_NEWS, .news = { .serial = serial, .set = "5f", .node = "alpha", .row = row, .rows = m->len } });
	free(row);
}

START_TEST(more_paths_than_the_limit_end_the_link_whether_as_news_or_as_a_tree)
{
	struct core *c = linked_beta((struct core_options){ .limits = tight });
	struct manifest *four = tree_of(4, "a"), *more = tree_of(1, "b"), *many = tree_of(5, "a"), *none = tree_of(0, "");
	uint8_t *bytes;
	size_t len;

	news(c, four, 1);
	ck_assert_ptr_null(dropped);
	news(c, more, 2);
	is_cut_off(c, "more than the 4 paths");
	core_free(c);

	c = beta_of((struct core_options){ .limits = tight }, none);
	greets(c, 7);
	bytes = manifest_encode(many, &len);
	hears(c, (struct wire){ .type = WIRE_TREE, .tree = { .total = (uint32_t)len, .plain = (uint32_t)len, .bytes = bytes, .len = (uint32_t)len } });
	is_cut_off(c, "the tree of alpha");
	core_free(c);
	free(bytes);
	manifest_free(four);
	manifest_free(more);
	manifest_free(many);
	manifest_free(none);
}
END_TEST

START_TEST(more_bytes_than_the_limit_are_not_even_taken_in)
{
	static const uint8_t bytes[16];
	struct manifest *none = tree_of(0, "");
	struct core *c = beta_of((struct core_options){ .limits = tight }, none);

	greets(c, 7);
	hears(c, (struct wire){ .type = WIRE_TREE, .tree = { .total = 4097, .plain = 4097, .bytes = bytes, .len = sizeof bytes } });
	is_cut_off(c, "too large");
	core_free(c);
	c = beta_of((struct core_options){ .limits = tight }, none);
	greets(c, 7);
	hears(c, (struct wire){ .type = WIRE_TREE, .tree = { .total = 16, .plain = UINT32_MAX, .bytes = bytes, .len = sizeof bytes } });
	is_cut_off(c, "too large");		/* 16 bytes that say they become 4 GiB */
	core_free(c);
	manifest_free(none);
}
END_TEST

START_TEST(an_index_of_more_paths_than_the_limit_ends_the_link)
{
	static const char *const path[] = { "a", "b", "c", "d", "e" };
	struct wire_index_row row[5];
	struct manifest *none = tree_of(0, "");
	struct core *c = beta_of((struct core_options){ .limits = tight }, none);

	for (size_t i = 0; i < 5; i++)
		row[i] = (struct wire_index_row){ .path = path[i], .stamp = i + 1 };
	dropped = NULL;
	hears(c, (struct wire){ .type = WIRE_HELLO, .hello = { .version = WIRE_VERSION, .epoch = 2, .tree = { 7 }, .index = { 7 } } });
	hears(c, (struct wire){ .type = WIRE_INDEX, .index = { .first = true, .row = row, .rows = 4 } });
	ck_assert_ptr_null(dropped);
	hears(c, (struct wire){ .type = WIRE_INDEX, .index = { .last = true, .row = row + 4, .rows = 1 } });
	is_cut_off(c, "index");
	core_free(c);
	manifest_free(none);
}
END_TEST

START_TEST(a_report_of_many_rows_is_cut)
{
	struct core *c = linked_beta((struct core_options){ .limits = tight });
	struct wire_report_row row[5];
	struct core_status s;

	for (size_t i = 0; i < 5; i++)
		row[i] = (struct wire_report_row){ .kind = "unreadable", .path = "x", .text = "no" };
	hears(c, (struct wire){ .type = WIRE_REPORT, .report = { .row = row, .rows = 5 } });
	core_status(c, &s);
	ck_assert(s.theirs_rows == 3 && s.theirs_cut);
	core_free(c);
}
END_TEST

START_TEST(a_path_that_is_not_carried_ends_the_link_however_it_is_named)
{
	static const char *const tree[] = { "/carried", NULL };
	struct scope *scope = scope_new(&(struct scope_rules){ .tree = tree }, NULL);
	static const struct wire_index_row outside = { .path = "etc/shadow", .stamp = 1 };
	struct manifest *m = manifest_new(), *none = tree_of(0, "");
	struct core *c = linked_beta((struct core_options){ .scope = scope });

	manifest_add(m, &(struct entry){ .path = "etc/shadow", .type = ENTRY_FILE, .mode = 0600, .user.name = "root", .group.name = "root" });
	toy_sealed(m);
	news(c, m, 1);
	is_cut_off(c, "etc/shadow, which is not carried");
	core_free(c);
	c = beta_of((struct core_options){ .scope = scope }, none);
	dropped = NULL;
	hears(c, (struct wire){ .type = WIRE_HELLO, .hello = { .version = WIRE_VERSION, .epoch = 2, .tree = { 7 }, .index = { 7 } } });
	hears(c, (struct wire){ .type = WIRE_INDEX, .index = { .first = true, .last = true, .row = &outside, .rows = 1 } });
	is_cut_off(c, "etc/shadow, which is not carried");
	core_free(c);
	scope_free(scope);
	manifest_free(m);
	manifest_free(none);
}
END_TEST

/* What beta is asked to do with one file of a set that it hears of, and of the verdict. */
static size_t
installs(enum validity verdict, bool answer)
{
	const struct set_tree tree = { .path = "/t", .validate = "true" };
	const struct set_rules sets = { .tree = &tree, .trees = 1 };
	struct core *c = linked_beta((struct core_options){ .sets = &sets });
	struct manifest *m = manifest_new();
	const struct core_action *a;
	size_t verify = 0, install = 0;
	uint64_t job = 0;

	manifest_add(m, &(struct entry){ .path = "t", .type = ENTRY_FILE, .mode = 0600, .user.name = "root", .group.name = "root" });
	toy_sealed(m);
	core_wire(c, &(struct wire){ .type = WIRE_NEWS, .news = { .serial = 1, .set = "5f", .node = "alpha", .rows = 1,
		.row = &(struct wire_news_row){ .path = "t", .stamp = 100, .entry = &m->at[0] } } }, 5, 5);
	for (int i = 0; i < 2; i++) {
		while ((a = core_action_next(c)) != NULL) {
			install += a->type == CORE_INSTALL;
			if (a->type == CORE_VERIFY) {
				verify++;
				job = a->job.id;
			}
		}
		ck_assert_uint_eq(verify, 1);
		ck_assert(i > 0 || install == 0);
		if (answer)
			core_verified(c, job, verdict, "", 6, 6);
	}
	core_free(c);
	manifest_free(m);
	return install;
}

START_TEST(nothing_of_a_set_is_put_in_place_before_it_was_found_valid)
{
	ck_assert_uint_eq(installs(VALIDITY_VALID, false), 0);
	ck_assert_uint_eq(installs(VALIDITY_INVALID, true), 0);
	ck_assert_uint_eq(installs(VALIDITY_UNKNOWN, true), 0);
	ck_assert_uint_eq(installs(VALIDITY_VALID, true), 1);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config_core_bounds");
	TCase *tcase = tcase_create("bounds");

	tcase_add_test(tcase, more_paths_than_the_limit_end_the_link_whether_as_news_or_as_a_tree);
	tcase_add_test(tcase, more_bytes_than_the_limit_are_not_even_taken_in);
	tcase_add_test(tcase, an_index_of_more_paths_than_the_limit_ends_the_link);
	tcase_add_test(tcase, a_report_of_many_rows_is_cut);
	tcase_add_test(tcase, a_path_that_is_not_carried_ends_the_link_however_it_is_named);
	tcase_add_test(tcase, nothing_of_a_set_is_put_in_place_before_it_was_found_valid);
	suite_add_tcase(suite, tcase);
	return unit_main(suite);
}
