/*
 * mta/postfix_plan.c - run_dir/mta.prepared: what the first half of the checks found, as text, and
 * the state of all files it depends on. Runs in a worker; blocks in stat(2) and one small file.
 */
#include "mta/postfix_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/durable.h"

#define PLAN_NAME "mta.prepared"
#define PLAN_HEAD "mailpair postfix prepared 1"
#define PLAN_BYTES 131072

static void
head_line(const struct mta_params *params, char *buf, size_t size)
{
	snprintf(buf, size, PLAN_HEAD " %s\n", params->config != NULL ? params->config : "-");
}

bool
postfix_plan_save(const struct mta_params *params, const struct postfix_plan *plan, struct err *err)
{
	char path[POSTFIX_PATH_MAX], *text = malloc(PLAN_BYTES);
	FILE *stream;
	bool ok;
	long len;

	if (text == NULL)
		return err_set(err, 0, "out of memory");
	stream = fmemopen(text, PLAN_BYTES, "w");
	if (stream == NULL) {
		free(text);
		return err_set(err, 0, "out of memory");
	}
	head_line(params, path, sizeof path);
	fputs(path, stream);
	for (size_t i = 0; i < plan->seen.len; i++) {
		char line[POSTFIX_PATH_MAX + 128];

		postfix_seen_print(&plan->seen.file[i], line, sizeof line);
		fputs(line, stream);
	}
	fprintf(stream, "accounts %u %u\n", (unsigned int)plan->owner, (unsigned int)plan->group);
	for (size_t i = 0; i < plan->dirs; i++)
		fprintf(stream, "dir %u %u %o %s\n", (unsigned int)plan->dir[i].uid,
		    (unsigned int)plan->dir[i].gid, (unsigned int)plan->dir[i].mode,
		    plan->dir[i].path);
	fprintf(stream, "chroot %d\n", plan->chroot);
	for (size_t i = 0; i < plan->copies; i++)
		fprintf(stream, "copy %s\n", plan->copy[i]);
	fprintf(stream, "script %s\n", plan->script);
	for (size_t i = 0; i < 3; i++)
		fprintf(stream, "ca%zu %s\n", i, plan->ca_dir[i]);
	fprintf(stream, "odd %s\nend\n", plan->odd);
	ok = fflush(stream) == 0 && !ferror(stream);
	len = ftell(stream);
	fclose(stream);
	postfix_run_path(params, PLAN_NAME, path, sizeof path);
	if (!ok || len <= 0)
		err_set(err, 0, "what was prepared for Postfix does not fit into %s", path);
	else
		ok = durable_write(path, text, (size_t)len, 0600, err);
	free(text);
	return ok;
}

/* "word rest": the rest when line begins with word. */
static const char *
after(const char *line, const char *word)
{
	size_t len = strlen(word);

	return strncmp(line, word, len) == 0 && line[len] == ' ' ? line + len + 1 : NULL;
}

static bool
take_line(struct postfix_plan *plan, const char *line)
{
	const char *rest;
	unsigned int a, b, mode;
	int at = -1;

	if (strncmp(line, "seen ", 5) == 0) {
		return plan->seen.len < POSTFIX_SEEN_MAX &&
		    postfix_seen_parse(line, &plan->seen.file[plan->seen.len++]);
	} else if ((rest = after(line, "accounts")) != NULL) {
		if (sscanf(rest, "%u %u", &a, &b) != 2)
			return false;
		plan->owner = a;
		plan->group = b;
	} else if ((rest = after(line, "dir")) != NULL) {
		struct postfix_dir *dir = &plan->dir[plan->dirs];

		if (plan->dirs == POSTFIX_DIRS_MAX ||
		    sscanf(rest, "%u %u %o %n", &a, &b, &mode, &at) != 3 || at == -1)
			return false;
		*dir = (struct postfix_dir){ .uid = a, .gid = b, .mode = mode };
		snprintf(dir->path, sizeof dir->path, "%s", rest + at);
		plan->dirs++;
	} else if ((rest = after(line, "chroot")) != NULL) {
		plan->chroot = rest[0] == '1';
	} else if ((rest = after(line, "copy")) != NULL) {
		if (plan->copies == POSTFIX_COPIES_MAX)
			return false;
		snprintf(plan->copy[plan->copies++], sizeof plan->copy[0], "%s", rest);
	} else if ((rest = after(line, "script")) != NULL) {
		snprintf(plan->script, sizeof plan->script, "%s", rest);
	} else if (strncmp(line, "ca", 2) == 0 && line[2] >= '0' && line[2] <= '2' && line[3] == ' ') {
		snprintf(plan->ca_dir[line[2] - '0'], sizeof plan->ca_dir[0], "%s", line + 4);
	} else if ((rest = after(line, "odd")) != NULL) {
		snprintf(plan->odd, sizeof plan->odd, "%s", rest);
	} else {
		return false;
	}
	return true;
}

bool
postfix_plan_load(const struct mta_params *params, struct postfix_plan *ret, struct err *err)
{
	char path[POSTFIX_PATH_MAX], head[POSTFIX_PATH_MAX + 64], *text = malloc(PLAN_BYTES), *rest, *line;
	struct postfix_plan *plan = calloc(1, sizeof *plan);
	const char *changed;
	bool ended = false, ok = false;

	if (text == NULL || plan == NULL) {
		err_set(err, 0, "out of memory");
		goto out;
	}
	postfix_run_path(params, PLAN_NAME, path, sizeof path);
	if (durable_read(path, text, PLAN_BYTES, err) == -1)
		goto out;
	head_line(params, head, sizeof head);
	if (strncmp(text, head, strlen(head)) != 0) {
		err_set(err, 0, "%s is for another configuration", path);
		goto out;
	}
	rest = text + strlen(head);
	while (!ended && (line = strsep(&rest, "\n")) != NULL) {
		ended = strcmp(line, "end") == 0;
		if (!ended && !take_line(plan, line)) {
			err_set(err, 0, "%s is damaged at \"%.40s\"", path, line);
			goto out;
		}
	}
	changed = postfix_seen_changed(&plan->seen);
	if (!ended)
		err_set(err, 0, "%s is not whole", path);
	else if (changed != NULL)
		err_set(err, 0, "%s has changed since", changed);
	else
		ok = true;
	if (ok)
		*ret = *plan;
out:
	free(plan);
	free(text);
	return ok;
}
