/*
 * tests/live/preload/no_inotify.c - for one program (LD_PRELOAD) no inotify instance is left, as long as the file that $NO_INOTIFY names is there. The limit
 * itself (fs.inotify.max_user_instances) is one of the whole machine.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

int
inotify_init1(int flags)
{
	const char *path = getenv("NO_INOTIFY");

	if (path != NULL && access(path, F_OK) == 0) {
		errno = EMFILE;
		return -1;
	}
	return (int)syscall(SYS_inotify_init1, flags);
}

int
inotify_init(void)
{
	return inotify_init1(0);
}
