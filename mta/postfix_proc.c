/*
 * mta/postfix_proc.c - finds and ends the processes of one Postfix instance by /proc and pidfds.
 * Runs in a worker; blocks in poll() up to the caller's deadline.
 *
 * A pid alone proves nothing: between looking and signalling it may belong to someone else. So each
 * process is opened (pidfd) first, looked at again, and signalled through what was opened.
 */
#include "mta/postfix_proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mta/flock.h"
#include "mta/process_wait.h"

static bool
same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* The executable's base name when it lies in dir, which has no symbolic links. */
static bool
runs_from(pid_t pid, const char *dir, char *ret_program, size_t size)
{
	char link[48], exe[POSTFIX_PATH_MAX + 64];
	size_t dir_len = strlen(dir);
	ssize_t n;
	char *deleted;

	snprintf(link, sizeof link, "/proc/%d/exe", pid);
	n = readlink(link, exe, sizeof exe - 1);
	if (n == -1)
		return false;
	exe[n] = '\0';
	deleted = strstr(exe, " (deleted)");	/* replaced by an upgrade while it runs */
	if (deleted != NULL)
		*deleted = '\0';
	if (strncmp(exe, dir, dir_len) != 0 || exe[dir_len] != '/' ||
	    strchr(exe + dir_len + 1, '/') != NULL)
		return false;
	snprintf(ret_program, size, "%s", exe + dir_len + 1);
	return true;
}

/* What master has written into its lock file: a hint where to look, and no more. */
static pid_t
written_pid(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char text[64];
	ssize_t n = fd == -1 ? -1 : read(fd, text, sizeof text - 1);
	long pid;

	if (fd != -1)
		close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	pid = strtol(text, NULL, 10);
	return pid > 1 && pid <= INT32_MAX ? (pid_t)pid : 0;
}

static enum fact
lock_held(const char *path, pid_t *ret_pid, struct err *err)
{
	return flock_held(path, "Postfix's master", written_pid(path), ret_pid, err);
}

enum fact
postfix_master_alive(const struct postfix_conf *conf, pid_t *ret_pid, struct err *err)
{
	char path[POSTFIX_PATH_MAX];
	pid_t pid = 0, data_pid = 0;
	enum fact queue, data;

	snprintf(path, sizeof path, "%s/pid/master.pid", conf->value[PF_QUEUE_DIR]);
	queue = lock_held(path, &pid, err);
	if (queue == FACT_YES && pid != 0) {
		*ret_pid = pid;
		return FACT_YES;
	}
	/* The queue may be unmounted, or another one than the running master has: data_directory is
	 * locked as well, and it stays. */
	snprintf(path, sizeof path, "%s/master.lock", conf->value[PF_DATA_DIR]);
	data = lock_held(path, &data_pid, err);
	if (queue == FACT_YES || data == FACT_YES) {
		*ret_pid = pid != 0 ? pid : data_pid;
		return FACT_YES;
	}
	return queue == FACT_NO && data == FACT_NO ? FACT_NO : FACT_UNKNOWN;
}

bool
postfix_is_master(const struct postfix_conf *conf, pid_t pid)
{
	char dir[PATH_MAX], program[32];

	return realpath(conf->value[PF_DAEMON_DIR], dir) != NULL && runs_from(pid, dir, program, sizeof program) &&
	    strcmp(program, "master") == 0;
}

static bool
belongs(pid_t pid, const struct postfix_instance *inst, char *ret_program, size_t size)
{
	char path[48];
	struct stat cwd;

	if (!runs_from(pid, inst->daemon_dir, ret_program, size))
		return false;
	snprintf(path, sizeof path, "/proc/%d/cwd", pid);
	return stat(path, &cwd) == 0 && same_file(&cwd, &inst->queue);
}

bool
postfix_instance(const struct postfix_conf *conf, pid_t master, struct postfix_instance *ret,
    struct err *err)
{
	char path[POSTFIX_PATH_MAX], program[32];
	struct postfix_instance inst;

	if (realpath(conf->value[PF_DAEMON_DIR], inst.daemon_dir) == NULL)
		return err_set(err, errno, "cannot look at Postfix's program directory %s",
		    conf->value[PF_DAEMON_DIR]);
	snprintf(path, sizeof path, "%s", conf->value[PF_QUEUE_DIR]);
	if (master != 0 && runs_from(master, inst.daemon_dir, program, sizeof program))
		snprintf(path, sizeof path, "/proc/%d/cwd", master);
	if (stat(path, &inst.queue) == -1)
		return err_set(err, errno, "cannot look at Postfix's queue directory %s", path);
	*ret = inst;
	return true;
}

bool
postfix_procs_find(const struct postfix_instance *inst, struct postfix_procs *ret, struct err *err)
{
	struct dirent *entry;
	DIR *proc = opendir("/proc");

	if (proc == NULL)
		return err_set(err, errno, "cannot list processes in /proc");
	ret->len = 0;
	while (ret->len < POSTFIX_PROCS_MAX && (entry = readdir(proc)) != NULL) {
		struct postfix_proc *next = &ret->proc[ret->len];
		char *rest;
		long pid = strtol(entry->d_name, &rest, 10);

		if (rest == entry->d_name || *rest != '\0' || pid <= 1)
			continue;
		if (!belongs((pid_t)pid, inst, next->program, sizeof next->program))
			continue;
		next->pid = (pid_t)pid;
		ret->len++;
	}
	closedir(proc);
	return true;
}

size_t
postfix_procs_end(const struct postfix_instance *inst, const struct postfix_procs *procs, int signo,
    uint64_t deadline_ms, size_t *ret_sent)
{
	struct pollfd pfd[POSTFIX_PROCS_MAX];
	char program[32];
	size_t len = 0, sent = 0, unreached = 0;

	for (size_t i = 0; i < procs->len; i++) {
		pid_t pid = procs->proc[i].pid;
		int fd = (int)syscall(SYS_pidfd_open, pid, 0);

		if (fd == -1) {
			unreached += errno != ESRCH;
			continue;
		}
		if (!belongs(pid, inst, program, sizeof program) ||
		    syscall(SYS_pidfd_send_signal, fd, signo, NULL, 0) == -1) {
			close(fd);
			continue;
		}
		sent++;
		/* one that was stopped sees its signal only when it goes on */
		if (signo != SIGKILL)
			syscall(SYS_pidfd_send_signal, fd, SIGCONT, NULL, 0);
		pfd[len++] = (struct pollfd){ .fd = fd, .events = POLLIN };
	}
	*ret_sent = sent;
	return unreached + process_wait(pfd, len, deadline_ms);
}
