/*
 * configsync/diff_rows.h - for diff*.c: every path that one of the three manifests has, with what is said about it. Pure.
 */
#ifndef CONFIGSYNC_DIFF_ROWS_H
#define CONFIGSYNC_DIFF_ROWS_H

#include "configsync/diff.h"

enum row_verdict { ROW_SAME, ROW_KEEP, ROW_TAKE, ROW_CONFLICT };

struct row {
	const char		*path;
	const struct entry	*m, *t, *b;
	enum row_verdict		 verdict;
	enum conflict_kind	 conflict;
	bool			 own;		/* there is a variant of it: each node has its own */
};

struct rows { struct row *at; size_t len; };

/* malloc'd rows, judged. */
struct rows rows_judged(const struct diff_input *);
struct row *rows_find(const struct rows *, const char *path, size_t len);
/* What stands there in the end. */
static inline const struct entry *
row_final(const struct row *r)
{
	return r->verdict == ROW_TAKE ? r->t : r->m;
}

/* Appends to the plan what the rows say. */
void	diff_plan(struct diff *, const struct diff_input *, const struct rows *);
struct change *diff_add(struct diff *, enum change_kind, const char *path, const struct entry *was, const struct entry *to);
void	diff_add_conflict(struct diff *, enum conflict_kind, const struct row *);
/* What FILE@self asks of FILE. */
void	diff_variants(struct diff *, const struct diff_input *, const struct rows *);

#endif
