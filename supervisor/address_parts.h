/*
 * supervisor/address_parts.h - what address*.c share with each other; nobody else includes it.
 * Callers include address.h.
 */
#ifndef SUPERVISOR_ADDRESS_PARTS_H
#define SUPERVISOR_ADDRESS_PARTS_H

#include "supervisor/address.h"
#include "supervisor/address_frame.h"
#include "supervisor/netlink.h"

/*
 * What the kernel says about the configured addresses; address_view_free. Blocks as netlink.h
 * says.
 */
enum address_packet { ADDRESS_ARP, ADDRESS_IPV6, ADDRESS_PACKET_COUNT };
struct address_view {
	struct netlink		 nl;
	struct netlink_addresses all;				/* of this host */
	struct netlink_link	 link[CONF_ADDRESSES_MAX];	/* index 0: there is none */
	bool			 held[CONF_ADDRESSES_MAX];	/* on its interface, and usable */
	/*
	 * AF_PACKET, SOCK_DGRAM, of all interfaces; -1: not open. Closing one waits about 10 ms for
	 * the kernel, so it is left to address_view_free(), when the addresses are there already.
	 */
	int			 packet[ADDRESS_PACKET_COUNT];
};
bool	address_view_load(const struct conf *, struct address_view *ret, struct err *);
void	address_view_free(struct address_view *);

/* The interface of address i exists and is up. */
bool	address_interface_usable(const struct conf *, const struct address_view *, size_t i,
	    struct err *);

/*
 * Wait probe_ms for foreign owners of all that are not held; false: one answered, or no question
 * could be asked.
 */
bool	address_probe_missing(const struct conf *, struct address_view *, uint32_t probe_ms,
	    struct err *);

/* Announce those marked, once. Continues after a failure and returns the first. */
bool	address_announce_marked(const struct conf *, struct address_view *, const bool *marked,
	    struct err *);

/* Out of this interface, through any of the packet sockets. */
bool	address_send(int fd, enum address_packet, const struct netlink_link *, const struct frame *,
	    struct err *);

#endif
