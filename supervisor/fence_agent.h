/*
 * supervisor/fence_agent.h - one call of one fence agent. Only fence.c includes it. Blocks, at
 * most for the device's timeout.
 */
#ifndef SUPERVISOR_FENCE_AGENT_H
#define SUPERVISOR_FENCE_AGENT_H

#include "supervisor/fence.h"
#include "supervisor/fence_answer.h"

struct fence_reply {
	bool		started;	/* false: no program to call, or unfit options */
	bool		ended;		/* false: timed out or killed: outcome not known */
	int		code;		/* exit status, if it ended */
	enum fact	power;		/* of "status"; UNKNOWN after every other action */
	uint32_t	took_ms;
	char		sentence[FENCE_SENTENCE_MAX];	/* never empty, never with a secret */
};

void		fence_agent_call(const struct conf *, const struct conf_fence *, const char *action,
		    struct fence_reply *ret);
/* Asks the agent's metadata. */
enum fact	fence_agent_offers(const struct conf *, const struct conf_fence *,
		    const char *action);

#endif
