/*
 * tests/unit/test_config_verify.c - staged sets judged by the programs they are for: Exim where it is unpacked, tcprules; qmail's
 * control files; a tree's own command; and what is said when nobody can judge. Needs root (a box of its own).
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/digest.h"
#include "tests/unit/cdb_made.h"
#include "tests/unit/config_case.h"
#include "tests/unit/exim_box.h"

#define NEEDS_EXIM() do { if (!exim) { printf("skipped: no Exim in build/exim\n"); return; } } while (0)

static bool exim;

/* ---------------------------------------------------------------- the view */

START_TEST(the_view_is_what_is_in_place_with_what_is_staged_over_it)
{
	struct view view = { .root = CASE_ROOT, .change = change };
	char real[VIEW_PATH_MAX], path[VIEW_PATH_MAX], **name;
	size_t len;

	case_begin();
	have("etc/x/kept", "");
	have("etc/x/gone", "");
	have("etc/x/" ".mailpair-new.00000000000000000000000000000000", "");
	ck_assert_int_eq(symlink("../x", at_root("etc/x/loop")), 0);
	stage("etc/x/new/deep", "deep\n");
	stage_link("etc/x/link", "/etc/x/./new/../new/deep");
	stage_removal("etc/x/gone");
	view.changes = changes;
	ck_assert_int_eq(view_find(&view, "etc/x/kept", real, path, NULL), FACT_YES);
	ck_assert_int_eq(view_find(&view, "etc/x/gone", real, path, NULL), FACT_NO);
	ck_assert_int_eq(view_find(&view, "etc/x/loop/loop/link", real, path, NULL), FACT_YES);
	ck_assert_str_eq(path, "etc/x/new/deep");
	ck_assert(strncmp(real, CASE_STAGED, strlen(CASE_STAGED)) == 0);
	ck_assert(view_changed(&view, "etc/x/loop/link") && !view_changed(&view, "etc/x/kept"));
	ck_assert(view_names(&view, "etc/x", &name, &len, NULL));
	ck_assert_uint_eq(len, 4);
	ck_assert_str_eq(name[0], "kept");
	ck_assert_str_eq(name[1], "link");
	ck_assert_str_eq(name[2], "loop");
	ck_assert_str_eq(name[3], "new");
	view_names_free(name, len);
}
END_TEST

START_TEST(no_link_leads_out_of_the_root)
{
	struct view view = { .root = CASE_ROOT, .change = change };
	char real[VIEW_PATH_MAX];

	case_begin();
	have("etc/passwd", "ours\n");
	stage_link("etc/up", "../../../../../../etc/passwd");
	stage_link("etc/self", "self");
	view.changes = changes;
	ck_assert_int_eq(view_find(&view, "etc/up", real, NULL, NULL), FACT_YES);
	ck_assert_str_eq(real, CASE_ROOT "/etc/passwd");
	ck_assert_int_eq(view_find(&view, "etc/self", real, NULL, NULL), FACT_NO);
}
END_TEST

/* ---------------------------------------------------------------- tcprules */

START_TEST(rules_that_tcprules_takes_are_valid_and_dumped)
{
	case_begin();
	stage("etc/tcp.smtp", "127.:allow,RELAYCLIENT=\"\"\n:allow\n");
	valid();
	ck_assert_uint_eq(result.dumps, 1);
	ck_assert_str_eq(result.dump[0].type, "tcprules");
}
END_TEST

START_TEST(rules_that_are_older_than_their_source_are_told)
{
	char digest[DIGEST_HEX];

	case_begin();
	have("etc/tcp.smtp", "127.:allow,RELAYCLIENT=\"\"\n:allow\n");
	ck_assert_int_eq(box_run("sh", "-c", "cd " CASE_ROOT "/etc && tcprules tcp.smtp.cdb tcp.smtp.tmp <tcp.smtp", NULL, NULL), 0);
	change_add("etc/tcp.smtp", true)->from = CASE_ROOT "/etc/tcp.smtp";
	in_place = true;
	valid();
	ck_assert(result.dumps == 1 && !result.dump[0].old);
	memcpy(digest, result.dump[0].digest, sizeof digest);
	have("etc/tcp.smtp", ":allow\n127.:allow,RELAYCLIENT=\"\"\n");	/* the same, in another order */
	valid();
	ck_assert(result.dumps == 1 && !result.dump[0].old);
	ck_assert_str_eq(result.dump[0].digest, digest);
	have("etc/tcp.smtp", "127.:allow,RELAYCLIENT=\"x\"\n:allow\n");
	valid();
	ck_assert(result.dumps == 1 && result.dump[0].old);
	ck_assert_str_ne(result.dump[0].digest, digest);
}
END_TEST

START_TEST(a_rule_that_tcprules_refuses_is_named_with_its_line)
{
	case_begin();
	stage("etc/tcp.smtp", "127.:allow,RELAYCLIENT=\"\"\n# comment\n192.0.2.:alow\n:allow\n");
	invalid("/etc/tcp.smtp, line 3: \"192.0.2.:alow\" is no rule");
	ck_assert_uint_eq(result.line, 3);
}
END_TEST

/* ---------------------------------------------------------------- qmail */

START_TEST(control_files_of_qmail_are_valid_together)
{
	case_begin();
	stage("var/qmail/control/rcpthosts", "mx.test\n");
	invalid("/var/qmail/control/me is missing");
	stage("var/qmail/control/me", "mx.test\n");
	stage("var/qmail/control/virtualdomains", "v.test:alice\n");
	valid();
	stage("var/qmail/control/smtproutes", ":relay.test\na.test:relay.test:0\n");
	invalid("/var/qmail/control/smtproutes, line 2: \"a.test:relay.test:0\" has no port from 1 to 65535");
	ck_assert_str_eq(result.file, "var/qmail/control/smtproutes");
}
END_TEST

START_TEST(without_rcpthosts_qmail_would_be_an_open_relay)
{
	case_begin();
	have("var/qmail/control/me", "mx.test\n");
	have("var/qmail/control/rcpthosts", "mx.test\n");
	stage_removal("var/qmail/control/rcpthosts");
	invalid("open relay");
}
END_TEST

START_TEST(users_assign_is_judged_by_its_own_syntax)
{
	case_begin();
	stage("var/qmail/users/assign", "=joe:joe:1000:1000:/home/joe:::\n");
	invalid("/var/qmail/users/assign: there is no line with a dot alone");
	changes = 0;
	stage("var/qmail/users/assign", "=joe:joe:1000:1000:/home/joe:::\n.\n");
	valid();
}
END_TEST

/* ---------------------------------------------------------------- Exim */

/* The file that qmail-newu would have made of it, in place. */
static void
have_users(const struct cdb_made *c)
{
	int fd = open(at_root("var/qmail/users/cdb"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	ck_assert_int_eq(write(fd, c->at, c->len), (ssize_t)c->len);
	close(fd);
}

START_TEST(the_table_of_users_assign_is_told_and_one_that_is_older)
{
	struct cdb_made now = { .len = 0 }, old = { .len = 0 };
	char digest[DIGEST_HEX];

	cdb_add(&now, "!joe", 5, "joe\0001\0002\0/home/joe\0\0", 19);
	cdb_add(&now, "", 0, "", 0);
	cdb_finish(&now);
	cdb_add(&old, "", 0, "", 0);
	cdb_finish(&old);
	case_begin();
	stage("var/qmail/users/assign", "=Joe:joe:1:2:/home/joe:::\n.\n");
	valid();
	ck_assert_uint_eq(result.dumps, 0);		/* no qmail-newu is here, as the one that makes it will say */
	have("var/qmail/bin/qmail-newu", "#!/bin/false\n");
	ck_assert_int_eq(chmod(at_root("var/qmail/bin/qmail-newu"), 0755), 0);
	valid();
	ck_assert_uint_eq(result.dumps, 1);
	ck_assert_str_eq(result.dump[0].type, "qmail-newu");
	memcpy(digest, result.dump[0].digest, sizeof digest);
	have("var/qmail/users/assign", "=Joe:joe:1:2:/home/joe:::\n.\n");
	have_users(&now);
	in_place = true;
	valid();
	ck_assert(result.dumps == 1 && !result.dump[0].old);
	ck_assert_str_eq(result.dump[0].digest, digest);
	have_users(&old);
	valid();
	ck_assert(result.dumps == 1 && result.dump[0].old);
	now.len--;		/* half made */
	have_users(&now);
	valid();
	ck_assert(result.dumps == 1 && result.dump[0].old);
}
END_TEST

START_TEST(a_good_exim_is_valid_with_what_it_includes)
{
	NEEDS_EXIM();
	case_begin();
	stage("etc/exim4/exim4.conf", "CONFDIR = /etc/exim4\nprimary_hostname = mx.test\nkeep_environment =\n.include /etc/exim4/local\n.include CONFDIR/more\n");
	stage("etc/exim4/local", "qualify_domain = mx.test\n.include /etc/exim4/inner\n");
	stage("etc/exim4/inner", "qualify_recipient = mx.test\n");
	stage("etc/exim4/more", "tls_advertise_hosts =\n");
	valid();
}
END_TEST

START_TEST(a_wrong_line_of_exim_is_named_and_in_what_it_includes_too)
{
	NEEDS_EXIM();
	case_begin();
	have("etc/exim4/local", "qualify_domain = mx.test\n");
	stage("etc/exim4/exim4.conf", "primary_hostname = mx.test\nkeep_environment =\nno_such_option = 1\n.include /etc/exim4/local\n");
	invalid("/etc/exim4/exim4.conf, line 3: main option \"no_such_option\" unknown");
	ck_assert_uint_eq(result.line, 3);
	changes = 0;
	stage("etc/exim4/exim4.conf", "primary_hostname = mx.test\nkeep_environment =\n.include /etc/exim4/local\n");
	stage("etc/exim4/local", "\nqualify_domian = mx.test\n");
	invalid("/etc/exim4/local, line 2: main option \"qualify_domian\" unknown");
	changes = 1;
	stage_removal("etc/exim4/local");
	invalid("/etc/exim4/local");
}
END_TEST

START_TEST(a_driver_that_exim_has_not_is_refused_and_no_log_of_exim_is_written)
{
	NEEDS_EXIM();
	case_begin();
	ck_assert(view_mkdirs("/tmp/log", NULL));
	ck_assert_int_eq(chmod("/tmp/log", 0777), 0);
	stage("etc/exim4/exim4.conf", "primary_hostname = mx.test\nlog_file_path = \\\n  /tmp/log/%slog\nkeep_environment =\nbegin routers\na:\n  driver = nosuch\n");
	invalid("/etc/exim4/exim4.conf, line 7: router a: cannot find router driver \"nosuch\"");
	ck_assert_int_eq(access("/tmp/log/mainlog", F_OK) & access("/tmp/log/paniclog", F_OK), -1);
}
END_TEST

START_TEST(debians_split_configuration_is_judged_as_what_is_made_of_it)
{
	static const char settings[] = "dc_eximconfig_configtype='local'\ndc_other_hostnames='mx.test'\ndc_local_interfaces='127.0.0.1'\ndc_readhost=''\n"
	    "dc_relay_domains=''\ndc_minimaldns='false'\ndc_relay_nets=''\ndc_smarthost=''\nCFILEMODE='644'\ndc_use_split_config='true'\n"
	    "dc_hide_mailname=''\ndc_mailname_in_oh='true'\ndc_localdelivery='mail_spool'\n";

	NEEDS_EXIM();
	case_begin();
	ck_assert(view_mkdirs(at_root("etc"), NULL));
	if (access("build/exim/etc/exim4/conf.d", F_OK) == -1)
		return;
	ck_assert_int_eq(box_run("cp", "-r", "build/exim/etc/exim4", at_root("etc/exim4"), NULL), 0);
	stage("etc/exim4/update-exim4.conf.conf", settings);
	valid();
	stage("etc/exim4/conf.d/router/150_ours", "ours:\n  driver = nosuch\n");
	invalid("router ours: cannot find router driver");
}
END_TEST

START_TEST(an_exim_that_is_not_there_cannot_say_anything)
{
	case_begin();
	stage("etc/exim4/exim4.conf", "primary_hostname = mx.test\n");
	ck_assert_int_eq(mount("none", "/usr/sbin", "tmpfs", 0, NULL), 0);
	judged();
	ck_assert_int_eq(umount("/usr/sbin"), 0);
	ck_assert_int_eq(result.verdict, VALIDITY_UNKNOWN);
	says("Exim is not installed here");
}
END_TEST

/* ---------------------------------------------------------------- a tree's own command */

static struct set_tree tree = { "/etc/dovecot", NULL };

static void
own_command(const char *command)
{
	tree.validate = command;
	rules = (struct set_rules){ NULL, 0, &tree, 1 };
}

START_TEST(a_command_judges_the_whole_staged_tree)
{
	case_begin();
	own_command("cd \"$MAILPAIR_STAGED$MAILPAIR_TREE\" && grep -q new dovecot.conf && grep -q kept conf.d/kept && ! test -e gone");
	have("etc/dovecot/dovecot.conf", "old\n");
	have("etc/dovecot/conf.d/kept", "kept\n");
	have("etc/dovecot/gone", "x\n");
	stage("etc/dovecot/dovecot.conf", "new\n");
	stage_removal("etc/dovecot/gone");
	valid();
	own_command("echo \"$MAILPAIR_STAGED/etc/dovecot/dovecot.conf: no such thing\" >&2; exit 3");
	invalid("with status 3: /etc/dovecot/dovecot.conf: no such thing");
}
END_TEST

START_TEST(a_command_judges_a_tree_that_is_a_single_file)
{
	static struct set_tree file = { "/etc/imapd.conf", "grep -q good \"$MAILPAIR_STAGED/etc/imapd.conf\"" };

	case_begin();
	rules = (struct set_rules){ NULL, 0, &file, 1 };
	have("etc/imapd.conf", "good\n");
	stage("etc/imapd.conf", "good, and new\n");
	valid();
	case_begin();
	rules = (struct set_rules){ NULL, 0, &file, 1 };
	have("etc/imapd.conf", "good\n");
	stage("etc/imapd.conf", "bad\n");
	invalid("refuses the new /etc/imapd.conf");
}
END_TEST

START_TEST(a_command_that_is_missing_leaves_the_verdict_unknown)
{
	case_begin();
	own_command("no-such-program-here");
	stage("etc/dovecot/dovecot.conf", "x\n");
	unknown("could not be run (status 127)");
}
END_TEST

START_TEST(a_command_that_is_late_leaves_the_verdict_unknown)
{
	case_begin();
	own_command("exec cat /tmp/case/gate");
	stage("etc/dovecot/dovecot.conf", "x\n");
	ck_assert_int_eq(mkfifo("/tmp/case/gate", 0600), 0);
	deadline_ms = 600;
	unknown("not finished after");
	ck_assert_uint_lt(result.took_ms, 10000);	/* it would never end by itself */
	own_command("true");	/* what the late one left is no hindrance */
	deadline_ms = 5000;
	valid();
}
END_TEST

START_TEST(a_scratch_directory_that_others_can_read_is_not_used)
{
	case_begin();
	ck_assert(view_mkdirs(CASE_SCRATCH, NULL));
	ck_assert_int_eq(chmod(CASE_SCRATCH, 0755), 0);
	stage("etc/tcp.smtp", ":allow\n");
	unknown("right is mode 0700");
}
END_TEST

/* ---------------------------------------------------------------- all */

static int
run(void)
{
	Suite *suite = suite_create("config_verify");
	TCase *tc = tcase_create("all");

	exim = exim_box_install();
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, the_view_is_what_is_in_place_with_what_is_staged_over_it);
	tcase_add_test(tc, no_link_leads_out_of_the_root);
	tcase_add_test(tc, rules_that_tcprules_takes_are_valid_and_dumped);
	tcase_add_test(tc, rules_that_are_older_than_their_source_are_told);
	tcase_add_test(tc, a_rule_that_tcprules_refuses_is_named_with_its_line);
	tcase_add_test(tc, control_files_of_qmail_are_valid_together);
	tcase_add_test(tc, without_rcpthosts_qmail_would_be_an_open_relay);
	tcase_add_test(tc, users_assign_is_judged_by_its_own_syntax);
	tcase_add_test(tc, the_table_of_users_assign_is_told_and_one_that_is_older);
	tcase_add_test(tc, a_good_exim_is_valid_with_what_it_includes);
	tcase_add_test(tc, a_wrong_line_of_exim_is_named_and_in_what_it_includes_too);
	tcase_add_test(tc, a_driver_that_exim_has_not_is_refused_and_no_log_of_exim_is_written);
	tcase_add_test(tc, debians_split_configuration_is_judged_as_what_is_made_of_it);
	tcase_add_test(tc, an_exim_that_is_not_there_cannot_say_anything);
	tcase_add_test(tc, a_command_judges_the_whole_staged_tree);
	tcase_add_test(tc, a_command_judges_a_tree_that_is_a_single_file);
	tcase_add_test(tc, a_command_that_is_missing_leaves_the_verdict_unknown);
	tcase_add_test(tc, a_command_that_is_late_leaves_the_verdict_unknown);
	tcase_add_test(tc, a_scratch_directory_that_others_can_read_is_not_used);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}

int
main(void)
{
	return box_main(run);
}
