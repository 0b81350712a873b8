/*
 * tests/unit/test_config_diff.c - laws of comparing: applied to a tree that is only thought of, the plan gives the other tree, in
 * an order in which each step can be done; and no conflict takes anything from either side.
 */
#include "tests/unit/harness.h"

#include "configsync/diff.h"
#include "tests/unit/config_toy.h"

#define SEEDS 20
#define MANY 150	/* in one process: with the sanitizers a process costs more than a tree */

/* ---------------------------------------------------------------- a tree that is only thought of */

struct thing { char path[64]; struct entry e; int inode; bool there; };
struct world { struct thing at[1000]; int len, inodes; };

static struct thing *
world_find(struct world *w, const char *path)
{
	for (int i = 0; i < w->len; i++) {
		if (w->at[i].there && strcmp(w->at[i].path, path) == 0)
			return &w->at[i];
	}
	return NULL;
}

static void
world_put(struct world *w, const char *path, const struct entry *e, int inode)
{
	struct thing *t = world_find(w, path);

	if (t == NULL) {
		ck_assert_int_lt(w->len, 1000);
		t = &w->at[w->len++];
	}
	*t = (struct thing){ .e = *e, .inode = inode, .there = true };
	snprintf(t->path, sizeof t->path, "%s", path);
}

static void
world_of(struct world *w, const struct manifest *m)
{
	w->len = 0;
	w->inodes = 1;
	for (size_t i = 0; i < m->len; i++) {
		const struct entry *e = &m->at[i];
		struct thing *leader = e->hard != NULL ? world_find(w, e->hard) : NULL;

		world_put(w, e->path, e, leader != NULL ? leader->inode : w->inodes++);
	}
}

static bool
world_empty_below(struct world *w, const char *path)
{
	for (int i = 0; i < w->len; i++) {
		if (w->at[i].there && strcmp(w->at[i].path, path) != 0 && entry_path_within(w->at[i].path, path))
			return false;
	}
	return true;
}

static void
world_apply(struct world *w, const struct change *c)
{
	struct thing *at = world_find(w, c->path), *from = c->from == NULL ? NULL : world_find(w, c->from);
	char parent[64];

	ck_assert_msg((c->was != NULL) == (at != NULL), "%s %s", change_word(c->kind), c->path);
	if (c->was != NULL)
		ck_assert_uint_eq(entry_diff(c->was, &at->e) & ~(unsigned int)ENTRY_DIFF_HARD, 0);
	snprintf(parent, sizeof parent, "%.*s", (int)entry_path_parent(c->path), c->path);
	if (parent[0] != '\0')
		ck_assert_msg(world_find(w, parent) != NULL && world_find(w, parent)->e.type == ENTRY_DIRECTORY, "%s", c->path);
	if (at != NULL && at->e.type == ENTRY_DIRECTORY && c->kind != CHANGE_META)
		ck_assert_msg(world_empty_below(w, c->path), "%s %s", change_word(c->kind), c->path);
	switch (c->kind) {
	case CHANGE_REMOVE:
		at->there = false;
		break;
	case CHANGE_META:
		ck_assert_int_eq(at->e.type, c->to->type);
		ck_assert_mem_eq(at->e.digest, c->to->digest, DIGEST_LEN);
		for (int i = 0; i < w->len; i++)	/* all names of the inode */
			ck_assert(!w->at[i].there || &w->at[i] == at || w->at[i].inode != at->inode);
		at->e = *c->to;
		break;
	case CHANGE_RENAME:
		ck_assert(at == NULL && from != NULL);
		world_put(w, c->path, &from->e, from->inode);
		world_find(w, c->from)->there = false;
		break;
	case CHANGE_HARD:
		ck_assert_msg(from != NULL, "%s: %s", c->path, c->from);
		world_put(w, c->path, &from->e, from->inode);
		break;
	case CHANGE_FILE:
	case CHANGE_DIRECTORY:
	case CHANGE_LINK:
		world_put(w, c->path, c->to, w->inodes++);
		break;
	case CHANGE_COUNT:
		ck_abort();
	}
}

static struct manifest *
world_manifest(struct world *w)
{
	struct manifest *m = manifest_new();

	for (int i = 0; i < w->len; i++) {
		struct entry e = w->at[i].e;

		if (!w->at[i].there)
			continue;
		e.path = w->at[i].path;
		e.hard = NULL;
		e.local = (struct entry_local){ .dev = 1, .ino = (uint64_t)w->at[i].inode, .links = 1 };
		for (int k = 0; k < w->len; k++)
			e.local.links += k != i && w->at[k].there && w->at[k].inode == w->at[i].inode;
		manifest_add(m, &e);
	}
	return toy_sealed(m);
}

static struct manifest *
applied(const struct manifest *m, const struct diff *d)
{
	static struct world w;

	world_of(&w, m);
	for (size_t i = 0; i < d->changes; i++)
		ck_assert(d->change[i].kind != CHANGE_FILE || d->change[i].from == NULL ||
		    (world_find(&w, d->change[i].from) != NULL &&
		    memcmp(world_find(&w, d->change[i].from)->e.digest, d->change[i].to->digest, DIGEST_LEN) == 0));
	for (size_t i = 0; i < d->changes; i++)
		world_apply(&w, &d->change[i]);
	return world_manifest(&w);
}

/* ---------------------------------------------------------------- two trees */

static void
one_tree_into_another(uint64_t seed)
{
	struct manifest *a = toy_tree(seed), *b = seed % 2 == 0 ? toy_tree(seed + 100000) : toy_changed(a, seed, 4);
	struct diff *d = diff_take_all(a, b), *none;
	struct manifest *got = applied(a, d);

	ck_assert_uint_eq(d->conflicts, 0);
	none = diff_take_all(got, b);
	ck_assert_msg(none->changes == 0, "%s %s", change_word(none->change[0].kind), none->change[0].path);
	diff_free(none);
	diff_free(d);
	manifest_free(a);
	manifest_free(b);
	manifest_free(got);
}

START_TEST(what_the_plan_makes_of_one_tree_is_the_other)
{
	for (uint64_t seed = 0; seed < MANY; seed++)
		one_tree_into_another((uint64_t)_i * MANY + seed);
}
END_TEST

/* ---------------------------------------------------------------- three trees, two nodes */

static bool
conflicts_at(const struct diff *d, const char *path)
{
	for (size_t i = 0; i < d->conflicts; i++) {
		if (strcmp(d->conflict[i].path, path) == 0)
			return true;
	}
	return false;
}

static enum diff_writers
mirrored(enum diff_writers w)
{
	return w == WRITERS_BOTH ? w : w == WRITERS_MINE ? WRITERS_THEIRS : WRITERS_MINE;
}

#define NO_TIME (~(unsigned int)ENTRY_DIFF_TIME)

/* What one node had and the base had not stands on it untouched, unless it was in the base's place by right of the writer. */
static void
nothing_is_lost(const struct manifest *had, const struct manifest *has, const struct manifest *base, const struct diff *d)
{
	for (size_t i = 0; i < had->len; i++) {
		const struct entry *e = &had->at[i], *b = manifest_find(base, e->path);

		if ((entry_diff(e, b) & NO_TIME) != 0 || conflicts_at(d, e->path))
			ck_assert_msg((entry_diff(e, manifest_find(has, e->path)) & NO_TIME & ~(unsigned int)ENTRY_DIFF_HARD) == 0, "%s", e->path);
	}
	for (size_t i = 0; i < d->conflicts; i++)
		ck_assert((entry_diff(d->conflict[i].mine, manifest_find(has, d->conflict[i].path)) & NO_TIME & ~(unsigned int)ENTRY_DIFF_HARD) == 0);
}

static void
two_nodes(uint64_t seed)
{
	enum diff_writers w = (enum diff_writers)(seed % 3);
	struct manifest *base = toy_tree(seed), *a = toy_changed(base, seed + 1, 5), *b = toy_changed(base, seed + 2, 5), *a2, *b2;
	struct diff *da = diff_make(&(struct diff_input){ .mine = a, .theirs = b, .base = base, .writers = w });
	struct diff *db = diff_make(&(struct diff_input){ .mine = b, .theirs = a, .base = base, .writers = mirrored(w) });

	a2 = applied(a, da);
	b2 = applied(b, db);
	nothing_is_lost(a, a2, base, da);
	nothing_is_lost(b, b2, base, db);
	for (size_t i = 0; i < a2->len + b2->len; i++) {
		const char *path = i < a2->len ? a2->at[i].path : b2->at[i - a2->len].path;
		unsigned int diff = entry_diff(manifest_find(a2, path), manifest_find(b2, path));

		/* a name whose group is in conflict may be alone on one of the nodes until that is ended */
		if (!conflicts_at(da, path) && !conflicts_at(db, path))
			ck_assert_msg((diff & ~(unsigned int)ENTRY_DIFF_HARD) == 0, "%s: %#x", path, diff);
		if (da->conflicts == 0 && db->conflicts == 0)
			ck_assert_uint_eq(diff, 0);
	}
	/* only one of them may write: it is not touched */
	if (w == WRITERS_MINE)
		ck_assert_uint_eq(da->changes, 0);
	if (w == WRITERS_THEIRS)
		ck_assert_uint_eq(db->changes, 0);
	diff_free(da);
	diff_free(db);
	manifest_free(base);
	manifest_free(a);
	manifest_free(b);
	manifest_free(a2);
	manifest_free(b2);
}

START_TEST(two_nodes_become_the_same_but_for_conflicts_which_lose_nothing)
{
	for (uint64_t seed = 0; seed < MANY; seed++)
		two_nodes((uint64_t)_i * MANY + seed);
}
END_TEST

START_TEST(nothing_is_applied_before_there_was_a_common_version)
{
	uint64_t seed = (uint64_t)_i;
	struct manifest *a = toy_tree(seed), *b = toy_changed(a, seed, 5);
	struct diff *d = diff_make(&(struct diff_input){ .mine = a, .theirs = b, .writers = WRITERS_THEIRS });

	ck_assert_uint_eq(d->changes, 0);
	for (size_t i = 0; i < d->conflicts; i++)
		ck_assert_int_eq(d->conflict[i].kind, CONFLICT_FIRST);
	diff_free(d);
	manifest_free(a);
	manifest_free(b);
}
END_TEST

/* ---------------------------------------------------------------- single cases */

/* "d/ d/f=1 g=1#7 h=1#7 l>target o?": directory, files with their bytes, two names of inode 7, symbolic link, other thing */
static struct manifest *
of(const char *tree)
{
	struct manifest *m = manifest_new();
	unsigned int ino = 100;

	while (*tree != '\0') {
		size_t word = strcspn(tree, " "), name = strcspn(tree, "=>?# ");
		struct entry e = { .type = ENTRY_FILE, .mode = 0644, .user = { "root", 0 }, .group = { "root", 0 },
			.local = { .ino = ino++, .links = 1 } };
		char path[64];

		if (tree[name - 1] == '/') {
			e.type = ENTRY_DIRECTORY;
			name--;
		} else if (tree[name] == '>') {
			e.type = ENTRY_LINK;
			e.target = "x";
			e.mode = 0777;
		} else if (tree[name] == '?') {
			e = (struct entry){ .type = ENTRY_OTHER, .user = { "", 0 }, .group = { "", 0 } };
		} else {
			e.size = 1;
			digest_sha256(tree + name + 1, 1, e.digest);
		}
		if (word > 2 && tree[word - 2] == '#') {
			e.local.ino = (unsigned char)tree[word - 1];
			e.local.links = 2;
		}
		snprintf(path, sizeof path, "%.*s", (int)name, tree);
		e.path = path;
		manifest_add(m, &e);
		tree += word + strspn(tree + word, " ");
	}
	return toy_sealed(m);
}

static const struct single {
	const char		*base, *mine, *theirs;
	enum diff_writers	 writers;
	const char		*want;		/* changes, then "!" and conflicts */
} single[] = {
	{ "a=1", "a=1", "b=1", WRITERS_BOTH, "rename b<a " },
	{ "a=1", "a=1", "b=1 c=1", WRITERS_BOTH, "rename b<a file c<a " },
	{ "a=1", "a=1", "d/ d/a=1", WRITERS_BOTH, "directory d rename d/a<a " },
	{ "a=1 b=2", "a=1 b=2", "a=2 b=1", WRITERS_BOTH, "file a<b file b<a " },
	{ "a=1", "a=1", "a/ a/b=1", WRITERS_BOTH, "directory a file a/b<a " },
	{ "a/ a/b=1", "a/ a/b=1", "a=2", WRITERS_BOTH, "remove a/b file a " },
	{ "a/ a/b=1", "a/ a/b=1", "a>", WRITERS_BOTH, "remove a/b link a " },
	{ "a=1", "a=2", "a=3", WRITERS_BOTH, "!both-changed a " },
	{ "a=1", "a=2", "a=2", WRITERS_BOTH, "" },
	{ "a=1", "a=1", "a=2", WRITERS_MINE, "!wrong-side a " },
	{ "a=1", "a=2", "a=1", WRITERS_THEIRS, "!wrong-side a " },
	{ "a=1", "a=2", "", WRITERS_BOTH, "!both-changed a " },
	{ "d/ d/a=1", "d/ d/a=1 d/new=2", "", WRITERS_BOTH, "remove d/a !directory-in-use d " },
	{ "d/ d/a=1", "", "d/ d/a=1 d/new=2", WRITERS_BOTH, "!no-place d/new " },
	{ "a=1", "a?", "a=2", WRITERS_BOTH, "!unknown a " },
	{ "d/ d/a=1", "d/ d/a=1", "d?", WRITERS_BOTH, "!unknown d unknown d/a " },
	{ "a=1", "a=1", "a=1#7 b=1#7", WRITERS_BOTH, "hard-link b<a " },
	{ "a=1#7 b=1#7", "a=1#7 b=1#7", "a=1 b=2", WRITERS_BOTH, "file a<a file b " },
	{ "a=1", "a=3", "a=2#7 b=2#7", WRITERS_BOTH, "!both-changed a hard-link b " },
	/* mx1 is this node */
	{ "f=1", "f=1", "f=1 f@mx1=2", WRITERS_BOTH, "file f file f@mx1 " },
	{ "f=1", "f=1", "f=1 f@mx2=2", WRITERS_BOTH, "file f@mx2 " },
	{ "f=1 f@mx1=2", "f=2 f@mx1=2", "f=9 f@mx1=2", WRITERS_BOTH, "" },
	{ "f=1 f@mx1=2", "f=2 f@mx1=3", "f=9 f@mx1=2", WRITERS_BOTH, "file f<f@mx1 " },
	{ "f=1 f@mx1=2", "f=5 f@mx1=2", "f=9 f@mx1=2", WRITERS_BOTH, "!variant f " },
	{ "f@mx1=2", "f=2 f@mx1=2", "", WRITERS_BOTH, "remove f@mx1 " },
	{ "f=1 f@mx1/", "f=1 f@mx1/", "f=2 f@mx1/", WRITERS_BOTH, "file f " },
	{ "f=1 f@mx1/", "f=1 f@mx1/", "f=1 f@mx1=2", WRITERS_BOTH, "file f file f@mx1 " },
};

START_TEST(what_is_done_and_what_is_not_in_single_cases)
{
	static const char *const nodes[] = { "mx1", "mx2", NULL };
	static const char *const any[] = { "/x", NULL };
	const struct single *s = &single[_i];
	struct manifest *m = of(s->mine), *t = of(s->theirs), *b = of(s->base);
	struct err err;
	struct scope *scope = scope_new(&(struct scope_rules){ .tree = any, .node = nodes }, &err);
	struct diff *d = diff_make(&(struct diff_input){ .mine = m, .theirs = t, .base = b, .writers = s->writers, .scope = scope, .self = "mx1" });
	char said[400] = "";
	size_t len = 0;

	for (size_t i = 0; i < d->changes; i++)
		len += (size_t)snprintf(said + len, sizeof said - len, "%s %s%s%s ", change_word(d->change[i].kind), d->change[i].path,
		    d->change[i].from == NULL ? "" : "<", d->change[i].from == NULL ? "" : d->change[i].from);
	for (size_t i = 0; i < d->conflicts; i++)
		len += (size_t)snprintf(said + len, sizeof said - len, "%s%s %s ", i == 0 ? "!" : "", conflict_word(d->conflict[i].kind),
		    d->conflict[i].path);
	ck_assert_str_eq(said, s->want);
	diff_free(d);
	scope_free(scope);
	manifest_free(m);
	manifest_free(t);
	manifest_free(b);
}
END_TEST

START_TEST(times_alone_are_no_conflict_and_the_later_one_wins_unless_one_node_writes)
{
	static const struct { int64_t base, mine, theirs; enum diff_writers writers; bool takes; } row[] = {
		{ 1, 1, 2, WRITERS_BOTH, true }, { 1, 2, 1, WRITERS_BOTH, false }, { 1, 2, 3, WRITERS_BOTH, true },
		{ 1, 3, 2, WRITERS_BOTH, false }, { 3, 3, 2, WRITERS_BOTH, true }, { 1, 3, 2, WRITERS_THEIRS, true },
		{ 1, 2, 3, WRITERS_MINE, false },
	};

	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		struct manifest *b = of("a=1"), *m = of("a=1"), *t = of("a=1");
		struct diff *d;

		b->at[0].mtime_s = row[i].base;
		m->at[0].mtime_s = row[i].mine;
		t->at[0].mtime_s = row[i].theirs;
		d = diff_make(&(struct diff_input){ .mine = m, .theirs = t, .base = b, .writers = row[i].writers });
		ck_assert_uint_eq(d->conflicts, 0);
		ck_assert_msg(d->changes == (row[i].takes ? 1 : 0), "row %zu", i);
		diff_free(d);
		manifest_free(b);
		manifest_free(m);
		manifest_free(t);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config diff");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, what_the_plan_makes_of_one_tree_is_the_other, 0, SEEDS);
	tcase_add_loop_test(tc, two_nodes_become_the_same_but_for_conflicts_which_lose_nothing, 0, SEEDS);
	tcase_add_loop_test(tc, nothing_is_applied_before_there_was_a_common_version, 0, 50);
	tcase_add_loop_test(tc, what_is_done_and_what_is_not_in_single_cases, 0, sizeof single / sizeof *single);
	tcase_add_test(tc, times_alone_are_no_conflict_and_the_later_one_wins_unless_one_node_writes);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
