/*
 * common/db.c - an sqlite3 database: opened with care, brought up to date, asked; and what tells one that a power cut or a disk
 * has spoilt. Used by common/journal.c and by configsync/store*.c.
 */
#include "common/db.h"

#include <errno.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct db {
	sqlite3	*sql;
	char	 name[32], path[PATH_MAX];
	bool	 spoilt;	/* found damaged on the way */
	char	 why[256];	/* spoilt: what was wrong */
	dev_t	 dev;		/* which file it is */
	ino_t	 ino;
	bool	 unsynced;	/* lazy: commits may not be on disk */
	int	 log_pages;	/* lazy: in the log */
};

struct db_query {
	struct db	*db;
	sqlite3_stmt	*st;
	const char	*what;
};

/* Always false; remembers damage. */
static bool
db_fail(struct db *db, const char *what, struct err *err)
{
	int code = db->sql != NULL ? sqlite3_errcode(db->sql) : SQLITE_NOMEM;
	const char *why = db->sql != NULL ? sqlite3_errmsg(db->sql) : "out of memory";

	/* a constraint is none of ours: the tables are somebody else's */
	if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_CONSTRAINT)
		db->spoilt = true;
	if (db->spoilt && db->why[0] == '\0')
		snprintf(db->why, sizeof(db->why), "cannot %s: %s", what, why);
	err_set(err, 0, "%s %s: cannot %s: %s", db->name, db->path, what, why);
	if (err != NULL)		/* for those who ask; SQLite's own words are better than the system's */
		err->sys = code == SQLITE_BUSY ? EBUSY : code == SQLITE_FULL ? ENOSPC : db->spoilt ? EBADMSG : EIO;
	return false;
}

/* What SQLite would not mind. */
bool
db_spoil(struct db *db, struct err *err, const char *why)
{
	db->spoilt = true;
	snprintf(db->why, sizeof(db->why), "%s", why);
	err_set(err, 0, "%s %s: %s", db->name, db->path, why);
	if (err != NULL)
		err->sys = EBADMSG;
	return false;
}

static bool
db_fail_tables(struct db *db, const char *what, struct err *err)
{
	db->spoilt = db->spoilt || sqlite3_errcode(db->sql) == SQLITE_ERROR;
	return db_fail(db, what, err);
}

bool
db_spoilt(const struct db *db)
{
	return db->spoilt;
}

const char *
db_why(const struct db *db)
{
	return db->why;
}

/* ---------------------------------------------------------------- sentences */

bool
db_exec(struct db *db, const char *sql, const char *what, struct err *err)
{
	return sqlite3_exec(db->sql, sql, NULL, NULL, NULL) == SQLITE_OK || db_fail(db, what, err);
}

bool
db_begin(struct db *db, struct err *err)
{
	return db_exec(db, "BEGIN IMMEDIATE", "write", err);
}

bool
db_begin_to_read(struct db *db, struct err *err)
{
	return db_exec(db, "BEGIN", "read", err);
}

void
db_rollback(struct db *db)
{
	sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
}

bool
db_commit(struct db *db, struct err *err)
{
	if (db_exec(db, "COMMIT", "write", err))
		return true;
	db_rollback(db);
	return false;
}

/* NULL: there is none yet. */
static sqlite3_file *
db_log_file(struct db *db)
{
	sqlite3_file *log = NULL;

	sqlite3_file_control(db->sql, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
	return log != NULL && log->pMethods != NULL ? log : NULL;
}

static bool
db_log_sync(sqlite3_file *log)
{
	return log == NULL || log->pMethods->xSync(log, SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY) == SQLITE_OK;
}

static bool
db_synced(struct db *db, bool ok, struct err *err)
{
	db->unsynced = db->unsynced || !ok;
	return ok || err_set(err, EIO, "%s %s: cannot bring it to the disk", db->name, db->path);
}

bool
db_sync(struct db *db, struct err *err)
{
	if (!db->unsynced)
		return true;
	db->unsynced = false;
	return db_synced(db, db_log_sync(db_log_file(db)), err);
}

bool
db_tidy(struct db *db, int pages, struct err *err)
{
	int code;

	if (db->log_pages <= pages)
		return true;
	code = sqlite3_wal_checkpoint_v2(db->sql, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	if (code != SQLITE_OK && code != SQLITE_BUSY)
		return db_fail(db, "write its log back", err);
	db->log_pages = 0;	/* the next commit says how many there are */
	db->unsynced = db->unsynced && code == SQLITE_BUSY;
	return true;
}

bool
db_wait_begin(struct db *db, int pages, struct db_wait *w)
{
	*w = (struct db_wait){ .log = db->unsynced ? db_log_file(db) : NULL, .path = db->path, .tidy = db->log_pages > pages };
	db->unsynced = false;
	if (w->tidy)
		db->log_pages = 0;
	return w->log != NULL || w->tidy;
}

/* Another connection, which SQLite lets do this beside the first one. That it is not done is no harm: the log is as good. */
static void
db_wait_tidy(const char *path)
{
	sqlite3 *sql = NULL;

	if (sqlite3_open_v2(path, &sql, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
	    sqlite3_exec(sql, "PRAGMA schema_version", NULL, NULL, NULL) == SQLITE_OK)	/* before it has read it knows of no log */
		sqlite3_wal_checkpoint_v2(sql, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	sqlite3_close_v2(sql);
}

void
db_wait_run(struct db_wait *w)
{
	w->failed = !db_log_sync(w->log);
	if (w->tidy && !w->failed)
		db_wait_tidy(w->path);
}

bool
db_wait_end(struct db *db, const struct db_wait *w, struct err *err)
{
	return db_synced(db, !w->failed, err);
}

/* SQLite would write the log back itself here, in the midst of a commit that somebody waits for. */
static int
db_logged(void *arg, sqlite3 *sql, const char *name, int pages)
{
	struct db *db = arg;

	(void)sql;
	(void)name;
	db->unsynced = true;
	db->log_pages = pages;
	return SQLITE_OK;
}

bool
db_prepare(struct db *db, const char *sql, const char *what, struct db_query **ret, struct err *err)
{
	struct db_query *q;
	sqlite3_stmt *st;

	if (sqlite3_prepare_v2(db->sql, sql, -1, &st, NULL) != SQLITE_OK)
		return db_fail_tables(db, what, err);
	if ((q = malloc(sizeof(*q))) == NULL)
		abort();
	*q = (struct db_query){ .db = db, .st = st, .what = what };
	*ret = q;
	return true;
}

void
db_bind(struct db_query *q, int i, int64_t value)
{
	sqlite3_bind_int64(q->st, i, value);
}

void
db_bind_text(struct db_query *q, int i, const char *text)
{
	sqlite3_bind_text(q->st, i, text, -1, SQLITE_STATIC);
}

void
db_bind_bytes(struct db_query *q, int i, const void *bytes, size_t len)
{
	sqlite3_bind_blob64(q->st, i, bytes != NULL ? bytes : "", len, SQLITE_STATIC);	/* NULL would be no bytes but NULL */
}

void
db_bind_null(struct db_query *q, int i)
{
	sqlite3_bind_null(q->st, i);
}

enum db_answer
db_step(struct db_query *q, struct err *err)
{
	int code = sqlite3_step(q->st);

	if (code == SQLITE_ROW || code == SQLITE_DONE)
		return code == SQLITE_ROW ? DB_ROW : DB_DONE;
	db_fail(q->db, q->what, err);
	return DB_FAILED;
}

void
db_reset(struct db_query *q)
{
	sqlite3_reset(q->st);
	sqlite3_clear_bindings(q->st);
}

bool
db_run(struct db_query *q, struct err *err)
{
	enum db_answer answer;

	while ((answer = db_step(q, err)) == DB_ROW)
		;
	db_reset(q);
	return answer == DB_DONE;
}

void
db_query_close(struct db_query *q)
{
	if (q == NULL)
		return;
	sqlite3_finalize(q->st);
	free(q);
}

int64_t
db_column(struct db_query *q, int i)
{
	return sqlite3_column_int64(q->st, i);
}

bool
db_column_null(struct db_query *q, int i)
{
	return sqlite3_column_type(q->st, i) == SQLITE_NULL;
}

void
db_column_text(struct db_query *q, int i, char *buf, size_t size)
{
	const unsigned char *text = sqlite3_column_text(q->st, i);

	snprintf(buf, size, "%s", text != NULL ? (const char *)text : "");
}

const void *
db_column_bytes(struct db_query *q, int i, size_t *ret_len)
{
	const void *bytes = sqlite3_column_blob(q->st, i);

	*ret_len = (size_t)sqlite3_column_bytes(q->st, i);
	return bytes != NULL ? bytes : "";
}

int64_t
db_last_id(const struct db *db)
{
	return sqlite3_last_insert_rowid(db->sql);
}

int
db_changes(const struct db *db)
{
	return sqlite3_changes(db->sql);
}

/* ---------------------------------------------------------------- open and close */

#define READ_VERSION "read its version"
#define LOG_TRIES 20

/* The number that sql asks for, which has the part's name as ?1. */
static bool
db_number(struct db *db, const char *sql, const char *part, int *ret, struct err *err)
{
	struct db_query *q;
	enum db_answer answer;

	if (!db_prepare(db, sql, READ_VERSION, &q, err))
		return false;
	if (part != NULL)
		db_bind_text(q, 1, part);
	if ((answer = db_step(q, err)) == DB_ROW)
		*ret = (int)db_column(q, 0);
	else if (answer == DB_DONE)
		db_fail(db, READ_VERSION, err);
	db_query_close(q);
	return answer == DB_ROW;
}

static bool
db_version(struct db *db, const char *part, int *ret, struct err *err)
{
	int parts;

	if (part == NULL)
		return db_number(db, "PRAGMA user_version", NULL, ret, err);
	if (!db_number(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'part' AND ?1 != ''", part, &parts, err))
		return false;
	*ret = 0;			/* the table comes with the first part */
	return parts == 0 ||
	    db_number(db, "SELECT coalesce((SELECT version FROM part WHERE name = ?1), 0)", part, ret, err);
}

static bool
db_version_set(struct db *db, const char *part, int version, struct err *err)
{
	struct db_query *q;
	char sql[64];
	bool ok;

	snprintf(sql, sizeof(sql), "PRAGMA user_version = %d", version);
	if (part == NULL)
		return db_exec(db, sql, "set its version", err);
	if (!db_exec(db, "CREATE TABLE IF NOT EXISTS part (name TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID",
	    "set its version", err) ||
	    !db_prepare(db, "INSERT OR REPLACE INTO part (name, version) VALUES (?1, ?2)", "set its version", &q, err))
		return false;
	db_bind_text(q, 1, part);
	db_bind(q, 2, version);
	ok = db_run(q, err);
	db_query_close(q);
	return ok;
}

/* Bring the schema up to date, whole or not at all. */
static bool
db_migrate(struct db *db, const struct db_options *o, struct err *err)
{
	int version;

	if (!db_begin(db, err))		/* so that two who open at once do not both do it */
		return false;
	if (!db_version(db, o->part, &version, err))
		goto undo;
	for (; version < o->steps; version++) {
		if (sqlite3_exec(db->sql, o->schema[version], NULL, NULL, NULL) != SQLITE_OK) {
			db_fail_tables(db, "make its tables", err);
			goto undo;
		}
		if (!db_version_set(db, o->part, version + 1, err))
			goto undo;
	}
	return db_commit(db, err);
undo:
	db_rollback(db);
	return false;
}

/* SQLite does not wait where two who change the mode at once might wait for each other; a writer does. */
static bool
db_log(struct db *db, bool lazy, struct err *err)
{
	const char *sql = lazy ? "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 1048576" :
	    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 1048576";

	if (lazy)
		sqlite3_wal_hook(db->sql, db_logged, db);
	for (int tries = 0; tries < LOG_TRIES; tries++) {
		if (db_exec(db, sql, "set it up", err))
			return true;
		if (sqlite3_errcode(db->sql) != SQLITE_BUSY || !db_begin(db, err))
			return false;
		db_rollback(db);
	}
	return db_fail(db, "set it up", err);
}

static bool
db_setup(struct db *db, const struct db_options *o, struct err *err)
{
	int version, on = 1;

	sqlite3_busy_timeout(db->sql, o->patience_ms);
	if (!db_version(db, o->part, &version, err))
		return false;
	if (version > o->steps)
		return err_set(err, 0, "%s %s: made by a newer mailpair (version %d, known is %d): "
		    "install that one, or move the file aside", db->name, db->path, version, o->steps);
	if (version < 0)
		return db_spoil(db, err, "its version is no version");
	if (!o->write)
		return version > 0 ||
		    err_set(err, 0, "%s %s: nothing was written into it yet", db->name, db->path);
	/* counts for a fresh file only, before its first table; and would write something at every open */
	if (version == 0 && o->part == NULL && !db_exec(db, "PRAGMA auto_vacuum = INCREMENTAL", "set it up", err))
		return false;
	if (!db_log(db, o->lazy, err))
		return false;
	/* Readers that may not write into the directory need the -wal and -shm files to be there. */
	sqlite3_file_control(db->sql, NULL, SQLITE_FCNTL_PERSIST_WAL, &on);
	return version == o->steps || db_migrate(db, o, err);
}

/* Empty (a single byte is that, too) although a log lies beside it: SQLite would take it for a fresh one and remove the log. */
static bool
db_was_cut(const struct db *db)
{
	char wal[PATH_MAX + 8];
	struct stat st;

	snprintf(wal, sizeof(wal), "%s-wal", db->path);
	/* in this order: who makes a fresh one has filled the file before he begins a log */
	return stat(wal, &st) == 0 && stat(db->path, &st) == 0 && st.st_size <= 1;
}

struct db *
db_open(const struct db_options *o, bool *ret_ok, struct err *err)
{
	int flags = o->write ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
	struct db *db = calloc(1, sizeof(*db));
	struct stat st;

	if (db == NULL)
		abort();
	snprintf(db->path, sizeof(db->path), "%s", o->path);
	snprintf(db->name, sizeof(db->name), "%s", o->name);
	if (stat(o->path, &st) == 0) {
		db->dev = st.st_dev;
		db->ino = st.st_ino;
	}
	if (o->write && db_was_cut(db))
		*ret_ok = db_spoil(db, err, "it is empty, but its log is there");
	else if (sqlite3_open_v2(o->path, &db->sql, flags, NULL) != SQLITE_OK)
		*ret_ok = db_fail(db, "open it", err);
	else
		*ret_ok = db_setup(db, o, err);
	return db;
}

void
db_close(struct db *db)
{
	if (db == NULL)
		return;
	db_sync(db, NULL);
	sqlite3_close_v2(db->sql);
	free(db);
}

void
db_leave(struct db *db)
{
	if (db != NULL && db->sql != NULL)
		sqlite3_db_config(db->sql, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	db_close(db);
}

bool
db_in_place(const struct db *db)
{
	struct stat st;

	return stat(db->path, &st) == 0 && st.st_dev == db->dev && st.st_ino == db->ino;
}
