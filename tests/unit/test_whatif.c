/*
 * tests/unit/test_whatif.c - "whatif": the steps must be the table's, nothing may be guessed, and what the caller says must
 * be carried out as the engine would.
 */
#include <string.h>

#include "supervisor/whatif.h"
#include "tests/unit/harness.h"

static struct whatif out;

static struct whatif_world
standby(void)
{
	struct whatif_world w = { .node = "mx2", .peer = "mx1", .link = { "cross", "lan" }, .link_up = { true, true }, .links = 2,
		.role = ROLE_STANDBY, .peer_role = ROLE_ACTIVE, .well = FACT_YES, .heard = true };

	w.facts = (struct facts){ .peer_view = VIEW_ALIVE, .peer_gone = FACT_NO, .peer_holds = FACT_YES, .peer_newer = FACT_NO,
		.peer_can_take = FACT_NO, .claim_wins = FACT_NO, .elected = FACT_NO, .holds = FACT_NO, .healthy = FACT_YES,
		.automatic = true, .online = true, .can_fence = true, .may_restart = true, .may_verify = true, .disks = FACT_YES, .stalls_left = true, .peer_can_fence = true };
	return w;
}

static struct whatif_world
active(void)
{
	struct whatif_world w = standby();

	w.role = ROLE_ACTIVE;
	w.peer_role = ROLE_STANDBY;
	w.facts.holds = w.facts.peer_can_take = FACT_YES;
	w.facts.peer_holds = FACT_NO;
	return w;
}

/* The role in the end. */
static enum role
after(struct whatif_world w, const char *events)
{
	struct err err = { .text = "" };

	ck_assert_msg(whatif_run(&w, events, &out, &err), "%s", err.text);
	ck_assert_int_eq(out.from, w.role);
	return out.to;
}

static bool
does(enum fsm_act act)
{
	for (size_t i = 0; i < out.steps; i++) {
		for (int a = 0; out.step[i].row != NULL && a < FSM_ACTS_MAX; a++) {
			if (out.step[i].row->acts[a] == act)
				return true;
		}
	}
	return false;
}

/* The last step has a branch to this role. */
static bool
may_lead_to(enum role role)
{
	for (size_t s = 0; s < out.steps; s++) {
		for (size_t i = 0; i < out.step[s].branches; i++) {
			if (out.step[s].branch[i].to == role && out.step[s].branch[i].row != NULL)
				return true;
		}
	}
	return false;
}

START_TEST(silence_alone_never_takes_but_the_answer_off_does)
{
	ck_assert_int_eq(after(standby(), "peer silent"), ROLE_STANDBY);
	ck_assert(does(ACT_ASK_POWER));
	ck_assert(may_lead_to(ROLE_ACQUIRING));
	ck_assert_int_eq(after(standby(), "peer power off"), ROLE_ACQUIRING);
	ck_assert(may_lead_to(ROLE_ACTIVE));
	ck_assert(may_lead_to(ROLE_RELEASING));
	ck_assert_int_eq(after(standby(), "peer power off; actions succeed"), ROLE_ACTIVE);
	ck_assert_int_eq(after(standby(), "peer power off; action fails"), ROLE_RELEASING);
}
END_TEST

START_TEST(a_fence_device_that_does_not_answer_proves_nothing)
{
	ck_assert_int_eq(after(standby(), "peer power unknown; peer silent"), ROLE_STANDBY);
	ck_assert(does(ACT_FENCE));
	ck_assert(does(ACT_RETRY_LATER));
	ck_assert_int_eq(after(standby(), "peer silent; peer power unknown"), ROLE_STANDBY);
	ck_assert(does(ACT_RETRY_LATER));
}
END_TEST

START_TEST(a_peer_with_power_is_shot_before_the_spool_is_taken)
{
	ck_assert_int_eq(after(standby(), "peer power on; peer silent"), ROLE_ACQUIRING);
	ck_assert(does(ACT_FENCE));
	ck_assert_str_eq(fsm_event_name(out.step[out.steps - 1].on), "proof");
}
END_TEST

START_TEST(without_a_fence_device_only_the_operators_word_counts)
{
	struct whatif_world w = standby();

	w.facts.can_fence = false;
	ck_assert_int_eq(after(w, "peer power off"), ROLE_STANDBY);
	ck_assert_int_eq(after(w, "peer power off;operator confirm-dead"), ROLE_ACQUIRING);
	ck_assert_int_eq(after(w, "operator confirm-dead"), ROLE_STANDBY);	/* it is heard: refused */
}
END_TEST

START_TEST(what_forbids_a_takeover_forbids_it_here_as_well)
{
	ck_assert_int_eq(after(standby(), "maintenance on; peer power off"), ROLE_STANDBY);
	ck_assert(!does(ACT_ASK_POWER));
	ck_assert_int_eq(after(standby(), "maintenance on; peer power off; maintenance off"), ROLE_ACQUIRING);
	ck_assert_int_eq(after(standby(), "automatic off; peer power off"), ROLE_STANDBY);
	ck_assert_int_eq(after(standby(), "operator standby; peer power off"), ROLE_STOPPED);
}
END_TEST

START_TEST(one_link_of_two_decides_nothing_and_the_last_one_does)
{
	ck_assert_int_eq(after(standby(), "link cross down"), ROLE_STANDBY);
	ck_assert_uint_eq(out.steps, 1);
	ck_assert_ptr_null(out.step[0].row);
	ck_assert_ptr_nonnull(strstr(out.step[0].note, "still heard on lan"));
	after(standby(), "link cross down; link lan down");
	ck_assert(does(ACT_FENCE_LATER));
	after(standby(), "all links down");
	ck_assert(does(ACT_FENCE_LATER));
}
END_TEST

START_TEST(an_owner_goes_on_without_its_standby_and_shoots_first)
{
	ck_assert_int_eq(after(active(), "all links down"), ROLE_ACTIVE);
	ck_assert(does(ACT_FENCE));
	ck_assert_int_eq(after(active(), "peer leaves"), ROLE_ACTIVE);
	ck_assert(!does(ACT_FENCE));
	ck_assert_int_eq(after(active(), "peer power off; peer heard"), ROLE_ACTIVE);
	ck_assert(!does(ACT_ALERT));
}
END_TEST

START_TEST(a_dead_mta_is_restarted_and_moved_when_that_is_used_up)
{
	ck_assert_int_eq(after(active(), "mta dead"), ROLE_ACTIVE);
	ck_assert(does(ACT_MTA_RESTART));
	ck_assert_int_eq(after(active(), "mta dead for good"), ROLE_RELEASING);
	ck_assert(does(ACT_GAVE_UP));
	ck_assert_int_eq(after(active(), "mta dead for good; actions succeed"), ROLE_STANDBY);
	ck_assert_int_eq(after(active(), "peer silent; mta dead for good; actions succeed"), ROLE_STOPPED);
	ck_assert_int_eq(after(active(), "maintenance on; mta dead"), ROLE_ACTIVE);
	ck_assert(!does(ACT_MTA_RESTART));
}
END_TEST

START_TEST(a_stalled_spool_moves_to_a_peer_that_can_and_its_disk_lets_go_when_it_is_back)
{
	struct whatif_world w = active();

	ck_assert_int_eq(after(w, "spool stalled"), ROLE_RELEASING);
	ck_assert_int_eq(after(w, "spool stalled; action fails"), ROLE_FAILED);
	ck_assert(does(ACT_ASK_FENCE));
	ck_assert_int_eq(after(w, "spool stalled; action fails; spool answers; actions succeed"), ROLE_STANDBY);
	ck_assert_int_eq(after(w, "maintenance on; spool stalled"), ROLE_ACTIVE);
	ck_assert_int_eq(after(w, "state disk stalled"), ROLE_ACTIVE);
	w.facts.peer_can_fence = false;
	ck_assert_int_eq(after(w, "spool stalled"), ROLE_ACTIVE);
	ck_assert_int_eq(after(standby(), "state disk stalled; peer silent; operator confirm-dead"), ROLE_STANDBY);
	ck_assert_int_eq(after(standby(), "state disk stalled; peer silent; operator confirm-dead; state disk answers"), ROLE_ACQUIRING);
	ck_assert_int_eq(after(standby(), "spool stalled; peer agrees"), ROLE_STANDBY);
}
END_TEST

START_TEST(a_dead_interface_moves_only_where_the_peer_can_take)
{
	ck_assert_int_eq(after(active(), "interface dead"), ROLE_RELEASING);
	ck_assert_int_eq(after(active(), "peer silent; interface dead"), ROLE_ACTIVE);
}
END_TEST

START_TEST(an_unwell_standby_agrees_to_nothing_but_tries_when_the_peer_is_gone)
{
	ck_assert_int_eq(after(standby(), "interface dead; peer agrees"), ROLE_STANDBY);
	ck_assert_int_eq(after(standby(), "interface dead; peer silent; operator confirm-dead"), ROLE_ACQUIRING);
}
END_TEST

START_TEST(a_switchover_runs_to_its_end_on_either_side)
{
	ck_assert_int_eq(after(active(), "operator switchover"), ROLE_RELEASING);
	ck_assert_int_eq(after(active(), "operator switchover; actions succeed"), ROLE_STANDBY);
	ck_assert_int_eq(after(active(), "operator switchover; action fails"), ROLE_FAILED);
	ck_assert(does(ACT_ASK_FENCE));
	ck_assert_int_eq(after(standby(), "operator switchover"), ROLE_STANDBY);
	ck_assert(may_lead_to(ROLE_ACQUIRING));
	ck_assert_int_eq(after(standby(), "operator switchover; peer agrees; actions succeed"), ROLE_ACTIVE);
	ck_assert_int_eq(after(active(), "maintenance on; operator switchover"), ROLE_ACTIVE);
}
END_TEST

START_TEST(an_owner_that_stood_still_looks_before_it_is_sure)
{
	ck_assert_int_eq(after(active(), "node paused"), ROLE_ACTIVE);
	ck_assert(does(ACT_VERIFY));
	ck_assert(may_lead_to(ROLE_RELEASING));
	ck_assert_int_eq(after(active(), "node paused; peer silent"), ROLE_ACTIVE);
	ck_assert(!does(ACT_FENCE));
}
END_TEST

START_TEST(an_unknown_word_is_refused_with_the_words_that_are_known)
{
	static const char *const wrong[] = { "moon up", "link moon down", "link cross", "link cross down now", "peer", "maintenance" };
	struct whatif_world w = standby();
	struct err err;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		err.text[0] = '\0';
		ck_assert_msg(!whatif_run(&w, wrong[i], &out, &err), "%s", wrong[i]);
		ck_assert_ptr_nonnull(strstr(err.text, i == 1 ? "cross, lan" : "services start|stop"));
	}
}
END_TEST

/* Whatever is said, in every role: it ends, a step says something, and a step's row is one that the table has for it. */
START_TEST(every_word_is_answered_in_every_role)
{
	const char *word = whatif_word((size_t)_i);
	char events[256];

	ck_assert_ptr_nonnull(word);
	if (strncmp(word, "link NAME", 9) == 0)
		word = strstr(word, "down") != NULL ? "link lan down" : "link lan up";
	for (int role = 0; role < ROLE_COUNT; role++) {
		for (int more = 0; whatif_word((size_t)more) != NULL; more++) {
			struct whatif_world w = role == ROLE_ACTIVE ? active() : standby();
			const char *second = whatif_word((size_t)more);

			w.role = (enum role)role;
			w.busy = role == ROLE_ACQUIRING || role == ROLE_RELEASING;
			snprintf(events, sizeof(events), "%s;%s", word, strncmp(second, "link NAME", 9) == 0 ? "link cross down" : second);
			after(w, events);
			ck_assert_uint_ge(out.steps, 2);
			ck_assert_uint_lt(out.steps, WHATIF_STEPS_MAX);
			for (size_t i = 0; i < out.steps; i++) {
				const struct whatif_step *s = &out.step[i];

				ck_assert(s->row != NULL || s->note[0] != '\0');
				ck_assert(s->row == NULL || (s->row->on == s->on && (s->row->in & 1u << s->from) != 0));
			}
		}
	}
}
END_TEST

START_TEST(text_and_document_are_whole_however_long)
{
	struct whatif_world w = standby();
	char text[65536], cut[50];
	size_t len;

	after(w, "peer power off; actions succeed; node paused; mta dead");
	len = whatif_text(&w, &out, text, sizeof(text));
	ck_assert_uint_eq(len, strlen(text));
	ck_assert_uint_eq(len, whatif_text(&w, &out, cut, sizeof(cut)));
	ck_assert_ptr_nonnull(strstr(text, "role: standby -> acquiring"));
	ck_assert_ptr_nonnull(strstr(text, "does: mount, seal, bind, check queue, start mta, take address"));
	len = whatif_json(&w, &out, text, sizeof(text));
	ck_assert_uint_eq(len, strlen(text));
	ck_assert_uint_eq(len, whatif_json(&w, &out, NULL, 0));
	ck_assert_ptr_nonnull(strstr(text, "\"to\": \"active\""));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("whatif");
	TCase *t = tcase_create("whatif");
	int words = 0;

	while (whatif_word((size_t)words) != NULL)
		words++;
	tcase_add_test(t, silence_alone_never_takes_but_the_answer_off_does);
	tcase_add_test(t, a_fence_device_that_does_not_answer_proves_nothing);
	tcase_add_test(t, a_peer_with_power_is_shot_before_the_spool_is_taken);
	tcase_add_test(t, without_a_fence_device_only_the_operators_word_counts);
	tcase_add_test(t, what_forbids_a_takeover_forbids_it_here_as_well);
	tcase_add_test(t, one_link_of_two_decides_nothing_and_the_last_one_does);
	tcase_add_test(t, an_owner_goes_on_without_its_standby_and_shoots_first);
	tcase_add_test(t, a_dead_mta_is_restarted_and_moved_when_that_is_used_up);
	tcase_add_test(t, a_stalled_spool_moves_to_a_peer_that_can_and_its_disk_lets_go_when_it_is_back);
	tcase_add_test(t, a_dead_interface_moves_only_where_the_peer_can_take);
	tcase_add_test(t, an_unwell_standby_agrees_to_nothing_but_tries_when_the_peer_is_gone);
	tcase_add_test(t, a_switchover_runs_to_its_end_on_either_side);
	tcase_add_test(t, an_owner_that_stood_still_looks_before_it_is_sure);
	tcase_add_test(t, an_unknown_word_is_refused_with_the_words_that_are_known);
	tcase_add_loop_test(t, every_word_is_answered_in_every_role, 0, words);
	tcase_add_test(t, text_and_document_are_whole_however_long);
	suite_add_tcase(suite, t);
	return unit_main(suite);
}
