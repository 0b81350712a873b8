/*
 * common/journal.c - the history of a node in a small sqlite3 database; the only file that knows
 * sqlite3. Used by the scribe's child, which writes, and by the command line, which reads. Every
 * call may wait for the disk, and up to LOCK_MS for another process.
 *
 * What happens when is for others; here are the rows, their schema, and what to do about a database
 * that a power cut or a disk has spoilt. Each commit is on disk when it returns (WAL, synchronous
 * FULL); writers keep that cheap by committing batches.
 */
#include "common/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"

#define LOCK_MS 2000
#define ROWS_MAX 200000		/* whatever the dates: a wrong clock must not fill the disk */

struct journal {
	sqlite3		*db;
	sqlite3_stmt	*add;
	char		 path[PATH_MAX];
	bool		 write;
	bool		 spoilt;	/* found corrupt on the way: moved aside when closed */
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

/* Always false; remembers corruption. */
static bool
journal_fail(struct journal *j, const char *what, struct err *err)
{
	int code = j->db != NULL ? sqlite3_errcode(j->db) : SQLITE_NOMEM;

	if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
		j->spoilt = true;
	return err_set(err, code == SQLITE_BUSY ? EBUSY : code == SQLITE_FULL ? ENOSPC : EIO,
	    "journal %s: cannot %s: %s", j->path, what,
	    j->db != NULL ? sqlite3_errmsg(j->db) : "out of memory");
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
	return sqlite3_prepare_v2(j->db, sql, -1, ret, NULL) == SQLITE_OK || journal_fail(j, what, err);
}

/* ---------------------------------------------------------------- open and close */

/* Mode and group are set before sqlite3 sees the file; its -wal and -shm take after it. */
static bool
journal_create(const char *path, struct err *err)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	struct stat st;
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd == -1)
		return errno == EEXIST || err_set(err, errno, "journal %s: cannot create it", path);
	snprintf(dir, sizeof(dir), "%.*s", slash != NULL ? (int)(slash - path) : 1,
	    slash != NULL ? path : ".");
	/* Who may look into the directory may read the history: its group is the operators'. */
	if (stat(dir[0] != '\0' ? dir : "/", &st) == 0 && fchown(fd, (uid_t)-1, st.st_gid) == -1)
		st.st_gid = (gid_t)-1;		/* not root: it stays our own */
	fchmod(fd, 0640);
	close(fd);
	return true;
}

static void
journal_move_aside(const char *path)
{
	char when[CLOCK_RFC3339_MAX], from[PATH_MAX + 8], to[PATH_MAX + 64];

	clock_rfc3339(clock_wall_ms(), when);
	snprintf(to, sizeof(to), "%s.corrupt-%s", path, when);
	rename(path, to);
	/* The log belongs to the old file; a fresh one must not find it. */
	snprintf(from, sizeof(from), "%s-wal", path);
	snprintf(to, sizeof(to), "%s.corrupt-%s-wal", path, when);
	rename(from, to);
	snprintf(from, sizeof(from), "%s-shm", path);
	unlink(from);
}

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
		if (!journal_sql(j, schema[version], "make its tables", err) ||
		    !journal_sql(j, sql, "set its version", err))
			goto undo;
	}
	return journal_end(j, err);
undo:
	sqlite3_exec(j->db, "ROLLBACK", NULL, NULL, NULL);
	return false;
}

static bool
journal_setup(struct journal *j, struct err *err)
{
	int version, on = 1;

	sqlite3_busy_timeout(j->db, LOCK_MS);
	if (!journal_version(j, &version, err))
		return false;
	if (version > VERSION)
		return err_set(err, 0, "journal %s: made by a newer mailpair (version %d, known is %d): "
		    "install that one, or move the file aside", j->path, version, VERSION);
	if (!j->write)
		return version == VERSION ||
		    err_set(err, 0, "journal %s: nothing was written into it yet", j->path);
	/* auto_vacuum counts for a fresh file only, and only before its first table */
	if (!journal_sql(j, "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;"
	    "PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 1048576;", "set it up", err))
		return false;
	/* Readers that may not write into the directory need the -wal and -shm files to be there. */
	sqlite3_file_control(j->db, NULL, SQLITE_FCNTL_PERSIST_WAL, &on);
	return version == VERSION || journal_migrate(j, err);
}

/* Never NULL: a journal that was found spoilt is moved aside by closing it. */
static struct journal *
journal_try(const char *path, bool write, bool *ret_ok, struct err *err)
{
	int flags = write ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
	struct journal *j = calloc(1, sizeof(*j));

	if (j == NULL)
		abort();
	snprintf(j->path, sizeof(j->path), "%s", path);
	j->write = write;
	if (sqlite3_open_v2(path, &j->db, flags, NULL) != SQLITE_OK)
		*ret_ok = journal_fail(j, "open it", err);
	else
		*ret_ok = journal_setup(j, err);
	return j;
}

bool
journal_open(const char *path, bool write, struct journal **ret, bool *ret_moved, struct err *err)
{
	bool ok, moved = false;
	struct journal *j;

	for (;;) {
		if (write && !journal_create(path, err))
			return false;
		j = journal_try(path, write, &ok, err);
		if (ok)
			break;
		ok = j->spoilt && write && !moved;	/* then once more, with a fresh one */
		journal_close(j);
		if (!ok)
			return false;
		moved = true;		/* *err keeps what was wrong with it, for the log */
	}
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
	if (j->spoilt && j->write)
		journal_move_aside(j->path);
	free(j);
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

	if (j->add == NULL && !journal_prepare(j, "INSERT INTO event (" COLUMNS ")"
	    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)", "write", &j->add, err))
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

	if (!journal_prepare(j, "INSERT OR REPLACE INTO value (key, value) VALUES (?1, ?2)", "write",
	    &st, err))
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
	return journal_sql(j, sql, "remove old entries", err);
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
