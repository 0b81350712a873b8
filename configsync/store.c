/*
 * configsync/store.c - versions of files in journal.db: their tables, and how the journal is opened, left and begun anew.
 * Contents are store_content.c's, what is written store_put.c's, what is read store_list.c's.
 */
#include "configsync/store_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/journal.h"

#define LOCK_MS 2000
#define LOG_MOST 16000		/* pages of the log, whatever is to be done */
#define WHY_MAX 256
#define PROBE "mailpair"

static const char *const schema[] = {
	"CREATE TABLE config_seal (probe BLOB NOT NULL);"	/* PROBE, sealed: is this the key? */
	"CREATE TABLE config_path (id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, common INTEGER);"
	"CREATE TABLE config_set (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, node TEXT NOT NULL, who TEXT NOT NULL,"
	" why TEXT NOT NULL, cause INTEGER NOT NULL, wall_ms INTEGER NOT NULL, tenure INTEGER NOT NULL);"
	"CREATE TABLE config_content (id INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE, size INTEGER NOT NULL,"
	" whole INTEGER NOT NULL, born_ms INTEGER NOT NULL);"
	"CREATE TABLE config_piece (id INTEGER PRIMARY KEY, sealed BLOB NOT NULL);"
	/* before: the version that stood here before it, also when that one is not kept any more; entry NULL: a deletion */
	"CREATE TABLE config_version (id INTEGER PRIMARY KEY AUTOINCREMENT, path INTEGER NOT NULL, set_id INTEGER NOT NULL,"
	" before INTEGER, content INTEGER, here INTEGER NOT NULL, entry BLOB);"
	"CREATE INDEX config_version_path ON config_version (path, id);"
	"CREATE INDEX config_version_set ON config_version (set_id);"
	"CREATE INDEX config_version_content ON config_version (content) WHERE content IS NOT NULL;"
	"CREATE TABLE config_conflict (path INTEGER PRIMARY KEY, kind INTEGER NOT NULL, since_ms INTEGER NOT NULL,"
	" mine INTEGER NOT NULL, theirs INTEGER NOT NULL);"
	"CREATE TABLE config_rescued (name TEXT PRIMARY KEY) WITHOUT ROWID;",
};
#define STEPS ((int)(sizeof(schema) / sizeof(schema[0])))

static const char *const sentences[Q_COUNT] = {
	[Q_PATH_ADD] = "INSERT OR IGNORE INTO config_path (path) VALUES (?1)",
	[Q_PATH] = "SELECT id FROM config_path WHERE path = ?1",
	[Q_PATH_COMMON] = "UPDATE config_path SET common = ?2 WHERE id = ?1",
	[Q_SET_ADD] = "INSERT OR IGNORE INTO config_set (name, node, who, why, cause, wall_ms, tenure)"
	    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[Q_SET] = "SELECT id FROM config_set WHERE name = ?1",
	[Q_CONTENT_ADD] = "INSERT OR IGNORE INTO config_content (name, size, whole, born_ms) VALUES (?1, 0, 0, ?2)",
	[Q_CONTENT] = "SELECT id, whole, size FROM config_content WHERE name = ?1",
	[Q_CONTENT_WHOLE] = "UPDATE config_content SET whole = 1, size = ?2, born_ms = ?3 WHERE id = ?1 AND ?4 ="
	    " (SELECT count(*) FROM config_piece WHERE id BETWEEN ?1 << 20 AND (?1 << 20) + ?4 - 1)",
	[Q_CONTENT_REMOVE] = "DELETE FROM config_content WHERE id = ?1",
	[Q_PIECE_ADD] = "INSERT OR REPLACE INTO config_piece (id, sealed) VALUES (?1, ?2)",
	[Q_PIECE] = "SELECT sealed FROM config_piece WHERE id = ?1",
	[Q_PIECES_REMOVE] = "DELETE FROM config_piece WHERE id BETWEEN ?1 AND ?2",
	[Q_VERSION_ADD] = "INSERT INTO config_version (path, set_id, before, content, here, entry) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
	[Q_NEWEST] = "SELECT id FROM config_version WHERE path = ?1 AND here ORDER BY id DESC LIMIT 1",
	[Q_RECENT] = "SELECT " VERSION_COLUMNS VERSION_TABLES "WHERE v.path = ?1 AND v.here ORDER BY v.id DESC LIMIT 8",
	[Q_VERSION] = "SELECT " VERSION_COLUMNS VERSION_TABLES "WHERE v.id = ?1",
	[Q_CONFLICT_ADD] = "INSERT OR REPLACE INTO config_conflict (path, kind, since_ms, mine, theirs) VALUES (?1, ?2, ?3, ?4, ?5)",
	[Q_CONFLICT_END] = "DELETE FROM config_conflict WHERE path = ?1",
	[Q_MARK] = "UPDATE config_path AS p SET common = v.id FROM (SELECT path, max(id) AS id FROM config_version"
	    " WHERE set_id = ?1 AND here GROUP BY path) AS v WHERE p.id = v.path",
	[Q_RESCUED_ADD] = "INSERT OR IGNORE INTO config_rescued (name) VALUES (?1)",
	[Q_RESCUED] = "SELECT count(*) FROM config_rescued WHERE name = ?1",
};

/* ---------------------------------------------------------------- asking */

struct db_query *
store_query(struct store *s, enum query which, struct err *err)
{
	if (s->query[which] == NULL && !db_prepare(s->db, sentences[which], "use its versions", &s->query[which], err))
		return NULL;
	db_reset(s->query[which]);
	return s->query[which];
}

struct db_query *
store_ask(struct store *s, const char *sql, struct err *err)
{
	struct db_query *q;

	return db_prepare(s->db, sql, "read its versions", &q, err) ? q : NULL;
}

bool
store_number(struct db_query *q, uint64_t *ret, struct err *err)
{
	enum db_answer answer = db_step(q, err);

	*ret = answer == DB_ROW ? (uint64_t)db_column(q, 0) : 0;
	db_reset(q);
	return answer != DB_FAILED;
}

bool
store_damaged(struct store *s, struct err *err, const char *what)
{
	return db_spoil(s->db, err, what);
}

bool
store_spoilt(const struct store *s)
{
	return db_spoilt(s->db);
}

/* ---------------------------------------------------------------- open and close */

static void
store_detach(struct store *s, void (*close)(struct db *))
{
	store_later_join(s);
	for (int i = 0; i < Q_COUNT; i++) {
		db_query_close(s->query[i]);
		s->query[i] = NULL;
	}
	close(s->db);
	s->db = NULL;
}

/* Sealed with our key; a fresh one gets its probe. */
static bool
store_unlock(struct store *s, struct err *err)
{
	uint8_t sealed[sizeof(PROBE) + CIPHER_EXTRA], probe[sizeof(PROBE)] = "";
	struct db_query *q = store_ask(s, "SELECT probe FROM config_seal", err);
	enum db_answer answer = q != NULL ? db_step(q, err) : DB_FAILED;
	size_t len = 0;
	const void *bytes;
	bool ok = answer != DB_FAILED;

	if (answer == DB_ROW && (bytes = db_column_bytes(q, 0, &len), len == sizeof(sealed)))
		memcpy(sealed, bytes, len);
	db_query_close(q);
	if (!ok || !store_key(s->path, answer == DB_DONE && s->write, s->key, err))
		return false;
	if (answer == DB_ROW)
		return (len == sizeof(sealed) && cipher_open(s->key, "probe", 5, sealed, len, probe) && memcmp(probe, PROBE, sizeof(probe)) == 0) ||
		    err_set(err, EACCES, "journal %s: its versions are sealed with another key than config.key beside it: put that one back, or, "
		    "where it is lost, move the journal away; its history is lost then", s->path);
	if (!s->write)
		return err_set(err, 0, "journal %s: no version was written into it yet", s->path);
	if ((q = store_ask(s, "INSERT INTO config_seal SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM config_seal)", err)) == NULL)
		return false;
	cipher_seal(s->key, "probe", 5, PROBE, sizeof(PROBE), sealed);
	db_bind_bytes(q, 1, sealed, sizeof(sealed));
	ok = db_run(q, err);
	db_query_close(q);
	return ok;
}

/* In place of the one that was open, which stays where that fails; *ret_spoilt tells why it did. */
static bool
store_attach(struct store *s, char *spoilt_why, size_t size, struct err *err)
{
	struct db_options o = { .path = s->path, .name = "journal", .part = "config", .schema = schema, .steps = STEPS,
		.patience_ms = LOCK_MS, .write = s->write, .lazy = true };
	struct store fresh = { .write = s->write };
	bool ok;

	snprintf(fresh.path, sizeof(fresh.path), "%s", s->path);
	fresh.db = db_open(&o, &ok, err);
	for (enum query i = 0; ok && i < Q_COUNT; i++)		/* so that tables that are not ours show now */
		ok = store_query(&fresh, i, err) != NULL;
	ok = ok && store_unlock(&fresh, err);
	snprintf(spoilt_why, size, "%s", db_spoilt(fresh.db) ? db_why(fresh.db) : "");
	if (!ok) {
		store_detach(&fresh, db_close);
		return false;
	}
	if (s->db != NULL)
		store_detach(s, db_leave);
	s->db = fresh.db;
	s->bounds.known = false;
	store_lost(s);
	memcpy(s->query, fresh.query, sizeof(s->query));
	memcpy(s->key, fresh.key, sizeof(s->key));
	return true;
}

/* The journal's own part is there, and in order. condemned: it is moved aside whatever its own part is like. */
static bool
store_journal(const char *path, const char *condemned, struct err *err)
{
	struct journal *j;
	bool moved, ok = true;

	if (!journal_open(path, true, &j, &moved, err))
		return false;
	if (condemned != NULL && !moved) {
		journal_condemn(j, condemned);
		ok = journal_renew(&j, err);
	}
	journal_close(j);
	return ok;
}

static bool
store_reopen(struct store *s, const char *condemned, struct err *err)
{
	char why[WHY_MAX];

	if (s->write && !store_journal(s->path, condemned, err))
		return false;
	if (store_attach(s, why, sizeof(why), err))
		return !s->write || (store_rescue(s, &s->news, err) && store_sync(s, err));
	return s->write && why[0] != '\0' && store_journal(s->path, why, err) && store_attach(s, why, sizeof(why), err) &&
	    store_rescue(s, &s->news, err) && store_sync(s, err);
}

static void
store_tell(struct store *s, struct store_news *news)
{
	if (news != NULL)
		*news = s->news;
	s->news = (struct store_news){ .rescued = 0 };
}

bool
store_open(const char *journal, bool write, struct store **ret, struct store_news *news, struct err *err)
{
	struct store *s = calloc(1, sizeof(*s));

	if (s == NULL)
		abort();
	snprintf(s->path, sizeof(s->path), "%s", journal);
	s->write = write;
	if (!store_reopen(s, NULL, err)) {
		if (s->db != NULL)
			store_close(s);
		else
			free(s);
		return false;
	}
	store_tell(s, news);
	*ret = s;
	return true;
}

bool
store_renew(struct store *s, struct store_news *news, struct err *err)
{
	char why[WHY_MAX];
	bool still = db_in_place(s->db);

	snprintf(why, sizeof(why), "%s", db_why(s->db)[0] != '\0' ? db_why(s->db) : "its versions cannot be read");
	if (!store_reopen(s, still ? why : NULL, err))
		return false;
	store_tell(s, news);
	return true;
}

void
store_close(struct store *s)
{
	if (s == NULL)
		return;
	store_forget(s);
	store_later_forget(s);
	store_detach(s, db_close);
	explicit_bzero(s->key, sizeof(s->key));
	free(s);
}

void
store_new_name(char name[STORE_NAME_MAX])
{
	uint8_t random[16];

	digest_random(random, sizeof(random));
	digest_hex(random, sizeof(random), name);
}

/* ---------------------------------------------------------------- transactions */

bool
store_begin(struct store *s, struct err *err)
{
	for (int tries = 0; tries < 2; tries++) {
		bool begun = db_begin(s->db, err);

		if (db_in_place(s->db))
			return begun;
		if (begun)
			db_rollback(s->db);
		if (!store_reopen(s, NULL, err))
			return false;
	}
	return err_set(err, ESTALE, "journal %s: is moved aside again and again", s->path);
}

bool
store_begin_here(struct store *s, struct err *err)
{
	if (!db_begin(s->db, err))
		return false;
	if (db_in_place(s->db))
		return true;
	db_rollback(s->db);
	return err_set(err, ESTALE, "journal %s: was moved aside", s->path);
}

bool
store_look(struct store *s, struct err *err)
{
	return db_in_place(s->db) || store_reopen(s, NULL, err);
}

bool
store_sync(struct store *s, struct err *err)
{
	store_later_join(s);
	return db_sync(s->db, err);
}

bool
store_tidy(struct store *s, struct err *err)
{
	return db_tidy(s->db, LOG_MOST, err);
}

bool
store_undo(struct store *s)
{
	db_rollback(s->db);
	store_lost(s);
	return false;
}

bool
store_commit(struct store *s, struct err *err)
{
	if (!db_commit(s->db, err)) {
		store_lost(s);
		return false;
	}
	return db_in_place(s->db) || err_set(err, ESTALE, "journal %s: was moved aside meanwhile", s->path);
}
