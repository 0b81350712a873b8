/*
 * supervisor/ctl_why.c - why, whatif and replay: the decision explained, tried on paper, and compared with a recorded incident.
 *
 * Runs in the program mailpair and blocks. The first two are answered by mailpaird out of its own facts; replay reads a
 * file and needs no mailpaird.
 */
#include "supervisor/ctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "supervisor/replay.h"
#include "supervisor/whatif.h"

#define INCIDENT_MAX 10000	/* changes of role in one file */

int
ctl_whatif(const struct ctl *ctl)
{
	char events[CONTROL_LINE_MAX] = "";
	struct ctl_request request;
	size_t len = 0;

	for (size_t i = 0; i < ctl->operands; i++) {
		if (len < sizeof(events))
			len += (size_t)snprintf(
			    events + len, sizeof(events) - len, "%s%s", i > 0 ? ";" : "", ctl->operand[i]);
	}
	if (len >= sizeof(events))
		return ctl_usage(ctl, "These are too many events at once.");
	ctl_request(&request, "whatif");
	ctl_request_add(&request, "events", events);
	return ctl_ask(ctl, &request);
}

/* ---------------------------------------------------------------- replay */

struct incident {
	struct replay_step	*step;
	size_t			 len, size;
};

static bool
incident_add(struct incident *in, const struct replay_step *step, struct err *err)
{
	if (in->len == INCIDENT_MAX)
		return err_set(err, 0, "there are more than %d changes of role in it", INCIDENT_MAX);
	if (in->len == in->size) {
		size_t size = in->size > 0 ? 2 * in->size : 64;
		struct replay_step *grown = realloc(in->step, size * sizeof(*grown));

		if (grown == NULL)
			return err_set(err, ENOMEM, "it cannot be held");
		in->step = grown;
		in->size = size;
	}
	in->step[in->len++] = *step;
	return true;
}

static bool
incident_lines(FILE *file, struct incident *in, struct err *err)
{
	char line[1024];
	struct replay_step step;
	struct err what;
	bool state = false;

	if (fgets(line, sizeof(line), file) == NULL || strncmp(line, REPLAY_HEAD, strlen(REPLAY_HEAD)) != 0)
		return err_set(err, 0, "it is no incident: \"mailpair history --export\" writes one, and its first line is \"%s\"",
		    REPLAY_HEAD);
	for (unsigned int number = 2; fgets(line, sizeof(line), file) != NULL; number++) {
		if (strchr(line, '\n') == NULL && !feof(file))
			return err_set(err, 0, "line %u is too long", number);
		if (!replay_parse(line, &step, &state, &what))
			return err_set(err, 0, "line %u is wrong: %s", number, what.text);
		if (state && !incident_add(in, &step, err))
			return false;
	}
	if (ferror(file))
		return err_set(err, EIO, "it cannot be read to its end");
	if (in->len == 0)
		return err_set(err, 0, "there is no change of role in it");
	return true;
}

/* "healthy and may own", for people */
static const char *
guard_words(const struct fsm_row *row, char *buf, size_t size)
{
	snprintf(buf, size, "%s", row->when_text != NULL ? row->when_text : "always");
	for (char *p = buf; *p != '\0'; p++) {
		if (*p == '_')
			*p = ' ';
	}
	return buf;
}

static void
print_answer(const struct replay_step *s, const struct replay_answer *a)
{
	char words[80];

	printf("%s  %s -> %s (%s)\n    then: %s\n", s->at, s->from, s->to, s->event, s->text);
	if (a->verdict == REPLAY_UNKNOWN) {
		printf("    OTHERWISE NOW: this version knows no \"%s\"\n", a->unknown);
		return;
	}
	for (size_t i = 0; i < a->sames; i++)
		printf("    now the same%s%s: %s\n", a->same[i]->when != NULL ? ", when " : "",
		    a->same[i]->when != NULL ? guard_words(a->same[i], words, sizeof(words)) : "", a->same[i]->why);
	for (size_t i = 0; i < a->others && a->verdict == REPLAY_OTHER; i++)
		printf("    OTHERWISE NOW%s%s: -> %s: %s\n", a->other[i]->when != NULL ? ", when " : "",
		    a->other[i]->when != NULL ? guard_words(a->other[i], words, sizeof(words)) : "", a->other[i]->next == FSM_SAME ? s->from : role_name((enum role)a->other[i]->next), a->other[i]->why);
}

static void
json_rows(struct json *j, const char *key, const struct replay_step *s, const struct fsm_row *const *rows, size_t n)
{
	char words[80];

	json_array(j, key);
	for (size_t i = 0; i < n; i++) {
		json_object(j, NULL);
		json_string(j, "when", guard_words(rows[i], words, sizeof(words)));
		json_string(j, "to", rows[i]->next == FSM_SAME ? s->from : role_name((enum role)rows[i]->next));
		json_string(j, "why", rows[i]->why);
		json_object_end(j);
	}
	json_array_end(j);
}

static size_t
render(const char *file, const struct incident *in, char *buf, size_t size)
{
	static const char *const verdicts[] = { "same", "other", "unknown" };
	struct replay_answer a;
	struct json j;

	json_init(&j, buf, size);
	json_object(&j, NULL);
	json_string(&j, "file", file);
	json_string(&j, "version", MAILPAIR_VERSION);
	json_array(&j, "steps");
	for (size_t i = 0; i < in->len; i++) {
		const struct replay_step *s = &in->step[i];

		replay_judge(s, &a);
		json_object(&j, NULL);
		json_string(&j, "at", s->at);
		json_string(&j, "event", s->event);
		json_string(&j, "from", s->from);
		json_string(&j, "to", s->to);
		json_string(&j, "then", s->text);
		json_string(&j, "now", verdicts[a.verdict]);
		json_rows(&j, "same", s, a.same, a.sames);
		json_rows(&j, "other", s, a.other, a.others);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_object_end(&j);
	return json_finish(&j);
}

static int
print_replay(const struct ctl *ctl, const struct incident *in)
{
	struct replay_answer a;
	size_t otherwise = 0;

	for (size_t i = 0; i < in->len; i++) {
		replay_judge(&in->step[i], &a);
		otherwise += a.verdict != REPLAY_SAME;
		if (!ctl->json)
			print_answer(&in->step[i], &a);
	}
	if (ctl->json) {
		size_t len = render(ctl->operand[0], in, NULL, 0);
		char *buf = malloc(len + 1);

		if (buf == NULL)
			return ctl_fail(CTL_CANNOT, "There is not enough memory.");
		render(ctl->operand[0], in, buf, len + 1);
		fputs(buf, stdout);
		free(buf);
	} else {
		printf("%zu changes of role; version %s would decide %zu of them otherwise.\n", in->len, MAILPAIR_VERSION, otherwise);
	}
	return otherwise > 0 ? CTL_NO : CTL_DONE;
}

int
ctl_replay(const struct ctl *ctl)
{
	const char *path = ctl->operand[0];
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	struct incident in = { .step = NULL };
	struct err err;
	int code;

	if (file == NULL)
		return ctl_fail(CTL_CANNOT, "%s cannot be read: %s.", path, strerror(errno));
	code = incident_lines(file, &in, &err) ? print_replay(ctl, &in) :
	    ctl_fail(CTL_CANNOT, "%s cannot be replayed: %s.", path, err.text);
	if (file != stdin)
		fclose(file);
	free(in.step);
	return code;
}
