/*
 * tests/unit/test_postfix_instances.c - several instances of a real Postfix in a box, handled as one; where the queue of each is and
 * how it is laid out; who may not be at work while it is mended.
 */
#include <grp.h>
#include <sys/file.h>

#include "mta/postfix_layout.h"
#include "mta/postfix_multi.h"
#include "mta/postfix_proc.h"
#include "tests/unit/postfix_case.h"

static struct err err;

/* ---------------------------------------------------------------- instances */

/* An instance of its own: conf-NAME, queue-NAME, data-NAME; its smtpd at port, 0: none. */
static void
instance(const char *name, bool enabled, unsigned int port)
{
	const struct passwd *owner = getpwnam("postfix");
	char path[400], data[160], *at, services[2048];
	struct box other = box;

	snprintf(other.conf, sizeof other.conf, "%.60s/conf-%s", box.dir, name);
	snprintf(other.queue, sizeof other.queue, "%.60s/queue-%s", box.dir, name);
	snprintf(data, sizeof data, "%s/data-%s", box.dir, name);
	ck_assert_int_eq(mkdir(other.conf, 0755) | mkdir(other.queue, 0755) | mkdir(data, 0700), 0);
	ck_assert_int_eq(chown(data, owner->pw_uid, (gid_t)-1), 0);
	snprintf(path, sizeof path, "data_directory = %s\nmulti_instance_enable = %s\nmulti_instance_name = postfix-%s\n"
	    "syslog_name = postfix-%s", data, enabled ? "yes" : "no", name, name);
	box_configure(&other, 'n', path);
	snprintf(services, sizeof services, "%s", box_master_cf);
	for (at = services; (at = strchr(at, '@')) != NULL;)
		*at = 'n';
	at = strstr(services, "smtp      inet");
	snprintf(path, sizeof path, "%s/master.cf", other.conf);
	if (port == 0)
		box_write(path, "%s", strchr(at, '\n') + 1);
	else
		box_write(path, "%u inet n - n - - smtpd\n%s", port, strchr(at, '\n') + 1);
}

static void
three_instances(void)
{
	char more[400];

	instance("in", true, 2525);
	instance("off", false, 2526);
	instance("out", true, 0);
	snprintf(more, sizeof more, "multi_instance_enable = yes\nmulti_instance_directories = %s/conf-in, %s/conf-off %s/conf-out",
	    box.dir, box.dir, box.dir);
	box_configure(&box, 'n', more);
}

/* Does the master of that queue run? */
static bool
alive(const char *queue)
{
	char path[160];
	int fd;
	bool held;

	snprintf(path, sizeof path, "%s/%s/pid/master.pid", box.dir, queue);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return false;
	held = flock(fd, LOCK_SH | LOCK_NB) == -1;
	close(fd);
	return held;
}

START_TEST(all_enabled_instances_are_prepared_started_and_stopped_as_one)
{
	struct said *said;
	pid_t pid;

	three_instances();
	ck_assert_str_eq(box_said(prepare(), "prepared"), "yes");
	said = start();
	started(said);
	ck_assert_str_eq(box_said(said, "recheck"), "");
	ck_assert_ptr_nonnull(strstr(said->out, "conf-in pid"));
	ck_assert_ptr_nonnull(strstr(strstr(said->out, "conf-in pid"), "conf-out pid"));
	ck_assert_ptr_null(strstr(said->out, "conf-off"));
	ck_assert(alive("queue") && alive("queue-in") && alive("queue-out") && !alive("queue-off"));
	ck_assert_int_eq(runs(&pid), FACT_YES);
	ck_assert_int_eq(mta_postfix.answers(&box.params, &err), MTA_ANSWERED);
	ck_assert(stop(10000)->ok);
	ck_assert(!alive("queue") && !alive("queue-in") && !alive("queue-out"));
	ck_assert_int_eq(runs(&pid), FACT_NO);
}
END_TEST

START_TEST(one_that_died_is_noticed_and_alone_started_again)
{
	pid_t pid, first;
	struct said *said;
	char path[160], text[64] = "";
	FILE *stream;

	three_instances();
	started(start());
	ck_assert_int_eq(runs(&first), FACT_YES);
	snprintf(path, sizeof path, "%s/queue-out/pid/master.pid", box.dir);
	stream = fopen(path, "re");
	ck_assert_ptr_nonnull(fgets(text, sizeof text, stream));
	fclose(stream);
	ck_assert_int_eq(kill((pid_t)strtol(text, NULL, 10), SIGKILL), 0);
	EVENTUALLY(!alive("queue-out"));
	ck_assert_int_eq(mta_postfix.answers(&box.params, &err), MTA_REFUSED);
	ck_assert_ptr_nonnull(strstr(err.text, "conf-out"));
	ck_assert_int_eq(runs(&pid), FACT_YES);
	said = start();
	started(said);
	ck_assert(alive("queue-out"));
	ck_assert_int_eq(runs(&pid), FACT_YES);
	ck_assert_int_eq(pid, first);
	ck_assert_int_eq(mta_postfix.answers(&box.params, &err), MTA_ANSWERED);
}
END_TEST

START_TEST(an_instance_that_runs_alone_is_running_and_is_stopped)
{
	struct mta_params one = box.params;
	char config[96];
	pid_t pid;

	three_instances();
	snprintf(config, sizeof config, "%s/conf-out", box.dir);
	one.config = config;
	ck_assert(box_call(&mta_postfix, &one, box_start_f, 30000)->ok);
	ck_assert(alive("queue-out") && !alive("queue"));	/* one that names no others stands for itself */
	ck_assert_int_eq(runs(&pid), FACT_YES);
	ck_assert(stop(10000)->ok);
	ck_assert(!alive("queue-out"));
}
END_TEST

START_TEST(the_messages_of_all_instances_are_counted)
{
	static const char *const places[] = { "queue/hold/4918D2B", "queue-in/hold/4918D2C", "queue-in/corrupt/4918D2D", "queue-off/hold/4918D2E" };
	char path[160];

	three_instances();
	started(start());
	ck_assert(stop(10000)->ok);
	snprintf(path, sizeof path, "%s/queue-off/hold", box.dir);
	ck_assert_int_eq(box_run("mkdir", "-p", path, NULL, NULL), 0);
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		snprintf(path, sizeof path, "%s/%s", box.dir, places[i]);
		box_write(path, "x");
	}
	ck_assert_uint_eq(counts().total, 2);
	ck_assert_uint_eq(counts().hold, 2);
	ck_assert_uint_eq(counts().corrupt, 1);
}
END_TEST

START_TEST(a_broken_instance_fails_the_start_by_name_and_all_can_be_stopped_nevertheless)
{
	struct said *said;
	char path[160];

	three_instances();
	started(start());
	snprintf(path, sizeof path, "%s/conf-out/main.cf", box.dir);
	box_write(path, "queue_directory = relative\n");
	said = start();
	ck_assert(!said->ok);
	ck_assert_str_eq(box_said(prepare(), "prepared"), "no");
	said = stop(10000);
	ck_assert_msg(said->ok, "%s", said->err.text);
	ck_assert(!alive("queue") && !alive("queue-in") && !alive("queue-out"));
	/* the others also where nothing is known of that one */
	ck_assert_int_eq(box_run("sh", "-c", "rm -f \"$0\"/*", box.run, NULL), 0);
	snprintf(path, sizeof path, "%s/conf-out", box.dir);
	ck_assert_int_eq(box_run("rm", "-r", path, NULL, NULL), 0);
	said = stop(10000);
	ck_assert(!said->ok);
	ck_assert_ptr_nonnull(strstr(said->err.text, "conf-out"));
}
END_TEST

START_TEST(every_queue_has_a_layout_of_its_own)
{
	static struct mta_queues queues;
	struct queue_layout layout;
	char path[160];

	three_instances();
	started(start());
	ck_assert(stop(10000)->ok);
	snprintf(path, sizeof path, "%s/conf-out/main.cf", box.dir);
	ck_assert_int_eq(box_run("sh", "-c", "echo hash_queue_depth = 2 >>\"$0\"", path, NULL), 0);
	ck_assert_msg(mta_postfix.queues(&box.params, &queues, &err), "%s", err.text);
	ck_assert_uint_eq(queues.len, 3);
	ck_assert_str_eq(queues.root[0], box.queue);
	/* the last one's settings are its own */
	ck_assert(mta_postfix.layout(&box.params, queues.root[2], NULL, &layout, &err));
	ck_assert_str_eq(layout.root, queues.root[2]);
	ck_assert_uint_eq(layout.place[POSTFIX_PLACE_DEFERRED].depth, 2);
	queue_layout_free(&layout);
	ck_assert(mta_postfix.layout(&box.params, NULL, NULL, &layout, &err));
	ck_assert_str_eq(layout.root, box.queue);
	ck_assert_uint_eq(layout.place[POSTFIX_PLACE_DEFERRED].depth, 1);
	queue_layout_free(&layout);
}
END_TEST

/* ---------------------------------------------------------------- the layout */

static struct queue_layout
laid_out(const char *dir, const struct queue_owners *owners)
{
	struct queue_layout layout;

	ck_assert_msg(mta_postfix.layout(&box.params, dir, owners, &layout, &err), "%s", err.text);
	return layout;
}

START_TEST(the_settings_say_how_a_queue_is_laid_out)
{
	struct queue_owners owners = { .user = { { "postfix", 4711 } }, .users = 1, .group = { { "postdrop", 4712 } }, .groups = 1 };
	struct queue_layout layout;

	box_configure(&box, 'n', "hash_queue_names = hold, incoming\nhash_queue_depth = 2\nenable_long_queue_ids = yes");
	layout = laid_out(NULL, NULL);
	ck_assert(layout.long_ids);
	ck_assert_uint_eq(layout.place[POSTFIX_PLACE_HOLD].depth, 2);
	ck_assert_uint_eq(layout.place[POSTFIX_PLACE_DEFERRED].depth, 0);
	ck_assert_uint_eq(layout.place[POSTFIX_PLACE_DEFERRED].uid, getpwnam("postfix")->pw_uid);
	ck_assert_uint_eq(layout.place[POSTFIX_PLACE_MAILDROP].gid, getgrnam("postdrop")->gr_gid);
	for (size_t i = 0; i < layout.places; i++)	/* the rules rely on this order */
		ck_assert_uint_eq(layout.place[i].kind, i);
	queue_layout_free(&layout);
	layout = laid_out(NULL, &owners);
	ck_assert_uint_eq(layout.place[POSTFIX_PLACE_DEFERRED].uid, 4711);
	ck_assert_uint_eq(layout.place[POSTFIX_PLACE_MAILDROP].gid, 4712);
	queue_layout_free(&layout);
	owners.groups = 0;
	ck_assert(!mta_postfix.layout(&box.params, NULL, &owners, &layout, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "postdrop"));
	box_configure(&box, 'n', "hash_queue_depth = 9");
	ck_assert(!mta_postfix.layout(&box.params, NULL, NULL, &layout, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "9"));
}
END_TEST

/* Of another node's queue nobody has the settings: most of its files show them. */
START_TEST(a_foreign_tree_shows_how_it_is_hashed)
{
	static const char *const files[] = { "hold/A/B/4jX4j75Jm4z4n", "hold/A/C/4jX4j75Jm4z4p", "hold/4918D2B", "deferred/4918D2C",
		"incoming/4918D2D.x" };
	struct queue_layout layout;
	char path[160], dir[128];

	snprintf(dir, sizeof dir, "%s/foreign", box.dir);
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, files[i]);
		*strrchr(path, '/') = '\0';
		ck_assert_int_eq(box_run("mkdir", "-p", path, NULL, NULL), 0);
		snprintf(path, sizeof path, "%s/%s", dir, files[i]);
		box_write(path, "x");
	}
	layout = laid_out(dir, NULL);
	ck_assert_str_eq(layout.root, dir);
	ck_assert_uint_eq(layout.place[POSTFIX_PLACE_HOLD].depth, 2);
	ck_assert_uint_eq(layout.place[POSTFIX_PLACE_DEFERRED].depth, 0);	/* not hashed there */
	ck_assert_uint_eq(layout.place[POSTFIX_PLACE_DEFER].depth, 1);		/* nothing to be seen: as usual */
	ck_assert_uint_eq(layout.place[POSTFIX_PLACE_INCOMING].depth, 0);
	queue_layout_free(&layout);
}
END_TEST

/* ---------------------------------------------------------------- the lock */

static enum fact
locked(const struct queue_layout *layout)
{
	struct queue_lock lock = { .held = 0 };
	enum fact fact = mta_postfix.lock(&box.params, layout, &lock, &err);

	if (fact == FACT_YES)
		queue_unlock(&lock);
	return fact;
}

START_TEST(children_that_outlive_their_master_keep_the_queue)
{
	struct queue_layout layout;
	int session;
	pid_t pid;

	started(start());
	layout = laid_out(NULL, NULL);
	session = box_connect();
	box_talk(session, NULL, "220");
	ck_assert_int_eq(runs(&pid), FACT_YES);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	EVENTUALLY(runs(&pid) == FACT_NO);
	ck_assert_int_eq(locked(&layout), FACT_NO);
	ck_assert_ptr_nonnull(strstr(err.text, "has ended"));
	close(session);
	EVENTUALLY(locked(&layout) == FACT_YES);
	queue_layout_free(&layout);
}
END_TEST

/* A shell by the name of postsuper, in the queue. */
START_TEST(a_postsuper_at_work_keeps_the_queue)
{
	char dir[128], program[160], more[200];
	struct queue_layout layout;
	int ready[2], status;
	char byte;
	pid_t pid;

	snprintf(dir, sizeof dir, "%s/commands", box.dir);
	ck_assert_int_eq(box_run("mkdir", dir, NULL, NULL, NULL), 0);
	ck_assert_int_eq(box_run("sh", "-c", "cp -a /usr/sbin/post* \"$0\"", dir, NULL), 0);
	snprintf(program, sizeof program, "%s/postsuper", dir);
	ck_assert_int_eq(box_run("cp", "/bin/sh", program, NULL, NULL), 0);
	snprintf(more, sizeof more, "command_directory = %s", dir);
	box_configure(&box, 'n', more);
	started(start());
	ck_assert(stop(10000)->ok);
	layout = laid_out(NULL, NULL);
	ck_assert_msg(locked(&layout) == FACT_YES, "%s", err.text);
	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		dup2(ready[1], STDOUT_FILENO);
		if (chdir(box.queue) == 0)
			execl(program, "postsuper", "-c", "echo; kill -STOP $$", (char *)NULL);
		_exit(1);
	}
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	ck_assert_int_eq(locked(&layout), FACT_NO);
	ck_assert_ptr_nonnull(strstr(err.text, "postsuper"));
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	ck_assert_int_eq(locked(&layout), FACT_YES);
	queue_layout_free(&layout);
}
END_TEST

/* An image has no data directory here, and perhaps never had a Postfix. */
START_TEST(a_foreign_queue_is_locked_by_its_own_pid_file_alone)
{
	struct queue_layout layout;
	struct queue_lock lock;
	char path[160];
	int fd;

	snprintf(path, sizeof path, "%s/foreign/hold", box.dir);
	ck_assert_int_eq(box_run("mkdir", "-p", path, NULL, NULL), 0);
	*strrchr(path, '/') = '\0';
	layout = laid_out(path, NULL);
	ck_assert_int_eq(mta_postfix.lock(&box.params, &layout, &lock, &err), FACT_YES);
	ck_assert_uint_eq(lock.held, 0);		/* no pid directory: no master could start in it */
	snprintf(path, sizeof path, "%s/pid", layout.root);
	ck_assert_int_eq(mkdir(path, 0755), 0);
	ck_assert_int_eq(mta_postfix.lock(&box.params, &layout, &lock, &err), FACT_YES);
	ck_assert_uint_eq(lock.held, 1);
	queue_unlock(&lock);
	snprintf(path, sizeof path, "%s/pid/master.pid", layout.root);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(flock(fd, LOCK_SH | LOCK_NB), 0);
	ck_assert_int_eq(locked(&layout), FACT_NO);
	close(fd);
	ck_assert_int_eq(unlink(path) | symlink("/etc/passwd", path), 0);
	ck_assert_int_eq(locked(&layout), FACT_UNKNOWN);
	queue_layout_free(&layout);
}
END_TEST

static int
run(void)
{
	Suite *suite = suite_create("postfix_instances");
	TCase *tc = tcase_create("postfix");

	tcase_set_timeout(tc, 180);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, all_enabled_instances_are_prepared_started_and_stopped_as_one);
	tcase_add_test(tc, one_that_died_is_noticed_and_alone_started_again);
	tcase_add_test(tc, an_instance_that_runs_alone_is_running_and_is_stopped);
	tcase_add_test(tc, the_messages_of_all_instances_are_counted);
	tcase_add_test(tc, a_broken_instance_fails_the_start_by_name_and_all_can_be_stopped_nevertheless);
	tcase_add_test(tc, every_queue_has_a_layout_of_its_own);
	tcase_add_test(tc, the_settings_say_how_a_queue_is_laid_out);
	tcase_add_test(tc, a_foreign_tree_shows_how_it_is_hashed);
	tcase_add_test(tc, children_that_outlive_their_master_keep_the_queue);
	tcase_add_test(tc, a_postsuper_at_work_keeps_the_queue);
	tcase_add_test(tc, a_foreign_queue_is_locked_by_its_own_pid_file_alone);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}

int
main(void)
{
	return box_main(run);
}
