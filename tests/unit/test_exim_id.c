/*
 * tests/unit/test_exim_id.c - laws of Exim's message ids.
 */
#include <string.h>

#include "mta/exim_id.h"
#include "tests/unit/harness.h"

static struct exim_id
parsed(const char *text)
{
	struct exim_id id = { 0, 0 };

	ck_assert_msg(exim_id_parse(text, strlen(text), &id), "%s", text);
	return id;
}

static const char *const good[] = {
	"1xUsW9-0002fS-1c", "000000-000000-00", "zzzzzz-zzzzzz-zz", "1xUsVX-0000l7-04",
	"1vaBcD-00000001Abz-0C4u", "000000-00000000000-0000", "zzzzzz-zzzzzzzzzzz-zzzz", "000000-00000000001-0000",
	"000000-z0000000000-0000", "000001-00000000000-000z",
};

START_TEST(what_is_parsed_prints_as_it_was)
{
	char buf[EXIM_ID_SIZE];
	struct exim_id id = parsed(good[_i]);

	ck_assert_str_eq(exim_id_print(id, buf), good[_i]);
	ck_assert_uint_eq(exim_id_length(id), strlen(good[_i]));
	ck_assert_int_eq(exim_id_subdir(id), good[_i][5]);
	ck_assert(id.hi != 0);
}
END_TEST

START_TEST(two_ids_have_two_keys)
{
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		for (size_t j = 0; j < i; j++) {
			struct exim_id a = parsed(good[i]), b = parsed(good[j]);

			ck_assert_msg(a.hi != b.hi || a.lo != b.lo, "%s %s", good[i], good[j]);
		}
	}
}
END_TEST

/* Each digit at each place changes the key and comes back. */
START_TEST(no_digit_is_lost_at_any_place)
{
	static const char all[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	static const char *const from[] = { "000000-000000-00", "000000-00000000000-0000" };

	for (size_t f = 0; f < 2; f++) {
		for (size_t at = 0; at < strlen(from[f]); at++) {
			for (size_t d = 0; from[f][at] != '-' && d < 62; d++) {
				char text[EXIM_ID_SIZE], buf[EXIM_ID_SIZE];

				memcpy(text, from[f], strlen(from[f]) + 1);
				text[at] = all[d];
				ck_assert_str_eq(exim_id_print(parsed(text), buf), text);
			}
		}
	}
}
END_TEST

START_TEST(the_time_is_that_of_the_message)
{
	/* from a real queue: this message says 1795296065 in its file */
	ck_assert_int_eq(exim_id_time(parsed("1xUsW9-0002fS-1c")), 1795296065);
	ck_assert_int_eq(exim_id_time(parsed("1xUsW9-0000000002f-001c")), 1795296065);
	ck_assert_int_eq(exim_id_time(parsed("000010-000000-00")), 62);
}
END_TEST

START_TEST(keys_of_one_form_are_ordered_as_the_times)
{
	ck_assert(parsed("1xUsW9-zzzzzz-zz").hi < parsed("1xUsWA-000000-00").hi);
	ck_assert(parsed("1xUsW9-zzzzzzzzzzz-zzzz").hi < parsed("1xUsWA-00000000000-0000").hi);
}
END_TEST

static const char *const bad[] = {
	"", "1xUsW9", "1xUsW9-0002fS-1", "1xUsW9-0002fS-1c-", "1xUsW9-0002fS-1_", "1xUsW9_0002fS-1c", "1xUsW9-0002fS_1c",
	"1xUsW9--002fS-1c", "1xUsW/-0002fS-1c", "1xUsW9-0002fS-1\xe9", "1xUsW9-0002fS00000-0c4", "1xUsW9-0002fS-00000-0c4u",
	"1xUsW9-0002fS-1c-D", "hdr.1xUsW9-0002fS-1c", "1xUsW9-0002fS 1c", "..", "1xUsW9-00000000000-000\n",
};

START_TEST(what_is_no_id_is_refused_and_changes_nothing)
{
	struct exim_id id = { 7, 7 };

	ck_assert_msg(!exim_id_parse(bad[_i], strlen(bad[_i]), &id), "%s", bad[_i]);
	ck_assert(id.hi == 7 && id.lo == 7);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("exim_id");
	TCase *tc = tcase_create("ids");

	tcase_add_loop_test(tc, what_is_parsed_prints_as_it_was, 0, sizeof good / sizeof good[0]);
	tcase_add_test(tc, two_ids_have_two_keys);
	tcase_add_test(tc, no_digit_is_lost_at_any_place);
	tcase_add_test(tc, the_time_is_that_of_the_message);
	tcase_add_test(tc, keys_of_one_form_are_ordered_as_the_times);
	tcase_add_loop_test(tc, what_is_no_id_is_refused_and_changes_nothing, 0, sizeof bad / sizeof bad[0]);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
