/*
 * configsync/wire.h - what two mailpair-config say to each other over common/channel: messages as plain data, their binary form,
 * and the strict parser. Pure. Why it is so: docs/adr/0009.
 *
 * Each node says what it has; nobody gives orders but a person (WIRE_ORDER). Every message may come again, or never: it states
 * something, and what follows from it is decided anew each time.
 *
 * Numbers are big-endian. A text is its length (2) and bytes, an entry its length (4) and manifest_encode_entry(). Every message
 * fits in WIRE_MAX bytes; what is larger goes in several.
 */
#ifndef CONFIGSYNC_WIRE_H
#define CONFIGSYNC_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/digest.h"
#include "common/err.h"
#include "configsync/manifest.h"

#define WIRE_VERSION 3		/* 2: hello tells which stamps were made since the start; WIRE_SOON. 3: WIRE_READ */
#define WIRE_MAX (1u << 20)		/* channel's message_max */
#define WIRE_CHUNK (256u << 10)		/* bytes of a content or a list in one message, before compression */
#define WIRE_INLINE_MAX (32u << 10)	/* a file so small travels with its news */
#define WIRE_NAME_MAX 64
#define WIRE_TEXT_MAX 512
#define WIRE_ROWS_MAX 4096		/* of one WIRE_NEWS, WIRE_INDEX, WIRE_WANT, WIRE_SMALL, WIRE_REPORT, WIRE_ORDER, WIRE_TABLES */
#define WIRE_STAMP_MAX ((uint64_t)INT64_MAX)

/* Types on the channel. */
enum wire_type {
	WIRE_HELLO = 16,	/* who I am and how my trees stand: first, after every full scan, and when role or tenure change */
	WIRE_ASK,		/* send me your manifest, or your index */
	WIRE_TREE,		/* a piece of the manifest: manifest_encode(), perhaps compressed as a whole */
	WIRE_INDEX,		/* a piece of the index: what I hold for common, by stamp */
	WIRE_NEWS,		/* paths of mine that are otherwise than I said before */
	WIRE_WANT,		/* send me these contents, each from this offset on */
	WIRE_CONTENT,		/* a piece of one */
	WIRE_ABSENT,		/* I have no such content (any more) */
	WIRE_REPORT,		/* what is wrong here, whole; replaces the one before */
	WIRE_ORDER,		/* a person wants you to take my version; or (ask) me to take yours */
	WIRE_SMALL,		/* small contents, many in one message, each whole */
	WIRE_TABLES,		/* what do the tables say that you make of these sources? or (not ask) what they say */
	WIRE_SOON,		/* news are on their way: it says nothing, but who gets it is awake when they come */
	WIRE_READ,		/* I have read everything since we met, and said what it brought: once, when both trees were compared */
	WIRE_TYPE_END
};

enum wire_role { WIRE_ROLE_UNKNOWN, WIRE_ROLE_STANDBY, WIRE_ROLE_ACTIVE, WIRE_ROLE_COUNT };

struct wire_hello {
	uint16_t	 version;
	uint64_t	 epoch;			/* random, one for each start of the program */
	uint64_t	 serial;		/* of the last WIRE_NEWS that is in tree[] */
	uint8_t		 scope[DIGEST_LEN];	/* of trees, includes, excludes, writers: equal on both nodes, or nothing is done */
	uint8_t		 tree[DIGEST_LEN];	/* of what I have, by path and entry_identity() and time of files (core.h) */
	uint8_t		 index[DIGEST_LEN];	/* of my index; zeros: I have none, there never was a common version */
	enum wire_role	 role;
	uint64_t	 tenure;
	uint64_t	 born, clock;		/* stamps above born and up to clock that have my side's bit were made here since I was started */
};

enum wire_list { WIRE_LIST_TREE, WIRE_LIST_INDEX, WIRE_LIST_COUNT };
struct wire_ask { enum wire_list list; };

/* A manifest in pieces: those of one serial and total belong together, from offset 0 in order. */
struct wire_tree {
	uint64_t	 serial;		/* it is how things stood after this WIRE_NEWS */
	uint32_t	 total, offset;		/* bytes of the whole as it travels, and where this piece stands in it */
	uint32_t	 plain;			/* bytes of it uncompressed; equal to total where it is not compressed */
	const uint8_t	*bytes;
	uint32_t	 len;
};

/* The last common version of a path: who had it first counted higher than all that was known of this path then (Lamport). */
struct wire_index_row {
	const char	*path;
	uint64_t	 stamp;
	uint8_t		 identity[DIGEST_LEN];	/* entry_identity(); zeros: common was that it is not there */
};
struct wire_index {
	bool		 first, last;		/* piece */
	const struct wire_index_row *row;
	size_t		 rows;
};

/* A path as it is now on the node that says it. */
struct wire_news_row {
	const char	*path;
	uint64_t	 stamp;			/* of this version, see wire_index_row */
	const struct entry *entry;		/* NULL: it is not there */
	const uint8_t	*content;		/* of a file, whole, where it travels along; else NULL */
	uint32_t	 content_len;
	bool		 had;			/* who hears it has the content, by what it said last: it need not travel. Is not said itself */
};
struct wire_news {
	uint64_t	 serial;		/* one more than the last */
	bool		 more;			/* the set goes on with the next one */
	char		 set[WIRE_NAME_MAX];	/* store_new_name() of the node where it was made */
	char		 node[WIRE_NAME_MAX], who[WIRE_NAME_MAX], why[WIRE_TEXT_MAX];
	uint8_t		 cause;			/* enum store_cause */
	uint64_t	 wall_ms;
	const struct wire_news_row *row;
	size_t		 rows;			/* one at least */
};

/* An empty content is never asked for, nor a piece of nothing sent. */
struct wire_want_row { uint8_t digest[DIGEST_LEN]; uint64_t offset, size; const char *path; };	/* path: where you said that it is */
struct wire_want { const struct wire_want_row *row; size_t rows; };	/* one at least, in any order */
struct wire_content {
	uint8_t		 digest[DIGEST_LEN];	/* of the whole content */
	uint64_t	 offset, size;		/* where the plain bytes of this piece belong, and of how many in all */
	uint32_t	 plain;			/* bytes uncompressed; equal to len where it is not compressed */
	const uint8_t	*bytes;
	uint32_t	 len;
};
struct wire_small_row { uint8_t digest[DIGEST_LEN]; uint32_t size; };	/* at most WIRE_INLINE_MAX */
struct wire_small {
	const struct wire_small_row *row;	/* one at least */
	size_t		 rows;
	uint32_t	 plain;			/* bytes uncompressed of all of them, one behind the other, at most WIRE_CHUNK */
	const uint8_t	*bytes;
	uint32_t	 len;
};
struct wire_absent { uint8_t digest[DIGEST_LEN]; };

/* What a table says has no format: the rows of its dump, sorted. A source of which several are made has a row in the answer for each. */
struct wire_table_row {
	const char	*path;			/* of the source */
	uint8_t		 source[DIGEST_LEN];	/* SHA-256 of its content */
	bool		 known;			/* rows is; else why. An answer's, as these are */
	uint8_t		 rows[DIGEST_LEN];	/* configsync/table_rows.h */
	const char	*why;			/* a sentence */
};
struct wire_tables { bool ask; const struct wire_table_row *row; size_t rows; };	/* one at least, in any order */

/* Rows in any order. */
struct wire_report_row {
	char		 kind[32];		/* "conflict", "invalid", "unreadable", ... */
	const char	*path;			/* or what a set is called; any bytes */
	const char	*text;			/* a sentence */
	uint64_t	 since_ms;		/* wall clock */
};
struct wire_report { const struct wire_report_row *row; size_t rows; bool cut; };	/* cut: there are more */

/*
 * paths 0: all that differ (resync). ask: a person here wants to take the versions of the one who gets this, which says them anew,
 * as made after ours, and orders that they are taken: so two orders that contradict each other never make the nodes swap.
 */
struct wire_order { char who[WIRE_NAME_MAX]; bool ask; const char *const *path; size_t paths; };

struct wire {
	enum wire_type	type;
	union {
		struct wire_hello	hello;
		struct wire_ask		ask;
		struct wire_tree	tree;
		struct wire_index	index;
		struct wire_news	news;
		struct wire_want	want;
		struct wire_content	content;
		struct wire_absent	absent;
		struct wire_report	report;
		struct wire_order	order;
		struct wire_small	small;
		struct wire_tables	tables;
	};
	struct manifest	*keep;	/* wire_parse(): holds entries and texts; else NULL */
	void		*rows;	/* likewise */
};

/*
 * malloc'd. Larger than WIRE_MAX is a programmer's error: wire_size() tells before, and by how much a row makes it longer. In who, why
 * and sentences '?' stands for what cannot be shown, so that they are never refused. A single entry may be too long for any message, by its
 * extended attributes.
 */
uint8_t	*wire_encode(const struct wire *, size_t *ret_len);
size_t	wire_size(const struct wire *);
size_t	wire_news_row_size(const struct wire_news_row *);
size_t	wire_want_row_size(const struct wire_want_row *);
size_t	wire_index_row_size(const struct wire_index_row *);
/*
 * Nothing in it is believed: paths are entry_path_ok(), rows ascend strictly by entry_path_order(), lengths are within the bounds
 * above, entries are parsed as in a manifest, names are printable ASCII, who, why and sentences can be shown. Of a hello of another
 * WIRE_VERSION that version is all that is read, so that it can be said.
 * Bytes are pointed to in the message, which must live as long. False with *err: what is wrong and where; nothing to free then.
 */
bool	wire_parse(struct wire *ret, uint8_t type, const uint8_t *bytes, size_t len, struct err *);
void	wire_free(struct wire *);	/* what wire_parse() made; the struct is the caller's */
const char *wire_type_word(uint8_t type);

#endif
