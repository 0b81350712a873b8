/*
 * tests/unit/test_exim_queue.c - the names in Exim's spool.
 */
#include <string.h>

#include "mta/exim_queue.h"
#include "tests/unit/harness.h"

#define ID "1xUsW9-0002fS-1c"
#define LONG "1vaBcD-00000001Abz-0C4u"
#define NONE ((enum exim_part)99)

static const struct { enum exim_holds holds; const char *name; enum exim_part part; const char *id; } names[] = {
	{ EXIM_HOLDS_INPUT, ID "-H", EXIM_PART_HEADER, ID },
	{ EXIM_HOLDS_INPUT, LONG "-D", EXIM_PART_DATA, LONG },
	{ EXIM_HOLDS_INPUT, ID "-J", EXIM_PART_JOURNAL, ID },
	{ EXIM_HOLDS_INPUT, ID "-K", EXIM_PART_LEFT, ID },
	{ EXIM_HOLDS_INPUT, LONG "-4711-K", EXIM_PART_LEFT, LONG },
	{ EXIM_HOLDS_INPUT, "hdr." ID, EXIM_PART_LEFT, ID },
	{ EXIM_HOLDS_INPUT, "hdr." LONG, EXIM_PART_LEFT, LONG },
	{ EXIM_HOLDS_INPUT, "hdr.4711", EXIM_PART_LEFT, "" },
	{ EXIM_HOLDS_INPUT, ID, NONE, "" },
	{ EXIM_HOLDS_INPUT, ID "-", NONE, "" },
	{ EXIM_HOLDS_INPUT, ID "-HH", NONE, "" },
	{ EXIM_HOLDS_INPUT, ID "-h", NONE, "" },
	{ EXIM_HOLDS_INPUT, ID "-47x-K", NONE, "" },
	{ EXIM_HOLDS_INPUT, ID "--K", NONE, "" },
	{ EXIM_HOLDS_INPUT, "hdr.", NONE, "" },
	{ EXIM_HOLDS_INPUT, "hdr.47x", NONE, "" },
	{ EXIM_HOLDS_INPUT, "1xUsW9-0002fS-1!-H", NONE, "" },
	{ EXIM_HOLDS_INPUT, "9", NONE, "" },
	{ EXIM_HOLDS_LOGS, ID, EXIM_PART_LOG, ID },
	{ EXIM_HOLDS_LOGS, ID "-4711-0", EXIM_PART_LEFT, ID },
	{ EXIM_HOLDS_LOGS, ID "-4711-", NONE, "" },
	{ EXIM_HOLDS_LOGS, ID "-4711", NONE, "" },
	{ EXIM_HOLDS_LOGS, ID "-H", NONE, "" },
	{ EXIM_HOLDS_HINTS, "retry", EXIM_PART_HINTS, "" },
	{ EXIM_HOLDS_HINTS, "retry.lockfile", EXIM_PART_LOCK, "" },
	{ EXIM_HOLDS_HINTS, ".lockfile", EXIM_PART_HINTS, "" },
	{ EXIM_HOLDS_SCAN, "anything", EXIM_PART_LEFT, "" },
};

START_TEST(a_name_is_a_part_of_a_message_or_none)
{
	enum exim_part part = NONE;
	struct exim_id id = { 0, 0 };
	char buf[EXIM_ID_SIZE] = "";
	bool known = exim_name(names[_i].holds, names[_i].name, &part, &id);

	ck_assert_msg(known == (names[_i].part != NONE), "%s", names[_i].name);
	ck_assert_msg(part == names[_i].part, "%s: %d", names[_i].name, (int)part);
	ck_assert_str_eq(id.hi != 0 ? exim_id_print(id, buf) : "", names[_i].id);
}
END_TEST

START_TEST(a_kind_keeps_what_it_was_made_of)
{
	for (unsigned int queue = 0; queue < EXIM_QUEUES; queue++) {
		for (int holds = EXIM_HOLDS_INPUT; holds <= EXIM_HOLDS_OLD_LOGS; holds++) {
			uint8_t kind = exim_kind((enum exim_holds)holds, queue);

			ck_assert_int_eq((int)exim_holds(kind), holds);
			ck_assert_uint_eq(exim_queue_number(kind), queue);
		}
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("exim_queue");
	TCase *tc = tcase_create("names");

	tcase_add_loop_test(tc, a_name_is_a_part_of_a_message_or_none, 0, sizeof names / sizeof names[0]);
	tcase_add_test(tc, a_kind_keeps_what_it_was_made_of);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
