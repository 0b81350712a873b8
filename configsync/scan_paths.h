/*
 * configsync/scan_paths.h - reads given paths into a small manifest, for what that many cost, however large the trees are. Blocks on
 * the disk and on the name service; the guarantees are those of configsync/scan.h.
 *
 * The answer is a slice: what stands in "looked" is known, by the manifest: what is not in the manifest is not there, and of what
 * is ENTRY_OTHER nothing is known. Whoever lays a slice over a whole manifest takes out all that was looked at, and puts the slice in.
 *
 * More is looked at than was asked for, so that a slice is a tree and can be compared alone:
 *   - the directories that a path stands in, themselves only; where one is missing, that one and so all below it;
 *   - all below a directory that known has none for: it may have come with what is in it;
 *   - all names of a file with hard links that known has, of now or of then. Names that nobody looked at (of another tree, or
 *     newer than known) are not found: local.links is then more than the names in the group, and only a full scan tells;
 *   - every tree at or below an asked path that is a directory above of trees ("", "etc").
 * Paths that are not in the scope are not looked at, and nothing is said of them.
 */
#ifndef CONFIGSYNC_SCAN_PATHS_H
#define CONFIGSYNC_SCAN_PATHS_H

#include "configsync/scan.h"

struct scan_path {
	const char	*path;
	bool		 below;		/* and all below it */
};

struct scan_slice {
	struct manifest		*manifest;	/* sealed */
	/*
	 * Sorted by entry_path_order(), each once, none below another with "below". Where path is no directory, below is always true:
	 * nothing is below it.
	 */
	struct scan_path	*looked;
	size_t			 len;
	struct arena		*texts;		/* of looked */
};

/* False with *err only where root itself fails. ret_count may be NULL, and is not set then. Free *ret with scan_slice_free(). */
bool	scan_paths(int root, const struct scan_options *, const struct scan_path *, size_t len, struct scan_slice *ret, struct report *,
	    struct scan_count *ret_count, struct err *);
void	scan_slice_free(struct scan_slice *);	/* what is in it; { 0 } is allowed */
/* Was path looked at? */
bool	scan_slice_covers(const struct scan_slice *, const char *path);

#endif
