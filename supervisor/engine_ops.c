/*
 * supervisor/engine_ops.c - what the operator may ask of this node, with refusals in words: what stands against it and what
 * would make it safe. Decides only whether an event may be offered; what follows stands in the table. Pure but
 * for the engine it changes.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "supervisor/engine_priv.h"

static enum op_result
refuse(enum op_result how, struct err *err, const char *text)
{
	err_set(err, 0, "%s", text);
	return how;
}

/* Why the peer could not take now; false: it can. */
bool
engine_peer_cannot_take(const struct engine *en, struct err *err)
{
	const char *peer = engine_peer_name(en);
	char disk[300];

	if (!engine_peer_alive(en))
		return !err_set(err, 0, "%s is %s: it could not take the spool", peer, view_name(engine_view(en)));
	if (engine_config_same(en) == FACT_NO)
		return !err_set(err, 0, "the configurations of the two nodes differ: make %s the same on both, then 'mailpair reload'",
		    en->conf->file);
	if (en->state.maintenance || en->peer_maintenance)
		return !err_set(err, 0, "maintenance is on: 'mailpair maintenance off' first");
	if ((en->peer.flags & BEAT_GAVE_UP) != 0)
		return !err_set(err, 0, "the service failed on %s before: mend it there, then 'mailpair online' on %s", peer, peer);
	if (en->peer.role != ROLE_STANDBY)
		return !err_set(err, 0, "%s is %s, not standby%s", peer, role_name(en->peer.role),
		    en->peer.role == ROLE_STOPPED ? ": 'mailpair online' there lets it own again" : "");
	if (engine_disk_says_peer(en, DISK_SPOOL, disk, sizeof(disk)) || engine_disk_says_peer(en, DISK_STATE, disk, sizeof(disk)))
		return !err_set(err, 0, "%s: it could not take the spool", disk);
	if ((en->peer.flags & BEAT_HEALTHY) == 0)
		return !err_set(err, 0, "%s is not well (see 'mailpair status' there): it could not take the spool", peer);
	return false;
}

bool
engine_peer_can_take(const struct engine *en)
{
	return !engine_peer_cannot_take(en, NULL);
}

enum op_result
engine_op_switchover(struct engine *en, const char *to, struct err *err)
{
	const char *self = en->conf->node[en->conf->self], *peer = engine_peer_name(en);
	bool to_self;

	if (to == NULL)
		to = en->role == ROLE_ACTIVE ? peer : self;
	if (strcmp(to, self) != 0 && strcmp(to, peer) != 0) {
		err_set(err, 0, "there is no node \"%s\"; the nodes are %s and %s", to, en->conf->node[0], en->conf->node[1]);
		return OP_NO;
	}
	to_self = strcmp(to, self) == 0;
	if (en->role == ROLE_ACTIVE && to_self)
		return refuse(OP_DONE, err, "this node is active already");
	if (!to_self && engine_peer_alive(en) && en->peer.role == ROLE_ACTIVE)
		return refuse(OP_DONE, err, "the peer is active already");
	if (engine_busy(en) || en->role == ROLE_ACQUIRING || en->role == ROLE_RELEASING)
		return refuse(OP_NO, err, "a transition is under way; wait for its end");
	if (en->role == ROLE_ACTIVE) {
		if (en->doubtful)
			return refuse(OP_UNSAFE, err, "this node stood still and has not heard the peer since: its own ownership is in doubt");
		if (engine_peer_cannot_take(en, err))
			return OP_UNSAFE;
		if (en->disk[DISK_SPOOL].trial.hangs && (en->peer.flags & BEAT_CAN_FENCE) == 0) {
			err_set(err, 0, "the disk of the spool hangs, so it could not be let go, and %s could not power this node off then", peer);
			return OP_UNSAFE;
		}
		engine_step(en, EV_OP_GIVE);
		return OP_STARTED;
	}
	if (en->role != ROLE_STANDBY) {
		err_set(err, 0, "%s is %s: %s", self, role_name(en->role),
		    en->role == ROLE_STOPPED ? "'mailpair online' lets it own again" : "it cannot own now");
		return OP_UNSAFE;
	}
	if (!engine_peer_alive(en) || en->peer.role != ROLE_ACTIVE) {
		err_set(err, 0, "%s is not active (%s): there is nothing to hand over%s", peer,
		    engine_peer_alive(en) ? role_name(en->peer.role) : view_name(engine_view(en)),
		    engine_peer_alive(en) ? "" : "; if it is certainly powered off, 'mailpair confirm-dead' it");
		return OP_UNSAFE;
	}
	if (engine_config_same(en) == FACT_NO)
		return refuse(OP_UNSAFE, err, "the configurations of the two nodes differ: make them the same, then 'mailpair reload' on both");
	if (en->state.maintenance || en->peer_maintenance)
		return refuse(OP_UNSAFE, err, "maintenance is on: 'mailpair maintenance off' first");
	if (en->state.gave_up)
		return refuse(OP_UNSAFE, err, "the service failed on this node before: mend it, then 'mailpair online'");
	if (engine_disk_refuses(en, err))
		return OP_UNSAFE;
	if (en->hold.ready == FACT_NO) {
		err_set(err, 0, "this node could not take the spool: %s", en->hold.ready_text);
		return OP_UNSAFE;
	}
	en->failing_back = false;
	engine_step(en, EV_OP_TAKE);
	return OP_STARTED;
}

enum op_result
engine_op_standby(struct engine *en, struct err *err)
{
	if (en->role == ROLE_STOPPED && en->state.offline)
		return refuse(OP_DONE, err, "this node stays away already");
	if (en->role == ROLE_FAILED)
		return refuse(OP_UNSAFE, err, "this node cannot let go of the spool; see 'mailpair status'");
	if (en->role == ROLE_ACTIVE && engine_busy(en) && !engine_queue_mending(en))
		return refuse(OP_NO, err, "a transition is under way; wait for its end");
	en->state.offline = true;
	engine_save(en);
	engine_step(en, EV_OP_STANDBY);
	return OP_STARTED;
}

enum op_result
engine_op_online(struct engine *en, struct err *err)
{
	if (engine_busy(en))
		return refuse(OP_NO, err, "a transition is under way; wait for its end");
	en->state.offline = false;
	en->state.gave_up = false;
	en->restarts = 0;
	en->retry_own_ms = 0;
	engine_stalls_forget(en);
	engine_save(en);
	engine_step(en, EV_OP_ONLINE);
	engine_survey_now(en);
	engine_prepare_now(en);
	return en->role == ROLE_RELEASING ? OP_STARTED : OP_DONE;
}

enum op_result
engine_op_maintenance(struct engine *en, bool on, uint64_t for_ms, struct err *err)
{
	(void)err;
	en->state.maintenance = on;
	en->state.maintenance_until_wall_ms = on && for_ms != 0 ? clock_wall_ms() + for_ms : 0;
	if (!on && !engine_peer_alive(en))
		en->peer_maintenance = false;
	engine_save(en);
	loop_timer_in(en->maint_timer, on && for_ms != 0 ? (for_ms < 60000 ? for_ms : 60000) : 60000);
	engine_event(en, "maintenance", true, "maintenance is %s: %s", on ? "on" : "off",
	    on ? "nothing is moved, restarted or fenced" : "this pair moves by itself again");
	engine_beat_now(en);
	engine_soon(en);
	return OP_DONE;
}

enum op_result
engine_op_confirm_dead(struct engine *en, const char *node, struct err *err)
{
	const char *peer = engine_peer_name(en);

	if (strcmp(node, peer) != 0) {
		err_set(err, 0, "\"%s\" is not the peer of this node; the peer is %s", node, peer);
		return OP_NO;
	}
	if (engine_peer_alive(en)) {
		err_set(err, 0, "%s is heard right now (%s): it is not dead; use 'mailpair switchover'", peer, role_name(en->peer.role));
		return OP_UNSAFE;
	}
	if (!en->probed) {
		return refuse(OP_NO, err, "this node does not know yet what it holds itself; try again in a moment");
	}
	en->commanded = true;
	engine_prove(en, PROOF_VOUCHED, 0, "the operator vouched that %s is powered off", peer);
	return OP_STARTED;
}

enum op_result
engine_op_services(struct engine *en, bool start, struct err *err)
{
	if (en->role != ROLE_ACTIVE) {
		if (!start)
			return refuse(OP_DONE, err, "no mail services run here: this node is not active");
		err_set(err, 0, "%s is %s: mail services run on the node that owns the spool%s%s", en->conf->node[en->conf->self],
		    role_name(en->role), engine_peer_alive(en) && en->peer.role == ROLE_ACTIVE ? ", which is " : "",
		    engine_peer_alive(en) && en->peer.role == ROLE_ACTIVE ? engine_peer_name(en) : "");
		return OP_UNSAFE;
	}
	if (engine_busy(en))
		return refuse(OP_NO, err, "a transition is under way; wait for its end");
	if (en->doubtful && start)
		return refuse(OP_UNSAFE, err, "this node stood still and has not heard the peer since: its own ownership is in doubt");
	en->state.services_stopped = !start;
	en->state.queue_refused = false;
	engine_save(en);
	engine_step(en, start ? EV_OP_SERVICES_START : EV_OP_SERVICES_STOP);
	return OP_STARTED;
}

enum op_result
engine_op_cluster(struct engine *en, bool start, struct err *err)
{
	if (engine_busy(en))
		return refuse(OP_NO, err, "a transition is under way; wait for its end");
	if (!start) {
		if (en->role != ROLE_ACTIVE)
			return refuse(OP_DONE, err, "the spool is not held here");
		if (!en->state.services_stopped)
			return refuse(OP_UNSAFE, err, "mail services run on the spool: 'mailpair services stop' first");
		return engine_op_standby(en, err);
	}
	if (en->role == ROLE_ACTIVE)
		return refuse(OP_DONE, err, "the spool is held here already");
	if (engine_peer_alive(en) && (en->peer.holds != FACT_NO || en->peer.role == ROLE_ACTIVE)) {
		err_set(err, 0, "%s holds the spool; 'mailpair switchover --to %s' moves it", engine_peer_name(en),
		    en->conf->node[en->conf->self]);
		return OP_UNSAFE;
	}
	if (!engine_peer_alive(en) && en->proof.kind == PROOF_NONE && !en->peer_left) {
		err_set(err, 0, "%s is %s and not proven gone: fence it ('mailpair fence %s --off') or, if it is certainly powered off, "
		    "'mailpair confirm-dead %s'", engine_peer_name(en), view_name(engine_view(en)), engine_peer_name(en),
		    engine_peer_name(en));
		return OP_UNSAFE;
	}
	/* the storage only: the services wait for "services start" */
	en->state.services_stopped = true;
	en->state.queue_refused = false;
	en->commanded = true;
	engine_op_online(en, err);
	return OP_STARTED;
}

enum op_result
engine_op_leave(struct engine *en)
{
	engine_step(en, EV_OP_LEAVE);
	return OP_STARTED;
}
