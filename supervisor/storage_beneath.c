/*
 * supervisor/storage_beneath.c - what lies under a block device, and has a cache of its own.
 *
 * A direct read of a mounted device first writes back what its cache has dirty there. The same
 * bytes read from beneath (the disk of a partition, the file of a loop device) do not touch that
 * cache, so another node's changes can be seen without writing over them. Runs in workers; blocks
 * on the device.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "supervisor/storage_impl.h"

#define SECTOR_LEN 512

/* One line of a file below /sys/dev/block/M:N, without its newline. */
static bool
sys_line(dev_t dev, const char *name, char *buf, size_t size)
{
	char path[128];
	bool ok;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s", major(dev), minor(dev), name);
	f = fopen(path, "re");
	if (f == NULL)
		return false;
	ok = fgets(buf, (int)size, f) != NULL;
	fclose(f);
	if (ok)
		buf[strcspn(buf, "\n")] = '\0';
	return ok;
}

static int
open_direct(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);

	if (fd == -1 && errno == EINVAL)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd;
}

/* The file of a loop device. Its name may mean another file in our mount namespace: compared. */
static int
loop_file(int device, dev_t dev, off_t *offset)
{
	struct loop_info64 info;
	char path[PATH_MAX];
	struct stat st;
	int fd;

	if (ioctl(device, LOOP_GET_STATUS64, &info) == -1 ||
	    !sys_line(dev, "loop/backing_file", path, sizeof(path)))
		return -1;
	fd = open_direct(path);
	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) || st.st_ino != info.lo_inode ||
	    (uint64_t)st.st_dev != info.lo_device) {
		close(fd);
		return -1;
	}
	*offset += (off_t)info.lo_offset;
	return fd;
}

/* The disk of a partition. */
static int
whole_disk(dev_t dev, off_t *offset)
{
	char text[64], path[80];
	unsigned int major_no, minor_no;
	struct stat st;
	uint64_t start;
	int fd;

	if (!sys_line(dev, "partition", text, sizeof(text)) ||
	    !sys_line(dev, "start", text, sizeof(text)) || sscanf(text, "%" SCNu64, &start) != 1)
		return -1;
	if (!sys_line(dev, "../dev", text, sizeof(text)) ||
	    sscanf(text, "%u:%u", &major_no, &minor_no) != 2)
		return -1;
	snprintf(path, sizeof(path), "/dev/block/%u:%u", major_no, minor_no);
	fd = open_direct(path);
	if (fd == -1) {
		/* Without udev there is no /dev/block, but the kernel's own name. */
		char link[64], target[PATH_MAX];
		ssize_t n;

		snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major_no, minor_no);
		n = readlink(link, target, sizeof(target) - 1);
		if (n <= 0)
			return -1;
		target[n] = '\0';
		snprintf(path, sizeof(path), "/dev/%.64s", strrchr(target, '/') + 1);
		fd = open_direct(path);
	}
	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == -1 || st.st_rdev != makedev(major_no, minor_no)) {
		close(fd);
		return -1;
	}
	*offset += (off_t)(start * SECTOR_LEN);
	return fd;
}

int
storage_beneath_open(const char *device, off_t *offset)
{
	int fd = open(device, O_RDONLY | O_CLOEXEC), beneath = -1;
	struct stat st;

	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISBLK(st.st_mode)) {
		beneath = loop_file(fd, st.st_rdev, offset);
		if (beneath == -1)
			beneath = whole_disk(st.st_rdev, offset);
	}
	close(fd);
	return beneath;
}
