/*
 * tests/unit/disk_cache.h - a disk with a memory of its own: what was written is there for all who read, and is lost with the power unless a flush has
 * followed. All that comes to it is remembered in order, so that each moment at which the power may fail can be looked at afterwards.
 *
 * The disk is an image on a loop device whose file is served by a process of the test (FUSE).
 */
#ifndef TESTS_UNIT_DISK_CACHE_H
#define TESTS_UNIT_DISK_CACHE_H

#include <linux/fuse.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "tests/unit/disk.h"

#define CACHE_LOG (64u << 20)
#define CACHE_MOST 131072u	/* bytes of one write */

/* len 0: a flush. The bytes follow. */
struct cache_event { uint64_t at; uint32_t len; };

struct cache_log { size_t used, size; bool remember; char bytes[CACHE_LOG]; };

static struct { struct cache_log *log; char *now, *before; size_t size; pid_t pid; int home; } disk_cache = { .home = -1 };

/* disk_world(), where the disk will be. */
static inline void
disk_cache_world(void)
{
	disk_cache.home = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	disk_world();
}

static inline void
disk_cache_note(uint64_t at, const void *bytes, uint32_t len)
{
	struct cache_log *log = disk_cache.log;
	struct cache_event e = { at, len };

	if (len > 0)
		memcpy(disk_cache.now + at, bytes, len);
	if (!log->remember || log->used + sizeof e + len > CACHE_LOG)
		return;
	memcpy(log->bytes + log->used, &e, sizeof e);
	if (len > 0)
		memcpy(log->bytes + log->used + sizeof e, bytes, len);
	log->used += sizeof e + len;
}

static inline void
disk_cache_reply(int fd, uint64_t unique, int error, const void *bytes, size_t len)
{
	struct fuse_out_header h = { .len = (uint32_t)(sizeof h + len), .error = -error, .unique = unique };
	struct iovec v[2] = { { &h, sizeof h }, { (void *)(uintptr_t)bytes, len } };

	if (writev(fd, v, len > 0 ? 2 : 1) == -1 && errno != ENOENT)
		_exit(1);
}

static inline void
disk_cache_answer(int fd, const struct fuse_in_header *in, const char *arg)
{
	const struct fuse_read_in *r = (const void *)arg;
	const struct fuse_write_in *w = (const void *)arg;
	struct fuse_init_out init = { .major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION, .flags = FUSE_BIG_WRITES | FUSE_MAX_PAGES,
		.max_write = CACHE_MOST, .max_pages = CACHE_MOST / 4096, .max_readahead = CACHE_MOST };
	struct fuse_attr_out attr = { .attr_valid = 1000, .attr = { .ino = 1, .mode = S_IFREG | 0600, .nlink = 1, .size = disk_cache.size, .blksize = 4096 } };
	struct fuse_open_out opened = { .fh = 1 };
	struct fuse_write_out wrote = { .size = w->size };

	switch (in->opcode) {
	case FUSE_INIT:
		disk_cache_reply(fd, in->unique, 0, &init, sizeof init);
		break;
	case FUSE_GETATTR:
		disk_cache_reply(fd, in->unique, 0, &attr, sizeof attr);
		break;
	case FUSE_OPEN:
		disk_cache_reply(fd, in->unique, 0, &opened, sizeof opened);
		break;
	case FUSE_READ:
		disk_cache_reply(fd, in->unique, 0, disk_cache.now + r->offset, r->offset >= disk_cache.size ? 0 :
		    r->size < disk_cache.size - r->offset ? r->size : disk_cache.size - r->offset);
		break;
	case FUSE_WRITE:
		disk_cache_note(w->offset, arg + sizeof *w, w->size);
		disk_cache_reply(fd, in->unique, 0, &wrote, sizeof wrote);
		break;
	case FUSE_FSYNC:
		disk_cache_note(0, NULL, 0);
		disk_cache_reply(fd, in->unique, 0, NULL, 0);
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASE:
		disk_cache_reply(fd, in->unique, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		disk_cache_reply(fd, in->unique, ENOSYS, NULL, 0);
		break;
	}
}

static inline void
disk_cache_serve(int fd)
{
	static char buf[CACHE_MOST + 65536] __attribute__((aligned(8)));

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (setns(disk_cache.home, CLONE_NEWNS) == -1)	/* else it would be asked for the last flush when it is no more */
		_exit(1);
	for (;;) {
		ssize_t n = read(fd, buf, sizeof buf);

		if (n == -1 && errno != EINTR && errno != EAGAIN && errno != ENOENT)
			_exit(0);
		if (n > 0)
			disk_cache_answer(fd, (const void *)buf, buf + sizeof(struct fuse_in_header));
	}
}

static inline void *
disk_cache_room(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	ck_assert(p != MAP_FAILED);
	return p;
}

/* The image's bytes become those of a disk; its file is the disk's own from now on. */
static inline void
disk_cache_begin(const char *image)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC), from = open(image, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char how[80];

	ck_assert(fd != -1 && from != -1 && fstat(from, &st) == 0);
	disk_cache.size = (size_t)st.st_size;
	disk_cache.log = disk_cache_room(sizeof *disk_cache.log);
	disk_cache.now = disk_cache_room(disk_cache.size);
	disk_cache.before = disk_cache_room(disk_cache.size);
	ck_assert_int_eq(pread(from, disk_cache.now, disk_cache.size, 0), (ssize_t)disk_cache.size);
	close(from);
	snprintf(how, sizeof how, "fd=%d,rootmode=100000,user_id=0,group_id=0", fd);
	ck_assert_msg(mount("cache", image, "fuse", 0, how) == 0, "fuse: %s", strerror(errno));
	disk_cache.pid = fork();
	if (disk_cache.pid == 0)
		disk_cache_serve(fd);
	ck_assert_int_gt(disk_cache.pid, 0);
	close(fd);
}

/* What is there now is on the disk itself; what comes from now on is remembered. */
static inline void
disk_cache_remember(void)
{
	memcpy(disk_cache.before, disk_cache.now, disk_cache.size);
	disk_cache.log->used = 0;
	disk_cache.log->remember = true;
}

/* How many events there were; at each of them the power may fail. */
static inline size_t
disk_cache_events(void)
{
	struct cache_event e;
	size_t n = 0;

	disk_cache.log->remember = false;
	for (size_t at = 0; at < disk_cache.log->used; n++, at += sizeof e + e.len)
		memcpy(&e, disk_cache.log->bytes + at, sizeof e);
	return n;
}

/*
 * The disk as it is found after the power has failed before the event with this number. What was flushed is there; of the rest keep: 0 nothing, 1 all, else
 * what chance has it.
 */
static inline void
disk_cache_cut(size_t event, unsigned int keep, const char *image)
{
	int fd = open(image, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	const char *log = disk_cache.log->bytes;
	size_t flushed = 0, at = 0;
	struct cache_event e;

	srandom(keep + (unsigned int)event * 7);
	for (size_t k = 0; k < event; k++, at += sizeof e + e.len) {
		memcpy(&e, log + at, sizeof e);
		flushed = e.len == 0 ? k : flushed;
	}
	ck_assert_int_eq(pwrite(fd, disk_cache.before, disk_cache.size, 0), (ssize_t)disk_cache.size);
	at = 0;
	for (size_t k = 0; k < event; k++, at += sizeof e + e.len) {
		memcpy(&e, log + at, sizeof e);
		if (e.len > 0 && (k < flushed || keep == 1 || (keep > 1 && random() % 2 == 0)))
			ck_assert_int_eq(pwrite(fd, log + at + sizeof e, e.len, (off_t)e.at), (ssize_t)e.len);
	}
	close(fd);
}

/* A world with a file system of this kind at DISK_POINT; fs NULL: ext4 without a journal. cache: on such a disk. Removed with the test's process. */
static inline void
disk_cache_mount(const char *fs, bool cache)
{
	static const char *const plain[] = { "mkfs.ext4", "-q", "-F", "-O", "^has_journal", DISK_ROOT "/image", NULL };
	char device[32];

	disk_cache_world();
	disk_image(DISK_ROOT "/image", fs == NULL ? "ext4" : fs);
	if (fs == NULL)
		ck_assert_int_eq(disk_run(plain), 0);
	if (cache)
		disk_cache_begin(DISK_ROOT "/image");
	ck_assert_int_eq(mount(disk_attach(DISK_ROOT "/image", false, device), DISK_POINT, fs == NULL ? "ext4" : fs, 0, NULL), 0);
}

/* After the power has failed there (disk_cache_cut()): at DISK_RUN, as it is found then. */
static inline void
disk_cache_mount_cut(size_t event, unsigned int keep, const char *fs)
{
	char device[32];

	disk_cache_cut(event, keep, DISK_ROOT "/cut");
	ck_assert_msg(mount(disk_attach(DISK_ROOT "/cut", false, device), DISK_RUN, fs, 0, strcmp(fs, "xfs") == 0 ? "nouuid" : NULL) == 0, "cut %zu: %s", event,
	    strerror(errno));
}

#endif
