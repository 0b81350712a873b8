/*
 * tests/unit/test_sort.c - laws of common/sort.h.
 */
#include "tests/unit/harness.h"

#include <stdlib.h>
#include <string.h>

#include "common/sort.h"

#define MOST 300u

struct thing { unsigned int key, was; char more[20]; };

static unsigned long compared;

static int
by_key(const void *left, const void *right)
{
	const struct thing *a = left, *b = right;

	compared++;
	return (a->key > b->key) - (a->key < b->key);
}

static unsigned int
dice(unsigned int sides)
{
	return (unsigned int)random() % sides;
}

/* rows: so many, each in order, one behind the other. */
static void
fill(struct thing *at, size_t n, size_t rows)
{
	for (size_t i = 0; i < n; i++) {
		size_t each = (n + rows - 1) / rows;

		at[i] = (struct thing){ .key = (unsigned int)(i % each * 3) + dice(3), .was = (unsigned int)i };
		snprintf(at[i].more, sizeof at[i].more, "%zu", i);
	}
}

START_TEST(everything_is_there_in_order_and_equal_ones_stay_as_they_stood)
{
	static struct thing at[MOST];

	srandom(1);
	for (int round = 0; round < 2000; round++) {
		size_t n = dice(MOST), rows = 1 + dice(round % 2 == 0 ? 8 : 50);
		bool seen[MOST] = { false };
		char text[20];

		fill(at, n, rows);
		sort_rows(at, n, sizeof *at, by_key);
		for (size_t i = 0; i < n; i++) {
			ck_assert(!seen[at[i].was]);
			seen[at[i].was] = true;
			snprintf(text, sizeof text, "%u", at[i].was);
			ck_assert_str_eq(at[i].more, text);
			if (i > 0)
				ck_assert(at[i - 1].key < at[i].key || (at[i - 1].key == at[i].key && at[i - 1].was < at[i].was));
		}
	}
}
END_TEST

START_TEST(what_has_no_order_at_all_is_sorted_as_well)
{
	static struct thing at[MOST];

	for (size_t i = 0; i < MOST; i++)
		at[i] = (struct thing){ .key = (unsigned int)(MOST - i) };
	sort_rows(at, MOST, sizeof *at, by_key);
	for (size_t i = 0; i < MOST; i++)
		ck_assert_uint_eq(at[i].key, i + 1);
}
END_TEST

START_TEST(what_is_in_order_costs_one_look_and_three_rows_two_more)
{
	static struct thing at[MOST];

	fill(at, MOST, 1);
	compared = 0;
	sort_rows(at, MOST, sizeof *at, by_key);
	ck_assert_uint_eq(compared, MOST - 1);
	fill(at, MOST, 3);
	compared = 0;
	sort_rows(at, MOST, sizeof *at, by_key);
	ck_assert_uint_le(compared, 3 * MOST);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("sort");
	TCase *t = tcase_create("sort");

	tcase_add_test(t, everything_is_there_in_order_and_equal_ones_stay_as_they_stood);
	tcase_add_test(t, what_has_no_order_at_all_is_sorted_as_well);
	tcase_add_test(t, what_is_in_order_costs_one_look_and_three_rows_two_more);
	suite_add_tcase(s, t);
	return unit_main(s);
}
