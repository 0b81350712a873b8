/*
 * tests/unit/test_agreed.c - the peer's word: which beats let a node begin a tenure without proof. One that agrees, and what each single thing
 * makes of it that speaks against; some of these no honest peer ever sends (tests/sim/check.c), so the simulator cannot miss them.
 */
#include <string.h>

#include "common/clock.h"
#include "supervisor/engine_priv.h"
#include "tests/unit/harness.h"

#define CLAIM 7

static struct engine en;
static struct conf conf;

/* A standby that claims, and a peer that holds nothing and grants. */
static void
setup(void)
{
	memset(&en, 0, sizeof(en));
	conf.heartbeat = (struct conf_heartbeat){ .keepalive_ms = 200, .warntime_ms = 50000, .deadtime_ms = 100000, .initdead_ms = 200000 };
	conf.links = 1;
	en.conf = &conf;
	en.links = 1;
	en.role = ROLE_STANDBY;
	en.state.tenure = CLAIM - 1;
	en.claim = CLAIM;
	en.peer_known = true;
	en.peer = (struct beat){ .role = ROLE_STANDBY, .holds = FACT_NO, .grant = CLAIM, .tenure = CLAIM - 1, .echo_us = 1000 };
	pulse_init(&en.pulse, &conf.heartbeat, clock_mono_ms());
	pulse_heard(&en.pulse, 0, clock_mono_ms());
}

START_TEST(a_grant_of_the_claim_is_its_word)
{
	setup();
	ck_assert(engine_agreed(&en));
}
END_TEST

START_TEST(who_holds_or_may_hold_agrees_to_nothing)
{
	setup();
	en.peer.holds = FACT_YES;
	ck_assert(!engine_agreed(&en));
	en.peer.holds = FACT_UNKNOWN;
	ck_assert(!engine_agreed(&en));
}
END_TEST

START_TEST(only_roles_without_the_spool_agree)
{
	for (enum role role = 0; role < ROLE_COUNT; role++) {
		setup();
		en.peer.role = role;
		ck_assert_msg(engine_agreed(&en) == (role == ROLE_JOINING || role == ROLE_STANDBY || role == ROLE_STOPPED), "%s", role_name(role));
	}
}
END_TEST

START_TEST(no_word_counts_while_ones_own_is_out)
{
	setup();
	en.grant = CLAIM;
	ck_assert(!engine_agreed(&en));
}
END_TEST

START_TEST(a_grant_of_another_tenure_is_none)
{
	setup();
	en.peer.grant = CLAIM - 1;
	ck_assert(!engine_agreed(&en));
	en.peer.grant = 0;
	ck_assert(!engine_agreed(&en));
}
END_TEST

START_TEST(what_was_said_before_ones_own_word_was_taken_back_does_not_count)
{
	setup();
	en.withdrew_us = en.peer.echo_us;
	ck_assert(!engine_agreed(&en));
	en.withdrew_us--;
	ck_assert(engine_agreed(&en));
}
END_TEST

START_TEST(an_offer_is_for_a_tenure_that_nobody_began)
{
	setup();
	en.claim = 0;
	ck_assert_msg(!engine_agreed(&en), "a grant that nobody asked for, and that is no offer");
	en.peer.request = BEAT_ASK_TAKE;
	ck_assert(engine_agreed(&en));
	en.state.tenure = CLAIM;
	ck_assert(!engine_agreed(&en));
}
END_TEST

START_TEST(who_is_not_heard_agrees_to_nothing_but_who_said_goodbye_did)
{
	setup();
	en.peer_known = false;
	ck_assert(!engine_agreed(&en));
	setup();
	pulse_init(&en.pulse, &conf.heartbeat, clock_mono_ms());
	ck_assert(!engine_agreed(&en));
	en.peer_left = true;
	en.peer.grant = 0;
	ck_assert(engine_agreed(&en));
	en.peer.holds = FACT_UNKNOWN;
	ck_assert(!engine_agreed(&en));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("agreed");
	TCase *tc = tcase_create("agreed");

	tcase_add_test(tc, a_grant_of_the_claim_is_its_word);
	tcase_add_test(tc, who_holds_or_may_hold_agrees_to_nothing);
	tcase_add_test(tc, only_roles_without_the_spool_agree);
	tcase_add_test(tc, no_word_counts_while_ones_own_is_out);
	tcase_add_test(tc, a_grant_of_another_tenure_is_none);
	tcase_add_test(tc, what_was_said_before_ones_own_word_was_taken_back_does_not_count);
	tcase_add_test(tc, an_offer_is_for_a_tenure_that_nobody_began);
	tcase_add_test(tc, who_is_not_heard_agrees_to_nothing_but_who_said_goodbye_did);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
