/*
 * configsync/verify_qmail.c - qmail's control files and users/assign: no program of qmail judges them, so we do. Blocks; in the
 * worker.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "configsync/derived.h"
#include "configsync/qmail_control.h"
#include "configsync/qmail_rows.h"
#include "configsync/table_rows.h"
#include "configsync/verify_parts.h"

static enum validity
say_fault(struct check *c, const char *path, const struct control_fault *fault)
{
	if (fault->line == 0)
		return check_say(c, VALIDITY_INVALID, path, 0, "/%s: %s", path, fault->right);
	return check_say(c, VALIDITY_INVALID, path, fault->line, "/%s, line %u: \"%s\" %s", path, fault->line, fault->value, fault->right);
}

/* name: of a file in control/, or "users/assign". */
static enum validity
judge(struct check *c, const struct view_change *change, const char *name)
{
	struct control_fault fault = { 0 };
	struct err err = { 0 };
	size_t len;
	char *text;
	bool ok;

	if (change->from == NULL)
		return control_may_lack(name, &fault) ? VALIDITY_VALID : say_fault(c, change->path, &fault);
	text = view_read(c->view, change->path, &len, &err);
	if (text == NULL)
		return check_say(c, VALIDITY_UNKNOWN, change->path, 0, "%s", err.text);
	ok = strcmp(name, "users/assign") == 0 ? assign_check(text, len, &fault) : control_check(name, text, len, &fault);
	free(text);
	return ok ? VALIDITY_VALID : say_fault(c, change->path, &fault);
}

/* What the table of it says that the node's own program will make, and the one in use. Nothing where that program is not here: who makes it will say so. */
static void
report_table(struct check *c, const char *source)
{
	char path[VIEW_PATH_MAX], table[VIEW_PATH_MAX + 512], program[600], made[DIGEST_HEX], used[DIGEST_HEX] = "", *text;
	const struct derived_row *row = derived_of(source, &(size_t){ 0 }, path, sizeof path);
	struct table_rows *rows;
	size_t len;
	bool ok;

	snprintf(program, sizeof program, "%s/var/qmail/bin/%s", c->view->root, row != NULL ? row->command : "");
	if (row == NULL || access(program, X_OK) == -1 || (text = view_read(c->view, source, &len, NULL)) == NULL)
		return;
	rows = table_rows_new(false);
	ok = qmail_rows(row->command, text, len, table_rows_add, rows);
	table_rows_end(rows, made);
	free(text);
	snprintf(table, sizeof table, "%s/%s", c->view->root, path);
	table_rows_cdb(table, false, used);
	if (ok)
		check_report_rows(c, source, row->command, made, c->job->in_place && access(table, F_OK) == 0 ? used : NULL);
}

/* Without it no program runs, whatever the others say. */
static enum validity
has_me(struct check *c, const char *dir)
{
	char path[VIEW_PATH_MAX], real[VIEW_PATH_MAX];
	enum fact there;

	snprintf(path, sizeof path, "%s/me", dir);
	if (!verify_find(c, path, real, &there))
		return VALIDITY_UNKNOWN;
	return there == FACT_YES ? VALIDITY_VALID : check_say(c, VALIDITY_INVALID, path, 0, "/%s is missing, and no program of qmail runs without it; right is the "
	    "name of the host", path);
}

enum validity
check_qmail(struct check *c)
{
	const char *dir = c->job->set.dir;
	bool users = strcmp(c->job->set.key, "qmail/users") == 0;
	enum validity v = VALIDITY_VALID;

	for (size_t i = 0; i < c->view->changes && v == VALIDITY_VALID; i++) {
		const struct view_change *change = &c->view->change[i];
		const char *name = change->path + strlen(dir) + 1;
		char source[VIEW_PATH_MAX];

		if (derived_from(change->path, source, sizeof source) != NULL)
			continue;
		if (users && strcmp(name, "assign") == 0)
			v = judge(c, change, "users/assign");
		else if (!users && (strchr(name, '/') == NULL || strcmp(name, "users/assign") == 0))
			v = judge(c, change, name);
		if (v == VALIDITY_VALID && change->from != NULL)
			report_table(c, change->path);
		else if (v == VALIDITY_VALID && derived_of(change->path, &(size_t){ 0 }, source, sizeof source) != NULL)
			check_note(c, "/%s goes, and the table that was made of it stays in use", change->path);
	}
	return v == VALIDITY_VALID && !users ? has_me(c, dir) : v;
}
