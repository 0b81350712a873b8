/*
 * common/log.c - formats log lines and hands each, once, to the sink of this process. Used by every
 * process. Does not block: the default sink (standard error) leaves out what a full pipe or socket would not take, and says
 * so with the next line.
 *
 * Control characters become blanks: text that came over the network or out of a file must not be
 * able to forge a second line.
 */
#include "common/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_LINE_MAX 1024

/* One process has one log: the only state of common/ that is not in an object (see log.h). */
static struct {
	log_sink_f	*sink;
	void		*arg;
	enum log_level	 least;
	unsigned long	 lost;		/* of the default sink, not told yet */
} to = { .least = LOG_LVL_INFO };

static const char *const prefix[LOG_LVL_COUNT] = {
	[LOG_LVL_ERR] = "error: ",
	[LOG_LVL_WARN] = "warning: ",
	[LOG_LVL_INFO] = "",
	[LOG_LVL_DEBUG] = "debug: ",
};

/* One write() a line, so that lines of several processes on one terminal do not mix. What is ready takes a line whole. */
static void
log_stderr(enum log_level level, const char *line)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };
	char buf[LOG_LINE_MAX + 64];
	int len = 0;

	if (to.lost > 0)
		len = snprintf(buf, sizeof(buf), "(%lu lines lost) ", to.lost);
	len += snprintf(buf + len, sizeof(buf) - (size_t)len, "%s%s\n", prefix[level], line);
	if (poll(&p, 1, 0) == 1 && write(STDERR_FILENO, buf, (size_t)len) == len)
		to.lost = 0;
	else
		to.lost++;	/* nobody is left to be told now */
}

static void __attribute__((format(printf, 3, 0)))
log_line(enum log_level level, int sys, const char *fmt, va_list ap)
{
	char line[LOG_LINE_MAX];
	size_t len;

	if (level > to.least)
		return;
	vsnprintf(line, sizeof(line), fmt, ap);
	if (sys != 0) {
		len = strlen(line);
		snprintf(line + len, sizeof(line) - len, ": %s", strerror(sys));
	}
	for (char *c = line; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
	if (to.sink != NULL)
		to.sink(to.arg, level, line);
	else
		log_stderr(level, line);
}

void
log_to(log_sink_f *sink, void *arg)
{
	to.sink = sink;
	to.arg = arg;
}

void
log_verbose(enum log_level least)
{
	to.least = least;
}

void
log_err(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(LOG_LVL_ERR, 0, fmt, ap);
	va_end(ap);
}

void
log_warnx(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(LOG_LVL_WARN, 0, fmt, ap);
	va_end(ap);
}

void
log_warn(const char *fmt, ...)
{
	int sys = errno;
	va_list ap;

	va_start(ap, fmt);
	log_line(LOG_LVL_WARN, sys, fmt, ap);
	va_end(ap);
}

void
log_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(LOG_LVL_INFO, 0, fmt, ap);
	va_end(ap);
}

void
log_debug(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(LOG_LVL_DEBUG, 0, fmt, ap);
	va_end(ap);
}

void
fatal(const char *fmt, ...)
{
	int sys = errno;
	va_list ap;

	va_start(ap, fmt);
	log_line(LOG_LVL_ERR, sys, fmt, ap);
	va_end(ap);
	exit(2);
}

void
fatalx(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(LOG_LVL_ERR, 0, fmt, ap);
	va_end(ap);
	exit(2);
}
