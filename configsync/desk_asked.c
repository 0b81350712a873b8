/*
 * configsync/desk_asked.c - what an operator asks the running program: how it is, and which version counts. A rollback: desk_roll.c.
 */
#include "configsync/desk_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "configsync/path_set.h"
#include "configsync/plan.h"

static const char *
role_word(enum wire_role role)
{
	return role == WIRE_ROLE_ACTIVE ? "active" : role == WIRE_ROLE_STANDBY ? "standby" : "unknown";
}

/* ---------------------------------------------------------------- status */

static void
say_problem(struct ctl_reply *r, const char *kind, const struct core_problem *p)
{
	ctl_row(r, kind);
	ctl_say(r, "kind", p->kind);
	ctl_say(r, core_about_path(p) ? "path" : "about", p->path);
	ctl_say(r, "text", p->text);
	ctl_count(r, "since", p->since_ms);
}

struct conflicts { struct ctl_reply *r; struct path_set said; bool first; };

/* At first contact all that differs is one: resync tells of them. */
static bool
say_conflict(void *arg, const struct core_conflict *c)
{
	struct conflicts *k = arg;
	struct ctl_reply *r = k->r;

	path_set_add(&k->said, c->path);
	if (k->first)
		return true;
	ctl_row(r, "conflict");
	ctl_say(r, "path", c->path);
	ctl_say(r, "kind", conflict_word(c->kind));
	ctl_say(r, "why", conflict_why(c->kind));
	ctl_count(r, "since", c->since_ms);
	return true;
}

static void
asked_status(struct desk *d, struct ctl_reply *r)
{
	struct conflicts k = { .r = r };
	struct core_status st;
	bool well;

	desk_status(d, &st);
	ctl_row(r, "-");
	ctl_fact(r, "in_step", st.in_step ? FACT_YES : st.link == CORE_LINKED && st.scanned ? FACT_NO : FACT_UNKNOWN);
	ctl_count(r, "files", st.paths);
	ctl_count(r, "pending", st.to_take + st.to_give);
	ctl_fact(r, "kept", d->keeping == NULL && d->rest_by_ms == 0 && !store_syncing(d->store) ? FACT_YES : FACT_NO);	/* every version, and on the disk */
	ctl_count(r, "conflicts", st.conflicts);
	ctl_say(r, "node", d->conf->node[d->self]);
	ctl_say(r, "role", role_word(d->role));
	ctl_say(r, "peer", d->conf->node[!d->self]);
	ctl_say(r, "link", core_link_word(st.link));
	ctl_say(r, "writers", d->conf->sync.writers == CONF_WRITERS_BOTH ? "both" : "active");
	ctl_say(r, "active", st.active);
	ctl_count(r, "tenure", d->tenure);
	ctl_fact(r, "first", st.first ? FACT_YES : FACT_NO);
	if (d->scanned) {
		ctl_count(r, "read", d->scanned_wall_ms);
		ctl_say(r, "read_why", d->scanned_why);
	}
	if (st.link_why != NULL && st.link_why[0] != '\0')
		ctl_say(r, "text", st.link_why);
	k.first = st.first;
	k.said = path_set_new(st.conflicts);
	core_conflicts(d->core, say_conflict, &k);
	for (size_t i = 0; i < st.problems; i++)
		say_problem(r, "problem", &st.problem[i]);
	for (size_t i = 0; i < st.theirs_rows; i++)		/* a conflict is one of both, and said once */
		if (strcmp(st.theirs[i].kind, "conflict") != 0 || !path_set_has(&k.said, st.theirs[i].path))
			say_problem(r, "theirs", &st.theirs[i]);
	path_set_free(&k.said);
	well = st.in_step && st.problems == 0 && st.theirs_rows == 0;
	ctl_end(r, well ? 0 : 1, "%s", "");
}

/* ---------------------------------------------------------------- resync, resolve */

struct planning { struct desk *d; struct ctl_reply *r; bool mine; size_t n; };

/* What the node that loses its version would do. */
static bool
plan_one(void *arg, const struct core_conflict *c)
{
	struct planning *p = arg;
	const struct entry *was = p->mine ? &c->theirs : &c->mine, *to = p->mine ? &c->mine : &c->theirs;
	struct change ch = { .path = c->path, .was = was->type != ENTRY_NONE ? was : NULL, .to = to->type != ENTRY_NONE ? to : NULL };
	unsigned int parts = entry_diff(was, to);

	if (ch.to == NULL)
		ch.kind = CHANGE_REMOVE;
	else if (ch.was != NULL && (parts & (ENTRY_DIFF_TYPE | ENTRY_DIFF_CONTENT)) == 0)
		ch.kind = CHANGE_META;
	else
		ch.kind = to->type == ENTRY_DIRECTORY ? CHANGE_DIRECTORY : to->type == ENTRY_LINK ? CHANGE_LINK : CHANGE_FILE;
	plan_change(p->r, &ch);
	p->n++;
	return true;
}

static bool
is_node(const struct desk *d, const char *name)
{
	return name != NULL && (strcmp(name, d->conf->node[0]) == 0 || strcmp(name, d->conf->node[1]) == 0);
}

static void
asked_resync(struct desk *d, const struct ctl_request *q, struct ctl_reply *r)
{
	const char *from = ctl_arg(q, "from"), *apply = ctl_arg(q, "apply");
	struct planning p = { .d = d, .r = r };
	struct err err;

	if (!is_node(d, from)) {
		ctl_end(r, 2, "there is no node \"%s\" in this pair: %s or %s", from != NULL ? from : "", d->conf->node[0], d->conf->node[1]);
		return;
	}
	p.mine = strcmp(from, d->conf->node[d->self]) == 0;
	if (apply == NULL || strcmp(apply, "yes") != 0) {
		core_conflicts(d->core, plan_one, &p);
		ctl_end(r, 0, "%s", p.n > 0 ? "" : "There is no conflict: nothing would be done.");
	} else if (core_order(d->core, from, NULL, 0, "operator", clock_mono_ms(), &err)) {
		log_info("an operator has ordered that everything becomes as it is on %s", from);
		ctl_end(r, 0, "It is begun: everything becomes as it is on %s. mailpair config status tells how it goes.", from);
	} else {
		ctl_end(r, 3, "%s", err.text);
	}
	desk_work(d);
}

static void
asked_resolve(struct desk *d, const struct ctl_request *q, struct ctl_reply *r)
{
	const char *take = ctl_arg(q, "take");
	const char **path = desk_alloc((q->args + 1) * sizeof *path);
	struct err err;
	size_t n = 0;

	for (size_t i = 0; i < q->args; i++)
		if (strcmp(q->arg[i].key, "path") == 0)
			path[n++] = q->arg[i].value;
	if (!is_node(d, take)) {
		ctl_end(r, 2, "there is no node \"%s\" in this pair: %s or %s", take != NULL ? take : "", d->conf->node[0], d->conf->node[1]);
	} else if (n == 0) {
		ctl_end(r, 2, "%s", "which path?");
	} else if (core_order(d->core, take, path, n, "operator", clock_mono_ms(), &err)) {
		for (size_t i = 0; i < n; i++) {
			ctl_row(r, "step");
			ctl_say(r, "do", "take");
			ctl_say(r, "path", path[i]);
			ctl_say(r, "note", take);
		}
		ctl_end(r, 0, "%s", "");
	} else {
		ctl_end(r, 3, "%s", err.text);
	}
	free(path);
	desk_work(d);
}

/* ---------------------------------------------------------------- the socket */

static void
asked(void *arg, const struct ctl_request *q, struct ctl_reply *r)
{
	static const struct { const char *word; void (*f)(struct desk *, const struct ctl_request *, struct ctl_reply *); } orders[] = {
		{ "resync", asked_resync }, { "resolve", asked_resolve }, { "rollback", desk_rollback } };
	struct desk *d = arg;

	if (strcmp(q->command, "status") == 0) {
		asked_status(d, r);
		return;
	}
	for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++)
		if (strcmp(q->command, orders[i].word) == 0) {
			orders[i].f(d, q, r);
			return;
		}
	ctl_end(r, 2, "\"%s\" is no command: status, resync, resolve, rollback", q->command);
}

bool
desk_answer(struct desk *d, struct err *err)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/config.sock", d->conf->run_dir);
	d->ctl = ctl_new(d->loop, path, d->conf->group, asked, d, err);
	return d->ctl != NULL;
}
