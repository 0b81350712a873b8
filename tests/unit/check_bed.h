/*
 * tests/unit/check_bed.h - a check of the toy's queue, line by line: no file, no clock.
 */
#ifndef TESTS_UNIT_CHECK_BED_H
#define TESTS_UNIT_CHECK_BED_H

#include "tests/unit/harness.h"
#include "tests/unit/toy.h"

/* One check at a time. */
static struct queue_layout layout;
static struct check *check;
static struct findings findings;
static uint64_t messages, files;

static inline void
begin_with(bool deep)
{
	struct check_options options = { .deep = deep, .now = TOY_NOW, .slack = 60 };

	toy_layout(&layout, "/q");
	check = check_new(&toy_rules, &layout, &options);
	findings = (struct findings){ 0 };
}

static inline void
begin(void)
{
	begin_with(false);
}

static inline struct queue_file
file(uint16_t place, const char *sub, const char *name)
{
	static uint64_t ino = 1000;

	return (struct queue_file){ .name = name, .sub = sub, .place = place, .ino = ++ino, .size = 10,
	    .mode = QUEUE_REGULAR | 0600, .uid = TOY_UID, .gid = TOY_GID, .nlink = 1, .mtime = TOY_NOW - 100 };
}

static inline void
directory(const char *path, uint16_t place, uint32_t uid, uint32_t mode)
{
	struct queue_file self = { .name = "", .sub = "", .mode = mode, .uid = uid, .gid = TOY_GID, .nlink = 2, .ino = 5 };

	check_directory(check, path, place, &self);
}

static inline void
directories(void)
{
	directory("new", TOY_NEW, TOY_UID, QUEUE_DIRECTORY | 0700);
	directory("cur", TOY_CUR, TOY_UID, QUEUE_DIRECTORY | 0700);
	directory("cur/0", TOY_CUR, TOY_UID, QUEUE_DIRECTORY | 0700);
	directory("cur/1", TOY_CUR, TOY_UID, QUEUE_DIRECTORY | 0700);
	directory("cur/2", TOY_CUR, TOY_UID, QUEUE_DIRECTORY | 0700);
	directory("log", TOY_LOG, TOY_UID, QUEUE_DIRECTORY | 0700);
}

static inline void
add(struct queue_file f)
{
	check_file(check, &f);
}

/* n messages in cur, from number 1 on, each changed by how. */
static inline void
many(unsigned int n, void (*how)(struct queue_file *))
{
	char name[24], sub[8];

	for (unsigned int i = 1; i <= n; i++) {
		struct queue_file f;

		snprintf(name, sizeof name, "%u", i);
		snprintf(sub, sizeof sub, "%u", i % 3);
		f = file(TOY_CUR, sub, name);
		if (how != NULL)
			how(&f);
		check_file(check, &f);
	}
}

static inline void
end(void)
{
	check_joined(check);
	check_end(check, &findings, &messages, &files);
}

static inline void
finish(void)
{
	findings_free(&findings);
	check_free(check);
	queue_layout_free(&layout);
}

static inline const struct finding *
only(enum finding_class class, enum problem problem, const char *path)
{
	ck_assert_msg(findings.len == 1, "%zu findings, the first: %s %s", findings.len,
	    findings.len > 0 ? findings.at[0].path : "", findings.len > 0 ? findings.at[0].detail : "");
	ck_assert_str_eq(class_word(findings.at[0].class), class_word(class));
	ck_assert_str_eq(problem_word(findings.at[0].problem), problem_word(problem));
	ck_assert_str_eq(findings.at[0].path, path);
	return &findings.at[0];
}

#endif
