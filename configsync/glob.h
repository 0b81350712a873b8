/*
 * configsync/glob.h - patterns of paths. Pure.
 *
 * A pattern with a slash is matched from the root (a slash at its beginning makes no difference), one without any against the last
 * component, wherever it stands. "*", "?" and "[...]" are those of fnmatch(3), never match a slash, and do match a dot at
 * the beginning. A component "**" stands for any number of directories, also none; at the end for all that is below.
 */
#ifndef CONFIGSYNC_GLOB_H
#define CONFIGSYNC_GLOB_H

#include <stdbool.h>
#include <stddef.h>

/* path is relative to the root; the whole path has to match. */
bool	glob_match(const char *pattern, const char *path);

/* The same for one that is compared with many paths; it points into pattern. name: the last component of path. */
struct glob { const char *pattern; size_t len; bool of_name, plain; };	/* plain: of a name, with * and ? alone */
struct glob glob_of(const char *pattern);
bool	glob_is(const struct glob *, const char *path, const char *name);

#endif
