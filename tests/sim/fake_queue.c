/*
 * tests/sim/fake_queue.c - stands for mailpair-queue: the queue is torn after its mail program died with its kernel, and is looked at before a
 * start. What policy makes of the verdict the production code says (queue_judge); whether the start was allowed is judged here, by
 * what the queue really is and by what was looked at since it was mounted.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "supervisor/queue_check.h"
#include "tests/sim/sim.h"

/* The program may crash: no verdict. */
static const char *
verdict(void)
{
	if (!sim->calm && rng_chance(&sim->work, sim->plan->fail))
		return "unknown";
	return sim->torn ? "repairable" : "consistent";
}

bool
queue_will_mend(const struct edge_ctx *ctx)
{
	return ctx->with_services && sim->torn && ctx->conf->mta.queue_check == CONF_QUEUE_MEND && sim->node[ctx->conf->self].mta_pid == 0;
}

bool
queue_work_check(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;
	struct node *n = &sim->node[ctx->conf->self];
	struct queue_report r = { .verdict = "" };
	enum queue_go go;

	if (!ctx->with_services)
		return true;
	if (n->mta_pid != 0) {
		n->look = LOOK_DONE;
		return true;
	}
	if (!n->binds || n->shut)
		return err_set(err, 0, "the queue is not there");
	memcpy(r.verdict, verdict(), sizeof("repairable"));
	go = queue_judge(ctx->conf->mta.queue_check, &r);
	n->look = strcmp(r.verdict, "unknown") != 0 ? LOOK_DONE : LOOK_IN_VAIN;
	if (go == QUEUE_MEND && (sim->repair_still || (!sim->calm && rng_chance(&sim->work, sim->plan->fail)))) {
		memcpy(r.verdict, "unknown", sizeof("unknown"));
		snprintf(r.text, sizeof(r.text), "its repair came no further for %" PRIu32 " s", ctx->limit_ms / 1000);
		queue_report_say(&r, out);
		spawn_say(out, "queue-refused", "yes");
		return err_set(err, 0, "the queue could not be mended: %s", r.text);
	}
	if (go == QUEUE_MEND) {
		memcpy(r.verdict, "repaired", sizeof("repaired"));
		sim->torn = false;
	}
	queue_report_say(&r, out);
	if (go == QUEUE_REFUSE)
		spawn_say(out, "queue-refused", "yes");
	return go != QUEUE_REFUSE || err_set(err, 0, "the queue is %s and queue-check is \"refuse\"", r.verdict);
}

bool
queue_work_deep(const void *arg, struct spawn_out *out, struct err *err)
{
	struct queue_report r = { .verdict = "consistent" };

	(void)arg;
	(void)err;
	queue_report_say(&r, out);
	return true;
}

/* Its mail program is about to be started. */
void
queue_begins(const struct node *n, enum conf_queue_check policy)
{
	if (n->look == LOOK_NONE)
		sim_fail("%s starts its mail program on a queue that was not looked at", plan_node(n->id));
	if (n->look == LOOK_IN_VAIN && policy == CONF_QUEUE_REFUSE)
		sim_fail("%s starts its mail program on a queue of which nothing is known, and may not", plan_node(n->id));
	if (n->look == LOOK_DONE && sim->torn && policy != CONF_QUEUE_REPORT && !sim->plan->liar)
		sim_fail("%s starts its mail program on a torn queue", plan_node(n->id));
}
