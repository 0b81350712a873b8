/*
 * queuesync/finding.h - what is not as the mail program would have left it: one finding a thing, and
 * the changes that would mend it. Plain data; the words are those of the contract. Pure.
 */
#ifndef QUEUESYNC_FINDING_H
#define QUEUESYNC_FINDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum finding_class {
	CLASS_REPAIR, CLASS_PROMOTE, CLASS_WAIT, CLASS_GARBAGE, CLASS_QUARANTINE, CLASS_STRAY, CLASS_REPORT,
	CLASS_COUNT
};

/* X(enumerator, word) */
#define PROBLEMS(X)							\
	X(NAME_INODE, "name-inode-mismatch")				\
	X(WRONG_DIRECTORY, "wrong-directory")				\
	X(WRONG_OWNER, "wrong-owner")					\
	X(WRONG_MODE, "wrong-mode")					\
	X(WRONG_TYPE, "wrong-type")					\
	X(UID_MAP, "uid-map")						\
	X(TRUNCATED, "truncated")					\
	X(EMPTY, "empty")						\
	X(NUL_TAIL, "nul-tail")						\
	X(BAD_RECORD, "bad-record")					\
	X(BAD_NAME, "bad-name")						\
	X(BAD_TIME, "bad-time")						\
	X(MISSING_PART, "missing-part")					\
	X(ORPHAN_PART, "orphan-part")					\
	X(DUPLICATE, "duplicate")					\
	X(UNFINISHED, "unfinished")					\
	X(LINK_NOT_DURABLE, "link-not-durable")				\
	X(INTERRUPTED_REPAIR, "interrupted-repair")			\
	X(MISSING_DIRECTORY, "missing-directory")			\
	X(MISSING_LOCK, "missing-lock")					\
	X(FOREIGN_FILE, "foreign-file")					\
	X(BAD_HINTS, "bad-hints")

enum problem {
#define X(id, word) PROBLEM_##id,
	PROBLEMS(X)
#undef X
	PROBLEM_COUNT
};

enum acknowledged { ACK_NO, ACK_MAYBE, ACK_YES };

const char *class_word(enum finding_class);
const char *problem_word(enum problem);
const char *acknowledged_word(enum acknowledged);	/* "no", "maybe", "yes" */

/*
 * One change. Paths are below the queue's root. Each is guarded: the executor does it only to the very
 * file that was judged (device, inode, and size where it is not ANY), never over something, and can be
 * told after a crash whether it was done already.
 */
enum remedy_kind {
	REMEDY_MOVE,		/* path -> to, which must be free, or be moved away by the same plan */
	REMEDY_LINK,		/* a second name "to" for path */
	REMEDY_MODE,		/* permission bits: mode */
	REMEDY_OWNER,		/* uid and/or gid (QUEUE_ID_ANY: stays) */
	REMEDY_TIMES,		/* mtime := now */
	REMEDY_MKDIR,		/* mode, uid, gid */
	REMEDY_MKFIFO,		/* mode, uid, gid */
	REMEDY_CREATE,		/* a new regular file of size bytes 0: mode, uid, gid; never over one */
	REMEDY_APPEND,		/* bytes at the end, whose offset is size */
	REMEDY_BYTE,		/* one byte at offset: bytes[0] becomes bytes[1] */
	REMEDY_QUARANTINE,	/* out of the mail program's sight, whole */
	/*
	 * Sweeps are for systematic faults: every regular file below path, which is a place, as far as its layout is
	 * walked into. What has more links than links is left alone: its other names may be someone else's.
	 */
	REMEDY_SWEEP_OWNER,	/* those of old_uid and old_gid get uid and gid (QUEUE_ID_ANY: any; stays) */
	REMEDY_SWEEP_MODE,	/* those whose permission bits are exactly offset: get mode */
	REMEDY_COUNT
};

#define REMEDY_BYTES_MAX 8

struct remedy {
	enum remedy_kind kind;
	char		*path, *to;	/* owned; to NULL where it has no meaning */
	uint64_t	 ino;		/* of path when it was judged; 0: path must not exist yet */
	uint64_t	 size;		/* UINT64_MAX: not looked at */
	uint64_t	 offset;
	uint32_t	 mode, uid, gid;
	uint32_t	 old_uid, old_gid;	/* sweeps; QUEUE_ID_ANY: any */
	uint32_t	 links;		/* sweeps */
	uint8_t		 bytes[REMEDY_BYTES_MAX];
	uint8_t		 len;
};

struct finding {
	uint8_t			 rule;		/* number in queuesync/rule_table.h, 1..38 */
	enum finding_class	 class;
	enum problem		 problem;
	enum acknowledged	 acknowledged;
	uint64_t		 count;		/* things it stands for; > 1 for systematic faults */
	char			*path;		/* below the root; the first of them where count > 1 */
	char			*message;	/* the program's id of the message, NULL: none */
	char			*detail;	/* a sentence for a person */
	char			*action;	/* what was done, or NULL; filled by the repair */
	char			*sender;	/* losses: where they can be read, else NULL */
	char			**recipient;
	size_t			 recipients;
	bool			 damages;	/* a message cannot be made whole: verdict "damaged" */
	struct remedy		*remedy;	/* in the order in which they have to be done */
	size_t			 remedies;
};

struct findings {
	struct finding	*at;
	size_t		 len, room;
};

/*
 * A new finding at the end; strings are copied, detail is a format. Valid until the next call. Aborts when
 * memory ends (the caller bounds the count).
 */
struct finding *finding_add(struct findings *, unsigned int rule, enum finding_class, enum problem,
    enum acknowledged, const char *path, const char *message, const char *detail, ...)
    __attribute__((format(printf, 8, 9)));
/* A remedy at the end of a finding's; to may be NULL; everything else is set to "not looked at". */
struct remedy *finding_remedy(struct finding *, enum remedy_kind, const char *path, const char *to, uint64_t ino);
/* For losses: copied. */
void	finding_sender(struct finding *, const char *sender);
void	finding_recipient(struct finding *, const char *address);

void	findings_sort(struct findings *);	/* by class, rule, path: the same queue gives the same document */
/*
 * Only those of the list stay that are in the other one, too (rule, class, problem, path, message); both are sorted. What a queue
 * that is being worked on shows only for a moment is no fault of it.
 */
void	findings_both(struct findings *, const struct findings *other);
void	findings_free(struct findings *);

enum verdict { VERDICT_CONSISTENT, VERDICT_REPAIRABLE, VERDICT_DAMAGED, VERDICT_REPAIRED };
const char *verdict_word(enum verdict);
enum verdict findings_verdict(const struct findings *);	/* before a repair: never REPAIRED */

#endif
