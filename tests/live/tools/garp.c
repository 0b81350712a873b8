/*
 * tests/live/tools/garp.c - announces an IPv4 address on an interface: one gratuitous ARP request (RFC 5227). For the bare
 * script of the benchmarks, which has nothing of mailpair.
 *
 * usage: garp INTERFACE ADDRESS
 */
#include <arpa/inet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/if_ether.h>
#include <netpacket/packet.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

int
main(int argc, char **argv)
{
	struct ether_arp arp = { .ea_hdr = { .ar_hrd = htons(ARPHRD_ETHER), .ar_pro = htons(ETHERTYPE_IP), .ar_hln = ETH_ALEN,
		.ar_pln = 4, .ar_op = htons(ARPOP_REQUEST) } };
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_protocol = htons(ETHERTYPE_ARP), .sll_halen = ETH_ALEN };
	struct ifreq ifr;
	int fd;

	if (argc != 3 || strlen(argv[1]) >= IFNAMSIZ || inet_pton(AF_INET, argv[2], arp.arp_spa) != 1)
		return 2;
	memset(&ifr, 0, sizeof(ifr));
	memcpy(ifr.ifr_name, argv[1], strlen(argv[1]));
	fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETHERTYPE_ARP));
	if (fd == -1 || ioctl(fd, SIOCGIFHWADDR, &ifr) == -1) {
		perror("garp");
		return 1;
	}
	memcpy(arp.arp_sha, ifr.ifr_hwaddr.sa_data, ETH_ALEN);
	memcpy(arp.arp_tpa, arp.arp_spa, 4);
	to.sll_ifindex = (int)if_nametoindex(argv[1]);
	memset(to.sll_addr, 0xff, ETH_ALEN);
	if (sendto(fd, &arp, sizeof(arp), 0, (struct sockaddr *)&to, sizeof(to)) == -1) {
		perror("garp");
		return 1;
	}
	return 0;
}
