/*
 * tests/unit/test_level.c - which level events are so: laws over views of the world drawn by chance, 300,000 of them, and single cases.
 */
#include "supervisor/level.h"
#include "tests/unit/harness.h"

#define VIEWS 300000

static uint32_t chance;

static unsigned int
below(unsigned int n)
{
	chance = chance * 1664525u + 1013904223u;
	return (chance >> 8) % n;
}

static struct level_view
any(void)
{
	return (struct level_view){ .role = (enum role)below(ROLE_COUNT), .peer_role = (enum role)below(ROLE_COUNT),
		.peer_request = (enum beat_request)below(BEAT_ASK_COUNT), .holds = (enum fact)below(3), .peer_holds = (enum fact)below(3),
		.peer_newer = (enum fact)below(3), .heard = below(2), .left = below(2), .silent = below(2), .proven = below(2),
		.agreed = below(2), .claims = below(2), .peer_claims = below(2), .granted = below(2), .busy = below(2), .stalled = below(2),
		.mta_down = below(2), .interface_dead = below(2), .online = below(2), .failback_due = below(2) };
}

static enum fact
so(const struct level_view *v, enum fsm_event on)
{
	for (size_t i = 0; i < level_count; i++) {
		if (levels[i].on == on)
			return level_so(&levels[i], v);
	}
	ck_abort_msg("%s is not among them", fsm_event_name(on));
	return FACT_UNKNOWN;
}

START_TEST(each_level_event_of_the_table_is_among_them_once)
{
	int times[EV_COUNT] = { 0 };

	for (size_t i = 0; i < level_count; i++)
		times[levels[i].on]++;
	/* the command is given again to a standby that is started as one that was put away */
	for (enum fsm_event on = 0; on < EV_COUNT; on++)
		unit_must(times[on] == (fsm_event_is_level(on) || on == EV_OP_STANDBY), "%s: %d times", fsm_event_name(on), times[on]);
}
END_TEST

/* Else the simulator would find it, some day. */
START_TEST(nothing_is_offered_that_cannot_be_as_the_table_says)
{
	bool can[ROLE_COUNT][EV_COUNT] = { { false } };

	for (size_t i = 0; i < fsm_rows; i++) {
		for (int role = 0; role < ROLE_COUNT; role++)
			can[role][fsm_table[i].on] |= (fsm_table[i].in & 1u << role) != 0 && !fsm_row_never(&fsm_table[i]);
	}
	for (int n = 0; n < VIEWS; n++) {
		struct level_view v = any();

		for (size_t i = 0; i < level_count; i++) {
			if (level_so(&levels[i], &v) == FACT_YES)
				unit_must(can[v.role][levels[i].on], "%s is offered to one that is %s", fsm_event_name(levels[i].on),
				    role_name(v.role));
		}
	}
}
END_TEST

START_TEST(who_does_not_hear_the_peer_is_told_nothing_by_it)
{
	static const enum fsm_event words[] = { EV_PEER_HOLDS, EV_PEER_CLAIMS, EV_PEER_ASKS_FENCE, EV_PEER_ASKS_GIVE, EV_VACANT };

	for (int n = 0; n < VIEWS; n++) {
		struct level_view v = any();

		v.heard = false;
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			unit_must(so(&v, words[i]) == FACT_NO, "%s", fsm_event_name(words[i]));
	}
}
END_TEST

START_TEST(of_proven_silent_and_left_silence_says_the_least)
{
	for (int n = 0; n < VIEWS; n++) {
		struct level_view v = any();

		if (v.proven || v.left)
			unit_must(so(&v, EV_PEER_SILENT) == FACT_NO, "peer-silent is told of a peer that left or is proven gone");
		unit_must((so(&v, EV_PROOF) == FACT_YES) == v.proven, "proof is told %s", v.proven ? "not" : "without one");
	}
}
END_TEST

START_TEST(nobody_claims_what_was_agreed_or_claimed_already)
{
	for (int n = 0; n < VIEWS; n++) {
		struct level_view v = any();

		if (so(&v, EV_VACANT) == FACT_YES)
			ck_assert(!v.agreed && !v.claims && !v.peer_claims && v.holds == FACT_NO && v.peer_holds == FACT_NO && v.role == ROLE_STANDBY);
	}
}
END_TEST

START_TEST(what_is_worked_on_is_neither_good_nor_bad)
{
	struct level_view v = { .role = ROLE_ACTIVE, .online = true, .mta_down = true, .interface_dead = true, .stalled = true };
	static const enum fsm_event of_group[] = { EV_MTA_DOWN, EV_INTERFACE_DEAD, EV_SPOOL_STALLED };

	for (size_t i = 0; i < sizeof(of_group) / sizeof(of_group[0]); i++) {
		v.role = ROLE_ACTIVE;
		v.busy = false;
		ck_assert(so(&v, of_group[i]) == FACT_YES);
		v.busy = true;
		ck_assert(so(&v, of_group[i]) == FACT_UNKNOWN);
		v.role = ROLE_STANDBY;
		ck_assert(so(&v, of_group[i]) == FACT_NO);
	}
}
END_TEST

/* The peer failed to let go and does not know what it holds: an owner with an older tenure was robbed, one that begins was not. */
START_TEST(a_newer_tenure_counts_even_where_its_holder_cannot_tell)
{
	struct level_view v = { .role = ROLE_ACTIVE, .peer_role = ROLE_FAILED, .heard = true, .online = true, .peer_newer = FACT_YES };

	ck_assert(so(&v, EV_PEER_HOLDS) == FACT_YES);
	v.peer_newer = FACT_NO;
	ck_assert(so(&v, EV_PEER_HOLDS) == FACT_NO);
	v.peer_holds = FACT_YES;
	ck_assert(so(&v, EV_PEER_HOLDS) == FACT_YES);
	v.role = ROLE_ACQUIRING;
	ck_assert(so(&v, EV_PEER_HOLDS) == FACT_YES);
	v.peer_holds = FACT_UNKNOWN;
	v.peer_newer = FACT_YES;
	ck_assert(so(&v, EV_PEER_HOLDS) == FACT_NO);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("level");
	TCase *tc = tcase_create("level");

	chance = 1;
	tcase_add_test(tc, each_level_event_of_the_table_is_among_them_once);
	tcase_add_test(tc, nothing_is_offered_that_cannot_be_as_the_table_says);
	tcase_add_test(tc, who_does_not_hear_the_peer_is_told_nothing_by_it);
	tcase_add_test(tc, of_proven_silent_and_left_silence_says_the_least);
	tcase_add_test(tc, nobody_claims_what_was_agreed_or_claimed_already);
	tcase_add_test(tc, what_is_worked_on_is_neither_good_nor_bad);
	tcase_add_test(tc, a_newer_tenure_counts_even_where_its_holder_cannot_tell);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
