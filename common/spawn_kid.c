/*
 * common/spawn_kid.c - forks one child and sets it up: a process group of its own, default signals,
 * usual priority, no descriptor but its own five. Used by common/spawn.c, in the supervisor and in
 * workers. Nothing here blocks but what the child does, in the child.
 */
#include "common/spawn_kid.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ioprio.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"

#define KID_FAIL_FD 3		/* in the child: where one struct err is sent to */
#define KID_REPORT_FD 4		/* in a worker: its report */
#define PIPE_BYTES 65536	/* what a pipe can hold */
#define KID_PROGRESS "progress "

extern char **environ;

struct spawn_out {
	int	fd;
	size_t	left;
};

/* ---------------------------------------------------------------- in the child */

/* One line, whose newlines become blanks. */
static void
line_send(int fd, char *line, size_t n)
{
	for (size_t i = 0; i + 1 < n; i++)
		if (line[i] == '\n')
			line[i] = ' ';
	for (size_t sent = 0; sent < n; ) {
		ssize_t did = send(fd, line + sent, n - sent, MSG_NOSIGNAL);

		if (did > 0)
			sent += (size_t)did;
		else if (errno != EINTR)
			return;		/* the parent is gone: go on with the work, unheard */
	}
}

void
spawn_progress(struct spawn_out *out, const char *text)
{
	char line[KID_PROGRESS_MAX + sizeof(KID_PROGRESS)];

	/* not counted as output: it may go on for hours, and the parent keeps none of it */
	line_send(out->fd, line, (size_t)snprintf(line, sizeof(line), KID_PROGRESS "%.*s\n", KID_PROGRESS_MAX - 2, text));
}

void
spawn_say(struct spawn_out *out, const char *key, const char *fmt, ...)
{
	char line[1024];
	int len = snprintf(line, sizeof(line), "%s ", key);
	va_list ap;
	size_t n;

	if (len < 0 || (size_t)len >= sizeof(line) - 1)
		return;
	va_start(ap, fmt);
	vsnprintf(line + len, sizeof(line) - 1 - (size_t)len, fmt, ap);
	va_end(ap);
	n = strlen(line);
	line[n++] = '\n';
	if (n > out->left)
		return;		/* whole lines only */
	out->left -= n;
	line_send(out->fd, line, n);
}

static void __attribute__((noreturn))
kid_fail(int fd, const struct err *err, int code)
{
	while (send(fd, err, sizeof(*err), MSG_NOSIGNAL) == -1 && errno == EINTR)
		continue;
	_exit(code);
}

/* The parent may be kept from the out-of-memory killer; a mail program that a worker starts must not inherit that. */
static void
oom_usual(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd == -1)
		return;
	(void)!write(fd, "0", 1);
	close(fd);
}

/* Nothing of the parent's privileges over other processes, and none of its ways, may remain. */
void
kid_settle(bool nice)
{
	const struct sched_param none = { 0 };
	struct sigaction usual = { .sa_handler = SIG_DFL };
	sigset_t empty;

	setpgid(0, 0);
	oom_usual();
	sched_setscheduler(0, SCHED_OTHER, &none);
	setpriority(PRIO_PROCESS, 0, nice ? 19 : 0);
	if (nice)
		syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0,
		    IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
	for (int signo = 1; signo < NSIG; signo++)
		sigaction(signo, &usual, NULL);		/* fails for KILL, STOP and libc's own */
	sigemptyset(&empty);
	sigprocmask(SIG_SETMASK, &empty, NULL);
}

void
kid_close_from(int first)
{
	if (syscall(SYS_close_range, (unsigned int)first, ~0U, 0) == 0)
		return;
	for (int fd = first, max = (int)sysconf(_SC_OPEN_MAX); fd < max; fd++)
		close(fd);
}

/* fds: what becomes 0, 1, 2, KID_FAIL_FD and KID_REPORT_FD (-1: none). All others are closed. */
static bool
kid_descriptors(const int fds[5])
{
	int high[5];
	unsigned int first = fds[KID_REPORT_FD] == -1 ? KID_REPORT_FD : KID_REPORT_FD + 1;

	/* Out of the way first: one of them may have a number that another is to get. */
	for (unsigned int i = 0; i < first; i++)
		if ((high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 10)) == -1)
			return false;
	for (unsigned int i = 0; i < first; i++)
		if (dup3(high[i], (int)i, i > STDERR_FILENO ? O_CLOEXEC : 0) == -1)
			return false;
	kid_close_from((int)first);
	return true;
}

static void __attribute__((noreturn))
kid_exec(const struct kid_job *job)
{
	static const char *const plain[] = {
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C",
		"HOME=/root", NULL };
	const char *const *env = job->cmd->env != NULL ? job->cmd->env : plain;
	struct err err;

	/* exec only reads what these point at; execvp looks into the new PATH */
	environ = (char **)(uintptr_t)env;
	execvp(job->cmd->argv[0], (char **)(uintptr_t)job->cmd->argv);
	err_set(&err, errno, "%s: cannot run %s", job->name, job->cmd->argv[0]);
	kid_fail(KID_FAIL_FD, &err, 127);
}

static void __attribute__((noreturn))
kid_main(const struct kid_job *job, const int fds[5], pid_t parent)
{
	struct err err = { 0 };
	struct spawn_out out = { .fd = KID_REPORT_FD, .left = SPAWN_OUT_MAX };

	kid_settle(job->cmd != NULL && job->cmd->nice);
	if (job->tied) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(127);
	}
	if (job->loop != NULL)
		loop_forked(job->loop);
	if (!kid_descriptors(fds)) {
		err_set(&err, errno, "%s: cannot set up its descriptors", job->name);
		kid_fail(fds[KID_FAIL_FD], &err, 127);
	}
	log_to(NULL, NULL);
	if (job->cmd != NULL)
		kid_exec(job);
	if (job->work(job->ctx, &out, &err))
		_exit(0);
	if (err.text[0] == '\0')
		err_set(&err, 0, "%s: failed without saying why", job->name);
	kid_fail(KID_FAIL_FD, &err, 1);
}

/* ---------------------------------------------------------------- fork, from the parent */

void
kid_close(int *fd, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (fd[i] != -1)
			close(fd[i]);
		fd[i] = -1;
	}
}

/* A file in memory: a command that does not read it can neither hold us up nor break a pipe. */
static int
input_open(const char *in)
{
	size_t len = in != NULL ? strlen(in) : 0;
	int fd = in != NULL ? memfd_create("mailpair-input", MFD_CLOEXEC) :
	    open("/dev/null", O_RDONLY | O_CLOEXEC);

	for (size_t done = 0; fd != -1 && done < len; ) {
		ssize_t n = write(fd, in + done, len - done);

		if (n == -1) {
			close(fd);
			return -1;
		}
		done += (size_t)n;
	}
	if (fd != -1 && in != NULL)
		lseek(fd, 0, SEEK_SET);
	return fd;
}

/* Our ends go to kid->fd, the child's to fds. A worker's stdout goes where its stderr goes. */
static bool
channels_open(const struct kid_job *job, struct kid *kid, int fds[5])
{
	int pair[2];

	if ((fds[STDIN_FILENO] = input_open(job->cmd != NULL ? job->cmd->in : NULL)) == -1)
		return false;
	/* Sockets where the child is our own code: it can write without fear of SIGPIPE. */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		return false;
	kid->fd[KID_FAIL] = pair[0];
	fds[KID_FAIL_FD] = pair[1];
	if (job->cmd == NULL ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1 :
	    pipe2(pair, O_CLOEXEC) == -1)
		return false;
	kid->fd[KID_OUT] = pair[0];
	fds[job->cmd == NULL ? KID_REPORT_FD : STDOUT_FILENO] = pair[1];
	if (pipe2(pair, O_CLOEXEC) == -1)
		return false;
	kid->fd[KID_ERR] = pair[0];
	fds[STDERR_FILENO] = pair[1];
	if (job->cmd == NULL && (fds[STDOUT_FILENO] = fcntl(pair[1], F_DUPFD_CLOEXEC, 0)) == -1)
		return false;
	for (int ch = 0; ch < KID_CHANNEL_COUNT; ch++)
		fcntl(kid->fd[ch], F_SETFL, O_NONBLOCK);
	return true;
}

/* A SIGCHLD that our own parent made us ignore would let the kernel throw exit statuses away. */
static void
sigchld_heed(void)
{
	struct sigaction sa;

	if (sigaction(SIGCHLD, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN) {
		sa.sa_handler = SIG_DFL;
		sigaction(SIGCHLD, &sa, NULL);
	}
}

bool
kid_start(const struct kid_job *job, struct kid *ret, struct err *err)
{
	struct kid kid = KID_NONE;
	int fds[5] = { -1, -1, -1, -1, -1 }, sys;
	pid_t parent = getpid();
	sigset_t all, before;

	sigchld_heed();
	if (!channels_open(job, &kid, fds)) {
		sys = errno;
		goto failed;
	}
	/* No handler of ours may run in the child: it would speak to the parent's loop. */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	if ((kid.pid = fork()) == 0)
		kid_main(job, fds, parent);
	sys = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (kid.pid == -1)
		goto failed;
	setpgid(kid.pid, kid.pid);	/* both sides do it: whoever comes first */
	if ((kid.pidfd = (int)syscall(SYS_pidfd_open, kid.pid, 0)) == -1) {
		sys = errno;
		kill(-kid.pid, SIGKILL);
		waitpid(kid.pid, NULL, 0);	/* has not begun anything it could hang in */
		goto failed;
	}
	kid_close(fds, 5);
	*ret = kid;
	return true;
failed:
	kid_close(fds, 5);
	kid_close(kid.fd, KID_CHANNEL_COUNT);
	return err_set(err, sys, "%s: cannot start a process", job->name);
}

bool
kid_ended(const struct kid *kid, siginfo_t *ret)
{
	siginfo_t si = { 0 };

	while (waitid(P_PIDFD, (id_t)kid->pidfd, &si, WEXITED | WNOHANG) == -1) {
		if (errno == EINTR)
			continue;
		*ret = (siginfo_t){ 0 };
		return true;
	}
	if (si.si_pid == 0)
		return false;
	*ret = si;
	return true;
}

bool
kid_said_failed(const struct kid *kid, struct err *ret)
{
	struct err err;

	if (recv(kid->fd[KID_FAIL], &err, sizeof(err), MSG_DONTWAIT) != (ssize_t)sizeof(err))
		return false;
	err.text[sizeof(err.text) - 1] = '\0';
	*ret = err;
	return true;
}

/* ---------------------------------------------------------------- output */

static void
text_add(struct kid_text *t, const char *bytes, size_t len)
{
	size_t room = SPAWN_OUT_MAX - t->len, size = t->size;

	if (len > room)
		len = room;
	while (size < t->len + len + 1)
		size = size == 0 ? 512 : size * 2;
	if (size != t->size) {
		if ((t->bytes = realloc(t->bytes, size)) == NULL)
			abort();
		t->size = size;
	}
	for (size_t i = 0; i < len; i++)
		t->bytes[t->len++] = bytes[i] != '\0' ? bytes[i] : ' ';
	t->bytes[t->len] = '\0';
}

bool
kid_progress(struct kid_text *t, char *ret, size_t size)
{
	const size_t word = sizeof(KID_PROGRESS) - 1;
	char *line = t->bytes, *keep = t->bytes, *end = t->bytes, *newline;
	bool any = false;

	if (t->len != 0)
		end += t->len;
	while (line < end && (newline = memchr(line, '\n', (size_t)(end - line))) != NULL) {
		size_t n = (size_t)(newline + 1 - line);

		if (n > word && memcmp(line, KID_PROGRESS, word) == 0) {
			snprintf(ret, size, "%.*s", (int)(n - 1 - word), line + word);
			any = true;
		} else {
			memmove(keep, line, n);
			keep += n;
		}
		line += n;
	}
	if (any) {
		memmove(keep, line, (size_t)(end - line));
		t->len -= (size_t)(line - keep);
		t->bytes[t->len] = '\0';
	}
	return any;
}

const char *
kid_text(const struct kid_text *t)
{
	return t->bytes != NULL ? t->bytes : "";
}

bool
kid_read(int fd, struct kid_text *t)
{
	char buf[4096];

	for (size_t total = 0; total < PIPE_BYTES; ) {
		ssize_t n = read(fd, buf, sizeof(buf));

		if (n > 0) {
			text_add(t, buf, (size_t)n);
			total += (size_t)n;
		} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
			return false;
		} else if (errno == EAGAIN) {
			return true;
		}
	}
	return true;
}

