/*
 * supervisor/address_probe.c - does another host have a service address that we are about to take?
 * ARP probes (RFC 5227, 2.1.1) and neighbour solicitations as of duplicate address detection (RFC
 * 4862, 5.4), for all addresses at the same time, each asked three times within the given time.
 *
 * The first foreign claim ends it; silence is only known at the end of the time. Leaves to
 * address.c what is probed and what follows. Runs in workers. Blocks for the given time.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "supervisor/address_parts.h"

#define ASK_TIMES      3
#define READS_PER_WAKE 64 /* a storm of packets must not keep us from looking at the clock */
#define PACKET_LEN_MAX 1500

struct question {
	const struct conf_address *address;
	struct address_frame_route route;
	struct frame frame;
	uint16_t protocol;
};

struct inquiry {
	struct netlink *nl;
	struct question question[CONF_ADDRESSES_MAX];
	struct pollfd wait[CONF_ADDRESSES_MAX];
	size_t len;
	int groups; /* holds the multicast memberships */
};

/* Of all IPv6 packets only neighbour solicitations and advertisements are worth waking us up. */
static bool
filter_neighbours(int fd)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 6), /* next header */
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMPV6, 0, 4),
	    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 40), /* type */
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 135, 1, 0),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 136, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, PACKET_LEN_MAX),
	    BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0;
}

/*
 * Join the solicited-node group: a switch that learns groups would else not let us see the probe of
 * another host that is about to take the address as well. Without IPv6 on the interface this fails,
 * and so will adding.
 */
static void
group_join(int fd, const struct frame *frame, int index)
{
	struct ipv6_mreq group = {.ipv6mr_interface = (unsigned int)index};

	memcpy(&group.ipv6mr_multiaddr, frame->bytes + 24, sizeof(group.ipv6mr_multiaddr));
	(void)setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &group, sizeof(group));
}

static bool
question_open(struct inquiry *in, const struct conf_address *a, const struct netlink_link *link,
    struct err *err)
{
	struct question *q = &in->question[in->len];
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_ifindex = link->index};
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd == -1)
		return err_set(
		    err, errno, "cannot open a packet socket on interface %s", link->name);
	q->address = a;
	q->route = (struct address_frame_route){fd, link->index, a->interface};
	q->protocol = a->family == AF_INET ? ETH_P_ARP : ETH_P_IPV6;
	at.sll_protocol = htons(q->protocol);
	in->wait[in->len] = (struct pollfd){.fd = fd, .events = POLLIN};
	in->len++; /* from here on inquiry_close() closes it */
	if (a->family == AF_INET) {
		frame_arp(&q->frame, FRAME_ARP_PROBE, link->mac, a->bytes);
	} else {
		frame_solicit(&q->frame, a->bytes);
		if (!filter_neighbours(fd))
			return err_set(
			    err, errno, "cannot filter packets of interface %s", link->name);
		group_join(in->groups, &q->frame, link->index);
	}
	/* only now: between socket() and bind() it would hear every interface */
	if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) == -1)
		return err_set(err, errno, "cannot listen on interface %s", link->name);
	return true;
}

static void
inquiry_close(struct inquiry *in)
{
	for (size_t i = 0; i < in->len; i++)
		close(in->question[i].route.fd);
	if (in->groups != -1)
		close(in->groups);
}

/* Is it an interface of this host? Then the claim is our own, seen through another port of the same
 * network. */
static bool
mac_is_own(struct netlink *nl, const uint8_t mac[FRAME_MAC_LEN])
{
	struct netlink_links links;
	bool own = false;

	if (!netlink_links(nl, &links, NULL))
		return false; /* a claim that we cannot explain is taken as foreign */
	for (size_t i = 0; i < links.len; i++)
		own = own || (links.item[i].neighbours &&
				 memcmp(links.item[i].mac, mac, FRAME_MAC_LEN) == 0);
	free(links.item);
	return own;
}

/* Read what came for one address. False: a foreign host claims it, or the interface failed. */
static bool
question_read(const struct inquiry *in, const struct question *q, struct err *err)
{
	for (int n = 0; n < READS_PER_WAKE; n++) {
		uint8_t packet[PACKET_LEN_MAX], mac[FRAME_MAC_LEN];
		struct sockaddr_ll from = {.sll_family = AF_PACKET};
		socklen_t from_len = sizeof(from);
		char text[FRAME_MAC_TEXT];
		enum frame_claim claim;
		ssize_t len;

		len = recvfrom(
		    q->route.fd, packet, sizeof(packet), 0, (struct sockaddr *)&from, &from_len);
		if (len == -1 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (len == -1)
			return err_set(err, errno,
			    "interface %s failed while service address %s was probed",
			    q->route.interface, q->address->text);
		if (from.sll_pkttype == PACKET_OUTGOING)
			continue;
		claim = q->protocol == ETH_P_ARP
			    ? frame_arp_claim(packet, (size_t)len, q->address->bytes, mac)
			    : frame_neighbour_claim(
				  packet, (size_t)len, from.sll_addr, q->address->bytes, mac);
		if (claim == FRAME_SILENT || mac_is_own(in->nl, mac))
			continue;
		return err_set(err, 0,
		    claim == FRAME_OWNED ? "service address %s is in use by another host on "
					   "interface %s (hardware address %s): "
					   "take the address away from that host"
					 : "service address %s is just being taken by another host "
					   "on interface %s (hardware "
					   "address %s): find out why that host wants it",
		    q->address->text, q->route.interface, frame_mac_text(mac, text));
	}
	return true;
}

static bool
inquiry_ask(const struct inquiry *in, struct err *err)
{
	for (size_t i = 0; i < in->len; i++) {
		const struct question *q = &in->question[i];
		struct err why;

		if (!address_send(&q->route, q->protocol, &q->frame, &why))
			return err_set(err, 0, "service address %s cannot be probed: %s",
			    q->address->text, why.text);
	}
	return true;
}

static bool
inquiry_run(struct inquiry *in, uint32_t probe_ms, struct err *err)
{
	uint64_t start = clock_mono_us(), end = start + (uint64_t)probe_ms * 1000;
	uint64_t now = start, ask_at = start;
	int asked = 0;

	while (now < end) {
		uint64_t until;

		if (now >= ask_at && asked < ASK_TIMES) {
			if (!inquiry_ask(in, err))
				return false;
			asked++;
			ask_at = start + (uint64_t)probe_ms * 1000 * (uint64_t)asked / ASK_TIMES;
		}
		until = asked < ASK_TIMES ? ask_at : end;
		if (poll(in->wait, in->len, (int)((until - now + 999) / 1000)) == -1 &&
		    errno != EINTR)
			return err_set(err, errno, "cannot wait for answers to address probes");
		for (size_t i = 0; i < in->len; i++)
			if (in->wait[i].revents != 0 && !question_read(in, &in->question[i], err))
				return false;
		now = clock_mono_us();
	}
	return true;
}

bool
address_probe_missing(
    const struct conf *conf, struct address_view *view, uint32_t probe_ms, struct err *err)
{
	struct inquiry in = {.nl = &view->nl, .groups = -1};
	bool ok = true;

	if (probe_ms == 0)
		return true;
	in.groups =
	    socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0); /* -1 in a kernel without IPv6 */
	for (size_t i = 0; ok && i < conf->addresses; i++) {
		if (view->held[i] || !conf->address[i].probe || !view->link[i].neighbours)
			continue;
		ok = question_open(&in, &conf->address[i], &view->link[i], err);
	}
	if (ok && in.len > 0)
		ok = inquiry_run(&in, probe_ms, err);
	inquiry_close(&in);
	return ok;
}
