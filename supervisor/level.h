/*
 * supervisor/level.h - which level events are so: what the engine offers the table at every turn, and what "whatif" lets follow. Pure:
 * data in, data out; both fill the same structure and ask the same function.
 */
#ifndef SUPERVISOR_LEVEL_H
#define SUPERVISOR_LEVEL_H

#include "supervisor/fsm.h"

struct level_view {
	enum role	role, peer_role;	/* peer_role: as it said last */
	enum beat_request peer_request;
	enum fact	holds;			/* this node the spool */
	enum fact	peer_holds, peer_newer;	/* as in struct facts */
	bool		heard, left;		/* the peer; left: its last word was goodbye */
	bool		silent;			/* for deadtime on every link, or for initdead since the start */
	bool		proven;			/* the peer is gone */
	bool		agreed;			/* it holds nothing, and agrees that we take */
	bool		claims, peer_claims;	/* wants to begin a tenure */
	bool		granted;		/* ... and has our word */
	bool		busy;			/* actions run or are queued */
	bool		stalled, mta_down, interface_dead;	/* mta_down: though it should run */
	bool		online;			/* the operator lets this node own */
	bool		failback_due;
};

struct level {
	enum fsm_event	on;
	bool		(*so)(const struct level_view *);
	bool		of_group;		/* what is worked on just now is not judged */
};

/* In the order in which they are offered: until one of them changes the role. */
extern const struct level levels[];
extern const size_t level_count;

/* UNKNOWN: of no matter now, since the group is worked on; neither offered nor forgotten. */
enum fact level_so(const struct level *, const struct level_view *);
/* Both are there and nobody has the spool, or is about to. */
bool	level_nobody_holds(const struct level_view *);

#endif
