/*
 * supervisor/engine_queue.c - what the checks of the mail queue said: the fast one before each start, which can keep the mail
 * program from being started, and the thorough one behind its back, which only tells. Runs in mailpaird's supervisor
 * process; nothing here blocks.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "supervisor/engine_priv.h"

#define DEEP_AFTER_MS 10000		/* a takeover's first seconds belong to the mail */
#define DEEP_AGAIN_MS (24 * 3600 * 1000)
#define DEEP_LIMIT_MS (6 * 3600 * 1000)
#define DEEP_BUSY_MS 5000

/* A verdict in the journal and the log; where mail was hurt, in the operator's hooks too. */
static void
tell(struct engine *en, const char *pass, const struct queue_report *r)
{
	bool clean = strcmp(r->verdict, "consistent") == 0, known = strcmp(r->verdict, "unknown") != 0;

	if (!known)
		engine_event(en, "queue", false, "the %s check of the queue of %s could not be made: %s", pass,
		    en->conf->mta.name, r->text);
	else
		engine_event(en, "queue", clean || strcmp(r->verdict, "repaired") == 0, "the queue of %s is %s (%s check, %s%" PRIu64
		    " messages, %" PRIu64 " findings, %" PRIu32 " ms)%s%s", en->conf->mta.name, r->verdict, pass,
		    r->cut ? "all names and the files of " : "", r->messages, r->findings, r->took_ms, r->text[0] != '\0' ? ": " : "", r->text);
	if (!clean)
		engine_hook(en, "queue", r->text[0] != '\0' ? r->text : r->verdict);
}

void
engine_queue_checked(struct engine *en, const struct spawn_result *res)
{
	struct queue_report r;

	if (!queue_report_read(res->out, &r)) {
		/* it runs already and was not looked at; or the step itself came to an end, which is told as its failure */
		if (res->end == SPAWN_EXITED && res->code == 0)
			return;
		snprintf(r.text, sizeof(r.text), "%.255s", res->end == SPAWN_TIMEOUT ? "it did not end in time" : res->err.text);
	}
	en->queue_fast = r;
	en->queue_deep = (struct queue_report){ .verdict = "" };
	en->queue_checked_wall_ms = clock_wall_ms();
	tell(en, "fast", &r);
	if (en->queue_timer != NULL)
		loop_timer_in(en->queue_timer, DEEP_AFTER_MS);
}

void
engine_queue_mends(void *arg, const char *text)
{
	struct engine *en = arg;
	uint64_t took_ms = clock_mono_ms() - en->act_began_ms;
	char long_text[300];

	snprintf(en->act_progress, sizeof(en->act_progress), "%s", text);
	if (en->act_told || took_ms < en->conf->mta.check_ms)
		return;
	en->act_told = true;
	snprintf(long_text, sizeof(long_text), "the queue of %s has been mended for %" PRIu64 " s and is not whole yet: mail is not served before that (%s)",
	    en->conf->mta.name, took_ms / 1000, text);
	engine_event(en, "queue", false, "%s", long_text);
	engine_hook(en, "queue", long_text);
}

bool
engine_queue_mending(const struct engine *en)
{
	return en->act_child != NULL && en->act_running == ACT_QUEUE_CHECK && en->act_progress[0] != '\0';
}

bool
engine_queue_refused(struct engine *en, const struct spawn_result *res)
{
	char value[8] = "";
	bool said = spawn_get(res->out, "queue-refused", value, sizeof(value)) != NULL && strcmp(value, "yes") == 0;

	/* who owns already undoes nothing: what a repair has left half done must not be started on. A disk that hangs is another matter. */
	if (!said && (en->role != ROLE_ACTIVE || en->act_progress[0] == '\0' || res->end == SPAWN_TIMEOUT))
		return false;
	en->state.services_stopped = true;
	en->state.queue_refused = true;
	engine_save(en);
	return true;
}

static void
deep_done(void *arg, const struct spawn_result *res)
{
	struct engine *en = arg;
	struct queue_report r;

	en->job[JOB_QUEUE_DEEP] = NULL;
	loop_timer_in(en->queue_timer, DEEP_AGAIN_MS);
	if (!queue_report_read(res->out, &r))
		snprintf(r.text, sizeof(r.text), "%.255s", res->end == SPAWN_TIMEOUT ? "it did not end in time" : res->err.text);
	en->queue_deep = r;
	en->queue_checked_wall_ms = clock_wall_ms();
	tell(en, "deep", &r);
}

static void
deep_fired(void *arg)
{
	struct engine *en = arg;

	if (en->role != ROLE_ACTIVE || en->job[JOB_QUEUE_DEEP] != NULL)
		return;
	if (engine_busy(en) || en->state.services_stopped) {
		loop_timer_in(en->queue_timer, DEEP_BUSY_MS);
		return;
	}
	en->job_ctx[JOB_QUEUE_DEEP] = (struct edge_ctx){ .owner = true };
	engine_job_start(en, JOB_QUEUE_DEEP, "deep queue check", en->edge->queue_deep, DEEP_LIMIT_MS, deep_done);
}

void
engine_queue_start(struct engine *en)
{
	if (en->queue_timer != NULL)
		return;
	en->queue_timer = loop_timer_new(en->loop, deep_fired, en);
	if (en->role == ROLE_ACTIVE)
		loop_timer_in(en->queue_timer, DEEP_AFTER_MS);
}

void
engine_queue_leave(struct engine *en)
{
	if (en->job[JOB_QUEUE_DEEP] != NULL)
		spawn_forget(en->job[JOB_QUEUE_DEEP]);
	en->job[JOB_QUEUE_DEEP] = NULL;
}
