/*
 * configsync/core_priv.h - for core*.c: paths, their versions, and what is under way.
 */
#ifndef CONFIGSYNC_CORE_PRIV_H
#define CONFIGSYNC_CORE_PRIV_H

#include "configsync/arena.h"
#include "configsync/core.h"
#include "configsync/pool.h"

#define CORE_CHUNK 512u		/* rows of one piece of the sorted list */
#define CORE_LOG 8192u		/* paths that are remembered as changed lately, see core_moment() */
#define CORE_AGAIN 1024u	/* paths to be asked for again, before it is everything */
#define CORE_FOREVER UINT64_MAX
#define CORE_REPORT_MS 1000u	/* between two reports */
#define CORE_UNCHECKED_MS 60000u	/* after a check that gave no answer */
#define CORE_ABSENT_MS 1000u	/* after a content that could not be had: most are told anew before */
#define CORE_RETRY_MS 500u	/* after an installation that failed, most often as something changed meanwhile; twice as long each time ... */
#define CORE_BESIDE_MS 250u	/* what stands beside one that failed, which may be the directory's fault */
#define CORE_SPARED_MOST 6u	/* as many can be to blame, one after the other, before all wait */
#define CORE_RETRY_MOST_MS 600000u

/* An entry without its path, in one piece of memory, shared by counting. */
struct version {
	uint32_t	 refs, uid, gid, mtime_ns;
	int64_t		 mtime_s;
	uint64_t	 size;
	const char	*user, *group;	/* of the core's words */
	const char	*text;		/* target of a link, leader of hard links; or NULL */
	uint64_t	 dev, ino;
	int64_t		 ctime_s;
	uint32_t	 ctime_ns, links, xattrs;
	uint16_t	 mode;
	uint8_t		 type;
	bool		 sparse : 1, steady : 1;
	uint8_t		 digest[DIGEST_LEN];
	struct entry_xattr xattr[];	/* and what it and text point to */
};

struct origin { unsigned int refs; struct core_origin is; };

enum row_state { ROW_ALIKE, ROW_GIVE, ROW_TAKES, ROW_WAITS, ROW_HELD, ROW_DISPUTED, ROW_UNLIKE, ROW_OWN };

/* Of a path that is not in step. */
struct ext {
	struct version	*m, *t;			/* NULL: it is not there */
	uint64_t	 sm, st;
	uint8_t		 base_id[DIGEST_LEN];	/* entry_identity() of the base */
	uint8_t			 before_id[DIGEST_LEN];	/* unread: entry_identity() of what it was before ... */
	uint64_t		 before;		/* ... and its stamp */
	uint64_t	 order;			/* stamp of a version that is to be taken by an order, whoever may write */
	uint64_t	 job;			/* 0: in none */
	uint64_t	 wait_ms;		/* not to be tried before */
	uint64_t	 since_ms;		/* wall clock; of its conflict */
	uint64_t	 said_m, said_t;	/* stamps of the last CORE_DISPUTE */
	struct origin	*from;			/* of the newest of the two */
	struct row	*prev, *next;		/* list of all that are not in step */
	uint32_t	 tries, refused;	/* refused: id of the refusal */
	enum row_state	 state;
	enum conflict_kind kind;
	bool		 say, disputed, told, unread;	/* unread: m cannot be, so it is no version; told: there is a problem "not-installed" or "content" */
	uint8_t		 spared;		/* times that it was tried again at once, as another one was to blame */
	bool		 hid;			/* could not be read while it was being installed, nor what stands in it */
};

struct row {
	struct version	*v;		/* in step, or no link yet: mine, theirs and base. Nothing where there is an ext */
	struct ext	*ext;
	uint64_t	 stamp;		/* of the base; 0: there is none */
	uint32_t	 hash;
	bool		 seen, dirty, later;	/* in a list that is being made; to be judged again: now, when a job ends */
	char		 path[];
};

struct chunk { size_t len; struct row *at[CORE_CHUNK]; };
/* By path, and by the hash of it: slot[], at least half of it free, slots a power of two. */
struct tree { struct chunk **chunk; size_t chunks, len, ats; struct row **slot; size_t slots; };	/* ats: paths with an @, see FILE@NODE */
struct place { size_t chunk, at; };

struct row_list { struct row **at; size_t len, room; };
/* For CORE_STORE. */
struct stored { struct row *row; struct version *v; uint64_t stamp; struct origin *from; bool common, settles, mine; };

enum job_state { JOB_CONTENT, JOB_VERIFY, JOB_INSTALL };

/* taken: to is theirs, and not a variant. */
struct job_row { const char *path; uint64_t st; const struct entry *to; bool taken; };
struct content { const uint8_t *digest; uint64_t head; bool asked, here; };	/* head: of the digest, so that it is looked for where the list itself is */
struct job {
	struct job	*next;
	uint64_t	 id, after;	/* after: not installed before that job, whose directories it may need; 0: none */
	bool		 lost;		/* that one was cancelled, so it is as well */
	bool		 placed;	/* all of it, but not answered yet */
	enum job_state	 state;
	struct arena	*arena;
	struct change	*change;	/* in order; of this job alone */
	size_t		 changes;
	struct job_row	*row;		/* by path */
	size_t		 rows;
	struct set_id	*set;		/* to be verified, one after the other */
	size_t		 sets, verified;
	struct content	*need;		/* by digest */
	size_t		 needs, missing;
	struct origin	*from;
};

/* A set that was refused or could not be checked. */
struct refusal { uint32_t id; struct set_id set; uint64_t until_ms; char *what; const char *kind; };
struct problem { char kind[32]; char *path, *text; uint64_t since_ms; };

/* Of theirs, that was about to be put in place when the program ended. */
struct intended { char *path; struct version *v; uint64_t stamp; struct origin *from; };	/* stamp 0: its path was read */

struct index_row { char *path; uint64_t stamp; uint8_t id[DIGEST_LEN]; };
struct word { struct word *next; char text[]; };

struct core {
	char		 self[WIRE_NAME_MAX], peer[WIRE_NAME_MAX];
	struct core_options o;
	unsigned int	 side;			/* lowest bit of the stamps made here */
	struct tree	 tree;
	struct pool	*pool;			/* of rows and versions */
	struct row	*open;			/* not in step */
	size_t		 opens, mine;		/* rows with ext; rows with something of mine */
	uint64_t	 clock, born;		/* highest stamp there is; what was made here above born was undone here, where it is not there any more */
	struct word	*word[256];
	bool		 scanned, ever, first;	/* ever: there is an index */
	struct intended	*intended;		/* until its path was read; by path once it is looked for */
	size_t		 intendeds, awaited;	/* awaited: those that count yet */
	bool		 intended_sorted;

	/* link */
	enum core_link_state link;
	char		 link_why[512];
	bool		 up, sent_hello, heard_hello, serve_tree, serve_index, need_tree, need_index;
	struct wire_hello hello, peer_hello;	/* what was said first */
	uint64_t	 serial, peer_serial;
	uint8_t		*tree_bytes;
	bool		 compared;		/* hello and peer_hello */
	uint32_t	 tree_total, tree_have, tree_plain;
	struct manifest	*their_tree;
	struct index_row *their_index;
	size_t		 their_indexes, their_index_room;
	bool		 their_index_done, more;
	enum wire_role	 role;
	uint64_t	 tenure;

	/* this event */
	uint64_t	 now_ms, wall_offset;
	struct arena	*out;
	struct core_action **action;	/* the queue, of which done are with the caller */
	size_t		 actions, action_room, done;
	struct version	**dead;			/* freed with the next event, since actions point to them */
	size_t		 deads, dead_room;
	struct row_list	 dead_rows;
	struct row_list	 dirty, say, later;	/* later: when a job ends */
	struct stored	*stored;
	size_t		 storeds, stored_room;
	struct origin	*now_from;
	struct core_looked *again;		/* paths to be read again; owned */
	size_t		 agains;
	bool		 again_all, report_changed, names_changed;	/* names: of a file that has several, see core_doubt_names() */

	struct job	*job;
	size_t		 jobs;
	uint64_t	 last_job, nameless;
	struct refusal	*refusal;
	size_t		 refusals;
	uint32_t	 last_refusal;
	struct problem	*problem;
	size_t		 problems;
	struct problem	*theirs;
	size_t		 theirs_rows;
	bool		 theirs_cut;
	uint64_t	 report_ms;		/* when one may be sent again */
	uint64_t	 wait_least;		/* no row waits for an earlier time, see row_wait() */
	uint64_t	 log[CORE_LOG];		/* hashes of paths, by moment */
	uint64_t	 moment, began;	/* began: that of this event */
	uint64_t	*recent;	/* of the log: what is newer than the reading of this event; sorted */
	size_t		 recents;
	bool		 recent_all;
	struct core_problem *show, *show_theirs;	/* of core_status() */
};

/* ---------------------------------------------------------------- core_rows.c, core_state.c */

struct version *version_new(struct core *, const struct entry *);
struct version *version_ref(struct version *);			/* NULL is allowed, here and below */
void	version_drop(struct core *, struct version *);
void	version_gone(struct core *, struct version *);		/* of no use to anybody any more, nor to actions */
void	row_gone(struct core *, struct row *);
/* NULL for NULL. *to is filled and returned; it points into path and version. */
const struct entry *version_entry(const struct version *, const char *path, struct entry *to);
unsigned int version_diff(const struct version *, const struct version *);	/* without ENTRY_DIFF_TIME */
bool	version_time_same(const struct version *, const struct version *);	/* of directories it never differs */
void	version_id(const struct version *, uint8_t ret[DIGEST_LEN]);
const struct entry *core_copy_entry(struct arena *, const struct entry *);

struct row *tree_find(const struct tree *, const char *path, size_t len);
struct row *tree_get(struct core *, const char *path);		/* made where there is none */
struct place tree_place(const struct tree *, const char *path, size_t len);
struct row *tree_at(const struct tree *, struct place *);	/* NULL at the end; steps over the ends of chunks */
struct row *tree_next(const struct tree *, struct place *);	/* the one at place, which goes one on */
void	tree_remove(struct core *, struct row *);
void	tree_free(struct tree *);				/* not the rows */
void	list_add(struct row_list *, struct row *);
void	list_drop(struct row_list *, const struct row *);
void	list_free(struct row_list *);

struct version *row_m(const struct row *);
struct version *row_t(const struct row *);
uint64_t row_sm(const struct row *);
void	row_base_id(const struct row *, uint8_t ret[DIGEST_LEN]);
struct ext *row_open(struct core *, struct row *);
bool	row_close(struct core *, struct row *);			/* in step: shares one version again, or goes. False: is not */
void	row_forget(struct core *, struct row *);
void	row_set_m(struct core *, struct row *, const struct entry *);
void	row_set_t(struct core *, struct row *, const struct entry *);
void	row_dirty(struct core *, struct row *);
bool	row_differs(const struct row *);			/* in what counts */
bool	row_is_own(const struct row *);				/* FILE of a FILE@NODE: each node has its own */
void	row_state(struct core *, struct row *, enum row_state, enum conflict_kind);
void	row_from(struct core *, struct row *, struct origin *);
void	row_wait(struct core *, struct row *, uint64_t until_ms);	/* CORE_FOREVER: until something else happens */
void	row_held(struct core *, struct row *, const char *kind, const char *why);	/* and a problem says so, until it is taken or given up */

struct origin *origin_new(const struct core_origin *);
struct origin *origin_ref(struct origin *);
void	origin_drop(struct origin *);

/* ---------------------------------------------------------------- core.c */

void	core_begin(struct core *, uint64_t now_ms);		/* of an event */
void	core_end(struct core *);
struct core_action *core_act(struct core *, enum core_action_type);
uint64_t core_next(struct core *);				/* a new stamp */
void	core_saw(struct core *, uint64_t stamp);
void	core_begin_life(struct core *);				/* all that was common before is known, and nothing was read yet */
struct core_origin core_nobody(struct core *);
uint64_t core_wall(const struct core *);
void	core_fail(struct core *, const char *why, ...) __attribute__((format(printf, 2, 3)));	/* ends the link */
void	core_say(struct core *, struct row *);
void	core_store(struct core *, struct row *, struct version *, uint64_t stamp, bool common, bool mine);
void	core_again(struct core *, const char *path, bool below);

/* ---------------------------------------------------------------- core_mine.c */

void	core_edited(struct core *, struct row *, const struct entry *);	/* what is read at path, where nothing is being installed */
void	core_note(struct core *, const char *path);
bool	core_hidden(const struct core *, const char *path, bool theirs);	/* it stands in what cannot be read on this node, or there */
bool	core_unread(const struct core *, const struct row *, bool theirs);	/* it cannot be read itself, or stands in what cannot */

/* ---------------------------------------------------------------- core_intent.c */

bool	core_found_intended(struct core *, struct row *, const struct entry *);	/* it is one: common, and nothing else to do */
void	core_forget_intended(struct core *, bool (*but)(const struct core *, const char *path));	/* NULL: all */

/* ---------------------------------------------------------------- core_doubt.c */

void	core_doubt(struct core *);	/* what was not read at one time, and does not fit together, is unknown and read again */
void	core_doubt_row(struct core *, struct row *);
void	core_names_changed(struct core *, const struct version *was, const struct entry *is);	/* perhaps: notes it for core_doubt_names() */
void	core_doubt_names(struct core *);	/* at the end of an event: names of one file that do not fit together are read again */

/* ---------------------------------------------------------------- core_link.c, core_merge.c */

void	core_forget_lists(struct core *);	/* what was to be said and to be judged: the next link begins anew */
void	core_greet(struct core *);		/* on, where it waited for something */
void	core_hello(struct core *);
void	core_merge(struct core *);
bool	core_settle_first(struct core *);		/* it is over now */
void	core_first_is_over(struct core *);
bool	core_have_index(const struct core *);
void	core_tree_digest(const struct core *, uint8_t ret[DIGEST_LEN]);
void	core_index_digest(const struct core *, uint8_t ret[DIGEST_LEN]);
void	core_send_tree(struct core *);
void	core_send_index(struct core *);
void	core_news(struct core *, const struct wire_news *);
void	core_flush_news(struct core *);
void	core_ordered(struct core *, const struct wire_order *);
void	core_reported(struct core *, const struct wire_report *);

/* ---------------------------------------------------------------- core_sync.c, core_plan.c, core_jobs.c, core_done.c */

void	core_relate(struct core *, struct row *);	/* stamps of both sides: what is common now */
enum diff_writers core_writers(const struct core *, bool *ret_none);
void	core_evaluate(struct core *);
bool	core_is_variant(const struct core *, const char *path);		/* a FILE@NODE */
void	core_plan(struct core *, const struct diff *, struct row_list *later);
/* single: they are of no set. after: id of the job that has to be done before, 0: none. Returns its own. */
uint64_t core_job_new(struct core *, const struct change *const *, size_t, bool single, uint64_t after);
bool	core_only_time(const struct change *);	/* which makes no set valid or not */
void	core_job_end(struct core *, struct job *);
void	core_job_cancel(struct core *, struct job *);
void	core_job_cancel_lost(struct core *);	/* those that waited for a cancelled one */
void	core_job_followers(struct core *, uint64_t id, bool go);	/* those that wait for it go on, or are lost */
struct job *core_job(const struct core *, uint64_t id);
bool	core_installing(const struct core *, const struct row *);	/* row NULL: anything */
void	core_release(struct core *, const struct row *);		/* it changed: its set is tried again */
void	core_release_due(struct core *);
void	core_forget_refusals(struct core *);
void	core_reconsider(struct core *);		/* everything, as another node may write now */

/* ---------------------------------------------------------------- core_status.c */

void	problem_set(struct core *, const char *kind, const char *path, const char *text);
void	problem_free(struct problem *);
void	problem_clear(struct core *, const char *kind, const char *path);	/* path NULL: all of this kind */
void	core_tell_owner(struct core *, const struct row *);	/* that it is unknown here, or is no more; of a row that is open */
void	core_send_report(struct core *);

static inline bool
id_none(const uint8_t id[DIGEST_LEN])
{
	static const uint8_t none[DIGEST_LEN];

	return digest_equal(id, none, DIGEST_LEN);
}

static inline uint64_t
stamp_after(uint64_t stamp, unsigned int side)
{
	return (((stamp >> 1) + 1) << 1) | side;
}

#endif
