/*
 * configsync/desk_priv.h - what the files of the desk share.
 *
 *	desk.c		begin, signals, lines from the supervisor, end
 *	desk_rules.c	which mailpair.conf is in force
 *	desk_read.c	what the watch tells is read and given to the core
 *	desk_meet.c	the nodes meet again: everything is read
 *	desk_busy.c	what somebody is writing
 *	desk_work.c	the core's actions, one after the other
 *	desk_take.c	a set is staged and verified
 *	desk_place.c	it is put in place, by a worker where it is large
 *	desk_spare.c	files stand ready for it
 *	desk_tables.c	what tables say on both nodes
 *	desk_rebuild.c	tables are made anew, services reloaded
 *	desk_keep.c	versions go to the store
 *	desk_common.c	and come from there at start
 *	desk_talk.c	messages to and from the peer
 *	desk_serve.c	contents that the peer wants
 *	desk_want.c	contents that are wanted from the peer
 *	desk_along.c	small contents, in memory
 *	desk_say.c	what is told to the supervisor
 *	desk_alert.c	what a person has to be told once
 *	desk_asked.c	what an operator asks through the socket
 *	desk_roll.c	a rollback
 *
 * All of it runs in one thread and may block on the disk, for as long as one file takes; long work is cut into pieces.
 */
#ifndef CONFIGSYNC_DESK_PRIV_H
#define CONFIGSYNC_DESK_PRIV_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/loop.h"
#include "configsync/awake.h"
#include "configsync/core.h"
#include "configsync/ctl.h"
#include "configsync/desk.h"
#include "configsync/intent.h"
#include "configsync/names.h"
#include "configsync/net.h"
#include "configsync/pace.h"
#include "configsync/report.h"
#include "configsync/scan_paths.h"
#include "configsync/scope.h"
#include "configsync/settle.h"
#include "configsync/setup.h"
#include "configsync/spare.h"
#include "configsync/spool.h"
#include "configsync/store.h"
#include "configsync/watch.h"

#define DESK_SENT 1024u
#define DESK_LATELY 64u

/* Rows of one origin that wait for the store. Texts and bytes are ours. */
struct keeping {
	struct keeping	*next;
	struct core_origin origin;
	bool		 dispute;
	struct kept {
		char		*path;
		uint8_t		*entry, *theirs;
		size_t		 entry_len, theirs_len;
		uint8_t		 digest[DIGEST_LEN], theirs_digest[DIGEST_LEN];
		uint64_t	 size;
		bool		 file, theirs_file, added, mine, common, settles;
		int		 kind;
	}		*row;
	size_t		 rows;
	size_t		 done;		/* so many are in the store; a large one goes in pieces */
	bool		 taken;		/* the bytes of small ones are in the store's memory, as far as they were to be had */
};

struct desk {
	const struct desk_setup	*how;
	struct loop		*loop;
	struct conf		*conf;
	size_t			 self;		/* number of this node */
	struct setup		*setup;
	struct scope		*scope;
	struct names		*names;
	int			 root;
	char			 root_path[PATH_MAX];	/* "" for "/" */
	struct core		*core;
	enum wire_role		 role;
	uint64_t		 tenure;
	bool			 working;	/* in desk_work() */
	bool			 ending;
	int			 status;
	struct loop_timer	*core_timer;	/* core_due() */
	struct loop_timer	*quiet_timer;	/* nothing was to be done for so long that memory is given back */
	bool			 due_asked;	/* it will be asked soon */

	/* desk_rules.c */
	struct loop_timer	*rules_timer;
	bool			 own_known, own_now, own_say, other_scope_heard;
	uint8_t			 other_scope[DIGEST_LEN];
	uint32_t		 rules_turn_ms;
	uint8_t			 own_both[DIGEST_LEN];	/* own_known: of the mailpair.conf that both nodes had last */

	/* desk_read.c */
	struct watch		*watch;
	struct settle		*settle, *held;	/* held: what waits for the end of an installation of it */
	struct loop_timer	*settle_timer, *full_timer, *watch_timer, *unsettled_timer;
	char			**below;	/* paths that wait in settle and are meant with all below */
	size_t			 belows;
	bool			 scanned;	/* at least once; then edits are edits */
	uint64_t		 scanned_at, scanned_wall_ms;	/* all of it, for the last time */
	char			 scanned_why[WATCH_TEXT_MAX];
	uint32_t		 watch_after_ms;	/* it is started again then; 0: the last one has watched */
	bool			 watched;	/* all that the watch can see since the last of these was told */
	char			 blind[WATCH_TEXT_MAX];

	/* desk_meet.c */
	struct loop_timer	*meet_timer;
	uint64_t		 meet_by_ms;	/* everything is to be read until then, as the nodes have met; 0: it was */
	uint64_t		 heard_ms;	/* of the peer, while that waits */
	bool			 said_read, heard_read;	/* WIRE_READ, on this link */

	/* desk_busy.c */
	struct busy		*busy;		/* files that somebody was writing to when they were looked at */
	size_t			 busies;
	struct loop_timer	*busy_timer;

	/* desk_take.c, desk_place.c */
	struct taking		*taking;	/* verifications under way */
	struct placing		*placing;	/* installations in a worker: those that are running, and what waits for them */
	char			*lately[DESK_LATELY];	/* new directories, with all that is in them, while more is on its way */
	size_t			 latelies;
	struct loop_timer	*lately_timer;
	unsigned int		 row;		/* installations that followed on each other ... */
	uint64_t		 row_ms;	/* ... until then */
	struct tables		*tables;	/* desk_tables.c */

	/* desk_spare.c */
	struct spare		*spare;		/* NULL: none */
	struct loop_timer	*spare_timer;

	/* desk_rebuild.c */
	struct rebuild		*rebuild;		/* under way */
	struct rebuild_job	*rebuild_job;
	struct rebuilding	*rebuilding, *to_rebuild;
	struct loop_timer	*rebuild_timer;
	uint32_t		 rebuild_after_ms;	/* 0: the last one was well */
	struct dumped		*dumped;

	/* desk_keep.c */
	struct store		*store;
	struct intent		*intent;	/* what is put in place, until it is in the store */
	struct keeping		*keeping, **keeping_end;
	size_t			 keeping_rows;
	struct fresh		*fresh;
	size_t			 fresh_bytes;
	struct loop_timer	*take_timer, *keep_timer, *rest_timer, *prune_timer;
	uint32_t		 keep_after_ms;
	struct pace		 keep_pace;
	uint64_t		 keep_by_ms;	/* what waits is put in the store then, whatever else comes; 0: not decided */
	uint64_t		 busy_by_ms;	/* it is not put off any longer; 0: it is not */
	uint64_t		 rest_by_ms;	/* what is in the store is on the disk then; 0: it is */
	bool			 keep_sync;	/* with the next ones that are put */
	bool			 replaces;	/* the last job of desk_keep_old(): something that has to be on the disk before */
	bool			 strange;	/* the store knows of no common version yet */

	/* desk_talk.c */
	struct net		*net;
	struct spool		*spool;
	struct outgoing		*outgoing, **outgoing_end;	/* messages that have no room yet */
	struct sending		*sending, *sending_last;	/* desk_serve.c */
	size_t			 sendings;
	struct wants		*wants;				/* desk_want.c */
	size_t			 needs;				/* one after the other */
	struct alongs		*along;				/* desk_along.c */
	struct along		*just_read;
	size_t			 just_reads;
	bool			 linked, full;
	struct awake		 awake;			/* desk_awake.c */
	struct loop_timer	*awake_timer;		/* the loop does not wait between these */
	uint8_t			 sent[DESK_SENT][DIGEST_LEN];	/* with news, by their first bytes */
	uint8_t			 keys[DIGEST_LEN];		/* of authkeys, as they were read last */

	/* desk_alert.c */
	struct alerts		*alerts;

	/* desk_say.c, desk_asked.c */
	struct loop_io		*input;
	struct loop_timer	*say_timer;
	char			 heard[1024];	/* of a line */
	size_t			 heard_len;
	char			 said[1024];	/* the last line */
	struct ctl		*ctl;
	struct rolling		*rolling;	/* desk_roll.c: under way */
};

/* desk_work.c: to be called after every event that was given to the core. Does what it asked for until it asks for no more. */
void	desk_work(struct desk *);
struct core_origin desk_origin(struct desk *, enum store_cause, const char *why);
void	*desk_alloc(size_t);		/* zeroed; the process ends where memory does */

/* desk_read.c */
void	desk_watch(struct desk *);
void	desk_unwatch(struct desk *);
void	desk_scan(struct desk *, const char *why);	/* why: a sentence for status */
void	desk_look(struct desk *, const struct scan_path *, size_t n, const struct core_origin *);
/* For core_installed(); NULL: it could not be read. placed, sealed: see scan_options; as_left: what is in it is not looked at. */
struct manifest *desk_read(struct desk *, const struct core_looked *, size_t n, const struct manifest *placed, bool as_left);
void	desk_changed(struct desk *, const char *path, bool below);	/* it is looked at, when its set has settled */
void	desk_changed_on(struct desk *);		/* what waited for the end of an installation is looked at */

/* desk_meet.c */
void	desk_meet(struct desk *);	/* before the core hears of the link: everything is read, now or soon */
void	desk_meet_say(struct desk *);	/* that everything was read, once it was */
void	desk_meet_forget(struct desk *);	/* the link is down: when the next one begins */
/* The core's; what was not read since the nodes met, on both, is not known to be in step. scanned: it is known. */
void	desk_status(struct desk *, struct core_status *);

/* desk_busy.c */
/*
 * What somebody is writing is what it was before, or not there yet, and is looked at again until he closes it. Takes m, what a reading of look (n 0: of
 * everything) has found, and returns it so.
 */
struct manifest *desk_busy(struct desk *, const struct scan_path *look, size_t n, struct manifest *m, const struct report *);
void	desk_busy_forget(struct desk *);

/* desk_take.c */
/*
 * These changes are staged, and the program that the set is for is asked. What is to be made of it waits at desk_dumps(). done() may be called at once,
 * and is not after desk_cancel(id). changes live until then.
 */
typedef void desk_checked_f(struct desk *, uint64_t id, const struct set_id *, enum validity, const char *why);
void	desk_check(struct desk *, uint64_t id, const struct set_id *, const struct change *, size_t changes, desk_checked_f *);
void	desk_verify(struct desk *, const struct core_job *);
void	desk_cancel(struct desk *, uint64_t job);
void	desk_cancel_all(struct desk *);

/* desk_tables.c */
struct desk_table { struct verify_dump dump; uint8_t source[DIGEST_LEN]; bool answered; };	/* source: of the content that it was made of */
/* This set is valid here; done() once the other node has said what its tables say, or cannot. Not after desk_compare_forget(id); 0: all. */
void	desk_compare(struct desk *, uint64_t id, const struct set_id *, const struct desk_table *, size_t n, const char *why, desk_checked_f *done);
void	desk_compare_forget(struct desk *, uint64_t id);
void	desk_tables_came(struct desk *, const struct wire_tables *);
void	desk_tables_forget(struct desk *);	/* what the other node has asked */
void	desk_tables_begin(struct desk *);
void	desk_tables_end(struct desk *);
bool	desk_digest(const char *path, uint8_t ret[DIGEST_LEN]);	/* of a file, through links */
/* desk_disks.c */
#define DESK_DISKS 16u
struct desk_disks { int fd[DESK_DISKS]; dev_t dev[DESK_DISKS]; size_t len; bool others; };	/* { 0 }: none. others: there are more */
bool	desk_is_on(const struct desk *, const char *path, dev_t device);	/* the nearest directory above it that is there */
void	desk_disks_add(const struct desk *, struct desk_disks *, const struct core_job *);	/* as the paths of the job are now */
void	desk_disks_sync(struct desk_disks *);	/* brings them to the disk, where they are few, and no others; closes them. Blocks */
/* desk_place.c */
void	desk_install(struct desk *, const struct core_job *);	/* core_installed() is called, now or later */
bool	desk_placing(const struct desk *, const char *path, bool below);	/* that, or something below it, is being put in place by a worker */
bool	desk_lately(const struct desk *, const char *path);	/* in a directory that came just now, with more on its way */
void	desk_lately_over(void *desk);	/* what was told of them is read */
void	desk_place_doubt(struct desk *);	/* what is being put in place has to be read afterwards */
void	desk_place_disks(const struct desk *, struct desk_disks *);	/* adds those of what a worker puts in place */
void	desk_place_forget(struct desk *);	/* what is under way is ended where it stands, as by a crash; core_installed() is not called */

/* desk_spare.c */
void	desk_spare_begin(struct desk *);
void	desk_spare_end(struct desk *);
void	desk_spare_soon(struct desk *);	/* one was used, perhaps */
void	desk_spare_ahead(struct desk *, const struct entry *);	/* its bytes have come, and most likely it is about to be put in place */

/* desk_rebuild.c */
void	desk_dumps(struct desk *, uint64_t job, const struct verify_dump *, size_t n);	/* what is to be made of a set that was found valid */
void	desk_dumps_forget(struct desk *, uint64_t job);			/* 0: of all */
void	desk_rebuild(struct desk *, uint64_t job, const struct change *, size_t n);	/* job 0: of none */
void	desk_rebuild_rules(struct desk *);	/* after d->setup became another one */
void	desk_rebuild_forget(struct desk *);

/* desk_keep.c */
bool	desk_open_store(struct desk *);
void	desk_keep(struct desk *, const struct core_action *);
/* Bytes of a small file that was just sent, malloc'd: they become the store's, where its version is kept. */
void	desk_keep_bytes(struct desk *, const uint8_t digest[DIGEST_LEN], uint8_t *bytes, size_t len);
bool	desk_keep_old(struct desk *, const struct core_job *, struct err *);	/* what it replaces goes to the store; on the disk ... */
bool	desk_kept_old(void *desk, struct err *);		/* ... when this has said so: install_ready_f */
bool	desk_under_way(struct desk *);	/* many files are, here or there */
void	desk_keep_all(struct desk *);	/* now */
/* As many as go in two seconds: who ends us may kill us otherwise. The others are as after a kill: on the disk, and what they replaced is in the store. */
void	desk_keep_end(struct desk *);

/* desk_common.c: the last common versions, to the core. */
bool	desk_load_common(struct desk *);

/* desk_talk.c */
bool	desk_connect(struct desk *, struct err *);
void	desk_disconnect(struct desk *);
void	desk_keys(struct desk *);	/* of the pair, read anew */
void	desk_send(struct desk *, const struct wire *);
void	desk_send_on(struct desk *);	/* there may be room now */
void	desk_drop(struct desk *, const char *why);

/* desk_awake.c */
void	desk_send_soon(struct desk *, bool begun);	/* a file begins to be written, or is about to be read and most likely is news */
void	desk_stay_awake(struct desk *);			/* the other node says so */
void	desk_yield(struct desk *);			/* who waits for the processor has it first, but for where that takes long */

/* desk_serve.c */
void	desk_serve(struct desk *, const struct wire_want *);
bool	desk_serve_next(struct desk *);	/* one message of contents; false: there is nothing to send */
void	desk_serve_forget(struct desk *);
/* The whole content of a small file, if it still is the one, to a place with that much room. */
bool	desk_read_small(struct desk *, const char *path, const uint8_t digest[DIGEST_LEN], uint32_t size, uint8_t *to);

/* desk_want.c */
void	desk_need(struct desk *, const struct entry *);
void	desk_need_end(struct desk *);	/* before anything else is done with the store */
bool	desk_wants(const struct desk *);	/* anything */
void	desk_want_ask(struct desk *);	/* for all that is needed since the last time, in as few messages as it takes */
void	desk_content_came(struct desk *, const struct wire_content *);
void	desk_small_came(struct desk *, const struct wire_small *);
void	desk_content_absent(struct desk *, const uint8_t digest[DIGEST_LEN]);
void	desk_want_forget(struct desk *);
void	desk_unneed(struct desk *, const uint8_t digest[DIGEST_LEN]);
void	desk_sweep(struct desk *);	/* contents that nobody wants any more */
int	desk_content(void *desk, const struct entry *, struct err *);	/* install_content_f */
bool	desk_content_here(struct desk *, const uint8_t digest[DIGEST_LEN]);	/* desk_content() and desk_bytes() need not ask the store */
bool	desk_spool_again(struct desk *, struct err *);	/* in a worker, which has none of our descriptors */
const uint8_t *desk_bytes(void *desk, const struct entry *);		/* install_bytes_f */

/* desk_along.c */
void	desk_along_add(struct desk *, const uint8_t digest[DIGEST_LEN], const uint8_t *bytes, uint32_t len);	/* where it is what it says, and has room */
/* Room for contents of len bytes in all, one behind the other, until the next one is added; NULL: there is none. */
uint8_t	*desk_along_begin(struct desk *, size_t len);
/* These, in that room, in order. False: they are something else, or are here already, and the caller's to wipe. */
bool	desk_along_is(struct desk *, const uint8_t digest[DIGEST_LEN], uint8_t *bytes, uint32_t len);
bool	desk_along_room(const struct desk *, uint64_t bytes);
bool	desk_along_has(const struct desk *, const uint8_t digest[DIGEST_LEN]);
int	desk_along_fd(const struct desk *, const uint8_t digest[DIGEST_LEN], struct err *);	/* of one that is there */
const uint8_t *desk_along_bytes(const struct desk *, const uint8_t digest[DIGEST_LEN]);	/* NULL: it is not there */
void	desk_along_remove(struct desk *, const uint8_t digest[DIGEST_LEN]);
/* A worker that is about to begin reads it, whatever becomes of it here, until desk_along_returned(): it has ended. */
void	desk_along_lend(struct desk *, const uint8_t digest[DIGEST_LEN]);
void	desk_along_returned(struct desk *);
void	desk_along_clear(struct desk *);
/* A few small ones that were just read here: their news need not read them again. Until the core has said what is news. */
void	desk_just_read(void *desk, const uint8_t digest[DIGEST_LEN], const uint8_t *bytes, size_t len);	/* scan_options.small */
uint8_t	*desk_take_read(struct desk *, const struct entry *);	/* malloc'd; NULL: it is not among them */
void	desk_forget_read(struct desk *);

/* desk_say.c */
void	desk_say(struct desk *);	/* soon, where it changed */
void	desk_hear(struct desk *);
void	desk_deaf(struct desk *);
const char *desk_sentence(const struct core_problem *, char *buf, size_t size);	/* one line */


/* desk.c: this configuration, which is the desk's from now on, whole. False: it could not be, and the program ends. */
bool	desk_adopt(struct desk *, struct conf *, struct setup *, struct scope *);

/* desk_rules.c */
bool	desk_rules_read(struct desk *);		/* first of all; false: it was said */
void	desk_rules_begin(struct desk *);	/* with the store open, and nothing else begun */
void	desk_rules_say(struct desk *);		/* what is not in force is a problem; with the core */
bool	desk_reload(struct desk *);		/* somebody says that there is a new one */
void	desk_rules_common(struct desk *, const struct core_action *);	/* CORE_STORE */
void	desk_rules_other(struct desk *, const uint8_t scope[DIGEST_LEN]);	/* the peer says so; ours may be another one soon */
bool	desk_is_own(const struct desk *, const char *path);	/* the path of mailpair.conf, where it is carried */

/* desk_alert.c */
void	desk_alert(struct desk *, const struct core_status *);
void	desk_alert_end(struct desk *);

/* desk_roll.c */
void	desk_rollback(struct desk *, const struct ctl_request *, struct ctl_reply *);
void	desk_roll_forget(struct desk *, const char *why);

/* desk_asked.c */
bool	desk_answer(struct desk *, struct err *);

#endif
