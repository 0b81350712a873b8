/*
 * tests/unit/test_config_core_model.c - the laws of configsync/core.h, held against many histories: edits on both nodes, links that
 * break, crashes and power cuts at any point, checks that refuse, orders, changes of role.
 *
 * MAILPAIR_CORE_SCHEDULES=N: so many histories (about 1,000 in a second). MAILPAIR_CORE_SEED=N: that one alone, told step by step.
 */
#include "tests/unit/harness.h"

#include "tests/unit/config_core_desk.h"

#define SCHEDULES 2500
#define STEPS 120
#define QUIET_MOST 6000		/* steps in which two nodes that nobody touches come to rest */

/* ---------------------------------------------------------------- a history */

static void
begin_trees(struct world *w)
{
	bool same = w_one_in(w, 2);

	for (int k = 0; k < 2; k++) {
		struct node *n = &w->node[k];

		for (int i = 0; i < W_PATHS; i++) {
			n->took[i] = -1;
			if (k == 1 && same) {
				n->disk.at[i] = w->node[0].disk.at[i];
				continue;
			}
			if (w_one_in(w, 3) || (w_parent(i) >= 0 && n->disk.at[w_parent(i)].state != 1))
				continue;
			n->disk.at[i].state = strchr("de", w_path[i][0]) != NULL && (i == 3 || i == 6 || i == 8 || i == 9) ? 1 : (uint8_t)(2 + toy_below(&w->toy, 4));
			n->disk.at[i].ino = ++w->inodes;
		}
		n->synced = n->disk;
	}
}

static void
order(struct world *w, struct node *n)
{
	const char *path = w_path[toy_below(&w->toy, W_PATHS)];
	const char *winner = w->node[toy_below(&w->toy, 2)].name;
	size_t paths = w_one_in(w, 2) ? 0 : 1;
	struct err err;

	if (n->core == NULL || n->core->link != CORE_LINKED)
		return;
	if (strcmp(winner, n->name) == 0)
		w_allow(w_other(w, n), n->core, &path, paths, true);
	if (core_order(n->core, winner, &path, paths, "anna", w->now, &err)) {
		w->orders++;
		w_say("%6lu %s: ordered to take %s's %s", (unsigned long)w->now, n->name, winner, paths == 0 ? "everything" : path);
	}
	w_act(w, n);
}

static void
change_role(struct world *w, struct node *n)
{
	n->role = (enum wire_role)toy_below(&w->toy, WIRE_ROLE_COUNT);
	w->tenure += toy_below(&w->toy, 2);
	if (n->core != NULL) {
		core_role(n->core, n->role, w->tenure, w->now);
		w_act(w, n);
	}
}

static void
odd(struct world *w, struct node *n)
{
	int path = (int)toy_below(&w->toy, W_PATHS);

	if (n->disk.at[path].state > 1) {
		n->disk.at[path].odd = !n->disk.at[path].odd;
		n->changed |= 1u << path;
	}
}

static void
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

static void
step(struct world *w)
{
	struct node *n = &w->node[toy_below(&w->toy, 2)];
	unsigned int what = toy_below(&w->toy, 100);

	w->now += toy_below(&w->toy, 20);
	w->steps++;
	if (!w->up && w_one_in(w, 5))
		w_join(w);
	else if (n->core == NULL && w_one_in(w, 4))
		w_start(w, n);
	else if (what < 14)
		w_edit(w, w->both || n->role == WIRE_ROLE_ACTIVE || w_one_in(w, 4) ? n : w_other(w, n));
	else if (what < 28)
		w_watch(w, n);
	else if (what < 56)
		w_deliver(w, n);
	else if (what < 74)
		w_work(w, n);
	else if (what < 78)
		w_scan(w, n);
	else if (what < 80)
		w_flush(n);
	else if (what < 82)
		w_cut(w);
	else if (what < 83)
		w_crash(w, n);
	else if (what < 84)
		w_power_cut(w, n);
	else if (what < 88)
		w_deliver(w, n);
	else if (what < 91)
		w_flush(n);
	else if (what < 93)
		order(w, n);
	else if (what < 94)
		change_role(w, n);
	else if (what < 96)
		odd(w, n);
	else if (what < 97)
		n->synced = n->disk;
	else if (what < 98)
		n->wants_scan = true;
	else
		tick(w);
}

/* ---------------------------------------------------------------- rest */

static bool
anything(struct world *w)
{
	for (int i = 0; i < 2; i++) {
		const struct node *n = &w->node[i];

		if (n->ins > 0 || n->todos > 0 || n->changed != 0 || n->scanning || n->wants_scan)
			return true;
	}
	return false;
}

static void
tell(const struct node *n)
{
	static const char *const word[] = { "alike", "give", "take", "wait", "held", "disputed", "unlike", "own" };

	for (const struct row *r = n->core->open; r != NULL; r = r->ext->next) {
		struct entry m, t;

		version_entry(r->ext->m, r->path, &m);
		version_entry(r->ext->t, r->path, &t);
		w_say("%s: %s: mine %d @%lu, theirs %d @%lu, base @%lu: %s %s, job %lu", n->name, r->path, w_state(r->ext->m == NULL ? NULL : &m),
		    (unsigned long)r->ext->sm, w_state(r->ext->t == NULL ? NULL : &t), (unsigned long)r->ext->st, (unsigned long)r->stamp,
		    word[r->ext->state], r->ext->state == ROW_DISPUTED ? conflict_word(r->ext->kind) : "", (unsigned long)r->ext->job);
	}
	for (size_t i = 0; i < n->core->problems; i++)
		w_say("%s: %s %s: %s", n->name, n->core->problem[i].kind, n->core->problem[i].path, n->core->problem[i].text);
}

static void
come_to_rest(struct world *w)
{
	int steps = 0, jumps = 0;
	uint64_t due, least;

	do {
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
		w->now = least != UINT64_MAX && least > w->now ? least : w->now;
		tick(w);
		jumps++;
	} while ((least != UINT64_MAX || anything(w)) && jumps < 200 && steps < QUIET_MOST && w->broken[0] == '\0');
	tell(&w->node[0]);
	tell(&w->node[1]);
	law(w, steps < QUIET_MOST && jumps < 200, "two nodes that nobody touches do not come to rest", "both", "");
}

static bool
quiet(struct world *w)
{
	w_say("%6lu ----------- nobody touches anything any more", (unsigned long)w->now);
	w->quiet = true;
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
	return w->broken[0] == '\0';
}

static const struct ext *
ext_of(const struct node *n, int path)
{
	const struct row *r = tree_find(&n->core->tree, w_path[path], strlen(w_path[path]));

	return r == NULL ? NULL : r->ext;
}

static bool
shown(const struct node *n, int path)
{
	const struct ext *x = ext_of(n, path);

	return x != NULL && (x->state == ROW_DISPUTED || x->state == ROW_HELD || x->state == ROW_UNLIKE);
}

/* Here, or told by the other node. */
static bool
known(const struct node *n, int path)
{
	struct core_status s;

	core_status(n->core, &s);
	for (size_t i = 0; i < s.theirs_rows; i++) {
		if (strcmp(s.theirs[i].path, w_path[path]) == 0 || strcmp(s.theirs[i].kind, "invalid") == 0)
			return true;
	}
	return shown(n, path);
}

static void
check_rest(struct world *w)
{
	struct manifest *a = w_read(&w->node[0].disk, W_ALL), *b = w_read(&w->node[1].disk, W_ALL);
	bool equal = true;
	struct core_status s;

	for (int i = 0; i < W_PATHS; i++) {
		if ((entry_diff(manifest_find(a, w_path[i]), manifest_find(b, w_path[i])) & ~ENTRY_DIFF_TIME) == 0)
			continue;
		equal = false;
		w->conflicts++;
		law(w, shown(&w->node[0], i) || shown(&w->node[1], i), "a path differs, and neither node says so", "both", w_path[i]);
		law(w, known(&w->node[0], i), "a path differs, and a node does not know it", w->node[0].name, w_path[i]);
		law(w, known(&w->node[1], i), "a path differs, and a node does not know it", w->node[1].name, w_path[i]);
	}
	for (int i = 0; i < 2; i++) {
		core_status(w->node[i].core, &s);
		law(w, s.link == CORE_LINKED, "two nodes that nobody touches are not linked", w->node[i].name, "");
		law(w, !s.in_step || equal, "a node says that it is in step, and the trees differ", w->node[i].name, "");
		law(w, s.in_step || !equal, "the trees are equal, and a node does not say that it is in step", w->node[i].name, "");
		law(w, !s.in_step || s.problems == 0, "a problem is left of what is over", w->node[i].name, s.problems > 0 ? s.problem[0].kind : "");
	}
	manifest_free(a);
	manifest_free(b);
}

/* ---------------------------------------------------------------- the whole */

static struct world *
world_new(uint64_t seed)
{
	struct world *w = calloc(1, sizeof *w);

	w->toy = toy_of(seed);
	w->node[0].name = "alpha";
	w->node[1].name = "beta";
	w->node[0].role = WIRE_ROLE_ACTIVE;
	w->node[1].role = WIRE_ROLE_STANDBY;
	w->both = w_one_in(w, 2);
	w->now = 1000;
	for (int i = 0; i < W_PATHS; i++)
		w->fresh[i] = 6;
	begin_trees(w);
	w_start(w, &w->node[0]);
	w_start(w, &w->node[1]);
	return w;
}

static void
world_free(struct world *w)
{
	for (int i = 0; i < 2; i++) {
		struct node *n = &w->node[i];

		core_free(n->core);
		w_lose(n);
		w_forget_late(n);
		for (int k = 0; k < W_PATHS; k++)
			free(n->base[k].bytes);
	}
	free(w);
}

/* Half of them begin in step, so that not all is about first contact. */
static void
run(struct world *w)
{
	struct err err;

	if (!w_one_in(w, 4)) {
		w_join(w);
		if (!quiet(w))
			return;
		if (w->node[0].core->link == CORE_LINKED && w->node[0].core->first) {
			w_allow(&w->node[1], w->node[0].core, NULL, 0, true);
			core_order(w->node[0].core, w->node[0].name, NULL, 0, "anna", w->now, &err);
			w_act(w, &w->node[0]);
			come_to_rest(w);
		}
		w->quiet = false;
	}
	for (int i = 0; i < STEPS && w->broken[0] == '\0'; i++)
		step(w);
	if (w->broken[0] == '\0' && quiet(w))
		check_rest(w);
}

static unsigned long
number(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text == NULL ? otherwise : strtoul(text, NULL, 10);
}

START_TEST(no_history_breaks_a_law)
{
	unsigned long only = number("MAILPAIR_CORE_SEED", 0), n = number("MAILPAIR_CORE_SCHEDULES", SCHEDULES);
	unsigned long installed = 0, conflicts = 0, orders = 0, crashes = 0, refused = 0, broken = 0;

	w_trace = only != 0;
	for (unsigned long seed = only != 0 ? only : 1; seed <= (only != 0 ? only : n); seed++) {
		struct world *w = world_new(seed);

		run(w);
		if (w->broken[0] != '\0' && broken++ < 5)
			printf("seed %lu: %s\n", seed, w->broken);
		installed += w->installed;
		conflicts += w->conflicts;
		orders += w->orders;
		crashes += w->crashes;
		refused += w->refused;
		world_free(w);
	}
	printf("%lu installations, %lu paths left in conflict, %lu orders, %lu crashes, %lu refusals\n", installed, conflicts, orders, crashes, refused);
	ck_assert_msg(broken == 0, "%lu histories broke a law", broken);
	if (only == 0)		/* it did happen */
		ck_assert(installed > n && conflicts > n / 4 && orders > n / 10 && crashes > n / 2 && refused > n / 100);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config_core_model");
	TCase *tcase = tcase_create("model");

	tcase_set_timeout(tcase, 600);
	tcase_add_test(tcase, no_history_breaks_a_law);
	suite_add_tcase(suite, tcase);
	return unit_main(suite);
}
