/*
 * common/journal.h - /var/lib/mailpair/journal.db, the events of it. Blocks.
 *
 * Mode 0640 root:mailpair. Write-ahead log. A database that is locked is waited for (2 s, then err.sys is EBUSY). One that is
 * spoilt (no database, cut, damaged, without our tables) is moved aside and begun anew where the caller wants that: its three
 * files become journal.db.corrupt-YYYYMMDDTHHMMSSZ, ...-wal and ...-shm, nothing is overwritten, and the first entry of
 * the new one says so. One that a newer mailpair has made is refused and left alone.
 */
#ifndef COMMON_JOURNAL_H
#define COMMON_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

enum journal_kind {
	JOURNAL_EVENT,		/* what happened: name, detail */
	JOURNAL_STATE,		/* a change of role: from, to, why */
	JOURNAL_STEP,		/* one step of a transition: name, took_ms, result */
	JOURNAL_TRANSITION,	/* a whole one: kind, from, to, took_ms, reason */
	JOURNAL_KIND_COUNT
};

struct journal_event {
	enum journal_kind kind;
	uint64_t	wall_ms;
	uint64_t	tenure;
	uint64_t	transition;	/* rows of one transition share this number (wall_ms of its begin), 0 = none */
	uint32_t	took_ms;
	bool		ok;
	char		name[48];	/* "takeover", "mount", "peer-silent", ... */
	char		from[64], to[64];
	char		text[512];	/* reason or detail, a sentence */
};

#define JOURNAL_ASIDE_MAX 8	/* as many spoilt ones are kept; a disk that spoils them all must not be filled with them */

struct journal;
/* ret_moved: NULL, a spoilt one stays where it is; else whether it was moved aside: *err then says why, and where it is now. */
bool	journal_open(const char *path, bool write, struct journal **ret, bool *ret_moved, struct err *);
/*
 * After a failure: was damage the cause? Then it can be renewed: moved aside and begun anew, *err tells; false: *j is
 * closed and NULL, *err says why.
 */
bool	journal_spoilt(const struct journal *);
/* Damage that others have found in what is theirs in the same file. */
void	journal_condemn(struct journal *, const char *why);
bool	journal_renew(struct journal **j, struct err *);
void	journal_close(struct journal *);
/* Several events are one commit when between begin and end. */
bool	journal_begin(struct journal *, struct err *);
bool	journal_add(struct journal *, const struct journal_event *, struct err *);
bool	journal_end(struct journal *, struct err *);
/* Newest first; only the given kinds (bit mask 1 << kind); at most n. visit returns false to stop. */
bool	journal_walk(struct journal *, unsigned int kinds, size_t n, bool (*visit)(void *, const struct journal_event *), void *, struct err *);
/* All rows of one transition, oldest first. */
bool	journal_steps(struct journal *, uint64_t transition, bool (*visit)(void *, const struct journal_event *), void *, struct err *);
/* Small named values that must outlive everything ("fence-test mx1" -> RFC 3339 date). */
bool	journal_put(struct journal *, const char *key, const char *value, struct err *);
bool	journal_get(struct journal *, const char *key, char *buf, size_t size, struct err *);
/* Whether it could be written just now; no file yet is no error. Takes the lock for a moment, and waits for it no longer than that. */
bool	journal_writable(const char *path, struct err *);
/* How many spoilt ones lie beside it, and the name of the newest. */
size_t	journal_aside(const char *path, char *newest, size_t size);
bool	journal_prune(struct journal *, uint64_t older_than_wall_ms, struct err *);

#endif
