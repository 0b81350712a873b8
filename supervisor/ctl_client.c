/*
 * supervisor/ctl_client.c - mailpair's side of the control socket: one request, then lines until
 * the exit code.
 *
 * Runs in the program mailpair and blocks. Lines are printed as they come, so that a long command
 * shows its steps. It knows the protocol of supervisor/control.h, and no command.
 */
#include "supervisor/ctl.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/json.h"

#define CONNECT_TRY_MS 50	/* while the queue of the socket is full */
#define CONNECT_TRIES 40

bool
ctl_directory(const struct ctl *ctl, bool state, char *buf, size_t size, struct err *err)
{
	struct conf_mistakes mistakes = { NULL, 0 };
	const char *file = ctl->conf != NULL ? ctl->conf : CTL_CONF;
	struct conf *conf = NULL;
	bool ok = true;

	snprintf(buf, size, "%s", state ? CTL_STATE_DIR : CTL_RUN_DIR);
	if (conf_load(file, ctl->node, &conf, &mistakes)) {
		snprintf(buf, size, "%s", state ? conf->state_dir : conf->run_dir);
		conf_free(conf);
	} else if (ctl->conf != NULL) {
		ok = err_set(err, 0, "The configuration %s cannot be used: %s", file,
		    mistakes.len > 0 ? mistakes.item[0].text : "it cannot be read");
	}
	conf_mistakes_free(&mistakes);
	return ok;
}

void
ctl_request(struct ctl_request *request, const char *command)
{
	request->too_long = false;
	request->len = (size_t)snprintf(request->line, sizeof(request->line), "%s", command);
}

static void
put(struct ctl_request *request, char c)
{
	if (request->len + 2 >= sizeof(request->line)) {	/* newline and NUL come last */
		request->too_long = true;
		return;
	}
	request->line[request->len++] = c;
	request->line[request->len] = '\0';
}

void
ctl_request_add(struct ctl_request *request, const char *key, const char *value)
{
	static const char plain[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:/@+,";

	put(request, ' ');
	for (; *key != '\0'; key++)
		put(request, *key);
	put(request, '=');
	for (; *value != '\0'; value++) {
		if (strchr(plain, *value) != NULL) {
			put(request, *value);
		} else {
			put(request, '%');
			put(request, "0123456789ABCDEF"[(unsigned char)*value >> 4]);
			put(request, "0123456789ABCDEF"[(unsigned char)*value & 15]);
		}
	}
}

void
ctl_request_addf(struct ctl_request *request, const char *key, const char *fmt, ...)
{
	char value[128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	ctl_request_add(request, key, value);
}

static bool
connect_error(const char *path, int error, struct err *err)
{
	switch (error) {
	case ENOENT:
	case ECONNREFUSED:
		return err_set(err, 0,
		    "mailpaird does not run on this node: nobody answers at %s. Start it with "
		    "\"systemctl start mailpair\"; if it ends at once, \"mailpair check\" and its "
		    "log say why.",
		    path);
	case EACCES:
	case EPERM:
		return err_set(err, 0,
		    "You are not permitted to use %s: be root, or a member of its group.", path);
	default:
		return err_set(err, error, "mailpaird cannot be reached at %s", path);
	}
}

static int
dial(const struct ctl *ctl, struct err *err)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	char dir[sizeof(sun.sun_path)], path[sizeof(sun.sun_path) + 16];
	int fd, error = 0;

	if (ctl->socket != NULL) {
		snprintf(path, sizeof(path), "%s", ctl->socket);
	} else {
		if (!ctl_directory(ctl, false, dir, sizeof(dir), err))
			return -1;
		snprintf(path, sizeof(path), "%s/control.sock", dir);
	}
	if (strlen(ctl->socket != NULL ? ctl->socket : path) >= sizeof(sun.sun_path)) {
		err_set(err, 0, "The path of a control socket cannot be as long as %s.",
		    ctl->socket != NULL ? ctl->socket : path);
		return -1;
	}
	memcpy(sun.sun_path, path, strlen(path) + 1);
	for (int n = 0; n < CONNECT_TRIES; n++) {
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (fd == -1) {
			err_set(err, errno, "No socket can be made");
			return -1;
		}
		if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
			return fd;
		error = errno;
		close(fd);
		if (error !=
		    EAGAIN) /* full queue of a local socket: there is nothing to poll for */
			break;
		poll(NULL, 0, CONNECT_TRY_MS);
	}
	connect_error(path, error, err);
	return -1;
}

struct talk {
	char		*buf;
	size_t		 len, size;
	ctl_line_f	*line;
	void		*arg;
	int		 code;		/* -1: none yet */
};

/* Hand over the whole lines that are in the buffer. False: that is not our protocol. */
static bool
take_lines(struct talk *talk)
{
	char *line = talk->buf, *end = talk->buf + talk->len, *newline;

	while (talk->code == -1 && (newline = memchr(line, '\n', (size_t)(end - line))) != NULL) {
		*newline = '\0';
		if (line[0] == '\0' || line[1] != ' ' || strchr("oex", line[0]) == NULL)
			return false;
		if (line[0] != 'x') {
			talk->line(talk->arg, line[0], line + 2);
		} else {
			if (line[2] < '0' || line[2] > '9')
				return false;
			talk->code = (int)strtol(line + 2, NULL, 10) & 0xff;
		}
		line = newline + 1;
	}
	talk->len = (size_t)(end - line);
	memmove(talk->buf, line, talk->len);
	return true;
}

static bool
make_room(struct talk *talk)
{
	size_t size = talk->size > 0 ? talk->size * 2 : 16384;
	char *grown;

	if (talk->len < talk->size)
		return true;
	if (size > 4 * CONTROL_OUT_MAX)
		return false;
	grown = realloc(talk->buf, size);
	if (grown == NULL)
		return false;
	talk->buf = grown;
	talk->size = size;
	return true;
}

/* Until the exit code, the end of file, or too long a silence. */
static bool
listen_to(int fd, int quiet_ms, struct talk *talk, struct err *err)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	while (talk->code == -1) {
		int ready = poll(&pfd, 1, quiet_ms);
		ssize_t n;

		if (ready == -1 && errno == EINTR)
			continue;
		if (ready == 0)
			return err_set(err, 0,
			    "mailpaird does not answer (for %d s). Its log may say why; mail is "
			    "not "
			    "affected by that alone.",
			    quiet_ms / 1000);
		if (!make_room(talk))
			return err_set(err, 0, "mailpaird answers with a line that is too long.");
		n = recv(fd, talk->buf + talk->len, talk->size - talk->len, MSG_DONTWAIT);
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return err_set(err, 0,
			    "mailpaird went away before the command ended, so its outcome is not "
			    "known here. It is restarted by itself: look at \"mailpair status\" "
			    "and \"mailpair "
			    "history\".");
		talk->len += (size_t)n;
		if (!take_lines(talk))
			return err_set(
			    err, 0, "What answers at the control socket is not mailpaird.");
	}
	return true;
}

int
ctl_talk(const struct ctl *ctl, const struct ctl_request *request, int quiet_ms, ctl_line_f *line,
    void *arg, struct err *err)
{
	struct talk talk = { .line = line, .arg = arg, .code = -1 };
	struct ctl_request whole = *request;
	ssize_t n;
	int fd;

	if (request->too_long) {
		err_set(err, 0, "The arguments are too long.");
		return -1;
	}
	fd = dial(ctl, err);
	if (fd == -1)
		return -1;
	whole.line[whole.len++] = '\n';
	/* A fresh socket takes a line of this size at once. If it was turned away already, the
	 * reason is to be read. */
	n = send(fd, whole.line, whole.len, MSG_NOSIGNAL);
	(void)n;
	if (!listen_to(fd, quiet_ms, &talk, err))
		talk.code = -1;
	free(talk.buf);
	close(fd);
	return talk.code;
}

/* ---------------------------------------------------------------- printing */

struct heard {
	bool	document;		/* something came for standard output */
	char	messages[1024];		/* what came for people, in one line */
};

/* What a device or script said may stand in a line: it must not steer the terminal. */
static void
print_line(FILE *file, const char *text)
{
	for (; *text != '\0'; text++)
		fputc((unsigned char)*text < 0x20 && *text != '\t' ? '?' : *text, file);
	fputc('\n', file);
	fflush(file);
}

static void
print_as_it_comes(void *arg, char kind, const char *text)
{
	struct heard *heard = arg;
	size_t len = strlen(heard->messages);

	if (kind == 'o')
		heard->document = true;
	else
		snprintf(heard->messages + len, sizeof(heard->messages) - len, "%s%s",
		    len > 0 ? " " : "", text);
	print_line(kind == 'o' ? stdout : stderr, text);
}

/* The document of a command that came to no document of its own: there is always one. */
static void
print_document(int code, const char *message)
{
	static const char *const results[] = { "done", "no", "cannot", "refused" };
	char buf[8192];
	struct json j;

	json_init(&j, buf, sizeof(buf));
	json_object(&j, NULL);
	json_string(
	    &j, "result", code >= CTL_DONE && code <= CTL_REFUSED ? results[code] : "cannot");
	json_string(&j, "message", message);
	json_array(&j, "steps");
	json_array_end(&j);
	json_object_end(&j);
	json_finish(&j);
	fputs(buf, stdout);
}

int
ctl_ask(const struct ctl *ctl, const struct ctl_request *plain)
{
	struct heard heard = { .document = false };
	struct ctl_request request = *plain;
	struct err err;
	int code;

	if (ctl->json)
		ctl_request_add(&request, "json", "yes");
	code = ctl_talk(ctl, &request, -1, print_as_it_comes, &heard, &err);
	if (code == -1) {
		ctl_fail(CTL_CANNOT, "%s", err.text);
		code = CTL_CANNOT;
		snprintf(heard.messages, sizeof(heard.messages), "%s", err.text);
	}
	if (ctl->json && !heard.document)
		print_document(code, heard.messages);
	return code;
}
