/*
 * supervisor/netlink.h - the small part of rtnetlink that service addresses need: ask for links
 * and addresses, add and delete an address. One request at a time, each with its answer. Acts in
 * the network namespace of the calling process.
 *
 * Blocks: the kernel answers at once unless another process holds its routing lock (a network
 * driver may do that for seconds), so this is for workers. An answer that does not come in 5 s is
 * an error.
 */
#ifndef SUPERVISOR_NETLINK_H
#define SUPERVISOR_NETLINK_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct netlink {
	int		 fd;
	uint32_t	 seq;
};

#define NETLINK_MAC_LEN 6

struct netlink_link {
	int		 index;
	char		 name[IF_NAMESIZE];
	bool		 up, carrier;
	bool		 neighbours;	/* Ethernet-like and not without ARP: mac is valid */
	uint8_t		 mac[NETLINK_MAC_LEN];
};

struct netlink_address {
	int		 index;		/* of the interface */
	int		 family;
	uint8_t		 bytes[16];	/* network order; IPv4 in the first four */
	uint8_t		 prefix;
	uint32_t	 flags;		/* IFA_F_... of linux/if_addr.h */
};

/* A whole answer; the arrays belong to the caller: free() item. */
struct netlink_links {
	struct netlink_link	*item;
	size_t			 len;
};
struct netlink_addresses {
	struct netlink_address	*item;
	size_t			 len;
};

bool	netlink_open(struct netlink *ret, struct err *);
void	netlink_close(struct netlink *);

/* err->sys is ENODEV where there is no interface of this name. */
bool	netlink_link(struct netlink *, const char *name, struct netlink_link *ret, struct err *);
bool	netlink_links(struct netlink *, struct netlink_links *ret, struct err *);
/* All of this host, both families. Asked again where they changed meanwhile. */
bool	netlink_addresses(struct netlink *, struct netlink_addresses *ret, struct err *);

/* err->sys: EEXIST where it is there already. IPv4 gets its broadcast address from the prefix. */
bool	netlink_address_add(struct netlink *, const struct netlink_address *, struct err *);
/* err->sys: EADDRNOTAVAIL where it is not there (any more), ENODEV where the interface is not. */
bool	netlink_address_delete(struct netlink *, const struct netlink_address *, struct err *);

#endif
