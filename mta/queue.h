/*
 * mta/queue.h - the layout of a mail queue on disk, and its messages, as plain data: what the drivers
 * know and mailpair-queue (queuesync/) reads.
 *
 * A layout is a list of places: directories below the queue's root, with whose they are and how they
 * are split into sub-directories. It comes from the program's own settings, or, for the queue of
 * another node or an image, from what the tree shows and a file of accounts.
 */
#ifndef MTA_QUEUE_H
#define MTA_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"

/* Accounts by name, so that a queue can be judged by the numbers of the node that it came from. */
#define QUEUE_ACCOUNTS_MAX 32
#define QUEUE_ID_ANY ((uint32_t)-1)	/* uid or gid: not looked at */

struct queue_account { char name[64]; uint32_t id; };
struct queue_owners {
	struct queue_account	user[QUEUE_ACCOUNTS_MAX], group[QUEUE_ACCOUNTS_MAX];
	size_t			users, groups;
};

/*
 * A file of accounts: lines "user NAME UID" and "group NAME GID", "#" begins a comment. The mistakes are told with file
 * and line. Blocks (one small file).
 */
bool	queue_owners_read(const char *path, struct queue_owners *ret, struct err *);
/* Of text already read; where names the source in messages. Pure. */
bool	queue_owners_parse(const char *text, const char *where, struct queue_owners *ret, struct err *);
/* By name, from owners or, where that is NULL, from this host's accounts. False: there is none. */
bool	queue_uid(const struct queue_owners *, const char *user, uint32_t *ret);
bool	queue_gid(const struct queue_owners *, const char *group, uint32_t *ret);

/* How the names of a place are spread over its sub-directories. */
enum queue_hash {
	QUEUE_FLAT,			/* not at all */
	QUEUE_MOD,			/* qmail: decimal number mod split */
	QUEUE_POSTFIX,			/* depth levels of one character each, taken from the id; walked into down to QUEUE_POSTFIX_LEVELS */
	QUEUE_EXIM			/* one level, character 6 of the id; unsplit is legal too */
};

#define QUEUE_POSTFIX_LEVELS 4	/* where the setting was another one, Postfix's tools still find what is there */

struct queue_place {
	char		*path;		/* below the root: "mess", "input"; "" is the root itself */
	uint8_t		 kind;		/* the driver's own enumeration (qmail_queue.h, ...) */
	enum queue_hash	 hash;
	uint32_t	 depth;		/* levels of sub-directories that are walked into */
	bool		 required;	/* must exist */
	bool		 subs_required;	/* QUEUE_MOD: all of 0..split-1 must exist */
	bool		 skipped;	/* known, but not ours to look into (sockets, chroot copies) */
	uint32_t	 uid, gid;	/* of the directories; QUEUE_ID_ANY: not looked at */
	uint32_t	 mode;		/* permission bits of the directories */
};

struct queue_layout {
	const char		*mta;		/* name of the driver */
	char			*root;		/* absolute */
	struct queue_place	*place;
	size_t			 places;
	const struct queue_owners *owners;	/* NULL: this host's; must outlive the layout */

	/* qmail */
	uint32_t		 split;		/* conf-split as the tree has it; 0: not qmail */
	uint32_t		 built_split;	/* as the programs were built; 0: not known */
	bool			 big_todo;	/* todo and intd are split, too */
	uint32_t		 remote_uid;	/* owner of lock/tcpto */
	/* Postfix */
	bool			 long_ids;	/* enable_long_queue_ids; a tree may hold both kinds */
	/* Exim */
	bool			 split_spool;
	uint32_t		 id_length;	/* of ids that the program makes: 16 or 23; 0: not known */
};

/*
 * Where mailpair-queue puts aside what must not stay: below the queue's root (a rename cannot leave a mount), root's alone, and
 * never looked into by a mail program. A known name to every check.
 */
#define QUEUE_QUARANTINE ".mailpair-quarantine"

/* One more place at the end; path is copied. Returns it for filling in; aborts when memory ends. */
struct queue_place *queue_place_add(struct queue_layout *, const char *path, uint8_t kind);
void	queue_layout_free(struct queue_layout *);

/* One directory entry as lstat(2) saw it. Names are untrusted input of any content. */
struct queue_file {
	const char	*name;		/* last component, 1..255 bytes */
	const char	*sub;		/* between the place and the name: "", "7", "A", "A/B" */
	uint16_t	 place;		/* index into layout->place */
	uint64_t	 ino, size;	/* size in bytes */
	uint32_t	 mode;		/* type and permissions as in st_mode */
	uint32_t	 uid, gid, nlink;
	int64_t		 mtime, atime, ctime;	/* s since the epoch */
};

/* Place, sub and name with "/" between what is not empty; cut where it does not fit; returns buf. Pure. */
const char *queue_path(const char *place, const char *sub, const char *name, char *buf, size_t size);
/* Its path below the root; the same. */
const char *queue_file_path(const struct queue_layout *, const struct queue_file *, char *buf, size_t size);

/* The type in mode, with Linux' numbers: pure files know no <sys/stat.h>. */
enum queue_type {
	QUEUE_FIFO = 0010000, QUEUE_CHAR_DEVICE = 0020000, QUEUE_DIRECTORY = 0040000, QUEUE_BLOCK_DEVICE = 0060000,
	QUEUE_REGULAR = 0100000, QUEUE_SYMLINK = 0120000, QUEUE_SOCKET = 0140000
};
#define QUEUE_TYPE(mode) ((mode) & 0170000u)
#define QUEUE_PERMISSIONS(mode) ((mode) & 07777u)

/*
 * The bytes of one open file, read where a parser wants them: so that the same parser serves disks,
 * tests and fuzzers. at() returns how many bytes were read, 0 at the end, -1 with errno.
 */
struct queue_source {
	ssize_t	(*at)(void *arg, void *buf, size_t len, uint64_t offset);
	void	*arg;
	uint64_t size;			/* bytes in all */
};
/* A source over memory. */
struct queue_memory { const void *bytes; size_t len; };
struct queue_source queue_source_memory(struct queue_memory *);

/* One message for people and scripts: "mailpair queue list". Strings are owned by the message. */
struct queue_recipient { char *address; bool done; };
struct queue_message {
	char			*id;
	const char		*state;	/* word of the contract: "deferred", "todo", ... */
	uint64_t		 size;	/* bytes of the content as the program counts them */
	int64_t			 arrived;	/* s since the epoch; 0: not known */
	char			*sender;	/* "" is the null sender; NULL: could not be read */
	struct queue_recipient	*recipient;
	size_t			 recipients;
};
/* One more recipient; address (len bytes, may hold NUL: written as "?") is copied. */
void	queue_message_add(struct queue_message *, const char *address, size_t len, bool done);
void	queue_message_free(struct queue_message *);	/* what it holds, not the struct */

/*
 * The program's own locks, held while its queue is mended. fd[] are kept open by the holder; the locks
 * end with them.
 */
#define QUEUE_LOCKS_MAX 4
struct queue_lock { int fd[QUEUE_LOCKS_MAX]; size_t held; };
void	queue_unlock(struct queue_lock *);

#endif
