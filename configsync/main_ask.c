/*
 * configsync/main_ask.c - status, resync, resolve and rollback: what the running mailpair-config is asked, and how its answer is printed.
 */
#include "configsync/main.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/utf8.h"
#include "configsync/plan.h"

/* ---------------------------------------------------------------- an answer as a document */

struct answer {
	const struct wish *wish;
	struct document	*document;
	char		 kind[32];	/* of the rows before; "": none */
	bool		 linked;	/* what the other node has is as of now */
	size_t		 steps;
};

static void
value_json(struct json *j, const struct ctl_value *v)
{
	char *path;

	if (v->type == CTL_NUMBER)
		json_uint(j, v->key, strtoull(v->text, NULL, 10));
	else if (v->type == CTL_FACT)
		json_fact(j, v->key, strcmp(v->text, "yes") == 0 ? FACT_YES : strcmp(v->text, "no") == 0 ? FACT_NO : FACT_UNKNOWN);
	else if (strcmp(v->key, "path") == 0 && v->text[0] != '/') {
		if (asprintf(&path, "/%s", v->text) == -1)
			abort();
		json_string(j, v->key, path);
		free(path);
	} else {
		json_string(j, v->key, v->text);
	}
}

/* Rows of one kind are an array of this name, in the plural. */
static void
row_json(struct answer *a, const struct ctl_line *line)
{
	static const struct { const char *kind, *name; } plural[] = { { "conflict", "conflicts_at" }, { "problem", "problems" }, { "theirs", "problems_there" },
		{ "step", "steps" } };
	struct json *j = &a->document->json;
	const char *name = line->kind;

	if (strcmp(a->kind, line->kind) != 0) {
		if (a->kind[0] != '\0' && strcmp(a->kind, "-") != 0)
			json_array_end(j);
		for (size_t i = 0; i < sizeof plural / sizeof plural[0]; i++)
			if (strcmp(plural[i].kind, line->kind) == 0)
				name = plural[i].name;
		if (strcmp(line->kind, "-") != 0)
			json_array(j, name);
		snprintf(a->kind, sizeof a->kind, "%s", line->kind);
	}
	if (strcmp(line->kind, "-") != 0)
		json_object(j, NULL);
	for (size_t i = 0; i < line->values; i++)
		value_json(j, &line->value[i]);
	if (strcmp(line->kind, "-") != 0)
		json_object_end(j);
}

/* ---------------------------------------------------------------- an answer for people */

static const char *
text_of(const struct ctl_line *line, const char *key, char *buf, size_t size)
{
	const char *text = ctl_value(line, key);

	return utf8_shown(text != NULL ? text : "", buf, size);
}

static void
whole_text(const struct ctl_line *line)
{
	const char *in_step = ctl_value(line, "in_step"), *files = ctl_value(line, "files"), *writers = ctl_value(line, "writers");
	const char *active = ctl_value(line, "active"), *tenure = ctl_value(line, "tenure"), *first = ctl_value(line, "first");
	char a[256], b[1024], at[CLOCK_RFC3339_MAX];

	printf("in step    %s", in_step == NULL ? "unknown" : in_step);
	if (files != NULL)
		printf("; %s file%s", files, strcmp(files, "1") == 0 ? "" : "s");
	printf("\nthis node  %s", text_of(line, "node", a, sizeof a));
	if (ctl_value(line, "role") != NULL)
		printf(", %s", text_of(line, "role", b, sizeof b));
	if (tenure != NULL)
		printf(", tenure %s", tenure);
	printf("\npeer       %s", text_of(line, "peer", a, sizeof a));
	if (ctl_value(line, "link") != NULL)
		printf(": %s", text_of(line, "link", b, sizeof b));
	if (writers != NULL)
		printf("\nwriters    %s%s%s", strcmp(writers, "both") == 0 ? "both nodes" : "the active node", active != NULL && active[0] != '\0' ? ": " : "",
		    active != NULL ? utf8_shown(active, a, sizeof a) : "");
	if (ctl_value(line, "pending") != NULL)
		printf("\nwaiting    %s change%s", ctl_value(line, "pending"), strcmp(ctl_value(line, "pending"), "1") == 0 ? "" : "s");
	if (ctl_value(line, "read") != NULL)
		printf("\nall read   %s: %s", clock_rfc3339(strtoull(ctl_value(line, "read"), NULL, 10), at), text_of(line, "read_why", b, sizeof b));
	if (ctl_value(line, "text") != NULL)
		printf("\n           %s", text_of(line, "text", b, sizeof b));
	putchar('\n');
	if (first != NULL && strcmp(first, "yes") == 0)
		puts("\nThe two nodes were never the same, and nothing is carried until you say which one counts:\n"
		    "    mailpair config resync --from NODE           what would be done\n"
		    "    mailpair config resync --from NODE --apply   do it");
}

static void
since_text(const struct ctl_line *line)
{
	const char *since = ctl_value(line, "since");
	char at[CLOCK_RFC3339_MAX];

	if (since != NULL)
		printf(" (since %s)", clock_rfc3339(strtoull(since, NULL, 10), at));
	putchar('\n');
}

static void
row_text(struct answer *a, const struct ctl_line *line)
{
	char path[SHOWN_MAX], kind[64], text[1024];
	const char *of = ctl_value(line, "path");
	bool step = strcmp(line->kind, "step") == 0, new = strcmp(a->kind, line->kind) != 0;

	snprintf(a->kind, sizeof a->kind, "%s", line->kind);
	if (ctl_value(line, "about") != NULL)
		text_of(line, "about", path, sizeof path);
	else if (of == NULL || of[0] == '\0')
		path[0] = '\0';
	else
		shown(of + strspn(of, "/"), path, sizeof path);
	if (strcmp(line->kind, "-") == 0) {
		a->linked = ctl_value(line, "link") != NULL && strcmp(ctl_value(line, "link"), "linked") == 0;
		whole_text(line);
	} else if (step) {
		printf("%-10s %s%s%s\n", text_of(line, "do", kind, sizeof kind), path, ctl_value(line, "note") != NULL ? "  " : "",
		    text_of(line, "note", text, sizeof text));
	} else if (strcmp(line->kind, "conflict") == 0) {
		printf("%sCONFLICT   %s: %s", new ? "\n" : "", path, text_of(line, "why", text, sizeof text));
		since_text(line);
		if (ctl_value(line, "kind") != NULL && strcmp(ctl_value(line, "kind"), "unknown") == 0)
			puts("    -> look at it on both nodes: what cannot be read is told as unreadable, and ends this when it can be;\n"
			    "       a device, pipe or socket has to go, or to be excluded in mailpair.conf");
		else
			printf("    -> mailpair config diff %s\n       mailpair config resolve %s --take NODE\n", path, path);
	} else {
		printf("%s%s%s%s%s: %s", new ? "\n" : "", strcmp(line->kind, "theirs") != 0 ? "" : a->linked ? "there: " : "there, when last heard: ", text_of(line, "kind", kind, sizeof kind),
		    path[0] != '\0' ? " " : "", path, text_of(line, "text", text, sizeof text));
		since_text(line);
	}
}

static void
told(void *arg, const struct ctl_line *line)
{
	struct answer *a = arg;

	a->steps += strcmp(line->kind, "step") == 0;
	if (a->wish->json)
		row_json(a, line);
	else
		row_text(a, line);
}

/* ---------------------------------------------------------------- asking */

static int
nobody_there(const struct wish *w, const char *path, const struct err *err)
{
	if (err->sys == EACCES)
		return sorry(w, EXIT_CANNOT, "%s: be root, or a member of the group of the socket", err->text);
	if (err->sys == ENOENT || err->sys == ECONNREFUSED)
		return sorry(w, EXIT_CANNOT, "it does not run: nobody answers at %s. mailpaird starts it where mailpair.conf has a section config-sync",
		    path);
	return sorry(w, EXIT_CANNOT, "%s", err->text);
}

static const char *
result_word(int code)
{
	static const char *const word[] = { "done", "no", "cannot", "refused" };

	return word[code >= EXIT_DONE && code <= EXIT_REFUSED ? code : EXIT_CANNOT];
}

/* plan: without --apply it is one only, and that is said. */
static int
ask(const struct wish *w, const char *command, const char *const *args, bool plan)
{
	static struct document d;
	struct answer a = { .wish = w, .document = &d };
	char path[1200], text[2048];
	struct err err = { 0 };
	int code;

	if (!main_socket(w, path, sizeof path))
		return EXIT_CANNOT;
	if (w->json) {
		document_begin(&d);
		json_object(&d.json, NULL);
	}
	code = ctl_call(path, &(struct ctl_question){ command, args }, told, &a, text, sizeof text, &err);
	if (w->json) {
		if (a.kind[0] != '\0' && strcmp(a.kind, "-") != 0)
			json_array_end(&d.json);
		json_string(&d.json, "result", result_word(code == -1 ? EXIT_CANNOT : code));
		json_string(&d.json, "message", code == -1 ? err.text : text);
		json_object_end(&d.json);
		document_end(&d);
	}
	if (code == -1) {
		struct wish quiet = *w;

		quiet.json = false;	/* the document is there */
		return nobody_there(&quiet, path, &err);
	}
	if (text[0] != '\0' && (code != EXIT_DONE || !w->json)) {
		if (code == EXIT_DONE)
			puts(text);
		else
			complain("%s", text);
	}
	if (plan && !w->apply && code == EXIT_DONE && a.steps > 0 && !w->json)
		puts("Nothing was done. With --apply it is.");
	return code;
}

int
main_status(const struct wish *w)
{
	const char *const none[] = { NULL };

	return ask(w, "status", none, false);
}

int
main_resync(const struct wish *w)
{
	const char *const args[] = { "from", w->from, "apply", w->apply ? "yes" : "no", NULL };

	if (w->from == NULL)
		return sorry(w, EXIT_CANNOT, "resync: which node has what counts? Right is: mailpair-config resync --from NODE [--apply]");
	return ask(w, "resync", args, true);
}

int
main_resolve(const struct wish *w)
{
	const char *args[2 * MAIN_OPERANDS + 3] = { "take", w->take };
	size_t n = 2;

	if (w->take == NULL)
		return sorry(w, EXIT_CANNOT, "resolve: whose version counts? Right is: mailpair-config resolve PATH... --take NODE");
	for (size_t i = 0; i < w->operands; i++) {
		const char *path = w->operand[i] + strspn(w->operand[i], "/");

		if (!entry_path_ok(path))
			return sorry(w, EXIT_CANNOT, "\"%s\" is no path from the root, like /etc/postfix/main.cf", w->operand[i]);
		args[n++] = "path";
		args[n++] = path;
	}
	return ask(w, "resolve", args, false);
}

int
main_rollback(const struct wish *w)
{
	const char *what = w->operand[0];
	bool number = is_number(what), set = is_set_name(what);
	const char *const args[] = { set ? "set" : "version", what, "back-to", w->back_to ? "yes" : "no", "apply", w->apply ? "yes" : "no", NULL };

	if (!set && !number)
		return sorry(w, EXIT_CANNOT, "\"%s\" is neither a set (32 hexadecimal digits) nor the number of a version: mailpair-config log says them", what);
	if (number && w->back_to)
		return sorry(w, EXIT_CANNOT, "--back-to needs a set, not the number of a version");
	return ask(w, "rollback", args, true);
}
