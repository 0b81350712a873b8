/*
 * supervisor/whatif_priv.h - what the files of whatif tell each other. Nobody else includes it.
 */
#ifndef SUPERVISOR_WHATIF_PRIV_H
#define SUPERVISOR_WHATIF_PRIV_H

#include "supervisor/whatif.h"

struct whatif_run {
	struct whatif_world	 w;
	struct whatif		*out;
	char			 word[128];	/* the caller's event */
	size_t			 began;		/* steps when it began */
};

/* whatif.c */
void	whatif_offer(struct whatif_run *, const char *cause, enum fsm_event);
void	whatif_settle(struct whatif_run *);
void	whatif_end_actions(struct whatif_run *, const char *cause, bool ok);
void	whatif_note(struct whatif_run *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* whatif_words.c: carry out r->word. False: it is not known. */
bool	whatif_apply(struct whatif_run *, struct err *);

#endif
