/*
 * mta/qmail_check.c - all that a start of qmail needs but the queue: programs, accounts, control files, services,
 * tcpserver's rules. Runs in workers; a few dozen stat(2) calls, so it is done anew before each start instead of
 * being remembered.
 */
#include "mta/qmail_conf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mta/qmail_service.h"

static const char *const programs[] = { "qmail-start", "qmail-send", "qmail-lspawn", "qmail-rspawn", "qmail-clean",
	"qmail-local", "qmail-remote" };

static bool
programs_check(const struct qmail_conf *conf, struct err *err)
{
	char path[QMAIL_PATH_MAX + 32];
	uint32_t uid, gid;
	struct stat st;

	for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
		snprintf(path, sizeof path, "%s/%s", conf->bin, programs[i]);
		if (stat(path, &st) == -1 || !S_ISREG(st.st_mode) || (st.st_mode & S_IXUSR) == 0)
			return err_set(err, 0, "%s is missing or cannot be executed", path);
	}
	if (!queue_uid(NULL, "qmailq", &uid) || !queue_uid(NULL, "qmails", &gid) || !queue_uid(NULL, "qmailr", &gid) ||
	    !queue_gid(NULL, "qmail", &gid))
		return err_set(err, 0, "this node lacks accounts of qmail: users qmailq, qmails, qmailr and group qmail are needed");
	/* nobody's mail could be queued, and mail queued by another uid would never be sent */
	snprintf(path, sizeof path, "%s/qmail-queue", conf->bin);
	if (stat(path, &st) == -1 || (st.st_mode & (S_ISUID | S_IXOTH)) != (S_ISUID | S_IXOTH) || st.st_uid != uid)
		return err_set(err, 0, "%s does not run as qmailq: owner qmailq (%u) and mode 4711 are right", path, uid);
	return true;
}

/* Without control/me qmail-send does not start. */
static bool
control_check(const struct qmail_conf *conf, struct err *err)
{
	char path[QMAIL_PATH_MAX + 32];

	snprintf(path, sizeof path, "%s/control/me", conf->home);
	return access(path, R_OK) == 0 || err_set(err, errno, "cannot read %s, without which qmail-send does not start", path);
}

static uint32_t
number_at(const unsigned char *bytes)
{
	return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* The 256 tables at the front of a cdb, each by offset and length, lie inside the file. */
bool
qmail_cdb_check(const char *path, struct err *err)
{
	unsigned char head[2048];
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	ssize_t n;

	if (fd == -1)
		return err_set(err, errno, "cannot read %s: tcpserver would refuse every client; make it with tcprules", path);
	n = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? read(fd, head, sizeof head) : 0;
	close(fd);
	if (n != (ssize_t)sizeof head)
		return err_set(err, 0, "%s is no cdb: tcpserver would refuse every client; make it with tcprules", path);
	for (size_t i = 0; i < sizeof head; i += 8) {
		uint64_t at = number_at(head + i), slots = number_at(head + i + 4);

		if (at < sizeof head || at + 8 * slots > (uint64_t)st.st_size)
			return err_set(err, 0, "%s is a damaged cdb: make it anew with tcprules", path);
	}
	return true;
}

static bool
service_check(const struct qmail_service *svc, struct err *err)
{
	char down[QMAIL_PATH_MAX + 8];
	struct qmail_status status;

	if (svc->cdb[0] != '\0' && !qmail_cdb_check(svc->cdb, err))
		return false;
	if (!svc->supervised)
		return true;
	if (!qmail_service_status(svc, &status, err))
		return false;
	if (!status.watched)
		return err_set(err, 0, "nobody supervises the service %s: is svscan (or runsvdir) running?", svc->path);
	/* or it would be started at boot, on the node that does not own the spool */
	snprintf(down, sizeof down, "%s/down", svc->path);
	return access(down, F_OK) == 0 || err_set(err, 0, "the service %s starts by itself at boot: make an empty file %s, so that "
	    "mailpair alone starts it", svc->path, down);
}

bool
qmail_conf_check(const struct qmail_conf *conf, struct err *err)
{
	bool ok = programs_check(conf, err) && control_check(conf, err);

	for (size_t i = 0; ok && i < conf->services; i++)
		ok = service_check(&conf->service[i], err);
	return ok;
}

static size_t
warm(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	size_t did = 0;

	if (fd == -1)
		return 0;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		did = readahead(fd, 0, (size_t)st.st_size) == 0;
	close(fd);
	return did;
}

size_t
qmail_conf_warm(const struct qmail_conf *conf)
{
	static const char *const more[] = { "qmail-queue", "qmail-smtpd", "splogger" };
	char path[QMAIL_PATH_MAX + 32];
	size_t n = warm("/usr/bin/tcpserver") + warm("/usr/local/bin/tcpserver");

	for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
		snprintf(path, sizeof path, "%s/%s", conf->bin, programs[i]);
		n += warm(path);
	}
	for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) {
		snprintf(path, sizeof path, "%s/%s", conf->bin, more[i]);
		n += warm(path);
	}
	for (size_t i = 0; i < conf->services; i++)
		n += warm(conf->service[i].cdb);
	return n;
}
