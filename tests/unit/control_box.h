/*
 * tests/unit/control_box.h - a control server in a child process and a client that may block, for
 * test_control.c alone.
 *
 * The server runs the loop and ends by SIGTERM; it then frees everything, so that leaks are seen by
 * the sanitizer or valgrind.
 */
#ifndef TESTS_UNIT_CONTROL_BOX_H
#define TESTS_UNIT_CONTROL_BOX_H

#include "tests/unit/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "supervisor/control.h"

#define PATIENCE_MS 300
#define HELD_MAX 256

static char dir[64], path[96];
static pid_t server_pid;
static uint64_t patience_ms = PATIENCE_MS;

/* ---------------------------------------------------------------- the server */

struct server {
	struct loop	*loop;
	struct client	*held[HELD_MAX];
	size_t		 held_len;
	struct client	*watched;	/* waits to see it go */
	struct client	*stepped;	/* gets a line of 1 KiB each millisecond */
	struct loop_timer *step_timer;
	int		 step, steps;
};

static void
step(void *arg)
{
	struct server *sv = arg;

	client_outf(sv->stepped, "%06d%*s", sv->step, 1015, "");
	if (++sv->step < sv->steps) {
		loop_timer_in(sv->step_timer, 1);
	} else {
		client_end(sv->stepped, 0);
		sv->stepped = NULL;
	}
}

static void
answer(void *arg, struct client *cl, const struct control_request *request)
{
	struct server *sv = arg;
	char line[1025];

	if (strcmp(request->command, "echo") == 0) {
		client_outf(cl, "%s json %d", control_arg(request, "text"), request->json);
		client_errf(cl, "one\ntwo\n");
		client_end(cl, 3);
	} else if (strcmp(request->command, "steps") == 0) {
		sv->stepped = cl;
		sv->step = 0;
		sv->steps = (int)strtol(control_arg(request, "count"), NULL, 10);
		step(sv);
	} else if (strcmp(request->command, "hold") == 0) {
		if (control_arg(request, "first") != NULL)
			client_out(cl, control_arg(request, "first"));
		sv->held[sv->held_len++] = cl;
	} else if (strcmp(request->command, "watch") == 0) {
		sv->watched = cl;
	} else if (strcmp(request->command, "gone") == 0) {
		bool gone = sv->watched != NULL && client_gone(sv->watched);

		client_outf(cl, "%s", gone ? "gone" : "there");
		if (gone) {
			client_out(sv->watched, "nobody hears this\n");
			client_end(sv->watched, 0);
			sv->watched = NULL;
		}
		client_end(cl, 0);
	} else {	/* "much kib=N" */
		memset(line, '.', 1021);
		memcpy(line + 1021, "\n", 2);
		for (int i = 0; i < (int)strtol(control_arg(request, "kib"), NULL, 10); i++)
			client_out(cl, line);
		client_end(cl, 0);
	}
}

static void
end_held(int signo, void *arg)
{
	struct server *sv = arg;

	(void)signo;
	for (size_t i = 0; i < sv->held_len; i++) {
		client_out(sv->held[i], "held");
		client_end(sv->held[i], 0);
	}
	sv->held_len = 0;
}

static void
stop(int signo, void *arg)
{
	(void)signo;
	loop_stop(((struct server *)arg)->loop);
}

static void
silent_log(void *arg, enum log_level level, const char *line)
{
	(void)arg, (void)level, (void)line;
}

static void
serve(const char *group, rlim_t files_max, int ready)
{
	struct server sv = { .loop = loop_new() };
	struct loop_signal *term = loop_signal_new(sv.loop, SIGTERM, stop, &sv);
	struct loop_signal *usr1 = loop_signal_new(sv.loop, SIGUSR1, end_held, &sv);
	struct rlimit limit;
	struct err err;
	struct control *co = control_new(sv.loop, path, group, answer, &sv, &err);

	sv.step_timer = loop_timer_new(sv.loop, step, &sv);
	log_to(silent_log, NULL);
	if (co == NULL) {
		fprintf(stderr, "server: %s\n", err.text);
		_exit(9);
	}
	control_patience(co, patience_ms);
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = files_max;
	if (files_max > 0 && setrlimit(RLIMIT_NOFILE, &limit) == -1)
		_exit(8);
	if (write(ready, "r", 1) != 1)
		_exit(7);
	close(ready);
	loop_run(sv.loop);
	control_free(co);
	end_held(0, &sv);	/* after control_free(): owed ends are harmless */
	if (sv.watched != NULL)
		client_end(sv.watched, 0);
	if (sv.stepped != NULL)
		client_end(sv.stepped, 0);
	loop_timer_free(sv.step_timer);
	loop_signal_free(term);
	loop_signal_free(usr1);
	loop_free(sv.loop);
	exit(0);
}

static void
server_start(const char *group, rlim_t files_max)
{
	int ready[2];
	char byte;

	ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
	server_pid = fork();
	ck_assert_int_ne(server_pid, -1);
	if (server_pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ready[0]);
		serve(group, files_max, ready[1]);
	}
	close(ready[1]);
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
}

static void
server_stop(void)
{
	int status;

	ck_assert_int_eq(kill(server_pid, SIGTERM), 0);
	ck_assert_int_eq(waitpid(server_pid, &status, 0), server_pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
	    "the server ended with status %d", status);
	ck_assert_int_eq(access(path, F_OK), -1);
}

static void
setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/test_control.XXXXXX");
	ck_assert_ptr_ne(mkdtemp(dir), NULL);
	snprintf(path, sizeof(path), "%s/control.sock", dir);
}

static void
teardown(void)
{
	unlink(path);
	rmdir(dir);
}

/* ---------------------------------------------------------------- the client */

static int
dial(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = 8 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	ck_assert_int_ne(fd, -1);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1) {
		close(fd);
		return -1;
	}
	return fd;
}

static void
say(int fd, const char *bytes, size_t len)
{
	ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

	(void)n;		/* the server may have closed already */
}

/* All up to the end of file; returns the length. -1: reset, or nothing within the limit. */
static ssize_t
hear(int fd, char *buf, size_t size)
{
	size_t len = 0;

	for (;;) {
		ssize_t n = recv(fd, buf + len, size - 1 - len, 0);

		if (n == -1 && errno == ECONNRESET)
			n = 0; /* closed with our bytes unread: what was sent came before */
		ck_assert_msg(
		    n != -1, "the server neither answers nor closes: %s", strerror(errno));
		len += (size_t)n;
		buf[len] = '\0';
		if (n == 0)
			return (ssize_t)len;
		ck_assert_uint_lt(len, size - 1);
	}
}

static const char *
ask_bytes(const char *bytes, size_t len)
{
	static char reply[4096];
	int fd = dial();

	ck_assert_int_ne(fd, -1);
	say(fd, bytes, len);
	hear(fd, reply, sizeof(reply));
	close(fd);
	return reply;
}

static const char *
ask(const char *line)
{
	return ask_bytes(line, strlen(line));
}

static uint64_t
server_cpu_ms(void)
{
	struct timespec ts;
	clockid_t id;

	ck_assert_int_eq(clock_getcpuclockid(server_pid, &id), 0);
	ck_assert_int_eq(clock_gettime(id, &ts), 0);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

#endif
