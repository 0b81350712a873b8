/*
 * tests/unit/exim_box.h - a real Exim in the box of postfix_box.h: its program (installed, or unpacked below build/exim) over
 * /usr/sbin, an account for it, and for each test a configuration in /etc/exim4 and a spool of its own.
 */
#ifndef TESTS_UNIT_EXIM_BOX_H
#define TESTS_UNIT_EXIM_BOX_H

#include "tests/unit/postfix_box.h"

#define EXIM_BOX_UID 990
#define EXIM_BOX_CONF "/etc/exim4/exim4.conf"

/* text of from, without the lines of the account, and line. */
static inline bool
exim_box_account(const char *from, const char *to, const char *line)
{
	FILE *in = fopen(from, "re"), *out = fopen(to, "we");
	char text[4096];
	bool ok = in != NULL && out != NULL;

	while (ok && fgets(text, sizeof text, in) != NULL)
		if (strncmp(text, "Debian-exim:", 12) != 0)
			fputs(text, out);
	if (ok)
		fputs(line, out);
	if (in != NULL)
		fclose(in);
	return ok && fclose(out) == 0;
}

/*
 * Once in the box's own mount namespace. False: there is no Exim. An overlay puts its programs beside those of the host, and
 * gives /etc a directory exim4 and the account; the host's own directories stay as they are.
 */
static inline bool
exim_box_install(void)
{
	const char *unpacked = "build/exim/usr/sbin";
	char options[512];

	if (access("/usr/sbin/exim4", X_OK) == -1) {
		if (access("build/exim/usr/sbin/exim4", X_OK) == -1)
			return false;
		snprintf(options, sizeof options, "lowerdir=%s:/usr/sbin", unpacked);
		if (mount("exim", "/usr/sbin", "overlay", MS_RDONLY, options) == -1)
			return false;
	}
	if (mkdir("/tmp/etc", 0755) == -1 || mkdir("/tmp/etc/exim4", 0755) == -1 || mkdir("/tmp/exim4", 0755) == -1 ||
	    !exim_box_account("/etc/passwd", "/tmp/etc/passwd", "Debian-exim:x:990:990::/var/spool/exim4:/usr/sbin/nologin\n") ||
	    !exim_box_account("/etc/group", "/tmp/etc/group", "Debian-exim:x:990:\n"))
		return false;
	return mount("etc", "/etc", "overlay", MS_RDONLY, "lowerdir=/tmp/etc:/etc") == 0 &&
	    mount("/tmp/exim4", "/etc/exim4", NULL, MS_BIND, NULL) == 0 && access("/usr/sbin/exim4", X_OK) == 0;
}

/* Mail for slow.test waits until its pipe is closed; for box.test it is delivered to a maildir; all else stays. */
static const char exim_box_text[] =
    "primary_hostname = box.test\n"
    "qualify_domain = box.test\n"
    "spool_directory = %s\n"
    "log_file_path = %s/%%slog\n"
    "pid_file_path = %s/exim.pid\n"
    "local_interfaces = 127.0.0.1\n"
    "daemon_smtp_ports = 25\n"
    "tls_advertise_hosts =\n"
    "host_lookup =\n"
    "rfc1413_query_timeout = 0s\n"
    "keep_environment =\n"
    "acl_smtp_rcpt = accept\n"
    "acl_smtp_data = accept\n"
    "smtp_receive_timeout = 60s\n"
    "%s\n"
    "begin routers\n"
    "slow:\n  driver = accept\n  domains = slow.test\n  transport = slow\n"
    "alias:\n  driver = redirect\n  domains = alias.test\n  data = one-$local_part@box.test, two-$local_part@far.test\n"
    "here:\n  driver = accept\n  domains = box.test\n  transport = maildir\n"
    "later:\n  driver = redirect\n  allow_defer\n  data = :defer: not now\n"
    "begin transports\n"
    "slow:\n  driver = pipe\n  user = Debian-exim\n  command = /bin/cat %s/gate\n"
    "maildir:\n  driver = appendfile\n  directory = %s/mail\n  maildir_format\n  create_directory\n  user = Debian-exim\n"
    "begin retry\n* * F,2h,15m\n";

struct exim_box { char spool[96], log[96], run[96], text[4096]; };

static inline void
exim_box_configure(struct exim_box *e, const struct box *box, const char *path, const char *more)
{
	snprintf(e->text, sizeof e->text, exim_box_text, e->spool, e->log, e->run, more, box->dir, box->dir);
	box_write(path, "%s", e->text);
}

static inline void
exim_box_make(struct exim_box *e, const struct box *box)
{
	char path[128];

	snprintf(e->spool, sizeof e->spool, "%s/spool", box->dir);
	snprintf(e->log, sizeof e->log, "%s/log", box->dir);
	snprintf(e->run, sizeof e->run, "%s/run-exim", box->dir);
	snprintf(path, sizeof path, "%s/mail", box->dir);
	ck_assert_int_eq(mkdir(e->spool, 0750) | mkdir(e->log, 0750) | mkdir(path, 0750), 0);
	ck_assert_int_eq(chown(e->spool, EXIM_BOX_UID, EXIM_BOX_UID) | chown(e->log, EXIM_BOX_UID, EXIM_BOX_UID) |
	    chown(path, EXIM_BOX_UID, EXIM_BOX_UID), 0);
	snprintf(path, sizeof path, "%s/input", e->spool);	/* as every Exim that has had mail */
	ck_assert_int_eq(mkdir(path, 0750) | chown(path, EXIM_BOX_UID, EXIM_BOX_UID), 0);
	snprintf(path, sizeof path, "%s/gate", box->dir);
	ck_assert_int_eq(mkfifo(path, 0666) | chmod(path, 0666), 0);
	exim_box_configure(e, box, EXIM_BOX_CONF, "");
	unlink("/etc/exim4/trusted_configs");
}

#endif
