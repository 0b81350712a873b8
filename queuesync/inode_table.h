/*
 * queuesync/inode_table.h - what a file system says of its inodes at once, for a twentieth of what as many calls of stat(2) cost whose
 * inodes are not in the kernel's cache: ext2, ext3 and ext4 by their tables on the block device, XFS by the kernel (docs/adr/0012).
 *
 * Needs root. Any thread may ask. Blocks on the disk.
 */
#ifndef QUEUESYNC_INODE_TABLE_H
#define QUEUESYNC_INODE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "mta/queue.h"

struct inode_table;

/* Is it a file system of which there are such? */
bool	inode_table_possible(int directory);
/*
 * Of the file system in which the open directory lies; until it is closed something of that is open (its device, or the directory
 * again). NULL with *err: another kind of file system, no right, a kernel that is too old, or what stands on the device is not what is mounted.
 */
struct inode_table *inode_table_open(int directory, struct err *);
void	inode_table_close(struct inode_table *);

/*
 * Into *ret go mode, uid, gid, nlink, size, mtime and atime of a regular file; all else stays. False: nothing is known, so ask the
 * kernel: no regular file, not in use, damaged, a time or size beyond 32 bits, or too few were asked for so far of those that lie
 * beside it and are read with it.
 */
bool	inode_table_tell(struct inode_table *, uint64_t ino, struct queue_file *ret);

/* Has the disk bring the blocks of a directory of so many bytes into the cache, and does not wait for them, where that can be. */
void	inode_table_ahead(struct inode_table *, uint64_t ino, uint64_t size);

#endif
