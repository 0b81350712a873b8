/*
 * tests/live/preload/wallclock.c - a wall clock that a test can shift, for one program (LD_PRELOAD).
 *
 * All hosts of the live tests share one kernel and so one CLOCK_REALTIME, and time namespaces leave it alone. This
 * library adds the seconds in /etc/wallclock to what the program is told: clock_gettime(CLOCK_REALTIME),
 * gettimeofday and time. Timers that the kernel itself runs on CLOCK_REALTIME do not jump.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long
shift(void)
{
	char text[32];
	int fd = open("/etc/wallclock", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd == -1 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd != -1)
		close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	return strtol(text, NULL, 10);
}

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	int rc = (int)syscall(SYS_clock_gettime, id, ts);

	if (rc == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		ts->tv_sec += shift();
	return rc;
}

int
gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	struct timespec ts;
	int rc = clock_gettime(CLOCK_REALTIME, &ts);

	(void)zone;
	if (rc == 0 && tv) {
		tv->tv_sec = ts.tv_sec;
		tv->tv_usec = ts.tv_nsec / 1000;
	}
	return rc;
}

time_t
time(time_t *ret)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_REALTIME, &ts) == -1)
		return (time_t)-1;
	if (ret)
		*ret = ts.tv_sec;
	return ts.tv_sec;
}
