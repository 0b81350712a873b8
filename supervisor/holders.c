/*
 * supervisor/holders.c - who keeps a mount busy, from /proc, /sys and the kernel's list of Unix
 * sockets.
 *
 * Decides nothing: who is stopped, and how, is the driver's policy. Runs in workers. Files are
 * looked at through /proc with AT_STATX_DONT_SYNC, so that a dead NFS server of some process cannot
 * block us. Processes come and go meanwhile: what vanishes during the scan holds nothing any more.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "supervisor/holders.h"
#include "supervisor/holders_impl.h"
#include "supervisor/mounts.h"

struct scan {
	dev_t dev;
	const char *mountpoint;
	bool by_mount; /* mount_id is that of the mountpoint, and it is our file system's */
	uint64_t mount_id;
	struct holder *found;
	size_t len, room;
	bool out_of_memory;
	struct holders_sockets sockets;
	int *id; /* numbers of all mounts of it, found when they are needed */
	size_t ids;
	bool ids_known;
};

static void
add(struct scan *s, enum holder_kind kind, pid_t pid, const char *path)
{
	struct holder *h;

	if (s->len == s->room) {
		size_t room = s->room == 0 ? 32 : s->room * 2;

		h = realloc(s->found, room * sizeof(*h));
		if (h == NULL) {
			s->out_of_memory = true;
			return;
		}
		s->found = h;
		s->room = room;
	}
	h = &s->found[s->len];
	*h = (struct holder){.kind = kind, .pid = pid};
	snprintf(h->path, sizeof(h->path), "%s", path);
	if (pid == 0)
		snprintf(h->command, sizeof(h->command), "kernel");
	else if (!holders_process(pid, h->command, sizeof(h->command), &h->started))
		return; /* it has ended meanwhile */
	s->len++;
}

/* Remember the numbers of the mounts of this file system; a mounts_visit_f. */
static bool
ids_learn(void *arg, pid_t pid, ino_t ns, const struct mounts *m)
{
	struct scan *s = arg;

	(void)pid;
	(void)ns;
	for (size_t i = 0; i < m->len; i++) {
		int *grown;

		if (m->row[i].dev != s->dev)
			continue;
		grown = realloc(s->id, (s->ids + 1) * sizeof(*grown));
		if (grown == NULL) {
			s->out_of_memory = true;
			return false;
		}
		s->id = grown;
		s->id[s->ids++] = m->row[i].id;
	}
	return true;
}

/*
 * A file system that was shut down (XFS) answers EIO to statx. Then the file is opened without
 * being looked at (O_PATH), and the mount it belongs to is what /proc says of the descriptor.
 */
static bool
leads_there_by_mount(struct scan *s, int dir, const char *name)
{
	int fd = openat(dir, name, O_PATH | O_CLOEXEC), id = -1;
	char path[64], line[128];
	struct mounts m;
	FILE *f;

	if (fd == -1)
		return false;
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	while (f != NULL && id == -1 && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "mnt_id: %d", &id) != 1)
			id = -1;
	if (f != NULL)
		fclose(f);
	close(fd);
	if (!s->ids_known) {
		s->ids_known = true;
		if (mounts_read("/proc/self/mountinfo", &m, NULL)) {
			ids_learn(s, 0, 0, &m);
			mounts_free(&m);
		}
		mounts_elsewhere(ids_learn, s);
	}
	for (size_t i = 0; i < s->ids; i++)
		if (s->id[i] == id)
			return true;
	return false;
}

/* Does this magic link of /proc lead to the file system, or to a socket that is bound on it? */
static bool
leads_there(struct scan *s, int dir, const char *name)
{
	struct statx x;

	if (statx(dir, name, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT,
		STATX_INO | STATX_TYPE | STATX_MNT_ID, &x) == -1)
		return errno == EIO && leads_there_by_mount(s, dir, name);
	if (makedev(x.stx_dev_major, x.stx_dev_minor) == s->dev)
		return true;
	if (s->by_mount && (x.stx_mask & STATX_MNT_ID) != 0 && x.stx_mnt_id == s->mount_id)
		return true;
	return S_ISSOCK(x.stx_mode) && holders_sockets_path(&s->sockets, x.stx_ino) != NULL;
}

static void
link_name(int dir, const char *name, char *buf, size_t size)
{
	ssize_t n = readlinkat(dir, name, buf, size - 1);

	buf[n > 0 ? n : 0] = '\0';
}

static void
look_at_descriptors(struct scan *s, pid_t pid, int task)
{
	int fd = openat(task, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd == -1 ? NULL : fdopendir(fd);
	struct dirent *entry;
	char path[PATH_MAX];

	if (dir == NULL) {
		if (fd != -1)
			close(fd);
		return;
	}
	while ((entry = readdir(dir)) != NULL) {
		struct stat st;
		const char *bound;

		if (entry->d_name[0] == '.' || !leads_there(s, fd, entry->d_name))
			continue;
		link_name(fd, entry->d_name, path, sizeof(path));
		if (strncmp(path, "socket:", 7) == 0 && fstatat(fd, entry->d_name, &st, 0) == 0 &&
		    (bound = holders_sockets_path(&s->sockets, st.st_ino)) != NULL)
			snprintf(path, sizeof(path), "socket %s", bound);
		add(s, HOLDER_FILE, pid, path);
		break; /* one row a process and kind is enough to name it */
	}
	closedir(dir);
}

/* One line of maps that has the device's number in it: is it the device's field, and of a file? */
static bool
map_line(struct scan *s, pid_t pid, const char *line)
{
	unsigned int major_no, minor_no;
	unsigned long inode;
	int at = 0;

	if (sscanf(line, "%*s %*s %*s %x:%x %lu %n", &major_no, &minor_no, &inode, &at) < 3)
		return false;
	if (inode == 0 || makedev(major_no, minor_no) != s->dev)
		return false;
	add(s, HOLDER_MAP, pid, line + at);
	return true;
}

/*
 * Mapped files need no descriptor any more; /proc/PID/maps names the device of each. Most lines are
 * of other devices, so they are not parsed but searched for the device's number.
 */
static void
look_at_maps(struct scan *s, pid_t pid, int task)
{
	int fd = openat(task, "maps", O_RDONLY | O_CLOEXEC);
	char text[4 * PATH_MAX + 1], needle[32], *line, *end;
	bool found = false;
	size_t have = 0;
	ssize_t n;

	if (fd == -1)
		return;
	snprintf(needle, sizeof(needle), " %02x:%02x ", major(s->dev), minor(s->dev));
	while (!found && have < sizeof(text) - 1 &&
	       (n = read(fd, text + have, sizeof(text) - 1 - have)) > 0) {
		have += (size_t)n;
		text[have] = '\0';
		line = text;
		if (strstr(text, needle) == NULL && (end = strrchr(text, '\n')) != NULL)
			line = end + 1;
		while (!found && (end = strchr(line, '\n')) != NULL) {
			*end = '\0';
			found = strstr(line, needle) != NULL && map_line(s, pid, line);
			line = end + 1;
		}
		have -= (size_t)(line - text);
		memmove(text, line, have);
	}
	close(fd);
}

static void
look_at_link(struct scan *s, enum holder_kind kind, pid_t pid, int task, const char *name)
{
	char path[PATH_MAX];

	if (!leads_there(s, task, name))
		return;
	link_name(task, name, path, sizeof(path));
	add(s, kind, pid, path);
}

static void
look_at_task(struct scan *s, pid_t pid, int task)
{
	look_at_descriptors(s, pid, task);
	look_at_link(s, HOLDER_CWD, pid, task, "cwd");
	look_at_link(s, HOLDER_ROOT, pid, task, "root");
	look_at_link(s, HOLDER_EXE, pid, task, "exe");
	look_at_maps(s, pid, task);
}

/*
 * Threads share files and directories with their process as a rule, so they are looked at one by
 * one only when the processes alone do not explain why the mount is busy.
 */
static void
look_at_threads(struct scan *s, pid_t pid, int process)
{
	int fd = openat(process, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t before = s->len;
	struct dirent *entry;
	struct stat st;
	DIR *dir;

	/* The link count is that of a directory with one subdirectory a thread. */
	dir = fd == -1 || fstat(fd, &st) == -1 || st.st_nlink <= 3 ? NULL : fdopendir(fd);
	if (dir == NULL) {
		if (fd != -1)
			close(fd);
		return;
	}
	while (s->len == before && (entry = readdir(dir)) != NULL) {
		int task;

		if (entry->d_name[0] == '.')
			continue;
		task = openat(fd, entry->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (task == -1)
			continue;
		look_at_task(s, pid, task);
		close(task);
	}
	closedir(dir);
}

static void
look_at_processes(struct scan *s, bool threads)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	while (proc != NULL && (entry = readdir(proc)) != NULL) {
		int pid, fd;
		char target[8];

		if (sscanf(entry->d_name, "%d", &pid) != 1)
			continue;
		fd = openat(dirfd(proc), entry->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd == -1)
			continue;
		if (threads)
			look_at_threads(s, pid, fd);
		else if (readlinkat(fd, "exe", target, sizeof(target)) != -1 || errno != ENOENT)
			look_at_task(
			    s, pid, fd); /* without a program: a kernel thread or a zombie */
		close(fd);
	}
	if (proc != NULL)
		closedir(proc);
}

/* Is path below directory? */
static bool
below(const char *path, const char *directory)
{
	size_t n = strlen(directory);

	return strncmp(path, directory, n) == 0 && path[n] == '/';
}

/* Loop devices whose file lies on it: held by the kernel itself. */
static void
look_at_loops(struct scan *s)
{
	DIR *dir = opendir("/sys/block");
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		char path[300], file[PATH_MAX] = "", text[sizeof(path) + sizeof(file) + 16];
		struct loop_info64 info;
		bool there = false;
		FILE *f;
		int fd;

		if (strncmp(entry->d_name, "loop", 4) != 0)
			continue;
		snprintf(path, sizeof(path), "/sys/block/%s/loop/backing_file", entry->d_name);
		f = fopen(path, "re");
		if (f == NULL)
			continue; /* not attached */
		if (fgets(file, sizeof(file), f) != NULL)
			file[strcspn(file, "\n")] = '\0';
		fclose(f);
		snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd != -1 && ioctl(fd, LOOP_GET_STATUS64, &info) == 0)
			there = info.lo_device == (uint64_t)s->dev;
		else
			there = below(file, s->mountpoint);
		if (fd != -1)
			close(fd);
		if (!there)
			continue;
		snprintf(text, sizeof(text), "%s with the file %s", path, file);
		add(s, HOLDER_LOOP, 0, text);
	}
	if (dir != NULL)
		closedir(dir);
}

/* Mounts below the mountpoint, and other places where the same file system is seen. */
static bool
look_at_mounts(struct scan *s, struct err *err)
{
	struct mounts m;

	if (!mounts_read("/proc/self/mountinfo", &m, err))
		return false;
	for (size_t i = 0; i < m.len; i++) {
		const struct mount_row *row = &m.row[i];

		if (strcmp(row->point, s->mountpoint) == 0)
			continue;
		if (row->dev == s->dev || below(row->point, s->mountpoint))
			add(s, HOLDER_MOUNT, 0, row->point);
	}
	mounts_free(&m);
	return true;
}

static bool
look_at_namespace(void *arg, pid_t pid, ino_t ns, const struct mounts *m)
{
	struct scan *s = arg;

	(void)ns;
	for (size_t i = 0; i < m->len; i++) {
		if (m->row[i].dev != s->dev)
			continue;
		add(s, HOLDER_NAMESPACE, pid, m->row[i].point);
		break;
	}
	return true;
}

bool
holders_find(
    dev_t dev, const char *mountpoint, struct holder **ret, size_t *ret_len, struct err *err)
{
	struct scan s = {.dev = dev, .mountpoint = mountpoint};
	struct statx x;

	/* The mount's number catches files of subvolumes, which have device numbers of their own.
	 */
	if (statx(AT_FDCWD, mountpoint, AT_STATX_DONT_SYNC, STATX_MNT_ID, &x) == 0 &&
	    (x.stx_mask & STATX_MNT_ID) != 0 && makedev(x.stx_dev_major, x.stx_dev_minor) == dev) {
		s.by_mount = true;
		s.mount_id = x.stx_mnt_id;
	}
	holders_sockets_find(dev, &s.sockets);
	look_at_processes(&s, false);
	if (s.len == 0)
		look_at_processes(&s, true);
	holders_sockets_free(&s.sockets);
	free(s.id);
	look_at_loops(&s);
	mounts_elsewhere(look_at_namespace, &s);
	if (!look_at_mounts(&s, err)) {
		free(s.found);
		return false;
	}
	if (s.out_of_memory) {
		free(s.found);
		return err_set(err, ENOMEM, "cannot list who holds %s", mountpoint);
	}
	*ret = s.found;
	*ret_len = s.len;
	return true;
}
