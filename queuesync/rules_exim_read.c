/*
 * queuesync/rules_exim_read.c - one file of Exim's queue: what the rules and the list of messages want of it. Pure; called from
 * several threads at once.
 */
#include "queuesync/rules_exim.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mta/exim_data.h"

#define DONE_MAX 262144		/* addresses of a tree that are remembered; what is beyond counts as not done */

/* Addresses by their numbers: who has it, and who has not. */
struct addresses {
	struct queue_message	*message;
	uint64_t		*done;
	size_t			 dones, room;
	bool			 sorted;
	uint64_t		 left, sum, identity;
};

/* Of an address; the case of its domain does not matter. */
static uint64_t
number_of(const char *address, size_t len)
{
	const char *at = memrchr(address, '@', len);
	uint64_t number = 0xcbf29ce484222325u;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)address[i];

		number = (number ^ (at != NULL && address + i > at ? (unsigned char)tolower(c) : c)) * 0x100000001b3u;
	}
	return number ^ number >> 29;
}

static void
mix(struct addresses *a, uint64_t number)
{
	a->identity = (a->identity ^ number) * 0x9e3779b97f4a7c15u;
	a->identity ^= a->identity >> 32;
}

static void
hear_sender(void *arg, const char *address, size_t len)
{
	struct addresses *a = arg;

	mix(a, number_of(address, len));
	if (a->message != NULL) {
		free(a->message->sender);
		a->message->sender = strndup(address, len);
	}
}

static void
hear_done(void *arg, const char *address, size_t len)
{
	struct addresses *a = arg;

	if (a->dones == a->room && a->room < DONE_MAX) {
		size_t room = a->room == 0 ? 16 : 4 * a->room;
		uint64_t *more = reallocarray(a->done, room, sizeof *more);

		if (more == NULL)
			return;
		a->done = more;
		a->room = room;
	}
	if (a->dones < a->room)
		a->done[a->dones++] = number_of(address, len);
}

static int
order(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return a < b ? -1 : a > b;
}

/* All done addresses come before the first recipient. */
static void
hear_recipient(void *arg, const char *address, size_t len)
{
	struct addresses *a = arg;
	uint64_t number = number_of(address, len);
	bool done;

	if (!a->sorted && a->dones > 1)
		qsort(a->done, a->dones, sizeof *a->done, order);
	a->sorted = true;
	done = a->dones > 0 && bsearch(&number, a->done, a->dones, sizeof number, order) != NULL;
	mix(a, number);
	if (!done) {
		a->left++;
		a->sum += number;
	}
	if (a->message != NULL)
		queue_message_add(a->message, address, len, done);
}

static void
say(struct queue_content *ret, enum problem problem, const char *text)
{
	ret->bad = true;
	ret->problem = problem;
	snprintf(ret->what, sizeof ret->what, "%s", text);
}

/* A disk that does not read is no damage: the reader of the files tells of it. */
static void
say_trouble(struct queue_content *ret, const struct exim_trouble *trouble)
{
	static const enum problem problem[] = { [EXIM_FAULT_NONE] = PROBLEM_BAD_RECORD, [EXIM_FAULT_EMPTY] = PROBLEM_EMPTY,
		[EXIM_FAULT_CUT] = PROBLEM_TRUNCATED, [EXIM_FAULT_NUL] = PROBLEM_NUL_TAIL,
		[EXIM_FAULT_FORM] = PROBLEM_BAD_RECORD, [EXIM_FAULT_READ] = PROBLEM_BAD_RECORD };
	char text[160];

	if (trouble->fault != EXIM_FAULT_READ)
		say(ret, problem[trouble->fault], exim_trouble_text(trouble, text, sizeof text));
}

/* Is the id of the first line that of the name? */
static void
compare_name(struct queue_content *ret, struct exim_id said, struct exim_id name)
{
	char a[EXIM_ID_SIZE];

	if (said.hi == name.hi && said.lo == name.lo)
		return;
	ret->bits |= EXIM_READ_OTHER;
	ret->number[0] = said.hi;
	ret->number[1] = said.lo;
	snprintf(ret->what, sizeof ret->what, "its first line says that it is %s", exim_id_print(said, a));
}

static void
fill_message(struct queue_message *message, const struct queue_layout *layout, const struct queue_file *file,
    struct exim_id id, const struct exim_header *header)
{
	char buf[EXIM_ID_SIZE];

	if (message->id == NULL)
		message->id = strdup(exim_id_print(id, buf));
	message->arrived = header->received;
	message->size += header->header_bytes + 1;
	message->state = header->frozen != 0 || exim_queue_number(layout->place[file->place].kind) == EXIM_QUEUE_FROZEN ?
	    "frozen" : "deferred";
}

static void
read_header(const struct queue_layout *layout, const struct queue_file *file, struct queue_source *source, struct exim_id id,
    struct queue_content *ret, struct queue_message *message)
{
	struct addresses a = { .message = message };
	struct exim_listener listener = { hear_sender, hear_done, hear_recipient, &a };
	struct exim_header header;
	struct exim_trouble trouble;

	if (!exim_header_read(source, &listener, &header, &trouble)) {
		say_trouble(ret, &trouble);
	} else {
		ret->number[0] = a.left;
		ret->number[1] = a.sum;
		compare_name(ret, header.id, id);
		mix(&a, (uint64_t)header.received);
		ret->number[3] = a.identity;
		if (a.left == 0)
			ret->bits |= EXIM_READ_DONE;
		if (header.body_lines >= 0 && !header.wireformat) {
			ret->bits |= EXIM_READ_COUNT;
			ret->number[2] = (uint64_t)header.body_lines;
		}
	}
	if (message != NULL)
		fill_message(message, layout, file, id, &header);
	free(a.done);
}

static void
read_data(struct queue_source *source, struct exim_id id, struct queue_content *ret, struct queue_message *message)
{
	struct exim_data data;
	struct exim_trouble trouble;

	if (!exim_data_read(source, message == NULL, &data, &trouble)) {
		say_trouble(ret, &trouble);
		return;
	}
	compare_name(ret, data.id, id);
	ret->bits |= EXIM_READ_COUNT | (data.nul_end ? EXIM_READ_NUL : 0);
	ret->number[2] = data.lines;
	ret->number[3] = data.sum ^ data.size;
	if (message != NULL)
		message->size += data.size;
}

/* Of a journal: who had it when the delivery was cut. The recipients by their numbers, in order. */
struct recipient { uint64_t number; size_t at; };
struct journal { struct queue_message *message; struct recipient *known; size_t knowns; uint64_t sum; };

static int
order_recipients(const void *left, const void *right)
{
	uint64_t a = ((const struct recipient *)left)->number, b = ((const struct recipient *)right)->number;

	return a < b ? -1 : a > b;
}

static void
know_recipients(struct journal *j)
{
	const struct queue_message *m = j->message;

	j->known = m != NULL && m->recipients > 0 ? calloc(m->recipients, sizeof *j->known) : NULL;
	if (j->known == NULL)
		return;
	j->knowns = m->recipients;
	for (size_t i = 0; i < m->recipients; i++)
		j->known[i] = (struct recipient){ number_of(m->recipient[i].address, strlen(m->recipient[i].address)), i };
	qsort(j->known, j->knowns, sizeof *j->known, order_recipients);
}

static void
hear_delivered(void *arg, const char *address, size_t len)
{
	struct journal *j = arg;
	struct recipient like = { .number = number_of(address, len) };
	const struct recipient *found = NULL;

	j->sum += like.number;
	if (j->knowns > 0)
		found = bsearch(&like, j->known, j->knowns, sizeof like, order_recipients);
	if (found != NULL)
		j->message->recipient[found->at].done = true;
}

static void
read_journal(struct queue_source *source, struct queue_content *ret, struct queue_message *message)
{
	struct journal j = { .message = message };
	struct exim_journal journal;
	struct exim_trouble trouble;

	know_recipients(&j);
	if (!exim_journal_read(source, hear_delivered, &j, &journal, &trouble))
		say_trouble(ret, &trouble);
	ret->number[0] = journal.addresses;
	ret->number[1] = j.sum;
	if (journal.open_end)
		ret->bits |= EXIM_READ_OPEN;
	if (message != NULL && message->state != NULL && strcmp(message->state, "deferred") == 0)
		message->state = "active";
	free(j.known);
}

static void
read_hints(const struct queue_file *file, struct queue_source *source, struct queue_content *ret)
{
	const char *dot = strrchr(file->name, '.'), *kind;
	struct exim_trouble trouble;

	/* NDBM's two files, and a journal of SQLite, have no mark to be known by */
	if ((dot != NULL && (strcmp(dot, ".dir") == 0 || strcmp(dot, ".pag") == 0)) || strstr(file->name, "-journal") != NULL)
		return;
	if (!exim_hints_read(source, true, &kind, &trouble))
		say_trouble(ret, &trouble);
}

void
exim_rules_read(const struct queue_layout *layout, const struct queue_file *file, struct queue_source *source,
    struct queue_content *ret, struct queue_message *message)
{
	enum exim_part part;
	struct exim_id id;

	if (!exim_name(exim_holds(layout->place[file->place].kind), file->name, &part, &id))
		return;
	switch (part) {
	case EXIM_PART_HEADER:
		read_header(layout, file, source, id, ret, message);
		break;
	case EXIM_PART_DATA:
		read_data(source, id, ret, message);
		break;
	case EXIM_PART_JOURNAL:
		read_journal(source, ret, message);
		break;
	case EXIM_PART_HINTS:
		read_hints(file, source, ret);
		break;
	case EXIM_PART_LOG:
	case EXIM_PART_LEFT:
	case EXIM_PART_LOCK:
		break;
	}
}
