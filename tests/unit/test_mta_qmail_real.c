/*
 * tests/unit/test_mta_qmail_real.c - the qmail driver with a real qmail, where one is installed in /var/qmail: its
 * programs, with a queue and control files of the box's own.
 */
#include <grp.h>
#include <pwd.h>

#include "tests/unit/qmail_case.h"

#define REAL_SEND QMAIL_HOME "/bin/qmail-send"

static bool
find_owners(void)
{
	static const char *const names[QBOX_OWNERS] = { "qmailq", "qmailr", "qmails" };
	const struct group *group = getgrnam("qmail");

	for (int i = 0; i < QBOX_OWNERS; i++) {
		const struct passwd *user = getpwnam(names[i]);

		if (user == NULL)
			return false;
		qbox_uid[i] = user->pw_uid;
	}
	if (group != NULL)
		qbox_gid = group->gr_gid;
	return group != NULL;
}

/* Its own queue and control files are hidden from it. */
static void
make_real(enum qbox_how how)
{
	qbox_begin(&q, how);
	snprintf(q.home, sizeof q.home, "%s", QMAIL_HOME);
	ck_assert(mount("none", qbox_path(&q, "control"), "tmpfs", 0, "mode=0755") == 0);
	ck_assert(mount("none", qbox_path(&q, "queue"), "tmpfs", 0, NULL) == 0);
	qbox_queue(qbox_path(&q, "queue"));
	box_write(qbox_path(&q, "control/me"), "box.test\n");
	box_write(qbox_path(&q, "control/smtproutes"), ":127.0.0.1:2525\n");
	box_write(qbox_path(&q, "control/timeoutremote"), "60\n");
	qbox_services(&q, "127.0.0.1:allow,RELAYCLIENT=\"\"\n:deny\n");
}

static void
break_real(void)
{
	qbox_break(&q);
	umount(QMAIL_HOME "/queue");
	umount(QMAIL_HOME "/control");
}

/* Takes connections of qmail-remote, and says nothing: a delivery that does not end. */
static int
silent_host(void)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(2525), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert(bind(fd, (struct sockaddr *)&addr, sizeof addr) == 0 && listen(fd, 8) == 0);
	return fd;
}

START_TEST(a_real_qmail_starts_takes_mail_and_stops)
{
	struct said *said;
	struct err err = { 0 };
	int silent;
	pid_t pid;

	make_real((enum qbox_how)_i);
	silent = silent_host();
	ck_assert_int_eq(runs(&pid), FACT_NO);
	said = box_call(&mta_qmail, &q.params, box_prepare_f, QBOX_PATIENCE_MS);
	ck_assert_msg(strcmp(box_said(said, "prepared"), "yes") == 0, "%s", box_said(said, "why"));
	start();
	await_supervisors();
	ck_assert_int_eq(runs(&pid), FACT_YES);
	ck_assert_int_eq(mta_qmail.answers(&q.params, &err), MTA_ANSWERED);
	box_send_mail();
	await(is_delivering, NULL, "qmail-remote runs");
	said = stop(2400);		/* it has TERM after three quarters of that, and the message is put off */
	ck_assert_str_eq(box_said(said, "killed"), "");
	ck_assert_uint_ge(said->took_ms, 1800);
	ck_assert_int_eq(runs(&pid), FACT_NO);
	ck_assert_uint_eq(queued(), 1);
	ck_assert_int_eq(mta_qmail.answers(&q.params, &err), MTA_REFUSED);
	start();
	ck_assert_int_eq(runs(&pid), FACT_YES);
	ck_assert_str_eq(box_said(stop(QBOX_PATIENCE_MS), "killed"), "");
	close(silent);
}
END_TEST

static int
run(void)
{
	Suite *suite = suite_create("mta_qmail_real");
	TCase *tc = tcase_create("driver");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, NULL, break_real);
	tcase_add_loop_test(tc, a_real_qmail_starts_takes_mail_and_stops, 0, QBOX_HOWS);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}

int
main(void)
{
	if (access(REAL_SEND, X_OK) == -1 || !find_owners()) {
		printf("skipped: there is no " REAL_SEND ", or its accounts are missing\n0 passed, 0 failed\n");
		return 0;
	}
	return box_enter(access(QBOX_TCPSERVER, X_OK) == 0, QBOX_NEEDS, run);
}
