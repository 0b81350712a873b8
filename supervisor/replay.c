/*
 * supervisor/replay.c - see replay.h. Pure: no clock, no file, no log. The facts of then are not recorded, so every row is
 * asked that the event could match in that role: those before the first one without a guard, and that one.
 */
#include "supervisor/replay.h"

#include <stdio.h>
#include <string.h>

/* The next field into buf; *at moves behind its tab. False: it is missing or too long. */
static bool
field(const char **at, char *buf, size_t size)
{
	size_t len;

	if (*at == NULL)
		return false;
	len = strcspn(*at, "\t\r\n");
	if (len >= size)
		return false;
	/* what was recorded elsewhere must not steer the terminal */
	for (size_t i = 0; i < len; i++)
		buf[i] = (unsigned char)(*at)[i] < 0x20 || (*at)[i] == 0x7f ? '?' : (*at)[i];
	buf[len] = '\0';
	*at = (*at)[len] == '\t' ? *at + len + 1 : NULL;
	return true;
}

bool
replay_parse(const char *line, struct replay_step *ret, bool *ret_state, struct err *err)
{
	struct replay_step s;
	char kind[16];

	if (line[0] == '#' || line[strspn(line, " \t\r\n")] == '\0') {
		*ret_state = false;
		return true;
	}
	if (!field(&line, kind, sizeof(kind)) || strcmp(kind, "state") != 0)
		return err_set(err, 0, "it does not begin with \"state\" and a tab");
	if (!field(&line, s.at, sizeof(s.at)) || !field(&line, s.tenure, sizeof(s.tenure)) ||
	    !field(&line, s.event, sizeof(s.event)) || !field(&line, s.from, sizeof(s.from)) ||
	    !field(&line, s.to, sizeof(s.to)) || !field(&line, s.text, sizeof(s.text)))
		return err_set(err, 0, "it should have: state, time, tenure, event, from, to, sentence, with tabs between");
	if (s.event[0] == '\0' || s.from[0] == '\0' || s.to[0] == '\0')
		return err_set(err, 0, "its event, the role before or the role after is empty");
	*ret = s;
	*ret_state = true;
	return true;
}

static bool
role_by_name(const char *name, enum role *ret)
{
	for (int r = 0; r < ROLE_COUNT; r++) {
		if (strcmp(role_name((enum role)r), name) == 0) {
			*ret = (enum role)r;
			return true;
		}
	}
	return false;
}

static bool
event_by_name(const char *name, enum fsm_event *ret)
{
	for (int e = 0; e < EV_COUNT; e++) {
		if (strcmp(fsm_event_name((enum fsm_event)e), name) == 0) {
			*ret = (enum fsm_event)e;
			return true;
		}
	}
	return false;
}

void
replay_judge(const struct replay_step *s, struct replay_answer *ret)
{
	enum role from, to;
	enum fsm_event on;
	const char *unknown = !event_by_name(s->event, &on) ? s->event : !role_by_name(s->from, &from) ? s->from :
	    !role_by_name(s->to, &to) ? s->to : NULL;

	memset(ret, 0, sizeof(*ret));
	if (unknown != NULL) {
		ret->verdict = REPLAY_UNKNOWN;
		snprintf(ret->unknown, sizeof(ret->unknown), "%s", unknown);
		return;
	}
	for (size_t i = 0; i < fsm_rows; i++) {
		const struct fsm_row *row = &fsm_table[i];

		if (row->on != on || (row->in & (1u << from)) == 0)
			continue;
		if ((row->next == FSM_SAME ? from : (enum role)row->next) != to) {
			if (ret->others < REPLAY_ROWS_MAX)
				ret->other[ret->others++] = row;
		} else if (ret->sames < REPLAY_ROWS_MAX) {
			ret->same[ret->sames++] = row;
		}
		if (row->when == NULL)
			break;
	}
	ret->verdict = ret->sames > 0 ? REPLAY_SAME : REPLAY_OTHER;
}

size_t
replay_line(const struct replay_step *s, char *buf, size_t size)
{
	int n = snprintf(buf, size, "state\t%s\t%s\t%s\t%s\t%s\t", s->at, s->tenure, s->event, s->from, s->to);
	size_t len = n > 0 ? (size_t)n : 0;

	/* what would end the field or the line */
	for (const char *p = s->text; *p != '\0'; p++, len++) {
		if (len + 1 < size)
			buf[len] = (unsigned char)*p < 0x20 ? ' ' : *p;
	}
	if (size > 0)
		buf[len < size ? len : size - 1] = '\0';
	return len;
}
