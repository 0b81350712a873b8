/*
 * configsync/ordered.h - whether a file system's journal puts what reaches the disk in order.
 */
#ifndef CONFIGSYNC_ORDERED_H
#define CONFIGSYNC_ORDERED_H

#include <stdbool.h>

/*
 * On the file system of this open file names, attributes and lengths reach the disk in the order in which they were changed, or together, and with a flush of the
 * disk's memory before: bytes that the disk was given earlier are there by then. So it is on XFS, and on ext4 with a journal on its own device whose commits are
 * not asynchronous. False: it is not, or that is not known. Reads /proc.
 */
bool	ordered_by_journal(int fd);

#endif
