/*
 * mta/postfix_lock.c - takes the locks of Postfix's master, and looks who else is at work in the queue.
 */
#include "mta/postfix_lock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mta/postfix_proc.h"

/* Between opening and locking another file may have come in its place. */
static bool
still_there(int dir, const char *name, int fd)
{
	struct stat here, there;

	return fstat(fd, &here) == 0 && fstatat(dir, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	    here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

/* It belongs to whom its directory does: master opens that of its data directory as mail_owner, and never starts where it may not. */
static bool
give_to_owner(int dir, int fd, const struct stat *file)
{
	struct stat st;

	return fstat(dir, &st) == 0 && (st.st_uid == file->st_uid || fchown(fd, st.st_uid, st.st_gid) == 0);
}

/*
 * One lock file, made where it is missing, as master would make it. The directory missing: nobody can start there, and there is
 * nothing to hold.
 */
static enum fact
take(const char *path, const char *name, struct queue_lock *lock, struct err *err)
{
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), fd = -1;
	enum fact fact = FACT_UNKNOWN;
	struct stat st;

	if (dir == -1 && errno == ENOENT)
		return FACT_YES;
	if (dir != -1)
		fd = openat(dir, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (fd == -1) {
		err_set(err, errno, "cannot open the lock of Postfix's master, %s/%s", path, name);
	} else if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode)) {
		err_set(err, 0, "%s/%s is no lock file of Postfix's master", path, name);
	} else if (flock(fd, LOCK_EX | LOCK_NB) == -1) {
		if (errno == EWOULDBLOCK)
			fact = FACT_NO;
		err_set(err, 0, "Postfix runs: %s/%s is %s", path, name, errno == EWOULDBLOCK ? "locked" : strerror(errno));
	} else if (!give_to_owner(dir, fd, &st)) {
		err_set(err, errno, "%s/%s cannot be given to whom its directory belongs", path, name);
	} else if (!still_there(dir, name, fd)) {
		err_set(err, 0, "%s/%s was replaced while it was being locked", path, name);
	} else {
		fact = FACT_YES;
		lock->fd[lock->held++] = fd;
	}
	if (fact != FACT_YES && fd != -1)
		close(fd);
	if (dir != -1)
		close(dir);
	return fact;
}

/* A process of that program whose working directory is the queue. 0: none. */
static pid_t
worker_of(const char *program, const struct stat *queue)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	pid_t found = 0;

	while (proc != NULL && found == 0 && (entry = readdir(proc)) != NULL) {
		char path[48], exe[PATH_MAX];
		struct stat cwd;
		ssize_t n;
		char *rest;
		long pid = strtol(entry->d_name, &rest, 10);

		if (rest == entry->d_name || *rest != '\0' || pid <= 1)
			continue;
		snprintf(path, sizeof path, "/proc/%ld/exe", pid);
		n = readlink(path, exe, sizeof exe - 1);
		if (n == -1)
			continue;
		exe[n] = '\0';
		snprintf(path, sizeof path, "/proc/%ld/cwd", pid);
		if (strcmp(exe, program) == 0 && stat(path, &cwd) == 0 && cwd.st_dev == queue->st_dev &&
		    cwd.st_ino == queue->st_ino)
			found = (pid_t)pid;
	}
	if (proc != NULL)
		closedir(proc);
	return found;
}

/* Children that outlive their master hold none of its locks, and go on to write to the queue. */
static enum fact
others(const struct postfix_conf *conf, struct postfix_procs *procs, struct err *err)
{
	struct postfix_instance inst;
	char path[POSTFIX_PATH_MAX + 16], program[PATH_MAX];
	pid_t pid;

	if (!postfix_instance(conf, 0, &inst, err) || !postfix_procs_find(&inst, procs, err))
		return FACT_UNKNOWN;
	if (procs->len != 0) {
		err_set(err, 0, "%zu processes of a Postfix master that has ended still work in %s (the first: %s, pid %d)",
		    procs->len, conf->value[PF_QUEUE_DIR], procs->proc[0].program, (int)procs->proc[0].pid);
		return FACT_NO;
	}
	snprintf(path, sizeof path, "%s/postsuper", conf->value[PF_COMMAND_DIR]);
	pid = realpath(path, program) != NULL ? worker_of(program, &inst.queue) : 0;
	if (pid == 0)
		return FACT_YES;
	err_set(err, 0, "postsuper is at work in %s (pid %d)", conf->value[PF_QUEUE_DIR], (int)pid);
	return FACT_NO;
}

enum fact
postfix_lock(const struct postfix_conf *conf, const struct queue_layout *layout, struct queue_lock *ret, struct err *err)
{
	struct postfix_procs *procs = conf != NULL ? malloc(sizeof *procs) : NULL;
	struct queue_lock lock = { .held = 0 };
	char path[PATH_MAX];
	enum fact fact = FACT_UNKNOWN;

	if (conf != NULL && procs == NULL) {
		err_set(err, 0, "out of memory");
		return FACT_UNKNOWN;
	}
	snprintf(path, sizeof path, "%s/pid", layout->root);
	fact = take(path, "master.pid", &lock, err);
	if (fact == FACT_YES && conf != NULL)
		fact = take(conf->value[PF_DATA_DIR], "master.lock", &lock, err);
	if (fact == FACT_YES && conf != NULL)
		fact = others(conf, procs, err);
	if (fact == FACT_YES)
		*ret = lock;
	else
		queue_unlock(&lock);
	free(procs);
	return fact;
}
