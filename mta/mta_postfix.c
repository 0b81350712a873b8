/*
 * mta/mta_postfix.c - the Postfix driver: ties the parts postfix_*.c to the interface of
 * mta/mta.h. Runs in workers; blocks up to the limit that the caller gives.
 *
 * "postfix start" spends nearly all of its time in shell scripts that check. The same checks are
 * made by us, most of them ahead of time, and master is started directly; directories that we do not
 * know are made by Postfix's own post-install.
 *
 * Every function is for all instances of the host that are enabled: started in their order, stopped in
 * the opposite one.
 */
#include "mta/mta.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "mta/postfix_check.h"
#include "mta/postfix_chroot.h"
#include "mta/postfix_conf.h"
#include "mta/postfix_layout.h"
#include "mta/postfix_lock.h"
#include "mta/postfix_master.h"
#include "mta/postfix_multi.h"
#include "mta/postfix_proc.h"
#include "mta/postfix_queue.h"
#include "mta/postfix_warm.h"
#include "mta/queue_note.h"
#include "mta/smtp_probe.h"

#define WARM_MS 10000

/* Too large for a stack that is locked into memory. */
struct work { struct postfix_instances all; struct postfix_conf conf; struct postfix_plan plan; };

static struct work *
work_new(struct err *err)
{
	struct work *work = calloc(1, sizeof *work);

	if (work == NULL)
		err_set(err, 0, "out of memory");
	return work;
}

static bool
prepare_one(const struct mta_params *params, struct work *work, struct spawn_out *out, struct err *why)
{
	return postfix_conf_load(params, &work->conf, why) && postfix_check_config(&work->conf, &work->plan, out, why);
}

static bool
prepare(const struct mta_params *params, struct spawn_out *out, struct err *err)
{
	struct work *work = work_new(err);
	struct err why = { 0 };
	bool ok = work != NULL, prepared;
	size_t warmed = 0;

	if (work == NULL)
		return false;
	prepared = postfix_instances_load(params, false, &work->all, &why);
	for (size_t i = 0; ok && prepared && i < work->all.len; i++) {
		const struct mta_params *one = &work->all.one[i];

		prepared = prepare_one(one, work, out, &why) || postfix_instance_failed(&work->all, i, &why);
		ok = !prepared || postfix_plan_save(one, &work->plan, err);
		if (ok && prepared)
			warmed += postfix_warm(&work->conf, clock_mono_ms() + WARM_MS);
	}
	if (ok) {
		spawn_say(out, "prepared", prepared ? "yes" : "no");
		if (prepared)
			spawn_say(out, "warmed", "%zu", warmed);
		else
			spawn_say(out, "why", "%s", why.text);
	}
	free(work);
	return ok;
}

/* Does any instance run? One that runs holds the spool, whatever the others do. */
static enum fact
running(const struct mta_params *params, pid_t *ret_pid, struct err *err)
{
	struct work *work = work_new(err);
	enum fact fact = FACT_UNKNOWN;
	pid_t pid = 0;

	if (work != NULL && postfix_instances_load(params, true, &work->all, err)) {
		fact = FACT_NO;
		for (size_t i = 0; fact != FACT_YES && i < work->all.len; i++) {
			enum fact one = FACT_UNKNOWN;

			if (postfix_conf_load_known(&work->all.one[i], &work->conf, err))
				one = postfix_master_alive(&work->conf, &pid, err);
			if (one != FACT_NO)
				fact = one;
		}
	}
	free(work);
	if (fact != FACT_UNKNOWN && ret_pid != NULL)
		*ret_pid = fact == FACT_YES ? pid : 0;
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
	if (work->plan.odd[0] != '\0') {
		spawn_say(out, "warning", "\"postfix post-install\" is used because %s", work->plan.odd);
		if (!postfix_make_missing(&work->conf, deadline_ms, err))
			return false;
	}
	return postfix_check_queue(params, &work->conf, &work->plan, deadline_ms, out, err) &&
	    postfix_chroot_refresh(&work->conf, &work->plan, deadline_ms, out, err);
}

/* How long the parts took, over all instances. */
struct took { double check_ms, exec_ms; };

static bool
start_stopped(const struct mta_params *params, struct work *work, uint64_t deadline_ms,
    struct spawn_out *out, pid_t *ret_pid, struct took *took, struct err *err)
{
	uint64_t began_us = clock_mono_us(), checked_us;
	bool ok;

	if (!check(params, work, deadline_ms, out, err) ||
	    !postfix_orphans_end(&work->conf, deadline_ms, out, err))
		return false;
	checked_us = clock_mono_us();
	took->check_ms += (double)(checked_us - began_us) / 1000;
	if (params->run_dir != NULL)
		queue_note_drop(params->run_dir, work->conf.value[PF_QUEUE_DIR]);
	ok = postfix_master_start(&work->conf, deadline_ms, ret_pid, err);
	took->exec_ms += (double)(clock_mono_us() - checked_us) / 1000;
	return ok;
}

/* *ret_fresh: it did not run before. */
static bool
start_one(const struct mta_params *params, struct work *work, uint64_t deadline_ms, struct spawn_out *out,
    pid_t *ret_pid, bool *ret_fresh, struct took *took, struct err *err)
{
	if (!postfix_conf_load(params, &work->conf, err))
		return false;
	switch (postfix_master_alive(&work->conf, ret_pid, err)) {
	case FACT_YES:
		if (*ret_pid == 0 || postfix_is_master(&work->conf, *ret_pid))
			return true;
		return err_set(err, 0, "Postfix's lock is held by pid %d, which is no master: its queue may be being mended",
		    (int)*ret_pid);
	case FACT_NO:
		*ret_fresh = true;
		return start_stopped(params, work, deadline_ms, out, ret_pid, took, err);
	case FACT_UNKNOWN:		/* *err says why: two masters must not be risked */
	case FACT_COUNT:
		break;
	}
	return false;
}

static bool
start(const struct mta_params *params, uint32_t limit_ms, struct spawn_out *out, struct err *err)
{
	uint64_t deadline_ms = clock_mono_ms() + limit_ms;
	struct work *work = work_new(err);
	struct took took = { 0 };
	bool ok, fresh = false;
	pid_t first = 0;

	if (work == NULL)
		return false;
	ok = postfix_instances_load(params, false, &work->all, err);
	for (size_t i = 0; ok && i < work->all.len; i++) {
		pid_t pid = 0;

		ok = start_one(&work->all.one[i], work, deadline_ms, out, &pid, &fresh, &took, err) ||
		    postfix_instance_failed(&work->all, i, err);
		if (ok && i == 0)
			first = pid;
		if (ok && i > 0)
			spawn_say(out, "instance", "%s pid %d", work->all.one[i].config, (int)pid);
	}
	if (ok && fresh) {
		spawn_say(out, "check", "%.1f", took.check_ms);
		spawn_say(out, "exec", "%.1f", took.exec_ms);
	}
	if (ok)
		spawn_say(out, "pid", "%d", (int)first);
	free(work);
	return ok;
}

/* All are asked to end, also behind one that cannot be stopped. */
static bool
stop(const struct mta_params *params, uint32_t limit_ms, struct spawn_out *out, struct err *err)
{
	uint64_t deadline_ms = clock_mono_ms() + limit_ms;
	struct work *work = work_new(err);
	bool ok;

	if (work == NULL)
		return false;
	ok = postfix_instances_load(params, true, &work->all, err);
	for (size_t i = ok ? work->all.len : 0; i-- > 0;) {
		struct err why = { 0 };

		if (postfix_conf_load_known(&work->all.one[i], &work->conf, &why) &&
		    postfix_master_stop(&work->conf, deadline_ms, out, &why))
			continue;
		ok = postfix_instance_failed(&work->all, i, &why);
		if (err != NULL)
			*err = why;
	}
	free(work);
	return ok;
}

/* The first instance that serves SMTP; beside one that delivers alone, another may receive. */
static bool
target_of_any(struct work *work, struct smtp_target *ret, struct err *err)
{
	for (size_t i = 0; i < work->all.len; i++)
		if (postfix_conf_load(&work->all.one[i], &work->conf, err) && postfix_conf_target(&work->conf, ret, err))
			return true;
	return false;
}

/* Beside others a master that is gone shows in no greeting. */
static bool
all_alive(struct work *work, struct err *err)
{
	for (size_t i = 0; work->all.len > 1 && i < work->all.len; i++) {
		pid_t pid;

		if (!postfix_conf_load_known(&work->all.one[i], &work->conf, NULL) ||
		    postfix_master_alive(&work->conf, &pid, NULL) != FACT_NO)
			continue;
		err_set(err, 0, "it does not run");
		return postfix_instance_failed(&work->all, i, err);
	}
	return true;
}

static enum mta_answer
answers(const struct mta_params *params, struct err *err)
{
	struct work *work = work_new(err);
	struct smtp_target target;
	enum mta_answer answer = MTA_ANSWER_UNKNOWN;
	bool ok;

	if (work == NULL)
		return MTA_ANSWER_UNKNOWN;
	ok = postfix_instances_load(params, false, &work->all, err);
	if (params->probe != NULL)
		ok = smtp_target_parse(params->probe, &target, err);
	else
		ok = ok && target_of_any(work, &target, err);
	if (ok && !all_alive(work, err))
		answer = MTA_REFUSED;
	else if (ok)
		answer = smtp_probe(&target, params->probe_ms, err);
	free(work);
	return answer;
}

static void
add_counts(struct mta_queue_counts *sum, const struct mta_queue_counts *one)
{
	sum->total += one->total;
	sum->incoming += one->incoming;
	sum->active += one->active;
	sum->deferred += one->deferred;
	sum->hold += one->hold;
	sum->corrupt += one->corrupt;
	sum->maildrop += one->maildrop;
}

static bool
count(const struct mta_params *params, struct mta_queue_counts *ret, struct err *err)
{
	struct mta_queue_counts sum = { 0 }, one;
	struct work *work = work_new(err);
	bool ok;

	if (work == NULL)
		return false;
	ok = postfix_instances_load(params, false, &work->all, err);
	for (size_t i = 0; ok && i < work->all.len; i++) {
		ok = (postfix_conf_load(&work->all.one[i], &work->conf, err) &&
		    postfix_queue_count(&work->conf, &one, err)) || postfix_instance_failed(&work->all, i, err);
		if (ok)
			add_counts(&sum, &one);
	}
	free(work);
	if (ok)
		*ret = sum;
	return ok;
}

/* ---------------------------------------------------------------- the queue on disk */

static bool
same_directory(const char *a, const char *b)
{
	struct stat one, other;

	return stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

/* As the settings are now; as they were last known where they cannot be read any more. */
static bool
settings(const struct mta_params *params, struct postfix_conf *ret, struct err *err)
{
	return postfix_conf_load(params, ret, NULL) || postfix_conf_load_known(params, ret, err);
}

/* Is dir the queue of an instance of this host? Its settings are in work->conf then. dir NULL: of the first. */
static bool
own_queue(const struct mta_params *params, const char *dir, struct work *work, struct err *err)
{
	if (!postfix_instances_load(params, false, &work->all, NULL) && !postfix_instances_load(params, true, &work->all, err))
		return false;
	for (size_t i = 0; i < work->all.len; i++)
		if (settings(&work->all.one[i], &work->conf, err) &&
		    (dir == NULL || same_directory(dir, work->conf.value[PF_QUEUE_DIR])))
			return true;
	return false;
}

static bool
queues(const struct mta_params *params, struct mta_queues *ret, struct err *err)
{
	struct work *work = work_new(err);
	bool ok;

	if (work == NULL)
		return false;
	ok = postfix_instances_load(params, false, &work->all, err);
	for (size_t i = 0; ok && i < work->all.len; i++) {
		ok = postfix_conf_load(&work->all.one[i], &work->conf, err) || postfix_instance_failed(&work->all, i, err);
		if (ok)
			snprintf(ret->root[i], sizeof ret->root[0], "%s", work->conf.value[PF_QUEUE_DIR]);
	}
	if (ok)
		ret->len = work->all.len;
	free(work);
	return ok;
}

static bool
layout(const struct mta_params *params, const char *dir, const struct queue_owners *owners, struct queue_layout *ret,
    struct err *err)
{
	struct work *work = work_new(err);
	bool ok;

	if (work == NULL)
		return false;
	if (own_queue(params, dir, work, err))
		ok = postfix_layout_own(&work->conf, owners, ret, err);
	else
		ok = dir != NULL && postfix_layout_tree(dir, owners, ret, err);
	free(work);
	return ok;
}

static enum fact
lock(const struct mta_params *params, const struct queue_layout *layout_of, struct queue_lock *ret, struct err *err)
{
	struct work *work = work_new(err);
	enum fact fact = FACT_UNKNOWN;

	if (work != NULL)
		fact = postfix_lock(own_queue(params, layout_of->root, work, NULL) ? &work->conf : NULL, layout_of, ret, err);
	free(work);
	return fact;
}

const struct mta_driver mta_postfix = {
	.name = "postfix",
	.prepare = prepare,
	.running = running,
	.start = start,
	.stop = stop,
	.answers = answers,
	.count = count,
	.queues = queues,
	.layout = layout,
	.lock = lock,
};
