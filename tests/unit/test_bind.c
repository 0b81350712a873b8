/*
 * tests/unit/test_bind.c - the spool's directories at their usual places, also after a run that
 * died; and the seal's file on that spool.
 */
#include <sys/sysmacros.h>

#include "supervisor/bind.h"
#include "supervisor/edge.h"
#include "supervisor/mounts.h"
#include "supervisor/seal.h"
#include "supervisor/storage.h"
#include "tests/unit/disk.h"
#include "tests/unit/harness.h"

#define USUAL	DISK_ROOT "/usual"
#define POSTFIX USUAL "/postfix"
#define ETC	USUAL "/etc"
#define KEPT	ETC ".drbdlinks"

static struct conf conf;
static char device[32];

static bool
up(const struct conf *c, struct spawn_out *out, struct err *err)
{
	return storage_shared.up(c, out, err);
}

static bool
down(const struct conf *c, struct spawn_out *out, struct err *err)
{
	return storage_shared.down(c, c->unmount_ms, out, err);
}

/* A spool with postfix/ and etc/; /usual/postfix to bind over and /usual/etc to replace by a link.
 */
static void
world(void)
{
	struct disk_work w;

	disk_world();
	disk_image(DISK_ROOT "/image", "ext4");
	disk_attach(DISK_ROOT "/image", false, device);
	conf = disk_conf(device, "ext4");
	conf.bind[0] = (struct conf_bind){.path = POSTFIX, .from = "postfix"};
	conf.bind[1] = (struct conf_bind){.path = ETC, .from = "etc", .symlink = true};
	conf.binds = 2;
	ck_assert_msg(disk_act(up, &conf, &w), "%s", w.err.text);
	ck_assert(mkdir(USUAL, 0755) == 0 && mkdir(POSTFIX, 0755) == 0 && mkdir(ETC, 0755) == 0);
	ck_assert(mkdir(DISK_POINT "/postfix", 0755) == 0 && mkdir(DISK_POINT "/etc", 0755) == 0);
	disk_file(POSTFIX "/local", "", false);
	disk_file(ETC "/local", "", false);
	disk_file(DISK_POINT "/postfix/shared", "", false);
	disk_file(DISK_POINT "/etc/shared", "", false);
}

static bool
there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static void
must_be_up(void)
{
	struct err err = {0};

	ck_assert(there(POSTFIX "/shared") && !there(POSTFIX "/local"));
	ck_assert(there(ETC "/shared") && !there(ETC "/local"));
	ck_assert(there(KEPT "/local"));
	ck_assert_msg(binds_held(&conf, &err) == FACT_YES, "%s", err.text);
}

static void
must_be_down(void)
{
	struct err err = {0};

	ck_assert(there(POSTFIX "/local") && !there(POSTFIX "/shared"));
	ck_assert(there(ETC "/local") && !there(ETC "/shared"));
	ck_assert(!there(KEPT));
	ck_assert_msg(binds_held(&conf, &err) == FACT_NO, "%s", err.text);
}

static void
must(bool (*act)(const struct conf *, struct spawn_out *, struct err *))
{
	struct disk_work w;

	ck_assert_msg(disk_act(act, &conf, &w), "%s\n%s", w.err.text, w.report);
}

static void
must_not(bool (*act)(const struct conf *, struct spawn_out *, struct err *), const char *says)
{
	struct disk_work w;

	ck_assert(!disk_act(act, &conf, &w));
	ck_assert_msg(strstr(w.err.text, says) != NULL, "%s", w.err.text);
}

/* The step of the engine, with a mail program that cannot be started here. */
static bool
restart(const struct conf *c, struct spawn_out *out, struct err *err)
{
	struct edge_ctx ctx = {.conf = c};

	return edge_real.mta_restart(&ctx, out, err);
}

/* A daemon that was killed before the binds were made, and whose own try to make them failed. */
START_TEST(no_mail_program_is_started_again_before_the_spool_is_at_its_usual_places)
{
	struct disk_work w;

	conf.mta = (struct conf_mta){.name = "postfix", .config = USUAL "/no-such", .start_ms = 2000};
	must_be_down();
	ck_assert(!disk_act(restart, &conf, &w));
	must_be_up();
	must(binds_down);
	ck_assert(rename(DISK_POINT "/postfix", DISK_POINT "/gone") == 0);
	must_not(restart, "cannot find postfix on the spool");
}
END_TEST

START_TEST(up_shows_the_spool_and_down_shows_what_was_there)
{
	must_be_down();
	must(binds_up);
	must_be_up();
	must(binds_down);
	must_be_down();
}
END_TEST

START_TEST(twice_is_as_good_as_once)
{
	struct disk_work w;
	struct mounts m;
	size_t n = 0;

	must(binds_down);
	must_be_down();
	must(binds_up);
	ck_assert(disk_act(binds_up, &conf, &w));
	ck_assert_msg(w.report[0] == '\0', "what is in place must not be touched: %s", w.report);
	must_be_up();
	ck_assert(mounts_read("/proc/self/mountinfo", &m, NULL));
	for (size_t i = 0; i < m.len; i++)
		n += strcmp(m.row[i].point, POSTFIX) == 0;
	mounts_free(&m);
	ck_assert_msg(n == 1, "%zu mounts", n);
	must(binds_down);
	must(binds_down);
	must_be_down();
}
END_TEST

START_TEST(half_of_them_is_neither_up_nor_down)
{
	struct err err;

	must(binds_up);
	ck_assert(umount2(POSTFIX, 0) == 0);
	ck_assert_int_eq(binds_held(&conf, &err), FACT_UNKNOWN);
	must(binds_up);
	must_be_up();
}
END_TEST

START_TEST(a_failure_undoes_what_this_run_did)
{
	conf.bind[2] = (struct conf_bind){.path = USUAL "/third", .from = "not-there"};
	conf.binds = 3;
	must_not(binds_up, "not-there");
	conf.binds = 2;
	must_be_down();
}
END_TEST

START_TEST(without_the_spool_nothing_is_bound)
{
	must(down);
	must_not(binds_up, "not mounted");
	must_be_down();
}
END_TEST

START_TEST(a_missing_target_is_made_with_the_sources_type)
{
	struct stat st;

	disk_file(DISK_POINT "/aliases", "shared", false);
	conf.bind[0] = (struct conf_bind){.path = USUAL "/new", .from = "postfix"};
	conf.bind[1] = (struct conf_bind){.path = USUAL "/aliases", .from = "aliases"};
	conf.bind[2] = (struct conf_bind){.path = USUAL "/link", .from = "etc", .symlink = true};
	conf.binds = 3;
	must(binds_up);
	ck_assert(there(USUAL "/new/shared") && there(USUAL "/link/shared"));
	ck_assert(stat(USUAL "/aliases", &st) == 0 && st.st_size == 6);
	must(binds_down);
	ck_assert(there(USUAL "/new") && !there(USUAL "/new/shared") && !there(USUAL "/link"));
	ck_assert(stat(USUAL "/aliases", &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0);
}
END_TEST

START_TEST(a_directory_does_not_go_over_a_file)
{
	disk_file(USUAL "/plain", "", false);
	conf.bind[0].path = USUAL "/plain";
	must_not(binds_up, "same type");
}
END_TEST

START_TEST(nothing_on_the_spool_leads_a_bind_out_of_it)
{
	static const struct {
		const char *from, *says;
	} ways[] = {
	    {"out", "symbolic link"},
	    {"out/local", "symbolic link"},
	    {"postfix/../../usual", "\"..\""},
	    {"other", "another file system"},
	    {"inner", "symbolic link"},
	};

	ck_assert(
	    symlink(USUAL, DISK_POINT "/out") == 0 && symlink("postfix", DISK_POINT "/inner") == 0);
	ck_assert(mkdir(DISK_POINT "/other", 0755) == 0 &&
		  mount("tmpfs", DISK_POINT "/other", "tmpfs", 0, NULL) == 0);
	for (int method = 0; method < 2; method++)
		for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
			conf.bind[0].from = ways[i].from;
			conf.bind[0].symlink = method == 1;
			must_not(binds_up, ways[i].says);
			must_be_down();
		}
}
END_TEST

START_TEST(a_busy_bind_is_named_and_left_and_the_storage_driver_frees_it)
{
	struct disk_work w;
	char text[300], expected[300];
	int fd;

	must(binds_up);
	fd = open(POSTFIX "/shared", O_RDONLY | O_CLOEXEC);
	ck_assert(fd != -1);
	ck_assert(!disk_act(binds_down, &conf, &w));
	ck_assert_msg(strstr(w.err.text, POSTFIX) != NULL, "%s", w.err.text);
	snprintf(expected, sizeof(expected), "%d test_bind " POSTFIX "/shared", (int)getpid());
	ck_assert(spawn_get(w.report, "holder", text, sizeof(text)) != NULL);
	ck_assert_str_eq(text, expected);
	ck_assert_msg(there(ETC "/local"), "one that is busy must not keep the others");
	close(fd);
	must(binds_up);
	must(down);
	ck_assert(there(POSTFIX "/local"));
	must(binds_down);
	must_be_down();
}
END_TEST

/* ---------------------------------------------------------------- left by a run that died */

START_TEST(every_state_a_dead_run_can_leave_is_put_right_by_up_and_by_down)
{
	for (int state = 0; state < 4; state++)
		for (int then_up = 0; then_up < 2; then_up++) {
			switch (state) {
			case 0: /* before the exchange: the link waits under the other name */
				ck_assert(symlink(DISK_POINT "/etc", KEPT) == 0);
				break;
			case 1: /* between two renames */
				ck_assert(rename(ETC, KEPT) == 0);
				break;
			case 2: /* done, then the machine died: the link dangles while the spool is
				   not mounted */
				ck_assert(
				    rename(ETC, KEPT) == 0 && symlink(DISK_POINT "/etc", ETC) == 0);
				must(down);
				ck_assert(access(ETC, F_OK) == -1 && there(ETC));
				break;
			case 3: /* by a configuration with another "from" */
				ck_assert(rename(ETC, KEPT) == 0 &&
					  symlink(DISK_POINT "/gone", ETC) == 0);
				ck_assert(
				    mount(DISK_POINT "/etc", POSTFIX, NULL, MS_BIND, NULL) == 0);
				break;
			}
			if (then_up == 1) {
				must(up);
				must(binds_up);
				must_be_up();
			}
			must(binds_down);
			must_be_down();
			must(up);
		}
}
END_TEST

START_TEST(a_path_changes_its_method_without_a_trace)
{
	must(binds_up);
	conf.bind[0].symlink = true;
	conf.bind[1].symlink = false;
	must(binds_up);
	ck_assert(there(POSTFIX "/shared") && there(POSTFIX ".drbdlinks/local"));
	ck_assert(there(ETC "/shared") && !there(KEPT));
	ck_assert_int_eq(binds_held(&conf, NULL), FACT_YES);
	must(binds_down);
	must_be_down();
	ck_assert(!there(POSTFIX ".drbdlinks"));
}
END_TEST

START_TEST(what_is_not_ours_is_not_touched)
{
	char target[100] = "";

	/* Two originals: nobody can tell which is the right one. */
	ck_assert(mkdir(KEPT, 0755) == 0);
	must_not(binds_up, "both there");
	must(binds_down);
	ck_assert(there(ETC "/local") && there(KEPT));
	ck_assert(rmdir(KEPT) == 0);
	/* The original may itself be a link to somewhere else. */
	ck_assert(rename(ETC, USUAL "/real") == 0 && symlink(USUAL "/real", ETC) == 0);
	must(binds_up);
	ck_assert(there(ETC "/shared"));
	must(binds_down);
	ck_assert(readlink(ETC, target, sizeof(target) - 1) > 0);
	ck_assert_str_eq(target, USUAL "/real");
	/* A foreign mount at the path stays when ours goes. */
	ck_assert(mount("tmpfs", POSTFIX, "tmpfs", 0, NULL) == 0);
	disk_file(POSTFIX "/foreign", "", false);
	must(binds_up);
	ck_assert(there(POSTFIX "/shared"));
	must(binds_down);
	ck_assert(there(POSTFIX "/foreign"));
}
END_TEST

START_TEST(no_binds_at_all_are_held_by_nobody)
{
	conf.binds = 0;
	must(binds_up);
	must(binds_down);
	ck_assert_int_eq(binds_held(&conf, NULL), FACT_NO);
}
END_TEST

/* ---------------------------------------------------------------- the seal's file */

static const struct seal a_seal = {
    .pair = "mail", .node = "mx1", .boot = "b", .tenure = 7, .at_wall_ms = 1000};

START_TEST(a_fresh_spool_has_no_seal_and_then_the_one_that_was_written)
{
	struct seal back, newer = a_seal;
	struct err err = {0};
	struct stat st;
	bool exists = true;

	ck_assert_msg(seal_read(DISK_POINT, &back, &exists, &err), "%s", err.text);
	ck_assert(!exists);
	umask(077);
	ck_assert_msg(seal_write(DISK_POINT, &a_seal, &err), "%s", err.text);
	ck_assert(stat(DISK_POINT "/.mailpair", &st) == 0 && (st.st_mode & 07777) == 0755 &&
		  st.st_uid == 0);
	ck_assert(stat(DISK_POINT "/.mailpair/owner", &st) == 0 && (st.st_mode & 07777) == 0644);
	ck_assert(seal_read(DISK_POINT, &back, &exists, &err) && exists);
	ck_assert_uint_eq(back.tenure, 7);
	newer.tenure = 8;
	disk_file(DISK_POINT "/.mailpair/owner.new", "left by a crash", false);
	ck_assert(seal_write(DISK_POINT, &newer, &err));
	ck_assert(seal_read(DISK_POINT, &back, &exists, &err) && back.tenure == 8);
	ck_assert(!there(DISK_POINT "/.mailpair/owner.new"));
}
END_TEST

START_TEST(a_seal_that_is_there_but_not_readable_is_never_a_fresh_spool)
{
	struct seal back = {.tenure = 99};
	struct err err;
	bool exists = true;
	char big[3000];

	ck_assert(seal_write(DISK_POINT, &a_seal, &err));
	disk_file(DISK_POINT "/.mailpair/owner", "", false);
	ck_assert(!seal_read(DISK_POINT, &back, &exists, &err));
	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	disk_file(DISK_POINT "/.mailpair/owner", big, false);
	ck_assert(!seal_read(DISK_POINT, &back, &exists, &err));
	ck_assert(unlink(DISK_POINT "/.mailpair/owner") == 0 &&
		  symlink("/nowhere", DISK_POINT "/.mailpair/owner") == 0);
	ck_assert(!seal_read(DISK_POINT, &back, &exists, &err));
	ck_assert(unlink(DISK_POINT "/.mailpair/owner") == 0 &&
		  mkdir(DISK_POINT "/.mailpair/owner", 0755) == 0);
	ck_assert(!seal_read(DISK_POINT, &back, &exists, &err));
	ck_assert(!seal_write(DISK_POINT, &a_seal, &err));
	ck_assert(
	    rmdir(DISK_POINT "/.mailpair/owner") == 0 && rmdir(DISK_POINT "/.mailpair") == -1);
	ck_assert(
	    unlink(DISK_POINT "/.mailpair/owner.new") == 0 && rmdir(DISK_POINT "/.mailpair") == 0);
	ck_assert(symlink(USUAL, DISK_POINT "/.mailpair") == 0);
	ck_assert(!seal_read(DISK_POINT, &back, &exists, &err));
	ck_assert(!seal_write(DISK_POINT, &a_seal, &err));
	ck_assert(exists && back.tenure == 99);
}
END_TEST

START_TEST(an_unmounted_mountpoint_is_no_fresh_spool)
{
	struct seal back;
	struct err err;
	bool exists;

	must(down);
	ck_assert(!seal_read(DISK_POINT, &back, &exists, &err));
	ck_assert(!seal_write(DISK_POINT, &a_seal, &err));
	ck_assert(!there(DISK_POINT "/.mailpair"));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("bind");
	TCase *bind = tcase_create("bind"), *dead = tcase_create("dead"),
	      *seal = tcase_create("seal");

	if (!disk_possible("test_bind"))
		return 0;
	tcase_add_checked_fixture(bind, world, NULL);
	tcase_set_timeout(bind, 60);
	tcase_add_test(bind, no_mail_program_is_started_again_before_the_spool_is_at_its_usual_places);
	tcase_add_test(bind, up_shows_the_spool_and_down_shows_what_was_there);
	tcase_add_test(bind, twice_is_as_good_as_once);
	tcase_add_test(bind, half_of_them_is_neither_up_nor_down);
	tcase_add_test(bind, a_failure_undoes_what_this_run_did);
	tcase_add_test(bind, without_the_spool_nothing_is_bound);
	tcase_add_test(bind, a_missing_target_is_made_with_the_sources_type);
	tcase_add_test(bind, a_directory_does_not_go_over_a_file);
	tcase_add_test(bind, nothing_on_the_spool_leads_a_bind_out_of_it);
	tcase_add_test(bind, a_busy_bind_is_named_and_left_and_the_storage_driver_frees_it);
	suite_add_tcase(suite, bind);
	tcase_add_checked_fixture(dead, world, NULL);
	tcase_set_timeout(dead, 60);
	tcase_add_test(dead, every_state_a_dead_run_can_leave_is_put_right_by_up_and_by_down);
	tcase_add_test(dead, a_path_changes_its_method_without_a_trace);
	tcase_add_test(dead, what_is_not_ours_is_not_touched);
	tcase_add_test(dead, no_binds_at_all_are_held_by_nobody);
	suite_add_tcase(suite, dead);
	tcase_add_checked_fixture(seal, world, NULL);
	tcase_set_timeout(seal, 60);
	tcase_add_test(seal, a_fresh_spool_has_no_seal_and_then_the_one_that_was_written);
	tcase_add_test(seal, a_seal_that_is_there_but_not_readable_is_never_a_fresh_spool);
	tcase_add_test(seal, an_unmounted_mountpoint_is_no_fresh_spool);
	suite_add_tcase(suite, seal);
	return unit_main(suite);
}
