/*
 * mta/process_wait.c - waits for processes to end or to stop. Runs in a worker.
 */
#include "mta/process_wait.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/durable.h"

#define STOP_MS 50

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

/* Its state by the letter of proc(5); 0: it is gone. */
static char
state_of(pid_t pid)
{
	char path[32], text[1024], state = '\0';
	const char *close;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	if (durable_read(path, text, sizeof text, NULL) != -1 && (close = strrchr(text, ')')) != NULL)
		sscanf(close + 1, " %c", &state);
	return state;
}

bool
process_await_stopped(pid_t pid)
{
	for (int i = 0; i < STOP_MS; i++) {
		char state = state_of(pid);

		if (state == 'T' || state == 't')
			return true;
		if (state == '\0' || state == 'Z')
			return false;
		poll(NULL, 0, 1);
	}
	return false;
}
