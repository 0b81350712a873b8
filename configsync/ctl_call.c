/*
 * configsync/ctl_call.c - the asking half of config.sock: for the command line. Blocks until the answer is there.
 */
#include "configsync/ctl_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A whole question; malloc'd. */
static char *
written(const struct ctl_question *q, size_t *ret_len)
{
	size_t size = strlen(q->command) + 3, len;
	char *text;

	for (size_t i = 0; q->args[i] != NULL; i++)
		size += 3 * strlen(q->args[i]) + 2;
	if ((text = malloc(size)) == NULL)
		abort();
	len = (size_t)snprintf(text, size, "%s\n", q->command);
	for (size_t i = 0; q->args[i] != NULL; i += 2) {
		len += (size_t)snprintf(text + len, size - len, "%s ", q->args[i]);
		len += ctl_encode(q->args[i + 1], text + len);
		text[len++] = '\n';
	}
	text[len++] = '\n';
	*ret_len = len;
	return text;
}

static bool
send_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return false;
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

/* Lines of the answer up to the last one; the exit status, or -1 with *err. */
static int
listen_to(FILE *f, const char *path, void (*told)(void *, const struct ctl_line *), void *arg, char *text, size_t size, struct err *err)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t len;
	int code = -1;

	while (code == -1 && (len = getline(&line, &room, f)) > 0) {
		const char *number, *sentence;
		struct ctl_line row;

		if (line[len - 1] != '\n')
			break;		/* cut */
		line[len - 1] = '\0';
		if (!ctl_line_parse(line, &row, err)) {
			free(line);
			return -1;
		}
		if (strcmp(row.kind, ".") != 0) {
			told(arg, &row);
			continue;
		}
		number = ctl_value(&row, "code");
		sentence = ctl_value(&row, "text");
		code = number != NULL ? (int)(number[0] - '0') : 2;
		snprintf(text, size, "%s", sentence != NULL ? sentence : "");
	}
	free(line);
	if (code == -1)
		err_set(err, ferror(f) ? errno : 0, "mailpair-config at %s broke off before its answer was complete", path);
	return code;
}

int
ctl_call(const char *path, const struct ctl_question *q, void (*told)(void *, const struct ctl_line *), void *arg, char *text, size_t size,
    struct err *err)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	size_t len;
	char *question;
	int fd, code = -1;
	FILE *f;

	if (snprintf(sun.sun_path, sizeof sun.sun_path, "%s", path) >= (int)sizeof sun.sun_path) {
		err_set(err, ENAMETOOLONG, "%s", path);
		return -1;
	}
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1 || connect(fd, (const struct sockaddr *)&sun, sizeof sun) == -1) {
		err_set(err, errno, "%s", path);
		if (fd != -1)
			close(fd);
		return -1;
	}
	question = written(q, &len);
	/* who is turned away is told so before the question is read: an error here is no end yet */
	(void)send_all(fd, question, len);
	free(question);
	if ((f = fdopen(fd, "r")) == NULL)
		abort();
	code = listen_to(f, path, told, arg, text, size, err);
	fclose(f);
	return code;
}
