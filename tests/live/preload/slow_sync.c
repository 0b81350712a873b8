/*
 * tests/live/preload/slow_sync.c - for one program (LD_PRELOAD), but not its workers, syncfs() makes the file $SLOW_SYNC.called, and takes as long as
 * $SLOW_SYNC is there. sync() never ends: on some other disk of the machine something hangs.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static pid_t program;

__attribute__((constructor)) static void
begin(void)
{
	program = getpid();
}

static void
wait_while(const char *path)
{
	const struct timespec step = { 0, 5 * 1000 * 1000 };

	while (path == NULL || access(path, F_OK) == 0)
		nanosleep(&step, NULL);	/* tidy: the delay is what this is for */
}

int
syncfs(int fd)
{
	const char *path = getenv("SLOW_SYNC");
	char called[512];

	if (path != NULL && getpid() == program && access(path, F_OK) == 0) {
		snprintf(called, sizeof called, "%s.called", path);
		close(open(called, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
		wait_while(path);
	}
	return (int)syscall(SYS_syncfs, fd);
}

void
sync(void)
{
	wait_while(NULL);
}
