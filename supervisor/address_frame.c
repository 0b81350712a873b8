/*
 * supervisor/address_frame.c - build and read ARP and neighbour discovery packets byte by byte.
 *
 * Leaves sockets and times to address_probe.c and address_announce.c. Pure; blocks nowhere.
 */
#include <stdio.h>
#include <string.h>

#include "supervisor/address_frame.h"

#define ARP_LEN	       28
#define ARP_OP_REQUEST 1
#define ARP_OP_REPLY   2
/* offsets in an ARP packet for Ethernet and IPv4 */
#define ARP_SENDER_MAC 8
#define ARP_SENDER_IP  14
#define ARP_TARGET_MAC 18
#define ARP_TARGET_IP  24

#define IP6_LEN		  40
#define IP6_NEXT	  6
#define IP6_SOURCE	  8
#define IP6_DEST	  24
#define PROTO_ICMP6	  58
#define HOPS		  255 /* proves that no router forwarded it (RFC 4861, 7.1) */
#define ICMP6_SOLICIT	  135
#define ICMP6_ADVERTISE	  136
#define ND_LEN		  24 /* type, code, checksum, flags, target */
#define ND_TARGET	  8
#define ND_ROUTER	  0x80
#define ND_OVERRIDE	  0x20
#define OPTION_TARGET_MAC 2

static const uint8_t everyone[FRAME_MAC_LEN] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t nobody[16];

void
frame_arp(
    struct frame *ret, enum frame_arp form, const uint8_t mac[FRAME_MAC_LEN], const uint8_t ip[4])
{
	static const uint8_t head[6] = {0, 1, 0x08, 0x00, FRAME_MAC_LEN, 4};
	uint8_t *p = ret->bytes;

	memset(ret, 0, sizeof(*ret));
	memcpy(p, head, sizeof(head));
	p[7] = form == FRAME_ARP_REPLY ? ARP_OP_REPLY : ARP_OP_REQUEST;
	memcpy(p + ARP_SENDER_MAC, mac, FRAME_MAC_LEN);
	if (form != FRAME_ARP_PROBE)
		memcpy(p + ARP_SENDER_IP, ip, 4);
	/* Linux takes a gratuitous reply as one only when it is addressed to its own sender */
	if (form == FRAME_ARP_REPLY)
		memcpy(p + ARP_TARGET_MAC, mac, FRAME_MAC_LEN);
	memcpy(p + ARP_TARGET_IP, ip, 4);
	ret->len = ARP_LEN;
	memcpy(ret->to, everyone, sizeof(everyone));
}

/* Internet checksum of an ICMPv6 packet behind its IPv6 header, with the pseudo header. */
static uint16_t
checksum(const uint8_t *packet, size_t icmp_len)
{
	uint32_t sum = PROTO_ICMP6 + (uint32_t)icmp_len;

	for (size_t i = 0; i < 32; i += 2)
		sum += (uint32_t)(packet[IP6_SOURCE + i] << 8 | packet[IP6_SOURCE + i + 1]);
	for (size_t i = 0; i < icmp_len; i++)
		sum += i % 2 == 0 ? (uint32_t)packet[IP6_LEN + i] << 8 : packet[IP6_LEN + i];
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Everything but source and destination addresses, the flags and the options. */
static void
neighbour_begin(struct frame *ret, uint8_t type, const uint8_t target[16], size_t icmp_len)
{
	uint8_t *p = ret->bytes;

	memset(ret, 0, sizeof(*ret));
	p[0] = 0x60;
	p[5] = (uint8_t)icmp_len;
	p[IP6_NEXT] = PROTO_ICMP6;
	p[7] = HOPS;
	p[IP6_LEN] = type;
	memcpy(p + IP6_LEN + ND_TARGET, target, 16);
	ret->len = IP6_LEN + icmp_len;
}

static void
neighbour_end(struct frame *ret)
{
	uint16_t sum = checksum(ret->bytes, ret->len - IP6_LEN);

	ret->bytes[IP6_LEN + 2] = (uint8_t)(sum >> 8);
	ret->bytes[IP6_LEN + 3] = (uint8_t)sum;
	ret->to[0] = ret->to[1] = 0x33;
	memcpy(ret->to + 2, ret->bytes + IP6_DEST + 12, 4);
}

void
frame_solicit(struct frame *ret, const uint8_t ip[16])
{
	static const uint8_t group[13] = {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};

	neighbour_begin(ret, ICMP6_SOLICIT, ip, ND_LEN);
	memcpy(ret->bytes + IP6_DEST, group, sizeof(group));
	memcpy(ret->bytes + IP6_DEST + sizeof(group), ip + 13, 3);
	neighbour_end(ret);
}

void
frame_advertise(
    struct frame *ret, const uint8_t mac[FRAME_MAC_LEN], const uint8_t ip[16], bool router)
{
	static const uint8_t all_nodes[16] = {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
	uint8_t *icmp = ret->bytes + IP6_LEN;

	neighbour_begin(ret, ICMP6_ADVERTISE, ip, ND_LEN + 8);
	memcpy(ret->bytes + IP6_SOURCE, ip, 16);
	memcpy(ret->bytes + IP6_DEST, all_nodes, 16);
	icmp[4] = (uint8_t)(ND_OVERRIDE | (router ? ND_ROUTER : 0));
	icmp[ND_LEN] = OPTION_TARGET_MAC;
	icmp[ND_LEN + 1] = 1; /* in units of eight bytes */
	memcpy(icmp + ND_LEN + 2, mac, FRAME_MAC_LEN);
	neighbour_end(ret);
}

enum frame_claim
frame_arp_claim(const uint8_t *p, size_t len, const uint8_t ip[4], uint8_t ret_mac[FRAME_MAC_LEN])
{
	static const uint8_t head[6] = {0, 1, 0x08, 0x00, FRAME_MAC_LEN, 4};
	enum frame_claim claim = FRAME_SILENT;

	if (len < ARP_LEN || memcmp(p, head, sizeof(head)) != 0 || p[6] != 0)
		return FRAME_SILENT;
	if (p[7] != ARP_OP_REQUEST && p[7] != ARP_OP_REPLY)
		return FRAME_SILENT;
	if (memcmp(p + ARP_SENDER_IP, ip, 4) == 0)
		claim = FRAME_OWNED;
	else if (p[7] == ARP_OP_REQUEST && memcmp(p + ARP_SENDER_IP, nobody, 4) == 0 &&
		 memcmp(p + ARP_TARGET_IP, ip, 4) == 0)
		claim = FRAME_PROBED;
	if (claim != FRAME_SILENT)
		memcpy(ret_mac, p + ARP_SENDER_MAC, FRAME_MAC_LEN);
	return claim;
}

enum frame_claim
frame_neighbour_claim(const uint8_t *p, size_t len, const uint8_t from[FRAME_MAC_LEN],
    const uint8_t ip[16], uint8_t ret_mac[FRAME_MAC_LEN])
{
	const uint8_t *icmp = p + IP6_LEN, *mac = from;
	enum frame_claim claim = FRAME_SILENT;
	size_t icmp_len;

	if (len < IP6_LEN + ND_LEN || p[0] >> 4 != 6 || p[IP6_NEXT] != PROTO_ICMP6 || p[7] != HOPS)
		return FRAME_SILENT;
	icmp_len = (size_t)(p[4] << 8 | p[5]);
	if (icmp_len < ND_LEN || icmp_len > len - IP6_LEN || icmp[1] != 0 ||
	    checksum(p, icmp_len) != 0)
		return FRAME_SILENT;
	if (icmp[0] == ICMP6_ADVERTISE && memcmp(icmp + ND_TARGET, ip, 16) == 0)
		claim = FRAME_OWNED;
	else if (icmp[0] == ICMP6_SOLICIT && memcmp(p + IP6_SOURCE, ip, 16) == 0)
		claim = FRAME_OWNED;
	else if (icmp[0] == ICMP6_SOLICIT && memcmp(p + IP6_SOURCE, nobody, 16) == 0 &&
		 memcmp(icmp + ND_TARGET, ip, 16) == 0)
		claim = FRAME_PROBED;
	if (claim == FRAME_SILENT)
		return FRAME_SILENT;
	for (size_t at = ND_LEN; icmp[0] == ICMP6_ADVERTISE && at + 8 <= icmp_len;) {
		size_t option_len = (size_t)icmp[at + 1] * 8;

		if (option_len == 0)
			return FRAME_SILENT; /* RFC 4861, 7.1.2: such a message is thrown away whole
					      */
		if (icmp[at] == OPTION_TARGET_MAC && option_len == 8)
			mac = icmp + at + 2;
		at += option_len;
	}
	memcpy(ret_mac, mac, FRAME_MAC_LEN);
	return claim;
}

const char *
frame_mac_text(const uint8_t mac[FRAME_MAC_LEN], char buf[FRAME_MAC_TEXT])
{
	snprintf(buf, FRAME_MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
	    mac[3], mac[4], mac[5]);
	return buf;
}
