/*
 * tests/unit/test_config_cdb.c - the rows of a cdb, of what is none, and those that qmail's programs make of a source.
 */
#include "tests/unit/harness.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "configsync/cdb.h"
#include "configsync/qmail_rows.h"
#include "configsync/table_rows.h"
#include "tests/unit/cdb_made.h"

/* Rows as one text: "key>data|", NUL as ".". */
static void
show(void *arg, const void *key, size_t key_len, const void *data, size_t data_len)
{
	char *text = arg, one[256];
	size_t n = 0;

	memcpy(one, key, key_len);
	n = key_len;
	one[n++] = '>';
	memcpy(one + n, data, data_len);
	n += data_len;
	one[n++] = '|';
	for (size_t i = 0; i < n; i++)
		if (one[i] == '\0')
			one[i] = '.';
	one[n] = '\0';
	memcpy(text + strlen(text), one, n + 1);
}

static struct cdb_made
some(void)
{
	struct cdb_made c = { .len = 0 };

	cdb_add(&c, "127.", 4, "+RELAYCLIENT=", 14);
	cdb_add(&c, "", 0, "", 0);
	for (int i = 0; i < 20; i++) {
		char key[8];

		snprintf(key, sizeof key, "k%d", i % 15);	/* some of them twice */
		cdb_add(&c, key, strlen(key), "v", 1);
	}
	cdb_finish(&c);
	return c;
}

START_TEST(each_record_is_a_row_in_the_order_of_the_file)
{
	struct cdb_made c = some(), none = { .len = 0 };
	char text[1024] = "";
	struct err err;

	ck_assert_msg(cdb_each(c.at, c.len, show, text, &err), "%s", err.text);
	ck_assert_msg(strncmp(text, "127.>+RELAYCLIENT=.|>|k0>v|k1>v|", 32) == 0 && strcmp(text + strlen(text) - 10, "k3>v|k4>v|") == 0, "%s", text);
	text[0] = '\0';
	cdb_finish(&none);
	ck_assert(cdb_each(none.at, none.len, show, text, &err));
	ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(what_is_cut_short_anywhere_is_no_cdb)
{
	struct cdb_made c = some();

	for (size_t len = 0; len < c.len; len++) {
		uint8_t *cut = malloc(len + (len == 0));	/* of its very size, so that a byte too far is seen */
		char text[2048] = "";

		ck_assert_ptr_nonnull(cut);
		memcpy(cut, c.at, len);
		ck_assert_msg(!cdb_each(cut, len, show, text, NULL), "%zu bytes", len);
		free(cut);
	}
}
END_TEST

static void
refused(const struct cdb_made *c, const char *why)
{
	char text[2048] = "";
	struct err err = { .sys = 0 };

	ck_assert(!cdb_each(c->at, c->len, show, text, &err));
	ck_assert_msg(strstr(err.text, why) != NULL, "%s", err.text);
}

START_TEST(lengths_and_places_that_lead_out_are_refused)
{
	struct cdb_made c = some(), bad = c;
	size_t end = (size_t)c.at[0] | (size_t)c.at[1] << 8, taken = end, table = 0;
	char why[64];

	while (memcmp(c.at + taken + 4, "\0\0\0\0", 4) == 0)
		taken += 8;
	while (c.at[8 * table + 4] == 0)
		table++;
	for (size_t i = 0; i < 8; i++) {
		static const struct { size_t at, less; } record[8] = { { 0, 0 }, { 0, 7 }, { 4, 0 }, { 4, 11 } };	/* a key's length, its data's */

		bad = c;
		cdb_number(bad.at + 2048 + record[i % 4].at, i < 4 ? 0xffffffff - 4 * i : end - 2048 - record[i % 4].less);
		refused(&bad, "the record at 2048");
	}
	bad = c;
	cdb_number(bad.at + end - 11, 0);		/* the last one, "k4" and "v", is empty: three bytes are left */
	cdb_number(bad.at + end - 7, 0);
	snprintf(why, sizeof why, "the record at %zu", end - 3);
	refused(&bad, why);
	bad = c;
	cdb_number(bad.at + 8 * table, 2048);
	refused(&bad, "is at 2048 with");
	bad = c;
	cdb_number(bad.at + 8 * table, 0xffffff00);
	refused(&bad, "is at 4294967040");
	bad = c;
	cdb_number(bad.at + taken + 4, 4);
	refused(&bad, "leads to 4;");
	bad = c;
	cdb_number(bad.at, 0xffffffff);
	refused(&bad, "its records end at 4294967295");
	bad = c;
	cdb_number(bad.at, 2047);
	refused(&bad, "its records end at 2047");
	bad = c;
	cdb_number(bad.at + 8 * table + 4, 0x20000001);	/* times eight is eight */
	refused(&bad, "with 536870913 places");
	bad = c;
	cdb_number(bad.at + taken + 4, end);
	refused(&bad, "leads to");
	bad = c;
	cdb_number(bad.at + taken + 4, 0);		/* one that nobody would find */
	refused(&bad, "22 records, and 21 places");
}
END_TEST

/* ---------------------------------------------------------------- qmail's programs: as those of notqmail wrote them */

START_TEST(users_assign_is_what_qmail_newu_makes_of_it)
{
	static const char assign[] = "=Joe:joe:501:100:/home/joe:::\n+Joe-:joe:501:100:/home/joe:-::\n+:alias:7790:2108:/var/qmail/alias:-::more\n+x.:a:1:2:/h:-:E:\n"
	    "+y.:b:1:2:/h:-:E:\n.\n=after:it:1:1:/:::\n";
	char text[1024] = "";

	ck_assert(qmail_rows("qmail-newu", assign, strlen(assign), show, text));
	ck_assert_str_eq(text, "!joe.>joe.501.100./home/joe..|!joe->joe.501.100./home/joe.-.|!>alias.7790.2108./var/qmail/alias.-.|!x.>a.1.2./h.-.E|!y.>b.1.2./h.-.E|>-.|");
	text[0] = '\0';
	ck_assert(qmail_rows("qmail-newu", ".", 1, show, text));
	ck_assert_str_eq(text, ">|");
	ck_assert(!qmail_rows("qmail-newu", "=a:b:1:2:/:::\n", 14, show, text));	/* without a dot */
	ck_assert(!qmail_rows("qmail-newu", "=a:b:1:2:/::\n.\n", 15, show, text));	/* a field too few */
	ck_assert(!qmail_rows("qmail-newu", "\n.\n", 3, show, text));
	ck_assert(!qmail_rows("qmail-newu", ":b:1:2:/:::\n.\n", 14, show, text));
	ck_assert(!qmail_rows("qmail-other", ".\n", 2, show, text));
}
END_TEST

START_TEST(morercpthosts_is_what_qmail_newmrh_makes_of_it)
{
	static const char hosts[] = "Example.TEST \t\n# none\n\n.sub.example.test\n two \nlast";
	char text[1024] = "";

	ck_assert(qmail_rows("qmail-newmrh", hosts, strlen(hosts), show, text));
	ck_assert_str_eq(text, "example.test>|.sub.example.test>| two>|last>|");
}
END_TEST

/* ---------------------------------------------------------------- digests */

static void
digest_of(bool alias, const char *dump, const struct cdb_made *c, char ret_dump[DIGEST_HEX], char ret_cdb[DIGEST_HEX])
{
	char path[] = "/tmp/mailpair-cdb.XXXXXX", cut[DIGEST_HEX] = "as it was";
	int fd = mkstemp(path);

	ck_assert_int_eq(write(fd, dump, strlen(dump)), (ssize_t)strlen(dump));
	ck_assert(table_rows_digest(path, ret_dump));
	ck_assert_int_eq(ftruncate(fd, 0), 0);
	ck_assert_int_eq(pwrite(fd, c->at, c->len, 0), (ssize_t)c->len);
	ck_assert(table_rows_cdb(path, alias, ret_cdb));
	ck_assert_int_eq(ftruncate(fd, (off_t)c->len - 1), 0);
	ck_assert(!table_rows_cdb(path, alias, cut) && strcmp(cut, "as it was") == 0);
	close(fd);
	unlink(path);
	ck_assert(!table_rows_cdb(path, alias, cut));
}

START_TEST(a_cdb_says_what_the_dump_of_another_format_says)
{
	struct cdb_made c = { .len = 0 };
	char dump[DIGEST_HEX], cdb[DIGEST_HEX];

	cdb_add(&c, "b", 1, "2 x", 3);
	cdb_add(&c, "a", 1, "1", 1);
	cdb_finish(&c);
	digest_of(false, "a\t1\nb\t2 x\n", &c, dump, cdb);
	ck_assert_str_eq(dump, cdb);
	digest_of(true, "b:\t2 x\na:\t1\nYP_MASTER_NAME:\tmx1\n", &c, dump, cdb);
	ck_assert_str_eq(dump, cdb);
	digest_of(false, "a\t1\nb\t3\n", &c, dump, cdb);
	ck_assert_str_ne(dump, cdb);
}
END_TEST

/* Row by row: what is one here and two there, or ends elsewhere. */
START_TEST(rows_that_are_no_text_are_told_apart)
{
	static const struct { const char *key; size_t key_len; const char *data; size_t data_len; } row[] = { { "a", 1, "1\nb\t2", 5 }, { "a", 1, "1", 1 },
		{ "a", 1, "1\0", 2 }, { "a\t1", 3, "", 0 }, { "a", 1, "\t1", 2 }, { "a\0", 2, "1", 1 }, { "", 0, "", 0 }, { "6100", 4, "31", 2 }, { "a\tb", 3, "c", 1 }, { "a", 1, "b\tc", 3 } };
	char hex[10][DIGEST_HEX];

	for (size_t i = 0; i < 10; i++) {
		struct table_rows *t = table_rows_new(false);

		table_rows_add(t, row[i].key, row[i].key_len, row[i].data, row[i].data_len);
		table_rows_end(t, hex[i]);
		for (size_t k = 0; k < i; k++)
			ck_assert_msg(strcmp(hex[i], hex[k]) != 0, "%zu and %zu", i, k);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config_cdb");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, each_record_is_a_row_in_the_order_of_the_file);
	tcase_add_test(tc, what_is_cut_short_anywhere_is_no_cdb);
	tcase_add_test(tc, lengths_and_places_that_lead_out_are_refused);
	tcase_add_test(tc, users_assign_is_what_qmail_newu_makes_of_it);
	tcase_add_test(tc, morercpthosts_is_what_qmail_newmrh_makes_of_it);
	tcase_add_test(tc, a_cdb_says_what_the_dump_of_another_format_says);
	tcase_add_test(tc, rows_that_are_no_text_are_told_apart);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
