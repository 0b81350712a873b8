/*
 * supervisor/beat_memory.c - which authentic beats are fresh: replay, restart and duplicate rules.
 *
 * The argument why these rules are sound is in docs/protocol.md, "Freshness". Leaves to beat.c the
 * bytes and keys, to pulse.c what being heard means. Pure; runs in mailpaird; nothing blocks.
 */
#include "supervisor/beat.h"

#include <assert.h>
#include <string.h>

/*
 * How far a beat over a slow link may lag behind the newest one. It bounds how long somebody who
 * holds beats back on one link can make a dead peer seem alive.
 */
#define LAG_MAX 32

/*
 * A clock that is right to a thousandth: more than the 500 ppm that a disciplined one is
 * allowed.
 */
#define DRIFT_US(us) ((us) / 1000 + 1000)

/*
 * The finaliser of splitmix64: each session's ticket in a draw, the same for each copy of a
 * beat.
 */
static uint64_t
ticket(uint64_t draw, uint64_t session)
{
	uint64_t z = session + draw * 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/*
 * We know no session of the peer yet. Recordings of its former ones may be played to us beside
 * the live one, in any number and at any rate, and only the live one can answer. So each second
 * beat of ours echoes the session that came last and the others one drawn by lot, where a session
 * has one ticket however often it is repeated: N recorded sessions delay the live one by about 2
 * (N + 1) beats.
 */
static void
note(struct beat_memory *m, const struct beat *b, uint64_t now_us)
{
	if (b->session == m->noted) {
		if (b->mono_us <= m->noted_mono_us)
			return;
	} else if (m->noted != 0 && m->draw % 2 == 1 &&
	    ticket(m->draw, b->session) > ticket(m->draw, m->noted)) {
		return;
	}
	m->noted = b->session;
	m->noted_mono_us = b->mono_us;
	m->noted_us = now_us;
}

void
beat_late(struct beat_memory *m, const struct beat *b, uint64_t now_us)
{
	if (m->peer == 0 && b->session != m->self)
		note(m, b, now_us);
}

static void
accept_session(struct beat_memory *m, uint64_t session)
{
	m->peer = session;
	m->seq = 0;
	memset(m->link_seq, 0, sizeof(m->link_seq));
	m->noted = 0;
}

enum beat_verdict
beat_fresh(struct beat_memory *m, const struct beat *b, uint64_t now_us, bool *ret_news)
{
	assert(m->self != 0 && b->session != 0 && b->seq != 0 && b->link < CONF_LINKS_MAX);
	if (b->session == m->self)
		return BEAT_REFLECTED;
	if (b->echo != m->self) {
		if (m->peer == 0)
			note(m, b, now_us);
		return BEAT_STALE;
	}
	if (b->session != m->peer) {
		if (m->peer != 0 && b->echo_us <= m->echo_us)
			return BEAT_REPLAYED;
		accept_session(m, b->session);
	} else if (b->seq <= m->link_seq[b->link] ||
	    (b->seq < m->seq && m->seq - b->seq > LAG_MAX)) {
		return BEAT_REPLAYED;
	}
	m->link_seq[b->link] = b->seq;
	if (b->echo_us > m->echo_us)
		m->echo_us = b->echo_us;
	*ret_news = b->seq > m->seq;
	if (*ret_news) {
		m->seq = b->seq;
		m->mono_us = b->mono_us;
		m->heard_us = now_us;
	}
	return BEAT_GOOD;
}

static uint32_t
held(uint64_t since_us, uint64_t now_us)
{
	uint64_t us = now_us > since_us ? now_us - since_us : 0;

	return us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

void
beat_echo(struct beat_memory *m, uint64_t now_us, struct beat *ret)
{
	bool known = m->peer != 0;

	ret->echo = known ? m->peer : m->noted;
	ret->echo_us = known ? m->mono_us : m->noted_mono_us;
	ret->echo_held_us = ret->echo != 0 ? held(known ? m->heard_us : m->noted_us, now_us) : 0;
	if (!known)
		m->draw++;
}

bool
beat_rtt_us(const struct beat_memory *m, const struct beat *b, uint64_t now_us, uint64_t *ret_us)
{
	uint64_t away;

	/* held for an hour or more: saturated */
	if (b->echo != m->self || b->echo_us > now_us || b->echo_held_us == UINT32_MAX)
		return false;
	away = now_us - b->echo_us;
	if (away + DRIFT_US(b->echo_held_us) < b->echo_held_us)
		return false;
	*ret_us = away > b->echo_held_us ? away - b->echo_held_us : 0;
	return true;
}
