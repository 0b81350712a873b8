/*
 * tests/unit/qmail_bed.h - a queue of qmail in memory: files with their content, which a check is told of and
 * reads. Split 23. Every file is as qmail writes it until a test says otherwise.
 */
#ifndef TESTS_UNIT_QMAIL_BED_H
#define TESTS_UNIT_QMAIL_BED_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mta/qmail_queue.h"
#include "queuesync/check.h"
#include "tests/unit/harness.h"

#define BED_NOW INT64_C(1800000000)
#define BED_SPLIT 23
enum { UID_Q = 7794, UID_R = 7795, UID_S = 7796, GID_QMAIL = 2107, GID_NOFILES = 2108 };

static const char bed_mess[] = "Received: (qmail 4711 invoked from network); 22 Nov 2026 01:02:03 -0000\nSubject: x\n\nhello\n";
static const char bed_envelope[] = "u7791\0p4711\0Fa@example.org\0Tb@example.net\0Tc@example.net";	/* with the last NUL */
static const char bed_info[] = "Fa@example.org";
static const char bed_remote[] = "Tb@example.net\0Tc@example.net";
static const char bed_local[] = "Tb@example.net\0Dc@example.net";
static const char bed_bounce[] = "<c@example.net>:\nno such user\n\n";

struct bed_file { struct queue_file at; char sub[8], name[40]; const char *bytes; bool vanishes; };

static struct bed_file bed[20000];
static size_t bed_len;
static struct queue_layout bed_layout;
static bool bed_big_todo;
static uint32_t bed_built;
static struct findings found;
static uint64_t bed_messages;
static uint64_t bed_next_ino;

static const struct { const char *path; enum qmail_place kind; bool split, send; uint32_t mode; } bed_places[] = {
	{ "", QMAIL_ROOT, false, false, 0750 }, { "pid", QMAIL_PID, false, false, 0700 }, { "mess", QMAIL_MESS, true, false, 0750 },
	{ "intd", QMAIL_INTD, false, false, 0700 }, { "todo", QMAIL_TODO, false, false, 0750 },
	{ "info", QMAIL_INFO, true, true, 0700 }, { "local", QMAIL_LOCAL, true, true, 0700 },
	{ "remote", QMAIL_REMOTE, true, true, 0700 }, { "bounce", QMAIL_BOUNCE, false, true, 0700 },
	{ "lock", QMAIL_LOCK, false, false, 0750 },
};
#define BED_PLACES (sizeof bed_places / sizeof bed_places[0])

static inline uint16_t
bed_place(enum qmail_place kind)
{
	for (uint16_t i = 0; i < BED_PLACES; i++)
		if (bed_places[i].kind == kind)
			return i;
	abort();
}

static inline bool
bed_is_split(size_t place)
{
	return bed_places[place].split || (bed_big_todo && (bed_places[place].kind == QMAIL_INTD || bed_places[place].kind == QMAIL_TODO));
}

/* One more file under any name; valid until the end of the test. */
static inline struct bed_file *
bed_named(enum qmail_place kind, const char *sub, const char *name, const char *bytes, size_t len)
{
	struct bed_file *f = &bed[bed_len++];
	uint16_t place = bed_place(kind);

	ck_assert_uint_lt(bed_len, sizeof bed / sizeof bed[0]);
	*f = (struct bed_file){ .bytes = bytes };
	snprintf(f->sub, sizeof f->sub, "%s", sub);
	snprintf(f->name, sizeof f->name, "%s", name);
	f->at = (struct queue_file){ .place = place, .ino = ++bed_next_ino, .size = len, .nlink = 1, .mtime = BED_NOW - 100,
		.atime = BED_NOW - 100, .ctime = BED_NOW - 100, .uid = bed_places[place].send ? UID_S : UID_Q,
		.gid = bed_places[place].send ? GID_QMAIL : GID_NOFILES, .mode = QUEUE_REGULAR | (bed_places[place].send ? 0600 : 0644) };
	return f;
}

static inline struct bed_file *
bed_put(enum qmail_place kind, uint64_t number, const char *bytes, size_t len)
{
	char sub[8] = "", name[32];
	struct bed_file *f;

	if (bed_is_split(bed_place(kind)))
		snprintf(sub, sizeof sub, "%u", (unsigned int)(number % BED_SPLIT));
	snprintf(name, sizeof name, "%" PRIu64, number);
	f = bed_named(kind, sub, name, bytes, len);
	if (kind == QMAIL_MESS)
		f->at.ino = number;
	return f;
}

static inline struct bed_file *
bed_mess_of(uint64_t n)
{
	return bed_put(QMAIL_MESS, n, bed_mess, sizeof bed_mess - 1);
}

static inline void
bed_s4(uint64_t n)
{
	struct bed_file *intd, *todo;

	bed_mess_of(n);
	intd = bed_put(QMAIL_INTD, n, bed_envelope, sizeof bed_envelope);
	todo = bed_put(QMAIL_TODO, n, bed_envelope, sizeof bed_envelope);
	todo->at.ino = intd->at.ino;
	todo->at.nlink = intd->at.nlink = 2;
}

static inline void
bed_s5(uint64_t n)
{
	bed_mess_of(n);
	bed_put(QMAIL_INFO, n, bed_info, sizeof bed_info);
	bed_put(QMAIL_REMOTE, n, bed_remote, sizeof bed_remote);
}

/* The file of that kind and number, to be changed. */
static inline struct bed_file *
bed_of(enum qmail_place kind, uint64_t number)
{
	char name[32];

	snprintf(name, sizeof name, "%" PRIu64, number);
	for (size_t i = 0; i < bed_len; i++)
		if (bed_places[bed[i].at.place].kind == kind && strcmp(bed[i].name, name) == 0)
			return &bed[i];
	abort();
}

static inline void
bed_drop(struct bed_file *f)
{
	*f = bed[--bed_len];
}

static inline void
bed_setup(void)
{
	bed_len = 0;
	bed_big_todo = false;
	bed_built = 0;
	bed_next_ino = 1000000;
	found = (struct findings){ 0 };
	bed_named(QMAIL_LOCK, "", "sendmutex", "", 0)->at.uid = UID_S;
	bed[0].at.mode = QUEUE_REGULAR | 0600;
	bed[0].at.gid = GID_QMAIL;
	bed_named(QMAIL_LOCK, "", "tcpto", "", 0)->at.uid = UID_R;
	bed[1].at.gid = GID_QMAIL;
	bed_named(QMAIL_LOCK, "", "trigger", "", 0)->at.uid = UID_S;
	bed[2].at.gid = GID_QMAIL;
	bed[2].at.mode = QUEUE_FIFO | 0622;
}

static inline void
bed_lay_out(void)
{
	bed_layout = (struct queue_layout){ .mta = "qmail", .root = strdup("/q"), .split = BED_SPLIT, .built_split = bed_built,
		.big_todo = bed_big_todo, .remote_uid = UID_R };
	for (size_t i = 0; i < BED_PLACES; i++) {
		struct queue_place *p = queue_place_add(&bed_layout, bed_places[i].path, (uint8_t)bed_places[i].kind);

		p->hash = bed_is_split(i) ? QUEUE_MOD : QUEUE_FLAT;
		p->depth = bed_is_split(i) ? 1 : 0;
		p->required = true;
		p->subs_required = bed_is_split(i);
		p->uid = bed_places[i].send ? UID_S : UID_Q;
		p->gid = GID_QMAIL;
		p->mode = bed_places[i].mode;
	}
}

static inline void
bed_directories(struct check *c)
{
	char path[32];

	for (uint16_t i = 0; i < BED_PLACES; i++) {
		const struct queue_place *p = &bed_layout.place[i];
		struct queue_file self = { .name = "", .sub = "", .mode = QUEUE_DIRECTORY | p->mode, .uid = p->uid, .gid = p->gid, .ino = 2 };

		check_directory(c, p->path, i, &self);
		for (unsigned int n = 0; p->subs_required && n < BED_SPLIT; n++) {
			snprintf(path, sizeof path, "%s/%u", p->path, n);
			check_directory(c, path, i, &self);
		}
	}
}

static inline void
bed_read(struct check *c, const struct check_asked *asked)
{
	struct check_asked there = *asked;
	struct queue_content content;

	for (size_t i = 0; i < bed_len; i++) {
		struct queue_memory memory = { bed[i].bytes, bed[i].at.size };
		struct queue_source source;

		if (bed[i].at.place != asked->file.place || strcmp(bed[i].sub, asked->file.sub) != 0 ||
		    strcmp(bed[i].name, asked->file.name) != 0)
			continue;
		if (bed[i].vanishes)
			return;
		there.file = bed[i].at;
		there.file.name = bed[i].name;
		there.file.sub = bed[i].sub;
		source = queue_source_memory(&memory);
		rules_qmail.read(&bed_layout, &there.file, &source, &content, NULL);
		check_content(c, &there, &content);
		return;
	}
}

/* A whole check of what was put; how many files were opened. */
static inline size_t
bed_check(bool deep)
{
	struct check_options options = { .deep = deep, .now = BED_NOW, .slack = 60, .seed = 42 };
	struct check_asked asked;
	struct check *c;
	uint64_t files;
	size_t n = 0;

	findings_free(&found);
	bed_lay_out();
	c = check_new(&rules_qmail, &bed_layout, &options);
	bed_directories(c);
	for (uint16_t place = 0; place < BED_PLACES; place++) {
		for (size_t i = 0; i < bed_len; i++) {
			struct queue_file f = bed[i].at;

			f.name = bed[i].name;
			f.sub = bed[i].sub;
			if (f.place == place)
				check_file(c, &f);
		}
	}
	check_joined(c);
	while (check_asked(c, &asked)) {
		do {
			bed_read(c, &asked);
			n++;
		} while (check_asked(c, &asked));
	}
	check_end(c, &found, &bed_messages, &files);
	check_free(c);
	queue_layout_free(&bed_layout);
	return n;
}

static inline void
bed_teardown(void)
{
	findings_free(&found);
}

static inline const char *
bed_told(void)
{
	static char text[4096];
	size_t at = 0;

	text[0] = '\0';
	for (size_t i = 0; i < found.len && at + 300 < sizeof text; i++)
		at += (size_t)snprintf(text + at, sizeof text - at, "\n%u %s %s %s: %.100s", found.at[i].rule, class_word(found.at[i].class),
		    problem_word(found.at[i].problem), found.at[i].path, found.at[i].detail);
	return text;
}

/* "11 promote link-not-durable intd/7 maybe: L intd/7 todo/7; Q ..." of the only finding. */
static inline const char *
bed_one(const struct finding *f)
{
	static const char letters[REMEDY_COUNT] = { [REMEDY_MOVE] = 'V', [REMEDY_LINK] = 'L', [REMEDY_MODE] = 'M', [REMEDY_OWNER] = 'O',
		[REMEDY_MKFIFO] = 'F', [REMEDY_CREATE] = 'C', [REMEDY_QUARANTINE] = 'Q', [REMEDY_MKDIR] = 'D', [REMEDY_TIMES] = 'T',
		[REMEDY_SWEEP_OWNER] = 'S' };
	static char text[2048];
	size_t at = (size_t)snprintf(text, sizeof text, "%u %s %s %s %s%s", f->rule, class_word(f->class), problem_word(f->problem),
	    f->path, acknowledged_word(f->acknowledged), f->damages ? " damaged" : "");

	for (size_t i = 0; i < f->remedies && at + 200 < sizeof text; i++)
		at += (size_t)snprintf(text + at, sizeof text - at, "%s %c %s%s%s", i == 0 ? ":" : ";", letters[f->remedy[i].kind],
		    f->remedy[i].path, f->remedy[i].to != NULL ? " " : "", f->remedy[i].to != NULL ? f->remedy[i].to : "");
	return text;
}

/* Exactly these findings, in their order, fast and deep alike. */
static inline void
bed_says(bool deep, size_t n, const char *const *lines)
{
	bed_check(deep);
	ck_assert_msg(found.len == n, "%zu findings instead of %zu:%s", found.len, n, bed_told());
	for (size_t i = 0; i < n; i++)
		ck_assert_str_eq(bed_one(&found.at[i]), lines[i]);
}

#define SAYS(deep, ...) do { \
	const char *const lines_[] = { __VA_ARGS__ }; \
	bed_says(deep, sizeof lines_ / sizeof lines_[0], lines_); \
} while (0)
#define SAYS_BOTH(...) do { SAYS(false, __VA_ARGS__); SAYS(true, __VA_ARGS__); } while (0)

static inline void
bed_quiet(void)
{
	for (int deep = 0; deep < 2; deep++) {
		bed_check(deep != 0);
		ck_assert_msg(found.len == 0, "%s pass:%s", deep ? "deep" : "fast", bed_told());
	}
}

#endif
