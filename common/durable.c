/*
 * common/durable.c - small files that change whole or not at all. Used by workers, by the command
 * line and while starting: every call may wait for a disk.
 *
 * The order is the point: the bytes must be on disk before the name points to them, and the name
 * before anyone is told that it is done.
 */
#include "common/durable.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Split into the directory, opened, and the name within; -1 with *err. */
static int
durable_dir(const char *path, const char **ret_name, struct err *err)
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX];
	int fd;

	if (slash == NULL)
		snprintf(dir, sizeof(dir), ".");
	else if (slash == path)
		snprintf(dir, sizeof(dir), "/");
	else
		snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
	if ((fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		err_set(err, errno, "cannot write %s: its directory cannot be opened", path);
	else
		*ret_name = slash != NULL ? slash + 1 : path;
	return fd;
}

static bool
durable_fill(int fd, const void *bytes, size_t len, mode_t mode)
{
	const char *from = bytes;

	if (fchmod(fd, mode) == -1)	/* whatever the umask is */
		return false;
	while (len > 0) {
		ssize_t n = write(fd, from, len);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return false;
		from += n;
		len -= (size_t)n;
	}
	return fsync(fd) == 0;
}

bool
durable_write(const char *path, const void *bytes, size_t len, mode_t mode, struct err *err)
{
	char fresh[NAME_MAX + 1];
	const char *name;
	int dir, fd = -1, sys;

	if ((dir = durable_dir(path, &name, err)) == -1)
		return false;
	if (snprintf(fresh, sizeof(fresh), "%s.new", name) >= (int)sizeof(fresh)) {
		close(dir);
		return err_set(err, ENAMETOOLONG, "cannot write %s", path);
	}
	/* One from a crash is of no worth; O_EXCL then makes sure that this one is ours alone. */
	unlinkat(dir, fresh, 0);
	fd = openat(dir, fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd == -1 || !durable_fill(fd, bytes, len, mode) || renameat(dir, fresh, dir, name) == -1 ||
	    fsync(dir) == -1) {
		sys = errno;
		if (fd != -1) {
			close(fd);
			unlinkat(dir, fresh, 0);
		}
		close(dir);
		return err_set(err, sys, "cannot write %s", path);
	}
	close(fd);
	close(dir);
	return true;
}

ssize_t
durable_read(const char *path, char *buf, size_t size, struct err *err)
{
	struct stat st;
	size_t len = 0;
	ssize_t n = 0;
	int sys = 0;
	/* O_NONBLOCK: a fifo put in its place must not hold us. */
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd == -1) {
		err_set(err, errno, errno == ELOOP ? "%s is a symbolic link" : "cannot read %s", path);
		return -1;
	}
	if (fstat(fd, &st) == -1)
		sys = errno;
	else if (!S_ISREG(st.st_mode))
		sys = EINVAL;
	/* One byte more than fits tells a file that is too large from one that just fits. */
	while (sys == 0 && len < size && (n = read(fd, buf + len, size - len)) != 0) {
		if (n > 0)
			len += (size_t)n;
		else if (errno != EINTR)
			sys = errno;
	}
	close(fd);
	if (sys == 0 && len == size)
		sys = EFBIG;
	if (sys != 0) {
		err_set(err, sys, sys == EINVAL ? "%s is not a regular file" : "cannot read %s", path);
		return -1;
	}
	buf[len] = '\0';
	return (ssize_t)len;
}
