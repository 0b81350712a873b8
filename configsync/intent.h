/*
 * configsync/intent.h - what is about to be put in place, written down before it is, in config.intent beside the journal. A program that is killed
 * between an installation and the store would else take what it put in place itself for an edit of this node, and show a conflict that nobody
 * made. So it is after a power cut, where the disk flushes its memory when it is told to.
 *
 * The file keeps 64 KiB of zeros behind its records; blocks for as long as a few pages take to the disk's memory, most often not at all. On file systems but
 * ext4 and XFS, and for more than the room holds, it is waited for the disk once for each installation. The newest record may also be an attribute of the file.
 *
 * Entries have digests and attributes of private files, so the file is root's alone (0600). A record that is cut short or spoilt, and all
 * that follows it, counts for nothing.
 */
#ifndef CONFIGSYNC_INTENT_H
#define CONFIGSYNC_INTENT_H

#include <sys/types.h>

#include "configsync/core.h"

struct intent;

/* In this directory, made where it is not there; what is in it stays. NULL with *err. */
struct intent *intent_open(const char *dir, struct err *);
/* In a process that has none of its parent's descriptors. */
bool	intent_again(struct intent *, const char *dir, struct err *);
void	intent_close(struct intent *);		/* NULL is allowed */
dev_t	intent_device(const struct intent *);
/*
 * One record, whole or not at all: path, entry (NULL: it will be gone) and stamp of each row count. None: nothing to do. here: all of them stand on the
 * device of the file.
 */
bool	intent_note(struct intent *, const struct core_origin *, const struct core_store_row *row, size_t rows, bool here, struct err *);
/* To be called when the new files stand ready, before the first of them gets its name: what was noted is on the disk when that name is. */
bool	intent_hold(struct intent *, struct err *);
/* To be called when they all have their names: the next record will find the disk ready. */
void	intent_rest(struct intent *);
/*
 * All that was noted is in the store, or was not done, but for the paths of which stays() says otherwise (NULL: none). Costs nothing where nothing was
 * noted; where something stays, next to nothing but once for each 64 KiB.
 */
bool	intent_clear(struct intent *, bool (*stays)(const void *arg, const char *path), const void *arg, struct err *);
/* All rows of all records, in the order in which they were noted. What is pointed to lives that long. */
bool	intent_each(struct intent *, void (*visit)(void *, const struct core_store_row *, const struct core_origin *), void *arg, struct err *);

#endif
