/*
 * tests/live/tools/qmail_queue.c - stand-ins for those programs of qmail that put mail into the queue, one for each name it
 * is called by. They keep qmail-queue's order of writing, linking and syncing, and nothing else. qmail is no Debian package.
 *
 *	qmail-queue		message on descriptor 0, envelope on 1, into the queue
 *	qmail-smtpd		one SMTP session on descriptors 0 and 1
 *	qmail-pop3d		one POP3 session that only knows QUIT
 *	qmail-inject RECIPIENT	the message on descriptor 0 through qmail-queue
 *	qmail-showctl		the split, as the tree has it
 */
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/live/tools/qmail_home.h"

/* ---------------------------------------------------------------- qmail-queue */

static void
pull_trigger(void)
{
	int fd = open("lock/trigger", O_WRONLY | O_NONBLOCK);

	if (fd >= 0 && write(fd, "", 1) == -1)
		return;
}

static void
copy(int from, int to)
{
	char buf[2048];
	ssize_t n;

	while ((n = read(from, buf, sizeof buf)) > 0)
		put(to, buf, (size_t)n);
	if (n == -1)
		_exit(54);
}

static int
queue(void)
{
	char pid[64], mess[64], intd[64], todo[64], line[128], envelope[65536];
	size_t len = 0;
	struct stat st;
	ssize_t n;
	int fd;

	go_home("queue");
	umask(033);
	snprintf(pid, sizeof pid, "pid/%d.%lld.1", (int)getpid(), (long long)time(NULL));
	fd = make(pid);
	if (fstat(fd, &st) == -1)
		_exit(63);
	snprintf(mess, sizeof mess, "mess/%" PRIu64 "/%" PRIu64, (uint64_t)st.st_ino % SPLIT, (uint64_t)st.st_ino);
	snprintf(intd, sizeof intd, "intd/%" PRIu64, (uint64_t)st.st_ino);
	snprintf(todo, sizeof todo, "todo/%" PRIu64, (uint64_t)st.st_ino);
	if (link(pid, mess) == -1 || unlink(pid) == -1)
		_exit(64);
	put(fd, line, (size_t)snprintf(line, sizeof line, "Received: (qmail %d invoked by uid %u); 22 Nov 2026 00:00:00 -0000\n",
	    (int)getpid(), getuid()));
	copy(0, fd);
	fsync(fd);
	fd = make(intd);
	while (len < sizeof envelope && (n = read(1, envelope + len, sizeof envelope - len)) > 0)
		len += (size_t)n;
	/* F... T... and an empty record at the end; without that it was cut off and is not accepted */
	if (len < 3 || envelope[0] != 'F' || envelope[len - 1] != '\0' || envelope[len - 2] != '\0')
		_exit(91);
	put(fd, line, (size_t)snprintf(line, sizeof line, "u%u%cp%d%c", getuid(), '\0', (int)getpid(), '\0'));
	put(fd, envelope, len - 1);
	fsync(fd);
	if (link(intd, todo) == -1)
		_exit(66);
	pull_trigger();
	return 0;
}

/* ---------------------------------------------------------------- who queues mail */

/* Starts qmail-queue; message and envelope are its two inputs. */
static pid_t
queue_open(int *message, int *envelope)
{
	int m[2], e[2];
	pid_t pid;

	if (pipe(m) == -1 || pipe(e) == -1)
		_exit(111);
	pid = fork();
	if (pid == 0) {
		dup2(m[0], 0);
		dup2(e[0], 1);
		for (int fd = 3; fd < 64; fd++)
			close(fd);
		become("qmail-queue", NULL);
	}
	close(m[0]);
	close(e[0]);
	*message = m[1];
	*envelope = e[1];
	return pid;
}

static bool
queue_close(pid_t pid, int envelope, const char *sender, const char *recipient)
{
	char text[512];
	int status = 0;

	put(envelope, text, (size_t)snprintf(text, sizeof text, "F%s%cT%s%c", sender, '\0', recipient, '\0'));
	put(envelope, "", 1);
	close(envelope);
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int
inject(const char *recipient)
{
	int message, envelope;
	pid_t pid;

	go_home(NULL);
	pid = queue_open(&message, &envelope);
	copy(0, message);
	close(message);
	return queue_close(pid, envelope, "root@box.test", recipient) ? 0 : 111;
}

static bool
get_line(char *buf, size_t size)
{
	size_t len = 0;
	char c;

	while (read(0, &c, 1) == 1) {
		if (len + 1 < size)
			buf[len++] = c;
		if (c == '\n') {
			buf[len] = '\0';
			return true;
		}
	}
	return false;
}

static void
say(const char *line)
{
	char text[128];

	put(1, text, (size_t)snprintf(text, sizeof text, "%s\r\n", line));	/* in one packet */
}

/* qmail-queue runs from DATA on: while a client sends, the session has a child. */
static void
take_message(const char *recipient)
{
	char line[4096];
	int message, envelope;
	pid_t pid = queue_open(&message, &envelope);

	say("354 go ahead");
	for (;;) {
		if (!get_line(line, sizeof line))
			_exit(1);
		if (strcmp(line, ".\r\n") == 0)
			break;
		put(message, line, strlen(line));
	}
	close(message);
	say(queue_close(pid, envelope, "client@box.test", recipient) ? "250 ok" : "451 qq trouble");
}

static int
smtpd(void)
{
	char line[4096], recipient[256] = "";

	go_home(NULL);
	signal(SIGPIPE, SIG_DFL);
	say("220 box.test ESMTP");
	while (get_line(line, sizeof line)) {
		if (strncasecmp(line, "QUIT", 4) == 0) {
			say("221 box.test");
			return 0;
		}
		if (strncasecmp(line, "RCPT TO:<", 9) == 0)
			snprintf(recipient, sizeof recipient, "%.*s", (int)strcspn(line + 9, ">"), line + 9);
		if (strncasecmp(line, "DATA", 4) == 0)
			take_message(recipient);
		else
			say("250 ok");
	}
	return 1;
}

static int
pop3d(void)
{
	char line[512];

	say("+OK");
	while (get_line(line, sizeof line) && strncasecmp(line, "QUIT", 4) != 0)
		say("-ERR");
	say("+OK");
	return 0;
}

static int
showctl(void)
{
	go_home(NULL);
	printf("qmail home directory: %s.\nsubdirectory split: %d.\n", home, SPLIT);
	return 0;
}

int
main(int argc, char **argv)
{
	const char *name = basename(argv[0]);

	if (strcmp(name, "qmail-queue") == 0)
		return queue();
	if (strcmp(name, "qmail-inject") == 0 && argc == 2)
		return inject(argv[1]);
	if (strcmp(name, "qmail-smtpd") == 0)
		return smtpd();
	if (strcmp(name, "qmail-pop3d") == 0)
		return pop3d();
	if (strcmp(name, "qmail-showctl") == 0)
		return showctl();
	return 100;
}
