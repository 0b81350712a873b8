/*
 * configsync/store_priv.h - what the files of the store share.
 */
#ifndef CONFIGSYNC_STORE_PRIV_H
#define CONFIGSYNC_STORE_PRIV_H

#include <limits.h>

#include "common/cipher.h"
#include "common/db.h"
#include "configsync/store.h"

#define PIECE (1u << 20)		/* contents are sealed in pieces of so many bytes ... */
#define PIECES_BITS 20			/* ... whose row is content << PIECES_BITS | n */
#define BATCH (8u << 20)		/* so many bytes in one commit, that others do not wait for long */
#define WAITING_MOST (1u << 20)		/* bytes of contents that wait for theirs: they are one commit, which a program that is told to end cannot leave */
#define BUCKETS 1024u
#define FOUND 256u

enum query {
	Q_PATH_ADD, Q_PATH, Q_PATH_COMMON,
	Q_SET_ADD, Q_SET,
	Q_CONTENT_ADD, Q_CONTENT, Q_CONTENT_WHOLE, Q_CONTENT_REMOVE,
	Q_PIECE_ADD, Q_PIECE, Q_PIECES_REMOVE,
	Q_VERSION_ADD, Q_NEWEST, Q_RECENT, Q_VERSION,
	Q_CONFLICT_ADD, Q_CONFLICT_END,
	Q_MARK,
	Q_RESCUED_ADD, Q_RESCUED,
	Q_COUNT
};

struct piece {
	struct piece	*next;
	uint8_t		 name[DIGEST_LEN];
	uint64_t	 n, size;	/* size: of the whole content, told by the last piece */
	bool		 last;
	size_t		 len;
	uint8_t		 sealed[];
};

struct waiting { struct piece *bucket[BUCKETS]; size_t bytes; };	/* for the next commit */

/* What the last prune left, and what came since; sizes are rather too large. known: there was one. */
struct bounds {
	bool		 known, put;
	uint64_t	 bytes;
	uint64_t	 gone_ms;	/* of what is superseded, and was not removed, the first was so then at the earliest */
	uint64_t	 loose_ms;	/* contents were written before their set, then; 0: none */
};

struct store {
	struct db	*db;
	struct db_query	*query[Q_COUNT];
	bool		 write;
	uint8_t		 key[CIPHER_KEY];
	struct waiting	 waiting;
	uint8_t		 found[FOUND][DIGEST_LEN];	/* names of contents that are whole in it, by their first byte */
	struct store_news news;		/* of a rescue that nobody has asked for */
	struct bounds	 bounds;
	struct later	*later;		/* store_later.c: a sync under way */
	char		 path[PATH_MAX];
};

/* Ready for values; NULL with *err. */
struct db_query *store_query(struct store *, enum query, struct err *);
/* For sentences that are not kept ready. */
struct db_query *store_ask(struct store *, const char *sql, struct err *);
/* The journal is the one that path names, if need be after it was opened anew. */
bool	store_begin(struct store *, struct err *);
bool	store_begin_here(struct store *, struct err *);	/* ESTALE instead: for who has queries of his own */
bool	store_look(struct store *, struct err *);	/* the same, to read */
bool	store_commit(struct store *, struct err *);
bool	store_undo(struct store *);	/* false */
#define STORE_LOG_IDLE 1000	/* pages of the log that are not worth the syncs, while nothing is to be done */
void	store_later_join(struct store *);	/* it is over, but for its done() */
void	store_later_forget(struct store *);	/* and no done() comes */
/* Runs a query that gives at most one number; 0: none. False: failed. */
bool	store_number(struct db_query *, uint64_t *ret, struct err *);
bool	store_damaged(struct store *, struct err *, const char *what);	/* false */

/* Beside the journal. make: where there is none. */
bool	store_key(const char *journal, bool make, uint8_t key[CIPHER_KEY], struct err *);
void	store_content_name(const struct store *, const uint8_t digest[DIGEST_LEN], uint8_t name[DIGEST_LEN]);
/* What a piece or an entry is about, for the cipher. Returns the length. */
#define ABOUT_MAX (PATH_MAX + STORE_NAME_MAX + 16)
size_t	store_about_piece(uint8_t about[ABOUT_MAX], const uint8_t name[DIGEST_LEN], uint64_t n);
size_t	store_about_entry(uint8_t about[ABOUT_MAX], const char *path, const char *set);
/* A piece waits. last: it ends a content of size bytes. */
struct piece *store_wait(struct store *, const uint8_t name[DIGEST_LEN], uint64_t n, const void *bytes, size_t len, bool last, uint64_t size);
/* What waits is written, within a transaction; it waits on until store_forget(). */
bool	store_flush(struct store *, struct err *);
void	store_forget(struct store *);
bool	store_flush_one(struct store *, const uint8_t digest[DIGEST_LEN], struct err *);	/* the same of one content */
void	store_forget_one(struct store *, const uint8_t digest[DIGEST_LEN]);
/* Row of a whole content and (NULL: not asked) its size; 0: there is none. */
void	store_lost(struct store *);	/* what was found may not be there any more */
bool	store_content_find(struct store *, const uint8_t name[DIGEST_LEN], uint64_t *ret, uint64_t *ret_size, struct err *);
/* Rows of a set and of a path, made where they are not there. */
bool	store_set_row(struct store *, const struct store_set *, uint64_t *ret, struct err *);
bool	store_path_row(struct store *, const char *path, uint64_t *ret, struct err *);
/* A version as a row; entry is sealed already. 0: no content, nothing before. */
struct version_row {
	uint64_t	 path, set, before, content;
	const void	*entry;
	size_t		 entry_len;
	bool		 here;
};
bool	store_version_row(struct store *, const struct version_row *, uint64_t *ret, struct err *);
/* The newest version of a path that stood here; 0: none. */
bool	store_newest(struct store *, uint64_t path, uint64_t *ret, struct err *);
/* From all journals that lie aside and were not looked at yet. */
bool	store_rescue(struct store *, struct store_news *, struct err *);

/* v.id p.path, the set's, ... as store_row() reads them */
#define VERSION_COLUMNS "v.id, p.path, v.entry, v.content IS NOT NULL, v.here, p.common IS v.id, s.name, s.node, s.who, s.why," \
	" s.cause, s.wall_ms, s.tenure"
#define VERSION_TABLES " FROM config_version v JOIN config_path p ON p.id = v.path JOIN config_set s ON s.id = v.set_id "

/* The opened entry and the path stay until store_row_free(). */
struct store_row { struct store_version version; char path[PATH_MAX]; uint8_t *entry; };
bool	store_row(struct store *, struct db_query *, struct store_row *, struct err *);
bool	store_row_open(struct store *, struct db_query *, struct store_row *);	/* of another database; false: damaged */
void	store_row_free(struct store_row *);

#endif
