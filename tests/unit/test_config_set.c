/*
 * tests/unit/test_config_set.c - which changed paths are one set, when a set is due, what is derived, and the syntax of qmail's
 * control files.
 */
#include <stdlib.h>
#include <string.h>

#include "configsync/derived.h"
#include "configsync/qmail_control.h"
#include "configsync/settle.h"
#include "tests/unit/harness.h"

static struct set_id
of(const char *path)
{
	struct set_id id;

	set_of(NULL, path, &id);
	return id;
}

static bool
together(const char *a, const char *b)
{
	struct set_id one = of(a), two = of(b);

	return set_same(&one, &two);
}

/* ---------------------------------------------------------------- what belongs together */

START_TEST(key_certificate_and_chain_of_a_renewal_are_one_set)
{
	ck_assert(together("etc/letsencrypt/live/mx.test/privkey.pem", "etc/letsencrypt/archive/mx.test/fullchain3.pem"));
	ck_assert(together("etc/letsencrypt/live/mx.test/cert.pem", "etc/letsencrypt/renewal/mx.test.conf"));
	ck_assert(!together("etc/letsencrypt/live/mx.test/cert.pem", "etc/letsencrypt/live/www.test/cert.pem"));
	ck_assert_str_eq(of("etc/letsencrypt/archive/mx.test/cert3.pem").name, "mx.test");
}
END_TEST

START_TEST(a_pair_in_etc_ssl_is_told_by_its_name)
{
	ck_assert(together("etc/ssl/private/mail.key", "etc/ssl/certs/mail.pem"));
	ck_assert(together("etc/ssl/private/mail-key.pem", "etc/ssl/certs/mail_fullchain.crt"));
	ck_assert(together("etc/ssl/private/mail.pem", "etc/ssl/certs/mail.ca-bundle"));
	ck_assert(!together("etc/ssl/private/mail.key", "etc/ssl/certs/web.pem"));
	ck_assert_int_eq(of("etc/ssl/certs/9d04f354.0").kind, SET_SINGLE);
	ck_assert_int_eq(of("etc/ssl/openssl.cnf").kind, SET_SINGLE);
}
END_TEST

START_TEST(a_configured_certificate_is_a_set_wherever_its_files_stand)
{
	static const struct set_certificate one = { "imap", "/etc/dovecot/c.pem", "/root/k.pem", NULL, NULL };
	static const struct set_rules rules = { &one, 1, NULL, 0 };
	struct set_id a, b;

	set_of(&rules, "etc/dovecot/c.pem", &a);
	set_of(&rules, "root/k.pem", &b);
	ck_assert_int_eq(a.kind, SET_CERTIFICATE);
	ck_assert(set_same(&a, &b) && a.certificate == &one);
}
END_TEST

START_TEST(each_mail_program_has_one_set)
{
	static const struct { const char *path; enum set_kind kind; const char *key; } row[] = {
		{ "etc/postfix/main.cf", SET_POSTFIX, "postfix" },
		{ "etc/postfix/maps/virtual", SET_POSTFIX, "postfix" },
		{ "etc/exim4/conf.d/main/01_x", SET_EXIM, "exim4" },
		{ "var/qmail/control/me", SET_QMAIL, "qmail/control" },
		{ "var/qmail/users/assign", SET_QMAIL, "qmail/users" },
		{ "etc/aliases", SET_ALIASES, "aliases" },
		{ "etc/tcp.smtp", SET_TCPRULES, "tcp.smtp" },
		{ "etc/tcp.smtp.cdb", SET_TCPRULES, "tcp.smtp" },
		{ "etc/hosts", SET_SINGLE, "etc/hosts" },
		{ "etc/postfix", SET_SINGLE, "etc/postfix" },
		{ "etc/postfixed/main.cf", SET_SINGLE, "etc/postfixed/main.cf" },
		{ "var/qmail/alias/.qmail-root", SET_SINGLE, "var/qmail/alias/.qmail-root" },
	};

	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct set_id id = of(row[i].path);

		ck_assert_msg(id.kind == row[i].kind && strcmp(id.key, row[i].key) == 0, "%s: %s %s", row[i].path,
		    set_kind_word(id.kind), id.key);
		ck_assert_int_gt(strlen(id.why), 20);
	}
}
END_TEST

START_TEST(a_tree_with_a_command_is_a_set_and_the_innermost_one_counts)
{
	static const struct set_tree trees[] = { { "/etc", NULL }, { "/etc/dovecot/", "doveconf -n" }, { "etc/dovecot/conf.d", "true" },
		{ "/etc/postfix", "also" } };
	static const struct set_rules rules = { NULL, 0, trees, 4 };
	struct set_id id;

	set_of(&rules, "etc/dovecot/dovecot.conf", &id);
	ck_assert_int_eq(id.kind, SET_TREE);
	ck_assert_str_eq(id.validate, "doveconf -n");
	set_of(&rules, "etc/dovecot/conf.d/10-auth.conf", &id);
	ck_assert_str_eq(id.validate, "true");
	set_of(&rules, "etc/dovecotx", &id);
	ck_assert_int_eq(id.kind, SET_SINGLE);
	set_of(&rules, "etc/postfix/main.cf", &id);	/* the command comes beside what the table knows */
	ck_assert_int_eq(id.kind, SET_POSTFIX);
	ck_assert_str_eq(id.validate, "also");
}
END_TEST

/* ---------------------------------------------------------------- when it is due */

START_TEST(a_set_has_a_name_that_a_person_knows)
{
	static const struct set_certificate mail = { "mail", "/opt/m.pem", "/opt/m.key", NULL, NULL };
	static const struct set_tree tree = { "/etc/nginx/", "nginx -t" };
	static const struct set_rules rules = { &mail, 1, &tree, 1 };
	static const struct { const char *path, *name; } row[] = {
		{ "opt/m.key", "certificate mail" }, { "etc/letsencrypt/live/mail.example.org/cert.pem", "certificate mail.example.org in /etc/letsencrypt" },
		{ "etc/ssl/private/www.key", "certificate www in /etc/ssl" }, { "etc/postfix/main.cf", "postfix in /etc/postfix" },
		{ "etc/exim4/conf.d/x", "exim in /etc/exim4" }, { "var/qmail/users/assign", "qmail in /var/qmail/users" },
		{ "etc/mail/aliases", "aliases /etc/mail/aliases" }, { "etc/tcp.smtp", "tcprules /etc/tcp.smtp" },
		{ "etc/tcprules.d/pop3.cdb", "tcprules /etc/tcprules.d/pop3" }, { "etc/nginx/sites/a", "tree /etc/nginx" }, { "etc/other", "file /etc/other" },
	};
	char buf[2 * SET_KEY_MAX];
	struct set_id id;

	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		set_of(&rules, row[i].path, &id);
		ck_assert_str_eq(set_shown(&id, buf, sizeof buf), row[i].name);
	}
}
END_TEST

START_TEST(a_file_outside_of_any_set_goes_at_once)
{
	struct settle *s = settle_new(200, 5000);
	struct settled *set;

	settle_note(s, NULL, "etc/hosts", false, 1000);
	set = settle_take(s, 1000);
	ck_assert_ptr_nonnull(set);
	ck_assert_str_eq(set->path[0], "etc/hosts");
	settled_free(set);
	ck_assert_ptr_null(settle_take(s, 9999));
	settle_free(s);
}
END_TEST

START_TEST(a_set_settles_after_its_last_event_and_goes_whole)
{
	struct settle *s = settle_new(200, 5000);
	struct settled *set;
	uint64_t due;

	ck_assert(!settle_due(s, &due));
	settle_note(s, NULL, "etc/postfix/virtual", false, 1000);
	settle_note(s, NULL, "etc/postfix/main.cf", false, 1150);
	settle_note(s, NULL, "etc/postfix/main.cf", false, 1180);
	ck_assert(settle_due(s, &due));
	ck_assert_uint_eq(due, 1380);
	ck_assert_ptr_null(settle_take(s, 1379));
	set = settle_take(s, 1380);
	ck_assert_ptr_nonnull(set);
	ck_assert_uint_eq(set->paths, 2);
	ck_assert_str_eq(set->path[0], "etc/postfix/main.cf");
	ck_assert_str_eq(set->path[1], "etc/postfix/virtual");
	settled_free(set);
	settle_free(s);
}
END_TEST

START_TEST(a_set_that_never_rests_goes_after_the_longest_wait)
{
	struct settle *s = settle_new(200, 1000);
	struct settled *set = NULL;
	uint64_t now;

	for (now = 0; set == NULL && now < 5000; now += 100) {
		settle_note(s, NULL, "etc/postfix/main.cf", false, now);
		set = settle_take(s, now);
	}
	ck_assert_ptr_nonnull(set);
	ck_assert_uint_eq(now, 1100);
	settled_free(set);
	settle_free(s);
}
END_TEST

START_TEST(a_derived_file_is_no_change_but_holds_up_its_set)
{
	struct settle *s = settle_new(200, 5000);
	struct settled *set;
	uint64_t due;

	settle_note(s, NULL, "etc/postfix/virtual.db", true, 1000);
	ck_assert(!settle_due(s, &due));
	settle_note(s, NULL, "etc/postfix/virtual", false, 1100);
	settle_note(s, NULL, "etc/postfix/virtual.db", true, 1250);
	ck_assert(settle_due(s, &due));
	ck_assert_uint_eq(due, 1450);
	set = settle_take(s, 1450);
	ck_assert_uint_eq(set->paths, 1);
	settled_free(set);
	settle_free(s);
}
END_TEST

START_TEST(many_paths_of_a_set_are_kept_once_and_in_order)
{
	struct settle *s = settle_new(200, 5000);
	struct settled *set;
	char path[64];

	for (int i = 0; i < 3000; i++) {
		snprintf(path, sizeof path, "etc/postfix/%d", i * 7919 % 1000);
		settle_note(s, NULL, path, false, 1);
	}
	set = settle_take(s, 201);
	ck_assert_uint_eq(set->paths, 1000);
	for (size_t i = 1; i < set->paths; i++)
		ck_assert_int_lt(strcmp(set->path[i - 1], set->path[i]), 0);
	settled_free(set);
	settle_free(s);
}
END_TEST

/* ---------------------------------------------------------------- what is made of what */

START_TEST(what_a_program_makes_is_known_by_its_source)
{
	static const struct { const char *path, *source; } row[] = {
		{ "etc/aliases.db", "etc/aliases" }, { "etc/postfix/maps/virtual.lmdb", "etc/postfix/maps/virtual" },
		{ "etc/postfix/virtual.cdb", "etc/postfix/virtual" }, { "var/qmail/users/cdb", "var/qmail/users/assign" },
		{ "var/qmail/control/morercpthosts.cdb", "var/qmail/control/morercpthosts" }, { "etc/tcp.smtp.cdb", "etc/tcp.smtp" },
		{ "etc/postfix/virtual", NULL }, { "etc/postfix/.db", NULL }, { "etc/dovecot/users.db", NULL }, { "etc/tcp.smtp", NULL },
		{ "var/qmail/control/rcpthosts.cdb", NULL }, { "home/cdb", NULL }, { "cdb", NULL },
	};
	char source[256];

	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		const struct derived_row *found = derived_from(row[i].path, source, sizeof source);

		ck_assert_msg((found != NULL) == (row[i].source != NULL), "%s", row[i].path);
		if (found != NULL)
			ck_assert_str_eq(source, row[i].source);
	}
}
END_TEST

START_TEST(of_a_source_all_that_may_be_made_is_told)
{
	char path[256];
	size_t i = 0, n = 0;

	while (derived_of("etc/postfix/virtual", &i, path, sizeof path) != NULL)
		n++;
	ck_assert_uint_eq(n, 5);
	i = 0;
	ck_assert_ptr_nonnull(derived_of("var/qmail/users/assign", &i, path, sizeof path));
	ck_assert_str_eq(path, "var/qmail/users/cdb");
	i = 0;
	ck_assert_ptr_null(derived_of("etc/postfix/virtual.db", &i, path, sizeof path));
	ck_assert(derived_scratch("etc/tcp.smtp.tmp") && !derived_scratch("etc/postfix/x.tmp"));
}
END_TEST

/* ---------------------------------------------------------------- control files of qmail */

static const struct { const char *name, *text; unsigned int line; const char *right; } control[] = {
	{ "me", "mx.example.org\n", 0, NULL },
	{ "me", "mx.example.org", 0, NULL },
	{ "me", "", 0, "the file is empty" },
	{ "me", "\nmx.example.org\n", 1, "first line" },
	{ "me", "mx example\n", 1, "name of a host" },
	{ "me", "mx.example.org\r\n", 1, "carriage return" },
	{ "rcpthosts", "# ours\nexample.org\n.example.net\n\n", 0, NULL },
	{ "rcpthosts", "", 0, NULL },
	{ "rcpthosts", "example.org\n example.net\n", 2, "begins with a blank" },
	{ "rcpthosts", "a.test b.test\n", 1, "one on a line" },
	{ "rcpthosts", "user@example.org\n", 1, "no domain" },
	{ "locals", "localhost\n.example.org\n", 2, "name of a host" },
	{ "virtualdomains", "a.test:alice\n.b.test:bob\nx@c.test:carol\nd.test:\n:rest\n", 0, NULL },
	{ "virtualdomains", "a.test:alice\nb.test alice\n", 2, "no colon" },
	{ "virtualdomains", "a_b@:alice\n", 1, "no address" },
	{ "smtproutes", ":relay.test\na.test:\nb.test:[192.0.2.1]:26\nc.test:r.test:587 user secret\n.d.test:r.test\n", 0, NULL },
	{ "smtproutes", "a.test:relay.test:99999\n", 1, "port" },
	{ "smtproutes", "a.test relay.test\n", 1, "no colon" },
	{ "smtproutes", "a.test:re/lay\n", 1, "relay" },
	{ "concurrencyremote", "120\n", 0, NULL },
	{ "concurrencyremote", "1200\n", 1, "up to 255" },
	{ "concurrencylocal", "ten\n", 1, "no number" },
	{ "queuelifetime", "604800\n", 0, NULL },
	{ "queuelifetime", "0\n", 1, "bounce" },
	{ "queuelifetime", "7d\n", 1, "no number" },
	{ "databytes", "0\n", 0, NULL },
	{ "badmailfrom", "spam@x.test\n@y.test\n", 0, NULL },
	{ "badmailfrom", "y.test\n", 1, "no address" },
	{ "qmqpservers", "192.0.2.1\n", 0, NULL },
	{ "qmqpservers", "192.0.2.1\nmx.test\n", 2, "IP address" },
	{ "qmqpservers", "192.0.2.256\n", 1, "IP address" },
	{ "ours", "any text : /\n", 0, NULL },
	{ "ours", "a\rb\n", 1, "carriage return" },
};

START_TEST(a_control_file_is_valid_or_says_line_value_and_what_is_right)
{
	struct control_fault fault = { 0 };
	bool ok = control_check(control[_i].name, control[_i].text, strlen(control[_i].text), &fault);

	ck_assert_msg(ok == (control[_i].right == NULL), "%s \"%s\": %s", control[_i].name, control[_i].text, fault.right);
	if (!ok) {
		ck_assert_uint_eq(fault.line, control[_i].line);
		ck_assert_msg(strstr(fault.right, control[_i].right) != NULL, "%s", fault.right);
	}
}
END_TEST

START_TEST(a_value_that_is_shown_is_the_line_without_what_a_terminal_obeys)
{
	struct control_fault fault;

	ck_assert(!control_check("rcpthosts", "ok.test\na\033[2Jb\n", 15, &fault));
	ck_assert_str_eq(fault.value, "a?[2Jb");
	ck_assert(!control_check("me", "a\0b\n", 4, &fault));
	ck_assert_ptr_nonnull(strstr(fault.right, "NUL"));
}
END_TEST

START_TEST(what_makes_an_open_relay_or_stops_qmail_must_not_go)
{
	struct control_fault fault;

	ck_assert(!control_may_lack("rcpthosts", &fault));
	ck_assert_ptr_nonnull(strstr(fault.right, "open relay"));
	ck_assert(!control_may_lack("me", &fault));
	ck_assert(control_may_lack("smtproutes", &fault) && control_may_lack("ours", &fault));
}
END_TEST

START_TEST(users_assign_has_seven_fields_and_ends_with_a_dot)
{
	static const struct { const char *text; unsigned int line; const char *right; } row[] = {
		{ "=joe:joe:1000:1000:/home/joe:::\n+joe-:joe:1000:1000:/home/joe:-::\n.\n", 0, NULL },
		{ ".\n", 0, NULL },
		{ "=joe:joe:1000:1000:/home/joe:::\n", 0, "dot" },
		{ "=joe:joe:1000:1000:/home/joe::\n.\n", 1, "seven" },
		{ "joe:joe:1000:1000:/home/joe:::\n.\n", 1, "neither" },
		{ "=joe:joe:users:1000:/home/joe:::\n.\n", 1, "numbers" },
		{ "=joe::1000:1000:/home/joe:::\n.\n", 1, "no user" },
		{ "=joe:joe:1000:1000:home:::\n.\n", 1, "home" },
		{ "\n.\n", 1, "neither" },
	};

	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct control_fault fault = { 0 };
		bool ok = assign_check(row[i].text, strlen(row[i].text), &fault);

		ck_assert_msg(ok == (row[i].right == NULL), "%s: %s", row[i].text, fault.right);
		if (!ok) {
			ck_assert_uint_eq(fault.line, row[i].line);
			ck_assert_msg(strstr(fault.right, row[i].right) != NULL, "%s", fault.right);
		}
	}
}
END_TEST

START_TEST(an_alias_has_a_name_and_a_colon)
{
	static const char good[] = "# x\nroot: a@b.test,\n\tc\n\"a b\": d\npipe: \"|/bin/x: y\"\n";
	struct control_fault fault;

	ck_assert(aliases_check(good, sizeof good - 1, &fault));
	ck_assert(!aliases_check("root: a\nnobody\n", 15, &fault));
	ck_assert_uint_eq(fault.line, 2);
	ck_assert(!aliases_check(" a\n", 3, &fault));
	ck_assert(!aliases_check(": a\n", 4, &fault));
	ck_assert(!aliases_check("\"a: b\n", 6, &fault));
}
END_TEST

static Suite *
config_set_suite(void)
{
	Suite *suite = suite_create("config_set");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, key_certificate_and_chain_of_a_renewal_are_one_set);
	tcase_add_test(tc, a_pair_in_etc_ssl_is_told_by_its_name);
	tcase_add_test(tc, a_configured_certificate_is_a_set_wherever_its_files_stand);
	tcase_add_test(tc, each_mail_program_has_one_set);
	tcase_add_test(tc, a_tree_with_a_command_is_a_set_and_the_innermost_one_counts);
	tcase_add_test(tc, a_set_has_a_name_that_a_person_knows);
	tcase_add_test(tc, a_file_outside_of_any_set_goes_at_once);
	tcase_add_test(tc, a_set_settles_after_its_last_event_and_goes_whole);
	tcase_add_test(tc, a_set_that_never_rests_goes_after_the_longest_wait);
	tcase_add_test(tc, a_derived_file_is_no_change_but_holds_up_its_set);
	tcase_add_test(tc, many_paths_of_a_set_are_kept_once_and_in_order);
	tcase_add_test(tc, what_a_program_makes_is_known_by_its_source);
	tcase_add_test(tc, of_a_source_all_that_may_be_made_is_told);
	tcase_add_loop_test(tc, a_control_file_is_valid_or_says_line_value_and_what_is_right, 0, sizeof control / sizeof control[0]);
	tcase_add_test(tc, a_value_that_is_shown_is_the_line_without_what_a_terminal_obeys);
	tcase_add_test(tc, what_makes_an_open_relay_or_stops_qmail_must_not_go);
	tcase_add_test(tc, users_assign_has_seven_fields_and_ends_with_a_dot);
	tcase_add_test(tc, an_alias_has_a_name_and_a_colon);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	return unit_main(config_set_suite());
}
