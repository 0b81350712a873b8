/*
 * supervisor/link_udp.h - between link_udp.c and link_udp_open.c: a socket ready for beats.
 */
#ifndef SUPERVISOR_LINK_UDP_H
#define SUPERVISOR_LINK_UDP_H

#include <stdbool.h>
#include <sys/socket.h>

#include "supervisor/link.h"

struct udp_socket {
	int			 fd;
	struct sockaddr_storage	 to;		/* the peer, the group or the broadcast address */
	socklen_t		 to_len;
	unsigned int		 ifindex;	/* interface it is tied to, 0 = none */
	bool			 shared;	/* multicast or broadcast: not connected */
};

/*
 * Make, tie, filter; also fills l->ifname where the configuration does not name it. No name
 * look-up.
 */
bool	udp_socket_open(struct link *l, struct udp_socket *ret, struct err *);

#endif
