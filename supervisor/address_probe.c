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
	const struct netlink_link *link;
	enum address_packet kind;
	struct frame frame;
};

struct inquiry {
	struct address_view *view;
	struct question question[CONF_ADDRESSES_MAX];
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

/*
 * One socket for each kind of packet, not for each address: closing one costs the kernel a grace
 * period. With protocol 0 it hears nothing before its filter is in place and bind() names the kind.
 */
static bool
packet_open(struct address_view *view, enum address_packet kind, struct err *err)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET};
	int fd;

	if (view->packet[kind] != -1)
		return true;
	fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return err_set(
		    err, errno, "cannot open a packet socket to probe service addresses");
	view->packet[kind] = fd; /* from here on address_view_free() closes it */
	at.sll_protocol = htons(kind == ADDRESS_ARP ? ETH_P_ARP : ETH_P_IPV6);
	if (kind == ADDRESS_IPV6 && !filter_neighbours(fd))
		return err_set(err, errno, "cannot filter the packets that answer address probes");
	if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) == -1)
		return err_set(err, errno, "cannot listen for answers to address probes");
	return true;
}

static bool
question_add(struct inquiry *in, const struct conf_address *a, const struct netlink_link *link,
    struct err *err)
{
	struct question *q = &in->question[in->len++];

	q->address = a;
	q->link = link;
	q->kind = a->family == AF_INET ? ADDRESS_ARP : ADDRESS_IPV6;
	if (a->family == AF_INET) {
		frame_arp(&q->frame, FRAME_ARP_PROBE, link->mac, a->bytes);
	} else {
		frame_solicit(&q->frame, a->bytes);
		group_join(in->groups, &q->frame, link->index);
	}
	return packet_open(in->view, q->kind, err);
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

/* Does this packet say that an address we ask for belongs to another host? Then false. */
static bool
packet_judge(const struct inquiry *in, enum address_packet kind, const struct sockaddr_ll *from,
    const uint8_t *packet, size_t len, struct err *err)
{
	for (size_t i = 0; i < in->len; i++) {
		const struct question *q = &in->question[i];
		uint8_t mac[FRAME_MAC_LEN];
		char text[FRAME_MAC_TEXT];
		enum frame_claim claim;

		if (q->kind != kind || q->link->index != from->sll_ifindex)
			continue;
		claim = kind == ADDRESS_ARP ? frame_arp_claim(packet, len, q->address->bytes, mac)
					    : frame_neighbour_claim(packet, len, from->sll_addr,
						  q->address->bytes, mac);
		if (claim == FRAME_SILENT || mac_is_own(&in->view->nl, mac))
			continue;
		return err_set(err, 0,
		    "service address %s %s by another host on interface %s (hardware address %s): "
		    "%s",
		    q->address->text, claim == FRAME_OWNED ? "is in use" : "is just being taken",
		    q->link->name, frame_mac_text(mac, text),
		    claim == FRAME_OWNED ? "take the address away from that host"
					 : "find out why that host wants it");
	}
	return true;
}

/* Read what came. False: a foreign host claims an address, or nothing can be read any more. */
static bool
packet_read(const struct inquiry *in, enum address_packet kind, struct err *err)
{
	for (int n = 0; n < READS_PER_WAKE; n++) {
		struct sockaddr_ll from = {.sll_family = AF_PACKET};
		socklen_t from_len = sizeof(from);
		uint8_t packet[PACKET_LEN_MAX];
		ssize_t len;

		len = recvfrom(in->view->packet[kind], packet, sizeof(packet), 0,
		    (struct sockaddr *)&from, &from_len);
		if (len == -1 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (len == -1)
			return err_set(err, errno, "cannot read answers to address probes");
		if (from.sll_pkttype != PACKET_OUTGOING &&
		    !packet_judge(in, kind, &from, packet, (size_t)len, err))
			return false;
	}
	return true;
}

static bool
inquiry_ask(const struct inquiry *in, struct err *err)
{
	for (size_t i = 0; i < in->len; i++) {
		const struct question *q = &in->question[i];
		struct err why;

		if (!address_send(in->view->packet[q->kind], q->kind, q->link, &q->frame, &why))
			return err_set(err, 0, "service address %s cannot be probed: %s",
			    q->address->text, why.text);
	}
	return true;
}

static bool
inquiry_run(const struct inquiry *in, uint32_t probe_ms, struct err *err)
{
	uint64_t start = clock_mono_us(), end = start + (uint64_t)probe_ms * 1000;
	struct pollfd wait[ADDRESS_PACKET_COUNT];
	uint64_t now = start, ask_at = start;
	int asked = 0;

	for (int kind = 0; kind < ADDRESS_PACKET_COUNT; kind++)
		wait[kind] = (struct pollfd){.fd = in->view->packet[kind], .events = POLLIN};
	while (now < end) {
		uint64_t until;

		if (now >= ask_at && asked < ASK_TIMES) {
			if (!inquiry_ask(in, err))
				return false;
			asked++;
			ask_at = start + (uint64_t)probe_ms * 1000 * (uint64_t)asked / ASK_TIMES;
		}
		until = asked < ASK_TIMES ? ask_at : end;
		/* a slow machine may have passed the moment of the next question already */
		if (until < now)
			until = now;
		if (poll(wait, ADDRESS_PACKET_COUNT, (int)((until - now + 999) / 1000)) == -1 &&
		    errno != EINTR)
			return err_set(err, errno, "cannot wait for answers to address probes");
		for (int kind = 0; kind < ADDRESS_PACKET_COUNT; kind++)
			if (wait[kind].revents != 0 &&
			    !packet_read(in, (enum address_packet)kind, err))
				return false;
		now = clock_mono_us();
	}
	return true;
}

bool
address_probe_missing(
    const struct conf *conf, struct address_view *view, uint32_t probe_ms, struct err *err)
{
	struct inquiry in = {.view = view, .groups = -1};
	bool ok = true;

	if (probe_ms == 0)
		return true;
	in.groups = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0); /* -1: a kernel without IPv6 */
	for (size_t i = 0; ok && i < conf->addresses; i++) {
		if (view->held[i] || !conf->address[i].probe || !view->link[i].neighbours)
			continue;
		ok = question_add(&in, &conf->address[i], &view->link[i], err);
	}
	if (ok && in.len > 0)
		ok = inquiry_run(&in, probe_ms, err);
	if (in.groups != -1)
		close(in.groups);
	return ok;
}
