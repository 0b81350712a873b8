/*
 * queuesync/steps.c - the changes that a repair makes, one at a time. Each is guarded by the inode that was judged, meets no
 * occupied name, and can be told from the tree to be done already. Blocks.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "queuesync/progress.h"
#include "queuesync/repair.h"

#define SYNC_EVERY 4096		/* steps; else the disk would have much to do at once, with no word of it */
#define SWEEP_DEPTH 4		/* no mail program has more levels below a place */

struct at { int dir; const char *name; };	/* a path, with its directory open */

static bool
at_open(int root, const char *path, struct at *ret)
{
	ret->dir = quarantine_parent(root, path, &ret->name);
	return ret->dir != -1;
}

static void
at_close(struct at *a)
{
	if (a->dir != -1)
		close(a->dir);
	a->dir = -1;
}

static bool
look(const struct at *a, struct stat *ret)
{
	return a->dir != -1 && fstatat(a->dir, a->name, ret, AT_SYMLINK_NOFOLLOW) == 0;
}

static enum step_end
failed(struct err *err, const struct plan_step *s)
{
	err_set(err, errno, "%s could not be %s", s->path, plan_word(s->kind));
	return STEP_FAILED;
}

/* ---------------------------------------------------------------- names */

static enum step_end
do_move(const struct at *from, const struct at *to, const struct plan_step *s, bool resumed, struct err *err)
{
	struct stat src, dst;
	bool there = look(from, &src), taken = look(to, &dst);

	if (taken && dst.st_ino == s->ino && s->ino != 0 && !there)
		return STEP_ALREADY;
	/* of a run that goes on: it may have gone a step further already, and another one has come in its place */
	if (!there || (s->ino != 0 && src.st_ino != s->ino))
		return resumed ? STEP_ALREADY : STEP_CHANGED;
	if (taken)
		return STEP_CHANGED;
	if (renameat2(from->dir, from->name, to->dir, to->name, RENAME_NOREPLACE) == -1)
		return errno == EEXIST ? STEP_CHANGED : failed(err, s);
	return STEP_DONE;
}

static enum step_end
do_link(const struct at *from, const struct at *to, const struct plan_step *s, struct err *err)
{
	struct stat src, dst;

	if (!look(from, &src) || src.st_ino != s->ino || !S_ISREG(src.st_mode))
		return STEP_CHANGED;
	if (look(to, &dst))
		return dst.st_ino == s->ino ? STEP_ALREADY : STEP_CHANGED;
	if (linkat(from->dir, from->name, to->dir, to->name, 0) == -1)
		return errno == EEXIST ? STEP_CHANGED : failed(err, s);
	return STEP_DONE;
}

/* ---------------------------------------------------------------- owners, modes, times */

/* By a descriptor that follows no link and opens no device; any type. */
static enum step_end
set_right(const struct at *a, const struct plan_step *s, uint64_t ino, struct err *err)
{
	char self[64];
	struct stat st;
	enum step_end end = STEP_ALREADY;
	int fd = openat(a->dir, a->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd == -1)
		return errno == ENOENT ? STEP_CHANGED : failed(err, s);
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (fstat(fd, &st) == -1) {
		end = failed(err, s);
	} else if ((ino != 0 && st.st_ino != ino) || S_ISLNK(st.st_mode)) {
		end = STEP_CHANGED;
	} else {
		bool owner = (s->uid != QUEUE_ID_ANY && st.st_uid != s->uid) || (s->gid != QUEUE_ID_ANY && st.st_gid != s->gid);

		if (s->kind != REMEDY_MODE && s->kind != REMEDY_TIMES && owner) {
			end = STEP_DONE;
			if (fchownat(fd, "", s->uid, s->gid, AT_EMPTY_PATH) == -1)
				end = failed(err, s);
		}
		if (end != STEP_FAILED && s->kind != REMEDY_OWNER && s->kind != REMEDY_TIMES && (st.st_mode & 07777) != s->mode) {
			end = STEP_DONE;
			if (chmod(self, s->mode) == -1)
				end = failed(err, s);
		}
		if (s->kind == REMEDY_TIMES) {
			const struct timespec now[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_nsec = UTIME_NOW } };

			end = STEP_DONE;
			if (utimensat(AT_FDCWD, self, now, 0) == -1)
				end = failed(err, s);
		}
	}
	close(fd);
	return end;
}

/* ---------------------------------------------------------------- new ones */

static enum step_end
do_make(const struct at *a, const struct plan_step *s, struct err *err)
{
	uint32_t type = s->kind == REMEDY_MKDIR ? S_IFDIR : s->kind == REMEDY_MKFIFO ? S_IFIFO : S_IFREG;
	struct stat st;
	enum step_end end;
	int fd, made;

	/* closed to all until it has its owner */
	if (s->kind == REMEDY_MKDIR) {
		made = mkdirat(a->dir, a->name, 0700);
	} else if (s->kind == REMEDY_MKFIFO) {
		made = mkfifoat(a->dir, a->name, 0600);
	} else {
		made = fd = openat(a->dir, a->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd != -1) {
			if (s->size != UINT64_MAX && ftruncate(fd, (off_t)s->size) == -1)
				made = -1;
			close(fd);
		}
	}
	if (made == -1 && errno != EEXIST)
		return failed(err, s);
	if (!look(a, &st) || (st.st_mode & S_IFMT) != type)
		return STEP_CHANGED;
	end = set_right(a, s, 0, err);
	return end == STEP_ALREADY && made != -1 ? STEP_DONE : end;
}

/* ---------------------------------------------------------------- bytes */

static enum step_end
put_bytes(int fd, const struct stat *st, const void *bytes, size_t len, uint64_t at, const struct plan_step *s, struct err *err)
{
	/* times are meaning in a queue: when it came, when it is tried again */
	const struct timespec as_before[2] = { st->st_atim, st->st_mtim };

	if (pwrite(fd, bytes, len, (off_t)at) != (ssize_t)len || futimens(fd, as_before) == -1 || fsync(fd) == -1)
		return failed(err, s);
	return STEP_DONE;
}

static enum step_end
do_bytes(const struct at *a, const struct plan_step *s, struct err *err)
{
	int fd = openat(a->dir, a->name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	enum step_end end = STEP_CHANGED;
	uint8_t there[REMEDY_BYTES_MAX];
	struct stat st;

	if (fd == -1)
		return errno == ENOENT ? STEP_CHANGED : failed(err, s);
	if (fstat(fd, &st) == -1) {
		end = failed(err, s);
	} else if (st.st_ino != s->ino || !S_ISREG(st.st_mode)) {
		end = STEP_CHANGED;
	} else if (s->kind == REMEDY_APPEND) {
		if ((uint64_t)st.st_size == s->size)
			end = put_bytes(fd, &st, s->bytes, s->len, s->size, s, err);
		else if ((uint64_t)st.st_size == s->size + s->len && pread(fd, there, s->len, (off_t)s->size) == s->len &&
		    memcmp(there, s->bytes, s->len) == 0)
			end = STEP_ALREADY;
	} else if (pread(fd, there, 1, (off_t)s->offset) == 1) {
		if (there[0] == s->bytes[0])
			end = put_bytes(fd, &st, &s->bytes[1], 1, s->offset, s, err);
		else if (there[0] == s->bytes[1])
			end = STEP_ALREADY;
	}
	close(fd);
	return end;
}

/* ---------------------------------------------------------------- sweeps */

static bool
wants_sweep(const struct plan_step *s, const struct stat *st)
{
	/* a further name may be somebody else's file */
	if (!S_ISREG(st->st_mode) || (s->links != 0 && st->st_nlink > s->links))
		return false;
	if (s->kind == REMEDY_SWEEP_MODE)
		return (st->st_mode & 07777) == s->offset;
	return (s->old_uid == QUEUE_ID_ANY || st->st_uid == s->old_uid) &&
	    (s->old_gid == QUEUE_ID_ANY || st->st_gid == s->old_gid);
}

static bool
sweep(int parent, const char *name, const struct plan_step *s, int depth, size_t *done, struct err *err)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd == -1 ? NULL : fdopendir(fd);
	struct dirent *d;
	bool ok = true;

	if (dir == NULL) {
		if (fd != -1)
			close(fd);
		return err_set(err, errno, "cannot read the directory %s", s->path);
	}
	while (ok && (d = readdir(dir)) != NULL) {
		struct plan_step one = *s;
		struct at a = { fd, d->d_name };
		struct stat st;

		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0 || strcmp(d->d_name, QUEUE_QUARANTINE) == 0 || !look(&a, &st))
			continue;
		if (S_ISDIR(st.st_mode) && depth < SWEEP_DEPTH)
			ok = sweep(fd, d->d_name, s, depth + 1, done, err);
		if (!ok || !wants_sweep(s, &st))
			continue;
		one.kind = s->kind == REMEDY_SWEEP_MODE ? REMEDY_MODE : REMEDY_OWNER;
		ok = set_right(&a, &one, st.st_ino, err) != STEP_FAILED;
		++*done;
		progress_count();
	}
	closedir(dir);
	return ok;
}

/* ---------------------------------------------------------------- one, all */

enum step_end
step_do(int root, const struct plan_step *s, bool resumed, struct err *err)
{
	struct at from = { -1, "" }, to = { -1, "" };
	enum step_end end = STEP_CHANGED;
	size_t swept = 0;

	if (!at_open(root, s->path, &from) || (s->to != NULL && !at_open(root, s->to, &to))) {
		end = errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? STEP_CHANGED : failed(err, s);
		at_close(&from);
		return end;
	}
	switch (s->kind) {
	case REMEDY_MOVE: case REMEDY_QUARANTINE:
		end = to.dir == -1 ? STEP_CHANGED : do_move(&from, &to, s, resumed, err);
		break;
	case REMEDY_LINK:
		end = to.dir == -1 ? STEP_CHANGED : do_link(&from, &to, s, err);
		break;
	case REMEDY_MODE: case REMEDY_OWNER: case REMEDY_TIMES:
		end = set_right(&from, s, s->ino, err);
		break;
	case REMEDY_MKDIR: case REMEDY_MKFIFO: case REMEDY_CREATE:
		end = do_make(&from, s, err);
		break;
	case REMEDY_APPEND: case REMEDY_BYTE:
		end = do_bytes(&from, s, err);
		break;
	case REMEDY_SWEEP_OWNER: case REMEDY_SWEEP_MODE:
		end = !sweep(from.dir, from.name[0] != '\0' ? from.name : ".", s, 0, &swept, err) ? STEP_FAILED :
		    swept == 0 ? STEP_ALREADY : STEP_DONE;
		break;
	case REMEDY_COUNT:
		break;
	}
	at_close(&from);
	at_close(&to);
	return end;
}

bool
steps_do(int root, const struct plan *plan, bool resumed, size_t *changed, struct err *err)
{
	progress_stage("steps", plan->steps);
	for (size_t i = 0; i < plan->steps; i++) {
		/* each kind of step rests on those before it */
		if (i > 0 && (plan->step[i].kind != plan->step[i - 1].kind || i % SYNC_EVERY == 0) && syncfs(root) == -1)
			return err_set(err, errno, "cannot sync the queue");
		progress_count();
		switch (step_do(root, &plan->step[i], resumed, err)) {
		case STEP_DONE: case STEP_ALREADY:
			break;
		case STEP_CHANGED:
			/* of a run that goes on it may be what a later step has made of it; the queue is judged anew in any case */
			*changed += resumed ? 0 : 1;
			break;
		case STEP_FAILED:
			return false;
		}
	}
	return syncfs(root) == 0 || err_set(err, errno, "cannot sync the queue");
}
