/*
 * configsync/main_log.c - log and show: which versions there are, and what is in one.
 */
#include "configsync/main.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT 20

/* All that were found, newest first. */
struct listing {
	struct version	*at;
	size_t		 len;
	struct err	 err;
	bool		 bad;
};

static bool
list_one(void *arg, const struct store_version *row)
{
	struct listing *l = arg;

	l->at = realloc(l->at, (l->len + 1) * sizeof *l->at);
	if (l->at == NULL)
		abort();
	l->bad = !version_copy(&l->at[l->len], row, &l->err);
	l->len += !l->bad;
	return !l->bad;
}

/* The other side of a conflict that was met again: the newer one says it all. */
static bool
is_same_side(const struct listing *l, size_t i)
{
	const struct version *v = &l->at[i];

	for (size_t k = 0; k < i && !v->here; k++)
		if (!l->at[k].here && strcmp(l->at[k].path, v->path) == 0)
			return (v->entry == NULL) == (l->at[k].entry == NULL) && (v->entry == NULL || entry_diff(v->entry, l->at[k].entry) == 0);
	return false;
}

/* Is the one before it at the same path the same thing? That one says who made it, and is printed. */
static bool
is_repeated(struct listing *l, size_t i)
{
	for (size_t k = i + 1; k < l->len; k++) {
		if (!l->at[k].here || strcmp(l->at[k].path, l->at[i].path) != 0)
			continue;
		if (!version_same(&l->at[i], &l->at[k]))
			return false;
		l->at[k].common = l->at[k].common || l->at[i].common;
		return true;
	}
	return false;
}

/* How many were printed. */
static size_t
print_list(const struct wish *w, struct listing *l, bool whole_set, size_t most)
{
	static struct document d;
	const char *set = "";
	size_t n = 0;

	if (w->json) {
		document_begin(&d);
		json_array(&d.json, NULL);
	}
	for (size_t i = 0; i < l->len && n < most; i++) {
		const struct version *v = &l->at[i];

		if (!whole_set && (is_repeated(l, i) || is_same_side(l, i)))
			continue;
		n++;
		if (w->json) {
			version_json(&d.json, NULL, v);
			continue;
		}
		if (strcmp(set, v->set.name) != 0)
			version_set_text(stdout, &v->set);
		set = v->set.name;
		version_text(stdout, v);
	}
	if (w->json) {
		json_array_end(&d.json);
		document_end(&d);
	}
	return n;
}

int
main_log(const struct wish *w)
{
	struct listing l = { .len = 0 };
	const char *what = w->operands > 0 ? w->operand[0] : NULL, *path = what == NULL ? NULL : what + strspn(what, "/");
	bool set = what != NULL && is_set_name(what), ok;
	size_t most = w->limit > 0 ? w->limit : LIMIT, n;
	struct store *store;

	if (!main_store(w, &store))
		return EXIT_CANNOT;
	/* some of them may be repeated */
	ok = store_history(store, set ? NULL : path, set ? what : NULL, most < SIZE_MAX / 4 ? 4 * most : most, list_one, &l, &l.err) && !l.bad;
	store_close(store);
	n = print_list(w, &l, set, most);
	while (l.len > 0)
		version_free(&l.at[--l.len]);
	free(l.at);
	if (!ok)
		complain("%s", l.err.text);
	else if (n == 0)
		complain(what == NULL ? "no version of any file is kept" : "no version of it is kept: %s", what);
	return !ok ? EXIT_CANNOT : n > 0 ? EXIT_DONE : EXIT_NO;
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
