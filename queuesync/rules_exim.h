/*
 * queuesync/rules_exim.h - what the parts of Exim's rules share: the bits of a message's files, what is read of
 * each, and the cases: messages that are not as they should be, of which every file is looked at before they are judged. Pure.
 */
#ifndef QUEUESYNC_RULES_EXIM_H
#define QUEUESYNC_RULES_EXIM_H

#include "mta/exim_queue.h"
#include "queuesync/check.h"

/* One bit a part and a queue: H, D, J, log of the default queue, then of the frozen ones, ... */
#define EXIM_PARTS 4
#define EXIM_BIT(queue, part) (UINT32_C(1) << (EXIM_PARTS * (queue) + (part)))
#define EXIM_BIT_LEFT (UINT32_C(1) << 28)
#define EXIM_BIT_HINTS (UINT32_C(1) << 29)
#define EXIM_ALL(part) (EXIM_BIT(0, part) * UINT32_C(0x01111111))	/* of all EXIM_QUEUES queues */

/* What is kept beside a message: where its files stand, and lines of the body, from whoever is read first. */
enum {
	EXIM_MORE_HERE = 1 << 0,		/* << part (H, D, J): one stands where it belongs */
	EXIM_MORE_ELSEWHERE = 1 << 3,		/* << part: one stands in the other directory, or in a further queue */
	EXIM_MORE_LINKED = 1 << 6,		/* a file of it has two names: a move was cut */
	EXIM_MORE_EMPTY = 1 << 7,		/* a body of 0 bytes */
	EXIM_MORE_LINES = 1 << 8,		/* the lines below are known ... */
	EXIM_MORE_FROM_HEADER = 1 << 9		/* ... from the header, else from the body */
};
#define EXIM_LINES_SHIFT 10
#define EXIM_LINES_MASK 0x3fffffu

/* queue_content.bits */
enum {
	EXIM_READ_OTHER = 1 << 0,	/* number[0], number[1]: the id that the first line says, another one */
	EXIM_READ_COUNT = 1 << 1,	/* header: number[2] is -body_linecount; body: its lines */
	EXIM_READ_DONE = 1 << 2,	/* header: all recipients are in the tree */
	EXIM_READ_NUL = 1 << 3,		/* body: its last byte is NUL */
	EXIM_READ_OPEN = 1 << 4		/* journal: its last line has no end */
};
/*
 * Else number[0] and number[1]: header: recipients to do and the sum of their addresses' numbers; journal: addresses and
 * that sum. number[3]: what tells two messages of one id apart.
 */

void	exim_rules_read(const struct queue_layout *, const struct queue_file *, struct queue_source *,
	    struct queue_content *ret, struct queue_message *);

/* The place and sub-directory where a message's part belongs. False: the queue has no place of its own number. */
bool	exim_rules_belongs(const struct queue_layout *, struct exim_id, uint32_t bit, uint16_t *ret_place, char sub[2]);
static inline struct exim_id exim_id_of(struct queue_key key) { return (struct exim_id){ key.hi, key.lo }; }
static inline struct queue_key exim_key_of(struct exim_id id) { return (struct queue_key){ id.hi, id.lo }; }

/* A message is to be judged at the end: each of its files is asked for. A second time does nothing. */
void	exim_case_open(struct check *, struct queue_key);
/* One of its files was read; nothing where there is no case. */
void	exim_case_seen(struct check *, const struct queue_file *, struct queue_key, uint32_t bit, const struct queue_content *);
void	exim_cases_judge(struct check *);

#define EXIM_LEFT_S (7 * 86400)		/* leftovers that are younger wait */

/* The module's own state. */
#define EXIM_CASES_MAX 4096
struct exim_own {
	struct exim_case *first, **last, *chain[1024];
	size_t		 cases;
	uint64_t	 missed;	/* cases beyond EXIM_CASES_MAX */
	uint64_t	 future;	/* ids of a time to come */
	struct queue_key future_first;
	uint64_t	 too_long;	/* ids that this Exim does not see */
	struct queue_key too_long_first;
};
struct exim_own *exim_own(struct check *);

#endif
