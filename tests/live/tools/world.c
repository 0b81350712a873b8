/*
 * tests/live/tools/world.c - a pid and a mount namespace around one run of the live tests.
 *
 * usage: world COMMAND [ARG]...
 *
 * Everything that a run makes (hosts, network namespaces, mounts, loop devices with autoclear) hangs
 * on processes of this pid namespace and on mounts of this mount namespace, so nothing is left
 * when it ends, however it ends: when the caller dies the kernel kills us, then PID 1, then all.
 * PID 1 adopts and reaps what the hosts leave behind. Exits as COMMAND did.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static int
exit_code(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* As PID 1: run the command, reap everything, end with the command's result. */
static int
init_run(char **argv)
{
	pid_t child, pid;
	int status;

	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1 ||
	    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == -1) {
		perror("world: cannot make the mount namespace private");
		return 125;
	}
	child = fork();
	if (child == -1) {
		perror("world: fork");
		return 125;
	}
	if (child == 0) {
		execvp(argv[0], argv);
		perror(argv[0]);
		_exit(127);
	}
	while ((pid = wait(&status)) != child)
		if (pid == -1 && errno != EINTR)
			return 125;
	return exit_code(status);
}

int
main(int argc, char **argv)
{
	pid_t pid;
	int status;

	if (argc < 2) {
		fprintf(stderr, "usage: world COMMAND [ARG]...\n");
		return 2;
	}
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1)
		return 125;
	if (unshare(CLONE_NEWNS | CLONE_NEWPID) == -1) {
		perror("world: cannot make namespaces (root is needed)");
		return 125;
	}
	pid = fork();
	if (pid == -1) {
		perror("world: fork");
		return 125;
	}
	if (pid == 0) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1)
			_exit(125);
		exit(init_run(argv + 1));
	}
	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return 125;
	return exit_code(status);
}
