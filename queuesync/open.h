/*
 * queuesync/open.h - opens one file of a queue that nobody is trusted with: no link is followed anywhere on the way,
 * no mount is crossed, a FIFO or a device does not hang, the time of access stays where we may keep it. Blocks.
 */
#ifndef QUEUESYNC_OPEN_H
#define QUEUESYNC_OPEN_H

#include <stdbool.h>
#include <stddef.h>

#include "mta/queue.h"

/* For reading; path below the directory root. -1 with errno: ELOOP for links, EXDEV for mounts, ENOENT, ... */
int	queue_open(int root, const char *path);
/* The same of one entry of an open directory; name has no slash and is not "..". */
int	queue_open_entry(int directory, const char *name);
/* queue_open() for kernels and sandboxes without openat2(2); path has no "..", and mounts are not noticed. */
int	queue_open_stepwise(int root, const char *path, int flags);

/*
 * An open file as a source. Small reads are served from one large one; failed is the errno of a read that the disk
 * refused, since a parser takes it for the end of the file.
 */
#define READ_WINDOW 65536u
struct queue_reader {
	int	 fd;
	uint64_t at;		/* the window's offset in the file */
	size_t	 len;
	int	 failed;
	const char *shows;	/* window, or what others have read */
	char	 window[READ_WINDOW];
};
struct queue_source queue_source_file(struct queue_reader *, int fd, uint64_t size);
/* Its first bytes were read already, into memory that stays as long as the source is used. NULL: they were not. */
void	queue_reader_knows(struct queue_reader *, const char *head, size_t len);

/* What fstat(2) says of it, into *file (name, sub and place stay). -1 with errno. */
int	queue_fstat(int fd, struct queue_file *);

#endif
