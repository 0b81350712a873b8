/*
 * configsync/core.c - the core's life, the frame of each event, and the list of actions. Pure.
 */
#include "configsync/core.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "configsync/core_priv.h"

#define ENTRIES_MAX 1000000u
#define BYTES_MAX (256u << 20)
#define REPORT_MAX 4096u
#define JOBS_MAX 64u
#define PART_CHANGES 8192u
#define PART_BYTES (24u << 20)
#define STAMP_LEN 8u

static void
take_options(struct core *c, const struct core_options *o)
{
	c->o = *o;
	snprintf(c->self, sizeof c->self, "%s", o->self);
	snprintf(c->peer, sizeof c->peer, "%s", o->peer);
	c->o.self = c->self;
	c->o.peer = c->peer;
	c->side = strcmp(c->self, c->peer) > 0;
	if (c->o.limits.entries == 0)
		c->o.limits.entries = ENTRIES_MAX;
	if (c->o.limits.bytes == 0)
		c->o.limits.bytes = BYTES_MAX;
	if (c->o.limits.report_rows == 0)
		c->o.limits.report_rows = REPORT_MAX;
	if (c->o.limits.jobs == 0)
		c->o.limits.jobs = JOBS_MAX;
	if (c->o.limits.part_changes == 0)
		c->o.limits.part_changes = PART_CHANGES;
	if (c->o.limits.part_bytes == 0)
		c->o.limits.part_bytes = PART_BYTES;
}

struct core *
core_new(const struct core_options *o)
{
	struct core *c = need(calloc(1, sizeof *c));

	take_options(c, o);
	c->out = arena_new();
	c->pool = pool_new();
	c->moment = 1;
	c->wait_least = CORE_FOREVER;
	return c;
}

static void
bury(struct core *c)
{
	for (size_t i = 0; i < c->deads; i++)
		version_gone(c, c->dead[i]);
	for (size_t i = 0; i < c->dead_rows.len; i++)
		row_gone(c, c->dead_rows.at[i]);
	c->deads = c->dead_rows.len = 0;
}

void
core_free(struct core *c)
{
	struct row *r;

	if (c == NULL)
		return;
	while (c->job != NULL)
		core_job_end(c, c->job);
	core_forget_intended(c, NULL);
	for (struct place p = { 0, 0 }; (r = tree_next(&c->tree, &p)) != NULL;) {
		if (r->ext != NULL) {
			version_drop(c, r->ext->m);
			version_drop(c, r->ext->t);
			origin_drop(r->ext->from);
			free(r->ext);
		}
		version_drop(c, r->v);
		row_gone(c, r);
	}
	tree_free(&c->tree);
	for (size_t i = 0; i < sizeof c->word / sizeof c->word[0]; i++) {
		for (struct word *w = c->word[i], *next; w != NULL; w = next) {
			next = w->next;
			free(w);
		}
	}
	for (size_t i = 0; i < c->storeds; i++) {
		version_drop(c, c->stored[i].v);
		origin_drop(c->stored[i].from);
	}
	bury(c);
	for (size_t i = 0; i < c->problems; i++)
		problem_free(&c->problem[i]);
	for (size_t i = 0; i < c->theirs_rows; i++)
		problem_free(&c->theirs[i]);
	for (size_t i = 0; i < c->refusals; i++)
		free(c->refusal[i].what);
	for (size_t i = 0; i < c->their_indexes; i++)
		free(c->their_index[i].path);
	for (size_t i = 0; i < c->agains; i++)
		free((char *)(uintptr_t)c->again[i].path);
	manifest_free(c->their_tree);
	list_free(&c->dirty);
	list_free(&c->say);
	list_free(&c->later);
	list_free(&c->dead_rows);
	arena_free(c->out);
	pool_free(c->pool);
	origin_drop(c->now_from);
	free(c->tree_bytes);
	free(c->their_index);
	free(c->recent);
	free(c->stored);
	free(c->dead);
	free(c->action);
	free(c->again);
	free(c->problem);
	free(c->theirs);
	free(c->refusal);
	free(c->show);
	free(c->show_theirs);
	free(c);
}

/* ---------------------------------------------------------------- the frame of an event */

void
core_begin(struct core *c, uint64_t now_ms)
{
	c->now_ms = now_ms;
	c->began = c->moment;
	origin_drop(c->now_from);
	c->now_from = NULL;
}

uint64_t
core_wall(const struct core *c)
{
	return c->now_ms + c->wall_offset;
}

static bool
same_origin(const struct stored *a, const struct stored *b)
{
	return a->from == b->from && a->common == b->common;
}

/* Of a version of which no reading and no news tells who made it: it was there at start, or an order says it anew. */
struct core_origin
core_nobody(struct core *c)
{
	struct core_origin o = { .cause = STORE_FOUND, .wall_ms = core_wall(c) };

	snprintf(o.name, sizeof o.name, "%016llx%016llx", (unsigned long long)c->o.epoch, (unsigned long long)++c->nameless);
	snprintf(o.node, sizeof o.node, "%s", c->self);
	return o;
}

static void
flush_stored(struct core *c)
{
	for (size_t i = 0, n; i < c->storeds; i += n) {
		struct core_store_row *row;
		struct core_action *a;
		struct core_origin *from;

		for (n = 1; i + n < c->storeds && same_origin(&c->stored[i], &c->stored[i + n]); n++)
			;
		row = arena_take(c->out, n * sizeof *row);
		for (size_t k = 0; k < n; k++) {
			const struct stored *s = &c->stored[i + k];

			row[k] = (struct core_store_row){ .path = s->row->path, .stamp = s->stamp, .common = s->common,
				.settles = s->settles, .mine = s->mine,
				.entry = version_entry(s->v, s->row->path, arena_take(c->out, sizeof(struct entry))) };
		}
		a = core_act(c, CORE_STORE);
		a->row = row;
		a->rows = n;
		a->origin = from = arena_take(c->out, sizeof *from);
		*from = c->stored[i].from != NULL ? c->stored[i].from->is : core_nobody(c);
		for (size_t k = 0; k < n; k++) {
			version_drop(c, c->stored[i + k].v);
			origin_drop(c->stored[i + k].from);
		}
	}
	c->storeds = 0;
}

/* Texts of the actions have to outlive the list. */
static void
flush_again(struct core *c)
{
	struct core_looked *looked;
	struct core_action *a;

	if ((c->agains == 0 && !c->again_all) || c->link == CORE_GREETING || (!c->scanned && !c->again_all))
		return;
	looked = arena_take(c->out, (c->agains + 1) * sizeof *looked);
	for (size_t i = 0; i < c->agains; i++) {
		looked[i] = (struct core_looked){ arena_text(c->out, c->again[i].path), c->again[i].below };
		free((char *)(uintptr_t)c->again[i].path);
	}
	a = core_act(c, CORE_RESCAN);
	a->looked = looked;
	a->looks = c->again_all ? 0 : c->agains;
	c->agains = 0;
	c->again_all = false;
}

void
core_end(struct core *c)
{
	core_job_cancel_lost(c);
	core_greet(c);
	core_doubt_names(c);
	if (c->link == CORE_LINKED) {
		do {
			core_flush_news(c);
			if (!c->more)
				core_evaluate(c);
		} while (c->say.len > 0 || core_settle_first(c));
	}
	flush_stored(c);
	if (c->link == CORE_LINKED)
		core_send_report(c);
	flush_again(c);
}

struct core_action *
core_act(struct core *c, enum core_action_type type)
{
	size_t size = type == CORE_SEND ? sizeof(struct core_action) : offsetof(struct core_action, wire);
	struct core_action *a = arena_take(c->out, size);

	if (c->actions == c->action_room) {
		c->action_room = c->action_room == 0 ? 16 : 2 * c->action_room;
		c->action = need(reallocarray(c->action, c->action_room, sizeof(struct core_action *)));
	}
	memset(a, 0, size);
	a->type = type;
	return c->action[c->actions++] = a;
}

const struct core_action *
core_action_next(struct core *c)
{
	if (c->done < c->actions)
		return c->action[c->done++];
	c->done = c->actions = 0;
	bury(c);
	arena_free(c->out);
	c->out = arena_new();
	return NULL;
}

uint64_t
core_next(struct core *c)
{
	return c->clock = stamp_after(c->clock, c->side);
}

/* One of mine that is higher than any: this node made it, and was started since. */
void
core_saw(struct core *c, uint64_t stamp)
{
	if (stamp <= c->clock)
		return;
	if ((stamp & 1) == c->side)
		c->born = stamp;
	c->clock = stamp;
}

/* Stamps that nobody remembers here may be remembered there: each start goes on somewhere else, so that they are not made again. (There is room for millions of starts.) */
void
core_begin_life(struct core *c)
{
	c->clock += c->o.epoch >> 24;
	c->born = c->clock;
}

void
core_fail(struct core *c, const char *why, ...)
{
	struct core_action *a;
	va_list ap;

	if (c->link == CORE_REFUSED || c->link == CORE_DOWN)
		return;
	va_start(ap, why);
	vsnprintf(c->link_why, sizeof c->link_why, why, ap);
	va_end(ap);
	c->link = CORE_REFUSED;
	c->more = false;
	core_forget_lists(c);
	problem_set(c, "link", c->peer, c->link_why);
	a = core_act(c, CORE_DROP);
	a->text = arena_text(c->out, c->link_why);
}

void
core_say(struct core *c, struct row *r)
{
	if (c->link != CORE_LINKED || r->ext->say)
		return;
	r->ext->say = true;
	list_add(&c->say, r);
}

void
core_store(struct core *c, struct row *r, struct version *v, uint64_t stamp, bool common, bool mine)
{
	if ((common && c->first) || (v != NULL && v->type == ENTRY_OTHER))
		return;
	if (c->storeds == c->stored_room) {
		c->stored_room = c->stored_room == 0 ? 32 : 2 * c->stored_room;
		c->stored = need(reallocarray(c->stored, c->stored_room, sizeof *c->stored));
	}
	c->stored[c->storeds++] = (struct stored){ r, version_ref(v), stamp, origin_ref(r->ext == NULL ? c->now_from : r->ext->from), common,
		common && r->ext != NULL && r->ext->disputed, mine };
	if (common && r->ext != NULL)
		r->ext->disputed = false;
	c->ever = c->ever || common;
}

void
core_again(struct core *c, const char *path, bool below)
{
	for (size_t i = 0; i < c->agains; i++) {
		if (strcmp(c->again[i].path, path) == 0 && (c->again[i].below || !below))
			return;
	}
	if (c->agains == CORE_AGAIN) {
		c->again_all = true;
		return;
	}
	if (c->again == NULL)
		c->again = need(calloc(CORE_AGAIN, sizeof *c->again));
	c->again[c->agains++] = (struct core_looked){ need(strdup(path)), below };
}

/* ---------------------------------------------------------------- small events */

void
core_role(struct core *c, enum wire_role role, uint64_t tenure, uint64_t now_ms)
{
	core_begin(c, now_ms);
	if (role != c->role || tenure != c->tenure) {
		c->role = role;
		c->tenure = tenure;
		if (c->sent_hello)
			core_hello(c);
		core_reconsider(c);
	}
	core_end(c);
}

void
core_reconsider(struct core *c)
{
	for (struct job *j = c->job, *next; j != NULL; j = next) {
		next = j->next;
		if (j->state != JOB_INSTALL)
			core_job_cancel(c, j);
	}
	for (struct row *r = c->open; r != NULL; r = r->ext->next)
		row_dirty(c, r);
}

void
core_rules(struct core *c, const struct core_options *o, uint64_t now_ms)
{
	struct row_list gone = { 0 };
	struct row *r;

	core_begin(c, now_ms);
	while (c->job != NULL)
		core_job_cancel(c, c->job);
	core_fail(c, "the rules of this node's configuration were read anew");
	problem_clear(c, "link", NULL);
	take_options(c, o);
	c->scanned = false;
	core_forget_refusals(c);
	for (struct place p = { 0, 0 }; (r = tree_next(&c->tree, &p)) != NULL;) {
		if (c->o.scope != NULL && scope_place(c->o.scope, r->path) != SCOPE_INSIDE)
			list_add(&gone, r);
	}
	/* what is carried no more is forgotten, and not taken for deleted */
	for (size_t i = 0; i < gone.len; i++)
		row_forget(c, gone.at[i]);
	list_free(&gone);
	c->again_all = true;
	core_end(c);
}

static void
end_waits(struct core *c)
{
	if (c->wait_least > c->now_ms)
		return;
	c->wait_least = CORE_FOREVER;
	for (struct row *r = c->open; r != NULL; r = r->ext->next) {
		if (r->ext->wait_ms > c->now_ms) {
			row_wait(c, r, r->ext->wait_ms);
		} else if (r->ext->wait_ms != 0) {
			r->ext->wait_ms = 0;
			row_dirty(c, r);
		}
	}
}

void
core_tick(struct core *c, uint64_t now_ms, uint64_t wall_ms)
{
	core_begin(c, now_ms);
	c->wall_offset = wall_ms - now_ms;
	core_release_due(c);
	end_waits(c);
	core_end(c);
}

bool
core_due(const struct core *c, uint64_t *ret_ms)
{
	uint64_t due = CORE_FOREVER;

	if (c->link == CORE_LINKED && c->report_changed)
		due = c->report_ms;
	for (size_t i = 0; i < c->refusals; i++)
		due = c->refusal[i].until_ms < due ? c->refusal[i].until_ms : due;
	if (c->link == CORE_LINKED && c->wait_least < due)
		due = c->wait_least;
	if (due == CORE_FOREVER)
		return false;
	*ret_ms = due;
	return true;
}

/* ---------------------------------------------------------------- what the store keeps */

uint8_t *
core_stamped(const struct entry *e, uint64_t stamp, size_t *ret_len)
{
	size_t len;
	uint8_t *entry = manifest_encode_entry(e, &len), *all = need(malloc(STAMP_LEN + len));

	for (unsigned int i = 0; i < STAMP_LEN; i++)
		all[i] = (uint8_t)(stamp >> (56 - 8 * i));
	memcpy(all + STAMP_LEN, entry, len);
	free(entry);
	*ret_len = STAMP_LEN + len;
	return all;
}

bool
core_unstamped(struct manifest *m, const uint8_t *bytes, size_t len, uint64_t *ret_stamp, struct err *err)
{
	uint64_t stamp = 0;

	if (len < STAMP_LEN)
		return err_set(err, 0, "version of %zu bytes: too short for a stamp and an entry", len);
	for (unsigned int i = 0; i < STAMP_LEN; i++)
		stamp = stamp << 8 | bytes[i];
	if (!manifest_parse_entry(m, bytes + STAMP_LEN, len - STAMP_LEN, err))
		return false;
	*ret_stamp = stamp;
	return true;
}
