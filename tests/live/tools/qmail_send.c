/*
 * tests/live/tools/qmail_send.c - stand-ins for those programs of qmail that deliver, one for each name it is called by: they
 * keep qmail's protocol as far as others see it (the queue's states, the flock on lock/sendmutex, the FIFO lock/trigger, what
 * TERM does), and nothing else. All messages go to the remote channel.
 *
 *	qmail-start ARGUMENT	qmail-send with qmail-rspawn, qmail-lspawn and qmail-clean, as children
 *	qmail-remote RECIPIENT	one delivery: a line "RECIPIENT MESSAGE-ID" in HOME/delivered; waits for a writer where there is a
 *				FIFO HOME/gate, and makes HOME/waiting when it does; hears no TERM where there is HOME/stubborn; puts every second message off where there
 *				is HOME/later
 *
 * Where qmail-send would log "status: exiting", after a TERM, it makes HOME/exiting. ALRM: tries all that waits.
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/live/tools/qmail_home.h"

#define JOBS 64

/* ---------------------------------------------------------------- delivery */

/* The Message-ID of descriptor 0, or "-". */
static void
message_id(char *id, size_t size)
{
	static const char label[] = "\nMessage-ID: ";
	char head[8192], *at;
	ssize_t n = read(0, head, sizeof head - 1);

	head[n > 0 ? n : 0] = '\0';
	at = strcasestr(head, label);
	snprintf(id, size, "%.*s", at != NULL ? (int)strcspn(at + sizeof label - 1, "\r\n") : 1, at != NULL ? at + sizeof label - 1 : "-");
}

/* Until somebody opens it for writing. */
static void
wait_at_gate(void)
{
	struct pollfd gate = { .fd = open("gate", O_RDONLY | O_NONBLOCK) };

	if (gate.fd == -1)
		return;
	close(open("waiting", O_WRONLY | O_CREAT, 0644));
	while (poll(&gate, 1, -1) == -1 && errno == EINTR)
		;
	close(gate.fd);
}

static int
remote(const char *recipient)
{
	char id[256], line[1024];
	struct stat st;
	int fd;

	go_home(NULL);
	if (fstat(0, &st) == -1 || (st.st_ino % 2 == 1 && access("later", F_OK) == 0))
		return 111;
	if (access("stubborn", F_OK) == 0)
		signal(SIGTERM, SIG_IGN);
	wait_at_gate();
	message_id(id, sizeof id);
	fd = open("delivered", O_WRONLY | O_CREAT | O_APPEND, 0644);
	put(fd, line, (size_t)snprintf(line, sizeof line, "%s %s\n", recipient, id));
	return fsync(fd) == 0 ? 0 : 111;
}

/* In: lines "NUMBER RECIPIENT"; out: "NUMBER STATUS". Ends when qmail-send is gone and the deliveries are done. */
struct job { pid_t pid; char number[24]; };
static struct job job[JOBS];
static int child_pipe[2];

static void
child_ended(int signo)
{
	(void)signo;
	if (write(child_pipe[1], "", 1) == -1)
		return;
}

static int
reap(void)
{
	char line[64];
	int status, left = 0;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (int i = 0; i < JOBS; i++) {
			if (job[i].pid != pid)
				continue;
			job[i].pid = 0;
			/* qmail-send may be gone: then nobody wants to know */
			if (write(1, line, (size_t)snprintf(line, sizeof line, "%s %d\n", job[i].number,
			    WIFEXITED(status) ? WEXITSTATUS(status) : 111)) == -1)
				continue;
		}
	}
	for (int i = 0; i < JOBS; i++)
		left += job[i].pid != 0;
	return left;
}

/* In the child: the message is its input. */
static void
become_remote(const char *number, const char *recipient)
{
	char path[64];

	snprintf(path, sizeof path, "%llu/%s", strtoull(number, NULL, 10) % SPLIT, number);
	close(0);
	close(1);		/* else qmail-send would not see our end of it */
	if (open(path, O_RDONLY) != 0 || open("/dev/null", O_RDWR) != 1)
		_exit(111);
	signal(SIGCHLD, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	become("qmail-remote", recipient);
}

static void
start_job(const char *line)
{
	const char *recipient = strchr(line, ' ');

	for (int i = 0; recipient != NULL && i < JOBS; i++) {
		if (job[i].pid != 0)
			continue;
		snprintf(job[i].number, sizeof job[i].number, "%.*s", (int)(recipient - line), line);
		job[i].pid = fork();
		if (job[i].pid == 0)
			become_remote(job[i].number, recipient + 1);
		return;
	}
}

static int
spawn(void)
{
	bool open_for_more = true;
	char line[512], drain[64];
	size_t len = 0;

	go_home("queue/mess");
	signal(SIGPIPE, SIG_IGN);
	if (pipe2(child_pipe, O_CLOEXEC | O_NONBLOCK) == -1 || signal(SIGCHLD, child_ended) == SIG_ERR)
		return 111;
	while (reap() > 0 || open_for_more) {
		struct pollfd p[2] = { { .fd = child_pipe[0], .events = POLLIN }, { .fd = open_for_more ? 0 : -1, .events = POLLIN } };

		if (poll(p, 2, -1) == -1)
			continue;
		if ((p[0].revents & POLLIN) != 0 && read(child_pipe[0], drain, sizeof drain) == -1)
			continue;
		if (p[1].revents != 0) {
			open_for_more = len + 1 < sizeof line && read(0, line + len, 1) == 1;
			if (open_for_more && line[len++] == '\n') {
				line[len - 1] = '\0';
				start_job(line);
				len = 0;
			}
		}
	}
	return 0;
}

/* Reads until qmail-send is gone. */
static int
clean(const char *below)
{
	char c;

	go_home(below);
	while (read(0, &c, 1) == 1)
		;
	return 0;
}

/* ---------------------------------------------------------------- qmail-send */

static volatile sig_atomic_t exit_asap, run_asap;

static void
heard(int signo)
{
	if (signo == SIGTERM)
		exit_asap = 1;
	else
		run_asap = 1;
}

static unsigned long long flying[JOBS];		/* by number; 0: free */
static int in_flight;

/* The place of this number, -1: none. */
static int
place(unsigned long long n)
{
	for (int i = 0; i < JOBS; i++)
		if (flying[i] == n)
			return i;
	return -1;
}

/* What qmail-start does once for all; we still have to remove what is qmailq's. */
static void
as_owner_of(const char *dir)
{
	struct stat st;

	if (stat(dir, &st) == -1 || setegid(st.st_gid) == -1 || seteuid(st.st_uid) == -1)
		_exit(111);
}

/* "TB\0..." of the envelope: its first recipient; the message becomes S5. */
static void
preprocess(unsigned long long n)
{
	char path[64], buf[4096], *at, *end;
	const char *sender = "", *recipient = "";
	int fd;
	ssize_t len;

	snprintf(path, sizeof path, "todo/%llu", n);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	len = fd == -1 ? -1 : read(fd, buf, sizeof buf - 1);
	if (fd != -1)
		close(fd);
	if (len <= 0)
		return;
	buf[len] = '\0';
	for (at = buf, end = buf + len; at < end; at += strlen(at) + 1) {
		if (*at == 'F')
			sender = at;
		if (*at == 'T')
			recipient = at;
	}
	as_owner_of("info");
	umask(077);
	snprintf(path, sizeof path, "info/%llu/%llu", n % SPLIT, n);
	unlink(path);
	fd = make(path);
	put(fd, sender, strlen(sender) + 1);
	fsync(fd);
	close(fd);
	snprintf(path, sizeof path, "remote/%llu/%llu", n % SPLIT, n);
	unlink(path);
	fd = make(path);
	put(fd, recipient, strlen(recipient) + 1);
	fsync(fd);
	close(fd);
	if (seteuid(0) == -1 || setegid(0) == -1)
		_exit(111);
	snprintf(path, sizeof path, "intd/%llu", n);
	unlink(path);
	snprintf(path, sizeof path, "todo/%llu", n);
	unlink(path);
}

static void
deliver(unsigned long long n)
{
	char path[64], recipient[512] = "", line[640];
	int fd, room = place(0);

	if (room == -1 || place(n) != -1)
		return;
	snprintf(path, sizeof path, "remote/%llu/%llu", n % SPLIT, n);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return;
	if (read(fd, recipient, sizeof recipient - 1) > 0 && recipient[0] == 'T') {
		put(3, line, (size_t)snprintf(line, sizeof line, "%llu %s\n", n, recipient + 1));
		flying[room] = n;
		in_flight++;
	}
	close(fd);
}

static void
each_number(const char *dir, void (*f)(unsigned long long))
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9')
			f(strtoull(e->d_name, NULL, 10));
	if (d != NULL)
		closedir(d);
}

static void
take_up(unsigned long long n)
{
	preprocess(n);
	deliver(n);
}

/* What is in todo still is taken up from there. */
static void
try_again(unsigned long long n)
{
	char path[64];

	snprintf(path, sizeof path, "todo/%llu", n);
	if (access(path, F_OK) == -1)
		deliver(n);
}

static void
try_all(void)
{
	char path[32];

	run_asap = 0;
	for (int i = 0; i < SPLIT; i++) {
		snprintf(path, sizeof path, "info/%d", i);
		each_number(path, try_again);
	}
	each_number("todo", take_up);
}

/* One answer of qmail-rspawn: delivered is marked, and the message is gone; all else waits for ALRM or the next start. */
static void
answered(const char *line)
{
	unsigned long long n = strtoull(line, NULL, 10);
	const char *status = strchr(line, ' ');
	char path[64];
	int fd;

	if (place(n) == -1)
		return;
	flying[place(n)] = 0;
	in_flight--;
	if (status == NULL || strcmp(status, " 0") != 0)
		return;
	snprintf(path, sizeof path, "remote/%llu/%llu", n % SPLIT, n);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	put(fd, "D", 1);
	close(fd);
	unlink(path);
	snprintf(path, sizeof path, "info/%llu/%llu", n % SPLIT, n);
	unlink(path);
	snprintf(path, sizeof path, "mess/%llu/%llu", n % SPLIT, n);
	unlink(path);
}

/* Signals come while we wait, and at no other time. */
static void
signals(sigset_t *waiting)
{
	struct sigaction action = { .sa_handler = heard };
	sigset_t block;

	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGALRM, &action, NULL);
	sigemptyset(&block);
	sigaddset(&block, SIGTERM);
	sigaddset(&block, SIGALRM);
	sigprocmask(SIG_BLOCK, &block, waiting);
	sigdelset(waiting, SIGTERM);
	sigdelset(waiting, SIGALRM);
}

/* A byte of an answer; false: qmail-rspawn has died. */
static bool
hear_rspawn(void)
{
	static char line[64];
	static size_t len;

	if (len + 1 >= sizeof line || read(4, line + len, 1) != 1)
		return false;
	if (line[len++] == '\n') {
		line[len - 1] = '\0';
		answered(line);
		len = 0;
	}
	return true;
}

static int
send_mail(void)
{
	char drain[64];
	sigset_t waiting;
	int lock, trigger;

	go_home(NULL);
	if (access("control/me", R_OK) == -1 || chdir("queue") == -1)
		return 111;
	signals(&waiting);
	lock = open("lock/sendmutex", O_WRONLY);
	if (lock == -1 || flock(lock, LOCK_EX | LOCK_NB) == -1)
		return 111;
	unlink("../exiting");
	trigger = open("lock/trigger", O_RDWR | O_NONBLOCK);
	try_all();
	while (!exit_asap || in_flight > 0) {
		struct pollfd p[2] = { { .fd = 4, .events = POLLIN }, { .fd = exit_asap ? -1 : trigger, .events = POLLIN } };

		if (ppoll(p, 2, NULL, &waiting) == -1) {
			if (exit_asap)
				close(open("../exiting", O_WRONLY | O_CREAT, 0644));
			else if (run_asap)
				try_all();
			continue;
		}
		if (p[0].revents != 0 && !hear_rspawn())
			return 111;
		if (!exit_asap && p[1].revents != 0 && read(trigger, drain, sizeof drain) > 0)
			each_number("todo", take_up);
	}
	return 0;
}

/* ---------------------------------------------------------------- qmail-start */

/* A child with its input and output on two of our descriptors. */
static void
helper(const char *name, int in, int out)
{
	int to[2], from[2];

	if (pipe(to) == -1 || pipe(from) == -1)
		_exit(111);
	if (fork() == 0) {
		dup2(to[0], 0);
		dup2(from[1], 1);
		for (int fd = 3; fd < 64; fd++)
			close(fd);
		become(name, NULL);
	}
	close(to[0]);
	close(from[1]);
	dup2(to[1], in);
	dup2(from[0], out);
	close(to[1]);
	close(from[0]);
}

static int
start(void)
{
	go_home(NULL);
	/* 0 to 6 are meant for qmail-send; what the pipes get must lie above */
	for (int fd = 0; fd < 40; fd++)
		if (fcntl(fd, F_GETFD) == -1)
			open("/dev/null", O_RDWR);
	helper("qmail-lspawn", 1, 2);
	helper("qmail-rspawn", 3, 4);
	helper("qmail-clean", 5, 6);
	for (int fd = 7; fd < 64; fd++)
		close(fd);
	become("qmail-send", NULL);
	return 111;
}

int
main(int argc, char **argv)
{
	const char *name = basename(argv[0]);

	if (strcmp(name, "qmail-start") == 0)
		return start();
	if (strcmp(name, "qmail-send") == 0)
		return send_mail();
	if (strcmp(name, "qmail-lspawn") == 0)
		return clean("queue/mess");
	if (strcmp(name, "qmail-rspawn") == 0)
		return spawn();
	if (strcmp(name, "qmail-clean") == 0)
		return clean("queue");
	if (strcmp(name, "qmail-remote") == 0 && argc == 2)
		return remote(argv[1]);
	return 100;
}
