/*
 * supervisor/storage_impl.h - parts of the storage driver "shared": options, super block, device,
 * release. For storage_*.c and their tests only. All but the parts called pure block: for workers.
 */
#ifndef SUPERVISOR_STORAGE_IMPL_H
#define SUPERVISOR_STORAGE_IMPL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/fact.h"
#include "common/spawn.h"
#include "supervisor/mounts.h"

/* ---------------------------------------------------------------- storage_options.c: pure */

#define STORAGE_DATA_MAX 1024

/*
 * "noatime,errors=panic" as flags for mount(2) and the rest as the file system's own options. Words
 * for mount(8) and fstab only (noauto, nofail, _netdev, x-...) are left out. "ro", "remount" and
 * "bind" are refused.
 */
bool	storage_options(const char *options, unsigned long *ret_flags, char data[STORAGE_DATA_MAX],
	    struct err *);

/* ---------------------------------------------------------------- storage_probe.c */

enum storage_family { FAMILY_EXT, FAMILY_XFS, FAMILY_JFS, FAMILY_BTRFS, FAMILY_F2FS, FAMILY_COUNT };

struct storage_fs {
	const char		*name;		/* as for mount(2) */
	enum storage_family	 family;
	const char		*fsck;		/* for preen; NULL: mounting is all there is */
	const char		*advice;	/* what a person does when it cannot be mounted */
	bool			 shutdown;	/* FS_IOC_SHUTDOWN is there */
};
/* NULL: unknown, or without a journal. Pure. */
const struct storage_fs *storage_fs_find(const char *fstype);

struct storage_super {
	bool		journalled;	/* ext without has_journal: false */
	bool		replay;		/* a journal to replay at the next mount */
	bool		flawed;		/* it says that there are errors: a check is due */
	bool		stamped;	/* the two below are there */
	uint64_t	mounted_at;	/* ext: s_mtime, seconds */
	uint32_t	mount_count;	/* ext: s_mnt_count */
	uint8_t		uuid[16];
};
#define SUPER_LEN 4096	/* what is read, from storage_super_offset() on */
off_t	storage_super_offset(const struct storage_fs *);
/* False where these bytes are no super block of this family. Pure. */
bool	storage_super_parse(const struct storage_fs *, const uint8_t bytes[SUPER_LEN],
	    const char *device, struct storage_super *ret, struct err *);

enum storage_view {
	VIEW_DISK,		/* past the cache; first writes back what is dirty there */
	VIEW_DISK_ONLY,		/* the same without writing: EAGAIN while it is dirty */
	VIEW_KERNEL		/* what this kernel believes (the cache) */
};
bool	storage_super_read(const struct storage_fs *, const char *device, enum storage_view,
	    struct storage_super *ret, struct err *);

/* ---------------------------------------------------------------- storage_beneath.c */

/*
 * A descriptor of what lies under a partition or a loop device, and *offset moved to the same place
 * there; -1 where there is no such thing or it cannot be reached.
 */
int	storage_beneath_open(const char *device, off_t *offset);

/* ---------------------------------------------------------------- storage_probe.c: the note */

/* run_dir/storage.note: that we mounted it, and the super block's stamps after that (0 where it has none). */
bool	storage_note_write(const char *run_dir, const char *device, const struct storage_super *,
	    struct err *);
bool	storage_note_read(const char *run_dir, const char *device, struct storage_super *ret,
	    struct err *);
void	storage_note_remove(const char *run_dir);

/* ---------------------------------------------------------------- storage_device.c */

#define DEVICE_NODES_MAX 8

struct storage_device {
	const char	*configured;		/* as in the configuration */
	bool		 image;			/* a regular file, reached through loop devices */
	size_t		 nodes;			/* an image may have none, or several */
	dev_t		 node[DEVICE_NODES_MAX];
	char		 path[PATH_MAX];	/* of the first node; "" when there is none */
};
/* False with err->sys == ENOENT, ENXIO or ENODEV where it is not there at all. */
bool	storage_device_find(const struct conf *, struct storage_device *ret, struct err *);
/*
 * An image gets a loop device, which goes away by itself when nobody has it open. Returns a
 * descriptor that keeps it until it is mounted, or -1 with *err.
 */
int	storage_device_attach(struct storage_device *, struct err *);
bool	storage_device_is(const struct storage_device *, const struct mount_row *);

/*
 * Claim the device as a mount would: fails with EBUSY while anything of this kernel (a mount in
 * whatever namespace, swap, device mapper, md) has it. Returns a descriptor or -1 with *err.
 */
int	storage_device_claim(const struct storage_device *, size_t node, struct err *);
/* By /proc and /sys only, so that it can be asked at any time. False: *err names who has it. */
bool	storage_device_unused(const struct storage_device *, struct err *);

/* ---------------------------------------------------------------- storage_release.c */

/* The mountpoint as the kernel names it (no symbolic links), or as configured where there is none. */
void	storage_mountpoint(const struct conf *, char buf[PATH_MAX]);
bool	storage_release(const struct conf *, uint32_t limit_ms, struct spawn_out *, struct err *);
bool	storage_abandon(const struct conf *, struct spawn_out *, struct err *);

/* ---------------------------------------------------------------- storage_ease.c */

bool	storage_ease(const struct conf *, struct spawn_out *, struct err *);

/* ---------------------------------------------------------------- storage_try.c */

bool	storage_try(const struct conf *, bool owner, struct err *);

#endif
