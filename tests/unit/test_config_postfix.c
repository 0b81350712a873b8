/*
 * tests/unit/test_config_postfix.c - staged Postfix configurations, maps and aliases, judged by a real Postfix. Needs root (a box
 * of its own).
 */
#include "tests/unit/config_case.h"
#include "tests/unit/postfix_box.h"

static const char main_cf[] = "compatibility_level = 3.6\nmyhostname = mx.test\nvirtual_alias_maps = hash:/etc/postfix/virtual\n"
    "header_checks = regexp:$config_directory/headers\nalias_maps =\n";

/* A Postfix as it is in place, its map made. */
static void
have_postfix(void)
{
	char master[sizeof box_master_cf];

	for (size_t i = 0; i < sizeof master; i++)
		master[i] = box_master_cf[i] == '@' ? 'n' : box_master_cf[i];
	have("etc/postfix/main.cf", main_cf);
	have("etc/postfix/master.cf", master);
	have("etc/postfix/virtual", "a@mx.test b@mx.test\nc@mx.test d@mx.test\n");
	have("etc/postfix/headers", "/^X-Bad:/ REJECT\n");
	ck_assert_int_eq(box_run("postmap", "hash:" CASE_ROOT "/etc/postfix/virtual", NULL, NULL, NULL), 0);
}

static void
stage_main(const char *more)
{
	char text[1024];

	snprintf(text, sizeof text, "%s%s", main_cf, more);
	stage("etc/postfix/main.cf", text);
}

/* All of a directory as one text: names, times and sizes. */
static void
state_of(const char *dir, char *ret, size_t size)
{
	const char *const argv[] = { "find", dir, "-printf", "%p %T@ %s\n", NULL };
	const struct spawn_cmd cmd = { .argv = argv };

	ck_assert_int_eq(spawn_run(&cmd, 5000, ret, size, NULL, 0, NULL), 0);
}

START_TEST(a_good_postfix_is_valid_and_nothing_in_use_is_written)
{
	static char before[16384], after[16384], queue[16384], queue_after[16384];
	uint64_t start_ms;

	case_begin();
	have_postfix();
	stage_main("smtpd_banner = $myhostname ESMTP\n");
	state_of(CASE_ROOT, before, sizeof before);
	state_of("/var/spool/postfix", queue, sizeof queue);
	valid();
	state_of(CASE_ROOT, after, sizeof after);
	state_of("/var/spool/postfix", queue_after, sizeof queue_after);
	ck_assert_str_eq(before, after);
	ck_assert_str_eq(queue, queue_after);
	ck_assert_int_eq(access(CASE_SCRATCH "/verify", F_OK), -1);
	ck_assert_uint_eq(result.dumps, 0);		/* virtual is what it was */
	/* Postfix has not waited for its files to age, which is more than two seconds; as many programs as a check runs, and more, say
	 * how slow this machine is just now */
	start_ms = clock_mono_ms();
	for (int i = 0; i < 40; i++)
		ck_assert_int_eq(box_run("postconf", "-m", NULL, NULL, NULL), 0);
	ck_assert_uint_lt(result.took_ms, 1500 + 3 * (clock_mono_ms() - start_ms));
}
END_TEST

START_TEST(a_wrong_line_in_main_cf_is_named)
{
	case_begin();
	have_postfix();
	stage_main("my hostname = x\n");
	invalid("/etc/postfix/main.cf, line 6: missing '=' after attribute name");
	ck_assert_str_eq(result.file, "etc/postfix/main.cf");
	ck_assert_uint_eq(result.line, 6);
}
END_TEST

START_TEST(a_wrong_line_in_master_cf_is_named)
{
	case_begin();
	have_postfix();
	stage("etc/postfix/master.cf", "# x\nsmtp inet n - n smtpd\n");
	invalid("/etc/postfix/master.cf: line 2: bad field count");
	ck_assert_uint_eq(result.line, 2);
}
END_TEST

START_TEST(a_value_that_no_program_could_start_with_is_refused)
{
	case_begin();
	have_postfix();
	stage_main("mail_owner = nobody-such\n");
	invalid("/etc/postfix/main.cf, line 6: parameter mail_owner: unknown user name value");
	changes = 0;
	stage_main("default_process_limit = many\n");
	invalid("default_process_limit = many");
}
END_TEST

START_TEST(a_parameter_that_nobody_knows_is_valid_and_noted)
{
	case_begin();
	have_postfix();
	stage_main("smtpd_baner = x\n");
	valid();
	ck_assert_msg(strstr(result.notes, "unused parameter: smtpd_baner=x") != NULL, "%s", result.notes);
}
END_TEST

START_TEST(a_map_that_is_named_has_to_be_there_and_of_a_type_this_node_has)
{
	case_begin();
	have_postfix();
	stage_main("transport_maps = hash:/etc/postfix/transport\n");
	invalid("/etc/postfix/main.cf, line 6: transport_maps names hash:/etc/postfix/transport, and there is no such file");
	changes = 0;
	stage_main("smtpd_client_restrictions = check_client_access sdbm:/etc/postfix/virtual, permit\n");
	invalid("line 6: smtpd_client_restrictions names sdbm:/etc/postfix/virtual, and this node's Postfix has no \"sdbm\"");
	changes = 0;
	stage_removal("etc/postfix/headers");
	invalid("header_checks names regexp:/etc/postfix/headers");
	changes = 0;
	stage_main("sender_canonical_maps = hash:/etc/elsewhere\n");	/* another set's */
	valid();
	ck_assert_ptr_nonnull(strstr(result.notes, "hash:/etc/elsewhere, and there is no such file"));
}
END_TEST

START_TEST(a_changed_map_is_made_anew_and_dumped)
{
	static char before[16384], after[16384];
	char first[65];

	case_begin();
	have_postfix();
	stage("etc/postfix/virtual", "c@mx.test d@mx.test\n# comment\na@mx.test   b@mx.test\n");
	state_of(CASE_ROOT, before, sizeof before);
	valid();
	state_of(CASE_ROOT, after, sizeof after);
	ck_assert_str_eq(before, after);		/* nobody wrote through a link */
	ck_assert_uint_eq(result.dumps, 1);
	ck_assert_str_eq(result.dump[0].path, "etc/postfix/virtual");
	ck_assert_str_eq(result.dump[0].type, "hash");
	memcpy(first, result.dump[0].digest, sizeof first);
	changes = 0;
	stage("etc/postfix/virtual", "a@mx.test b@mx.test\nc@mx.test d@mx.test\n");
	valid();
	ck_assert_str_eq(result.dump[0].digest, first);		/* the same rows */
	changes = 0;
	stage("etc/postfix/virtual", "a@mx.test b@mx.test\nc@mx.test e@mx.test\n");
	valid();
	ck_assert_str_ne(result.dump[0].digest, first);
}
END_TEST

START_TEST(the_rows_of_a_table_are_the_same_in_any_format)
{
	char text[1024] = "", hash[65];

	case_begin();
	have_postfix();
	for (int i = 0; i < 20; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text), "k%d@mx.test v%d@mx.test\n", i * 7 % 20, i);
	stage("etc/postfix/virtual", text);
	valid();
	memcpy(hash, result.dump[0].digest, sizeof hash);
	stage("etc/postfix/main.cf", "compatibility_level = 3.6\nvirtual_alias_maps = btree:/etc/postfix/virtual\nalias_maps =\n");
	valid();
	ck_assert_str_eq(result.dump[0].type, "btree");
	ck_assert_str_eq(result.dump[0].digest, hash);
}
END_TEST

/* postmap -s cannot list a cdb. */
START_TEST(a_cdb_says_what_another_format_says_and_one_that_is_older_is_told)
{
	static const char cdb_cf[] = "compatibility_level = 3.6\nvirtual_alias_maps = cdb:/etc/postfix/virtual\nalias_maps =\n";
	static char types[2048];
	char hash[65];

	ck_assert_int_eq(spawn_run(&(struct spawn_cmd){ .argv = (const char *const[]){ "postconf", "-m", NULL } }, 5000, types, sizeof types, NULL, 0, NULL), 0);
	if (strstr(types, "cdb") == NULL) {
		printf("skipped: this Postfix has no cdb\n");
		return;
	}
	case_begin();
	have_postfix();
	stage("etc/postfix/virtual", "a@mx.test x@mx.test\nb@mx.test y@mx.test\n");
	valid();
	memcpy(hash, result.dump[0].digest, sizeof hash);
	ck_assert(view_remove(CASE_ROOT "/etc/postfix/virtual.db", NULL));
	stage("etc/postfix/main.cf", cdb_cf);
	valid();
	ck_assert_uint_eq(result.dumps, 1);
	ck_assert_str_eq(result.dump[0].type, "cdb");
	ck_assert_str_eq(result.dump[0].digest, hash);
	changes = 0;
	have("etc/postfix/main.cf", cdb_cf);
	have("etc/postfix/virtual", "a@mx.test x@mx.test\n");
	ck_assert_int_eq(box_run("postmap", "cdb:" CASE_ROOT "/etc/postfix/virtual", NULL, NULL, NULL), 0);
	change_add("etc/postfix/virtual", true)->from = CASE_ROOT "/etc/postfix/virtual";
	in_place = true;
	valid();
	ck_assert(result.dumps == 1 && !result.dump[0].old);
	have("etc/postfix/virtual", "a@mx.test z@mx.test\n");
	valid();
	ck_assert(result.dumps == 1 && result.dump[0].old);
	changes = 0;
	in_place = false;
	have("etc/aliases", "root: admin\n");
	ck_assert_int_eq(box_run("postalias", "cdb:" CASE_ROOT "/etc/aliases", NULL, NULL, NULL), 0);
	stage("etc/aliases", "root: other\n");
	valid();
	ck_assert_str_eq(result.dump[0].type, "cdb");
	memcpy(hash, result.dump[0].digest, sizeof hash);
	ck_assert(view_remove(CASE_ROOT "/etc/aliases.cdb", NULL));
	ck_assert_int_eq(box_run("postalias", "hash:" CASE_ROOT "/etc/aliases", NULL, NULL, NULL), 0);
	valid();
	ck_assert_str_eq(result.dump[0].type, "hash");
	ck_assert_str_eq(result.dump[0].digest, hash);
}
END_TEST

START_TEST(what_only_postfix_check_finds_is_refused)
{
	case_begin();
	have_postfix();
	stage_main("daemon_directory = /nonexistent\n");
	invalid("/nonexistent");
}
END_TEST

START_TEST(a_map_that_is_new_to_main_cf_is_one_to_be_made)
{
	case_begin();
	have_postfix();
	stage_main("transport_maps = proxy:btree:$config_directory/transport\n");
	stage("etc/postfix/transport", "x.test smtp:[relay.test]\n");
	valid();
	ck_assert_uint_eq(result.dumps, 1);
	ck_assert_str_eq(result.dump[0].path, "etc/postfix/transport");
	ck_assert_str_eq(result.dump[0].type, "btree");
}
END_TEST

static void
table_of(const char *path, const char *text)
{
	char table[600];

	have(path, text);
	snprintf(table, sizeof table, "hash:%s", at_root(path));
	ck_assert_int_eq(box_run("postmap", table, NULL, NULL, NULL), 0);
}

/* What is said of the source is made of it, and not taken from the table. */
START_TEST(a_table_in_use_that_is_not_made_of_its_source_is_told)
{
	char first[65];

	case_begin();
	have_postfix();
	table_of("etc/postfix/virtual", "a@mx.test b@mx.test\n");
	change_add("etc/postfix/virtual", true)->from = CASE_ROOT "/etc/postfix/virtual";
	in_place = true;
	valid();
	ck_assert(result.dumps == 1 && !result.dump[0].old);
	memcpy(first, result.dump[0].digest, sizeof first);
	have("etc/postfix/virtual", "a@mx.test c@mx.test\n");
	valid();
	ck_assert(result.dumps == 1 && result.dump[0].old);
	ck_assert_str_ne(result.dump[0].digest, first);
	have("etc/postfix/virtual.db", "half a table");
	valid();
	ck_assert(result.dumps == 1 && result.dump[0].old);
	in_place = false;
	valid();
	ck_assert(!result.dump[0].old);
}
END_TEST

START_TEST(a_map_with_a_line_that_postmap_would_ignore_is_refused)
{
	case_begin();
	have_postfix();
	stage("etc/postfix/virtual", "a@mx.test b@mx.test\nc@mx.test\n");
	invalid("/etc/postfix/virtual, line 2: expected format");
	ck_assert_uint_eq(result.line, 2);
	ck_assert_str_eq(result.file, "etc/postfix/virtual");
	changes = 0;
	stage("etc/postfix/virtual", "a@mx.test b@mx.test\na@mx.test c@mx.test\n");
	valid();
	ck_assert_ptr_nonnull(strstr(result.notes, "duplicate entry"));
	changes = 0;
	stage("etc/postfix/headers", "/^X-Ok:/ OK\n/^X-(Bad:/ REJECT\n");
	invalid("/etc/postfix/headers, line 2: Unmatched (");
}
END_TEST

START_TEST(a_table_that_a_program_of_its_own_reads_is_made_as_well)
{
	case_begin();
	have_postfix();
	have("etc/postfix/own", "x y\n");
	ck_assert_int_eq(box_run("postmap", "hash:" CASE_ROOT "/etc/postfix/own", NULL, NULL, NULL), 0);
	stage("etc/postfix/own", "x z\n");
	valid();
	ck_assert_uint_eq(result.dumps, 1);
	ck_assert_str_eq(result.dump[0].path, "etc/postfix/own");
}
END_TEST

START_TEST(postfix_keys_are_held_against_their_certificates)
{
	static const char make[] = "set -e; cd /tmp/case; for i in 1 2; do openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 -keyout "
	    "k$i.pem -out c$i.pem -subj /CN=mx.test -days 2; done; mkdir -p root/etc/postfix; cp c1.pem root/etc/postfix/cert.pem; "
	    "cp k1.pem root/etc/postfix/key.pem";

	case_begin();
	have_postfix();
	ck_assert_int_eq(box_run("/bin/sh", "-c", make, NULL, NULL), 0);
	stage_main("smtpd_tls_cert_file = $config_directory/cert.pem\nsmtpd_tls_key_file = /etc/postfix/key.pem\n");
	valid();
	stage_copy("etc/postfix/key.pem", "/tmp/case/k2.pem");
	invalid("/etc/postfix/cert.pem (CN=mx.test) does not belong to the key /etc/postfix/key.pem");
}
END_TEST

START_TEST(postfix_does_not_run_without_its_two_files)
{
	case_begin();
	have_postfix();
	stage_removal("etc/postfix/main.cf");
	invalid("/etc/postfix/main.cf is missing, or is to go");
	changes = 0;
	stage_removal("etc/postfix/master.cf");
	invalid("/etc/postfix/master.cf is missing, or is to go");
}
END_TEST

START_TEST(a_postfix_tree_may_have_a_command_besides)
{
	struct set_tree tree = { "/etc/postfix", "exit 9" };

	case_begin();
	have_postfix();
	rules = (struct set_rules){ NULL, 0, &tree, 1 };
	stage_main("");
	invalid("with status 9");
	tree = (struct set_tree){ "/etc", "test -e $MAILPAIR_STAGED/etc/hosts && ! test -e $MAILPAIR_STAGED/queue" };
	have("etc/hosts", "");
	valid();
}
END_TEST

/* ---------------------------------------------------------------- aliases */

START_TEST(aliases_are_judged_and_where_there_is_a_table_made_and_dumped)
{
	case_begin();
	stage("etc/aliases", "root: admin\n");
	valid();
	ck_assert_uint_eq(result.dumps, 0);
	have("etc/aliases", "root: admin\n");
	ck_assert_int_eq(box_run("postalias", "hash:" CASE_ROOT "/etc/aliases", NULL, NULL, NULL), 0);
	valid();
	ck_assert_uint_eq(result.dumps, 1);
	ck_assert_str_eq(result.dump[0].path, "etc/aliases");
	changes = 0;
	view_remove(CASE_ROOT "/etc/aliases.db", NULL);
	have("etc/postfix/main.cf", "alias_maps = hash:/etc/aliases\n");
	stage("etc/aliases", "root: other\n");		/* none is there, but one is asked for */
	valid();
	ck_assert_uint_eq(result.dumps, 1);
	ck_assert_str_eq(result.dump[0].type, "hash");
	changes = 0;
	stage("etc/aliases", "root: admin\npostmaster root\n");
	invalid("/etc/aliases, line 2: \"postmaster root\" is no alias");
	changes = 0;
	stage_removal("etc/aliases");
	invalid("/etc/aliases is to go");
}
END_TEST

START_TEST(a_table_that_nobody_here_can_make_leaves_the_verdict_unknown)
{
	case_begin();
	have("etc/aliases", "root: admin\n");
	have("etc/aliases.db", "");
	stage("etc/aliases", "root: other\n");
	ck_assert_int_eq(mount("none", "/usr/sbin", "tmpfs", 0, NULL), 0);
	judged();
	ck_assert_int_eq(umount("/usr/sbin"), 0);
	ck_assert_int_eq(result.verdict, VALIDITY_UNKNOWN);
	says("postalias");
}
END_TEST

static int
run(void)
{
	Suite *suite = suite_create("config_postfix");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, a_good_postfix_is_valid_and_nothing_in_use_is_written);
	tcase_add_test(tc, a_wrong_line_in_main_cf_is_named);
	tcase_add_test(tc, a_wrong_line_in_master_cf_is_named);
	tcase_add_test(tc, a_value_that_no_program_could_start_with_is_refused);
	tcase_add_test(tc, a_parameter_that_nobody_knows_is_valid_and_noted);
	tcase_add_test(tc, a_map_that_is_named_has_to_be_there_and_of_a_type_this_node_has);
	tcase_add_test(tc, a_changed_map_is_made_anew_and_dumped);
	tcase_add_test(tc, the_rows_of_a_table_are_the_same_in_any_format);
	tcase_add_test(tc, a_cdb_says_what_another_format_says_and_one_that_is_older_is_told);
	tcase_add_test(tc, what_only_postfix_check_finds_is_refused);
	tcase_add_test(tc, a_map_that_is_new_to_main_cf_is_one_to_be_made);
	tcase_add_test(tc, a_table_in_use_that_is_not_made_of_its_source_is_told);
	tcase_add_test(tc, a_map_with_a_line_that_postmap_would_ignore_is_refused);
	tcase_add_test(tc, a_table_that_a_program_of_its_own_reads_is_made_as_well);
	tcase_add_test(tc, postfix_keys_are_held_against_their_certificates);
	tcase_add_test(tc, postfix_does_not_run_without_its_two_files);
	tcase_add_test(tc, aliases_are_judged_and_where_there_is_a_table_made_and_dumped);
	tcase_add_test(tc, a_table_that_nobody_here_can_make_leaves_the_verdict_unknown);
	tcase_add_test(tc, a_postfix_tree_may_have_a_command_besides);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}

int
main(void)
{
	return box_main(run);
}
