/*
 * supervisor/replay.h - recorded changes of role against the table of this version. Pure.
 *
 * An incident is text ("mailpair history --export"): a first line REPLAY_HEAD, then a line for each change of role:
 * "state", time, tenure, event, from, to, sentence, with tabs between. Lines that begin with "#" say what they say.
 */
#ifndef SUPERVISOR_REPLAY_H
#define SUPERVISOR_REPLAY_H

#include "common/err.h"
#include "supervisor/fsm.h"

#define REPLAY_HEAD "mailpair-incident 1"
#define REPLAY_ROWS_MAX 8

struct replay_step {
	char	at[40], tenure[24], event[48], from[64], to[64], text[512];
};

enum replay_verdict {
	REPLAY_SAME,		/* a row of today leads there as well */
	REPLAY_OTHER,		/* none does: today it would be decided otherwise */
	REPLAY_UNKNOWN		/* this version knows no such event or role */
};

struct replay_answer {
	enum replay_verdict verdict;
	char		 unknown[64];			/* REPLAY_UNKNOWN: the word */
	/* all rows that can be matched there: those that lead to the recorded role, and the others */
	const struct fsm_row *same[REPLAY_ROWS_MAX], *other[REPLAY_ROWS_MAX];
	size_t		 sames, others;
};

/* One line. *ret_state false: it is a comment or empty. False: *err says what is wrong with it. */
bool	replay_parse(const char *line, struct replay_step *ret, bool *ret_state, struct err *);
void	replay_judge(const struct replay_step *, struct replay_answer *ret);
/* The line of a change of role, without the newline; returns the length needed. */
size_t	replay_line(const struct replay_step *, char *buf, size_t size);

#endif
