/*
 * configsync/desk.c - the running mailpair-config: begin, signals, a new configuration, end.
 */
#include "configsync/desk.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "configsync/desk_priv.h"
#include "configsync/view.h"

static struct core_options
core_options(const struct desk *d)
{
	struct core_options o = { .self = d->conf->node[d->self], .peer = d->conf->node[!d->self], .both_write = d->conf->sync.writers == CONF_WRITERS_BOTH,
		.scope = d->scope, .sets = &d->setup->sets };

	digest_random(&o.epoch, sizeof o.epoch);
	setup_digest(d->conf, d->setup, o.scope_digest);
	return o;
}

static void
core_is_due(void *arg)
{
	struct desk *d = arg;
	uint64_t due, now = clock_mono_ms();

	d->due_asked = false;
	if (!core_due(d->core, &due))
		return;
	if (due > now) {
		loop_timer_at(d->core_timer, due);
		return;
	}
	core_tick(d->core, now, clock_wall_ms());
	desk_work(d);
}

static void
is_quiet(void *arg)
{
	struct desk *d = arg;
	struct core_status st;

	core_status(d->core, &st);
	if (st.jobs == 0)
		desk_along_clear(d);	/* of versions that are not taken */
	memory_give_back();
}

/* The core is kept: what it knows of the trees stays true. */
bool
desk_adopt(struct desk *d, struct conf *conf, struct setup *setup, struct scope *scope)
{
	struct desk_disks disks = { 0 };
	struct core_options o;
	struct err err;

	desk_unwatch(d);
	desk_disconnect(d);
	desk_roll_forget(d, "the configuration is read anew");
	desk_place_disks(d, &disks);
	desk_cancel_all(d);
	desk_disks_sync(&disks);	/* what a worker has put in place will be found, and said to the peer */
	ctl_free(d->ctl);
	d->ctl = NULL;
	setup_free(d->setup);
	scope_free(d->scope);
	conf_free(d->conf);
	d->conf = conf;
	d->setup = setup;
	d->scope = scope;
	desk_rebuild_rules(d);
	o = core_options(d);
	desk_keep_all(d);
	core_rules(d->core, &o, clock_mono_ms());
	desk_load_common(d);	/* what is carried again had a common version before; without it, it may be a conflict */
	core_link(d->core, false, clock_mono_ms());
	if (!desk_answer(d, &err) || !desk_connect(d, &err)) {
		log_err("%s", err.text);
		d->status = 2;
		loop_stop(d->loop);
		return false;
	}
	desk_watch(d);		/* its first word is to read everything */
	log_info("the new configuration is in force");
	return true;
}

static void
stop(int signo, void *arg)
{
	(void)signo;
	loop_stop(((struct desk *)arg)->loop);
}

static void
again(int signo, void *arg)
{
	(void)signo;
	desk_reload(arg);
}

static bool
begin(struct desk *d, struct err *err)
{
	char work[PATH_MAX], root[PATH_MAX];
	struct core_options o;

	desk_tables_begin(d);
	d->root = open(d->how->root != NULL ? d->how->root : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->root == -1)
		return err_set(err, errno, "%s cannot be opened: %s", d->how->root, strerror(errno));
	if (d->how->root != NULL && realpath(d->how->root, root) != NULL && strcmp(root, "/") != 0)
		snprintf(d->root_path, sizeof d->root_path, "%s", root);
	d->self = d->conf->self;
	d->names = names_new();
	if (!desk_open_store(d))
		return err_set(err, 0, "without the store nothing is begun");
	desk_rules_begin(d);
	desk_spare_begin(d);
	d->core_timer = loop_timer_new(d->loop, core_is_due, d);
	d->quiet_timer = loop_timer_new(d->loop, is_quiet, d);
	o = core_options(d);
	d->core = core_new(&o);
	snprintf(work, sizeof work, "%s/config.work", d->conf->state_dir);
	if (!view_remove(work, err))		/* of an earlier run */
		return false;
	desk_watch(d);		/* before there is much in memory: its process begins as a copy of this one */
	if (!desk_load_common(d))
		return err_set(err, 0, "without the store nothing is begun");
	if (!desk_answer(d, err) || !desk_connect(d, err))
		return false;
	core_role(d->core, d->role, 0, clock_mono_ms());
	desk_rules_say(d);
	return true;
}

static void
end(struct desk *d)
{
	desk_deaf(d);
	desk_alert_end(d);
	desk_unwatch(d);
	desk_disconnect(d);
	desk_roll_forget(d, "the program ends");
	desk_cancel_all(d);
	desk_rebuild_forget(d);
	desk_tables_end(d);
	ctl_free(d->ctl);
	if (d->store != NULL)
		desk_keep_end(d);
	desk_spare_end(d);
	store_close(d->store);
	intent_close(d->intent);
	spool_close(d->spool);
	core_free(d->core);
	names_free(d->names);
	loop_timer_free(d->core_timer);
	loop_timer_free(d->quiet_timer);
	loop_timer_free(d->settle_timer);
	loop_timer_free(d->full_timer);
	loop_timer_free(d->watch_timer);
	loop_timer_free(d->unsettled_timer);
	loop_timer_free(d->meet_timer);
	loop_timer_free(d->awake_timer);
	loop_timer_free(d->take_timer);
	loop_timer_free(d->keep_timer);
	loop_timer_free(d->rest_timer);
	loop_timer_free(d->prune_timer);
	loop_timer_free(d->say_timer);
	loop_timer_free(d->rules_timer);
	if (d->root != -1)
		close(d->root);
	setup_free(d->setup);
	scope_free(d->scope);
	conf_free(d->conf);
}

int
desk_run(const struct desk_setup *how)
{
	static struct desk d;
	struct loop_signal *term, *interrupt, *hup;
	struct err err;

	d = (struct desk){ .how = how, .root = -1 };
	if (!desk_rules_read(&d))
		return 2;
	umask(077);
	memory_one_reserve();
	d.loop = loop_new();
	term = loop_signal_new(d.loop, SIGTERM, stop, &d);
	interrupt = loop_signal_new(d.loop, SIGINT, stop, &d);
	hup = loop_signal_new(d.loop, SIGHUP, again, &d);
	if (begin(&d, &err)) {
		desk_hear(&d);
		desk_work(&d);
		loop_run(d.loop);
	} else {
		log_err("%s", err.text);
		d.status = 2;
	}
	end(&d);
	loop_signal_free(term);
	loop_signal_free(interrupt);
	loop_signal_free(hup);
	loop_free(d.loop);
	return d.status;
}
