/*
 * tests/unit/test_gap.c - laws of the gap histogram, checked against sorting the gaps. Pure.
 */
#include <stdlib.h>
#include <string.h>

#include "supervisor/gap.h"
#include "tests/unit/harness.h"

/* As ck_assert, but silent while it holds: libcheck writes a note for each of its own calls. */
#define LAW(claim) do { if (!(claim)) ck_abort_msg("%s", #claim); } while (0)

START_TEST(bounds_grow_by_at_most_a_quarter_and_the_last_is_open)
{
	ck_assert_uint_eq(gap_bucket_ms(0), 1);
	ck_assert_uint_eq(gap_bucket_ms(4), 2);
	ck_assert_uint_eq(gap_bucket_ms(40), 1024);
	for (unsigned int i = 1; i < GAP_BUCKETS - 1; i++) {
		LAW(gap_bucket_ms(i) >= gap_bucket_ms(i - 1));
		LAW(i < 16 || 4 * gap_bucket_ms(i) <= 5 * gap_bucket_ms(i - 1));
	}
	ck_assert(gap_bucket_ms(GAP_BUCKETS - 1) == UINT64_MAX);
}
END_TEST

START_TEST(every_gap_lies_in_the_bucket_of_its_bounds)
{
	struct gap exact = { .count = 0 };

	gap_add(&exact, 5000, 1);
	gap_add(&exact, 6000, 2);	/* a bound belongs to its bucket */
	gap_add(&exact, 7001, 3);
	LAW(exact.bucket[0] == 1 && exact.bucket[1] == 1);
	for (uint64_t us = 1; us < 200000000; us += 1 + us / 37) {
		struct gap gap = { .count = 0 };
		unsigned int in = 0;

		gap_add(&gap, 5000, 1);
		gap_add(&gap, 5000 + us, 2);
		while (gap.bucket[in] == 0)
			in++;
		LAW(us <= gap_bucket_ms(in) * 1000 || in == GAP_BUCKETS - 1);
		/* bounds are rounded up to milliseconds, by less than one */
		LAW(in == 0 || us + 1000 > gap_bucket_ms(in - 1) * 1000);
		LAW(gap.max_us == us);
		LAW(gap_percentile_us(&gap, 50) == us);
	}
}
END_TEST

static int
by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

START_TEST(percentiles_are_never_below_and_at_most_a_quarter_above_the_true_ones)
{
	enum { N = 997 };
	static const unsigned int percent[] = { 0, 1, 25, 50, 90, 99, 100 };
	struct gap gap = { .count = 0 };
	uint64_t us[N], now = 1000000, x = 99;

	gap_add(&gap, now, 1);
	for (int i = 0; i < N; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		us[i] = 1000 + (x >> 20) % (i % 50 == 0 ? 3000000 : 60000);
		now += us[i];
		gap_add(&gap, now, 2 + (uint64_t)i);
	}
	qsort(us, N, sizeof(us[0]), by_size);
	for (size_t i = 0; i < sizeof(percent) / sizeof(percent[0]); i++) {
		size_t rank = (N * percent[i] + 99) / 100;
		uint64_t truth = us[rank > 0 ? rank - 1 : 0];
		uint64_t got = gap_percentile_us(&gap, percent[i]);

		ck_assert_msg(got >= truth && 4 * got <= 5 * truth, "p%u", percent[i]);
	}
	ck_assert_uint_eq(gap_percentile_us(&gap, 100), us[N - 1]);
	ck_assert_uint_eq(gap.count, N);
}
END_TEST

START_TEST(what_never_came_is_counted_as_lost)
{
	struct gap gap = { .count = 0 };

	gap_add(&gap, 1000, 41);	/* the first one heard is not the first one sent */
	gap_add(&gap, 2000, 42);
	ck_assert_uint_eq(gap.lost, 0);
	gap_add(&gap, 3000, 46);
	ck_assert_uint_eq(gap.lost, 3);
}
END_TEST

START_TEST(a_restart_of_the_peer_is_neither_a_gap_nor_a_loss)
{
	struct gap gap = { .count = 0 };

	gap_add(&gap, 1000, 41);
	gap_add(&gap, 900000000, 2);
	gap_add(&gap, 900001000, 3);
	ck_assert_uint_eq(gap.count, 1);
	ck_assert_uint_eq(gap.max_us, 1000);
	ck_assert_uint_eq(gap.lost, 0);
}
END_TEST

START_TEST(our_own_pause_is_neither_a_gap_nor_a_loss)
{
	struct gap gap = { .count = 0 };

	gap_add(&gap, 1000, 1);
	gap_add(&gap, 2000, 2);
	gap_pause(&gap);
	gap_add(&gap, 900000000, 500);
	gap_add(&gap, 900001000, 501);
	ck_assert_uint_eq(gap.count, 2);
	ck_assert_uint_eq(gap.max_us, 1000);
	ck_assert_uint_eq(gap.lost, 0);
}
END_TEST

START_TEST(an_empty_histogram_says_zero)
{
	struct gap gap = { .count = 0 };

	ck_assert_uint_eq(gap_percentile_us(&gap, 99), 0);
	gap_add(&gap, 1000, 1);
	ck_assert_uint_eq(gap_percentile_us(&gap, 99), 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("gap");
	TCase *tc = tcase_create("gap");

	tcase_add_test(tc, bounds_grow_by_at_most_a_quarter_and_the_last_is_open);
	tcase_add_test(tc, every_gap_lies_in_the_bucket_of_its_bounds);
	tcase_add_test(tc, percentiles_are_never_below_and_at_most_a_quarter_above_the_true_ones);
	tcase_add_test(tc, what_never_came_is_counted_as_lost);
	tcase_add_test(tc, a_restart_of_the_peer_is_neither_a_gap_nor_a_loss);
	tcase_add_test(tc, our_own_pause_is_neither_a_gap_nor_a_loss);
	tcase_add_test(tc, an_empty_histogram_says_zero);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
