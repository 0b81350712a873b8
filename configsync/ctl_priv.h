/*
 * configsync/ctl_priv.h - what the files of config.sock share: ctl.c is the door, ctl_client.c who came in, ctl_text.c the words.
 */
#ifndef CONFIGSYNC_CTL_PRIV_H
#define CONFIGSYNC_CTL_PRIV_H

#include <sys/types.h>
#include <sys/un.h>

#include "configsync/ctl.h"

struct ctl {
	struct loop		*loop;
	int			 fd;
	struct loop_io		*io;
	struct loop_timer	*pause;
	char			 path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	dev_t			 dev;		/* of the socket that is ours */
	ino_t			 ino;
	gid_t			 group;
	bool			 has_group, told_full;
	uint32_t		 patience_ms;
	ctl_asked_f		*asked;
	void			*arg;
	struct ctl_reply	*replies;
	size_t			 replies_len;
};

/* Writes value as it travels; buf has room for three times its length. Returns the length, no NUL. */
size_t	ctl_encode(const char *value, char *buf);
/* Takes over the descriptor of a new connection. */
void	ctl_client_new(struct ctl *, int fd, uid_t uid);
/* The first of the list: its connection is closed, and it belongs to the list no longer. */
void	ctl_client_abandon(struct ctl *);

#endif
