/*
 * supervisor/fence_answer.h - what a fence agent's exit status and output mean. Pure: no process,
 * no clock. Output is untrusted: any bytes of any length.
 */
#ifndef SUPERVISOR_FENCE_ANSWER_H
#define SUPERVISOR_FENCE_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/conf.h"
#include "common/fact.h"

#define FENCE_SENTENCE_MAX 200

/*
 * Answer to "status": exit 0 is on (YES), 2 is off (NO), anything else UNKNOWN. Two doubts make it
 * UNKNOWN as well: output that says the contrary ("Status: ON" with exit 2), and exit 2 with a
 * complaint on stderr and no "Status: OFF" on stdout, since shells and interpreters that cannot
 * even run the agent end with 2 too: a broken installation must not prove a death.
 */
enum fact	fence_answer_power(int code, const char *out, const char *errout);

/* Does this metadata (XML) list the action? UNKNOWN where there is no complete list of actions. */
enum fact	fence_metadata_offers(const char *xml, const char *action);

/*
 * Replace the values of all options that are secrets by stars, in place. What belongs to a secret
 * is told by the option's name (password, secret, token, key, community ...).
 */
void		fence_mask(char *text, const struct conf_fence *);

/*
 * The line of the output that says most to an operator, as printable ASCII, cut to size: of a
 * failure the first that speaks of an error, else the last one. "" where there is none. Mask
 * first.
 */
void		fence_sentence(char ret[FENCE_SENTENCE_MAX], const char *out, const char *errout,
		    bool failed);

#endif
