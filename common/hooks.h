/*
 * common/hooks.h - scripts of the operator, called on transitions with the facts in the environment.
 * Runs in a worker; every executable in hooks_dir in name order, each with hook_ms, failures only
 * reported ("hook NAME exit N"): a hook can never block or break a transition.
 * Environment: MAILPAIR_EVENT, MAILPAIR_PAIR, MAILPAIR_NODE, MAILPAIR_PEER, MAILPAIR_ROLE, MAILPAIR_FROM, MAILPAIR_TO,
 * MAILPAIR_TENURE, MAILPAIR_REASON, MAILPAIR_AT (RFC 3339) and CRM_alert_* beside them (Pacemaker alert names).
 * Skipped: names with a dot or tilde, files writable by others than root.
 */
#ifndef COMMON_HOOKS_H
#define COMMON_HOOKS_H

#include "common/conf.h"
#include "common/spawn.h"

struct hook_facts {
	char		event[32];	/* "takeover", "switchover", "release", "alert", "fence", "start", "restart", ... */
	char		role[16], from[CONF_NAME_MAX], to[CONF_NAME_MAX];
	char		reason[256];
	uint64_t	tenure, at_wall_ms;
};
bool	hooks_run(const struct conf *, const struct hook_facts *, struct spawn_out *, struct err *);

#endif
