/*
 * tests/live/tools/watch.c - an outside observer: which host holds the disk, the mail system, the address.
 *
 * usage: watch NAME DEVICE...        (DEVICE: the host's loop device, as "loop3")
 * Standard input: "on NAME PID" when a host is up. Standard output, a line for each change:
 *   TIME NAME disk|mta|address yes|no    TIME in nanoseconds of CLOCK_MONOTONIC
 * disk: the kernel has a super block of that device (looked at every millisecond); mta: something listens on
 * port 25; address: 192.0.2.10 is an address of the host (both every 5 ms). It asks the kernel only,
 * never the programs under test. A host that is off has lost the latter two when its namespace says so.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define HOSTS_MAX 4
#define SLOW_EVERY 5		/* ticks of a millisecond */

enum what { DISK, MTA, ADDRESS, WHAT_COUNT };
static const char *const what_names[] = { "disk", "mta", "address" };

struct host {
	const char	*name;
	char		 sysfs[64];
	long		 pid;
	bool		 has[WHAT_COUNT];
};

static struct host host[HOSTS_MAX];
static int hosts;

static void
noticed(struct host *h, enum what what, bool has)
{
	struct timespec ts;

	h->has[what] = has;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	printf("%lld %s %s %s\n", ts.tv_sec * 1000000000LL + ts.tv_nsec, h->name, what_names[what], has ? "yes" : "no");
}

/* Does a file of the host's /proc/net contain the text? */
static bool
net_file_has(const struct host *h, const char *file, const char *text)
{
	static char buf[262144];
	char path[64];
	size_t len = 0;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%ld/net/%s", h->pid, file);
	fd = h->pid ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd == -1)
		return false;
	while (len < sizeof(buf) - 1 && (n = read(fd, buf + len, sizeof(buf) - 1 - len)) > 0)
		len += (size_t)n;
	close(fd);
	buf[len] = '\0';
	return strstr(buf, text) != NULL;
}

/* Local port 25 in state LISTEN, as /proc/net/tcp writes it. */
static bool
listens(const struct host *h)
{
	return net_file_has(h, "tcp", ":0019 00000000:0000 0A") ||
	    net_file_has(h, "tcp6", ":0019 00000000000000000000000000000000:0000 0A");
}

/*
 * What was lost is told before what was gained: when we were late and both happened since the last
 * look, the one who gained it is not accused of having had it too early.
 */
static void
look(bool slow)
{
	bool has[HOSTS_MAX][WHAT_COUNT];
	struct stat st;

	for (int i = 0; i < hosts; i++) {
		memcpy(has[i], host[i].has, sizeof(has[i]));
		has[i][DISK] = stat(host[i].sysfs, &st) == 0;
		if (slow) {
			has[i][MTA] = listens(&host[i]);
			has[i][ADDRESS] = net_file_has(&host[i], "fib_trie", "|-- 192.0.2.10\n");
		}
	}
	for (int now = 0; now <= 1; now++)
		for (int i = 0; i < hosts; i++)
			for (enum what w = DISK; w < WHAT_COUNT; w++)
				if (has[i][w] != host[i].has[w] && has[i][w] == (bool)now)
					noticed(&host[i], w, now);
	fflush(stdout);
}

static bool
steered(void)
{
	char buf[256], name[64];
	long pid;
	ssize_t n = read(STDIN_FILENO, buf, sizeof(buf) - 1);

	if (n <= 0)
		return false;
	buf[n] = '\0';
	for (char *save, *line = strtok_r(buf, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		for (int i = 0; sscanf(line, "on %63s %ld", name, &pid) == 2 && i < hosts; i++)
			if (strcmp(host[i].name, name) == 0)
				host[i].pid = pid;
	return true;
}

int
main(int argc, char **argv)
{
	struct itimerspec tick = { { 0, 1000000 }, { 0, 1000000 } };
	struct pollfd pfd[2];
	unsigned int ticks = 0;
	uint64_t missed;

	for (int i = 1; i + 1 < argc && hosts < HOSTS_MAX; i += 2) {
		host[hosts].name = argv[i];
		snprintf(host[hosts++].sysfs, sizeof(host[0].sysfs), "/sys/fs/ext4/%s", argv[i + 1]);
	}
	pfd[0] = (struct pollfd){ .fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), .events = POLLIN };
	pfd[1] = (struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN };
	if (hosts == 0 || pfd[0].fd == -1 || timerfd_settime(pfd[0].fd, 0, &tick, NULL) == -1) {
		fprintf(stderr, "usage: watch NAME DEVICE...\n");
		return 2;
	}
	for (;;) {
		if (poll(pfd, 2, -1) == -1 && errno != EINTR)
			return 1;
		if (pfd[1].revents && !steered())
			return 0;
		if (read(pfd[0].fd, &missed, sizeof(missed)) == (ssize_t)sizeof(missed))
			look(ticks++ % SLOW_EVERY == 0);
	}
}
