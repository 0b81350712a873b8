/*
 * tests/unit/test_beat.c - laws of the heartbeat message: what is sent is what is read, and nothing
 * that is damaged, forged, foreign or our own is read at all. Pure; needs no rights.
 */
#include <stdlib.h>
#include <string.h>

#include "supervisor/beat.h"
#include "tests/unit/harness.h"

/* As ck_assert, but silent while it holds: libcheck writes a note for each of its own calls. */
#define LAW(claim) do { if (!(claim)) ck_abort_msg("%s", #claim); } while (0)

static struct authkeys
keys_of(uint8_t id, const char *secret)
{
	struct authkeys keys = { .len = 1 };

	keys.key[0].id = id;
	keys.key[0].len = strlen(secret);
	memcpy(keys.key[0].key, secret, keys.key[0].len);
	return keys;
}

static struct beat
sample(void)
{
	struct beat b = {
		.session = 0x0102030405060708, .echo = 0x1112131415161718,
		.seq = 0x2122232425262728,
		.mono_us = 0x3132333435363738, .echo_us = 0x4142434445464748,
		.echo_held_us = 0x51525354,
		.wall_ms = 0x6162636465666768, .role = ROLE_ACTIVE, .holds = FACT_YES,
		.request = BEAT_ASK_GIVE, .flags = BEAT_HEALTHY | BEAT_GAVE_UP,
		.tenure = 0x7172737475767778, .released = 0x8182838485868788,
		.claim = 0x9192939495969798, .grant = 0xa1a2a3a4a5a6a7a8, .link = 3,
		.state_disk = { BEAT_DISK_SILENT, 0x0d0e }, .spool_disk = { BEAT_DISK_BROKEN, 0x1d1e },
	};

	for (int i = 0; i < BEAT_BOOT_LEN; i++)
		b.boot[i] = (uint8_t)(0xb0 + i);
	for (int i = 0; i < 8; i++)
		b.config[i] = (uint8_t)(0xc0 + i);
	return b;
}

static void
seal(uint8_t *bytes, const struct authkeys *keys)
{
	digest_hmac(keys->key[0].key, keys->key[0].len, bytes, BEAT_LEN - DIGEST_LEN,
	    bytes + BEAT_LEN - DIGEST_LEN);
}

static enum beat_verdict
read_by_b(const uint8_t *bytes, size_t len, const struct authkeys *keys, struct beat *ret)
{
	return beat_decode(bytes, len, "mail", "b", "a", keys, ret);
}

START_TEST(what_was_encoded_is_decoded)
{
	struct authkeys keys = keys_of(1, "secret");
	struct beat sent = sample(), got;
	uint8_t bytes[BEAT_LEN];

	beat_encode(&sent, "mail", "a", &keys, bytes);
	ck_assert_int_eq(read_by_b(bytes, BEAT_LEN, &keys, &got), BEAT_GOOD);
	ck_assert_mem_eq(got.boot, sent.boot, BEAT_BOOT_LEN);
	ck_assert_mem_eq(got.config, sent.config, 8);
	ck_assert(got.session == sent.session && got.echo == sent.echo && got.seq == sent.seq);
	ck_assert(got.mono_us == sent.mono_us && got.echo_us == sent.echo_us);
	ck_assert(got.echo_held_us == sent.echo_held_us && got.wall_ms == sent.wall_ms);
	ck_assert(got.role == sent.role && got.holds == sent.holds && got.request == sent.request);
	ck_assert(got.flags == sent.flags && got.tenure == sent.tenure);
	ck_assert(got.released == sent.released && got.claim == sent.claim);
	ck_assert(got.grant == sent.grant && got.link == sent.link);
	ck_assert(got.state_disk.how == sent.state_disk.how && got.state_disk.for_s == sent.state_disk.for_s);
	ck_assert(got.spool_disk.how == sent.spool_disk.how && got.spool_disk.for_s == sent.spool_disk.for_s);
}
END_TEST

/* Written down independently of the encoder: the documented offsets. */
START_TEST(the_layout_is_the_documented_one)
{
	static const struct { size_t at; uint8_t first; } field[] = {
		{ 24, 0xb0 }, { 40, 0x01 }, { 48, 0x11 }, { 56, 0x21 }, { 64, 0x31 }, { 72, 0x41 },
		{ 80, 0x51 }, { 84, ROLE_ACTIVE }, { 85, FACT_YES }, { 86, BEAT_ASK_GIVE },
		{ 87, BEAT_HEALTHY | BEAT_GAVE_UP }, { 88, 0x61 }, { 96, 0x71 }, { 104, 0x81 },
		{ 112, 0x91 }, { 120, 0xa1 }, { 128, 0xc0 }, { 136, 3 }, { 137, BEAT_DISK_SILENT }, { 138, 0x0d },
		{ 140, BEAT_DISK_BROKEN }, { 142, 0x1e },
	};
	/* the first bytes of the SHA-256 of "a" */
	static const uint8_t a_digest[8] = { 0xca, 0x97, 0x81, 0x12, 0xca, 0x1b, 0xbd, 0xca };
	struct authkeys keys = keys_of(7, "secret");
	struct beat sent = sample();
	uint8_t bytes[BEAT_LEN], mac[DIGEST_LEN];

	beat_encode(&sent, "mail", "a", &keys, bytes);
	ck_assert_mem_eq(bytes, "MPRB\x01\x07\x00\xc0", 8);
	ck_assert_mem_eq(bytes + 16, a_digest, 8);
	for (size_t i = 0; i < sizeof(field) / sizeof(field[0]); i++)
		ck_assert_msg(bytes[field[i].at] == field[i].first, "field at %zu", field[i].at);
	for (size_t i = 143; i < 160; i++)
		ck_assert_msg(bytes[i] == 0, "reserved byte %zu", i);
	digest_hmac("secret", 6, bytes, 160, mac);
	ck_assert_mem_eq(bytes + 160, mac, DIGEST_LEN);
}
END_TEST

START_TEST(no_flipped_bit_is_ever_good)
{
	struct authkeys keys = keys_of(1, "secret");
	struct beat sent = sample(), got;
	uint8_t bytes[BEAT_LEN];

	beat_encode(&sent, "mail", "a", &keys, bytes);
	for (size_t bit = 0; bit < 8 * BEAT_LEN; bit++) {
		memset(&got, 0x5a, sizeof(got));
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert_msg(read_by_b(bytes, BEAT_LEN, &keys, &got) != BEAT_GOOD, "bit %zu", bit);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		for (size_t i = 0; i < sizeof(got); i++)
			ck_assert_msg(((uint8_t *)&got)[i] == 0x5a, "output touched on failure");
	}
	ck_assert_int_eq(read_by_b(bytes, BEAT_LEN, &keys, &got), BEAT_GOOD);
}
END_TEST

START_TEST(no_other_length_is_ever_good)
{
	struct authkeys keys = keys_of(1, "secret");
	struct beat sent = sample(), got;

	for (size_t len = 0; len <= 2 * BEAT_LEN; len++) {
		uint8_t *bytes = malloc(2 * BEAT_LEN + 1), *exact = malloc(len + 1);

		memset(bytes, 0, 2 * BEAT_LEN + 1);
		beat_encode(&sent, "mail", "a", &keys, bytes);
		memcpy(exact, bytes, len);
		LAW(len == BEAT_LEN || read_by_b(exact, len, &keys, &got) == BEAT_MALFORMED);
		free(bytes);
		free(exact);
	}
}
END_TEST

START_TEST(another_version_is_told_apart_whatever_its_length_and_key)
{
	struct authkeys keys = keys_of(1, "secret");
	uint8_t bytes[300] = { 'M', 'P', 'R', 'B', 2, 9, 300 >> 8, 300 & 0xff };
	struct beat got;

	ck_assert_int_eq(read_by_b(bytes, 300, &keys, &got), BEAT_VERSION_OTHER);
	ck_assert_int_eq(read_by_b(bytes, 299, &keys, &got), BEAT_MALFORMED);
	bytes[0] = 'X';
	ck_assert_int_eq(read_by_b(bytes, 300, &keys, &got), BEAT_MALFORMED);
	ck_assert_int_eq(read_by_b((const uint8_t *)"MPRB\x02\x01\x00\x08", 8, &keys, &got),
	    BEAT_VERSION_OTHER);
}
END_TEST

START_TEST(another_pair_is_foreign_even_with_the_same_key)
{
	struct authkeys keys = keys_of(1, "secret");
	struct beat sent = sample(), got;
	uint8_t bytes[BEAT_LEN];

	beat_encode(&sent, "web", "a", &keys, bytes);
	ck_assert_int_eq(read_by_b(bytes, BEAT_LEN, &keys, &got), BEAT_FOREIGN);
}
END_TEST

START_TEST(without_a_fitting_key_it_is_forged)
{
	struct authkeys ours = keys_of(1, "secret"), theirs = keys_of(1, "guess");
	struct authkeys other_id = keys_of(2, "secret"), none = { .len = 0 };
	struct beat sent = sample(), got;
	uint8_t bytes[BEAT_LEN];

	beat_encode(&sent, "mail", "a", &theirs, bytes);
	ck_assert_int_eq(read_by_b(bytes, BEAT_LEN, &ours, &got), BEAT_FORGED);
	beat_encode(&sent, "mail", "a", &other_id, bytes);
	ck_assert_int_eq(read_by_b(bytes, BEAT_LEN, &ours, &got), BEAT_FORGED);
	beat_encode(&sent, "mail", "a", &ours, bytes);
	ck_assert_int_eq(read_by_b(bytes, BEAT_LEN, &none, &got), BEAT_FORGED);
}
END_TEST

START_TEST(keys_rotate_without_a_gap)
{
	struct authkeys before = keys_of(1, "old"), both = before, after = keys_of(2, "new");
	struct authkeys same_id = keys_of(1, "newer");
	struct beat sent = sample(), got;
	uint8_t bytes[BEAT_LEN];

	both.key[1] = after.key[0];
	both.len = 2;
	for (both.sending = 0; both.sending < 2; both.sending++) {
		beat_encode(&sent, "mail", "a", &both, bytes);
		LAW(bytes[5] == both.key[both.sending].id);
		LAW(read_by_b(bytes, BEAT_LEN, &both, &got) == BEAT_GOOD);
		LAW(read_by_b(bytes, BEAT_LEN, &before, &got) ==
		    (both.sending == 0 ? BEAT_GOOD : BEAT_FORGED));
		LAW(read_by_b(bytes, BEAT_LEN, &after, &got) ==
		    (both.sending == 1 ? BEAT_GOOD : BEAT_FORGED));
	}
	same_id.key[1] = before.key[0];	/* two secrets under one number: either will do */
	same_id.len = 2;
	beat_encode(&sent, "mail", "a", &before, bytes);
	ck_assert_int_eq(read_by_b(bytes, BEAT_LEN, &same_id, &got), BEAT_GOOD);
}
END_TEST

START_TEST(only_the_peer_is_listened_to)
{
	struct authkeys keys = keys_of(1, "secret");
	struct beat sent = sample(), got;
	uint8_t bytes[BEAT_LEN];

	beat_encode(&sent, "mail", "b", &keys, bytes);
	ck_assert_int_eq(read_by_b(bytes, BEAT_LEN, &keys, &got), BEAT_REFLECTED);
	beat_encode(&sent, "mail", "c", &keys, bytes);
	ck_assert_int_eq(read_by_b(bytes, BEAT_LEN, &keys, &got), BEAT_STRANGER);
}
END_TEST

START_TEST(values_out_of_range_are_malformed_even_when_signed)
{
	static const struct { size_t at; size_t len; uint8_t value; } bad[] = {
		{ 84, 1, ROLE_COUNT }, { 84, 1, 255 }, { 85, 1, FACT_COUNT },
		{ 86, 1, BEAT_ASK_COUNT },
		{ 136, 1, CONF_LINKS_MAX }, { 40, 8, 0 }, { 56, 8, 0 },
	};
	struct authkeys keys = keys_of(1, "secret");
	struct beat sent = sample(), got;
	uint8_t bytes[BEAT_LEN];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		beat_encode(&sent, "mail", "a", &keys, bytes);
		memset(bytes + bad[i].at, bad[i].value, bad[i].len);
		LAW(read_by_b(bytes, BEAT_LEN, &keys, &got) == BEAT_FORGED);
		seal(bytes, &keys);
		ck_assert_msg(read_by_b(bytes, BEAT_LEN, &keys, &got) == BEAT_MALFORMED,
		    "row %zu", i);
	}
}
END_TEST

START_TEST(unknown_flags_and_reserved_bytes_are_left_to_later_releases)
{
	struct authkeys keys = keys_of(1, "secret");
	struct beat sent = sample(), got;
	uint8_t bytes[BEAT_LEN];

	beat_encode(&sent, "mail", "a", &keys, bytes);
	bytes[87] |= 0x80;
	bytes[137] = BEAT_DISK_COUNT;
	memset(bytes + 143, 0xff, 17);
	seal(bytes, &keys);
	ck_assert_int_eq(read_by_b(bytes, BEAT_LEN, &keys, &got), BEAT_GOOD);
	ck_assert_int_eq(got.flags, sent.flags);
	ck_assert_int_eq(got.state_disk.how, BEAT_DISK_UNKNOWN);
}
END_TEST

START_TEST(noise_is_never_good)
{
	struct authkeys keys = keys_of(1, "secret");
	struct beat got;
	uint8_t bytes[2 * BEAT_LEN];
	uint64_t x = 1;

	for (int round = 0; round < 20000; round++) {
		for (size_t i = 0; i < sizeof(bytes); i++) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			bytes[i] = (uint8_t)x;
		}
		if (round % 2 == 0)
			memcpy(bytes, "MPRB\x01\x01\x00\xc0", 8);
		LAW(read_by_b(bytes, round % 3 ? BEAT_LEN : x % sizeof(bytes), &keys, &got) !=
		    BEAT_GOOD);
	}
}
END_TEST

START_TEST(every_role_and_verdict_has_a_name)
{
	for (int i = 0; i < ROLE_COUNT; i++)
		ck_assert_str_ne(role_name((enum role)i), "");
	for (int i = 0; i < BEAT_VERDICT_COUNT; i++)
		ck_assert_str_ne(beat_verdict_name((enum beat_verdict)i), "");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("beat");
	TCase *tc = tcase_create("beat");

	tcase_add_test(tc, what_was_encoded_is_decoded);
	tcase_add_test(tc, the_layout_is_the_documented_one);
	tcase_add_test(tc, no_flipped_bit_is_ever_good);
	tcase_add_test(tc, no_other_length_is_ever_good);
	tcase_add_test(tc, another_version_is_told_apart_whatever_its_length_and_key);
	tcase_add_test(tc, another_pair_is_foreign_even_with_the_same_key);
	tcase_add_test(tc, without_a_fitting_key_it_is_forged);
	tcase_add_test(tc, keys_rotate_without_a_gap);
	tcase_add_test(tc, only_the_peer_is_listened_to);
	tcase_add_test(tc, values_out_of_range_are_malformed_even_when_signed);
	tcase_add_test(tc, unknown_flags_and_reserved_bytes_are_left_to_later_releases);
	tcase_add_test(tc, noise_is_never_good);
	tcase_add_test(tc, every_role_and_verdict_has_a_name);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
