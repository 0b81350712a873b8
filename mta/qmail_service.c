/*
 * mta/qmail_service.c - supervise's FIFOs and status file, and starting without them. Runs in workers; does not
 * block: a FIFO without reader is an answer, not something to wait for.
 */
#include "mta/qmail_service.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/spawn_kid.h"

#define FAIL_FD 3
#define DAEMONTOOLS_LEN 18
#define RUNIT_LEN 20
#define AT_PID 12	/* behind a TAI64N label; little-endian */
#define AT_PAUSED 16
#define AT_WANT 17

/* ---------------------------------------------------------------- supervised */

/* -1 with errno: ENXIO or ENOENT where nobody watches. */
static int
open_fifo(const struct qmail_service *svc, const char *name)
{
	char path[QMAIL_PATH_MAX + 32];
	struct stat st;
	int fd;

	snprintf(path, sizeof path, "%s/supervise/%s", svc->path, name);
	fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd != -1 && (fstat(fd, &st) == -1 || !S_ISFIFO(st.st_mode))) {
		close(fd);
		errno = ENXIO;
		return -1;
	}
	return fd;
}

bool
qmail_status_parse(const unsigned char *bytes, size_t len, struct qmail_status *ret)
{
	uint32_t pid;

	if (len != DAEMONTOOLS_LEN && len != RUNIT_LEN)
		return false;
	pid = (uint32_t)bytes[AT_PID] | (uint32_t)bytes[AT_PID + 1] << 8 | (uint32_t)bytes[AT_PID + 2] << 16 |
	    (uint32_t)bytes[AT_PID + 3] << 24;
	if (pid > INT32_MAX)
		return false;
	*ret = (struct qmail_status){ .watched = true, .pid = (pid_t)pid, .paused = bytes[AT_PAUSED] != 0,
		.wanted_up = bytes[AT_WANT] == 'u' };
	return true;
}

bool
qmail_service_status(const struct qmail_service *svc, struct qmail_status *ret, struct err *err)
{
	char path[QMAIL_PATH_MAX + 32];
	unsigned char bytes[64];
	ssize_t len = -1;
	int ok = open_fifo(svc, "ok"), fd;

	if (ok == -1) {
		if (errno != ENXIO && errno != ENOENT && errno != ENOTDIR)
			return err_set(err, errno, "cannot ask who supervises %s", svc->path);
		*ret = (struct qmail_status){ .watched = false };
		return true;
	}
	close(ok);
	snprintf(path, sizeof path, "%s/supervise/status", svc->path);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd != -1) {
		len = read(fd, bytes, sizeof bytes);
		close(fd);
	}
	if (len == -1)
		return err_set(err, errno, "cannot read %s", path);
	return qmail_status_parse(bytes, (size_t)len, ret) || err_set(err, 0, "%s has %zd bytes, which is neither daemontools' "
	    "nor runit's form", path, len);
}

bool
qmail_service_control(const struct qmail_service *svc, char command, struct err *err)
{
	int fd = open_fifo(svc, "control");
	bool ok;

	if (fd == -1)
		return err_set(err, 0, "nobody supervises the service %s: is svscan (or runsvdir) running, and the service below "
		    "its directory?", svc->path);
	ok = write(fd, &command, 1) == 1 || err_set(err, errno, "cannot tell the supervisor of %s", svc->path);
	close(fd);
	return ok;
}

/* ---------------------------------------------------------------- on its own */

/* In the grandchild: becomes the program; never returns. */
static void
become(const struct qmail_conf *conf, const struct qmail_service *svc, int fail)
{
	char path[QMAIL_PATH_MAX + 96], mark[QMAIL_PATH_MAX + 32];
	char *const argv[] = { (char *)(uintptr_t)svc->path, NULL }, *const env[] = { path, mark, NULL };
	int null = open("/dev/null", O_RDWR), sys;

	snprintf(path, sizeof path, "PATH=%s:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin", conf->bin);
	snprintf(mark, sizeof mark, QMAIL_SERVICE_MARK "=%s", svc->path);
	if (null != -1 && chdir("/") == 0 && dup2(null, 0) != -1 && dup2(null, 1) != -1 && dup2(null, 2) != -1 &&
	    dup3(fail, FAIL_FD, O_CLOEXEC) != -1) {
		fail = FAIL_FD;
		kid_close_from(FAIL_FD + 1);
		kid_settle(false);
		execve(svc->path, argv, env);
	}
	sys = errno;
	(void)!write(fail, &sys, sizeof sys);
	_exit(111);
}

/* In the child: lets go of the worker, so that nothing of it ends the program. */
static void
detach(const struct qmail_conf *conf, const struct qmail_service *svc, int tell, int fail)
{
	pid_t pid;

	setsid();
	pid = fork();
	if (pid == 0) {
		close(tell);
		become(conf, svc, fail);
	}
	(void)!write(tell, &pid, sizeof pid);
	_exit(0);
}

/* What became of it: 0, or an errno. */
static int
launched(pid_t child, int tell, int fail, pid_t *ret_pid)
{
	int sys, status;

	while (waitpid(child, &status, 0) == -1 && errno == EINTR)
		;
	if (read(tell, ret_pid, sizeof *ret_pid) != sizeof *ret_pid || *ret_pid <= 0)
		return EAGAIN;
	/* its end of the pipe is closed by a successful execve(2) */
	return read(fail, &sys, sizeof sys) == sizeof sys ? sys : 0;
}

bool
qmail_service_launch(const struct qmail_conf *conf, const struct qmail_service *svc, pid_t *ret_pid, struct err *err)
{
	int tell[2], fail[2], sys;
	pid_t child, pid = 0;

	if (pipe2(tell, O_CLOEXEC) == -1)
		return err_set(err, errno, "cannot start %s", svc->path);
	if (pipe2(fail, O_CLOEXEC) == -1) {
		sys = errno;
		close(tell[0]);
		close(tell[1]);
		return err_set(err, sys, "cannot start %s", svc->path);
	}
	child = fork();
	if (child == 0)
		detach(conf, svc, tell[1], fail[1]);
	sys = errno;
	close(tell[1]);
	close(fail[1]);
	if (child != -1)
		sys = launched(child, tell[0], fail[0], &pid);
	close(tell[0]);
	close(fail[0]);
	if (sys != 0)
		return err_set(err, sys, "cannot start %s", svc->path);
	*ret_pid = pid;
	return true;
}
