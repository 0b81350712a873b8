/*
 * tests/sim/ops.c - does what the plan says: each operation at its time, or while the worker is at work that it waits for; and puts right
 * what it broke, at its end or when everything is to be calm.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "supervisor/seal.h"
#include "tests/sim/sim.h"

void
plan_begin(void)
{
	for (size_t i = 0; i < sim->plan->ops; i++) {
		const struct op *op = &sim->plan->op[i];

		if (!op->off && op->work == 0)
			item_add(NULL, sim->begin + op->at, IT_OP, CLASS_WORLD, -1, (void *)(uintptr_t)op, 0);
	}
	item_add(NULL, sim->begin + sim->plan->calm_at, IT_CALM, CLASS_WORLD, -1, NULL, 0);
}

void
op_print(const struct op *op, char *buf, size_t size)
{
	static const char *const names[OP_COUNT] = { "power cut", "power back", "reboot", "kill -9 of mailpaird", "order to end", "pause", "freeze",
		"wall clock jump", "links cut", "links cut one way", "carrier", "mail program dies", "mail program hangs",
		"mail program broken", "mail program stuck", "address removed", "lan dead", "disk dead", "unmount never ends", "disk full",
		"seal spoiled", "reload", "other keys", "operator", "spool hangs", "spool read-only", "state disk hangs",
		"state disk fails" };

	size_t len = (size_t)snprintf(buf, size, "%s of %s at %.3f s, %" PRIu64 " ms, choice %" PRIx64, names[op->kind],
	    plan_node(op->node), (double)op->at / 1e6, op->a / 1000, op->b);

	if (op->work != 0 && len < size)
		snprintf(buf + len, size - len, ", not before worker \"%s\" of %s, %u permille into it", work_kind_name(op->work),
		    plan_node(op->worker), op->late);
}

void
plan_work(const struct spawn *s)
{
	for (size_t i = 0; i < sim->plan->ops; i++) {
		const struct op *op = &sim->plan->op[i];

		if (op->work == 0 || op->off || op->worker != s->node || (sim->fired & UINT64_C(1) << i) != 0 ||
		    sim->now < sim->begin + op->at || strcmp(work_kind_name(op->work), s->kind->name) != 0)
			continue;
		sim->fired |= UINT64_C(1) << i;
		item_add(NULL, sim->now + (s->fate == FATE_HANG ? 1000 : s->end_us) * op->late / 1000, IT_OP, CLASS_WORLD, -1,
		    (void *)(uintptr_t)op, 0);
	}
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

enum { UNDO_LAN, UNDO_DISK, UNDO_BROKEN, UNDO_HUNG, UNDO_STUCK, UNDO_SPOOL, UNDO_STATE, UNDO_STATE_BAD, UNDO_FULL, UNDO_SEAL };

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
	n->spool_ro = n->spool_ro && what != UNDO_SPOOL;
	if (what == UNDO_SPOOL)
		n->spool_hung = 0;
	if (what == UNDO_STATE)
		n->state_hung = 0;
	sim->full = sim->full && what != UNDO_FULL;
	if (what == UNDO_SEAL)
		sim->spoiled[0] = '\0';
	TRACE("%s: fault %" PRIu64 " is over", n->conf.node[node], what);
}

static void
nothing(void *arg, const struct spawn_result *res)
{
	(void)arg;
	(void)res;
}

/* Two are given twice as often as the others. */
static enum command
command_of(uint64_t choice)
{
	uint64_t number = choice % (COMMAND_COUNT + 2);

	return number < COMMAND_COUNT ? (enum command)number : number == COMMAND_COUNT ? COMMAND_ONLINE : COMMAND_CONFIRM_DEAD;
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
	switch (command_of(choice)) {
	case COMMAND_SWITCHOVER: engine_op_switchover(en, NULL, &err); break;
	case COMMAND_TAKE: engine_op_switchover(en, self, &err); break;
	case COMMAND_GIVE: engine_op_switchover(en, peer, &err); break;
	case COMMAND_STANDBY: engine_op_standby(en, &err); break;
	case COMMAND_ONLINE: engine_op_online(en, &err); break;
	case COMMAND_MAINTENANCE: engine_op_maintenance(en, true, more % 3 == 0 ? 0 : 500 + more % 8000, &err); break;
	case COMMAND_MAINTENANCE_END: engine_op_maintenance(en, false, 0, &err); break;
	case COMMAND_CONFIRM_DEAD:
		if (!sim->node[1 - n->id].power)
			engine_op_confirm_dead(en, peer, &err);
		break;
	case COMMAND_SERVICES_STOP: engine_op_services(en, false, &err); break;
	case COMMAND_SERVICES_START: engine_op_services(en, true, &err); break;
	case COMMAND_CLUSTER_START: engine_op_cluster(en, true, &err); break;
	case COMMAND_CLUSTER_STOP: engine_op_cluster(en, false, &err); break;
	case COMMAND_FENCE: engine_op_fence(en, peer, more % 2 == 0 ? EDGE_POWER_OFF : EDGE_POWER_STATUS, nothing, NULL, &err); break;
	case COMMAND_RESET:
		engine_op_fence(en, more % 5 == 0 ? self : peer, more % 2 == 0 ? EDGE_POWER_RESET : EDGE_POWER_TEST, nothing, NULL, &err);
		break;
	case COMMAND_COUNT:
		break;
	}
	TRACE("%s: the operator's command %d: %s", self, (int)command_of(choice), err.text);
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

/* Its authkeys, from now on or from its next start; those of the peer may be others for a while. */
static void
change_keys(struct node *n, size_t which)
{
	if (n->paused_until > sim->now || n->keyed == which)
		return;
	TRACE("%s: keys %zu", n->conf.node[n->id], which);
	n->keyed = which;
	n->keys = sim_keys[which];
	sim->cur = n;
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

/* A person has put another file there, or it is damaged; until somebody puts it right. */
static void
spoil(uint64_t choice)
{
	struct seal other = { .pair = "sim", .node = "mx1", .boot = "b", .tenure = 1, .at_wall_ms = 1 };

	if (choice % 3 == 0)
		snprintf(other.pair, sizeof(other.pair), "web");
	else if (choice % 3 == 1)
		snprintf(other.node, sizeof(other.node), "mx9");
	seal_format(&other, sim->spoiled, sizeof(sim->spoiled));
	if (choice % 3 == 2)
		sim->spoiled[40] ^= 1;
}

static void
op_on_disk(const struct op *op, struct node *n)
{
	if (op->kind == OP_DISK) {
		n->disk_dead = true;
		undo_later(op, UNDO_DISK);
	} else if (op->kind == OP_UNMOUNT) {
		n->unmount_hangs = n->booted;
	} else if (op->kind == OP_FULL) {
		sim->full = true;
		undo_later(op, UNDO_FULL);
	} else if (op->kind == OP_SEAL) {
		spoil(op->b);
		undo_later(op, UNDO_SEAL);
	} else if (op->kind == OP_SPOOL_HANGS) {
		spool_hangs(op);
	} else if (op->kind == OP_SPOOL_BREAKS) {
		n->spool_ro = n->mounted;
		undo_later(op, UNDO_SPOOL);
	} else if (op->kind == OP_STATE_HANGS) {
		n->state_hung = sim->now;
		undo_later(op, UNDO_STATE);
	} else {
		n->state_bad = true;
		undo_later(op, UNDO_STATE_BAD);
	}
}

/* What goes on in its kernel and on its network. */
static void
op_on_surroundings(const struct op *op, struct node *n)
{
	n->rough = n->rough || op->kind == OP_MTA_BROKEN || op->kind == OP_MTA_DIES || op->kind == OP_MTA_STUCK;
	if (op->kind == OP_MTA_BROKEN || op->kind == OP_MTA_DIES)
		node_mta_kill(n);
	if (op->kind == OP_MTA_BROKEN) {
		n->mta_broken = true;
		undo_later(op, UNDO_BROKEN);
	} else if (op->kind == OP_MTA_HANGS) {
		n->mta_hung = n->mta_pid != 0;
		undo_later(op, UNDO_HUNG);
	} else if (op->kind == OP_MTA_STUCK) {
		n->mta_stuck = n->mta_pid != 0;
		undo_later(op, UNDO_STUCK);
	} else if (op->kind == OP_ADDRESS) {
		n->address = false;
	} else if (op->kind == OP_LAN) {
		n->lan_dead = true;
		undo_later(op, UNDO_LAN);
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
	case OP_POWER_ON:
		node_power_on(n);
		break;
	case OP_KILL:
		if (!n->running)
			break;
		n->rough = true;
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
	case OP_RELOAD:
		reload(n, op->b);
		break;
	case OP_KEYS:
		change_keys(n, op->b % KEYS);
		break;
	case OP_OPERATOR:
		operate(n, op->b);
		break;
	case OP_MTA_DIES: case OP_MTA_HANGS: case OP_MTA_BROKEN: case OP_MTA_STUCK: case OP_ADDRESS: case OP_LAN:
		op_on_surroundings(op, n);
		break;
	case OP_DISK: case OP_UNMOUNT: case OP_FULL: case OP_SEAL: case OP_SPOOL_HANGS: case OP_SPOOL_BREAKS: case OP_STATE_HANGS:
	case OP_STATE_BAD:
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

		for (uint64_t what = UNDO_LAN; what <= UNDO_SEAL; what++)
			plan_undo(i, what);
		if (n->paused_until > sim->now) {
			n->paused_until = sim->now;
			if (n->pause == PAUSE_FREEZE) {
				n->virt_base = sim->now;
				node_retime(n);
			}
		}
		change_keys(n, 0);
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
	sim->still_since = sim->now;
	item_add(NULL, sim->now + 200 * MS, IT_LOOK, CLASS_WORLD, -1, NULL, 0);
}
