/*
 * tests/live/preload/slow_journal.c - for one program (LD_PRELOAD) each write to a write-ahead log of SQLite takes a millisecond more, as long as the file is there
 * that $SLOW_JOURNAL names: a disk that is busy, or old.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void
wait_for_disk(int fd)
{
	const struct timespec delay = { 0, 1000 * 1000 };
	const char *path = getenv("SLOW_JOURNAL");
	char of[64], is[512] = "";

	snprintf(of, sizeof of, "/proc/self/fd/%d", fd);
	if (path != NULL && readlink(of, is, sizeof is - 1) > 4 && strcmp(is + strlen(is) - 4, "-wal") == 0 && access(path, F_OK) == 0)
		nanosleep(&delay, NULL);	/* tidy: the delay is what this is for */
}

ssize_t
pwrite(int fd, const void *bytes, size_t len, off_t at)
{
	wait_for_disk(fd);
	return syscall(SYS_pwrite64, fd, bytes, len, at);
}

ssize_t
pwrite64(int fd, const void *bytes, size_t len, off64_t at)
{
	return pwrite(fd, bytes, len, at);
}
