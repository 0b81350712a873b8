/*
 * supervisor/address_announce.c - tell all neighbours whose a service address is now: gratuitous
 * ARP in both forms (some systems listen to requests only, some to replies only), unsolicited
 * neighbour advertisement.
 *
 * Leaves to address.c which addresses are held, and to the supervisor how often it is repeated.
 * Runs in workers. Sending does not wait for anybody.
 */
#include <errno.h>
#include <limits.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <arpa/inet.h>

#include "supervisor/address_parts.h"
#include "supervisor/kernel_setting.h"

bool
address_send(int fd, enum address_packet kind, const struct netlink_link *link,
    const struct frame *frame, struct err *err)
{
	struct sockaddr_ll to = {
	    .sll_family = AF_PACKET,
	    .sll_protocol = htons(kind == ADDRESS_ARP ? ETH_P_ARP : ETH_P_IPV6),
	    .sll_ifindex = link->index,
	    .sll_halen = FRAME_MAC_LEN,
	};

	memcpy(to.sll_addr, frame->to, FRAME_MAC_LEN);
	if (sendto(fd, frame->bytes, frame->len, MSG_DONTWAIT, (const struct sockaddr *)&to,
		sizeof(to)) == -1 &&
	    errno != ENOBUFS && errno != EAGAIN)
		return err_set(err, errno, "cannot send on interface %s", link->name);
	return true; /* a full queue loses one of several packets, as the wire may */
}

static bool
announce_one(const struct conf_address *a, const struct netlink_link *link, int fd, struct err *err)
{
	char setting[PATH_MAX];
	struct frame frame;
	int forwarding = 0;

	if (!link->neighbours)
		return true; /* loopback, tunnels: there is nobody who remembers a hardware address
			      */
	if (a->family == AF_INET) {
		frame_arp(&frame, FRAME_ARP_REQUEST, link->mac, a->bytes);
		if (!address_send(fd, ADDRESS_ARP, link, &frame, err))
			return false;
		frame_arp(&frame, FRAME_ARP_REPLY, link->mac, a->bytes);
		return address_send(fd, ADDRESS_ARP, link, &frame, err);
	}
	/* without the router flag neighbours drop a router from their lists (RFC 4861, 7.2.5) */
	snprintf(setting, sizeof(setting), "net/ipv6/conf/%s/forwarding", link->name);
	if (!kernel_setting_read(setting, &forwarding, NULL))
		forwarding = 0;
	frame_advertise(&frame, link->mac, a->bytes, forwarding != 0);
	return address_send(fd, ADDRESS_IPV6, link, &frame, err);
}

/* Any packet socket can send; a new one with protocol 0 receives nothing. */
static int
sender(struct address_view *view, struct err *err)
{
	for (int kind = 0; kind < ADDRESS_PACKET_COUNT; kind++)
		if (view->packet[kind] != -1)
			return view->packet[kind];
	view->packet[ADDRESS_ARP] = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (view->packet[ADDRESS_ARP] == -1)
		err_set(err, errno, "cannot announce the service addresses");
	return view->packet[ADDRESS_ARP];
}

bool
address_announce_marked(
    const struct conf *conf, struct address_view *view, const bool *marked, struct err *err)
{
	int fd = sender(view, err);
	struct err why;
	bool ok = true;

	if (fd == -1)
		return false;
	for (size_t i = 0; i < conf->addresses; i++) {
		if (!marked[i] || announce_one(&conf->address[i], &view->link[i], fd, &why))
			continue;
		if (ok)
			err_set(err, 0, "service address %s is not announced: %s",
			    conf->address[i].text, why.text);
		ok = false;
	}
	return ok;
}

bool
addresses_announce(const struct conf *conf, struct err *err)
{
	struct address_view view;
	bool ok;

	if (!address_view_load(conf, &view, err))
		return false;
	ok = address_announce_marked(conf, &view, view.held, err);
	address_view_free(&view);
	return ok;
}
