/*
 * tests/unit/postfix_box.h - a real Postfix in a box (box.h), with own configuration, queue and data directories.
 */
#ifndef TESTS_UNIT_POSTFIX_BOX_H
#define TESTS_UNIT_POSTFIX_BOX_H

#include <pwd.h>
#include <sys/stat.h>
#include <time.h>

#include "tests/unit/box.h"

struct box {
	char		  dir[64];		/* below a /tmp of our own: goes with the box */
	char		  conf[96], queue[96], run[96];
	struct mta_params params;
};

/* @: chroot column */
static const char box_master_cf[] =
    "# a comment\n"
    "smtp      inet  n - @ - - smtpd\n"
    "#smtps    inet  n - - - - smtpd\n"
    "#  -o smtpd_tls_wrappermode=yes\n"
    "pickup    unix  n - @ 60 1 pickup\n"
    "cleanup   unix  n - @ - 0 cleanup\n"
    "qmgr      unix  n - n 300 1 qmgr\n"
    "tlsmgr    unix  - - @ 1000? 1 tlsmgr\n"
    "rewrite   unix  - - @ - - trivial-rewrite\n"
    "bounce    unix  - - @ - 0 bounce\n"
    "defer     unix  - - @ - 0 bounce\n"
    "trace     unix  - - @ - 0 bounce\n"
    "flush     unix  n - @ 1000? 0 flush\n"
    "proxymap  unix  - - n - - proxymap\n"
    "smtp      unix  - - @ - - smtp\n"
    "relay     unix  - - @ - - smtp\n"
    "   -o syslog_name=postfix/relay\n"
    "showq     unix  n - @ - - showq\n"
    "error     unix  - - @ - - error\n"
    "retry     unix  - - @ - - error\n"
    "local     unix  - n n - - local\n"
    "anvil     unix  - - @ - 1 anvil\n"
    "scache    unix  - - @ - 1 scache\n"
    "postlog   unix-dgram n - n - 1 postlogd\n";

/* Postfix reads a file again and again, for two seconds, as long as it is younger than that: make it old, but never twice the same age. */
static inline void
box_settle(const char *path)
{
	static int turn;
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = time(NULL) - 3600, .tv_nsec = 1000 * ++turn } };

	ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* All that is accepted stays deferred: its only relay is a port where nobody listens. */
static inline void
box_configure(const struct box *box, char chroot, const char *more)
{
	char path[128], services[sizeof box_master_cf];

	snprintf(path, sizeof path, "%s/main.cf", box->conf);
	box_write(path, "compatibility_level = 3.6\nmyhostname = box.test\nmyorigin = box.test\n"
	    "mydestination =\nrelayhost = [127.0.0.1]:2\ninet_interfaces = loopback-only\n"
	    "inet_protocols = ipv4\nmynetworks = 127.0.0.0/8\nalias_maps =\nlocal_recipient_maps =\n"
	    "queue_directory = %s\ndata_directory = %s/data\nmaillog_file = %s/maillog\n"
	    "maillog_file_prefixes = %s\n%s\n", box->queue, box->dir, box->dir, box->dir, more);
	box_settle(path);
	snprintf(path, sizeof path, "%s/master.cf", box->conf);
	for (size_t i = 0; i < sizeof services; i++)
		services[i] = box_master_cf[i] == '@' ? chroot : box_master_cf[i];
	box_write(path, "%s", services);
}

static inline void
box_make(struct box *box)
{
	const struct passwd *owner = getpwnam("postfix");
	char path[128];

	memset(box, 0, sizeof *box);
	snprintf(box->dir, sizeof box->dir, "/tmp/mailpair-box.XXXXXX");
	ck_assert_ptr_nonnull(owner);
	ck_assert(box_network());
	ck_assert_ptr_nonnull(mkdtemp(box->dir));
	ck_assert_int_eq(chmod(box->dir, 0755), 0);
	snprintf(box->conf, sizeof box->conf, "%s/conf", box->dir);
	snprintf(box->queue, sizeof box->queue, "%s/queue", box->dir);
	snprintf(box->run, sizeof box->run, "%s/run", box->dir);
	snprintf(path, sizeof path, "%s/data", box->dir);
	ck_assert_int_eq(mkdir(box->conf, 0755) | mkdir(box->queue, 0755) | mkdir(box->run, 0755) |
	    mkdir(path, 0700), 0);
	ck_assert_int_eq(chown(path, owner->pw_uid, (gid_t)-1), 0);
	box->params = (struct mta_params){ .config = box->conf, .run_dir = box->run, .probe_ms = 20000 };
	box_configure(box, 'n', "");
}

static inline void
box_break(struct box *box)
{
	box_call(&mta_postfix, &box->params, box_stop_f, 4000);
}

static inline int
box_main(int (*run)(void))
{
	return box_enter(access("/usr/lib/postfix/sbin/master", X_OK) == 0, "an installed Postfix", run);
}

#endif
