/*
 * supervisor/storage_try.c - does the disk of the spool answer? On the owner a small file beside the seal is written, synced and read
 * back from the disk itself; on the other node the super block is read past the cache. Runs in workers that may wait
 * for ever: a disk that hangs is told by a try that does not come back.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "supervisor/seal.h"
#include "supervisor/storage_impl.h"

#define TRY_NAME "try"		/* in the seal's directory */
#define TRY_LEN	 4096		/* a whole block, for direct reads and writes */

/* -1 with errno. Made once and then written over in place, so that a full disk is no disk that fails. */
static int
file_open(int spool)
{
	int flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	int dir = openat(spool, SEAL_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), fd;
	struct stat st;

	if (dir == -1)
		return -1;
	fd = openat(dir, TRY_NAME, flags | O_DIRECT, 0600);
	if (fd == -1 && errno == EINVAL)
		fd = openat(dir, TRY_NAME, flags, 0600); /* a file system without direct access */
	close(dir);
	if (fd != -1 && (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode))) {
		close(fd);
		errno = EEXIST;
		return -1;
	}
	return fd;
}

static bool
is_full(int sys)
{
	return sys == ENOSPC || sys == EDQUOT;
}

static bool
write_and_read(int fd, const struct conf *conf, char *buf, char *back, struct err *err)
{
	const char *point = conf->storage.mountpoint;
	char at[CLOCK_RFC3339_MAX];
	ssize_t n;

	memset(buf, 0, TRY_LEN);
	snprintf(buf, TRY_LEN, "mailpair-try 1\nnode %s\nat %s\n", conf->node[conf->self],
	    clock_rfc3339(clock_wall_ms(), at));
	n = pwrite(fd, buf, TRY_LEN, 0);
	if (n == -1 && is_full(errno))
		return fsync(fd) == 0 || err_set(err, errno, "cannot sync %.200s", point);
	if (n != TRY_LEN)
		return err_set(err, n == -1 ? errno : EIO, "cannot write on %.200s", point);
	if (fsync(fd) == -1)
		return err_set(err, errno, "cannot sync %.200s", point);
	n = pread(fd, back, TRY_LEN, 0);
	if (n != TRY_LEN)
		return err_set(err, n == -1 ? errno : EIO, "cannot read on %.200s", point);
	return memcmp(buf, back, TRY_LEN) == 0 ||
	       err_set(err, 0, "%.200s gives back other bytes than were written", point);
}

static bool
try_mounted(const struct conf *conf, struct err *err)
{
	int spool = seal_spool_open(conf->storage.mountpoint, err), fd;
	void *buf = NULL;
	bool ok = false;

	if (spool == -1)
		return false;
	fd = file_open(spool);
	if (fd == -1 && is_full(errno))
		ok = fsync(spool) == 0 || err_set(err, errno, "cannot sync %.200s", conf->storage.mountpoint);
	else if (fd == -1)
		err_set(err, errno, "cannot write on %.200s", conf->storage.mountpoint);
	else if (posix_memalign(&buf, TRY_LEN, (size_t)2 * TRY_LEN) != 0)
		err_set(err, ENOMEM, "cannot try %.200s", conf->storage.mountpoint);
	else
		ok = write_and_read(fd, conf, buf, (char *)buf + TRY_LEN, err);
	free(buf);
	if (fd != -1)
		close(fd);
	close(spool);
	return ok;
}

bool
storage_try(const struct conf *conf, bool owner, struct err *err)
{
	const struct storage_fs *fs = storage_fs_find(conf->storage.fstype);
	struct storage_super s;

	if (owner)
		return try_mounted(conf, err);
	if (fs == NULL)
		return err_set(err, 0, "the file system type %.100s is not known", conf->storage.fstype);
	return storage_super_read(fs, conf->storage.node_device[conf->self], VIEW_DISK, &s, err);
}
