/*
 * queuesync/rules_qmail.c - rules 9 to 18: which files a message of qmail has, by names and inodes. Pure.
 *
 * Whatever a crash leaves in S1 to S5 is silent here, since qmail mends it by itself. What qmail would lose in
 * silence is what this is about.
 */
#include "queuesync/rules_qmail.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mta/qmail_record.h"

/* In the order in which they may go: what makes a message one (mess, envelope) comes last. */
static const uint8_t part_order[] = { QMAIL_BOUNCE, QMAIL_LOCAL, QMAIL_REMOTE, QMAIL_INFO, QMAIL_INTD, QMAIL_TODO, QMAIL_MESS };
#define PART_ORDER (sizeof part_order / sizeof part_order[0])

void *
qmail_grow(void *list, size_t len, size_t *room, size_t size)
{
	if (len < *room)
		return list;
	*room = *room == 0 ? 64 : 2 * *room;
	list = reallocarray(list, *room, size);
	if (list == NULL)
		abort();	/* half a judgement is none */
	return list;
}

struct qmail_own *
qmail_own(struct check *c)
{
	return check_own(c, sizeof(struct qmail_own));
}

static const struct queue_place *
place_of(const struct queue_layout *layout, enum qmail_place kind)
{
	static const struct queue_place none = { .uid = QUEUE_ID_ANY, .gid = QUEUE_ID_ANY };

	for (size_t i = 0; i < layout->places; i++)
		if (layout->place[i].kind == kind)
			return &layout->place[i];
	return &none;
}

/* ---------------------------------------------------------------- names */

static bool
lock_name(const struct queue_layout *layout, const struct queue_file *file, struct file_norm *norm)
{
	const struct queue_place *place = &layout->place[file->place];

	*norm = (struct file_norm){ .gid = place->gid, .mask = 07777, .nlink = 1, .may_be_empty = true, .future = true };
	if (strcmp(file->name, "sendmutex") == 0) {
		norm->uid = place_of(layout, QMAIL_INFO)->uid;
		norm->mode = 0600;
	} else if (strcmp(file->name, "tcpto") == 0) {
		norm->uid = layout->remote_uid;
		norm->mode = 0644;
	} else {
		return false;
	}
	return true;
}

static bool
name(const struct queue_layout *layout, const struct queue_file *file, struct queue_key *key, uint32_t *bit, struct file_norm *norm)
{
	const struct queue_place *place = &layout->place[file->place];

	if (place->kind == QMAIL_ROOT)
		return false;
	if (place->kind == QMAIL_LOCK)
		return lock_name(layout, file, norm);
	/* by qmail-queue: for whoever calls it, so that any group is right; by qmail-send: for itself */
	*norm = (struct file_norm){ .uid = place->uid, .gid = QUEUE_ID_ANY, .mode = 0644, .mask = 07777, .nlink = 1, .may_be_empty = true };
	if (place->kind == QMAIL_PID)
		return qmail_pid_name(file->name);
	if (place->kind == QMAIL_INTD || place->kind == QMAIL_TODO) {
		norm->nlink = 0;	/* one file under both names for a while */
	} else if (place->kind != QMAIL_MESS) {
		norm->gid = place->gid;
		norm->mode = 0600;
		/* qmail-send keeps the time of the next try there when it ends */
		norm->future = place->kind == QMAIL_LOCAL || place->kind == QMAIL_REMOTE;
	}
	key->hi = 0;
	if (!qmail_number_parse(file->name, strlen(file->name), &key->lo))
		return false;
	*bit = BIT(place->kind);
	return true;
}

static bool
in_its_place(const struct queue_layout *layout, const struct queue_file *file, uint64_t number, char *want)
{
	char digits[CHECK_SUB_MAX] = "", *from = digits + sizeof digits - 1;
	uint32_t sub = (uint32_t)(number % (layout->split > 0 ? layout->split : 1));

	/* of each file, several times: a tenth of what a fast pass takes went into snprintf(3) */
	if (layout->place[file->place].hash == QUEUE_MOD) {
		do
			*--from = (char)('0' + sub % 10);
		while ((sub /= 10) > 0);
	}
	memcpy(want, from, (size_t)(digits + sizeof digits - from));
	return strcmp(want, file->sub) == 0;
}

static bool
place(const struct queue_layout *layout, const struct queue_file *file, char *want)
{
	uint64_t number = 0;

	qmail_number_parse(file->name, strlen(file->name), &number);
	/* rule 8 gives a message that has the wrong number its place, too */
	return in_its_place(layout, file, number, want) || (layout->place[file->place].kind == QMAIL_MESS && file->ino != number &&
	    file->sub[0] != '\0');
}

static const char *
id(const struct queue_layout *layout, struct queue_key key, char *buf)
{
	(void)layout;
	snprintf(buf, 64, "%" PRIu64, key.lo);
	return buf;
}

const char *
qmail_path(const struct queue_layout *layout, uint64_t number, uint32_t bit, char *buf)
{
	const struct queue_place *p = place_of(layout, (enum qmail_place)__builtin_ctz(bit));

	if (p->path == NULL)
		return NULL;
	if (p->hash == QUEUE_MOD)
		snprintf(buf, 64, "%s/%" PRIu64 "/%" PRIu64, p->path, number % layout->split, number);
	else
		snprintf(buf, 64, "%s/%" PRIu64, p->path, number);
	return buf;
}

static const char *
path(const struct queue_layout *layout, struct queue_key key, uint32_t bit, char *buf)
{
	return qmail_path(layout, key.lo, bit, buf);
}

/* ---------------------------------------------------------------- one file */

static bool
is_old(struct check *c, const struct queue_file *file)
{
	return check_options(c)->now - file->atime >= OSSIFIED;
}

/* Rule 15, for pid/: a file that qmail-queue had just made. */
static void
pid_file(struct check *c, const struct queue_file *file)
{
	bool old = is_old(c, file);
	char buf[CHECK_PATH_MAX];
	struct finding *f;

	f = check_find(c, 15, old ? CLASS_GARBAGE : CLASS_WAIT, PROBLEM_UNFINISHED, ACK_NO, file, (struct queue_key){ 0, 0 },
	    old ? "left by a qmail-queue that ended 36 hours ago or more" : "left by a qmail-queue that did not finish");
	if (f != NULL && old)
		finding_remedy(f, REMEDY_QUARANTINE, check_file_path(c, file, buf, sizeof buf), NULL, file->ino);
}

static void
lock_file(struct check *c, const struct queue_file *file)
{
	struct qmail_own *own = qmail_own(c);

	if (strcmp(file->name, "sendmutex") != 0) {
		own->tcpto = true;
		return;
	}
	own->sendmutex = true;
	own->sendmutex_uid = file->uid;
	own->sendmutex_gid = file->gid;
}

static uint32_t
more_of(struct check *c, const struct queue_file *file, uint64_t number, uint32_t bit)
{
	bool empty = file->size == 0;

	switch (bit) {
	case BIT(QMAIL_MESS):
		if (file->ino != number)
			qmail_name_wrong(c, number, file->ino, file->sub);
		return (file->ino != number ? MORE_WRONG : MORE_RIGHT) | (empty ? MORE_MESS_EMPTY : 0) | (is_old(c, file) ? MORE_OLD : 0);
	case BIT(QMAIL_TODO):
		return (empty ? MORE_TODO_EMPTY : 0) | MORE_INODE(file->ino) << MORE_TODO_SHIFT;
	case BIT(QMAIL_INTD):
		return MORE_INODE(file->ino) << MORE_INTD_SHIFT;
	case BIT(QMAIL_INFO):
		return empty ? MORE_INFO_EMPTY : 0;
	case BIT(QMAIL_LOCAL):
	case BIT(QMAIL_REMOTE):
		return empty ? MORE_CHANNEL_EMPTY : 0;
	default:	/* bounce: not synced by qmail, so that it may well be empty after a crash */
		return 0;
	}
}

static bool
file(struct check *c, const struct queue_file *f, struct queue_key key, uint32_t bit)
{
	const struct queue_layout *layout = check_layout(c);
	char want[CHECK_SUB_MAX];
	uint32_t more;

	if (bit == 0) {
		if (layout->place[f->place].kind == QMAIL_PID)
			pid_file(c, f);
		else
			lock_file(c, f);
		return true;
	}
	if ((bit & (BIT(QMAIL_INTD) | BIT(QMAIL_TODO))) != 0 && f->nlink > 2)
		check_find(c, 3, CLASS_REPORT, PROBLEM_DUPLICATE, ACK_MAYBE, f, key, "it has %" PRIu32 " names; todo and intd are two: who "
		    "has another can change it", f->nlink);
	more = more_of(c, f, key.lo, bit);
	/* places are told in their order, mess before the others */
	if (bit != BIT(QMAIL_MESS) && (check_more(c, key) & MORE_WRONG) != 0)
		qmail_name_wrong_part(c, key.lo, f->ino, (enum qmail_place)layout->place[f->place].kind);
	if (!place(layout, f, want))
		more |= MORE_ASTRAY;
	check_set(c, key, 0, more);
	return true;
}

/* mess and pid are one file until qmail-queue has taken the name in pid away; todo and intd until qmail-clean has. */
static int
linked(struct check *c, const struct queue_file *a, struct queue_key key_a, uint32_t bit_a, const struct queue_file *b,
    struct queue_key key_b, uint32_t bit_b)
{
	(void)c;
	(void)key_a;
	(void)key_b;
	if (bit_a == BIT(QMAIL_MESS) && bit_b == BIT(QMAIL_MESS)) {
		uint64_t number = 0;

		/* the one whose name is the inode is right */
		if (qmail_number_parse(a->name, strlen(a->name), &number) && number == a->ino)
			return 1;
		return qmail_number_parse(b->name, strlen(b->name), &number) && number == b->ino ? 0 : -1;
	}
	return (bit_a == BIT(QMAIL_MESS) && bit_b == 0) || (bit_a == 0 && bit_b == BIT(QMAIL_MESS)) ? -2 : -1;
}

/* ---------------------------------------------------------------- rule 16: locks */

static struct finding *
find_lock(struct check *c, const char *at, enum problem problem, const char *why)
{
	return check_find_at(c, 16, CLASS_REPAIR, problem, ACK_NO, at, (struct queue_key){ 0, 0 }, "%s", why);
}

/* An entry of the directory lock that is no regular file, or the FIFO itself. */
static bool
odd(struct check *c, const struct queue_file *f)
{
	const struct queue_layout *layout = check_layout(c);
	struct qmail_own *own = qmail_own(c);
	char at[CHECK_PATH_MAX];
	struct finding *found;

	if (layout->place[f->place].kind != QMAIL_LOCK || f->sub[0] != '\0')
		return false;
	if (strcmp(f->name, "trigger") == 0 && QUEUE_TYPE(f->mode) == QUEUE_FIFO) {
		own->trigger = true;
		own->trigger_file = *f;
		own->trigger_file.name = own->trigger_file.sub = "";
		return true;
	}
	if (strcmp(f->name, "trigger") != 0 && strcmp(f->name, "sendmutex") != 0 && strcmp(f->name, "tcpto") != 0)
		return false;
	check_file_path(c, f, at, sizeof at);
	found = find_lock(c, at, PROBLEM_WRONG_TYPE, strcmp(f->name, "trigger") == 0 ? "it is no FIFO: qmail-send would be told "
	    "again and again that there is new mail" : "it is no regular file");
	if (found != NULL)
		finding_remedy(found, REMEDY_QUARANTINE, at, NULL, f->ino);
	return true;	/* made anew by whoever finds it missing */
}

static void
make_lock(struct check *c, const char *at, enum remedy_kind kind, uint64_t size, uint32_t mode, uint32_t uid, const char *why)
{
	struct finding *f = find_lock(c, at, PROBLEM_MISSING_LOCK, why);
	struct remedy *r;

	if (f == NULL)
		return;
	r = finding_remedy(f, kind, at, NULL, 0);
	r->size = size;
	r->mode = mode;
	r->uid = uid;
	r->gid = place_of(check_layout(c), QMAIL_LOCK)->gid;
}

/* The trigger is no regular file, so that the common rules do not look at it. */
static void
trigger_fits(struct check *c, const struct qmail_own *own)
{
	const struct queue_layout *layout = check_layout(c);
	const struct queue_file *t = &own->trigger_file;
	uint32_t mode = QUEUE_PERMISSIONS(t->mode);
	struct finding *f;

	if (place_of(layout, QMAIL_INFO)->uid != QUEUE_ID_ANY && t->uid != place_of(layout, QMAIL_INFO)->uid &&
	    /* as wrong as its neighbour: then all are, and it is told when they are mended */
	    !(own->sendmutex && own->sendmutex_uid == t->uid)) {
		f = check_find_at(c, 4, CLASS_REPAIR, PROBLEM_WRONG_OWNER, ACK_NO, "lock/trigger", (struct queue_key){ 0, 0 },
		    "owner %" PRIu32 ", right is %" PRIu32 ": qmail-send could not read it", t->uid, place_of(layout, QMAIL_INFO)->uid);
		if (f != NULL)
			finding_remedy(f, REMEDY_OWNER, "lock/trigger", NULL, t->ino)->uid = place_of(layout, QMAIL_INFO)->uid;
	}
	if (mode != 0622) {
		f = check_find_at(c, 4, CLASS_REPAIR, PROBLEM_WRONG_MODE, ACK_NO, "lock/trigger", (struct queue_key){ 0, 0 },
		    "permissions %04" PRIo32 ", right is 0622: new mail would wait up to 25 minutes", mode);
		if (f != NULL)
			finding_remedy(f, REMEDY_MODE, "lock/trigger", NULL, t->ino)->mode = 0622;
	}
}

static void
join_locks(struct check *c)
{
	const struct queue_layout *layout = check_layout(c);
	const struct qmail_own *own = qmail_own(c);

	if (own->trigger)
		trigger_fits(c, own);
	else
		make_lock(c, "lock/trigger", REMEDY_MKFIFO, UINT64_MAX, 0622, place_of(layout, QMAIL_INFO)->uid, "the FIFO is missing: new mail would "
		    "wait up to 25 minutes");
	if (!own->sendmutex)
		make_lock(c, "lock/sendmutex", REMEDY_CREATE, 0, 0600, place_of(layout, QMAIL_INFO)->uid, "the lock is missing: qmail-send does not start "
		    "without it");
	if (!own->tcpto)
		make_lock(c, "lock/tcpto", REMEDY_CREATE, 1024, 0644, layout->remote_uid, "the table of slow hosts is missing");
}

/* ---------------------------------------------------------------- rules 9 to 15 and 17: the files of a message */

bool
qmail_may_go(const struct check *c, uint64_t number)
{
	return (check_more(c, (struct queue_key){ 0, number }) & (MORE_ASTRAY | MORE_WRONG)) == 0;
}

void
qmail_put_aside(struct check *c, struct finding *f, uint64_t number, uint32_t parts)
{
	char at[64];

	bool may = qmail_may_go(c, number);

	check_set(c, (struct queue_key){ 0, number }, 0, MORE_GONE);
	for (size_t i = 0; may && f != NULL && i < PART_ORDER; i++)
		if ((parts & BIT(part_order[i])) != 0)
			finding_remedy(f, REMEDY_QUARANTINE, qmail_path(check_layout(c), number, BIT(part_order[i]), at), NULL, 0);
}

/* By one of its parts; the whole of it. */
static void
message_lost(struct check *c, unsigned int rule, enum problem problem, enum acknowledged ack, uint64_t number, uint32_t parts,
    uint32_t bit, const char *why)
{
	struct queue_key key = { 0, number };
	struct finding *f;
	char at[64];

	f = check_find_at(c, rule, CLASS_QUARANTINE, problem, ack, qmail_path(check_layout(c), number, bit, at), key, "%s", why);
	qmail_put_aside(c, f, number, parts);
	if (f != NULL)
		f->damages = true;
}

/* Rule 14: the bounce alone. */
void
qmail_bounce_astray(struct check *c, uint64_t number, const char *why)
{
	struct finding *f;
	char at[64];

	qmail_path(check_layout(c), number, BIT(QMAIL_BOUNCE), at);
	f = check_find_at(c, 14, CLASS_QUARANTINE, PROBLEM_ORPHAN_PART, ACK_MAYBE, at, (struct queue_key){ 0, number }, "%s", why);
	if (f != NULL && qmail_may_go(c, number))
		finding_remedy(f, REMEDY_QUARANTINE, at, NULL, 0);
}

static uint32_t
lowest(uint32_t parts)
{
	return parts & -parts;
}

/* Rules 9 and 14: no mess. */
static void
without_mess(struct check *c, uint64_t number, uint32_t parts, uint32_t more)
{
	uint32_t envelope = parts & (BIT(QMAIL_TODO) | BIT(QMAIL_INFO)), told = envelope != 0 ? envelope : parts;
	struct queue_key key = { 0, number };
	struct finding *f;
	char at[64];

	if ((more & MORE_CLAIMED) != 0)
		return;		/* rule 8 gives it its mess */
	if (parts == BIT(QMAIL_BOUNCE)) {
		qmail_bounce_astray(c, number, "there is no message of this number: the next one to get it would inherit this text, and send "
		    "it to a stranger");
		return;
	}
	f = check_find_at(c, 9, CLASS_QUARANTINE, PROBLEM_MISSING_PART, envelope != 0 ? ACK_YES : ACK_MAYBE,
	    qmail_path(check_layout(c), number, lowest(told), at), key, envelope != 0 ?
	    "its content (mess) is gone: the message cannot be delivered" : "left of a message whose content (mess) is gone");
	qmail_put_aside(c, f, number, parts);
	if (f != NULL)
		f->damages = (parts & (BIT(QMAIL_TODO) | BIT(QMAIL_INFO) | CHANNELS)) != 0;
}

static void
in_todo(struct check *c, uint64_t number, uint32_t parts, uint32_t more)
{
	if ((more & MORE_MESS_EMPTY) != 0)
		message_lost(c, 17, PROBLEM_EMPTY, ACK_YES, number, parts, BIT(QMAIL_MESS), "the content of an acknowledged message is "
		    "gone: 0 bytes");
	else if ((more & MORE_TODO_EMPTY) != 0)
		message_lost(c, 10, PROBLEM_EMPTY, ACK_YES, number, parts, BIT(QMAIL_TODO), "the envelope of an acknowledged message is "
		    "gone: 0 bytes; qmail would drop the message in silence");
	else if ((parts & BIT(QMAIL_BOUNCE)) != 0)
		qmail_bounce_astray(c, number, QMAIL_STRANGE_BOUNCE);
	if ((parts & BIT(QMAIL_INTD)) != 0 && ((more >> MORE_TODO_SHIFT ^ more >> MORE_INTD_SHIFT) & MORE_INODE_MASK) != 0)
		qmail_doubt(c, number, DOUBT_TWO);
}

static void
preprocessed(struct check *c, uint64_t number, uint32_t parts, uint32_t more)
{
	if ((more & MORE_MESS_EMPTY) != 0)
		message_lost(c, 17, PROBLEM_EMPTY, ACK_YES, number, parts, BIT(QMAIL_MESS), "the content of an acknowledged message is "
		    "gone: 0 bytes");
	else if ((parts & BIT(QMAIL_INTD)) != 0)
		qmail_doubt(c, number, DOUBT_BOTH);
	else if ((more & MORE_INFO_EMPTY) != 0)
		message_lost(c, 12, PROBLEM_EMPTY, ACK_YES, number, parts, BIT(QMAIL_INFO), "the sender of the message is gone: 0 bytes; "
		    "qmail would try for ever to read it");
	else if ((more & MORE_CHANNEL_EMPTY) != 0)
		message_lost(c, 12, PROBLEM_EMPTY, ACK_YES, number, parts, lowest(parts & CHANNELS), "recipients of the message are "
		    "gone: a file of 0 bytes, which qmail takes for all done");
}

/* Rule 15: a mess alone. */
static void
begun(struct check *c, uint64_t number, uint32_t more)
{
	bool old = (more & MORE_OLD) != 0;
	struct finding *f;
	char at[64];

	if ((more & MORE_WRONG) != 0)
		return;		/* rule 8 gives it its number first */
	f = check_find_at(c, 15, old ? CLASS_GARBAGE : CLASS_WAIT, PROBLEM_UNFINISHED, ACK_NO,
	    qmail_path(check_layout(c), number, BIT(QMAIL_MESS), at), (struct queue_key){ 0, number },
	    old ? "never finished, and not read for 36 hours" : "being received when it was cut off: never acknowledged");
	if (old)
		qmail_put_aside(c, f, number, BIT(QMAIL_MESS));
}

static void
row(struct check *c, struct queue_key key, uint32_t parts, uint32_t more, void *arg)
{
	uint64_t number = key.lo;

	(void)arg;
	parts &= PARTS;
	if (parts == 0)
		return;
	if ((parts & BIT(QMAIL_MESS)) == 0)
		without_mess(c, number, parts, more);
	else if ((parts & BIT(QMAIL_TODO)) != 0)
		in_todo(c, number, parts, more);
	else if ((parts & BIT(QMAIL_INFO)) != 0)
		preprocessed(c, number, parts, more);
	else if ((parts & BIT(QMAIL_INTD)) != 0)
		qmail_doubt(c, number, DOUBT_S3);
	else if (parts != BIT(QMAIL_MESS))
		message_lost(c, 13, PROBLEM_MISSING_PART, ACK_YES, number, parts, lowest(parts & ~BIT(QMAIL_MESS)),
		    "its sender (info) is gone: qmail would never look at it again, and delete it after 36 hours");
	else
		begun(c, number, more);
}

/* Rule 18. Mail that would not be found is no state of a queue to start on, so it counts as damage. */
static void
join_split(struct check *c)
{
	const struct queue_layout *layout = check_layout(c);
	struct finding *f;

	if (layout->built_split == 0 || layout->built_split == layout->split)
		return;
	f = check_find_at(c, 18, CLASS_REPORT, PROBLEM_WRONG_DIRECTORY, ACK_MAYBE, "mess", (struct queue_key){ 0, 0 },
	    "the queue is spread over %" PRIu32 " sub-directories, the programs of this node look into %" PRIu32 " (conf-split)",
	    layout->split, layout->built_split);
	if (f != NULL)
		f->damages = true;
}

static void
join(struct check *c)
{
	join_split(c);
	join_locks(c);
	qmail_names_claim(c);
	check_each(c, row, NULL);
	qmail_names_join(c);
	qmail_doubts_join(c);
}

const struct rules rules_qmail = {
	.mta = "qmail", .message_bits = BIT(QMAIL_TODO) | BIT(QMAIL_INFO),
	.named = qmail_named, .named_whole = &qmail_named_whole,
	.name = name, .odd = odd, .place = place, .id = id, .path = path, .file = file, .linked = linked, .join = join,
	.plain = qmail_plain, .read = qmail_read, .content = qmail_content, .end = qmail_end,
};
