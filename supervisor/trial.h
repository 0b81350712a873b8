/*
 * supervisor/trial.h - what a row of tries of one disk says: good, failing, or hanging, and for how long. Pure: times go in, facts
 * come out.
 *
 * A try that hangs says nothing itself; it is told by the time that it is out. Time in which nobody looked (this node stood still) is no
 * time that the disk took, and what lies between two failed tries counts only when the second has failed, too.
 */
#ifndef SUPERVISOR_TRIAL_H
#define SUPERVISOR_TRIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/fact.h"

struct trial {
	bool		out;			/* a try runs */
	bool		tried;			/* one has come back with an answer */
	bool		bad, hangs;		/* the last answer was no, or the one that is out has been so for too long; hangs: the latter */
	uint64_t	began_ms, seen_ms, ended_ms;
	uint64_t	out_ms;			/* how long the one that runs is out */
	uint64_t	gap_ms, base_ms;	/* between the last failed one and that; of all the failed ones */
	uint64_t	good_ms;		/* since when it is good, 0: it is not */
	uint64_t	good_began_ms;		/* when the last good one began */
	char		text[200];		/* what the last one said, "" while it hangs or is good */
};

enum trial_answer { TRIAL_GOOD, TRIAL_BAD, TRIAL_VOID /* it was ended, and says nothing */ };

/* every_ms: how long it is at most from one try to the next while all is well with this node. */
void	trial_begin(struct trial *, uint64_t now_ms, uint64_t every_ms);
/* While it is out, every look_ms. True: from now on it counts as hanging, being out for ill_ms. */
bool	trial_look(struct trial *, uint64_t now_ms, uint64_t look_ms, uint64_t ill_ms);
/* text: with TRIAL_BAD, what was said. */
void	trial_end(struct trial *, uint64_t now_ms, uint64_t look_ms, enum trial_answer, const char *text);
/* For how long it is bad, 0 = it is not. */
uint64_t trial_bad_ms(const struct trial *);
/* UNKNOWN before the first answer. */
enum fact trial_good(const struct trial *);

#endif
