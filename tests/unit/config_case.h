/*
 * tests/unit/config_case.h - a root directory with what is in place, a directory with what is staged, and one judgement of it as
 * the receiver asks for it: in a worker, below the loop. One at a time, in a box (box.h) of its own.
 */
#ifndef TESTS_UNIT_CONFIG_CASE_H
#define TESTS_UNIT_CONFIG_CASE_H

#include "configsync/verify.h"
#include "tests/unit/box.h"

#define CASE_ROOT "/tmp/case/root"
#define CASE_STAGED "/tmp/case/staged"
#define CASE_SCRATCH "/tmp/case/scratch"
#define CASE_CHANGES 16

static struct view_change change[CASE_CHANGES];
static size_t changes;
static unsigned int staged;
static struct set_rules rules;
static bool in_place;
static uint32_t deadline_ms;
static struct verify_result result;

static inline const char *
at_root(const char *path)
{
	static char full[512];

	snprintf(full, sizeof full, CASE_ROOT "/%s", path);
	return full;
}

static inline void
case_begin(void)
{
	ck_assert(view_remove("/tmp/case", NULL));
	ck_assert(view_mkdirs(CASE_ROOT, NULL) && view_mkdirs(CASE_STAGED, NULL));
	changes = 0;
	rules = (struct set_rules){ 0 };
	in_place = false;
	deadline_ms = 20000;
}

static inline void
parents(const char *path)
{
	char dir[512];

	snprintf(dir, sizeof dir, "%s", path);
	*strrchr(dir, '/') = '\0';
	ck_assert(view_mkdirs(dir, NULL));
}

/* In place now. */
static inline void
have(const char *path, const char *text)
{
	parents(at_root(path));
	box_write(at_root(path), "%s", text);
}

static inline struct view_change *
change_add(const char *path, bool stays)
{
	struct view_change *c = &change[changes++];
	char from[128];

	snprintf(from, sizeof from, CASE_STAGED "/%u", ++staged);
	*c = (struct view_change){ .path = path, .from = stays ? strdup(from) : NULL };
	return c;
}

/* Staged to be put in place at path. */
static inline void
stage(const char *path, const char *text)
{
	box_write(change_add(path, true)->from, "%s", text);
}

static inline void
stage_link(const char *path, const char *target)
{
	ck_assert_int_eq(symlink(target, change_add(path, true)->from), 0);
}

static inline void
stage_copy(const char *path, const char *file)
{
	ck_assert_int_eq(box_run("cp", file, change_add(path, true)->from, NULL, NULL), 0);
}

static inline void
stage_removal(const char *path)
{
	change_add(path, false);
}

static inline void
case_done(void *loop, const struct verify_result *r)
{
	result = *r;
	loop_stop(loop);
}

/* Judges the set of the first change. What is in place stays as it is, and nothing is left behind. */
static inline enum validity
judged(void)
{
	struct verify_job job = { .view = { .root = CASE_ROOT, .change = change, .changes = changes }, .scratch = CASE_SCRATCH,
		.in_place = in_place, .deadline_ms = deadline_ms };
	struct loop *loop = loop_new();

	set_of(&rules, change[0].path, &job.set);
	memset(&result, 0, sizeof result);
	result.verdict = VALIDITY_COUNT;
	verify_start(loop, &job, case_done, loop);
	loop_run(loop);
	loop_free(loop);
	ck_assert_int_ne(result.verdict, VALIDITY_COUNT);
	ck_assert_int_ne(result.why[0], '\0');
	return result.verdict;
}

#define says(text) ck_assert_msg(strstr(result.why, (text)) != NULL, "%s: %s", validity_word(result.verdict), result.why)
#define valid() ck_assert_msg(judged() == VALIDITY_VALID, "%s: %s", validity_word(result.verdict), result.why)
#define invalid(text) do { ck_assert_msg(judged() == VALIDITY_INVALID, "%s: %s", validity_word(result.verdict), result.why); says(text); } while (0)
#define unknown(text) do { ck_assert_msg(judged() == VALIDITY_UNKNOWN, "%s: %s", validity_word(result.verdict), result.why); says(text); } while (0)

#endif
