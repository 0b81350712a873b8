/*
 * tests/unit/test_qmail_record.c - laws of the parsers of qmail's queue files: what is whole, cut, a hole or
 * bad, over every place where a file may be cut or changed.
 */
#include "tests/unit/harness.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "mta/qmail_record.h"

/* A literal with NULs and its length without the one that C adds. */
#define BYTES(text) text, sizeof(text) - 1

typedef void read_f(const struct queue_source *, qmail_record_f *, void *, struct qmail_reading *);

static struct qmail_reading
reading(read_f *read, const char *bytes, size_t len)
{
	struct queue_memory memory = { bytes, len };
	struct queue_source source = queue_source_memory(&memory);
	struct qmail_reading r;

	memset(&r, 0x5a, sizeof r);
	read(&source, NULL, NULL, &r);
	/* a sentence exactly where something is wrong */
	ck_assert_int_eq(r.shape == QMAIL_WHOLE, r.what[0] == '\0');
	return r;
}

static void
mess(const struct queue_source *s, qmail_record_f *each, void *arg, struct qmail_reading *ret)
{
	(void)each;
	(void)arg;
	qmail_mess_read(s, ret);
}

static void
bounce(const struct queue_source *s, qmail_record_f *each, void *arg, struct qmail_reading *ret)
{
	(void)each;
	(void)arg;
	qmail_bounce_read(s, ret);
}

#define SHAPE(read, text) reading(read, BYTES(text)).shape

static const char good[] = "u1001\0p4711\0Fa@example.org\0Tb@example.net\0Tc@example.net";	/* with the last NUL */

/* ---------------------------------------------------------------- names */

START_TEST(a_number_is_what_qmail_would_print_and_nothing_else)
{
	static const char *const bad[] = { "", "0", "0123", "-1", "+1", " 1", "1 ", "1x", "0x10", "1.2",
		"18446744073709551616", "18446744073709551627", "99999999999999999999", "100000000000000000000000000002567", "٣" };
	static const uint64_t numbers[] = { 1, 9, 10, 2567, UINT32_MAX, (uint64_t)UINT32_MAX + 1, UINT64_MAX - 1, UINT64_MAX };
	uint64_t n = 42;
	char text[32];

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		ck_assert_msg(!qmail_number_parse(bad[i], strlen(bad[i]), &n), "\"%s\" was taken", bad[i]);
		ck_assert_uint_eq(n, 42);
	}
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		snprintf(text, sizeof text, "%" PRIu64, numbers[i]);
		ck_assert(qmail_number_parse(text, strlen(text), &n));
		ck_assert_uint_eq(n, numbers[i]);
		n = 42;
	}
	ck_assert(qmail_number_parse("25x", 2, &n) && n == 25);
}
END_TEST

START_TEST(a_name_in_pid_has_three_numbers)
{
	static const char *const bad[] = { "", "1", "1.2", "1.2.", "1.2.3.", "1.2.3.4", ".2.3", "1..3", "a.2.3", "1.2.c", "01.2.3" };

	ck_assert(qmail_pid_name("4711.1763775000.1"));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		ck_assert_msg(!qmail_pid_name(bad[i]), "\"%s\" was taken", bad[i]);
}
END_TEST

/* ---------------------------------------------------------------- envelopes */

START_TEST(an_envelope_cut_anywhere_is_whole_only_behind_a_recipient)
{
	for (size_t len = 0; len <= sizeof good; len++) {
		struct qmail_reading r = reading(qmail_envelope_read, good, len);
		size_t first = sizeof "u1001\0p4711\0Fa@example.org\0Tb@example.net";

		if (len == first || len == sizeof good)
			ck_assert_int_eq(r.shape, QMAIL_WHOLE);
		else
			ck_assert_msg(r.shape == (len == 0 ? QMAIL_EMPTY : QMAIL_CUT), "%zu bytes: shape %d, %s", len, r.shape, r.what);
		ck_assert_uint_le(r.offset, len);
	}
}
END_TEST

START_TEST(a_tail_of_nuls_is_a_hole_wherever_it_begins_behind_a_record)
{
	char bytes[sizeof good + 5000] = { 0 };

	memcpy(bytes, good, sizeof good);
	for (size_t more = 1; more <= 5000; more += 1 + more / 3) {
		struct qmail_reading r = reading(qmail_envelope_read, bytes, sizeof good + more);

		ck_assert_int_eq(r.shape, QMAIL_NULS);
		ck_assert_uint_eq(r.offset, sizeof good);
	}
	bytes[sizeof bytes - 1] = 'T';
	ck_assert_int_eq(reading(qmail_envelope_read, bytes, sizeof bytes).shape, QMAIL_BAD);
	memset(bytes, 0, sizeof bytes);
	ck_assert_int_eq(reading(qmail_envelope_read, bytes, sizeof bytes).shape, QMAIL_NULS);
}
END_TEST

START_TEST(records_of_an_envelope_have_their_order_and_their_kinds)
{
	ck_assert_int_eq(SHAPE(qmail_envelope_read, "p4711\0u1001\0Fa\0Tb\0"), QMAIL_BAD);
	ck_assert_int_eq(SHAPE(qmail_envelope_read, "u1\0p2\0Tb\0"), QMAIL_BAD);
	ck_assert_int_eq(SHAPE(qmail_envelope_read, "u1\0p2\0Fa\0Fa\0Tb\0"), QMAIL_BAD);
	ck_assert_int_eq(SHAPE(qmail_envelope_read, "u1\0p2\0Fa\0Db\0"), QMAIL_BAD);
	ck_assert_int_eq(SHAPE(qmail_envelope_read, "u1\0p2\0Fa\0Tb\0Xc\0"), QMAIL_BAD);
	ck_assert_int_eq(SHAPE(qmail_envelope_read, "u1x\0p2\0Fa\0Tb\0"), QMAIL_BAD);
	ck_assert_int_eq(SHAPE(qmail_envelope_read, "u1\0p-2\0Fa\0Tb\0"), QMAIL_BAD);
	ck_assert_int_eq(SHAPE(qmail_envelope_read, "junk"), QMAIL_BAD);		/* cut, and wrong all the same */
	ck_assert_int_eq(SHAPE(qmail_envelope_read, "u0\0p0\0F\0T\0"), QMAIL_WHOLE);	/* root; the null sender */
	ck_assert_int_eq(SHAPE(qmail_envelope_read, "u1\0p2\0F#@[]\0Tb\0"), QMAIL_WHOLE);
	ck_assert_int_eq(SHAPE(qmail_envelope_read, "u1\0p2\0Fa\xe4\n b@x\0T\"q \\\"\"@x\0"), QMAIL_WHOLE);
}
END_TEST

START_TEST(an_address_is_as_long_as_qmail_queue_allows)
{
	char bytes[2 * QMAIL_REWRITTEN_MAX], *at = bytes;

	memcpy(bytes, BYTES("u1\0p2\0Fa\0T"));
	at += sizeof "u1\0p2\0Fa\0T" - 1;
	memset(at, 'x', QMAIL_REWRITTEN_MAX + 2);
	for (size_t len = QMAIL_ADDRESS_MAX - 2; len < QMAIL_ADDRESS_MAX + 3; len++) {
		at[len] = '\0';
		ck_assert_int_eq(reading(qmail_envelope_read, bytes, (size_t)(at - bytes) + len + 1).shape,
		    len <= QMAIL_ADDRESS_MAX ? QMAIL_WHOLE : QMAIL_BAD);
		at[len] = 'x';
	}
	/* it never ends: not kept in memory, not waited for */
	ck_assert_int_eq(reading(qmail_envelope_read, bytes, (size_t)(at - bytes) + 1500).shape, QMAIL_BAD);
	/* in a channel file the domain may have been added */
	at[1500] = '\0';
	ck_assert_int_eq(reading(qmail_channel_read, at - 1, 1502).shape, QMAIL_WHOLE);
	at[1500] = 'x';
	at[QMAIL_REWRITTEN_MAX + 1] = '\0';
	ck_assert_int_eq(reading(qmail_channel_read, at - 1, QMAIL_REWRITTEN_MAX + 3).shape, QMAIL_BAD);
}
END_TEST

START_TEST(only_a_size_that_is_no_multiple_of_the_buffer_proves_that_no_recipient_is_missing)
{
	char bytes[600];
	size_t len = sizeof "u1\0p2\0Fa\0Tb@c";	/* with NUL */

	memcpy(bytes, "u1\0p2\0Fa\0Tb@c", len);
	ck_assert(!reading(qmail_envelope_read, bytes, len).may_lack);
	memset(bytes + len, 'x', sizeof bytes - len);
	bytes[len] = 'T';
	for (size_t size = len + 2; size < sizeof bytes; size++) {
		struct qmail_reading r;

		bytes[size - 1] = '\0';
		r = reading(qmail_envelope_read, bytes, size);
		ck_assert_int_eq(r.shape, QMAIL_WHOLE);
		ck_assert_uint_eq(r.recipients, 2);
		ck_assert_int_eq(r.may_lack, size == 256 || size == 512);
		bytes[size - 1] = 'x';
	}
}
END_TEST

/* ---------------------------------------------------------------- the others */

START_TEST(info_is_one_sender)
{
	ck_assert_int_eq(SHAPE(qmail_info_read, "Fa@b\0"), QMAIL_WHOLE);
	ck_assert_int_eq(SHAPE(qmail_info_read, "F\0"), QMAIL_WHOLE);
	ck_assert_int_eq(SHAPE(qmail_info_read, ""), QMAIL_EMPTY);
	ck_assert_int_eq(SHAPE(qmail_info_read, "Fa@b"), QMAIL_CUT);
	ck_assert_int_eq(SHAPE(qmail_info_read, "Fa@b\0Fa@b\0"), QMAIL_BAD);
	ck_assert_int_eq(SHAPE(qmail_info_read, "Fa@b\0\0\0"), QMAIL_NULS);
	ck_assert_int_eq(SHAPE(qmail_info_read, "Ta@b\0"), QMAIL_BAD);
}
END_TEST

START_TEST(a_channel_counts_what_is_done)
{
	struct qmail_reading r = reading(qmail_channel_read, BYTES("Ta\0Db\0Dp-c@d\0T\0Te\0"));

	ck_assert_int_eq(r.shape, QMAIL_WHOLE);
	ck_assert_uint_eq(r.recipients, 5);
	ck_assert_uint_eq(r.done, 2);
	ck_assert_int_eq(SHAPE(qmail_channel_read, "Ta\0Db"), QMAIL_CUT);	/* qmail takes it for the end */
	ck_assert_int_eq(SHAPE(qmail_channel_read, ""), QMAIL_EMPTY);
	ck_assert_int_eq(SHAPE(qmail_channel_read, "Fa\0Tb\0"), QMAIL_BAD);
	ck_assert_int_eq(SHAPE(qmail_channel_read, "Ta\0\0\0\0"), QMAIL_NULS);
	ck_assert_int_eq(SHAPE(qmail_channel_read, "Ta\0\0Tb\0"), QMAIL_BAD);
}
END_TEST

START_TEST(a_message_begins_with_the_line_of_qmail_queue)
{
	static const char line[] = "Received: (qmail 4711 invoked from network); 22 Nov 2026 01:02:03 -0000\n";

	ck_assert_int_eq(reading(mess, line, sizeof line - 1).shape, QMAIL_WHOLE);
	for (size_t len = 0; len < sizeof line - 1; len++) {
		ck_assert_int_eq(reading(mess, line, len).shape, len == 0 ? QMAIL_EMPTY : QMAIL_CUT);
		ck_assert_int_eq(SHAPE(mess, "something else that stays on the stack"), QMAIL_BAD);
	}
	ck_assert_int_eq(SHAPE(mess, "Received: from a by b; date\n\nx\n"), QMAIL_BAD);
	ck_assert_int_eq(SHAPE(mess, "\0\0\0\0\0\0\0\0"), QMAIL_NULS);
	ck_assert_int_eq(SHAPE(mess, "\0\0\0\0\0\0x\0"), QMAIL_BAD);
}
END_TEST

START_TEST(a_few_nuls_are_part_of_a_message_and_blocks_of_them_are_a_hole)
{
	static char bytes[8192];
	static const char line[] = "Received: (qmail 1 invoked by uid 0); x\n";

	for (size_t text = sizeof line; text < 2000; text += 97) {
		for (size_t nuls = 0; nuls < 3000; nuls += 1 + nuls / 2) {
			bool hole = nuls >= 512 || (nuls >= 16 && text % 512 == 0);

			memset(bytes, 'x', text);
			memcpy(bytes, line, sizeof line - 1);
			memset(bytes + text, 0, nuls);
			ck_assert_int_eq(reading(mess, bytes, text + nuls).shape, hole ? QMAIL_NULS : QMAIL_WHOLE);
		}
	}
	memset(bytes, 'x', 2000);
	memcpy(bytes, line, sizeof line - 1);
	memset(bytes + 1000, 0, 512);
	ck_assert_int_eq(reading(mess, bytes, 1000 + 511).shape, QMAIL_WHOLE);
	ck_assert_int_eq(reading(mess, bytes, 1000 + 512).shape, QMAIL_NULS);
	memset(bytes + 1000, 'x', 24);
	ck_assert_int_eq(reading(mess, bytes, 1024 + 15).shape, QMAIL_WHOLE);
	ck_assert_int_eq(reading(mess, bytes, 1024 + 16).shape, QMAIL_NULS);
}
END_TEST

START_TEST(a_bounce_is_text_that_ends_in_an_empty_line)
{
	ck_assert_int_eq(SHAPE(bounce, "<a@b>:\nno such user\n\n"), QMAIL_WHOLE);
	ck_assert_int_eq(SHAPE(bounce, ""), QMAIL_EMPTY);
	ck_assert_int_eq(SHAPE(bounce, "<a@b>:\nno such us"), QMAIL_CUT);
	ck_assert_int_eq(SHAPE(bounce, "\n"), QMAIL_CUT);
	ck_assert_int_eq(SHAPE(bounce, "<a@b>:\nno\n\n\0\0\0"), QMAIL_NULS);
}
END_TEST

/* ---------------------------------------------------------------- sources */

static ssize_t
fails(void *arg, void *buf, size_t len, uint64_t offset)
{
	(void)arg;
	if (offset == 0 && len > 4) {
		memcpy(buf, "u1\0p", 4);
		return 4;
	}
	errno = EIO;
	return -1;
}

START_TEST(a_disk_that_does_not_answer_is_neither_whole_nor_damaged)
{
	struct queue_source source = { .at = fails, .size = 100 };
	struct qmail_reading r;

	qmail_envelope_read(&source, NULL, NULL, &r);
	ck_assert_int_eq(r.shape, QMAIL_UNREADABLE);
	ck_assert_int_eq(r.sys, EIO);
	ck_assert_ptr_nonnull(strstr(r.what, strerror(EIO)));
}
END_TEST

/* A file of 2^60 times the same byte behind a beginning; counts what is read of it. */
struct endless { const char *begin; size_t len; char byte; uint64_t sum; };

static ssize_t
endless(void *arg, void *buf, size_t len, uint64_t offset)
{
	struct endless *file = arg;

	memset(buf, file->byte, len);
	if (offset == 0)
		memcpy(buf, file->begin, file->len < len ? file->len : len);
	file->sum += len;
	return (ssize_t)len;
}

START_TEST(an_endless_file_is_not_read_to_its_end)
{
	static read_f *const all[] = { qmail_envelope_read, qmail_info_read, qmail_channel_read, mess, bounce };
	struct endless file[] = { { BYTES(""), '\0', 0 }, { good, sizeof good, '\0', 0 }, { BYTES("u1\0p2\0Fa\0"), 'T', 0 },
		{ BYTES("Fa\0"), '\0', 0 }, { BYTES("Ta\0"), '\0', 0 }, { BYTES("Received: (qmail 1 "), 'x', 0 },
		{ BYTES("<a@b>:\n"), 'x', 0 } };
	struct qmail_reading r;

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		for (size_t k = 0; k < sizeof file / sizeof file[0]; k++) {
			struct queue_source source = { .at = endless, .arg = &file[k], .size = UINT64_C(1) << 60 };

			all[i](&source, NULL, NULL, &r);
			ck_assert(r.shape != QMAIL_WHOLE || (all[i] == bounce && file[k].byte == 'x') || file[k].byte == 'T');
		}
	}
	for (size_t k = 0; k < sizeof file / sizeof file[0]; k++)
		ck_assert_uint_le(file[k].sum, 10 << 20);
}
END_TEST

/* One byte at a time: a record may lie across any border. */
static ssize_t
drop_by_drop(void *arg, void *buf, size_t len, uint64_t offset)
{
	if (len == 0 || offset >= sizeof good)
		return 0;
	memcpy(buf, (const char *)arg + offset, 1);
	return 1;
}

static void
collect(void *arg, char type, const char *value, size_t len)
{
	char **at = arg;

	*(*at)++ = type;
	memcpy(*at, value, len);
	*at += len;
	*(*at)++ = '\0';
}

START_TEST(what_is_told_is_what_stands_there_however_it_is_read)
{
	struct queue_source source = { .at = drop_by_drop, .arg = (void *)(uintptr_t)good, .size = sizeof good };
	char told[sizeof good], *at = told;
	struct qmail_reading r;

	qmail_envelope_read(&source, collect, &at, &r);
	ck_assert_int_eq(r.shape, QMAIL_WHOLE);
	ck_assert_uint_eq((size_t)(at - told), sizeof good);
	ck_assert_mem_eq(told, good, sizeof good);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("qmail_record");
	TCase *tc = tcase_create("laws");

	tcase_add_test(tc, a_number_is_what_qmail_would_print_and_nothing_else);
	tcase_add_test(tc, a_name_in_pid_has_three_numbers);
	tcase_add_test(tc, an_envelope_cut_anywhere_is_whole_only_behind_a_recipient);
	tcase_add_test(tc, a_tail_of_nuls_is_a_hole_wherever_it_begins_behind_a_record);
	tcase_add_test(tc, records_of_an_envelope_have_their_order_and_their_kinds);
	tcase_add_test(tc, an_address_is_as_long_as_qmail_queue_allows);
	tcase_add_test(tc, only_a_size_that_is_no_multiple_of_the_buffer_proves_that_no_recipient_is_missing);
	tcase_add_test(tc, info_is_one_sender);
	tcase_add_test(tc, a_channel_counts_what_is_done);
	tcase_add_test(tc, a_message_begins_with_the_line_of_qmail_queue);
	tcase_add_test(tc, a_few_nuls_are_part_of_a_message_and_blocks_of_them_are_a_hole);
	tcase_add_test(tc, a_bounce_is_text_that_ends_in_an_empty_line);
	tcase_add_test(tc, a_disk_that_does_not_answer_is_neither_whole_nor_damaged);
	tcase_add_test(tc, an_endless_file_is_not_read_to_its_end);
	tcase_add_test(tc, what_is_told_is_what_stands_there_however_it_is_read);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
