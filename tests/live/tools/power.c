/*
 * tests/live/tools/power.c - the power controllers (BMCs) of the hosts, and the only thing that cuts power.
 *
 * usage: power NAME SOCKET...      (two for each host: its name, and where it reaches all controllers)
 *
 * Fence agents in the hosts connect to their own host's SOCKET and send "ACTION NAME"; the answer is "ok", "on",
 * "off" or a sentence. The test obeys and steers through standard input, a line each:
 *   on NAME PID            the host runs, PID is its first process
 *   cut NAME               cut its power now
 *   fault NAME works | dead | hangs | lies | late MS      how the controller of NAME behaves
 *   reach FROM NAME yes|no   whether host FROM reaches the controller of NAME
 * and learns from standard output: "cut NAME BEGIN END WHY" (nanoseconds of CLOCK_MONOTONIC), "on NAME" (please
 * boot it), "ask FROM ACTION NAME ANSWER TIME".
 *
 * A cut is as hard as one kernel allows: interfaces down, ext4 shut down without flushing its log (so
 * that whoever mounts next replays the journal), then SIGKILL to the first process of its pid namespace.
 * What ext4 had committed but not written back yet goes to the disk at once, so that nothing of the
 * dead host is written after another mounted it. What the test had frozen thaws, since who waits for it could not end. "off" is answered when its last process is gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define HOSTS_MAX 4
#define CLIENTS_MAX 64
#define SHUTDOWN_IOCTL _IOR('X', 125, uint32_t)	/* EXT4_IOC_SHUTDOWN */
#define SHUTDOWN_NOLOGFLUSH 2U

enum fault { WORKS, DEAD, HANGS, LIES, LATE };
static const char *const fault_names[] = { "works", "dead", "hangs", "lies", "late" };

struct host {
	const char	*name;
	int		 listen_fd, net_fd;	/* net_fd: any socket of its network namespace */
	pid_t		 pid;			/* 0: off */
	int		 pidfd;			/* readable once the last process of the host is gone */
	bool		 dying;
	enum fault	 fault;
	int64_t		 late_ns;
	bool		 unreachable[HOSTS_MAX];	/* from host i */
};

/* A question that waits: for the rest of its line, for its time, or for a host to die or to boot. */
struct client {
	int		 fd;			/* -1: free */
	int		 from, target;
	char		 action[16];
	bool		 asked, begun;
	int64_t		 due;
	char		 line[128];
	size_t		 len;
};

static struct host host[HOSTS_MAX];
static int hosts;
static struct client client[CLIENTS_MAX];

static int64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static int
host_find(const char *name)
{
	for (int i = 0; i < hosts; i++)
		if (strcmp(host[i].name, name) == 0)
			return i;
	return -1;
}

static void
interface_down(int fd, const char *name)
{
	struct ifreq ifr;

	memset(&ifr, 0, sizeof(ifr));
	memcpy(ifr.ifr_name, name, strlen(name));
	if (ioctl(fd, SIOCGIFFLAGS, &ifr) == -1)
		return;
	ifr.ifr_flags &= ~IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &ifr) == -1)
		perror("power: interface down");
}

static int
inside_open(pid_t pid, const char *inside, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/root%s", pid, inside);
	return open(path, flags | O_CLOEXEC);
}

/* The spool may be mounted or not; what is mounted there must be the shared disk. */
static void
disk_stop(int fs, int dev)
{
	struct stat disk, dir;
	uint32_t how = SHUTDOWN_NOLOGFLUSH;

	if (dev != -1 && fs != -1 && fstat(dev, &disk) == 0 && fstat(fs, &dir) == 0 && dir.st_dev == disk.st_rdev) {
		if (ioctl(fs, SHUTDOWN_IOCTL, &how) == -1)
			perror("power: ext4 shutdown");
		if (fsync(dev) == -1)
			perror("power: fsync");
	}
}

static void
thaw(int fs)
{
	if (fs != -1 && ioctl(fs, FITHAW, 0) == -1 && errno != EINVAL && errno != EOPNOTSUPP)
		perror("power: thaw");
	if (fs != -1)
		close(fs);
}

static void
host_cut(struct host *h, const char *why)
{
	int64_t begin = now_ns();
	int dev, spool, state;

	if (h->pid == 0 || h->dying)
		return;
	dev = inside_open(h->pid, "/dev/san", O_RDWR);
	spool = inside_open(h->pid, "/srv/mail", O_RDONLY | O_DIRECTORY);
	state = inside_open(h->pid, "/var/lib/mailpair", O_RDONLY | O_DIRECTORY);
	interface_down(h->net_fd, "eth1");
	interface_down(h->net_fd, "eth0");
	disk_stop(spool, dev);
	if (kill(h->pid, SIGKILL) == -1)
		perror("power: kill");
	/* not before: what wakes up must not live on */
	thaw(spool);
	thaw(state);
	if (dev != -1)
		close(dev);
	h->dying = true;
	printf("cut %s %lld %lld %s\n", h->name, (long long)begin, (long long)now_ns(), why);
}

static void
host_died(struct host *h)
{
	close(h->pidfd);
	h->pidfd = -1;
	h->pid = 0;
	h->dying = false;
	printf("dead %s %lld\n", h->name, (long long)now_ns());
}

static void
answer(struct client *c, const char *text)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "%s\n", text);

	if (*text && send(c->fd, line, (size_t)n, MSG_NOSIGNAL) == -1)
		text = "gone";
	printf("ask %s %s %s %s %lld\n", host[c->from].name, c->action,
	    c->target == -1 ? "?" : host[c->target].name, *text ? text : "nothing", (long long)now_ns());
	close(c->fd);
	c->fd = -1;
}

/* The question is complete and its time has come: do what can be done now, answer what can be answered. */
static void
client_step(struct client *c)
{
	struct host *h = &host[c->target];
	bool off = strcmp(c->action, "off") == 0, on = strcmp(c->action, "on") == 0;
	bool reboot = strcmp(c->action, "reboot") == 0;

	if (!off && !on && !reboot) {
		if (!h->dying)
			answer(c, h->pid ? "on" : "off");
		return;
	}
	if (h->fault == LIES) {
		answer(c, "ok");
		return;
	}
	if (!c->begun && (off || reboot)) {
		char why[64];

		snprintf(why, sizeof(why), "by %s", host[c->from].name);
		host_cut(h, why);
		if (off && h->pid == 0)
			answer(c, "ok");
		c->begun = off;
	}
	if (c->fd == -1 || h->dying)
		return;
	if (off) {
		answer(c, "ok");
		return;
	}
	if (h->pid != 0) {
		answer(c, "ok");
	} else if (!c->begun) {
		c->begun = true;
		printf("on %s\n", h->name);
	}
}

static void
client_asked(struct client *c)
{
	char name[64];
	struct host *h;

	c->asked = true;
	c->target = -1;
	if (sscanf(c->line, "%15s %63s", c->action, name) != 2 || (c->target = host_find(name)) == -1) {
		answer(c, "no such action or host");
		return;
	}
	h = &host[c->target];
	if (h->fault == DEAD || h->unreachable[c->from])
		answer(c, "");
	else if (h->fault == LATE)
		c->due = now_ns() + h->late_ns;
	else if (h->fault == HANGS)
		c->due = INT64_MAX;
}

static void
client_readable(struct client *c)
{
	ssize_t n = recv(c->fd, c->line + c->len, sizeof(c->line) - 1 - c->len, MSG_DONTWAIT);

	if (n == -1 && errno == EAGAIN)
		return;
	if (n <= 0) {			/* the agent was killed; what it began goes on */
		close(c->fd);
		c->fd = -1;
		return;
	}
	c->len += (size_t)n;
	c->line[c->len] = '\0';
	if (!c->asked && strchr(c->line, '\n'))
		client_asked(c);
}

static void
client_new(int from)
{
	int fd = accept4(host[from].listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd == -1)
		return;
	for (int i = 0; i < CLIENTS_MAX; i++)
		if (client[i].fd == -1) {
			client[i] = (struct client){ .fd = fd, .from = from, .target = -1 };
			return;
		}
	close(fd);
}

static void
host_on(struct host *h, pid_t pid)
{
	char path[64];
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), there;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	there = open(path, O_RDONLY | O_CLOEXEC);
	h->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	h->pid = h->pidfd == -1 ? 0 : pid;
	if (h->net_fd != -1)
		close(h->net_fd);
	h->net_fd = -1;
	if (home != -1 && there != -1 && setns(there, CLONE_NEWNET) == 0) {
		h->net_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (setns(home, CLONE_NEWNET) == -1)
			exit(1);
	}
	if (home != -1)
		close(home);
	if (there != -1)
		close(there);
}

static void
obey(const char *line)
{
	char verb[16] = "", name[64] = "", what[64] = "", more[64] = "";
	int words = sscanf(line, "%15s %63s %63s %63s", verb, name, what, more);
	int i = words >= 2 ? host_find(name) : -1;

	if (i == -1) {
		fprintf(stderr, "power: not understood: %s\n", line);
	} else if (strcmp(verb, "on") == 0) {
		host_on(&host[i], (pid_t)strtol(what, NULL, 10));
	} else if (strcmp(verb, "cut") == 0) {
		host_cut(&host[i], "by the test");
	} else if (strcmp(verb, "fault") == 0) {
		for (int f = WORKS; f <= LATE; f++)
			if (strcmp(what, fault_names[f]) == 0)
				host[i].fault = (enum fault)f;
		host[i].late_ns = strtol(more, NULL, 10) * 1000000LL;
		for (int c = 0; c < CLIENTS_MAX; c++)	/* a controller that recovers does not answer old questions */
			if (client[c].fd != -1 && client[c].target == i && client[c].due == INT64_MAX)
				answer(&client[c], "");
	} else if (strcmp(verb, "reach") == 0 && host_find(what) != -1) {
		host[host_find(what)].unreachable[i] = strcmp(more, "no") == 0;
	}
}

/* Returns false at the end of standard input. */
static bool
steered(void)
{
	static char buf[1024];
	static size_t len;
	ssize_t n = read(STDIN_FILENO, buf + len, sizeof(buf) - 1 - len);
	char *end;

	if (n <= 0)
		return false;
	len += (size_t)n;
	buf[len] = '\0';
	while ((end = strchr(buf, '\n')) != NULL) {
		*end++ = '\0';
		obey(buf);
		len -= (size_t)(end - buf);
		memmove(buf, end, len + 1);
	}
	return true;
}

static bool
host_open(struct host *h, char **argv)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	h->name = argv[0];
	h->pidfd = h->net_fd = -1;
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", argv[1]);
	h->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return h->listen_fd != -1 && bind(h->listen_fd, (struct sockaddr *)&sun, sizeof(sun)) == 0 &&
	    listen(h->listen_fd, 16) == 0;
}

/* How long may poll sleep: until the next late answer is due. */
static int
wait_ms(void)
{
	int64_t next = INT64_MAX, now = now_ns();

	for (int i = 0; i < CLIENTS_MAX; i++)
		if (client[i].fd != -1 && client[i].asked && client[i].due > now && client[i].due < next)
			next = client[i].due;
	return next == INT64_MAX ? -1 : (int)((next - now) / 1000000) + 1;
}

static bool
loop_once(void)
{
	struct pollfd pfd[1 + 2 * HOSTS_MAX + CLIENTS_MAX];

	pfd[0] = (struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN };
	for (int i = 0; i < hosts; i++) {
		pfd[1 + 2 * i] = (struct pollfd){ .fd = host[i].listen_fd, .events = POLLIN };
		pfd[2 + 2 * i] = (struct pollfd){ .fd = host[i].pidfd, .events = POLLIN };
	}
	for (int i = 0; i < CLIENTS_MAX; i++)
		pfd[1 + 2 * hosts + i] = (struct pollfd){ .fd = client[i].fd, .events = POLLIN };
	if (poll(pfd, (nfds_t)(1 + 2 * hosts + CLIENTS_MAX), wait_ms()) == -1 && errno != EINTR)
		return false;
	if (pfd[0].revents && !steered())
		return false;
	for (int i = 0; i < hosts; i++)
		if (pfd[2 + 2 * i].revents && host[i].pidfd == pfd[2 + 2 * i].fd)
			host_died(&host[i]);
	for (int i = 0; i < CLIENTS_MAX; i++)
		if (pfd[1 + 2 * hosts + i].revents && client[i].fd == pfd[1 + 2 * hosts + i].fd)
			client_readable(&client[i]);
	for (int i = 0; i < hosts; i++)
		if (pfd[1 + 2 * i].revents)
			client_new(i);
	for (int i = 0; i < CLIENTS_MAX; i++)
		if (client[i].fd != -1 && client[i].asked && client[i].due <= now_ns())
			client_step(&client[i]);
	fflush(stdout);
	return true;
}

int
main(int argc, char **argv)
{
	for (int i = 0; i < CLIENTS_MAX; i++)
		client[i].fd = -1;
	for (int i = 1; i + 1 < argc && hosts < HOSTS_MAX; i += 2)
		if (!host_open(&host[hosts++], argv + i)) {
			perror("power");
			return 1;
		}
	if (hosts == 0) {
		fprintf(stderr, "usage: power NAME SOCKET...\n");
		return 2;
	}
	printf("ready\n");
	fflush(stdout);
	while (loop_once())
		;
	return 0;
}
