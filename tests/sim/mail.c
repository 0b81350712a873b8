/*
 * tests/sim/mail.c - the fake mail program's messages. A client brings one to whoever has the address; it is written, synced, and only then
 * answered with 250; some time later it is delivered and taken out of the queue, which is synced later still. So one may be delivered twice
 * when the power fails, but what was acknowledged is at every moment in exactly one queue, or delivered.
 *
 * A mail program that runs while the spool is not there writes into the directories of its own node's disk, as real ones do.
 */
#include "tests/sim/sim.h"

#define SYNC_MAX (20 * MS)
#define TICK_MIN (200 * MS)
#define TICK_MAX (1200 * MS)

enum { STEP_SYNC, STEP_GONE };

static bool
answers(const struct node *n)
{
	return n->booted && n->address && !n->lan_dead && !node_stands_still(n) && n->mta_pid != 0 && !n->mta_hung && !n->mta_stuck;
}

/* Its writes reach something. */
static bool
writes(const struct node *n)
{
	return !n->shut && !n->disk_dead && !n->spool_ro && n->spool_hung == 0 && !sim->full;
}

static struct mail *
mail_find(enum mail_place place)
{
	for (size_t i = 0; i < MAILS; i++) {
		if (sim->mail[i].place == place)
			return &sim->mail[i];
	}
	return NULL;
}

static void
step_in(struct mail *m, int what, uint64_t us)
{
	item_add(NULL, sim->now + us, IT_MAIL, CLASS_WORLD, -1, m, (uint64_t)what | m->number << 1);
}

static void
receive(struct node *n)
{
	struct mail *m = mail_find(MAIL_NONE);

	if (m == NULL || !writes(n))
		return;		/* 4xx */
	*m = (struct mail){ .place = MAIL_WRITTEN, .node = n->id, .pid = n->mta_pid, .gen = n->binds ? n->mount_gen : 0,
		.number = ++sim->mails };
	step_in(m, STEP_SYNC, 1 + rng_below(&sim->net, SYNC_MAX));
}

/* One of the queue goes out. */
static void
deliver(struct node *n)
{
	struct mail *m = mail_find(MAIL_QUEUED);

	if (m == NULL || !n->mounted || !n->binds || !writes(n) || n->mount_gen != sim->mount_gen)
		return;
	if (m->acked && !m->delivered)
		sim->delivered++;
	m->delivered = true;
	m->node = n->id;
	m->pid = n->mta_pid;
	step_in(m, STEP_GONE, 1 + rng_below(&sim->net, SYNC_MAX));
}

void
mail_calls(void)
{
	sim->mail_moves = true;
	item_add(NULL, sim->now + rng_in(&sim->rng, TICK_MIN, TICK_MAX), IT_CLIENT, CLASS_WORLD, -1, NULL, 0);
	for (int i = 0; i < NODES; i++) {
		struct node *n = &sim->node[i];

		if (!answers(n))
			continue;
		deliver(n);
		receive(n);
		return;
	}
}

/* On the disk: the client hears 250, if it still has a connection. */
static void
synced(struct mail *m, const struct node *n)
{
	if (m->gen != 0 && m->gen == sim->mount_gen && n->mounted) {
		m->place = MAIL_QUEUED;
	} else if (!sim->plan->liar) {
		sim_fail("S4: %s acknowledges a message that is not on the spool", n->conf.node[n->id]);
	} else {
		m->place = MAIL_NONE;
		return;
	}
	m->acked = true;
	sim->acked++;
}

void
mail_step(struct mail *m, uint64_t what)
{
	const struct node *n = &sim->node[m->node];
	bool here = m->number == what >> 1 && n->mta_pid == m->pid && m->pid != 0;

	if (m->number != what >> 1)
		return;
	sim->mail_moves = true;
	if ((what & 1) == STEP_GONE) {
		/* else it stays in the queue: delivered once more by whoever comes next */
		if (here && writes(n))
			m->place = MAIL_NONE;
	} else if (m->place == MAIL_WRITTEN) {
		if (here && writes(n))
			synced(m, n);
		else
			m->place = MAIL_NONE;	/* nobody was told that it is there */
	}
}

/* What was acknowledged and not delivered is in the queue, once; looked at whenever one of them has moved. */
bool
mail_complete(void)
{
	uint64_t queued = 0;

	if (!sim->mail_moves)
		return true;
	sim->mail_moves = false;
	for (size_t i = 0; i < MAILS; i++)
		queued += sim->mail[i].place == MAIL_QUEUED && sim->mail[i].acked && !sim->mail[i].delivered;
	return sim->acked == sim->delivered + queued;
}
