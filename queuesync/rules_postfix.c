/*
 * queuesync/rules_postfix.c - the queue of Postfix: which names belong where, what one file shows by its name, inode and
 * mode (rules 19, 20, 22, 28), and how its files are read. Pure.
 *
 * Messages are told before their logs (mta/postfix_layout.h keeps the places in that order).
 */
#include "queuesync/rules_postfix.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mta/postfix_log.h"
#include "mta/postfix_record.h"

#define UNFINISHED_MAX (7 * 86400)	/* s that Postfix leaves an unfinished file alone */
#define KEY_SET (UINT64_C(1) << 63)	/* no key is {0, 0} */
#define KEY_LONG (UINT64_C(1) << 62)
#define FIX "#FIX"

/* ---------------------------------------------------------------- ids and places */

struct queue_key
postfix_key(const struct postfix_id *id)
{
	return (struct queue_key){ .hi = KEY_SET | (id->is_long ? KEY_LONG : 0) | id->seconds << POSTFIX_USEC_BITS | id->usec,
		.lo = id->inode };
}

struct postfix_id
postfix_id_of(struct queue_key key)
{
	return (struct postfix_id){ .is_long = (key.hi & KEY_LONG) != 0,
		.seconds = (key.hi & ~(KEY_SET | KEY_LONG)) >> POSTFIX_USEC_BITS,
		.usec = (uint32_t)(key.hi & ((1u << POSTFIX_USEC_BITS) - 1)), .inode = key.lo };
}

static const char *
id_text(const struct queue_layout *layout, struct queue_key key, char *buf)
{
	struct postfix_id id = postfix_id_of(key);

	(void)layout;
	return postfix_id_print(&id, buf);
}

const struct queue_place *
postfix_place(const struct queue_layout *layout, uint32_t kind)
{
	for (size_t i = 0; i < layout->places; i++)
		if (layout->place[i].kind == kind)
			return &layout->place[i];
	return NULL;
}

const char *
postfix_path(const struct queue_place *place, const char *name, char *buf, size_t size)
{
	char sub[POSTFIX_SUB_SIZE] = "";

	if (place->hash == QUEUE_POSTFIX)
		postfix_name_hash(name, place->depth, sub);
	return queue_path(place->path, sub, name, buf, size);
}

static const char *
path(const struct queue_layout *layout, struct queue_key key, uint32_t bit, char *buf)
{
	const struct queue_place *place = (bit & (MESSAGES | CORRUPT | LOGS)) == 0 ? NULL :
	    postfix_place(layout, (uint32_t)__builtin_ctz(bit));
	char name[64];

	return place == NULL ? NULL : postfix_path(place, id_text(layout, key, name), buf, 512);
}

static bool
is_ready(const struct queue_file *file)
{
	return (file->mode & READY) == READY;
}

/* A short id holds the inode of its file. A long one is unique without that. */
static bool
is_misnamed(const struct queue_file *file, struct queue_key key)
{
	return (key.hi & KEY_LONG) == 0 && key.lo != file->ino;
}

/* ---------------------------------------------------------------- names */

static bool
name(const struct queue_layout *layout, const struct queue_file *file, struct queue_key *ret_key, uint32_t *ret_bit,
    struct file_norm *ret_norm)
{
	const struct queue_place *place = &layout->place[file->place];
	uint32_t part = PART(place->kind);
	struct postfix_id id;

	if (place->kind == POSTFIX_PLACE_ROOT) {	/* not Postfix's, and not looked at by it */
		*ret_norm = (struct file_norm){ .uid = QUEUE_ID_ANY, .gid = QUEUE_ID_ANY, .future = true, .may_be_empty = true };
		return true;
	}
	if (place->kind == POSTFIX_PLACE_FLUSH) {
		*ret_norm = (struct file_norm){ .uid = place->uid, .gid = QUEUE_ID_ANY, .mode = 0600, .mask = 0777, .nlink = 1,
			.may_be_empty = true };
		return postfix_name_legal(file->name);	/* a domain */
	}
	if (!postfix_id_parse(file->name, &id))
		return false;
	*ret_key = postfix_key(&id);
	*ret_bit = part;
	*ret_norm = (struct file_norm){ .uid = QUEUE_ID_ANY, .gid = QUEUE_ID_ANY, .nlink = 1, .may_be_empty = true };
	if ((part & (LOGS | DELIVERED)) != 0)
		ret_norm->uid = place->uid;
	if ((part & LOGS) != 0) {
		ret_norm->mode = 0600;
		ret_norm->mask = 0777;
	}
	if ((part & DELIVERED) != 0)
		ret_norm->future = true;	/* the time of the next try */
	if ((part & MESSAGES) != 0)
		ret_norm->may_be_empty = (part & SETTLED) == 0 && !is_ready(file);
	return true;
}

static bool
place(const struct queue_layout *layout, const struct queue_file *file, char *want)
{
	const struct queue_place *at = &layout->place[file->place];
	struct postfix_id id;
	char sub[POSTFIX_SUB_SIZE];

	if (at->hash != QUEUE_POSTFIX)
		return true;
	postfix_name_hash(file->name, at->depth, sub);
	if (strcmp(sub, file->sub) == 0)
		return true;
	/* the new name of rule 19 brings its place along */
	if ((PART(at->kind) & MESSAGES) != 0 && postfix_id_parse(file->name, &id) && is_misnamed(file, postfix_key(&id)))
		return true;
	snprintf(want, CHECK_SUB_MAX, "%s", sub);
	return false;
}

/* What Postfix would not open is none of its files, but for what an interrupted postsuper leaves. */
static enum named_verdict
named(const struct queue_layout *layout, const struct queue_file *file, int64_t now, struct named *ret)
{
	uint32_t part = PART(postfix_kind(layout, file));
	char want[CHECK_SUB_MAX];
	struct postfix_id id;

	(void)now;
	(void)ret;
	if ((part & (MESSAGES | LOGS)) == 0)
		return NAMED_RIGHT;
	if (!postfix_name_legal(file->name))
		return strchr(file->name, '#') == NULL ? NAMED_RIGHT : NAMED_DOUBT;
	return postfix_id_parse(file->name, &id) && place(layout, file, want) &&
	    ((part & MESSAGES) == 0 || !is_misnamed(file, postfix_key(&id))) ? NAMED_RIGHT : NAMED_DOUBT;
}

/* ---------------------------------------------------------------- one file */

void
postfix_unfinished(struct check *c, const struct queue_file *file, struct queue_key key)
{
	int64_t age = check_options(c)->now - file->mtime;
	char at[CHECK_PATH_MAX];
	struct finding *f;

	if (age <= UNFINISHED_MAX) {
		check_find(c, 22, CLASS_WAIT, PROBLEM_UNFINISHED, ACK_NO, file, key, "still being written, or left by a sender that "
		    "broke off: it was never acknowledged");
		return;
	}
	f = check_find(c, 22, CLASS_GARBAGE, PROBLEM_UNFINISHED, ACK_NO, file, key, "left unfinished %" PRId64 " days ago: it was "
	    "never acknowledged", age / 86400);
	if (f != NULL)
		finding_remedy(f, REMEDY_QUARANTINE, check_file_path(c, file, at, sizeof at), NULL, file->ino);
}

static void
message_file(struct check *c, const struct queue_file *file, struct queue_key key, uint32_t part)
{
	struct postfix_own *own = postfix_own(c);
	bool settled = (part & SETTLED) != 0, misnamed = is_misnamed(file, key);

	if ((check_parts(c, key) & MESSAGES & ~part) != 0)
		own->twins_there = true;
	check_set(c, key, 0, misnamed ? MORE_MISNAMED(part) : MORE_LOGS_STAY);
	own->settled += settled;
	if (settled && !is_ready(file)) {
		own->unready++;
		check_ask(c, file, key, part);	/* by its row, which is there now: it may be asked for as a twin, too */
	}
	if (misnamed && !check_keep(c, file, key, KEPT_MISNAMED))
		own->misnamed_rest++;
}

static void
log_file(struct check *c, const struct queue_file *file, struct queue_key key)
{
	uint32_t more = check_more(c, key);

	if ((check_parts(c, key) & DELIVERED) == 0 && (more & MORE_UNFINISHED) == 0)
		check_keep(c, file, key, KEPT_ORPHAN);
	else if ((more & MORE_LOGS_STAY) == 0 && (more & MORE_MISNAMED(MESSAGES)) != 0)
		check_keep(c, file, key, KEPT_LOG);
}

static void
put_aside(struct check *c, const struct queue_file *file, struct queue_key key)
{
	check_find(c, 28, CLASS_REPORT, PROBLEM_BAD_RECORD, ACK_YES, file, key, postfix_kind(check_layout(c), file) ==
	    POSTFIX_PLACE_CORRUPT ? "accepted, and put aside by the queue manager as damaged: nobody delivers it" :
	    "accepted, and put aside: nobody delivers it");
}

static bool
quiet(const struct queue_layout *layout, const struct queue_file *at, uint32_t part)
{
	uint32_t kind = postfix_kind(layout, at);

	return kind != POSTFIX_PLACE_CORRUPT && kind != POSTFIX_PLACE_SAVED && ((part & MESSAGES) == 0 || is_ready(at));
}

static bool
file(struct check *c, const struct queue_file *at, struct queue_key key, uint32_t part)
{
	uint32_t kind = postfix_kind(check_layout(c), at);

	if (kind == POSTFIX_PLACE_CORRUPT || kind == POSTFIX_PLACE_SAVED) {
		put_aside(c, at, key);
		return kind == POSTFIX_PLACE_CORRUPT;
	}
	if ((part & (INCOMING | MAILDROP)) != 0 && !is_ready(at)) {
		check_set(c, key, 0, part == INCOMING ? MORE_UNFINISHED : 0);
		if (!check_keep(c, at, key, KEPT_UNFINISHED))
			postfix_unfinished(c, at, key);
		return false;
	}
	if ((part & MESSAGES) != 0)
		message_file(c, at, key, part);
	else if ((part & LOGS) != 0)
		log_file(c, at, key);
	return true;
}

/* Two names of one file: the one that does not hold its inode goes. */
static int
linked(struct check *c, const struct queue_file *a, struct queue_key key_a, uint32_t bit_a, const struct queue_file *b,
    struct queue_key key_b, uint32_t bit_b)
{
	bool wrong_a = (bit_a & MESSAGES) != 0 && is_misnamed(a, key_a), wrong_b = (bit_b & MESSAGES) != 0 && is_misnamed(b, key_b);

	(void)c;
	return wrong_a == wrong_b ? -1 : wrong_a ? 0 : 1;
}

/* "USEC.PID": a file that has not got its name yet. */
static bool
is_temporary(const char *text)
{
	size_t usec = strspn(text, "0123456789"), pid;

	if (usec == 0 || usec > 6 || text[usec] != '.')
		return false;
	pid = strspn(text + usec + 1, "0123456789");
	return pid > 0 && text[usec + 1 + pid] == '\0';
}

/* "ID#FIX": between two names. The id is that of the inode already; else it becomes so. */
static bool
is_half_renamed(const struct queue_file *at, uint32_t part, struct queue_key *ret_key)
{
	size_t len = strlen(at->name), fix = sizeof FIX - 1;
	char text[POSTFIX_ID_SIZE];
	struct postfix_id id;

	if (len <= fix || len - fix >= sizeof text || strcmp(at->name + len - fix, FIX) != 0)
		return false;
	memcpy(text, at->name, len - fix);
	text[len - fix] = '\0';
	if (!postfix_id_parse(text, &id))
		return false;
	if ((part & MESSAGES) != 0 && !id.is_long)
		id.inode = at->ino;
	*ret_key = postfix_key(&id);
	return true;
}

static bool
odd(struct check *c, const struct queue_file *at)
{
	uint32_t kind = postfix_kind(check_layout(c), at), part = PART(kind);
	struct queue_key key = { 0, 0 };

	if (kind == POSTFIX_PLACE_ROOT)
		return true;
	if (QUEUE_TYPE(at->mode) != QUEUE_REGULAR || kind == POSTFIX_PLACE_FLUSH)
		return false;
	if (kind == POSTFIX_PLACE_CORRUPT || kind == POSTFIX_PLACE_SAVED) {
		put_aside(c, at, key);
		return true;
	}
	if (is_half_renamed(at, part, &key)) {
		check_set(c, key, (part & MESSAGES) != 0 ? part : 0, MORE_LOGS_STAY);
		if (check_options(c)->deep && (part & MESSAGES) != 0)
			check_ask(c, at, key, KEPT_FIX);
		return check_keep(c, at, key, KEPT_FIX);
	}
	if ((part & MESSAGES) == 0)
		return false;
	if (is_temporary(at->name)) {
		postfix_unfinished(c, at, key);
		return true;
	}
	if (!postfix_name_legal(at->name))
		return false;
	if (!is_ready(at) && (part & SETTLED) == 0)
		postfix_unfinished(c, at, key);
	else
		check_ask(c, at, key, KEPT_NO_ID);
	return true;
}

/* ---------------------------------------------------------------- reading */

static_assert(sizeof((struct queue_content *)0)->mark == sizeof((struct postfix_mail *)0)->done_at, "a content has room for the marks");

static const char *const states[POSTFIX_PLACE_COUNT] = {
	[POSTFIX_PLACE_MAILDROP] = "maildrop", [POSTFIX_PLACE_INCOMING] = "incoming", [POSTFIX_PLACE_ACTIVE] = "active",
	[POSTFIX_PLACE_DEFERRED] = "deferred", [POSTFIX_PLACE_HOLD] = "hold", [POSTFIX_PLACE_CORRUPT] = "corrupt",
};

/* Everything but marks of done recipients, which change: two copies of one message are the same by it. */
static uint64_t
identity(const struct postfix_mail *mail)
{
	uint64_t sum = mail->recipients_hash;
	const uint64_t more[] = { (uint64_t)mail->content_size, (uint64_t)mail->content_at, (uint64_t)mail->arrived,
		(uint64_t)mail->arrived_usec };

	for (size_t i = 0; i < sizeof more / sizeof more[0]; i++)
		sum = (sum ^ more[i]) * UINT64_C(0x100000001b3);
	for (const char *p = mail->log_ident; *p != '\0'; p++)
		sum = (sum ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
	return sum;
}

static void
read_message(uint32_t kind, const struct queue_file *at, struct queue_source *source, struct queue_content *ret,
    struct queue_message *message)
{
	struct postfix_mail mail;

	postfix_mail_read(source, kind == POSTFIX_PLACE_MAILDROP ? POSTFIX_DROPPED : POSTFIX_QUEUED, message == NULL, &mail,
	    message);
	if (message != NULL) {
		free(message->id);
		message->id = strdup(at->name);
		message->state = states[kind];
	}
	ret->bad = mail.fault != POSTFIX_WHOLE && mail.fault != POSTFIX_UNREADABLE;
	ret->problem = mail.fault == POSTFIX_TRUNCATED ? PROBLEM_TRUNCATED : mail.fault == POSTFIX_NUL_TAIL ? PROBLEM_NUL_TAIL :
	    mail.fault == POSTFIX_EMPTY ? PROBLEM_EMPTY : PROBLEM_BAD_RECORD;
	ret->bits = (mail.fault == POSTFIX_WHOLE ? READ_WHOLE : 0) | (mail.end_missing_only ? READ_END_ONLY : 0) |
	    (mail.fault == POSTFIX_UNREADABLE ? READ_FAILED : 0) | (mail.pending == 0 && mail.done > 0 ? READ_DONE : 0);
	ret->number[READ_IDENTITY] = identity(&mail);
	ret->number[READ_DONE_COUNT] = mail.done;
	memcpy(ret->mark, mail.done_at, sizeof ret->mark);
	memcpy(ret->what, mail.what, sizeof ret->what);
}

static void
read_file(const struct queue_layout *layout, const struct queue_file *at, struct queue_source *source,
    struct queue_content *ret, struct queue_message *message)
{
	uint32_t kind = postfix_kind(layout, at);
	struct postfix_log log;

	if ((PART(kind) & (MESSAGES | CORRUPT)) != 0) {
		read_message(kind, at, source, ret, message);
		return;
	}
	postfix_log_read(source, &log);
	/* one that was not ended is a crash; Postfix leaves its last entry out */
	ret->bad = log.fault == POSTFIX_LOG_NUL_TAIL || log.fault == POSTFIX_LOG_BAD_LINE;
	ret->problem = log.fault == POSTFIX_LOG_NUL_TAIL ? PROBLEM_NUL_TAIL : PROBLEM_BAD_RECORD;
	ret->number[0] = log.entries;
	memcpy(ret->what, log.what, sizeof ret->what);
}

/* Twins are asked for when all names are known. */
static bool
plain(struct check *c, const struct queue_file *at, struct queue_key key, uint32_t part, const struct queue_content *content)
{
	(void)c;
	(void)key;
	return !content->bad && (content->bits & (READ_FAILED | READ_DONE)) == 0 && ((part & SETTLED) == 0 || is_ready(at));
}

const struct rules rules_postfix = {
	.mta = "postfix", .message_bits = MESSAGES, .aside_bits = CORRUPT, .list_bits = MESSAGES | CORRUPT,
	.name_rules = UINT64_C(1) << 7 | UINT64_C(1) << 19 | UINT64_C(1) << 20, .named = named,
	.name = name, .odd = odd, .place = place, .id = id_text, .path = path,
	.file = file, .quiet = quiet, .linked = linked, .plain = plain, .join = postfix_join, .read = read_file, .content = postfix_content, .end = postfix_end,
};
