/*
 * tests/sim/play_scribe.c - stands for supervisor/scribe.c in a play: what the nodes write down, and what of it has come to the disk of their
 * state directory. Makes the journal of it that mailpair reads.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/journal.h"
#include "supervisor/scribe.h"
#include "tests/sim/play.h"

struct scribe {
	struct journal_event *event;
	size_t		len, room, durable, exported;
	uint64_t	waits_us;	/* since when the first of those that wait does */
};

static struct scribe scribe[NODES];

static void
settled(int node)
{
	if (sim->node[node].state_hung == 0)
		scribe[node].durable = scribe[node].len;
}

void
scribe_event(struct scribe *s, const struct journal_event *ev)
{
	if (s->len == s->room) {
		s->room = s->room != 0 ? 2 * s->room : 256;
		s->event = realloc(s->event, s->room * sizeof(*s->event));
		if (s->event == NULL)
			abort();
	}
	if (s->durable == s->len)
		s->waits_us = sim->now;
	s->event[s->len++] = *ev;
	play.news = true;
}

void
play_journal(struct node *n, const struct journal_event *ev)
{
	settled(n->id);
	scribe_event(&scribe[n->id], ev);
	settled(n->id);
}

struct scribe *
play_scribe(const struct node *n)
{
	settled(n->id);
	return &scribe[n->id];
}

void
scribe_health(const struct scribe *s, enum scribe_pen pen, uint64_t now_ms, struct scribe_health *ret)
{
	(void)now_ms;
	*ret = (struct scribe_health){ .waits = 0 };
	if (pen == SCRIBE_LOG || s->durable == s->len)
		return;
	ret->waits = s->len - s->durable;
	ret->waiting_ms = (sim->now - s->waits_us) / 1000;
}

/* Nothing but its disk keeps it from being written. */
void
scribe_try(struct scribe *s)
{
	(void)s;
}

/* journal NODE: to the file DIR/NODE/journal.db with what has come to the disk */
static bool
verb_journal(const struct words *w, struct err *err)
{
	struct journal *j;
	struct scribe *m;
	struct node *n;
	char path[300];
	bool moved, ok;

	if (!play_node(w->word[1], &n, err))
		return false;
	settled(n->id);
	m = &scribe[n->id];
	sim->cur = n;
	snprintf(path, sizeof(path), "%s/%s/journal.db", play.dir, w->word[1]);
	if (m->exported == m->durable)
		return true;
	if (!journal_open(path, true, &j, &moved, err))
		return false;
	ok = journal_begin(j, err);
	while (ok && m->exported < m->durable)
		ok = journal_add(j, &m->event[m->exported++], err);
	ok = ok && journal_end(j, err);
	journal_close(j);
	return ok;
}

/* written NODE WALL_MS: the sentences that have come to the disk since then */
static bool
verb_written(const struct words *w, struct err *err)
{
	uint64_t since;
	struct node *n;

	if (!play_node(w->word[1], &n, err) || !play_number(w->word[2], &since, err))
		return false;
	settled(n->id);
	for (size_t i = 0; i < scribe[n->id].durable; i++) {
		if (scribe[n->id].event[i].wall_ms >= since)
			SAY("| %s\n", scribe[n->id].event[i].text);
	}
	return true;
}

/* wall: what the clock of each node shows, in milliseconds */
static bool
verb_wall(const struct words *w, struct err *err)
{
	(void)w;
	(void)err;
	for (int i = 0; i < NODES; i++) {
		sim->cur = &sim->node[i];
		SAY("| %" PRIu64 "\n", clock_wall_ms());
	}
	return true;
}

const struct play_verb play_scribes[] = {
	{ "journal", 2, verb_journal }, { "written", 3, verb_written }, { "wall", 1, verb_wall }, { NULL, 0, NULL },
};
