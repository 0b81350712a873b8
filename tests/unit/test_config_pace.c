/*
 * tests/unit/test_config_pace.c - laws of configsync/pace.h.
 */
#include "tests/unit/harness.h"

#include "configsync/pace.h"

#define US 1000u

static struct pace p;

static void
begin(void)
{
	p = (struct pace){ .first = 16, .most = 1000, .us = US };
}

START_TEST(it_begins_with_little_and_grows_while_it_is_quick_up_to_a_bound)
{
	uint64_t before = 0;

	for (int i = 0; i < 20; i++) {
		uint64_t units = pace_units(&p);

		ck_assert_uint_eq(units, i == 0 ? 16 : before * 2 < 1000 ? before * 2 : 1000);
		before = units;
		pace_took(&p, units, 1);
	}
	ck_assert_uint_eq(before, 1000);
	pace_rest(&p);
	ck_assert_uint_eq(pace_units(&p), 16);
}
END_TEST

/* Each unit takes us_each, whatever it was before: the second piece is short, and those that follow are as long as they may be. */
START_TEST(after_one_piece_that_took_too_long_none_does)
{
	static const uint64_t us_each[] = { 1, 7, 60, 300, 1000, 5000 };

	for (int i = 0; i < 20; i++)
		pace_took(&p, pace_units(&p), 0);
	pace_took(&p, pace_units(&p), pace_units(&p) * us_each[_i]);
	for (int i = 0; i < 20; i++) {
		uint64_t units = pace_units(&p);

		ck_assert_uint_ge(units, 1);
		ck_assert(units == 1 || units * us_each[_i] <= US);
		ck_assert((units + 1) * us_each[_i] > US || units == 1000);
		pace_took(&p, units, units * us_each[_i]);
	}
}
END_TEST

/* What was left to do was less, and took its time all the same. */
START_TEST(a_small_piece_that_was_in_time_makes_the_next_one_no_smaller)
{
	for (int i = 0; i < 3; i++)
		pace_took(&p, pace_units(&p), 1);
	ck_assert_uint_eq(pace_units(&p), 128);
	pace_took(&p, 1, US);
	ck_assert_uint_eq(pace_units(&p), 128);
	pace_took(&p, 1, 2 * US);
	ck_assert_uint_eq(pace_units(&p), 1);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config_pace");
	TCase *tcase = tcase_create("pace");

	tcase_add_checked_fixture(tcase, begin, NULL);
	tcase_add_test(tcase, it_begins_with_little_and_grows_while_it_is_quick_up_to_a_bound);
	tcase_add_loop_test(tcase, after_one_piece_that_took_too_long_none_does, 0, 6);
	tcase_add_test(tcase, a_small_piece_that_was_in_time_makes_the_next_one_no_smaller);
	suite_add_tcase(suite, tcase);
	return unit_main(suite);
}
