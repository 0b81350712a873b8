/*
 * tests/unit/test_zstd.c - laws of common/zstd.h: what comes back is what went in, and no bytes make it write or take more than was agreed.
 */
#include "tests/unit/harness.h"

#include <stdlib.h>
#include <string.h>

#include "common/digest.h"
#include "common/zstd.h"

#define PLAIN (256u << 10)

static uint8_t plain[PLAIN], back[PLAIN + 64];
static size_t packed_len;

static uint8_t *
packed(size_t len)
{
	uint8_t *p;

	for (size_t i = 0; i < len; i++)
		plain[i] = (uint8_t)("relayhost = [mail.example]\n"[i % 27] + i / 10000);
	p = zstd_compress(plain, len, &packed_len);
	ck_assert_ptr_nonnull(p);
	ck_assert_uint_lt(packed_len, len);
	memset(back, 0x55, sizeof back);
	return p;
}

static void
refused(const uint8_t *bytes, size_t len, size_t plain_len, const char *why)
{
	uint8_t *exact = malloc(len + 1), *room = malloc(plain_len + 1);	/* so that a byte too far is noticed */
	struct err err = { 0 };

	ck_assert(exact != NULL && room != NULL);
	memcpy(exact, bytes, len);
	room[plain_len] = 0x55;
	ck_assert(!zstd_expand(exact, len, room, plain_len, &err));
	ck_assert_msg(strstr(err.text, why) != NULL, "%s", err.text);
	ck_assert_uint_eq(room[plain_len], 0x55);
	free(exact);
	free(room);
}

START_TEST(what_comes_back_is_what_went_in)
{
	static const size_t len[] = { 100, 1000, 65536, PLAIN };
	uint8_t *p = packed(len[_i]);
	struct err err = { 0 };

	ck_assert_msg(zstd_expand(p, packed_len, back, len[_i], &err), "%s", err.text);
	ck_assert_mem_eq(back, plain, len[_i]);
	ck_assert_uint_eq(back[len[_i]], 0x55);
	free(p);
}
END_TEST

START_TEST(what_would_not_become_shorter_is_left_as_it_is)
{
	size_t len;

	digest_random(plain, PLAIN);
	ck_assert_ptr_null(zstd_compress(plain, PLAIN, &len));
	ck_assert_ptr_null(zstd_compress("a", 1, &len));
	ck_assert_ptr_null(zstd_compress("", 0, &len));
}
END_TEST

START_TEST(a_bomb_or_too_little_is_refused)
{
	uint8_t *p = packed(PLAIN);

	refused(p, packed_len, PLAIN - 1, "should hold 262143");
	refused(p, packed_len, 10, "should hold 10");
	refused(p, packed_len, PLAIN + 1, "hold 262144");
	free(p);
}
END_TEST

START_TEST(what_is_cut_or_goes_on_behind_its_end_is_refused)
{
	uint8_t *p = packed(3000), twice[6000];

	for (size_t cut = 0; cut < packed_len; cut++)
		refused(p, cut, 3000, "");
	memcpy(twice, p, packed_len);
	memcpy(twice + packed_len, p, packed_len);
	refused(twice, 2 * packed_len, 6000, "behind");
	refused(twice, packed_len + 1, 3000, "behind");
	free(p);
}
END_TEST

/* A frame that says it holds 2^62 bytes, of runs: 4 bytes each for 128 KiB. */
START_TEST(a_frame_that_claims_much_takes_nothing)
{
	static const uint8_t claims[] = { 0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0x03, 0x00, 0x10, 'x' };

	refused(claims, sizeof claims, 4096, "should hold 4096");
}
END_TEST

START_TEST(whatever_is_changed_ends_in_a_verdict)
{
	uint8_t *p = packed(3000);

	for (size_t i = 0; i < 8 * packed_len; i++) {
		p[i / 8] ^= (uint8_t)(1 << i % 8);
		zstd_expand(p, packed_len, back, 3000, NULL);
		ck_assert_uint_eq(back[3000], 0x55);
		p[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	free(p);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("zstd");
	TCase *c = tcase_create("zstd");

	tcase_add_loop_test(c, what_comes_back_is_what_went_in, 0, 4);
	tcase_add_test(c, what_would_not_become_shorter_is_left_as_it_is);
	tcase_add_test(c, a_bomb_or_too_little_is_refused);
	tcase_add_test(c, what_is_cut_or_goes_on_behind_its_end_is_refused);
	tcase_add_test(c, a_frame_that_claims_much_takes_nothing);
	tcase_add_test(c, whatever_is_changed_ends_in_a_verdict);
	suite_add_tcase(suite, c);
	return unit_main(suite);
}
