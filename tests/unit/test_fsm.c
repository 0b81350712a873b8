/*
 * tests/unit/test_fsm.c - laws over the whole table of decisions, not a copy of its rows. Where a law is about
 * facts, it is tried over every combination that a guard can tell apart.
 */
#include <stdlib.h>
#include <string.h>

#include "supervisor/fsm.h"
#include "tests/unit/harness.h"

/* A pseudo-random but fixed walk over the facts: enough to see every guard both ways. */
static struct facts
facts_number(unsigned int n)
{
	unsigned int x = n * 2654435761u + 12345u;
	struct facts f = { .peer_view = VIEW_UNSEEN };

#define TAKE(k) ((x = x * 1664525u + 1013904223u) >> 8) % (k)
	f.peer_view = (enum view)(TAKE(VIEW_COUNT));
	f.peer_gone = (enum fact)(TAKE(3));
	f.peer_holds = (enum fact)(TAKE(3));
	f.peer_newer = (enum fact)(TAKE(3));
	f.peer_can_take = (enum fact)(TAKE(3));
	f.claim_wins = (enum fact)(TAKE(3));
	f.elected = (enum fact)(TAKE(3));
	f.holds = (enum fact)(TAKE(3));
	f.healthy = (enum fact)(TAKE(3));
	f.disks = (enum fact)(TAKE(3));
	f.spool = (enum fact)(TAKE(3));
	f.automatic = TAKE(2);
	f.maintenance = TAKE(2);
	f.online = TAKE(2);
	f.gave_up = TAKE(2);
	f.can_fence = TAKE(2);
	f.hints = TAKE(2);
	f.doubtful = TAKE(2);
	f.services_stopped = TAKE(2);
	f.may_restart = TAKE(2);
	f.commanded = TAKE(2);
	f.may_verify = TAKE(2);
	f.spool_hangs = TAKE(2);
	f.stalls_left = TAKE(2);
	f.peer_can_fence = TAKE(2);
	f.intent = (enum intent)(TAKE(INTENT_COUNT));
#undef TAKE
	return f;
}

#define FACTS 4000

static bool
has_act(const struct fsm_row *row, enum fsm_act act)
{
	for (int i = 0; i < FSM_ACTS_MAX && row->acts[i] != ACT_NONE; i++) {
		if (row->acts[i] == act)
			return true;
	}
	return false;
}

static int
act_place(const struct fsm_row *row, enum fsm_act act)
{
	for (int i = 0; i < FSM_ACTS_MAX && row->acts[i] != ACT_NONE; i++) {
		if (row->acts[i] == act)
			return i;
	}
	return -1;
}

START_TEST(every_role_answers_every_event_whatever_the_facts)
{
	struct facts f = facts_number((unsigned int)_i);

	for (int role = 0; role < ROLE_COUNT; role++) {
		for (int ev = 0; ev < EV_COUNT; ev++)
			ck_assert_ptr_nonnull(fsm_match((enum role)role, (enum fsm_event)ev, &f));
	}
}
END_TEST

/* The first matching row decides; so behind an unguarded row of a role and event nothing can be reached. */
START_TEST(every_row_can_be_reached)
{
	const struct fsm_row *row = &fsm_table[_i];
	unsigned int left = row->in;

	for (int i = 0; i < _i; i++) {
		if (fsm_table[i].on == row->on && fsm_table[i].when == NULL)
			left &= ~fsm_table[i].in;
	}
	ck_assert_msg(left != 0, "row %d (%s) is hidden by those above it", _i, fsm_event_name(row->on));
}
END_TEST

START_TEST(every_guard_is_seen_true_and_false)
{
	const struct fsm_row *row = &fsm_table[_i];
	bool yes = row->when == NULL, no = row->when == NULL;

	for (unsigned int n = 0; n < FACTS; n++) {
		struct facts f = facts_number(n);

		if (row->when == NULL)
			break;
		if (row->when(&f))
			yes = true;
		else
			no = true;
	}
	ck_assert_msg(yes && no, "the guard of row %d (%s) is always the same", _i, row->when_text);
}
END_TEST

/* S2: silence, hints, a device without an answer, an operator's wish: none of them mounts anything on a standby. */
START_TEST(only_proof_or_agreement_lets_a_standby_mount)
{
	struct facts f = facts_number((unsigned int)_i);

	for (int role = 0; role < ROLE_COUNT; role++) {
		for (int ev = 0; ev < EV_COUNT; ev++) {
			const struct fsm_row *row = fsm_match((enum role)role, (enum fsm_event)ev, &f);

			if (!has_act(row, ACT_STORAGE_UP) && row->next != ROLE_ACQUIRING)
				continue;
			ck_assert(ev == EV_PROOF || ev == EV_AGREED);
			ck_assert_int_eq(role, ROLE_STANDBY);
			ck_assert(ev == EV_AGREED || f.peer_gone == FACT_YES);
			ck_assert(f.online && !f.gave_up && !f.maintenance);
			ck_assert(f.disks != FACT_NO);	/* S3: a tenure that cannot be noted does not begin */
		}
	}
}
END_TEST

START_TEST(a_takeover_that_nobody_ordered_needs_automatic)
{
	struct facts f = facts_number((unsigned int)_i);
	const struct fsm_row *row = fsm_match(ROLE_STANDBY, EV_PROOF, &f);

	if (row->next == ROLE_ACQUIRING)
		ck_assert(f.automatic || f.commanded);
}
END_TEST

START_TEST(nothing_is_fenced_or_moved_in_maintenance_unless_a_person_says_so)
{
	struct facts f = facts_number((unsigned int)_i);

	f.maintenance = true;
	for (int role = 0; role < ROLE_COUNT; role++) {
		for (int ev = 0; ev < EV_OP_GIVE; ev++) {
			const struct fsm_row *row = fsm_match((enum role)role, (enum fsm_event)ev, &f);

			ck_assert(!has_act(row, ACT_FENCE) && !has_act(row, ACT_FENCE_LATER));
			if (role == ROLE_ACTIVE && (ev == EV_INTERFACE_DEAD || ev == EV_PEER_ASKS_GIVE))
				ck_assert_int_eq(row->next, FSM_SAME);
			if (role == ROLE_ACTIVE && ev == EV_MTA_DOWN)
				ck_assert(!has_act(row, ACT_MTA_RESTART));
		}
	}
}
END_TEST

START_TEST(a_node_that_doubts_its_ownership_shoots_nobody)
{
	struct facts f = facts_number((unsigned int)_i);

	f.doubtful = true;
	for (int ev = 0; ev < EV_COUNT; ev++)
		ck_assert(!has_act(fsm_match(ROLE_ACTIVE, (enum fsm_event)ev, &f), ACT_FENCE));
}
END_TEST

/*
 * S3: the tenure is sealed before anything is started; the queue is looked at before anybody works on it; the mail
 * program listens before the address comes.
 */
START_TEST(the_way_up_is_storage_seal_binds_queue_mta_address)
{
	const struct fsm_row *row = &fsm_table[_i];
	static const enum fsm_act order[] = { ACT_STORAGE_UP, ACT_SEAL, ACT_BIND, ACT_QUEUE_CHECK, ACT_MTA_START,
	    ACT_ADDRESS_UP };
	int last = -1;

	if (row->next != ROLE_ACQUIRING)
		return;
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		int place = act_place(row, order[i]);

		ck_assert_msg(place > last, "%s is missing or out of order in row %d", fsm_act_name(order[i]), _i);
		last = place;
	}
}
END_TEST

START_TEST(the_way_down_drops_the_address_first_and_the_storage_last)
{
	const struct fsm_row *row = &fsm_table[_i];
	static const enum fsm_act order[] = { ACT_ADDRESS_DOWN, ACT_MTA_STOP, ACT_UNBIND, ACT_STORAGE_DOWN };
	int last = -1;

	if (row->next != ROLE_RELEASING)
		return;
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		int place = act_place(row, order[i]);

		ck_assert_msg(place > last, "%s is missing or out of order in row %d", fsm_act_name(order[i]), _i);
		last = place;
	}
	if (row->intent == INTENT_ROBBED && (row->in & (IN(JOINING) | IN(ACTIVE) | IN(ACQUIRING))) != 0)
		ck_assert_int_eq(act_place(row, ACT_ABANDON), 0);
}
END_TEST

START_TEST(what_cannot_let_go_never_says_that_it_did)
{
	struct facts f = facts_number((unsigned int)_i);
	const struct fsm_row *row = fsm_match(ROLE_RELEASING, EV_ACT_FAILED, &f);

	ck_assert_int_eq(row->next, ROLE_FAILED);
	ck_assert(has_act(row, ACT_ASK_FENCE) && !has_act(row, ACT_OFFER) && !has_act(row, ACT_GOODBYE));
	for (int ev = 0; ev < EV_COUNT; ev++) {
		row = fsm_match(ROLE_FAILED, (enum fsm_event)ev, &f);
		ck_assert(!has_act(row, ACT_OFFER) && !has_act(row, ACT_GRANT) && !has_act(row, ACT_GOODBYE));
	}
}
END_TEST

/* What is found mounted is adopted, let go, or stays with a node that says that it failed: it is never forgotten, and never used. */
START_TEST(what_is_found_mounted_without_a_right_is_let_go_or_asked_to_be_fenced)
{
	static const enum fsm_event found[] = { EV_FOUND_UNSEALED, EV_FOUND_THEIRS };
	struct facts f = facts_number((unsigned int)_i);

	for (size_t i = 0; i < 2; i++) {
		const struct fsm_row *row = fsm_match(ROLE_JOINING, found[i], &f);

		ck_assert_int_eq(row->next, f.maintenance ? ROLE_FAILED : ROLE_RELEASING);
		ck_assert_int_eq(has_act(row, ACT_ASK_FENCE), f.maintenance);
		ck_assert(!has_act(row, ACT_BIND) && !has_act(row, ACT_MTA_START) && !has_act(row, ACT_ADDRESS_UP));
	}
	ck_assert_int_eq(fsm_match(ROLE_JOINING, EV_FOUND_FOREIGN, &f)->next, ROLE_FAILED);
	ck_assert_int_eq(fsm_match(ROLE_JOINING, EV_FOUND_STUCK, &f)->next, ROLE_FAILED);
	ck_assert(has_act(fsm_match(ROLE_JOINING, EV_FOUND_STUCK, &f), ACT_ASK_FENCE));
}
END_TEST

START_TEST(the_owner_fences_a_peer_that_cannot_let_go_and_keeps_its_service)
{
	struct facts f = facts_number((unsigned int)_i);
	const struct fsm_row *row = fsm_match(ROLE_ACTIVE, EV_PEER_ASKS_FENCE, &f);

	ck_assert_int_eq(row->next, FSM_SAME);
	ck_assert_int_eq(has_act(row, ACT_FENCE), f.automatic && f.can_fence && !f.maintenance && !f.doubtful && f.peer_gone != FACT_YES);
	for (int i = 0; i < FSM_ACTS_MAX && row->acts[i] != ACT_NONE; i++)
		ck_assert(!fsm_act_is_group(row->acts[i]));
}
END_TEST

START_TEST(only_who_holds_nothing_grants_or_offers)
{
	struct facts f = facts_number((unsigned int)_i);

	for (int role = 0; role < ROLE_COUNT; role++) {
		for (int ev = 0; ev < EV_COUNT; ev++) {
			const struct fsm_row *row = fsm_match((enum role)role, (enum fsm_event)ev, &f);

			if (has_act(row, ACT_GRANT))
				ck_assert(f.holds == FACT_NO && (role == ROLE_JOINING || role == ROLE_STANDBY || role == ROLE_STOPPED));
			if (has_act(row, ACT_OFFER))
				ck_assert(role == ROLE_RELEASING && ev == EV_DONE);
		}
	}
}
END_TEST

/* S12: with the restart budget gone there is no row that restarts, and with a peer that cannot take none that moves. */
START_TEST(a_service_that_fails_on_both_nodes_ends_stopped)
{
	struct facts f = facts_number((unsigned int)_i);
	const struct fsm_row *row;

	f.may_restart = f.maintenance = f.services_stopped = f.spool_hangs = false;
	f.spool = FACT_YES;
	row = fsm_match(ROLE_ACTIVE, EV_MTA_DOWN, &f);
	ck_assert(!has_act(row, ACT_MTA_RESTART) && has_act(row, ACT_GAVE_UP));
	ck_assert_int_eq(row->intent, f.peer_can_take == FACT_YES && !f.doubtful ? INTENT_MOVE : INTENT_GIVE_UP);
	f.intent = INTENT_GIVE_UP;
	ck_assert_int_eq(fsm_match(ROLE_RELEASING, EV_DONE, &f)->next, ROLE_STOPPED);
}
END_TEST

/* The disk of the spool hangs: the owner gives way only to a peer that can take, and that can power it off where it cannot let go. */
START_TEST(a_stalled_spool_moves_only_where_the_move_can_end)
{
	struct facts f = facts_number((unsigned int)_i);
	const struct fsm_row *row = fsm_match(ROLE_ACTIVE, EV_SPOOL_STALLED, &f);
	bool may = !f.maintenance && !f.services_stopped && !f.doubtful && f.peer_can_take == FACT_YES && f.stalls_left &&
	    (!f.spool_hangs || f.peer_can_fence);

	ck_assert_int_eq(row->next, may ? ROLE_RELEASING : FSM_SAME);
	if (may)
		ck_assert(row->intent == INTENT_STALLED && act_place(row, ACT_ADDRESS_DOWN) == 0 && has_act(row, ACT_STORAGE_DOWN));
	else
		ck_assert_int_eq(row->acts[0], ACT_NONE);
	f.intent = INTENT_STALLED;
	ck_assert(has_act(fsm_match(ROLE_RELEASING, EV_DONE, &f), ACT_OFFER));
	ck_assert_int_eq(fsm_match(ROLE_FAILED, EV_SPOOL_BACK, &f)->next, ROLE_RELEASING);
}
END_TEST

/* It writes to the spool, and may wait for its disk: never where the disk may be ill, and never in the way of what is not planned. */
START_TEST(only_a_planned_move_from_a_spool_that_works_is_eased)
{
	struct facts f = facts_number((unsigned int)_i);

	for (int role = 0; role < ROLE_COUNT; role++) {
		for (int ev = 0; ev < EV_COUNT; ev++) {
			const struct fsm_row *row = fsm_match((enum role)role, (enum fsm_event)ev, &f);

			if (has_act(row, ACT_EASE))
				ck_assert(role == ROLE_ACTIVE && (ev == EV_OP_GIVE || ev == EV_PEER_ASKS_GIVE) && row->intent == INTENT_GIVE &&
				    f.spool == FACT_YES && act_place(row, ACT_EASE) == 0);
		}
	}
}
END_TEST

/* While the spool cannot be used its mail program is not blamed, and the standby is not shot. */
START_TEST(an_owner_that_cannot_use_the_spool_blames_nobody_else)
{
	struct facts f = facts_number((unsigned int)_i);

	f.spool = FACT_NO;
	ck_assert_int_eq(fsm_match(ROLE_ACTIVE, EV_MTA_DOWN, &f)->next, FSM_SAME);
	ck_assert(!has_act(fsm_match(ROLE_ACTIVE, EV_MTA_DOWN, &f), ACT_MTA_RESTART));
	ck_assert(!has_act(fsm_match(ROLE_ACTIVE, EV_PEER_SILENT, &f), ACT_FENCE));
}
END_TEST

/* S12: who has given way too often neither gives way again nor powers the other off for it. */
START_TEST(a_storage_that_fails_on_both_nodes_does_not_make_them_shoot_each_other_for_ever)
{
	struct facts f = facts_number((unsigned int)_i);

	f.stalls_left = false;
	ck_assert_int_eq(fsm_match(ROLE_ACTIVE, EV_SPOOL_STALLED, &f)->next, FSM_SAME);
	ck_assert(!has_act(fsm_match(ROLE_STANDBY, EV_PEER_ASKS_FENCE, &f), ACT_FENCE));
}
END_TEST

START_TEST(a_newer_tenure_of_the_peer_makes_the_owner_let_go_without_writing)
{
	struct facts f = facts_number((unsigned int)_i);
	const struct fsm_row *row;

	f.peer_newer = FACT_YES;
	row = fsm_match(ROLE_ACTIVE, EV_PEER_HOLDS, &f);
	ck_assert_int_eq(row->next, ROLE_RELEASING);
	ck_assert_int_eq(row->acts[0], ACT_ABANDON);
}
END_TEST

START_TEST(every_row_has_its_sentence_and_every_name_a_word)
{
	ck_assert_ptr_nonnull(fsm_table[_i].why);
	ck_assert_uint_gt(strlen(fsm_table[_i].why), 3);
	for (int ev = 0; ev < EV_COUNT; ev++)
		ck_assert_uint_gt(strlen(fsm_event_name((enum fsm_event)ev)), 2);
	for (int act = 1; act < ACT_COUNT; act++)
		ck_assert_uint_gt(strlen(fsm_act_name((enum fsm_act)act)), 2);
}
END_TEST

START_TEST(a_row_that_only_completes_the_table_does_nothing_and_stands_last)
{
	const struct fsm_row *row = &fsm_table[_i];

	if (!fsm_row_never(row))
		return;
	ck_assert_str_eq(row->when_text, FSM_NEVER);
	ck_assert_uint_eq(row->in, IN_ANY);
	ck_assert_int_eq(row->next, FSM_SAME);
	ck_assert_int_eq(row->acts[0], ACT_NONE);
}
END_TEST

START_TEST(who_ends_before_it_knows_what_it_holds_says_no_goodbye)
{
	struct facts f = facts_number((unsigned int)_i);

	ck_assert_int_eq(has_act(fsm_match(ROLE_JOINING, EV_OP_LEAVE, &f), ACT_GOODBYE), f.holds == FACT_NO);
	ck_assert(has_act(fsm_match(ROLE_JOINING, EV_OP_LEAVE, &f), ACT_EXIT));
}
END_TEST

/* A level event comes again at every turn: a row that stays may only do what does no harm when done again. */
START_TEST(level_events_that_stay_do_only_what_may_be_repeated)
{
	const struct fsm_row *row = &fsm_table[_i];

	if (!fsm_event_is_level(row->on) || row->next != FSM_SAME)
		return;
	ck_assert(!has_act(row, ACT_OFFER) && !has_act(row, ACT_GAVE_UP) && !has_act(row, ACT_EXIT) && !has_act(row, ACT_RETRY_LATER));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("fsm");
	TCase *rows = tcase_create("rows"), *facts = tcase_create("facts");
	int n = (int)fsm_rows;

	tcase_add_loop_test(rows, every_row_can_be_reached, 0, n);
	tcase_add_loop_test(rows, every_guard_is_seen_true_and_false, 0, n);
	tcase_add_loop_test(rows, the_way_up_is_storage_seal_binds_queue_mta_address, 0, n);
	tcase_add_loop_test(rows, the_way_down_drops_the_address_first_and_the_storage_last, 0, n);
	tcase_add_loop_test(rows, every_row_has_its_sentence_and_every_name_a_word, 0, n);
	tcase_add_loop_test(rows, a_row_that_only_completes_the_table_does_nothing_and_stands_last, 0, n);
	tcase_add_loop_test(rows, level_events_that_stay_do_only_what_may_be_repeated, 0, n);
	tcase_add_loop_test(facts, only_a_planned_move_from_a_spool_that_works_is_eased, 0, 400);
	tcase_add_loop_test(facts, a_stalled_spool_moves_only_where_the_move_can_end, 0, 400);
	tcase_add_loop_test(facts, an_owner_that_cannot_use_the_spool_blames_nobody_else, 0, 200);
	tcase_add_loop_test(facts, a_storage_that_fails_on_both_nodes_does_not_make_them_shoot_each_other_for_ever, 0, 200);
	tcase_add_loop_test(facts, every_role_answers_every_event_whatever_the_facts, 0, 200);
	tcase_add_loop_test(facts, only_proof_or_agreement_lets_a_standby_mount, 0, 200);
	tcase_add_loop_test(facts, a_takeover_that_nobody_ordered_needs_automatic, 0, 200);
	tcase_add_loop_test(facts, nothing_is_fenced_or_moved_in_maintenance_unless_a_person_says_so, 0, 200);
	tcase_add_loop_test(facts, a_node_that_doubts_its_ownership_shoots_nobody, 0, 200);
	tcase_add_loop_test(facts, what_cannot_let_go_never_says_that_it_did, 0, 200);
	tcase_add_loop_test(facts, what_is_found_mounted_without_a_right_is_let_go_or_asked_to_be_fenced, 0, 200);
	tcase_add_loop_test(facts, the_owner_fences_a_peer_that_cannot_let_go_and_keeps_its_service, 0, 200);
	tcase_add_loop_test(facts, who_ends_before_it_knows_what_it_holds_says_no_goodbye, 0, 200);
	tcase_add_loop_test(facts, only_who_holds_nothing_grants_or_offers, 0, 200);
	tcase_add_loop_test(facts, a_service_that_fails_on_both_nodes_ends_stopped, 0, 200);
	tcase_add_loop_test(facts, a_newer_tenure_of_the_peer_makes_the_owner_let_go_without_writing, 0, 200);
	suite_add_tcase(suite, rows);
	suite_add_tcase(suite, facts);
	return unit_main_pure(suite);
}
