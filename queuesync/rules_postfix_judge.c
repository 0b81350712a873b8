/*
 * queuesync/rules_postfix_judge.c - the queue of Postfix: what shows when all names are known (rules 19, 20, 21, 25)
 * and when a file was read (22, 23, 24, 26, 27). Pure.
 */
#include "queuesync/rules_postfix.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SYSTEMATIC_LEAST 4

static void
put_away(const struct check *c, struct finding *f, const struct queue_file *at)
{
	char path[CHECK_PATH_MAX];

	if (f != NULL)
		finding_remedy(f, REMEDY_QUARANTINE, check_file_path(c, at, path, sizeof path), NULL, at->ino);
}

/* To its right name, with the directory made where it is missing. */
static void
move(const struct check *c, struct finding *f, const struct queue_file *at, uint32_t kind, const char *name)
{
	const struct queue_place *place = postfix_place(check_layout(c), kind);
	char from[CHECK_PATH_MAX], to[CHECK_PATH_MAX], directory[CHECK_PATH_MAX];

	postfix_path(place, name, to, sizeof to);
	snprintf(directory, sizeof directory, "%s", to);
	*strrchr(directory, '/') = '\0';
	if (!check_has_directory(c, directory)) {
		struct remedy *r = finding_remedy(f, REMEDY_MKDIR, directory, NULL, 0);

		r->mode = 0700;
		r->uid = place->uid;
		r->gid = place->gid;
	}
	finding_remedy(f, REMEDY_MOVE, check_file_path(c, at, from, sizeof from), to, at->ino);
}

/* ---------------------------------------------------------------- when all names are known */


/*
 * Not ready in incoming or maildrop: unfinished, with the mode that it was made with. With another mode, or where whole queues
 * have lost theirs, it may have been ready once, and is read to see.
 */
static void
ask_unfinished(struct check *c, const struct queue_file *at, struct queue_key key, uint32_t bit, void *arg)
{
	const struct postfix_own *own = arg;
	uint32_t made = postfix_kind(check_layout(c), at) == POSTFIX_PLACE_MAILDROP ? 0644 : 0600;

	if (at->size > 0 && (own->lost_modes || QUEUE_PERMISSIONS(at->mode) != made))
		check_ask(c, at, key, bit);
	else
		postfix_unfinished(c, at, key);
}

/* Several message queues have the id: all of them are read, to tell copies from strangers. */
static void
ask_twins(struct check *c, struct queue_key key, uint32_t parts, uint32_t more, void *arg)
{
	uint32_t there = parts & MESSAGES;
	char text[64];
	struct postfix_id id = postfix_id_of(key);

	(void)more;
	(void)arg;
	if ((there & (there - 1)) == 0)
		return;
	postfix_id_print(&id, text);
	for (uint16_t i = 0; i < check_layout(c)->places; i++) {
		const struct queue_place *place = &check_layout(c)->place[i];
		char sub[POSTFIX_SUB_SIZE] = "";
		struct queue_file at = { .place = i, .sub = sub, .name = text };

		if ((there & PART(place->kind)) == 0)
			continue;
		if (place->hash == QUEUE_POSTFIX)
			postfix_name_hash(text, place->depth, sub);
		check_ask(c, &at, key, PART(place->kind));
	}
}

static void
orphan(struct check *c, const struct queue_file *at, struct queue_key key, uint32_t bit, void *arg)
{
	uint32_t parts = check_parts(c, key);
	bool bounce = postfix_kind(check_layout(c), at) == POSTFIX_PLACE_BOUNCE;

	(void)bit;
	(void)arg;
	if ((parts & DELIVERED) != 0)
		return;
	put_away(c, check_find(c, 25, CLASS_GARBAGE, PROBLEM_ORPHAN_PART, bounce ? ACK_MAYBE : ACK_NO, at, key,
	    "its message is %s%s", (parts & MAILDROP) != 0 ? "in maildrop again, and will get another id" :
	    (parts & CORRUPT) != 0 ? "in corrupt, and not being delivered" : "gone; the next one with this id would inherit it",
	    bounce ? ". It says who did not get it, and that was perhaps not told to the sender" : ""), at);
}

static void
half_renamed(struct check *c, const struct queue_file *at, struct queue_key key, uint32_t bit, void *arg)
{
	uint32_t kind = postfix_kind(check_layout(c), at);
	bool message = (PART(kind) & MESSAGES) != 0;
	struct postfix_id id = postfix_id_of(key);
	char text[POSTFIX_ID_SIZE];
	struct finding *f;

	(void)bit;
	(void)arg;
	postfix_id_print(&id, text);
	if (!message && (check_parts(c, key) & PART(kind)) != 0) {
		put_away(c, check_find(c, 20, CLASS_REPAIR, PROBLEM_INTERRUPTED_REPAIR, ACK_NO, at, key, "postsuper was interrupted "
		    "at it, and its message has another log meanwhile"), at);
		return;
	}
	f = check_find(c, 20, CLASS_REPAIR, PROBLEM_INTERRUPTED_REPAIR, message ? ACK_YES : ACK_NO, at, key,
	    "postsuper was interrupted at it: its name becomes %s", text);
	if (f != NULL)
		move(c, f, at, kind, text);
}

void
postfix_join(struct check *c)
{
	struct postfix_own *own = postfix_own(c);

	own->lost_modes = own->unready >= SYSTEMATIC_LEAST && 2 * own->unready > own->settled;
	check_each_kept(c, KEPT_UNFINISHED, ask_unfinished, own);
	if (own->twins_there)
		check_each(c, ask_twins, NULL);
	check_each_kept(c, KEPT_ORPHAN, orphan, NULL);
	check_each_kept(c, KEPT_FIX, half_renamed, NULL);
}

/* ---------------------------------------------------------------- one file was read */

/* Rules 23 and 24: damaged, and answered for. */
static void
damaged(struct check *c, const struct queue_file *at, struct queue_key key, const struct queue_content *content)
{
	bool end_only = (content->bits & READ_END_ONLY) != 0;
	struct finding *f;

	f = check_find(c, end_only ? 24 : 23, CLASS_QUARANTINE, content->problem, ACK_YES, at, key, "%s%s%s", content->what,
	    end_only ? ". All of its content and recipients are there: with the bytes \"X\\0E\\0\" (or \"E\\0\") at its end it can "
	    "be delivered" : "", (at->mode & 0777) == 0400 ? "; a delivery agent has marked it as damaged" : "");
	if (f != NULL)
		f->damages = true;
	put_away(c, f, at);
}

/* Rule 22: active, deferred, hold. What stands there was accepted, so it was ready. */
static void
unready(struct check *c, const struct queue_file *at, struct queue_key key, const struct queue_content *content)
{
	struct postfix_own *own = postfix_own(c);
	uint32_t mode = QUEUE_PERMISSIONS(at->mode);
	char path[CHECK_PATH_MAX];
	struct finding *f;
	size_t i = 0;

	if (content->bad) {
		own->broken_unready++;
		f = check_find(c, 22, CLASS_QUARANTINE, PROBLEM_WRONG_MODE, ACK_YES, at, key, "permissions %04" PRIo32 ", right is "
		    "0700; and %s", mode, content->what);
		if (f != NULL)
			f->damages = true;
		put_away(c, f, at);
		return;
	}
	while (i < own->patterns && (own->lost[i].place != at->place || own->lost[i].mode != mode))
		i++;
	if (own->lost_modes && i < PATTERNS) {
		if (i == own->patterns) {
			own->patterns++;
			own->lost[i] = (struct lost){ .place = at->place, .mode = mode };
			snprintf(own->lost[i].path, sizeof own->lost[i].path, "%s", check_file_path(c, at, path, sizeof path));
		}
		own->lost[i].count++;
		return;
	}
	f = check_find(c, 22, CLASS_REPAIR, PROBLEM_WRONG_MODE, ACK_YES, at, key, "permissions %04" PRIo32 ", right is 0700: Postfix "
	    "takes it for unfinished, and \"postsuper -p\" would delete it; it is whole", mode);
	if (f != NULL)
		finding_remedy(f, REMEDY_MODE, check_file_path(c, at, path, sizeof path), NULL, at->ino)->mode = 0700;
}

/* Incoming and maildrop: whole, but not ready. */
static void
perhaps_ready(struct check *c, const struct queue_file *at, struct queue_key key, const struct queue_content *content)
{
	bool dropped = postfix_kind(check_layout(c), at) == POSTFIX_PLACE_MAILDROP;
	char path[CHECK_PATH_MAX];
	struct finding *f;

	if ((content->bits & READ_WHOLE) == 0) {
		postfix_unfinished(c, at, key);
		return;
	}
	f = check_find(c, 22, CLASS_PROMOTE, PROBLEM_WRONG_MODE, ACK_MAYBE, at, key, "permissions %04" PRIo32 ", as Postfix gives none "
	    "to an unfinished file here; it is whole, and may have been ready before they were lost",
	    QUEUE_PERMISSIONS(at->mode));
	if (f != NULL)
		finding_remedy(f, REMEDY_MODE, check_file_path(c, at, path, sizeof path), NULL, at->ino)->mode =
		    dropped ? 0744 : 0700;
}

/* Rule 19: a name that Postfix opens, but would not have given. */
static void
no_id(struct check *c, const struct queue_file *at, const struct queue_content *content)
{
	struct postfix_id id = { .inode = at->ino };
	struct finding *f;
	char text[POSTFIX_ID_SIZE];

	if ((content->bits & READ_WHOLE) == 0) {
		put_away(c, check_find(c, 2, CLASS_STRAY, PROBLEM_FOREIGN_FILE, ACK_NO, at, (struct queue_key){ 0, 0 },
		    "neither its name nor its content is that of a message"), at);
		return;
	}
	for (size_t i = 0; i < 5 && at->name[i] != '\0'; i++) {
		char digit = at->name[i];
		uint32_t value = digit >= '0' && digit <= '9' ? (uint32_t)(digit - '0') : digit >= 'a' && digit <= 'f' ?
		    (uint32_t)(digit - 'a') + 10 : digit >= 'A' && digit <= 'F' ? (uint32_t)(digit - 'A') + 10 : 0;

		id.usec = id.usec << 4 | value;
	}
	postfix_id_print(&id, text);
	f = check_find(c, 19, CLASS_REPAIR, PROBLEM_BAD_NAME, ACK_YES, at, postfix_key(&id), "a message under a name that is no queue "
	    "id; it becomes %s", text);
	if (f != NULL)
		move(c, f, at, postfix_kind(check_layout(c), at), text);
}

static void
log_content(struct check *c, const struct queue_file *at, struct queue_key key, uint32_t part,
    const struct queue_content *content)
{
	if (!content->bad)
		return;
	if (part == BOUNCE)
		check_find(c, 26, CLASS_REPORT, content->problem, ACK_YES, at, key, "%s. Its %" PRIu64 " whole entries stay the only "
		    "record of recipients that failed", content->what, content->number[0]);
	else
		put_away(c, check_find(c, 26, CLASS_GARBAGE, content->problem, ACK_NO, at, key, "%s; it is made anew at the next "
		    "try", content->what), at);
}

/* Kept for rule 21. A file that is read twice counts once. */
static void
twin(struct check *c, const struct queue_file *at, struct queue_key key, uint32_t part, const struct queue_content *content)
{
	struct postfix_own *own = postfix_own(c);
	char path[CHECK_PATH_MAX];
	struct twin *t;

	for (size_t i = 0; i < own->twins; i++)
		if (own->twin[i].part == part && own->twin[i].key.hi == key.hi && own->twin[i].key.lo == key.lo)
			return;
	if (own->twins == TWINS_MAX)
		return;
	t = &own->twin[own->twins++];
	*t = (struct twin){ .key = key, .ino = at->ino, .identity = content->number[READ_IDENTITY], .part = part,
		.done = content->number[READ_DONE_COUNT], .fits = postfix_id_of(key).inode == at->ino };
	memcpy(t->mark, content->mark, sizeof t->mark);
	snprintf(t->path, sizeof t->path, "%s", check_file_path(c, at, path, sizeof path));
}

static void
message_content(struct check *c, const struct queue_file *at, struct queue_key key, uint32_t part,
    const struct queue_content *content)
{
	uint32_t parts = check_parts(c, key);

	if ((part & SETTLED) != 0 && (at->mode & READY) != READY)
		unready(c, at, key, content);
	else if (content->bad)
		damaged(c, at, key, content);
	if (content->bad)
		return;
	if ((parts & MESSAGES & ~part) != 0)
		twin(c, at, key, part, content);
	if ((content->bits & READ_DONE) != 0 && (part & DELIVERED) != 0 && (parts & BOUNCE) == 0)
		check_find(c, 27, CLASS_REPORT, PROBLEM_UNFINISHED, ACK_YES, at, key, "all of its recipients are done: the queue "
		    "manager is about to remove it");
}

void
postfix_content(struct check *c, const struct queue_file *at, struct queue_key key, uint32_t bit,
    const struct queue_content *content)
{
	if ((content->bits & READ_FAILED) != 0)
		check_find(c, 5, CLASS_REPORT, PROBLEM_BAD_RECORD, ACK_MAYBE, at, key, "%s, so nothing is known of it",
		    content->what);
	else if (bit == KEPT_UNFINISHED)
		perhaps_ready(c, at, key, content);
	else if (bit == KEPT_NO_ID)
		no_id(c, at, content);
	else if (bit == KEPT_FIX && content->bad)
		damaged(c, at, key, content);
	else if ((bit & LOGS) != 0)
		log_content(c, at, key, bit, content);
	else if ((bit & MESSAGES) != 0)
		message_content(c, at, key, bit, content);
}

/* ---------------------------------------------------------------- rule 21: one id, several queues */

static bool
is_marked(const struct twin *t, uint32_t at)
{
	for (uint64_t i = 0; i < t->done && i < sizeof t->mark / sizeof t->mark[0]; i++)
		if (t->mark[i] == at)
			return true;
	return false;
}

/* What is done in the one that goes becomes done in the one that stays. */
static void
merge_done(struct finding *f, const struct twin *stays, const struct twin *goes)
{
	for (uint64_t i = 0; i < goes->done && i < sizeof goes->mark / sizeof goes->mark[0]; i++) {
		struct remedy *r;

		if (goes->mark[i] == 0 || is_marked(stays, goes->mark[i]))
			continue;
		r = finding_remedy(f, REMEDY_BYTE, stays->path, NULL, stays->ino);
		r->offset = goes->mark[i];
		r->bytes[0] = 'R';
		r->bytes[1] = 'D';
		r->len = 2;
	}
}

/* Of two copies: the one whose name holds its inode stays, else the one that is further on its way. */
static bool
is_better(const struct twin *a, const struct twin *b)
{
	return a->fits != b->fits ? a->fits : a->part > b->part;
}

static void
copies(struct check *c, struct twin *a, struct twin *b)
{
	struct twin *stays = is_better(a, b) ? a : b, *goes = stays == a ? b : a;
	bool all_told = goes->done <= sizeof goes->mark / sizeof goes->mark[0];
	struct finding *f;

	goes->goes = true;
	f = check_find_at(c, 21, CLASS_REPAIR, PROBLEM_DUPLICATE, ACK_YES, goes->path, goes->key, "a copy of the message in %s: both "
	    "would be delivered%s", stays->path, all_told ? "" : ". More recipients are done in it than can be marked: some of them "
	    "will get it again");
	if (f == NULL)
		return;
	finding_remedy(f, REMEDY_QUARANTINE, goes->path, NULL, goes->ino);
	merge_done(f, stays, goes);
}

/* Different messages with one long id: the one that goes gets the id of its own inode. Short ids are rule 19's. */
static void
strangers(struct check *c, struct twin *a, struct twin *b)
{
	struct twin *moves = is_better(a, b) ? b : a, *stays = moves == a ? b : a;
	struct postfix_id id = postfix_id_of(moves->key);
	char text[POSTFIX_ID_SIZE], to[CHECK_PATH_MAX];
	struct finding *f;

	if (!id.is_long || moves->fits)
		return;
	id.inode = moves->ino;
	postfix_path(postfix_place(check_layout(c), (uint32_t)__builtin_ctz(moves->part)), postfix_id_print(&id, text), to, sizeof to);
	moves->goes = true;
	f = check_find_at(c, 21, CLASS_REPAIR, PROBLEM_DUPLICATE, ACK_YES, moves->path, moves->key, "another message with the id of "
	    "%s: one would be put over the other; it becomes %s", stays->path, text);
	if (f != NULL)
		finding_remedy(f, REMEDY_MOVE, moves->path, to, moves->ino);
}

static void
judge_twins(struct check *c, struct postfix_own *own)
{
	for (size_t i = 0; i < own->twins; i++) {
		for (size_t j = i + 1; j < own->twins && !own->twin[i].goes; j++) {
			struct twin *a = &own->twin[i], *b = &own->twin[j];

			/* two names of one file are rule 3's */
			if (b->goes || a->key.hi != b->key.hi || a->key.lo != b->key.lo || a->ino == b->ino)
				continue;
			if (a->identity == b->identity)
				copies(c, a, b);
			else
				strangers(c, a, b);
		}
	}
}

/* ---------------------------------------------------------------- rule 19: names of another inode */

/* Which of several messages with a wrong name takes the logs along: the one that was tried last. */
static uint32_t
logs_owner(uint32_t more)
{
	static const uint32_t order[] = { DEFERRED, ACTIVE, HOLD, INCOMING };

	if ((more & MORE_LOGS_STAY) != 0)
		return 0;
	for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
		if ((more & MORE_MISNAMED(order[i])) != 0)
			return order[i];
	return 0;
}

struct logs { struct finding *finding; struct queue_key key; const char *name; };

static void
move_log(struct check *c, const struct queue_file *at, struct queue_key key, uint32_t bit, void *arg)
{
	struct logs *logs = arg;

	(void)bit;
	if (key.hi == logs->key.hi && key.lo == logs->key.lo)
		move(c, logs->finding, at, postfix_kind(check_layout(c), at), logs->name);
}

static bool
is_going(const struct postfix_own *own, const struct queue_file *at)
{
	for (size_t i = 0; i < own->twins; i++)
		if (own->twin[i].goes && own->twin[i].ino == at->ino)
			return true;
	return false;
}

/* The logs first, the message last: as long as it has its old name, the work can be taken up again. */
static void
misnamed(struct check *c, const struct queue_file *at, struct queue_key key, uint32_t bit, void *arg)
{
	uint32_t kind = postfix_kind(check_layout(c), at);
	struct postfix_id id = postfix_id_of(key);
	char text[POSTFIX_ID_SIZE];
	struct logs logs = { .key = key, .name = text };

	(void)bit;
	if (is_going(arg, at))
		return;
	id.inode = at->ino;
	postfix_id_print(&id, text);
	logs.finding = check_find(c, 19, CLASS_REPAIR, PROBLEM_NAME_INODE, ACK_YES, at, key, "its name holds the inode %" PRIu64
	    ", its own is %" PRIu64 ": it becomes %s", key.lo, at->ino, text);
	if (logs.finding == NULL)
		return;
	if (logs_owner(check_more(c, key)) == PART(kind))
		check_each_kept(c, KEPT_LOG, move_log, &logs);
	move(c, logs.finding, at, kind, text);
}

/* ---------------------------------------------------------------- the end */

/* Lost modes: one finding, and each place is swept once what is broken there has been put aside. */
static void
lost_modes(struct check *c, const struct postfix_own *own)
{
	uint64_t count = 0;
	struct finding *f;

	for (size_t i = 0; i < own->patterns; i++)
		count += own->lost[i].count;
	if (count == 0)
		return;
	f = check_find_at(c, 22, CLASS_REPAIR, PROBLEM_WRONG_MODE, ACK_YES, own->lost[0].path, (struct queue_key){ 0, 0 }, "most "
	    "messages have lost their permissions (%04" PRIo32 ", right is 0700), as in a copy: Postfix takes them for unfinished, and "
	    "\"postsuper -p\" would delete them; they are whole", own->lost[0].mode);
	if (f == NULL)
		return;
	f->count = count;
	for (size_t i = 0; own->broken_unready <= CHECK_LISTED_MAX && i < own->patterns; i++) {
		struct remedy *r = finding_remedy(f, REMEDY_SWEEP_MODE, check_layout(c)->place[own->lost[i].place].path, NULL, 0);

		r->offset = own->lost[i].mode;
		r->mode = 0700;
		r->links = 1;
	}
}

void
postfix_end(struct check *c)
{
	struct postfix_own *own = postfix_own(c);

	judge_twins(c, own);
	check_each_kept(c, KEPT_MISNAMED, misnamed, own);
	for (uint64_t i = 0; i < own->misnamed_rest; i++)
		check_find_at(c, 19, CLASS_REPAIR, PROBLEM_NAME_INODE, ACK_YES, "", (struct queue_key){ 0, 0 }, "a name that holds "
		    "another inode");
	lost_modes(c, own);
}
