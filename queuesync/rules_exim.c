/*
 * queuesync/rules_exim.c - what a whole queue of Exim is: rules 30 to 38. Pure.
 *
 * While the scan runs only bits are kept: which of its files a message has, and where. What looks odd by that, or by
 * what was read, becomes a case (rules_exim_case.c). Without the deep pass are read: the databases of hints, journals
 * that are not empty, and header files so old that Exim would delete the message if they did not parse.
 */
#include "queuesync/rules_exim.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mta/exim_header.h"

#define FILE_MODE 0640
/* The owner reads and writes, others do not; what a build lets its group do is its own business. */
#define FILE_MASK 0707
/* A header file with one address and nothing else is longer. */
#define HEADER_LEAST 50
/* The clocks of two nodes may differ when Exim judges the age of a message. */
#define MALFORMED_MARGIN 7200

static const struct queue_key no_key;

/* ---------------------------------------------------------------- names */

static void
set_norm(const struct queue_place *place, enum exim_part part, struct file_norm *norm)
{
	bool message = part == EXIM_PART_HEADER || part == EXIM_PART_DATA || part == EXIM_PART_LOG;

	*norm = (struct file_norm){ .uid = place->uid, .gid = place->gid, .mode = FILE_MODE & FILE_MASK, .mask = FILE_MASK,
	    .nlink = message ? 1 : 0, .may_be_empty = true };
	/*
	 * An empty header file is read as what it is, so that its body is not taken for one of a cut reception.
	 * What a transport returns is written without permissions for others, and no group; temporaries are anybody's.
	 */
	if (part == EXIM_PART_LEFT)
		*norm = (struct file_norm){ .uid = QUEUE_ID_ANY, .gid = QUEUE_ID_ANY, .may_be_empty = true };
}

static bool
know_name(const struct queue_layout *layout, const struct queue_file *file, struct queue_key *ret_key, uint32_t *ret_bit,
    struct file_norm *ret_norm)
{
	const struct queue_place *place = &layout->place[file->place];
	unsigned int queue = exim_queue_number(place->kind);
	struct exim_id id;
	enum exim_part part;

	if (!exim_name(exim_holds(place->kind), file->name, &part, &id))
		return false;
	*ret_key = exim_key_of(id);
	set_norm(place, part, ret_norm);
	/* A body or journal that was only just made by root: not even given to Exim's account yet. */
	if ((part == EXIM_PART_DATA || part == EXIM_PART_JOURNAL) && file->size == 0)
		ret_norm->uid = ret_norm->gid = QUEUE_ID_ANY;
	switch (part) {
	case EXIM_PART_HEADER:
	case EXIM_PART_DATA:
	case EXIM_PART_JOURNAL:
	case EXIM_PART_LOG:
		*ret_bit = EXIM_BIT(queue, part);
		break;
	case EXIM_PART_LEFT:
		*ret_bit = EXIM_BIT_LEFT;
		break;
	case EXIM_PART_HINTS:
		*ret_bit = EXIM_BIT_HINTS;
		break;
	case EXIM_PART_LOCK:
		*ret_bit = 0;
		break;
	}
	return true;
}

/* Leftovers wait, and go when they are old. */
static void
left_over(struct check *c, const struct queue_file *file, struct queue_key key, const char *what)
{
	bool old = file->mtime < check_options(c)->now - EXIM_LEFT_S;
	char path[CHECK_PATH_MAX];
	struct finding *f = check_find(c, 37, old ? CLASS_GARBAGE : CLASS_WAIT, PROBLEM_UNFINISHED, ACK_NO, file, key,
	    "%s%s", what, old ? "" : ", of the last 7 days");

	if (f != NULL && old)
		finding_remedy(f, REMEDY_QUARANTINE, check_file_path(c, file, path, sizeof path), NULL, file->ino);
}

/* scan/ID is a directory, with what a scanner was given. */
static bool
know_odd(struct check *c, const struct queue_file *file)
{
	if (exim_holds(check_layout(c)->place[file->place].kind) != EXIM_HOLDS_SCAN || QUEUE_TYPE(file->mode) != QUEUE_DIRECTORY)
		return false;
	left_over(c, file, no_key, "left by a content scan");
	return true;
}

static bool
is_right_place(const struct queue_layout *layout, const struct queue_file *file, char *want)
{
	struct exim_id id;
	enum exim_part part;
	char right[2] = "";

	if (layout->place[file->place].hash != QUEUE_EXIM || file->sub[0] == '\0' ||
	    !exim_name(exim_holds(layout->place[file->place].kind), file->name, &part, &id) || id.hi == 0)
		return true;
	right[0] = exim_id_subdir(id);
	if (strcmp(file->sub, right) == 0)
		return true;
	snprintf(want, CHECK_SUB_MAX, "%s", layout->split_spool ? right : "");
	return false;
}

static const char *
print_id(const struct queue_layout *layout, struct queue_key key, char *buf)
{
	(void)layout;
	return exim_id_print(exim_id_of(key), buf);
}

bool
exim_rules_belongs(const struct queue_layout *layout, struct exim_id id, uint32_t bit, uint16_t *ret_place, char sub[2])
{
	unsigned int number = (unsigned int)__builtin_ctz(bit), queue = number / EXIM_PARTS;
	uint8_t kind = exim_kind(number % EXIM_PARTS == EXIM_PART_LOG ? EXIM_HOLDS_LOGS : EXIM_HOLDS_INPUT, queue);

	if (queue >= EXIM_QUEUE_REST)
		return false;
	for (size_t i = 0; i < layout->places; i++) {
		if (layout->place[i].kind == kind) {
			*ret_place = (uint16_t)i;
			sub[0] = layout->split_spool ? exim_id_subdir(id) : '\0';
			sub[1] = '\0';
			return true;
		}
	}
	return false;
}

static const char *
path_of(const struct queue_layout *layout, struct queue_key key, uint32_t bit, char *buf)
{
	static const char *const suffix[EXIM_PARTS] = { "-H", "-D", "-J", "" };
	char text[EXIM_ID_SIZE], sub[2];
	uint16_t where;

	if ((bit & (EXIM_BIT_LEFT | EXIM_BIT_HINTS)) != 0 || !exim_rules_belongs(layout, exim_id_of(key), bit, &where, sub))
		return NULL;
	snprintf(buf, 512, "%s/%s%s%s%s", layout->place[where].path, sub, sub[0] != '\0' ? "/" : "",
	    exim_id_print(exim_id_of(key), text), suffix[__builtin_ctz(bit) % EXIM_PARTS]);
	return buf;
}

/* ---------------------------------------------------------------- one file */

static void
note_id(struct check *c, struct queue_key key)
{
	const struct queue_layout *layout = check_layout(c);
	struct exim_own *own = exim_own(c);
	struct exim_id mine = exim_id_of(key);

	if (exim_id_time(mine) > check_options(c)->now + check_options(c)->slack && own->future++ == 0)
		own->future_first = key;
	if (layout->id_length == EXIM_ID_SHORT && exim_id_length(mine) == EXIM_ID_LONG && own->too_long++ == 0)
		own->too_long_first = key;
}

/* Does it stand where the settings put it? Else it is kept whole, since its path does not follow from its name. */
static bool
stands_right(const struct check *c, const struct queue_file *file, struct queue_key key, uint32_t bit)
{
	uint16_t where;
	char sub[2];

	return exim_rules_belongs(check_layout(c), exim_id_of(key), bit, &where, sub) && where == file->place &&
	    strcmp(sub, file->sub) == 0;
}

/* Is it one that must be looked into before Exim starts, also where not all are? */
static bool
is_suspect(const struct check *c, const struct queue_file *file, struct queue_key key, unsigned int part)
{
	const struct check_options *o = check_options(c);

	if (part == EXIM_PART_JOURNAL)
		return file->size > 0;
	return part == EXIM_PART_HEADER && (file->size < HEADER_LEAST ||
	    exim_id_time(exim_id_of(key)) < o->now - EXIM_KEEP_MALFORMED + MALFORMED_MARGIN);
}

static bool
is_quiet(const struct queue_layout *layout, const struct queue_file *file, uint32_t bit)
{
	(void)layout;
	return (bit & (EXIM_BIT_LEFT | EXIM_BIT_HINTS)) == 0 && ((bit & EXIM_ALL(EXIM_PART_HEADER)) == 0 || file->size >= HEADER_LEAST);
}

static bool
see_file(struct check *c, const struct queue_file *file, struct queue_key key, uint32_t bit)
{
	unsigned int part = (unsigned int)__builtin_ctz(bit | EXIM_BIT_HINTS) % EXIM_PARTS;
	uint32_t more = 0;

	if (bit == EXIM_BIT_LEFT) {
		left_over(c, file, key, "a temporary file");
		return false;
	}
	if (bit == EXIM_BIT_HINTS) {
		check_ask(c, file, no_key, bit);
		return false;
	}
	if (bit == 0)
		return true;
	if (!stands_right(c, file, key, bit)) {
		check_keep(c, file, key, bit);
		more |= EXIM_MORE_ELSEWHERE << part;
	} else {
		more |= EXIM_MORE_HERE << part;
	}
	if (part == EXIM_PART_LOG)
		more = 0;
	if (file->nlink > 1)
		more |= EXIM_MORE_LINKED;
	if (part == EXIM_PART_DATA && file->size == 0)
		more |= EXIM_MORE_EMPTY;
	check_set(c, key, 0, more);
	if (part == EXIM_PART_HEADER)
		note_id(c, key);
	if (is_suspect(c, file, key, part))
		check_ask(c, file, key, bit);
	return true;
}

/*
 * spool_move_message() gives the body, the log and then the header a second name in the other queue, and takes the first names
 * away in the opposite order: what has its header is the message, and where both have, either is.
 */
static int
which_link_goes(struct check *c, const struct queue_file *a, struct queue_key key_a, uint32_t bit_a, const struct queue_file *b,
    struct queue_key key_b, uint32_t bit_b)
{
	unsigned int queue_a, queue_b;
	bool has_a, has_b;
	uint32_t parts;

	(void)a, (void)b;
	if (key_a.hi != key_b.hi || key_a.lo != key_b.lo || ((bit_a | bit_b) & (EXIM_BIT_LEFT | EXIM_BIT_HINTS)) != 0 ||
	    bit_a == 0 || bit_b == 0)
		return -1;
	queue_a = (unsigned int)__builtin_ctz(bit_a) / EXIM_PARTS;
	queue_b = (unsigned int)__builtin_ctz(bit_b) / EXIM_PARTS;
	parts = check_parts(c, key_a);
	has_a = (parts & EXIM_BIT(queue_a, EXIM_PART_HEADER)) != 0;
	has_b = (parts & EXIM_BIT(queue_b, EXIM_PART_HEADER)) != 0;
	if (queue_a == queue_b)
		return -1;
	if (has_a != has_b)
		return has_a ? 1 : 0;
	return queue_a < queue_b ? 1 : 0;
}

/* ---------------------------------------------------------------- all names are known */

/* Header and body, and the journal where there is one: in one queue, and there in one directory, once each. */
static bool
is_pair(uint32_t parts, uint32_t more)
{
	uint32_t headers = parts & EXIM_ALL(EXIM_PART_HEADER), bodies = parts & EXIM_ALL(EXIM_PART_DATA);
	uint32_t journals = parts & EXIM_ALL(EXIM_PART_JOURNAL), where = EXIM_MORE_HERE | EXIM_MORE_ELSEWHERE;

	if (headers == 0 || (headers & (headers - 1)) != 0 || bodies != headers << EXIM_PART_DATA ||
	    (parts & CHECK_TWICE) != 0 || (more & EXIM_MORE_EMPTY) != 0 || (more & where) != (more >> EXIM_PART_DATA & where))
		return false;
	return journals == 0 || (journals == headers << EXIM_PART_JOURNAL && (more & where) == (more >> EXIM_PART_JOURNAL & where));
}

static void
join_row(struct check *c, struct queue_key key, uint32_t parts, uint32_t more, void *arg)
{
	(void)arg;
	if (is_pair(parts, more))
		return;
	/* rule 3 drops one of its names; what is to be seen then comes up at the next look */
	if ((more & EXIM_MORE_LINKED) != 0)
		return;
	exim_case_open(c, key);
}

static void
join_all(struct check *c)
{
	const struct exim_own *own = exim_own(c);
	struct finding *f;

	check_each(c, join_row, NULL);
	if (own->future > 0) {
		f = check_find(c, 38, CLASS_REPORT, PROBLEM_BAD_TIME, ACK_YES, NULL, own->future_first,
		    "its id is of a time to come (%" PRId64 " s ahead): the clock of the node that took it was ahead, or this one's is behind",
		    exim_id_time(exim_id_of(own->future_first)) - check_options(c)->now);
		if (f != NULL)
			f->count = own->future;
	}
	if (own->too_long > 0) {
		f = check_find(c, 30, CLASS_REPORT, PROBLEM_BAD_NAME, ACK_YES, NULL, own->too_long_first,
		    "its id has %d characters, as since Exim 4.97: the Exim that is installed here does not see the message", EXIM_ID_LONG);
		if (f != NULL)
			f->count = own->too_long;
	}
}

/* ---------------------------------------------------------------- what was read */

/* The lines of the body, by who is read first; the other one is compared with them. False: they differ. */
static bool
same_lines(struct check *c, struct queue_key key, bool header, uint64_t lines)
{
	uint32_t more = check_more(c, key), mine = (uint32_t)lines & EXIM_LINES_MASK;

	if ((more & EXIM_MORE_LINES) == 0)
		check_set(c, key, 0, EXIM_MORE_LINES | (header ? EXIM_MORE_FROM_HEADER : 0) | mine << EXIM_LINES_SHIFT);
	return (more & EXIM_MORE_LINES) == 0 || ((more & EXIM_MORE_FROM_HEADER) != 0) == header || more >> EXIM_LINES_SHIFT == mine;
}

/* A case may be opened when all names are known, and not before. */
static bool
is_plain(struct check *c, const struct queue_file *file, struct queue_key key, uint32_t bit, const struct queue_content *content)
{
	unsigned int part = (unsigned int)__builtin_ctz(bit) % EXIM_PARTS;

	(void)file;
	if (content->bad || (content->bits & (EXIM_READ_OTHER | EXIM_READ_NUL | EXIM_READ_OPEN)) != 0)
		return false;
	return (content->bits & EXIM_READ_COUNT) == 0 || (part != EXIM_PART_HEADER && part != EXIM_PART_DATA) ||
	    same_lines(c, key, part == EXIM_PART_HEADER, content->number[2]);
}

static void
take_content(struct check *c, const struct queue_file *file, struct queue_key key, uint32_t bit, const struct queue_content *content)
{
	char path[CHECK_PATH_MAX];
	struct finding *f;

	if (bit == EXIM_BIT_HINTS) {
		f = !content->bad ? NULL : check_find(c, 36, CLASS_GARBAGE, PROBLEM_BAD_HINTS, ACK_NO, file, no_key,
		    "%s; with such a file Exim writes hundreds of lines into its log and may deliver nothing", content->what);
		if (f != NULL)
			finding_remedy(f, REMEDY_QUARANTINE, check_file_path(c, file, path, sizeof path), NULL, file->ino);
		return;
	}
	if (!is_plain(c, file, key, bit, content))
		exim_case_open(c, key);
	exim_case_seen(c, file, key, bit, content);
}

/* ---------------------------------------------------------------- by names alone */

enum { NAMED_HEADER = 1 << 0, NAMED_DATA = 1 << 1, NAMED_JOURNAL = 1 << 2, NAMED_LOG = 1 << 3 };

static enum named_verdict
named_part(const struct queue_layout *layout, const struct queue_file *file, struct exim_id id, enum exim_part part, int64_t now,
    struct named *ret)
{
	uint16_t where;
	char sub[2];

	/* one that stands in another place than the settings say may be there a second time */
	if (!exim_rules_belongs(layout, id, EXIM_BIT(0, part), &where, sub) || where != file->place || strcmp(sub, file->sub) != 0)
		return NAMED_DOUBT;
	ret->key = (id.hi * UINT64_C(0x9e3779b97f4a7c15)) ^ id.lo;
	switch (part) {
	case EXIM_PART_HEADER:
		ret->has = NAMED_HEADER;
		ret->needs = NAMED_DATA;
		/* one so old that Exim would delete the message, did it not parse */
		return exim_id_time(id) < now - EXIM_KEEP_MALFORMED + MALFORMED_MARGIN ? NAMED_READ : NAMED_RIGHT;
	case EXIM_PART_DATA:
		ret->has = NAMED_DATA;
		return NAMED_RIGHT;
	case EXIM_PART_JOURNAL:
		ret->has = NAMED_JOURNAL;
		ret->needs = NAMED_HEADER;
		return NAMED_READ;
	case EXIM_PART_LOG:
		ret->has = NAMED_LOG;
		return NAMED_RIGHT;
	case EXIM_PART_LEFT: case EXIM_PART_HINTS: case EXIM_PART_LOCK:
		break;
	}
	return NAMED_DOUBT;
}

static enum named_verdict
named(const struct queue_layout *layout, const struct queue_file *file, int64_t now, struct named *ret)
{
	uint8_t kind = layout->place[file->place].kind;
	enum exim_holds holds = exim_holds(kind);
	enum exim_part part;
	struct exim_id id;

	if (holds == EXIM_HOLDS_SCAN || holds == EXIM_HOLDS_OLD_LOGS)
		return NAMED_RIGHT;
	if (QUEUE_TYPE(file->mode) != QUEUE_REGULAR || !exim_name(holds, file->name, &part, &id))
		return NAMED_DOUBT;
	if (part == EXIM_PART_LEFT || part == EXIM_PART_LOCK)
		return NAMED_RIGHT;
	if (part == EXIM_PART_HINTS)
		return NAMED_READ;
	return exim_queue_number(kind) == EXIM_QUEUE_DEFAULT ? named_part(layout, file, id, part, now, ret) : NAMED_DOUBT;
}

static bool
holds_logs(const struct queue_place *place)
{
	return exim_holds(place->kind) == EXIM_HOLDS_LOGS;
}

/* A body alone is a reception that was cut off, unless its log says that the message was taken. */
static const struct named_whole named_whole = {
	.message = NAMED_HEADER, .lone = NAMED_DATA, .later = holds_logs, .bad_bits = EXIM_READ_OTHER | EXIM_READ_NUL | EXIM_READ_OPEN };

const struct rules rules_exim = {
	.mta = "exim",
	.message_bits = EXIM_ALL(EXIM_PART_HEADER),
	.unread_bits = EXIM_ALL(EXIM_PART_LOG) | EXIM_BIT_LEFT | EXIM_BIT_HINTS,
	.named = named,
	.named_whole = &named_whole,
	.log = holds_logs,
	.name = know_name,
	.odd = know_odd,
	.place = is_right_place,
	.id = print_id,
	.path = path_of,
	.file = see_file,
	.quiet = is_quiet,
	.linked = which_link_goes,
	.plain = is_plain,
	.join = join_all,
	.read = exim_rules_read,
	.content = take_content,
	.end = exim_cases_judge,
};
