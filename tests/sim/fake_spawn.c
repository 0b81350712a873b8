/*
 * tests/sim/fake_spawn.c - stands for common/spawn.c: a worker's function runs against the world at some later moment, in one or more
 * phases, and reports later still. It may do nothing, fail after it has worked, or be stuck beyond its deadline and work
 * then all the same. What each of them usually takes is in fake_edge.c.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/spawn_kid.h"
#include "tests/sim/sim.h"

#define STUCK_MAX (20 * SECOND)
#define STUCK_LOOK (100 * MS)	/* how often it is seen whether the disk answers again */

void
spawn_say(struct spawn_out *out, const char *key, const char *fmt, ...)
{
	size_t room = sizeof(out->text) - out->len;
	va_list ap;
	int n;

	n = snprintf(out->text + out->len, room, "%s ", key);
	if (n < 0 || (size_t)n >= room)
		return;
	va_start(ap, fmt);
	n += vsnprintf(out->text + out->len + n, room - (size_t)n, fmt, ap);
	va_end(ap);
	if ((size_t)n + 1 >= room) {
		out->text[out->len] = '\0';
		return;
	}
	out->len += (size_t)n;
	out->text[out->len++] = '\n';
	out->text[out->len] = '\0';
}

/* The world says it for them: spawn_due(). */
void
spawn_progress(struct spawn_out *out, const char *text)
{
	(void)out;
	(void)text;
}

const char *
spawn_get(const char *report, const char *key, char *buf, size_t size)
{
	size_t key_len = strlen(key), len;

	for (const char *line = report; *line != '\0'; line += len + (line[len] == '\n')) {
		len = strcspn(line, "\n");
		if (len > key_len && memcmp(line, key, key_len) == 0 && line[key_len] == ' ') {
			size_t n = len - key_len - 1 < size ? len - key_len - 1 : size - 1;

			memcpy(buf, line + key_len + 1, n);
			buf[n] = '\0';
			return buf;
		}
	}
	return NULL;
}

/* ---------------------------------------------------------------- fate */

/* Whether these hang or fail the disk alone says. */
static bool
tries(const struct work_kind *kind)
{
	return kind->work == sim_edge.try_state || kind->work == sim_edge.try_spool;
}

static enum fate
fate_draw(const struct work_kind *kind)
{
	const struct plan *p = sim->plan;

	if (sim->calm || kind->fence || tries(kind))
		return FATE_GOOD;	/* fence devices have a fate of their own: fake_fence.c */
	if (rng_chance(&sim->work, p->fail))
		return FATE_FAIL;
	if (rng_chance(&sim->work, p->half))
		return FATE_HALF;
	if (rng_chance(&sim->work, p->hang))
		return FATE_HANG;
	if (rng_chance(&sim->work, p->late))
		return kind->sticks ? FATE_LATE : FATE_HANG;
	return FATE_GOOD;
}

/* Phase i of n ends at its share of the whole time; the report comes at the end. */
static uint64_t
phase_at(const struct spawn *s)
{
	return s->began + s->end_us * (uint64_t)(s->phase + 1) / (uint64_t)(s->kind->phases + 1);
}

static void
step_queue(struct spawn *s)
{
	uint64_t at = phase_at(s);

	item_add(&s->step_slot, at > sim->now ? at : sim->now + 1, IT_STEP, CLASS_WORKER, s->node, s, 0);
}

static struct spawn *
spawn_take(int node)
{
	size_t i = 0;

	while (i < sim->spawns && sim->spawn[i].used)
		i++;
	if (i == SPAWNS) {
		sim_fail("node %d starts more and more workers", node);
		assert(!"workers are bounded");
	}
	if (i == sim->spawns)
		sim->spawns++;
	sim->spawn[i].used = true;
	return &sim->spawn[i];
}

struct spawn *
spawn_work(struct loop *loop, const char *name, spawn_work_f *work, const void *ctx, uint32_t deadline_ms,
    spawn_done_f *done, void *arg)
{
	struct node *n = &sim->node[loop->node];
	struct spawn *s = spawn_take(loop->node);
	uint64_t scripted;

	s->lost = s->calling = s->failed = s->alone = s->late = s->stuck = s->killed = s->moves = false;
	s->progress = NULL;
	s->phase = 0;
	s->out.len = 0;
	s->out.text[0] = '\0';
	s->err = (struct err){ .text = "" };
	s->step_slot = s->deadline_slot = 0;
	s->node = loop->node;
	s->kind = work_kind(work);
	memcpy(&s->ctx, ctx, sizeof(s->ctx));
	s->done = done;
	s->arg = arg;
	s->began = sim->now;
	s->mono_us = node_mono(n) + deadline_ms * MS;
	s->fate = fate_draw(s->kind);
	s->end_us = sim_takes(&sim->work, s->kind->min_us, s->kind->max_us);
	if (!sim->calm && !tries(s->kind) && rng_chance(&sim->work, sim->plan->slow))
		s->end_us = rng_in(&sim->work, s->end_us, deadline_ms * MS);
	if (sim->plan->slow_fence && !sim->calm && s->kind->fence)
		s->end_us = rng_in(&sim->work, SECOND, 12 * SECOND);
	if (sim->script != NULL && (scripted = sim->script->takes(s)) != 0)
		s->end_us = scripted;
	else if (s->fate == FATE_LATE)
		s->end_us = deadline_ms * MS + rng_below(&sim->work, STUCK_MAX);
	else if (s->fate == FATE_HANG)
		s->end_us = UINT64_MAX / 4;
	if (!s->kind->quiet || s->fate != FATE_GOOD)
		TRACE("  %s: worker %s begins (limit %u ms)%s", n->conf.node[s->node], name, deadline_ms,
	    s->fate == FATE_FAIL ? ", will fail" : s->fate == FATE_HALF ? ", will fail after it has worked" :
	    s->fate == FATE_HANG ? ", will hang" : s->fate == FATE_LATE ? ", will work after its deadline" : "");
	plan_work(s);
	if (s->fate != FATE_HANG)
		step_queue(s);
	item_add(&s->deadline_slot, node_virt(n, s->mono_us), IT_DEADLINE, CLASS_DAEMON, s->node, s, 0);
	return s;
}

struct spawn *
spawn_work_alone(struct loop *loop, const char *name, spawn_work_f *work, const void *ctx, uint32_t deadline_ms,
    spawn_done_f *done, void *arg)
{
	struct spawn *s;

	for (size_t i = 0; i < sim->spawns; i++) {
		const struct spawn *o = &sim->spawn[i];

		if (o->used && o->alone && !o->lost && o->node == loop->node && o->kind->work == work && !o->calling)
			sim_fail("a second worker %s on node %d", name, loop->node);
	}
	s = spawn_work(loop, name, work, ctx, deadline_ms, done, arg);
	s->alone = true;
	return s;
}

/* Only a repair says how far it has come. */
struct spawn *
spawn_work_moving(struct loop *loop, const char *name, spawn_work_f *work, const void *ctx, uint32_t deadline_ms,
    spawn_progress_f *progress, spawn_done_f *done, void *arg)
{
	struct spawn *s = spawn_work(loop, name, work, ctx, deadline_ms, done, arg);

	s->progress = progress;
	s->moves = queue_will_mend(&s->ctx) && s->fate == FATE_GOOD && !sim->repair_still;
	if (s->moves && !sim->calm && sim->script == NULL && rng_chance(&sim->work, 300)) {
		s->end_us = rng_in(&sim->work, deadline_ms * MS, REPAIR_SPANS * deadline_ms * MS);
		item_drop(&s->step_slot);
		step_queue(s);
	}
	return s;
}

struct spawn *
spawn_exec(struct loop *loop, const char *name, const struct spawn_cmd *cmd, uint32_t deadline_ms, spawn_done_f *done, void *arg)
{
	(void)loop;
	(void)name;
	(void)cmd;
	(void)deadline_ms;
	(void)done;
	(void)arg;
	assert(!"the engine runs no commands itself");
	return NULL;
}

/* For those who fork by themselves, which nobody does here; else the library's own would come, with a second spawn_say(). */
void
kid_settle(bool nice)
{
	(void)nice;
	assert(!"nothing forks in the simulator");
}

void
kid_close_from(int first)
{
	(void)first;
	assert(!"nothing forks in the simulator");
}

int
spawn_run(const struct spawn_cmd *cmd, uint32_t deadline_ms, char *out, size_t out_size, char *errout, size_t err_size,
    struct err *err)
{
	(void)cmd;
	(void)deadline_ms;
	(void)out;
	(void)out_size;
	(void)errout;
	(void)err_size;
	(void)err;
	assert(!"no worker of the simulator runs a program");
	return -1;
}

/* ---------------------------------------------------------------- its life */

static void
spawn_free(struct spawn *s)
{
	item_drop(&s->step_slot);
	item_drop(&s->deadline_slot);
	s->used = false;
}

static void
spawn_tell(struct spawn *s, enum spawn_end end)
{
	struct spawn_result r = { .end = end, .out = s->out.text, .errout = "", .err = s->err };
	bool bad = s->failed || s->fate == FATE_FAIL || s->fate == FATE_HALF;

	r.took_ms = (uint32_t)((sim->now - s->began) / 1000);
	if (end == SPAWN_EXITED)
		r.code = bad ? 1 : 0;
	if (end == SPAWN_EXITED && bad && r.err.text[0] == '\0')
		err_set(&r.err, 0, "%s: it did not work out", s->kind->name);
	if (end == SPAWN_TIMEOUT) {
		err_set(&r.err, 0, "%s: not finished in time", s->kind->name);
	}
	if (end == SPAWN_SIGNALED)
		r.code = 9;
	if (!s->kind->quiet || bad || end != SPAWN_EXITED)
		TRACE("  %s: worker %s %s%s%s", sim->node[s->node].conf.node[s->node], s->kind->name,
	    end == SPAWN_TIMEOUT ? "timed out" : bad ? "failed: " : "is done", bad ? r.err.text : "", "");
	if (bad || end != SPAWN_EXITED)
		sim->node[s->node].rough = true;
	s->calling = true;
	s->done(s->arg, &r);
	s->calling = false;
}

/* SIGKILL does not end it now. */
static bool
stays(const struct spawn *s)
{
	return s->fate == FATE_LATE || s->stuck;
}

/* The next phase of its work, or its report. */
void
spawn_step(struct spawn *s)
{
	if (s->phase < s->kind->phases) {
		if (s->fate != FATE_FAIL && !s->failed && edge_hangs(s)) {
			s->stuck = true;
			item_add(&s->step_slot, sim->now + STUCK_LOOK, IT_STEP, CLASS_WORKER, s->node, s, 0);
			return;
		}
		if (s->stuck && (s->lost || s->late || s->killed) && !s->kind->sticks) {
			/* it was killed meanwhile: the call that it was stuck in comes back, and that is its end */
			if (!s->lost)
				spawn_tell(s, s->late ? SPAWN_TIMEOUT : SPAWN_SIGNALED);
			spawn_free(s);
			return;
		}
		if (s->fate != FATE_FAIL && !s->failed) {
			edge_set_phase(s->phase);
			s->failed = !s->kind->work(&s->ctx, &s->out, &s->err);
		}
		s->phase++;
		step_queue(s);
		return;
	}
	item_drop(&s->deadline_slot);
	if (!s->lost)
		spawn_tell(s, s->late ? SPAWN_TIMEOUT : SPAWN_EXITED);
	spawn_free(s);
}

/* The deadline: the group is killed; what is stuck in the kernel goes on until it wakes. */
void
spawn_due(struct spawn *s)
{
	uint32_t limit_ms = s->ctx.limit_ms + 500;

	if (s->killed && !stays(s)) {
		spawn_tell(s, SPAWN_SIGNALED);
		spawn_free(s);
		return;
	}
	if (s->moves && !s->stuck && !s->killed) {
		s->mono_us += limit_ms * MS;
		item_add(&s->deadline_slot, node_virt(&sim->node[s->node], s->mono_us), IT_DEADLINE, CLASS_DAEMON, s->node, s, 0);
		s->progress(s->arg, "1 of 2 steps");
		return;
	}
	if (s->phase >= s->kind->phases && phase_at(s) <= sim->now) {
		spawn_step(s);		/* it ended in this very turn of the loop: the outcome is known */
		return;
	}
	if (s->alone && stays(s)) {
		s->late = true;
		return;
	}
	s->lost = true;
	spawn_tell(s, SPAWN_TIMEOUT);
	if (!stays(s))
		spawn_free(s);
}

void
spawn_wake(struct spawn *s)
{
	s->end_us = sim->now - s->began;
	item_drop(&s->step_slot);
	step_queue(s);
}

void
spawn_forget(struct spawn *s)
{
	if (s == NULL || s->calling)
		return;
	s->lost = true;
	item_drop(&s->deadline_slot);
	if (!stays(s))
		spawn_free(s);
}

void
spawn_stop(struct spawn *s)
{
	s->killed = true;
	if (stays(s))
		return;		/* its deadline stands */
	item_drop(&s->step_slot);
	item_drop(&s->deadline_slot);
	item_add(&s->deadline_slot, sim->now + 1, IT_DEADLINE, CLASS_DAEMON, s->node, s, 0);
}

void
spawn_orphan(int node)
{
	for (size_t i = 0; i < sim->spawns; i++) {
		struct spawn *s = &sim->spawn[i];

		if (!s->used || s->node != node)
			continue;
		s->lost = true;
		item_drop(&s->deadline_slot);
		if (!stays(s))
			spawn_free(s);
	}
}

void
spawn_drop(int node)
{
	for (size_t i = 0; i < sim->spawns; i++) {
		if (sim->spawn[i].used && sim->spawn[i].node == node)
			spawn_free(&sim->spawn[i]);
	}
}

/* Any of this kind that may still work; claimed: only those that have begun, or are stuck in it. */
bool
spawn_in_flight(int node, spawn_work_f *work, bool claimed)
{
	for (size_t i = 0; i < sim->spawns; i++) {
		const struct spawn *s = &sim->spawn[i];

		if (s->used && s->node == node && s->kind->work == work && s->step_slot != 0 && s->phase < s->kind->phases &&
		    s->fate != FATE_FAIL && (!claimed || s->phase > 0 || stays(s)))
			return true;
	}
	return false;
}

bool
spawn_stuck(int node, spawn_work_f *work)
{
	for (size_t i = 0; i < sim->spawns; i++) {
		const struct spawn *s = &sim->spawn[i];

		if (s->used && s->node == node && s->kind->work == work && s->stuck && s->phase < s->kind->phases)
			return true;
	}
	return false;
}
