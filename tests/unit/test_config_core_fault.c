/*
 * tests/unit/test_config_core_fault.c - what configsync/core.h says of nodes that lost what they had, could not read what they have, or are told of something
 * while they are at work on it. Of those that were killed: test_config_core_killed.c.
 */
#include "tests/unit/config_core_case.h"

/*
 * a becomes a name of c's file while c is being replaced: when that is done a stands alone again, and no watch tells, as nothing was done
 * to a. (Seed 7445 of the model as it was then: equal trees that never came in step.)
 */
START_TEST(a_name_that_lost_its_mate_to_an_installation_is_read_again)
{
	struct core *a = core_of("alpha", "beta", 1), *b = core_of("beta", "alpha", 1);
	struct manifest *old = letters("ac", (const uint64_t[]){ 1, 2 }, "xy"), *there = letters("c", (const uint64_t[]){ 9 }, "z");
	const struct core_action *act;
	uint64_t job;
	bool asked = false;

	core_scan(a, old, core_moment(a), &somebody, 1);
	core_scan(b, old, core_moment(b), &somebody, 1);
	core_link(a, true, 2);
	core_link(b, true, 2);
	talk(a, b);
	read_into(a, "c", (const uint64_t[]){ 7 }, "z");
	talk(a, b);
	core_content(b, there->at[0].digest, CORE_HAVE, NULL, 6);
	job = job_to_install(b);
	read_into(b, "ac", (const uint64_t[]){ 2, 2 }, "yy");
	talk(b, a);
	core_installed(b, job, true, NULL, NULL, there, &somebody, 7, 7);
	while ((act = core_action_next(b)) != NULL) {
		asked = asked || (act->type == CORE_RESCAN && act->looks == 1 && strcmp(act->looked[0].path, "a") == 0);
	}
	ck_assert(asked);
	core_free(a);
	core_free(b);
	manifest_free(old);
	manifest_free(there);
}
END_TEST

/* Two nodes with one file c, and what each had for common. */
static void
meet(struct core *a, const char *mine, uint64_t stamp_a, struct core *b, const char *theirs, uint64_t stamp_b)
{
	struct manifest *m = letters("c", (const uint64_t[]){ 1 }, mine), *t = letters("c", (const uint64_t[]){ 1 }, theirs);

	base(a, "c", mine, stamp_a);
	base(b, "c", theirs, stamp_b);
	core_scan(a, m, core_moment(a), &somebody, 1);
	core_scan(b, t, core_moment(b), &somebody, 1);
	core_link(a, true, 2);
	core_link(b, true, 2);
	manifest_free(m);
	manifest_free(t);
}

START_TEST(a_node_that_a_power_cut_set_back_gets_back_what_it_had)
{
	struct core *a = core_of("alpha", "beta", 1), *b = core_of("beta", "alpha", 1);
	struct core_status s;

	meet(a, "x", 2, b, "y", 5);
	talk(a, b);
	core_status(a, &s);
	ck_assert(s.to_take == 1 && s.conflicts == 0);
	core_status(b, &s);
	ck_assert(s.to_give == 1 && s.conflicts == 0);
	core_free(a);
	core_free(b);
}
END_TEST

START_TEST(one_stamp_of_two_versions_is_a_conflict)
{
	struct core *a = core_of("alpha", "beta", 1), *b = core_of("beta", "alpha", 1);
	struct core_status s;

	meet(a, "x", 4, b, "y", 4);
	talk(a, b);
	core_status(a, &s);
	ck_assert_uint_eq(s.conflicts, 1);
	core_status(b, &s);
	ck_assert_uint_eq(s.conflicts, 1);
	core_free(a);
	core_free(b);
}
END_TEST

/* While z is put in place on b, a goes back to y, which b still has for its own. */
START_TEST(what_is_heard_during_an_installation_is_not_taken_for_what_it_ends_with)
{
	struct core *a = core_of("alpha", "beta", 1), *b = core_of("beta", "alpha", 1);
	struct manifest *there = letters("c", (const uint64_t[]){ 9 }, "z");
	struct core_status s;
	uint64_t job;

	meet(a, "y", 2, b, "y", 2);
	talk(a, b);
	read_into(a, "c", (const uint64_t[]){ 7 }, "z");
	talk(a, b);
	core_content(b, there->at[0].digest, CORE_HAVE, NULL, 6);
	job = job_to_install(b);
	read_into(a, "c", (const uint64_t[]){ 8 }, "y");
	talk(a, b);
	core_installed(b, job, true, NULL, NULL, there, &somebody, 7, 7);
	talk(b, a);
	core_status(b, &s);
	ck_assert_uint_eq(s.to_take, 1);
	core_status(a, &s);
	ck_assert_uint_eq(s.to_take, 0);
	core_free(a);
	core_free(b);
	manifest_free(there);
}
END_TEST

/* What one has to say is heard by the other, which says nothing yet. */
static void
deliver(struct core *from, struct core *to)
{
	const struct core_action *a;
	struct wire w;
	size_t len;

	while ((a = core_action_next(from)) != NULL) {
		uint8_t *bytes = a->type == CORE_SEND ? wire_encode(&a->wire, &len) : NULL;

		if (bytes == NULL)
			continue;
		ck_assert(wire_parse(&w, (uint8_t)a->wire.type, bytes, len, NULL));
		core_wire(to, &w, 8, 8);
		wire_free(&w);
		free(bytes);
	}
}

/* a goes from y to z and back to y before it hears that b has the first y, and then on to w: a storm of renames does so, and nothing of it is a conflict. */
START_TEST(what_the_other_node_has_is_common_also_where_mine_is_the_same_again)
{
	struct core *a = core_of("alpha", "beta", 1), *b = core_of("beta", "alpha", 1);
	struct manifest *there = letters("c", (const uint64_t[]){ 9 }, "y");
	struct core_status s;
	uint64_t job;

	meet(a, "x", 2, b, "x", 2);
	talk(a, b);
	read_into(a, "c", (const uint64_t[]){ 7 }, "y");
	deliver(a, b);
	core_content(b, there->at[0].digest, CORE_HAVE, NULL, 6);
	job = job_to_install(b);
	core_installed(b, job, true, NULL, NULL, there, &somebody, 7, 7);
	read_into(a, "c", (const uint64_t[]){ 8 }, "z");
	read_into(a, "c", (const uint64_t[]){ 7 }, "y");
	deliver(b, a);
	read_into(a, "c", (const uint64_t[]){ 8 }, "w");
	core_status(a, &s);
	ck_assert_uint_eq(s.conflicts, 0);
	ck_assert_uint_eq(s.to_give, 1);
	talk(a, b);
	core_status(b, &s);
	ck_assert(s.to_take == 1 && s.conflicts == 0);
	core_free(a);
	core_free(b);
	manifest_free(there);
}
END_TEST

START_TEST(an_installation_says_what_it_makes_common)
{
	struct core *a = core_of("alpha", "beta", 1), *b = core_of("beta", "alpha", 1);
	struct manifest *y = letters("c", (const uint64_t[]){ 7 }, "y");
	const struct core_action *act;
	size_t intents = 0;

	meet(a, "x", 2, b, "x", 2);
	talk(a, b);
	read_into(a, "c", (const uint64_t[]){ 7 }, "y");
	talk(a, b);
	core_content(b, y->at[0].digest, CORE_HAVE, NULL, 6);
	while ((act = core_action_next(b)) != NULL) {
		if (act->type != CORE_INSTALL)
			continue;
		intents = act->job.intents;
		ck_assert_uint_eq(intents, 1);
		ck_assert_str_eq(act->job.intent->path, "c");
		ck_assert_uint_eq(act->job.intent->stamp, row_sm(tree_find(&a->tree, "c", 1)));
		ck_assert_uint_eq(act->job.intent->entry->digest[0], 'y');
	}
	ck_assert_uint_eq(intents, 1);
	core_free(a);
	core_free(b);
	manifest_free(y);
}
END_TEST

/* ---------------------------------------------------------------- what cannot be read */

static void
cannot_read(struct core *c, const char *path)
{
	struct manifest *m = manifest_new();

	manifest_add(m, &(struct entry){ .path = path, .type = ENTRY_OTHER, .user.name = "", .group.name = "" });
	core_slice(c, &(struct core_looked){ path, true }, 1, toy_sealed(m), core_moment(c), &somebody, 6);
	manifest_free(m);
}

START_TEST(what_cannot_be_read_for_a_moment_is_no_edit)
{
	struct core *a = core_of("alpha", "beta", 1), *b = core_of("beta", "alpha", 1);
	struct core_status s;

	meet(a, "x", 2, b, "x", 2);
	talk(a, b);
	cannot_read(b, "c");
	talk(a, b);
	core_status(b, &s);
	ck_assert(!s.in_step);
	read_into(a, "c", (const uint64_t[]){ 7 }, _i == 0 ? "y" : "x");
	if (_i != 0)
		cannot_read(a, "c");
	talk(a, b);
	read_into(b, "c", (const uint64_t[]){ 1 }, "x");
	if (_i != 0)
		read_into(a, "c", (const uint64_t[]){ 8 }, "y");
	talk(a, b);
	core_status(b, &s);
	ck_assert_uint_eq(s.to_take, 1);
	ck_assert_uint_eq(s.conflicts, 0);
	core_status(a, &s);
	ck_assert_uint_eq(s.conflicts, 0);
	core_free(a);
	core_free(b);
}
END_TEST

START_TEST(what_was_edited_while_it_could_not_be_read_is_an_edit)
{
	struct core *a = core_of("alpha", "beta", 1), *b = core_of("beta", "alpha", 1);
	struct core_status s;

	meet(a, "x", 2, b, "x", 2);
	talk(a, b);
	cannot_read(b, "c");
	talk(a, b);
	read_into(a, "c", (const uint64_t[]){ 7 }, "y");
	talk(a, b);
	read_into(b, "c", (const uint64_t[]){ 1 }, "z");
	talk(a, b);
	core_status(b, &s);
	ck_assert_uint_eq(s.conflicts, 1);
	core_status(a, &s);
	ck_assert_uint_eq(s.conflicts, 1);
	core_free(a);
	core_free(b);
}
END_TEST

/* A directory and a file in it, "" none. */
static struct manifest *
in_directory(const char *content)
{
	struct manifest *m = manifest_new();
	struct entry e = { .path = "d/c", .type = ENTRY_FILE, .mode = 0644, .size = 1, .user.name = "root", .group.name = "root",
		.local = { .dev = 1, .ino = 3, .links = 1 }, .digest = { (uint8_t)content[0] } };

	manifest_add(m, &(struct entry){ .path = "d", .type = ENTRY_DIRECTORY, .mode = 0755, .user.name = "root", .group.name = "root" });
	if (content[0] != '\0')
		manifest_add(m, &e);
	return toy_sealed(m);
}

/* The link begins while it cannot be read: to both it is unknown what is in it. */
START_TEST(what_is_in_a_directory_that_cannot_be_read_when_a_link_begins_is_no_edit)
{
	static const struct { const char *found; size_t takes, conflicts; } then[] = { { "x", 1, 0 }, { "", 0, 1 }, { "z", 0, 1 } };
	struct core *a = core_of("alpha", "beta", 1), *b = core_of("beta", "alpha", 1);
	struct manifest *x = in_directory("x"), *y = in_directory("y"), *found = in_directory(then[_i].found);
	const struct core_looked below = { "d", true };
	struct core_status s;

	core_base(a, "d", &x->at[0], 2);
	core_base(b, "d", &x->at[0], 2);
	core_base(a, "d/c", &x->at[1], 2);
	core_base(b, "d/c", &x->at[1], 2);
	core_scan(a, x, core_moment(a), &somebody, 1);
	core_scan(b, x, core_moment(b), &somebody, 1);
	cannot_read(b, "d");
	core_link(a, true, 2);
	core_link(b, true, 2);
	talk(a, b);
	core_slice(a, &below, 1, y, core_moment(a), &somebody, 6);
	talk(a, b);
	core_slice(b, &below, 1, found, core_moment(b), &somebody, 6);
	talk(a, b);
	core_status(b, &s);
	ck_assert_uint_eq(s.to_take, then[_i].takes);
	ck_assert_uint_eq(s.conflicts, then[_i].conflicts);
	core_free(a);
	core_free(b);
	manifest_free(x);
	manifest_free(y);
	manifest_free(found);
}
END_TEST

/* b does not know of any common version of d/c, and not what is there: it cannot be said that a power cut has set it back. */
START_TEST(what_cannot_be_read_when_a_link_begins_was_not_set_back)
{
	struct core *a = core_of("alpha", "beta", 1), *b = core_of("beta", "alpha", 1);
	struct manifest *x = in_directory("x"), *y = in_directory("y"), *unread = manifest_new();
	struct core_status s;

	core_base(a, "d", &x->at[0], 2);
	core_base(b, "d", &x->at[0], 2);
	core_base(a, "d/c", &x->at[1], 4);
	core_scan(a, x, core_moment(a), &somebody, 1);
	manifest_add(unread, &(struct entry){ .path = "d", .type = ENTRY_OTHER, .user.name = "", .group.name = "" });
	core_scan(b, toy_sealed(unread), core_moment(b), &somebody, 1);
	core_link(a, true, 2);
	core_link(b, true, 2);
	talk(a, b);
	core_slice(b, &(struct core_looked){ "d", true }, 1, y, core_moment(b), &somebody, 6);
	talk(b, a);
	core_status(a, &s);
	ck_assert(s.to_take == 1 && s.conflicts == 0);
	core_free(a);
	core_free(b);
	manifest_free(x);
	manifest_free(unread);
	manifest_free(y);
}
END_TEST

/* a has removed it; b lacks it as well, as far as can be seen: that is no deletion that both have made. */
START_TEST(what_cannot_be_read_when_a_link_begins_is_not_gone_on_both)
{
	struct core *a = core_of("alpha", "beta", 1), *b = core_of("beta", "alpha", 1);
	struct manifest *x = in_directory("x"), *gone = in_directory(""), *unread = manifest_new();
	struct core_status s;

	for (size_t i = 0; i < x->len; i++) {
		core_base(a, x->at[i].path, &x->at[i], 2);
		core_base(b, x->at[i].path, &x->at[i], 2);
	}
	core_scan(a, gone, core_moment(a), &somebody, 1);
	manifest_add(unread, &(struct entry){ .path = "d", .type = ENTRY_OTHER, .user.name = "", .group.name = "" });
	core_scan(b, toy_sealed(unread), core_moment(b), &somebody, 1);
	core_link(a, true, 2);
	core_link(b, true, 2);
	talk(a, b);
	core_slice(b, &(struct core_looked){ "d", true }, 1, x, core_moment(b), &somebody, 6);
	talk(b, a);
	core_status(a, &s);
	ck_assert(s.to_give == 1 && s.to_take == 0 && s.conflicts == 0);
	core_free(a);
	core_free(b);
	manifest_free(x);
	manifest_free(gone);
	manifest_free(unread);
}
END_TEST

/* b has removed c, and forgotten it, when something that it cannot read stands there. a has gone on, and knows of the deletion. */
START_TEST(what_cannot_be_read_has_no_lower_stamp_than_what_was_removed_there)
{
	struct core *a = core_of("alpha", "beta", 1), *b = core_of("beta", "alpha", 1);
	struct manifest *none = toy_sealed(manifest_new());
	struct core_status s;

	meet(a, "x", 2, b, "x", 2);
	talk(a, b);
	core_slice(a, &(struct core_looked){ "c", false }, 1, none, core_moment(a), &somebody, 6);
	deliver(a, b);
	core_installed(b, job_to_install(b), true, NULL, NULL, none, &somebody, 7, 7);
	read_into(a, "c", (const uint64_t[]){ 7 }, "y");
	deliver(b, a);
	cannot_read(b, "c");
	talk(b, a);
	core_status(a, &s);
	ck_assert_int_eq(s.link, CORE_LINKED);
	core_free(a);
	core_free(b);
	manifest_free(none);
}
END_TEST

/* What alpha has made of it ("" nothing), and what stands there when beta has put that in place and reads it: exactly what was there before. */
static const struct { const char *before, *made; uint64_t ino; bool gives; } back[] = {
	{ "x", "y", 9, true }, { "x", "", 9, true },
	{ "x", "y", 1, false },		/* the very file: it was not put in place, whatever was said */
	{ "", "y", 0, false },		/* perhaps it is not carried any more */
};

static struct manifest *
only_c(const char *content, uint64_t ino)
{
	return content[0] == '\0' ? toy_sealed(manifest_new()) : letters("c", &ino, content);
}

START_TEST(what_is_made_undone_in_the_moment_after_an_installation_stays_undone)
{
	struct core *a = core_of("alpha", "beta", 1), *b = core_of("beta", "alpha", 1);
	struct manifest *before = only_c(back[_i].before, 1), *made = only_c(back[_i].made, 7), *found = only_c(back[_i].before, back[_i].ino);
	const struct core_looked c = { "c", false };
	struct core_status s;

	for (int i = 0; i < 2; i++) {
		core_base(i == 0 ? a : b, "z", NULL, 0);
		if (before->len > 0)
			core_base(i == 0 ? a : b, "c", &before->at[0], 2);
		core_scan(i == 0 ? a : b, before, 1, &somebody, 1);
		core_link(i == 0 ? a : b, true, 2);
	}
	talk(a, b);
	core_slice(a, &c, 1, made, core_moment(a), &somebody, 6);
	deliver(a, b);
	if (made->len > 0)
		core_content(b, made->at[0].digest, CORE_HAVE, NULL, 6);
	core_installed(b, job_to_install(b), true, NULL, NULL, found, &somebody, 7, 7);
	talk(b, a);
	core_status(b, &s);
	ck_assert_uint_eq(s.to_give, back[_i].gives);
	ck_assert_uint_eq(s.to_take, !back[_i].gives);
	ck_assert_uint_eq(s.conflicts, 0);
	core_free(a);
	core_free(b);
	manifest_free(before);
	manifest_free(made);
	manifest_free(found);
}
END_TEST

/* What was to be removed was not, and cannot be looked at. */
START_TEST(what_cannot_be_read_after_an_installation_is_not_gone)
{
	struct core *a = core_of("alpha", "beta", 1), *b = core_of("beta", "alpha", 1);
	struct manifest *x = in_directory("x"), *gone = in_directory(""), *there = manifest_new();
	const struct core_looked below = { "d", true };
	struct core_status s;

	for (size_t i = 0; i < x->len; i++) {
		core_base(a, x->at[i].path, &x->at[i], 2);
		core_base(b, x->at[i].path, &x->at[i], 2);
	}
	core_scan(a, x, core_moment(a), &somebody, 1);
	core_scan(b, x, core_moment(b), &somebody, 1);
	core_link(a, true, 2);
	core_link(b, true, 2);
	talk(a, b);
	core_slice(a, &below, 1, gone, core_moment(a), &somebody, 6);
	deliver(a, b);
	manifest_add(there, &(struct entry){ .path = "d", .type = ENTRY_OTHER, .user.name = "", .group.name = "" });
	core_installed(b, job_to_install(b), false, NULL, "d cannot be opened", toy_sealed(there), &somebody, 7, 7);
	talk(b, a);
	core_slice(b, &below, 1, x, core_moment(b), &somebody, 8);
	talk(b, a);
	core_status(a, &s);
	ck_assert(s.to_give == 1 && s.to_take == 0 && s.conflicts == 0);
	core_free(a);
	core_free(b);
	manifest_free(x);
	manifest_free(gone);
	manifest_free(there);
}
END_TEST

static bool
asks_below(struct core *c, const char *path)
{
	const struct core_action *a;
	bool asks = false;

	while ((a = core_action_next(c)) != NULL) {
		for (size_t i = 0; a->type == CORE_RESCAN && i < a->looks; i++)
			asks = asks || (a->looked[i].below && strcmp(a->looked[i].path, path) == 0);
	}
	return asks;
}

/* What the watch told of files in d is over with a reading that could not see them, whether or not that reading counted. (Seed 91673.) */
START_TEST(what_a_reading_did_not_see_that_does_not_count_is_read_afterwards)
{
	struct core *a = core_of("alpha", "beta", 1), *b = core_of("beta", "alpha", 1);
	struct manifest *x = in_directory("x"), *other = manifest_new();
	const struct core_looked d = { "d", false };
	uint64_t moment, job;

	for (size_t i = 0; i < x->len; i++) {
		core_base(a, x->at[i].path, &x->at[i], 2);
		core_base(b, x->at[i].path, &x->at[i], 2);
	}
	core_scan(a, x, core_moment(a), &somebody, 1);
	core_scan(b, x, core_moment(b), &somebody, 1);
	core_link(a, true, 2);
	core_link(b, true, 2);
	talk(a, b);
	x->at[0].mode = 0700;
	moment = core_moment(b);
	if (_i == 0) {			/* d is being installed */
		core_slice(a, &(struct core_looked){ "d", true }, 1, x, core_moment(a), &somebody, 6);
		deliver(a, b);
		job = job_to_install(b);
		cannot_read(b, "d");
		core_installed(b, job, true, NULL, NULL, x, &somebody, 7, 7);
	} else {			/* d was read after that reading had begun */
		core_slice(b, &(struct core_looked){ "d", true }, 1, x, core_moment(b), &somebody, 6);
		manifest_add(other, &(struct entry){ .path = "d", .type = ENTRY_OTHER, .user.name = "", .group.name = "" });
		core_slice(b, &d, 1, toy_sealed(other), moment, &somebody, 7);
	}
	ck_assert(asks_below(b, "d"));
	core_free(a);
	core_free(b);
	manifest_free(x);
	manifest_free(other);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config_core_fault");
	TCase *tcase = tcase_create("faults");

	tcase_add_test(tcase, a_name_that_lost_its_mate_to_an_installation_is_read_again);
	tcase_add_test(tcase, a_node_that_a_power_cut_set_back_gets_back_what_it_had);
	tcase_add_test(tcase, one_stamp_of_two_versions_is_a_conflict);
	tcase_add_test(tcase, what_is_heard_during_an_installation_is_not_taken_for_what_it_ends_with);
	tcase_add_test(tcase, what_the_other_node_has_is_common_also_where_mine_is_the_same_again);
	tcase_add_test(tcase, an_installation_says_what_it_makes_common);
	tcase_add_loop_test(tcase, what_cannot_be_read_for_a_moment_is_no_edit, 0, 2);
	tcase_add_test(tcase, what_was_edited_while_it_could_not_be_read_is_an_edit);
	tcase_add_loop_test(tcase, what_is_in_a_directory_that_cannot_be_read_when_a_link_begins_is_no_edit, 0, 3);
	tcase_add_test(tcase, what_cannot_be_read_when_a_link_begins_was_not_set_back);
	tcase_add_test(tcase, what_cannot_be_read_when_a_link_begins_is_not_gone_on_both);
	tcase_add_test(tcase, what_cannot_be_read_has_no_lower_stamp_than_what_was_removed_there);
	tcase_add_loop_test(tcase, what_is_made_undone_in_the_moment_after_an_installation_stays_undone, 0, (int)(sizeof back / sizeof back[0]));
	tcase_add_test(tcase, what_cannot_be_read_after_an_installation_is_not_gone);
	tcase_add_loop_test(tcase, what_a_reading_did_not_see_that_does_not_count_is_read_afterwards, 0, 2);
	suite_add_tcase(suite, tcase);
	return unit_main(suite);
}
