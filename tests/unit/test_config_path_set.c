/*
 * tests/unit/test_config_path_set.c - laws of configsync/path_set.h: it has what was added and nothing else, and to ask costs the same among many.
 */
#include "tests/unit/harness.h"

#include <time.h>

#include "configsync/path_set.h"

#define MOST 20000

static char name[2 * MOST][24];

static void
names_make(void)
{
	for (size_t i = 0; i < 2 * MOST; i++)
		snprintf(name[i], sizeof name[i], "etc/d%zu/e%zu/f%zu", i % 40, i / 40 % 30, i);
}

START_TEST(it_has_what_was_added_and_nothing_else)
{
	struct path_set s = path_set_new((size_t)_i);

	names_make();
	for (int i = 0; i < _i; i++)
		path_set_add(&s, name[i]);
	for (int i = 0; i < _i; i++)
		path_set_add(&s, name[i]);	/* again is no more */
	for (int i = 0; i < _i + 100; i++)
		if (path_set_has(&s, name[i]) != (i < _i))
			ck_abort_msg("%s of %d", name[i], _i);
	ck_assert(!path_set_has(&s, ""));
	path_set_free(&s);
}
END_TEST

/* Processor seconds for asking MOST times, half of them in vain. */
static double
cost(size_t n)
{
	struct path_set s = path_set_new(n);
	struct timespec a, b;
	size_t has = 0;

	for (size_t i = 0; i < n; i++)
		path_set_add(&s, name[i]);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	for (size_t i = 0; i < MOST; i++)
		has += path_set_has(&s, name[i % n + (i & 1) * MOST]);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	ck_assert_uint_eq(has, MOST / 2);
	path_set_free(&s);
	return (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
}

START_TEST(to_ask_costs_about_the_same_among_few_and_among_many)
{
	double few, many;

	names_make();
	few = cost(200);
	many = cost(MOST);
	ck_assert_msg(many < 20 * few, "%.2f ms among 200, %.2f ms among %d", 1e3 * few, 1e3 * many, MOST);	/* comparing with each: 100 times */
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config_path_set");
	TCase *tcase = tcase_create("path_set");

	tcase_add_loop_test(tcase, it_has_what_was_added_and_nothing_else, 0, 40);
	tcase_add_test(tcase, to_ask_costs_about_the_same_among_few_and_among_many);
	suite_add_tcase(suite, tcase);
	return unit_main(suite);
}
