/*
 * supervisor/keeper.c - see keeper.h. Runs as mailpaird's outer process; no loop of libevent, no state, no decisions.
 */
#include "supervisor/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "supervisor/notify.h"

#define CALM_MS 1000		/* a supervisor that dies younger than this was ill from the start ... */
#define HASTE_MAX 5		/* ... and after so many of them in a row the next waits as long */

struct keeper {
	const char	*run_dir;
	int		(*run)(void *, int);
	void		*arg;
	char		*const *argv;
	int		 signals;
	pid_t		 pid;		/* the supervisor that is watched */
	int		 pidfd;
	bool		 child;		/* it is our child */
	bool		 ending;	/* told to end */
	uint64_t	 born_ms;
	int		 haste;
	int		 alive_fd;	/* its other end tells the supervisor that we live */
};

static void
lock_path(const char *run_dir, char *buf, size_t size)
{
	snprintf(buf, size, "%s/mailpaird.lock", run_dir);
}

bool
keeper_lock(const char *run_dir, int *ret_fd, struct err *err)
{
	char path[512], text[32];
	int fd, n;

	lock_path(run_dir, path, sizeof(path));
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd == -1)
		return err_set(err, errno, "cannot open %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) == -1) {
		int sys = errno;

		close(fd);
		return err_set(err, sys, "%s is locked by another mailpaird", path);
	}
	n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	if (ftruncate(fd, 0) == -1 || pwrite(fd, text, (size_t)n, 0) != n) {
		int sys = errno;

		close(fd);
		return err_set(err, sys, "cannot write %s", path);
	}
	*ret_fd = fd;
	return true;
}

static pid_t
lock_holder(const char *run_dir)
{
	char path[512], text[32] = "";
	ssize_t n;
	int fd;

	lock_path(run_dir, path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd == -1)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	return n > 0 ? (pid_t)strtol(text, NULL, 10) : 0;
}

static void
signals_reset(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* In the new child: be the supervisor. */
static void
be_supervisor(struct keeper *k, int keeper_fd, int write_end)
{
	close(write_end);
	if (k->signals != -1)
		close(k->signals);
	signals_reset();
	exit(k->run(k->arg, keeper_fd));
}

static void
follow(struct keeper *k, pid_t pid, bool child)
{
	k->pid = pid;
	k->child = child;
	k->born_ms = clock_mono_ms();
	k->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
}

static bool
start(struct keeper *k)
{
	int fds[2];
	pid_t pid;

	if (k->alive_fd != -1)
		close(k->alive_fd);
	k->alive_fd = -1;
	if (pipe2(fds, O_CLOEXEC) == -1)
		return false;
	pid = fork();
	if (pid == 0)
		be_supervisor(k, fds[0], fds[1]);
	close(fds[0]);
	if (pid == -1) {
		close(fds[1]);
		return false;
	}
	k->alive_fd = fds[1];
	follow(k, pid, true);
	return true;
}

static void
pass_on(struct keeper *k)
{
	struct signalfd_siginfo si;

	if (read(k->signals, &si, sizeof(si)) != (ssize_t)sizeof(si))
		return;
	if (si.ssi_signo == SIGCHLD)
		return;
	if (si.ssi_signo == SIGTERM || si.ssi_signo == SIGINT)
		k->ending = true;
	if (k->pidfd != -1)
		syscall(SYS_pidfd_send_signal, k->pidfd, si.ssi_signo == SIGINT ? SIGTERM : (int)si.ssi_signo, NULL, 0);
	else if (k->ending)
		exit(0);
}

/* Wait for the end of the one that is watched, or for limit_ms where nobody is; signals are passed on meanwhile. */
static void
wait_end(struct keeper *k, int limit_ms)
{
	for (;;) {
		struct pollfd p[2] = { { .fd = k->signals, .events = POLLIN }, { .fd = k->pidfd, .events = POLLIN } };
		int n = poll(p, k->pidfd == -1 ? 1 : 2, k->pidfd == -1 ? limit_ms : -1);

		if (n == -1 && errno != EINTR)
			return;
		if (n > 0 && (p[0].revents & POLLIN) != 0)
			pass_on(k);
		if (k->pidfd == -1 ? n == 0 : n > 0 && (p[1].revents & POLLIN) != 0)
			return;
	}
}

/* Why it ended: its exit code, or -1 (killed, or not our child). */
static int
reap(struct keeper *k)
{
	int status = 0, code = -1;

	if (k->pidfd != -1)
		close(k->pidfd);
	k->pidfd = -1;
	if (k->child && waitpid(k->pid, &status, 0) == k->pid && WIFEXITED(status))
		code = WEXITSTATUS(status);
	return code;
}

/* It runs elsewhere: watch whoever holds the lock. False: nobody does (any more). */
static bool
watch_holder(struct keeper *k)
{
	pid_t holder = lock_holder(k->run_dir);

	if (holder <= 0)
		return false;
	follow(k, holder, false);
	return k->pidfd != -1;
}

/*
 * The keeper has read configuration and keys and will never need that code again: give its program text back (it is read
 * from the files again where it is wanted). Only what is executable: that was never written to.
 */
static void
forget_text(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	unsigned long from, to;
	char line[512], how[8];

	if (f == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "%lx-%lx %7s", &from, &to, how) == 3 && strcmp(how, "r-xp") == 0)
			(void)madvise((void *)from, to - from, MADV_DONTNEED);
	}
	fclose(f);
}

static int
keep(struct keeper *k)
{
	for (;;) {
		uint64_t lived;
		int code;

		if (k->pidfd == -1 && !start(k)) {
			log_warn("mailpaird's supervisor process cannot be started");
			wait_end(k, CALM_MS);
			continue;
		}
		forget_text();
		wait_end(k, -1);
		lived = clock_mono_ms() - k->born_ms;
		code = reap(k);
		if (code == KEEPER_END || (k->ending && code != KEEPER_LOCKED))
			return code == -1 ? 1 : code;
		if (code == KEEPER_AGAIN) {
			log_info("mailpaird starts again from its program file");
			signals_reset();
			execv(k->argv[0], k->argv);
			log_warn("cannot start the program file again");
		}
		if (code == KEEPER_LOCKED && watch_holder(k))
			continue;
		if (code == 2)
			return 2;	/* it has said why: configuration or permission, a restart would not mend that */
		log_warnx("mailpaird's supervisor process %d ended unexpectedly after %llu ms: it is started again", (int)k->pid,
		    (unsigned long long)lived);
		k->haste = lived < CALM_MS ? k->haste + 1 : 0;
		if (k->haste >= HASTE_MAX)
			wait_end(k, CALM_MS);
	}
}

static bool
signals_open(struct keeper *k)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR2);
	if (sigprocmask(SIG_BLOCK, &set, NULL) == -1)
		return false;
	k->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return k->signals != -1;
}

int
keeper_run(const char *run_dir, int (*run)(void *arg, int keeper_fd), void *arg, pid_t watch, char *const argv[])
{
	struct keeper k = { .run_dir = run_dir, .run = run, .arg = arg, .argv = argv, .signals = -1, .pidfd = -1, .alive_fd = -1 };

	if (!signals_open(&k)) {
		log_warn("mailpaird's keeper cannot take signals");
		return 2;
	}
	if (watch != 0)
		follow(&k, watch, false);
	return keep(&k);
}

int
keeper_renew(const char *run_dir, int (*run)(void *arg, int keeper_fd), void *arg, char *const argv[])
{
	struct keeper k = { .run_dir = run_dir, .run = run, .arg = arg, .argv = argv, .signals = -1, .pidfd = -1, .alive_fd = -1 };
	pid_t self = getpid(), pid;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) == -1)
		return -1;
	pid = fork();
	if (pid == 0) {
		/* nothing of the supervisor but the pipe: neither its lock nor its sockets */
		close_range(3, (unsigned int)fds[1] - 1, 0);
		close_range((unsigned int)fds[1] + 1, ~0U, 0);
		setsid();
		k.alive_fd = fds[1];
		if (!signals_open(&k))
			_exit(2);
		follow(&k, self, false);
		_exit(keep(&k));
	}
	close(fds[1]);
	if (pid == -1) {
		close(fds[0]);
		return -1;
	}
	return fds[0];
}
