/*
 * configsync/core_rows.c - versions that are shared, and the paths: a sorted list, and by hash. Pure.
 */
#include <stdlib.h>
#include <string.h>

#include "configsync/core_priv.h"

/* ---------------------------------------------------------------- versions */

static const char *
word(struct core *c, const char *text)
{
	size_t len = strlen(text) + 1;
	unsigned int hash = 5381;
	struct word *w;

	for (const char *at = text; *at != '\0'; at++)
		hash = hash * 33 + (unsigned char)*at;
	for (w = c->word[hash % 256]; w != NULL; w = w->next) {
		if (strcmp(w->text, text) == 0)
			return w->text;
	}
	w = need(malloc(sizeof *w + len));
	memcpy(w->text, text, len);
	w->next = c->word[hash % 256];
	c->word[hash % 256] = w;
	return w->text;
}

static size_t
version_size(const char *text, const struct entry_xattr *x, uint32_t xattrs)
{
	size_t size = sizeof(struct version) + xattrs * sizeof *x + (text == NULL ? 0 : strlen(text) + 1);

	for (uint32_t i = 0; i < xattrs; i++)
		size += strlen(x[i].name) + 1 + x[i].len;
	return size;
}

struct version *
version_new(struct core *c, const struct entry *e)
{
	const char *text = e->type == ENTRY_LINK ? e->target : e->hard;
	struct version *v = pool_take(c->pool, version_size(text, e->xattr, e->xattrs));
	char *to;

	*v = (struct version){ .refs = 1, .uid = e->user.id, .gid = e->group.id, .mtime_ns = e->mtime_ns, .mtime_s = e->mtime_s,
		.size = e->size, .user = word(c, e->user.name), .group = word(c, e->group.name), .dev = e->local.dev,
		.ino = e->local.ino, .ctime_s = e->local.ctime_s, .ctime_ns = e->local.ctime_ns, .links = e->local.links,
		.xattrs = e->xattrs, .mode = e->mode, .type = (uint8_t)e->type, .sparse = e->sparse, .steady = e->local.steady };
	memcpy(v->digest, e->digest, DIGEST_LEN);
	to = (char *)(v->xattr + e->xattrs);
	for (uint32_t i = 0; i < e->xattrs; i++) {
		const struct entry_xattr *x = &e->xattr[i];
		size_t len = strlen(x->name) + 1;

		v->xattr[i] = (struct entry_xattr){ to, (const uint8_t *)to + len, x->len };
		memcpy(to, x->name, len);
		if (x->len > 0)
			memcpy(to + len, x->value, x->len);
		to += len + x->len;
	}
	if (text != NULL)
		v->text = memcpy(to, text, strlen(text) + 1);
	return v;
}

void
version_gone(struct core *c, struct version *v)
{
	pool_give(c->pool, v, version_size(v->text, v->xattr, v->xattrs));
}

struct version *
version_ref(struct version *v)
{
	if (v != NULL)
		v->refs++;
	return v;
}

/* Actions of this event may point to it. */
void
version_drop(struct core *c, struct version *v)
{
	if (v == NULL || --v->refs > 0)
		return;
	if (c->deads == c->dead_room) {
		c->dead_room = c->dead_room == 0 ? 64 : 2 * c->dead_room;
		c->dead = need(reallocarray(c->dead, c->dead_room, sizeof *c->dead));
	}
	c->dead[c->deads++] = v;
}

const struct entry *
version_entry(const struct version *v, const char *path, struct entry *to)
{
	if (v == NULL)
		return NULL;
	*to = (struct entry){ .path = path, .type = (enum entry_type)v->type, .mode = v->mode, .sparse = v->sparse,
		.mtime_ns = v->mtime_ns, .mtime_s = v->mtime_s, .size = v->size, .user = { v->user, v->uid }, .group = { v->group, v->gid },
		.target = v->type == ENTRY_LINK ? v->text : NULL, .hard = v->type == ENTRY_LINK ? NULL : v->text,
		.xattr = v->xattrs == 0 ? NULL : v->xattr, .xattrs = v->xattrs,
		.local = { v->dev, v->ino, v->ctime_s, v->ctime_ns, v->links, v->steady } };
	memcpy(to->digest, v->digest, DIGEST_LEN);
	return to;
}

unsigned int
version_diff(const struct version *a, const struct version *b)
{
	struct entry x, y;

	if (a == b)
		return 0;
	return entry_diff(version_entry(a, "", &x), version_entry(b, "", &y)) & ~ENTRY_DIFF_TIME;
}

bool
version_time_same(const struct version *a, const struct version *b)
{
	return a == NULL || b == NULL || a->type == ENTRY_DIRECTORY || (a->mtime_s == b->mtime_s && a->mtime_ns == b->mtime_ns);
}

void
version_id(const struct version *v, uint8_t ret[DIGEST_LEN])
{
	struct entry e;

	entry_identity(version_entry(v, "", &e), ret);
}

const struct entry *
core_copy_entry(struct arena *arena, const struct entry *from)
{
	struct entry_xattr *x;
	struct entry *to;

	if (from == NULL)
		return NULL;
	to = arena_take(arena, sizeof *to);
	*to = *from;
	to->path = arena_text(arena, from->path);
	to->user.name = arena_word(arena, from->user.name);
	to->group.name = arena_word(arena, from->group.name);
	to->target = from->target == NULL ? NULL : arena_text(arena, from->target);
	to->hard = from->hard == NULL ? NULL : arena_text(arena, from->hard);
	if (from->xattrs == 0)
		return to;
	x = arena_take(arena, from->xattrs * sizeof *x);
	for (uint32_t i = 0; i < from->xattrs; i++) {
		uint8_t *value = arena_take(arena, from->xattr[i].len + 1);

		if (from->xattr[i].len > 0)
			memcpy(value, from->xattr[i].value, from->xattr[i].len);
		x[i] = (struct entry_xattr){ arena_word(arena, from->xattr[i].name), value, from->xattr[i].len };
	}
	to->xattr = x;
	return to;
}

/* ---------------------------------------------------------------- the sorted list */

/* As entry_path_order(row, path up to len). */
static int
order(const char *a, const char *b, size_t len)
{
	size_t i = 0;

	while (i < len && a[i] == b[i])
		i++;
	if (i == len)
		return a[i] == '\0' ? 0 : 1;
	return entry_path_order((const char[]){ a[i], '\0' }, (const char[]){ b[i], '\0' });
}

struct place
tree_place(const struct tree *t, const char *path, size_t len)
{
	size_t low = 0, high = t->chunks;
	struct place place;

	while (low < high) {	/* the last chunk that does not begin behind path */
		size_t middle = low + (high - low) / 2;

		if (order(t->chunk[middle]->at[0]->path, path, len) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	place = (struct place){ low == 0 ? 0 : low - 1, 0 };
	if (t->chunks == 0)
		return place;
	low = 0;
	high = t->chunk[place.chunk]->len;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (order(t->chunk[place.chunk]->at[middle]->path, path, len) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	place.at = low;
	return place;
}

struct row *
tree_at(const struct tree *t, struct place *p)
{
	if (p->chunk < t->chunks && p->at == t->chunk[p->chunk]->len)
		*p = (struct place){ p->chunk + 1, 0 };
	return p->chunk < t->chunks ? t->chunk[p->chunk]->at[p->at] : NULL;
}

struct row *
tree_next(const struct tree *t, struct place *p)
{
	struct row *r = tree_at(t, p);

	p->at += r != NULL;
	return r;
}

/* ---------------------------------------------------------------- by hash */

static uint32_t
hash_of(const char *path, size_t len)
{
	uint64_t hash = len, word = 0;

	for (; len >= sizeof word; path += sizeof word, len -= sizeof word) {
		memcpy(&word, path, sizeof word);
		hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
		hash ^= hash >> 29;
	}
	word = 0;
	memcpy(&word, path, len);
	hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
	return (uint32_t)(hash >> 32);
}

static struct row **
slot_of(const struct tree *t, uint32_t hash, const char *path, size_t len)
{
	size_t i = hash & (t->slots - 1);

	while (t->slot[i] != NULL && (t->slot[i]->hash != hash || strncmp(t->slot[i]->path, path, len) != 0 || t->slot[i]->path[len] != '\0'))
		i = (i + 1) & (t->slots - 1);
	return &t->slot[i];
}

static void
slot_fill(struct tree *t, struct row *r)
{
	size_t i = r->hash & (t->slots - 1);

	while (t->slot[i] != NULL)
		i = (i + 1) & (t->slots - 1);
	t->slot[i] = r;
}

static void
more_slots(struct tree *t)
{
	struct row **old = t->slot;
	size_t olds = t->slots;

	t->slots = olds == 0 ? 64 : 2 * olds;
	t->slot = need(calloc(t->slots, sizeof(struct row *)));
	for (size_t i = 0; i < olds; i++) {
		if (old[i] != NULL)
			slot_fill(t, old[i]);
	}
	free(old);
}

/* Those that it stood in the way of are put where they belong. */
static void
slot_empty(struct tree *t, const struct row *r)
{
	size_t i = (size_t)(slot_of(t, r->hash, r->path, strlen(r->path)) - t->slot);

	t->slot[i] = NULL;
	for (i = (i + 1) & (t->slots - 1); t->slot[i] != NULL; i = (i + 1) & (t->slots - 1)) {
		struct row *next = t->slot[i];

		t->slot[i] = NULL;
		slot_fill(t, next);
	}
}

struct row *
tree_find(const struct tree *t, const char *path, size_t len)
{
	return t->slots == 0 ? NULL : *slot_of(t, hash_of(path, len), path, len);
}

void
tree_free(struct tree *t)
{
	for (size_t i = 0; i < t->chunks; i++)
		free(t->chunk[i]);
	free(t->chunk);
	free(t->slot);
}

/* ---------------------------------------------------------------- rows come and go */

static void
chunk_add(struct tree *t, size_t at)
{
	t->chunk = need(reallocarray(t->chunk, t->chunks + 1, sizeof *t->chunk));
	memmove(t->chunk + at + 1, t->chunk + at, (t->chunks - at) * sizeof *t->chunk);
	t->chunk[at] = need(malloc(sizeof **t->chunk));
	t->chunk[at]->len = 0;
	t->chunks++;
}

static void
insert(struct tree *t, struct place p, struct row *r)
{
	struct chunk *k;

	if (t->chunks == 0)
		chunk_add(t, 0);
	k = t->chunk[p.chunk];
	if (k->len == CORE_CHUNK && p.chunk + 1 == t->chunks && p.at == k->len) {	/* sorted input fills its chunks */
		chunk_add(t, t->chunks);
		p = (struct place){ t->chunks - 1, 0 };
	} else if (k->len == CORE_CHUNK) {
		chunk_add(t, p.chunk + 1);
		k = t->chunk[p.chunk];
		k->len = CORE_CHUNK / 2;
		t->chunk[p.chunk + 1]->len = CORE_CHUNK - k->len;
		memcpy(t->chunk[p.chunk + 1]->at, k->at + k->len, (CORE_CHUNK - k->len) * sizeof *k->at);
		if (p.at > k->len)
			p = (struct place){ p.chunk + 1, p.at - k->len };
	}
	k = t->chunk[p.chunk];
	memmove(k->at + p.at + 1, k->at + p.at, (k->len - p.at) * sizeof *k->at);
	k->at[p.at] = r;
	k->len++;
	t->ats += strchr(r->path, '@') != NULL;
	if (2 * ++t->len > t->slots)
		more_slots(t);
	slot_fill(t, r);
}

static size_t
row_size(size_t path)
{
	size_t size = offsetof(struct row, path) + path + 1;

	return size < sizeof(struct row) ? sizeof(struct row) : size;
}

void
row_gone(struct core *c, struct row *r)
{
	pool_give(c->pool, r, row_size(strlen(r->path)));
}

struct row *
tree_get(struct core *c, const char *path)
{
	size_t len = strlen(path);
	struct row *r = tree_find(&c->tree, path, len);

	if (r != NULL)
		return r;
	r = pool_take(c->pool, row_size(len));
	memset(r, 0, sizeof *r);
	r->hash = hash_of(path, len);
	memcpy(r->path, path, len + 1);
	insert(&c->tree, tree_place(&c->tree, path, len), r);
	return r;
}

/* Actions may point to its path. */
void
tree_remove(struct core *c, struct row *r)
{
	struct place p = tree_place(&c->tree, r->path, strlen(r->path));
	struct tree *t = &c->tree;
	struct chunk *k;

	tree_at(t, &p);
	slot_empty(t, r);
	t->ats -= strchr(r->path, '@') != NULL;
	k = t->chunk[p.chunk];
	memmove(k->at + p.at, k->at + p.at + 1, (k->len - p.at - 1) * sizeof *k->at);
	t->len--;
	if (--k->len == 0) {
		free(k);
		memmove(t->chunk + p.chunk, t->chunk + p.chunk + 1, (t->chunks - p.chunk - 1) * sizeof *t->chunk);
		t->chunks--;
	}
	if (r->later)
		list_drop(&c->later, r);
	list_add(&c->dead_rows, r);
}

void
list_add(struct row_list *l, struct row *r)
{
	if (l->len == l->room) {
		l->room = l->room == 0 ? 32 : 2 * l->room;
		l->at = need(reallocarray(l->at, l->room, sizeof *l->at));
	}
	l->at[l->len++] = r;
}

void
list_drop(struct row_list *l, const struct row *r)
{
	for (size_t i = l->len; i-- > 0;) {
		if (l->at[i] == r)
			l->at[i] = l->at[--l->len];
	}
}

void
list_free(struct row_list *l)
{
	free(l->at);
	*l = (struct row_list){ 0 };
}

/* ---------------------------------------------------------------- origins */

struct origin *
origin_new(const struct core_origin *from)
{
	struct origin *o = need(calloc(1, sizeof *o));

	o->refs = 1;
	if (from != NULL)
		o->is = *from;
	return o;
}

struct origin *
origin_ref(struct origin *o)
{
	if (o != NULL)
		o->refs++;
	return o;
}

void
origin_drop(struct origin *o)
{
	if (o != NULL && --o->refs == 0)
		free(o);
}
