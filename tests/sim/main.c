/*
 * tests/sim/main.c - runs schedules: simulator [--schedules N | --seconds S] [--first N] [--jobs J], or one again by its --seed S. A failure
 * prints its seed, what is left of its plan after shrinking, a trace (--verbose) and the command that shows it again. --hunt
 * ends at the first one (mutants/). The last line is "N passed, N failed".
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "tests/sim/sim.h"

#define SEED_FIRST UINT64_C(0x6d61696c70616972)
#define FAILURES_TOLD 8
#define ENOUGH 100000		/* schedules that should see every row */

#define TALES_MAX 16

struct tally { _Atomic uint64_t passed, failed, events, virtual_ms, told[TALES_MAX]; };

struct options {
	uint64_t	seed, schedules;
	unsigned int	seconds, jobs;
	bool		one, verbose, raw, rows, hunt;
};

static void
no_log(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

static double
seconds_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void
print_plan(const struct plan *p)
{
	printf("  keepalive %u ms, deadtime %u ms, initdead %u ms, fence-delay %u ms, %zu links, automatic %d, fences %d, failback %d, prefer %d, "
	    "hints %d, mended %d, absent %d, kept off %d, fence devices %d%s%s, stamps %d, brisk %d, queue check %d, bad ways %x, delays %u%s\n",
	    p->keepalive_ms, p->deadtime_ms, p->initdead_ms, p->fence_delay_ms, p->links, p->automatic, p->fences, p->failback, p->prefer,
	    p->hints, p->mend, p->absent, p->keep_off, p->devices, p->mute ? " without status" : "", p->slow_fence ? " that are slow" : "",
	    p->stamps, p->brisk, (int)p->queue_check, p->ways, p->delays, p->liar ? ", fence devices that lie" : "");
	printf("  faults:");
	for (int f = 0; f < F_COUNT; f++) {
		if ((p->faults & BIT(f)) != 0)
			printf(" %s", fault_names[f]);
	}
	printf("\n  tale: %s\n  permille: loss %u, dup %u, corrupt %u, fail %u, half %u, hang %u, late %u, slow %u, fence %u; delay up to %" PRIu64
	    " ms; calm at %.3f s\n", p->tale == 0 ? "none" : plan_tale_name(p->tale), p->loss, p->dup, p->corrupt, p->fail, p->half, p->hang, p->late, p->slow, p->fence, p->delay_max / 1000,
	    (double)p->calm_at / 1e6);
	for (size_t i = 0; i < p->ops; i++) {
		char text[160];

		op_print(&p->op[i], text, sizeof(text));
		if (!p->op[i].off)
			printf("  %s\n", text);
	}
}

static void
tell_failure(const struct options *o, struct plan *p)
{
	printf("FAIL seed 0x%016" PRIx64 ": %s\n", p->seed, sim->why);
	if (!o->raw)
		shrink(p);
	run_plan(p, false);
	printf("  smallest: %s\n", sim->why);
	print_plan(p);
	if (o->verbose)
		run_plan(p, true);
	printf("  again: make check-sim SEED=0x%016" PRIx64 "\n", p->seed);
	fflush(stdout);
}

static void
work(const struct options *o, struct tally *t, unsigned int job)
{
	double until = o->seconds != 0 ? seconds_now() + o->seconds : 0;
	struct plan plan;

	for (uint64_t i = job; o->seconds != 0 ? seconds_now() < until : i < o->schedules; i += o->jobs) {
		struct rng r = { .s = o->seed + i };

		plan_make(&plan, o->one ? o->seed : rng_next(&r));
		atomic_fetch_add_explicit(&t->told[plan.tale % TALES_MAX], 1, memory_order_relaxed);
		if (run_plan(&plan, o->one && o->raw && o->verbose)) {
			atomic_fetch_add(&t->passed, 1);
			if (o->one && o->verbose && !o->raw)
				run_plan(&plan, true);
		} else if (o->hunt) {
			printf("after %" PRIu64 " schedules: %s\n", i + 1, sim->why);
			fflush(stdout);
			_exit(1);
		} else if (atomic_fetch_add(&t->failed, 1) < FAILURES_TOLD) {
			tell_failure(o, &plan);
		}
		atomic_fetch_add_explicit(&t->events, sim->events, memory_order_relaxed);
		atomic_fetch_add_explicit(&t->virtual_ms, (sim->now - sim->begin) / 1000, memory_order_relaxed);
	}
}

/* How many were never told. */
static size_t
report_tales(const struct tally *t)
{
	size_t never = 0;

	printf("tales:");
	for (size_t i = 1; i < TALES_MAX && plan_tale_name(i) != NULL; i++) {
		printf("%s %s %" PRIu64, i == 1 ? "" : ",", plan_tale_name(i), (uint64_t)t->told[i]);
		never += t->told[i] == 0;
	}
	putchar('\n');
	return never;
}

static bool
parse(int argc, char **argv, struct options *o)
{
	static const struct option options[] = { { "seed", required_argument, NULL, 's' }, { "schedules", required_argument, NULL, 'n' },
		{ "seconds", required_argument, NULL, 't' }, { "jobs", required_argument, NULL, 'j' }, { "verbose", no_argument, NULL, 'v' },
		{ "raw", no_argument, NULL, 'r' }, { "rows", no_argument, NULL, 'R' },
		{ "first", required_argument, NULL, 'f' }, { "hunt", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 } };
	int ch;

	*o = (struct options){ .seed = SEED_FIRST, .schedules = 1000, .jobs = 1 };
	while ((ch = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (ch) {
		case 's': o->seed = strtoull(optarg, NULL, 0); o->one = true; break;
		case 'f': o->seed = strtoull(optarg, NULL, 0); break;
		case 'n': o->schedules = strtoull(optarg, NULL, 0); break;
		case 't': o->seconds = (unsigned int)strtoul(optarg, NULL, 0); break;
		case 'j': o->jobs = (unsigned int)strtoul(optarg, NULL, 0); break;
		case 'v': o->verbose = true; break;
		case 'h': o->hunt = true; break;
		case 'r': o->raw = true; break;
		case 'R': o->rows = true; break;
		default: return false;
		}
	}
	if (o->one) {
		o->schedules = o->jobs = 1;
		o->seconds = 0;
		o->verbose = true;
	}
	return optind == argc && o->jobs > 0;
}

int
main(int argc, char **argv)
{
	struct options o;
	struct tally *t;
	double began = seconds_now();
	size_t never;
	int failed = 0;

	if (!parse(argc, argv, &o)) {
		fputs("usage: simulator [--seed S] [--schedules N] [--seconds S] [--jobs J] [--verbose] [--raw] [--rows] [--first N] [--hunt]\n", stderr);
		return 2;
	}
	t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (t == MAP_FAILED || !plan_setup())
		return 2;
	cover_open();
	log_to(no_log, NULL);
	log_verbose(LOG_LVL_ERR);
	for (unsigned int job = 1; job < o.jobs; job++) {
		if (fork() == 0) {
			work(&o, t, job);
			fflush(stdout);
			_exit(0);
		}
	}
	work(&o, t, 0);
	for (int status; wait(&status) > 0;)
		failed += status != 0;
	never = o.one ? 0 : cover_report(o.rows) + report_tales(t);
	if (never != 0 && o.schedules >= ENOUGH && o.seconds == 0) {
		printf("FAIL: %zu rows of the table, or tales, are not as they should be (see above)\n", never);
		failed++;
	}
	began = seconds_now() - began;
	printf("%.1f s, %.0f schedules a second, %.1f virtual seconds and %.0f events each\n", began,
	    (double)(t->passed + t->failed) / began, (double)t->virtual_ms / 1000 / (double)(t->passed + t->failed),
	    (double)t->events / (double)(t->passed + t->failed));
	printf("%" PRIu64 " passed, %" PRIu64 " failed\n", (uint64_t)t->passed, (uint64_t)t->failed + (uint64_t)failed);
	return t->failed != 0 || failed != 0;
}
