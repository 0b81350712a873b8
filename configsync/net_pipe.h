/*
 * configsync/net_pipe.h - frames over a socket between two processes of this node, queued both ways, never blocking. For net.c and
 * net_child.c.
 *
 *	length of the body (4), type (1), stream (4), body
 *
 * Neither side believes the other: a frame that is longer than allowed ends the pipe. Without memory the process ends.
 */
#ifndef CONFIGSYNC_NET_PIPE_H
#define CONFIGSYNC_NET_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/loop.h"

struct net_pipe;

/* In each of them the pipe may be used and freed. */
struct net_pipe_calls {
	/* bytes until the return only. False: it cannot be taken now; reading stops, and net_pipe_pause(.., false) offers it again. */
	bool	(*frame)(void *arg, uint8_t type, uint32_t stream, const uint8_t *bytes, size_t len);
	/* No more waits than net_pipe_tell_below() asked for. */
	void	(*drained)(void *arg);
	/* Nothing more comes; free it. */
	void	(*ended)(void *arg, const char *why);
};

/* fd: connected, non-blocking; the pipe's from now on. body_max: of what comes. */
struct net_pipe *net_pipe_new(struct loop *, int fd, size_t body_max, const struct net_pipe_calls *, void *arg);
void	net_pipe_free(struct net_pipe *);	/* at once; NULL is allowed */
void	net_pipe_put(struct net_pipe *, uint8_t type, uint32_t stream, const void *bytes, size_t len);
size_t	net_pipe_waits(const struct net_pipe *);	/* bytes that the kernel has not taken yet */
void	net_pipe_tell_below(struct net_pipe *, size_t bytes);	/* drained(), once, from the loop */
void	net_pipe_pause(struct net_pipe *, bool paused);
/* Gives out what has come, as far as it is not paused, without waiting for the loop: the other side is dead. */
void	net_pipe_rest(struct net_pipe *);

#endif
