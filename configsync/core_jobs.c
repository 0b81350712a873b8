/*
 * configsync/core_jobs.c - a job from its beginning to its end: contents, checks, installation; what waits or is refused. Pure.
 */
#include <stdlib.h>
#include <string.h>

#include "common/sort.h"
#include "configsync/core_priv.h"

struct job *
core_job(const struct core *c, uint64_t id)
{
	struct job *j = c->job;

	while (j != NULL && j->id != id)
		j = j->next;
	return j;
}

bool
core_installing(const struct core *c, const struct row *r)
{
	const struct job *j;

	if (r != NULL) {
		j = r->ext == NULL || r->ext->job == 0 ? NULL : core_job(c, r->ext->job);
		return j != NULL && j->state == JOB_INSTALL;
	}
	for (j = c->job; j != NULL; j = j->next) {
		if (j->state == JOB_INSTALL)
			return true;
	}
	return false;
}

/* ---------------------------------------------------------------- making */

static void
add_row(struct core *c, struct job *j, const char *path, const struct entry *to)
{
	struct row *r = tree_get(c, path);
	struct ext *x = row_open(c, r);
	struct entry theirs;

	j->row[j->rows++] = (struct job_row){ .path = path, .st = x->st, .to = to,
		.taken = x->st >= x->sm && (entry_diff(version_entry(x->t, path, &theirs), to) & ~ENTRY_DIFF_TIME) == 0 };
	x->job = j->id;
	row_state(c, r, ROW_TAKES, CONFLICT_COUNT);
	if (x->from != NULL && (j->from == NULL || x->from->is.wall_ms >= j->from->is.wall_ms)) {
		origin_ref(x->from);
		origin_drop(j->from);
		j->from = x->from;
	}
}

bool
core_only_time(const struct change *ch)
{
	return ch->kind == CHANGE_META && entry_diff(ch->was, ch->to) == ENTRY_DIFF_TIME;
}

static void
add_set(const struct core *c, struct job *j, const char *path)
{
	struct set_id id;

	set_of(c->o.sets, path, &id);
	if (id.kind == SET_SINGLE)
		return;
	for (size_t i = 0; i < j->sets; i++) {
		if (set_same(&j->set[i], &id))
			return;
	}
	j->set = need(reallocarray(j->set, j->sets + 1, sizeof *j->set));
	j->set[j->sets++] = id;
}

static int
by_path(const void *left, const void *right)
{
	return entry_path_order(((const struct job_row *)left)->path, ((const struct job_row *)right)->path);
}

static void
copy_change(struct core *c, struct job *j, const struct change *from, bool single)
{
	struct change *to = &j->change[j->changes++];

	*to = *from;
	to->path = arena_text(j->arena, from->path);
	to->was = core_copy_entry(j->arena, from->was);
	to->to = core_copy_entry(j->arena, from->to);
	to->from = from->from == NULL ? NULL : arena_text(j->arena, from->from);
	to->from_was = core_copy_entry(j->arena, from->from_was);
	add_row(c, j, to->path, to->to);
	if (to->kind == CHANGE_RENAME) {
		add_row(c, j, to->from, NULL);
		if (!single)
			add_set(c, j, to->from);
	}
	if (!single && !core_only_time(to))
		add_set(c, j, to->path);
}

static uint64_t
head_of(const uint8_t digest[DIGEST_LEN])
{
	uint64_t head;

	memcpy(&head, digest, sizeof head);
	return head;
}

static int
by_digest(const void *left, const void *right)
{
	const struct content *a = left, *b = right;

	return a->head != b->head ? (a->head < b->head ? -1 : 1) : memcmp(a->digest, b->digest, DIGEST_LEN);
}

static struct content *
needed(const struct job *j, const uint8_t digest[DIGEST_LEN])
{
	const struct content key = { .digest = digest, .head = head_of(digest) };

	return j->needs == 0 ? NULL : bsearch(&key, j->need, j->needs, sizeof key, by_digest);
}

static bool
has_to_come(const struct change *ch)
{
	return ch->kind == CHANGE_FILE && ch->from == NULL && ch->to->size > 0;
}

/* Bytes from a path here, unless another job may change it meanwhile. */
static void
find_needs(struct core *c, struct job *j)
{
	size_t n = 0;

	j->need = need(calloc(j->changes + 1, sizeof *j->need));
	for (size_t i = 0; i < j->changes; i++) {
		struct change *ch = &j->change[i];
		const struct row *from = ch->from == NULL ? NULL : tree_find(&c->tree, ch->from, strlen(ch->from));

		if (ch->kind == CHANGE_FILE && (from == NULL || (from->ext != NULL && from->ext->job != j->id))) {
			ch->from = NULL;
			ch->from_was = NULL;
		}
		if (has_to_come(ch))
			j->need[n++] = (struct content){ .digest = ch->to->digest, .head = head_of(ch->to->digest) };
	}
	if (n > 1)
		qsort(j->need, n, sizeof *j->need, by_digest);
	for (size_t i = 0; i < n; i++) {
		if (j->needs == 0 || by_digest(&j->need[j->needs - 1], &j->need[i]) != 0)
			j->need[j->needs++] = j->need[i];
	}
	j->missing = j->needs;
}

/* Each content once, in the order of the changes. */
static void
ask_contents(struct core *c, struct job *j)
{
	find_needs(c, j);
	for (size_t i = 0; i < j->changes; i++) {
		struct content *one = has_to_come(&j->change[i]) ? needed(j, j->change[i].to->digest) : NULL;
		struct core_action *a;

		if (one == NULL || one->asked)
			continue;
		one->asked = true;
		a = core_act(c, CORE_NEED);
		a->job.id = j->id;
		a->entry = j->change[i].to;
	}
}

/* What becomes common by it. At first contact nothing does. */
static size_t
intent_of(const struct core *c, const struct job *j, struct core_store_row **ret)
{
	struct core_store_row *row = arena_take(j->arena, (j->rows + 1) * sizeof *row);
	size_t n = 0;

	for (size_t i = 0; i < j->rows && !c->first; i++) {
		if (j->row[i].taken)
			row[n++] = (struct core_store_row){ .path = j->row[i].path, .entry = j->row[i].to, .stamp = j->row[i].st, .common = true, .mine = true };
	}
	*ret = row;
	return n;
}

static void
install(struct core *c, struct job *j)
{
	struct core_looked *looked = arena_take(j->arena, j->rows * sizeof *looked);
	struct core_action *a = core_act(c, CORE_INSTALL);
	struct core_store_row *intent;
	size_t intents = intent_of(c, j, &intent);

	j->state = JOB_INSTALL;
	for (size_t i = 0; i < j->rows && c->problems > 0; i++)
		problem_clear(c, "content", j->row[i].path);
	for (size_t i = 0; i < j->rows; i++)
		looked[i] = (struct core_looked){ j->row[i].path, false };
	a->job = (struct core_job){ .id = j->id, .single = j->sets == 0, .change = j->change, .changes = j->changes, .looked = looked,
		.looks = j->rows, .intent = intent, .intents = intents, .origin = j->from == NULL ? NULL : &j->from->is };
}

static void
go_on(struct core *c, struct job *j)
{
	struct core_action *a;

	if (j->missing > 0 || j->after != 0)
		return;
	if (j->verified == j->sets) {
		install(c, j);
		return;
	}
	j->state = JOB_VERIFY;
	a = core_act(c, CORE_VERIFY);
	a->job = (struct core_job){ .id = j->id, .set = &j->set[j->verified], .change = j->change, .changes = j->changes,
		.origin = j->from == NULL ? NULL : &j->from->is };
}

uint64_t
core_job_new(struct core *c, const struct change *const *list, size_t n, bool single, uint64_t after)
{
	struct job *j = need(calloc(1, sizeof *j));

	j->id = ++c->last_job;
	j->after = after;
	j->arena = arena_new();
	j->change = need(calloc(n, sizeof *j->change));
	j->row = need(calloc(2 * n, sizeof *j->row));
	j->next = c->job;
	c->job = j;
	c->jobs++;
	for (size_t i = 0; i < n; i++)
		copy_change(c, j, list[i], single);
	sort_rows(j->row, j->rows, sizeof *j->row, by_path);
	ask_contents(c, j);
	go_on(c, j);
	return j->id;
}

/* ---------------------------------------------------------------- ending */

void
core_job_end(struct core *c, struct job *j)
{
	struct job **at = &c->job;

	while (*at != j)
		at = &(*at)->next;
	*at = j->next;
	c->jobs--;
	for (size_t i = 0; i < j->rows; i++) {
		struct row *r = tree_find(&c->tree, j->row[i].path, strlen(j->row[i].path));

		if (r == NULL || r->ext == NULL || r->ext->job != j->id)
			continue;
		r->ext->job = 0;
		row_dirty(c, r);
	}
	for (size_t i = 0; i < c->later.len; i++) {
		c->later.at[i]->later = false;
		row_dirty(c, c->later.at[i]);
		core_release(c, c->later.at[i]);	/* what came while a part of its set was judged belongs to that part */
	}
	c->later.len = 0;
	arena_free(j->arena);
	origin_drop(j->from);
	free(j->change);
	free(j->row);
	free(j->set);
	free(j->need);
	free(j);
}

void
core_job_cancel(struct core *c, struct job *j)
{
	core_act(c, CORE_CANCEL)->job.id = j->id;
	core_job_followers(c, j->id, false);
	core_job_end(c, j);
}

void
core_job_cancel_lost(struct core *c)
{
	struct job *j = c->job;

	while (j != NULL) {
		if (j->lost) {
			core_job_cancel(c, j);
			j = c->job;
		} else {
			j = j->next;
		}
	}
}

void
core_job_followers(struct core *c, uint64_t id, bool go)
{
	for (struct job *j = c->job; j != NULL; j = j->next) {
		if (j->after != id)
			continue;
		j->lost = j->lost || !go;
		if (go) {
			j->after = 0;
			go_on(c, j);
		}
	}
}

static bool
hold_row(struct core *c, const struct job *j, const char *path, uint64_t until_ms, uint32_t refused)
{
	struct row *r = tree_find(&c->tree, path, strlen(path));

	if (r == NULL || r->ext == NULL || r->ext->job != j->id)
		return false;
	row_wait(c, r, until_ms);
	r->ext->refused = refused;
	row_state(c, r, ROW_HELD, CONFLICT_COUNT);
	return true;
}

/* None of its paths is tried before until_ms. */
static void
hold(struct core *c, struct job *j, uint64_t until_ms, uint32_t refused)
{
	for (size_t i = 0; i < j->rows; i++)
		hold_row(c, j, j->row[i].path, until_ms, refused);
}

/* ---------------------------------------------------------------- contents and checks */

static bool
is_needed(const struct change *ch, const uint8_t digest[DIGEST_LEN])
{
	return has_to_come(ch) && digest_equal(ch->to->digest, digest, DIGEST_LEN);
}

/* Of a set all waits; of single files those that need it, and their other names. The others are planned again at once. */
static void
absent(struct core *c, struct job *j, const uint8_t digest[DIGEST_LEN], const char *why)
{
	uint64_t until_ms = c->now_ms + CORE_ABSENT_MS;

	if (j->sets > 0)
		hold(c, j, until_ms, 0);
	for (size_t i = 0; i < j->changes; i++) {
		const struct change *ch = &j->change[i];

		if (!is_needed(ch, digest))
			continue;
		if (hold_row(c, j, ch->path, until_ms, 0))
			row_held(c, tree_get(c, ch->path), "content", why);
		for (size_t k = 0; k < j->changes; k++) {
			if (j->change[k].kind == CHANGE_HARD && strcmp(j->change[k].from, ch->path) == 0)
				hold_row(c, j, j->change[k].path, until_ms, 0);
		}
	}
	core_job_cancel(c, j);
}

void
core_content(struct core *c, const uint8_t digest[DIGEST_LEN], enum core_have have, const char *why, uint64_t now_ms)
{
	struct content *one;

	core_begin(c, now_ms);
	for (struct job *j = c->job, *next; j != NULL; j = next) {
		next = j->next;
		one = j->state == JOB_CONTENT ? needed(j, digest) : NULL;
		if (one == NULL || one->here)
			continue;
		if (have == CORE_HAVE) {
			one->here = true;
			j->missing--;
			go_on(c, j);
		} else {
			absent(c, j, digest, why);
		}
	}
	core_end(c);
}

bool
core_needs(const struct core *c, const uint8_t digest[DIGEST_LEN], uint64_t but_job)
{
	for (const struct job *j = c->job; j != NULL; j = j->next) {
		if (j->id != but_job && !j->placed && needed(j, digest) != NULL)
			return true;
	}
	return false;
}

static void
refuse(struct core *c, struct job *j, const char *kind, uint64_t until_ms, const char *why)
{
	const struct set_id *set = &j->set[j->verified];
	char what[2 * SET_KEY_MAX];
	struct refusal *f;

	c->refusal = need(reallocarray(c->refusal, c->refusals + 1, sizeof *c->refusal));
	f = &c->refusal[c->refusals++];
	*f = (struct refusal){ ++c->last_refusal, *set, until_ms, need(strdup(set_shown(set, what, sizeof what))), kind };
	problem_set(c, kind, f->what, why);
	hold(c, j, CORE_FOREVER, f->id);
}

void
core_verified(struct core *c, uint64_t job, enum validity verdict, const char *why, uint64_t now_ms, uint64_t wall_ms)
{
	struct job *j;

	core_begin(c, now_ms);
	c->wall_offset = wall_ms - now_ms;
	j = core_job(c, job);
	if (j != NULL && j->state == JOB_VERIFY) {
		if (verdict == VALIDITY_VALID) {
			j->verified++;
			go_on(c, j);
		} else {
			if (verdict == VALIDITY_INVALID)
				refuse(c, j, "invalid", CORE_FOREVER, why);
			else
				refuse(c, j, "unchecked", now_ms + CORE_UNCHECKED_MS, why);
			core_job_end(c, j);
		}
	}
	core_end(c);
}

static void
release(struct core *c, size_t i)
{
	struct refusal f = c->refusal[i];

	c->refusal[i] = c->refusal[--c->refusals];
	problem_clear(c, f.kind, f.what);
	free(f.what);
	for (struct row *r = c->open; r != NULL; r = r->ext->next) {
		if (r->ext->refused == f.id) {
			r->ext->refused = 0;
			r->ext->wait_ms = 0;
			row_dirty(c, r);
		}
	}
}

void
core_release(struct core *c, const struct row *r)
{
	struct set_id id;

	if (c->refusals == 0)
		return;
	set_of(c->o.sets, r->path, &id);
	for (size_t i = c->refusals; i-- > 0;) {
		if (set_same(&c->refusal[i].set, &id) || (r->ext != NULL && r->ext->refused == c->refusal[i].id))
			release(c, i);
	}
}

void
core_release_due(struct core *c)
{
	for (size_t i = c->refusals; i-- > 0;) {
		if (c->refusal[i].until_ms <= c->now_ms)
			release(c, i);
	}
}

void
core_forget_refusals(struct core *c)
{
	while (c->refusals > 0)
		release(c, 0);
	for (struct row *r = c->open; r != NULL; r = r->ext->next)
		r->ext->wait_ms = 0;
}
