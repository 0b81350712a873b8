/*
 * tests/unit/test_why.c - "why": what it names must be what the table's guards really want; and "replay": the verdict on a
 * recorded change of role.
 */
#include <stdio.h>
#include <string.h>

#include "supervisor/replay.h"
#include "supervisor/why.h"
#include "tests/unit/harness.h"

/* A fixed walk over the facts that why knows, both ways each. */
static struct facts
facts_number(int n)
{
	struct facts f = { .peer_view = VIEW_SILENT };

	for (int i = 0; i < WHY_COUNT; i++) {
		if ((n >> i & 1) != 0)
			why_set(&f, NULL, (enum why_need)i);
	}
	if ((n & 1 << WHY_NOT_FAILED) == 0)
		f.gave_up = true;
	if ((n & 1 << WHY_NO_MAINTENANCE) == 0)
		f.maintenance = true;
	if ((n & 1 << WHY_HEALTHY) == 0)
		f.healthy = FACT_NO;
	if ((n & 1 << WHY_NOT_DOUBTFUL) == 0)
		f.doubtful = true;
	if ((n & 1 << WHY_DISKS) == 0)
		f.disks = FACT_NO;
	/* asked for only where the spool hangs */
	f.spool_hangs = (n & 1 << WHY_PEER_CAN_FENCE) == 0;
	return f;
}

/* Behind a row that eases the unmount beforehand stands one that hands over without that: only that one decides. */
static bool
leads_to_owning(const struct fsm_row *row)
{
	if (row->acts[0] == ACT_EASE)
		return false;
	return row->next == ROLE_ACQUIRING || ((row->on == EV_OP_GIVE || row->on == EV_SPOOL_STALLED) && row->next == ROLE_RELEASING);
}

static struct why_facts
standby(const struct facts *facts)
{
	struct why_facts w = { .node = "mx2", .peer = "mx1", .role = ROLE_STANDBY, .peer_role = ROLE_ACTIVE, .silent = true,
		.looked = true, .facts = *facts, .tenure = 7 };

	return w;
}

static struct facts
all_well(void)
{
	return facts_number((1 << WHY_COUNT) - 1);
}

static bool
says(const struct why *y, const char *text)
{
	for (size_t i = 0; i < y->againsts; i++) {
		if (strstr(y->against[i].text, text) != NULL && y->against[i].change[0] != '\0')
			return true;
	}
	return false;
}

/* Every SHARE-th of all combinations from _i on: one process for each would take long. */
#define SHARE 64
#define EACH(n) for (int n = _i; n < 1 << WHY_COUNT; n += SHARE)

START_TEST(a_row_lacks_nothing_exactly_where_its_guard_is_true)
{
	EACH(n) {
		struct facts f = facts_number(n);

		for (size_t i = 0; i < fsm_rows; i++) {
			const struct fsm_row *row = &fsm_table[i];

			if (leads_to_owning(row) && row->when != NULL && (why_missing(row, &f) == 0) != row->when(&f))
				ck_abort_msg("row %zu: %s", i, row->why);
		}
	}
}
END_TEST

static void
name_what_is_needed(struct facts f)
{
	for (size_t i = 0; i < fsm_rows; i++) {
		const struct fsm_row *row = &fsm_table[i];
		unsigned int missing = why_missing(row, &f);

		if (!leads_to_owning(row) || row->when == NULL || missing == 0)
			continue;
		for (int left = -1; left < WHY_COUNT; left++) {
			struct facts mended = f;

			for (int n = 0; n < WHY_COUNT; n++) {
				if (n != left && (missing & 1u << n) != 0)
					why_set(&mended, NULL, (enum why_need)n);
			}
			if (row->when(&mended) != (left == -1 || (missing & 1u << left) == 0))
				ck_abort_msg("row %zu, without need %d", i, left);
		}
	}
}

START_TEST(what_is_named_is_enough_and_each_of_it_is_needed)
{
	EACH(n)
		name_what_is_needed(facts_number(n));
}
END_TEST

START_TEST(a_standby_hears_nothing_against_it_only_where_proof_would_let_it_own)
{
	EACH(n) {
		struct facts f = facts_number(n);
		struct why_facts w = standby(&f);
		struct why y;

		why_explain(&w, "", &y);
		if ((y.againsts == 0) != (fsm_match(ROLE_STANDBY, EV_PROOF, &f)->next == ROLE_ACQUIRING))
			ck_abort_msg("combination %d", n);
	}
}
END_TEST

START_TEST(silence_without_an_answer_is_said_to_be_no_proof)
{
	struct facts f = all_well();
	struct why_facts w;
	struct why y;

	f.peer_gone = FACT_UNKNOWN;
	w = standby(&f);
	why_explain(&w, "", &y);
	ck_assert_uint_eq(y.againsts, 1);
	ck_assert(says(&y, "silence is no proof"));
	f.can_fence = false;
	w = standby(&f);
	why_explain(&w, "", &y);
	ck_assert_uint_eq(y.againsts, 2);
	ck_assert(says(&y, "no fence device for mx1"));
}
END_TEST

START_TEST(what_an_operator_switched_off_is_named_with_the_command_that_ends_it)
{
	struct facts f = all_well();
	struct why_facts w;
	struct why y;

	f.online = f.automatic = false;
	f.maintenance = f.gave_up = true;
	w = standby(&f);
	w.role = ROLE_STOPPED;
	w.maintenance_there = w.failed_for_good = true;
	why_explain(&w, "", &y);
	ck_assert_uint_eq(y.againsts, 4);
	ck_assert(says(&y, "kept from owning by the operator"));
	ck_assert(says(&y, "the service failed on mx2"));
	ck_assert(says(&y, "maintenance is on (set on mx1)"));
	ck_assert(says(&y, "automatic takeover is off"));
	ck_assert_str_eq(y.against[0].change, "'mailpair online' on mx2");
}
END_TEST

START_TEST(a_living_owner_stands_against_a_takeover)
{
	struct facts f = all_well();
	struct why_facts w;
	struct why y;

	f.peer_gone = FACT_NO;
	f.peer_holds = FACT_YES;
	w = standby(&f);
	w.heard = true;
	w.silent = false;
	why_explain(&w, "", &y);
	ck_assert_uint_eq(y.againsts, 1);
	ck_assert(says(&y, "mx1 is heard (active) and holds the spool"));
}
END_TEST

START_TEST(the_owner_is_told_what_stands_against_handing_over)
{
	struct facts f = all_well();
	struct why_facts w;
	struct why y;

	w = standby(&f);
	w.role = ROLE_ACTIVE;
	why_explain(&w, "", &y);
	ck_assert_uint_eq(y.againsts, 0);
	ck_assert_ptr_nonnull(strstr(y.nothing, "'mailpair switchover'"));
	w.facts.peer_can_take = FACT_NO;
	memcpy(w.peer_cannot, "mx1 is stopped", sizeof("mx1 is stopped"));
	why_explain(&w, "", &y);
	ck_assert_uint_eq(y.againsts, 1);
	ck_assert(says(&y, "mx1 is stopped"));
}
END_TEST

START_TEST(an_owner_whose_spool_hangs_is_told_so_and_what_stands_against_a_takeover)
{
	struct facts f = all_well();
	struct why_facts w = standby(&f);
	char text[4000];
	struct why y;

	w.role = ROLE_ACTIVE;
	w.stall_s = 30;
	w.facts.spool = FACT_NO;
	w.facts.spool_hangs = true;
	snprintf(w.disks, sizeof(w.disks), "the disk of /srv/mail has answered nothing");
	why_explain(&w, "", &y);
	ck_assert_uint_eq(y.againsts, 0);
	ck_assert_ptr_nonnull(strstr(y.nothing, "for 30 s, mx1 takes over"));
	why_text(&w, &y, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "the disk of /srv/mail has answered nothing"));
	w.facts.peer_can_fence = w.facts.stalls_left = false;
	why_explain(&w, "", &y);
	ck_assert_uint_eq(y.againsts, 2);
	ck_assert(says(&y, "mx1 could not power it off"));
	ck_assert(says(&y, "mx1 did no better"));
	w.role = ROLE_STANDBY;
	w.facts = all_well();
	w.facts.disks = FACT_NO;
	why_explain(&w, "", &y);
	ck_assert_uint_eq(y.againsts, 1);
	ck_assert(says(&y, "the disk of /srv/mail has answered nothing"));
}
END_TEST

START_TEST(the_documents_are_whole_and_their_lists_equally_long)
{
	static const struct fsm_row row = { .why = "the \"row\"" };
	struct facts f = facts_number(0);
	struct why_facts w = standby(&f);
	struct why y;
	char text[16384], json[16384], cut[40];
	size_t len;

	w.entered = (struct why_entered){ .row = &row, .on = EV_PROOF, .from = ROLE_JOINING, .kind = "takeover", .reason = "it is off" };
	why_explain(&w, "2026-11-22T00:00:00Z", &y);
	len = why_json(&w, &y, json, sizeof(json));
	ck_assert_uint_eq(len, strlen(json));
	ck_assert_uint_eq(len, why_json(&w, &y, NULL, 0));
	ck_assert_uint_eq(len, why_json(&w, &y, cut, sizeof(cut)));
	ck_assert_ptr_nonnull(strstr(json, "\"because\": \"joining -> standby (proof): the \\\"row\\\"; by takeover: it is off\""));
	len = why_text(&w, &y, text, sizeof(text));
	ck_assert_uint_eq(len, strlen(text));
	ck_assert_uint_eq(len, why_text(&w, &y, cut, sizeof(cut)));
	ck_assert_ptr_nonnull(strstr(text, "since 2026-11-22T00:00:00Z"));
}
END_TEST

/* ---------------------------------------------------------------- replay */

static enum replay_verdict
judge(const char *event, const char *from, const char *to, struct replay_answer *ret)
{
	struct replay_step s = { .at = "T" };

	snprintf(s.event, sizeof(s.event), "%s", event);
	snprintf(s.from, sizeof(s.from), "%s", from);
	snprintf(s.to, sizeof(s.to), "%s", to);
	replay_judge(&s, ret);
	return ret->verdict;
}

START_TEST(every_row_of_the_table_replays_as_the_same)
{
	const struct fsm_row *row = &fsm_table[_i];
	struct replay_answer a;

	for (int r = 0; r < ROLE_COUNT; r++) {
		bool first = true;

		/* a row behind one without a guard is never matched */
		for (int i = 0; i < _i; i++)
			first = first && !(fsm_table[i].on == row->on && (fsm_table[i].in & 1u << r) != 0 && fsm_table[i].when == NULL);
		if ((row->in & 1u << r) == 0 || !first)
			continue;
		ck_assert_int_eq(judge(fsm_event_name(row->on), role_name((enum role)r),
		    role_name(row->next == FSM_SAME ? (enum role)r : (enum role)row->next), &a), REPLAY_SAME);
	}
}
END_TEST

START_TEST(a_takeover_on_silence_alone_would_be_decided_otherwise)
{
	struct replay_answer a;

	ck_assert_int_eq(judge("peer-silent", "standby", "acquiring", &a), REPLAY_OTHER);
	ck_assert_uint_eq(a.others, 2);
	ck_assert_int_eq(judge("moonrise", "standby", "acquiring", &a), REPLAY_UNKNOWN);
	ck_assert_str_eq(a.unknown, "moonrise");
	ck_assert_int_eq(judge("proof", "standby", "owner", &a), REPLAY_UNKNOWN);
	ck_assert_str_eq(a.unknown, "owner");
}
END_TEST

START_TEST(a_line_that_is_written_is_read_as_it_was)
{
	struct replay_step s = { .at = "2026-11-22T00:00:00.123Z", .tenure = "7", .event = "proof", .from = "standby", .to = "acquiring",
		.text = "two\tfields\nor lines" }, back;
	char line[1024], cut[20];
	bool state = false;
	struct err err;
	size_t len = replay_line(&s, line, sizeof(line));

	ck_assert_uint_eq(len, strlen(line));
	ck_assert_uint_eq(len, replay_line(&s, cut, sizeof(cut)));
	ck_assert(replay_parse(line, &back, &state, &err));
	ck_assert(state);
	ck_assert_str_eq(back.at, s.at);
	ck_assert_str_eq(back.to, "acquiring");
	ck_assert_str_eq(back.text, "two fields or lines");
	ck_assert(replay_parse("# a comment\n", &back, &state, &err) && !state);
	ck_assert(!replay_parse("state\tT\t7\tproof\n", &back, &state, &err));
	ck_assert(!replay_parse("{}\n", &back, &state, &err));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("why");
	TCase *t = tcase_create("why");

	tcase_add_loop_test(t, a_row_lacks_nothing_exactly_where_its_guard_is_true, 0, SHARE);
	tcase_add_loop_test(t, what_is_named_is_enough_and_each_of_it_is_needed, 0, SHARE);
	tcase_add_loop_test(t, a_standby_hears_nothing_against_it_only_where_proof_would_let_it_own, 0, SHARE);
	tcase_add_test(t, silence_without_an_answer_is_said_to_be_no_proof);
	tcase_add_test(t, what_an_operator_switched_off_is_named_with_the_command_that_ends_it);
	tcase_add_test(t, a_living_owner_stands_against_a_takeover);
	tcase_add_test(t, the_owner_is_told_what_stands_against_handing_over);
	tcase_add_test(t, an_owner_whose_spool_hangs_is_told_so_and_what_stands_against_a_takeover);
	tcase_add_test(t, the_documents_are_whole_and_their_lists_equally_long);
	tcase_add_loop_test(t, every_row_of_the_table_replays_as_the_same, 0, (int)fsm_rows);
	tcase_add_test(t, a_takeover_on_silence_alone_would_be_decided_otherwise);
	tcase_add_test(t, a_line_that_is_written_is_read_as_it_was);
	suite_add_tcase(suite, t);
	return unit_main(suite);
}
