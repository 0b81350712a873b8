/*
 * queuesync/inode_table.c - see inode_table.h: which kind of file system it is.
 */
#include "queuesync/inode_table.h"

#include <errno.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "queuesync/inode_table_priv.h"

static struct inode_table *
no_kind(int directory, struct err *err)
{
	(void)directory;
	err_set(err, 0, "it is no ext2, ext3, ext4 or XFS");
	return NULL;
}

static struct inode_table *
(*kind_of(int directory))(int, struct err *)
{
	struct statfs fs;

	if (geteuid() != 0 || fstatfs(directory, &fs) == -1)
		return no_kind;
	return fs.f_type == EXT4_SUPER_MAGIC ? inode_ext_open : fs.f_type == XFS_SUPER_MAGIC ? inode_xfs_open : no_kind;
}

bool
inode_table_possible(int directory)
{
	return kind_of(directory) != no_kind;
}

struct inode_table *
inode_table_open(int directory, struct err *err)
{
	return kind_of(directory)(directory, err);
}

bool
inode_table_tell(struct inode_table *t, uint64_t ino, struct queue_file *ret)
{
	return t->kind->tell(t, ino, ret);
}

void
inode_table_ahead(struct inode_table *t, uint64_t ino, uint64_t size)
{
	if (t->kind->ahead != NULL)
		t->kind->ahead(t, ino, size);
}

void
inode_table_close(struct inode_table *t)
{
	t->kind->close(t);
}
