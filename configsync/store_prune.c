/*
 * configsync/store_prune.c - keeps the store within its bounds of age and of size, a little at a time.
 *
 * The age of a version counts from when the next one took its place: what stood for a year and was overwritten yesterday is what
 * somebody wants back today.
 */
#include "configsync/store_priv.h"

#include <stdlib.h>

#include "common/clock.h"

#define AT_ONCE 200u			/* versions in one commit */
#define LEFT_OVER_MS 3600000u		/* contents of a set that did not come within it */
#define FREE_PAGES "1024"

/* What has a successor, the longest superseded first. The other side of a conflict that is over counts from when it came. */
#define CANDIDATES \
	"SELECT v.id, CASE WHEN v.here THEN (SELECT s.wall_ms FROM config_version x JOIN config_set s ON s.id = x.set_id" \
	" WHERE x.path = v.path AND x.here AND x.id > v.id ORDER BY x.id LIMIT 1)" \
	" ELSE (SELECT wall_ms FROM config_set WHERE id = v.set_id) END AS gone_ms" \
	" FROM config_version v WHERE gone_ms IS NOT NULL ORDER BY gone_ms, v.id"

/* Asked again when it goes: meanwhile it may have become common, or a side. */
#define REMOVE \
	"DELETE FROM config_version AS v WHERE v.id = ?1" \
	" AND NOT EXISTS (SELECT 1 FROM config_path p WHERE p.id = v.path AND p.common = v.id)" \
	" AND NOT EXISTS (SELECT 1 FROM config_conflict c WHERE c.path = v.path AND v.id IN (c.mine, c.theirs))" \
	" RETURNING set_id, content, coalesce(length(entry), 0)"

struct candidate { uint64_t id, gone_ms; };
struct pruning {
	struct candidate *at;
	size_t		 len, next;
	uint64_t	 older_ms, bytes_max, bytes, removed;
	struct db_query	*remove, *orphan, *set;
};

static bool
candidates(struct store *s, struct pruning *p, struct err *err)
{
	struct db_query *q = store_ask(s, CANDIDATES, err);
	enum db_answer answer = q != NULL ? DB_ROW : DB_FAILED;
	size_t room = 0;

	while (answer != DB_FAILED && (answer = db_step(q, err)) == DB_ROW) {
		if (p->len == room && (p->at = realloc(p->at, (room = room * 2 + 256) * sizeof(*p->at))) == NULL)
			abort();
		p->at[p->len++] = (struct candidate){ (uint64_t)db_column(q, 0), (uint64_t)db_column(q, 1) };
	}
	db_query_close(q);
	return answer != DB_FAILED;
}

static bool
remove_content(struct store *s, uint64_t id, struct err *err)
{
	struct db_query *content = store_query(s, Q_CONTENT_REMOVE, err), *pieces = store_query(s, Q_PIECES_REMOVE, err);

	if (content == NULL || pieces == NULL)
		return false;
	db_bind(content, 1, (int64_t)id);
	db_bind(pieces, 1, (int64_t)(id << PIECES_BITS));
	db_bind(pieces, 2, (int64_t)((id + 1) << PIECES_BITS) - 1);
	return db_run(content, err) && db_run(pieces, err);
}

static bool
remove_version(struct store *s, struct pruning *p, uint64_t id, struct err *err)
{
	enum db_answer answer;
	uint64_t set, content, size, orphan = 0;

	db_bind(p->remove, 1, (int64_t)id);
	if ((answer = db_step(p->remove, err)) != DB_ROW) {
		db_reset(p->remove);
		return answer == DB_DONE;
	}
	set = (uint64_t)db_column(p->remove, 0);
	content = (uint64_t)db_column(p->remove, 1);
	p->bytes -= (uint64_t)db_column(p->remove, 2);
	p->removed++;
	if (!db_run(p->remove, err))
		return false;
	db_bind(p->set, 1, (int64_t)set);
	if (!db_run(p->set, err))
		return false;
	db_bind(p->orphan, 1, (int64_t)content);
	answer = db_step(p->orphan, err);
	if (answer == DB_ROW) {
		orphan = content;
		size = (uint64_t)db_column(p->orphan, 0);
		p->bytes -= size;
	}
	db_reset(p->orphan);
	return answer != DB_FAILED && (orphan == 0 || remove_content(s, orphan, err));
}

/* Some; *ret_more: there may be others. */
static bool
remove_some(struct store *s, struct pruning *p, bool *ret_more, struct err *err)
{
	size_t n;

	if (!store_begin_here(s, err))
		return false;
	for (n = 0; n < AT_ONCE && p->next < p->len; n++, p->next++) {
		if (p->at[p->next].gone_ms >= p->older_ms && p->bytes <= p->bytes_max)
			break;
		if (!remove_version(s, p, p->at[p->next].id, err))
			return store_undo(s);
	}
	*ret_more = n == AT_ONCE;
	return store_commit(s, err);
}

/* Contents whose set never came. */
static bool
remove_left_over(struct store *s, struct err *err)
{
	uint64_t now = clock_wall_ms(), id = 0;
	struct db_query *q = store_ask(s, "SELECT id FROM config_content c WHERE born_ms NOT BETWEEN ?1 AND ?2"
	    " AND NOT EXISTS (SELECT 1 FROM config_version v WHERE v.content = c.id) LIMIT 1", err);
	bool ok = q != NULL;

	while (ok) {
		if (!store_begin_here(s, err)) {
			ok = false;
			break;
		}
		db_bind(q, 1, (int64_t)(now - LEFT_OVER_MS));
		db_bind(q, 2, (int64_t)(now + LEFT_OVER_MS));
		ok = store_number(q, &id, err) && (id == 0 || remove_content(s, id, err));
		ok = ok ? store_commit(s, err) : store_undo(s);
		if (id == 0)
			break;
	}
	db_query_close(q);
	return ok;
}

/* Free pages back to the file system, so that others can write in between. */
static bool
shrink(struct store *s, struct err *err)
{
	struct db_query *q = store_ask(s, "PRAGMA freelist_count", err);
	uint64_t was = UINT64_MAX, is = 0;
	bool ok = q != NULL;

	while ((ok = ok && store_number(q, &is, err)) && is > 0 && is < was) {
		was = is;
		ok = db_exec(s->db, "PRAGMA incremental_vacuum(" FREE_PAGES ")", "make it smaller", err);
	}
	db_query_close(q);
	return ok;
}

/* Sides of conflicts and common versions stay: what makes them go is put, and has the time of its set. */
static void
left(struct store *s, const struct pruning *p)
{
	uint64_t now = clock_wall_ms(), loose_ms = s->bounds.known ? s->bounds.loose_ms : now;	/* of an earlier run: they are too young yet */

	s->bounds = (struct bounds){ .known = true, .bytes = p->bytes, .gone_ms = p->next < p->len ? p->at[p->next].gone_ms : UINT64_MAX };
	if (loose_ms != 0 && loose_ms + LEFT_OVER_MS >= now)
		s->bounds.loose_ms = loose_ms;
}

bool
store_prune_due(const struct store *s, uint64_t older_than_wall_ms, uint64_t bytes_max)
{
	const struct bounds *b = &s->bounds;

	return !b->known || b->gone_ms < older_than_wall_ms || (b->put && b->bytes > bytes_max) ||
	    (b->loose_ms != 0 && b->loose_ms + LEFT_OVER_MS < clock_wall_ms());
}

bool
store_prune(struct store *s, uint64_t older_than_wall_ms, uint64_t bytes_max, uint64_t *ret_removed, struct err *err)
{
	struct pruning p = { .older_ms = older_than_wall_ms, .bytes_max = bytes_max };
	struct store_totals totals;
	bool more = true, ok;

	store_lost(s);
	ok = store_look(s, err) && remove_left_over(s, err) && store_totals(s, &totals, err) && candidates(s, &p, err) &&
	    (p.remove = store_ask(s, REMOVE, err)) != NULL &&
	    (p.set = store_ask(s, "DELETE FROM config_set WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM config_version WHERE set_id = ?1)",
	    err)) != NULL &&
	    (p.orphan = store_ask(s, "SELECT size FROM config_content WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM config_version"
	    " WHERE content = ?1)", err)) != NULL;
	p.bytes = ok ? totals.bytes : 0;
	while (ok && more)
		ok = remove_some(s, &p, &more, err);
	db_query_close(p.remove);
	db_query_close(p.set);
	db_query_close(p.orphan);
	if (ok)
		left(s, &p);
	free(p.at);
	if (ok && ret_removed != NULL)
		*ret_removed = p.removed;
	return ok && shrink(s, err);
}
