/*
 * mta/exim_listen.c - Exim's lists of addresses and ports. Pure but for getservbyname(3).
 */
#include "mta/exim_listen.h"

#include <ctype.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ITEM_MAX 128
#define PORTS_MAX 32

struct list { const char *rest; char separator; };

static struct list
list_begin(const char *text)
{
	struct list list = { text + strspn(text, " \t"), ':' };

	if (list.rest[0] == '<' && list.rest[1] != '\0' && ispunct((unsigned char)list.rest[1])) {
		list.separator = list.rest[1];
		list.rest += 2;
	}
	return list;
}

/* The next item without blanks around it; a doubled separator stands for itself. False: no more, or too long an item. */
static bool
list_next(struct list *list, char item[ITEM_MAX])
{
	size_t len = 0;

	list->rest += strspn(list->rest, " \t");
	if (*list->rest == '\0')
		return false;
	for (; *list->rest != '\0' && len + 1 < ITEM_MAX; list->rest++) {
		if (*list->rest == list->separator && list->rest[1] != list->separator)
			break;
		if (*list->rest == list->separator)
			list->rest++;
		item[len++] = *list->rest;
	}
	if (*list->rest != '\0')
		list->rest++;
	while (len > 0 && isspace((unsigned char)item[len - 1]))
		len--;
	item[len] = '\0';
	return true;
}

/* 0: neither a number from 1 to 65535 nor a known service. */
static uint16_t
port_number(const char *text)
{
	char *rest;
	long port = strtol(text, &rest, 10);
	const struct servent *entry;

	if (rest != text && *rest == '\0')
		return port >= 1 && port <= 65535 ? (uint16_t)port : 0;
	if (strcmp(text, "smtp") == 0)
		return 25;
	if (strcmp(text, "submission") == 0)
		return 587;
	entry = getservbyname(text, "tcp");
	return entry != NULL ? ntohs((uint16_t)entry->s_port) : 0;
}

static bool
read_ports(const char *text, uint16_t port[PORTS_MAX], size_t *ret_len, struct err *err)
{
	struct list list = list_begin(text);
	char item[ITEM_MAX];
	size_t len = 0;

	while (list_next(&list, item)) {
		if (item[0] == '\0')
			continue;
		if (len == PORTS_MAX || (port[len] = port_number(item)) == 0)
			return err_set(err, 0, "Exim's port \"%.60s\" is no number and no service that is known here", item);
		len++;
	}
	*ret_len = len;
	return true;
}

/* "192.0.2.1.26", "[::1]:26", "::1.26" into address and port; 0: it has none of its own. */
static uint16_t
split_port(char *item)
{
	char *close = item[0] == '[' ? strchr(item, ']') : NULL, *dot = strrchr(item, '.');
	uint16_t port = 0;
	size_t dots = 0;

	if (close != NULL) {
		*close = '\0';
		if (close[1] == ':' || close[1] == '.')
			port = port_number(close + 2);
		memmove(item, item + 1, strlen(item));
		return port;
	}
	for (const char *p = item; *p != '\0'; p++)
		dots += *p == '.';
	/* one dot more than an address has; in IPv6 any dot, but those of an embedded IPv4 address */
	if (dot != NULL && (strchr(item, ':') == NULL ? dots == 4 : dots == 1 || dots == 4)) {
		port = port_number(dot + 1);
		*dot = '\0';
	}
	return port;
}

static bool
is_among(uint16_t port, const uint16_t *list, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (list[i] == port)
			return true;
	return false;
}

bool
exim_listen(const char *interfaces, const char *ports, const char *tls_ports, struct exim_listen *ret, struct err *err)
{
	uint16_t plain[PORTS_MAX], tls[PORTS_MAX];
	size_t plains, tlss;
	struct list list = list_begin(interfaces);
	char item[ITEM_MAX];

	ret->len = 0;
	if (!read_ports(ports, plain, &plains, err) || !read_ports(tls_ports, tls, &tlss, err))
		return false;
	while (list_next(&list, item)) {
		uint16_t own;
		size_t n;

		if (item[0] == '\0')
			continue;
		own = split_port(item);
		n = own != 0 ? 1 : plains;
		for (size_t i = 0; i < n; i++) {
			uint16_t port = own != 0 ? own : plain[i];

			if (ret->len == EXIM_LISTEN_MAX)
				return err_set(err, 0, "Exim listens on more than %d addresses and ports", EXIM_LISTEN_MAX);
			if (!smtp_target_set(item, port, &ret->at[ret->len].target, NULL))
				return err_set(err, 0, "Exim's local_interfaces has \"%.60s\", which is no numeric address", item);
			ret->at[ret->len++].tls = is_among(port, tls, tlss);
		}
	}
	return ret->len != 0 || err_set(err, 0, "Exim's local_interfaces or daemon_smtp_ports is empty: it listens nowhere");
}

static bool
is_loopback(const struct sockaddr_storage *addr)
{
	const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)addr;
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)addr;

	return addr->ss_family == AF_INET ? ntohl(four->sin_addr.s_addr) >> 24 == 127 : IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
}

/* A wildcard is heard on loopback. */
static void
make_near(struct smtp_target *target)
{
	struct sockaddr_in *four = (struct sockaddr_in *)(void *)&target->addr;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)&target->addr;

	if (target->addr.ss_family == AF_INET && four->sin_addr.s_addr == htonl(INADDR_ANY))
		four->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else if (target->addr.ss_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&six->sin6_addr))
		six->sin6_addr = in6addr_loopback;
}

bool
exim_listen_target(const struct exim_listen *list, struct smtp_target *ret, struct err *err)
{
	int best = -1;

	for (size_t i = 0; i < list->len; i++) {
		struct smtp_target target = list->at[i].target;
		int worth;

		make_near(&target);
		/* IPv4 first: a kernel without IPv6 has no ::1 */
		worth = is_loopback(&target.addr) ? (target.addr.ss_family == AF_INET ? 2 : 1) : 0;
		if (list->at[i].tls || worth <= best)
			continue;
		best = worth;
		*ret = target;
	}
	return best != -1 || err_set(err, 0, "Exim has no port where SMTP begins without TLS: set \"probe\" of this mta to ADDRESS:PORT");
}
