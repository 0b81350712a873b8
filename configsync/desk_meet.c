/*
 * configsync/desk_meet.c - the nodes meet again: what no event has told is to be known when both have compared.
 *
 * That takes a reading of everything. Where the watch has told of all that it can see since the last one, its result can be little else than what is
 * known: the link begins with that, and the reading comes when what it brings is on its way, so that nobody waits for it. What it finds is news like any
 * other; until then nobody is told that the nodes are in step. What only the other node has yet to find is known to neither, so each says when it has read (WIRE_READ).
 */
#include "configsync/desk_priv.h"

#include "common/clock.h"

#define AGAIN_MS 2000		/* between two readings when a cable comes and goes */
#define LOOK_MS 20		/* whether it can be now */
#define QUIET_MS 500		/* nothing has come for so long: what is apart stays so for now */
#define MOST_MS 10000

/* Nothing that the kernel has told waits to be read, and all of it was told. */
static bool
is_told_all(const struct desk *d)
{
	uint64_t due;

	return d->watched && d->blind[0] == '\0' && d->busies == 0 && !loop_timer_pending(d->unsettled_timer) &&
	    !settle_due(d->settle, &due) && !settle_due(d->held, &due);
}

static bool
is_time(struct desk *d, uint64_t now)
{
	if (now >= d->meet_by_ms)
		return true;
	return core_linked(d->core) && (!desk_under_way(d) || now >= d->heard_ms + QUIET_MS);
}

static void
look(void *arg)
{
	struct desk *d = arg;

	if (d->meet_by_ms == 0)
		return;
	if (!is_time(d, clock_mono_ms())) {
		loop_timer_in(d->meet_timer, LOOK_MS);
		return;
	}
	d->meet_by_ms = 0;
	desk_scan(d, "the nodes have met");
	desk_work(d);
}

void
desk_meet(struct desk *d)
{
	uint64_t now = clock_mono_ms();

	if (!d->scanned || now - d->scanned_at < AGAIN_MS)
		return;
	if (!is_told_all(d)) {
		desk_scan(d, "the nodes have met");
		return;
	}
	if (d->meet_timer == NULL)
		d->meet_timer = loop_timer_new(d->loop, look, d);
	d->heard_ms = now;
	d->meet_by_ms = now + MOST_MS;
	loop_timer_in(d->meet_timer, LOOK_MS);
}

void
desk_meet_say(struct desk *d)
{
	const struct wire w = { .type = WIRE_READ };

	if (d->said_read || d->meet_by_ms != 0 || !core_linked(d->core))
		return;
	d->said_read = true;
	desk_send(d, &w);
}

void
desk_meet_forget(struct desk *d)
{
	d->meet_by_ms = 0;
	d->said_read = d->heard_read = false;
}

void
desk_status(struct desk *d, struct core_status *ret)
{
	core_status(d->core, ret);
	ret->scanned = ret->scanned && d->meet_by_ms == 0 && (d->heard_read || !ret->in_step);
	ret->in_step = ret->in_step && ret->scanned;
}
