/*
 * queuesync/inode_table_priv.h - the kinds of file systems whose inodes can be had at once. Each is a file of its own, with the header of
 * its library or ioctl(2)s.
 */
#ifndef QUEUESYNC_INODE_TABLE_PRIV_H
#define QUEUESYNC_INODE_TABLE_PRIV_H

#include "queuesync/inode_table.h"

struct inode_kind {
	bool	(*tell)(struct inode_table *, uint64_t ino, struct queue_file *ret);
	void	(*ahead)(struct inode_table *, uint64_t ino, uint64_t size);	/* NULL: there is no way */
	void	(*close)(struct inode_table *);
};

/* The first member of each kind's own. */
struct inode_table { const struct inode_kind *kind; };

/* ext2, ext3, ext4: from the block device by libext2fs. */
struct inode_table *inode_ext_open(int directory, struct err *);
/* XFS: from the kernel, by XFS_IOC_BULKSTAT. */
struct inode_table *inode_xfs_open(int directory, struct err *);

#endif
