/*
 * tests/unit/test_beat_memory.c - laws of freshness: two honest nodes that restart at will, lines
 * that lose, delay and repeat, and somebody who records everything and plays it back. Pure; fixed
 * seeds.
 */
#include <stdlib.h>
#include <string.h>

#include "supervisor/beat.h"
#include "tests/unit/harness.h"

/* As ck_assert, but silent while it holds: libcheck writes a note for each of its own calls. */
#define LAW(claim) do { if (!(claim)) ck_abort_msg("%s", #claim); } while (0)

#define KEEPALIVE_US 200000
#define TAPE_MAX 60000

struct node {
	struct beat_memory	memory;
	uint64_t		seq;
	uint64_t		skew_us;	/* its monotonic clock is ahead by that */
};

struct world {
	uint64_t	now_us;
	uint64_t	sessions;	/* given out so far; grows, to tell old from new */
	struct node	node[2];
	struct beat	*tape[2];	/* all beats that node i ever sent */
	size_t		tape_len[2];
	uint64_t	dice;
};

static uint64_t
roll(struct world *w, uint64_t sides)
{
	w->dice ^= w->dice << 13;
	w->dice ^= w->dice >> 7;
	w->dice ^= w->dice << 17;
	return (w->dice >> 16) % sides;
}

static void
restart(struct world *w, int i)
{
	memset(&w->node[i].memory, 0, sizeof(w->node[i].memory));
	w->node[i].memory.self = ++w->sessions;
	w->node[i].seq = 0;
}

static void
world_make(struct world *w, uint64_t seed)
{
	memset(w, 0, sizeof(*w));
	w->dice = seed * 0x9e3779b97f4a7c15u + 1;
	w->now_us = 1000000;
	w->sessions = 1000;
	w->node[1].skew_us = 77000000000;
	for (int i = 0; i < 2; i++) {
		w->tape[i] = calloc(TAPE_MAX, sizeof(struct beat));
		restart(w, i);
	}
}

static void
world_end(struct world *w)
{
	free(w->tape[0]);
	free(w->tape[1]);
}

static uint64_t
clock_of(const struct world *w, int i)
{
	return w->now_us + w->node[i].skew_us;
}

/* The next beat of node i, as its engine makes it. */
static struct beat
beat_of(struct world *w, int i)
{
	struct node *n = &w->node[i];
	struct beat b = { .session = n->memory.self, .seq = ++n->seq, .mono_us = clock_of(w, i) };

	beat_echo(&n->memory, clock_of(w, i), &b);
	LAW(w->tape_len[i] < TAPE_MAX);
	w->tape[i][w->tape_len[i]++] = b;
	return b;
}

static enum beat_verdict
give(struct world *w, int to, const struct beat *b, bool *ret_news)
{
	*ret_news = false;
	return beat_fresh(&w->node[to].memory, b, clock_of(w, to), ret_news);
}

static bool
heard(struct world *w, int to, const struct beat *b)
{
	bool news;

	return give(w, to, b, &news) == BEAT_GOOD && news;
}

/* One keepalive: both send, nothing is lost. How many of the two were heard. */
static int
turn(struct world *w)
{
	int n = 0;

	for (int from = 0; from < 2; from++) {
		struct beat b = beat_of(w, from);

		w->now_us += 300;
		n += heard(w, 1 - from, &b);
	}
	w->now_us += KEEPALIVE_US;
	return n;
}

static int
turns_until_both_heard(struct world *w)
{
	int n = 1;

	while (turn(w) != 2)
		LAW(++n < 1000);
	return n;
}

START_TEST(two_nodes_that_start_at_once_hear_each_other_with_their_second_beats)
{
	struct world w;

	world_make(&w, 1);
	LAW(turns_until_both_heard(&w) == 2);
	LAW(turn(&w) == 2);
	world_end(&w);
}
END_TEST

START_TEST(a_node_that_restarts_is_heard_again_with_its_second_beat)
{
	struct world w;

	world_make(&w, 1);
	turns_until_both_heard(&w);
	for (int i = 0; i < 200; i++) {
		restart(&w, i % 2);
		LAW(turns_until_both_heard(&w) == 2);
	}
	world_end(&w);
}
END_TEST

START_TEST(a_fresh_node_hears_nothing_in_a_whole_recorded_session)
{
	struct world w;
	size_t len;

	world_make(&w, 1);
	for (int i = 0; i < 1000; i++)
		turn(&w);
	len = w.tape_len[1];
	restart(&w, 0);
	restart(&w, 1);		/* the peer is off; only the tape speaks */
	for (size_t i = 0; i < len; i++) {
		bool news;

		LAW(give(&w, 0, &w.tape[1][i], &news) == BEAT_STALE);
		if (i % 5 == 0)
			beat_of(&w, 0);
	}
	LAW(w.node[0].memory.peer == 0);
	world_end(&w);
}
END_TEST

START_TEST(beats_from_before_the_peers_reboot_are_never_heard_again)
{
	struct world w;
	size_t len;

	world_make(&w, 1);
	for (int i = 0; i < 50; i++)
		turn(&w);
	len = w.tape_len[1];
	restart(&w, 1);
	turns_until_both_heard(&w);
	for (size_t i = 0; i < len; i++) {
		bool news;

		LAW(give(&w, 0, &w.tape[1][i], &news) != BEAT_GOOD);
	}
	LAW(w.node[0].memory.peer == w.node[1].memory.self);
	world_end(&w);
}
END_TEST

START_TEST(no_number_of_restarts_makes_a_former_session_acceptable)
{
	struct world w;

	world_make(&w, 1);
	turns_until_both_heard(&w);
	for (int i = 0; i < 100; i++) {
		restart(&w, 1);
		turns_until_both_heard(&w);
		for (size_t k = 0; k < w.tape_len[1]; k++) {
			bool news;

			LAW(give(&w, 0, &w.tape[1][k], &news) != BEAT_GOOD);
		}
		LAW(turn(&w) == 2);
	}
	world_end(&w);
}
END_TEST

START_TEST(a_session_that_was_held_back_whole_comes_too_late)
{
	struct world w;
	size_t from, to;

	world_make(&w, 1);
	turns_until_both_heard(&w);
	restart(&w, 1);
	from = w.tape_len[1];
	for (int i = 0; i < 20; i++) {	/* it hears us; what it says is kept by somebody */
		struct beat a = beat_of(&w, 0);

		(void)heard(&w, 1, &a);
		w.now_us += KEEPALIVE_US;
		(void)beat_of(&w, 1);
	}
	to = w.tape_len[1];
	LAW(w.tape[1][to - 1].echo == w.node[0].memory.self);
	restart(&w, 1);
	turns_until_both_heard(&w);
	for (size_t i = from; i < to; i++) {
		bool news;

		LAW(give(&w, 0, &w.tape[1][i], &news) != BEAT_GOOD);
	}
	LAW(turn(&w) == 2);
	world_end(&w);
}
END_TEST

/* Tapes of many former sessions, to be played while the pair restarts. */
static void
record_sessions(struct world *w, int n)
{
	for (int i = 0; i < n; i++) {
		restart(w, 0);
		restart(w, 1);
		turns_until_both_heard(w);
		for (int k = 0; k < 20; k++)
			turn(w);
	}
}

START_TEST(recordings_do_not_keep_a_restarted_node_from_its_peer)
{
	struct world w;
	size_t len;
	int turns = 0, both = 0;

	world_make(&w, (uint64_t)_i + 1);
	record_sessions(&w, 5);
	restart(&w, 1);
	LAW(turns_until_both_heard(&w) == 2);
	for (int i = 0; i < 20; i++)
		turn(&w);
	len = w.tape_len[1];	/* older beats of the live session are on it, too */
	restart(&w, 0);
	/* to the fresh node, all tapes before and after each live beat: only one in 200 is alive */
	while (both != 2) {
		struct beat a, b = beat_of(&w, 1);

		for (size_t i = 0; i < len; i++)
			LAW(!heard(&w, 0, &w.tape[1][i]));
		both = heard(&w, 0, &b);
		for (size_t i = len; i-- > 0;)		/* backwards: oldest last */
			LAW(!heard(&w, 0, &w.tape[1][i]));
		a = beat_of(&w, 0);
		both += heard(&w, 1, &a);
		w.now_us += KEEPALIVE_US;
		LAW(++turns < 100);
	}
	world_end(&w);
}
END_TEST

START_TEST(one_recording_just_before_each_of_our_beats_does_not_either)
{
	struct world w;
	size_t len;
	int turns = 0, both = 0;

	world_make(&w, (uint64_t)_i + 1);
	record_sessions(&w, 1);
	len = w.tape_len[1];
	restart(&w, 1);
	LAW(turns_until_both_heard(&w) == 2);
	restart(&w, 0);
	while (both != 2) {
		struct beat a, b = beat_of(&w, 1);

		both = heard(&w, 0, &b);
		LAW(!heard(&w, 0, &w.tape[1][roll(&w, len)]));
		a = beat_of(&w, 0);
		both += heard(&w, 1, &a);
		w.now_us += KEEPALIVE_US;
		LAW(++turns < 40);
	}
	world_end(&w);
}
END_TEST

/* The peer may restart while we do not know it yet: its former session must not stay in the way. */
START_TEST(at_least_every_second_beat_echoes_the_session_heard_last)
{
	struct world w;

	world_make(&w, 1);
	for (int i = 0; i < 200; i++) {
		struct beat b, a[2];

		restart(&w, 1);
		for (int k = 0; k < 2; k++) {
			b = beat_of(&w, 1);
			LAW(!heard(&w, 0, &b));
			a[k] = beat_of(&w, 0);
		}
		LAW(a[0].echo == b.session || a[1].echo == b.session);
	}
	world_end(&w);
}
END_TEST

START_TEST(a_live_session_is_neither_displaced_nor_disturbed_by_recordings)
{
	struct world w;
	size_t len[2];

	world_make(&w, 1);
	record_sessions(&w, 10);
	restart(&w, 0);
	restart(&w, 1);
	len[0] = w.tape_len[0];
	len[1] = w.tape_len[1];
	turns_until_both_heard(&w);
	for (int i = 0; i < 100; i++) {
		for (int to = 0; to < 2; to++)
			for (size_t k = 0; k < len[1 - to]; k++)
				LAW(!heard(&w, to, &w.tape[1 - to][k]));
		LAW(turn(&w) == 2);
	}
	world_end(&w);
}
END_TEST

START_TEST(opening_beats_of_the_present_session_cannot_be_heard_twice)
{
	struct world w;

	world_make(&w, 1);
	for (int i = 0; i < 20; i++) {
		turn(&w);
		for (int to = 0; to < 2; to++)
			for (size_t k = 0; k < w.tape_len[1 - to]; k++)
				LAW(!heard(&w, to, &w.tape[1 - to][k]));
	}
	LAW(turn(&w) == 2);
	world_end(&w);
}
END_TEST

START_TEST(our_own_beats_prove_nothing)
{
	struct world w;
	bool news;

	world_make(&w, 1);
	turns_until_both_heard(&w);
	for (size_t k = 0; k < w.tape_len[0]; k++)
		LAW(give(&w, 0, &w.tape[0][k], &news) == BEAT_REFLECTED);
	LAW(turn(&w) == 2);
	world_end(&w);
}
END_TEST

START_TEST(a_peer_that_cannot_hear_us_is_not_heard)
{
	struct world w;

	world_make(&w, 1);
	for (int i = 0; i < 100; i++) {
		struct beat b = beat_of(&w, 1);
		bool news;

		LAW(give(&w, 0, &b, &news) == BEAT_STALE);
		(void)beat_of(&w, 0);
	}
	world_end(&w);
}
END_TEST

START_TEST(each_link_is_proven_once_by_each_beat_but_only_the_first_is_news)
{
	struct world w;

	world_make(&w, 1);
	turns_until_both_heard(&w);
	for (int i = 0; i < 50; i++) {
		struct beat b = beat_of(&w, 1);

		for (int pass = 0; pass < 2; pass++) {
			for (uint8_t link = 0; link < CONF_LINKS_MAX; link++) {
				bool news;

				b.link = link;
				LAW(give(&w, 0, &b, &news) ==
				    (pass == 0 ? BEAT_GOOD : BEAT_REPLAYED));
				LAW(news == (pass == 0 && link == 0));
			}
		}
	}
	world_end(&w);
}
END_TEST

START_TEST(after_a_restart_every_link_is_proven_again_from_the_first_beat_on)
{
	struct world w;

	world_make(&w, 1);
	turns_until_both_heard(&w);
	for (int i = 0; i < 10; i++) {
		struct beat b = beat_of(&w, 1);
		bool news;

		if (i == 5) {
			restart(&w, 1);
			turns_until_both_heard(&w);
			b = beat_of(&w, 1);
		}
		for (b.link = 0; b.link < CONF_LINKS_MAX; b.link++)
			LAW(give(&w, 0, &b, &news) == BEAT_GOOD);
	}
	world_end(&w);
}
END_TEST

START_TEST(a_slow_link_may_lag_behind_but_not_far)
{
	struct world w;
	struct beat late[40];
	bool news;

	world_make(&w, 1);
	turns_until_both_heard(&w);
	for (int i = 0; i < 40; i++) {
		late[i] = beat_of(&w, 1);
		LAW(heard(&w, 0, &late[i]));
		late[i].link = 1;
	}
	LAW(give(&w, 0, &late[6], &news) == BEAT_REPLAYED);
	LAW(give(&w, 0, &late[7], &news) == BEAT_GOOD);
	LAW(!news);
	LAW(give(&w, 0, &late[20], &news) == BEAT_GOOD);
	LAW(give(&w, 0, &late[19], &news) == BEAT_REPLAYED);	/* out of order on its link */
	LAW(give(&w, 0, &late[39], &news) == BEAT_GOOD);
	LAW(!news);
	world_end(&w);
}
END_TEST

START_TEST(the_round_trip_excludes_the_time_a_beat_was_held)
{
	struct world w;
	struct beat a, b;
	uint64_t rtt = 12345;

	world_make(&w, 1);
	turns_until_both_heard(&w);
	a = beat_of(&w, 0);
	w.now_us += 400;
	LAW(heard(&w, 1, &a));
	w.now_us += 150000;
	b = beat_of(&w, 1);
	w.now_us += 300;
	LAW(heard(&w, 0, &b));
	LAW(beat_rtt_us(&w.node[0].memory, &b, w.now_us, &rtt));
	LAW(rtt == 700);

	/* delayed by ten seconds: it shows */
	LAW(beat_rtt_us(&w.node[0].memory, &b, w.now_us + 10000000, &rtt));
	LAW(rtt == 10000700);

	rtt = 12345;
	b.echo++;
	LAW(!beat_rtt_us(&w.node[0].memory, &b, w.now_us, &rtt));
	b.echo--;
	b.echo_held_us = UINT32_MAX;	/* held for longer than can be told */
	LAW(!beat_rtt_us(&w.node[0].memory, &b, w.now_us, &rtt));
	b.echo_held_us = 20000000;	/* held for longer than it was away: a clock stood still */
	LAW(!beat_rtt_us(&w.node[0].memory, &b, w.now_us, &rtt));
	LAW(rtt == 12345);
	world_end(&w);
}
END_TEST

/*
 * The law itself, over random histories of restarts, losses, delays, repeats and replays: what is
 * news was never news before to this session, was made after this session began, and after a beat
 * of one session no earlier session speaks again. When the faults stop (the replays do not) the two
 * hear each other.
 */
START_TEST(whatever_happens_news_is_new_and_the_pair_finds_itself)
{
	struct world w;
	uint64_t newest_session[2] = { 0, 0 }, newest_seq[2] = { 0, 0 }, self[2] = { 0, 0 };
	uint64_t peer_began[2] = { 0, 0 };
	int calm = 0;

	world_make(&w, (uint64_t)_i + 1);
	for (int step = 0; calm < 400; step++) {
		bool faults = step < 1500;
		int both = 0;

		for (int to = 0; to < 2; to++) {
			struct beat live;
			size_t copies = faults ? roll(&w, 3) : 1;

			if (faults && roll(&w, 60) == 0)
				restart(&w, to);
			live = beat_of(&w, 1 - to);
			w.now_us += 200 + roll(&w, 2000);
			for (size_t k = roll(&w, 20) + copies; k-- > 0;) {
				/* the last ones are alive, the others any that was ever sent */
				struct beat b = k < copies ? live :
				    w.tape[1 - to][roll(&w, w.tape_len[1 - to])];
				bool news;

				b.link = (uint8_t)roll(&w, 3);
				if (give(&w, to, &b, &news) != BEAT_GOOD || !news)
					continue;
				if (self[to] != w.node[to].memory.self) {
					self[to] = w.node[to].memory.self;
					newest_session[to] = newest_seq[to] = peer_began[to] = 0;
				}
				LAW(b.echo == self[to]);
				LAW(b.session > newest_session[to] ||
				    (b.session == newest_session[to] && b.seq > newest_seq[to]));
				newest_session[to] = b.session;
				newest_seq[to] = b.seq;
				both += b.session == live.session && b.seq == live.seq;
			}
		}
		w.now_us += KEEPALIVE_US;
		if (!faults) {
			calm++;
			/* by now long enough: from here each beat counts */
			ck_assert_msg(calm < 300 || both == 2, "seed %d step %d", _i, step);
		}
	}
	world_end(&w);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("beat_memory");
	TCase *tc = tcase_create("beat_memory");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, two_nodes_that_start_at_once_hear_each_other_with_their_second_beats);
	tcase_add_test(tc, a_node_that_restarts_is_heard_again_with_its_second_beat);
	tcase_add_test(tc, a_fresh_node_hears_nothing_in_a_whole_recorded_session);
	tcase_add_test(tc, beats_from_before_the_peers_reboot_are_never_heard_again);
	tcase_add_test(tc, no_number_of_restarts_makes_a_former_session_acceptable);
	tcase_add_test(tc, a_session_that_was_held_back_whole_comes_too_late);
	tcase_add_loop_test(tc, recordings_do_not_keep_a_restarted_node_from_its_peer, 0, 20);
	tcase_add_loop_test(tc, one_recording_just_before_each_of_our_beats_does_not_either, 0, 20);
	tcase_add_test(tc, at_least_every_second_beat_echoes_the_session_heard_last);
	tcase_add_test(tc, a_live_session_is_neither_displaced_nor_disturbed_by_recordings);
	tcase_add_test(tc, opening_beats_of_the_present_session_cannot_be_heard_twice);
	tcase_add_test(tc, our_own_beats_prove_nothing);
	tcase_add_test(tc, a_peer_that_cannot_hear_us_is_not_heard);
	tcase_add_test(tc, each_link_is_proven_once_by_each_beat_but_only_the_first_is_news);
	tcase_add_test(tc, after_a_restart_every_link_is_proven_again_from_the_first_beat_on);
	tcase_add_test(tc, a_slow_link_may_lag_behind_but_not_far);
	tcase_add_test(tc, the_round_trip_excludes_the_time_a_beat_was_held);
	tcase_add_loop_test(tc, whatever_happens_news_is_new_and_the_pair_finds_itself, 0, 40);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
