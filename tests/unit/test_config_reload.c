/*
 * tests/unit/test_config_reload.c - a real Postfix reads its changed configuration anew, where it runs, and is left alone where it
 * does not. Needs root.
 */
#include "tests/unit/postfix_box.h"

#include <poll.h>

#include "configsync/rebuild.h"

static const char *const main_cf[] = { "etc/postfix/main.cf" };

/* The box's directory is the root of the tree. */
static void
tree_make(struct box *box)
{
	char path[128];

	box_make(box);
	snprintf(path, sizeof path, "%s/etc", box->dir);
	ck_assert_int_eq(mkdir(path, 0755), 0);
	snprintf(path, sizeof path, "%s/etc/postfix", box->dir);
	ck_assert_int_eq(rename(box->conf, path), 0);
	snprintf(box->conf, sizeof box->conf, "%.64s/etc/postfix", box->dir);
}

struct call { struct loop *loop; struct rebuild_result result; };

static void
done(void *arg, const struct rebuild_result *r)
{
	struct call *c = arg;

	c->result = *r;
	loop_stop(c->loop);
}

static struct rebuild_result
rebuild(const struct box *box)
{
	const struct rebuild_job job = { .root = box->dir, .path = main_cf, .paths = 1 };
	struct call c = { .loop = loop_new() };

	rebuild_start(c.loop, &job, done, &c);
	loop_run(c.loop);
	loop_free(c.loop);
	return c.result;
}

static bool
logged(const struct box *box, const char *what)
{
	char path[128], line[512];
	bool found = false;
	FILE *in;

	snprintf(path, sizeof path, "%s/maillog", box->dir);
	if ((in = fopen(path, "re")) == NULL)
		return false;
	while (fgets(line, sizeof line, in) != NULL)
		found = found || strstr(line, what) != NULL;
	fclose(in);
	return found;
}

START_TEST(postfix_is_reloaded_only_while_it_runs)
{
	struct rebuild_result r;
	struct box box;
	struct said *said;

	tree_make(&box);
	r = rebuild(&box);
	ck_assert_msg(r.ok && r.reloaded == 0, "%s %s", r.why, r.notes);
	said = box_call(&mta_postfix, &box.params, box_start_f, 20000);
	ck_assert_msg(said->ok, "%s", said->err.text);
	ck_assert(!logged(&box, "reload -- version"));
	r = rebuild(&box);
	ck_assert_msg(r.ok && r.reloaded == 1, "%s %s", r.why, r.notes);
	ck_assert_ptr_nonnull(strstr(r.notes, "Postfix of /etc/postfix"));
	for (int i = 0; i < 1000 && !logged(&box, "reload -- version"); i++)
		poll(NULL, 0, 10);	/* its master hears the signal in its own time */
	ck_assert(logged(&box, "reload -- version"));
	box_break(&box);
	r = rebuild(&box);
	ck_assert_msg(r.ok && r.reloaded == 0, "%s %s", r.why, r.notes);
}
END_TEST

static int
run(void)
{
	Suite *suite = suite_create("config reload");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, postfix_is_reloaded_only_while_it_runs);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}

int
main(void)
{
	return box_main(run);
}
