/*
 * queuesync/inode_table.h - what the inode tables of ext2, ext3 and ext4 say of files, read from the block device beside the
 * mounted file system: some 0.5 microseconds a file, where stat(2) of an inode that is not in the kernel's cache costs ten.
 *
 * The kernel keeps a file system's metadata and its block device in one page cache, and puts every change of owner, mode, links
 * and times into that before the call which makes it returns; a size follows when the bytes are written. So who reads here sees what was replayed
 * from the journal, and what the kernel itself would read for a stat(2). All that is read is untrusted: libext2fs verifies check sums
 * where the file system has them, and whatever it does not like is not known.
 *
 * Needs root, for the device. Any thread may ask. Blocks on the disk.
 */
#ifndef QUEUESYNC_INODE_TABLE_H
#define QUEUESYNC_INODE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "mta/queue.h"

struct inode_table;

/*
 * Of the file system in which the open directory lies; it is kept open by nobody. NULL with *err: another kind of file
 * system, its device cannot be opened, or what stands there is not what is mounted.
 */
struct inode_table *inode_table_open(int directory, struct err *);
void	inode_table_close(struct inode_table *);

/*
 * Into *ret go mode, uid, gid, nlink, size, mtime and atime of a regular file; all else stays. False: nothing is known, so ask the
 * kernel: no regular file, not in use, a wrong check sum, a time or size beyond 32 bits, or too few were asked for so far in its group of
 * inodes, which is read whole.
 */
bool	inode_table_tell(struct inode_table *, uint64_t ino, struct queue_file *ret);

/* Has the disk bring the blocks of a directory of so many bytes into the cache, and does not wait for them. */
void	inode_table_ahead(struct inode_table *, uint64_t ino, uint64_t size);

/* The same of an image or a device that is open. directory: where it should be mounted; -1: it need not be. Takes fd where it succeeds. For tests. */
struct inode_table *inode_table_image(int fd, int directory, struct err *);

#endif
