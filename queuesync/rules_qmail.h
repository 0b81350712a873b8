/*
 * queuesync/rules_qmail.h - shared by the parts of qmail's rules: rules_qmail.c (what each file is and what the set of
 * a message's files says), rules_qmail_read.c (what the files hold), rules_qmail_number.c (rule 8: names and inodes).
 * Pure.
 *
 * States of a message (a + is there, a - is not, ? may be):
 *	S2  +mess -intd -todo -info -local -remote -bounce	begun
 *	S3  +mess +intd -todo -info -local -remote -bounce	its envelope is being written, or was and is not linked
 *	S4  +mess ?intd +todo ?info ?local ?remote -bounce	queued: acknowledged
 *	S5  +mess -intd -todo +info ?local ?remote ?bounce	preprocessed
 */
#ifndef QUEUESYNC_RULES_QMAIL_H
#define QUEUESYNC_RULES_QMAIL_H

#include "mta/qmail_queue.h"
#include "queuesync/check.h"

#define BIT(place) (1u << (place))
#define PARTS (BIT(QMAIL_MESS) | BIT(QMAIL_INTD) | BIT(QMAIL_TODO) | BIT(QMAIL_INFO) | BIT(QMAIL_LOCAL) | BIT(QMAIL_REMOTE) | \
    BIT(QMAIL_BOUNCE))
#define CHANNELS (BIT(QMAIL_LOCAL) | BIT(QMAIL_REMOTE))

#define OSSIFIED 129600		/* s after which qmail itself deletes what was never queued: by time of access */

/* The module's bits of a message in the table. */
enum {
	MORE_WRONG = 1 << 0,		/* a mess whose inode is not its number ... */
	MORE_RIGHT = 1 << 1,		/* ... and one whose inode is */
	MORE_OLD = 1 << 2,		/* mess was not read for so long that qmail would delete it */
	MORE_MESS_EMPTY = 1 << 3, MORE_TODO_EMPTY = 1 << 4, MORE_INFO_EMPTY = 1 << 5, MORE_CHANNEL_EMPTY = 1 << 6,
	MORE_ASTRAY = 1 << 7,		/* a part stands in a wrong sub-directory: rule 7 comes first */
	MORE_CLAIMED = 1 << 8,		/* a mess without parts has this inode: it is this number's */
	MORE_GONE = 1 << 9		/* a finding takes the whole message to the quarantine already */
};
/* Ten bits each of the inodes of todo and intd: where they differ, these are two files. */
#define MORE_INODE(ino) ((uint32_t)((ino) % 1021))
#define MORE_TODO_SHIFT 12
#define MORE_INTD_SHIFT 22
#define MORE_INODE_MASK 1023u

/* Sets of files that only their content can judge. */
enum doubt {
	DOUBT_S3,		/* intd, no todo: is the envelope complete? */
	DOUBT_BOTH,		/* intd beside info: what is older? */
	DOUBT_TWO		/* todo and intd are two files: are they equal? */
};
struct doubt_content { bool read; uint8_t shape; bool may_lack; uint64_t ino, recipients, hash; };
struct doubtful {
	uint64_t		number;
	enum doubt		doubt;
	struct doubt_content	intd, todo;
	uint64_t		recipients;	/* of local and remote */
	bool			mess_bad;
};

struct misnamed { uint64_t number, ino; uint32_t sub; };
struct misnamed_part { uint64_t number, ino; uint8_t kind; };

struct qmail_own {
	bool		 trigger, sendmutex, tcpto;	/* they are there, and of the right type */
	uint32_t	 sendmutex_uid, sendmutex_gid;
	struct queue_file trigger_file;			/* without its strings */
	struct doubtful	*doubtful;
	size_t		 doubts, doubts_room;
	struct misnamed	*misnamed;
	size_t		 names, names_room;
	struct misnamed_part *part;			/* the other files of those messages */
	size_t		 parts, parts_room;
};
struct qmail_own *qmail_own(struct check *);

/* Its file as path below the root; buf has 64 bytes. */
const char *qmail_path(const struct queue_layout *, uint64_t number, uint32_t bit, char *buf);
/* One more at the end of a list that grows by doubling. */
void	*qmail_grow(void *list, size_t len, size_t *room, size_t size);

/*
 * Names first: what has a wrong number, or stands in a wrong sub-directory, is put aside in the next round, under a name
 * that nobody else will get.
 */
bool	qmail_may_go(const struct check *, uint64_t number);
/* The whole message, its envelope last, goes to the quarantine by this finding (NULL: one too many to be listed). */
void	qmail_put_aside(struct check *, struct finding *, uint64_t number, uint32_t parts);

/* Rule 14: the bounce alone goes to the quarantine. */
void	qmail_bounce_astray(struct check *, uint64_t number, const char *why);
#define QMAIL_STRANGE_BOUNCE "a message that was not yet tried has no bounce: this one is another's, and would be sent to a stranger"

/* rules_qmail_number.c */
void	qmail_name_wrong(struct check *, uint64_t number, uint64_t ino, const char *sub);
void	qmail_name_wrong_part(struct check *, uint64_t number, uint64_t ino, enum qmail_place);
void	qmail_names_claim(struct check *);	/* before the rules that miss a mess */
void	qmail_names_join(struct check *);

/* rules_qmail_read.c */
void	qmail_read(const struct queue_layout *, const struct queue_file *, struct queue_source *, struct queue_content *,
	    struct queue_message *);
void	qmail_content(struct check *, const struct queue_file *, struct queue_key, uint32_t bit,
	    const struct queue_content *);
bool	qmail_plain(struct check *, const struct queue_file *, struct queue_key, uint32_t bit, const struct queue_content *);
void	qmail_doubt(struct check *, uint64_t number, enum doubt);
void	qmail_doubts_join(struct check *);	/* they are in order, and their files are asked for */
void	qmail_end(struct check *);

/* rules_qmail_named.c */
enum named_verdict qmail_named(const struct queue_layout *, const struct queue_file *, int64_t now, struct named *ret);
extern const struct named_whole qmail_named_whole;

#endif
