/*
 * supervisor/engine_fence.c - the proof that the peer is gone: power status, fencing, and when a proof ends. The only file
 * that sets engine.proof. Devices are asked by workers (supervisor/fence.h), one question at a time; nothing
 * here blocks. What may be done when stands in the table.
 *
 * What counts as proof (docs/adr/0001): "off" from the fence devices at a moment after which no beat was heard; the operator's
 * word. Not: silence, a device that does not answer, "on", a time-out.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "supervisor/engine_priv.h"
#include "supervisor/fence.h"

bool
engine_can_fence(const struct engine *en)
{
	for (size_t i = 0; i < en->conf->fences; i++) {
		if (en->conf->fence[i].node != en->conf->self)
			return true;
	}
	return false;
}

void
engine_prove(struct engine *en, enum proof_kind kind, uint64_t released, const char *fmt, ...)
{
	struct engine_proof *p = &en->proof;
	va_list ap;

	*p = (struct engine_proof){ .kind = kind, .released = released, .at_ms = clock_mono_ms() };
	if (en->peer_known)
		memcpy(p->boot, en->peer.boot, sizeof(p->boot));
	va_start(ap, fmt);
	vsnprintf(p->text, sizeof(p->text), fmt, ap);
	va_end(ap);
	/* from now on this node may begin by itself: what it promised the peer before is withdrawn, should that come back unheard */
	en->claim = 0;
	engine_withdraw(en);
	en->fence_failed = false;
	engine_event(en, "proof", true, "%s is proven gone: %s", engine_peer_name(en), p->text);
	engine_consider(en);
}

void
engine_unprove(struct engine *en)
{
	if (en->proof.kind == PROOF_NONE)
		return;
	engine_event(en, "proof-over", true, "%s is heard again: the proof that it was gone is over (%s)",
	    engine_peer_name(en), en->proof.text);
	en->proof = (struct engine_proof){ .kind = PROOF_NONE };
}

/* ---------------------------------------------------------------- one question at a time */

static void power_done(void *arg, const struct spawn_result *res);

static void
power_begin(struct engine *en, int node, enum edge_power what)
{
	/* should it be off now and up again before the answer comes, it must find no offer from before */
	if (node != en->conf->self)
		engine_withdraw(en);
	en->job_ctx[JOB_POWER] = (struct edge_ctx){ .node = node, .power = what };
	en->power_asked_ms = clock_mono_ms();
	engine_job_start(en, JOB_POWER, what == EDGE_POWER_STATUS ? "power status" : "fence", en->edge->power,
	    fence_longest_ms(en->conf, node) + 1000, power_done);
}

void
engine_ask_power(struct engine *en, bool hint)
{
	uint64_t now = clock_mono_ms();

	if (en->job[JOB_POWER] != NULL || en->fencing)
		return;
	if (!hint && (now < en->fence_blocked_ms || now - en->power_asked_ms < POWER_AGAIN_MS))
		return;
	power_begin(en, 1 - en->conf->self, EDGE_POWER_STATUS);
}

void
engine_fence(struct engine *en)
{
	if (en->fencing || clock_mono_ms() < en->fence_blocked_ms)
		return;
	en->fencing = true;
	if (en->job[JOB_POWER] != NULL) {
		en->fence_wanted = true;
		return;
	}
	engine_event(en, "fence", true, "%s is being powered off", engine_peer_name(en));
	power_begin(en, 1 - en->conf->self, EDGE_POWER_OFF);
}

void
engine_fence_later(struct engine *en)
{
	uint64_t at = (en->silent_ms != 0 ? en->silent_ms : clock_mono_ms()) + en->conf->takeover.fence_delay_ms;

	if (en->fencing || loop_timer_pending(en->delay_timer))
		return;
	if (at < en->fence_blocked_ms)
		at = en->fence_blocked_ms;
	loop_timer_at(en->delay_timer, at);
}

void
engine_fence_delay_fired(void *arg)
{
	struct engine *en = arg;

	engine_step(en, EV_FENCE_DELAY_OVER);
}

void
engine_fence_retry_later(struct engine *en)
{
	en->fence_blocked_ms = clock_mono_ms() + en->conf->takeover.fence_retry_ms;
	loop_timer_cancel(en->delay_timer);
	if (en->role == ROLE_STANDBY)
		loop_timer_at(en->delay_timer, en->fence_blocked_ms);
}

void
engine_fence_calm(struct engine *en)
{
	loop_timer_cancel(en->delay_timer);
	en->fence_wanted = false;
	/* an "off" that is under way cannot be called back; one that still waits for its turn is not wanted any more */
	if (en->job[JOB_POWER] == NULL || en->job_ctx[JOB_POWER].power != EDGE_POWER_OFF)
		en->fencing = false;
	en->fence_blocked_ms = 0;
	en->fence_failed = false;
	en->fence_text[0] = '\0';
}

/* ---------------------------------------------------------------- the answers */

static void
status_answered(struct engine *en, const char *power, const char *text)
{
	const char *peer = engine_peer_name(en);

	if (strcmp(power, "off") == 0 && en->peer_news_ms < en->power_asked_ms) {
		engine_prove(en, PROOF_FENCED, 0, "its fence devices say that its power is off (%s)", text);
		return;
	}
	if (strcmp(power, "off") == 0)
		log_warnx("fence devices say that %s is off, but it was heard after they were asked: not believed", peer);
	en->fence_failed = strcmp(power, "unknown") == 0;
	if (en->fence_failed)
		snprintf(en->fence_text, sizeof(en->fence_text), "%s", text);
	else
		snprintf(en->fence_text, sizeof(en->fence_text), "its fence devices say that its power is %.20s (%.180s)", power, text);
	engine_step(en, EV_POWER_NOT_OFF);
}

static void
off_answered(struct engine *en, bool ok, const char *text)
{
	en->fencing = false;
	/*
	 * It was heard since: before the shot, or after it when somebody switched it on again meanwhile. Only a question put now
	 * can tell.
	 */
	if (ok && en->peer_news_ms >= en->power_asked_ms) {
		engine_hook(en, "fence", text);
		engine_ask_power(en, true);
		return;
	}
	if (ok) {
		en->fence_text[0] = '\0';
		engine_prove(en, PROOF_FENCED, 0, "%s", text);
		engine_hook(en, "fence", text);
		return;
	}
	en->fence_failed = true;
	snprintf(en->fence_text, sizeof(en->fence_text), "%s", text);
	engine_event(en, "fence-failed", false, "%s could not be powered off: %s", engine_peer_name(en), text);
	engine_step(en, EV_FENCE_FAILED);
}

/* The date of the last rehearsal, which the report carries. */
void
engine_fence_tested(struct engine *en, int node, const struct spawn_result *res)
{
	char date[32] = "";

	for (size_t i = 0; spawn_get(res->out, "tested", date, sizeof(date)) != NULL && i < en->conf->fences; i++) {
		if (en->conf->fence[i].node == node)
			snprintf(en->fence_tested[i], sizeof(en->fence_tested[i]), "%s", date);
	}
}

static void
power_done(void *arg, const struct spawn_result *res)
{
	struct engine *en = arg;
	struct edge_ctx *ctx = &en->job_ctx[JOB_POWER];
	bool ok = res->end == SPAWN_EXITED && res->code == 0, about_peer = ctx->node != en->conf->self;
	spawn_done_f *op_done = en->op_fence_done;
	char power[16] = "unknown", text[256] = "";

	en->job[JOB_POWER] = NULL;
	en->op_fence_done = NULL;
	if (spawn_get(res->out, "power", power, sizeof(power)) == NULL || !ok)
		snprintf(power, sizeof(power), "unknown");
	if (!ok)
		snprintf(text, sizeof(text), "%.255s", res->end == SPAWN_TIMEOUT ? "the fence devices did not answer in time" :
		    res->err.text[0] != '\0' ? res->err.text : "the fence devices failed");
	else if (spawn_get(res->out, "text", text, sizeof(text)) == NULL)
		snprintf(text, sizeof(text), "no detail");
	switch (ctx->power) {
	case EDGE_POWER_STATUS:
		/* a person's question may come while the peer is well: only silence makes it a matter of proof */
		if (about_peer && (op_done == NULL || !engine_peer_alive(en)))
			status_answered(en, power, text);
		break;
	case EDGE_POWER_OFF:
		if (about_peer) {
			if (op_done != NULL && ok)
				en->commanded = true;
			off_answered(en, ok, text);
		}
		break;
	case EDGE_POWER_TEST:
		if (ok)
			engine_fence_tested(en, ctx->node, res);
		break;
	case EDGE_POWER_ON:
	case EDGE_POWER_RESET:
		break;
	}
	if (op_done != NULL)
		op_done(en->op_fence_arg, res);
	if (en->fence_wanted) {
		en->fence_wanted = false;
		en->fencing = false;
		if (en->proof.kind == PROOF_NONE && !engine_peer_alive(en))
			engine_fence(en);
	}
	engine_soon(en);
}

enum op_result
engine_op_fence(struct engine *en, const char *node, enum edge_power what, spawn_done_f *done, void *arg, struct err *err)
{
	int index = strcmp(node, en->conf->node[0]) == 0 ? 0 : strcmp(node, en->conf->node[1]) == 0 ? 1 : -1;
	bool harms = what == EDGE_POWER_OFF || what == EDGE_POWER_RESET, has = false;

	if (index == -1) {
		err_set(err, 0, "there is no node \"%s\"; the nodes are %s and %s", node, en->conf->node[0], en->conf->node[1]);
		return OP_NO;
	}
	for (size_t i = 0; i < en->conf->fences; i++)
		has = has || en->conf->fence[i].node == index;
	if (!has) {
		err_set(err, 0, "no fence device for %s is configured", node);
		return OP_NO;
	}
	if (harms && index == en->conf->self) {
		err_set(err, 0, "%s is this node: run the command on %s", node, engine_peer_name(en));
		return OP_UNSAFE;
	}
	if (harms && engine_peer_alive(en) && en->peer.holds != FACT_NO) {
		err_set(err, 0, "%s is alive and holds the spool; 'mailpair switchover' moves it first", node);
		return OP_UNSAFE;
	}
	if (en->job[JOB_POWER] != NULL) {
		err_set(err, 0, "the fence devices are busy with another question; try again in a moment");
		return OP_NO;
	}
	en->op_fence_done = done;
	en->op_fence_arg = arg;
	if (what == EDGE_POWER_OFF)
		en->fencing = true;
	power_begin(en, index, what);
	return OP_STARTED;
}
