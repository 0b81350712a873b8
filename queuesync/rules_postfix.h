/*
 * queuesync/rules_postfix.h - what the two parts of Postfix's rules share; for rules_postfix*.c only.
 *
 *	rules_postfix.c		names, places, what one file shows by itself, reading
 *	rules_postfix_judge.c	what shows when all names are known, or when a file was read
 *
 * The keys of the table are queue ids without loss; a row's bits are the places where the id was met.
 */
#ifndef QUEUESYNC_RULES_POSTFIX_H
#define QUEUESYNC_RULES_POSTFIX_H

#include "mta/postfix_id.h"
#include "mta/postfix_layout.h"
#include "queuesync/check.h"

/* Parts: one bit a kind of place. */
#define PART(kind) (UINT32_C(1) << (kind))
#define MAILDROP PART(POSTFIX_PLACE_MAILDROP)
#define INCOMING PART(POSTFIX_PLACE_INCOMING)
#define ACTIVE PART(POSTFIX_PLACE_ACTIVE)
#define DEFERRED PART(POSTFIX_PLACE_DEFERRED)
#define HOLD PART(POSTFIX_PLACE_HOLD)
#define CORRUPT PART(POSTFIX_PLACE_CORRUPT)
#define DEFER PART(POSTFIX_PLACE_DEFER)
#define BOUNCE PART(POSTFIX_PLACE_BOUNCE)
#define TRACE PART(POSTFIX_PLACE_TRACE)
#define SETTLED (ACTIVE | DEFERRED | HOLD)	/* whatever is there was accepted */
#define DELIVERED (INCOMING | SETTLED)		/* the queue manager works on it, and on its logs */
#define MESSAGES (MAILDROP | DELIVERED)
#define LOGS (DEFER | BOUNCE | TRACE)

/* Files that are kept for the end, or read for a reason of their own. */
#define KEPT_UNFINISHED (UINT32_C(1) << 16)	/* incoming, maildrop: not ready */
#define KEPT_MISNAMED (UINT32_C(1) << 17)	/* a message whose inode is another one than its name's */
#define KEPT_LOG (UINT32_C(1) << 18)		/* a log of such an id */
#define KEPT_ORPHAN (UINT32_C(1) << 19)		/* a log whose message was not met before it */
#define KEPT_FIX (UINT32_C(1) << 20)		/* "ID#FIX" */
#define KEPT_NO_ID (UINT32_C(1) << 21)		/* legal, but no id: read to see what it is */

/* The row's other 32 bits. */
#define MORE_UNFINISHED 1u	/* incoming has an unfinished file of this id */
#define MORE_LOGS_STAY 2u	/* a message of this id has the right name: the logs are its own */
#define MORE_MISNAMED(part) ((part) << 8)	/* the message in that place has not */

/* Of a content that was read: bits and numbers. */
#define READ_WHOLE 1u
#define READ_END_ONLY 2u	/* only the END record is missing */
#define READ_DONE 4u		/* no recipient is left to do */
#define READ_FAILED 8u		/* the source failed */
enum { READ_IDENTITY, READ_DONE_COUNT };

#define READY 0700u
#define TWINS_MAX 256
#define PATTERNS 32

/* One of several files with one id in different queues, as it was read. */
struct twin {
	struct queue_key key;
	uint64_t	 ino, identity, done;
	uint32_t	 part, mark[64];
	char		 path[128];
	bool		 fits;		/* its name holds its inode */
	bool		 goes;		/* a finding puts it aside */
};

/* Settled messages that have lost their rwx bits alike. */
struct lost { uint16_t place; uint32_t mode; uint64_t count; char path[128]; };

struct postfix_own {
	uint64_t	 settled, unready;	/* files in active, deferred and hold; without rwx */
	bool		 lost_modes;		/* so many that it is one cause */
	uint64_t	 broken_unready;
	uint64_t	 misnamed_rest;		/* more than could be kept */
	bool		 twins_there;
	struct twin	 twin[TWINS_MAX];
	size_t		 twins;
	struct lost	 lost[PATTERNS];
	size_t		 patterns;
};

static inline struct postfix_own *
postfix_own(struct check *c)
{
	return check_own(c, sizeof(struct postfix_own));
}

static inline uint32_t
postfix_kind(const struct queue_layout *layout, const struct queue_file *file)
{
	return layout->place[file->place].kind;
}

struct queue_key postfix_key(const struct postfix_id *);
struct postfix_id postfix_id_of(struct queue_key);
/* The place of that kind; NULL: the layout has none. */
const struct queue_place *postfix_place(const struct queue_layout *, uint32_t kind);
/* Where a file of this name belongs, below the root. */
const char *postfix_path(const struct queue_place *, const char *name, char *buf, size_t size);
/* Rule 22 for what is not ready in incoming and maildrop. */
void	postfix_unfinished(struct check *, const struct queue_file *, struct queue_key);

void	postfix_join(struct check *);
void	postfix_content(struct check *, const struct queue_file *, struct queue_key, uint32_t bit, const struct queue_content *);
void	postfix_end(struct check *);

#endif
