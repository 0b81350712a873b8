/*
 * tests/unit/test_channel_wire.c - laws of common/channel_wire.h and common/channel_key.h: bytes to meaning and back.
 */
#include "common/channel_wire.h"

#include <stdlib.h>
#include <string.h>

#include "common/channel_key.h"
#include "common/spawn.h"
#include "tests/unit/harness.h"

static const struct channel_hello ours = { .version = CHANNEL_VERSION, .message_max = 70000, .pair = "mail", .service = "config",
	.node = "mx1", .peer = "mx2" };
static const struct channel_hello theirs = { .version = CHANNEL_VERSION, .message_max = 70000, .pair = "mail", .service = "config",
	.node = "mx2", .peer = "mx1" };

static struct channel_keys
derived(const char *secret, uint8_t number, const char *pair, const char *service)
{
	struct authkeys keys = { .len = 1, .key[0] = { .id = number, .len = strlen(secret) } };
	struct channel_keys ret;

	memcpy(keys.key[0].key, secret, strlen(secret));
	ck_assert(channel_key_derive(&keys, pair, service, &ret, NULL));
	return ret;
}

START_TEST(the_key_is_hkdf_as_openssl_kdf_computes_it)
{
	static const char *const argv[] = { "openssl", "kdf", "-keylen", "32", "-kdfopt", "digest:SHA256", "-kdfopt",
		"key:correct horse battery", "-kdfopt", "salt:mailpair channel 1", "-kdfopt",
		"hexinfo:70736b006d61696c00636f6e66696700" "07", "HKDF", NULL };
	struct channel_keys keys = derived("correct horse battery", 7, "mail", "config");
	char out[128] = "", errout[512] = "", want[128];
	const struct spawn_cmd cmd = { .argv = argv };
	struct err err = { 0 };

	ck_assert_msg(spawn_run(&cmd, 10000, out, sizeof(out), errout, sizeof(errout), &err) == 0, "%s %s", err.text, errout);
	for (size_t i = 0; i < DIGEST_LEN; i++)
		snprintf(want + 3 * i, sizeof(want) - 3 * i, "%02X%c", keys.key[0].psk[i], i == DIGEST_LEN - 1 ? '\0' : ':');
	out[strcspn(out, "\n")] = '\0';
	ck_assert_str_eq(out, want);
	ck_assert(keys.len == 1 && keys.sending == 0 && keys.key[0].number == 7);
}
END_TEST

START_TEST(each_secret_number_pair_and_service_has_a_key_of_its_own)
{
	const struct channel_keys all[] = { derived("secret-secret", 1, "mail", "config"), derived("secret-secre", 1, "mail", "config"),
		derived("secret-secret", 2, "mail", "config"), derived("secret-secret", 1, "mai", "lconfig"),
		derived("secret-secret", 1, "mail", "ledger"), derived("secret-secret", 1, "mail2", "config") };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		for (size_t j = 0; j < i; j++)
			ck_assert_mem_ne(all[i].key[0].psk, all[j].key[0].psk, DIGEST_LEN);
}
END_TEST

START_TEST(a_key_without_a_secret_is_left_out_and_never_sends)
{
	struct authkeys keys = { .len = 3, .sending = 2, .key = { { .id = 4 }, { .id = 5, .len = 7 }, { .id = 6, .len = 8 } } };
	struct channel_keys ret = { .len = 99 };
	struct err err;

	ck_assert(channel_key_derive(&keys, "mail", "config", &ret, &err));
	ck_assert(ret.len == 1 && ret.sending == 0 && ret.key[0].number == 6);
	ret.len = 99;
	for (keys.sending = 0; keys.sending < 2; keys.sending++)
		ck_assert(!channel_key_derive(&keys, "mail", "config", &ret, &err));
	ck_assert_str_eq(err.text, "key 5 of authkeys has a secret of 7 bytes: right for the service config are 8 at least, from \"mailpair keygen\"");
	ck_assert_uint_eq(ret.len, 99);
}
END_TEST

START_TEST(an_identity_names_a_service_and_a_number_and_nothing_else_does)
{
	static const char *const none[] = { "", "mailpair:config:", "mailpair:config:0", "mailpair:config:16", "mailpair:config:01",
		"mailpair:config:1 ", "mailpair:ledger:1", "mailpair:config", "MAILPAIR:config:1", "mailpair:config:-1", "mailpair:config:257" };
	char identity[CHANNEL_IDENTITY_MAX];

	for (uint8_t number = 1; number <= AUTHKEYS_MAX; number++) {
		size_t len = channel_identity_put("config", number, identity);

		ck_assert_uint_eq(channel_identity_get(identity, len, "config"), number);
		ck_assert_uint_eq(channel_identity_get(identity, len, "ledger"), 0);
	}
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		ck_assert_uint_eq(channel_identity_get(none[i], strlen(none[i]), "config"), 0);
	ck_assert_uint_eq(channel_identity_get("mailpair:config:1", 18, "config"), 0);	/* with the NUL */
}
END_TEST

START_TEST(a_frame_says_its_length_and_too_long_ones_are_refused)
{
	uint8_t head[CHANNEL_HEAD];
	struct err err;

	channel_frame_head(200, 0x01020304, head);
	ck_assert_mem_eq(head, "\x01\x02\x03\x04\xc8", CHANNEL_HEAD);
	for (size_t len = 0; len < CHANNEL_HEAD; len++)
		ck_assert_uint_eq(channel_frame_need(head, len, 10, &err), CHANNEL_HEAD);
	ck_assert_uint_eq(channel_frame_need(head, CHANNEL_HEAD, 0x01020304, &err), 0x01020304 + CHANNEL_HEAD);
	ck_assert_uint_eq(channel_frame_need(head, CHANNEL_HEAD, 0x01020303, &err), 0);
	ck_assert_str_eq(err.text, "a message of type 200 with 16909060 bytes, where at most 16909059 are right");
	channel_frame_head(200, UINT32_MAX, head);
	ck_assert_uint_eq(channel_frame_need(head, CHANNEL_HEAD, UINT32_MAX - 1, &err), 0);
	channel_frame_head(0, 3, head);
	ck_assert_uint_eq(channel_frame_need(head, CHANNEL_HEAD, 10, &err), 0);
	channel_frame_head(1, 0, head);
	ck_assert_uint_eq(channel_frame_need(head, CHANNEL_HEAD, 0, &err), CHANNEL_HEAD);
}
END_TEST

START_TEST(a_greeting_comes_back_as_it_was_and_is_refused_when_cut_anywhere)
{
	uint8_t body[CHANNEL_HELLO_MAX + 10] = { 0 };
	struct channel_hello longest = ours, back;
	size_t len;
	struct err err;

	memset(longest.pair, 'p', CONF_NAME_MAX - 1);
	memset(longest.peer, 'q', CONF_NAME_MAX - 1);
	len = channel_hello_put(&longest, body);
	ck_assert(channel_hello_get(body, len, &back, &err));
	ck_assert(back.version == longest.version && back.message_max == longest.message_max);
	ck_assert_str_eq(back.pair, longest.pair);
	ck_assert_str_eq(back.service, longest.service);
	ck_assert_str_eq(back.node, longest.node);
	ck_assert_str_eq(back.peer, longest.peer);
	/* a later release may say more */
	ck_assert(channel_hello_get(body, len + 7, &back, &err));
	memset(&back, 0x55, sizeof(back));
	for (size_t cut = 0; cut < len; cut++)
		ck_assert(!channel_hello_get(body, cut, &back, &err));
	ck_assert_uint_eq(back.version, 0x55);
}
END_TEST

START_TEST(names_with_odd_bytes_are_none)
{
	static const uint8_t odd[] = { 0, '\n', ' ', 0x7f, 0x80, 0xff };
	uint8_t body[CHANNEL_HELLO_MAX];
	struct channel_hello back;
	struct err err;

	for (size_t i = 0; i < sizeof(odd); i++) {
		size_t len = channel_hello_put(&ours, body);

		body[6] = odd[i];
		ck_assert(!channel_hello_get(body, len, &back, &err));
	}
}
END_TEST

START_TEST(only_the_peer_who_means_us_fits)
{
	struct channel_hello other;
	struct err err;

	ck_assert(channel_hello_fits(&ours, &theirs, &err));
	ck_assert(channel_hello_fits(&theirs, &ours, &err));
	ck_assert(!channel_hello_fits(&ours, &ours, &err));
	for (int i = 0; i < 5; i++) {
		char *const name[] = { other.pair, other.service, other.node, other.peer };

		other = theirs;
		if (i < 4)
			name[i][0] = 'x';
		else
			other.message_max++;
		ck_assert(!channel_hello_fits(&ours, &other, &err));
	}
}
END_TEST

START_TEST(foreign_bytes_become_printable_and_are_cut)
{
	char out[8];

	ck_assert_str_eq(channel_printable("a\n\x1b[\0z", 6, out, sizeof(out)), "a??[?z");
	ck_assert_str_eq(channel_printable("0123456789", 10, out, sizeof(out)), "0123456");
	ck_assert_str_eq(channel_printable(NULL, 0, out, sizeof(out)), "");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("channel: wire");
	TCase *tc = tcase_create("laws");

	tcase_add_test(tc, the_key_is_hkdf_as_openssl_kdf_computes_it);
	tcase_add_test(tc, each_secret_number_pair_and_service_has_a_key_of_its_own);
	tcase_add_test(tc, a_key_without_a_secret_is_left_out_and_never_sends);
	tcase_add_test(tc, an_identity_names_a_service_and_a_number_and_nothing_else_does);
	tcase_add_test(tc, a_frame_says_its_length_and_too_long_ones_are_refused);
	tcase_add_test(tc, a_greeting_comes_back_as_it_was_and_is_refused_when_cut_anywhere);
	tcase_add_test(tc, names_with_odd_bytes_are_none);
	tcase_add_test(tc, only_the_peer_who_means_us_fits);
	tcase_add_test(tc, foreign_bytes_become_printable_and_are_cut);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
