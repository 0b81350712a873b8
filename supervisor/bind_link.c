/*
 * supervisor/bind_link.c - symbolic links into the spool, the original kept as PATH.drbdlinks.
 *
 * The suffix is that of an older program, so that a machine it has left half-way is understood.
 * Link and original change places by one exchange, so that the path exists at every moment; where
 * the file system cannot exchange, it is missing between two system calls. Links outlive a crash of
 * the machine: what they lead to is told from their text, since the spool need not be mounted. Runs
 * in workers.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/bind_impl.h"

enum place {
	PLACE_ABSENT,
	PLACE_LINK,    /* our link, into the spool */
	PLACE_ORIGINAL /* anything else */
};

bool
bind_is_link(const struct binds *b, const char *path)
{
	char target[PATH_MAX], point[PATH_MAX];
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	size_t len;

	if (n <= 0)
		return false;
	target[n] = '\0';
	/* The mountpoint as it is called in the kernel's tables or in the configuration. */
	snprintf(point, sizeof(point), "%s", b->conf->storage.mountpoint);
	len = strlen(point);
	while (len > 1 && point[len - 1] == '/')
		point[--len] = '\0';
	if (strncmp(target, point, len) == 0 && (target[len] == '/' || target[len] == '\0'))
		return true;
	len = strlen(b->point);
	return strncmp(target, b->point, len) == 0 && (target[len] == '/' || target[len] == '\0');
}

static bool
place_of(const struct binds *b, const char *path, enum place *ret, struct err *err)
{
	struct stat st;

	if (lstat(path, &st) == -1) {
		if (errno != ENOENT)
			return err_set(err, errno, "cannot look at %.200s", path);
		*ret = PLACE_ABSENT;
	} else {
		*ret = S_ISLNK(st.st_mode) && bind_is_link(b, path) ? PLACE_LINK : PLACE_ORIGINAL;
	}
	return true;
}

/* So that the change survives the machine; a directory that cannot be synced is no reason to fail.
 */
static void
sync_directory(const char *path)
{
	char dir[PATH_MAX];
	char *slash;
	int fd;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (slash == NULL)
		return;
	slash[slash == dir] = '\0';
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return;
	fsync(fd);
	close(fd);
}

/* Let two paths change places. *ret_cannot: this file system has no exchange; two steps must do. */
static bool
exchange(const char *path, const char *kept, bool *ret_cannot, struct err *err)
{
	if (renameat2(AT_FDCWD, path, AT_FDCWD, kept, RENAME_EXCHANGE) == 0)
		return true;
	*ret_cannot = errno == EINVAL || errno == ENOSYS;
	return err_set(err, errno, "cannot exchange %.200s and %.200s", path, kept);
}

/* The original at path goes to kept, a link comes in its place. */
static bool
put_link(const char *path, const char *kept, const char *target, struct err *err)
{
	bool cannot = false;

	if (symlink(target, kept) == -1)
		return err_set(err, errno, "cannot make the link %.200s", kept);
	if (exchange(path, kept, &cannot, err))
		return true;
	unlink(kept);
	if (!cannot)
		return false;
	if (rename(path, kept) == -1)
		return err_set(err, errno, "cannot rename %.200s to %.200s", path, kept);
	if (symlink(target, path) == -1) {
		err_set(err, errno, "cannot make the link %.200s", path);
		rename(kept, path);
		return false;
	}
	return true;
}

/* The link at path goes, the original comes back from kept. */
static bool
put_original(const char *path, const char *kept, struct err *err)
{
	bool cannot = false;

	if (exchange(path, kept, &cannot, err)) {
		if (unlink(kept) == -1)
			return err_set(err, errno, "cannot remove the link %.200s", kept);
		return true;
	}
	if (!cannot)
		return false;
	if (unlink(path) == -1)
		return err_set(err, errno, "cannot remove the link %.200s", path);
	if (rename(kept, path) == -1)
		return err_set(err, errno, "cannot rename %.200s back to %.200s", kept, path);
	return true;
}

static bool
names(const char *path, char kept[PATH_MAX], enum place *ret_there, enum place *ret_kept,
    const struct binds *b, struct err *err)
{
	if (snprintf(kept, PATH_MAX, "%s%s", path, BIND_SUFFIX) >= PATH_MAX)
		return err_set(err, ENAMETOOLONG, "%.200s", path);
	return place_of(b, path, ret_there, err) && place_of(b, kept, ret_kept, err);
}

bool
bind_link_up(const struct binds *b, const char *path, const char *from, struct spawn_out *out,
    bool *ret_done, struct err *err)
{
	char kept[PATH_MAX], target[2 * PATH_MAX], now[2 * PATH_MAX] = "";
	enum place there, original;

	snprintf(target, sizeof(target), "%s/%s", b->point, from);
	if (readlink(path, now, sizeof(now) - 1) > 0 && strcmp(now, target) == 0)
		return true;
	/* Whatever a dead run, or one with another "from", has left is put back first. */
	if (!bind_link_down(b, path, out, err) || !names(path, kept, &there, &original, b, err))
		return false;
	if (there == PLACE_ABSENT) {
		if (symlink(target, path) == -1)
			return err_set(err, errno, "cannot make the link %.200s", path);
		spawn_say(out, "created", "%s", path);
	} else {
		if (original == PLACE_ORIGINAL)
			return err_set(err, EEXIST,
			    "%.200s and %.200s are both there: move one of them away", path, kept);
		if (!put_link(path, kept, target, err))
			return false;
	}
	sync_directory(path);
	*ret_done = true;
	return true;
}

/*
 *	path		PATH.drbdlinks	came from			what is done
 *	link		original	an ordinary start		exchange, remove the link
 *	link		absent or link	nothing was there before	remove the link(s)
 *	original	link		died around the exchange	remove the link
 *	absent		original	died between two renames	rename the original back
 *	absent		link		died between two renames	remove the link
 *	original	original	not ours to judge		nothing
 */
bool
bind_link_down(const struct binds *b, const char *path, struct spawn_out *out, struct err *err)
{
	char kept[PATH_MAX];
	enum place there, original;
	bool changed = false;

	if (!names(path, kept, &there, &original, b, err))
		return false;
	if (there == PLACE_LINK && original == PLACE_ORIGINAL) {
		if (!put_original(path, kept, err))
			return false;
		there = PLACE_ORIGINAL;
		original = PLACE_ABSENT;
		changed = true;
	}
	if (original == PLACE_LINK) {
		if (unlink(kept) == -1)
			return err_set(err, errno, "cannot remove the link %.200s", kept);
		changed = true;
	}
	if (there == PLACE_LINK) {
		if (unlink(path) == -1)
			return err_set(err, errno, "cannot remove the link %.200s", path);
		changed = true;
	}
	if (there == PLACE_ABSENT && original == PLACE_ORIGINAL) {
		if (renameat2(AT_FDCWD, kept, AT_FDCWD, path, RENAME_NOREPLACE) == -1)
			return err_set(
			    err, errno, "cannot rename %.200s back to %.200s", kept, path);
		changed = true;
	}
	if (changed) {
		spawn_say(out, "unlinked", "%s", path);
		sync_directory(path);
	}
	return true;
}
