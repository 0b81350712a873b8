/*
 * queuesync/finding.c - findings and their remedies as plain data, their words, their order, the verdict.
 * Pure.
 */
#include "queuesync/finding.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/need.h"
#include "mta/queue.h"

#define DETAIL_MAX 600

static const char *const class_words[CLASS_COUNT] = {
	[CLASS_REPAIR] = "repair",
	[CLASS_PROMOTE] = "promote",
	[CLASS_WAIT] = "wait",
	[CLASS_GARBAGE] = "garbage",
	[CLASS_QUARANTINE] = "quarantine",
	[CLASS_STRAY] = "stray",
	[CLASS_REPORT] = "report",
};

static const char *const problem_words[PROBLEM_COUNT] = {
#define X(id, word) [PROBLEM_##id] = word,
	PROBLEMS(X)
#undef X
};

const char *
class_word(enum finding_class class)
{
	return class_words[class];
}

const char *
problem_word(enum problem problem)
{
	return problem_words[problem];
}

const char *
acknowledged_word(enum acknowledged acknowledged)
{
	return acknowledged == ACK_YES ? "yes" : acknowledged == ACK_MAYBE ? "maybe" : "no";
}

const char *
verdict_word(enum verdict verdict)
{
	static const char *const words[] = {
		[VERDICT_CONSISTENT] = "consistent",
		[VERDICT_REPAIRABLE] = "repairable",
		[VERDICT_DAMAGED] = "damaged",
		[VERDICT_REPAIRED] = "repaired",
	};

	return words[verdict];
}

struct finding *
finding_add(struct findings *list, unsigned int rule, enum finding_class class, enum problem problem,
    enum acknowledged acknowledged, const char *path, const char *message, const char *detail, ...)
{
	char text[DETAIL_MAX];
	struct finding *f;
	va_list ap;

	va_start(ap, detail);
	vsnprintf(text, sizeof text, detail, ap);
	va_end(ap);
	if (list->len == list->room) {
		list->room = list->room == 0 ? 16 : 2 * list->room;
		list->at = need(reallocarray(list->at, list->room, sizeof *list->at));
	}
	f = &list->at[list->len++];
	*f = (struct finding){ .rule = (uint8_t)rule, .class = class, .problem = problem, .acknowledged = acknowledged,
	    .count = 1, .path = need(strdup(path)), .detail = need(strdup(text)) };
	if (message != NULL)
		f->message = need(strdup(message));
	return f;
}

struct remedy *
finding_remedy(struct finding *f, enum remedy_kind kind, const char *path, const char *to, uint64_t ino)
{
	size_t n = f->remedies;
	struct remedy *r;

	if ((n & (n - 1)) == 0)
		f->remedy = need(reallocarray(f->remedy, n == 0 ? 1 : 2 * n, sizeof *f->remedy));
	r = &f->remedy[f->remedies++];
	*r = (struct remedy){ .kind = kind, .path = need(strdup(path)), .ino = ino, .size = UINT64_MAX, .uid = QUEUE_ID_ANY,
	    .gid = QUEUE_ID_ANY, .old_uid = QUEUE_ID_ANY, .old_gid = QUEUE_ID_ANY };
	if (to != NULL)
		r->to = need(strdup(to));
	return r;
}

void
finding_sender(struct finding *f, const char *sender)
{
	free(f->sender);
	f->sender = sender == NULL ? NULL : need(strdup(sender));
}

void
finding_recipient(struct finding *f, const char *address)
{
	size_t n = f->recipients;

	if ((n & (n - 1)) == 0)
		f->recipient = need(reallocarray(f->recipient, n == 0 ? 1 : 2 * n, sizeof *f->recipient));
	f->recipient[f->recipients++] = need(strdup(address));
}

/* ---------------------------------------------------------------- the list */

static int
order_text(const char *a, const char *b)
{
	return strcmp(a != NULL ? a : "", b != NULL ? b : "");
}

/* By class, rule, path: what the reader wants first. All that tells two findings apart but the sentence. */
static int
order_key(const void *left, const void *right)
{
	const struct finding *a = left, *b = right;
	int by;

	if (a->class != b->class)
		return a->class < b->class ? -1 : 1;
	if (a->rule != b->rule)
		return a->rule < b->rule ? -1 : 1;
	if ((by = strcmp(a->path, b->path)) != 0)
		return by;
	if (a->problem != b->problem)
		return a->problem < b->problem ? -1 : 1;
	return order_text(a->message, b->message);
}

static int
order(const void *left, const void *right)
{
	const struct finding *a = left, *b = right;
	int by = order_key(a, b);

	return by != 0 ? by : strcmp(a->detail, b->detail);
}

void
findings_sort(struct findings *list)
{
	if (list->len > 1)
		qsort(list->at, list->len, sizeof *list->at, order);
}

static void
finding_free(struct finding *f)
{
	for (size_t i = 0; i < f->remedies; i++) {
		free(f->remedy[i].path);
		free(f->remedy[i].to);
	}
	for (size_t i = 0; i < f->recipients; i++)
		free(f->recipient[i]);
	free(f->remedy);
	free(f->recipient);
	free(f->path);
	free(f->message);
	free(f->detail);
	free(f->action);
	free(f->sender);
}

void
findings_free(struct findings *list)
{
	for (size_t i = 0; i < list->len; i++)
		finding_free(&list->at[i]);
	free(list->at);
	*list = (struct findings){ 0 };
}

enum verdict
findings_verdict(const struct findings *list)
{
	enum verdict verdict = VERDICT_CONSISTENT;

	for (size_t i = 0; i < list->len; i++) {
		if (list->at[i].damages)
			return VERDICT_DAMAGED;
		if (list->at[i].class != CLASS_WAIT && list->at[i].class != CLASS_REPORT)
			verdict = VERDICT_REPAIRABLE;
	}
	return verdict;
}

void
findings_both(struct findings *list, const struct findings *other)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->len; i++) {
		if (other->len > 0 && bsearch(&list->at[i], other->at, other->len, sizeof *other->at, order_key) != NULL)
			list->at[kept++] = list->at[i];
		else
			finding_free(&list->at[i]);
	}
	list->len = kept;
}
