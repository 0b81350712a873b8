/*
 * tests/live/tools/prober.c - the client that measures an outage: connects again and again, waits for a greeting.
 *
 * usage: prober ADDRESS PORT EVERY_MS LOG
 * Attempts overlap, so that the resolution stays EVERY_MS while packets vanish. A line each in LOG:
 *   START END OUTCOME      nanoseconds of CLOCK_MONOTONIC
 * ok (220 came), refused, reset, eof (closed before the greeting), timeout (no connection), silent (connected, no
 * greeting), unreachable, busy (greeting was not 220), other. SIGTERM ends it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define TRIES_MAX 1024
#define CONNECT_NS 500000000LL
#define GREETING_NS 2000000000LL

enum phase { FREE, CONNECTING, WAITING, PARTING };
struct try { int fd; enum phase phase; int64_t began; char text[4]; size_t len; };

static struct try tries[TRIES_MAX];
static union { struct sockaddr sa; struct sockaddr_in v4; struct sockaddr_in6 v6; } server;
static socklen_t server_len;
static FILE *out;
static volatile sig_atomic_t ended;

static void
on_term(int sig)
{
	(void)sig;
	ended = 1;
}

static int64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static void
try_close(struct try *t)
{
	close(t->fd);
	t->fd = -1;
	t->phase = FREE;
}

static void
try_result(struct try *t, const char *outcome)
{
	struct linger now = { 1, 0 };

	fprintf(out, "%lld %lld %s\n", (long long)t->began, (long long)now_ns(), outcome);
	if (strcmp(outcome, "ok") == 0) {	/* part like an honest client */
		t->phase = PARTING;
		if (send(t->fd, "QUIT\r\n", 6, MSG_NOSIGNAL) == 6)
			return;
	}
	setsockopt(t->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	try_close(t);
}

static void
try_failed(struct try *t, int sys)
{
	switch (sys) {
	case ECONNREFUSED:
		try_result(t, "refused");
		break;
	case ECONNRESET:
	case EPIPE:
		try_result(t, "reset");
		break;
	case ETIMEDOUT:
		try_result(t, "timeout");
		break;
	case EHOSTUNREACH:
	case ENETUNREACH:
		try_result(t, "unreachable");
		break;
	default:
		try_result(t, "other");
	}
}

static void
try_begin(void)
{
	struct try *t = tries;

	while (t < tries + TRIES_MAX && t->phase != FREE)
		t++;
	if (t == tries + TRIES_MAX)
		return;
	*t = (struct try){ .phase = CONNECTING, .began = now_ns() };
	t->fd = socket(server.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (t->fd == -1)
		t->phase = FREE;
	else if (connect(t->fd, &server.sa, server_len) == -1 && errno != EINPROGRESS)
		try_failed(t, errno);
}

static void
try_ready(struct try *t)
{
	int sys = 0;
	socklen_t len = sizeof(sys);
	char rest[512];
	ssize_t n;

	if (t->phase == PARTING) {
		n = recv(t->fd, rest, sizeof(rest), 0);
		if (n == 0 || (n == -1 && errno != EAGAIN))
			try_close(t);
		return;
	}
	if (t->phase == CONNECTING) {
		getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &sys, &len);
		if (sys != 0) {
			try_failed(t, sys);
			return;
		}
		t->phase = WAITING;
	}
	n = recv(t->fd, t->text + t->len, 3 - t->len, 0);
	if (n == 0) {
		try_result(t, "eof");
	} else if (n == -1 && errno != EAGAIN) {
		try_failed(t, errno);
	} else if (n > 0) {
		t->len += (size_t)n;
		if (t->len == 3)
			try_result(t, strcmp(t->text, "220") == 0 ? "ok" : "busy");
	}
}

static void
look_at_clocks(void)
{
	int64_t now = now_ns();

	for (struct try *t = tries; t < tries + TRIES_MAX; t++) {
		if (t->phase == CONNECTING && now - t->began > CONNECT_NS)
			try_result(t, "timeout");
		else if (t->phase == WAITING && now - t->began > GREETING_NS)
			try_result(t, "silent");
		else if (t->phase == PARTING && now - t->began > 2 * GREETING_NS)
			try_close(t);
	}
}

static void
loop(int timer)
{
	static struct pollfd pfd[TRIES_MAX + 1];
	uint64_t missed;

	while (!ended) {
		pfd[0] = (struct pollfd){ .fd = timer, .events = POLLIN };
		for (int i = 0; i < TRIES_MAX; i++) {
			struct try *t = &tries[i];

			pfd[i + 1] = (struct pollfd){ .fd = t->phase == FREE ? -1 : t->fd };
			pfd[i + 1].events = t->phase == CONNECTING ? POLLOUT : POLLIN;
		}
		if (poll(pfd, TRIES_MAX + 1, -1) == -1)
			continue;
		for (int i = 0; i < TRIES_MAX; i++)
			if (pfd[i + 1].revents && tries[i].phase != FREE)
				try_ready(&tries[i]);
		if (read(timer, &missed, sizeof(missed)) != (ssize_t)sizeof(missed))
			continue;
		look_at_clocks();
		try_begin();
		fflush(out);
	}
}

int
main(int argc, char **argv)
{
	struct itimerspec every = { { 0, 0 }, { 0, 0 } };
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	out = argc == 5 ? fopen(argv[4], "ae") : NULL;
	if (!out || timer == -1) {
		fprintf(stderr, "usage: prober ADDRESS PORT EVERY_MS LOG\n");
		return 2;
	}
	if (inet_pton(AF_INET, argv[1], &server.v4.sin_addr) == 1) {
		server.v4.sin_family = AF_INET;
		server.v4.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
		server_len = sizeof(server.v4);
	} else if (inet_pton(AF_INET6, argv[1], &server.v6.sin6_addr) == 1) {
		server.v6.sin6_family = AF_INET6;
		server.v6.sin6_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
		server_len = sizeof(server.v6);
	} else {
		return 2;
	}
	signal(SIGTERM, on_term);
	every.it_value.tv_nsec = every.it_interval.tv_nsec = strtol(argv[3], NULL, 10) * 1000000L;
	timerfd_settime(timer, 0, &every, NULL);
	loop(timer);
	return fclose(out) == 0 ? 0 : 1;
}
