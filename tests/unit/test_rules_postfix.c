/*
 * tests/unit/test_rules_postfix.c - the rules of Postfix's queue, over queues that are made up: entries as a scan would
 * tell them, contents from memory.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "mta/postfix_layout.h"
#include "queuesync/check.h"
#include "queuesync/rule_table.h"
#include "tests/unit/harness.h"

#define NOW INT64_C(1800000000)
#define OWNER 102
#define DAY 86400
#define ENTRIES_MAX 256
#define READY (QUEUE_REGULAR | 0700)

/* ---------------------------------------------------------------- a queue */

struct entry {
	struct queue_file file;
	char		  name[64], sub[8];
	char		 *bytes;
	size_t		  len;
};

static struct queue_layout layout;
static struct entry queue[ENTRIES_MAX];
static size_t entries;
static struct findings found;
static uint64_t messages, files;
static unsigned int opened;

static const char *const paths[POSTFIX_PLACE_COUNT] = { "", "maildrop", "incoming", "active", "deferred", "hold", "corrupt", "saved",
	"defer", "bounce", "trace", "flush", "pid", "private", "public" };

static void
setup(void)
{
	layout = (struct queue_layout){ .mta = "postfix", .root = strdup("/queue") };
	for (uint8_t kind = 0; kind < POSTFIX_PLACE_COUNT; kind++) {
		struct queue_place *place = queue_place_add(&layout, paths[kind], kind);

		place->uid = OWNER;
		place->hash = kind >= POSTFIX_PLACE_INCOMING && kind <= POSTFIX_PLACE_FLUSH ? QUEUE_POSTFIX : QUEUE_FLAT;
		place->depth = kind == POSTFIX_PLACE_DEFERRED || kind == POSTFIX_PLACE_DEFER ? 1 : 0;
	}
	entries = 0;
}

static void
teardown(void)
{
	for (size_t i = 0; i < entries; i++)
		free(queue[i].bytes);
	findings_free(&found);
	queue_layout_free(&layout);
}

/* What the last message's file is made of. */
static char text[65536];
static size_t text_len;

static void __attribute__((format(printf, 2, 3)))
put(char type, const char *fmt, ...)
{
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(text + text_len + 2, 127, fmt, ap);
	va_end(ap);
	text[text_len] = type;
	text[text_len + 1] = (char)len;
	text_len += 2 + (size_t)len;
}

/* A whole message that arrived as ident; to: one character a recipient, 'R' or 'D'. */
static void
message_text(const char *ident, const char *to)
{
	size_t begin = 0, end = 0;

	for (int pass = 0; pass < 2; pass++) {
		text_len = 0;
		put('C', "%15zu %15zu %15zu %15d %15zu %15d", end - begin, begin, strlen(to), 0, end - begin, 0);
		put('T', "1799990000 607871");
		put('A', "log_ident=%s", ident);
		put('S', "s@sender.invalid");
		for (size_t i = 0; to[i] != '\0'; i++)
			put(to[i], "r%zu@rcpt.invalid", i);
		put('M', "%s", "");
		begin = text_len;
		put('N', "Subject: %s", ident);
		end = text_len;
		put('X', "%s", "");
		put('E', "%s", "");
	}
}

/* An entry with the content that text holds. "deferred/4/4918D2B" */
static struct entry *
add(enum postfix_place kind, const char *sub, const char *name, uint64_t ino, uint32_t mode)
{
	struct entry *e = &queue[entries++];

	ck_assert_uint_lt(entries, ENTRIES_MAX);
	snprintf(e->name, sizeof e->name, "%s", name);
	snprintf(e->sub, sizeof e->sub, "%s", sub);
	e->bytes = malloc(text_len + 1);
	memcpy(e->bytes, text, text_len);
	e->len = text_len;
	e->file = (struct queue_file){ .name = e->name, .sub = e->sub, .place = kind, .ino = ino, .size = text_len, .mode = mode,
		.uid = OWNER, .gid = 106, .nlink = 1, .mtime = NOW - 100, .atime = NOW, .ctime = NOW };
	return e;
}

static struct entry *
add_message(enum postfix_place kind, const char *sub, const char *name, uint64_t ino)
{
	message_text(name, "R");
	return add(kind, sub, name, ino, READY);
}

static struct entry *
add_log(enum postfix_place kind, const char *sub, const char *name, uint64_t ino)
{
	text_len = (size_t)snprintf(text, sizeof text, "\n<a@b>: no\nrecipient=a@b\n\n");
	return add(kind, sub, name, ino, QUEUE_REGULAR | 0600);
}

/* ---------------------------------------------------------------- a check of it */

static struct entry *
entry_at(const struct queue_file *file)
{
	for (size_t i = 0; i < entries; i++)
		if (queue[i].file.place == file->place && strcmp(queue[i].name, file->name) == 0 && strcmp(queue[i].sub, file->sub) == 0)
			return &queue[i];
	ck_abort_msg("%s was asked for, and is not there", file->name);
	return NULL;
}

static void
read_one(struct check *check, struct check_asked *asked)
{
	struct entry *e = entry_at(&asked->file);
	struct queue_memory memory = { e->bytes, e->len };
	struct queue_source source = queue_source_memory(&memory);
	struct queue_content content = { .bad = false };
	struct check_asked seen = *asked;

	seen.file = e->file;
	rules_postfix.read(&layout, &e->file, &source, &content, NULL);
	check_content(check, &seen, &content);
	opened++;
}

static void
look(bool deep)
{
	struct check_options options = { .deep = deep, .now = NOW, .slack = 60, .seed = 7 };
	struct check *check = check_new(&rules_postfix, &layout, &options);
	struct check_asked asked;
	bool more;

	findings_free(&found);
	opened = 0;
	for (uint16_t place = 0; place < POSTFIX_PLACE_COUNT; place++) {
		struct queue_file self = { .name = "", .sub = "", .mode = QUEUE_DIRECTORY | 0700, .uid = OWNER };

		check_directory(check, paths[place], place, &self);
		for (size_t i = 0; i < entries; i++) {
			char path[128];

			if (queue[i].file.place != place)
				continue;
			snprintf(path, sizeof path, "%s/%s", paths[place], queue[i].sub);
			if (queue[i].sub[0] != '\0' && !check_has_directory(check, path))
				check_directory(check, path, place, &self);
			check_file(check, &queue[i].file);
		}
	}
	check_joined(check);
	do {
		more = false;
		while (check_asked(check, &asked)) {
			read_one(check, &asked);
			more = true;
		}
	} while (more);
	check_end(check, &found, &messages, &files);
	check_free(check);
}

/* The only finding of a rule and class; NULL: there is none. */
static const struct finding *
finding(unsigned int rule, enum finding_class class)
{
	const struct finding *only = NULL;

	for (size_t i = 0; i < found.len; i++) {
		const struct finding *f = &found.at[i];

		if (f->rule != rule || f->class != class)
			continue;
		ck_assert_msg(only == NULL, "a second one of rule %u: %s, %s", rule, f->path, f->detail);
		only = f;
	}
	return only;
}

static const struct finding *
sole(unsigned int rule, enum finding_class class, enum problem problem, const char *path)
{
	const struct finding *f = finding(rule, class);

	ck_assert_msg(f != NULL, "no finding of rule %u; of %zu the first is rule %u, %s: %s", rule, found.len,
	    found.len > 0 ? found.at[0].rule : 0, found.len > 0 ? found.at[0].path : "", found.len > 0 ? found.at[0].detail : "");
	ck_assert_str_eq(problem_word(f->problem), problem_word(problem));
	ck_assert_str_eq(f->path, path);
	return f;
}

static void
nothing_else(size_t n)
{
	ck_assert_msg(found.len == n, "%zu findings; the first is rule %u, %s: %s", found.len, found.at[0].rule, found.at[0].path,
	    found.at[0].detail);
}

static void
moves(const struct finding *f, size_t n, const char *from, const char *to, uint64_t ino)
{
	ck_assert_uint_lt(n, f->remedies);
	ck_assert_int_eq(f->remedy[n].kind, REMEDY_MOVE);
	ck_assert_str_eq(f->remedy[n].path, from);
	ck_assert_str_eq(f->remedy[n].to, to);
	ck_assert_uint_eq(f->remedy[n].ino, ino);
}

static void
is_put_aside(const struct finding *f)
{
	ck_assert_uint_ge(f->remedies, 1);
	ck_assert_int_eq(f->remedy[0].kind, REMEDY_QUARANTINE);
	ck_assert_str_eq(f->remedy[0].path, f->path);
	ck_assert_uint_ne(f->remedy[0].ino, 0);
}

/* ---------------------------------------------------------------- whole queues */

static void
whole_queue(void)
{
	add_message(POSTFIX_PLACE_MAILDROP, "", "4918D10", 0x10)->file.uid = 1000;
	add_message(POSTFIX_PLACE_INCOMING, "", "4918D11", 0x11);
	add_message(POSTFIX_PLACE_ACTIVE, "", "4918D12", 0x12);
	add_message(POSTFIX_PLACE_DEFERRED, "4", "4918D13", 0x13)->file.mtime = NOW + 4000;
	add_message(POSTFIX_PLACE_HOLD, "", "4918D14", 0x14);
	add_message(POSTFIX_PLACE_DEFERRED, "B", "4jX4j75Jm4z4n", 7);	/* a long id holds another inode */
	add_log(POSTFIX_PLACE_DEFER, "4", "4918D13", 0x15);
	add_log(POSTFIX_PLACE_BOUNCE, "", "4918D12", 0x16);
	add_log(POSTFIX_PLACE_TRACE, "", "4918D11", 0x17);
	add_log(POSTFIX_PLACE_FLUSH, "", "example_com", 0x18);
}

START_TEST(a_queue_as_postfix_leaves_it_has_nothing_to_find)
{
	whole_queue();
	text_len = 0;
	add(POSTFIX_PLACE_BOUNCE, "", "4918D14", 0x19, QUEUE_REGULAR | 0600);	/* made, and nothing written yet */
	for (int deep = 0; deep < 2; deep++) {
		look(deep == 1);
		nothing_else(0);
		ck_assert_uint_eq(messages, 6);
		ck_assert_uint_eq(files, 11);
		ck_assert_uint_eq(opened, deep == 1 ? 10 : 0);	/* flush holds no message */
	}
}
END_TEST

START_TEST(what_a_crash_leaves_waits_and_is_not_opened)
{
	whole_queue();
	text_len = 0;
	add(POSTFIX_PLACE_INCOMING, "", "4918D20", 0x20, QUEUE_REGULAR | 0600);
	message_text("4918D21", "R");
	add(POSTFIX_PLACE_INCOMING, "", "4918D21", 0x21, QUEUE_REGULAR | 0600);
	add(POSTFIX_PLACE_MAILDROP, "", "4918D22", 0x22, QUEUE_REGULAR | 0644);
	add(POSTFIX_PLACE_INCOMING, "", "123456.789", 0x23, QUEUE_REGULAR | 0600);
	add_log(POSTFIX_PLACE_TRACE, "", "4918D21", 0x24);	/* of a message that is still being written */
	look(false);
	nothing_else(4);
	for (size_t i = 0; i < found.len; i++) {
		ck_assert_int_eq(found.at[i].class, CLASS_WAIT);
		ck_assert_int_eq(found.at[i].acknowledged, ACK_NO);
		ck_assert_uint_eq(found.at[i].remedies, 0);
	}
	ck_assert_uint_eq(opened, 0);
	ck_assert_uint_eq(messages, 6);
	ck_assert_int_eq(findings_verdict(&found), VERDICT_CONSISTENT);
}
END_TEST

START_TEST(unfinished_files_of_eight_days_are_put_aside)
{
	text_len = 0;
	add(POSTFIX_PLACE_INCOMING, "", "4918D20", 0x20, QUEUE_REGULAR | 0600)->file.mtime = NOW - 8 * DAY;
	look(false);
	is_put_aside(sole(22, CLASS_GARBAGE, PROBLEM_UNFINISHED, "incoming/4918D20"));
	ck_assert_int_eq(found.at[0].acknowledged, ACK_NO);
}
END_TEST

/* ---------------------------------------------------------------- names */

START_TEST(a_message_of_another_inode_is_renamed_and_its_logs_before_it)
{
	const struct finding *f;

	whole_queue();
	add_message(POSTFIX_PLACE_DEFERRED, "4", "4918DAA", 0xBB);
	add_log(POSTFIX_PLACE_DEFER, "4", "4918DAA", 0x31);
	add_log(POSTFIX_PLACE_BOUNCE, "", "4918DAA", 0x32);
	look(false);
	nothing_else(1);
	f = sole(19, CLASS_REPAIR, PROBLEM_NAME_INODE, "deferred/4/4918DAA");
	ck_assert_uint_eq(f->remedies, 3);
	moves(f, 0, "defer/4/4918DAA", "defer/4/4918DBB", 0x31);
	moves(f, 1, "bounce/4918DAA", "bounce/4918DBB", 0x32);
	moves(f, 2, "deferred/4/4918DAA", "deferred/4/4918DBB", 0xBB);
	ck_assert_uint_eq(messages, 7);
	ck_assert_uint_eq(opened, 0);
}
END_TEST

START_TEST(the_logs_of_an_id_stay_with_the_message_that_has_it_rightly)
{
	const struct finding *f;

	add_message(POSTFIX_PLACE_HOLD, "", "4918DAA", 0xAA);
	message_text("another", "R");
	add(POSTFIX_PLACE_DEFERRED, "4", "4918DAA", 0xBB, READY);
	add_log(POSTFIX_PLACE_DEFER, "4", "4918DAA", 0x31);
	look(false);
	nothing_else(1);
	f = sole(19, CLASS_REPAIR, PROBLEM_NAME_INODE, "deferred/4/4918DAA");
	ck_assert_uint_eq(f->remedies, 1);
	moves(f, 0, "deferred/4/4918DAA", "deferred/4/4918DBB", 0xBB);
}
END_TEST

START_TEST(the_new_name_brings_its_directory_along)
{
	const struct finding *f;

	layout.place[POSTFIX_PLACE_HOLD].depth = 1;
	add_message(POSTFIX_PLACE_HOLD, "A", "4918DAA", 0xBB);	/* neither name nor directory is right */
	look(false);
	nothing_else(1);
	f = sole(19, CLASS_REPAIR, PROBLEM_NAME_INODE, "hold/A/4918DAA");
	ck_assert_uint_eq(f->remedies, 2);
	ck_assert_int_eq(f->remedy[0].kind, REMEDY_MKDIR);
	ck_assert_str_eq(f->remedy[0].path, "hold/4");
	ck_assert_uint_eq(f->remedy[0].uid, OWNER);
	moves(f, 1, "hold/A/4918DAA", "hold/4/4918DBB", 0xBB);
}
END_TEST

START_TEST(a_right_name_in_a_wrong_directory_is_only_moved)
{
	const struct finding *f;

	add_message(POSTFIX_PLACE_HOLD, "4", "4918DAA", 0xAA);		/* once it was hashed */
	add_message(POSTFIX_PLACE_DEFERRED, "", "4jX4j75Jm4z4n", 7);
	look(false);
	nothing_else(2);
	for (size_t i = 0; i < 2; i++) {
		f = &found.at[i];
		ck_assert_uint_eq(f->rule, 7);
		if (strcmp(f->path, "hold/4/4918DAA") == 0)
			moves(f, 0, "hold/4/4918DAA", "hold/4918DAA", 0xAA);
		else
			moves(f, 1, "deferred/4jX4j75Jm4z4n", "deferred/B/4jX4j75Jm4z4n", 7);
	}
}
END_TEST

START_TEST(what_postsuper_left_half_renamed_is_finished)
{
	add_message(POSTFIX_PLACE_DEFERRED, "4", "4918DBB#FIX", 0xBB);
	add_log(POSTFIX_PLACE_DEFER, "4", "4918DBB#FIX", 0x31);
	look(false);
	nothing_else(2);
	for (size_t i = 0; i < 2; i++) {
		ck_assert_uint_eq(found.at[i].rule, 20);
		ck_assert_int_eq(found.at[i].class, CLASS_REPAIR);
		if (found.at[i].path[5] == '/')
			moves(&found.at[i], 0, "defer/4/4918DBB#FIX", "defer/4/4918DBB", 0x31);
		else
			moves(&found.at[i], 0, "deferred/4/4918DBB#FIX", "deferred/4/4918DBB", 0xBB);
	}
	ck_assert_uint_eq(messages, 1);
}
END_TEST

/* The log was renamed, the message not yet: both come to the same id. */
START_TEST(a_renaming_that_was_cut_between_log_and_message_comes_to_one_id)
{
	add_message(POSTFIX_PLACE_DEFERRED, "4", "4918DAA", 0xBB);
	add_log(POSTFIX_PLACE_DEFER, "4", "4918DBB#FIX", 0x31);
	look(false);
	nothing_else(2);
	moves(sole(20, CLASS_REPAIR, PROBLEM_INTERRUPTED_REPAIR, "defer/4/4918DBB#FIX"), 0, "defer/4/4918DBB#FIX", "defer/4/4918DBB", 0x31);
	moves(sole(19, CLASS_REPAIR, PROBLEM_NAME_INODE, "deferred/4/4918DAA"), 0, "deferred/4/4918DAA", "deferred/4/4918DBB", 0xBB);
}
END_TEST

START_TEST(a_half_renamed_log_never_takes_the_place_of_another)
{
	add_message(POSTFIX_PLACE_DEFERRED, "4", "4918DBB", 0xBB);
	add_log(POSTFIX_PLACE_DEFER, "4", "4918DBB", 0x31);
	add_log(POSTFIX_PLACE_DEFER, "4", "4918DBB#FIX", 0x32);
	look(false);
	nothing_else(1);
	is_put_aside(sole(20, CLASS_REPAIR, PROBLEM_INTERRUPTED_REPAIR, "defer/4/4918DBB#FIX"));
}
END_TEST

START_TEST(a_message_under_a_name_that_is_no_id_gets_one_and_what_is_none_goes)
{
	add_message(POSTFIX_PLACE_HOLD, "", "4918dbb", 0xBB);
	text_len = (size_t)snprintf(text, sizeof text, "notes of an operator\n");
	add(POSTFIX_PLACE_HOLD, "", "README", 0xCC, READY);
	add(POSTFIX_PLACE_HOLD, "", "notes.txt", 0xDD, QUEUE_REGULAR | 0644);
	look(false);
	nothing_else(3);
	moves(sole(19, CLASS_REPAIR, PROBLEM_BAD_NAME, "hold/4918dbb"), 0, "hold/4918dbb", "hold/4918DBB", 0xBB);
	for (size_t i = 0; i < found.len; i++)
		if (found.at[i].class == CLASS_STRAY)
			is_put_aside(&found.at[i]);
	ck_assert_uint_eq(opened, 2);
}
END_TEST

START_TEST(the_root_may_hold_what_it_likes)
{
	text_len = 0;
	add(POSTFIX_PLACE_ROOT, "", "etc", 1, QUEUE_DIRECTORY | 0755);
	add(POSTFIX_PLACE_ROOT, "", "opendkim.sock", 2, QUEUE_SOCKET | 0777);
	add(POSTFIX_PLACE_ROOT, "", "quick-start", 3, QUEUE_REGULAR | 0666);
	look(true);
	nothing_else(0);
	ck_assert_uint_eq(opened, 0);
}
END_TEST

START_TEST(of_two_names_of_a_file_the_one_that_holds_its_inode_stays)
{
	struct entry *right = add_message(POSTFIX_PLACE_ACTIVE, "", "4918DAA", 0xAA);
	struct entry *wrong = add_message(POSTFIX_PLACE_HOLD, "", "4918DBB", 0xAA);

	right->file.nlink = wrong->file.nlink = 2;
	look(false);
	is_put_aside(sole(3, CLASS_REPAIR, PROBLEM_DUPLICATE, "hold/4918DBB"));
}
END_TEST

/* ---------------------------------------------------------------- modes */

START_TEST(a_settled_message_without_its_bits_is_read_and_gets_them_back)
{
	const struct finding *f;

	whole_queue();
	message_text("4918D20", "R");
	add(POSTFIX_PLACE_ACTIVE, "", "4918D20", 0x20, QUEUE_REGULAR | 0644);
	look(false);
	nothing_else(1);
	ck_assert_uint_eq(opened, 1);
	f = sole(22, CLASS_REPAIR, PROBLEM_WRONG_MODE, "active/4918D20");
	ck_assert_int_eq(f->remedy[0].kind, REMEDY_MODE);
	ck_assert_uint_eq(f->remedy[0].mode, 0700);
	ck_assert_uint_eq(messages, 7);
}
END_TEST

START_TEST(one_that_is_not_whole_does_not_get_them_back)
{
	const struct finding *f;

	whole_queue();
	message_text("4918D20", "R");
	text_len -= 20;
	add(POSTFIX_PLACE_ACTIVE, "", "4918D20", 0x20, QUEUE_REGULAR | 0400);
	look(false);
	nothing_else(1);
	f = sole(22, CLASS_QUARANTINE, PROBLEM_WRONG_MODE, "active/4918D20");
	ck_assert(f->damages);
	is_put_aside(f);
	ck_assert_uint_eq(messages, 6);
}
END_TEST

/* As after a copy without modes: the whole queue is one finding; what is broken in it is told by itself. */
START_TEST(modes_lost_by_a_copy_are_one_finding)
{
	char name[16];
	const struct finding *f;

	for (unsigned int i = 0; i < 20; i++) {
		bool hold = i % 4 == 0;

		snprintf(name, sizeof name, "4918D%X", 0x100 + i);
		message_text(name, "R");
		text_len -= i == 7 ? 10 : 0;
		add(hold ? POSTFIX_PLACE_HOLD : POSTFIX_PLACE_DEFERRED, hold ? "" : "4", name, 0x100 + i, QUEUE_REGULAR | 0644);
	}
	message_text("4918D200", "R");
	add(POSTFIX_PLACE_INCOMING, "", "4918D200", 0x200, QUEUE_REGULAR | 0644);	/* was ready */
	text_len -= 20;
	add(POSTFIX_PLACE_INCOMING, "", "4918D201", 0x201, QUEUE_REGULAR | 0644);	/* was not */
	look(false);
	nothing_else(4);
	f = finding(22, CLASS_REPAIR);
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(f->count, 19);
	ck_assert_uint_eq(f->remedies, 2);
	for (size_t i = 0; i < 2; i++) {
		ck_assert_int_eq(f->remedy[i].kind, REMEDY_SWEEP_MODE);
		ck_assert_uint_eq(f->remedy[i].offset, 0644);
		ck_assert_uint_eq(f->remedy[i].mode, 0700);
	}
	ck_assert(finding(22, CLASS_QUARANTINE)->damages);
	f = sole(22, CLASS_PROMOTE, PROBLEM_WRONG_MODE, "incoming/4918D200");
	ck_assert_int_eq(f->acknowledged, ACK_MAYBE);
	ck_assert_uint_eq(f->remedy[0].mode, 0700);
	sole(22, CLASS_WAIT, PROBLEM_UNFINISHED, "incoming/4918D201");
	ck_assert_uint_eq(opened, 22);
}
END_TEST

START_TEST(a_file_of_maildrop_with_a_mode_that_postdrop_does_not_give_is_looked_at)
{
	const struct finding *f;

	text_len = 0;
	put('T', "1 2");
	put('S', "%s", "");
	put('R', "r@rcpt.invalid");
	put('M', "%s", "");
	put('N', "text");
	put('X', "%s", "");
	put('E', "%s", "");
	add(POSTFIX_PLACE_MAILDROP, "", "4918D20", 0x20, QUEUE_REGULAR | 0664);
	add(POSTFIX_PLACE_MAILDROP, "", "4918D21", 0x21, QUEUE_REGULAR | 0644);	/* being written */
	look(false);
	nothing_else(2);
	ck_assert_uint_eq(opened, 1);
	f = sole(22, CLASS_PROMOTE, PROBLEM_WRONG_MODE, "maildrop/4918D20");
	ck_assert_uint_eq(f->remedy[0].mode, 0744);
	sole(22, CLASS_WAIT, PROBLEM_UNFINISHED, "maildrop/4918D21");
}
END_TEST

/* ---------------------------------------------------------------- contents */

START_TEST(a_damaged_message_is_found_by_the_deep_pass_and_put_aside)
{
	const struct finding *f;

	whole_queue();
	message_text("4918D20", "R");
	text_len -= 12;
	add(POSTFIX_PLACE_DEFERRED, "4", "4918D20", 0x20, READY);
	look(false);
	nothing_else(0);
	look(true);
	nothing_else(1);
	f = sole(23, CLASS_QUARANTINE, PROBLEM_TRUNCATED, "deferred/4/4918D20");
	ck_assert(f->damages);
	ck_assert_int_eq(f->acknowledged, ACK_YES);
	is_put_aside(f);
	ck_assert_int_eq(findings_verdict(&found), VERDICT_DAMAGED);
}
END_TEST

START_TEST(where_only_the_end_is_missing_it_is_said_how_to_mend_it)
{
	message_text("4918D20", "RR");
	text_len -= 2;
	add(POSTFIX_PLACE_HOLD, "", "4918D20", 0x20, READY);
	look(true);
	nothing_else(1);
	is_put_aside(sole(24, CLASS_QUARANTINE, PROBLEM_TRUNCATED, "hold/4918D20"));
	ck_assert_ptr_nonnull(strstr(found.at[0].detail, "E\\0"));
}
END_TEST

START_TEST(a_message_that_is_all_done_is_told_unless_its_bounce_is_still_to_be_sent)
{
	message_text("4918D20", "DD");
	add(POSTFIX_PLACE_ACTIVE, "", "4918D20", 0x20, READY);
	add(POSTFIX_PLACE_ACTIVE, "", "4918D21", 0x21, READY);
	add_log(POSTFIX_PLACE_BOUNCE, "", "4918D21", 0x22);
	look(true);
	nothing_else(1);
	ck_assert_uint_eq(sole(27, CLASS_REPORT, PROBLEM_UNFINISHED, "active/4918D20")->remedies, 0);
	ck_assert_int_eq(findings_verdict(&found), VERDICT_CONSISTENT);
}
END_TEST

START_TEST(what_was_put_aside_by_postfix_is_told_and_never_touched)
{
	text_len = 10;
	add(POSTFIX_PLACE_CORRUPT, "", "4918D20", 0x20, READY);
	add(POSTFIX_PLACE_CORRUPT, "", "old.mail", 0x22, READY);
	add(POSTFIX_PLACE_SAVED, "", "4918D21", 0x21, READY);
	look(true);
	nothing_else(3);
	for (size_t i = 0; i < 3; i++) {
		ck_assert_uint_eq(found.at[i].rule, 28);
		ck_assert_int_eq(found.at[i].class, CLASS_REPORT);
		ck_assert_uint_eq(found.at[i].remedies, 0);
	}
	ck_assert_uint_eq(messages, 0);
}
END_TEST

/* ---------------------------------------------------------------- logs */

START_TEST(a_log_without_its_message_is_put_aside)
{
	whole_queue();
	add_log(POSTFIX_PLACE_DEFER, "4", "4918DAA", 0x20);
	text_len = 0;
	add(POSTFIX_PLACE_CORRUPT, "", "4918DCC", 0x21, READY);
	add_log(POSTFIX_PLACE_BOUNCE, "", "4918DCC", 0x22);
	add_log(POSTFIX_PLACE_DEFER, "4", "4918D10", 0x23);	/* of a message that went back into maildrop */
	look(false);
	nothing_else(4);
	for (size_t i = 0; i < found.len; i++) {
		if (found.at[i].rule == 28)
			continue;
		ck_assert_uint_eq(found.at[i].rule, 25);
		ck_assert_int_eq(found.at[i].class, CLASS_GARBAGE);
		is_put_aside(&found.at[i]);
	}
}
END_TEST

START_TEST(a_broken_defer_log_goes_and_a_broken_bounce_log_stays)
{
	whole_queue();
	text_len = (size_t)snprintf(text, sizeof text, "\n<a@b>: no\n\n");
	memset(text + text_len, 0, 8);
	text_len += 8;
	add(POSTFIX_PLACE_DEFER, "4", "4918D14", 0x20, QUEUE_REGULAR | 0600);
	add(POSTFIX_PLACE_BOUNCE, "", "4918D14", 0x21, QUEUE_REGULAR | 0600);
	text_len -= 9;
	add(POSTFIX_PLACE_TRACE, "", "4918D14", 0x22, QUEUE_REGULAR | 0600);	/* its end was cut: a crash */
	look(true);
	nothing_else(2);
	is_put_aside(sole(26, CLASS_GARBAGE, PROBLEM_NUL_TAIL, "defer/4/4918D14"));
	ck_assert_uint_eq(sole(26, CLASS_REPORT, PROBLEM_NUL_TAIL, "bounce/4918D14")->remedies, 0);
}
END_TEST

/* ---------------------------------------------------------------- one id, several queues */

START_TEST(of_two_copies_one_stays_and_what_was_done_in_the_other_is_done)
{
	for (int deep = 0; deep < 2; deep++) {
		const struct finding *f;
		uint64_t offset = 0;

		entries = 0;
		message_text("4918DAA", "RDR");
		add(POSTFIX_PLACE_ACTIVE, "", "4918DAA", 0xAA, READY);
		message_text("4918DAA", "DDR");
		for (size_t i = 97; i < text_len; i++)
			if (offset == 0 && strncmp(text + i + 2, "r0@", 3) == 0)
				offset = i;
		add(POSTFIX_PLACE_DEFERRED, "4", "4918DAA", 0xBB, READY);
		look(deep == 1);
		nothing_else(1);
		f = sole(21, CLASS_REPAIR, PROBLEM_DUPLICATE, "deferred/4/4918DAA");
		is_put_aside(f);
		ck_assert_uint_eq(f->remedies, 2);
		ck_assert_int_eq(f->remedy[1].kind, REMEDY_BYTE);
		ck_assert_str_eq(f->remedy[1].path, "active/4918DAA");
		ck_assert_uint_eq(f->remedy[1].ino, 0xAA);
		ck_assert_uint_eq(f->remedy[1].offset, offset);
		ck_assert(f->remedy[1].bytes[0] == 'R' && f->remedy[1].bytes[1] == 'D');
	}
}
END_TEST

START_TEST(of_two_copies_with_a_long_id_the_one_that_is_further_stays)
{
	message_text("4jX4j75Jm4z4n", "R");
	add(POSTFIX_PLACE_DEFERRED, "B", "4jX4j75Jm4z4n", 6, READY);
	add(POSTFIX_PLACE_INCOMING, "", "4jX4j75Jm4z4n", 5, READY);
	look(false);
	nothing_else(1);
	is_put_aside(sole(21, CLASS_REPAIR, PROBLEM_DUPLICATE, "incoming/4jX4j75Jm4z4n"));
}
END_TEST

START_TEST(two_strangers_with_one_long_id_are_told_apart)
{
	const struct finding *f;

	message_text("one", "R");
	add(POSTFIX_PLACE_HOLD, "", "4jX4j75Jm4z4n", 6, READY);
	message_text("other", "R");
	add(POSTFIX_PLACE_INCOMING, "", "4jX4j75Jm4z4n", 5, READY);
	look(true);
	nothing_else(1);
	f = sole(21, CLASS_REPAIR, PROBLEM_DUPLICATE, "incoming/4jX4j75Jm4z4n");
	moves(f, 0, "incoming/4jX4j75Jm4z4n", "incoming/4jX4j75Jm4z5", 5);
}
END_TEST

/* ---------------------------------------------------------------- the table */

static bool
has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = strstr(list, word); at != NULL; at = strstr(at + 1, word))
		if ((at == list || at[-1] == ' ') && (at[len] == '\0' || at[len] == ','))
			return true;
	return false;
}

START_TEST(what_is_found_is_what_the_table_of_rules_says)
{
	whole_queue();
	add_message(POSTFIX_PLACE_HOLD, "", "4918DAA", 0xBB);
	add_message(POSTFIX_PLACE_HOLD, "", "4918DCC#FIX", 0xCC);
	add_message(POSTFIX_PLACE_HOLD, "", "4918dee", 0xEE);
	add_message(POSTFIX_PLACE_ACTIVE, "", "4918D30", 0x30)->file.mode = QUEUE_REGULAR | 0600;
	add_log(POSTFIX_PLACE_DEFER, "4", "4918DFF", 0x31);
	text_len = 9;
	add(POSTFIX_PLACE_HOLD, "", "4918D32", 0x32, READY);
	add(POSTFIX_PLACE_CORRUPT, "", "4918D33", 0x33, READY);
	add(POSTFIX_PLACE_INCOMING, "", "4918D34", 0x34, QUEUE_REGULAR | 0600);
	add(POSTFIX_PLACE_INCOMING, "", "4918D35", 0x35, QUEUE_REGULAR | 0600)->file.mtime = NOW - 9 * DAY;
	add_message(POSTFIX_PLACE_INCOMING, "", "4918D36", 0x36)->file.mode = QUEUE_REGULAR | 0640;
	look(true);
	ck_assert_uint_ge(found.len, 10);
	for (size_t i = 0; i < found.len; i++) {
		const struct rule *rule = rule_find(found.at[i].rule);

		ck_assert_msg(has_word(rule->classes, class_word(found.at[i].class)) &&
		    has_word(rule->problems, problem_word(found.at[i].problem)), "rule %u gives %s, %s", rule->number,
		    class_word(found.at[i].class), problem_word(found.at[i].problem));
	}
}
END_TEST

/* More than are kept are counted, and the first of them can be mended. */
START_TEST(a_restored_queue_is_counted_whole)
{
	struct check_options options = { .now = NOW, .slack = 60, .seed = 7 };
	struct check *check = check_new(&rules_postfix, &layout, &options);
	uint64_t counted = 0;
	const unsigned int n = 6000;

	for (unsigned int i = 0; i < n; i++) {
		char name[16];
		struct queue_file file = { .name = name, .sub = "", .place = POSTFIX_PLACE_HOLD, .ino = 0x10000 + i, .size = 9,
			.mode = READY, .uid = OWNER, .nlink = 1, .mtime = NOW };

		snprintf(name, sizeof name, "4918D%X", 0x100000 + i);
		check_file(check, &file);
	}
	check_joined(check);
	check_end(check, &found, &messages, &files);
	check_free(check);
	for (size_t i = 0; i < found.len; i++)
		counted += found.at[i].rule == 19 ? found.at[i].count : 0;
	ck_assert_uint_eq(counted, n);
	ck_assert_uint_eq(messages, n);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("rules_postfix");
	TCase *tc = tcase_create("rules");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_queue_as_postfix_leaves_it_has_nothing_to_find);
	tcase_add_test(tc, what_a_crash_leaves_waits_and_is_not_opened);
	tcase_add_test(tc, unfinished_files_of_eight_days_are_put_aside);
	tcase_add_test(tc, a_message_of_another_inode_is_renamed_and_its_logs_before_it);
	tcase_add_test(tc, the_logs_of_an_id_stay_with_the_message_that_has_it_rightly);
	tcase_add_test(tc, the_new_name_brings_its_directory_along);
	tcase_add_test(tc, a_right_name_in_a_wrong_directory_is_only_moved);
	tcase_add_test(tc, what_postsuper_left_half_renamed_is_finished);
	tcase_add_test(tc, a_renaming_that_was_cut_between_log_and_message_comes_to_one_id);
	tcase_add_test(tc, a_half_renamed_log_never_takes_the_place_of_another);
	tcase_add_test(tc, a_message_under_a_name_that_is_no_id_gets_one_and_what_is_none_goes);
	tcase_add_test(tc, the_root_may_hold_what_it_likes);
	tcase_add_test(tc, of_two_names_of_a_file_the_one_that_holds_its_inode_stays);
	tcase_add_test(tc, a_settled_message_without_its_bits_is_read_and_gets_them_back);
	tcase_add_test(tc, one_that_is_not_whole_does_not_get_them_back);
	tcase_add_test(tc, modes_lost_by_a_copy_are_one_finding);
	tcase_add_test(tc, a_file_of_maildrop_with_a_mode_that_postdrop_does_not_give_is_looked_at);
	tcase_add_test(tc, a_damaged_message_is_found_by_the_deep_pass_and_put_aside);
	tcase_add_test(tc, where_only_the_end_is_missing_it_is_said_how_to_mend_it);
	tcase_add_test(tc, a_message_that_is_all_done_is_told_unless_its_bounce_is_still_to_be_sent);
	tcase_add_test(tc, what_was_put_aside_by_postfix_is_told_and_never_touched);
	tcase_add_test(tc, a_log_without_its_message_is_put_aside);
	tcase_add_test(tc, a_broken_defer_log_goes_and_a_broken_bounce_log_stays);
	tcase_add_test(tc, of_two_copies_one_stays_and_what_was_done_in_the_other_is_done);
	tcase_add_test(tc, of_two_copies_with_a_long_id_the_one_that_is_further_stays);
	tcase_add_test(tc, two_strangers_with_one_long_id_are_told_apart);
	tcase_add_test(tc, what_is_found_is_what_the_table_of_rules_says);
	tcase_add_test(tc, a_restored_queue_is_counted_whole);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
