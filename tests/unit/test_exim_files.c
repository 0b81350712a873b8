/*
 * tests/unit/test_exim_files.c - laws of the parsers of Exim's queue files. The samples have the form of real ones.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mta/exim_data.h"
#include "mta/exim_header.h"
#include "mta/exim_lines.h"
#include "tests/unit/harness.h"

#define HEAD "1xUsW9-0002fS-1c-H\nDebian-exim 990 990\n<a@example.org>\n1795296065 0\n"
#define OPTIONS "-received_time_usec .501929\n-received_time_complete 1795296065.505929\n-helo_name client\n" \
	"--host_address [192.0.2.1]:4711\n-body_linecount 3\n-max_received_linelength 60\n"
#define HEADERS "\n012  Subject: x\n\n010* Old: gone\n022F From: <a@example.org>\n"
/* Subject has 12 bytes with both line ends; Old is not sent. */
#define WHOLE HEAD OPTIONS "XX\n1\nb@example.net\n" HEADERS

/* What was told, one after another. */
struct heard { char sender[128], done[512], recipient[512]; };

static void
note(char *buf, size_t size, const char *address, size_t len)
{
	size_t have = strlen(buf);

	snprintf(buf + have, size - have, "%s%.*s", have > 0 ? "|" : "", (int)len, address);
}

static void
sender(void *arg, const char *address, size_t len)
{
	note(((struct heard *)arg)->sender, sizeof ((struct heard *)arg)->sender, address, len);
}

static void
done(void *arg, const char *address, size_t len)
{
	note(((struct heard *)arg)->done, sizeof ((struct heard *)arg)->done, address, len);
}

static void
recipient(void *arg, const char *address, size_t len)
{
	note(((struct heard *)arg)->recipient, sizeof ((struct heard *)arg)->recipient, address, len);
}

static struct exim_header header;
static struct exim_trouble trouble;
static struct heard heard;

static bool
reads(const char *bytes, size_t len)
{
	struct queue_memory memory = { bytes, len };
	struct queue_source source = queue_source_memory(&memory);
	struct exim_listener listener = { sender, done, recipient, &heard };

	memset(&heard, 0, sizeof heard);
	return exim_header_read(&source, &listener, &header, &trouble);
}

static bool
reads_text(const char *text)
{
	return reads(text, strlen(text));
}

START_TEST(a_whole_header_file_is_read)
{
	ck_assert_msg(reads_text(WHOLE), "%s", trouble.what);
	ck_assert_int_eq(exim_id_time(header.id), 1795296065);
	ck_assert_int_eq(header.received, 1795296065);
	ck_assert_int_eq(header.complete, 1795296065);
	ck_assert_int_eq(header.body_lines, 3);
	ck_assert_int_eq(header.frozen, 0);
	ck_assert_uint_eq(header.recipients, 1);
	ck_assert_uint_eq(header.done, 0);
	ck_assert_uint_eq(header.headers, 2);
	ck_assert_uint_eq(header.header_bytes, 34);
	ck_assert(!header.sender_null && !header.wireformat);
	ck_assert_str_eq(heard.sender, "a@example.org");
	ck_assert_str_eq(heard.recipient, "b@example.net");
}
END_TEST

/* No prefix of it is taken for the whole, except where nothing is missing but header lines as such. */
START_TEST(no_cut_file_is_whole)
{
	size_t all = strlen(WHOLE), at_headers = all - strlen(HEADERS);

	for (size_t len = 0; len < all; len++) {
		bool between = len == at_headers + 1 || len == at_headers + 18 || len == at_headers + 33;

		ck_assert_msg(reads(WHOLE, len) == between, "%zu bytes: %s", len, trouble.what);
		ck_assert_int_eq(trouble.fault, between ? EXIM_FAULT_NONE : len == 0 ? EXIM_FAULT_EMPTY : EXIM_FAULT_CUT);
	}
}
END_TEST

START_TEST(no_byte_may_become_nul)
{
	char text[sizeof WHOLE];

	for (size_t at = 0; at < strlen(WHOLE); at++) {
		memcpy(text, WHOLE, sizeof text);
		text[at] = '\0';
		ck_assert_msg(!reads(text, strlen(WHOLE)), "byte %zu", at);
	}
}
END_TEST

START_TEST(a_tail_of_nul_bytes_is_one)
{
	char text[sizeof WHOLE + 512] = WHOLE;

	ck_assert(!reads(text, sizeof text));
	ck_assert_int_eq(trouble.fault, EXIM_FAULT_NUL);
	memset(text + 60, 0, sizeof text - 60);
	ck_assert(!reads(text, sizeof text));
	ck_assert_int_eq(trouble.fault, EXIM_FAULT_NUL);
}
END_TEST

/* From the right: a login may hold blanks, a number may be negative. */
static const char *const logins[] = { "root 0 0", "Debian-exim 990 990", "a b c 1 2", "x -2 -2", "1 1 1" };
static const char *const no_logins[] = { "root", "root 0", " 0 0", "root 0 0 ", "root 0 x", "root0 0", "", "0 0" };

static bool
reads_login(const char *login)
{
	char text[1024];

	snprintf(text, sizeof text, "1xUsW9-0002fS-1c-H\n%s\n<>\n1795296065 0\nXX\n1\nb@example.net\n\n", login);
	return reads_text(text);
}

START_TEST(the_login_is_read_from_the_right)
{
	for (size_t i = 0; i < sizeof logins / sizeof logins[0]; i++)
		ck_assert_msg(reads_login(logins[i]), "%s", logins[i]);
	for (size_t i = 0; i < sizeof no_logins / sizeof no_logins[0]; i++)
		ck_assert_msg(!reads_login(no_logins[i]), "%s", no_logins[i]);
	ck_assert(header.sender_null == false);
}
END_TEST

START_TEST(a_variable_may_hold_anything_in_its_length)
{
	static const char *const forms[] = { "-aclm 0 14", "-aclc _name 14", "--aclm x 14", "--(mysql)aclm x 14", "-acl 12 14" };
	char text[1024];

	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		snprintf(text, sizeof text, HEAD "%s\nXX\n2\nno@no\n.x.\n-body_linecount 9\nXX\n1\nb@example.net\n" HEADERS, forms[i]);
		ck_assert_msg(reads_text(text), "%s: %s", forms[i], trouble.what);
		ck_assert_str_eq(heard.recipient, "b@example.net");
		ck_assert_int_eq(header.body_lines, 9);
	}
	ck_assert(!reads_text(HEAD "-aclm 0 14\nshort\nXX\n1\nb@example.net\n\n"));
	ck_assert(!reads_text(HEAD "-aclm 0 99999\nshort\nXX\n1\nb@example.net\n\n"));
	ck_assert_int_eq(trouble.fault, EXIM_FAULT_CUT);
	ck_assert(!reads_text(HEAD "-aclm 0 -1\n\nXX\n1\nb@example.net\n\n"));
	ck_assert(!reads_text(HEAD "-aclm 5\nshort\nXX\n1\nb@example.net\n\n"));
}
END_TEST

START_TEST(options_are_known_by_their_whole_name)
{
	ck_assert(reads_text(HEAD "-frozen 1795296100\n-spool_file_wireformat\n-some_day_new thing\n-N\n-\n--\nXX\n1\nb@c\n\n"));
	ck_assert_int_eq(header.frozen, 1795296100);
	ck_assert(header.wireformat);
	ck_assert_int_eq(header.body_lines, -1);
	ck_assert(reads_text(HEAD "-frozenx 5\n-body_linecounts 7\nXX\n1\nb@c\n\n"));
	ck_assert_int_eq(header.frozen, 0);
	ck_assert_int_eq(header.body_lines, -1);
	ck_assert(!reads_text(HEAD "-frozen\nXX\n1\nb@c\n\n"));
	ck_assert(!reads_text(HEAD "--(mysql aclm x 3\nabc\nXX\n1\nb@c\n\n"));
}
END_TEST

/* In pre-order: a node tells whether a left and a right one come. */
START_TEST(a_tree_has_all_its_nodes)
{
	ck_assert(reads_text(HEAD "NN a@b\n1\nb@c\n\n"));
	ck_assert_str_eq(heard.done, "a@b");
	ck_assert(reads_text(HEAD "YY m@b\nYN c@b\nNN a@b\nNY x@b\nNN z@b\n2\na@b\nz@b\n\n"));
	ck_assert_str_eq(heard.done, "m@b|c@b|a@b|x@b|z@b");
	ck_assert_uint_eq(header.done, 5);
	ck_assert_str_eq(heard.recipient, "a@b|z@b");
	ck_assert(!reads_text(HEAD "YY m@b\nNN a@b\n1\nb@c\n\n"));
	ck_assert(!reads_text(HEAD "NN m@b\nNN a@b\n1\nb@c\n\n"));
	ck_assert(!reads_text(HEAD "NN \n1\nb@c\n\n"));
	ck_assert(!reads_text(HEAD "XY a@b\n1\nb@c\n\n"));
	ck_assert(!reads_text(HEAD "XXY\n1\nb@c\n\n"));
}
END_TEST

START_TEST(a_degenerate_tree_of_any_depth_is_read)
{
	const int depth = 200000;
	size_t size = strlen(HEAD) + 7 * (size_t)depth + 32, len;
	char *text = malloc(size);

	len = (size_t)snprintf(text, size, "%s", HEAD);
	for (int i = 0; i < depth; i++)
		len += (size_t)snprintf(text + len, size - len, "YN a@b\n");
	len += (size_t)snprintf(text + len, size - len, "NN a@b\n1\nb@c\n\n");
	ck_assert_msg(reads(text, len), "%s", trouble.what);
	ck_assert_uint_eq(header.done, (unsigned int)depth + 1);
	free(text);
}
END_TEST

static const struct { const char *line, *address; } lines[] = {
	{ "b@example.net", "b@example.net" },
	{ "b@192.0.2.7", "b@192.0.2.7" },
	{ "b@[192.0.2.7]", "b@[192.0.2.7]" },
	{ "\"a b 12\"@example.net", "\"a b 12\"@example.net" },
	{ "b@example.net 5", "b@example.net" },
	{ "\"a b\"@example.net 0,-1,0", "\"a b\"@example.net 0,-1,0" },	/* Exim takes digits and commas only */
	{ "\"a b\"@example.net 0,11,0", "\"a b\"@example.net" },
	{ "b@example.net  0,-1#1", "b@example.net" },
	{ "b@example.net e@example.org 13,-1#1", "b@example.net" },
	{ "b@example.net  0,3  0,-1#3", "b@example.net" },
	{ "b@example.net rfc822;B@example.net 20,3  0,-1#3", "b@example.net" },
	{ "b@example.net rfc822;B@example.net 20,3 e e@example.org 15,2#3", "b@example.net" },
	{ "\"x 7\"@example.net o 1,1 e 1,0#3", "\"x 7\"@example.net" },
	{ "b@example.net orcpt 5,1#2", "b@example.net" },
};

START_TEST(a_recipient_is_read_from_the_right)
{
	size_t len = exim_recipient_length(lines[_i].line, strlen(lines[_i].line));

	ck_assert_msg(len == strlen(lines[_i].address) && memcmp(lines[_i].line, lines[_i].address, len) == 0, "%s: %zu",
	    lines[_i].line, len);
}
END_TEST

static const char *const no_recipients[] = { "", "5", " 5", "#3", "b#3", "b@c 0,0#3", "b@c  9,9 5,5#3", "b@c  0,-1#", "b@c 0,-1#0",
	" 0,-1#1", "  0,-1  0,-1#3", "b@c  99999999999999999999,1#1" };

START_TEST(what_is_no_recipient_is_refused)
{
	ck_assert_msg(exim_recipient_length(no_recipients[_i], strlen(no_recipients[_i])) == 0, "%s", no_recipients[_i]);
}
END_TEST

START_TEST(as_many_recipients_as_it_says_and_not_too_many)
{
	char *text = malloc(16385 * 4 + 1024), *at;

	ck_assert(!reads_text(HEAD "XX\n2\nb@c\n\n"));
	ck_assert(!reads_text(HEAD "XX\n1\nb@c\nb@d\n\n"));
	ck_assert(!reads_text(HEAD "XX\n-1\n\n"));
	ck_assert(!reads_text(HEAD "XX\n16385\n\n"));
	ck_assert(!reads_text(HEAD "XX\n99999999999999999999\n\n"));
	ck_assert(reads_text(HEAD "XX\n0\n\n"));
	at = text + snprintf(text, 1024, HEAD "XX\n16384\n");
	for (int i = 0; i < 16384; i++)
		at += snprintf(at, 8, "b@c\n");
	snprintf(at, 8, "\n");
	ck_assert_msg(reads_text(text), "%s", trouble.what);
	ck_assert_uint_eq(header.recipients, 16384);
	at = text + snprintf(text, 1024, HEAD "XX\n16385\n");
	for (int i = 0; i < 16385; i++)
		at += snprintf(at, 8, "b@c\n");
	snprintf(at, 8, "\n");
	ck_assert(!reads_text(text));
	free(text);
}
END_TEST

START_TEST(lines_are_as_long_as_exim_reads_them)
{
	char *text = malloc(200000);

	for (size_t len = EXIM_LINE_MAX - 2; len < EXIM_LINE_MAX + 2; len++) {
		size_t n = (size_t)snprintf(text, 1024, HEAD "XX\n1\n");

		memset(text + n, 'x', len);
		snprintf(text + n + len, 16, "\n\n");
		ck_assert_msg(reads_text(text) == (len < EXIM_LINE_MAX), "%zu", len);
	}
	free(text);
}
END_TEST

START_TEST(a_header_line_has_its_length)
{
	static const char *const no[] = { "\n012  Subject: x", "\n12", "\n012", "\n012X", "\nSubject: x\n\n", "\n013  Subject: x\n\n",
		"\n011  Subject: x\n\n", "\n0000000012  Subject: x\n\n", "\n012 Subject: x\n\n" };
	char text[512];

	for (size_t i = 0; i < sizeof no / sizeof no[0]; i++) {
		snprintf(text, sizeof text, HEAD "XX\n1\nb@c\n%s", no[i]);
		ck_assert_msg(!reads_text(text), "%s", no[i]);
	}
	ck_assert(reads_text(HEAD "XX\n1\nb@c\n\n000  "));
	ck_assert(reads_text(HEAD "XX\n1\nb@c\n\n1000T " "0123456789" "\n") == false);
}
END_TEST

static ssize_t
broken(void *arg, void *buf, size_t len, uint64_t offset)
{
	(void)arg;
	if (offset >= 100) {
		errno = EIO;
		return -1;
	}
	memcpy(buf, &WHOLE[offset], len > 10 ? 10 : len);
	return len > 10 ? 10 : (ssize_t)len;
}

START_TEST(an_error_of_the_disk_is_told_as_such)
{
	struct queue_source source = { .at = broken, .size = strlen(WHOLE) };

	ck_assert(!exim_header_read(&source, NULL, &header, &trouble));
	ck_assert_int_eq(trouble.fault, EXIM_FAULT_READ);
	ck_assert_str_eq(trouble.what, strerror(EIO));
}
END_TEST

/* ---------------------------------------------------------------- -D */

static struct exim_data data;

static bool
reads_data(const char *bytes, size_t len, bool whole)
{
	struct queue_memory memory = { bytes, len };
	struct queue_source source = queue_source_memory(&memory);

	return exim_data_read(&source, whole, &data, &trouble);
}

START_TEST(a_body_is_counted_in_lines)
{
	char *big = calloc(1, 100000);

	ck_assert(reads_data("1xUsW9-0002fS-1c-D\na\nb\nc\n", 25, true));
	ck_assert_uint_eq(data.lines, 3);
	ck_assert_uint_eq(data.size, 6);
	ck_assert(!data.nul_end);
	ck_assert(reads_data("1xUsW9-0002fS-1c-D\na\nb", 22, true));
	ck_assert_uint_eq(data.lines, 1);
	ck_assert(reads_data("1vaBcD-00000001Abz-0C4u-D\nab\n", 29, false));
	ck_assert_uint_eq(data.size, 3);
	ck_assert_uint_eq(data.lines, 0);
	memset(big, '\n', 99999);
	memcpy(big, "1xUsW9-0002fS-1c-D", 18);
	ck_assert(reads_data(big, 100000, true));
	ck_assert_uint_eq(data.lines, 99999 - 19);
	ck_assert(data.nul_end);
	free(big);
}
END_TEST

START_TEST(a_body_begins_with_its_name)
{
	static const char nul[64];

	ck_assert(!reads_data("", 0, true) && trouble.fault == EXIM_FAULT_EMPTY);
	ck_assert(!reads_data(nul, sizeof nul, true) && trouble.fault == EXIM_FAULT_NUL);
	ck_assert(!reads_data("1xUsW9-0002fS-1c-D", 18, true) && trouble.fault == EXIM_FAULT_CUT);
	ck_assert(!reads_data("1xUsW9-0002fS-1c-H\na\n", 21, true) && trouble.fault == EXIM_FAULT_FORM);
	ck_assert(!reads_data("Received: from somewhere by somewhere\n", 38, true) && trouble.fault == EXIM_FAULT_FORM);
	ck_assert(!reads_data("\n\n", 2, true) && trouble.fault == EXIM_FAULT_FORM);
}
END_TEST

/* ---------------------------------------------------------------- -J */

static struct exim_journal journal;

static bool
reads_journal(const char *bytes, size_t len)
{
	struct queue_memory memory = { bytes, len };
	struct queue_source source = queue_source_memory(&memory);

	memset(&heard, 0, sizeof heard);
	return exim_journal_read(&source, done, &heard, &journal, &trouble);
}

START_TEST(a_journal_is_a_list_of_addresses)
{
	ck_assert(reads_journal("", 0) && journal.addresses == 0 && !journal.open_end);
	ck_assert(reads_journal("a@b\nc@d\n", 8) && journal.addresses == 2 && !journal.open_end);
	ck_assert_str_eq(heard.done, "a@b|c@d");
	ck_assert(reads_journal("a@b\nc@d", 7) && journal.addresses == 2 && journal.open_end);
	ck_assert_str_eq(heard.done, "a@b|c@d");
	ck_assert(!reads_journal("a@b\n\0\0\0\0", 8) && trouble.fault == EXIM_FAULT_NUL);
	ck_assert_uint_eq(journal.addresses, 1);
	ck_assert(!reads_journal("a@b\n\0\0\nc@d\n", 11) && trouble.fault == EXIM_FAULT_NUL);
}
END_TEST

/* ---------------------------------------------------------------- db */

static unsigned char db[4096];

static const char *
hints(const void *bytes, size_t len, bool whole)
{
	struct queue_memory memory = { bytes, len };
	struct queue_source source = queue_source_memory(&memory);
	const char *kind;

	return exim_hints_read(&source, whole, &kind, &trouble) ? kind : NULL;
}

/* A hash of Berkeley DB 5.3 with pages of 1 KiB, of this machine's byte order. */
static void
make_db(void)
{
	const uint32_t magic = 0x061561, version = 9, page = 1024;

	memset(db, 0, sizeof db);
	memcpy(db + 12, &magic, 4);
	memcpy(db + 16, &version, 4);
	memcpy(db + 20, &page, 4);
	db[25] = 8;
	for (uint32_t n = 1; n < 4; n++)
		memcpy(db + n * 1024 + 8, &n, 4);
}

START_TEST(a_database_is_what_its_library_opens)
{
	make_db();
	ck_assert_str_eq(hints(db, sizeof db, true), "Berkeley DB");
	ck_assert_str_eq(hints(db, 1024, true), "Berkeley DB");	/* the library makes the rest */
	ck_assert_ptr_nonnull(hints(db, 0, true));			/* Exim makes it anew */
	memset(db + 2048, 0, 1024);
	ck_assert_ptr_nonnull(hints(db, sizeof db, true));
}
END_TEST

START_TEST(a_broken_database_is_told)
{
	static const unsigned char zero[3072];

	make_db();
	ck_assert_ptr_null(hints(db, 100, false));
	ck_assert_ptr_null(hints(db, 2500, false));
	ck_assert_ptr_null(hints(zero, sizeof zero, false));
	ck_assert_ptr_null(hints("garbage", 7, false));
	db[2048 + 8] = 77;
	ck_assert_ptr_nonnull(hints(db, sizeof db, false));
	ck_assert_ptr_null(hints(db, sizeof db, true));
	make_db();
	db[16] = 99;
	ck_assert_ptr_null(hints(db, sizeof db, false));
	make_db();
	db[25] = 13;
	ck_assert_ptr_null(hints(db, sizeof db, false));
}
END_TEST

START_TEST(databases_of_other_kinds_are_known)
{
	unsigned char other[4096] = "TDB file\n";
	const uint32_t gdbm[2] = { 0x13579ad0, 512 };

	ck_assert_str_eq(hints(other, sizeof other, true), "TDB");
	memcpy(other, "SQLite format 3", 16);
	other[16] = 4;
	ck_assert_str_eq(hints(other, 2048, true), "SQLite");
	ck_assert_ptr_null(hints(other, 2047, true));
	memcpy(other, gdbm, sizeof gdbm);
	ck_assert_str_eq(hints(other, 4096, true), "GDBM");
	ck_assert_ptr_null(hints(other, 511, true));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("exim_files");
	TCase *tc = tcase_create("files");

	tcase_add_test(tc, a_whole_header_file_is_read);
	tcase_add_test(tc, no_cut_file_is_whole);
	tcase_add_test(tc, no_byte_may_become_nul);
	tcase_add_test(tc, a_tail_of_nul_bytes_is_one);
	tcase_add_test(tc, the_login_is_read_from_the_right);
	tcase_add_test(tc, a_variable_may_hold_anything_in_its_length);
	tcase_add_test(tc, options_are_known_by_their_whole_name);
	tcase_add_test(tc, a_tree_has_all_its_nodes);
	tcase_add_test(tc, a_degenerate_tree_of_any_depth_is_read);
	tcase_add_loop_test(tc, a_recipient_is_read_from_the_right, 0, sizeof lines / sizeof lines[0]);
	tcase_add_loop_test(tc, what_is_no_recipient_is_refused, 0, sizeof no_recipients / sizeof no_recipients[0]);
	tcase_add_test(tc, as_many_recipients_as_it_says_and_not_too_many);
	tcase_add_test(tc, lines_are_as_long_as_exim_reads_them);
	tcase_add_test(tc, a_header_line_has_its_length);
	tcase_add_test(tc, an_error_of_the_disk_is_told_as_such);
	tcase_add_test(tc, a_body_is_counted_in_lines);
	tcase_add_test(tc, a_body_begins_with_its_name);
	tcase_add_test(tc, a_journal_is_a_list_of_addresses);
	tcase_add_test(tc, a_database_is_what_its_library_opens);
	tcase_add_test(tc, a_broken_database_is_told);
	tcase_add_test(tc, databases_of_other_kinds_are_known);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
