/*
 * tests/live/tools/cable.c - a null modem cable between two hosts: two pseudo terminals and a relay.
 *
 * Prints the two terminals' names, then obeys lines on standard input: "cut 01", "cut 10" (one direction), "cut",
 * "heal", "noise N" (N random bytes to both sides). Bytes for a cut direction are read and lost, as
 * on a real line. Ends with its standard input.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <termios.h>
#include <unistd.h>

struct end { int master, slave; };

static bool
end_open(struct end *e)
{
	struct termios tio;
	char name[64];

	e->master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (e->master == -1 || grantpt(e->master) == -1 || unlockpt(e->master) == -1 ||
	    ptsname_r(e->master, name, sizeof(name)) != 0)
		return false;
	/* kept open, so that the line does not hang up while a host is off */
	e->slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (e->slave == -1 || tcgetattr(e->slave, &tio) == -1)
		return false;
	cfmakeraw(&tio);
	if (tcsetattr(e->slave, TCSANOW, &tio) == -1)
		return false;
	puts(name);
	return true;
}

static void
relay(const struct end *from, const struct end *to, bool cut)
{
	char buf[4096];
	ssize_t n = read(from->master, buf, sizeof(buf));

	/* what the other side does not fetch is lost: no flow control on this cable */
	if (n > 0 && !cut && write(to->master, buf, (size_t)n) == -1 && errno != EAGAIN)
		perror("cable");
}

static void
noise(const struct end *end, long len)
{
	char buf[4096];
	size_t n = len < 1 ? 0 : len > (long)sizeof(buf) ? sizeof(buf) : (size_t)len;

	for (int i = 0; i < 2; i++)
		if (getrandom(buf, n, 0) < 0 || write(end[i].master, buf, n) == -1)
			perror("cable: noise");
}

static void
obey(const struct end *end, bool *cut, const char *line)
{
	if (strncmp(line, "cut", 3) == 0) {
		cut[0] |= line[3] == '\0' || strcmp(line + 3, " 01") == 0;
		cut[1] |= line[3] == '\0' || strcmp(line + 3, " 10") == 0;
	} else if (strcmp(line, "heal") == 0) {
		cut[0] = cut[1] = false;
	} else if (strncmp(line, "noise ", 6) == 0) {
		noise(end, strtol(line + 6, NULL, 10));
	}
}

int
main(void)
{
	struct end end[2];
	bool cut[2] = { false, false };
	char line[64];

	if (!end_open(&end[0]) || !end_open(&end[1])) {
		perror("cable");
		return 1;
	}
	fflush(stdout);
	for (;;) {
		struct pollfd pfd[3] = {
			{ .fd = STDIN_FILENO, .events = POLLIN },
			{ .fd = end[0].master, .events = POLLIN },
			{ .fd = end[1].master, .events = POLLIN },
		};

		if (poll(pfd, 3, -1) == -1)
			continue;
		for (int i = 0; i < 2; i++)
			if (pfd[i + 1].revents & POLLIN)
				relay(&end[i], &end[1 - i], cut[i]);
		if (!(pfd[0].revents & (POLLIN | POLLHUP)))
			continue;
		ssize_t n = read(STDIN_FILENO, line, sizeof(line) - 1);
		if (n <= 0)
			return 0;
		line[n] = '\0';
		for (char *save, *l = strtok_r(line, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
			obey(end, cut, l);
	}
}
