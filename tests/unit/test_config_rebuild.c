/*
 * tests/unit/test_config_rebuild.c - laws of making tables: by the real programs, whole at every moment, with the rows that were found
 * valid; and nothing is told to what does not run.
 */
#include "tests/unit/harness.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "common/spawn.h"
#include "configsync/rebuild.h"
#include "tests/unit/cdb_made.h"
#include "tests/unit/config_box.h"

/* ---------------------------------------------------------------- the plan */

static struct rebuild_step step[REBUILD_STEPS_MAX];

static size_t
plan(const struct rebuild_job *job, const struct rebuild_running *r, size_t running)
{
	bool cut;
	size_t n = rebuild_plan(job, r, running, step, &cut);

	ck_assert(!cut);
	ck_assert(n == 0 || rebuild_needed(job));
	return n;
}

static const struct rebuild_running postfix = { .service = REBUILD_POSTFIX, .config = "etc/postfix" },
	exim = { .service = REBUILD_EXIM, .pid = 7 }, dovecot = { .service = REBUILD_DOVECOT, .pid = 8 };

START_TEST(each_table_is_made_by_its_own_program)
{
	static const struct verify_dump dump[] = { { "etc/postfix/maps/x", "btree", "d1", false }, { "etc/aliases", "hash", "d2", false },
		{ "etc/tcp.smtp", "tcprules", "d3", false }, { "etc/postfix-out/y", "lmdb", "d4", false } };
	static const char *const path[] = { "var/qmail/users/assign", "var/qmail/control/morercpthosts" };
	static const char *const program[] = { "postmap", "postalias", "tcprules", "postmap", "qmail-newu", "qmail-newmrh" };
	static const char *const config[] = { "etc/postfix", "", "", "etc/postfix-out", "", "" };

	ck_assert_uint_eq(plan(&(struct rebuild_job){ .path = path, .paths = 2, .dump = dump, .dumps = 4 }, NULL, 0), 6);
	for (size_t i = 0; i < 6; i++) {
		ck_assert_int_eq(step[i].kind, i < 4 ? REBUILD_MAKE : REBUILD_PROGRAM);
		ck_assert_str_eq(step[i].program, program[i]);
		ck_assert_str_eq(step[i].config, config[i]);
	}
}
END_TEST

START_TEST(only_what_runs_and_is_concerned_is_told_and_once)
{
	static const char *const two[] = { "etc/postfix/main.cf", "etc/postfix/master.cf", "etc/hosts" }, *const cert[] = { "etc/letsencrypt/live/mx/cert.pem" },
		*const map[] = { "etc/postfix/virtual" }, *const out[] = { "etc/postfix-out/main.cf" };
	static const struct verify_dump dump = { "etc/postfix/virtual", "hash", "d", false };
	const struct rebuild_running all[] = { postfix, exim, dovecot };
	const struct rebuild_job main_cf = { .path = two, .paths = 3 };

	ck_assert_uint_eq(plan(&main_cf, NULL, 0), 0);		/* a standby */
	ck_assert_uint_eq(plan(&main_cf, all, 3), 1);
	ck_assert(step[0].kind == REBUILD_POSTFIX_RELOAD && strcmp(step[0].config, "etc/postfix") == 0);
	ck_assert_uint_eq(plan(&(struct rebuild_job){ .path = cert, .paths = 1 }, all, 3), 2);
	ck_assert(step[0].kind == REBUILD_POSTFIX_RELOAD && step[1].kind == REBUILD_HANGUP && step[1].pid == 8);
	ck_assert_uint_eq(plan(&(struct rebuild_job){ .path = out, .paths = 1 }, all, 3), 0);	/* another instance */
	/* a table is noticed by all who read it */
	ck_assert_uint_eq(plan(&(struct rebuild_job){ .path = map, .paths = 1, .dump = &dump, .dumps = 1 }, all, 3), 1);
	ck_assert_int_eq(step[0].kind, REBUILD_MAKE);
}
END_TEST

START_TEST(a_trees_own_command_takes_the_place_of_ours_where_its_service_runs)
{
	static const char *const path[] = { "etc/dovecot/dovecot.conf", "etc/dovecot/conf.d/10-ssl.conf" }, *const other[] = { "srv/app/x" };
	static const struct setup_tree tree[] = { { .path = "etc/dovecot", .reload = "doveadm reload" }, { .path = "/srv/app", .reload = "app reload" } };
	const struct rebuild_job job = { .path = path, .paths = 2, .tree = tree, .trees = 2 }, app = { .path = other, .paths = 1, .tree = tree, .trees = 2 };

	ck_assert_uint_eq(plan(&job, &dovecot, 1), 1);
	ck_assert(step[0].kind == REBUILD_COMMAND && strcmp(step[0].command, "doveadm reload") == 0);
	ck_assert_uint_eq(plan(&job, NULL, 0), 0);
	ck_assert_uint_eq(plan(&app, NULL, 0), 1);	/* of whom we know nothing: that is its command's affair */
	ck_assert_str_eq(step[0].command, "app reload");
}
END_TEST

/* ---------------------------------------------------------------- the real programs */

struct call { struct loop *loop; struct rebuild_result result; };

static void
done(void *arg, const struct rebuild_result *r)
{
	struct call *c = arg;

	c->result = *r;
	loop_stop(c->loop);
}

static struct rebuild_result
rebuild(const struct config_box *b, struct rebuild_job job)
{
	struct call c = { .loop = loop_new() };

	job.root = b->dir;
	rebuild_start(c.loop, &job, done, &c);
	loop_run(c.loop);
	loop_free(c.loop);
	return c.result;
}

/* What a command says, in the box's directory. */
static const char *
says(const struct config_box *b, const char *command)
{
	static char out[4096], text[1024];
	const char *const argv[] = { "/bin/sh", "-c", text, NULL };

	snprintf(text, sizeof text, "cd %s && %s", b->dir, command);
	spawn_run(&(struct spawn_cmd){ .argv = argv }, 10000, out, sizeof out, NULL, 0, NULL);
	return out;
}

static void
box_postfix(struct config_box *b)
{
	box_open(b, NULL);
	ck_assert_int_eq(mkdirat(b->root, "etc", 0755), 0);
	ck_assert_int_eq(mkdirat(b->root, "etc/postfix", 0755), 0);
	box_write(b, "etc/postfix/main.cf", "compatibility_level = 3.6\n");
}

static bool
is_there(const struct config_box *b, const char *path)
{
	return faccessat(b->root, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

START_TEST(what_is_no_source_and_concerns_nobody_needs_no_process)
{
	static const char *const none[] = { "etc/hosts", "etc/cron.cluster", "var/qmail/control/me", "etc/mailname" }, *const cert[] = { "etc/hosts", "etc/ssl/mx.pem" };
	static const struct setup_tree tree = { .path = "/etc", .reload = "true" };
	struct rebuild_job job = { .path = none, .paths = 4 };

	ck_assert(!rebuild_needed(&job));
	job.tree = &tree;
	job.trees = 1;
	ck_assert(rebuild_needed(&job));
	ck_assert(rebuild_needed(&(struct rebuild_job){ .path = cert, .paths = 2 }));
}
END_TEST

START_TEST(tables_are_made_with_what_their_sources_say)
{
	static const struct verify_dump dump[] = { { "etc/postfix/virtual", "hash", "", false }, { "etc/postfix/virtual2", "btree", "", false },
		{ "etc/aliases", "hash", "", false }, { "etc/tcp.smtp", "tcprules", "", false } };
	struct rebuild_result r;
	struct config_box b;
	struct stat st;

	box_postfix(&b);
	box_write(&b, "etc/postfix/virtual", "a@x  b\n");
	box_write(&b, "etc/postfix/virtual2", "c@x  d\n");
	box_write(&b, "etc/aliases", "root: someone\n");
	box_write(&b, "etc/tcp.smtp", "127.:allow,RELAYCLIENT=\"\"\n:deny\n");
	ck_assert_int_eq(fchmodat(b.root, "etc/postfix/virtual2", 0640, 0), 0);
	ck_assert_int_eq(fchownat(b.root, "etc/postfix/virtual2", 8, 8, 0), 0);
	r = rebuild(&b, (struct rebuild_job){ .dump = dump, .dumps = 4 });
	ck_assert_msg(r.ok, "%s", r.why);
	ck_assert_uint_eq(r.made, 4);
	ck_assert_str_eq(says(&b, "postmap -c etc/postfix -s hash:etc/postfix/virtual"), "a@x\tb\n");
	ck_assert_str_eq(says(&b, "postmap -c etc/postfix -s btree:etc/postfix/virtual2"), "c@x\td\n");
	ck_assert_str_eq(says(&b, "postalias -c etc/postfix -q root hash:etc/aliases"), "someone\n");
	ck_assert_ptr_nonnull(strstr(says(&b, "TCPREMOTEIP=127.0.0.1 tcprulescheck etc/tcp.smtp.cdb"), "RELAYCLIENT"));
	ck_assert(fstatat(b.root, "etc/postfix/virtual2.db", &st, 0) == 0 && st.st_uid == 8 && st.st_gid == 8 && (st.st_mode & 07777) == 0640);
	ck_assert_str_eq(says(&b, "find . -name '.mailpair*'"), "");
	box_close(&b);
}
END_TEST

/* The aliases were checked where main.cf was not there yet, and the other way round: both come at once to a new node. */
START_TEST(the_table_of_aliases_that_main_cf_names_is_made_whichever_came_first)
{
	static const char *const source[] = { "etc/aliases" }, *const main_cf[] = { "etc/postfix/main.cf" }, *const other[] = { "etc/postfix/master.cf" };
	struct rebuild_result r;
	struct config_box b;

	box_postfix(&b);
	box_write(&b, "etc/aliases", "root: someone\n");
	ck_assert(rebuild_needed(&(struct rebuild_job){ .path = source, .paths = 1 }));
	r = rebuild(&b, (struct rebuild_job){ .path = source, .paths = 1 });
	ck_assert_msg(r.ok && r.made == 0 && !is_there(&b, "etc/aliases.db"), "%s", r.why);		/* no format is named */
	box_write(&b, "etc/postfix/main.cf", "compatibility_level = 3.6\nalias_maps = hash:/etc/aliases\n");
	for (int i = 0; i < 2; i++) {
		r = rebuild(&b, (struct rebuild_job){ .path = i == 0 ? source : main_cf, .paths = 1 });
		ck_assert_msg(r.ok && r.made == 1, "%s", r.why);
		ck_assert_str_eq(says(&b, "postalias -c etc/postfix -q root hash:etc/aliases"), "someone\n");
		r = rebuild(&b, (struct rebuild_job){ .path = i == 0 ? source : main_cf, .paths = 1 });
		ck_assert_msg(r.ok && r.made == 0, "%s", r.why);		/* what is there was judged by the check */
		ck_assert_int_eq(unlinkat(b.root, "etc/aliases.db", 0), 0);
	}
	r = rebuild(&b, (struct rebuild_job){ .path = other, .paths = 1 });
	ck_assert_msg(r.ok && r.made == 0, "%s", r.why);
	ck_assert_int_eq(unlinkat(b.root, "etc/aliases", 0), 0);
	r = rebuild(&b, (struct rebuild_job){ .path = main_cf, .paths = 1 });
	ck_assert_msg(r.ok && r.made == 0, "%s", r.why);
	box_close(&b);
}
END_TEST

START_TEST(rows_that_were_not_found_valid_and_sources_that_are_wrong_leave_the_old_table)
{
	static const struct verify_dump good = { "etc/postfix/virtual", "hash", "", false }, bad = { "etc/postfix/virtual", "hash",
		"0000000000000000000000000000000000000000000000000000000000000000", false }, odd = { "etc/postfix/virtual", "nosuch", "", false },
		gone = { "etc/postfix/gone", "hash", "", false };
	const struct verify_dump both[] = { gone, good };
	struct rebuild_result r;
	struct config_box b;

	box_postfix(&b);
	box_write(&b, "etc/postfix/virtual", "old x\n");
	ck_assert(rebuild(&b, (struct rebuild_job){ .dump = &good, .dumps = 1 }).ok);
	box_write(&b, "etc/postfix/virtual", "new x\n");
	r = rebuild(&b, (struct rebuild_job){ .dump = &bad, .dumps = 1 });
	ck_assert_msg(!r.ok && strstr(r.why, "other rows") != NULL, "%s", r.why);
	r = rebuild(&b, (struct rebuild_job){ .dump = &odd, .dumps = 1 });
	ck_assert_msg(!r.ok && strstr(r.why, "\"nosuch\"") != NULL, "%s", r.why);
	ck_assert_str_eq(says(&b, "postmap -c etc/postfix -s hash:etc/postfix/virtual"), "old\tx\n");
	r = rebuild(&b, (struct rebuild_job){ .dump = both, .dumps = 2 });	/* one that fails keeps no other back */
	ck_assert_msg(!r.ok && strstr(r.why, "/etc/postfix/gone") != NULL && r.made == 1, "%s", r.why);
	ck_assert_str_eq(says(&b, "postmap -c etc/postfix -s hash:etc/postfix/virtual"), "new\tx\n");
	ck_assert_str_eq(says(&b, "find . -name '.mailpair*'"), "");
	box_close(&b);
}
END_TEST

struct verdict { struct loop *loop; struct verify_result result; };

static void
found_valid(void *arg, const struct verify_result *r)
{
	struct verdict *c = arg;

	c->result = *r;
	loop_stop(c->loop);
}

START_TEST(what_verify_found_is_what_is_made)
{
	struct verdict c = { .loop = loop_new() };
	static const struct verify_dump first = { "etc/aliases", "hash", "", false };
	struct verify_job job = { 0 };
	struct view_change change = { .path = "etc/aliases" };
	struct rebuild_result r;
	struct config_box b;
	char scratch[128], from[128];

	box_postfix(&b);
	snprintf(scratch, sizeof scratch, "%s/scratch", b.dir);
	snprintf(from, sizeof from, "%s/staged", b.dir);
	box_write(&b, "etc/aliases", "postmaster: root\nroot: old\n");
	ck_assert(rebuild(&b, (struct rebuild_job){ .dump = &first, .dumps = 1 }).ok);
	box_write(&b, "staged", "postmaster: root\nroot: new\n");
	change.from = from;
	job.view = (struct view){ .root = b.dir, .change = &change, .changes = 1 };
	job.scratch = scratch;
	set_of(NULL, "etc/aliases", &job.set);
	verify_start(c.loop, &job, found_valid, &c);
	loop_run(c.loop);
	loop_free(c.loop);
	ck_assert_msg(c.result.verdict == VALIDITY_VALID && c.result.dumps == 1, "%s", c.result.why);
	ck_assert_int_eq(renameat(b.root, "staged", b.root, "etc/aliases"), 0);
	r = rebuild(&b, (struct rebuild_job){ .dump = c.result.dump, .dumps = c.result.dumps });
	ck_assert_msg(r.ok, "%s", r.why);
	ck_assert_str_eq(says(&b, "postalias -c etc/postfix -q root hash:etc/aliases"), "new\n");
	box_close(&b);
}
END_TEST

/* A qmail-newu that puts this file in place. */
static void
newu_makes(struct config_box *b, const struct cdb_made *c)
{
	static const char script[] = "#!/bin/sh\ncd \"${0%/bin/*}/users\" && cp made cdb.tmp && mv cdb.tmp cdb\n";
	int fd = openat(b->root, "var/qmail/users/made", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	ck_assert_int_eq(write(fd, c->at, c->len), (ssize_t)c->len);
	close(fd);
	box_write(b, "var/qmail/bin/qmail-newu", script);
	ck_assert_int_eq(fchmodat(b->root, "var/qmail/bin/qmail-newu", 0755, 0), 0);
}

START_TEST(what_a_program_of_qmail_put_in_place_has_to_say_what_its_source_says)
{
	static const char *const path[] = { "var/qmail/users/assign" };
	static const struct verify_dump dump = { "var/qmail/users/assign", "qmail-newu", "", false };
	const struct rebuild_job job = { .path = path, .paths = 1, .dump = &dump, .dumps = 1 };
	struct cdb_made good = { .len = 0 }, other = { .len = 0 };
	struct rebuild_result r;
	struct config_box b;

	box_open(&b, NULL);
	ck_assert_str_eq(says(&b, "mkdir -p var/qmail/bin var/qmail/users"), "");
	box_write(&b, "var/qmail/users/assign", "+joe-:joe:1:2:/home/joe:-::\n.\n");
	cdb_add(&good, "!joe-", 5, "joe\0001\0002\0/home/joe\0-\0", 20);
	cdb_add(&good, "", 0, "-", 1);
	cdb_finish(&good);
	cdb_add(&other, "!joe-", 5, "joe\0001\0002\0/home/joe\0-\0", 20);
	cdb_add(&other, "", 0, "", 0);		/* no wildcard would be looked for */
	cdb_finish(&other);
	newu_makes(&b, &good);
	r = rebuild(&b, job);
	ck_assert_msg(r.ok && r.made == 1, "%s", r.why);
	newu_makes(&b, &other);
	r = rebuild(&b, job);
	ck_assert_msg(!r.ok && strstr(r.why, "/var/qmail/users/cdb, which qmail-newu made, does not say what /var/qmail/users/assign says") != NULL, "%s", r.why);
	other.len--;
	newu_makes(&b, &other);
	r = rebuild(&b, job);
	ck_assert_msg(!r.ok && strstr(r.why, "no whole cdb") != NULL, "%s", r.why);
	ck_assert_int_eq(unlinkat(b.root, "var/qmail/users/assign", 0), 0);	/* nothing can be made, nothing has failed */
	r = rebuild(&b, job);
	ck_assert_msg(r.ok && r.made == 0, "%s", r.why);
	box_close(&b);
}
END_TEST

START_TEST(a_reader_never_meets_a_table_that_is_not_whole)
{
	static const struct verify_dump dump = { "etc/aliases", "hash", "", false };
	struct config_box b;
	int status;
	pid_t reader;

	box_postfix(&b);
	box_write(&b, "etc/aliases", "root: someone\n");
	ck_assert(rebuild(&b, (struct rebuild_job){ .dump = &dump, .dumps = 1 }).ok);
	if ((reader = fork()) == 0) {
		for (;;) {
			struct stat st;
			int fd = openat(b.root, "etc/aliases.db", O_RDONLY | O_CLOEXEC);

			if (fd == -1 || fstat(fd, &st) == -1 || st.st_size < 4096)
				_exit(1);
			close(fd);
		}
	}
	for (int i = 0; i < 20; i++)
		ck_assert(rebuild(&b, (struct rebuild_job){ .dump = &dump, .dumps = 1 }).ok);
	ck_assert_int_eq(waitpid(reader, &status, WNOHANG), 0);
	kill(reader, SIGKILL);
	waitpid(reader, &status, 0);
	box_close(&b);
}
END_TEST

START_TEST(what_a_crash_has_left_is_no_hindrance_and_a_link_leads_nowhere)
{
	static const struct verify_dump dump = { "etc/aliases", "hash", "", false }, through = { "way/aliases", "hash", "", false };
	struct rebuild_result r;
	struct config_box b;
	uint8_t digest[DIGEST_LEN];
	char hex[DIGEST_HEX], left[128], half[144];

	box_postfix(&b);
	box_write(&b, "etc/aliases", "root: someone\n");
	digest_sha256("etc/aliases", sizeof "etc/aliases", digest);
	snprintf(left, sizeof left, "etc/" SCOPE_TABLE "%.32s", digest_hex(digest, sizeof digest, hex));
	ck_assert_int_eq(mkdirat(b.root, left, 0700), 0);
	snprintf(half, sizeof half, "%s/table", left);
	box_write(&b, half, "half of it");
	r = rebuild(&b, (struct rebuild_job){ .dump = &dump, .dumps = 1 });
	ck_assert_msg(r.ok && !is_there(&b, left), "%s", r.why);
	ck_assert_int_eq(symlinkat("etc", b.root, "way"), 0);
	r = rebuild(&b, (struct rebuild_job){ .dump = &through, .dumps = 1 });
	ck_assert_msg(!r.ok && strstr(r.why, "/way/aliases") != NULL, "%s", r.why);
	box_close(&b);
}
END_TEST

START_TEST(a_service_that_runs_is_told_and_a_command_is_run)
{
	static const char *const path[] = { "var/qmail/control/locals", "srv/app/x" };
	struct setup_tree tree = { .path = "srv/app" };
	struct rebuild_result r;
	struct config_box b;
	char command[128];
	sigset_t hup;
	int status, ready[2];
	pid_t pid;

	if (geteuid() != 0 || unshare(CLONE_NEWNS) == -1)	/* so that no other process of this name is told */
		return;
	box_postfix(&b);
	snprintf(command, sizeof command, "touch %s/was-here", b.dir);
	tree.reload = command;
	ck_assert_int_eq(pipe(ready), 0);
	if ((pid = fork()) == 0) {
		int signo;

		prctl(PR_SET_NAME, "qmail-send");
		sigemptyset(&hup);
		sigaddset(&hup, SIGHUP);
		sigprocmask(SIG_BLOCK, &hup, NULL);
		(void)!write(ready[1], "", 1);
		sigwait(&hup, &signo);
		_exit(signo == SIGHUP ? 42 : 1);
	}
	ck_assert_int_eq(read(ready[0], &status, 1), 1);
	r = rebuild(&b, (struct rebuild_job){ .path = path, .paths = 2, .tree = &tree, .trees = 1 });
	ck_assert_msg(r.ok && r.reloaded == 2, "%s %s", r.why, r.notes);
	ck_assert(is_there(&b, "was-here"));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	tree.reload = "echo no such thing >&2; exit 3";
	r = rebuild(&b, (struct rebuild_job){ .path = path, .paths = 2, .tree = &tree, .trees = 1 });
	ck_assert_msg(!r.ok && r.reloaded == 0 && strstr(r.why, "no such thing") != NULL && strstr(r.why, "3") != NULL, "%s", r.why);
	close(ready[0]);
	close(ready[1]);
	box_close(&b);
}
END_TEST

START_TEST(a_command_that_does_not_end_is_ended_and_said)
{
	static const char *const path[] = { "srv/app/x" };
	static const struct setup_tree tree = { .path = "srv/app", .reload = "exec cat /dev/zero >/dev/null" };
	uint64_t began = clock_mono_ms();
	struct rebuild_result r;
	struct config_box b;

	box_postfix(&b);
	r = rebuild(&b, (struct rebuild_job){ .path = path, .paths = 1, .tree = &tree, .trees = 1, .deadline_ms = 500 });
	ck_assert_msg(!r.ok && r.why[0] != '\0', "%s", r.why);
	ck_assert_uint_lt(clock_mono_ms() - began, 5000);
	box_close(&b);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config rebuild");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, each_table_is_made_by_its_own_program);
	tcase_add_test(tc, only_what_runs_and_is_concerned_is_told_and_once);
	tcase_add_test(tc, a_trees_own_command_takes_the_place_of_ours_where_its_service_runs);
	tcase_add_test(tc, what_is_no_source_and_concerns_nobody_needs_no_process);
	tcase_add_test(tc, tables_are_made_with_what_their_sources_say);
	tcase_add_test(tc, the_table_of_aliases_that_main_cf_names_is_made_whichever_came_first);
	tcase_add_test(tc, rows_that_were_not_found_valid_and_sources_that_are_wrong_leave_the_old_table);
	tcase_add_test(tc, what_verify_found_is_what_is_made);
	tcase_add_test(tc, what_a_program_of_qmail_put_in_place_has_to_say_what_its_source_says);
	tcase_add_test(tc, a_reader_never_meets_a_table_that_is_not_whole);
	tcase_add_test(tc, what_a_crash_has_left_is_no_hindrance_and_a_link_leads_nowhere);
	tcase_add_test(tc, a_service_that_runs_is_told_and_a_command_is_run);
	tcase_add_test(tc, a_command_that_does_not_end_is_ended_and_said);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
