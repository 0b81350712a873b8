/*
 * supervisor/fsm.h - who owns the mail: one complete table (role, event, guard, next role, ordered
 * actions, a sentence for the operator). Pure: data in, data out.
 *
 * The first row whose roles hold the present one, whose event is the one that happened and whose guard is
 * true decides. The last row for a (role, event) has no guard, so the table is complete
 * (tests/unit/test_fsm.c). docs/fsm.md is printed from it by fsm_print().
 */
#ifndef SUPERVISOR_FSM_H
#define SUPERVISOR_FSM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/fact.h"
#include "supervisor/beat.h"
#include "supervisor/pulse.h"

/*
 * EVENTS(X): X(NAME, "word"). "Level" events are offered again at every turn of the loop for as long as
 * what they say is so (engine_consider); their actions are therefore idempotent.
 */
#define FSM_EVENTS(X)                                                                            \
	X(FOUND_NOTHING, "found-nothing")	/* start: nothing of the group is held here */          \
	X(FOUND_OURS, "found-ours")		/* start: the spool is mounted under our seal, this boot */ \
	X(FOUND_UNSEALED, "found-unsealed")	/* start: mounted, but not sealed for it, and nobody else's */ \
	X(FOUND_THEIRS, "found-theirs")		/* start: mounted, but the peer's, or nothing can be read from it */ \
	X(FOUND_STUCK, "found-stuck")		/* start: this node mounted it, and for long it cannot be told whether it still has it */ \
	X(FOUND_FOREIGN, "found-foreign")	/* start: mounted, with a seal that would stop the peer as well */ \
	X(PEER_ALIVE, "peer-alive")		/* level, joining only: the peer is heard */             \
	X(PEER_LATE, "peer-late")		/* silent for warntime */                                \
	X(PEER_SILENT, "peer-silent")		/* level: silent for deadtime on every link, or never heard for initdead */ \
	X(PEER_BACK, "peer-back")		/* heard again after silence */                          \
	X(PEER_LEFT, "peer-left")		/* said goodbye */                                      \
	X(PEER_HOLDS, "peer-holds")		/* level: a fresh beat says that it holds the spool while we do (or begin to) */ \
	X(PEER_CLAIMS, "peer-claims")		/* level: it wants to begin a tenure */                  \
	X(PEER_ASKS_GIVE, "peer-asks-give")	/* level: it asks us to hand over */                            \
	X(PEER_ASKS_FENCE, "peer-asks-fence")	/* level: it cannot let go and asks to be fenced */     \
	X(PROOF, "proof")			/* level: the peer is proven gone */                     \
	X(AGREED, "agreed")			/* level: the peer holds nothing and agrees that we take */ \
	X(VACANT, "vacant")			/* level: both alive, nobody owns the spool */           \
	X(HINT, "hint")				/* something suggests that the peer just died */         \
	X(POWER_NOT_OFF, "power-not-off")	/* its fence devices say "on", or do not answer */       \
	X(FENCE_DELAY_OVER, "fence-delay-over")	/* the standby has waited its turn */                     \
	X(FENCE_FAILED, "fence-failed")                                                          \
	X(FAILBACK_DUE, "failback-due")		/* level: this node is preferred and has been well for long */ \
	X(DONE, "done")				/* all actions of the last transition succeeded */       \
	X(ACT_FAILED, "action-failed")		/* one did not */                                        \
	X(MTA_DOWN, "mta-down")			/* level: the mail program died or does not answer */    \
	X(ADDRESS_LOST, "address-lost")		/* somebody removed a service address */                 \
	X(INTERFACE_DEAD, "interface-dead")	/* level: a service address cannot be reached here */    \
	X(SPOOL_STALLED, "spool-stalled")	/* level: the spool cannot be used for longer than timeouts { stall } */ \
	X(SPOOL_BACK, "spool-back")		/* a try of it that hung while it could not be let go came back */ \
	X(PAUSED, "paused")			/* this node itself stood still for longer than deadtime */ \
	X(ROBBED, "robbed")			/* another kernel mounted the spool meanwhile */         \
	X(OP_GIVE, "op-switchover")		/* operator: hand over to the peer */                    \
	X(OP_TAKE, "op-take")			/* operator: this node shall own */                      \
	X(OP_STANDBY, "op-standby")		/* operator: give up and stay away */                    \
	X(OP_ONLINE, "op-online")		/* operator: may own again */                            \
	X(OP_LEAVE, "op-leave")			/* the daemon is told to end */                          \
	X(OP_SERVICES_START, "op-services-start")                                                \
	X(OP_SERVICES_STOP, "op-services-stop")

enum fsm_event {
#define X(n, w) EV_##n,
	FSM_EVENTS(X)
#undef X
	EV_COUNT
};

/*
 * Group actions run one after the other, each in a worker; the others take effect at once. An action
 * never decides: it reports, and the report is an event.
 */
#define FSM_ACTS(X)                                                                              \
	X(NONE, "")                                                                              \
	/* the group, upwards */                                                                 \
	X(STORAGE_UP, "mount")			/* check, promote, mount */                              \
	X(SEAL, "seal")				/* read, judge and write the owner's seal; the tenure begins */ \
	X(BIND, "bind")                                                                          \
	X(QUEUE_CHECK, "check queue")		/* and mend it, before anybody works on it */              \
	X(MTA_START, "start mta")                                                                \
	X(ADDRESS_UP, "take address")                                                            \
	/* downwards */                                                                          \
	X(EASE, "ease unmount")			/* while mail is still served; its failure changes nothing */ \
	X(ADDRESS_DOWN, "drop address")                                                          \
	X(MTA_STOP, "stop mta")                                                                  \
	X(UNBIND, "unbind")                                                                      \
	X(STORAGE_DOWN, "unmount")                                                               \
	X(ABANDON, "abandon")			/* stop every write at once: it is no longer ours */     \
	X(MTA_RESTART, "restart mta")                                                            \
	X(VERIFY, "verify")			/* after a pause: has somebody else mounted it? */        \
	/* at once */                                                                            \
	X(BEAT, "send beat")                                                                     \
	X(CLAIM, "claim")                                                                        \
	X(GRANT, "grant")                                                                        \
	X(OFFER, "offer")			/* tell the peer that it may take the next tenure */      \
	X(ASK_GIVE, "ask for the spool")                                                         \
	X(ASK_FENCE, "ask to be fenced")                                                         \
	X(ASK_POWER, "ask power status")                                                         \
	X(FENCE_LATER, "fence after the delay")                                                  \
	X(FENCE, "fence")                                                                        \
	X(RETRY_LATER, "retry later")                                                            \
	X(GAVE_UP, "mark as failed here")                                                        \
	X(ALERT, "alert")                                                                        \
	X(GOODBYE, "say goodbye")                                                                \
	X(EXIT, "end")

enum fsm_act {
#define X(n, w) ACT_##n,
	FSM_ACTS(X)
#undef X
	ACT_COUNT
};

#define FSM_ACTS_MAX 10

/* Why the group is being released: decides what follows. */
enum intent {
	INTENT_NONE,
	INTENT_GIVE,		/* switchover, failback */
	INTENT_MOVE,		/* a service failed here too often, or cannot be reached here */
	INTENT_STALLED,		/* the disk of the spool cannot be used here */
	INTENT_STANDBY,		/* operator's standby */
	INTENT_LEAVE,		/* the daemon ends */
	INTENT_UNDO,		/* taking failed half-way */
	INTENT_GIVE_UP,		/* failed here, and the peer cannot take */
	INTENT_ROBBED,		/* the peer owns it by a newer tenure */
	INTENT_COUNT
};
const char *intent_name(enum intent);

/* Everything a guard may look at. */
struct facts {
	enum view	peer_view;
	enum fact	peer_gone;		/* proof, see seal.h */
	enum fact	peer_holds;
	enum fact	peer_newer;		/* it holds under a tenure newer than ours, or cannot tell whether it still does */
	enum fact	peer_can_take;		/* alive, standby, healthy, same configuration, not failed there */
	enum fact	claim_wins;		/* the peer's claim beats ours (or we have none) */
	enum fact	elected;		/* of the two, this node should claim */
	enum fact	holds;			/* the spool is held here */
	enum fact	healthy;		/* this node could own */
	enum fact	disks;			/* the disks without which owning could not even begin answer */
	enum fact	spool;			/* the spool that is mounted here can be used */
	bool		spool_hangs;		/* ... it does not even say no, so an unmount would not end */
	bool		stalls_left;		/* this node has not given way to its disk too often in a row */
	bool		peer_can_fence;		/* the peer could power this node off by itself, as it says */
	bool		automatic;		/* takeover { automatic } */
	bool		maintenance;		/* here or at the peer */
	bool		online;			/* the operator lets this node own */
	bool		gave_up;		/* failed here, not yet cleared */
	bool		can_fence;		/* a fence device for the peer is configured */
	bool		hints;
	bool		doubtful;		/* own ownership, after a pause */
	bool		may_verify;		/* ... and the last look at the disk for it was a while ago */
	bool		services_stopped;	/* by the operator */
	bool		may_restart;		/* restart budget left */
	bool		commanded;		/* the operator asked for it: automatic need not be on */
	enum intent	intent;
};

struct fsm_row {
	unsigned int	 in;				/* IN(role) bits */
	enum fsm_event	 on;
	bool		(*when)(const struct facts *);	/* NULL: always */
	const char	*when_text;			/* the guard as a claim, NULL where there is none; FSM_NEVER: see fsm_row_never() */
	int		 next;				/* enum role, or FSM_SAME */
	enum intent	 intent;			/* set when the row is taken, NONE: unchanged */
	enum fsm_act	 acts[FSM_ACTS_MAX];		/* in this order; ends at ACT_NONE */
	const char	*why;				/* logged, journalled, printed */
};

#define FSM_SAME (-1)
#define FSM_NEVER "never"
#define IN(role) (1u << ROLE_##role)
#define IN_ANY ((1u << ROLE_COUNT) - 1)

extern const struct fsm_row fsm_table[];
extern const size_t fsm_rows;

/* Never NULL: the table is complete. Pure. */
const struct fsm_row *fsm_match(enum role, enum fsm_event, const struct facts *);

/*
 * It only completes the table: the event is never offered to these roles, or a row above it takes it. "why" says how that comes. The
 * simulator fails when such a row is taken, as it does when another one is not.
 */
bool	fsm_row_never(const struct fsm_row *);

const char *fsm_event_name(enum fsm_event);
const char *fsm_act_name(enum fsm_act);
bool	fsm_act_is_group(enum fsm_act);		/* runs in a worker, one after the other */
bool	fsm_event_is_level(enum fsm_event);

#endif
