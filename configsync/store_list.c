/*
 * configsync/store_list.c - what is in the store: history, common versions, conflicts, totals, and what a rollback would put back.
 */
#include "configsync/store_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- versions */

bool
store_row_open(struct store *s, struct db_query *q, struct store_row *r)
{
	struct store_version *v = &r->version;
	uint8_t about[ABOUT_MAX];
	const uint8_t *sealed;
	int64_t cause = db_column(q, 10);
	const void *path;
	size_t len;

	*r = (struct store_row){ .version = { .number = (uint64_t)db_column(q, 0), .kept = db_column(q, 3) != 0,
		.here = db_column(q, 4) != 0, .common = db_column(q, 5) != 0 } };
	path = db_column_bytes(q, 1, &len);
	snprintf(r->path, sizeof(r->path), "%.*s", (int)len, (const char *)path);
	v->path = r->path;
	db_column_text(q, 6, v->set.name, sizeof(v->set.name));
	db_column_text(q, 7, v->set.node, sizeof(v->set.node));
	db_column_text(q, 8, v->set.who, sizeof(v->set.who));
	db_column_text(q, 9, v->set.why, sizeof(v->set.why));
	v->set.cause = cause >= 0 && cause < STORE_CAUSE_COUNT ? (enum store_cause)cause : STORE_FOUND;
	v->set.wall_ms = (uint64_t)db_column(q, 11);
	v->set.tenure = (uint64_t)db_column(q, 12);
	if (db_column_null(q, 2))
		return true;
	sealed = db_column_bytes(q, 2, &len);
	if ((r->entry = malloc(len + 1)) == NULL)
		abort();
	if (!cipher_open(s->key, about, store_about_entry(about, r->path, v->set.name), sealed, len, r->entry)) {
		store_row_free(r);
		return false;
	}
	v->entry = r->entry;
	v->entry_len = len - CIPHER_EXTRA;
	return true;
}

bool
store_row(struct store *s, struct db_query *q, struct store_row *r, struct err *err)
{
	return store_row_open(s, q, r) || store_damaged(s, err, "a version of a file is damaged");
}

void
store_row_free(struct store_row *r)
{
	free(r->entry);
	r->entry = NULL;
}

/* Rows of a query that has its values; closes it. */
static bool
visit_rows(struct store *s, struct db_query *q, store_visit_f *visit, void *arg, struct err *err)
{
	enum db_answer answer = DB_ROW;
	struct store_row r;
	bool ok = true, more = true;

	while (ok && more && (answer = db_step(q, err)) == DB_ROW) {
		if ((ok = store_row(s, q, &r, err))) {
			more = visit(arg, &r.version);
			store_row_free(&r);
		}
	}
	db_query_close(q);
	return ok && answer != DB_FAILED;
}

bool
store_history(struct store *s, const char *path, const char *set, size_t n, store_visit_f *visit, void *arg, struct err *err)
{
	struct db_query *q;
	char sql[512];

	snprintf(sql, sizeof(sql), "SELECT " VERSION_COLUMNS VERSION_TABLES "WHERE %s AND %s ORDER BY v.id DESC LIMIT ?3",
	    path != NULL ? "v.path = (SELECT id FROM config_path WHERE path = ?1)" : "?1 IS NULL",
	    set != NULL ? "v.set_id = (SELECT id FROM config_set WHERE name = ?2)" : "?2 IS NULL");
	if (!store_look(s, err) || (q = store_ask(s, sql, err)) == NULL)
		return false;
	if (path != NULL)
		db_bind_bytes(q, 1, path, strlen(path));
	if (set != NULL)
		db_bind_text(q, 2, set);
	db_bind(q, 3, n < INT64_MAX ? (int64_t)n : INT64_MAX);
	return visit_rows(s, q, visit, arg, err);
}

bool
store_version(struct store *s, uint64_t number, store_visit_f *visit, void *arg, struct err *err)
{
	struct db_query *q;
	struct store_row r;
	enum db_answer answer;
	bool ok = false;

	if (!store_look(s, err) || (q = store_query(s, Q_VERSION, err)) == NULL)
		return false;
	db_bind(q, 1, (int64_t)number);
	answer = db_step(q, err);
	if (answer == DB_DONE)
		err_set(err, ENOENT, "journal %s: has no version %llu", s->path, (unsigned long long)number);
	if (answer == DB_ROW && (ok = store_row(s, q, &r, err))) {
		visit(arg, &r.version);
		store_row_free(&r);
	}
	db_reset(q);
	return ok;
}

bool
store_common(struct store *s, store_visit_f *visit, void *arg, struct err *err)
{
	struct db_query *q;

	if (!store_look(s, err) || (q = store_ask(s, "SELECT " VERSION_COLUMNS " FROM config_path p JOIN config_version v ON v.id = p.common"
	    " JOIN config_set s ON s.id = v.set_id", err)) == NULL)
		return false;
	return visit_rows(s, q, visit, arg, err);
}

/* ---------------------------------------------------------------- conflicts and totals */

bool
store_conflicts(struct store *s, bool (*visit)(void *, const struct store_conflict *), void *arg, struct err *err)
{
	struct db_query *q;
	enum db_answer answer = DB_ROW;
	char path[PATH_MAX];
	bool more = true;

	if (!store_look(s, err) || (q = store_ask(s, "SELECT p.path, c.kind, c.since_ms, c.mine, c.theirs FROM config_conflict c"
	    " JOIN config_path p ON p.id = c.path ORDER BY p.path", err)) == NULL)
		return false;
	while (more && (answer = db_step(q, err)) == DB_ROW) {
		struct store_conflict c = { .path = path, .kind = (int)db_column(q, 1), .since_ms = (uint64_t)db_column(q, 2),
			.mine = (uint64_t)db_column(q, 3), .theirs = (uint64_t)db_column(q, 4) };
		size_t len;
		const void *bytes = db_column_bytes(q, 0, &len);

		snprintf(path, sizeof(path), "%.*s", (int)len, (const char *)bytes);
		more = visit(arg, &c);
	}
	db_query_close(q);
	return answer != DB_FAILED;
}

bool
store_totals(struct store *s, struct store_totals *ret, struct err *err)
{
	struct db_query *q;
	bool ok;

	if (!store_look(s, err) || (q = store_ask(s, "SELECT (SELECT count(*) FROM config_set), (SELECT count(*) FROM config_version),"
	    " (SELECT count(*) FROM config_path), (SELECT count(*) FROM config_content WHERE whole),"
	    " (SELECT coalesce(sum(size), 0) FROM config_content) + (SELECT coalesce(sum(length(entry)), 0) FROM config_version),"
	    " (SELECT count(*) FROM config_conflict), (SELECT count(common) FROM config_path),"
	    " (SELECT coalesce(min(wall_ms), 0) FROM config_set)", err)) == NULL)
		return false;
	if ((ok = db_step(q, err) == DB_ROW))
		*ret = (struct store_totals){ .sets = (uint64_t)db_column(q, 0), .versions = (uint64_t)db_column(q, 1),
			.paths = (uint64_t)db_column(q, 2), .contents = (uint64_t)db_column(q, 3), .bytes = (uint64_t)db_column(q, 4),
			.conflicts = (uint64_t)db_column(q, 5), .common = (uint64_t)db_column(q, 6), .oldest_ms = (uint64_t)db_column(q, 7) };
	db_query_close(q);
	return ok;
}

/* ---------------------------------------------------------------- rollback */

/*
 * For each path that changed within what is to be taken back: the version that stood there before, whether there was one that is
 * not known or not kept, and whether there were changes since. ?1 is the set.
 */
#define GROUPS_OF(which) \
	"SELECT p.path, b.id, f.before IS NOT NULL OR s.cause = 0," \
	" EXISTS (SELECT 1 FROM config_version x WHERE x.path = g.path AND x.here AND x.id > g.last)" \
	" FROM (SELECT v.path AS path, min(v.id) AS first, max(v.id) AS last FROM config_version v WHERE v.here AND " which \
	" GROUP BY v.path) g JOIN config_path p ON p.id = g.path JOIN config_version f ON f.id = g.first" \
	" JOIN config_set s ON s.id = f.set_id LEFT JOIN config_version b ON b.id = f.before ORDER BY p.path"

static const char *const groups[] = {
	[STORE_UNDO] = GROUPS_OF("v.set_id = ?1"),
	[STORE_BACK_TO] = GROUPS_OF("v.id > (SELECT max(id) FROM config_version WHERE set_id = ?1)"),
};

/* The version that path went back to, into the step. */
static bool
step_fill(struct store *s, struct db_query *group, struct store_row *r, struct store_step *step, struct err *err)
{
	struct db_query *q = store_query(s, Q_VERSION, err);
	bool ok;

	if (db_column_null(group, 1)) {
		step->kind = db_column(group, 2) != 0 ? STORE_STEP_LOST : STORE_STEP_REMOVE;
		return true;
	}
	if (q == NULL)
		return false;
	db_bind(q, 1, db_column(group, 1));
	ok = db_step(q, err) == DB_ROW && store_row(s, q, r, err);
	db_reset(q);
	if (!ok)
		return false;
	step->kind = r->version.entry != NULL ? STORE_STEP_PUT : STORE_STEP_REMOVE;
	step->to = r->version.entry != NULL ? &r->version : NULL;
	return true;
}

bool
store_rollback(struct store *s, const char *set, enum store_back back, bool (*visit)(void *, const struct store_step *), void *arg,
    struct err *err)
{
	enum db_answer answer = DB_ROW;
	struct db_query *q;
	char path[PATH_MAX];
	uint64_t row;
	bool ok = true, more = true;

	if (!store_look(s, err) || (q = store_query(s, Q_SET, err)) == NULL)
		return false;
	db_bind_text(q, 1, set);
	if (!store_number(q, &row, err))
		return false;
	if (row == 0)
		return err_set(err, ENOENT, "journal %s: has no set %s", s->path, set);
	if ((q = store_ask(s, groups[back], err)) == NULL)
		return false;
	db_bind(q, 1, (int64_t)row);
	while (ok && more && (answer = db_step(q, err)) == DB_ROW) {
		struct store_step step = { .path = path, .moved_on = db_column(q, 3) != 0 };
		struct store_row r = { .entry = NULL };
		size_t len;
		const void *bytes = db_column_bytes(q, 0, &len);

		snprintf(path, sizeof(path), "%.*s", (int)len, (const char *)bytes);
		if ((ok = step_fill(s, q, &r, &step, err))) {
			more = visit(arg, &step);
			store_row_free(&r);
		}
	}
	db_query_close(q);
	return ok && answer != DB_FAILED;
}
