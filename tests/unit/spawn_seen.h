/*
 * tests/unit/spawn_seen.h - runs children and keeps a copy of what done() was told of them.
 */
#ifndef TESTS_UNIT_SPAWN_SEEN_H
#define TESTS_UNIT_SPAWN_SEEN_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/spawn.h"

#define PATIENCE_MS 10000	/* what must not be late is measured, not bounded by this */

/* A copy of what done() was told, and how often. */
struct seen {
	struct loop		*loop;
	int			 calls, wanted;
	struct spawn_result	 r;
	size_t			 out_len;
	char			 out[SPAWN_OUT_MAX + 1], errout[SPAWN_OUT_MAX + 1];
};

static inline void
seen_done(void *arg, const struct spawn_result *r)
{
	struct seen *seen = arg;

	seen->r = *r;
	seen->out_len = strlen(r->out);
	snprintf(seen->out, sizeof(seen->out), "%s", r->out);
	snprintf(seen->errout, sizeof(seen->errout), "%s", r->errout);
	if (++seen->calls == seen->wanted)
		loop_stop(seen->loop);
}

static inline struct seen *
seen_new(int wanted)
{
	struct seen *seen = calloc(1, sizeof(*seen));

	seen->loop = loop_new();
	seen->wanted = wanted;
	return seen;
}

static inline void
seen_free(struct seen *seen)
{
	loop_free(seen->loop);
	free(seen);
}

static inline void
stop(void *arg)
{
	loop_stop(arg);
}

static inline void
run_for(struct loop *loop, uint64_t ms)
{
	struct loop_timer *t = loop_timer_new(loop, stop, loop);

	loop_timer_in(t, ms);
	loop_run(loop);
	loop_timer_free(t);
}

#endif
