/*
 * tests/live/preload/slow_sync.c - for one program (LD_PRELOAD) sync() makes the file $SLOW_SYNC.called, and takes as long as $SLOW_SYNC is there.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void
sync(void)
{
	const struct timespec step = { 0, 5 * 1000 * 1000 };
	const char *path = getenv("SLOW_SYNC");
	char called[512];

	snprintf(called, sizeof called, "%s.called", path != NULL ? path : "");
	if (path != NULL && access(path, F_OK) == 0)
		close(open(called, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	while (path != NULL && access(path, F_OK) == 0)
		nanosleep(&step, NULL);	/* tidy: the delay is what this is for */
	syscall(SYS_sync);
}
