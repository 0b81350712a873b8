/*
 * supervisor/whatif.c - see whatif.h. Pure: no clock, no file, no log. Offers one event after the other as the engine would; which level
 * events are so stands in level.c, and what is decided then in the table alone. The words stand in whatif_words.c, the
 * printing in whatif_text.c.
 */
#include "supervisor/whatif_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "supervisor/level.h"

/* ---------------------------------------------------------------- steps */

static struct whatif_step *
step_new(struct whatif_run *r, const char *cause)
{
	struct whatif *out = r->out;
	struct whatif_step *s;

	if (out->steps == WHATIF_STEPS_MAX)
		out->steps--;		/* the last one is written over: more than anybody reads */
	s = &out->step[out->steps++];
	*s = (struct whatif_step){ .from = r->w.role, .to = r->w.role };
	snprintf(s->cause, sizeof(s->cause), "%s", cause);
	return s;
}

void
whatif_note(struct whatif_run *r, const char *fmt, ...)
{
	struct whatif_step *s = step_new(r, r->word);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s->note, sizeof(s->note), fmt, ap);
	va_end(ap);
}

static enum role
row_to(const struct fsm_row *row, enum role from)
{
	return row->next == FSM_SAME ? from : (enum role)row->next;
}

/* If this were answered: which row would follow? *facts are those of that world. */
static void
branch(struct whatif_step *s, enum role role, enum fsm_event on, struct facts facts, const char *answer)
{
	if (s->branches == WHATIF_BRANCHES_MAX)
		return;
	snprintf(s->branch[s->branches].answer, sizeof(s->branch[0].answer), "%s", answer);
	s->branch[s->branches].row = fsm_match(role, on, &facts);
	s->branch[s->branches].to = row_to(s->branch[s->branches].row, role);
	s->branches++;
}

static struct facts
facts_if_gone(const struct facts *now)
{
	struct facts f = *now;

	f.peer_gone = f.healthy = FACT_YES;
	f.peer_holds = FACT_UNKNOWN;
	f.peer_view = VIEW_FENCED;
	return f;
}

static void
branches_of_power(struct whatif_run *r, struct whatif_step *s, bool shoots)
{
	const struct whatif_world *w = &r->w;

	branch(s, w->role, EV_PROOF, facts_if_gone(&w->facts), shoots ? "the fence device powers it off and says so" :
	    "the fence device says that its power is off");
	branch(s, w->role, shoots ? EV_FENCE_FAILED : EV_POWER_NOT_OFF, w->facts, shoots ? "the fence device fails or does not answer" :
	    "the fence device says on, or does not answer");
}

/* ---------------------------------------------------------------- events and what follows from them */

static bool
row_has(const struct fsm_row *row, enum fsm_act act)
{
	for (int i = 0; i < FSM_ACTS_MAX && row->acts[i] != ACT_NONE; i++) {
		if (row->acts[i] == act)
			return true;
	}
	return false;
}

static bool
row_works(const struct fsm_row *row)
{
	for (int i = 0; i < FSM_ACTS_MAX && row->acts[i] != ACT_NONE; i++) {
		if (fsm_act_is_group(row->acts[i]))
			return true;
	}
	return false;
}

/* What is true as soon as a role is entered. */
static void
entered(struct whatif_world *w, enum role from)
{
	memset(w->last, 0, sizeof(w->last));
	if (w->role == ROLE_ACTIVE)
		w->facts.holds = FACT_YES;
	if (from != ROLE_RELEASING)
		return;
	w->facts.doubtful = false;
	w->mta_down = w->interface_dead = w->spool_stalled = false;
	w->facts.spool_hangs = false;
	w->facts.spool = FACT_UNKNOWN;
	if (w->role == ROLE_FAILED)
		return;
	w->facts.holds = FACT_NO;
	/* what was offered is taken by a peer that can */
	if (w->heard && w->facts.peer_can_take == FACT_YES) {
		w->peer_role = ROLE_ACTIVE;
		w->facts.peer_holds = FACT_YES;
		w->facts.peer_can_take = FACT_NO;
	}
}

static void
power_answers(struct whatif_run *r, bool shoots)
{
	struct whatif_world *w = &r->w;

	switch (w->power) {
	case WHATIF_NOT_SAID:
		break;
	case WHATIF_OFF:
	case WHATIF_ON:
		if (w->power == WHATIF_ON && !shoots) {
			whatif_offer(r, "the fence device says: on", EV_POWER_NOT_OFF);
			break;
		}
		w->facts = facts_if_gone(&w->facts);
		w->power = WHATIF_OFF;
		break;			/* the proof is a level event: it comes next */
	case WHATIF_NO_ANSWER:
		whatif_offer(r, "the fence device does not answer", shoots ? EV_FENCE_FAILED : EV_POWER_NOT_OFF);
		break;
	}
}

static void
follow(struct whatif_run *r, struct whatif_step *s, const struct fsm_row *row)
{
	struct whatif_world *w = &r->w;
	bool asks = row_has(row, ACT_ASK_POWER), shoots = row_has(row, ACT_FENCE), later = row_has(row, ACT_FENCE_LATER);

	if (row_has(row, ACT_GAVE_UP))
		w->facts.gave_up = true;
	w->busy = w->busy ? w->role == s->from || row_works(row) : row_works(row);
	if (row_works(row)) {
		branch(s, w->role, EV_DONE, w->facts, "all of it succeeds");
		branch(s, w->role, EV_ACT_FAILED, w->facts, "an action fails");
	}
	if (row_has(row, ACT_VERIFY))
		branch(s, w->role, EV_ROBBED, w->facts, "the disk shows that another kernel has mounted it meanwhile");
	if (w->power == WHATIF_NOT_SAID && (asks || shoots))
		branches_of_power(r, s, shoots);
	if (w->power == WHATIF_NOT_SAID && later)
		branch(s, w->role, EV_FENCE_DELAY_OVER, w->facts, "there is no proof when the delay is over");
	if (row_has(row, ACT_ASK_GIVE) || row_has(row, ACT_CLAIM))
		branch(s, w->role, EV_AGREED, w->facts, "the peer lets go and agrees");
	if (asks || shoots)
		power_answers(r, shoots);
	if (later && w->power != WHATIF_NOT_SAID && w->facts.peer_gone != FACT_YES)
		whatif_offer(r, "there is no proof when the delay is over", EV_FENCE_DELAY_OVER);
}

void
whatif_offer(struct whatif_run *r, const char *cause, enum fsm_event on)
{
	struct whatif_world *w = &r->w;
	const struct fsm_row *row = fsm_match(w->role, on, &w->facts);
	bool level = fsm_event_is_level(on);
	struct whatif_step *s;

	if (row_to(row, w->role) == w->role && ((level && w->last[on] == row) || (w->busy && row_works(row))))
		return;
	s = step_new(r, cause);
	s->row = row;
	s->on = on;
	s->to = row_to(row, w->role);
	if (row->intent != INTENT_NONE)
		w->facts.intent = row->intent;
	if (s->to != w->role) {
		w->role = s->to;
		entered(w, s->from);
	}
	if (level)
		w->last[on] = row;
	follow(r, s, row);
}

/* What the peer wants just now is left out: each is a word of the caller's. */
static struct level_view
look(const struct whatif_world *w)
{
	return (struct level_view){ .role = w->role, .peer_role = w->peer_role, .holds = w->facts.holds, .peer_holds = w->facts.peer_holds,
		.peer_newer = w->facts.peer_newer, .heard = w->heard, .left = w->left, .silent = w->silent,
		.proven = w->facts.peer_gone == FACT_YES, .agreed = w->agreed || (w->left && w->facts.peer_holds == FACT_NO), .busy = w->busy,
		.stalled = w->spool_stalled, .mta_down = w->mta_down && !w->facts.services_stopped, .interface_dead = w->interface_dead,
		.online = w->facts.online };
}

/* The first step of a word bears its name. What a role has no row of its own for is not worth a step. */
static void
offer_level(struct whatif_run *r, enum fsm_event on)
{
	const struct fsm_row *row = fsm_match(r->w.role, on, &r->w.facts);
	bool first = r->out->steps == r->began;

	if (row->in == IN_ANY && row->acts[0] == ACT_NONE)
		r->w.last[on] = row;
	else
		whatif_offer(r, first ? r->word : "it follows", on);
}

/* Offer what is so until nothing new follows; a table that moved in a circle would end at the number of steps. */
void
whatif_settle(struct whatif_run *r)
{
	struct whatif_world *w = &r->w;
	bool again = true;

	for (int turns = 0; again && turns < WHATIF_STEPS_MAX; turns++) {
		size_t before = r->out->steps;
		enum role role = w->role;

		w->facts.healthy = w->facts.peer_gone == FACT_YES ? FACT_YES : w->well;
		for (size_t i = 0; i < level_count && w->role == role; i++) {
			struct level_view v = look(w);

			if (level_so(&levels[i], &v) == FACT_YES)
				offer_level(r, levels[i].on);
			else
				w->last[levels[i].on] = NULL;
		}
		again = r->out->steps != before && r->out->steps < WHATIF_STEPS_MAX;
	}
}

void
whatif_end_actions(struct whatif_run *r, const char *cause, bool ok)
{
	struct whatif_world *w = &r->w;

	w->busy = false;
	if (ok && w->role == ROLE_ACTIVE)
		w->mta_down = false;
	if (w->role == ROLE_ACQUIRING)
		w->agreed = false;
	whatif_offer(r, cause, ok ? EV_DONE : EV_ACT_FAILED);
	whatif_settle(r);
}

/* What stands at the beginning was told already. */
static void
prime(struct whatif_world *w)
{
	struct level_view v = look(w);

	memset(w->last, 0, sizeof(w->last));
	for (size_t i = 0; i < level_count; i++) {
		if (level_so(&levels[i], &v) == FACT_YES)
			w->last[levels[i].on] = fsm_match(w->role, levels[i].on, &w->facts);
	}
}

bool
whatif_run(const struct whatif_world *world, const char *events, struct whatif *ret, struct err *err)
{
	struct whatif_run r = { .w = *world, .out = ret };

	memset(ret, 0, sizeof(*ret));
	ret->from = ret->to = world->role;
	prime(&r.w);
	while (*events != '\0') {
		size_t len = strcspn(events, ";");
		int from = (int)strspn(events, " \t");

		if ((size_t)from < len) {
			snprintf(r.word, sizeof(r.word), "%.*s", (int)len - from, events + from);
			while (r.word[0] != '\0' && r.word[strlen(r.word) - 1] == ' ')
				r.word[strlen(r.word) - 1] = '\0';
			if (r.w.busy && strncmp(r.word, "action", 6) != 0)
				whatif_end_actions(&r, "assumed: the actions before succeed", true);
			r.began = ret->steps;
			if (!whatif_apply(&r, err))
				return false;
			whatif_settle(&r);
			if (ret->steps == r.began)
				whatif_note(&r, "nothing is decided: it changes nothing for this node now");
		}
		events += len + (events[len] == ';');
	}
	ret->to = r.w.role;
	return true;
}
