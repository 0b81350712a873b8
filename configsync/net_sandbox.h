/*
 * configsync/net_sandbox.h - what the process that talks to the network gives away, for good, before it takes the first byte: its user,
 * all capabilities, all files, and every system call but those that relaying messages takes. What it may do stands in docs/safety.md.
 */
#ifndef CONFIGSYNC_NET_SANDBOX_H
#define CONFIGSYNC_NET_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"

#define NET_PORTS_MAX 8

struct net_sandbox {
	pid_t		 parent;	/* ends with it, by SIGKILL; 0: with nobody */
	uid_t		 uid;
	gid_t		 gid;
	bool		 connects;	/* makes connections; else takes those that come to sockets it listens on already */
	uint16_t	 port[NET_PORTS_MAX];	/* that it connects to; held to by Landlock only */
	size_t		 ports;
};

/* What this kernel has. A filter is missing where it has none, or on processors other than x86-64 and arm64. */
struct net_sandboxed {
	bool		 seccomp;
	uint8_t		 landlock;	/* version of its interface; 0: none */
};

/*
 * Ends with SIGSYS whoever breaks out afterwards, this process. False with *err: it has to end itself, nothing is certain. Who is
 * not root stays who he is; uid has to be his then.
 */
bool	net_sandbox(const struct net_sandbox *, struct net_sandboxed *ret, struct err *);

#endif
