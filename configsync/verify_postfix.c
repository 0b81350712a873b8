/*
 * configsync/verify_postfix.c - main.cf, master.cf and what they name, judged by Postfix's programs on a copy. Blocks; in the worker.
 *
 * postconf reads the copy as it is. For "postfix check" its queue, data and log are moved into the work directory:
 * the check makes missing directories, and on a standby the queue is not mounted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "configsync/verify_parts.h"

#define REFERENCES_MAX 128

struct map_type {
	const char	*name;
	const char	*suffix;	/* of the table that is made of it; NULL: none is */
	bool		 text;		/* read as it is, by patterns or rows */
};

static const struct map_type types[] = {
	{ "hash", ".db", false }, { "btree", ".db", false }, { "lmdb", ".lmdb", false }, { "cdb", ".cdb", false },
	{ "dbm", ".pag", false }, { "sdbm", ".pag", false }, { "regexp", NULL, true }, { "pcre", NULL, true }, { "cidr", NULL, true },
	{ "texthash", NULL, true }, { "ldap", NULL, false }, { "mysql", NULL, false }, { "pgsql", NULL, false }, { "sqlite", NULL, false },
};

/* "virtual_alias_maps = hash:/etc/postfix/virtual" */
struct reference {
	const struct map_type	*type;
	char			 path[512];		/* from the root */
	char			 parameter[128];
	const char		*file;			/* main.cf or master.cf */
	bool			 made;
};

struct postfix {
	struct check		*c;
	const char		*dir;
	char			 config[VIEW_PATH_MAX];	/* the copy of dir */
	char			 main[512], master[512], *known;
	struct reference	 reference[REFERENCES_MAX];
	size_t			 references;
	char			 cert[512], key[512];
};

/* ---------------------------------------------------------------- what the configuration names */

static const struct map_type *
type_of(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		if (strlen(types[i].name) == len && strncmp(types[i].name, name, len) == 0)
			return &types[i];
	return NULL;
}

/* A path in the copy, or any other, from the root. */
static void
from_root(const struct postfix *p, const char *path, size_t len, char *ret, size_t size)
{
	size_t work = strlen(p->c->work);

	if (len > work && strncmp(path, p->c->work, work) == 0) {
		path += work;
		len -= work;
	}
	while (len > 0 && *path == '/') {
		path++;
		len--;
	}
	snprintf(ret, size, "%.*s", (int)len, path);
}

/* All of "[proxy:]type:/path" in one value. */
static void
references_in(struct postfix *p, const char *parameter, const char *value, const char *file)
{
	static const char between[] = " \t,{}\"'";

	for (const char *at = value; *(at += strspn(at, between)) != '\0';) {
		size_t len = strcspn(at, between), n;
		const char *token = at;
		const struct map_type *type;
		struct reference *r;

		at += len;
		if (len > 6 && strncmp(token, "proxy:", 6) == 0) {
			token += 6;
			len -= 6;
		}
		n = strcspn(token, ":");
		if (n + 1 >= len || token[n + 1] != '/' || (type = type_of(token, n)) == NULL || p->references == REFERENCES_MAX)
			continue;
		r = &p->reference[p->references++];
		r->type = type;
		r->file = file;
		from_root(p, token + n + 1, len - n - 1, r->path, sizeof r->path);
		snprintf(r->parameter, sizeof r->parameter, "%s", parameter);
	}
}

/* Output of postconf: "name = value", or "service/type/name = value" of master.cf. */
static void
take_values(struct postfix *p, char *text, const char *file)
{
	char *rest = text, *line, *value, *slash;

	while ((line = strsep(&rest, "\n")) != NULL) {
		value = strstr(line, " = ");
		if (value == NULL)
			continue;
		*value = '\0';
		value += 3;
		slash = strrchr(line, '/');
		if (slash == NULL && strcmp(line, "smtpd_tls_cert_file") == 0)
			from_root(p, value, strlen(value), p->cert, sizeof p->cert);
		if (slash == NULL && strcmp(line, "smtpd_tls_key_file") == 0)
			from_root(p, value, strlen(value), p->key, sizeof p->key);
		references_in(p, slash != NULL ? slash + 1 : line, value, file);
	}
}

/* ---------------------------------------------------------------- asking */

/* "file main.cf: parameter NAME: ...": the line is for us to find. */
static enum validity
complaints(struct postfix *p, int status, const char *file)
{
	struct check *c = p->c;
	char name[128], *at = strstr(c->err, "parameter ");
	unsigned int line;

	if (status == 0 || at == NULL || sscanf(at, "parameter %127[a-z0-9_]", name) != 1 || (line = check_line_of(c->view, p->main, name)) == 0)
		return check_complaints(c, c->err, status, file);
	return check_say(c, VALIDITY_INVALID, p->main, line, "/%s, line %u: %.*s", p->main, line, (int)strcspn(at, "\n"), at);
}

/* One of Postfix's programs on the copy. Its output stays in c->out. */
static enum validity
ask(struct postfix *p, const char *program, const char *a, const char *b, const char *last, const char *file)
{
	const char *const argv[] = { program, "-c", p->config, a, b, last, NULL };
	int status = check_run(p->c, argv, NULL);

	return status == -1 ? VALIDITY_UNKNOWN : complaints(p, status, file);
}

static enum validity
ask_postconf(struct postfix *p)
{
	struct check *c = p->c;
	enum validity v = ask(p, "postconf", "-M", NULL, NULL, p->master);

	if (v != VALIDITY_VALID || (v = ask(p, "postconf", "-n", "-x", NULL, p->main)) != VALIDITY_VALID)
		return v;
	take_values(p, c->out, p->main);
	if ((v = ask(p, "postconf", "-P", "-x", NULL, p->master)) != VALIDITY_VALID)
		return v;
	take_values(p, c->out, p->master);
	if ((v = ask(p, "postconf", "-m", NULL, NULL, p->main)) != VALIDITY_VALID)
		return v;
	p->known = strdup(c->out);
	if (p->known == NULL)
		abort();
	/* what all programs read at their start */
	return ask(p, "postmap", "-q", "mailpair.invalid", "static:x", p->main);
}

static bool
is_known(const struct postfix *p, const char *type)
{
	size_t len = strlen(type);

	for (const char *at = p->known; (at = strstr(at, type)) != NULL; at += len)
		if ((at == p->known || at[-1] == '\n') && (at[len] == '\n' || at[len] == '\0'))
			return true;
	return false;
}

/* ---------------------------------------------------------------- maps */

static bool
is_alias(const struct reference *r)
{
	return strcmp(r->parameter, "alias_maps") == 0 || strcmp(r->parameter, "alias_database") == 0;
}

static bool
made_before(const struct postfix *p, const struct reference *r)
{
	for (const struct reference *other = p->reference; other < r; other++)
		if (other->made && other->type == r->type && strcmp(other->path, r->path) == 0)
			return true;
	return false;
}

static enum validity
judge_reference(struct postfix *p, struct reference *r)
{
	struct check *c = p->c;
	size_t len = strlen(p->dir);
	bool ours = strncmp(r->path, p->dir, len) == 0 && r->path[len] == '/', table;
	unsigned int line = r->file == p->main ? check_line_of(c->view, p->main, r->parameter) : 0;
	char real[VIEW_PATH_MAX];
	enum fact there;

	if (!is_known(p, r->type->name))
		return check_say(c, VALIDITY_INVALID, r->file, line, "/%s, line %u: %s names %s:/%s, and this node's Postfix has no \"%s\" (postconf -m): install its "
		    "package, or name a type that both nodes have", r->file, line, r->parameter, r->type->name, r->path, r->type->name);
	if (!verify_find(c, r->path, real, &there))
		return VALIDITY_UNKNOWN;
	table = r->type->suffix != NULL && check_has_table(c, r->path, r->type->suffix);
	if (there == FACT_NO && !table && ours)
		return check_say(c, VALIDITY_INVALID, r->file, line, "/%s, line %u: %s names %s:/%s, and there is no such file: mail would be deferred", r->file,
		    line, r->parameter, r->type->name, r->path);
	if (there == FACT_NO) {
		/* another set's, which may come a moment later */
		if (!table)
			check_note(c, "/%s: %s names %s:/%s, and there is no such file", r->file, r->parameter, r->type->name, r->path);
		return VALIDITY_VALID;
	}
	if ((!view_changed(c->view, r->path) && (table || r->type->suffix == NULL)) || made_before(p, r))
		return VALIDITY_VALID;
	if (r->type->suffix == NULL)
		return r->type->text ? check_plain_table(c, r->path, r->type->name, p->config) : VALIDITY_VALID;
	r->made = true;
	return check_table(c, r->path, r->type->name, is_alias(r), p->config);
}

/* A source that main.cf does not name, but of which there is a table: for a program of its own. */
static enum validity
judge_unnamed(struct postfix *p, const char *source)
{
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		const struct map_type *type = &types[i];
		bool made = type->suffix == NULL || !is_known(p, type->name) || !check_has_table(p->c, source, type->suffix);
		enum validity v;

		for (size_t k = 0; k < p->references && !made; k++)
			made = p->reference[k].type->suffix != NULL && strcmp(p->reference[k].type->suffix, type->suffix) == 0 &&
			    strcmp(p->reference[k].path, source) == 0;
		/* hash and btree have one suffix: the first will do */
		if (made || strcmp(type->name, "btree") == 0)
			continue;
		v = check_table(p->c, source, type->name, false, p->config);
		if (v != VALIDITY_VALID)
			return v;
	}
	return VALIDITY_VALID;
}

static enum validity
judge_maps(struct postfix *p)
{
	const struct view *view = p->c->view;
	enum validity v = VALIDITY_VALID;

	for (size_t i = 0; i < p->references && v == VALIDITY_VALID; i++)
		v = judge_reference(p, &p->reference[i]);
	for (size_t i = 0; i < view->changes && v == VALIDITY_VALID; i++)
		if (view->change[i].from != NULL && strcmp(view->change[i].path, p->main) != 0 && strcmp(view->change[i].path, p->master) != 0)
			v = judge_unnamed(p, view->change[i].path);
	return v;
}

/* ---------------------------------------------------------------- "postfix check" */

static bool
append(const char *path, const char *text)
{
	FILE *out = fopen(path, "ae");
	bool ok = out != NULL && fputs(text, out) >= 0 && fflush(out) == 0 && view_make_old(fileno(out));

	return out != NULL && fclose(out) == 0 && ok;
}

/* So that nothing is made, and nothing logged, where a Postfix runs or will. */
static bool
move_aside(struct postfix *p)
{
	const char *work = p->c->work;
	char path[VIEW_PATH_MAX + 16], text[8 * sizeof p->c->work];
	struct err err = { 0 };
	bool ok;

	snprintf(path, sizeof path, "%s/main.cf", p->config);
	snprintf(text, sizeof text, "\nqueue_directory = %s/queue\ndata_directory = %s/data\nmaillog_file = %s/maillog\nmaillog_file_prefixes = %s\n"
	    "multi_instance_enable = no\nmulti_instance_wrapper =\nmulti_instance_directories =\n", work, work, work, work);
	ok = append(path, text);
	snprintf(path, sizeof path, "%s/master.cf", p->config);
	/* a log that is a file needs it; a second row of the same name is the one that counts */
	ok = ok && append(path, "\npostlog unix-dgram n - n - 1 postlogd\n");
	snprintf(path, sizeof path, "%s/queue", work);
	/* postsuper is there when it stops being root: what is above stays closed */
	ok = ok && view_mkdirs(path, &err) && chmod(path, 0755) == 0;
	if (!ok)
		check_say(p->c, VALIDITY_UNKNOWN, p->main, 0, "the copy in %s could not be written", p->config);
	return ok;
}

static enum validity
ask_check(struct postfix *p)
{
	const char *const argv[] = { "postfix", "-c", p->config, "check", NULL };
	struct check *c = p->c;
	char path[sizeof c->work + 16];
	FILE *log;
	size_t len;
	int status;

	if (!move_aside(p))
		return VALIDITY_UNKNOWN;
	status = check_run(c, argv, NULL);
	if (status == -1)
		return VALIDITY_UNKNOWN;
	/* its words stand in the log: without a terminal nothing comes out */
	snprintf(path, sizeof path, "%s/maillog", c->work);
	log = fopen(path, "re");
	if (log != NULL) {
		len = strlen(c->err);
		len += fread(c->err + len, 1, sizeof c->err - 1 - len, log);
		c->err[len] = '\0';
		fclose(log);
	}
	return complaints(p, status, p->main);
}

/* ---------------------------------------------------------------- the whole */

static bool
copy_in(struct postfix *p, const char *path)
{
	char real[VIEW_PATH_MAX], to[VIEW_PATH_MAX];
	struct err err = { 0 };
	enum fact there;

	if (!verify_find(p->c, path, real, &there))
		return false;
	if (there == FACT_NO)
		check_say(p->c, VALIDITY_INVALID, path, 0, "/%s is missing, or is to go: Postfix does not run without it", path);
	else if (check_path(p->c, path, to, sizeof to) && !view_copy(p->c->view, path, to, &err))
		check_say(p->c, VALIDITY_UNKNOWN, path, 0, "%s", err.text);
	return !p->c->said;
}

/* Only where both are there: they may be another set's, which comes a moment later. */
static enum validity
judge_pair(struct postfix *p, bool rewritten)
{
	struct check *c = p->c;
	char public[4096], real[VIEW_PATH_MAX];
	enum fact cert, key;

	if (p->key[0] == '\0')
		snprintf(p->key, sizeof p->key, "%s", p->cert);
	if (p->cert[0] == '\0' || !(rewritten || view_changed(c->view, p->cert) || view_changed(c->view, p->key)))
		return VALIDITY_VALID;
	if (!verify_find(c, p->cert, real, &cert) || !verify_find(c, p->key, real, &key))
		return VALIDITY_UNKNOWN;
	return cert == FACT_YES && key == FACT_YES ? check_pair(c, p->cert, p->key, public, sizeof public) : VALIDITY_VALID;
}

static enum validity
judge(struct postfix *p)
{
	struct check *c = p->c;
	bool rewritten = view_changed(c->view, p->main) || view_changed(c->view, p->master);
	struct err err = { 0 };
	enum validity v;

	if (!check_path(c, p->dir, p->config, sizeof p->config))
		return VALIDITY_UNKNOWN;
	if (!view_farm(c->view, p->dir, p->config, &err))
		return check_say(c, VALIDITY_UNKNOWN, NULL, 0, "%s", err.text);
	if (!copy_in(p, p->main) || !copy_in(p, p->master))
		return VALIDITY_UNKNOWN;		/* or INVALID, as said */
	if ((v = ask_postconf(p)) != VALIDITY_VALID || (v = judge_maps(p)) != VALIDITY_VALID)
		return v;
	if ((v = judge_pair(p, rewritten)) != VALIDITY_VALID)
		return v;
	return rewritten ? ask_check(p) : VALIDITY_VALID;
}

enum validity
check_postfix(struct check *c)
{
	struct postfix *p = calloc(1, sizeof *p);
	enum validity v;

	if (p == NULL)
		abort();
	p->c = c;
	p->dir = c->job->set.dir;
	snprintf(p->main, sizeof p->main, "%s/main.cf", p->dir);
	snprintf(p->master, sizeof p->master, "%s/master.cf", p->dir);
	v = judge(p);
	free(p->known);
	free(p);
	return v;
}
