/*
 * tests/sim/plan.c - what goes wrong, drawn from the seed: each schedule picks its own few kinds of faults, their rates, the moments and a
 * configuration ("swarm testing": a schedule with every fault at once never gets far). A plan is data, so that the
 * shrinker can leave parts of it out.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/sim.h"

struct authkeys sim_keys;
static struct conf *base[NODES];

const char *const fault_names[F_COUNT] = {
#define X(n) #n,
	FAULTS(X)
#undef X
};

bool
plan_setup(void)
{
	static const char keys[] = "auth 1\n1 sha256 the-secret-of-the-simulated-pair-0123456789\n";
	struct conf_mistakes m = { NULL, 0 };

	if (!authkeys_parse(keys, sizeof(keys) - 1, false, &sim_keys, &m) ||
	    !conf_load("tests/sim/sim.conf", "mx1", &base[0], &m) || !conf_load("tests/sim/sim.conf", "mx2", &base[1], &m)) {
		for (size_t i = 0; i < m.len; i++)
			printf("tests/sim/sim.conf:%d: %s\n", m.item[i].line, m.item[i].text);
		return false;
	}
	return true;
}

void
plan_conf(const struct plan *p, struct conf *ret, int self)
{
	if (p->conf[self] != NULL) {
		*ret = *p->conf[self];
		return;
	}
	*ret = *base[self];
	ret->heartbeat.keepalive_ms = p->keepalive_ms;
	ret->heartbeat.deadtime_ms = p->deadtime_ms;
	ret->heartbeat.warntime_ms = p->deadtime_ms / 2;
	ret->heartbeat.initdead_ms = p->initdead_ms;
	ret->links = p->links;
	ret->takeover.automatic = p->automatic;
	ret->takeover.failback = p->failback;
	ret->takeover.prefer = p->prefer;
	ret->takeover.hints = p->hints;
	ret->takeover.fence_delay_ms = p->fence_delay_ms;
	if (!p->fences)
		ret->fences = 0;
}

/* ---------------------------------------------------------------- drawing */

static const struct { enum fault fault; enum op_kind kind; } op_of[] = {
	{ F_POWER, OP_POWER_CUT }, { F_REBOOT, OP_REBOOT }, { F_KILL, OP_KILL }, { F_LEAVE, OP_LEAVE }, { F_PAUSE, OP_PAUSE },
	{ F_FREEZE, OP_FREEZE }, { F_WALL, OP_WALL }, { F_CUT, OP_CUT }, { F_ONEWAY, OP_ONEWAY }, { F_FLAP, OP_CUT },
	{ F_CARRIER, OP_CARRIER }, { F_MTA_DIES, OP_MTA_DIES }, { F_MTA_HANGS, OP_MTA_HANGS }, { F_MTA_BROKEN, OP_MTA_BROKEN },
	{ F_MTA_STUCK, OP_MTA_STUCK }, { F_ADDRESS, OP_ADDRESS }, { F_LAN, OP_LAN }, { F_DISK, OP_DISK }, { F_FULL, OP_FULL },
	{ F_RELOAD, OP_RELOAD }, { F_OPERATOR, OP_OPERATOR }, { F_SPOOL_HANGS, OP_SPOOL_HANGS }, { F_STATE_HANGS, OP_STATE_HANGS },
	{ F_STATE_BAD, OP_STATE_BAD },
};
#define OP_OF (sizeof(op_of) / sizeof(op_of[0]))

static uint64_t
draw_faults(struct rng *r)
{
	static const unsigned int shares[] = { 60, 120, 250, 500 };
	unsigned int share = shares[rng_below(r, 4)];
	uint64_t faults = 0;

	for (int f = 0; f < F_COUNT; f++) {
		if (rng_chance(r, share))
			faults |= BIT(f);
	}
	return faults;
}

/* Mostly short, sometimes long: about as many below 300 ms as above 3 s. */
static uint64_t
draw_length(struct rng *r)
{
	static const uint64_t low[] = { 1, 50, 300, 1000, 3000 }, high[] = { 50, 300, 1000, 3000, 12000 };
	size_t i = rng_below(r, 5);

	return rng_in(r, low[i], high[i]) * MS;
}

static void
draw_ops(struct plan *p, struct rng *r, uint64_t length)
{
	enum op_kind kinds[OP_OF];
	bool flap[OP_OF];
	size_t n = 0, want = 1 + rng_below(r, 7);

	for (size_t i = 0; i < OP_OF; i++) {
		if ((p->faults & BIT(op_of[i].fault)) != 0) {
			kinds[n] = op_of[i].kind;
			flap[n++] = op_of[i].fault == F_FLAP;
		}
	}
	if ((p->faults & BIT(F_OPERATOR)) != 0 && rng_chance(r, 300)) {
		/* a busy operator */
		for (size_t i = rng_in(r, 2, 6); i > 0; i--)
			p->op[p->ops++] = (struct op){ .at = rng_below(r, length), .kind = OP_OPERATOR, .node = (int)rng_below(r, 2), .b = rng_next(r) };
	}
	while (n > 0 && want-- > 0) {
		size_t k = rng_below(r, n), times = flap[k] ? 4 : 1;
		struct op op = { .at = rng_below(r, length), .kind = kinds[k], .node = (int)rng_below(r, 2), .b = rng_next(r) };

		for (size_t i = 0; i < times && p->ops < OPS_MAX; i++) {
			op.a = flap[k] ? rng_in(r, 20, 900) * MS : draw_length(r);
			p->op[p->ops++] = op;
			op.at += op.a + rng_in(r, 10, 600) * MS;
		}
	}
}

static unsigned int
draw_rate(const struct plan *p, struct rng *r, enum fault f, unsigned int max)
{
	unsigned int rate = 1 + (unsigned int)rng_below(r, max);

	return (p->faults & BIT(f)) != 0 ? rate : 0;
}

static void
draw_conf(struct plan *p, struct rng *r)
{
	static const uint32_t keepalive[] = { 100, 200, 200, 300, 500 };

	p->keepalive_ms = keepalive[rng_below(r, 5)];
	p->deadtime_ms = p->keepalive_ms * (uint32_t)rng_in(r, 3, 6);
	p->initdead_ms = (uint32_t)rng_in(r, 2000, 6000);
	if (p->initdead_ms < 2 * p->deadtime_ms)
		p->initdead_ms = 2 * p->deadtime_ms;
	p->fence_delay_ms = (uint32_t)rng_in(r, 500, 3000);
	p->links = rng_chance(r, 600) ? 1 : rng_chance(r, 700) ? 2 : 3;
	p->fences = !rng_chance(r, 80);
	p->automatic = p->fences && !rng_chance(r, 80);
	p->prefer = (int)rng_below(r, 3) - 1;
	p->failback = p->prefer != -1 && rng_chance(r, 500);
	p->hints = !rng_chance(r, 200);
}

/* Up to an hour; the beats of the other node meanwhile take their time, so it is rare. */
static void
draw_long_pause(struct plan *p, struct rng *r)
{
	struct op op = { .at = rng_in(r, 5000, 9000) * MS, .kind = rng_chance(r, 500) ? OP_PAUSE : OP_FREEZE, .node = (int)rng_below(r, 2),
		.a = rng_in(r, 60, 3600) * SECOND, .b = rng_next(r) };

	if (p->ops == OPS_MAX)
		return;
	p->op[p->ops++] = op;
	p->keepalive_ms = 1000;
	p->deadtime_ms = 3000;
	if (p->initdead_ms < 6000)
		p->initdead_ms = 6000;
	p->calm_at = op.at + op.a + 5 * SECOND;
}

void
plan_make(struct plan *p, uint64_t seed)
{
	struct rng r = { .s = seed };
	uint64_t length;

	*p = (struct plan){ .seed = seed, .keep_off = -1, .absent = -1, .pace = 1000 };
	rng_next(&r);
	draw_conf(p, &r);
	p->faults = draw_faults(&r);
	p->liar = p->fences && rng_chance(&r, 20);
	if (p->liar)
		p->faults |= BIT(F_CUT) | BIT(F_FREEZE);
	length = rng_in(&r, 2, rng_chance(&r, 300) ? 25 : 12) * SECOND;
	p->calm_at = length;
	if (p->liar && rng_chance(&r, 500)) {
		/* taken over while it stands still: it must notice by itself */
		p->op[p->ops++] = (struct op){ .at = rng_in(&r, 5000, 8000) * MS, .kind = OP_PAUSE, .node = (int)rng_below(&r, 2),
			.a = rng_in(&r, 5, 12) * SECOND, .b = rng_next(&r) };
		p->op[p->ops] = p->op[p->ops - 1];
		p->op[p->ops++].kind = OP_CUT;
		if (p->calm_at < 22 * SECOND)
			p->calm_at = 22 * SECOND;
	}
	draw_ops(p, &r, length);
	p->loss = draw_rate(p, &r, F_LOSS, 400);
	p->dup = draw_rate(p, &r, F_DUP, 300);
	p->corrupt = draw_rate(p, &r, F_CORRUPT, 300);
	p->delay_max = (uint64_t)draw_rate(p, &r, F_DELAY, 3000) * MS;
	p->fail = draw_rate(p, &r, F_WORK_FAIL, 150);
	p->half = draw_rate(p, &r, F_WORK_HALF, 150);
	p->hang = draw_rate(p, &r, F_WORK_HANG, 100);
	p->late = draw_rate(p, &r, F_WORK_LATE, 100);
	p->slow = draw_rate(p, &r, F_WORK_SLOW, 300);
	p->fence = 100 + (unsigned int)rng_below(&r, 800);
	p->mend = rng_chance(&r, 600);
	p->linger = rng_chance(&r, 60);
	if (p->fences && p->automatic && rng_chance(&r, 60))
		p->keep_off = (int)rng_below(&r, 2);
	if (rng_chance(&r, 40))
		p->absent = (int)rng_below(&r, 2);
	if (rng_below(&r, 2000) == 0)
		draw_long_pause(p, &r);
}

/* ---------------------------------------------------------------- doing */

void
plan_begin(void)
{
	for (size_t i = 0; i < sim->plan->ops; i++) {
		const struct op *op = &sim->plan->op[i];

		if (!op->off)
			item_add(NULL, sim->begin + op->at, IT_OP, CLASS_WORLD, -1, (void *)(uintptr_t)op, 0);
	}
	item_add(NULL, sim->begin + sim->plan->calm_at, IT_CALM, CLASS_WORLD, -1, NULL, 0);
}

void
op_print(const struct op *op, char *buf, size_t size)
{
	static const char *const names[OP_COUNT] = { "power cut", "reboot", "kill -9 of mailpaird", "order to end", "pause", "freeze",
		"wall clock jump", "links cut", "links cut one way", "carrier", "mail program dies", "mail program hangs",
		"mail program broken", "mail program stuck", "address removed", "lan dead", "disk dead", "disk full", "reload",
		"operator", "spool hangs", "state disk hangs", "state disk fails" };

	snprintf(buf, size, "%s of %s at %.3f s, %" PRIu64 " ms, choice %" PRIx64, names[op->kind], base[0]->node[op->node],
	    (double)op->at / 1e6, op->a / 1000, op->b);
}

static void
cut(const struct op *op, bool one_way)
{
	bool all = op->b % 4 != 0;
	size_t only = (op->b >> 8) % sim->plan->links;

	for (size_t i = 0; i < sim->plan->links; i++) {
		if (!all && i != only)
			continue;
		sim->wire[i].cut[op->node] = true;
		if (!one_way)
			sim->wire[i].cut[1 - op->node] = true;
		item_drop(&sim->uncut_slot[i]);
		item_add(&sim->uncut_slot[i], sim->now + op->a, IT_UNCUT, CLASS_WORLD, -1, NULL, i);
	}
}

void
plan_uncut(uint64_t link)
{
	sim->wire[link].cut[0] = sim->wire[link].cut[1] = false;
	TRACE("link %" PRIu64 " is whole again", link);
}

static void
carrier(const struct op *op)
{
	uint64_t link = op->b % sim->plan->links;
	enum link_hint hint = (op->b & 0x100) != 0 ? LINK_HINT_CARRIER_LOST : (op->b & 0x200) != 0 ? LINK_HINT_UNREACHABLE :
	    LINK_HINT_VANISHED;

	for (int i = 0; i < NODES; i++) {
		if (!sim->node[i].booted || (hint == LINK_HINT_UNREACHABLE && i != op->node))
			continue;
		item_add(NULL, sim->now + 100, IT_HINT, CLASS_DAEMON, i, NULL, link | (uint64_t)hint << 8);
		if (hint == LINK_HINT_CARRIER_LOST)
			item_add(NULL, sim->now + op->a, IT_HINT, CLASS_DAEMON, i, NULL, link | (uint64_t)LINK_HINT_CARRIER_BACK << 8);
	}
}

static void
undo_later(const struct op *op, uint64_t what)
{
	item_add(NULL, sim->now + op->a, IT_UNDO, CLASS_WORLD, -1, NULL, (uint64_t)op->node | what << 1);
}

enum { UNDO_LAN, UNDO_DISK, UNDO_BROKEN, UNDO_HUNG, UNDO_STUCK, UNDO_SPOOL, UNDO_STATE, UNDO_STATE_BAD, UNDO_FULL };

void
plan_undo(int node, uint64_t what)
{
	struct node *n = &sim->node[node];

	n->lan_dead = n->lan_dead && what != UNDO_LAN;
	n->disk_dead = n->disk_dead && what != UNDO_DISK;
	n->mta_broken = n->mta_broken && what != UNDO_BROKEN;
	n->mta_hung = n->mta_hung && what != UNDO_HUNG;
	n->mta_stuck = n->mta_stuck && what != UNDO_STUCK;
	n->state_bad = n->state_bad && what != UNDO_STATE_BAD;
	if (what == UNDO_SPOOL)
		n->spool_hung = 0;
	if (what == UNDO_STATE)
		n->state_hung = 0;
	sim->full = sim->full && what != UNDO_FULL;
	TRACE("%s: fault %" PRIu64 " is over", n->conf.node[node], what);
}

static void
nothing(void *arg, const struct spawn_result *res)
{
	(void)arg;
	(void)res;
}

/* Any command at any time; but a person who vouches for a death has looked. */
static void
operate(struct node *n, uint64_t choice)
{
	struct engine *en = &n->en;
	const char *self = n->conf.node[n->id], *peer = n->conf.node[1 - n->id];
	struct err err = { .text = "" };
	uint64_t more = choice >> 16;

	if (!n->running || n->paused_until > sim->now)
		return;
	sim->cur = n;
	switch (choice % 16) {
	case 0: engine_op_switchover(en, NULL, &err); break;
	case 1: engine_op_switchover(en, self, &err); break;
	case 2: engine_op_switchover(en, peer, &err); break;
	case 3: engine_op_standby(en, &err); break;
	case 4: case 5: engine_op_online(en, &err); break;
	case 6: engine_op_maintenance(en, true, more % 3 == 0 ? 0 : 500 + more % 8000, &err); break;
	case 7: engine_op_maintenance(en, false, 0, &err); break;
	case 8: case 9:
		if (!sim->node[1 - n->id].power)
			engine_op_confirm_dead(en, peer, &err);
		break;
	case 10: engine_op_services(en, false, &err); break;
	case 11: engine_op_services(en, true, &err); break;
	case 12: engine_op_cluster(en, true, &err); break;
	case 13: engine_op_cluster(en, false, &err); break;
	case 14: engine_op_fence(en, peer, more % 2 == 0 ? EDGE_POWER_OFF : EDGE_POWER_STATUS, nothing, NULL, &err); break;
	case 15: engine_op_fence(en, more % 5 == 0 ? self : peer, more % 2 == 0 ? EDGE_POWER_RESET : EDGE_POWER_TEST, nothing, NULL, &err); break;
	}
	TRACE("%s: the operator's command %" PRIu64 ": %s", self, choice % 16, err.text);
}

/* Somebody edits the file on one node: other numbers, fewer links, or a mere comment; the digest tells. */
static void
reload(struct node *n, uint64_t choice)
{
	struct conf *c = &n->changed[n->reloads++ % 2];

	if (n->paused_until > sim->now)
		return;
	*c = n->conf;
	c->digest[0] ^= (uint8_t)(choice & 3);
	c->links = 1 + (choice >> 8) % sim->plan->links;
	c->takeover.fence_delay_ms = 500 + (uint32_t)((choice >> 16) % 2500);
	c->heartbeat.keepalive_ms = (choice & 0x80) != 0 ? c->heartbeat.keepalive_ms : c->heartbeat.keepalive_ms / 2;
	n->now = c;
	if (n->running)
		engine_reconf(&n->en, n->now, &n->keys);
}

/* One path to the storage, or, one time in three, the storage itself. */
static void
spool_hangs(const struct op *op)
{
	struct op there = *op;

	sim->node[op->node].spool_hung = sim->now;
	undo_later(op, UNDO_SPOOL);
	if (op->b % 3 != 0)
		return;
	there.node = 1 - op->node;
	sim->node[there.node].spool_hung = sim->now;
	undo_later(&there, UNDO_SPOOL);
}

static void
op_on_disk(const struct op *op, struct node *n)
{
	if (op->kind == OP_DISK) {
		n->disk_dead = true;
		undo_later(op, UNDO_DISK);
	} else if (op->kind == OP_FULL) {
		sim->full = true;
		undo_later(op, UNDO_FULL);
	} else if (op->kind == OP_SPOOL_HANGS) {
		spool_hangs(op);
	} else if (op->kind == OP_STATE_HANGS) {
		n->state_hung = sim->now;
		undo_later(op, UNDO_STATE);
	} else {
		n->state_bad = true;
		undo_later(op, UNDO_STATE_BAD);
	}
}

static void
op_on_node(const struct op *op, struct node *n)
{
	switch (op->kind) {
	case OP_POWER_CUT:
	case OP_REBOOT:
		node_power_off(n, op->kind == OP_REBOOT ? "reboot" : "the power fails");
		item_drop(&n->power_slot);
		item_add(&n->power_slot, sim->now + (op->kind == OP_REBOOT ? 1000 : op->a), IT_POWER_ON, CLASS_WORLD, n->id, n, 0);
		break;
	case OP_KILL:
		if (!n->running)
			break;
		node_daemon_kill(n);
		item_add(&n->daemon_slot, sim->now + 10 * MS + op->a / 4, IT_DAEMON, CLASS_WORLD, n->id, n, 0);
		break;
	case OP_LEAVE:
		if (n->running && n->paused_until <= sim->now)
			engine_op_leave(&n->en);
		break;
	case OP_PAUSE:
		node_pause(n, op->b % 2 == 0 ? PAUSE_DAEMON : PAUSE_HOST, op->a);
		break;
	case OP_FREEZE:
		node_pause(n, PAUSE_FREEZE, op->a);
		break;
	case OP_WALL:
		n->wall_ms += (int64_t)(op->b % 20000000) - 10000000;
		break;
	case OP_MTA_DIES:
		node_mta_kill(n);
		break;
	case OP_MTA_HANGS:
		n->mta_hung = n->mta_pid != 0;
		undo_later(op, UNDO_HUNG);
		break;
	case OP_MTA_BROKEN:
		n->mta_broken = true;
		node_mta_kill(n);
		undo_later(op, UNDO_BROKEN);
		break;
	case OP_MTA_STUCK:
		n->mta_stuck = n->mta_pid != 0;
		undo_later(op, UNDO_STUCK);
		break;
	case OP_ADDRESS:
		n->address = false;
		break;
	case OP_LAN:
		n->lan_dead = true;
		undo_later(op, UNDO_LAN);
		break;
	case OP_RELOAD:
		reload(n, op->b);
		break;
	case OP_OPERATOR:
		operate(n, op->b);
		break;
	case OP_DISK: case OP_FULL: case OP_SPOOL_HANGS: case OP_STATE_HANGS: case OP_STATE_BAD:
		op_on_disk(op, n);
		break;
	case OP_CUT: case OP_ONEWAY: case OP_CARRIER: case OP_COUNT:
		break;
	}
}

void
plan_op(const struct op *op)
{
	struct node *n = &sim->node[op->node];
	char text[160];

	if (sim->calm)
		return;
	if (sim->trace) {
		op_print(op, text, sizeof(text));
		TRACE("fault: %s", text);
	}
	sim->cur = n;
	if (op->kind == OP_CUT || op->kind == OP_ONEWAY)
		cut(op, op->kind == OP_ONEWAY);
	else if (op->kind == OP_CARRIER)
		carrier(op);
	else
		op_on_node(op, n);
}

/* Nothing goes wrong from here on, and what is broken is repaired, but for one node that may stay without power. */
void
plan_calm(void)
{
	TRACE("calm: nothing goes wrong any more");
	sim->calm = true;
	for (size_t i = 0; i < CONF_LINKS_MAX; i++) {
		item_drop(&sim->uncut_slot[i]);
		sim->wire[i].cut[0] = sim->wire[i].cut[1] = false;
	}
	for (int i = 0; i < NODES; i++) {
		struct node *n = &sim->node[i];

		for (uint64_t what = UNDO_LAN; what <= UNDO_FULL; what++)
			plan_undo(i, what);
		if (n->paused_until > sim->now) {
			n->paused_until = sim->now;
			if (n->pause == PAUSE_FREEZE) {
				n->virt_base = sim->now;
				node_retime(n);
			}
		}
		if (n->now != &n->conf) {
			n->now = &n->conf;
			sim->cur = n;
			if (n->running)
				engine_reconf(&n->en, n->now, &n->keys);
		}
		if (i == sim->plan->keep_off) {
			item_drop(&n->power_slot);
			node_power_off(n, "it stays off");
		} else if (!n->power) {
			node_power_on(n);
		} else if (n->booted && !n->running && n->daemon_slot == 0) {
			item_add(&n->daemon_slot, sim->now + 100 * MS, IT_DAEMON, CLASS_WORLD, i, n, 0);
		}
	}
	sim->bound_at = sim->now + live_bound_us(&sim->node[0].conf);
	item_add(NULL, sim->now + 200 * MS, IT_LOOK, CLASS_WORLD, -1, NULL, 0);
}
