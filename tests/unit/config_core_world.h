/*
 * tests/unit/config_core_world.h - two cores, a disk, a store and a desk for each that are only thought of, and a network between them
 * that delays and breaks; and what must hold of it all (law()). The same seed gives the same history.
 *
 * A path's state is a number: 0 nothing, 1 a directory, else a file (content and mode). An edit makes a version of what stood
 * there: from then on the new state may replace the old one, and all that the old one might replace. Nothing else may, but an order.
 */
#ifndef TESTS_UNIT_CONFIG_CORE_WORLD_H
#define TESTS_UNIT_CONFIG_CORE_WORLD_H

#include <check.h>

#include "tests/unit/config_toy.h"

#include "configsync/core_priv.h"

#define W_PATHS 14
#define W_STATES 62
#define W_QUEUE 512

static const char *const w_path[W_PATHS] = { "a", "b", "c", "d", "d/x", "d/y", "d/z", "d/z/k", "e", "e/s", "e/s/1", "e/s/2", "h", "i" };
static const struct set_tree w_tree[] = { { "/d/z", "true" }, { "/e/s", "true" } };
static const struct set_rules w_rules = { .tree = w_tree, .trees = 2 };

struct thing { uint8_t state; bool odd; uint32_t ino, mtime; };
struct disk { struct thing at[W_PATHS]; };

struct message { uint8_t type; uint8_t *bytes; size_t len; };
struct kept { uint8_t *bytes; size_t len; };		/* of core_stamped(); NULL: a deletion */
struct deferred { int path; struct kept kept; uint64_t states; bool common; };
struct pending { enum core_action_type type; struct core_job job; uint8_t digest[DIGEST_LEN]; };

struct node {
	const char	*name;
	struct core	*core;			/* NULL: crashed */
	struct disk	 disk, synced, snapshot;	/* snapshot: of a scan that is under way */
	bool		 scanning, wants_scan;
	uint64_t	 scan_moment;
	uint32_t	 changed;		/* paths that the watch has named */
	uint64_t	 above[W_PATHS];	/* states that the present one replaces */
	uint64_t	 stored[W_PATHS], ordered[W_PATHS];
	int		 took[W_PATHS];		/* what the last installation replaced, -1: it was edited since */
	struct kept	 base[W_PATHS];
	bool		 based[W_PATHS], ever;
	struct deferred	 late[4096];
	size_t		 lates;
	struct pending	 todo[256];
	size_t		 todos;
	struct message	 in[W_QUEUE];
	size_t		 ins;
	enum wire_role	 role;
};

struct world {
	struct toy	 toy;
	struct node	 node[2];
	bool		 both, up, quiet;
	uint64_t	 now, tenure, epoch;
	uint64_t	 replaces[W_PATHS][W_STATES + 2];
	int		 fresh[W_PATHS];	/* the next state that nobody has had */
	uint32_t	 inodes;
	unsigned long	 installed, conflicts, orders, crashes, steps, refused;
	char		 broken[256];		/* the law that was broken, "" */
};

static bool w_trace;
#define w_say(...) do { if (w_trace) { printf(__VA_ARGS__); putchar('\n'); } } while (0)

static inline void
law(struct world *w, bool holds, const char *text, const char *node, const char *path)
{
	if (!holds && w->broken[0] == '\0') {
		snprintf(w->broken, sizeof w->broken, "%s (%s, %s)", text, node, path);
		w_say("BROKEN %s", w->broken);
	}
}

static inline int
w_at(const char *path)
{
	for (int i = 0; i < W_PATHS; i++) {
		if (strcmp(w_path[i], path) == 0)
			return i;
	}
	abort();
}

static inline bool
w_within(int path, int dir)
{
	return entry_path_within(w_path[path], w_path[dir]);
}

static inline int
w_parent(int path)
{
	char name[64];
	size_t len = entry_path_parent(w_path[path]);

	snprintf(name, sizeof name, "%.*s", (int)len, w_path[path]);
	return len == 0 ? -1 : w_at(name);
}

/* ---------------------------------------------------------------- states and entries */

static inline void
w_digest(int state, uint8_t ret[DIGEST_LEN])
{
	static uint8_t known[W_STATES][DIGEST_LEN];
	int content = state / 2;

	if (id_none(known[content]))
		digest_sha256(&content, sizeof content, known[content]);
	memcpy(ret, known[content], DIGEST_LEN);
}

static inline int
w_state(const struct entry *e)
{
	uint8_t digest[DIGEST_LEN];

	if (e == NULL || e->type == ENTRY_NONE)
		return 0;
	if (e->type == ENTRY_DIRECTORY)
		return 1;
	for (int state = 2; state < W_STATES; state += 2) {
		w_digest(state, digest);
		if (memcmp(digest, e->digest, DIGEST_LEN) == 0)
			return state + (e->mode == 0600);
	}
	return 0;
}

static inline struct entry
w_entry(const struct disk *d, int path)
{
	const struct thing *t = &d->at[path];
	struct entry e = { .path = w_path[path], .user = { "root", 0 }, .group = { "root", 0 }, .mtime_s = t->mtime };

	if (t->odd)
		return (struct entry){ .path = w_path[path], .type = ENTRY_OTHER, .user.name = "", .group.name = "" };
	e.type = t->state == 1 ? ENTRY_DIRECTORY : ENTRY_FILE;
	e.mode = t->state == 1 ? 0755 : t->state % 2 ? 0600 : 0644;
	e.local = (struct entry_local){ .dev = 1, .ino = t->ino, .links = 1, .steady = true };
	if (t->state > 1) {
		e.size = (uint64_t)t->state / 2;
		w_digest(t->state, e.digest);
		e.local.links = 0;
		for (int i = 0; i < W_PATHS; i++)
			e.local.links += d->at[i].state > 1 && d->at[i].ino == t->ino;
	}
	return e;
}

static inline struct manifest *
w_read(const struct disk *d, uint32_t paths)
{
	struct manifest *m = manifest_new();

	for (int i = 0; i < W_PATHS; i++) {
		struct entry e = w_entry(d, i);
		int p = w_parent(i);

		if (d->at[i].state != 0 && (paths >> i & 1) != 0 && (p < 0 || !d->at[p].odd))
			manifest_add(m, &e);
	}
	return toy_sealed(m);
}

/* ---------------------------------------------------------------- changes of a disk */

static inline void
w_put(struct world *w, struct node *n, int path, int state, uint32_t ino)
{
	int old = n->disk.at[path].state;

	n->disk.at[path] = (struct thing){ .state = (uint8_t)state, .ino = ino, .mtime = (uint32_t)(w->now / 8) };
	n->changed |= 1u << path;
	for (int i = 0; i < W_PATHS && state > 1; i++) {
		if (n->disk.at[i].state > 1 && n->disk.at[i].ino == ino)
			n->disk.at[i].mtime = n->disk.at[path].mtime;
	}
	if (old == state)
		return;
	w_say("%6lu %s: %s is edited from %d to %d", (unsigned long)w->now, n->name, w_path[path], old, state);
	n->above[path] |= 1ull << old;
	n->above[path] &= ~(1ull << state);
	w->replaces[path][state] |= n->above[path];
	n->took[path] = -1;
}

static inline void
w_remove(struct world *w, struct node *n, int path)
{
	for (int i = W_PATHS; i-- > 0;) {
		if (w_within(i, path) && n->disk.at[i].state != 0)
			w_put(w, n, i, 0, 0);
	}
}

static inline void
w_make_parents(struct world *w, struct node *n, int path)
{
	int p = w_parent(path);

	if (p < 0)
		return;
	w_make_parents(w, n, p);
	if (n->disk.at[p].state != 1)
		w_put(w, n, p, 1, ++w->inodes);
}

static inline int
w_new_state(struct world *w, int path)
{
	if (toy_below(&w->toy, 5) == 0 || w->fresh[path] >= W_STATES)
		return 2 + (int)toy_below(&w->toy, (unsigned int)w->fresh[path] - 1);
	return w->fresh[path]++;
}

static inline void
w_edit(struct world *w, struct node *n)
{
	int path = (int)toy_below(&w->toy, W_PATHS), to = (int)toy_below(&w->toy, W_PATHS), state;
	struct thing *t = &n->disk.at[path];

	switch (toy_below(&w->toy, 10)) {
	case 0:
		w_remove(w, n, path);
		break;
	case 1:		/* rename */
		if (t->state < 2 || t->odd || n->disk.at[to].state == 1 || w_within(to, path))
			break;
		w_make_parents(w, n, to);
		if (t->state > 1) {
			w_put(w, n, to, t->state, t->ino);
			w_put(w, n, path, 0, 0);
		}
		break;
	case 2:		/* hard link */
		if (t->state < 2 || t->odd || n->disk.at[to].state == 1 || w_within(to, path) || to == path)
			break;
		w_make_parents(w, n, to);
		if (t->state > 1)
			w_put(w, n, to, t->state, t->ino);
		n->changed |= 1u << path;
		break;
	case 3:		/* in place, so that all names of it change */
		if (t->state < 2)
			break;
		state = w_new_state(w, path);
		for (int i = 0; i < W_PATHS; i++) {
			if (i != path && n->disk.at[i].state > 1 && n->disk.at[i].ino == t->ino) {
				w->fresh[i] = w->fresh[i] <= state && state < W_STATES ? state + 1 : w->fresh[i];
				w_put(w, n, i, state, t->ino);
			}
		}
		w_put(w, n, path, state, t->ino);
		break;
	case 4:
		w_make_parents(w, n, path);
		if (t->state != 1)
			w_put(w, n, path, 1, ++w->inodes);
		break;
	case 5:
		if (t->state != 0)
			w_put(w, n, path, t->state, t->ino);
		t->mtime += toy_below(&w->toy, 2);
		for (int i = 0; i < W_PATHS; i++) {
			if (t->state > 1 && n->disk.at[i].ino == t->ino)
				n->disk.at[i].mtime = t->mtime;
		}
		break;
	default:
		if (t->state == 1)
			w_remove(w, n, path);
		w_make_parents(w, n, path);
		w_put(w, n, path, w_new_state(w, path), ++w->inodes);
	}
}

/* ---------------------------------------------------------------- installing */

static inline void
w_take(struct world *w, struct node *n, int path, int state, uint32_t ino, int64_t mtime)
{
	struct node *other = &w->node[n == w->node];
	int old = n->disk.at[path].state;

	n->disk.at[path] = (struct thing){ .state = (uint8_t)state, .ino = ino, .mtime = (uint32_t)mtime };
	n->changed |= 1u << path;	/* the watch sees it too */
	if (old == state)
		return;
	w_say("%6lu %s: %s is installed, %d over %d", (unsigned long)w->now, n->name, w_path[path], state, old);
	w->installed++;
	law(w, (w->replaces[path][state] >> old & 1) != 0 || (n->ordered[path] >> old & 1) != 0,
	    "a version was overwritten that was not the base of the new one, without an order", n->name, w_path[path]);
	law(w, old < 2 || (n->stored[path] >> old & 1) != 0, "a version was overwritten that is not in the store", n->name, w_path[path]);
	law(w, !(other->disk.at[path].state == old && other->took[path] == state), "two nodes swapped versions", n->name, w_path[path]);
	n->took[path] = old;
	n->above[path] |= w->replaces[path][state] | 1ull << old;
	n->above[path] &= ~(1ull << state);
	w->replaces[path][state] |= n->above[path];
}

static inline bool
w_empty(const struct disk *d, int path)
{
	for (int i = 0; i < W_PATHS; i++) {
		if (i != path && w_within(i, path) && d->at[i].state != 0)
			return false;
	}
	return true;
}

static inline bool
w_still(const struct disk *d, const char *path, const struct entry *was)
{
	struct entry is = w_entry(d, w_at(path));

	if (d->at[w_at(path)].state == 0)
		return was == NULL;
	is.hard = was == NULL ? NULL : was->hard;
	return (entry_diff(was, &is) & ~ENTRY_DIFF_TIME) == 0;
}

static inline bool
w_change(struct world *w, struct node *n, const struct change *c)
{
	struct disk *d = &n->disk;
	int path = w_at(c->path), from = c->from == NULL ? -1 : w_at(c->from), parent = w_parent(path);

	if (!w_still(d, c->path, c->was) || (parent >= 0 && d->at[parent].state != 1) || (c->kind != CHANGE_META && !w_empty(d, path)))
		return false;
	if (c->from_was != NULL && !w_still(d, c->from, c->from_was))
		return false;
	switch (c->kind) {
	case CHANGE_REMOVE:
		w_take(w, n, path, 0, 0, 0);
		break;
	case CHANGE_RENAME:
		w_take(w, n, path, w_state(c->to), d->at[from].ino, c->to->mtime_s);
		w_take(w, n, from, 0, 0, 0);
		break;
	case CHANGE_HARD:
		if (d->at[from].state != w_state(c->to))
			return false;
		w_take(w, n, path, w_state(c->to), d->at[from].ino, d->at[from].mtime);
		break;
	case CHANGE_META:
		if (c->was->type == ENTRY_FILE && w_entry(d, path).local.links > 1)
			return false;	/* got another name meanwhile: its time of change tells */
		w_take(w, n, path, w_state(c->to), d->at[path].ino, c->to->mtime_s);
		break;
	case CHANGE_FILE:
	case CHANGE_LINK:
	case CHANGE_DIRECTORY:
	case CHANGE_COUNT:
		w_take(w, n, path, w_state(c->to), ++w->inodes, c->to->mtime_s);
	}
	return true;
}

#endif
