/*
 * tests/unit/test_config_core_own.c - what configsync/core.h says of FILE@NODE, by which each node has a FILE of its own, and of owners that only one
 * node knows.
 */
#include "tests/unit/config_core_case.h"

static const char *const trees[] = { "/t", NULL }, *const nodes[] = { "alpha", "beta", NULL };

struct pair { struct scope *scope; struct core *a, *b; };

/* As in test_config_diff.c: "t/x=1" a file, "t/x/" a directory, "t/x?" cannot be read. */
static struct manifest *
tree_of(const char *text)
{
	struct manifest *m = manifest_new();

	for (uint64_t ino = 10; *text != '\0'; ino++, text += strcspn(text, " "), text += strspn(text, " ")) {
		size_t name = strcspn(text, "=?"), word = strcspn(text, " ");
		struct entry e = { .type = ENTRY_DIRECTORY, .mode = 0755, .user.name = "root", .group.name = "root", .local = { 1, ino, 0, 0, 1, true } };
		char path[64];

		name -= name >= word ? name - word + 1 : 0;
		snprintf(path, sizeof path, "%.*s", (int)name, text);
		e.path = path;
		if (text[name] == '=') {
			e.type = ENTRY_FILE;
			e.mode = 0644;
			e.size = 1;
			e.digest[0] = (uint8_t)text[name + 1];
		} else if (text[name] == '?') {
			e = (struct entry){ .path = path, .type = ENTRY_OTHER, .user.name = "", .group.name = "" };
		}
		manifest_add(m, &e);
	}
	return toy_sealed(m);
}

static void
know(struct core *c, const char *common)
{
	struct manifest *m = tree_of(common);

	for (size_t i = 0; i < m->len; i++)
		core_base(c, m->at[i].path, &m->at[i], 2);
	manifest_free(m);
}

static void
scan(struct core *c, const char *tree)
{
	struct manifest *m = tree_of(tree);

	core_scan(c, m, core_moment(c), &somebody, 1);
	manifest_free(m);
}

/* All there is below t now. */
static void
look(struct core *c, const char *tree)
{
	struct manifest *m = tree_of(tree);

	core_slice(c, &(struct core_looked){ "t", true }, 1, m, core_moment(c), &somebody, 6);
	manifest_free(m);
}

/* Linked, with what both have for common, and what each has. */
static struct pair
pair_of(bool both_write, const char *common, const char *alpha, const char *beta)
{
	struct pair p = { .scope = scope_new(&(struct scope_rules){ .tree = trees, .node = nodes, .no_defaults = true }, NULL) };
	struct core_options o = { .self = "alpha", .peer = "beta", .epoch = 1, .scope = p.scope, .both_write = both_write };

	p.a = core_new(&o);
	o.self = "beta";
	o.peer = "alpha";
	p.b = core_new(&o);
	know(p.a, common);
	know(p.b, common);
	scan(p.a, alpha);
	scan(p.b, beta);
	core_link(p.a, true, 2);
	core_link(p.b, true, 2);
	talk(p.a, p.b);
	return p;
}

static void
pair_end(struct pair *p)
{
	core_free(p->a);
	core_free(p->b);
	scope_free(p->scope);
}

/* The last installation that c asks for, of so many changes; 0: none. */
static uint64_t
installation(struct core *c, size_t *ret_changes)
{
	const struct core_action *a;
	uint64_t job = 0;

	*ret_changes = 0;
	while ((a = core_action_next(c)) != NULL) {
		if (a->type != CORE_INSTALL)
			continue;
		job = a->job.id;
		*ret_changes += a->job.changes;
	}
	return job;
}

static void
installed(struct core *c, uint64_t job, bool done, const char *there)
{
	struct manifest *m = tree_of(there);

	core_installed(c, job, done, NULL, done ? NULL : "the disk is full", m, &somebody, 7, 7);
	manifest_free(m);
}

static size_t
conflicts(struct core *c)
{
	struct core_status s;

	core_status(c, &s);
	return s.conflicts;
}

static bool
in_step(struct core *c)
{
	struct core_status s;

	core_status(c, &s);
	return s.in_step;
}

/* ---------------------------------------------------------------- FILE@NODE */

/* Nobody is active, so FILE@NODE has to wait; FILE is not taken meanwhile, as it is made of it. (Seed 17354 of the model as it was then.) */
START_TEST(a_file_with_a_variant_that_waits_is_not_taken_from_the_other_node)
{
	static const char *const alpha[] = { "t/", "t/ t/x@beta/" };	/* a directory stands where it will be */
	struct pair p = pair_of(false, alpha[_i], alpha[_i], "t/ t/x=x t/x@beta=x");
	struct manifest *t = tree_of("t/x=x");
	const struct core_action *act;

	ck_assert_uint_eq(p.a->jobs, 0);
	core_role(p.b, WIRE_ROLE_ACTIVE, 1, 3);
	talk(p.b, p.a);
	core_content(p.a, t->at[0].digest, CORE_HAVE, NULL, 4);
	while ((act = core_action_next(p.a)) != NULL) {
		for (size_t i = 0; act->type == CORE_INSTALL && i < act->job.changes; i++)
			ck_assert_str_eq(act->job.change[i].path, "t/x@beta");
	}
	ck_assert_uint_eq(p.a->jobs, 1);
	pair_end(&p);
	manifest_free(t);
}
END_TEST

/*
 * beta makes a directory of that name; while alpha puts it in place, x is edited there. That was a conflict on x, which nobody had made. (Seeds 7915 and
 * 13336 of the model as it was then.)
 */
START_TEST(a_directory_that_is_called_like_a_variant_is_none)
{
	struct pair p = pair_of(true, "t/", "t/ t/x=1", "t/ t/x@beta/");
	uint64_t job;
	size_t n;

	job = installation(p.a, &n);
	ck_assert_uint_eq(n, 0);	/* talk() has seen it */
	job = p.a->job->id;
	look(p.a, "t/ t/x=2");
	ck_assert_uint_eq(conflicts(p.a), 0);
	installed(p.a, job, true, "t/ t/x=2 t/x@beta/");
	talk(p.a, p.b);
	ck_assert_uint_eq(conflicts(p.a) + conflicts(p.b), 0);
	ck_assert_uint_eq(p.b->jobs, 1);
	core_content(p.b, tree_find(&p.a->tree, "t/x", 3)->ext->m->digest, CORE_HAVE, NULL, 8);
	job = installation(p.b, &n);
	ck_assert_uint_eq(n, 1);
	installed(p.b, job, true, "t/ t/x=2 t/x@beta/");
	talk(p.a, p.b);
	ck_assert(in_step(p.a) && in_step(p.b));
	pair_end(&p);
}
END_TEST

/* x, which is to be made as x@beta is, was not put in place, and what is there now cannot be looked at. It was tried again at once, and so for ever. */
START_TEST(what_cannot_be_looked_at_after_it_was_not_installed_waits_before_it_is_tried_again)
{
	struct pair p = pair_of(true, "t/ t/x@beta=1", "t/ t/x@beta=1", "t/ t/x@beta=1");
	uint64_t job = p.b->job->id, due;
	size_t n;

	installed(p.b, job, false, "t?");
	installation(p.b, &n);
	ck_assert_uint_eq(n, 0);
	ck_assert(core_due(p.b, &due) && due > 7);
	look(p.b, "t/ t/x@beta=1");
	core_tick(p.b, due, due);
	ck_assert_uint_ne(installation(p.b, &n), 0);
	ck_assert_uint_eq(n, 1);
	pair_end(&p);
}
END_TEST

/* ---------------------------------------------------------------- owners */

/* As tree_of("t/ t/x=CONTENT"), of mail, which has a number on both nodes, and not always a name. */
static struct manifest *
of_mail(char content, bool named)
{
	struct manifest *m = manifest_new(), *t = tree_of("t/ t/x=x");

	for (size_t i = 0; i < t->len; i++) {
		struct entry e = t->at[i];

		if (i == 1) {
			e.user = (struct entry_owner){ named ? "mail" : "", 8 };
			e.digest[0] = (uint8_t)content;
		}
		manifest_add(m, &e);
	}
	manifest_free(t);
	return toy_sealed(m);
}

static const char *
told(struct core *c)
{
	struct core_status s;

	core_status(c, &s);
	for (size_t i = 0; i < s.problems; i++) {
		if (strcmp(s.problem[i].kind, "unknown-owner") == 0)
			return s.problem[i].text;
	}
	return "";
}

static void
look_at(struct core *c, const struct manifest *m)
{
	core_slice(c, &(struct core_looked){ "t", true }, 1, m, core_moment(c), &somebody, 6);
}

/* By whatever way it came there: an installation, or before the nodes met. */
START_TEST(an_owner_that_has_no_name_here_is_told_as_long_as_a_file_of_his_is_there)
{
	struct manifest *here = of_mail('y', false), *there = of_mail('y', true), *gone = tree_of("t/"), *other = tree_of("t/ t/x=z");
	struct pair p = pair_of(true, "t/", "t/", "t/");

	if (_i == 0) {
		look_at(p.a, there);
		talk(p.a, p.b);
		core_content(p.b, there->at[1].digest, CORE_HAVE, NULL, 6);
		core_installed(p.b, p.b->job->id, true, NULL, NULL, here, &somebody, 7, 7);
	} else {
		core_link(p.a, false, 3);
		core_link(p.b, false, 3);
		look_at(p.a, there);
		look_at(p.b, here);
		core_link(p.a, true, 4);
		core_link(p.b, true, 4);
	}
	talk(p.a, p.b);
	ck_assert(in_step(p.a) && in_step(p.b));
	ck_assert_str_eq(told(p.a), "");
	ck_assert_str_eq(told(p.b), "user mail is unknown here: its number 8 is used");
	for (size_t i = 0; i < here->len; i++)
		here->at[i].mtime_s++;
	look_at(p.b, here);		/* touched */
	talk(p.a, p.b);
	ck_assert_str_ne(told(p.b), "");
	look_at(p.b, _i == 0 ? gone : other);
	talk(p.a, p.b);
	ck_assert_str_eq(told(p.b), "");
	pair_end(&p);
	manifest_free(here);
	manifest_free(there);
	manifest_free(gone);
	manifest_free(other);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config_core_own");
	TCase *tcase = tcase_create("own");

	tcase_add_loop_test(tcase, a_file_with_a_variant_that_waits_is_not_taken_from_the_other_node, 0, 2);
	tcase_add_test(tcase, a_directory_that_is_called_like_a_variant_is_none);
	tcase_add_test(tcase, what_cannot_be_looked_at_after_it_was_not_installed_waits_before_it_is_tried_again);
	tcase_add_loop_test(tcase, an_owner_that_has_no_name_here_is_told_as_long_as_a_file_of_his_is_there, 0, 2);
	suite_add_tcase(suite, tcase);
	return unit_main(suite);
}
