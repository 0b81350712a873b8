/*
 * queuesync/rules_qmail_read.c - what the files of a message hold (rules 10, 12 and 17), and what only their content
 * can decide: is an envelope that is not linked complete (rule 11), which of two is right (rules 10, 11). Pure.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "mta/qmail_record.h"
#include "queuesync/rules_qmail.h"

#define BIT_MAY_LACK (1u << 8)		/* of queue_content.bits; below it the shape */
#define SHAPE_MASK 0xffu
enum { NUMBER_RECIPIENTS, NUMBER_HASH };

/* ---------------------------------------------------------------- reading: in several threads */

struct reading { uint64_t hash; struct queue_message *message; };

static char *
copy(const char *value, size_t len)
{
	char *text = malloc(len + 1);

	if (text == NULL)
		abort();	/* half a judgement is none */
	for (size_t i = 0; i < len; i++)
		text[i] = value[i];
	text[len] = '\0';
	return text;
}

static void
each_record(void *arg, char type, const char *value, size_t len)
{
	struct reading *r = arg;

	r->hash = (r->hash ^ (unsigned char)type) * UINT64_C(0x100000001b3);
	for (size_t i = 0; i < len; i++)
		r->hash = (r->hash ^ (unsigned char)value[i]) * UINT64_C(0x100000001b3);
	if (r->message == NULL)
		return;
	if (type == 'F') {
		free(r->message->sender);
		r->message->sender = copy(value, len);
	} else if (type == 'T' || type == 'D') {
		queue_message_add(r->message, value, len, type == 'D');
	}
}

/* What an earlier part said of recipients does not count beside this one. */
static void
begin_anew(struct queue_message *message)
{
	if (message == NULL)
		return;
	for (size_t i = 0; i < message->recipients; i++)
		free(message->recipient[i].address);
	free(message->recipient);
	message->recipient = NULL;
	message->recipients = 0;
}

static bool
has_pending(const struct queue_message *message)
{
	for (size_t i = 0; i < message->recipients; i++)
		if (!message->recipient[i].done)
			return true;
	return false;
}

/* Words of the contract; the parts come in the order of their places. */
static void
tell(struct queue_message *m, enum qmail_place kind, const struct queue_file *file)
{
	switch (kind) {
	case QMAIL_MESS:
		m->size = file->size;
		m->arrived = file->mtime;
		break;
	case QMAIL_INTD: case QMAIL_TODO:
		m->state = "todo";
		break;
	case QMAIL_INFO:
		m->arrived = file->mtime;
		m->state = "bounce";	/* nothing is left to do but that, unless a channel says more */
		break;
	case QMAIL_LOCAL: case QMAIL_REMOTE:
		if (has_pending(m) && (kind == QMAIL_LOCAL || m->state == NULL || strcmp(m->state, "local") != 0))
			m->state = kind == QMAIL_LOCAL ? "local" : "remote";
		break;
	case QMAIL_ROOT: case QMAIL_PID: case QMAIL_BOUNCE: case QMAIL_LOCK: case QMAIL_PLACE_COUNT:
		break;
	}
}

static enum problem
problem_of(enum qmail_shape shape)
{
	return shape == QMAIL_EMPTY ? PROBLEM_EMPTY : shape == QMAIL_CUT ? PROBLEM_TRUNCATED :
	    shape == QMAIL_NULS ? PROBLEM_NUL_TAIL : PROBLEM_BAD_RECORD;
}

void
qmail_read(const struct queue_layout *layout, const struct queue_file *file, struct queue_source *source,
    struct queue_content *ret, struct queue_message *message)
{
	enum qmail_place kind = (enum qmail_place)layout->place[file->place].kind;
	struct reading reading = { .hash = UINT64_C(0xcbf29ce484222325), .message = message };
	struct qmail_reading r = { .shape = QMAIL_WHOLE };

	if (kind == QMAIL_INTD || kind == QMAIL_INFO || kind == QMAIL_TODO)
		begin_anew(message);
	if (kind == QMAIL_INTD || kind == QMAIL_TODO)
		qmail_envelope_read(source, each_record, &reading, &r);
	else if (kind == QMAIL_INFO)
		qmail_info_read(source, each_record, &reading, &r);
	else if (kind == QMAIL_LOCAL || kind == QMAIL_REMOTE)
		qmail_channel_read(source, each_record, &reading, &r);
	else if (kind == QMAIL_MESS)
		qmail_mess_read(source, &r);
	else if (kind == QMAIL_BOUNCE)
		qmail_bounce_read(source, &r);
	if (message != NULL)
		tell(message, kind, file);
	*ret = (struct queue_content){ .bad = r.shape != QMAIL_WHOLE, .problem = problem_of(r.shape),
		.bits = (uint32_t)r.shape | (r.may_lack ? BIT_MAY_LACK : 0),
		.number = { [NUMBER_RECIPIENTS] = r.recipients, [NUMBER_HASH] = reading.hash } };
	memcpy(ret->what, r.what, sizeof r.what);
}

/* ---------------------------------------------------------------- one content */

static int
order(const void *left, const void *right)
{
	const struct doubtful *a = left, *b = right;

	return a->number < b->number ? -1 : a->number > b->number;
}

static struct doubtful *
doubtful_of(const struct qmail_own *own, uint64_t number)
{
	struct doubtful key = { .number = number };

	return own->doubts == 0 ? NULL : bsearch(&key, own->doubtful, own->doubts, sizeof key, order);
}

static void
note(struct doubt_content *to, const struct queue_file *file, const struct queue_content *content)
{
	*to = (struct doubt_content){ .read = true, .shape = (uint8_t)(content->bits & SHAPE_MASK),
		.may_lack = (content->bits & BIT_MAY_LACK) != 0, .ino = file->ino,
		.recipients = content->number[NUMBER_RECIPIENTS], .hash = content->number[NUMBER_HASH] };
}

/* True: the content is about what is in doubt, and is judged with the rest at the end. */
static bool
note_doubtful(struct check *c, const struct queue_file *file, uint64_t number, uint32_t bit, const struct queue_content *content)
{
	struct doubtful *d = doubtful_of(qmail_own(c), number);

	if (d == NULL)
		return false;
	switch (bit) {
	case BIT(QMAIL_INTD):
		note(&d->intd, file, content);
		return true;
	case BIT(QMAIL_TODO):
		note(&d->todo, file, content);
		return false;
	case BIT(QMAIL_LOCAL): case BIT(QMAIL_REMOTE):
		d->recipients += content->number[NUMBER_RECIPIENTS];
		return d->doubt != DOUBT_TWO;
	case BIT(QMAIL_MESS):
		d->mess_bad = content->bad;
		return false;
	default:
		return false;
	}
}

/* Which rule has something against a file that is not whole; 0: none, in this set of files it may be so. */
static unsigned int
rule_against(uint32_t parts, uint32_t bit)
{
	bool todo = (parts & BIT(QMAIL_TODO)) != 0, info = (parts & BIT(QMAIL_INFO)) != 0;

	if ((parts & BIT(QMAIL_MESS)) == 0)
		return 0;
	switch (bit) {
	case BIT(QMAIL_TODO): return 10;
	case BIT(QMAIL_MESS): return todo || info ? 17 : 0;
	case BIT(QMAIL_INFO): case BIT(QMAIL_LOCAL): case BIT(QMAIL_REMOTE):
		return info && !todo ? 12 : 0;	/* half made beside todo: qmail-send begins anew */
	default: return 0;
	}
}

static const char *
loss(unsigned int rule)
{
	return rule == 17 ? "the content of an acknowledged message is damaged" : rule == 10 ? "the envelope of an acknowledged message "
	    "is damaged: qmail would drop recipients in silence" : "sender or recipients of an acknowledged message are damaged: qmail "
	    "would end it without a word";
}

void
qmail_content(struct check *c, const struct queue_file *file, struct queue_key key, uint32_t bit, const struct queue_content *content)
{
	struct check_asked asked = { .file = *file, .key = key, .bit = bit };
	uint32_t parts = check_parts(c, key) & PARTS;
	unsigned int rule = rule_against(parts, bit);
	struct finding *f;

	if ((check_more(c, key) & MORE_GONE) != 0)
		return;
	if ((content->bits & SHAPE_MASK) == QMAIL_UNREADABLE) {
		check_unreadable(c, &asked, content->what);
		return;
	}
	if (note_doubtful(c, file, key.lo, bit, content) || !content->bad)
		return;
	if (bit == BIT(QMAIL_BOUNCE) && content->problem == PROBLEM_NUL_TAIL)
		check_find(c, 5, CLASS_REPORT, content->problem, ACK_MAYBE, file, key, "the text for the sender of a message that failed "
		    "is damaged (%s): it will be sent so", content->what);
	if (rule == 0)
		return;
	f = check_find(c, rule, CLASS_QUARANTINE, content->problem, ACK_YES, file, key, "%s: %s", loss(rule), content->what);
	qmail_put_aside(c, f, key.lo, parts);
	if (f != NULL)
		f->damages = true;
}

/* What is in doubt beside an envelope that is not linked is asked for when all names are known. */
bool
qmail_plain(struct check *c, const struct queue_file *file, struct queue_key key, uint32_t bit, const struct queue_content *content)
{
	(void)c;
	(void)file;
	(void)key;
	return !content->bad && (content->bits & SHAPE_MASK) != QMAIL_UNREADABLE && bit != BIT(QMAIL_INTD);
}

/* ---------------------------------------------------------------- what is in doubt */

void
qmail_doubt(struct check *c, uint64_t number, enum doubt doubt)
{
	struct qmail_own *own = qmail_own(c);

	own->doubtful = qmail_grow(own->doubtful, own->doubts, &own->doubts_room, sizeof *own->doubtful);
	own->doubtful[own->doubts++] = (struct doubtful){ .number = number, .doubt = doubt };
}

static void
ask(struct check *c, uint64_t number, enum qmail_place kind)
{
	const struct queue_layout *layout = check_layout(c);
	struct queue_file file = { .sub = "" };
	char path[64], *name, *sub;

	if (qmail_path(layout, number, BIT(kind), path) == NULL)
		return;
	while (layout->place[file.place].kind != kind)
		file.place++;
	/* by its path; the inode says only when it is its turn */
	name = strrchr(path, '/');
	*name++ = '\0';
	sub = strchr(path, '/');
	file.sub = sub != NULL ? sub + 1 : "";
	file.name = name;
	check_ask(c, &file, (struct queue_key){ 0, number }, BIT(kind));
}

void
qmail_doubts_join(struct check *c)
{
	static const uint32_t wanted[] = {
		[DOUBT_S3] = BIT(QMAIL_INTD) | BIT(QMAIL_MESS), [DOUBT_BOTH] = BIT(QMAIL_INTD) | CHANNELS,
		[DOUBT_TWO] = BIT(QMAIL_INTD) | BIT(QMAIL_TODO),
	};
	struct qmail_own *own = qmail_own(c);

	if (own->doubts > 1)
		qsort(own->doubtful, own->doubts, sizeof *own->doubtful, order);
	for (size_t i = 0; i < own->doubts; i++) {
		uint64_t number = own->doubtful[i].number;
		uint32_t parts = check_parts(c, (struct queue_key){ 0, number }) & wanted[own->doubtful[i].doubt];

		for (enum qmail_place kind = QMAIL_MESS; kind <= QMAIL_TODO; kind++)
			if ((parts & BIT(kind)) != 0)
				ask(c, number, kind);
	}
}

static struct finding *
find(struct check *c, const struct doubtful *d, unsigned int rule, enum finding_class class, enum problem problem,
    enum acknowledged ack, const char *why)
{
	char path[64];

	return check_find_at(c, rule, class, problem, ack, qmail_path(check_layout(c), d->number, BIT(QMAIL_INTD), path),
	    (struct queue_key){ 0, d->number }, "%s", why);
}

static void
promote(struct check *c, const struct doubtful *d, const char *why)
{
	const struct queue_layout *layout = check_layout(c);
	struct finding *f = find(c, d, 11, CLASS_PROMOTE, PROBLEM_LINK_NOT_DURABLE, ACK_MAYBE, why);
	char from[64], to[64];

	if (f != NULL)
		finding_remedy(f, REMEDY_LINK, qmail_path(layout, d->number, BIT(QMAIL_INTD), from),
		    qmail_path(layout, d->number, BIT(QMAIL_TODO), to), d->intd.ino);
}

static void
intd_aside(struct check *c, const struct doubtful *d, struct finding *f)
{
	char path[64];

	if (f != NULL && qmail_may_go(c, d->number))
		finding_remedy(f, REMEDY_QUARANTINE, qmail_path(check_layout(c), d->number, BIT(QMAIL_INTD), path), NULL, d->intd.ino);
}

/* A message without todo and info whose envelope is there. */
static void
judge_s3(struct check *c, const struct doubtful *d, uint32_t parts, uint32_t more)
{
	uint32_t others = parts & ~(BIT(QMAIL_MESS) | BIT(QMAIL_INTD));
	bool old = (more & MORE_OLD) != 0;
	struct finding *f;

	if (d->intd.shape == QMAIL_WHOLE && !d->mess_bad && (more & MORE_MESS_EMPTY) == 0) {
		promote(c, d, d->intd.may_lack ? "an envelope that is not linked: its 250 may have been given; its size does not prove "
		    "that no recipient is missing" : "complete envelope, not linked: its 250 may have been given");
		if ((parts & BIT(QMAIL_BOUNCE)) != 0)
			qmail_bounce_astray(c, d->number, QMAIL_STRANGE_BOUNCE);
		return;
	}
	if (d->intd.shape == QMAIL_WHOLE)
		f = find(c, d, 17, CLASS_QUARANTINE, PROBLEM_BAD_RECORD, ACK_MAYBE, "complete envelope, not linked, of a message whose "
		    "content is damaged: its 250 may have been given");
	else if (others != 0)
		f = find(c, d, 13, CLASS_QUARANTINE, PROBLEM_MISSING_PART, ACK_YES, "its sender (info) is gone, and its envelope is not "
		    "complete: qmail would never look at it again, and delete it after 36 hours");
	else
		f = find(c, d, 11, old ? CLASS_GARBAGE : CLASS_WAIT, PROBLEM_UNFINISHED, ACK_NO, old ?
		    "its envelope was never finished, and it was not read for 36 hours" :
		    "its envelope was being received when it was cut off: never acknowledged");
	if (f != NULL)
		f->damages = f->class == CLASS_QUARANTINE;
	if (d->intd.shape == QMAIL_WHOLE || others != 0 || old)
		qmail_put_aside(c, f, d->number, parts);
}

/* qmail-send makes info and channels from the envelope, and takes that away before todo. */
static void
judge_both(struct check *c, const struct doubtful *d)
{
	if (d->intd.shape == QMAIL_WHOLE && d->intd.recipients != d->recipients)
		promote(c, d, "its envelope has other recipients than local and remote: they were being made when it was cut off");
	else
		intd_aside(c, d, find(c, d, 11, CLASS_GARBAGE, PROBLEM_ORPHAN_PART, ACK_YES, "an envelope that was dealt with: all its "
		    "recipients are in local and remote"));
}

static void
judge_two(struct check *c, const struct doubtful *d)
{
	bool equal = d->todo.hash == d->intd.hash && d->todo.shape == d->intd.shape && d->todo.recipients == d->intd.recipients;

	if (!d->todo.read)
		return;
	intd_aside(c, d, find(c, d, 10, equal ? CLASS_REPAIR : CLASS_QUARANTINE, PROBLEM_DUPLICATE, ACK_YES, equal ?
	    "a second file with the envelope that is in todo" : "another envelope than that in todo, which counts"));
}

void
qmail_end(struct check *c)
{
	struct qmail_own *own = qmail_own(c);

	for (size_t i = 0; i < own->doubts; i++) {
		const struct doubtful *d = &own->doubtful[i];
		uint32_t more = check_more(c, (struct queue_key){ 0, d->number });

		if (!d->intd.read || d->intd.shape == QMAIL_UNREADABLE || (more & MORE_GONE) != 0)
			continue;
		if (d->doubt == DOUBT_S3)
			judge_s3(c, d, check_parts(c, (struct queue_key){ 0, d->number }) & PARTS, more);
		else if (d->doubt == DOUBT_BOTH)
			judge_both(c, d);
		else
			judge_two(c, d);
	}
	free(own->doubtful);
	free(own->misnamed);
	free(own->part);
	own->doubtful = NULL;
	own->misnamed = NULL;
	own->part = NULL;
	own->doubts = own->names = own->parts = 0;
}
