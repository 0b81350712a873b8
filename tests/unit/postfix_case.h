/*
 * tests/unit/postfix_case.h - what the tests of the Postfix driver have in common: one box for each
 * test, and short names for what is done in it.
 */
#ifndef TESTS_UNIT_POSTFIX_CASE_H
#define TESTS_UNIT_POSTFIX_CASE_H

#include <poll.h>

#include "tests/unit/postfix_box.h"

static struct box box;

static inline void
setup(void)
{
	box_make(&box);
}

static inline void
teardown(void)
{
	box_break(&box);
}

static inline struct said *
start(void)
{
	return box_call(&mta_postfix, &box.params, box_start_f, 30000);
}

static inline struct said *
stop(uint32_t limit_ms)
{
	return box_call(&mta_postfix, &box.params, box_stop_f, limit_ms);
}

static inline struct said *
prepare(void)
{
	return box_call(&mta_postfix, &box.params, box_prepare_f, 30000);
}

static inline enum fact
runs(pid_t *ret_pid)
{
	struct err err;

	*ret_pid = 0;
	return mta_postfix.running(&box.params, ret_pid, &err);
}

static inline void
in_queue(char *buf, size_t size, const char *name)
{
	snprintf(buf, size, "%.90s/%s", box.queue, name);
}

static inline void
started(const struct said *said)
{
	ck_assert_msg(said->ok, "%s\n%s", said->err.text, said->out);
}

/* Until the condition holds, or half a minute. */
#define EVENTUALLY(condition) do {						\
	uint64_t until = clock_mono_ms() + 30000;				\
	while (!(condition) && clock_mono_ms() < until)				\
		poll(NULL, 0, 5);						\
	ck_assert(condition);							\
} while (0)

static inline struct mta_queue_counts
counts(void)
{
	struct mta_queue_counts c;
	struct err err = { 0 };

	ck_assert_msg(mta_postfix.count(&box.params, &c, &err), "%s", err.text);
	return c;
}

#endif
