/*
 * supervisor/whatif.h - "mailpair whatif": changes applied to a copy of the facts, one after the other, and what the
 * table decides each time. Pure. The engine itself is not asked and nothing happens.
 *
 * What the world would have to answer (a fence device, a worker) is not guessed: each possible answer is shown with the
 * row that it would lead to, until an event of the caller says which it is. Only one thing is assumed: actions that the
 * caller says nothing about succeed before his next event.
 */
#ifndef SUPERVISOR_WHATIF_H
#define SUPERVISOR_WHATIF_H

#include "common/conf.h"
#include "common/err.h"
#include "supervisor/fsm.h"

enum whatif_power { WHATIF_NOT_SAID, WHATIF_OFF, WHATIF_ON, WHATIF_NO_ANSWER };

struct whatif_world {
	char		node[CONF_NAME_MAX], peer[CONF_NAME_MAX];
	char		link[CONF_LINKS_MAX][CONF_NAME_MAX];
	bool		link_up[CONF_LINKS_MAX];
	size_t		links;
	enum role	role, peer_role;
	struct facts	facts;
	enum fact	well;			/* "healthy" as it is while the peer is not proven gone */
	bool		heard, left, silent, agreed, mta_down, interface_dead, spool_stalled;
	bool		busy;			/* actions run or are queued */
	enum whatif_power power;
	const struct fsm_row *last[EV_COUNT];	/* as the engine: a level row that repeats is told once */
};

#define WHATIF_STEPS_MAX 64
#define WHATIF_BRANCHES_MAX 6

struct whatif_step {
	char		cause[128];		/* the caller's word, or what follows from it */
	const struct fsm_row *row;		/* NULL: nothing is asked of the table, see note */
	enum fsm_event	on;
	enum role	from, to;
	char		note[256];
	struct { char answer[128]; const struct fsm_row *row; enum role to; } branch[WHATIF_BRANCHES_MAX];
	size_t		branches;
};

struct whatif {
	enum role	from, to;
	struct whatif_step step[WHATIF_STEPS_MAX];
	size_t		steps;
};

/* events: separated by ";". False: one is not known, *err lists those that are. */
bool	whatif_run(const struct whatif_world *, const char *events, struct whatif *ret, struct err *err);
/* All of them in short, for help and errors ... */
#define WHATIF_WORDS "link NAME up|down, all links up|down, peer silent|late|heard|leaves, peer power off|on|unknown, peer agrees, " \
	"peer asks for the spool, mta dead, mta dead for good, interface dead, address lost, spool stalled|answers, " \
	"state disk stalled|answers, node paused, actions succeed, action fails, " \
	"maintenance on|off, automatic on|off, operator switchover|take|standby|online|leave|confirm-dead, operator services start|stop"
/* ... and one after the other; ends at NULL. */
const char *whatif_word(size_t n);

/* Both return the length needed without the NUL. */
size_t	whatif_text(const struct whatif_world *, const struct whatif *, char *buf, size_t size);
size_t	whatif_json(const struct whatif_world *, const struct whatif *, char *buf, size_t size);

#endif
