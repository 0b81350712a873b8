/*
 * supervisor/engine_why.c - the facts of the moment for "why" and "whatif": a copy, out of which why.c and whatif.c
 * make sentences. Reads the engine only; nothing here blocks.
 */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "supervisor/engine_priv.h"

void
engine_why(const struct engine *en, struct why_facts *ret)
{
	const struct engine_hold *h = &en->hold;
	struct err err = { .text = "" };

	memset(ret, 0, sizeof(*ret));
	engine_facts(en, &ret->facts);
	snprintf(ret->node, sizeof(ret->node), "%s", en->conf->node[en->conf->self]);
	snprintf(ret->peer, sizeof(ret->peer), "%s", engine_peer_name(en));
	ret->role = en->role;
	ret->peer_role = en->peer_known ? en->peer.role : ROLE_JOINING;
	ret->heard = engine_peer_alive(en);
	ret->left = en->peer_left;
	ret->silent = en->silent_ms != 0;
	ret->looked = en->probed;
	ret->busy = engine_busy(en);
	ret->fencing = en->fencing;
	ret->fence_failed = en->fence_failed;
	ret->failed_for_good = en->state.gave_up;
	ret->maintenance_here = en->state.maintenance;
	ret->maintenance_there = en->peer_maintenance;
	ret->tenure = en->own_tenure != 0 ? en->own_tenure : engine_known(en);
	ret->entered = en->entered;
	ret->proof = en->proof.kind;
	snprintf(ret->proof_text, sizeof(ret->proof_text), "%s", en->proof.text);
	snprintf(ret->fence_text, sizeof(ret->fence_text), "%s", en->fence_text);
	snprintf(ret->last_error, sizeof(ret->last_error), "%s", en->last_error);
	snprintf(ret->unwell, sizeof(ret->unwell), "%s", h->ready == FACT_NO ? h->ready_text :
	    h->prepared == FACT_NO ? h->prepared_text : h->interfaces == FACT_NO ? h->interfaces_text : "");
	ret->stall_s = en->conf->stall_ms / 1000;
	if (!engine_disk_says(en, DISK_SPOOL, ret->disks, sizeof(ret->disks)))
		engine_disk_says(en, DISK_STATE, ret->disks, sizeof(ret->disks));
	if (engine_peer_cannot_take(en, &err))
		snprintf(ret->peer_cannot, sizeof(ret->peer_cannot), "%.299s", err.text);
}

void
engine_whatif(const struct engine *en, struct whatif_world *ret)
{
	const struct engine_hold *h = &en->hold;
	uint64_t now = clock_mono_ms();

	memset(ret, 0, sizeof(*ret));
	engine_facts(en, &ret->facts);
	snprintf(ret->node, sizeof(ret->node), "%s", en->conf->node[en->conf->self]);
	snprintf(ret->peer, sizeof(ret->peer), "%s", engine_peer_name(en));
	ret->links = en->links;
	for (size_t i = 0; i < en->links; i++) {
		uint64_t heard = en->pulse.link_heard_ms[i];

		snprintf(ret->link[i], sizeof(ret->link[i]), "%s", en->conf->link[i].name);
		ret->link_up[i] = heard != 0 && now - heard < en->conf->heartbeat.deadtime_ms;
	}
	ret->role = en->role;
	ret->peer_role = en->peer_known ? en->peer.role : ROLE_JOINING;
	ret->well = h->ready == FACT_NO || h->interfaces == FACT_NO || h->prepared == FACT_NO ||
	    engine_disk_good(en, DISK_SPOOL) == FACT_NO ? FACT_NO : h->ready;
	ret->heard = engine_peer_alive(en);
	ret->left = en->peer_left;
	ret->silent = en->silent_ms != 0;
	ret->agreed = engine_agreed(en);
	ret->mta_down = en->role == ROLE_ACTIVE && engine_mta_down(en);
	ret->interface_dead = en->interface_dead;
	ret->spool_stalled = engine_spool_stalled(en);
	ret->busy = engine_busy(en);
}
