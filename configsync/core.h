/*
 * configsync/core.h - what one node knows of both nodes' trees, and what follows from it. Pure: events in, a list of actions out; the
 * caller says what time it is. Why it is so: docs/adr/0009-how-two-nodes-keep-configuration-in-step.md.
 *
 * Of each path there are two versions, mine and theirs, and a stamp for each and for the last common one (base). A stamp is a
 * number that is higher than all that its node had seen when the version was made, with the node's side in its lowest bit: one
 * stamp is one version. A node's versions of a path follow on each other, so
 *	- a version of mine that the other one has, or of theirs that I have, is common: it becomes the base;
 *	- equal versions become one with the higher stamp, which the node that had the lower one says (WIRE_NEWS);
 *	- a version whose stamp is not the base's is a change since. If only theirs is one, it is taken; if both are, it is a conflict.
 * Nothing is ever taken whose stamp is lower than that of what it would replace: by this alone two nodes cannot swap versions, whatever
 * was lost, and whatever two operators order at once.
 *
 * A link begins with HELLO from both, and trees and indexes where their digests differ. Until both nodes have both, no scan is taken
 * in (its paths are asked for again), so that both give the same stamps to the same versions. A node whose version is its own
 * older base is behind, and has changed nothing: it lost it in a power cut. But where it made the newer one itself since it was
 * started, which it tells in HELLO, it has undone it. epoch decides where its stamps begin, so that none is of two programs.
 *
 * An order (take this node's version) makes the loser's version the base, and says the winner's anew with a higher stamp. It
 * begins on the winner, who tells the loser (WIRE_ORDER); so it survives a lost link.
 *
 * Time of a call: what is in it, times log N; only the beginning of a link, a full scan and core_mine() look at everything.
 * Memory: a path in step costs one entry, about 250 bytes with a path of 40. The process ends where memory does.
 */
#ifndef CONFIGSYNC_CORE_H
#define CONFIGSYNC_CORE_H

#include "configsync/diff.h"
#include "configsync/report.h"
#include "configsync/set.h"
#include "configsync/store.h"
#include "configsync/verify.h"
#include "configsync/wire.h"

/* What a peer may make us keep; more ends the link, with a problem that says so. { 0 } means the defaults. */
struct core_limits {
	size_t	 entries;		/* of its tree, and rows of ours and theirs together: 1,000,000 */
	size_t	 bytes;			/* of its tree on the wire: 256 MiB */
	size_t	 report_rows;		/* of its report: 4,096 */
	size_t	 jobs;			/* sets that are being taken at once: 64 */
	/*
	 * Many new files go in several installations, one after the other: while one is put in place the contents of the next come, and no more
	 * of them wait in memory than go in one. Changes of one, 8,192, and bytes, 24 MiB, and the file that goes beyond.
	 */
	size_t	 part_changes;
	uint64_t part_bytes;
};

struct core_options {
	const char		*self, *peer;	/* names of the nodes */
	uint64_t		 epoch;		/* random, for each start */
	uint8_t			 scope_digest[DIGEST_LEN];	/* of trees, includes, excludes, writers */
	bool			 both_write;	/* writers = both; else the active node */
	const struct scope	*scope;		/* NULL: every path, no variants. These two live until core_free() or core_rules() */
	const struct set_rules	*sets;		/* may be NULL */
	struct core_limits	 limits;
};

struct core;
struct core *core_new(const struct core_options *);	/* texts are copied */
void	core_free(struct core *);			/* NULL is allowed */

/* ---------------------------------------------------------------- actions */

/* What has to be done, in this order: a queue, to which each event adds. */
enum core_action_type {
	CORE_SEND,	/* wire: encode it and give it to the net; where a row of WIRE_NEWS is a small file, put its content in (a copy of the row) */
	CORE_DROP,	/* end the link; text says why */
	CORE_RESCAN,	/* read these paths (all below them where below), and call core_slice(); paths 0: everything, core_scan() */
	CORE_NEED,	/* job needs the content of entry: call core_content(), at once where it is here (spool, store, another path) */
	CORE_VERIFY,	/* ask verify_start() about job's changes, and call core_verified() */
	CORE_INSTALL,	/* put what job's changes replace (was) in the store where it is not there yet, and write intent down; only if that is done
			   install_apply() with partial, or whole where it is not single; read looked anew; call core_installed() */
	CORE_CANCEL,	/* forget job: its verification, its contents. No answer */
	CORE_STORE,	/* put these versions in the store; it may wait a moment. One origin may come in several (first the versions, later
			   that they are common): store_put() leaves a set alone that it has by name, so a later one needs another name */
	CORE_DISPUTE	/* store_dispute() */
};

struct core_looked { const char *path; bool below; };
struct core_store_row;

/* Who made a version and why, from where it was made to all stores. name: store_new_name(). */
struct core_origin {
	char		 name[STORE_NAME_MAX], node[STORE_NAME_MAX], who[STORE_NAME_MAX], why[256];
	enum store_cause cause;
	uint64_t	 wall_ms;
};

/* One that is put in place as a whole; or many single files that need no check. */
struct core_job {
	uint64_t		 id;
	bool			 single;	/* changes are of no set */
	const struct set_id	*set;		/* VERIFY: which one, as a group of sets is verified one after the other */
	const struct change	*change;	/* all that are put in place together */
	size_t			 changes;
	const struct core_looked *looked;	/* to be read after the installation: the paths of it */
	size_t			 looks;
	const struct core_store_row *intent;	/* INSTALL: what it will make common; for core_intent() */
	size_t			 intents;
	const struct core_origin *origin;	/* of the newest of them */
};

struct core_store_row {
	const char		*path;
	const struct entry	*entry;		/* NULL: it is not there */
	uint64_t		 stamp;		/* see core_stamped() */
	bool			 common, settles;	/* of store_change */
	bool			 mine;		/* its content is on this node's disk (or was, a moment ago) */
	/* DISPUTE: the other side, and what kind of conflict */
	const struct entry	*theirs;
	uint64_t		 theirs_stamp;
	enum conflict_kind	 kind;
};

struct core_action {
	enum core_action_type	 type;
	const char		*text;		/* DROP */
	const struct core_looked *looked;	/* RESCAN */
	size_t			 looks;
	struct core_job		 job;		/* NEED (id), VERIFY, INSTALL, CANCEL (id) */
	const struct entry	*entry;		/* NEED */
	const struct core_store_row *row;	/* STORE, DISPUTE: all of one origin */
	size_t			 rows;
	const struct core_origin *origin;
	struct wire		 wire;		/* SEND; the others end before it, as they may be many */
};

/*
 * The next one, to be asked for after each event until it is NULL; events may be given in between. All that actions point to lives until
 * NULL is returned; what is of a job (struct core_job, NEED) until that job is answered or cancelled.
 */
const struct core_action *core_action_next(struct core *);

/*
 * The bytes that the store keeps for an entry: the stamp (8, big-endian), then manifest_encode_entry(). malloc'd. A deletion has
 * none, and so no stamp: it is stamp 0 after a start, which is right, as all else is newer than that.
 */
uint8_t	*core_stamped(const struct entry *, uint64_t stamp, size_t *ret_len);
/* Adds the entry to the manifest. False: these bytes are nothing that core_stamped() made. */
bool	core_unstamped(struct manifest *, const uint8_t *bytes, size_t len, uint64_t *ret_stamp, struct err *);

/* ---------------------------------------------------------------- events */

/*
 * At start, before anything else, and after core_rules(): the last common versions. One of store_common() each; entry NULL: a deletion. What the core
 * knows already is left alone.
 */
void	core_base(struct core *, const char *path, const struct entry *, uint64_t stamp);
/*
 * At start, after core_base() and before the first scan: what was written down with CORE_INSTALL since all that is common was in the store last; of
 * one path in the order of that. Where it is found when the path is read first, it was put in place before the program was killed: it is common, and no edit.
 */
void	core_intent(struct core *, const struct core_store_row *, const struct core_origin *);
/* Some of it is of this path (NULL: of any), which could not be read since: it has to stay written down. */
bool	core_awaits(const struct core *, const char *path);
/*
 * To be taken before reading begins, and given back with what was read: a path that changed here meanwhile (by another reading, an
 * installation) is not taken back to what it was, but asked for again.
 */
uint64_t core_moment(const struct core *);
/* All there is on the disk. Where it comes while a link begins, it is asked for again (RESCAN). */
void	core_scan(struct core *, const struct manifest *mine, uint64_t moment, const struct core_origin *, uint64_t now_ms);
/* What was looked at, and what of it is there; see configsync/scan_paths.h. What is being installed is left out. */
void	core_slice(struct core *, const struct core_looked *, size_t n, const struct manifest *there, uint64_t moment,
    const struct core_origin *, uint64_t now_ms);
/* For scan_options.known: these paths as they were last read, what they stand in, what is below them, their hard links. Sealed. */
struct manifest *core_known(const struct core *, const char *const *path, size_t n);
struct manifest *core_mine(const struct core *);	/* all; sealed */
/* This path as it was last read on this node; *ret points into the core, until the next event. False: there was nothing, or it could not be read. */
bool	core_entry(const struct core *, const char *path, struct entry *ret);

void	core_link(struct core *, bool up, uint64_t now_ms);
/*
 * Parsed by wire_parse(); freed by the caller afterwards. WANT, CONTENT, SMALL and ABSENT are between the spools, TABLES between the checks, SOON and READ between the desks, and are ignored here. Contents that
 * came with WIRE_NEWS are to be in the spool before this call.
 */
void	core_wire(struct core *, const struct wire *, uint64_t now_ms, uint64_t wall_ms);
void	core_role(struct core *, enum wire_role, uint64_t tenure, uint64_t now_ms);
enum core_have { CORE_HAVE, CORE_ABSENT };	/* ABSENT: the other node has it no more, or the quota forbids it */
void	core_content(struct core *, const uint8_t digest[DIGEST_LEN], enum core_have, const char *why, uint64_t now_ms);
/* By a job that is not done, but for this one: of two paths with equal contents one may be done before the other. */
bool	core_needs(const struct core *, const uint8_t digest[DIGEST_LEN], uint64_t but_job);
void	core_verified(struct core *, uint64_t job, enum validity, const char *why, uint64_t now_ms, uint64_t wall_ms);
/* All of it stands where it should, without a note: what has to come after it may begin, before core_installed() is called in a moment. */
void	core_placed(struct core *, uint64_t job, uint64_t now_ms);
/*
 * What install_apply() did. report: its notes, each path in it was not done; done false and no NOTE_NOT_DONE: nothing was done. Of single files the
 * one of NOTE_FAILED waits before it is tried again; the others are tried at once without it, a moment later where they stand beside it. why: its
 * error, or NULL. there, NULL: could not be read (then everything is asked for).
 */
void	core_installed(struct core *, uint64_t job, bool done, const struct report *, const char *why, const struct manifest *there,
    const struct core_origin *, uint64_t now_ms, uint64_t wall_ms);

/*
 * paths 0: all that differ (resync). winner is the name of a node. False with *err where it cannot be: no link, no such path, no difference.
 * Otherwise it is begun; status tells how it goes.
 */
bool	core_order(struct core *, const char *winner, const char *const *path, size_t paths, const char *who, uint64_t now_ms, struct err *);
/*
 * New rules of this node's configuration; ends what was being taken, and the link (DROP), as the scope may be another one. Then core_base() again, for what
 * was not carried before, and a full scan.
 */
void	core_rules(struct core *, const struct core_options *, uint64_t now_ms);
/* To be called at core_due() or later. */
void	core_tick(struct core *, uint64_t now_ms, uint64_t wall_ms);
bool	core_due(const struct core *, uint64_t *ret_ms);	/* false: time changes nothing */

/*
 * What else a person should know: from a scan, the watch, a rebuild of tables. text NULL takes it back. It is in the status of both
 * nodes. kind: at most 31 bytes, not one of core's own (conflict, invalid, unchecked, not-installed, unlike, content, link).
 */
void	core_problem(struct core *, const char *kind, const char *path, const char *text, uint64_t wall_ms);

/* ---------------------------------------------------------------- status */

enum core_link_state { CORE_DOWN, CORE_WAITING, CORE_GREETING, CORE_LINKED, CORE_REFUSED };
const char *core_link_word(enum core_link_state);

struct core_problem { const char *kind, *path, *text; uint64_t since_ms; };	/* wall clock */
/* False: what stands in path is the name of a set (set_shown()) or of a node. */
bool	core_about_path(const struct core_problem *);

struct core_status {
	enum core_link_state	 link;
	const char		*link_why;	/* REFUSED, DOWN after an error: a sentence; else "" */
	bool			 scanned;
	bool			 first;		/* first contact: nothing is applied without an order */
	bool			 in_step;	/* linked, and nothing differs, as far as both have said */
	size_t			 paths;		/* on this node */
	size_t			 differ;	/* of both nodes */
	size_t			 to_take, to_give;	/* of these: changes of theirs that are on their way here, of mine to them */
	size_t			 waiting;	/* of to_take: for an active node, a content, a check, another try */
	size_t			 conflicts;
	size_t			 jobs;
	const char		*active;	/* name of the node whose changes count; "": none; writers both: NULL */
	struct wire_hello	 peer;		/* as last said */
	const struct core_problem *problem;	/* without conflicts */
	size_t			 problems;
	const struct core_problem *theirs;	/* the peer's report: conflicts too */
	size_t			 theirs_rows;
	bool			 theirs_cut;
};
/* Points into the core, until the next event. */
void	core_status(struct core *, struct core_status *ret);
bool	core_troubled(const struct core *);	/* is there any problem: cheaper than the status */
bool	core_linked(const struct core *);	/* both know both trees */
size_t	core_apart(const struct core *);	/* paths that are not in step, or were not a moment ago: cheaper than the status */

struct core_conflict {
	enum conflict_kind	 kind;
	const char		*path;
	struct entry		 mine, theirs;	/* type ENTRY_NONE: it is not there */
	uint64_t		 since_ms;	/* wall clock */
};
/* By path, at most max; false of visit: enough. */
void	core_conflicts(const struct core *, bool (*visit)(void *, const struct core_conflict *), void *arg);

#endif
