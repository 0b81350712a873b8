/*
 * queuesync/output.c - reports and messages as JSON and as text. What comes out of a queue is shown without the control
 * characters that a terminal would obey.
 */
#include "queuesync/output.h"

#include <inttypes.h>
#include <string.h>

#include "common/clock.h"
#include "common/utf8.h"

#define SHOWN_MAX 1100
#define YEAR_9999 INT64_C(253402300799)	/* its last second */

static void
sink(void *arg, const char *bytes, size_t len)
{
	/* A reader that went away is noticed by the stream; there is nobody else to tell. */
	if (fwrite(bytes, 1, len, arg) != len)
		return;
}

void
output_begin(struct output *o, FILE *to)
{
	o->to = to;
	json_stream(&o->json, o->buffer, sizeof o->buffer, sink, to);
}

void
output_end(struct output *o)
{
	json_finish(&o->json);
}

/* ---------------------------------------------------------------- reports */

static void
finding_json(struct json *j, const struct finding *f)
{
	json_object(j, NULL);
	json_string(j, "class", class_word(f->class));
	json_string(j, "problem", problem_word(f->problem));
	json_string(j, "path", f->path);
	json_string(j, "message", f->message);
	json_string(j, "acknowledged", acknowledged_word(f->acknowledged));
	json_string(j, "action", f->action);
	json_string(j, "detail", f->detail);
	json_uint(j, "rule", f->rule);
	json_uint(j, "count", f->count);
	if (f->sender != NULL || f->recipients > 0) {
		json_string(j, "sender", f->sender);
		json_array(j, "recipients");
		for (size_t i = 0; i < f->recipients; i++)
			json_string(j, NULL, f->recipient[i]);
		json_array_end(j);
	}
	json_object_end(j);
}

void
output_report_json(struct json *j, const struct report *r)
{
	json_object(j, NULL);
	json_lines(j, j->depth + 1);
	json_string(j, "mta", r->mta);
	json_string(j, "queue", r->queue);
	json_uint(j, "messages", r->messages);
	json_uint(j, "files", r->files);
	json_uint(j, "took_ms", r->took_ms);
	json_bool(j, "deep", r->deep);
	json_bool(j, "live", r->live);
	json_bool(j, "complete", !r->cut);
	json_string(j, "verdict", verdict_word(r->verdict));
	if (r->run != NULL)
		json_string(j, "run", r->run);
	json_array(j, "findings");
	for (size_t i = 0; i < r->findings->len; i++)
		finding_json(j, &r->findings->at[i]);
	json_array_end(j);
	json_object_end(j);
}

static void
finding_text(FILE *to, const struct finding *f)
{
	char path[SHOWN_MAX], detail[SHOWN_MAX];

	fprintf(to, "  %-10s %-19s %s", class_word(f->class), problem_word(f->problem),
	    f->path[0] != '\0' ? utf8_shown(f->path, path, sizeof path) : "(the queue)");
	if (f->count > 1)
		fprintf(to, " and more, %" PRIu64 " in all", f->count);
	fprintf(to, "\n             %s\n", utf8_shown(f->detail, detail, sizeof detail));
	if (f->sender != NULL || f->recipients > 0)
		fprintf(to, "             from <%s>", f->sender != NULL ? utf8_shown(f->sender, path, sizeof path) : "?");
	for (size_t i = 0; i < f->recipients; i++)
		fprintf(to, "%s<%s>", i == 0 ? " to " : ", ", utf8_shown(f->recipient[i], path, sizeof path));
	if (f->sender != NULL || f->recipients > 0)
		putc('\n', to);
	if (f->action != NULL)
		fprintf(to, "             done: %s\n", utf8_shown(f->action, detail, sizeof detail));
}

void
output_report_text(FILE *to, const struct report *r)
{
	char queue[SHOWN_MAX];

	fprintf(to, "%s queue %s: %s (%s pass, %" PRIu64 " messages, %" PRIu64 " files, %" PRIu64 " ms)\n", r->mta,
	    utf8_shown(r->queue, queue, sizeof queue), verdict_word(r->verdict), r->deep ? "deep" : "fast", r->messages,
	    r->files, r->took_ms);
	if (r->live)
		fputs("  It was being worked on: only what a second look has confirmed is listed.\n", to);
	if (r->cut)
		fputs("  The time was over before all files were looked at.\n", to);
	for (size_t i = 0; i < r->findings->len; i++)
		finding_text(to, &r->findings->at[i]);
	if (r->run != NULL)
		fprintf(to, "  What was put aside is in %s/%s; \"mailpair queue restore %s\" puts it back.\n", QUEUE_QUARANTINE, r->run, r->run);
}

void
output_report_brief(FILE *to, const struct report *r)
{
	const struct finding *worst = NULL;
	char path[SHOWN_MAX], detail[SHOWN_MAX];
	uint64_t findings = 0, damaged = 0;

	for (size_t i = 0; i < r->findings->len; i++) {
		const struct finding *f = &r->findings->at[i];

		if (f->class == CLASS_WAIT || f->class == CLASS_REPORT)
			continue;
		findings += f->count;
		damaged += f->damages ? f->count : 0;
		if (worst == NULL || (f->damages && !worst->damages))
			worst = f;
	}
	fprintf(to, "queue-verdict %s\nqueue-messages %" PRIu64 "\nqueue-findings %" PRIu64 "\nqueue-damaged %" PRIu64
	    "\nqueue-took %" PRIu64 "\nqueue-cut %s\n", verdict_word(r->verdict), r->messages, findings, damaged, r->took_ms,
	    r->cut ? "yes" : "no");
	if (worst != NULL)
		fprintf(to, "queue-text %s %s%s: %s\n", problem_word(worst->problem), worst->path[0] != '\0' ? "at " : "",
		    utf8_shown(worst->path, path, sizeof path), utf8_shown(worst->detail, detail, sizeof detail));
}

/* ---------------------------------------------------------------- messages */

/* NULL where the time is not known, or is none that a calendar has. */
static const char *
arrived(const struct queue_message *m, char buf[CLOCK_RFC3339_MAX])
{
	if (m->arrived <= 0 || m->arrived > YEAR_9999)
		return NULL;
	return clock_rfc3339((uint64_t)m->arrived * 1000, buf);
}

void
output_message_json(struct json *j, const char *mta, const struct queue_message *m)
{
	char when[CLOCK_RFC3339_MAX];

	json_object(j, NULL);
	json_string(j, "id", m->id);
	json_string(j, "mta", mta);
	json_string(j, "state", m->state);
	json_uint(j, "size", m->size);
	json_string(j, "arrived", arrived(m, when));
	json_string(j, "sender", m->sender);
	json_array(j, "recipients");
	for (size_t i = 0; i < m->recipients; i++) {
		json_object(j, NULL);
		json_string(j, "address", m->recipient[i].address);
		json_bool(j, "done", m->recipient[i].done);
		json_object_end(j);
	}
	json_array_end(j);
	json_object_end(j);
}

void
output_messages_head(FILE *to)
{
	fprintf(to, "%-24s %-8s %-9s %10s  %-20s  %s\n", "message", "program", "state", "bytes", "arrived", "from, to");
}

void
output_message_text(FILE *to, const char *mta, const struct queue_message *m)
{
	char when[CLOCK_RFC3339_MAX], id[64], address[SHOWN_MAX];
	const char *since = arrived(m, when);

	fprintf(to, "%-24s %-8s %-9s %10" PRIu64 "  %-20s  %s%s%s\n", utf8_shown(m->id, id, sizeof id), mta, m->state, m->size,
	    since != NULL ? since : "?", m->sender != NULL ? "<" : "",
	    m->sender != NULL ? utf8_shown(m->sender, address, sizeof address) : "?", m->sender != NULL ? ">" : "");
	for (size_t i = 0; i < m->recipients; i++)
		fprintf(to, "%-78s  %s%s\n", "", utf8_shown(m->recipient[i].address, address, sizeof address),
		    m->recipient[i].done ? " (done)" : "");
}
