/*
 * tests/unit/test_smtp_probe.c - the dialogue against servers that behave, misbehave and do
 * nothing: each is a forked child on a loopback port of the kernel's choice.
 */
#include "mta/smtp_probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/unit/harness.h"

#define LIMIT_MS 300
#define SLACK_MS 5000	/* the machine may be busy; the servers below would hold us for ever */

static struct smtp_target target;
static pid_t server_pid;
static char *heard;		/* shared with the server: what the client said before its greeting, and all */

static void
say(int fd, const char *text)
{
	if (send(fd, text, strlen(text), MSG_NOSIGNAL) == -1)
		_exit(0);
}

/* Waits for the client's line, notes it. */
static void
hear(int fd)
{
	char buf[256];
	ssize_t n = recv(fd, buf, sizeof buf - 1, 0);

	if (n > 0)
		strncat(heard, buf, (size_t)n);
}

static void
until_closed(int fd)
{
	char buf[256];

	while (recv(fd, buf, sizeof buf, 0) > 0)
		continue;
}

static void
serve(int family, void (*behave)(int fd))
{
	struct sockaddr_storage addr = { .ss_family = (sa_family_t)family };
	socklen_t len = family == AF_INET ? sizeof (struct sockaddr_in) : sizeof (struct sockaddr_in6);
	int listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;

	if (family == AF_INET)
		((struct sockaddr_in *)&addr)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		((struct sockaddr_in6 *)&addr)->sin6_addr = in6addr_loopback;
	ck_assert_int_ne(listener, -1);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&addr, len), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
	target.addr = addr;
	target.len = len;
	if (behave == NULL) {		/* nobody listens there now */
		close(listener);
		return;
	}
	server_pid = fork();
	if (server_pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fd = accept(listener, NULL, NULL);
		behave(fd);
		close(fd);
		_exit(0);
	}
	close(listener);
}

static void
setup(void)
{
	heard = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(heard, MAP_FAILED);
	server_pid = 0;
}

static void
teardown(void)
{
	if (server_pid > 0) {
		kill(server_pid, SIGKILL);
		waitpid(server_pid, NULL, 0);
	}
	munmap(heard, 4096);
}

/* Asks, and checks that the limit was kept and that whatever is not good has a sentence. */
static enum mta_answer
ask(struct err *err)
{
	uint64_t began = clock_mono_ms();
	enum mta_answer answer;

	memset(err, 0, sizeof *err);
	answer = smtp_probe(&target, LIMIT_MS, err);
	ck_assert_uint_le(clock_mono_ms() - began, LIMIT_MS + SLACK_MS);
	ck_assert_int_eq(err->text[0] == '\0', answer == MTA_ANSWERED);
	return answer;
}

static void
polite(int fd)
{
	say(fd, "220 mail.example ESMTP\r\n");
	hear(fd);
	say(fd, "221 2.0.0 Bye\r\n");
	until_closed(fd);
}

static void
in_many_lines(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	say(fd, "220-mail.example wait\r\n220-");
	if (poll(&pfd, 1, 100) > 0)		/* pregreeting: exactly what postscreen punishes */
		strncat(heard, "EARLY ", 8);
	say(fd, "still\r\n220 go\r\n");
	hear(fd);
	say(fd, "221-2.0.0 Bye\r\n221 now\r\n");
	until_closed(fd);
}

static void
silent(int fd)
{
	until_closed(fd);
}

static void
dripping(int fd)
{
	for (int i = 0; ; i++) {
		say(fd, i == 0 ? "220-" : "x");
		poll(NULL, 0, 20);
	}
}

static void
too_busy(int fd)
{
	say(fd, "421 4.3.2 try later\r\n");
}

static void
unwilling(int fd)
{
	say(fd, "554-no\r\n554 SMTP here\r\n");
	hear(fd);
	say(fd, "221 Bye\r\n");
	until_closed(fd);
}

static void
gone_after_greeting(int fd)
{
	say(fd, "220 mail.example ESMTP\r\n");
}

static void
gone_at_once(int fd)
{
	(void)fd;
}

static void
reset(int fd)
{
	struct linger hard = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
}

static void
endless(int fd)
{
	for (;;)
		say(fd, "220 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
}

static void
endless_lines(int fd)
{
	for (;;)
		say(fd, "220-and one more\r\n");
}

static void
other_protocol(int fd)
{
	say(fd, "SSH-2.0-\x1b[31mred\r\n");
	until_closed(fd);
}

static void
deaf_to_quit(int fd)
{
	say(fd, "220 mail.example ESMTP\r\n");
	until_closed(fd);
}

static void
rude_to_quit(int fd)
{
	say(fd, "220 mail.example ESMTP\r\n");
	hear(fd);
	say(fd, "500 what\r\n");
	until_closed(fd);
}

START_TEST(an_orderly_dialogue_is_an_answer)
{
	struct err err;

	serve(AF_INET, polite);
	ck_assert_int_eq(ask(&err), MTA_ANSWERED);
	ck_assert_str_eq(heard, "QUIT\r\n");
}
END_TEST

START_TEST(ipv6_is_asked_as_ipv4_is)
{
	struct err err;

	serve(AF_INET6, polite);
	ck_assert_int_eq(ask(&err), MTA_ANSWERED);
}
END_TEST

START_TEST(nothing_is_said_before_the_last_line_of_the_greeting)
{
	struct err err;

	serve(AF_INET, in_many_lines);
	ck_assert_int_eq(ask(&err), MTA_ANSWERED);
	ck_assert_str_eq(heard, "QUIT\r\n");
}
END_TEST

static const struct { void (*behave)(int); enum mta_answer answer; const char *text; } faulty[] = {
	{ NULL,			MTA_REFUSED,	"refused" },
	{ silent,		MTA_NO_ANSWER,	"no greeting" },
	{ dripping,		MTA_NO_ANSWER,	"in time" },
	{ too_busy,		MTA_REFUSED,	"421 4.3.2 try later" },
	{ unwilling,		MTA_REFUSED,	"554 SMTP here" },
	{ gone_after_greeting,	MTA_REFUSED,	"" },
	{ gone_at_once,		MTA_REFUSED,	"without a greeting" },
	{ reset,		MTA_REFUSED,	"" },
	{ endless,		MTA_REFUSED,	"no SMTP reply" },
	{ endless_lines,	MTA_REFUSED,	"no SMTP reply" },
	{ other_protocol,	MTA_REFUSED,	"SSH-2.0-?[31mred" },
	{ deaf_to_quit,		MTA_NO_ANSWER,	"reply to QUIT" },
	{ rude_to_quit,		MTA_REFUSED,	"500 what" },
};

START_TEST(whoever_serves_no_mail_is_told_apart_within_the_limit)
{
	struct err err;

	serve(AF_INET, faulty[_i].behave);
	ck_assert_int_eq(ask(&err), faulty[_i].answer);
	ck_assert_msg(strstr(err.text, faulty[_i].text) != NULL, "%s", err.text);
	ck_assert_ptr_null(strchr(err.text, '\n'));
}
END_TEST

/* The question could not be put: that is no fault of the service. */
START_TEST(an_address_without_a_route_says_nothing_of_the_service)
{
	struct err err;

	/* IPv6 multicast: connect() is refused by the kernel itself */
	ck_assert(smtp_target_parse("[ff02::1]:25", &target, &err));
	ck_assert_int_eq(ask(&err), MTA_ANSWER_UNKNOWN);
}
END_TEST

START_TEST(addresses_are_numbers_with_a_port)
{
	static const char *const good[] = { "127.0.0.1:25", "[::1]:2525", "[2001:db8::1]:65535" };
	static const char *const bad[] = {
		"", ":", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:25x",
		"localhost:25", "::1:25", "[::1]25", "[::1:25", "[]:25", "[127.0.0.1:25", ":25",
		"1111111111111111111111111111111111111111111111111111111111:25" };
	struct smtp_target ret, before;
	struct err err;

	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		ck_assert_msg(smtp_target_parse(good[i], &ret, &err), "%s", good[i]);
	before = ret;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		err.text[0] = '\0';
		ck_assert_msg(!smtp_target_parse(bad[i], &ret, &err), "%s", bad[i]);
		ck_assert_str_ne(err.text, "");
		ck_assert_mem_eq(&ret, &before, sizeof ret);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("smtp_probe");
	TCase *tc = tcase_create("dialogue");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, an_orderly_dialogue_is_an_answer);
	tcase_add_test(tc, ipv6_is_asked_as_ipv4_is);
	tcase_add_test(tc, nothing_is_said_before_the_last_line_of_the_greeting);
	tcase_add_loop_test(tc, whoever_serves_no_mail_is_told_apart_within_the_limit, 0,
	    sizeof faulty / sizeof faulty[0]);
	tcase_add_test(tc, an_address_without_a_route_says_nothing_of_the_service);
	tcase_add_test(tc, addresses_are_numbers_with_a_port);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
