/*
 * configsync/install_whole.c - a set is put in place as a whole or not at all: until the last of its renames is done, what was there stands below its
 * staging name, and gets its place back where one of them cannot be done. Blocks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "configsync/beneath.h"
#include "configsync/install_priv.h"

bool
install_can_take_back(const struct change *change, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (change[i].step == STEP_PLACE_OVER_DIRECTORY)	/* which would have to be empty of what makes room in it */
			return false;
	}
	return true;
}

/* The directory of its staging name, which the one that it stands in is, or stands below. The one that is open may be none any more. */
static int
staging_place(struct install *in, size_t i, char staging[STAGING_MAX])
{
	if (in->dir != -1)
		close(in->dir);
	in->dir = -1;
	install_staging_name(in->change[i].path, staging);
	return install_directory(in, in->change[i].path,
	    in->change[i].kind == CHANGE_REMOVE ? entry_path_parent(in->change[i].path) : in->item[i].staging_dir);
}

/* An edit that was quick is not taken away with it. */
static bool
is_as_left(int dir, const char *name, const struct item *item)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    (S_ISDIR(st.st_mode) || (st.st_mtim.tv_sec == item->left.tv_sec && st.st_mtim.tv_nsec == item->left.tv_nsec));
}

static bool
take_back_place(struct install *in, size_t i)
{
	const struct change *c = &in->change[i];
	struct item *item = &in->item[i];
	unsigned int how = c->was == NULL ? RENAME_NOREPLACE : RENAME_EXCHANGE;
	char staging[STAGING_MAX];
	const char *name;
	int from, to;
	bool ok;

	if (item->in != IN_NONE)		/* it goes with the directory that it is in */
		return true;
	if ((from = staging_place(in, i, staging)) == -1 || (from = fcntl(from, F_DUPFD_CLOEXEC, 3)) == -1)
		return false;
	to = install_parent(in, c->path, &name);
	ok = to != -1 && renameat2(to, name, from, staging, how) == 0;
	if (ok && !is_as_left(from, staging, item)) {
		renameat2(from, staging, to, name, how);
		ok = false;
	}
	close(from);
	item->staged = item->staged || ok;
	item->kept = item->kept && !ok;
	return ok;
}

static bool
take_back_removed(struct install *in, size_t i)
{
	const char *path = in->change[i].path, *name = path + entry_path_parent(path);
	char staging[STAGING_MAX];
	int dir;

	if (!in->item[i].kept)		/* it was gone already, or is a directory and still there */
		return true;
	dir = staging_place(in, i, staging);
	name += *name == '/';
	in->item[i].kept = dir == -1 || renameat2(dir, staging, dir, name, RENAME_NOREPLACE) == -1;
	return !in->item[i].kept;
}

static bool
take_back_renamed(struct install *in, size_t i)
{
	const struct change *c = &in->change[i];
	char staging[STAGING_MAX];
	const char *name, *old;
	int to, from;
	bool ok;

	(void)staging_place(in, i, staging);
	if ((to = install_parent(in, c->path, &name)) == -1 || (to = fcntl(to, F_DUPFD_CLOEXEC, 3)) == -1)
		return false;
	from = install_parent(in, c->from, &old);
	ok = from != -1 && renameat2(to, name, from, old, RENAME_NOREPLACE) == 0;
	close(to);
	return ok;
}

/* Where it cannot be changed it may be that it never was. */
static bool
take_back_meta(struct install *in, size_t i)
{
	const struct change *c = &in->change[i];
	const struct item owner = { .uid = c->was->user.id, .gid = c->was->group.id };
	struct stat st;
	int fd;
	bool ok;

	if (c->to->type == ENTRY_LINK) {
		const char *name;
		int dir = install_parent(in, c->path, &name);

		return dir != -1 && install_link_attributes(in, dir, name, &owner, c->was, c->path, NULL);
	}
	fd = beneath_open(in->root, c->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, in->o->no_mounts);
	ok = fd != -1 && fstat(fd, &st) == 0 && (install_attributes(in, fd, &st, &owner, c->to, c->was, c->path, NULL) ||
	    (install_is(&st, c->was, true) && st.st_uid == owner.uid && st.st_gid == owner.gid));
	if (fd != -1)
		close(fd);
	if (ok && c->to->type == ENTRY_DIRECTORY)
		install_set_mtime(in, c->path, c->was);
	return ok;
}

static bool
take_back(struct install *in, size_t i)
{
	switch (in->change[i].kind) {
	case CHANGE_META:
		return take_back_meta(in, i);
	case CHANGE_RENAME:
		return take_back_renamed(in, i);
	case CHANGE_REMOVE:
		return take_back_removed(in, i);
	case CHANGE_FILE:
	case CHANGE_LINK:
	case CHANGE_HARD:
	case CHANGE_DIRECTORY:
	case CHANGE_COUNT:
		break;
	}
	return take_back_place(in, i);
}

bool
install_take_back(struct install *in, size_t begun)
{
	bool all = true;

	for (size_t i = in->len; i-- > 0;) {
		const struct change *c = &in->change[i];

		/* what failed may be half done, and directories have become narrower before all else */
		if (!in->item[i].done && (c->kind != CHANGE_META || (i >= begun && c->step != STEP_DIRECTORY_META)))
			continue;
		if (take_back(in, i))
			in->item[i].done = false;
		else
			all = false;
	}
	return all;
}

/* ---------------------------------------------------------------- all of it is there */

bool
install_let_go(struct install *in, struct err *err)
{
	bool ok = true;

	for (size_t i = 0; i < in->len; i++) {
		const struct change *c = &in->change[i];
		char staging[STAGING_MAX];
		int dir;

		if (in->item[i].kept && (dir = staging_place(in, i, staging)) != -1)
			unlinkat(dir, staging, 0);		/* what stays is a leftover, which the next scan tells of */
		if (c->kind != CHANGE_REMOVE || c->was->type != ENTRY_DIRECTORY || install_remove_directory(in, i, err))
			continue;
		report_add(in->report, NOTE_FAILED, c->path, "%s", err->text);
		report_add(in->report, NOTE_NOT_DONE, c->path, "the old one stands: %s", err->text);
		in->item[i].done = ok = false;
	}
	return ok;
}
