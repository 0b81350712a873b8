/*
 * configsync/rebuild.h - after a set was put in place: the tables are made of their sources by this node's own programs, and the
 * services that run here read their configuration anew.
 *
 * A table is made of a copy beside its place, dumped, compared with what verify found, and renamed: a reader sees the old table or the
 * new one, whole. qmail's own programs do that by themselves. Nothing that does not run is started or reloaded, so a standby
 * makes its tables and no more.
 */
#ifndef CONFIGSYNC_REBUILD_H
#define CONFIGSYNC_REBUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/loop.h"
#include "configsync/setup.h"
#include "configsync/verify.h"

#define REBUILD_STEPS_MAX 256
#define REBUILD_DEADLINE_MS 60000u

struct rebuild_job {
	const char			*root;		/* absolute; "" or "/": the node's own */
	const char			*const *path;	/* what was changed, from the root */
	size_t				 paths;
	const struct verify_dump	*dump;		/* verify_result.dump of the set: the tables to be made, and what is to be in them */
	size_t				 dumps;
	const struct setup_tree		*tree;		/* with their reload commands; may be none */
	size_t				 trees;
	uint32_t			 deadline_ms;	/* for all of it; 0: REBUILD_DEADLINE_MS */
};

struct rebuild_result {
	bool		 ok;
	unsigned int	 made, reloaded;
	char		 why[512];		/* not ok: the first thing that failed, a sentence */
	char		 notes[2048];		/* what was done and what failed, a line each */
	uint32_t	 took_ms;
};

typedef void rebuild_done_f(void *arg, const struct rebuild_result *);

/* Begins it in a worker; done() is called once, later, at the deadline at the latest. job and all it names live until then. NULL never. */
struct rebuild;
struct rebuild *rebuild_start(struct loop *, const struct rebuild_job *, rebuild_done_f *, void *arg);
void	rebuild_forget(struct rebuild *);		/* ends it; done() will not be called */

/* ---------------------------------------------------------------- the plan: rebuild_plan.c, pure */

enum rebuild_service { REBUILD_POSTFIX, REBUILD_EXIM, REBUILD_DOVECOT, REBUILD_QMAIL, REBUILD_SERVICES };

/* A service that runs here. */
struct rebuild_running {
	enum rebuild_service	 service;
	char			 config[256];	/* of Postfix: its configuration directory from the root, "etc/postfix" */
	pid_t			 pid;		/* of all others */
};

enum rebuild_kind {
	REBUILD_MAKE,			/* a table by postmap, postalias or tcprules, beside its place */
	REBUILD_PROGRAM,		/* a program that puts its table in place itself */
	REBUILD_POSTFIX_RELOAD,
	REBUILD_HANGUP,			/* SIGHUP to pid */
	REBUILD_COMMAND,		/* a tree's own, for /bin/sh */
};

struct rebuild_step {
	enum rebuild_kind	 kind;
	const char		*source, *type, *expect;	/* REBUILD_MAKE: of a struct verify_dump */
	const char		*program;			/* REBUILD_MAKE: "postmap", ...; REBUILD_PROGRAM: its name */
	char			 config[256];			/* of Postfix, or "" */
	enum rebuild_service	 service;
	pid_t			 pid;
	const char		*command;
};

/* Of the aliases' sources, one after the other, those that are among the changes, or are concerned as main.cf is; NULL at the end. */
const char *rebuild_aliases(const struct rebuild_job *, size_t *i);
/* Do the changes concern this service? Whether it runs has to be known only then. */
bool	rebuild_concerns(const struct rebuild_job *, enum rebuild_service);
/* Is there anything that might have to be done? Of most files there is not. */
bool	rebuild_needed(const struct rebuild_job *);
/* In order: tables first. The number of steps; more than REBUILD_STEPS_MAX are not planned, and *ret_cut is true. */
size_t	rebuild_plan(const struct rebuild_job *, const struct rebuild_running *, size_t running, struct rebuild_step *ret, bool *ret_cut);
/* "Postfix", ... */
const char *rebuild_service_word(enum rebuild_service);
/* What a format's table is called behind its source: ".db"; NULL: none that is known. Of dbm's two files, i is which. */
const char *rebuild_suffix(const char *type, size_t i);

#endif
