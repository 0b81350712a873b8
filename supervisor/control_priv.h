/*
 * supervisor/control_priv.h - what the two halves of the control socket share: control.c is the door,
 * control_client.c the clients that came in. Nobody else includes it.
 */
#ifndef SUPERVISOR_CONTROL_PRIV_H
#define SUPERVISOR_CONTROL_PRIV_H

#include <sys/types.h>
#include <sys/un.h>

#include "supervisor/control.h"

struct control {
	struct loop		*loop;
	int			 fd;
	struct loop_io		*io;
	struct loop_timer	*pause;
	char			 path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	dev_t			 dev;
	ino_t			 ino;
	gid_t			 group;
	bool			 has_group;
	uint64_t		 patience_ms;
	control_handler_f	*handler;
	void			*arg;
	struct client		*clients;
	size_t			 clients_len;
	bool			 told_full, told_no_accept;	/* once a period, not once a client */
};

/* Takes over the descriptor of a new connection. */
void	client_new(struct control *, int fd);
/* The first of the list: its connection is closed, and it no longer belongs to the list. */
void	client_abandon(struct client *);

#endif
