/*
 * tests/sim/check.c - the laws that hold at every moment, judged by what the machines really do and not by what the engines believe.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "supervisor/engine_priv.h"
#include "tests/sim/sim.h"

#define SEEN (5 * SECOND)

static const char *
name(const struct node *n)
{
	return n->conf.node[n->id];
}

/* At the moment of a mount: the other does not write, is not about to, and was really off where that was the proof. */
void
check_mount(const struct node *n)
{
	const struct node *other = &sim->node[1 - n->id];
	const struct engine *en = &n->en;

	TRACE("  %s mounts the disk", name(n));
	if (sim->plan->liar)
		return;
	if (other->mounted && !other->shut)
		sim_fail("S1: %s mounts the disk while it is mounted on %s", name(n), name(other));
	else if (spawn_in_flight(other->id, sim_edge.storage_up, false))
		sim_fail("S1: %s mounts the disk while %s is about to", name(n), name(other));
	else if (other->running && (other->en.role == ROLE_ACQUIRING || other->en.role == ROLE_ACTIVE))
		sim_fail("S2: %s mounts the disk while %s is %s", name(n), name(other), role_name(other->en.role));
	else if (n->running && en->proof.kind != PROOF_NONE && other->power && other->off_at < n->heard_sent_at)
		sim_fail("S2: %s takes the disk by proof (%s), but %s was not off since it was heard", name(n), en->proof.text, name(other));
}

void
check_seal(const struct node *n, uint64_t tenure)
{
	if (tenure <= sim->tenure && !sim->plan->liar)
		sim_fail("S3: %s seals tenure %" PRIu64 " after tenure %" PRIu64, name(n), tenure, sim->tenure);
	sim->tenure = tenure;
	sim->tenure_node = n->id;
}

void
check_order(const struct node *n, const char *what, bool wrong)
{
	if (wrong && !n->rough)
		sim_fail("%s %s", name(n), what);
}

/* No service is interrupted without need: a disk that has answered for a while, as far as the node was awake, is none. */
static void
check_stalled(const struct node *n)
{
	uint64_t at = n->spool_bad_at > n->paused_until ? n->spool_bad_at : n->paused_until;

	if (!engine_peer_can_take(&n->en))
		sim_fail("%s gives way to its disk although the other cannot take", name(n));
	if (sim->now - at > SECOND + SECOND / 2)
		sim_fail("%s gives way to its disk, which has answered for %.1f s", name(n), (double)(sim->now - at) / 1e6);
}

/* Each change of role is told, from what was to what is, with a reason. */
void
check_journal(void *arg, const struct journal_event *ev)
{
	struct node *n = arg;

	if (sim->script != NULL)
		sim->script->journal(n, ev);
	if (sim->trace)
		sim_trace("%s: %s%s%s%s%s: %s", name(n), ev->name, ev->from[0] != '\0' ? " " : "", ev->from,
		    ev->to[0] != '\0' ? " -> " : "", ev->to, ev->text);
	if (ev->kind != JOURNAL_STATE)
		return;
	if (strcmp(ev->from, role_name(n->seen_role)) != 0 || strcmp(ev->to, role_name(n->en.role)) != 0)
		sim_fail("S14: the journal of %s says %s -> %s, but it went from %s to %s", name(n), ev->from, ev->to,
		    role_name(n->seen_role), role_name(n->en.role));
	if (ev->text[0] == '\0')
		sim_fail("S14: %s became %s without a reason", name(n), ev->to);
	if (n->en.role == ROLE_RELEASING && n->seen_role == ROLE_ACTIVE && n->en.intent == INTENT_STALLED)
		check_stalled(n);
	n->seen_role = n->en.role;
}

static bool
may_grant(enum role role)
{
	return role == ROLE_JOINING || role == ROLE_STANDBY || role == ROLE_STOPPED;
}

static void
check_engine(const struct node *n)
{
	const struct engine *en = &n->en;

	if (en->role != n->seen_role)
		sim_fail("S14: %s became %s and the journal does not know", name(n), role_name(en->role));
	if (en->role == ROLE_ACTIVE && n->mounted && !sim->plan->liar && (en->own_tenure == 0 || sim->tenure_node != n->id))
		sim_fail("S3: %s is active, but the seal on the disk is not its own", name(n));
	if (en->role == ROLE_ACTIVE && en->own_tenure <= en->state.released)
		sim_fail("S3: %s is active under tenure %" PRIu64 ", which it has let go", name(n), en->own_tenure);
	if (en->own_tenure > sim->tenure)
		sim_fail("S3: %s believes in tenure %" PRIu64 ", which was never sealed", name(n), en->own_tenure);
	if (en->hooks > sizeof(en->hook_queue) / sizeof(en->hook_queue[0]) || en->queue_at > en->queue_len)
		sim_fail("a queue of %s is overfull", name(n));
	/* so engine_agreed() of the other need not ask; it does all the same (tests/unit/test_agreed.c) */
	if (en->grant != 0 && may_grant(en->role) && en->hold.storage != FACT_NO)
		sim_fail("S10: %s has given its word, and may hold the disk", name(n));
	if (en->role == ROLE_STANDBY && en->act_child == NULL && en->hold.storage == FACT_NO && n->mounted)
		sim_fail("S10: %s says that it holds nothing, but the disk is mounted there", name(n));
}

/* A disk that hangs is known within 5 s of the time that the node was awake and had nothing else to do with it. */
static void
check_disks(struct node *n)
{
	const struct engine *en = &n->en;
	uint64_t awake = n->paused_until > n->daemon_at ? n->paused_until : n->daemon_at;

	if (en->role != ROLE_ACTIVE || engine_busy(en) || n->steady_at < awake)
		n->steady_at = sim->now > awake ? sim->now : awake;
	if (n->state_hung != 0 && sim->now > SEEN + (n->state_hung > awake ? n->state_hung : awake) && !en->disk[DISK_STATE].trial.bad)
		sim_fail("the state disk of %s has hung for 5 s, and it does not know", name(n));
	if (n->spool_hung != 0 && sim->now > SEEN + (n->spool_hung > n->steady_at ? n->spool_hung : n->steady_at) &&
	    !en->disk[DISK_SPOOL].trial.bad)
		sim_fail("the spool of %s has hung for 5 s, and it does not know", name(n));
	if (en->role == ROLE_ACQUIRING && en->acts_begun != 0 && en->queue_at == 0 && en->disk[DISK_STATE].trial.bad && !n->taking)
		sim_fail("S3: %s begins to take the spool although it could not note its tenure", name(n));
	n->taking = en->role == ROLE_ACQUIRING;
}

void
check_world(void)
{
	int mounted = 0, mta = 0, address = 0;

	for (int i = 0; i < NODES; i++) {
		struct node *n = &sim->node[i];

		mounted += n->mounted && !n->shut;
		if (n->spool_hung != 0 || n->disk_dead || n->spool_ro || !n->mounted || n->shut)
			n->spool_bad_at = sim->now;
		mta += n->mta_pid != 0;
		address += n->address && !n->lan_dead;
		if (!n->running)
			continue;
		check_engine(n);
		check_disks(n);
	}
	if (sim->plan->liar)
		return;
	if (mounted > 1)
		sim_fail("S1: the disk is mounted on both nodes");
	if (mta > 1)
		sim_fail("the mail program runs on both nodes");
	if (address > 1)
		sim_fail("both nodes have the service address");
	if (!mail_complete())
		sim_fail("S4: an acknowledged message is in no queue, and not delivered");
}
