/*
 * configsync/rebuild_plan.c - from changed paths to tables that have to be made and services that have to be told. Pure.
 */
#include <stdio.h>
#include <string.h>

#include "configsync/derived.h"
#include "configsync/entry.h"
#include "configsync/rebuild.h"

/* A new program is a row here. Exim reads a certificate for each connection; qmail-smtpd and others its control files. */
static const struct { const char *pattern; enum rebuild_service service; } concern[] = {
	{ "etc/postfix/**", REBUILD_POSTFIX },
	{ "etc/postfix-*/**", REBUILD_POSTFIX },
	{ "etc/ssl/**", REBUILD_POSTFIX },
	{ "etc/letsencrypt/**", REBUILD_POSTFIX },
	{ "etc/exim4/**", REBUILD_EXIM },
	{ "etc/exim/**", REBUILD_EXIM },
	{ "etc/dovecot/**", REBUILD_DOVECOT },
	{ "etc/ssl/**", REBUILD_DOVECOT },
	{ "etc/letsencrypt/**", REBUILD_DOVECOT },
	{ "var/qmail/control/locals", REBUILD_QMAIL },
	{ "var/qmail/control/virtualdomains", REBUILD_QMAIL },
	{ "etc/qmail/locals", REBUILD_QMAIL },
	{ "etc/qmail/virtualdomains", REBUILD_QMAIL },
};

static const struct { const char *type, *suffix[2]; } format[] = {
	{ "hash", { ".db", NULL } }, { "btree", { ".db", NULL } }, { "lmdb", { ".lmdb", NULL } }, { "cdb", { ".cdb", NULL } },
	{ "dbm", { ".dir", ".pag" } }, { "sdbm", { ".dir", ".pag" } }, { "tcprules", { ".cdb", NULL } },
};

#define LENGTH(a) (sizeof (a) / sizeof (a)[0])

struct plan { struct rebuild_step *step; size_t len; bool cut; };

const char *
rebuild_service_word(enum rebuild_service service)
{
	static const char *const word[REBUILD_SERVICES] = { "Postfix", "Exim", "Dovecot", "qmail-send" };

	return word[service];
}

const char *
rebuild_suffix(const char *type, size_t i)
{
	for (size_t k = 0; k < LENGTH(format) && i < 2; k++) {
		if (strcmp(format[k].type, type) == 0)
			return format[k].suffix[i];
	}
	return NULL;
}

static void
add(struct plan *p, const struct rebuild_step *step)
{
	if (p->len == REBUILD_STEPS_MAX)
		p->cut = true;
	else
		p->step[p->len++] = *step;
}

/* ---------------------------------------------------------------- tables */

/* "etc/postfix" of "etc/postfix/maps/x"; "" where it is none of Postfix's directories. */
static void
postfix_of(const char *path, char config[256])
{
	size_t len = strcspn(path, "/");

	config[0] = '\0';
	if (!set_match("etc/postfix/**", path, NULL, 0) && !set_match("etc/postfix-*/**", path, NULL, 0))
		return;
	len += 1 + strcspn(path + len + 1, "/");
	if (len < 256)
		snprintf(config, 256, "%.*s", (int)len, path);
}

/* The next one, beginning with *i = 0, that makes its table itself: qmail-newu, qmail-newmrh. NULL: no more. */
static const char *
program_of(const char *path, size_t *i)
{
	const struct derived_row *row;
	char table[ENTRY_PATH_MAX + 1];

	while ((row = derived_of(path, i, table, sizeof table)) != NULL) {
		if (row->type == NULL && strstr(row->command, "%s") == NULL)
			return row->command;
	}
	return NULL;
}

static void
add_table(struct plan *p, const struct verify_dump *d)
{
	struct rebuild_step step = { .kind = REBUILD_MAKE, .source = d->path, .type = d->type, .expect = d->digest };
	struct set_id set;

	if (rebuild_suffix(d->type, 0) == NULL && program_of(d->path, &(size_t){ 0 }) != NULL)
		return;		/* add_programs() */
	set_of(NULL, d->path, &set);
	step.program = strcmp(d->type, "tcprules") == 0 ? "tcprules" : set.kind == SET_ALIASES ? "postalias" : "postmap";
	postfix_of(d->path, step.config);
	add(p, &step);
}

static void
add_programs(struct plan *p, const char *path)
{
	const char *program;

	for (size_t i = 0; (program = program_of(path, &i)) != NULL; )
		add(p, &(struct rebuild_step){ .kind = REBUILD_PROGRAM, .source = path, .program = program });
}

/* ---------------------------------------------------------------- services */

static bool
is_source(const struct rebuild_job *job, const char *path)
{
	for (size_t i = 0; i < job->dumps; i++) {
		if (strcmp(job->dump[i].path, path) == 0)
			return true;
	}
	return false;
}

/* The source of a table concerns no daemon: they notice the new table. */
static bool
concerns(const struct rebuild_job *job, const char *path, enum rebuild_service service)
{
	for (size_t i = 0; i < LENGTH(concern); i++) {
		if (concern[i].service == service && set_match(concern[i].pattern, path, NULL, 0))
			return !is_source(job, path);
	}
	return false;
}

bool
rebuild_concerns(const struct rebuild_job *job, enum rebuild_service service)
{
	for (size_t i = 0; i < job->paths; i++) {
		if (concerns(job, job->path[i], service))
			return true;
	}
	return false;
}

/* The command of the innermost tree that path stands in, or NULL. */
static const char *
own_reload(const struct rebuild_job *job, const char *path)
{
	const struct setup_tree *best = NULL;

	for (size_t i = 0; i < job->trees; i++) {
		const char *tree = job->tree[i].path + strspn(job->tree[i].path, "/");

		if (entry_path_within(path, tree) && (best == NULL || strlen(job->tree[i].path) > strlen(best->path)))
			best = &job->tree[i];
	}
	return best == NULL ? NULL : best->reload;
}

/* An instance of Postfix reads its own directory, and certificates stand in none of them. */
static bool
is_for(const struct rebuild_job *job, const char *path, const struct rebuild_running *r)
{
	char config[256];

	if (!concerns(job, path, r->service))
		return false;
	postfix_of(path, config);
	return config[0] == '\0' || strcmp(config, r->config) == 0;
}

/* A tree's own command, in place of what would be done: unless all that it is for does not run here. */
static void
add_command(struct plan *p, const struct rebuild_job *job, const char *path, const char *command, const struct rebuild_running *r, size_t running)
{
	bool concerned = false, runs = false;

	for (int s = 0; s < REBUILD_SERVICES; s++)
		concerned = concerned || concerns(job, path, (enum rebuild_service)s);
	for (size_t i = 0; i < running; i++)
		runs = runs || is_for(job, path, &r[i]);
	if ((concerned && !runs) || is_source(job, path))
		return;
	for (size_t i = 0; i < p->len; i++) {
		if (p->step[i].kind == REBUILD_COMMAND && strcmp(p->step[i].command, command) == 0)
			return;
	}
	add(p, &(struct rebuild_step){ .kind = REBUILD_COMMAND, .command = command });
}

static void
add_reload(struct plan *p, const struct rebuild_job *job, const struct rebuild_running *r)
{
	struct rebuild_step step = { .kind = r->service == REBUILD_POSTFIX ? REBUILD_POSTFIX_RELOAD : REBUILD_HANGUP, .service = r->service, .pid = r->pid };

	for (size_t i = 0; i < job->paths; i++) {
		if (own_reload(job, job->path[i]) == NULL && is_for(job, job->path[i], r)) {
			snprintf(step.config, sizeof step.config, "%s", r->config);
			add(p, &step);
			return;
		}
	}
}

const char *
rebuild_aliases(const struct rebuild_job *job, size_t *i)
{
	static const char *const source[] = { "etc/aliases", "etc/mail/aliases" };

	while (*i < LENGTH(source)) {
		const char *at = source[(*i)++];

		for (size_t k = 0; k < job->paths && !is_source(job, at); k++)
			if (strcmp(job->path[k], at) == 0 || strcmp(job->path[k], "etc/postfix/main.cf") == 0)
				return at;
	}
	return NULL;
}

bool
rebuild_needed(const struct rebuild_job *job)
{
	bool needed = job->dumps > 0 || rebuild_aliases(job, &(size_t){ 0 }) != NULL;

	for (size_t i = 0; i < job->paths && !needed; i++)
		needed = program_of(job->path[i], &(size_t){ 0 }) != NULL || own_reload(job, job->path[i]) != NULL;
	for (int s = 0; s < REBUILD_SERVICES && !needed; s++)
		needed = rebuild_concerns(job, (enum rebuild_service)s);
	return needed;
}

size_t
rebuild_plan(const struct rebuild_job *job, const struct rebuild_running *r, size_t running, struct rebuild_step *ret, bool *ret_cut)
{
	struct plan p = { .step = ret };
	const char *command;

	for (size_t i = 0; i < job->dumps; i++)
		add_table(&p, &job->dump[i]);
	for (size_t i = 0; i < job->paths; i++)
		add_programs(&p, job->path[i]);
	for (size_t i = 0; i < job->paths; i++) {
		if ((command = own_reload(job, job->path[i])) != NULL)
			add_command(&p, job, job->path[i], command, r, running);
	}
	for (size_t i = 0; i < running; i++)
		add_reload(&p, job, &r[i]);
	*ret_cut = p.cut;
	return p.len;
}
