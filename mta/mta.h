/*
 * mta/mta.h - one mail program, as the supervisor and the queue program see it.
 *
 * A driver knows where its program keeps the queue and how it is started and stopped. It never
 * decides whether that should happen. All functions but mta_find() and "programs" block and run in
 * a worker (common/spawn.h); they share nothing with the daemon but their arguments and what they
 * report: lines "key value" through spawn_say().
 */
#ifndef MTA_MTA_H
#define MTA_MTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"
#include "common/fact.h"
#include "common/spawn.h"
#include "mta/queue.h"

struct mta_params {
	const char	*config;	/* configuration directory (Exim: file), NULL: the program's default */
	const char	*probe;		/* "ADDR:PORT" or NULL */
	const char	*const *services;	/* qmail: directories or programs, NULL-terminated; NULL or none: found */
	const char	*run_dir;	/* for what must outlive a call (prepared.*) */
	bool		 names_judged;	/* mailpair-queue has looked at the queue; what is wrong there still is left on purpose */
	const char	*const *addresses;	/* service addresses without prefix, NULL-terminated */
	uint32_t	 probe_ms;	/* limit of one dialogue */
};

/* The roots of the queues that a program has on this host. */
#define MTA_QUEUES_MAX 32
struct mta_queues { char root[MTA_QUEUES_MAX][512]; size_t len; };

struct mta_queue_counts { uint64_t total, incoming, active, deferred, hold, corrupt, maildrop; };

enum mta_answer {
	MTA_ANSWERED,		/* a greeting 220 and an orderly end */
	MTA_REFUSED,		/* connection refused or reset, greeting 4xx/5xx */
	MTA_NO_ANSWER,		/* nothing within the limit: weighs less */
	MTA_ANSWER_UNKNOWN	/* the question could not be put (no socket, no route) */
};

struct mta_driver {
	const char	*name;			/* as in mailpair.conf: "postfix" */

	/*
	 * On a standby or ahead of a start: every check of the program's own start script that does
	 * not need the queue, and reading programs, libraries and maps into the page cache. What was
	 * checked is left in run_dir, with the state (sizes, times) of the files it covers, so that
	 * start() repeats only what has changed since. Reports "prepared yes|no" and "why".
	 */
	bool	(*prepare)(const struct mta_params *, struct spawn_out *, struct err *);

	/* By the program's own locks. UNKNOWN where it cannot be told; callers treat that as running.
	 * *ret_pid: the main process, 0 where none or not known. */
	enum fact (*running)(const struct mta_params *, pid_t *ret_pid, struct err *);

	/*
	 * Start on a mounted queue; true once it listens. Leftovers of a dead node (pid files, locks,
	 * sockets) are told from live ones; nothing is deleted that is in use. Idempotent. Reports
	 * "pid N", and "check"/"exec" with milliseconds. Never skips a check that was not made.
	 */
	bool	(*start)(const struct mta_params *, uint32_t limit_ms, struct spawn_out *, struct err *);

	/* Orderly, then TERM, then KILL of exactly its processes; true once none is left. Idempotent.
	 * Reports "killed N" where force was used. */
	bool	(*stop)(const struct mta_params *, uint32_t limit_ms, struct spawn_out *, struct err *);

	/* One polite SMTP dialogue; never longer than params->probe_ms. */
	enum mta_answer (*answers)(const struct mta_params *, struct err *);

	/* Count what is queued by names alone. */
	bool	(*count)(const struct mta_params *, struct mta_queue_counts *ret, struct err *);

	/*
	 * Where the queue is and how it is laid out (mta/queue.h). dir: the root of another queue, an image or a foreign
	 * node's (its settings are then read off the tree); NULL: the program's own. owners: accounts of that node, NULL: this
	 * host's. Blocks; for mailpair-queue. The caller frees *ret with queue_layout_free().
	 */
	bool	(*layout)(const struct mta_params *, const char *dir, const struct queue_owners *owners,
		    struct queue_layout *ret, struct err *);
	/*
	 * Where the program has several queues (instances of Postfix): all of them, the first being what layout() means by a dir
	 * of NULL; each goes to layout() as dir. NULL: it never has more than one. Blocks.
	 */
	bool	(*queues)(const struct mta_params *, struct mta_queues *ret, struct err *);
	/*
	 * Take the locks by which the program itself tells that it runs, without waiting, so that it cannot start
	 * while its queue is mended. NO: it runs (or something else that would write to the queue does), with who in *err.
	 * UNKNOWN: cannot be told. Only YES fills *ret.
	 */
	enum fact (*lock)(const struct mta_params *, const struct queue_layout *, struct queue_lock *ret, struct err *);

	/*
	 * NULL where the program itself makes sure that an acknowledged message stays after a power cut. Else the file system of
	 * its queue has to write changes of directories at once: storage mounts it with dirsync, and this tells whether it
	 * is so. NO: *err says where it is not.
	 */
	enum fact (*durable)(const struct mta_params *, struct err *);
};

extern const struct mta_driver mta_postfix, mta_qmail, mta_exim;

const struct mta_driver *mta_find(const char *name);	/* NULL if there is none; pure */
const char *mta_names(void);				/* "postfix, qmail, exim", for error texts */

/*
 * Verdict over the last answers (pure): a refusal weighs 2, no answer 1, and the service is bad when
 * the weights of the last n reach 2k-1 (so k refusals are too many and a single slow one is not).
 */
struct mta_health { uint8_t last[16]; size_t len; };
void		mta_health_reset(struct mta_health *);
void		mta_health_add(struct mta_health *, enum mta_answer);
enum fact	mta_health_good(const struct mta_health *, uint32_t k, uint32_t n);	/* UNKNOWN before the first answer */

#endif
