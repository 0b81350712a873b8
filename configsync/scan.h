/*
 * configsync/scan.h - reads the trees of a scope into a manifest. Blocks on the disk and on the name service: for workers.
 *
 * Nothing is opened but directories and regular files, never through a symbolic link, so that it stays below the root whatever
 * someone makes of the trees meanwhile. What cannot be carried is in the manifest as ENTRY_OTHER and in the report.
 *
 * A file is unsettled where its inode, size, mtime or ctime is another one after it was read than before; a directory, where it
 * changed from its listing to the end of the scan, since a file may then have been moved behind the reader's back. Both are
 * read again (tries), then reported and put down as OTHER: what is not known is not gone.
 */
#ifndef CONFIGSYNC_SCAN_H
#define CONFIGSYNC_SCAN_H

#include <stdbool.h>

#include "common/err.h"
#include "configsync/manifest.h"
#include "configsync/names.h"
#include "configsync/report.h"
#include "configsync/scope.h"

#define SCAN_MARGIN_MS 2000u	/* the coarsest clock of a file system (FAT), and more than a step of the kernel's */
#define SCAN_FINE_MS 20u	/* more than a step of the kernel's */
#define SCAN_TRIES 3u
#define SCAN_SMALL_MAX 32768u

struct scan_options {
	const struct scope	*scope;
	struct names		*names;
	/*
	 * An earlier scan of the same trees, or NULL: a file that is "steady" in it and has the same inode, size, mtime and
	 * ctime now is not read again.
	 */
	const struct manifest	*known;
	/* Likewise, or NULL: files that an installation has just put in place, as they were then. */
	const struct manifest	*placed;
	unsigned int		 margin_ms;	/* a file whose mtime or ctime is younger when it is read is not steady */
	unsigned int		 fine_ms;	/* or than this, where the kernel stamps it with its own clock and all of its digits; 0: margin_ms */
	bool			 trusted;	/* carry trusted.* attributes */
	/* Or NULL: told of what is in a file of at most SCAN_SMALL_MAX bytes that was read. Only until it returns. */
	void			(*small)(void *arg, const uint8_t digest[DIGEST_LEN], const uint8_t *bytes, size_t len);
	/* For tests, or NULL: called when the bytes of a file, or the names of a directory, have been read. */
	void			(*at_read)(void *arg, const char *path);
	void			*arg;
};

struct scan_count { unsigned long read, reused; };	/* files whose bytes were read, or did not have to be */

/*
 * root: an open directory that all paths are relative to ("/"). NULL with *err only where root itself fails; everything else is a
 * note. ret_count may be NULL. A file that was changed within the margin and that somebody has open to write is not read ("being
 * written"); SIGIO is to be ignored, as the kernel sends it where a writer comes while that is asked.
 */
struct manifest *scan_trees(int root, const struct scan_options *, struct report *, struct scan_count *ret_count, struct err *);

#endif
