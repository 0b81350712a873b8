/*
 * tests/sim/fake_fence.c - fence devices, as the engine sees them through supervisor/fence.c: an "off" is proof only when a following
 * status does not say "on". A device may be out of reach, hang, claim success while the node stays on (its status tells
 * the truth), fail although it has worked, work without being able to tell, or act long after it was given up.
 * One that lies in its action and in its status is outside of what can be proven: a few schedules have one ("liar"), and only
 * have to find back to one owner.
 */
#include <stdio.h>

#include "tests/sim/sim.h"

enum device { DEVICE_GOOD, DEVICE_AWAY, DEVICE_LIES, DEVICE_HALF, DEVICE_BLIND, DEVICE_HANGS, DEVICE_LATE, DEVICE_LIAR };

static enum device
device_draw(void)
{
	static const struct { enum fault fault; enum device device; } of[] = { { F_FENCE_AWAY, DEVICE_AWAY },
		{ F_FENCE_LIE, DEVICE_LIES }, { F_FENCE_HALF, DEVICE_HALF }, { F_FENCE_BLIND, DEVICE_BLIND },
		{ F_FENCE_HANG, DEVICE_HANGS }, { F_FENCE_LATE, DEVICE_LATE } };
	size_t i = rng_below(&sim->work, sizeof(of) / sizeof(of[0]));

	if (!sim->calm && sim->plan->liar && rng_chance(&sim->work, 500))
		return DEVICE_LIAR;
	if (sim->calm || (sim->plan->faults & BIT(of[i].fault)) == 0 || !rng_chance(&sim->work, sim->plan->fence))
		return DEVICE_GOOD;
	return of[i].device;
}

/* What the device does, at the moment when it does it. */
void
fence_acts(int node, bool off)
{
	struct node *n = &sim->node[node];

	if (off && n->power) {
		node_power_off(n, "its fence device switched it off");
		/* somebody finds it and switches it on again, perhaps */
		if (!sim->calm && rng_chance(&sim->work, 700))
			item_add(&n->power_slot, sim->now + rng_in(&sim->work, SECOND, 15 * SECOND), IT_POWER_ON, CLASS_WORLD, node, n, 0);
	} else if (!off) {
		node_power_on(n);
	}
}

static void
later(int node)
{
	item_add(NULL, sim->now + rng_in(&sim->work, SECOND, 30 * SECOND), IT_FENCED, CLASS_WORLD, -1, NULL, (uint64_t)node);
}

/* A device that does not answer in time: what the engine hears is the same as a device that fails late. */
static bool
silent(struct err *err)
{
	return err_set(err, 0, "the fence device did not answer in time");
}

static bool
work_off(const struct edge_ctx *ctx, struct spawn_out *out, struct err *err)
{
	struct node *victim = &sim->node[ctx->node];

	switch (device_draw()) {
	case DEVICE_AWAY:
		return err_set(err, 0, "the fence device cannot be reached");
	case DEVICE_LIES:
		if (victim->power)
			return err_set(err, 0, "the agent says off, but its status says on");
		break;
	case DEVICE_HANGS:
		return silent(err);
	case DEVICE_LATE:
		later(ctx->node);
		return silent(err);
	case DEVICE_BLIND:
		fence_acts(ctx->node, true);
		return err_set(err, 0, "the agent failed and its status cannot be told");
	case DEVICE_LIAR:
		spawn_say(out, "power", "off");
		spawn_say(out, "text", "it was powered off and its status confirms it");
		return true;
	case DEVICE_HALF:	/* the agent failed, but its status says off */
	case DEVICE_GOOD:
		break;
	}
	fence_acts(ctx->node, true);
	spawn_say(out, "power", "off");
	spawn_say(out, "text", "it was powered off and its status confirms it");
	return true;
}

static bool
work_status(const struct edge_ctx *ctx, struct spawn_out *out, struct err *err)
{
	switch (device_draw()) {
	case DEVICE_AWAY:
	case DEVICE_BLIND:
		spawn_say(out, "power", "unknown");
		spawn_say(out, "text", "the fence device cannot be reached");
		return true;
	case DEVICE_HANGS:
	case DEVICE_LATE:
		return silent(err);
	case DEVICE_LIAR:
		spawn_say(out, "power", "off");
		spawn_say(out, "text", "every device of one level agrees");
		return true;
	case DEVICE_LIES:
	case DEVICE_HALF:
	case DEVICE_GOOD:
		break;
	}
	spawn_say(out, "power", "%s", sim->node[ctx->node].power ? "on" : "off");
	spawn_say(out, "text", "every device of one level agrees");
	return true;
}

bool
fence_work_power(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;

	/* a command that is on its way acts in the second half of the worker's time */
	if (edge_phase() == 0)
		return true;
	if (sim->script != NULL)
		return sim->script->power(arg, out, err);
	switch (ctx->power) {
	case EDGE_POWER_STATUS:
	case EDGE_POWER_TEST:
		return work_status(ctx, out, err);
	case EDGE_POWER_OFF:
		return work_off(ctx, out, err);
	case EDGE_POWER_RESET:
		if (!work_off(ctx, out, err))
			return false;
		fence_acts(ctx->node, false);
		return true;
	case EDGE_POWER_ON:
		fence_acts(ctx->node, false);
		return true;
	}
	return false;
}

bool
fence_work_monitor(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;

	if (sim->script != NULL)
		return sim->script->fence_monitor(arg, out, err);
	for (size_t i = 0; i < ctx->conf->fences; i++) {
		char key[32];

		if (ctx->conf->fence[i].node != ctx->node)
			continue;
		snprintf(key, sizeof(key), "answers-%zu", i);
		spawn_say(out, key, "%s", device_draw() == DEVICE_AWAY ? "no" : "yes");
	}
	return true;
}
