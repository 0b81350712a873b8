/*
 * supervisor/engine_tell.c - what the engine writes and says: journal rows, log lines, the lines for a waiting command, and
 * the record of a transition from its begin to its end. Decides nothing; nothing here blocks (see struct engine_sink).
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/log.h"
#include "supervisor/engine_priv.h"

void
engine_tell(struct engine *en, const char *fmt, ...)
{
	char line[640];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	for (struct engine_watcher *w = en->watchers, *next; w != NULL; w = next) {
		next = w->next;
		w->line(w->arg, line);
	}
}

void
engine_told_role(struct engine *en)
{
	for (struct engine_watcher *w = en->watchers, *next; w != NULL; w = next) {
		next = w->next;
		w->role(w->arg);
	}
}

void
engine_watch(struct engine *en, struct engine_watcher *w)
{
	w->next = en->watchers;
	en->watchers = w;
}

void
engine_unwatch(struct engine *en, struct engine_watcher *w)
{
	for (struct engine_watcher **p = &en->watchers; *p != NULL; p = &(*p)->next) {
		if (*p == w) {
			*p = w->next;
			return;
		}
	}
}

void
engine_journal(struct engine *en, struct journal_event *ev)
{
	ev->wall_ms = clock_wall_ms();
	ev->tenure = en->own_tenure != 0 ? en->own_tenure : en->state.tenure;
	if (en->sink.journal != NULL)
		en->sink.journal(en->sink.arg, ev);
}

void
engine_event(struct engine *en, const char *name, bool ok, const char *fmt, ...)
{
	struct journal_event ev = { .kind = JOURNAL_EVENT, .ok = ok, .transition = en->trans_id };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(ev.text, sizeof(ev.text), fmt, ap);
	va_end(ap);
	snprintf(ev.name, sizeof(ev.name), "%s", name);
	engine_journal(en, &ev);
	if (ok)
		log_info("%s", ev.text);
	else
		log_warnx("%s", ev.text);
}

void
engine_alarm(struct engine *en, const char *text)
{
	log_err("%s", text);
	engine_hook(en, "alert", text);
}

void
engine_trans_begin(struct engine *en, const char *kind, const char *from, const char *to, const char *reason)
{
	en->trans_id = clock_wall_ms();
	en->trans_began_ms = clock_mono_ms();
	snprintf(en->trans_kind, sizeof(en->trans_kind), "%s", kind);
	snprintf(en->trans_from, sizeof(en->trans_from), "%s", from);
	snprintf(en->trans_to, sizeof(en->trans_to), "%s", to);
	snprintf(en->trans_reason, sizeof(en->trans_reason), "%s", reason);
}

void
engine_trans_end(struct engine *en, bool ok)
{
	struct journal_event ev = { .kind = JOURNAL_TRANSITION, .ok = ok, .transition = en->trans_id };
	struct status_transition *last = &en->last;

	if (en->trans_id == 0)
		return;
	ev.took_ms = (uint32_t)(clock_mono_ms() - en->trans_began_ms);
	snprintf(ev.name, sizeof(ev.name), "%s", en->trans_kind);
	snprintf(ev.from, sizeof(ev.from), "%s", en->trans_from);
	snprintf(ev.to, sizeof(ev.to), "%s", en->trans_to);
	snprintf(ev.text, sizeof(ev.text), "%s%s%.200s", en->trans_reason, ok ? "" : "; failed: ",
	    ok ? "" : en->act_error);
	engine_journal(en, &ev);
	log_info("%s %s in %" PRIu32 " ms: %s", ev.name, ok ? "done" : "FAILED", ev.took_ms, ev.text);
	*last = (struct status_transition){ .tenure = ev.tenure, .at_wall_ms = ev.wall_ms, .took_ms = ev.took_ms };
	snprintf(last->kind, sizeof(last->kind), "%s", en->trans_kind);
	snprintf(last->from, sizeof(last->from), "%s", ev.from);
	snprintf(last->to, sizeof(last->to), "%s", ev.to);
	snprintf(last->reason, sizeof(last->reason), "%.255s", ev.text);
	engine_hook(en, en->trans_kind, ev.text);
	en->trans_id = 0;
}
