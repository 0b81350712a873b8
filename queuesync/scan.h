/*
 * queuesync/scan.h - walks the directories of a layout and tells the check what is there. Nothing is opened but
 * directories (and, where it is asked for, regular files whose names the rules read), no link is followed, no mount is
 * entered, nothing is written (not even times of access, where we may).
 *
 * Entries are asked about in the order of their inodes, a few at once: that is what a cold disk wants. Blocks.
 */
#ifndef QUEUESYNC_SCAN_H
#define QUEUESYNC_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "mta/queue_note.h"
#include "queuesync/check.h"
#include "queuesync/known.h"

struct scan_options {
	unsigned int	   threads;	/* how many ask for entries beside the caller, 0 is none */
	uint64_t	   until_us;	/* on clock_mono_us(), files are asked about until then; 0: no end */
	struct queue_note *note;	/* also has each directory as it was before it was read; NULL: not wanted */
	/*
	 * Of a deep check: each file is opened once and read, instead of asked about and opened later; what cannot be opened is only asked
	 * about. NULL: nothing is read. It takes a few times longer until all names are known, so it is for a queue that nobody works on.
	 */
	const struct rules *reading;
	/* Regular files that are right by the inode tables are not asked about; the scan is cut where those turn out to be no good. NULL: all are asked. */
	struct known	   *known;
	bool		   (*without)(const struct queue_place *);	/* places of which the first directory alone is looked at; NULL: none */
};

struct scan_seen {
	uint64_t directories, entries;
	uint64_t vanished;	/* entries that were gone when they were looked at */
	bool	 cut;		/* the time was over before all files were asked about; all directories were */
	bool	 moved;		/* a directory was changed meanwhile: someone works on this queue */
};

/*
 * False: the queue cannot be looked at (no such directory, no permission); what a single entry refuses is a finding
 * instead. The check is told of files place by place, so that what it says of a part in order to another is true of those that it
 * was told of.
 */
bool	scan_queue(const struct queue_layout *, struct check *, const struct scan_options *, struct scan_seen *ret, struct err *);

/* Is this name, in a directory of the place at that level, one of its sub-directories? type: DT_, as the directory says it, perhaps unknown. Pure. */
bool	scan_is_sub(const struct queue_layout *, const struct queue_place *, uint32_t level, const char *name, uint8_t type);

#endif
