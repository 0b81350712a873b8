/*
 * configsync/watch_child.h - for watch.c: the child, and what it says. Records are packets of one or more notes: what it is (1
 * byte), length (2 bytes, of this machine), and as many bytes of text.
 */
#ifndef CONFIGSYNC_WATCH_CHILD_H
#define CONFIGSYNC_WATCH_CHILD_H

#include "configsync/watch.h"

#define WATCH_PACKET_MAX 32768u

enum watch_said {
	WATCH_SAID_PATH = 1,	/* path */
	WATCH_SAID_BELOW,	/* path, and all below it */
	WATCH_SAID_ALL,		/* why */
	WATCH_SAID_STATE,	/* count of directories in decimal, a blank, what is blind */
	WATCH_SAID_BEGUN,	/* nothing: a file begins to be written */
	WATCH_SAID_END,		/* why: the last of all */
	WATCH_SAID_COUNT
};

/* Does not return. All descriptors but fd and root's are closed already. */
void	watch_child(int fd, const struct watch_setup *) __attribute__((noreturn));

#endif
