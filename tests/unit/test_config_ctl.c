/*
 * tests/unit/test_config_ctl.c - laws of configsync/ctl.h: what is asked arrives as it was meant, whatever the bytes; nobody who is slow, silent
 * or hostile holds up the one who serves.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "configsync/ctl.h"
#include "tests/unit/harness.h"

static const char path[] = "/tmp/test_config_ctl.sock";
static struct loop *loop;
static struct ctl *ctl;
static struct ctl_reply *held[8];	/* are answered later */
static size_t helds;
static struct ctl_reply *never;		/* and this one when all is over */
static struct loop_timer *later;

/* All bytes but NUL. */
static const char *
all_bytes(void)
{
	static char bytes[256];

	for (int i = 1; i < 256; i++)
		bytes[i - 1] = (char)i;
	return bytes;
}

static void
answer_later(void *arg)
{
	(void)arg;
	while (helds > 0) {
		ctl_row(held[--helds], "late");
		ctl_end(held[helds], 1, "it took a while");
	}
}

static void
asked(void *arg, const struct ctl_request *q, struct ctl_reply *r)
{
	(void)arg;
	if (strcmp(q->command, "echo") == 0) {
		for (size_t i = 0; i < q->args; i++) {
			ctl_row(r, "arg");
			ctl_say(r, q->arg[i].key, q->arg[i].value);
			ctl_count(r, "n", UINT64_MAX);
			ctl_fact(r, "yes", FACT_YES);
			ctl_fact(r, "unknown", FACT_UNKNOWN);
			ctl_sayf(r, "sentence", "%s %d", "number", 7);
			ctl_say(r, "nothing", NULL);
		}
		ctl_end(r, 3, "%zu\nlines", q->args);
	} else if (strcmp(q->command, "status") == 0) {
		ctl_end(r, 1, "uid %u", q->uid);
	} else if (strcmp(q->command, "later") == 0) {
		held[helds++] = r;
		loop_timer_in(later, 20);
	} else if (strcmp(q->command, "never") == 0) {
		never = r;
	} else if (strcmp(q->command, "flood") == 0) {
		static char much[1 << 20];

		memset(much, 'x', sizeof much - 1);
		for (int i = 0; i < 40; i++) {
			ctl_row(r, "flood");
			ctl_say(r, "much", much);
		}
		ctl_end(r, 0, "%s", ctl_gone(r) ? "gone" : "");
	} else if (strcmp(q->command, "end") == 0) {
		ctl_end(r, 0, "bye");
		loop_stop(loop);
	} else {
		ctl_end(r, 2, "no command \"%s\"", q->command);
	}
}

/* ---------------------------------------------------------------- who asks, in a process of its own */

struct seen { char text[8192]; size_t len; char whole[600]; };

static void
note(void *arg, const struct ctl_line *line)
{
	struct seen *s = arg;

	s->len += (size_t)snprintf(s->text + s->len, sizeof s->text - s->len, "%s:", line->kind);
	for (size_t i = 0; i < line->values; i++) {
		if (strcmp(line->value[i].key, "all") == 0)
			snprintf(s->whole, sizeof s->whole, "%s", line->value[i].text);
		else
			s->len += (size_t)snprintf(s->text + s->len, sizeof s->text - s->len, " %s%c%s", line->value[i].key, "=#?"[line->value[i].type],
			    line->value[i].text);
	}
	s->len += (size_t)snprintf(s->text + s->len, sizeof s->text - s->len, "\n");
}

#define CHECK(what) do { if (!(what)) { fprintf(stderr, "%d: %s\n", __LINE__, #what); _exit(1); } } while (0)

static int
call(const char *command, const char *const *args, struct seen *s, char text[600])
{
	struct err err = { 0 };
	int code = ctl_call(path, &(struct ctl_question){ command, args }, note, s, text, 600, &err);

	if (code == -1)
		snprintf(text, 600, "%s", err.text);
	return code;
}

static int
raw(const char *bytes, size_t len)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sun.sun_path, sizeof sun.sun_path, "%s", path);
	CHECK(connect(fd, (struct sockaddr *)&sun, sizeof sun) == 0);
	CHECK(len == 0 || send(fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len);
	return fd;
}

/* What comes until the end; "" where the connection is cut without a word. */
static const char *
rest(int fd)
{
	static char buf[4096];
	size_t len = 0;
	ssize_t n;

	while (len < sizeof buf - 1 && (n = recv(fd, buf + len, sizeof buf - 1 - len, 0)) > 0)
		len += (size_t)n;
	buf[len] = '\0';
	close(fd);
	return buf;
}

static void
questions_and_answers(void)
{
	const char *const args[] = { "all", all_bytes(), "path", "/etc/x y", "path", "", NULL }, *const none[] = { NULL };
	struct seen s = { .len = 0 };
	char text[600];

	CHECK(call("echo", args, &s, text) == 3);
	CHECK(strcmp(text, "3\nlines") == 0);
	CHECK(strcmp(s.whole, all_bytes()) == 0);
	CHECK(strcmp(s.text, "arg: n#18446744073709551615 yes?yes unknown?unknown sentence=number 7\n"
	    "arg: path=/etc/x y n#18446744073709551615 yes?yes unknown?unknown sentence=number 7\n"
	    "arg: path= n#18446744073709551615 yes?yes unknown?unknown sentence=number 7\n") == 0);
	s.len = 0;
	CHECK(call("later", none, &s, text) == 1 && strcmp(s.text, "late:\n") == 0 && strcmp(text, "it took a while") == 0);
	CHECK(call("explode", none, &s, text) == 2 && strcmp(text, "no command \"explode\"") == 0);
}

static void
what_is_no_question(void)
{
	static const char *const bad[] = { "Echo\n\n", "\n\n", "echo\nkey\n\n", "echo\nKEY v\n\n", "echo\nkey a%\n\n", "echo\nkey %00\n\n", "echo\nkey a%zz\n\n",
		"echo\nkey a\tb\n\n", NULL };
	char *large = malloc(CTL_QUESTION_MAX + 1);

	for (size_t i = 0; bad[i] != NULL; i++)
		CHECK(strncmp(rest(raw(bad[i], strlen(bad[i]))), ".\tcode#2\ttext=", 14) == 0);
	CHECK(strstr(rest(raw("echo\nkey a\0b\n\n", 14)), "NUL") != NULL);
	memset(large, 'a', CTL_QUESTION_MAX + 1);
	CHECK(strstr(rest(raw(large, CTL_QUESTION_MAX)), "longer than") != NULL);
	for (size_t i = 0; i + 1 < CTL_QUESTION_MAX; i += 4)
		memcpy(large + i, "a b\n", 4);
	memcpy(large + CTL_QUESTION_MAX - 6, "b\n\n", 3);
	CHECK(strstr(rest(raw(large, CTL_QUESTION_MAX - 3)), "more than") != NULL);
	free(large);
}

static void
who_is_slow_or_gone(void)
{
	struct seen s = { .len = 0 };
	const char *const none[] = { NULL };
	char text[600];
	int silent = raw("", 0), half = raw("echo\nkey", 8), deaf = raw("flood\n\n", 7), gone = raw("never\n\n", 7);

	close(raw("later\n\n", 7));	/* its answer goes nowhere */
	close(gone);
	CHECK(call("later", none, &s, text) == 1);
	CHECK(strcmp(rest(silent), "") == 0);	/* cut, when the patience was over */
	CHECK(strcmp(rest(half), "") == 0);
	CHECK(strcmp(rest(deaf), "") == 0);	/* more than is kept for anybody */
}

static void
too_many(void)
{
	struct seen s = { .len = 0 };
	const char *const none[] = { NULL };
	int fd[CTL_CLIENTS_MAX];
	char text[600];

	for (int i = 0; i < CTL_CLIENTS_MAX; i++)
		fd[i] = raw("", 0);
	CHECK(call("echo", none, &s, text) == 2 && strstr(text, "too many") != NULL);
	for (int i = 0; i < CTL_CLIENTS_MAX; i++)
		CHECK(strcmp(rest(fd[i]), "") == 0);
	CHECK(call("echo", none, &s, text) == 3);
}

/* As somebody of the socket's group, and as nobody. */
static void
become(gid_t gid)
{
	CHECK(setgroups(0, NULL) == 0 && setresgid(gid, gid, gid) == 0 && setresuid(65534, 65534, 65534) == 0);
}

static void
who_is_not_root(void)
{
	const char *const none[] = { NULL };
	struct seen s = { .len = 0 };
	char text[600];
	pid_t pid;
	int status;

	if (geteuid() != 0)
		return;
	if ((pid = fork()) == 0) {
		become(1);
		CHECK(call("status", none, &s, text) == 1 && strcmp(text, "uid 65534") == 0);
		CHECK(call("resync", none, &s, text) == 2 && strstr(text, "only root may ask for it") != NULL);
		CHECK(call("echo", none, &s, text) == 2);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	if ((pid = fork()) == 0) {
		become(65534);
		CHECK(call("status", none, &s, text) == -1);	/* the mode of the socket */
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(chmod(path, 0666) == 0);
	if ((pid = fork()) == 0) {
		become(65534);
		CHECK(call("status", none, &s, text) == 2 && strstr(text, "not permitted") != NULL);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void (*const plays[])(void) = { questions_and_answers, what_is_no_question, who_is_slow_or_gone, too_many, who_is_not_root };

START_TEST(each_play_goes_to_its_end_while_the_loop_serves)
{
	const char *const none[] = { NULL };
	struct err err;
	struct stat st;
	int status;
	pid_t pid;

	loop = loop_new();
	later = loop_timer_new(loop, answer_later, NULL);
	ctl = ctl_new(loop, path, geteuid() == 0 ? "daemon" : NULL, asked, NULL, &err);
	ck_assert_msg(ctl != NULL, "%s", err.text);
	ck_assert(stat(path, &st) == 0 && (st.st_mode & 07777) == 0660);
	if (plays[_i] == who_is_slow_or_gone || plays[_i] == too_many)
		ctl_patience(ctl, 1500);
	ck_assert_ptr_null(ctl_new(loop, path, NULL, asked, NULL, &err));
	ck_assert_msg(strstr(err.text, "another mailpair-config listens") != NULL, "%s", err.text);
	if ((pid = fork()) == 0) {
		struct seen s = { .len = 0 };
		char text[600];

		plays[_i]();
		CHECK(call("end", none, &s, text) == 0);
		_exit(0);
	}
	loop_run(loop);
	ctl_free(ctl);
	if (never != NULL) {
		ck_assert(ctl_gone(never));
		ctl_end(never, 0, "to nobody");
	}
	ck_assert_int_eq(access(path, F_OK), -1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "who asked was not content: %d", status);
	loop_timer_free(later);
	loop_free(loop);
}
END_TEST

START_TEST(nobody_there_and_half_an_answer_are_errors)
{
	static const char *const halves[] = { "", "row\ta=b\n", "row\ta=b\n.\tcode#0\ttext=do", "row\tA=b\n.\tcode#0\n", ".\tcode#x\n", NULL };
	const char *const none[] = { NULL };
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct seen s = { .len = 0 };
	struct err err = { 0 };
	char text[600];
	int door, one;

	unlink(path);
	ck_assert_int_eq(ctl_call(path, &(struct ctl_question){ "x", none }, note, &s, text, sizeof text, &err), -1);
	ck_assert_int_eq(err.sys, ENOENT);
	snprintf(sun.sun_path, sizeof sun.sun_path, "%s", path);
	door = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert(bind(door, (struct sockaddr *)&sun, sizeof sun) == 0 && listen(door, 1) == 0);
	for (size_t i = 0; halves[i] != NULL; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			char in[64];

			one = accept(door, NULL, NULL);
			CHECK(recv(one, in, sizeof in, 0) > 0 && send(one, halves[i], strlen(halves[i]), MSG_NOSIGNAL) >= 0);
			_exit(0);
		}
		ck_assert_msg(ctl_call(path, &(struct ctl_question){ "x", none }, note, &s, text, sizeof text, &err) == -1, "%s", halves[i]);
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	}
	close(door);
	/* nobody listens any more: the place is taken */
	loop = loop_new();
	ctl = ctl_new(loop, path, NULL, asked, NULL, &err);
	ck_assert_msg(ctl != NULL, "%s", err.text);
	ctl_free(ctl);
	ck_assert_int_eq(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600) >= 0, true);
	ck_assert_ptr_null(ctl_new(loop, path, NULL, asked, NULL, &err));
	ck_assert_msg(strstr(err.text, "is not a socket") != NULL, "%s", err.text);
	unlink(path);
	ck_assert_ptr_null(ctl_new(loop, path, "no-such-group-here", asked, NULL, &err));
	ck_assert_msg(strstr(err.text, "there is no group") != NULL, "%s", err.text);
	loop_free(loop);
}
END_TEST

/* Killed between a fork and the moment in which the child lets go of what it has inherited. */
START_TEST(a_child_of_one_that_was_killed_is_no_other_one)
{
	struct err err;
	pid_t pid;

	if ((pid = fork()) == 0) {
		if (ctl_new(loop_new(), path, NULL, asked, NULL, &err) == NULL)
			_exit(1);
		if (fork() == 0)
			poll(NULL, 0, 80);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	loop = loop_new();
	ctl = ctl_new(loop, path, NULL, asked, NULL, &err);
	ck_assert_msg(ctl != NULL, "%s", err.text);
	ctl_free(ctl);
	loop_free(loop);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config_ctl");
	TCase *tc = tcase_create("config_ctl");

	signal(SIGPIPE, SIG_IGN);
	tcase_set_timeout(tc, 30);
	tcase_add_loop_test(tc, each_play_goes_to_its_end_while_the_loop_serves, 0, (int)(sizeof plays / sizeof *plays));
	tcase_add_test(tc, nobody_there_and_half_an_answer_are_errors);
	tcase_add_test(tc, a_child_of_one_that_was_killed_is_no_other_one);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
