/*
 * configsync/core_merge.c - both trees and both indexes are known to both nodes: each gives the same stamps to the same versions. Pure.
 *
 * All stamps of a path that are given here follow from its two bases, so nothing needs to be agreed on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "configsync/core_priv.h"

/* unread: nothing follows from what it is, so it has not changed, until it is read. */
struct side { const struct entry *is; uint8_t id[DIGEST_LEN], base[DIGEST_LEN]; uint64_t stamp; bool unread; unsigned int bit; const struct wire_hello *said; };
struct outcome { uint64_t sm, st, sb; uint8_t base[DIGEST_LEN]; };

static bool
same(const uint8_t a[DIGEST_LEN], const uint8_t b[DIGEST_LEN])
{
	return digest_equal(a, b, DIGEST_LEN);
}

static bool
nameless(const struct entry *e)
{
	return e != NULL && (e->user.name[0] == '\0' || e->group.name[0] == '\0');
}

/* Of one stamp there is one version; where an owner has no name on one node, its identity is another one there. */
static bool
same_base(const struct side *a, const struct side *b)
{
	return a->stamp == b->stamp && (same(a->base, b->base) || nameless(a->is) || nameless(b->is));
}

static void
judge_alike(const struct side *m, const struct side *t, struct outcome *o)
{
	const struct side *high = t->stamp > m->stamp ? t : m;
	bool one_base = m->stamp != t->stamp || same_base(m, t), unread = m->unread && t->unread;
	bool is_base = (unread || same(m->id, high->base) || same(t->id, high->base)) && one_base;

	o->sb = is_base ? high->stamp : stamp_after(high->stamp, 0);
	o->sm = o->st = o->sb;
	memcpy(o->base, !unread ? m->id : high->base, DIGEST_LEN);
	if (unread && !one_base)
		memset(o->base, 0, DIGEST_LEN);
}

/* It was made there, by the program that runs now. */
static bool
made(const struct side *s, uint64_t stamp)
{
	return (stamp & 1) == s->bit && stamp > s->said->born && stamp <= s->said->clock;
}

/* s has what was common before, and nothing since: a power cut took it, or it never heard of more. What it has made itself it has undone. */
static bool
behind(const struct side *s, const struct side *other)
{
	return !s->unread && s->stamp < other->stamp && same(s->id, s->base) && !same(s->id, other->base) && !made(s, other->stamp);
}

/* Of a change that was made there: higher than all that it has seen. */
static uint64_t
stamp_of(const struct side *s, const struct side *high)
{
	return stamp_after(s->said->clock > high->stamp ? s->said->clock : high->stamp, s->bit);
}

static void
judge_different(struct core *c, const struct side *m, const struct side *t, struct outcome *o)
{
	const struct side *high = t->stamp > m->stamp ? t : m;
	uint64_t mine = stamp_of(m, high), theirs = stamp_of(t, high);

	o->sb = high->stamp;
	memcpy(o->base, high->base, DIGEST_LEN);
	if (c->first || (m->stamp == t->stamp && !same_base(m, t))) {
		o->sm = mine;
		o->st = theirs;
	} else if (behind(m, t)) {
		o->sm = o->sb = m->stamp;
		memcpy(o->base, m->base, DIGEST_LEN);
		o->st = theirs;
	} else if (behind(t, m)) {
		o->st = o->sb = t->stamp;
		memcpy(o->base, t->base, DIGEST_LEN);
		o->sm = mine;
	} else {
		o->sm = m->unread || same(m->id, m->stamp == high->stamp ? m->base : high->base) ? o->sb : mine;
		o->st = t->unread || same(t->id, t->stamp == high->stamp ? t->base : high->base) ? o->sb : theirs;
	}
}

/* Also in what decides nothing: times, and the name of an owner that one of the nodes does not know. */
static bool
one_entry(const struct entry *a, const struct entry *b)
{
	return a == NULL || b == NULL || (((entry_diff(a, b) & ENTRY_DIFF_TIME) == 0 || b->type == ENTRY_DIRECTORY) &&
	    strcmp(a->user.name, b->user.name) == 0 && strcmp(a->group.name, b->group.name) == 0);
}

static void
apply(struct core *c, struct row *r, const struct side *m, const struct side *t, const struct outcome *o, bool alike)
{
	bool known = o->sb == m->stamp && same(o->base, m->base);
	struct ext *x;

	c->clock = o->sm > c->clock ? o->sm : c->clock;
	c->clock = o->st > c->clock ? o->st : c->clock;
	r->stamp = o->sb;
	x = row_open(c, r);
	if (!alike || !one_entry(m->is, t->is)) {
		row_set_t(c, r, t->is);
	} else {
		version_drop(c, x->t);
		x->t = version_ref(x->m);
	}
	x->unread = m->unread;
	x->sm = o->sm;
	x->st = o->st;
	memcpy(x->base_id, o->base, DIGEST_LEN);
	x->order = x->wait_ms = 0;
	x->tries = x->refused = 0;
	if (!known && !m->unread && o->sm == o->sb && (alike || same(m->id, o->base)))
		core_store(c, r, x->m, o->sb, true, true);
	row_dirty(c, r);
}

static void
identify(struct side *s, bool hidden)
{
	s->unread = s->is == NULL ? hidden : s->is->type == ENTRY_OTHER;
	entry_identity(s->is, s->id);
}

/* Hidden: it stands in what cannot be read. */
struct hidden { bool mine, theirs; };

static void
merge_row(struct core *c, struct row *r, const struct entry *theirs, const struct index_row *index, bool same_tree, bool same_index, struct hidden in)
{
	bool indexed = !id_none(c->hello.index);	/* or none of my stamps count: the other node does not know them */
	struct side m = { .stamp = indexed ? r->stamp : 0, .bit = c->side, .said = &c->hello }, t = { .bit = !c->side, .said = &c->peer_hello };
	struct outcome o;
	struct entry mine;
	bool hidden = in.mine || in.theirs, alike;

	m.is = version_entry(row_m(r), r->path, &mine);
	t.is = same_tree ? m.is : theirs;
	alike = (entry_diff(m.is, t.is) & ~ENTRY_DIFF_TIME) == 0 && !hidden;
	if (r->ext == NULL && same_tree && same_index && indexed && r->stamp != 0 && !hidden)
		return;
	if (indexed)
		row_base_id(r, m.base);
	if (same_index) {
		t.stamp = m.stamp;
		memcpy(t.base, m.base, DIGEST_LEN);
	} else if (index != NULL) {
		t.stamp = index->stamp;
		memcpy(t.base, index->id, DIGEST_LEN);
	}
	identify(&m, in.mine);
	identify(&t, in.theirs);
	if (alike)
		judge_alike(&m, &t, &o);
	else
		judge_different(c, &m, &t, &o);
	apply(c, r, &m, &t, &o, alike);
}

/* The last that could not be read, of a list in order: what stands in it is not known. */
static bool
is_below(const struct entry *e, const char *path, const char **other)
{
	if (*other != NULL && entry_path_within(path, *other))
		return true;
	*other = e != NULL && e->type == ENTRY_OTHER ? path : NULL;
	return false;
}

static void
make_rows(struct core *c)
{
	for (size_t i = 0; c->their_tree != NULL && i < c->their_tree->len; i++)
		tree_get(c, c->their_tree->at[i].path);
	for (size_t i = 0; i < c->their_indexes; i++)
		tree_get(c, c->their_index[i].path);
}

void
core_merge(struct core *c)
{
	bool same_tree = !c->need_tree, same_index = digest_equal(c->hello.index, c->peer_hello.index, DIGEST_LEN);
	const char *m_other = NULL, *t_other = NULL;
	size_t t = 0, x = 0;
	struct row *r;

	c->first = !same_tree && (id_none(c->hello.index) || id_none(c->peer_hello.index));
	c->link = CORE_LINKED;
	c->link_why[0] = '\0';
	c->more = false;
	core_forget_refusals(c);
	problem_clear(c, "link", NULL);
	problem_clear(c, note_word(NOTE_UNKNOWN_OWNER), NULL);
	for (size_t i = 0; i < c->their_indexes; i++)
		core_saw(c, c->their_index[i].stamp);
	make_rows(c);
	for (struct place p = { 0, 0 }; (r = tree_next(&c->tree, &p)) != NULL;) {
		const struct entry *theirs = NULL;
		const struct index_row *index = NULL;
		struct entry mine;
		struct hidden hidden = { .mine = is_below(version_entry(row_m(r), r->path, &mine), r->path, &m_other) };

		if (c->their_tree != NULL && t < c->their_tree->len && strcmp(c->their_tree->at[t].path, r->path) == 0)
			theirs = &c->their_tree->at[t++];
		if (x < c->their_indexes && strcmp(c->their_index[x].path, r->path) == 0)
			index = &c->their_index[x++];
		hidden.theirs = is_below(same_tree ? version_entry(row_m(r), r->path, &mine) : theirs, r->path, &t_other);
		merge_row(c, r, theirs, index, same_tree, same_index, hidden);
		if (core_is_variant(c, r->path))
			row_dirty(c, r);
	}
	c->report_changed = true;
	c->report_ms = c->now_ms;
}

/* Nothing but its time differs: that is made the same when first contact is over. */
static bool
only_time(const struct row *r)
{
	return r->ext->state == ROW_ALIKE && r->ext->sm == r->ext->st && r->ext->sm == r->stamp;
}

/* What is equal is common from now on, and kept as such. */
void
core_first_is_over(struct core *c)
{
	struct row *r;

	if (!c->first)
		return;
	c->first = false;
	for (struct place p = { 0, 0 }; (r = tree_next(&c->tree, &p)) != NULL;) {
		if (r->ext == NULL || (r->stamp != 0 && r->ext->sm == r->stamp))
			core_store(c, r, row_m(r), r->stamp, true, true);
		else if (r->stamp != 0 && r->ext->st == r->stamp)
			core_store(c, r, r->ext->t, r->stamp, true, false);
	}
	for (r = c->open; r != NULL; r = r->ext->next)
		row_dirty(c, r);		/* times are taken from now on */
	c->report_changed = true;
}

/* First contact is over when nothing differs any more. */
bool
core_settle_first(struct core *c)
{
	if (!c->first || c->link != CORE_LINKED || c->dirty.len > 0 || c->more)
		return false;
	for (const struct row *r = c->open; r != NULL; r = r->ext->next) {
		if (!only_time(r) && !row_is_own(r))
			return false;
	}
	core_first_is_over(c);
	return true;
}
