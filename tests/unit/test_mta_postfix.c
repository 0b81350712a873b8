/*
 * tests/unit/test_mta_postfix.c - the Postfix driver with a real Postfix in a box: what a dead node
 * leaves behind, processes that do not want to end, noise in the log, and times.
 */
#include <sys/file.h>

#include "mta/postfix_proc.h"
#include "tests/unit/postfix_case.h"

/* All processes of the instance of that program ("": any). */
static size_t
processes(const char *program)
{
	static struct postfix_procs procs;
	struct postfix_conf *conf = calloc(1, sizeof *conf);
	struct postfix_instance inst;
	struct err err = { 0 };
	size_t n = 0;

	ck_assert_msg(postfix_conf_load(&box.params, conf, &err), "%s", err.text);
	ck_assert_msg(postfix_instance(conf, 0, &inst, &err), "%s", err.text);
	ck_assert(postfix_procs_find(&inst, &procs, &err));
	for (size_t i = 0; i < procs.len; i++)
		n += program[0] == '\0' || strcmp(procs.proc[i].program, program) == 0;
	free(conf);
	return n;
}

/* Pid file and sockets of a node that lost its power: the pid even belongs to someone here. */
START_TEST(what_a_dead_node_left_behind_is_told_from_a_live_master)
{
	char path[128];
	pid_t pid;

	started(start());
	ck_assert_int_eq(runs(&pid), FACT_YES);
	ck_assert(stop(10000)->ok);
	in_queue(path, sizeof path, "pid/master.pid");
	ck_assert_int_eq(access(path, F_OK), 0);
	box_write(path, "%d\n", getpid());
	ck_assert_int_eq(runs(&pid), FACT_NO);
	ck_assert_int_eq(pid, 0);
	started(start());
	ck_assert_int_eq(runs(&pid), FACT_YES);
	ck_assert_int_ne(pid, getpid());
	ck_assert_int_eq(kill(pid, 0), 0);
}
END_TEST

/* The pid file's text is worth nothing: the holder is found without it. */
START_TEST(the_master_is_found_by_its_lock_not_by_what_is_written)
{
	char path[128];
	pid_t pid, again;

	started(start());
	ck_assert_int_eq(runs(&pid), FACT_YES);
	in_queue(path, sizeof path, "pid/master.pid");
	box_write(path, "%d\n", getpid());
	ck_assert_int_eq(runs(&again), FACT_YES);
	ck_assert_int_eq(again, pid);
}
END_TEST

START_TEST(a_lock_held_by_a_stranger_is_never_taken_for_stopped)
{
	char path[128];
	struct said *said;
	pid_t pid;
	int fd;

	started(start());
	ck_assert(stop(10000)->ok);
	in_queue(path, sizeof path, "pid/master.pid");
	fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
	ck_assert_int_eq(runs(&pid), FACT_YES);
	said = stop(500);
	ck_assert(!said->ok);
	ck_assert_ptr_nonnull(strstr(said->err.text, "still held"));
	ck_assert_int_eq(kill(getpid(), 0), 0);
	close(fd);
	ck_assert_int_eq(runs(&pid), FACT_NO);
}
END_TEST

/* A client is in the midst of a session: its smtpd would keep the port. */
START_TEST(after_the_master_was_killed_a_new_one_starts_beside_no_old_qmgr)
{
	struct said *said;
	pid_t old, pid;
	int session;

	started(start());
	box_send_mail();
	session = box_connect();
	box_talk(session, NULL, "220");
	ck_assert_int_eq(runs(&old), FACT_YES);
	ck_assert_int_eq(kill(old, SIGKILL), 0);
	EVENTUALLY(runs(&pid) == FACT_NO);
	said = start();
	started(said);
	printf("master killed under a session, started again: %u ms (check %s ms", said->took_ms,
	    box_said(said, "check"));
	printf(", exec %s ms)\n", box_said(said, "exec"));
	EVENTUALLY(processes("qmgr") == 1);
	EVENTUALLY(processes("master") == 1);	/* one more while it forks */
	ck_assert_int_eq(runs(&pid), FACT_YES);
	ck_assert_int_ne(pid, old);
	/* an old smtpd that still listened would take some of these, and never answer */
	for (int i = 0; i < 20; i++) {
		struct err err = { 0 };

		box.params.probe_ms = 10000;
		ck_assert_msg(mta_postfix.answers(&box.params, &err) == MTA_ANSWERED, "%s", err.text);
	}
	box_send_mail();
	close(session);
}
END_TEST

START_TEST(a_stopped_master_hangs_and_is_found_and_ended)
{
	struct err err = { 0 };
	struct said *said;
	pid_t pid;

	started(start());
	ck_assert_int_eq(runs(&pid), FACT_YES);
	ck_assert_int_eq(kill(pid, SIGSTOP), 0);
	box.params.probe_ms = 200;
	ck_assert_int_eq(mta_postfix.answers(&box.params, &err), MTA_NO_ANSWER);
	ck_assert_int_eq(runs(&pid), FACT_YES);
	said = stop(10000);
	ck_assert_msg(said->ok, "%s", said->err.text);
	ck_assert_str_eq(box_said(said, "killed"), "");	/* it was woken to end in order */
	ck_assert_int_eq(runs(&pid), FACT_NO);
	ck_assert_uint_eq(processes(""), 0);
}
END_TEST

/*
 * Runs in the instance's directories and ignores TERM: program is a shell, copied beside Postfix's
 * own.
 */
static pid_t
stubborn(const char *program)
{
	int ready[2];
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		dup2(ready[1], STDOUT_FILENO);
		if (chdir(box.queue) == 0)
			execl(program, "stubborn", "-c", "trap '' TERM; echo; while :; do sleep 1; done",
			    (char *)NULL);
		_exit(1);
	}
	close(ready[1]);
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

START_TEST(who_ignores_term_is_killed_and_no_one_else)
{
	char dir[128], program[160], more[200];
	struct said *said;
	pid_t inside, outside;
	int status;

	snprintf(dir, sizeof dir, "%s/sbin", box.dir);
	ck_assert_int_eq(box_run("cp", "-a", "/usr/lib/postfix/sbin", dir, NULL), 0);
	snprintf(program, sizeof program, "%s/stubborn", dir);
	ck_assert_int_eq(box_run("cp", "/bin/sh", program, NULL, NULL), 0);
	snprintf(more, sizeof more, "daemon_directory = %s", dir);
	box_configure(&box, 'n', more);
	started(start());
	inside = stubborn(program);
	outside = stubborn("/bin/sh");		/* the same directory, but not Postfix's program */
	said = stop(5000);
	ck_assert_msg(said->ok, "%s", said->err.text);
	ck_assert_str_eq(box_said(said, "killed"), "1");
	ck_assert_int_eq(waitpid(inside, &status, 0), inside);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	ck_assert_int_eq(waitpid(outside, &status, WNOHANG), 0);
	kill(outside, SIGKILL);
	waitpid(outside, &status, 0);
}
END_TEST

START_TEST(a_port_in_use_fails_the_start_and_leaves_nothing_running)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(25),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct said *said;
	int on = 1;
	pid_t pid;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	said = start();
	ck_assert(!said->ok);
	ck_assert_ptr_nonnull(strstr(said->err.text, "mail log"));
	ck_assert_int_eq(runs(&pid), FACT_NO);
	EVENTUALLY(processes("") == 0);
	close(fd);
	started(start());
}
END_TEST

START_TEST(probes_leave_no_noise_in_the_mail_log)
{
	static const char *const noise[] = {
		"lost connection", "improper", "pipelining", "warning", "error", "timeout" };
	char path[128], text[65536];
	struct err err = { 0 };
	FILE *stream;
	size_t n;

	started(start());
	for (int i = 0; i < 20; i++)
		ck_assert_msg(mta_postfix.answers(&box.params, &err) == MTA_ANSWERED, "%s", err.text);
	ck_assert(stop(10000)->ok);
	snprintf(path, sizeof path, "%s/maillog", box.dir);
	stream = fopen(path, "re");
	ck_assert_ptr_nonnull(stream);
	n = fread(text, 1, sizeof text - 1, stream);
	text[n] = '\0';
	fclose(stream);
	ck_assert_ptr_nonnull(strstr(text, "quit=1 commands=1"));
	for (size_t i = 0; i < sizeof noise / sizeof noise[0]; i++)
		ck_assert_msg(strstr(text, noise[i]) == NULL, "%s in:\n%s", noise[i], text);
}
END_TEST

/* ---------------------------------------------------------------- times */

#define ROUNDS 5

static int
by_size(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double
median(double *values)
{
	qsort(values, ROUNDS, sizeof *values, by_size);
	return values[ROUNDS / 2];
}

/* MAIL_CONFIG=... DAEMON_DIR/master -w and nothing else: what cannot be undercut. */
static double
bare_start(void)
{
	char env[128];
	const char *const argv[] = { "/usr/lib/postfix/sbin/master", "-w", NULL };
	const char *const list[] = { env, "PATH=/bin:/usr/bin", NULL };
	const struct spawn_cmd cmd = { .argv = argv, .env = list };
	uint64_t began = clock_mono_us();

	snprintf(env, sizeof env, "MAIL_CONFIG=%s", box.conf);
	ck_assert_int_eq(spawn_run(&cmd, 10000, NULL, 0, NULL, 0, NULL), 0);
	return (double)(clock_mono_us() - began) / 1000;
}

static double
scripted(const char *verb)
{
	uint64_t began = clock_mono_us();

	ck_assert_int_eq(box_run("/usr/sbin/postfix", "-c", box.conf, verb, NULL), 0);
	return (double)(clock_mono_us() - began) / 1000;
}

START_TEST(a_prepared_start_costs_little_more_than_the_master_itself)
{
	double bare[ROUNDS], ours[ROUNDS], check[ROUNDS], exec[ROUNDS], stops[ROUNDS], script[ROUNDS],
	    script_stop[ROUNDS];
	uint64_t began;
	struct said *said;
	struct err err;

	box_configure(&box, 'y', "");		/* as Debian has it */
	said = prepare();
	ck_assert_str_eq(box_said(said, "prepared"), "yes");
	started(start());
	for (int i = 0; i < 20; i++)
		box_send_mail();
	EVENTUALLY(counts().deferred == 20);
	ck_assert(stop(10000)->ok);
	for (int i = 0; i < ROUNDS; i++) {
		bare[i] = bare_start();
		ck_assert(stop(10000)->ok);
		began = clock_mono_us();
		said = start();
		ours[i] = (double)(clock_mono_us() - began) / 1000;
		started(said);
		check[i] = strtod(box_said(said, "check"), NULL);
		exec[i] = strtod(box_said(said, "exec"), NULL);
		ck_assert_int_eq(mta_postfix.answers(&box.params, &err), MTA_ANSWERED);
		began = clock_mono_us();
		ck_assert(stop(10000)->ok);
		stops[i] = (double)(clock_mono_us() - began) / 1000;
		script[i] = scripted("start");
		script_stop[i] = scripted("stop");
		ck_assert(stop(10000)->ok);
	}
	printf("start: %.1f ms (check %.1f, exec %.1f), master -w alone %.1f ms, \"postfix start\" "
	    "%.1f ms; stop: %.1f ms, \"postfix stop\" %.1f ms\n", median(ours), median(check),
	    median(exec), median(bare), median(script), median(stops), median(script_stop));
	ck_assert(median(ours) < median(script) / 3);
}
END_TEST

static int
run(void)
{
	Suite *suite = suite_create("mta_postfix");
	TCase *tc = tcase_create("postfix");

	tcase_set_timeout(tc, 180);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, what_a_dead_node_left_behind_is_told_from_a_live_master);
	tcase_add_test(tc, the_master_is_found_by_its_lock_not_by_what_is_written);
	tcase_add_test(tc, a_lock_held_by_a_stranger_is_never_taken_for_stopped);
	tcase_add_test(tc, after_the_master_was_killed_a_new_one_starts_beside_no_old_qmgr);
	tcase_add_test(tc, a_stopped_master_hangs_and_is_found_and_ended);
	tcase_add_test(tc, who_ignores_term_is_killed_and_no_one_else);
	tcase_add_test(tc, a_port_in_use_fails_the_start_and_leaves_nothing_running);
	tcase_add_test(tc, probes_leave_no_noise_in_the_mail_log);
	tcase_add_test(tc, a_prepared_start_costs_little_more_than_the_master_itself);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}

int
main(void)
{
	return box_main(run);
}
