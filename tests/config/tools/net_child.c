/*
 * tests/config/tools/net_child.c - the network process of configsync/net.h, some that only claim to be one, and what happens to one that breaks out.
 *
 *	net_child net-child		the real one
 *	net_child exits | long | early | unknown | stray | other | down | leaves	says something that it must not, then waits; or ends
 *	net_child breach WHAT listen|connect UID	in the sandbox, WHAT is done: exit 0 it worked, 3 no sandbox, else errno; or SIGSYS
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "configsync/net_child.h"
#include "configsync/net_priv.h"

/* ---------------------------------------------------------------- breaking out */

static int tcp = -1;	/* was there before */

static int
connect_to(uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd == -1 ? -1 : connect(fd, (const struct sockaddr *)&to, sizeof to);
}

static int
connect_with_what_is_there(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	return connect(tcp, (const struct sockaddr *)&to, sizeof to);
}

static int
bind_a_port(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	return bind(tcp, (const struct sockaddr *)&at, sizeof at);
}

static int
code(int protection)
{
	return mmap(NULL, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0;
}

static int
run_shell(void)
{
	char *const argv[] = { NULL }, *const env[] = { NULL };

	return execve("/bin/true", argv, env);
}

/* Says that it is in the sandbox, then does nothing. */
static int
wait_for_the_end(void)
{
	char c = 'x';

	return write(STDOUT_FILENO, &c, 1) == 1 && read(STDIN_FILENO, &c, 1) == 1 ? 0 : -1;
}

static int
attempt(const char *what)
{
	if (strcmp(what, "wait") == 0)
		return wait_for_the_end();
	if (strcmp(what, "read") == 0)
		return open("/etc/passwd", O_RDONLY);
	if (strcmp(what, "create") == 0)
		return open("/tmp/mailpair-net-child", O_WRONLY | O_CREAT, 0600);
	if (strcmp(what, "stat") == 0)
		return access("/etc/passwd", F_OK);
	if (strcmp(what, "fork") == 0)
		return (int)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) == 0 ? (_exit(0), 0) : 0;
	if (strcmp(what, "exec") == 0)
		return run_shell();
	if (strcmp(what, "kill") == 0)
		return kill(getppid(), 0);
	if (strcmp(what, "trace") == 0)
		return (int)ptrace(PTRACE_ATTACH, getppid(), 0, 0);
	if (strcmp(what, "root") == 0)
		return setuid(0);
	if (strcmp(what, "connect") == 0)
		return connect_to(9);
	if (strcmp(what, "reuse") == 0)
		return connect_with_what_is_there();
	if (strcmp(what, "bind") == 0)
		return bind_a_port();
	if (strcmp(what, "unix") == 0)
		return socket(AF_UNIX, SOCK_STREAM, 0);
	if (strcmp(what, "raw") == 0)
		return socket(AF_PACKET, SOCK_RAW, 0);
	if (strcmp(what, "datagram") == 0)
		return socket(AF_INET, SOCK_DGRAM, 0);
	if (strcmp(what, "code") == 0)
		return code(PROT_READ | PROT_WRITE | PROT_EXEC);
	if (strcmp(what, "memory") == 0)
		return code(PROT_READ | PROT_WRITE);
	return -1;
}

static int
breach(const char *what, const char *role, const char *user)
{
	struct net_sandbox box = { .parent = getppid(), .uid = (uid_t)strtoul(user, NULL, 10), .gid = (gid_t)strtoul(user, NULL, 10),
		.connects = strcmp(role, "connect") == 0, .port = { 10 }, .ports = 1 };
	struct net_sandboxed now;
	struct err err;

	tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (!net_sandbox(&box, &now, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return 3;
	}
	/* not by _exit(): what a sanitizer does before it is not allowed */
	syscall(SYS_exit_group, !now.seccomp ? 3 : attempt(what) == -1 ? errno : 0);
	return 4;
}

/* ---------------------------------------------------------------- lying */

static void
say(uint8_t type, uint32_t stream, const void *body, size_t len)
{
	const uint8_t head[9] = { 0, (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len, type, 0, 0, 0, (uint8_t)stream };

	if (write(NET_FD, head, sizeof head) != (ssize_t)sizeof head || write(NET_FD, body, len) != (ssize_t)len)
		_exit(1);
}

static int
lie(const char *what)
{
	static const uint8_t endless[9] = { 0x7f };
	static const struct net_ready ready;
	static const struct net_event event;
	static uint8_t body[50000];

	if (strcmp(what, "exits") == 0)
		return 42;
	if (strcmp(what, "long") == 0)
		return write(NET_FD, endless, sizeof endless) == -1 || pause();
	if (strcmp(what, "early") != 0)
		say(NET_READY, 0, &ready, sizeof ready);
	if (strcmp(what, "other") == 0 || strcmp(what, "leaves") == 0)
		say(NET_UP, 5, &event, sizeof event);
	if (strcmp(what, "down") == 0)
		say(NET_DOWN, 0, &event, sizeof event);
	for (int i = 0; i < 3 && strcmp(what, "leaves") == 0; i++)
		say(CHANNEL_TYPE_MIN, 5, body, sizeof body);
	if (strcmp(what, "leaves") == 0)
		return 42;
	say(strcmp(what, "unknown") == 0 ? CHANNEL_TYPE_MIN - 1 : CHANNEL_TYPE_MIN, 6, "?", 1);
	for (;;)
		pause();
}

int
main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "net-child") == 0)
		return net_child_main();
	if (argc == 2)
		return lie(argv[1]);
	if (argc == 5 && strcmp(argv[1], "breach") == 0)
		return breach(argv[2], argv[3], argv[4]);
	fprintf(stderr, "usage: net_child net-child|LIE|breach WHAT listen|connect UID\n");
	return 2;
}
