/*
 * configsync/rebuild_table.c - one table: made of a copy in a directory beside its place, looked at, and renamed. Blocks; in the worker.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/digest.h"
#include "configsync/beneath.h"
#include "configsync/derived.h"
#include "configsync/entry.h"
#include "configsync/qmail_rows.h"
#include "configsync/rebuild_parts.h"
#include "configsync/table_rows.h"
#include "configsync/view.h"

#define COPY "table"

struct table {
	const struct rebuild_step *step;
	int		 dir, stage;			/* where it stands, and the directory in it that it is made in */
	const char	*name;				/* of the source, in dir */
	char		 staging[sizeof SCOPE_TABLE + DIGEST_HEX];
	char		 at[VIEW_PATH_MAX];		/* the staging directory's path */
	char		 copy[VIEW_PATH_MAX + 32];
	struct stat	 source;
};

/* The name follows from the source, so that what a crash has left is found and used again. No installation's, as one may run beside us. */
static bool
open_staging(struct work *w, struct table *t, struct err *err)
{
	const char *source = t->step->source;
	uint8_t digest[DIGEST_LEN];
	char hex[DIGEST_HEX];

	if ((t->dir = beneath_parent(w->root, source, false, &t->name)) == -1)
		return err_set(err, errno, "the directory of /%s cannot be opened", source);
	if (fstatat(t->dir, t->name, &t->source, 0) == -1)
		return err_set(err, errno, "/%s, of which a table is to be made, is not there", source);
	digest_sha256(source, strlen(source) + 1, digest);
	snprintf(t->staging, sizeof t->staging, SCOPE_TABLE "%.32s", digest_hex(digest, sizeof digest, hex));
	if (snprintf(t->at, sizeof t->at, "%s/%.*s%s", w->at, (int)(t->name - source), source, t->staging) >= (int)sizeof t->at)
		return err_set(err, ENAMETOOLONG, "no table of /%s", source);
	snprintf(t->copy, sizeof t->copy, "%s/" COPY, t->at);
	if (!view_remove(t->at, err))
		return false;
	if (mkdirat(t->dir, t->staging, 0700) == -1 || (t->stage = openat(t->dir, t->staging, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) == -1)
		return err_set(err, errno, "no room beside /%s to make its table in", source);
	return true;
}

/* A copy of our own: the program gives up root for the owner of what it reads, and writes where that stands. */
static bool
make(struct work *w, struct table *t, char table[VIEW_PATH_MAX + 64], char config[VIEW_PATH_MAX], struct err *err)
{
	const struct rebuild_step *s = t->step;
	const struct view view = { .root = w->at[0] == '\0' ? "/" : w->at };
	const char *const rules[] = { "/bin/sh", "-c", "exec tcprules \"$0.cdb\" \"$0.tmp\" <\"$0\"", t->copy, NULL };
	const char *map[6] = { s->program };
	size_t n = 1;

	if (!view_copy(&view, s->source, t->copy, err))
		return false;
	if (strcmp(s->program, "tcprules") == 0)
		return work_run(w, rules, err) == 0;
	snprintf(table, VIEW_PATH_MAX + 64, "%s:%s", s->type, t->copy);
	snprintf(config, VIEW_PATH_MAX, "%s/%s", w->at, s->config);
	if (s->config[0] != '\0') {
		map[n++] = "-c";
		map[n++] = config;
	}
	map[n++] = table;
	return work_run(w, map, err) == 0;
}

/* Are these the rows that were found valid? */
static bool
compare(struct work *w, struct table *t, const char *table, const char *config, struct err *err)
{
	const struct rebuild_step *s = t->step;
	char dump[VIEW_PATH_MAX + 64], hex[DIGEST_HEX];

	if (strcmp(s->type, "cdb") == 0 || strcmp(s->type, "tcprules") == 0) {
		snprintf(dump, sizeof dump, "%s.cdb", t->copy);
		if (!table_rows_cdb(dump, strcmp(s->program, "postalias") == 0, hex))
			return err_set(err, 0, "what %s made of /%s is no whole cdb", s->program, s->source);
	} else {
		const char *show[10] = { "/bin/sh", "-c", "out=$1; shift; exec \"$0\" \"$@\" >\"$out\"", s->program, dump };
		size_t n = 5;

		snprintf(dump, sizeof dump, "%s.dump", t->copy);
		if (s->config[0] != '\0') {
			show[n++] = "-c";
			show[n++] = config;
		}
		show[n++] = "-s";
		show[n++] = table;
		if (work_run(w, show, err) != 0)
			return false;
		if (!table_rows_digest(dump, hex))
			return err_set(err, 0, "what the table made of /%s says could not be read", s->source);
	}
	if (s->expect[0] != '\0' && strcmp(s->expect, hex) != 0)
		return err_set(err, 0, "the table made of /%s has other rows than the one that was found valid: the old one stays in use", s->source);
	return true;
}

/* As the old one; the first time as its source. Never older than the source, or Postfix would warn of it at every look. */
static bool
dress(struct table *t, int fd, const char *name)
{
	struct timespec times[2] = { { 0, UTIME_OMIT }, t->source.st_mtim };
	struct stat old;

	if (fstatat(t->dir, name, &old, AT_SYMLINK_NOFOLLOW) == -1 || !S_ISREG(old.st_mode))
		old = t->source;
	if (fchown(fd, old.st_uid, old.st_gid) == -1 || fchmod(fd, old.st_mode & 0777) == -1)
		return false;
	if ((uint64_t)t->source.st_mtim.tv_sec * 1000 > clock_wall_ms() && futimens(fd, times) == -1)
		return false;
	return fsync(fd) == 0;
}

static bool
put_in_place(struct table *t, const char *suffix, struct err *err)
{
	char made[32], name[ENTRY_NAME_MAX + 32];
	bool ok;
	int fd;

	snprintf(made, sizeof made, COPY "%s", suffix);
	snprintf(name, sizeof name, "%s%s", t->name, suffix);
	if ((fd = openat(t->stage, made, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)) == -1)
		return err_set(err, errno, "%s made no table of /%s", t->step->program, t->step->source);
	ok = dress(t, fd, name) && renameat(t->stage, made, t->dir, name) == 0 && fsync(t->dir) == 0;
	if (!ok)
		err_set(err, errno, "/%s%s could not be put in place", t->step->source, suffix);
	close(fd);
	return ok;
}

bool
work_table(struct work *w, const struct rebuild_step *s, struct err *err)
{
	struct table t = { .step = s, .dir = -1, .stage = -1 };
	char table[VIEW_PATH_MAX + 64] = "", config[VIEW_PATH_MAX] = "";
	const char *suffix;
	bool ok = false;

	if (rebuild_suffix(s->type, 0) == NULL)
		return err_set(err, 0, "the table of /%s is of type \"%s\", which is not known here; make it by hand", s->source, s->type);
	if (open_staging(w, &t, err)) {
		ok = make(w, &t, table, config, err) && compare(w, &t, table, config, err);
		for (size_t i = 0; ok && (suffix = rebuild_suffix(s->type, i)) != NULL; i++)
			ok = put_in_place(&t, suffix, err);
		view_remove(t.at, NULL);
	}
	if (t.stage != -1)
		close(t.stage);
	if (t.dir != -1)
		close(t.dir);
	return ok;
}

bool
work_compare(struct work *w, const struct rebuild_step *s, struct err *err)
{
	const struct view view = { .root = w->at[0] == '\0' ? "/" : w->at };
	char path[VIEW_PATH_MAX], table[VIEW_PATH_MAX + sizeof w->at], want[DIGEST_HEX], hex[DIGEST_HEX], *text;
	struct table_rows *rows;
	size_t len;
	bool ok;

	if (derived_of(s->source, &(size_t){ 0 }, path, sizeof path) == NULL || (text = view_read(&view, s->source, &len, err)) == NULL)
		return false;
	rows = table_rows_new(false);
	ok = qmail_rows(s->program, text, len, table_rows_add, rows);
	table_rows_end(rows, want);
	free(text);
	snprintf(table, sizeof table, "%s/%s", w->at, path);
	if (!table_rows_cdb(table, false, hex))
		return err_set(err, 0, "/%s, which %s made of /%s, is no whole cdb", path, s->program, s->source);
	return (ok && strcmp(want, hex) == 0) || err_set(err, 0, "/%s, which %s made, does not say what /%s says", path, s->program, s->source);
}
