/*
 * configsync/net.c - the parent's side of the process that talks to the network: starts it, feeds it, hears it, and starts it again.
 */
#include "configsync/net.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/channel_wire.h"
#include "common/clock.h"
#include "common/spawn_kid.h"
#include "configsync/arena.h"
#include "configsync/net_pipe.h"
#include "configsync/net_priv.h"

#define AGAIN_MIN_MS 100
#define AGAIN_MAX_MS 10000
#define CLOSE_MS 1000		/* for net_close(), above the channel's own time for it */
#define HEAD 9u
#define SOCKET_BYTES (1 << 20)	/* who says much has other things to do than to wait until it was heard */

struct net {
	struct loop		*loop;
	const struct net_calls	*calls;
	void			*arg;
	char			*program, *subcommand;
	struct net_boot		 boot;
	int			 pidfd;
	struct loop_io		*gone;
	struct net_pipe		*pipe;
	struct loop_timer	*again;		/* start it; while closing: enough */
	uint32_t		 again_ms;
	uint64_t		 since_ms;
	uint32_t		 stream;
	bool			 full, paused, closing;
	char			 blame[CHANNEL_TEXT_MAX];	/* why we ended it, or what it said last of itself */
	struct net_status	 now;
	unsigned int		 busy;		/* calls of the user that are not the last deed of ours */
	bool			 dead;
};

static void child_start(struct net *n);

/* ---------------------------------------------------------------- calls of the user */

/* False: he freed it. */
static bool
released(struct net *n)
{
	bool dead = n->dead;

	n->busy--;
	if (dead && n->busy == 0)
		free(n);
	return !dead;
}

static void
note(struct net *n, enum channel_why why, const char *sentence)
{
	n->now.last_why = why;
	snprintf(n->now.last, sizeof n->now.last, "%s", sentence);
}

static bool
tell_down(struct net *n, enum channel_why why, const char *sentence)
{
	n->now.up = false;
	n->now.where[0] = '\0';
	n->full = false;
	note(n, why, sentence);
	n->busy++;
	n->calls->down(n->arg, why, sentence);
	return released(n);
}

/* ---------------------------------------------------------------- what the child says */

/* It is not what it should be. Its end is handled when the kernel tells. */
static bool
breach(struct net *n, const char *what)
{
	if (n->blame[0] == '\0')
		snprintf(n->blame, sizeof n->blame, "it broke its protocol: %s", what);
	if (n->pidfd != -1)
		syscall(SYS_pidfd_send_signal, n->pidfd, SIGKILL, NULL, 0);
	net_pipe_pause(n->pipe, true);
	return true;
}

static bool
is_text(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (text[i] == '\0')
			return true;
		if (text[i] < ' ' || text[i] > '~')
			return false;
	}
	return false;
}

static bool
on_event(struct net *n, uint8_t type, uint32_t stream, const uint8_t *bytes, size_t len)
{
	struct net_event e;

	if (len != sizeof e)
		return breach(n, "an event of another length");
	memcpy(&e, bytes, sizeof e);
	if (e.why < 0 || e.why >= CHANNEL_WHY_COUNT || !is_text(e.where, sizeof e.where) || !is_text(e.text, sizeof e.text))
		return breach(n, "an event that cannot be");
	n->now.refused = e.refused;
	if (type == NET_REFUSED) {
		note(n, (enum channel_why)e.why, e.text);
		n->calls->refused(n->arg, (enum channel_why)e.why, e.text);
		return true;
	}
	if ((type == NET_UP) == n->now.up)
		return breach(n, "up or down twice");
	if (type == NET_DOWN) {
		tell_down(n, (enum channel_why)e.why, e.text);
		return true;
	}
	n->stream = stream;
	n->now.up = true;
	n->now.key = e.key;
	memcpy(n->now.where, e.where, sizeof n->now.where);
	n->calls->up(n->arg);
	return true;
}

static bool
on_ready(struct net *n, const uint8_t *bytes, size_t len)
{
	struct net_ready r;

	if (len != sizeof r || n->now.ready)
		return breach(n, "ready twice, or not quite");
	memcpy(&r, bytes, sizeof r);
	n->now.ready = true;
	n->now.seccomp = r.sandbox.seccomp;
	n->now.landlock = r.sandbox.landlock;
	memcpy(n->now.port, r.port, sizeof n->now.port);
	return true;
}

static bool
pipe_frame(void *arg, uint8_t type, uint32_t stream, const uint8_t *bytes, size_t len)
{
	struct net *n = arg;

	if (type == NET_FAILED) {
		channel_printable(bytes, len, n->blame, sizeof n->blame);
		return true;
	}
	if (type == NET_READY)
		return on_ready(n, bytes, len);
	if (!n->now.ready)
		return breach(n, "something before it was ready");
	if (type == NET_UP || type == NET_DOWN || type == NET_REFUSED)
		return on_event(n, type, stream, bytes, len);
	if (type < CHANNEL_TYPE_MIN)
		return breach(n, "a frame of unknown type");
	if (!n->now.up || stream != n->stream)
		return breach(n, "a message without a stream");
	n->calls->received(n->arg, type, bytes, len);
	return true;
}

static void
pipe_drained(void *arg)
{
	struct net *n = arg;

	if (n->full && n->now.up) {
		n->full = false;
		n->calls->drained(n->arg);
	}
}

/* Whatever it does now is of no use. */
static void
pipe_ended(void *arg, const char *why)
{
	struct net *n = arg;

	(void)why;
	if (n->pidfd != -1)
		syscall(SYS_pidfd_send_signal, n->pidfd, SIGKILL, NULL, 0);
}

static const struct net_pipe_calls pipe_calls = { pipe_frame, pipe_drained, pipe_ended };

/* ---------------------------------------------------------------- its end */

static void
sentence_of(const struct net *n, const siginfo_t *si, char out[CHANNEL_TEXT_MAX])
{
	if (n->blame[0] != '\0')
		snprintf(out, CHANNEL_TEXT_MAX, "the network process: %.300s", n->blame);
	else if (si->si_code == CLD_EXITED)
		snprintf(out, CHANNEL_TEXT_MAX, "the network process has ended with status %d", si->si_status);
	else if (si->si_status == SIGSYS)
		snprintf(out, CHANNEL_TEXT_MAX, "the network process was killed for a system call that its sandbox does not allow");
	else
		snprintf(out, CHANNEL_TEXT_MAX, "the network process was ended by signal %d", si->si_status);
}

static void
child_forget(struct net *n)
{
	loop_io_free(n->gone);
	n->gone = NULL;
	if (n->pidfd != -1)
		close(n->pidfd);
	n->pidfd = -1;
	net_pipe_free(n->pipe);
	n->pipe = NULL;
	n->now.ready = false;
	n->now.pid = -1;
	memset(n->now.port, 0, sizeof n->now.port);
}

/* There is none now: say so, and when there will be one. */
static void
child_ended(struct net *n, const char *sentence)
{
	uint64_t lived = clock_mono_ms() - n->since_ms;

	if (n->now.up && !tell_down(n, CHANNEL_LOST, sentence))
		return;
	snprintf(n->now.last, sizeof n->now.last, "%s", sentence);
	loop_timer_cancel(n->again);
	if (!n->closing) {
		if (lived >= AGAIN_MAX_MS)
			n->again_ms = AGAIN_MIN_MS;
		loop_timer_in(n->again, n->again_ms);
		n->again_ms = n->again_ms == 0 ? AGAIN_MIN_MS : n->again_ms >= AGAIN_MAX_MS / 2 ? AGAIN_MAX_MS : 2 * n->again_ms;
	}
	n->calls->ended(n->arg, sentence);
}

static void
child_gone(int fd, unsigned int ready, void *arg)
{
	struct net *n = arg;
	siginfo_t si = { 0 };
	char sentence[CHANNEL_TEXT_MAX];
	bool rest = n->blame[0] == '\0';

	(void)ready;
	if (waitid(P_PIDFD, (id_t)fd, &si, WEXITED | WNOHANG) == 0 && si.si_pid == 0)
		return;
	loop_io_free(n->gone);
	n->gone = NULL;
	if (rest) {	/* why it failed, or the last messages, may not have been read yet */
		n->busy++;
		net_pipe_rest(n->pipe);
		if (!released(n))
			return;
	}
	sentence_of(n, &si, sentence);
	child_forget(n);
	child_ended(n, sentence);
}

/* ---------------------------------------------------------------- its beginning */

static void __attribute__((noreturn))
child_main(const struct net *n, int fd)
{
	const char *const argv[] = { n->program, n->subcommand, NULL };
	const char *const env[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C", NULL };
	int high = fcntl(fd, F_DUPFD_CLOEXEC, 10), null = open("/dev/null", O_RDWR | O_CLOEXEC);

	kid_settle(false);
	if (high == -1 || null == -1 || dup2(null, STDIN_FILENO) == -1 || dup2(null, STDOUT_FILENO) == -1 || dup2(high, NET_FD) == -1)
		_exit(126);
	kid_close_from(NET_FD + 1);
	execve(n->program, (char **)(uintptr_t)argv, (char **)(uintptr_t)env);
	_exit(127);
}

static bool
child_fork(struct net *n, int fd, struct err *err)
{
	sigset_t all, before;
	pid_t pid;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);	/* no handler of ours may run in the child */
	pid = fork();
	if (pid == 0)
		child_main(n, fd);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (pid == -1)
		return err_set(err, errno, "the network process cannot be started");
	if ((n->pidfd = (int)syscall(SYS_pidfd_open, pid, 0)) == -1) {
		err_set(err, errno, "the network process cannot be watched");
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);	/* has not begun anything it could hang in */
		return false;
	}
	n->now.pid = pid;
	return true;
}

static void
child_start(struct net *n)
{
	int pair[2] = { -1, -1 }, size = SOCKET_BYTES;
	struct err err = { 0 };

	n->since_ms = clock_mono_ms();
	n->blame[0] = '\0';
	n->now.started++;
	n->now.refused = 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1) {
		err_set(&err, errno, "the network process cannot be started");
		child_ended(n, err.text);
		return;
	}
	for (int i = 0; i < 2; i++)
		if (setsockopt(pair[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) == -1)
			setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);		/* not root: as much as it may be */
	if (!child_fork(n, pair[1], &err)) {
		close(pair[0]);
		close(pair[1]);
		child_ended(n, err.text);
		return;
	}
	close(pair[1]);
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	n->pipe = net_pipe_new(n->loop, pair[0], n->boot.limits.message_max, &pipe_calls, n);
	n->gone = loop_io_new(n->loop, n->pidfd, LOOP_READ, child_gone, n);
	net_pipe_put(n->pipe, NET_BOOT, 0, &n->boot, sizeof n->boot);
	net_pipe_pause(n->pipe, n->paused);
}

static void
again(void *arg)
{
	struct net *n = arg;

	if (!n->closing)
		child_start(n);
	else if (n->pidfd != -1)
		syscall(SYS_pidfd_send_signal, n->pidfd, SIGKILL, NULL, 0);
	else
		n->calls->ended(n->arg, "there was no network process to close");
}

/* ---------------------------------------------------------------- for the user */

static bool
copy(char *to, size_t size, const char *from, const char *what, struct err *err)
{
	size_t len = from == NULL ? 0 : strlen(from);

	if (len == 0 || len >= size)
		return err_set(err, 0, "the %s \"%.100s\" has %zu bytes, right are 1 to %zu", what, len == 0 ? "" : from, len, size - 1);
	memcpy(to, from, len + 1);
	return true;
}

static bool
boot_fill(struct net_boot *b, const struct net_setup *s, struct err *err)
{
	*b = (struct net_boot){ .listen = s->listen, .parent = getpid(), .uid = s->uid, .gid = s->gid, .at_len = s->at_len, .limits = s->limits };
	if (b->limits.message_max == 0)
		b->limits.message_max = 1024 * 1024;
	if (b->limits.queue_max == 0)
		b->limits.queue_max = 4 * 1024 * 1024;
	if (b->limits.queue_max / 2 < b->limits.message_max + HEAD)	/* half of it gone must mean that any message fits */
		b->limits.queue_max = 2 * (b->limits.message_max + HEAD);
	if (b->limits.handshake_ms == 0)
		b->limits.handshake_ms = 5000;
	if (s->at_len == 0 || s->at_len > CHANNEL_ADDRESSES_MAX)
		return err_set(err, 0, "%zu addresses for the service %s, right are 1 to %d", s->at_len, s->service, CHANNEL_ADDRESSES_MAX);
	for (size_t i = 0; i < s->at_len; i++) {
		if (!copy(b->host[i], NET_HOST_MAX, s->at[i].address, "address", err))
			return false;
		b->port[i] = s->at[i].port;
	}
	return copy(b->pair, CONF_NAME_MAX, s->pair, "name of the pair", err) &&
	    copy(b->service, CONF_NAME_MAX, s->service, "name of the service", err) &&
	    copy(b->node, CONF_NAME_MAX, s->node, "name of the node", err) &&
	    copy(b->peer, CONF_NAME_MAX, s->peer, "name of the peer", err) &&
	    channel_key_derive(s->keys, b->pair, b->service, &b->keys, err);
}

bool
net_start(struct loop *loop, const struct net_setup *setup, struct net **ret, struct err *err)
{
	struct net *n = need(calloc(1, sizeof *n));

	if (!boot_fill(&n->boot, setup, err)) {
		explicit_bzero(&n->boot, sizeof n->boot);
		free(n);
		return false;
	}
	n->loop = loop;
	n->calls = setup->calls;
	n->arg = setup->arg;
	n->program = need(strdup(setup->program));
	n->subcommand = need(strdup(setup->subcommand));
	n->pidfd = -1;
	n->now.pid = -1;
	n->again_ms = AGAIN_MIN_MS;
	n->again = loop_timer_new(loop, again, n);
	loop_timer_in(n->again, 0);
	*ret = n;
	return true;
}

void
net_free(struct net *n)
{
	siginfo_t si;

	if (n == NULL)
		return;
	if (n->pidfd != -1) {
		syscall(SYS_pidfd_send_signal, n->pidfd, SIGKILL, NULL, 0);
		while (waitid(P_PIDFD, (id_t)n->pidfd, &si, WEXITED) == -1 && errno == EINTR)
			continue;
	}
	child_forget(n);
	loop_timer_free(n->again);
	free(n->program);
	free(n->subcommand);
	explicit_bzero(&n->boot, sizeof n->boot);
	n->dead = true;
	if (n->busy == 0)
		free(n);
}

enum channel_sent
net_send(struct net *n, uint8_t type, const void *bytes, size_t len)
{
	assert(type >= CHANNEL_TYPE_MIN && len <= n->boot.limits.message_max);
	if (!n->now.up || n->closing)
		return CHANNEL_DOWN;
	if (net_pipe_waits(n->pipe) + HEAD + len > n->boot.limits.queue_max) {
		n->full = true;
		net_pipe_tell_below(n->pipe, n->boot.limits.queue_max / 2);
		return CHANNEL_FULL;
	}
	net_pipe_put(n->pipe, type, n->stream, bytes, len);
	return CHANNEL_SENT;
}

void
net_pause(struct net *n, bool paused)
{
	n->paused = paused;
	if (n->pipe != NULL && n->blame[0] == '\0')
		net_pipe_pause(n->pipe, paused);
}

void
net_drop(struct net *n, const char *why)
{
	if (n->now.up)
		net_pipe_put(n->pipe, NET_DROP, n->stream, why, strlen(why));
}

void
net_close(struct net *n, const char *why)
{
	if (n->closing)
		return;
	n->closing = true;
	net_pause(n, false);
	if (n->pipe != NULL)
		net_pipe_put(n->pipe, NET_CLOSE, n->stream, why, strlen(why));
	loop_timer_in(n->again, n->pipe == NULL ? 0 : n->boot.limits.handshake_ms + CLOSE_MS);
}

bool
net_keys(struct net *n, const struct authkeys *keys, struct err *err)
{
	if (!channel_key_derive(keys, n->boot.pair, n->boot.service, &n->boot.keys, err))
		return false;
	n->again_ms = 0;
	if (n->pidfd != -1) {
		snprintf(n->blame, sizeof n->blame, "authkeys were read again");
		net_pipe_pause(n->pipe, true);
		syscall(SYS_pidfd_send_signal, n->pidfd, SIGKILL, NULL, 0);
	} else if (!n->closing) {
		loop_timer_in(n->again, 0);
	}
	return true;
}

void
net_status(const struct net *n, struct net_status *ret)
{
	*ret = n->now;
	ret->queued = n->pipe == NULL ? 0 : net_pipe_waits(n->pipe);
}
