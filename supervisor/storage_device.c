/*
 * supervisor/storage_device.c - the block device of the spool: found by number, an image attached
 * to a loop device, claimed, and whoever else has it named.
 *
 * Runs in workers; blocks on opening the device. The claim (O_EXCL) is the kernel's own answer for
 * all mount namespaces at once; the tables of /proc and /sys only serve to name who it is.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "supervisor/storage_impl.h"

#define ATTACH_TRIES 16 /* others take free loop devices as well */

/* Add the loop devices that are backed by this file, by the file's identity, not by its name. */
static void
loops_find(const struct stat *file, struct storage_device *d)
{
	struct dirent *entry;
	DIR *dir = opendir("/sys/block");

	while (dir != NULL && (entry = readdir(dir)) != NULL && d->nodes < DEVICE_NODES_MAX) {
		struct loop_info64 info;
		struct stat node;
		char path[300];
		bool backed;
		int fd;

		if (strncmp(entry->d_name, "loop", 4) != 0)
			continue;
		snprintf(path, sizeof(path), "/sys/block/%s/loop/backing_file", entry->d_name);
		if (access(path, F_OK) == -1)
			continue;
		snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd == -1)
			continue;
		backed = ioctl(fd, LOOP_GET_STATUS64, &info) == 0 &&
			 info.lo_inode == file->st_ino &&
			 info.lo_device == (uint64_t)file->st_dev && fstat(fd, &node) == 0;
		close(fd);
		if (!backed)
			continue;
		if (d->nodes == 0)
			snprintf(d->path, sizeof(d->path), "%s", path);
		d->node[d->nodes++] = node.st_rdev;
	}
	if (dir != NULL)
		closedir(dir);
}

bool
storage_device_find(const struct conf *conf, struct storage_device *ret, struct err *err)
{
	struct storage_device d = {.configured = conf->storage.node_device[conf->self]};
	struct stat st;

	if (stat(d.configured, &st) == -1)
		return err_set(err, errno, "cannot find the device %.200s", d.configured);
	if (S_ISBLK(st.st_mode)) {
		d.node[d.nodes++] = st.st_rdev;
		snprintf(d.path, sizeof(d.path), "%s", d.configured);
	} else if (S_ISREG(st.st_mode)) {
		d.image = true;
		loops_find(&st, &d);
	} else {
		return err_set(
		    err, 0, "%.200s is neither a block device nor an image file", d.configured);
	}
	*ret = d;
	return true;
}

int
storage_device_attach(struct storage_device *d, struct err *err)
{
	struct loop_config config = {.info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO};
	int control = -1, file = -1, fd = -1, number, result = -1;
	struct stat st;

	file = open(d->configured, O_RDWR | O_CLOEXEC);
	control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	if (file == -1 || control == -1) {
		err_set(
		    err, errno, "cannot open %s", file == -1 ? d->configured : "/dev/loop-control");
		goto out;
	}
	config.fd = (uint32_t)file;
	snprintf((char *)config.info.lo_file_name, LO_NAME_SIZE, "%s", d->configured);
	for (int i = 0; i < ATTACH_TRIES; i++) {
		char path[32];

		if ((number = ioctl(control, LOOP_CTL_GET_FREE)) == -1)
			break;
		snprintf(path, sizeof(path), "/dev/loop%d", number);
		if ((fd = open(path, O_RDWR | O_CLOEXEC)) == -1)
			break;
		if (ioctl(fd, LOOP_CONFIGURE, &config) == 0 && fstat(fd, &st) == 0) {
			snprintf(d->path, sizeof(d->path), "%s", path);
			d->node[0] = st.st_rdev;
			d->nodes = 1;
			result = fd;
			goto out;
		}
		if (errno == EINVAL && (config.info.lo_flags & LO_FLAGS_DIRECT_IO) != 0)
			config.info.lo_flags &= ~(uint32_t)LO_FLAGS_DIRECT_IO;
		else if (errno != EBUSY)
			break;
		close(fd);
		fd = -1;
	}
	err_set(err, errno, "cannot attach a loop device to the image %.200s", d->configured);
	if (fd != -1)
		close(fd);
out:
	if (control != -1)
		close(control);
	if (file != -1)
		close(file);
	return result;
}

bool
storage_device_is(const struct storage_device *d, const struct mount_row *row)
{
	for (size_t i = 0; i < d->nodes; i++)
		if (mount_of_device(row, d->node[i]))
			return true;
	return false;
}

/* A path that leads to the node-th device. */
static const char *
node_path(const struct storage_device *d, size_t node, char *buf, size_t size)
{
	char link[64], target[PATH_MAX];
	ssize_t n;

	if (node == 0)
		return d->path;
	snprintf(
	    link, sizeof(link), "/sys/dev/block/%u:%u", major(d->node[node]), minor(d->node[node]));
	n = readlink(link, target, sizeof(target) - 1);
	if (n <= 0)
		return d->path;
	target[n] = '\0';
	snprintf(buf, size, "/dev/%s", strrchr(target, '/') + 1);
	return buf;
}

int
storage_device_claim(const struct storage_device *d, size_t node, struct err *err)
{
	char buf[PATH_MAX];
	const char *path = node_path(d, node, buf, sizeof(buf));
	int fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC);

	if (fd == -1)
		err_set(err, errno, "cannot claim %.200s for this node", path);
	return fd;
}

/* ---------------------------------------------------------------- who has it */

struct search {
	const struct storage_device *device;
	struct err *err;
	bool found;
};

static bool
namespace_seen(void *arg, pid_t pid, ino_t ns, const struct mounts *m)
{
	struct search *s = arg;

	for (size_t i = 0; i < m->len && !s->found; i++) {
		if (!storage_device_is(s->device, &m->row[i]))
			continue;
		s->found = true;
		err_set(s->err, 0,
		    "%.200s is mounted at %.100s in another mount namespace (%llu, of process %d)",
		    s->device->configured, m->row[i].point, (unsigned long long)ns, (int)pid);
	}
	return !s->found;
}

static bool
swap_uses(const struct storage_device *d)
{
	char line[PATH_MAX + 128], path[PATH_MAX];
	FILE *f = fopen("/proc/swaps", "re");
	bool found = false;
	struct stat st;

	while (f != NULL && !found && fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "%4095s", path) != 1 || path[0] != '/' || stat(path, &st) == -1)
			continue;
		for (size_t i = 0; i < d->nodes; i++)
			found = found || (S_ISBLK(st.st_mode) && st.st_rdev == d->node[i]);
	}
	if (f != NULL)
		fclose(f);
	return found;
}

/* Device mapper, md, drbd ... on top of it: /sys/dev/block/M:N/holders. */
static bool
holder_name(dev_t dev, char *buf, size_t size)
{
	char path[64];
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/holders", major(dev), minor(dev));
	dir = opendir(path);
	while (dir != NULL && !found && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(buf, size, "%s", entry->d_name);
		found = true;
	}
	if (dir != NULL)
		closedir(dir);
	return found;
}

bool
storage_device_unused(const struct storage_device *d, struct err *err)
{
	struct search s = {.device = d, .err = err};
	struct mounts m;
	char name[256];

	if (!mounts_read("/proc/self/mountinfo", &m, err))
		return false;
	for (size_t i = 0; i < m.len && !s.found; i++) {
		if (!storage_device_is(d, &m.row[i]))
			continue;
		s.found = true;
		err_set(err, 0, "%.200s is mounted at %.200s", d->configured, m.row[i].point);
	}
	mounts_free(&m);
	if (s.found)
		return false;
	mounts_elsewhere(namespace_seen, &s);
	if (s.found)
		return false;
	if (swap_uses(d))
		return err_set(err, 0, "%.200s is in use as swap space", d->configured);
	for (size_t i = 0; i < d->nodes; i++)
		if (holder_name(d->node[i], name, sizeof(name)))
			return err_set(err, 0, "%.200s is part of the block device %.100s",
			    d->configured, name);
	return true;
}
