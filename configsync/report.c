/*
 * configsync/report.c - a list of notes. Pure.
 */
#include "configsync/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "configsync/arena.h"

const char *
note_word(enum note_kind kind)
{
	static const char *const word[NOTE_COUNT] = {
#define X(id, text) [NOTE_##id] = text,
		NOTES(X)
#undef X
	};

	return word[kind];
}

void
report_add(struct report *r, enum note_kind kind, const char *path, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (r->len == r->room) {
		r->room = r->room == 0 ? 8 : 2 * r->room;
		r->at = need(reallocarray(r->at, r->room, sizeof *r->at));
	}
	r->at[r->len++] = (struct note){ kind, need(strdup(path)), need(strdup(text)) };
}

bool
report_has(const struct report *r, enum note_kind kind, const char *path)
{
	for (size_t i = 0; i < r->len; i++) {
		if (r->at[i].kind == kind && (path == NULL || strcmp(r->at[i].path, path) == 0))
			return true;
	}
	return false;
}

void
report_free(struct report *r)
{
	for (size_t i = 0; i < r->len; i++) {
		free(r->at[i].path);
		free(r->at[i].text);
	}
	free(r->at);
	*r = (struct report){ 0 };
}
