/*
 * tests/unit/test_config_core_model.c - the laws of configsync/core.h, held against many histories: edits on both nodes, links that
 * break, crashes and power cuts at any point, checks that refuse, installations that fail, full disks, what cannot be read, FILE@NODE, owners that one
 * node does not know, orders of two operators, takeovers, rollbacks, other excludes.
 *
 * MAILPAIR_CORE_SCHEDULES=N: so many histories (about 1,000 in a second). MAILPAIR_CORE_SEED=N: that one alone, told step by step (with CK_FORK=no).
 * MAILPAIR_CORE_HUNT: the first that breaks a law is enough.
 */
#include "tests/unit/harness.h"

#include "tests/unit/config_core_rest.h"

#define SCHEDULES 2500
#define STEPS 120

/* ---------------------------------------------------------------- a history */

static void
begin_trees(struct world *w)
{
	bool same = w_one_in(w, 2);

	for (int k = 0; k < 2; k++) {
		struct node *n = &w->node[k];

		for (int i = 0; i < W_PATHS; i++) {
			struct thing *t = &n->disk.at[i];

			n->took[i] = -1;
			if (k == 1 && same) {
				*t = w->node[0].disk.at[i];
			} else if (!w_one_in(w, strchr(w_path[i], '@') == NULL ? 3 : 2) && (w_parent(i) < 0 || w_is_dir(n->disk.at[w_parent(i)].state))) {
				t->state = (1u << i & W_DIRECTORIES) != 0 ? 1 : (uint8_t)(W_FIRST + toy_below(&w->toy, 4));
				t->ino = ++w->inodes;
			}
			n->held[i] |= 1ull << t->state;
			w->strangers = w->strangers || t->state != w->node[0].disk.at[i].state;
		}
		n->synced = n->disk;
	}
}

static void
order(struct world *w, struct node *n, const char *winner, const char *path, size_t paths)
{
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

/* By one operator, or by two who do not know of each other. */
static void
give_orders(struct world *w, struct node *n)
{
	const char *path = w_path[toy_below(&w->toy, W_PATHS)];
	const char *winner = w->node[toy_below(&w->toy, 2)].name;
	size_t paths = w_one_in(w, 2) ? 0 : 1;

	order(w, n, winner, path, paths);
	if (w_one_in(w, 2))
		order(w, w_other(w, n), strcmp(winner, n->name) == 0 ? w_other(w, n)->name : n->name, path, paths);
}

static void
set_role(struct world *w, struct node *n, enum wire_role role)
{
	n->role = role;
	w_say("%6lu %s: is %s now", (unsigned long)w->now, n->name, role == WIRE_ROLE_ACTIVE ? "active" : "not active");
	if (n->core != NULL) {
		core_role(n->core, role, w->tenure, w->now);
		w_act(w, n);
	}
}

/* A node takes over; the other one hears of it, or not; or nobody knows what it is. */
static void
change_role(struct world *w, struct node *n)
{
	if (w_one_in(w, 4)) {
		w->tenure += toy_below(&w->toy, 2);
		set_role(w, n, (enum wire_role)toy_below(&w->toy, WIRE_ROLE_COUNT));
		return;
	}
	w->tenure++;
	set_role(w, n, WIRE_ROLE_ACTIVE);
	if (!w_one_in(w, 3))
		set_role(w, w_other(w, n), WIRE_ROLE_STANDBY);
}

static void
odd(struct world *w, struct node *n)
{
	int path = w_any(w);

	if (n->disk.at[path].state != 0) {
		n->disk.at[path].odd = !n->disk.at[path].odd;
		w_say("%6lu %s: %s %s", (unsigned long)w->now, n->name, w_path[path], n->disk.at[path].odd ? "cannot be read" : "can be read again");
		n->changed |= 1u << path;
	}
}

/* The other node takes what n has made; the link is cut before n hears of that, and it is undone. */
static void
undo(struct world *w, struct node *n)
{
	struct node *other = w_other(w, n);
	int path = w_any(w), old = n->disk.at[path].state;

	if (w_is_dir(old))
		return;
	w_write(w, n, path, w_new_state(w, n, path));
	w_watch(w, n);
	for (int i = 0; i < 16 && other->disk.at[path].state != n->disk.at[path].state; i++) {
		w_deliver(w, other);
		w_work(w, other);
	}
	w_cut(w);
	if (old == 0)
		w_remove(w, n, path);
	else
		w_write(w, n, path, old);
}

/* What an operator or a disk does, now and then. */
static void
rare(struct world *w, struct node *n)
{
	switch (toy_below(&w->toy, 9)) {
	case 0:
		w_roll_back(w, n);
		break;
	case 1:
		w_edit_both(w);
		break;
	case 2:
		n->full = !n->full;
		break;
	case 3:
		w_new_rules(w, n, !n->rules);
		break;
	case 4:
		change_role(w, n);
		break;
	case 5:
		undo(w, n);
		break;
	default:
		odd(w, n);
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
		give_orders(w, n);
	else if (what < 96)
		rare(w, n);
	else if (what < 97)
		n->synced = n->disk;
	else if (what < 98)
		n->wants_scan = true;
	else
		tick(w);
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
	w->jobs = w_one_in(w, 4) ? 1 + toy_below(&w->toy, 3) : 0;
	w->now = 1000;
	for (int i = 0; i < 2; i++)
		w->scope[i] = scope_new(&(struct scope_rules){ .tree = w_trees, .exclude = w_exclude[i], .node = w_names, .no_defaults = true }, NULL);
	for (int i = 0; i < W_PATHS; i++)
		w->fresh[i] = W_FIRST + 4;
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
		n->core = NULL;
		w_lose(n);
		w_forget_late(n);
		w_clear_noted(n);
		w_forget_cleared(n);
		for (int k = 0; k < W_PATHS; k++)
			free(n->base[k].bytes);
		scope_free(w->scope[i]);
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
		law(w, !w->node[0].core->first || w->installed == w->variants, "something was installed at first contact", "both", "");
		law(w, w->node[0].core->first == w->strangers, "nodes with different trees met, and it was no first contact", "both", "");
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
	if (w->broken[0] == '\0' && w_one_in(w, 3))
		check_orders(w);
	if (w->broken[0] == '\0' && w_one_in(w, 3))
		check_restart(w);
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
	unsigned long installed = 0, conflicts = 0, orders = 0, crashes = 0, refused = 0, undecided = 0, broken = 0;

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
		undecided += w->undecided;
		world_free(w);
		if (broken > 0 && getenv("MAILPAIR_CORE_HUNT") != NULL)
			break;
	}
	printf("%lu installations, %lu paths left in conflict, %lu orders, %lu crashes, %lu refusals, %lu paths left undecided by orders\n", installed, conflicts, orders, crashes, refused,
	    undecided);
	ck_assert_msg(broken == 0, "%lu histories broke a law", broken);
	ck_assert_msg(undecided <= n / 20, "%lu paths were left undecided by orders", undecided);
	if (only == 0)		/* it did happen */
		ck_assert(installed > n && conflicts > n / 4 && orders > n / 10 && crashes > n / 2 && refused > n / 100);
}
END_TEST

/* What they show has a test of its own elsewhere, or a mutant: a change of the model makes other histories of them. */
static const unsigned long once[] = { 3643, 5378, 5830, 7915, 8902, 13336, 15938, 74731, 91673 };

START_TEST(a_history_that_once_broke_a_law_breaks_none)
{
	struct world *w = world_new(once[_i]);

	w_trace = false;
	run(w);
	ck_assert_msg(w->broken[0] == '\0', "seed %lu: %s", once[_i], w->broken);
	world_free(w);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config_core_model");
	TCase *tcase = tcase_create("model");

	tcase_set_timeout(tcase, 600);
	tcase_add_test(tcase, no_history_breaks_a_law);
	tcase_add_loop_test(tcase, a_history_that_once_broke_a_law_breaks_none, 0, (int)(sizeof once / sizeof once[0]));
	suite_add_tcase(suite, tcase);
	return unit_main(suite);
}
