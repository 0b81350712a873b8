/*
 * tests/unit/qmail_box.h - a qmail in a box (box.h): home, queue, accounts, and services under supervise (daemontools),
 * runsv (runit) or nobody. Its programs are the stand-ins of tests/live/tools/qmail_*.c; tcpserver, supervise and runsv
 * are the real ones. All that runs in the box ends with it.
 */
#ifndef TESTS_UNIT_QMAIL_BOX_H
#define TESTS_UNIT_QMAIL_BOX_H

#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <sys/file.h>

#include "mta/qmail_conf.h"
#include "tests/unit/box.h"

#define QBOX_SPLIT 23
#define QBOX_PATIENCE_MS 20000		/* of a busy machine; nothing is measured by it */
#define QBOX_TCPSERVER "/usr/bin/tcpserver"

enum qbox_how { QBOX_DIRECT, QBOX_DAEMONTOOLS, QBOX_RUNIT, QBOX_HOWS };
enum { QBOX_SEND, QBOX_SMTPD, QBOX_POP3D, QBOX_SERVICES };
enum { QBOX_Q, QBOX_R, QBOX_S, QBOX_OWNERS };

/* Of qmailq, qmailr, qmails, and of the group qmail. */
static uid_t qbox_uid[QBOX_OWNERS] = { 7794, 7795, 7796 };
static gid_t qbox_gid = 2107;

struct qbox {
	char		  dir[64], home[96], run[96];
	char		  service[QBOX_SERVICES][128];
	const char	 *list[QBOX_SERVICES + 1];
	enum qbox_how	  how;
	bool		  accounts;	/* the box's own lie over the host's */
	pid_t		  watcher[QBOX_SERVICES];
	struct mta_params params;
};

static inline const char *
qbox_path(const struct qbox *q, const char *below)
{
	static char path[4][400];
	static int n;

	n = (n + 1) % 4;
	snprintf(path[n], sizeof path[n], "%s/%s", q->home, below);
	return path[n];
}

static inline void
qbox_mkdir(const char *path, uid_t uid, mode_t mode)
{
	ck_assert_msg(mkdir(path, 0700) == 0 || errno == EEXIST, "%s: %s", path, strerror(errno));
	ck_assert(chown(path, uid, qbox_gid) == 0 && chmod(path, mode) == 0);
}

static inline void
qbox_queue(const char *root)
{
	static const struct { const char *name; int owner; mode_t mode; bool split; } dirs[] = {
		{ "", QBOX_Q, 0750, false }, { "/pid", QBOX_Q, 0700, false }, { "/mess", QBOX_Q, 0750, true },
		{ "/intd", QBOX_Q, 0700, false }, { "/todo", QBOX_Q, 0750, false }, { "/info", QBOX_S, 0700, true },
		{ "/local", QBOX_S, 0700, true }, { "/remote", QBOX_S, 0700, true }, { "/bounce", QBOX_S, 0700, false },
		{ "/lock", QBOX_Q, 0750, false },
	};
	char path[256];

	for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
		snprintf(path, sizeof path, "%s%s", root, dirs[i].name);
		qbox_mkdir(path, qbox_uid[dirs[i].owner], dirs[i].mode);
		for (int n = 0; dirs[i].split && n < QBOX_SPLIT; n++) {
			snprintf(path, sizeof path, "%s%s/%d", root, dirs[i].name, n);
			qbox_mkdir(path, qbox_uid[dirs[i].owner], dirs[i].mode);
		}
	}
	snprintf(path, sizeof path, "%s/lock/sendmutex", root);
	box_write(path, "%s", "");
	ck_assert(chown(path, qbox_uid[QBOX_S], qbox_gid) == 0 && chmod(path, 0600) == 0);
	snprintf(path, sizeof path, "%s/lock/trigger", root);
	ck_assert(mkfifo(path, 0600) == 0 && chown(path, qbox_uid[QBOX_S], qbox_gid) == 0 && chmod(path, 0622) == 0);
}

/* This host's accounts and qmail's, seen in the box only. */
static inline void
qbox_accounts(struct qbox *q)
{
	static const char *const files[] = { "passwd", "group" };
	static const char *const more[] = { "qmailq:x:7794:2107::/:/bin/false\nqmailr:x:7795:2107::/:/bin/false\n"
	    "qmails:x:7796:2107::/:/bin/false\n", "qmail:x:2107:\n" };
	char from[32], to[128], text[65536];
	size_t len;
	FILE *f;

	for (int i = 0; i < 2; i++) {
		snprintf(from, sizeof from, "/etc/%s", files[i]);
		snprintf(to, sizeof to, "%s/%s", q->dir, files[i]);
		f = fopen(from, "re");
		ck_assert_ptr_nonnull(f);
		len = fread(text, 1, sizeof text - 1, f);
		fclose(f);
		text[len] = '\0';
		box_write(to, "%s%s", text, strstr(text, i == 0 ? "qmailq:" : "qmail:") != NULL ? "" : more[i]);
		ck_assert(chmod(to, 0644) == 0 && mount(to, from, NULL, MS_BIND, NULL) == 0);
	}
	q->accounts = true;
}

/* The stand-ins, built beside this test; open before the box hides the directory of both. */
enum { QBOX_TOOL_SEND, QBOX_TOOL_QUEUE, QBOX_TOOLS };
static int qbox_tool[QBOX_TOOLS] = { -1, -1 };

static inline bool
qbox_tools_open(void)
{
	static const char *const names[QBOX_TOOLS] = { "qmail_send", "qmail_queue" };
	char path[PATH_MAX + 32], exe[PATH_MAX] = "";
	ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
	const char *dir = n > 0 ? dirname(exe) : "";

	for (int i = 0; i < QBOX_TOOLS; i++) {
		snprintf(path, sizeof path, "%s/../tools/%s", dir, names[i]);
		qbox_tool[i] = open(path, O_RDONLY | O_CLOEXEC);
	}
	return qbox_tool[QBOX_TOOL_SEND] != -1 && qbox_tool[QBOX_TOOL_QUEUE] != -1;
}

static inline void
qbox_copy_tool(int tool, const char *path)
{
	static char bytes[4 << 20];
	ssize_t n = pread(qbox_tool[tool], bytes, sizeof bytes, 0);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);

	ck_assert(n > 0 && n < (ssize_t)sizeof bytes && write(fd, bytes, (size_t)n) == n && close(fd) == 0);
}

static inline void
qbox_programs(const struct qbox *q)
{
	static const struct { const char *name; int tool; } programs[] = {
		{ "qmail-start", QBOX_TOOL_SEND }, { "qmail-send", QBOX_TOOL_SEND }, { "qmail-lspawn", QBOX_TOOL_SEND },
		{ "qmail-rspawn", QBOX_TOOL_SEND }, { "qmail-clean", QBOX_TOOL_SEND }, { "qmail-local", QBOX_TOOL_SEND },
		{ "qmail-remote", QBOX_TOOL_SEND }, { "qmail-queue", QBOX_TOOL_QUEUE }, { "qmail-smtpd", QBOX_TOOL_QUEUE },
		{ "qmail-pop3d", QBOX_TOOL_QUEUE }, { "qmail-inject", QBOX_TOOL_QUEUE }, { "qmail-showctl", QBOX_TOOL_QUEUE },
	};
	char path[64];

	for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
		snprintf(path, sizeof path, "bin/%s", programs[i].name);
		qbox_copy_tool(programs[i].tool, qbox_path(q, path));
	}
	ck_assert(chown(qbox_path(q, "bin/qmail-queue"), qbox_uid[QBOX_Q], qbox_gid) == 0 &&
	    chmod(qbox_path(q, "bin/qmail-queue"), 04711) == 0);
}

/* tcpserver's rules, by tcprules; false: they are not in its form. */
static inline bool
qbox_rules(const struct qbox *q, const char *rules)
{
	char cdb[400], from[400];

	snprintf(cdb, sizeof cdb, "%s", qbox_path(q, "control/smtp.cdb"));
	snprintf(from, sizeof from, "%s", qbox_path(q, "control/smtp"));
	box_write(from, "%s", rules);
	return box_run("/bin/sh", "-c", "exec tcprules \"$1\" \"$1.tmp\" <\"$0\"", from, cdb) == 0;
}

static inline void __attribute__((format(printf, 2, 3)))
qbox_script(const char *path, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	box_write(path, "#!/bin/sh\n%s\n", text);
	ck_assert(chmod(path, 0755) == 0);
}

/* A supervisor of its own session, with one argument. */
static inline pid_t
qbox_spawn(const char *program, const char *argument)
{
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		setsid();
		execl(program, program, argument, (char *)NULL);
		_exit(127);
	}
	return pid;
}

/* One service: a directory with "run" and "down", watched by a real supervise or runsv; or a program. */
static inline void
qbox_service(struct qbox *q, int which, const char *name, const char *words)
{
	char run[160], path[sizeof q->service[0]];

	snprintf(path, sizeof path, "%s/%s", q->dir, name);
	memcpy(q->service[which], path, sizeof path);
	q->list[which] = q->service[which];
	if (q->how == QBOX_DIRECT) {
		qbox_script(q->service[which], "%s", words);
		return;
	}
	ck_assert(mkdir(q->service[which], 0755) == 0);
	snprintf(run, sizeof run, "%s/run", q->service[which]);
	qbox_script(run, "%s", words);
	snprintf(run, sizeof run, "%s/down", q->service[which]);
	box_write(run, "%s", "");
	q->watcher[which] = qbox_spawn(q->how == QBOX_RUNIT ? "/usr/bin/runsv" : "/usr/bin/supervise", q->service[which]);
	snprintf(run, sizeof run, "%s/supervise/ok", q->service[which]);
	for (int fd = -1, i = 0; fd == -1 && i < QBOX_PATIENCE_MS / 5; i++) {
		fd = open(run, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
		if (fd == -1)
			poll(NULL, 0, 5);	/* until it watches */
		else
			close(fd);
	}
}

/* qmail-send, and two tcpservers; rules: as for tcprules. */
static inline void
qbox_services(struct qbox *q, const char *rules)
{
	char words[512];

	ck_assert(qbox_rules(q, rules));
	snprintf(words, sizeof words, "exec env PATH=%s/bin:/usr/bin:/bin qmail-start ./Mailbox", q->home);
	qbox_service(q, QBOX_SEND, "qmail-send", words);
	snprintf(words, sizeof words, "exec " QBOX_TCPSERVER " -vRHl0 -x %s/control/smtp.cdb 0 25 %s/bin/qmail-smtpd", q->home, q->home);
	qbox_service(q, QBOX_SMTPD, "qmail-smtpd", words);
	snprintf(words, sizeof words, "exec " QBOX_TCPSERVER " -RHl0 0 110 %s/bin/qmail-pop3d Maildir", q->home);
	qbox_service(q, QBOX_POP3D, "qmail-pop3d", words);
	q->params = (struct mta_params){ .config = q->home, .services = q->list, .run_dir = q->run, .probe_ms = QBOX_PATIENCE_MS };
}

static inline void
qbox_begin(struct qbox *q, enum qbox_how how)
{
	memset(q, 0, sizeof *q);
	q->how = how;
	snprintf(q->dir, sizeof q->dir, "/tmp/mailpair-box.XXXXXX");
	ck_assert(box_network());
	ck_assert_ptr_nonnull(mkdtemp(q->dir));
	ck_assert_int_eq(chmod(q->dir, 0755), 0);
	snprintf(q->run, sizeof q->run, "%.63s/run", q->dir);
	ck_assert_int_eq(mkdir(q->run, 0755), 0);
}

static inline void
qbox_make(struct qbox *q, enum qbox_how how)
{
	qbox_begin(q, how);
	snprintf(q->home, sizeof q->home, "%.63s/qmail", q->dir);
	ck_assert_int_eq(mkdir(q->home, 0755) | mkdir(qbox_path(q, "bin"), 0755) | mkdir(qbox_path(q, "control"), 0755), 0);
	qbox_accounts(q);
	qbox_queue(qbox_path(q, "queue"));
	qbox_programs(q);
	box_write(qbox_path(q, "control/me"), "box.test\n");
	qbox_services(q, "127.0.0.1:allow,RELAYCLIENT=\"\"\n127.0.0.9:deny\n:allow\n");
}

static inline void
qbox_unwatch(struct qbox *q)
{
	for (int i = 0; i < QBOX_SERVICES; i++) {
		if (q->watcher[i] <= 0)
			continue;
		kill(q->watcher[i], q->how == QBOX_RUNIT ? SIGTERM : SIGKILL);
		waitpid(q->watcher[i], NULL, 0);
		q->watcher[i] = 0;
	}
}

static inline void
qbox_break(struct qbox *q)
{
	box_call(&mta_qmail, &q->params, box_stop_f, 3000);
	qbox_unwatch(q);
	if (q->accounts && (umount("/etc/passwd") == -1 || umount("/etc/group") == -1))
		perror("accounts");
}

static inline bool
qbox_possible(void)
{
	return access(QBOX_TCPSERVER, X_OK) == 0 && access("/usr/bin/supervise", X_OK) == 0 && access("/usr/bin/runsv", X_OK) == 0 &&
	    qbox_tools_open();
}

#define QBOX_NEEDS "tcpserver, supervise and runsv (Debian: ucspi-tcp, daemontools, runit)"

#endif
