/*
 * tests/unit/exim_bed.h - a spool of Exim's of a few files in memory, for tests of its rules: put() files, look(), and what was
 * found. One at a time.
 */
#ifndef TESTS_UNIT_EXIM_BED_H
#define TESTS_UNIT_EXIM_BED_H

#include <stdlib.h>
#include <string.h>

#include "queuesync/rule_table.h"
#include "queuesync/rules_exim.h"
#include "tests/unit/harness.h"

#define NOW INT64_C(1795300000)		/* a good hour after the ids below were given */
#define DAY 86400
#define UID 990
#define ID "1xUsW9-0002fS-1c"
#define OTHER "1xUsW9-0002fT-2k"
#define LONG "1xUsW9-00000000abc-00Ab"

enum { INPUT, MSGLOG, FINPUT, FMSGLOG, DB, SCAN, WORK, WORKLOG };

struct entry { char path[128]; const char *bytes; size_t len; int64_t mtime; uint64_t ino; uint32_t nlink; };

static struct queue_layout layout;
static struct entry entry[64];
static size_t entries;
static struct findings findings;
static uint64_t messages, files;
static int reads;

static inline void
place(const char *path, enum exim_holds holds, unsigned int queue)
{
	struct queue_place *p = queue_place_add(&layout, path, exim_kind(holds, queue));

	p->hash = holds == EXIM_HOLDS_INPUT || holds == EXIM_HOLDS_LOGS ? QUEUE_EXIM : QUEUE_FLAT;
	p->depth = p->hash == QUEUE_EXIM;
	p->uid = p->gid = UID;
	p->mode = 0750;
}

static inline void
begin(bool split)
{
	entries = 0;
	reads = 0;
	layout = (struct queue_layout){ .mta = "exim", .root = strdup("/q"), .split_spool = split };
	place("input", EXIM_HOLDS_INPUT, EXIM_QUEUE_DEFAULT);
	place("msglog", EXIM_HOLDS_LOGS, EXIM_QUEUE_DEFAULT);
	place("Finput", EXIM_HOLDS_INPUT, EXIM_QUEUE_FROZEN);
	place("Fmsglog", EXIM_HOLDS_LOGS, EXIM_QUEUE_FROZEN);
	place("db", EXIM_HOLDS_HINTS, EXIM_QUEUE_DEFAULT);
	place("scan", EXIM_HOLDS_SCAN, EXIM_QUEUE_DEFAULT);
	place("work/input", EXIM_HOLDS_INPUT, EXIM_QUEUE_NAMED);
	place("work/msglog", EXIM_HOLDS_LOGS, EXIM_QUEUE_NAMED);
}

static inline struct entry *
put_bytes(const char *path, const char *bytes, size_t len)
{
	struct entry *e = &entry[entries++];

	*e = (struct entry){ .bytes = bytes, .len = len, .mtime = NOW - 3600, .ino = 100 + entries, .nlink = 1 };
	snprintf(e->path, sizeof e->path, "%s", path);
	return e;
}

static inline struct entry *
put(const char *path, const char *text)
{
	return put_bytes(path, text, strlen(text));
}

#define HEADER(id, options, tree, recipients) id "-H\nDebian-exim 990 990\n<a@example.org>\n1795296065 0\n" \
	options tree recipients "\n011  Subject: x\n"
#define H(id) HEADER(id, "-body_linecount 2\n", "XX\n", "2\nb@example.net\nc@example.net\n")
#define D(id) id "-D\none\ntwo\n"

/* Which place, sub-directory and name a path is. */
static inline struct queue_file
file_of(const struct entry *e, char *copy, size_t size)
{
	struct queue_file f = { .ino = e->ino, .size = e->len, .mode = QUEUE_REGULAR | 0640, .uid = UID, .gid = UID, .nlink = e->nlink,
		.mtime = e->mtime, .atime = e->mtime, .ctime = e->mtime, .sub = "" };
	char *slash;

	snprintf(copy, size, "%.120s", e->path);
	for (size_t i = 0; i < layout.places; i++) {
		size_t len = strlen(layout.place[i].path);

		if (strncmp(copy, layout.place[i].path, len) == 0 && copy[len] == '/') {
			f.place = (uint16_t)i;
			f.name = copy + len + 1;
		}
	}
	slash = strrchr(f.name, '/');
	if (slash != NULL) {
		*slash = '\0';
		f.sub = f.name;
		f.name = slash + 1;
	}
	return f;
}

static inline const struct entry *
entry_at(const struct queue_file *asked)
{
	char path[512];

	queue_file_path(&layout, asked, path, sizeof path);
	for (size_t i = 0; i < entries; i++)
		if (strcmp(entry[i].path, path) == 0)
			return &entry[i];
	return NULL;
}

static inline void
read_asked(struct check *check)
{
	struct check_asked asked;
	bool any;

	do {
		any = false;
		while (check_asked(check, &asked)) {
			const struct entry *e = entry_at(&asked.file);
			struct queue_content content = { 0 };
			struct queue_memory memory;
			struct queue_source source;
			char copy[128];

			any = true;
			if (e == NULL)
				continue;
			memory = (struct queue_memory){ e->bytes, e->len };
			source = queue_source_memory(&memory);
			asked.file = file_of(e, copy, sizeof copy);
			reads++;
			rules_exim.read(&layout, &asked.file, &source, &content, NULL);
			check_content(check, &asked, &content);
		}
	} while (any);
}

static inline void
look(bool deep)
{
	struct check_options options = { .deep = deep, .now = NOW, .slack = 60 };
	struct check *check = check_new(&rules_exim, &layout, &options);
	struct queue_file self = { .name = "", .sub = "", .mode = QUEUE_DIRECTORY | 0750, .uid = UID, .gid = UID, .nlink = 2, .ino = 5 };
	char copy[128];

	findings_free(&findings);
	findings = (struct findings){ 0 };
	for (size_t i = 0; i < layout.places; i++)
		check_directory(check, layout.place[i].path, (uint16_t)i, &self);
	for (size_t i = 0; i < entries; i++) {
		struct queue_file f = file_of(&entry[i], copy, sizeof copy);

		check_file(check, &f);
	}
	check_joined(check);
	read_asked(check);
	check_end(check, &findings, &messages, &files);
	check_free(check);
	for (size_t i = 0; i < findings.len; i++) {
		const struct finding *f = &findings.at[i];
		const struct rule *rule = rule_find(f->rule);

		ck_assert_msg(strstr(rule->classes, class_word(f->class)) != NULL && strstr(rule->problems, problem_word(f->problem)) != NULL,
		    "rule %u: %s %s", f->rule, class_word(f->class), problem_word(f->problem));
	}
}

static inline void
end(void)
{
	findings_free(&findings);
	findings = (struct findings){ 0 };
	queue_layout_free(&layout);
}

static inline void
quiet(bool deep)
{
	look(deep);
	ck_assert_msg(findings.len == 0, "%s: %s", findings.len > 0 ? findings.at[0].path : "", findings.len > 0 ?
	    findings.at[0].detail : "");
}

static inline const struct finding *
only(unsigned int rule, enum finding_class class, enum problem problem, const char *path)
{
	ck_assert_msg(findings.len == 1, "%zu findings, the first: %s: %s", findings.len, findings.len > 0 ? findings.at[0].path : "",
	    findings.len > 0 ? findings.at[0].detail : "");
	ck_assert_uint_eq(findings.at[0].rule, rule);
	ck_assert_str_eq(class_word(findings.at[0].class), class_word(class));
	ck_assert_str_eq(problem_word(findings.at[0].problem), problem_word(problem));
	ck_assert_str_eq(findings.at[0].path, path);
	return &findings.at[0];
}

/* The remedies, "kind path" or "kind path>to", one after another. */
static inline const char *
remedies(const struct finding *f)
{
	static char text[1024];
	static const char *const word[REMEDY_COUNT] = { [REMEDY_MOVE] = "move", [REMEDY_QUARANTINE] = "aside", [REMEDY_APPEND] = "append",
		[REMEDY_MKDIR] = "mkdir" };

	text[0] = '\0';
	for (size_t i = 0; i < f->remedies; i++) {
		size_t have = strlen(text);
		const struct remedy *r = &f->remedy[i];

		snprintf(text + have, sizeof text - have, "%s%s %s%s%s", have > 0 ? ", " : "", word[r->kind], r->path,
		    r->to != NULL ? ">" : "", r->to != NULL ? r->to : "");
		ck_assert(r->kind == REMEDY_MKDIR || r->ino != 0);
	}
	return text;
}

#endif
