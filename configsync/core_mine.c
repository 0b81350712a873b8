/*
 * configsync/core_mine.c - what was read on this node: bases at start, scans, slices. Pure.
 */
#include <stdlib.h>
#include <string.h>

#include "configsync/core_priv.h"

#define HASH_BEGIN 0xcbf29ce484222325u

/* ---------------------------------------------------------------- what changed since a moment */

static uint64_t
hash_add(uint64_t hash, char byte)
{
	return (hash ^ (unsigned char)byte) * 0x100000001b3u;	/* FNV-1a */
}

static uint64_t
hash_of(const char *path)
{
	uint64_t hash = HASH_BEGIN;

	for (; *path != '\0'; path++)
		hash = hash_add(hash, *path);
	return hash;
}

uint64_t
core_moment(const struct core *c)
{
	return c->moment;
}

void
core_note(struct core *c, const char *path)
{
	c->log[c->moment++ % CORE_LOG] = hash_of(path);
}

static int
by_number(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return a < b ? -1 : a > b;
}

/* What was changed or read since the moment, but not by this event. */
static void
find_recent(struct core *c, uint64_t moment)
{
	c->recents = 0;
	c->recent_all = moment < c->began && c->began - moment > CORE_LOG;
	if (moment >= c->began || c->recent_all)
		return;
	c->recent = need(reallocarray(c->recent, c->began - moment, sizeof *c->recent));
	for (uint64_t i = moment; i < c->began; i++)
		c->recent[c->recents++] = c->log[i % CORE_LOG];
	qsort(c->recent, c->recents, sizeof *c->recent, by_number);
}

/* It, or what it stands in. Two paths of one hash: one of them is read once more than needed. */
static bool
is_recent(const struct core *c, const char *path)
{
	uint64_t hash = HASH_BEGIN;

	for (const char *at = path; c->recents > 0; at++) {
		if ((*at == '/' || *at == '\0') && bsearch(&hash, c->recent, c->recents, sizeof hash, by_number) != NULL)
			return true;
		if (*at == '\0')
			break;
		hash = hash_add(hash, *at);
	}
	return c->recent_all;
}

/* ---------------------------------------------------------------- one path */

static bool
local_same(const struct version *v, const struct entry *e)
{
	return v->dev == e->local.dev && v->ino == e->local.ino && v->ctime_s == e->local.ctime_s && v->ctime_ns == e->local.ctime_ns &&
	    v->links == e->local.links && v->steady == e->local.steady && v->sparse == e->sparse && v->mtime_s == e->mtime_s &&
	    v->mtime_ns == e->mtime_ns && v->uid == e->user.id && v->gid == e->group.id;
}

/* The same but for its time, and for what only this node knows. */
static void
touched(struct core *c, struct row *r, const struct entry *e)
{
	struct entry old;
	bool time = e->type != ENTRY_DIRECTORY && (entry_diff(version_entry(row_m(r), r->path, &old), e) & ENTRY_DIFF_TIME) != 0;

	if (local_same(row_m(r), e))
		return;
	if (r->ext != NULL || time) {
		row_set_m(c, r, e);
	} else {
		core_names_changed(c, r->v, e);
		version_drop(c, r->v);
		r->v = version_new(c, e);
	}
	if (time) {
		r->ext->wait_ms = r->ext->wait_ms == CORE_FOREVER && r->ext->refused == 0 ? 0 : r->ext->wait_ms;	/* another time, which may be kept */
		core_note(c, r->path);
		core_say(c, r);
		row_dirty(c, r);
	}
}

bool
core_hidden(const struct core *c, const char *path, bool theirs)
{
	for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		const struct row *above = tree_find(&c->tree, path, (size_t)(slash - path));
		const struct version *v = above == NULL ? NULL : theirs ? row_t(above) : row_m(above);

		if (v != NULL && v->type == ENTRY_OTHER)
			return true;
	}
	return false;
}

bool
core_unread(const struct core *c, const struct row *r, bool theirs)
{
	const struct version *v = theirs ? row_t(r) : row_m(r);

	if (!theirs && r->ext != NULL && r->ext->unread)
		return true;	/* what it stands in may be readable by now, and it was not read yet */
	return v == NULL ? core_hidden(c, r->path, theirs) : v->type == ENTRY_OTHER;
}

/* Could not be read, and is what it was before. */
static bool
is_back(const struct row *r, const struct entry *e)
{
	const struct ext *x = r->ext;
	bool base = x->sm == r->stamp;
	uint8_t id[DIGEST_LEN];

	entry_identity(e, id);
	return x->unread && (base || x->sm == x->before) && digest_equal(id, base ? x->base_id : x->before_id, DIGEST_LEN);
}

/* A reading that fails makes no version: what is found afterwards may be what was there before, and that is no edit then. */
static void
edited(struct core *c, struct row *r, const struct entry *e)
{
	struct ext *x = r->ext;
	bool unread = e == NULL ? core_hidden(c, r->path, false) : e->type == ENTRY_OTHER, back = !unread && is_back(r, e);

	if (unread && !x->unread) {
		version_id(x->m, x->before_id);
		x->sm = x->sm == 0 ? core_next(c) : x->sm;	/* they may know of a deletion that is over here */
		x->before = x->sm;
	}
	row_set_m(c, r, e);
	x->unread = unread;
	if (unread)
		return;
	if (!back && version_diff(x->m, x->t) == 0 && x->st >= x->sm && !(e == NULL && core_hidden(c, r->path, true))) {
		x->sm = r->stamp = x->st;	/* it is theirs: taken here by whatever means */
		version_id(x->m, x->base_id);
		core_store(c, r, x->m, x->sm, true, true);
	} else if (!back) {
		x->sm = core_next(c);
		row_from(c, r, c->now_from);
		core_store(c, r, x->m, x->sm, false, true);
	}
	core_relate(c, r);
}

/* As it is known. What was unread and is gone was perhaps there before. */
static bool
as_known(const struct row *r, const struct entry *e)
{
	struct entry old;

	if (e == NULL)
		return row_m(r) == NULL && (r->ext == NULL || !r->ext->unread);
	return (entry_diff(version_entry(row_m(r), r->path, &old), e) & ~ENTRY_DIFF_TIME) == 0;
}

void
core_edited(struct core *c, struct row *r, const struct entry *e)
{
	struct ext *x;

	if (core_found_intended(c, r, e))
		return;
	if (as_known(r, e)) {
		if (e != NULL)
			touched(c, r, e);
		return;
	}
	x = row_open(c, r);
	edited(c, r, e);
	x->wait_ms = x->tries = 0;
	core_note(c, r->path);
	core_release(c, r);
	core_say(c, r);
	row_dirty(c, r);
	if (x->job != 0)
		core_job_cancel(c, core_job(c, x->job));
}

/* ---------------------------------------------------------------- events */

void
core_base(struct core *c, const char *path, const struct entry *e, uint64_t stamp)
{
	struct row *r;

	c->ever = true;
	core_saw(c, stamp);
	if (e == NULL || (c->o.scope != NULL && scope_place(c->o.scope, path) != SCOPE_INSIDE) || tree_find(&c->tree, path, strlen(path)) != NULL)
		return;
	r = tree_get(c, path);
	c->mine++;			/* until the scan that follows */
	r->v = version_new(c, e);
	r->stamp = stamp;
}

/* Not what is being installed, which is read anew afterwards, nor what has changed since this reading began. What was hidden is read as well then. */
static bool
may_take(struct core *c, const char *path, const struct row *r, bool hides)
{
	if (r != NULL && core_installing(c, r)) {
		r->ext->hid = r->ext->hid || hides;
		return false;
	}
	if (is_recent(c, path)) {
		core_again(c, path, hides);
		return false;
	}
	return true;
}

/* Or was, before it could not be read. */
static bool
is_there(const struct row *r)
{
	return row_m(r) != NULL || (r->ext != NULL && r->ext->unread);
}

/* The rows at path, and below it: what the manifest does not have is gone. */
static void
take_gone(struct core *c, const struct core_looked *looked, const struct manifest *there, struct row_list *gone)
{
	size_t len = strlen(looked->path);
	const struct entry *at = manifest_find(there, looked->path);
	bool below = looked->below || at == NULL || at->type != ENTRY_DIRECTORY;
	struct place p = tree_place(&c->tree, looked->path, len);
	struct row *r;

	while ((r = tree_next(&c->tree, &p)) != NULL && entry_path_within(r->path, looked->path) && (below || r->path[len] == '\0')) {
		if (is_there(r) && manifest_find(there, r->path) == NULL && may_take(c, r->path, r, false))
			list_add(gone, r);
	}
}

static void
take_there(struct core *c, const struct manifest *there)
{
	for (size_t i = 0; i < there->len; i++) {
		const struct entry *e = &there->at[i];

		if (may_take(c, e->path, tree_find(&c->tree, e->path, strlen(e->path)), e->type == ENTRY_OTHER))
			core_edited(c, tree_get(c, e->path), e);
	}
}

static bool
hidden_in(const struct manifest *there, const char *path)
{
	char above[ENTRY_PATH_MAX + 1];
	const struct entry *e;

	for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		memcpy(above, path, (size_t)(slash - path));
		above[slash - path] = '\0';
		e = manifest_find(there, above);
		if (e != NULL && e->type == ENTRY_OTHER)
			return true;
	}
	return false;
}

/* What stands in what cannot be read is not gone: it is as it was last known, until a link begins and the whole tree has to be told. */
static void
take_away(struct core *c, const struct manifest *there, struct row_list *gone)
{
	for (size_t i = 0; i < gone->len; i++) {
		if (!core_hidden(c, gone->at[i]->path, false) && !hidden_in(there, gone->at[i]->path))
			core_edited(c, gone->at[i], NULL);
	}
	list_free(gone);
}

static void
take_read(struct core *c, const struct core_looked *looked, size_t n, const struct manifest *there)
{
	struct row_list gone = { 0 };

	for (size_t i = 0; i < n; i++)
		take_gone(c, &looked[i], there, &gone);
	take_there(c, there);
	take_away(c, there, &gone);
	for (size_t i = 0; i < n; i++)
		core_note(c, looked[i].path);	/* as it was known: what was read before says less */
}

static void
begin_read(struct core *c, uint64_t moment, const struct core_origin *origin, uint64_t now_ms)
{
	core_begin(c, now_ms);
	find_recent(c, moment);
	c->now_from = origin_new(origin);
}

void
core_slice(struct core *c, const struct core_looked *looked, size_t n, const struct manifest *there, uint64_t moment,
    const struct core_origin *origin, uint64_t now_ms)
{
	begin_read(c, moment, origin, now_ms);
	if (c->link == CORE_GREETING || !c->scanned) {
		for (size_t i = 0; i < n; i++)
			core_again(c, looked[i].path, looked[i].below);
	} else {
		take_read(c, looked, n, there);
	}
	core_end(c);
}

/* It was not read, or will be again: this reading says nothing of it. */
static bool
is_open(const struct core *c, const char *path)
{
	const struct row *r = tree_find(&c->tree, path, strlen(path));

	return is_recent(c, path) || core_hidden(c, path, false) || (r != NULL && (core_unread(c, r, false) || core_installing(c, r)));
}

void
core_scan(struct core *c, const struct manifest *mine, uint64_t moment, const struct core_origin *origin, uint64_t now_ms)
{
	struct row_list gone = { 0 };
	struct row *r;
	size_t at = 0;

	begin_read(c, moment, origin, now_ms);
	if (c->link == CORE_GREETING) {
		c->again_all = true;
		core_end(c);
		return;
	}
	if (!c->scanned)
		core_begin_life(c);
	for (struct place p = { 0, 0 }; (r = tree_next(&c->tree, &p)) != NULL;) {
		int order = -1;

		while (at < mine->len && (order = entry_path_order(mine->at[at].path, r->path)) < 0)
			at++;
		if ((at == mine->len || order != 0) && is_there(r) && may_take(c, r->path, r, false))
			list_add(&gone, r);
	}
	take_there(c, mine);
	take_away(c, mine, &gone);
	core_forget_intended(c, is_open);
	c->scanned = true;
	core_end(c);
}

/* ---------------------------------------------------------------- what is known */

static void
add_known(struct manifest *m, const struct row *r)
{
	struct entry e;

	if (row_m(r) != NULL)
		manifest_add(m, version_entry(row_m(r), r->path, &e));
}

bool
core_entry(const struct core *c, const char *path, struct entry *ret)
{
	const struct row *r = tree_find(&c->tree, path, strlen(path));
	const struct version *v = r == NULL ? NULL : row_m(r);

	if (v == NULL || v->type == ENTRY_OTHER || (r->ext != NULL && r->ext->unread))
		return false;
	version_entry(v, r->path, ret);
	return true;
}

struct manifest *
core_mine(const struct core *c)
{
	struct manifest *m = manifest_new();
	const struct row *other = NULL;
	struct row *r;

	for (struct place p = { 0, 0 }; (r = tree_next(&c->tree, &p)) != NULL;) {
		if (other != NULL && entry_path_within(r->path, other->path))
			continue;
		other = row_m(r) != NULL && row_m(r)->type == ENTRY_OTHER ? r : NULL;
		add_known(m, r);
	}
	manifest_seal(m, NULL);
	return m;
}

static void
see(struct row_list *l, struct row *r)
{
	if (r == NULL || r->seen)
		return;
	r->seen = true;
	list_add(l, r);
}

/* Hard links are few: to find the others of a name, all are looked at. */
static void
see_mates(const struct core *c, struct row_list *l, const struct version *v)
{
	struct row *r;

	for (struct place p = { 0, 0 }; (r = tree_next(&c->tree, &p)) != NULL;) {
		const struct version *m = row_m(r);

		if (m != NULL && m->type == ENTRY_FILE && m->links > 1 && m->dev == v->dev && m->ino == v->ino)
			see(l, r);
	}
}

struct manifest *
core_known(const struct core *c, const char *const *path, size_t n)
{
	struct manifest *m = manifest_new();
	struct row_list l = { 0 };
	struct row *r;

	for (size_t i = 0; i < n; i++) {
		for (size_t len = 0; len <= strlen(path[i]); len++) {
			if (len > 0 && path[i][len] == '/')
				see(&l, tree_find(&c->tree, path[i], len));
		}
		for (struct place p = tree_place(&c->tree, path[i], strlen(path[i]));
		    (r = tree_next(&c->tree, &p)) != NULL && entry_path_within(r->path, path[i]);)
			see(&l, r);
	}
	for (size_t i = 0; i < l.len; i++) {
		const struct version *v = row_m(l.at[i]);

		if (v != NULL && v->type == ENTRY_FILE && v->links > 1) {
			see_mates(c, &l, v);
			for (size_t k = 0; k < strlen(l.at[i]->path); k++) {
				if (l.at[i]->path[k] == '/')
					see(&l, tree_find(&c->tree, l.at[i]->path, k));
			}
		}
	}
	for (size_t i = 0; i < l.len; i++) {
		l.at[i]->seen = false;
		if (!core_hidden(c, l.at[i]->path, false))
			add_known(m, l.at[i]);
	}
	list_free(&l);
	manifest_seal(m, NULL);
	return m;
}
