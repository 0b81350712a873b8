/*
 * configsync/core_judge.c - what is to be done about paths that are not in step: the comparison (diff.h) of a slice that has them, what they
 * stand in, and what they are joined with. Pure.
 *
 * Who may write, what is common and what waits is decided here, path by path, by stamps; diff_make() gets a base that says so: equal
 * to mine where theirs is to be taken, equal to theirs where mine stays, equal to neither where it is a conflict.
 */
#include <stdlib.h>
#include <string.h>

#include "common/sort.h"
#include "configsync/core_priv.h"

struct item { struct row *row; enum row_state state; enum conflict_kind kind; bool hidden; };	/* hidden: a directory of theirs that is not made now */

/* ---------------------------------------------------------------- the slice */

static void
see(struct row_list *l, struct row *r)
{
	if (r == NULL || r->seen)
		return;
	r->seen = true;
	list_add(l, r);
}

/* The nearest is enough: from there it goes on. */
static void
see_above(struct core *c, struct row_list *l, const char *path)
{
	struct row *above = NULL;

	for (size_t len = strlen(path); above == NULL && len > 0; len--) {
		if (path[len] == '/')
			above = tree_find(&c->tree, path, len);
	}
	see(l, above);
}

static void
see_below(struct core *c, struct row_list *l, const char *path)
{
	struct place p = tree_place(&c->tree, path, strlen(path));
	struct row *r;

	while ((r = tree_next(&c->tree, &p)) != NULL && entry_path_within(r->path, path))
		see(l, r);
}

/* Those below it that are not in step: of whatever is less, all below it or all that are not in step. */
static void
see_open_below(struct core *c, struct row_list *l, const char *path)
{
	struct place p = tree_place(&c->tree, path, strlen(path));
	struct row *r;

	for (size_t n = 0; n < c->opens; n++) {
		if ((r = tree_next(&c->tree, &p)) == NULL || !entry_path_within(r->path, path))
			return;
		if (r->ext != NULL)
			see(l, r);
	}
	for (r = c->open; r != NULL; r = r->ext->next) {
		if (entry_path_within(r->path, path))
			see(l, r);
	}
}

static bool
is_directory(const struct version *v)
{
	return v != NULL && v->type == ENTRY_DIRECTORY;
}

static const char *
leader(const struct version *v)
{
	return v != NULL && v->type == ENTRY_FILE ? v->text : NULL;
}

static void
see_joined(struct core *c, struct row_list *l, const char *first)
{
	if (first == NULL)
		return;
	see(l, tree_find(&c->tree, first, strlen(first)));
	for (struct row *r = c->open; r != NULL; r = r->ext->next) {
		const char *m = leader(r->ext->m), *t = leader(r->ext->t);

		if ((m != NULL && strcmp(m, first) == 0) || (t != NULL && strcmp(t, first) == 0))
			see(l, r);
	}
}

static struct row *
variant_of(const struct core *c, const char *path, const char *node)
{
	char name[ENTRY_PATH_MAX + WIRE_NAME_MAX + 2];
	size_t len = strlen(path), node_len = strlen(node);

	if (c->tree.ats == 0 || len + node_len + 1 >= sizeof name)
		return NULL;
	memcpy(name, path, len);
	name[len] = '@';
	memcpy(name + len + 1, node, node_len);
	return tree_find(&c->tree, name, len + 1 + node_len);
}

/* A directory of such a name is one like any other. */
static bool
makes_own(const struct version *v)
{
	return v != NULL && v->type != ENTRY_DIRECTORY;
}

bool
core_is_variant(const struct core *c, const char *path)
{
	const char *node;

	return c->o.scope != NULL && scope_variant(c->o.scope, path, &node) != 0;
}

static void
see_variants(struct core *c, struct row_list *l, const char *path)
{
	const char *const *node = c->o.scope == NULL ? NULL : scope_nodes(c->o.scope);
	const char *name;
	size_t len;

	if (node == NULL)
		return;
	if ((len = scope_variant(c->o.scope, path, &name)) != 0)
		see(l, tree_find(&c->tree, path, len));
	for (; *node != NULL; node++)
		see(l, variant_of(c, path, *node));
}

static int
by_path(const void *left, const void *right)
{
	return entry_path_order((*(struct row *const *)left)->path, (*(struct row *const *)right)->path);
}

static struct row_list
slice_of(struct core *c)
{
	struct row_list l = { 0 };
	size_t open = 0;
	bool all;

	for (size_t i = 0; i < c->dirty.len; i++)
		open += c->dirty.at[i]->ext != NULL;
	all = open == c->opens;		/* then what is below is dirty itself */
	for (size_t i = 0; i < c->dirty.len; i++) {
		struct row *r = c->dirty.at[i];

		r->dirty = false;
		see(&l, r);
		if (all)
			continue;
		if (!is_directory(row_m(r)) && !is_directory(row_t(r)))
			see_below(c, &l, r->path);	/* most often there is nothing */
		else
			see_open_below(c, &l, r->path);
	}
	c->dirty.len = 0;
	for (size_t i = 0; i < l.len; i++) {
		struct row *r = l.at[i];

		see_above(c, &l, r->path);
		see_variants(c, &l, r->path);
		if (r->ext == NULL)
			continue;
		if (is_directory(r->ext->m) != is_directory(r->ext->t))
			see_below(c, &l, r->path);
		see_joined(c, &l, leader(r->ext->m));
		see_joined(c, &l, leader(r->ext->t));
	}
	for (size_t i = 0; i < l.len; i++)
		l.at[i]->seen = false;
	sort_rows(l.at, l.len, sizeof *l.at, by_path);
	return l;
}

/* ---------------------------------------------------------------- one path */

static bool
is_own(const struct core *c, const struct row *r)
{
	const char *const *node = c->o.scope == NULL ? NULL : scope_nodes(c->o.scope);

	for (; node != NULL && *node != NULL; node++) {
		const struct row *v = variant_of(c, r->path, *node);

		if (v != NULL && (makes_own(row_m(v)) || makes_own(row_t(v))))
			return true;
	}
	return false;
}

static bool
earlier(const struct version *a, const struct version *b)
{
	return a->mtime_s != b->mtime_s ? a->mtime_s < b->mtime_s : a->mtime_ns < b->mtime_ns;
}

/* Versions as diff_make() gets them. */
struct seen { const struct version *m, *t, *b; bool neither; };

/* Mine stays for now. A FILE@NODE that is not here yet is shown all the same, as its FILE is each node's own already. */
static void
stay(const struct core *c, const struct row *r, struct seen *s)
{
	if (!makes_own(s->m) && makes_own(s->t) && core_is_variant(c, r->path))
		s->b = s->t;
	else
		s->t = s->m;
}

static enum row_state
view_alike(const struct core *c, const struct ext *x, struct seen *s)
{
	bool none;
	enum diff_writers writers = core_writers(c, &none);

	s->b = s->t = x->m;
	if (version_time_same(x->m, x->t) || x->sm != x->st || c->first || none || x->wait_ms > c->now_ms)
		return ROW_ALIKE;
	s->t = x->t;
	if (writers == WRITERS_BOTH)
		s->b = earlier(x->m, x->t) ? x->m : x->t;
	else
		s->b = writers == WRITERS_THEIRS ? x->m : x->t;
	return ROW_ALIKE;
}

static enum row_state
view(struct core *c, const struct row *r, struct seen *s, enum conflict_kind *ret_kind)
{
	const struct ext *x = r->ext;
	bool none, ordered, changed_m, changed_t;
	enum diff_writers writers = core_writers(c, &none);

	if (x == NULL) {
		*s = (struct seen){ r->v, r->v, r->v, false };
		return ROW_ALIKE;
	}
	*s = (struct seen){ x->m, x->t, x->m, false };
	changed_m = x->sm != r->stamp;
	changed_t = x->st != r->stamp;
	*ret_kind = CONFLICT_BOTH;
	if (is_own(c, r)) {
		s->neither = changed_m;
		return ROW_OWN;
	}
	if (x->job == 0 && (core_unread(c, r, false) || core_unread(c, r, true))) {
		s->neither = true;
		return *ret_kind = CONFLICT_UNKNOWN, version_diff(x->m, x->t) == 0 ? ROW_ALIKE : ROW_DISPUTED;
	}
	if (version_diff(x->m, x->t) == 0)
		return view_alike(c, x, s);
	ordered = x->order != 0 && (x->order == x->st || x->order == x->sm);
	if (x->job != 0 || x->sm == x->st || (x->wait_ms > c->now_ms && !changed_m)) {
		stay(c, r, s);
		return x->job != 0 ? x->state : x->sm == x->st ? ROW_UNLIKE : ROW_HELD;
	}
	s->neither = true;
	if (c->first && !ordered)
		return *ret_kind = CONFLICT_FIRST, ROW_DISPUTED;
	if (changed_m == changed_t || (changed_t && x->st < x->sm))
		return ROW_DISPUTED;
	if (!ordered && !none && writers == (changed_t ? WRITERS_MINE : WRITERS_THEIRS))
		return *ret_kind = CONFLICT_WRONG_SIDE, ROW_DISPUTED;
	s->neither = false;
	if (changed_m) {
		s->b = x->t;
		return ROW_GIVE;
	}
	if (none && !ordered) {
		stay(c, r, s);
		return ROW_WAITS;
	}
	return ROW_TAKES;
}

/* ---------------------------------------------------------------- the comparison */

static void
put(struct manifest *m, const struct version *v, const char *path)
{
	if (v != NULL)
		version_entry(v, path, &m->at[m->len++]);
}

static void
fill(struct manifest m[3], const struct row *r, const struct seen *s)
{
	put(&m[0], s->m, r->path);
	put(&m[1], s->t, r->path);
	if (s->neither)
		m[2].at[m[2].len++] = (struct entry){ .path = r->path, .type = ENTRY_OTHER, .user.name = "", .group.name = "" };
	else
		put(&m[2], s->b, r->path);
}

static struct item *
item_find(struct item *item, size_t n, const char *path)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (entry_path_order(item[middle].row->path, path) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < n && strcmp(item[low].row->path, path) == 0 ? &item[low] : NULL;
}

/* A conflict that is only that something else is not done yet. */
static bool
passing(enum conflict_kind kind)
{
	return kind == CONFLICT_IN_USE || kind == CONFLICT_NO_PLACE || kind == CONFLICT_HARD;
}

static void
dispute(struct core *c, struct row **r, size_t n)
{
	struct core_store_row *row = arena_take(c->out, (n + 1) * sizeof *row);
	struct core_action *a;
	size_t rows = 0;

	for (size_t i = 0; i < n; i++) {
		struct ext *x = r[i]->ext;

		if (x == NULL || x->state != ROW_DISPUTED || (x->kind != CONFLICT_BOTH && x->kind != CONFLICT_WRONG_SIDE) ||
		    (x->said_m == x->sm && x->said_t == x->st))
			continue;
		x->said_m = x->sm;
		x->said_t = x->st;
		x->disputed = true;
		row[rows++] = (struct core_store_row){ .path = r[i]->path, .stamp = x->sm, .theirs_stamp = x->st, .kind = x->kind,
			.mine = true, .entry = version_entry(x->m, r[i]->path, arena_take(c->out, sizeof(struct entry))),
			.theirs = version_entry(x->t, r[i]->path, arena_take(c->out, sizeof(struct entry))) };
	}
	if (rows == 0)
		return;
	a = core_act(c, CORE_DISPUTE);
	a->row = row;
	a->rows = rows;
	a->origin = memcpy(arena_take(c->out, sizeof(struct core_origin)), &(struct core_origin){ .cause = STORE_CONFLICT, .wall_ms = core_wall(c) },
	    sizeof(struct core_origin));
}

/* One version, and yet it differs: it could not be put in place as it is there. */
static const char *
unlike_why(const struct ext *x)
{
	return version_diff(x->m, x->t) == ENTRY_DIFF_HARD ? "shares its bytes with other names than on the other node, since one of these differs itself" :
	    "has an owner, a mode or attributes that could not be made the same on both nodes: is the user or group missing on one of them?";
}

/* Another name joins it there, which is in conflict here: nothing is to be done to this one, so it is taken. */
static void
join(struct core *c, struct row *r)
{
	struct ext *x = r->ext;

	if (x == NULL || x->job != 0 || x->state != ROW_TAKES || version_diff(x->m, x->t) != ENTRY_DIFF_HARD)
		return;
	x->sm = r->stamp = x->st;
	version_id(x->m, x->base_id);
	core_store(c, r, x->m, x->sm, true, true);
	core_say(c, r);
}

/* What FILE@NODE asks of FILE is not asked twice, nor at once again where it could not be done. */
static void
hold_back(struct core *c, struct item *item, size_t n, struct diff *d)
{
	size_t kept = 0;

	for (size_t i = 0; i < d->changes; i++) {
		struct item *it = item_find(item, n, d->change[i].path);
		const struct ext *x = it == NULL || it->state != ROW_OWN ? NULL : it->row->ext;
		bool waits = x != NULL && (x->job != 0 || x->wait_ms > c->now_ms);

		if (x != NULL)
			it->state = waits ? ROW_HELD : ROW_TAKES;
		if (waits && x->job == 0 && !x->told)
			row_held(c, it->row, "not-installed", "could not be made like its variant for this node, and is tried again");
		if (!waits)
			d->change[kept++] = d->change[i];
	}
	d->changes = kept;
}

static void
compare(struct core *c, struct item *item, size_t n, struct manifest side[3], bool busy)
{
	struct diff *d = diff_make(&(struct diff_input){ .mine = &side[0], .theirs = &side[1], .base = &side[2], .writers = WRITERS_BOTH,
		.scope = c->o.scope, .self = c->self });
	struct row_list later = { 0 };

	hold_back(c, item, n, d);
	for (size_t i = 0; i < d->conflicts; i++) {
		struct item *it = item_find(item, n, d->conflict[i].path);

		if (busy && passing(d->conflict[i].kind)) {
			it->state = ROW_WAITS;
			list_add(&later, it->row);
		} else {
			it->kind = d->conflict[i].kind == CONFLICT_BOTH ? it->kind : d->conflict[i].kind;
			it->state = ROW_DISPUTED;
		}
	}
	for (size_t i = 0; i < n; i++) {
		struct row *r = item[i].row;

		if (item[i].state == ROW_DISPUTED)
			row_open(c, r);		/* FILE, that both have, and that is not as its FILE@NODE */
		if (r->ext == NULL || r->ext->job != 0)
			continue;
		if (item[i].state == ROW_UNLIKE && r->ext->state != ROW_UNLIKE)
			problem_set(c, "unlike", r->path, unlike_why(r->ext));
		row_state(c, r, item[i].state, item[i].kind);
	}
	core_plan(c, d, &later);
	for (size_t i = 0; i < n; i++)
		join(c, item[i].row);
	for (size_t i = 0; i < later.len; i++) {
		if (!later.at[i]->later) {
			later.at[i]->later = true;
			list_add(&c->later, later.at[i]);
		}
	}
	for (size_t i = 0; i < n; i++) {
		if (item[i].row->ext != NULL && item[i].row->ext->state == ROW_ALIKE)
			row_close(c, item[i].row);
	}
	list_free(&later);
	diff_free(d);
}

/* What stands in a directory that is not made now waits with it. */
static void
wait_for_place(const struct core *c, struct item *item, size_t n, struct seen *s)
{
	struct item *it = &item[n], *above;
	char path[ENTRY_PATH_MAX + 1];
	size_t len = entry_path_parent(it->row->path);

	it->hidden = it->row->ext != NULL && is_directory(it->row->ext->t) && s->t != it->row->ext->t && !is_directory(s->m);
	if (len == 0 || it->state != ROW_TAKES || s->t == NULL)
		return;
	memcpy(path, it->row->path, len);
	path[len] = '\0';
	above = item_find(item, n, path);
	if (above == NULL || !above->hidden)
		return;
	it->hidden = is_directory(s->t) && !is_directory(s->m);
	it->state = above->state == ROW_HELD ? ROW_HELD : ROW_WAITS;
	stay(c, it->row, s);
}

void
core_evaluate(struct core *c)
{
	struct row_list l;
	struct manifest side[3] = { 0 };
	struct item *item;
	bool open = false, busy = false;
	size_t n = 0;

	if (c->dirty.len == 0)
		return;
	for (size_t i = 0; i < c->dirty.len; i++) {
		if (c->dirty.at[i]->ext != NULL)
			core_tell_owner(c, c->dirty.at[i]);
		row_close(c, c->dirty.at[i]);
	}
	l = slice_of(c);
	for (size_t i = 0; i < 3; i++)
		side[i].at = need(calloc(l.len + 1, sizeof *side[i].at));
	item = need(calloc(l.len + 1, sizeof *item));
	for (size_t i = 0; i < l.len; i++) {
		struct row *r = l.at[i];
		struct seen s;

		if (r->ext == NULL && r->v == NULL)
			continue;	/* gone from both */
		if (r->ext != NULL && r->ext->m == NULL && r->ext->t == NULL)
			core_relate(c, r);	/* what it stood in can be read again, and it is gone */
		item[n] = (struct item){ .row = r, .kind = CONFLICT_BOTH };
		item[n].state = view(c, r, &s, &item[n].kind);
		wait_for_place(c, item, n++, &s);
		fill(side, r, &s);
		open = open || r->ext != NULL || core_is_variant(c, r->path);	/* FILE may be otherwise though nothing differs */
		busy = busy || (r->ext != NULL && r->ext->job != 0);
	}
	if (open)
		compare(c, item, n, side, busy);
	dispute(c, l.at, l.len);
	free(item);
	for (size_t i = 0; i < 3; i++)
		free(side[i].at);
	list_free(&l);
}
