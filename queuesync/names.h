/*
 * queuesync/names.h - every name of a queue against the inode that its directory gives it, without a stat(2) and several
 * directories at a time: for a start that cannot wait until each file has been asked about. Blocks.
 */
#ifndef QUEUESYNC_NAMES_H
#define QUEUESYNC_NAMES_H

#include <stdbool.h>

#include "mta/queue_note.h"
#include "queuesync/check.h"

/*
 * True: all names are read, none is wrong, and note has every directory as it was before. False: something may be wrong,
 * or could not be read, or the program's rules cannot tell it by names (rules->named): look at everything.
 */
bool	names_right(const struct rules *, const struct queue_layout *, struct queue_note *note);

#endif
