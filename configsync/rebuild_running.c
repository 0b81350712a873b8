/*
 * configsync/rebuild_running.c - which services run here: Postfix is asked, the others are looked for among the processes. Blocks; in
 * the worker.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "configsync/rebuild_parts.h"

/* ---------------------------------------------------------------- processes */

static bool
read_proc(const char *pid, const char *what, char *text, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "/proc/%.20s/%s", pid, what);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return false;
	n = read(fd, text, size - 1);
	close(fd);
	if (n < 0)
		return false;
	text[n] = '\0';
	return true;
}

/* Its name, without what is around it in "PID (NAME) S PPID". */
static bool
name_of(const char *pid, char name[32], long *ret_parent)
{
	char stat_line[512], *open_at, *close_at;

	if (!read_proc(pid, "stat", stat_line, sizeof stat_line) || (open_at = strchr(stat_line, '(')) == NULL ||
	    (close_at = strrchr(stat_line, ')')) == NULL || strlen(close_at) < 4)
		return false;
	snprintf(name, 32, "%.*s", (int)(close_at - open_at - 1), open_at + 1);
	*ret_parent = strtol(close_at + 4, NULL, 10);
	return true;
}

/* A process of a container on this machine is none of ours. */
static bool
sees_our_files(const char *pid)
{
	struct stat own, its;
	char path[64];

	snprintf(path, sizeof path, "/proc/%.20s/ns/mnt", pid);
	return stat("/proc/self/ns/mnt", &own) == 0 && stat(path, &its) == 0 && own.st_ino == its.st_ino && own.st_dev == its.st_dev;
}

static bool
is_service(enum rebuild_service service, const char *name)
{
	switch (service) {
	case REBUILD_EXIM:
		return strcmp(name, "exim4") == 0 || strcmp(name, "exim") == 0;
	case REBUILD_DOVECOT:
		return strcmp(name, "dovecot") == 0;
	case REBUILD_QMAIL:
		return strcmp(name, "qmail-send") == 0;
	case REBUILD_POSTFIX:
	case REBUILD_SERVICES:
		break;
	}
	return false;
}

/* Exim is also called for each message that someone sends: the daemon has -bd, or -q and how often. */
static bool
is_daemon(enum rebuild_service service, const char *pid)
{
	char args[4096] = "";
	ssize_t n = 0;
	char path[64];
	int fd;

	if (service != REBUILD_EXIM)
		return true;
	snprintf(path, sizeof path, "/proc/%.20s/cmdline", pid);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return false;
	n = read(fd, args, sizeof args - 1);
	close(fd);
	for (const char *arg = args; n > 0 && arg < args + n; arg += strlen(arg) + 1) {
		if (strncmp(arg, "-bd", 3) == 0 || (strncmp(arg, "-q", 2) == 0 && strpbrk(arg, "0123456789") != NULL))
			return true;
	}
	return false;
}

/* The uppermost of a service's processes: its children have the same name. */
static size_t
find_processes(const struct rebuild_job *job, struct rebuild_running *ret, size_t len, size_t most)
{
	DIR *dir = opendir("/proc");
	struct dirent *d;

	while (dir != NULL && (d = readdir(dir)) != NULL) {
		char name[32], above[32] = "", parent_pid[24];
		long parent, next;

		if (strspn(d->d_name, "0123456789") != strlen(d->d_name) || !name_of(d->d_name, name, &parent))
			continue;
		snprintf(parent_pid, sizeof parent_pid, "%ld", parent);
		if (!name_of(parent_pid, above, &next))
			above[0] = '\0';
		for (int s = 0; s < REBUILD_SERVICES && len < most; s++) {
			enum rebuild_service service = (enum rebuild_service)s;

			if (is_service(service, name) && !is_service(service, above) && is_daemon(service, d->d_name) && sees_our_files(d->d_name) &&
			    rebuild_concerns(job, service))
				ret[len++] = (struct rebuild_running){ .service = service, .pid = (pid_t)strtol(d->d_name, NULL, 10) };
		}
	}
	if (dir != NULL)
		closedir(dir);
	return len;
}

/* ---------------------------------------------------------------- Postfix */

/* Every configuration directory of an instance: etc/postfix, etc/postfix-NAME. */
static size_t
find_postfix(struct work *w, struct rebuild_running *ret, size_t most)
{
	char etc[600], config[VIEW_PATH_MAX];
	const char *const status[] = { "postfix", "-c", config, "status", NULL };
	struct dirent *d;
	size_t len = 0;
	DIR *dir;

	snprintf(etc, sizeof etc, "%s/etc", w->at);
	if ((dir = opendir(etc)) == NULL)
		return 0;
	while ((d = readdir(dir)) != NULL && len < most) {
		struct rebuild_running r = { .service = REBUILD_POSTFIX };

		if (strcmp(d->d_name, "postfix") != 0 && strncmp(d->d_name, "postfix-", 8) != 0)
			continue;
		snprintf(config, sizeof config, "%s/%s/main.cf", etc, d->d_name);
		if (access(config, F_OK) == -1)
			continue;
		snprintf(config, sizeof config, "%s/%s", etc, d->d_name);
		snprintf(r.config, sizeof r.config, "etc/%.240s", d->d_name);
		if (work_run(w, status, NULL) == 0)
			ret[len++] = r;
	}
	closedir(dir);
	return len;
}

size_t
work_running(struct work *w, struct rebuild_running *ret, size_t most)
{
	size_t len = rebuild_concerns(w->job, REBUILD_POSTFIX) ? find_postfix(w, ret, most) : 0;

	if (rebuild_concerns(w->job, REBUILD_EXIM) || rebuild_concerns(w->job, REBUILD_DOVECOT) || rebuild_concerns(w->job, REBUILD_QMAIL))
		len = find_processes(w->job, ret, len, most);
	return len;
}
