/*
 * tests/fsm_print.c - prints the table of decisions as docs/fsm.md. The page is generated so that it cannot differ from
 * what the daemon does; "make check" compares it.
 */
#include <stdio.h>
#include <string.h>

#include "supervisor/fsm.h"

static void
print_claim(const char *guard)
{
	for (; *guard != '\0'; guard++)
		putchar(*guard == '_' ? ' ' : *guard);
}

static void
print_row(const struct fsm_row *row)
{
	printf("| %s | ", fsm_event_name(row->on));
	if (row->when_text != NULL)
		print_claim(row->when_text);
	printf(" | %s%s%s | ", row->next == FSM_SAME ? "-" : role_name((enum role)row->next),
	    row->intent != INTENT_NONE ? ", to " : "", row->intent != INTENT_NONE ? intent_name(row->intent) : "");
	for (int i = 0; i < FSM_ACTS_MAX && row->acts[i] != ACT_NONE; i++)
		printf("%s%s", i == 0 ? "" : ", ", fsm_act_name(row->acts[i]));
	printf(" | %s |\n", row->why);
}

int
main(void)
{
	puts("# The table of decisions\n\n"
	    "Printed by `make docs` from `supervisor/fsm.c`; do not edit. Rows are tried from top to bottom; the first whose\n"
	    "condition is true decides. Actions run in the order written; leaving a role discards those not yet begun.\n"
	    "No row leads to *acquiring* but by **proof** (the peer is gone) or **agreed** (the peer let go).\n"
	    "*Never* stands where an event cannot come; the simulator (`make check-sim`) fails when it does, and when any other row is not taken.\n");
	for (int role = 0; role < ROLE_COUNT; role++) {
		printf("## %s\n\n| event | when | next | actions | why |\n|---|---|---|---|---|\n", role_name((enum role)role));
		for (size_t i = 0; i < fsm_rows; i++) {
			if (fsm_table[i].in != IN_ANY && (fsm_table[i].in & (1u << role)) != 0)
				print_row(&fsm_table[i]);
		}
		putchar('\n');
	}
	puts("## any role, where nothing above says otherwise\n\n| event | when | next | actions | why |\n|---|---|---|---|---|");
	for (size_t i = 0; i < fsm_rows; i++) {
		if (fsm_table[i].in == IN_ANY)
			print_row(&fsm_table[i]);
	}
	return 0;
}
