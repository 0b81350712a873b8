/*
 * configsync/main_version.c - which version is meant by what an operator writes, and what is printed of one.
 */
#include "configsync/main.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/digest.h"
#include "common/utf8.h"
#include "configsync/core.h"

static const char *const cause_word[STORE_CAUSE_COUNT] = { "found", "edited", "applied", "rolled back", "resynced", "in conflict" };

const char *
shown(const char *path, char *buf, size_t size)
{
	buf[0] = '/';
	utf8_shown(path, buf + 1, size - 1);
	return buf;
}

bool
is_number(const char *what)
{
	return what[0] != '\0' && strspn(what, "0123456789") == strlen(what) && strlen(what) < 19;
}

bool
is_set_name(const char *what)
{
	return strlen(what) == 32 && strspn(what, "0123456789abcdef") == 32;
}

bool
version_copy(struct version *ret, const struct store_version *v, struct err *err)
{
	*ret = (struct version){ .number = v->number, .kept = v->kept, .here = v->here, .common = v->common, .set = v->set };
	if (v->entry != NULL) {
		uint64_t stamp;

		ret->keep = manifest_new();
		if (!core_unstamped(ret->keep, v->entry, v->entry_len, &stamp, err)) {
			manifest_free(ret->keep);
			return false;
		}
		ret->entry = &ret->keep->at[0];
	}
	if ((ret->path = strdup(v->path)) == NULL)
		abort();
	return true;
}

void
version_free(struct version *v)
{
	free(v->path);
	manifest_free(v->keep);
	*v = (struct version){ .number = 0 };
}

/* ---------------------------------------------------------------- finding */

bool
version_same(const struct version *a, const struct version *b)
{
	return strcmp(a->path, b->path) == 0 && a->here && b->here && a->entry != NULL && b->entry != NULL && a->kept == b->kept &&
	    entry_diff(a->entry, b->entry) == 0;
}

/*
 * Of the versions that stood at a path here, newest first: the first one after so many others. The same thing in a row, as a set is put down again
 * when both nodes have agreed about it, is one: the oldest of them, which says who made it.
 */
struct search { uint64_t older_than; size_t skip; struct version last, *ret; struct err *err; bool bad; };

static bool
search_one(void *arg, const struct store_version *row)
{
	struct search *s = arg;
	struct version v;

	if (!row->here || (s->older_than != 0 && row->number >= s->older_than))
		return true;
	s->bad = !version_copy(&v, row, s->err);
	if (s->bad)
		return false;
	if (s->last.number != 0 && version_same(&s->last, &v)) {
		v.common = v.common || s->last.common;
	} else if (s->last.number != 0 && s->skip-- == 0) {
		version_free(&v);
		*s->ret = s->last;
		s->last = (struct version){ .number = 0 };
		return false;
	}
	version_free(&s->last);
	s->last = v;
	return true;
}

/* ret->number 0: there is none. Takes s->last. */
static bool
search(struct store *store, const char *path, struct search *s)
{
	bool ok = store_history(store, path, NULL, SIZE_MAX, search_one, s, s->err) && !s->bad;

	if (ok && s->last.number != 0 && s->skip == 0)
		*s->ret = s->last;
	else
		version_free(&s->last);
	return ok;
}

bool
version_before(struct store *store, const struct version *v, struct version *ret, struct err *err)
{
	struct search s = { .older_than = v->number, .skip = 1, .ret = ret, .err = err };

	*ret = (struct version){ .number = 0 };
	s.last = (struct version){ .number = v->number, .path = strdup(v->path), .kept = v->kept, .here = true };
	if (s.last.path == NULL)
		abort();
	if (v->entry != NULL) {
		s.last.keep = manifest_new();
		s.last.entry = manifest_add(s.last.keep, v->entry);
	}
	return search(store, v->path, &s);
}

static bool
by_number(void *arg, const struct store_version *v)
{
	struct search *s = arg;

	s->bad = !version_copy(s->ret, v, s->err);
	return false;
}

/* "PATH@N", where it is one: N, and the path in buf. */
static bool
counted(const char *what, char *buf, size_t size, size_t *ret)
{
	const char *at = strrchr(what, '@');

	if (at == NULL || at[1] == '\0' || strlen(at + 1) > 9 || strspn(at + 1, "0123456789") != strlen(at + 1) ||
	    snprintf(buf, size, "%.*s", (int)(at - what), what) >= (int)size)
		return false;
	*ret = strtoul(at + 1, NULL, 10);
	return true;
}

bool
version_find(struct store *store, const char *what, struct version *ret, struct version *before, struct err *err)
{
	struct search s = { .ret = ret, .err = err };
	char path[ENTRY_PATH_MAX + 1];
	size_t n = 0;

	if (is_number(what)) {
		if (!store_version(store, strtoull(what, NULL, 10), by_number, &s, err))
			return false;
		return !s.bad && (before == NULL || version_before(store, ret, before, err));
	}
	what += strspn(what, "/");
	*ret = (struct version){ .number = 0 };
	if (!search(store, what, &s))
		return false;
	if (ret->number == 0 && counted(what, path, sizeof path, &n) &&
	    !search(store, path, &(struct search){ .skip = n, .ret = ret, .err = err }))
		return false;
	if (ret->number == 0)
		return err_set(err, ENOENT, n > 0 ? "/%.300s: there are not so many versions of it" : "/%.300s: no version of it is kept", n > 0 ? path : what);
	return before == NULL || version_before(store, ret, before, err);
}

/* ---------------------------------------------------------------- printing */

void
version_json(struct json *j, const char *key, const struct version *v)
{
	char hex[DIGEST_HEX], at[CLOCK_RFC3339_MAX], mode[8], *path;

	if (v->number == 0) {
		json_null(j, key);
		return;
	}
	json_object(j, key);
	json_uint(j, "version", v->number);
	if (asprintf(&path, "/%s", v->path) == -1)
		abort();
	json_string(j, "path", path);
	free(path);
	json_string(j, "set", v->set.name);
	json_string(j, "at", clock_rfc3339_ms(v->set.wall_ms, at));
	json_string(j, "node", v->set.node);
	json_string(j, "who", v->set.who[0] != '\0' ? v->set.who : NULL);
	json_string(j, "cause", cause_word[v->set.cause]);
	json_string(j, "why", v->set.why);
	json_uint(j, "tenure", v->set.tenure);
	json_bool(j, "here", v->here);
	json_bool(j, "common", v->common);
	json_bool(j, "kept", v->kept);
	json_string(j, "type", v->entry == NULL ? NULL : entry_type_word(v->entry->type));
	if (v->entry != NULL) {
		snprintf(mode, sizeof mode, "%04o", v->entry->mode);
		json_string(j, "mode", mode);
		json_string(j, "user", v->entry->user.name);
		json_string(j, "group", v->entry->group.name);
		json_uint(j, "size", v->entry->size);
		if (v->entry->type == ENTRY_LINK)
			json_string(j, "target", v->entry->target);
		if (v->entry->type == ENTRY_FILE)
			json_string(j, "sha256", digest_hex(v->entry->digest, DIGEST_LEN, hex));
	}
	json_object_end(j);
}

void
version_set_text(FILE *to, const struct store_set *set)
{
	char at[CLOCK_RFC3339_MAX], who[2 * STORE_NAME_MAX], why[600];

	fprintf(to, "set %s  %s  %s on %s", set->name, clock_rfc3339(set->wall_ms, at), cause_word[set->cause], set->node);
	if (set->who[0] != '\0')
		fprintf(to, " by %s", utf8_shown(set->who, who, sizeof who));
	if (set->tenure > 0)
		fprintf(to, ", tenure %" PRIu64, set->tenure);
	fprintf(to, "%s%s\n", set->why[0] != '\0' ? ": " : "", utf8_shown(set->why, why, sizeof why));
}

void
version_text(FILE *to, const struct version *v)
{
	char path[SHOWN_MAX], target[SHOWN_MAX];

	fprintf(to, "%8" PRIu64 "  %s", v->number, shown(v->path, path, sizeof path));
	if (v->entry == NULL)
		fputs("  removed", to);
	else if (v->entry->type == ENTRY_FILE)
		fprintf(to, "  %" PRIu64 " bytes, %04o %s:%s%s", v->entry->size, v->entry->mode, v->entry->user.name, v->entry->group.name,
		    v->kept ? "" : ", content not kept");
	else if (v->entry->type == ENTRY_LINK)
		fprintf(to, "  -> %s", utf8_shown(v->entry->target, target, sizeof target));
	else
		fprintf(to, "  %s, %04o %s:%s", entry_type_word(v->entry->type), v->entry->mode, v->entry->user.name, v->entry->group.name);
	fprintf(to, "%s%s\n", v->here ? "" : "  [the other side of a conflict]", v->common ? "  [both nodes]" : "");
}
