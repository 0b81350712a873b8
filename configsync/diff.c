/*
 * configsync/diff.c - three manifests side by side, and a verdict on each path. Pure.
 */
#include "configsync/diff.h"

#include <stdlib.h>
#include <string.h>

#include "configsync/arena.h"
#include "configsync/diff_rows.h"

const char *
conflict_word(enum conflict_kind kind)
{
	static const char *const word[CONFLICT_COUNT] = { "both-changed", "wrong-side", "first-contact", "directory-in-use",
	    "no-place", "hard-link", "unknown", "variant" };

	return word[kind];
}

const char *
conflict_why(enum conflict_kind kind)
{
	static const char *const why[CONFLICT_COUNT] = {
		"changed on both nodes since they were last the same",
		"changed on the node that may not write",
		"differs, and the nodes were never the same before",
		"gone on the other node, but something that it did not know stands in it",
		"what it stands in is no directory here",
		"shares its bytes with a file that is in conflict",
		"one of the nodes cannot tell what is there",
		"changed by hand, though this node has its own variant of it",
	};

	return why[kind];
}

const char *
change_word(enum change_kind kind)
{
	static const char *const word[CHANGE_COUNT] = { "directory", "file", "link", "hard-link", "rename", "meta", "remove" };

	return word[kind];
}

/* ---------------------------------------------------------------- rows */

static const struct entry *
take_if(const struct manifest *m, size_t *at, const char *path)
{
	if (m == NULL || *at == m->len || (m->at[*at].path != path && strcmp(m->at[*at].path, path) != 0))
		return NULL;
	return &m->at[(*at)++];
}

static const char *
least(const char *a, const struct manifest *m, size_t at)
{
	if (m == NULL || at == m->len)
		return a;
	return a == NULL || entry_path_order(m->at[at].path, a) < 0 ? m->at[at].path : a;
}

static struct rows
rows_of(const struct diff_input *in)
{
	size_t m = 0, t = 0, b = 0;
	struct rows rows = { .len = 0 };
	const char *path;

	rows.at = need(calloc(in->mine->len + in->theirs->len + (in->base == NULL ? 0 : in->base->len) + 1, sizeof *rows.at));
	while ((path = least(least(least(NULL, in->mine, m), in->theirs, t), in->base, b)) != NULL) {
		rows.at[rows.len++] = (struct row){ .path = path, .m = take_if(in->mine, &m, path),
			.t = take_if(in->theirs, &t, path), .b = take_if(in->base, &b, path) };
	}
	return rows;
}

struct row *
rows_find(const struct rows *rows, const char *path, size_t len)
{
	char key[ENTRY_PATH_MAX + 1];
	size_t low = 0, high = rows->len;

	if (len > ENTRY_PATH_MAX)
		return NULL;
	memcpy(key, path, len);
	key[len] = '\0';
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (entry_path_order(rows->at[middle].path, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < rows->len && strcmp(rows->at[low].path, key) == 0 ? &rows->at[low] : NULL;
}

/* ---------------------------------------------------------------- verdicts */

static void
conflict(struct row *r, enum conflict_kind kind)
{
	r->verdict = ROW_CONFLICT;
	r->conflict = kind;
}

static bool
later(const struct entry *a, const struct entry *b)
{
	return a->mtime_s != b->mtime_s ? a->mtime_s > b->mtime_s : a->mtime_ns > b->mtime_ns;
}

static enum row_verdict
judge_time(const struct row *r, const struct diff_input *in)
{
	if (in->base == NULL || in->writers == WRITERS_MINE)
		return ROW_KEEP;
	if (in->writers == WRITERS_THEIRS || entry_diff(r->m, r->b) == 0)
		return ROW_TAKE;
	return entry_diff(r->t, r->b) != 0 && later(r->t, r->m) ? ROW_TAKE : ROW_KEEP;
}

static void
judge(struct row *r, const struct diff_input *in)
{
	unsigned int differs = entry_diff(r->m, r->t), mine, theirs;

	if (differs == 0 || r->own) {
		r->verdict = r->own ? ROW_KEEP : ROW_SAME;
		return;
	}
	if (differs == ENTRY_DIFF_TIME) {
		r->verdict = judge_time(r, in);
		return;
	}
	if (in->base == NULL) {
		conflict(r, CONFLICT_FIRST);
		return;
	}
	mine = entry_diff(r->m, r->b) & ~ENTRY_DIFF_TIME;
	theirs = entry_diff(r->t, r->b) & ~ENTRY_DIFF_TIME;
	if (mine != 0 && theirs != 0)
		conflict(r, CONFLICT_BOTH);
	else if (in->writers == (theirs != 0 ? WRITERS_MINE : WRITERS_THEIRS))
		conflict(r, CONFLICT_WRONG_SIDE);
	else
		r->verdict = theirs != 0 ? ROW_TAKE : ROW_KEEP;
}

/* Of what one side cannot tell, and of all below it, nothing follows. */
static void
judge_unknown(const struct rows *rows)
{
	const char *m = NULL, *t = NULL;

	for (size_t i = 0; i < rows->len; i++) {
		struct row *r = &rows->at[i];

		m = r->m != NULL && r->m->type == ENTRY_OTHER ? r->path : m;
		t = r->t != NULL && r->t->type == ENTRY_OTHER ? r->path : t;
		if (r->verdict != ROW_SAME && !r->own && ((m != NULL && entry_path_within(r->path, m)) ||
		    (t != NULL && entry_path_within(r->path, t))))
			conflict(r, CONFLICT_UNKNOWN);
	}
}

static struct row *
parent_of(const struct rows *rows, const struct row *r)
{
	size_t len = entry_path_parent(r->path);

	return len == 0 ? NULL : rows_find(rows, r->path, len);
}

static bool
is_directory(const struct entry *e)
{
	return e != NULL && e->type == ENTRY_DIRECTORY;
}

/*
 * What stays, stays in a directory: first from the bottom, since a directory that stays keeps the one above; then from the top,
 * since what is not made takes with it what would have been made in it.
 */
static bool
judge_places(const struct rows *rows)
{
	bool changed = false;
	struct row *p;

	for (size_t i = rows->len; i-- > 0;) {
		struct row *r = &rows->at[i];

		if (row_final(r) != NULL && (p = parent_of(rows, r)) != NULL && !is_directory(row_final(p)) && is_directory(p->m)) {
			conflict(p, CONFLICT_IN_USE);
			changed = true;
		}
	}
	for (size_t i = 0; i < rows->len; i++) {
		struct row *r = &rows->at[i];

		if (r->verdict == ROW_TAKE && r->t != NULL && (p = parent_of(rows, r)) != NULL && !is_directory(row_final(p))) {
			conflict(r, CONFLICT_NO_PLACE);
			changed = true;
		}
	}
	return changed;
}

/* A name is joined to a file only where that file is the one that the other node has. */
static bool
judge_hard_links(const struct rows *rows)
{
	bool changed = false;

	for (size_t i = 0; i < rows->len; i++) {
		struct row *r = &rows->at[i], *leader;

		if (r->verdict != ROW_TAKE || r->t == NULL || r->t->hard == NULL)
			continue;
		leader = rows_find(rows, r->t->hard, strlen(r->t->hard));
		if (leader == NULL || leader->own || (leader->verdict != ROW_TAKE && leader->verdict != ROW_SAME)) {
			if ((entry_diff(r->m, r->t) & ~ENTRY_DIFF_TIME) == 0)
				r->verdict = ROW_KEEP;	/* its time alone is worth no conflict */
			else
				conflict(r, CONFLICT_HARD);
			changed = true;
		}
	}
	return changed;
}

/* A directory of such a name is one like any other. */
static bool
makes_own(const struct entry *variant)
{
	return variant != NULL && variant->type != ENTRY_DIRECTORY;
}

/* FILE of every FILE@NODE that one of the nodes has. */
static void
mark_own(const struct diff_input *in, const struct rows *rows)
{
	const char *node;

	for (size_t i = 0; in->scope != NULL && i < rows->len; i++) {
		const struct row *r = &rows->at[i];
		size_t len = scope_variant(in->scope, r->path, &node);
		struct row *file = len == 0 || (!makes_own(r->m) && !makes_own(r->t)) ? NULL : rows_find(rows, r->path, len);

		if (file != NULL)
			file->own = true;
	}
}

struct rows
rows_judged(const struct diff_input *in)
{
	struct rows rows = rows_of(in);
	bool more;

	mark_own(in, &rows);
	for (size_t i = 0; i < rows.len; i++)
		judge(&rows.at[i], in);
	judge_unknown(&rows);
	do {			/* each only ever adds conflicts */
		more = judge_hard_links(&rows);
		more = judge_places(&rows) || more;
	} while (more);
	return rows;
}

/* ---------------------------------------------------------------- the whole */

static int
by_path(const void *left, const void *right)
{
	return entry_path_order(((const struct conflict *)left)->path, ((const struct conflict *)right)->path);
}

struct diff *
diff_make(const struct diff_input *in)
{
	struct diff *d = need(calloc(1, sizeof *d));
	struct rows rows = rows_judged(in);

	d->arena = arena_new();
	diff_variants(d, in, &rows);
	for (size_t i = 0; i < rows.len; i++) {
		if (rows.at[i].verdict == ROW_CONFLICT)
			diff_add_conflict(d, rows.at[i].conflict, &rows.at[i]);
	}
	if (d->conflicts > 1)
		qsort(d->conflict, d->conflicts, sizeof *d->conflict, by_path);
	diff_plan(d, in, &rows);
	free(rows.at);
	return d;
}

struct diff *
diff_take_all(const struct manifest *mine, const struct manifest *theirs)
{
	return diff_make(&(struct diff_input){ .mine = mine, .theirs = theirs, .base = mine, .writers = WRITERS_THEIRS });
}

void
diff_free(struct diff *d)
{
	if (d == NULL)
		return;
	arena_free(d->arena);
	free(d->change);
	free(d->conflict);
	free(d);
}
