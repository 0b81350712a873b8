/*
 * mta/exim_process.c - finds and ends the processes of one Exim by /proc and pidfds. Runs in a worker; blocks in poll() up
 * to the caller's deadline.
 *
 * Exim changes into its spool directory at the beginning of each of its programs, and only a transport's own process
 * goes elsewhere: by then it was started with the same -C option. A pid alone proves nothing: each process is
 * opened (pidfd) first, looked at again, and signalled through what was opened.
 */
#include "mta/exim_process.h"

#include <ctype.h>
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

#include "common/durable.h"
#include "mta/process_wait.h"

#define COMMAND_MAX 4096	/* of a command line that is looked at */

/* ---------------------------------------------------------------- whose is it? */

bool
exim_instance(const struct exim_conf *conf, struct exim_instance *ret, struct err *err)
{
	struct exim_instance inst = { .any_config = false };
	char *real = realpath(conf->program, NULL);
	struct stat st;

	if (real == NULL || strlen(real) >= sizeof inst.program) {
		free(real);
		return err_set(err, errno, "cannot look at Exim's program %s", conf->program);
	}
	memcpy(inst.program, real, strlen(real) + 1);
	free(real);
	snprintf(inst.given, sizeof inst.given, "%s", conf->given);
	if (stat(conf->value[EX_SPOOL], &st) == 0) {
		inst.dev = st.st_dev;
		inst.ino = st.st_ino;
	} else if (errno != ENOENT) {
		return err_set(err, errno, "cannot look at Exim's spool %s", conf->value[EX_SPOOL]);
	}
	*ret = inst;
	return true;
}

bool
exim_instance_of_tree(const char *directory, struct exim_instance *ret, struct err *err)
{
	struct stat st;

	if (stat(directory, &st) == -1)
		return err_set(err, errno, "cannot look at Exim's spool %s", directory);
	*ret = (struct exim_instance){ .any_config = true, .dev = st.st_dev, .ino = st.st_ino };
	return true;
}

/* The link without " (deleted)", which an upgrade leaves while the old program runs. -1 with errno. */
static int
read_link(const char *path, char *buf, size_t size)
{
	ssize_t n = readlink(path, buf, size - 1);
	char *deleted;

	if (n == -1)
		return -1;
	buf[n] = '\0';
	deleted = strstr(buf, " (deleted)");
	if (deleted != NULL)
		*deleted = '\0';
	return 0;
}

static bool
is_exim(const char *exe, const char *program)
{
	const char *slash = strrchr(exe, '/');

	return strcmp(exe, program) == 0 || (slash != NULL && strncmp(slash + 1, "exim", 4) == 0);
}

/* The words of a command line; text ends in two NULs. */
static bool
read_command(pid_t pid, char text[COMMAND_MAX])
{
	char path[48];
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd == -1 ? -1 : read(fd, text, COMMAND_MAX - 2);
	if (fd != -1)
		close(fd);
	if (n < 0)
		return false;
	text[n] = text[n + 1] = '\0';
	return true;
}

/* The value of -C, "" without one. Exim hands it on to all that it starts. */
static const char *
config_of(const char *text)
{
	for (const char *word = text; *word != '\0'; word += strlen(word) + 1) {
		if (strcmp(word, "-C") == 0)
			return word + 3;
		if (strncmp(word, "-C", 2) == 0)
			return word + 2;
	}
	return "";
}

static bool
is_in_spool(pid_t pid, const struct exim_instance *inst)
{
	char path[48];
	struct stat cwd;

	snprintf(path, sizeof path, "/proc/%d/cwd", (int)pid);
	return inst->ino != 0 && stat(path, &cwd) == 0 && cwd.st_dev == inst->dev && cwd.st_ino == inst->ino;
}

/*
 * Where the program's file may not be looked at (a container's first process, a security module): by the name under which it
 * was run, may it be an Exim? Exim runs under those of its links, too.
 */
static bool
may_be_exim(pid_t pid)
{
	static const char *const names[] = { "exim", "sendmail", "mailq", "rmail", "rsmtp", "runq", "newaliases" };
	char path[48], name[64];

	snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
	if (durable_read(path, name, sizeof name, NULL) == -1)
		return false;			/* gone */
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strncmp(name, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

/* NO also where it is gone meanwhile. */
static enum fact
belongs(pid_t pid, const struct exim_instance *inst, char command[COMMAND_MAX], struct err *err)
{
	char path[48], exe[EXIM_PATH_MAX + 64];

	snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
	if (read_link(path, exe, sizeof exe) == -1) {
		int sys = errno;

		if (sys == ENOENT || sys == ESRCH || !may_be_exim(pid))	/* gone, or a thread of the kernel */
			return FACT_NO;
		err_set(err, sys, "whether process %d is one of Exim's cannot be told", (int)pid);
		return FACT_UNKNOWN;
	}
	if (!is_exim(exe, inst->program) || !read_command(pid, command))
		return FACT_NO;
	if (is_in_spool(pid, inst))
		return FACT_YES;
	if (inst->any_config || strcmp(exe, inst->program) != 0)
		return FACT_NO;
	return strcmp(config_of(command), inst->given) == 0 ? FACT_YES : FACT_NO;
}

/* ---------------------------------------------------------------- what does it do? */

/* Parent and session; 0 where it is gone. The name within () may hold anything. */
static void
read_family(pid_t pid, pid_t *ret_parent, pid_t *ret_session)
{
	char path[48], text[512];
	int parent = 0, session = 0;
	const char *close;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	if (durable_read(path, text, sizeof text, NULL) != -1 && (close = strrchr(text, ')')) != NULL)
		sscanf(close + 1, " %*c %d %*d %d", &parent, &session);
	*ret_parent = parent;
	*ret_session = session;
}

/* Was this descriptor opened for appending? That is how a delivery opens -D to lock it; a reception does not. */
static bool
appends(pid_t pid, const char *fd)
{
	char path[80], text[2048];
	const char *flags;
	unsigned int value;

	snprintf(path, sizeof path, "/proc/%d/fdinfo/%.20s", (int)pid, fd);
	if (durable_read(path, text, sizeof text, NULL) == -1 || (flags = strstr(text, "flags:")) == NULL ||
	    sscanf(flags + 6, "%o", &value) != 1)
		return false;
	return (value & O_APPEND) != 0;
}

/* Which message it has in hand, by the files that it has open: DELIVERY, RECEPTION, or OTHER for none. */
static enum exim_role
role_by_files(pid_t pid)
{
	char path[80], file[EXIM_PATH_MAX];
	const struct dirent *entry;
	enum exim_role role = EXIM_ROLE_OTHER;
	DIR *dir;

	snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	while (dir != NULL && role != EXIM_ROLE_DELIVERY && (entry = readdir(dir)) != NULL) {
		size_t len;

		snprintf(path, sizeof path, "/proc/%d/fd/%.20s", (int)pid, entry->d_name);
		if (!isdigit((unsigned char)entry->d_name[0]) || read_link(path, file, sizeof file) == -1)
			continue;
		len = strlen(file);
		if (len > 2 && strcmp(file + len - 2, "-J") == 0)
			role = EXIM_ROLE_DELIVERY;
		else if (len > 2 && strcmp(file + len - 2, "-D") == 0)
			role = appends(pid, entry->d_name) ? EXIM_ROLE_DELIVERY : EXIM_ROLE_RECEPTION;
	}
	if (dir != NULL)
		closedir(dir);
	return role;
}

/* "-bd", "-bdf", "-bw5m", "-q30m", "-qff1h", "-qGname/5m": something that stays. "-q", "-qff", "-qGname" run once. */
static bool
says_daemon(const char *command)
{
	for (const char *word = command; *word != '\0'; word += strlen(word) + 1) {
		const char *rest;

		if (strncmp(word, "-bd", 3) == 0 || strncmp(word, "-bw", 3) == 0)
			return true;
		if (strncmp(word, "-q", 2) != 0)
			continue;
		rest = word + 2 + strspn(word + 2, "qifl");
		if (*rest == 'G' ? strchr(rest, '/') != NULL : isdigit((unsigned char)*rest))
			return true;
	}
	return false;
}

static bool
says_question(const char *command)
{
	static const char *const questions[] = { "-bP", "-bV", "-bp", "-bt", "-bv", "-be", "-bh", "-Mvh", "-Mvb", "-Mvl", "-Mvc" };

	for (const char *word = command; *word != '\0'; word += strlen(word) + 1)
		for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++)
			if (strncmp(word, questions[i], strlen(questions[i])) == 0)
				return true;
	return false;
}

/*
 * A daemon's children have its command line. It leads a session of its own, except in the foreground (-bdf, a
 * debugger); there it is the one whose parent is none of them.
 */
static bool
is_daemon(const struct exim_processes *list, const struct exim_process *p, const char *command)
{
	if (!says_daemon(command))
		return false;
	if (p->pid == p->session)
		return true;
	for (size_t i = 0; i < list->len; i++)
		if (list->at[i].pid == p->session || list->at[i].pid == p->parent)
			return false;
	return strstr(command, "-bdf") != NULL && p->parent > 1;
}

static void
give_roles(struct exim_processes *list)
{
	char command[COMMAND_MAX];

	for (size_t i = 0; i < list->len; i++) {
		struct exim_process *p = &list->at[i];

		if (!read_command(p->pid, command))
			command[0] = command[1] = '\0';
		p->role = role_by_files(p->pid);
		if (is_daemon(list, p, command))
			p->role = EXIM_ROLE_DAEMON;
		else if (p->role == EXIM_ROLE_OTHER && says_question(command))
			p->role = EXIM_ROLE_ASKS;
	}
}

enum fact
exim_processes(const struct exim_instance *inst, struct exim_processes *ret, struct err *err)
{
	char command[COMMAND_MAX];
	const struct dirent *entry;
	enum fact fact = FACT_NO;
	DIR *proc = opendir("/proc");

	if (proc == NULL) {
		err_set(err, errno, "cannot list processes in /proc");
		return FACT_UNKNOWN;
	}
	ret->len = 0;
	while (ret->len < EXIM_PROCESSES_MAX && (entry = readdir(proc)) != NULL) {
		char *rest;
		long pid = strtol(entry->d_name, &rest, 10);
		enum fact is;

		if (rest == entry->d_name || *rest != '\0' || pid < 1)
			continue;
		is = belongs((pid_t)pid, inst, command, err);
		if (is == FACT_UNKNOWN)
			fact = FACT_UNKNOWN;
		if (is != FACT_YES)
			continue;
		ret->at[ret->len] = (struct exim_process){ .pid = (pid_t)pid };
		read_family((pid_t)pid, &ret->at[ret->len].parent, &ret->at[ret->len].session);
		ret->len++;
	}
	closedir(proc);
	give_roles(ret);
	return ret->len > 0 ? FACT_YES : fact;
}

const struct exim_process *
exim_daemon_of(const struct exim_processes *list, const char *pid_file)
{
	const struct exim_process *first = NULL;
	char text[32];
	long written = 0;

	if (durable_read(pid_file, text, sizeof text, NULL) != -1)
		written = strtol(text, NULL, 10);
	for (size_t i = 0; i < list->len; i++) {
		if (list->at[i].role != EXIM_ROLE_DAEMON)
			continue;
		if (list->at[i].pid == written)
			return &list->at[i];
		if (first == NULL)
			first = &list->at[i];
	}
	return first;
}

/* ---------------------------------------------------------------- ending */

size_t
exim_processes_end(const struct exim_instance *inst, const struct exim_processes *list, int signo, uint64_t deadline_ms,
    size_t *ret_sent)
{
	struct pollfd pfd[EXIM_PROCESSES_MAX];
	char command[COMMAND_MAX];
	size_t len = 0, unreached = 0;

	*ret_sent = 0;
	for (size_t i = 0; i < list->len; i++) {
		int fd = (int)syscall(SYS_pidfd_open, list->at[i].pid, 0);

		if (fd == -1) {
			unreached += errno != ESRCH;
			continue;
		}
		if (belongs(list->at[i].pid, inst, command, NULL) != FACT_YES ||
		    (signo != 0 && syscall(SYS_pidfd_send_signal, fd, signo, NULL, 0) == -1)) {
			close(fd);
			continue;
		}
		*ret_sent += signo != 0;
		/* one that was stopped sees its signal only when it goes on */
		if (signo != 0 && signo != SIGKILL)
			syscall(SYS_pidfd_send_signal, fd, SIGCONT, NULL, 0);
		pfd[len++] = (struct pollfd){ .fd = fd, .events = POLLIN };
	}
	return unreached + process_wait(pfd, len, deadline_ms);
}

void
exim_processes_end_exact(const struct exim_instance *inst, const struct exim_processes *list, int signo, size_t *ret_sent)
{
	char command[COMMAND_MAX];

	*ret_sent = 0;
	for (size_t i = 0; i < list->len; i++) {
		pid_t pid = list->at[i].pid;
		int fd = (int)syscall(SYS_pidfd_open, pid, 0);

		if (fd == -1)
			continue;
		if (belongs(pid, inst, command, NULL) == FACT_YES && syscall(SYS_pidfd_send_signal, fd, SIGSTOP, NULL, 0) == 0) {
			enum exim_role role = list->at[i].role == EXIM_ROLE_ASKS ? EXIM_ROLE_OTHER : list->at[i].role;

			if (process_await_stopped(pid) && role_by_files(pid) == role)
				*ret_sent += syscall(SYS_pidfd_send_signal, fd, signo, NULL, 0) == 0;
			syscall(SYS_pidfd_send_signal, fd, SIGCONT, NULL, 0);
		}
		close(fd);
	}
}
