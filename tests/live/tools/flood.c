/*
 * tests/live/tools/flood.c - garbage at the heartbeat port: a third host, or somebody on the cable, who sends as fast as he likes.
 *
 * usage (in the network namespace of the sender): flood INTERFACE OF AS PER_SECOND
 * Listens until a true beat of the address OF passes the interface, says "heard", then sends frames that look like it, with AS as
 * their source and every kind of nonsense inside: random bytes of any length, of the right length, behind the right magic,
 * the true beat cut off, with one bit changed, or with bytes added. At the end of its standard input it says "sent N" and ends.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define PORT 694
#define BEAT 192
#define HEADER 8			/* magic, version, key, length */
#define BODY_MAX 1400
#define BURST 64
#define LISTEN_MS 10000
#define TURNS_MAX 100			/* of a millisecond; what was missed longer ago is not made up for */

struct headers { struct ether_header eth; struct iphdr ip; struct udphdr udp; } __attribute__((packed));
struct frame { struct headers h; uint8_t body[BODY_MAX]; } __attribute__((packed));

static uint64_t state;

static uint64_t
lot(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static uint16_t
ip_sum(const void *header)
{
	uint16_t word;
	uint32_t sum = 0;

	for (size_t i = 0; i < sizeof(struct iphdr); i += 2) {
		memcpy(&word, (const char *)header + i, 2);
		sum += word;
	}
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* A beat on its way from that address: the pattern of all that is sent. */
static bool
hear(int fd, in_addr_t of, struct frame *ret)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (poll(&p, 1, LISTEN_MS) > 0) {
		ssize_t n = recv(fd, ret, sizeof(*ret), MSG_DONTWAIT);

		if (n == (ssize_t)sizeof(ret->h) + BEAT && ret->h.eth.ether_type == htons(ETHERTYPE_IP) &&
		    ret->h.ip.protocol == IPPROTO_UDP && ret->h.ip.saddr == of && ret->h.udp.dest == htons(PORT))
			return true;
	}
	return false;
}

/* One piece of nonsense; returns the length of the whole frame. */
static size_t
spoil(const struct frame *model, struct frame *f)
{
	size_t len = BEAT;
	uint64_t kind = lot() % 6;

	*f = *model;
	if (kind == 0 || kind == 1) {		/* no magic */
		len = kind == 0 ? lot() % BODY_MAX : BEAT;
		for (size_t i = 0; i < len; i++)
			f->body[i] = (uint8_t)lot();
	} else if (kind == 2) {			/* the right beginning */
		for (size_t i = HEADER; i < len; i++)
			f->body[i] = (uint8_t)lot();
	} else if (kind == 3) {
		len = lot() % BEAT;
	} else if (kind == 4) {			/* as good as true */
		f->body[24 + lot() % (BEAT - 24)] ^= (uint8_t)(1 << lot() % 8);
	} else {
		len = BEAT + 1 + lot() % 200;
	}
	f->h.ip.tot_len = htons((uint16_t)(sizeof(f->h.ip) + sizeof(f->h.udp) + len));
	f->h.udp.len = htons((uint16_t)(sizeof(f->h.udp) + len));
	f->h.udp.check = 0;
	f->h.ip.check = 0;
	f->h.ip.check = ip_sum(&f->h.ip);
	return sizeof(f->h) + len;
}

static unsigned long
burst(int fd, const struct frame *model, unsigned int count)
{
	static struct frame frames[BURST];
	struct mmsghdr msgs[BURST];
	struct iovec iov[BURST];
	int n;

	memset(msgs, 0, sizeof(msgs));
	for (unsigned int i = 0; i < count; i++) {
		iov[i] = (struct iovec){ .iov_base = &frames[i], .iov_len = spoil(model, &frames[i]) };
		msgs[i].msg_hdr.msg_iov = &iov[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	n = sendmmsg(fd, msgs, count, 0);
	return n > 0 ? (unsigned long)n : 0;
}

/* As much a millisecond as the rate asks for, until our input ends. */
static unsigned long
flood(int fd, const struct frame *model, unsigned int per_second)
{
	struct itimerspec every = { { 0, 1000000 }, { 0, 1000000 } };
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	struct pollfd p[2] = { { .fd = timer, .events = POLLIN }, { .fd = STDIN_FILENO, .events = POLLIN } };
	unsigned long sent = 0;
	uint64_t turns, due;

	if (timer == -1 || timerfd_settime(timer, 0, &every, NULL) == -1)
		return 0;
	while (poll(p, 2, -1) > 0 && p[1].revents == 0) {
		if (read(timer, &turns, sizeof(turns)) != (ssize_t)sizeof(turns))
			break;
		for (due = (turns < TURNS_MAX ? turns : TURNS_MAX) * per_second / 1000; due > 0;) {
			unsigned int n = due < BURST ? (unsigned int)due : BURST;

			sent += burst(fd, model, n);
			due -= n;
		}
	}
	close(timer);
	return sent;
}

int
main(int argc, char **argv)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETHERTYPE_IP) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), all = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	struct in_addr of, as;
	struct frame model;
	struct ifreq ifr;

	if (argc != 5 || strlen(argv[1]) >= IFNAMSIZ || inet_pton(AF_INET, argv[2], &of) != 1 || inet_pton(AF_INET, argv[3], &as) != 1)
		return 2;
	memset(&ifr, 0, sizeof(ifr));
	memcpy(ifr.ifr_name, argv[1], strlen(argv[1]));
	at.sll_ifindex = (int)if_nametoindex(argv[1]);
	if (fd == -1 || all == -1 || ioctl(fd, SIOCGIFHWADDR, &ifr) == -1 || getrandom(&state, sizeof(state), 0) == -1) {
		perror("flood");
		return 1;
	}
	state |= 1;
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) == -1)
		return 1;
	at.sll_protocol = htons(ETH_P_ALL);	/* what this host itself sends passes here as well */
	if (bind(all, (struct sockaddr *)&at, sizeof(at)) == -1 || !hear(all, of.s_addr, &model))
		return 1;
	close(all);
	memcpy(model.h.eth.ether_shost, ifr.ifr_hwaddr.sa_data, ETH_ALEN);
	model.h.ip.saddr = as.s_addr;
	puts("heard");
	fflush(stdout);
	printf("sent %lu\n", flood(fd, &model, (unsigned int)strtoul(argv[4], NULL, 10)));
	return 0;
}
