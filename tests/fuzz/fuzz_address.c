/*
 * tests/fuzz/fuzz_address.c - any packet on the wire while service addresses are probed: nothing is
 * read out of bounds, and what we send ourselves is understood as what it is.
 */
#include <stdlib.h>
#include <string.h>

#include "supervisor/address_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void
must(bool law)
{
	if (!law)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const uint8_t from[6] = {2, 0, 0, 0, 0, 1}, v4[4] = {192, 0, 2, 53};
	static const uint8_t v6[16] = {0xfd, [15] = 0x53};
	uint8_t *copy = malloc(len == 0 ? 1 : len), mac[6], ip[16] = {0};
	struct frame frame;

	must(copy != NULL);
	if (len > 0) { /* of exactly this size: a read beyond it is seen */
		memcpy(copy, bytes, len);
		memcpy(ip, bytes, len < sizeof(ip) ? len : sizeof(ip));
	}
	(void)frame_arp_claim(copy, len, v4, mac);
	(void)frame_neighbour_claim(copy, len, from, v6, mac);
	ip[0] |= 1; /* never the unspecified address */
	frame_arp(&frame, FRAME_ARP_REPLY, from, ip);
	must(frame_arp_claim(frame.bytes, frame.len, ip, mac) == FRAME_OWNED);
	frame_arp(&frame, FRAME_ARP_PROBE, from, ip);
	must(frame_arp_claim(frame.bytes, frame.len, ip, mac) == FRAME_PROBED);
	frame_advertise(&frame, from, ip, len % 2 == 0);
	must(frame_neighbour_claim(frame.bytes, frame.len, ip, ip, mac) == FRAME_OWNED);
	must(memcmp(mac, from, sizeof(mac)) == 0);
	frame_solicit(&frame, ip);
	must(frame_neighbour_claim(frame.bytes, frame.len, from, ip, mac) == FRAME_PROBED);
	free(copy);
	return 0;
}
