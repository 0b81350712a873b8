/*
 * tests/unit/test_authkeys.c - the key file: what is accepted, every mistake in its words, who may
 * own and read it, and that no secret ever stands in a message.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/conf.h"
#include "tests/unit/harness.h"

static const struct {
	const char	*text;
	bool		 allow_weak;
	int		 line;
	const char	*mistake;	/* NULL: accepted */
} cases[] = {
	{ "auth 1\n1 sha256 a-long-secret\n", false, 0, NULL },
	{ "# rotation\nauth 2\n1 sha256 a-long-secret\n\n2\tsha256   another#secret # new\r\n", false, 0, NULL },
	{ "auth 15\n15 sha256 a-long-secret", false, 0, NULL },
	{ "auth 1\n1 md5 HI!\n2 crc\n3 sha1 x\n", true, 0, NULL },
	{ "", false, 0, "no line says which key signs: write auth 1" },
	{ "1 sha256 a-long-secret\n", false, 0, "no line says which key signs: write auth 1" },
	{ "auth 2\n1 sha256 a-long-secret\n", false, 1, "auth 2: there is no key 2: write 2 sha256 SECRET" },
	{ "auth 1\nauth 1\n1 sha256 a-long-secret\n", false, 2, "\"auth\" stands here twice; the first is in line 1" },
	{ "auth\n", false, 1,
	    "\"auth\" is not followed by one number from 1 to 15: write auth 1, the key that signs" },
	{ "auth 16\n", false, 1,
	    "\"auth\" is not followed by one number from 1 to 15: write auth 1, the key that signs" },
	{ "auth 1 2\n", false, 1,
	    "\"auth\" is not followed by one number from 1 to 15: write auth 1, the key that signs" },
	{ "auth 1\n1\n", false, 2, "key 1: method and secret are missing: write 1 sha256 SECRET" },
	{ "auth 1\n1 sha256\n", false, 2, "key 1: the secret is missing: write 1 sha256 SECRET" },
	{ "auth 1\n1 sha256 a-long-secret more\n", false, 2,
	    "key 1: more than one word follows the method; a secret has no blanks" },
	{ "auth 1\n1 sha256 short\n", false, 2, "key 1: the secret has 5 characters, less than 8; take one from "
	    "\"mailpair keygen\", or write allow-weak-auth = yes in mailpair.conf" },
	{ "auth 1\n1 sha512 a-long-secret\n", false, 2,
	    "key 1: the method \"sha512\" is not known; write 1 sha256 SECRET" },
	{ "auth 1\n1 a-secret-without-method\n", false, 2,
	    "key 1: the method \"\" is not known; write 1 sha256 SECRET" },
	{ "auth 1\n1 md5 a-long-secret\n", false, 2, "key 1: the method md5 is too weak; write 1 sha256 SECRET with a "
	    "new secret from \"mailpair keygen\", or allow-weak-auth = yes in mailpair.conf" },
	{ "auth 1\n1 crc\n", false, 2, "key 1: the method crc is too weak; write 1 sha256 SECRET with a new secret "
	    "from \"mailpair keygen\", or allow-weak-auth = yes in mailpair.conf" },
	{ "auth 1\n1 crc a-long-secret\n", true, 2, "key 1: crc has no secret: write 1 crc" },
	{ "auth 1\n1 sha256 a-long-secret\n1 sha256 b-long-secret\n", false, 3,
	    "key 1 stands here twice; each number is one key" },
	{ "auth 1\n16 sha256 a-long-secret\n", false, 2,
	    "the line begins neither with \"auth\" nor with the number of a key, 1 to 15" },
	{ "auth 1\n01 sha256 a-long-secret\n", false, 2,
	    "the line begins neither with \"auth\" nor with the number of a key, 1 to 15" },
	{ "auth 1\nkey sha256 a-long-secret\n", false, 2,
	    "the line begins neither with \"auth\" nor with the number of a key, 1 to 15" },
};

START_TEST(every_mistake_is_said_in_these_words)
{
	struct conf_mistakes m = { 0 };
	struct authkeys keys;
	bool ok;

	ok = authkeys_parse(cases[_i].text, strlen(cases[_i].text), cases[_i].allow_weak, &keys, &m);
	if (cases[_i].mistake == NULL) {
		ck_assert_msg(ok, "%s: refused: %s", cases[_i].text, m.len > 0 ? m.item[0].text : "");
		ck_assert_uint_eq(m.len, 0);
	} else {
		ck_assert_msg(!ok, "%s: accepted", cases[_i].text);
		ck_assert_str_eq(m.item[0].text, cases[_i].mistake);
		ck_assert_int_eq(m.item[0].line, cases[_i].line);
		ck_assert_uint_eq(m.len, 1);
	}
	conf_mistakes_free(&m);
}
END_TEST

START_TEST(all_mistakes_come_in_one_go_and_none_holds_a_secret)
{
	static const char text[] = "auth 99\n1 hunter2hunter2hunter2\n2 md5 hunter2hunter2\n3 sha256 hunter2\n"
	    "4 sha256 hunter2hunter2 hunter2\nhunter2 hunter2\n";
	struct conf_mistakes m = { 0 };
	struct authkeys keys;

	ck_assert(!authkeys_parse(text, strlen(text), false, &keys, &m));
	ck_assert_uint_eq(m.len, 6);
	for (size_t i = 0; i < m.len; i++) {
		ck_assert_int_eq(m.item[i].line, (int)i + 1);
		ck_assert_ptr_null(strstr(m.item[i].text, "hunter2"));
	}
	conf_mistakes_free(&m);
}
END_TEST

START_TEST(the_key_named_by_auth_signs_and_all_are_kept)
{
	static const char text[] = "auth 7\n1 sha256 first-secret\n7 sha256 second-secret#1\n";
	struct conf_mistakes m = { 0 };
	struct authkeys keys;

	ck_assert(authkeys_parse(text, strlen(text), false, &keys, &m));
	ck_assert_uint_eq(keys.len, 2);
	ck_assert_uint_eq(keys.sending, 1);
	ck_assert_uint_eq(keys.key[1].id, 7);
	ck_assert_uint_eq(keys.key[1].len, strlen("second-secret#1"));
	ck_assert_mem_eq(keys.key[1].key, "second-secret#1", keys.key[1].len);
}
END_TEST

START_TEST(a_secret_longer_than_a_block_is_hashed_and_64_bytes_are_not)
{
	struct conf_mistakes m = { 0 };
	struct authkeys keys;
	uint8_t digest[DIGEST_LEN];
	char text[256], secret[66];

	memset(secret, 'k', sizeof(secret));
	secret[65] = '\0';
	snprintf(text, sizeof(text), "auth 1\n1 sha256 %s\n2 sha256 %.64s\n", secret, secret);
	ck_assert(authkeys_parse(text, strlen(text), false, &keys, &m));
	digest_sha256(secret, 65, digest);
	ck_assert_uint_eq(keys.key[0].len, DIGEST_LEN);
	ck_assert_mem_eq(keys.key[0].key, digest, DIGEST_LEN);
	ck_assert_uint_eq(keys.key[1].len, 64);
	ck_assert_mem_eq(keys.key[1].key, secret, 64);
}
END_TEST

START_TEST(what_is_refused_leaves_the_keys_untouched)
{
	static const char nul[] = "auth 1\n1 sha256 a-long\0secret\n";
	struct conf_mistakes m = { 0 };
	struct authkeys keys, before;

	memset(&keys, 0x5a, sizeof(keys));
	before = keys;
	ck_assert(!authkeys_parse("auth 1\n", 7, false, &keys, &m));
	ck_assert(!authkeys_parse(nul, sizeof(nul) - 1, false, &keys, &m));
	ck_assert_str_eq(m.item[1].text, "the line holds a NUL byte: the file is damaged");
	ck_assert_mem_eq(&keys, &before, sizeof(keys));
	conf_mistakes_free(&m);
}
END_TEST

static void
write_file(char *path, const char *text, size_t len, mode_t mode)
{
	int fd = mkstemp(path);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(write(fd, text, len), (ssize_t)len);
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
}

START_TEST(a_file_that_others_may_use_is_refused)
{
	static const struct { mode_t mode; const char *mistake; } modes[] = {
		{ 0600, NULL }, { 0400, NULL },
		{ 0640, "the key file has mode 0640: others than its owner may use it; chmod 0600 it, and make new "
		    "keys if somebody may have read them" },
		{ 0604, "the key file has mode 0604: others than its owner may use it; chmod 0600 it, and make new "
		    "keys if somebody may have read them" },
		{ 0620, "the key file has mode 0620: others than its owner may use it; chmod 0600 it, and make new "
		    "keys if somebody may have read them" },
	};
	static const char text[] = "auth 1\n1 sha256 a-long-secret\n";
	char path[] = "/tmp/test_authkeys.XXXXXX";
	struct conf_mistakes m = { 0 };
	struct authkeys keys;
	bool ok;

	write_file(path, text, strlen(text), modes[_i].mode);
	ok = authkeys_load(path, false, &keys, &m);
	unlink(path);
	ck_assert(ok == (modes[_i].mistake == NULL));
	if (!ok)
		ck_assert_str_eq(m.item[0].text, modes[_i].mistake);
	conf_mistakes_free(&m);
}
END_TEST

START_TEST(a_file_of_another_user_is_refused)
{
	char path[] = "/tmp/test_authkeys.XXXXXX";
	struct conf_mistakes m = { 0 };
	struct authkeys keys;

	if (geteuid() != 0) {
		printf("skipped: needs root to give a file away\n");
		return;
	}
	write_file(path, "auth 1\n1 sha256 a-long-secret\n", 29, 0600);
	ck_assert_int_eq(chown(path, 65534, 65534), 0);
	ck_assert(!authkeys_load(path, false, &keys, &m));
	unlink(path);
	ck_assert_str_eq(m.item[0].text, "the key file belongs to user 65534, who could change it; chown it to root");
	conf_mistakes_free(&m);
}
END_TEST

START_TEST(what_is_no_reasonable_file_is_refused)
{
	char path[] = "/tmp/test_authkeys.XXXXXX";
	struct conf_mistakes m = { 0 };
	struct authkeys keys;
	char *large = malloc(20000);

	memset(large, '\n', 20000);
	write_file(path, large, 20000, 0600);
	free(large);
	ck_assert(!authkeys_load(path, false, &keys, &m));
	unlink(path);
	ck_assert(!authkeys_load(path, false, &keys, &m));
	ck_assert(!authkeys_load("/dev/null", false, &keys, &m));
	ck_assert_uint_ge(m.len, 3);
	ck_assert_str_eq(m.item[0].text, "the key file is larger than 16 KiB");
	ck_assert_str_eq(m.item[1].text, "the key file cannot be read: No such file or directory");
	ck_assert_str_eq(m.item[2].text, "the key file is no regular file");
	conf_mistakes_free(&m);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("authkeys");
	TCase *tc = tcase_create("authkeys");

	tcase_add_loop_test(tc, every_mistake_is_said_in_these_words, 0, (int)(sizeof(cases) / sizeof(cases[0])));
	tcase_add_test(tc, all_mistakes_come_in_one_go_and_none_holds_a_secret);
	tcase_add_test(tc, the_key_named_by_auth_signs_and_all_are_kept);
	tcase_add_test(tc, a_secret_longer_than_a_block_is_hashed_and_64_bytes_are_not);
	tcase_add_test(tc, what_is_refused_leaves_the_keys_untouched);
	tcase_add_loop_test(tc, a_file_that_others_may_use_is_refused, 0, 5);
	tcase_add_test(tc, a_file_of_another_user_is_refused);
	tcase_add_test(tc, what_is_no_reasonable_file_is_refused);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
