/*
 * tests/sim/world.c - the machines and the queue of what happens next. One event at a time, in the order of virtual time; what falls
 * together is ordered by chance. After each event the laws are checked (check.c).
 */
#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "supervisor/statefile.h"
#include "tests/sim/sim.h"

#define BEGIN (1000 * SECOND)
#define MONO_AT_BOOT (3 * SECOND)
#define EVENTS_MAX 400000	/* a schedule that needs more is a loop */
#define SAME_TIME_MAX 2000

struct sim *sim;

/* ---------------------------------------------------------------- telling */

void
sim_trace(const char *fmt, ...)
{
	va_list ap;

	printf("%10.6f ", (double)(sim->now - BEGIN) / 1e6);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

void
sim_fail(const char *fmt, ...)
{
	va_list ap;

	if (sim->failed)
		return;
	sim->failed = true;
	va_start(ap, fmt);
	vsnprintf(sim->why, sizeof(sim->why), fmt, ap);
	va_end(ap);
	TRACE("*** %s", sim->why);
}

/* ---------------------------------------------------------------- the queue */

void
item_add(size_t *slot, uint64_t due, enum item_kind kind, enum item_class class, int node, void *p, uint64_t a)
{
	if (sim->items == sizeof(sim->item) / sizeof(sim->item[0])) {
		sim_fail("too much is under way at once");
		return;
	}
	sim->item[sim->items++] = (struct item){ .due = due, .tie = rng_next(&sim->tie), .kind = kind, .class = class, .node = node,
		.p = p, .a = a, .slot = slot };
	if (slot != NULL)
		*slot = sim->items;
}

static void
item_remove(size_t at)
{
	if (sim->item[at].slot != NULL)
		*sim->item[at].slot = 0;
	sim->items--;
	if (at == sim->items)
		return;
	sim->item[at] = sim->item[sim->items];
	if (sim->item[at].slot != NULL)
		*sim->item[at].slot = at + 1;
}

void
item_drop(size_t *slot)
{
	if (*slot != 0)
		item_remove(*slot - 1);
}

/* Work waits while its machine stands still, and handlers also while only the daemon does. */
static uint64_t
due_of(const struct item *it)
{
	const struct node *n;

	if (it->class == CLASS_WORLD || it->node < 0)
		return it->due;
	n = &sim->node[it->node];
	if (n->paused_until <= it->due || (it->class == CLASS_WORKER && n->pause == PAUSE_DAEMON))
		return it->due;
	return n->paused_until;
}

static bool
item_next(struct item *ret)
{
	bool pauses = sim->node[0].paused_until != 0 || sim->node[1].paused_until != 0;
	size_t best = sim->items;
	uint64_t when = NEVER;

	for (size_t i = 0; i < sim->items; i++) {
		uint64_t due = sim->item[i].due;

		if (due > when)		/* it can only be later */
			continue;
		if (pauses)
			due = due_of(&sim->item[i]);
		if (due < when || (due == when && best < sim->items && sim->item[i].tie < sim->item[best].tie)) {
			best = i;
			when = due;
		}
	}
	if (best == sim->items)
		return false;
	*ret = sim->item[best];
	item_remove(best);
	if (when > sim->now) {
		sim->now = when;
		sim->same_time = 0;
	} else if (++sim->same_time > SAME_TIME_MAX) {
		sim_fail("time stands still: the same moment never ends");
	}
	return true;
}

/* ---------------------------------------------------------------- time */

uint64_t
sim_takes(struct rng *r, uint64_t min_us, uint64_t max_us)
{
	return rng_in(r, min_us, min_us + (max_us - min_us) * sim->plan->pace / 1000);
}

uint64_t
node_mono(const struct node *n)
{
	int64_t gone;

	if (sim->now <= n->virt_base)
		return n->mono_base;
	gone = (int64_t)(sim->now - n->virt_base);
	return n->mono_base + (uint64_t)(gone + gone * n->ppm / 1000000);
}

uint64_t
node_virt(const struct node *n, uint64_t mono_us)
{
	int64_t gone;

	if (mono_us <= n->mono_base)
		return n->virt_base;
	gone = (int64_t)(mono_us - n->mono_base);
	if (gone > INT64_MAX / 2000000)
		return NEVER / 4;
	return n->virt_base + (uint64_t)(n->ppm == 0 ? gone : gone * 1000000 / (1000000 + n->ppm) + 1);
}

void
node_retime(struct node *n)
{
	for (size_t i = 0; i < sim->items; i++) {
		struct item *it = &sim->item[i];

		if (it->node != n->id)
			continue;
		if (it->kind == IT_TIMER)
			it->due = node_virt(n, ((struct loop_timer *)it->p)->mono_us);
		else if (it->kind == IT_DEADLINE)
			it->due = node_virt(n, ((struct spawn *)it->p)->mono_us);
	}
}

bool
node_stands_still(const struct node *n)
{
	return sim->now < n->paused_until && n->pause != PAUSE_DAEMON;
}

void
node_pause(struct node *n, enum pause_kind kind, uint64_t us)
{
	if (!n->booted || sim->now < n->paused_until)
		return;
	TRACE("%s stands still for %" PRIu64 " ms (%s)", n->conf.node[n->id], us / 1000, kind == PAUSE_DAEMON ? "daemon" :
	    kind == PAUSE_HOST ? "host" : "host and clock");
	n->pause = kind;
	n->paused_until = sim->now + us;
	if (kind != PAUSE_FREEZE)
		return;
	n->mono_base = node_mono(n);
	n->virt_base = n->paused_until;
	node_retime(n);
}

/* ---------------------------------------------------------------- machines */

void
node_mta_kill(struct node *n)
{
	int pid = n->mta_pid;

	if (pid == 0)
		return;
	n->mta_pid = 0;
	n->mta_hung = n->mta_stuck = false;
	loop_mta_died(n->id, pid);
}

/* As by SIGKILL: its workers are tied to it, the mail program goes on, the kernel keeps what it has. */
void
node_daemon_kill(struct node *n)
{
	n->running = false;
	loop_drop(n->id);
	spawn_orphan(n->id);
}

void
node_power_off(struct node *n, const char *why)
{
	if (!n->power)
		return;
	TRACE("%s loses power: %s", n->conf.node[n->id], why);
	n->power = n->booted = n->running = false;
	n->off_at = sim->now;
	loop_drop(n->id);
	spawn_drop(n->id);
	link_drop(n->id);
	item_drop(&n->boot_slot);
	item_drop(&n->daemon_slot);
	if (n->mta_pid != 0)
		sim->torn = true;
	n->mounted = n->shut = n->binds = n->address = n->mta_hung = n->mta_stuck = n->held = n->spool_ro = n->unmount_hangs = n->rough =
	    false;
	n->mta_pid = 0;
	n->paused_until = 0;
	n->left = false;
	disks_unsynced(n);
	if (sim->script != NULL)
		sim->script->power_changed(n);
}

static uint64_t
boot_takes(uint64_t min_us, uint64_t max_us)
{
	return sim->plan->brisk ? rng_in(&sim->rng, min_us / 4, min_us) : sim_takes(&sim->rng, min_us, max_us);
}

void
node_power_on(struct node *n)
{
	item_drop(&n->power_slot);
	if (n->power)
		return;
	TRACE("%s has power", n->conf.node[n->id]);
	n->dark = 0;
	n->power = true;
	n->on_at = sim->now;
	item_add(&n->boot_slot, sim->now + boot_takes(500 * MS, 3 * SECOND), IT_BOOT, CLASS_WORLD, n->id, n, 0);
	if (sim->script != NULL)
		sim->script->power_changed(n);
}

static void
node_boot(struct node *n)
{
	n->booted = true;
	n->epoch++;
	snprintf(n->boot, sizeof(n->boot), "%016" PRIx64 "%016" PRIx64, rng_next(&sim->rng), n->epoch);
	n->mono_base = MONO_AT_BOOT;
	n->virt_base = sim->now;
	TRACE("%s has booted", n->conf.node[n->id]);
	item_add(&n->daemon_slot, sim->now + boot_takes(50 * MS, SECOND), IT_DAEMON, CLASS_WORLD, n->id, n, 0);
}

static void
node_exit(void *arg)
{
	struct node *n = arg;

	n->ending = true;
}

void
node_daemon_start(struct node *n)
{
	struct engine_sink sink = { .journal = check_journal, .exit = node_exit, .arg = n };
	struct state state = { .tenure = 0 };
	struct err err;

	if (!n->booted || n->running || n->disabled)
		return;
	TRACE("%s: mailpaird starts", n->conf.node[n->id]);
	if (n->state[0] != '\0' && !state_parse(n->state, &state, &err)) {
		sim_fail("the state file of %s cannot be read: %s", n->conf.node[n->id], err.text);
		return;
	}
	sim->cur = n;
	n->running = true;
	n->daemon_at = sim->now;
	n->ending = n->left = false;
	n->seen_role = ROLE_JOINING;
	engine_init(&n->en, &n->loop, n->now, &n->keys, &sim_edge, &sink, &state, n->boot);
	engine_start(&n->en);
}

/* ---------------------------------------------------------------- what happens */

static void
happen_to_node(const struct item *it, struct node *n)
{
	switch (it->kind) {
	case IT_TIMER: {
		struct loop_timer *t = it->p;

		t->fired(t->arg);
		break;
	}
	case IT_IO: {
		struct loop_io *io = it->p;

		io->ready(io->fd, LOOP_READ, io->arg);
		break;
	}
	case IT_HINT:
		if (n->running && (it->a & 0xff) < n->en.links) {
			struct link *l = &n->en.link[it->a & 0xff];

			l->events.hint(l->events.arg, l, (enum link_hint)(it->a >> 8));
		}
		break;
	case IT_PACKET:
		link_deliver(it->p);
		break;
	case IT_STEP:
		spawn_step(it->p);
		break;
	case IT_DEADLINE:
		spawn_due(it->p);
		break;
	case IT_BOOT:
		node_boot(n);
		break;
	case IT_DAEMON:
		node_daemon_start(n);
		break;
	case IT_POWER_ON:
		node_power_on(n);
		break;
	case IT_OP: case IT_CLIENT: case IT_UNCUT: case IT_UNDO: case IT_FENCED: case IT_CALM: case IT_LOOK: case IT_SCRIPT:
	case IT_MAIL:
		break;
	}
}

static void
happen_to_world(const struct item *it)
{
	switch (it->kind) {
	case IT_OP:
		plan_op(it->p);
		break;
	case IT_CLIENT:
		mail_calls();
		break;
	case IT_MAIL:
		mail_step(it->p, it->a);
		break;
	case IT_UNCUT:
		plan_uncut(it->a);
		break;
	case IT_UNDO:
		plan_undo((int)(it->a & 1), it->a >> 1);
		break;
	case IT_FENCED:
		fence_happens(it->a);
		break;
	case IT_CALM:
		plan_calm();
		break;
	case IT_LOOK:
		live_look();
		break;
	case IT_SCRIPT:
		sim->script->item(it);
		break;
	case IT_TIMER: case IT_IO: case IT_HINT: case IT_PACKET: case IT_STEP: case IT_DEADLINE: case IT_BOOT: case IT_DAEMON:
	case IT_POWER_ON:
		break;
	}
}

/* The daemon has ended in order, or the machine lost its power from within one of its own handlers. */
static void
settle(void)
{
	for (int i = 0; i < NODES; i++) {
		struct node *n = &sim->node[i];

		if (!n->running || !n->ending)
			continue;
		TRACE("%s: mailpaird ends in order", n->conf.node[i]);
		sim->cur = n;
		engine_fini(&n->en);
		n->running = n->ending = false;
		n->left = true;
		loop_drop(i);
		item_add(&n->daemon_slot, sim->now + sim_takes(&sim->rng, SECOND, 8 * SECOND), IT_DAEMON, CLASS_WORLD, i, n, 0);
	}
}

void
world_init(const struct plan *plan)
{
	const struct script *script = sim->script;
	bool trace = sim->trace;

	/* the big pools come last; what is free in them needs no cleaning */
	memset(sim, 0, offsetof(struct sim, item));
	for (size_t i = 0; i < sizeof(sim->timer) / sizeof(sim->timer[0]); i++)
		sim->timer[i].used = false;
	for (size_t i = 0; i < sizeof(sim->io) / sizeof(sim->io[0]); i++)
		sim->io[i].used = false;
	for (size_t i = 0; i < sizeof(sim->packet) / sizeof(sim->packet[0]); i++)
		sim->packet[i].used = false;
	sim->trace = trace;
	sim->script = script;
	sim->plan = plan;
	sim->now = sim->begin = BEGIN;
	sim->rng.s = plan->seed ^ UINT64_C(0x1111111111111111);
	sim->tie.s = plan->seed ^ UINT64_C(0x2222222222222222);
	sim->work.s = plan->seed ^ UINT64_C(0x3333333333333333);
	sim->net.s = plan->seed ^ UINT64_C(0x4444444444444444);
	sim->entropy.s = plan->seed ^ UINT64_C(0x5555555555555555);
	for (int i = 0; i < NODES; i++) {
		struct node *n = &sim->node[i];

		n->id = n->loop.node = i;
		plan_conf(plan, &n->conf, i);
		n->now = &n->conf;
		n->keys = sim_keys[0];
		n->off_at = sim->now;
		if ((plan->faults & BIT(F_DRIFT)) != 0)
			n->ppm = (int64_t)rng_below(&sim->rng, 1001) - 500;
		n->wall_ms = (int64_t)rng_below(&sim->rng, 10000) - 5000;
		if (i != plan->absent && script == NULL)
			item_add(&n->power_slot, sim->now + rng_below(&sim->rng, plan->brisk ? 200 * MS : 3 * SECOND), IT_POWER_ON, CLASS_WORLD, i,
			    n, 0);
	}
	sim->cur = &sim->node[0];
	plan_begin();
	item_add(NULL, sim->now + SECOND, IT_CLIENT, CLASS_WORLD, -1, NULL, 0);
}

int
world_step(void)
{
	struct item it;

	if (!item_next(&it))
		return -1;
	if (it.node >= 0) {
		sim->cur = &sim->node[it.node];
		happen_to_node(&it, sim->cur);
	} else {
		happen_to_world(&it);
	}
	settle();
	check_world();
	return it.node >= 0 ? it.node : NODES;
}

void
world_run(void)
{
	while (!sim->done && !sim->failed && world_step() >= 0) {
		if (++sim->events > EVENTS_MAX)
			sim_fail("more than %d events: a loop", EVENTS_MAX);
	}
}
