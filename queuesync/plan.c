/*
 * queuesync/plan.c - see plan.h. Pure: no file, no clock, no log.
 */
#include "queuesync/plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_ROOM 1024

/* The phases, in their order. */
enum phase { PHASE_QUARANTINE, PHASE_MAKE, PHASE_IN_PLACE, PHASE_MOVE, PHASE_LINK, PHASE_COUNT };

static enum phase
phase_of(enum remedy_kind kind)
{
	switch (kind) {
	case REMEDY_QUARANTINE:
		return PHASE_QUARANTINE;
	case REMEDY_MKDIR: case REMEDY_MKFIFO: case REMEDY_CREATE:
		return PHASE_MAKE;
	case REMEDY_MODE: case REMEDY_OWNER: case REMEDY_TIMES: case REMEDY_APPEND: case REMEDY_BYTE:
	case REMEDY_SWEEP_OWNER: case REMEDY_SWEEP_MODE:
		return PHASE_IN_PLACE;
	case REMEDY_MOVE:
		return PHASE_MOVE;
	case REMEDY_LINK: case REMEDY_COUNT:
		break;
	}
	return PHASE_LINK;
}

const char *
plan_word(enum remedy_kind kind)
{
	switch (kind) {
	case REMEDY_MOVE: return "renamed";
	case REMEDY_LINK: return "linked";
	case REMEDY_MODE: return "given its mode";
	case REMEDY_OWNER: return "given its owner";
	case REMEDY_TIMES: return "given the time of now";
	case REMEDY_MKDIR: case REMEDY_MKFIFO: case REMEDY_CREATE: return "made";
	case REMEDY_APPEND: case REMEDY_BYTE: return "mended in place";
	case REMEDY_QUARANTINE: return "moved to the quarantine";
	case REMEDY_SWEEP_OWNER: return "owners set right";
	case REMEDY_SWEEP_MODE: return "modes set right";
	case REMEDY_COUNT: break;
	}
	return "";
}

static char *
copy(const char *text)
{
	char *s = text == NULL ? NULL : strdup(text);

	if (text != NULL && s == NULL)
		abort();
	return s;
}

struct plan_step *
plan_add(struct plan *p, enum remedy_kind kind, const char *path, const char *to)
{
	struct plan_step *s;

	if (p->steps == p->room) {
		p->room = p->room == 0 ? 64 : 2 * p->room;
		p->step = realloc(p->step, p->room * sizeof(*p->step));
		if (p->step == NULL)
			abort();
	}
	s = &p->step[p->steps++];
	*s = (struct plan_step){ .kind = kind, .path = copy(path), .to = copy(to), .size = UINT64_MAX, .finding = SIZE_MAX };
	return s;
}

void
plan_free(struct plan *p)
{
	for (size_t i = 0; i < p->steps; i++) {
		free(p->step[i].path);
		free(p->step[i].to);
	}
	free(p->step);
	*p = (struct plan){ 0 };
}

/* ---------------------------------------------------------------- which paths are touched how */

struct claim {			/* one path that a remedy names */
	const char	*path;
	bool		 target;	/* it becomes that; else it leaves it, or stays */
	size_t		 finding, remedy;
	enum phase	 phase;
};

struct claims { struct claim *at; size_t len; };

/* By path; at one path what leaves comes before what arrives, the quarantine before a move, and then in the findings' order. */
static int
claim_order(const void *va, const void *vb)
{
	const struct claim *a = va, *b = vb;
	int by = strcmp(a->path, b->path);

	if (by != 0)
		return by;
	if (a->target != b->target)
		return a->target ? 1 : -1;
	if (a->phase != b->phase)
		return a->phase < b->phase ? -1 : 1;
	if (a->finding != b->finding)
		return a->finding < b->finding ? -1 : 1;
	return a->remedy < b->remedy ? -1 : a->remedy > b->remedy;
}

static const struct claim *
claim_find(const struct claims *c, const char *path, bool target)
{
	size_t low = 0, high = c->len;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int by = strcmp(c->at[mid].path, path);

		if (by < 0 || (by == 0 && !c->at[mid].target && target))
			low = mid + 1;
		else
			high = mid;
	}
	return low < c->len && strcmp(c->at[low].path, path) == 0 && c->at[low].target == target ? &c->at[low] : NULL;
}

static bool
structural(enum remedy_kind kind)
{
	return kind == REMEDY_MOVE || kind == REMEDY_LINK || kind == REMEDY_QUARANTINE;
}

static struct claims
claims_of(const struct findings *f)
{
	struct claims c = { NULL, 0 };
	size_t room = 0;

	for (size_t i = 0; i < f->len; i++)
		room += 2 * f->at[i].remedies;
	c.at = room == 0 ? NULL : calloc(room, sizeof(*c.at));
	if (room != 0 && c.at == NULL)
		abort();
	for (size_t i = 0; i < f->len; i++) {
		for (size_t j = 0; j < f->at[i].remedies; j++) {
			const struct remedy *r = &f->at[i].remedy[j];
			enum phase phase = phase_of(r->kind);

			if (structural(r->kind))
				c.at[c.len++] = (struct claim){ r->path, false, i, j, phase };
			if (r->to != NULL)
				c.at[c.len++] = (struct claim){ r->to, true, i, j, phase };
			else if (phase == PHASE_MAKE)
				c.at[c.len++] = (struct claim){ r->path, true, i, j, phase };
		}
	}
	if (c.len != 0)
		qsort(c.at, c.len, sizeof(*c.at), claim_order);
	return c;
}

/* ---------------------------------------------------------------- one remedy */

struct making {
	struct findings	*f;
	const char	*run;
	plan_kept_f	*kept;
	void		*arg;
	struct claims	 claims;
	struct plan	 phase[PHASE_COUNT], away;	/* away: the first of the two phases */
	struct plan	*ret;
	size_t		 waiting;
};

static struct plan_step *
step_of(struct plan *p, const struct remedy *r, size_t finding, const char *path, const char *to)
{
	struct plan_step *s = plan_add(p, r->kind, path, to);

	s->ino = r->ino;
	s->size = r->size;
	s->offset = r->offset;
	s->mode = r->mode;
	s->uid = r->uid;
	s->gid = r->gid;
	s->old_uid = r->old_uid;
	s->old_gid = r->old_gid;
	s->links = r->links;
	memcpy(s->bytes, r->bytes, sizeof(s->bytes));
	s->len = r->len;
	s->finding = finding;
	return s;
}

/* Is this the remedy that has its way with the path (as the first in order), or does another one? */
static bool
has_its_way(const struct making *m, const char *path, bool target, size_t finding, size_t remedy)
{
	const struct claim *c = claim_find(&m->claims, path, target);

	return c == NULL || (c->finding == finding && c->remedy == remedy);
}

static void
refuse(struct making *m, size_t finding, const char *target)
{
	struct finding *f = &m->f->at[finding];
	char text[PATH_ROOM];

	m->ret->refused++;
	f->damages = true;
	if (f->action != NULL)
		return;
	snprintf(text, sizeof(text), "not done: %.900s is taken by another file", target);
	f->action = copy(text);
}

static void
move(struct making *m, const struct remedy *r, size_t finding, size_t remedy)
{
	const struct claim *leaves = claim_find(&m->claims, r->to, false);
	struct plan_step *s;
	char name[PATH_ROOM];

	if (!has_its_way(m, r->to, true, finding, remedy)) {
		m->ret->left++;		/* two files want one name: the second has to be judged again */
		return;
	}
	if (leaves == NULL && m->kept(m->arg, r->to)) {
		refuse(m, finding, r->to);
		return;
	}
	/* the place is free, or is free once the quarantine has its file */
	if (leaves == NULL || leaves->phase == PHASE_QUARANTINE) {
		/* ... but our own name may be the one that somebody else waits for */
		if (claim_find(&m->claims, r->path, true) == NULL) {
			step_of(&m->phase[PHASE_MOVE], r, finding, r->path, r->to);
			return;
		}
	}
	snprintf(name, sizeof(name), "%s/waiting-%zu", m->run, m->waiting++);
	step_of(&m->away, r, finding, r->path, name);
	s = step_of(&m->phase[PHASE_MOVE], r, finding, name, r->to);
	s->size = UINT64_MAX;
}

static void
one(struct making *m, size_t finding, size_t remedy)
{
	const struct remedy *r = &m->f->at[finding].remedy[remedy];
	const struct claim *leaves = claim_find(&m->claims, r->path, false);
	enum phase phase = phase_of(r->kind);
	char name[PATH_ROOM];

	/* one change of place for a file in a round */
	if (structural(r->kind) && !has_its_way(m, r->path, false, finding, remedy)) {
		m->ret->left++;
		return;
	}
	/* what goes into the quarantine goes as it is */
	if (phase == PHASE_IN_PLACE && leaves != NULL && leaves->phase == PHASE_QUARANTINE)
		return;
	switch (r->kind) {
	case REMEDY_MOVE:
		move(m, r, finding, remedy);
		return;
	case REMEDY_QUARANTINE:
		snprintf(name, sizeof(name), "%s/%zu", m->run, m->phase[PHASE_QUARANTINE].steps);
		step_of(&m->phase[phase], r, finding, r->path, name);
		return;
	case REMEDY_LINK:
		if (!has_its_way(m, r->to, true, finding, remedy))
			m->ret->left++;
		else if (claim_find(&m->claims, r->to, false) == NULL && m->kept(m->arg, r->to))
			refuse(m, finding, r->to);
		else
			step_of(&m->phase[phase], r, finding, r->path, r->to);
		return;
	case REMEDY_MODE: case REMEDY_OWNER: case REMEDY_TIMES: case REMEDY_MKDIR: case REMEDY_MKFIFO: case REMEDY_CREATE:
	case REMEDY_APPEND: case REMEDY_BYTE: case REMEDY_SWEEP_OWNER: case REMEDY_SWEEP_MODE: case REMEDY_COUNT:
		step_of(&m->phase[phase], r, finding, r->path, r->to);
		return;
	}
}

static void
append(struct plan *to, struct plan *from)
{
	for (size_t i = 0; i < from->steps; i++) {
		struct plan_step *s = plan_add(to, from->step[i].kind, NULL, NULL);

		*s = from->step[i];
	}
	free(from->step);
}

void
plan_make(struct findings *f, const char *run, plan_kept_f *kept, void *arg, struct plan *ret)
{
	struct making m = { .f = f, .run = run, .kept = kept, .arg = arg, .claims = claims_of(f), .ret = ret };

	*ret = (struct plan){ 0 };
	for (size_t i = 0; i < f->len; i++) {
		for (size_t j = 0; j < f->at[i].remedies; j++)
			one(&m, i, j);
	}
	append(ret, &m.phase[PHASE_QUARANTINE]);
	append(ret, &m.phase[PHASE_MAKE]);
	append(ret, &m.phase[PHASE_IN_PLACE]);
	append(ret, &m.away);
	append(ret, &m.phase[PHASE_MOVE]);
	append(ret, &m.phase[PHASE_LINK]);
	free(m.claims.at);
}
