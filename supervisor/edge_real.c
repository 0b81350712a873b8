/*
 * supervisor/edge_real.c - the steps of the engine on the real world: storage, seal, binds, mail program, addresses,
 * fence devices, surveys. Straight-line code, run in workers (forked children of mailpaird's supervisor process) with a
 * deadline; everything here may block. Decides nothing: each step does what it is told or says why not.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/journal.h"
#include "mta/mta.h"
#include "supervisor/address.h"
#include "supervisor/bind.h"
#include "supervisor/edge.h"
#include "supervisor/edge_fence.h"
#include "supervisor/queue_check.h"
#include "supervisor/storage.h"
#include "supervisor/upkeep.h"

/*
 * How long a foreign owner of a service address has to answer. On a LAN it does within a millisecond; the probe runs
 * beside mounting and starting, so that this much costs a takeover nothing. (RFC 5227's own seconds are for a host that
 * joins a network with an address of its own choice.)
 */
#define ADDRESS_PROBE_MS 15

#define HANG_STOP_MS 1000
#define STRAY_STOP_MS 5000	/* a mail program on this node's own disk: how long its orderly end may take */

/* ---------------------------------------------------------------- the mail program */

struct mta_at {
	const struct mta_driver	*driver;
	struct mta_params	 params;
	char			 text[CONF_ADDRESSES_MAX][64];
	const char		*list[CONF_ADDRESSES_MAX + 1];
	const char		*services[CONF_OPTIONS_MAX + 1];
};

static void
mta_at(const struct conf *c, struct mta_at *ret)
{
	ret->driver = mta_find(c->mta.name);
	for (size_t i = 0; i < c->addresses; i++) {
		snprintf(ret->text[i], sizeof(ret->text[i]), "%.*s", (int)strcspn(c->address[i].text, "/"), c->address[i].text);
		ret->list[i] = ret->text[i];
	}
	ret->list[c->addresses] = NULL;
	memcpy(ret->services, c->mta.services, sizeof(c->mta.services));
	ret->services[CONF_OPTIONS_MAX] = NULL;	/* behind the last of them they are NULL already */
	ret->params = (struct mta_params){ .config = c->mta.config, .probe = c->mta.probe, .run_dir = c->run_dir,
		.addresses = ret->list, .services = ret->services, .probe_ms = c->mta.probe_ms, .names_judged = true };
}

static bool
do_mta_start(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;
	struct mta_at at;

	if (!ctx->with_services)
		return true;
	mta_at(ctx->conf, &at);
	/* it listens before the address is there, also where it binds that very address */
	if (!address_nonlocal_allow(ctx->conf, err))
		return false;
	return at.driver->start(&at.params, ctx->limit_ms, out, err);
}

static bool
do_queue_check(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;
	struct mta_at at;

	if (!ctx->with_services)
		return true;
	mta_at(ctx->conf, &at);
	return queue_check(ctx->conf, at.driver, &at.params, ctx->limit_ms, out, err);
}

static bool
do_queue_deep(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;

	return queue_check_deep(ctx->conf, ctx->limit_ms, out, err);
}

static bool
do_mta_stop(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;
	struct mta_at at;
	struct err ignored;

	mta_at(ctx->conf, &at);
	(void)address_nonlocal_restore(ctx->conf, &ignored);
	return at.driver->stop(&at.params, ctx->hurry ? 0 : ctx->conf->mta.stop_ms, out, err);
}

static bool
do_mta_restart(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;
	struct mta_at at;

	mta_at(ctx->conf, &at);
	/* one that hangs gets a second to end in order */
	if (ctx->stop_first && !at.driver->stop(&at.params, HANG_STOP_MS, out, err))
		return false;
	/* without them it would take mail into the directories beneath, on this node's own disk */
	if (!binds_up(ctx->conf, out, err))
		return false;
	return at.driver->start(&at.params, ctx->conf->mta.start_ms, out, err);
}

static bool
do_prepare(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;
	struct mta_at at;

	mta_at(ctx->conf, &at);
	return at.driver->prepare(&at.params, out, err);
}

static bool
do_monitor(const void *arg, struct spawn_out *out, struct err *err)
{
	static const char *const words[] = { [MTA_ANSWERED] = "answered", [MTA_REFUSED] = "refused",
		[MTA_NO_ANSWER] = "none", [MTA_ANSWER_UNKNOWN] = "unknown" };
	const struct edge_ctx *ctx = arg;
	struct err why = { .text = "" };
	struct mta_at at;

	(void)err;
	mta_at(ctx->conf, &at);
	spawn_say(out, "answer", "%s", words[at.driver->answers(&at.params, &why)]);
	spawn_say(out, "text", "%s", why.text);
	return true;
}

/* ---------------------------------------------------------------- storage and seal */

static const struct storage_driver *
storage_of(const struct edge_ctx *ctx)
{
	return storage_find(ctx->conf->storage.type);
}

/* A mail program that runs on this node's own disk would keep its files under the mount and the port busy. */
static bool
stop_stray(const struct edge_ctx *ctx, struct spawn_out *out, struct err *err)
{
	struct mta_at at;
	struct err why;
	pid_t pid = 0;

	mta_at(ctx->conf, &at);
	if (at.driver->running(&at.params, &pid, &why) != FACT_YES)
		return true;
	spawn_say(out, "stray", "%s ran on this node's own disk (pid %d) and was stopped", ctx->conf->mta.name, (int)pid);
	return at.driver->stop(&at.params, STRAY_STOP_MS, out, err);
}

static bool
do_storage_up(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;
	struct err why;

	if (stop_stray(ctx, out, err) && storage_of(ctx)->up(ctx->conf, out, err))
		return true;
	if (storage_of(ctx)->held(ctx->conf, &why) == FACT_NO)
		spawn_say(out, "held", "no");
	return false;
}

static bool
do_ease(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;

	return storage_of(ctx)->ease(ctx->conf, out, err);
}

static bool
do_storage_down(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;

	return storage_of(ctx)->down(ctx->conf, ctx->limit_ms, out, err);
}

static bool
do_abandon(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;

	return storage_of(ctx)->abandon(ctx->conf, out, err);
}

static bool
seal_refused(const struct edge_ctx *ctx, const struct seal *found, enum seal_verdict verdict, struct spawn_out *out,
    struct err *err)
{
	const struct conf *c = ctx->conf;

	switch (verdict) {
	case SEAL_OTHER_PAIR:
		return err_set(err, 0, "the spool on %s belongs to pair \"%s\", not to \"%s\": check device and configuration",
		    c->storage.mountpoint, found->pair, c->pair);
	case SEAL_STRANGER:
		return err_set(err, 0, "the spool on %s was sealed by \"%s\", which is no node of this pair", c->storage.mountpoint,
		    found->node);
	case SEAL_NEWER:
		spawn_say(out, "newer", "%" PRIu64, found->tenure);
		return err_set(err, 0, "the spool on %s is sealed by %s under tenure %" PRIu64 ", which what is known here (tenure %" PRIu64
		    ", proof: %s) does not cover", c->storage.mountpoint, found->node, found->tenure, ctx->known, proof_name(ctx->proof));
	case SEAL_OK:
	case SEAL_VERDICT_COUNT:
		break;
	}
	return err_set(err, 0, "the seal of the spool cannot be judged");
}

static bool
do_seal(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;
	const struct conf *c = ctx->conf;
	struct seal found = { .tenure = 0 }, mine = { .at_wall_ms = clock_wall_ms() };
	struct state state = ctx->state;
	enum seal_verdict verdict;
	bool exists = false;

	if (!seal_read(c->storage.mountpoint, &found, &exists, err))
		return false;
	verdict = seal_judge(exists ? &found : NULL, c->pair, c->node[c->self], c->node[1 - c->self], ctx->proof, ctx->released,
	    ctx->known, &mine.tenure);
	if (verdict != SEAL_OK)
		return seal_refused(ctx, &found, verdict, out, err);
	snprintf(mine.pair, sizeof(mine.pair), "%s", c->pair);
	snprintf(mine.node, sizeof(mine.node), "%s", c->node[c->self]);
	snprintf(mine.boot, sizeof(mine.boot), "%s", ctx->boot);
	/* told before it is written: whatever becomes of this worker, the engine must know which tenure may stand there */
	spawn_say(out, "tenure", "%" PRIu64, mine.tenure);
	/* the spool first: it is what the other node will read */
	if (!seal_write(c->storage.mountpoint, &mine, err))
		return false;
	state.tenure = mine.tenure;
	return state_save(c->state_dir, &state, err);
}

static bool
do_probe(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;
	const struct conf *c = ctx->conf;
	enum fact held;
	struct seal_look look = { .pair = c->pair, .self = c->node[c->self], .peer = c->node[1 - c->self], .boot = ctx->boot,
		.known = ctx->state.tenure, .released = ctx->state.released };
	struct err why = { .text = "" }, ignored;
	struct seal seal;
	bool exists = false;

	/* first, since what follows may hang */
	if (storage_of(ctx)->mine(c))
		spawn_say(out, "mine", "yes");
	held = storage_of(ctx)->held(c, err);
	spawn_say(out, "held", "%s", fact_name(held));
	if (held != FACT_YES)
		return true;
	look.unread = !seal_read(c->storage.mountpoint, &seal, &exists, &why);
	look.unread_sys = why.sys;
	look.seal = exists ? &seal : NULL;
	look.touched = storage_of(ctx)->touched(c, &ignored);
	spawn_say(out, "sealed", "%s", seal_found_name(seal_find(&look)));
	if (exists)
		spawn_say(out, "tenure", "%" PRIu64, seal.tenure);
	if (look.unread)
		spawn_say(out, "text", "%s", why.text);
	else if (!exists)
		spawn_say(out, "text", "%s is mounted but has no seal", c->storage.mountpoint);
	else
		spawn_say(out, "text", "%s is mounted, sealed by %s of pair %s under tenure %" PRIu64 " (known here: %" PRIu64 ")%s",
		    c->storage.mountpoint, seal.node, seal.pair, seal.tenure, ctx->state.tenure,
		    look.touched == FACT_YES ? "; another kernel has mounted it since" : "");
	return true;
}

static bool
do_verify(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;

	spawn_say(out, "touched", "%s", fact_name(storage_of(ctx)->touched(ctx->conf, err)));
	return true;
}

static bool
do_save(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;

	(void)out;
	return state_save(ctx->conf->state_dir, &ctx->state, err);
}

static bool
do_try_state(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;
	bool ok = state_try(ctx->conf->state_dir, err);

	upkeep_try(ctx->conf, out);
	return ok;
}

static bool
do_try_spool(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;

	(void)out;
	return storage_of(ctx)->answers(ctx->conf, ctx->owner, err);
}

/* ---------------------------------------------------------------- binds and addresses */

static bool
do_bind(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;

	return binds_up(ctx->conf, out, err);
}

static bool
do_unbind(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;

	return binds_down(ctx->conf, out, err);
}

static bool
do_address_probe(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;

	return addresses_probe(ctx->conf, ADDRESS_PROBE_MS, out, err);
}

static bool
do_address_up(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;
	struct err ignored;

	if (!ctx->with_services)
		return true;
	if (ctx->foreign[0] != '\0')
		return err_set(err, 0, "%s", ctx->foreign);
	if (!addresses_up(ctx->conf, 0, out, err))
		return false;
	(void)address_nonlocal_restore(ctx->conf, &ignored);
	return true;
}

static bool
do_address_down(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;

	return addresses_down(ctx->conf, out, err);
}

static bool
do_announce(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;

	(void)out;
	return addresses_announce(ctx->conf, err);
}

/* ---------------------------------------------------------------- survey and hooks */

static void
survey_queue(const struct mta_at *at, struct spawn_out *out)
{
	struct mta_queue_counts q;
	struct err why;

	if (at->driver->count(&at->params, &q, &why))
		spawn_say(out, "queue", "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64, q.total,
		    q.incoming, q.active, q.deferred, q.hold, q.corrupt, q.maildrop);
}

static bool
do_survey(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;
	const struct conf *c = ctx->conf;
	bool held[CONF_ADDRESSES_MAX] = { false };
	struct err why = { .text = "" };
	char line[128], key[32];
	struct mta_at at;
	pid_t pid = 0;

	(void)err;
	mta_at(c, &at);
	spawn_say(out, "held", "%s", fact_name(storage_of(ctx)->held(c, &why)));
	spawn_say(out, "binds", "%s", fact_name(binds_held(c, &why)));
	(void)addresses_held(c, held, &why);
	for (size_t i = 0; i < c->addresses; i++) {
		snprintf(key, sizeof(key), "address-%zu", i);
		spawn_say(out, key, "%s", held[i] ? "yes" : "no");
	}
	why.text[0] = '\0';
	spawn_say(out, "interfaces", "%s %s", fact_name(addresses_interfaces_good(c, &why)), why.text);
	spawn_say(out, "mta", "%s", fact_name(at.driver->running(&at.params, &pid, &why)));
	if (pid > 0)
		spawn_say(out, "pid", "%d", (int)pid);
	why.text[0] = '\0';
	if (ctx->owner)
		spawn_say(out, "ready", "yes");
	else
		spawn_say(out, "ready", "%s %s", storage_of(ctx)->ready(c, &why) ? "yes" : "no", why.text);
	if (storage_of(ctx)->describe(c, line, sizeof(line), &why))
		spawn_say(out, "storage", "%s", line);
	if (ctx->owner && at.driver->durable != NULL) {
		why.text[0] = '\0';
		spawn_say(out, "durable", "%s %s", fact_name(at.driver->durable(&at.params, &why)), why.text);
	}
	if (ctx->count_queue)
		survey_queue(&at, out);
	return true;
}

static bool
do_hook(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;

	return hooks_run(ctx->conf, &ctx->hook, out, err);
}

const struct edge edge_real = {
	.probe = do_probe,
	.storage_up = do_storage_up,
	.seal = do_seal,
	.bind = do_bind,
	.queue_check = do_queue_check,
	.queue_deep = do_queue_deep,
	.mta_start = do_mta_start,
	.address_up = do_address_up,
	.address_probe = do_address_probe,
	.ease = do_ease,
	.address_down = do_address_down,
	.mta_stop = do_mta_stop,
	.unbind = do_unbind,
	.storage_down = do_storage_down,
	.abandon = do_abandon,
	.mta_restart = do_mta_restart,
	.verify = do_verify,
	.save = do_save,
	.power = edge_power,
	.fence_monitor = edge_fence_monitor,
	.survey = do_survey,
	.try_state = do_try_state,
	.try_spool = do_try_spool,
	.monitor = do_monitor,
	.prepare = do_prepare,
	.announce = do_announce,
	.hook = do_hook,
};
