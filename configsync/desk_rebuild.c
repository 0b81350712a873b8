/*
 * configsync/desk_rebuild.c - after an installation: tables are made of their sources, services read their configuration anew. One worker at
 * a time; what comes meanwhile waits and goes together.
 */
#include "configsync/desk_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "configsync/rebuild.h"

#define PROBLEM "not-rebuilt"
#define AGAIN_MS 5000u		/* after a failure, doubled ... */
#define AGAIN_MAX_MS 600000u	/* ... up to this */

/* Changed paths and what verify found to be made of them. Texts are ours. */
struct rebuilding {
	char			**path;
	size_t			 paths;
	struct verify_dump	*dump;
	size_t			 dumps;
};

/* Of a set that was found valid, until its job is installed or cancelled. */
struct dumped { struct dumped *next; uint64_t job; struct verify_dump *dump; size_t dumps; };

static void
clear(struct rebuilding *r)
{
	while (r->paths > 0)
		free(r->path[--r->paths]);
	free(r->path);
	free(r->dump);
	*r = (struct rebuilding){ 0 };
}

static struct verify_dump *
dump_of(const struct rebuilding *r, const struct verify_dump *table)
{
	for (size_t i = 0; i < r->dumps; i++)
		if (strcmp(r->dump[i].path, table->path) == 0 && strcmp(r->dump[i].type, table->type) == 0)
			return &r->dump[i];
	return NULL;
}

/* A table is made of its source as it was checked last. */
static void
add_dumps(struct rebuilding *r, const struct verify_dump *dump, size_t n, bool newer)
{
	for (size_t i = 0; i < n; i++) {
		struct verify_dump *same = dump_of(r, &dump[i]);

		if (same != NULL) {
			if (newer)
				*same = dump[i];
			continue;
		}
		r->dump = realloc(r->dump, (r->dumps + 1) * sizeof *r->dump);
		if (r->dump == NULL)
			abort();
		r->dump[r->dumps++] = dump[i];
	}
}

static void
add_path(struct rebuilding *r, const char *path)
{
	r->path = realloc(r->path, (r->paths + 1) * sizeof *r->path);
	if (r->path == NULL || (r->path[r->paths] = strdup(path)) == NULL)
		abort();
	r->paths++;
}

/* ---------------------------------------------------------------- what a check has found */

void
desk_dumps(struct desk *d, uint64_t job, const struct verify_dump *dump, size_t n)
{
	struct dumped *one;

	if (n == 0)
		return;
	one = desk_alloc(sizeof *one);
	*one = (struct dumped){ .next = d->dumped, .job = job, .dump = desk_alloc(n * sizeof *dump), .dumps = n };
	memcpy(one->dump, dump, n * sizeof *dump);
	d->dumped = one;
}

void
desk_dumps_forget(struct desk *d, uint64_t job)
{
	struct dumped **at = &d->dumped;

	while (*at != NULL) {
		struct dumped *one = *at;

		if (one->job != job && job != 0) {
			at = &one->next;
			continue;
		}
		*at = one->next;
		free(one->dump);
		free(one);
	}
}

/* ---------------------------------------------------------------- doing it */

static void begin(struct desk *);

static void
begin_again(void *arg)
{
	begin(arg);
}

/* What failed goes along with what comes next, or alone after a while. */
static void
try_again(struct desk *d)
{
	struct rebuilding *failed = d->rebuilding, *next = d->to_rebuild;

	add_dumps(next, failed->dump, failed->dumps, false);
	for (size_t i = 0; i < failed->paths; i++)
		add_path(next, failed->path[i]);
	d->rebuild_after_ms = d->rebuild_after_ms == 0 ? AGAIN_MS : 2 * d->rebuild_after_ms < AGAIN_MAX_MS ? 2 * d->rebuild_after_ms : AGAIN_MAX_MS;
	loop_timer_in(d->rebuild_timer, d->rebuild_after_ms);
}

static void
rebuilt(void *arg, const struct rebuild_result *r)
{
	struct desk *d = arg;
	bool more = d->to_rebuild->paths > 0 || d->to_rebuild->dumps > 0;

	d->rebuild = NULL;
	if (r->ok)
		d->rebuild_after_ms = 0;
	else
		try_again(d);
	clear(d->rebuilding);
	if (r->notes[0] != '\0')
		log_info("%s", r->notes);
	if (!r->ok)
		log_warnx("not everything was made anew and reloaded, it is tried again in %u s: %s", d->rebuild_after_ms / 1000, r->why);
	core_problem(d->core, PROBLEM, "", r->ok ? NULL : r->why, clock_wall_ms());
	if (more)
		begin(d);
	desk_work(d);
}

static void
begin(struct desk *d)
{
	struct rebuilding swap;

	if (d->rebuild != NULL || (d->to_rebuild->paths == 0 && d->to_rebuild->dumps == 0))
		return;
	swap = *d->rebuilding;
	*d->rebuilding = *d->to_rebuild;
	*d->to_rebuild = swap;
	*d->rebuild_job = (struct rebuild_job){ .root = d->root_path, .path = (const char *const *)d->rebuilding->path, .paths = d->rebuilding->paths,
		.dump = d->rebuilding->dump, .dumps = d->rebuilding->dumps, .tree = d->setup->tree, .trees = d->setup->trees,
		.deadline_ms = d->conf->sync.reload_ms };
	if (rebuild_needed(d->rebuild_job))	/* not for each edited file a process of this one's size */
		d->rebuild = rebuild_start(d->loop, d->rebuild_job, rebuilt, d);
	else
		clear(d->rebuilding);
}

static void
prepare(struct desk *d)
{
	if (d->to_rebuild == NULL) {
		d->to_rebuild = desk_alloc(sizeof *d->to_rebuild);
		d->rebuilding = desk_alloc(sizeof *d->rebuilding);
		d->rebuild_job = desk_alloc(sizeof *d->rebuild_job);
		d->rebuild_timer = loop_timer_new(d->loop, begin_again, d);
	}
}

void
desk_rebuild(struct desk *d, uint64_t job, const struct change *change, size_t n)
{
	prepare(d);
	for (const struct dumped *one = d->dumped; one != NULL; one = one->next)
		if (one->job == job)
			add_dumps(d->to_rebuild, one->dump, one->dumps, true);
	for (size_t i = 0; i < n; i++)
		if (job == 0 || !desk_is_own(d, change[i].path))	/* our own file is read when both nodes have it: desk_rules.c */
			add_path(d->to_rebuild, change[i].path);
	desk_dumps_forget(d, job);
	begin(d);
}

/* The one that runs, perhaps the very command that made us read the configuration, goes on with what it began with. */
void
desk_rebuild_rules(struct desk *d)
{
	if (d->rebuild_job == NULL)
		return;
	d->rebuild_job->tree = d->setup->tree;
	d->rebuild_job->trees = d->setup->trees;
}

void
desk_rebuild_forget(struct desk *d)
{
	if (d->rebuild != NULL)
		rebuild_forget(d->rebuild);
	d->rebuild = NULL;
	desk_dumps_forget(d, 0);
	if (d->to_rebuild == NULL)
		return;
	clear(d->to_rebuild);
	clear(d->rebuilding);
	free(d->to_rebuild);
	free(d->rebuilding);
	free(d->rebuild_job);
	loop_timer_free(d->rebuild_timer);
	d->rebuild_timer = NULL;
	d->rebuild_after_ms = 0;
	core_problem(d->core, PROBLEM, "", NULL, clock_wall_ms());
	d->to_rebuild = d->rebuilding = NULL;
	d->rebuild_job = NULL;
}
