/*
 * tests/live/preload/slow_journal.c - for one program (LD_PRELOAD) each write to a write-ahead log of SQLite takes a millisecond more, or as many as stand in it (one
 * digit), as long as the file is there that $SLOW_JOURNAL names: a disk that is busy, or old.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void
wait_for_disk(int fd)
{
	struct timespec delay = { 0, 1000 * 1000 };
	const char *path = getenv("SLOW_JOURNAL");
	char of[64], is[512] = "", digit = '1';
	int file;

	snprintf(of, sizeof of, "/proc/self/fd/%d", fd);
	if (path == NULL || readlink(of, is, sizeof is - 1) <= 4 || strcmp(is + strlen(is) - 4, "-wal") != 0 || (file = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return;
	if (read(file, &digit, 1) == 1)
		delay.tv_nsec *= digit - '0';
	close(file);
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
