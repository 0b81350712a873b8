/*
 * configsync/net_child.h - the process that holds the channel to the peer: no user's rights, no files, and no memory of the parent's
 * but the keys of this service. Started by net.h only, as a program of its own (a hidden subcommand).
 */
#ifndef CONFIGSYNC_NET_CHILD_H
#define CONFIGSYNC_NET_CHILD_H

int	net_child_main(void);		/* the exit status; expects NET_FD */

#endif
