/*
 * tests/unit/test_loop.c - laws of common/loop.h, on real descriptors, clocks and signals.
 */
#include "common/loop.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/unit/harness.h"

struct bench {
	struct loop		*loop;
	struct loop_io		*io;
	struct loop_timer	*timer, *other;
	struct loop_signal	*sig;
	int			 fd[2];
	int			 count;
	unsigned int		 ready;
	uint64_t		 at_us;
};

static void
bench_open(struct bench *b)
{
	*b = (struct bench){ .loop = loop_new() };
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, b->fd), 0);
}

static void
bench_close(struct bench *b)
{
	loop_io_free(b->io);
	loop_timer_free(b->timer);
	loop_timer_free(b->other);
	loop_signal_free(b->sig);
	loop_free(b->loop);
	close(b->fd[0]);
	close(b->fd[1]);
}

static void
stop(void *arg)
{
	loop_stop(arg);
}

static void
run_for(struct loop *loop, uint64_t ms)
{
	struct loop_timer *t = loop_timer_new(loop, stop, loop);

	loop_timer_in(t, ms);
	loop_run(loop);
	loop_timer_free(t);
}

static void
fired(void *arg)
{
	struct bench *b = arg;

	b->count++;
	b->at_us = clock_mono_us();
	loop_stop(b->loop);
}

START_TEST(a_timer_fires_once_not_early_and_to_the_fraction_of_a_millisecond)
{
	struct bench b;
	uint64_t deadline, late[20], smallest = UINT64_MAX;

	bench_open(&b);
	b.timer = loop_timer_new(b.loop, fired, &b);
	for (int i = 0; i < 20; i++) {
		deadline = clock_mono_us() + 2300;
		loop_timer_at_us(b.timer, deadline);
		ck_assert(loop_timer_pending(b.timer));
		loop_run(b.loop);
		ck_assert(!loop_timer_pending(b.timer));
		ck_assert_uint_ge(b.at_us, deadline);
		late[i] = b.at_us - deadline;
		if (late[i] < smallest)
			smallest = late[i];
	}
	ck_assert_int_eq(b.count, 20);
	/* With millisecond timers the best of twenty would be 0.7 ms late. */
	ck_assert_uint_lt(smallest, 500);
	run_for(b.loop, 10);
	ck_assert_int_eq(b.count, 20);
	bench_close(&b);
}
END_TEST

START_TEST(a_deadline_that_has_passed_fires_next_and_a_later_one_replaces_an_earlier)
{
	struct bench b;
	uint64_t began = clock_mono_us();

	bench_open(&b);
	b.timer = loop_timer_new(b.loop, fired, &b);
	loop_timer_at(b.timer, 1);
	loop_run(b.loop);
	ck_assert_int_eq(b.count, 1);
	ck_assert_uint_lt(b.at_us - began, 500000);
	loop_timer_in(b.timer, 1);
	loop_timer_in(b.timer, 60);
	run_for(b.loop, 20);
	ck_assert_int_eq(b.count, 1);
	loop_run(b.loop);
	ck_assert_int_eq(b.count, 2);
	bench_close(&b);
}
END_TEST

START_TEST(a_cancelled_timer_stays_silent)
{
	struct bench b;

	bench_open(&b);
	b.timer = loop_timer_new(b.loop, fired, &b);
	loop_timer_cancel(b.timer);
	loop_timer_in(b.timer, 5);
	loop_timer_cancel(b.timer);
	ck_assert(!loop_timer_pending(b.timer));
	run_for(b.loop, 20);
	ck_assert_int_eq(b.count, 0);
	bench_close(&b);
}
END_TEST

/* Frees itself, and a second timer and a descriptor that are due in the same turn. */
static void
fired_free_all(void *arg)
{
	struct bench *b = arg;

	b->count++;
	loop_timer_free(b->timer);
	loop_timer_free(b->other);
	loop_io_free(b->io);
	b->timer = b->other = NULL;
	b->io = NULL;
}

static void
readable_free_all(int fd, unsigned int ready, void *arg)
{
	(void)fd;
	(void)ready;
	fired_free_all(arg);
}

START_TEST(objects_may_be_freed_in_any_callback_even_when_they_are_due)
{
	struct bench b;

	bench_open(&b);
	b.timer = loop_timer_new(b.loop, fired_free_all, &b);
	b.other = loop_timer_new(b.loop, fired_free_all, &b);
	b.io = loop_io_new(b.loop, b.fd[0], LOOP_READ, readable_free_all, &b);
	ck_assert_int_eq(write(b.fd[1], "x", 1), 1);
	loop_timer_at(b.timer, 1);
	loop_timer_at(b.other, 1);
	run_for(b.loop, 30);
	ck_assert_int_eq(b.count, 1);
	bench_close(&b);
}
END_TEST

static void
io_ready(int fd, unsigned int ready, void *arg)
{
	struct bench *b = arg;

	(void)fd;
	b->count++;
	b->ready = ready;
	loop_stop(b->loop);
}

START_TEST(a_watch_is_level_triggered_and_can_be_paused_and_changed)
{
	struct bench b;

	bench_open(&b);
	b.io = loop_io_new(b.loop, b.fd[0], LOOP_READ, io_ready, &b);
	ck_assert_int_eq(write(b.fd[1], "x", 1), 1);
	loop_run(b.loop);
	loop_run(b.loop);			/* nobody has read: again */
	ck_assert_int_eq(b.count, 2);
	ck_assert_uint_eq(b.ready, LOOP_READ);
	loop_io_want(b.io, 0);
	run_for(b.loop, 20);
	ck_assert_int_eq(b.count, 2);
	loop_io_want(b.io, LOOP_READ | LOOP_WRITE);
	loop_run(b.loop);
	ck_assert_uint_eq(b.ready, LOOP_READ | LOOP_WRITE);
	loop_io_want(b.io, LOOP_WRITE);
	loop_run(b.loop);
	ck_assert_uint_eq(b.ready, LOOP_WRITE);
	bench_close(&b);
}
END_TEST

static void
signalled(int signo, void *arg)
{
	struct bench *b = arg;

	b->count += signo == SIGHUP;
	loop_signal_free(b->sig);
	b->sig = NULL;
	loop_stop(b->loop);
}

START_TEST(a_signal_is_an_event_and_its_watch_may_free_itself)
{
	struct bench b;

	bench_open(&b);
	b.sig = loop_signal_new(b.loop, SIGHUP, signalled, &b);
	raise(SIGHUP);
	loop_run(b.loop);
	ck_assert_int_eq(b.count, 1);
	bench_close(&b);
}
END_TEST

START_TEST(a_child_that_frees_everything_does_not_make_the_parent_deaf)
{
	struct bench b;
	pid_t pid;

	bench_open(&b);
	b.io = loop_io_new(b.loop, b.fd[0], LOOP_READ, io_ready, &b);
	b.timer = loop_timer_new(b.loop, fired, &b);
	if ((pid = fork()) == 0) {
		loop_forked(b.loop);
		loop_io_want(b.io, LOOP_WRITE);
		loop_timer_in(b.timer, 0);
		loop_timer_cancel(b.timer);
		loop_io_free(b.io);
		loop_timer_free(b.timer);
		loop_stop(b.loop);
		loop_free(b.loop);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_int_eq(write(b.fd[1], "x", 1), 1);
	loop_timer_in(b.timer, 2000);		/* only so that a failure ends */
	loop_run(b.loop);
	ck_assert_int_eq(b.count, 1);
	ck_assert_uint_eq(b.ready, LOOP_READ);
	bench_close(&b);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("loop");
	TCase *t = tcase_create("loop");

	tcase_set_timeout(t, 30);
	tcase_add_test(t, a_timer_fires_once_not_early_and_to_the_fraction_of_a_millisecond);
	tcase_add_test(t, a_deadline_that_has_passed_fires_next_and_a_later_one_replaces_an_earlier);
	tcase_add_test(t, a_cancelled_timer_stays_silent);
	tcase_add_test(t, objects_may_be_freed_in_any_callback_even_when_they_are_due);
	tcase_add_test(t, a_watch_is_level_triggered_and_can_be_paused_and_changed);
	tcase_add_test(t, a_signal_is_an_event_and_its_watch_may_free_itself);
	tcase_add_test(t, a_child_that_frees_everything_does_not_make_the_parent_deaf);
	suite_add_tcase(s, t);
	return unit_main(s);
}
