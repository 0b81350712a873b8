/*
 * supervisor/link_udp.c - heartbeats in UDP datagrams: unicast, multicast and broadcast.
 *
 * How the socket is made is link_udp_open.c's. Runs in mailpaird's main process. All calls are
 * non-blocking, and a wake-up reads a bounded number of datagrams, so that a flood cannot keep the
 * timers from running; most of a flood does not get past the socket's filter anyway.
 */
#include "supervisor/link_udp.h"

#include <assert.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <linux/errqueue.h>
#include <linux/sock_diag.h>

#define READS_PER_WAKE_MAX 16

struct udp {
	struct udp_socket	 sock;
	struct loop_io		*io;
	bool			 refused;	/* said so, and nothing was heard since */
	bool			 no_way;	/* the kernel may keep that answer for a connected socket although there is a way now */
	uint8_t			 last[LINK_DATAGRAM_MAX];	/* what we sent last */
	size_t			 last_len;
	uint32_t		 drops;		/* the kernel's counter, as it was read last; it wraps */
};

/* What the filter refused and what no buffer was free for never wakes us: the kernel has counted it. */
static void
udp_count_drops(struct link *l, struct udp *u)
{
	uint32_t info[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(u->sock.fd, SOL_SOCKET, SO_MEMINFO, info, &len) == -1 || len < sizeof(info))
		return;
	l->dropped += info[SK_MEMINFO_DROPS] - u->drops;
	u->drops = info[SK_MEMINFO_DROPS];
}

static bool
same_host(const struct sockaddr *a, const struct sockaddr_storage *b)
{
	if (a->sa_family != b->ss_family)
		return false;
	if (a->sa_family == AF_INET)
		return memcmp(&((const struct sockaddr_in *)(const void *)a)->sin_addr,
		    &((const struct sockaddr_in *)(const void *)b)->sin_addr, 4) == 0;
	if (a->sa_family == AF_INET6)
		return memcmp(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr,
		    &((const struct sockaddr_in6 *)(const void *)b)->sin6_addr, 16) == 0;
	return false;
}

struct said {
	struct sock_extended_err	e;
	struct sockaddr_in6		offender;
};

/* What an entry of the error queue says; zeros where it says nothing. */
static struct said
said_by(struct msghdr *msg)
{
	struct said said = { .e = { .ee_errno = 0 } };

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		size_t len = c->cmsg_len - CMSG_LEN(0);

		if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
		    (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR))
			memcpy(&said, CMSG_DATA(c), len < sizeof(said) ? len : sizeof(said));
	}
	return said;
}

/*
 * "Port unreachable" says that the peer's kernel lives and its daemon does not, but only when the
 * peer itself said it: a firewall between the nodes may use the same words.
 */
static bool
refused_by_peer(const struct said *said, const struct sockaddr_storage *peer)
{
	return said->e.ee_errno == ECONNREFUSED && (said->e.ee_origin == SO_EE_ORIGIN_ICMP || said->e.ee_origin == SO_EE_ORIGIN_ICMP6) &&
	    same_host((const struct sockaddr *)&said->offender, peer);
}

/* Empty the error queue: while something is in it the socket counts as ready for ever. */
static void
udp_errors(struct link *l, struct udp *u)
{
	bool refused = false;

	for (int i = 0; i < READS_PER_WAKE_MAX; i++) {
		union { struct cmsghdr align; uint8_t bytes[512]; } control;
		uint8_t bytes[LINK_DATAGRAM_MAX];
		struct iovec iov = { .iov_base = bytes, .iov_len = sizeof(bytes) };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
		    .msg_controllen = sizeof(control) };
		struct said said;

		if (recvmsg(u->sock.fd, &msg, MSG_ERRQUEUE | MSG_DONTWAIT) == -1)
			break;
		said = said_by(&msg);
		refused = refused || refused_by_peer(&said, &u->sock.to);
		u->no_way = u->no_way || said.e.ee_errno == ENETUNREACH || said.e.ee_errno == EHOSTUNREACH;
	}
	if (refused && !u->refused) {
		u->refused = true;
		l->events.hint(l->events.arg, l, LINK_HINT_UNREACHABLE);
	}
}

static void
udp_readable(int fd, unsigned int ready, void *arg)
{
	struct link *l = arg;
	struct udp *u = l->priv;
	uint8_t bytes[LINK_DATAGRAM_MAX + 1];

	(void)ready;
	if (!u->sock.shared)
		udp_errors(l, u);
	for (int i = 0; i < READS_PER_WAKE_MAX && l->open && l->priv == u; i++) {
		ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);

		if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		/* an error that the kernel kept for us (now taken), or an empty datagram */
		if (n <= 0)
			continue;
		if ((size_t)n > LINK_DATAGRAM_MAX) {
			l->dropped++;
			continue;
		}
		/* broadcasts, and multicast on some devices, come back to whoever sent them */
		if (u->sock.shared && (size_t)n == u->last_len &&
		    memcmp(bytes, u->last, u->last_len) == 0)
			continue;
		u->refused = false;
		link_received(l, bytes, (size_t)n);
	}
}

static bool
udp_open(struct link *l, struct err *err)
{
	struct udp *u = calloc(1, sizeof(*u));

	assert(u != NULL);
	if (!udp_socket_open(l, &u->sock, err)) {
		free(u);
		return false;
	}
	l->priv = u;
	u->io = loop_io_new(l->loop, u->sock.fd, LOOP_READ, udp_readable, l);
	return true;
}

static void
udp_close(struct link *l)
{
	struct udp *u = l->priv;

	udp_count_drops(l, u);
	loop_io_free(u->io);
	close(u->sock.fd);
	free(u);
	l->priv = NULL;
}

/*
 * Whether only a new socket can help: its interface or address went away, perhaps to come back as
 * another one of that name. Without a route the socket is kept, since the peer may still be heard.
 */
static bool
udp_is_orphan(const struct link *l, const struct udp *u, int sys)
{
	if (sys == EINVAL || sys == ENODEV || sys == ENXIO || sys == EADDRNOTAVAIL || sys == EBADF)
		return true;
	return u->sock.ifindex != 0 && if_nametoindex(l->ifname) != u->sock.ifindex;
}

static bool
udp_send(struct link *l, const uint8_t *bytes, size_t len, struct err *err)
{
	struct udp *u = l->priv;
	const struct sockaddr *to = u->sock.shared ? (const struct sockaddr *)&u->sock.to : NULL;
	ssize_t n = -1;
	struct err why;

	udp_count_drops(l, u);
	if (u->no_way && to == NULL) {
		u->no_way = false;
		(void)connect(u->sock.fd, (const struct sockaddr *)&u->sock.to, u->sock.to_len);
	}
	/* The first try may only bring the news of an earlier beat that was refused. */
	for (int i = 0; i < 2 && n == -1; i++)
		n = sendto(u->sock.fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL, to,
		    to != NULL ? u->sock.to_len : 0);
	if (n != -1) {
		memcpy(u->last, bytes, len);
		u->last_len = len;
		return true;
	}
	err_set(&why, errno, "link %s: cannot send to the peer%s%s", l->conf->name,
	    l->ifname[0] != '\0' ? " through " : "", l->ifname);
	if (udp_is_orphan(l, u, why.sys))
		link_broken(l, &why);
	if (err != NULL)
		*err = why;
	return false;
}

const struct link_transport link_udp = {
	.name = "udp", .open = udp_open, .close = udp_close, .send = udp_send,
};
