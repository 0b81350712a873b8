/*
 * configsync/desk_awake.c - the other node is told of an edit before it is read, and whoever is told does not sleep until the news are here (awake.h).
 */
#include "configsync/desk_priv.h"

#include <sched.h>

#include "common/clock.h"

void
desk_send_soon(struct desk *d, bool begun)
{
	const struct wire w = { .type = WIRE_SOON };

	if (awake_tell(&d->awake, begun, clock_mono_us()) && !d->full && d->outgoing == NULL)
		desk_send(d, &w);
}

void
desk_yield(struct desk *d)
{
	uint64_t began = clock_mono_us();

	if (!awake_may_yield(&d->awake, began))
		return;
	sched_yield();
	awake_yielded(&d->awake, began, clock_mono_us());
}

/* The loop turns without waiting: to wake this process up once more costs an edit 0.09 ms. Who has the processor now may be the network process with the news. */
static void
turn(void *arg)
{
	struct desk *d = arg;
	uint64_t now = clock_mono_us();

	if (!awake_is(&d->awake, now))
		return;
	loop_timer_at_us(d->awake_timer, now);
	desk_yield(d);
}

void
desk_stay_awake(struct desk *d)
{
	if (!awake_told(&d->awake, clock_mono_us()))
		return;
	if (d->awake_timer == NULL)
		d->awake_timer = loop_timer_new(d->loop, turn, d);
	turn(d);
}
