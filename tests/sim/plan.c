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

struct authkeys sim_keys[KEYS];
static struct conf *base[NODES];

const char *const fault_names[F_COUNT] = {
#define X(n) #n,
	FAULTS(X)
#undef X
};

bool
plan_setup(void)
{
#define KEY_1 "1 sha256 the-secret-of-the-simulated-pair-0123456789\n"
#define KEY_2 "2 sha256 another-secret-of-that-pair-0123456789\n"
	static const char *const keys[KEYS] = { "auth 1\n" KEY_1, "auth 1\n" KEY_1 KEY_2, "auth 2\n" KEY_1 KEY_2, "auth 2\n" KEY_2,
		"auth 2\n2 sha256 the-same-number-with-another-secret-0123\n", "auth 3\n" KEY_1 "3 sha256 a-third-one-0123456789-0123456789\n",
		"auth 1\n" KEY_2 "1 sha256 the-first-number-with-another-secret\n" };
	struct conf_mistakes m = { NULL, 0 };
	bool ok = true;

	for (size_t i = 0; i < KEYS && ok; i++)
		ok = authkeys_parse(keys[i], strlen(keys[i]), false, &sim_keys[i], &m);
	ok = ok && conf_load("tests/sim/sim.conf", "mx1", &base[0], &m) && conf_load("tests/sim/sim.conf", "mx2", &base[1], &m);
	for (size_t i = 0; i < m.len; i++)
		printf("tests/sim/sim.conf:%d: %s\n", m.item[i].line, m.item[i].text);
	return ok;
}

const char *
plan_node(int node)
{
	return base[0]->node[node];
}

/* Of each node: the management controller; it, then an outlet; two outlets, which must both be off; it, then these. */
static void
plan_fences(const struct plan *p, struct conf *c)
{
	static const unsigned int has[] = { 1u << FENCE_BMC, 1u << FENCE_BMC | 1u << FENCE_OUTLET_A, 1u << FENCE_OUTLET_A | 1u << FENCE_OUTLET_B,
		1u << FENCE_BMC | 1u << FENCE_OUTLET_A | 1u << FENCE_OUTLET_B };
	size_t kept = 0;

	for (size_t i = 0; i < c->fences && p->fences; i++) {
		if ((has[p->devices] & 1u << fence_device(&c->fence[i])) != 0)
			c->fence[kept++] = c->fence[i];
	}
	c->fences = kept;
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
	ret->mta.queue_check = p->queue_check;
	ret->takeover.hints = p->hints;
	ret->takeover.fence_delay_ms = p->fence_delay_ms;
	plan_fences(p, ret);
}

/* ---------------------------------------------------------------- drawing */

static const struct { enum fault fault; enum op_kind kind; } op_of[] = {
	{ F_POWER, OP_POWER_CUT }, { F_REBOOT, OP_REBOOT }, { F_KILL, OP_KILL }, { F_LEAVE, OP_LEAVE }, { F_PAUSE, OP_PAUSE },
	{ F_FREEZE, OP_FREEZE }, { F_WALL, OP_WALL }, { F_CUT, OP_CUT }, { F_ONEWAY, OP_ONEWAY }, { F_FLAP, OP_CUT },
	{ F_CARRIER, OP_CARRIER }, { F_MTA_DIES, OP_MTA_DIES }, { F_MTA_HANGS, OP_MTA_HANGS }, { F_MTA_BROKEN, OP_MTA_BROKEN },
	{ F_MTA_STUCK, OP_MTA_STUCK }, { F_ADDRESS, OP_ADDRESS }, { F_LAN, OP_LAN }, { F_DISK, OP_DISK }, { F_UNMOUNT, OP_UNMOUNT },
	{ F_FULL, OP_FULL }, { F_SEAL, OP_SEAL }, { F_RELOAD, OP_RELOAD }, { F_KEYS, OP_KEYS }, { F_OPERATOR, OP_OPERATOR },
	{ F_SPOOL_HANGS, OP_SPOOL_HANGS }, { F_SPOOL_BREAKS, OP_SPOOL_BREAKS },
	{ F_STATE_HANGS, OP_STATE_HANGS }, { F_STATE_BAD, OP_STATE_BAD },
};
#define OP_OF (sizeof(op_of) / sizeof(op_of[0]))

static uint64_t
draw_faults(struct rng *r)
{
	static const unsigned int shares[] = { 60, 120, 250, 500 };
	unsigned int share = shares[rng_below(r, 4)];
	uint64_t faults = 0;

	if (rng_chance(r, 300)) {	/* two or three that have each other for themselves */
		for (size_t i = rng_in(r, 1, 3); i > 0; i--)
			faults |= BIT(rng_below(r, F_COUNT));
		return faults;
	}
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

#define WORKS 15	/* the first kinds of workers: those that change something */

/* Not at a time that is drawn, but while a step of either node is done: between two of them, or in the middle of one. */
static void
draw_work(struct op *op, struct rng *r)
{
	op->at = rng_chance(r, 500) ? 0 : op->at / 2;
	op->work = 1 + (int)rng_below(r, WORKS);
	op->worker = rng_chance(r, 700) ? op->node : 1 - op->node;
	op->late = (unsigned int)rng_below(r, 1100);
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

		if (!flap[k] && rng_chance(r, 350))
			draw_work(&op, r);
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
	p->devices = rng_chance(r, 600) ? 0 : (int)rng_in(r, 1, 3);
	p->mute = rng_chance(r, 100);
	p->automatic = p->fences && !rng_chance(r, 80);
	p->prefer = (int)rng_below(r, 3) - 1;
	p->failback = p->prefer != -1 && rng_chance(r, 500);
	p->hints = !rng_chance(r, 200);
	p->stamps = !rng_chance(r, 250);
	p->brisk = rng_chance(r, 750);
	p->queue_check = rng_chance(r, 600) ? CONF_QUEUE_MEND : rng_chance(r, 300) ? CONF_QUEUE_REPORT : CONF_QUEUE_REFUSE;
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
	length = p->brisk ? rng_in(&r, 1500, rng_chance(&r, 200) ? 20000 : 7000) * MS : rng_in(&r, 2, rng_chance(&r, 300) ? 25 : 12) * SECOND;
	p->calm_at = length;
	draw_ops(p, &r, length);
	plan_tale(p, &r);
	p->loss = draw_rate(p, &r, F_LOSS, p->heavy ? 700 : 400);
	p->dup = draw_rate(p, &r, F_DUP, 300);
	p->corrupt = draw_rate(p, &r, F_CORRUPT, 300);
	p->ways = rng_chance(&r, 500) ? ~0u : (unsigned int)rng_next(&r);
	p->delay_max = (uint64_t)draw_rate(p, &r, F_DELAY, 3000) * MS;
	p->delays = p->heavy ? (unsigned int)rng_in(&r, 300, 950) : 300;
	p->fail = draw_rate(p, &r, F_WORK_FAIL, 150);
	p->half = draw_rate(p, &r, F_WORK_HALF, 150);
	p->hang = draw_rate(p, &r, F_WORK_HANG, 100);
	p->late = draw_rate(p, &r, F_WORK_LATE, 100);
	p->slow = draw_rate(p, &r, F_WORK_SLOW, 300);
	p->fence = 100 + (unsigned int)rng_below(&r, 800);
	p->mend = rng_chance(&r, 600);
	p->linger = rng_chance(&r, 60);
	if (p->keep_off == -1 && p->fences && p->automatic && rng_chance(&r, 60))
		p->keep_off = (int)rng_below(&r, 2);
	if (rng_chance(&r, 40))
		p->absent = (int)rng_below(&r, 2);
	if (rng_below(&r, 2000) == 0)
		draw_long_pause(p, &r);
}
