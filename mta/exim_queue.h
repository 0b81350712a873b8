/*
 * mta/exim_queue.h - Exim's spool: its directories and the names in them.
 *
 *	input[/c], msglog[/c]		the default queue; c is the sixth character of the id (split_spool_directory)
 *	QUEUE/input, QUEUE/msglog	named queues
 *	Finput, Fmsglog			frozen messages put aside (move_frozen_messages); Exim does not look there
 *	db, scan, msglog.OLD		hints, what a virus scanner was given, logs kept (preserve_message_logs)
 */
#ifndef MTA_EXIM_QUEUE_H
#define MTA_EXIM_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "mta/exim_id.h"
#include "mta/queue.h"

/* What a place holds: the lower half of queue_place.kind; the upper half is the number of its queue. */
enum exim_holds { EXIM_HOLDS_INPUT, EXIM_HOLDS_LOGS, EXIM_HOLDS_HINTS, EXIM_HOLDS_SCAN, EXIM_HOLDS_OLD_LOGS };

#define EXIM_QUEUE_DEFAULT 0
#define EXIM_QUEUE_FROZEN 1	/* Finput */
#define EXIM_QUEUE_NAMED 2	/* the first named one ... */
#define EXIM_QUEUE_REST 6	/* ... and all beyond the fourth share this number */
#define EXIM_QUEUES 7

uint8_t	exim_kind(enum exim_holds, unsigned int queue);
enum exim_holds exim_holds(uint8_t kind);
unsigned int exim_queue_number(uint8_t kind);

enum exim_part {
	EXIM_PART_HEADER,	/* ID-H */
	EXIM_PART_DATA,		/* ID-D */
	EXIM_PART_JOURNAL,	/* ID-J */
	EXIM_PART_LOG,		/* msglog/ID */
	EXIM_PART_LEFT,		/* temporary: hdr.ID, hdr.PID, ID-PID-K, msglog/ID-PID-N; without an id *ret is {0, 0} */
	EXIM_PART_HINTS,	/* db/NAME */
	EXIM_PART_LOCK		/* db/NAME.lockfile */
};
/* What is a file of that name, there? False: no name that Exim gives. Pure. */
bool	exim_name(enum exim_holds, const char *name, enum exim_part *ret_part, struct exim_id *ret_id);

/* What only the program's settings tell. */
struct exim_spool {
	const char	*directory;	/* spool_directory */
	uint32_t	 uid, gid;	/* whose the queue is; QUEUE_ID_ANY: not known */
	bool		 settings;	/* split and id_length are the program's, else they are read off the tree */
	bool		 split;
	uint32_t	 id_length;	/* EXIM_ID_SHORT, EXIM_ID_LONG; 0: not known */
};
/*
 * The layout of a spool; named queues are those that are there. Blocks (some directories). False: the spool cannot
 * be looked at. The caller frees *ret.
 */
bool	exim_spool_layout(const struct exim_spool *, struct queue_layout *ret, struct err *);

#endif
