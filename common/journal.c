/*
 * common/journal.c - the history of a node in a small database (common/db.h). Used by the scribe's child, which writes, and by
 * the command line, which reads. Every call may wait for the disk, and up to LOCK_MS for another process.
 *
 * What happens when is for others; here are the rows, their schema, and what becomes of a spoilt one (its files are
 * journal_files.c's). Each commit is on disk when it returns; writers keep that cheap by committing batches.
 */
#include "common/journal.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/db.h"
#include "common/journal_files.h"

#define LOCK_MS 2000
#define TRY_MS 100
#define ROWS_MAX 200000		/* whatever the dates: a wrong clock must not fill the disk */

struct journal {
	struct db	*db;
	struct db_query	*add;
	char		 path[PATH_MAX];
};

static const char *const schema[] = {
	"CREATE TABLE event (id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, wall_ms INTEGER NOT NULL,"
	" tenure INTEGER NOT NULL, transition INTEGER NOT NULL, took_ms INTEGER NOT NULL,"
	" ok INTEGER NOT NULL, name TEXT NOT NULL, \"from\" TEXT NOT NULL, \"to\" TEXT NOT NULL,"
	" text TEXT NOT NULL);"
	"CREATE INDEX event_transition ON event (transition, id) WHERE transition != 0;"
	"CREATE INDEX event_wall ON event (wall_ms);"
	"CREATE TABLE value (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;",
};
#define STEPS ((int)(sizeof(schema) / sizeof(schema[0])))

#define COLUMNS "kind, wall_ms, tenure, transition, took_ms, ok, name, \"from\", \"to\", text"
#define INSERT "INSERT INTO event (" COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
#define REPLACE "INSERT OR REPLACE INTO value (key, value) VALUES (?1, ?2)"

/* ---------------------------------------------------------------- open and close */

/* Also prepares what journal_add() needs. */
static bool
journal_tables(struct journal *j, struct err *err)
{
	struct db_query *put;

	if (!db_prepare(j->db, INSERT, "use its tables", &j->add, err) ||
	    !db_prepare(j->db, REPLACE, "use its tables", &put, err))
		return false;
	db_query_close(put);
	return true;
}

/* Never NULL. */
static struct journal *
journal_attempt(const char *path, bool write, int patience_ms, bool *ret_ok, struct err *err)
{
	struct db_options o = { .path = path, .name = "journal", .schema = schema, .steps = STEPS, .patience_ms = patience_ms,
		.write = write };
	struct journal *j = calloc(1, sizeof(*j));

	if (j == NULL)
		abort();
	snprintf(j->path, sizeof(j->path), "%s", path);
	j->db = db_open(&o, ret_ok, err);
	*ret_ok = *ret_ok && (!write || journal_tables(j, err));
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
	char was[256];
	bool ok, still = db_in_place(old->db);

	*j = NULL;
	snprintf(was, sizeof(was), "%s", db_why(old->db));
	db_query_close(old->add);
	db_leave(old->db);
	old->add = NULL;
	old->db = NULL;
	ok = !still || journal_files_aside(old->path, was, &moved);
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
	if (!ok && journal_spoilt(j) && write && ret_moved != NULL)
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
	db_query_close(j->add);
	db_close(j->db);
	free(j);
}

bool
journal_spoilt(const struct journal *j)
{
	return db_spoilt(j->db);
}

void
journal_condemn(struct journal *j, const char *why)
{
	db_spoil(j->db, NULL, why);
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
	return db_begin(j->db, err);
}

bool
journal_end(struct journal *j, struct err *err)
{
	return db_commit(j->db, err);
}

bool
journal_add(struct journal *j, const struct journal_event *e, struct err *err)
{
	if (j->add == NULL && !db_prepare(j->db, INSERT, "write", &j->add, err))
		return false;
	db_bind(j->add, 1, (int)e->kind);
	db_bind(j->add, 2, (int64_t)e->wall_ms);
	db_bind(j->add, 3, (int64_t)e->tenure);
	db_bind(j->add, 4, (int64_t)e->transition);
	db_bind(j->add, 5, e->took_ms);
	db_bind(j->add, 6, e->ok);
	db_bind_text(j->add, 7, e->name);
	db_bind_text(j->add, 8, e->from);
	db_bind_text(j->add, 9, e->to);
	db_bind_text(j->add, 10, e->text);
	return db_run(j->add, err);
}

bool
journal_put(struct journal *j, const char *key, const char *value, struct err *err)
{
	struct db_query *q;
	bool ok;

	if (!db_prepare(j->db, REPLACE, "write", &q, err))
		return false;
	db_bind_text(q, 1, key);
	db_bind_text(q, 2, value);
	ok = db_run(q, err);
	db_query_close(q);
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
	return db_exec(j->db, sql, "write", err);
}

/* ---------------------------------------------------------------- read */

static bool
journal_visit(struct db_query *q, bool (*visit)(void *, const struct journal_event *), void *arg, struct err *err)
{
	enum db_answer answer = DB_ROW;
	bool more = true;

	while (more && (answer = db_step(q, err)) == DB_ROW) {
		struct journal_event e = { .kind = JOURNAL_EVENT };
		int64_t kind = db_column(q, 0);

		if (kind >= 0 && kind < JOURNAL_KIND_COUNT)
			e.kind = (enum journal_kind)kind;
		e.wall_ms = (uint64_t)db_column(q, 1);
		e.tenure = (uint64_t)db_column(q, 2);
		e.transition = (uint64_t)db_column(q, 3);
		e.took_ms = (uint32_t)db_column(q, 4);
		e.ok = db_column(q, 5) != 0;
		db_column_text(q, 6, e.name, sizeof(e.name));
		db_column_text(q, 7, e.from, sizeof(e.from));
		db_column_text(q, 8, e.to, sizeof(e.to));
		db_column_text(q, 9, e.text, sizeof(e.text));
		more = visit(arg, &e);
	}
	db_query_close(q);
	return answer != DB_FAILED;
}

/* By number, not by date: the clock may have been set back in between. */
bool
journal_walk(struct journal *j, unsigned int kinds, size_t n,
    bool (*visit)(void *, const struct journal_event *), void *arg, struct err *err)
{
	struct db_query *q;

	if (!db_prepare(j->db, "SELECT " COLUMNS " FROM event WHERE (1 << kind) & ?1"
	    " ORDER BY id DESC LIMIT ?2", "read", &q, err))
		return false;
	db_bind(q, 1, kinds);
	db_bind(q, 2, n < INT64_MAX ? (int64_t)n : INT64_MAX);
	return journal_visit(q, visit, arg, err);
}

bool
journal_steps(struct journal *j, uint64_t transition,
    bool (*visit)(void *, const struct journal_event *), void *arg, struct err *err)
{
	struct db_query *q;

	if (!db_prepare(j->db, "SELECT " COLUMNS " FROM event WHERE transition = ?1 AND transition != 0"
	    " ORDER BY id", "read", &q, err))
		return false;
	db_bind(q, 1, (int64_t)transition);
	return journal_visit(q, visit, arg, err);
}

bool
journal_get(struct journal *j, const char *key, char *buf, size_t size, struct err *err)
{
	enum db_answer answer;
	struct db_query *q;

	if (!db_prepare(j->db, "SELECT value FROM value WHERE key = ?1", "read", &q, err))
		return false;
	db_bind_text(q, 1, key);
	if ((answer = db_step(q, err)) == DB_ROW)
		db_column_text(q, 0, buf, size);
	else if (answer == DB_DONE)
		err_set(err, ENOENT, "journal %s: has no value \"%s\"", j->path, key);
	db_query_close(q);
	return answer == DB_ROW;
}
