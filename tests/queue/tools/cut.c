/*
 * tests/queue/tools/cut.c - runs a program and kills it (SIGKILL) right after its Nth system call that changes a file
 * system, as a crash would: what came before has happened, nothing after it. A call that failed has changed nothing and is not
 * counted: whether a second try is needed may depend on the time of day.
 *
 *	cut N PROGRAM [ARGUMENT]...
 *	cut N -p PID
 *
 * Prints "cut N" where it came to that (exit 9), else "whole N" with how many such calls there were in all, and exits as the
 * program did. N = 0: let it run. Follows threads but no other programs; output of the program goes to /dev/null.
 *
 * With -p a program that runs is held to it from now on, which "attached" says; what it says to others and hears from them counts as
 * well. SIGTERM ends that: the program goes on, "whole N" is said.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS_MAX 64

struct thread { pid_t pid; bool changing; };
static struct thread thread[THREADS_MAX];
static bool talk_counts;
static volatile sig_atomic_t enough;

static struct thread *
thread_of(pid_t pid)
{
	for (int i = 0; i < THREADS_MAX; i++) {
		if (thread[i].pid == pid)
			return &thread[i];
	}
	for (int i = 0; i < THREADS_MAX; i++) {
		if (thread[i].pid == 0) {
			thread[i] = (struct thread){ .pid = pid };
			return &thread[i];
		}
	}
	fprintf(stderr, "cut: too many threads\n");
	exit(2);
}

/* Pipes between threads are no file system. */
static bool
is_file(pid_t pid, uint64_t fd)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, (int)fd);
	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static bool
changes(pid_t pid, const struct __ptrace_syscall_info *info)
{
	const uint64_t *arg = info->entry.args;

	switch (info->entry.nr) {
	case SYS_renameat2: case SYS_renameat: case SYS_linkat: case SYS_symlinkat: case SYS_mkdirat: case SYS_mknodat:
	case SYS_unlinkat: case SYS_fchownat: case SYS_fchown: case SYS_fchmod: case SYS_fchmodat: case SYS_utimensat:
	case SYS_ftruncate: case SYS_truncate: case SYS_setxattr: case SYS_lsetxattr: case SYS_fsetxattr: case SYS_removexattr:
	case SYS_lremovexattr: case SYS_fremovexattr:
#ifdef SYS_rename
	case SYS_rename: case SYS_link: case SYS_unlink: case SYS_mkdir: case SYS_rmdir: case SYS_chmod: case SYS_chown: case SYS_mknod:
#endif
		return true;
	case SYS_openat:
		return (arg[2] & O_CREAT) != 0;
	case SYS_write: case SYS_pwrite64: case SYS_writev:
		return arg[0] > 2 && (talk_counts || is_file(pid, arg[0]));
	case SYS_sendto: case SYS_sendmsg: case SYS_sendmmsg: case SYS_recvfrom: case SYS_recvmsg:
		return talk_counts;
	case SYS_read: case SYS_readv:
		return talk_counts && !is_file(pid, arg[0]);
	default:
		return false;
	}
}

static pid_t
begin(char **argv)
{
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 1);
		dup2(null, 2);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		execv(argv[0], argv);
		_exit(127);
	}
	if (pid == -1 || waitpid(pid, NULL, 0) == -1 || ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_EXITKILL |
	    PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE) == -1 ||
	    ptrace(PTRACE_SYSCALL, pid, NULL, NULL) == -1) {
		perror("cut");
		exit(2);
	}
	return pid;
}

static void
let_go(int sig)
{
	(void)sig;
	enough = 1;
}

/* One thread of a program that runs. False: it has ended meanwhile. */
static bool
attach_one(pid_t tid)
{
	int status;

	if (ptrace(PTRACE_SEIZE, tid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE) == -1)
		return false;
	return ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) == 0 && waitpid(tid, &status, __WALL) == tid && WIFSTOPPED(status) &&
	    ptrace(PTRACE_SYSCALL, tid, NULL, NULL) == 0;
}

static pid_t
attach(const char *text)
{
	struct sigaction end = { .sa_handler = let_go };	/* no SA_RESTART: waitpid() is to return */
	char dir[64];
	struct dirent *d;
	DIR *tasks;
	int n = 0;

	snprintf(dir, sizeof(dir), "/proc/%.20s/task", text);
	tasks = opendir(dir);
	while (tasks != NULL && (d = readdir(tasks)) != NULL)
		n += d->d_name[0] != '.' && attach_one((pid_t)strtol(d->d_name, NULL, 10));
	if (tasks != NULL)
		closedir(tasks);
	if (n == 0) {
		fprintf(stderr, "cut: there is no process %s that could be attached to\n", text);
		exit(2);
	}
	talk_counts = true;
	sigaction(SIGTERM, &end, NULL);
	printf("attached\n");
	fflush(stdout);
	return (pid_t)strtol(text, NULL, 10);
}

int
main(int argc, char **argv)
{
	unsigned long limit = argc > 2 ? strtoul(argv[1], NULL, 10) : 0, seen = 0;
	pid_t main_pid, pid;
	int status = 0;

	if (argc < 3) {
		fprintf(stderr, "usage: cut N PROGRAM [ARGUMENT]...\n       cut N -p PID\n");
		return 2;
	}
	main_pid = argc == 4 && strcmp(argv[2], "-p") == 0 ? attach(argv[3]) : begin(argv + 2);
	while (!enough && ((pid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR)) {
		struct __ptrace_syscall_info info;
		struct thread *t;
		int sig = 0;

		if (pid <= 0)
			continue;
		if (WIFEXITED(status) || WIFSIGNALED(status)) {
			if (pid == main_pid)
				break;
			thread_of(pid)->pid = 0;
			continue;
		}
		t = thread_of(pid);
		if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
			if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) <= 0)
				info.op = PTRACE_SYSCALL_INFO_NONE;
			if (info.op == PTRACE_SYSCALL_INFO_EXIT && t->changing && (talk_counts || !info.exit.is_error) && ++seen == limit) {
				kill(main_pid, SIGKILL);
				/* one that stopped once more before the signal came has to be let go */
				while ((pid = waitpid(-1, &status, __WALL)) > 0) {
					if (WIFSTOPPED(status))
						ptrace(PTRACE_CONT, pid, NULL, (void *)(long)SIGKILL);
				}
				printf("cut %lu\n", seen);
				return 9;
			}
			t->changing = info.op == PTRACE_SYSCALL_INFO_ENTRY && changes(pid, &info);
		} else if (status >> 8 == (SIGTRAP | (PTRACE_EVENT_CLONE << 8)) || WSTOPSIG(status) == SIGSTOP ||
		    status >> 16 != 0 || WSTOPSIG(status) == SIGTRAP) {
			sig = 0;
		} else {
			sig = WSTOPSIG(status);
		}
		ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(long)sig);
	}
	printf("whole %lu\n", seen);
	if (enough)
		return 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}
