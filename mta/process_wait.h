/*
 * mta/process_wait.h - waiting for processes that are none of our children.
 */
#ifndef MTA_PROCESS_WAIT_H
#define MTA_PROCESS_WAIT_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Blocks until every process of the pidfds (pidfd_open(2)) has ended, or until the deadline (clock_mono_ms()). Closes all of them, and
 * leaves -1 in their place. Returns how many have not ended. Each has .events = POLLIN.
 */
size_t	process_wait(struct pollfd *, size_t len, uint64_t deadline_ms);

/*
 * After SIGSTOP, which a process sees when it next comes out of the kernel: no event tells. Blocks for 50 ms at most. False: it
 * is gone, or does not come out.
 */
bool	process_await_stopped(pid_t);

#endif
