/*
 * common/conf_check_net.c - the rules for heartbeat links and service addresses: numeric, complete,
 * possible on the medium, and no two alike. Part of conf_check.c in four files. Pure: whether an
 * interface or device exists is found out when it is used.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "common/conf_parts.h"

/* A beat on a serial line: 192 bytes, escaped and framed, about 200; ten bits a byte. */
#define SERIAL_BEAT_BITS    2000u
#define SERIAL_BUSY_PERCENT 80u /* what remains is for escapes and jitter */

static bool
is_multicast(int family, const uint8_t bytes[16])
{
	return family == AF_INET ? (bytes[0] & 0xf0) == 0xe0 : bytes[0] == 0xff;
}

static bool
is_unspecified(int family, const uint8_t bytes[16])
{
	static const uint8_t zero[16];

	return memcmp(bytes, zero, family == AF_INET ? 4 : 16) == 0;
}

static bool
is_link_local6(int family, const uint8_t bytes[16])
{
	return family == AF_INET6 && bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
}

static bool
interface_ok(const char *name)
{
	return name[0] != '\0' && strlen(name) <= 15 && strpbrk(name, "/ \t:%") == NULL &&
	       strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

int
conf_check_host(const char *where, const char *name, const char *text, int line, uint8_t bytes[16],
    struct conf_mistakes *mistakes)
{
	int family = conf_ip(text, true, bytes);

	if (family == AF_UNSPEC || is_multicast(family, bytes) || is_unspecified(family, bytes)) {
		conf_mistake(mistakes, line,
		    "%s: %s = \"%s\" is no numeric address of a host; write it "
		    "like 10.0.0.1 or fd00::1, never as a name",
		    where, name, text);
		return AF_UNSPEC;
	}
	if (is_link_local6(family, bytes) && strchr(text, '%') == NULL) {
		conf_mistake(mistakes, line,
		    "%s: %s = \"%s\" is link-local and needs its interface; write "
		    "\"%s%%INTERFACE\"",
		    where, name, text, text);
		return AF_UNSPEC;
	}
	return family;
}

/* The numeric address of one node on a udp link; AF_UNSPEC where it was refused. */
static int
check_end(const struct conf *c, const struct conf_link *l, int node, uint8_t bytes[16],
    struct conf_mistakes *mistakes)
{
	const char *text = l->address[node], *name = c->node[node];
	int line = conf_line(c, &l->address[node], l->line);
	char where[CONF_TITLE_MAX + 16];

	if (name == NULL)
		return AF_UNSPEC;
	if (text == NULL) {
		conf_mistake(mistakes, l->line,
		    "link \"%s\": the address of node %s is missing: write %s = "
		    "\"ADDRESS\"",
		    l->name, name, name);
		return AF_UNSPEC;
	}
	snprintf(where, sizeof(where), "link \"%s\"", l->name);
	return conf_check_host(where, name, text, line, bytes, mistakes);
}

static void
check_udp(const struct conf *c, const struct conf_link *l, struct conf_mistakes *mistakes)
{
	uint8_t bytes[CONF_NODES][16];
	int family[CONF_NODES];

	for (int i = 0; i < CONF_NODES; i++)
		family[i] = check_end(c, l, i, bytes[i], mistakes);
	if (family[0] == AF_UNSPEC || family[1] == AF_UNSPEC)
		return;
	if (family[0] != family[1])
		conf_mistake(mistakes, conf_line(c, &l->address[1], l->line),
		    "link \"%s\": %s = \"%s\" and %s = "
		    "\"%s\" are not of one family; both IPv4 or both IPv6 is right",
		    l->name, c->node[0], l->address[0], c->node[1], l->address[1]);
	else if (memcmp(bytes[0], bytes[1], family[0] == AF_INET ? 4 : 16) == 0)
		conf_mistake(mistakes, conf_line(c, &l->address[1], l->line),
		    "link \"%s\": both nodes have the "
		    "address %s; each needs its own",
		    l->name, l->address[1]);
}

static void
check_group(const struct conf *c, const struct conf_link *l, struct conf_mistakes *mistakes)
{
	uint8_t bytes[16];
	int family = conf_ip(l->group, false, bytes);
	int line = conf_line(c, &l->group, l->line);

	if (family == AF_UNSPEC || !is_multicast(family, bytes))
		conf_mistake(mistakes, line,
		    "link \"%s\": group = \"%s\" is no numeric multicast group; "
		    "239.0.0.0 to 239.255.255.255 is right, or ff00::/8 in IPv6",
		    l->name, l->group);
	else if (l->transport == CONF_BROADCAST && family == AF_INET)
		conf_mistake(mistakes, line,
		    "link \"%s\": group = \"%s\" has no use for broadcast in IPv4; leave "
		    "it out, or write an IPv6 group like ff02::1",
		    l->name, l->group);
}

static void
check_serial(const struct conf *c, const struct conf_link *l, struct conf_mistakes *mistakes)
{
	static const uint32_t bauds[] = {9600, 19200, 38400, 57600, 115200, 230400, 460800, 500000,
	    576000, 921600, 1000000, 1152000, 1500000, 2000000, 2500000, 3000000, 3500000, 4000000};
	int line = conf_line(c, &l->baud, l->line);
	uint32_t least;
	bool standard = false;
	char is[24];

	if (l->device == NULL)
		conf_mistake(mistakes, l->line,
		    "link \"%s\": device is missing: write device = \"/dev/ttyS0\"", l->name);
	else if (!conf_path_ok(l->device))
		conf_mistake(mistakes, conf_line(c, &l->device, l->line),
		    "link \"%s\": device = \"%s\" is no "
		    "absolute path, like /dev/ttyS0",
		    l->name, l->device);
	if (l->baud == CONF_REFUSED)
		return;
	for (size_t i = 0; i < sizeof(bauds) / sizeof(bauds[0]); i++)
		standard = standard || l->baud == bauds[i];
	if (!standard) {
		conf_mistake(mistakes, line,
		    "link \"%s\": baud = \"%u\" is no usable speed of a serial line; 9600, "
		    "19200, 38400, 57600, 115200, 230400, 460800, 921600 and up is right",
		    l->name, l->baud);
		return;
	}
	least = (SERIAL_BEAT_BITS * 1000 * 100 / SERIAL_BUSY_PERCENT + l->baud - 1) / l->baud;
	if (c->heartbeat.keepalive_ms != CONF_REFUSED && c->heartbeat.keepalive_ms < least)
		conf_mistake(mistakes, line,
		    "link \"%s\": keepalive = \"%s\" is too fast for baud = %u, where a beat "
		    "takes %u ms; keepalive of at least %ums is right, or a faster line",
		    l->name, conf_duration_text(c->heartbeat.keepalive_ms, is, sizeof(is)), l->baud,
		    SERIAL_BEAT_BITS * 1000 / l->baud, least);
}

/* What was given but belongs to another transport: most likely the transport is wrong. */
static void
check_foreign(const struct conf *c, const struct conf_link *l, struct conf_mistakes *mistakes)
{
	static const char *const names[] = {"udp", "multicast", "broadcast", "serial"};
	bool serial = l->transport == CONF_SERIAL, udp = l->transport == CONF_UDP;
	const struct {
		const char *name;
		const void *field;
		bool fits;
	} options[] = {
	    {"interface", &l->interface, !serial},
	    {"group", &l->group, !serial && !udp},
	    {"port", &l->port, !serial},
	    {"ttl", &l->ttl, l->transport == CONF_MULTICAST},
	    {"device", &l->device, serial},
	    {"baud", &l->baud, serial},
	    {c->node[0], &l->address[0], udp},
	    {c->node[1], &l->address[1], udp},
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (!options[i].fits && conf_given(c, options[i].field))
			conf_mistake(mistakes, conf_line(c, options[i].field, l->line),
			    "link \"%s\": %s has no "
			    "meaning for transport = \"%s\"; remove it, or correct the transport",
			    l->name, options[i].name, names[l->transport]);
}

/* Two links over one medium would both fall silent with it. */
static void
check_twins(const struct conf *c, size_t i, struct conf_mistakes *mistakes)
{
	const struct conf_link *l = &c->link[i];

	for (size_t n = 0; n < i; n++) {
		const struct conf_link *other = &c->link[n];

		if (strcmp(other->name, l->name) == 0)
			conf_mistake(mistakes, l->line,
			    "link \"%s\" stands here twice; the first is in line %d", l->name,
			    other->line);
		if (other->transport != l->transport)
			continue;
		if (l->transport == CONF_SERIAL) {
			if (l->device != NULL && other->device != NULL &&
			    strcmp(l->device, other->device) == 0)
				conf_mistake(mistakes, conf_line(c, &l->device, l->line),
				    "link \"%s\": device = "
				    "\"%s\" is used by link \"%s\" already",
				    l->name, l->device, other->name);
		} else if (l->transport == CONF_UDP && l->port == other->port) {
			for (int node = 0; node < CONF_NODES; node++)
				if (l->address[node] != NULL && other->address[node] != NULL &&
				    strcmp(l->address[node], other->address[node]) == 0)
					conf_mistake(mistakes,
					    conf_line(c, &l->address[node], l->line),
					    "link \"%s\": address %s with port %u is used by link "
					    "\"%s\" already",
					    l->name, l->address[node], (unsigned int)l->port,
					    other->name);
		} else if (l->transport != CONF_UDP && l->port == other->port &&
			   l->interface != NULL && other->interface != NULL &&
			   strcmp(l->interface, other->interface) == 0) {
			conf_mistake(mistakes, conf_line(c, &l->interface, l->line),
			    "link \"%s\": interface = \"%s\" "
			    "with port %u is used by link \"%s\" already",
			    l->name, l->interface, (unsigned int)l->port, other->name);
		}
	}
}

static void
check_link(const struct conf *c, const struct conf_link *l, struct conf_mistakes *mistakes)
{
	if (!conf_word_ok(l->name, CONF_NAME_MAX - 1))
		conf_mistake(mistakes, l->line,
		    "link \"%s\" is no good name; 1 to %d " CONF_WORDS " are right", l->name,
		    CONF_NAME_MAX - 1);
	if (l->interface != NULL && !interface_ok(l->interface))
		conf_mistake(mistakes, conf_line(c, &l->interface, l->line),
		    "link \"%s\": interface = \"%s\" is no "
		    "name of a network interface, like eth0",
		    l->name, l->interface);
	switch (l->transport) {
	case CONF_UDP:
		check_udp(c, l, mistakes);
		break;
	case CONF_MULTICAST:
	case CONF_BROADCAST:
		if (l->interface == NULL)
			conf_mistake(mistakes, l->line,
			    "link \"%s\": interface is missing: write interface = "
			    "\"eth0\", over which it goes",
			    l->name);
		if (l->group != NULL)
			check_group(c, l, mistakes);
		else if (l->transport == CONF_MULTICAST)
			conf_mistake(mistakes, l->line,
			    "link \"%s\": group is missing: write group = "
			    "\"239.0.42.1\", the same on both nodes",
			    l->name);
		break;
	case CONF_SERIAL:
		check_serial(c, l, mistakes);
		break;
	case CONF_TRANSPORT_COUNT:
		break;
	}
	check_foreign(c, l, mistakes);
}

void
conf_check_links(const struct conf *c, struct conf_mistakes *mistakes)
{
	for (size_t i = 0; i < c->links; i++) {
		if (c->link[i].transport >= CONF_TRANSPORT_COUNT)
			continue; /* refused already */
		check_link(c, &c->link[i], mistakes);
		check_twins(c, i, mistakes);
	}
}

/* "192.168.0.0/24" is a network, "192.168.0.255/24" all of its hosts. */
static const char *
network_end(const struct conf_address *a)
{
	uint32_t value, host;

	if (a->family != AF_INET || a->prefix > 30)
		return NULL;
	memcpy(&value, a->bytes, sizeof(value));
	host = UINT32_MAX >> a->prefix;
	value = ntohl(value) & host;
	return value == 0      ? "a network, not a host"
	       : value == host ? "the broadcast address of its network"
			       : NULL;
}

static void
check_address(const struct conf *c, const struct conf_address *a, struct conf_mistakes *mistakes)
{
	const char *end = network_end(a);
	uint8_t bytes[16];

	if (is_multicast(a->family, a->bytes) || is_unspecified(a->family, a->bytes))
		conf_mistake(mistakes, a->line, "address \"%s\" is no address of a host", a->text);
	else if (end != NULL)
		conf_mistake(mistakes, a->line, "address \"%s\" is %s", a->text, end);
	for (size_t i = 0; i < c->links; i++)
		for (int n = 0; n < CONF_NODES && c->link[i].transport == CONF_UDP; n++)
			if (c->link[i].address[n] != NULL &&
			    conf_ip(c->link[i].address[n], true, bytes) == a->family &&
			    memcmp(bytes, a->bytes, a->family == AF_INET ? 4 : 16) == 0)
				conf_mistake(mistakes, a->line,
				    "address \"%s\" moves between the nodes, but link "
				    "\"%s\" uses it as the fixed address of a node",
				    a->text, c->link[i].name);
}

void
conf_check_addresses(const struct conf *c, struct conf_mistakes *mistakes)
{
	for (size_t i = 0; i < c->addresses; i++) {
		const struct conf_address *a = &c->address[i];

		if (a->interface == NULL)
			conf_mistake(mistakes, a->line,
			    "address \"%s\": interface is missing: write interface = "
			    "\"eth0\", where it is added",
			    a->text);
		else if (!interface_ok(a->interface))
			conf_mistake(mistakes, conf_line(c, &a->interface, a->line),
			    "address \"%s\": interface = "
			    "\"%s\" is no name of a network interface, like eth0",
			    a->text, a->interface);
		if (a->family == AF_UNSPEC)
			continue; /* refused already */
		check_address(c, a, mistakes);
		for (size_t n = 0; n < i; n++) {
			const struct conf_address *other = &c->address[n];

			if (other->family == a->family &&
			    memcmp(other->bytes, a->bytes, a->family == AF_INET ? 4 : 16) == 0)
				conf_mistake(mistakes, a->line,
				    "address \"%s\" is the same as address \"%s\" in line "
				    "%d",
				    a->text, other->text, other->line);
		}
	}
}
