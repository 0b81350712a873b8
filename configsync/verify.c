/*
 * configsync/verify.c - the worker of one job: finds who has to be asked, asks, and reports. Blocks in the worker only.
 */
#include "configsync/verify.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "configsync/verify_parts.h"

#define REPORT_MS 500	/* of the deadline: for the report of a command that was late */

struct verify {
	struct spawn		*spawn;
	struct verify_job	 job;
	verify_done_f		*done;
	void			*arg;
};

/* A new mail program is a row of set.c and one here. */
static enum validity (*const ask[SET_COUNT])(struct check *) = {
	[SET_CERTIFICATE] = check_certificate, [SET_POSTFIX] = check_postfix, [SET_EXIM] = check_exim, [SET_QMAIL] = check_qmail,
	[SET_ALIASES] = check_aliases, [SET_TCPRULES] = check_tcprules,
};

const char *
validity_word(enum validity verdict)
{
	static const char *const word[VALIDITY_COUNT] = { "unknown", "invalid", "valid" };

	return word[verdict];
}

/* ---------------------------------------------------------------- what the parts share */

/* People know the files by their own paths, not by those of the copies. */
static void
strip(const struct check *c, char *text)
{
	size_t len = strlen(c->work);

	for (char *at = text; (at = strstr(at, c->work)) != NULL;)
		if (at[len] == '/')
			memmove(at, at + len, strlen(at + len) + 1);
		else
			at += len;
}

enum validity
check_say(struct check *c, enum validity verdict, const char *file, unsigned int line, const char *fmt, ...)
{
	char text[sizeof c->why];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	strip(c, text);
	if (c->said)
		return verdict;
	c->said = verdict != VALIDITY_VALID;
	c->verdict = verdict;
	c->line = line;
	snprintf(c->file, sizeof c->file, "%s", file != NULL ? file : "");
	snprintf(c->why, sizeof c->why, "%s", text);
	return verdict;
}

void
check_note(struct check *c, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	strip(c, text);
	spawn_say(c->report, "note", "%s", text);
}

int
check_run(struct check *c, const char *const *argv, const char *const *env)
{
	const struct spawn_cmd cmd = { .argv = argv, .env = env };
	uint64_t now = clock_mono_ms();
	struct err err = { 0 };
	int status;

	c->out[0] = c->err[0] = '\0';
	if (now >= c->until_ms) {
		check_say(c, VALIDITY_UNKNOWN, NULL, 0, "no time was left to ask %s", argv[0]);
		return -1;
	}
	status = spawn_run(&cmd, (uint32_t)(c->until_ms - now), c->out, sizeof c->out, c->err, sizeof c->err, &err);
	if (status == -1)
		check_say(c, VALIDITY_UNKNOWN, NULL, 0, "it could not be asked: %s", err.text);
	return status;
}

bool
check_path(struct check *c, const char *path, char *ret, size_t size)
{
	if (snprintf(ret, size, "%s/%s", c->work, path) < (int)size)
		return true;
	check_say(c, VALIDITY_UNKNOWN, path, 0, "/%s: its path is too long to be checked", path);
	return false;
}

bool
verify_find(struct check *c, const char *path, char real[VIEW_PATH_MAX], enum fact *ret)
{
	struct err err = { 0 };

	*ret = view_find(c->view, path, real, NULL, &err);
	if (*ret == FACT_UNKNOWN)
		check_say(c, VALIDITY_UNKNOWN, path, 0, "%s", err.text);
	return *ret != FACT_UNKNOWN;
}

unsigned int
check_line_of(const struct view *view, const char *file, const char *word)
{
	size_t len, n = strlen(word);
	char *text = view_read(view, file, &len, NULL);
	unsigned int line = 0, found = 0;

	for (const char *at = text; at != NULL && *at != '\0'; at += strcspn(at, "\n"), at += *at == '\n') {
		line++;
		/* the last one counts */
		if (strncmp(at, word, n) == 0 && at[n + strspn(at + n, " \t")] == '=')
			found = line;
	}
	free(text);
	return found;
}

/* "FILE, line N" or "FILE: line N": N, and FILE copied. 0: the text names no place. */
static unsigned int
place(const char *text, char *file, size_t size)
{
	const char *line = text, *end, *begin;
	unsigned int number;

	while ((line = strstr(line, " line ")) != NULL) {
		end = line - 1;
		if (line > text && (*end == ',' || *end == ':') && sscanf(line, " line %u", &number) == 1) {
			for (begin = end; begin > text && begin[-1] != ' '; begin--)
				;
			while (*begin == '/')
				begin++;
			snprintf(file, size, "%.*s", (int)(end - begin), begin);
			return number;
		}
		line++;
	}
	return 0;
}

static bool
any_of(const char *text, const char *const *word)
{
	for (; *word != NULL; word++)
		if (strstr(text, *word) != NULL)
			return true;
	return false;
}

enum validity
check_complaints(struct check *c, char *text, int status, const char *file)
{
	static const char *const machine[] = { "No space left", "Cannot allocate memory", "Too many open files", "Input/output error",
		"Disk quota", "Read-only file system", "reserved for the superuser", NULL };
	static const char *const harmless[] = { "duplicate entry", "overriding earlier entry", "symlink leaves directory",
		"backwards-compatible", "unused parameter", "To disable", NULL };
	char *rest = text, *line, last[512] = "";

	strip(c, text);
	while ((line = strsep(&rest, "\n")) != NULL) {
		char where[512] = "";
		unsigned int number;
		bool fatal = strstr(line, "fatal: ") != NULL || strstr(line, "panic: ") != NULL;

		if (line[0] == '\0')
			continue;
		snprintf(last, sizeof last, "%.500s", line);
		if (any_of(line, machine))
			return check_say(c, VALIDITY_UNKNOWN, file, 0, "%s", line);
		if (!fatal && any_of(line, harmless)) {
			if (strstr(line, "symlink leaves") == NULL)	/* our own */
				check_note(c, "%s", line);
			continue;
		}
		number = place(line, where, sizeof where);
		if (fatal || number != 0)
			return check_say(c, VALIDITY_INVALID, number != 0 ? where : file, number, "%s", line);
		if (status == 0)
			check_note(c, "%s", line);
	}
	if (status != 0)
		return check_say(c, VALIDITY_INVALID, file, 0, "/%s: refused with status %d%s%s", file != NULL ? file : "", status,
		    last[0] != '\0' ? ": " : "", last);
	return VALIDITY_VALID;
}

/* ---------------------------------------------------------------- a tree's own command */

enum validity
check_command(struct check *c)
{
	const char *command = c->job->set.validate, *dir = c->job->set.tree;
	const char *const argv[] = { "/bin/sh", "-c", command, NULL };
	char staged[sizeof c->work + 32], tree[sizeof c->job->set.tree + 32], to[VIEW_PATH_MAX];
	const char *const env[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C", "HOME=/root", staged, tree, NULL };
	struct err err = { 0 };
	int status;

	snprintf(staged, sizeof staged, "MAILPAIR_STAGED=%s", c->work);
	snprintf(tree, sizeof tree, "MAILPAIR_TREE=/%s", dir);
	if (!check_path(c, dir, to, sizeof to))
		return VALIDITY_UNKNOWN;
	/* the tree as it would be, without what a mail program's own check has made of it */
	if (!view_remove(c->work, &err) || !view_farm(c->view, dir, to, &err))
		return check_say(c, VALIDITY_UNKNOWN, NULL, 0, "%s", err.text);
	status = check_run(c, argv, env);
	if (status == -1)
		return VALIDITY_UNKNOWN;
	if (status == 126 || status == 127)
		return check_say(c, VALIDITY_UNKNOWN, NULL, 0, "the command \"%s\" that is to judge /%s could not be run (status %d): %.300s", command,
		    dir, status, c->err);
	if (status != 0)
		return check_say(c, VALIDITY_INVALID, NULL, 0, "\"%s\" refuses the new /%s with status %d: %.*s", command, dir, status,
		    (int)strcspn(c->err[0] != '\0' ? c->err : c->out, "\n"), c->err[0] != '\0' ? c->err : c->out);
	return VALIDITY_VALID;
}

/* ---------------------------------------------------------------- the worker */

/* Above us there may be other jobs' remains, of one that was killed at its deadline. */
static bool
work_begin(struct check *c, struct err *err)
{
	struct stat st;

	if (snprintf(c->work, sizeof c->work, "%s/verify", c->job->scratch) >= (int)sizeof c->work)
		return err_set(err, ENAMETOOLONG, "%s", c->job->scratch);
	if (!view_mkdirs(c->job->scratch, err))
		return false;
	if (lstat(c->job->scratch, &st) == -1 || !S_ISDIR(st.st_mode) || (st.st_mode & 077) != 0)
		return err_set(err, 0, "%s is not a directory that is closed to others; right is mode 0700", c->job->scratch);
	return view_remove(c->work, err) && view_mkdirs(c->work, err);
}

static enum validity
judge(struct check *c)
{
	const struct set_id *set = &c->job->set;
	enum validity verdict = VALIDITY_VALID;

	if (ask[set->kind] != NULL)
		verdict = ask[set->kind](c);
	if (verdict == VALIDITY_VALID && set->validate != NULL)
		verdict = check_command(c);
	return verdict;
}

static bool
work(const void *ctx, struct spawn_out *report, struct err *err)
{
	const struct verify_job *job = ctx;
	uint32_t deadline = job->deadline_ms != 0 ? job->deadline_ms : VERIFY_DEADLINE_MS;
	struct check *c = calloc(1, sizeof *c);
	struct err why = { 0 };

	if (c == NULL)
		return err_set(err, ENOMEM, "no memory to check %s", job->set.key);
	c->job = job;
	c->view = &job->view;
	c->report = report;
	c->until_ms = clock_mono_ms() + (deadline > 2 * REPORT_MS ? deadline - REPORT_MS : deadline / 2);
	if (!work_begin(c, err)) {
		free(c);
		return false;
	}
	if (judge(c) == VALIDITY_VALID && c->why[0] == '\0')
		check_say(c, VALIDITY_VALID, NULL, 0, "%s %s is valid", set_kind_word(job->set.kind), job->set.key);
	if (!view_remove(c->work, &why))
		check_note(c, "%s", why.text);
	spawn_say(report, "verdict", "%d", (int)c->verdict);
	spawn_say(report, "file", "%s", c->file);
	spawn_say(report, "line", "%u", c->line);
	spawn_say(report, "why", "%s", c->why);
	free(c);
	return true;
}

/* ---------------------------------------------------------------- the report */

/* One line "key value" of it. */
static void
take(struct verify_result *r, const char *key, const char *value)
{
	if (strcmp(key, "verdict") == 0) {
		r->verdict = value[0] == '2' ? VALIDITY_VALID : value[0] == '1' ? VALIDITY_INVALID : VALIDITY_UNKNOWN;
	} else if (strcmp(key, "file") == 0) {
		snprintf(r->file, sizeof r->file, "%s", value);
	} else if (strcmp(key, "line") == 0) {
		r->line = (unsigned int)strtoul(value, NULL, 10);
	} else if (strcmp(key, "why") == 0) {
		snprintf(r->why, sizeof r->why, "%s", value);
	} else if (strcmp(key, "note") == 0) {
		size_t len = strlen(r->notes);

		snprintf(r->notes + len, sizeof r->notes - len, "%s\n", value);
	} else if (strcmp(key, "dump") == 0 && r->dumps < VERIFY_DUMPS_MAX) {
		struct verify_dump *dump = &r->dump[r->dumps];
		int at = -1;

		if (sscanf(value, "%64s %15s %n", dump->digest, dump->type, &at) == 2 && at != -1) {
			snprintf(dump->path, sizeof dump->path, "%s", value + at);
			r->dumps++;
		}
	} else if (strcmp(key, "old") == 0) {
		for (size_t i = 0; i < r->dumps; i++)
			r->dump[i].old = r->dump[i].old || strcmp(r->dump[i].path, value) == 0;
	}
}

static void
finished(void *arg, const struct spawn_result *result)
{
	struct verify *v = arg;
	struct verify_result *r = calloc(1, sizeof *r);
	char *report = strdup(result->out), *rest = report, *line;

	if (r == NULL || report == NULL)
		abort();
	r->took_ms = result->took_ms;
	while ((line = strsep(&rest, "\n")) != NULL) {
		char *value = strchr(line, ' ');

		if (value != NULL) {
			*value = '\0';
			take(r, line, value + 1);
		}
	}
	/* killed while it said it: half a report is none */
	if (result->end != SPAWN_EXITED || result->code != 0 || r->why[0] == '\0') {
		r->verdict = VALIDITY_UNKNOWN;
		snprintf(r->why, sizeof r->why, "%s", result->err.text[0] != '\0' ? result->err.text : result->end == SPAWN_TIMEOUT ?
		    "the check did not end in time" : "the check ended without a verdict");
	}
	v->done(v->arg, r);
	free(report);
	free(r);
	free(v);
}

struct verify *
verify_start(struct loop *loop, const struct verify_job *job, verify_done_f *done, void *arg)
{
	struct verify *v = calloc(1, sizeof *v);

	if (v == NULL)
		abort();
	v->job = *job;
	v->done = done;
	v->arg = arg;
	v->spawn = spawn_work(loop, "configuration check", work, &v->job, job->deadline_ms != 0 ? job->deadline_ms : VERIFY_DEADLINE_MS, finished, v);
	return v;
}

void
verify_forget(struct verify *v)
{
	spawn_forget(v->spawn);
	free(v);
}
