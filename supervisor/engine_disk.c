/*
 * supervisor/engine_disk.c - do the disks answer? Those of the state directory and of the spool are tried by workers, one after the
 * other and never two of one disk, since who hangs on a disk cannot be ended. What follows stands in the table. Runs in
 * mailpaird's supervisor process; nothing here blocks.
 *
 * The owner tries the spool through its mount, everybody else reads the device. Time that this node itself stood still is
 * no time that a disk took: what is counted is what was seen by a timer that fired every now and then.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "supervisor/engine_priv.h"

/* Begun every 2 s, bad when out for 2 s, looked at four times a second: known within 4.3 s, and to the peer a beat later. */
#define TRY_EVERY_MS 2000
#define TRY_ILL_MS 2000
#define TRY_LOOK_MS 250
#define TRY_LIMIT_MS 60000	/* one that hangs elsewhere than in the kernel ends then */

static const enum engine_job jobs[DISK_COUNT] = { [DISK_STATE] = JOB_TRY_STATE, [DISK_SPOOL] = JOB_TRY_SPOOL };

static uint64_t
at_most(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t
every_ms(const struct engine *en)
{
	return at_most(TRY_EVERY_MS, en->conf->stall_ms / 2);
}

/* ---------------------------------------------------------------- what is known */

enum fact
engine_disk_good(const struct engine *en, enum engine_disk_id id)
{
	return trial_good(&en->disk[id].trial);
}

bool
engine_disk_trying(const struct engine *en)
{
	return en->job[JOB_TRY_SPOOL] != NULL && en->job_ctx[JOB_TRY_SPOOL].owner && !en->disk[DISK_SPOOL].trial.hangs;
}

bool
engine_spool_stalled(const struct engine *en)
{
	const struct trial *t = &en->disk[DISK_SPOOL].trial;

	/* nothing is given up for what was so a while ago */
	return trial_bad_ms(t) >= en->conf->stall_ms && (t->hangs || clock_mono_ms() - t->ended_ms <= every_ms(en));
}

bool
engine_stalls_left(const struct engine *en)
{
	uint32_t most = en->conf->takeover.restarts > 0 ? en->conf->takeover.restarts : 1;

	return en->state.stalls < most;
}

void
engine_stall_note(struct engine *en)
{
	en->state.stalls++;
	engine_save(en);
	if (!engine_stalls_left(en))
		engine_event(en, "stalls", false, "this node has given way to the disk of the spool %" PRIu64
		    " times in a row: it does not do so again, nor fences for it", en->state.stalls);
}

void
engine_stalls_forget(struct engine *en)
{
	if (en->state.stalls == 0)
		return;
	en->state.stalls = 0;
	engine_save(en);
}

/* Whoever owns the spool has used it for long enough: what was with the disk before is over. */
static void
stalls_decay(struct engine *en, uint64_t now)
{
	uint64_t good = en->role == ROLE_ACTIVE ? en->disk[DISK_SPOOL].trial.good_ms : en->peer_spool_good_ms;

	if (good != 0 && now - good >= en->conf->takeover.restart_window_ms)
		engine_stalls_forget(en);
}

void
engine_disk_pass(struct engine *en)
{
	bool owner = en->peer.role == ROLE_ACTIVE, good = owner && en->peer.spool_disk.how == BEAT_DISK_GOOD;

	if (owner || en->peer.spool_disk.how > BEAT_DISK_GOOD)
		en->peer_stalled = en->peer.spool_disk.how > BEAT_DISK_GOOD;
	if (!good)
		en->peer_spool_good_ms = 0;
	else if (en->peer_spool_good_ms == 0)
		en->peer_spool_good_ms = clock_mono_ms();
}

bool
engine_could_fence(const struct engine *en)
{
	const struct conf *c = en->conf;

	/* as the table: asked_to_fence() */
	if (!c->takeover.automatic || !engine_stalls_left(en))
		return false;
	for (size_t i = 0; i < c->fences; i++) {
		bool all = c->fence[i].node != c->self;

		/* the devices of one level must all succeed */
		for (size_t k = 0; k < c->fences; k++) {
			if (c->fence[k].node != c->self && c->fence[k].level == c->fence[i].level)
				all = all && en->fence_answers[k] != FACT_NO;
		}
		if (all)
			return true;
	}
	return false;
}

/* ---------------------------------------------------------------- in words */

static const char *
disk_name(const struct engine *en, enum engine_disk_id id)
{
	const struct conf *c = en->conf;

	if (id == DISK_STATE)
		return c->state_dir;
	return en->role == ROLE_ACTIVE || en->role == ROLE_RELEASING || en->role == ROLE_FAILED ? c->storage.mountpoint :
	    c->storage.node_device[c->self];
}

bool
engine_disk_says(const struct engine *en, enum engine_disk_id id, char *buf, size_t size)
{
	const struct engine_disk *d = &en->disk[id];
	char at[CLOCK_RFC3339_MAX];

	if (!d->trial.bad)
		return false;
	snprintf(buf, size, "the disk of %s has answered nothing since %s (%" PRIu64 " s)%s%s", disk_name(en, id),
	    clock_rfc3339(d->since_wall_ms, at), trial_bad_ms(&d->trial) / 1000, d->trial.text[0] != '\0' ? ": " : "", d->trial.text);
	return true;
}

bool
engine_disk_says_peer(const struct engine *en, enum engine_disk_id id, char *buf, size_t size)
{
	const struct beat_health *h = id == DISK_STATE ? &en->peer.state_disk : &en->peer.spool_disk;

	if (!engine_peer_alive(en) || (h->how != BEAT_DISK_SILENT && h->how != BEAT_DISK_BROKEN))
		return false;
	snprintf(buf, size, "the disk of %s on %s has answered nothing for %u s%s", id == DISK_STATE ? en->conf->state_dir : "the spool",
	    engine_peer_name(en), h->for_s, h->how == BEAT_DISK_BROKEN ? ": it fails" : "");
	return true;
}

bool
engine_disk_refuses(const struct engine *en, struct err *err)
{
	char text[400];

	if (engine_disk_good(en, DISK_STATE) == FACT_NO && engine_disk_says(en, DISK_STATE, text, sizeof(text)))
		return !err_set(err, 0, "%s: a new tenure could not be noted", text);
	if (en->disk[DISK_SPOOL].trial.hangs && engine_disk_says(en, DISK_SPOOL, text, sizeof(text)))
		return !err_set(err, 0, "%s", text);
	return false;
}

/* ---------------------------------------------------------------- news */

/* was: as it was before what has just been learnt. */
static void
disk_news(struct engine *en, enum engine_disk_id id, const struct trial *was)
{
	struct engine_disk *d = &en->disk[id];
	char line[400];

	if (d->trial.bad == was->bad && d->trial.hangs == was->hangs)
		return;
	if (!was->bad)
		d->since_wall_ms = clock_wall_ms() - trial_bad_ms(&d->trial);
	if (engine_disk_says(en, id, line, sizeof(line))) {
		engine_event(en, "disk", false, "%s", line);
		engine_hook(en, "alert", line);
	} else {
		engine_event(en, "disk", true, "the disk of %s answers again after %" PRIu64 " s", disk_name(en, id), trial_bad_ms(was) / 1000);
	}
	engine_beat_now(en);
}

/* ---------------------------------------------------------------- tries */

/* Whether the spool may be tried now, and through what. */
static bool
spool_way(const struct engine *en, bool *ret_owner)
{
	*ret_owner = en->role == ROLE_ACTIVE;
	if (!en->probed || engine_busy(en))
		return false;
	if (en->role == ROLE_ACTIVE)
		return en->own_tenure != 0;
	return (en->role == ROLE_JOINING || en->role == ROLE_STANDBY || en->role == ROLE_STOPPED) && en->hold.storage == FACT_NO;
}

static void
disk_done(struct engine *en, enum engine_disk_id id, const struct spawn_result *res)
{
	struct trial *t = &en->disk[id].trial, was = *t;

	en->job[jobs[id]] = NULL;
	trial_end(t, clock_mono_ms(), TRY_LOOK_MS, res->end != SPAWN_EXITED ? TRIAL_VOID : res->code == 0 ? TRIAL_GOOD : TRIAL_BAD,
	    res->err.text);
	loop_timer_in(en->disk[id].timer, every_ms(en));
	disk_news(en, id, &was);
	if (id == DISK_STATE && en->unsaved && !t->bad)
		engine_save(en);
	if (id == DISK_SPOOL && en->job_ctx[JOB_TRY_SPOOL].owner) {
		if (was.hangs && en->role == ROLE_FAILED)
			engine_step(en, EV_SPOOL_BACK);
		engine_run_queue(en);	/* an unmount that waited for this try */
	}
	engine_consider(en);
}

static void
state_tried(void *arg, const struct spawn_result *res)
{
	struct engine *en = arg;

	if (en->sink.tried != NULL && res->end == SPAWN_EXITED)
		en->sink.tried(en->sink.arg, res->out);
	disk_done(en, DISK_STATE, res);
}

static void
spool_tried(void *arg, const struct spawn_result *res)
{
	disk_done(arg, DISK_SPOOL, res);
}

static void
disk_try(struct engine *en, enum engine_disk_id id)
{
	bool owner = false;

	if (en->job[jobs[id]] != NULL || (id == DISK_SPOOL && !spool_way(en, &owner)))
		return;
	trial_begin(&en->disk[id].trial, clock_mono_ms(), every_ms(en));
	en->job_ctx[jobs[id]] = (struct edge_ctx){ .owner = owner };
	if (id == DISK_STATE)
		engine_job_start(en, JOB_TRY_STATE, "try the state disk", en->edge->try_state, TRY_LIMIT_MS, state_tried);
	else
		engine_job_start(en, JOB_TRY_SPOOL, "try the spool's disk", en->edge->try_spool, TRY_LIMIT_MS, spool_tried);
	loop_timer_in(en->disk[id].timer, TRY_LOOK_MS);
}

static void
disk_look(struct engine *en, enum engine_disk_id id)
{
	struct trial *t = &en->disk[id].trial, was = *t;

	loop_timer_in(en->disk[id].timer, t->out ? TRY_LOOK_MS : every_ms(en));
	if (trial_look(t, clock_mono_ms(), TRY_LOOK_MS, at_most(TRY_ILL_MS, en->conf->stall_ms))) {
		disk_news(en, id, &was);
		engine_run_queue(en);	/* as above: this one will not come back soon */
	}
	disk_try(en, id);
	stalls_decay(en, clock_mono_ms());
	if (t->bad)
		engine_soon(en);
}

static void
state_look(void *arg)
{
	disk_look(arg, DISK_STATE);
}

static void
spool_look(void *arg)
{
	disk_look(arg, DISK_SPOOL);
}

bool
engine_disk_asked(struct engine *en)
{
	const struct trial *t = &en->disk[DISK_SPOOL].trial;

	if (en->mta_bad_ms == 0)
		en->mta_bad_ms = clock_mono_ms();
	if (t->bad || en->mta_died || t->good_began_ms >= en->mta_bad_ms)
		return true;
	disk_try(en, DISK_SPOOL);
	return false;
}

/* ---------------------------------------------------------------- life */

void
engine_disk_init(struct engine *en)
{
	en->disk[DISK_STATE].timer = loop_timer_new(en->loop, state_look, en);
	en->disk[DISK_SPOOL].timer = loop_timer_new(en->loop, spool_look, en);
}

void
engine_disk_start(struct engine *en)
{
	for (int id = 0; id < DISK_COUNT; id++)
		loop_timer_in(en->disk[id].timer, 0);
}

void
engine_disk_entered(struct engine *en, enum role from)
{
	struct engine_disk *d = &en->disk[DISK_SPOOL];
	bool forgets = en->role == ROLE_ACTIVE || from == ROLE_RELEASING || from == ROLE_FAILED;

	en->mta_bad_ms = 0;
	if (en->role == ROLE_ACTIVE)
		en->peer_stalled = false;
	/* from here on it is reached another way, and has just been mounted or unmounted */
	if (forgets && en->role != ROLE_FAILED) {
		d->trial = (struct trial){ .out = false };
		if (en->job[JOB_TRY_SPOOL] != NULL)
			trial_begin(&d->trial, clock_mono_ms(), every_ms(en));
	}
	loop_timer_in(d->timer, 0);
}
