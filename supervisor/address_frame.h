/*
 * supervisor/address_frame.h - the few packets that claim an address or ask for its owner, as
 * bytes: ARP (RFC 826, RFC 5227) and IPv6 neighbour discovery (RFC 4861, RFC 4862). Pure: no
 * socket, no clock.
 *
 * A frame is what follows the Ethernet header; "to" is the destination for that header.
 */
#ifndef SUPERVISOR_ADDRESS_FRAME_H
#define SUPERVISOR_ADDRESS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_MAX 80
#define FRAME_MAC_LEN 6
#define FRAME_MAC_TEXT 18	/* "02:00:5e:10:00:ff" with the NUL */

struct frame {
	uint8_t	bytes[FRAME_MAX];
	size_t	len;
	uint8_t	to[FRAME_MAC_LEN];
};

/* PROBE: who has it? (no sender address). REQUEST, REPLY: the two forms of "it is mine". */
enum frame_arp { FRAME_ARP_PROBE, FRAME_ARP_REQUEST, FRAME_ARP_REPLY, FRAME_ARP_COUNT };
void	frame_arp(struct frame *ret, enum frame_arp, const uint8_t mac[FRAME_MAC_LEN],
	    const uint8_t ip[4]);

/*
 * Neighbour solicitation from the unspecified address: the question of duplicate address
 * detection.
 */
void	frame_solicit(struct frame *ret, const uint8_t ip[16]);
/*
 * Unsolicited neighbour advertisement with the override flag. router: this host forwards packets.
 */
void	frame_advertise(struct frame *ret, const uint8_t mac[FRAME_MAC_LEN],
	    const uint8_t ip[16], bool router);

/*
 * What does a received frame say about an address? OWNED: a host has it. PROBED: a host is about
 * to take it. Anything damaged or about other addresses is FRAME_SILENT. mac: whose it is, filled
 * unless SILENT.
 */
enum frame_claim { FRAME_SILENT, FRAME_OWNED, FRAME_PROBED, FRAME_CLAIM_COUNT };
enum frame_claim	frame_arp_claim(const uint8_t *, size_t len, const uint8_t ip[4],
			    uint8_t ret_mac[FRAME_MAC_LEN]);
/* from: the sender in the Ethernet header, for messages that do not carry their own. */
enum frame_claim	frame_neighbour_claim(const uint8_t *, size_t len,
			    const uint8_t from[FRAME_MAC_LEN], const uint8_t ip[16],
			    uint8_t ret_mac[FRAME_MAC_LEN]);

const char		*frame_mac_text(const uint8_t mac[FRAME_MAC_LEN], char buf[FRAME_MAC_TEXT]);

#endif
