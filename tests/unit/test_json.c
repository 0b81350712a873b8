/*
 * tests/unit/test_json.c - the laws of common/json.c.
 */
#include "tests/unit/harness.h"

#include <stdlib.h>
#include <string.h>

#include "common/json.h"

static const char *
quoted(const char *text)
{
	static char buf[512];
	struct json j;

	json_init(&j, buf, sizeof(buf));
	json_string(&j, NULL, text);
	json_finish(&j);
	return buf;
}

static size_t
sample_into(struct json *j)
{
	json_object(j, NULL);
	json_string(j, "name", "mx1");
	json_array(j, "list");
	json_int(j, NULL, -5);
	json_uint(j, NULL, UINT64_MAX);
	json_object(j, NULL);
	json_bool(j, "yes", true);
	json_null(j, "none");
	json_object_end(j);
	json_array_end(j);
	json_array(j, "empty");
	json_array_end(j);
	json_fact(j, "known", FACT_NO);
	json_fact(j, "unknown", FACT_UNKNOWN);
	json_object_end(j);
	return json_finish(j);
}

static size_t
sample(char *buf, size_t size)
{
	struct json j;

	json_init(&j, buf, size);
	return sample_into(&j);
}

static const char sample_text[] =
    "{\n"
    "  \"name\": \"mx1\",\n"
    "  \"list\": [-5, 18446744073709551615, {\"yes\": true, \"none\": null}],\n"
    "  \"empty\": [],\n"
    "  \"known\": false,\n"
    "  \"unknown\": null\n"
    "}\n";

START_TEST(members_of_the_outermost_object_stand_on_lines_of_their_own)
{
	char buf[512];

	ck_assert_uint_eq(sample(buf, sizeof(buf)), sizeof(sample_text) - 1);
	ck_assert_str_eq(buf, sample_text);
}
END_TEST

START_TEST(every_too_small_buffer_is_cut_terminated_and_told)
{
	for (size_t size = 0; size < sizeof(sample_text); size++) {
		char *buf = malloc(size + 1);

		buf[size] = '#';
		ck_assert_uint_eq(sample(size == 0 ? NULL : buf, size), sizeof(sample_text) - 1);
		ck_assert_int_eq(buf[size], '#');
		if (size > 0) {
			ck_assert_uint_eq(strlen(buf), size - 1);
			ck_assert_int_eq(memcmp(buf, sample_text, size - 1), 0);
		}
		free(buf);
	}
}
END_TEST

struct heap { char text[1024]; size_t len, calls; };

static void
heap_up(void *arg, const char *bytes, size_t len)
{
	struct heap *heap = arg;

	memcpy(heap->text + heap->len, bytes, len);
	heap->len += len;
	heap->calls++;
}

START_TEST(a_document_of_any_size_goes_through_a_buffer_of_any_size)
{
	for (size_t size = 1; size < sizeof(sample_text) + 10; size++) {
		struct heap heap = { .len = 0 };
		char *buf = malloc(size);	/* so that a byte too much is seen */
		struct json j;

		json_stream(&j, buf, size, heap_up, &heap);
		ck_assert_uint_eq(sample_into(&j), sizeof(sample_text) - 1);
		heap.text[heap.len] = '\0';
		ck_assert_str_eq(heap.text, sample_text);
		ck_assert_uint_eq(heap.calls, (sizeof(sample_text) - 1 + size - 1) / size);
		free(buf);
	}
}
END_TEST

START_TEST(deeper_members_may_have_lines_of_their_own)
{
	char buf[512];
	struct json j;

	json_init(&j, buf, sizeof(buf));
	json_lines(&j, 2);
	json_object(&j, NULL);
	json_array(&j, "none");
	json_array_end(&j);
	json_array(&j, "list");
	for (int i = 0; i < 2; i++) {
		json_object(&j, NULL);
		json_int(&j, "n", i);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_object_end(&j);
	json_finish(&j);
	ck_assert_str_eq(buf, "{\n  \"none\": [],\n  \"list\": [\n    {\"n\": 0},\n    {\"n\": 1}\n  ]\n}\n");
}
END_TEST

START_TEST(quotes_backslashes_and_control_characters_are_escaped)
{
	ck_assert_str_eq(quoted("a\"b\\c"), "\"a\\\"b\\\\c\"");
	ck_assert_str_eq(quoted("a\nb\tc\rd\x01\x1f\x7f"), "\"a\\nb\\tc\\u000dd\\u0001\\u001f\\u007f\"");
}
END_TEST

START_TEST(valid_utf8_passes_and_everything_else_becomes_the_replacement)
{
	static const struct { const char *in, *out; } cases[] = {
		{ "\xc3\xa9", "\"\xc3\xa9\"" },
		{ "\xe2\x82\xac", "\"\xe2\x82\xac\"" },
		{ "\xf0\x9f\x93\xa7", "\"\xf0\x9f\x93\xa7\"" },
		{ "\xf4\x8f\xbf\xbf", "\"\xf4\x8f\xbf\xbf\"" },
		{ "\x80", "\"\\ufffd\"" },
		{ "\xc3", "\"\\ufffd\"" },				/* cut */
		{ "\xc3(", "\"\\ufffd(\"" },
		{ "\xc0\x80", "\"\\ufffd\\ufffd\"" },			/* overlong NUL */
		{ "\xe0\x80\x80", "\"\\ufffd\\ufffd\\ufffd\"" },	/* overlong */
		{ "\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"" },	/* surrogate */
		{ "\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"" },
		{ "\xff\xfe", "\"\\ufffd\\ufffd\"" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_str_eq(quoted(cases[i].in), cases[i].out);
}
END_TEST

START_TEST(thousandths_have_no_needless_zeros)
{
	static const struct { uint64_t in; const char *out; } cases[] = {
		{ 0, "0" }, { 5, "0.005" }, { 50, "0.05" }, { 500, "0.5" }, { 1000, "1" },
		{ 1234, "1.234" }, { 10010, "10.01" }, { UINT64_MAX, "18446744073709551.615" },
	};
	char buf[64];
	struct json j;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_init(&j, buf, sizeof(buf));
		json_thousandths(&j, NULL, cases[i].in);
		json_finish(&j);
		ck_assert_str_eq(buf, cases[i].out);
	}
}
END_TEST

START_TEST(no_value_is_null_not_an_empty_string)
{
	ck_assert_str_eq(quoted(NULL), "null");
	ck_assert_str_eq(quoted(""), "\"\"");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("json");
	TCase *tc = tcase_create("json");

	tcase_add_test(tc, members_of_the_outermost_object_stand_on_lines_of_their_own);
	tcase_add_test(tc, every_too_small_buffer_is_cut_terminated_and_told);
	tcase_add_test(tc, a_document_of_any_size_goes_through_a_buffer_of_any_size);
	tcase_add_test(tc, deeper_members_may_have_lines_of_their_own);
	tcase_add_test(tc, quotes_backslashes_and_control_characters_are_escaped);
	tcase_add_test(tc, valid_utf8_passes_and_everything_else_becomes_the_replacement);
	tcase_add_test(tc, thousandths_have_no_needless_zeros);
	tcase_add_test(tc, no_value_is_null_not_an_empty_string);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
