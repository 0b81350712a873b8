/*
 * tests/unit/test_read.c - the pass over contents, and messages put together from their parts: on the toy's tree,
 * whole, changing and hostile.
 */
#include "queuesync/read.h"

#include <pthread.h>

#include "common/clock.h"
#include "queuesync/list.h"
#include "queuesync/open.h"
#include "queuesync/ring.h"
#include "tests/unit/tree.h"

static struct read_seen got;

static void
read_with(struct read_options options)
{
	struct err err = { 0 };

	ck_assert_msg(read_asked(&toy_rules_any, &layout, check, &options, &got, &err), "%s", err.text);
	check_end(check, &findings, &messages, &files);
}

static void
scan(bool deep)
{
	struct err err = { 0 };

	ck_assert_msg(scan_with(4, false, deep, &err), "%s", err.text);
}

START_TEST(every_file_is_read_once_with_any_number_of_threads)
{
	tree(900);
	for (unsigned int threads = 0; threads <= 8; threads += threads + 1) {
		scan(true);
		read_with((struct read_options){ .threads = threads });
		ck_assert_uint_eq(got.files, 900);
		ck_assert_uint_eq(got.vanished, 0);
		ck_assert_uint_eq(findings.len, 0);
		finish();
	}
	scan(false);
	read_with((struct read_options){ .threads = 4 });
	ck_assert_uint_eq(got.files, 0);
	finish();
	untree();
}
END_TEST

START_TEST(what_is_bad_inside_is_found_under_its_path)
{
	tree(30);
	write_file(in("new/77"), "bad bytes");
	write_file(in("cur/0/31"), "bad");		/* misplaced: read where it is */
	scan(true);
	read_with((struct read_options){ .threads = 4 });
	ck_assert_uint_eq(got.files, 32);
	ck_assert_uint_eq(findings.len, 3);
	ck_assert_str_eq(findings.at[0].path, "cur/0/31");
	ck_assert_int_eq(findings.at[0].problem, PROBLEM_WRONG_DIRECTORY);
	ck_assert_str_eq(findings.at[1].path, "cur/0/31");
	ck_assert_str_eq(findings.at[2].path, "new/77");
	ck_assert_uint_eq(messages, 30);
	finish();
	untree();
}
END_TEST

/* Between the scan and the reading: another file, a link, a FIFO, a directory, a link on the way, nothing. */
START_TEST(what_is_not_the_file_that_was_seen_is_not_read)
{
	tree(20);
	write_file(in("../%s/secret", strrchr(outside, '/') + 1), "bad");
	scan(true);
	ck_assert_int_eq(rename(in("cur/1/1"), in("old")), 0);	/* or its inode might be used again */
	write_file(in("cur/1/1"), "bad");
	ck_assert_int_eq(unlink(in("cur/2/2")), 0);
	ck_assert_int_eq(symlink(outside, in("cur/2/2")), 0);
	ck_assert_int_eq(unlink(in("cur/0/3")), 0);
	ck_assert_int_eq(mkfifo(in("cur/0/3"), 0600), 0);
	ck_assert_int_eq(unlink(in("cur/1/4")), 0);
	ck_assert_int_eq(mkdir(in("cur/1/4"), 0700), 0);
	ck_assert_int_eq(unlink(in("cur/2/5")), 0);
	read_with((struct read_options){ .threads = 4 });
	ck_assert_uint_eq(got.files, 15);
	ck_assert_uint_eq(got.vanished, 5);
	ck_assert_uint_eq(findings.len, 0);
	finish();

	scan(true);
	ck_assert_int_eq(rename(in("cur/0"), in("zero")), 0);
	ck_assert_int_eq(symlink("../zero", in("cur/0")), 0);
	read_with((struct read_options){ .threads = 4 });
	ck_assert_uint_eq(got.vanished, 5);		/* 6, 9, 12, 15, 18: the FIFO was not asked for */
	finish();
	untree();
}
END_TEST

START_TEST(a_file_that_may_not_be_read_is_told_and_not_judged)
{
	if (getuid() == 0)
		return;
	tree(5);
	ck_assert_int_eq(chmod(in("cur/1/1"), 0), 0);
	scan(true);
	read_with((struct read_options){ .threads = 4 });
	ck_assert_uint_eq(got.files, 4);
	finish();
	untree();
}
END_TEST

/* What is read of a message makes its log suspect: that is read in a round of its own. */
static void
suspect_the_log(struct check *c, const struct queue_file *f, struct queue_key key, uint32_t bit,
    const struct queue_content *content)
{
	struct queue_file log = { .name = f->name, .sub = "", .place = TOY_LOG };

	if (bit == 1u << TOY_NEW)
		check_ask(c, &log, key, 1u << TOY_LOG);
	toy_content(c, f, key, bit, content);
}

START_TEST(what_is_asked_for_meanwhile_is_read_in_the_next_round)
{
	struct rules rules = toy_rules_any;
	struct read_options options = { .threads = 4 };
	struct err err;

	rules.content = suspect_the_log;
	rules.unread_bits = 1u << TOY_LOG;
	tree(3);
	for (unsigned int i = 0; i < 50; i++)
		write_file(in("new/%u", 100 + i), "good");
	write_file(in("log/117"), "bad");
	scan_rules = &rules;
	scan(true);
	ck_assert(read_asked(&rules, &layout, check, &options, &got, &err));
	check_end(check, &findings, &messages, &files);
	ck_assert_uint_eq(got.files, 54);
	ck_assert_uint_eq(got.vanished, 49);
	only(CLASS_QUARANTINE, PROBLEM_BAD_RECORD, "log/117");
	finish();
	untree();
}
END_TEST

static void
ask_by_name(struct check *c)
{
	struct queue_file file = { .name = "4", .sub = "1", .place = TOY_CUR };

	check_ask(c, &file, (struct queue_key){ 0, 4 }, 1u << TOY_CUR);
}

START_TEST(what_is_asked_for_with_and_without_its_inode_is_read_once)
{
	struct rules rules = toy_rules_any;

	tree(30);
	rules.join = ask_by_name;
	scan_rules = &rules;
	scan(true);
	read_with((struct read_options){ .threads = 4 });
	ck_assert_uint_eq(got.files, 30);
	finish();
	scan_rules = &toy_rules_any;
	untree();
}
END_TEST

START_TEST(the_time_of_access_stays)
{
	struct timespec past[2] = { { 1000000000, 0 }, { 1000000000, 0 } };
	struct stat st;

	tree(5);
	ck_assert_int_eq(utimensat(AT_FDCWD, in("cur/1/1"), past, 0), 0);
	scan(true);
	read_with((struct read_options){ .threads = 4 });
	ck_assert_int_eq(stat(in("cur/1/1"), &st), 0);
	ck_assert_int_eq(st.st_atim.tv_sec, 1000000000);
	finish();
	untree();
}
END_TEST

START_TEST(a_throttle_holds)
{
	uint64_t began = clock_mono_ms();

	tree(60);
	scan(true);
	read_with((struct read_options){ .threads = 4, .per_second = 200 });
	ck_assert_uint_eq(got.files, 60);
	ck_assert_uint_ge(clock_mono_ms() - began, 290);
	finish();
	untree();
}
END_TEST

START_TEST(when_the_time_is_over_the_rest_is_not_read_and_that_is_told)
{
	tree(60);
	scan(true);
	read_with((struct read_options){ .threads = 4, .per_second = 20, .until_us = clock_mono_us() + 300000 });
	ck_assert(got.cut);
	ck_assert_uint_gt(got.files, 0);
	ck_assert_uint_lt(got.files, 30);
	finish();
	scan(true);
	read_with((struct read_options){ .threads = 4, .until_us = clock_mono_us() + 60000000 });
	ck_assert(!got.cut);
	ck_assert_uint_eq(got.files, 60);
	finish();
	untree();
}
END_TEST

/* ---------------------------------------------------------------- opening, and windows */

START_TEST(nothing_is_opened_through_a_link)
{
	int dir, fd;

	tree(3);
	write_file(in("../%s/33", strrchr(outside, '/') + 1), "good");
	ck_assert_int_eq(symlink(outside, in("cur/9")), 0);
	ck_assert_int_eq(symlink("1", in("cur/1/7")), 0);
	dir = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (const char *const *p = (const char *const[]){ "cur/9/33", "cur/1/7", "cur/../../etc/passwd", "/etc/passwd",
	    "cur/none/1", "none", "", NULL }; *p != NULL; p++)
		ck_assert_msg(queue_open(dir, *p) == -1, "%s", *p);
	for (const char *const *p = (const char *const[]){ "cur/9/33", "cur/1/7", "cur/none/1", "none", NULL }; *p != NULL; p++)
		ck_assert_msg(queue_open_stepwise(dir, *p, O_RDONLY | O_NOFOLLOW) == -1, "%s", *p);
	fd = queue_open_stepwise(dir, "cur/1/1", O_RDONLY | O_NOFOLLOW);
	ck_assert_int_ne(fd, -1);
	close(fd);
	fd = queue_open(dir, "cur/1/1");
	ck_assert_int_ne(fd, -1);
	close(fd);
	close(dir);
	untree();
}
END_TEST

START_TEST(a_source_reads_what_is_in_the_file_wherever_it_is_asked)
{
	static struct queue_reader reader;
	static char bytes[3 * READ_WINDOW / 2], back[sizeof bytes];
	char path[] = "/tmp/mailpair-source-XXXXXX";
	int fd = mkstemp(path);
	struct queue_source s;

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (char)(i * 31 + i / 251);
	ck_assert_int_eq(write(fd, bytes, sizeof bytes), (ssize_t)sizeof bytes);
	s = queue_source_file(&reader, fd, sizeof bytes);
	for (size_t at = 0; at < sizeof bytes;) {
		ssize_t n = s.at(s.arg, back + at, 1 + at % 5000, at);

		ck_assert_int_gt(n, 0);
		at += (size_t)n;
	}
	ck_assert_mem_eq(back, bytes, sizeof bytes);
	ck_assert_int_eq(s.at(s.arg, back, 10, 100), 10);		/* back again */
	ck_assert_mem_eq(back, bytes + 100, 10);
	ck_assert_int_eq(s.at(s.arg, back, 10, sizeof bytes - 4), 4);
	ck_assert_int_eq(s.at(s.arg, back, 10, sizeof bytes), 0);
	ck_assert_int_eq(s.at(s.arg, back, 10, UINT64_MAX), 0);
	ck_assert_int_eq(reader.failed, 0);
	close(fd);
	ck_assert_int_eq(s.at(s.arg, back, 10, 100000000), -1);
	ck_assert_int_eq(reader.failed, EBADF);
	unlink(path);
}
END_TEST

/* ---------------------------------------------------------------- the ring */

struct sum { uint64_t expect, taken; };
struct number { uint64_t n, squared; };

static void
square(void *arg, void *slot)
{
	struct number *number = slot;

	(void)arg;
	number->squared = number->n * number->n;
}

static void
take(void *arg, void *slot)
{
	struct sum *sum = arg;
	struct number *number = slot;

	ck_assert_uint_eq(number->n, sum->expect);
	ck_assert_uint_eq(number->squared, number->n * number->n);
	sum->expect++;
	sum->taken++;
}

START_TEST(work_is_taken_back_whole_and_in_order)
{
	for (unsigned int threads = 0; threads <= RING_THREADS_MAX; threads += threads / 2 + 1) {
		struct sum sum = { 0, 0 };
		struct ring_jobs jobs = { square, take, &sum, threads == 2 };
		struct ring *ring = ring_new(&jobs, 7, sizeof(struct number), threads);

		for (uint64_t n = 0; n < 5000; n++) {
			((struct number *)ring_slot(ring))->n = n;
			ring_push(ring);
			if (n % 1000 == 0)
				ring_wait(ring, clock_mono_us() + 2000);
		}
		ring_end(ring, NULL);
		ck_assert_uint_eq(sum.taken, 5000);
	}
}
END_TEST

/* ---------------------------------------------------------------- messages */

struct seen_list { unsigned int n, in_new, in_cur; };

static void
seen_message(void *arg, const struct queue_message *m)
{
	struct seen_list *l = arg;

	l->n++;
	if (strcmp(m->id, "500") == 0) {
		/* cur comes after new, and replaces what new said; the log is read last */
		ck_assert_str_eq(m->state, "log");
		ck_assert_str_eq(m->sender, "third");
		ck_assert_uint_eq(m->recipients, 3);
		ck_assert(!m->recipient[0].done && m->recipient[1].done && !m->recipient[2].done);
		return;
	}
	ck_assert_str_eq(m->sender, "good");
	ck_assert_uint_eq(m->recipients, 1);
	l->in_cur += strcmp(m->state, "cur") == 0;
	l->in_new += strcmp(m->state, "new") == 0;
}

START_TEST(a_message_is_told_once_with_all_its_parts)
{
	struct seen_list l = { 0 };
	struct err err = { 0 };

	tree(40);
	write_file(in("new/60"), "good");
	write_file(in("new/500"), "first");
	write_file(in("cur/2/500"), "second");
	write_file(in("log/500"), "third");
	write_file(in("log/501"), "of no message");
	scan(true);
	ck_assert(list_messages(&toy_rules_any, &layout, check, 4, seen_message, &l, &err));
	check_end(check, &findings, &messages, &files);
	ck_assert_uint_eq(l.n, 42);
	ck_assert_uint_eq(l.in_cur, 40);
	ck_assert_uint_eq(l.in_new, 1);
	finish();
	untree();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("read");
	TCase *tc = tcase_create("contents");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, every_file_is_read_once_with_any_number_of_threads);
	tcase_add_test(tc, what_is_bad_inside_is_found_under_its_path);
	tcase_add_test(tc, what_is_not_the_file_that_was_seen_is_not_read);
	tcase_add_test(tc, a_file_that_may_not_be_read_is_told_and_not_judged);
	tcase_add_test(tc, what_is_asked_for_meanwhile_is_read_in_the_next_round);
	tcase_add_test(tc, what_is_asked_for_with_and_without_its_inode_is_read_once);
	tcase_add_test(tc, the_time_of_access_stays);
	tcase_add_test(tc, a_throttle_holds);
	tcase_add_test(tc, when_the_time_is_over_the_rest_is_not_read_and_that_is_told);
	tcase_add_test(tc, nothing_is_opened_through_a_link);
	tcase_add_test(tc, a_source_reads_what_is_in_the_file_wherever_it_is_asked);
	tcase_add_test(tc, work_is_taken_back_whole_and_in_order);
	tcase_add_test(tc, a_message_is_told_once_with_all_its_parts);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
