/*
 * common/channel_socket.c - TCP sockets of a channel: addresses, listening, connecting. Nothing here blocks: addresses are numeric.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/channel_priv.h"

#define BACKLOG 128

static socklen_t
length(const struct sockaddr_storage *at)
{
	return at->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

bool
channel_socket_parse(const struct channel_address *address, struct sockaddr_storage *ret, struct err *err)
{
	struct addrinfo want = { .ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM }, *got = NULL;
	struct sockaddr_storage at = { 0 };
	int failed = getaddrinfo(address->address, NULL, &want, &got);

	if (failed != 0)
		return err_set(err, 0, "\"%s\" is no numeric IPv4 or IPv6 address of this host's interfaces: %s", address->address,
		    gai_strerror(failed));
	memcpy(&at, got->ai_addr, got->ai_addrlen);
	freeaddrinfo(got);
	if (at.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&at)->sin6_port = htons(address->port);
	else
		((struct sockaddr_in *)&at)->sin_port = htons(address->port);
	*ret = at;
	return true;
}

const char *
channel_socket_text(const struct sockaddr_storage *at, char out[CHANNEL_WHERE_MAX])
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)at;
	const struct sockaddr_in *four = (const struct sockaddr_in *)at;
	char host[INET6_ADDRSTRLEN] = "?", interface[IF_NAMESIZE] = "";

	if (at->ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof(host));
		if (six->sin6_scope_id != 0)
			if_indextoname(six->sin6_scope_id, interface);
		snprintf(out, CHANNEL_WHERE_MAX, "[%.45s%s%.15s]:%u", host, interface[0] != '\0' ? "%" : "", interface, ntohs(six->sin6_port));
	} else {
		inet_ntop(AF_INET, &four->sin_addr, host, sizeof(host));
		snprintf(out, CHANNEL_WHERE_MAX, "%.45s:%u", host, ntohs(four->sin_port));
	}
	return out;
}

uint16_t
channel_socket_port(const struct sockaddr_storage *at)
{
	return ntohs(at->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)at)->sin6_port : ((const struct sockaddr_in *)at)->sin_port);
}

static int
failed(int fd, int sys, struct err *err, const char *what, const struct sockaddr_storage *at)
{
	char text[CHANNEL_WHERE_MAX];

	if (fd != -1)
		close(fd);
	err_set(err, sys, "cannot %s %s", what, channel_socket_text(at, text));
	return -1;
}

int
channel_socket_listen(const struct sockaddr_storage *at, struct err *err)
{
	int fd = socket(at->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

	if (fd == -1)
		return failed(fd, errno, err, "make a socket for", at);
	/* after a restart the port is still busy with what was; :: must not take the port of IPv4; the address may come later */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1 ||
	    (at->ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) == -1) ||
	    setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on)) == -1 ||
	    bind(fd, (const struct sockaddr *)at, length(at)) == -1 || listen(fd, BACKLOG) == -1)
		return failed(fd, errno, err, "listen on", at);
	return fd;
}

int
channel_socket_connect(const struct sockaddr_storage *at, struct err *err)
{
	int fd = socket(at->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return failed(fd, errno, err, "make a socket for", at);
	if (connect(fd, (const struct sockaddr *)at, length(at)) == -1 && errno != EINPROGRESS)
		return failed(fd, errno, err, "connect to", at);
	return fd;
}

void
channel_socket_ready(int fd)
{
	int on = 1;

	/* a message is written whole: waiting for more would only be waiting */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}
