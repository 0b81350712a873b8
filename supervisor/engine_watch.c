/*
 * supervisor/engine_watch.c - how the own group is doing: surveys, the SMTP dialogue, the mail program's process, preparation for
 * a start, address announcements, fence device monitoring, hooks. Each is a worker started by a timer; what it
 * reports becomes facts here. Runs in mailpaird's supervisor process; nothing here blocks.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "supervisor/engine_priv.h"

#define MONITOR_AGAIN_MS 300	/* after an answer that was none: ask again soon */
#define JOB_LIMIT_MS 30000

static enum fact
fact_of(const char *report, const char *key, char *rest, size_t rest_size)
{
	char value[512];
	char *blank;

	if (spawn_get(report, key, value, sizeof(value)) == NULL)
		return FACT_UNKNOWN;
	blank = strchr(value, ' ');
	if (blank != NULL)
		*blank++ = '\0';
	if (rest != NULL)
		snprintf(rest, rest_size, "%s", blank != NULL ? blank : "");
	return strcmp(value, "yes") == 0 ? FACT_YES : strcmp(value, "no") == 0 ? FACT_NO : FACT_UNKNOWN;
}

/* ---------------------------------------------------------------- the mail program's process */

static void
mta_gone(int fd, unsigned int ready, void *arg)
{
	struct engine *en = arg;

	(void)fd;
	(void)ready;
	engine_event(en, "mta-died", false, "the main process %d of %s is gone", (int)en->mta_pid, en->conf->mta.name);
	engine_mta_follow(en, 0);
	en->mta_died = true;
	en->hold.mta = FACT_NO;
	engine_consider(en);
}

void
engine_mta_follow(struct engine *en, pid_t pid)
{
	loop_io_free(en->mta_io);
	en->mta_io = NULL;
	if (en->mta_fd != -1)
		close(en->mta_fd);
	en->mta_fd = -1;
	en->mta_pid = pid;
	if (pid <= 0)
		return;
	en->mta_fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (en->mta_fd == -1) {
		log_warn("process %d of %s cannot be followed; it is looked at every %d ms instead", (int)pid,
		    en->conf->mta.name, SURVEY_MS);
		return;
	}
	en->mta_io = loop_io_new(en->loop, en->mta_fd, LOOP_READ, mta_gone, en);
}

bool
engine_mta_down(const struct engine *en)
{
	if (en->mta_died || en->hold.mta == FACT_NO)
		return true;
	return mta_health_good(&en->mta_health, en->conf->mta.failures, en->conf->mta.window) == FACT_NO;
}

bool
engine_may_restart(const struct engine *en)
{
	uint64_t now = clock_mono_ms();
	size_t recent = 0;

	for (size_t i = 0; i < en->restarts; i++) {
		if (now - en->restart_ms[i] < en->conf->takeover.restart_window_ms)
			recent++;
	}
	return recent < en->conf->takeover.restarts;
}

void
engine_restart_note(struct engine *en)
{
	size_t max = sizeof(en->restart_ms) / sizeof(en->restart_ms[0]);

	if (en->restarts == max) {
		memmove(en->restart_ms, en->restart_ms + 1, (max - 1) * sizeof(en->restart_ms[0]));
		en->restarts--;
	}
	en->restart_ms[en->restarts++] = clock_mono_ms();
}

/* ---------------------------------------------------------------- survey */

static void
survey_learn_queue(struct engine *en, const char *report)
{
	struct mta_queue_counts q;
	char value[256];

	if (spawn_get(report, "queue", value, sizeof(value)) == NULL)
		return;
	if (sscanf(value, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64, &q.total,
	    &q.incoming, &q.active, &q.deferred, &q.hold, &q.corrupt, &q.maildrop) == 7) {
		en->hold.queue = q;
		en->hold.queue_known = true;
	}
}

static void
survey_learn(struct engine *en, const char *report)
{
	struct engine_hold *h = &en->hold;
	char key[32], pid[16];
	bool lost = false;

	h->ready = fact_of(report, "ready", h->ready_text, sizeof(h->ready_text));
	h->interfaces = fact_of(report, "interfaces", h->interfaces_text, sizeof(h->interfaces_text));
	h->durable = fact_of(report, "durable", h->durable_text, sizeof(h->durable_text));
	survey_learn_queue(en, report);
	en->interface_dead = h->interfaces == FACT_NO;
	if (engine_busy(en))
		return;			/* the group is moving: what was seen is old already */
	if (en->survey_acts != en->acts_begun) {
		engine_survey_now(en);	/* it has moved since the look began */
		return;
	}
	for (size_t i = 0; i < en->conf->addresses; i++) {
		snprintf(key, sizeof(key), "address-%zu", i);
		h->address[i] = fact_of(report, key, NULL, 0) == FACT_YES;
		lost = lost || !h->address[i];
	}
	spawn_get(report, "storage", h->storage_text, sizeof(h->storage_text));
	h->storage = fact_of(report, "held", NULL, 0);
	h->binds = fact_of(report, "binds", NULL, 0);
	h->mta = fact_of(report, "mta", NULL, 0);
	if (en->role != ROLE_ACTIVE || en->state.services_stopped)
		return;
	if (h->mta == FACT_YES && en->mta_io == NULL && spawn_get(report, "pid", pid, sizeof(pid)) != NULL)
		engine_mta_follow(en, (pid_t)strtol(pid, NULL, 10));
	if (lost && en->conf->addresses > 0 && h->mta == FACT_YES)
		engine_step(en, EV_ADDRESS_LOST);
}

static void
survey_done(void *arg, const struct spawn_result *res)
{
	struct engine *en = arg;

	en->job[JOB_SURVEY] = NULL;
	loop_timer_in(en->survey_timer, SURVEY_MS);
	if (res->end == SPAWN_EXITED && res->code == 0)
		survey_learn(en, res->out);
	else
		log_debug("survey: %s", res->end == SPAWN_TIMEOUT ? "timed out" : res->err.text);
	engine_consider(en);
}

void
engine_survey_now(struct engine *en)
{
	if (!en->probed || en->job[JOB_SURVEY] != NULL)
		return;
	if (engine_busy(en) && en->surveys > 0) {
		loop_timer_in(en->survey_timer, SURVEY_MS / 5);
		return;
	}
	en->job_ctx[JOB_SURVEY] = (struct edge_ctx){ .owner = en->role == ROLE_ACTIVE,
		.count_queue = en->role == ROLE_ACTIVE && en->surveys % QUEUE_COUNT_EVERY == 0 };
	en->surveys++;
	en->survey_acts = en->acts_begun;
	engine_job_start(en, JOB_SURVEY, "survey", en->edge->survey, JOB_LIMIT_MS, survey_done);
}

/* ---------------------------------------------------------------- the dialogue */

static void
monitor_done(void *arg, const struct spawn_result *res)
{
	struct engine *en = arg;
	enum mta_answer answer = MTA_ANSWER_UNKNOWN;
	char word[16] = "", text[200] = "";

	en->job[JOB_MONITOR] = NULL;
	spawn_get(res->out, "answer", word, sizeof(word));
	spawn_get(res->out, "text", text, sizeof(text));
	if (strcmp(word, "answered") == 0)
		answer = MTA_ANSWERED;
	else if (strcmp(word, "refused") == 0)
		answer = MTA_REFUSED;
	else if (strcmp(word, "none") == 0 || res->end == SPAWN_TIMEOUT)
		answer = MTA_NO_ANSWER;
	loop_timer_in(en->monitor_timer, answer == MTA_ANSWERED ? en->conf->mta.monitor_ms : MONITOR_AGAIN_MS);
	if (en->role != ROLE_ACTIVE || engine_busy(en))
		return;
	mta_health_add(&en->mta_health, answer);
	if (answer != MTA_ANSWERED)
		log_info("%s did not answer as it should: %s", en->conf->mta.name, text);
	if (mta_health_good(&en->mta_health, en->conf->mta.failures, en->conf->mta.window) == FACT_NO && !en->mta_died)
		engine_event(en, "mta-bad", false, "%s does not answer: %s", en->conf->mta.name, text);
	engine_consider(en);
}

static void
monitor_fired(void *arg)
{
	struct engine *en = arg;

	if (en->role != ROLE_ACTIVE || engine_busy(en) || en->state.services_stopped || en->hold.mta != FACT_YES ||
	    en->job[JOB_MONITOR] != NULL) {
		loop_timer_in(en->monitor_timer, en->conf->mta.monitor_ms);
		return;
	}
	en->job_ctx[JOB_MONITOR] = (struct edge_ctx){ .owner = true };
	engine_job_start(en, JOB_MONITOR, "monitor", en->edge->monitor, en->conf->mta.probe_ms + 1000, monitor_done);
}

/* ---------------------------------------------------------------- preparation, announcements, devices */

static void
prepare_done(void *arg, const struct spawn_result *res)
{
	struct engine *en = arg;
	enum fact was = en->hold.prepared;

	en->job[JOB_PREPARE] = NULL;
	en->hold.prepared = res->end == SPAWN_EXITED && res->code == 0 ? fact_of(res->out, "prepared", NULL, 0) : FACT_UNKNOWN;
	loop_timer_in(en->prepare_timer, en->hold.prepared != FACT_YES ? SURVEY_MS :
	    en->role == ROLE_ACTIVE ? PREPARE_OWNER_MS : PREPARE_STANDBY_MS);
	if (spawn_get(res->out, "why", en->hold.prepared_text, sizeof(en->hold.prepared_text)) == NULL)
		snprintf(en->hold.prepared_text, sizeof(en->hold.prepared_text), "%.255s", res->err.text);
	if (en->hold.prepared == FACT_NO && was != FACT_NO)
		engine_event(en, "unprepared", false, "%s could not be started here: %s", en->conf->mta.name, en->hold.prepared_text);
}

void
engine_prepare_now(struct engine *en)
{
	if (!en->probed || en->job[JOB_PREPARE] != NULL || en->prepare_timer == NULL)
		return;
	/* not beside a group that moves: it would only slow it down */
	if (engine_busy(en) || en->role == ROLE_ACQUIRING || en->role == ROLE_RELEASING) {
		loop_timer_in(en->prepare_timer, SURVEY_MS);
		return;
	}
	en->job_ctx[JOB_PREPARE] = (struct edge_ctx){ .owner = en->role == ROLE_ACTIVE };
	engine_job_start(en, JOB_PREPARE, "prepare", en->edge->prepare, JOB_LIMIT_MS, prepare_done);
}

static void
prepare_fired(void *arg)
{
	engine_prepare_now(arg);
}

static void
announce_done(void *arg, const struct spawn_result *res)
{
	struct engine *en = arg;

	en->job[JOB_ANNOUNCE] = NULL;
	if (res->end != SPAWN_EXITED || res->code != 0)
		log_debug("announcing the addresses: %s", res->err.text);
}

static void
announce_fired(void *arg)
{
	struct engine *en = arg;
	uint32_t every = 0;

	for (size_t i = 0; i < en->conf->addresses; i++) {
		uint32_t ms = en->conf->address[i].refresh_ms;

		if (ms != 0 && (every == 0 || ms < every))
			every = ms;
	}
	loop_timer_in(en->announce_timer, every != 0 ? every : PREPARE_OWNER_MS);
	if (every == 0 || en->role != ROLE_ACTIVE || engine_busy(en) || en->job[JOB_ANNOUNCE] != NULL)
		return;
	en->job_ctx[JOB_ANNOUNCE] = (struct edge_ctx){ .owner = true };
	engine_job_start(en, JOB_ANNOUNCE, "announce", en->edge->announce, JOB_LIMIT_MS, announce_done);
}

static void
address_probe_done(void *arg, const struct spawn_result *res)
{
	struct engine *en = arg;

	en->job[JOB_ADDRESS_PROBE] = NULL;
	/* only an answer stands against taking: a probe that could not be made says nothing */
	if (res->end == SPAWN_EXITED && res->code == 1)
		snprintf(en->foreign, sizeof(en->foreign), "%.255s", res->err.text);
	engine_run_queue(en);
}

void
engine_address_probe(struct engine *en)
{
	en->foreign[0] = '\0';
	if (en->job[JOB_ADDRESS_PROBE] != NULL || en->state.services_stopped)
		return;
	en->job_ctx[JOB_ADDRESS_PROBE] = (struct edge_ctx){ .owner = false };
	engine_job_start(en, JOB_ADDRESS_PROBE, "address probe", en->edge->address_probe, en->conf->address_ms, address_probe_done);
}

static void
fence_monitor_done(void *arg, const struct spawn_result *res)
{
	struct engine *en = arg;

	en->job[JOB_FENCE_MONITOR] = NULL;
	en->fence_monitored_wall_ms = clock_wall_ms();
	engine_fence_tested(en, 1 - en->conf->self, res);
	for (size_t i = 0; i < en->conf->fences; i++) {
		char key[CONF_NAME_MAX + 16];
		enum fact was = en->fence_answers[i];

		snprintf(key, sizeof(key), "answers-%zu", i);
		en->fence_answers[i] = fact_of(res->out, key, NULL, 0);
		if (en->fence_answers[i] == FACT_NO && was != FACT_NO)
			engine_event(en, "fence-device", false, "fence device %s does not answer: a takeover from %s could not be proven now",
			    en->conf->fence[i].name, en->conf->node[en->conf->fence[i].node]);
	}
}

static void
fence_monitor_fired(void *arg)
{
	struct engine *en = arg;
	uint32_t every = 0, limit = 1000;

	for (size_t i = 0; i < en->conf->fences; i++) {
		uint32_t ms = en->conf->fence[i].monitor_ms;

		if (ms != 0 && (every == 0 || ms < every))
			every = ms;
		limit += en->conf->fence[i].timeout_ms;
	}
	if (every == 0)
		return;
	loop_timer_in(en->fence_timer, every);
	if (en->job[JOB_FENCE_MONITOR] != NULL || en->job[JOB_POWER] != NULL)
		return;
	en->job_ctx[JOB_FENCE_MONITOR] = (struct edge_ctx){ .node = 1 - en->conf->self };
	engine_job_start(en, JOB_FENCE_MONITOR, "fence monitor", en->edge->fence_monitor, limit, fence_monitor_done);
}

void
engine_watch_start(struct engine *en)
{
	if (en->monitor_timer != NULL)
		return;
	en->monitor_timer = loop_timer_new(en->loop, monitor_fired, en);
	en->prepare_timer = loop_timer_new(en->loop, prepare_fired, en);
	en->announce_timer = loop_timer_new(en->loop, announce_fired, en);
	en->fence_timer = loop_timer_new(en->loop, fence_monitor_fired, en);
	loop_timer_in(en->monitor_timer, en->conf->mta.monitor_ms);
	loop_timer_in(en->announce_timer, 1000);
	loop_timer_in(en->fence_timer, 2000);
	engine_prepare_now(en);
	engine_survey_now(en);
}

/* ---------------------------------------------------------------- hooks */

static void hook_next(struct engine *en);

/* Which scripts failed, and how: nobody else tells the operator that he was not told. */
static void
hook_failures(const char *report)
{
	for (const char *line = report; *line != '\0'; line += strcspn(line, "\n"), line += *line == '\n') {
		if (strncmp(line, "hook ", 5) == 0)
			log_warnx("%.*s", (int)strcspn(line, "\n"), line);
	}
}

static void
hook_done(void *arg, const struct spawn_result *res)
{
	struct engine *en = arg;

	en->job[JOB_HOOK] = NULL;
	hook_failures(res->out);
	if (res->end != SPAWN_EXITED || res->code != 0)
		log_warnx("hooks: %s", res->end == SPAWN_TIMEOUT ? "they did not end in time" : res->err.text);
	hook_next(en);
}

static void
hook_next(struct engine *en)
{
	if (en->hooks == 0 || en->job[JOB_HOOK] != NULL)
		return;
	en->job_ctx[JOB_HOOK] = (struct edge_ctx){ .hook = en->hook_queue[0] };
	en->hooks--;
	memmove(en->hook_queue, en->hook_queue + 1, en->hooks * sizeof(en->hook_queue[0]));
	engine_job_start(en, JOB_HOOK, "hooks", en->edge->hook, en->conf->hook_ms * 4, hook_done);
}

void
engine_hook(struct engine *en, const char *event, const char *reason)
{
	struct hook_facts *h;

	if (en->hooks == sizeof(en->hook_queue) / sizeof(en->hook_queue[0])) {
		log_warnx("hooks are too slow: event %s is not passed on", event);
		return;
	}
	h = &en->hook_queue[en->hooks++];
	*h = (struct hook_facts){ .tenure = en->own_tenure != 0 ? en->own_tenure : en->state.tenure, .at_wall_ms = clock_wall_ms() };
	snprintf(h->event, sizeof(h->event), "%s", event);
	snprintf(h->role, sizeof(h->role), "%s", role_name(en->role));
	snprintf(h->from, sizeof(h->from), "%s", en->trans_from);
	snprintf(h->to, sizeof(h->to), "%s", en->trans_to);
	snprintf(h->reason, sizeof(h->reason), "%.255s", reason);
	hook_next(en);
}
