/*
 * tests/bench/cost.c - runs a program with its output thrown away, and prints "SECONDS CPU-SECONDS KIB EXIT-STATUS".
 * Small itself, since the peak of a process contains the one that it was forked from.
 *
 * usage: cost PROGRAM [ARGUMENT ...]
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double
seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

int
main(int argc, char **argv)
{
	double began = now();
	struct rusage used;
	int status;
	pid_t pid;

	if (argc < 2) {
		fputs("usage: cost PROGRAM [ARGUMENT ...]\n", stderr);
		return 2;
	}
	if ((pid = vfork()) == 0) {
		int null = open("/dev/null", O_WRONLY);

		dup2(null, 1);
		execvp(argv[1], argv + 1);
		_exit(127);
	}
	if (pid == -1 || wait4(pid, &status, 0, &used) != pid) {
		perror(argv[1]);
		return 2;
	}
	printf("%.6f %.6f %ld %d\n", now() - began, seconds(used.ru_utime) + seconds(used.ru_stime), used.ru_maxrss,
	    WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return 0;
}
