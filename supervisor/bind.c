/*
 * supervisor/bind.c - directories of the spool seen at their usual places, as bind mounts; and what
 * both methods share: the list, the source on the spool, the order.
 *
 * bind_link.c has the symbolic links. Whoever keeps a bind busy is named and left alone: stopping
 * is the storage driver's, which then unmounts the bind too. Runs in workers; blocks on the spool.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/bind.h"
#include "supervisor/bind_impl.h"
#include "supervisor/holders.h"
#include "supervisor/storage_impl.h"

/* ---------------------------------------------------------------- the source */

/*
 * Open the source below the spool, component by component: no symbolic link, no "..", no other file
 * system, so that nothing on the spool can lead a bind out of it. Returns an O_PATH descriptor or
 * -1.
 */
static int
source_open(const char *point, const char *from, struct err *err)
{
	int fd = open(point, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat spool, st;
	char name[NAME_MAX + 1];

	if (fd == -1 || fstat(fd, &spool) == -1) {
		err_set(err, errno, "cannot open the spool at %.200s", point);
		goto failed;
	}
	while (*from != '\0') {
		size_t len = strcspn(from, "/");
		int next;

		if (len > NAME_MAX) {
			err_set(err, ENAMETOOLONG, "%.100s on the spool", from);
			goto failed;
		}
		memcpy(name, from, len);
		name[len] = '\0';
		from += len + strspn(from + len, "/");
		if (len == 0 || strcmp(name, ".") == 0)
			continue;
		if (strcmp(name, "..") == 0) {
			err_set(err, 0, "\"..\" in a bind's \"from\" would lead out of the spool");
			goto failed;
		}
		next = openat(fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (next == -1) {
			err_set(
			    err, errno, "cannot find %.100s on the spool at %.200s", name, point);
			goto failed;
		}
		close(fd);
		fd = next;
		if (fstat(fd, &st) == -1 || S_ISLNK(st.st_mode) || st.st_dev != spool.st_dev) {
			err_set(err, 0,
			    "%.100s on the spool at %.200s is a symbolic link or another file "
			    "system: "
			    "a bind must stay on the spool",
			    name, point);
			goto failed;
		}
	}
	return fd;
failed:
	if (fd != -1)
		close(fd);
	return -1;
}

/* ---------------------------------------------------------------- one bind */

bool
bind_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Is the uppermost mount at this path one of the spool's? */
static bool
mounted_from_spool(const struct binds *b, const char *path, bool *ret_yes, struct err *err)
{
	const struct mount_row *top;
	struct mounts m;

	if (!mounts_read("/proc/self/mountinfo", &m, err))
		return false;
	top = mounts_top(&m, path);
	*ret_yes = top != NULL &&
		   (storage_device_is(&b->device, top) || (b->dev != 0 && top->dev == b->dev) ||
		       (b->device.nodes == 0 && strcmp(top->source, b->device.configured) == 0));
	mounts_free(&m);
	return true;
}

/* Remove the spool's mounts at this path, however many a dead run has left. */
bool
bind_unmount(const struct binds *b, const char *path, struct spawn_out *out, struct err *err)
{
	struct holder *h;
	struct stat st;
	size_t len;
	bool yes;

	for (;;) {
		int sys;

		if (!mounted_from_spool(b, path, &yes, err))
			return false;
		if (!yes)
			return true;
		if (umount2(path, UMOUNT_NOFOLLOW) == 0) {
			spawn_say(out, "unbound", "%s", path);
			continue;
		}
		sys = errno;
		if (sys == EBUSY && stat(path, &st) == 0 &&
		    holders_find(st.st_dev, path, &h, &len, NULL)) {
			for (size_t i = 0; i < len; i++)
				spawn_say(out, "holder", "%d %s %s", (int)h[i].pid, h[i].command,
				    h[i].path);
			free(h);
		}
		return err_set(err, sys, "cannot remove the bind mount on %.200s", path);
	}
}

/* An empty place to mount over, where there is none. */
static bool
target_make(const char *path, const struct stat *source, struct spawn_out *out, struct err *err)
{
	int fd;

	if (S_ISDIR(source->st_mode)) {
		if (mkdir(path, 0755) == -1)
			return err_set(err, errno, "cannot create %.200s to bind over it", path);
	} else {
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (fd == -1)
			return err_set(err, errno, "cannot create %.200s to bind over it", path);
		close(fd);
	}
	spawn_say(out, "created", "%s", path);
	return true;
}

/* *ret_done: it was not there before. */
static bool
mount_up(const struct binds *b, const char *path, int source_fd, const struct stat *source,
    struct spawn_out *out, bool *ret_done, struct err *err)
{
	char source_path[48];
	struct stat st;
	bool from_spool;

	if (!bind_link_down(b, path, out, err)) /* left by a run that was configured for links */
		return false;
	if (!mounted_from_spool(b, path, &from_spool, err))
		return false;
	if (from_spool && lstat(path, &st) == 0 && bind_same_file(&st, source))
		return true;
	if (from_spool && !bind_unmount(b, path, out, err)) /* left by a run with another "from" */
		return false;
	if (lstat(path, &st) == -1) {
		if (errno != ENOENT)
			return err_set(err, errno, "cannot look at %.200s", path);
		if (!target_make(path, source, out, err))
			return false;
		st = *source;
	}
	if (S_ISLNK(st.st_mode))
		return err_set(err, 0,
		    "%.200s is a symbolic link: bind over what it leads to, or use method = "
		    "\"symlink\"",
		    path);
	if (S_ISDIR(st.st_mode) != S_ISDIR(source->st_mode))
		return err_set(err, 0,
		    "%.200s and its source on the spool are not of the same type (directory or "
		    "file)",
		    path);
	snprintf(source_path, sizeof(source_path), "/proc/self/fd/%d", source_fd);
	if (mount(source_path, path, NULL, MS_BIND, NULL) == -1)
		return err_set(err, errno, "cannot bind the spool's directory over %.200s", path);
	*ret_done = true;
	return true;
}

/* ---------------------------------------------------------------- all of them */

static bool
binds_open(const struct conf *conf, struct binds *ret, struct err *err)
{
	const struct mount_row *top;
	struct mounts m;
	struct err why;

	*ret = (struct binds){.conf = conf};
	if (conf->binds == 0)
		return true;
	storage_mountpoint(conf, ret->point);
	if (!storage_device_find(conf, &ret->device, &why)) {
		/* No device any more: the names that the mounts were made by still tell. */
		ret->device =
		    (struct storage_device){.configured = conf->storage.node_device[conf->self]};
	}
	if (!mounts_read("/proc/self/mountinfo", &m, err))
		return false;
	top = mounts_top(&m, ret->point);
	if (top != NULL && storage_device_is(&ret->device, top)) {
		ret->mounted = true;
		ret->dev = top->dev;
	}
	mounts_free(&m);
	return true;
}

static bool
one_up(const struct binds *b, const struct conf_bind *bind, struct spawn_out *out, bool *ret_done,
    struct err *err)
{
	char path[PATH_MAX];
	struct stat source;
	int fd;
	bool ok;

	if (!mounts_canonical(bind->path, true, path, sizeof(path), err))
		return false;
	fd = source_open(b->point, bind->from, err);
	if (fd == -1)
		return false;
	if (fstat(fd, &source) == -1)
		ok = err_set(err, errno, "cannot look at %.200s on the spool", bind->from);
	else if (bind->symlink)
		ok = bind_unmount(b, path, out, err) &&
		     bind_link_up(b, path, bind->from, out, ret_done, err);
	else
		ok = mount_up(b, path, fd, &source, out, ret_done, err);
	close(fd);
	return ok;
}

/* Both methods, whichever is configured: the last run may have had the other. */
static bool
one_down(
    const struct binds *b, const struct conf_bind *bind, struct spawn_out *out, struct err *err)
{
	char path[PATH_MAX];
	struct err why;

	if (!mounts_canonical(bind->path, true, path, sizeof(path), &why)) {
		if (why.sys == ENOENT)
			return true; /* its directory is not there, so nothing can be */
		if (err != NULL)
			*err = why;
		return false;
	}
	return bind_unmount(b, path, out, err) && bind_link_down(b, path, out, err);
}

bool
binds_up(const struct conf *conf, struct spawn_out *out, struct err *err)
{
	bool done[CONF_BINDS_MAX] = {false};
	struct binds b;

	if (!binds_open(conf, &b, err))
		return false;
	if (conf->binds > 0 && !b.mounted)
		return err_set(err, 0,
		    "the spool %.200s is not mounted on %.200s: nothing can be bound from it",
		    b.device.configured, b.point);
	for (size_t i = 0; i < conf->binds; i++) {
		if (one_up(&b, &conf->bind[i], out, &done[i], err))
			continue;
		while (i-- > 0)
			if (done[i])
				one_down(&b, &conf->bind[i], out, NULL);
		return false;
	}
	return true;
}

bool
binds_down(const struct conf *conf, struct spawn_out *out, struct err *err)
{
	struct err first = {0}, why;
	struct binds b;
	bool ok = true;

	if (!binds_open(conf, &b, err))
		return false;
	for (size_t i = conf->binds; i-- > 0;) {
		if (one_down(&b, &conf->bind[i], out, &why))
			continue;
		if (ok)
			first = why;
		ok = false; /* the others are still put back */
	}
	if (!ok && err != NULL)
		*err = first;
	return ok;
}

enum fact
binds_held(const struct conf *conf, struct err *err)
{
	size_t there = 0, absent = 0;
	struct binds b;

	if (!binds_open(conf, &b, err))
		return FACT_UNKNOWN;
	for (size_t i = 0; i < conf->binds; i++) {
		char path[PATH_MAX];
		bool mounted = false, linked = false;

		if (!mounts_canonical(conf->bind[i].path, true, path, sizeof(path), NULL)) {
			absent++;
			continue;
		}
		if (!mounted_from_spool(&b, path, &mounted, err))
			return FACT_UNKNOWN;
		linked = bind_is_link(&b, path);
		if (conf->bind[i].symlink ? linked && b.mounted : mounted)
			there++;
		else if (!mounted && !linked)
			absent++;
	}
	if (absent == conf->binds)
		return FACT_NO;
	if (there == conf->binds)
		return FACT_YES;
	err_set(err, 0, "%zu of %zu binds of the spool are in place", there, conf->binds);
	return FACT_UNKNOWN;
}
