/*
 * configsync/core_status.c - what a person should know of both nodes. Pure.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "configsync/core_priv.h"

#define REPORT_MOST (WIRE_MAX / 2)	/* bytes */
#define ROW_MOST (WIRE_TEXT_MAX + 64)	/* but for the path */
#define PROBLEMS_MAX 1024u	/* more say no more: they have one cause */

const char *
core_link_word(enum core_link_state link)
{
	static const char *const word[] = { "down", "waiting", "comparing", "linked", "refused" };

	return word[link];
}

/* ---------------------------------------------------------------- problems */

bool
core_about_path(const struct core_problem *p)
{
	static const char *const others[] = { "invalid", "unchecked", "link", NULL };
	size_t i;

	for (i = 0; others[i] != NULL && strcmp(others[i], p->kind) != 0; i++)
		;
	return others[i] == NULL;
}

void
problem_free(struct problem *p)
{
	free(p->path);
	free(p->text);
}

void
problem_set(struct core *c, const char *kind, const char *path, const char *text)
{
	struct problem *p;

	for (size_t i = 0; i < c->problems; i++) {
		p = &c->problem[i];
		if (strcmp(p->kind, kind) != 0 || strcmp(p->path, path) != 0)
			continue;
		if (strcmp(p->text, text) != 0) {
			free(p->text);
			p->text = need(strdup(text));
			c->report_changed = true;
		}
		return;
	}
	if (c->problems == PROBLEMS_MAX)
		return;
	c->problem = need(reallocarray(c->problem, c->problems + 1, sizeof *c->problem));
	p = &c->problem[c->problems++];
	*p = (struct problem){ .path = need(strdup(path)), .text = need(strdup(text)), .since_ms = core_wall(c) };
	snprintf(p->kind, sizeof p->kind, "%s", kind);
	c->report_changed = true;
}

void
problem_clear(struct core *c, const char *kind, const char *path)
{
	for (size_t i = c->problems; i-- > 0;) {
		struct problem *p = &c->problem[i];

		if (strcmp(p->kind, kind) != 0 || (path != NULL && strcmp(p->path, path) != 0))
			continue;
		problem_free(p);
		*p = c->problem[--c->problems];
		c->report_changed = true;
	}
}

/*
 * It is in place with a number that has a name on the other node, and none here. Of what is known to have no name on either node nothing follows: theirs may
 * be as it was taken for granted when both were in step.
 */
void
core_tell_owner(struct core *c, const struct row *r)
{
	const struct version *m = row_m(r), *t = row_t(r);
	bool user = m != NULL && m->user[0] == '\0', group = m != NULL && m->group[0] == '\0';
	char text[WIRE_TEXT_MAX];

	if (m != NULL && m->type == ENTRY_OTHER)
		return;
	if (user && t != NULL && t->user[0] != '\0' && t->uid == m->uid)
		snprintf(text, sizeof text, "user %.255s is unknown here: its number %u is used", t->user, t->uid);
	else if (group && t != NULL && t->group[0] != '\0' && t->gid == m->gid)
		snprintf(text, sizeof text, "group %.255s is unknown here: its number %u is used", t->group, t->gid);
	else
		text[0] = '\0';
	if (text[0] != '\0')
		problem_set(c, note_word(NOTE_UNKNOWN_OWNER), r->path, text);
	else if (!user && !group && c->problems > 0)
		problem_clear(c, note_word(NOTE_UNKNOWN_OWNER), r->path);
}

void
core_problem(struct core *c, const char *kind, const char *path, const char *text, uint64_t wall_ms)
{
	core_begin(c, c->now_ms);
	c->wall_offset = wall_ms - c->now_ms;
	if (text != NULL)
		problem_set(c, kind, path, text);
	else
		problem_clear(c, kind, path);
	core_end(c);
}

/* ---------------------------------------------------------------- reports */

void
core_send_report(struct core *c)
{
	struct wire_report_row *row;
	size_t n = 0, bytes = 0, all = c->problems;
	struct row *r;

	if (!c->report_changed || c->now_ms < c->report_ms)
		return;
	row = arena_take(c->out, WIRE_ROWS_MAX * sizeof *row);
	for (size_t i = 0; i < c->problems && bytes < REPORT_MOST; i++) {
		const struct problem *p = &c->problem[i];

		bytes += ROW_MOST + strlen(p->path);
		row[n] = (struct wire_report_row){ .path = arena_text(c->out, p->path), .text = arena_text(c->out, p->text), .since_ms = p->since_ms };
		snprintf(row[n++].kind, sizeof row[0].kind, "%s", p->kind);
	}
	for (r = c->open; r != NULL; r = r->ext->next) {
		if (r->ext->state != ROW_DISPUTED)
			continue;
		all++;
		if (n == WIRE_ROWS_MAX || bytes >= REPORT_MOST)
			continue;
		bytes += ROW_MOST + strlen(r->path);
		row[n] = (struct wire_report_row){ .kind = "conflict", .path = r->path, .text = conflict_why(r->ext->kind), .since_ms = r->ext->since_ms };
		n++;
	}
	core_act(c, CORE_SEND)->wire = (struct wire){ .type = WIRE_REPORT, .report = { row, n, n < all } };
	c->report_changed = false;
	c->report_ms = c->now_ms + CORE_REPORT_MS;
}

void
core_reported(struct core *c, const struct wire_report *w)
{
	for (size_t i = 0; i < c->theirs_rows; i++)
		problem_free(&c->theirs[i]);
	c->theirs_rows = w->rows < c->o.limits.report_rows ? w->rows : c->o.limits.report_rows;
	c->theirs_cut = w->cut || c->theirs_rows < w->rows;
	c->theirs = need(reallocarray(c->theirs, c->theirs_rows + 1, sizeof *c->theirs));
	for (size_t i = 0; i < c->theirs_rows; i++) {
		struct problem *p = &c->theirs[i];

		*p = (struct problem){ .path = need(strdup(w->row[i].path)), .text = need(strdup(w->row[i].text)), .since_ms = w->row[i].since_ms };
		snprintf(p->kind, sizeof p->kind, "%s", w->row[i].kind);
	}
}

/* ---------------------------------------------------------------- status */

static const struct core_problem *
shown(struct core_problem **to, const struct problem *p, size_t n)
{
	*to = need(reallocarray(*to, n + 1, sizeof **to));
	for (size_t i = 0; i < n; i++)
		(*to)[i] = (struct core_problem){ p[i].kind, p[i].path, p[i].text, p[i].since_ms };
	return *to;
}

static void
count(const struct core *c, struct core_status *s)
{
	for (const struct row *r = c->open; r != NULL; r = r->ext->next) {
		const struct ext *x = r->ext;

		if (x->state == ROW_OWN || (x->state != ROW_HELD && !row_differs(r))) {
			s->conflicts += x->state == ROW_DISPUTED;
			continue;
		}
		s->differ++;
		if (x->state == ROW_DISPUTED)
			s->conflicts++;
		else if (x->sm != r->stamp)
			s->to_give++;
		else
			s->to_take++;
		s->waiting += x->state == ROW_WAITS || x->state == ROW_HELD;
	}
}

void
core_status(struct core *c, struct core_status *s)
{
	bool none;
	enum diff_writers writers = core_writers(c, &none);

	*s = (struct core_status){ .link = c->link, .link_why = c->link_why, .scanned = c->scanned, .first = c->first, .paths = c->mine,
		.jobs = c->jobs, .peer = c->peer_hello, .problems = c->problems, .theirs_rows = c->theirs_rows, .theirs_cut = c->theirs_cut };
	count(c, s);
	s->in_step = c->link == CORE_LINKED && c->scanned && !c->first && s->differ == 0 && s->conflicts == 0 && !c->more && c->say.len == 0;
	s->active = c->o.both_write ? NULL : none ? "" : writers == WRITERS_MINE ? c->self : c->peer;
	s->problem = shown(&c->show, c->problem, c->problems);
	s->theirs = shown(&c->show_theirs, c->theirs, c->theirs_rows);
}

bool
core_troubled(const struct core *c)
{
	return c->problems > 0;
}

bool
core_linked(const struct core *c)
{
	return c->link == CORE_LINKED;
}

size_t
core_apart(const struct core *c)
{
	return c->opens;
}

void
core_conflicts(const struct core *c, bool (*visit)(void *, const struct core_conflict *), void *arg)
{
	struct row *r;

	for (struct place p = { 0, 0 }; (r = tree_next(&c->tree, &p)) != NULL;) {
		struct core_conflict k = { .path = r->path };

		if (r->ext == NULL || r->ext->state != ROW_DISPUTED)
			continue;
		k.kind = r->ext->kind;
		k.since_ms = r->ext->since_ms;
		version_entry(r->ext->m, r->path, &k.mine);
		version_entry(r->ext->t, r->path, &k.theirs);
		if (!visit(arg, &k))
			return;
	}
}
