/*
 * configsync/main_log.c - log and show: which versions there are, and what is in one.
 */
#include "configsync/main.h"

#include <errno.h>
#include <string.h>

#define LIMIT 20

struct listing {
	const struct wish *wish;
	struct document	*document;
	char		 set[STORE_NAME_MAX];	/* of the version before */
	size_t		 n;
	struct err	 err;
	bool		 bad;
};

static bool
list_one(void *arg, const struct store_version *row)
{
	struct listing *l = arg;
	struct version v;

	l->bad = !version_copy(&v, row, &l->err);
	if (l->bad)
		return false;
	l->n++;
	if (l->wish->json) {
		version_json(&l->document->json, NULL, &v);
	} else {
		if (strcmp(l->set, v.set.name) != 0)
			version_set_text(stdout, &v.set);
		snprintf(l->set, sizeof l->set, "%s", v.set.name);
		version_text(stdout, &v);
	}
	version_free(&v);
	return true;
}

int
main_log(const struct wish *w)
{
	static struct document d;
	struct listing l = { .wish = w, .document = &d };
	const char *what = w->operands > 0 ? w->operand[0] : NULL, *path = what == NULL ? NULL : what + strspn(what, "/");
	bool set = what != NULL && is_set_name(what);
	struct store *store;
	bool ok;

	if (!main_store(w, &store))
		return EXIT_CANNOT;
	if (w->json) {
		document_begin(&d);
		json_array(&d.json, NULL);
	}
	ok = store_history(store, set ? NULL : path, set ? what : NULL, w->limit > 0 ? w->limit : LIMIT, list_one, &l, &l.err) && !l.bad;
	store_close(store);
	if (w->json) {
		json_array_end(&d.json);
		document_end(&d);
	}
	if (!ok)
		complain("%s", l.err.text);
	else if (l.n == 0)
		complain(what == NULL ? "no version of any file is kept" : "no version of it is kept: %s", what);
	return !ok ? EXIT_CANNOT : l.n > 0 ? EXIT_DONE : EXIT_NO;
}

/* ---------------------------------------------------------------- show */

static bool
to_stdout(void *arg, const void *bytes, size_t len)
{
	(void)arg;
	return fwrite(bytes, 1, len, stdout) == len;
}

static int
print_content(const struct wish *w, struct store *store, const struct version *v)
{
	struct err err = { 0 };
	char path[SHOWN_MAX];

	shown(v->path, path, sizeof path);
	if (v->entry == NULL)
		return sorry(w, EXIT_NO, "version %llu of %s: it was removed", (unsigned long long)v->number, path);
	if (v->entry->type == ENTRY_LINK) {
		puts(v->entry->target);
		return EXIT_DONE;
	}
	if (v->entry->type != ENTRY_FILE || !v->kept)
		return sorry(w, EXIT_NO, "version %llu of %s is a %s%s", (unsigned long long)v->number, path, entry_type_word(v->entry->type),
		    v->entry->type == ENTRY_FILE ? " whose content is not kept any more" : "");
	if (!store_read(store, v->entry->digest, to_stdout, NULL, &err))
		return sorry(w, EXIT_CANNOT, "%s", err.text);
	return EXIT_DONE;
}

int
main_show(const struct wish *w)
{
	static struct document d;
	struct err err = { 0 };
	struct version v;
	struct store *store;
	int status = EXIT_DONE;

	if (!main_store(w, &store))
		return EXIT_CANNOT;
	if (!version_find(store, w->operand[0], &v, NULL, &err)) {
		status = sorry(w, err.sys == ENOENT ? EXIT_NO : EXIT_CANNOT, "%s", err.text);
	} else {
		if (w->json) {
			document_begin(&d);
			version_json(&d.json, NULL, &v);
			document_end(&d);
		} else {
			status = print_content(w, store, &v);
		}
		version_free(&v);
	}
	store_close(store);
	return status;
}
