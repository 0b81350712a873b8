/*
 * configsync/desk_work.c - what the core asks for is done in its order. Each thing may be an event for it again.
 */
#include "configsync/desk_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"

#define DUE_MS 20
#define QUIET_MS 5000

void *
desk_alloc(size_t size)
{
	void *p = calloc(1, size > 0 ? size : 1);

	if (p == NULL)
		abort();
	return p;
}

struct core_origin
desk_origin(struct desk *d, enum store_cause cause, const char *why)
{
	struct core_origin o = { .cause = cause, .wall_ms = clock_wall_ms() };

	store_new_name(o.name);
	snprintf(o.node, sizeof o.node, "%s", d->conf->node[d->self]);
	snprintf(o.why, sizeof o.why, "%s", why);
	return o;
}

static void
look_again(struct desk *d, const struct core_looked *looked, size_t n)
{
	struct core_origin origin = desk_origin(d, d->scanned ? STORE_EDIT : STORE_FOUND, "");
	struct scan_path *look;

	if (n == 0) {
		desk_scan(d, "what was read did not fit together");
		return;
	}
	look = desk_alloc(n * sizeof *look);
	for (size_t i = 0; i < n; i++)
		look[i] = (struct scan_path){ looked[i].path, looked[i].below };
	desk_look(d, look, n, &origin);
	free(look);
}

static void
act(struct desk *d, const struct core_action *a)
{
	switch (a->type) {
	case CORE_SEND:
		desk_send(d, &a->wire);
		break;
	case CORE_DROP:
		desk_drop(d, a->text);
		break;
	case CORE_RESCAN:
		look_again(d, a->looked, a->looks);
		break;
	case CORE_NEED:
		desk_need(d, a->entry);
		break;
	case CORE_VERIFY:
		desk_verify(d, &a->job);
		break;
	case CORE_INSTALL:
		desk_install(d, &a->job);
		awake_installed(&d->awake, clock_mono_us());
		break;
	case CORE_CANCEL:
		desk_cancel(d, a->job.id);
		break;
	case CORE_STORE:
		desk_keep(d, a);
		desk_rules_common(d, a);
		break;
	case CORE_DISPUTE:
		desk_keep(d, a);
		break;
	}
}

void
desk_work(struct desk *d)
{
	const struct core_action *a;

	if (d->working || d->core == NULL)
		return;
	d->working = true;
	while ((a = core_action_next(d->core)) != NULL) {
		if (a->type != CORE_NEED)
			desk_need_end(d);
		act(d, a);
	}
	desk_need_end(d);
	desk_meet_say(d);
	desk_want_ask(d);
	desk_forget_read(d);
	if (d->placing == NULL && !desk_wants(d))
		desk_lately_over(d);
	d->working = false;
	if (!d->due_asked)		/* it looks at all that is under way: not after each of many events */
		loop_timer_in(d->core_timer, DUE_MS);
	d->due_asked = true;
	loop_timer_in(d->quiet_timer, QUIET_MS);
	desk_say(d);
}
