/*
 * tests/unit/test_digest.c - laws of common/digest.h. Vectors: FIPS 180-4 examples, RFC 4231.
 */
#include "common/digest.h"

#include <string.h>

#include "tests/unit/harness.h"

static const struct sha {
	const char *text, *hex;
} sha[] = {
	{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
	{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
	{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
	    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
};

START_TEST(sha256_gives_the_digests_of_the_standard)
{
	char hex[DIGEST_HEX];
	uint8_t d[DIGEST_LEN];

	digest_sha256(sha[_i].text, strlen(sha[_i].text), d);
	ck_assert_str_eq(digest_hex(d, DIGEST_LEN, hex), sha[_i].hex);
}
END_TEST

#define X20(c) c c c c c c c c c c c c c c c c c c c c
#define X50(c) X20(c) X20(c) c c c c c c c c c c
#define X131(c) X50(c) X50(c) X20(c) c c c c c c c c c c c

/* RFC 4231 4.2 to 4.8; case 5 compares only the first 16 bytes. */
static const struct mac {
	const char *key, *text, *hex;
} mac[] = {
	{ X20("\x0b"), "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
	{ "Jefe", "what do ya want for nothing?",
	    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
	{ X20("\xaa"), X50("\xdd"), "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe" },
	{ "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17"
	    "\x18\x19", X50("\xcd"), "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b" },
	{ X20("\x0c"), "Test With Truncation", "a3b6167473100ee06e0c796c2955552b" },
	{ X131("\xaa"), "Test Using Larger Than Block-Size Key - Hash Key First",
	    "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54" },
	{ X131("\xaa"), "This is a test using a larger than block-size key and a larger than block-size "
	    "data. The key needs to be hashed before being used by the HMAC algorithm.",
	    "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2" },
};

START_TEST(hmac_gives_the_codes_of_rfc_4231)
{
	char hex[DIGEST_HEX];
	uint8_t m[DIGEST_LEN];

	digest_hmac(mac[_i].key, strlen(mac[_i].key), mac[_i].text, strlen(mac[_i].text), m);
	ck_assert_int_eq(strncmp(digest_hex(m, DIGEST_LEN, hex), mac[_i].hex, strlen(mac[_i].hex)), 0);
}
END_TEST

START_TEST(an_empty_key_is_a_key_and_every_byte_of_key_and_text_matters)
{
	uint8_t a[DIGEST_LEN], b[DIGEST_LEN], key[100] = { 0 };

	digest_hmac(NULL, 0, "x", 1, a);
	digest_hmac("k", 1, "x", 1, b);
	ck_assert(!digest_equal(a, b, DIGEST_LEN));
	digest_hmac(key, 100, "x", 1, a);
	for (size_t i = 0; i < sizeof(key); i++) {
		key[i] = 1;
		digest_hmac(key, sizeof(key), "x", 1, b);
		ck_assert(!digest_equal(a, b, DIGEST_LEN));
		key[i] = 0;
	}
	digest_hmac(key, 100, "y", 1, b);
	ck_assert(!digest_equal(a, b, DIGEST_LEN));
}
END_TEST

START_TEST(equal_sees_a_difference_in_each_single_bit)
{
	uint8_t a[DIGEST_LEN] = { 0 }, b[DIGEST_LEN] = { 0 };

	ck_assert(digest_equal(a, b, DIGEST_LEN));
	ck_assert(digest_equal(a, b, 0));
	for (int bit = 0; bit < DIGEST_LEN * 8; bit++) {
		b[bit / 8] = (uint8_t)(1u << (bit % 8));
		ck_assert(!digest_equal(a, b, DIGEST_LEN));
		b[bit / 8] = 0;
	}
}
END_TEST

START_TEST(random_fills_the_whole_buffer_and_never_repeats)
{
	uint8_t a[4096] = { 0 }, b[4096] = { 0 };
	int zeros = 0;

	digest_random(a, sizeof(a));
	digest_random(b, sizeof(b));
	ck_assert(!digest_equal(a, b, sizeof(a)));
	for (size_t i = 0; i < sizeof(a); i++)
		zeros += a[i] == 0;
	ck_assert_int_lt(zeros, 100);		/* 16 are to be expected */
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("digest");
	TCase *t = tcase_create("digest");

	tcase_add_loop_test(t, sha256_gives_the_digests_of_the_standard, 0,
	    (int)(sizeof(sha) / sizeof(sha[0])));
	tcase_add_loop_test(t, hmac_gives_the_codes_of_rfc_4231, 0, (int)(sizeof(mac) / sizeof(mac[0])));
	tcase_add_test(t, an_empty_key_is_a_key_and_every_byte_of_key_and_text_matters);
	tcase_add_test(t, equal_sees_a_difference_in_each_single_bit);
	tcase_add_test(t, random_fills_the_whole_buffer_and_never_repeats);
	suite_add_tcase(s, t);
	return unit_main(s);
}
