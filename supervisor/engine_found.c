/*
 * supervisor/engine_found.c - what this node holds when its daemon starts: the probe, and which event its answer is. What follows
 * from that stands in the table. Runs in mailpaird's supervisor process; nothing here blocks.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "supervisor/engine_priv.h"

/* The spool is mounted here already: what is it? */
static enum fsm_event
probe_found(struct engine *en, const char *report)
{
	static const enum fsm_event events[SEAL_FOUND_COUNT] = { [SEAL_FOUND_OURS] = EV_FOUND_OURS,
		[SEAL_FOUND_UNSEALED] = EV_FOUND_UNSEALED, [SEAL_FOUND_THEIRS] = EV_FOUND_THEIRS,
		[SEAL_FOUND_FOREIGN] = EV_FOUND_FOREIGN };
	char sealed[32] = "", value[32] = "";
	uint64_t tenure = 0;
	int found = 0;

	spawn_get(report, "sealed", sealed, sizeof(sealed));
	if (spawn_get(report, "tenure", value, sizeof(value)) != NULL)
		tenure = strtoull(value, NULL, 10);
	while (found < SEAL_FOUND_FOREIGN && strcmp(sealed, seal_found_name((enum seal_found)found)) != 0)
		found++;
	if (found != SEAL_FOUND_FOREIGN && tenure > en->state.tenure)
		en->state.tenure = tenure;
	if (found == SEAL_FOUND_OURS)
		en->own_tenure = tenure;
	return events[found];
}

/*
 * Not known yet: asked again. Where this node mounted the spool itself, and neither the kernel nor the disk comes back for longer than mounting and
 * unmounting may take, waiting is no use any more.
 */
static void
probe_unknown(struct engine *en, const struct spawn_result *res)
{
	const struct conf *c = en->conf;
	char mine[8] = "";

	snprintf(en->probe_text, sizeof(en->probe_text), "%.200s", res->err.text[0] != '\0' ? res->err.text :
	    res->end == SPAWN_TIMEOUT ? "the look at the storage timed out" : "it cannot be told whether the spool is mounted");
	engine_event(en, "probe", false, "what is held here is not known: %s", en->probe_text);
	spawn_get(res->out, "mine", mine, sizeof(mine));
	if (strcmp(mine, "yes") != 0 || clock_mono_ms() - en->started_ms < (uint64_t)c->mount_ms + c->unmount_ms + 2 * c->kill_ms) {
		loop_timer_in(en->survey_timer, PROBE_AGAIN_MS);
		return;
	}
	en->probed = true;
	en->hold.storage = FACT_UNKNOWN;
	engine_step(en, EV_FOUND_STUCK);
	engine_watch_start(en);
	engine_queue_start(en);
	engine_consider(en);
}

static void
probe_done(void *arg, const struct spawn_result *res)
{
	struct engine *en = arg;
	char value[256] = "";

	en->job[JOB_PROBE] = NULL;
	if (en->exiting)
		return;
	if (spawn_get(res->out, "text", value, sizeof(value)) != NULL)
		snprintf(en->probe_text, sizeof(en->probe_text), "%s", value);
	if (res->end != SPAWN_EXITED || res->code != 0 || spawn_get(res->out, "held", value, sizeof(value)) == NULL ||
	    strcmp(value, "unknown") == 0) {
		probe_unknown(en, res);
		return;
	}
	en->probed = true;
	if (strcmp(value, "no") == 0) {
		en->hold.storage = FACT_NO;
		en->state.services_stopped = en->state.queue_refused = false;	/* that was about a tenure which is over */
		engine_step(en, EV_FOUND_NOTHING);
	} else {
		en->hold.storage = FACT_YES;
		engine_step(en, probe_found(en, res->out));
	}
	engine_watch_start(en);
	engine_queue_start(en);
	engine_consider(en);
}

void
engine_probe(struct engine *en)
{
	en->job_ctx[JOB_PROBE] = (struct edge_ctx){ .state = en->state };
	snprintf(en->job_ctx[JOB_PROBE].boot, sizeof(en->job_ctx[JOB_PROBE].boot), "%s", en->boot_text);
	engine_job_start(en, JOB_PROBE, "probe", en->edge->probe, en->conf->mount_ms, probe_done);
}

void
engine_probe_again(void *arg)
{
	struct engine *en = arg;

	if (!en->probed && en->job[JOB_PROBE] == NULL)
		engine_probe(en);
	else
		engine_survey_now(en);
}
