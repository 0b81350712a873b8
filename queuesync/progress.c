/*
 * queuesync/progress.c - see progress.h. Nothing here blocks but the line itself, where its reader does not read.
 */
#include "queuesync/progress.h"

#include <inttypes.h>
#include <stdatomic.h>

#include "common/clock.h"

#define EVERY_MS 250

static FILE *to;
static const char *stage = "";
static uint64_t total;
static _Atomic uint64_t done, due_ms;

void
progress_to(FILE *f)
{
	to = f;
}

void
progress_stage(const char *what, uint64_t n)
{
	stage = what;
	total = n;
	atomic_store(&done, 0);
}

void
progress_count(void)
{
	uint64_t n = atomic_fetch_add_explicit(&done, 1, memory_order_relaxed) + 1, now, due;

	if (to == NULL)
		return;
	now = clock_mono_ms();
	due = atomic_load_explicit(&due_ms, memory_order_relaxed);
	if (now < due || !atomic_compare_exchange_strong(&due_ms, &due, now + EVERY_MS))
		return;		/* too soon, or another thread says it */
	if (total != 0)
		fprintf(to, "progress %" PRIu64 " of %" PRIu64 " %s\n", n, total, stage);
	else
		fprintf(to, "progress %" PRIu64 " %s\n", n, stage);
	fflush(to);
}
