/*
 * supervisor/engine_peer.c - beats in and out, the view of the peer, claims, grants and offers. What a beat says
 * becomes facts here; what follows from them stands in the table. Runs in mailpaird's supervisor process; nothing
 * here blocks.
 *
 * Who may begin a tenure without proof of death: only who holds the other's word. A *claim* ("I want to begin tenure
 * N") is answered by a *grant* of the same number; an *offer* is a grant that the releasing node makes by itself
 * together with BEAT_ASK_TAKE. A node whose own grant is out begins nothing before it has withdrawn it, claimed and been
 * granted in turn, by a beat that answers one of its own sent since the withdrawal; so of two nodes never both begin
 * (docs/adr/0002).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "supervisor/engine_priv.h"

/* ---------------------------------------------------------------- what is known */

enum view
engine_view(const struct engine *en)
{
	if (en->proof.kind == PROOF_FENCED || en->proof.kind == PROOF_VOUCHED)
		return VIEW_FENCED;
	if (en->peer_left)
		return VIEW_LEFT;
	if (en->fencing)
		return VIEW_FENCING;
	return pulse_view(&en->pulse, clock_mono_ms());
}

bool
engine_peer_alive(const struct engine *en)
{
	enum view v = engine_view(en);

	return en->peer_known && (v == VIEW_ALIVE || v == VIEW_LATE);
}

uint64_t
engine_known(const struct engine *en)
{
	return en->peer_known && en->peer.tenure > en->state.tenure ? en->peer.tenure : en->state.tenure;
}

/* One that cannot let go and does not know what it still has is as one that holds. */
enum fact
engine_peer_newer(const struct engine *en)
{
	const struct beat *p = &en->peer;
	bool holds = p->holds == FACT_YES || (p->holds == FACT_UNKNOWN && p->role == ROLE_FAILED);

	if (!engine_peer_alive(en))
		return FACT_UNKNOWN;
	return holds && p->tenure > en->own_tenure ? FACT_YES : FACT_NO;
}

enum fact
engine_config_same(const struct engine *en)
{
	if (!en->peer_known)
		return FACT_UNKNOWN;
	return memcmp(en->peer.config, en->conf->digest, sizeof(en->peer.config)) == 0 ? FACT_YES : FACT_NO;
}

void
engine_withdraw(struct engine *en)
{
	if (en->grant != 0)
		en->withdrew_us = clock_mono_us();
	en->grant = 0;
	en->offered = false;
	if (en->request == BEAT_ASK_TAKE)
		en->request = BEAT_ASK_NOTHING;
}

bool
engine_agreed(const struct engine *en)
{
	const struct beat *p = &en->peer;
	bool there = engine_peer_alive(en) || (en->peer_known && en->peer_left);

	if (!there || p->holds != FACT_NO || en->grant != 0)
		return false;
	if (p->role != ROLE_JOINING && p->role != ROLE_STANDBY && p->role != ROLE_STOPPED)
		return false;
	/* its last word: that process ended and held nothing, and the next one owns nothing without our word or our proven end */
	if (en->peer_left)
		return true;
	/* said by somebody who may still act on a grant that we have taken back meanwhile: wait for a beat that answers that */
	if (p->grant == 0 || (en->withdrew_us != 0 && p->echo_us <= en->withdrew_us))
		return false;
	if (en->claim != 0)
		return p->grant == en->claim;
	/* an offer is for the tenure after the newest that we know: an older one was taken already */
	return p->request == BEAT_ASK_TAKE && p->grant > en->state.tenure;
}

enum fact
engine_claim_wins(const struct engine *en)
{
	if (!en->peer_known || en->peer.claim == 0 || en->peer.claim <= en->state.tenure)
		return FACT_NO;
	if (en->claim == 0 || en->peer.claim > en->claim)
		return FACT_YES;
	return en->peer.claim == en->claim && en->conf->self == 1 ? FACT_YES : FACT_NO;
}

/* Of two nodes that both hold nothing, which one claims? The other waits, in case that one cannot. */
enum fact
engine_elected(const struct engine *en)
{
	const struct conf *c = en->conf;
	uint64_t now = clock_mono_ms();
	uint64_t vacant = en->vacant_ms == 0 ? 0 : now - en->vacant_ms;
	int first = c->takeover.prefer != -1 ? c->takeover.prefer : 0;

	if (!engine_peer_alive(en))
		return FACT_UNKNOWN;
	if (en->offered && now - en->offer_ms < OFFER_WAIT_MS)
		return FACT_NO;
	if ((en->peer.flags & BEAT_GAVE_UP) != 0 || en->peer.role == ROLE_STOPPED)
		return FACT_YES;
	if (en->hold.ready != FACT_YES)
		return vacant >= OFFER_WAIT_MS ? FACT_YES : FACT_NO;
	if (first == c->self)
		return FACT_YES;
	/* the other comes first; it may only just have come up and not know yet whether it is well */
	return vacant >= ((en->peer.flags & BEAT_HEALTHY) != 0 ? OFFER_WAIT_MS : FIRST_WAIT_MS) ? FACT_YES : FACT_NO;
}

/* ---------------------------------------------------------------- out */

static struct beat_health
disk_health(const struct engine *en, enum engine_disk_id id)
{
	const struct trial *t = &en->disk[id].trial;
	uint64_t s = trial_bad_ms(t) / 1000;

	if (!t->bad)
		return (struct beat_health){ .how = t->tried ? BEAT_DISK_GOOD : BEAT_DISK_UNKNOWN };
	return (struct beat_health){ .how = t->hangs ? BEAT_DISK_SILENT : BEAT_DISK_BROKEN,
		.for_s = s < UINT16_MAX ? (uint16_t)s : UINT16_MAX };
}

static void
beat_fill(struct engine *en, struct beat *b)
{
	uint64_t now_us = clock_mono_us();
	bool well = en->hold.ready == FACT_YES && en->hold.interfaces != FACT_NO && en->hold.prepared != FACT_NO &&
	    engine_disk_good(en, DISK_STATE) != FACT_NO && engine_disk_good(en, DISK_SPOOL) != FACT_NO;
	bool unserved = en->role == ROLE_ACTIVE && (en->state.services_stopped || engine_mta_down(en));

	*b = (struct beat){
		.session = en->session,
		.seq = en->seq,
		.mono_us = now_us,
		.wall_ms = clock_wall_ms(),
		.role = en->role,
		.holds = en->hold.storage,
		.request = en->request,
		.flags = (uint8_t)((well ? BEAT_HEALTHY : 0) | (en->goodbye ? BEAT_LEAVING : 0) |
		    (en->state.maintenance ? BEAT_MAINTENANCE : 0) | (en->state.gave_up ? BEAT_GAVE_UP : 0) |
		    (engine_could_fence(en) ? BEAT_CAN_FENCE : 0) | (unserved ? BEAT_UNSERVED : 0)),
		.tenure = en->state.tenure,
		.released = en->state.released,
		.claim = en->claim,
		.grant = en->grant,
		.state_disk = disk_health(en, DISK_STATE),
		.spool_disk = disk_health(en, DISK_SPOOL),
	};
	memcpy(b->boot, en->boot, sizeof(b->boot));
	memcpy(b->config, en->conf->digest, sizeof(b->config));
	beat_echo(&en->memory, now_us, b);
}

void
engine_beat_now(struct engine *en)
{
	const struct conf *c = en->conf;
	uint64_t now = clock_mono_ms();
	uint8_t bytes[BEAT_LEN];
	struct beat b;

	if (en->links == 0)
		return;
	en->seq++;
	en->beats_sent++;
	beat_fill(en, &b);
	for (size_t i = 0; i < en->links; i++) {
		b.link = (uint8_t)i;
		beat_encode(&b, c->pair, c->node[c->self], &en->keys, bytes);
		/* what cannot be sent is counted in the link and shows in status; the next beat says the same */
		link_send(&en->link[i], now, bytes, sizeof(bytes), NULL);
	}
}

/* ---------------------------------------------------------------- in */

static void
peer_back(struct engine *en)
{
	if (en->proof.kind != PROOF_NONE) {
		static const uint8_t none[BEAT_BOOT_LEN];
		bool same = memcmp(en->proof.boot, en->peer.boot, BEAT_BOOT_LEN) == 0 &&
		    memcmp(en->proof.boot, none, BEAT_BOOT_LEN) != 0;

		if (same && en->proof.kind != PROOF_RELEASED)
			engine_event(en, "proof-wrong", false,
			    "%s is heard in the same boot that was proven gone (%s): do not trust that proof again before it was tested",
			    engine_peer_name(en), en->proof.text);
		engine_unprove(en);
	}
	en->peer_left = false;
	en->commanded = false;
	engine_fence_calm(en);
	if (en->peer_was_silent || en->peer_was_late) {
		bool silent = en->peer_was_silent;

		en->peer_was_silent = en->peer_was_late = false;
		if (silent)
			engine_step(en, EV_PEER_BACK);
	}
}

/* What a fresh beat says about claims and grants that are out. */
static void
peer_bargain(struct engine *en)
{
	const struct beat *p = &en->peer;
	bool owning = p->role == ROLE_ACQUIRING || p->role == ROLE_ACTIVE;

	if (owning) {
		en->claim = 0;			/* it was quicker, or it is its turn */
		engine_withdraw(en);
		/* "cluster start" here, but the peer was quicker: what this node may take one day is served again */
		if (p->role == ROLE_ACTIVE && en->state.services_stopped && (en->role == ROLE_STANDBY || en->role == ROLE_STOPPED)) {
			en->state.services_stopped = en->state.queue_refused = false;
			engine_save(en);
		}
		if (en->state.gave_up && en->role == ROLE_STANDBY && p->role == ROLE_ACTIVE)
			return;
	} else if (!en->offered && en->grant != 0 && p->claim != en->grant) {
		engine_withdraw(en);		/* it has withdrawn its claim */
	}
	if (en->request == BEAT_ASK_GIVE && (en->role != ROLE_STANDBY ||
	    clock_mono_ms() - en->request_ms > REQUEST_MS))
		en->request = BEAT_ASK_NOTHING;
}

static void
peer_learn(struct engine *en, const struct beat *b, uint64_t now_us)
{
	bool was_left = en->peer_left, role_news = !en->peer_known || en->peer.role != b->role;
	int64_t skew = en->peer_here_us == 0 || memcmp(en->peer.boot, b->boot, BEAT_BOOT_LEN) != 0 ? 0 :
	    (int64_t)(b->mono_us - en->peer_mono_us) - (int64_t)(now_us - en->peer_here_us);

	/* the peer's clock went on while ours stood still: a frozen virtual machine sees its own pause only so */
	if (skew > (int64_t)en->conf->heartbeat.deadtime_ms * 1000 && en->role != ROLE_JOINING) {
		en->pauses++;
		engine_event(en, "paused", false, "this node stood still for %" PRId64 " ms by %s's clock", skew / 1000,
		    engine_peer_name(en));
		en->doubtful = en->role == ROLE_ACTIVE;
		en->woke_us = now_us;
		engine_step(en, EV_PAUSED);
	}
	en->peer = *b;
	en->peer_known = true;
	en->peer_mono_us = b->mono_us;
	en->peer_here_us = now_us;
	en->peer_news_ms = now_us / 1000;
	en->clock_offset_ms = (int64_t)(b->wall_ms - clock_wall_ms());
	en->peer_maintenance = (b->flags & BEAT_MAINTENANCE) != 0;
	if (en->proof.kind != PROOF_NONE || en->peer_left || en->peer_was_silent || en->peer_was_late)
		peer_back(en);
	if (b->tenure > en->state.tenure) {
		en->state.tenure = b->tenure;
		engine_save(en);
	}
	if ((b->flags & BEAT_LEAVING) != 0 && b->holds == FACT_NO) {
		en->peer_left = true;
		/* what it was promised ends with it */
		engine_withdraw(en);
		if (!was_left) {
			engine_event(en, "peer-left", true, "%s said goodbye; it holds nothing", engine_peer_name(en));
			engine_step(en, EV_PEER_LEFT);
		}
	}
	/* a fresh word of the peer that it holds nothing, or that it knows our tenure, ends our doubt */
	if (en->doubtful && b->echo_us >= en->woke_us && (b->holds == FACT_NO || b->tenure <= en->own_tenure)) {
		en->doubtful = false;
		engine_event(en, "sure", true, "%s is heard and does not own the spool: our ownership is certain again",
		    engine_peer_name(en));
	}
	engine_disk_pass(en);
	peer_bargain(en);
	if (role_news) {
		log_info("%s is %s", engine_peer_name(en), role_name(b->role));
		for (struct engine_watcher *w = en->watchers, *next; w != NULL; w = next) {
			next = w->next;
			w->role(w->arg);
		}
	}
}

static void
beat_came(void *arg, struct link *link, const uint8_t *bytes, size_t len)
{
	struct engine *en = arg;
	const struct conf *c = en->conf;
	uint64_t now_us = clock_mono_us();
	enum beat_verdict verdict;
	struct beat b;
	bool news = false;
	uint64_t rtt_us = 0;
	size_t on;

	verdict = beat_decode(bytes, len, c->pair, c->node[c->self], engine_peer_name(en), &en->keys, &b);
	/*
	 * It lay in a buffer, ours while we stood still or one on the way: it says nothing about now. Where only one
	 * direction works the peer holds our echo for long, and a thousandth of that may be the clocks' drift.
	 */
	if (verdict == BEAT_GOOD && beat_rtt_us(&en->memory, &b, now_us, &rtt_us) &&
	    rtt_us > (uint64_t)c->heartbeat.deadtime_ms * 1000 + b.echo_held_us / 1000) {
		beat_late(&en->memory, &b, now_us);
		verdict = BEAT_STALE;
	}
	if (verdict == BEAT_GOOD && b.link >= en->links)
		verdict = BEAT_MALFORMED;
	if (verdict == BEAT_GOOD)
		verdict = beat_fresh(&en->memory, &b, now_us, &news);
	if (verdict != BEAT_GOOD) {
		en->rejected[link->index][verdict]++;
		return;
	}
	on = b.link;
	if (beat_rtt_us(&en->memory, &b, now_us, &rtt_us))
		en->rtt_us[on] = (int64_t)rtt_us;
	gap_add(&en->gap[on], now_us, b.seq);
	pulse_heard(&en->pulse, on, now_us / 1000);
	en->silent_ms = 0;
	if (news)
		peer_learn(en, &b, now_us);
	engine_pulse_timer(en);
	engine_consider(en);
}

static void
link_hinted(void *arg, struct link *link, enum link_hint hint)
{
	struct engine *en = arg;

	if (hint == LINK_HINT_CARRIER_BACK) {
		engine_event(en, "carrier", true, "link %s has carrier again", link->conf->name);
		return;
	}
	log_info("hint on link %s: %s", link->conf->name, link_hint_name(hint));
	if (en->probed && en->role == ROLE_STANDBY)
		engine_step(en, EV_HINT);
}

/* ---------------------------------------------------------------- time */

static void
link_changes(struct engine *en, uint64_t now)
{
	for (size_t i = 0; i < en->links; i++) {
		bool changed, up = pulse_link_up(&en->pulse, i, now, &changed);

		if (!changed)
			continue;
		en->link_was_up[i] = up;
		engine_event(en, "link", up, "link %s to %s is %s", en->link[i].conf->name, engine_peer_name(en),
		    up ? "up" : "down: nothing was heard on it for deadtime");
		if (!up)
			engine_hook(en, "alert", "a heartbeat link is down");
	}
}

static void
pulse_look(struct engine *en)
{
	uint64_t now = clock_mono_ms();
	enum view v = pulse_view(&en->pulse, now);

	link_changes(en, now);
	if (v == VIEW_LATE && !en->peer_was_late && !en->peer_left && en->proof.kind == PROOF_NONE) {
		en->peer_was_late = true;
		engine_step(en, EV_PEER_LATE);
	}
	if (!en->peer_left && en->proof.kind == PROOF_NONE &&
	    (v == VIEW_SILENT || (v == VIEW_UNSEEN && en->probed && pulse_initdead_over(&en->pulse, now)))) {
		if (en->silent_ms == 0) {
			en->silent_ms = now;
			en->peer_was_silent = true;
			en->claim = 0;
			engine_event(en, "peer-silent", false, "%s is silent on every link%s", engine_peer_name(en),
			    v == VIEW_UNSEEN ? " since this node came up" : "");
		}
	}
	engine_pulse_timer(en);
	engine_consider(en);
}

static void
pulse_fired(void *arg)
{
	pulse_look(arg);
}

void
engine_pulse_timer(struct engine *en)
{
	uint64_t now = clock_mono_ms(), next;

	if (en->pulse_timer == NULL)
		return;
	next = pulse_next_ms(&en->pulse, en->links, now);
	if (next == UINT64_MAX)
		loop_timer_cancel(en->pulse_timer);
	else
		loop_timer_at(en->pulse_timer, next <= now ? now + 1 : next);
}

static void
own_pause(struct engine *en, uint64_t paused_ms)
{
	en->pauses++;
	if (paused_ms > en->longest_pause_ms)
		en->longest_pause_ms = paused_ms;
	for (size_t i = 0; i < en->links; i++)
		gap_pause(&en->gap[i]);
	engine_event(en, "paused", false, "this node stood still for %" PRIu64 " ms: nobody is blamed for that", paused_ms);
	mta_health_reset(&en->mta_health);
	en->silent_ms = 0;
	engine_fence_calm(en);
	if (paused_ms + en->conf->heartbeat.keepalive_ms > en->conf->heartbeat.deadtime_ms) {
		en->doubtful = en->role == ROLE_ACTIVE;
		/* only a beat that answers one sent from now on says how things are now */
		en->woke_us = clock_mono_us();
		engine_step(en, EV_PAUSED);
	}
}

static void
beat_fired(void *arg)
{
	struct engine *en = arg;
	uint64_t now = clock_mono_ms(), paused_ms = 0;

	pulse_tick(&en->pulse, now, &paused_ms);
	if (paused_ms != 0)
		own_pause(en, paused_ms);
	loop_timer_at(en->beat_timer, now + en->conf->heartbeat.keepalive_ms);
	engine_beat_now(en);
	pulse_look(en);
}

/* ---------------------------------------------------------------- life */

void
engine_peer_init(struct engine *en)
{
	unsigned int n = 0;

	for (const char *p = en->boot_text; *p != '\0' && n < 2 * BEAT_BOOT_LEN; p++) {
		int v = *p >= '0' && *p <= '9' ? *p - '0' : *p >= 'a' && *p <= 'f' ? *p - 'a' + 10 : -1;

		if (v == -1)
			continue;
		en->boot[n / 2] = (uint8_t)((en->boot[n / 2] << 4) | v);
		n++;
	}
	do
		digest_random(&en->session, sizeof(en->session));
	while (en->session == 0);
	en->memory.self = en->session;
	for (int i = 0; i < CONF_LINKS_MAX; i++)
		en->rtt_us[i] = -1;
	pulse_init(&en->pulse, &en->conf->heartbeat, clock_mono_ms());
}

void
engine_peer_start(struct engine *en)
{
	struct link_events events = { .received = beat_came, .hint = link_hinted, .arg = en };
	struct link *all[CONF_LINKS_MAX];
	struct err err;

	en->pulse.limits = en->conf->heartbeat;
	en->links = en->conf->links;
	for (size_t i = 0; i < en->links; i++) {
		link_init(&en->link[i], en->loop, en->conf, (int)i, link_transport_for(en->conf->link[i].transport), &events);
		all[i] = &en->link[i];
	}
	en->link_watch = link_watch_new(en->loop, all, en->links, &err);
	if (en->link_watch == NULL)
		log_warnx("carrier changes cannot be followed: %s", err.text);
	if (en->beat_timer == NULL) {
		en->beat_timer = loop_timer_new(en->loop, beat_fired, en);
		en->pulse_timer = loop_timer_new(en->loop, pulse_fired, en);
	}
	loop_timer_in(en->beat_timer, 0);
}

void
engine_peer_fini(struct engine *en)
{
	link_watch_free(en->link_watch);
	en->link_watch = NULL;
	for (size_t i = 0; i < en->links; i++)
		link_fini(&en->link[i]);
	en->links = 0;
}
