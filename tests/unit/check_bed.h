/*
 * tests/unit/check_bed.h - a queue in a few lines, for tests of the check: a toy mail program whose messages are
 * decimal numbers, kept in new/ (flat) and cur/N%3/ (split), with logs in log/. A message is in new or cur.
 */
#ifndef TESTS_UNIT_CHECK_BED_H
#define TESTS_UNIT_CHECK_BED_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queuesync/check.h"
#include "tests/unit/harness.h"

#define TOY_NOW INT64_C(1800000000)
#define TOY_UID 700
#define TOY_GID 701
enum { TOY_NEW, TOY_CUR, TOY_LOG };

static bool
toy_name(const struct queue_layout *layout, const struct queue_file *file, struct queue_key *key, uint32_t *bit,
    struct file_norm *norm)
{
	uint64_t n = 0;

	if (layout->place[file->place].kind > TOY_LOG || strlen(file->name) > 18 || file->name[strspn(file->name, "0123456789")] != '\0' || file->name[0] == '0')
		return false;
	for (const char *c = file->name; *c != '\0'; c++)
		n = n * 10 + (uint64_t)(*c - '0');
	*key = (struct queue_key){ 0, n };
	*bit = 1u << layout->place[file->place].kind;
	*norm = (struct file_norm){ .uid = TOY_UID, .gid = TOY_GID, .mode = 0600, .mask = 0777, .nlink = 1,
	    .future = layout->place[file->place].kind == TOY_CUR };
	return true;
}

static bool
toy_place(const struct queue_layout *layout, const struct queue_file *file, char *want)
{
	if (layout->place[file->place].hash != QUEUE_MOD) {
		want[0] = '\0';
		return file->sub[0] == '\0';
	}
	snprintf(want, CHECK_SUB_MAX, "%u", (unsigned int)(strtoull(file->name, NULL, 10) % layout->split));
	return strcmp(want, file->sub) == 0;
}

static const char *
toy_id(const struct queue_layout *layout, struct queue_key key, char *buf)
{
	(void)layout;
	snprintf(buf, 64, "%" PRIu64, key.lo);
	return buf;
}

static const char *
toy_path(const struct queue_layout *layout, struct queue_key key, uint32_t bit, char *buf)
{
	if (bit == 1u << TOY_CUR)
		snprintf(buf, 512, "cur/%" PRIu64 "/%" PRIu64, key.lo % layout->split, key.lo);
	else
		snprintf(buf, 512, "%s/%" PRIu64, bit == 1u << TOY_NEW ? "new" : "log", key.lo);
	return buf;
}

/* The toy's content is one word: "bad" is bad. */
static void
toy_read(const struct queue_layout *layout, const struct queue_file *file, struct queue_source *source,
    struct queue_content *ret, struct queue_message *message)
{
	char word[16] = "";
	ssize_t len = source->at(source->arg, word, sizeof word - 1, 0);

	ret->bad = len < 0 || strncmp(word, "bad", 3) == 0;
	ret->problem = PROBLEM_BAD_RECORD;
	ret->number[0] = source->size;
	snprintf(ret->what, sizeof ret->what, "begins with \"%.8s\"", word);
	if (message == NULL)
		return;
	message->state = layout->place[file->place].path;
	message->size = source->size;
	message->arrived = file->mtime;
	free(message->sender);
	message->sender = strdup(len > 0 ? word : "");
	queue_message_add(message, "to@example.org", 14, layout->place[file->place].kind == TOY_CUR);
}

static void
toy_content(struct check *c, const struct queue_file *file, struct queue_key key, uint32_t bit,
    const struct queue_content *content)
{
	struct finding *f;

	(void)bit;
	if (!content->bad)
		return;
	f = check_find(c, 23, CLASS_QUARANTINE, content->problem, ACK_YES, file, key, "%s", content->what);
	if (f != NULL)
		f->damages = true;
}

static const struct rules __attribute__((unused)) toy_rules = {
	.mta = "toy", .message_bits = 1u << TOY_NEW | 1u << TOY_CUR, .name = toy_name, .place = toy_place, .id = toy_id,
	.path = toy_path, .read = toy_read, .content = toy_content,
};

/* The same for a test that is not root: whose a file is does not matter. */
static inline bool
toy_name_any(const struct queue_layout *layout, const struct queue_file *file, struct queue_key *key, uint32_t *bit,
    struct file_norm *norm)
{
	bool ok = toy_name(layout, file, key, bit, norm);

	norm->uid = norm->gid = QUEUE_ID_ANY;
	return ok;
}

static const struct rules __attribute__((unused)) toy_rules_any = {
	.mta = "toy", .message_bits = 1u << TOY_NEW | 1u << TOY_CUR, .name = toy_name_any, .place = toy_place, .id = toy_id,
	.path = toy_path, .read = toy_read, .content = toy_content,
};

static inline void
toy_layout(struct queue_layout *layout, const char *root)
{
	static const char *const paths[] = { "new", "cur", "log" };

	*layout = (struct queue_layout){ .mta = "toy", .root = strdup(root), .split = 3 };
	for (uint8_t kind = 0; kind < 3; kind++) {
		struct queue_place *p = queue_place_add(layout, paths[kind], kind);

		p->required = true;
		p->uid = TOY_UID;
		p->gid = TOY_GID;
		p->mode = 0700;
		if (kind == TOY_CUR) {
			p->hash = QUEUE_MOD;
			p->depth = 1;
			p->subs_required = true;
		}
	}
}

/* ---------------------------------------------------------------- a check, line by line */

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
