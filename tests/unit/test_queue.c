/*
 * tests/unit/test_queue.c - the plain data of a queue: accounts, paths, bytes in memory, messages; findings and
 * the table of messages.
 */
#include "mta/queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "queuesync/by_inode.h"
#include "queuesync/finding.h"
#include "queuesync/table.h"
#include "tests/unit/harness.h"

/* ---------------------------------------------------------------- accounts */

START_TEST(accounts_are_read_by_name)
{
	struct queue_owners o;
	struct err err;
	uint32_t id;

	ck_assert(queue_owners_parse("# a node\n\nuser qmailq 7794\r\n  group\tqmail 2107 # the group\nuser qmails 4294967294",
	    "owners", &o, &err));
	ck_assert(queue_uid(&o, "qmailq", &id) && id == 7794);
	ck_assert(queue_uid(&o, "qmails", &id) && id == 4294967294u);
	ck_assert(queue_gid(&o, "qmail", &id) && id == 2107);
	ck_assert(!queue_uid(&o, "qmail", &id));
	ck_assert(!queue_gid(&o, "qmailq", &id));
	ck_assert(!queue_uid(&o, "root", &id));		/* not this host's */
	ck_assert(queue_uid(NULL, "root", &id) && id == 0);
	ck_assert(!queue_uid(NULL, "no-such-user-here", &id));
}
END_TEST

START_TEST(a_mistake_among_the_accounts_is_told_with_its_line)
{
	static const struct { const char *text, *told; } bad[] = {
		{ "user a 1\nusr b 2\n", "owners:2: \"usr\"" },
		{ "user\n", "owners:1: behind \"user\" a name" },
		{ "user a\n", "owners:1: behind \"a\" a number" },
		{ "user a b\n", "owners:1: behind \"a\" a number" },
		{ "user a 4294967295\n", "owners:1:" },
		{ "user a 99999999999\n", "owners:1:" },
		{ "user a -1\n", "owners:1:" },
		{ "user a 1 2\n", "owners:1: nothing may stand" },
		{ "user a 1\nuser a 2\n", "owners:2: \"a\" stands there already, with the number 1" },
		{ "user aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 1\n", "owners:1:" },
		{ "userusersuseruseruser a 1\n", "owners:1:" },
	};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct queue_owners o = { .users = 77 };
		struct err err;

		ck_assert_msg(!queue_owners_parse(bad[i].text, "owners", &o, &err), "%s", bad[i].text);
		ck_assert_msg(strstr(err.text, bad[i].told) != NULL, "%s: %s", bad[i].text, err.text);
		ck_assert_uint_eq(o.users, 77);
	}
}
END_TEST

START_TEST(accounts_are_bounded)
{
	char text[4096] = "";
	struct queue_owners o;
	struct err err;

	for (int i = 0; i < QUEUE_ACCOUNTS_MAX; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text), "user u%d %d\n", i, i);
	ck_assert(queue_owners_parse(text, "owners", &o, &err));
	strncat(text, "user more 1\n", sizeof text - strlen(text) - 1);
	ck_assert(!queue_owners_parse(text, "owners", &o, &err));
}
END_TEST

START_TEST(a_file_of_accounts_is_a_text)
{
	char path[] = "/tmp/mailpair-owners-XXXXXX";
	int fd = mkstemp(path);
	struct queue_owners o;
	struct err err;
	uint32_t id;

	ck_assert_int_eq(write(fd, "user a 1\n", 9), 9);
	ck_assert(queue_owners_read(path, &o, &err));
	ck_assert(queue_uid(&o, "a", &id) && id == 1);
	ck_assert_int_eq(write(fd, "\0user b 2\n", 10), 10);
	ck_assert(!queue_owners_read(path, &o, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "NUL"));
	close(fd);
	unlink(path);
	ck_assert(!queue_owners_read(path, &o, &err));
	ck_assert_ptr_nonnull(strstr(err.text, path));
}
END_TEST

/* ---------------------------------------------------------------- paths, bytes, messages */

START_TEST(a_path_is_place_sub_and_name)
{
	struct queue_layout l = { .mta = "x", .root = strdup("/q") };
	struct queue_file f = { .name = "n", .sub = "" };
	char buf[32], small[5];

	queue_place_add(&l, "", 0);
	queue_place_add(&l, "mess", 1);
	ck_assert_str_eq(queue_file_path(&l, &f, buf, sizeof buf), "n");
	f.place = 1;
	ck_assert_str_eq(queue_file_path(&l, &f, buf, sizeof buf), "mess/n");
	f.sub = "1/2";
	ck_assert_str_eq(queue_file_path(&l, &f, buf, sizeof buf), "mess/1/2/n");
	ck_assert_str_eq(queue_file_path(&l, &f, small, sizeof small), "mess");
	queue_layout_free(&l);
	ck_assert_uint_eq(l.places, 0);
}
END_TEST

START_TEST(memory_is_read_like_a_file)
{
	struct queue_memory m = { "0123456789", 10 };
	struct queue_source s = queue_source_memory(&m);
	char buf[20];

	ck_assert_uint_eq(s.size, 10);
	ck_assert_int_eq(s.at(s.arg, buf, 4, 0), 4);
	ck_assert_mem_eq(buf, "0123", 4);
	ck_assert_int_eq(s.at(s.arg, buf, 20, 7), 3);
	ck_assert_mem_eq(buf, "789", 3);
	ck_assert_int_eq(s.at(s.arg, buf, 20, 10), 0);
	ck_assert_int_eq(s.at(s.arg, buf, 20, UINT64_MAX), 0);
}
END_TEST

START_TEST(recipients_are_copied_without_nul)
{
	struct queue_message m = { .id = strdup("1") };

	for (int i = 0; i < 1000; i++)
		queue_message_add(&m, "a\0b", 3, i % 2 == 0);
	ck_assert_uint_eq(m.recipients, 1000);
	ck_assert_str_eq(m.recipient[999].address, "a?b");
	ck_assert(m.recipient[998].done && !m.recipient[999].done);
	queue_message_free(&m);
	ck_assert_ptr_null(m.recipient);
}
END_TEST

START_TEST(locks_end_with_their_descriptors)
{
	struct queue_lock lock = { .fd = { dup(1), dup(1) }, .held = 2 };
	int first = lock.fd[0];

	queue_unlock(&lock);
	ck_assert_uint_eq(lock.held, 0);
	ck_assert_int_eq(write(first, "", 0), -1);
}
END_TEST

/* ---------------------------------------------------------------- the table of messages */

/* Keys that differ in any one bit, in both halves, are different messages. */
START_TEST(rows_are_found_by_their_key_and_never_move)
{
	struct table *t = table_new(42);
	struct table_row *first;

	table_make(t, (struct queue_key){ 1, 1 });
	first = table_row(t, 0);
	for (uint64_t i = 0; i < 300000; i++) {
		struct queue_key key = { i % 3 << 60, i * 0x100000000u + i };
		uint32_t n = table_make(t, key);

		ck_assert_uint_eq(table_row(t, n)->parts, 0);
		table_row(t, n)->parts = 1 + (uint32_t)i;
	}
	ck_assert_uint_eq(table_len(t), 300001);
	ck_assert_ptr_eq(table_row(t, 0), first);
	for (uint64_t i = 0; i < 300000; i++) {
		struct queue_key key = { i % 3 << 60, i * 0x100000000u + i };

		ck_assert_uint_eq(table_row(t, table_find(t, key))->parts, 1 + i);
		key.hi ^= 1;
		ck_assert_uint_eq(table_find(t, key), TABLE_NONE);
	}
	ck_assert_uint_le(table_bytes(t), 300000 * 34);
	table_free(t);
}
END_TEST

START_TEST(the_order_of_inodes_is_that_whatever_the_order_before)
{
	static struct by_inode at[5000];

	for (unsigned int shape = 0; shape < 4; shape++) {
		uint64_t x = 88172645463325252u;

		for (size_t i = 0; i < 5000; i++) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			at[i] = (struct by_inode){ .ino = shape == 0 ? x : shape == 1 ? x % 50 : shape == 2 ? 7 : 5000 - i,
			    .place = (uint16_t)(x % 3), .ref = (uint32_t)i };
		}
		by_inode_sort(at, 5000);
		for (size_t i = 1; i < 5000; i++) {
			const struct by_inode *a = &at[i - 1], *b = &at[i];

			ck_assert(a->ino < b->ino || (a->ino == b->ino && (a->place < b->place ||
			    (a->place == b->place && a->ref < b->ref))));
		}
	}
	by_inode_sort(at, 0);
	by_inode_sort(at, 1);
}
END_TEST

/* ---------------------------------------------------------------- findings */

START_TEST(the_order_of_findings_does_not_depend_on_the_order_of_finding)
{
	struct findings a = { 0 }, b = { 0 };

	for (int i = 0; i < 200; i++) {
		char path[16];
		int k = i * 77 % 200;

		snprintf(path, sizeof path, "p%d", i);
		finding_add(&a, (unsigned int)i % 7, (enum finding_class)(i % CLASS_COUNT), PROBLEM_EMPTY, ACK_NO, path, NULL, "d");
		snprintf(path, sizeof path, "p%d", k);
		finding_add(&b, (unsigned int)k % 7, (enum finding_class)(k % CLASS_COUNT), PROBLEM_EMPTY, ACK_NO, path, NULL, "d");
	}
	findings_sort(&a);
	findings_sort(&b);
	for (size_t i = 0; i < a.len; i++)
		ck_assert_str_eq(a.at[i].path, b.at[i].path);
	findings_both(&a, &b);
	ck_assert_uint_eq(a.len, 200);
	findings_free(&b);
	findings_both(&a, &b);
	ck_assert_uint_eq(a.len, 0);
	findings_free(&a);
}
END_TEST

START_TEST(only_what_two_looks_agree_about_stays)
{
	struct findings a = { 0 }, b = { 0 };

	finding_add(&a, 2, CLASS_STRAY, PROBLEM_FOREIGN_FILE, ACK_NO, "x", NULL, "first");
	finding_add(&a, 2, CLASS_STRAY, PROBLEM_FOREIGN_FILE, ACK_NO, "y", NULL, "first");
	finding_add(&b, 2, CLASS_STRAY, PROBLEM_FOREIGN_FILE, ACK_NO, "y", NULL, "second");
	finding_add(&b, 3, CLASS_STRAY, PROBLEM_FOREIGN_FILE, ACK_NO, "x", NULL, "second");
	findings_sort(&a);
	findings_sort(&b);
	findings_both(&a, &b);
	ck_assert_uint_eq(a.len, 1);
	ck_assert_str_eq(a.at[0].path, "y");
	ck_assert_str_eq(a.at[0].detail, "first");
	findings_free(&a);
	findings_free(&b);
}
END_TEST

START_TEST(the_verdict_is_the_worst_of_all)
{
	struct findings f = { 0 };
	struct finding *last;

	ck_assert_int_eq(findings_verdict(&f), VERDICT_CONSISTENT);
	finding_add(&f, 1, CLASS_WAIT, PROBLEM_UNFINISHED, ACK_NO, "a", NULL, "d");
	finding_add(&f, 1, CLASS_REPORT, PROBLEM_BAD_TIME, ACK_NO, "b", NULL, "d");
	ck_assert_int_eq(findings_verdict(&f), VERDICT_CONSISTENT);
	for (enum finding_class class = 0; class < CLASS_COUNT; class++) {
		struct findings one = { 0 };

		finding_add(&one, 1, class, PROBLEM_EMPTY, ACK_NO, "a", NULL, "d");
		ck_assert_int_eq(findings_verdict(&one) == VERDICT_CONSISTENT, class == CLASS_WAIT || class == CLASS_REPORT);
		findings_free(&one);
	}
	last = finding_add(&f, 1, CLASS_REPORT, PROBLEM_BAD_TIME, ACK_NO, "c", "7", "d");
	last->damages = true;
	finding_sender(last, "a");
	finding_sender(last, "b");
	finding_recipient(last, "c");
	finding_remedy(last, REMEDY_MOVE, "a", "b", 5);
	ck_assert_int_eq(findings_verdict(&f), VERDICT_DAMAGED);
	findings_free(&f);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("queue");
	TCase *tc = tcase_create("plain data");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, accounts_are_read_by_name);
	tcase_add_test(tc, a_mistake_among_the_accounts_is_told_with_its_line);
	tcase_add_test(tc, accounts_are_bounded);
	tcase_add_test(tc, a_file_of_accounts_is_a_text);
	tcase_add_test(tc, a_path_is_place_sub_and_name);
	tcase_add_test(tc, memory_is_read_like_a_file);
	tcase_add_test(tc, recipients_are_copied_without_nul);
	tcase_add_test(tc, locks_end_with_their_descriptors);
	tcase_add_test(tc, rows_are_found_by_their_key_and_never_move);
	tcase_add_test(tc, the_order_of_inodes_is_that_whatever_the_order_before);
	tcase_add_test(tc, the_order_of_findings_does_not_depend_on_the_order_of_finding);
	tcase_add_test(tc, only_what_two_looks_agree_about_stays);
	tcase_add_test(tc, the_verdict_is_the_worst_of_all);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
