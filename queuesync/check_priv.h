/*
 * queuesync/check_priv.h - what the parts of the check share; for check.c, check_asked.c, check_common.c and
 * check_systematic.c only.
 *
 *	check.c			the sequence of a check, the table, odd files, findings
 *	check_asked.c		which files are to be read, in order of their inodes
 *	check_common.c		rules 1, 2, 3, 5, 6 and 7
 *	check_systematic.c	rule 4: owners and modes, one by one or most of them alike
 */
#ifndef QUEUESYNC_CHECK_PRIV_H
#define QUEUESYNC_CHECK_PRIV_H

#include "common/need.h"
#include "queuesync/by_inode.h"
#include "queuesync/check.h"

#define KEY_NONE ((struct queue_key){ 0, 0 })
#define SYSTEMATIC_LEAST 4	/* things wrong alike; fewer are told one by one */

/* Why an odd file is kept. */
enum why {
	WHY_OWNER = 1, WHY_MODE = 2, WHY_LINKS = 4, WHY_TIME = 8, WHY_PLACE = 16, WHY_SECOND = 32, WHY_KEPT = 64,
	WHY_ASKED = 128
};
#define WHY_BITS 8

struct odd {
	struct queue_file	 file;		/* its strings are the record's; of a directory name is the whole path */
	struct queue_key	 key;
	uint32_t		 bit, next;	/* next: number of the next odd file with this hash, +1 */
	struct file_norm	 norm;
	uint32_t		 whys;
	bool			 settled;	/* a finding already moves it */
};

/* Files or directories of one place that differ from their norm in the same way. */
struct pattern {
	uint16_t	 place;
	bool		 directory, modes;	/* modes: the permissions; else the owner */
	uint32_t	 uid, gid, want_uid, want_gid;	/* QUEUE_ID_ANY: as it should be */
	uint32_t	 mode, want_mode;
	uint32_t	 links;			/* most that a file of it has by its norm */
	uint64_t	 count, kept;
	bool		 systematic;
	char		*path;			/* the first of them */
};

/* How many things should be of this account, or of this place with a mode: what "most of them" refers to. */
struct expect { bool directory, modes, group; uint32_t id; uint64_t total; };

#define PATTERNS_MAX 256
#define EXPECTS_MAX 256

struct group {				/* findings of one kind */
	uint8_t		rule, class, problem;
	uint32_t	listed, overflow;	/* overflow: its number in the findings, +1 */
};

struct check {
	const struct rules	*rules;
	const struct queue_layout *layout;
	struct check_options	 options;
	void			*own;
	struct table		*table, *directories;	/* directories by a hash of their path */
	bool			*place_seen;
	uint64_t		 files, regular, future;

	struct odd		**odd;
	size_t			 odds, odd_room;
	uint32_t		*odd_head;
	uint32_t		 why_count[WHY_BITS], bit_count[32];
	uint64_t		 unlisted_links, wrong_places;

	struct pattern		 pattern[PATTERNS_MAX];
	size_t			 patterns;
	uint64_t		 pattern_rest[2];	/* of more patterns than that: owners, modes */
	struct expect		 expect[EXPECTS_MAX];
	size_t			 expects;

	struct by_inode		*ask;			/* ref: a row, or (odd) an odd file; bit: its number */
	size_t			 asks, ask_room, ask_next, ask_end;	/* this round is next .. end */
	size_t			 ask_unknown;		/* of them, first: those without an inode */
	uint64_t		 ask_missed;
	char			 ask_path[2][CHECK_PATH_MAX], ask_sub[CHECK_PATH_MAX];
	unsigned int		 ask_turn;		/* which of ask_path is the last one's */
	uint64_t		 ask_was_ino;

	struct findings		 findings;
	struct queue_key	*finding_key;		/* beside findings.at */
	size_t			 finding_keys;
	struct group		*group;
	size_t			 groups;
};

/* Keep it for these reasons, as far as there is room; the record or NULL. */
struct odd *check_odd(struct check *, const struct queue_file *, struct queue_key, uint32_t bit,
	    const struct file_norm *, uint32_t whys);
const char *check_odd_path(const struct check *, const struct odd *, char *buf, size_t size);
/* n more of this kind are there than could be listed. */
void	check_unlisted(struct check *, unsigned int rule, enum finding_class, enum problem, uint64_t n);

/* check_asked.c */
void	check_ask_read(struct check *, const struct queue_file *, struct queue_key, uint32_t bit);

/* check_common.c: the reasons why this file is odd; and what comes of them at the end. */
void	check_stray(struct check *, const struct queue_file *);
bool	check_empty(struct check *, const struct queue_file *, struct queue_key, uint32_t bit, const struct file_norm *);
uint32_t check_whys(struct check *, const struct queue_file *, const struct file_norm *);
void	check_common_join(struct check *);

/* check_systematic.c */
bool	check_owner_wrong(const struct queue_file *, const struct file_norm *);
bool	check_mode_wrong(const struct queue_file *, const struct file_norm *);
uint32_t check_owner_and_mode(struct check *, const struct queue_file *, const struct file_norm *, bool directory);
void	check_systematic_join(struct check *);

#endif
