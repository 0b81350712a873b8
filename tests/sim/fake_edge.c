/*
 * tests/sim/fake_edge.c - stands for supervisor/edge_real.c: each step of the engine, done to the simulated kernel of its node and to the one
 * disk that both share. Judges and formats seals and state files with the production code. Each function is called once
 * for each of its phases, so that power can fail between them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "supervisor/seal.h"
#include "supervisor/statefile.h"
#include "tests/sim/sim.h"

static int phase;

int
edge_phase(void)
{
	return phase;
}

void
edge_set_phase(int now)
{
	phase = now;
}

static struct node *
here(const struct edge_ctx *ctx)
{
	return &sim->node[ctx->conf->self];
}

/* ---------------------------------------------------------------- disks that hang */

bool
edge_hangs(const struct spawn *s)
{
	const struct node *n = &sim->node[s->node];
	spawn_work_f *w = s->kind->work;

	if (w == sim_edge.try_state || w == sim_edge.save || w == sim_edge.fence_monitor || (w == sim_edge.seal && s->phase == 1))
		return n->state_hung != 0;
	if (n->unmount_hangs && n->mounted && (w == sim_edge.abandon || (w == sim_edge.storage_down && s->phase == 1)))
		return true;
	if (n->spool_hung == 0)
		return false;
	if (w == sim_edge.try_spool || w == sim_edge.storage_up || w == sim_edge.seal || w == sim_edge.survey || w == sim_edge.bind)
		return true;
	/* these only where it is mounted */
	return n->mounted && ((w == sim_edge.probe && s->phase == 1) || w == sim_edge.verify || w == sim_edge.queue_check ||
	    w == sim_edge.queue_deep || w == sim_edge.ease || w == sim_edge.mta_start || w == sim_edge.mta_restart || w == sim_edge.abandon ||
	    (w == sim_edge.storage_down && s->phase == 1));
}

/* Nobody can end a mail program that waits for a disk. */
static bool
mta_stuck(const struct node *n)
{
	return n->mta_pid != 0 && (n->mta_stuck || (n->mounted && n->spool_hung != 0));
}

/* ---------------------------------------------------------------- what is held */

/* By the kernel's tables and by whether the device can be claimed: a mount under way has claimed it, one that still checks has not. */
static enum fact
held(const struct node *n)
{
	/* an unmount under way has left the tables, and the kernel has the device all the same */
	if (n->mounted)
		return spawn_stuck(n->id, sim_edge.storage_down) || spawn_stuck(n->id, sim_edge.abandon) ? FACT_UNKNOWN : FACT_YES;
	return spawn_in_flight(n->id, sim_edge.storage_up, true) ? FACT_UNKNOWN : FACT_NO;
}

static bool
seal_here(const struct node *n, struct seal *ret, bool *ret_exists, struct err *err)
{
	*ret_exists = false;
	if (n->disk_dead || n->shut)
		return err_set(err, 5, "the disk does not answer");
	*ret_exists = sim->seal_len != 0 || sim->spoiled[0] != '\0';
	if (sim->spoiled[0] != '\0')
		return seal_parse(sim->spoiled, strlen(sim->spoiled), ret, err);
	return sim->seal_len == 0 || seal_parse(sim->seal, sim->seal_len, ret, err);
}

/* Has another kernel mounted it since this one did? The super block tells, where the file system has such a stamp. */
static enum fact
touched(const struct node *n)
{
	return !n->mounted || n->disk_dead || !sim->plan->stamps ? FACT_UNKNOWN : n->mount_gen == sim->mount_gen ? FACT_NO : FACT_YES;
}

static bool
do_probe(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;
	const struct conf *c = ctx->conf;
	struct node *n = here(ctx);
	struct seal_look look = { .pair = c->pair, .self = c->node[c->self], .peer = c->node[1 - c->self], .boot = ctx->boot,
		.known = ctx->state.tenure, .released = ctx->state.released };
	struct seal seal = { .tenure = 0 };
	bool exists = false;

	if (edge_phase() == 0) {
		if (n->mounted)
			spawn_say(out, "mine", "yes");
		return true;
	}
	spawn_say(out, "held", "%s", fact_name(held(n)));
	if (held(n) != FACT_YES)
		return true;
	look.unread = !seal_here(n, &seal, &exists, err);
	look.unread_sys = err->sys;
	look.seal = exists && !look.unread ? &seal : NULL;
	look.touched = touched(n);
	spawn_say(out, "sealed", "%s", seal_found_name(seal_find(&look)));
	if (look.seal != NULL)
		spawn_say(out, "tenure", "%" PRIu64, seal.tenure);
	return true;
}

/* ---------------------------------------------------------------- storage and seal */

/* The power fails: what was renamed and not synced may be there afterwards, or not. */
void
disks_unsynced(struct node *n)
{
	if (n->unsynced && rng_chance(&sim->rng, 500))
		memcpy(n->state, n->state_before, sizeof(n->state));
	n->unsynced = false;
	if (sim->unsynced != n->id + 1)
		return;
	sim->unsynced = 0;
	if (sim->plan->liar || rng_chance(&sim->rng, 500))
		return;
	TRACE("  the seal of %s was not synced: the one before it is still there", n->conf.node[n->id]);
	memcpy(sim->seal, sim->seal_before, sizeof(sim->seal));
	sim->seal_len = sim->seal_before_len;
	sim->tenure = sim->tenure_before;
	sim->tenure_node = sim->tenure_node_before;
}

static bool
do_storage_up(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;
	struct node *n = here(ctx);

	if (edge_phase() == 0) {
		if (n->disk_dead) {
			spawn_say(out, "held", "%s", n->mounted ? "yes" : "no");
			return err_set(err, 5, "the disk does not answer");
		}
		return true;
	}
	if (n->mounted)
		return true;
	check_mount(n);
	n->mounted = true;
	n->shut = n->spool_ro = false;
	n->look = LOOK_NONE;
	n->mount_gen = ++sim->mount_gen;
	return true;
}

static bool
save_state(struct node *n, const struct state *st, struct err *err)
{
	char text[sizeof(n->state)];

	if (n->state_bad)
		return err_set(err, 30, "the state cannot be saved");
	if (state_format(st, text, sizeof(text)) >= sizeof(text))
		return err_set(err, 0, "the state does not fit");
	if (!n->unsynced)
		memcpy(n->state_before, n->state, sizeof(n->state));
	n->unsynced = true;
	memcpy(n->state, text, sizeof(n->state));
	return true;
}

static bool
seal_write_here(const struct edge_ctx *ctx, struct node *n, struct spawn_out *out, struct err *err)
{
	const struct conf *c = ctx->conf;
	struct seal found = { .tenure = 0 }, mine = { .at_wall_ms = clock_wall_ms() };
	enum seal_verdict verdict;
	bool exists;

	if (!n->mounted || n->shut)
		return err_set(err, 5, "the spool is not there");
	if (!seal_here(n, &found, &exists, err))
		return false;
	verdict = seal_judge(exists ? &found : NULL, c->pair, c->node[c->self], c->node[1 - c->self], ctx->proof, ctx->released,
	    ctx->known, &mine.tenure);
	if (verdict == SEAL_NEWER)
		spawn_say(out, "newer", "%" PRIu64, found.tenure);
	if (verdict != SEAL_OK)
		return err_set(err, 0, "the seal of %s under tenure %" PRIu64 " is not covered by %s (released %" PRIu64 ", known %" PRIu64 ")",
		    found.node, found.tenure, proof_name(ctx->proof), ctx->released, ctx->known);
	if (sim->full)
		return err_set(err, 28, "the seal cannot be written");
	snprintf(mine.pair, sizeof(mine.pair), "%s", c->pair);
	snprintf(mine.node, sizeof(mine.node), "%s", c->node[c->self]);
	snprintf(mine.boot, sizeof(mine.boot), "%s", ctx->boot);
	spawn_say(out, "tenure", "%" PRIu64, mine.tenure);
	if (sim->unsynced == 0) {
		memcpy(sim->seal_before, sim->seal, sizeof(sim->seal));
		sim->seal_before_len = sim->seal_len;
		sim->tenure_before = sim->tenure;
		sim->tenure_node_before = sim->tenure_node;
	}
	sim->unsynced = n->id + 1;
	check_seal(n, mine.tenure);
	sim->seal_len = seal_format(&mine, sim->seal, sizeof(sim->seal));
	return true;
}

static bool
do_seal(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;
	struct state state = ctx->state;
	struct node *n = here(ctx);
	char value[32] = "";

	if (edge_phase() == 0)
		return seal_write_here(ctx, n, out, err);
	if (edge_phase() == 2) {
		n->unsynced = false;
		return true;
	}
	sim->unsynced = 0;
	if (spawn_get(out->text, "tenure", value, sizeof(value)) == NULL || sscanf(value, "%" SCNu64, &state.tenure) != 1)
		return err_set(err, 0, "no tenure");
	return save_state(n, &state, err);
}

/* What it does nobody sees; that it is done while mail is served is its law. */
static bool
do_ease(const void *arg, struct spawn_out *out, struct err *err)
{
	struct node *n = here(arg);

	(void)out;
	if (!n->mounted || n->shut)
		return err_set(err, 0, "no spool is mounted here");
	return true;
}

static bool
do_storage_down(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;
	struct node *n = here(ctx);

	(void)out;
	if (edge_phase() == 0) {
		if (n->mounted && mta_stuck(n))
			return err_set(err, 16, "process %d of the mail program holds it and cannot be ended", n->mta_pid);
		if (n->mounted && n->held && ctx->conf->storage.holders != CONF_HOLDERS_KILL)
			return err_set(err, 16, "a process holds it and may not be killed");
		n->held = false;
		if (n->mounted)
			node_mta_kill(n);	/* holders are killed */
		return true;
	}
	if (!n->mounted && held(n) == FACT_UNKNOWN)
		return err_set(err, 16, "the device is busy: a mount is under way");
	if (n->mounted && n->disk_dead && !n->shut)
		return err_set(err, 5, "the disk does not answer");
	if (n->mounted && (n->mta_pid != 0 || spawn_in_flight(n->id, sim_edge.seal, true)))
		return err_set(err, 16, "a process holds it");
	n->mounted = n->binds = false;
	if (sim->unsynced == n->id + 1)
		sim->unsynced = 0;
	return true;
}

static bool
do_abandon(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;
	struct node *n = here(ctx);

	(void)out;
	if (n->mounted)
		n->shut = true;
	if (mta_stuck(n))
		return err_set(err, 16, "the mail program cannot be ended");
	node_mta_kill(n);
	n->mounted = n->binds = n->held = false;
	return true;
}

static bool
do_verify(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;
	const struct node *n = here(ctx);

	(void)err;
	spawn_say(out, "touched", "%s", fact_name(touched(n)));
	return true;
}

static bool
do_save(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;

	(void)out;
	if (edge_phase() == 0)
		return save_state(here(ctx), &ctx->state, err);
	here(ctx)->unsynced = false;
	return true;
}

/* ---------------------------------------------------------------- binds, mail program, addresses */

static bool
do_bind(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;
	struct node *n = here(ctx);

	(void)out;
	if (!n->mounted)
		return err_set(err, 0, "the spool is not mounted");
	n->binds = true;
	return true;
}

static bool
do_unbind(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;
	struct node *n = here(ctx);

	(void)out;
	if (n->mta_pid != 0)
		return err_set(err, 16, "the mail program holds it");
	n->binds = false;
	return true;
}

static bool
mta_begin(struct node *n, struct spawn_out *out, struct err *err)
{
	if (n->mta_pid == 0) {
		if (n->mta_broken)
			return err_set(err, 0, "the mail program ends at once: its configuration is broken");
		if (n->shut || n->spool_ro)
			return err_set(err, 0, "the queue cannot be written to");
		n->mta_pid = ++sim->pids;
		n->mta_hung = n->mta_stuck = false;
	}
	spawn_say(out, "pid", "%d", n->mta_pid);
	return true;
}

static bool
do_mta_start(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;

	if (ctx->with_services && here(ctx)->mta_pid == 0)
		queue_begins(here(ctx), ctx->conf->mta.queue_check);
	return !ctx->with_services || mta_begin(here(ctx), out, err);
}

static bool
do_mta_stop(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;
	struct node *n = here(ctx);

	(void)out;
	if (mta_stuck(n))
		return err_set(err, 0, "process %d cannot be ended", n->mta_pid);
	/* not of a restart that was under way already when the release began */
	if (n->running && n->en.role == ROLE_RELEASING && n->en.act_running == ACT_MTA_STOP)
		check_order(n, "stops its mail program while clients still come", n->address && n->mta_pid != 0);
	node_mta_kill(n);
	n->look = LOOK_NONE;
	return true;
}

static bool
do_mta_restart(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;

	if (edge_phase() == 0)
		return do_mta_stop(arg, out, err);
	return do_bind(arg, out, err) && mta_begin(here(ctx), out, err);
}

static bool
do_address_up(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;

	(void)out;
	if (!ctx->with_services)
		return true;
	if (ctx->foreign[0] != '\0')
		return err_set(err, 0, "%s", ctx->foreign);
	check_order(here(ctx), "takes the address before its mail program listens", here(ctx)->mta_pid == 0);
	here(ctx)->address = true;
	return true;
}

static bool
do_address_probe(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;
	const struct node *other = &sim->node[1 - ctx->conf->self];

	(void)out;
	if (other->booted && other->address && !other->lan_dead && !here(ctx)->lan_dead && !node_stands_still(other))
		return err_set(err, 0, "another host answers for the service address");
	if (sim->thief && !here(ctx)->lan_dead)
		return err_set(err, 0, "a third host answers for %s", ctx->conf->address[0].text);
	return true;
}

static bool
do_address_down(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;

	(void)out;
	(void)err;
	here(ctx)->address = false;
	return true;
}

/* ---------------------------------------------------------------- looks */

static bool
do_survey(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;
	const struct node *n = here(ctx);
	char key[32];

	(void)err;
	spawn_say(out, "held", "%s", fact_name(held(n)));
	spawn_say(out, "binds", "%s", n->binds ? "yes" : "no");
	for (size_t i = 0; i < ctx->conf->addresses; i++) {
		snprintf(key, sizeof(key), "address-%zu", i);
		spawn_say(out, key, "%s", n->address ? "yes" : "no");
	}
	spawn_say(out, "interfaces", "%s", n->lan_dead ? "no interface lan0 has no carrier" : "yes ");
	spawn_say(out, "mta", "%s", n->mta_pid != 0 ? "yes" : "no");
	if (n->mta_pid != 0)
		spawn_say(out, "pid", "%d", n->mta_pid);
	spawn_say(out, "ready", "%s", ctx->owner || !n->disk_dead ? "yes" : "no the disk does not answer");
	spawn_say(out, "storage", "simulated, %d%% used", sim->full ? 100 : 10);
	return true;
}

static bool
do_monitor(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;
	const struct node *n = here(ctx);

	(void)err;
	spawn_say(out, "answer", "%s", n->mta_pid == 0 ? "refused" : n->mta_hung || mta_stuck(n) || n->disk_dead ? "none" : "answered");
	spawn_say(out, "text", "simulated");
	return true;
}

static bool
do_prepare(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;

	(void)err;
	/* a broken configuration is found ahead every other time: some faults show only at the start */
	spawn_say(out, "prepared", "%s", here(ctx)->mta_broken && (sim->script != NULL || sim->plan->seed % 2 == 0) ? "no" : "yes");
	return true;
}

static bool
do_try_state(const void *arg, struct spawn_out *out, struct err *err)
{
	(void)out;
	return !here(arg)->state_bad || err_set(err, 30, "the state directory is read-only");
}

static bool
do_try_spool(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct edge_ctx *ctx = arg;
	const struct node *n = here(ctx);

	(void)out;
	if (ctx->owner && (!n->mounted || n->shut))
		return err_set(err, 0, "no spool is mounted");
	if (ctx->owner && n->spool_ro)
		return err_set(err, 30, "cannot write");
	return !n->disk_dead || err_set(err, 5, "the disk does not answer");
}

static bool
do_nothing(const void *arg, struct spawn_out *out, struct err *err)
{
	(void)arg;
	(void)out;
	(void)err;
	return true;
}

/* Two functions, since a worker is known by its function. */
static bool
do_hook(const void *arg, struct spawn_out *out, struct err *err)
{
	return do_nothing(arg, out, err);
}

const struct edge sim_edge = {
	.probe = do_probe, .storage_up = do_storage_up, .seal = do_seal, .bind = do_bind, .queue_check = queue_work_check,
	.queue_deep = queue_work_deep, .mta_start = do_mta_start,
	.address_up = do_address_up, .address_probe = do_address_probe, .address_down = do_address_down,
	.ease = do_ease, .mta_stop = do_mta_stop, .unbind = do_unbind, .storage_down = do_storage_down, .abandon = do_abandon,
	.mta_restart = do_mta_restart, .verify = do_verify, .save = do_save, .power = fence_work_power,
	.fence_monitor = fence_work_monitor, .survey = do_survey, .monitor = do_monitor, .prepare = do_prepare,
	.announce = do_nothing, .hook = do_hook, .try_state = do_try_state, .try_spool = do_try_spool,
};

/* clang-format off */
static const struct work_kind kinds[] = {
	{ "probe", do_probe, 2, 2000, 20000, false, false, false },
	{ "mount", do_storage_up, 2, 5000, 100000, true, false, false },
	{ "seal", do_seal, 3, 2000, 20000, true, false, false },
	{ "bind", do_bind, 1, 500, 5000, false, false, false },
	{ "check queue", queue_work_check, 1, 10000, 200000, false, false, false },
	{ "start mta", do_mta_start, 1, 20000, 400000, false, false, false },
	{ "take address", do_address_up, 1, 500, 5000, false, false, false },
	{ "drop address", do_address_down, 1, 500, 5000, false, false, false },
	{ "stop mta", do_mta_stop, 1, 20000, 800000, false, false, false },
	{ "unbind", do_unbind, 1, 500, 5000, false, false, false },
	{ "ease unmount", do_ease, 1, 5000, 200000, false, false, false },
	{ "unmount", do_storage_down, 2, 5000, 300000, true, false, false },
	{ "abandon", do_abandon, 1, 1000, 20000, false, false, false },
	{ "restart mta", do_mta_restart, 2, 50000, 900000, false, false, false },
	{ "verify", do_verify, 1, 1000, 10000, false, false, false },
	{ "save state", do_save, 2, 1000, 15000, true, false, true },
	{ "power", fence_work_power, 2, 50000, 1500000, true, true, false },
	{ "address probe", do_address_probe, 1, 25000, 30000, false, false, false },
	{ "fence monitor", fence_work_monitor, 1, 50000, 500000, false, true, false },
	{ "survey", do_survey, 1, 2000, 20000, false, false, true },
	{ "monitor", do_monitor, 1, 2000, 30000, false, false, true },
	{ "prepare", do_prepare, 1, 20000, 200000, false, false, true },
	{ "announce", do_nothing, 1, 1000, 2000, false, false, true },
	{ "hook", do_hook, 1, 2000, 50000, false, false, true },
	{ "deep queue check", queue_work_deep, 1, 200000, 3000000, false, false, true },
	{ "try the state disk", do_try_state, 1, 1000, 20000, false, false, true },
	{ "try the spool", do_try_spool, 1, 1000, 30000, false, false, true },
};
/* clang-format on */
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

const struct work_kind *
work_kind(spawn_work_f *work)
{
	for (size_t i = 0; i < KINDS; i++) {
		if (kinds[i].work == work)
			return &kinds[i];
	}
	sim_fail("a worker that the simulator does not know");
	return &kinds[0];
}

const char *
work_kind_name(int number)
{
	return number > 0 && (size_t)number <= KINDS ? kinds[number - 1].name : NULL;
}
