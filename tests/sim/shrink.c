/*
 * tests/sim/shrink.c - runs one plan; and makes a failing one smaller: without one fault after the other, without one operation after the
 * other, for as long as it still fails.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

#define WHY_SAME 3

static sigjmp_buf aborted;

static void
got_abort(int signo)
{
	siglongjmp(aborted, signo);
}

bool
run_plan(const struct plan *p, bool trace)
{
	struct sigaction act = { .sa_handler = got_abort, .sa_flags = SA_NODEFER }, was;

	if (sim == NULL) {
		sim = calloc(1, sizeof(*sim));
		if (sim == NULL)
			abort();
	}
	sim->trace = trace;
	sigaction(SIGABRT, &act, &was);
	if (sigsetjmp(aborted, 1) == 0) {
		world_init(p);
		world_run();
	} else {
		sim_fail("an assertion of the program failed");
	}
	sigaction(SIGABRT, &was, NULL);
	return !sim->failed;
}

/* Keep the change when it still fails in the same way, as far as the first letters of the reason tell. */
static bool
try(struct plan *p, const struct plan *smaller, const char *why)
{
	if (run_plan(smaller, false) || strncmp(sim->why, why, WHY_SAME) != 0)
		return false;
	*p = *smaller;
	return true;
}

static bool
shrink_ops(struct plan *p, const char *why)
{
	bool any = false;

	for (size_t i = 0; i < p->ops; i++) {
		struct plan q = *p;

		if (q.op[i].off)
			continue;
		q.op[i].off = true;
		any = try(p, &q, why) || any;
	}
	return any;
}

static bool
shrink_rates(struct plan *p, const char *why)
{
	unsigned int *const rates[] = { &p->loss, &p->dup, &p->corrupt, &p->fail, &p->half, &p->hang, &p->late, &p->slow };
	bool any = false;

	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		struct plan q = *p;
		unsigned int *rate = (unsigned int *)((char *)&q + ((char *)rates[i] - (char *)p));

		if (*rate == 0)
			continue;
		*rate = 0;
		any = try(p, &q, why) || any;
	}
	if (p->delay_max != 0) {
		struct plan q = *p;

		q.delay_max = 0;
		any = try(p, &q, why) || any;
	}
	for (int f = 0; f < F_COUNT; f++) {
		struct plan q = *p;

		if ((q.faults & BIT(f)) == 0)
			continue;
		q.faults &= ~BIT(f);
		any = try(p, &q, why) || any;
	}
	return any;
}

static bool
shrink_length(struct plan *p, const char *why)
{
	struct plan q = *p;

	q.links = 1;
	if (q.links != p->links)
		try(p, &q, why);
	q = *p;
	q.calm_at = q.calm_at * 3 / 4;
	return q.calm_at > SECOND && try(p, &q, why);
}

void
shrink(struct plan *p)
{
	char why[WHY_SAME + 1];

	snprintf(why, sizeof(why), "%.3s", sim->why);
	for (bool any = true; any;) {
		any = shrink_ops(p, why);
		any = shrink_rates(p, why) || any;
		any = shrink_length(p, why) || any;
	}
}
