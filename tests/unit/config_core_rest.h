/*
 * tests/unit/config_core_rest.h - for test_config_core_model.c: two nodes that nobody touches any more come to rest, and what must hold then.
 */
#ifndef TESTS_UNIT_CONFIG_CORE_REST_H
#define TESTS_UNIT_CONFIG_CORE_REST_H

#include "tests/unit/config_core_desk.h"

#define QUIET_MOST 6000		/* steps in which two nodes that nobody touches come to rest */
#define IDLE_MOST 24		/* times that they try again, and nothing comes of it */
#define JUMPS_MOST 200

static inline void
tick(struct world *w)
{
	for (int i = 0; i < 2; i++) {
		struct node *n = &w->node[i];

		if (n->core != NULL) {
			core_tick(n->core, w->now, w->now);
			w_act(w, n);
		}
	}
}

static inline bool
anything(struct world *w)
{
	for (int i = 0; i < 2; i++) {
		const struct node *n = &w->node[i];

		if (n->ins > 0 || n->todos > 0 || n->changed != 0 || n->scanning || n->wants_scan)
			return true;
	}
	return false;
}

static inline void
tell(const struct node *n)
{
	static const char *const word[] = { "alike", "give", "take", "wait", "held", "disputed", "unlike", "own" };

	for (const struct row *r = n->core->open; r != NULL; r = r->ext->next) {
		struct entry m, t;

		version_entry(r->ext->m, r->path, &m);
		version_entry(r->ext->t, r->path, &t);
		w_say("%s: %s: mine %d @%lu, theirs %d @%lu, base @%lu: %s %s, job %lu%s%s%s", n->name, r->path, w_state(r->ext->m == NULL ? NULL : &m),
		    (unsigned long)r->ext->sm, w_state(r->ext->t == NULL ? NULL : &t), (unsigned long)r->ext->st, (unsigned long)r->stamp,
		    word[r->ext->state], r->ext->state == ROW_DISPUTED ? conflict_word(r->ext->kind) : "", (unsigned long)r->ext->job,
		    version_time_same(r->ext->m, r->ext->t) ? "" : ", of another time", r->ext->wait_ms == CORE_FOREVER ? ", given up" : "",
		    r->ext->m != NULL && r->ext->t != NULL && (r->ext->m->text != NULL || r->ext->t->text != NULL) ? ", joined" : "");
	}
	for (size_t i = 0; i < n->core->problems; i++)
		w_say("%s: %s %s: %s", n->name, n->core->problem[i].kind, n->core->problem[i].path, n->core->problem[i].text);
}

/* Until nothing is under way, and time changes nothing, or only that something is tried again. */
static inline void
come_to_rest(struct world *w)
{
	int steps = 0, jumps = 0, idle = 0;
	uint64_t due, least;

	for (; steps < QUIET_MOST && jumps < JUMPS_MOST && w->broken[0] == '\0'; jumps++) {
		unsigned long before = w->installed, said = w->said;

		for (; anything(w) && steps < QUIET_MOST && w->broken[0] == '\0'; steps++) {
			for (int i = 0; i < 2; i++) {
				struct node *n = &w->node[i];

				w->now++;
				w_deliver(w, n);
				w_work(w, n);
				w_watch(w, n);
				w_scan(w, n);
			}
		}
		least = UINT64_MAX;
		for (int i = 0; i < 2; i++)
			least = core_due(w->node[i].core, &due) && due < least ? due : least;
		idle = w->installed == before ? idle + 1 : 0;
		law(w, idle < 2 || w->said - said < 64, "two nodes that nobody touches talk", "both", "");
		if (least == UINT64_MAX || (idle >= IDLE_MOST && !w->node[0].core->report_changed && !w->node[1].core->report_changed))
			break;
		w->now = least > w->now ? least : w->now;
		tick(w);
	}
	law(w, steps < QUIET_MOST && jumps < JUMPS_MOST, "two nodes that nobody touches do not come to rest", "both", "");
}

static inline const struct ext *
ext_of(const struct node *n, int path)
{
	const struct row *r = tree_find(&n->core->tree, w_path[path], strlen(w_path[path]));

	return r == NULL ? NULL : r->ext;
}

static inline bool
shown(const struct node *n, int path)
{
	const struct ext *x = ext_of(n, path);

	return x != NULL && (x->state == ROW_DISPUTED || x->state == ROW_HELD || x->state == ROW_UNLIKE);
}

/* It changes with its other names. */
static inline bool
is_joined(const struct ext *x)
{
	return (x->m != NULL && x->m->text != NULL) || (x->t != NULL && x->t->text != NULL);
}

/* Here, or told by the other node. */
static inline bool
known(const struct node *n, int path)
{
	struct core_status s;

	core_status(n->core, &s);
	for (size_t i = 0; i < s.theirs_rows; i++) {
		if (entry_path_within(w_path[path], s.theirs[i].path) || strcmp(s.theirs[i].kind, "invalid") == 0)
			return true;
	}
	return shown(n, path);
}

/* One of the nodes has a variant of it, so each has its own. */
static inline bool
is_own(const struct world *w, int path)
{
	const char *node;

	for (int i = 0; i < W_PATHS; i++) {
		if (w_file_of(i, &node) == path && (w->node[0].disk.at[i].state >= W_FIRST || w->node[1].disk.at[i].state >= W_FIRST))
			return true;
	}
	return false;
}

/* As its own variant, where it has one. */
static inline bool
is_as_variant(const struct node *n, int path)
{
	int variant = w_variant(n, path), state = variant < 0 ? 0 : n->disk.at[variant].state;

	return state < W_FIRST || n->disk.at[path].state == state;
}

/*
 * What a node has only put in place, and nobody has edited there since, it has not changed: also where it was killed meanwhile. But an order
 * says a version anew, and the node that had made it may have lost it, or not know that it was common.
 */
static inline void
check_conflict(struct world *w, struct node *n, int path)
{
	const struct ext *x = ext_of(n, path);
	bool installed = n->took[path] >= 0 && !n->joined[path] && w_variant(n, path) < 0 && n->ordered[path] != UINT64_MAX && w->orders == 0 &&
	    !w_other(w, n)->set_back[path];

	bool blamed = x != NULL && x->state == ROW_DISPUTED &&
	    (x->kind == CONFLICT_BOTH || (x->kind == CONFLICT_WRONG_SIDE && n->role != WIRE_ROLE_ACTIVE));

	law(w, !installed || !blamed, "a conflict is about what was only put in place", n->name,
	    w_path[path]);
}

/* Both trees are the same, or what differs is shown. */
static inline void
check_trees(struct world *w, bool ret_equal[2])
{
	struct manifest *a = w_read(&w->node[0], &w->node[0].disk, W_ALL), *b = w_read(&w->node[1], &w->node[1].disk, W_ALL);

	ret_equal[0] = ret_equal[1] = true;
	for (int i = 0; i < W_PATHS; i++) {
		bool own = is_own(w, i);

		for (int k = 0; k < 2 && own; k++) {
			if (is_as_variant(&w->node[k], i))
				continue;
			ret_equal[k] = false;
			law(w, shown(&w->node[k], i), "a file is not as its variant, and its node does not say so", w->node[k].name, w_path[i]);
			law(w, known(&w->node[!k], i), "a file is not as its variant, and the other node does not know it", w->node[!k].name, w_path[i]);
		}
		if (own || (entry_diff(manifest_find(a, w_path[i]), manifest_find(b, w_path[i])) & ~ENTRY_DIFF_TIME) == 0)
			continue;
		ret_equal[0] = ret_equal[1] = false;
		w->conflicts++;
		check_conflict(w, &w->node[0], i);
		check_conflict(w, &w->node[1], i);
		law(w, shown(&w->node[0], i) || shown(&w->node[1], i), "a path differs, and neither node says so", "both", w_path[i]);
		law(w, known(&w->node[0], i), "a path differs, and a node does not know it", w->node[0].name, w_path[i]);
		law(w, known(&w->node[1], i), "a path differs, and a node does not know it", w->node[1].name, w_path[i]);
	}
	manifest_free(a);
	manifest_free(b);
}

/* Nothing is kept of what is over. */
static inline void
check_memory(struct world *w, const struct node *n)
{
	const struct core *c = n->core;

	law(w, c->jobs == 0 && c->dirty.len == 0 && c->say.len == 0 && c->later.len == 0 && c->storeds == 0, "something is kept that is over", n->name, "");
	law(w, c->tree.len <= W_PATHS, "there are more rows than paths", n->name, "");
	for (const struct row *r = c->open; r != NULL; r = r->ext->next) {
		const struct ext *x = r->ext;
		const struct ext *y = ext_of(w_other(w, (struct node *)(uintptr_t)n), w_at(r->path));
		bool same = version_diff(x->m, x->t) == 0 && x->sm == x->st && x->sm == r->stamp;
		bool unlike_stamps = version_diff(x->m, x->t) == 0 && x->m != NULL && (x->sm != x->st || x->sm != r->stamp) && x->state == ROW_ALIKE;
		bool given_up = x->wait_ms != 0 || (y != NULL && y->wait_ms != 0) ||
		    (x->m != NULL && x->m->text != NULL);	/* a time that cannot be set, does not stay, or is that of a file with other names */

		law(w, !unlike_stamps, "equal contents are not common", n->name, r->path);
		law(w, x->state == ROW_OWN || x->state == ROW_HELD || w->node[0].core->first || w->node[1].core->first || given_up || !same || x->state == ROW_DISPUTED, "a path that is in step is kept as if it were not", n->name, r->path);
	}
}

/* Of a file that both nodes have, or had when its owner was told. */
static inline bool
is_strange(const struct node *n, int path)
{
	int state = n->disk.at[path].state;

	return state >= W_FIRST && w_look(state) == LOOK_MAIL && w_carried(n, path);
}

/* mail has no name on beta, which says so as long as a file of its stands there. What is left of the other problems. */
static inline size_t
check_owners(struct world *w, struct node *n, const struct core_status *s)
{
	uint32_t told = 0;
	size_t others = 0;

	for (size_t i = 0; i < s->problems; i++) {
		if (strcmp(s->problem[i].kind, note_word(NOTE_UNKNOWN_OWNER)) == 0)
			told |= 1u << w_at(s->problem[i].path);
		else
			others++;
	}
	for (int i = 0; i < W_PATHS; i++) {
		bool strange = n == &w->node[1] && is_strange(n, i);

		law(w, (told >> i & 1) == 0 || strange, "an owner is told as unknown, and is not", n->name, w_path[i]);
		law(w, (told >> i & 1) != 0 || !strange || !is_strange(w_other(w, n), i), "an owner is unknown, and its node does not say so", n->name, w_path[i]);
	}
	return others;
}

static inline void
check_rest(struct world *w)
{
	struct core_status s;
	bool equal[2];

	check_trees(w, equal);
	for (int i = 0; i < 2; i++) {
		core_status(w->node[i].core, &s);
		law(w, s.link == CORE_LINKED, "two nodes that nobody touches are not linked", w->node[i].name, "");
		law(w, !s.in_step || equal[i], "a node says that it is in step, and the trees differ", w->node[i].name, "");
		law(w, s.in_step || !equal[i], "the trees are equal, and a node does not say that it is in step", w->node[i].name, "");
		law(w, check_owners(w, &w->node[i], &s) == 0 || !s.in_step, "a problem is left of what is over", w->node[i].name,
		    s.problems > 0 ? s.problem[s.problems - 1].kind : "");
		check_memory(w, &w->node[i]);
	}
}

static inline bool
quiet(struct world *w)
{
	bool equal[2];

	w_say("%6lu ----------- nobody touches anything any more", (unsigned long)w->now);
	w->quiet = true;
	while (w->node[1].todos > 0 && w->node[1].core != NULL)
		w_work(w, &w->node[1]);
	w_new_rules(w, &w->node[1], w->node[0].rules);
	for (int i = 0; i < 2; i++) {
		struct node *n = &w->node[i];

		for (int k = 0; k < W_PATHS; k++)
			n->changed |= n->disk.at[k].odd ? 1u << k : 0;
		for (int k = 0; k < W_PATHS; k++)
			n->disk.at[k].odd = false;
		n->role = i == (int)(w->now & 1) ? WIRE_ROLE_ACTIVE : WIRE_ROLE_STANDBY;
		if (n->core == NULL)
			w_start(w, n);
		core_role(n->core, n->role, ++w->tenure, w->now);
		w_act(w, n);
	}
	w_join(w);
	come_to_rest(w);
	if (w->broken[0] == '\0' && (w->node[0].full || w->node[1].full)) {
		check_trees(w, equal);
		w->node[0].full = w->node[1].full = false;
		come_to_rest(w);
	}
	tell(&w->node[0]);
	tell(&w->node[1]);
	return w->broken[0] == '\0';
}

/*
 * An order for everything leaves next to nothing undecided: names of one file that change while it is carried out. Of two that contradict each
 * other one is refused, path by path.
 */
static inline void
check_orders(struct world *w)
{
	bool two = w_one_in(w, 2);
	struct err err;

	w_say("%6lu ----------- everything is ordered, by %s", (unsigned long)w->now, two ? "two" : "one");
	for (int i = 0; i < 2; i++) {
		for (int k = 0; k < W_PATHS; k++)
			w->node[i].ordered[k] = UINT64_MAX;
		if (i == 1 && !two)
			break;
		core_order(w->node[i].core, w->node[i].name, NULL, 0, "anna", w->now, &err);
		w_act(w, &w->node[i]);
	}
	come_to_rest(w);
	for (int i = 0; i < 2; i++) {
		for (const struct row *r = w->node[i].core->open; r != NULL; r = r->ext->next) {
			const struct ext *x = r->ext, *y = ext_of(&w->node[!i], w_at(r->path));

			w->undecided += !two && !is_joined(x) && x->state == ROW_DISPUTED && x->kind <= CONFLICT_FIRST && (y == NULL || y->state != ROW_HELD);
		}
	}
	check_rest(w);
}

/* Of two nodes in step that are started anew nothing comes. */
static inline void
check_restart(struct world *w)
{
	unsigned long before = w->installed;
	struct core_status s[2];

	core_status(w->node[0].core, &s[0]);
	core_status(w->node[1].core, &s[1]);
	if (!s[0].in_step || !s[1].in_step)
		return;
	for (int i = 0; i < 2; i++) {
		w_flush(&w->node[i]);
		w_crash(w, &w->node[i]);
		w_start(w, &w->node[i]);
	}
	w_join(w);
	come_to_rest(w);
	check_rest(w);
	law(w, w->installed == before, "two nodes in step were started anew, and something was installed", "both", "");
}

#endif
