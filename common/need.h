/*
 * common/need.h - memory that a judgement cannot do without. Where it ends, the program ends (abort(3), and whoever started it says so):
 * half a judgement is none. For the programs that judge and for their workers; the supervisor reports the error instead. Pure.
 */
#ifndef COMMON_NEED_H
#define COMMON_NEED_H

#include <stdlib.h>

/* What calloc(3), reallocarray(3), strdup(3) and their like gave; the caller's, as from them. */
static inline void *
need(void *memory)
{
	if (memory == NULL)
		abort();
	return memory;
}

#endif
