/*
 * tests/unit/box.h - a box for a real mail program: own mount and pid namespaces, a network for each test, a driver's
 * calls made as the supervisor makes them, and an SMTP client. Needs root.
 *
 * box_enter() makes the namespaces and runs the suite in them; it is its own init there, so that what a test
 * leaves behind ends with it.
 */
#ifndef TESTS_UNIT_BOX_H
#define TESTS_UNIT_BOX_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/loop.h"
#include "common/spawn.h"
#include "mta/mta.h"
#include "tests/unit/harness.h"

/* What a driver call reported. */
struct said { bool ok; char out[16384]; struct err err; uint32_t took_ms; };

typedef bool box_call_f(const struct mta_driver *, const struct mta_params *, uint32_t, struct spawn_out *,
    struct err *);

struct box_job { const struct mta_driver *driver; const struct mta_params *params; uint32_t limit_ms;
	box_call_f *call; struct loop *loop; struct said *said; };

static inline bool
box_start_f(const struct mta_driver *d, const struct mta_params *p, uint32_t ms, struct spawn_out *out,
    struct err *err)
{
	return d->start(p, ms, out, err);
}

static inline bool
box_stop_f(const struct mta_driver *d, const struct mta_params *p, uint32_t ms, struct spawn_out *out,
    struct err *err)
{
	return d->stop(p, ms, out, err);
}

static inline bool
box_prepare_f(const struct mta_driver *d, const struct mta_params *p, uint32_t ms, struct spawn_out *out,
    struct err *err)
{
	(void)ms;
	return d->prepare(p, out, err);
}

static inline bool
box_work(const void *ctx, struct spawn_out *out, struct err *err)
{
	const struct box_job *job = ctx;

	return job->call(job->driver, job->params, job->limit_ms, out, err);
}

static inline void
box_done(void *arg, const struct spawn_result *result)
{
	struct box_job *job = arg;

	job->said->ok = result->end == SPAWN_EXITED && result->code == 0;
	snprintf(job->said->out, sizeof job->said->out, "%s", result->out);
	job->said->err = result->err;
	job->said->took_ms = result->took_ms;
	loop_stop(job->loop);
}

/* Calls it as the supervisor does: in a worker. */
static inline struct said *
box_call(const struct mta_driver *driver, const struct mta_params *params, box_call_f *call,
    uint32_t limit_ms)
{
	static struct said said;
	struct box_job job = { .driver = driver, .params = params, .limit_ms = limit_ms, .call = call,
		.loop = loop_new(), .said = &said };

	memset(&said, 0, sizeof said);
	spawn_work(job.loop, "mta", box_work, &job, limit_ms + 2000, box_done, &job);
	loop_run(job.loop);
	loop_free(job.loop);
	return &said;
}

/* The value a key has in what was said, "" where it is absent. */
static inline const char *
box_said(const struct said *said, const char *key)
{
	static char value[512];

	return spawn_get(said->out, key, value, sizeof value) != NULL ? value : "";
}

static inline void __attribute__((format(printf, 2, 3)))
box_write(const char *path, const char *fmt, ...)
{
	FILE *stream = fopen(path, "we");
	va_list ap;

	ck_assert_msg(stream != NULL, "%s: %s", path, strerror(errno));
	va_start(ap, fmt);
	vfprintf(stream, fmt, ap);
	va_end(ap);
	ck_assert_int_eq(fclose(stream), 0);
}

/* Runs a command with up to four arguments, returns its status; its output is thrown away. */
static inline int
box_run(const char *a, const char *b, const char *c, const char *d, const char *e)
{
	const char *const argv[] = { a, b, c, d, e, NULL };
	const struct spawn_cmd cmd = { .argv = argv };

	return spawn_run(&cmd, 90000, NULL, 0, NULL, 0, NULL);
}

/*
 * A network of its own for each test, so that what a failed one left running keeps no port of the
 * next.
 */
static inline bool
box_network(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd;
	bool ok;

	if (unshare(CLONE_NEWNET) == -1)
		return false;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	ok = ioctl(fd, SIOCSIFFLAGS, &lo) == 0;
	close(fd);
	return ok;
}

/* Our own init: reaps what has lost its parent, until the suite has ended. */
static inline int
box_init(int (*run)(void))
{
	int status = 1, state;
	pid_t suite, pid;

	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1 ||
	    mount("proc", "/proc", "proc", 0, NULL) == -1 ||
	    mount("box", "/tmp", "tmpfs", 0, NULL) == -1) {
		perror("box");
		return 1;
	}
	suite = fork();
	if (suite == 0)
		exit(run());
	while ((pid = wait(&state)) != -1 || errno == EINTR)
		if (pid == suite) {
			status = WIFEXITED(state) ? WEXITSTATUS(state) : 1;
			break;
		}
	return status;
}

static inline int
box_enter(bool possible, const char *needs, int (*run)(void))
{
	int status = 1;
	pid_t init;

	if (!possible || getuid() != 0 || unshare(CLONE_NEWNS | CLONE_NEWPID) == -1) {
		printf("skipped: needs root, namespaces and %s\n0 passed, 0 failed\n", needs);
		return 0;
	}
	fflush(stdout);
	init = fork();
	if (init == 0)
		exit(box_init(run));
	if (init == -1 || waitpid(init, &status, 0) == -1)
		return 1;
	/* Whoever unshared a pid namespace whose init has ended cannot fork or clone any more, and leak
	 * checkers clone at exit: this process has nothing to be checked, the suite's own has. */
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

/* An SMTP session on the box's port 25; box_expect() reads one reply and compares its code. */
static inline int
box_connect(void)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(25),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval limit = { .tv_sec = 30 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
	return fd;
}

static inline void
box_talk(int fd, const char *line, const char *code)
{
	char buf[1024];
	ssize_t n;

	if (line != NULL)
		ck_assert_int_eq(send(fd, line, strlen(line), MSG_NOSIGNAL), (int)strlen(line));
	n = recv(fd, buf, sizeof buf - 1, 0);
	ck_assert_int_gt(n, 3);
	buf[n] = '\0';
	ck_assert_msg(strncmp(buf, code, 3) == 0, "%s: %s", line != NULL ? line : "greeting", buf);
}

static inline void
box_send_mail(void)
{
	int fd = box_connect();

	box_talk(fd, NULL, "220");
	box_talk(fd, "HELO client.test\r\n", "250");
	box_talk(fd, "MAIL FROM:<a@box.test>\r\n", "250");
	box_talk(fd, "RCPT TO:<b@example.test>\r\n", "250");
	box_talk(fd, "DATA\r\n", "354");
	box_talk(fd, "Subject: x\r\n\r\nhello\r\n.\r\n", "250");
	box_talk(fd, "QUIT\r\n", "221");
	close(fd);
}

#endif
