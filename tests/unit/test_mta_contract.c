/*
 * tests/unit/test_mta_contract.c - what every driver promises, checked for each of them: the real
 * ones with the real program in a box.
 */
#include "mta/mta_fake.h"
#include "tests/unit/exim_box.h"
#include "tests/unit/postfix_box.h"
#include "tests/unit/qmail_box.h"

static const struct mta_driver *drivers[4] = { &mta_postfix, &mta_fake };
static int driver_count = 2;	/* others are added where their programs are there */

static struct box box;
static struct exim_box exim;
static struct qbox qmail;
static const struct mta_driver *turn;	/* whose it is */

static void
setup(void)
{
	box_make(&box);
}

static void
configure(void)
{
	box.params.config = turn == &mta_exim ? NULL : turn == &mta_qmail ? qmail.home : box.conf;
	box.params.services = turn == &mta_qmail ? qmail.list : NULL;
}

/* The driver of a turn of the loop, with what the box has to have for it. */
static const struct mta_driver *
taken(int i)
{
	turn = drivers[i];
	if (turn == &mta_exim)
		exim_box_make(&exim, &box);
	if (turn == &mta_qmail)
		qbox_make(&qmail, QBOX_DIRECT);
	configure();
	return turn;
}

static void
teardown(void)
{
	if (turn == NULL || turn == &mta_fake)
		return;
	configure();
	if (turn == &mta_qmail)
		qbox_break(&qmail);
	else
		box_call(turn, &box.params, box_stop_f, 4000);
}

static enum fact
runs(const struct mta_driver *driver)
{
	struct err err = { 0 };
	pid_t pid = -1;
	enum fact fact = driver->running(&box.params, &pid, &err);

	ck_assert_int_eq(fact == FACT_UNKNOWN, pid == -1);
	if (fact == FACT_NO)
		ck_assert_int_eq(pid, 0);
	return fact;
}

START_TEST(all_members_are_there)
{
	const struct mta_driver *d = taken(_i);

	ck_assert(d->name != NULL && d->prepare != NULL && d->running != NULL && d->start != NULL &&
	    d->stop != NULL && d->answers != NULL && d->count != NULL && d->layout != NULL && d->lock != NULL);
}
END_TEST

START_TEST(a_start_makes_it_run_and_answer_and_a_second_one_changes_nothing)
{
	const struct mta_driver *d = taken(_i);
	struct said *said;
	struct err err;
	char pid[512];

	ck_assert_int_eq(runs(d), FACT_NO);
	said = box_call(d, &box.params, box_start_f, 30000);
	ck_assert_msg(said->ok, "%s: %s", d->name, said->err.text);
	snprintf(pid, sizeof pid, "%s", box_said(said, "pid"));
	ck_assert_str_ne(pid, "");
	ck_assert_str_ne(box_said(said, "check"), "");
	ck_assert_str_ne(box_said(said, "exec"), "");
	ck_assert_int_eq(runs(d), FACT_YES);
	ck_assert_int_eq(d->answers(&box.params, &err), MTA_ANSWERED);
	said = box_call(d, &box.params, box_start_f, 30000);
	ck_assert(said->ok);
	ck_assert_str_eq(box_said(said, "pid"), pid);
}
END_TEST

START_TEST(a_stop_leaves_nothing_and_a_second_one_changes_nothing)
{
	const struct mta_driver *d = taken(_i);
	struct err err;

	ck_assert(box_call(d, &box.params, box_stop_f, 10000)->ok);
	ck_assert(box_call(d, &box.params, box_start_f, 30000)->ok);
	ck_assert(box_call(d, &box.params, box_stop_f, 10000)->ok);
	ck_assert_int_eq(runs(d), FACT_NO);
	ck_assert_int_eq(d->answers(&box.params, &err), MTA_REFUSED);
	ck_assert(box_call(d, &box.params, box_stop_f, 10000)->ok);
	ck_assert_int_eq(runs(d), FACT_NO);
}
END_TEST

START_TEST(preparing_says_yes_and_needs_no_reason)
{
	struct said *said = box_call(taken(_i), &box.params, box_prepare_f, 30000);

	ck_assert(said->ok);
	ck_assert_str_eq(box_said(said, "prepared"), "yes");
	ck_assert_str_eq(box_said(said, "why"), "");
}
END_TEST

/* Nothing it could work with: no configuration for the one, told to fail the other. */
static void
spoil(void)
{
	char path[128];

	snprintf(path, sizeof path, "%s/fake.mta", box.run);
	box_write(path, "fail\n");
	box.params.config = "/nonexistent";
}

START_TEST(outputs_are_untouched_on_failure_and_errors_are_sentences)
{
	const struct mta_driver *d = taken(_i);
	struct mta_queue_counts counts, before;
	struct said *said;
	struct err err = { 0 };

	memset(&counts, 0x5a, sizeof counts);
	before = counts;
	spoil();
	ck_assert(!d->count(&box.params, &counts, &err));
	ck_assert_mem_eq(&counts, &before, sizeof counts);
	ck_assert_str_ne(err.text, "");
	said = box_call(d, &box.params, box_start_f, 30000);
	ck_assert(!said->ok);
	ck_assert_str_ne(said->err.text, "");
	ck_assert_str_eq(box_said(said, "pid"), "");
	said = box_call(d, &box.params, box_stop_f, 10000);
	ck_assert(!said->ok);
	said = box_call(d, &box.params, box_prepare_f, 30000);
	ck_assert_str_eq(box_said(said, "prepared"), "no");
	ck_assert_str_ne(box_said(said, "why"), "");
}
END_TEST

START_TEST(answering_keeps_its_limit)
{
	const struct mta_driver *d = taken(_i);
	struct err err = { 0 };
	char path[128], probe[32];
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof addr;
	int fd = socket(AF_INET, SOCK_STREAM, 0);	/* takes connections, says nothing */
	uint64_t began;

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, len), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	snprintf(probe, sizeof probe, "127.0.0.1:%u", ntohs(addr.sin_port));
	box.params.probe = probe;
	box.params.probe_ms = 200;
	snprintf(path, sizeof path, "%s/fake.mta", box.run);
	box_write(path, "hang\n");
	began = clock_mono_ms();
	ck_assert_int_eq(d->answers(&box.params, &err), MTA_NO_ANSWER);
	ck_assert_uint_le(clock_mono_ms() - began, 5000);	/* of a busy machine */
	ck_assert_str_ne(err.text, "");
	close(fd);
}
END_TEST

START_TEST(an_empty_queue_counts_as_empty_and_sums_fit)
{
	struct mta_queue_counts c;
	struct err err;

	ck_assert(taken(_i)->count(&box.params, &c, &err));
	ck_assert_uint_eq(c.total, c.incoming + c.active + c.deferred + c.hold + c.maildrop);
}
END_TEST

START_TEST(the_layout_names_its_own_queue_and_no_other_is_made_up)
{
	const struct mta_driver *d = taken(_i);
	struct queue_layout layout, before;
	struct err err = { 0 };

	ck_assert_msg(d->layout(&box.params, NULL, NULL, &layout, &err), "%s", err.text);
	ck_assert_str_eq(layout.mta, d->name);
	ck_assert_int_eq(layout.root[0], '/');
	ck_assert_uint_gt(layout.places, 0);
	queue_layout_free(&layout);
	memset(&layout, 0x5a, sizeof layout);
	before = layout;
	ck_assert(!d->layout(&box.params, "/nonexistent", NULL, &layout, &err));
	ck_assert_mem_eq(&layout, &before, sizeof layout);
	ck_assert_ptr_nonnull(strstr(err.text, "/nonexistent"));
}
END_TEST

START_TEST(what_runs_cannot_be_locked_and_what_is_locked_cannot_start)
{
	const struct mta_driver *d = taken(_i);
	struct queue_layout layout;
	struct queue_lock lock = { .held = 0 };
	struct err err = { 0 };

	ck_assert(box_call(d, &box.params, box_start_f, 30000)->ok);
	ck_assert(d->layout(&box.params, NULL, NULL, &layout, &err));
	ck_assert_int_eq(d->lock(&box.params, &layout, &lock, &err), FACT_NO);
	ck_assert_uint_eq(lock.held, 0);
	ck_assert_ptr_nonnull(strstr(err.text, "runs"));
	ck_assert(box_call(d, &box.params, box_stop_f, 10000)->ok);
	ck_assert_msg(d->lock(&box.params, &layout, &lock, &err) == FACT_YES, "%s", err.text);
	if (lock.held > 0)		/* Exim knows none */
		ck_assert(!box_call(d, &box.params, box_start_f, 5000)->ok);
	queue_unlock(&lock);
	ck_assert(box_call(d, &box.params, box_start_f, 30000)->ok);
	ck_assert_int_eq(runs(d), FACT_YES);
	queue_layout_free(&layout);
}
END_TEST

/* The fake's own tricks: a supervisor must be able to meet them. */
START_TEST(the_fake_lies_when_told_so)
{
	char path[128];

	snprintf(path, sizeof path, "%s/fake.mta", box.run);
	box_write(path, "lie\n");
	ck_assert(box_call(&mta_fake, &box.params, box_start_f, 1000)->ok);
	ck_assert_int_eq(runs(&mta_fake), FACT_NO);
	box_write(path, "mute\n");
	ck_assert_int_eq(runs(&mta_fake), FACT_UNKNOWN);
	box_write(path, "hang\n");
	ck_assert(!box_call(&mta_fake, &box.params, box_stop_f, 100)->ok);
}
END_TEST

static int
run(void)
{
	Suite *suite = suite_create("mta_contract");
	TCase *tc = tcase_create("drivers");

	if (exim_box_install())
		drivers[driver_count++] = &mta_exim;
	else
		printf("skipped: Exim is neither installed nor below build/exim (make deps)\n");
	if (qbox_tool[QBOX_TOOL_QUEUE] != -1)
		drivers[driver_count++] = &mta_qmail;
	else
		printf("skipped: qmail needs " QBOX_NEEDS "\n");

	tcase_set_timeout(tc, 180);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, all_members_are_there, 0, driver_count);
	tcase_add_loop_test(tc, a_start_makes_it_run_and_answer_and_a_second_one_changes_nothing, 0,
	    driver_count);
	tcase_add_loop_test(tc, a_stop_leaves_nothing_and_a_second_one_changes_nothing, 0, driver_count);
	tcase_add_loop_test(tc, preparing_says_yes_and_needs_no_reason, 0, driver_count);
	tcase_add_loop_test(tc, outputs_are_untouched_on_failure_and_errors_are_sentences, 0, driver_count);
	tcase_add_loop_test(tc, answering_keeps_its_limit, 0, driver_count);
	tcase_add_loop_test(tc, an_empty_queue_counts_as_empty_and_sums_fit, 0, driver_count);
	tcase_add_loop_test(tc, the_layout_names_its_own_queue_and_no_other_is_made_up, 0, driver_count);
	tcase_add_loop_test(tc, what_runs_cannot_be_locked_and_what_is_locked_cannot_start, 0, driver_count);
	tcase_add_test(tc, the_fake_lies_when_told_so);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}

int
main(void)
{
	(void)qbox_possible();		/* before the box hides what was built */
	return box_main(run);
}
