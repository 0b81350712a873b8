/*
 * tests/live/tools/qmail_home.h - what the stand-ins for qmail's programs have in common. HOME is the directory above the
 * one that a program stands in.
 */
#ifndef TESTS_LIVE_TOOLS_QMAIL_HOME_H
#define TESTS_LIVE_TOOLS_QMAIL_HOME_H

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

#define SPLIT 23

static char home[PATH_MAX];

static inline void
go_home(const char *below)
{
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);

	if (n <= 0)
		_exit(111);
	exe[n] = '\0';
	snprintf(home, sizeof home, "%s", dirname(dirname(exe)));
	if (chdir(home) == -1 || (below != NULL && chdir(below) == -1))
		_exit(61);
}

static inline void
become(const char *name, const char *argument)
{
	char path[PATH_MAX + 32];

	snprintf(path, sizeof path, "%s/bin/%s", home, name);
	execl(path, name, argument, (char *)NULL);
	_exit(111);
}

static inline void
put(int fd, const void *bytes, size_t len)
{
	if (write(fd, bytes, len) != (ssize_t)len)
		_exit(53);
}

/* A file of the queue; returns its descriptor. */
static inline int
make(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);

	if (fd == -1)
		_exit(63);
	return fd;
}

#endif
