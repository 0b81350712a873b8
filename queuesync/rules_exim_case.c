/*
 * queuesync/rules_exim_case.c - messages of Exim's that are not as they should be: each of their files is looked at, then
 * they are judged by all that is known. Pure.
 *
 * A case has sides: the directories in which its header, body and journal stand. One is usual; two is an id that
 * was given twice, or a message that was torn apart.
 */
#include "queuesync/rules_exim.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIDES_MAX 4
#define LOGS_MAX 4

struct seen {
	bool			 there;
	uint64_t		 ino, size;
	int64_t			 mtime;
	uint16_t		 place;
	char			 sub[2];
	struct queue_content	 content;
};

struct side {
	uint16_t	place;
	char		sub[2];
	struct seen	part[EXIM_PART_LOG];	/* H, D, J */
};

struct exim_case {
	struct exim_case *next, *chain;
	struct queue_key  key;
	struct side	  side[SIDES_MAX];
	size_t		  sides;
	struct seen	  log[LOGS_MAX];
	size_t		  logs;
};

struct exim_own *
exim_own(struct check *c)
{
	struct exim_own *own = check_own(c, sizeof *own);

	if (own->last == NULL)
		own->last = &own->first;
	return own;
}

static struct exim_case **
chain_of(struct exim_own *own, struct queue_key key)
{
	return &own->chain[(key.lo * 0x9e3779b97f4a7c15u ^ key.hi * 0xc2b2ae3d27d4eb4fu) >> 54];
}

static struct exim_case *
find_case(struct exim_own *own, struct queue_key key)
{
	struct exim_case *k = *chain_of(own, key);

	while (k != NULL && (k->key.hi != key.hi || k->key.lo != key.lo))
		k = k->chain;
	return k;
}

/* The name of a part; buf has EXIM_ID_SIZE + 2 bytes. */
static const char *
part_name(struct queue_key key, unsigned int part, char *buf)
{
	static const char *const suffix[] = { "-H", "-D", "-J", "" };
	char id[EXIM_ID_SIZE];

	snprintf(buf, EXIM_ID_SIZE + 2, "%s%s", exim_id_print(exim_id_of(key), id), suffix[part]);
	return buf;
}

/* Every file that the table knows: the one in its right place, and the ones elsewhere, which were kept. */
static void
ask_for_all(struct check *c, struct queue_key key)
{
	uint32_t parts = check_parts(c, key);
	char name[EXIM_ID_SIZE + 2], sub[2];

	for (uint32_t bit = 1; bit < EXIM_BIT_LEFT; bit <<= 1) {
		const struct queue_file *kept = (parts & bit) != 0 ? check_kept(c, key, bit) : NULL;
		struct queue_file right = { .sub = sub, .mode = QUEUE_REGULAR };

		if (kept != NULL)
			check_ask(c, kept, key, bit);
		if ((parts & bit) == 0 || (kept != NULL && (parts & CHECK_TWICE) == 0))
			continue;
		right.name = part_name(key, (unsigned int)__builtin_ctz(bit) % EXIM_PARTS, name);
		if (exim_rules_belongs(check_layout(c), exim_id_of(key), bit, &right.place, sub))
			check_ask(c, &right, key, bit);
	}
}

void
exim_case_open(struct check *c, struct queue_key key)
{
	struct exim_own *own = exim_own(c);
	struct exim_case *k;

	if (find_case(own, key) != NULL)
		return;
	if (own->cases == EXIM_CASES_MAX || (k = calloc(1, sizeof *k)) == NULL) {
		own->missed++;
		return;
	}
	own->cases++;
	k->key = key;
	k->chain = *chain_of(own, key);
	*chain_of(own, key) = k;
	*own->last = k;
	own->last = &k->next;
	ask_for_all(c, key);
}

static struct seen *
side_part(struct exim_case *k, const struct queue_file *file, unsigned int part)
{
	for (size_t i = 0; i < k->sides; i++)
		if (k->side[i].place == file->place && strcmp(k->side[i].sub, file->sub) == 0)
			return &k->side[i].part[part];
	if (k->sides == SIDES_MAX || strlen(file->sub) >= sizeof k->side[0].sub)
		return NULL;
	k->side[k->sides].place = file->place;
	memcpy(k->side[k->sides].sub, file->sub, strlen(file->sub) + 1);
	return &k->side[k->sides++].part[part];
}

void
exim_case_seen(struct check *c, const struct queue_file *file, struct queue_key key, uint32_t bit,
    const struct queue_content *content)
{
	unsigned int part = (unsigned int)__builtin_ctz(bit) % EXIM_PARTS;
	struct exim_case *k = find_case(exim_own(c), key);
	struct seen *seen = NULL;

	if (k == NULL || strlen(file->sub) >= sizeof seen->sub)
		return;
	if (part != EXIM_PART_LOG)
		seen = side_part(k, file, part);
	else if (k->logs < LOGS_MAX)
		seen = &k->log[k->logs++];
	if (seen == NULL)
		return;
	*seen = (struct seen){ .there = true, .ino = file->ino, .size = file->size, .mtime = file->mtime, .place = file->place,
		.content = *content };
	memcpy(seen->sub, file->sub, strlen(file->sub) + 1);
}

/* ---------------------------------------------------------------- findings */

static const char *
path_of(struct check *c, const struct exim_case *k, const struct seen *seen, unsigned int part, char buf[CHECK_PATH_MAX])
{
	char name[EXIM_ID_SIZE + 2];
	struct queue_file file = { .name = part_name(k->key, part, name), .sub = seen->sub, .place = seen->place };

	return check_file_path(c, &file, buf, CHECK_PATH_MAX);
}

static void
put_aside(struct check *c, struct finding *f, const struct exim_case *k, const struct seen *seen, unsigned int part)
{
	char path[CHECK_PATH_MAX];

	if (f != NULL && seen->there)
		finding_remedy(f, REMEDY_QUARANTINE, path_of(c, k, seen, part, path), NULL, seen->ino);
}

/* The header first: from then on it is no message to Exim. */
static void
put_side_aside(struct check *c, struct finding *f, const struct exim_case *k, const struct side *side)
{
	for (unsigned int part = EXIM_PART_HEADER; part < EXIM_PART_LOG; part++)
		put_aside(c, f, k, &side->part[part], part);
}

static void
put_logs_aside(struct check *c, struct finding *f, const struct exim_case *k)
{
	for (size_t i = 0; i < k->logs; i++)
		put_aside(c, f, k, &k->log[i], EXIM_PART_LOG);
}

/* A finding about the message; its path is that of the part that is wrong. */
static struct finding * __attribute__((format(printf, 9, 10)))
find(struct check *c, const struct exim_case *k, unsigned int rule, enum finding_class class, enum problem problem,
    enum acknowledged ack, const struct seen *seen, unsigned int part, const char *fmt, ...)
{
	char path[CHECK_PATH_MAX], text[320];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return check_find_at(c, rule, class, problem, ack, path_of(c, k, seen, part, path), k->key, "%s", text);
}

/* An acknowledged message that cannot be made whole: all of it goes. */
static void
lose(struct check *c, struct finding *f, const struct exim_case *k, const struct side *side)
{
	if (f == NULL)
		return;
	f->damages = true;
	put_side_aside(c, f, k, side);
	put_logs_aside(c, f, k);
}

/* ---------------------------------------------------------------- one directory */

static bool
says_other(const struct seen *seen)
{
	return seen->there && (seen->content.bits & EXIM_READ_OTHER) != 0;
}

static struct queue_key
says(const struct seen *seen)
{
	return (struct queue_key){ seen->content.number[0], seen->content.number[1] };
}

/* Both files say one other name: back to that. The header last, since it makes the message. */
static void
rename_back(struct check *c, const struct exim_case *k, const struct side *side, struct queue_key right)
{
	static const unsigned int order[] = { EXIM_PART_JOURNAL, EXIM_PART_DATA, EXIM_PART_HEADER };
	const struct queue_layout *layout = check_layout(c);
	struct exim_case renamed = { .key = right };
	char from[CHECK_PATH_MAX], to[CHECK_PATH_MAX], id[EXIM_ID_SIZE];
	struct finding *f = find(c, k, 31, CLASS_REPAIR, PROBLEM_NAME_INODE, ACK_YES, &side->part[EXIM_PART_HEADER],
	    EXIM_PART_HEADER, "header and body both say that they are %s", exim_id_print(exim_id_of(right), id));

	if (f == NULL)
		return;
	for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
		struct seen there = side->part[order[i]];

		if (!there.there)
			continue;
		/* without sub-directory it is right everywhere */
		there.sub[0] = layout->split_spool ? exim_id_subdir(exim_id_of(right)) : '\0';
		path_of(c, &renamed, &there, order[i], to);
		if (there.sub[0] != '\0' && order[i] == order[1]) {
			char directory[CHECK_PATH_MAX];

			snprintf(directory, sizeof directory, "%s", to);
			*strrchr(directory, '/') = '\0';
			if (!check_has_directory(c, directory)) {
				struct remedy *r = finding_remedy(f, REMEDY_MKDIR, directory, NULL, 0);

				r->mode = layout->place[there.place].mode;
				r->uid = layout->place[there.place].uid;
				r->gid = layout->place[there.place].gid;
			}
		}
		finding_remedy(f, REMEDY_MOVE, path_of(c, k, &side->part[order[i]], order[i], from), to, there.ino);
	}
}

static void
judge_names(struct check *c, const struct exim_case *k, const struct side *side)
{
	const struct seen *header = &side->part[EXIM_PART_HEADER], *body = &side->part[EXIM_PART_DATA];
	struct queue_key a = says(header), b = says(body);
	const struct seen *odd = says_other(header) ? header : body;

	if (says_other(header) && says_other(body) && a.hi == b.hi && a.lo == b.lo && check_parts(c, a) == 0) {
		rename_back(c, k, side, a);
		return;
	}
	lose(c, find(c, k, 31, CLASS_QUARANTINE, PROBLEM_BAD_RECORD, ACK_YES, odd, odd == header ? EXIM_PART_HEADER :
	    EXIM_PART_DATA, "%s, and %s", odd->content.what, check_parts(c, says(odd)) != 0 ?
	    "a message of that name is there already" : "the other file does not"), k, side);
}

/* What a finished message leaves when its removal is cut: first the log goes, then body, header, journal. */
static bool
is_finished(const struct side *side)
{
	const struct seen *header = &side->part[EXIM_PART_HEADER], *journal = &side->part[EXIM_PART_JOURNAL];

	if ((header->content.bits & EXIM_READ_DONE) != 0)
		return true;
	return journal->there && !journal->content.bad && journal->content.number[0] == header->content.number[0] &&
	    journal->content.number[1] == header->content.number[1];
}

static void
judge_without_body(struct check *c, const struct exim_case *k, const struct side *side)
{
	const struct seen *header = &side->part[EXIM_PART_HEADER];
	struct finding *f;

	if (is_finished(side)) {
		f = find(c, k, 30, CLASS_GARBAGE, PROBLEM_ORPHAN_PART, ACK_YES, header, EXIM_PART_HEADER,
		    "a header without a body, of which all recipients are done: what is left of a finished message");
		put_side_aside(c, f, k, side);
		put_logs_aside(c, f, k);
		return;
	}
	lose(c, find(c, k, 30, CLASS_QUARANTINE, PROBLEM_MISSING_PART, ACK_YES, header, EXIM_PART_HEADER,
	    "a header without a body, and recipients who have not had it: the text is lost"), k, side);
}

static void
judge_without_header(struct check *c, const struct exim_case *k, const struct side *side)
{
	const struct seen *body = &side->part[EXIM_PART_DATA], *journal = &side->part[EXIM_PART_JOURNAL];
	bool old = body->mtime < check_options(c)->now - EXIM_LEFT_S;
	struct finding *f;

	if (journal->there || k->logs > 0) {
		lose(c, find(c, k, 30, CLASS_QUARANTINE, PROBLEM_MISSING_PART, ACK_YES, body, EXIM_PART_DATA,
		    "a body without a header, but with a %s, which only a complete message has: sender and recipients are lost",
		    journal->there ? "journal" : "log"), k, side);
		return;
	}
	f = find(c, k, 30, old ? CLASS_GARBAGE : CLASS_WAIT, PROBLEM_UNFINISHED, ACK_NO, body, EXIM_PART_DATA,
	    "a body without a header: its reception was cut%s", old ? "" : ", in the last 7 days");
	if (old)
		put_aside(c, f, k, body, EXIM_PART_DATA);
}

/* A journal on its own, or a log on its own. */
static void
judge_leftovers(struct check *c, const struct exim_case *k, const struct side *side)
{
	struct finding *f;

	if (side != NULL && side->part[EXIM_PART_JOURNAL].there) {
		f = find(c, k, 30, CLASS_GARBAGE, PROBLEM_ORPHAN_PART, ACK_NO, &side->part[EXIM_PART_JOURNAL],
		    EXIM_PART_JOURNAL, "a journal on its own: the last that is removed of a finished message");
		put_aside(c, f, k, &side->part[EXIM_PART_JOURNAL], EXIM_PART_JOURNAL);
	}
	for (size_t i = 0; i < k->logs; i++) {
		bool old = k->log[i].mtime < check_options(c)->now - EXIM_LEFT_S;

		f = find(c, k, 37, old ? CLASS_GARBAGE : CLASS_WAIT, PROBLEM_ORPHAN_PART, ACK_NO, &k->log[i], EXIM_PART_LOG,
		    "a log without its message%s", old ? "" : ", of the last 7 days");
		if (old)
			put_aside(c, f, k, &k->log[i], EXIM_PART_LOG);
	}
}

static void
judge_journal(struct check *c, const struct exim_case *k, const struct side *side)
{
	const struct seen *journal = &side->part[EXIM_PART_JOURNAL];
	char path[CHECK_PATH_MAX];
	struct finding *f;

	if (!journal->there)
		return;
	if (journal->content.bad) {
		f = find(c, k, 34, CLASS_QUARANTINE, journal->content.problem, ACK_YES, journal, EXIM_PART_JOURNAL,
		    "%s; who is noted in it gets the message again", journal->content.what);
		put_aside(c, f, k, journal, EXIM_PART_JOURNAL);
	} else if ((journal->content.bits & EXIM_READ_OPEN) != 0) {
		f = find(c, k, 34, CLASS_REPAIR, PROBLEM_TRUNCATED, ACK_YES, journal, EXIM_PART_JOURNAL,
		    "its last line has no end: Exim would cut a character off the address, and deliver again");
		if (f != NULL) {
			struct remedy *r = finding_remedy(f, REMEDY_APPEND, path_of(c, k, journal, EXIM_PART_JOURNAL, path),
			    NULL, journal->ino);

			r->size = r->offset = journal->size;
			r->bytes[0] = '\n';
			r->len = 1;
		}
	}
}

static void
judge_pair(struct check *c, const struct exim_case *k, const struct side *side)
{
	const struct seen *header = &side->part[EXIM_PART_HEADER], *body = &side->part[EXIM_PART_DATA];
	bool counted = (header->content.bits & body->content.bits & EXIM_READ_COUNT) != 0;

	if (says_other(header) || says_other(body))
		judge_names(c, k, side);
	else if (body->content.bad)
		lose(c, find(c, k, body->content.problem == PROBLEM_BAD_RECORD ? 31 : 33, CLASS_QUARANTINE, body->content.problem,
		    ACK_YES, body, EXIM_PART_DATA, "%s", body->content.what), k, side);
	else if ((body->content.bits & EXIM_READ_NUL) != 0)
		lose(c, find(c, k, 33, CLASS_QUARANTINE, PROBLEM_NUL_TAIL, ACK_YES, body, EXIM_PART_DATA,
		    "it ends in NUL bytes, where a message ends in a line"), k, side);
	else if (counted && header->content.number[2] != body->content.number[2])
		lose(c, find(c, k, 33, CLASS_QUARANTINE, PROBLEM_TRUNCATED, ACK_YES, body, EXIM_PART_DATA, "the body has %" PRIu64
		    " lines, its header says %" PRIu64, body->content.number[2], header->content.number[2]), k, side);
	else
		judge_journal(c, k, side);
}

static void
judge_side(struct check *c, const struct exim_case *k, const struct side *side)
{
	const struct seen *header = &side->part[EXIM_PART_HEADER], *body = &side->part[EXIM_PART_DATA];

	if (header->there && header->content.bad)
		lose(c, find(c, k, 32, CLASS_QUARANTINE, header->content.problem, ACK_YES, header, EXIM_PART_HEADER,
		    "%s; when it is four days old Exim deletes the whole message", header->content.what), k, side);
	else if (header->there && body->there)
		judge_pair(c, k, side);
	else if (header->there && says_other(header))
		judge_names(c, k, side);
	else if (header->there)
		judge_without_body(c, k, side);
	else if (body->there)
		judge_without_header(c, k, side);
	else
		judge_leftovers(c, k, side);
}

/* ---------------------------------------------------------------- several directories */

static bool
is_whole(const struct side *side)
{
	const struct seen *header = &side->part[EXIM_PART_HEADER], *body = &side->part[EXIM_PART_DATA];

	return header->there && body->there && !header->content.bad && !body->content.bad && !says_other(header) && !says_other(body) &&
	    ((header->content.bits & body->content.bits & EXIM_READ_COUNT) == 0 ||
	    header->content.number[2] == body->content.number[2]);
}

static bool
is_same_mail(const struct side *a, const struct side *b)
{
	const struct seen *body_a = &a->part[EXIM_PART_DATA], *body_b = &b->part[EXIM_PART_DATA];

	return a->part[EXIM_PART_HEADER].content.number[3] == b->part[EXIM_PART_HEADER].content.number[3] &&
	    body_a->size == body_b->size && body_a->content.number[3] == body_b->content.number[3];
}

/* Recipients who have not had it, of what header and journal say. */
static uint64_t
to_do(const struct side *side)
{
	uint64_t left = side->part[EXIM_PART_HEADER].content.number[0];
	uint64_t had = side->part[EXIM_PART_JOURNAL].there ? side->part[EXIM_PART_JOURNAL].content.number[0] : 0;

	return had < left ? left - had : 0;
}

/* Does no part of b stand in a? Then they are one message that was torn apart. */
static bool
are_parts_of_one(const struct side *a, const struct side *b)
{
	for (unsigned int part = 0; part < EXIM_PART_LOG; part++)
		if (a->part[part].there && b->part[part].there)
			return false;
	return true;
}

/* Exim opens the body, and looks for the header beside it only. */
static void
bring_together(struct check *c, const struct exim_case *k, const struct side *to, const struct side *from)
{
	static const unsigned int order[] = { EXIM_PART_JOURNAL, EXIM_PART_DATA, EXIM_PART_HEADER };
	unsigned int first = from->part[EXIM_PART_HEADER].there ? EXIM_PART_HEADER : from->part[EXIM_PART_DATA].there ?
	    EXIM_PART_DATA : EXIM_PART_JOURNAL;
	char path[CHECK_PATH_MAX], target[CHECK_PATH_MAX];
	struct finding *f = find(c, k, 35, CLASS_REPAIR, PROBLEM_WRONG_DIRECTORY, ACK_YES, &from->part[first], first,
	    "the rest of the message is in %s%s%s; Exim finds it only where all is in one directory",
	    check_layout(c)->place[to->place].path, to->sub[0] != '\0' ? "/" : "", to->sub);

	for (size_t i = 0; f != NULL && i < sizeof order / sizeof order[0]; i++) {
		const struct seen *seen = &from->part[order[i]];
		struct seen there = { .place = to->place };

		memcpy(there.sub, to->sub, sizeof there.sub);
		if (seen->there)
			finding_remedy(f, REMEDY_MOVE, path_of(c, k, seen, order[i], path), path_of(c, k, &there, order[i], target),
			    seen->ino);
	}
}

/* One stays; the others go, by the reason that is said. */
static void
keep_one(struct check *c, const struct exim_case *k, const struct side *stays, const char *why)
{
	for (size_t i = 0; i < k->sides; i++) {
		const struct side *goes = &k->side[i];
		unsigned int part = goes->part[EXIM_PART_HEADER].there ? EXIM_PART_HEADER : goes->part[EXIM_PART_DATA].there ?
		    EXIM_PART_DATA : EXIM_PART_JOURNAL;

		if (goes != stays)
			put_side_aside(c, find(c, k, 35, CLASS_REPAIR, PROBLEM_DUPLICATE, ACK_YES, &goes->part[part], part, "%s, in %s",
			    why, check_layout(c)->place[stays->place].path), k, goes);
	}
}

static void
judge_sides(struct check *c, const struct exim_case *k)
{
	const struct side *whole = NULL;
	bool alike = true;
	struct finding *f;

	if (k->sides == 2 && are_parts_of_one(&k->side[0], &k->side[1])) {
		size_t to = k->side[0].part[EXIM_PART_DATA].there ? 0 : 1;

		bring_together(c, k, &k->side[to], &k->side[1 - to]);
		return;
	}
	for (size_t i = 0; i < k->sides; i++) {
		const struct side *side = &k->side[i];

		if (!is_whole(side))
			continue;
		alike = alike && (whole == NULL || is_same_mail(whole, side));
		if (whole == NULL || to_do(side) < to_do(whole))
			whole = side;
	}
	if (whole != NULL && alike) {
		keep_one(c, k, whole, "the same message is there again, whole and with as many or more recipients done");
		return;
	}
	f = find(c, k, 35, CLASS_QUARANTINE, PROBLEM_DUPLICATE, ACK_YES, &k->side[0].part[EXIM_PART_HEADER], EXIM_PART_HEADER,
	    "%s of one id: both go to the quarantine, a person has to decide", whole != NULL ? "two different messages" :
	    "two messages, neither of them whole,");
	for (size_t i = 1; i < k->sides; i++)
		put_side_aside(c, f, k, &k->side[i]);
	lose(c, f, k, &k->side[0]);
}

/* ---------------------------------------------------------------- the end */

void
exim_cases_judge(struct check *c)
{
	struct exim_own *own = exim_own(c);
	struct exim_case *next;
	struct finding *f;

	for (struct exim_case *k = own->first; k != NULL; k = next) {
		next = k->next;
		if (k->sides > 1)
			judge_sides(c, k);
		else if (k->sides == 1)
			judge_side(c, k, &k->side[0]);
		else
			judge_leftovers(c, k, NULL);
		free(k);
	}
	own->first = NULL;
	if (own->missed == 0)
		return;
	f = check_find_at(c, 30, CLASS_QUARANTINE, PROBLEM_MISSING_PART, ACK_MAYBE, "", (struct queue_key){ 0, 0 },
	    "more messages that are not whole than are looked at at once; they come up when those are mended");
	if (f != NULL) {
		f->count = own->missed;
		f->damages = true;
	}
}
