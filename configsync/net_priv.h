/*
 * configsync/net_priv.h - what net.c and net_child.c say to each other: frames of net_pipe.h. Types from CHANNEL_TYPE_MIN on are messages of the
 * channel; the stream they belong to is numbered by the child, so that what was meant for one never goes into the next. Both are the
 * same program, so structures travel as they are; still the parent believes nothing.
 */
#ifndef CONFIGSYNC_NET_PRIV_H
#define CONFIGSYNC_NET_PRIV_H

#include "common/channel.h"
#include "common/channel_key.h"
#include "configsync/net_sandbox.h"

#define NET_FD 3			/* in the child */
#define NET_HOST_MAX 64			/* a numeric address with its interface, and NUL */
#define NET_WAITS_MAX (2u << 20)	/* bytes for the parent in the child; then the peer waits */

enum net_frame {
	NET_BOOT = 1,			/* to the child, first: struct net_boot */
	NET_DROP, NET_CLOSE,		/* to the child: a sentence */
	NET_READY,			/* to the parent: struct net_ready, or NET_FAILED: a sentence */
	NET_FAILED,
	NET_UP, NET_DOWN, NET_REFUSED	/* to the parent: struct net_event */
};

struct net_boot {
	bool			listen;
	pid_t			parent;
	uid_t			uid;
	gid_t			gid;
	char			pair[CONF_NAME_MAX], service[CONF_NAME_MAX], node[CONF_NAME_MAX], peer[CONF_NAME_MAX];
	char			host[CHANNEL_ADDRESSES_MAX][NET_HOST_MAX];
	uint16_t		port[CHANNEL_ADDRESSES_MAX];
	size_t			at_len;
	struct channel_limits	limits;
	struct channel_keys	keys;
};

struct net_ready {
	uint16_t		port[CHANNEL_ADDRESSES_MAX];
	struct net_sandboxed	sandbox;
};

struct net_event {
	int			why;		/* enum channel_why; NET_UP: 0 */
	uint8_t			key;
	uint64_t		refused;	/* connections so far */
	char			where[CHANNEL_WHERE_MAX];
	char			text[CHANNEL_TEXT_MAX];
};

#endif
