/*
 * mta/flock.c - finds the holder of an flock(2) by /proc/locks and the descriptors of processes. Runs in a
 * worker; blocks on /proc only.
 */
#include "mta/flock.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

bool
flock_is_of(pid_t pid, const struct stat *file)
{
	char path[64];
	DIR *dir;
	struct dirent *entry;
	bool holds = false;

	snprintf(path, sizeof path, "/proc/%d/fd", pid);
	dir = opendir(path);
	if (dir == NULL)
		return false;
	while (!holds && (entry = readdir(dir)) != NULL) {
		char info[64], text[2048];
		struct stat st;
		FILE *stream;

		if (!isdigit((unsigned char)entry->d_name[0]) || fstatat(dirfd(dir), entry->d_name, &st, 0) == -1 ||
		    st.st_dev != file->st_dev || st.st_ino != file->st_ino)
			continue;
		snprintf(info, sizeof info, "/proc/%d/fdinfo/%.20s", pid, entry->d_name);
		stream = fopen(info, "re");
		if (stream == NULL)
			continue;
		while (fgets(text, sizeof text, stream) != NULL)
			if (strncmp(text, "lock:", 5) == 0 && strstr(text, "FLOCK") != NULL)
				holds = true;
		fclose(stream);
	}
	closedir(dir);
	return holds;
}

/*
 * The device number is not compared: overlay and btrfs show another one in /proc/locks than stat(2)
 * does. flock_is_of() decides.
 */
pid_t
flock_holder(const struct stat *file)
{
	FILE *stream = fopen("/proc/locks", "re");
	char line[256];
	pid_t found = 0;

	if (stream == NULL)
		return 0;
	while (found == 0 && fgets(line, sizeof line, stream) != NULL) {
		unsigned long long inode;
		int pid;

		if (sscanf(line, "%*s FLOCK %*s %*s %d %*x:%*x:%llu", &pid, &inode) == 2 &&
		    inode == (unsigned long long)file->st_ino && pid > 0 && flock_is_of(pid, file))
			found = pid;
	}
	fclose(stream);
	return found;
}

/* Of an open file. */
static enum fact
held(int fd, const char *path, const char *what, pid_t hint, pid_t *ret_pid, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode)) {
		err_set(err, 0, "%s is no lock file of %s", path, what);
		return FACT_UNKNOWN;
	}
	if (hint > 0 && flock_is_of(hint, &st)) {
		*ret_pid = hint;
		return FACT_YES;
	}
	if ((*ret_pid = flock_holder(&st)) != 0)
		return FACT_YES;
	if (flock(fd, LOCK_SH | LOCK_NB) == 0)
		return FACT_NO;		/* given back when fd is closed */
	if (errno != EWOULDBLOCK) {
		err_set(err, errno, "cannot try the lock of %s, %s", what, path);
		return FACT_UNKNOWN;
	}
	*ret_pid = flock_holder(&st);	/* of a program that has only just got it */
	return FACT_YES;
}

enum fact
flock_held(const char *path, const char *what, pid_t hint, pid_t *ret_pid, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	enum fact fact;
	pid_t pid = 0;

	if (fd == -1) {
		if (errno == ENOENT || errno == ENOTDIR)
			return FACT_NO;
		err_set(err, errno, "cannot look at the lock of %s, %s", what, path);
		return FACT_UNKNOWN;
	}
	fact = held(fd, path, what, hint, &pid, err);
	close(fd);
	if (fact == FACT_YES)
		*ret_pid = pid;
	return fact;
}
