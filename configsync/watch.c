/*
 * configsync/watch.c - the parent of the watch child: starts it, reads what it says, and notices its end. Never waits.
 */
#include "configsync/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/spawn_kid.h"
#include "configsync/arena.h"
#include "configsync/entry.h"
#include "configsync/watch_child.h"

#define CHILD_FD 3		/* and root is the next one */
#define PACKETS_A_TURN 8
#define SOCKET_BYTES 65536	/* what waits here cannot be made one any more */

struct watch {
	struct loop_io		*io, *end;
	int			 fd, pidfd;
	pid_t			 pid;		/* -1: reaped */
	struct watch_calls	 calls;
	void			*arg;
	unsigned int		 calling;	/* within a call */
	bool			 freed;
	char			 why[WATCH_TEXT_MAX];	/* its last words */
};

/* ---------------------------------------------------------------- the child */

static void __attribute__((noreturn))
child_run(struct loop *loop, const struct watch_setup *setup, int fd, pid_t parent)
{
	struct watch_setup own = *setup;
	int high = fcntl(fd, F_DUPFD, 10), root = fcntl(setup->root, F_DUPFD, 10), null = open("/dev/null", O_RDWR);

	kid_settle(false);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	loop_forked(loop);
	for (int i = 0; i < CHILD_FD; i++)	/* the library writes about what is no error to stderr */
		dup2(null, i);
	if (high == -1 || root == -1 || null == -1 || dup2(high, CHILD_FD) == -1 || (own.root = dup2(root, CHILD_FD + 1)) == -1)
		_exit(1);
	kid_close_from(CHILD_FD + 2);
	if (own.linger_ms == 0)
		own.linger_ms = WATCH_LINGER_MS;
	if (own.retry_ms == 0)
		own.retry_ms = WATCH_RETRY_MS;
	watch_child(CHILD_FD, &own);
}

/* Frees what nobody needs any more. */
static void
settle(struct watch *w)
{
	if (!w->freed || w->calling > 0)
		return;
	loop_io_free(w->io);
	w->io = NULL;
	if (w->fd != -1)
		close(w->fd);
	w->fd = -1;
	if (w->pid != -1)
		return;			/* until the kernel has let it go */
	loop_io_free(w->end);
	if (w->pidfd != -1)
		close(w->pidfd);
	free(w);
}

/* ---------------------------------------------------------------- what it says */

static void
say(struct watch *w, enum watch_said what, char *text)
{
	char *blind;
	size_t n;

	switch (what) {
	case WATCH_SAID_PATH:
	case WATCH_SAID_BELOW:
		w->calls.changed(w->arg, text, what == WATCH_SAID_BELOW);
		break;
	case WATCH_SAID_ALL:
		w->calls.all(w->arg, text);
		break;
	case WATCH_SAID_STATE:
		n = (size_t)strtoull(text, &blind, 10);
		w->calls.watching(w->arg, n, blind + (*blind == ' '));
		break;
	case WATCH_SAID_BEGUN:
		if (w->calls.begun != NULL)
			w->calls.begun(w->arg);
		break;
	case WATCH_SAID_END:
		snprintf(w->why, sizeof w->why, "%.*s", (int)WATCH_TEXT_MAX - 1, text);
		break;
	case WATCH_SAID_COUNT:
		break;
	}
}

static void
hear(struct watch *w, const uint8_t *packet, size_t len)
{
	char text[ENTRY_PATH_MAX + 1];

	while (len >= 3 && !w->freed) {
		uint16_t n;

		memcpy(&n, packet + 1, sizeof n);
		if (n > ENTRY_PATH_MAX || len < 3u + n || packet[0] >= WATCH_SAID_COUNT)
			return;
		memcpy(text, packet + 3, n);
		text[n] = '\0';
		say(w, packet[0], text);
		packet += 3u + n;
		len -= 3u + n;
	}
}

/* At most so many packets; all of them where the child has ended. */
static void
hear_packets(struct watch *w, unsigned int most)
{
	static uint8_t packet[WATCH_PACKET_MAX];
	ssize_t n;

	while (most-- > 0 && !w->freed && w->fd != -1) {
		if ((n = recv(w->fd, packet, sizeof packet, MSG_DONTWAIT)) > 0) {
			hear(w, packet, (size_t)n);
		} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
			loop_io_want(w->io, 0);		/* its end is told by the pidfd */
			return;
		} else if (errno == EAGAIN) {
			return;
		}
	}
}

static void
readable(int fd, unsigned int ready, void *arg)
{
	struct watch *w = arg;

	(void)fd;
	(void)ready;
	w->calling++;
	hear_packets(w, PACKETS_A_TURN);
	if (!w->freed && w->calls.told != NULL)
		w->calls.told(w->arg);
	w->calling--;
	settle(w);
}

static void
ended(int fd, unsigned int ready, void *arg)
{
	struct watch *w = arg;
	siginfo_t si = { 0 };

	(void)ready;
	if (waitid(P_PIDFD, (id_t)fd, &si, WEXITED | WNOHANG) == 0 && si.si_pid == 0)
		return;
	w->pid = -1;
	loop_io_want(w->end, 0);
	w->calling++;
	hear_packets(w, UINT32_MAX);
	if (w->why[0] == '\0' && si.si_code == CLD_EXITED)
		snprintf(w->why, sizeof w->why, "the watch process ended with status %d", si.si_status);
	else if (w->why[0] == '\0')
		snprintf(w->why, sizeof w->why, "the watch process was ended by signal %d", si.si_status);
	if (!w->freed)
		w->calls.ended(w->arg, w->why);
	w->calling--;
	settle(w);
}

/* ---------------------------------------------------------------- beginning and end */

struct watch *
watch_start(struct loop *loop, const struct watch_setup *setup, const struct watch_calls *calls, void *arg, struct err *err)
{
	struct watch *w = need(calloc(1, sizeof *w));
	pid_t parent = getpid();
	sigset_t all, before;
	int pair[2], size = SOCKET_BYTES;

	*w = (struct watch){ .fd = -1, .pidfd = -1, .pid = -1, .calls = *calls, .arg = arg };
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == -1) {
		err_set(err, errno, "no socket for the watch process");
		free(w);
		return NULL;
	}
	setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);	/* our handlers would speak to the parent's loop */
	if ((w->pid = fork()) == 0)
		child_run(loop, setup, pair[1], parent);
	if (w->pid == -1 || (w->pidfd = (int)syscall(SYS_pidfd_open, w->pid, 0)) == -1)
		err_set(err, errno, "the watch process cannot be started");
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(pair[1]);
	if (w->pidfd == -1) {
		close(pair[0]);
		if (w->pid != -1) {
			kill(w->pid, SIGKILL);
			waitpid(w->pid, NULL, 0);	/* has not begun anything it could hang in */
		}
		free(w);
		return NULL;
	}
	w->fd = pair[0];
	w->io = loop_io_new(loop, w->fd, LOOP_READ, readable, w);
	w->end = loop_io_new(loop, w->pidfd, LOOP_READ, ended, w);
	return w;
}

void
watch_free(struct watch *w)
{
	siginfo_t si = { 0 };

	if (w == NULL)
		return;
	w->freed = true;
	if (w->pid != -1) {
		kill(w->pid, SIGKILL);
		if (waitid(P_PIDFD, (id_t)w->pidfd, &si, WEXITED | WNOHANG) == 0 && si.si_pid != 0)
			w->pid = -1;
	}
	settle(w);
}

pid_t
watch_pid(const struct watch *w)
{
	return w->pid;
}
