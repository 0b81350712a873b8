/*
 * supervisor/status.h - a snapshot of everything an operator may ask, as plain data; and its two
 * renderings. The engine fills it (engine_status), status.c prints it. Pure.
 */
#ifndef SUPERVISOR_STATUS_H
#define SUPERVISOR_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/fact.h"
#include "mta/mta.h"
#include "supervisor/beat.h"
#include "supervisor/gap.h"
#include "supervisor/pulse.h"
#include "supervisor/seal.h"

#define STATUS_PROBLEMS_MAX 32

struct status_link {
	char		name[CONF_NAME_MAX], transport[16];
	bool		up;
	int64_t		last_heard_ms;		/* -1 never */
	int64_t		rtt_us;			/* -1 unknown */
	const struct gap *gap;			/* histogram; never NULL */
	uint64_t	lost, sent, send_failed, received, dropped;
	uint64_t	rejected[BEAT_VERDICT_COUNT];
};

struct status_fence {
	char		name[CONF_NAME_MAX], node[CONF_NAME_MAX], agent[128];
	enum fact	answers;		/* of the last monitor, UNKNOWN before the first */
	uint64_t	monitored_wall_ms;	/* 0 never */
	char		tested[32];	/* date of the last --test, "" never */
};

struct status_transition {
	char		kind[32];		/* "", "start", "takeover", "switchover", "failback", "move", "release", "adopt", "restart", ... */
	uint64_t	tenure, at_wall_ms;
	char		from[CONF_NAME_MAX], to[CONF_NAME_MAX], reason[256];
	uint32_t	took_ms;
};

/* Configuration in step, as mailpair-config says it. */
struct status_config {
	enum fact	in_step;
	uint64_t	files, pending, conflicts;
	char		problem[256];		/* a sentence, or "" */
	uint64_t	refused;		/* sets that are not valid, on either node */
};

struct status {
	char		pair[CONF_NAME_MAX], node[CONF_NAME_MAX], peer[CONF_NAME_MAX];
	enum role	role, peer_role;
	bool		peer_role_known;
	enum view	peer_view;
	enum fact	peer_holds;
	uint64_t	tenure, peer_tenure;
	char		doing[128];		/* "mounting /srv/mail, 1.2 s" while acquiring or releasing, else "" */
	bool		maintenance;
	bool		maintenance_there;	/* only the peer has it on, and alone knows its end */
	uint64_t	maintenance_until_wall_ms;	/* 0: without end */
	bool		automatic_takeover;
	bool		doubtful;		/* own ownership, after a pause */
	bool		services_stopped;	/* by "services stop", or ... */
	bool		queue_refused;		/* ... by queue-check "refuse" */
	enum fact	config_same;		/* as the peer's */
	int64_t		clock_offset_ms;	/* peer's wall clock minus ours, INT64_MIN unknown */
	enum proof_kind	proof;			/* what is known of the peer's death */
	char		proof_text[160];

	struct status_link link[CONF_LINKS_MAX];
	size_t		links;
	struct status_fence fence[CONF_FENCES_MAX];
	size_t		fences;

	char		storage_type[32], storage_device[256], mountpoint[256], storage_state[128];
	enum fact	mounted;
	struct { char text[64], interface[32]; enum fact held; } address[CONF_ADDRESSES_MAX];
	size_t		addresses;
	char		mta_name[32];
	enum fact	mta_running, mta_answering;
	bool		queue_known;
	struct mta_queue_counts queue;
	char		queue_verdict[16], queue_deep[16];	/* of the last checks, "" none yet */
	bool		queue_cut;		/* the one before the start looked at all names, and not at all files */
	uint64_t	queue_findings, queue_checked_wall_ms;

	bool		config_on;		/* mailpair.conf has the section */
	struct status_config config;

	struct status_transition last;
	uint64_t	beats_sent, pauses, longest_pause_ms;
	uint64_t	rejected[BEAT_VERDICT_COUNT];	/* all links */
	uint64_t	journal_dropped, log_dropped;

	struct { char text[320], advice[320]; } problem[STATUS_PROBLEMS_MAX];	/* what is wrong; what to do next */
	size_t		problems;
};

/* The contract's document; NUL-terminated, one line a top-level member. Returns the length needed. */
size_t	status_json(const struct status *, char *buf, size_t size);
/* Aligned, short, for people; problems with their advice at the end. */
size_t	status_text(const struct status *, char *buf, size_t size);
/* No problem is listed and no fact is other than it should be (status_fault). */
bool	status_healthy(const struct status *);
/* The first fact that is not as it should be, as a sentence; false and buf untouched where there is none. It is
 * shown where the engine listed no problem, so that "not healthy" never stands without a reason. */
bool	status_fault(const struct status *, char *buf, size_t size);

#endif
