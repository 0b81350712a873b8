/*
 * queuesync/check.h - is a queue whole? Pure: entries of directories and the bytes of files in,
 * findings out; no clock, no file, no log. Streaming, so that a million messages cost some 48 bytes
 * each: of a file that is as it should be only one bit is kept, in the table of messages.
 *
 *	check_new()
 *	check_directory() for each directory that is there, check_file() for each entry   (the scan; a deep one may
 *				read a file as soon as it is met, check_file_read(): what that says is mostly "nothing")
 *	check_joined()		rules that need all names; may ask for the content of suspects
 *	check_asked() ... check_content() for each	(read by queuesync/read.c, in inode order)
 *	check_end()		-> findings
 *
 * A rules module a mail program (rules_qmail.c, rules_postfix.c, rules_exim.c) fills in struct rules;
 * what all three share (types, links, owners, modes, times, directories: rules 1 to 7) is check.c's.
 */
#ifndef QUEUESYNC_CHECK_H
#define QUEUESYNC_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mta/queue.h"
#include "queuesync/finding.h"
#include "queuesync/table.h"	/* struct queue_key */

struct check;

#define CHECK_SUB_MAX 16	/* of a sub-directory that follows from a name, with the NUL */

struct check_options {
	bool	 deep;		/* every record of every file is looked at */
	bool	 mending;	/* more findings are listed, so that fewer rounds mend them all */
	int64_t	 now;		/* s since the epoch, for ages and times in the future */
	int64_t	 slack;		/* s that a time may be ahead */
	uint64_t seed;		/* of the table: random for queues that others may write to */
};

/* What is to be known of one kind of file, for the common rules. */
struct file_norm {
	uint32_t uid, gid;	/* QUEUE_ID_ANY: any */
	uint32_t mode;		/* permission bits that must be ... */
	uint32_t mask;		/* ... among these; 0: none is looked at */
	uint32_t nlink;		/* 0: not looked at */
	bool	 future;	/* its mtime may be ahead */
	bool	 may_be_empty;
};

/* What a file holds, as a rules module has read it: small, copied, its own business but for "problem". */
struct queue_content {
	bool	 bad;		/* problem is set */
	enum problem problem;
	uint32_t bits;		/* the module's own */
	uint64_t number[4];	/* the module's own */
	uint32_t mark[64];	/* the module's own: places in the file */
	char	 what[120];	/* for the finding's detail: where and what would be right */
};

/*
 * What a name alone tells (names.h). Parts are the module's own bits, of the message with that key: has this one; the message
 * needs those, and must not have these.
 */
enum named_verdict { NAMED_RIGHT, NAMED_DOUBT, NAMED_READ };	/* READ: if what it holds is right, too */
struct named { uint64_t key; uint8_t has, needs, bars; };
struct named_whole {
	struct named	always;		/* needed beside the messages; all 0: nothing */
	uint8_t		message;	/* the part that makes a message one */
	uint8_t		lone;		/* who has just these must have none of the places that are read later */
	bool		(*later)(const struct queue_place *);	/* ... and only where there is such a message; NULL: none */
	uint32_t	bad_bits;	/* of queue_content.bits */
};

struct rules {
	const char	*mta;
	uint32_t	 message_bits;	/* a message is there when one of these parts is */
	uint64_t	 name_rules;	/* rules, one bit a number, without whose findings no name is wrong: a start need not look again */
	/*
	 * Of an entry only place, sub, name, type (in mode; 0: not known) and the inode that its directory gives are known: is that right?
	 * now: as in check_options. Called from several threads at once, ret is zeroed. NULL: that cannot be told by names.
	 */
	enum named_verdict (*named)(const struct queue_layout *, const struct queue_file *, int64_t now, struct named *ret);
	/*
	 * Where names are right by the following, too, no file is asked about before a start: what is told of some files would be judged
	 * wrongly without the others.
	 */
	const struct named_whole *named_whole;
	uint32_t	 unread_bits;	/* parts that the deep pass need not open */
	uint32_t	 aside_bits;	/* parts that are listed, too, but are no whole messages */
	uint32_t	 list_bits;	/* parts that are read for "queue list"; 0: all */

	/*
	 * Classify one regular file: its key, the bit of the part it is (one bit a kind of place; bits 0 to 29), and its
	 * norm. False: no name that belongs there; odd() is asked then, and else rule 2 takes it.
	 */
	bool	(*name)(const struct queue_layout *, const struct queue_file *, struct queue_key *ret_key,
		    uint32_t *ret_bit, struct file_norm *ret_norm);
	/*
	 * An entry of any other type than a regular file, or with a name that name() does not know (a FIFO lock/trigger, a
	 * left-over "ID#FIX"): true when it is known or the module made a finding of it. May be NULL: nothing else is known.
	 */
	bool	(*odd)(struct check *, const struct queue_file *);
	/*
	 * Is sub the right sub-directory for this name? Else write the right one to want (CHECK_SUB_MAX bytes). Also true where another
	 * rule gives the file a new name and with it its place (the inode can be looked at).
	 */
	bool	(*place)(const struct queue_layout *, const struct queue_file *, char *want);
	/* The key as the program writes it; buf has 64 bytes. */
	const char *(*id)(const struct queue_layout *, struct queue_key, char *buf);
	/* The key's file as path below the root, from what the table knows; buf has 512 bytes. */
	const char *(*path)(const struct queue_layout *, struct queue_key, uint32_t bit, char *buf);

	/*
	 * One file that passed name() and is not empty against its norm: rules of its own. Returns whether it counts as
	 * that part: only then it gets its bit in the table, is looked at by rule 7, and is read in the deep pass. NULL: yes.
	 * check_parts() says what came before; what comes later is known in join().
	 */
	bool	(*file)(struct check *, const struct queue_file *, struct queue_key, uint32_t bit);
	/* Would file() have nothing to say of it by its mode and size? Any thread. NULL: yes. */
	bool	(*quiet)(const struct queue_layout *, const struct queue_file *, uint32_t bit);
	/*
	 * Two of these are the same inode, against their norm: which one to drop (0 or 1)? -1: no matter; the
	 * one in the wrong directory goes, else the one in the earlier place. -2: the module deals with it. NULL: -1.
	 */
	int	(*linked)(struct check *, const struct queue_file *, struct queue_key, uint32_t bit,
		    const struct queue_file *, struct queue_key, uint32_t bit_of_other);
	/*
	 * What a file held that was read as soon as it was met, right after file(), in a deep pass: true when content() would make
	 * nothing of it, whatever other files there are; else it is read again when all names are known. NULL: never.
	 */
	bool	(*plain)(struct check *, const struct queue_file *, struct queue_key, uint32_t bit, const struct queue_content *);
	/* All names are known. May be NULL, as content() and end(). */
	void	(*join)(struct check *);
	/*
	 * Read one file whole (deep) or as far as needed. Called from several threads at once; touches nothing
	 * but *ret. message: also wanted for "queue list" and losses, else NULL. The parts of a message are read
	 * in the order of their bits into the same *message: what a later part sets stands, recipients are added;
	 * strings that were there are freed by who replaces them. file is as fstat(2) saw it.
	 */
	void	(*read)(const struct queue_layout *, const struct queue_file *, struct queue_source *,
		    struct queue_content *ret, struct queue_message *message);
	/* One content that was read; serial. */
	void	(*content)(struct check *, const struct queue_file *, struct queue_key, uint32_t bit,
		    const struct queue_content *);
	/* Everything is known. */
	void	(*end)(struct check *);
	/* Holds this place logs alone, which no message needs? A start does not wait for them. NULL: none does. */
	bool	(*log)(const struct queue_place *);
};

extern const struct rules rules_qmail, rules_postfix, rules_exim;
const struct rules *rules_find(const char *mta);	/* NULL: none */

struct check *check_new(const struct rules *, const struct queue_layout *, const struct check_options *);
void	check_free(struct check *);

/* The scan tells what is there, place by place in the layout's order. A directory: its path below the root. An entry of any
 * type: check_file(). */
void	check_directory(struct check *, const char *path, uint16_t place, const struct queue_file *self);
void	check_file(struct check *, const struct queue_file *);
/* A file and what it held, by one descriptor. In a deep pass only; it may be read again all the same. */
void	check_file_read(struct check *, const struct queue_file *, const struct queue_content *);
/* Does a deep pass read a file of this place and name? For any thread; it asks the rules alone. */
bool	check_reads(const struct rules *, const struct queue_layout *, const struct queue_file *);
/*
 * Is all of this as it should be that the inode of a regular file says: owner, mode, links, times, and that it has a content? True only where no rule
 * of the fast pass would say anything of the file for its own sake. For any thread; it asks the rules alone.
 */
bool	check_plain(const struct rules *, const struct queue_layout *, const struct check_options *, const struct queue_file *);
void	check_joined(struct check *);
/* The scan found another file system mounted there, or "lost+found" with files in it: things that no rule can judge. */
void	check_mounted(struct check *, const char *path, uint16_t place);
void	check_lost_found(struct check *, const char *path, uint64_t files);
void	check_blind(struct check *, const struct queue_file *, const char *why);	/* stat(2) failed: only its name is known */
/*
 * Which files are to be read, in order of their inodes, one after another; false: no more. Of *ret only place,
 * sub, name and ino are set, and name is the end of path, which is below the root. The strings stay valid until the next call. What is asked for meanwhile (check_ask in
 * content()) comes in a next round: call again after a false until the first call is false.
 */
struct check_asked { struct queue_file file; struct queue_key key; uint32_t bit; const char *path; };
bool	check_asked(struct check *, struct check_asked *ret);
/* What became of it. file: as fstat(2) saw it. One that has vanished meanwhile is not told. */
void	check_content(struct check *, const struct check_asked *, const struct queue_content *);
/* It could not be read (EIO, EACCES): reported and left alone, but such a queue is not called whole. */
void	check_unreadable(struct check *, const struct check_asked *, const char *why);
/* Sorted; the caller frees them. *messages: whole ones, *files: entries seen. */
void	check_end(struct check *, struct findings *ret, uint64_t *messages, uint64_t *files);

/* ---- for the rules modules ---- */
const struct queue_layout *check_layout(const struct check *);
const struct check_options *check_options(const struct check *);
void	*check_own(struct check *, size_t size);	/* the module's own state, zeroed at the first call */

/*
 * The table of messages: bits of parts, and 32 bits more that are the module's own. The two highest bits of the
 * parts are the common rules': never set by a module.
 */
#define CHECK_TWICE (1u << 31)	/* two files gave the same bit: one name in two sub-directories */
#define CHECK_BROKEN (1u << 30)	/* a finding says that the message cannot be made whole; set at the end */
uint32_t check_parts(const struct check *, struct queue_key);
uint32_t check_more(const struct check *, struct queue_key);
void	check_set(struct check *, struct queue_key, uint32_t parts, uint32_t more);	/* or-ed in; makes the row */
typedef void check_row_f(struct check *, struct queue_key, uint32_t parts, uint32_t more, void *arg);
void	check_each(struct check *, check_row_f *, void *arg);	/* rows must not be added meanwhile */

/*
 * An odd file is kept whole until the end, under its key ({0,0}: none), and is found again by it. Bounded: of
 * each bit CHECK_ODD_MAX are kept, and false is returned beyond.
 */
#define CHECK_ODD_MAX 4096
bool	check_keep(struct check *, const struct queue_file *, struct queue_key, uint32_t bit);
const struct queue_file *check_kept(struct check *, struct queue_key, uint32_t bit);	/* NULL: none */
typedef void check_kept_f(struct check *, const struct queue_file *, struct queue_key, uint32_t bit, void *arg);
void	check_each_kept(struct check *, uint32_t bits, check_kept_f *, void *arg);	/* in the order of keeping */
/*
 * Have it read although this is no deep pass, or although it was read when it was met. An inode of 0 is not known: whatever stands
 * there then is read. What is asked for twice in a round is read once.
 */
void	check_ask(struct check *, const struct queue_file *, struct queue_key, uint32_t bit);

/*
 * A finding; more than CHECK_LISTED_MAX of one rule, class and problem (mending: CHECK_ODD_MAX) become one finding with a count,
 * whose remedies stay empty: the repair goes round again until none is left. Returns NULL then. Valid until the
 * next finding. A path of its own where no file is there (missing parts): check_find_at().
 */
#define CHECK_LISTED_MAX 1000
struct finding *check_find(struct check *, unsigned int rule, enum finding_class, enum problem,
    enum acknowledged, const struct queue_file *, struct queue_key, const char *detail, ...)
    __attribute__((format(printf, 8, 9)));
struct finding *check_find_at(struct check *, unsigned int rule, enum finding_class, enum problem,
    enum acknowledged, const char *path, struct queue_key, const char *detail, ...)
    __attribute__((format(printf, 8, 9)));
#define CHECK_PATH_MAX 1024
const char *check_file_path(const struct check *, const struct queue_file *, char *buf, size_t size);
bool	check_has_directory(const struct check *, const char *path);	/* the scan has seen it */

#endif
