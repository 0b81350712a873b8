/*
 * mta/process_wait.h - waiting for processes that are none of our children, by their pidfds (pidfd_open(2)).
 */
#ifndef MTA_PROCESS_WAIT_H
#define MTA_PROCESS_WAIT_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Blocks until every process of the descriptors has ended, or until the deadline (clock_mono_ms()). Closes all of them, and
 * leaves -1 in their place. Returns how many have not ended. Each has .events = POLLIN.
 */
size_t	process_wait(struct pollfd *, size_t len, uint64_t deadline_ms);

#endif
