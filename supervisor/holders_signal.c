/*
 * supervisor/holders_signal.c - end exactly the processes that were found, and know when they are
 * gone.
 *
 * A process is meant by number and start time, and reached through a pidfd: another one that got
 * its number meanwhile is never hit. Never signals this process, its ancestors or process 1. Runs
 * in workers; holders_wait() blocks until the processes end or its time is over.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "supervisor/holders.h"
#include "supervisor/holders_impl.h"

#define ANCESTORS_MAX 64

/* The fields of /proc/PID/stat that matter here; the name stands in brackets and may hold anything.
 */
static bool
stat_read(pid_t pid, char *command, size_t size, pid_t *ret_parent, uint64_t *ret_started)
{
	char path[48], text[1024];
	unsigned long long started;
	char *open_bracket, *close_bracket;
	int parent;
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (f == NULL)
		return false;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	open_bracket = strchr(text, '(');
	close_bracket = strrchr(text, ')');
	if (open_bracket == NULL || close_bracket == NULL || close_bracket < open_bracket)
		return false;
	if (sscanf(close_bracket + 1,
		" %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
		&parent, &started) != 2)
		return false;
	snprintf(command, size, "%.*s", (int)(close_bracket - open_bracket - 1), open_bracket + 1);
	*ret_parent = parent;
	*ret_started = started;
	return true;
}

bool
holders_process(pid_t pid, char *command, size_t size, uint64_t *ret_started)
{
	pid_t parent;

	return stat_read(pid, command, size, &parent, ret_started);
}

bool
holder_endable(const struct holder *h)
{
	pid_t pid = getpid(), parent;
	uint64_t started;
	char command[64];

	if (h->pid <= 1 || h->kind == HOLDER_LOOP || h->kind == HOLDER_MOUNT ||
	    h->kind == HOLDER_NAMESPACE)
		return false;
	for (int i = 0; i < ANCESTORS_MAX && pid > 0; i++) {
		if (h->pid == pid)
			return false;
		if (!stat_read(pid, command, sizeof(command), &parent, &started))
			break;
		pid = parent;
	}
	return true;
}

/* A descriptor for exactly this process, or -1 when it is gone or not to be ended. */
static int
holder_open(const struct holder *h)
{
	uint64_t started;
	char command[64];
	int fd;

	if (!holder_endable(h))
		return -1;
	fd = pidfd_open(h->pid, 0);
	if (fd == -1)
		return -1;
	/* Compared after the descriptor is open: from then on the number cannot mean another
	 * process to it. */
	if (!holders_process(h->pid, command, sizeof(command), &started) || started != h->started) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Rows of one process follow each other or not: it counts only at its first one. */
static bool
seen_before(const struct holder *h, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (h[k].pid == h[i].pid && holder_endable(&h[k]))
			return true;
	return false;
}

size_t
holders_signal(const struct holder *h, size_t len, int signo)
{
	size_t reached = 0;

	for (size_t i = 0; i < len; i++) {
		int fd = seen_before(h, i) ? -1 : holder_open(&h[i]);

		if (fd == -1)
			continue;
		if (pidfd_send_signal(fd, signo, NULL, 0) == 0)
			reached++;
		close(fd);
	}
	return reached;
}

size_t
holders_wait(const struct holder *h, size_t len, uint32_t ms)
{
	uint64_t until = clock_mono_ms() + ms, now;
	struct pollfd *p = calloc(len + 1, sizeof(*p));
	size_t n = 0, alive;

	if (p == NULL)
		return len;
	for (size_t i = 0; i < len; i++) {
		int fd = seen_before(h, i) ? -1 : holder_open(&h[i]);

		if (fd != -1)
			p[n++] = (struct pollfd){.fd = fd, .events = POLLIN};
	}
	alive = n;
	while (alive > 0 && (now = clock_mono_ms()) < until) {
		if (poll(p, (nfds_t)n, (int)(until - now)) == -1 && errno != EINTR)
			break;
		for (size_t i = 0; i < n; i++) {
			if (p[i].fd == -1 || p[i].revents == 0)
				continue;
			close(p[i].fd);
			p[i].fd = -1; /* poll() leaves it out from now on */
			p[i].revents = 0;
			alive--;
		}
	}
	for (size_t i = 0; i < n; i++)
		if (p[i].fd != -1)
			close(p[i].fd);
	free(p);
	return alive;
}
