/*
 * configsync/store_rescue.c - versions out of journals that were spoilt and moved aside, into the one that took their place.
 *
 * Each version is asked for by its number, so that a damaged page costs what stands on it and no more. What comes is what its seal
 * says is whole, so nothing wrong is carried over. Nothing is changed in what lies aside.
 */
#include "configsync/store_priv.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MISSES_MAX 10000u	/* where not even the last number can be read: after so many that are not there */

static const char VERSION[] = "SELECT " VERSION_COLUMNS ", v.before, c.name, c.size, v.content, k.kind, k.since_ms,"
    " k.mine IS v.id, k.theirs IS v.id" VERSION_TABLES "LEFT JOIN config_content c ON c.id = v.content AND c.whole"
    " LEFT JOIN config_conflict k ON k.path = v.path AND v.id IN (k.mine, k.theirs) WHERE v.id = ?1";

enum { R_VERSION, R_PIECE, R_THERE, R_CONFLICT, R_MINE, R_THEIRS, R_COUNT };	/* the first two ask what lies aside */

struct rescue {
	struct store	*to;
	struct db	*from;
	struct db_query	*query[R_COUNT];
	uint64_t	*numbers;	/* there -> here */
	size_t		 room;
	uint64_t	 moved;		/* bytes since the last commit */
	uint64_t	 rescued, lost;
	bool		 unreadable;
};

/* In memory: what lies aside is damaged, and a content goes over whole or not at all. *ret: its row, 0: it could not be read. */
static bool
rescue_content(struct rescue *r, const uint8_t name[DIGEST_LEN], uint64_t size, uint64_t id, uint64_t *ret, struct err *err)
{
	uint64_t pieces = size == 0 ? 1 : (size + PIECE - 1) / PIECE, n;
	uint8_t *buf;

	if (!store_content_find(r->to, name, ret, NULL, err) || *ret != 0)
		return *ret != 0;
	if ((buf = malloc(PIECE)) == NULL)
		abort();
	for (n = 0; n < pieces; n++) {
		size_t len;
		uint8_t about[ABOUT_MAX];
		const uint8_t *sealed;

		db_reset(r->query[R_PIECE]);
		db_bind(r->query[R_PIECE], 1, (int64_t)(id << PIECES_BITS | n));
		if (db_step(r->query[R_PIECE], NULL) != DB_ROW)
			break;
		sealed = db_column_bytes(r->query[R_PIECE], 0, &len);
		if (len > PIECE + CIPHER_EXTRA ||
		    !cipher_open(r->to->key, about, store_about_piece(about, name, n), sealed, len, buf) ||
		    len - CIPHER_EXTRA != (n + 1 < pieces ? PIECE : size - n * PIECE))
			break;
		store_wait(r->to, name, n, buf, len - CIPHER_EXTRA, n + 1 == pieces, size);
		r->moved += len;
	}
	db_reset(r->query[R_PIECE]);
	explicit_bzero(buf, PIECE);
	free(buf);
	if (n < pieces)
		store_forget(r->to);
	else if (!store_flush(r->to, err) || !store_content_find(r->to, name, ret, NULL, err))
		return false;
	store_forget(r->to);
	return true;
}

/* The version is there already, from an earlier try. */
static bool
rescue_there(struct rescue *r, uint64_t path, uint64_t set, bool here, uint64_t *ret, struct err *err)
{
	db_bind(r->query[R_THERE], 1, (int64_t)path);
	db_bind(r->query[R_THERE], 2, (int64_t)set);
	db_bind(r->query[R_THERE], 3, here);
	return store_number(r->query[R_THERE], ret, err);
}

static bool
rescue_marks(struct rescue *r, const struct store_row *row, uint64_t path, uint64_t number, struct err *err)
{
	struct db_query *q = store_query(r->to, Q_PATH_COMMON, err), *side;

	if (q == NULL)
		return false;
	db_bind(q, 1, (int64_t)path);
	db_bind(q, 2, (int64_t)number);
	if (row->version.common && !db_run(q, err))
		return false;
	db_reset(q);
	if (db_column_null(r->query[R_VERSION], 17))
		return true;
	db_bind(r->query[R_CONFLICT], 1, (int64_t)path);
	db_bind(r->query[R_CONFLICT], 2, db_column(r->query[R_VERSION], 17));
	db_bind(r->query[R_CONFLICT], 3, db_column(r->query[R_VERSION], 18));
	side = db_column(r->query[R_VERSION], 19) != 0 ? r->query[R_MINE] : r->query[R_THEIRS];
	db_bind(side, 1, (int64_t)path);
	db_bind(side, 2, (int64_t)number);
	return db_run(r->query[R_CONFLICT], err) && db_run(side, err);
}

/* The row that r->query[R_VERSION] stands on; false: the new journal fails. */
static bool
rescue_row(struct rescue *r, const struct store_row *row, uint64_t old, struct err *err)
{
	struct version_row v = { .here = row->version.here };
	uint64_t before = (uint64_t)db_column(r->query[R_VERSION], 13), number;
	const uint8_t *name, *entry;
	size_t name_len;

	entry = db_column_bytes(r->query[R_VERSION], 2, &v.entry_len);
	v.entry = db_column_null(r->query[R_VERSION], 2) ? NULL : entry;
	name = db_column_bytes(r->query[R_VERSION], 14, &name_len);
	if (!store_path_row(r->to, row->path, &v.path, err) || !store_set_row(r->to, &row->version.set, &v.set, err) ||
	    !rescue_there(r, v.path, v.set, v.here, &number, err))
		return false;
	if (number == 0) {
		if (name_len == DIGEST_LEN &&
		    !rescue_content(r, name, (uint64_t)db_column(r->query[R_VERSION], 15), (uint64_t)db_column(r->query[R_VERSION], 16), &v.content, err))
			return false;
		r->lost += row->version.kept && v.content == 0;
		/* before itself is lost: a number that no version has, so that it is known to be missing */
		v.before = before == 0 ? 0 : before < r->room && r->numbers[before] != 0 ? r->numbers[before] : (uint64_t)INT64_MAX;
		if (!store_version_row(r->to, &v, &number, err) || !rescue_marks(r, row, v.path, number, err))
			return false;
		r->rescued++;
	}
	if (old >= r->room) {
		size_t room = old * 2 + 256;

		if ((r->numbers = realloc(r->numbers, room * sizeof(*r->numbers))) == NULL)
			abort();
		memset(r->numbers + r->room, 0, (room - r->room) * sizeof(*r->numbers));
		r->room = room;
	}
	r->numbers[old] = number;
	r->moved += v.entry_len;
	return true;
}

/* Commits now and then: others write into the same journal. */
static bool
rescue_pause(struct rescue *r, struct err *err)
{
	if (r->moved < BATCH)
		return true;
	r->moved = 0;
	return store_commit(r->to, err) && store_begin_here(r->to, err);
}

static bool
rescue_versions(struct rescue *r, struct err *err)
{
	uint64_t max = 0, misses = 0;
	struct db_query *q;
	bool known = db_prepare(r->from, "SELECT max(id) FROM config_version", "read", &q, NULL), ok = true;

	if (known) {
		known = store_number(q, &max, NULL);
		db_query_close(q);
	}
	for (uint64_t id = 1; ok && (known ? id <= max : misses < MISSES_MAX); id++) {
		struct store_row row;
		enum db_answer answer;

		db_bind(r->query[R_VERSION], 1, (int64_t)id);
		answer = db_step(r->query[R_VERSION], NULL);
		misses = answer == DB_ROW ? 0 : misses + 1;
		if (answer == DB_ROW && store_row_open(r->to, r->query[R_VERSION], &row)) {
			ok = rescue_row(r, &row, id, err) && rescue_pause(r, err);
			store_row_free(&row);
		} else if (answer != DB_DONE) {
			r->lost++;
		}
		db_reset(r->query[R_VERSION]);
	}
	return ok;
}

static bool
rescue_prepare(struct rescue *r, struct err *err)
{
	return (r->query[R_THERE] = store_ask(r->to, "SELECT id FROM config_version WHERE path = ?1 AND set_id = ?2 AND here = ?3", err)) != NULL &&
	    (r->query[R_CONFLICT] = store_ask(r->to, "INSERT OR IGNORE INTO config_conflict VALUES (?1, ?2, ?3, 0, 0)", err)) != NULL &&
	    (r->query[R_MINE] = store_ask(r->to, "UPDATE config_conflict SET mine = ?2 WHERE path = ?1", err)) != NULL &&
	    (r->query[R_THEIRS] = store_ask(r->to, "UPDATE config_conflict SET theirs = ?2 WHERE path = ?1", err)) != NULL;
}

/* Within a transaction of the new one. Nothing at all may be readable; then nothing is rescued. */
static bool
rescue_from(struct rescue *r, const char *path, struct err *err)
{
	struct db_options o = { .path = path, .name = "spoilt journal", .part = "config", .steps = INT_MAX };
	bool readable, ok;

	r->from = db_open(&o, &readable, NULL);
	readable = readable && db_prepare(r->from, VERSION, "read", &r->query[R_VERSION], NULL) &&
	    db_prepare(r->from, "SELECT sealed FROM config_piece WHERE id = ?1", "read", &r->query[R_PIECE], NULL);
	r->unreadable = !readable && db_spoilt(r->from);
	ok = !readable || (rescue_prepare(r, err) && rescue_versions(r, err));
	for (int i = 0; i < R_COUNT; i++) {
		db_query_close(r->query[i]);
		r->query[i] = NULL;
	}
	free(r->numbers);
	r->numbers = NULL;
	r->room = 0;
	db_leave(r->from);
	return ok;
}

static bool
rescue_note(struct store *s, const char *name, enum query which, uint64_t *ret, struct err *err)
{
	struct db_query *q = store_query(s, which, err);

	if (q == NULL)
		return false;
	db_bind_text(q, 1, name);
	return store_number(q, ret, err);
}

static bool
rescue_one(struct store *s, const char *path, struct store_news *news, struct err *err)
{
	struct rescue r = { .to = s };
	const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
	uint64_t done, none;
	size_t len;

	if (!rescue_note(s, name, Q_RESCUED, &done, err))
		return false;
	if (done != 0)
		return true;
	if (!store_begin_here(s, err))
		return false;
	if (!rescue_from(&r, path, err) || !rescue_note(s, name, Q_RESCUED_ADD, &none, err))
		return store_undo(s);
	if (!store_commit(s, err))
		return false;
	news->rescued += r.rescued;
	news->lost += r.lost;
	if (!r.unreadable && r.rescued + r.lost == 0)
		return true;
	len = strlen(news->text);
	if (r.unreadable)
		snprintf(news->text + len, sizeof(news->text) - len, "%s%s is spoilt too much: what versions of configuration were in it is not "
		    "known", len > 0 ? "; " : "", name);
	else
		snprintf(news->text + len, sizeof(news->text) - len, "%s%llu versions of configuration were carried over from %s, %llu could not be "
		    "read, or not whole", len > 0 ? "; " : "", (unsigned long long)r.rescued, name, (unsigned long long)r.lost);
	return true;
}

bool
store_rescue(struct store *s, struct store_news *news, struct err *err)
{
	char pattern[PATH_MAX * 2 + 16], *to = pattern;
	struct waiting mine = s->waiting;		/* what the caller has added is no part of this */
	glob_t g = { .gl_pathc = 0 };
	bool ok = true;

	for (const char *c = s->path; *c != '\0'; c++) {
		if (strchr("*?[\\", *c) != NULL)
			*to++ = '\\';
		*to++ = *c;
	}
	snprintf(to, 16, ".corrupt-*Z");		/* by their dates; neither -wal nor -shm */
	s->waiting = (struct waiting){ .bytes = 0 };
	glob(pattern, 0, NULL, &g);
	for (size_t i = 0; ok && i < g.gl_pathc; i++)
		ok = rescue_one(s, g.gl_pathv[i], news, err);
	globfree(&g);
	store_forget(s);
	s->waiting = mine;
	return ok;
}
