/*
 * tests/unit/config_core_world.h - two cores, a disk, a store and a desk for each that are only thought of, and a network between them
 * that delays and breaks; and what must hold of it all (law()). The same seed gives the same history.
 *
 * A path's state is a number: 0 nothing, 1 and 2 a directory, else what w_content() and w_look() say. An edit makes a version of what stood
 * there: from then on the new state may replace the old one, and all that the old one might replace. Nothing else may, but an order.
 */
#ifndef TESTS_UNIT_CONFIG_CORE_WORLD_H
#define TESTS_UNIT_CONFIG_CORE_WORLD_H

#include <check.h>

#include "tests/unit/config_toy.h"

#include "configsync/core_priv.h"

#define W_PATHS 17
#define W_STATES 63
#define W_FIRST 3	/* the first that is no directory */
#define W_QUEUE 512
#define W_JOBS 256	/* are told apart */
#define W_ALL ((1u << W_PATHS) - 1)

static const char *const w_path[W_PATHS] = { "a", "b", "b@alpha", "b@beta", "c", "d", "d/x", "d/x@beta", "d/y", "d/z", "d/z/k", "e", "e/s", "e/s/1", "e/s/2",
	"h", "i" };
static const struct set_tree w_tree[] = { { "/d/z", "true" }, { "/e/s", "true" } };
static const struct set_rules w_rules = { .tree = w_tree, .trees = 2 };
#define W_DIRECTORIES (1u << 5 | 1u << 9 | 1u << 11 | 1u << 12)	/* at the beginning */

/* What is carried, before and after an operator changed it. */
static const char *const w_trees[] = { "/a", "/b", "/b@alpha", "/b@beta", "/c", "/d", "/e", "/h", "/i", NULL };
static const char *const w_exclude[2][3] = { { NULL }, { "/c", "/e/s/2", NULL } };
static const char *const w_names[] = { "alpha", "beta", NULL };

struct thing { uint8_t state; bool odd; uint32_t ino, mtime; };
struct disk { struct thing at[W_PATHS]; };

struct message { uint8_t type; uint8_t *bytes; size_t len; };
struct kept { uint8_t *bytes; size_t len; };		/* of core_stamped(); NULL: a deletion */
struct deferred { int path; struct kept kept; uint64_t states; bool common; };
struct noted { int path; struct kept kept; uint64_t stamp; };	/* about to be put in place; kept NULL: gone */
struct pending { enum core_action_type type; struct core_job job; uint8_t digest[DIGEST_LEN]; bool may; };	/* may: the other node writes */

struct node {
	const char	*name;
	struct core	*core;			/* NULL: crashed */
	struct disk	 disk, synced, snapshot;	/* snapshot: of a scan that is under way */
	bool		 scanning, wants_scan, full;	/* full: there is no room for the store */
	int		 rules;			/* of w_exclude */
	uint64_t	 scan_moment;
	uint32_t	 changed;		/* paths that the watch has named */
	uint64_t	 above[W_PATHS];	/* states that the present one replaces */
	uint64_t	 stored[W_PATHS], ordered[W_PATHS], held[W_PATHS];	/* held: states that it ever had */
	uint64_t	 lost[W_PATHS];		/* of these, what a power cut took */
	int		 took[W_PATHS];		/* what the last installation replaced, -1: it was edited since */
	uint64_t	 before[W_PATHS];	/* of these, what it had before it was started last, which its core does not know */
	bool		 again[W_PATHS];	/* it is what it once was */
	bool		 set_back[W_PATHS];	/* a crash took what it had there, or that it was common, or that it was undone */
	bool		 joined[W_PATHS];	/* since then it was a name of a file with others */
	struct kept	 base[W_PATHS];
	bool		 based[W_PATHS], ever;
	struct deferred	 late[4096];
	size_t		 lates;
	struct noted	 noted[1024], cleared[1024];	/* cleared: since the last installation, which a power cut may not know */
	size_t		 noteds, cleareds;
	struct pending	 todo[256];
	size_t		 todos;
	struct message	 in[W_QUEUE];
	size_t		 ins;
	enum wire_role	 role;
	uint8_t		 valid[W_JOBS];		/* sets of a job that were found valid */
};

struct world {
	struct toy	 toy;
	struct node	 node[2];
	struct scope	*scope[2];
	bool		 both, up, quiet, strangers;	/* strangers: trees that differed from the beginning */
	unsigned int	 jobs;			/* at once */
	uint64_t	 now, tenure, epoch;
	uint64_t	 replaces[W_PATHS][W_STATES + 2];
	int		 fresh[W_PATHS];	/* the next state that nobody has had */
	uint32_t	 inodes;
	unsigned long	 installed, conflicts, orders, crashes, steps, refused, variants, said, failed, undecided;
	char		 broken[256];		/* the law that was broken, "" */
};

static bool w_trace;
#define w_say(...) do { if (w_trace) { printf(__VA_ARGS__); putchar('\n'); } } while (0)

/* Of the world itself; ck_assert() tells its parent of each line. */
#define w_must(holds) do { if (!(holds)) ck_abort_msg("%s", #holds); } while (0)

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
	static int known[W_PATHS];	/* two more than it is */
	char name[64];
	size_t len = entry_path_parent(w_path[path]);

	if (known[path] == 0) {
		snprintf(name, sizeof name, "%.*s", (int)len, w_path[path]);
		known[path] = 2 + (len == 0 ? -1 : w_at(name));
	}
	return known[path] - 2;
}

/* FILE of FILE@NODE, and the NODE; -1: it is none. */
static inline int
w_file_of(int path, const char **ret_node)
{
	const char *at = strchr(w_path[path], '@');
	char name[16];

	*ret_node = "";
	if (at == NULL)
		return -1;
	snprintf(name, sizeof name, "%.*s", (int)(at - w_path[path]), w_path[path]);
	*ret_node = at + 1;
	return w_at(name);
}

static inline bool
w_carried(const struct node *n, int path)
{
	return n->rules == 0 || (strcmp(w_path[path], "c") != 0 && strcmp(w_path[path], "e/s/2") != 0);
}

/* ---------------------------------------------------------------- states and entries */

enum look { LOOK_PLAIN, LOOK_PRIVATE, LOOK_XATTR, LOOK_LINK, LOOK_MAIL, LOOK_GHOST };

static inline bool
w_is_dir(int state)
{
	return state == 1 || state == 2;
}

static inline int
w_content(int state)
{
	return (state - W_FIRST) / 3;
}

/* mail has a name on alpha only; ghost too, and its number is another one's on beta. */
static inline enum look
w_look(int state)
{
	static const enum look special[] = { LOOK_XATTR, LOOK_LINK, LOOK_MAIL, LOOK_LINK, LOOK_XATTR, LOOK_GHOST };
	int sub = (state - W_FIRST) % 3;

	return sub == 2 ? special[w_content(state) % 6] : sub == 1 ? LOOK_PRIVATE : LOOK_PLAIN;
}

static inline void
w_digest(int content, uint8_t ret[DIGEST_LEN])
{
	static uint8_t known[W_STATES][DIGEST_LEN];

	if (id_none(known[content]))
		digest_sha256(&content, sizeof content, known[content]);
	memcpy(ret, known[content], DIGEST_LEN);
}

static const char *const w_target[] = { "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19" };

static inline int
w_state(const struct entry *e)
{
	if (e == NULL || e->type == ENTRY_NONE || e->type == ENTRY_OTHER)
		return 0;
	if (e->type == ENTRY_DIRECTORY)
		return e->mode == 0755 ? 1 : 2;
	if (e->type == ENTRY_LINK)
		return W_FIRST + 3 * (e->target[1] == '\0' ? e->target[0] - '0' : 10 + e->target[1] - '0') + 2;
	return W_FIRST + 3 * ((int)e->size - 1) + (e->mode == 0600 ? 1 : e->xattrs > 0 || e->user.id != 0 ? 2 : 0);
}

static inline uint32_t
w_links(const struct disk *d, uint32_t ino)
{
	uint32_t n = 0;

	for (int i = 0; i < W_PATHS; i++)
		n += d->at[i].state >= W_FIRST && d->at[i].ino == ino;
	return n;
}

static inline struct entry
w_entry(const struct node *n, const struct disk *d, int path)
{
	const struct thing *t = &d->at[path];
	struct entry e = { .path = w_path[path], .user = { "root", 0 }, .group = { "root", 0 }, .mtime_s = t->mtime };
	bool alpha = strcmp(n->name, "alpha") == 0;

	if (t->odd)
		return (struct entry){ .path = w_path[path], .type = ENTRY_OTHER, .user.name = "", .group.name = "" };
	e.local = (struct entry_local){ .dev = 1, .ino = t->ino, .links = 1, .steady = true };
	e.type = ENTRY_DIRECTORY;
	e.mode = t->state == 2 ? 0700 : 0755;
	if (t->state < W_FIRST)
		return e;
	e.type = w_look(t->state) == LOOK_LINK ? ENTRY_LINK : ENTRY_FILE;
	e.local.links = w_links(d, t->ino);
	if (e.type == ENTRY_LINK) {
		e.mode = 0777;
		e.target = w_target[w_content(t->state)];
		return e;
	}
	e.mode = w_look(t->state) == LOOK_PRIVATE ? 0600 : 0644;
	e.size = (uint64_t)w_content(t->state) + 1;
	w_digest(w_content(t->state), e.digest);
	if (w_look(t->state) == LOOK_XATTR) {
		e.xattr = &toy_xattr[w_content(t->state) % 3];
		e.xattrs = 1;
	} else if (w_look(t->state) == LOOK_MAIL || w_look(t->state) == LOOK_GHOST) {
		bool ghost = w_look(t->state) == LOOK_GHOST;

		e.user = (struct entry_owner){ ghost ? "ghost" : alpha ? "mail" : "", ghost ? 77 : 8 };
	}
	return e;
}

/* Below what cannot be read nothing is. */
static inline bool
w_readable(const struct disk *d, int path)
{
	for (int p = w_parent(path); p >= 0; p = w_parent(p)) {
		if (d->at[p].odd)
			return false;
	}
	return true;
}

static inline struct manifest *
w_read(const struct node *n, const struct disk *d, uint32_t paths)
{
	struct manifest *m = manifest_new();

	for (int i = 0; i < W_PATHS; i++) {
		struct entry e;

		if (d->at[i].state == 0 || (paths >> i & 1) == 0 || !w_carried(n, i) || !w_readable(d, i))
			continue;
		e = w_entry(n, d, i);
		manifest_add(m, &e);
	}
	return toy_sealed(m);
}

#endif
