/*
 * supervisor/scribe_log.c - writes log lines to where they are kept. Runs in a child of the scribe only, which may wait for the
 * disk and for syslog as long as it likes.
 *
 * The log file is opened for every batch, so that logrotate needs no signal.
 */
#include "supervisor/scribe_child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

#include "common/clock.h"

struct writer {
	const char	*log;
	bool		 bad;		/* said once, until it is well again */
	size_t		 len;
	char		 text[SCRIBE_RECORDS_MAX * (SCRIBE_LINE_MAX + 64)];	/* lines of this turn */
};

static const struct {
	const char	*prefix;
	int		 priority;
} levels[LOG_LVL_COUNT] = {
	[LOG_LVL_ERR] = { "error: ", LOG_ERR },
	[LOG_LVL_WARN] = { "warning: ", LOG_WARNING },
	[LOG_LVL_INFO] = { "", LOG_INFO },
	[LOG_LVL_DEBUG] = { "debug: ", LOG_DEBUG },
};

static bool
write_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return false;
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

/* Where the log file cannot be written, syslog is better than nothing; said once. */
static void
lines_rescue(struct writer *w)
{
	if (!w->bad)
		syslog(LOG_ERR, "log file %s cannot be written: %s; its lines go to syslog meanwhile",
		    w->log, strerror(errno));
	w->bad = true;
	for (char *line = w->text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		*end = '\0';
		syslog(LOG_NOTICE, "%s", line);
	}
}

static void
lines_flush(struct writer *w)
{
	int fd = STDERR_FILENO;

	if (w->len == 0)
		return;
	w->text[w->len] = '\0';
	if (strcmp(w->log, "stderr") != 0)
		fd = open(w->log, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_CLOEXEC, 0640);
	if (fd == -1 || !write_all(fd, w->text, w->len))
		lines_rescue(w);
	else
		w->bad = false;
	if (fd > STDERR_FILENO)
		close(fd);
	w->len = 0;
}

static void
line_write(struct writer *w, const struct scribe_record *r)
{
	char when[CLOCK_RFC3339_MAX];
	int n;

	if (strcmp(w->log, "syslog") == 0) {
		syslog(levels[r->level].priority, "%s", r->u.line);
		return;
	}
	if (sizeof(w->text) - w->len < SCRIBE_LINE_MAX + 64)
		lines_flush(w);
	clock_rfc3339_ms(r->wall_ms, when);
	n = snprintf(w->text + w->len, sizeof(w->text) - w->len, "%s mailpaird: %s%s\n", when,
	    levels[r->level].prefix, r->u.line);
	w->len += (size_t)n;
}

void
scribe_write_log(int fd, const char *log)
{
	struct writer *w = calloc(1, sizeof(*w));
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct scribe_record r;
	ssize_t n = 1;

	if (w == NULL)
		abort();
	w->log = log;
	openlog("mailpaird", 0, LOG_DAEMON);
	while (n != 0) {
		struct scribe_answer a = { .news = SCRIBE_NO_NEWS };

		poll(&p, 1, -1);
		while (a.taken < SCRIBE_RECORDS_MAX && (n = recv(fd, &r, sizeof(r), MSG_DONTWAIT)) > 0) {
			((char *)&r)[(size_t)n < sizeof(r) ? (size_t)n : sizeof(r) - 1] = '\0';
			line_write(w, &r);
			a.taken++;
		}
		lines_flush(w);
		if (a.taken > 0)
			send(fd, &a, sizeof(a), MSG_NOSIGNAL);
	}
	free(w);
}
