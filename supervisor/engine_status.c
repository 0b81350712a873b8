/*
 * supervisor/engine_status.c - the snapshot that status prints, and the list of problems with their advice. Reads the
 * engine only; nothing here blocks.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "supervisor/engine_priv.h"

#define SPOOL_FULL_PERCENT 95

static void problem(struct status *, const char *advice, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void
problem(struct status *st, const char *advice, const char *fmt, ...)
{
	va_list ap;

	if (st->problems == STATUS_PROBLEMS_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(st->problem[st->problems].text, sizeof(st->problem[0].text), fmt, ap);
	va_end(ap);
	snprintf(st->problem[st->problems].advice, sizeof(st->problem[0].advice), "%s", advice);
	st->problems++;
}

/* What to do about the problem that was just listed, where it names a node. */
static void __attribute__((format(printf, 2, 3)))
advise(struct status *st, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(st->problem[st->problems - 1].advice, sizeof(st->problem[0].advice), fmt, ap);
	va_end(ap);
}

static void
fill_links(const struct engine *en, struct status *st, uint64_t now)
{
	st->links = en->links;
	for (size_t i = 0; i < en->links; i++) {
		struct status_link *l = &st->link[i];
		const struct link *k = &en->link[i];

		snprintf(l->name, sizeof(l->name), "%s", k->conf->name);
		snprintf(l->transport, sizeof(l->transport), "%s", k->conf->transport == CONF_UDP ? "udp" :
		    k->conf->transport == CONF_MULTICAST ? "multicast" : k->conf->transport == CONF_BROADCAST ? "broadcast" : "serial");
		l->last_heard_ms = en->pulse.link_heard_ms[i] == 0 ? -1 : (int64_t)(now - en->pulse.link_heard_ms[i]);
		l->up = en->pulse.link_heard_ms[i] != 0 && now - en->pulse.link_heard_ms[i] < en->conf->heartbeat.deadtime_ms;
		l->rtt_us = en->rtt_us[i];
		l->gap = &en->gap[i];
		l->lost = en->gap[i].lost;
		l->sent = k->sent;
		l->send_failed = k->send_failed;
		l->received = k->received;
		l->dropped = k->dropped;
		memcpy(l->rejected, en->rejected[i], sizeof(l->rejected));
		for (int v = 0; v < BEAT_VERDICT_COUNT; v++)
			st->rejected[v] += en->rejected[i][v];
		/* where the peer is silent on all of them, that is the one problem to tell */
		if (!k->open)
			problem(st, "check device, interface and addresses of this link on this node", "link %s cannot be opened: %s", l->name,
			    k->trouble.text);
		else if (!l->up && engine_peer_alive(en))
			problem(st, "check cable, interface and addresses of this link on both nodes: a dead backup link shows only when it is needed",
			    "link %s: nothing heard from %s, which is heard on another link", l->name, st->peer);
	}
}

static void
fill_group(const struct engine *en, struct status *st)
{
	const struct conf *c = en->conf;
	const struct engine_hold *h = &en->hold;

	snprintf(st->storage_type, sizeof(st->storage_type), "%s", c->storage.type);
	snprintf(st->storage_device, sizeof(st->storage_device), "%s", c->storage.node_device[c->self] != NULL ?
	    c->storage.node_device[c->self] : "");
	snprintf(st->mountpoint, sizeof(st->mountpoint), "%s", c->storage.mountpoint);
	snprintf(st->storage_state, sizeof(st->storage_state), "%s", h->storage_text);
	st->mounted = h->storage;
	st->addresses = c->addresses;
	for (size_t i = 0; i < c->addresses; i++) {
		snprintf(st->address[i].text, sizeof(st->address[i].text), "%s", c->address[i].text);
		snprintf(st->address[i].interface, sizeof(st->address[i].interface), "%s", c->address[i].interface);
		st->address[i].held = h->addresses == FACT_YES || h->addresses == FACT_NO ? h->addresses :
		    h->address[i] ? FACT_YES : FACT_UNKNOWN;
		if (!engine_busy(en) && en->surveys > 0)
			st->address[i].held = h->address[i] ? FACT_YES : h->addresses == FACT_YES ? FACT_YES : FACT_NO;
	}
	snprintf(st->mta_name, sizeof(st->mta_name), "%s", c->mta.name);
	st->mta_running = h->mta;
	st->mta_answering = en->role == ROLE_ACTIVE ? mta_health_good(&en->mta_health, c->mta.failures, c->mta.window) :
	    h->mta == FACT_YES ? FACT_UNKNOWN : FACT_NO;
	st->queue_known = h->queue_known && en->role == ROLE_ACTIVE;
	st->queue = h->queue;
	if (en->role == ROLE_ACTIVE) {
		snprintf(st->queue_verdict, sizeof(st->queue_verdict), "%s", en->queue_fast.verdict);
		st->queue_cut = en->queue_fast.cut;
		snprintf(st->queue_deep, sizeof(st->queue_deep), "%s", en->queue_deep.verdict);
		st->queue_findings = en->queue_deep.verdict[0] != '\0' ? en->queue_deep.findings : en->queue_fast.findings;
		st->queue_checked_wall_ms = en->queue_checked_wall_ms;
	}
}

static void
fill_fences(const struct engine *en, struct status *st)
{
	st->fences = en->conf->fences;
	for (size_t i = 0; i < en->conf->fences; i++) {
		const struct conf_fence *f = &en->conf->fence[i];
		struct status_fence *o = &st->fence[i];

		snprintf(o->name, sizeof(o->name), "%s", f->name);
		snprintf(o->node, sizeof(o->node), "%s", en->conf->node[f->node]);
		snprintf(o->agent, sizeof(o->agent), "%s", f->agent);
		o->answers = en->fence_answers[i];
		o->monitored_wall_ms = f->node != en->conf->self ? en->fence_monitored_wall_ms : 0;
		snprintf(o->tested, sizeof(o->tested), "%s", en->fence_tested[i]);
		if (o->answers == FACT_NO && f->node != en->conf->self) {
			problem(st, "", "fence device %s of %s does not answer", o->name, o->node);
			advise(st, "check the device, its address and its password, then: mailpair fence %s --test", o->node);
		}
	}
}

/* Nobody is known to own the spool, and nothing is on its way that would change this. */
static void
problem_no_owner(const struct engine *en, struct status *st)
{
	bool alive = engine_peer_alive(en), gone = en->proof.kind != PROOF_NONE || en->peer_left;

	if (!alive && !gone) {
		problem(st, "", en->peer_known && en->peer.role == ROLE_ACTIVE ?
		    "%s owned the spool when it was last heard; whether it still serves mail cannot be told from here" :
		    "whether %s owns the spool and serves mail cannot be told from here", st->peer);
		advise(st, "look at %s itself, at its console: where it runs, mend the links; where it is certainly off: mailpair confirm-dead %s",
		    st->peer, st->peer);
		return;
	}
	problem(st, "see the other problems", "no node owns the spool: MAIL IS NOT SERVED%s",
	    en->last_error[0] != '\0' && en->role == ROLE_STANDBY ? " (see history)" : "");
	if (en->state.offline)
		advise(st, "let this node own it: mailpair online");
	else if (alive && en->peer.role == ROLE_STOPPED && (en->peer.flags & BEAT_GAVE_UP) == 0 && en->role == ROLE_STOPPED)
		advise(st, "'mailpair online' on %s, where nothing has failed", st->peer);
}

static void
problem_maintenance(const struct engine *en, struct status *st)
{
	bool here = en->state.maintenance, there = en->peer_maintenance;

	problem(st, "", "maintenance is on (set on %s): nothing is moved, restarted or fenced", here && there ? "both nodes" :
	    here ? st->node : st->peer);
	advise(st, "when the work is done, 'mailpair maintenance off' on %s", here && there ? "both nodes" : here ? st->node : st->peer);
}

/* What was found is known to the daemon that found it; one that was started since knows that it was. */
static void
problem_queue_refused(const struct engine *en, struct status *st)
{
	static const char *const remedy = "'mailpair queue check' says what; 'mailpair queue check --repair' mends what can be mended; then "
	    "'mailpair services start'";

	if (en->conf->mta.queue_check != CONF_QUEUE_REFUSE)
		problem(st, remedy, "MAIL IS NOT SERVED: the queue of %s could not be mended%s%s", en->conf->mta.name,
		    en->queue_fast.text[0] != '\0' ? ": " : "", en->queue_fast.text);
	else if (en->queue_fast.verdict[0] != '\0')
		problem(st, remedy, "MAIL IS NOT SERVED: the queue of %s is %s and queue-check is \"refuse\": %s", en->conf->mta.name,
		    en->queue_fast.verdict, en->queue_fast.text);
	else
		problem(st, remedy, "MAIL IS NOT SERVED: the queue of %s was not found whole before this daemon was started, and queue-check is "
		    "\"refuse\"", en->conf->mta.name);
}

/* What stands against a takeover or a healthy pair, most urgent first. */
static void
problems_of_ownership(const struct engine *en, struct status *st)
{
	bool alive = engine_peer_alive(en), owner = en->role == ROLE_ACTIVE || (alive && en->peer.role == ROLE_ACTIVE);

	if (en->role == ROLE_FAILED)
		problem(st, "stop what is named, unmount the spool, then 'mailpair online'; or power this node off",
		    "this node still holds something of the spool and cannot let go: %s", en->last_error[0] != '\0' ? en->last_error :
		    en->probe_text);
	if (!en->probed)
		problem(st, "look at the storage and at /proc/mounts of this node", "it is not known yet what this node holds%s%s",
		    en->probe_text[0] != '\0' ? ": " : "", en->probe_text);
	if (en->doubtful && en->proof.kind == PROOF_NONE)
		problem(st, "restore a link to the peer, or confirm that it is dead",
		    "this node stood still and its ownership is in doubt until %s is heard or proven gone", st->peer);
	else if (en->doubtful)
		problem(st, "nothing is lost by waiting: it is certain again as soon as the peer is up and heard",
		    "this node stood still, and whether %s had mounted the spool meanwhile cannot be told from the disk", st->peer);
	if (alive && en->peer.holds == FACT_YES && en->role == ROLE_ACTIVE)
		problem(st, "power one of the two nodes off now", "%s holds the spool as well", st->peer);
	if (en->state.gave_up)
		problem(st, "mend what failed, then 'mailpair online' on this node", "the service failed on this node: %s", en->last_error);
	if (alive && (en->peer.flags & BEAT_GAVE_UP) != 0)
		problem(st, "mend what failed there, then 'mailpair online' on that node", "the service failed on %s", st->peer);
	if (en->state.offline)
		problem(st, "'mailpair online' lets it own again", "this node is kept from owning by the operator (standby)");
	if (!owner && en->role != ROLE_JOINING && en->role != ROLE_ACQUIRING && en->role != ROLE_RELEASING && !(alive &&
	    (en->peer.role == ROLE_ACQUIRING || en->peer.role == ROLE_RELEASING)))
		problem_no_owner(en, st);
	if (en->last_error[0] != '\0' && (en->role == ROLE_STANDBY || en->role == ROLE_STOPPED) && !owner && !en->state.gave_up)
		problem(st, "mend it; the next try is made by itself", "the last try to own failed: %s", en->last_error);
	if (en->state.maintenance || en->peer_maintenance)
		problem_maintenance(en, st);
	if (engine_queue_mending(en))
		problem(st, "wait: it is served as soon as that is done; what cuts it off ('mailpair standby', a power failure) loses nothing, "
		    "the next start goes on with it", "MAIL IS NOT SERVED: the queue of %s is being mended, %s", en->conf->mta.name, en->act_progress);
	if (en->state.services_stopped && en->role == ROLE_ACTIVE && en->state.queue_refused)
		problem_queue_refused(en, st);
	else if (en->state.services_stopped && en->role == ROLE_ACTIVE)
		problem(st, "'mailpair services start'", "the mail services were stopped by the operator");
}

/* The owner cannot use the spool: who will do what about it. */
static void
advise_stalled(const struct engine *en, struct status *st)
{
	static const char *const look = "look at the path to the storage and at the kernel's log";
	struct err err = { .text = "" };

	if (en->state.maintenance || en->peer_maintenance || en->state.services_stopped)
		advise(st, "%s; nothing is moved: maintenance is on or the services are stopped", look);
	else if (engine_peer_cannot_take(en, &err))
		advise(st, "%s; %s could not take over: %.200s", look, st->peer, err.text);
	else if (en->disk[DISK_SPOOL].trial.hangs && (en->peer.flags & BEAT_CAN_FENCE) == 0)
		advise(st, "%s; %s could not take over: who hangs must be powered off for that, and it could not do so", look, st->peer);
	else if (!engine_stalls_left(en))
		advise(st, "%s; %s was tried %" PRIu64 " times and did no better: 'mailpair online' here lets it be tried again", look,
		    st->peer, en->state.stalls);
	else
		advise(st, "%s; after %" PRIu32 " s of this %s takes over", look, en->conf->stall_ms / 1000, st->peer);
}

static void
problems_of_disks(const struct engine *en, struct status *st)
{
	bool owner = en->role == ROLE_ACTIVE || en->role == ROLE_RELEASING || en->role == ROLE_FAILED;
	char text[300];

	if (engine_disk_says(en, DISK_SPOOL, text, sizeof(text))) {
		problem(st, "look at the path to it (cable, switch, session) and at the kernel's log", "%s%s",
		    owner ? "" : "this node could not take over: ", text);
		if (en->role == ROLE_ACTIVE)
			advise_stalled(en, st);
	}
	if (engine_disk_says(en, DISK_STATE, text, sizeof(text)))
		problem(st, owner ? "look at this disk and at the kernel's log: mail goes on, but what happens may not be written down" :
		    "look at this disk and at the kernel's log: without it a new tenure could not be noted", "%s%s",
		    owner ? "" : "this node could not take over: ", text);
	if (!engine_stalls_left(en)) {
		problem(st, "", "this node has given way to the disk of the spool %" PRIu64 " times in a row: it does not again, nor is %s powered off for it",
		    en->state.stalls, st->peer);
		advise(st, "mend the storage; 'mailpair online' here, or a spool that works for %" PRIu32 " s wherever it is, ends this",
		    en->conf->takeover.restart_window_ms / 1000);
	}
	if (en->job[JOB_PROBE] != NULL && !en->probed && clock_mono_ms() - en->job_began_ms[JOB_PROBE] > en->conf->mount_ms)
		problem(st, "look at the storage and at the kernel's log", "the look at what this node holds has not come back for %" PRIu64
		    " s", (clock_mono_ms() - en->job_began_ms[JOB_PROBE]) / 1000);
}

/* What the peer says of its own disks. */
static void
problems_of_peer_disks(const struct engine *en, struct status *st)
{
	bool owner = en->peer.role == ROLE_ACTIVE || en->peer.role == ROLE_RELEASING || en->peer.role == ROLE_FAILED;
	char text[300];

	for (int id = 0; id < DISK_COUNT; id++) {
		if (!engine_disk_says_peer(en, (enum engine_disk_id)id, text, sizeof(text)))
			continue;
		if (owner)
			problem(st, "", "%s", text);
		else
			problem(st, "", "%s could not take over: %s", st->peer, text);
		advise(st, "see 'mailpair status' on %s", st->peer);
	}
}

/* A silent peer that is not proven gone: why there is no proof, and how to come to one. */
static void
problem_silent(const struct engine *en, struct status *st)
{
	const char *peer = st->peer;

	if (!engine_can_fence(en)) {
		problem(st, "", "%s is silent on every link and no fence device for it is configured: there is no proof that it is gone", peer);
		advise(st, "look at %s itself; where it is certainly powered off: mailpair confirm-dead %s", peer, peer);
	} else if (en->state.maintenance || en->peer_maintenance) {
		problem(st, "", "%s is silent on every link and is not fenced: maintenance is on", peer);
		advise(st, "where it is certainly powered off: mailpair confirm-dead %s", peer);
	} else if (!en->conf->takeover.automatic) {
		problem(st, "", "%s is silent on every link and automatic takeover is off", peer);
		advise(st, "power it off: mailpair fence %s --off", peer);
	} else if (engine_disk_refuses(en, NULL)) {
		problem(st, "mend this node first, or see to the other one", "%s is silent on every link and is not fenced: this node could not take over",
		    peer);
	} else if (en->fence_failed) {
		problem(st, "", "%s is silent on every link and no fence device proves that it is gone: %s", peer, en->fence_text);
		advise(st, "power it off by hand (plug, power strip), look that it is off, then: mailpair confirm-dead %s", peer);
	} else {
		problem(st, "wait: it is being fenced", "%s is silent on every link", peer);
	}
}

static void
problems_of_peer(const struct engine *en, struct status *st)
{
	enum view v = engine_view(en);
	bool alive = engine_peer_alive(en);

	if (v == VIEW_SILENT || v == VIEW_FENCING || (v == VIEW_UNSEEN && en->silent_ms != 0)) {
		problem_silent(en, st);
	} else if (v == VIEW_FENCED) {
		problem(st, "find out why it was silent, then power it on", "%s is off: %s", st->peer, en->proof.text);
	} else if (v == VIEW_LEFT) {
		problem(st, "start mailpaird there when the work is done", "%s has left: a failure of this node could not be caught", st->peer);
	} else if (v == VIEW_LATE) {
		problem(st, "wait a moment", "%s is late", st->peer);
	} else if (v == VIEW_UNSEEN) {
		problem(st, "start mailpaird there; check the links and that both nodes have the same authkeys",
		    "%s was not heard since this node came up", st->peer);
	}
	if (alive && engine_config_same(en) == FACT_NO)
		problem(st, "make the file the same on both nodes, then 'mailpair reload' on both; no switchover before that",
		    "%s differs between the nodes", en->conf->file);
	problems_of_peer_disks(en, st);
	if (alive && en->peer.role == ROLE_STANDBY && (en->peer.flags & BEAT_HEALTHY) == 0 &&
	    en->peer.state_disk.how <= BEAT_DISK_GOOD && en->peer.spool_disk.how <= BEAT_DISK_GOOD)
		problem(st, "see 'mailpair status' there", "%s is not well: it could not take over", st->peer);
	if (alive && en->peer.role == ROLE_ACTIVE && (en->peer.flags & BEAT_UNSERVED) != 0)
		problem(st, "see 'mailpair status' there", "%s owns the spool, but its mail program does not serve", st->peer);
	if (alive && en->peer.role == ROLE_STOPPED && (en->peer.flags & BEAT_GAVE_UP) == 0) {
		problem(st, "", "%s is kept from owning (standby): a failure of this node could not be caught", st->peer);
		advise(st, "'mailpair online' on %s lets it own again", st->peer);
	}
	if (alive && en->peer.role == ROLE_FAILED) {
		problem(st, "", "%s still holds something of the spool and cannot let go%s", st->peer,
		    en->peer.request == BEAT_ASK_FENCE ? "; it asks to be powered off" : "");
		advise(st, "see 'mailpair status' there; where it is not fenced by itself: mailpair fence %s --off", st->peer);
	}
}

/* "ext4 rw, 97% used": how much; -1 where the line does not say. */
static int
percent_used(const char *storage)
{
	const char *p = strchr(storage, '%');

	while (p != NULL && p > storage && p[-1] >= '0' && p[-1] <= '9')
		p--;
	return p != NULL && *p != '%' ? (int)strtol(p, NULL, 10) : -1;
}

/* The thorough look comes after the fast one, at what that has left: its word is the newer one. */
static void
problem_queue(const struct engine *en, struct status *st)
{
	const struct queue_report *r = en->queue_deep.verdict[0] != '\0' ? &en->queue_deep : &en->queue_fast;

	if (strcmp(r->verdict, "unknown") == 0)
		problem(st, "see what it says, then: mailpair queue check", "whether the queue of %s is whole is not known: %s",
		    st->mta_name, r->text);
	else if (strcmp(r->verdict, "damaged") == 0 || strcmp(r->verdict, "repairable") == 0)
		problem(st, "'mailpair queue check --deep' says what; 'mailpair services stop', 'mailpair queue check --deep --repair' and "
		    "'mailpair services start' mend what can be mended", "the queue of %s is %s: %s", st->mta_name, r->verdict, r->text);
}

static void
problems_of_group(const struct engine *en, struct status *st)
{
	const struct engine_hold *h = &en->hold;

	if (en->role == ROLE_ACTIVE && !engine_busy(en) && !en->state.services_stopped) {
		if (h->mta == FACT_NO || en->mta_died)
			problem(st, "see the mail log; it is started again within its restart budget", "%s is not running", st->mta_name);
		else if (st->mta_answering == FACT_NO)
			problem(st, "see the mail log; it is restarted within its restart budget", "%s does not answer", st->mta_name);
		for (size_t i = 0; i < st->addresses; i++) {
			if (st->address[i].held == FACT_NO)
				problem(st, "somebody removed it; it is taken again", "service address %s is not held", st->address[i].text);
		}
		if (percent_used(h->storage_text) >= SPOOL_FULL_PERCENT)
			problem(st, "make room on it: mail is put off with 4xx when it is full", "%s is nearly full: %s", st->mountpoint,
			    h->storage_text);
		problem_queue(en, st);
		if (h->durable == FACT_NO)
			problem(st, "'mailpair switchover' mounts it with dirsync on the other node; or: chattr +D on that directory", "%s",
			    h->durable_text);
		if (h->storage != FACT_YES)
			problem(st, "look at the storage now", "%s is not mounted", st->mountpoint);
	}
	if (en->role == ROLE_STANDBY || en->role == ROLE_STOPPED) {
		if (h->ready == FACT_NO)
			problem(st, "a takeover would fail: mend it now", "this node could not take the spool: %s", h->ready_text);
		if (h->prepared == FACT_NO)
			problem(st, "a takeover would fail: mend it now", "%s could not be started here: %s", st->mta_name, h->prepared_text);
		if (h->storage == FACT_YES)
			problem(st, "unmount it", "%s is mounted here although this node does not own it", st->mountpoint);
		if (h->mta == FACT_YES)
			problem(st, "stop it and keep it from starting at boot: it runs on this node's own disk, not on the spool",
			    "%s runs on this node although it does not own the spool", st->mta_name);
		for (size_t i = 0; i < st->addresses; i++) {
			if (h->address[i] && !engine_busy(en))
				problem(st, "remove it from this node's network configuration", "service address %s is present here although this node does not own the spool", st->address[i].text);
		}
	}
	if (h->interfaces == FACT_NO)
		problem(st, "check the interface", "%s", h->interfaces_text);
}

void
engine_status(const struct engine *en, struct status *st)
{
	const struct conf *c = en->conf;
	uint64_t now = clock_mono_ms();

	memset(st, 0, sizeof(*st));
	snprintf(st->pair, sizeof(st->pair), "%s", c->pair);
	snprintf(st->node, sizeof(st->node), "%s", c->node[c->self]);
	snprintf(st->peer, sizeof(st->peer), "%s", engine_peer_name(en));
	st->role = en->role;
	st->peer_view = engine_view(en);
	st->peer_role_known = en->peer_known && engine_peer_alive(en);
	st->peer_role = en->peer.role;
	st->peer_holds = st->peer_role_known ? en->peer.holds : FACT_UNKNOWN;
	st->tenure = en->own_tenure != 0 ? en->own_tenure : en->state.tenure;
	st->peer_tenure = en->peer_known ? en->peer.tenure : 0;
	st->maintenance = en->state.maintenance || en->peer_maintenance;
	st->maintenance_there = en->peer_maintenance && !en->state.maintenance;
	st->maintenance_until_wall_ms = en->state.maintenance_until_wall_ms;
	st->automatic_takeover = c->takeover.automatic;
	st->doubtful = en->doubtful;
	st->services_stopped = en->state.services_stopped;
	st->queue_refused = en->state.services_stopped && en->state.queue_refused && en->role == ROLE_ACTIVE;
	st->config_same = engine_config_same(en);
	st->clock_offset_ms = st->peer_role_known ? en->clock_offset_ms : INT64_MIN;
	st->proof = en->proof.kind;
	snprintf(st->proof_text, sizeof(st->proof_text), "%.159s", en->proof.text);
	st->last = en->last;
	st->beats_sent = en->beats_sent;
	st->pauses = en->pauses;
	st->longest_pause_ms = en->longest_pause_ms;
	if (en->act_child != NULL)
		snprintf(st->doing, sizeof(st->doing), "%s, %" PRIu64 " ms%s%.80s", fsm_act_name(en->act_running), now - en->act_began_ms,
		    en->act_progress[0] != '\0' ? ": " : "", en->act_progress);
	problems_of_ownership(en, st);
	problems_of_disks(en, st);
	problems_of_peer(en, st);
	fill_group(en, st);
	problems_of_group(en, st);
	fill_links(en, st, now);
	fill_fences(en, st);
}
