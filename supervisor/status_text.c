/*
 * supervisor/status_text.c - the snapshot for people: aligned, short, and what to do next.
 *
 * Pure; mailpaird calls it for "status". A healthy pair fits a terminal of 80 x 24. The verdict
 * comes from status_json.c, the problems and their advice from the engine.
 */
#include "supervisor/status.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"

#define WIDTH 79
#define DURATION_MAX 24

struct text {
	char	*buf;
	size_t	 size, len;	/* len: needed so far */
};

static void __attribute__((format(printf, 2, 3)))
add(struct text *t, const char *fmt, ...)
{
	size_t room = t->len < t->size ? t->size - t->len : 0;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(room > 0 ? t->buf + t->len : NULL, room, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->len += (size_t)n;
}

/* Words of a sentence on lines of at most WIDTH columns; the first follows what stands there
 * already. */
static void
add_wrapped(struct text *t, size_t column, size_t indent, const char *sentence)
{
	while (*sentence != '\0') {
		size_t word = strcspn(sentence, " ");

		if (column > indent && column + 1 + word > WIDTH) {
			add(t, "\n%*s", (int)indent, "");
			column = indent;
		} else if (column > indent) {
			add(t, " ");
			column++;
		}
		add(t, "%.*s", (int)word, sentence);
		column += word;
		sentence += word;
		sentence += strspn(sentence, " ");
	}
	add(t, "\n");
}

/* "0.21 ms", "103 ms", "2.5 s", "4 min", "3 h", "2 d": at most three figures */
static const char *
duration(uint64_t us, char buf[DURATION_MAX])
{
	uint64_t ms = us / 1000, s = ms / 1000;

	if (us < 10000)
		snprintf(buf, DURATION_MAX, "%" PRIu64 ".%02" PRIu64 " ms", ms, us % 1000 / 10);
	else if (ms < 1000)
		snprintf(buf, DURATION_MAX, "%" PRIu64 " ms", ms);
	else if (s < 100)
		snprintf(buf, DURATION_MAX, "%" PRIu64 ".%" PRIu64 " s", s, ms % 1000 / 100);
	else if (s < 120 * 60)
		snprintf(buf, DURATION_MAX, "%" PRIu64 " min", s / 60);
	else if (s < 48 * 3600)
		snprintf(buf, DURATION_MAX, "%" PRIu64 " h", s / 3600);
	else
		snprintf(buf, DURATION_MAX, "%" PRIu64 " d", s / 86400);
	return buf;
}

static const char *
known(enum fact fact, const char *yes, const char *no, const char *unknown)
{
	switch (fact) {
	case FACT_YES:
		return yes;
	case FACT_NO:
		return no;
	case FACT_UNKNOWN:
	case FACT_COUNT:
		break;
	}
	return unknown;
}

static void
add_headline(struct text *t, const struct status *s)
{
	char until[CLOCK_RFC3339_MAX];

	if (s->maintenance && s->maintenance_there)
		add(t, "*** MAINTENANCE (set on %s): no move, no restart, no fence ***\n", s->peer);
	else if (s->maintenance && s->maintenance_until_wall_ms != 0)
		add(t, "*** MAINTENANCE until %s: no move, no restart, no fence ***\n",
		    clock_rfc3339(s->maintenance_until_wall_ms, until));
	else if (s->maintenance)
		add(t, "*** MAINTENANCE without end: no move, no restart, no fence ***\n");
	add(t, "pair %s: %s", s->pair, status_healthy(s) ? "healthy" : "NOT HEALTHY");
	if (s->problems > 0)
		add(t, ", %zu problem%s (below)", s->problems, s->problems == 1 ? "" : "s");
	add(t, "; takeover %s\n", s->automatic_takeover ? "automatic" : "by operator only");
	if (s->doing[0] != '\0')
		add(t, "%s is %s: %s\n", s->node, role_name(s->role), s->doing);
}

static void
add_nodes(struct text *t, const struct status *s)
{
	int width = 8, names[2] = { (int)strlen(s->node), (int)strlen(s->peer) };
	bool heard = s->peer_view == VIEW_ALIVE || s->peer_view == VIEW_LATE;
	char offset[DURATION_MAX], role[24];

	/* what it was when it was last heard is not what it is */
	snprintf(role, sizeof(role), heard || !s->peer_role_known ? "%s" : "(%s)",
	    s->peer_role_known ? role_name(s->peer_role) : "unknown");
	for (int i = 0; i < 2; i++)
		width = names[i] > width ? names[i] : width;
	add(t, "\n%-*s  %-10s  %-8s  %6s  %s\n", width, "NODE", "ROLE", "SEEN AS", "TENURE",
	    "SPOOL");
	add(t, "%-*s  %-10s  %-8s  %6" PRIu64 "  %s\n", width, s->node, role_name(s->role), "here",
	    s->tenure, known(s->mounted, "mounted", "not mounted", "unknown"));
	add(t, "%-*s  %-10s  %-8s  %6" PRIu64 "  %s", width, s->peer, role, view_name(s->peer_view),
	    s->peer_tenure, known(s->peer_holds, "mounted", "not mounted", "unknown"));
	if (s->clock_offset_ms != INT64_MIN &&
	    (s->clock_offset_ms > 1000 || s->clock_offset_ms < -1000))
		add(t, ", clock %s %s",
		    duration((uint64_t)(s->clock_offset_ms < 0 ? -s->clock_offset_ms
							       : s->clock_offset_ms) *
				 1000,
			offset),
		    s->clock_offset_ms < 0 ? "behind" : "ahead");
	add(t, "\n");
	if (s->proof != PROOF_NONE) {
		add(t, "%*s", width + 2, "");
		add_wrapped(t, (size_t)width + 2, (size_t)width + 2, s->proof_text);
	}
}

static void
add_links(struct text *t, const struct status *s)
{
	char heard[DURATION_MAX], rtt[DURATION_MAX], p50[DURATION_MAX], p99[DURATION_MAX],
	    max[DURATION_MAX];
	int width = 8;

	for (size_t i = 0; i < s->links; i++)
		width = (int)strlen(s->link[i].name) > width ? (int)strlen(s->link[i].name) : width;
	add(t, "\n%-*s  %-9s  %-4s  %9s  %8s  %4s  %7s  %7s  %7s\n", width, "LINK", "TRANSPORT", "",
	    "HEARD", "RTT", "LOST", "GAP P50", "P99", "MAX");
	for (size_t i = 0; i < s->links; i++) {
		const struct status_link *link = &s->link[i];
		const struct gap *gap = link->gap;

		add(t, "%-*s  %-9s  %-4s  %9s  %8s  %4" PRIu64 "  %7s  %7s  %7s\n", width,
		    link->name, link->transport, link->up ? "up" : "DOWN",
		    link->last_heard_ms < 0 ? "never"
					    : duration((uint64_t)link->last_heard_ms * 1000, heard),
		    link->rtt_us < 0 ? "-" : duration((uint64_t)link->rtt_us, rtt), link->lost,
		    gap->count == 0 ? "-" : duration(gap_percentile_us(gap, 50), p50),
		    gap->count == 0 ? "-" : duration(gap_percentile_us(gap, 99), p99),
		    gap->count == 0 ? "-" : duration(gap->max_us, max));
	}
}

static void
add_queue(struct text *t, const struct mta_queue_counts *queue)
{
	const struct { const char *name; uint64_t count;
	} part[] = {
	    {"incoming", queue->incoming},
	    {"active", queue->active},
	    {"deferred", queue->deferred},
	    {"on hold", queue->hold},
	    {"in maildrop", queue->maildrop},
	    {"CORRUPT", queue->corrupt},
	};
	const char *between = " (";

	add(t, "; queue %" PRIu64, queue->total);
	for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
		if (part[i].count == 0)
			continue;
		add(t, "%s%" PRIu64 " %s", between, part[i].count, part[i].name);
		between = ", ";
	}
	if (between[0] == ',')
		add(t, ")");
}

static void
add_group(struct text *t, const struct status *s)
{
	add(t, "\nstorage  %s %s on %s: %s", s->storage_type, s->storage_device, s->mountpoint,
	    known(s->mounted, "mounted", "not mounted", "unknown"));
	if (s->storage_state[0] != '\0' && s->mounted != FACT_NO)
		add(t, ", %s", s->storage_state);
	add(t, "\n");
	for (size_t i = 0; i < s->addresses; i++)
		add(t, "%-7s  %s on %s: %s\n", i == 0 ? "address" : "", s->address[i].text,
		    s->address[i].interface,
		    known(s->address[i].held, "held", "not held", "unknown"));
	add(t, "mail     %s: %s", s->mta_name,
	    known(s->mta_running, "running",
		s->queue_refused ? "NOT STARTED, see above" : s->services_stopped ? "STOPPED by command" : "not running",
		"not known whether it runs"));
	if (s->mta_running == FACT_YES)
		add(t, ", %s",
		    known(s->mta_answering, "answering", "NOT ANSWERING", "not yet asked"));
	if (s->queue_known)
		add_queue(t, &s->queue);
	if (s->queue_deep[0] != '\0')
		add(t, ", %s", s->queue_deep);
	else if (s->queue_verdict[0] != '\0' && s->queue_cut)
		add(t, ",\n         %s at the start by all names and some of the files", s->queue_verdict);
	else if (s->queue_verdict[0] != '\0')
		add(t, ", %s at the start", s->queue_verdict);
	add(t, "\n");
}

static void
add_config(struct text *t, const struct status *s)
{
	const struct status_config *c = &s->config;

	if (!s->config_on)
		return;
	add(t, "config   %s", known(c->in_step, "in step", "NOT in step", "not known whether it is in step"));
	if (c->files > 0)
		add(t, ", %" PRIu64 " files", c->files);
	if (c->pending > 0)
		add(t, ", %" PRIu64 " on the way", c->pending);
	if (c->conflicts > 0)
		add(t, ", %" PRIu64 " IN CONFLICT", c->conflicts);
	if (c->refused > 0)
		add(t, ", %" PRIu64 " REFUSED", c->refused);
	add(t, "\n");
	if (c->problem[0] != '\0') {
		add(t, "         ");
		add_wrapped(t, 9, 9, c->problem);
	}
}

static void
add_fences(struct text *t, const struct status *s)
{
	for (size_t i = 0; i < s->fences; i++) {
		const struct status_fence *fence = &s->fence[i];

		add(t, "%-7s  %s for %s: %s, ", i == 0 ? "fence" : "", fence->name, fence->node,
		    known(fence->answers, "answers", "DOES NOT ANSWER",
			strcmp(fence->node, s->node) == 0 ? "used from the other node"
							  : "not yet asked"));
		if (fence->tested[0] == '\0')
			add(t, "never tested\n");
		else
			add(t, "tested %s\n", fence->tested);
	}
}

/* Only what is not zero: counters of what was ignored, and of our own pauses. */
static void
add_counters(struct text *t, const struct status *s)
{
	const char *before = "ignored  beats: ";
	char pause[DURATION_MAX];

	for (int v = BEAT_GOOD + 1; v < BEAT_VERDICT_COUNT; v++) {
		if (s->rejected[v] == 0)
			continue;
		add(t, "%s%" PRIu64 " %s", before, s->rejected[v],
		    beat_verdict_name((enum beat_verdict)v));
		before = ", ";
	}
	if (before[0] == ',')
		add(t, "\n");
	if (s->pauses > 0)
		add(t, "pauses   %s itself stood still %" PRIu64 " time%s, at most %s\n", s->node,
		    s->pauses, s->pauses == 1 ? "" : "s",
		    duration(s->longest_pause_ms * 1000, pause));
}

static void
add_last(struct text *t, const struct status_transition *last)
{
	char at[CLOCK_RFC3339_MAX], took[DURATION_MAX];

	if (last->kind[0] == '\0')
		return;
	add(t, "last     %s", last->kind);
	if (last->from[0] != '\0' && strcmp(last->from, last->to) == 0)
		add(t, " on %s", last->to);
	else if (last->from[0] != '\0' && last->to[0] != '\0')
		add(t, " %s -> %s", last->from, last->to);
	add(t, " at %s, tenure %" PRIu64 ", took %s\n", clock_rfc3339(last->at_wall_ms, at),
	    last->tenure, duration((uint64_t)last->took_ms * 1000, took));
	if (last->reason[0] != '\0') {
		add(t, "         ");
		add_wrapped(t, 9, 9, last->reason);
	}
}

/* A command at the end of an advice stands on a line of its own, ready to be copied. */
static void
add_advice(struct text *t, const char *advice)
{
	const char *command = strstr(advice, ": mailpair ");
	char front[320];

	add(t, "    -> ");
	if (command == NULL || strlen(command) > WIDTH - 7 || strlen(advice) <= WIDTH - 7) {
		add_wrapped(t, 7, 7, advice);
		return;
	}
	snprintf(front, sizeof(front), "%.*s", (int)(command + 1 - advice), advice);
	add_wrapped(t, 7, 7, front);
	add(t, "       %s\n", command + 2);
}

static void
add_problem(struct text *t, size_t number, const char *text, const char *advice)
{
	add(t, "\n%2zu. ", number);
	add_wrapped(t, 4, 4, text);
	if (advice[0] != '\0')
		add_advice(t, advice);
}

size_t
status_text(const struct status *s, char *buf, size_t size)
{
	struct text t = { .buf = buf, .size = size };
	char fault[320];

	if (size > 0)
		buf[0] = '\0';
	add_headline(&t, s);
	add_nodes(&t, s);
	add_links(&t, s);
	add_group(&t, s);
	add_config(&t, s);
	add_fences(&t, s);
	add_counters(&t, s);
	add_last(&t, &s->last);
	for (size_t i = 0; i < s->problems; i++)
		add_problem(&t, i + 1, s->problem[i].text, s->problem[i].advice);
	if (s->problems == 0 && status_fault(s, fault, sizeof(fault)))
		add_problem(&t, 1, fault, s->role == ROLE_ACQUIRING || s->role == ROLE_RELEASING ?
		    "Wait for its end." : "Look at \"mailpair history\" and the log of mailpaird.");
	return t.len;
}
