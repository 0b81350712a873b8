/*
 * configsync/install.c - an installation from its beginning to its end: what may be done, staging, renames, syncs. Runs in a
 * worker; blocks.
 */
#include "configsync/install.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "configsync/arena.h"
#include "configsync/beneath.h"
#include "configsync/install_priv.h"

#define BULK 32u		/* files and directories from which on one sync of all is cheaper than one of each */

/* ---------------------------------------------------------------- directories */

static void
touch(struct install *in, const char *path, int fd)
{
	struct stat st;

	for (size_t i = in->touched_len; i-- > 0;) {
		if (strcmp(in->touched[i].path, path) == 0)
			return;
	}
	if (in->touched_len == in->touched_room) {
		in->touched_room = in->touched_room == 0 ? 32 : 2 * in->touched_room;
		in->touched = need(reallocarray(in->touched, in->touched_room, sizeof *in->touched));
	}
	if (fstat(fd, &st) == -1)
		st.st_mtim = (struct timespec){ .tv_nsec = UTIME_OMIT };
	in->touched[in->touched_len++] = (struct touched){ need(strdup(path)), st.st_mtim };
}

/* The one that is open already, most often. */
static int
open_directory(struct install *in, const char *path, size_t len, bool touched)
{
	if (in->dir == -1 || strlen(in->dir_path) != len || memcmp(in->dir_path, path, len) != 0) {
		if (in->dir != -1)
			close(in->dir);
		memcpy(in->dir_path, path, len);
		in->dir_path[len] = '\0';
		in->dir_staged = IN_NONE;
		in->dir = beneath_open(in->root, len == 0 ? "." : in->dir_path, O_RDONLY | O_DIRECTORY, in->o->no_mounts);
		in->dir_touched = false;
	}
	if (in->dir != -1 && touched && !in->dir_touched) {
		touch(in, in->dir_path, in->dir);
		in->dir_touched = true;
	}
	return in->dir;
}

int
install_directory(struct install *in, const char *path, size_t len)
{
	return open_directory(in, path, len, true);
}

/* One that stands below no other staged one is opened by its name, as its path may be too long for the kernel. */
static int
open_staged(struct install *in, size_t i)
{
	char path[STAGED_MAX];
	int dir, fd;

	install_staged_path(in, i, path);
	if (in->item[i].in != IN_NONE)
		return open_directory(in, path, strlen(path), false);
	if ((dir = install_directory(in, path, in->item[i].staging_dir)) == -1)
		return -1;
	fd = openat(dir, path + in->item[i].staging_dir + (in->item[i].staging_dir > 0), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	close(dir);
	snprintf(in->dir_path, sizeof in->dir_path, "%s", path);
	return in->dir = fd;
}

int
install_staged_directory(struct install *in, size_t i)
{
	if (in->dir == -1 || in->dir_staged != i) {
		open_staged(in, i);
		in->dir_staged = in->dir == -1 ? IN_NONE : i;
	}
	return in->dir;
}

int
install_parent(struct install *in, const char *path, const char **ret_name)
{
	size_t len = entry_path_parent(path);

	*ret_name = path + len + (len > 0);
	return install_directory(in, path, len);
}

void
install_set_mtime(struct install *in, const char *dir, const struct entry *to)
{
	for (size_t i = 0; i < in->touched_len; i++) {
		if (strcmp(in->touched[i].path, dir) == 0)
			in->touched[i].mtime = (struct timespec){ .tv_sec = to->mtime_s, .tv_nsec = to->mtime_ns };
	}
}

/* Closes fd. */
static bool
settle(struct install *in, const char *path, int fd, struct err *err)
{
	struct stat st;
	bool ok = (fstat(fd, &st) == 0 && install_sync(in, fd, &st)) || err_set(err, errno, "directory %s cannot be brought to the disk", path);

	close(fd);
	return ok;
}

/*
 * After the last change in each. Of a few all have their times before the first is synced, which most often brings all of them to the disk. A directory that has
 * gone needs nothing.
 */
static bool
settle_directories(struct install *in, struct err *err)
{
	int open[BULK];
	bool ok = true;

	in->bulk = in->touched_len > BULK;
	for (size_t i = 0; i < in->touched_len; i++) {
		const struct touched *t = &in->touched[i];
		struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, t->mtime };
		int fd = beneath_open(in->root, t->path[0] == '\0' ? "." : t->path, O_RDONLY | O_DIRECTORY, in->o->no_mounts);

		if (fd != -1 && scope_place(in->o->scope, t->path) == SCOPE_INSIDE)
			futimens(fd, times);	/* not ours to fail for */
		if (!in->bulk)
			open[i] = fd;
		else if (fd != -1)
			ok = settle(in, t->path, fd, ok ? err : NULL) && ok;
	}
	for (size_t i = 0; i < in->touched_len && !in->bulk; i++)
		if (open[i] != -1)
			ok = settle(in, in->touched[i].path, open[i], ok ? err : NULL) && ok;
	return install_sync_staged(in, ok ? err : NULL) && ok;
}

/* ---------------------------------------------------------------- what may be done */

static bool
owner_ok(struct install *in, const struct change *c, bool group, const struct entry_owner *owner, uint32_t *ret)
{
	const char *word = group ? "group" : "user";

	switch (names_here(in->o->names, group, owner, ret)) {
	case NAMES_KNOWN:
		return true;
	case NAMES_BY_NUMBER:
		report_add(in->report, NOTE_UNKNOWN_OWNER, c->path, "%s %s is unknown here: its number %u is used", word,
		    owner->name[0] == '\0' ? "without a name" : owner->name, owner->id);
		return true;
	case NAMES_STRANGER:
		break;
	}
	report_add(in->report, NOTE_REFUSED, c->path, "%s %s is unknown here, and its number %u is another one's: make it", word, owner->name,
	    owner->id);
	return false;
}

/* Is what the plan saw still there? Absent where it saw nothing. */
static bool
as_seen(struct install *in, const char *path, const struct entry *was)
{
	size_t len = entry_path_parent(path);
	const char *name = path + len + (len > 0);
	struct stat st;
	int dir = open_directory(in, path, len, false);
	bool ok = dir == -1 ? was == NULL && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) :
	    fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == -1 ? was == NULL && errno == ENOENT :
	    was != NULL && install_is(&st, was, false);

	if (!ok)
		report_add(in->report, NOTE_CHANGED_MEANWHILE, path, "was changed here since it was read; that change stands");
	return ok;
}

static bool
path_ok(struct install *in, const char *path)
{
	if (entry_path_ok(path) && scope_holds(in->o->scope, path, in->inside)) {
		in->inside = path;
		return true;
	}
	report_add(in->report, NOTE_REFUSED, path, "is not in a tree that is carried");
	return false;
}

static bool
may(struct install *in, size_t i)
{
	const struct change *c = &in->change[i];
	uint32_t uid = 0, gid = 0;

	if (!path_ok(in, c->path) || (c->from != NULL && !path_ok(in, c->from)))
		return false;
	if (in->item[i].in == IN_NONE && !as_seen(in, c->path, c->was))		/* in a directory that was not there nothing was */
		return false;
	if ((c->kind == CHANGE_RENAME || (c->kind == CHANGE_HARD && c->from_was != NULL)) && !as_seen(in, c->from, c->from_was))
		return false;
	if (c->to == NULL)
		return true;
	if (!in->o->setuid && c->to->type == ENTRY_FILE && (c->to->mode & (ENTRY_SETUID | ENTRY_SETGID)) != 0) {
		report_add(in->report, NOTE_REFUSED, c->path, "would be setuid or setgid (mode %04o), which is not allowed", c->to->mode);
		return false;
	}
	if (!owner_ok(in, c, false, &c->to->user, &uid) || !owner_ok(in, c, true, &c->to->group, &gid))
		return false;
	in->item[i].uid = uid;
	in->item[i].gid = gid;
	if (!install_acls_ok(in, c->to)) {
		report_add(in->report, NOTE_REFUSED, c->path, "its ACL names someone who is unknown here, and whose number is another one's");
		return false;
	}
	return true;
}

/* What stands in a refused directory, or in what it would have become, and what would have been linked to a refused file. */
static void
skip_with(struct install *in, const char *path)
{
	for (size_t i = 0; i < in->len; i++) {
		if (in->item[i].skip)
			continue;
		if (entry_path_within(in->change[i].path, path) ||
		    (in->change[i].kind == CHANGE_HARD && strcmp(in->change[i].from, path) == 0)) {
			in->item[i].skip = true;
			report_add(in->report, NOTE_REFUSED, in->change[i].path, "needs %s, which is not done", path);
		}
	}
}

static bool
vet(struct install *in, struct err *err)
{
	size_t refused = 0;

	for (size_t i = 0; i < in->len; i++) {
		if (in->item[i].skip || may(in, i))
			continue;
		in->item[i].skip = true;
		skip_with(in, in->change[i].path);
		if (refused++ == 0)
			err_set(err, 0, "%s: %s", in->change[i].path, in->report->at[in->report->len - 1].text);
	}
	return refused == 0 || (in->o->partial && !in->o->whole);
}

/* ---------------------------------------------------------------- the whole */

/* The others might have been done without it. */
static bool
failed(struct install *in, size_t i, const struct err *err)
{
	report_add(in->report, NOTE_FAILED, in->change[i].path, "%s", err->text);
	return false;
}

static bool
stage_all(struct install *in, struct err *err)
{
	size_t files = 0;

	for (size_t i = 0; i < in->len; i++)
		files += in->change[i].kind == CHANGE_FILE || in->change[i].kind == CHANGE_DIRECTORY;
	in->bulk = files > BULK;
	for (size_t i = 0; i < in->len; i++) {
		if (!in->item[i].skip && !install_stage(in, i, err))
			return failed(in, i, err);
		install_sync_early(in, i);
	}
	return install_finish_new(in, err) && install_sync_staged(in, err);
}

static bool
commit_all(struct install *in, struct err *err)
{
	bool ok = true;
	size_t i;

	for (i = 0; i < in->len && ok; i++)
		ok = in->item[i].skip || install_narrow(in, i, err) || failed(in, i, err);
	for (i = 0; i < in->len && ok; i++)
		in->item[i].done = ok = in->item[i].skip || install_commit(in, i, err) || failed(in, i, err);
	if (in->whole && ok)
		return install_let_go(in, err);
	if (in->whole && install_take_back(in, i))
		return false;
	for (i = 0; i < in->len && !ok; i++) {
		if (!in->item[i].done)
			report_add(in->report, NOTE_NOT_DONE, in->change[i].path, "the old one stands: %s", err->text);
	}
	return ok;
}

static void
add_placed(struct install *in, size_t i)
{
	const struct stat *st = &in->item[i].st;
	struct entry e = *in->change[i].to;

	e.path = in->change[i].path;
	e.hard = NULL;
	e.mode = st->st_mode & 07777;
	e.mtime_s = st->st_mtim.tv_sec;
	e.mtime_ns = (uint32_t)st->st_mtim.tv_nsec;
	e.user = (struct entry_owner){ names_of(in->o->names, false, st->st_uid), st->st_uid };
	e.group = (struct entry_owner){ names_of(in->o->names, true, st->st_gid), st->st_gid };
	e.sparse = e.type == ENTRY_FILE && (uint64_t)st->st_blocks * 512 < e.size;
	e.local = (struct entry_local){ .dev = st->st_dev, .ino = st->st_ino, .ctime_s = st->st_ctim.tv_sec, .ctime_ns = (uint32_t)st->st_ctim.tv_nsec,
		.links = (uint32_t)st->st_nlink, .steady = in->item[i].steady };
	manifest_add(in->o->placed, &e);
}

bool
install_apply(int root, const struct change *change, size_t changes, const struct install_options *o, struct report *report, struct err *err)
{
	struct install in = { .root = root, .o = o, .report = report, .change = change, .len = changes, .dir = -1, .given.in = IN_NONE };
	struct err settled;
	bool ok;

	in.item = need(calloc(changes + 1, sizeof *in.item));
	in.whole = o->whole && install_can_take_back(change, changes);
	for (size_t i = 0; i < changes; i++)
		in.item[i].spare = -1;
	install_find_new(&in);
	ok = vet(&in, err) && stage_all(&in, err) && (o->ready == NULL || o->ready(o->arg, err)) && commit_all(&in, err);
	for (size_t i = changes; i-- > 0;)
		install_unstage(&in, i);
	install_sync_staged(&in, NULL);		/* closes what a failure left */
	if (!settle_directories(&in, &settled) && ok)
		ok = err_set(err, settled.sys, "%s", settled.text);
	for (size_t i = 0; i < changes; i++) {
		if (in.item[i].done && in.item[i].plain)
			add_placed(&in, i);
	}
	if (in.dir != -1)
		close(in.dir);
	for (size_t i = 0; i < in.touched_len; i++)
		free(in.touched[i].path);
	free(in.touched);
	free(in.item);
	return ok;
}

bool
install_clean(int root, const struct scope *scope, const struct report *report, struct err *err)
{
	for (size_t i = 0; i < report->len; i++) {
		const char *path = report->at[i].path, *name;
		int dir, sys = 0;

		if (report->at[i].kind != NOTE_LEFTOVER || scope_place(scope, path) != SCOPE_BEING_WRITTEN)
			continue;
		if ((dir = beneath_parent(root, path, false, &name)) == -1)
			return err_set(err, errno, "leftover %s cannot be removed", path);
		if (!beneath_remove(dir, name))
			sys = errno;
		close(dir);
		if (sys != 0)
			return err_set(err, sys, "leftover %s cannot be removed", path);
	}
	return true;
}
