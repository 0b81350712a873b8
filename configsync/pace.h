/*
 * configsync/pace.h - how much of a work that cannot be interrupted is begun at once, so that each piece takes no longer than it may: little at first,
 * more while it is quick. A disk that was quick a minute ago may be busy now, which only the first piece can tell. Pure.
 */
#ifndef CONFIGSYNC_PACE_H
#define CONFIGSYNC_PACE_H

#include <stdint.h>

/* first, most: units of work in a piece, both at least 1; us: how long one should take. */
struct pace { uint64_t first, most, us, now; };

uint64_t pace_units(const struct pace *);	/* of the next piece, at least 1 */
void	pace_took(struct pace *, uint64_t units, uint64_t us);
void	pace_rest(struct pace *);		/* all is done: what comes later begins with little again */

#endif
