/*
 * tests/unit/config_core_desk.h - for test_config_core_model.c: what a desk does with the actions of its core, in a world that is
 * only thought of; link, crashes, and a step of the schedule.
 */
#ifndef TESTS_UNIT_CONFIG_CORE_DESK_H
#define TESTS_UNIT_CONFIG_CORE_DESK_H

#include "tests/unit/config_core_read.h"

static inline struct core_origin
w_origin(const struct world *w, const struct node *n)
{
	struct core_origin o = { .name = "1", .cause = STORE_EDIT, .wall_ms = w->now };

	memcpy(o.node, n->name, strlen(n->name) + 1);
	return o;
}

/* ---------------------------------------------------------------- the link */

static inline void w_act(struct world *w, struct node *n);

static inline void
w_lose(struct node *n)
{
	for (size_t i = 0; i < n->ins; i++)
		free(n->in[i].bytes);
	n->ins = 0;
}

static inline void
w_cut(struct world *w)
{
	if (!w->up)
		return;
	w_say("%6lu the link is cut", (unsigned long)w->now);
	w->up = false;
	for (int i = 0; i < 2; i++) {
		w_lose(&w->node[i]);
		if (w->node[i].core != NULL) {
			core_link(w->node[i].core, false, w->now);
			w_act(w, &w->node[i]);
		}
	}
	for (int i = 0; i < 2; i++)
		w_lose(&w->node[i]);
}

static inline void
w_join(struct world *w)
{
	if (w->up || w->node[0].core == NULL || w->node[1].core == NULL)
		return;
	w_say("%6lu the nodes are linked", (unsigned long)w->now);
	w->up = true;
	for (int i = 0; i < 2; i++) {
		core_link(w->node[i].core, true, w->now);
		w_act(w, &w->node[i]);
	}
}

/* What an order may cost: the version that the winner knows of, and what the loser's core has when it comes. */
static inline void
w_allow(struct node *on, const struct core *c, const char *const *path, size_t paths, bool theirs)
{
	for (const struct row *r = c->open; r != NULL; r = r->ext->next) {
		struct entry e;
		bool named = paths == 0;

		for (size_t i = 0; i < paths; i++)
			named = named || entry_path_within(r->path, path[i]);
		if (named)
			on->ordered[w_at(r->path)] |= 1ull << w_state(version_entry(theirs ? r->ext->t : r->ext->m, r->path, &e));
	}
}

static inline void
w_send(struct world *w, struct node *n, const struct wire *wire)
{
	struct node *to = w_other(w, n);
	struct message m = { .type = (uint8_t)wire->type };

	if (!w->up)
		return;
	w_must(to->ins < W_QUEUE);
	m.bytes = wire_encode(wire, &m.len);
	w->said++;
	to->in[to->ins++] = m;
	w_say("%6lu %s: says %s", (unsigned long)w->now, n->name, wire_type_word(m.type));
}

static inline void
w_deliver(struct world *w, struct node *n)
{
	struct message m;
	struct wire wire;
	struct err err;

	if (n->ins == 0 || n->core == NULL)
		return;
	m = n->in[0];
	memmove(n->in, n->in + 1, --n->ins * sizeof n->in[0]);
	if (!wire_parse(&wire, m.type, m.bytes, m.len, &err))
		ck_abort_msg("%s", err.text);
	for (size_t i = 0; w_trace && m.type == WIRE_NEWS && i < wire.news.rows; i++)
		w_say("%6lu %s: hears of %s: %d @%lu", (unsigned long)w->now, n->name, wire.news.row[i].path, w_state(wire.news.row[i].entry),
		    (unsigned long)wire.news.row[i].stamp);
	if (m.type == WIRE_ORDER && wire.order.ask)
		w_allow(w_other(w, n), n->core, wire.order.path, wire.order.paths, true);
	else if (m.type == WIRE_ORDER)
		w_allow(n, n->core, wire.order.path, wire.order.paths, false);
	core_wire(n->core, &wire, w->now, w->now);
	wire_free(&wire);
	free(m.bytes);
	w_act(w, n);
}

/* ---------------------------------------------------------------- reading */

static inline void
w_watch(struct world *w, struct node *n)
{
	struct core_looked looked[W_PATHS];
	struct core_origin o = w_origin(w, n);
	struct manifest *m;
	uint32_t paths;

	if (n->core == NULL || n->changed == 0)
		return;
	paths = w_covered(n, n->changed);
	n->changed = 0;
	m = w_read(n, &n->disk, paths);
	core_slice(n->core, looked, w_looked(n, paths, looked), m, core_moment(n->core), &o, w->now);
	manifest_free(m);
	w_act(w, n);
}

static inline void
w_scan(struct world *w, struct node *n)
{
	struct core_origin o = w_origin(w, n);
	struct manifest *m;

	if (n->core == NULL || (!n->scanning && !n->wants_scan))
		return;
	if (!n->scanning) {
		n->scanning = true;
		n->wants_scan = false;
		n->snapshot = n->disk;
		n->scan_moment = core_moment(n->core);
		return;
	}
	n->scanning = false;
	m = w_read(n, &n->snapshot, W_ALL);
	core_scan(n->core, m, n->scan_moment, &o, w->now);
	manifest_free(m);
	w_act(w, n);
}

/* ---------------------------------------------------------------- life */

static inline struct core_options
w_options(struct world *w, const struct node *n)
{
	return (struct core_options){ .self = n->name, .peer = w->node[n == w->node].name,
		.epoch = ++w->epoch * 0x9e3779b97f4a7c15u >> 1, .both_write = w->both, .sets = &w_rules,
		.scope = w->scope[n->rules], .scope_digest = { 1, (uint8_t)n->rules }, .limits = { .jobs = w->jobs,
		.part_changes = w->epoch % 3 } };	/* 0: all at once, as there are so few paths */
}

/* As desk_load_common(): what waits for the store is newer than what is in it. */
static inline void
w_give_bases(struct node *n)
{
	struct manifest *m = manifest_new();

	for (int i = 0; i < W_PATHS; i++) {
		const struct kept *k = n->based[i] ? &n->base[i] : NULL;
		uint64_t stamp = 0;

		for (size_t at = 0; at < n->lates; at++)
			k = n->late[at].path == i && n->late[at].common ? &n->late[at].kept : k;
		if (k != NULL && k->bytes != NULL && !core_unstamped(m, k->bytes, k->len, &stamp, NULL))
			ck_abort_msg("the store has what cannot be read");
		if (k != NULL)
			core_base(n->core, w_path[i], k->bytes == NULL ? NULL : &m->at[m->len - 1], stamp);
	}
	manifest_free(m);
}

static inline void
w_give_noted(const struct world *w, struct node *n)
{
	struct core_origin o = w_origin(w, n);

	for (size_t i = 0; i < n->noteds; i++) {
		const struct noted *k = &n->noted[i];
		struct manifest *m = manifest_new();
		struct core_store_row row = { .path = w_path[k->path], .stamp = k->stamp };
		uint64_t stamp;

		if (k->kept.bytes != NULL && !core_unstamped(m, k->kept.bytes, k->kept.len, &stamp, NULL))
			ck_abort_msg("what was noted cannot be read");
		row.entry = k->kept.bytes == NULL ? NULL : &m->at[0];
		core_intent(n->core, &row, &o);
		manifest_free(m);
	}
}

/* Its core does not know any more what it has undone. */
static inline void
w_forget_life(struct node *n)
{
	memcpy(n->before, n->held, sizeof n->before);
	for (int i = 0; i < W_PATHS; i++)
		n->set_back[i] = n->set_back[i] || n->again[i];
}

/*
 * What was noted is found when it can be read. But a node that is started anew meanwhile may give lower stamps than the life before it, which nobody remembers
 * then; and of what it had removed it remembers nothing either.
 */
static inline void
w_forget_noted(struct world *w, struct node *n)
{
	struct node *other = w_other(w, n);

	for (int i = 0; i < W_PATHS; i++) {
		if (n->disk.at[i].state == 0 && !w_readable(&n->disk, i))
			n->took[i] = -1;
		if (other->disk.at[i].odd || !w_readable(&other->disk, i))
			other->took[i] = -1;
	}
}

static inline void
w_start(struct world *w, struct node *n)
{
	struct core_options o = w_options(w, n);

	w_forget_life(n);
	n->core = core_new(&o);
	w_give_bases(n);
	w_give_noted(w, n);
	core_role(n->core, n->role, w->tenure, w->now);
	n->wants_scan = true;
	n->changed = 0;
	w_forget_noted(w, n);
	w_act(w, n);
	w_scan(w, n);
	if (w->quiet)
		w_scan(w, n);
}

static inline void
w_crash(struct world *w, struct node *n)
{
	if (n->core == NULL)
		return;
	w_say("%6lu %s: crashes", (unsigned long)w->now, n->name);
	w->crashes++;
	core_free(n->core);
	n->core = NULL;
	memset(n->valid, 0, sizeof n->valid);
	n->todos = 0;
	n->scanning = n->wants_scan = false;
	w_forget_late(n);
	w_cut(w);
}

static inline void
w_power_cut(struct world *w, struct node *n)
{
	if (n->core == NULL)
		return;
	w_crash(w, n);
	if (w_one_in(w, 2))
		w_remember_noted(n);
	for (int i = 0; i < W_PATHS; i++) {
		int state = n->synced.at[i].state;

		if (n->disk.at[i].state != state) {
			n->set_back[i] = true;
			n->lost[i] |= 1ull << n->disk.at[i].state;
			w_put(w, n, i, state, n->synced.at[i].ino);
		}
		n->disk.at[i] = n->synced.at[i];
	}
}

/* Another configuration, as desk_reload() takes it: never in the middle of an installation. */
static inline void
w_new_rules(struct world *w, struct node *n, int rules)
{
	struct core_options o;

	if (rules == n->rules)
		return;
	for (size_t i = 0; i < n->todos; i++) {
		if (n->core != NULL && n->todo[i].type == CORE_INSTALL)
			return;
	}
	n->rules = rules;
	for (int i = 0; i < W_PATHS; i++)
		n->took[i] = w_carried(n, i) ? n->took[i] : -1;		/* it is not looked at */
	n->scanning = false;
	w_say("%6lu %s: new rules, %d", (unsigned long)w->now, n->name, rules);
	if (n->core == NULL)
		return;
	w_forget_life(n);
	o = w_options(w, n);
	w_cut(w);
	w_flush(n);
	core_rules(n->core, &o, w->now);
	w_give_bases(n);
	core_link(n->core, false, w->now);
	w_act(w, n);
}

/* ---------------------------------------------------------------- jobs */

/* Do changes of the other node count? */
static inline bool
w_may(const struct world *w, const struct core *c)
{
	bool mine = c->role == WIRE_ROLE_ACTIVE, theirs = c->peer_hello.role == WIRE_ROLE_ACTIVE;

	return w->both || (theirs && (!mine || c->peer_hello.tenure > c->tenure));
}

static inline void
w_todo(const struct world *w, struct node *n, const struct core_action *a)
{
	struct pending *p = &n->todo[n->todos++];

	w_must(n->todos < sizeof n->todo / sizeof n->todo[0]);
	*p = (struct pending){ .type = a->type, .job = a->job, .may = w_may(w, n->core) };
	if (a->type == CORE_NEED)
		memcpy(p->digest, a->entry->digest, DIGEST_LEN);
}

static inline void
w_cancel(struct node *n, uint64_t job)
{
	for (size_t i = n->todos; i-- > 0;) {
		w_must(n->todo[i].job.id != job || n->todo[i].type != CORE_INSTALL);
		if (n->todo[i].job.id == job) {
			memmove(n->todo + i, n->todo + i + 1, (n->todos - i - 1) * sizeof n->todo[0]);
			n->todos--;
		}
	}
}

static inline void
w_look_again(struct node *n, const struct core_looked *looked)
{
	int at = w_at(looked->path);

	n->changed |= 1u << at;
	for (int i = 0; i < W_PATHS && looked->below; i++)
		n->changed |= w_within(i, at) ? 1u << i : 0;
}

static inline void
w_act(struct world *w, struct node *n)
{
	const struct core_action *a;
	bool drop = false;

	while ((a = core_action_next(n->core)) != NULL) {
		switch (a->type) {
		case CORE_SEND:
			w_send(w, n, &a->wire);
			break;
		case CORE_DROP:
			law(w, w->node[0].rules != w->node[1].rules, a->text, n->name, "link");	/* else two honest nodes have no reason */
			drop = true;
			break;
		case CORE_RESCAN:
			n->wants_scan = n->wants_scan || a->looks == 0;
			for (size_t i = 0; i < a->looks; i++)
				w_look_again(n, &a->looked[i]);
			break;
		case CORE_CANCEL:
			w_cancel(n, a->job.id);
			break;
		case CORE_STORE:
		case CORE_DISPUTE:
			for (size_t i = 0; i < a->rows; i++) {
				w_store(w, n, &a->row[i], a->row[i].common);
				law(w, a->type != CORE_DISPUTE || a->row[i].kind != CONFLICT_BOTH || (a->row[i].theirs_stamp & 1) != n->core->side,
				    "a node is in conflict with what it made itself", n->name, a->row[i].path);
			}
			break;
		case CORE_NEED:
		case CORE_VERIFY:
		case CORE_INSTALL:
			w_todo(w, n, a);
		}
	}
	if (drop)
		w_cut(w);
}

/* On its disk, or in its store. */
static inline bool
w_has_content(const struct node *n, const uint8_t digest[DIGEST_LEN])
{
	for (int state = W_FIRST; state < W_STATES; state += 3) {
		uint8_t is[DIGEST_LEN];

		w_digest(w_content(state), is);
		if (memcmp(is, digest, DIGEST_LEN) != 0)
			continue;
		for (int i = 0; i < W_PATHS; i++) {
			if ((n->disk.at[i].state >= W_FIRST && w_content(n->disk.at[i].state) == w_content(state)) || (n->stored[i] >> state & 7) != 0)
				return true;
		}
	}
	return false;
}

static inline void
w_need(struct world *w, struct node *n, const struct pending *p)
{
	bool have = w_has_content(w_other(w, n), p->digest) && (w->quiet || !w_one_in(w, 20));

	core_content(n->core, p->digest, have ? CORE_HAVE : CORE_ABSENT, "the other node has it no more", w->now);
	w_act(w, n);
}

static inline void
w_verify(struct world *w, struct node *n, const struct pending *p)
{
	enum validity verdict = !w->quiet && w_one_in(w, 10) ? VALIDITY_UNKNOWN : VALIDITY_VALID;

	for (size_t i = 0; i < p->job.changes; i++) {
		int state = w_state(p->job.change[i].to);

		if (entry_path_within(p->job.change[i].path, p->job.set->tree) && state >= W_FIRST && state % 7 == 0)
			verdict = VALIDITY_INVALID;
	}
	w->refused += verdict == VALIDITY_INVALID;
	n->valid[p->job.id % W_JOBS] += verdict == VALIDITY_VALID;
	w_say("%6lu %s: %s is %s", (unsigned long)w->now, n->name, p->job.set->key, verdict == VALIDITY_VALID ? "valid" : "not valid");
	core_verified(n->core, p->job.id, verdict, "a sentence", w->now, w->now);
	w_act(w, n);
}

static inline void
w_keep_old(struct world *w, struct node *n, const struct core_job *job)
{
	w_flush(n);
	for (size_t i = 0; i < job->changes; i++) {
		const struct change *c = &job->change[i];

		law(w, n->valid[job->id % W_JOBS] > 0 || (!entry_path_within(c->path, "d/z") && !entry_path_within(c->path, "e/s")) || core_only_time(c),
		    "a set was installed that was not found valid", n->name, c->path);
		if (c->was != NULL)
			n->stored[w_at(c->path)] |= 1ull << w_state(c->was);
		if (c->kind == CHANGE_RENAME)
			n->stored[w_at(c->from)] |= 1ull << w_state(c->from_was);
	}
}

static inline void
w_install(struct world *w, struct node *n, const struct pending *p)
{
	struct report report = { 0 };
	struct core_origin o = w_origin(w, n);
	struct manifest *m;
	struct disk left;
	uint32_t paths = 0;
	bool done = !n->full, alive = true;

	for (size_t i = 0; i < p->job.changes; i++) {
		int path = w_at(p->job.change[i].path);

		law(w, p->may || n->ordered[path] != 0 || w_variant(n, path) >= 0, "what the wrong node changed was taken", n->name, w_path[path]);
	}
	if (done) {
		w_keep_old(w, n, &p->job);
		w_note(n, &p->job);
		alive = w_apply(w, n, &p->job, &report, &done);
	}
	w->failed += !done;
	if (!alive) {
		report_free(&report);
		w_crash(w, n);
		return;
	}
	left = n->disk;
	if (!w->quiet && w_one_in(w, 8))
		w_edit(w, n);		/* before it is read again, if it is */
	for (size_t i = 0; i < p->job.looks; i++)
		paths |= 1u << w_at(p->job.looked[i].path);
	m = !w->quiet && w_one_in(w, 40) ? NULL :
	    p->job.id % 2 == 0 ? w_read_rest(n, &left, w_placed(&p->job, &left, &report), paths) : w_read(n, &n->disk, w_covered(n, paths));
	for (int i = 0; i < W_PATHS && m == NULL; i++)
		n->took[i] = (paths >> i & 1) != 0 && !done ? -1 : n->took[i];	/* nobody knows what stands there, and it may be known too late */
	if (done && report.len == 0 && p->job.id % 3 != 0) {
		core_placed(n->core, p->job.id, w->now);
		w_act(w, n);
	}
	core_installed(n->core, p->job.id, done, &report, done ? NULL : n->full ? "the disk is full" : "something failed", m, &o, w->now, w->now);
	manifest_free(m);
	report_free(&report);
	w_act(w, n);
}

static inline void
w_work(struct world *w, struct node *n)
{
	struct pending p;

	if (n->core == NULL || n->todos == 0)
		return;
	p = n->todo[0];
	memmove(n->todo, n->todo + 1, --n->todos * sizeof n->todo[0]);
	if (p.type == CORE_NEED)
		w_need(w, n, &p);
	else if (p.type == CORE_VERIFY)
		w_verify(w, n, &p);
	else
		w_install(w, n, &p);
}

#endif
