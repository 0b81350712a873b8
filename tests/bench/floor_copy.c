/*
 * tests/bench/floor_copy.c - the least that brings an edited file to another directory through a TCP connection, for comparison:
 * no digest, no check, no versions, no encryption, one directory, files that fit in memory.
 *
 *	floor_copy FROM TO
 *
 * Sees by inotify that a file in FROM was closed or renamed, sends its bytes to a second process, which writes them beside
 * their place in TO, syncs, renames, and syncs the directory. Runs until standard input ends.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <unistd.h>

#define FILE_MAX (4u << 20)

struct head { uint32_t name, bytes; };

static char buf[FILE_MAX];

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static void
all(ssize_t (*f)(int, void *, size_t), int fd, void *p, size_t len)
{
	for (ssize_t n; len > 0; p = (char *)p + n, len -= (size_t)n)
		if ((n = f(fd, p, len)) <= 0)
			exit(0);
}

static ssize_t
put(int fd, void *p, size_t len)
{
	return write(fd, p, len);
}

static void
receive(int fd, const char *to)
{
	int dir = open(to, O_RDONLY | O_DIRECTORY);
	char name[256];
	struct head h;

	for (;;) {
		int out;

		all(read, fd, &h, sizeof h);
		if (h.name >= sizeof name || h.bytes > FILE_MAX)
			exit(1);
		all(read, fd, name, h.name);
		name[h.name] = '\0';
		all(read, fd, buf, h.bytes);
		out = openat(dir, ".floor", O_WRONLY | O_CREAT | O_TRUNC, 0644);
		all(put, out, buf, h.bytes);
		if (fdatasync(out) == -1 || close(out) == -1 || renameat(dir, ".floor", dir, name) == -1 || fsync(dir) == -1)
			die(name);
	}
}

static void
send_one(int fd, int dir, const char *name)
{
	int in = openat(dir, name, O_RDONLY | O_NOFOLLOW);
	struct head h = { .name = (uint32_t)strlen(name) };
	ssize_t n;

	if (in == -1)
		return;
	while (h.bytes < FILE_MAX && (n = read(in, buf + h.bytes, FILE_MAX - h.bytes)) > 0)
		h.bytes += (uint32_t)n;
	close(in);
	all(put, fd, &h, sizeof h);
	all(put, fd, (void *)(uintptr_t)name, h.name);
	all(put, fd, buf, h.bytes);
}

static void
watch(int fd, const char *from)
{
	int dir = open(from, O_RDONLY | O_DIRECTORY), in = inotify_init1(IN_CLOEXEC);
	static char events[65536] __attribute__((aligned(8)));
	struct pollfd pfd[2] = { { .fd = in, .events = POLLIN }, { .fd = 0, .events = POLLIN } };

	if (inotify_add_watch(in, from, IN_CLOSE_WRITE | IN_MOVED_TO) == -1)
		die(from);
	puts("ready");
	fflush(stdout);
	while (poll(pfd, 2, -1) > 0) {
		ssize_t n;

		if (pfd[1].revents != 0)
			return;
		n = read(in, events, sizeof events);
		for (char *at = events; at < events + n; ) {
			struct inotify_event *e = (void *)at;

			send_one(fd, dir, e->name);
			at += sizeof *e + e->len;
		}
	}
}

int
main(int argc, char **argv)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof sin;
	int s = socket(AF_INET, SOCK_STREAM, 0), fd, one = 1;

	if (argc != 3 || bind(s, (struct sockaddr *)&sin, len) == -1 || listen(s, 1) == -1 || getsockname(s, (struct sockaddr *)&sin, &len) == -1) {
		fprintf(stderr, "usage: floor_copy FROM TO\n");
		return 2;
	}
	if (fork() == 0) {
		fd = accept(s, NULL, NULL);
		receive(fd, argv[2]);
	}
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(fd, (struct sockaddr *)&sin, len) == -1)
		die("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	watch(fd, argv[1]);
	return 0;
}
