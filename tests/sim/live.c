/*
 * tests/sim/live.c - once nothing goes wrong any more, exactly one node must own the mail and answer, within a time that follows from the
 * configuration; where it may not, status must say why not.
 */
#include <stdio.h>
#include <string.h>

#include "supervisor/engine_priv.h"
#include "supervisor/fence.h"
#include "supervisor/status.h"
#include "tests/sim/sim.h"

#define LOOK_EVERY (250 * MS)
#define GOOD_FOR SECOND
#define STILL_FOR (12 * SECOND)		/* longer than every wait of the engine */
#define FAILED_FOR (25 * SECOND)	/* the peer has had the time to switch it off */
#define LINGER_FOR (40 * SECOND)

/*
 * The longest lawful way: boot, initdead, silence, a fence that was begun before the calm and times out, its retry, the delay and the
 * fence; then a release and a start that are both as slow as allowed, and once more the waits of the election. A repair of the queue
 * that was begun before the calm comes first.
 */
uint64_t
live_bound_us(const struct conf *c)
{
	uint64_t up = c->mount_ms * 2 + c->storage.fsck_ms + c->mta.stop_ms + c->bind_ms + c->mta.start_ms + c->address_ms + 5 * 500;
	uint64_t down = c->address_ms + c->mta.stop_ms + c->kill_ms + c->bind_ms + 2 * c->unmount_ms + 2 * c->kill_ms + 5 * 500;
	uint64_t wait = c->heartbeat.initdead_ms + 2 * c->heartbeat.deadtime_ms + c->takeover.fence_delay_ms +
	    2 * c->takeover.fence_retry_ms + 2 * 5000 + 2 * 2000 + 4000;

	return (2 * (up + down) + wait + REPAIR_SPANS * ((uint64_t)c->mta.check_ms + 500) + c->takeover.restart_window_ms +
	    2 * (uint64_t)fence_longest_ms(c, 0)) * MS;
}

static bool
answers(const struct node *n)
{
	return n->running && n->en.role == ROLE_ACTIVE && !engine_busy(&n->en) && n->mounted && !n->shut && n->binds && n->mta_pid != 0 &&
	    !n->mta_hung && n->address && !(n->en.doubtful && n->en.proof.kind != PROOF_NONE && sim->plan->stamps);
}

/* It cannot let go and says so, and its peer owns and may fence it: that must not stay so. */
static bool
begs(const struct node *n)
{
	const struct node *other = &sim->node[1 - n->id];

	return n->running && n->en.role == ROLE_FAILED && n->en.request == BEAT_ASK_FENCE && sim->plan->automatic &&
	    other->running && other->en.role == ROLE_ACTIVE && !other->en.doubtful && !n->en.state.maintenance &&
	    !other->en.state.maintenance;
}

static bool
may_own(const struct node *n)
{
	return n->running && !n->en.state.offline && !n->en.state.gave_up && n->en.role != ROLE_FAILED;
}

/* What stands against an owner that only a person can change; NULL: nothing. */
static const char *
excuse(void)
{
	const struct plan *p = sim->plan;
	bool any = false, all = true;

	for (int i = 0; i < NODES; i++) {
		const struct node *n = &sim->node[i];

		if (n->running && (n->en.state.maintenance || n->en.peer_maintenance))
			return "maintenance";
		if (n->running && n->en.state.services_stopped)
			return "services are stopped";
		if (n->running && n->en.role == ROLE_FAILED && (!p->automatic || n->en.request != BEAT_ASK_FENCE))
			return "a node failed and must be looked at";
		if (n->running && n->en.role == ROLE_FAILED && sim->node[1 - i].running && !engine_stalls_left(&sim->node[1 - i].en))
			return "both nodes gave way to the disk again and again";
		any = any || may_own(n);
		all = all && n->running;
	}
	if (!any)
		return "no node may own";
	if (!all && !p->automatic)
		return "no automatic takeover";
	return NULL;
}

/* An operator sees to what was left behind. */
static void
mend(void)
{
	struct err err;

	for (int i = 0; i < NODES; i++) {
		struct node *n = &sim->node[i];
		const struct node *other = &sim->node[1 - i];

		if (!n->running || n->paused_until > sim->now)
			continue;
		sim->cur = n;
		if (n->en.role == ROLE_FAILED && n->unmount_hangs && sim->now - sim->begin > sim->plan->calm_at + FAILED_FOR) {
			node_power_off(n, "a person has looked");
			node_power_on(n);
			continue;
		}
		if (n->en.state.maintenance || n->en.peer_maintenance)
			engine_op_maintenance(&n->en, false, 0, &err);
		if (n->en.state.gave_up || n->en.state.queue_refused)
			sim->torn = false;
		if (n->en.state.offline || n->en.state.gave_up || n->en.role == ROLE_STOPPED ||
		    (n->en.role == ROLE_FAILED && sim->now - sim->begin > sim->plan->calm_at + FAILED_FOR))
			engine_op_online(&n->en, &err);
		if (n->en.role == ROLE_ACTIVE && n->en.state.services_stopped && engine_op_services(&n->en, true, &err) == OP_UNSAFE &&
		    n->en.proof.kind != PROOF_NONE)
			engine_op_standby(&n->en, &err);	/* its ownership is in doubt for ever: to take the spool anew ends that */
		if (!other->power && n->en.proof.kind == PROOF_NONE)
			engine_op_confirm_dead(&n->en, n->conf.node[1 - i], &err);
	}
}

static void
describe(char *buf, size_t size)
{
	size_t len = 0;

	for (int i = 0; i < NODES && len < size; i++) {
		const struct node *n = &sim->node[i];

		len += (size_t)snprintf(buf + len, size - len, "%s%s %s%s%s%s%s%s", i == 0 ? "" : ", ", n->conf.node[i],
		    !n->power ? "off" : !n->running ? "without daemon" : role_name(n->en.role), n->mounted ? " mounted" : "",
		    n->mta_pid != 0 ? " mta" : "", n->address ? " address" : "", n->running && n->en.state.offline ? " offline" : "",
		    n->running && n->en.state.gave_up ? " gave-up" : "");
	}
}

/* Status of a node that runs must list a problem. */
static bool
status_says(const struct node *n)
{
	static struct status st;

	sim->cur = &sim->node[n->id];
	engine_status(&n->en, &st);
	for (size_t i = 0; i < st.problems && sim->trace; i++)
		sim_trace("%s: status: %s", st.node, st.problem[i].text);
	return st.problems > 0;
}

/* For the trace of a failure: problems, and what became of the peer's beats. */
static void
status_tell(const struct node *n)
{
	const struct engine *en = &n->en;

	status_says(n);
	for (size_t i = 0; i < en->links; i++) {
		for (int v = 0; v < BEAT_VERDICT_COUNT; v++) {
			if (en->rejected[i][v] != 0)
				sim_trace("%s: link %zu: %llu beats of %llu %s", n->conf.node[n->id], i, (unsigned long long)en->rejected[i][v],
				    (unsigned long long)en->link[i].received, beat_verdict_name((enum beat_verdict)v));
		}
	}
}

static void
look_excused(const char *why)
{
	bool said = false;

	for (int i = 0; i < NODES; i++)
		said = (sim->node[i].running && status_says(&sim->node[i])) || said;
	if (!said)
		sim_fail("nobody answers (%s), and status says nothing of it", why);
	TRACE("nobody answers, with an excuse: %s", why);
	sim->done = true;
}

static bool
busy(void)
{
	for (int i = 0; i < NODES; i++) {
		const struct node *n = &sim->node[i];

		if ((n->power && !n->running) || (n->running && (engine_busy(&n->en) || n->en.fencing || n->en.role == ROLE_JOINING ||
		    n->en.role == ROLE_ACQUIRING || n->en.role == ROLE_RELEASING)))
			return true;
	}
	return false;
}

void
live_look(void)
{
	int good = 0, active = 0, mounted = 0;
	const char *why;
	bool well;
	char text[300];

	item_add(NULL, sim->now + LOOK_EVERY, IT_LOOK, CLASS_WORLD, -1, NULL, 0);
	for (int i = 0; i < NODES; i++) {
		good += answers(&sim->node[i]);
		mounted += sim->node[i].mounted || begs(&sim->node[i]);
		active += sim->node[i].running && sim->node[i].en.role == ROLE_ACTIVE;
	}
	well = good == 1 && active == 1 && mounted == 1;
	if (well) {
		if (sim->good_since == 0)
			sim->good_since = sim->now;
		if (sim->now - sim->good_since >= (sim->plan->linger ? LINGER_FOR : GOOD_FOR)) {
			sim->done = true;
			return;
		}
		if (!sim->plan->linger || sim->now < sim->bound_at)
			return;
	}
	if (!well)
		sim->good_since = 0;
	if (sim->plan->mend)
		mend();
	why = excuse();
	if (why == NULL || sim->plan->mend || busy())
		sim->still_since = sim->now;
	if (why != NULL && sim->now - sim->still_since >= STILL_FOR) {
		look_excused(why);
		return;
	}
	if (sim->now >= sim->bound_at && !well) {
		describe(text, sizeof(text));
		for (int i = 0; i < NODES && sim->trace; i++)
			if (sim->node[i].running)
				status_tell(&sim->node[i]);
		sim_fail("within %.1f s of calm nobody answers: %s", (double)(sim->bound_at - sim->begin - sim->plan->calm_at) / 1e6, text);
	}
}
