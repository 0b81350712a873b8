/*
 * tests/unit/test_config_core_done.c - what configsync/core.h makes of an installation that failed: who waits, and who does not.
 */
#include "tests/unit/config_core_case.h"

#define FILES 5

static const char *const name[FILES] = { "a/x", "a/y", "b/x", "c", "d/x" };

/* Directories a, b, d, and the files, each of one letter; '-': it is not there. */
static struct manifest *
files(const char *content)
{
	struct manifest *m = manifest_new();

	for (size_t i = 0; i < 3; i++)
		manifest_add(m, &(struct entry){ .path = (char[]){ "abd"[i], '\0' }, .type = ENTRY_DIRECTORY, .mode = 0755, .user.name = "root", .group.name = "root" });
	for (size_t i = 0; i < FILES; i++) {
		if (content[i] != '-')
			manifest_add(m, &(struct entry){ .path = name[i], .type = ENTRY_FILE, .mode = 0644, .size = 1, .user.name = "root", .group.name = "root",
				.local = { .dev = 1, .ino = 10 + i, .links = 1 }, .digest = { (uint8_t)content[i] } });
	}
	return toy_sealed(m);
}

static const struct core_looked everything[] = { { "a", true }, { "b", true }, { "c", false }, { "d", true } };

static void
read_all(struct core *c, const char *content)
{
	struct manifest *m = files(content);

	core_slice(c, everything, 4, m, core_moment(c), &somebody, 6);
	manifest_free(m);
}

/* Two in step, and what a has made then. */
static void
change(struct core *a, struct core *b, const char *content)
{
	struct manifest *m = files("-----"), *n = files(content);

	for (size_t i = 0; i < m->len; i++) {
		core_base(a, m->at[i].path, &m->at[i], 2);
		core_base(b, m->at[i].path, &m->at[i], 2);
	}
	core_scan(a, m, core_moment(a), &somebody, 1);
	core_scan(b, m, core_moment(b), &somebody, 1);
	core_link(a, true, 2);
	core_link(b, true, 2);
	talk(a, b);
	read_all(a, content);
	talk(a, b);
	for (size_t i = 0; i < n->len; i++) {
		if (n->at[i].type == ENTRY_FILE)
			core_content(b, n->at[i].digest, CORE_HAVE, NULL, 6);
	}
	manifest_free(m);
	manifest_free(n);
}

/* The paths that b wants to put in place now, in letters of the order above; its job. */
static uint64_t
wanted(struct core *b, char ret[FILES + 1])
{
	const struct core_action *act;
	uint64_t job = 0;

	memset(ret, '.', FILES);
	ret[FILES] = '\0';
	while ((act = core_action_next(b)) != NULL) {
		if (act->type == CORE_NEED)
			core_content(b, act->entry->digest, CORE_HAVE, NULL, b->now_ms);
		if (act->type != CORE_INSTALL)
			continue;
		job = act->job.id;
		for (size_t i = 0; i < act->job.changes; i++) {
			for (size_t k = 0; k < FILES; k++)
				ret[k] = strcmp(name[k], act->job.change[i].path) == 0 ? '*' : ret[k];
		}
	}
	return job;
}

/* One cannot be put in place, so nothing was. */
static void
fails(struct core *b, uint64_t job, const char *path, const char *content, uint64_t now)
{
	struct manifest *m = files(content);
	struct report report = { 0 };

	report_add(&report, NOTE_FAILED, path, "no permission");
	core_installed(b, job, false, &report, "no permission", m, &somebody, now, now);
	report_free(&report);
	manifest_free(m);
}

START_TEST(one_that_fails_holds_up_none_but_what_stands_beside_it_and_that_for_a_moment)
{
	struct core *a = core_of("alpha", "beta", 1), *b = core_of("beta", "alpha", 1);
	struct manifest *m = files("--111"), *n = files("-1111");
	char is[FILES + 1];
	struct core_status s;
	uint64_t job;

	change(a, b, "11111");
	job = wanted(b, is);
	ck_assert_str_eq(is, "*****");
	fails(b, job, "a/x", "-----", 7);
	job = wanted(b, is);
	ck_assert_str_eq(is, "..***");		/* at once */
	core_installed(b, job, true, NULL, NULL, m, &somebody, 8, 8);
	core_status(b, &s);
	ck_assert_uint_eq(s.problems, 1);
	ck_assert_str_eq(s.problem[0].path, "a/x");
	wanted(b, is);
	ck_assert_str_eq(is, ".....");
	core_tick(b, 7 + CORE_BESIDE_MS, 7);
	job = wanted(b, is);
	ck_assert_str_eq(is, ".*...");
	core_installed(b, job, true, NULL, NULL, n, &somebody, 300, 300);
	core_tick(b, 7 + CORE_RETRY_MS, 7);
	wanted(b, is);
	ck_assert_str_eq(is, "*....");
	core_free(a);
	core_free(b);
	manifest_free(m);
	manifest_free(n);
}
END_TEST

START_TEST(what_needs_one_that_fails_waits_with_it)
{
	struct core *a = core_of("alpha", "beta", 1), *b = core_of("beta", "alpha", 1);
	char is[FILES + 1];

	change(a, b, "11111");
	fails(b, wanted(b, is), "a", "-----", 7);
	wanted(b, is);
	ck_assert_str_eq(is, "..*.*");		/* c stands beside a */
	core_tick(b, 7 + CORE_BESIDE_MS, 7);
	wanted(b, is);
	ck_assert_str_eq(is, "...*.");
	core_tick(b, 7 + CORE_RETRY_MS, 7);
	wanted(b, is);
	ck_assert_str_eq(is, "**...");
	core_free(a);
	core_free(b);
}
END_TEST

/* Of a full disk there is always another one to blame. */
START_TEST(one_after_the_other_can_be_to_blame_for_so_long)
{
	struct core *a = core_of("alpha", "beta", 1), *b = core_of("beta", "alpha", 1);
	char is[FILES + 1];
	size_t tries = 0;
	uint64_t job;

	change(a, b, "11111");
	for (; (job = wanted(b, is)) != 0 && tries < 20; tries++) {
		ck_assert_str_eq(is, "*****");
		fails(b, job, "q/q", "-----", 7);
	}
	ck_assert_uint_eq(tries, CORE_SPARED_MOST + 1);
	core_free(a);
	core_free(b);
}
END_TEST

/* The worker ended, or the whole could not be begun: nobody is to blame. */
START_TEST(where_nobody_is_to_blame_all_wait)
{
	struct core *a = core_of("alpha", "beta", 1), *b = core_of("beta", "alpha", 1);
	struct manifest *m = files("-----");
	char is[FILES + 1];

	change(a, b, "11111");
	core_installed(b, wanted(b, is), false, NULL, "it was killed", m, &somebody, 7, 7);
	ck_assert_uint_eq(wanted(b, is), 0);
	core_tick(b, 7 + CORE_RETRY_MS, 7);
	wanted(b, is);
	ck_assert_str_eq(is, "*****");
	core_free(a);
	core_free(b);
	manifest_free(m);
}
END_TEST

/* c is being put in place when another path with the same content comes. */
START_TEST(a_content_that_two_jobs_need_is_needed_until_the_second_is_done)
{
	struct core *a = core_of("alpha", "beta", 1), *b = core_of("beta", "alpha", 1);
	struct manifest *m = files("---1-"), *n = files("1---1");
	const uint8_t *content = manifest_find(m, "c")->digest;
	char is[FILES + 1];
	uint64_t first, second;

	change(a, b, "---1-");
	first = wanted(b, is);
	ck_assert_str_eq(is, "...*.");
	ck_assert(!core_needs(b, content, first));
	read_all(a, "1--11");
	talk(a, b);
	core_content(b, content, CORE_HAVE, NULL, 6);
	second = wanted(b, is);
	ck_assert_str_eq(is, "*...*");
	ck_assert(core_needs(b, content, first));
	core_installed(b, first, true, NULL, NULL, m, &somebody, 7, 7);
	ck_assert(core_needs(b, content, 0) && !core_needs(b, content, second));
	core_installed(b, second, true, NULL, NULL, n, &somebody, 8, 8);
	ck_assert(!core_needs(b, content, 0));
	core_free(a);
	core_free(b);
	manifest_free(m);
	manifest_free(n);
}
END_TEST

/* It was put in place, could not be read just then, and is found edited: an edit of what was put there. */
START_TEST(what_was_put_in_place_and_is_found_edited_later_is_no_conflict)
{
	struct core *a = core_of("alpha", "beta", 1), *b = core_of("beta", "alpha", 1);
	struct report report = { 0 };
	char is[FILES + 1];
	struct core_status s;
	const bool done = _i == 0;

	change(a, b, "---1-");
	if (!done)		/* what came of it is not known: perhaps nothing, and the edit was of the old one */
		report_add(&report, NOTE_NOT_DONE, "c", "the old one stands");
	core_installed(b, wanted(b, is), done, &report, done ? NULL : "it failed", NULL, &somebody, 7, 7);
	talk(b, a);
	read_all(b, "---2-");
	talk(b, a);
	core_status(b, &s);
	ck_assert_uint_eq(s.conflicts, done ? 0 : 1);
	ck_assert_uint_eq(s.to_give, done ? 1 : 0);
	core_status(a, &s);
	ck_assert_uint_eq(s.conflicts, done ? 0 : 1);
	report_free(&report);
	core_free(a);
	core_free(b);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config_core_done");
	TCase *tcase = tcase_create("done");

	tcase_add_test(tcase, one_that_fails_holds_up_none_but_what_stands_beside_it_and_that_for_a_moment);
	tcase_add_test(tcase, what_needs_one_that_fails_waits_with_it);
	tcase_add_test(tcase, one_after_the_other_can_be_to_blame_for_so_long);
	tcase_add_test(tcase, a_content_that_two_jobs_need_is_needed_until_the_second_is_done);
	tcase_add_loop_test(tcase, what_was_put_in_place_and_is_found_edited_later_is_no_conflict, 0, 2);
	tcase_add_test(tcase, where_nobody_is_to_blame_all_wait);
	suite_add_tcase(suite, tcase);
	return unit_main(suite);
}
