/*
 * configsync/net.h - messages to and from the other node, through a child process that alone touches the network.
 *
 * The child is a program of its own (net_child.h), with nothing of the parent's memory and descriptors: it gets the keys of this service,
 * derived from authkeys, which cannot sign beats. It runs as a user without rights, in a sandbox (net_sandbox.h), and holds one channel
 * (common/channel.h): its contract on streams, messages and their loss is this one's. What comes from it is not believed more than what comes from
 * the peer: who handles received() parses strictly.
 *
 * A child that ends is started again, after 100 ms, then twice as long each time up to 10 s. It ends with its parent.
 *
 * Nothing here blocks, but net_free() for the moment that a killed process takes to end. All callbacks come from the loop.
 */
#ifndef CONFIGSYNC_NET_H
#define CONFIGSYNC_NET_H

#include <sys/types.h>

#include "common/channel.h"

struct net;

/* All are required. In each of them everything may be called, net_free() too. Sentences live until the return. */
struct net_calls {
	void	(*up)(void *arg);
	void	(*received)(void *arg, uint8_t type, const uint8_t *bytes, size_t len);
	/* After net_send() had said CHANNEL_FULL: half of the queue has gone. */
	void	(*drained)(void *arg);
	/* The stream that was up has ended, perhaps with the child. What waited to be sent is lost. */
	void	(*down)(void *arg, enum channel_why, const char *sentence);
	/* A connection that never was up has ended, or many of them: at most one each second is told. */
	void	(*refused)(void *arg, enum channel_why, const char *sentence);
	/* The child has ended, after down() where it was up; it is started again, but after net_close(). */
	void	(*ended)(void *arg, const char *sentence);
};

struct net_setup {
	const char		*program;	/* "/proc/self/exe", absolute */
	const char		*subcommand;	/* that calls net_child_main(); argv[1] */
	bool			 listen;	/* on all addresses; else connect, to each in turn */
	const char		*pair, *service, *node, *peer;	/* as in channel_setup */
	struct channel_address	 at[CHANNEL_ADDRESSES_MAX];
	size_t			 at_len;
	const struct authkeys	*keys;
	struct channel_limits	 limits;	/* queue_max counts at the parent and once more in the child */
	uid_t			 uid;		/* not root; who is not root himself gives his own */
	gid_t			 gid;
	const struct net_calls	*calls;		/* must stay */
	void			*arg;
};

/* All is copied but calls. False with *err: names or addresses that are none, a key with too short a secret. What goes wrong in the child (a port that is
 * taken) comes by ended(). */
bool	net_start(struct loop *, const struct net_setup *, struct net **ret, struct err *);
void	net_free(struct net *);		/* at once, no callback, no last words; NULL is allowed */

/* As channel_send(). */
enum channel_sent net_send(struct net *, uint8_t type, const void *bytes, size_t len);
/* Nothing is told until it is taken back, but ended(), and the peer waits with what it has to say. */
void	net_pause(struct net *, bool paused);
/* End the stream that is up, as channel_drop(): what came made no sense. */
void	net_drop(struct net *, const char *why);
/* Send what is queued, say goodbye, and end for good: ended() will come, within handshake_ms and a little, and nothing after it. */
void	net_close(struct net *, const char *why);
/* authkeys were read again: a new child begins with them, so the stream ends. False with *err: all stays as it was. */
bool	net_keys(struct net *, const struct authkeys *, struct err *);

struct net_status {
	bool		up, ready;			/* ready: the child runs in its sandbox */
	pid_t		pid;				/* -1: none */
	char		where[CHANNEL_WHERE_MAX];	/* the peer's end, "" where down */
	uint8_t		key;				/* number of the key that proved it */
	uint16_t	port[CHANNEL_ADDRESSES_MAX];	/* listened on */
	bool		seccomp;
	uint8_t		landlock;			/* version of its interface, 0: the kernel has none */
	size_t		queued;				/* bytes here that wait to be sent */
	uint64_t	refused;			/* connections, of this child */
	uint32_t	started;			/* children so far */
	enum channel_why last_why;			/* of the newest down or refused */
	char		last[CHANNEL_TEXT_MAX];		/* its sentence, or why a child ended; "" none yet */
};
void	net_status(const struct net *, struct net_status *);

#endif
