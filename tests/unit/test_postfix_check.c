/*
 * tests/unit/test_postfix_check.c - the checks before a start of Postfix, with a real one in a box: what
 * an operator or the other node may have left wrong, and what must not be found wrong.
 */
#include <grp.h>

#include "mta/postfix_queue.h"
#include "mta/queue_note.h"
#include "tests/unit/postfix_case.h"

START_TEST(a_start_after_preparing_checks_nothing_twice)
{
	struct said *said = prepare();
	char path[128];

	ck_assert_msg(said->ok && strcmp(box_said(said, "prepared"), "yes") == 0, "%s", said->out);
	said = start();
	started(said);
	ck_assert_str_eq(box_said(said, "recheck"), "");
	ck_assert(stop(10000)->ok);
	snprintf(path, sizeof path, "%s/master.cf", box.conf);
	ck_assert_int_eq(truncate(path, 0), 0);
	box_configure(&box, 'n', "message_size_limit = 20000000");
	said = start();
	started(said);
	ck_assert_ptr_nonnull(strstr(box_said(said, "recheck"), ".cf has changed"));
	ck_assert(stop(10000)->ok);
	ck_assert_str_eq(box_said(start(), "recheck"), "");
}
END_TEST

START_TEST(missing_queue_directories_are_made_as_postfix_would_make_them)
{
	const struct group *group = getgrnam("postdrop");
	const struct passwd *user = getpwnam("postfix");
	char path[128];
	struct stat st;

	started(start());
	ck_assert(stop(10000)->ok);
	in_queue(path, sizeof path, "maildrop");
	ck_assert_int_eq(rmdir(path), 0);
	started(start());
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_uid, user->pw_uid);
	ck_assert_uint_eq(st.st_gid, group->gr_gid);
	ck_assert_uint_eq(st.st_mode & 07777, 0730);
}
END_TEST

START_TEST(a_missing_queue_is_not_replaced_by_an_empty_one)
{
	struct said *said;

	ck_assert_int_eq(rmdir(box.queue), 0);
	said = start();
	ck_assert(!said->ok);
	ck_assert_ptr_nonnull(strstr(said->err.text, "mounted"));
	ck_assert_int_eq(access(box.queue, F_OK), -1);
	ck_assert(stop(1000)->ok);		/* nothing runs there: that is what was asked for */
	ck_assert_int_eq(mkdir(box.queue, 0755), 0);
}
END_TEST

START_TEST(a_queue_of_other_user_numbers_is_refused_with_the_reason)
{
	char path[128];
	struct said *said;

	started(start());
	ck_assert(stop(10000)->ok);
	in_queue(path, sizeof path, "incoming");
	ck_assert_int_eq(chown(path, 12345, 12345), 0);
	said = start();
	ck_assert(!said->ok);
	ck_assert_ptr_nonnull(strstr(said->err.text, "12345"));
}
END_TEST

/* A message in the queue of a Postfix that is stopped; its path is in found. */
static void
one_deferred(char found[300])
{
	const char *const argv[] = { "find", box.queue, "-path", "*/deferred/*", "-type", "f", NULL };
	const struct spawn_cmd cmd = { .argv = argv };

	started(start());
	box_send_mail();
	EVENTUALLY(counts().deferred == 1);
	ck_assert_uint_eq(counts().total, 1);
	ck_assert(stop(10000)->ok);
	ck_assert_int_eq(spawn_run(&cmd, 5000, found, 300, NULL, 0, NULL), 0);
	found[strcspn(found, "\n")] = '\0';
}

/* Who has mailpair-queue look at it first has decided what to do about it. */
START_TEST(a_message_under_a_wrong_name_hinders_the_start_unless_it_is_left_so_on_purpose)
{
	char wrong[512], found[300];
	struct said *said;

	one_deferred(found);
	snprintf(wrong, sizeof wrong, "%sA", found);
	ck_assert_int_eq(rename(found, wrong), 0);
	said = start();
	ck_assert(!said->ok);
	ck_assert_ptr_nonnull(strstr(said->err.text, "mailpair queue check --repair"));
	ck_assert_int_eq(access(wrong, F_OK), 0);
	box.params.names_judged = true;
	said = start();
	started(said);
	ck_assert_ptr_nonnull(strstr(box_said(said, "warning"), "right name"));
	ck_assert_int_eq(access(wrong, F_OK), 0);		/* nothing renames it behind our back */
}
END_TEST

/* What "postfix start" would delete: "postsuper -p" takes it for rubbish after seven days. */
START_TEST(a_start_deletes_nothing)
{
	struct timespec long_ago[2] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };
	char path[512], found[300], meta[128];

	one_deferred(found);
	ck_assert_int_eq(chmod(found, 0600), 0);	/* modes lost by a copy */
	in_queue(path, sizeof path, "incoming/0A1B2123456789");
	box_write(path, "unfinished\n");
	ck_assert_int_eq(utimensat(AT_FDCWD, found, long_ago, 0) | utimensat(AT_FDCWD, path, long_ago, 0), 0);
	for (int odd = 0; odd < 2; odd++) {
		if (odd == 1) {
			snprintf(meta, sizeof meta, "%s/meta", box.dir);
			ck_assert_int_eq(box_run("cp", "-a", "/etc/postfix", meta, NULL), 0);
			snprintf(meta, sizeof meta, "%s/meta/postfix-files.d/addon", box.dir);
			box_write(meta, "$daemon_directory/addon:d:root:-:755:uc\n");
			snprintf(meta, sizeof meta, "meta_directory = %s/meta", box.dir);
			box_configure(&box, 'n', meta);
		}
		started(start());
		ck_assert(stop(10000)->ok);
		ck_assert_int_eq(access(path, F_OK), 0);
		ck_assert_int_eq(access(found, F_OK), 0);
	}
	rmdir("/usr/lib/postfix/sbin/addon");
}
END_TEST

/* The times of the directories as a check would have read them. */
static void
note_names(void)
{
	static const char *const queues[] = { "maildrop", "incoming", "active", "deferred", "hold", "bounce", "defer", "trace" };
	struct queue_note note = { 0 };
	char path[128], sub[16];
	struct stat st;

	for (size_t i = 0; i < sizeof queues / sizeof queues[0]; i++) {
		for (int c = -1; c < 16; c++) {
			snprintf(sub, sizeof sub, c == -1 ? "%s" : "%s/%X", queues[i], (unsigned int)c);
			in_queue(path, sizeof path, sub);
			if (stat(path, &st) == 0)
				queue_note_add(&note, sub, &st, clock_wall_ms() + 1000);
		}
	}
	ck_assert(queue_note_write(&note, box.run, box.queue, NULL));
	queue_note_free(&note);
}

static enum fact
named_well(void)
{
	static struct postfix_conf conf;
	struct err err = { 0 };

	ck_assert_msg(postfix_conf_load(&box.params, &conf, &err), "%s", err.text);
	return postfix_queue_named_well(&conf, box.run, clock_mono_ms() + 10000, &err);
}

START_TEST(names_that_were_just_checked_are_not_read_again_until_their_directory_changes)
{
	char wrong[512], found[300], other[512];

	one_deferred(found);
	snprintf(wrong, sizeof wrong, "%sA", found);
	ck_assert_int_eq(rename(found, wrong), 0);
	ck_assert_int_eq(named_well(), FACT_NO);
	note_names();				/* says that all is well */
	ck_assert_int_eq(named_well(), FACT_YES);
	snprintf(other, sizeof other, "%.*s/other", (int)(strrchr(found, '/') - found), found);
	box_write(other, "x");
	ck_assert_int_eq(unlink(other), 0);
	ck_assert_int_eq(named_well(), FACT_NO);
	ck_assert_int_eq(rename(wrong, found), 0);
	/* a directory that is new shows in the one above it */
	note_names();
	in_queue(other, sizeof other, "hold/A");
	ck_assert_int_eq(mkdir(other, 0700), 0);
	in_queue(other, sizeof other, "hold/A/0A1B2123");
	box_write(other, "x");
	ck_assert_int_eq(named_well(), FACT_NO);
	ck_assert_int_eq(unlink(other), 0);
	/* a start takes the note away: what happens then is not known */
	note_names();
	started(start());
	snprintf(other, sizeof other, "%s/queue-names.", box.run);
	for (const char *c = box.queue; *c != '\0'; c++)
		snprintf(other + strlen(other), sizeof other - strlen(other), "%c", *c == '/' ? '-' : *c);
	ck_assert_int_eq(access(other, F_OK), -1);
}
END_TEST

/* While a queue is being mended its lock is held, by no master. */
START_TEST(a_start_while_the_queue_is_mended_fails_and_says_why)
{
	struct queue_layout layout;
	struct queue_lock lock;
	struct said *said;
	struct err err = { 0 };

	started(start());
	ck_assert(stop(10000)->ok);
	ck_assert(mta_postfix.layout(&box.params, NULL, NULL, &layout, &err));
	ck_assert_msg(mta_postfix.lock(&box.params, &layout, &lock, &err) == FACT_YES, "%s", err.text);
	ck_assert_uint_eq(lock.held, 2);
	said = start();
	ck_assert(!said->ok);
	ck_assert_ptr_nonnull(strstr(said->err.text, "no master"));
	ck_assert_int_ne(box_run("/usr/sbin/postfix", "-c", box.conf, "start", NULL), 0);
	queue_unlock(&lock);
	queue_layout_free(&layout);
	started(start());
}
END_TEST

/* On a node where Postfix never ran the lock of the data directory is made by whoever needs it first. */
START_TEST(a_repair_on_a_node_where_postfix_never_ran_leaves_a_lock_that_master_may_open)
{
	struct queue_layout layout;
	struct queue_lock lock;
	struct err err = { 0 };
	char path[300];

	ck_assert(mta_postfix.layout(&box.params, NULL, NULL, &layout, &err));
	snprintf(path, sizeof path, "%s/data/master.lock", box.dir);
	unlink(path);
	ck_assert_msg(mta_postfix.lock(&box.params, &layout, &lock, &err) == FACT_YES, "%s", err.text);
	ck_assert_int_eq(access(path, F_OK), 0);
	queue_unlock(&lock);
	queue_layout_free(&layout);
	started(start());
}
END_TEST

static const struct { const char *more, *why; } broken[] = {
	{ "mail_owner = nobodyknows",		"nobodyknows" },
	{ "mail_owner = root",			"privileged" },
	{ "setgid_group = nogroupknows",	"nogroupknows" },
	{ "daemon_directory = /nonexistent/d",	"/nonexistent/d" },
	{ "meta_directory = /nonexistent/m",	"/nonexistent/m" },
	{ "shlib_directory = /nonexistent/s",	"/nonexistent/s" },
	{ "myorigin = debian.org",		"debian.org" },
	{ "queue_directory = relative",		"absolute" },
};

START_TEST(a_broken_configuration_is_told_ahead_of_time_and_not_started)
{
	struct said *said;

	box_configure(&box, 'n', broken[_i].more);
	said = prepare();
	ck_assert(said->ok);
	ck_assert_str_eq(box_said(said, "prepared"), "no");
	ck_assert_msg(strstr(box_said(said, "why"), broken[_i].why) != NULL, "%s", said->out);
	said = start();
	ck_assert(!said->ok);
	ck_assert_msg(strstr(said->err.text, broken[_i].why) != NULL, "%s", said->err.text);
}
END_TEST

/* Directories that we do not know are made by Postfix's own script; "postfix start" would run postsuper as well. */
START_TEST(what_is_out_of_the_ordinary_is_left_to_post_install)
{
	char meta[128], path[160];
	struct said *said;

	snprintf(meta, sizeof meta, "%s/meta", box.dir);
	ck_assert_int_eq(box_run("cp", "-a", "/etc/postfix", meta, NULL), 0);
	snprintf(path, sizeof path, "%s/postfix-files.d/addon", meta);
	box_write(path, "$daemon_directory/addon:d:root:-:755:uc\n");
	snprintf(path, sizeof path, "meta_directory = %s", meta);
	box_configure(&box, 'n', path);
	said = start();
	started(said);
	ck_assert_ptr_nonnull(strstr(box_said(said, "warning"), "post-install"));
	ck_assert_int_eq(access("/usr/lib/postfix/sbin/addon", F_OK), 0);
	rmdir("/usr/lib/postfix/sbin/addon");
}
END_TEST

START_TEST(chrooted_services_get_fresh_copies_and_only_once)
{
	char path[160];
	struct said *said;
	int fd;

	box_configure(&box, 'y', "");
	said = start();
	started(said);
	ck_assert_ptr_nonnull(strstr(box_said(said, "chroot"), "refreshed"));
	in_queue(path, sizeof path, "etc/hosts");
	ck_assert_int_eq(box_run("cmp", "/etc/hosts", path, NULL, NULL), 0);
	box_send_mail();
	ck_assert(stop(10000)->ok);
	said = start();
	started(said);
	ck_assert_str_eq(box_said(said, "chroot"), "");
	ck_assert(stop(10000)->ok);
	box_write(path, "10.0.0.9 the-other-node\n");
	said = start();
	started(said);
	ck_assert_str_eq(box_said(said, "chroot"), "refreshed 1");
	ck_assert_int_eq(box_run("cmp", "/etc/hosts", path, NULL, NULL), 0);
	ck_assert(stop(10000)->ok);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ck_assert_int_eq(pwrite(fd, "#", 1, 0), 1);	/* as long as it was, another content */
	close(fd);
	said = start();
	started(said);
	ck_assert_str_eq(box_said(said, "chroot"), "refreshed 1");
	ck_assert_int_eq(box_run("cmp", "/etc/hosts", path, NULL, NULL), 0);
}
END_TEST

/* Names as Postfix itself makes them, and what it would rename. */
START_TEST(names_are_judged_as_postsuper_judges_them)
{
	static const struct { const char *name; uint64_t inode; bool message; int depth;
		const char *at; bool wrong; } table[] = {
		{ "0A1B2C3D", 0xC3D, true, 0, "", false },
		{ "0A1B2C3D", 0xC3E, true, 0, "", true },
		{ "0A1B2C3D", 0xC3E, false, 0, "", false },	/* a log */
		{ "0A1B2C3D", 0xC3D, true, 1, "0", false },
		{ "0A1B2C3D", 0xC3D, true, 1, "A", true },
		{ "0A1B2C3D", 0xC3D, true, 0, "0", true },
		{ "0A1B2C3D", 0xC3D, true, 2, "0A", false },
		{ "0A1B2C3D#FIX", 0xC3D, true, 0, "", true },
		{ "123456.789", 1, true, 0, "", false },	/* being written */
		{ "0A1B2", 1, true, 0, "", false },
		{ "0A1B2XYZ", 1, true, 0, "", false },
		{ "4CkR5z09Tkz5j8L", 77, true, 0, "", false },	/* also where new names are short: it does no harm */
	};

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		ck_assert_msg(postfix_name_is_wrong(table[i].name, table[i].inode, table[i].message, table[i].depth,
		    table[i].at) == table[i].wrong, "%zu: %s", i, table[i].name);
}
END_TEST

/* Long names and two hash levels, made by Postfix: none of them may look wrong to us. */
START_TEST(what_postfix_itself_stored_is_never_found_wrong)
{
	struct said *said;

	box_configure(&box, 'n', "enable_long_queue_ids = yes\nhash_queue_depth = 2\n"
	    "hash_queue_names = deferred defer");
	started(start());
	for (int i = 0; i < 10; i++)
		box_send_mail();
	EVENTUALLY(counts().deferred == 10);
	ck_assert(stop(10000)->ok);
	said = start();
	started(said);
	ck_assert_str_eq(box_said(said, "warning"), "");
}
END_TEST

static int
run(void)
{
	Suite *suite = suite_create("postfix_check");
	TCase *tc = tcase_create("postfix");

	tcase_set_timeout(tc, 180);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, names_are_judged_as_postsuper_judges_them);
	tcase_add_test(tc, a_start_after_preparing_checks_nothing_twice);
	tcase_add_test(tc, missing_queue_directories_are_made_as_postfix_would_make_them);
	tcase_add_test(tc, a_missing_queue_is_not_replaced_by_an_empty_one);
	tcase_add_test(tc, a_queue_of_other_user_numbers_is_refused_with_the_reason);
	tcase_add_test(tc, a_message_under_a_wrong_name_hinders_the_start_unless_it_is_left_so_on_purpose);
	tcase_add_test(tc, a_start_deletes_nothing);
	tcase_add_test(tc, names_that_were_just_checked_are_not_read_again_until_their_directory_changes);
	tcase_add_test(tc, a_start_while_the_queue_is_mended_fails_and_says_why);
	tcase_add_test(tc, a_repair_on_a_node_where_postfix_never_ran_leaves_a_lock_that_master_may_open);
	tcase_add_loop_test(tc, a_broken_configuration_is_told_ahead_of_time_and_not_started, 0,
	    sizeof broken / sizeof broken[0]);
	tcase_add_test(tc, what_is_out_of_the_ordinary_is_left_to_post_install);
	tcase_add_test(tc, chrooted_services_get_fresh_copies_and_only_once);
	tcase_add_test(tc, what_postfix_itself_stored_is_never_found_wrong);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}

int
main(void)
{
	return box_main(run);
}
