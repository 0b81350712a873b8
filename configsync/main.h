/*
 * configsync/main.h - the program mailpair-config: what its files share.
 *
 *   main.c		arguments, help, the table of commands
 *   main_log.c		log, show: out of the store alone
 *   main_diff.c	diff: likewise
 *   main_version.c	which version is meant, and what is printed of one
 *   main_ask.c		status, resync, resolve, rollback: what the running program is asked
 *
 * Everything here blocks.
 */
#ifndef CONFIGSYNC_MAIN_H
#define CONFIGSYNC_MAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/err.h"
#include "common/json.h"
#include "configsync/entry.h"
#include "configsync/manifest.h"
#include "configsync/store.h"

#define MAIN_CONF "/etc/mailpair/mailpair.conf"
#define MAIN_OPERANDS 256

/* Exit status, as the contract has it. */
enum { EXIT_DONE, EXIT_NO, EXIT_CANNOT, EXIT_REFUSED };

struct wish {
	const char	*conf, *node, *journal, *socket, *root;	/* as given, or NULL */
	const char	*from, *take;
	bool		 json, apply, back_to;
	size_t		 limit;			/* -n; 0: not given */
	const char	*operand[MAIN_OPERANDS];
	size_t		 operands;
};

void	complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The sentence to standard error, and with --json one document with it. Returns status. */
int	sorry(const struct wish *, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* <run-dir>/config.sock, <state-dir>/journal.db; by mailpair.conf, or, where that is not named and cannot be read, the usual ones. False: it was said. */
bool	main_socket(const struct wish *, char *buf, size_t size);
bool	main_store(const struct wish *, struct store **ret);
/* A document to standard output. */
struct document { struct json json; char buffer[65536]; };
void	document_begin(struct document *);
void	document_end(struct document *);

int	main_run(const struct wish *);
int	main_log(const struct wish *), main_show(const struct wish *), main_diff(const struct wish *);
int	main_status(const struct wish *), main_resync(const struct wish *), main_resolve(const struct wish *), main_rollback(const struct wish *);

/* ---------------------------------------------------------------- main_version.c */

struct version {
	uint64_t	 number;
	char		*path;
	bool		 kept, here, common;
	struct store_set set;
	const struct entry *entry;	/* NULL: it was removed */
	struct manifest	*keep;
};
bool	is_number(const char *what);		/* of a version */
bool	is_set_name(const char *what);		/* 32 hexadecimal digits, as store_new_name() makes it */
/* False with *err where its entry cannot be read. */
bool	version_copy(struct version *ret, const struct store_version *, struct err *);
void	version_free(struct version *);
/* The same thing at the same path: it was put down again, and nobody changed it. */
bool	version_same(const struct version *, const struct version *);
/*
 * "42", "PATH", "PATH@N" (N versions before the newest; where no file has that whole name). False with *err: ENOENT where there is none. With
 * before, the one that stood at the same path before it, may be none (number 0).
 */
bool	version_find(struct store *, const char *what, struct version *ret, struct version *before, struct err *);
/* The one that stood at its path before; number 0: none. */
bool	version_before(struct store *, const struct version *, struct version *ret, struct err *);
void	version_json(struct json *, const char *key, const struct version *);
void	version_set_text(FILE *, const struct store_set *);	/* a line */
void	version_text(FILE *, const struct version *);		/* a line */
/* "/etc/postfix/main.cf", fit for a terminal; buf has PATH_MAX * 2. */
const char *shown(const char *path, char *buf, size_t size);
#define SHOWN_MAX 8200

#endif
