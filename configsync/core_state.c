/*
 * configsync/core_state.c - what is known of one path: in step, or opened into mine, theirs and base. Pure.
 */
#include <stdlib.h>
#include <string.h>

#include "configsync/core_priv.h"

struct version *
row_m(const struct row *r)
{
	return r->ext != NULL ? r->ext->m : r->v;
}

struct version *
row_t(const struct row *r)
{
	return r->ext != NULL ? r->ext->t : r->v;
}

uint64_t
row_sm(const struct row *r)
{
	return r->ext != NULL ? r->ext->sm : r->stamp;
}

void
row_base_id(const struct row *r, uint8_t ret[DIGEST_LEN])
{
	if (r->ext != NULL)
		memcpy(ret, r->ext->base_id, DIGEST_LEN);
	else
		version_id(r->v, ret);
}

struct ext *
row_open(struct core *c, struct row *r)
{
	struct ext *x = r->ext;

	if (x != NULL)
		return x;
	x = need(calloc(1, sizeof *x));
	version_id(r->v, x->base_id);
	x->m = r->v;
	x->t = version_ref(r->v);
	x->sm = x->st = r->stamp;
	r->v = NULL;
	r->ext = x;
	x->next = c->open;
	if (c->open != NULL)
		c->open->ext->prev = r;
	c->open = r;
	c->opens++;
	return x;
}

static void
shut(struct core *c, struct row *r, struct version *v)
{
	struct ext *x = r->ext;

	if (x->prev != NULL)
		x->prev->ext->next = x->next;
	else
		c->open = x->next;
	if (x->next != NULL)
		x->next->ext->prev = x->prev;
	c->opens--;
	version_ref(v);
	version_drop(c, x->m);
	version_drop(c, x->t);
	origin_drop(x->from);
	free(x);
	r->ext = NULL;
	r->v = v;
	if (v != NULL)
		return;
	if ((r->stamp & 1) != c->side && r->stamp > c->born)
		c->born = r->stamp;	/* of what they removed nothing is kept: that there is nothing is not of this node's doing */
	tree_remove(c, r);
}

bool
row_close(struct core *c, struct row *r)
{
	const struct ext *x = r->ext;

	if (x == NULL)
		return r->v != NULL;
	if (x->job != 0 || x->say || x->unread || x->sm != x->st || x->sm != r->stamp || version_diff(x->m, x->t) != 0 || !version_time_same(x->m, x->t))
		return false;
	if ((x->state == ROW_HELD && x->wait_ms > c->now_ms) || (x->state == ROW_DISPUTED && x->kind == CONFLICT_VARIANT))
		return false;	/* there is a FILE@NODE that it should be like */
	row_state(c, r, ROW_ALIKE, CONFLICT_COUNT);
	shut(c, r, x->m);
	return true;
}

void
row_forget(struct core *c, struct row *r)
{
	c->mine -= (size_t)(row_m(r) != NULL);
	if (r->ext != NULL) {
		row_state(c, r, ROW_ALIKE, CONFLICT_COUNT);
		shut(c, r, NULL);
		return;
	}
	version_drop(c, r->v);
	r->v = NULL;
	tree_remove(c, r);
}

bool
row_differs(const struct row *r)
{
	return r->ext != NULL && version_diff(r->ext->m, r->ext->t) != 0;
}

bool
row_is_own(const struct row *r)
{
	const struct ext *x = r->ext;

	return x != NULL && (x->state == ROW_OWN || (x->state == ROW_DISPUTED && x->kind == CONFLICT_VARIANT));
}

void
row_set_m(struct core *c, struct row *r, const struct entry *e)
{
	struct ext *x = row_open(c, r);
	struct version *old = x->m;

	core_names_changed(c, old, e);
	x->m = e == NULL ? NULL : version_new(c, e);
	x->unread = false;
	c->mine += (size_t)(x->m != NULL);
	c->mine -= (size_t)(old != NULL);
	version_drop(c, old);
}

void
row_set_t(struct core *c, struct row *r, const struct entry *e)
{
	struct ext *x = row_open(c, r);
	struct version *old = x->t;

	x->t = e == NULL ? NULL : version_new(c, e);
	version_drop(c, old);
}

void
row_from(struct core *c, struct row *r, struct origin *from)
{
	struct ext *x = row_open(c, r);

	origin_ref(from);
	origin_drop(x->from);
	x->from = from;
}

void
row_dirty(struct core *c, struct row *r)
{
	if (c->link != CORE_LINKED || r->dirty)
		return;
	r->dirty = true;
	list_add(&c->dirty, r);
}

void
row_state(struct core *c, struct row *r, enum row_state state, enum conflict_kind kind)
{
	struct ext *x = r->ext;

	if (x->state == state && (state != ROW_DISPUTED || x->kind == kind))
		return;
	if (x->told && state != ROW_HELD && state != ROW_TAKES) {	/* while it is tried again the problem is as old as it is */
		x->told = false;
		problem_clear(c, "not-installed", r->path);
		problem_clear(c, "content", r->path);
	}
	if (x->state == ROW_UNLIKE)
		problem_clear(c, "unlike", r->path);
	if (state == ROW_DISPUTED || x->state == ROW_DISPUTED)
		c->report_changed = true;
	if (state == ROW_DISPUTED)
		x->since_ms = core_wall(c);
	x->state = state;
	x->kind = kind;
}

void
row_wait(struct core *c, struct row *r, uint64_t until_ms)
{
	r->ext->wait_ms = until_ms;
	c->wait_least = until_ms < c->wait_least ? until_ms : c->wait_least;
}

void
row_held(struct core *c, struct row *r, const char *kind, const char *why)
{
	row_state(c, r, ROW_HELD, CONFLICT_COUNT);
	r->ext->told = true;
	problem_set(c, kind, r->path, why);
}
