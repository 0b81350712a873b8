/*
 * tests/unit/toy.h - a toy mail program for tests of the check: messages are decimal numbers, kept in new/ (flat) and
 * cur/N%3/ (split), with logs in log/. A message is in new or cur.
 */
#ifndef TESTS_UNIT_TOY_H
#define TESTS_UNIT_TOY_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queuesync/check.h"

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

static inline bool
toy_plain(struct check *c, const struct queue_file *file, struct queue_key key, uint32_t bit, const struct queue_content *content)
{
	(void)c, (void)file, (void)key, (void)bit;
	return !content->bad;
}

static const struct rules __attribute__((unused)) toy_rules = {
	.mta = "toy", .message_bits = 1u << TOY_NEW | 1u << TOY_CUR, .name = toy_name, .place = toy_place, .id = toy_id,
	.path = toy_path, .plain = toy_plain, .read = toy_read, .content = toy_content,
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
	.path = toy_path, .plain = toy_plain, .read = toy_read, .content = toy_content,
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

#endif
