/*
 * supervisor/storage_shared.c - storage driver "shared": a block device or image that both nodes
 * reach and only the active one mounts.
 *
 * Whether this node may mount it is decided elsewhere (proof, seal); here it is made sure that this
 * kernel does not have it twice. Takeovers wait for up(), so it is direct system calls: no
 * /bin/mount, no fsck unless the super block asks for it, since a journal is replayed by the mount
 * itself. Runs in workers; blocks on the device.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/clock.h"
#include "mta/mta.h"
#include "supervisor/storage.h"
#include "supervisor/storage_impl.h"

#define CLAIM_MS       250 /* a device that is just being let go: no event tells when */
#define CLAIM_RETRY_MS 5

/* The file system's description, or a sentence about what would be right. */
static const struct storage_fs *
fs_of(const struct conf *conf, struct err *err)
{
	const struct storage_fs *fs = storage_fs_find(conf->storage.fstype);

	if (fs == NULL)
		err_set(err, 0,
		    "the file system type %.100s of storage %.60s is not known to have a journal: "
		    "use ext4, ext3, xfs, jfs, btrfs or f2fs",
		    conf->storage.fstype, conf->storage.name);
	return fs;
}

/* ---------------------------------------------------------------- held */

/* Where the device is mounted in this mount namespace, judged against the mountpoint. */
static enum fact
held_here(const struct conf *conf, const struct storage_device *d, struct err *err)
{
	enum fact result = FACT_NO;
	const struct mount_row *top;
	char point[PATH_MAX];
	struct mounts m;

	if (!mounts_read("/proc/self/mountinfo", &m, err))
		return FACT_UNKNOWN;
	storage_mountpoint(conf, point);
	top = mounts_top(&m, point);
	if (top != NULL && storage_device_is(d, top)) {
		mounts_free(&m);
		return FACT_YES;
	}
	for (size_t i = 0; i < m.len && result == FACT_NO; i++) {
		if (!storage_device_is(d, &m.row[i]))
			continue;
		result = FACT_UNKNOWN;
		if (strcmp(m.row[i].point, point) == 0)
			err_set(err, 0,
			    "%.200s is mounted on %.200s, but something else is mounted over it",
			    d->configured, point);
		else
			err_set(err, 0, "%.200s is mounted on %.200s instead of %.200s",
			    d->configured, m.row[i].point, point);
	}
	mounts_free(&m);
	return result;
}

static enum fact
shared_held(const struct conf *conf, struct err *err)
{
	struct storage_device d;
	const struct mount_row *top;
	char point[PATH_MAX];
	enum fact result;
	struct mounts m;
	struct err why;

	if (storage_device_find(conf, &d, &why)) {
		result = held_here(conf, &d, err);
		if (result == FACT_NO && !storage_device_unused(&d, err))
			return FACT_UNKNOWN; /* another namespace of this kernel has it, or the
						tables cannot be read */
		return result;
	}
	/* No device node: what is mounted at the mountpoint may still be it. */
	if (!mounts_read("/proc/self/mountinfo", &m, err))
		return FACT_UNKNOWN;
	storage_mountpoint(conf, point);
	top = mounts_top(&m, point);
	if (top == NULL)
		result = FACT_NO;
	else if (strcmp(top->source, conf->storage.node_device[conf->self]) == 0)
		result = FACT_YES;
	else
		result = FACT_UNKNOWN;
	if (result == FACT_UNKNOWN && err != NULL)
		*err = why;
	mounts_free(&m);
	return result;
}

/* ---------------------------------------------------------------- ready */

/* Does a line of this file have the word? For the kernel's short tables. */
static bool
file_mentions(const char *file, const char *text)
{
	FILE *f = fopen(file, "re");
	char line[4096];
	bool found = false;

	while (f != NULL && !found && fgets(line, sizeof(line), f) != NULL)
		found = strstr(line, text) != NULL;
	if (f != NULL)
		fclose(f);
	return found;
}

static bool
kernel_knows(const char *fstype, struct err *err)
{
	char path[256], text[64];
	struct utsname u;

	snprintf(text, sizeof(text), "\t%.50s\n", fstype);
	if (file_mentions("/proc/filesystems", text))
		return true;
	/* mount(2) loads the module by itself. */
	if (uname(&u) == 0) {
		snprintf(path, sizeof(path), "/lib/modules/%s/modules.dep", u.release);
		snprintf(text, sizeof(text), "/%.50s.ko", fstype);
		if (file_mentions(path, text))
			return true;
	}
	return err_set(
	    err, 0, "this node's kernel has no %s file system: install its module", fstype);
}

static bool
program_there(const char *program, struct err *err)
{
	static const char *const directories[] = {
	    "/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin"};
	char path[256];

	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", directories[i], program);
		if (access(path, X_OK) == 0)
			return true;
	}
	return err_set(
	    err, 0, "%s is not installed on this node: the spool could not be checked", program);
}

static bool
mountpoint_possible(const char *mountpoint, struct err *err)
{
	char point[PATH_MAX];
	struct stat st;

	if (stat(mountpoint, &st) == 0)
		return S_ISDIR(st.st_mode) ||
		       err_set(err, 0, "the mountpoint %.200s is not a directory", mountpoint);
	if (errno != ENOENT)
		return err_set(err, errno, "cannot look at the mountpoint %.200s", mountpoint);
	return mounts_canonical(mountpoint, true, point, sizeof(point), err);
}

/* What must be true of the super block before it may be mounted; says nothing of the check's own
 * policy. */
static bool
super_acceptable(const struct conf *conf, const struct storage_fs *fs,
    const struct storage_super *s, struct err *err)
{
	const char *device = conf->storage.node_device[conf->self];

	if (!s->journalled)
		return err_set(err, 0,
		    "the %s file system on %.200s has no journal: add one with \"tune2fs -j\"",
		    fs->name, device);
	if (s->flawed && conf->storage.fsck == CONF_FSCK_ASK)
		return err_set(err, 0,
		    "the file system on %.200s is marked as having errors and fsck = \"ask\": %s, "
		    "then try again",
		    device, fs->advice);
	return true;
}

static bool
shared_ready(const struct conf *conf, struct err *err)
{
	const char *device = conf->storage.node_device[conf->self];
	const struct storage_fs *fs = fs_of(conf, err);
	struct storage_device d;
	struct storage_super s;
	char data[STORAGE_DATA_MAX];
	unsigned long flags;

	if (fs == NULL || !storage_options(conf->storage.options, &flags, data, err) ||
	    !storage_device_find(conf, &d, err))
		return false;
	if (held_here(conf, &d, NULL) == FACT_YES)
		return true;
	if (!storage_device_unused(&d, err) || !mountpoint_possible(conf->storage.mountpoint, err))
		return false;
	if (!kernel_knows(fs->name, err))
		return false;
	if (fs->fsck != NULL && conf->storage.fsck == CONF_FSCK_PREEN &&
	    !program_there(fs->fsck, err))
		return false;
	return storage_super_read(fs, device, VIEW_DISK, &s, err) &&
	       super_acceptable(conf, fs, &s, err);
}

/* ---------------------------------------------------------------- up */

/* fsck's exit status is a sum of bits: 1 = all corrected, everything above needs a person. */
static bool
check_run(const struct conf *conf, const struct storage_fs *fs, const char *device,
    struct spawn_out *out, struct err *err)
{
	const char *argv[] = {fs->fsck, "-p", device, NULL};
	struct spawn_cmd cmd = {.argv = argv};
	uint64_t began = clock_mono_ms();
	char text[2048] = "", *line;
	int status = spawn_run(&cmd, conf->storage.fsck_ms, text, sizeof(text), NULL, 0, err);

	if (status == -1)
		return false;
	spawn_say(out, "fsck", "%u", (unsigned int)(clock_mono_ms() - began));
	text[strcspn(text, "\n")] = '\0';
	line = text;
	if (status > 1)
		return err_set(err, 0,
		    "%s could not mend %.150s by itself (exit status %d: %.150s): run it by hand",
		    fs->fsck, device, status, line);
	spawn_say(out, "fsck-result", "%d %s", status, line);
	return true;
}

static bool
check(const struct conf *conf, const struct storage_fs *fs, const char *device,
    struct spawn_out *out, struct err *err)
{
	struct storage_super s;

	if (!storage_super_read(fs, device, VIEW_DISK, &s, err) ||
	    !super_acceptable(conf, fs, &s, err))
		return false;
	if (!s.flawed)
		return true;
	switch (conf->storage.fsck) {
	case CONF_FSCK_PREEN:
		if (fs->fsck != NULL)
			return check_run(conf, fs, device, out, err);
		break;
	case CONF_FSCK_ASK: /* super_acceptable() has refused */
	case CONF_FSCK_NEVER:
	case CONF_FSCK_COUNT:
		break;
	}
	spawn_say(out, "flawed", "%s is marked as having errors and was not checked", device);
	return true;
}

static bool
mountpoint_make(const char *mountpoint, struct spawn_out *out, struct err *err)
{
	struct dirent *entry;
	DIR *dir;
	int n = 0;

	if (mkdir(mountpoint, 0755) == 0)
		spawn_say(out, "created", "%s", mountpoint);
	else if (errno != EEXIST)
		return err_set(err, errno, "cannot create the mountpoint %.200s", mountpoint);
	dir = opendir(mountpoint);
	if (dir == NULL)
		return err_set(err, errno, "cannot open the mountpoint %.200s", mountpoint);
	while (n <= 2 && (entry = readdir(dir)) != NULL)
		n++;
	closedir(dir);
	if (n > 2)
		spawn_say(out, "not-empty", "%s", mountpoint);
	return true;
}

/*
 * Nothing of this kernel may have it. On success the cache of the device is emptied as well: pages
 * that were read while the other node wrote would be mounted otherwise.
 */
static bool
claim(const struct storage_device *d, struct err *err)
{
	uint64_t until = clock_mono_ms() + CLAIM_MS;

	for (size_t i = 0; i < d->nodes; i++) {
		struct err why = {0};
		int fd;

		while ((fd = storage_device_claim(d, i, &why)) == -1 && why.sys == EBUSY &&
		       clock_mono_ms() < until) {
			if (!storage_device_unused(d, err))
				return false; /* it has a name, and will not go by itself */
			poll(NULL, 0, CLAIM_RETRY_MS);
		}
		if (fd == -1) {
			/* Busy and nobody seen: a mount namespace without processes, for one. */
			if (err != NULL)
				*err = why;
			return false;
		}
		ioctl(fd, BLKFLSBUF, 0);
		close(fd);
	}
	return true;
}

/* Flags that the mail program needs of the file system of its queue, whatever the configuration says. */
static unsigned long
mail_flags(const struct conf *conf)
{
	const struct mta_driver *driver = conf->mta.name != NULL ? mta_find(conf->mta.name) : NULL;

	return driver != NULL && driver->durable != NULL ? MS_DIRSYNC : 0;
}

static bool
mount_it(const struct conf *conf, const struct storage_fs *fs, const char *device,
    const char *point, struct err *err)
{
	char data[STORAGE_DATA_MAX];
	struct statvfs v;
	unsigned long flags;

	if (!storage_options(conf->storage.options, &flags, data, err))
		return false;
	if (mount(device, point, fs->name, flags | mail_flags(conf), data) == -1) {
		int sys = errno;

		if (sys == ENODEV)
			return err_set(err, sys,
			    "cannot mount %.150s: this node's kernel has no %s file system", device,
			    fs->name);
		if (sys == EACCES || sys == EROFS)
			return err_set(
			    err, sys, "cannot mount %.150s: the device can only be read", device);
		return err_set(err, sys,
		    "cannot mount %.150s on %.150s as %s (%s; see the kernel's log)", device, point,
		    fs->name, fs->advice);
	}
	if (statvfs(point, &v) == 0 && (v.f_flag & ST_RDONLY) != 0) {
		umount2(point, UMOUNT_NOFOLLOW);
		return err_set(
		    err, 0, "%.150s could be mounted for reading only: %s", device, fs->advice);
	}
	return true;
}

/* What touched() compares with. Without it touched() says UNKNOWN, which is no reason to fail. */
static void
note(
    const struct conf *conf, const struct storage_fs *fs, const char *device, struct spawn_out *out)
{
	const char *configured = conf->storage.node_device[conf->self];
	struct storage_super s;
	struct err err;

	if (!storage_super_read(fs, device, VIEW_DISK, &s, &err))
		spawn_say(out, "no-note", "%s", err.text);
	else if (!storage_note_write(conf->run_dir, configured, &s, &err))
		spawn_say(out, "no-note", "%s", err.text);
}

static bool
shared_up(const struct conf *conf, struct spawn_out *out, struct err *err)
{
	const struct storage_fs *fs = fs_of(conf, err);
	struct storage_device d;
	char point[PATH_MAX];
	uint64_t began;
	enum fact held;
	bool ok;
	int keep = -1;

	if (fs == NULL || !storage_device_find(conf, &d, err))
		return false;
	held = held_here(conf, &d, err);
	if (held == FACT_YES)
		spawn_say(out, "mount", "0");
	if (held != FACT_NO)
		return held == FACT_YES;
	if (!claim(&d, err))
		return false;
	if (d.nodes == 0 && (keep = storage_device_attach(&d, err)) == -1)
		return false;
	/* An image's loop device lives as long as "keep" or the mount does. */
	ok = check(conf, fs, d.path, out, err) &&
	     mountpoint_make(conf->storage.mountpoint, out, err);
	if (ok) {
		storage_mountpoint(conf, point);
		began = clock_mono_ms();
		ok = mount_it(conf, fs, d.path, point, err);
		if (ok)
			spawn_say(out, "mount", "%u", (unsigned int)(clock_mono_ms() - began));
	}
	if (ok)
		note(conf, fs, d.path, out);
	if (keep != -1)
		close(keep);
	return ok;
}

/* ---------------------------------------------------------------- the rest */

static bool
shared_mine(const struct conf *conf)
{
	struct storage_super noted;
	struct err err;

	return storage_note_read(conf->run_dir, conf->storage.node_device[conf->self], &noted, &err);
}

static bool
stamps_equal(const struct storage_super *a, const struct storage_super *b)
{
	return a->mounted_at == b->mounted_at && a->mount_count == b->mount_count;
}

/*
 * NO means that the disk still shows our own mount. It is no proof: our kernel may have written its
 * own super block over the other's meanwhile. A change that this kernel's cache shows as well was
 * made by this kernel (remounted by hand), not by another.
 */
static enum fact
shared_touched(const struct conf *conf, struct err *err)
{
	const char *configured = conf->storage.node_device[conf->self];
	const struct storage_fs *fs = fs_of(conf, err);
	struct storage_super noted, disk, ours;
	struct storage_device d;

	if (fs == NULL || !storage_device_find(conf, &d, err) ||
	    !storage_note_read(conf->run_dir, configured, &noted, err))
		return FACT_UNKNOWN;
	if (d.path[0] == '\0')
		snprintf(d.path, sizeof(d.path), "%s", configured);
	if (!storage_super_read(fs, d.path, VIEW_DISK_ONLY, &disk, err))
		return FACT_UNKNOWN;
	if (!disk.stamped) {
		err_set(err, 0, "%s does not note who mounted it", fs->name);
		return FACT_UNKNOWN;
	}
	if (memcmp(disk.uuid, noted.uuid, sizeof(disk.uuid)) != 0)
		return FACT_YES; /* a new file system was made on it */
	if (stamps_equal(&disk, &noted))
		return FACT_NO;
	if (held_here(conf, &d, NULL) == FACT_YES &&
	    storage_super_read(fs, d.path, VIEW_KERNEL, &ours, NULL) && stamps_equal(&disk, &ours))
		return FACT_NO;
	return FACT_YES;
}

static bool
shared_describe(const struct conf *conf, char *buf, size_t size, struct err *err)
{
	unsigned long long used, usable;
	struct storage_device d;
	struct statvfs v;

	if (!storage_device_find(conf, &d, err))
		return false;
	if (held_here(conf, &d, NULL) != FACT_YES) {
		snprintf(buf, size, "%s not mounted here", conf->storage.fstype);
		return true;
	}
	if (statvfs(conf->storage.mountpoint, &v) == -1)
		return err_set(err, errno, "cannot look at %.200s", conf->storage.mountpoint);
	used = (unsigned long long)(v.f_blocks - v.f_bfree);
	usable = used + v.f_bavail;
	snprintf(buf, size, "%s %s, %llu%% used", conf->storage.fstype,
	    (v.f_flag & ST_RDONLY) != 0 ? "ro" : "rw",
	    usable == 0 ? 100 : (used * 100 + usable - 1) / usable);
	return true;
}

const struct storage_driver storage_shared = {
    .name = "shared",
    .ready = shared_ready,
    .up = shared_up,
    .ease = storage_ease,
    .down = storage_release,
    .abandon = storage_abandon,
    .held = shared_held,
    .mine = shared_mine,
    .touched = shared_touched,
    .answers = storage_try,
    .describe = shared_describe,
};
