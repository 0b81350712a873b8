/*
 * queuesync/inode_parts.h - what is read in parts, each of them whole and once, by the thread that finds it worth its cost: when so many
 * of it were asked for. Others that need the same part wait; different parts are read side by side.
 */
#ifndef QUEUESYNC_INODE_PARTS_H
#define QUEUESYNC_INODE_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

struct inode_parts;

/* So many parts; read(arg, number) reads one. NULL with *err. */
struct inode_parts *inode_parts_new(uint32_t len, uint32_t worth, void (*read)(void *arg, uint32_t number), void *arg, struct err *);
void	inode_parts_free(struct inode_parts *);		/* NULL is allowed; nobody asks any more */

/* One more of this part is asked for. True: it was read. False: too few were, until now. Any thread. Blocks while it is read. */
bool	inode_parts_ask(struct inode_parts *, uint32_t number);

#endif
