/*
 * queuesync/known.h - which files of a queue are right by the inode tables of their file system, so that the kernel need not be asked
 * about each of them before a start. Only who is right by the table is believed: whatever else it says costs a stat(2), so that nothing
 * wrong is ever said of a file that the kernel was not asked about.
 *
 * The opposite, a table that says right where the kernel knows better, there is none of before a start: the kernel writes what changes in an
 * inode into the same page cache at once, and what it keeps back for a while (sizes that grow, times of access) makes no file wrong. One
 * file in KNOWN_SAMPLE is asked about all the same, and must be as the table says. Blocks on the disk.
 */
#ifndef QUEUESYNC_KNOWN_H
#define QUEUESYNC_KNOWN_H

#include <stdbool.h>
#include <stdint.h>

#include "queuesync/check.h"

#define KNOWN_SAMPLE 1024
#define KNOWN_FIRST 16		/* files that are asked about before the device is opened; an empty queue is asked faster */

struct known;

/* root: of the queue, open as long as this is used. NULL: nothing can be known of this file system. */
struct known *known_new(const struct rules *, const struct queue_layout *, int root, int64_t now);
void	known_free(struct known *);

/* A directory of so many bytes will be read now. */
void	known_directory(struct known *, uint64_t ino, uint64_t size);
/*
 * Of file are set name, sub, place and ino as its directory (open) says it, and that is a regular file. True: it is right, and *file is whole but for
 * ctime. False: ask. Any thread.
 */
bool	known_file(struct known *, int directory, struct queue_file *file);
/* False: the table is not of what is mounted, or tells so little that asking takes too long. What was told must not be believed then. */
bool	known_good(const struct known *);

#endif
