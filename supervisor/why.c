/*
 * supervisor/why.c - see why.h. Pure: no clock, no file, no log. Which rows are asked stands here; what their guards
 * want is found by trying. Runs in mailpaird's supervisor process; nothing here blocks.
 */
#include "supervisor/why.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"

void
why_set(struct facts *to, const struct facts *from, enum why_need need)
{
	static const struct facts good = { .online = true, .healthy = FACT_YES, .peer_gone = FACT_YES, .automatic = true,
		.can_fence = true, .elected = FACT_YES, .peer_can_take = FACT_YES, .disks = FACT_YES, .stalls_left = true,
		.peer_can_fence = true };

	if (from == NULL)
		from = &good;
	switch (need) {
	case WHY_ONLINE:
		to->online = from->online;
		break;
	case WHY_NOT_FAILED:
		to->gave_up = from->gave_up;
		break;
	case WHY_NO_MAINTENANCE:
		to->maintenance = from->maintenance;
		break;
	case WHY_HEALTHY:
		to->healthy = from->healthy;
		break;
	case WHY_PEER_GONE:
		to->peer_gone = from->peer_gone;
		break;
	case WHY_AUTOMATIC:
		to->automatic = from->automatic;
		break;
	case WHY_CAN_FENCE:
		to->can_fence = from->can_fence;
		break;
	case WHY_ELECTED:
		to->elected = from->elected;
		break;
	case WHY_PEER_CAN_TAKE:
		to->peer_can_take = from->peer_can_take;
		break;
	case WHY_NOT_DOUBTFUL:
		to->doubtful = from->doubtful;
		break;
	case WHY_DISKS:
		to->disks = from->disks;
		break;
	case WHY_STALLS_LEFT:
		to->stalls_left = from->stalls_left;
		break;
	case WHY_PEER_CAN_FENCE:
		to->peer_can_fence = from->peer_can_fence;
		break;
	case WHY_COUNT:
		break;
	}
}

unsigned int
why_missing(const struct fsm_row *row, const struct facts *facts)
{
	struct facts all = *facts;
	unsigned int missing = 0;

	if (row->when == NULL || row->when(facts))
		return 0;
	for (int n = 0; n < WHY_COUNT; n++)
		why_set(&all, NULL, (enum why_need)n);
	for (int n = 0; n < WHY_COUNT; n++) {
		struct facts but_one = all;

		why_set(&but_one, facts, (enum why_need)n);
		if (!row->when(&but_one))
			missing |= 1u << n;
	}
	return missing;
}

static bool
row_has(const struct fsm_row *row, enum fsm_act act)
{
	for (int i = 0; i < FSM_ACTS_MAX && row->acts[i] != ACT_NONE; i++) {
		if (row->acts[i] == act)
			return true;
	}
	return false;
}

/*
 * A row on the way to owning: it takes the spool, or brings the proof or the agreement that lets another row take it.
 * The owner's way is the opposite one: to hand over. Whether that is eased beforehand makes no difference to whether it is done.
 */
static bool
leads_on(const struct fsm_row *row, const struct why_facts *w)
{
	bool nobody = w->heard && w->facts.peer_holds == FACT_NO && w->peer_role != ROLE_ACQUIRING && w->peer_role != ROLE_ACTIVE;

	if (w->role == ROLE_ACTIVE)
		return (row->in & IN(ACTIVE)) != 0 && row->next == ROLE_RELEASING && !row_has(row, ACT_EASE) &&
		    row->on == (w->facts.spool == FACT_NO ? EV_SPOOL_STALLED : EV_OP_GIVE);
	if ((row->in & IN(STANDBY)) == 0 || row->in == IN_ANY)
		return false;
	if (row->next == ROLE_ACQUIRING)
		return true;
	if (row_has(row, ACT_FENCE_LATER))
		return w->facts.peer_gone != FACT_YES && !w->left;
	return nobody && row_has(row, ACT_CLAIM);
}

static unsigned int
all_missing(const struct why_facts *w)
{
	unsigned int missing = 0;

	for (size_t i = 0; i < fsm_rows; i++) {
		if (leads_on(&fsm_table[i], w))
			missing |= why_missing(&fsm_table[i], &w->facts);
	}
	return missing;
}

/* ---------------------------------------------------------------- sentences */

static void __attribute__((format(printf, 2, 3)))
against(struct why *y, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(y->against[y->againsts].text, sizeof(y->against[0].text), fmt, ap);
	va_end(ap);
	y->againsts++;
}

static void __attribute__((format(printf, 2, 3)))
change(struct why *y, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(y->against[y->againsts - 1].change, sizeof(y->against[0].change), fmt, ap);
	va_end(ap);
}

static void
against_peer_heard(const struct why_facts *w, struct why *y)
{
	const char *peer = w->peer;

	if (w->peer_role == ROLE_ACTIVE || w->facts.peer_holds != FACT_NO) {
		against(y, "%s is heard (%s) and %s the spool: nobody takes it from a node that lives", peer, role_name(w->peer_role),
		    w->facts.peer_holds == FACT_YES ? "holds" : "may hold");
		change(y, "%s hands over ('mailpair switchover'), or it is silent and then proven gone", peer);
	} else {
		against(y, "%s is heard (%s) and holds nothing, so this node owns only when %s agrees", peer, role_name(w->peer_role),
		    peer);
		change(y, "%s agrees by itself, or owns itself; if neither happens, see 'mailpair why' there", peer);
	}
}

/* There is no proof that the peer is gone: as far as that is known, why not. */
static void
against_peer(const struct why_facts *w, struct why *y)
{
	const char *peer = w->peer;

	if (w->heard) {
		against_peer_heard(w, y);
	} else if (w->left) {
		against(y, "%s said goodbye; what it said last is not enough to own without it", peer);
		change(y, "start mailpaird on %s; or, where it is certainly powered off: mailpair confirm-dead %s", peer, peer);
	} else if (w->fencing) {
		against(y, "%s is being powered off at this moment: there is no proof before the fence device answers", peer);
		change(y, "the fence device says that %s is off", peer);
	} else if (!w->silent) {
		against(y, "%s is %s, but not yet silent for long enough to be asked about or powered off", peer,
		    view_name(w->facts.peer_view));
		change(y, "it is heard, or its time is over (deadtime; initdead where it was never heard)");
	} else {
		against(y, "%s is silent on every link, and silence is no proof that it is gone%s%s", peer,
		    w->fence_text[0] != '\0' ? ": " : "", w->fence_text);
		change(y, w->facts.can_fence ? "its fence device says that it is off; or, where it is certainly powered off: "
		    "mailpair confirm-dead %s" : "look at it; where it is certainly powered off: mailpair confirm-dead %s", peer);
	}
}

static void
against_maintenance(const struct why_facts *w, struct why *y)
{
	const char *where = w->maintenance_there && w->maintenance_here ? "both nodes" : w->maintenance_there ? w->peer : w->node;

	against(y, "maintenance is on (set on %s): nothing is moved, restarted or fenced", where);
	change(y, "'mailpair maintenance off' on %s", where);
}

static void
against_failed(const struct why_facts *w, struct why *y)
{
	against(y, "the service failed on %s%s%s", w->node, w->last_error[0] != '\0' ? ": " : "", w->last_error);
	if (w->failed_for_good)
		change(y, "mend what failed, then 'mailpair online' on %s", w->node);
	else
		change(y, "mend what failed; the next try is made by itself in a moment");
}

static void
against_need(const struct why_facts *w, enum why_need need, struct why *y)
{
	switch (need) {
	case WHY_ONLINE:
		against(y, "%s is kept from owning by the operator (standby)", w->node);
		change(y, "'mailpair online' on %s", w->node);
		break;
	case WHY_NOT_FAILED:
		against_failed(w, y);
		break;
	case WHY_NO_MAINTENANCE:
		against_maintenance(w, y);
		break;
	case WHY_HEALTHY:
		against(y, "%s could not run the service now%s%s", w->node, w->unwell[0] != '\0' ? ": " : "", w->unwell);
		change(y, "mend it; it is looked at again by itself (and with %s proven gone it is tried all the same)", w->peer);
		break;
	case WHY_PEER_GONE:
		against_peer(w, y);
		break;
	case WHY_AUTOMATIC:
		against(y, "automatic takeover is off in the configuration: a person decides");
		change(y, "'mailpair fence %s --off' or 'mailpair confirm-dead %s' when it has failed; or takeover { automatic = true }",
		    w->peer, w->peer);
		break;
	case WHY_CAN_FENCE:
		against(y, "no fence device for %s is configured, so nothing on this node can prove that it is off", w->peer);
		change(y, "a fence section for %s; until then, where it is certainly powered off: mailpair confirm-dead %s", w->peer,
		    w->peer);
		break;
	case WHY_ELECTED:
		against(y, "nobody owns the spool, and of the two nodes it is the turn of %s", w->peer);
		change(y, "%s owns, or is not able to: then it is the turn of %s", w->peer, w->node);
		break;
	case WHY_PEER_CAN_TAKE:
		against(y, "%s", w->peer_cannot[0] != '\0' ? w->peer_cannot : "the peer could not take the spool");
		change(y, "%s is heard, standby and well, with the same configuration", w->peer);
		break;
	case WHY_NOT_DOUBTFUL:
		against(y, "%s stood still itself, and its ownership is in doubt until %s is heard or proven gone", w->node, w->peer);
		change(y, "restore a link to %s, or confirm that it is dead", w->peer);
		break;
	case WHY_DISKS:
		against(y, "%s could not begin to own: %s", w->node, w->disks[0] != '\0' ? w->disks : "a disk does not answer");
		change(y, "the disk answers again: it is tried all the time");
		break;
	case WHY_STALLS_LEFT:
		against(y, "%s has given way to the disk of the spool several times in a row, and %s did no better", w->node, w->peer);
		change(y, "mend the storage; one that works for long enough ends this, or 'mailpair online' on %s", w->node);
		break;
	case WHY_PEER_CAN_FENCE:
		against(y, "the disk of the spool hangs, so %s could not let go, and %s could not power it off", w->node, w->peer);
		change(y, "the disk answers; or the fence devices of %s answer to %s, and takeover is automatic", w->node, w->peer);
		break;
	case WHY_COUNT:
		break;
	}
}

/* What the role itself says, before any guard is asked. True: nothing else matters now. */
static bool
against_role(const struct why_facts *w, struct why *y)
{
	switch (w->role) {
	case ROLE_JOINING:
		against(y, w->looked ? "%s has just started: it listens for %s first" :
		    "it is not known yet what %s holds%.0s", w->node, w->peer);
		change(y, w->looked ? "%s is heard, or initdead is over" : "the storage answers; see 'mailpair status'%.0s", w->peer);
		return false;
	case ROLE_STOPPED:
		if (w->facts.online && !w->facts.gave_up) {
			against(y, "%s is stopped", w->node);
			change(y, "'mailpair online' on %s", w->node);
		}
		return false;
	case ROLE_FAILED:
		against(y, "%s still holds something of the spool that it cannot let go%s%s", w->node,
		    w->last_error[0] != '\0' ? ": " : "", w->last_error);
		change(y, "stop what is named, unmount the spool, then 'mailpair online' on %s", w->node);
		return true;
	case ROLE_ACQUIRING:
	case ROLE_RELEASING:
		return true;
	case ROLE_STANDBY:
	case ROLE_ACTIVE:
	case ROLE_COUNT:
		break;
	}
	return false;
}

static void
ask(const struct why_facts *w, struct why *y)
{
	const char *node = w->node, *peer = w->peer;

	switch (w->role) {
	case ROLE_ACTIVE:
		snprintf(y->question, sizeof(y->question), "What stands against handing over to %s", peer);
		if (w->facts.spool == FACT_NO)
			snprintf(y->nothing, sizeof(y->nothing), "nothing: when its disk has not answered for %u s, %s takes over",
			    (unsigned int)w->stall_s, peer);
		else
			snprintf(y->nothing, sizeof(y->nothing), "nothing: 'mailpair switchover' would move it to %s", peer);
		break;
	case ROLE_ACQUIRING:
		snprintf(y->question, sizeof(y->question), "What stands against %s owning the spool", node);
		snprintf(y->nothing, sizeof(y->nothing), "nothing: it is being taken now");
		break;
	case ROLE_RELEASING:
		snprintf(y->question, sizeof(y->question), "What stands against letting the spool go");
		snprintf(y->nothing, sizeof(y->nothing), "nothing: it is being let go now");
		break;
	case ROLE_JOINING:
	case ROLE_STANDBY:
	case ROLE_STOPPED:
	case ROLE_FAILED:
	case ROLE_COUNT:
		snprintf(y->question, sizeof(y->question), "What stands against %s taking the spool", node);
		snprintf(y->nothing, sizeof(y->nothing), "nothing: it is taken at the next look");
		break;
	}
}

static void
because(const struct why_facts *w, struct why *y)
{
	const struct why_entered *e = &w->entered;

	if (e->row == NULL) {
		snprintf(y->because, sizeof(y->because), "mailpaird has just started there: it looks at what is held, then listens for %s",
		    w->peer);
		return;
	}
	snprintf(y->because, sizeof(y->because), "%s -> %s (%s): %s%s%s%s%s", role_name(e->from), role_name(w->role),
	    fsm_event_name(e->on), e->row->why, e->kind[0] != '\0' ? "; by " : "", e->kind, e->reason[0] != '\0' ? ": " : "",
	    e->reason);
}

void
why_explain(const struct why_facts *w, const char *since, struct why *ret)
{
	unsigned int missing = all_missing(w);
	bool over;

	memset(ret, 0, sizeof(*ret));
	snprintf(ret->since, sizeof(ret->since), "%s", w->entered.row != NULL ? since : "");
	because(w, ret);
	ask(w, ret);
	over = against_role(w, ret);
	for (int n = 0; n < WHY_COUNT && !over; n++) {
		if ((missing & 1u << n) != 0)
			against_need(w, (enum why_need)n, ret);
	}
}

/* ---------------------------------------------------------------- printing */

static void __attribute__((format(printf, 4, 5)))
add(char *buf, size_t size, size_t *len, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(*len < size ? buf + *len : NULL, *len < size ? size - *len : 0, fmt, ap);
	va_end(ap);
	if (n > 0)
		*len += (size_t)n;
}

size_t
why_text(const struct why_facts *w, const struct why *y, char *buf, size_t size)
{
	size_t len = 0;

	add(buf, size, &len, "%s is %s%s%s", w->node, role_name(w->role), y->since[0] != '\0' ? " since " : "", y->since);
	add(buf, size, &len, w->role == ROLE_ACTIVE ? ", tenure %" PRIu64 "\n" : "; newest tenure known: %" PRIu64 "\n", w->tenure);
	add(buf, size, &len, "  because  %s\n", y->because);
	if (w->proof != PROOF_NONE)
		add(buf, size, &len, "  proof    %s: %s\n", proof_name(w->proof), w->proof_text);
	if (w->disks[0] != '\0')
		add(buf, size, &len, "  disk     %s\n", w->disks);
	add(buf, size, &len, "%s:\n", y->question);
	if (y->againsts == 0)
		add(buf, size, &len, "  %s\n", y->nothing);
	for (size_t i = 0; i < y->againsts; i++)
		add(buf, size, &len, "  - %s\n    changed by: %s\n", y->against[i].text, y->against[i].change);
	return len;
}

size_t
why_json(const struct why_facts *w, const struct why *y, char *buf, size_t size)
{
	struct json j;

	json_init(&j, buf, size);
	json_object(&j, NULL);
	json_string(&j, "node", w->node);
	json_string(&j, "role", role_name(w->role));
	json_string(&j, "since", y->since[0] != '\0' ? y->since : NULL);
	json_uint(&j, "tenure", w->tenure);
	json_string(&j, "because", y->because);
	json_string(&j, "proof", w->proof != PROOF_NONE ? w->proof_text : NULL);
	json_string(&j, "disk", w->disks[0] != '\0' ? w->disks : NULL);
	json_string(&j, "question", y->question);
	json_array(&j, "against");
	for (size_t i = 0; i < y->againsts; i++)
		json_string(&j, NULL, y->against[i].text);
	json_array_end(&j);
	json_array(&j, "would_change");
	for (size_t i = 0; i < y->againsts; i++)
		json_string(&j, NULL, y->against[i].change);
	json_array_end(&j);
	json_object_end(&j);
	return json_finish(&j);
}
