/*
 * mta/postfix_check.h - the checks of "postfix start", in two halves: what needs only configuration
 * and programs (ahead of time, also where the queue is not mounted), and what needs the queue and
 * data directories (at each start, a few dozen stat calls). Blocks; for workers.
 *
 * What the first half found is kept in run_dir/mta.prepared with the state of every file it looked
 * at; the second half of a start uses it only while all of them are unchanged.
 */
#ifndef MTA_POSTFIX_CHECK_H
#define MTA_POSTFIX_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/err.h"
#include "common/spawn.h"
#include "mta/mta.h"
#include "mta/postfix_conf.h"
#include "mta/postfix_file.h"

#define POSTFIX_DIRS_MAX 48
#define POSTFIX_COPIES_MAX 96

/* A directory that must be there, as postfix-files has it. */
struct postfix_dir {
	char	path[POSTFIX_PATH_MAX];
	uid_t	uid;
	gid_t	gid;		/* (gid_t)-1: as it comes */
	mode_t	mode;
};

/* What the first half leaves to the second. */
struct postfix_plan {
	struct postfix_seen_list seen;
	struct postfix_dir	 dir[POSTFIX_DIRS_MAX];
	size_t			 dirs;
	uid_t			 owner;			/* mail_owner */
	gid_t			 group;			/* setgid_group */
	bool			 chroot;		/* some service runs chrooted */
	char			 copy[POSTFIX_COPIES_MAX][128];	/* what it needs there: "/etc/hosts" */
	size_t			 copies;
	char			 script[128];		/* the distribution's refresher of the chroot, or "" */
	char			 ca_dir[3][POSTFIX_PATH_MAX];	/* certificates it copies, or "" */
	char			 odd[256];		/* why "postfix start" must judge itself, or "" */
};

/*
 * First half. False: Postfix could not start with this configuration; *err says why. Warnings,
 * which do not hinder a start, are reported as "warning" when out is not NULL.
 */
bool	postfix_check_config(const struct postfix_conf *, struct postfix_plan *ret,
	    struct spawn_out *out, struct err *);

/* Keep it, and take it back while it is still true. load: false with the changed file in *err. */
bool	postfix_plan_save(const struct mta_params *, const struct postfix_plan *, struct err *);
bool	postfix_plan_load(const struct mta_params *, struct postfix_plan *ret, struct err *);

/*
 * Second half: directories of the queue are there (missing ones are made as Postfix would make
 * them) and are what they must be; every message stands under its right name (names are only told: see
 * names_judged in mta/mta.h). Reports "made PATH" and "warning".
 */
bool	postfix_check_queue(const struct mta_params *, const struct postfix_conf *, const struct postfix_plan *,
	    uint64_t deadline_ms, struct spawn_out *, struct err *);

#endif
