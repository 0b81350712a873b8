/*
 * supervisor/seal_file.c - the seal on a mounted spool: MOUNTPOINT/.mailpair/owner.
 *
 * Runs in workers; blocks on the spool. What is below the mountpoint belongs to mail software as
 * well, so every step is relative to an open directory and follows no symbolic link. A spool that
 * is not mounted has no seal, not a fresh one: the empty directory under it must never look like a
 * spool.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/seal.h"

#define SEAL_NAME    "owner"
#define SEAL_NEW     "owner.new"
#define SEAL_LEN_MAX 1024

int
seal_spool_open(const char *mountpoint, struct err *err)
{
	int fd = open(mountpoint, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statx x;

	if (fd == -1) {
		err_set(err, errno, "cannot open the spool %.200s", mountpoint);
		return -1;
	}
	if (statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &x) == 0 &&
	    (x.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0 &&
	    (x.stx_attributes & STATX_ATTR_MOUNT_ROOT) == 0) {
		err_set(err, 0, "no spool is mounted on %.200s", mountpoint);
		close(fd);
		return -1;
	}
	return fd;
}

/* -1 with *err; a missing file sets *ret_exists to false and is no error. */
static int
owner_open(int spool, const char *mountpoint, bool *ret_exists, struct err *err)
{
	int dir = openat(spool, SEAL_DIR, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int fd =
	    dir == -1 ? -1 : openat(dir, SEAL_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int sys = errno;

	*ret_exists = fd != -1 || sys != ENOENT;
	if (fd == -1 && *ret_exists)
		err_set(
		    err, sys, "cannot open the seal %.200s/" SEAL_DIR "/" SEAL_NAME, mountpoint);
	if (dir != -1)
		close(dir);
	return fd;
}

bool
seal_read(const char *mountpoint, struct seal *ret, bool *ret_exists, struct err *err)
{
	int spool = seal_spool_open(mountpoint, err), fd;
	char text[SEAL_LEN_MAX + 1];
	struct err why;
	size_t len = 0;
	ssize_t n = 0;
	struct stat st;
	bool exists;

	if (spool == -1)
		return false;
	fd = owner_open(spool, mountpoint, &exists, err);
	close(spool);
	if (fd == -1) {
		if (!exists)
			*ret_exists = false;
		return !exists;
	}
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode)) {
		close(fd);
		return err_set(err, 0,
		    "the seal %.200s/" SEAL_DIR "/" SEAL_NAME " is not a regular file", mountpoint);
	}
	while (len < sizeof(text) && (n = read(fd, text + len, sizeof(text) - len)) > 0)
		len += (size_t)n;
	if (n == -1) {
		int sys = errno;

		close(fd);
		return err_set(err, sys, "cannot read the seal of the spool %.200s", mountpoint);
	}
	close(fd);
	if (len > SEAL_LEN_MAX)
		return err_set(err, EFBIG, "cannot use the seal of the spool %.200s", mountpoint);
	if (!seal_parse(text, len, ret, &why))
		return err_set(
		    err, 0, "%.200s/" SEAL_DIR "/" SEAL_NAME ": %.250s", mountpoint, why.text);
	*ret_exists = true;
	return true;
}

/* The directory of the seal, made where it is missing; *ret_made: the spool's root must be synced
 * too. */
static int
directory_open(int spool, bool *ret_made)
{
	int dir;

	*ret_made = mkdirat(spool, SEAL_DIR, 0755) == 0;
	if (!*ret_made && errno != EEXIST)
		return -1;
	dir = openat(spool, SEAL_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	/* Against the umask, and against a directory that somebody else has put there. */
	if (dir != -1 && (fchown(dir, geteuid(), getegid()) == -1 || fchmod(dir, 0755) == -1)) {
		close(dir);
		return -1;
	}
	return dir;
}

static bool
owner_write(int dir, const char *text, size_t len)
{
	int fd;
	bool ok;

	if (unlinkat(dir, SEAL_NEW, 0) == -1 && errno != ENOENT)
		return false;
	fd = openat(dir, SEAL_NEW, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd == -1)
		return false;
	ok = fchmod(fd, 0644) == 0;
	for (size_t done = 0; ok && done < len;) {
		ssize_t n = write(fd, text + done, len - done);

		ok = n > 0;
		done += ok ? (size_t)n : 0;
	}
	ok = ok && fsync(fd) == 0;
	if (close(fd) == -1)
		ok = false;
	return ok && renameat(dir, SEAL_NEW, dir, SEAL_NAME) == 0 && fsync(dir) == 0;
}

bool
seal_write(const char *mountpoint, const struct seal *s, struct err *err)
{
	char text[SEAL_LEN_MAX];
	size_t len = seal_format(s, text, sizeof(text));
	int spool, dir;
	bool made, ok;

	if (len == 0)
		return err_set(err, 0,
		    "the seal for %.200s cannot be written: a name in it is empty or has blanks",
		    mountpoint);
	spool = seal_spool_open(mountpoint, err);
	if (spool == -1)
		return false;
	dir = directory_open(spool, &made);
	ok = dir != -1 && owner_write(dir, text, len) && (!made || fsync(spool) == 0);
	if (!ok)
		err_set(
		    err, errno, "cannot write the seal %.200s/" SEAL_DIR "/" SEAL_NAME, mountpoint);
	if (dir != -1)
		close(dir);
	close(spool);
	return ok;
}
