/*
 * configsync/rebuild.c - carries the plan out in a worker, and gathers what it reports.
 */
#include "configsync/rebuild.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/spawn.h"
#include "configsync/arena.h"
#include "configsync/derived.h"
#include "configsync/rebuild_parts.h"
#include "configsync/view.h"

#define RUNNING_MAX 32
#define AFTER_MS 1000u		/* the worker ends itself before it is ended, and can say what it was at */

struct rebuild {
	const struct rebuild_job *job;
	struct spawn		*spawn;
	uint32_t		 deadline_ms;
	rebuild_done_f		*done;
	void			*arg;
};

/* ---------------------------------------------------------------- in the worker */

int
work_run(struct work *w, const char *const *argv, struct err *why)
{
	uint64_t now = clock_mono_ms();
	const char *said;
	size_t len;
	int status;

	w->err[0] = '\0';
	if (now >= w->until_ms) {
		err_set(why, ETIMEDOUT, "%s was not begun", argv[0]);
		return -1;
	}
	status = spawn_run(&(struct spawn_cmd){ .argv = argv }, (uint32_t)(w->until_ms - now), w->out, sizeof w->out, w->err, sizeof w->err, why);
	if (status <= 0)
		return status;
	said = w->err[0] != '\0' ? w->err : w->out;
	len = strcspn(said, "\n");
	err_set(why, 0, "%s: %.*s (status %d)", strcmp(argv[0], "/bin/sh") == 0 && argv[3] != NULL ? argv[3] : argv[0], len > 300 ? 300 : (int)len,
	    said, status);
	return status;
}

/* Beside qmail's control files and users are its programs; what this node does not have it does not need. */
static bool
do_program(struct work *w, const struct rebuild_step *s, struct err *err)
{
	char path[600];
	const char *const argv[] = { path, NULL };

	snprintf(path, sizeof path, "%s/var/qmail/bin/%s", w->at, s->program);
	if (access(path, X_OK) == -1)
		return err_set(err, errno, "/%s was changed, and its table cannot be made: %s", s->source, path);
	return work_run(w, argv, err) == 0 && work_compare(w, s, err);
}

/* Of what is gone nothing can be made: the table stays until it is taken away as well. */
static bool
is_gone(const struct work *w, const struct rebuild_step *s)
{
	return s->kind == REBUILD_PROGRAM && faccessat(w->root, s->source, F_OK, 0) == -1 && errno == ENOENT;
}

static bool
do_step(struct work *w, const struct rebuild_step *s, struct err *err)
{
	char config[800];
	const char *const reload[] = { "postfix", "-c", config, "reload", NULL };
	const char *const command[] = { "/bin/sh", "-c", s->command, NULL };

	switch (s->kind) {
	case REBUILD_MAKE:
		return work_table(w, s, err);
	case REBUILD_PROGRAM:
		return do_program(w, s, err);
	case REBUILD_POSTFIX_RELOAD:
		snprintf(config, sizeof config, "%s/%s", w->at, s->config);
		return work_run(w, reload, err) == 0;
	case REBUILD_HANGUP:
		return kill(s->pid, SIGHUP) == 0 || err_set(err, errno, "%s (process %d) could not be told to read its files anew",
		    rebuild_service_word(s->service), (int)s->pid);
	case REBUILD_COMMAND:
		return work_run(w, command, err) == 0;
	}
	return err_set(err, 0, "a step of no kind");
}

static void
say_done(struct work *w, const struct rebuild_step *s)
{
	switch (s->kind) {
	case REBUILD_MAKE:
		spawn_say(w->report, "made", "/%s%s by %s", s->source, rebuild_suffix(s->type, 0), s->program);
		break;
	case REBUILD_PROGRAM:
		spawn_say(w->report, "made", "the table of /%s by %s", s->source, s->program);
		break;
	case REBUILD_POSTFIX_RELOAD:
		spawn_say(w->report, "reloaded", "Postfix of /%s", s->config);
		break;
	case REBUILD_HANGUP:
		spawn_say(w->report, "reloaded", "%s, process %d", rebuild_service_word(s->service), (int)s->pid);
		break;
	case REBUILD_COMMAND:
		spawn_say(w->report, "reloaded", "by: %s", s->command);
		break;
	}
}

/*
 * The aliases and main.cf, which names the format of their table, are two sets: when they come at once, each is checked where the other one is not
 * there yet, and no table would be made.
 */
static void
add_aliases(struct work *w, struct rebuild_job *job)
{
	const struct view view = { .root = w->at[0] == '\0' ? "/" : w->at };
	struct verify_dump *dump = need(calloc(job->dumps + 2, sizeof *dump));
	size_t len, n = job->dumps;
	char *main_cf = view_read(&view, "etc/postfix/main.cf", &len, NULL), table[64];
	const char *source, *type;

	if (n > 0)
		memcpy(dump, job->dump, n * sizeof *dump);
	for (size_t i = 0; main_cf != NULL && (source = rebuild_aliases(w->job, &i)) != NULL;) {
		if ((type = derived_type(main_cf, source)) == NULL || faccessat(w->root, source, F_OK, 0) == -1)
			continue;
		snprintf(table, sizeof table, "%s%s", source, rebuild_suffix(type, 0));
		if (faccessat(w->root, table, F_OK, 0) == 0)
			continue;
		snprintf(dump[n].path, sizeof dump[n].path, "%s", source);
		snprintf(dump[n].type, sizeof dump[n].type, "%s", type);
		n++;
	}
	free(main_cf);
	job->dump = dump;
	job->dumps = n;
}

/* One that fails does not keep the others back: each is better than none. */
static bool
work(const void *ctx, struct spawn_out *report, struct err *err)
{
	static struct rebuild_step step[REBUILD_STEPS_MAX];
	const struct rebuild *r = ctx;
	struct rebuild_running running[RUNNING_MAX];
	struct work *w = need(calloc(1, sizeof *w));
	struct rebuild_job job = *r->job;
	bool ok = true, cut;
	size_t n;

	w->job = r->job;
	w->report = report;
	w->until_ms = clock_mono_ms() + r->deadline_ms - (r->deadline_ms > 2 * AFTER_MS ? AFTER_MS : 0);
	snprintf(w->at, sizeof w->at, "%s", strcmp(r->job->root, "/") == 0 ? "" : r->job->root);
	if ((w->root = open(w->at[0] == '\0' ? "/" : w->at, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		return err_set(err, errno, "the root of all trees, %s, cannot be read", w->at);
	add_aliases(w, &job);
	w->job = &job;
	n = work_running(w, running, RUNNING_MAX);
	n = rebuild_plan(&job, running, n, step, &cut);
	for (size_t i = 0; i < n; i++) {
		struct err why = { 0 };

		if (is_gone(w, &step[i]))
			continue;
		if (do_step(w, &step[i], &why)) {
			say_done(w, &step[i]);
			continue;
		}
		spawn_say(report, "failed", "%s", why.text);
		ok = false;
	}
	if (cut) {
		spawn_say(report, "failed", "more than %d tables and services are concerned: the rest was left as it is", REBUILD_STEPS_MAX);
		ok = false;
	}
	free((void *)(uintptr_t)job.dump);
	free(w);
	return ok || err_set(err, 0, "not all tables could be made, or services be told");
}

/* ---------------------------------------------------------------- in the desk */

static void
gather(const char *report, struct rebuild_result *ret)
{
	size_t used = 0, len;

	for (const char *line = report; *line != '\0'; line += len + (line[len] == '\n')) {
		len = strcspn(line, "\n");
		ret->made += strncmp(line, "made ", 5) == 0;
		ret->reloaded += strncmp(line, "reloaded ", 9) == 0;
		if (strncmp(line, "failed ", 7) == 0 && ret->why[0] == '\0')
			snprintf(ret->why, sizeof ret->why, "%.*s", (int)len - 7, line + 7);
		if (used + len + 2 < sizeof ret->notes)
			used += (size_t)snprintf(ret->notes + used, sizeof ret->notes - used, "%.*s\n", (int)len, line);
	}
}

static void
finished(void *arg, const struct spawn_result *s)
{
	struct rebuild_result result = { .ok = s->end == SPAWN_EXITED && s->code == 0, .took_ms = s->took_ms };
	struct rebuild *r = arg;

	gather(s->out, &result);
	if (!result.ok && result.why[0] == '\0')
		snprintf(result.why, sizeof result.why, "%s", s->err.text);
	r->done(r->arg, &result);
	free(r);
}

struct rebuild *
rebuild_start(struct loop *loop, const struct rebuild_job *job, rebuild_done_f *done, void *arg)
{
	struct rebuild *r = need(calloc(1, sizeof *r));

	*r = (struct rebuild){ .job = job, .deadline_ms = job->deadline_ms != 0 ? job->deadline_ms : REBUILD_DEADLINE_MS, .done = done, .arg = arg };
	r->spawn = spawn_work(loop, "rebuild", work, r, r->deadline_ms, finished, r);
	return r;
}

void
rebuild_forget(struct rebuild *r)
{
	spawn_forget(r->spawn);
	free(r);
}
