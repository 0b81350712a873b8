/*
 * configsync/core_sync.c - news of both nodes while they are linked, and what becomes common by them; orders. Pure.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/sort.h"
#include "configsync/core_priv.h"

#define NEWS_MOST (WIRE_MAX / 4 * 3)	/* bytes of one message, with the contents that go along */
#define ENTRY_MOST (WIRE_MAX / 2)	/* of one entry: more is said to be too large */

void
core_relate(struct core *c, struct row *r)
{
	struct ext *x = r->ext;
	bool unread;

	if (x == NULL || core_installing(c, r))
		return;		/* what stands here is about to be another version: it is seen to afterwards */
	if (core_unread(c, r, true))
		return;		/* what is not known is not gone */
	unread = core_unread(c, r, false);
	if (!unread && version_diff(x->m, x->t) == 0) {
		if (x->st > x->sm) {
			x->sm = x->st;
			core_say(c, r);
		}
		if (x->st == x->sm && r->stamp != x->sm) {
			r->stamp = x->sm;
			version_id(x->m, x->base_id);
			core_store(c, r, x->m, x->sm, true, true);
		}
	}
	if ((x->st & 1) == c->side && x->st < x->sm && x->st > r->stamp) {
		r->stamp = x->st;	/* they have an older one of mine, perhaps the same as the one of now */
		version_id(x->t, x->base_id);
		core_store(c, r, x->t, x->st, true, true);
	} else if (!unread && (x->sm & 1) != c->side && x->sm < x->st && x->sm > r->stamp) {
		r->stamp = x->sm;	/* here is an older one of theirs */
		version_id(x->m, x->base_id);
		core_store(c, r, x->m, x->sm, true, true);
	}
}

enum diff_writers
core_writers(const struct core *c, bool *ret_none)
{
	bool mine = c->role == WIRE_ROLE_ACTIVE, theirs = c->peer_hello.role == WIRE_ROLE_ACTIVE;

	*ret_none = false;
	if (c->o.both_write)
		return WRITERS_BOTH;
	if (mine && theirs) {
		mine = c->tenure > c->peer_hello.tenure;
		theirs = c->tenure < c->peer_hello.tenure;
	}
	*ret_none = !mine && !theirs;
	return mine ? WRITERS_MINE : theirs ? WRITERS_THEIRS : WRITERS_BOTH;
}

/* ---------------------------------------------------------------- what is said */

static int
by_path(const void *left, const void *right)
{
	return entry_path_order((*(struct row *const *)left)->path, (*(struct row *const *)right)->path);
}

/* Bytes of the row on the wire, at most. */
static size_t
size_of(const struct row *r)
{
	const struct version *v = r->ext->m;
	size_t size = 256 + 2 * strlen(r->path);

	if (v == NULL)
		return size;
	size += strlen(v->user) + strlen(v->group) + (v->text == NULL ? 0 : strlen(v->text));
	for (uint32_t i = 0; i < v->xattrs; i++)
		size += 8 + strlen(v->xattr[i].name) + v->xattr[i].len;
	return size;
}

static bool
sayable(struct core *c, const struct row *r)
{
	if (size_of(r) < ENTRY_MOST) {
		problem_clear(c, "too-large", r->path);
		return true;
	}
	problem_set(c, "too-large", r->path, "has more extended attributes than a message holds, and is not carried: make them fewer");
	return false;
}

static bool
is_file(const struct version *v)
{
	return v != NULL && v->type == ENTRY_FILE;
}

/* What was taken from them is not sent back, nor what is the same but for its mode or owner. */
static bool
is_had(const struct ext *x)
{
	return is_file(x->m) && is_file(x->t) && digest_equal(x->m->digest, x->t->digest, DIGEST_LEN);
}

static void
say(struct core *c, struct row **r, size_t n, bool more)
{
	struct wire_news_row *row = arena_take(c->out, n * sizeof *row);
	const struct core_origin from = r[0]->ext->from != NULL ? r[0]->ext->from->is : core_nobody(c);
	struct wire_news news = { .serial = ++c->serial, .more = more, .row = row, .rows = n };

	for (size_t i = 0; i < n; i++) {
		row[i] = (struct wire_news_row){ .path = r[i]->path, .stamp = r[i]->ext->sm, .had = is_had(r[i]->ext),
			.entry = version_entry(r[i]->ext->m, r[i]->path, arena_take(c->out, sizeof(struct entry))) };
	}
	snprintf(news.set, sizeof news.set, "%s", from.name);
	snprintf(news.node, sizeof news.node, "%s", from.node);
	snprintf(news.who, sizeof news.who, "%s", from.who);
	snprintf(news.why, sizeof news.why, "%s", from.why);
	news.cause = (uint8_t)from.cause;
	news.wall_ms = from.wall_ms;
	core_act(c, CORE_SEND)->wire = (struct wire){ .type = WIRE_NEWS, .news = news };
}

void
core_flush_news(struct core *c)
{
	struct row_list l = c->say;
	size_t kept = 0;

	if (l.len == 0)
		return;
	c->say = (struct row_list){ 0 };
	for (size_t i = 0; i < l.len; i++) {
		l.at[i]->ext->say = false;
		if (sayable(c, l.at[i]))
			l.at[kept++] = l.at[i];
		row_dirty(c, l.at[i]);
	}
	sort_rows(l.at, kept, sizeof *l.at, by_path);
	for (size_t i = 0, n; i < kept; i += n) {
		size_t bytes = 0;

		for (n = 0; i + n < kept && n < WIRE_ROWS_MAX && l.at[i + n]->ext->from == l.at[i]->ext->from; n++) {
			const struct ext *x = l.at[i + n]->ext;

			bytes += size_of(l.at[i + n]) + (is_file(x->m) && x->m->size <= WIRE_INLINE_MAX && !is_had(x) ? x->m->size : 0);
			if (n > 0 && bytes > NEWS_MOST)
				break;
		}
		say(c, l.at + i, n, i + n < kept);
	}
	list_free(&l);
}

/* ---------------------------------------------------------------- what is heard */

static struct origin *
origin_of(const struct wire_news *n)
{
	struct core_origin o = { .cause = n->cause < STORE_CAUSE_COUNT ? (enum store_cause)n->cause : STORE_EDIT, .wall_ms = n->wall_ms };

	snprintf(o.name, sizeof o.name, "%s", n->set);
	snprintf(o.node, sizeof o.node, "%s", n->node);
	snprintf(o.who, sizeof o.who, "%s", n->who);
	snprintf(o.why, sizeof o.why, "%.255s", n->why);
	return origin_new(&o);
}

static bool
news_row_ok(struct core *c, const struct wire_news_row *n)
{
	const struct row *r = tree_find(&c->tree, n->path, strlen(n->path));
	uint64_t before = r == NULL ? 0 : r->ext != NULL ? r->ext->st : r->stamp;

	if (c->o.scope != NULL && scope_place(c->o.scope, n->path) != SCOPE_INSIDE)
		core_fail(c, "%s sent %.300s, which is not carried", c->peer, n->path);
	else if (n->stamp < before || n->stamp > (uint64_t)INT64_MAX)
		core_fail(c, "%s sent %.300s with stamp %llu after %llu", c->peer, n->path, (unsigned long long)n->stamp, (unsigned long long)before);
	else if (r == NULL && c->tree.len >= c->o.limits.entries)
		core_fail(c, "%s sent more than the %zu paths that are carried at most", c->peer, c->o.limits.entries);
	else
		return true;
	return false;
}

static void
heard(struct core *c, const struct wire_news_row *n, struct origin *from)
{
	struct entry old;
	struct row *r;
	struct ext *x;
	bool other;

	core_saw(c, n->stamp);
	if (n->entry == NULL && (n->stamp & 1) == c->side && tree_find(&c->tree, n->path, strlen(n->path)) == NULL)
		return;		/* they know of a deletion of mine that is over: to answer that would never end */
	r = tree_get(c, n->path);
	other = (entry_diff(version_entry(row_t(r), r->path, &old), n->entry) & ~ENTRY_DIFF_TIME) != 0;
	x = row_open(c, r);
	row_set_t(c, r, n->entry);
	if (other || n->stamp != x->st) {
		row_from(c, r, from);
		x->wait_ms = core_installing(c, r) ? x->wait_ms : 0;
		x->tries = 0;
		core_release(c, r);
	}
	x->st = n->stamp;
	core_relate(c, r);
	row_dirty(c, r);
	if (x->job != 0 && !core_installing(c, r))
		core_job_cancel(c, core_job(c, x->job));
}

void
core_news(struct core *c, const struct wire_news *n)
{
	struct origin *from;

	if (n->serial != c->peer_serial + 1) {
		core_fail(c, "%s sent news number %llu after %llu", c->peer, (unsigned long long)n->serial, (unsigned long long)c->peer_serial);
		return;
	}
	c->peer_serial = n->serial;
	c->more = n->more;
	from = origin_of(n);
	for (size_t i = 0; i < n->rows && news_row_ok(c, &n->row[i]); i++)
		heard(c, &n->row[i], from);
	origin_drop(from);
}

/* ---------------------------------------------------------------- orders */

static bool
named(const struct row *r, const char *const *path, size_t paths)
{
	for (size_t i = 0; i < paths; i++) {
		if (entry_path_within(r->path, path[i]))
			return true;
	}
	return paths == 0;
}

/* Rows that differ and may be decided about now. */
static void
in_question(const struct core *c, const char *const *path, size_t paths, struct row_list *ret)
{
	for (struct row *r = c->open; r != NULL; r = r->ext->next) {
		if (row_differs(r) && !row_is_own(r) && !core_installing(c, r) && named(r, path, paths))
			list_add(ret, r);
	}
}

static void
decide(struct core *c, struct row *r, struct version *loser, uint64_t stamp)
{
	struct ext *x = r->ext;

	if (x->job != 0)
		core_job_cancel(c, core_job(c, x->job));
	r->stamp = stamp;
	version_id(loser, x->base_id);
	x->wait_ms = x->tries = 0;
	core_release(c, r);
	core_store(c, r, loser, stamp, true, loser == x->m);
	row_dirty(c, r);
}

/* Mine win: said anew, as made after theirs. Theirs win: taken as they are, but not where it was decided here meanwhile. */
static void
carry_out(struct core *c, const char *const *path, size_t paths, bool mine)
{
	struct row_list l = { 0 };

	in_question(c, path, paths, &l);
	if (paths == 0)
		core_first_is_over(c);	/* what differs is decided */
	for (size_t i = 0; i < l.len; i++) {
		struct ext *x = l.at[i]->ext;

		if (mine) {
			decide(c, l.at[i], x->t, x->st);
			x->order = core_next(c);
			x->before = x->before == x->sm ? x->order : 0;
			x->sm = x->order;
			core_say(c, l.at[i]);
		} else if (x->st > x->sm) {
			decide(c, l.at[i], x->m, x->sm);
			x->order = x->st;
		}
	}
	list_free(&l);
}

static void
win(struct core *c, const char *const *path, size_t paths)
{
	carry_out(c, path, paths, true);
	core_flush_news(c);
	core_act(c, CORE_SEND)->wire = (struct wire){ .type = WIRE_ORDER, .order = { .path = path, .paths = paths } };
}

static int
by_text(const void *left, const void *right)
{
	return entry_path_order(*(const char *const *)left, *(const char *const *)right);
}

/* Sorted, each once. */
static const char *const *
keep_paths(struct core *c, const char *const *path, size_t *paths)
{
	const char **kept = arena_take(c->out, (*paths + 1) * sizeof *kept);
	size_t n = 0;

	for (size_t i = 0; i < *paths; i++)
		kept[i] = arena_text(c->out, path[i]);
	if (*paths > 1)
		qsort(kept, *paths, sizeof *kept, by_text);
	for (size_t i = 0; i < *paths; i++) {
		if (n == 0 || strcmp(kept[n - 1], kept[i]) != 0)
			kept[n++] = kept[i];
	}
	*paths = n;
	return kept;
}

void
core_ordered(struct core *c, const struct wire_order *o)
{
	size_t paths = o->paths;
	const char *const *path = keep_paths(c, o->path, &paths);

	if (o->ask)
		win(c, path, paths);
	else
		carry_out(c, path, paths, false);
}

bool
core_order(struct core *c, const char *winner, const char *const *path, size_t paths, const char *who, uint64_t now_ms, struct err *err)
{
	struct row_list l = { 0 };
	size_t found;
	struct wire w = { .type = WIRE_ORDER, .order = { .ask = true } };

	core_begin(c, now_ms);
	if (strcmp(winner, c->self) != 0 && strcmp(winner, c->peer) != 0)
		return err_set(err, 0, "%.64s is none of the two nodes (%s, %s)", winner, c->self, c->peer);
	if (c->link != CORE_LINKED)
		return err_set(err, 0, "the nodes are not linked (%s), so that nothing can be taken from one to the other", core_link_word(c->link));
	if (paths > WIRE_ROWS_MAX)
		return err_set(err, 0, "%zu paths in one order: at most %u", paths, WIRE_ROWS_MAX);
	in_question(c, path, paths, &l);
	found = l.len;
	list_free(&l);
	if (found == 0)
		return err_set(err, 0, "%s%s%s the same on both nodes, or each node's own, or being installed just now", paths == 0 ? "" : "/",
		    paths == 0 ? "everything" : path[0], paths > 1 ? " and the others are" : " is");
	w.order.path = keep_paths(c, path, &paths);
	w.order.paths = paths;
	snprintf(w.order.who, sizeof w.order.who, "%s", who);
	if (strcmp(winner, c->self) == 0)
		win(c, w.order.path, w.order.paths);
	else
		core_act(c, CORE_SEND)->wire = w;
	core_end(c);
	return true;
}
