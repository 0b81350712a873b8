/*
 * supervisor/engine.c - the only writer of the role: matches the table, queues its actions, runs them one
 * after the other, and offers the level events at every turn. What an action does is in engine_acts.c; what
 * is known of the peer in engine_peer.c. Runs in mailpaird's supervisor process; nothing here blocks.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "supervisor/engine_priv.h"
#include "supervisor/level.h"

const char *
engine_peer_name(const struct engine *en)
{
	return en->conf->node[1 - en->conf->self];
}

/* ---------------------------------------------------------------- durable state */

static void
save_done(void *arg, const struct spawn_result *res)
{
	struct engine *en = arg;

	en->job[JOB_SAVE] = NULL;
	en->unsaved = res->end != SPAWN_EXITED || res->code != 0;
	if (en->unsaved)	/* tried again as soon as its disk answers */
		log_warnx("the state of this node could not be saved: %s", res->err.text);
	if (en->save_again) {
		en->save_again = false;
		engine_save(en);
	}
}

void
engine_save(struct engine *en)
{
	/* the seal's worker writes the same file: wait for it */
	if (en->job[JOB_SAVE] != NULL || (en->act_child != NULL && en->act_running == ACT_SEAL)) {
		en->save_again = true;
		return;
	}
	en->job_ctx[JOB_SAVE] = (struct edge_ctx){ .conf = en->conf, .state = en->state };
	engine_job_start(en, JOB_SAVE, "save state", en->edge->save, en->conf->mount_ms, save_done);
}

/* job_ctx[job] is filled but for conf and limit; a job that runs already is left alone. */
void
engine_job_start(struct engine *en, enum engine_job job, const char *name, spawn_work_f *work,
    uint32_t limit_ms, spawn_done_f *done)
{
	assert(en->job[job] == NULL);
	en->job_ctx[job].conf = en->conf;
	en->job_ctx[job].limit_ms = limit_ms;
	en->job_began_ms[job] = clock_mono_ms();
	/* a decision waits for these two; of what may wait for a disk there is never a second one beside the first */
	if (job == JOB_POWER || job == JOB_ADDRESS_PROBE)
		en->job[job] = spawn_work(en->loop, name, work, &en->job_ctx[job], limit_ms, done, en);
	else
		en->job[job] = spawn_work_alone(en->loop, name, work, &en->job_ctx[job], limit_ms, done, en);
}

/* ---------------------------------------------------------------- the queue of actions */

bool
engine_busy(const struct engine *en)
{
	return en->act_child != NULL || en->queue_at < en->queue_len;
}

static void
queue_set(struct engine *en, const enum fsm_act *acts)
{
	en->queue_len = en->queue_at = 0;
	en->queue_failed = en->queue_ran = false;
	en->act_error[0] = '\0';
	while (en->queue_len < FSM_ACTS_MAX && acts[en->queue_len] != ACT_NONE) {
		en->queue[en->queue_len] = acts[en->queue_len];
		en->queue_len++;
	}
}

void
engine_run_queue(struct engine *en)
{
	while (en->act_child == NULL && en->queue_at < en->queue_len) {
		enum fsm_act act = en->queue[en->queue_at];

		if (fsm_act_is_group(act)) {
			en->queue_ran = true;
			engine_act_begin(en, act);	/* or what it waits for runs the queue again */
			return;
		}
		en->queue_at++;
		engine_act_now(en, act);
	}
	if (en->act_child == NULL && en->queue_ran) {
		en->queue_ran = false;
		if (en->role == ROLE_ACTIVE)
			engine_trans_end(en, !en->queue_failed);	/* of what changed no role */
		engine_step(en, en->queue_failed ? EV_ACT_FAILED : EV_DONE);
		engine_told_role(en);
	}
}

/* ---------------------------------------------------------------- stepping */

static void
entered_acquiring(struct engine *en, enum fsm_event on)
{
	const char *self = en->conf->node[en->conf->self], *peer = engine_peer_name(en);
	bool proven = on == EV_PROOF, claimed = !proven && en->claim != 0;
	const char *kind = proven ? "takeover" : claimed ? "start" :
	    en->request == BEAT_ASK_GIVE ? (en->failing_back ? "failback" : "switchover") :
	    en->peer_stalled || (en->peer.flags & BEAT_GAVE_UP) != 0 ? "move" : "switchover";
	char reason[300];

	snprintf(reason, sizeof(reason), "%s%s%s",
	    proven && en->peer_known && en->peer.request == BEAT_ASK_FENCE ? "it could not let go of the spool and asked for this: " : "",
	    proven ? en->proof.text : claimed ? "nobody owned the spool and the peer agreed" : "the peer handed over",
	    en->peer_stalled ? "; its disk of the spool did not answer" : "");
	engine_trans_begin(en, kind, claimed ? "" : peer, self, reason);
	/* the peer's later beats take the grant back, since it sees that it was used */
	en->agreed = on != EV_AGREED ? 0 : en->peer_left ? engine_known(en) + 1 : en->peer.grant;
	engine_address_probe(en);
}

/* What begins and ends with a change of role, beside the row's own actions. */
static void
engine_entered(struct engine *en, enum role from, const struct fsm_row *row, enum fsm_event on)
{
	const char *self = en->conf->node[en->conf->self], *peer = engine_peer_name(en);

	switch (en->role) {
	case ROLE_ACQUIRING:
		entered_acquiring(en, on);
		break;
	case ROLE_ACTIVE:
		if (from == ROLE_JOINING)
			engine_trans_begin(en, "adopt", self, self, row->why);
		else
			engine_trans_end(en, true);
		en->claim = 0;
		en->request = BEAT_ASK_NOTHING;
		en->retry_own_ms = 0;
		break;
	case ROLE_RELEASING:
		if (from == ROLE_ACQUIRING)
			engine_trans_end(en, false);
		engine_trans_begin(en, en->intent == INTENT_UNDO ? "undo" : "release", self,
		    en->intent == INTENT_GIVE || en->intent == INTENT_MOVE || en->intent == INTENT_STALLED ? peer : "", row->why);
		en->claim = 0;
		if (from == ROLE_ACTIVE && en->intent == INTENT_STALLED)
			engine_stall_note(en);
		break;
	case ROLE_STANDBY:
	case ROLE_STOPPED:
	case ROLE_FAILED:
		if (from == ROLE_RELEASING) {
			engine_trans_end(en, en->role != ROLE_FAILED);
			en->doubtful = false;
		}
		/* the peer's grant would keep it from owning for as long as a claim is out */
		if (en->role != ROLE_STANDBY)
			en->claim = 0;
		break;
	case ROLE_JOINING:
	case ROLE_COUNT:
		break;
	}
	/* it was about what could not be let go; it is let go now, or tried again */
	if (en->request == BEAT_ASK_FENCE)
		en->request = BEAT_ASK_NOTHING;
	en->entered = (struct why_entered){ .row = row, .on = on, .from = from, .wall_ms = clock_wall_ms() };
	if (en->role == ROLE_ACQUIRING || (en->role == ROLE_ACTIVE && from == ROLE_ACQUIRING)) {
		memcpy(en->entered.kind, en->trans_kind, sizeof(en->entered.kind));
		memcpy(en->entered.reason, en->trans_reason, sizeof(en->entered.reason));
	}
	en->standby_ms = en->role == ROLE_STANDBY ? clock_mono_ms() : 0;
	en->vacant_ms = 0;
	memset(en->last_row, 0, sizeof(en->last_row));
	engine_disk_entered(en, from);
	if (en->role != ROLE_ACQUIRING && en->role != ROLE_RELEASING) {
		engine_survey_now(en);
		engine_prepare_now(en);
	}
}

static void
engine_tell_step(struct engine *en, enum role from, enum fsm_event on, const struct fsm_row *row)
{
	struct journal_event ev = { .kind = JOURNAL_STATE, .ok = true, .transition = en->trans_id };

	if (from == en->role) {
		if (row->acts[0] != ACT_NONE && on != EV_DONE)
			engine_event(en, fsm_event_name(on), true, "%s (%s): %s", role_name(en->role),
			    fsm_event_name(on), row->why);
		else
			log_debug("%s (%s): %s", role_name(en->role), fsm_event_name(on), row->why);
		return;
	}
	snprintf(ev.name, sizeof(ev.name), "%s", fsm_event_name(on));
	snprintf(ev.from, sizeof(ev.from), "%s", role_name(from));
	snprintf(ev.to, sizeof(ev.to), "%s", role_name(en->role));
	snprintf(ev.text, sizeof(ev.text), "%s", row->why);
	engine_journal(en, &ev);
	log_info("%s -> %s: %s", role_name(from), role_name(en->role), row->why);
	engine_tell(en, "%s: %s -> %s: %s", en->conf->node[en->conf->self], role_name(from), role_name(en->role), row->why);
}

/* What is done to the group without a change of role stands in the history, too: a restart, "services stop", ... */
static void
begin_in_place(struct engine *en, enum fsm_event on, const struct fsm_row *row)
{
	const char *self = en->conf->node[en->conf->self];
	const char *kind = on == EV_MTA_DOWN ? "restart" : on == EV_ADDRESS_LOST ? "address" : on == EV_PAUSED ? "verify" :
	    on == EV_OP_SERVICES_STOP ? "services stop" : on == EV_OP_SERVICES_START ? "services start" : fsm_event_name(on);

	engine_trans_begin(en, kind, self, self, row->why);
	/* what answered for an address the last time, perhaps long ago, may be gone, and another may have come */
	if (on == EV_OP_SERVICES_START || on == EV_ADDRESS_LOST)
		engine_address_probe(en);
}

static bool
row_has_group_act(const struct fsm_row *row)
{
	for (int i = 0; i < FSM_ACTS_MAX && row->acts[i] != ACT_NONE; i++) {
		if (fsm_act_is_group(row->acts[i]))
			return true;
	}
	return false;
}

void
engine_step(struct engine *en, enum fsm_event on)
{
	struct facts facts;
	const struct fsm_row *row;
	enum role from = en->role;
	bool changes, repeated;

	assert(!en->stepping);	/* a row is carried out whole before the next one is asked for */
	engine_facts(en, &facts);
	row = fsm_match(en->role, on, &facts);
	changes = row->next != FSM_SAME && (enum role)row->next != en->role;
	if (!changes && row_has_group_act(row) && engine_busy(en))
		return;			/* a level event comes again, operators are refused before */
	en->stepping = true;
	if (row->intent != INTENT_NONE)
		en->intent = row->intent;
	if (changes)
		en->role = (enum role)row->next;
	repeated = !changes && fsm_event_is_level(on) && en->last_row[on] == row;
	if (!repeated)
		engine_tell_step(en, from, on, row);
	if (changes)
		engine_entered(en, from, row, on);
	if (fsm_event_is_level(on))
		en->last_row[on] = row;
	if (changes || row_has_group_act(row)) {
		/* leaving a role discards what was not begun; what runs is waited for */
		if (!changes)
			begin_in_place(en, on, row);
		else
			engine_act_leave(en);
		queue_set(en, row->acts);
		engine_run_queue(en);
	} else {
		for (int i = 0; i < FSM_ACTS_MAX && row->acts[i] != ACT_NONE; i++)
			engine_act_now(en, row->acts[i]);
	}
	en->stepping = false;
	if (changes)
		engine_told_role(en);
	/* one that repeats changes nothing: the next beat or timer offers it again */
	if (!repeated)
		engine_soon(en);
}

void
engine_soon(struct engine *en)
{
	if (en->consider_timer != NULL && !en->exiting)
		loop_timer_at_us(en->consider_timer, 0);
}

/* A claim that nobody can grant any more, or that this node could not use, would only keep the peer from owning. */
static void
engine_drop_stale_claim(struct engine *en)
{
	struct facts f;

	if (en->claim == 0 || en->role != ROLE_STANDBY)
		return;
	engine_facts(en, &f);
	if (en->claim <= engine_known(en) || !f.online || f.gave_up || f.maintenance || f.healthy == FACT_NO || f.disks == FACT_NO)
		en->claim = 0;
}

static bool
failback_due(const struct engine *en)
{
	return en->role == ROLE_STANDBY && en->conf->takeover.failback && en->conf->takeover.prefer == en->conf->self &&
	    engine_peer_alive(en) && en->peer.role == ROLE_ACTIVE && en->request == BEAT_ASK_NOTHING &&
	    engine_config_same(en) == FACT_YES && en->standby_ms != 0 &&
	    clock_mono_ms() - en->standby_ms >= en->conf->takeover.failback_after_ms;
}

/* What the level events look at, as it is now. Notes since when some of it is so. */
static struct level_view
engine_look(struct engine *en)
{
	struct level_view v = { .role = en->role, .peer_role = en->peer.role, .peer_request = en->peer.request, .holds = en->hold.storage,
		.heard = engine_peer_alive(en), .left = en->peer_left, .silent = en->silent_ms != 0, .proven = en->proof.kind != PROOF_NONE,
		.peer_claims = en->peer.claim != 0, .busy = engine_busy(en), .interface_dead = en->interface_dead,
		.online = !en->state.offline, .failback_due = failback_due(en) };

	engine_drop_stale_claim(en);
	v.claims = en->claim != 0;
	v.granted = en->peer.claim == en->grant;
	v.agreed = engine_agreed(en);
	v.peer_holds = v.heard ? en->peer.holds : FACT_UNKNOWN;
	v.peer_newer = engine_peer_newer(en);
	if (!level_nobody_holds(&v))
		en->vacant_ms = 0;
	else if (en->vacant_ms == 0)
		en->vacant_ms = clock_mono_ms();
	if (v.role != ROLE_ACTIVE || v.busy)
		return v;
	v.stalled = engine_spool_stalled(en);
	v.mta_down = engine_mta_down(en) && !en->state.services_stopped;
	if (!v.mta_down)
		en->mta_bad_ms = 0;
	else
		v.mta_down = engine_disk_asked(en);
	return v;
}

/* Offers the level events that are so, and forgets that they were told where they are not. */
void
engine_consider(struct engine *en)
{
	enum role before = en->role;
	struct level_view v;

	if (en->considering || en->exiting || !en->probed)
		return;
	if (en->stepping) {
		engine_soon(en);
		return;
	}
	en->considering = true;
	v = engine_look(en);
	for (size_t i = 0; i < level_count && en->role == before; i++) {
		enum fact so = level_so(&levels[i], &v);

		if (so == FACT_NO)
			en->last_row[levels[i].on] = NULL;
		if (so != FACT_YES)
			continue;
		if (levels[i].on == EV_FAILBACK_DUE)
			en->failing_back = true;
		engine_step(en, levels[i].on);
		v = engine_look(en);
	}
	en->considering = false;
}

static void
consider_fired(void *arg)
{
	engine_consider(arg);
}

/* ---------------------------------------------------------------- facts */

void
engine_facts(const struct engine *en, struct facts *ret)
{
	const struct conf *c = en->conf;
	bool alive = engine_peer_alive(en);
	enum fact spool = engine_disk_good(en, DISK_SPOOL);
	bool unwell = en->hold.ready == FACT_NO || en->hold.interfaces == FACT_NO || en->hold.prepared == FACT_NO || spool == FACT_NO;

	*ret = (struct facts){
		.peer_view = engine_view(en),
		.peer_gone = en->proof.kind == PROOF_FENCED || en->proof.kind == PROOF_VOUCHED ||
		    en->proof.kind == PROOF_LEASE ? FACT_YES : alive ? FACT_NO : FACT_UNKNOWN,
		.peer_holds = alive ? en->peer.holds : FACT_UNKNOWN,
		.peer_newer = engine_peer_newer(en),
		.peer_can_take = engine_peer_can_take(en) ? FACT_YES : FACT_NO,
		.claim_wins = engine_claim_wins(en),
		.elected = engine_elected(en),
		.holds = en->hold.storage,
		.disks = engine_disk_refuses(en, NULL) ? FACT_NO : spool,
		.spool = en->role == ROLE_ACTIVE ? spool : FACT_UNKNOWN,
		.spool_hangs = en->role == ROLE_ACTIVE && en->disk[DISK_SPOOL].trial.hangs,
		.stalls_left = engine_stalls_left(en),
		.peer_can_fence = alive && (en->peer.flags & BEAT_CAN_FENCE) != 0,
		.automatic = c->takeover.automatic,
		.maintenance = en->state.maintenance || en->peer_maintenance,
		.online = !en->state.offline,
		.gave_up = en->state.gave_up || clock_mono_ms() < en->retry_own_ms,
		.can_fence = engine_can_fence(en),
		.hints = c->takeover.hints,
		.doubtful = en->doubtful,
		.may_verify = clock_mono_ms() - en->verify_ms >= VERIFY_AGAIN_MS,
		.services_stopped = en->state.services_stopped,
		.may_restart = engine_may_restart(en),
		.commanded = en->commanded,
		.intent = en->intent,
	};
	/* with the peer gone a try costs nothing, even where something here looks unwell */
	ret->healthy = ret->peer_gone == FACT_YES ? FACT_YES : unwell ? FACT_NO : en->hold.ready;
}

/* ---------------------------------------------------------------- life */

static void
maint_fired(void *arg)
{
	struct engine *en = arg;
	uint64_t now = clock_wall_ms(), until = en->state.maintenance_until_wall_ms;

	if (!en->state.maintenance || until == 0)
		return;
	if (now < until) {
		loop_timer_in(en->maint_timer, until - now < 60000 ? until - now : 60000);
		return;
	}
	en->state.maintenance = false;
	engine_save(en);
	engine_event(en, "maintenance", true, "maintenance has expired: this pair moves by itself again");
	engine_consider(en);
}

void
engine_init(struct engine *en, struct loop *loop, const struct conf *conf, const struct authkeys *keys,
    const struct edge *edge, const struct engine_sink *sink, const struct state *state, const char *boot_id)
{
	memset(en, 0, sizeof(*en));
	en->loop = loop;
	en->conf = conf;
	en->keys = *keys;
	en->edge = edge;
	en->sink = *sink;
	en->state = *state;
	en->role = ROLE_JOINING;
	en->mta_fd = -1;
	snprintf(en->boot_text, sizeof(en->boot_text), "%s", boot_id);
	en->consider_timer = loop_timer_new(loop, consider_fired, en);
	en->survey_timer = loop_timer_new(loop, engine_probe_again, en);
	en->delay_timer = loop_timer_new(loop, engine_fence_delay_fired, en);
	en->maint_timer = loop_timer_new(loop, maint_fired, en);
	engine_peer_init(en);
	engine_disk_init(en);
}

void
engine_start(struct engine *en)
{
	engine_event(en, "start", true, "mailpair %s starts on %s of pair %s, tenure %" PRIu64 "%s%s", MAILPAIR_VERSION,
	    en->conf->node[en->conf->self], en->conf->pair, en->state.tenure, en->state.offline ? ", standby by the operator" : "",
	    en->state.maintenance ? ", maintenance" : "");
	en->started_ms = clock_mono_ms();
	engine_peer_start(en);
	engine_disk_start(en);
	engine_probe(en);
	maint_fired(en);
}

void
engine_reconf(struct engine *en, const struct conf *conf, const struct authkeys *keys)
{
	engine_peer_fini(en);
	en->conf = conf;
	en->keys = *keys;
	engine_peer_start(en);
	engine_survey_now(en);
	engine_prepare_now(en);
	engine_soon(en);
}

void
engine_fini(struct engine *en)
{
	struct loop_timer **timers[] = { &en->beat_timer, &en->pulse_timer, &en->delay_timer, &en->retry_timer,
		&en->survey_timer, &en->queue_timer, &en->monitor_timer, &en->prepare_timer, &en->fence_timer, &en->announce_timer,
		&en->consider_timer, &en->leave_timer, &en->maint_timer, &en->disk[DISK_STATE].timer, &en->disk[DISK_SPOOL].timer };

	engine_mta_follow(en, 0);
	engine_peer_fini(en);
	for (size_t i = 0; i < sizeof(timers) / sizeof(timers[0]); i++) {
		loop_timer_free(*timers[i]);
		*timers[i] = NULL;
	}
	for (int j = 0; j < JOB_COUNT; j++) {
		if (en->job[j] != NULL)
			spawn_forget(en->job[j]);
		en->job[j] = NULL;
	}
	if (en->act_child != NULL)
		spawn_forget(en->act_child);
	en->act_child = NULL;
}
