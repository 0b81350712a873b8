/*
 * tests/unit/test_hooks.c - laws of common/hooks.h, with real scripts in a directory of its own.
 */
#include "common/hooks.h"

#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/unit/harness.h"

static char hooks_dir[64];
static struct conf conf = { .pair = "mail", .node = { "mx1", "mx2" }, .self = 1, .hook_ms = 5000,
	.hooks_dir = hooks_dir };
static struct hook_facts facts = { .event = "takeover", .role = "active", .from = "mx1", .to = "mx2",
	.reason = "peer is certainly off", .tenure = 7, .at_wall_ms = 1795284031250 };

struct answer {
	struct loop	*loop;
	int		 code;
	char		 out[4096], err[512];
	uint32_t	 took_ms;
};

static void
done(void *arg, const struct spawn_result *r)
{
	struct answer *a = arg;

	a->code = r->end == SPAWN_EXITED ? r->code : -1;
	a->took_ms = r->took_ms;
	snprintf(a->out, sizeof(a->out), "%s", r->out);
	snprintf(a->err, sizeof(a->err), "%s", r->err.text);
	loop_stop(a->loop);
}

static bool
work(const void *ctx, struct spawn_out *out, struct err *err)
{
	(void)ctx;
	return hooks_run(&conf, &facts, out, err);
}

/* As the supervisor does it: in a worker. */
static struct answer
run(void)
{
	struct answer a = { .loop = loop_new() };

	spawn_work(a.loop, "hooks", work, NULL, 20000, done, &a);
	loop_run(a.loop);
	loop_free(a.loop);
	return a;
}

static void
script(const char *name, mode_t mode, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "hooks/%s", name);
	ck_assert_ptr_nonnull(f = fopen(path, "w"));
	fprintf(f, "#!/bin/sh\n%s\n", text);
	fclose(f);
	ck_assert_int_eq(chmod(path, mode), 0);
}

static void
empty(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.' || strlen(e->d_name) > 2)
			unlinkat(dirfd(d), e->d_name, 0);
	if (d != NULL)
		closedir(d);
}

static void
setup(void)
{
	empty("hooks");
	unlink("trace");
	ck_assert_int_eq(chmod("hooks", 0755), 0);
}

static const char *
trace(void)
{
	static char buf[8192];
	FILE *f = fopen("trace", "r");
	size_t n = f != NULL ? fread(buf, 1, sizeof(buf) - 1, f) : 0;

	buf[n] = '\0';
	if (f != NULL)
		fclose(f);
	return buf;
}

START_TEST(hooks_run_in_name_order_and_odd_names_are_skipped)
{
	struct answer a;

	script("20-second", 0755, "echo second >> trace");
	script("10-first", 0700, "echo first >> trace");
	script("15-old~", 0755, "echo backup >> trace");
	script("15-x.dpkg-old", 0755, "echo dpkg >> trace");
	script(".hidden", 0755, "echo hidden >> trace");
	script("README", 0644, "echo readme >> trace");
	a = run();
	ck_assert_int_eq(a.code, 0);
	ck_assert_str_eq(trace(), "first\nsecond\n");
	ck_assert_str_eq(a.out, "");
}
END_TEST

START_TEST(the_facts_stand_in_the_environment_under_both_names)
{
	static const char *const want[] = { "MAILPAIR_EVENT=takeover\n", "MAILPAIR_PAIR=mail\n",
		"MAILPAIR_NODE=mx2\n", "MAILPAIR_PEER=mx1\n", "MAILPAIR_ROLE=active\n", "MAILPAIR_FROM=mx1\n",
		"MAILPAIR_TO=mx2\n", "MAILPAIR_TENURE=7\n", "MAILPAIR_REASON=peer is certainly off\n",
		"MAILPAIR_AT=2026-11-21T18:00:31.250Z\n", "CRM_alert_kind=resource\n", "CRM_alert_node=mx2\n",
		"CRM_alert_desc=peer is certainly off\n", "CRM_alert_task=start\n",
		"CRM_alert_timestamp_epoch=1795284031\n", "CRM_alert_timestamp_usec=250000\n", "PATH=", "LANG=C\n" };

	setenv("SECRET_OF_THE_DAEMON", "x", 1);
	script("env", 0755, "env > trace");
	ck_assert_int_eq(run().code, 0);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		ck_assert_msg(strstr(trace(), want[i]) != NULL, "%s is missing", want[i]);
	ck_assert_ptr_null(strstr(trace(), "SECRET"));
}
END_TEST

START_TEST(a_fence_is_told_as_fencing_of_the_peer)
{
	struct hook_facts was = facts;

	snprintf(facts.event, sizeof(facts.event), "fence");
	script("env", 0755, "env > trace");
	ck_assert_int_eq(run().code, 0);
	facts = was;
	ck_assert_ptr_nonnull(strstr(trace(), "CRM_alert_kind=fencing\n"));
	ck_assert_ptr_nonnull(strstr(trace(), "CRM_alert_node=mx1\n"));
}
END_TEST

START_TEST(failures_are_told_and_the_others_run_all_the_same)
{
	struct answer a;
	char buf[256];

	script("1-fails", 0755, "echo 'no mail server' >&2; echo more >&2; exit 3");
	script("2-dies", 0755, "kill -9 $$");
	script("3-no-shell", 0755, "");
	ck_assert_int_eq(truncate("hooks/3-no-shell", 0), 0);
	script("4-works", 0755, "echo works >> trace");
	a = run();
	ck_assert_int_eq(a.code, 0);
	ck_assert_str_eq(trace(), "works\n");
	ck_assert_str_eq(spawn_get(a.out, "hook", buf, sizeof(buf)), "1-fails exit 3: no mail server");
	ck_assert_ptr_nonnull(strstr(a.out, "hook 2-dies failed: "));
	ck_assert_ptr_nonnull(strstr(a.out, "signal 9"));
}
END_TEST

START_TEST(a_hook_that_hangs_is_killed_in_time_and_the_next_one_runs)
{
	struct answer a;

	conf.hook_ms = 300;
	script("1-hangs", 0755, "trap '' TERM; tail -f /dev/null >/dev/null");
	script("2-daemon", 0755, "setsid tail -f /dev/null 3>&1 >/dev/null & echo $! > trace");
	a = run();
	conf.hook_ms = 5000;
	ck_assert_int_eq(a.code, 0);
	ck_assert_uint_lt(a.took_ms, 3000);
	ck_assert_ptr_nonnull(strstr(a.out, "hook 1-hangs failed: "));
	ck_assert_ptr_null(strstr(a.out, "2-daemon"));
	ck_assert_int_eq(kill((pid_t)strtol(trace(), NULL, 10), SIGKILL), 0);
}
END_TEST

START_TEST(what_others_than_root_can_write_is_not_run)
{
	struct answer a;

	script("1-group", 0775, "echo group >> trace");
	script("2-world", 0757, "echo world >> trace");
	script("3-owner", 0755, "echo owner >> trace");
	if (geteuid() == 0)
		ck_assert_int_eq(chown("hooks/3-owner", 65534, 0), 0);
	else
		printf("skip: not root, a foreign owner is not tested\n");
	a = run();
	ck_assert_int_eq(a.code, 0);
	ck_assert_ptr_null(strstr(trace(), "group"));
	ck_assert_ptr_null(strstr(trace(), "world"));
	ck_assert_ptr_nonnull(strstr(a.out, "hook 1-group skipped"));
	if (geteuid() == 0)
		ck_assert_str_eq(trace(), "");
	empty("hooks");
	script("1", 0755, "echo dir >> trace");
	ck_assert_int_eq(chmod("hooks", 0777), 0);
	a = run();
	ck_assert_int_eq(a.code, 1);
	ck_assert_ptr_nonnull(strstr(a.err, "hooks"));
	ck_assert_ptr_null(strstr(trace(), "dir"));
}
END_TEST

START_TEST(no_directory_means_no_hooks)
{
	const char *was = conf.hooks_dir;
	struct answer a;

	conf.hooks_dir = "/nonexistent/hooks.d";
	a = run();
	conf.hooks_dir = was;
	ck_assert_int_eq(a.code, 0);
	ck_assert_str_eq(a.out, "");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("hooks");
	TCase *t = tcase_create("hooks");
	char dir[] = "/tmp/test_hooks.XXXXXX";
	int failed;

	if (mkdtemp(dir) == NULL || chdir(dir) == -1 || mkdir("hooks", 0755) == -1)
		return 1;
	snprintf(hooks_dir, sizeof(hooks_dir), "%s/hooks", dir);
	tcase_set_timeout(t, 30);
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, hooks_run_in_name_order_and_odd_names_are_skipped);
	tcase_add_test(t, the_facts_stand_in_the_environment_under_both_names);
	tcase_add_test(t, a_fence_is_told_as_fencing_of_the_peer);
	tcase_add_test(t, failures_are_told_and_the_others_run_all_the_same);
	tcase_add_test(t, a_hook_that_hangs_is_killed_in_time_and_the_next_one_runs);
	tcase_add_test(t, what_others_than_root_can_write_is_not_run);
	tcase_add_test(t, no_directory_means_no_hooks);
	suite_add_tcase(s, t);
	failed = unit_main(s);
	empty("hooks");
	unlink("trace");
	if (rmdir("hooks") == -1 || chdir("/") == -1 || rmdir(dir) == -1)
		return 1;
	return failed;
}
