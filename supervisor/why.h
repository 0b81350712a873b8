/*
 * supervisor/why.h - "mailpair why": the present decision in sentences. Pure: data in, data out.
 *
 * What stands against a move is not listed by hand: the guards of the rows that would lead to it are asked which
 * facts make them false. So the answer cannot differ from what the table decides.
 */
#ifndef SUPERVISOR_WHY_H
#define SUPERVISOR_WHY_H

#include "common/conf.h"
#include "supervisor/fsm.h"
#include "supervisor/seal.h"

/* A fact of this table must be otherwise for a move to come. */
enum why_need {
	WHY_ONLINE, WHY_NOT_FAILED, WHY_NO_MAINTENANCE, WHY_HEALTHY, WHY_PEER_GONE, WHY_AUTOMATIC, WHY_CAN_FENCE,
	WHY_ELECTED, WHY_PEER_CAN_TAKE, WHY_NOT_DOUBTFUL, WHY_DISKS, WHY_STALLS_LEFT, WHY_PEER_CAN_FENCE,
	WHY_COUNT
};

/* How the present role was come to. */
struct why_entered {
	const struct fsm_row	*row;		/* NULL: never changed since the daemon started */
	enum fsm_event		 on;
	enum role		 from;
	uint64_t		 wall_ms;
	char			 kind[32], reason[300];	/* of the transition that brought ownership, "" = none */
};

struct why_facts {
	char		node[CONF_NAME_MAX], peer[CONF_NAME_MAX];
	enum role	role, peer_role;
	bool		heard, left;		/* fresh beats come; it said goodbye */
	bool		silent;			/* deadtime or initdead is over */
	bool		looked;			/* it is known what is held here */
	bool		busy, fencing, fence_failed;
	bool		failed_for_good;	/* "gave_up" lasts until "online"; else only until the next try */
	bool		maintenance_here, maintenance_there;
	struct facts	facts;
	uint64_t	tenure;
	struct why_entered entered;
	enum proof_kind	proof;
	char		proof_text[200], fence_text[300], unwell[256], last_error[512];
	char		peer_cannot[300];	/* why the peer could not take, "" = it can */
	char		disks[300];		/* the disk that does not answer, "" = none */
	uint32_t	stall_s;		/* timeouts { stall } */
};

#define WHY_AGAINST_MAX (WHY_COUNT + 2)

struct why {
	char		since[40], because[700], question[240];
	struct { char text[640], change[300]; } against[WHY_AGAINST_MAX];
	size_t		againsts;
	char		nothing[240];		/* said where nothing stands against it */
};

/* The facts (bits 1 << enum why_need) that keep the guard of this row false; each alone would. 0: it is true. */
unsigned int why_missing(const struct fsm_row *, const struct facts *);
/* One fact as *from has it; from NULL: as a move needs it. */
void	why_set(struct facts *, const struct facts *from, enum why_need);

/* since: when the role was come to, in words of the caller, who knows the calendar. */
void	why_explain(const struct why_facts *, const char *since, struct why *ret);
/* Both return the length needed without the NUL. */
size_t	why_text(const struct why_facts *, const struct why *, char *buf, size_t size);
size_t	why_json(const struct why_facts *, const struct why *, char *buf, size_t size);

#endif
