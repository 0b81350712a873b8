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

static void
print_row(size_t i, const char *what)
{
	const struct fsm_row *row = &fsm_table[i];

	printf("  row %zu: ", i);
	print_roles(row->in);
	printf("+ %s%s%s: taken %llu", fsm_event_name(row->on), row->when_text != NULL ? ", " : "", row->when_text != NULL ? row->when_text : "",
	    (unsigned long long)cover->taken[i]);
	if (row->when != NULL)
		printf(", true %llu, false %llu", (unsigned long long)cover->yes[i], (unsigned long long)cover->no[i]);
	printf("%s\n", what);
}

/* Where it is false nothing but a row that is never taken is left: the guard is there for safety's sake. */
static bool
never_false(size_t i)
{
	const struct fsm_row *row = &fsm_table[i];
	unsigned int left = row->in;

	for (size_t k = i + 1; k < fsm_rows && left != 0; k++) {
		if (fsm_table[k].on != row->on || (fsm_table[k].in & left) == 0)
			continue;
		if (!fsm_row_never(&fsm_table[k]))
			return false;
		left &= ~fsm_table[k].in;
	}
	return left == 0;
}

size_t
cover_report(bool all)
{
	size_t wrong = 0, taken = 0, never = 0, guards = 0, both = 0, safe = 0;

	for (size_t i = 0; i < fsm_rows; i++) {
		const struct fsm_row *row = &fsm_table[i];
		bool was = cover->taken[i] != 0, yes = cover->yes[i] != 0, no = cover->no[i] != 0;
		const char *what = "";

		if (was == fsm_row_never(row))
			what = was ? " - FAIL: this cannot be, says the table" : " - FAIL: never taken";
		else if (row->when != NULL && !(yes && no) && !(yes && never_false(i)))
			what = " - FAIL: its guard was seen one way only";
		taken += was;
		never += fsm_row_never(row);
		guards += row->when != NULL;
		both += row->when != NULL && yes && no;
		safe += row->when != NULL && yes && !no && never_false(i);
		wrong += *what != '\0';
		if (all || *what != '\0')
			print_row(i, what);
	}
	printf("table: %zu of %zu rows taken, %zu that cannot be; %zu of %zu guards seen both ways, %zu that cannot be false\n", taken, fsm_rows,
	    never, both, guards, safe);
	return wrong;
}
