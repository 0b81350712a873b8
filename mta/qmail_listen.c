/*
 * mta/qmail_listen.c - the sockets of one process, by its descriptors and its network namespace's tables: where it
 * listens, and whether its client can reach it still. Runs in workers; blocks on /proc.
 */
#include "mta/qmail_process.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SOCKETS_MAX 64
#define STATE_ESTABLISHED 0x01
#define STATE_LISTEN 0x0a

struct sockets { unsigned long long inode[SOCKETS_MAX]; size_t len; };

static void
sockets_of(pid_t pid, struct sockets *ret)
{
	char path[64], target[64];
	struct dirent *entry;
	DIR *dir;

	ret->len = 0;
	snprintf(path, sizeof path, "/proc/%d/fd", pid);
	dir = opendir(path);
	while (dir != NULL && ret->len < SOCKETS_MAX && (entry = readdir(dir)) != NULL) {
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1);

		if (n <= 0)
			continue;
		target[n] = '\0';
		ret->len += sscanf(target, "socket:[%llu]", &ret->inode[ret->len]) == 1;
	}
	if (dir != NULL)
		closedir(dir);
}

static bool
is_among(const struct sockets *sockets, unsigned long long inode)
{
	for (size_t i = 0; i < sockets->len; i++)
		if (sockets->inode[i] == inode)
			return true;
	return false;
}

/* The kernel writes addresses as words of this machine's order. Any address is told as the loopback one. */
static void
address_text(const char *hex, char ret[64])
{
	uint8_t bytes[16] = { 0 };
	size_t len = strlen(hex) / 2;
	bool any = true;

	for (size_t i = 0; i + 4 <= len && len <= sizeof bytes; i += 4) {
		char word[9];
		uint32_t value;

		snprintf(word, sizeof word, "%.8s", hex + 2 * i);
		value = (uint32_t)strtoul(word, NULL, 16);
		memcpy(bytes + i, &value, sizeof value);
		any = any && value == 0;
	}
	if (any)
		snprintf(ret, 64, "%s", len == 16 ? "::1" : "127.0.0.1");
	else if (inet_ntop(len == 16 ? AF_INET6 : AF_INET, bytes, ret, 64) == NULL)
		ret[0] = '\0';
}

static size_t
table_read(pid_t pid, const char *name, const struct sockets *sockets, unsigned int wanted, struct qmail_listen *ret, size_t room)
{
	char path[64], line[512], hex[40];
	unsigned long long inode;
	unsigned int port, state;
	size_t len = 0;
	FILE *stream;

	snprintf(path, sizeof path, "/proc/%d/net/%s", pid, name);
	stream = fopen(path, "re");
	while (stream != NULL && len < room && fgets(line, sizeof line, stream) != NULL) {
		if (sscanf(line, " %*d: %39[0-9A-Fa-f]:%x %*s %x %*s %*s %*s %*u %*d %llu", hex, &port, &state, &inode) != 4 ||
		    state != wanted || port == 0 || port > UINT16_MAX || !is_among(sockets, inode))
			continue;
		ret[len].port = (uint16_t)port;
		address_text(hex, ret[len].address);
		len += ret[len].address[0] != '\0';
	}
	if (stream != NULL)
		fclose(stream);
	return len;
}

static size_t
ends_of(pid_t pid, unsigned int state, struct qmail_listen ret[QMAIL_LISTENS_MAX])
{
	struct sockets sockets;
	size_t len = 0;

	sockets_of(pid, &sockets);
	if (sockets.len != 0) {
		len = table_read(pid, "tcp", &sockets, state, ret, QMAIL_LISTENS_MAX);
		len += table_read(pid, "tcp6", &sockets, state, ret + len, QMAIL_LISTENS_MAX - len);
	}
	return len;
}

size_t
qmail_process_listens(pid_t pid, struct qmail_listen ret[QMAIL_LISTENS_MAX])
{
	return ends_of(pid, STATE_LISTEN, ret);
}

static const void *
address_bytes(const struct sockaddr *sa)
{
	if (sa != NULL && sa->sa_family == AF_INET)
		return &((const struct sockaddr_in *)(const void *)sa)->sin_addr;
	if (sa != NULL && sa->sa_family == AF_INET6)
		return &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
	return NULL;
}

/* By one of our interfaces. */
static bool
is_held(const struct ifaddrs *list, const char *address)
{
	const char *plain = strncmp(address, "::ffff:", 7) == 0 ? address + 7 : address;
	char text[64];

	for (; list != NULL; list = list->ifa_next) {
		const void *bytes = address_bytes(list->ifa_addr);

		if (bytes != NULL && inet_ntop(list->ifa_addr->sa_family, bytes, text, sizeof text) != NULL && strcmp(text, plain) == 0)
			return true;
	}
	/* the rest of 127.0.0.0/8 stands in no list */
	return strncmp(plain, "127.", 4) == 0;
}

bool
qmail_process_is_cut_off(pid_t pid)
{
	struct qmail_listen end[QMAIL_LISTENS_MAX];
	size_t len = ends_of(pid, STATE_ESTABLISHED, end);
	struct ifaddrs *list = NULL;
	bool off = false;

	if (len == 0 || getifaddrs(&list) == -1)
		return false;
	for (size_t i = 0; i < len; i++)
		off = off || !is_held(list, end[i].address);
	freeifaddrs(list);
	return off;
}
