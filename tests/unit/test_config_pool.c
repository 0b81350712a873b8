/*
 * tests/unit/test_config_pool.c - laws of configsync/pool.h.
 */
#include "tests/unit/harness.h"

#include "configsync/pool.h"

#define THINGS 20000u

static size_t
size_of(unsigned int i)
{
	return 1 + i * 7919 % 1500;	/* some are malloc()'s */
}

START_TEST(what_was_taken_is_nobody_elses_and_fits_any_type)
{
	static unsigned char *thing[THINGS];
	struct pool *p = pool_new();

	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int i = round; i < THINGS; i += round + 1) {
			pool_give(p, thing[i], size_of(i));
			thing[i] = pool_take(p, size_of(i));
			ck_assert_uint_eq((uintptr_t)thing[i] % sizeof(uint64_t), 0);
			memset(thing[i], (int)(i % 251), size_of(i));
		}
	}
	for (unsigned int i = 0; i < THINGS; i++) {
		size_t spoilt = 0;

		for (size_t k = 0; k < size_of(i); k++)
			spoilt += thing[i][k] != i % 251;
		ck_assert_uint_eq(spoilt, 0);
		pool_give(p, thing[i], size_of(i));
	}
	pool_free(p);
}
END_TEST

START_TEST(a_place_that_was_given_back_is_taken_again)
{
	struct pool *p = pool_new();
	void *first = pool_take(p, 100);

	pool_take(p, 100);
	pool_give(p, first, 100);
	ck_assert(POOL_LARGE <= 100 || pool_take(p, 97) == first);	/* rounded up it is the same size */
	pool_give(p, NULL, 100);
	pool_free(p);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("pool");
	TCase *t = tcase_create("pool");

	tcase_add_test(t, what_was_taken_is_nobody_elses_and_fits_any_type);
	tcase_add_test(t, a_place_that_was_given_back_is_taken_again);
	suite_add_tcase(s, t);
	return unit_main(s);
}
