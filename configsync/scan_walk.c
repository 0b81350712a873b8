/*
 * configsync/scan_walk.c - whatever stands in one place, and all below it, into a manifest. Used by scan.c and scan_paths.c; blocks.
 */
#include "configsync/scan_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "configsync/arena.h"
#include "configsync/scan_entry.h"

#define DEPTH_MAX 200u		/* descriptors are held open on the way down */

enum outcome { DONE, AGAIN, BUSY, GONE, FAILED };	/* BUSY: being written; FAILED: errno */

static void walk_directory(struct walk *, int fd, unsigned int depth);

static void
add_other(struct walk *w, const char *path)
{
	manifest_add(w->m, &(struct entry){ .path = path, .type = ENTRY_OTHER, .user = { "", 0 }, .group = { "", 0 } });
}

/* ---------------------------------------------------------------- files */

static bool
reuse_of(struct walk *w, const struct manifest *known, const struct stat *st)
{
	const struct entry *k = known == NULL ? NULL : manifest_find(known, w->path);
	struct entry e;

	if (k == NULL || k->type != ENTRY_FILE || (known == w->o->placed ? k->mode != (st->st_mode & 07777) : !k->local.steady) ||
	    !S_ISREG(st->st_mode) || k->local.dev != st->st_dev ||
	    k->local.ino != st->st_ino || k->size != (uint64_t)st->st_size || k->mtime_s != st->st_mtim.tv_sec ||
	    k->mtime_ns != (uint32_t)st->st_mtim.tv_nsec || k->local.ctime_s != st->st_ctim.tv_sec ||
	    k->local.ctime_ns != (uint32_t)st->st_ctim.tv_nsec)
		return false;
	e = *k;
	e.user = (struct entry_owner){ names_of(w->o->names, false, st->st_uid), st->st_uid };	/* names may change without the file */
	e.group = (struct entry_owner){ names_of(w->o->names, true, st->st_gid), st->st_gid };
	e.hard = NULL;
	e.local.links = (uint32_t)st->st_nlink;
	e.local.steady = known != w->o->placed || scan_is_steady(st, w->o);
	manifest_add(w->m, &e);
	w->count.reused++;
	return true;
}

static bool
reuse(struct walk *w, const struct stat *st)
{
	return reuse_of(w, w->o->placed, st) || reuse_of(w, w->o->known, st);
}

static int
open_file(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | O_NOATIME);

	if (fd == -1 && errno == EPERM)		/* of another owner, and we are not root */
		fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return fd;
}

/*
 * Does somebody have it open to write? What he has written so far may be half of it, or nothing: an editor in place begins with an empty
 * file. The kernel gives a lease for reading only where nobody has; it is given back at once, and SIGIO is what a writer would cause
 * who comes between. Where leases are unknown so is the answer: no.
 */
static bool
being_written(int fd)
{
	if (fcntl(fd, F_SETLEASE, F_RDLCK) == -1)
		return errno == EAGAIN;
	fcntl(fd, F_SETLEASE, F_UNLCK);
	return false;
}

/* Of a small one all is read at once, and is in w->s->bytes then. False: errno. */
static bool
read_bytes(struct walk *w, int fd, off_t size, bool *ret_small)
{
	ssize_t n = size <= (off_t)SCAN_SMALL_MAX ? pread(fd, w->s->bytes, sizeof w->s->bytes, 0) : -1;

	*ret_small = n == size;
	if (!*ret_small)		/* it has grown or shrunk as well */
		return digest_sha256_fd(fd, w->s->entry.digest);
	digest_sha256(w->s->bytes, (size_t)n, w->s->entry.digest);
	return true;
}

static enum outcome
read_file(struct walk *w, int dir, const char *name)
{
	enum outcome outcome = FAILED;
	struct stat before, after;
	bool small;
	int fd, sys;

	if ((fd = open_file(dir, name)) == -1)
		return errno == ENOENT ? GONE : errno == ELOOP ? AGAIN : FAILED;
	if (fstat(fd, &before) == -1)
		goto out;
	if (!S_ISREG(before.st_mode)) {
		outcome = AGAIN;
		goto out;
	}
	scan_entry_stat(w->s, w->path, &before, w->o);
	/* one that has been left alone for a while is taken: some programs never close what they write */
	if (w->s->lately && being_written(fd)) {
		outcome = BUSY;
		goto out;
	}
	if (!read_bytes(w, fd, before.st_size, &small) || !scan_entry_xattrs(w->s, fd, NULL, w->o, w->report))
		goto out;
	if (w->o->at_read != NULL)
		w->o->at_read(w->o->arg, w->path);
	if (fstat(fd, &after) == -1)
		goto out;
	outcome = scan_stat_same(&before, &after) ? DONE : AGAIN;
	w->count.read += outcome == DONE;
	if (outcome == DONE && small && w->o->small != NULL)
		w->o->small(w->o->arg, w->s->entry.digest, w->s->bytes, (size_t)before.st_size);
out:
	sys = errno;
	close(fd);
	errno = sys;
	return outcome;
}

static enum outcome
read_link(struct walk *w, int dir, const char *name, const struct stat *before)
{
	ssize_t len = readlinkat(dir, name, w->s->target, sizeof w->s->target);
	char proc[64 + ENTRY_NAME_MAX];
	struct stat after;

	if (len == -1)
		return errno == ENOENT ? GONE : errno == EINVAL ? AGAIN : FAILED;
	if (len == 0 || len > (ssize_t)ENTRY_TARGET_MAX) {
		errno = ENAMETOOLONG;
		return FAILED;
	}
	w->s->target[len] = '\0';
	scan_entry_stat(w->s, w->path, before, w->o);
	w->s->entry.target = w->s->target;
	snprintf(proc, sizeof proc, "/proc/self/fd/%d/%s", dir, name);
	if (!scan_entry_xattrs(w->s, -1, proc, w->o, w->report))
		return errno == ENOENT ? GONE : FAILED;
	if (fstatat(dir, name, &after, AT_SYMLINK_NOFOLLOW) == -1)
		return errno == ENOENT ? GONE : FAILED;
	return scan_stat_same(before, &after) ? DONE : AGAIN;
}

/* ---------------------------------------------------------------- directories */

static enum outcome
read_directory(struct walk *w, int dir, const char *name, bool carried, unsigned int depth)
{
	struct stat st;
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int sys;

	if (fd == -1)
		return errno == ENOENT ? GONE : errno == ELOOP || errno == ENOTDIR ? AGAIN : FAILED;
	if (depth > DEPTH_MAX)
		errno = ELOOP;
	if (depth > DEPTH_MAX || fstat(fd, &st) == -1)
		goto failed;
	if (carried) {
		scan_entry_stat(w->s, w->path, &st, w->o);
		if (!scan_entry_xattrs(w->s, fd, NULL, w->o, w->report))
			goto failed;
		manifest_add(w->m, &w->s->entry);
	}
	walk_directory(w, fd, depth);
	close(fd);
	return DONE;
failed:
	sys = errno;
	close(fd);
	errno = sys;
	return FAILED;
}

/* One try at what stands in w->path. */
static enum outcome
read_any(struct walk *w, int dir, const char *name, bool carried, unsigned int depth)
{
	enum outcome outcome;
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return errno == ENOENT ? GONE : FAILED;
	if (S_ISDIR(st.st_mode))
		return read_directory(w, dir, name, carried, depth);
	if (!carried) {		/* the way to a tree leads over what is no directory */
		errno = ENOTDIR;
		return FAILED;
	}
	if (S_ISREG(st.st_mode)) {
		if (reuse(w, &st))
			return DONE;
		outcome = read_file(w, dir, name);
	} else if (S_ISLNK(st.st_mode)) {
		outcome = read_link(w, dir, name, &st);
	} else {
		report_add(w->report, NOTE_SPECIAL, w->path, "a %s is not carried", S_ISFIFO(st.st_mode) ? "fifo" :
		    S_ISSOCK(st.st_mode) ? "socket" : "device");
		add_other(w, w->path);
		return DONE;
	}
	if (outcome == DONE)
		manifest_add(w->m, &w->s->entry);
	return outcome;
}

/* What could not be read is there; and so may be the trees below it. */
static void
add_unknown(struct walk *w, enum scope_place place)
{
	const char *tree;

	if (place == SCOPE_INSIDE) {
		add_other(w, w->path);
		return;
	}
	for (size_t i = 0; (tree = scope_tree(w->o->scope, i)) != NULL; i++) {
		if (entry_path_within(tree, w->path))
			add_other(w, tree);
	}
}

void
walk_one(struct walk *w, int dir, const char *name, unsigned int depth)
{
	enum scope_place place = scope_place(w->o->scope, w->path);
	enum outcome outcome = AGAIN;

	if (place == SCOPE_BEING_WRITTEN)
		report_add(w->report, NOTE_LEFTOVER, w->path, "left by an installation that did not come to its end");
	if (place != SCOPE_INSIDE && place != SCOPE_ABOVE)
		return;
	for (unsigned int i = 0; i < SCAN_TRIES && outcome == AGAIN; i++)
		outcome = read_any(w, dir, name, place == SCOPE_INSIDE, depth);
	if (outcome == AGAIN)
		report_add(w->report, NOTE_UNSETTLED, w->path, "changed while it was read, %u times", SCAN_TRIES);
	else if (outcome == FAILED && errno == E2BIG)
		report_add(w->report, NOTE_UNREADABLE, w->path, "is not carried: it has more than %u extended attributes, or %u bytes of them",
		    ENTRY_XATTRS_MAX, ENTRY_XATTRS_BYTES);
	else if (outcome == BUSY)
		report_add(w->report, NOTE_BEING_WRITTEN, w->path, "somebody has it open to write");
	else if (outcome == FAILED)
		report_add(w->report, NOTE_UNREADABLE, w->path, "cannot be read: %s", strerror(errno));
	if (outcome != DONE && outcome != GONE)
		add_unknown(w, place);
}

/* ---------------------------------------------------------------- directories, whole */

static void
note_listed(struct walk *w, const struct stat *st)
{
	if (w->listed_len == w->listed_room) {
		w->listed_room = w->listed_room == 0 ? 64 : 2 * w->listed_room;
		w->listed = need(reallocarray(w->listed, w->listed_room, sizeof *w->listed));
	}
	w->listed[w->listed_len++] = (struct listed){ need(strdup(w->path)), *st };
}

char *
walk_names(int fd)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), sys;
	DIR *dir = copy == -1 ? NULL : fdopendir(copy);
	size_t len = 0, room = 1024;
	struct dirent *d;
	char *names;

	if (dir == NULL) {
		sys = errno;
		if (copy != -1)
			close(copy);
		errno = sys;
		return NULL;
	}
	names = need(malloc(room));
	while (errno = 0, (d = readdir(dir)) != NULL) {
		size_t n = strlen(d->d_name) + 1;

		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (room - len < n + 1)
			names = need(realloc(names, room = 2 * room + n));
		memcpy(names + len, d->d_name, n);
		len += n;
	}
	names[len] = '\0';
	if ((sys = errno) != 0) {
		free(names);
		names = NULL;
	}
	closedir(dir);
	errno = sys;
	return names;
}

static void
walk_directory(struct walk *w, int fd, unsigned int depth)
{
	size_t len = strlen(w->path);
	char *names = NULL;
	struct stat st;

	if (w->through(w, fd, depth))
		return;
	if (fstat(fd, &st) == -1 || (names = walk_names(fd)) == NULL) {
		report_add(w->report, NOTE_UNREADABLE, w->path, "cannot be listed: %s", strerror(errno));
		w->m->at[w->m->len - 1] = (struct entry){ .path = w->m->at[w->m->len - 1].path, .type = ENTRY_OTHER,
			.user = { "", 0 }, .group = { "", 0 } };
		return;
	}
	note_listed(w, &st);
	if (w->o->at_read != NULL)
		w->o->at_read(w->o->arg, w->path);
	for (const char *name = names; *name != '\0'; name += strlen(name) + 1) {
		if (len + 1 + strlen(name) > ENTRY_PATH_MAX) {
			report_add(w->report, NOTE_UNREADABLE, w->path, "something in it has a path of more than %u bytes", ENTRY_PATH_MAX);
			continue;
		}
		w->path[len] = '/';
		memcpy(w->path + len + 1, name, strlen(name) + 1);
		walk_one(w, fd, name, depth + 1);
		w->path[len] = '\0';
	}
	free(names);
}

/* ---------------------------------------------------------------- the end of a scan */

/* Still the directory that was listed? Opened component by component, as when it was read. */
static bool
still(int root, const struct listed *l)
{
	const char *at = l->path;
	int fd = dup(root), next;
	struct stat st;
	bool same;

	while (fd != -1 && *at != '\0') {
		size_t n = strcspn(at, "/");
		char name[ENTRY_NAME_MAX + 1];

		snprintf(name, sizeof name, "%.*s", (int)n, at);
		next = openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		close(fd);
		fd = next;
		at += n + (at[n] == '/');
	}
	same = fd != -1 && fstat(fd, &st) == 0 && scan_stat_same(&l->st, &st);
	if (fd != -1)
		close(fd);
	return same;
}

/* Everything in and below a directory that changed is not known: the directory itself is put down as OTHER. */
static void
put_aside(struct walk *w, const char *path)
{
	size_t len = 0;

	for (size_t i = 0; i < w->m->len; i++) {
		struct entry *e = &w->m->at[i];

		if (strcmp(e->path, path) == 0)
			*e = (struct entry){ .path = e->path, .type = ENTRY_OTHER, .user = { "", 0 }, .group = { "", 0 } };
		else if (entry_path_within(e->path, path))
			continue;
		w->m->at[len++] = *e;
	}
	w->m->len = len;
}

/* False: a directory changed, and it is worth another try. */
static bool
settled(struct walk *w, bool last)
{
	bool all = true;

	for (size_t i = 0; i < w->listed_len; i++) {
		if (still(w->root, &w->listed[i]))
			continue;
		all = false;
		if (!last)
			break;
		report_add(w->report, NOTE_UNSETTLED, w->listed[i].path, "changed while the tree was read, %u times", SCAN_TRIES);
		put_aside(w, w->listed[i].path);
	}
	return all;
}

/* One reading of everything; NULL: it has to be done again, or where it is the last try, *err. */
static struct manifest *
read_once(struct walk *w, bool last, struct err *err)
{
	struct manifest *m = w->m = manifest_new();
	bool whole;

	w->count.reused = 0;
	walk_directory(w, w->root, 0);
	whole = settled(w, last);
	if (w->ended != NULL && !w->ended(w, last))
		whole = false;
	if ((!whole && !last) || !manifest_seal(m, err)) {	/* a directory that is being changed may list a name twice */
		manifest_free(m);
		m = NULL;
	}
	for (size_t i = 0; i < w->listed_len; i++)
		free(w->listed[i].path);
	w->listed_len = 0;
	return m;
}

struct manifest *
walk_all(struct walk *w, struct report *report, struct err *err)
{
	struct manifest *m = NULL;

	w->s = need(malloc(sizeof *w->s));	/* most of it is never touched */
	w->s->values = NULL;
	w->s->used = w->s->room = 0;
	for (unsigned int i = 1; i <= SCAN_TRIES && m == NULL; i++) {
		struct report notes = { 0 };

		w->report = &notes;
		m = read_once(w, i == SCAN_TRIES, err);
		for (size_t k = 0; k < notes.len && (m != NULL || i == SCAN_TRIES); k++)
			report_add(report, notes.at[k].kind, notes.at[k].path, "%s", notes.at[k].text);
		report_free(&notes);
	}
	free(w->listed);
	w->listed = NULL;
	w->listed_room = 0;
	free(w->s->values);
	free(w->s);
	w->s = NULL;
	return m;
}

bool
walk_is_root(int root, struct err *err)
{
	struct stat st;

	if (fstat(root, &st) == -1)
		return err_set(err, errno, "the root of all trees cannot be read");
	return S_ISDIR(st.st_mode) || err_set(err, ENOTDIR, "the root of all trees cannot be read");
}
