/*
 * supervisor/edge_fence.h - the two steps of edge_real that are about fence devices, apart from the others so that scenarios in
 * virtual time can have the real ones (over agents of their own). See edge.h for context and reports.
 */
#ifndef SUPERVISOR_EDGE_FENCE_H
#define SUPERVISOR_EDGE_FENCE_H

#include <stdbool.h>

#include "common/err.h"
#include "common/spawn.h"

bool	edge_power(const void *ctx, struct spawn_out *, struct err *);
bool	edge_fence_monitor(const void *ctx, struct spawn_out *, struct err *);

#endif
