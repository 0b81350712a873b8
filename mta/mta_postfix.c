/*
 * mta/mta_postfix.c - the Postfix driver: ties the parts postfix_*.c to the interface of
 * mta/mta.h. Runs in workers; blocks up to the limit that the caller gives.
 *
 * "postfix start" spends nearly all of its time in shell scripts that check. The same checks are
 * made by us, most of them ahead of time, and master is started directly; where Postfix's own
 * scripts know something we do not, they are run instead.
 */
#include "mta/mta.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "mta/postfix_check.h"
#include "mta/postfix_chroot.h"
#include "mta/postfix_conf.h"
#include "mta/postfix_master.h"
#include "mta/postfix_proc.h"
#include "mta/postfix_queue.h"
#include "mta/postfix_warm.h"
#include "mta/smtp_probe.h"

#define WARM_MS 10000

/* Too large for a stack that is locked into memory. */
struct work { struct postfix_conf conf; struct postfix_plan plan; };

static bool
prepare(const struct mta_params *params, struct spawn_out *out, struct err *err)
{
	struct work *work = calloc(1, sizeof *work);
	struct err why = { 0 };
	bool ok = true;

	if (work == NULL)
		return err_set(err, 0, "out of memory");
	if (!postfix_conf_load(params, &work->conf, &why) ||
	    !postfix_check_config(&work->conf, &work->plan, out, &why)) {
		spawn_say(out, "prepared", "no");
		spawn_say(out, "why", "%s", why.text);
	} else if (!postfix_plan_save(params, &work->plan, err)) {
		ok = false;
	} else {
		spawn_say(out, "warmed", "%zu",
		    postfix_warm(&work->conf, clock_mono_ms() + WARM_MS));
		spawn_say(out, "prepared", "yes");
	}
	free(work);
	return ok;
}

static enum fact
running(const struct mta_params *params, pid_t *ret_pid, struct err *err)
{
	struct postfix_conf *conf = calloc(1, sizeof *conf);
	enum fact fact = FACT_UNKNOWN;
	pid_t pid = 0;

	if (conf == NULL)
		err_set(err, 0, "out of memory");
	else if (postfix_conf_load_known(params, conf, err))
		fact = postfix_master_alive(conf, &pid, err);
	free(conf);
	if (fact != FACT_UNKNOWN && ret_pid != NULL)
		*ret_pid = pid;
	return fact;
}

/* All that must be true before master may be started. */
static bool
check(const struct mta_params *params, struct work *work, uint64_t deadline_ms, struct spawn_out *out,
    struct err *err)
{
	struct err changed = { 0 };

	if (!postfix_plan_load(params, &work->plan, &changed)) {
		spawn_say(out, "recheck", "%s", changed.text);
		if (!postfix_check_config(&work->conf, &work->plan, out, err))
			return false;
		/* Not being able to keep it costs time at the next start, and nothing now. */
		postfix_plan_save(params, &work->plan, NULL);
	}
	return postfix_check_queue(&work->conf, &work->plan, deadline_ms, out, err) &&
	    postfix_chroot_refresh(&work->conf, &work->plan, deadline_ms, out, err);
}

static bool
start_stopped(const struct mta_params *params, struct work *work, uint64_t deadline_ms,
    struct spawn_out *out, struct err *err)
{
	uint64_t began_us = clock_mono_us(), checked_us;
	pid_t pid = 0;
	bool ok, script;

	if (!check(params, work, deadline_ms, out, err) ||
	    !postfix_orphans_end(&work->conf, deadline_ms, out, err))
		return false;
	checked_us = clock_mono_us();
	spawn_say(out, "check", "%.1f", (double)(checked_us - began_us) / 1000);
	script = work->plan.odd[0] != '\0';
	if (script) {
		spawn_say(out, "warning", "\"postfix start\" is used because %s", work->plan.odd);
		ok = postfix_script_start(&work->conf, deadline_ms, &pid, err);
	} else {
		ok = postfix_master_start(&work->conf, deadline_ms, &pid, err);
	}
	if (!ok)
		return false;
	spawn_say(out, "exec", "%s%.1f", script ? "script " : "",
	    (double)(clock_mono_us() - checked_us) / 1000);
	spawn_say(out, "pid", "%d", (int)pid);
	return true;
}

static bool
start(const struct mta_params *params, uint32_t limit_ms, struct spawn_out *out, struct err *err)
{
	uint64_t deadline_ms = clock_mono_ms() + limit_ms;
	struct work *work = calloc(1, sizeof *work);
	pid_t pid = 0;
	bool ok = false;

	if (work == NULL)
		return err_set(err, 0, "out of memory");
	if (postfix_conf_load(params, &work->conf, err)) {
		switch (postfix_master_alive(&work->conf, &pid, err)) {
		case FACT_YES:
			spawn_say(out, "pid", "%d", (int)pid);
			ok = true;
			break;
		case FACT_NO:
			ok = start_stopped(params, work, deadline_ms, out, err);
			break;
		case FACT_UNKNOWN:		/* *err says why: two masters must not be risked */
		case FACT_COUNT:
			break;
		}
	}
	free(work);
	return ok;
}

static bool
stop(const struct mta_params *params, uint32_t limit_ms, struct spawn_out *out, struct err *err)
{
	uint64_t deadline_ms = clock_mono_ms() + limit_ms;
	struct postfix_conf *conf = calloc(1, sizeof *conf);
	bool ok;

	if (conf == NULL)
		return err_set(err, 0, "out of memory");
	ok = postfix_conf_load_known(params, conf, err) &&
	    postfix_master_stop(conf, deadline_ms, out, err);
	free(conf);
	return ok;
}

static enum mta_answer
answers(const struct mta_params *params, struct err *err)
{
	struct postfix_conf *conf;
	struct smtp_target target;
	bool ok;

	if (params->probe != NULL) {
		ok = smtp_target_parse(params->probe, &target, err);
	} else {
		conf = calloc(1, sizeof *conf);
		if (conf == NULL) {
			err_set(err, 0, "out of memory");
			return MTA_ANSWER_UNKNOWN;
		}
		ok = postfix_conf_load(params, conf, err) && postfix_conf_target(conf, &target, err);
		free(conf);
	}
	return ok ? smtp_probe(&target, params->probe_ms, err) : MTA_ANSWER_UNKNOWN;
}

static bool
count(const struct mta_params *params, struct mta_queue_counts *ret, struct err *err)
{
	struct postfix_conf *conf = calloc(1, sizeof *conf);
	bool ok;

	if (conf == NULL)
		return err_set(err, 0, "out of memory");
	ok = postfix_conf_load(params, conf, err) && postfix_queue_count(conf, ret, err);
	free(conf);
	return ok;
}

const struct mta_driver mta_postfix = {
	.name = "postfix",
	.prepare = prepare,
	.running = running,
	.start = start,
	.stop = stop,
	.answers = answers,
	.count = count,
};
