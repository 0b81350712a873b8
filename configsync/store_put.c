/*
 * configsync/store_put.c - sets of versions, written whole or not at all.
 */
#include "configsync/store_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* An entry belongs to one version of one path. */
size_t
store_about_entry(uint8_t about[ABOUT_MAX], const char *path, const char *set)
{
	size_t path_len = strnlen(path, PATH_MAX), set_len = strnlen(set, STORE_NAME_MAX);

	memcpy(about, path, path_len);
	about[path_len] = '\0';		/* so that no two pairs are the same bytes */
	memcpy(about + path_len + 1, set, set_len);
	return path_len + 1 + set_len;
}

bool
store_path_row(struct store *s, const char *path, uint64_t *ret, struct err *err)
{
	struct db_query *add = store_query(s, Q_PATH_ADD, err), *find = store_query(s, Q_PATH, err);

	if (add == NULL || find == NULL)
		return false;
	db_bind_bytes(find, 1, path, strlen(path));
	if (!store_number(find, ret, err) || *ret != 0)
		return *ret != 0;
	db_bind_bytes(add, 1, path, strlen(path));
	*ret = db_run(add, err) ? (uint64_t)db_last_id(s->db) : 0;
	return *ret != 0;
}

bool
store_set_row(struct store *s, const struct store_set *set, uint64_t *ret, struct err *err)
{
	struct db_query *add = store_query(s, Q_SET_ADD, err), *find = store_query(s, Q_SET, err);

	if (add == NULL || find == NULL)
		return false;
	db_bind_text(add, 1, set->name);
	db_bind_text(add, 2, set->node);
	db_bind_text(add, 3, set->who);
	db_bind_text(add, 4, set->why);
	db_bind(add, 5, set->cause);
	db_bind(add, 6, (int64_t)set->wall_ms);
	db_bind(add, 7, (int64_t)set->tenure);
	db_bind_text(find, 1, set->name);
	return db_run(add, err) && store_number(find, ret, err);
}

bool
store_newest(struct store *s, uint64_t path, uint64_t *ret, struct err *err)
{
	struct db_query *q = store_query(s, Q_NEWEST, err);

	if (q == NULL)
		return false;
	db_bind(q, 1, (int64_t)path);
	return store_number(q, ret, err);
}

bool
store_version_row(struct store *s, const struct version_row *v, uint64_t *ret, struct err *err)
{
	struct db_query *q = store_query(s, Q_VERSION_ADD, err);

	if (q == NULL)
		return false;
	db_bind(q, 1, (int64_t)v->path);
	db_bind(q, 2, (int64_t)v->set);
	if (v->before != 0)
		db_bind(q, 3, (int64_t)v->before);
	if (v->content != 0)
		db_bind(q, 4, (int64_t)v->content);
	db_bind(q, 5, v->here);
	if (v->entry != NULL)
		db_bind_bytes(q, 6, v->entry, v->entry_len);
	if (!db_run(q, err))
		return false;
	*ret = (uint64_t)db_last_id(s->db);
	return true;
}

static bool
put_content(struct store *s, const struct store_change *c, uint64_t *ret, struct err *err)
{
	uint8_t name[DIGEST_LEN];

	*ret = 0;
	if (c->digest == NULL)
		return true;
	store_content_name(s, c->digest, name);
	if (!store_content_find(s, name, ret, NULL, err))
		return false;
	return *ret != 0 || err_set(err, ENOENT, "the content of %s is not in the store", c->path);
}

static bool
put_change(struct store *s, const struct store_set *set, uint64_t set_row, const struct store_change *c, bool here, uint64_t *ret_path,
    uint64_t *ret, struct err *err)
{
	struct version_row v = { .set = set_row, .here = here, .entry_len = c->entry_len + CIPHER_EXTRA };
	uint8_t about[ABOUT_MAX], *sealed = NULL;
	bool ok;

	if (strlen(c->path) >= PATH_MAX)
		return err_set(err, ENAMETOOLONG, "a path of %zu bytes has no place in the store", strlen(c->path));
	if (!put_content(s, c, &v.content, err) || !store_path_row(s, c->path, &v.path, err) ||
	    (here && !store_newest(s, v.path, &v.before, err)))
		return false;
	if (c->entry != NULL) {
		if ((sealed = malloc(v.entry_len)) == NULL)
			abort();
		cipher_seal(s->key, about, store_about_entry(about, c->path, set->name), c->entry, c->entry_len, sealed);
	}
	v.entry = sealed;
	s->bounds.bytes += sealed != NULL ? v.entry_len : 0;
	*ret_path = v.path;
	ok = store_version_row(s, &v, ret, err);
	free(sealed);
	return ok;
}

/* The same bytes; with the stamp in them that is the same version. */
static bool
is_same(const struct store_row *r, const struct store_change *c)
{
	return (r->entry == NULL) == (c->entry == NULL) && r->version.kept == (c->digest != NULL) &&
	    (c->entry == NULL || (r->version.entry_len == c->entry_len && memcmp(r->entry, c->entry, c->entry_len) == 0));
}

/*
 * Is the newest version at its path one of this set, with these very bytes? What becomes common may have been followed by others since.
 * *ret: its number, or 0.
 */
static bool
find_same(struct store *s, const struct store_set *set, const struct store_change *c, uint64_t *ret_path, uint64_t *ret, struct err *err)
{
	struct db_query *q = store_query(s, Q_RECENT, err);
	enum db_answer answer;
	struct store_row r;
	bool more = true;

	*ret = 0;
	if (q == NULL || !store_path_row(s, c->path, ret_path, err))
		return false;
	db_bind(q, 1, (int64_t)*ret_path);
	while (more && (answer = db_step(q, err)) == DB_ROW && store_row_open(s, q, &r)) {
		if (is_same(&r, c) && (strcmp(r.version.set.name, set->name) == 0 || (c->common && c->entry != NULL)))
			*ret = r.version.number;
		more = *ret == 0 && c->common && c->entry != NULL;
		store_row_free(&r);
	}
	db_reset(q);
	return !more || answer != DB_FAILED;
}

static bool
put_marks(struct store *s, const struct store_change *c, uint64_t path, uint64_t version, struct err *err)
{
	struct db_query *common = store_query(s, Q_PATH_COMMON, err), *end = store_query(s, Q_CONFLICT_END, err);

	if (common == NULL || end == NULL)
		return false;
	db_bind(common, 1, (int64_t)path);
	db_bind(common, 2, (int64_t)version);
	db_bind(end, 1, (int64_t)path);
	return (!c->common || db_run(common, err)) && (!c->settles || db_run(end, err));
}

static bool
put_changes(struct store *s, const struct store_set *set, uint64_t row, bool again, const struct store_change *c, size_t n,
    struct err *err)
{
	uint64_t path, version = 0;

	for (size_t i = 0; i < n; i++) {
		if (again && !find_same(s, set, &c[i], &path, &version, err))
			return false;
		if (version == 0 && !put_change(s, set, row, &c[i], true, &path, &version, err))
			return false;
		if (!put_marks(s, &c[i], path, version, err))
			return false;
		version = 0;
	}
	return true;
}

static bool
put_disputes(struct store *s, const struct store_set *set, uint64_t row, const struct store_dispute *d, size_t n, struct err *err)
{
	uint64_t path, mine, theirs;

	for (size_t i = 0; i < n; i++) {
		struct db_query *q = store_query(s, Q_CONFLICT_ADD, err);

		if (q == NULL || !put_change(s, set, row, &d[i].mine, true, &path, &mine, err) ||
		    !put_change(s, set, row, &d[i].theirs, false, &path, &theirs, err))
			return false;
		db_bind(q, 1, (int64_t)path);
		db_bind(q, 2, d[i].kind);
		db_bind(q, 3, (int64_t)set->wall_ms);
		db_bind(q, 4, (int64_t)mine);
		db_bind(q, 5, (int64_t)theirs);
		if (!db_run(q, err))
			return false;
	}
	return true;
}

/* Their contents, where they wait. Those of others wait on: this commit is no longer than it has to be. */
static bool
flush_contents(struct store *s, const struct store_change *c, const struct store_dispute *d, size_t n, struct err *err)
{
	bool ok = true;

	for (size_t i = 0; ok && i < n; i++) {
		const uint8_t *mine = d != NULL ? d[i].mine.digest : c[i].digest, *theirs = d != NULL ? d[i].theirs.digest : NULL;

		ok = (mine == NULL || store_flush_one(s, mine, err)) && (theirs == NULL || store_flush_one(s, theirs, err));
	}
	return ok;
}

static void
forget_contents(struct store *s, const struct store_change *c, const struct store_dispute *d, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const uint8_t *mine = d != NULL ? d[i].mine.digest : c[i].digest, *theirs = d != NULL ? d[i].theirs.digest : NULL;

		if (mine != NULL)
			store_forget_one(s, mine);
		if (theirs != NULL)
			store_forget_one(s, theirs);
	}
}

/* Changes or disputes; their contents that wait go with them. */
static bool
put(struct store *s, const struct store_set *set, const struct store_change *c, const struct store_dispute *d, size_t n, struct err *err)
{
	struct db_query *find;
	uint64_t row;
	bool again;

	if (!store_begin(s, err))
		return false;
	if ((find = store_query(s, Q_SET, err)) == NULL)
		return store_undo(s);
	db_bind_text(find, 1, set->name);
	if (!store_number(find, &row, err))
		return store_undo(s);
	again = row != 0;
	s->bounds.put = true;
	s->bounds.gone_ms = set->wall_ms < s->bounds.gone_ms ? set->wall_ms : s->bounds.gone_ms;
	for (size_t i = 0; c != NULL && i < n; i++)
		s->bounds.known = s->bounds.known && !c[i].settles;	/* sides of a conflict may go now, and they are older */
	if (!flush_contents(s, c, d, n, err) || (!again && !store_set_row(s, set, &row, err)))
		return store_undo(s);
	if (d != NULL ? !again && !put_disputes(s, set, row, d, n, err) : !put_changes(s, set, row, again, c, n, err))
		return store_undo(s);
	if (!store_commit(s, err))
		return false;
	forget_contents(s, c, d, n);
	return true;
}

bool
store_put(struct store *s, const struct store_set *set, const struct store_change *c, size_t n, struct err *err)
{
	return put(s, set, c, NULL, n, err);
}

bool
store_dispute(struct store *s, const struct store_set *set, const struct store_dispute *d, size_t n, struct err *err)
{
	return put(s, set, NULL, d, n, err);
}

bool
store_mark_common(struct store *s, const char *set, struct err *err)
{
	struct db_query *find, *mark;
	uint64_t row;

	if (!store_begin(s, err))
		return false;
	s->bounds.known = false;
	find = store_query(s, Q_SET, err);
	mark = store_query(s, Q_MARK, err);
	if (find == NULL || mark == NULL)
		return store_undo(s);
	db_bind_text(find, 1, set);
	if (!store_number(find, &row, err))
		return store_undo(s);
	db_bind(mark, 1, (int64_t)row);
	if (row == 0)
		err_set(err, ENOENT, "journal %s: has no set %s", s->path, set);
	if (row == 0 || !db_run(mark, err))
		return store_undo(s);
	return store_commit(s, err);
}
