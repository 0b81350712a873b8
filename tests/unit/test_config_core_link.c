/*
 * tests/unit/test_config_core_link.c - what two nodes of configsync/core.h make of each other when a link begins: which of them is behind, and which has
 * undone what the other one still has.
 */
#include "tests/unit/config_core_case.h"

/* What there is, one file c of one letter; "" none. */
static struct manifest *
only(const char *content)
{
	return content[0] == '\0' ? toy_sealed(manifest_new()) : letters("c", (const uint64_t[]){ (uint64_t)content[0] }, content);
}

static void
find(struct core *c, const char *content)
{
	struct manifest *m = only(content);

	core_slice(c, &(struct core_looked){ "c", false }, 1, m, core_moment(c), &somebody, 6);
	manifest_free(m);
}

/* A core that has just been started. common: what both had, "" nothing. */
static struct core *
started_with(const char *self, const char *peer, bool both, uint64_t epoch, const char *common, uint64_t stamp, const char *found)
{
	struct core *c = core_new(&(struct core_options){ .self = self, .peer = peer, .epoch = epoch, .both_write = both, .scope_digest = { 1 } });
	struct manifest *m = letters("z", (const uint64_t[]){ 26 }, "z"), *n = only(found), *all = manifest_new();

	core_base(c, "z", &m->at[0], 2);
	if (common[0] != '\0')
		base(c, "c", common, stamp);
	for (size_t i = 0; i < n->len; i++)
		manifest_add(all, &n->at[i]);
	manifest_add(all, &m->at[0]);
	core_role(c, strcmp(self, "alpha") == 0 ? WIRE_ROLE_ACTIVE : WIRE_ROLE_STANDBY, 1, 1);
	core_scan(c, toy_sealed(all), core_moment(c), &somebody, 1);
	manifest_free(all);
	manifest_free(m);
	manifest_free(n);
	return c;
}

static struct core *
started(const char *self, const char *peer, bool both, uint64_t epoch, const char *common, const char *found)
{
	return started_with(self, peer, both, epoch, common, 2, found);
}

static void
link_both(struct core *a, struct core *b, bool up)
{
	core_link(a, up, 2);
	core_link(b, up, 2);
	if (up)
		talk(a, b);
}

/* b takes what a has of c, and a does not hear of it yet. */
static void
take(struct core *a, struct core *b, const char *content)
{
	struct manifest *m = only(content);
	const struct core_action *act;
	uint64_t job = 0;

	talk(a, b);
	if (m->len > 0)
		core_content(b, m->at[0].digest, CORE_HAVE, NULL, 6);
	else
		job = b->last_job;	/* it needed none, so that it was asked to begin already */
	while ((act = core_action_next(b)) != NULL)
		job = act->type == CORE_INSTALL ? act->job.id : job;
	ck_assert_uint_ne(job, 0);
	core_installed(b, job, true, NULL, NULL, m, &somebody, 7, 7);
	manifest_free(m);
}

static void
cut(struct core *a, struct core *b)
{
	link_both(a, b, false);
	drain(a, CORE_SEND, NULL);
	drain(b, CORE_SEND, NULL);
}

static void
give(struct core *a, struct core *b, const char *content)
{
	find(a, content);
	take(a, b, content);
	cut(a, b);
}

static void
ends(struct core *a, size_t give_a, size_t take_a, struct core *b, size_t conflicts)
{
	struct core_status s;

	core_status(a, &s);
	ck_assert_int_eq(s.link, CORE_LINKED);
	ck_assert_uint_eq(s.conflicts, conflicts);
	ck_assert_uint_eq(s.to_give, give_a);
	ck_assert_uint_eq(s.to_take, take_a);
	core_status(b, &s);
	ck_assert_uint_eq(s.conflicts, conflicts);
	ck_assert_uint_eq(s.to_take, give_a);
	ck_assert_uint_eq(s.to_give, take_a);
}

/* Of one whose writers are both, and of one where alpha alone writes. */
static const struct { const char *before, *made, *after; bool both; } undone[] = {
	{ "", "y", "", false },		/* made and removed again */
	{ "", "y", "", true },
	{ "x", "y", "x", false },	/* changed and changed back */
	{ "x", "y", "x", true },
};

START_TEST(what_was_undone_before_the_other_node_was_heard_to_have_it_is_an_edit)
{
	struct core *a = started("alpha", "beta", undone[_i].both, 3ull << 40, undone[_i].before, undone[_i].before);
	struct core *b = started("beta", "alpha", undone[_i].both, 9ull << 40, undone[_i].before, undone[_i].before);

	link_both(a, b, true);
	give(a, b, undone[_i].made);
	find(a, undone[_i].after);
	link_both(a, b, true);
	ends(a, 1, 0, b, 0);
	core_free(a);
	core_free(b);
}
END_TEST

/* y was found when a was started, and had no stamp of its own when the link began. */
START_TEST(what_a_link_began_with_is_known_to_be_undone)
{
	struct core *a = started("alpha", "beta", undone[_i].both, 3ull << 40, undone[_i].before, undone[_i].made);
	struct core *b = started("beta", "alpha", undone[_i].both, 9ull << 40, undone[_i].before, undone[_i].before);

	link_both(a, b, true);
	take(a, b, undone[_i].made);
	cut(a, b);
	find(a, undone[_i].after);
	link_both(a, b, true);
	ends(a, 1, 0, b, 0);
	core_free(a);
	core_free(b);
}
END_TEST

/* a made it, b removed it, and b's program, which was killed before it heard that a has no more of it either, finds another one there. */
START_TEST(what_the_other_node_removed_this_one_has_not_undone)
{
	struct core *a = started("alpha", "beta", true, 3ull << 40, "", ""), *b = started("beta", "alpha", true, 9ull << 40, "", "");
	uint64_t stamp;

	link_both(a, b, true);
	find(a, "y");
	take(a, b, "y");
	talk(a, b);
	stamp = row_sm(tree_find(&b->tree, "c", 1));
	find(b, "");
	take(b, a, "");
	cut(a, b);
	core_free(b);
	b = started_with("beta", "alpha", true, 8ull << 40, "y", stamp, "w");
	link_both(a, b, true);
	ends(a, 0, 1, b, 0);
	core_free(a);
	core_free(b);
}
END_TEST

/*
 * a was killed, and a power cut has set it back: it has not undone anything, however much it has changed since. Its program makes other stamps than the one
 * before it, which made y.
 */
START_TEST(what_was_made_before_a_power_cut_was_not_undone)
{
	const bool both = undone[_i].both;
	struct core *a = started("alpha", "beta", both, 3ull << 40, undone[_i].before, undone[_i].before);
	struct core *b = started("beta", "alpha", both, 9ull << 40, undone[_i].before, undone[_i].before);
	struct manifest *z = letters("z", (const uint64_t[]){ 27 }, "y");
	struct core_status s;

	link_both(a, b, true);
	give(a, b, undone[_i].made);
	core_free(a);
	a = started("alpha", "beta", both, 2ull << 40, undone[_i].before, undone[_i].before);
	for (uint8_t i = 0; i < 20; i++) {
		z->at[0].digest[0] = i;
		core_slice(a, &(struct core_looked){ "z", false }, 1, z, core_moment(a), &somebody, 6);
		drain(a, CORE_SEND, NULL);
	}
	link_both(a, b, true);
	core_status(a, &s);
	ck_assert_uint_eq(s.to_give, 1);	/* z */
	ck_assert_uint_eq(s.to_take, both ? 1 : 0);
	ck_assert_uint_eq(s.conflicts, both ? 0 : 1);	/* b may not write, and a does not know that b only took it */
	core_free(a);
	core_free(b);
	manifest_free(z);
}
END_TEST

/* b does not get a's tree nor its index, and a has both of b's. */
static void
link_half(struct core *a, struct core *b)
{
	struct core *c[2] = { a, b };

	core_link(a, true, 2);
	core_link(b, true, 2);
	for (int turn = 0; turn < 4; turn++) {
		const struct core_action *act;

		while ((act = core_action_next(c[turn % 2])) != NULL) {
			if (act->type == CORE_SEND && (c[turn % 2] == b || (act->wire.type != WIRE_TREE && act->wire.type != WIRE_INDEX)))
				core_wire(c[!(turn % 2)], &act->wire, 5, 5);
		}
	}
	ck_assert(a->link == CORE_LINKED && b->link == CORE_GREETING);
	cut(a, b);
}

/* What a has made before it was started it knows by b's word alone. */
START_TEST(what_the_other_node_says_that_this_one_had_made_it_has_not_undone)
{
	struct core *a = started("alpha", "beta", true, 3ull << 40, "", ""), *b = started("beta", "alpha", true, 9ull << 40, "", "");

	link_both(a, b, true);
	give(a, b, "y");
	core_free(a);
	a = started("alpha", "beta", true, 2ull << 40, "", "");
	link_half(a, b);
	find(a, "w");
	find(a, "");
	link_both(a, b, true);
	ends(a, 0, 1, b, 0);
	core_free(a);
	core_free(b);
}
END_TEST

START_TEST(what_is_resolved_at_first_contact_is_common_with_the_rest_and_not_before)
{
	struct core *a = core_of("alpha", "beta", 1), *b = core_of("beta", "alpha", 1);
	struct manifest *x = letters("cd", (const uint64_t[]){ 1, 2 }, "xx"), *y = letters("cd", (const uint64_t[]){ 1, 2 }, "yy");
	const struct core_action *act;
	bool installs = false;
	struct err err;

	core_scan(a, x, core_moment(a), &somebody, 1);
	core_scan(b, y, core_moment(b), &somebody, 1);
	core_link(a, true, 2);
	core_link(b, true, 2);
	talk(a, b);
	ck_assert(core_order(a, "alpha", &(const char *){ "c" }, 1, "anna", 5, &err));
	talk(a, b);
	core_content(b, x->at[0].digest, CORE_HAVE, NULL, 6);
	while ((act = core_action_next(b)) != NULL) {
		if (act->type == CORE_INSTALL) {
			installs = true;
			ck_assert_uint_eq(act->job.intents, 0);
		}
	}
	ck_assert(installs);
	core_free(a);
	core_free(b);
	manifest_free(x);
	manifest_free(y);
}
END_TEST

START_TEST(of_another_version_of_the_program_it_is_said_which)
{
	struct core *a = started("alpha", "beta", true, 3ull << 40, "x", "x");
	static const uint8_t older[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8 };
	struct core_status s;
	struct wire w;

	core_link(a, true, 2);
	drain(a, CORE_SEND, NULL);
	ck_assert(wire_parse(&w, WIRE_HELLO, older, sizeof older, NULL));
	core_wire(a, &w, 3, 3);
	wire_free(&w);
	core_status(a, &s);
	ck_assert_int_eq(s.link, CORE_REFUSED);
	ck_assert_uint_eq(s.problems, 1);
	ck_assert_ptr_nonnull(strstr(s.problem[0].text, "beta speaks version 1 of the protocol, this node 3: install the same mailpair on both"));
	core_free(a);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config_core_link");
	TCase *tcase = tcase_create("link");

	tcase_add_loop_test(tcase, what_was_undone_before_the_other_node_was_heard_to_have_it_is_an_edit, 0, (int)(sizeof undone / sizeof undone[0]));
	tcase_add_loop_test(tcase, what_a_link_began_with_is_known_to_be_undone, 0, (int)(sizeof undone / sizeof undone[0]));
	tcase_add_test(tcase, what_the_other_node_removed_this_one_has_not_undone);
	tcase_add_loop_test(tcase, what_was_made_before_a_power_cut_was_not_undone, 0, (int)(sizeof undone / sizeof undone[0]));
	tcase_add_test(tcase, what_the_other_node_says_that_this_one_had_made_it_has_not_undone);
	tcase_add_test(tcase, what_is_resolved_at_first_contact_is_common_with_the_rest_and_not_before);
	tcase_add_test(tcase, of_another_version_of_the_program_it_is_said_which);
	suite_add_tcase(suite, tcase);
	return unit_main(suite);
}
