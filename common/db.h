/*
 * common/db.h - one connection to an sqlite3 database; the only file pair that uses sqlite3. Blocks: for the disk, and up to
 * patience_ms for another process, then err.sys is EBUSY.
 *
 * Each commit is on disk when it returns (write-ahead log, synchronous FULL), but see lazy. A full disk is ENOSPC. Damage is remembered
 * (db_spoilt, EBADMSG): no database, cut, damaged, with tables that are not ours; what becomes of it is for the caller. Errors begin with
 * the name and the path; what is "cannot WHAT".
 */
#ifndef COMMON_DB_H
#define COMMON_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct db_options {
	const char	*path;		/* is there already, with the mode it shall have; -wal and -shm take after it */
	const char	*name;		/* for errors: "journal" */
	/* NULL: the tables of this schema are what the file is for; else the schema is a part beside that one. */
	const char	*part;
	/* Step n makes version n + 1 out of version n. Never change one that was released: add one. */
	const char	*const *schema;
	int		 steps;
	int		 patience_ms;
	bool		 write;		/* else nothing is made and nothing is brought up to date: an older version is read as it is */
	/* A commit is whole, and in order, but on disk only with db_sync(); the log is only written back by db_tidy(). */
	bool		 lazy;
};

struct db;
struct db_query;

/* Never NULL: where *ret_ok is false nothing but db_spoilt(), db_why() and the closing can be done with it. */
struct db *db_open(const struct db_options *, bool *ret_ok, struct err *);
void	db_close(struct db *);		/* NULL is allowed; rolls back what was begun; its queries have to be closed before */
/* The same, and leaves the files as they were found, so that somebody may look at them. */
void	db_leave(struct db *);

bool	db_spoilt(const struct db *);
const char *db_why(const struct db *);	/* what is wrong; "" where nothing is */
/* For what only the caller can tell. Always false. */
bool	db_spoil(struct db *, struct err *, const char *why);
/* Whether path still names the file that was opened, and not one that took its place. */
bool	db_in_place(const struct db *);

bool	db_begin(struct db *, struct err *);	/* takes the lock at once */
bool	db_begin_to_read(struct db *, struct err *);	/* one lock for many queries; db_rollback() ends it */
bool	db_commit(struct db *, struct err *);	/* false: rolled back */
bool	db_sync(struct db *, struct err *);	/* all commits are on disk; at no cost where they were */
/* The log goes into the database as far as no reader needs it, where it has more than so many pages: two syncs, and writing them all. */
bool	db_tidy(struct db *, int pages, struct err *);
/*
 * The same two for another thread: begin and end are for who has the database, and may use it in between; run is for any thread. It stays open from
 * begin to end. False of begin: neither is to be done. False of end: it may not be on disk.
 */
struct db_wait { void *log; const char *path; bool tidy, failed; };
bool	db_wait_begin(struct db *, int pages, struct db_wait *);
void	db_wait_run(struct db_wait *);
bool	db_wait_end(struct db *, const struct db_wait *, struct err *);
void	db_rollback(struct db *);
/* One sentence of SQL or more, without values. */
bool	db_exec(struct db *, const char *sql, const char *what, struct err *);

/* The sentence is good, so an error in it says that the tables are not as they were made: damage. */
bool	db_prepare(struct db *, const char *sql, const char *what, struct db_query **ret, struct err *);
/* Values by number, from 1. Bytes and text are not copied: they live until the query has run. */
void	db_bind(struct db_query *, int i, int64_t);
void	db_bind_text(struct db_query *, int i, const char *);
void	db_bind_bytes(struct db_query *, int i, const void *, size_t len);
void	db_bind_null(struct db_query *, int i);

enum db_answer { DB_FAILED, DB_ROW, DB_DONE };
enum db_answer db_step(struct db_query *, struct err *);
/* To its end, then ready for new values. */
bool	db_run(struct db_query *, struct err *);
void	db_reset(struct db_query *);		/* ready for new values */
void	db_query_close(struct db_query *);	/* NULL is allowed */

/* Of the row, from 0. What is pointed to lives until the next step. */
int64_t	db_column(struct db_query *, int i);
bool	db_column_null(struct db_query *, int i);
void	db_column_text(struct db_query *, int i, char *buf, size_t size);
const void *db_column_bytes(struct db_query *, int i, size_t *ret_len);

int64_t	db_last_id(const struct db *);		/* of the row that was inserted last */
int	db_changes(const struct db *);		/* rows that the last sentence has changed */

#endif
