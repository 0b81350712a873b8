/*
 * configsync/watch_inotify.c - the only user of libinotifytools. Runs in the watch child.
 */
#include "configsync/watch_inotify.h"

#include <errno.h>
#include <fcntl.h>
#include <inotifytools/inotifytools.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TRIES 100
#define PREFIX_MAX 64
#define NAME_MAX_ALL (PREFIX_MAX + ENTRY_PATH_MAX + 4)

/* The library is as global as this. */
static unsigned int stale;

/* ---------------------------------------------------------------- names */

/* How the library is told of path: as many spellings as stale has values, and all mean the same. */
static void
spell(const char *path, char name[NAME_MAX_ALL])
{
	size_t len = 0;

	for (unsigned int n = stale; n > 0; n >>= 1)
		len += (size_t)snprintf(name + len, NAME_MAX_ALL - len, n & 1 ? ".//" : "./");
	snprintf(name + len, NAME_MAX_ALL - len, "%s", *path == '\0' ? "." : path);
}

/* The path that was spelled; the library has put a slash behind it. */
static void
read_spelled(const char *name, char path[ENTRY_PATH_MAX + 1])
{
	size_t len;

	while (name[0] == '.' && name[1] == '/')
		name += 1 + strspn(name + 1, "/");
	len = strlen(name);
	while (len > 0 && name[len - 1] == '/')
		len--;
	if (len > ENTRY_PATH_MAX)
		len = 0;
	memcpy(path, name, len);
	path[len] = '\0';
}

/* ---------------------------------------------------------------- watches */

bool
watch_inotify_open(int *ret_fd, struct err *err)
{
	int fd = fcntl(STDIN_FILENO, F_DUPFD, 0);	/* the lowest free one, which the library's will be */
	char proc[64], what[64] = "";

	if (fd == -1)
		return err_set(err, errno, "no descriptor is left for watching");
	close(fd);
	if (!inotifytools_initialize()) {
		if (inotifytools_error() == EMFILE)
			return err_set(err, 0, "directories cannot be watched: fs.inotify.max_user_instances (%d) is reached; raise it with sysctl",
			    inotifytools_get_max_user_instances());
		return err_set(err, inotifytools_error(), "directories cannot be watched");
	}
	snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
	if (fcntl(fd, F_GETFD) == -1 || (readlink(proc, what, sizeof what - 1) != -1 && strstr(what, "inotify") == NULL))
		return err_set(err, 0, "libinotifytools has its descriptor elsewhere than at the lowest free number, %d", fd);
	*ret_fd = fd;
	return true;
}

static int
add(const char *path, uint32_t mask, int *ret_wd, char was[ENTRY_PATH_MAX + 1])
{
	char name[NAME_MAX_ALL];

	was[0] = '\0';
	spell(path, name);
	if (!inotifytools_watch_file(name, (int)(mask | IN_ONLYDIR | IN_DONT_FOLLOW)))
		return inotifytools_error() != 0 ? inotifytools_error() : EIO;
	strncat(name, "/", sizeof name - strlen(name) - 1);
	if ((*ret_wd = inotifytools_wd_from_filename(name)) == -1) {	/* gone between the library's two looks */
		stale++;
		return ENOENT;
	}
	read_spelled(inotifytools_filename_from_wd(*ret_wd), was);
	if (strcmp(was, path) == 0)
		was[0] = '\0';
	return 0;
}

int
watch_inotify_add(const char *path, uint32_t mask, int *ret_wd, char ret_was[ENTRY_PATH_MAX + 1])
{
	char again[ENTRY_PATH_MAX + 1];
	int sys = add(path, mask, ret_wd, ret_was);

	memcpy(again, ret_was, strlen(ret_was) + 1);
	for (int i = 0; i < TRIES && sys == 0 && again[0] != '\0'; i++) {
		watch_inotify_remove(*ret_wd);	/* the library would go on calling it by its former name */
		stale++;
		sys = add(path, mask, ret_wd, again);	/* what is there may have changed once more */
	}
	return sys == 0 && again[0] != '\0' ? EAGAIN : sys;
}

void
watch_inotify_remove(int wd)
{
	if (!inotifytools_remove_watch_by_wd(wd))
		stale++;	/* the kernel has done it already */
}

bool
watch_inotify_next(struct watch_event *ret)
{
	struct inotify_event *e = inotifytools_next_events(0, 1);
	const char *name;

	if (e == NULL)
		return false;
	name = inotifytools_filename_from_wd(e->wd);
	ret->wd = e->wd;
	ret->mask = e->mask;
	ret->known = *name != '\0';
	read_spelled(name, ret->dir);
	ret->name = e->len > 0 ? e->name : "";
	return true;
}

unsigned int
watch_inotify_stale(void)
{
	return stale;
}

int
watch_inotify_limit(void)
{
	int n = inotifytools_get_max_user_watches();

	return n > 0 ? n : 0;
}

int
watch_inotify_queue(void)
{
	int n = inotifytools_get_max_queued_events();

	return n > 0 ? n : 0;
}
