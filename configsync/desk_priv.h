/*
 * configsync/desk_priv.h - what the files of the desk share.
 *
 *	desk.c		begin, signals, lines from the supervisor, end
 *	desk_read.c	what the watch tells is read and given to the core
 *	desk_work.c	the core's actions, one after the other
 *	desk_take.c	a set is staged, verified and installed
 *	desk_rebuild.c	tables are made anew, services reloaded
 *	desk_keep.c	versions go to the store
 *	desk_talk.c	messages to and from the peer
 *	desk_serve.c	contents that the peer wants
 *	desk_want.c	contents that are wanted from the peer
 *	desk_along.c	small contents, in memory
 *	desk_say.c	what is told to the supervisor
 *	desk_asked.c	what an operator asks through the socket
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
#include "configsync/core.h"
#include "configsync/ctl.h"
#include "configsync/desk.h"
#include "configsync/names.h"
#include "configsync/net.h"
#include "configsync/report.h"
#include "configsync/scan_paths.h"
#include "configsync/scope.h"
#include "configsync/settle.h"
#include "configsync/setup.h"
#include "configsync/spool.h"
#include "configsync/store.h"
#include "configsync/watch.h"

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

	/* desk_read.c */
	struct watch		*watch;
	struct settle		*settle;
	struct loop_timer	*settle_timer, *full_timer, *watch_timer;
	char			**below;	/* paths that wait in settle and are meant with all below */
	size_t			 belows;
	bool			 scanned;	/* at least once; then edits are edits */
	char			 blind[WATCH_TEXT_MAX];

	/* desk_take.c */
	struct taking		*taking;	/* verifications under way */

	/* desk_rebuild.c */
	struct rebuild		*rebuild;		/* under way */
	struct rebuild_job	*rebuild_job;
	struct rebuilding	*rebuilding, *to_rebuild;
	struct dumped		*dumped;

	/* desk_keep.c */
	struct store		*store;
	struct keeping		*keeping, **keeping_end;
	size_t			 keeping_rows;
	struct fresh		*fresh;
	size_t			 fresh_bytes;
	struct loop_timer	*take_timer, *keep_timer, *rest_timer, *prune_timer;
	uint32_t		 keep_after_ms;
	uint64_t		 keep_by_ms;	/* what waits is put in the store then, whatever else comes; 0: not decided */
	uint64_t		 rest_by_ms;	/* what is in the store is on the disk then; 0: it is */
	bool			 keep_sync;	/* with the next ones that are put */
	bool			 strange;	/* the store knows of no common version yet */

	/* desk_talk.c */
	struct net		*net;
	struct spool		*spool;
	struct loop_timer	*net_timer;
	struct outgoing		*outgoing, **outgoing_end;	/* messages that have no room yet */
	struct sending		*sending, *sending_last;	/* desk_serve.c */
	size_t			 sendings;
	struct wants		*wants;				/* desk_want.c */
	struct alongs		*along;				/* desk_along.c */
	bool			 linked, full;

	/* desk_say.c, desk_asked.c */
	struct loop_io		*input;
	struct loop_timer	*say_timer;
	char			 heard[1024];	/* of a line */
	size_t			 heard_len;
	char			 said[1024];	/* the last line */
	struct ctl		*ctl;
};

/* desk_work.c: to be called after every event that was given to the core. Does what it asked for until it asks for no more. */
void	desk_work(struct desk *);
struct core_origin desk_origin(struct desk *, enum store_cause, const char *why);
void	*desk_alloc(size_t);		/* zeroed; the process ends where memory does */

/* desk_read.c */
bool	desk_watch(struct desk *);
void	desk_unwatch(struct desk *);
void	desk_scan(struct desk *);
void	desk_look(struct desk *, const struct scan_path *, size_t n, const struct core_origin *);
/* For core_installed(); NULL: it could not be read. */
struct manifest *desk_read(struct desk *, const struct core_looked *, size_t n);
void	desk_notes(struct desk *, struct report *, bool whole);

/* desk_take.c */
void	desk_verify(struct desk *, const struct core_job *);
void	desk_install(struct desk *, const struct core_job *);
void	desk_cancel(struct desk *, uint64_t job);
void	desk_cancel_all(struct desk *);

/* desk_rebuild.c */
void	desk_dumps(struct desk *, uint64_t job, const struct verify_dump *, size_t n);	/* what is to be made of a set that was found valid */
void	desk_dumps_forget(struct desk *, uint64_t job);			/* 0: of all */
void	desk_rebuild(struct desk *, uint64_t job, const struct change *, size_t n);	/* job 0: of none */
void	desk_rebuild_forget(struct desk *);

/* desk_keep.c */
bool	desk_open_store(struct desk *);
void	desk_keep(struct desk *, const struct core_action *);
/* Bytes of a small file that was just sent, malloc'd: they become the store's, where its version is kept. */
void	desk_keep_bytes(struct desk *, const uint8_t digest[DIGEST_LEN], uint8_t *bytes, size_t len);
bool	desk_keep_old(struct desk *, const struct core_job *, struct err *);
void	desk_keep_all(struct desk *);	/* now */

/* desk_talk.c */
bool	desk_connect(struct desk *, struct err *);
void	desk_disconnect(struct desk *);
void	desk_send(struct desk *, const struct wire *);
void	desk_send_on(struct desk *);	/* there may be room now */
void	desk_drop(struct desk *, const char *why);

/* desk_serve.c */
void	desk_serve(struct desk *, const struct wire_want *);
bool	desk_serve_next(struct desk *);	/* one message of contents; false: there is nothing to send */
void	desk_serve_forget(struct desk *);
/* The whole content of a small file, if it still is the one, to a place with that much room. */
bool	desk_read_small(struct desk *, const char *path, const uint8_t digest[DIGEST_LEN], uint32_t size, uint8_t *to);

/* desk_want.c */
void	desk_need(struct desk *, const struct entry *);
void	desk_want_ask(struct desk *);	/* for all that is needed since the last time, in as few messages as it takes */
void	desk_content_came(struct desk *, const struct wire_content *);
void	desk_small_came(struct desk *, const struct wire_small *);
void	desk_content_absent(struct desk *, const uint8_t digest[DIGEST_LEN]);
void	desk_want_forget(struct desk *);
void	desk_unneed(struct desk *, const uint8_t digest[DIGEST_LEN]);
int	desk_content(void *desk, const struct entry *, struct err *);	/* install_content_f */

/* desk_along.c */
void	desk_along_add(struct desk *, const uint8_t digest[DIGEST_LEN], const uint8_t *bytes, uint32_t len);	/* where it is what it says, and has room */
bool	desk_along_has(const struct desk *, const uint8_t digest[DIGEST_LEN]);
int	desk_along_fd(const struct desk *, const uint8_t digest[DIGEST_LEN], struct err *);	/* of one that is there */
void	desk_along_remove(struct desk *, const uint8_t digest[DIGEST_LEN]);
void	desk_along_clear(struct desk *);

/* desk_say.c */
void	desk_say(struct desk *);	/* soon, where it changed */
void	desk_hear(struct desk *);
void	desk_deaf(struct desk *);
bool	desk_reload(struct desk *);	/* desk.c */

/* desk_asked.c */
bool	desk_answer(struct desk *, struct err *);

#endif
