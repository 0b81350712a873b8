/*
 * configsync/desk.h - the running mailpair-config of one node: reads the trees, talks to the other node's, and alone writes to
 * the trees. What it decides is the core's (configsync/core.h); here it is done.
 */
#ifndef CONFIGSYNC_DESK_H
#define CONFIGSYNC_DESK_H

#include <stdbool.h>

#define DESK_NET_CHILD "net-child"	/* the program's own subcommand for configsync/net_child.h */

struct desk_setup {
	const char	*conf;		/* mailpair.conf */
	const char	*node;		/* NULL: the one of the host name */
	const char	*root;		/* that all paths are below; NULL: "/" */
	/*
	 * Whoever started it says lines on standard input ("role active tenure 7", "reload", end of file: end), and is told lines on
	 * standard output (see desk_say.c). Without, no node is known to be active, which matters where only the active one may write.
	 */
	bool		 lines;
};

/* Blocks until SIGTERM or the end of standard input. Exit status: 0; 2 where it could not begin, which was said. */
int	desk_run(const struct desk_setup *);

#endif
