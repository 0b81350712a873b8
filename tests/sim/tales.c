/*
 * tests/sim/tales.c - what chance alone meets too seldom: beginnings of stories that need two or three things in a row. Each schedule gets at
 * most one, most get none; everything else about them is drawn as always. Each stands here for mistakes of tests/sim/mutants/list that were
 * not noticed without it.
 */
#include <string.h>

#include "tests/sim/sim.h"

static void
add(struct plan *p, struct op op, enum op_kind kind)
{
	op.kind = kind;
	if (p->ops < OPS_MAX)
		p->op[p->ops++] = op;
}

/* Not at its time, but when that worker of that node has done so much of its work, permille. */
static void
add_at_work(struct plan *p, struct op op, enum op_kind kind, int worker, const char *work, uint64_t late)
{
	op.work = 1;
	while (strcmp(work_kind_name(op.work), work) != 0)
		op.work++;
	op.worker = worker;
	op.late = (unsigned int)late;
	add(p, op, kind);
}

static void
add_command(struct plan *p, struct op op, enum command command)
{
	op.b = command;
	add(p, op, OP_OPERATOR);
}

static uint64_t
before(uint64_t at, uint64_t us)
{
	return at > us ? at - us : 0;
}

/* The daemons are started where somebody has spoilt the seal. */
static void
seal_spoilt(struct plan *p, struct rng *r, struct op op)
{
	add(p, op, OP_SEAL);
	op.at += rng_below(r, op.a);
	add(p, op, OP_KILL);
	op.node = 1 - op.node;
	add(p, op, OP_KILL);
}

/* Killed between mount and seal, sometimes in maintenance: unsealed-is-adopted. */
static void
unsealed(struct plan *p, struct rng *r, struct op op)
{
	struct op command = op;

	command.b = COMMAND_MAINTENANCE;
	if (rng_chance(r, 500))
		add_at_work(p, command, OP_OPERATOR, op.node, "mount", rng_below(r, 300));
	add_at_work(p, op, OP_KILL, op.node, "seal", rng_below(r, 300));
}

/* A question about the power takes long; meanwhile the node is up again and heard: off-believed-though-heard-since. */
static void
slow_answers(struct plan *p, struct rng *r, struct op op)
{
	p->slow_fence = true;
	p->hints = p->hints || rng_chance(r, 500);
	op.a = rng_in(r, 1000, 7000) * MS;
	add(p, op, OP_POWER_CUT);
	if (rng_chance(r, 500))		/* back as soon as the answer is made up */
		add_at_work(p, op, OP_POWER_ON, 1 - op.node, "power", rng_in(r, 660, 760));
}

/* The peer says goodbye while this node starts, and is not seen again: goodbye-is-silence-for-ever. */
static void
goodbye(struct plan *p, struct rng *r, struct op op)
{
	p->keep_off = op.node;
	op.at = before(p->calm_at, rng_below(r, 3000) * MS);
	add(p, op, OP_LEAVE);
	op.node = 1 - op.node;
	op.a = rng_below(r, 1600) * MS;
	op.at = before(op.at, rng_below(r, 600) * MS);
	add(p, op, OP_KILL);
}

/* The owner stands still, and the other is gone for good before it could be heard: doubt-for-ever. */
static void
doubt(struct plan *p, struct rng *r, struct op op)
{
	p->keep_off = op.node;
	op.at = before(p->calm_at, rng_in(r, 1000, 2000) * MS);
	op.a = 30 * SECOND;
	add(p, op, rng_chance(r, 500) ? OP_POWER_CUT : OP_CUT);
	op.node = 1 - op.node;
	op.at = before(op.at, rng_below(r, 300) * MS);
	op.a = p->deadtime_ms * MS + rng_below(r, 1500 * MS);
	add(p, op, rng_chance(r, 500) ? OP_PAUSE : OP_FREEZE);
}

/* Two nodes bargain over bad links, with an operator who cannot make up his mind: agreed-..., claim-survives-a-stop, stale-claim-stays. */
static void
bargain(struct plan *p, struct rng *r, struct op op)
{
	static const enum command commands[] = { COMMAND_SWITCHOVER, COMMAND_TAKE, COMMAND_GIVE, COMMAND_STANDBY, COMMAND_STANDBY, COMMAND_ONLINE,
		COMMAND_ONLINE, COMMAND_ONLINE, COMMAND_MAINTENANCE, COMMAND_MAINTENANCE_END };

	p->faults |= BIT(F_LOSS) | BIT(F_DELAY);
	p->heavy = true;
	for (uint64_t i = rng_in(r, 3, 8); i > 0; i--) {
		op.at = rng_in(r, 500, p->calm_at / MS) * MS;
		op.node = (int)rng_below(r, 2);
		op.a = rng_below(r, 1500) * MS;
		if (rng_chance(r, 250))
			add(p, op, rng_chance(r, 500) ? OP_KILL : OP_ONEWAY);
		else
			add_command(p, op, commands[rng_below(r, sizeof(commands) / sizeof(commands[0]))]);
	}
}

/* They hear of each other by old beats only: late-first-beat-not-noted. */
static void
first_beats_late(struct plan *p, struct rng *r, struct op op)
{
	(void)op;
	p->faults |= BIT(F_DELAY);
	p->heavy = true;
	p->calm_at = rng_in(r, 1000, 5000) * MS;
	p->links = 1;
}

/* A claim is out that nobody grants, since the other one hears nothing, when something ends it: claim-survives-a-stop, stale-claim-stays. */
static void
claims(struct plan *p, struct rng *r, struct op op)
{
	static const enum command commands[] = { COMMAND_STANDBY, COMMAND_STANDBY, COMMAND_MAINTENANCE, COMMAND_CLUSTER_STOP };

	op.b = 1;
	op.at = rng_in(r, 500, 4000) * MS;
	op.a = rng_in(r, 500, 3000) * MS;
	add(p, op, OP_ONEWAY);
	op.at += rng_below(r, 2 * op.a);
	op.a = 30 * SECOND;
	if (rng_chance(r, 700))
		add_command(p, op, commands[rng_below(r, sizeof(commands) / sizeof(commands[0]))]);
	else
		add(p, op, OP_MTA_BROKEN);
	p->calm_at = op.at + rng_below(r, 3000) * MS;
}

/* Taken over while it stands still, by a proof that was wrong: it must notice by itself, and let go or be switched off. */
static void
robbed(struct plan *p, struct rng *r, struct op op)
{
	op.at = rng_in(r, 3000, 8000) * MS;
	op.a = rng_in(r, 5, 12) * SECOND;
	add(p, op, OP_PAUSE);
	add(p, op, OP_CUT);
	if (rng_chance(r, 300))
		add(p, op, OP_UNMOUNT);
	op.at += rng_below(r, 8 * SECOND);
	op.node = 1 - op.node;
	if (rng_chance(r, 300))
		add_command(p, op, COMMAND_MAINTENANCE);
	if (p->calm_at < 22 * SECOND)
		p->calm_at = 22 * SECOND;
}

enum needs { NOTHING, AUTOMATIC, LIAR };

static const struct tale {
	const char	*name;
	void		(*tell)(struct plan *, struct rng *, struct op);
	unsigned int	share;		/* permille of the schedules that have what it needs */
	enum needs	needs;
} tales[] = {
	{ "robbed", robbed, 500, LIAR },
	{ "seal spoilt", seal_spoilt, 15, NOTHING },
	{ "unsealed", unsealed, 25, NOTHING },
	{ "slow answers", slow_answers, 30, NOTHING },
	{ "goodbye", goodbye, 20, AUTOMATIC },
	{ "doubt", doubt, 20, AUTOMATIC },
	{ "bargain", bargain, 50, NOTHING },
	{ "first beats late", first_beats_late, 20, NOTHING },
	{ "claims", claims, 30, NOTHING },
};
#define TALES (sizeof(tales) / sizeof(tales[0]))

const char *
plan_tale_name(size_t number)
{
	return number > 0 && number <= TALES ? tales[number - 1].name : NULL;
}

void
plan_tale(struct plan *p, struct rng *r)
{
	struct op op = { .at = rng_in(r, 1000, p->calm_at / MS) * MS, .node = (int)rng_below(r, 2), .a = rng_in(r, 1, 3000) * MS,
		.b = rng_next(r) };
	uint64_t at = rng_below(r, 1000);

	for (size_t i = 0; i < TALES; i++) {
		const struct tale *t = &tales[i];

		if ((t->needs == LIAR && !p->liar) || (t->needs == AUTOMATIC && !p->automatic))
			continue;
		if (at < t->share) {
			p->tale = i + 1;
			t->tell(p, r, op);
			return;
		}
		at -= t->share;
	}
}
