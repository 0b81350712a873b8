/*
 * supervisor/fence.h - fence devices through the fence-agents interface (options as key=value lines on
 * standard input, no arguments). Blocks: for workers. Source: FenceAgentAPI of ClusterLabs/fence-agents.
 *
 * A fence has succeeded only when the agent says so AND a following status does not say "on". For
 * status, exit 0 is on, 2 is off, anything else is unknown. A time-out is never a success.
 */
#ifndef SUPERVISOR_FENCE_H
#define SUPERVISOR_FENCE_H

#include <stdbool.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/fact.h"
#include "common/spawn.h"

/* Ask every device of the node, in order: FACT_YES = on (any says on), FACT_NO = off (every device of one level says
 * off), else UNKNOWN. Reports "device NAME on|off|unknown MS SENTENCE". */
enum fact	fence_power(const struct conf *, int node, struct spawn_out *, struct err *);
/*
 * Power the node off: level by level, each device with its timeout and retries; a level has succeeded when all its
 * devices say so and their status afterwards does not say "on". Reports as above and "proof SENTENCE".
 * "not on": exit 2 is required where the agent supports status; an unknown status after a successful off
 * is success only if the agent has no status (metadata) - otherwise it is asked once more.
 */
bool		fence_off(const struct conf *, int node, struct spawn_out *, struct err *);
bool		fence_on(const struct conf *, int node, struct spawn_out *, struct err *);
bool		fence_reset(const struct conf *, int node, struct spawn_out *, struct err *);	/* off with its proof, then on */
/* "monitor" of every device of the node: do they answer? */
bool		fence_monitor(const struct conf *, int node, struct spawn_out *, struct err *);

#endif
