/*
 * configsync/ctl.c - config.sock itself: where it stands, who may come in, and how many. On the loop; never blocks but in ctl_new(), for a third of
 * a second where somebody holds its place.
 */
#include "configsync/ctl_priv.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"

#define ACCEPTS_MAX 8
#define PAUSE_MS 1000		/* after "too many open files" */
#define GROUPS_MAX 256
#define DYING_MS 300u

/* The socket's mode says the same; this does not depend on it. */
static bool
may_ask(const struct ctl *c, int fd, uid_t *ret_uid)
{
	gid_t groups[GROUPS_MAX];
	struct ucred cred;
	socklen_t len = sizeof cred;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == -1)
		return false;
	*ret_uid = cred.uid;
	if (cred.uid == 0 || cred.uid == geteuid())
		return true;
	if (!c->has_group)
		return false;
	if (cred.gid == c->group)
		return true;
	len = sizeof groups;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) == -1)
		return false;
	for (size_t i = 0; i < len / sizeof groups[0]; i++)
		if (groups[i] == c->group)
			return true;
	return false;
}

/* A fresh socket has room for one line. */
static void
turn_away(int fd, const char *why)
{
	char line[256];
	ssize_t n;
	int len = snprintf(line, sizeof line, ".\tcode#2\ttext=%s\n", why);

	n = send(fd, line, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)n;
	close(fd);
}

static void
admit(struct ctl *c, int fd)
{
	uid_t uid = (uid_t)-1;

	if (!may_ask(c, fd, &uid)) {
		turn_away(fd, "you are not permitted to ask mailpair-config: be root, or a member of the group of its socket");
	} else if (c->replies_len >= CTL_CLIENTS_MAX) {
		if (!c->told_full)
			log_warnx("%s: %d questions are open already, further ones are turned away", c->path, CTL_CLIENTS_MAX);
		c->told_full = true;
		turn_away(fd, "mailpair-config is busy with too many questions at once: try again in a moment");
	} else {
		ctl_client_new(c, fd, uid);
	}
}

static void
door_ready(int fd, unsigned int ready, void *arg)
{
	struct ctl *c = arg;

	(void)ready;
	for (int n = 0; n < ACCEPTS_MAX; n++) {
		int one = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (one != -1) {
			admit(c, one);
		} else if (errno != EINTR && errno != ECONNABORTED) {
			if (errno == EAGAIN)
				return;
			/* who knocks stays in the queue: wait, do not spin */
			log_warn("%s: no connection can be taken", c->path);
			loop_io_want(c->io, 0);
			loop_timer_in(c->pause, PAUSE_MS);
			return;
		}
	}
}

static void
pause_over(void *arg)
{
	struct ctl *c = arg;

	loop_io_want(c->io, LOOP_READ);
}

/* Does somebody listen there? A child of a program that was killed a moment ago may still hold its socket, for as long as it takes to end. */
static bool
is_live(const struct sockaddr_un *sun)
{
	uint64_t now = clock_mono_ms(), until = now + DYING_MS;
	bool live = true;

	for (; live && now < until; now = clock_mono_ms()) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

		live = fd == -1 || connect(fd, (const struct sockaddr *)sun, sizeof *sun) == 0 || errno != ECONNREFUSED;
		if (live)
			poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, (int)(until - now));
		if (fd != -1)
			close(fd);
	}
	return live;
}

/* Nobody answers at the path; what stands there is a socket or nothing. */
static bool
place_is_free(const struct sockaddr_un *sun, struct err *err)
{
	struct stat st;

	if (lstat(sun->sun_path, &st) == -1)
		return errno == ENOENT || err_set(err, errno, "cannot look at %s", sun->sun_path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, 0, "%s is not a socket: move it away, the socket of mailpair-config must stand there", sun->sun_path);
	return !is_live(sun) || err_set(err, EADDRINUSE, "another mailpair-config listens on %s", sun->sun_path);
}

/* Bound beside its place, then renamed: no moment without owner, mode or listener. */
static bool
door_open(struct ctl *c, const struct sockaddr_un *sun, struct err *err)
{
	struct sockaddr_un beside = { .sun_family = AF_UNIX };
	struct stat st;

	if (snprintf(beside.sun_path, sizeof beside.sun_path, "%s.new", sun->sun_path) >= (int)sizeof beside.sun_path)
		return err_set(err, ENAMETOOLONG, "%s", sun->sun_path);
	if (unlink(beside.sun_path) == -1 && errno != ENOENT)
		return err_set(err, errno, "cannot remove %s", beside.sun_path);
	if ((c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) == -1)
		return err_set(err, errno, "cannot make a socket");
	if (bind(c->fd, (const struct sockaddr *)&beside, sizeof beside) == -1)
		return err_set(err, errno, "cannot bind %s", beside.sun_path);
	if ((c->has_group && chown(beside.sun_path, (uid_t)-1, c->group) == -1) || chmod(beside.sun_path, 0660) == -1 ||
	    listen(c->fd, SOMAXCONN) == -1 || lstat(beside.sun_path, &st) == -1 || rename(beside.sun_path, sun->sun_path) == -1) {
		err_set(err, errno, "cannot put the socket to %s", sun->sun_path);
		unlink(beside.sun_path);
		return false;
	}
	c->dev = st.st_dev;
	c->ino = st.st_ino;
	return true;
}

static bool
group_of(struct ctl *c, const char *group, struct err *err)
{
	const struct group *gr;

	if (group == NULL)
		return true;
	if ((gr = getgrnam(group)) == NULL)
		return err_set(err, 0, "there is no group \"%s\" for %s: make it (groupadd --system %s) or name another one", group, c->path, group);
	c->group = gr->gr_gid;
	c->has_group = true;
	return true;
}

struct ctl *
ctl_new(struct loop *loop, const char *path, const char *group, ctl_asked_f *asked, void *arg, struct err *err)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct ctl *c = calloc(1, sizeof *c);

	if (c == NULL)
		abort();
	*c = (struct ctl){ .loop = loop, .fd = -1, .patience_ms = CTL_PATIENCE_MS, .asked = asked, .arg = arg };
	if (snprintf(sun.sun_path, sizeof sun.sun_path, "%s", path) >= (int)sizeof sun.sun_path) {
		err_set(err, ENAMETOOLONG, "%s", path);
		free(c);
		return NULL;
	}
	memcpy(c->path, sun.sun_path, sizeof c->path);
	if (!group_of(c, group, err) || !place_is_free(&sun, err) || !door_open(c, &sun, err)) {
		if (c->fd != -1)
			close(c->fd);
		free(c);
		return NULL;
	}
	c->pause = loop_timer_new(loop, pause_over, c);
	c->io = loop_io_new(loop, c->fd, LOOP_READ, door_ready, c);
	return c;
}

void
ctl_patience(struct ctl *c, uint32_t ms)
{
	c->patience_ms = ms;
}

void
ctl_free(struct ctl *c)
{
	struct stat st;

	if (c == NULL)
		return;
	/* a newer one may have put its own there */
	if (lstat(c->path, &st) == 0 && st.st_dev == c->dev && st.st_ino == c->ino)
		unlink(c->path);
	loop_io_free(c->io);
	loop_timer_free(c->pause);
	close(c->fd);
	while (c->replies != NULL)
		ctl_client_abandon(c);
	free(c);
}
