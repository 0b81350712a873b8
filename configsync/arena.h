/*
 * configsync/arena.h - memory for many small things that are let go of at once. Pure. The process ends where memory does.
 */
#ifndef CONFIGSYNC_ARENA_H
#define CONFIGSYNC_ARENA_H

#include <stddef.h>

#include "common/need.h"

struct arena;

struct arena *arena_new(void);
void	arena_free(struct arena *);		/* NULL is allowed */
void	*arena_take(struct arena *, size_t);	/* aligned for anything; not cleared */
char	*arena_text(struct arena *, const char *);
/* The same pointer for the same text, where it was among the last few: owners' names repeat in every entry. */
const char *arena_word(struct arena *, const char *);

#endif
