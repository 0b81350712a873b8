/*
 * configsync/desk_alert.c - what a person has to be told once: a set that is refused here, a conflict, a service that does not take its
 * files. Under mailpaird it is a line to it ("alert SENTENCE"), and its hooks are called; without one they are called from here.
 *
 * A refused set is told by the node that refuses it; a conflict by the active one, or, where none is known, by the first. Once: until it is
 * over, and a link that is begun anew does not make it another one. What came together is one alert.
 */
#include "configsync/desk_priv.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/hooks.h"
#include "common/log.h"
#include "common/spawn.h"

#define TOLD_MAX 1024		/* more at a time have one cause */
#define OVER_MS 20000u		/* not seen for so long, it is over: longer than a link takes to begin anew */
#define HOOKS_MS 60000u		/* for all of them; each has hook-timeout */
#define QUEUE_MAX 16

struct told { char *what; uint64_t seen_ms; };

struct alerts {
	struct told	 told[TOLD_MAX];
	size_t		 tolds;
	size_t		 fresh;			/* of this round */
	char		 first[600];		/* of these */
	struct hook_facts queue[QUEUE_MAX];	/* the first is being told */
	size_t		 queued;
	struct spawn	*hooks;
	uint64_t	 now_ms;
};

/* It is so; what: by which it is known again. */
static void
note(struct alerts *a, const char *what, const char *sentence)
{
	for (size_t i = 0; i < a->tolds; i++)
		if (strcmp(a->told[i].what, what) == 0) {
			a->told[i].seen_ms = a->now_ms;
			return;
		}
	if (a->tolds == TOLD_MAX)
		return;
	a->told[a->tolds] = (struct told){ strdup(what), a->now_ms };
	if (a->told[a->tolds++].what == NULL)
		abort();
	if (a->fresh++ == 0)
		snprintf(a->first, sizeof a->first, "%s", sentence);
}

static bool
note_conflict(void *arg, const struct core_conflict *c)
{
	struct alerts *a = arg;
	char text[600], what[ENTRY_PATH_MAX + 16];

	snprintf(what, sizeof what, "conflict %s", c->path);
	snprintf(text, sizeof text, "conflict /%.300s: %s; neither side was touched", c->path, conflict_why(c->kind));
	note(a, what, text);
	return a->tolds < TOLD_MAX;
}

static void
forget_what_is_over(struct alerts *a)
{
	size_t kept = 0;

	for (size_t i = 0; i < a->tolds; i++)
		if (a->told[i].seen_ms + OVER_MS >= a->now_ms)
			a->told[kept++] = a->told[i];
		else
			free(a->told[i].what);
	a->tolds = kept;
}

/* ---------------------------------------------------------------- telling it */

struct hook_work { const struct conf *conf; const struct hook_facts *facts; };

static bool
run_hooks(const void *ctx, struct spawn_out *out, struct err *err)
{
	const struct hook_work *w = ctx;

	return hooks_run(w->conf, w->facts, out, err);
}

static void next_hook(struct desk *);

static void
hooks_ran(void *arg, const struct spawn_result *r)
{
	struct desk *d = arg;
	struct alerts *a = d->alerts;

	a->hooks = NULL;
	if (r->end != SPAWN_EXITED || r->code != 0)
		log_warnx("the hooks were not all called: %s", r->end == SPAWN_TIMEOUT ? "they took too long" : r->err.text);
	for (const char *line = r->out; *line != '\0'; line += strcspn(line, "\n"), line += *line == '\n')
		log_warnx("%.*s", (int)strcspn(line, "\n"), line);
	memmove(a->queue, a->queue + 1, --a->queued * sizeof a->queue[0]);
	next_hook(d);
}

static void
next_hook(struct desk *d)
{
	struct alerts *a = d->alerts;
	const struct hook_work w = { d->conf, a->queue };

	if (a->queued > 0)
		a->hooks = spawn_work(d->loop, "hooks", run_hooks, &w, HOOKS_MS, hooks_ran, d);
}

static void
call_hooks(struct desk *d, const char *sentence)
{
	struct alerts *a = d->alerts;
	struct hook_facts *f;

	log_warnx("%s", sentence);
	if (a->queued == QUEUE_MAX) {
		log_warnx("the hooks are not called for this: %d calls wait already", QUEUE_MAX);
		return;
	}
	f = &a->queue[a->queued++];
	*f = (struct hook_facts){ .event = "alert", .tenure = d->tenure, .at_wall_ms = clock_wall_ms() };
	snprintf(f->role, sizeof f->role, "%s", d->role == WIRE_ROLE_ACTIVE ? "active" : d->role == WIRE_ROLE_STANDBY ? "standby" : "");
	snprintf(f->reason, sizeof f->reason, "%.255s", sentence);
	if (a->hooks == NULL)
		next_hook(d);
}

static void
tell(struct desk *d, const char *sentence)
{
	char line[sizeof d->said];

	if (!d->how->lines) {
		call_hooks(d, sentence);
		return;
	}
	snprintf(line, sizeof line, "alert %s\n", sentence);
	for (char *c = line; c[1] != '\0'; c++)
		if (iscntrl((unsigned char)*c))
			*c = '?';
	if (write(STDOUT_FILENO, line, strlen(line)) == -1)
		log_warnx("mailpaird cannot be told: %s", sentence);
}

/* ---------------------------------------------------------------- what is so now */

void
desk_alert(struct desk *d, const struct core_status *st)
{
	static const char *const kinds[] = { "invalid", "not-rebuilt", NULL };
	char text[700], row[600];
	struct alerts *a;
	bool ours;

	if (d->alerts == NULL)
		d->alerts = desk_alloc(sizeof *d->alerts);
	a = d->alerts;
	a->fresh = 0;
	a->now_ms = clock_mono_ms();
	for (size_t i = 0; i < st->problems; i++)
		for (size_t k = 0; kinds[k] != NULL; k++)
			if (strcmp(st->problem[i].kind, kinds[k]) == 0)
				note(a, desk_sentence(&st->problem[i], row, sizeof row), row);
	ours = st->active == NULL || st->active[0] == '\0' ? d->self == 0 : strcmp(st->active, d->conf->node[d->self]) == 0;
	if (st->first)
		note(a, "first", "the two nodes were never the same, and nothing is carried: mailpair config resync --from NODE");
	else if (st->conflicts > 0 && ours)
		core_conflicts(d->core, note_conflict, a);
	forget_what_is_over(a);
	if (a->fresh == 0)
		return;
	snprintf(text, sizeof text, "configuration: %.560s", a->first);
	if (a->fresh > 1)
		snprintf(text + strlen(text), sizeof text - strlen(text), " (and %zu more)", a->fresh - 1);
	snprintf(text + strlen(text), sizeof text - strlen(text), "; see mailpair config status");
	tell(d, text);
}

void
desk_alert_end(struct desk *d)
{
	struct alerts *a = d->alerts;

	if (a == NULL)
		return;
	if (a->hooks != NULL)
		spawn_forget(a->hooks);
	for (size_t i = 0; i < a->tolds; i++)
		free(a->told[i].what);
	free(a);
	d->alerts = NULL;
}
