/*
 * supervisor/whatif_text.c - the steps of "mailpair whatif" for people and as JSON. Pure.
 */
#include <stdarg.h>
#include <stdio.h>

#include "common/json.h"
#include "supervisor/whatif.h"

struct out {
	char	*buf;
	size_t	 size, len;
};

static void __attribute__((format(printf, 2, 3)))
add(struct out *o, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(o->len < o->size ? o->buf + o->len : NULL, o->len < o->size ? o->size - o->len : 0, fmt, ap);
	va_end(ap);
	if (n > 0)
		o->len += (size_t)n;
}

static void
add_acts(struct out *o, const struct fsm_row *row)
{
	for (int i = 0; i < FSM_ACTS_MAX && row->acts[i] != ACT_NONE; i++)
		add(o, "%s%s", i > 0 ? ", " : "", fsm_act_name(row->acts[i]));
}

static void
add_step(struct out *o, const struct whatif_step *s, size_t number)
{
	add(o, "%zu. %s\n", number, s->cause);
	if (s->row == NULL) {
		add(o, "   %s\n", s->note);
		return;
	}
	add(o, "   %s (%s): %s\n", role_name(s->from), fsm_event_name(s->on), s->row->why);
	if (s->to != s->from)
		add(o, "   role: %s -> %s\n", role_name(s->from), role_name(s->to));
	if (s->row->acts[0] != ACT_NONE) {
		add(o, "   does: ");
		add_acts(o, s->row);
		add(o, "\n");
	}
	for (size_t i = 0; i < s->branches; i++) {
		add(o, "   if %s -> %s: %s\n", s->branch[i].answer, role_name(s->branch[i].to), s->branch[i].row->why);
	}
}

size_t
whatif_text(const struct whatif_world *w, const struct whatif *wi, char *buf, size_t size)
{
	struct out o = { .buf = buf, .size = size };

	add(&o, "%s is %s. Nothing of this is done, it is only decided on paper:\n", w->node, role_name(wi->from));
	for (size_t i = 0; i < wi->steps; i++)
		add_step(&o, &wi->step[i], i + 1);
	if (wi->to == wi->from)
		add(&o, "In the end %s is %s as before.\n", w->node, role_name(wi->to));
	else
		add(&o, "In the end %s is %s.\n", w->node, role_name(wi->to));
	return o.len;
}

size_t
whatif_json(const struct whatif_world *w, const struct whatif *wi, char *buf, size_t size)
{
	struct json j;

	json_init(&j, buf, size);
	json_object(&j, NULL);
	json_string(&j, "node", w->node);
	json_string(&j, "from", role_name(wi->from));
	json_string(&j, "to", role_name(wi->to));
	json_array(&j, "steps");
	for (size_t i = 0; i < wi->steps; i++) {
		const struct whatif_step *s = &wi->step[i];

		json_object(&j, NULL);
		json_string(&j, "cause", s->cause);
		json_string(&j, "event", s->row != NULL ? fsm_event_name(s->on) : NULL);
		json_string(&j, "from", role_name(s->from));
		json_string(&j, "to", role_name(s->to));
		json_string(&j, "why", s->row != NULL ? s->row->why : s->note);
		json_array(&j, "actions");
		for (int a = 0; s->row != NULL && a < FSM_ACTS_MAX && s->row->acts[a] != ACT_NONE; a++)
			json_string(&j, NULL, fsm_act_name(s->row->acts[a]));
		json_array_end(&j);
		json_array(&j, "if");
		for (size_t b = 0; b < s->branches; b++) {
			json_object(&j, NULL);
			json_string(&j, "answer", s->branch[b].answer);
			json_string(&j, "to", role_name(s->branch[b].to));
			json_string(&j, "why", s->branch[b].row->why);
			json_object_end(&j);
		}
		json_array_end(&j);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_object_end(&j);
	return json_finish(&j);
}
