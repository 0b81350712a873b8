/*
 * configsync/settle.h - changed paths wait here until the last step of a change is done: an editor's, certbot's, postmap's. Pure:
 * whoever calls says what time it is (clock_mono_ms()).
 *
 * A file outside of any set is due at once, a set quiet_ms after its last event; but most_ms after its first one at the
 * latest, so that what never rests is carried too.
 */
#ifndef CONFIGSYNC_SETTLE_H
#define CONFIGSYNC_SETTLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "configsync/set.h"

#define SETTLE_QUIET_MS 200u
#define SETTLE_MOST_MS 5000u

struct settled {
	struct set_id	  id;
	char		**path;		/* each once, in order of strcmp() */
	size_t		  paths;
};

struct settle;

struct settle *settle_new(uint32_t quiet_ms, uint32_t most_ms);
void	settle_free(struct settle *);	/* NULL is allowed */

/* rules live as long as what is taken. derived (see derived.h): it is no change itself, but its set is still being worked at. */
void	settle_note(struct settle *, const struct set_rules *, const char *path, bool derived, uint64_t now_ms);
/* When the next one is due; false: nothing waits. */
bool	settle_due(const struct settle *, uint64_t *ret_ms);
/* The one that has been due longest; NULL: none is. */
struct settled *settle_take(struct settle *, uint64_t now_ms);
void	settled_free(struct settled *);	/* NULL is allowed */

#endif
