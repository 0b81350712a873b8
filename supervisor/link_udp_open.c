/*
 * supervisor/link_udp_open.c - sockets for heartbeats: addresses, groups, priority and filter.
 *
 * Sending and receiving is link_udp.c's. Runs in mailpaird's main process; asks the kernel only
 * (addresses are numeric), so nothing blocks.
 */
#include "supervisor/link_udp.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/filter.h>

#include "supervisor/beat.h"

/* RFC 4594: network control; beats must pass where mail queues up */
#define TRAFFIC_CLASS_CS6 0xc0
#define PRIORITY 6		/* the highest that needs no privilege */
#define UDP_HEADER 8

#ifndef IPV6_MULTICAST_ALL
#define IPV6_MULTICAST_ALL 29
#endif

/*
 * Drop in the kernel what cannot be a beat. A filter on a UDP socket sees the datagram from its UDP
 * header on. Other versions of the protocol pass, to be counted as such. Not needed, only cheaper.
 */
static void
attach_filter(int fd)
{
	struct sock_filter filter[] = {
		/* 0 */ BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
		/* 1 */ BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, UDP_HEADER + BEAT_HEADER_LEN, 0, 8),
		/* 2 */ BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, UDP_HEADER + LINK_DATAGRAM_MAX, 7, 0),
		/* 3 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, UDP_HEADER),
		/* 4 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, BEAT_MAGIC, 0, 5),
		/* 5 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, UDP_HEADER + 4),
		/* 6 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, BEAT_VERSION, 0, 2),
		/* 7 */ BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
		/* 8 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, UDP_HEADER + BEAT_LEN, 0, 1),
		/* 9: let it in */ BPF_STMT(BPF_RET | BPF_K, 0xffff),
		/* 10: drop it */ BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	(void)setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

/* "192.0.2.1", "2001:db8::1", "fe80::1%eth0"; the interface after % is only copied. */
static bool
numeric(const char *text, uint16_t port, struct sockaddr_storage *ret, socklen_t *ret_len,
    char ret_ifname[IF_NAMESIZE])
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	const char *scope = strchr(text, '%');
	char host[INET6_ADDRSTRLEN];

	if (snprintf(host, sizeof(host), "%.*s",
	    scope != NULL ? (int)(scope - text) : (int)strlen(text), text) >= (int)sizeof(host))
		return false;
	memset(ret, 0, sizeof(*ret));
	ret_ifname[0] = '\0';
	if (scope == NULL && inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
		memcpy(ret, &v4, sizeof(v4));
		*ret_len = sizeof(v4);
		return true;
	}
	if (inet_pton(AF_INET6, host, &v6.sin6_addr) != 1)
		return false;
	if (scope != NULL)
		snprintf(ret_ifname, IF_NAMESIZE, "%s", scope + 1);
	memcpy(ret, &v6, sizeof(v6));
	*ret_len = sizeof(v6);
	return true;
}

static bool
set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

/*
 * A socket with all that the transports have in common. The filter comes before the binding, so
 * that nothing unfiltered is ever queued. Priority, class and filter are improvements: none is
 * needed.
 */
static int
beat_socket(int family)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return -1;
	attach_filter(fd);
	if (family == AF_INET) {
		(void)set_int(fd, IPPROTO_IP, IP_TOS, TRAFFIC_CLASS_CS6);
	} else {
		(void)set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
		(void)set_int(fd, IPPROTO_IPV6, IPV6_TCLASS, TRAFFIC_CLASS_CS6);
	}
	/* after the class, which sets it too */
	(void)set_int(fd, SOL_SOCKET, SO_PRIORITY, PRIORITY);
	(void)set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	return fd;
}

/* Which interface has the link's own address: its carrier is worth watching. */
static void
find_interface(struct link *l, const struct sockaddr_storage *own)
{
	struct ifaddrs *list;

	if (getifaddrs(&list) == -1)
		return;
	for (const struct ifaddrs *i = list; i != NULL; i = i->ifa_next) {
		const void *theirs = i->ifa_addr, *ours = own;
		bool same = false;

		if (theirs == NULL || i->ifa_addr->sa_family != own->ss_family)
			continue;
		if (own->ss_family == AF_INET)
			same = memcmp(&((const struct sockaddr_in *)theirs)->sin_addr,
			    &((const struct sockaddr_in *)ours)->sin_addr, 4) == 0;
		else
			same = memcmp(&((const struct sockaddr_in6 *)theirs)->sin6_addr,
			    &((const struct sockaddr_in6 *)ours)->sin6_addr, 16) == 0;
		if (same) {
			snprintf(l->ifname, sizeof(l->ifname), "%s", i->ifa_name);
			break;
		}
	}
	freeifaddrs(list);
}

/*
 * Both ends of a unicast link. An interface after the peer's address is the one the *peer* knows it
 * by; from here it is reached through the interface of our own address.
 */
static bool
ends(struct link *l, struct sockaddr_storage *from, struct udp_socket *ret, struct err *err)
{
	const char *own = l->conf->address[l->self], *peer = l->conf->address[1 - l->self];
	char own_if[IF_NAMESIZE], peer_if[IF_NAMESIZE];
	socklen_t len;

	if (!numeric(own, l->conf->port, from, &len, own_if))
		return err_set(err, 0, "link %s: %s is no numeric address", l->conf->name, own);
	if (!numeric(peer, l->conf->port, &ret->to, &ret->to_len, peer_if))
		return err_set(err, 0, "link %s: %s is no numeric address", l->conf->name, peer);
	if (len != ret->to_len)
		return err_set(err, 0, "link %s: %s and %s are of different kinds", l->conf->name,
		    own, peer);
	if (own_if[0] == '\0')
		return true;
	ret->ifindex = if_nametoindex(own_if);
	if (ret->ifindex == 0)
		return err_set(err, errno, "link %s: this node has no interface %s", l->conf->name,
		    own_if);
	((struct sockaddr_in6 *)(void *)from)->sin6_scope_id = ret->ifindex;
	((struct sockaddr_in6 *)(void *)&ret->to)->sin6_scope_id = ret->ifindex;
	snprintf(l->ifname, sizeof(l->ifname), "%s", own_if);
	return true;
}

/* Connected, so that only the peer's datagrams come in and its refusals are reported. */
static bool
open_unicast(struct link *l, struct udp_socket *ret, struct err *err)
{
	const char *own = l->conf->address[l->self], *peer = l->conf->address[1 - l->self];
	struct sockaddr_storage from;
	int fd;

	ret->shared = false;
	if (!ends(l, &from, ret, err))
		return false;
	fd = beat_socket(from.ss_family);
	if (fd == -1)
		return err_set(err, errno, "link %s: cannot make a socket", l->conf->name);
	if (from.ss_family == AF_INET)
		(void)set_int(fd, IPPROTO_IP, IP_RECVERR, 1);
	else
		(void)set_int(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
	if (bind(fd, (struct sockaddr *)&from, ret->to_len) == -1) {
		err_set(err, errno, "link %s: cannot listen on %s port %u", l->conf->name, own,
		    l->conf->port);
		close(fd);
		return false;
	}
	if (connect(fd, (struct sockaddr *)&ret->to, ret->to_len) == -1) {
		err_set(err, errno, "link %s: no way from %s to %s", l->conf->name, own, peer);
		close(fd);
		return false;
	}
	if (l->conf->interface == NULL && ret->ifindex == 0)
		find_interface(l, &from);
	ret->fd = fd;
	return true;
}

static bool
join(int fd, const struct sockaddr_storage *group, unsigned int ifindex, int ttl)
{
	const void *bytes = group;

	if (group->ss_family == AF_INET) {
		struct ip_mreqn mreq = { .imr_ifindex = (int)ifindex };

		mreq.imr_multiaddr = ((const struct sockaddr_in *)bytes)->sin_addr;
		(void)set_int(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0);
		return setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &mreq, sizeof(mreq)) == 0 &&
		    setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &mreq, sizeof(mreq)) == 0 &&
		    set_int(fd, IPPROTO_IP, IP_MULTICAST_LOOP, 0) &&
		    set_int(fd, IPPROTO_IP, IP_MULTICAST_TTL, ttl);
	} else {
		struct ipv6_mreq mreq = { .ipv6mr_interface = ifindex };

		mreq.ipv6mr_multiaddr = ((const struct sockaddr_in6 *)bytes)->sin6_addr;
		(void)set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);
		return setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &mreq, sizeof(mreq)) == 0 &&
		    set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, (int)ifindex) &&
		    set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0) &&
		    set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, ttl);
	}
}

static bool
open_multicast(struct link *l, struct udp_socket *ret, struct err *err)
{
	const struct conf_link *conf = l->conf;
	char scope[IF_NAMESIZE];
	int fd;

	if (!numeric(conf->group, conf->port, &ret->to, &ret->to_len, scope))
		return err_set(err, 0, "link %s: %s is no multicast group", conf->name,
		    conf->group);
	if (ret->to.ss_family == AF_INET6)
		((struct sockaddr_in6 *)(void *)&ret->to)->sin6_scope_id = ret->ifindex;
	fd = beat_socket(ret->to.ss_family);
	if (fd == -1)
		return err_set(err, errno, "link %s: cannot make a socket", conf->name);
	/* Where not permitted, the group's address and the membership are narrow enough. */
	(void)setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, l->ifname, (socklen_t)strlen(l->ifname));
	if (bind(fd, (struct sockaddr *)&ret->to, ret->to_len) == -1 ||
	    !join(fd, &ret->to, ret->ifindex, conf->ttl)) {
		err_set(err, errno, "link %s: cannot join %s port %u on %s", conf->name,
		    conf->group, conf->port, l->ifname);
		close(fd);
		return false;
	}
	ret->fd = fd;
	return true;
}

/* The interface's broadcast address; where none is set, the last one of its network. */
static bool
broadcast_address(int fd, const char *ifname, struct in_addr *ret)
{
	struct ifreq own = { .ifr_ifindex = 0 }, mask, broadcast;
	struct sockaddr_in at, net, all;

	snprintf(own.ifr_name, sizeof(own.ifr_name), "%s", ifname);
	own.ifr_addr.sa_family = AF_INET;
	mask = broadcast = own;
	if (ioctl(fd, SIOCGIFADDR, &own) == -1 || ioctl(fd, SIOCGIFNETMASK, &mask) == -1)
		return false;
	memcpy(&at, &own.ifr_addr, sizeof(at));
	memcpy(&net, &mask.ifr_netmask, sizeof(net));
	ret->s_addr = at.sin_addr.s_addr | ~net.sin_addr.s_addr;
	if (ioctl(fd, SIOCGIFBRDADDR, &broadcast) == 0) {
		memcpy(&all, &broadcast.ifr_broadaddr, sizeof(all));
		if (all.sin_addr.s_addr != INADDR_ANY)
			*ret = all.sin_addr;
	}
	return true;
}

static bool
open_broadcast(struct link *l, struct udp_socket *ret, struct err *err)
{
	struct sockaddr_in all = { .sin_family = AF_INET, .sin_port = htons(l->conf->port) };
	int fd = beat_socket(AF_INET);

	if (fd == -1)
		return err_set(err, errno, "link %s: cannot make a socket", l->conf->name);
	if (!broadcast_address(fd, l->ifname, &all.sin_addr)) {
		err_set(err, errno, "link %s: %s has no IPv4 address", l->conf->name, l->ifname);
		close(fd);
		return false;
	}
	memcpy(&ret->to, &all, sizeof(all));
	ret->to_len = sizeof(all);
	/* Where not permitted, the network's broadcast address is narrow enough. */
	(void)setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, l->ifname, (socklen_t)strlen(l->ifname));
	if (!set_int(fd, SOL_SOCKET, SO_BROADCAST, 1) ||
	    bind(fd, (struct sockaddr *)&all, sizeof(all)) == -1) {
		err_set(err, errno, "link %s: cannot listen for broadcasts on %s port %u",
		    l->conf->name, l->ifname, l->conf->port);
		close(fd);
		return false;
	}
	ret->fd = fd;
	return true;
}

bool
udp_socket_open(struct link *l, struct udp_socket *ret, struct err *err)
{
	struct udp_socket sock = { .fd = -1, .shared = true };
	bool ok = false;

	if (l->conf->transport != CONF_UDP) {
		sock.ifindex = if_nametoindex(l->ifname);
		if (sock.ifindex == 0)
			return err_set(err, errno, "link %s: this node has no interface %s",
			    l->conf->name, l->ifname);
	}
	switch (l->conf->transport) {
	case CONF_UDP:
		ok = open_unicast(l, &sock, err);
		break;
	case CONF_MULTICAST:
		ok = open_multicast(l, &sock, err);
		break;
	case CONF_BROADCAST:
		ok = open_broadcast(l, &sock, err);
		break;
	case CONF_SERIAL:
	case CONF_TRANSPORT_COUNT:
		assert(!"a transport over UDP");
	}
	if (ok)
		*ret = sock;
	return ok;
}
