/*
 * tests/unit/test_mta_exim.c - the Exim driver with a real Exim in a box: crashes, deliveries under way, taken ports, second
 * instances.
 */
#include <dirent.h>
#include <poll.h>
#include <pthread.h>

#include "mta/exim_lock.h"
#include "mta/exim_queue.h"
#include "tests/unit/exim_box.h"

static struct box box;
static struct exim_box exim;
static struct err err;

static void
setup(void)
{
	box_make(&box);
	exim_box_make(&exim, &box);
	box.params.config = NULL;
}

static void
teardown(void)
{
	box_call(&mta_exim, &box.params, box_stop_f, 3000);
}

static struct said *
start(void)
{
	return box_call(&mta_exim, &box.params, box_start_f, 20000);
}

static void
started(void)
{
	struct said *said = start();

	ck_assert_msg(said->ok, "%s\n%s", said->err.text, said->out);
}

static struct said *
stop(uint32_t limit_ms)
{
	return box_call(&mta_exim, &box.params, box_stop_f, limit_ms);
}

static enum fact
runs(pid_t *ret_pid)
{
	*ret_pid = 0;
	return mta_exim.running(&box.params, ret_pid, &err);
}

static struct mta_queue_counts
counts(void)
{
	struct mta_queue_counts c;

	ck_assert_msg(mta_exim.count(&box.params, &c, &err), "%s", err.text);
	return c;
}

#define EVENTUALLY(condition) do {						\
	uint64_t until = clock_mono_ms() + 30000;				\
	while (!(condition) && clock_mono_ms() < until)				\
		poll(NULL, 0, 5);						\
	ck_assert(condition);							\
} while (0)

static void
mail_to(const char *recipient)
{
	int fd = box_connect();
	char line[128];

	snprintf(line, sizeof line, "RCPT TO:<%s>\r\n", recipient);
	box_talk(fd, NULL, "220");
	box_talk(fd, "HELO client.test\r\n", "250");
	box_talk(fd, "MAIL FROM:<a@box.test>\r\n", "250");
	box_talk(fd, line, "250");
	box_talk(fd, "DATA\r\n", "354");
	box_talk(fd, "Subject: x\r\n\r\nhello\r\n.\r\n", "250");
	box_talk(fd, "QUIT\r\n", "221");
	close(fd);
}

/* Everything of this Exim at once, as when the power fails. */
static void
kill_all(void)
{
	struct exim_processes *list = calloc(1, sizeof *list);
	struct exim_instance inst;
	size_t sent;

	ck_assert(exim_instance_of_tree(exim.spool, &inst, &err));
	do {
		ck_assert_int_ne(exim_processes(&inst, list, &err), FACT_UNKNOWN);
		exim_processes_end(&inst, list, SIGKILL, clock_mono_ms() + 2000, &sent);
	} while (list->len > 0);
	free(list);
}

static void
in_dir(char *buf, size_t size, const char *name)
{
	snprintf(buf, size, "%.90s/%s", box.dir, name);
}

START_TEST(a_start_after_a_crash_meets_stale_files_and_nothing_else)
{
	struct said *said;
	char path[160];
	pid_t pid;

	started();
	mail_to("b@far.test");
	kill_all();
	ck_assert_int_eq(runs(&pid), FACT_NO);
	in_dir(path, sizeof path, "run-exim/exim.pid");
	ck_assert_int_eq(access(path, F_OK), 0);
	box_write(path, "%d\n", (int)getpid());		/* by now somebody else's */
	ck_assert_int_eq(runs(&pid), FACT_NO);
	said = start();
	ck_assert_msg(said->ok, "%s", said->err.text);
	ck_assert_int_eq(runs(&pid), FACT_YES);
	ck_assert_int_eq(pid, (pid_t)strtol(box_said(said, "pid"), NULL, 10));
	ck_assert_int_eq(mta_exim.answers(&box.params, &err), MTA_ANSWERED);
	ck_assert_uint_eq(counts().total, 1);
}
END_TEST

/* Opens the gate of a delivery once the stop has begun to wait for it. */
static void *
open_gate(void *arg)
{
	char path[160];
	int fd;

	(void)arg;
	poll(NULL, 0, 300);
	in_dir(path, sizeof path, "gate");
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd != -1)
		close(fd);
	return NULL;
}

START_TEST(a_delivery_under_way_is_waited_for)
{
	pthread_t thread;
	struct said *said;

	started();
	mail_to("b@slow.test");
	EVENTUALLY(counts().active == 1);
	ck_assert_int_eq(pthread_create(&thread, NULL, open_gate, NULL), 0);
	said = stop(20000);
	pthread_join(thread, NULL);
	ck_assert_msg(said->ok, "%s", said->err.text);
	ck_assert_str_eq(box_said(said, "killed"), "");
	ck_assert_uint_eq(counts().total, 0);
	ck_assert_uint_ge(said->took_ms, 200);
}
END_TEST

START_TEST(a_delivery_that_does_not_end_is_ended_at_the_limit)
{
	struct said *said;

	started();
	mail_to("b@slow.test");
	EVENTUALLY(counts().active == 1);
	said = stop(2000);
	ck_assert_msg(said->ok, "%s", said->err.text);
	ck_assert_str_ne(box_said(said, "killed"), "");
	ck_assert_uint_le(said->took_ms, 3500);
	ck_assert_uint_eq(counts().total, 1);
}
END_TEST

static size_t
deliveries(void)
{
	struct exim_processes *list = calloc(1, sizeof *list);
	struct exim_instance inst;
	size_t n = 0;

	ck_assert(exim_instance_of_tree(exim.spool, &inst, &err));
	ck_assert_int_ne(exim_processes(&inst, list, &err), FACT_UNKNOWN);
	for (size_t i = 0; i < list->len; i++)
		n += list->at[i].role == EXIM_ROLE_DELIVERY;
	free(list);
	return n;
}

/* Of three that the run would go through, the one that it has begun is finished. */
START_TEST(a_queue_run_does_not_go_on_to_the_next_message)
{
	pthread_t thread;
	struct said *said;

	started();
	for (int i = 0; i < 3; i++)
		mail_to("b@slow.test");
	EVENTUALLY(counts().active == 3);
	kill_all();
	started();
	EVENTUALLY(deliveries() > 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, open_gate, NULL), 0);
	said = stop(20000);
	pthread_join(thread, NULL);
	ck_assert_msg(said->ok, "%s", said->err.text);
	ck_assert_str_eq(box_said(said, "killed"), "");
	ck_assert_uint_eq(counts().total, 2);
}
END_TEST

/* Nothing of it was acknowledged; and Exim sees a TERM only when its client sends more. */
START_TEST(a_client_that_has_fallen_silent_does_not_hold_up_a_stop)
{
	struct said *said;
	char reply[256];
	int fd;

	started();
	fd = box_connect();
	box_talk(fd, NULL, "220");
	box_talk(fd, "HELO client.test\r\n", "250");
	box_talk(fd, "MAIL FROM:<a@box.test>\r\n", "250");
	box_talk(fd, "RCPT TO:<b@far.test>\r\n", "250");
	box_talk(fd, "DATA\r\n", "354");
	ck_assert_int_eq(send(fd, "Subject: x\r\n\r\nhalf", 18, MSG_NOSIGNAL), 18);
	said = stop(20000);
	ck_assert_msg(said->ok, "%s", said->err.text);
	ck_assert_str_eq(box_said(said, "killed"), "1");
	ck_assert_uint_le(said->took_ms, 6000);
	ck_assert_int_le(recv(fd, reply, sizeof reply, 0), 0);
	close(fd);
	ck_assert_uint_eq(counts().total, 0);
}
END_TEST

START_TEST(a_client_between_two_commands_is_told)
{
	struct said *said;
	char reply[256];
	int fd;

	started();
	fd = box_connect();
	box_talk(fd, NULL, "220");
	box_talk(fd, "HELO client.test\r\n", "250");
	said = stop(20000);
	ck_assert_msg(said->ok, "%s", said->err.text);
	ck_assert_str_eq(box_said(said, "killed"), "");
	ck_assert_int_gt(recv(fd, reply, sizeof reply, 0), 3);
	ck_assert_mem_eq(reply, "421", 3);
	close(fd);
}
END_TEST

START_TEST(a_taken_port_is_told_before_exim_tries_for_minutes)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(25), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct said *said;

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof addr) | listen(fd, 1), 0);
	said = start();
	ck_assert(!said->ok);
	ck_assert_msg(strstr(said->err.text, "127.0.0.1 port 25") != NULL, "%s", said->err.text);
	ck_assert_uint_le(said->took_ms, 5000);
	close(fd);
	started();
}
END_TEST

START_TEST(a_spool_that_is_not_mounted_is_not_made)
{
	struct said *said;
	char path[160];

	in_dir(path, sizeof path, "spool/input");
	ck_assert_int_eq(rmdir(path) | rmdir(exim.spool), 0);
	said = start();
	ck_assert(!said->ok);
	ck_assert_msg(strstr(said->err.text, "mounted") != NULL, "%s", said->err.text);
	ck_assert_int_eq(access(exim.spool, F_OK), -1);
	ck_assert(stop(3000)->ok);
	ck_assert_int_eq(mkdir(exim.spool, 0750), 0);	/* root's: of a node with other numbers, or of nobody */
	said = start();
	ck_assert(!said->ok);
	ck_assert_msg(strstr(said->err.text, "uid 990") != NULL, "%s", said->err.text);
}
END_TEST

START_TEST(a_broken_configuration_is_told_in_exims_words_and_stops_nevertheless)
{
	struct said *said;
	pid_t pid;

	started();
	exim_box_configure(&exim, &box, EXIM_BOX_CONF, "no_such_option = 1");
	said = box_call(&mta_exim, &box.params, box_prepare_f, 20000);
	ck_assert_str_eq(box_said(said, "prepared"), "no");
	ck_assert_msg(strstr(box_said(said, "why"), "no_such_option") != NULL, "%s", box_said(said, "why"));
	ck_assert_int_eq(runs(&pid), FACT_YES);
	ck_assert(stop(5000)->ok);
	ck_assert_int_eq(runs(&pid), FACT_NO);
	ck_assert(!start()->ok);
}
END_TEST

START_TEST(a_changed_configuration_is_taken)
{
	pid_t pid;

	started();
	ck_assert(stop(5000)->ok);
	exim_box_configure(&exim, &box, EXIM_BOX_CONF, "split_spool_directory");
	started();
	mail_to("b@far.test");
	ck_assert_uint_eq(counts().total, 1);
	ck_assert_int_eq(runs(&pid), FACT_YES);
}
END_TEST

/* By -C, with a spool and a port of its own: neither is taken for the other. */
START_TEST(a_second_exim_is_somebody_elses)
{
	struct box second = box;
	struct exim_box other;
	char path[160];
	pid_t pid, other_pid = 0;

	snprintf(second.dir, sizeof second.dir, "%.40s/2", box.dir);
	ck_assert_int_eq(mkdir(second.dir, 0755), 0);
	exim_box_make(&other, &second);
	in_dir(path, sizeof path, "2/exim.conf");
	exim_box_configure(&other, &second, path, "");
	for (char *at = strstr(other.text, "daemon_smtp_ports = 25"); at != NULL; at = NULL)
		memcpy(at, "daemon_smtp_ports = 26", 22);
	box_write(path, "%s", other.text);
	box_write("/etc/exim4/trusted_configs", "%s\n", path);
	exim_box_configure(&exim, &box, EXIM_BOX_CONF, "");

	second.params.config = path;
	snprintf(second.run, sizeof second.run, "%.80s/run", second.dir);
	ck_assert_int_eq(mkdir(second.run, 0755), 0);
	second.params.run_dir = second.run;
	started();
	ck_assert_int_eq(mta_exim.running(&second.params, &other_pid, &err), FACT_NO);
	ck_assert_msg(box_call(&mta_exim, &second.params, box_start_f, 20000)->ok, "second");
	ck_assert(stop(5000)->ok);
	ck_assert_int_eq(runs(&pid), FACT_NO);
	ck_assert_int_eq(mta_exim.running(&second.params, &other_pid, &err), FACT_YES);
	ck_assert_int_eq(mta_exim.answers(&second.params, &err), MTA_ANSWERED);
	ck_assert(box_call(&mta_exim, &second.params, box_stop_f, 5000)->ok);
	ck_assert_int_eq(mta_exim.running(&second.params, &other_pid, &err), FACT_NO);
}
END_TEST

START_TEST(the_spool_is_free_only_where_nobody_writes_to_it)
{
	struct queue_lock lock = { .held = 9 };
	struct queue_layout layout;
	pid_t pid;

	started();
	ck_assert(mta_exim.layout(&box.params, NULL, NULL, &layout, &err));
	ck_assert_str_eq(layout.root, exim.spool);
	ck_assert_uint_eq(layout.id_length, EXIM_ID_SHORT);
	ck_assert_int_eq(mta_exim.lock(&box.params, &layout, &lock, &err), FACT_NO);
	ck_assert_msg(strstr(err.text, "daemon") != NULL, "%s", err.text);
	mail_to("b@slow.test");
	EVENTUALLY(counts().active == 1);
	ck_assert_int_eq(runs(&pid), FACT_YES);
	ck_assert_int_eq(kill(pid, SIGTERM), 0);
	EVENTUALLY(runs(&pid) == FACT_NO);
	/* a delivery is still there, and perhaps the queue runner that began it */
	ck_assert_int_eq(mta_exim.lock(&box.params, &layout, &lock, &err), FACT_NO);
	ck_assert_msg(strstr(err.text, "daemon") == NULL, "%s", err.text);
	ck_assert_uint_eq(lock.held, 9);
	ck_assert(stop(2000)->ok);
	ck_assert_int_eq(mta_exim.lock(&box.params, &layout, &lock, &err), FACT_YES);
	ck_assert_uint_eq(lock.held, 0);
	queue_layout_free(&layout);
}
END_TEST

/* The body file of the only message. */
static void
body_path(char *buf, size_t size)
{
	char pattern[160];
	DIR *dir;
	const struct dirent *entry;

	snprintf(pattern, sizeof pattern, "%.120s/input", exim.spool);
	dir = opendir(pattern);
	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir)) != NULL)
		if (strlen(entry->d_name) > 2 && strcmp(entry->d_name + strlen(entry->d_name) - 2, "-D") == 0)
			snprintf(buf, size, "input/%s", entry->d_name);
	closedir(dir);
}

START_TEST(a_message_is_locked_as_exim_does)
{
	char path[160] = "";
	int root, fd = -1;

	started();
	mail_to("b@slow.test");
	EVENTUALLY(counts().active == 1);
	root = open(exim.spool, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	body_path(path, sizeof path);
	ck_assert_int_eq(exim_message_lock(root, path, &fd, &err), FACT_NO);
	ck_assert_int_eq(exim_message_lock(root, "input/none-D", &fd, &err), FACT_UNKNOWN);
	ck_assert(stop(2000)->ok);
	ck_assert_int_eq(exim_message_lock(root, path, &fd, &err), FACT_YES);
	started();			/* it finds the message locked and leaves it */
	mail_to("b@far.test");
	ck_assert_uint_eq(counts().active, 1);
	close(fd);
	close(root);
}
END_TEST

/* What is compiled in or set is known without a question: of a copy the tree is asked. */
START_TEST(the_layout_of_a_tree_is_read_off_it)
{
	static const char *const made[] = { "spool/input/9", "spool/work", "spool/work/input", "spool/work/input/x", "spool/log", "spool/other" };
	struct queue_owners owners;
	struct queue_layout layout;
	char path[160];
	size_t named = 0;

	for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) {
		in_dir(path, sizeof path, made[i]);
		ck_assert_int_eq(mkdir(path, 0750), 0);
	}
	in_dir(path, sizeof path, "spool/input/9/1xUsW9-00000000abc-00Ab-H");
	box_write(path, "x");
	ck_assert(queue_owners_parse("user exim 31\ngroup exim 32\n", "test", &owners, &err));
	ck_assert_msg(mta_exim.layout(&box.params, exim.spool, &owners, &layout, &err), "%s", err.text);
	ck_assert(layout.split_spool);
	ck_assert_uint_eq(layout.id_length, EXIM_ID_LONG);
	ck_assert_uint_eq(layout.place[0].uid, 31);
	ck_assert_uint_eq(layout.place[0].gid, 32);
	for (size_t i = 0; i < layout.places; i++)
		named += exim_queue_number(layout.place[i].kind) == EXIM_QUEUE_NAMED && strncmp(layout.place[i].path, "work/", 5) == 0;
	ck_assert_uint_eq(named, 2);
	queue_layout_free(&layout);
	ck_assert(queue_owners_parse("user postfix 31\n", "test", &owners, &err));
	ck_assert(!mta_exim.layout(&box.params, exim.spool, &owners, &layout, &err));
	ck_assert(mta_exim.layout(&box.params, exim.spool, NULL, &layout, &err));
	ck_assert_uint_eq(layout.place[0].uid, EXIM_BOX_UID);
	queue_layout_free(&layout);
}
END_TEST

static int
run(void)
{
	Suite *suite = suite_create("mta_exim");
	TCase *tc = tcase_create("driver");

	if (!exim_box_install()) {
		printf("skipped: Exim is neither installed nor below build/exim (make deps)\n0 passed, 0 failed\n");
		return 0;
	}
	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_start_after_a_crash_meets_stale_files_and_nothing_else);
	tcase_add_test(tc, a_delivery_under_way_is_waited_for);
	tcase_add_test(tc, a_delivery_that_does_not_end_is_ended_at_the_limit);
	tcase_add_test(tc, a_queue_run_does_not_go_on_to_the_next_message);
	tcase_add_test(tc, a_client_that_has_fallen_silent_does_not_hold_up_a_stop);
	tcase_add_test(tc, a_client_between_two_commands_is_told);
	tcase_add_test(tc, a_taken_port_is_told_before_exim_tries_for_minutes);
	tcase_add_test(tc, a_spool_that_is_not_mounted_is_not_made);
	tcase_add_test(tc, a_broken_configuration_is_told_in_exims_words_and_stops_nevertheless);
	tcase_add_test(tc, a_changed_configuration_is_taken);
	tcase_add_test(tc, a_second_exim_is_somebody_elses);
	tcase_add_test(tc, the_spool_is_free_only_where_nobody_writes_to_it);
	tcase_add_test(tc, a_message_is_locked_as_exim_does);
	tcase_add_test(tc, the_layout_of_a_tree_is_read_off_it);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}

int
main(void)
{
	return box_main(run);
}
