/*
 * supervisor/kernel_setting.c - read and write one number below /proc/sys.
 *
 * Leaves to others what it is for and when it is put back. Runs in workers. Does not block: the
 * kernel answers from memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "supervisor/kernel_setting.h"

static int
setting_open(const char *name, int mode, struct err *err)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	fd = open(path, mode | O_CLOEXEC);
	if (fd == -1)
		err_set(err, errno, "cannot open the kernel setting %s", path);
	return fd;
}

bool
kernel_setting_read(const char *name, int *ret, struct err *err)
{
	int fd = setting_open(name, O_RDONLY, err);
	char text[32], *end;
	ssize_t n;
	long value;

	if (fd == -1)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	if (n == -1)
		err_set(err, errno, "cannot read the kernel setting %s", name);
	close(fd);
	if (n == -1)
		return false;
	text[n] = '\0';
	errno = 0;
	value = strtol(text, &end, 10);
	if (end == text || errno != 0 || value < INT_MIN || value > INT_MAX)
		return err_set(err, 0, "the kernel setting %s is not a number", name);
	*ret = (int)value;
	return true;
}

bool
kernel_setting_write(const char *name, int value, struct err *err)
{
	int fd = setting_open(name, O_WRONLY, err);
	char text[32];
	bool ok;

	if (fd == -1)
		return false;
	ok = write(fd, text, (size_t)snprintf(text, sizeof(text), "%d\n", value)) != -1;
	if (!ok)
		err_set(err, errno, "cannot set the kernel setting %s to %d", name, value);
	close(fd);
	return ok;
}
