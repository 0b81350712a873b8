/*
 * tests/unit/disk.h - a small world for tests that mount: a mount namespace of our own with a tmpfs
 * on DISK_ROOT, images in it, loop devices, processes that hold files, drivers run as real workers.
 *
 * Needs root. Nothing has to be cleaned up: mounts go with the namespace, loop devices clear
 * themselves when their last user is gone, processes die with the test's process.
 */
#ifndef TESTS_UNIT_DISK_H
#define TESTS_UNIT_DISK_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/blkpg.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/loop.h"
#include "common/spawn.h"

#define DISK_ROOT  "/mnt"
#define DISK_POINT DISK_ROOT "/spool"
#define DISK_RUN   DISK_ROOT "/run"

/* In main(): where this machine does not let us, say so and pass. */
static inline bool
disk_possible(const char *test)
{
	if (geteuid() == 0 && access("/dev/loop-control", R_OK | W_OK) == 0)
		return true;
	printf("%s: skipped, needs root and loop devices\n", test);
	return false;
}

static inline void
disk_world(void)
{
	ck_assert_msg(unshare(CLONE_NEWNS) == 0, "unshare: %s", strerror(errno));
	ck_assert(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	ck_assert(mount("tmpfs", DISK_ROOT, "tmpfs", 0, NULL) == 0);
	ck_assert(mkdir(DISK_RUN, 0755) == 0 && mkdir(DISK_POINT, 0755) == 0);
}

static inline int
disk_run(const char *const *argv)
{
	struct spawn_cmd cmd = {.argv = argv};
	char text[1000] = "";
	struct err err = {0};
	int status = spawn_run(&cmd, 30000, NULL, 0, text, sizeof(text), &err);

	ck_assert_msg(status >= 0, "%s: %s", argv[0], err.text);
	return status;
}

/* fstype "ext4", "xfs" or NULL for none. */
static inline void
disk_image(const char *path, const char *fstype)
{
	const char *ext[] = {"mkfs.ext4", "-q", "-F", "-O", "^orphan_file", path, NULL};
	const char *xfs[] = {"mkfs.xfs", "-q", "-f", path, NULL};
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	bool is_xfs = fstype != NULL && strcmp(fstype, "xfs") == 0;

	ck_assert(fd != -1 && ftruncate(fd, (is_xfs ? 320 : 24) << 20) == 0);
	close(fd);
	if (fstype != NULL)
		ck_assert_int_eq(disk_run(is_xfs ? xfs : ext), 0);
}

/* The device's name; it lives as long as this process or a mount of it. */
static inline const char *
disk_attach(const char *image, bool read_only, char name[32])
{
	struct loop_config config = {.info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_PARTSCAN |
						      (read_only ? LO_FLAGS_READ_ONLY : 0)};
	int file = open(image, O_RDWR | O_CLOEXEC),
	    control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);

	ck_assert(file != -1 && control != -1);
	config.fd = (__u32)file;
	for (int i = 0; i < 50; i++) {
		int fd;

		snprintf(name, 32, "/dev/loop%d", ioctl(control, LOOP_CTL_GET_FREE));
		fd = open(name, O_RDWR | O_CLOEXEC);
		if (fd != -1 && ioctl(fd, LOOP_CONFIGURE, &config) == 0) {
			close(file);
			close(control);
			return name; /* fd stays open on purpose */
		}
		if (fd != -1)
			close(fd);
	}
	ck_abort_msg("no loop device for %s", image);
	return NULL;
}

/* Tell the kernel of partition 1; it goes with the loop device. */
static inline bool
disk_partition(int device, long long start, long long length)
{
	struct blkpg_partition p = {.start = start, .length = length, .pno = 1};
	struct blkpg_ioctl_arg arg = {.op = BLKPG_ADD_PARTITION, .datalen = sizeof(p), .data = &p};

	return ioctl(device, BLKPG, &arg) == 0;
}

static inline struct conf
disk_conf(const char *device, const char *fstype)
{
	return (struct conf){
	    .pair = "mail",
	    .node = {"mx1", "mx2"},
	    .storage = {.name = "spool",
		.type = "shared",
		.device = device,
		.node_device = {device, device},
		.mountpoint = DISK_POINT,
		.fstype = fstype,
		.options = "noatime,nodev,nosuid",
		.fsck_ms = 20000},
	    .mount_ms = 5000,
	    .unmount_ms = 5000,
	    .kill_ms = 300,
	    .run_dir = DISK_RUN,
	};
}

static inline void
disk_file(const char *path, const char *text, bool sync)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	ck_assert_msg(fd != -1, "%s: %s", path, strerror(errno));
	ck_assert(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	if (sync)
		ck_assert(fsync(fd) == 0);
	close(fd);
}

/* ---------------------------------------------------------------- processes that hold */

/* Defined by the test: what the child does before it says that it is ready; false: it cannot. */
typedef bool disk_child_f(const char *path);

/* A child that does this and then waits to be killed; returns when it is ready. */
static inline pid_t
disk_child(disk_child_f *begin, const char *path, bool ignore_term)
{
	int p[2];
	char byte = 0;
	pid_t pid;

	ck_assert(pipe2(p, O_CLOEXEC) == 0);
	pid = fork();
	ck_assert(pid != -1);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGTERM, ignore_term ? SIG_IGN : SIG_DFL);
		if (!begin(path) || write(p[1], "r", 1) != 1)
			_exit(1);
		close(p[0]);
		close(p[1]);
		for (;;)
			pause();
	}
	close(p[1]);
	ck_assert_msg(read(p[0], &byte, 1) == 1, "the holder of %s is not ready", path);
	close(p[0]);
	return pid;
}

/* The signal that ended it; waits. */
static inline int
disk_ended_by(pid_t pid)
{
	int status;

	ck_assert(waitpid(pid, &status, 0) == pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* ---------------------------------------------------------------- a file system that hangs */

static struct { pid_t pid; int fd; } disk_frozen = {-1, -1};

/* As fsfreeze: whoever writes below path waits. A child holds it, which thaws it whatever becomes of the test. */
static inline void
disk_freeze(const char *path)
{
	int p[2], ready[2];
	char byte = 0;

	ck_assert(pipe2(p, O_CLOEXEC) == 0 && pipe2(ready, O_CLOEXEC) == 0);
	disk_frozen.pid = fork();
	ck_assert(disk_frozen.pid != -1);
	if (disk_frozen.pid == 0) {
		int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		setsid(); /* the harness kills the test's group */
		close(p[1]);
		if (fd == -1 || ioctl(fd, FIFREEZE, 0) == -1 || write(ready[1], "r", 1) != 1)
			_exit(1);
		close(ready[1]);
		while (read(p[0], &byte, 1) == -1 && errno == EINTR)
			continue;
		_exit(ioctl(fd, FITHAW, 0) == -1);
	}
	close(p[0]);
	close(ready[1]);
	ck_assert_msg(read(ready[0], &byte, 1) == 1, "%s cannot be frozen", path);
	close(ready[0]);
	disk_frozen.fd = p[1];
}

static inline void
disk_thaw(void)
{
	int status;

	close(disk_frozen.fd);
	disk_frozen.fd = -1;
	ck_assert(waitpid(disk_frozen.pid, &status, 0) == disk_frozen.pid && status == 0);
}

/* ---------------------------------------------------------------- workers */

struct disk_work {
	const struct conf *conf;
	bool (*act)(const struct conf *, struct spawn_out *, struct err *);
	struct loop *loop;
	bool ok;
	char report[8192];
	struct err err;
};

static inline bool
disk_work_run(const void *ctx, struct spawn_out *out, struct err *err)
{
	const struct disk_work *w = ctx;

	return w->act(w->conf, out, err);
}

static inline void
disk_work_done(void *arg, const struct spawn_result *r)
{
	struct disk_work *w = arg;

	w->ok = r->end == SPAWN_EXITED && r->code == 0;
	w->err = r->err;
	snprintf(w->report, sizeof(w->report), "%s", r->out);
	loop_stop(w->loop);
}

/* Run one function as a worker; the report and the error stand in *ret. */
static inline bool
disk_act(bool (*act)(const struct conf *, struct spawn_out *, struct err *),
    const struct conf *conf, struct disk_work *ret)
{
	*ret = (struct disk_work){.conf = conf, .act = act, .loop = loop_new()};
	spawn_work(ret->loop, "test", disk_work_run, ret, 20000, disk_work_done, ret);
	loop_run(ret->loop);
	loop_free(ret->loop);
	return ret->ok;
}

#endif
