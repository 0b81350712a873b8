/*
 * configsync/net_sandbox.c - user, capabilities, limits, Landlock, then seccomp, in this order: each takes away what the next one
 * does not need. The structures and numbers of Landlock are written out, as headers are older than kernels.
 */
#include "configsync/net_sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DESCRIPTORS 256		/* half_open_max of a channel, its listeners, and some */

/* ---------------------------------------------------------------- the user */

static bool
user_drop(const struct net_sandbox *s, struct err *err)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const struct __user_cap_data_struct none[2] = { { 0 } };

	if (geteuid() == 0) {
		for (int cap = 0; cap < 64; cap++)
			if (prctl(PR_CAPBSET_DROP, cap) == -1 && errno == EINVAL)
				break;	/* the kernel's last one */
		if (setgroups(0, NULL) == -1 || setresgid(s->gid, s->gid, s->gid) == -1 || setresuid(s->uid, s->uid, s->uid) == -1)
			return err_set(err, errno, "cannot become user %u, group %u", (unsigned int)s->uid, (unsigned int)s->gid);
	}
	if (geteuid() != s->uid || getuid() != s->uid || geteuid() == 0)
		return err_set(err, 0, "should run as user %u, which is not root, and runs as %u", (unsigned int)s->uid, (unsigned int)geteuid());
	if (syscall(SYS_capset, &head, none) == -1 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 || prctl(PR_SET_DUMPABLE, 0) == -1)
		return err_set(err, errno, "cannot give up all capabilities");
	return true;
}

/* After the change of user, which would forget it. */
static bool
tie(pid_t parent, struct err *err)
{
	if (parent == 0)
		return true;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1)
		return err_set(err, errno, "cannot be tied to its parent");
	return getppid() == parent || err_set(err, 0, "its parent has ended");
}

static bool
limits_set(struct err *err)
{
	static const struct { int which; rlim_t most; } limit[] = {
		{ RLIMIT_NOFILE, DESCRIPTORS }, { RLIMIT_NPROC, 0 }, { RLIMIT_FSIZE, 0 }, { RLIMIT_CORE, 0 },
	};

	for (size_t i = 0; i < sizeof limit / sizeof *limit; i++) {
		const struct rlimit to = { limit[i].most, limit[i].most };

		if (setrlimit((__rlimit_resource_t)limit[i].which, &to) == -1)
			return err_set(err, errno, "cannot bound its resources");
	}
	return true;
}

/* ---------------------------------------------------------------- Landlock: linux/landlock.h of 6.12 */

struct landlock_rules { uint64_t fs, net, scoped; };
struct landlock_port { uint64_t may, port; };
#define LANDLOCK_VERSION 1u
#define LANDLOCK_RULE_PORT 2
#define LANDLOCK_BIND 1u
#define LANDLOCK_CONNECT 2u
#define NR_LANDLOCK_CREATE 444		/* the same on all processors */
#define NR_LANDLOCK_ADD 445
#define NR_LANDLOCK_RESTRICT 446

static bool
landlock(const struct net_sandbox *s, uint8_t *ret_version, struct err *err)
{
	/* rights on files that versions 1 to 5 know */
	static const uint64_t known[] = { 0x1fff, 0x3fff, 0x7fff, 0x7fff, 0xffff };
	long version = syscall(NR_LANDLOCK_CREATE, NULL, 0, LANDLOCK_VERSION);
	struct landlock_rules rules = { 0 };
	size_t size = sizeof rules.fs;
	int fd;
	bool ok;

	*ret_version = 0;
	if (version < 1)
		return true;
	rules.fs = known[version < 5 ? version - 1 : 4];
	if (version >= 4) {
		rules.net = LANDLOCK_BIND | LANDLOCK_CONNECT;
		size = sizeof rules.fs + sizeof rules.net;
	}
	if (version >= 6) {
		rules.scoped = 3;	/* no abstract sockets of others, no signals to others */
		size = sizeof rules;
	}
	if ((fd = (int)syscall(NR_LANDLOCK_CREATE, &rules, size, 0)) == -1)
		return err_set(err, errno, "Landlock, version %ld, takes no rules", version);
	ok = true;
	for (size_t i = 0; version >= 4 && s->connects && i < s->ports && ok; i++) {
		const struct landlock_port port = { LANDLOCK_CONNECT, s->port[i] };

		ok = syscall(NR_LANDLOCK_ADD, fd, LANDLOCK_RULE_PORT, &port, 0) == 0;
	}
	ok = ok && syscall(NR_LANDLOCK_RESTRICT, fd, 0) == 0;
	if (!ok)
		err_set(err, errno, "Landlock, version %ld, cannot be put in force", version);
	close(fd);
	*ret_version = version < 255 ? (uint8_t)version : 255;
	return ok;
}

/* ---------------------------------------------------------------- seccomp */

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#define FIRST_FOREIGN 0x40000000u	/* x32: other numbers for the same calls */
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#define FIRST_FOREIGN 0x40000000u
#endif

/* arg -1: with any arguments; else (its lower 32 bits & mask) == value. */
struct allowed { int nr, arg; uint32_t mask, value; };
#define ANY(nr) { nr, -1, 0, 0 }

/* What the loop, the channel, the pipe and the C library's memory take. The frequent ones first. */
static const struct allowed always[] = {
	ANY(__NR_read), ANY(__NR_write), ANY(__NR_recvfrom), ANY(__NR_sendmsg), ANY(__NR_epoll_pwait), ANY(__NR_epoll_ctl),
	ANY(__NR_timerfd_settime), ANY(__NR_clock_gettime), ANY(__NR_writev), ANY(__NR_readv), ANY(__NR_sendto), ANY(__NR_recvmsg),
#ifdef __NR_epoll_wait
	ANY(__NR_epoll_wait),
#endif
#ifdef __NR_time
	ANY(__NR_time),
#endif
	ANY(__NR_gettimeofday), ANY(__NR_brk), ANY(__NR_munmap), ANY(__NR_mremap), ANY(__NR_madvise), ANY(__NR_futex),
	ANY(__NR_getrandom), ANY(__NR_close), ANY(__NR_shutdown), ANY(__NR_getsockopt), ANY(__NR_getsockname), ANY(__NR_getpeername),
	ANY(__NR_getpid), ANY(__NR_exit_group), ANY(__NR_exit), ANY(__NR_rt_sigreturn), ANY(__NR_rt_sigprocmask), ANY(__NR_restart_syscall),
	{ __NR_mmap, 2, PROT_EXEC, 0 }, { __NR_mprotect, 2, PROT_EXEC, 0 },
	{ __NR_fcntl, 1, UINT32_MAX, F_GETFL }, { __NR_fcntl, 1, UINT32_MAX, F_SETFL },
	{ __NR_fcntl, 1, UINT32_MAX, F_GETFD }, { __NR_fcntl, 1, UINT32_MAX, F_SETFD },
	{ __NR_ioctl, 1, UINT32_MAX, FIONREAD }, { __NR_ioctl, 1, UINT32_MAX, FIONBIO },
	{ __NR_setsockopt, 1, UINT32_MAX, IPPROTO_TCP },
};
static const struct allowed listening[] = { ANY(__NR_accept4) };
static const struct allowed connecting[] = {
	ANY(__NR_connect), { __NR_socket, 0, UINT32_MAX, AF_INET }, { __NR_socket, 0, UINT32_MAX, AF_INET6 },
};

struct program { struct sock_filter at[8 * (sizeof always / sizeof *always + 4)]; unsigned short len; };

static void
add(struct program *p, uint16_t code, uint32_t k, uint8_t yes, uint8_t no)
{
	p->at[p->len++] = (struct sock_filter){ code, yes, no, k };
}

static void
add_rule(struct program *p, const struct allowed *a, uint32_t action)
{
	const uint32_t low = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 0 : 4;

	add(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)a->nr, 0, a->arg == -1 ? 1 : 5);
	if (a->arg != -1) {
		add(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)(offsetof(struct seccomp_data, args) + 8 * (size_t)a->arg + low), 0, 0);
		add(p, BPF_ALU | BPF_AND | BPF_K, a->mask, 0, 0);
		add(p, BPF_JMP | BPF_JEQ | BPF_K, a->value, 0, 1);
	}
	add(p, BPF_RET | BPF_K, action, 0, 0);
	if (a->arg != -1)
		add(p, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
}

static void
add_rules(struct program *p, const struct allowed *a, size_t n)
{
	for (size_t i = 0; i < n; i++)
		add_rule(p, &a[i], SECCOMP_RET_ALLOW);
}

static bool
seccomp(const struct net_sandbox *s, bool *ret_on, struct err *err)
{
	/* the C library asks with such a socket for the name of an interface; it does without */
	static const struct allowed datagrams = { __NR_socket, 1, 0xf, SOCK_DGRAM };
	struct program p = { .len = 0 };
	struct sock_fprog prog = { .filter = p.at };

	*ret_on = false;
#ifndef ARCH
	return true;
#else
	add(&p, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
	add(&p, BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0);
	add(&p, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
	add(&p, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
	add(&p, BPF_JMP | BPF_JGE | BPF_K, FIRST_FOREIGN, 0, 1);
	add(&p, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
	add_rules(&p, always, sizeof always / sizeof *always);
	add_rule(&p, &datagrams, SECCOMP_RET_ERRNO | EACCES);
	if (s->connects)
		add_rules(&p, connecting, sizeof connecting / sizeof *connecting);
	else
		add_rules(&p, listening, sizeof listening / sizeof *listening);
	add(&p, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
	prog.len = p.len;
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0) == 0)
		return *ret_on = true;
	return errno == EINVAL && prctl(PR_GET_SECCOMP) == -1 ? true : err_set(err, errno, "the kernel takes no filter of system calls");
#endif
}

bool
net_sandbox(const struct net_sandbox *s, struct net_sandboxed *ret, struct err *err)
{
	struct net_sandboxed now = { 0 };

	if (!user_drop(s, err) || !tie(s->parent, err) || !limits_set(err) || !landlock(s, &now.landlock, err) || !seccomp(s, &now.seccomp, err))
		return false;
	*ret = now;
	return true;
}
