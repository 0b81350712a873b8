/*
 * supervisor/pulse.c - when the peer is late, silent, and when that is only our own pause.
 *
 * Every answer is a function of the times that were noted, so a late timer cannot lose a change.
 * Leaves to the caller what follows from a view. Pure; runs in mailpaird; nothing blocks.
 */
#include "supervisor/pulse.h"

#include <assert.h>
#include <string.h>

static const char *const view_names[VIEW_COUNT] = {
	[VIEW_UNSEEN] = "unseen",	[VIEW_ALIVE] = "alive",		[VIEW_LATE] = "late",
	[VIEW_SILENT] = "silent",	[VIEW_FENCING] = "fencing",	[VIEW_FENCED] = "fenced",
	[VIEW_LEFT] = "left",
};

const char *
view_name(enum view view)
{
	assert(view < VIEW_COUNT);
	return view_names[view];
}

static uint64_t
later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t
since(uint64_t then_ms, uint64_t now_ms)
{
	return now_ms > then_ms ? now_ms - then_ms : 0;
}

/* More time between two ticks than this, and we did not run meanwhile. */
static uint64_t
pause_limit(const struct pulse *pulse)
{
	return later(2 * (uint64_t)pulse->limits.keepalive_ms, pulse->limits.warntime_ms);
}

/*
 * The time to judge by. In the first moments after a pause other callbacks may run before the
 * tick that notices it; what they are told must not count the pause as the peer's silence.
 */
static uint64_t
awake_ms(const struct pulse *pulse, uint64_t now_ms)
{
	return since(pulse->ticked_ms, now_ms) > pause_limit(pulse) ? pulse->ticked_ms : now_ms;
}

static uint64_t
silence_ms(const struct pulse *pulse, uint64_t now_ms)
{
	return since(later(pulse->heard_ms, pulse->excused_ms), now_ms);
}

void
pulse_init(struct pulse *pulse, const struct conf_heartbeat *limits, uint64_t now_ms)
{
	memset(pulse, 0, sizeof(*pulse));
	pulse->limits = *limits;
	pulse->born_ms = now_ms;
	pulse->ticked_ms = now_ms;
}

void
pulse_heard(struct pulse *pulse, size_t link, uint64_t now_ms)
{
	assert(link < CONF_LINKS_MAX);
	pulse->heard_ms = later(pulse->heard_ms, now_ms);
	pulse->link_heard_ms[link] = later(pulse->link_heard_ms[link], now_ms);
}

void
pulse_tick(struct pulse *pulse, uint64_t now_ms, uint64_t *ret_paused_ms)
{
	uint64_t gone_ms = since(pulse->ticked_ms, now_ms);

	*ret_paused_ms = 0;
	if (gone_ms > pause_limit(pulse)) {
		*ret_paused_ms = gone_ms - pulse->limits.keepalive_ms;
		/* what was seen while awake stays true: a pause is no sign of life */
		if (silence_ms(pulse, pulse->ticked_ms) < pulse->limits.deadtime_ms)
			pulse->excused_ms = now_ms;
		/* initdead is time spent listening */
		pulse->born_ms += *ret_paused_ms;
	}
	pulse->ticked_ms = later(pulse->ticked_ms, now_ms);
}

enum view
pulse_view(const struct pulse *pulse, uint64_t now_ms)
{
	uint64_t silent_ms = silence_ms(pulse, awake_ms(pulse, now_ms));

	if (pulse->heard_ms == 0)
		return VIEW_UNSEEN;
	if (silent_ms >= pulse->limits.deadtime_ms)
		return VIEW_SILENT;
	return silent_ms >= pulse->limits.warntime_ms ? VIEW_LATE : VIEW_ALIVE;
}

bool
pulse_initdead_over(const struct pulse *pulse, uint64_t now_ms)
{
	return since(pulse->born_ms, awake_ms(pulse, now_ms)) >= pulse->limits.initdead_ms;
}

/* When the link counts as down. A pause excuses only a link that was up before it. */
static uint64_t
link_until_ms(const struct pulse *pulse, size_t link)
{
	uint64_t from_ms = pulse->link_heard_ms[link];

	if (from_ms == 0)
		return 0;
	if (pulse->link_up[link])
		from_ms = later(from_ms, pulse->excused_ms);
	return from_ms + pulse->limits.deadtime_ms;
}

bool
pulse_link_up(struct pulse *pulse, size_t link, uint64_t now_ms, bool *ret_changed)
{
	bool up;

	assert(link < CONF_LINKS_MAX);
	up = awake_ms(pulse, now_ms) < link_until_ms(pulse, link);
	*ret_changed = up != pulse->link_up[link];
	pulse->link_up[link] = up;
	return up;
}

static void
sooner(uint64_t *next_ms, uint64_t at_ms, uint64_t now_ms)
{
	if (at_ms > now_ms && at_ms < *next_ms)
		*next_ms = at_ms;
}

uint64_t
pulse_next_ms(const struct pulse *pulse, size_t links, uint64_t now_ms)
{
	uint64_t base_ms = later(pulse->heard_ms, pulse->excused_ms);
	uint64_t next_ms = UINT64_MAX;

	assert(links <= CONF_LINKS_MAX);
	if (pulse->heard_ms == 0) {
		sooner(&next_ms, pulse->born_ms + pulse->limits.initdead_ms, now_ms);
	} else {
		sooner(&next_ms, base_ms + pulse->limits.warntime_ms, now_ms);
		sooner(&next_ms, base_ms + pulse->limits.deadtime_ms, now_ms);
	}
	for (size_t i = 0; i < links; i++)
		sooner(&next_ms, link_until_ms(pulse, i), now_ms);
	return next_ms;
}
