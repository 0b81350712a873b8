/*
 * queuesync/scan_stat.h - asks about directory entries, or reads them at once, a few hundred at a time, with a few
 * threads beside the caller, and tells the check in the order in which they were added. For scan.c only.
 */
#ifndef QUEUESYNC_SCAN_STAT_H
#define QUEUESYNC_SCAN_STAT_H

#include <sys/types.h>

#include "common/err.h"
#include "queuesync/scan.h"

struct scan_stat;
struct scan_directory;		/* counted: its descriptor is open as long as entries of it wait */

/* Entries on other devices than this are told as mounts. */
struct scan_stat *scan_stat_new(struct check *, const struct queue_layout *, dev_t, const struct scan_options *);
struct scan_directory *scan_stat_directory(struct scan_stat *, int fd, const char *sub);	/* takes fd; copies sub */
void	scan_stat_directory_done(struct scan_directory *);
/* May tell the check of entries that were added before. ino, regular: as its directory says. */
void	scan_stat_add(struct scan_stat *, struct scan_directory *, uint16_t place, const char *name, uint64_t ino, bool regular);
/*
 * Tells the rest, and frees. False: entries may not be asked about; err (may be NULL) says which. *ret_cut becomes true where the
 * time was over: of all entries in their order the check was told of those before one, and of none behind it.
 */
bool	scan_stat_end(struct scan_stat *, const char *root, uint64_t *ret_vanished, bool *ret_cut, struct err *err);

#endif
