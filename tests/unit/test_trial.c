/*
 * tests/unit/test_trial.c - laws of a row of tries of one disk: when it counts as hanging or failing, and for how long.
 */
#include <string.h>

#include "supervisor/trial.h"
#include "tests/unit/harness.h"

#define EVERY 2000
#define LOOK 250
#define ILL 2000

static struct trial t;
static uint64_t now;

static void
fresh(void)
{
	memset(&t, 0, sizeof(t));
	now = 1000000;
}

/* Time goes on with a timer that fires as it should. */
static void
wait_out(uint64_t ms)
{
	for (uint64_t end = now + ms; now < end;) {
		now += end - now < LOOK ? end - now : LOOK;
		trial_look(&t, now, LOOK, ILL);
	}
}

static void
try(uint64_t takes_ms, enum trial_answer answer)
{
	trial_begin(&t, now, EVERY);
	wait_out(takes_ms);
	trial_end(&t, now, LOOK, answer, answer == TRIAL_BAD ? "no" : "");
}

START_TEST(nothing_is_known_before_the_first_answer)
{
	ck_assert_int_eq(trial_good(&t), FACT_UNKNOWN);
	try(10, TRIAL_VOID);
	ck_assert_int_eq(trial_good(&t), FACT_UNKNOWN);
	try(10, TRIAL_GOOD);
	ck_assert_int_eq(trial_good(&t), FACT_YES);
	ck_assert_uint_eq(trial_bad_ms(&t), 0);
}
END_TEST

START_TEST(one_that_is_out_for_too_long_hangs_and_an_answer_ends_it)
{
	try(10, TRIAL_GOOD);
	trial_begin(&t, now, EVERY);
	wait_out(ILL - 1);
	ck_assert(!t.bad);
	wait_out(LOOK);
	ck_assert(t.bad && t.hangs);
	ck_assert_uint_ge(trial_bad_ms(&t), ILL);
	wait_out(10000);
	ck_assert(trial_bad_ms(&t) >= ILL + 10000 && trial_bad_ms(&t) <= ILL + LOOK + 10000);
	trial_end(&t, now, LOOK, TRIAL_GOOD, "");
	ck_assert(!t.bad && trial_bad_ms(&t) == 0 && t.good_ms == now);
}
END_TEST

START_TEST(the_moment_that_it_hangs_is_told_once)
{
	int told = 0;

	trial_begin(&t, now, EVERY);
	for (int i = 0; i < 40; i++)
		told += trial_look(&t, now += LOOK, LOOK, ILL);
	ck_assert_int_eq(told, 1);
	trial_end(&t, now, LOOK, TRIAL_VOID, "");
	ck_assert(!trial_look(&t, now += 60000, LOOK, ILL));
}
END_TEST

START_TEST(a_node_that_stood_still_blames_no_disk)
{
	try(10, TRIAL_GOOD);
	trial_begin(&t, now, EVERY);
	now += 3600000;
	trial_look(&t, now, LOOK, ILL);
	ck_assert(!t.bad);
	trial_end(&t, now, LOOK, TRIAL_GOOD, "");
	ck_assert_int_eq(trial_good(&t), FACT_YES);
	/* nor does a pause between two failed tries make them more */
	try(10, TRIAL_BAD);
	now += 3600000;
	try(10, TRIAL_BAD);
	ck_assert_uint_le(trial_bad_ms(&t), 2 * EVERY + 20);
}
END_TEST

START_TEST(what_fails_counts_from_the_first_failed_try_to_the_last_and_no_further)
{
	try(10, TRIAL_BAD);
	ck_assert(t.bad && !t.hangs);
	ck_assert_str_eq(t.text, "no");
	ck_assert_uint_le(trial_bad_ms(&t), 10);
	now += EVERY;
	ck_assert_uint_le(trial_bad_ms(&t), 10);
	trial_begin(&t, now, EVERY);
	ck_assert_uint_le(trial_bad_ms(&t), 10);
	now += 10;
	trial_end(&t, now, LOOK, TRIAL_BAD, "no");
	ck_assert_uint_eq(trial_bad_ms(&t), EVERY + 20);
	now += EVERY;
	try(10, TRIAL_GOOD);
	ck_assert_uint_eq(trial_bad_ms(&t), 0);
	now += EVERY;
	try(10, TRIAL_BAD);
	ck_assert_uint_le(trial_bad_ms(&t), 10);
}
END_TEST

START_TEST(failing_and_hanging_add_up_and_a_failed_one_does_not_hang_at_once)
{
	uint64_t bad;

	for (int i = 0; i < 5; i++) {
		try(10, TRIAL_BAD);
		now += EVERY;
	}
	bad = trial_bad_ms(&t);
	ck_assert_uint_ge(bad, 4 * EVERY);
	trial_begin(&t, now, EVERY);
	wait_out(LOOK);
	ck_assert(t.bad && !t.hangs);
	wait_out(ILL);
	ck_assert(t.hangs && t.text[0] == '\0');
	ck_assert_uint_ge(trial_bad_ms(&t), bad + EVERY + ILL);
	/* ended by force, then the next one hangs as well: it goes on */
	trial_end(&t, now, LOOK, TRIAL_VOID, "");
	bad = trial_bad_ms(&t);
	trial_begin(&t, now, EVERY);
	wait_out(1000);
	ck_assert_uint_ge(trial_bad_ms(&t), bad + 1000);
	trial_end(&t, now, LOOK, TRIAL_BAD, "");
	ck_assert(t.bad && !t.hangs && strlen(t.text) > 0);
}
END_TEST

/* Of anything that can happen: bad time never shrinks while it is bad, and never exceeds what has passed. */
START_TEST(bad_time_grows_with_time_and_never_faster)
{
	uint64_t began = now, x = (uint64_t)_i + 1, bad = 0, since = 0;

	for (int i = 0; i < 300; i++) {
		enum trial_answer answer;

		x = x * 6364136223846793005u + 1442695040888963407u;
		answer = (enum trial_answer)((x >> 33) % 3);
		trial_begin(&t, now, EVERY);
		wait_out((x >> 40) % 5000);
		ck_assert(!t.bad || trial_bad_ms(&t) >= bad);
		trial_end(&t, now, LOOK, answer, "no");
		if (!t.bad)
			since = now;
		ck_assert_uint_le(trial_bad_ms(&t), now - (since != 0 ? since : began));
		ck_assert(!t.bad || trial_bad_ms(&t) >= bad);
		bad = trial_bad_ms(&t);
		ck_assert_int_eq(t.bad, trial_good(&t) == FACT_NO);
		ck_assert(!t.hangs || t.bad);
		now += (x >> 50) % 3000;
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("trial");
	TCase *c = tcase_create("laws");

	tcase_add_checked_fixture(c, fresh, NULL);
	tcase_add_test(c, nothing_is_known_before_the_first_answer);
	tcase_add_test(c, one_that_is_out_for_too_long_hangs_and_an_answer_ends_it);
	tcase_add_test(c, the_moment_that_it_hangs_is_told_once);
	tcase_add_test(c, a_node_that_stood_still_blames_no_disk);
	tcase_add_test(c, what_fails_counts_from_the_first_failed_try_to_the_last_and_no_further);
	tcase_add_test(c, failing_and_hanging_add_up_and_a_failed_one_does_not_hang_at_once);
	tcase_add_loop_test(c, bad_time_grows_with_time_and_never_faster, 0, 50);
	suite_add_tcase(s, c);
	return unit_main(s);
}
