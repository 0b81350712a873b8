/*
 * tests/sim/fake_link.c - stands for supervisor/link.c and its transports: beats are items of the world's queue. Each direction of a
 * link loses, delays, doubles, damages, and can be cut alone.
 */
#include <assert.h>
#include <string.h>

#include "supervisor/link.h"
#include "tests/sim/sim.h"

#define DELAY_MIN 50		/* microseconds, of a link that is well */
#define DELAY_MAX 300

const char *
link_hint_name(enum link_hint hint)
{
	static const char *const names[LINK_HINT_COUNT] = { [LINK_HINT_CARRIER_LOST] = "carrier lost",
		[LINK_HINT_CARRIER_BACK] = "carrier back", [LINK_HINT_UNREACHABLE] = "unreachable", [LINK_HINT_VANISHED] = "vanished" };

	assert(hint < LINK_HINT_COUNT);
	return names[hint];
}

const struct link_transport *
link_transport_for(enum conf_transport transport)
{
	static const struct link_transport none = { .name = "simulated" };

	(void)transport;
	return &none;
}

void
link_init(struct link *l, struct loop *loop, const struct conf *conf, int index, const struct link_transport *transport,
    const struct link_events *events)
{
	memset(l, 0, sizeof(*l));
	l->conf = &conf->link[index];
	l->transport = transport;
	l->events = *events;
	l->loop = loop;
	l->self = conf->self;
	l->index = index;
	l->open = true;
}

static bool
bad(const struct link *l)
{
	return !sim->calm && (sim->plan->ways >> (2 * l->index + l->self) & 1) != 0;
}

static void
post(const struct link *l, const uint8_t *bytes, size_t len)
{
	struct rng *r = &sim->net;
	uint64_t delay = rng_in(r, DELAY_MIN, DELAY_MAX);

	if (bad(l) && sim->plan->delay_max != 0 && rng_chance(r, sim->plan->delays))
		delay += rng_below(r, sim->plan->delay_max);
	for (size_t i = 0; i < sizeof(sim->packet) / sizeof(sim->packet[0]); i++) {
		struct packet *p = &sim->packet[i];

		if (p->used)
			continue;
		p->used = true;
		p->to = 1 - l->self;
		p->link = l->index;
		p->sent_at = sim->now;
		p->len = len;
		p->slot = 0;
		memcpy(p->bytes, bytes, len);
		if (bad(l) && rng_chance(r, sim->plan->corrupt))
			p->bytes[rng_below(r, len)] ^= (uint8_t)(1u << rng_below(r, 8));
		item_add(&p->slot, sim->now + delay, IT_PACKET, CLASS_DAEMON, p->to, p, 0);
		return;
	}
	/* no room in the buffers on the way: lost */
}

bool
link_send(struct link *l, uint64_t now_ms, const uint8_t *bytes, size_t len, struct err *err)
{
	(void)now_ms;
	(void)err;
	l->sent++;
	if (sim->script != NULL && !sim->script->sent(l, bytes, len))
		return true;
	if (sim->wire[l->index].cut[l->self])
		return true;
	if (bad(l) && rng_chance(&sim->net, sim->plan->loss))
		return true;
	post(l, bytes, len);
	if (bad(l) && rng_chance(&sim->net, sim->plan->dup))
		post(l, bytes, len);
	return true;
}

void
link_fini(struct link *l)
{
	l->open = false;
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
	l->open = false;
}

struct link_watch { int unused; };

struct link_watch *
link_watch_new(struct loop *loop, struct link *const *links, size_t len, struct err *err)
{
	static struct link_watch the_same_for_all;

	(void)loop;
	(void)links;
	(void)len;
	(void)err;
	return &the_same_for_all;
}

void
link_watch_free(struct link_watch *w)
{
	(void)w;
}

void
link_deliver(struct packet *packet)
{
	struct packet p = *packet;	/* its place may be taken by an answer at once */
	struct node *n = &sim->node[p.to];
	uint64_t seq = n->en.peer.seq, session = n->en.peer.session;

	packet->used = false;
	if (!n->running || (size_t)p.link >= n->en.links)
		return;
	link_received(&n->en.link[p.link], p.bytes, p.len);
	if (n->en.peer_known && (n->en.peer.seq != seq || n->en.peer.session != session))
		n->heard_sent_at = p.sent_at;
}

/* A machine without power: what was in its buffers is gone. */
void
link_drop(int node)
{
	for (size_t i = 0; i < sizeof(sim->packet) / sizeof(sim->packet[0]); i++) {
		struct packet *p = &sim->packet[i];

		if (p->used && p->to == node) {
			item_drop(&p->slot);
			p->used = false;
		}
	}
}
