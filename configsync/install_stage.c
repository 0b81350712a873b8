/*
 * configsync/install_stage.c - everything new, whole and with all its attributes, under a hidden name in a directory of the file
 * system that it will stand in. Blocks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "configsync/beneath.h"
#include "configsync/install_priv.h"

#define HOLE 4096u		/* so many zeros need no place on the disk */
#define COPY 65536u

void
install_staging_name(const char *path, char name[STAGING_MAX])
{
	uint8_t digest[DIGEST_LEN];
	char hex[DIGEST_HEX];

	digest_sha256(path, strlen(path), digest);
	snprintf(name, STAGING_MAX, "%s%.*s", SCOPE_STAGING, (int)SCOPE_STAGING_DIGITS, digest_hex(digest, DIGEST_LEN, hex));
}

/* ---------------------------------------------------------------- bytes */

static bool
all_zero(const uint8_t *bytes, size_t len)
{
	return len > 0 && bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0;
}

static bool
write_at(int fd, const uint8_t *bytes, size_t len, off_t at, bool sparse)
{
	while (len > 0) {
		size_t part = sparse && len > HOLE ? HOLE : len;
		ssize_t n = sparse && part == HOLE && all_zero(bytes, part) ? (ssize_t)part : pwrite(fd, bytes, part, at);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return false;
		bytes += n;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

/* From the beginning of from to its end, which has to be what to says. errno is 0 where the bytes are other ones. */
static bool
copy(int from, int fd, const struct entry *to)
{
	struct digest_stream *stream = digest_stream_new();
	uint8_t digest[DIGEST_LEN], *buf = malloc(COPY);
	ssize_t n = buf == NULL ? -1 : 0;
	bool ok = buf != NULL;
	uint64_t at = 0;

	while (ok && (n = pread(from, buf, COPY, (off_t)at)) != 0) {
		if (n == -1 && errno == EINTR)
			continue;
		ok = n > 0 && (uint64_t)n <= to->size - at;
		if (ok)
			digest_stream_add(stream, buf, (size_t)n);
		else if (n > 0)
			errno = 0;
		ok = ok && write_at(fd, buf, (size_t)n, (off_t)at, to->sparse);
		at += ok ? (uint64_t)n : 0;
	}
	digest_stream_end(stream, digest);
	free(buf);
	if (ok && (at != to->size || memcmp(digest, to->digest, DIGEST_LEN) != 0)) {
		errno = 0;
		ok = false;
	}
	return ok && (!to->sparse || ftruncate(fd, (off_t)to->size) == 0);
}

static bool
write_whole(int fd, const uint8_t *bytes, const struct entry *to)
{
	return write_at(fd, bytes, (size_t)to->size, 0, to->sparse) && (!to->sparse || ftruncate(fd, (off_t)to->size) == 0);
}

/* From a path here where it is said to have them, else from the caller. */
static bool
fill(struct install *in, const struct change *c, int fd, struct err *err)
{
	int from = c->from == NULL ? -1 : beneath_open(in->root, c->from, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, in->o->no_mounts);
	const uint8_t *bytes = c->from == NULL && in->o->bytes != NULL ? in->o->bytes(in->o->arg, c->to) : NULL;
	bool ok = from != -1 && copy(from, fd, c->to);
	int sys = errno;

	if (bytes != NULL)
		return write_whole(fd, bytes, c->to) || err_set(err, errno, "%s cannot be written", c->path);
	if (from != -1)
		close(from);
	if (ok)
		return true;
	if (in->o->content == NULL || (from != -1 && sys == ENOSPC))
		return err_set(err, sys, "%s cannot be written: its bytes are not at %s any more", c->path, c->from == NULL ? "hand" : c->from);
	if (ftruncate(fd, 0) == -1 || (from = in->o->content(in->o->arg, c->to, err)) == -1)
		return false;
	ok = copy(from, fd, c->to);
	sys = errno;
	close(from);
	return ok || err_set(err, sys, sys == 0 ? "%s cannot be written: its bytes have another digest than was said" : "%s cannot be written",
	    c->path);
}

/* ---------------------------------------------------------------- kinds */

/* How it was staged. */
void
install_left(struct install *in, size_t i, int fd)
{
	in->item[i].plain = in->o->placed != NULL && in->change[i].to->xattrs == 0 && (in->bare || flistxattr(fd, NULL, 0) == 0) &&
	    fstat(fd, &in->item[i].st) == 0;
}

/* One from a crash is of no worth. */
static int
create(int dir, const char *name, mode_t mode)
{
	const int how = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(dir, name, how, mode);

	if (fd != -1 || errno != EEXIST)
		return fd;
	beneath_remove(dir, name);
	return openat(dir, name, how, mode);
}

/* Its staging name is looked for. */
static bool
has_links(const struct install *in, size_t i)
{
	bool has = false;

	for (size_t k = 0; k < in->len && !has; k++)
		has = in->change[k].kind == CHANGE_HARD && strcmp(in->change[k].from, in->change[i].path) == 0;
	return has;
}

/* False: it is to be created. Where a directory stood one stands below the other name for a moment, and that is no place for it. */
static bool
stage_spare(struct install *in, size_t i, int dir)
{
	const struct change *c = &in->change[i];
	bool may = in->o->spare != NULL && !in->whole && !in->bulk && in->item[i].in == IN_NONE && (c->was == NULL || c->was->type == ENTRY_FILE) && c->from == NULL && c->to->size > 0 &&
	    c->to->size <= SPARE_MOST && !c->to->sparse && c->to->xattrs == 0 && !has_links(in, i);
	const uint8_t *bytes = may && in->o->bytes != NULL ? in->o->bytes(in->o->arg, c->to) : NULL;
	int which = bytes == NULL ? -1 : spare_take(in->o->spare, dir, c->to->size, c->to->digest), fd;
	struct stat st;
	struct err err;

	if (which == -1)
		return false;
	fd = spare_fd(in->o->spare, which);
	if (fstat(fd, &st) == -1 || !spare_write(in->o->spare, which, bytes, (size_t)c->to->size, c->to->digest) ||
	    !install_attributes(in, fd, &st, &in->item[i], NULL, c->to, c->path, &err) || !spare_hold(in->o->spare, which)) {
		spare_gone(in->o->spare, which);
		return false;
	}
	in->item[i].spare = which;
	in->item[i].staged = true;
	install_left(in, i, fd);
	return true;
}

/* Whether what is new in its directory, which is closed to all others, has its owner and no attributes from the beginning. */
static bool
is_given(const struct install *in, size_t i)
{
	const struct item *item = &in->item[i];

	return item->in != IN_NONE && item->in == in->given.in && item->uid == in->given.uid && item->gid == in->given.gid &&
	    in->change[i].to->xattrs == 0;
}

/* So it is, and needs but its time. False: it needs all the rest, too. */
static bool
set_given(struct install *in, size_t i, int fd, const char *name)
{
	struct item *item = &in->item[i];
	const struct entry *to = in->change[i].to;
	bool ok = install_set_time(fd, name, to) && (name == NULL ? fstat(fd, &item->st) : fstatat(fd, name, &item->st, AT_SYMLINK_NOFOLLOW)) == 0 &&
	    item->st.st_uid == item->uid && item->st.st_gid == item->gid && (name != NULL || (item->st.st_mode & 07777) == to->mode);	/* the mask may take from it */

	item->plain = ok && in->o->placed != NULL;
	return ok;
}

static bool
set_all(struct install *in, size_t i, int fd, struct err *err)
{
	const struct change *c = &in->change[i];
	struct item *item = &in->item[i];

	if (fstat(fd, &item->st) == -1)
		return err_set(err, errno, "%s cannot be written", c->path);
	if (!install_attributes(in, fd, &item->st, item, NULL, c->to, c->path, err))
		return false;
	if (in->bare && item->in != IN_NONE)
		in->given = (struct given){ item->in, item->st.st_uid, item->st.st_gid };
	return true;
}

static bool
stage_file(struct install *in, size_t i, int dir, const char *name, struct err *err)
{
	const struct change *c = &in->change[i];
	bool given = is_given(in, i), ok;
	int fd = stage_spare(in, i, dir) ? -1 : create(dir, name, c->to->mode & (given ? 0777 : 0600));

	if (in->item[i].spare != -1)
		return true;
	if (fd == -1)
		return err_set(err, errno, "%s cannot be written", c->path);
	in->item[i].staged = true;
	ok = fill(in, c, fd, err);
	if (ok && !(given = given && set_given(in, i, fd, NULL)))
		ok = set_all(in, i, fd, err);
	if (ok && !install_sync(in, fd, &in->item[i].st))
		ok = err_set(err, errno, "%s cannot be brought to the disk", c->path);
	if (ok && !given)
		install_left(in, i, fd);
	close(fd);
	return ok;
}

/* Closed to all others until install_finish_new(). */
static bool
stage_directory(struct install *in, size_t i, int dir, const char *name, struct err *err)
{
	if (mkdirat(dir, name, 0700) == -1)
		return err_set(err, errno, "directory %s cannot be made", in->change[i].path);
	in->item[i].staged = true;
	return true;
}

static void
link_left(struct install *in, size_t i, int dir, const char *name)
{
	char proc[64 + ENTRY_NAME_MAX];

	snprintf(proc, sizeof proc, "/proc/self/fd/%d/%s", dir, name);
	in->item[i].plain = in->o->placed != NULL && in->change[i].to->xattrs == 0 && llistxattr(proc, NULL, 0) == 0 &&
	    fstatat(dir, name, &in->item[i].st, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool
stage_link(struct install *in, size_t i, int dir, const char *name, struct err *err)
{
	const struct change *c = &in->change[i];

	if (c->to->type != ENTRY_LINK)
		return err_set(err, 0, "%s is no symbolic link, and is not made one", c->path);
	if (symlinkat(c->to->target, dir, name) == -1)
		return err_set(err, errno, "symbolic link %s cannot be made", c->path);
	in->item[i].staged = true;
	if (is_given(in, i) && set_given(in, i, dir, name))
		return true;
	if (!install_link_attributes(in, dir, name, &in->item[i], c->to, c->path, err))
		return false;
	link_left(in, i, dir, name);
	return true;
}

/* To the staging name of its leader, or to the leader itself where that stays. */
static bool
stage_hard(struct install *in, size_t i, int dir, const char *name, struct err *err)
{
	const struct change *c = &in->change[i], *leader = NULL;
	char path[STAGED_MAX];
	const char *at;
	int from_dir;

	for (size_t k = 0; k < in->len && c->from_was == NULL && leader == NULL; k++) {
		if (strcmp(in->change[k].path, c->from) == 0 && in->item[k].staged)
			leader = &in->change[k];
	}
	if (leader != NULL)
		install_staged_path(in, (size_t)(leader - in->change), path);
	from_dir = beneath_parent(in->root, leader != NULL ? path : c->from, in->o->no_mounts, &at);
	if (from_dir == -1)
		return err_set(err, errno, "hard link %s to %s cannot be made", c->path, c->from);
	if (linkat(from_dir, at, dir, name, 0) == -1) {
		err_set(err, errno, "hard link %s to %s cannot be made", c->path, c->from);
		close(from_dir);
		return false;
	}
	close(from_dir);
	in->item[i].staged = true;
	return true;
}

/* ---------------------------------------------------------------- all */

/* The nearest directory above that is there already: it is on the file system that a new one in it will be on. */
static int
staging_directory(struct install *in, size_t i)
{
	const char *path = in->change[i].path;
	size_t len = entry_path_parent(path);
	int fd;

	while ((fd = install_directory(in, path, len)) == -1 && len > 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)) {
		while (len > 0 && path[len - 1] != '/')
			len--;
		len -= len > 0;
	}
	in->item[i].staging_dir = len;
	return fd;
}

/* An open directory and the name in it, which is in hidden or in the path. -1 with errno. */
static int
staging_place(struct install *in, size_t i, char hidden[STAGING_MAX], const char **ret_name)
{
	const char *path = in->change[i].path;

	if (in->item[i].in != IN_NONE) {
		*ret_name = strrchr(path, '/') + 1;
		return install_staged_directory(in, in->item[i].in);
	}
	install_staging_name(path, hidden);
	*ret_name = hidden;
	return staging_directory(in, i);
}

bool
install_stage(struct install *in, size_t i, struct err *err)
{
	const struct change *c = &in->change[i];
	char hidden[STAGING_MAX];
	const char *name;
	int dir;

	if (c->kind != CHANGE_FILE && c->kind != CHANGE_LINK && c->kind != CHANGE_HARD && c->kind != CHANGE_DIRECTORY)
		return true;
	if ((dir = staging_place(in, i, hidden, &name)) == -1)
		return err_set(err, errno, "%s cannot be written: its directory cannot be opened", c->path);
	if (c->kind == CHANGE_FILE)
		return stage_file(in, i, dir, name, err);
	if (in->item[i].in == IN_NONE)
		beneath_remove(dir, name);		/* one from a crash is of no worth */
	if (c->kind == CHANGE_LINK)
		return stage_link(in, i, dir, name, err);
	return c->kind == CHANGE_HARD ? stage_hard(in, i, dir, name, err) : stage_directory(in, i, dir, name, err);
}

void
install_unstage(struct install *in, size_t i)
{
	char name[STAGING_MAX];
	int dir;

	if (in->item[i].spare != -1) {
		spare_gone(in->o->spare, in->item[i].spare);
		in->item[i].spare = -1;
		return;
	}
	if (!in->item[i].staged || in->item[i].in != IN_NONE || (dir = install_directory(in, in->change[i].path, in->item[i].staging_dir)) == -1)
		return;
	install_staging_name(in->change[i].path, name);
	beneath_remove(dir, name);
	in->item[i].staged = false;
}
