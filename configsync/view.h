/*
 * configsync/view.h - the trees as they would be after a change: what is there now, and over it what is staged. Nothing of either
 * is written. Blocks on the disk; for workers.
 *
 * Paths are relative to the root; symbolic links are followed as they would lead then, and never out of the root.
 */
#ifndef CONFIGSYNC_VIEW_H
#define CONFIGSYNC_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/err.h"
#include "common/fact.h"

#define VIEW_PATH_MAX 4096
#define VIEW_BYTES_MAX (1u << 20)	/* what view_read() takes at most */

struct view_change {
	const char	*path;		/* as it shall be named; no directory */
	const char	*from;		/* where the file or symbolic link lies now, absolute; NULL: it is to go */
};

struct view {
	const char			*root;		/* absolute */
	const struct view_change	*change;
	size_t				 changes;
};

/*
 * YES: *ret_real is where its bytes are now, absolute, and *ret_path (may be NULL) its path without links. NO: there is nothing, or
 * a link that leads nowhere. UNKNOWN: *err says why.
 */
enum fact view_find(const struct view *, const char *path, char ret_real[VIEW_PATH_MAX], char ret_path[VIEW_PATH_MAX], struct err *);
/* Is path itself, or what it leads to, among the changes? */
bool	view_changed(const struct view *, const char *path);
/* The names in a directory, each once, sorted, without those being written; free with view_names_free(). False only with *err. */
bool	view_names(const struct view *, const char *dir, char ***ret, size_t *ret_len, struct err *);
void	view_names_free(char **, size_t);
/* malloc'd, with a NUL behind it; NULL with *err, for a file larger than VIEW_BYTES_MAX as well. */
char	*view_read(const struct view *, const char *path, size_t *ret_len, struct err *);

/* A copy with mode 0600 and a time of an hour ago, in place of anything. */
bool	view_copy(const struct view *, const char *path, const char *to, struct err *);
/*
 * The directory as it would be, made at to (which is not there yet) with all directories above; files are symbolic links to where
 * their bytes are now; so is dir itself, where it is a file. What is derived (derived.h) is left out, so that no program writes through a link into what is in use.
 */
bool	view_farm(const struct view *, const char *dir, const char *to, struct err *);
/* Postfix reads a file again and again, for two seconds, as long as it is younger than that. */
bool	view_make_old(int fd);
/* All directories of an absolute path, mode 0700. */
bool	view_mkdirs(const char *path, struct err *);
/* With all in it; what is not there is no error. Follows no link. */
bool	view_remove(const char *path, struct err *);

#endif
