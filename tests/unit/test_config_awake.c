/*
 * tests/unit/test_config_awake.c - laws of configsync/awake.h: an edit finds the other node awake, and nobody is awake for nothing for long, whatever the other node
 * sends and however busy the machine is.
 */
#include "tests/unit/harness.h"

#include <stdlib.h>

#include "configsync/awake.h"

#define BEGIN 50000000u

START_TEST(an_edit_is_told_before_it_is_read_and_those_that_follow_soon_are_not)
{
	struct awake a = { 0 };

	ck_assert(awake_tell(&a, false, BEGIN));
	for (uint64_t t = BEGIN; t < BEGIN + 100000; t += AWAKE_SPAN_US - 1)
		ck_assert(!awake_tell(&a, false, t));
	ck_assert(!awake_tell(&a, true, BEGIN + 100000));
	ck_assert(awake_tell(&a, false, BEGIN + 200000));
	awake_installed(&a, BEGIN + 300000);		/* what the watch tells then is that */
	ck_assert(!awake_tell(&a, false, BEGIN + 300000 + AWAKE_SPAN_US - 1));
	ck_assert(awake_tell(&a, true, BEGIN + 400000));
}
END_TEST

START_TEST(of_a_file_that_takes_longer_than_somebody_is_awake_it_is_told_once_more)
{
	struct awake a = { 0 };

	ck_assert(awake_tell(&a, true, BEGIN));
	ck_assert(!awake_tell(&a, true, BEGIN + AWAKE_US));		/* another file */
	ck_assert(!awake_tell(&a, false, BEGIN + AWAKE_US - 1));
	a = (struct awake){ 0 };
	ck_assert(awake_tell(&a, true, BEGIN));
	ck_assert(awake_tell(&a, false, BEGIN + AWAKE_US));
	ck_assert(!awake_tell(&a, false, BEGIN + 2 * AWAKE_US));
}
END_TEST

START_TEST(who_is_told_is_awake_until_the_news_are_here_or_for_a_moment)
{
	struct awake a = { 0 };

	ck_assert(!awake_is(&a, BEGIN));
	ck_assert(awake_told(&a, BEGIN));
	ck_assert(awake_is(&a, BEGIN + AWAKE_US - 1));
	ck_assert(!awake_is(&a, BEGIN + AWAKE_US));
	ck_assert(awake_told(&a, BEGIN + 1000));
	ck_assert(!awake_told(&a, BEGIN + 1001));
	awake_over(&a);
	ck_assert(!awake_is(&a, BEGIN + 1001));
}
END_TEST

/* Microseconds in which somebody is awake, who is told again and again. */
static uint64_t
spent(struct awake *a, uint64_t begin, uint64_t end, unsigned int step)
{
	uint64_t us = 0;

	for (uint64_t t = begin; t < end; t += step) {
		awake_told(a, t);
		us += awake_is(a, t) ? step : 0;
	}
	return us;
}

START_TEST(whatever_is_sent_nobody_is_awake_for_more_than_a_part_of_the_time)
{
	static const unsigned int step[] = { 1, 7, 399, 401, 1000, 4999, 5001 };
	struct awake a = { 0 };
	uint64_t us = spent(&a, BEGIN, BEGIN + 1000000, step[_i]);

	ck_assert_uint_gt(us, 0);
	ck_assert_uint_le(us, (1000000 / AWAKE_SPAN_US + 1) * AWAKE_TIMES * (AWAKE_US + step[_i]));
}
END_TEST

START_TEST(where_others_take_long_the_machine_is_busy_and_is_left_alone)
{
	struct awake a = { 0 };

	ck_assert(awake_told(&a, BEGIN));
	ck_assert(awake_may_yield(&a, BEGIN));
	awake_yielded(&a, BEGIN, BEGIN + AWAKE_LONG_US - 1);
	ck_assert(awake_is(&a, BEGIN + 1));
	ck_assert(awake_may_yield(&a, BEGIN + 1));
	awake_yielded(&a, BEGIN, BEGIN + AWAKE_LONG_US);
	ck_assert(!awake_is(&a, BEGIN + 1));
	ck_assert(!awake_may_yield(&a, BEGIN + AWAKE_BUSY_US));
	ck_assert_uint_eq(spent(&a, BEGIN + 10000, BEGIN + AWAKE_BUSY_US, 100), 0);
	ck_assert(awake_may_yield(&a, BEGIN + AWAKE_LONG_US + AWAKE_BUSY_US));
	ck_assert(awake_told(&a, BEGIN + AWAKE_LONG_US + AWAKE_BUSY_US));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config_awake");
	TCase *tcase = tcase_create("awake");

	tcase_add_test(tcase, an_edit_is_told_before_it_is_read_and_those_that_follow_soon_are_not);
	tcase_add_test(tcase, of_a_file_that_takes_longer_than_somebody_is_awake_it_is_told_once_more);
	tcase_add_test(tcase, who_is_told_is_awake_until_the_news_are_here_or_for_a_moment);
	tcase_add_loop_test(tcase, whatever_is_sent_nobody_is_awake_for_more_than_a_part_of_the_time, 0, 7);
	tcase_add_test(tcase, where_others_take_long_the_machine_is_busy_and_is_left_alone);
	suite_add_tcase(suite, tcase);
	return unit_main(suite);
}
