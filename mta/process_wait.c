/*
 * mta/process_wait.c - waits for processes to end. Runs in a worker; blocks in poll() until the caller's deadline at most.
 */
#include "mta/process_wait.h"

#include <stdbool.h>
#include <unistd.h>

#include "common/clock.h"

size_t
process_wait(struct pollfd *pfd, size_t len, uint64_t deadline_ms)
{
	size_t left;
	bool last;

	do {
		uint64_t now = clock_mono_ms();
		int n = poll(pfd, len, now < deadline_ms ? (int)(deadline_ms - now) : 0);

		last = now >= deadline_ms;
		left = 0;
		for (size_t i = 0; i < len; i++) {
			bool ended = n > 0 && pfd[i].fd >= 0 && pfd[i].revents != 0;

			left += pfd[i].fd >= 0 && !ended;
			if (pfd[i].fd >= 0 && (ended || last)) {
				close(pfd[i].fd);
				pfd[i].fd = -1;		/* poll() skips it from now on */
			}
		}
	} while (left > 0 && !last);
	return left;
}
