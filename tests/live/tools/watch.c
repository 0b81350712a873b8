/*
 * tests/live/tools/watch.c - an outside observer: which host holds the disk, the mail system, the address.
 *
 * usage: watch NAME DEVICE...        (DEVICE: the host's loop device, as "loop3")
 * Standard input: "on NAME PID" when a host is up, "off NAME". Standard output, a line for each change:
 *   TIME NAME disk|mta|address yes|no    TIME in nanoseconds of CLOCK_MONOTONIC
 * disk: the kernel has a super block of that device (looked at every millisecond); mta: something listens on
 * TCP port 25; address: 192.0.2.10 is an address of the host (both every 5 ms, asked through sockets in the
 * host's network namespace). It asks the kernel only, never the programs under test.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define HOSTS_MAX 4
#define SLOW_EVERY 5		/* ticks of a millisecond */
#define INTERFACES_MAX 32
#define SMTP_PORT 25
#define SERVICE "192.0.2.10"

enum what { DISK, MTA, ADDRESS, WHAT_COUNT };
static const char *const what_names[] = { "disk", "mta", "address" };

struct host {
	const char	*name;
	char		 sysfs[64];
	int		 diag_fd, inet_fd;	/* sockets in its network namespace, -1 before it was on */
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

static void
host_off(struct host *h)
{
	if (h->diag_fd != -1)
		close(h->diag_fd);
	if (h->inet_fd != -1)
		close(h->inet_fd);
	h->diag_fd = h->inet_fd = -1;
}

/* Sockets stay in the namespace in which they were made. */
static void
host_on(struct host *h, long pid)
{
	char path[64];
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), there;

	snprintf(path, sizeof(path), "/proc/%ld/ns/net", pid);
	there = open(path, O_RDONLY | O_CLOEXEC);
	host_off(h);
	if (home != -1 && there != -1 && setns(there, CLONE_NEWNET) == 0) {
		h->diag_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
		h->inet_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (setns(home, CLONE_NEWNET) == -1)
			exit(1);
	}
	if (home != -1)
		close(home);
	if (there != -1)
		close(there);
}

/* One answer of the dump; *ret_more: another will follow. */
static bool
answer_has_port(int fd, bool *ret_more)
{
	static char buf[32768] __attribute__((aligned(8)));
	bool found = false;
	ssize_t n = recv(fd, buf, sizeof(buf), 0);
	size_t left = n > 0 ? (size_t)n : 0;

	*ret_more = n > 0;
	for (struct nlmsghdr *nh = (struct nlmsghdr *)(void *)buf; NLMSG_OK(nh, left); nh = NLMSG_NEXT(nh, left)) {
		const struct inet_diag_msg *m = NLMSG_DATA(nh);

		if (nh->nlmsg_type == NLMSG_DONE || nh->nlmsg_type == NLMSG_ERROR)
			*ret_more = false;
		else if (ntohs(m->id.idiag_sport) == SMTP_PORT)
			found = true;
	}
	return found;
}

static bool
listens(const struct host *h, unsigned char family)
{
	struct { struct nlmsghdr nh; struct inet_diag_req_v2 req; } ask = {
		.nh = { .nlmsg_len = sizeof(ask), .nlmsg_type = SOCK_DIAG_BY_FAMILY,
		    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.req = { .sdiag_family = family, .sdiag_protocol = IPPROTO_TCP, .idiag_states = 1U << TCP_LISTEN },
	};
	bool more = true, found = false;

	if (h->diag_fd == -1 || send(h->diag_fd, &ask, sizeof(ask), 0) == -1)
		return false;
	while (more)
		found |= answer_has_port(h->diag_fd, &more);
	return found;
}

static bool
has_address(const struct host *h)
{
	struct ifreq ifr[INTERFACES_MAX];
	struct ifconf list = { .ifc_len = sizeof(ifr), .ifc_req = ifr };
	in_addr_t wanted = inet_addr(SERVICE);

	if (h->inet_fd == -1 || ioctl(h->inet_fd, SIOCGIFCONF, &list) == -1)
		return false;
	for (size_t i = 0; i < (size_t)list.ifc_len / sizeof(ifr[0]); i++)
		if (((const struct sockaddr_in *)(const void *)&ifr[i].ifr_addr)->sin_addr.s_addr == wanted)
			return true;
	return false;
}

static void
ask_all(bool slow, bool has[HOSTS_MAX][WHAT_COUNT])
{
	struct stat st;

	for (int i = 0; i < hosts; i++) {
		memcpy(has[i], host[i].has, sizeof(has[i]));
		has[i][DISK] = stat(host[i].sysfs, &st) == 0;
		if (slow) {
			has[i][MTA] = listens(&host[i], AF_INET) || listens(&host[i], AF_INET6);
			has[i][ADDRESS] = has_address(&host[i]);
		}
	}
}

/*
 * The hosts are asked one after the other, and between two questions the machine may stand still for as long as
 * a move takes: "yes" of the one from before it and "yes" of the other from after it do not mean that both had
 * it. What has changed counts only when a second round of questions answers as the first did; then each "yes"
 * held from its first question to its second, and so in the same moment as the others.
 * What was lost is told before what was gained: when we were late and both happened since the last
 * look, the one who gained it is not accused of having had it too early.
 */
static void
look(bool slow)
{
	bool has[HOSTS_MAX][WHAT_COUNT], again[HOSTS_MAX][WHAT_COUNT];
	bool changed = false;

	ask_all(slow, has);
	for (int i = 0; i < hosts; i++)
		changed |= memcmp(has[i], host[i].has, sizeof(has[i])) != 0;
	while (changed) {
		ask_all(slow, again);
		changed = memcmp(again, has, sizeof(has[0]) * (size_t)hosts) != 0;
		memcpy(has, again, sizeof(has[0]) * (size_t)hosts);
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
	char buf[256], verb[8], name[64];
	ssize_t n = read(STDIN_FILENO, buf, sizeof(buf) - 1);

	if (n <= 0)
		return false;
	buf[n] = '\0';
	for (char *save, *line = strtok_r(buf, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		long pid = 0;
		int words = sscanf(line, "%7s %63s %ld", verb, name, &pid);

		for (int i = 0; words >= 2 && i < hosts; i++) {
			if (strcmp(host[i].name, name) != 0)
				continue;
			if (strcmp(verb, "on") == 0)
				host_on(&host[i], pid);
			else
				host_off(&host[i]);
		}
	}
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
		host[hosts] = (struct host){ .name = argv[i], .diag_fd = -1, .inet_fd = -1 };
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
