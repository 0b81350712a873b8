/*
 * tests/unit/config_core_disk.h - for test_config_core_model.c: what editors and what an installation do to a disk that is only thought of, and
 * what may be overwritten.
 */
#ifndef TESTS_UNIT_CONFIG_CORE_DISK_H
#define TESTS_UNIT_CONFIG_CORE_DISK_H

#include "tests/unit/config_core_world.h"

static inline unsigned int
w_one_in(struct world *w, unsigned int n)
{
	return toy_below(&w->toy, n) == 0;
}

static inline int
w_any(struct world *w)
{
	return (int)toy_below(&w->toy, W_PATHS);
}

static inline struct node *
w_other(struct world *w, struct node *n)
{
	return &w->node[n == w->node];
}

/* Names of a file that has others, or will have, become another version with them. */
static inline void
w_part(struct node *n, uint32_t ino)
{
	for (int i = 0; i < W_PATHS; i++)
		n->joined[i] = n->joined[i] || (n->disk.at[i].state >= W_FIRST && n->disk.at[i].ino == ino);
}

/* ---------------------------------------------------------------- edits */

static inline void
w_put(struct world *w, struct node *n, int path, int state, uint32_t ino)
{
	int old = n->disk.at[path].state;

	w_part(n, n->disk.at[path].ino);
	w_part(n, ino);
	n->disk.at[path] = (struct thing){ .state = (uint8_t)state, .ino = ino, .mtime = (uint32_t)(w->now / 8) };
	n->changed |= 1u << path;
	n->again[path] = (n->held[path] >> state & 1) != 0;
	n->set_back[path] = n->set_back[path] || (n->before[path] >> state & 1) != 0;
	n->held[path] |= 1ull << state;
	n->lost[path] &= ~(1ull << state);
	for (int i = 0; i < W_PATHS && state >= W_FIRST; i++) {
		if (n->disk.at[i].state >= W_FIRST && n->disk.at[i].ino == ino)
			n->disk.at[i].mtime = n->disk.at[path].mtime;
	}
	if (old == state)
		return;
	w_say("%6lu %s: %s is edited from %d to %d (inode %u)", (unsigned long)w->now, n->name, w_path[path], old, state, ino);
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
	if (!w_is_dir(n->disk.at[p].state))
		w_put(w, n, p, 1, ++w->inodes);
}

/* Nobody on beta can make a file of an owner whose number is another one's there. */
static inline int
w_can(const struct node *n, int state)
{
	return state >= W_FIRST && w_look(state) == LOOK_GHOST && strcmp(n->name, "beta") == 0 ? state - 2 : state;
}

static inline int
w_new_state(struct world *w, const struct node *n, int path)
{
	if (toy_below(&w->toy, 5) == 0 || w->fresh[path] >= W_STATES)
		return w_can(n, W_FIRST + (int)toy_below(&w->toy, (unsigned int)(w->fresh[path] - W_FIRST)));
	return w_can(n, w->fresh[path]++);
}

static inline void
w_write(struct world *w, struct node *n, int path, int state)
{
	if (w_is_dir(n->disk.at[path].state))
		w_remove(w, n, path);
	w_make_parents(w, n, path);
	w_put(w, n, path, state, ++w->inodes);
}

static inline void
w_make_directory(struct world *w, struct node *n, int path, int state)
{
	w_make_parents(w, n, path);
	w_put(w, n, path, state, w_is_dir(n->disk.at[path].state) ? n->disk.at[path].ino : ++w->inodes);
}

/* A rename of the file at path, or another name of it. */
static inline void
w_name(struct world *w, struct node *n, int path, int to, bool rename)
{
	const struct thing *t = &n->disk.at[path];

	if (t->state < W_FIRST || t->odd || w_is_dir(n->disk.at[to].state) || w_within(to, path))
		return;
	w_make_parents(w, n, to);
	if (t->state < W_FIRST)
		return;
	w_put(w, n, to, t->state, t->ino);
	if (rename)
		w_put(w, n, path, 0, 0);
	n->changed |= 1u << path;
}

/* So that all names of it change. Links cannot be written to. */
static inline void
w_write_in_place(struct world *w, struct node *n, int path)
{
	uint32_t ino = n->disk.at[path].ino;
	int state = w_new_state(w, n, path);

	if (n->disk.at[path].state < W_FIRST || w_look(n->disk.at[path].state) == LOOK_LINK || w_look(state) == LOOK_LINK)
		return;
	for (int i = 0; i < W_PATHS; i++) {
		if (n->disk.at[i].state < W_FIRST || n->disk.at[i].ino != ino)
			continue;
		w->fresh[i] = w->fresh[i] <= state ? state + 1 : w->fresh[i];
		w_put(w, n, i, state, ino);
	}
}

static inline void
w_touch(struct world *w, struct node *n, int path)
{
	struct thing *t = &n->disk.at[path];

	if (t->state == 0)
		return;
	w_put(w, n, path, t->state, t->ino);
	t->mtime += toy_below(&w->toy, 2);
	for (int i = 0; i < W_PATHS; i++) {
		if (t->state >= W_FIRST && n->disk.at[i].state >= W_FIRST && n->disk.at[i].ino == t->ino)
			n->disk.at[i].mtime = t->mtime;
	}
}

static inline void
w_edit(struct world *w, struct node *n)
{
	int path = w_any(w), to = w_any(w);

	switch (toy_below(&w->toy, 10)) {
	case 0:
		w_remove(w, n, path);
		break;
	case 1:
		w_name(w, n, path, to, true);
		break;
	case 2:
		w_name(w, n, path, to, false);
		break;
	case 3:
		w_write_in_place(w, n, path);
		break;
	case 4:
		w_make_directory(w, n, path, 1 + (int)toy_below(&w->toy, 2));
		break;
	case 5:
		w_touch(w, n, path);
		break;
	default:
		w_write(w, n, path, w_new_state(w, n, path));
	}
}

/* Someone does the same on both nodes. */
static inline void
w_edit_both(struct world *w)
{
	int path = w_any(w), state = w_new_state(w, &w->node[1], path);

	w_write(w, &w->node[0], path, state);
	w_write(w, &w->node[1], path, state);
}

/* What mailpair config rollback does: an edit that brings back what the store has. */
static inline void
w_roll_back(struct world *w, struct node *n)
{
	int path = w_any(w), state = (int)toy_below(&w->toy, W_STATES);

	for (int i = 0; i < W_STATES; i++, state = (state + 1) % W_STATES) {
		if (state >= W_FIRST && (n->stored[path] >> state & 1) != 0 && n->disk.at[path].state != state) {
			w_write(w, n, path, state);
			return;
		}
	}
}

/* ---------------------------------------------------------------- installing */

static inline int
w_variant(const struct node *n, int path)
{
	const char *node;

	for (int i = 0; i < W_PATHS; i++) {
		if (w_file_of(i, &node) == path && strcmp(node, n->name) == 0)
			return i;
	}
	return -1;
}

/* Each node had its own FILE, and that one of them removed its own is not known when there is no FILE@NODE any more. */
static inline bool
w_was_own(const struct world *w, int path)
{
	const char *node;

	for (int i = 0; i < W_PATHS; i++) {
		if (w_file_of(i, &node) == path && ((w->node[0].held[i] | w->node[1].held[i]) >> W_FIRST) != 0)
			return true;
	}
	return false;
}

/* What FILE@NODE is made of may take the place of an older FILE@NODE, and of what both nodes had. */
static inline bool
w_may_replace(const struct world *w, const struct node *n, int path, int old, int state)
{
	int variant = w_variant(n, path);

	if ((w->replaces[path][state] >> old & 1) != 0 || (n->ordered[path] >> old & 1) != 0 ||
	    (old == 0 && (w_was_own(w, path) || (n->held[path] & ~n->lost[path] & (w->replaces[path][state] | 1ull << state) & ~1ull) == 0)))
		return true;	/* the last: nobody removed it here */
	return variant >= 0 && ((w->node[0].held[variant] | w->node[1].held[variant]) & 1ull << state) != 0 &&
	    (old == 0 || ((w->node[0].held[variant] | w->node[1].held[variant]) >> old & 1) != 0 || (w->node[0].held[path] & w->node[1].held[path] & 1ull << old) != 0);
}

/* n made it, since it was started last, and something else of it; what the other one has is only what it took from n. */
static inline bool
w_undone(struct world *w, struct node *n, int path, int state)
{
	const struct node *other = w_other(w, n);

	return (n->held[path] & ~n->before[path] & 1ull << state) != 0 && n->took[path] == -1 && other->took[path] >= 0 && other->disk.at[path].state == state &&
	    !n->joined[path] && !other->joined[path] && !n->set_back[path] && !other->set_back[path] && n->ordered[path] == 0 && w->orders == 0;
}

static inline void
w_take(struct world *w, struct node *n, int path, int state, uint32_t ino, int64_t mtime)
{
	struct node *other = &w->node[n == w->node];
	int old = n->disk.at[path].state;

	w_part(n, n->disk.at[path].ino);
	w_part(n, ino);
	n->joined[path] = ino != 0 && w_links(&n->disk, ino) > 0;
	n->disk.at[path] = (struct thing){ .state = (uint8_t)state, .ino = ino, .mtime = (uint32_t)mtime };
	n->changed |= 1u << path;	/* the watch sees it too */
	if (old == state)
		return;
	w_say("%6lu %s: %s is installed, %d over %d (inode %u)", (unsigned long)w->now, n->name, w_path[path], state, old, ino);
	w->installed++;
	w->variants += w_variant(n, path) >= 0;
	law(w, w_may_replace(w, n, path, old, state), "a version was overwritten that was not the base of the new one, without an order", n->name,
	    w_path[path]);
	law(w, !w_undone(w, n, path, state) || w_variant(n, path) >= 0 || w_variant(other, path) >= 0, "what a node has undone was brought back", n->name,
	    w_path[path]);
	law(w, old < W_FIRST || (n->stored[path] >> old & 1) != 0, "a version was overwritten that is not in the store", n->name, w_path[path]);
	law(w, !(other->disk.at[path].state == old && other->took[path] == state) || w_variant(n, path) >= 0 || w_variant(other, path) >= 0, "two nodes swapped versions", n->name,
	    w_path[path]);
	n->held[path] |= 1ull << state;
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
w_still(const struct node *n, const char *path, const struct entry *was)
{
	struct entry is = w_entry(n, &n->disk, w_at(path));

	if (n->disk.at[w_at(path)].state == 0)
		return was == NULL;
	is.hard = was == NULL ? NULL : was->hard;
	return (entry_diff(was, &is) & ~ENTRY_DIFF_TIME) == 0;
}

/* As configsync/install.c's vet(): NULL, or why not. */
static inline const char *
w_refuses(const struct node *n, const struct change *c, enum note_kind *ret_kind)
{
	*ret_kind = NOTE_CHANGED_MEANWHILE;
	if (!w_still(n, c->path, c->was) || ((c->kind == CHANGE_RENAME || (c->kind == CHANGE_HARD && c->from_was != NULL)) && !w_still(n, c->from, c->from_was)))
		return "was changed here since it was read";
	*ret_kind = NOTE_REFUSED;
	if (c->to != NULL && strcmp(c->to->user.name, "ghost") == 0 && strcmp(n->name, "beta") == 0)
		return "user ghost is unknown here, and its number 77 is another one's";
	return NULL;
}

/* False: something stands in the way. */
static inline bool
w_change(struct world *w, struct node *n, const struct change *c)
{
	struct disk *d = &n->disk;
	int path = w_at(c->path), from = c->from == NULL ? -1 : w_at(c->from), parent = w_parent(path);

	if (!w_still(n, c->path, c->was) || (parent >= 0 && !w_is_dir(d->at[parent].state)) || !w_readable(d, path) ||
	    (c->kind != CHANGE_META && !w_empty(d, path)))
		return false;
	if (c->from_was != NULL && !w_still(n, c->from, c->from_was))
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
		if (c->was->type == ENTRY_FILE && w_links(d, d->at[path].ino) > 1)
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

/* As vet() of configsync/install.c: refused are single ones, and what needs them. A bit for each. */
static inline uint64_t
w_vet(struct world *w, struct node *n, const struct core_job *job, struct report *report)
{
	uint64_t skip = 0;
	enum note_kind kind;

	w_must(job->changes <= 64);
	for (size_t i = 0; i < job->changes; i++) {
		const struct change *c = &job->change[i];
		const char *why = (skip >> i & 1) != 0 ? NULL : w_refuses(n, c, &kind);

		if (why == NULL)
			continue;
		report_add(report, kind, c->path, "%s", why);
		w_say("%6lu %s: %s: %s", (unsigned long)w->now, n->name, c->path, why);
		skip |= 1ull << i;
		for (size_t k = 0; k < job->changes; k++) {
			if ((skip >> k & 1) != 0 || (!entry_path_within(job->change[k].path, c->path) &&
			    (job->change[k].kind != CHANGE_HARD || strcmp(job->change[k].from, c->path) != 0)))
				continue;
			report_add(report, NOTE_REFUSED, job->change[k].path, "needs what is not done");
			skip |= 1ull << k;
		}
	}
	return skip;
}

static inline bool
w_do(struct world *w, struct node *n, const struct change *c, struct report *report)
{
	bool ok = w_change(w, n, c);

	if (ok && c->to != NULL && c->to->type == ENTRY_FILE && strcmp(c->to->user.name, "mail") == 0 && strcmp(n->name, "beta") == 0)
		report_add(report, NOTE_UNKNOWN_OWNER, c->path, "user mail is unknown here");
	if (!ok && c->kind == CHANGE_REMOVE && !w_empty(&n->disk, w_at(c->path))) {
		report_add(report, NOTE_NOT_EMPTY, c->path, "holds something that is not carried, so it stays");
		ok = true;
	}
	n->synced = n->disk;
	w_say("%6lu %s: %s %s%s", (unsigned long)w->now, n->name, change_word(c->kind), c->path, ok ? "" : " cannot be done");
	return ok;
}

/* The first that fails ends it. False: the program was killed in the middle. */
static inline bool
w_apply(struct world *w, struct node *n, const struct core_job *job, struct report *report, bool *ret_done)
{
	size_t most = !w->quiet && w_one_in(w, 25) ? toy_below(&w->toy, (unsigned int)job->changes) : job->changes;
	size_t fails = !w->quiet && w_one_in(w, 20) ? toy_below(&w->toy, (unsigned int)job->changes) : job->changes;
	uint64_t done = w_vet(w, n, job, report);

	*ret_done = true;
	for (size_t i = 0; i < most && *ret_done; i++) {
		if ((done >> i & 1) != 0)
			continue;
		*ret_done = i != fails && w_do(w, n, &job->change[i], report);
		if (!*ret_done)
			report_add(report, NOTE_FAILED, job->change[i].path, "it fails");
		done |= (uint64_t)*ret_done << i;
	}
	for (size_t i = 0; i < job->changes && !*ret_done; i++) {
		if ((done >> i & 1) == 0)
			report_add(report, NOTE_NOT_DONE, job->change[i].path, "the old one stands");
	}
	return most == job->changes && (w->quiet || !w_one_in(w, 25));
}

#endif
