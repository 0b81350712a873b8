/*
 * tests/unit/test_config_plan.c - a plan as it is read at the other end of config.sock: each step says what is done and why it is needed.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "configsync/plan.h"
#include "tests/unit/harness.h"

static const char path[] = "/tmp/test_config_plan.sock";
static struct loop *loop;
static void (*answer)(struct ctl_reply *);
static char got[16384];

static void
asked(void *arg, const struct ctl_request *q, struct ctl_reply *r)
{
	(void)arg;
	(void)q;
	answer(r);
}

static void
print_row(void *arg, const struct ctl_line *line)
{
	FILE *to = arg;

	fputs(line->kind, to);
	for (size_t i = 0; i < line->values; i++)
		fprintf(to, " | %s", line->value[i].text);
	fputc('\n', to);
}

static void
came(int fd, unsigned int ready, void *arg)
{
	size_t len = strlen(got);
	ssize_t n = read(fd, got + len, sizeof got - 1 - len);

	(void)ready;
	(void)arg;
	if (n <= 0)
		loop_stop(loop);
	else
		got[len + (size_t)n] = '\0';
}

/* What who asks is told, as text. */
static const char *
read_back(void (*say)(struct ctl_reply *))
{
	const char *const none[] = { NULL };
	struct loop_io *io;
	struct ctl *ctl;
	struct err err;
	int way[2];
	pid_t pid;

	answer = say;
	got[0] = '\0';
	loop = loop_new();
	ctl = ctl_new(loop, path, NULL, asked, NULL, &err);
	ck_assert_msg(ctl != NULL && pipe(way) == 0, "%s", err.text);
	if ((pid = fork()) == 0) {
		FILE *to = fdopen(way[1], "w");
		char text[600];
		int code = ctl_call(path, &(struct ctl_question){ "plan", none }, print_row, to, text, sizeof text, &err);

		fprintf(to, "%d %s\n", code, text);
		fclose(to);
		_exit(0);
	}
	close(way[1]);
	io = loop_io_new(loop, way[0], LOOP_READ, came, NULL);
	loop_run(loop);
	loop_io_free(io);
	close(way[0]);
	waitpid(pid, NULL, 0);
	ctl_free(ctl);
	loop_free(loop);
	return got;
}

#define ROOT { "root", 0 }
static const struct entry_xattr note = { "user.note", (const uint8_t *)"x", 1 };
static const struct entry file = { .path = "etc/a", .type = ENTRY_FILE, .mode = 0644, .size = 10, .user = ROOT, .group = ROOT, .digest = { 1 }, .mtime_s = 1 };
static const struct entry other = { .path = "etc/a", .type = ENTRY_FILE, .mode = 0600, .size = 12, .user = { "mail", 8 }, .group = { "", 12 }, .digest = { 2 },
	.mtime_s = 2, .xattr = &note, .xattrs = 1 };
static const struct entry later = { .path = "etc/a", .type = ENTRY_FILE, .mode = 0644, .size = 10, .user = ROOT, .group = ROOT, .digest = { 1 }, .mtime_s = 5 };
static const struct entry link_a = { .path = "etc/a", .type = ENTRY_LINK, .mode = 0777, .target = "b", .user = ROOT, .group = ROOT };
static const struct entry link_b = { .path = "etc/a", .type = ENTRY_LINK, .mode = 0777, .target = "c", .user = ROOT, .group = ROOT };
static const struct entry dir = { .path = "etc/d", .type = ENTRY_DIRECTORY, .mode = 0755, .user = ROOT, .group = ROOT };

START_TEST(what_is_other_is_named_and_nothing_else)
{
	static const struct { const struct entry *was, *to; const char *words; } row[] = {
		{ NULL, &file, "file, 10 bytes, mode 0644, owner root:root" }, { &file, NULL, "removed" }, { NULL, NULL, "not there" },
		{ &file, &other, "content, 10 -> 12 bytes, mode 0644 -> 0600, owner root:root -> mail:12, attributes or ACL" },
		{ &file, &file, "nothing" }, { &file, &later, "time" }, { &link_a, &link_b, "link to b -> c" },
		{ &file, &link_a, "in place of a file, symbolic link to b, mode 0777, owner root:root" },
		{ NULL, &dir, "directory, mode 0755, owner root:root" },
	};
	char buf[512];

	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		ck_assert_str_eq(plan_differences(row[i].was, row[i].to, buf, sizeof buf), row[i].words);
		for (size_t size = 1; size <= strlen(row[i].words); size++) {	/* cut, but never beyond */
			char *small = malloc(size);

			plan_differences(row[i].was, row[i].to, small, size);
			ck_assert_uint_lt(strlen(small), size);
			free(small);
		}
	}
}
END_TEST

static void
say_changes(struct ctl_reply *r)
{
	static const struct change change[] = {
		{ STEP_DIRECTORY, CHANGE_DIRECTORY, "etc/d", NULL, &dir, NULL, NULL },
		{ STEP_PLACE, CHANGE_FILE, "etc/a", &file, &other, NULL, NULL },
		{ STEP_PLACE, CHANGE_RENAME, "etc/b", NULL, &file, "etc/a", &file },
		{ STEP_PLACE, CHANGE_HARD, "etc/c", NULL, &file, "etc/a", &file },
		{ STEP_REMOVE, CHANGE_REMOVE, "etc/x\ny", &file, NULL, NULL, NULL },
		{ STEP_DIRECTORY_META, CHANGE_META, "etc/a", &file, &later, NULL, NULL },
	};

	for (size_t i = 0; i < sizeof change / sizeof *change; i++)
		plan_change(r, &change[i]);
	ctl_end(r, 0, "%zu changes", sizeof change / sizeof *change);
}

START_TEST(each_change_is_a_step)
{
	ck_assert_str_eq(read_back(say_changes), "step | directory | etc/d | directory, mode 0755, owner root:root\n"
	    "step | file | etc/a | content, 10 -> 12 bytes, mode 0644 -> 0600, owner root:root -> mail:12, attributes or ACL\n"
	    "step | rename | etc/b | from /etc/a\nstep | hard link | etc/c | another name of /etc/a\nstep | remove | etc/x\ny | removed\n"
	    "step | change | etc/a | time\n0 6 changes\n");
}
END_TEST

static void
say_steps(struct ctl_reply *r)
{
	static const struct store_version v = { .number = 42, .path = "etc/a", .set = { .node = "mx1", .wall_ms = 1000000000000 } };
	static const struct store_step step[] = { { STORE_STEP_PUT, "etc/a", &v, false }, { STORE_STEP_REMOVE, "etc/b", NULL, true },
		{ STORE_STEP_LOST, "etc/c", NULL, false } };

	for (size_t i = 0; i < sizeof step / sizeof *step; i++)
		plan_step(r, &step[i]);
	plan_refuse(r, "rollback", "mx2");
}

START_TEST(each_step_of_a_rollback_says_what_will_be_there)
{
	ck_assert_str_eq(read_back(say_steps), "step | put back | etc/a | version 42, of 2001-09-09T01:46:40Z on mx1 | 42\n"
	    "step | remove | etc/b | it was not there before; it was changed again since, which is undone as well | yes\n"
	    "step | leave | etc/c | what was before is not known, or not kept any more\n"
	    "3 rollback is refused on this node: only the active one's changes count; do it on mx2\n");
}
END_TEST

static void
say_nobody(struct ctl_reply *r)
{
	plan_refuse(r, "rollback", "");
}

START_TEST(without_an_active_node_that_is_said)
{
	ck_assert_ptr_nonnull(strstr(read_back(say_nobody), "3 rollback is refused: no node is active now"));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config_plan");
	TCase *tc = tcase_create("config_plan");

	signal(SIGPIPE, SIG_IGN);
	tcase_add_test(tc, what_is_other_is_named_and_nothing_else);
	tcase_add_test(tc, each_change_is_a_step);
	tcase_add_test(tc, each_step_of_a_rollback_says_what_will_be_there);
	tcase_add_test(tc, without_an_active_node_that_is_said);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
