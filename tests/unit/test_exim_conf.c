/*
 * tests/unit/test_exim_conf.c - what Exim and the distribution say of how Exim is started and where it listens.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "mta/exim_conf.h"
#include "mta/exim_listen.h"
#include "tests/unit/harness.h"

/* The words with blanks between them. */
static const char *
words(const struct exim_args *args)
{
	static char text[1024];
	const char *word = NULL;

	text[0] = '\0';
	for (size_t i = 0; i < args->len; i++) {
		size_t have = strlen(text);

		word = exim_args_next(args, word);
		snprintf(text + have, sizeof text - have, "%s%s", have > 0 ? " " : "", word);
	}
	return text;
}

static const struct { const char *text, *daemon, *runner; bool off, listens; } debian[] = {
	{ "", "-bd -q30m", "", false, true },
	{ "# a comment\n\nQUEUERUNNER='combined'\nQUEUEINTERVAL='10m'\nCOMMONOPTIONS=''\nQUEUERUNNEROPTIONS=''\nQFLAGS=''\n"
	    "SMTPLISTENEROPTIONS='-oX 587:25 -oP /run/x.pid'\n", "-bd -q10m -oX 587:25 -oP /run/x.pid", "", false, true },
	{ "QUEUERUNNER=separate\nQFLAGS=ff\nCOMMONOPTIONS=\"-d -v\" # why not\n", "-bd -d -v -oY",
	    "-oP /run/exim4/eximqr.pid -qff30m -d -v -oY", false, true },
	{ "QUEUERUNNER='queueonly'\n", "-oP /run/exim4/exim.pid -q30m", "", false, false },
	{ "QUEUERUNNER='no'", "-bd", "", false, true },
	{ "QUEUERUNNER='nodaemon'\n", "-bd", "", true, true },
};

START_TEST(debians_settings_become_command_lines)
{
	struct exim_defaults d;

	exim_defaults_debian(&d, debian[_i].text);
	ck_assert_str_eq(d.odd, "");
	ck_assert_str_eq(words(&d.daemon), debian[_i].daemon);
	ck_assert_str_eq(words(&d.runner), debian[_i].runner);
	ck_assert(d.off == debian[_i].off && d.listens == debian[_i].listens);
}
END_TEST

static const char *const shell[] = { "QUEUEINTERVAL=$(cat /x)\n", "QUEUEINTERVAL=\"$X\"\n", ". /etc/other\n", "if true; then\n",
	"QUEUEINTERVAL='30m\n", "QUEUEINTERVAL='30m' x\n", "QUEUEINTERVAL=3'0'm\n", "export QUEUEINTERVAL=3m\n", "A=b; C=d\n",
	"QUEUERUNNER=never\n", "COMMONOPTIONS='1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6'\n" };

START_TEST(what_only_a_shell_understands_is_left_to_it)
{
	struct exim_defaults d;

	exim_defaults_debian(&d, shell[_i]);
	ck_assert_msg(d.odd[0] != '\0', "%s", shell[_i]);
}
END_TEST

START_TEST(red_hats_settings_become_command_lines)
{
	struct exim_defaults d;

	exim_defaults_redhat(&d, "DAEMON=yes\nQUEUE=1h\n");
	ck_assert_str_eq(words(&d.daemon), "-bd -q1h");
	exim_defaults_redhat(&d, "DAEMON=no\nQUEUE=\n");
	ck_assert(d.off);
}
END_TEST

START_TEST(settings_are_taken_as_exim_prints_them)
{
	struct exim_conf *conf = calloc(1, sizeof *conf);
	struct err err = { 0 };
	char path[EXIM_PATH_MAX];

	ck_assert_msg(exim_conf_values(conf, "spool_directory = /var/spool/exim4\nno_split_spool_directory\npid_file_path = \n"
	    "exim_user = Debian-exim\nexim_group = 990\nlocal_interfaces = <; 127.0.0.1 ; ::1\ndaemon_smtp_ports = smtp\n", &err),
	    "%s", err.text);
	ck_assert_str_eq(conf->value[EX_SPOOL], "/var/spool/exim4");
	ck_assert_str_eq(conf->value[EX_GROUP], "990");
	ck_assert_str_eq(conf->value[EX_TLS_PORTS], "");
	ck_assert(!conf->split);
	exim_conf_pid_file(conf, path, sizeof path);
	ck_assert_str_eq(path, "/var/spool/exim4/exim-daemon.pid");
	ck_assert(exim_conf_values(conf, "spool_directory = /q\nsplit_spool_directory\npid_file_path = /run/exim4/exim.pid\n", &err));
	ck_assert(conf->split);
	exim_conf_pid_file(conf, path, sizeof path);
	ck_assert_str_eq(path, "/run/exim4/exim.pid");
	ck_assert(!exim_conf_values(conf, "spool_directory = spool\n", &err));
	ck_assert_str_ne(err.text, "");
	ck_assert(!exim_conf_values(conf, "", &err));
	free(conf);
}
END_TEST

START_TEST(the_length_of_ids_follows_from_the_version)
{
	ck_assert_uint_eq(exim_version_ids("Exim version 4.96 #2 built 27-May-2026 16:52:26\n"), 16);
	ck_assert_uint_eq(exim_version_ids("Exim version 4.94.2 #1 built\n"), 16);
	ck_assert_uint_eq(exim_version_ids("Exim version 4.97 #2 built\n"), 23);
	ck_assert_uint_eq(exim_version_ids("Exim version 4.100 #2 built\n"), 23);
	ck_assert_uint_eq(exim_version_ids("Exim version 5.0 #2 built\n"), 23);
	ck_assert_uint_eq(exim_version_ids("2026-11-22 something\nExim version 4.97-dev\n"), 23);
	ck_assert_uint_eq(exim_version_ids("Sendmail\n"), 0);
}
END_TEST

static const char *
listen_text(const char *interfaces, const char *ports, const char *tls)
{
	static char text[1024];
	struct exim_listen list;
	struct err err = { 0 };

	text[0] = '\0';
	if (!exim_listen(interfaces, ports, tls, &list, &err)) {
		ck_assert_str_ne(err.text, "");
		return NULL;
	}
	for (size_t i = 0; i < list.len; i++) {
		char address[64];
		const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)&list.at[i].target.addr;
		const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)&list.at[i].target.addr;
		size_t have = strlen(text);

		inet_ntop(four->sin_family, four->sin_family == AF_INET ? (const void *)&four->sin_addr :
		    (const void *)&six->sin6_addr, address, sizeof address);
		snprintf(text + have, sizeof text - have, "%s%s %u%s", have > 0 ? ", " : "", address,
		    ntohs(four->sin_family == AF_INET ? four->sin_port : six->sin6_port), list.at[i].tls ? " tls" : "");
	}
	return text;
}

START_TEST(addresses_and_ports_are_lists_of_exims)
{
	ck_assert_str_eq(listen_text("127.0.0.1", "25", ""), "127.0.0.1 25");
	ck_assert_str_eq(listen_text("<; ::0 ; 0.0.0.0", "smtp", ""), ":: 25, 0.0.0.0 25");
	ck_assert_str_eq(listen_text("<; 127.0.0.1 ; ::1", "25 : 465 : 587", "465"),
	    "127.0.0.1 25, 127.0.0.1 465 tls, 127.0.0.1 587, ::1 25, ::1 465 tls, ::1 587");
	ck_assert_str_eq(listen_text("127.0.0.1 : ::::1", "25", ""), "127.0.0.1 25, ::1 25");
	ck_assert_str_eq(listen_text("192.0.2.1.2525 : [::::1]::26", "25", ""), "192.0.2.1 2525, ::1 26");
	ck_assert_str_eq(listen_text("<,[127.0.0.1]:26,[::1]:27,::1.28", "25", ""), "127.0.0.1 26, ::1 27, ::1 28");
	ck_assert_str_eq(listen_text("127.0.0.1", "<; 25 ; submission", ""), "127.0.0.1 25, 127.0.0.1 587");
	ck_assert_ptr_null(listen_text("mx.example.org", "25", ""));
	ck_assert_ptr_null(listen_text("127.0.0.1", "no-such-service-here", ""));
	ck_assert_ptr_null(listen_text("127.0.0.1", "70000", ""));
	ck_assert_ptr_null(listen_text("", "25", ""));
}
END_TEST

START_TEST(a_dialogue_is_held_where_it_is_plain_and_near)
{
	struct exim_listen list;
	struct smtp_target target;
	struct err err = { 0 };

	ck_assert(exim_listen("192.0.2.1 : 127.0.0.1", "465 : 25", "465", &list, &err));
	ck_assert(exim_listen_target(&list, &target, &err));
	ck_assert_uint_eq(ntohs(((struct sockaddr_in *)(void *)&target.addr)->sin_port), 25);
	ck_assert_uint_eq(ntohl(((struct sockaddr_in *)(void *)&target.addr)->sin_addr.s_addr), INADDR_LOOPBACK);
	ck_assert(exim_listen("<; ::0 ; 0.0.0.0", "25", "", &list, &err));
	ck_assert(exim_listen_target(&list, &target, &err));
	ck_assert_uint_eq(ntohl(((struct sockaddr_in *)(void *)&target.addr)->sin_addr.s_addr), INADDR_LOOPBACK);
	ck_assert(exim_listen("127.0.0.1", "465", "465", &list, &err));
	ck_assert(!exim_listen_target(&list, &target, &err));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("exim_conf");
	TCase *tc = tcase_create("conf");

	tcase_add_loop_test(tc, debians_settings_become_command_lines, 0, sizeof debian / sizeof debian[0]);
	tcase_add_loop_test(tc, what_only_a_shell_understands_is_left_to_it, 0, sizeof shell / sizeof shell[0]);
	tcase_add_test(tc, red_hats_settings_become_command_lines);
	tcase_add_test(tc, settings_are_taken_as_exim_prints_them);
	tcase_add_test(tc, the_length_of_ids_follows_from_the_version);
	tcase_add_test(tc, addresses_and_ports_are_lists_of_exims);
	tcase_add_test(tc, a_dialogue_is_held_where_it_is_plain_and_near);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
