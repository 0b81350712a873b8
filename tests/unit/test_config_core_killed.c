/*
 * tests/unit/test_config_core_killed.c - what configsync/core.h says of a node that was killed: what it had put in place is no edit of its own, as soon as it
 * can be read.
 */
#include "tests/unit/config_core_case.h"

/* As of alpha, which made them. */
static void
intended(struct core *c, const char *content, uint64_t stamp)
{
	struct manifest *m = letters("c", (const uint64_t[]){ 1 }, content != NULL ? content : "?");

	core_intent(c, &(struct core_store_row){ .path = "c", .entry = content != NULL ? &m->at[0] : NULL, .stamp = stamp }, &somebody);
	manifest_free(m);
}

static void
scan(struct core *c, const char *content)
{
	struct manifest *m = content != NULL ? letters("c", (const uint64_t[]){ 1 }, content) : toy_sealed(manifest_new());

	core_scan(c, m, core_moment(c), &somebody, 1);
	manifest_free(m);
}

/* Both had x; beta was to get y, then z, was killed and finds something; alpha has gone on to w. */
static const struct { const char *found; size_t takes, conflicts; } after[] = {
	{ "x", 1, 0 },		/* none was put in place */
	{ "y", 1, 0 }, { "z", 1, 0 },
	{ NULL, 1, 0 },		/* the last of them: it was to go */
	{ "e", 0, 1 },		/* edited since */
};

START_TEST(what_a_killed_node_had_put_in_place_is_no_edit)
{
	struct core *a = core_of("alpha", "beta", 1), *b = core_of("beta", "alpha", 1);
	struct core_status s;

	base(a, "c", "x", 2);
	base(b, "c", "x", 2);
	intended(b, "y", 4);
	intended(b, "z", 6);
	intended(b, NULL, 8);
	scan(a, "w");
	scan(b, after[_i].found);
	core_link(a, true, 2);
	core_link(b, true, 2);
	talk(a, b);
	core_status(b, &s);
	ck_assert_uint_eq(s.to_take, after[_i].takes);
	ck_assert_uint_eq(s.conflicts, after[_i].conflicts);
	core_status(a, &s);
	ck_assert_uint_eq(s.conflicts, after[_i].conflicts);
	ck_assert_uint_eq(b->intendeds, 0);
	core_free(a);
	core_free(b);
}
END_TEST

START_TEST(what_was_put_in_place_before_the_last_common_version_counts_no_more)
{
	struct core *a = core_of("alpha", "beta", 1), *b = core_of("beta", "alpha", 1);
	struct core_status s;

	base(a, "c", "x", 6);
	base(b, "c", "x", 6);
	intended(b, "y", 4);
	scan(a, "w");
	scan(b, "y");		/* somebody has brought it back */
	core_link(a, true, 2);
	core_link(b, true, 2);
	talk(a, b);
	core_status(b, &s);
	ck_assert_uint_eq(s.conflicts, 1);
	core_free(a);
	core_free(b);
}
END_TEST

/* ---------------------------------------------------------------- what could not be read when it was started again */

/* c in d, "" none, "?" one that cannot be read, or (NULL) d cannot be. z is of a later time than all that was about to be put in place. */
static struct manifest *
directory(const char *content)
{
	struct manifest *m = manifest_new();
	struct entry e = { .path = "d/c", .type = ENTRY_FILE, .mode = 0644, .size = 1, .user.name = "root", .group.name = "root",
		.local = { .dev = 1, .ino = 3, .links = 1 } };

	if (content != NULL) {
		manifest_add(m, &(struct entry){ .path = "d", .type = ENTRY_DIRECTORY, .mode = 0755, .user.name = "root", .group.name = "root" });
		e.digest[0] = (uint8_t)content[0];
		if (content[0] == '?')
			manifest_add(m, &(struct entry){ .path = "d/c", .type = ENTRY_OTHER, .user.name = "", .group.name = "" });
		else if (content[0] != '\0')
			manifest_add(m, &e);
	} else {
		manifest_add(m, &(struct entry){ .path = "d", .type = ENTRY_OTHER, .user.name = "", .group.name = "" });
	}
	e.path = "z";
	e.digest[0] = 'z';
	manifest_add(m, &e);
	return toy_sealed(m);
}

static void
knows(struct core *c, const char *content)
{
	struct manifest *m = directory(content);

	for (size_t i = 0; i < m->len; i++)
		core_base(c, m->at[i].path, &m->at[i], strcmp(m->at[i].path, "z") == 0 ? 20 : 2);
	manifest_free(m);
}

static void
intends(struct core *c, const char *content, uint64_t stamp)
{
	struct manifest *m = directory(content);
	const struct entry *e = manifest_find(m, "d/c");

	core_intent(c, &(struct core_store_row){ .path = "d/c", .entry = e, .stamp = stamp }, &somebody);
	manifest_free(m);
}

/* All of it, or what is in d. */
static void
reads(struct core *c, bool all, const char *content)
{
	struct manifest *m = directory(content), *d = manifest_new();

	for (size_t i = 0; i < m->len && !all; i++) {
		if (entry_path_within(m->at[i].path, "d"))
			manifest_add(d, &m->at[i]);
	}
	if (all)
		core_scan(c, m, core_moment(c), &somebody, 1);
	else
		core_slice(c, &(struct core_looked){ "d", true }, 1, toy_sealed(d), core_moment(c), &somebody, 6);
	manifest_free(m);
	manifest_free(d);
}

/*
 * As before; but beta cannot read d at first. What is in it is read before the nodes meet, or when they have. known: d/c was there before.
 */
static const struct { bool known; const char *found; size_t takes, conflicts; } hidden[] = {
	{ true, "x", 1, 0 }, { true, "y", 1, 0 }, { true, "z", 1, 0 }, { true, "", 1, 0 }, { true, "e", 0, 1 },
	{ false, "", 1, 0 }, { false, "y", 1, 0 }, { false, "z", 1, 0 }, { false, "e", 0, 1 },
};
#define HIDDEN (int)(sizeof hidden / sizeof hidden[0])

START_TEST(what_a_killed_node_had_put_in_place_where_it_could_not_look_at_first_is_no_edit)
{
	struct core *a = core_of("alpha", "beta", 1), *b = core_of("beta", "alpha", 1);
	bool linked = _i >= HIDDEN;
	const char *found = hidden[_i % HIDDEN].found;
	struct core_status s;

	knows(a, hidden[_i % HIDDEN].known ? "x" : "");
	knows(b, hidden[_i % HIDDEN].known ? "x" : "");
	intends(b, "y", 4);
	intends(b, "z", 6);
	intends(b, "", 8);
	reads(a, true, "w");
	reads(b, true, NULL);
	ck_assert(core_awaits(b, "d/c"));
	for (int i = 0; i < 2; i++) {
		if (linked == (i == 0)) {
			core_link(a, true, 2);
			core_link(b, true, 2);
			talk(a, b);
		} else {
			reads(b, false, found);
		}
	}
	talk(a, b);
	ck_assert(core_awaits(b, "d/c") == (!linked && !hidden[_i % HIDDEN].known && found[0] == '\0'));	/* of which nothing is known, until all is read */
	core_status(b, &s);
	ck_assert_uint_eq(s.to_take, hidden[_i % HIDDEN].takes);
	ck_assert_uint_eq(s.conflicts, hidden[_i % HIDDEN].conflicts);
	core_status(a, &s);
	ck_assert_uint_eq(s.to_give, hidden[_i % HIDDEN].takes);
	ck_assert_uint_eq(s.conflicts, hidden[_i % HIDDEN].conflicts);
	reads(b, true, found);
	ck_assert(!core_awaits(b, "d/c"));
	core_free(a);
	core_free(b);
}
END_TEST

/* beta has said of d/c that it cannot read it, as a version that comes after what it finds at last. What is said later has no lower stamp. */
START_TEST(what_is_found_after_it_was_said_to_be_unknown_takes_nothing_back)
{
	struct core *a = core_of("alpha", "beta", 1), *b = core_of("beta", "alpha", 1);
	struct core_status s;

	knows(a, "");
	knows(b, "");
	intends(b, "y", 4);
	reads(a, true, "");
	reads(b, true, NULL);
	core_link(a, true, 2);
	core_link(b, true, 2);
	talk(a, b);
	reads(b, false, "?");
	talk(a, b);
	reads(a, false, "w");
	talk(a, b);
	reads(b, false, "y");
	talk(a, b);
	core_status(a, &s);
	ck_assert_int_eq(s.link, CORE_LINKED);
	ck_assert_uint_eq(s.conflicts, 1);
	core_free(a);
	core_free(b);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config_core_killed");
	TCase *tcase = tcase_create("killed");

	tcase_add_loop_test(tcase, what_a_killed_node_had_put_in_place_is_no_edit, 0, (int)(sizeof after / sizeof after[0]));
	tcase_add_test(tcase, what_was_put_in_place_before_the_last_common_version_counts_no_more);
	tcase_add_loop_test(tcase, what_a_killed_node_had_put_in_place_where_it_could_not_look_at_first_is_no_edit, 0, 2 * HIDDEN);
	tcase_add_test(tcase, what_is_found_after_it_was_said_to_be_unknown_takes_nothing_back);
	suite_add_tcase(suite, tcase);
	return unit_main(suite);
}
