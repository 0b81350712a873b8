/*
 * tests/unit/test_look.c - whose queue a tree is, a look at a queue that is being worked on, and what is said of it:
 * documents and text.
 */
#include "queuesync/look.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "common/clock.h"
#include "queuesync/list.h"
#include "queuesync/output.h"
#include "queuesync/progress.h"
#include "queuesync/quarantine.h"
#include "tests/unit/tree.h"

/* ---------------------------------------------------------------- two looks */

static unsigned int joints;

static struct target
toy_target(struct rules *rules)
{
	struct target t = { .rules = rules };

	*rules = toy_rules_any;
	toy_layout(&t.layout, root);
	for (size_t i = 0; i < t.layout.places; i++)
		t.layout.place[i].uid = t.layout.place[i].gid = QUEUE_ID_ANY;
	return t;
}

START_TEST(a_queue_at_rest_is_looked_at_once)
{
	struct look_options options = { .deep = true };
	struct rules rules;
	struct target t;
	struct look look;
	struct err err;

	tree(30);
	write_file(in("new/staying"), "x");
	write_file(in("new/77"), "bad");
	t = toy_target(&rules);
	ck_assert(look_at(&t, &options, &look, &err));
	ck_assert(!look.live && !look.cut);
	ck_assert_uint_eq(look.findings.len, 2);
	ck_assert_uint_eq(look.messages, 30);
	ck_assert_uint_eq(look.files, 32);
	findings_free(&look.findings);
	queue_layout_free(&t.layout);
	untree();
}
END_TEST

/* Else a mail program would be started while a message waits in the quarantine for its new name. */
START_TEST(a_queue_on_which_a_repair_was_cut_off_is_not_whole)
{
	struct look_options options = { 0 };
	struct findings none = { 0 };
	struct plan plan = { 0 };
	char run[RUN_NAME_MAX], path[80];
	struct rules rules;
	struct target t;
	struct look look;
	struct err err = { 0 };
	int at;

	tree(3);
	t = toy_target(&rules);
	at = open(root, O_RDONLY | O_DIRECTORY);
	ck_assert_msg(quarantine_begin(at, run, &err), "%s", err.text);
	ck_assert(look_at(&t, &options, &look, &err));
	ck_assert_uint_eq(look.findings.len, 0);	/* nothing was written down: nothing was done */
	plan_add(&plan, REMEDY_MODE, "new/1", NULL);
	ck_assert_msg(quarantine_manifest(at, run, "toy", &plan, &none, &err), "%s", err.text);
	ck_assert(look_at(&t, &options, &look, &err));
	ck_assert_uint_eq(look.findings.len, 1);
	ck_assert_int_eq(look.findings.at[0].problem, PROBLEM_INTERRUPTED_REPAIR);
	ck_assert_str_eq(look.findings.at[0].path, quarantine_path(run, path));
	ck_assert_int_eq(findings_verdict(&look.findings), VERDICT_REPAIRABLE);
	findings_free(&look.findings);
	ck_assert(quarantine_mark(at, run, "done", "", &err));
	ck_assert(look_at(&t, &options, &look, &err));
	ck_assert_uint_eq(look.findings.len, 0);
	close(at);
	plan_free(&plan);
	queue_layout_free(&t.layout);
	untree();
}
END_TEST

/* ---------------------------------------------------------------- progress */

static bool
says(FILE *f, const char *text)
{
	char line[128];
	bool found = false;

	rewind(f);
	while (!found && fgets(line, sizeof line, f) != NULL)
		found = strcmp(line, text) == 0;
	return found;
}

START_TEST(progress_is_told_by_what_was_done_and_seldom)
{
	FILE *f = tmpfile();
	uint64_t began = clock_mono_ms(), lines = 0;
	int c;

	ck_assert_ptr_nonnull(f);
	progress_stage("steps", 200000);
	progress_count();			/* nobody wants to know */
	progress_to(f);
	progress_stage("steps", 200000);
	for (int i = 0; i < 200000; i++)
		progress_count();
	ck_assert(says(f, "progress 1 of 200000 steps\n"));
	rewind(f);
	while ((c = fgetc(f)) != EOF)
		lines += c == '\n';
	ck_assert_uint_le(lines, 2 + (clock_mono_ms() - began) / 250);
	progress_to(NULL);
	fclose(f);
}
END_TEST

/* A message leaves between being seen and being read: the look is taken again, and what only the first saw is forgotten. */
static void
message_leaves(struct check *c)
{
	(void)c;
	if (joints++ == 0) {
		ck_assert_int_eq(unlink(in("cur/1/4")), 0);
		ck_assert_int_eq(unlink(in("new/passing")), 0);
		write_file(in("new/later"), "x");
	}
}

START_TEST(a_message_that_leaves_meanwhile_makes_for_a_second_look)
{
	struct look_options options = { .deep = true, .limit_ms = 60000 };	/* read after the joint */
	struct rules rules;
	struct target t;
	struct look look;
	struct err err;

	tree(30);
	write_file(in("new/passing"), "x");
	write_file(in("new/staying"), "x");
	t = toy_target(&rules);
	rules.join = message_leaves;
	joints = 0;
	ck_assert(look_at(&t, &options, &look, &err));
	ck_assert_uint_eq(joints, 2);
	ck_assert(look.live);
	ck_assert_uint_eq(look.findings.len, 1);
	ck_assert_str_eq(look.findings.at[0].path, "new/staying");
	ck_assert_uint_eq(look.messages, 29);
	findings_free(&look.findings);
	queue_layout_free(&t.layout);
	untree();
}
END_TEST

static atomic_uint read_before;		/* how many were read before the joint, in this look */
static unsigned int read_early[2];	/* in each look */

static void
read_and_count(const struct queue_layout *l, const struct queue_file *file, struct queue_source *source, struct queue_content *ret,
    struct queue_message *message)
{
	atomic_fetch_add(&read_before, 1);
	toy_read(l, file, source, ret, message);
}

static void
count_joint(struct check *c)
{
	(void)c;
	read_early[joints++ % 2] = atomic_load(&read_before);
	atomic_store(&read_before, 0);
}

/* The first time it meets a file, a message leaves. */
static bool
leaves_at_once(struct check *c, const struct queue_file *file, struct queue_key key, uint32_t bit)
{
	(void)c, (void)file, (void)key, (void)bit;
	unlink(in("new/passing"));
	return true;
}

START_TEST(a_deep_look_reads_what_it_meets_and_the_second_time_all_names_first)
{
	struct look_options options = { .deep = true };
	struct rules rules;
	struct target t;
	struct look look;
	struct err err;

	tree(30);
	write_file(in("new/passing"), "x");
	write_file(in("new/staying"), "x");
	write_file(in("new/77"), "bad");
	t = toy_target(&rules);
	rules.file = leaves_at_once;
	rules.read = read_and_count;
	rules.join = count_joint;
	joints = 0;
	atomic_store(&read_before, 0);
	ck_assert(look_at(&t, &options, &look, &err));
	ck_assert_uint_eq(joints, 2);
	ck_assert_uint_eq(read_early[0], 31);
	ck_assert_uint_le(read_early[1], 1);	/* the one that was asked for again in the first */
	ck_assert(look.live);
	ck_assert_uint_eq(look.findings.len, 2);
	findings_free(&look.findings);
	queue_layout_free(&t.layout);
	untree();
}
END_TEST

/* ---------------------------------------------------------------- names first */

static uint64_t later_us;		/* 0: until a moment after the first name */
static const char *wrong_name;

/* Judges a name by its inode, and holds up the look until the time of the files is over. Called by several threads: not in(). */
static enum named_verdict
toy_named(const struct queue_layout *l, const struct queue_file *file, int64_t now, struct named *told)
{
	char path[512], full[1024];
	struct stat st;

	if (later_us == 0)
		later_us = clock_mono_us() + 3000;
	while (clock_mono_us() < later_us)
		;
	snprintf(full, sizeof full, "%s/%s", root, queue_file_path(l, file, path, sizeof path));
	ck_assert_int_eq(stat(full, &st), 0);
	(void)now;
	(void)told;
	return file->ino == st.st_ino && (wrong_name == NULL || strcmp(file->name, wrong_name) != 0) ? NAMED_RIGHT : NAMED_DOUBT;
}

static bool
toy_by_third(const struct queue_layout *l, const struct queue_file *file, char *want)
{
	snprintf(want, CHECK_SUB_MAX, "%llu", strtoull(file->name, NULL, 10) % l->split);
	return l->place[file->place].kind != TOY_CUR || strcmp(want, file->sub) == 0;
}

static void
look_names_first(const char *wrong, struct look *look)
{
	struct look_options options = { .names_ms = 1 };
	struct rules rules;
	struct target t = toy_target(&rules);
	struct err err;

	t.layout.place[TOY_CUR].hash = QUEUE_POSTFIX;	/* the only one whose names say enough */
	rules.place = toy_by_third;
	rules.named = toy_named;
	wrong_name = wrong;
	later_us = 0;
	ck_assert_msg(look_at(&t, &options, look, &err), "%s", err.text);
	queue_layout_free(&t.layout);
}

START_TEST(where_all_names_are_right_mail_does_not_wait_for_every_file)
{
	struct look look;

	tree(30);
	write_file(in("new/stray"), "x");
	look_names_first(NULL, &look);
	ck_assert(look.cut);
	ck_assert_uint_eq(look.findings.len, 0);
	ck_assert_uint_eq(look.files, 0);
	untree();
}
END_TEST

START_TEST(one_name_that_may_be_wrong_makes_for_a_look_at_every_file)
{
	struct look look;

	tree(30);
	write_file(in("new/stray"), "x");
	look_names_first("17", &look);
	ck_assert(!look.cut);
	ck_assert_uint_eq(look.findings.len, 1);
	ck_assert_uint_eq(look.files, 31);
	findings_free(&look.findings);
	untree();
}
END_TEST

START_TEST(directories_are_looked_at_whatever_the_time)
{
	struct look look;

	tree(30);
	ck_assert_int_eq(rmdir(in("log")), 0);
	ck_assert_int_eq(chmod(in("cur/2"), 0777), 0);
	look_names_first(NULL, &look);
	ck_assert(look.cut);
	ck_assert_uint_eq(look.findings.len, 2);
	findings_free(&look.findings);
	untree();
}
END_TEST

/* ---------------------------------------------------------------- whose queue */

START_TEST(whose_queue_a_tree_is_follows_from_its_directories)
{
	static const struct { const char *mta, *directories[8]; } trees[] = {
		{ "qmail", { "mess", "info", "local", "remote", "todo", "intd" } },
		{ "qmail", { "mess", "info", "todo", "remote" } },
		{ "postfix", { "maildrop", "incoming", "active", "deferred", "hold", "defer" } },
		{ "postfix", { "maildrop", "active", "deferred" } },
		{ "exim", { "input", "msglog", "db" } },
		{ "exim", { "input", "msglog" } },
		{ NULL, { "input" } },
		{ NULL, { "active" } },
		{ NULL, { "new", "cur", "tmp" } },
	};

	for (size_t i = 0; i < sizeof trees / sizeof trees[0]; i++) {
		const char *mta;

		tree(0);
		ck_assert_int_eq(mkdir(in("x"), 0700), 0);
		for (size_t k = 0; k < 8 && trees[i].directories[k] != NULL; k++)
			ck_assert_int_eq(mkdir(in("x/%s", trees[i].directories[k]), 0700), 0);
		mta = target_guess(in("x"));
		untree();
		if (trees[i].mta == NULL)
			ck_assert_ptr_null(mta);
		else
			ck_assert_str_eq(mta != NULL ? mta : "none", trees[i].mta);
	}
	ck_assert_ptr_null(target_guess("/nowhere/at/all"));
}
END_TEST

/* ---------------------------------------------------------------- what is said */

static struct findings
sample(void)
{
	struct findings list = { 0 };
	struct finding *f;

	f = finding_add(&list, 11, CLASS_PROMOTE, PROBLEM_LINK_NOT_DURABLE, ACK_MAYBE, "intd/7", "7", "complete, \"not\" linked");
	f->action = strdup("linked to todo/7");
	f = finding_add(&list, 5, CLASS_QUARANTINE, PROBLEM_EMPTY, ACK_YES, "new/\033[2J\xff", NULL, "0 bytes");
	f->damages = true;
	f->count = 3;
	finding_sender(f, "a\xc2\x9b@example.org");
	finding_recipient(f, "b@example.org");
	finding_recipient(f, "c@example.org");
	return list;
}

static char *
said(void (*say)(FILE *, const struct report *), const struct report *r)
{
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	say(to, r);
	fclose(to);
	return text;
}

static void
say_json(FILE *to, const struct report *r)
{
	struct output out;

	output_begin(&out, to);
	output_report_json(&out.json, r);
	output_end(&out);
}

START_TEST(a_report_is_one_document_with_the_words_of_the_contract)
{
	struct findings list = sample();
	struct report r = { .mta = "qmail", .queue = "/q", .messages = 5, .files = 9, .took_ms = 3,
	    .verdict = VERDICT_DAMAGED, .findings = &list };
	char *text = said(say_json, &r);

	ck_assert_str_eq(text, "{\n"
	    "  \"mta\": \"qmail\",\n  \"queue\": \"/q\",\n  \"messages\": 5,\n  \"files\": 9,\n  \"took_ms\": 3,\n"
	    "  \"deep\": false,\n  \"live\": false,\n  \"complete\": true,\n  \"verdict\": \"damaged\",\n  \"findings\": [\n"
	    "    {\"class\": \"promote\", \"problem\": \"link-not-durable\", \"path\": \"intd/7\", \"message\": \"7\", "
	    "\"acknowledged\": \"maybe\", \"action\": \"linked to todo/7\", \"detail\": \"complete, \\\"not\\\" linked\", "
	    "\"rule\": 11, \"count\": 1},\n"
	    "    {\"class\": \"quarantine\", \"problem\": \"empty\", \"path\": \"new/\\u001b[2J\\ufffd\", \"message\": null, "
	    "\"acknowledged\": \"yes\", \"action\": null, \"detail\": \"0 bytes\", \"rule\": 5, \"count\": 3, "
	    "\"sender\": \"a\xc2\x9b@example.org\", \"recipients\": [\"b@example.org\", \"c@example.org\"]}\n"
	    "  ]\n}\n");
	free(text);
	findings_free(&list);
}
END_TEST

START_TEST(nothing_that_a_terminal_obeys_is_shown)
{
	struct findings list = sample();
	struct report r = { .mta = "qmail", .queue = "/q\033]0;x\007", .deep = true, .live = true, .cut = true,
	    .verdict = VERDICT_DAMAGED, .findings = &list };
	struct queue_message m = { .id = strdup("1\r"), .state = "todo", .sender = strdup("\033[1m"), .size = 7,
	    .arrived = INT64_MAX };
	char *text = said(output_report_text, &r), *more = NULL;
	size_t len;
	FILE *to = open_memstream(&more, &len);

	queue_message_add(&m, "x\x9b" "31m\x7f", 6, true);
	output_messages_head(to);
	output_message_text(to, "qmail", &m);
	fclose(to);
	for (const char *const *t = (const char *const[]){ text, more, NULL }; *t != NULL; t++)
		for (const char *c = *t; *c != '\0'; c++)
			ck_assert_msg((*c >= ' ' && *c != 0x7f) || *c == '\n', "byte %d in %s", *c, *t);
	ck_assert_ptr_nonnull(strstr(text, "new/?[2J?"));
	ck_assert_ptr_nonnull(strstr(text, "from <a?@example.org> to <b@example.org>, <c@example.org>"));
	ck_assert_ptr_nonnull(strstr(text, "3 in all"));
	ck_assert_ptr_nonnull(strstr(more, "x?31m? (done)"));
	free(text);
	free(more);
	queue_message_free(&m);
	findings_free(&list);
}
END_TEST

START_TEST(a_message_is_an_object_of_the_contract)
{
	struct queue_message m = { .id = strdup("A1"), .state = "deferred", .size = 1432, .arrived = 1795283942 };
	struct output out;
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	queue_message_add(&m, "b@example.net", 13, false);
	output_begin(&out, to);
	json_array(&out.json, NULL);
	output_message_json(&out.json, "postfix", &m);
	m.sender = strdup("");
	m.arrived = INT64_C(253402300800);	/* no year of four digits */
	output_message_json(&out.json, "postfix", &m);
	json_array_end(&out.json);
	output_end(&out);
	fclose(to);
	ck_assert_str_eq(text, "[\n"
	    "  {\"id\": \"A1\", \"mta\": \"postfix\", \"state\": \"deferred\", \"size\": 1432, \"arrived\": \"2026-11-21T17:59:02Z\", "
	    "\"sender\": null, \"recipients\": [{\"address\": \"b@example.net\", \"done\": false}]},\n"
	    "  {\"id\": \"A1\", \"mta\": \"postfix\", \"state\": \"deferred\", \"size\": 1432, \"arrived\": null, "
	    "\"sender\": \"\", \"recipients\": [{\"address\": \"b@example.net\", \"done\": false}]}\n]\n");
	free(text);
	queue_message_free(&m);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("look");
	TCase *tc = tcase_create("looks");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_queue_at_rest_is_looked_at_once);
	tcase_add_test(tc, a_queue_on_which_a_repair_was_cut_off_is_not_whole);
	tcase_add_test(tc, progress_is_told_by_what_was_done_and_seldom);
	tcase_add_test(tc, a_message_that_leaves_meanwhile_makes_for_a_second_look);
	tcase_add_test(tc, a_deep_look_reads_what_it_meets_and_the_second_time_all_names_first);
	tcase_add_test(tc, where_all_names_are_right_mail_does_not_wait_for_every_file);
	tcase_add_test(tc, one_name_that_may_be_wrong_makes_for_a_look_at_every_file);
	tcase_add_test(tc, directories_are_looked_at_whatever_the_time);
	tcase_add_test(tc, whose_queue_a_tree_is_follows_from_its_directories);
	tcase_add_test(tc, a_report_is_one_document_with_the_words_of_the_contract);
	tcase_add_test(tc, nothing_that_a_terminal_obeys_is_shown);
	tcase_add_test(tc, a_message_is_an_object_of_the_contract);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
