/*
 * configsync/watch_pending.h - paths that are still to be told, each once, and never more than a bound: beyond it, the directories they
 * stand in with all below. Pure.
 */
#ifndef CONFIGSYNC_WATCH_PENDING_H
#define CONFIGSYNC_WATCH_PENDING_H

#include <stdbool.h>
#include <stddef.h>

#include "configsync/entry.h"

struct watch_pending;

struct watch_pending *watch_pending_new(size_t most);	/* at least 1 */
void	watch_pending_free(struct watch_pending *);	/* NULL is allowed */
/* path "" with below: everything. */
void	watch_pending_add(struct watch_pending *, const char *path, bool below);
/* Any one of them; false: there is none. */
bool	watch_pending_take(struct watch_pending *, char ret_path[ENTRY_PATH_MAX + 1], bool *ret_below);
size_t	watch_pending_len(const struct watch_pending *);

#endif
