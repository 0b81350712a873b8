/*
 * configsync/verify_maps.c - tables are made anew in the work directory by the program that would make them, and dumped: the rows,
 * not the bytes of a format, are what two nodes can compare. Blocks; in the worker.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/digest.h"
#include "configsync/derived.h"
#include "configsync/qmail_control.h"
#include "configsync/rebuild.h"
#include "configsync/table_rows.h"
#include "configsync/verify_parts.h"

/* SHA-256 of what a table, "type:path", says. 0; or the exit status of the program, that said why; -1: it was not to be had, as was said. */
static int
rows_of(struct check *c, const char *program, const char *config, const char *table, char hex[DIGEST_HEX])
{
	char dump[VIEW_PATH_MAX + 16];
	/* the dump of a large table is more than a command's output may be */
	const char *show[10] = { "/bin/sh", "-c", "out=$1; shift; exec \"$0\" \"$@\" >\"$out\"", program, dump };
	size_t n = 5;
	int status;

	if (strncmp(table, "cdb:", 4) == 0) {	/* postmap -s cannot */
		snprintf(dump, sizeof dump, "%s.cdb", table + 4);
		return table_rows_cdb(dump, strcmp(program, "postalias") == 0, hex) ? 0 : 1;
	}
	snprintf(dump, sizeof dump, "%s/dump", c->work);
	if (config != NULL) {
		show[n++] = "-c";
		show[n++] = config;
	}
	show[n++] = "-s";
	show[n++] = table;
	status = check_run(c, show, NULL);
	if (status == 0 && !table_rows_digest(dump, hex)) {
		check_say(c, VALIDITY_UNKNOWN, NULL, 0, "what %s says could not be read", table);
		status = -1;
	}
	unlink(dump);
	return status;
}

void
check_report_rows(struct check *c, const char *source, const char *type, const char made[DIGEST_HEX], const char used[DIGEST_HEX])
{
	spawn_say(c->report, "dump", "%s %s %s", made, type, source);
	if (used != NULL && strcmp(made, used) != 0)
		spawn_say(c->report, "old", "%s", source);
}

/* ---------------------------------------------------------------- Postfix's tables */

bool
check_has_table(struct check *c, const char *source, const char *suffix)
{
	char path[VIEW_PATH_MAX], real[VIEW_PATH_MAX];

	return snprintf(path, sizeof path, "%s%s", source, suffix) < (int)sizeof path && view_find(c->view, path, real, NULL, NULL) == FACT_YES;
}

/* A copy of our own: the program would give up root for the source's owner, who must not come into the work directory. */
static bool
own_copy(struct check *c, const char *source, char copy[VIEW_PATH_MAX])
{
	char *slash;
	struct err err = { 0 };

	if (!check_path(c, source, copy, VIEW_PATH_MAX))
		return false;
	slash = strrchr(copy, '/');
	*slash = '\0';
	if (!view_mkdirs(copy, &err) || (*slash = '/', !view_copy(c->view, source, copy, &err))) {
		check_say(c, VALIDITY_UNKNOWN, source, 0, "%s", err.text);
		return false;
	}
	return true;
}

enum validity
check_table(struct check *c, const char *source, const char *type, bool alias, const char *config)
{
	const char *program = alias ? "postalias" : "postmap";
	char copy[VIEW_PATH_MAX], table[2 * VIEW_PATH_MAX], hex[DIGEST_HEX], used[DIGEST_HEX] = "";
	const char *make[8] = { program }, *suffix = rebuild_suffix(type, 0);
	enum validity v;
	size_t m = 1;
	int status;

	if (!own_copy(c, source, copy))
		return VALIDITY_UNKNOWN;
	snprintf(table, sizeof table, "%s:%s", type, copy);
	if (config != NULL) {
		make[m++] = "-c";
		make[m++] = config;
	}
	make[m++] = table;
	status = check_run(c, make, NULL);
	if (status == -1)
		return VALIDITY_UNKNOWN;
	v = check_complaints(c, c->err, status, source);
	if (v != VALIDITY_VALID)
		return v;
	status = rows_of(c, program, config, table, hex);
	if (status != 0)
		return status == -1 ? VALIDITY_UNKNOWN : check_say(c, VALIDITY_UNKNOWN, source, 0, "the table made of /%s could not be dumped: %.200s", source, c->err);
	if (!c->job->in_place || suffix == NULL || !check_has_table(c, source, suffix)) {
		check_report_rows(c, source, type, hex, NULL);
		return VALIDITY_VALID;
	}
	snprintf(table, sizeof table, "%s:%s/%s", type, c->view->root, source);
	if (rows_of(c, program, config, table, used) == -1)	/* one that is being made just now is none */
		return VALIDITY_UNKNOWN;
	check_report_rows(c, source, type, hex, used);
	return VALIDITY_VALID;
}

enum validity
check_plain_table(struct check *c, const char *source, const char *type, const char *config)
{
	char copy[VIEW_PATH_MAX], table[VIEW_PATH_MAX + 16];
	/* any key will do: the whole text is read first */
	const char *const argv[] = { "postmap", "-c", config, "-q", "mailpair.invalid", table, NULL };
	int status;

	if (!own_copy(c, source, copy))
		return VALIDITY_UNKNOWN;
	snprintf(table, sizeof table, "%s:%s", type, copy);
	status = check_run(c, argv, NULL);
	if (status == -1)
		return VALIDITY_UNKNOWN;
	return check_complaints(c, c->err, status == 1 && strstr(c->err, "fatal") == NULL ? 0 : status, source);	/* 1: not found */
}

/* ---------------------------------------------------------------- aliases */

static enum validity
aliases_by_us(struct check *c, const char *source)
{
	struct control_fault fault = { 0 };
	struct err err = { 0 };
	size_t len;
	char *text = view_read(c->view, source, &len, &err);
	bool ok;

	if (text == NULL)
		return check_say(c, VALIDITY_UNKNOWN, source, 0, "%s", err.text);
	ok = aliases_check(text, len, &fault);
	free(text);
	return ok ? VALIDITY_VALID : check_say(c, VALIDITY_INVALID, source, fault.line, "/%s, line %u: \"%s\" %s", source, fault.line, fault.value, fault.right);
}

/* Where no table of source is there yet: the format that Postfix's main.cf names for it; NULL: none. */
static const char *
type_named(const struct check *c, const char *source)
{
	size_t len;
	char *text = view_read(c->view, "etc/postfix/main.cf", &len, NULL);
	const char *type = text == NULL ? NULL : derived_type(text, source);

	free(text);
	return type;
}

enum validity
check_aliases(struct check *c)
{
	for (size_t i = 0; i < c->view->changes; i++) {
		const char *source = c->view->change[i].path;
		const struct derived_row *row;
		char path[VIEW_PATH_MAX], done[64] = "";
		const char *type;
		size_t at = 0;
		enum validity v;

		if (c->view->change[i].from == NULL)
			return check_say(c, VALIDITY_INVALID, source, 0, "/%s is to go: mail for root and postmaster would have no one; right is a file with at least "
			    "these two", source);
		v = aliases_by_us(c, source);
		while (v == VALIDITY_VALID && (row = derived_of(source, &at, path, sizeof path)) != NULL) {
			if (!check_has_table(c, source, row->suffix) || strcmp(done, row->type) == 0)
				continue;
			snprintf(done, sizeof done, "%s", row->type);
			v = check_table(c, source, row->type, true, NULL);
		}
		if (v == VALIDITY_VALID && done[0] == '\0' && (type = type_named(c, source)) != NULL)
			v = check_table(c, source, type, true, NULL);
		if (v != VALIDITY_VALID)
			return v;
	}
	return VALIDITY_VALID;
}

/* ---------------------------------------------------------------- tcprules */

/* tcprules shows the line, not its number. */
static enum validity
refused_rule(struct check *c, const char *source)
{
	static const char says[] = "unable to parse this line: ";
	const char *line = strstr(c->err, says), *at;
	unsigned int number = 1;
	size_t len, n;
	char *text;

	if (line == NULL || (text = view_read(c->view, source, &len, NULL)) == NULL)
		return check_complaints(c, c->err, 1, source);
	line += sizeof says - 1;
	n = strcspn(line, "\n");
	for (at = text; *at != '\0' && (strncmp(at, line, n) != 0 || (at[n] != '\n' && at[n] != '\0')); number++) {
		at += strcspn(at, "\n");
		at += *at == '\n';
	}
	free(text);
	return check_say(c, VALIDITY_INVALID, source, number, "/%s, line %u: \"%.*s\" is no rule; right is address:allow, with ,NAME=\"VALUE\" behind it, "
	    "or address:deny", source, number, (int)n, line);
}

static enum validity
rules_of(struct check *c, const char *source)
{
	char copy[VIEW_PATH_MAX], cdb[VIEW_PATH_MAX + 8], scratch[VIEW_PATH_MAX + 8], hex[DIGEST_HEX], used[DIGEST_HEX] = "";
	const char *const argv[] = { "/bin/sh", "-c", "exec tcprules \"$1\" \"$2\" <\"$3\"", "tcprules", cdb, scratch, copy, NULL };
	int status;

	if (!own_copy(c, source, copy))
		return VALIDITY_UNKNOWN;
	snprintf(cdb, sizeof cdb, "%s.cdb", copy);
	snprintf(scratch, sizeof scratch, "%s.tmp", copy);
	status = check_run(c, argv, NULL);
	if (status == 126 || status == 127)
		return check_say(c, VALIDITY_UNKNOWN, source, 0, "tcprules is not installed here, so /%s cannot be judged", source);
	if (status != 0)
		return status == -1 ? VALIDITY_UNKNOWN : refused_rule(c, source);
	if (!table_rows_cdb(cdb, false, hex))
		return check_say(c, VALIDITY_UNKNOWN, source, 0, "what tcprules made of /%s could not be read", source);
	snprintf(cdb, sizeof cdb, "%s/%s.cdb", c->view->root, source);
	table_rows_cdb(cdb, false, used);
	check_report_rows(c, source, "tcprules", hex, c->job->in_place && check_has_table(c, source, ".cdb") ? used : NULL);
	return VALIDITY_VALID;
}

enum validity
check_tcprules(struct check *c)
{
	enum validity v = VALIDITY_VALID;

	for (size_t i = 0; i < c->view->changes && v == VALIDITY_VALID; i++)
		if (c->view->change[i].from != NULL)
			v = rules_of(c, c->view->change[i].path);
		else if (check_has_table(c, c->view->change[i].path, ".cdb"))
			check_note(c, "/%s goes, and the table that was made of it stays in use", c->view->change[i].path);
	return v;
}
