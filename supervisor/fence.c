/*
 * supervisor/fence.c - the fence devices of a node: which are asked in which order, how often, and
 * what counts as proof that the node is off.
 *
 * Leaves one call to fence_agent.c and its meaning to fence_answer.c; when a node is fenced is for
 * the state machine. Runs in workers. Blocks for the timeouts of the devices: fence_longest_ms().
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "supervisor/fence_agent.h"

#define CALL_SLACK_MS 500 /* for starting an agent, and for killing one that hangs */

/* One request: what is asked of whom, and the story for the error sentence. */
struct job {
	const struct conf *conf;
	int node;
	struct spawn_out *out;
	char story[400]; /* "bmc: no answer; pdu: ..." */
};

static void story_add(struct job *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void
story_add(struct job *job, const char *fmt, ...)
{
	size_t at = strlen(job->story);
	va_list ap;

	if (at != 0 && at + 3 < sizeof(job->story))
		at += (size_t)snprintf(job->story + at, sizeof(job->story) - at, "; ");
	va_start(ap, fmt);
	vsnprintf(job->story + at, sizeof(job->story) - at, fmt, ap);
	va_end(ap);
}

static const char *
power_word(enum fact power)
{
	return power == FACT_YES ? "on" : power == FACT_NO ? "off" : "unknown";
}

static void
report(const struct job *job, const struct conf_fence *f, const char *word, uint32_t ms,
    const char *sentence)
{
	if (job->out != NULL)
		spawn_say(job->out, "device", "%s %s %u %s", f->name, word, ms, sentence);
}

/*
 * The next device of the node behind *at (SIZE_MAX: from the start), of any level if level is NULL.
 */
static const struct conf_fence *
next_device(const struct job *job, size_t *at, const uint32_t *level)
{
	for (size_t i = *at == SIZE_MAX ? 0 : *at + 1; i < job->conf->fences; i++) {
		const struct conf_fence *f = &job->conf->fence[i];

		if (f->node != job->node || (level != NULL && f->level != *level))
			continue;
		*at = i;
		return f;
	}
	return NULL;
}

/* The levels of the node's devices, each once, ascending. */
static size_t
levels_of(const struct job *job, uint32_t ret[CONF_FENCES_MAX])
{
	const struct conf_fence *f;
	size_t at = SIZE_MAX, len = 0;

	while ((f = next_device(job, &at, NULL)) != NULL) {
		size_t place = 0;

		while (place < len && ret[place] < f->level)
			place++;
		if (place < len && ret[place] == f->level)
			continue;
		memmove(ret + place + 1, ret + place, (len - place) * sizeof(*ret));
		ret[place] = f->level;
		len++;
	}
	return len;
}

static bool
job_begin(
    struct job *job, const struct conf *conf, int node, struct spawn_out *out, struct err *err)
{
	size_t at = SIZE_MAX;

	*job = (struct job){.conf = conf, .node = node, .out = out};
	if (next_device(job, &at, NULL) == NULL)
		return err_set(err, 0, "there is no fence device for node %s in %s",
		    conf->node[node], conf->file == NULL ? "the configuration" : conf->file);
	return true;
}

/* ---------------------------------------------------------------- power, monitor */

enum fact
fence_power(const struct conf *conf, int node, struct spawn_out *out, struct err *err)
{
	bool silent[CONF_FENCES_MAX] = {false}; /* by level: not every device said off */
	uint32_t level[CONF_FENCES_MAX];
	const struct conf_fence *f;
	struct fence_reply reply;
	size_t levels, at = SIZE_MAX;
	bool on = false;
	struct job job;

	if (!job_begin(&job, conf, node, out, err))
		return FACT_UNKNOWN;
	levels = levels_of(&job, level);
	while ((f = next_device(&job, &at, NULL)) != NULL) {
		fence_agent_call(conf, f, "status", &reply);
		report(&job, f, power_word(reply.power), reply.took_ms, reply.sentence);
		on = on || reply.power == FACT_YES;
		if (reply.power == FACT_NO)
			continue;
		story_add(&job, "%s: %s", f->name, reply.sentence);
		for (size_t i = 0; i < levels; i++)
			silent[i] = silent[i] || level[i] == f->level;
	}
	if (on)
		return FACT_YES;
	for (size_t i = 0; i < levels; i++)
		if (!silent[i])
			return FACT_NO;
	err_set(err, 0, "no fence device can tell whether node %s has power: %s", conf->node[node],
	    job.story);
	return FACT_UNKNOWN;
}

bool
fence_monitor(const struct conf *conf, int node, struct spawn_out *out, struct err *err)
{
	const struct conf_fence *f;
	struct fence_reply reply;
	size_t at = SIZE_MAX;
	bool all = true;
	struct job job;

	if (!job_begin(&job, conf, node, out, err))
		return false;
	while ((f = next_device(&job, &at, NULL)) != NULL) {
		bool good;

		fence_agent_call(conf, f, "monitor", &reply);
		/* agents of a single port answer with the exit status of its power: 2 is "off" */
		good = reply.ended && (reply.code == 0 || reply.code == 2);
		report(&job, f, good ? "answers" : "fails", reply.took_ms, reply.sentence);
		if (!good)
			story_add(&job, "%s: %s", f->name, reply.sentence);
		all = all && good;
	}
	if (!all)
		return err_set(err, 0, "fence devices of node %s do not answer: %s",
		    conf->node[node], job.story);
	return true;
}

/* ---------------------------------------------------------------- off */

/*
 * What does the device say about the power after an "off"? Where a successful agent leaves it open,
 * the reason may be that it has no such question (*ret_no_status), else it is asked once more.
 */
static enum fact
power_after_off(const struct job *job, const struct conf_fence *f, bool said, bool *ret_no_status,
    struct fence_reply *reply)
{
	uint32_t took;

	fence_agent_call(job->conf, f, "status", reply);
	*ret_no_status = false;
	if (reply->power != FACT_UNKNOWN || !said)
		return reply->power;
	if (fence_agent_offers(job->conf, f, "status") == FACT_NO) {
		*ret_no_status = true;
		return FACT_UNKNOWN;
	}
	took = reply->took_ms;
	fence_agent_call(job->conf, f, "status", reply);
	reply->took_ms += took;
	return reply->power;
}

/* One "off" with its proof; sentence says how it ended. *ret_again: a further try makes sense. */
static bool
try_off(const struct job *job, const struct conf_fence *f, bool *ret_again,
    char sentence[2 * FENCE_SENTENCE_MAX + 128])
{
	const size_t size = 2 * FENCE_SENTENCE_MAX + 128;
	struct fence_reply off, status;
	enum fact power;
	bool said, no_status, proven;

	fence_agent_call(job->conf, f, "off", &off);
	*ret_again = off.started;
	if (!off.started) {
		snprintf(sentence, size, "%s", off.sentence);
		report(job, f, "unknown", 0, sentence);
		return false;
	}
	said = off.ended && off.code == 0;
	power = power_after_off(job, f, said, &no_status, &status);
	proven = power == FACT_NO || (said && no_status);
	if (said && no_status)
		snprintf(sentence, size, "the agent says off, and it has no status to ask (%s)",
		    off.sentence);
	else if (said && power == FACT_NO)
		snprintf(sentence, size, "the agent says off, and so does its status (%s)",
		    off.sentence);
	else if (power == FACT_NO)
		snprintf(
		    sentence, size, "the agent failed, but its status says off (%s)", off.sentence);
	else if (said && power == FACT_YES)
		snprintf(sentence, size, "the agent says off, but its status says on (%s)",
		    status.sentence);
	else if (said)
		snprintf(sentence, size, "the agent says off, but its status cannot be told (%s)",
		    status.sentence);
	else
		snprintf(sentence, size, "the agent failed (%s) and its status %s", off.sentence,
		    power == FACT_YES ? "says on" : "cannot be told");
	report(job, f, proven ? "off" : power_word(power), off.took_ms + status.took_ms, sentence);
	return proven;
}

/* All devices of one level, in order. The proof names each. */
static bool
level_off(struct job *job, uint32_t level, char *proof, size_t proof_size)
{
	char sentence[2 * FENCE_SENTENCE_MAX + 128];
	const struct conf_fence *f;
	size_t at = SIZE_MAX, len = 0;

	proof[0] = '\0';
	while ((f = next_device(job, &at, &level)) != NULL) {
		bool done = false, again = true;

		for (uint32_t tries = 0; !done && again && tries <= f->retries; tries++)
			done = try_off(job, f, &again, sentence);
		if (!done) {
			story_add(job, "%s: %s", f->name, sentence);
			return false;
		}
		if (len < proof_size)
			len += (size_t)snprintf(proof + len, proof_size - len, "%s%s: %s",
			    len == 0 ? "" : "; ", f->name, sentence);
	}
	return true;
}

/* Level by level, until one has done it whole. */
static bool
job_off(struct job *job, struct err *err)
{
	uint32_t level[CONF_FENCES_MAX];
	size_t levels = levels_of(job, level);
	const char *node = job->conf->node[job->node];

	for (size_t i = 0; i < levels; i++) {
		char proof[1024];

		if (!level_off(job, level[i], proof, sizeof(proof)))
			continue;
		if (job->out != NULL)
			spawn_say(job->out, "proof", "node %s is off by %s", node, proof);
		return true;
	}
	return err_set(err, 0, "node %s could not be powered off: %s", node, job->story);
}

bool
fence_off(const struct conf *conf, int node, struct spawn_out *out, struct err *err)
{
	struct job job;

	return job_begin(&job, conf, node, out, err) && job_off(&job, err);
}

/* ---------------------------------------------------------------- on, reset */

static bool
device_on(struct job *job, const struct conf_fence *f)
{
	struct fence_reply on, status;
	bool done = false;

	for (uint32_t tries = 0; !done && tries <= f->retries; tries++) {
		fence_agent_call(job->conf, f, "on", &on);
		if (!on.started) {
			report(job, f, "unknown", 0, on.sentence);
			break;
		}
		fence_agent_call(job->conf, f, "status", &status);
		done = status.power == FACT_YES ||
		       (on.ended && on.code == 0 && status.power != FACT_NO);
		report(job, f, done ? "on" : power_word(status.power), on.took_ms + status.took_ms,
		    on.sentence);
	}
	if (!done)
		story_add(job, "%s: %s", f->name, on.sentence);
	return done;
}

/* From the last level to the first: a socket needs its power before the machine behind it can
 * start. */
static bool
job_on(struct job *job, struct err *err)
{
	uint32_t level[CONF_FENCES_MAX];
	bool any = false;

	for (size_t i = levels_of(job, level); i-- > 0;) {
		const struct conf_fence *f;
		size_t at = SIZE_MAX;
		bool whole = true;

		while ((f = next_device(job, &at, &level[i])) != NULL)
			whole = device_on(job, f) && whole;
		any = any || whole;
	}
	if (!any)
		return err_set(err, 0, "node %s could not be powered on: %s",
		    job->conf->node[job->node], job->story);
	return true;
}

bool
fence_on(const struct conf *conf, int node, struct spawn_out *out, struct err *err)
{
	struct job job;

	return job_begin(&job, conf, node, out, err) && job_on(&job, err);
}

bool
fence_reset(const struct conf *conf, int node, struct spawn_out *out, struct err *err)
{
	struct job job;

	if (!job_begin(&job, conf, node, out, err) || !job_off(&job, err))
		return false;
	job.story[0] = '\0';
	return job_on(&job, err);
}

uint32_t
fence_longest_ms(const struct conf *conf, int node)
{
	struct job job = {.conf = conf, .node = node};
	const struct conf_fence *f;
	size_t at = SIZE_MAX;
	uint64_t ms = CALL_SLACK_MS; /* also without a device: to say so */

	/* a try is off, status, metadata, status; then on, status */
	while ((f = next_device(&job, &at, NULL)) != NULL)
		ms += ((uint64_t)f->retries + 1) * 6 * ((uint64_t)f->timeout_ms + CALL_SLACK_MS);
	return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}
