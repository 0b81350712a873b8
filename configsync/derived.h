/*
 * configsync/derived.h - files that a program makes of a source: they are never carried, since another node's program or library
 * may write them otherwise, but made anew there. Pure.
 */
#ifndef CONFIGSYNC_DERIVED_H
#define CONFIGSYNC_DERIVED_H

#include <stdbool.h>
#include <stddef.h>

struct derived_row {
	const char	*source;	/* pattern of set_match() */
	const char	*suffix;	/* source + this, or, where it begins with a slash, this file beside it */
	const char	*command;	/* what makes it, for the operator; the source's path is "%s" */
	const char	*type;		/* Postfix's name of the format, NULL: not Postfix's alone */
	const char	*why;
};

/*
 * The row of path, and of which file it is made; NULL: it is a file of its own. To be asked only where that source exists: without
 * it nothing could be made, and path is carried as any other file.
 */
const struct derived_row *derived_from(const char *path, char *ret_source, size_t size);
/* What may be made of source, one row after the other, beginning with i = 0: the path, NULL at the end. */
const struct derived_row *derived_of(const char *source, size_t *i, char *ret_path, size_t size);
/* The format of the table of source that a text of main.cf names, in the order of what may be made of it; NULL: it names none. */
const char *derived_type(const char *main_cf, const char *source);
/* A file that a program leaves beside it while it works, to be ignored. */
bool	derived_scratch(const char *path);

#endif
