/*
 * supervisor/fsm.c - the table of decisions. Pure: no clock, no file, no socket, no log.
 *
 * Read it by role: each role's rows stand together, in the order of a life: joining, standby, acquiring, active,
 * releasing, stopped, failed. What a row may rely on: leaving a role discards the actions not yet begun;
 * group actions (mount, start, ...) run in the order written. Silence is never proof: no row leads to
 * acquiring but by PROOF (the peer is gone) or AGREED (the peer let go), and both are established
 * elsewhere (engine_peer.c, engine_fence.c) from what a beat or a fence device really said.
 */
#include "supervisor/fsm.h"

#include <assert.h>

/* ---------------------------------------------------------------- guards: claims about the facts */

static bool
may_own(const struct facts *f)
{
	return f->online && !f->gave_up && !f->maintenance && f->healthy != FACT_NO && f->disks != FACT_NO;
}

/* A fence device may be used on its own initiative. */
static bool
may_shoot(const struct facts *f)
{
	return f->automatic && f->can_fence && !f->maintenance;
}

static bool
may_shoot_and_own(const struct facts *f)
{
	return may_shoot(f) && may_own(f);
}

static bool
holds_nothing(const struct facts *f)
{
	return f->holds == FACT_NO;
}

static bool
no_maintenance(const struct facts *f)
{
	return !f->maintenance;
}

static bool
gone_and_may_own(const struct facts *f)
{
	return f->peer_gone == FACT_YES && may_own(f) && (f->automatic || f->commanded);
}

static bool
still_silent_and_may_shoot(const struct facts *f)
{
	return may_shoot_and_own(f) && f->peer_gone != FACT_YES &&
	    (f->peer_view == VIEW_SILENT || f->peer_view == VIEW_UNSEEN || f->peer_view == VIEW_FENCING);
}

static bool
hinted_and_may_shoot(const struct facts *f)
{
	return may_shoot_and_own(f) && f->hints && f->peer_gone != FACT_YES;
}

static bool
elected_and_may_own(const struct facts *f)
{
	return f->elected == FACT_YES && may_own(f);
}

static bool
claim_is_theirs(const struct facts *f)
{
	return f->claim_wins == FACT_YES && f->holds == FACT_NO;
}

/* An owner that cannot use the spool had better be shot than shoot. */
static bool
sure_and_may_shoot(const struct facts *f)
{
	return may_shoot(f) && !f->doubtful && f->spool != FACT_NO && f->peer_gone != FACT_YES && f->peer_view == VIEW_SILENT;
}

static bool
doubtful_and_may_ask(const struct facts *f)
{
	return f->doubtful && f->can_fence && !f->maintenance && f->peer_gone != FACT_YES;
}

static bool
doubtful_and_may_look(const struct facts *f)
{
	return f->doubtful && f->may_verify;
}

static bool
theirs_is_newer(const struct facts *f)
{
	return f->peer_newer == FACT_YES;
}

/* A disk that hangs keeps the unmount as well: then only power off lets go, and it must be sure that this comes. */
static bool
peer_can_take(const struct facts *f)
{
	return f->peer_can_take == FACT_YES && !f->maintenance && !f->doubtful && (!f->spool_hangs || f->peer_can_fence);
}

/* Only a spool that surely works is written to beforehand. */
static bool
peer_can_take_and_spool_works(const struct facts *f)
{
	return peer_can_take(f) && f->spool == FACT_YES;
}

static bool
peer_can_take_and_stalls_left(const struct facts *f)
{
	return peer_can_take(f) && f->stalls_left;
}

static bool
spool_is_ill(const struct facts *f)
{
	return f->spool == FACT_NO;
}

static bool
services_are_off_limits(const struct facts *f)
{
	return f->maintenance || f->services_stopped;
}

static bool
may_restart(const struct facts *f)
{
	return f->may_restart;
}

static bool
asked_to_fence(const struct facts *f)
{
	return may_shoot_and_own(f) && f->peer_gone != FACT_YES && f->stalls_left;
}

/* The owner fences a peer that says itself that it cannot let go; its own ownership must be beyond doubt. */
static bool
sure_and_asked_to_fence(const struct facts *f)
{
	return may_shoot(f) && !f->doubtful && f->peer_gone != FACT_YES;
}

static bool
to_give(const struct facts *f)
{
	return f->intent == INTENT_GIVE || f->intent == INTENT_MOVE || f->intent == INTENT_STALLED;
}

static bool
to_stand_by(const struct facts *f)
{
	return f->intent == INTENT_STANDBY;
}

static bool
to_leave(const struct facts *f)
{
	return f->intent == INTENT_LEAVE;
}

static bool
to_undo(const struct facts *f)
{
	return f->intent == INTENT_UNDO;
}

static bool
to_give_up(const struct facts *f)
{
	return f->intent == INTENT_GIVE_UP;
}

static bool
may_take_commanded(const struct facts *f)
{
	return may_own(f);
}

/* ---------------------------------------------------------------- action lists that occur often */

/* The tenure is sealed before anything runs; the mta listens before the address comes. */
#define GROUP_UP   ACT_STORAGE_UP, ACT_SEAL, ACT_BIND, ACT_QUEUE_CHECK, ACT_MTA_START, ACT_ADDRESS_UP
/* The address goes first: nobody is refused by a node that is going down. */
#define GROUP_DOWN ACT_ADDRESS_DOWN, ACT_MTA_STOP, ACT_UNBIND, ACT_STORAGE_DOWN
#define GROUP_LET_GO ACT_ABANDON, ACT_ADDRESS_DOWN, ACT_MTA_STOP, ACT_UNBIND, ACT_STORAGE_DOWN

#define WHEN(guard) guard, #guard
#define ALWAYS NULL, NULL
#define NEVER NULL, FSM_NEVER
#define STAY FSM_SAME, INTENT_NONE

/* clang-format off */
const struct fsm_row fsm_table[] = {
	/* ---- joining: what is held here is looked at, then the peer is listened for */
	{ IN(JOINING), EV_FOUND_OURS, ALWAYS, ROLE_ACTIVE, INTENT_NONE,
	    { ACT_BIND, ACT_QUEUE_CHECK, ACT_MTA_START, ACT_ADDRESS_UP, ACT_BEAT },
	    "the spool is held here under our own seal since this boot: what runs goes on as it runs" },
	{ IN(JOINING), EV_FOUND_NOTHING, ALWAYS, STAY, { ACT_BEAT },
	    "nothing of the group is held here: listen for the peer" },
	{ IN(JOINING), EV_FOUND_UNSEALED, WHEN(no_maintenance), ROLE_RELEASING, INTENT_NONE, { GROUP_DOWN, ACT_ALERT },
	    "the spool is mounted here, but was not sealed for that: a take that was cut short; unmount it in order" },
	{ IN(JOINING), EV_FOUND_UNSEALED, ALWAYS, ROLE_FAILED, INTENT_NONE, { ACT_ASK_FENCE, ACT_ALERT, ACT_BEAT },
	    "the spool is mounted here unsealed, and maintenance is on: leave it to a person until that is over" },
	{ IN(JOINING), EV_FOUND_THEIRS, WHEN(no_maintenance), ROLE_RELEASING, INTENT_ROBBED, { GROUP_LET_GO, ACT_ALERT },
	    "the spool is mounted here, but may be the peer's by now: let go without writing" },
	{ IN(JOINING), EV_FOUND_THEIRS, ALWAYS, ROLE_FAILED, INTENT_NONE, { ACT_ASK_FENCE, ACT_ALERT, ACT_BEAT },
	    "the spool is mounted here and may be the peer's, but maintenance is on: leave it to a person until that is over" },
	{ IN(JOINING), EV_FOUND_STUCK, ALWAYS, ROLE_FAILED, INTENT_NONE, { ACT_ASK_FENCE, ACT_ALERT, ACT_BEAT },
	    "this node's kernel or disk has not come back from the spool that was mounted here: ask the peer to power this node off" },
	{ IN(JOINING), EV_FOUND_FOREIGN, ALWAYS, ROLE_FAILED, INTENT_NONE, { ACT_ALERT, ACT_BEAT },
	    "what is mounted here has a seal that neither node may use: a person must look; unmount it, then 'mailpair online'" },
	{ IN(JOINING), EV_PEER_ALIVE, ALWAYS, ROLE_STANDBY, INTENT_NONE, { ACT_BEAT },
	    "the peer is heard: ready to stand by" },
	{ IN(JOINING), EV_PEER_SILENT, ALWAYS, ROLE_STANDBY, INTENT_NONE, { ACT_ALERT },
	    "the peer was not heard within initdead: only proof of its death lets this node own" },
	{ IN(JOINING), EV_PROOF, ALWAYS, ROLE_STANDBY, INTENT_NONE, { ACT_NONE },
	    "the peer is proven gone: no need to wait for it" },
	{ IN(JOINING), EV_OP_LEAVE, WHEN(holds_nothing), ROLE_STOPPED, INTENT_NONE, { ACT_GOODBYE, ACT_EXIT },
	    "told to end: holds nothing, says goodbye" },
	{ IN(JOINING), EV_OP_LEAVE, ALWAYS, STAY, { ACT_EXIT },
	    "told to end before it is known what is held: says nothing that may not be so, and ends" },

	/* ---- standby: nothing here touches the disk before proof or agreement */
	{ IN(STANDBY), EV_PROOF, WHEN(gone_and_may_own), ROLE_ACQUIRING, INTENT_NONE, { GROUP_UP },
	    "the peer is proven gone: take the spool" },
	{ IN(STANDBY), EV_PROOF, ALWAYS, STAY, { ACT_NONE },
	    "the peer is gone, but this node may not own now (see problems in status)" },
	{ IN(STANDBY), EV_AGREED, WHEN(may_own), ROLE_ACQUIRING, INTENT_NONE, { GROUP_UP },
	    "the peer holds nothing and agrees: take the spool" },
	{ IN(STANDBY), EV_AGREED, ALWAYS, STAY, { ACT_NONE },
	    "the peer would let this node own, but it may not now (see problems in status)" },
	{ IN(STANDBY), EV_VACANT, WHEN(elected_and_may_own), STAY, { ACT_CLAIM, ACT_BEAT },
	    "nobody owns the spool: ask the peer to agree that this node does" },
	{ IN(STANDBY), EV_PEER_CLAIMS, WHEN(claim_is_theirs), STAY, { ACT_GRANT, ACT_BEAT },
	    "the peer wants to own: agreed" },
	{ IN(STANDBY), EV_PEER_SILENT, WHEN(may_shoot_and_own), STAY, { ACT_ASK_POWER, ACT_FENCE_LATER },
	    "the peer is silent: ask its fence devices now, shoot after the delay; silence is no proof" },
	{ IN(STANDBY), EV_PEER_SILENT, ALWAYS, STAY, { ACT_NONE },
	    "the peer is silent and cannot be fenced from here: wait for it or for the operator" },
	{ IN(STANDBY), EV_PEER_LATE, WHEN(hinted_and_may_shoot), STAY, { ACT_ASK_POWER },
	    "the peer is late on every link: ask its fence devices whether it has power" },
	{ IN(STANDBY), EV_HINT, WHEN(hinted_and_may_shoot), STAY, { ACT_ASK_POWER },
	    "the peer may just have died: ask its fence devices whether it has power" },
	{ IN(STANDBY), EV_FENCE_DELAY_OVER, WHEN(still_silent_and_may_shoot), STAY, { ACT_FENCE },
	    "still silent after the delay: power it off before anything else" },
	{ IN(STANDBY), EV_FENCE_FAILED, ALWAYS, STAY, { ACT_ALERT, ACT_RETRY_LATER },
	    "no proof that the peer is off: stay standby, try again later" },
	{ IN(STANDBY), EV_PEER_ASKS_FENCE, WHEN(asked_to_fence), STAY, { ACT_FENCE },
	    "the peer cannot let go of the spool and asks to be powered off" },
	{ IN(STANDBY), EV_FAILBACK_DUE, WHEN(may_own), STAY, { ACT_ASK_GIVE, ACT_BEAT },
	    "this node is preferred and has been well: ask the peer to hand over" },
	{ IN(STANDBY), EV_OP_TAKE, WHEN(may_take_commanded), STAY, { ACT_ASK_GIVE, ACT_BEAT },
	    "the operator wants this node to own: ask the peer to hand over" },
	{ IN(STANDBY), EV_OP_STANDBY, ALWAYS, ROLE_STOPPED, INTENT_NONE, { ACT_BEAT },
	    "the operator keeps this node from owning" },
	{ IN(STANDBY), EV_OP_LEAVE, ALWAYS, ROLE_STOPPED, INTENT_NONE, { ACT_GOODBYE, ACT_EXIT },
	    "told to end: holds nothing, says goodbye" },

	/* ---- acquiring: the actions run; any doubt undoes them */
	{ IN(ACQUIRING), EV_DONE, ALWAYS, ROLE_ACTIVE, INTENT_NONE, { ACT_BEAT },
	    "the spool is ours, mail is answered" },
	{ IN(ACQUIRING), EV_ACT_FAILED, ALWAYS, ROLE_RELEASING, INTENT_UNDO, { ACT_GAVE_UP, GROUP_DOWN, ACT_ALERT },
	    "could not take the spool whole: undo" },
	{ IN(ACQUIRING), EV_PEER_HOLDS, ALWAYS, ROLE_RELEASING, INTENT_ROBBED, { GROUP_LET_GO, ACT_ALERT },
	    "the peer is heard and holds the spool, whatever proved it gone was wrong: let go without writing" },
	{ IN(ACQUIRING), EV_OP_LEAVE, ALWAYS, ROLE_RELEASING, INTENT_LEAVE, { GROUP_DOWN },
	    "told to end: undo" },
	{ IN(ACQUIRING), EV_OP_STANDBY, ALWAYS, ROLE_RELEASING, INTENT_STANDBY, { GROUP_DOWN },
	    "the operator keeps this node from owning: undo" },
	{ IN(ACQUIRING), EV_PAUSED, ALWAYS, ROLE_RELEASING, INTENT_ROBBED, { GROUP_LET_GO, ACT_ALERT },
	    "this node stood still while it was taking the spool: proof is stale, let go without writing" },

	/* ---- active */
	{ IN(ACTIVE), EV_PEER_HOLDS, WHEN(theirs_is_newer), ROLE_RELEASING, INTENT_ROBBED, { GROUP_LET_GO, ACT_ALERT },
	    "the peer owns the spool under a newer tenure: let go at once, without writing" },
	{ IN(ACTIVE), EV_PEER_HOLDS, ALWAYS, STAY, { ACT_ALERT, ACT_BEAT },
	    "the peer still holds the spool under an older tenure: it must let go when it hears this" },
	{ IN(ACTIVE), EV_ROBBED, ALWAYS, ROLE_RELEASING, INTENT_ROBBED, { GROUP_LET_GO, ACT_ALERT },
	    "another kernel has mounted the spool while this node stood still: let go without writing" },
	{ IN(ACTIVE), EV_PAUSED, ALWAYS, STAY, { ACT_VERIFY, ACT_BEAT },
	    "this node stood still for longer than deadtime: its ownership is in doubt until the peer is heard" },
	{ IN(ACTIVE), EV_PEER_SILENT, WHEN(doubtful_and_may_ask), STAY, { ACT_ASK_POWER },
	    "the peer is silent and our own ownership in doubt: only ask whether it has power" },
	{ IN(ACTIVE), EV_PEER_SILENT, WHEN(sure_and_may_shoot), STAY, { ACT_FENCE },
	    "the standby is silent on every link and might shoot: the owner shoots first, service goes on" },
	{ IN(ACTIVE), EV_PEER_SILENT, ALWAYS, STAY, { ACT_NONE },
	    "the standby is silent: service goes on without it" },
	{ IN(ACTIVE), EV_FENCE_FAILED, ALWAYS, STAY, { ACT_ALERT, ACT_RETRY_LATER },
	    "the peer could not be powered off: service goes on, try again later" },
	{ IN(ACTIVE), EV_PEER_ASKS_FENCE, WHEN(sure_and_asked_to_fence), STAY, { ACT_FENCE },
	    "the peer holds something that it cannot let go and asks to be powered off: do so, service goes on" },
	{ IN(ACTIVE), EV_PROOF, WHEN(doubtful_and_may_look), STAY, { ACT_VERIFY },
	    "the standby is proven gone and our own ownership in doubt: see whether it had mounted the spool before" },
	{ IN(ACTIVE), EV_PROOF, ALWAYS, STAY, { ACT_NONE },
	    "the standby is proven gone: service goes on" },
	{ IN(ACTIVE), EV_MTA_DOWN, WHEN(services_are_off_limits), STAY, { ACT_NONE },
	    "the mail program is down, but maintenance is on or the operator stopped it: leave it" },
	{ IN(ACTIVE), EV_MTA_DOWN, WHEN(spool_is_ill), STAY, { ACT_NONE },
	    "the mail program is down, but the spool cannot be used either: a restart would not help" },
	{ IN(ACTIVE), EV_MTA_DOWN, WHEN(may_restart), STAY, { ACT_MTA_RESTART, ACT_ADDRESS_UP },
	    "the mail program is down: start it again here" },
	{ IN(ACTIVE), EV_MTA_DOWN, WHEN(peer_can_take), ROLE_RELEASING, INTENT_MOVE,
	    { ACT_GAVE_UP, GROUP_DOWN, ACT_ALERT },
	    "the mail program fails here again and again: the peer shall try" },
	{ IN(ACTIVE), EV_MTA_DOWN, ALWAYS, ROLE_RELEASING, INTENT_GIVE_UP, { ACT_GAVE_UP, GROUP_DOWN, ACT_ALERT },
	    "the mail program fails here again and again and the peer cannot take: stop, a person must look" },
	{ IN(ACTIVE), EV_ACT_FAILED, WHEN(services_are_off_limits), STAY, { ACT_ALERT },
	    "an action failed; maintenance is on or the operator stopped the services: leave it" },
	{ IN(ACTIVE), EV_ACT_FAILED, ALWAYS, STAY, { ACT_ALERT },
	    "an action failed: the next look decides whether to restart or to move" },
	{ IN(ACTIVE), EV_ADDRESS_LOST, WHEN(services_are_off_limits), STAY, { ACT_NONE },
	    "a service address is gone, but maintenance is on or the services are stopped: leave it" },
	{ IN(ACTIVE), EV_ADDRESS_LOST, ALWAYS, STAY, { ACT_ADDRESS_UP },
	    "somebody removed a service address: take it again" },
	{ IN(ACTIVE), EV_INTERFACE_DEAD, WHEN(peer_can_take), ROLE_RELEASING, INTENT_MOVE,
	    { GROUP_DOWN, ACT_ALERT },
	    "the service addresses cannot be reached here and the peer is well: move" },
	{ IN(ACTIVE), EV_INTERFACE_DEAD, ALWAYS, STAY, { ACT_NONE },
	    "an interface of the service addresses is dead, and the peer cannot take" },
	{ IN(ACTIVE), EV_SPOOL_STALLED, WHEN(services_are_off_limits), STAY, { ACT_NONE },
	    "the spool cannot be used here, but maintenance is on or the services are stopped: leave it" },
	{ IN(ACTIVE), EV_SPOOL_STALLED, WHEN(peer_can_take_and_stalls_left), ROLE_RELEASING, INTENT_STALLED,
	    { GROUP_DOWN, ACT_ALERT },
	    "the spool cannot be used here for too long and the peer is well: let go, or be powered off by it" },
	{ IN(ACTIVE), EV_SPOOL_STALLED, ALWAYS, STAY, { ACT_NONE },
	    "the spool cannot be used here, but the peer could not take over: stay, and serve what can be served" },
	{ IN(ACTIVE), EV_PEER_ASKS_GIVE, WHEN(peer_can_take_and_spool_works), ROLE_RELEASING, INTENT_GIVE, { ACT_EASE, GROUP_DOWN },
	    "the peer asks for the spool: write what is dirty while mail is still served, then hand over" },
	{ IN(ACTIVE), EV_PEER_ASKS_GIVE, WHEN(peer_can_take), ROLE_RELEASING, INTENT_GIVE, { GROUP_DOWN },
	    "the peer asks for the spool: hand over" },
	{ IN(ACTIVE), EV_OP_GIVE, WHEN(peer_can_take_and_spool_works), ROLE_RELEASING, INTENT_GIVE, { ACT_EASE, GROUP_DOWN },
	    "switchover by the operator: write what is dirty while mail is still served, then hand over" },
	{ IN(ACTIVE), EV_OP_GIVE, WHEN(peer_can_take), ROLE_RELEASING, INTENT_GIVE, { GROUP_DOWN },
	    "switchover by the operator: hand over" },
	{ IN(ACTIVE), EV_OP_STANDBY, ALWAYS, ROLE_RELEASING, INTENT_STANDBY, { GROUP_DOWN },
	    "the operator wants this node to give up" },
	{ IN(ACTIVE), EV_OP_LEAVE, ALWAYS, ROLE_RELEASING, INTENT_LEAVE, { GROUP_DOWN },
	    "told to end: release in order" },
	{ IN(ACTIVE), EV_OP_SERVICES_STOP, ALWAYS, STAY, { ACT_ADDRESS_DOWN, ACT_MTA_STOP },
	    "the operator stops the services; the spool stays here" },
	{ IN(ACTIVE), EV_OP_SERVICES_START, ALWAYS, STAY, { ACT_BIND, ACT_QUEUE_CHECK, ACT_MTA_START, ACT_ADDRESS_UP },
	    "the operator starts the services" },
	{ IN(ACTIVE), EV_DONE, ALWAYS, STAY, { ACT_BEAT }, "done" },

	/* ---- releasing: runs to its end; what follows depends on why */
	{ IN(RELEASING), EV_DONE, WHEN(to_give), ROLE_STANDBY, INTENT_NONE, { ACT_OFFER, ACT_BEAT },
	    "let go: the peer may take" },
	{ IN(RELEASING), EV_DONE, WHEN(to_undo), ROLE_STANDBY, INTENT_NONE, { ACT_OFFER, ACT_BEAT },
	    "undone: nothing is held here" },
	{ IN(RELEASING), EV_DONE, WHEN(to_stand_by), ROLE_STOPPED, INTENT_NONE, { ACT_OFFER, ACT_BEAT },
	    "let go: the peer may take, this node stays away" },
	{ IN(RELEASING), EV_DONE, WHEN(to_leave), ROLE_STOPPED, INTENT_NONE, { ACT_OFFER, ACT_GOODBYE, ACT_EXIT },
	    "let go: goodbye" },
	{ IN(RELEASING), EV_DONE, WHEN(to_give_up), ROLE_STOPPED, INTENT_NONE, { ACT_OFFER, ACT_BEAT },
	    "stopped: the service failed on both nodes; mend it, then 'mailpair online'" },
	{ IN(RELEASING), EV_DONE, ALWAYS, ROLE_STANDBY, INTENT_NONE, { ACT_BEAT },
	    "let go: nothing is held here" },
	{ IN(RELEASING), EV_ACT_FAILED, ALWAYS, ROLE_FAILED, INTENT_NONE, { ACT_ASK_FENCE, ACT_ALERT, ACT_BEAT },
	    "cannot let go of the spool: ask the peer to power this node off, never pretend" },
	{ IN(RELEASING), EV_OP_LEAVE, ALWAYS, FSM_SAME, INTENT_LEAVE, { ACT_NONE },
	    "told to end: after the release" },

	/* ---- stopped: kept away by the operator, or failed on both nodes */
	{ IN(STOPPED), EV_PEER_CLAIMS, WHEN(claim_is_theirs), STAY, { ACT_GRANT, ACT_BEAT },
	    "the peer wants to own: agreed" },
	{ IN(STOPPED), EV_OP_ONLINE, ALWAYS, ROLE_STANDBY, INTENT_NONE, { ACT_BEAT },
	    "the operator lets this node own again" },
	{ IN(STOPPED), EV_OP_LEAVE, ALWAYS, ROLE_STOPPED, INTENT_NONE, { ACT_GOODBYE, ACT_EXIT },
	    "told to end: holds nothing, says goodbye" },

	/* ---- failed: something is still held that cannot be let go */
	{ IN(FAILED), EV_OP_ONLINE, ALWAYS, ROLE_RELEASING, INTENT_ROBBED, { GROUP_DOWN },
	    "the operator asks to try again to let go" },
	{ IN(FAILED), EV_SPOOL_BACK, ALWAYS, ROLE_RELEASING, INTENT_NONE, { GROUP_DOWN },
	    "the disk of the spool answers again: let go now" },
	{ IN(FAILED), EV_OP_LEAVE, ALWAYS, STAY, { ACT_EXIT },
	    "told to end while something is still held: says nothing that is not so, and ends" },

	/* ---- what means nothing, with the reason; NEVER: what cannot come, so that the table has no hole */
	{ IN_ANY, EV_FOUND_OURS, NEVER, STAY, { ACT_NONE }, "asked once, while joining" },
	{ IN_ANY, EV_FOUND_NOTHING, NEVER, STAY, { ACT_NONE }, "asked once, while joining" },
	{ IN_ANY, EV_FOUND_UNSEALED, NEVER, STAY, { ACT_NONE }, "asked once, while joining" },
	{ IN_ANY, EV_FOUND_THEIRS, NEVER, STAY, { ACT_NONE }, "asked once, while joining" },
	{ IN_ANY, EV_FOUND_STUCK, NEVER, STAY, { ACT_NONE }, "asked once, while joining" },
	{ IN_ANY, EV_FOUND_FOREIGN, NEVER, STAY, { ACT_NONE }, "asked once, while joining" },
	{ IN_ANY, EV_PEER_ALIVE, NEVER, STAY, { ACT_NONE }, "only offered while joining" },
	{ IN_ANY, EV_PEER_LATE, ALWAYS, STAY, { ACT_NONE }, "the peer is late: nothing is done before deadtime" },
	{ IN_ANY, EV_PEER_SILENT, ALWAYS, STAY, { ACT_NONE }, "the peer is silent; this role decides nothing about it" },
	{ IN_ANY, EV_PEER_BACK, ALWAYS, STAY, { ACT_BEAT }, "the peer is heard again" },
	{ IN_ANY, EV_PEER_LEFT, ALWAYS, STAY, { ACT_NONE }, "the peer said goodbye" },
	{ IN_ANY, EV_PEER_HOLDS, NEVER, STAY, { ACT_NONE }, "only offered to who owns or is about to" },
	{ IN_ANY, EV_PEER_CLAIMS, ALWAYS, STAY, { ACT_NONE }, "the peer wants to own, but this node cannot agree now" },
	{ IN_ANY, EV_PEER_ASKS_GIVE, ALWAYS, STAY, { ACT_NONE }, "asked to hand over, but not now" },
	{ IN_ANY, EV_PEER_ASKS_FENCE, ALWAYS, STAY, { ACT_NONE }, "the peer asks to be fenced, but this node may not do so now" },
	{ IN_ANY, EV_PROOF, ALWAYS, STAY, { ACT_NONE }, "the peer is gone; this role cannot own" },
	{ IN_ANY, EV_AGREED, NEVER, STAY, { ACT_NONE }, "only offered to a standby" },
	{ IN_ANY, EV_VACANT, ALWAYS, STAY, { ACT_NONE }, "nobody owns the spool; it is not this node's turn" },
	{ IN_ANY, EV_HINT, ALWAYS, STAY, { ACT_NONE }, "a hint that the peer died; it changes nothing here" },
	{ IN_ANY, EV_POWER_NOT_OFF, ALWAYS, STAY, { ACT_NONE }, "the peer's power is on or not known: that proves nothing" },
	{ IN_ANY, EV_FENCE_DELAY_OVER, ALWAYS, STAY, { ACT_NONE }, "no need to shoot any more" },
	{ IN_ANY, EV_FENCE_FAILED, ALWAYS, STAY, { ACT_ALERT }, "the fence device failed" },
	{ IN_ANY, EV_FAILBACK_DUE, ALWAYS, STAY, { ACT_NONE }, "no failback now" },
	{ IN_ANY, EV_DONE, NEVER, STAY, { ACT_NONE }, "only roles with group actions come to an end of them" },
	{ IN_ANY, EV_ACT_FAILED, NEVER, STAY, { ACT_NONE }, "only roles with group actions" },
	{ IN_ANY, EV_MTA_DOWN, NEVER, STAY, { ACT_NONE }, "only offered to the owner" },
	{ IN_ANY, EV_ADDRESS_LOST, NEVER, STAY, { ACT_NONE }, "only offered to the owner" },
	{ IN_ANY, EV_INTERFACE_DEAD, NEVER, STAY, { ACT_NONE }, "only offered to the owner" },
	{ IN_ANY, EV_SPOOL_STALLED, NEVER, STAY, { ACT_NONE }, "only offered to the owner" },
	{ IN_ANY, EV_SPOOL_BACK, NEVER, STAY, { ACT_NONE }, "only offered to who could not let go" },
	{ IN_ANY, EV_PAUSED, ALWAYS, STAY, { ACT_BEAT }, "this node stood still; it owns nothing that could be in doubt" },
	{ IN_ANY, EV_ROBBED, ALWAYS, STAY, { ACT_NONE }, "this node owns nothing" },
	{ IN_ANY, EV_OP_GIVE, NEVER, STAY, { ACT_NONE }, "refused in words before it is offered" },
	{ IN_ANY, EV_OP_TAKE, ALWAYS, STAY, { ACT_NONE }, "cannot take now" },
	{ IN_ANY, EV_OP_STANDBY, ALWAYS, STAY, { ACT_NONE }, "already away, or on its way" },
	{ IN_ANY, EV_OP_ONLINE, ALWAYS, STAY, { ACT_NONE }, "already online" },
	{ IN_ANY, EV_OP_SERVICES_START, NEVER, STAY, { ACT_NONE }, "refused in words before it is offered" },
	{ IN_ANY, EV_OP_SERVICES_STOP, NEVER, STAY, { ACT_NONE }, "refused in words before it is offered" },
};
/* clang-format on */

const size_t fsm_rows = sizeof(fsm_table) / sizeof(fsm_table[0]);

const struct fsm_row *
fsm_match(enum role role, enum fsm_event on, const struct facts *facts)
{
	for (size_t i = 0; i < fsm_rows; i++) {
		const struct fsm_row *row = &fsm_table[i];

		if ((row->in & (1u << role)) != 0 && row->on == on &&
		    (row->when == NULL || row->when(facts)))
			return row;
	}
	assert(!"the table of decisions has a hole");
	return NULL;
}

bool
fsm_row_never(const struct fsm_row *row)
{
	return row->when == NULL && row->when_text != NULL;
}

const char *
fsm_event_name(enum fsm_event ev)
{
	static const char *const names[EV_COUNT] = {
#define X(n, w) w,
		FSM_EVENTS(X)
#undef X
	};

	assert(ev < EV_COUNT);
	return names[ev];
}

const char *
fsm_act_name(enum fsm_act act)
{
	static const char *const names[ACT_COUNT] = {
#define X(n, w) w,
		FSM_ACTS(X)
#undef X
	};

	assert(act < ACT_COUNT);
	return names[act];
}

bool
fsm_act_is_group(enum fsm_act act)
{
	return act > ACT_NONE && act < ACT_BEAT;
}

bool
fsm_event_is_level(enum fsm_event ev)
{
	static const bool level[EV_COUNT] = {
		[EV_PEER_ALIVE] = true, [EV_PEER_SILENT] = true, [EV_PEER_HOLDS] = true,
		[EV_PEER_CLAIMS] = true, [EV_PEER_ASKS_GIVE] = true, [EV_PEER_ASKS_FENCE] = true, [EV_PROOF] = true,
		[EV_AGREED] = true, [EV_VACANT] = true, [EV_MTA_DOWN] = true,
		[EV_INTERFACE_DEAD] = true, [EV_FAILBACK_DUE] = true, [EV_SPOOL_STALLED] = true,
	};

	assert(ev < EV_COUNT);
	return level[ev];
}

const char *
intent_name(enum intent intent)
{
	static const char *const names[INTENT_COUNT] = {
		[INTENT_NONE] = "none", [INTENT_GIVE] = "hand over", [INTENT_MOVE] = "move",
		[INTENT_STALLED] = "let go of a stalled disk",
		[INTENT_STANDBY] = "standby", [INTENT_LEAVE] = "leave", [INTENT_UNDO] = "undo",
		[INTENT_GIVE_UP] = "give up", [INTENT_ROBBED] = "let go",
	};

	assert(intent < INTENT_COUNT);
	return names[intent];
}
