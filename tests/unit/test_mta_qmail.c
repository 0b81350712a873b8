/*
 * tests/unit/test_mta_qmail.c - starting and stopping qmail: services under supervise, runsv and nobody, with real
 * tcpserver and stand-ins for qmail's programs. What is stopped first, what is waited for, what is ended by force.
 */
#include "tests/unit/qmail_case.h"

/* ---------------------------------------------------------------- start, stop */

START_TEST(it_starts_takes_mail_delivers_and_stops_under_every_supervisor)
{
	struct said *said;
	struct err err = { 0 };
	char pid[32];
	size_t one = 1;
	pid_t main_pid;

	begin((enum qbox_how)_i);
	ck_assert_int_eq(runs(&main_pid), FACT_NO);
	said = start();
	snprintf(pid, sizeof pid, "%.31s", box_said(said, "pid"));
	ck_assert_int_eq(runs(&main_pid), FACT_YES);
	ck_assert_int_eq(main_pid, (int)strtol(pid, NULL, 10));
	ck_assert_int_eq(mta_qmail.answers(&q.params, &err), MTA_ANSWERED);
	box_send_mail();
	await(is_delivered, &one, "the message is delivered");
	ck_assert_str_eq(box_said(start(), "pid"), pid);	/* a second one changes nothing */
	said = stop(QBOX_PATIENCE_MS);
	ck_assert_str_eq(box_said(said, "killed"), "");
	ck_assert_int_eq(runs(NULL), FACT_NO);
	ck_assert_int_eq(mta_qmail.answers(&q.params, &err), MTA_REFUSED);
	for (enum qmail_part part = QMAIL_IS_SEND; part < QMAIL_PART_COUNT; part++)
		ck_assert_uint_eq(count_part(part), 0);
	stop(QBOX_PATIENCE_MS);
	start();
	ck_assert_int_eq(runs(NULL), FACT_YES);
}
END_TEST

START_TEST(a_stop_waits_for_the_delivery_in_flight)
{
	struct said *said;
	pid_t child;

	begin((enum qbox_how)_i);
	delivery_in_flight();
	child = while_it_stops(open_gate);
	said = stop(QBOX_PATIENCE_MS);
	await_child(child);
	ck_assert_str_eq(box_said(said, "killed"), "");
	ck_assert_uint_eq(delivered(), 1);
	ck_assert_uint_eq(queued(), 0);
}
END_TEST

/* In a child: no connection is taken any more while the old delivery goes on. */
static void
nobody_is_let_in(void)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(25), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert(connect(fd, (struct sockaddr *)&addr, sizeof addr) == -1 && errno == ECONNREFUSED);
	ck_assert_uint_eq(count_part(QMAIL_IS_DELIVERY), 1);
	open_gate();
}

START_TEST(the_listeners_go_first)
{
	pid_t child;

	begin((enum qbox_how)_i);
	delivery_in_flight();
	child = while_it_stops(nobody_is_let_in);
	stop(QBOX_PATIENCE_MS);
	await_child(child);
}
END_TEST

/* qmail-remote dies of TERM, qmail-rspawn says so, and qmail-send puts the message off and ends in order. */
START_TEST(a_delivery_that_does_not_end_is_put_off_by_its_own_qmail_send)
{
	struct said *said;

	delivery_in_flight();
	said = stop(1200);
	ck_assert_str_eq(box_said(said, "killed"), "");
	ck_assert_uint_ge(said->took_ms, 900);		/* three quarters of the time were its own */
	ck_assert_uint_eq(delivered(), 0);
	ck_assert_uint_eq(queued(), 1);
}
END_TEST

START_TEST(what_hears_no_term_is_killed_and_told)
{
	struct said *said;

	begin((enum qbox_how)_i);
	box_write(qbox_path(&q, "stubborn"), "%s", "");
	delivery_in_flight();
	said = stop(1600);
	ck_assert_str_ne(box_said(said, "killed"), "");
	ck_assert_int_eq(runs(NULL), FACT_NO);
	ck_assert_uint_eq(queued(), 1);
}
END_TEST

static bool
stop_in_a_hurry(const struct mta_driver *d, const struct mta_params *p, uint32_t ms, struct spawn_out *out, struct err *err)
{
	(void)ms;
	return d->stop(p, 0, out, err);
}

START_TEST(in_a_hurry_nothing_is_waited_for)
{
	struct said *said;

	begin((enum qbox_how)_i);
	delivery_in_flight();
	said = box_call(&mta_qmail, &q.params, stop_in_a_hurry, 5000);
	ck_assert_msg(said->ok, "%s", said->err.text);
	ck_assert_str_ne(box_said(said, "killed"), "");
	ck_assert_int_eq(runs(NULL), FACT_NO);
}
END_TEST

/* ---------------------------------------------------------------- sessions */

static int session, idle;

/* In a child: goes on once the idle session was ended. */
static void
end_of_message(void)
{
	char byte;

	ck_assert_int_eq(recv(idle, &byte, 1, 0), 0);
	box_talk(session, "hello\r\n.\r\n", "250");
}

static void
begin_message(void)
{
	box_talk(session, NULL, "220");
	box_talk(session, "HELO client.test\r\n", "250");
	box_talk(session, "MAIL FROM:<a@box.test>\r\n", "250");
	box_talk(session, "RCPT TO:<b@example.test>\r\n", "250");
	box_talk(session, "DATA\r\n", "354");
	await(in_queue, NULL, "qmail-queue runs");
}

START_TEST(a_message_that_is_being_taken_is_finished_and_an_idle_session_is_ended)
{
	struct said *said;
	pid_t child;

	begin((enum qbox_how)_i);
	start();
	await_supervisors();
	idle = box_connect();
	box_talk(idle, NULL, "220");
	session = box_connect();
	begin_message();
	child = while_it_stops(end_of_message);
	said = stop(QBOX_PATIENCE_MS);
	await_child(child);
	ck_assert_str_eq(box_said(said, "killed"), "");
	ck_assert_uint_eq(queued(), 1);		/* qmail-send had gone: it waits in todo for the next one */
	close(idle);
	close(session);
}
END_TEST

/* One line, one reply; false: the connection was ended. */
static bool
exchange(int fd, const char *line, const char *code)
{
	char reply[256];
	ssize_t n;

	if (line != NULL && send(fd, line, strlen(line), MSG_NOSIGNAL) == -1)
		return false;
	n = recv(fd, reply, sizeof reply - 1, 0);
	ck_assert(n <= 0 || strncmp(reply, code, 3) == 0);
	return n > 0;
}

/* In a child: message after message in one session until it is ended. */
static void
send_without_pause(const char *record)
{
	static const char *const talk[] = { "MAIL FROM:<a@box.test>\r\n", "RCPT TO:<b@example.test>\r\n" };
	int fd = box_connect(), acked = 0;
	bool more = exchange(fd, NULL, "220");

	while (more) {
		more = exchange(fd, talk[0], "250") && exchange(fd, talk[1], "250") && exchange(fd, "DATA\r\n", "354");
		if (!more)
			break;
		more = exchange(fd, "Subject: x\r\n\r\nhello\r\n.\r\n", "250");
		ck_assert_msg(more, "ended between the last dot and the 250");
		box_write(qbox_path(&q, record), "%d\n", ++acked);
	}
	close(fd);
}

static const char *const records[] = { "acked.0", "acked.1", "acked.2", "acked.3" };

static bool
are_acked(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < 4; i++)
		if (access(qbox_path(&q, records[i]), F_OK) == -1)
			return false;
	return true;
}

START_TEST(sessions_that_send_without_pause_are_ended_between_two_messages)
{
	struct said *said;
	pid_t child[4];

	start();
	for (size_t i = 0; i < 4; i++) {
		child[i] = fork();
		if (child[i] == 0) {
			send_without_pause(records[i]);
			_exit(0);
		}
	}
	await(are_acked, NULL, "messages are taken in all sessions");
	said = stop(QBOX_PATIENCE_MS);
	for (size_t i = 0; i < 4; i++)
		await_child(child[i]);
	ck_assert_str_eq(box_said(said, "killed"), "");
	ck_assert_uint_lt(said->took_ms, QBOX_PATIENCE_MS / 4);
}
END_TEST

/* Service addresses go before the mail program is stopped. */
START_TEST(a_session_whose_address_has_gone_is_not_waited_for)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(25) };
	struct said *said;

	ck_assert(inet_pton(AF_INET, "198.51.100.7", &addr.sin_addr) == 1);
	ck_assert(box_run("/bin/sh", "-c", "ip addr add 198.51.100.7/32 dev lo", NULL, NULL) == 0);
	start();
	session = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert(connect(session, (struct sockaddr *)&addr, sizeof addr) == 0);
	begin_message();
	ck_assert(box_run("/bin/sh", "-c", "ip addr del 198.51.100.7/32 dev lo", NULL, NULL) == 0);
	said = stop(QBOX_PATIENCE_MS);
	ck_assert_str_eq(box_said(said, "killed"), "");
	ck_assert_uint_lt(said->took_ms, QBOX_PATIENCE_MS / 4);
	ck_assert_uint_eq(queued(), 0);
	close(session);
}
END_TEST

START_TEST(a_client_that_never_ends_its_message_is_cut_off_and_nothing_is_acknowledged)
{
	struct said *said;

	start();
	session = box_connect();
	begin_message();
	said = stop(1600);
	ck_assert_str_eq(box_said(said, "killed"), "");	/* without its client qmail-queue ends by itself */
	ck_assert_uint_eq(queued(), 0);
	close(session);
}
END_TEST

static int
run(void)
{
	Suite *suite = suite_create("mta_qmail");
	TCase *tc = tcase_create("driver");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, it_starts_takes_mail_delivers_and_stops_under_every_supervisor, 0, QBOX_HOWS);
	tcase_add_loop_test(tc, a_stop_waits_for_the_delivery_in_flight, 0, QBOX_HOWS);
	tcase_add_loop_test(tc, the_listeners_go_first, 0, QBOX_HOWS);
	tcase_add_test(tc, a_delivery_that_does_not_end_is_put_off_by_its_own_qmail_send);
	tcase_add_loop_test(tc, what_hears_no_term_is_killed_and_told, 0, QBOX_HOWS);
	tcase_add_loop_test(tc, in_a_hurry_nothing_is_waited_for, 0, QBOX_HOWS);
	tcase_add_loop_test(tc, a_message_that_is_being_taken_is_finished_and_an_idle_session_is_ended, 0, QBOX_HOWS);
	tcase_add_test(tc, sessions_that_send_without_pause_are_ended_between_two_messages);
	tcase_add_test(tc, a_session_whose_address_has_gone_is_not_waited_for);
	tcase_add_test(tc, a_client_that_never_ends_its_message_is_cut_off_and_nothing_is_acknowledged);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}

int
main(void)
{
	return box_enter(qbox_possible(), QBOX_NEEDS, run);
}
