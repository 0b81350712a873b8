/*
 * tests/unit/storage_world.h - a device with a file system and the driver "shared" run on it as a
 * worker. For test_storage*.c.
 */
#ifndef TESTS_UNIT_STORAGE_WORLD_H
#define TESTS_UNIT_STORAGE_WORLD_H

#include "supervisor/storage.h"
#include "tests/unit/disk.h"

static struct conf conf;
static char device[32];

static inline bool
up(const struct conf *c, struct spawn_out *out, struct err *err)
{
	return storage_shared.up(c, out, err);
}

static inline bool
down(const struct conf *c, struct spawn_out *out, struct err *err)
{
	return storage_shared.down(c, c->unmount_ms, out, err);
}

static inline void
world_of(const char *fstype)
{
	disk_world();
	disk_image(DISK_ROOT "/image", fstype);
	disk_attach(DISK_ROOT "/image", false, device);
	conf = disk_conf(device, fstype);
}

static inline void
world_ext4(void)
{
	world_of("ext4");
}

static inline void
world_xfs(void)
{
	world_of("xfs");
}

static inline void
must_up(void)
{
	struct disk_work w;

	ck_assert_msg(disk_act(up, &conf, &w), "%s", w.err.text);
}

static inline void
must_down(struct disk_work *w)
{
	ck_assert_msg(disk_act(down, &conf, w), "%s\n%s", w->err.text, w->report);
}

/* The kernel's own answer, independent of the driver. */
static inline bool
nobody_has_it(void)
{
	int fd = open(device, O_RDONLY | O_EXCL | O_CLOEXEC);

	if (fd != -1)
		close(fd);
	return fd != -1;
}

static inline bool
hold_file(const char *path)
{
	return open(path, O_WRONLY | O_CREAT, 0644) != -1;
}

static inline bool
hold_namespace(const char *path)
{
	(void)path;
	return unshare(CLONE_NEWNS) == 0;
}

#endif
