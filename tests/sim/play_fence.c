/*
 * tests/sim/play_fence.c - stands for supervisor/fence_agent.c in a play: the power controllers as tests/live/tools/power.c has them, so that
 * order, retries and judgement are those of supervisor/fence.c. Remembers who asked what. And how long workers take.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "supervisor/fence_agent.h"
#include "tests/sim/play.h"

#define ASKED_MAX 4096
#define CALL_MIN (15 * MS)	/* one call of an agent that works */
#define CALL_MAX (50 * MS)
#define HANG_STOP_MS 1000	/* as in supervisor/edge_real.c */

static struct { uint64_t at; int by, of; char action[16], answer[16]; } asked[ASKED_MAX];
static size_t asks, asks_told;

static void
note(int by, int of, const char *action, const char *answer)
{
	play.news = true;
	if (asks == ASKED_MAX)
		return;
	asked[asks].at = sim->now;
	asked[asks].by = by;
	asked[asks].of = of;
	snprintf(asked[asks].action, sizeof(asked[asks].action), "%s", action);
	snprintf(asked[asks].answer, sizeof(asked[asks].answer), "%s", answer);
	asks++;
}

void
play_asked_print(void)
{
	for (; asks_told < asks; asks_told++)
		SAY("| asked %" PRIu64 " %s %s %s %s\n", asked[asks_told].at, sim->node[asked[asks_told].by].conf.node[asked[asks_told].by],
		    asked[asks_told].action, sim->node[0].conf.node[asked[asks_told].of], asked[asks_told].answer);
}

/* ---------------------------------------------------------------- the agent, and the device behind it */

static void
switched(int of, const char *action)
{
	if (strcmp(action, "on") != 0)
		fence_acts(of, true);
	if (strcmp(action, "off") != 0)
		fence_acts(of, false);
}

void
fence_agent_call(const struct conf *conf, const struct conf_fence *f, const char *action, struct fence_reply *ret)
{
	enum play_device device = play.device[f->node];
	bool asks_only = strcmp(action, "status") == 0 || strcmp(action, "monitor") == 0;
	bool power = sim->node[f->node].power;

	*ret = (struct fence_reply){ .started = true, .ended = true };
	if (device == PLAY_HANGS || (device == PLAY_LATE && play.late_us[f->node] >= f->timeout_ms * MS)) {
		ret->ended = false;
		snprintf(ret->sentence, sizeof(ret->sentence), "not finished after %u ms: killed", f->timeout_ms);
		return;
	}
	if (device == PLAY_DEAD || play.unreachable[conf->self][f->node]) {
		ret->code = 1;
		snprintf(ret->sentence, sizeof(ret->sentence), "the controller of %s hung up without an answer", conf->node[f->node]);
		note(conf->self, f->node, action, "nothing");
		return;
	}
	if (!asks_only && device != PLAY_LIES)
		switched(f->node, action);
	ret->code = asks_only && !power ? 2 : 0;
	if (strcmp(action, "status") == 0)
		ret->power = fence_answer_power(ret->code, "", "");
	snprintf(ret->sentence, sizeof(ret->sentence), "exit status %d without a word", ret->code);
	note(conf->self, f->node, action, !asks_only ? "ok" : power ? "on" : "off");
}

enum fact
fence_agent_offers(const struct conf *conf, const struct conf_fence *f, const char *action)
{
	(void)conf;
	(void)f;
	(void)action;
	return FACT_YES;
}

/* ---------------------------------------------------------------- how long workers take */

/* Calls of agents that one worker makes of each device; "off" and "on" are followed by a status. */
static unsigned int
calls_of(const struct spawn *s)
{
	if (s->kind->work == sim_edge.fence_monitor)
		return 1;
	switch (s->ctx.power) {
	case EDGE_POWER_STATUS:
		return 1;
	case EDGE_POWER_OFF: case EDGE_POWER_ON: case EDGE_POWER_TEST:
		return 2;
	case EDGE_POWER_RESET:
		return 4;
	}
	return 1;
}

static uint64_t
fence_takes(const struct spawn *s)
{
	const struct conf *c = s->ctx.conf;
	uint64_t us = 0;

	for (size_t i = 0; i < c->fences; i++) {
		const struct conf_fence *f = &c->fence[i];
		uint64_t one = rng_in(&sim->work, CALL_MIN, CALL_MAX);

		if (f->node != s->ctx.node)
			continue;
		if (play.device[f->node] == PLAY_HANGS)
			one = f->timeout_ms * MS;
		else if (play.device[f->node] == PLAY_LATE)
			one = play.late_us[f->node] < f->timeout_ms * MS ? one + play.late_us[f->node] : f->timeout_ms * MS;
		us += one * calls_of(s);
	}
	return us;
}

uint64_t
play_takes(const struct spawn *s)
{
	const struct node *n = &sim->node[s->node];
	const struct conf *c = s->ctx.conf;
	uint64_t more = 0;

	if (s->kind->fence)
		return fence_takes(s);
	if (s->kind->work == sim_edge.queue_check && queue_will_mend(&s->ctx))
		return sim->repair_still ? s->ctx.limit_ms * MS : sim->repair_us;
	if (s->kind->work == sim_edge.storage_down && n->held)
		more = c->storage.holders == CONF_HOLDERS_KILL ? c->kill_ms : c->unmount_ms;
	else if (s->kind->work == sim_edge.monitor && n->mta_hung)
		more = c->mta.probe_ms;
	else if (s->kind->work == sim_edge.mta_restart && n->mta_hung)
		more = HANG_STOP_MS;
	else if (s->kind->work == sim_edge.mta_stop && n->mta_hung && !s->ctx.hurry)
		more = c->mta.stop_ms;
	return more == 0 ? 0 : more * MS + sim_takes(&sim->work, s->kind->min_us, s->kind->max_us);
}

void
play_fence_look(int node)
{
	for (size_t i = 0; i < sim->spawns; i++) {
		struct spawn *s = &sim->spawn[i];

		if (s->used && !s->lost && s->kind->fence && s->ctx.node == node && s->phase < s->kind->phases)
			spawn_wake(s);
	}
}
