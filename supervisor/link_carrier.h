/*
 * supervisor/link_carrier.h - asks network drivers for their carrier fifty times a second.
 *
 * The kernel tells of a lost carrier through rtnetlink up to a second late (it gathers such news), which is longer than a
 * takeover takes. The question itself waits for the kernel's routing lock, so it is put by a thread of its own that
 * touches nothing but its own memory and a pipe; heartbeats never wait for it.
 */
#ifndef SUPERVISOR_LINK_CARRIER_H
#define SUPERVISOR_LINK_CARRIER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

struct carrier_poll;

/* Names are copied. NULL with *err where no thread or pipe can be had. */
struct carrier_poll *carrier_poll_new(const char *const *ifnames, size_t len, struct err *);
/* Readable when something changed. */
int	carrier_poll_fd(const struct carrier_poll *);
/* The next change, never blocks: which of the names, and whether it has carrier now. False: no more. */
bool	carrier_poll_next(struct carrier_poll *, size_t *ret_index, bool *ret_carrier);
/* Waits for the thread, at most for the question that is being asked. */
void	carrier_poll_free(struct carrier_poll *);

#endif
