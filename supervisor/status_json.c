/*
 * supervisor/status_json.c - the snapshot as the contract's JSON document, and the verdict
 * "healthy".
 *
 * Pure; mailpaird calls it for "status json=yes". What is not known is null, never a guess: a
 * reader can tell "no" from "could not be told". The form for people is in status_text.c.
 */
#include "supervisor/status.h"

#include <stdio.h>

#include "common/clock.h"
#include "common/json.h"

bool
status_fault(const struct status *s, char *buf, size_t size)
{
	if (s->role == ROLE_ACQUIRING || s->role == ROLE_RELEASING) {
		snprintf(buf, size, "%s is %s the spool: a transition is under way.", s->node,
		    role_name(s->role));
		return true;
	}
	if (s->role != ROLE_ACTIVE && s->role != ROLE_STANDBY) {
		snprintf(buf, size, "%s is %s, neither active nor standby.", s->node,
		    role_name(s->role));
		return true;
	}
	if (s->peer_view != VIEW_ALIVE && s->peer_view != VIEW_LATE) {
		snprintf(buf, size, "%s is %s: %s has no standby.", s->peer,
		    view_name(s->peer_view), s->node);
		return true;
	}
	for (size_t i = 0; i < s->links; i++) {
		if (!s->link[i].up) {
			snprintf(buf, size, "Link %s between %s and %s is down.", s->link[i].name,
			    s->node, s->peer);
			return true;
		}
	}
	if (s->role == ROLE_STANDBY)
		return false;
	if (s->mounted != FACT_YES) {
		snprintf(buf, size, "%s is active, but whether %s is mounted there: %s.", s->node,
		    s->mountpoint, fact_name(s->mounted));
		return true;
	}
	if (s->mta_running != FACT_YES || s->mta_answering == FACT_NO) {
		snprintf(buf, size,
		    "%s is active, but %s is not well there: running %s, answering %s.", s->node,
		    s->mta_name, fact_name(s->mta_running), fact_name(s->mta_answering));
		return true;
	}
	for (size_t i = 0; i < s->addresses; i++) {
		if (s->address[i].held != FACT_YES) {
			snprintf(buf, size, "%s is active, but whether it holds %s: %s.", s->node,
			    s->address[i].text, fact_name(s->address[i].held));
			return true;
		}
	}
	return false;
}

bool
status_healthy(const struct status *s)
{
	char ignored[320];

	return s->problems == 0 && !status_fault(s, ignored, sizeof(ignored));
}

static void
add_time(struct json *j, const char *key, uint64_t wall_ms)
{
	char text[CLOCK_RFC3339_MAX];

	json_string(j, key, wall_ms == 0 ? NULL : clock_rfc3339(wall_ms, text));
}

static void
add_rejected(struct json *j, const uint64_t rejected[BEAT_VERDICT_COUNT])
{
	json_object(j, "rejected");
	for (int v = BEAT_GOOD + 1; v < BEAT_VERDICT_COUNT; v++)
		json_uint(j, beat_verdict_name((enum beat_verdict)v), rejected[v]);
	json_object_end(j);
}

static void
add_gaps(struct json *j, const struct gap *gap)
{
	json_object(j, "gaps");
	json_uint(j, "count", gap->count);
	json_thousandths(j, "p50_ms", gap_percentile_us(gap, 50));
	json_thousandths(j, "p99_ms", gap_percentile_us(gap, 99));
	json_thousandths(j, "max_ms", gap->max_us);
	json_array(j, "histogram");
	for (unsigned int i = 0; i < GAP_BUCKETS; i++) {
		if (gap->bucket[i] == 0)
			continue;
		json_object(j, NULL);
		json_uint(j, "up_to_ms", gap_bucket_ms(i));
		json_uint(j, "count", gap->bucket[i]);
		json_object_end(j);
	}
	json_array_end(j);
	json_object_end(j);
}

static void
add_links(struct json *j, const struct status *s)
{
	json_array(j, "links");
	for (size_t i = 0; i < s->links; i++) {
		const struct status_link *link = &s->link[i];

		json_object(j, NULL);
		json_string(j, "name", link->name);
		json_string(j, "transport", link->transport);
		json_bool(j, "up", link->up);
		if (link->last_heard_ms < 0)
			json_null(j, "last_heard_ms");
		else
			json_int(j, "last_heard_ms", link->last_heard_ms);
		if (link->rtt_us < 0)
			json_null(j, "rtt_us");
		else
			json_int(j, "rtt_us", link->rtt_us);
		json_uint(j, "lost", link->lost);
		json_uint(j, "sent", link->sent);
		json_uint(j, "send_failed", link->send_failed);
		json_uint(j, "received", link->received);
		json_uint(j, "dropped", link->dropped);
		add_rejected(j, link->rejected);
		add_gaps(j, link->gap);
		json_object_end(j);
	}
	json_array_end(j);
}

static void
add_group(struct json *j, const struct status *s)
{
	json_object(j, "storage");
	json_string(j, "type", s->storage_type);
	json_string(j, "device", s->storage_device);
	json_string(j, "mountpoint", s->mountpoint);
	json_fact(j, "mounted", s->mounted);
	json_string(j, "state", s->storage_state);
	json_object_end(j);

	json_array(j, "addresses");
	for (size_t i = 0; i < s->addresses; i++) {
		json_object(j, NULL);
		json_string(j, "address", s->address[i].text);
		json_string(j, "interface", s->address[i].interface);
		json_fact(j, "held", s->address[i].held);
		json_object_end(j);
	}
	json_array_end(j);

	json_array(j, "mta");
	json_object(j, NULL);
	json_string(j, "name", s->mta_name);
	json_fact(j, "running", s->mta_running);
	json_fact(j, "answering", s->mta_answering);
	if (s->queue_known) {
		json_object(j, "queue");
		json_uint(j, "total", s->queue.total);
		json_uint(j, "active", s->queue.active);
		json_uint(j, "deferred", s->queue.deferred);
		json_uint(j, "hold", s->queue.hold);
		json_uint(j, "incoming", s->queue.incoming);
		json_uint(j, "maildrop", s->queue.maildrop);
		json_uint(j, "corrupt", s->queue.corrupt);
		json_object_end(j);
	} else {
		json_null(j, "queue");
	}
	if (s->queue_verdict[0] != '\0' || s->queue_deep[0] != '\0') {
		json_object(j, "queue_check");
		json_string(j, "before_start", s->queue_verdict[0] != '\0' ? s->queue_verdict : NULL);
		json_bool(j, "before_start_complete", !s->queue_cut);
		json_string(j, "deep", s->queue_deep[0] != '\0' ? s->queue_deep : NULL);
		json_uint(j, "findings", s->queue_findings);
		add_time(j, "at", s->queue_checked_wall_ms);
		json_object_end(j);
	}
	json_object_end(j);
	json_array_end(j);

	/* Further services come with later versions; their member stands already. */
	json_array(j, "services");
	json_array_end(j);
	json_object(j, "config_sync");
	json_fact(j, "in_step", s->config_on ? s->config.in_step : FACT_UNKNOWN);
	json_uint(j, "files", s->config.files);
	json_uint(j, "pending", s->config.pending);
	json_uint(j, "conflicts", s->config.conflicts);
	json_uint(j, "refused", s->config.refused);
	json_object_end(j);
}

static void
add_last(struct json *j, const struct status_transition *last)
{
	if (last->kind[0] == '\0') {
		json_null(j, "last_transition");
		return;
	}
	json_object(j, "last_transition");
	json_string(j, "kind", last->kind);
	json_uint(j, "tenure", last->tenure);
	json_string(j, "from", last->from);
	json_string(j, "to", last->to);
	add_time(j, "at", last->at_wall_ms);
	json_uint(j, "took_ms", last->took_ms);
	json_string(j, "reason", last->reason);
	json_object_end(j);
}

/* Problems are strings, as the contract has them; the advice for each stands at the same index
 * beside them. */
static void
add_problems(struct json *j, const struct status *s)
{
	char fault[320];
	bool unlisted = s->problems == 0 && status_fault(s, fault, sizeof(fault));

	json_bool(j, "healthy", status_healthy(s));
	json_array(j, "problems");
	for (size_t i = 0; i < s->problems; i++)
		json_string(j, NULL, s->problem[i].text);
	if (unlisted)
		json_string(j, NULL, fault);
	json_array_end(j);
	json_array(j, "advice");
	for (size_t i = 0; i < s->problems; i++)
		json_string(j, NULL, s->problem[i].advice);
	if (unlisted)
		json_string(j, NULL, "");
	json_array_end(j);
}

static void
add_peer_and_proof(struct json *j, const struct status *s)
{
	json_object(j, "peer_details");
	json_fact(j, "holds", s->peer_holds);
	json_uint(j, "tenure", s->peer_tenure);
	json_fact(j, "config_same", s->config_same);
	if (s->clock_offset_ms == INT64_MIN)
		json_null(j, "clock_offset_ms");
	else
		json_int(j, "clock_offset_ms", s->clock_offset_ms);
	json_object_end(j);

	json_object(j, "proof");
	json_string(j, "kind", proof_name(s->proof));
	json_string(j, "text", s->proof_text);
	json_object_end(j);

	json_array(j, "fences");
	for (size_t i = 0; i < s->fences; i++) {
		json_object(j, NULL);
		json_string(j, "name", s->fence[i].name);
		json_string(j, "node", s->fence[i].node);
		json_string(j, "agent", s->fence[i].agent);
		json_fact(j, "answers", s->fence[i].answers);
		add_time(j, "monitored", s->fence[i].monitored_wall_ms);
		json_string(j, "tested", s->fence[i].tested[0] == '\0' ? NULL : s->fence[i].tested);
		json_object_end(j);
	}
	json_array_end(j);
}

size_t
status_json(const struct status *s, char *buf, size_t size)
{
	struct json j;

	json_init(&j, buf, size);
	json_object(&j, NULL);
	json_string(&j, "pair", s->pair);
	json_string(&j, "node", s->node);
	json_string(&j, "peer", s->peer);
	json_string(&j, "version", MAILPAIR_VERSION);
	json_string(&j, "role", role_name(s->role));
	json_string(&j, "peer_view", view_name(s->peer_view));
	json_string(&j, "peer_role", s->peer_role_known ? role_name(s->peer_role) : NULL);
	json_uint(&j, "tenure", s->tenure);
	json_string(&j, "doing", s->doing[0] == '\0' ? NULL : s->doing);
	json_bool(&j, "maintenance", s->maintenance);
	add_time(&j, "maintenance_until", s->maintenance ? s->maintenance_until_wall_ms : 0);
	json_bool(&j, "automatic_takeover", s->automatic_takeover);
	json_bool(&j, "doubtful", s->doubtful);
	json_bool(&j, "services_stopped", s->services_stopped);
	add_problems(&j, s);
	add_links(&j, s);
	add_group(&j, s);
	add_last(&j, &s->last);
	add_peer_and_proof(&j, s);
	json_object(&j, "heartbeat");
	json_uint(&j, "beats_sent", s->beats_sent);
	json_uint(&j, "pauses", s->pauses);
	json_uint(&j, "longest_pause_ms", s->longest_pause_ms);
	add_rejected(&j, s->rejected);
	json_object_end(&j);
	json_uint(&j, "journal_dropped", s->journal_dropped);
	json_uint(&j, "log_dropped", s->log_dropped);
	json_object_end(&j);
	return json_finish(&j);
}
