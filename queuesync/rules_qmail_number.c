/*
 * queuesync/rules_qmail_number.c - rule 8: a message's number is the inode of its mess. Pure.
 *
 * A queue that was copied file by file (tar, rsync, cp) has other inodes, often in the same range: one message then
 * stands where another belongs. Renaming follows these chains: either a message and all that stand in its way are
 * renamed together, or none of them. Many are one finding: it is one copy.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queuesync/rules_qmail.h"

#define ALONE_MAX 8		/* more of them are one finding */
#define ROUND_MAX 20000		/* messages of one round of repair; the rest comes in the next */

enum state { STATE_UNKNOWN, STATE_WALKED, STATE_MAY, STATE_BLOCKED, STATE_CHOSEN };

/* In the order in which they are renamed: the mess last, so that a number that has one has all. */
static const uint8_t parts_in_order[] = { QMAIL_BOUNCE, QMAIL_LOCAL, QMAIL_REMOTE, QMAIL_INFO, QMAIL_INTD, QMAIL_TODO, QMAIL_MESS };

void
qmail_name_wrong(struct check *c, uint64_t number, uint64_t ino, const char *sub)
{
	struct qmail_own *own = qmail_own(c);

	own->misnamed = qmail_grow(own->misnamed, own->names, &own->names_room, sizeof *own->misnamed);
	own->misnamed[own->names++] = (struct misnamed){ number, ino, (uint32_t)strtoul(sub, NULL, 10) };
}

void
qmail_name_wrong_part(struct check *c, uint64_t number, uint64_t ino, enum qmail_place kind)
{
	struct qmail_own *own = qmail_own(c);

	own->part = qmail_grow(own->part, own->parts, &own->parts_room, sizeof *own->part);
	own->part[own->parts++] = (struct misnamed_part){ number, ino, (uint8_t)kind };
}

static uint32_t
parts_of(const struct check *c, uint64_t number)
{
	return check_parts(c, (struct queue_key){ 0, number }) & PARTS;
}

static int
order(const void *left, const void *right)
{
	const struct misnamed *a = left, *b = right;

	if (a->number != b->number)
		return a->number < b->number ? -1 : 1;
	return a->ino < b->ino ? -1 : a->ino > b->ino;
}

static int
order_parts(const void *left, const void *right)
{
	const struct misnamed_part *a = left, *b = right;

	if (a->number != b->number)
		return a->number < b->number ? -1 : 1;
	return a->kind < b->kind ? -1 : a->kind > b->kind;
}

/* 0: it was not seen. A step that moves a file has to know which one, or it might move another that came in its place. */
static uint64_t
inode_of(const struct qmail_own *own, const struct misnamed *m, enum qmail_place kind)
{
	struct misnamed_part key = { .number = m->number, .kind = (uint8_t)kind };
	const struct misnamed_part *found;

	if (kind == QMAIL_MESS)
		return m->ino;
	found = own->parts == 0 ? NULL : bsearch(&key, own->part, own->parts, sizeof key, order_parts);
	return found == NULL ? 0 : found->ino;
}

/* The one that stands under this number; SIZE_MAX: none. */
static size_t
holder(const struct qmail_own *own, uint64_t number)
{
	size_t low = 0, high = own->names;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (own->misnamed[mid].number < number)
			low = mid + 1;
		else
			high = mid;
	}
	return low < own->names && own->misnamed[low].number == number ? low : SIZE_MAX;
}

void
qmail_names_claim(struct check *c)
{
	const struct qmail_own *own = qmail_own(c);

	if (own->names > 1)
		qsort(own->misnamed, own->names, sizeof *own->misnamed, order);
	for (size_t i = 0; i < own->names; i++) {
		const struct misnamed *m = &own->misnamed[i];

		/* alone under its name, while the number that is its inode has files but no mess: a renaming that was cut off */
		if (parts_of(c, m->number) == BIT(QMAIL_MESS) && parts_of(c, m->ino) != 0)
			check_set(c, (struct queue_key){ 0, m->ino }, 0, MORE_CLAIMED);
	}
}

/* ---------------------------------------------------------------- which of them can be renamed */

static bool
is_second(const struct qmail_own *own, size_t i)
{
	return (i > 0 && own->misnamed[i - 1].number == own->misnamed[i].number) ||
	    (i + 1 < own->names && own->misnamed[i + 1].number == own->misnamed[i].number);
}

/* Two files under one number, or under one inode: renaming cannot tell whose the other parts are. */
static bool
is_twice(const struct check *c, const struct qmail_own *own, size_t i)
{
	return is_second(own, i) || (check_more(c, (struct queue_key){ 0, own->misnamed[i].number }) & MORE_RIGHT) != 0;
}

static bool
is_blocked(const struct check *c, const struct qmail_own *own, size_t i)
{
	const struct misnamed *m = &own->misnamed[i];
	uint32_t parts = parts_of(c, m->number);

	for (size_t k = 0; k < sizeof parts_in_order; k++)
		if ((parts & BIT(parts_in_order[k])) != 0 && inode_of(own, m, (enum qmail_place)parts_in_order[k]) == 0)
			return true;
	return is_twice(c, own, i) || (check_more(c, (struct queue_key){ 0, m->number }) & MORE_ASTRAY) != 0 ||
	    (check_more(c, (struct queue_key){ 0, m->ino }) & MORE_RIGHT) != 0;
}

/*
 * Each waits for at most one other: the one that stands where it belongs. So the end of its chain decides for all
 * on the way; a circle is free.
 */
static void
walk(const struct check *c, const struct qmail_own *own, uint8_t *state, size_t from)
{
	uint8_t verdict = STATE_MAY;
	size_t i = from;

	while (i != SIZE_MAX && state[i] == STATE_UNKNOWN) {
		if (is_blocked(c, own, i)) {
			state[i] = STATE_BLOCKED;
			break;
		}
		state[i] = STATE_WALKED;
		i = holder(own, own->misnamed[i].ino);
	}
	if (i != SIZE_MAX && state[i] == STATE_BLOCKED)
		verdict = STATE_BLOCKED;
	for (i = from; i != SIZE_MAX && state[i] == STATE_WALKED; i = holder(own, own->misnamed[i].ino))
		state[i] = verdict;
}

/* ---------------------------------------------------------------- findings */

static const char *
path_of(const struct check *c, const struct misnamed *m, uint32_t bit, char *buf)
{
	if (bit != BIT(QMAIL_MESS))
		return qmail_path(check_layout(c), m->number, bit, buf);
	snprintf(buf, 64, "mess/%" PRIu32 "/%" PRIu64, m->sub, m->number);
	return buf;
}

static void
rename_all(struct check *c, struct finding *f, const struct misnamed *m)
{
	uint32_t parts = parts_of(c, m->number);
	char from[64], to[64];

	for (size_t i = 0; f != NULL && i < sizeof parts_in_order; i++) {
		uint32_t bit = BIT(parts_in_order[i]);

		if ((parts & bit) != 0)
			finding_remedy(f, REMEDY_MOVE, path_of(c, m, bit, from), qmail_path(check_layout(c), m->ino, bit, to),
			    inode_of(qmail_own(c), m, (enum qmail_place)parts_in_order[i]));
	}
}

static enum acknowledged
acknowledged(const struct check *c, const struct misnamed *m)
{
	return (parts_of(c, m->number) & (BIT(QMAIL_TODO) | BIT(QMAIL_INFO))) != 0 ? ACK_YES : ACK_MAYBE;
}

static void
alone(struct check *c, const struct misnamed *m, bool may)
{
	struct finding *f;
	char path[64];

	f = check_find_at(c, 8, CLASS_REPAIR, PROBLEM_NAME_INODE, acknowledged(c, m), path_of(c, m, BIT(QMAIL_MESS), path),
	    (struct queue_key){ 0, m->number }, "its inode is %" PRIu64 ", and a message's number is its inode%s", m->ino,
	    may ? "" : "; something else has to be mended first");
	if (may)
		rename_all(c, f, m);
}

/* Nobody can tell to which of the two the envelope belongs; the one with the right inode, if any, keeps it. */
static void
twice(struct check *c, const struct misnamed *m)
{
	struct finding *f;
	char path[64];

	path_of(c, m, BIT(QMAIL_MESS), path);
	f = check_find_at(c, 8, CLASS_QUARANTINE, PROBLEM_DUPLICATE, ACK_MAYBE, path, (struct queue_key){ 0, m->number },
	    "two messages have this number, and this one's inode is %" PRIu64, m->ino);
	if (f == NULL)
		return;
	f->damages = true;
	finding_remedy(f, REMEDY_QUARANTINE, path, NULL, m->ino);
}

/* From this one on, the whole chain, as far as it is not chosen yet; how many. */
static size_t
choose(const struct qmail_own *own, uint8_t *state, size_t from)
{
	size_t n = 0;

	for (size_t i = from; i != SIZE_MAX && state[i] == STATE_MAY; i = holder(own, own->misnamed[i].ino), n++)
		state[i] = STATE_CHOSEN;
	return n;
}

static void
many(struct check *c, const struct qmail_own *own, uint8_t *state, size_t all)
{
	struct finding *f;
	size_t chosen = 0;
	char path[64];

	f = check_find_at(c, 8, CLASS_REPAIR, PROBLEM_NAME_INODE, ACK_YES, path_of(c, &own->misnamed[0], BIT(QMAIL_MESS), path),
	    (struct queue_key){ 0, 0 }, "%zu messages have numbers that are not their inodes: a copy that was made file by file (tar, "
	    "rsync, cp)", all);
	if (f == NULL)
		return;
	f->count = all;
	for (size_t i = 0; i < own->names && chosen < ROUND_MAX; i++)
		if (state[i] == STATE_MAY)
			chosen += choose(own, state, i);
	for (size_t i = 0; i < own->names; i++)
		if (state[i] == STATE_CHOSEN)
			rename_all(c, f, &own->misnamed[i]);
}

void
qmail_names_join(struct check *c)
{
	struct qmail_own *own = qmail_own(c);
	uint8_t *state = calloc(own->names + 1, sizeof *state);
	size_t single = 0;

	if (state == NULL)
		abort();	/* half a judgement is none */
	if (own->parts > 1)
		qsort(own->part, own->parts, sizeof *own->part, order_parts);
	for (size_t i = 0; i < own->names; i++) {
		walk(c, own, state, i);
		single += !is_twice(c, own, i);
	}
	for (size_t i = 0; i < own->names; i++) {
		if (is_twice(c, own, i))
			twice(c, &own->misnamed[i]);
		else if (single <= ALONE_MAX)
			alone(c, &own->misnamed[i], state[i] == STATE_MAY);
	}
	if (single > ALONE_MAX)
		many(c, own, state, single);
	free(state);
}
