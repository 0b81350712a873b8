/*
 * configsync/core_done.c - what came of an installation: what was put in place, what was not and is tried again, and what stands there otherwise. Pure.
 */
#include <stdlib.h>
#include <string.h>

#include "configsync/core_priv.h"

static struct job_row *
job_row(const struct job *j, const char *path)
{
	size_t low = 0, high = j->rows;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (entry_path_order(j->row[middle].path, path) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < j->rows && strcmp(j->row[low].path, path) == 0 ? &j->row[low] : NULL;
}

static void
failed(struct core *c, struct row *r, const char *why)
{
	struct ext *x = r->ext;
	uint64_t wait = CORE_RETRY_MS << (x->tries < 11 ? x->tries : 11);

	x->tries++;
	row_wait(c, r, c->now_ms + (wait < CORE_RETRY_MOST_MS ? wait : CORE_RETRY_MOST_MS));
	row_held(c, r, "not-installed", why);
}

static void
taken(struct core *c, struct row *r, const struct job_row *jr, const struct entry *is)
{
	struct ext *x = r->ext;

	row_set_m(c, r, is);
	x->sm = jr->st;
	x->wait_ms = x->tries = x->spared = 0;
	if (r->stamp < jr->st) {
		r->stamp = jr->st;	/* it was theirs, and is mine */
		version_id(x->m, x->base_id);
		core_store(c, r, x->m, x->sm, true, true);
	}
	core_say(c, r);
}

/* It was put in place, as well as it can be here. */
static bool
is_flaw(const struct note *n)
{
	return n->kind == NOTE_UNKNOWN_OWNER || n->kind == NOTE_NOT_CARRIED;
}

static bool
flawed(const struct report *report, const char *path)
{
	for (size_t i = 0; report != NULL && i < report->len; i++) {
		if (strcmp(report->at[i].path, path) == 0 && is_flaw(&report->at[i]))
			return true;
	}
	return false;
}

static const char *
why_not(const struct report *report, const char *path, bool done, const char *why)
{
	bool part = false;	/* then all else was done */

	for (size_t i = 0; report != NULL && i < report->len; i++) {
		if (strcmp(report->at[i].path, path) == 0 && !is_flaw(&report->at[i]))
			return report->at[i].text;
		part = part || report->at[i].kind == NOTE_NOT_DONE;
	}
	return done || part ? NULL : why != NULL ? why : "nothing of it was put in place";
}

/* Of single files; a set stays whole. */
static const char *
blamed(const struct job *j, const struct report *report)
{
	for (size_t i = 0; report != NULL && j->sets == 0 && i < report->len; i++) {
		if (report->at[i].kind == NOTE_FAILED)
			return report->at[i].path;
	}
	return NULL;
}

/* It was blamed itself, or needs what was, or has a reason of its own. */
static bool
is_concerned(const struct job *j, const char *path, const char *culprit, const struct report *report)
{
	for (size_t i = 0; i < report->len; i++) {
		if (report->at[i].kind != NOTE_NOT_DONE && !is_flaw(&report->at[i]) && strcmp(report->at[i].path, path) == 0)
			return true;
	}
	for (size_t i = 0; i < j->changes; i++) {
		const struct change *ch = &j->change[i];

		if ((ch->kind == CHANGE_HARD || ch->kind == CHANGE_RENAME) && (strcmp(ch->path, path) == 0 || strcmp(ch->from, path) == 0) &&
		    (strcmp(ch->path, culprit) == 0 || strcmp(ch->from, culprit) == 0))
			return true;
	}
	return entry_path_within(path, culprit);
}

static bool
is_beside(const char *path, const char *culprit)
{
	size_t len = entry_path_parent(path);

	return len == entry_path_parent(culprit) && memcmp(path, culprit, len) == 0;
}

/* It stands as before. */
static void
not_yet(struct core *c, struct row *r, const struct job *j, const struct report *report, const char *why)
{
	const char *culprit = blamed(j, report);
	struct ext *x = r->ext;

	if (culprit == NULL || is_concerned(j, r->path, culprit, report) || x->spared == CORE_SPARED_MOST) {
		x->spared = 0;
		failed(c, r, why);
		return;
	}
	x->spared++;
	if (is_beside(r->path, culprit)) {
		row_wait(c, r, c->now_ms + CORE_BESIDE_MS);
		row_state(c, r, ROW_HELD, CONFLICT_COUNT);
	}
}

/* It is alike what was there before, but not that: somebody has made it anew. (Of nothing it cannot be told: what is not carried any more is not there either.) */
static bool
is_another(const struct version *before, const struct entry *is)
{
	return is != NULL && before != NULL && (is->local.ino != before->ino || is->local.dev != before->dev);
}

/* What stands at one path of the job now. True: what was to be there. */
static bool
look(struct core *c, const struct job *j, struct job_row *jr, const struct entry *is, const struct report *report, const char *not_done)
{
	bool flaws = flawed(report, jr->path);
	struct row *r = tree_get(c, jr->path);
	struct ext *x = row_open(c, r);
	unsigned int from_theirs = entry_diff(is, jr->to) & ~ENTRY_DIFF_TIME;
	struct entry was;
	bool is_taken = false;

	x->job = 0;
	if (x->hid)
		core_again(c, jr->path, true);
	x->hid = false;
	if (is == NULL && core_hidden(c, r->path, false)) {	/* perhaps it is there */
		core_edited(c, r, NULL);
		failed(c, r, not_done != NULL ? not_done : "it cannot be read what stands there now");
	} else if (jr->taken && jr->st < x->sm) {	/* stamps never go back: it was found otherwise meanwhile */
		core_edited(c, r, is);
	} else if (jr->taken && from_theirs == 0) {
		taken(c, r, jr, is);
		is_taken = true;
		if (is != NULL && is->type != ENTRY_DIRECTORY && entry_diff(is, jr->to) != 0 && x->st == jr->st)
			row_wait(c, r, CORE_FOREVER);	/* this file system does not keep such a time: once is enough */
	} else if (jr->taken && not_done == NULL && (from_theirs & ~(ENTRY_DIFF_HARD | (flaws ? ENTRY_DIFF_OWNER | ENTRY_DIFF_XATTR : 0u))) == 0) {
		taken(c, r, jr, is);
		is_taken = true;
	} else {
		bool same = (entry_diff(version_entry(x->m, jr->path, &was), is) & ~ENTRY_DIFF_TIME) == 0;
		bool edited = jr->taken && not_done == NULL && (!same || is_another(x->m, is));

		if (edited)	/* done, and edited since, perhaps to what was there before */
			taken(c, r, jr, jr->to);
		core_edited(c, r, is);
		if (same && !edited)
			not_yet(c, r, j, report, not_done != NULL ? not_done : "it is not there, though it was put in place");
	}
	core_note(c, r->path);
	core_relate(c, r);
	row_dirty(c, r);
	return is_taken;
}

/* What was read along with the paths of a job. Of a directory that was none before it is not told what is not in it. */
static void
beside(struct core *c, const struct entry *is)
{
	struct row *r = tree_find(&c->tree, is->path, strlen(is->path));

	if (r != NULL && core_installing(c, r))
		return;
	if (is->type == ENTRY_DIRECTORY && (r == NULL || row_m(r) == NULL || row_m(r)->type != ENTRY_DIRECTORY))
		core_again(c, is->path, true);
	else
		core_edited(c, tree_get(c, is->path), is);
}

/* Nobody knows what stands there now. But what was put in place as it was to be is said before that: what is found otherwise is an edit of it. */
static void
unread(struct core *c, const struct job *j, const struct report *report, bool done, const char *why)
{
	for (size_t i = 0; i < j->rows; i++) {
		const struct job_row *jr = &j->row[i];
		struct row *r = tree_get(c, jr->path);
		struct ext *x = row_open(c, r);

		x->job = 0;
		if (jr->taken && jr->st >= x->sm && why_not(report, jr->path, done, why) == NULL && !flawed(report, jr->path))
			taken(c, r, jr, jr->to);
	}
	core_flush_news(c);
	for (size_t i = 0; i < j->rows; i++)
		core_doubt_row(c, tree_get(c, j->row[i].path));
	c->again_all = true;
}

void
core_placed(struct core *c, uint64_t job, uint64_t now_ms)
{
	struct job *j;

	core_begin(c, now_ms);
	j = core_job(c, job);
	if (j != NULL && j->state == JOB_INSTALL) {
		j->placed = true;
		core_job_followers(c, job, true);
	}
	core_end(c);
}

void
core_installed(struct core *c, uint64_t job, bool done, const struct report *report, const char *why, const struct manifest *there,
    const struct core_origin *origin, uint64_t now_ms, uint64_t wall_ms)
{
	bool all = there != NULL;
	size_t at = 0;
	struct job *j;

	core_begin(c, now_ms);
	c->wall_offset = wall_ms - now_ms;
	c->now_from = origin_new(origin);
	j = core_job(c, job);
	if (j == NULL || j->state != JOB_INSTALL) {
		core_end(c);
		return;
	}
	j->state = JOB_CONTENT;		/* what is read counts again */
	for (size_t i = 0; there != NULL && i < there->len; i++) {	/* of what stands in it nothing is known */
		if (there->at[i].type == ENTRY_OTHER && job_row(j, there->at[i].path) == NULL)
			beside(c, &there->at[i]);
	}
	for (size_t i = 0; i < j->rows && there != NULL; i++)
		all = look(c, j, &j->row[i], manifest_find_next(there, &at, j->row[i].path), report, why_not(report, j->row[i].path, done, why)) && all;
	for (size_t i = 0; there != NULL && i < there->len; i++) {
		if (job_row(j, there->at[i].path) == NULL)
			beside(c, &there->at[i]);
	}
	if (there == NULL)
		unread(c, j, report, done, why);
	core_job_end(c, j);
	core_job_followers(c, job, all);
	core_end(c);
}
