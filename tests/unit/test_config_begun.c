/*
 * tests/unit/test_config_begun.c - laws of configsync/watch.h: that a file begins to be written is told while it is, once, and not of what is not carried.
 */
#include "tests/unit/harness.h"

#include <fcntl.h>
#include <unistd.h>

#include "tests/unit/watch_bed.h"

#define STEP_MS 20u

/* Written to again and again, until it is told at last. */
struct writer { struct loop_timer *timer; int fd; unsigned int times; };

static void
write_on(void *arg)
{
	struct writer *w = arg;

	w->times += write(w->fd, "more", 4) == 4;
	loop_timer_in(w->timer, STEP_MS);
}

static unsigned int
begins_until(struct bed *b, const char *written, const char *told)
{
	struct writer w = { .fd = openat(b->box.root, written, O_WRONLY | O_APPEND | O_CLOEXEC) };
	unsigned int before = b->begins;

	ck_assert_int_ne(w.fd, -1);
	w.timer = loop_timer_new(b->loop, write_on, &w);
	write_on(&w);
	bed_until(b, told);
	ck_assert_uint_gt(w.times, 3);
	loop_timer_free(w.timer);
	close(w.fd);
	return b->begins - before;
}

START_TEST(it_is_told_once_however_often_it_is_written_to)
{
	struct bed b;

	bed_open(&b, NULL);
	box_write(&b.box, "t/f", "old");
	bed_start(&b);
	ck_assert_uint_eq(begins_until(&b, "t/f", "t/f"), 1);
	bed_forget(&b);
	bed_until(&b, "t/f");			/* it was closed */
	bed_forget(&b);
	ck_assert_uint_eq(begins_until(&b, "t/f", "t/f"), 1);
	bed_close(&b);
}
END_TEST

START_TEST(it_is_told_before_the_file_is_closed_and_of_a_new_one_too)
{
	struct bed b;
	int fd;

	bed_open(&b, NULL);
	bed_start(&b);
	fd = openat(b.box.root, "t/new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	ck_assert_int_eq(write(fd, "x", 1), 1);
	bed_count(&b, &b.begins, 1);
	ck_assert(!bed_told(&b, "t/new", false));
	close(fd);
	bed_until(&b, "t/new");
	bed_close(&b);
}
END_TEST

START_TEST(of_what_is_not_carried_nothing_is_told)
{
	static const char *const trees[] = { "/t", NULL }, *const out[] = { "/t/not", NULL };
	static const char *const path[] = { "t/not", "t/.mailpair-new.0123456789abcdef0123456789abcdef" };
	struct bed b;
	int fd;

	bed_open(&b, &(struct scope_rules){ .tree = trees, .exclude = out });
	box_write(&b.box, path[_i], "old");
	box_write(&b.box, "t/f", "");
	bed_start(&b);
	fd = openat(b.box.root, "t/f", O_WRONLY | O_CLOEXEC);	/* stays open while the other one is written to */
	ck_assert_int_eq(write(fd, "x", 1), 1);
	bed_count(&b, &b.begins, 1);
	ck_assert_uint_eq(begins_until(&b, path[_i], "t/f"), 0);
	close(fd);
	bed_close(&b);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config_begun");
	TCase *tcase = tcase_create("begun");

	tcase_set_timeout(tcase, 30);
	tcase_add_test(tcase, it_is_told_once_however_often_it_is_written_to);
	tcase_add_test(tcase, it_is_told_before_the_file_is_closed_and_of_a_new_one_too);
	tcase_add_loop_test(tcase, of_what_is_not_carried_nothing_is_told, 0, 2);
	suite_add_tcase(suite, tcase);
	return unit_main(suite);
}
