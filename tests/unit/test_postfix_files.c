/*
 * tests/unit/test_postfix_files.c - Postfix's queue ids, queue files and logs: files of real queues (the fuzzers' corpora),
 * and what may have become of them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "mta/postfix_id.h"
#include "mta/postfix_log.h"
#include "mta/postfix_record.h"
#include "tests/unit/harness.h"

#define CORPUS "tests/fuzz/corpus/postfix"

/* ---------------------------------------------------------------- ids */

START_TEST(ids_of_real_queues_are_numbers_and_back)
{
	static const struct { const char *name; struct postfix_id id; } table[] = {
		{ "4918D2B", { false, 0, 0x4918D, 0x2B } },
		{ "D17AA3B4", { false, 0, 0xD17AA, 0x3B4 } },
		{ "000001", { false, 0, 0, 1 } },
		{ "FFFFFFFFFFFFFFFFFFFFF", { false, 0, 0xFFFFF, UINT64_MAX } },
		{ "4jX4j75Jm4z4n", { true, 1795295691, 748388, 245 } },
		{ "4jX4l72SYYzm", { true, 1795295795, 347649, 40 } },
		{ "0000000000z1", { true, 0, 0, 1 } },
	};
	char again[POSTFIX_ID_SIZE];

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct postfix_id id;

		ck_assert_msg(postfix_id_parse(table[i].name, &id), "%s", table[i].name);
		ck_assert_int_eq(id.is_long, table[i].id.is_long);
		ck_assert_msg(id.seconds == table[i].id.seconds && id.usec == table[i].id.usec && id.inode == table[i].id.inode,
		    "%s: %" PRIu64 " %" PRIu32 " %" PRIu64, table[i].name, id.seconds, id.usec, id.inode);
		ck_assert_str_eq(postfix_id_print(&id, again), table[i].name);
	}
}
END_TEST

START_TEST(all_numbers_survive_being_printed)
{
	static const uint64_t inodes[] = { 1, 50, 51, 52, 2600, 2601, 4294967296, UINT64_MAX };
	static const uint64_t seconds[] = { 0, 1, 1795295795, UINT64_C(19770609663), UINT64_C(19770609664), (UINT64_C(1) << 38) - 1 };
	char name[POSTFIX_ID_SIZE];

	for (size_t i = 0; i < sizeof inodes / sizeof inodes[0]; i++) {
		for (size_t s = 0; s < sizeof seconds / sizeof seconds[0]; s++) {
			struct postfix_id id = { true, seconds[s], 999999, inodes[i] }, got;

			ck_assert_msg(postfix_id_parse(postfix_id_print(&id, name), &got), "%s", name);
			ck_assert(got.is_long && got.seconds == id.seconds && got.usec == id.usec && got.inode == id.inode);
			id = (struct postfix_id){ false, 0, 999999, inodes[i] };
			ck_assert_msg(postfix_id_parse(postfix_id_print(&id, name), &got), "%s", name);
			ck_assert(!got.is_long && got.usec == id.usec && got.inode == id.inode);
		}
	}
}
END_TEST

START_TEST(what_postfix_would_not_write_is_no_id)
{
	static const char *const names[] = { "", "4918D", "4918d2b", "4918D02B", "4918D0", "0A1B2C3G", "4918D2B#FIX", "123456.789",
		"10000000000000000000000", "FFFFF10000000000000000", "4jX4l72SYYz", "4jX4l72SYYz0m", "04jX4l72SYYzm", "4jX4l7SYYzm",
		"4jX4l72SAYzm", "example_com", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", "4918D-2B" };

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct postfix_id id;

		ck_assert_msg(!postfix_id_parse(names[i], &id), "%s", names[i]);
	}
	ck_assert(postfix_name_legal("example_com") && postfix_name_legal("4918d2b"));
	ck_assert(!postfix_name_legal("") && !postfix_name_legal("a.b") && !postfix_name_legal("a/b") && !postfix_name_legal("\xc3\xa4"));
}
END_TEST

START_TEST(names_have_the_directory_that_postfix_looks_in)
{
	static const struct { const char *name; uint32_t depth; const char *sub; } table[] = {
		{ "D17AA3B4", 0, "" }, { "D17AA3B4", 1, "D" }, { "D17AA3B4", 2, "D/1" }, { "D17AA3B4", 4, "D/1/7/A" },
		{ "4jX4j75Jm4z4n", 1, "B" }, { "4jX4j75Jm4z4n", 3, "B/6/B" },	/* 748388 microseconds are B6B64 */
		{ "4jX4l72SAYzm", 2, "0/0" },		/* no number: as if it were 0 */
		{ "ab", 4, "a/b/_/_" },
	};
	char sub[POSTFIX_SUB_SIZE];

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		ck_assert_str_eq(postfix_name_hash(table[i].name, table[i].depth, sub), table[i].sub);
	ck_assert_str_eq(postfix_name_hash("D17AA3B4", 99, sub), "D/1/7/A");
}
END_TEST

START_TEST(the_inode_of_a_name_is_read_as_postfix_reads_it)
{
	uint64_t inode;
	bool is_long;

	ck_assert(postfix_name_inode("4918D2B", &is_long, &inode) && !is_long && inode == 0x2B);
	ck_assert(postfix_name_inode("4918d02b", &is_long, &inode) && !is_long && inode == 0x2B);
	ck_assert(postfix_name_inode("4jX4l72SYYzm", &is_long, &inode) && is_long && inode == 40);
	ck_assert(!postfix_name_inode("4918D", &is_long, &inode) && !postfix_name_inode("4918Dxyz", &is_long, &inode));
}
END_TEST

/* ---------------------------------------------------------------- files of real queues */

static char file[65536];
static size_t file_len;

static void
load(const char *folder, const char *name)
{
	char path[128];
	FILE *stream;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	stream = fopen(path, "re");
	ck_assert_msg(stream != NULL, "%s: %s", path, strerror(errno));
	file_len = fread(file, 1, sizeof file, stream);
	fclose(stream);
}

static struct postfix_mail mail;

static enum postfix_fault
parse(enum postfix_kind kind, const void *bytes, size_t len, struct queue_message *message)
{
	struct queue_memory memory = { bytes, len };
	struct queue_source source = queue_source_memory(&memory);

	postfix_mail_read(&source, kind, true, &mail, message);
	return mail.fault;
}

START_TEST(files_of_real_queues_are_whole)
{
	static const struct { const char *name; enum postfix_kind kind; uint64_t pending, done, size; const char *sender, *first; }
	    table[] = {
		{ "two-of-three-done", POSTFIX_QUEUED, 1, 2, 481, "s498@sender.invalid", "x498@bounce.invalid" },
		{ "not-yet-tried", POSTFIX_QUEUED, 1, 0, 657, "s145@sender.invalid", "u145@defer.invalid" },
		{ "held-long-id", POSTFIX_QUEUED, 1, 0, 529, "s2@sender.invalid", "held@defer.invalid" },
		{ "dropped", POSTFIX_DROPPED, 1, 0, 156, "s@sender.invalid", "d1@defer.invalid" },
		{ "headers-added", POSTFIX_QUEUED, 1, 0, 0, "s@sender.invalid", "one@defer.invalid" },
		{ "recipients-added", POSTFIX_QUEUED, 4, 0, 0, "s@sender.invalid", "one@defer.invalid" },
		{ "body-replaced", POSTFIX_QUEUED, 1, 0, 0, "s@sender.invalid", "one@defer.invalid" },
		{ "all-edited", POSTFIX_QUEUED, 5, 0, 0, "a.much.longer.sender.than.before@sender.invalid", "one@defer.invalid" },
		{ "sender-changed", POSTFIX_QUEUED, 1, 0, 0, "a.much.longer.sender.than.before@sender.invalid", "one@defer.invalid" },
		{ "null-sender", POSTFIX_QUEUED, 1, 0, 0, "", "one@defer.invalid" },
		{ "dsn", POSTFIX_QUEUED, 1, 0, 0, "s@sender.invalid", "one@defer.invalid" },
		{ "long-line", POSTFIX_QUEUED, 1, 0, 0, "s@sender.invalid", "one@defer.invalid" },
		{ "many-recipients", POSTFIX_QUEUED, 40, 0, 0, "s@sender.invalid", "r0@defer.invalid" },
		{ "to-a-filter", POSTFIX_QUEUED, 1, 0, 0, "s@sender.invalid", "one@defer.invalid" },
		{ "redirected", POSTFIX_QUEUED, 1, 0, 0, "s@sender.invalid", "one@defer.invalid" },
		{ "put-back", POSTFIX_DROPPED, 1, 0, 1029, "s@sender.invalid", "one@defer.invalid" },
	};

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct queue_message message = { 0 };
		struct queue_memory memory = { file, 0 };
		struct queue_source source;
		uint64_t hash;

		load(CORPUS, table[i].name);
		ck_assert_msg(parse(table[i].kind, file, file_len, &message) == POSTFIX_WHOLE, "%s: %s", table[i].name, mail.what);
		ck_assert_msg(mail.pending == table[i].pending && mail.done == table[i].done, "%s: %" PRIu64 " and %" PRIu64,
		    table[i].name, mail.pending, mail.done);
		ck_assert_str_eq(message.sender, table[i].sender);
		ck_assert_uint_eq(message.recipients, mail.pending + mail.done);
		ck_assert_str_eq(message.recipient[0].address, table[i].first);
		ck_assert_msg(table[i].size == 0 || message.size == table[i].size, "%s: %" PRIu64, table[i].name, message.size);
		ck_assert_int_gt(message.arrived, 1795295600);
		queue_message_free(&message);
		/* the same envelope is found when the content is skipped */
		hash = mail.recipients_hash;
		memory.len = file_len;
		source = queue_source_memory(&memory);
		postfix_mail_read(&source, table[i].kind, false, &mail, NULL);
		ck_assert_int_eq(mail.fault, POSTFIX_WHOLE);
		ck_assert_uint_eq(mail.recipients_hash, hash);
	}
}
END_TEST

START_TEST(done_recipients_are_told_with_their_places)
{
	struct queue_message message = { 0 };
	uint64_t hash;

	load(CORPUS, "two-of-three-done");
	parse(POSTFIX_QUEUED, file, file_len, &message);
	ck_assert_int_eq(message.recipient[0].done, true);
	ck_assert_int_eq(message.recipient[2].done + message.recipient[1].done, 1);
	ck_assert_str_eq(mail.log_ident, "D17AA3B4");
	queue_message_free(&message);
	hash = mail.recipients_hash;
	for (size_t i = 0; i < 2; i++) {
		ck_assert_int_eq(file[mail.done_at[i]], 'D');
		file[mail.done_at[i]] = 'R';
	}
	ck_assert_int_eq(parse(POSTFIX_QUEUED, file, file_len, NULL), POSTFIX_WHOLE);
	ck_assert_uint_eq(mail.pending, 3);
	ck_assert_uint_eq(mail.recipients_hash, hash);	/* marks do not make another message of it */
}
END_TEST

/* ---------------------------------------------------------------- what may have become of them */

START_TEST(a_cut_file_is_never_whole)
{
	size_t end_only = 0;

	load(CORPUS, "two-of-three-done");
	for (size_t len = 0; len < file_len; len++) {
		enum postfix_fault fault = parse(POSTFIX_QUEUED, file, len, NULL);

		ck_assert_msg(fault == (len == 0 ? POSTFIX_EMPTY : POSTFIX_TRUNCATED), "%zu: %d %s", len, fault, mail.what);
		if (mail.end_missing_only)
			end_only++;
		/* with its E, or X and E, missing: at the end of a record, behind the content */
		ck_assert_msg(!mail.end_missing_only || len == file_len - 2 || len == file_len - 4, "%zu", len);
	}
	ck_assert_uint_eq(end_only, 2);
	load(CORPUS, "dropped");
	for (size_t len = 1; len < file_len; len++)
		ck_assert_int_eq(parse(POSTFIX_DROPPED, file, len, NULL), POSTFIX_TRUNCATED);
}
END_TEST

/* As after a power cut that kept the size and not the blocks. */
START_TEST(a_file_that_ends_in_nuls_is_never_whole)
{
	static char cut[sizeof file];
	size_t nuls = 0;

	load(CORPUS, "not-yet-tried");
	for (size_t len = 0; len < file_len - 3; len++) {
		enum postfix_fault fault;

		memset(cut, 0, file_len);
		memcpy(cut, file, len);
		fault = parse(POSTFIX_QUEUED, cut, file_len, NULL);
		ck_assert_int_ne(fault, POSTFIX_WHOLE);
		nuls += fault == POSTFIX_NUL_TAIL;
	}
	ck_assert_uint_gt(nuls, file_len / 4);
	memset(cut, 0, sizeof cut);
	ck_assert_int_eq(parse(POSTFIX_QUEUED, cut, sizeof cut, NULL), POSTFIX_NUL_TAIL);
}
END_TEST

/* One more record at the end of what is built. */
static void __attribute__((format(printf, 2, 3)))
put(char type, const char *fmt, ...)
{
	char text[256];
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	ck_assert_int_lt(len, 128);
	file[file_len++] = type;
	file[file_len++] = (char)len;
	memcpy(file + file_len, text, (size_t)len);
	file_len += (size_t)len;
}

/* A queue file of which one record is left out, or has another text. */
static enum postfix_fault
built(char without, char instead, const char *text)
{
	static const struct { char type; const char *text; } records[] = { { 'C', "" }, { 'T', "1795295637 607871" },
		{ 'A', "log_ident=4918D2B" }, { 'S', "s@sender.invalid" }, { 'R', "r@defer.invalid" }, { 'M', "" }, { 'N', "Subject: x" },
		{ 'N', "" }, { 'N', "text" }, { 'X', "" }, { 'E', "" } };
	size_t begin = 0, end = 0;

	for (int pass = 0; pass < 2; pass++) {
		file_len = 0;
		for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
			char type = records[i].type;

			if (type == 'X')
				end = file_len;
			if (type == without)
				continue;
			if (type == instead)
				put(type, "%s", text);
			else if (type == 'C')
				put('C', "%15zu %15zu %15d %15d %15zu %15d", end - begin, begin, 1, 0, end - begin, 0);
			else
				put(type, "%s", records[i].text);
			if (type == 'M')
				begin = file_len;
		}
	}
	return parse(POSTFIX_QUEUED, file, file_len, NULL);
}

START_TEST(what_postfix_demands_is_demanded)
{
	static const struct { char without; const char *what; } table[] = { { 'C', "no C record" }, { 'T', "time of arrival" },
		{ 'S', "no sender" }, { 'R', "no recipient" }, { 'M', "begin at 0" }, { 'X', "0x45" } };
	static const struct { char type; const char *text, *what; } wrong[] = {
		{ 'C', "            600", "six numbers" }, { 'C', "99 99 1 0 99 0", "begins at byte" },
		{ 'C', "-5 97 1 0 0 0", "-5 bytes" }, { 'C', "0 0 0 0 0 0", "never ended" }, { 'C', "much", "six numbers" },
		{ 'A', "no value", "NAME=VALUE" }, { 'A', "=value", "NAME=VALUE" }, { 'T', "yesterday", "time of arrival" } };

	ck_assert_msg(built('\0', '\0', "") == POSTFIX_WHOLE, "%s", mail.what);
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		ck_assert_int_eq(built(table[i].without, '\0', ""), POSTFIX_BAD_RECORD);
		ck_assert_msg(strstr(mail.what, table[i].what) != NULL, "%c: %s", table[i].without, mail.what);
	}
	ck_assert_int_eq(built('E', '\0', ""), POSTFIX_TRUNCATED);
	ck_assert(mail.end_missing_only);
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		ck_assert_int_ne(built('\0', wrong[i].type, wrong[i].text), POSTFIX_WHOLE);
		ck_assert_msg(strstr(mail.what, wrong[i].what) != NULL, "%s: %s", wrong[i].text, mail.what);
	}
	/* in maildrop there are no sizes, and the time is the file's own */
	built('C', 'T', "");
	ck_assert_msg(parse(POSTFIX_DROPPED, file, file_len, NULL) == POSTFIX_WHOLE, "%s", mail.what);
}
END_TEST

START_TEST(sizes_that_lie_are_found)
{
	/* The content is where C says; it ends elsewhere. Both ways of reading notice. */
	struct queue_memory memory = { file, 0 };
	struct queue_source source;
	char *number;

	built('\0', '\0', "");
	number = memchr(file + 2, '2', 15);		/* "Subject: x", "", "text": 20 bytes */
	ck_assert_ptr_nonnull(number);
	*number = '3';
	ck_assert_int_eq(parse(POSTFIX_QUEUED, file, file_len, NULL), POSTFIX_BAD_RECORD);
	memory.len = file_len;
	source = queue_source_memory(&memory);
	postfix_mail_read(&source, POSTFIX_QUEUED, false, &mail, NULL);
	ck_assert_int_ne(mail.fault, POSTFIX_WHOLE);
}
END_TEST

START_TEST(pointers_come_to_an_end)
{
	/* to itself, to the beginning, behind the end, no number */
	static const struct { const char *text; enum postfix_fault fault; const char *what; } table[] = {
		{ "0", POSTFIX_TRUNCATED, "ends at byte" }, { "              2", POSTFIX_BAD_RECORD, "circle" },
		{ "           9999", POSTFIX_BAD_RECORD, "behind the end" }, { "             -2", POSTFIX_BAD_RECORD, "should be a number" },
		{ "one", POSTFIX_BAD_RECORD, "should be a number" } };

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		file_len = 0;
		put('T', "1 2");
		put('p', "%s", table[i].text);
		/* 2 is the middle of a record: what stands there must not be believed for ever */
		if (i == 1) {
			file_len = 0;
			put('A', "a=%s", "");
			put('p', "%15d", 4);
		}
		ck_assert_msg(parse(POSTFIX_DROPPED, file, file_len, NULL) == table[i].fault, "%zu: %s", i, mail.what);
		ck_assert_msg(strstr(mail.what, table[i].what) != NULL, "%zu: %s", i, mail.what);
	}
}
END_TEST

/* ---------------------------------------------------------------- sources that are no memory */

struct large { uint64_t lines; char line[1002]; char head[400]; size_t head_len, longest; };

/* A queue file of so many lines of 1000 bytes, made as it is read. */
static ssize_t
large_at(void *arg, void *buf, size_t len, uint64_t offset)
{
	struct large *l = arg;
	uint64_t content = l->lines * sizeof l->line, size = l->head_len + content + 4;
	char *to = buf;
	size_t n = 0;

	l->longest = len > l->longest ? len : l->longest;
	for (; n < len && offset + n < size; n++) {
		uint64_t at = offset + n;

		if (at < l->head_len)
			to[n] = l->head[at];
		else if (at < l->head_len + content)
			to[n] = l->line[(at - l->head_len) % sizeof l->line];
		else
			to[n] = "X\0E\0"[at - l->head_len - content];
	}
	return (ssize_t)n;
}

START_TEST(fifty_megabytes_are_read_in_small_pieces)
{
	struct large l = { .lines = 50000 };
	struct queue_source source = { .at = large_at, .arg = &l };

	memset(l.line, 'x', sizeof l.line);
	l.line[0] = 'N';
	l.line[1] = (char)(0x80 | (999 & 0x7f));
	l.line[2] = 999 >> 7;
	for (int pass = 0; pass < 2; pass++) {
		file_len = 0;
		put('C', "%15" PRIu64 " %15zu %15d %15d %15d %15d", l.lines * sizeof l.line, l.head_len, 1, 0, 0, 0);
		put('T', "1 2");
		put('S', "%s", "");
		put('R', "r@defer.invalid");
		put('M', "%s", "");
		l.head_len = file_len;
	}
	memcpy(l.head, file, file_len);
	source.size = l.head_len + l.lines * sizeof l.line + 4;
	postfix_mail_read(&source, POSTFIX_QUEUED, true, &mail, NULL);
	ck_assert_msg(mail.fault == POSTFIX_WHOLE, "%s", mail.what);
	ck_assert_uint_eq(mail.records, 5 + l.lines + 2);
	ck_assert_uint_le(l.longest, 16384);
}
END_TEST

static ssize_t
zeros_at(void *arg, void *buf, size_t len, uint64_t offset)
{
	(*(unsigned int *)arg)++;
	(void)offset;
	memset(buf, 0, len);
	return (ssize_t)len;
}

static ssize_t
broken_at(void *arg, void *buf, size_t len, uint64_t offset)
{
	(void)arg;
	(void)buf;
	(void)len;
	(void)offset;
	errno = EIO;
	return -1;
}

START_TEST(a_hole_of_a_terabyte_and_a_bad_disk_are_told_at_once)
{
	unsigned int calls = 0;
	struct queue_source source = { .at = zeros_at, .arg = &calls, .size = UINT64_C(1) << 40 };

	postfix_mail_read(&source, POSTFIX_QUEUED, true, &mail, NULL);
	ck_assert_int_eq(mail.fault, POSTFIX_NUL_TAIL);
	ck_assert_uint_le(calls, 10);
	source.at = broken_at;
	postfix_mail_read(&source, POSTFIX_QUEUED, true, &mail, NULL);
	ck_assert_int_eq(mail.fault, POSTFIX_UNREADABLE);
	ck_assert_ptr_nonnull(strstr(mail.what, "Input/output error"));
}
END_TEST

/* ---------------------------------------------------------------- logs */

static struct postfix_log
log_of(const void *bytes, size_t len)
{
	struct queue_memory memory = { bytes, len };
	struct queue_source source = queue_source_memory(&memory);
	struct postfix_log log;

	postfix_log_read(&source, &log);
	return log;
}

START_TEST(logs_of_real_queues_are_whole)
{
	static const struct { const char *name; uint64_t entries; } table[] = { { "bounce", 1 }, { "defer-three", 1 },
		{ "defer-many", 40 } };

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct postfix_log log;

		load(CORPUS "_log", table[i].name);
		log = log_of(file, file_len);
		ck_assert_msg(log.fault == POSTFIX_LOG_WHOLE, "%s: %s", table[i].name, log.what);
		ck_assert_uint_eq(log.entries, table[i].entries);
		ck_assert_uint_eq(log.whole_to, file_len);
	}
}
END_TEST

START_TEST(what_is_wrong_with_a_log_is_told_and_what_is_whole_before_it)
{
	static const struct { const char *text; size_t len; enum postfix_log_fault fault; uint64_t entries, whole_to; } table[] = {
		{ "", 0, POSTFIX_LOG_EMPTY, 0, 0 },
		{ "\n<a@b>: no\nrecipient=a@b\n\n", 26, POSTFIX_LOG_WHOLE, 1, 26 },
		{ "\n<a@b>: no\nrecipient=a@b\n", 25, POSTFIX_LOG_TRUNCATED, 0, 0 },
		{ "\n<a@b>: no\n\n\n<c@d>: n", 21, POSTFIX_LOG_TRUNCATED, 1, 12 },
		{ "\n<a@b>: no\n\n\0\0\0\0", 16, POSTFIX_LOG_NUL_TAIL, 1, 12 },
		{ "\n<a@b>: no\n\n\0\0x\n", 16, POSTFIX_LOG_BAD_LINE, 1, 12 },
		{ "\n<a@b> no\n\n", 11, POSTFIX_LOG_BAD_LINE, 0, 0 },
		{ "\nnothing\n\n", 10, POSTFIX_LOG_BAD_LINE, 0, 0 },
		{ "\n-a=b\n\n", 7, POSTFIX_LOG_BAD_LINE, 0, 0 },
	};

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct postfix_log log = log_of(table[i].text, table[i].len);

		ck_assert_msg(log.fault == table[i].fault && log.entries == table[i].entries && log.whole_to == table[i].whole_to,
		    "%zu: fault %d, %" PRIu64 " entries to %" PRIu64 ", %s", i, log.fault, log.entries, log.whole_to, log.what);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("postfix_files");
	TCase *tc = tcase_create("files");

	tcase_add_test(tc, ids_of_real_queues_are_numbers_and_back);
	tcase_add_test(tc, all_numbers_survive_being_printed);
	tcase_add_test(tc, what_postfix_would_not_write_is_no_id);
	tcase_add_test(tc, names_have_the_directory_that_postfix_looks_in);
	tcase_add_test(tc, the_inode_of_a_name_is_read_as_postfix_reads_it);
	tcase_add_test(tc, files_of_real_queues_are_whole);
	tcase_add_test(tc, done_recipients_are_told_with_their_places);
	tcase_add_test(tc, a_cut_file_is_never_whole);
	tcase_add_test(tc, a_file_that_ends_in_nuls_is_never_whole);
	tcase_add_test(tc, what_postfix_demands_is_demanded);
	tcase_add_test(tc, sizes_that_lie_are_found);
	tcase_add_test(tc, pointers_come_to_an_end);
	tcase_add_test(tc, fifty_megabytes_are_read_in_small_pieces);
	tcase_add_test(tc, a_hole_of_a_terabyte_and_a_bad_disk_are_told_at_once);
	tcase_add_test(tc, logs_of_real_queues_are_whole);
	tcase_add_test(tc, what_is_wrong_with_a_log_is_told_and_what_is_whole_before_it);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
