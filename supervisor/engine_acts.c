/*
 * supervisor/engine_acts.c - what each action of the table starts, and what its report means. Group actions run in a
 * worker with a deadline, one at a time; the others only change what our beats say, or start background work. Runs
 * in mailpaird's supervisor process; nothing here blocks.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "supervisor/engine_priv.h"

#define EASE_MS 3000		/* mail is served meanwhile, so it may take longer than what it saves */
#define HURRY_MS 1000		/* how long a mail program that does not answer may take to stop in order */
#define GOODBYES 6		/* beats that say goodbye, so that a lost one does not matter */
#define GOODBYE_EVERY_MS 10

/* ---------------------------------------------------------------- group actions */

static spawn_work_f *
act_work(const struct edge *edge, enum fsm_act act)
{
	switch (act) {
	case ACT_STORAGE_UP: return edge->storage_up;
	case ACT_SEAL: return edge->seal;
	case ACT_BIND: return edge->bind;
	case ACT_QUEUE_CHECK: return edge->queue_check;
	case ACT_MTA_START: return edge->mta_start;
	case ACT_ADDRESS_UP: return edge->address_up;
	case ACT_EASE: return edge->ease;
	case ACT_ADDRESS_DOWN: return edge->address_down;
	case ACT_MTA_STOP: return edge->mta_stop;
	case ACT_UNBIND: return edge->unbind;
	case ACT_STORAGE_DOWN: return edge->storage_down;
	case ACT_ABANDON: return edge->abandon;
	case ACT_MTA_RESTART: return edge->mta_restart;
	case ACT_VERIFY: return edge->verify;
	case ACT_NONE: case ACT_BEAT: case ACT_CLAIM: case ACT_GRANT: case ACT_OFFER: case ACT_ASK_GIVE: case ACT_ASK_FENCE:
	case ACT_ASK_POWER: case ACT_FENCE_LATER: case ACT_FENCE: case ACT_RETRY_LATER: case ACT_GAVE_UP: case ACT_ALERT:
	case ACT_GOODBYE: case ACT_EXIT: case ACT_COUNT:
		break;
	}
	return NULL;
}

/* The worker's own deadline; the engine adds a little so that the worker can still say why. */
static uint32_t
act_limit_ms(const struct conf *c, enum fsm_act act)
{
	switch (act) {
	case ACT_STORAGE_UP: return c->mount_ms + c->storage.fsck_ms + c->mta.stop_ms;
	case ACT_SEAL: case ACT_VERIFY: return c->mount_ms;
	case ACT_BIND: case ACT_UNBIND: return c->bind_ms;
	case ACT_QUEUE_CHECK: return c->mta.check_ms;
	case ACT_MTA_START: return c->mta.start_ms;
	case ACT_MTA_STOP: return c->mta.stop_ms + c->kill_ms;
	case ACT_MTA_RESTART: return c->mta.start_ms + HURRY_MS + c->kill_ms + c->bind_ms;
	case ACT_ADDRESS_UP: case ACT_ADDRESS_DOWN: return c->address_ms;
	case ACT_STORAGE_DOWN: return c->unmount_ms + 2 * c->kill_ms;
	case ACT_ABANDON: return c->unmount_ms;
	case ACT_EASE: return EASE_MS;
	case ACT_NONE: case ACT_BEAT: case ACT_CLAIM: case ACT_GRANT: case ACT_OFFER: case ACT_ASK_GIVE: case ACT_ASK_FENCE:
	case ACT_ASK_POWER: case ACT_FENCE_LATER: case ACT_FENCE: case ACT_RETRY_LATER: case ACT_GAVE_UP: case ACT_ALERT:
	case ACT_GOODBYE: case ACT_EXIT: case ACT_COUNT:
		break;
	}
	return 1000;
}

bool
engine_act_forgiven(enum fsm_act act)
{
	return act == ACT_EASE || act == ACT_MTA_STOP || act == ACT_UNBIND || act == ACT_ABANDON;
}

static void
learn_mta(struct engine *en, bool ok, const char *report)
{
	char value[16];

	/* a start that failed, or was killed, does not mean that nothing runs: look */
	en->mta_died = false;
	mta_health_reset(&en->mta_health);
	en->hold.mta = ok ? FACT_YES : FACT_UNKNOWN;
	if (!ok)
		loop_timer_in(en->survey_timer, 0);
	if (ok && spawn_get(report, "pid", value, sizeof(value)) != NULL)
		engine_mta_follow(en, (pid_t)strtol(value, NULL, 10));
}

static void
learn_addresses(struct engine *en, bool ok, bool held)
{
	en->hold.addresses = !ok ? FACT_UNKNOWN : held ? FACT_YES : FACT_NO;
	for (size_t i = 0; ok && i < en->conf->addresses; i++)
		en->hold.address[i] = held;
}

static void
learn_seal(struct engine *en, bool ok, const struct spawn_result *res)
{
	char value[64];

	/* also of one that failed: it may be written, and is then what we let go of */
	if (spawn_get(res->out, "tenure", value, sizeof(value)) != NULL) {
		en->own_tenure = strtoull(value, NULL, 10);
		en->state.tenure = en->own_tenure;
	}
	if (ok) {
		engine_event(en, "tenure", true, "%s owns the spool of pair %s under tenure %" PRIu64,
		    en->conf->node[en->conf->self], en->conf->pair, en->own_tenure);
	}
	/* a node whose power failed before it could note its tenure: the next agreement must be about the one after it */
	if (spawn_get(res->out, "newer", value, sizeof(value)) != NULL && strtoull(value, NULL, 10) > en->state.tenure) {
		en->state.tenure = strtoull(value, NULL, 10);
		en->save_again = true;
	}
	if (en->save_again)
		engine_save(en);
}

static void
learn_storage_down(struct engine *en, bool ok)
{
	en->hold.storage = ok ? FACT_NO : FACT_YES;
	en->hold.storage_text[0] = '\0';
	/* "services stop" is about this tenure: the next one serves mail, unless this was the undoing of a try */
	if (ok && en->intent != INTENT_UNDO)
		en->state.services_stopped = en->state.queue_refused = false;
	if (ok && en->own_tenure != 0) {
		en->state.released = en->own_tenure;
		en->own_tenure = 0;
		engine_save(en);
	}
}

/* What a report changes in what we know; called for failures too. */
static void
act_learn(struct engine *en, enum fsm_act act, bool ok, const struct spawn_result *res)
{
	char value[64] = "";

	switch (act) {
	case ACT_STORAGE_UP:
		spawn_get(res->out, "held", value, sizeof(value));
		en->hold.storage = ok ? FACT_YES : strcmp(value, "no") == 0 ? FACT_NO : FACT_UNKNOWN;
		en->hold.storage_text[0] = '\0';	/* until the next survey */
		break;
	case ACT_SEAL:
		learn_seal(en, ok, res);
		break;
	case ACT_STORAGE_DOWN:
		learn_storage_down(en, ok);
		break;
	case ACT_MTA_START:
		if (!en->act_ctx.with_services) {	/* nothing was started */
			en->hold.mta = FACT_NO;
			break;
		}
		/* FALLTHROUGH */
	case ACT_MTA_RESTART:
		learn_mta(en, ok, res->out);
		break;
	case ACT_MTA_STOP:
		if (ok) {
			engine_mta_follow(en, 0);
			en->hold.mta = FACT_NO;
		}
		break;
	case ACT_ADDRESS_UP:
		learn_addresses(en, ok, en->act_ctx.with_services);
		break;
	case ACT_ADDRESS_DOWN:
		learn_addresses(en, ok, false);
		break;
	case ACT_BIND:
		en->hold.binds = ok ? FACT_YES : FACT_UNKNOWN;
		break;
	case ACT_UNBIND:
		en->hold.binds = ok ? FACT_NO : FACT_UNKNOWN;
		break;
	case ACT_QUEUE_CHECK:
		if (!en->act_stopped)
			engine_queue_checked(en, res);
		break;
	case ACT_VERIFY:
		en->verify_ms = clock_mono_ms();
		if (ok && spawn_get(res->out, "touched", value, sizeof(value)) != NULL) {
			if (strcmp(value, "yes") == 0)
				engine_step(en, EV_ROBBED);
			else if (strcmp(value, "no") == 0 && en->proof.kind != PROOF_NONE)
				en->doubtful = false;
		}
		break;
	case ACT_EASE: case ACT_ABANDON:
	case ACT_NONE: case ACT_BEAT: case ACT_CLAIM: case ACT_GRANT: case ACT_OFFER: case ACT_ASK_GIVE: case ACT_ASK_FENCE:
	case ACT_ASK_POWER: case ACT_FENCE_LATER: case ACT_FENCE: case ACT_RETRY_LATER: case ACT_GAVE_UP: case ACT_ALERT:
	case ACT_GOODBYE: case ACT_EXIT: case ACT_COUNT:
		break;
	}
}

static void
act_describe(const struct engine *en, enum fsm_act act, const struct spawn_result *res, bool ok, char *buf, size_t size)
{
	if (ok) {
		/* the report's lines are the detail, on one line */
		snprintf(buf, size, "%s", res->out);
		for (char *p = buf; *p != '\0'; p++) {
			if (*p == '\n')
				*p = p[1] == '\0' ? '\0' : ';';
		}
	} else if (en->act_stopped) {
		snprintf(buf, size, "it was cut off; the next start goes on with it");
	} else if (res->end == SPAWN_TIMEOUT) {
		snprintf(buf, size, "%s did not end within %" PRIu32 " ms: its outcome is not known", fsm_act_name(act),
		    en->act_ctx.limit_ms);
	} else if (res->end == SPAWN_SIGNALED) {
		snprintf(buf, size, "%s was ended by signal %d", fsm_act_name(act), res->code);
	} else {
		snprintf(buf, size, "%s", res->err.text[0] != '\0' ? res->err.text : "it failed without a reason");
	}
}

static void
act_done(void *arg, const struct spawn_result *res)
{
	struct engine *en = arg;
	enum fsm_act act = en->act_running;
	bool ok = res->end == SPAWN_EXITED && res->code == 0;
	struct journal_event ev = { .kind = JOURNAL_STEP, .ok = ok, .transition = en->trans_id,
		.took_ms = (uint32_t)(clock_mono_ms() - en->act_began_ms), .wall_ms = clock_wall_ms() };
	bool refused = !ok && act == ACT_QUEUE_CHECK && !en->act_stopped && engine_queue_refused(en, res);
	bool current = en->queue_at < en->queue_len && en->queue[en->queue_at] == act && en->queue_ran;

	en->act_child = NULL;
	ev.tenure = en->own_tenure != 0 ? en->own_tenure : en->state.tenure;
	snprintf(ev.name, sizeof(ev.name), "%s", fsm_act_name(act));
	act_describe(en, act, res, ok, ev.text, sizeof(ev.text));
	if (en->sink.journal != NULL)
		en->sink.journal(en->sink.arg, &ev);
	engine_tell(en, "%6" PRIu32 " ms  %s%s%s", ev.took_ms, ev.name, ok ? "" : ": ", ok ? "" : ev.text);
	if (!ok) {
		log_warnx("%s failed after %" PRIu32 " ms: %s", ev.name, ev.took_ms, ev.text);
	}
	if (!ok && !en->act_stopped) {
		snprintf(en->last_error, sizeof(en->last_error), "%s: %.460s", ev.name, ev.text);
		en->last_error_wall_ms = ev.wall_ms;
	}
	if (ok) {
		log_info("%s took %" PRIu32 " ms", ev.name, ev.took_ms);
	}
	if (current) {
		en->queue_at++;
		if (!ok) {
			if (en->act_error[0] == '\0')
				snprintf(en->act_error, sizeof(en->act_error), "%s: %.460s", ev.name, ev.text);
			/* the spool stays, so that its queue can be mended; the peer would refuse it as well */
			if (!engine_act_forgiven(act) && !(refused && en->role == ROLE_ACQUIRING))
				en->queue_failed = true;
			if (en->role != ROLE_RELEASING)
				en->queue_at = en->queue_len;
		}
	}
	/* a spool that cannot even be mounted: the peer is no better off if this goes to and fro */
	if (en->role == ROLE_ACQUIRING && act == ACT_STORAGE_UP && res->end == SPAWN_TIMEOUT)
		engine_stall_note(en);
	act_learn(en, act, ok, res);
	engine_run_queue(en);
	engine_soon(en);
}

bool
engine_act_begin(struct engine *en, enum fsm_act act)
{
	struct edge_ctx *ctx = &en->act_ctx;

	if (act == ACT_ADDRESS_UP && en->job[JOB_ADDRESS_PROBE] != NULL)
		return false;
	if (act == ACT_STORAGE_DOWN && engine_disk_trying(en))
		return false;		/* it would be a holder */
	*ctx = (struct edge_ctx){ .conf = en->conf, .state = en->state, .known = engine_known(en),
		.owner = true, .with_services = !en->state.services_stopped, .limit_ms = act_limit_ms(en->conf, act),
		.hurry = en->role == ROLE_RELEASING && (en->intent == INTENT_ROBBED || en->intent == INTENT_STALLED) };
	snprintf(ctx->boot, sizeof(ctx->boot), "%s", en->boot_text);
	snprintf(ctx->foreign, sizeof(ctx->foreign), "%s", en->foreign);
	if (en->role == ROLE_ACTIVE) {
		ctx->proof = PROOF_HELD;
		ctx->known = en->own_tenure;
	} else if (en->proof.kind != PROOF_NONE && en->proof.kind != PROOF_RELEASED) {
		ctx->proof = en->proof.kind;
	} else {
		ctx->proof = PROOF_RELEASED;
		ctx->released = en->agreed != 0 ? en->agreed - 1 : 0;
	}
	switch (act) {
	case ACT_STORAGE_UP:
		en->hold.storage = FACT_UNKNOWN;	/* from now on it may be mounted */
		en->hold.storage_text[0] = '\0';
		engine_beat_now(en);
		break;
	case ACT_MTA_RESTART:
		/* one that died needs no stop, and one that came back by itself must not get one */
		ctx->stop_first = mta_health_good(&en->mta_health, en->conf->mta.failures, en->conf->mta.window) == FACT_NO;
		engine_restart_note(en);
		engine_mta_follow(en, 0);
		en->mta_died = false;
		mta_health_reset(&en->mta_health);
		break;
	case ACT_MTA_STOP:
		engine_queue_leave(en);
		engine_mta_follow(en, 0);
		break;
	case ACT_EASE: case ACT_ADDRESS_DOWN: case ACT_UNBIND: case ACT_STORAGE_DOWN: case ACT_ABANDON:
		engine_queue_leave(en);
		break;
	case ACT_MTA_START: case ACT_SEAL: case ACT_BIND: case ACT_QUEUE_CHECK: case ACT_ADDRESS_UP: case ACT_VERIFY:
	case ACT_NONE: case ACT_BEAT: case ACT_CLAIM: case ACT_GRANT: case ACT_OFFER: case ACT_ASK_GIVE: case ACT_ASK_FENCE:
	case ACT_ASK_POWER: case ACT_FENCE_LATER: case ACT_FENCE: case ACT_RETRY_LATER: case ACT_GAVE_UP: case ACT_ALERT:
	case ACT_GOODBYE: case ACT_EXIT: case ACT_COUNT:
		break;
	}
	en->act_running = act;
	en->acts_begun++;
	en->act_began_ms = clock_mono_ms();
	en->act_progress[0] = '\0';
	en->act_told = en->act_stopped = false;
	if (act == ACT_QUEUE_CHECK)
		en->act_child = spawn_work_moving(en->loop, fsm_act_name(act), act_work(en->edge, act), ctx, ctx->limit_ms + 500,
		    engine_queue_mends, act_done, en);
	else
		en->act_child = spawn_work(en->loop, fsm_act_name(act), act_work(en->edge, act), ctx, ctx->limit_ms + 500, act_done, en);
	return true;
}

void
engine_act_leave(struct engine *en)
{
	/* a repair is written down before it begins, and may take an hour */
	if (en->act_child == NULL || en->act_running != ACT_QUEUE_CHECK)
		return;
	en->act_stopped = true;
	spawn_stop(en->act_child);
}

/* ---------------------------------------------------------------- at once */

static void
act_gave_up(struct engine *en)
{
	const struct conf_takeover *t = &en->conf->takeover;

	if (en->intent == INTENT_UNDO) {
		/* a start may fail for a passing reason: try again a few times */
		engine_restart_note(en);
		if (engine_may_restart(en)) {
			en->retry_own_ms = clock_mono_ms() + t->fence_retry_ms;
			return;
		}
	}
	en->state.gave_up = true;
	engine_save(en);
}

static void
goodbye_fired(void *arg)
{
	struct engine *en = arg;

	if (en->goodbyes > 0) {
		en->goodbyes--;
		engine_beat_now(en);
		loop_timer_in(en->leave_timer, GOODBYE_EVERY_MS);
	} else if (en->sink.exit != NULL) {
		en->sink.exit(en->sink.arg);
	}
}

static void
act_exit(struct engine *en)
{
	en->exiting = true;
	if (en->leave_timer == NULL)
		en->leave_timer = loop_timer_new(en->loop, goodbye_fired, en);
	loop_timer_in(en->leave_timer, 0);
}

static void
act_goodbye(struct engine *en)
{
	if (en->grant == 0) {
		en->grant = engine_known(en) + 1;
		en->offered = true;
		en->request = BEAT_ASK_TAKE;
	}
	en->goodbye = true;
	en->goodbyes = GOODBYES;
}

void
engine_act_now(struct engine *en, enum fsm_act act)
{
	switch (act) {
	case ACT_BEAT:
		engine_beat_now(en);
		break;
	case ACT_CLAIM:
		engine_withdraw(en);
		en->request = BEAT_ASK_NOTHING;
		en->claim = engine_known(en) + 1;
		break;
	case ACT_GRANT:
		en->claim = 0;
		en->offered = false;
		en->request = BEAT_ASK_NOTHING;
		en->grant = en->peer.claim;
		break;
	case ACT_OFFER:
		en->claim = 0;
		/* nobody is there to take it, and this node may begin again at any moment: when the peer comes, it shall claim */
		if (en->proof.kind != PROOF_NONE || en->peer_left)
			break;
		en->grant = engine_known(en) + 1;
		en->offered = true;
		en->offer_ms = clock_mono_ms();
		en->request = BEAT_ASK_TAKE;
		break;
	case ACT_ASK_GIVE:
		en->request = BEAT_ASK_GIVE;
		en->request_ms = clock_mono_ms();
		break;
	case ACT_ASK_FENCE:
		en->request = BEAT_ASK_FENCE;
		break;
	case ACT_ASK_POWER:
		engine_ask_power(en, false);
		break;
	case ACT_FENCE_LATER:
		engine_fence_later(en);
		break;
	case ACT_FENCE:
		engine_fence(en);
		break;
	case ACT_RETRY_LATER:
		engine_fence_retry_later(en);
		break;
	case ACT_GAVE_UP:
		act_gave_up(en);
		break;
	case ACT_ALERT:
		engine_hook(en, "alert", en->act_error[0] != '\0' ? en->act_error :
		    en->fence_text[0] != '\0' ? en->fence_text : role_name(en->role));
		break;
	case ACT_GOODBYE:
		en->claim = 0;
		act_goodbye(en);
		break;
	case ACT_EXIT:
		act_exit(en);
		break;
	case ACT_NONE: case ACT_STORAGE_UP: case ACT_SEAL: case ACT_BIND: case ACT_QUEUE_CHECK: case ACT_MTA_START: case ACT_ADDRESS_UP:
	case ACT_EASE: case ACT_ADDRESS_DOWN: case ACT_MTA_STOP: case ACT_UNBIND: case ACT_STORAGE_DOWN: case ACT_ABANDON:
	case ACT_MTA_RESTART: case ACT_VERIFY: case ACT_COUNT:
		break;
	}
}
