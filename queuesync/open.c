/*
 * queuesync/open.c - opening and reading single files of a queue. Blocks on the disk, and on nothing else.
 */
#include "queuesync/open.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FLAGS (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)

int
queue_open_stepwise(int root, const char *path, int flags)
{
	const char *slash;
	int fd = root;

	while ((slash = strchr(path, '/')) != NULL) {
		char part[NAME_MAX + 1];
		int next;

		if (slash - path > NAME_MAX) {
			errno = ENAMETOOLONG;
			next = -1;
		} else {
			memcpy(part, path, (size_t)(slash - path));
			part[slash - path] = '\0';
			next = openat(fd, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		}
		if (fd != root)
			close(fd);
		if (next == -1)
			return -1;
		fd = next;
		path = slash + 1;
	}
	if (fd == root)
		return openat(root, path, flags);
	root = openat(fd, path, flags);
	close(fd);
	return root;
}

static int
open_resolved(int root, const char *path, int flags, uint64_t resolve)
{
	static atomic_bool unknown;
	struct open_how how = { .flags = (uint64_t)flags, .resolve = resolve | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV };
	int fd;

	if (atomic_load(&unknown))
		return queue_open_stepwise(root, path, flags);
	fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
	if (fd == -1 && errno == ENOSYS) {
		atomic_store(&unknown, true);
		return queue_open_stepwise(root, path, flags);
	}
	return fd;
}

/* Only owner and root may keep the time of access. */
static int
open_kindly(int root, const char *path, uint64_t resolve)
{
	int fd = open_resolved(root, path, FLAGS | O_NOATIME, resolve);

	return fd == -1 && errno == EPERM ? open_resolved(root, path, FLAGS, resolve) : fd;
}

int
queue_open(int root, const char *path)
{
	return open_kindly(root, path, RESOLVE_BENEATH);
}

/* One name cannot lead out of its directory but by a link or a mount, so the kernel need not prove it at the end. */
int
queue_open_entry(int directory, const char *name)
{
	return open_kindly(directory, name, 0);
}

static ssize_t
reader_at(void *arg, void *buf, size_t len, uint64_t offset)
{
	struct queue_reader *r = arg;
	size_t have;

	if (offset < r->at || offset >= r->at + r->len) {
		ssize_t got;

		if (offset > INT64_MAX)
			return 0;
		while ((got = pread(r->fd, r->window, sizeof r->window, (off_t)offset)) == -1 && errno == EINTR)
			continue;
		if (got < 0)
			r->failed = errno;
		if (got <= 0)
			return got;
		r->at = offset;
		r->len = (size_t)got;
		r->shows = r->window;
	}
	have = r->len - (size_t)(offset - r->at);
	if (len > have)
		len = have;
	memcpy(buf, r->shows + (offset - r->at), len);
	return (ssize_t)len;
}

struct queue_source
queue_source_file(struct queue_reader *r, int fd, uint64_t size)
{
	r->fd = fd;
	r->at = r->len = 0;
	r->failed = 0;
	r->shows = r->window;
	return (struct queue_source){ .at = reader_at, .arg = r, .size = size };
}

void
queue_reader_knows(struct queue_reader *r, const char *head, size_t len)
{
	if (head == NULL)
		return;
	r->at = 0;
	r->len = len;
	r->shows = head;
}

int
queue_fstat(int fd, struct queue_file *file)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return -1;
	file->ino = st.st_ino;
	file->size = (uint64_t)st.st_size;
	file->mode = st.st_mode;
	file->uid = st.st_uid;
	file->gid = st.st_gid;
	file->nlink = (uint32_t)st.st_nlink;
	file->mtime = st.st_mtim.tv_sec;
	file->atime = st.st_atim.tv_sec;
	file->ctime = st.st_ctim.tv_sec;
	return 0;
}
