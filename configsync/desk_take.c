/*
 * configsync/desk_take.c - what the peer changed is staged for the program that has to judge it. A job is the core's
 * (struct core_job), and so is what it points to until it is answered.
 */
#include "configsync/desk_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "configsync/verify.h"
#include "configsync/view.h"

/* A verification under way. */
struct taking {
	struct taking		*next;
	struct desk		*d;
	uint64_t		 id;
	desk_checked_f		*done;
	struct set_id		 set;
	struct verify		*verify;
	struct verify_job	 job;
	struct view_change	*change;
	size_t			 changes;
	char			 dir[PATH_MAX];		/* ours: "files", what is staged; "scratch", the verifier's */
	char			 scratch[PATH_MAX + 16];
};

/* ---------------------------------------------------------------- staged for a verification */

static void
taking_free(struct taking *t)
{
	struct err err;

	for (size_t i = 0; i < t->changes; i++)
		free((void *)(uintptr_t)t->change[i].from);
	free(t->change);
	if (t->dir[0] != '\0' && !view_remove(t->dir, &err))
		log_warnx("%s", err.text);
	free(t);
}

static void
add(struct taking *t, const char *path, char *from)
{
	struct view_change *grown = realloc(t->change, (t->changes + 1) * sizeof *grown);

	if (grown == NULL)
		abort();
	t->change = grown;
	t->change[t->changes++] = (struct view_change){ path, from };
}

static char *
in_place(const struct desk *d, const char *path)
{
	char *text;

	if (asprintf(&text, "%s/%s", d->root_path, path) == -1)
		abort();
	return text;
}

/* A copy of its own: the spool is for contents of any path. */
static char *
stage_bytes(struct taking *t, const struct entry *e, struct err *err)
{
	int in = desk_content(t->d, e, err), out;
	char *path, buf[65536];
	ssize_t n = 0;
	bool ok;

	if (in == -1)
		return NULL;
	if (asprintf(&path, "%s/files/%zu", t->dir, t->changes) == -1)
		abort();
	out = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	ok = out != -1;
	while (ok && (n = read(in, buf, sizeof buf)) > 0)
		ok = write(out, buf, (size_t)n) == n;
	ok = ok && n == 0;
	if (!ok)
		err_set(err, errno, "%s cannot be written: %s", path, strerror(errno));
	close(in);
	if (out != -1)
		close(out);
	if (!ok) {
		free(path);
		return NULL;
	}
	return path;
}

static char *
stage_link(struct taking *t, const struct entry *e, struct err *err)
{
	char *path;

	if (asprintf(&path, "%s/files/%zu", t->dir, t->changes) == -1)
		abort();
	if (symlink(e->target, path) == 0)
		return path;
	err_set(err, errno, "%s cannot be made: %s", path, strerror(errno));
	free(path);
	return NULL;
}

/* Where the bytes of a path will come from: what is staged for it, or what is in place. */
static char *
from_of(const struct taking *t, const char *path)
{
	char *copy;

	for (size_t i = 0; i < t->changes; i++)
		if (strcmp(t->change[i].path, path) == 0 && t->change[i].from != NULL) {
			if ((copy = strdup(t->change[i].from)) == NULL)
				abort();
			return copy;
		}
	return in_place(t->d, path);
}

static bool
stage(struct taking *t, const struct change *c, struct err *err)
{
	char *from = NULL;

	switch (c->kind) {
	case CHANGE_DIRECTORY:
	case CHANGE_COUNT:
		return true;
	case CHANGE_FILE:
		from = c->from != NULL ? in_place(t->d, c->from) : stage_bytes(t, c->to, err);
		break;
	case CHANGE_LINK:
		from = stage_link(t, c->to, err);
		break;
	case CHANGE_HARD:
		from = from_of(t, c->from);
		break;
	case CHANGE_RENAME:
		from = in_place(t->d, c->from);
		add(t, c->from, NULL);
		break;
	case CHANGE_META:
		if (c->was == NULL || c->was->type == ENTRY_DIRECTORY)
			return true;
		from = in_place(t->d, c->path);
		break;
	case CHANGE_REMOVE:
		if (c->was == NULL || c->was->type != ENTRY_DIRECTORY)
			add(t, c->path, NULL);
		return true;
	}
	if (from == NULL)
		return false;
	add(t, c->path, from);
	return true;
}

static void
to_core(struct desk *d, uint64_t id, const struct set_id *set, enum validity verdict, const char *why)
{
	char name[2 * SET_KEY_MAX];

	if (verdict != VALIDITY_VALID)
		log_warnx("a change of %s is %s, and is not taken: %s", set_shown(set, name, sizeof name), validity_word(verdict), why);
	core_verified(d->core, id, verdict, why, clock_mono_ms(), clock_wall_ms());
}

/* What the other node makes of the same sources. False: none is made. */
static bool
ask_for_tables(struct taking *t, const struct verify_result *r, const char *why)
{
	struct desk_table *table = desk_alloc((r->dumps + 1) * sizeof *table);

	for (size_t i = 0; i < r->dumps; i++) {
		char *source = from_of(t, r->dump[i].path);

		table[i].dump = r->dump[i];
		desk_digest(source, table[i].source);
		free(source);
	}
	if (r->dumps > 0)
		desk_compare(t->d, t->id, &t->set, table, r->dumps, why, t->done);
	free(table);
	return r->dumps > 0;
}

static void
verified(void *arg, const struct verify_result *r)
{
	struct taking *t = arg, **at;
	struct desk *d = t->d;
	char why[1100], name[2 * SET_KEY_MAX];

	for (at = &d->taking; *at != t; at = &(*at)->next)
		;
	*at = t->next;
	if (r->verdict == VALIDITY_VALID || r->file[0] == '\0')
		snprintf(why, sizeof why, "%s", r->why);
	else if (r->line > 0)
		snprintf(why, sizeof why, "/%s:%u: %s", r->file, r->line, r->why);
	else
		snprintf(why, sizeof why, "/%s: %s", r->file, r->why);
	if (r->notes[0] != '\0')
		log_info("%s: %s", set_shown(&t->set, name, sizeof name), r->notes);
	if (r->verdict == VALIDITY_VALID && t->done == to_core && ask_for_tables(t, r, why)) {
		taking_free(t);
		return;
	}
	if (r->verdict == VALIDITY_VALID)
		desk_dumps(d, t->id, r->dump, r->dumps);
	t->done(d, t->id, &t->set, r->verdict, why);
	taking_free(t);
	desk_work(d);
}

void
desk_check(struct desk *d, uint64_t id, const struct set_id *set, const struct change *change, size_t changes, desk_checked_f *done)
{
	struct taking *t = desk_alloc(sizeof *t);
	struct err err;
	char files[PATH_MAX + 16];
	bool ok;

	t->d = d;
	t->id = id;
	t->done = done;
	t->set = *set;
	snprintf(t->dir, sizeof t->dir, "%s/config.work/%llu-%s", d->conf->state_dir, (unsigned long long)id, set_kind_word(set->kind));
	snprintf(t->scratch, sizeof t->scratch, "%s/scratch", t->dir);
	snprintf(files, sizeof files, "%s/files", t->dir);
	ok = view_remove(t->dir, &err) && view_mkdirs(files, &err);
	for (size_t i = 0; ok && i < changes; i++)
		ok = stage(t, &change[i], &err);
	if (!ok) {
		done(d, id, set, VALIDITY_UNKNOWN, err.text);
		taking_free(t);
		return;
	}
	t->job = (struct verify_job){ .set = *set, .view = { d->root_path[0] != '\0' ? d->root_path : "/", t->change, t->changes },
		.scratch = t->scratch, .deadline_ms = d->conf->sync.validate_ms };
	t->next = d->taking;
	d->taking = t;
	t->verify = verify_start(d->loop, &t->job, verified, t);
}

void
desk_verify(struct desk *d, const struct core_job *job)
{
	desk_check(d, job->id, job->set, job->change, job->changes, to_core);
}

void
desk_cancel(struct desk *d, uint64_t id)
{
	struct taking **at = &d->taking;

	while (*at != NULL) {
		struct taking *t = *at;

		if (t->id != id && id != 0) {
			at = &t->next;
			continue;
		}
		*at = t->next;
		verify_forget(t->verify);
		taking_free(t);
	}
	desk_compare_forget(d, id);
	desk_dumps_forget(d, id);
}

void
desk_cancel_all(struct desk *d)
{
	desk_cancel(d, 0);
	desk_place_forget(d);
}
