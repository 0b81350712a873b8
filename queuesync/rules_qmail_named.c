/*
 * queuesync/rules_qmail_named.c - what the names of a queue of qmail tell alone, before a start that cannot wait until each
 * file has been asked about: rules 7 to 9, 11, 13, 14 and 16 as far as names go. Pure.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mta/qmail_record.h"
#include "queuesync/rules_qmail.h"

enum { MESS = 1 << 0, INFO = 1 << 1, QUEUED = 1 << 2, BOUNCE = 1 << 3, CHANNEL = 1 << 4 };
enum { TRIGGER = 1 << 5, SENDMUTEX = 1 << 6, TCPTO = 1 << 7 };	/* other bits than a message's, which are counted */
#define LOCKS UINT64_MAX	/* their key: no inode has that number */

static enum named_verdict
named_lock(const struct queue_file *file, struct named *ret)
{
	bool regular = QUEUE_TYPE(file->mode) == QUEUE_REGULAR;

	ret->key = LOCKS;
	if (strcmp(file->name, "trigger") == 0 && QUEUE_TYPE(file->mode) == QUEUE_FIFO)
		ret->has = TRIGGER;
	else if (strcmp(file->name, "sendmutex") == 0 && regular)
		ret->has = SENDMUTEX;
	else if (strcmp(file->name, "tcpto") == 0 && regular)
		ret->has = TCPTO;
	return ret->has != 0 ? NAMED_RIGHT : NAMED_DOUBT;
}

static bool
stands_right(const struct queue_layout *layout, const struct queue_file *file, uint64_t number)
{
	char want[CHECK_SUB_MAX] = "";

	if (layout->place[file->place].hash == QUEUE_MOD)
		snprintf(want, sizeof want, "%" PRIu64, number % layout->split);
	return strcmp(want, file->sub) == 0;
}

enum named_verdict
qmail_named(const struct queue_layout *layout, const struct queue_file *file, int64_t now, struct named *ret)
{
	enum qmail_place kind = (enum qmail_place)layout->place[file->place].kind;

	(void)now;
	if (kind == QMAIL_LOCK)
		return named_lock(file, ret);
	if (QUEUE_TYPE(file->mode) != QUEUE_REGULAR)
		return NAMED_DOUBT;
	if (kind == QMAIL_PID)
		return qmail_pid_name(file->name) ? NAMED_RIGHT : NAMED_DOUBT;
	if (!qmail_number_parse(file->name, strlen(file->name), &ret->key) || !stands_right(layout, file, ret->key))
		return NAMED_DOUBT;
	switch (kind) {
	case QMAIL_MESS:
		ret->has = MESS;
		return file->ino == ret->key ? NAMED_RIGHT : NAMED_DOUBT;
	case QMAIL_INFO:
		*ret = (struct named){ .key = ret->key, .has = INFO, .needs = MESS };
		return NAMED_RIGHT;
	case QMAIL_TODO:
		/* preprocessing leaves a bounce where it is, and it is not of this message */
		*ret = (struct named){ .key = ret->key, .has = QUEUED, .needs = MESS, .bars = BOUNCE };
		return NAMED_RIGHT;
	case QMAIL_INTD:
		/* without its link it may have been acknowledged all the same */
		ret->needs = QUEUED;
		return NAMED_RIGHT;
	case QMAIL_BOUNCE:
		*ret = (struct named){ .key = ret->key, .has = BOUNCE, .needs = INFO };
		return NAMED_RIGHT;
	case QMAIL_LOCAL: case QMAIL_REMOTE:
		ret->has = CHANNEL;
		return NAMED_RIGHT;
	case QMAIL_ROOT: case QMAIL_PID: case QMAIL_LOCK: case QMAIL_PLACE_COUNT:
		break;
	}
	return NAMED_DOUBT;
}

static bool
later(const struct queue_place *place)
{
	return place->kind == QMAIL_LOCAL || place->kind == QMAIL_REMOTE;
}

/* A text alone is what a qmail-queue has left that did not finish, unless it has recipients: then its sender was lost. */
const struct named_whole qmail_named_whole = {
	.always = { .key = LOCKS, .needs = TRIGGER | SENDMUTEX | TCPTO }, .message = MESS, .lone = MESS, .later = later };
