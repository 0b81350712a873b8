/*
 * queuesync/names.h - every name of a queue, without a stat(2) of each and several directories at a time: for a start that cannot
 * wait until each file has been asked about. Blocks.
 */
#ifndef QUEUESYNC_NAMES_H
#define QUEUESYNC_NAMES_H

#include <stdbool.h>

#include "mta/queue_note.h"
#include "queuesync/check.h"

struct names_seen { uint64_t messages, files; };	/* where the rules have a named_whole */

/*
 * True: all names are read, none is wrong, and note has every directory as it was before. Where the rules have a named_whole: messages
 * have the parts that they need, what cannot wait was read and is right, directories, and the first file and one in NAMES_SAMPLE of each, have the right
 * owner and permissions. False: something may be wrong, or could not be read, or the program's rules cannot tell it by
 * names: look at everything.
 */
#define NAMES_SAMPLE 1024
bool	names_right(const struct rules *, const struct queue_layout *, int64_t now, struct queue_note *note, struct names_seen *ret);

#endif
