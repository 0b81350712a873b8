/*
 * tests/live/tools/host.c - one host of the live tests: builds its root and becomes its PID 1.
 *
 * usage: host NAME NETNS DIR SAN SERIAL BMC COMMAND [ARG]...
 *   NETNS   file of the network namespace      DIR  holds upper/ (the host's own disk), work/, root/
 *   SAN     block device seen as /dev/san      SERIAL  terminal seen as /dev/ttyS1
 *   BMC     directory seen as /run/bmc         COMMAND  run once the host is up, as init's only job
 *
 * The root is an overlay over the machine's own: what the host writes goes to upper/ and survives a
 * reboot, /run, /tmp and /dev do not. A boot id of its own makes a reboot look like one. The first
 * process prints "pid N" (of PID 1) and waits for its end; PID 1 reaps, and keeps the system log.
 * It never ends by itself: a host ends by losing its power.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void __attribute__((noreturn, format(printf, 1, 2)))
die(const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	fputs("host: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, ": %s\n", strerror(saved));
	exit(1);
}

static void
must_mount(const char *what, const char *where, const char *type, unsigned long flags, const char *data)
{
	if (mount(what, where, type, flags, data) == -1)
		die("mount %s on %s", what, where);
}

static void
make_dir(const char *path, mode_t mode)
{
	if (mkdir(path, mode) == -1 && errno != EEXIST)
		die("mkdir %s", path);
	if (chmod(path, mode) == -1)
		die("chmod %s", path);
}

static void
make_node(const char *path, mode_t mode, unsigned int maj, unsigned int min)
{
	if (mknod(path, mode, makedev(maj, min)) == -1 || chmod(path, mode & 07777) == -1)
		die("mknod %s", path);
}

static void
bind_file(const char *from, const char *to)
{
	int fd = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd != -1)
		close(fd);
	must_mount(from, to, NULL, MS_BIND, NULL);
}

/* The current directory is the new root. */
static void
make_dev(const char *san, const char *serial)
{
	struct stat st;

	must_mount("dev", "dev", "tmpfs", MS_NOSUID, "mode=755,size=1m");
	make_node("dev/null", S_IFCHR | 0666, 1, 3);
	make_node("dev/zero", S_IFCHR | 0666, 1, 5);
	make_node("dev/full", S_IFCHR | 0666, 1, 7);
	make_node("dev/random", S_IFCHR | 0666, 1, 8);
	make_node("dev/urandom", S_IFCHR | 0666, 1, 9);
	make_node("dev/tty", S_IFCHR | 0666, 5, 0);
	make_dir("dev/shm", 01777);
	make_dir("dev/pts", 0755);
	must_mount("shm", "dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "size=16m");
	must_mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=666,mode=620");
	if (symlink("pts/ptmx", "dev/ptmx") == -1 || symlink("/proc/self/fd", "dev/fd") == -1 ||
	    symlink("fd/0", "dev/stdin") == -1 || symlink("fd/1", "dev/stdout") == -1 ||
	    symlink("fd/2", "dev/stderr") == -1)
		die("links in /dev");
	if (stat(san, &st) == -1 || !S_ISBLK(st.st_mode))
		die("%s is no block device", san);
	make_node("dev/san", S_IFBLK | 0660, major(st.st_rdev), minor(st.st_rdev));
	bind_file(serial, "dev/ttyS1");
}

/* Both hosts share one kernel, and a reboot does not restart it: without this every boot of every host would look the same. */
static void
make_boot_id(void)
{
	char id[64];
	int from = open("/proc/sys/kernel/random/uuid", O_RDONLY | O_CLOEXEC);
	int to = open("run/boot_id", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0444);
	ssize_t n = from == -1 ? -1 : read(from, id, sizeof(id));

	if (n <= 0 || to == -1 || write(to, id, (size_t)n) != n)
		die("boot id");
	close(from);
	close(to);
	must_mount("run/boot_id", "proc/sys/kernel/random/boot_id", NULL, MS_BIND, NULL);
}

static void
make_root(const char *dir, const char *san, const char *serial, const char *bmc)
{
	char options[1024], root[512];

	must_mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
	snprintf(root, sizeof(root), "%s/root", dir);
	snprintf(options, sizeof(options), "lowerdir=/,upperdir=%s/upper,workdir=%s/work", dir, dir);
	must_mount("overlay", root, "overlay", 0, options);
	if (chdir(root) == -1)
		die("chdir %s", root);
	must_mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	must_mount("sysfs", "sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	make_dev(san, serial);
	must_mount("run", "run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=16m");
	must_mount("tmp", "tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=64m");
	make_dir("run/lock", 01777);
	make_dir("run/bmc", 0755);
	must_mount(bmc, "run/bmc", NULL, MS_BIND, NULL);
	make_boot_id();
	make_dir("run/old", 0700);
	if (syscall(SYS_pivot_root, ".", "run/old") == -1 || chdir("/") == -1)
		die("pivot_root");
	if (umount2("/run/old", MNT_DETACH) == -1 || rmdir("/run/old") == -1)
		die("leaving the old root");
}

static int
log_socket(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX, .sun_path = "/dev/log" };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd == -1 || bind(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1 || chmod(sun.sun_path, 0666) == -1)
		die("/dev/log");
	return fd;
}

/* One line of the system log: our time in milliseconds in front of what was sent, without its priority. */
static void
log_line(FILE *out, char *msg, size_t len)
{
	struct timespec now;
	struct tm tm;
	char at[32];
	char *text;

	msg[len] = '\0';
	while (len > 0 && (msg[len - 1] == '\n' || msg[len - 1] == '\0'))
		msg[--len] = '\0';
	text = *msg == '<' ? strchr(msg, '>') : NULL;
	text = text ? text + 1 : msg;
	if (strlen(text) > 16 && text[3] == ' ' && text[15] == ' ')	/* "Nov 21 18:00:00 " of syslog(3) */
		text += 16;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(at, sizeof(at), "%H:%M:%S", &tm);
	fprintf(out, "%s.%03ld %s\n", at, now.tv_nsec / 1000000, text);
	fflush(out);
}

static void __attribute__((noreturn))
init_loop(int log_fd, char **command)
{
	struct pollfd pfd[2];
	FILE *out = fopen("/var/log/syslog", "ae");
	static char msg[65536];
	sigset_t set;
	ssize_t n;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	pfd[0] = (struct pollfd){ .fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), .events = POLLIN };
	pfd[1] = (struct pollfd){ .fd = log_fd, .events = POLLIN };
	if (!out || pfd[0].fd == -1)
		die("/var/log/syslog");
	if (fork() == 0) {
		sigprocmask(SIG_UNBLOCK, &set, NULL);
		setsid();
		execv(command[0], command);
		die("%s", command[0]);
	}
	for (;;) {
		poll(pfd, 2, -1);
		while (read(pfd[0].fd, msg, sizeof(struct signalfd_siginfo)) > 0)
			;
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		while ((n = recv(log_fd, msg, sizeof(msg) - 1, 0)) > 0)
			log_line(out, msg, (size_t)n);
	}
}

int
main(int argc, char **argv)
{
	int netns, status;
	pid_t pid;

	if (argc < 8) {
		fprintf(stderr, "usage: host NAME NETNS DIR SAN SERIAL BMC COMMAND [ARG]...\n");
		return 2;
	}
	netns = open(argv[2], O_RDONLY | O_CLOEXEC);
	if (netns == -1 || setns(netns, CLONE_NEWNET) == -1)
		die("%s", argv[2]);
	if (unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID) == -1)
		die("unshare");
	pid = fork();
	if (pid == -1)
		die("fork");
	if (pid == 0) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 || sethostname(argv[1], strlen(argv[1])) == -1)
			die("%s", argv[1]);
		umask(022);
		make_root(argv[3], argv[4], argv[5], argv[6]);
		status = log_socket();
		printf("up\n");
		fflush(stdout);
		if (!freopen("/dev/null", "r", stdin) || !freopen("/dev/null", "w", stdout) ||
		    !freopen("/var/log/console", "a", stderr))
			die("/dev/null");
		init_loop(status, argv + 7);
	}
	printf("pid %d\n", pid);
	fflush(stdout);
	close(STDOUT_FILENO);
	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
