/*
 * configsync/spare.c - small files that stand ready on the disk. The thread that makes them touches those that are missing, all others the rest.
 */
#include "configsync/spare.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/need.h"
#include "configsync/ordered.h"

#define STACK_BYTES (128u << 10)

static const struct { const char *name; size_t size; } kinds[SPARE_KINDS] = { { "1", SPARE_MOST / 4 }, { "2", SPARE_MOST / 2 }, { "4", SPARE_MOST } };

enum state { MISSING, READY, AHEAD, TAKEN };

/* ordered: by a journal. ahead: what the one that is AHEAD, or TAKEN since, has been given already; len 0: none is. */
struct spare {
	int		 dir, fd[SPARE_KINDS];
	atomic_int	 is[SPARE_KINDS];	/* enum state */
	atomic_bool	 ended, strange;	/* strange: what is created here has attributes */
	bool		 ordered, making;
	struct { int which; size_t len; uint8_t digest[DIGEST_LEN]; } ahead;
	struct statx	 at;
	pthread_t	 thread;
};

/* ---------------------------------------------------------------- where */

/* False: a file system of which it is not known what it does with blocks that are written over. */
static bool
know_place(struct spare *s)
{
	struct statfs fs;

	if (fstatfs(s->dir, &fs) == -1 || statx(s->dir, "", AT_EMPTY_PATH, STATX_MNT_ID, &s->at) == -1 || (s->at.stx_mask & STATX_MNT_ID) == 0)
		return false;
	s->ordered = ordered_by_journal(s->dir);
	return s->ordered || fs.f_type == EXT4_SUPER_MAGIC;
}

/* Nothing but files is ours. */
static void
empty(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *all = fd == -1 ? NULL : fdopendir(fd);
	struct dirent *d;

	while (all != NULL && (d = readdir(all)) != NULL)
		unlinkat(dir, d->d_name, 0);
	if (all != NULL)
		closedir(all);
	else if (fd != -1)
		close(fd);
}

struct spare *
spare_open(const char *dir)
{
	struct spare *s = need(calloc(1, sizeof *s));

	for (size_t i = 0; i < SPARE_KINDS; i++)
		s->fd[i] = -1;
	if (mkdir(dir, 0700) == -1 && errno != EEXIST)
		s->dir = -1;
	else
		s->dir = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (s->dir != -1 && fchmod(s->dir, 0700) == 0) {
		empty(s->dir);
		if (know_place(s))
			return s;
	}
	spare_close(s);
	return NULL;
}

void
spare_close(struct spare *s)
{
	if (s == NULL)
		return;
	if (s->making)
		pthread_join(s->thread, NULL);
	for (int i = 0; i < (int)SPARE_KINDS; i++)
		if (s->fd[i] != -1)
			spare_gone(s, i);
	if (s->dir != -1)
		close(s->dir);
	free(s);
}

/* ---------------------------------------------------------------- making */

/* Its blocks are written, as those that are only reserved would be entered in the journal when they are. */
static bool
make(struct spare *s, size_t kind, const uint8_t *zeros)
{
	int fd = openat(s->dir, kinds[kind].name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd == -1)
		return false;
	s->strange = flistxattr(fd, NULL, 0) != 0;
	if (!s->strange && pwrite(fd, zeros, kinds[kind].size, 0) == (ssize_t)kinds[kind].size && fsync(fd) == 0) {
		s->fd[kind] = fd;
		return true;
	}
	close(fd);
	unlinkat(s->dir, kinds[kind].name, 0);
	return false;
}

static void *
run(void *arg)
{
	static const uint8_t zeros[SPARE_MOST];
	struct spare *s = arg;

	for (size_t i = 0; i < SPARE_KINDS; i++) {
		if (atomic_load(&s->is[i]) == MISSING && !s->strange && make(s, i, zeros))
			atomic_store(&s->is[i], READY);
	}
	atomic_store(&s->ended, true);
	return NULL;
}

static bool
is_missing(const struct spare *s)
{
	bool missing = false;

	for (size_t i = 0; i < SPARE_KINDS; i++)
		missing = missing || atomic_load(&s->is[i]) == MISSING;
	return missing;
}

bool
spare_fill(struct spare *s)
{
	sigset_t all, before;
	pthread_attr_t attr;

	if (s == NULL)
		return true;
	if (s->making && !atomic_load(&s->ended))
		return false;
	if (s->making)
		pthread_join(s->thread, NULL);
	s->making = false;
	if (s->ahead.len > 0 && atomic_load(&s->is[s->ahead.which]) == AHEAD)
		spare_gone(s, s->ahead.which);
	if (s->strange || !is_missing(s) || pthread_attr_init(&attr) != 0)
		return true;
	atomic_store(&s->ended, false);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);	/* signals are for the loop */
	s->making = pthread_attr_setstacksize(&attr, STACK_BYTES) == 0 && pthread_create(&s->thread, &attr, run, s) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return true;
}

/* ---------------------------------------------------------------- one of them */

/* Of another mount a rename would fail, and of another project; flags and keys are for what is created there. */
static bool
is_like_here(const struct spare *s, int directory)
{
	struct statx at;
	struct fsxattr x;

	return statx(directory, "", AT_EMPTY_PATH, STATX_MNT_ID, &at) == 0 && (at.stx_mask & STATX_MNT_ID) != 0 && at.stx_mnt_id == s->at.stx_mnt_id &&
	    at.stx_dev_major == s->at.stx_dev_major && at.stx_dev_minor == s->at.stx_dev_minor &&
	    (at.stx_attributes & STATX_ATTR_ENCRYPTED) == 0 && ioctl(directory, FS_IOC_FSGETXATTR, &x) == 0 && (x.fsx_xflags & ~FS_XFLAG_HASATTR) == 0;
}

/* The smallest that stands ready and has room; -1. */
static int
find(const struct spare *s, uint64_t size)
{
	for (int i = 0; s != NULL && i < (int)SPARE_KINDS; i++) {
		if (size <= kinds[i].size && atomic_load(&s->is[i]) == READY)
			return i;
	}
	return -1;
}

static bool
has_these(const struct spare *s, int is, uint64_t size, const uint8_t digest[DIGEST_LEN])
{
	return s != NULL && s->ahead.len > 0 && s->ahead.len == size && memcmp(s->ahead.digest, digest, DIGEST_LEN) == 0 &&
	    atomic_load(&s->is[s->ahead.which]) == is;
}

int
spare_take(struct spare *s, int directory, uint64_t size, const uint8_t digest[DIGEST_LEN])
{
	int which = has_these(s, AHEAD, size, digest) ? s->ahead.which : find(s, size);

	if (which == -1 || !is_like_here(s, directory))
		return -1;
	atomic_store(&s->is[which], TAKEN);
	return which;
}

int
spare_fd(const struct spare *s, int which)
{
	return s->fd[which];
}

int
spare_dir(const struct spare *s)
{
	return s->dir;
}

const char *
spare_name(int which)
{
	return kinds[which].name;
}

/* Cut to its length before the bytes are sent to the disk: else they are written twice, as the end of the last block is cleared. */
static bool
put(const struct spare *s, int which, const uint8_t *bytes, size_t len)
{
	ssize_t done = pwrite(s->fd[which], bytes, len, 0);

	if (done >= 0 && (size_t)done < len)
		errno = ENOSPC;
	return done >= 0 && (size_t)done == len && ftruncate(s->fd[which], (off_t)len) == 0 &&
	    sync_file_range(s->fd[which], 0, (off_t)len, SYNC_FILE_RANGE_WRITE) == 0;
}

bool
spare_write(struct spare *s, int which, const uint8_t *bytes, size_t len, const uint8_t digest[DIGEST_LEN])
{
	return (s->ahead.which == which && has_these(s, TAKEN, len, digest)) || put(s, which, bytes, len);
}

bool
spare_ahead(struct spare *s, const uint8_t *bytes, size_t len, const uint8_t digest[DIGEST_LEN])
{
	int which = s == NULL || s->ahead.len > 0 || len == 0 ? -1 : find(s, len);

	if (which == -1)
		return false;
	if (!put(s, which, bytes, len)) {
		spare_gone(s, which);
		return false;
	}
	s->ahead.which = which;
	s->ahead.len = len;
	memcpy(s->ahead.digest, digest, DIGEST_LEN);
	atomic_store(&s->is[which], AHEAD);
	return true;
}

bool
spare_hold(struct spare *s, int which)
{
	const unsigned int all = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;

	return s->ordered ? sync_file_range(s->fd[which], 0, 0, all) == 0 : fsync(s->fd[which]) == 0;
}

void
spare_gone(struct spare *s, int which)
{
	close(s->fd[which]);
	unlinkat(s->dir, kinds[which].name, 0);
	s->fd[which] = -1;
	if (s->ahead.which == which)
		s->ahead.len = 0;
	atomic_store(&s->is[which], MISSING);
}
