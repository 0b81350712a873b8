/*
 * configsync/install_commit.c - one change after the other, each by one rename that a reader sees whole or not at all. Blocks.
 *
 * What was there changes places with what comes, so that it can be looked at when nobody can change its name any more: if it
 * is not what the plan saw, someone has edited it meanwhile, and it gets its place back.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "configsync/beneath.h"
#include "configsync/install_priv.h"
#include "configsync/scan_entry.h"

static const struct scan_options margins = { .margin_ms = SCAN_MARGIN_MS, .fine_ms = SCAN_FINE_MS };

bool
install_is(const struct stat *st, const struct entry *was, bool moved)
{
	enum entry_type type = S_ISREG(st->st_mode) ? ENTRY_FILE : S_ISDIR(st->st_mode) ? ENTRY_DIRECTORY :
	    S_ISLNK(st->st_mode) ? ENTRY_LINK : ENTRY_OTHER;

	if (type != was->type || st->st_ino != was->local.ino || st->st_dev != was->local.dev)
		return false;
	if (type == ENTRY_DIRECTORY)	/* it changes with what is in it */
		return true;
	return (uint64_t)st->st_size == (type == ENTRY_FILE ? was->size : (uint64_t)st->st_size) && st->st_mtim.tv_sec == was->mtime_s &&
	    (uint32_t)st->st_mtim.tv_nsec == was->mtime_ns && (st->st_mode & 07777) == was->mode &&
	    (moved || was->local.links > 1 || (st->st_ctim.tv_sec == was->local.ctime_s && (uint32_t)st->st_ctim.tv_nsec == was->local.ctime_ns));
}

static bool
is_what_was(int dir, const char *name, const struct entry *was)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && install_is(&st, was, true);
}

static bool
meanwhile(struct install *in, const char *path, struct err *err)
{
	report_add(in->report, NOTE_CHANGED_MEANWHILE, path, "was changed here since it was read; that change stands");
	return err_set(err, 0, "%s was changed here meanwhile", path);
}

/* Lets go of what has changed places with something new. */
static bool
remove_old(struct install *in, int dir, const char *name, const struct change *c, struct err *err)
{
	if (unlinkat(dir, name, c->was->type == ENTRY_DIRECTORY ? AT_REMOVEDIR : 0) == 0)
		return true;
	if (errno == ENOTEMPTY || errno == EEXIST)
		report_add(in->report, NOTE_NOT_EMPTY, c->path, "holds something that is not carried, so it stays");
	return err_set(err, errno, "%s cannot be removed", c->path);
}

/* A rename is a change of the file. Of what somebody was quick to change since then it stays known how it was put there. */
static void
look_again(struct item *item, int dir, const char *name)
{
	struct stat st, *was = &item->st;
	bool same = item->plain && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_dev == was->st_dev && st.st_ino == was->st_ino &&
	    st.st_mode == was->st_mode && st.st_uid == was->st_uid && st.st_gid == was->st_gid && st.st_size == was->st_size &&
	    st.st_mtim.tv_sec == was->st_mtim.tv_sec && st.st_mtim.tv_nsec == was->st_mtim.tv_nsec;
	if (same)
		*was = st;
}

static void
note_left(struct item *item, int dir, const char *name)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		item->left = st.st_mtim;
}

static bool
place(struct install *in, size_t i, struct err *err)
{
	const struct change *c = &in->change[i];
	char staging[STAGING_MAX];
	const char *name;
	int to, from = -1;
	bool ok = false;

	if (in->item[i].in != IN_NONE) {	/* there with the directory that it is in */
		in->item[i].steady = in->item[i].plain && scan_is_steady(&in->item[i].st, &margins);
		in->item[i].staged = false;
		return true;
	}
	to = install_parent(in, c->path, &name);
	if (in->item[i].spare != -1)
		snprintf(staging, sizeof staging, "%s", spare_name(in->item[i].spare));
	else
		install_staging_name(c->path, staging);
	if (to == -1 || (to = fcntl(to, F_DUPFD_CLOEXEC, 3)) == -1)
		return err_set(err, errno, "%s cannot be put in its place", c->path);
	from = in->item[i].spare != -1 ? spare_dir(in->o->spare) : install_directory(in, c->path, in->item[i].staging_dir);
	if (from == -1) {
		err_set(err, errno, "%s cannot be put in its place", c->path);
	} else if (renameat2(from, staging, to, name, c->was == NULL ? RENAME_NOREPLACE : RENAME_EXCHANGE) == -1) {
		ok = errno == EEXIST || errno == ENOENT ? meanwhile(in, c->path, err) :
		    err_set(err, errno, "%s cannot be put in its place", c->path);
	} else if (c->was == NULL) {
		ok = true;
		in->item[i].staged = false;
	} else if (!is_what_was(from, staging, c->was)) {
		renameat2(from, staging, to, name, RENAME_EXCHANGE);
		meanwhile(in, c->path, err);
	} else if (in->whole) {
		ok = in->item[i].kept = true;
		in->item[i].staged = false;
	} else if (!remove_old(in, from, staging, c, err)) {
		renameat2(from, staging, to, name, RENAME_EXCHANGE);
	} else {
		ok = true;
		in->item[i].staged = false;
	}
	if (ok)
		look_again(&in->item[i], to, name);
	if (ok && in->whole)
		note_left(&in->item[i], to, name);
	close(to);
	return ok;
}

/* Out of the way first, then looked at, then gone. */
static bool
remove_file(struct install *in, size_t i, struct err *err)
{
	const struct change *c = &in->change[i];
	char staging[STAGING_MAX];
	const char *name;
	int dir = install_parent(in, c->path, &name);

	install_staging_name(c->path, staging);
	if (dir == -1)
		return err_set(err, errno, "%s cannot be removed", c->path);
	unlinkat(dir, staging, 0);
	if (renameat2(dir, name, dir, staging, RENAME_NOREPLACE) == -1)
		return errno == ENOENT || err_set(err, errno, "%s cannot be removed", c->path);
	if (!is_what_was(dir, staging, c->was)) {
		renameat2(dir, staging, dir, name, RENAME_NOREPLACE);
		return meanwhile(in, c->path, err);
	}
	in->item[i].kept = in->whole;
	return in->whole || unlinkat(dir, staging, 0) == 0 || err_set(err, errno, "%s cannot be removed", c->path);
}

bool
install_remove_directory(struct install *in, size_t i, struct err *err)
{
	const struct change *c = &in->change[i];
	const char *name;
	int dir = install_parent(in, c->path, &name);

	if (dir != -1 && (unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT))
		return true;
	if (dir != -1 && (errno == ENOTEMPTY || errno == EEXIST)) {
		report_add(in->report, NOTE_NOT_EMPTY, c->path, "holds something that is not carried, so it stays");
		return true;
	}
	return err_set(err, errno, "directory %s cannot be removed", c->path);
}

static bool
rename_file(struct install *in, size_t i, struct err *err)
{
	const struct change *c = &in->change[i];
	const char *name, *old;
	int to = install_parent(in, c->path, &name), from;
	bool ok = false;

	if (to == -1 || (to = fcntl(to, F_DUPFD_CLOEXEC, 3)) == -1)
		return err_set(err, errno, "%s cannot be renamed to %s", c->from, c->path);
	if ((from = install_parent(in, c->from, &old)) == -1 || renameat2(from, old, to, name, RENAME_NOREPLACE) == -1) {
		ok = errno == EEXIST || errno == ENOENT ? meanwhile(in, c->path, err) :
		    err_set(err, errno, "%s cannot be renamed to %s", c->from, c->path);
	} else if (!is_what_was(to, name, c->from_was)) {
		renameat2(to, name, from, old, RENAME_NOREPLACE);
		meanwhile(in, c->from, err);
	} else {
		ok = true;
	}
	close(to);
	return ok;
}

/* ---------------------------------------------------------------- in place */

static int
open_for_meta(struct install *in, const struct change *c, struct stat *st, struct err *err)
{
	int fd = beneath_open(in->root, c->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, in->o->no_mounts);

	if (fd == -1 || fstat(fd, st) == -1) {
		err_set(err, errno, "%s cannot be opened", c->path);
	} else if (!install_is(st, c->was, false)) {
		meanwhile(in, c->path, err);
	} else {
		return fd;
	}
	if (fd != -1)
		close(fd);
	return -1;
}

/* What becomes narrower does so before anything is put into it. */
bool
install_narrow(struct install *in, size_t i, struct err *err)
{
	const struct change *c = &in->change[i];
	struct stat st;
	int fd;
	bool ok;

	if (c->step != STEP_DIRECTORY_META || (c->was->mode & c->to->mode) == c->was->mode)
		return true;
	if ((fd = open_for_meta(in, c, &st, err)) == -1)
		return false;
	ok = fchmod(fd, c->was->mode & c->to->mode) == 0 || err_set(err, errno, "cannot set the mode of %s", c->path);
	close(fd);
	return ok;
}

static bool
change_meta(struct install *in, size_t i, struct err *err)
{
	const struct change *c = &in->change[i];
	struct stat st;
	bool ok;
	int fd;

	if (c->to->type == ENTRY_LINK) {
		const char *name;
		int dir = install_parent(in, c->path, &name);

		if (dir == -1 || !is_what_was(dir, name, c->was))
			return meanwhile(in, c->path, err);
		return install_link_attributes(in, dir, name, &in->item[i], c->to, c->path, err);
	}
	if ((fd = open_for_meta(in, c, &st, err)) == -1)
		return false;
	ok = install_attributes(in, fd, &st, &in->item[i], c->was, c->to, c->path, err);
	/* Times alone are not worth a wait for the disk. */
	if (ok && entry_diff(c->was, c->to) != ENTRY_DIFF_TIME && fsync(fd) == -1)
		ok = err_set(err, errno, "%s cannot be brought to the disk", c->path);
	close(fd);
	if (ok && c->to->type == ENTRY_DIRECTORY)
		install_set_mtime(in, c->path, c->to);
	return ok;
}

bool
install_commit(struct install *in, size_t i, struct err *err)
{
	switch (in->change[i].kind) {
	case CHANGE_META:
		return change_meta(in, i, err);
	case CHANGE_RENAME:
		return rename_file(in, i, err);
	case CHANGE_REMOVE:
		if (in->change[i].was->type != ENTRY_DIRECTORY)
			return remove_file(in, i, err);
		return in->whole || install_remove_directory(in, i, err);	/* what is removed from it is in it still */
	case CHANGE_FILE:
	case CHANGE_LINK:
	case CHANGE_HARD:
	case CHANGE_DIRECTORY:
	case CHANGE_COUNT:
		break;
	}
	return place(in, i, err);
}
