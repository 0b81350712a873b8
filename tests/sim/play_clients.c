/*
 * tests/sim/play_clients.c - mail clients of a play: what tests/live/tools/smtpload.c and prober.c do, against the simulated machines, with the
 * same lines in the files DIR/log/ledger and DIR/log/probe. And the messages that are on the disk.
 *
 * A connection belongs to one machine and one process. When its answer cannot come (the address has gone, the machine is off or
 * stands still) the client sends again after a while, as TCP does, and meets whoever has the address then.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/play.h"

#define TICK_MIN 500			/* the clients' clock */
#define TICK_MAX 1500
#define SESSIONS 8
#define MESSAGES_A_SESSION 5
#define REPLY_US (3 * SECOND)		/* how long a client waits for an answer */
#define RETRY_US (200 * MS)		/* before a message is tried again */
#define RESEND_US (250 * MS)		/* TCP: what was not acknowledged is sent again */
#define SYN_AGAIN_US SECOND
#define TRIES 1024
#define CONNECT_US (500 * MS)		/* the prober's patience */
#define GREETING_US (2 * SECOND)

enum stage { IDLE, CONNECT, GREETING, DIALOGUE, DOT, ANSWER };
static const char *const stage_names[] = { "idle", "connect", "greeting", "mail", "dot", "dot" };

/* The other end: a process of a machine. */
struct end { int node, pid; };
struct session { enum stage stage; size_t message; unsigned int sent; uint64_t due, deadline; struct end end; bool refused; };
struct message { unsigned int run; size_t number; bool taken, acked; uint64_t due; unsigned int copies; };
struct try { bool used, connected; uint64_t began, due; struct end end; };

static struct session session[SESSIONS];
static struct message *message;
static size_t messages, messages_room, first_open;
static struct try try[TRIES];
static FILE *ledger, *probe;
static uint64_t rate, made, load_since, probe_every, probe_next;
static unsigned int run;
static bool ticking, told;

/* ---------------------------------------------------------------- who answers */

#define NOBODY (-1)
#define THIEF NODES

static bool
speaks(const struct node *n)
{
	return n->booted && !n->lan_dead && !play.mute[n->id] && !play.deaf[n->id] && !node_stands_still(n);
}

/* Who has the service address as the client's network sees it. */
static int
server(void)
{
	if (sim->thief)
		return THIEF;
	for (int i = 0; i < NODES; i++) {
		if (sim->node[i].address && speaks(&sim->node[i]))
			return i;
	}
	return NOBODY;
}

static bool
process_lives(const struct end *end)
{
	return sim->node[end->node].mta_pid == end->pid && !sim->node[end->node].mta_hung;
}

/* ---------------------------------------------------------------- the load */

static void
note(const char *event, const struct message *m, const char *detail)
{
	fprintf(ledger, "%" PRIu64 " %s run%u.%zu@load.example %s\n", sim->now * 1000, event, m->run, m->number, detail);
	told = true;
}

static void
session_broke(struct session *s, const char *how)
{
	struct message *m = &message[s->message];
	char detail[32];

	snprintf(detail, sizeof(detail), "%s %s", how, stage_names[s->stage]);
	note(s->stage >= DOT ? "LOST" : "FAIL", m, detail);
	m->taken = false;
	m->due = sim->now + RETRY_US;
	s->stage = IDLE;
}

static bool
message_next(size_t *ret)
{
	while (first_open < messages && message[first_open].acked)
		first_open++;
	for (size_t i = first_open; i < messages; i++) {
		if (!message[i].taken && !message[i].acked && message[i].due <= sim->now) {
			*ret = i;
			return true;
		}
	}
	return false;
}

static void
go_on(struct session *s, enum stage stage, uint64_t min_us, uint64_t max_us)
{
	s->stage = stage;
	s->due = sim->now + rng_in(&sim->net, min_us, max_us);
	s->deadline = sim->now + REPLY_US;
}

static void
connect_step(struct session *s)
{
	int at = server();

	if (at == NOBODY) {
		s->due = sim->now + SYN_AGAIN_US;
	} else if (at == THIEF || sim->node[at].mta_pid == 0) {
		session_broke(s, "refused");
	} else {
		s->end = (struct end){ at, sim->node[at].mta_pid };
		go_on(s, GREETING, 500, 2500);
	}
}

/* The mail program has the whole message: it is written down, or put off. */
static void
store(struct session *s)
{
	const struct node *n = &sim->node[s->end.node];
	struct message *m = &message[s->message];

	if (n->spool_hung != 0) {
		s->due = sim->now + RESEND_US;
		return;
	}
	s->refused = sim->full || n->shut || n->disk_dead || n->spool_ro || !n->mounted || !n->binds;
	/* what is written through a mount that is not the newest is nowhere */
	if (!s->refused && n->mount_gen == sim->mount_gen)
		m->copies++;
	go_on(s, ANSWER, 100, 500);
}

static void
answered(struct session *s)
{
	struct message *m = &message[s->message];

	m->taken = false;
	if (s->refused) {
		note("NAK", m, "452");
		m->due = sim->now + RETRY_US;
		s->stage = IDLE;
		return;
	}
	m->acked = true;
	note("ACK", m, "250");
	if (m->copies == 0 && !play.plan.liar)
		sim_fail("%s acknowledged message run%u.%zu, which is not on the disk", sim->node[s->end.node].conf.node[s->end.node], m->run,
		    m->number);
	if (++s->sent < MESSAGES_A_SESSION && message_next(&s->message)) {
		message[s->message].taken = true;
		go_on(s, DIALOGUE, 500, 2000);
	} else {
		s->stage = IDLE;
	}
}

/* What was awaited from the other end is due. */
static void
session_step(struct session *s)
{
	bool lives = process_lives(&s->end);
	int at;

	if (s->stage == CONNECT) {
		connect_step(s);
		return;
	}
	/* what is in the machine already happens whether or not anybody hears of it */
	if (s->stage == DOT && lives && sim->node[s->end.node].booted && !node_stands_still(&sim->node[s->end.node])) {
		store(s);
		return;
	}
	at = server();
	if (at == s->end.node && lives) {
		if (s->stage == GREETING)
			go_on(s, DIALOGUE, 1500, 5000);
		else if (s->stage == DIALOGUE)
			go_on(s, DOT, 1500, 8000);
		else
			answered(s);
	} else if (at == s->end.node && sim->node[at].mta_hung) {
		s->due = s->deadline;
	} else if (at != NOBODY && (at == s->end.node || s->stage == DIALOGUE || s->stage == DOT)) {
		session_broke(s, "reset");	/* whoever is there knows of no such connection */
	} else {
		s->due = sim->now + RESEND_US;
	}
}

static void
load_step(void)
{
	while (rate != 0 && made < (sim->now - load_since) * rate / SECOND) {
		if (messages == messages_room) {
			messages_room = messages_room != 0 ? 2 * messages_room : 1024;
			message = realloc(message, messages_room * sizeof(*message));
			if (message == NULL)
				abort();
		}
		message[messages++] = (struct message){ .run = run, .number = made++, .due = sim->now };
	}
	for (size_t i = 0; i < SESSIONS; i++) {
		struct session *s = &session[i];

		if (s->stage != IDLE && sim->now >= s->deadline)
			session_broke(s, "timeout");
		else if (s->stage != IDLE && sim->now >= s->due)
			session_step(s);
		if (s->stage == IDLE && message_next(&s->message)) {
			message[s->message].taken = true;
			s->sent = 0;
			go_on(s, CONNECT, 100, 400);
		}
	}
}

/* ---------------------------------------------------------------- the prober */

static void
try_ends(struct try *t, const char *outcome)
{
	fprintf(probe, "%" PRIu64 " %" PRIu64 " %s\n", t->began * 1000, sim->now * 1000, outcome);
	t->used = false;
	told = true;
}

static void
try_step(struct try *t)
{
	int at = server();

	if (t->connected) {
		if (at == t->end.node && process_lives(&t->end))
			try_ends(t, "ok");
		else if (at == t->end.node && !sim->node[at].mta_hung)
			try_ends(t, "reset");
		else if (sim->now >= t->began + GREETING_US)
			try_ends(t, "silent");
	} else if (sim->now >= t->began + CONNECT_US) {
		try_ends(t, "timeout");
	} else if (at == NOBODY) {
		t->due = t->began + CONNECT_US;	/* what it sent is lost, and would be sent again later than that */
	} else if (at == THIEF || sim->node[at].mta_pid == 0) {
		try_ends(t, "refused");
	} else {
		t->connected = true;
		t->end = (struct end){ at, sim->node[at].mta_pid };
		t->due = sim->now + rng_in(&sim->net, 300, 1500);
	}
}

static void
probe_step(void)
{
	for (size_t i = 0; i < TRIES; i++) {
		struct try *t = &try[i];

		if (t->used && sim->now >= t->due)
			try_step(t);
		if (!t->used && probe_every != 0 && sim->now >= probe_next) {
			*t = (struct try){ .used = true, .began = sim->now, .due = sim->now + 100 };
			probe_next = sim->now + probe_every;
		}
	}
}

/* ---------------------------------------------------------------- their clock, and what a play says */

static bool
busy(void)
{
	for (size_t i = 0; i < SESSIONS; i++) {
		if (session[i].stage != IDLE)
			return true;
	}
	return rate != 0 || probe_every != 0;
}

static void
tick_later(void)
{
	item_add(NULL, sim->now + rng_in(&sim->net, TICK_MIN, TICK_MAX), IT_SCRIPT, CLASS_WORLD, -1, NULL, 0);
	ticking = true;
}

void
play_clients_tick(void)
{
	ticking = false;
	load_step();
	probe_step();
	if (busy())
		tick_later();
}

bool
play_clients_flush(void)
{
	bool was = told;

	told = false;
	if (was) {
		fflush(ledger);
		fflush(probe);
	}
	return was;
}

bool
play_clients_open(struct err *err)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/log/ledger", play.dir);
	ledger = fopen(path, "we");
	snprintf(path, sizeof(path), "%s/log/probe", play.dir);
	probe = fopen(path, "we");
	return (ledger != NULL && probe != NULL) || err_set(err, errno, "%s", path);
}

/* load RATE: new messages a second; 0: no new ones, those that are under way go on */
static bool
verb_load(const struct words *w, struct err *err)
{
	if (!play_number(w->word[1], &rate, err))
		return false;
	if (rate != 0) {
		run++;
		made = 0;
		load_since = sim->now;
	}
	if (!ticking)
		tick_later();
	return true;
}

/* probe EVERY_US: 0 ends it */
static bool
verb_probe(const struct words *w, struct err *err)
{
	if (!play_number(w->word[1], &probe_every, err))
		return false;
	if (!ticking)
		tick_later();
	return true;
}

/* pending: how many messages are not acknowledged yet */
static bool
verb_pending(const struct words *w, struct err *err)
{
	size_t open = 0;

	(void)w;
	(void)err;
	for (size_t i = first_open; i < messages; i++)
		open += !message[i].acked;
	SAY("| %zu\n", open);
	return true;
}

/* queue: the messages on the disk, and how often each is there */
static bool
verb_queue(const struct words *w, struct err *err)
{
	(void)w;
	(void)err;
	for (size_t i = 0; i < messages; i++) {
		if (message[i].copies != 0)
			SAY("| run%u.%zu@load.example %u\n", message[i].run, message[i].number, message[i].copies);
	}
	return true;
}

/* greeted: would one client be now? */
static bool
verb_greeted(const struct words *w, struct err *err)
{
	int at = server();

	(void)w;
	(void)err;
	SAY("| %s\n", at >= 0 && at < NODES && sim->node[at].mta_pid != 0 && !sim->node[at].mta_hung ? "yes" : "no");
	return true;
}

const struct play_verb play_clients[] = {
	{ "load", 2, verb_load }, { "probe", 2, verb_probe }, { "pending", 1, verb_pending }, { "queue", 1, verb_queue },
	{ "greeted", 1, verb_greeted }, { NULL, 0, NULL },
};
