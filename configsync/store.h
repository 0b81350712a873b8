/*
 * configsync/store.h - every version of every synchronised file. Blocks: for the disk, and up to 2 s for a lock (err.sys EBUSY).
 *
 * The versions stand in journal.db, beside the events (docs/adr: where versions are kept). That file may be read by the operators'
 * group, and private keys are among the contents: so contents and entries are sealed with config.key beside it (0600, root), and
 * contents are found by a keyed digest. Paths, times and who did it are not sealed.
 *
 * A set is put in one commit: after a crash it is there whole or not at all, after a power cut if store_sync() was called. Contents are added
 * first, each distinct one once, and wait in memory, so that no lock is held between two calls. An entry is opaque bytes: manifest_encode_entry().
 *
 * Errors: ENOSPC a full disk, EBUSY locked, ENOENT there is none, EBADMSG damaged, ESTALE the journal was moved aside by another
 * process just now: do it again. After damage store_renew() begins anew and carries over what can be read.
 */
#ifndef CONFIGSYNC_STORE_H
#define CONFIGSYNC_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/digest.h"
#include "common/err.h"
#include "common/loop.h"

#define STORE_NAME_MAX 64

enum store_cause {
	STORE_FOUND,		/* stood there when it was first looked at: what was before is not known */
	STORE_EDIT,		/* edited on this node */
	STORE_APPLIED,		/* edited on the other one, and come here */
	STORE_ROLLBACK,
	STORE_RESYNC,
	STORE_CONFLICT,		/* a side of a conflict */
	STORE_CAUSE_COUNT
};

struct store_set {
	char		 name[STORE_NAME_MAX];	/* the same on both nodes: store_new_name() */
	char		 node[STORE_NAME_MAX];	/* where it was made */
	char		 who[STORE_NAME_MAX];	/* user or program, "": not known */
	char		 why[256];
	enum store_cause cause;
	uint64_t	 wall_ms, tenure;
};

struct store_change {
	const char	*path;
	const uint8_t	*entry;		/* NULL: it is not there any more */
	size_t		 entry_len;
	const uint8_t	*digest;	/* of its content, which was added; NULL: it has none, or none is kept */
	bool		 common;	/* both nodes have this version now */
	bool		 settles;	/* ends the conflict about path, if there is one */
};

struct store_version {
	uint64_t	 number;	/* on this node; grows */
	const char	*path;
	const uint8_t	*entry;		/* NULL: a deletion */
	size_t		 entry_len;
	bool		 kept;		/* its content is in the store */
	bool		 here;		/* stood on this node; else the other side of a conflict */
	bool		 common;	/* the last common one */
	struct store_set set;
};

struct store_dispute {
	struct store_change mine, theirs;	/* of the same path */
	int		 kind;		/* enum conflict_kind */
};

struct store_conflict {
	const char	*path;
	int		 kind;
	uint64_t	 since_ms, mine, theirs;	/* numbers of versions */
};

struct store_totals {
	uint64_t	 sets, versions, paths, contents, bytes, conflicts;	/* bytes: of contents and entries */
	uint64_t	 common;	/* paths with a last common version */
	uint64_t	 oldest_ms;	/* the oldest set, 0: none */
};

/* What became of versions in journals that were moved aside: text is a sentence for the log, "" where there was nothing to do. */
struct store_news {
	uint64_t	 rescued, lost;
	char		 text[512];
};

struct store;
/* false: enough. What is pointed to lives that long; nothing may be asked of the store meanwhile. */
typedef bool store_visit_f(void *arg, const struct store_version *);

/* write: makes what is not there, and renews what is spoilt. news may be NULL. */
bool	store_open(const char *journal, bool write, struct store **ret, struct store_news *, struct err *);
void	store_close(struct store *);		/* NULL is allowed; contents that wait are forgotten */
bool	store_spoilt(const struct store *);
/* The journal is moved aside and begun anew, with all versions that can be read. False: try again later. */
bool	store_renew(struct store *, struct store_news *, struct err *);
void	store_new_name(char name[STORE_NAME_MAX]);	/* 32 random hexadecimal digits */

/* ---------------------------------------------------------------- contents */

bool	store_has(struct store *, const uint8_t digest[DIGEST_LEN], bool *ret, struct err *);
/* Many of these questions, which see one moment: each alone takes a lock, which costs more than the answer. Nothing else is asked or put between. */
void	store_has_many(struct store *);
void	store_has_done(struct store *);
/* From fd, from its beginning; nothing is read where it is there already. ESTALE: these bytes have another digest. */
bool	store_add(struct store *, const uint8_t digest[DIGEST_LEN], int fd, struct err *);
bool	store_add_bytes(struct store *, const uint8_t digest[DIGEST_LEN], const void *bytes, size_t len, struct err *);
/* Pieces in order; false of sink: enough. What is damaged is never given. */
bool	store_read(struct store *, const uint8_t digest[DIGEST_LEN], bool (*sink)(void *, const void *bytes, size_t len), void *arg,
    struct err *);
/* The same, in a descriptor of memory, at offset 0; -1. */
int	store_read_fd(struct store *, const uint8_t digest[DIGEST_LEN], struct err *);

/* ---------------------------------------------------------------- writing */

/*
 * One commit, with those of its contents that wait. To a set that is there already, by its name, only what it has not yet is added: where the newest
 * version at a path is this very one, it only becomes common, or settles.
 */
bool	store_put(struct store *, const struct store_set *, const struct store_change *, size_t n, struct err *);
/* Both sides of each, as one set; an open conflict about the same path gets these sides. A set that is there already is left as it is. */
bool	store_dispute(struct store *, const struct store_set *, const struct store_dispute *, size_t n, struct err *);
/* The newest version of each path that stood here and belongs to the set is now common. */
bool	store_mark_common(struct store *, const char *set, struct err *);
/*
 * Removes versions that were superseded before older_than_wall_ms, and then, from the longest superseded on, as many as it takes
 * for bytes_max. Never: the newest of a path, its last common one, a side of an open conflict.
 */
bool	store_prune(struct store *, uint64_t older_than_wall_ms, uint64_t bytes_max, uint64_t *ret_removed, struct err *);
/* May there be something to remove? Costs nothing, while store_prune() looks at all that is kept. True before the first one. */
bool	store_prune_due(const struct store *, uint64_t older_than_wall_ms, uint64_t bytes_max);

/* All that was put is on disk. Costs nothing where it was. */
bool	store_sync(struct store *, struct err *);
/*
 * The same while the caller goes on, in a thread of its own. done() comes from the loop, or at once where there is nothing to wait for, with NULL, or
 * with the error. While one is under way no other is begun, and what was put since is not waited for. idle: the log of the database is written back
 * as well where it has grown, as nobody waits for it. store_sync() waits for the one that is under way.
 */
typedef void store_synced_f(void *arg, const struct err *);
void	store_sync_later(struct store *, struct loop *, bool idle, store_synced_f *done, void *arg);
bool	store_syncing(const struct store *);	/* done() will come */
/* The log of the database is written back where it has grown very much: to be called from time to time. */
bool	store_tidy(struct store *, struct err *);

/* ---------------------------------------------------------------- reading */

/* Newest first; of one path, or of one set, or (NULL) of all; at most n. */
bool	store_history(struct store *, const char *path, const char *set, size_t n, store_visit_f *, void *arg, struct err *);
bool	store_version(struct store *, uint64_t number, store_visit_f *, void *arg, struct err *);
/* Last common versions, deletions too, in no order. None at all: there never was one. */
bool	store_common(struct store *, store_visit_f *, void *arg, struct err *);
bool	store_conflicts(struct store *, bool (*)(void *, const struct store_conflict *), void *arg, struct err *);
bool	store_totals(struct store *, struct store_totals *, struct err *);

enum store_back { STORE_UNDO, STORE_BACK_TO };	/* what this set did; all that was done after it */
enum store_step_kind { STORE_STEP_PUT, STORE_STEP_REMOVE, STORE_STEP_LOST };	/* LOST: what was before is not known, or not kept */
struct store_step {
	enum store_step_kind kind;
	const char	*path;
	const struct store_version *to;	/* PUT */
	bool		 moved_on;	/* UNDO: was changed again since, which would be undone as well */
};
bool	store_rollback(struct store *, const char *set, enum store_back, bool (*)(void *, const struct store_step *), void *arg,
    struct err *);

#endif
