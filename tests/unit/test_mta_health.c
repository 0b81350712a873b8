/*
 * tests/unit/test_mta_health.c - the verdict over the last answers, as laws over every series of
 * up to five answers.
 */
#include "mta/mta.h"

#include <string.h>

#include "tests/unit/harness.h"

#define SERIES_MAX 5

/* Calls visit for every series of len answers out of answered, refused, no answer. */
static void
each_series(size_t len, void (*visit)(const enum mta_answer *, size_t))
{
	static const enum mta_answer kinds[] = { MTA_ANSWERED, MTA_REFUSED, MTA_NO_ANSWER };
	size_t total = 1;

	for (size_t i = 0; i < len; i++)
		total *= 3;
	for (size_t code = 0; code < total; code++) {
		enum mta_answer series[SERIES_MAX];
		size_t rest = code;

		for (size_t i = 0; i < len; i++, rest /= 3)
			series[i] = kinds[rest % 3];
		visit(series, len);
	}
}

static enum fact
verdict(const enum mta_answer *series, size_t len, uint32_t k, uint32_t n)
{
	struct mta_health health;

	mta_health_reset(&health);
	for (size_t i = 0; i < len; i++)
		mta_health_add(&health, series[i]);
	return mta_health_good(&health, k, n);
}

START_TEST(nothing_is_known_before_the_first_answer)
{
	ck_assert_int_eq(verdict(NULL, 0, 2, 3), FACT_UNKNOWN);
}
END_TEST

START_TEST(a_question_that_could_not_be_put_says_nothing)
{
	static const enum mta_answer only[] = { MTA_ANSWER_UNKNOWN, MTA_ANSWER_UNKNOWN };
	static const enum mta_answer mixed[] = {
		MTA_REFUSED, MTA_ANSWER_UNKNOWN, MTA_ANSWER_UNKNOWN, MTA_REFUSED };

	ck_assert_int_eq(verdict(only, 2, 2, 3), FACT_UNKNOWN);
	ck_assert_int_eq(verdict(mixed, 4, 2, 2), FACT_NO);
}
END_TEST

/* Only the last n count, k refusals of them are too many, weights are 2 and 1. */
static void
check_weights(const enum mta_answer *series, size_t len)
{
	for (uint32_t n = 1; n <= SERIES_MAX; n++) {
		for (uint32_t k = 1; k <= n; k++) {
			uint32_t sum = 0;

			for (size_t i = len > n ? len - n : 0; i < len; i++)
				sum += series[i] == MTA_REFUSED ? 2 : series[i] == MTA_NO_ANSWER;
			ck_assert_int_eq(verdict(series, len, k, n),
			    sum >= 2 * k - 1 ? FACT_NO : FACT_YES);
		}
	}
}

START_TEST(the_weights_of_the_last_n_answers_decide)
{
	for (size_t len = 1; len <= SERIES_MAX; len++)
		each_series(len, check_weights);
}
END_TEST

START_TEST(a_single_slow_answer_is_never_enough_for_k_of_two)
{
	static const enum mta_answer series[] = { MTA_NO_ANSWER, MTA_ANSWERED };

	ck_assert_int_eq(verdict(series, 1, 2, 3), FACT_YES);
	ck_assert_int_eq(verdict(series, 2, 2, 3), FACT_YES);
}
END_TEST

START_TEST(two_refusals_are_too_many_for_k_of_two)
{
	static const enum mta_answer series[] = { MTA_REFUSED, MTA_ANSWERED, MTA_REFUSED };

	ck_assert_int_eq(verdict(series, 3, 2, 3), FACT_NO);
	ck_assert_int_eq(verdict(series, 2, 2, 3), FACT_YES);
}
END_TEST

/* A service that came back must not stay bad because of what is long past. */
START_TEST(old_answers_are_forgotten)
{
	struct mta_health health;

	mta_health_reset(&health);
	for (int i = 0; i < 100; i++)
		mta_health_add(&health, MTA_REFUSED);
	ck_assert_int_eq(mta_health_good(&health, 2, 3), FACT_NO);
	for (int i = 0; i < 3; i++)
		mta_health_add(&health, MTA_ANSWERED);
	ck_assert_int_eq(mta_health_good(&health, 2, 3), FACT_YES);
	mta_health_reset(&health);
	ck_assert_int_eq(mta_health_good(&health, 2, 3), FACT_UNKNOWN);
}
END_TEST

/* More than is kept, or nothing at all, is asked for: the nearest sensible question is answered. */
START_TEST(numbers_out_of_range_are_brought_into_range)
{
	static const enum mta_answer bad[] = { MTA_REFUSED };

	ck_assert_int_eq(verdict(bad, 1, 0, 0), FACT_NO);
	ck_assert_int_eq(verdict(bad, 1, 9, 1), FACT_NO);
	ck_assert_int_eq(verdict(bad, 1, 2, 1000), FACT_YES);
}
END_TEST

START_TEST(drivers_are_found_by_the_names_that_errors_list)
{
	ck_assert_ptr_eq(mta_find("postfix"), &mta_postfix);
	ck_assert_ptr_null(mta_find("sendmail"));
	ck_assert_ptr_null(mta_find("fake"));
	ck_assert_ptr_nonnull(strstr(mta_names(), mta_postfix.name));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("mta_health");
	TCase *tc = tcase_create("verdict");

	tcase_add_test(tc, nothing_is_known_before_the_first_answer);
	tcase_add_test(tc, a_question_that_could_not_be_put_says_nothing);
	tcase_add_test(tc, the_weights_of_the_last_n_answers_decide);
	tcase_add_test(tc, a_single_slow_answer_is_never_enough_for_k_of_two);
	tcase_add_test(tc, two_refusals_are_too_many_for_k_of_two);
	tcase_add_test(tc, old_answers_are_forgotten);
	tcase_add_test(tc, numbers_out_of_range_are_brought_into_range);
	tcase_add_test(tc, drivers_are_found_by_the_names_that_errors_list);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
