/*
 * tests/unit/test_control.c - the laws of supervisor/control.c, control_client.c and
 * control_parse.c, over real sockets. Each test forks a server (control_box.h) and is its client.
 */
#include "tests/unit/control_box.h"

/* ---------------------------------------------------------------- laws of the parser */

START_TEST(a_request_is_a_command_and_decoded_arguments)
{
	char line[] = "switchover to=mx%2f1 json=yes  reason=a%20b%3dc=d empty=";
	struct control_request request;
	struct err err;

	ck_assert(control_parse(line, &request, &err));
	ck_assert_str_eq(request.command, "switchover");
	ck_assert_uint_eq(request.args, 4);
	ck_assert(request.json);
	ck_assert_str_eq(control_arg(&request, "to"), "mx/1");
	ck_assert_str_eq(control_arg(&request, "reason"), "a b=c=d");
	ck_assert_str_eq(control_arg(&request, "empty"), "");
	ck_assert_ptr_eq(control_arg(&request, "absent"), NULL);
}
END_TEST

START_TEST(a_malformed_request_is_refused_and_the_result_untouched)
{
	static const char *const bad[] = {
	    "",
	    "   ",
	    "=",
	    "1abc",
	    "Status",
	    "status\t",
	    "st\xc3\xa4tus",
	    "status json",
	    "status =yes",
	    "status Key=1",
	    "status k=%",
	    "status k=%4",
	    "status k=%zz",
	    "status k=%00",
	    "status k=%0a",
	    "status k=\x1b[2J",
	    "status k=1 k=2",
	    "status json=maybe",
	    "status json=",
	    "-status",
	    "c a=1 b=1 c=1 d=1 e=1 f=1 g=1 h=1 i=1 j=1 k=1 l=1 m=1 n=1 o=1 p=1 q=1",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct control_request request, before;
		struct err err = { 0 };
		char *line = strdup(bad[i]);

		memset(&request, 0x5a, sizeof(request));
		before = request;
		ck_assert_msg(!control_parse(line, &request, &err), "accepted: %s", bad[i]);
		ck_assert_int_eq(memcmp(&request, &before, sizeof(request)), 0);
		ck_assert_str_ne(err.text, "");
		free(line);
	}
}
END_TEST

/* ---------------------------------------------------------------- laws of the server */

START_TEST(the_reply_has_out_lines_error_lines_and_the_exit_code)
{
	server_start(NULL, 0);
	ck_assert_str_eq(ask("echo text=a%0bx\n") + 0,
	    "e The request was not understood: the value of \"text\" "
	    "in the request is not well encoded.\nx 2\n");
	ck_assert_str_eq(ask("echo text=hello json=yes\n"), "o hello json 1\ne one\ne two\nx 3\n");
	server_stop();
}
END_TEST

START_TEST(garbage_is_answered_with_exit_2)
{
	char big[5000];

	server_start(NULL, 0);
	memset(big, 'a', sizeof(big));
	ck_assert_ptr_ne(strstr(ask_bytes(big, sizeof(big)), "too long.\nx 2\n"), NULL);
	ck_assert_ptr_ne(strstr(ask_bytes("echo\0x\n", 7), "NUL byte.\nx 2\n"), NULL);
	ck_assert_ptr_ne(strstr(ask("\n"), "empty.\nx 2\n"), NULL);
	ck_assert_ptr_ne(strstr(ask("GET / HTTP/1.1\r\n\r\n"), "command.\nx 2\n"), NULL);
	ck_assert_str_eq(ask("echo text=1\necho text=2\n"), "o 1 json 0\ne one\ne two\nx 3\n");
	server_stop();
}
END_TEST

START_TEST(a_request_may_come_byte_by_byte_and_half_closed)
{
	static const char line[] = "echo text=abc\n";
	char reply[256];
	int fd;

	server_start(NULL, 0);
	fd = dial();
	for (size_t i = 0; i < sizeof(line) - 1; i++)
		say(fd, line + i, 1);
	shutdown(fd, SHUT_WR);
	hear(fd, reply, sizeof(reply));
	ck_assert_str_eq(reply, "o abc json 0\ne one\ne two\nx 3\n");
	close(fd);
	server_stop();
}
END_TEST

START_TEST(half_a_request_is_cut_even_when_it_drips)
{
	char reply[256];
	int fd, drips = 0;
	struct pollfd pfd;

	server_start(NULL, 0);
	fd = dial();
	pfd = (struct pollfd){ .fd = fd, .events = POLLIN };
	do {		/* a byte each 100 ms must not buy more time */
		ck_assert_int_lt(drips++, 50);
		say(fd, "e", 1);
	} while (poll(&pfd, 1, 100) == 0);
	hear(fd, reply, sizeof(reply));
	ck_assert_str_eq(reply, "");
	close(fd);
	ck_assert_str_eq(ask("echo text=1\n"), "o 1 json 0\ne one\ne two\nx 3\n");
	server_stop();
}
END_TEST

START_TEST(a_long_reply_comes_whole_to_a_client_that_reads)
{
	char *reply = malloc(2000000);
	int fd;

	server_start(NULL, 0);
	fd = dial();
	say(fd, "much kib=1000\n", 14);
	ck_assert_int_eq(hear(fd, reply, 2000000), 1000 * 1024 + 4);
	ck_assert_str_eq(reply + 1000 * 1024, "x 0\n");
	close(fd);
	free(reply);
	server_stop();
}
END_TEST

START_TEST(a_slow_reader_is_cut_and_holds_up_nobody)
{
	char *reply = malloc(2000000);
	int fd;

	server_start(NULL, 0);
	fd = dial();
	say(fd, "much kib=1000\n", 14);
	for (int i = 0; i < 10; i++) { /* others are served meanwhile, and the time passes */
		ck_assert_str_eq(ask("echo text=1\n"), "o 1 json 0\ne one\ne two\nx 3\n");
		poll(NULL, 0, PATIENCE_MS / 5);
	}
	ck_assert_int_lt(hear(fd, reply, 2000000), 1000 * 1024);
	close(fd);
	free(reply);
	server_stop();
}
END_TEST

/* Lines come while others still wait to be sent. */
START_TEST(a_reply_made_in_steps_keeps_its_order)
{
	char *reply = malloc(2000000), want[16];
	size_t len = 0;
	int fd;

	patience_ms = 8000; /* each test is a process of its own, so this is for this one */
	server_start(NULL, 0);
	fd = dial();
	say(fd, "steps count=600\n", 16);
	poll(NULL, 0, 400);			/* until the kernel takes no more */
	for (int i = 0; i < 300;
	     i++) { /* as fast as it is written, so that something always waits */
		ssize_t n = recv(fd, reply + len, 1024, 0);

		ck_assert_int_gt(n, 0);
		len += (size_t)n;
		poll(NULL, 0, 1);
	}
	ck_assert_int_eq((ssize_t)len + hear(fd, reply + len, 1000000), 600 * 1024 + 4);
	for (int i = 0; i < 600; i++) {
		snprintf(want, sizeof(want), "o %06d ", i);
		ck_assert_int_eq(strncmp(reply + i * 1024, want, strlen(want)), 0);
	}
	ck_assert_str_eq(reply + 600 * 1024, "x 0\n");
	close(fd);
	free(reply);
	server_stop();
}
END_TEST

START_TEST(a_client_that_reads_nothing_of_many_small_replies_is_cut)
{
	char *reply = malloc(2000000);
	int fd;

	server_start(NULL, 0);
	fd = dial();
	say(fd, "steps count=500\n", 16);
	poll(NULL, 0, 500 * 2 + 2 * PATIENCE_MS);
	ck_assert_int_lt(hear(fd, reply, 2000000), 500 * 1024);
	close(fd);
	free(reply);
	server_stop();
}
END_TEST

START_TEST(a_reply_beyond_the_limit_cuts_the_client)
{
	char *reply = malloc(8000000);
	int fd;

	server_start(NULL, 0);
	fd = dial();
	say(fd, "much kib=4000\n", 14);
	ck_assert_int_lt(hear(fd, reply, 8000000), 1024 * 1024 + 1);
	close(fd);
	free(reply);
	ck_assert_str_eq(ask("echo text=1\n"), "o 1 json 0\ne one\ne two\nx 3\n");
	server_stop();
}
END_TEST

START_TEST(a_waiting_client_is_not_cut_and_a_gone_one_is_noticed)
{
	char reply[64];
	int fd, held;

	server_start(NULL, 0);
	held = dial();
	say(held, "hold first=begun\n", 17);
	shutdown(held, SHUT_WR);		/* that alone is not gone */
	fd = dial();
	say(fd, "watch\n", 6);
	poll(NULL, 0, 2 * PATIENCE_MS);		/* patience is with clients, not with handlers */
	ck_assert_str_eq(ask("gone\n"), "o there\nx 0\n");
	close(fd);
	for (int i = 0; strcmp(ask("gone\n"), "o gone\nx 0\n") != 0; i++)
		ck_assert_int_lt(i, 1000);
	ck_assert_int_eq(kill(server_pid, SIGUSR1), 0);
	hear(held, reply, sizeof(reply));
	ck_assert_str_eq(reply, "o begun\no held\nx 0\n");
	close(held);
	server_stop();
}
END_TEST

START_TEST(of_200_clients_the_first_64_are_served_and_the_others_told)
{
	char reply[256];
	int fd[200];

	server_start(NULL, 0);
	for (int i = 0; i < 200; i++) {
		fd[i] = dial();
		ck_assert_int_ne(fd[i], -1);
		say(fd[i], "hold\n", 5);
	}
	for (int i = CONTROL_CLIENTS_MAX; i < 200; i++) {
		hear(fd[i], reply, sizeof(reply));
		ck_assert_ptr_ne(strstr(reply, "busy"), NULL);
		ck_assert_ptr_ne(strstr(reply, "\nx 2\n"), NULL);
		close(fd[i]);
	}
	ck_assert_int_eq(kill(server_pid, SIGUSR1), 0);
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		hear(fd[i], reply, sizeof(reply));
		ck_assert_str_eq(reply, "o held\nx 0\n");
		close(fd[i]);
	}
	ck_assert_str_eq(ask("echo text=1\n"), "o 1 json 0\ne one\ne two\nx 3\n");
	server_stop();
}
END_TEST

START_TEST(without_descriptors_it_waits_and_does_not_spin)
{
	uint64_t before;
	int fd[40];

	server_start(NULL, 24);
	for (int i = 0; i < 40; i++)
		fd[i] = dial();
	before = server_cpu_ms();
	poll(NULL, 0, 300);
	ck_assert_uint_lt(server_cpu_ms() - before, 100);
	for (int i = 0; i < 40; i++)
		close(fd[i]);
	ck_assert_str_eq(ask("echo text=1\n"), "o 1 json 0\ne one\ne two\nx 3\n");
	server_stop();
}
END_TEST

START_TEST(the_server_ends_cleanly_while_clients_wait)
{
	int held, half, unread;

	server_start(NULL, 0);
	held = dial();
	say(held, "hold\n", 5);
	half = dial();
	say(half, "ech", 3);
	unread = dial();
	say(unread, "much kib=900\n", 13);
	ask("echo text=1\n");
	server_stop();
	close(held);
	close(half);
	close(unread);
}
END_TEST

START_TEST(a_stale_socket_is_replaced_and_a_live_one_is_not)
{
	struct loop *loop = loop_new();
	struct err err = { 0 };
	struct stat st;
	int fd;

	server_start(NULL, 0);
	ck_assert_ptr_eq(control_new(loop, path, NULL, answer, NULL, &err), NULL);
	ck_assert_ptr_ne(strstr(err.text, "another mailpaird"), NULL);
	ck_assert_str_eq(ask("echo text=1\n"), "o 1 json 0\ne one\ne two\nx 3\n");
	ck_assert_int_eq(kill(server_pid, SIGKILL), 0);
	waitpid(server_pid, NULL, 0);
	ck_assert_int_eq(access(path, F_OK), 0);
	server_start(NULL, 0);
	ck_assert_str_eq(ask("echo text=1\n"), "o 1 json 0\ne one\ne two\nx 3\n");
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0660);
	server_stop();

	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	ck_assert_int_ne(fd, -1);
	close(fd);
	ck_assert_ptr_eq(control_new(loop, path, NULL, answer, NULL, &err), NULL);
	ck_assert_ptr_ne(strstr(err.text, "not a socket"), NULL);
	ck_assert_int_eq(access(path, F_OK), 0);
	loop_free(loop);
}
END_TEST

START_TEST(an_old_server_leaves_the_socket_of_a_newer_one)
{
	struct loop *loop = loop_new();
	struct control *old, *now;
	char away[128];
	struct err err;

	old = control_new(loop, path, NULL, answer, NULL, &err);
	ck_assert_ptr_ne(old, NULL);
	snprintf(away, sizeof(away), "%s.old", path);
	ck_assert_int_eq(rename(path, away), 0);
	now = control_new(loop, path, NULL, answer, NULL, &err);
	ck_assert_ptr_ne(now, NULL);
	control_free(old);
	ck_assert_int_eq(access(path, F_OK), 0);
	control_free(now);
	ck_assert_int_eq(access(path, F_OK), -1);
	unlink(away);
	loop_free(loop);
}
END_TEST

START_TEST(an_unknown_group_and_a_long_path_are_errors)
{
	struct loop *loop = loop_new();
	char longer[200];
	struct err err = { 0 };

	ck_assert_ptr_eq(control_new(loop, path, "no-such-group", answer, NULL, &err), NULL);
	ck_assert_ptr_ne(strstr(err.text, "no-such-group"), NULL);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[0] = '/';
	longer[sizeof(longer) - 1] = '\0';
	ck_assert_ptr_eq(control_new(loop, longer, NULL, answer, NULL, &err), NULL);
	ck_assert_int_eq(err.sys, ENAMETOOLONG);
	loop_free(loop);
}
END_TEST

/* In a child with these identities: what does the server say? Exit 0 served, 1 refused, 2 no
 * connection. */
static int
ask_as(uid_t uid, gid_t gid, gid_t other)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		char reply[512] = "";
		int fd;

		if (setgroups(1, &other) == -1 || setresgid(gid, gid, gid) == -1 ||
		    setresuid(uid, uid, uid) == -1)
			_exit(9);
		fd = dial();
		if (fd == -1)
			_exit(2);
		say(fd, "echo text=1\n", 12);
		if (recv(fd, reply, sizeof(reply) - 1, 0) == -1)
			_exit(8);
		_exit(reply[0] == 'o' ? 0 : strstr(reply, "not permitted") != NULL ? 1 : 7);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

START_TEST(only_root_and_the_group_are_served)
{
	const struct group *gr = getgrnam("mail");
	gid_t mail, nobody = 65534;

	if (geteuid() != 0 || gr == NULL) {
		printf(
		    "skip: only_root_and_the_group_are_served needs root and a group \"mail\"\n");
		return;
	}
	mail = gr->gr_gid;
	ck_assert_int_eq(chmod(dir, 0755), 0);
	server_start("mail", 0);
	ck_assert_int_eq(ask_as(65534, nobody, nobody), 2);	/* already by the socket's mode */
	ck_assert_int_eq(ask_as(65534, mail, nobody), 0);
	ck_assert_int_eq(ask_as(65534, nobody, mail), 0);
	ck_assert_int_eq(chmod(path, 0666), 0);			/* even if somebody did this */
	ck_assert_int_eq(ask_as(65534, nobody, nobody), 1);
	ck_assert_int_eq(ask_as(65534, mail, nobody), 0);
	ck_assert_int_eq(ask_as(65534, nobody, mail), 0);
	server_stop();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("control");
	TCase *tc = tcase_create("control");

	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_request_is_a_command_and_decoded_arguments);
	tcase_add_test(tc, a_malformed_request_is_refused_and_the_result_untouched);
	tcase_add_test(tc, the_reply_has_out_lines_error_lines_and_the_exit_code);
	tcase_add_test(tc, garbage_is_answered_with_exit_2);
	tcase_add_test(tc, a_request_may_come_byte_by_byte_and_half_closed);
	tcase_add_test(tc, half_a_request_is_cut_even_when_it_drips);
	tcase_add_test(tc, a_long_reply_comes_whole_to_a_client_that_reads);
	tcase_add_test(tc, a_slow_reader_is_cut_and_holds_up_nobody);
	tcase_add_test(tc, a_reply_made_in_steps_keeps_its_order);
	tcase_add_test(tc, a_client_that_reads_nothing_of_many_small_replies_is_cut);
	tcase_add_test(tc, a_reply_beyond_the_limit_cuts_the_client);
	tcase_add_test(tc, a_waiting_client_is_not_cut_and_a_gone_one_is_noticed);
	tcase_add_test(tc, of_200_clients_the_first_64_are_served_and_the_others_told);
	tcase_add_test(tc, without_descriptors_it_waits_and_does_not_spin);
	tcase_add_test(tc, the_server_ends_cleanly_while_clients_wait);
	tcase_add_test(tc, a_stale_socket_is_replaced_and_a_live_one_is_not);
	tcase_add_test(tc, an_old_server_leaves_the_socket_of_a_newer_one);
	tcase_add_test(tc, an_unknown_group_and_a_long_path_are_errors);
	tcase_add_test(tc, only_root_and_the_group_are_served);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
