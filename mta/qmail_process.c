/*
 * mta/qmail_process.c - finds qmail's processes in /proc and signals them through pidfds. Runs in workers.
 *
 * One pass over /proc notes everybody's parent; what is qmail's is told by the executable, the rest by descent. A
 * session outlives its tcpserver and is then nobody's child: so the list is kept from pass to pass.
 */
#include "mta/qmail_process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/clock.h"
#include "mta/process_wait.h"
#include "mta/qmail_service.h"

#define AWAIT_MAX 256
#define CMDLINE_MAX 4096

/* ---------------------------------------------------------------- one process */

static bool
proc_read(pid_t pid, const char *name, char *buf, size_t size, size_t *ret_len)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return false;
	n = read(fd, buf, size - 1);
	close(fd);
	if (n < 0)
		return false;
	buf[n] = '\0';
	*ret_len = (size_t)n;
	return true;
}

/* proc_pid_stat(5): the name in brackets may hold anything, brackets too; state, parent and the 22nd field follow. */
static bool
stat_read(pid_t pid, pid_t *ret_parent, uint64_t *ret_born)
{
	char text[1024], *at;
	unsigned long long born;
	char state;
	size_t len;
	int parent;

	if (!proc_read(pid, "stat", text, sizeof text, &len) || (at = strrchr(text, ')')) == NULL)
		return false;
	if (sscanf(at + 1, " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &state, &parent,
	    &born) != 3 || state == 'Z' || state == 'X')
		return false;
	*ret_parent = (pid_t)parent;
	*ret_born = born;
	return true;
}

/* The base name of what it executes; false: a kernel thread, or not ours to look at. */
static bool
exe_read(pid_t pid, char *path, size_t size)
{
	char link[48], *deleted;
	ssize_t n;

	snprintf(link, sizeof link, "/proc/%d/exe", pid);
	n = readlink(link, path, size - 1);
	if (n == -1)
		return false;
	path[n] = '\0';
	deleted = strstr(path, " (deleted)");	/* replaced by an upgrade while it runs */
	if (deleted != NULL)
		*deleted = '\0';
	return true;
}

static bool
same_mounts(pid_t pid)
{
	struct stat ours, theirs;
	char path[48];

	snprintf(path, sizeof path, "/proc/%d/ns/mnt", pid);
	return stat("/proc/self/ns/mnt", &ours) == 0 && stat(path, &theirs) == 0 && ours.st_ino == theirs.st_ino;
}

/*
 * Does it execute a program of our bin? A path alone would fit the qmail of a container too: the file must be the same,
 * or, where it was replaced since, at least be seen under that path from here.
 */
static bool
is_in_bin(const struct qmail_conf *conf, pid_t pid, const char *exe)
{
	size_t len = strlen(conf->bin);
	struct stat mine, its;
	char link[48];

	if (strncmp(exe, conf->bin, len) != 0 || exe[len] != '/' || strchr(exe + len + 1, '/') != NULL)
		return false;
	snprintf(link, sizeof link, "/proc/%d/exe", pid);
	if (stat(exe, &mine) == 0 && stat(link, &its) == 0 && mine.st_dev == its.st_dev && mine.st_ino == its.st_ino)
		return true;
	return same_mounts(pid);
}

static const struct { const char *program; enum qmail_part part; bool pop; } programs[] = {
	{ "qmail-send", QMAIL_IS_SEND, false },
	{ "qmail-start", QMAIL_IS_SEND, false },	/* becomes qmail-send */
	{ "qmail-lspawn", QMAIL_IS_HELPER, false },
	{ "qmail-rspawn", QMAIL_IS_HELPER, false },
	{ "qmail-clean", QMAIL_IS_HELPER, false },
	{ "qmail-todo", QMAIL_IS_HELPER, false },	/* of the ext-todo patch */
	{ "splogger", QMAIL_IS_HELPER, false },
	{ "qmail-local", QMAIL_IS_DELIVERY, false },
	{ "qmail-remote", QMAIL_IS_DELIVERY, false },
	{ "qmail-queue", QMAIL_IS_QUEUE, false },
	{ "qmail-smtpd", QMAIL_IS_SESSION, false },
	{ "qmail-qmtpd", QMAIL_IS_SESSION, false },
	{ "qmail-qmqpd", QMAIL_IS_SESSION, false },
	{ "qmail-popup", QMAIL_IS_SESSION, true },
	{ "qmail-pop3d", QMAIL_IS_SESSION, true },
	{ "qmail-getpw", QMAIL_IS_DELIVERY, false },
	/* these only look */
	{ "qmail-showctl", QMAIL_IS_NONE, false },
	{ "qmail-qread", QMAIL_IS_NONE, false },
	{ "qmail-qstat", QMAIL_IS_NONE, false },
	{ "qmail-tcpto", QMAIL_IS_NONE, false },
};

static void
classify_own(struct qmail_process *process)
{
	process->part = QMAIL_IS_SUBMIT;	/* whatever else stands in bin: most of it queues mail */
	for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
		if (strcmp(programs[i].program, process->program) == 0) {
			process->part = programs[i].part;
			process->pop = programs[i].pop;
		}
	}
}

/* A server for a program of our bin (by its path), and whether that one gives mail out only. */
static bool
is_listener(const struct qmail_conf *conf, pid_t pid, const char *program, bool *ret_pop)
{
	static const char *const servers[] = { "tcpserver", "sslserver", "tcpsvd", "ipsvd-cdb" };
	char text[CMDLINE_MAX];
	size_t len, bin = strlen(conf->bin), home = strlen(conf->home);
	bool server = false, ours = false, takes = false;

	for (size_t i = 0; i < sizeof servers / sizeof servers[0]; i++)
		server = server || strcmp(program, servers[i]) == 0;
	/* the argument is a path: it means our bin only to those who see our mounts */
	if (!server || !same_mounts(pid) || !proc_read(pid, "cmdline", text, sizeof text, &len))
		return false;
	for (char *word = text; word < text + len; word += strlen(word) + 1) {
		bool in_bin = strncmp(word, conf->bin, bin) == 0 && word[bin] == '/';

		in_bin = in_bin || (strncmp(word, conf->home, home) == 0 && strncmp(word + home, "/bin/", 5) == 0);
		ours = ours || in_bin;
		takes = takes || (in_bin && strstr(word, "pop") == NULL);
	}
	*ret_pop = ours && !takes;
	return ours;
}

bool
qmail_process_is_of(pid_t pid, const struct qmail_service *svc)
{
	static const char mark[] = QMAIL_SERVICE_MARK "=";
	char text[16384];
	size_t len;

	if (!proc_read(pid, "environ", text, sizeof text, &len))
		return false;
	for (char *word = text; word < text + len; word += strlen(word) + 1)
		if (strncmp(word, mark, sizeof mark - 1) == 0 && strcmp(word + sizeof mark - 1, svc->path) == 0)
			return true;
	return false;
}

/* ---------------------------------------------------------------- all of them */

static struct qmail_process *
add(struct qmail_processes *all, const struct qmail_process *one)
{
	if (all->len == all->room) {
		size_t room = all->room == 0 ? 256 : 2 * all->room;
		struct qmail_process *at = reallocarray(all->at, room, sizeof *at);

		if (at == NULL)
			return NULL;
		all->at = at;
		all->room = room;
	}
	all->at[all->len] = *one;
	return &all->at[all->len++];
}

static int
order(const void *left, const void *right)
{
	const struct qmail_process *a = left, *b = right;

	return a->pid < b->pid ? -1 : a->pid > b->pid;
}

static struct qmail_process *
by_pid(const struct qmail_processes *all, pid_t pid)
{
	struct qmail_process key = { .pid = pid };

	return all->len == 0 ? NULL : bsearch(&key, all->at, all->len, sizeof *all->at, order);
}

/* The main processes of services, which may be servers that we do not know. */
struct mains { pid_t pid[QMAIL_SERVICES_MAX]; bool direct; };

static void
mains_find(const struct qmail_conf *conf, struct mains *ret)
{
	*ret = (struct mains){ .direct = false };
	for (size_t i = 0; i < conf->services; i++) {
		struct qmail_status status;

		if (conf->service[i].sends)
			continue;
		ret->direct = ret->direct || !conf->service[i].supervised;
		if (conf->service[i].supervised && qmail_service_status(&conf->service[i], &status, NULL) && status.watched)
			ret->pid[i] = status.pid;
	}
}

static void
classify(const struct qmail_conf *conf, const struct mains *mains, struct qmail_process *one, const char *exe)
{
	const char *slash = strrchr(exe, '/');

	snprintf(one->program, sizeof one->program, "%.31s", slash != NULL ? slash + 1 : exe);
	if (is_in_bin(conf, one->pid, exe)) {
		classify_own(one);
		return;
	}
	if (is_listener(conf, one->pid, one->program, &one->pop))
		one->part = QMAIL_IS_LISTENER;
	for (size_t i = 0; i < conf->services; i++) {
		const struct qmail_service *svc = &conf->service[i];

		one->marked = one->marked || (mains->direct && !svc->sends && !svc->supervised && qmail_process_is_of(one->pid, svc));
		if (mains->pid[i] == one->pid && one->part != QMAIL_IS_LISTENER) {
			one->part = QMAIL_IS_LISTENER;
			one->pop = svc->pop;
		}
	}
}

/* The uppermost of those that were started for a service is its listener. */
static void
marked_become_listeners(struct qmail_processes *now)
{
	for (size_t i = 0; i < now->len; i++) {
		struct qmail_process *one = &now->at[i], *parent = by_pid(now, one->parent);

		if (one->marked && one->part == QMAIL_IS_NONE && (parent == NULL || (!parent->marked && parent->part == QMAIL_IS_NONE)))
			one->part = QMAIL_IS_LISTENER;
	}
}

/* Who is there now, with what each is by itself or was before. */
static bool
look(const struct qmail_conf *conf, const struct qmail_processes *before, struct qmail_processes *now, struct err *err)
{
	struct mains mains;
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	bool ok = true;

	if (proc == NULL)
		return err_set(err, errno, "cannot list processes in /proc");
	mains_find(conf, &mains);
	while (ok && (entry = readdir(proc)) != NULL) {
		struct qmail_process one = { .part = QMAIL_IS_NONE };
		const struct qmail_process *known;
		char exe[PATH_MAX + 64], *rest;
		long pid = strtol(entry->d_name, &rest, 10);

		if (rest == entry->d_name || *rest != '\0' || pid <= 1)
			continue;
		one.pid = (pid_t)pid;
		if (!stat_read(one.pid, &one.parent, &one.born))
			continue;
		known = by_pid(before, one.pid);
		if (known != NULL && known->born == one.born) {
			one.part = known->part;
			one.pop = known->pop;
			one.told = known->told;
			one.idle = known->idle;
		}
		if (exe_read(one.pid, exe, sizeof exe))
			classify(conf, &mains, &one, exe);
		ok = add(now, &one) != NULL || err_set(err, 0, "out of memory");
	}
	closedir(proc);
	if (now->len != 0)
		qsort(now->at, now->len, sizeof *now->at, order);
	return ok;
}

/* What a child is by its parent's part; QMAIL_IS_NONE: nothing by that alone (multilog below qmail-send). */
static enum qmail_part
part_of_child(const struct qmail_process *parent)
{
	switch (parent->part) {
	case QMAIL_IS_HELPER:
	case QMAIL_IS_DELIVERY:
		return QMAIL_IS_DELIVERY;
	case QMAIL_IS_LISTENER:
		return QMAIL_IS_SESSION;
	case QMAIL_IS_SESSION:
	case QMAIL_IS_SUBMIT:
	case QMAIL_IS_QUEUE:
		return parent->pop ? QMAIL_IS_SESSION : QMAIL_IS_QUEUE;
	case QMAIL_IS_NONE:
	case QMAIL_IS_SEND:
	case QMAIL_PART_COUNT:
		break;
	}
	return QMAIL_IS_NONE;
}

/* Until nobody's descent says more. */
static void
descend(struct qmail_processes *now)
{
	bool more = true;

	while (more) {
		more = false;
		for (size_t i = 0; i < now->len; i++) {
			struct qmail_process *child = &now->at[i], *parent = by_pid(now, child->parent);

			if (parent == NULL || parent->part == QMAIL_IS_NONE)
				continue;
			parent->parent_of_one = true;
			if (child->part != QMAIL_IS_NONE)
				continue;
			child->part = part_of_child(parent);
			child->pop = parent->pop;
			more = more || child->part != QMAIL_IS_NONE;
		}
	}
}

bool
qmail_processes_find(const struct qmail_conf *conf, struct qmail_processes *all, struct err *err)
{
	struct qmail_processes now = { 0 };
	size_t kept = 0;

	if (!look(conf, all, &now, err)) {
		free(now.at);
		return false;
	}
	marked_become_listeners(&now);
	descend(&now);
	for (size_t i = 0; i < now.len; i++)
		if (now.at[i].part != QMAIL_IS_NONE && now.at[i].pid != getpid())
			now.at[kept++] = now.at[i];
	now.len = kept;
	free(all->at);
	*all = now;
	return true;
}

void
qmail_processes_free(struct qmail_processes *all)
{
	free(all->at);
	*all = (struct qmail_processes){ 0 };
}

const struct qmail_process *
qmail_process_of(const struct qmail_processes *all, unsigned int parts)
{
	for (size_t i = 0; i < all->len; i++)
		if ((1u << all->at[i].part & parts) != 0)
			return &all->at[i];
	return NULL;
}

/* ---------------------------------------------------------------- signals and waiting */

/* A descriptor of exactly this process: the number may be somebody else's by now. -1: it is gone. */
static int
open_process(const struct qmail_process *process)
{
	int fd = (int)syscall(SYS_pidfd_open, process->pid, 0);
	uint64_t born;
	pid_t parent;

	if (fd != -1 && (!stat_read(process->pid, &parent, &born) || born != process->born)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

bool
qmail_process_signal(const struct qmail_process *process, int signo)
{
	int fd = open_process(process);
	bool sent;

	if (fd == -1)
		return false;
	sent = syscall(SYS_pidfd_send_signal, fd, signo, NULL, 0) == 0;
	/* one that was stopped sees its signal only when it goes on */
	if (sent && signo == SIGTERM)
		syscall(SYS_pidfd_send_signal, fd, SIGCONT, NULL, 0);
	close(fd);
	return sent;
}

/* Has it children, dead ones too? UNKNOWN: this kernel lists none. */
static enum fact
is_parent(pid_t pid)
{
	char path[48], children[64];
	size_t len;

	snprintf(path, sizeof path, "task/%d/children", pid);
	if (!proc_read(pid, path, children, sizeof children, &len))
		return FACT_UNKNOWN;
	return len != 0 ? FACT_YES : FACT_NO;
}

static bool
is_asleep(pid_t pid)
{
	char state[1024], *at;
	size_t len;

	return proc_read(pid, "stat", state, sizeof state, &len) && (at = strrchr(state, ')')) != NULL && strncmp(at, ") S", 3) == 0;
}

/*
 * Of a stopped process: was it waiting for input? By the system call that it was stopped in (proc_pid_syscall(5)), since a state
 * of "S" is not proof enough: a process that has just taken its dead child off the list has it too. UNKNOWN: the kernel does not tell.
 */
static enum fact
waits_for_input(pid_t pid)
{
	static const long calls[] = {
		SYS_read, SYS_readv, SYS_recvfrom, SYS_recvmsg, SYS_ppoll, SYS_pselect6, SYS_epoll_pwait,
#ifdef SYS_poll
		SYS_poll, SYS_select, SYS_epoll_wait,
#endif
	};
	char text[256], *end;
	size_t len;
	long call;

	if (!proc_read(pid, "syscall", text, sizeof text, &len))
		return FACT_UNKNOWN;
	call = strtol(text, &end, 10);
	for (size_t i = 0; end != text && i < sizeof calls / sizeof calls[0]; i++)
		if (call == calls[i])
			return FACT_YES;
	return FACT_NO;
}

enum fact
qmail_process_end_resting(const struct qmail_process *process)
{
	enum fact ended = is_parent(process->pid);
	int fd;

	if (ended == FACT_UNKNOWN)
		return FACT_UNKNOWN;
	if (ended == FACT_YES || !is_asleep(process->pid) || (fd = open_process(process)) == -1)
		return FACT_NO;
	syscall(SYS_pidfd_send_signal, fd, SIGSTOP, NULL, 0);
	if (process_await_stopped(process->pid) && (ended = waits_for_input(process->pid)) == FACT_YES)
		ended = is_parent(process->pid) == FACT_NO ? FACT_YES : FACT_NO;
	if (ended == FACT_YES)
		syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0);
	syscall(SYS_pidfd_send_signal, fd, SIGCONT, NULL, 0);
	close(fd);
	return ended;
}

void
qmail_processes_await(const struct qmail_processes *all, uint64_t until_ms)
{
	struct pollfd pfd[AWAIT_MAX];
	uint64_t now = clock_mono_ms();
	nfds_t len = 0;
	bool gone = false;

	for (size_t i = 0; i < all->len && len < AWAIT_MAX; i++) {
		int fd = open_process(&all->at[i]);

		if (fd != -1)
			pfd[len++] = (struct pollfd){ .fd = fd, .events = POLLIN };
		else
			gone = true;
	}
	if (!gone && until_ms > now)
		poll(pfd, len, (int)(until_ms - now));
	while (len > 0)
		close(pfd[--len].fd);
}
