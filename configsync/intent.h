/*
 * configsync/intent.h - what is about to be put in place, written down before it is, in config.intent beside the journal. A program that is killed
 * between an installation and the store would else take what it put in place itself for an edit of this node, and show a conflict that nobody
 * made. Blocks for one write, and never for the disk's: what was written is there after kill -9; after a power cut the newest may be missing, and
 * then such a conflict is shown.
 *
 * Entries have digests and attributes of private files, so the file is root's alone (0600). A record that is cut short or spoilt, and all
 * that follows it, counts for nothing.
 */
#ifndef CONFIGSYNC_INTENT_H
#define CONFIGSYNC_INTENT_H

#include "configsync/core.h"

struct intent;

/* In this directory, made where it is not there; what is in it stays. NULL with *err. */
struct intent *intent_open(const char *dir, struct err *);
void	intent_close(struct intent *);		/* NULL is allowed */
/* One record, whole or not at all: path, entry (NULL: it will be gone) and stamp of each row count. None: nothing to do. */
bool	intent_note(struct intent *, const struct core_origin *, const struct core_store_row *row, size_t rows, struct err *);
/* All that was noted is in the store, or was not done. Costs nothing where nothing was noted. */
bool	intent_clear(struct intent *, struct err *);
/* All rows of all records, in the order in which they were noted. What is pointed to lives that long. */
bool	intent_each(struct intent *, void (*visit)(void *, const struct core_store_row *, const struct core_origin *), void *arg, struct err *);

#endif
