/*
 * supervisor/queue_check.h - the queue is looked at before the mail program is started, and more thoroughly behind
 * its back: runs mailpair-queue (queuesync/) and judges what it says. All but the pure functions block; for workers.
 */
#ifndef SUPERVISOR_QUEUE_CHECK_H
#define SUPERVISOR_QUEUE_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/spawn.h"
#include "mta/mta.h"

/* What "mailpair-queue check --brief" prints: lines "key value". */
struct queue_report {
	char		verdict[16];	/* of the contract; "unknown" where the check could not be made, "" before the first */
	uint64_t	messages, findings, damaged;	/* findings but "wait" and "report"; messages that cannot be made whole */
	uint32_t	took_ms;
	bool		cut;		/* not every file was looked at, but every name */
	char		text[256];	/* the worst finding, or why there is no verdict; "" = none */
};

enum queue_go { QUEUE_GO, QUEUE_MEND, QUEUE_REFUSE };

/* False: that is no report, *ret says "unknown". Pure. */
bool	queue_report_read(const char *text, struct queue_report *ret);
/* The other way round, for the worker's own report; keys begin with "queue-". */
void	queue_report_say(const struct queue_report *, struct spawn_out *);
/*
 * May the mail program be started on it? MEND: after "--repair" has succeeded. A check that could not be made holds up
 * no mail, unless the policy is to refuse. Pure.
 */
enum queue_go queue_judge(enum conf_queue_check, const struct queue_report *);

/*
 * Before a start: the fast pass, of a large queue perhaps not to its end where policy is not to refuse, and what policy says about its
 * verdict. limit_ms is for the pass, and then for the repair, which may go on for as long as it comes further: each spurt of it is said
 * by spawn_progress(), and limit_ms counts anew. A running mail program's queue is left alone. Reports "queue-verdict", "queue-messages", "queue-findings", "queue-damaged", "queue-took", "queue-cut", "queue-text".
 * False: the mail program must not be started, because of the policy, or because the repair stood still for limit_ms (both:
 * "queue-refused yes"), or because it failed: a repair that was begun has to be ended before anybody works on the queue.
 */
bool	queue_check(const struct conf *, const struct mta_driver *, const struct mta_params *, uint32_t limit_ms,
	    struct spawn_out *, struct err *);
/* While it runs: every record, at the lowest priority; changes nothing. Reports the same keys. */
bool	queue_check_deep(const struct conf *, uint32_t limit_ms, struct spawn_out *, struct err *);

#endif
