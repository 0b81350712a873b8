/*
 * queuesync/repair.c - see repair.h: locks, runs that were cut off, rounds of check and plan, and the way back. The steps
 * themselves are steps.c's.
 */
#include "queuesync/repair.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROUNDS_MAX 200		/* a thousand findings of each rule a round */

struct repairing {
	const struct queue_layout	*layout;
	int				 root, lock;
	struct queue_lock		 mta;
};

/* ---------------------------------------------------------------- locks */

static enum repair_end
begin(struct repairing *r, const struct mta_driver *driver, const struct mta_params *params, const struct queue_layout *layout,
    struct err *err)
{
	struct err why = { 0 };
	enum fact free_of_it;

	*r = (struct repairing){ .layout = layout, .root = -1, .lock = -1 };
	r->root = open(layout->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r->root == -1) {
		err_set(err, errno, "cannot open the queue %s", layout->root);
		return REPAIR_FAILED;
	}
	free_of_it = driver->lock(params, layout, &r->mta, &why);
	if (free_of_it != FACT_YES) {
		err_set(err, 0, free_of_it == FACT_NO ? "%s works on this queue: %.300s; stop it first" :
		    "it cannot be told whether %s works on this queue: %.300s", driver->name, why.text);
		return REPAIR_UNSAFE;
	}
	r->lock = quarantine_lock(r->root, &why);
	if (r->lock == -1) {
		*err = why;
		return why.sys == 0 ? REPAIR_UNSAFE : REPAIR_FAILED;
	}
	return REPAIR_DONE;
}

static void
end(struct repairing *r)
{
	if (r->lock != -1)
		close(r->lock);
	queue_unlock(&r->mta);
	if (r->root != -1)
		close(r->root);
}

/* ---------------------------------------------------------------- runs */

static bool
carry_out(struct repairing *r, const char *run, const struct plan *plan, bool resumed, struct repair_result *ret, struct err *err)
{
	char text[160];
	size_t changed = 0;

	if (!steps_do(r->root, plan, resumed, &changed, err))
		return false;
	snprintf(text, sizeof(text), "%zu steps%s, %zu left out because the file was not what had been judged\n", plan->steps,
	    resumed ? ", ended by a later repair" : "", changed);
	if (!quarantine_mark(r->root, run, "done", text, err))
		return false;
	ret->runs++;
	snprintf(ret->run, sizeof(ret->run), "%s", run);
	for (size_t i = 0; i < plan->steps; i++)
		ret->put_aside += plan->step[i].kind == REMEDY_QUARANTINE;
	return true;
}

static bool
end_unfinished(struct repairing *r, struct repair_result *ret, struct err *err)
{
	char run[RUN_NAME_MAX], path[80];
	struct err why = { 0 };

	while (quarantine_unfinished(r->root, run, &why)) {
		struct plan plan;
		struct finding *f;
		bool ok;

		if (!quarantine_read(r->root, run, &plan, err))
			return false;
		ok = carry_out(r, run, &plan, true, ret, err);
		f = finding_add(&ret->findings, 20, CLASS_REPAIR, PROBLEM_INTERRUPTED_REPAIR, ACK_NO, quarantine_path(run, path), NULL,
		    "a repair was cut off: %zu steps", plan.steps);
		f->action = strdup("ended");
		plan_free(&plan);
		if (!ok)
			return false;
	}
	return why.text[0] == '\0' || err_set(err, 0, "%s", why.text);
}

static bool
stands(void *arg, const char *path)
{
	const struct repairing *r = arg;
	const char *name;
	int dir = quarantine_parent(r->root, path, &name);
	struct stat st;
	bool there = dir != -1 && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;

	if (dir != -1)
		close(dir);
	return there;
}

/* What was done with each finding, in words. */
static void
note_actions(struct findings *f, const struct plan *plan)
{
	for (size_t i = 0; i < plan->steps; i++) {
		const struct plan_step *s = &plan->step[i];
		struct finding *at = s->finding < f->len ? &f->at[s->finding] : NULL;
		bool to = s->to != NULL && strstr(s->to, "/waiting-") == NULL;
		char text[1200];

		if (at == NULL)
			continue;
		snprintf(text, sizeof(text), "%s%s%.500s", plan_word(s->kind), to ? " to " : "", to ? s->to : "");
		if (s->kind == REMEDY_QUARANTINE)
			snprintf(text, sizeof(text), "moved to %.500s", s->to);
		free(at->action);
		at->action = strdup(text);
	}
}

/* Findings that had a hand laid on them go over to the result; the others stay. */
static void
keep_mended(struct findings *from, struct findings *to)
{
	size_t left = 0;

	for (size_t i = 0; i < from->len; i++) {
		struct finding *f = &from->at[i];

		if (f->action != NULL) {
			struct finding *kept = finding_add(to, f->rule, f->class, f->problem, f->acknowledged, "", NULL, "%s", "");

			free(kept->detail);
			free(kept->path);
			free(kept->message);
			*kept = *f;
		} else {
			from->at[left++] = *f;
		}
	}
	from->len = left;
}

/* One round; *again: something was changed, so that the queue has to be looked at once more. */
static bool
round_once(struct repairing *r, struct findings *f, struct repair_result *ret, bool *again, struct err *err)
{
	char run[RUN_NAME_MAX], path[80];
	struct plan plan;
	bool ok = true, any = false;

	*again = false;
	for (size_t i = 0; i < f->len && !any; i++)
		any = f->at[i].remedies != 0;
	if (!any)
		return true;
	if (!quarantine_begin(r->root, run, err))
		return false;
	plan_make(f, quarantine_path(run, path), stands, r, &plan);
	if (plan.steps != 0) {
		ok = quarantine_manifest(r->root, run, r->layout->mta, &plan, f, err) && carry_out(r, run, &plan, false, ret, err);
		if (ok)
			note_actions(f, &plan);
		*again = ok;
	} else {
		ok = quarantine_mark(r->root, run, "done", "nothing could be done\n", err);
	}
	plan_free(&plan);
	return ok;
}

static enum verdict
verdict_of(const struct findings *mended, const struct findings *left)
{
	for (size_t i = 0; i < mended->len; i++) {
		if (mended->at[i].damages)
			return VERDICT_DAMAGED;
	}
	if (findings_verdict(left) != VERDICT_CONSISTENT)
		return VERDICT_DAMAGED;
	return mended->len != 0 ? VERDICT_REPAIRED : VERDICT_CONSISTENT;
}

enum repair_end
repair_queue(const struct mta_driver *driver, const struct mta_params *params, const struct queue_layout *layout,
    repair_check_f *check, void *arg, struct repair_result *ret, struct err *err)
{
	struct repairing r;
	struct findings f = { 0 };
	enum repair_end how = begin(&r, driver, params, layout, err);
	bool ok = how == REPAIR_DONE, again = true;

	*ret = (struct repair_result){ 0 };
	if (ok)
		ok = end_unfinished(&r, ret, err);
	for (int i = 0; ok && again; i++) {
		findings_free(&f);
		ok = check(arg, &f, &ret->messages, &ret->files, err);
		if (ok && i < ROUNDS_MAX)
			ok = round_once(&r, &f, ret, &again, err);
		else
			again = false;
		if (ok && again)
			keep_mended(&f, &ret->findings);
	}
	end(&r);
	if (!ok) {
		findings_free(&f);
		findings_free(&ret->findings);
		return how == REPAIR_DONE ? REPAIR_FAILED : how;
	}
	ret->verdict = verdict_of(&ret->findings, &f);
	/* what is left stands beside what was mended */
	for (size_t i = 0; i < f.len; i++) {
		if (f.at[i].action == NULL)
			f.at[i].action = strdup(f.at[i].remedies != 0 ? "not done" : "left as it is");
	}
	keep_mended(&f, &ret->findings);
	findings_free(&f);
	findings_sort(&ret->findings);
	return REPAIR_DONE;
}

/* ---------------------------------------------------------------- the way back */

static size_t
put_back(struct repairing *r, const struct plan *plan, restore_told_f *told, void *arg)
{
	size_t left = 0;

	for (size_t i = plan->steps; i-- > 0;) {
		const struct plan_step *s = &plan->step[i];
		struct plan_step back = *s;
		struct err why = { 0 };
		enum step_end how;

		if (s->kind != REMEDY_QUARANTINE)
			continue;
		back.kind = REMEDY_MOVE;
		back.path = s->to;
		back.to = s->path;
		how = step_do(r->root, &back, false, &why);
		if (how != STEP_DONE && how != STEP_ALREADY)
			left++;
		told(arg, s->path, how == STEP_DONE || how == STEP_ALREADY, how == STEP_FAILED ? why.text : how == STEP_CHANGED ?
		    stands(r, s->path) ? "its old name is taken" : "it is not in the quarantine any more" : "");
	}
	return left;
}

enum repair_end
restore_run(const struct mta_driver *driver, const struct mta_params *params, const struct queue_layout *layout,
    const char *run, restore_told_f *told, void *arg, struct err *err)
{
	struct repairing r;
	struct plan plan = { 0 };
	enum run_state state = RUN_EMPTY;
	enum repair_end how = begin(&r, driver, params, layout, err);
	size_t left;

	if (how != REPAIR_DONE) {
		end(&r);
		return how;
	}
	how = REPAIR_FAILED;
	if (!quarantine_state(r.root, run, &state, err)) {
		;
	} else if (state == RUN_BEGUN) {
		err_set(err, 0, "run %s was cut off: end it first with \"mailpair queue check --repair\"", run);
	} else if (state == RUN_EMPTY) {
		err_set(err, 0, "run %s changed nothing: there is nothing to put back", run);
	} else if (quarantine_read(r.root, run, &plan, err)) {
		left = put_back(&r, &plan, told, arg);
		if (syncfs(r.root) == -1)
			err_set(err, errno, "cannot sync the queue");
		else if (left != 0)
			err_set(err, 0, "%zu files of run %s could not be put back", left, run);
		else if (quarantine_mark(r.root, run, "restored", "all of it was put back\n", err))
			how = REPAIR_DONE;
		plan_free(&plan);
	}
	end(&r);
	return how;
}
