/*
 * queuesync/quarantine.c - see quarantine.h: directories of runs, their marks and their lock. The manifest's text is
 * manifest.c's.
 */
#include "queuesync/quarantine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"

#define RUNS_A_SECOND 100

int
quarantine_parent(int root, const char *path, const char **ret_name)
{
	int dir = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char *slash;
	char part[256];

	while (dir != -1 && (slash = strchr(path, '/')) != NULL) {
		size_t len = (size_t)(slash - path);
		int next = -1;

		if (len == 0 || len >= sizeof(part) || (len == 2 && memcmp(path, "..", 2) == 0)) {
			close(dir);
			errno = EINVAL;
			return -1;
		}
		memcpy(part, path, len);
		part[len] = '\0';
		next = openat(dir, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next == -1) {
			int why = errno;

			close(dir);
			errno = why;
			return -1;
		}
		close(dir);
		dir = next;
		path = slash + 1;
	}
	*ret_name = path;
	return dir;
}

const char *
quarantine_path(const char *run, char *buf)
{
	snprintf(buf, 80, "%s/%.39s", QUEUE_QUARANTINE, run);
	return buf;
}

/* The directory of all runs; made where there is none. It must be root's alone: what lies in it may be anybody's mail. */
static int
top(int root, bool make, struct err *err)
{
	struct stat st;
	int fd;

	if (make && mkdirat(root, QUEUE_QUARANTINE, 0700) == -1 && errno != EEXIST) {
		err_set(err, errno, "cannot make the quarantine %s", QUEUE_QUARANTINE);
		return -1;
	}
	fd = openat(root, QUEUE_QUARANTINE, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1) {
		err_set(err, errno, "cannot open the quarantine %s", QUEUE_QUARANTINE);
		return -1;
	}
	if (fstat(fd, &st) == -1 || st.st_uid != geteuid() || (st.st_mode & 077) != 0) {
		close(fd);
		err_set(err, 0, "%s must belong to uid %u and have mode 0700, since it holds mail", QUEUE_QUARANTINE,
		    (unsigned int)geteuid());
		return -1;
	}
	return fd;
}

int
quarantine_lock(int root, struct err *err)
{
	int dir = top(root, true, err), fd;

	if (dir == -1)
		return -1;
	fd = openat(dir, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd == -1) {
		err_set(err, errno, "cannot open %s/lock", QUEUE_QUARANTINE);
	} else if (flock(fd, LOCK_EX | LOCK_NB) == -1) {
		err_set(err, errno == EWOULDBLOCK ? 0 : errno, "another mailpair-queue is mending this queue");
		close(fd);
		fd = -1;
	}
	close(dir);
	return fd;
}

bool
quarantine_begin(int root, char ret_run[RUN_NAME_MAX], struct err *err)
{
	char run[RUN_NAME_MAX], stamp[24];
	time_t now = (time_t)(clock_wall_ms() / 1000);
	struct tm tm;
	int dir = top(root, true, err);

	if (dir == -1)
		return false;
	gmtime_r(&now, &tm);
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm);
	for (int n = 1; n <= RUNS_A_SECOND; n++) {
		if (n == 1)
			snprintf(run, sizeof(run), "%s", stamp);
		else
			snprintf(run, sizeof(run), "%s-%d", stamp, n);
		if (mkdirat(dir, run, 0700) == 0) {
			bool ok = fsync(dir) == 0 && fsync(root) == 0;

			if (!ok)
				err_set(err, errno, "cannot sync the quarantine");
			close(dir);
			snprintf(ret_run, RUN_NAME_MAX, "%s", run);
			return ok;
		}
		if (errno != EEXIST)
			break;
	}
	err_set(err, errno, "cannot make a directory for this run in %s", QUEUE_QUARANTINE);
	close(dir);
	return false;
}

static int
open_run(int root, const char *run, struct err *err)
{
	int dir = top(root, false, err), fd = -1;

	if (dir == -1)
		return -1;
	if (run[0] == '.' || strchr(run, '/') != NULL || (fd = openat(dir, run, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) == -1)
		err_set(err, errno == 0 ? EINVAL : errno, "there is no run %s in %s", run, QUEUE_QUARANTINE);
	close(dir);
	return fd;
}

bool
quarantine_state(int root, const char *run, enum run_state *ret, struct err *err)
{
	struct plan plan;
	struct err why = { 0 };
	int dir = open_run(root, run, err);
	struct stat st;
	bool done, restored;

	if (dir == -1)
		return false;
	done = fstatat(dir, "done", &st, AT_SYMLINK_NOFOLLOW) == 0;
	restored = fstatat(dir, "restored", &st, AT_SYMLINK_NOFOLLOW) == 0;
	close(dir);
	if (restored || done) {
		*ret = restored ? RUN_RESTORED : RUN_DONE;
		return true;
	}
	if (quarantine_read(root, run, &plan, &why)) {
		plan_free(&plan);
		*ret = RUN_BEGUN;
		return true;
	}
	*ret = RUN_EMPTY;
	/* one that cannot be read is no empty one */
	return why.sys == 0 || why.sys == ENOENT || err_set(err, 0, "%s", why.text);
}

bool
quarantine_mark(int root, const char *run, const char *mark, const char *text, struct err *err)
{
	int dir = open_run(root, run, err), fd;
	size_t len = strlen(text);
	bool ok;

	if (dir == -1)
		return false;
	fd = openat(dir, mark, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	ok = fd != -1 && pwrite(fd, text, len, 0) == (ssize_t)len && fsync(fd) == 0 && fsync(dir) == 0;
	if (!ok)
		err_set(err, errno, "cannot write %s/%s/%s", QUEUE_QUARANTINE, run, mark);
	if (fd != -1)
		close(fd);
	close(dir);
	return ok;
}

static int
by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int
run_only(const struct dirent *d)
{
	return d->d_name[0] >= '0' && d->d_name[0] <= '9' && strlen(d->d_name) < RUN_NAME_MAX;
}

bool
quarantine_unfinished(int root, char ret_run[RUN_NAME_MAX], struct err *err)
{
	struct dirent **list = NULL;
	int n = scandirat(root, QUEUE_QUARANTINE, &list, run_only, by_name);
	bool found = false;

	if (n == -1) {
		if (errno != ENOENT)
			err_set(err, errno, "cannot read the quarantine %s", QUEUE_QUARANTINE);
		return false;
	}
	for (int i = 0; i < n; i++) {
		enum run_state state;

		if (!found && quarantine_state(root, list[i]->d_name, &state, err) && state == RUN_BEGUN) {
			snprintf(ret_run, RUN_NAME_MAX, "%.39s", list[i]->d_name);
			found = true;
		}
		free(list[i]);
	}
	free(list);
	return found;
}
