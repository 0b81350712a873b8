/*
 * supervisor/whatif_words.c - the words of "mailpair whatif": which facts each changes, and which event it is. Pure. Refusals
 * that engine_ops.c makes before an event is offered are made here in the same cases.
 */
#include "supervisor/whatif_priv.h"

#include <stdio.h>
#include <string.h>

/* ---------------------------------------------------------------- the peer */

static void
peer_unheard(struct whatif_world *w)
{
	w->heard = w->agreed = false;
	w->facts.peer_can_take = FACT_NO;
	w->facts.peer_newer = w->facts.peer_holds = FACT_UNKNOWN;
	w->facts.claim_wins = FACT_NO;
	if (w->facts.peer_gone != FACT_YES)
		w->facts.peer_gone = FACT_UNKNOWN;
	for (size_t i = 0; i < w->links; i++)
		w->link_up[i] = false;
}

static void
go_late(struct whatif_run *r)
{
	struct whatif_world *w = &r->w;

	if (!w->heard || w->facts.peer_view == VIEW_LATE)
		return;
	w->facts.peer_view = VIEW_LATE;
	whatif_offer(r, r->word, EV_PEER_LATE);
	whatif_settle(r);
}

/* Late comes first, and may already bring the proof. */
static void
go_silent(struct whatif_run *r)
{
	struct whatif_world *w = &r->w;

	if (w->left || w->facts.peer_gone == FACT_YES || w->silent) {
		peer_unheard(w);
		return;
	}
	go_late(r);
	peer_unheard(w);
	if (w->facts.peer_gone == FACT_YES)
		return;
	w->silent = true;
	w->facts.peer_view = VIEW_SILENT;
	whatif_offer(r, "it is silent for deadtime on every link", EV_PEER_SILENT);
}

/*
 * As it was when it was last heard; from its proven end it comes back holding nothing.
 */
static void
go_heard(struct whatif_run *r)
{
	struct whatif_world *w = &r->w;
	bool was_away = !w->heard, was_gone = w->facts.peer_gone == FACT_YES || w->left;

	for (size_t i = 0; i < w->links; i++)
		w->link_up[i] = true;
	w->heard = true;
	w->left = w->silent = false;
	w->power = WHATIF_NOT_SAID;
	if (was_gone || (was_away && w->peer_role == ROLE_JOINING))
		w->peer_role = ROLE_STANDBY;
	w->facts.peer_view = VIEW_ALIVE;
	w->facts.peer_gone = FACT_NO;
	w->facts.commanded = w->facts.doubtful = false;
	if (was_away) {
		w->facts.peer_holds = w->peer_role == ROLE_STANDBY || w->peer_role == ROLE_STOPPED ? FACT_NO : FACT_YES;
		w->facts.peer_newer = FACT_NO;
		w->facts.peer_can_take = w->peer_role == ROLE_STANDBY ? FACT_YES : FACT_NO;
		whatif_offer(r, r->word, EV_PEER_BACK);
	}
}

static void
do_silent(struct whatif_run *r)
{
	go_silent(r);
}

static void
do_late(struct whatif_run *r)
{
	go_late(r);
}

static void
do_leaves(struct whatif_run *r)
{
	enum fact held = r->w.heard ? r->w.facts.peer_holds : FACT_UNKNOWN;

	peer_unheard(&r->w);
	r->w.left = true;
	r->w.silent = false;
	r->w.facts.peer_view = VIEW_LEFT;
	r->w.facts.peer_holds = held == FACT_YES ? FACT_NO : held;	/* an owner lets go before it says goodbye */
	whatif_offer(r, r->word, EV_PEER_LEFT);
}

/* Its power is known to the fence device from here on; one that is silent already is asked again soon. */
static void
set_power(struct whatif_run *r, enum whatif_power power)
{
	r->w.power = power;
	r->w.last[EV_PEER_SILENT] = NULL;
}

static void
do_power_off(struct whatif_run *r)
{
	set_power(r, WHATIF_OFF);
	go_silent(r);
	/* with no hints it is asked when it is silent, and by nobody where the table does not say so */
	if (r->w.facts.peer_gone != FACT_YES && !r->w.facts.can_fence)
		whatif_note(r, "there is no fence device that could say so: silence alone proves nothing");
}

static void
do_power_on(struct whatif_run *r)
{
	set_power(r, WHATIF_ON);
	if (r->w.heard)
		whatif_note(r, "%s is heard, so nobody asks for its power now; remembered for what follows", r->w.peer);
}

static void
do_power_unknown(struct whatif_run *r)
{
	set_power(r, WHATIF_NO_ANSWER);
	if (r->w.heard)
		whatif_note(r, "%s is heard, so nobody asks for its power now; remembered for what follows", r->w.peer);
}

static void
do_agrees(struct whatif_run *r)
{
	if (!r->w.heard) {
		whatif_note(r, "%s is not heard, so it cannot agree to anything", r->w.peer);
		return;
	}
	r->w.agreed = true;
	r->w.peer_role = ROLE_STANDBY;
	r->w.facts.peer_holds = FACT_NO;
}

static void
do_asks(struct whatif_run *r)
{
	if (!r->w.heard)
		whatif_note(r, "%s is not heard, so it cannot ask for anything", r->w.peer);
	else
		whatif_offer(r, r->word, EV_PEER_ASKS_GIVE);
}

static void
do_links_down(struct whatif_run *r)
{
	go_silent(r);
}

/* ---------------------------------------------------------------- this node */

static void
do_mta_dead(struct whatif_run *r)
{
	r->w.mta_down = true;
}

static void
do_mta_dead_for_good(struct whatif_run *r)
{
	r->w.mta_down = true;
	r->w.facts.may_restart = false;
}

static void
do_interface_dead(struct whatif_run *r)
{
	r->w.interface_dead = true;
	r->w.well = FACT_NO;
}

/* For longer than timeouts { stall }; before that only status tells. */
static void
do_spool_stalled(struct whatif_run *r)
{
	struct whatif_world *w = &r->w;

	if (w->role == ROLE_ACTIVE) {
		w->spool_stalled = w->facts.spool_hangs = true;
		w->facts.spool = FACT_NO;
	} else {
		w->facts.disks = w->well = FACT_NO;
	}
}

static void
do_spool_answers(struct whatif_run *r)
{
	struct whatif_world *w = &r->w;

	w->spool_stalled = w->facts.spool_hangs = false;
	w->facts.spool = w->role == ROLE_ACTIVE ? FACT_YES : FACT_UNKNOWN;
	w->facts.disks = FACT_YES;
	w->well = FACT_YES;
	if (w->role == ROLE_FAILED)
		whatif_offer(r, r->word, EV_SPOOL_BACK);
}

static void
do_state_stalled(struct whatif_run *r)
{
	r->w.facts.disks = FACT_NO;
	if (r->w.role == ROLE_ACTIVE)
		whatif_note(r, "mail goes on: it is only told, and this node could not take over again");
}

static void
do_state_answers(struct whatif_run *r)
{
	r->w.facts.disks = FACT_YES;
}

static void
do_address_lost(struct whatif_run *r)
{
	whatif_offer(r, r->word, EV_ADDRESS_LOST);
}

static void
do_paused(struct whatif_run *r)
{
	r->w.silent = false;
	r->w.facts.doubtful = r->w.role == ROLE_ACTIVE;
	whatif_offer(r, r->word, EV_PAUSED);
}

static void
end_actions(struct whatif_run *r, bool ok)
{
	if (r->w.busy)
		whatif_end_actions(r, r->word, ok);
	else
		whatif_note(r, "no actions run at that moment");
}

static void
do_actions_succeed(struct whatif_run *r)
{
	end_actions(r, true);
}

static void
do_action_fails(struct whatif_run *r)
{
	end_actions(r, false);
}

static void
do_maintenance_on(struct whatif_run *r)
{
	r->w.facts.maintenance = true;
}

static void
do_maintenance_off(struct whatif_run *r)
{
	r->w.facts.maintenance = false;
}

static void
do_automatic_on(struct whatif_run *r)
{
	r->w.facts.automatic = true;
}

static void
do_automatic_off(struct whatif_run *r)
{
	r->w.facts.automatic = false;
}

/* ---------------------------------------------------------------- the operator */

static void
op_take(struct whatif_run *r)
{
	if (r->w.role == ROLE_STANDBY && (!r->w.heard || r->w.peer_role != ROLE_ACTIVE))
		whatif_note(r, "refused: %s is not heard as active, so there is nothing to hand over", r->w.peer);
	else
		whatif_offer(r, r->word, EV_OP_TAKE);
}

static void
op_switchover(struct whatif_run *r)
{
	if (r->w.role == ROLE_ACTIVE)
		whatif_offer(r, r->word, EV_OP_GIVE);
	else
		op_take(r);
}

static void
op_standby(struct whatif_run *r)
{
	if (r->w.role == ROLE_FAILED) {
		whatif_note(r, "refused: this node cannot let go of the spool");
		return;
	}
	r->w.facts.online = false;
	whatif_offer(r, r->word, EV_OP_STANDBY);
}

static void
op_online(struct whatif_run *r)
{
	r->w.facts.online = true;
	r->w.facts.gave_up = false;
	r->w.facts.may_restart = true;
	whatif_offer(r, r->word, EV_OP_ONLINE);
}

static void
op_leave(struct whatif_run *r)
{
	whatif_offer(r, r->word, EV_OP_LEAVE);
}

static void
op_confirm_dead(struct whatif_run *r)
{
	if (r->w.heard) {
		whatif_note(r, "refused: %s is heard right now, so it is not dead", r->w.peer);
		return;
	}
	r->w.facts.commanded = true;
	r->w.facts.peer_gone = FACT_YES;
	r->w.facts.peer_view = VIEW_FENCED;
}

static void
op_services(struct whatif_run *r, bool start)
{
	if (r->w.role == ROLE_ACTIVE)
		r->w.facts.services_stopped = !start;
	whatif_offer(r, r->word, start ? EV_OP_SERVICES_START : EV_OP_SERVICES_STOP);
}

static void
op_services_start(struct whatif_run *r)
{
	op_services(r, true);
}

static void
op_services_stop(struct whatif_run *r)
{
	op_services(r, false);
}

/* ---------------------------------------------------------------- words */

static const struct {
	const char	*words;
	void		(*apply)(struct whatif_run *);	/* NULL: takes a name, see link_word() */
} table[] = {
	{ "link NAME down", NULL }, { "link NAME up", NULL },
	{ "all links down", do_links_down }, { "all links up", go_heard },
	{ "peer silent", do_silent }, { "peer late", do_late }, { "peer heard", go_heard }, { "peer leaves", do_leaves },
	{ "peer power off", do_power_off }, { "peer power on", do_power_on }, { "peer power unknown", do_power_unknown },
	{ "peer agrees", do_agrees }, { "peer asks for the spool", do_asks },
	{ "mta dead", do_mta_dead }, { "mta dead for good", do_mta_dead_for_good },
	{ "interface dead", do_interface_dead }, { "address lost", do_address_lost }, { "node paused", do_paused },
	{ "spool stalled", do_spool_stalled }, { "spool answers", do_spool_answers },
	{ "state disk stalled", do_state_stalled }, { "state disk answers", do_state_answers },
	{ "actions succeed", do_actions_succeed }, { "action fails", do_action_fails },
	{ "maintenance on", do_maintenance_on }, { "maintenance off", do_maintenance_off },
	{ "automatic on", do_automatic_on }, { "automatic off", do_automatic_off },
	{ "operator switchover", op_switchover }, { "operator take", op_take }, { "operator standby", op_standby },
	{ "operator online", op_online }, { "operator leave", op_leave }, { "operator confirm-dead", op_confirm_dead },
	{ "operator services start", op_services_start }, { "operator services stop", op_services_stop },
};
#define WORDS (sizeof(table) / sizeof(table[0]))

const char *
whatif_word(size_t n)
{
	return n < WORDS ? table[n].words : NULL;
}

static bool
unknown(const struct whatif_run *r, struct err *err)
{
	return err_set(err, 0, "\"%.40s\" is no event that is known; these are: " WHATIF_WORDS, r->word);
}

/* One link: only the last one that goes down, and the first that comes up, mean anything. */
static bool
link_word(struct whatif_run *r, const char *name, bool up, struct err *err)
{
	struct whatif_world *w = &r->w;
	char known[256] = "", spare[CONF_NAME_MAX] = "";
	size_t len = 0, at = w->links;

	for (size_t i = 0; i < w->links; i++) {
		if (strcmp(w->link[i], name) == 0)
			at = i;
		else if (w->link_up[i])
			snprintf(spare, sizeof(spare), "%s", w->link[i]);
		if (len + 1 < sizeof(known))
			len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s", i > 0 ? ", " : "", w->link[i]);
	}
	if (at == w->links)
		return err_set(err, 0, "there is no link \"%.40s\"; the links are: %s", name, known);
	if (w->link_up[at] == up) {
		whatif_note(r, "link %s is %s already", name, up ? "up" : "down");
	} else if (!up && spare[0] == '\0') {
		go_silent(r);
	} else if (!up) {
		w->link_up[at] = false;
		whatif_note(r, "%s is still heard on %s: a spare link is lost, and nothing is decided", w->peer, spare);
	} else if (w->heard) {
		w->link_up[at] = true;
		whatif_note(r, "one more link to %s is up: nothing is decided", w->peer);
	} else {
		go_heard(r);
		for (size_t i = 0; i < w->links; i++)
			w->link_up[i] = i == at;
	}
	return true;
}

bool
whatif_apply(struct whatif_run *r, struct err *err)
{
	char name[CONF_NAME_MAX], way[8];
	int end = 0;

	for (size_t i = 0; i < WORDS; i++) {
		if (table[i].apply != NULL && strcmp(table[i].words, r->word) == 0) {
			table[i].apply(r);
			return true;
		}
	}
	if (sscanf(r->word, "link %63s %7s%n", name, way, &end) == 2 && r->word[end] == '\0' &&
	    (strcmp(way, "up") == 0 || strcmp(way, "down") == 0))
		return link_word(r, name, way[0] == 'u', err);
	return unknown(r, err);
}
