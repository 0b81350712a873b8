/*
 * tests/sim/cover.c - which rows of the table were taken, and which guards were seen true and false, over all schedules and all
 * processes of a run. Stands between the engine and fsm_match() (ld --wrap).
 */
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>

#include "tests/sim/sim.h"

#define ROWS_MAX 256

struct cover {
	_Atomic uint64_t	taken[ROWS_MAX], yes[ROWS_MAX], no[ROWS_MAX];
};

static struct cover *cover;
static size_t first[EV_COUNT];		/* row of each event */

const struct fsm_row *__wrap_fsm_match(enum role, enum fsm_event, const struct facts *);
const struct fsm_row *__real_fsm_match(enum role, enum fsm_event, const struct facts *);

/* Rows that complete the table although the engine never comes there. */
static const struct { enum fsm_event on; const char *why; } idle[] = {
	{ EV_FOUND_OURS, "asked once, while joining" }, { EV_FOUND_FOREIGN, "asked once, while joining" },
	{ EV_FOUND_UNSEALED, "asked once, while joining" }, { EV_FOUND_THEIRS, "asked once, while joining" },
	{ EV_FOUND_NOTHING, "asked once, while joining" }, { EV_PEER_ALIVE, "only offered while joining" },
	{ EV_PEER_HOLDS, "only offered while something is held" }, { EV_AGREED, "only offered to a standby" },
	{ EV_DONE, "only roles with a queue of actions" }, { EV_ACT_FAILED, "only roles with a queue of actions" },
	{ EV_MTA_DOWN, "only offered to the active node" }, { EV_ADDRESS_LOST, "only offered to the active node" },
	{ EV_SPOOL_STALLED, "only offered to the active node" }, { EV_SPOOL_BACK, "only offered to a node that failed" },
	{ EV_INTERFACE_DEAD, "only offered to the active node" }, { EV_ROBBED, "an answer that comes after the node has let go" },
	{ EV_OP_GIVE, "refused before" }, { EV_OP_TAKE, "refused before" }, { EV_OP_SERVICES_START, "refused before" },
	{ EV_OP_SERVICES_STOP, "refused before" }, { EV_PEER_ASKS_GIVE, "only offered to the active node" },
};

static const char *
idle_why(const struct fsm_row *row)
{
	if (row->in == (1u << ROLE_JOINING) && row->on == EV_PEER_CLAIMS)
		return "a peer that is heard makes it a standby first";
	if (row->in != IN_ANY)
		return NULL;
	for (size_t i = 0; i < sizeof(idle) / sizeof(idle[0]); i++) {
		if (idle[i].on == row->on)
			return idle[i].why;
	}
	return NULL;
}

static void
count(_Atomic uint64_t *n)
{
	atomic_fetch_add_explicit(n, 1, memory_order_relaxed);
}

const struct fsm_row *
__wrap_fsm_match(enum role role, enum fsm_event on, const struct facts *facts)
{
	const struct fsm_row *row = __real_fsm_match(role, on, facts);
	size_t at = (size_t)(row - fsm_table);

	count(&cover->taken[at]);
	for (size_t i = first[on]; i < at; i++) {
		if ((fsm_table[i].in & (1u << role)) != 0 && fsm_table[i].on == on)
			count(&cover->no[i]);
	}
	if (row->when != NULL)
		count(&cover->yes[at]);
	return row;
}

void
cover_open(void)
{
	for (size_t i = fsm_rows; i-- > 0;)
		first[fsm_table[i].on] = i;
	cover = mmap(NULL, sizeof(*cover), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (cover == MAP_FAILED || fsm_rows > ROWS_MAX) {
		perror("coverage");
		cover = NULL;
	}
}

static void
print_roles(unsigned int in)
{
	for (unsigned int r = 0; r < ROLE_COUNT; r++) {
		if (in == IN_ANY)
			break;
		if ((in & (1u << r)) != 0)
			printf("%s ", role_name((enum role)r));
	}
	if (in == IN_ANY)
		printf("any ");
}

size_t
cover_report(bool all)
{
	size_t never = 0, idle_rows = 0, guards = 0, half = 0;

	for (size_t i = 0; i < fsm_rows; i++) {
		const struct fsm_row *row = &fsm_table[i];
		bool missed = cover->taken[i] == 0;
		bool one_way = row->when != NULL && (cover->yes[i] == 0 || cover->no[i] == 0);

		if (missed && idle_why(row) != NULL) {
			idle_rows++;
			if (!all)
				continue;
		}
		never += missed && idle_why(row) == NULL;
		guards += row->when != NULL;
		half += one_way;
		if (!missed && !one_way && !all)
			continue;
		printf("  row %zu: ", i);
		print_roles(row->in);
		printf("+ %s%s%s: taken %llu", fsm_event_name(row->on), row->when != NULL ? ", " : "", row->when != NULL ? row->when_text : "",
		    (unsigned long long)cover->taken[i]);
		if (row->when != NULL)
			printf(", true %llu, false %llu", (unsigned long long)cover->yes[i], (unsigned long long)cover->no[i]);
		putchar('\n');
	}
	printf("table: %zu of %zu rows taken, %zu never and %zu that only complete it; %zu of %zu guards seen both ways\n",
	    fsm_rows - never - idle_rows, fsm_rows, never, idle_rows, guards - half, guards);
	return never;
}
