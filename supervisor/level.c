/*
 * supervisor/level.c - see level.h. Pure: no clock, no file, no log.
 */
#include "supervisor/level.h"

static bool
peer_holds(const struct level_view *v)
{
	bool says_so = v->peer_holds == FACT_YES;

	return v->heard && ((v->role == ROLE_ACQUIRING && says_so) || (v->role == ROLE_ACTIVE && (says_so || v->peer_newer == FACT_YES)));
}

static bool
peer_alive(const struct level_view *v)
{
	return (v->heard || v->left) && v->role == ROLE_JOINING;
}

static bool
proof(const struct level_view *v)
{
	return v->proven;
}

static bool
peer_silent(const struct level_view *v)
{
	return v->silent && !v->proven && !v->left;
}

static bool
agreed(const struct level_view *v)
{
	return v->agreed && v->role == ROLE_STANDBY;
}

static bool
peer_claims(const struct level_view *v)
{
	return v->heard && v->peer_claims && !v->granted;
}

static bool
peer_asks_fence(const struct level_view *v)
{
	return v->heard && v->peer_request == BEAT_ASK_FENCE && v->peer_role == ROLE_FAILED &&
	    (v->role == ROLE_STANDBY || v->role == ROLE_ACTIVE);
}

static bool
peer_asks_give(const struct level_view *v)
{
	return v->heard && v->peer_request == BEAT_ASK_GIVE && v->role == ROLE_ACTIVE && !v->busy;
}

bool
level_nobody_holds(const struct level_view *v)
{
	return v->heard && v->role == ROLE_STANDBY && v->peer_holds == FACT_NO && v->holds == FACT_NO &&
	    (v->peer_role == ROLE_STANDBY || v->peer_role == ROLE_STOPPED || v->peer_role == ROLE_JOINING);
}

static bool
vacant(const struct level_view *v)
{
	return level_nobody_holds(v) && !v->claims && !v->peer_claims && !v->agreed;
}

static bool
spool_stalled(const struct level_view *v)
{
	return v->stalled && v->role == ROLE_ACTIVE;
}

static bool
mta_down(const struct level_view *v)
{
	return v->mta_down && v->role == ROLE_ACTIVE;
}

static bool
interface_dead(const struct level_view *v)
{
	return v->interface_dead && v->role == ROLE_ACTIVE;
}

/* Kept away by the operator before this daemon was started. */
static bool
kept_away(const struct level_view *v)
{
	return !v->online && v->role == ROLE_STANDBY;
}

static bool
failback_due(const struct level_view *v)
{
	return v->failback_due && v->role == ROLE_STANDBY;
}

const struct level levels[] = {
	{ EV_PEER_HOLDS, peer_holds, false },
	{ EV_PEER_ALIVE, peer_alive, false },
	{ EV_PROOF, proof, false },
	{ EV_PEER_SILENT, peer_silent, false },
	{ EV_AGREED, agreed, false },
	{ EV_PEER_CLAIMS, peer_claims, false },
	{ EV_PEER_ASKS_FENCE, peer_asks_fence, false },
	{ EV_PEER_ASKS_GIVE, peer_asks_give, false },
	{ EV_VACANT, vacant, false },
	{ EV_SPOOL_STALLED, spool_stalled, true },
	{ EV_MTA_DOWN, mta_down, true },
	{ EV_INTERFACE_DEAD, interface_dead, true },
	{ EV_OP_STANDBY, kept_away, false },
	{ EV_FAILBACK_DUE, failback_due, false },
};
const size_t level_count = sizeof(levels) / sizeof(levels[0]);

enum fact
level_so(const struct level *l, const struct level_view *v)
{
	if (l->of_group && v->busy && v->role == ROLE_ACTIVE)
		return FACT_UNKNOWN;
	return l->so(v) ? FACT_YES : FACT_NO;
}
