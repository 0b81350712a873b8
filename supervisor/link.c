/*
 * supervisor/link.c - what all heartbeat links have in common: opening late, opening again,
 * counting.
 *
 * Transports (link_udp.c, link_serial.c) move the bytes; meaning and keys are the caller's. Runs in
 * mailpaird's main process; nothing blocks.
 */
#include "supervisor/link.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define RETRY_MS 1000

static const char *const hint_names[LINK_HINT_COUNT] = {
	[LINK_HINT_CARRIER_LOST] = "carrier-lost",
	[LINK_HINT_CARRIER_BACK] = "carrier-back",
	[LINK_HINT_UNREACHABLE] = "unreachable",
	[LINK_HINT_VANISHED] = "vanished",
};

const char *
link_hint_name(enum link_hint hint)
{
	assert(hint < LINK_HINT_COUNT);
	return hint_names[hint];
}

const struct link_transport *
link_transport_for(enum conf_transport transport)
{
	switch (transport) {
	case CONF_UDP:
	case CONF_MULTICAST:
	case CONF_BROADCAST:
		return &link_udp;
	case CONF_SERIAL:
		return &link_serial;
	case CONF_TRANSPORT_COUNT:
		break;
	}
	assert(!"a transport of the configuration");
	return NULL;
}

void
link_init(struct link *l, struct loop *loop, const struct conf *conf, int index,
    const struct link_transport *transport, const struct link_events *events)
{
	assert(index >= 0 && (size_t)index < conf->links);
	memset(l, 0, sizeof(*l));
	l->conf = &conf->link[index];
	l->transport = transport;
	l->events = *events;
	l->loop = loop;
	l->self = conf->self;
	l->index = index;
	if (l->conf->interface != NULL)
		snprintf(l->ifname, sizeof(l->ifname), "%s", l->conf->interface);
}

bool
link_send(struct link *l, uint64_t now_ms, const uint8_t *bytes, size_t len, struct err *err)
{
	assert(len <= LINK_DATAGRAM_MAX);
	if (!l->open && now_ms >= l->retry_ms) {
		l->retry_ms = now_ms + RETRY_MS;
		l->open = l->transport->open(l, &l->trouble);
	}
	if (!l->open) {
		l->send_failed++;
		if (err != NULL)
			*err = l->trouble;
		return false;
	}
	if (!l->transport->send(l, bytes, len, err)) {
		l->send_failed++;
		return false;
	}
	l->sent++;
	return true;
}

void
link_fini(struct link *l)
{
	if (!l->open)
		return;
	l->open = false;
	l->transport->close(l);
}

void
link_received(struct link *l, const uint8_t *bytes, size_t len)
{
	l->received++;
	l->events.received(l->events.arg, l, bytes, len);
}

void
link_broken(struct link *l, const struct err *why)
{
	l->trouble = *why;
	link_fini(l);
}
