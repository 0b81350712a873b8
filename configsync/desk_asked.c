/*
 * configsync/desk_asked.c - what an operator asks the running program: how it is, and which version counts.
 */
#include "configsync/desk_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "configsync/install.h"
#include "configsync/plan.h"

static const char *
role_word(enum wire_role role)
{
	return role == WIRE_ROLE_ACTIVE ? "active" : role == WIRE_ROLE_STANDBY ? "standby" : "unknown";
}

/* ---------------------------------------------------------------- status */

static void
say_problems(struct ctl_reply *r, const char *kind, const struct core_problem *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		ctl_row(r, kind);
		ctl_say(r, "kind", p[i].kind);
		ctl_say(r, "path", p[i].path);
		ctl_say(r, "text", p[i].text);
		ctl_count(r, "since", p[i].since_ms);
	}
}

static bool
say_conflict(void *arg, const struct core_conflict *c)
{
	struct ctl_reply *r = arg;

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
	struct core_status st;
	bool well;

	core_status(d->core, &st);
	ctl_row(r, "-");
	ctl_fact(r, "in_step", st.in_step ? FACT_YES : st.link == CORE_LINKED && st.scanned ? FACT_NO : FACT_UNKNOWN);
	ctl_count(r, "files", st.paths);
	ctl_count(r, "pending", st.to_take + st.to_give);
	ctl_count(r, "conflicts", st.conflicts);
	ctl_say(r, "node", d->conf->node[d->self]);
	ctl_say(r, "role", role_word(d->role));
	ctl_say(r, "peer", d->conf->node[!d->self]);
	ctl_say(r, "link", core_link_word(st.link));
	ctl_say(r, "writers", d->conf->sync.writers == CONF_WRITERS_BOTH ? "both" : "active");
	ctl_say(r, "active", st.active);
	ctl_count(r, "tenure", d->tenure);
	ctl_fact(r, "first", st.first ? FACT_YES : FACT_NO);
	if (st.link_why != NULL && st.link_why[0] != '\0')
		ctl_say(r, "text", st.link_why);
	if (!st.first)
		core_conflicts(d->core, say_conflict, r);
	say_problems(r, "problem", st.problem, st.problems);
	say_problems(r, "theirs", st.theirs, st.theirs_rows);
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

/* ---------------------------------------------------------------- rollback */

/* The paths of a rollback, as they are and as they shall be. */
struct rolling {
	struct desk	*d;
	struct ctl_reply *r;
	struct manifest	*to;		/* versions to put back, unsealed */
	char		**path;
	size_t		 n, lost;
};

static void
roll_path(struct rolling *ro, const char *path)
{
	char **grown = realloc(ro->path, (ro->n + 1) * sizeof *grown);

	if (grown == NULL)
		abort();
	ro->path = grown;
	ro->path[ro->n++] = strdup(path);
}

static bool
roll_step(void *arg, const struct store_step *s)
{
	struct rolling *ro = arg;
	uint64_t stamp;
	struct err err;

	plan_step(ro->r, s);
	if (s->kind == STORE_STEP_LOST ||
	    (s->kind == STORE_STEP_PUT && !core_unstamped(ro->to, s->to->entry, s->to->entry_len, &stamp, &err))) {
		ro->lost++;
		return true;
	}
	roll_path(ro, s->path);
	return true;
}

static bool
roll_version(void *arg, const struct store_version *v)
{
	struct store_step s = { .kind = v->entry == NULL ? STORE_STEP_REMOVE : STORE_STEP_PUT, .path = v->path, .to = v };

	return roll_step(arg, &s);
}

static bool
is_rolled(const struct rolling *ro, const char *path)
{
	for (size_t i = 0; i < ro->n; i++)
		if (strcmp(ro->path[i], path) == 0)
			return true;
	return false;
}

static int
from_store(void *arg, const struct entry *e, struct err *err)
{
	return store_read_fd(((struct desk *)arg)->store, e->digest, err);
}

/* An edit like any other, made by us. */
static bool
roll(struct rolling *ro, const char *why, struct err *err)
{
	struct desk *d = ro->d;
	struct manifest *was = core_known(d->core, (const char *const *)ro->path, ro->n), *to = manifest_new();
	struct install_options o = { .scope = d->scope, .names = d->names, .content = from_store, .arg = d, .setuid = d->conf->sync.setuid };
	struct core_origin origin = desk_origin(d, STORE_ROLLBACK, why);
	struct scan_path *look = desk_alloc((ro->n + 1) * sizeof *look);
	struct report report = { 0 };
	struct diff *diff;
	bool ok;

	for (size_t i = 0; i < was->len; i++)
		if (!is_rolled(ro, was->at[i].path))
			manifest_add(to, &was->at[i]);
	for (size_t i = 0; i < ro->to->len; i++)
		manifest_add(to, &ro->to->at[i]);
	ok = manifest_seal(to, err);
	if (ok) {
		diff = diff_take_all(was, to);
		ok = install_apply(d->root, diff->change, diff->changes, &o, &report, err);
		if (ok)
			desk_rebuild(d, 0, diff->change, diff->changes);
		diff_free(diff);
	}
	for (size_t i = 0; i < ro->n; i++)
		look[i] = (struct scan_path){ ro->path[i], true };
	desk_look(d, look, ro->n, &origin);
	free(look);
	report_free(&report);
	manifest_free(was);
	manifest_free(to);
	return ok;
}

static bool
may_write(struct desk *d, struct core_status *st)
{
	core_status(d->core, st);
	return d->conf->sync.writers == CONF_WRITERS_BOTH || (st->active != NULL && strcmp(st->active, d->conf->node[d->self]) == 0);
}

static void
asked_rollback(struct desk *d, const struct ctl_request *q, struct ctl_reply *r)
{
	const char *set = ctl_arg(q, "set"), *version = ctl_arg(q, "version"), *apply = ctl_arg(q, "apply"), *back = ctl_arg(q, "back-to");
	struct rolling ro = { .d = d, .r = r, .to = manifest_new() };
	struct core_status st;
	struct err err;
	char why[128];
	bool found;

	desk_keep_all(d);
	if (!may_write(d, &st)) {
		plan_refuse(r, "rollback", st.active);
		manifest_free(ro.to);
		return;
	}
	snprintf(why, sizeof why, "rollback %s%s", set != NULL ? "of set " : "to version ", set != NULL ? set : version != NULL ? version : "");
	if (set != NULL)
		found = store_rollback(d->store, set, back != NULL && strcmp(back, "yes") == 0 ? STORE_BACK_TO : STORE_UNDO, roll_step, &ro, &err);
	else
		found = version != NULL && store_version(d->store, strtoull(version, NULL, 10), roll_version, &ro, &err);
	if (!found)
		ctl_end(r, 2, "%s", version == NULL && set == NULL ? "which set or version?" : err.text);
	else if (ro.lost > 0)
		ctl_end(r, 1, "%zu of these versions are not kept: nothing is done", ro.lost);
	else if (ro.n == 0)
		ctl_end(r, 0, "%s", "Nothing would change.");
	else if (apply == NULL || strcmp(apply, "yes") != 0)
		ctl_end(r, 0, "%s", "");
	else if (roll(&ro, why, &err))
		ctl_end(r, 0, "It is done here, and goes to the other node like any edit.");
	else
		ctl_end(r, 1, "%s", err.text);
	while (ro.n > 0)
		free(ro.path[--ro.n]);
	free(ro.path);
	manifest_free(ro.to);
	desk_work(d);
}

/* ---------------------------------------------------------------- the socket */

static void
asked(void *arg, const struct ctl_request *q, struct ctl_reply *r)
{
	static const struct { const char *word; void (*f)(struct desk *, const struct ctl_request *, struct ctl_reply *); } orders[] = {
		{ "resync", asked_resync }, { "resolve", asked_resolve }, { "rollback", asked_rollback } };
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
