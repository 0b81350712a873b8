/*
 * supervisor/storage_ease.c - before a planned move, while mail is still served: what the unmount would have to do is done ahead, as far
 * as that can be had without harm. Runs in workers; blocks on the device.
 *
 * Dirty pages are written, and the names that the kernel remembers of this file system alone are forgotten: an unmount throws away one after the other,
 * half a second for 200,000 messages that the mail program has asked about. A reconfiguration (fsconfig(2)) that changes nothing does that;
 * the mount(2) of old would set all flags anew. Only ext4 is known to take it so.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/clock.h"
#include "supervisor/storage.h"
#include "supervisor/storage_impl.h"

static bool
forget_names(const char *point, struct err *err)
{
	int fd = fspick(AT_FDCWD, point, FSPICK_CLOEXEC | FSPICK_NO_AUTOMOUNT | FSPICK_SYMLINK_NOFOLLOW);
	bool ok;

	if (fd == -1)
		return err_set(err, errno, "the file system on %.200s cannot be picked", point);
	ok = fsconfig(fd, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) == 0;
	if (!ok)
		err_set(err, errno, "the file system on %.200s cannot be reconfigured", point);
	close(fd);
	return ok;
}

bool
storage_ease(const struct conf *conf, struct spawn_out *out, struct err *err)
{
	uint64_t began = clock_mono_ms(), written;
	char point[PATH_MAX];
	struct statvfs v;
	int fd;
	bool ok;

	/* beneath it would be this node's own disk */
	if (storage_shared.held(conf, err) != FACT_YES)
		return err_set(err, 0, "%.200s is not mounted", conf->storage.mountpoint);
	storage_mountpoint(conf, point);
	fd = open(point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1 || fstatvfs(fd, &v) == -1 || syncfs(fd) == -1) {
		ok = err_set(err, errno, "%.200s cannot be synced", point);
		if (fd != -1)
			close(fd);
		return ok;
	}
	close(fd);
	written = clock_mono_ms();
	spawn_say(out, "sync", "%u", (unsigned int)(written - began));
	/* one that became read-only by an error must not be made writable by this */
	if (strcmp(conf->storage.fstype, "ext4") != 0 || (v.f_flag & ST_RDONLY) != 0)
		return true;
	ok = forget_names(point, err);
	spawn_say(out, "forget", "%u", (unsigned int)(clock_mono_ms() - written));
	return ok;
}
