/*
 * supervisor/storage_probe.c - what a super block says: which file system, whether it has a
 * journal, errors, and who mounted it last.
 *
 * Runs in workers; blocks on the device. On-disk layouts: the kernel's documentation of ext4
 * ("Super Block"), XFS ("XFS Algorithms & Data Structures"), jfs_superblock.h, btrfs's wiki,
 * f2fs_fs.h. Only a standby's reads go past the cache, so that no stale page is there when it
 * mounts.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/digest.h"
#include "common/durable.h"
#include "supervisor/storage_impl.h"

#define EXT_MAGIC_AT	   56
#define EXT_MAGIC	   0xEF53
#define EXT_MTIME_AT	   44
#define EXT_MNT_COUNT_AT   52
#define EXT_STATE_AT	   58
#define EXT_COMPAT_AT	   92
#define EXT_INCOMPAT_AT	   96
#define EXT_UUID_AT	   104
#define EXT_MTIME_HI_AT	   0x275
#define EXT_STATE_VALID	   1
#define EXT_STATE_ERROR	   2
#define EXT_COMPAT_JOURNAL 4
#define EXT_NEEDS_RECOVERY 4
#define JFS_STATE_AT	   40
#define JFS_UUID_AT	   136
#define NOWAIT_TRIES	   4
#define NOWAIT_PAUSE_MS	   1

/* clang-format off */
static const struct storage_fs fs_known[] = {
	{ "ext4",  FAMILY_EXT,   "fsck.ext4", "look at it with \"fsck.ext4 -f\"", true },
	{ "ext3",  FAMILY_EXT,   "fsck.ext3", "look at it with \"fsck.ext3 -f\"", true },
	{ "xfs",   FAMILY_XFS,   NULL,        "look at it with \"xfs_repair -n\"", true },
	{ "jfs",   FAMILY_JFS,   "fsck.jfs",  "look at it with \"fsck.jfs -f\"", false },
	{ "btrfs", FAMILY_BTRFS, NULL,        "look at it with \"btrfs check --readonly\"", false },
	{ "f2fs",  FAMILY_F2FS,  NULL,        "look at it with \"fsck.f2fs\"", true },
};
/* clang-format on */

const struct storage_fs *
storage_fs_find(const char *fstype)
{
	for (size_t i = 0; i < sizeof(fs_known) / sizeof(fs_known[0]); i++)
		if (strcmp(fs_known[i].name, fstype) == 0)
			return &fs_known[i];
	return NULL;
}

static uint32_t
le16(const uint8_t *b)
{
	return (uint32_t)b[0] | (uint32_t)b[1] << 8;
}

static uint32_t
le32(const uint8_t *b)
{
	return le16(b) | le16(b + 2) << 16;
}

/* Where the 4096 bytes that hold the super block begin: a multiple of 4096, for direct reads. */
off_t
storage_super_offset(const struct storage_fs *fs)
{
	switch (fs->family) {
	case FAMILY_EXT:
	case FAMILY_XFS:
	case FAMILY_F2FS:
		return 0;
	case FAMILY_JFS:
		return 32768;
	case FAMILY_BTRFS:
		return 65536;
	case FAMILY_COUNT:
		break;
	}
	abort();
}

static bool
ext_parse(const uint8_t *sb, struct storage_super *ret)
{
	uint32_t state = le16(sb + EXT_STATE_AT);

	if (le16(sb + EXT_MAGIC_AT) != EXT_MAGIC)
		return false;
	ret->journalled = (le32(sb + EXT_COMPAT_AT) & EXT_COMPAT_JOURNAL) != 0;
	ret->replay = (le32(sb + EXT_INCOMPAT_AT) & EXT_NEEDS_RECOVERY) != 0;
	/* Not valid with a journal to replay is an ordinary crash: the replay makes it valid. */
	ret->flawed =
	    (state & EXT_STATE_ERROR) != 0 || ((state & EXT_STATE_VALID) == 0 && !ret->replay);
	ret->stamped = true;
	ret->mounted_at = le32(sb + EXT_MTIME_AT) | (uint64_t)sb[EXT_MTIME_HI_AT] << 32;
	ret->mount_count = le16(sb + EXT_MNT_COUNT_AT);
	memcpy(ret->uuid, sb + EXT_UUID_AT, sizeof(ret->uuid));
	return true;
}

bool
storage_super_parse(const struct storage_fs *fs, const uint8_t bytes[SUPER_LEN], const char *device,
    struct storage_super *ret, struct err *err)
{
	struct storage_super s = {.journalled = true};
	bool known = false;

	switch (fs->family) {
	case FAMILY_EXT:
		known = ext_parse(bytes + 1024, &s);
		break;
	case FAMILY_XFS:
		known = memcmp(bytes, "XFSB", 4) == 0;
		memcpy(s.uuid, bytes + 32, sizeof(s.uuid));
		break;
	case FAMILY_JFS:
		/* JFS's log is replayed by fsck.jfs, not by the kernel: anything but clean needs
		 * it. */
		known = memcmp(bytes, "JFS1", 4) == 0;
		s.replay = s.flawed = le32(bytes + JFS_STATE_AT) != 0;
		memcpy(s.uuid, bytes + JFS_UUID_AT, sizeof(s.uuid));
		break;
	case FAMILY_BTRFS:
		known = memcmp(bytes + 64, "_BHRfS_M", 8) == 0;
		memcpy(s.uuid, bytes + 32, sizeof(s.uuid));
		break;
	case FAMILY_F2FS:
		known = le32(bytes + 1024) == 0xF2F52010u;
		memcpy(s.uuid, bytes + 1024 + 108, sizeof(s.uuid));
		break;
	case FAMILY_COUNT:
		break;
	}
	if (!known)
		return err_set(err, 0, "%.200s holds no %s file system: check device and fstype",
		    device, fs->name);
	*ret = s;
	return true;
}

/*
 * A plain direct read first writes back what the cache has dirty in the range. On a node that may
 * have lost the device that would put our stale super block over the new owner's. So it is read
 * from beneath where that is possible, and otherwise with RWF_NOWAIT, which refuses instead. The
 * kernel gives no event for "clean now", hence the short waits.
 */
static ssize_t
read_without_writing(const char *device, int fd, void *buf, off_t offset)
{
	struct iovec iov = {.iov_base = buf, .iov_len = SUPER_LEN};
	off_t below = offset;
	int beneath = storage_beneath_open(device, &below);
	ssize_t n = -1;

	if (beneath != -1) {
		n = pread(beneath, buf, SUPER_LEN, below);
		close(beneath);
		if (n == SUPER_LEN)
			return n;
	}
	for (int i = 0; i < NOWAIT_TRIES; i++) {
		n = preadv2(fd, &iov, 1, offset, RWF_NOWAIT);
		if (n != -1 || errno != EAGAIN)
			break;
		poll(NULL, 0, NOWAIT_PAUSE_MS);
	}
	return n;
}

bool
storage_super_read(const struct storage_fs *fs, const char *device, enum storage_view view,
    struct storage_super *ret, struct err *err)
{
	int flags = O_RDONLY | O_CLOEXEC | (view == VIEW_KERNEL ? 0 : O_DIRECT);
	off_t offset = storage_super_offset(fs);
	void *buf = NULL;
	bool ok = false;
	ssize_t n;
	int fd;

	fd = open(device, flags);
	if (fd == -1 && errno == EINVAL && view == VIEW_DISK)
		fd = open(
		    device, flags & ~O_DIRECT); /* an image on a file system without direct reads */
	if (fd == -1)
		return err_set(err, errno, "cannot open %.200s", device);
	if (posix_memalign(&buf, SUPER_LEN, SUPER_LEN) != 0) {
		err_set(err, ENOMEM, "cannot read %.200s", device);
		goto out;
	}
	if (view == VIEW_DISK_ONLY)
		n = read_without_writing(device, fd, buf, offset);
	else
		n = pread(fd, buf, SUPER_LEN, offset);
	if (n == -1)
		err_set(err, errno, "cannot read the super block of %.200s", device);
	else if (n != SUPER_LEN)
		err_set(err, 0, "%.200s is too small for a %s file system", device, fs->name);
	else
		ok = storage_super_parse(fs, buf, device, ret, err);
out:
	free(buf);
	close(fd);
	return ok;
}

/* ---------------------------------------------------------------- the note */

static void
note_path(const char *run_dir, char *buf, size_t size)
{
	snprintf(buf, size, "%s/storage.note", run_dir);
}

bool
storage_note_write(
    const char *run_dir, const char *device, const struct storage_super *s, struct err *err)
{
	char path[PATH_MAX], text[PATH_MAX + 256], uuid[2 * sizeof(s->uuid) + 1];
	int len;

	note_path(run_dir, path, sizeof(path));
	len = snprintf(text, sizeof(text),
	    "mailpair-storage-note 1\ndevice %s\nuuid %s\nmounted %" PRIu64 "\ncount %" PRIu32 "\n",
	    device, digest_hex(s->uuid, sizeof(s->uuid), uuid), s->mounted_at, s->mount_count);
	return durable_write(path, text, (size_t)len, 0644, err);
}

bool
storage_note_read(
    const char *run_dir, const char *device, struct storage_super *ret, struct err *err)
{
	char path[PATH_MAX], text[PATH_MAX + 256], expected[PATH_MAX + 64];
	struct storage_super s = {.stamped = true};
	size_t len;

	note_path(run_dir, path, sizeof(path));
	if (durable_read(path, text, sizeof(text), err) < 0)
		return false;
	len = (size_t)snprintf(
	    expected, sizeof(expected), "mailpair-storage-note 1\ndevice %s\nuuid ", device);
	if (len >= sizeof(expected) || strncmp(text, expected, len) != 0)
		return err_set(err, 0, "%s is not about %.200s", path, device);
	for (size_t i = 0; i < sizeof(s.uuid); i++) {
		unsigned int byte;

		if (sscanf(text + len + 2 * i, "%2x", &byte) != 1)
			return err_set(err, 0, "%s cannot be understood", path);
		s.uuid[i] = (uint8_t)byte;
	}
	if (sscanf(text + len + 2 * sizeof(s.uuid), "\nmounted %" SCNu64 "\ncount %" SCNu32,
		&s.mounted_at, &s.mount_count) != 2)
		return err_set(err, 0, "%s cannot be understood", path);
	*ret = s;
	return true;
}

void
storage_note_remove(const char *run_dir)
{
	char path[PATH_MAX];

	note_path(run_dir, path, sizeof(path));
	unlink(path);
}
