/*
 * supervisor/pulse.h - from "heard on link i at t" to a view of the peer. Pure.
 *
 * The peer is silent only when it is silent on every link. Our own pauses are not its silence.
 */
#ifndef SUPERVISOR_PULSE_H
#define SUPERVISOR_PULSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/conf.h"

enum view {
	VIEW_UNSEEN, VIEW_ALIVE, VIEW_LATE, VIEW_SILENT, VIEW_FENCING, VIEW_FENCED, VIEW_LEFT,
	VIEW_COUNT
};
const char *view_name(enum view);	/* the contract's words */

struct pulse {
	struct conf_heartbeat	 limits;
	uint64_t		 born_ms;		/* when we began to listen */
	uint64_t		 heard_ms;		/* newest over all links, 0 = never */
	uint64_t		 excused_ms;	/* silence counts from max(heard, excused) */
	uint64_t		 link_heard_ms[CONF_LINKS_MAX];	/* 0 = never */
	bool			 link_up[CONF_LINKS_MAX];
	uint64_t		 ticked_ms;		/* last pulse_tick */
};

void	pulse_init(struct pulse *, const struct conf_heartbeat *, uint64_t now_ms);
void	pulse_heard(struct pulse *, size_t link, uint64_t now_ms);

/*
 * Called by a timer every keepalive. *ret_paused_ms: how much longer than a keepalive the time
 * since the last tick was where that is a pause of our own (more than max(2 keepalive,
 * warntime)), else 0; silence is then counted from now, and nobody is blamed. A peer that was
 * silent before the pause stays so. Between a pause and the tick that notices it the other
 * functions answer as of the last tick.
 */
void	pulse_tick(struct pulse *, uint64_t now_ms, uint64_t *ret_paused_ms);

/*
 * UNSEEN before the first beat (initdead is the caller's), else ALIVE, LATE (warntime), SILENT
 * (deadtime).
 */
enum view pulse_view(const struct pulse *, uint64_t now_ms);
bool	pulse_initdead_over(const struct pulse *, uint64_t now_ms);

/*
 * A link is up when it was heard within deadtime. *ret_changed: since the last call for this
 * link.
 */
bool	pulse_link_up(struct pulse *, size_t link, uint64_t now_ms, bool *ret_changed);

/*
 * When the next change of view or of a link can happen, so that a timer may be set exactly then;
 * UINT64_MAX: never.
 */
uint64_t pulse_next_ms(const struct pulse *, size_t links, uint64_t now_ms);

#endif
