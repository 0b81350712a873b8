/*
 * supervisor/fence.h - fence devices through the fence-agents interface (options as key=value
 * lines on standard input, no arguments). Blocks: for workers. Source: FenceAgentAPI of
 * ClusterLabs/fence-agents.
 *
 * A fence has succeeded only when the agent says so AND a following status does not say "on". For
 * status, exit 0 is on, 2 is off, anything else is unknown (fence_answer.h has two more doubts). A
 * time-out is never a success. Secrets among the options never stand in a report or an error.
 * struct spawn_out may be NULL.
 */
#ifndef SUPERVISOR_FENCE_H
#define SUPERVISOR_FENCE_H

#include <stdbool.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/fact.h"
#include "common/spawn.h"

/*
 * Ask every device of the node, in order: FACT_YES = on (any says on), FACT_NO = off (every device
 * of one level says off), else UNKNOWN. Reports "device NAME on|off|unknown MS SENTENCE".
 */
enum fact	fence_power(const struct conf *, int node, struct spawn_out *, struct err *);
/*
 * Power the node off: level by level, each device with its timeout and retries; a level has
 * succeeded when all its devices say so and their status afterwards does not say "on". Reports as
 * above and "proof SENTENCE". "not on": exit 2 is required where the agent supports status; an
 * unknown status after a successful off is success only if the agent has no status (metadata) -
 * otherwise it is asked once more. After a failed off a status of "off" is proof on its own. It
 * does not ask before it acts: that is fence_power(), for the caller.
 */
bool		fence_off(const struct conf *, int node, struct spawn_out *, struct err *);
/*
 * Every device, the last level first; it has succeeded when all devices of one level say on, and
 * their status not off.
 */
bool		fence_on(const struct conf *, int node, struct spawn_out *, struct err *);
/* Off with its proof, then on. The report has its "proof" line also where only the "on" failed. */
bool		fence_reset(const struct conf *, int node, struct spawn_out *, struct err *);
/*
 * "monitor" of every device of the node: do they answer? Reports "device NAME answers|fails MS
 * SENTENCE".
 */
bool		fence_monitor(const struct conf *, int node, struct spawn_out *, struct err *);
/* No call of the above takes longer: for the worker's deadline. Pure. */
uint32_t	fence_longest_ms(const struct conf *, int node);

#endif
