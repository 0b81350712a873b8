/*
 * supervisor/control.c - the control socket itself: where it stands, who may come in, and how many.
 *
 * Runs in mailpaird's supervisor process, on its loop, and never blocks. What is said with each
 * client stands in control_client.c, the form of a request in control_parse.c; what commands mean
 * is left to the handler (serve.c).
 */
#include "supervisor/control_priv.h"

#include <assert.h>
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"

#define ACCEPTS_PER_WAKE_MAX 16
#define ACCEPT_PAUSE_MS 1000		/* after "too many open files": nothing to do but wait */
#define GROUPS_MAX 256

/* root, ourselves, or a member of the group; the socket's mode says the same, this does not depend
 * on it */
static bool
may_ask(const struct control *co, int fd)
{
	gid_t groups[GROUPS_MAX];
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == -1)
		return false;
	if (cred.uid == 0 || cred.uid == geteuid())
		return true;
	if (!co->has_group)
		return false;
	if (cred.gid == co->group)
		return true;
	len = sizeof(groups);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) == -1)
		return false;
	for (size_t i = 0; i < len / sizeof(groups[0]); i++)
		if (groups[i] == co->group)
			return true;
	return false;
}

/* Tell and close, without keeping anything: a fresh socket has room for one line. */
static void
turn_away(int fd, const char *reply)
{
	ssize_t n = send(fd, reply, strlen(reply), MSG_NOSIGNAL | MSG_DONTWAIT);

	(void)n;
	close(fd);
}

static void
control_admit(struct control *co, int fd)
{
	if (!may_ask(co, fd)) {
		turn_away(fd,
		    "e You are not permitted to control mailpaird: be root, or a member of the "
		    "group of its socket.\nx 2\n");
	} else if (co->clients_len >= CONTROL_CLIENTS_MAX) {
		if (!co->told_full)
			log_warnx("control socket %s: %d clients are served already, further ones "
				  "are turned "
				  "away",
			    co->path, CONTROL_CLIENTS_MAX);
		co->told_full = true;
		turn_away(fd, "e mailpaird is busy: too many commands at once. Try again in a "
			      "moment.\nx 2\n");
	} else {
		client_new(co, fd);
	}
}

static void
control_readable(int fd, unsigned int ready, void *arg)
{
	struct control *co = arg;

	(void)ready;
	for (int n = 0; n < ACCEPTS_PER_WAKE_MAX; n++) {
		int one = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (one != -1) {
			co->told_no_accept = false;
			control_admit(co, one);
			continue;
		}
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		if (errno == EAGAIN)
			return;
		/* The connection stays in the queue, so the socket stays readable: wait, do not
		 * spin. */
		if (!co->told_no_accept)
			log_warn("control socket %s: no connection can be taken", co->path);
		co->told_no_accept = true;
		loop_io_want(co->io, 0);
		loop_timer_in(co->pause, ACCEPT_PAUSE_MS);
		return;
	}
}

static void
control_pause_over(void *arg)
{
	struct control *co = arg;

	loop_io_want(co->io, LOOP_READ);
}

/* True: nobody answers at the path; what stands there is a socket or nothing. */
static bool
path_is_free(const struct sockaddr_un *sun, struct err *err)
{
	struct stat st;
	bool live;
	int fd;

	if (lstat(sun->sun_path, &st) == -1) {
		if (errno == ENOENT)
			return true;
		return err_set(err, errno, "cannot look at the control socket %s", sun->sun_path);
	}
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, 0,
		    "%s is not a socket: move it away, the control socket must stand there",
		    sun->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return err_set(err, errno, "cannot make a socket");
	live =
	    connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) == 0 || errno != ECONNREFUSED;
	close(fd);
	if (live)
		return err_set(err, EADDRINUSE,
		    "another mailpaird listens on the control socket %s", sun->sun_path);
	return true;
}

/* Bind beside the path, then rename over it: no moment without owner, mode or listener. */
static bool
control_bind(struct control *co, const struct sockaddr_un *sun, const char *group, struct err *err)
{
	struct sockaddr_un beside = { .sun_family = AF_UNIX };
	struct stat st;

	if (snprintf(beside.sun_path, sizeof(beside.sun_path), "%s.new", sun->sun_path) >=
	    (int)sizeof(beside.sun_path))
		return err_set(err, ENAMETOOLONG, "the control socket cannot be %s", sun->sun_path);
	if (unlink(beside.sun_path) == -1 && errno != ENOENT)
		return err_set(err, errno, "cannot remove %s", beside.sun_path);
	co->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (co->fd == -1)
		return err_set(err, errno, "cannot make the control socket");
	if (bind(co->fd, (const struct sockaddr *)&beside, sizeof(beside)) == -1)
		return err_set(err, errno, "cannot bind the control socket %s", beside.sun_path);
	if ((co->has_group && chown(beside.sun_path, (uid_t)-1, co->group) == -1) ||
	    chmod(beside.sun_path, 0660) == -1) {
		err_set(err, errno, "cannot give the control socket %s to group %s",
		    beside.sun_path, co->has_group ? group : "(own)");
	} else if (listen(co->fd, SOMAXCONN) == -1) {
		err_set(err, errno, "cannot listen on the control socket %s", sun->sun_path);
	} else if (lstat(beside.sun_path, &st) == -1 ||
		   rename(beside.sun_path, sun->sun_path) == -1) {
		err_set(err, errno, "cannot put the control socket to %s", sun->sun_path);
	} else {
		co->dev = st.st_dev;
		co->ino = st.st_ino;
		return true;
	}
	unlink(beside.sun_path);
	return false;
}

struct control *
control_new(struct loop *loop, const char *path, const char *group, control_handler_f *handler,
    void *arg, struct err *err)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct control *co = calloc(1, sizeof(*co));

	assert(co != NULL);
	co->loop = loop;
	co->fd = -1;
	co->patience_ms = CONTROL_PATIENCE_MS;
	co->handler = handler;
	co->arg = arg;
	if (snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path) >= (int)sizeof(sun.sun_path)) {
		err_set(err, ENAMETOOLONG, "the control socket cannot be %s", path);
		goto out;
	}
	memcpy(co->path, sun.sun_path, sizeof(co->path));
	if (group != NULL) {
		const struct group *gr = getgrnam(group);

		if (gr == NULL) {
			err_set(err, 0,
			    "there is no group \"%s\" for the control socket %s: make it (groupadd "
			    "--system %s) or name another one",
			    group, path, group);
			goto out;
		}
		co->group = gr->gr_gid;
		co->has_group = true;
	}
	if (!path_is_free(&sun, err) || !control_bind(co, &sun, group, err))
		goto out;
	co->pause = loop_timer_new(loop, control_pause_over, co);
	co->io = loop_io_new(loop, co->fd, LOOP_READ, control_readable, co);
	return co;
out:
	if (co->fd != -1)
		close(co->fd);
	free(co);
	return NULL;
}

void
control_patience(struct control *co, uint64_t ms)
{
	co->patience_ms = ms;
}

void
control_free(struct control *co)
{
	struct stat st;

	if (co == NULL)
		return;
	/* A newer daemon may have put its own socket there already. */
	if (lstat(co->path, &st) == 0 && st.st_dev == co->dev && st.st_ino == co->ino)
		unlink(co->path);
	loop_io_free(co->io);
	loop_timer_free(co->pause);
	close(co->fd);
	while (co->clients != NULL)
		client_abandon(co->clients);
	free(co);
}
