/*
 * tests/unit/test_frame.c - laws of the serial framing: any payload survives, any damage is
 * noticed, and a damaged frame never costs more than its neighbour. Pure; fixed seeds.
 */
#include <stdlib.h>
#include <string.h>

#include "supervisor/link.h"
#include "tests/unit/harness.h"

/* As ck_assert, but silent while it holds: libcheck writes a note for each of its own calls. */
#define LAW(claim) do { if (!(claim)) ck_abort_msg("%s", #claim); } while (0)

#define FRAME_MAX (2 * (LINK_DATAGRAM_MAX + 2) + 2)

static uint64_t
next(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x >> 16;
}

/* Feed bytes; how many whole frames came out; the last one is in d->buf. */
static int
feed(struct link_deframe *d, const uint8_t *bytes, size_t len, size_t *ret_len)
{
	int n = 0;

	for (size_t i = 0; i < len; i++)
		n += link_deframe(d, bytes[i], ret_len);
	return n;
}

START_TEST(the_checksum_is_crc16_x25)
{
	uint8_t out[FRAME_MAX];
	size_t len = link_frame((const uint8_t *)"123456789", 9, out, sizeof(out));

	/* the check value of that CRC in every catalogue: 0x906e, sent low byte first */
	ck_assert_uint_eq(len, 13);
	ck_assert_mem_eq(out, "\x7e" "123456789\x6e\x90\x7e", 13);
}
END_TEST

START_TEST(delimiter_escape_and_flow_control_never_stand_in_a_frame)
{
	uint8_t all[256], out[FRAME_MAX];
	size_t len;

	for (int i = 0; i < 256; i++)
		all[i] = (uint8_t)i;
	len = link_frame(all, sizeof(all), out, sizeof(out));
	ck_assert_uint_gt(len, 256);
	ck_assert(out[0] == 0x7e && out[len - 1] == 0x7e);
	for (size_t i = 1; i < len - 1; i++)
		LAW(out[i] != 0x7e && out[i] != 0x11 && out[i] != 0x13);
	ck_assert_uint_eq(link_frame((const uint8_t *)"\x7e\x7d\x11\x13", 4, out, sizeof(out)), 12);
	ck_assert_mem_eq(out, "\x7e\x7d\x5e\x7d\x5d\x7d\x31\x7d\x33", 9);
}
END_TEST

START_TEST(every_payload_survives)
{
	struct link_deframe d = { .len = 0 };
	uint8_t in[LINK_DATAGRAM_MAX], out[FRAME_MAX];
	uint64_t x = 7;

	for (int round = 0; round < 4000; round++) {
		size_t len = 1 + next(&x) % LINK_DATAGRAM_MAX, framed, got = 0;

		for (size_t i = 0; i < len; i++)
			in[i] = round % 4 == 0 ? 0x7d + (uint8_t)(next(&x) % 2) : (uint8_t)next(&x);
		framed = link_frame(in, len, out, sizeof(out));
		LAW(feed(&d, out, framed, &got) == 1);
		LAW(got == len);
		ck_assert_mem_eq(d.buf, in, len);
	}
	ck_assert_uint_eq(d.bad, 0);
}
END_TEST

START_TEST(the_worst_payload_fits_exactly)
{
	struct link_deframe d = { .len = 0 };
	uint8_t in[LINK_DATAGRAM_MAX + 1], out[FRAME_MAX];
	size_t len, got;

	memset(in, 0x7e, sizeof(in));
	len = link_frame(in, LINK_DATAGRAM_MAX, out, sizeof(out));
	ck_assert_uint_gt(len, 2 * LINK_DATAGRAM_MAX);
	ck_assert_int_eq(feed(&d, out, len, &got), 1);
	ck_assert_uint_eq(got, LINK_DATAGRAM_MAX);
	for (size_t size = 0; size < len; size++)
		LAW(link_frame(in, LINK_DATAGRAM_MAX, out, size) == 0);
	ck_assert_uint_eq(link_frame(in, LINK_DATAGRAM_MAX, out, len), len);
	ck_assert_uint_eq(link_frame(in, LINK_DATAGRAM_MAX + 1, out, sizeof(out)), 0);
	ck_assert_uint_eq(link_frame(in, 0, out, sizeof(out)), 0);
}
END_TEST

START_TEST(no_damaged_bit_goes_unnoticed_and_the_next_frame_is_whole)
{
	uint8_t in[192], out[FRAME_MAX], bent[FRAME_MAX];
	uint64_t x = 3;
	size_t len;

	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)next(&x);
	len = link_frame(in, sizeof(in), out, sizeof(out));
	for (size_t bit = 0; bit < 8 * len; bit++) {
		struct link_deframe d = { .len = 0 };
		size_t got = 0;
		bool inside = bit / 8 != 0 && bit / 8 != len - 1;

		memcpy(bent, out, len);
		bent[bit / 8] ^= (uint8_t)(1 << bit % 8);
		/* a delimiter of its own may be bent without harm: its neighbours' do as well */
		if (feed(&d, bent, len, &got) > 0)
			ck_assert_msg(!inside, "bit %zu of the frame", bit);
		if (inside)
			LAW(d.bad >= 1);
		LAW(feed(&d, out, len, &got) == 1);
		ck_assert_mem_eq(d.buf, in, sizeof(in));
	}
}
END_TEST

START_TEST(it_finds_its_way_back_after_any_noise)
{
	struct link_deframe d = { .len = 0 };
	uint8_t in[192], out[FRAME_MAX];
	uint64_t x = 11;
	size_t len, got = 0;

	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)next(&x);
	len = link_frame(in, sizeof(in), out, sizeof(out));
	for (int round = 0; round < 3000; round++) {
		size_t noise = next(&x) % 2000, cut = next(&x) % len;

		for (size_t i = 0; i < noise; i++)
			link_deframe(&d, (uint8_t)next(&x), &got);
		feed(&d, out, cut, &got);
		LAW(feed(&d, out, len, &got) >= 1);
		LAW(got == sizeof(in));
		ck_assert_mem_eq(d.buf, in, sizeof(in));
	}
	ck_assert_uint_gt(d.bad, 1000);
}
END_TEST

START_TEST(too_long_is_counted_once_and_skipped)
{
	struct link_deframe d = { .len = 0 };
	uint8_t out[FRAME_MAX];
	size_t len = link_frame((const uint8_t *)"beat", 4, out, sizeof(out)), got = 0;

	link_deframe(&d, 0x7e, &got);
	for (int i = 0; i < 100000; i++)
		LAW(!link_deframe(&d, 'x', &got));
	ck_assert_uint_eq(d.bad, 1);
	ck_assert_int_eq(feed(&d, out, len, &got), 1);
	ck_assert_uint_eq(d.bad, 1);
}
END_TEST

START_TEST(idle_delimiters_are_no_damage_and_one_may_serve_two_frames)
{
	struct link_deframe d = { .len = 0 };
	uint8_t out[FRAME_MAX];
	size_t len = link_frame((const uint8_t *)"beat", 4, out, sizeof(out)), got = 0;

	ck_assert_int_eq(feed(&d, (const uint8_t *)"\x7e\x7e\x7e\x7e", 4, &got), 0);
	ck_assert_int_eq(feed(&d, out, len, &got), 1);
	ck_assert_int_eq(feed(&d, out + 1, len - 1, &got), 1);
	ck_assert_uint_eq(got, 4);
	ck_assert_uint_eq(d.bad, 0);
}
END_TEST

START_TEST(an_aborted_frame_is_no_frame_even_when_its_checksum_fits)
{
	struct link_deframe d = { .len = 0 };
	uint8_t out[FRAME_MAX];
	size_t len = link_frame((const uint8_t *)"beat", 4, out, sizeof(out)), got = 0;

	out[len - 1] = 0x7d;
	out[len] = 0x7e;
	ck_assert_int_eq(feed(&d, out, len + 1, &got), 0);
	ck_assert_uint_eq(d.bad, 1);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("frame");
	TCase *tc = tcase_create("frame");

	tcase_add_test(tc, the_checksum_is_crc16_x25);
	tcase_add_test(tc, delimiter_escape_and_flow_control_never_stand_in_a_frame);
	tcase_add_test(tc, every_payload_survives);
	tcase_add_test(tc, the_worst_payload_fits_exactly);
	tcase_add_test(tc, no_damaged_bit_goes_unnoticed_and_the_next_frame_is_whole);
	tcase_add_test(tc, it_finds_its_way_back_after_any_noise);
	tcase_add_test(tc, too_long_is_counted_once_and_skipped);
	tcase_add_test(tc, idle_delimiters_are_no_damage_and_one_may_serve_two_frames);
	tcase_add_test(tc, an_aborted_frame_is_no_frame_even_when_its_checksum_fits);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
