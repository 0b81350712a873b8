/*
 * tests/sim/fake_fence.c - the power controllers of the machines, and the workers that use them. A machine has a management controller
 * that switches it, and perhaps power supplies at one or two outlets of power strips; it is on as long as one of them is. What agents
 * make of all that is in fake_agent.c, what their answers are worth in supervisor/fence.c.
 */
#include <stdio.h>
#include <string.h>

#include "supervisor/edge_fence.h"
#include "supervisor/fence.h"
#include "tests/sim/sim.h"

enum fence_device
fence_device(const struct conf_fence *f)
{
	return strncmp(f->name, "pdu-a", 5) == 0 ? FENCE_OUTLET_A : strncmp(f->name, "pdu-b", 5) == 0 ? FENCE_OUTLET_B : FENCE_BMC;
}

/* A machine hangs on those outlets that are configured, and on the first where there is none. */
static unsigned int
outlets(const struct node *n)
{
	unsigned int bits = 0;

	for (size_t i = 0; i < n->conf.fences; i++) {
		if (n->conf.fence[i].node == n->id && fence_device(&n->conf.fence[i]) != FENCE_BMC)
			bits |= 1u << fence_device(&n->conf.fence[i]);
	}
	return bits;
}

/* A management controller has no power either where both outlets are off. */
bool
fence_device_lives(const struct conf_fence *f)
{
	const struct node *n = &sim->node[f->node];

	return fence_device(f) != FENCE_BMC || outlets(n) == 0 || (outlets(n) & ~n->dark) != 0;
}

bool
fence_device_on(const struct conf_fence *f, int node)
{
	const struct node *n = &sim->node[node];

	return fence_device(f) == FENCE_BMC ? n->power : (n->dark & 1u << fence_device(f)) == 0;
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
device_set(enum fence_device device, int node, bool on)
{
	struct node *n = &sim->node[node];

	if (device == FENCE_BMC) {
		if (outlets(n) == 0 || (outlets(n) & ~n->dark) != 0)
			fence_acts(node, !on);
		return;
	}
	n->dark = on ? n->dark & ~(1u << device) : n->dark | 1u << device;
	TRACE("  outlet %c of %s is %s", device == FENCE_OUTLET_A ? 'a' : 'b', n->conf.node[node], on ? "on" : "off");
	if (on)
		node_power_on(n);	/* as it is set up: with the power comes the machine */
	else if ((outlets(n) & ~n->dark) == 0)
		fence_acts(node, true);
}

void
fence_device_set(const struct conf_fence *f, int node, bool on)
{
	device_set(fence_device(f), node, on);
}

void
fence_later(const struct conf_fence *f, int node, bool on, uint64_t us)
{
	item_add(NULL, sim->now + us, IT_FENCED, CLASS_WORLD, -1, NULL, (uint64_t)node | (uint64_t)on << 1 | (uint64_t)fence_device(f) << 2);
}

void
fence_happens(uint64_t what)
{
	if (!sim->calm)
		device_set((enum fence_device)(what >> 2), (int)(what & 1), (what & 2) != 0);
}

/* ---------------------------------------------------------------- workers */

/* The production steps, but for the journal on a real disk where the date of a rehearsal stands. */
static bool
work_power(const struct edge_ctx *ctx, struct spawn_out *out, struct err *err)
{
	if (ctx->power != EDGE_POWER_TEST)
		return edge_power(ctx, out, err);
	return fence_monitor(ctx->conf, ctx->node, out, err) && fence_power(ctx->conf, ctx->node, out, err) != FACT_UNKNOWN;
}

bool
fence_work_power(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;

	/* a command that is on its way acts in the second half of the worker's time */
	if (edge_phase() == 0)
		return true;
	return sim->script != NULL ? sim->script->power(arg, out, err) : work_power(ctx, out, err);
}

bool
fence_work_monitor(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;

	if (sim->script != NULL)
		return sim->script->fence_monitor(arg, out, err);
	for (size_t i = 0; i < ctx->conf->fences; i++) {
		struct conf one = *ctx->conf;
		struct err why;
		char key[32];

		if (ctx->conf->fence[i].node != ctx->node)
			continue;
		one.fence[0] = ctx->conf->fence[i];
		one.fences = 1;
		snprintf(key, sizeof(key), "answers-%zu", i);
		spawn_say(out, key, "%s", fence_monitor(&one, ctx->node, NULL, &why) ? "yes" : "no");
	}
	return true;
}
