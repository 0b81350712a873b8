/*
 * queuesync/by_inode.h - puts things in the order of their inodes, in place. Pure.
 */
#ifndef QUEUESYNC_BY_INODE_H
#define QUEUESYNC_BY_INODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 16 bytes, since there is one of every file; what ref, place, bit and odd mean is the user's. */
struct by_inode { uint64_t ino; uint32_t ref; uint16_t place; uint8_t bit; bool odd; };

/* Equal inodes by place, then by ref: the same set gives the same order. */
void	by_inode_sort(struct by_inode *, size_t len);

#endif
