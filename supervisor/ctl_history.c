/*
 * supervisor/ctl_history.c - transitions from the journal: what, from where to where, why, how
 * long.
 *
 * Runs in the program mailpair; reads the data base itself and only reads, so it works when
 * mailpaird does not. Blocks while a writer holds the data base (common/journal.h).
 */
#include "supervisor/ctl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/journal.h"
#include "common/json.h"
#include "supervisor/replay.h"

#define DEFAULT_N 10
#define EXPORT_N 100
#define N_MAX 100000

struct events {
	struct journal_event	*item;
	size_t			 len, size;
	bool			 no_memory;
};

static bool
keep(void *arg, const struct journal_event *event)
{
	struct events *events = arg;

	if (events->len == events->size) {
		size_t size = events->size > 0 ? 2 * events->size : 16;
		struct journal_event *grown = realloc(events->item, size * sizeof(*grown));

		if (grown == NULL) {
			events->no_memory = true;
			return false;
		}
		events->item = grown;
		events->size = size;
	}
	events->item[events->len++] = *event;
	return true;
}

/* Steps of one transition only; its events and changes of role are told by the whole journal. */
static bool
keep_step(void *arg, const struct journal_event *event)
{
	return event->kind != JOURNAL_STEP || keep(arg, event);
}

struct history {
	struct events	 transitions;	/* newest first */
	struct events	*steps;		/* of each */
};

static void
history_free(struct history *history)
{
	for (size_t i = 0; history->steps != NULL && i < history->transitions.len; i++)
		free(history->steps[i].item);
	free(history->steps);
	free(history->transitions.item);
}

static bool
history_read(struct journal *journal, size_t n, struct history *ret, struct err *err)
{
	if (!journal_walk(journal, 1u << JOURNAL_TRANSITION, n, keep, &ret->transitions, err))
		return false;
	ret->steps = calloc(ret->transitions.len + 1, sizeof(*ret->steps));
	if (ret->steps == NULL || ret->transitions.no_memory)
		return err_set(err, ENOMEM, "the history is too long");
	for (size_t i = 0; i < ret->transitions.len; i++) {
		uint64_t number = ret->transitions.item[i].transition;

		if (number != 0 && !journal_steps(journal, number, keep_step, &ret->steps[i], err))
			return false;
		if (ret->steps[i].no_memory)
			return err_set(err, ENOMEM, "the history is too long");
	}
	return true;
}

static void
print_steps(const struct events *steps)
{
	for (size_t i = 0; i < steps->len; i++) {
		const struct journal_event *step = &steps->item[i];

		printf("    %9.3f s  %-16s %s%s%s\n", step->took_ms / 1000.0, step->name,
		    step->ok ? "ok" : "FAILED", step->text[0] != '\0' ? ": " : "", step->text);
	}
}

/* "fence 0.412, mount 0.050, ..." on lines that fit a terminal */
static void
print_steps_short(const struct events *steps)
{
	size_t column = 0;

	for (size_t i = 0; i < steps->len; i++) {
		const struct journal_event *step = &steps->item[i];
		char text[96];
		int len = snprintf(text, sizeof(text), "%s %.3f s%s", step->name,
		    step->took_ms / 1000.0, step->ok ? "" : " FAILED");

		if (column > 0 && column + (size_t)len + 3 > 79) {
			fputs(",\n", stdout);
			column = 0;
		}
		column += (size_t)printf("%s%s", column == 0 ? "    " : ", ", text);
	}
	if (steps->len > 0)
		putchar('\n');
}

static void
print_text(const struct history *history, bool each_step)
{
	char at[CLOCK_RFC3339_MAX];

	for (size_t i = history->transitions.len;
	     i-- > 0;) { /* the newest last, where one looks first */
		const struct journal_event *event = &history->transitions.item[i];

		printf("%s  %s", clock_rfc3339(event->wall_ms, at), event->name);
		if (event->from[0] != '\0' && strcmp(event->from, event->to) == 0)
			printf(" on %s", event->to);
		else if (event->from[0] != '\0' && event->to[0] != '\0')
			printf(" %s -> %s", event->from, event->to);
		if (event->transition == 0)	/* no move: the journal itself was begun anew */
			puts("");
		else
			printf(", tenure %" PRIu64 ", %.3f s%s\n", event->tenure, event->took_ms / 1000.0,
			    event->ok ? "" : ", FAILED");
		if (event->text[0] != '\0')
			printf("    %s\n", event->text);
		if (each_step)
			print_steps(&history->steps[i]);
		else
			print_steps_short(&history->steps[i]);
	}
	if (history->transitions.len == 0)
		puts("No transition was written down yet.");
}

static void
add_event(struct json *j, const struct journal_event *event, const struct events *steps)
{
	char at[CLOCK_RFC3339_MAX];

	json_object(j, NULL);
	json_string(j, "kind", event->name);
	json_uint(j, "tenure", event->tenure);
	json_string(j, "from", event->from);
	json_string(j, "to", event->to);
	json_string(j, "at", clock_rfc3339(event->wall_ms, at));
	json_uint(j, "took_ms", event->took_ms);
	json_bool(j, "ok", event->ok);
	json_string(j, "reason", event->text);
	json_array(j, "steps");
	for (size_t i = 0; i < steps->len; i++) {
		json_object(j, NULL);
		json_string(j, "name", steps->item[i].name);
		json_string(j, "at", clock_rfc3339_ms(steps->item[i].wall_ms, at));
		json_uint(j, "took_ms", steps->item[i].took_ms);
		json_bool(j, "ok", steps->item[i].ok);
		json_string(j, "detail", steps->item[i].text);
		json_object_end(j);
	}
	json_array_end(j);
	json_object_end(j);
}

/* Newest first, as the first one is what a program wants. */
static size_t
render(const struct history *history, char *buf, size_t size)
{
	struct json j;

	json_init(&j, buf, size);
	json_array(&j, NULL);
	for (size_t i = 0; i < history->transitions.len; i++)
		add_event(&j, &history->transitions.item[i], &history->steps[i]);
	json_array_end(&j);
	return json_finish(&j);
}

static int
print_json(const struct history *history)
{
	size_t len = render(history, NULL, 0);
	char *buf = malloc(len + 1);

	if (buf == NULL)
		return ctl_fail(CTL_CANNOT, "There is not enough memory.");
	render(history, buf, len + 1);
	fputs(buf, stdout);
	free(buf);
	return CTL_DONE;
}

/* For "mailpair replay": the last n changes of role, the newest last. */
static int
export(struct journal *journal, const char *path, size_t n)
{
	struct events states = { .item = NULL };
	char line[1024], at[CLOCK_RFC3339_MAX];
	struct err err;
	int code = CTL_DONE;

	if (!journal_walk(journal, 1u << JOURNAL_STATE, n, keep, &states, &err))
		code = ctl_fail(CTL_CANNOT, "The journal %s cannot be read: %s.", path, err.text);
	else if (states.no_memory)
		code = ctl_fail(CTL_CANNOT, "There is not enough memory.");
	else
		printf(REPLAY_HEAD "\n# written by mailpair %s\n# kind, time, tenure, event, from, to, sentence\n", MAILPAIR_VERSION);
	for (size_t i = code == CTL_DONE ? states.len : 0; i-- > 0;) {
		const struct journal_event *e = &states.item[i];
		struct replay_step step;

		snprintf(step.at, sizeof(step.at), "%s", clock_rfc3339_ms(e->wall_ms, at));
		snprintf(step.tenure, sizeof(step.tenure), "%" PRIu64, e->tenure);
		snprintf(step.event, sizeof(step.event), "%s", e->name);
		snprintf(step.from, sizeof(step.from), "%s", e->from);
		snprintf(step.to, sizeof(step.to), "%s", e->to);
		snprintf(step.text, sizeof(step.text), "%s", e->text);
		replay_line(&step, line, sizeof(line));
		puts(line);
	}
	free(states.item);
	return code;
}

static bool
parse_n(const char *text, size_t *ret)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno != 0 || *text < '0' || *text > '9' || *end != '\0' || n == 0 || n > N_MAX)
		return false;
	*ret = n;
	return true;
}

int
ctl_history(const struct ctl *ctl)
{
	const char *n_text = ctl_option(ctl, "-n"), *given = ctl_option(ctl, "--journal");
	char dir[512], path[600];
	struct history history = { .steps = NULL };
	struct journal *journal = NULL;
	bool exports = ctl_option(ctl, "--export") != NULL;
	size_t n = exports ? EXPORT_N : DEFAULT_N;
	struct err err;
	int code = CTL_DONE;

	if (n_text != NULL && !parse_n(n_text, &n))
		return ctl_usage(
		    ctl, "\"%s\" is no number of transitions: write 1 to %d.", n_text, N_MAX);
	if (exports && (ctl->json || ctl_option(ctl, "--steps") != NULL))
		return ctl_usage(ctl, "--export writes a form of its own: neither --json nor --steps belongs to it.");
	if (given == NULL && !ctl_directory(ctl, true, dir, sizeof(dir), &err))
		return ctl_fail(CTL_CANNOT, "%s", err.text);
	if (given == NULL)
		snprintf(path, sizeof(path), "%s/journal.db", dir);
	if (given == NULL)
		given = path;
	if (access(given, R_OK) == -1)
		return ctl_fail(CTL_CANNOT, "The journal %s cannot be read: %s.%s", given,
		    strerror(errno),
		    errno == ENOENT ? " mailpaird makes it when it first runs." : "");
	if (!journal_open(given, false, &journal, NULL, &err))
		return ctl_fail(CTL_CANNOT, "The journal %s cannot be read: %s.", given, err.text);
	if (exports)
		code = export(journal, given, n);
	else if (!history_read(journal, n, &history, &err))
		code = ctl_fail(CTL_CANNOT, "The journal %s cannot be read: %s.", given, err.text);
	else if (ctl->json)
		code = print_json(&history);
	else
		print_text(&history, ctl_option(ctl, "--steps") != NULL);
	history_free(&history);
	journal_close(journal);
	return code;
}
