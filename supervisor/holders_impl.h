/*
 * supervisor/holders_impl.h - parts of holders: the identity of a process, Unix sockets bound on a
 * file system. For holders_*.c only.
 */
#ifndef SUPERVISOR_HOLDERS_IMPL_H
#define SUPERVISOR_HOLDERS_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Name and start time (clock ticks since boot) of a process; false when there is none. */
bool	holders_process(pid_t, char *command, size_t size, uint64_t *ret_started);

/*
 * A bound Unix socket keeps its mount busy although its descriptor shows no file. Only the sockets
 * of this network namespace can be asked for.
 */
struct holders_socket {
	uint64_t	 inode;		/* as /proc/PID/fd shows it */
	char		 path[108];	/* as it was bound, perhaps relative */
};
struct holders_sockets {
	struct holders_socket	*item;
	size_t			 len;
};
/* Finds none where the kernel cannot tell. */
void		 holders_sockets_find(dev_t, struct holders_sockets *ret);
/* NULL: not one of them. */
const char	*holders_sockets_path(const struct holders_sockets *, uint64_t inode);
void		 holders_sockets_free(struct holders_sockets *);

#endif
