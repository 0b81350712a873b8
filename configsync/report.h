/*
 * configsync/report.h - what a person should know of a scan, a comparison or an installation: one note a path. Pure.
 */
#ifndef CONFIGSYNC_REPORT_H
#define CONFIGSYNC_REPORT_H

#include <stdbool.h>
#include <stddef.h>

/* X(enumerator, word) */
#define NOTES(X)						\
	X(UNREADABLE, "unreadable")				\
	X(SPECIAL, "special-file")				\
	X(UNSETTLED, "unsettled")				\
	X(BEING_WRITTEN, "being-written")			\
	X(MISSING_TREE, "missing-tree")				\
	X(LEFTOVER, "leftover")					\
	X(NOT_CARRIED, "not-carried")				\
	X(UNKNOWN_OWNER, "unknown-owner")			\
	X(REFUSED, "refused")					\
	X(CHANGED_MEANWHILE, "changed-meanwhile")		\
	X(NOT_EMPTY, "not-empty")				\
	X(FAILED, "failed")					\
	X(NOT_DONE, "not-done")

enum note_kind {
#define X(id, word) NOTE_##id,
	NOTES(X)
#undef X
	NOTE_COUNT
};

struct note { enum note_kind kind; char *path, *text; };	/* owned */

/* { 0 } is an empty one. */
struct report { struct note *at; size_t len, room; };

const char *note_word(enum note_kind);
/* text: a sentence for a person, without the path. The process ends where memory does. */
void	report_add(struct report *, enum note_kind, const char *path, const char *text, ...) __attribute__((format(printf, 4, 5)));
bool	report_has(const struct report *, enum note_kind, const char *path);	/* path NULL: any */
void	report_free(struct report *);

#endif
