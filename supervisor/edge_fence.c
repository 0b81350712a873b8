/*
 * supervisor/edge_fence.c - the steps of the engine that ask and use fence devices, and the record of rehearsals. Run in workers with
 * a deadline; everything here may block.
 */
#include "supervisor/edge_fence.h"

#include <stdio.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/journal.h"
#include "supervisor/edge.h"
#include "supervisor/fence.h"

/* The rehearsal: every device answers "monitor" and "status"; nothing is switched. Its date is remembered. */
static bool
power_test(const struct edge_ctx *ctx, struct spawn_out *out, struct err *err)
{
	const struct conf *c = ctx->conf;
	char path[512], key[CONF_NAME_MAX + 16], date[CLOCK_RFC3339_MAX];
	struct journal *journal;
	enum fact power;
	bool put;

	if (!fence_monitor(c, ctx->node, out, err))
		return false;
	power = fence_power(c, ctx->node, out, err);
	if (power == FACT_UNKNOWN)
		return false;
	spawn_say(out, "power", "%s", power == FACT_YES ? "on" : "off");
	spawn_say(out, "text", "every fence device of %s answers; its power is %s", c->node[ctx->node], power == FACT_YES ? "on" : "off");
	snprintf(path, sizeof(path), "%s/journal.db", c->state_dir);
	snprintf(key, sizeof(key), "fence-test %s", c->node[ctx->node]);
	if (!journal_open(path, true, &journal, NULL, err))
		return false;
	put = journal_put(journal, key, clock_rfc3339(clock_wall_ms(), date), err);
	journal_close(journal);
	spawn_say(out, "tested", "%s", date);
	return put;
}

/* When the last rehearsal was, also before the daemon was started. No journal, no date. */
static void
say_tested(const struct conf *c, int node, struct spawn_out *out)
{
	char path[512], key[CONF_NAME_MAX + 16], date[CLOCK_RFC3339_MAX];
	struct journal *journal;
	struct err ignored;

	snprintf(path, sizeof(path), "%s/journal.db", c->state_dir);
	snprintf(key, sizeof(key), "fence-test %s", c->node[node]);
	if (access(path, R_OK) == -1 || !journal_open(path, false, &journal, NULL, &ignored))
		return;
	if (journal_get(journal, key, date, sizeof(date), &ignored))
		spawn_say(out, "tested", "%s", date);
	journal_close(journal);
}

/* The devices of the node by name, as who says so. */
static void
devices_of(const struct conf *c, int node, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < c->fences && len < size; i++) {
		if (c->fence[i].node == node)
			len += (size_t)snprintf(buf + len, size - len, "%s%s", len > 0 ? ", " : "", c->fence[i].name);
	}
}

bool
edge_power(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;
	struct err why = { .text = "" };
	char devices[200];
	enum fact power;

	switch (ctx->power) {
	case EDGE_POWER_STATUS:
		power = fence_power(ctx->conf, ctx->node, out, &why);
		spawn_say(out, "power", "%s", power == FACT_YES ? "on" : power == FACT_NO ? "off" : "unknown");
		devices_of(ctx->conf, ctx->node, devices, sizeof(devices));
		spawn_say(out, "text", "%s", why.text[0] != '\0' ? why.text : devices);
		return true;
	case EDGE_POWER_OFF:
		if (!fence_off(ctx->conf, ctx->node, out, err))
			return false;
		spawn_say(out, "power", "off");
		spawn_say(out, "text", "%s was powered off by its fence devices, and their status confirms it", ctx->conf->node[ctx->node]);
		return true;
	case EDGE_POWER_ON:
		return fence_on(ctx->conf, ctx->node, out, err);
	case EDGE_POWER_RESET:
		return fence_reset(ctx->conf, ctx->node, out, err);
	case EDGE_POWER_TEST:
		return power_test(ctx, out, err);
	}
	return err_set(err, 0, "unknown power action");
}

bool
edge_fence_monitor(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;
	const struct conf *c = ctx->conf;

	(void)err;
	say_tested(c, ctx->node, out);
	/* one device at a time, so that each has its own answer; only those that this node would use */
	for (size_t i = 0; i < c->fences; i++) {
		struct conf one = *c;
		struct err why;
		char key[32];

		if (c->fence[i].node != ctx->node)
			continue;
		one.fence[0] = c->fence[i];
		one.fences = 1;
		snprintf(key, sizeof(key), "answers-%zu", i);
		spawn_say(out, key, "%s", fence_monitor(&one, ctx->node, NULL, &why) ? "yes" : "no");
	}
	return true;
}
