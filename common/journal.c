/*
 * common/journal.c - the history of a node in a small sqlite3 database; the only file that knows
 * sqlite3. Used by the scribe's child, which writes, and by the command line, which reads. Every
 * call may wait for the disk, and up to LOCK_MS for another process.
 *
 * What happens when is for others; here are the rows, their schema, and what tells a database that a
 * power cut or a disk has spoilt (its files are journal_files.c's). Each commit is on disk when it returns (WAL, synchronous
 * FULL); writers keep that cheap by committing batches.
 */
#include "common/journal.h"

#include <errno.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/journal_files.h"

#define LOCK_MS 2000
#define TRY_MS 100
#define ROWS_MAX 200000		/* whatever the dates: a wrong clock must not fill the disk */

struct journal {
	sqlite3		*db;
	sqlite3_stmt	*add;
	char		 path[PATH_MAX];
	bool		 write;
	bool		 spoilt;	/* found damaged on the way */
	dev_t		 dev;		/* which file it is: what was moved aside by another is not moved again */
	ino_t		 ino;
	char		 why[256];	/* spoilt: what was wrong */
};

/* Entry n makes version n + 1 out of version n. Never change one that was released: add one. */
static const char *const schema[] = {
	"CREATE TABLE event (id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, wall_ms INTEGER NOT NULL,"
	" tenure INTEGER NOT NULL, transition INTEGER NOT NULL, took_ms INTEGER NOT NULL,"
	" ok INTEGER NOT NULL, name TEXT NOT NULL, \"from\" TEXT NOT NULL, \"to\" TEXT NOT NULL,"
	" text TEXT NOT NULL);"
	"CREATE INDEX event_transition ON event (transition, id) WHERE transition != 0;"
	"CREATE INDEX event_wall ON event (wall_ms);"
	"CREATE TABLE value (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;",
};
#define VERSION ((int)(sizeof(schema) / sizeof(schema[0])))

#define COLUMNS "kind, wall_ms, tenure, transition, took_ms, ok, name, \"from\", \"to\", text"
#define INSERT "INSERT INTO event (" COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
#define REPLACE "INSERT OR REPLACE INTO value (key, value) VALUES (?1, ?2)"

/* Always false; remembers damage. */
static bool
journal_fail(struct journal *j, const char *what, struct err *err)
{
	int code = j->db != NULL ? sqlite3_errcode(j->db) : SQLITE_NOMEM;
	const char *why = j->db != NULL ? sqlite3_errmsg(j->db) : "out of memory";

	/* a constraint is none of ours: the tables are somebody else's */
	if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_CONSTRAINT)
		j->spoilt = true;
	if (j->spoilt && j->why[0] == '\0')
		snprintf(j->why, sizeof(j->why), "cannot %s: %s", what, why);
	err_set(err, 0, "journal %s: cannot %s: %s", j->path, what, why);
	if (err != NULL)		/* for those who ask; SQLite's own words are better than the system's */
		err->sys = code == SQLITE_BUSY ? EBUSY : code == SQLITE_FULL ? ENOSPC : EIO;
	return false;
}

/* What SQLite would not mind. Always false. */
static bool
journal_spoil(struct journal *j, struct err *err, const char *why)
{
	j->spoilt = true;
	snprintf(j->why, sizeof(j->why), "%s", why);
	return err_set(err, 0, "journal %s: %s", j->path, why);
}

/* The sentence is good, so a plain error of SQL says that the tables are not as we made them. */
static bool
journal_fail_tables(struct journal *j, const char *what, struct err *err)
{
	j->spoilt = j->spoilt || sqlite3_errcode(j->db) == SQLITE_ERROR;
	return journal_fail(j, what, err);
}

static bool
journal_sql(struct journal *j, const char *sql, const char *what, struct err *err)
{
	return sqlite3_exec(j->db, sql, NULL, NULL, NULL) == SQLITE_OK || journal_fail(j, what, err);
}

static bool
journal_prepare(struct journal *j, const char *sql, const char *what, sqlite3_stmt **ret,
    struct err *err)
{
	return sqlite3_prepare_v2(j->db, sql, -1, ret, NULL) == SQLITE_OK || journal_fail_tables(j, what, err);
}

/* ---------------------------------------------------------------- open and close */

static bool
journal_version(struct journal *j, int *ret, struct err *err)
{
	sqlite3_stmt *st;
	bool ok;

	if (!journal_prepare(j, "PRAGMA user_version", "read its version", &st, err))
		return false;
	if ((ok = sqlite3_step(st) == SQLITE_ROW))
		*ret = sqlite3_column_int(st, 0);
	else
		journal_fail(j, "read its version", err);
	sqlite3_finalize(st);
	return ok;
}

/* Bring the schema up to VERSION, each step whole or not at all. */
static bool
journal_migrate(struct journal *j, struct err *err)
{
	char sql[64];
	int version;

	if (!journal_begin(j, err))		/* so that two who open at once do not both do it */
		return false;
	if (!journal_version(j, &version, err))
		goto undo;
	for (; version < VERSION; version++) {
		snprintf(sql, sizeof(sql), "PRAGMA user_version = %d", version + 1);
		if (sqlite3_exec(j->db, schema[version], NULL, NULL, NULL) != SQLITE_OK) {
			journal_fail_tables(j, "make its tables", err);
			goto undo;
		}
		if (!journal_sql(j, sql, "set its version", err))
			goto undo;
	}
	return journal_end(j, err);
undo:
	sqlite3_exec(j->db, "ROLLBACK", NULL, NULL, NULL);
	return false;
}

/* Also prepares what journal_add() needs. */
static bool
journal_tables(struct journal *j, struct err *err)
{
	sqlite3_stmt *put;

	if (!journal_prepare(j, INSERT, "use its tables", &j->add, err) ||
	    !journal_prepare(j, REPLACE, "use its tables", &put, err))
		return false;
	sqlite3_finalize(put);
	return true;
}

static bool
journal_setup(struct journal *j, int patience_ms, struct err *err)
{
	int version, on = 1;

	sqlite3_busy_timeout(j->db, patience_ms);
	if (!journal_version(j, &version, err))
		return false;
	if (version > VERSION)
		return err_set(err, 0, "journal %s: made by a newer mailpair (version %d, known is %d): "
		    "install that one, or move the file aside", j->path, version, VERSION);
	if (version < 0)
		return journal_spoil(j, err, "its version is no version");
	if (!j->write)
		return version == VERSION ||
		    err_set(err, 0, "journal %s: nothing was written into it yet", j->path);
	/* counts for a fresh file only, before its first table; and would write something at every open */
	if (version == 0 && !journal_sql(j, "PRAGMA auto_vacuum = INCREMENTAL", "set it up", err))
		return false;
	if (!journal_sql(j, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 1048576",
	    "set it up", err))
		return false;
	/* Readers that may not write into the directory need the -wal and -shm files to be there. */
	sqlite3_file_control(j->db, NULL, SQLITE_FCNTL_PERSIST_WAL, &on);
	return (version == VERSION || journal_migrate(j, err)) && journal_tables(j, err);
}

/* Empty (a single byte is that, too) although a log lies beside it: SQLite would take it for a fresh one and remove the log. */
static bool
journal_was_cut(const struct journal *j, off_t size)
{
	char wal[PATH_MAX + 8];
	struct stat st;

	snprintf(wal, sizeof(wal), "%s-wal", j->path);
	return size >= 0 && size <= 1 && stat(wal, &st) == 0;
}

/* Never NULL. */
static struct journal *
journal_attempt(const char *path, bool write, int patience_ms, bool *ret_ok, struct err *err)
{
	int flags = write ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
	struct journal *j = calloc(1, sizeof(*j));
	struct stat st = { .st_size = -1 };

	if (j == NULL)
		abort();
	snprintf(j->path, sizeof(j->path), "%s", path);
	j->write = write;
	if (stat(path, &st) == 0) {
		j->dev = st.st_dev;
		j->ino = st.st_ino;
	}
	if (write && journal_was_cut(j, st.st_size))
		*ret_ok = journal_spoil(j, err, "it is empty, but its log is there");
	else if (sqlite3_open_v2(path, &j->db, flags, NULL) != SQLITE_OK)
		*ret_ok = journal_fail(j, "open it", err);
	else
		*ret_ok = journal_setup(j, patience_ms, err);
	return j;
}

/* The first thing in a journal that took another one's place. */
static bool
journal_tell_renewed(struct journal *j, const struct err *moved, struct err *err)
{
	struct journal_event e = { .kind = JOURNAL_TRANSITION, .wall_ms = clock_wall_ms(), .name = "journal begun anew" };

	snprintf(e.text, sizeof(e.text), "%s", moved->text);
	return journal_begin(j, err) && journal_add(j, &e, err) && journal_end(j, err);
}

bool
journal_renew(struct journal **j, struct err *err)
{
	struct journal *old = *j;
	struct err moved, why;
	struct stat st;
	bool ok, still;

	*j = NULL;
	sqlite3_finalize(old->add);
	if (old->db != NULL)		/* as it was found, so that somebody may look at it */
		sqlite3_db_config(old->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_close_v2(old->db);
	old->add = NULL;
	old->db = NULL;
	still = stat(old->path, &st) == 0 && st.st_dev == old->dev && st.st_ino == old->ino;
	ok = !still || journal_files_aside(old->path, old->why, &moved);
	if (!ok) {
		*err = moved;
	} else if (journal_open(old->path, true, j, NULL, &why) && (!still || journal_tell_renewed(*j, &moved, &why))) {
		*err = still ? moved : (struct err){ .text = "another process has moved the journal aside" };
	} else {
		*err = why;
		journal_close(*j);
		*j = NULL;
	}
	journal_close(old);
	return *j != NULL;
}

bool
journal_open(const char *path, bool write, struct journal **ret, bool *ret_moved, struct err *err)
{
	struct journal *j;
	struct err why;
	bool ok, moved = false;

	if (write && !journal_files_create(path, err))
		return false;
	j = journal_attempt(path, write, LOCK_MS, &ok, &why);
	if (!ok && j->spoilt && write && ret_moved != NULL)
		moved = ok = journal_renew(&j, &why);
	if (!ok) {
		journal_close(j);
		*err = why;
		return false;
	}
	if (moved)
		*err = why;
	if (ret_moved != NULL)
		*ret_moved = moved;
	*ret = j;
	return true;
}

void
journal_close(struct journal *j)
{
	if (j == NULL)
		return;
	sqlite3_finalize(j->add);
	sqlite3_close_v2(j->db);
	free(j);
}

bool
journal_spoilt(const struct journal *j)
{
	return j->spoilt;
}

bool
journal_writable(const char *path, struct err *err)
{
	struct journal *j;
	bool ok;

	if (access(path, F_OK) == -1 && errno == ENOENT)
		return true;
	j = journal_attempt(path, true, TRY_MS, &ok, err);
	ok = ok && journal_begin(j, err);
	journal_close(j);		/* rolls back */
	return ok;
}

/* ---------------------------------------------------------------- write */

bool
journal_begin(struct journal *j, struct err *err)
{
	return journal_sql(j, "BEGIN IMMEDIATE", "write", err);
}

bool
journal_end(struct journal *j, struct err *err)
{
	if (journal_sql(j, "COMMIT", "write", err))
		return true;
	sqlite3_exec(j->db, "ROLLBACK", NULL, NULL, NULL);
	return false;
}

bool
journal_add(struct journal *j, const struct journal_event *e, struct err *err)
{
	bool ok;

	if (j->add == NULL && !journal_prepare(j, INSERT, "write", &j->add, err))
		return false;
	sqlite3_bind_int(j->add, 1, (int)e->kind);
	sqlite3_bind_int64(j->add, 2, (sqlite3_int64)e->wall_ms);
	sqlite3_bind_int64(j->add, 3, (sqlite3_int64)e->tenure);
	sqlite3_bind_int64(j->add, 4, (sqlite3_int64)e->transition);
	sqlite3_bind_int64(j->add, 5, (sqlite3_int64)e->took_ms);
	sqlite3_bind_int(j->add, 6, e->ok);
	sqlite3_bind_text(j->add, 7, e->name, -1, SQLITE_STATIC);
	sqlite3_bind_text(j->add, 8, e->from, -1, SQLITE_STATIC);
	sqlite3_bind_text(j->add, 9, e->to, -1, SQLITE_STATIC);
	sqlite3_bind_text(j->add, 10, e->text, -1, SQLITE_STATIC);
	ok = sqlite3_step(j->add) == SQLITE_DONE || journal_fail(j, "write", err);
	sqlite3_reset(j->add);
	sqlite3_clear_bindings(j->add);
	return ok;
}

bool
journal_put(struct journal *j, const char *key, const char *value, struct err *err)
{
	sqlite3_stmt *st;
	bool ok;

	if (!journal_prepare(j, REPLACE, "write", &st, err))
		return false;
	sqlite3_bind_text(st, 1, key, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, value, -1, SQLITE_STATIC);
	ok = sqlite3_step(st) == SQLITE_DONE || journal_fail(j, "write", err);
	sqlite3_finalize(st);
	return ok;
}

bool
journal_prune(struct journal *j, uint64_t older_than_wall_ms, struct err *err)
{
	char sql[256];

	snprintf(sql, sizeof(sql), "DELETE FROM event WHERE wall_ms < %lld"
	    " OR id <= (SELECT max(id) FROM event) - %d; PRAGMA incremental_vacuum",
	    older_than_wall_ms < INT64_MAX ? (long long)older_than_wall_ms : (long long)INT64_MAX,
	    ROWS_MAX);
	return journal_sql(j, sql, "write", err);
}

/* ---------------------------------------------------------------- read */

static void
column_copy(sqlite3_stmt *st, int column, char *buf, size_t size)
{
	const unsigned char *text = sqlite3_column_text(st, column);

	snprintf(buf, size, "%s", text != NULL ? (const char *)text : "");
}

static bool
journal_visit(struct journal *j, sqlite3_stmt *st,
    bool (*visit)(void *, const struct journal_event *), void *arg, struct err *err)
{
	int code;
	bool more = true;

	while (more && (code = sqlite3_step(st)) == SQLITE_ROW) {
		struct journal_event e = { .kind = JOURNAL_EVENT };
		int kind = sqlite3_column_int(st, 0);

		if (kind >= 0 && kind < JOURNAL_KIND_COUNT)
			e.kind = (enum journal_kind)kind;
		e.wall_ms = (uint64_t)sqlite3_column_int64(st, 1);
		e.tenure = (uint64_t)sqlite3_column_int64(st, 2);
		e.transition = (uint64_t)sqlite3_column_int64(st, 3);
		e.took_ms = (uint32_t)sqlite3_column_int64(st, 4);
		e.ok = sqlite3_column_int(st, 5) != 0;
		column_copy(st, 6, e.name, sizeof(e.name));
		column_copy(st, 7, e.from, sizeof(e.from));
		column_copy(st, 8, e.to, sizeof(e.to));
		column_copy(st, 9, e.text, sizeof(e.text));
		more = visit(arg, &e);
	}
	if (more && code != SQLITE_DONE)
		journal_fail(j, "read", err);
	sqlite3_finalize(st);
	return !more || code == SQLITE_DONE;
}

/* By number, not by date: the clock may have been set back in between. */
bool
journal_walk(struct journal *j, unsigned int kinds, size_t n,
    bool (*visit)(void *, const struct journal_event *), void *arg, struct err *err)
{
	sqlite3_stmt *st;

	if (!journal_prepare(j, "SELECT " COLUMNS " FROM event WHERE (1 << kind) & ?1"
	    " ORDER BY id DESC LIMIT ?2", "read", &st, err))
		return false;
	sqlite3_bind_int64(st, 1, (sqlite3_int64)kinds);
	sqlite3_bind_int64(st, 2, n < INT64_MAX ? (sqlite3_int64)n : INT64_MAX);
	return journal_visit(j, st, visit, arg, err);
}

bool
journal_steps(struct journal *j, uint64_t transition,
    bool (*visit)(void *, const struct journal_event *), void *arg, struct err *err)
{
	sqlite3_stmt *st;

	if (!journal_prepare(j, "SELECT " COLUMNS " FROM event WHERE transition = ?1 AND transition != 0"
	    " ORDER BY id", "read", &st, err))
		return false;
	sqlite3_bind_int64(st, 1, (sqlite3_int64)transition);
	return journal_visit(j, st, visit, arg, err);
}

bool
journal_get(struct journal *j, const char *key, char *buf, size_t size, struct err *err)
{
	sqlite3_stmt *st;
	int code;

	if (!journal_prepare(j, "SELECT value FROM value WHERE key = ?1", "read", &st, err))
		return false;
	sqlite3_bind_text(st, 1, key, -1, SQLITE_STATIC);
	if ((code = sqlite3_step(st)) == SQLITE_ROW)
		column_copy(st, 0, buf, size);
	else if (code == SQLITE_DONE)
		err_set(err, ENOENT, "journal %s: has no value \"%s\"", j->path, key);
	else
		journal_fail(j, "read", err);
	sqlite3_finalize(st);
	return code == SQLITE_ROW;
}
