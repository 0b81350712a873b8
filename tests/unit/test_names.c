/*
 * tests/unit/test_names.c - what is told of a queue by its names before a start: that nothing passes which the mail program
 * would lose, and that what a crash leaves does not hold up the mail. Postfix's names are in test_rules_postfix.c.
 */
#include "queuesync/names.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mta/exim_queue.h"
#include "mta/qmail_queue.h"
#include "tests/unit/harness.h"

#define SPLIT 3
#define ID "1wAAAA-000001-00"
#define OTHER "1wAAAB-000001-00"

static char root[UNIT_DIR_MAX];
static struct queue_layout layout;
static int64_t now;

__attribute__((format(printf, 1, 2))) static const char *
in(const char *fmt, ...)
{
	static char path[4][400];
	static unsigned int next;
	char *at = path[next++ % 4];
	int n = snprintf(at, sizeof path[0], "%s/", root);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(at + n, sizeof path[0] - (size_t)n, fmt, ap);
	va_end(ap);
	return at;
}

static int
gone(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static void
end_tree(void)
{
	queue_layout_free(&layout);
	ck_assert_int_eq(nftw(root, gone, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static void
put(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);

	ck_assert_msg(fd != -1, "%s: %s", path, strerror(errno));
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
}

static void
place(const char *path, uint8_t kind, enum queue_hash hash)
{
	struct queue_place *p = queue_place_add(&layout, path, kind);

	p->hash = hash;
	p->depth = hash == QUEUE_FLAT ? 0 : 1;
	p->uid = p->gid = QUEUE_ID_ANY;
	ck_assert_int_eq(mkdir(in("%s", path), 0750), 0);
	for (int i = 0; hash == QUEUE_MOD && i < SPLIT; i++)
		ck_assert_int_eq(mkdir(in("%s/%d", path, i), 0750), 0);
}

static void
begin_tree(const char *mta)
{
	ck_assert(unit_dir(root, "mailpair-names"));
	layout = (struct queue_layout){ .mta = mta, .root = strdup(root) };
}

static bool
right(const char *mta, uint64_t messages)
{
	const struct check_options options = { .now = now };
	const struct rules *rules = rules_find(mta);
	struct check *check = check_new(rules, &layout, &options);
	struct names_seen seen = { 0 };
	struct queue_note note = { 0 };
	bool ok = names_right(rules, &layout, check_options(check)->now, &note, &seen);

	check_free(check);
	queue_note_free(&note);
	if (ok)
		ck_assert_uint_eq(seen.messages, messages);
	return ok;
}

/* ---------------------------------------------------------------- Exim */

static void
exim_tree(void)
{
	struct exim_id id;

	begin_tree("exim");
	place("input", exim_kind(EXIM_HOLDS_INPUT, EXIM_QUEUE_DEFAULT), QUEUE_EXIM);
	place("msglog", exim_kind(EXIM_HOLDS_LOGS, EXIM_QUEUE_DEFAULT), QUEUE_EXIM);
	place("db", exim_kind(EXIM_HOLDS_HINTS, EXIM_QUEUE_DEFAULT), QUEUE_FLAT);
	ck_assert(exim_id_parse(ID, strlen(ID), &id));
	now = exim_id_time(id) + 3600;
	put(in("input/" ID "-H"), "this is no header", 0640);
	put(in("input/" ID "-D"), ID "-D\nbody\n", 0640);
	put(in("msglog/" ID), "", 0640);
}

/* Beside a message that is whole; "old": its header is so old that Exim would throw it away. */
static const struct { const char *path, *text; bool right; } exim_cases[] = {
	{ NULL, "", true },
	{ "input/" OTHER "-D", "body alone: a reception that was cut off", true },
	{ "input/hdr." OTHER, "being written", true },
	{ "msglog/" OTHER, "a log alone", true },
	{ "input/" ID "-J", "a@example.org\n", true },
	{ "input/" ID "-J", "a@example.org", false },
	{ "input/" OTHER "-J", "a@example.org\n", false },
	{ "input/" OTHER "-H", "a header alone", false },
	{ "input/stray", "", false },
	{ "input/x/" OTHER "-D", "where the settings do not put it", false },
	{ "db/retry", "no database", false },
	{ "old", "", false },
	{ "mode", "", false },
};

START_TEST(names_of_exim_pass_what_a_crash_leaves_and_nothing_that_is_lost)
{
	const char *path = exim_cases[_i].path;

	exim_tree();
	if (path != NULL && strcmp(path, "old") == 0) {
		now += 4 * 86400;
	} else if (path != NULL && strcmp(path, "mode") == 0) {
		ck_assert_int_eq(chmod(in("input/" ID "-H"), 0666), 0);
		ck_assert_int_eq(chmod(in("input/" ID "-D"), 0666), 0);
	} else if (path != NULL) {
		if (strncmp(path, "input/x/", 8) == 0)
			ck_assert_int_eq(mkdir(in("input/x"), 0750), 0);
		put(in("%s", path), exim_cases[_i].text, 0640);
	}
	ck_assert_msg(right("exim", 1) == exim_cases[_i].right, "%s", path != NULL ? path : "whole");
	end_tree();
}
END_TEST

START_TEST(a_body_alone_whose_log_says_that_it_was_taken_is_no_cut_reception)
{
	exim_tree();
	ck_assert_int_eq(unlink(in("input/" ID "-H")), 0);
	ck_assert(!right("exim", 0));
	ck_assert_int_eq(unlink(in("msglog/" ID)), 0);
	ck_assert(right("exim", 0));
	end_tree();
}
END_TEST

/* So large that others read it, too, from further on. */
START_TEST(every_name_of_a_large_directory_is_seen_once)
{
	struct names_seen seen = { 0 };
	struct queue_note note = { 0 };

	exim_tree();
	for (int i = 0; i < 40000; i++)
		put(in("input/hdr.%09d", i), "", 0640);
	ck_assert(right("exim", 1));
	ck_assert(names_right(rules_find("exim"), &layout, now, &note, &seen));
	ck_assert_uint_eq(seen.files, 40002);
	queue_note_free(&note);
	end_tree();
}
END_TEST

/* ---------------------------------------------------------------- qmail */

static unsigned long long number;	/* of the message that is under test */

static unsigned long long
mess(void)
{
	struct stat st;

	put(in("pid/1.2.3"), "Received: (qmail 1 ...\n", 0644);
	ck_assert_int_eq(stat(in("pid/1.2.3"), &st), 0);
	number = (unsigned long long)st.st_ino;
	ck_assert_int_eq(rename(in("pid/1.2.3"), in("mess/%llu/%llu", number % SPLIT, number)), 0);
	return number;
}

static void
part(const char *dir, bool split)
{
	if (split)
		put(in("%s/%llu/%llu", dir, number % SPLIT, number), "x", 0600);
	else
		put(in("%s/%llu", dir, number), "x", strcmp(dir, "bounce") == 0 ? 0600 : 0644);
}

static void
qmail_tree(void)
{
	static const struct { const char *path; enum qmail_place kind; bool split; } places[] = { { "pid", QMAIL_PID, false },
		{ "mess", QMAIL_MESS, true }, { "intd", QMAIL_INTD, false }, { "info", QMAIL_INFO, true }, { "local", QMAIL_LOCAL, true },
		{ "remote", QMAIL_REMOTE, true }, { "bounce", QMAIL_BOUNCE, false }, { "todo", QMAIL_TODO, false }, { "lock", QMAIL_LOCK, false } };

	begin_tree("qmail");
	layout.split = SPLIT;
	layout.remote_uid = QUEUE_ID_ANY;
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
		place(places[i].path, (uint8_t)places[i].kind, places[i].split ? QUEUE_MOD : QUEUE_FLAT);
	put(in("lock/sendmutex"), "", 0600);
	put(in("lock/tcpto"), "", 0644);
	ck_assert_int_eq(mkfifo(in("lock/trigger"), 0622), 0);
	mess();
	part("info", true);
	part("remote", true);
	mess();
	part("todo", false);
	ck_assert_int_eq(link(in("todo/%llu", number), in("intd/%llu", number)), 0);
}

static void whole(void) { }
static void text_alone(void) { mess(); }
static void text_and_recipients(void) { mess(); part("remote", true); }
static void sender_without_text(void) { number = 1; part("info", true); }
static void envelope_without_text(void) { number = 1; part("todo", false); }
static void not_linked(void) { mess(); part("intd", false); }
static void bounce_of_nobody(void) { mess(); part("bounce", false); }
static void bounce(void) { mess(); part("info", true); part("bounce", false); }
static void bounce_of_the_number_before(void) { mess(); part("info", true); part("todo", false); part("bounce", false); }
static void no_trigger(void) { ck_assert_int_eq(unlink(in("lock/trigger")), 0); }
static void trigger_is_a_file(void) { no_trigger(); put(in("lock/trigger"), "", 0622); }
static void no_directory_of_texts(void)
{
	layout.place[1].required = true;
	ck_assert_int_eq(rename(in("mess"), in("mess.old")), 0);
}

static void
wrong_number(void)
{
	mess();
	ck_assert_int_eq(rename(in("mess/%llu/%llu", number % SPLIT, number), in("mess/%llu/%llu", number % SPLIT, number + SPLIT * 1000)), 0);
	number += SPLIT * 1000;
	part("info", true);
}

static void
wrong_directory(void)
{
	mess();
	part("info", true);
	ck_assert_int_eq(rename(in("mess/%llu/%llu", number % SPLIT, number), in("mess/%llu/%llu", (number + 1) % SPLIT, number)), 0);
}

static const struct { const char *name; void (*make)(void); uint64_t messages; bool right; } qmail_cases[] = {
	{ "whole", whole, 2, true }, { "text alone", text_alone, 3, true }, { "text and recipients", text_and_recipients, 0, false },
	{ "sender without text", sender_without_text, 0, false }, { "envelope without text", envelope_without_text, 0, false },
	{ "not linked", not_linked, 0, false }, { "bounce of nobody", bounce_of_nobody, 0, false }, { "bounce", bounce, 3, true },
	{ "bounce of the number before", bounce_of_the_number_before, 0, false }, { "no trigger", no_trigger, 0, false },
	{ "trigger is a file", trigger_is_a_file, 0, false }, { "no directory of texts", no_directory_of_texts, 0, false },
	{ "wrong number", wrong_number, 0, false }, { "wrong directory", wrong_directory, 0, false },
};

START_TEST(names_of_qmail_pass_what_a_crash_leaves_and_nothing_that_is_lost)
{
	qmail_tree();
	qmail_cases[_i].make();
	ck_assert_msg(right("qmail", qmail_cases[_i].messages) == qmail_cases[_i].right, "%s", qmail_cases[_i].name);
	end_tree();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("names");
	TCase *tc = tcase_create("names");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, names_of_exim_pass_what_a_crash_leaves_and_nothing_that_is_lost, 0, sizeof exim_cases / sizeof exim_cases[0]);
	tcase_add_test(tc, a_body_alone_whose_log_says_that_it_was_taken_is_no_cut_reception);
	tcase_add_test(tc, every_name_of_a_large_directory_is_seen_once);
	tcase_add_loop_test(tc, names_of_qmail_pass_what_a_crash_leaves_and_nothing_that_is_lost, 0,
	    sizeof qmail_cases / sizeof qmail_cases[0]);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
