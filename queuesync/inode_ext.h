/*
 * queuesync/inode_ext.h - for tests: the inode tables of an image or a device that is open. directory: where it should be mounted; -1: it need
 * not be. Takes fd where it succeeds. NULL with *err. Blocks on the disk.
 */
#ifndef QUEUESYNC_INODE_EXT_H
#define QUEUESYNC_INODE_EXT_H

#include "queuesync/inode_table.h"

struct inode_table *inode_ext_image(int fd, int directory, struct err *);

#endif
