/*
 * tests/unit/test_pulse.c - laws of the view of the peer, over random schedules of beats and
 * pauses with fixed seeds. Pure.
 */
#include <stdlib.h>
#include <string.h>

#include "supervisor/pulse.h"
#include "tests/unit/harness.h"

/* As ck_assert, but silent while it holds: libcheck writes a note for each of its own calls. */
#define LAW(claim) do { if (!(claim)) ck_abort_msg("%s", #claim); } while (0)

#define SEEDS 60

static const struct conf_heartbeat usual = { 200, 500, 1000, 60000 };

static uint64_t
roll(uint64_t *x, uint64_t sides)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return (*x >> 16) % sides;
}

static struct conf_heartbeat
limits_of(uint64_t *x)
{
	struct conf_heartbeat h = { .keepalive_ms = 10 + (uint32_t)roll(x, 300) };

	h.deadtime_ms = 2 * h.keepalive_ms + 2 + (uint32_t)roll(x, 2000);
	h.warntime_ms = h.keepalive_ms + 1 +
	    (uint32_t)roll(x, h.deadtime_ms - h.keepalive_ms - 1);
	h.initdead_ms = h.deadtime_ms + (uint32_t)roll(x, 60000);
	return h;
}

static uint64_t
tick(struct pulse *p, uint64_t now)
{
	uint64_t paused;

	pulse_tick(p, now, &paused);
	return paused;
}

START_TEST(unseen_alive_late_silent_and_back)
{
	struct pulse p;

	pulse_init(&p, &usual, 1000);
	LAW(pulse_view(&p, 1000) == VIEW_UNSEEN);
	pulse_heard(&p, 2, 1400);
	for (uint64_t now = 1000; now <= 3000; now += 200)
		LAW(tick(&p, now) == 0);
	LAW(pulse_view(&p, 1899) == VIEW_ALIVE);
	LAW(pulse_view(&p, 1900) == VIEW_LATE);
	LAW(pulse_view(&p, 2399) == VIEW_LATE);
	LAW(pulse_view(&p, 2400) == VIEW_SILENT);
	pulse_heard(&p, 0, 3000);
	LAW(pulse_view(&p, 3000) == VIEW_ALIVE);
}
END_TEST

START_TEST(an_unseen_peer_is_never_silent_and_initdead_is_time_spent_listening)
{
	struct pulse p;

	pulse_init(&p, &usual, 1000);
	for (uint64_t now = 1000; now <= 31000; now += 200)
		tick(&p, now);
	/* frozen for ten minutes: that was not listening */
	LAW(!pulse_initdead_over(&p, 631000));
	LAW(tick(&p, 631000) == 599800);
	for (uint64_t now = 631000; now < 631000 + 29800; now += 200) {
		tick(&p, now);
		LAW(pulse_view(&p, now) == VIEW_UNSEEN);
		LAW(!pulse_initdead_over(&p, now));
	}
	tick(&p, 660800);
	LAW(pulse_next_ms(&p, CONF_LINKS_MAX, 660799) == 660800);
	LAW(pulse_initdead_over(&p, 660800));
	LAW(pulse_view(&p, 660800) == VIEW_UNSEEN);
}
END_TEST

START_TEST(one_link_that_is_heard_is_enough)
{
	struct pulse p;
	bool changed;

	pulse_init(&p, &usual, 1000);
	for (uint64_t now = 1000; now < 20000; now += 200) {
		tick(&p, now);
		if (now < 5000)
			pulse_heard(&p, 0, now);
		pulse_heard(&p, 1, now);
		LAW(pulse_view(&p, now) == VIEW_ALIVE);
		LAW(pulse_link_up(&p, 1, now, &changed));
		LAW(pulse_link_up(&p, 0, now, &changed) == (now < 5800));
		LAW(changed == (now == 1000 || now == 5800));
		LAW(!pulse_link_up(&p, 2, now, &changed));
	}
}
END_TEST

START_TEST(no_silence_within_deadtime_of_the_newest_beat_over_any_link)
{
	uint64_t x = (uint64_t)_i + 1, now = 5000, heard = 0, ticked = now;
	struct conf_heartbeat h = limits_of(&x);
	struct pulse p;

	pulse_init(&p, &h, now);
	for (int i = 0; i < 3000; i++) {
		enum view view;

		now += roll(&x, 20) == 0 ? roll(&x, 3 * h.deadtime_ms) : roll(&x, h.keepalive_ms);
		if (roll(&x, 3) == 0) {
			pulse_heard(&p, (size_t)roll(&x, CONF_LINKS_MAX), now);
			heard = now;
		}
		if (now >= ticked + h.keepalive_ms) {
			tick(&p, now);
			ticked = now;
		}
		view = pulse_view(&p, now);
		LAW((view == VIEW_UNSEEN) == (heard == 0));
		if (view == VIEW_SILENT)
			LAW(now - heard >= h.deadtime_ms);
		if (view == VIEW_LATE)
			LAW(now - heard >= h.warntime_ms);
	}
}
END_TEST

START_TEST(an_awake_observer_declares_silence_at_deadtime_exactly)
{
	uint64_t x = (uint64_t)_i + 1, now = 5000, heard = 0;
	struct conf_heartbeat h = limits_of(&x);
	struct pulse p;

	pulse_init(&p, &h, now);
	for (int i = 0; i < 20000; i++, now++) {
		if (i % (int)h.keepalive_ms == 0)
			LAW(tick(&p, now) == 0);
		if (roll(&x, h.deadtime_ms) == 0) {
			pulse_heard(&p, (size_t)roll(&x, CONF_LINKS_MAX), now);
			heard = now;
		}
		if (heard != 0)
			LAW((pulse_view(&p, now) == VIEW_SILENT) == (now - heard >= h.deadtime_ms));
	}
}
END_TEST

/*
 * The peer beats all the time. The observer is frozen at random, without hearing anything, and
 * its callbacks run in any order after that: whatever it asks before and after the tick, it
 * blames nobody.
 */
START_TEST(a_paused_observer_never_blames)
{
	uint64_t x = (uint64_t)_i + 1, now = 5000;
	struct conf_heartbeat h = limits_of(&x);
	uint64_t limit = 2 * h.keepalive_ms > h.warntime_ms ? 2 * h.keepalive_ms : h.warntime_ms;
	struct pulse p;
	bool changed;

	pulse_init(&p, &h, now);
	pulse_heard(&p, 0, now);
	pulse_link_up(&p, 0, now, &changed);
	for (int i = 0; i < 2000; i++) {
		uint64_t slept = 0;

		now += h.keepalive_ms;
		if (roll(&x, 5) == 0) {
			/* so that the last tick is longer ago than the limit */
			slept = limit - h.keepalive_ms + 1 + roll(&x, 100000);
			now += slept;
			LAW(pulse_view(&p, now) == VIEW_ALIVE);
			LAW(pulse_link_up(&p, 0, now, &changed) && !changed);
		}
		LAW(tick(&p, now) == slept);
		LAW(pulse_view(&p, now) == VIEW_ALIVE);
		LAW(pulse_link_up(&p, 0, now, &changed) && !changed);
		/* the beat after a pause may be late a little */
		if (slept == 0 || roll(&x, 2) == 0)
			pulse_heard(&p, 0, now);
		else
			pulse_heard(&p, 0, now + h.keepalive_ms / 2);
	}
}
END_TEST

START_TEST(a_pause_neither_revives_a_silent_peer_nor_a_dead_link)
{
	struct pulse p;
	bool changed;

	pulse_init(&p, &usual, 1000);
	pulse_heard(&p, 0, 1000);
	LAW(pulse_link_up(&p, 0, 1000, &changed));
	for (uint64_t now = 1000; now <= 3000; now += 200) {
		tick(&p, now);
		pulse_link_up(&p, 0, now, &changed);
	}
	LAW(pulse_view(&p, 3000) == VIEW_SILENT);
	LAW(pulse_view(&p, 90000) == VIEW_SILENT);
	LAW(tick(&p, 90000) > 0);
	LAW(pulse_view(&p, 90000) == VIEW_SILENT);
	LAW(!pulse_link_up(&p, 0, 90000, &changed) && !changed);
}
END_TEST

START_TEST(a_pause_keeps_links_as_they_were)
{
	struct pulse p;
	bool changed;

	pulse_init(&p, &usual, 1000);
	pulse_heard(&p, 0, 1000);
	for (uint64_t now = 1000; now <= 3000; now += 200) {
		tick(&p, now);
		pulse_heard(&p, 1, now);
		pulse_link_up(&p, 0, now, &changed);
		pulse_link_up(&p, 1, now, &changed);
	}
	LAW(tick(&p, 90000) > 0);
	LAW(!pulse_link_up(&p, 0, 90000, &changed) && !changed);
	LAW(pulse_link_up(&p, 1, 90000, &changed) && !changed);
	LAW(pulse_next_ms(&p, 2, 90000) == 90500);
	LAW(pulse_view(&p, 90000) == VIEW_ALIVE);
}
END_TEST

START_TEST(after_a_pause_a_dead_peer_is_still_found_within_deadtime)
{
	struct pulse p;

	pulse_init(&p, &usual, 1000);
	pulse_heard(&p, 0, 1000);
	tick(&p, 1000);
	LAW(tick(&p, 50000) == 48800);
	for (uint64_t now = 50000; now < 51000; now += 200) {
		tick(&p, now);
		LAW(pulse_view(&p, now) == (now < 50500 ? VIEW_ALIVE : VIEW_LATE));
	}
	LAW(pulse_view(&p, 50999) == VIEW_LATE);
	LAW(pulse_view(&p, 51000) == VIEW_SILENT);
}
END_TEST

START_TEST(a_late_timer_is_not_yet_a_pause)
{
	struct pulse p;

	pulse_init(&p, &usual, 1000);
	LAW(tick(&p, 1500) == 0);
	LAW(tick(&p, 2001) == 301);
}
END_TEST

/* Between now and the time named by pulse_next_ms no answer changes, as long as nothing happens. */
START_TEST(nothing_changes_before_the_time_foretold)
{
	uint64_t x = (uint64_t)_i + 1, now = 5000;
	struct conf_heartbeat h = limits_of(&x);
	struct pulse p;
	bool changed;

	h.initdead_ms = h.deadtime_ms + 10;
	pulse_init(&p, &h, now);
	for (int i = 0; i < 100; i++) {
		uint64_t next;

		if (roll(&x, 2) == 0)
			pulse_heard(&p, (size_t)roll(&x, 3), now);
		tick(&p, now);
		for (size_t k = 0; k < 3; k++)
			pulse_link_up(&p, k, now, &changed);
		next = pulse_next_ms(&p, 3, now);
		LAW(next > now);
		for (uint64_t at = now; at < next && at < now + 400; at++) {
			struct pulse then = p;

			then.ticked_ms = at;	/* ticked in time, all the way */
			LAW(pulse_view(&then, at) == pulse_view(&p, now));
			LAW(pulse_initdead_over(&then, at) == pulse_initdead_over(&p, now) ||
			    pulse_view(&p, now) != VIEW_UNSEEN);
			for (size_t k = 0; k < 3; k++) {
				pulse_link_up(&then, k, at, &changed);
				LAW(!changed);
			}
		}
		if (next != UINT64_MAX) {	/* and then something does change */
			struct pulse then = p;
			bool any = false;

			then.ticked_ms = next;
			for (size_t k = 0; k < 3; k++) {
				pulse_link_up(&then, k, next, &changed);
				any = any || changed;
			}
			LAW(any || pulse_view(&then, next) != pulse_view(&p, now) ||
			    pulse_initdead_over(&then, next) != pulse_initdead_over(&p, now));
		}
		now += roll(&x, h.keepalive_ms) + 1;
	}
}
END_TEST

START_TEST(every_view_has_a_name)
{
	for (int i = 0; i < VIEW_COUNT; i++)
		ck_assert_str_ne(view_name((enum view)i), "");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("pulse");
	TCase *tc = tcase_create("pulse");

	tcase_add_test(tc, unseen_alive_late_silent_and_back);
	tcase_add_test(tc, an_unseen_peer_is_never_silent_and_initdead_is_time_spent_listening);
	tcase_add_test(tc, one_link_that_is_heard_is_enough);
	tcase_add_loop_test(tc, no_silence_within_deadtime_of_the_newest_beat_over_any_link, 0,
	    SEEDS);
	tcase_add_loop_test(tc, an_awake_observer_declares_silence_at_deadtime_exactly, 0, SEEDS);
	tcase_add_loop_test(tc, a_paused_observer_never_blames, 0, SEEDS);
	tcase_add_test(tc, a_pause_neither_revives_a_silent_peer_nor_a_dead_link);
	tcase_add_test(tc, a_pause_keeps_links_as_they_were);
	tcase_add_test(tc, after_a_pause_a_dead_peer_is_still_found_within_deadtime);
	tcase_add_test(tc, a_late_timer_is_not_yet_a_pause);
	tcase_add_loop_test(tc, nothing_changes_before_the_time_foretold, 0, SEEDS);
	tcase_add_test(tc, every_view_has_a_name);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
