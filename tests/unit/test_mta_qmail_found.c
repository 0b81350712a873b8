/*
 * tests/unit/test_mta_qmail_found.c - what the qmail driver finds on a host, and what it makes of it: who runs, who holds the
 * lock, whom it leaves alone, what it does not start on.
 */
#include "tests/unit/qmail_case.h"

/* ---------------------------------------------------------------- what it finds */

START_TEST(running_is_the_lock_and_nothing_else)
{
	int fd = open(qbox_path(&q, "queue/lock/sendmutex"), O_RDWR | O_CLOEXEC);
	pid_t pid;

	box_write(qbox_path(&q, "queue/lock/pid"), "1\n");
	ck_assert_int_eq(runs(&pid), FACT_NO);
	ck_assert(flock(fd, LOCK_EX) == 0);
	ck_assert_int_eq(runs(&pid), FACT_YES);
	ck_assert_int_eq(pid, getpid());
	close(fd);
	ck_assert_int_eq(runs(NULL), FACT_NO);
	/* its queue is gone from sight, as under a mount, but it runs */
	start();
	ck_assert(mount("none", qbox_path(&q, "queue"), "tmpfs", 0, NULL) == 0);
	ck_assert_int_eq(runs(&pid), FACT_YES);
	ck_assert_int_gt(pid, 0);
	ck_assert(!box_call(&mta_qmail, &q.params, box_start_f, 2000)->ok);
	ck_assert_int_eq(runs(NULL), FACT_YES);
	ck_assert(umount(qbox_path(&q, "queue")) == 0);
}
END_TEST

START_TEST(deliveries_of_a_dead_qmail_send_are_ended_so_that_nothing_is_delivered_twice)
{
	struct said *said;
	size_t one = 1;
	pid_t pid;

	delivery_in_flight();
	ck_assert_int_eq(runs(&pid), FACT_YES);
	ck_assert(kill(pid, SIGKILL) == 0);
	while (runs(NULL) != FACT_NO)
		poll(NULL, 0, 5);
	ck_assert_uint_eq(count_part(QMAIL_IS_DELIVERY), 1);
	unlink(qbox_path(&q, "gate"));
	said = start();
	ck_assert_str_ne(box_said(said, "orphans"), "");
	await(is_delivered, &one, "the message is delivered");
	await(nothing_delivers, NULL, "no delivery is left");
	ck_assert_uint_eq(delivered(), 1);
}
END_TEST

static bool
is_down(void *arg)
{
	return kill(*(pid_t *)arg, 0) == -1;
}

static bool
stays_down(const char *service)
{
	struct qmail_service svc = { .supervised = true };
	struct qmail_status status;
	struct err err;

	snprintf(svc.path, sizeof svc.path, "%s", service);
	ck_assert_msg(qmail_service_status(&svc, &status, &err), "%s", err.text);
	return status.watched && status.pid == 0 && !status.wanted_up;
}

START_TEST(who_is_restarted_by_its_supervisor_is_only_waited_for)
{
	pid_t pid, again;

	begin((enum qbox_how)_i);
	start();
	runs(&pid);
	ck_assert(kill(pid, SIGKILL) == 0);
	await(is_down, &pid, "it is gone");
	start();
	ck_assert_int_eq(runs(&again), FACT_YES);
	ck_assert_int_ne(again, pid);
	stop(QBOX_PATIENCE_MS);		/* and it is told to stay down */
	ck_assert_int_eq(runs(NULL), FACT_NO);
	for (int i = 0; i < QBOX_SERVICES; i++)
		ck_assert(stays_down(q.service[i]));
}
END_TEST

/* The qmail of a container has the same paths, and is somebody else's. */
static bool
is_up(void *arg)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof path, "/proc/%d/exe", *(pid_t *)arg);
	return stat(path, &st) == 0;
}

static pid_t
container(void)
{
	int ready[2];
	char c;
	pid_t pid;

	ck_assert(pipe(ready) == 0);
	pid = fork();
	if (pid == 0) {
		char program[160];

		if (unshare(CLONE_NEWNS) == -1 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1 ||
		    mount("none", q.home, "tmpfs", 0, NULL) == -1 || mkdir(qbox_path(&q, "bin"), 0755) == -1)
			_exit(1);
		qbox_copy_tool(QBOX_TOOL_QUEUE, qbox_path(&q, "bin/qmail-pop3d"));
		snprintf(program, sizeof program, "%s/bin/qmail-pop3d", q.home);
		(void)!write(ready[1], "", 1);
		ck_assert(pipe(ready) == 0);
		dup2(ready[0], 0);	/* it waits for what never comes */
		dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), 1);
		if (fork() == 0) {
			execl(QBOX_TCPSERVER, "tcpserver", "-RHl0", "0", "2525", program, (char *)NULL);
			_exit(1);
		}
		execl(program, program, (char *)NULL);
		_exit(1);
	}
	ck_assert(read(ready[0], &c, 1) == 1);
	await(is_up, &pid, "the container is up");
	return pid;
}

START_TEST(the_qmail_of_a_container_is_left_alone)
{
	pid_t other;

	start();
	other = container();
	ck_assert_uint_eq(count_part(QMAIL_IS_SESSION), 0);
	ck_assert_uint_eq(count_part(QMAIL_IS_LISTENER), 2);
	stop(QBOX_PATIENCE_MS);
	ck_assert_int_eq(waitpid(other, NULL, WNOHANG), 0);
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
}
END_TEST

/* ---------------------------------------------------------------- lock */

static enum fact
take_lock(struct queue_lock *lock, struct err *err)
{
	struct queue_layout layout;
	enum fact fact;

	ck_assert_msg(mta_qmail.layout(&q.params, NULL, NULL, &layout, err), "%s", err->text);
	*lock = (struct queue_lock){ .held = 0 };
	fact = mta_qmail.lock(&q.params, &layout, lock, err);
	queue_layout_free(&layout);
	if (fact != FACT_YES)
		ck_assert_uint_eq(lock->held, 0);
	return fact;
}

static void
end_part(enum qmail_part part)
{
	struct qmail_conf *conf = calloc(1, sizeof *conf);
	struct qmail_processes all = { 0 };
	struct err err = { 0 };

	qmail_conf_load(&q.params, conf, &err);
	ck_assert(qmail_processes_find(conf, &all, &err));
	for (size_t i = 0; i < all.len; i++) {
		if (all.at[i].part != part || all.at[i].pop)
			continue;
		qmail_process_signal(&all.at[i], SIGTERM);	/* or it has ended by itself meanwhile */
		while (kill(all.at[i].pid, 0) == 0)
			poll(NULL, 0, 2);
	}
	qmail_processes_free(&all);
	free(conf);
}

START_TEST(the_lock_is_refused_while_anybody_could_queue_mail_and_keeps_qmail_send_off)
{
	struct queue_lock lock;
	struct err err = { 0 };
	struct said *said;
	char text[32];
	pid_t pid, inject;
	int in[2];

	start();
	runs(&pid);
	snprintf(text, sizeof text, "(pid %d)", pid);
	ck_assert_int_eq(take_lock(&lock, &err), FACT_NO);
	ck_assert_msg(strstr(err.text, text) != NULL && strstr(err.text, "qmail-send") != NULL, "%s", err.text);
	end_part(QMAIL_IS_SEND);
	end_part(QMAIL_IS_HELPER);
	ck_assert_int_eq(take_lock(&lock, &err), FACT_NO);
	ck_assert_ptr_nonnull(strstr(err.text, "tcpserver"));
	end_part(QMAIL_IS_LISTENER);
	ck_assert_uint_eq(count_part(QMAIL_IS_LISTENER), 1);	/* pop3d gives mail out only, and does not matter */
	ck_assert(pipe(in) == 0);
	inject = fork();
	if (inject == 0) {
		dup2(in[0], 0);
		close(in[1]);
		execl(qbox_path(&q, "bin/qmail-inject"), "qmail-inject", "b@example.test", (char *)NULL);
		_exit(1);
	}
	close(in[0]);
	await(in_queue, NULL, "qmail-queue runs");
	ck_assert_int_eq(take_lock(&lock, &err), FACT_NO);
	ck_assert_msg(strstr(err.text, "qmail-inject") != NULL || strstr(err.text, "qmail-queue") != NULL, "%s", err.text);
	close(in[1]);
	waitpid(inject, NULL, 0);
	ck_assert_msg(take_lock(&lock, &err) == FACT_YES, "%s", err.text);
	ck_assert_uint_eq(lock.held, 1);
	said = box_call(&mta_qmail, &q.params, box_start_f, 1500);
	ck_assert(!said->ok);
	ck_assert_msg(strstr(said->err.text, "no qmail-send") != NULL, "%s", said->err.text);
	ck_assert_uint_eq(count_part(QMAIL_IS_SEND) + count_part(QMAIL_IS_LISTENER), 1);
	queue_unlock(&lock);
	start();
}
END_TEST

START_TEST(a_foreign_queue_is_locked_by_its_own_lock_only)
{
	struct queue_layout layout;
	struct queue_lock lock = { .held = 0 }, second = { .held = 0 };
	struct err err = { 0 };
	char root[128];

	start();		/* this host's qmail does not work on it */
	snprintf(root, sizeof root, "%s/image", q.dir);
	qbox_queue(root);
	ck_assert(mta_qmail.layout(&q.params, root, NULL, &layout, &err));
	ck_assert_uint_eq(layout.built_split, 0);
	ck_assert_int_eq(mta_qmail.lock(&q.params, &layout, &lock, &err), FACT_YES);
	ck_assert_int_eq(mta_qmail.lock(&q.params, &layout, &second, &err), FACT_NO);
	queue_unlock(&lock);
	/* no such file: then no qmail-send can start either */
	snprintf(root, sizeof root, "%s/image/lock/sendmutex", q.dir);
	ck_assert(unlink(root) == 0);
	ck_assert_int_eq(mta_qmail.lock(&q.params, &layout, &lock, &err), FACT_YES);
	ck_assert_uint_eq(lock.held, 0);
	queue_layout_free(&layout);
}
END_TEST

/* ---------------------------------------------------------------- prepare, and what is not started on */

static void
spoil(const char *how)
{
	char path[256];

	if (strcmp(how, "control/me") == 0) {
		ck_assert(unlink(qbox_path(&q, how)) == 0);
	} else if (strcmp(how, "setuid") == 0) {
		ck_assert(chmod(qbox_path(&q, "bin/qmail-queue"), 0711) == 0);
	} else if (strcmp(how, "rspawn") == 0) {
		ck_assert(unlink(qbox_path(&q, "bin/qmail-rspawn")) == 0);
	} else if (strcmp(how, "cdb") == 0) {
		ck_assert(truncate(qbox_path(&q, "control/smtp.cdb"), 2000) == 0);
	} else if (strcmp(how, "table") == 0) {
		int fd = open(qbox_path(&q, "control/smtp.cdb"), O_WRONLY | O_CLOEXEC);

		ck_assert(pwrite(fd, "\xff\xff\xff\x7f", 4, 800) == 4);
		close(fd);
	} else if (strcmp(how, "down") == 0) {
		snprintf(path, sizeof path, "%s/down", q.service[QBOX_SMTPD]);
		ck_assert(unlink(path) == 0);
	} else if (strcmp(how, "supervise") == 0) {
		kill(q.watcher[QBOX_POP3D], q.how == QBOX_RUNIT ? SIGTERM : SIGKILL);
		waitpid(q.watcher[QBOX_POP3D], NULL, 0);
		q.watcher[QBOX_POP3D] = 0;
	} else if (strcmp(how, "service") == 0) {
		snprintf(path, sizeof path, "%s/nothing", q.dir);
		snprintf(q.service[QBOX_SMTPD], sizeof q.service[0], "%.127s", path);
	}
}

static const struct { const char *how, *says; enum qbox_how with; } spoilt[] = {
	{ "control/me", "control/me", QBOX_DIRECT }, { "setuid", "4711", QBOX_DIRECT }, { "rspawn", "qmail-rspawn", QBOX_DIRECT },
	{ "cdb", "no cdb", QBOX_DIRECT }, { "table", "damaged cdb", QBOX_DAEMONTOOLS }, { "down", "by itself at boot", QBOX_RUNIT },
	{ "supervise", "nobody supervises", QBOX_DAEMONTOOLS }, { "supervise", "nobody supervises", QBOX_RUNIT },
	{ "service", "no service", QBOX_DIRECT },
};

START_TEST(what_would_fail_is_known_before_and_nothing_is_begun)
{
	struct said *said;

	begin(spoilt[_i].with);
	spoil(spoilt[_i].how);
	said = box_call(&mta_qmail, &q.params, box_prepare_f, QBOX_PATIENCE_MS);
	ck_assert(said->ok);
	ck_assert_str_eq(box_said(said, "prepared"), "no");
	ck_assert_msg(strstr(box_said(said, "why"), spoilt[_i].says) != NULL, "%s", box_said(said, "why"));
	said = box_call(&mta_qmail, &q.params, box_start_f, QBOX_PATIENCE_MS);
	ck_assert(!said->ok);
	ck_assert_msg(strstr(said->err.text, spoilt[_i].says) != NULL, "%s", said->err.text);
	ck_assert_int_eq(runs(NULL), FACT_NO);
	ck_assert_uint_eq(count_part(QMAIL_IS_LISTENER), 0);
}
END_TEST

START_TEST(a_queue_of_another_split_is_not_started_on)
{
	struct said *said;

	for (int n = 11; n < QBOX_SPLIT; n++) {
		static const char *const places[] = { "mess", "info", "local", "remote" };

		for (size_t i = 0; i < 4; i++) {
			char path[64];

			snprintf(path, sizeof path, "queue/%s/%d", places[i], n);
			ck_assert(rmdir(qbox_path(&q, path)) == 0);
		}
	}
	said = box_call(&mta_qmail, &q.params, box_start_f, QBOX_PATIENCE_MS);
	ck_assert(!said->ok);
	ck_assert_ptr_nonnull(strstr(said->err.text, "conf-split"));
}
END_TEST

START_TEST(a_listener_without_qmail_send_is_told_on_a_standby)
{
	struct said *said;

	start();
	ck_assert_str_eq(box_said(box_call(&mta_qmail, &q.params, box_prepare_f, QBOX_PATIENCE_MS), "prepared"), "yes");
	end_part(QMAIL_IS_SEND);
	said = box_call(&mta_qmail, &q.params, box_prepare_f, QBOX_PATIENCE_MS);
	ck_assert_str_eq(box_said(said, "prepared"), "no");
	ck_assert_ptr_nonnull(strstr(box_said(said, "why"), "takes mail although"));
}
END_TEST

START_TEST(a_port_in_use_fails_with_its_service_and_takes_all_back)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(25), .sin_addr.s_addr = htonl(INADDR_ANY) };
	struct said *said;
	int fd;

	begin((enum qbox_how)_i);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert(bind(fd, (struct sockaddr *)&addr, sizeof addr) == 0 && listen(fd, 1) == 0);
	said = box_call(&mta_qmail, &q.params, box_start_f, 3000);
	ck_assert(!said->ok);
	ck_assert_msg(strstr(said->err.text, "qmail-smtpd") != NULL, "%s", said->err.text);
	ck_assert_int_eq(runs(NULL), FACT_NO);
	ck_assert_uint_eq(count_part(QMAIL_IS_LISTENER), 0);
	close(fd);
}
END_TEST

/* A directory of services as svscan has it: links to qmail's, and something else. */
static void
make_service_directory(void)
{
	char path[160], from[160];

	ck_assert(mkdir("/tmp/service", 0755) == 0 && mkdir("/tmp/service/other", 0755) == 0);
	qbox_script("/tmp/service/other/run", "exec something-else qmail");
	box_write("/tmp/service/other/down", "%s", "");
	for (int i = 0; i < QBOX_SERVICES; i++) {
		snprintf(from, sizeof from, "%s", q.service[i]);
		snprintf(path, sizeof path, "/tmp/service/%s", strrchr(from, '/') + 1);
		ck_assert(symlink(from, path) == 0);
	}
	ck_assert(access("/etc/service", F_OK) == 0 || mkdir("/etc/service", 0755) == 0);
	ck_assert(mount("/tmp/service", "/etc/service", NULL, MS_BIND, NULL) == 0);
	q.params.services = NULL;
}

static void
remove_service_directory(void)
{
	char path[160];

	ck_assert(umount2("/etc/service", MNT_DETACH) == 0);
	for (int i = 0; i < QBOX_SERVICES; i++) {
		snprintf(path, sizeof path, "/tmp/service/%s", strrchr(q.service[i], '/') + 1);
		unlink(path);
	}
	ck_assert(box_run("/bin/rm", "-r", "/tmp/service", NULL, NULL) == 0);
}

START_TEST(services_are_found_without_being_named)
{
	struct qmail_conf *conf = calloc(1, sizeof *conf);
	struct err err = { 0 };

	begin(QBOX_DAEMONTOOLS);
	make_service_directory();
	ck_assert_msg(qmail_conf_load(&q.params, conf, &err), "%s", err.text);
	ck_assert_uint_eq(conf->services, 3);
	for (size_t i = 0; i < conf->services; i++) {
		const struct qmail_service *svc = &conf->service[i];
		bool send = strstr(svc->path, "send") != NULL, pop = strstr(svc->path, "pop") != NULL;

		ck_assert(svc->supervised && svc->sends == send && svc->pop == pop && svc->listens == !send);
		ck_assert_int_eq(svc->cdb[0] != '\0', !send && !pop);
	}
	remove_service_directory();
	/* without them it is HOME/rc, and without that an error that says what to write */
	ck_assert(!qmail_conf_load(&q.params, conf, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "\"services\""));
	qbox_script(qbox_path(&q, "rc"), "exec env - PATH=%s/bin:$PATH qmail-start ./Mailbox splogger qmail", q.home);
	ck_assert(qmail_conf_load(&q.params, conf, &err));
	ck_assert_uint_eq(conf->services, 1);
	ck_assert(conf->service[0].sends && !conf->service[0].supervised);
	free(conf);
}
END_TEST

static bool
is_prepared(void *arg)
{
	(void)arg;
	return strcmp(box_said(box_call(&mta_qmail, &q.params, box_prepare_f, QBOX_PATIENCE_MS), "prepared"), "yes") == 0;
}

START_TEST(svscan_runs_them_and_svc_is_obeyed)
{
	size_t one = 1;
	pid_t svscan, pid;

	begin(QBOX_DAEMONTOOLS);
	qbox_unwatch(&q);
	make_service_directory();
	svscan = qbox_spawn("/usr/bin/svscan", "/etc/service");
	await(is_prepared, NULL, "svscan has its supervises");
	start();
	await_supervisors();
	box_send_mail();
	await(is_delivered, &one, "the message is delivered");
	runs(&pid);
	ck_assert(box_run("/usr/bin/svc", "-d", "/etc/service/qmail-send", NULL, NULL) == 0);
	await(is_down, &pid, "it is gone");
	ck_assert_int_eq(runs(NULL), FACT_NO);
	ck_assert_str_eq(box_said(start(), "orphans"), "");
	ck_assert_int_eq(runs(NULL), FACT_YES);
	stop(QBOX_PATIENCE_MS);
	ck_assert_int_eq(runs(NULL), FACT_NO);
	kill(svscan, SIGKILL);
	waitpid(svscan, NULL, 0);
	ck_assert(box_run("/usr/bin/svc", "-x", q.service[QBOX_SEND], q.service[QBOX_SMTPD], q.service[QBOX_POP3D]) == 0);
	remove_service_directory();
}
END_TEST

/* Who is let in, with what in the environment, is tcprules' and tcpserver's affair: the driver's question goes in as any. */
START_TEST(the_rules_of_tcpserver_are_heeded)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(25), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) },
	    from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 8) };
	struct err err = { 0 };
	char byte;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	start();
	ck_assert(bind(fd, (struct sockaddr *)&from, sizeof from) == 0 && connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0);
	ck_assert_int_eq(recv(fd, &byte, 1, 0), 0);	/* 127.0.0.9 is denied */
	close(fd);
	ck_assert_int_eq(mta_qmail.answers(&q.params, &err), MTA_ANSWERED);
	/* changed while it runs: tcpserver looks at its rules with each connection */
	ck_assert(!qbox_rules(&q, "127.0.0.1:perhaps\n") && qbox_rules(&q, ":deny\n"));
	ck_assert_int_eq(mta_qmail.answers(&q.params, &err), MTA_REFUSED);
}
END_TEST

static int
run(void)
{
	Suite *suite = suite_create("mta_qmail_found");
	TCase *tc = tcase_create("driver");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, running_is_the_lock_and_nothing_else);
	tcase_add_test(tc, deliveries_of_a_dead_qmail_send_are_ended_so_that_nothing_is_delivered_twice);
	tcase_add_loop_test(tc, who_is_restarted_by_its_supervisor_is_only_waited_for, QBOX_DAEMONTOOLS, QBOX_HOWS);
	tcase_add_test(tc, the_qmail_of_a_container_is_left_alone);
	tcase_add_test(tc, the_lock_is_refused_while_anybody_could_queue_mail_and_keeps_qmail_send_off);
	tcase_add_test(tc, a_foreign_queue_is_locked_by_its_own_lock_only);
	tcase_add_loop_test(tc, what_would_fail_is_known_before_and_nothing_is_begun, 0, (int)(sizeof spoilt / sizeof spoilt[0]));
	tcase_add_test(tc, a_queue_of_another_split_is_not_started_on);
	tcase_add_test(tc, a_listener_without_qmail_send_is_told_on_a_standby);
	tcase_add_loop_test(tc, a_port_in_use_fails_with_its_service_and_takes_all_back, 0, QBOX_HOWS);
	tcase_add_test(tc, services_are_found_without_being_named);
	tcase_add_test(tc, svscan_runs_them_and_svc_is_obeyed);
	tcase_add_test(tc, the_rules_of_tcpserver_are_heeded);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}

int
main(void)
{
	return box_enter(qbox_possible(), QBOX_NEEDS, run);
}
