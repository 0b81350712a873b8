/*
 * tests/sim/play_deeds.c - what a play does to the machines, their links and their surroundings: one verb each.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/play.h"

#define DAY (86400 * SECOND)
#define CARRIER_MAX (20 * MS)		/* carrier is asked for fifty times a second */
#define RESPAWN (200 * MS)		/* a service manager's pause before it starts a program again */
#define REFUSED_US 100

/* "yes" or "no" */
static bool
said(const char *word, bool *ret, struct err *err)
{
	*ret = strcmp(word, "yes") == 0;
	return *ret || strcmp(word, "no") == 0 || err_set(err, 0, "\"%s\" is neither yes nor no", word);
}

/* ---------------------------------------------------------------- power and links */

/* power NODE on|off */
static bool
verb_power(const struct words *w, struct err *err)
{
	struct node *n;

	if (!play_node(w->word[1], &n, err))
		return false;
	if (strcmp(w->word[2], "on") == 0)
		node_power_on(n);
	else
		node_power_off(n, "the power fails");
	return true;
}

static void
carrier_look(size_t link)
{
	bool now = sim->node[0].power && sim->node[1].power && !play.unplugged[link];

	if (play.carrier[link] == now || !play.conf[0]->link[link].direct)
		return;
	play.carrier[link] = now;
	for (int i = 0; i < NODES; i++) {
		if (sim->node[i].booted)
			item_add(NULL, sim->now + 1 + rng_below(&sim->net, CARRIER_MAX), IT_HINT, CLASS_DAEMON, i, NULL,
			    link | (uint64_t)(now ? LINK_HINT_CARRIER_BACK : LINK_HINT_CARRIER_LOST) << 8);
	}
}

void
play_power_changed(struct node *n)
{
	memset(play.refused[n->id], 0, sizeof(play.refused[n->id]));
	for (size_t i = 0; i < play.conf[0]->links; i++)
		carrier_look(i);
}

/* carrier LINK yes|no: its cable */
static bool
verb_carrier(const struct words *w, struct err *err)
{
	size_t link;
	bool yes;

	if (!play_link(w->word[1], &link, err) || !said(w->word[2], &yes, err))
		return false;
	play.unplugged[link] = !yes;
	carrier_look(link);
	return true;
}

/* wire LINK NODE yes|no: does what NODE sends on it arrive? */
static bool
verb_wire(const struct words *w, struct err *err)
{
	struct node *n;
	size_t link;
	bool yes;

	if (!play_link(w->word[1], &link, err) || !play_node(w->word[2], &n, err) || !said(w->word[3], &yes, err))
		return false;
	sim->wire[link].cut[n->id] = !yes;
	return true;
}

/* lan NODE yes|no|mute: has its interface carrier; mute: nobody hears what it sends */
static bool
verb_lan(const struct words *w, struct err *err)
{
	struct node *n;

	if (!play_node(w->word[1], &n, err))
		return false;
	n->lan_dead = strcmp(w->word[2], "no") == 0;
	play.mute[n->id] = strcmp(w->word[2], "mute") == 0;
	return true;
}

/* thief yes|no: a third host has the service address */
static bool
verb_thief(const struct words *w, struct err *err)
{
	return said(w->word[1], &sim->thief, err);
}

/* A kernel that has nobody at the port answers for it; told once, until something is heard from there. */
static void
refuse(const struct link *l)
{
	const struct node *to = &sim->node[1 - l->self];

	if (l->conf->transport != CONF_UDP || !to->booted || to->running || play.refused[l->self][l->index] ||
	    sim->wire[l->index].cut[0] || sim->wire[l->index].cut[1])
		return;
	play.refused[l->self][l->index] = true;
	item_add(NULL, sim->now + REFUSED_US, IT_HINT, CLASS_DAEMON, l->self, NULL,
	    (uint64_t)l->index | (uint64_t)LINK_HINT_UNREACHABLE << 8);
}

bool
play_sent(const struct link *l, const uint8_t *bytes, size_t len)
{
	struct play_beat *b = &play.beat[play.beats];

	if (play.deaf[l->self])
		return false;
	if (play.beats < play.beats_wanted && l->self == play.beats_of && l->index == play.beats_on) {
		*b = (struct play_beat){ .node = l->self, .link = l->index, .len = len };
		memcpy(b->bytes, bytes, len);
		play.beats++;
		play.news = true;
	}
	if (play.deaf[1 - l->self])
		return false;
	play.refused[1 - l->self][l->index] = false;
	refuse(l);
	return true;
}

/* keep LINK NODE COUNT: its next beats there */
static bool
verb_keep(const struct words *w, struct err *err)
{
	struct node *n;
	uint64_t count;
	size_t link;

	if (!play_link(w->word[1], &link, err) || !play_node(w->word[2], &n, err) || !play_number(w->word[3], &count, err))
		return false;
	if (count > PLAY_BEATS_MAX)
		return err_set(err, 0, "at most %d beats can be kept", PLAY_BEATS_MAX);
	play.beats = 0;
	play.beats_wanted = count;
	play.beats_of = n->id;
	play.beats_on = (int)link;
	return true;
}

/* kept: those beats, in hexadecimal digits */
static bool
verb_kept(const struct words *w, struct err *err)
{
	(void)w;
	(void)err;
	for (size_t i = 0; i < play.beats; i++) {
		SAY("| ");
		for (size_t k = 0; k < play.beat[i].len; k++)
			SAY("%02x", play.beat[i].bytes[k]);
		SAY("\n");
	}
	return true;
}

/* inject LINK HEX: somebody else sends it there, and both nodes hear it */
static bool
verb_inject(const struct words *w, struct err *err)
{
	size_t link, len = strlen(w->word[2]) / 2;
	uint8_t bytes[LINK_DATAGRAM_MAX];

	if (!play_link(w->word[1], &link, err))
		return false;
	if (len > sizeof(bytes))
		return err_set(err, 0, "a beat has at most %zu bytes", sizeof(bytes));
	for (size_t i = 0; i < len; i++) {
		unsigned int byte;

		if (sscanf(w->word[2] + 2 * i, "%2x", &byte) != 1)
			return err_set(err, 0, "\"%s\" are no hexadecimal digits", w->word[2]);
		bytes[i] = (uint8_t)byte;
	}
	for (int i = 0; i < NODES; i++) {
		struct node *n = &sim->node[i];

		if (!n->running || play.deaf[i] || n->paused_until > sim->now || link >= n->en.links)
			continue;
		sim->cur = n;
		link_received(&n->en.link[link], bytes, len);
	}
	return true;
}

/* ---------------------------------------------------------------- fence devices */

/* device NODE works|dead|hangs|lies|late US */
static bool
verb_device(const struct words *w, struct err *err)
{
	static const char *const names[PLAY_DEVICES] = { "works", "dead", "hangs", "lies", "late" };
	struct node *n;
	enum play_device was;
	int kind = 0;

	while (kind < PLAY_DEVICES && strcmp(w->word[2], names[kind]) != 0)
		kind++;
	if (kind == PLAY_DEVICES)
		return err_set(err, 0, "a fence device cannot be \"%s\"", w->word[2]);
	if (!play_node(w->word[1], &n, err) || !play_number(w->word[3], &play.late_us[n->id], err))
		return false;
	was = play.device[n->id];
	play.device[n->id] = (enum play_device)kind;
	if (was == PLAY_HANGS)
		play_fence_look(n->id);
	return true;
}

/* reach NODE OTHER yes|no: does NODE reach the device that switches OTHER? */
static bool
verb_reach(const struct words *w, struct err *err)
{
	struct node *by, *of;
	bool yes;

	if (!play_node(w->word[1], &by, err) || !play_node(w->word[2], &of, err) || !said(w->word[3], &yes, err))
		return false;
	play.unreachable[by->id][of->id] = !yes;
	return true;
}

/* ---------------------------------------------------------------- what runs on a machine */

/* freeze NODE yes|no: every process stops, and nothing goes in or out */
static bool
verb_freeze(const struct words *w, struct err *err)
{
	struct node *n;
	bool yes;

	if (!play_node(w->word[1], &n, err) || !said(w->word[2], &yes, err))
		return false;
	play.deaf[n->id] = yes;
	if (yes)
		node_pause(n, PAUSE_HOST, DAY);
	else if (n->paused_until > sim->now)
		n->paused_until = sim->now;
	return true;
}

/* daemon NODE kill US|stop 0|start 0: killed it comes back after that time; stopped not at all */
static bool
verb_daemon(const struct words *w, struct err *err)
{
	struct node *n;
	uint64_t us;

	if (!play_node(w->word[1], &n, err) || !play_number(w->word[3], &us, err))
		return false;
	if (strcmp(w->word[2], "start") == 0) {
		n->disabled = false;
		us = RESPAWN;
	} else {
		if (!n->running)
			return err_set(err, 0, "mailpaird of %s does not run", w->word[1]);
		n->disabled = strcmp(w->word[2], "stop") == 0;
		node_daemon_kill(n);
		play_serve_look();
	}
	if (!n->disabled && n->booted && !n->running && n->daemon_slot == 0)
		item_add(&n->daemon_slot, sim->now + us + rng_below(&sim->rng, 1 + us / 4), IT_DAEMON, CLASS_WORLD, n->id, n, 0);
	return true;
}

/* mta NODE kill|hang|break|mend */
static bool
verb_mta(const struct words *w, struct err *err)
{
	const char *what = w->word[2];
	struct node *n;

	if (!play_node(w->word[1], &n, err))
		return false;
	if (strcmp(what, "break") == 0 || strcmp(what, "mend") == 0) {
		n->mta_broken = strcmp(what, "break") == 0;
		return true;
	}
	if (n->mta_pid == 0)
		return err_set(err, 0, "the mail program of %s does not run", w->word[1]);
	n->rough = true;
	if (strcmp(what, "hang") == 0)
		n->mta_hung = true;
	else
		node_mta_kill(n);
	return true;
}

/* spool NODE hold|fill|free|hangs|answers|breaks: a process holds it; it is full; its disk takes and gives nothing; read-only from now on */
static bool
verb_spool(const struct words *w, struct err *err)
{
	const char *what = w->word[2];
	struct node *n;

	if (!play_node(w->word[1], &n, err))
		return false;
	if (strcmp(what, "hangs") == 0 || strcmp(what, "answers") == 0) {
		n->spool_hung = strcmp(what, "hangs") == 0 ? sim->now : 0;
		return true;
	}
	if (!n->mounted)
		return err_set(err, 0, "%s has no spool", w->word[1]);
	if (strcmp(what, "breaks") == 0)
		n->spool_ro = true;
	else if (strcmp(what, "hold") == 0)
		n->held = true;
	else
		sim->full = strcmp(what, "fill") == 0;
	return true;
}

/* repair tear|takes|still MS: the queue is damaged; how long its repair takes; it comes no further */
static bool
verb_repair(const struct words *w, struct err *err)
{
	uint64_t ms;

	if (!play_number(w->word[2], &ms, err))
		return false;
	if (strcmp(w->word[1], "tear") == 0)
		sim->torn = true;
	else
		sim->repair_us = ms * MS;
	sim->repair_still = strcmp(w->word[1], "still") == 0;
	return true;
}

/* clock NODE +|- MS: its wall clock jumps */
static bool
verb_clock(const struct words *w, struct err *err)
{
	struct node *n;
	uint64_t ms;

	if (!play_node(w->word[1], &n, err) || !play_number(w->word[3], &ms, err))
		return false;
	n->wall_ms += *w->word[2] == '-' ? -(int64_t)ms : (int64_t)ms;
	return true;
}

/* statedisk NODE yes|no: does it take what is written? */
static bool
verb_statedisk(const struct words *w, struct err *err)
{
	struct node *n;
	bool yes;

	if (!play_node(w->word[1], &n, err) || !said(w->word[2], &yes, err))
		return false;
	n->state_hung = yes ? 0 : sim->now;
	return true;
}

const struct play_verb play_deeds[] = {
	{ "power", 3, verb_power }, { "carrier", 3, verb_carrier }, { "wire", 4, verb_wire }, { "lan", 3, verb_lan }, { "thief", 2, verb_thief },
	{ "keep", 4, verb_keep }, { "kept", 1, verb_kept }, { "inject", 3, verb_inject }, { "device", 4, verb_device }, { "reach", 4, verb_reach },
	{ "freeze", 3, verb_freeze }, { "daemon", 4, verb_daemon }, { "mta", 3, verb_mta }, { "spool", 3, verb_spool },
	{ "clock", 4, verb_clock }, { "statedisk", 3, verb_statedisk }, { "repair", 3, verb_repair }, { NULL, 0, NULL },
};
