/*
 * configsync/desk_roll.c - a rollback: versions of the store become the files of this node again. An edit like any other, made by us: each set
 * of it is checked, what is replaced is kept, tables are made and services told; and the other node takes it like any edit.
 */
#include "configsync/desk_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "configsync/install.h"
#include "configsync/plan.h"

#define FIRST_ID (UINT64_MAX / 2)	/* the core's jobs count from 1 */

/* The paths of it, as they are and as they shall be. */
struct rolling {
	struct desk	*d;
	struct ctl_reply *r;
	struct manifest	*to;		/* versions to put back, unsealed */
	char		**path;
	size_t		 n, lost;
	char		 why[128];
	struct manifest	*was, *whole;	/* what is compared */
	struct diff	*diff;
	struct set_id	*set;		/* that have to be checked */
	size_t		 sets, checked;
	uint64_t	 id;
};

static void
roll_free(struct rolling *ro)
{
	while (ro->n > 0)
		free(ro->path[--ro->n]);
	free(ro->path);
	diff_free(ro->diff);
	manifest_free(ro->to);
	manifest_free(ro->was);
	manifest_free(ro->whole);
	free(ro->set);
	free(ro);
}

/* ---------------------------------------------------------------- which paths */

static void
roll_path(struct rolling *ro, const char *path)
{
	char **grown = realloc(ro->path, (ro->n + 1) * sizeof *grown);

	if (grown == NULL || (grown[ro->n] = strdup(path)) == NULL)
		abort();
	ro->path = grown;
	ro->n++;
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

static bool
compare(struct rolling *ro, struct err *err)
{
	ro->was = core_known(ro->d->core, (const char *const *)ro->path, ro->n);
	ro->whole = manifest_new();
	for (size_t i = 0; i < ro->was->len; i++)
		if (!is_rolled(ro, ro->was->at[i].path))
			manifest_add(ro->whole, &ro->was->at[i]);
	for (size_t i = 0; i < ro->to->len; i++)
		manifest_add(ro->whole, &ro->to->at[i]);
	if (!manifest_seal(ro->whole, err))
		return false;
	ro->diff = diff_take_all(ro->was, ro->whole);
	return true;
}

static void
find_sets(struct rolling *ro)
{
	struct set_id id;

	for (size_t i = 0; i < ro->diff->changes; i++) {
		size_t k = 0;

		set_of(&ro->d->setup->sets, ro->diff->change[i].path, &id);
		while (k < ro->sets && !set_same(&ro->set[k], &id))
			k++;
		if (id.kind == SET_SINGLE || k < ro->sets)
			continue;
		ro->set = realloc(ro->set, (ro->sets + 1) * sizeof *ro->set);
		if (ro->set == NULL)
			abort();
		ro->set[ro->sets++] = id;
	}
}

/* ---------------------------------------------------------------- doing it */

static void
roll_over(struct rolling *ro)
{
	struct desk *d = ro->d;

	d->rolling = NULL;
	desk_dumps_forget(d, ro->id);
	roll_free(ro);
}

static void
put_in_place(struct rolling *ro)
{
	struct desk *d = ro->d;
	struct install_options o = { .scope = d->scope, .names = d->names, .content = desk_content, .arg = d, .setuid = d->conf->sync.setuid };
	struct core_job replaced = { .change = ro->diff->change, .changes = ro->diff->changes };
	struct core_origin origin = desk_origin(d, STORE_ROLLBACK, ro->why);
	struct scan_path *look = desk_alloc((ro->n + 1) * sizeof *look);
	struct report report = { 0 };
	struct err err;

	if (desk_keep_old(d, &replaced, &err) && install_apply(d->root, ro->diff->change, ro->diff->changes, &o, &report, &err)) {
		desk_rebuild(d, ro->id, ro->diff->change, ro->diff->changes);
		ctl_end(ro->r, 0, "It is done here, and goes to the other node like any edit.");
	} else {
		ctl_end(ro->r, 1, "%s", err.text);
	}
	for (size_t i = 0; i < ro->n; i++)
		look[i] = (struct scan_path){ ro->path[i], true };
	desk_look(d, look, ro->n, &origin);
	free(look);
	report_free(&report);
	roll_over(ro);
	desk_work(d);
}

static void checked(struct desk *, uint64_t id, const struct set_id *, enum validity, const char *why);

static void
check_next(struct rolling *ro)
{
	if (ro->checked == ro->sets)
		put_in_place(ro);
	else
		desk_check(ro->d, ro->id, &ro->set[ro->checked++], ro->diff->change, ro->diff->changes, checked);
}

static void
checked(struct desk *d, uint64_t id, const struct set_id *set, enum validity verdict, const char *why)
{
	struct rolling *ro = d->rolling;
	char name[2 * SET_KEY_MAX];

	if (ro == NULL || ro->id != id)
		return;
	if (verdict == VALIDITY_VALID) {
		check_next(ro);
		return;
	}
	ctl_end(ro->r, 1, "Nothing is done: %s would be %s: %s", set_shown(set, name, sizeof name), verdict == VALIDITY_INVALID ? "invalid" : "unchecked",
	    why);
	roll_over(ro);
}

void
desk_roll_forget(struct desk *d, const char *why)
{
	if (d->rolling == NULL)
		return;
	desk_cancel(d, d->rolling->id);
	ctl_end(d->rolling->r, 1, "Nothing is done: %s", why);
	roll_over(d->rolling);
}

/* ---------------------------------------------------------------- asked for */

static bool
may_write(struct desk *d, struct core_status *st)
{
	core_status(d->core, st);
	return d->conf->sync.writers == CONF_WRITERS_BOTH || (st->active != NULL && strcmp(st->active, d->conf->node[d->self]) == 0);
}

/* Its steps are in the reply. False: it was ended with why nothing is to be done. */
static bool
find_steps(struct rolling *ro, const struct ctl_request *q)
{
	const char *set = ctl_arg(q, "set"), *version = ctl_arg(q, "version"), *apply = ctl_arg(q, "apply"), *back = ctl_arg(q, "back-to");
	struct store *store = ro->d->store;
	struct err err;
	bool found;

	snprintf(ro->why, sizeof ro->why, "rollback %s%s", set != NULL ? "of set " : "to version ", set != NULL ? set : version != NULL ? version : "");
	if (set != NULL)
		found = store_rollback(store, set, back != NULL && strcmp(back, "yes") == 0 ? STORE_BACK_TO : STORE_UNDO, roll_step, ro, &err);
	else
		found = version != NULL && store_version(store, strtoull(version, NULL, 10), roll_version, ro, &err);
	if (!found)
		ctl_end(ro->r, 2, "%s", version == NULL && set == NULL ? "which set or version?" : err.text);
	else if (ro->lost > 0)
		ctl_end(ro->r, 1, "%zu of these versions are not kept: nothing is done", ro->lost);
	else if (ro->n == 0)
		ctl_end(ro->r, 0, "%s", "Nothing would change.");
	else if (apply == NULL || strcmp(apply, "yes") != 0)
		ctl_end(ro->r, 0, "%s", "");
	else if (!compare(ro, &err))
		ctl_end(ro->r, 1, "%s", err.text);
	else
		return true;
	return false;
}

void
desk_rollback(struct desk *d, const struct ctl_request *q, struct ctl_reply *r)
{
	static uint64_t id = FIRST_ID;
	struct core_status st;
	struct rolling *ro;

	desk_keep_all(d);
	if (!may_write(d, &st)) {
		plan_refuse(r, "rollback", st.active);
		return;
	}
	if (d->rolling != NULL) {
		ctl_end(r, 1, "another rollback is being checked; try again when it is done");
		return;
	}
	ro = desk_alloc(sizeof *ro);
	*ro = (struct rolling){ .d = d, .r = r, .to = manifest_new(), .id = id++ };
	if (!find_steps(ro, q)) {
		roll_free(ro);
		return;
	}
	find_sets(ro);
	d->rolling = ro;
	check_next(ro);
}
