/*
 * tests/unit/postfix_rules_bed.h - a queue of Postfix that is made up: entries as a scan would tell them, contents from
 * memory, and a check of it.
 */
#ifndef TESTS_UNIT_POSTFIX_RULES_BED_H
#define TESTS_UNIT_POSTFIX_RULES_BED_H

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

static inline void
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

static inline void
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

static inline void __attribute__((format(printf, 2, 3)))
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
static inline void
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
static inline struct entry *
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

static inline struct entry *
add_message(enum postfix_place kind, const char *sub, const char *name, uint64_t ino)
{
	message_text(name, "R");
	return add(kind, sub, name, ino, READY);
}

static inline struct entry *
add_log(enum postfix_place kind, const char *sub, const char *name, uint64_t ino)
{
	text_len = (size_t)snprintf(text, sizeof text, "\n<a@b>: no\nrecipient=a@b\n\n");
	return add(kind, sub, name, ino, QUEUE_REGULAR | 0600);
}

/* ---------------------------------------------------------------- a check of it */

static inline struct entry *
entry_at(const struct queue_file *file)
{
	for (size_t i = 0; i < entries; i++)
		if (queue[i].file.place == file->place && strcmp(queue[i].name, file->name) == 0 && strcmp(queue[i].sub, file->sub) == 0)
			return &queue[i];
	ck_abort_msg("%s was asked for, and is not there", file->name);
	return NULL;
}

static inline void
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

/* A law of every look: what the rules of names have something to say of is not taken for right by the names alone. */
static inline void
names_suffice(void)
{
	struct named told = { 0 };
	bool right = true;

	for (size_t i = 0; i < entries; i++)
		right = right && (QUEUE_TYPE(queue[i].file.mode) == QUEUE_DIRECTORY ||
		    rules_postfix.named(&layout, &queue[i].file, 0, &told) == NAMED_RIGHT);
	for (size_t i = 0; i < found.len; i++)
		ck_assert_msg(!right || (rules_postfix.name_rules & UINT64_C(1) << found.at[i].rule) == 0,
		    "every name is right, and rule %u says of %s: %s", found.at[i].rule, found.at[i].path, found.at[i].detail);
}

static inline void
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
	names_suffice();
}

/* The only finding of a rule and class; NULL: there is none. */
static inline const struct finding *
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

static inline const struct finding *
sole(unsigned int rule, enum finding_class class, enum problem problem, const char *path)
{
	const struct finding *f = finding(rule, class);

	ck_assert_msg(f != NULL, "no finding of rule %u; of %zu the first is rule %u, %s: %s", rule, found.len,
	    found.len > 0 ? found.at[0].rule : 0, found.len > 0 ? found.at[0].path : "", found.len > 0 ? found.at[0].detail : "");
	ck_assert_str_eq(problem_word(f->problem), problem_word(problem));
	ck_assert_str_eq(f->path, path);
	return f;
}

static inline void
nothing_else(size_t n)
{
	ck_assert_msg(found.len == n, "%zu findings; the first is rule %u, %s: %s", found.len, found.at[0].rule, found.at[0].path,
	    found.at[0].detail);
}

static inline void
moves(const struct finding *f, size_t n, const char *from, const char *to, uint64_t ino)
{
	ck_assert_uint_lt(n, f->remedies);
	ck_assert_int_eq(f->remedy[n].kind, REMEDY_MOVE);
	ck_assert_str_eq(f->remedy[n].path, from);
	ck_assert_str_eq(f->remedy[n].to, to);
	ck_assert_uint_eq(f->remedy[n].ino, ino);
}

static inline void
is_put_aside(const struct finding *f)
{
	ck_assert_uint_ge(f->remedies, 1);
	ck_assert_int_eq(f->remedy[0].kind, REMEDY_QUARANTINE);
	ck_assert_str_eq(f->remedy[0].path, f->path);
	ck_assert_uint_ne(f->remedy[0].ino, 0);
}

/* ---------------------------------------------------------------- whole queues */

static inline void
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

#endif
