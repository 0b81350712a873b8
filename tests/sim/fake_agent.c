/*
 * tests/sim/fake_agent.c - stands for supervisor/fence_agent.c: each call of an agent is drawn its own fate. Which devices are asked in which order,
 * how often, and what their answers are worth is the production code's (fence.c, fence_answer.c).
 *
 * A device may be out of reach, hang, act long after it was given up, claim success while the node stays on (its status tells the truth), fail
 * although it has worked, do something else than it was told, do it to the other node, or give the answer to the question before. Beyond proof
 * is only a device whose status says "off" of a node that is on: a few schedules have one ("liar"), and need only find back to one owner.
 */
#include <stdio.h>
#include <string.h>

#include "supervisor/fence_agent.h"
#include "tests/sim/sim.h"

enum fate_of_call { CALL_GOOD, CALL_AWAY, CALL_HANGS, CALL_LATE, CALL_LIES, CALL_HALF, CALL_CYCLES, CALL_OTHER_ACTION, CALL_OTHER_NODE,
	CALL_PREVIOUS, CALL_LIAR };

static const struct answer done = { 0, "" }, on = { 0, "Status: ON\n" }, off = { 2, "Status: OFF\n" }, failed = { 1, "" };

enum fact
fence_agent_offers(const struct conf *conf, const struct conf_fence *f, const char *action)
{
	(void)conf;
	(void)action;
	return sim->plan->mute && fence_device(f) == FENCE_BMC ? FACT_NO : FACT_YES;
}

/* Of an agent that has no status nothing can be believed that is not so. */
static enum fate_of_call
draw(const struct conf_fence *f, bool asks)
{
	static const struct { enum fault fault; enum fate_of_call asked, told, mute; } of[] = {
		{ F_FENCE_AWAY, CALL_AWAY, CALL_AWAY, CALL_AWAY }, { F_FENCE_LIE, CALL_GOOD, CALL_LIES, CALL_AWAY },
		{ F_FENCE_HALF, CALL_GOOD, CALL_HALF, CALL_HALF }, { F_FENCE_BLIND, CALL_AWAY, CALL_GOOD, CALL_GOOD },
		{ F_FENCE_HANG, CALL_HANGS, CALL_HANGS, CALL_HANGS }, { F_FENCE_LATE, CALL_HANGS, CALL_LATE, CALL_LATE },
		{ F_FENCE_CYCLE, CALL_GOOD, CALL_CYCLES, CALL_CYCLES }, { F_FENCE_ACTION, CALL_OTHER_ACTION, CALL_OTHER_ACTION, CALL_AWAY },
		{ F_FENCE_NODE, CALL_OTHER_NODE, CALL_OTHER_NODE, CALL_AWAY }, { F_FENCE_PREVIOUS, CALL_PREVIOUS, CALL_PREVIOUS, CALL_AWAY } };
	size_t i = rng_below(&sim->work, sizeof(of) / sizeof(of[0]));

	if (!fence_device_lives(f))
		return CALL_AWAY;
	if (!sim->calm && sim->plan->liar && rng_chance(&sim->work, 500))
		return CALL_LIAR;
	if (sim->calm || (sim->plan->faults & BIT(of[i].fault)) == 0 || !rng_chance(&sim->work, sim->plan->fence))
		return CALL_GOOD;
	return fence_agent_offers(NULL, f, "status") == FACT_NO ? of[i].mute : asks ? of[i].asked : of[i].told;
}

static struct answer
status(const struct conf_fence *f, int node)
{
	return fence_agent_offers(NULL, f, "status") == FACT_NO ? failed : fence_device_on(f, node) ? on : off;
}

static struct answer
told(const struct conf *conf, const struct conf_fence *f, bool turn_on, enum fate_of_call fate, struct answer previous)
{
	switch (fate) {
	case CALL_GOOD:
	case CALL_HALF:
	case CALL_CYCLES:
		fence_device_set(f, f->node, turn_on);
		if (fate == CALL_CYCLES)
			fence_later(f, f->node, true, rng_in(&sim->work, 100 * MS, 3 * SECOND));
		return fate == CALL_HALF ? failed : done;
	case CALL_LATE:
		fence_later(f, f->node, turn_on, rng_in(&sim->work, SECOND, 30 * SECOND));
		break;
	case CALL_OTHER_ACTION:
		return status(f, f->node);
	case CALL_OTHER_NODE:
		fence_later(f, conf->self, turn_on, MS);
		return done;
	case CALL_PREVIOUS:
		fence_later(f, f->node, turn_on, rng_in(&sim->work, 10 * MS, 2 * SECOND));
		return previous;
	case CALL_LIES:
	case CALL_LIAR:
		return done;
	case CALL_AWAY:
	case CALL_HANGS:
		break;
	}
	return failed;
}

static struct answer
asked(const struct conf *conf, const struct conf_fence *f, enum fate_of_call fate, struct answer previous)
{
	switch (fate) {
	case CALL_OTHER_ACTION:
		return done;
	case CALL_OTHER_NODE:
		return status(f, conf->self);	/* who asks is on */
	case CALL_PREVIOUS:
		/* the status of some time ago would be one that lies */
		return previous.out == on.out || previous.out == off.out ? failed : previous;
	case CALL_LIAR:
		return off;
	case CALL_AWAY:
		return failed;
	case CALL_GOOD: case CALL_HANGS: case CALL_LATE: case CALL_LIES: case CALL_HALF: case CALL_CYCLES:
		break;
	}
	return status(f, f->node);
}

void
fence_agent_call(const struct conf *conf, const struct conf_fence *f, const char *action, struct fence_reply *ret)
{
	struct node *of = &sim->node[f->node];
	bool asks = strcmp(action, "status") == 0 || strcmp(action, "monitor") == 0;
	struct answer *before = &of->answered[fence_device(f)], a;
	enum fate_of_call fate = draw(f, asks);

	if (before->out == NULL)
		*before = failed;
	a = asks ? asked(conf, f, fate, *before) : told(conf, f, strcmp(action, "on") == 0, fate, *before);
	*before = asks ? status(f, f->node) : done;
	*ret = (struct fence_reply){ .started = true, .ended = fate != CALL_HANGS && fate != CALL_LATE };
	ret->code = ret->ended ? a.code : 0;
	if (ret->ended && strcmp(action, "status") == 0)
		ret->power = fence_answer_power(a.code, a.out, "");
	snprintf(ret->sentence, sizeof(ret->sentence), ret->ended ? "exit status %d" : "not finished in time%.0d", a.code);
	TRACE("  %s: %s, \"%s\": %s%s", conf->node[conf->self], f->name, action, ret->sentence, fate == CALL_GOOD ? "" : " (by a fault)");
}
