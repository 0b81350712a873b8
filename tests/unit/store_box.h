/*
 * tests/unit/store_box.h - stores of versions in a directory of their own, sets put with few words.
 */
#ifndef TESTS_UNIT_STORE_BOX_H
#define TESTS_UNIT_STORE_BOX_H

#include "configsync/store.h"
#include "tests/unit/journal_box.h"

static struct store_news news;

static inline void
clean_store(void)
{
	clean();
	unlink("config.key");
}

static inline struct store *
store_of(bool write)
{
	struct store *s = NULL;

	ck_assert_msg(store_open(DB, write, &s, &news, &err), "%s", err.text);
	return s;
}

static inline struct store_set
set_of(const char *name, enum store_cause cause, uint64_t wall_ms)
{
	struct store_set set = { .node = "mx1", .who = "root", .why = "because", .cause = cause, .wall_ms = wall_ms, .tenure = 3 };

	snprintf(set.name, sizeof(set.name), "%s", name);
	return set;
}

/* A change of path to these bytes (NULL: removed), whose entry is the bytes as well; false as store_add_bytes() says. */
static inline bool
change_to(struct store *s, struct store_change *c, uint8_t digest[DIGEST_LEN], const char *path, const char *bytes)
{
	*c = (struct store_change){ .path = path };
	if (bytes == NULL)
		return true;
	digest_sha256(bytes, strlen(bytes), digest);
	c->entry = (const uint8_t *)bytes;
	c->entry_len = strlen(bytes);
	c->digest = digest;
	return store_add_bytes(s, digest, bytes, strlen(bytes), &err);
}

static inline bool
put_one(struct store *s, const char *set, uint64_t wall_ms, const char *path, const char *bytes)
{
	struct store_set as = set_of(set, STORE_EDIT, wall_ms);
	uint8_t digest[DIGEST_LEN];
	struct store_change c;

	return change_to(s, &c, digest, path, bytes) && store_put(s, &as, &c, 1, &err);
}

static inline void
must_put(struct store *s, const char *set, uint64_t wall_ms, const char *path, const char *bytes)
{
	ck_assert_msg(put_one(s, set, wall_ms, path, bytes), "%s", err.text);
}

/* A conflict about path between two contents. */
static inline void
dispute(struct store *s, const char *set, uint64_t wall_ms, const char *path, const char *mine, const char *theirs)
{
	struct store_set as = set_of(set, STORE_CONFLICT, wall_ms);
	struct store_dispute d = { .kind = 2 };
	uint8_t digest[2][DIGEST_LEN];

	ck_assert(change_to(s, &d.mine, digest[0], path, mine) && change_to(s, &d.theirs, digest[1], path, theirs));
	ck_assert_msg(store_dispute(s, &as, &d, 1, &err), "%s", err.text);
}

/* "path=entry " of each version or step, in order; "-" is a deletion; behind it * for common, ! for the other side. */
struct told { char text[4096]; size_t n; uint64_t number; bool kept; struct store_set set; };

static inline void
tell(struct told *t, const char *path, const void *entry, size_t len, const char *marks)
{
	size_t at = strlen(t->text);

	snprintf(t->text + at, sizeof(t->text) - at, "%s=%.*s%s ", path, entry != NULL ? (int)len : 1,
	    entry != NULL ? (const char *)entry : "-", marks);
	t->n++;
}

static inline bool
tell_version(void *arg, const struct store_version *v)
{
	struct told *t = arg;

	t->number = v->number;
	t->kept = v->kept;
	t->set = v->set;
	tell(t, v->path, v->entry, v->entry_len, v->common ? v->here ? "*" : "*!" : v->here ? "" : "!");
	return true;
}

static inline const char *
history(struct store *s, const char *path, const char *set)
{
	static struct told t;

	t = (struct told){ .n = 0 };
	ck_assert_msg(store_history(s, path, set, SIZE_MAX, tell_version, &t, &err), "%s", err.text);
	return t.text;
}

static inline bool
collect_bytes(void *arg, const void *bytes, size_t len)
{
	struct told *t = arg;
	size_t at = strlen(t->text);

	snprintf(t->text + at, sizeof(t->text) - at, "%.*s", (int)len, (const char *)bytes);
	t->n += len;
	return true;
}

/* NULL with err. */
static inline const char *
content(struct store *s, const char *bytes)
{
	static struct told t;
	uint8_t digest[DIGEST_LEN];

	t = (struct told){ .n = 0 };
	digest_sha256(bytes, strlen(bytes), digest);
	return store_read(s, digest, collect_bytes, &t, &err) ? t.text : NULL;
}

static inline struct store_totals
totals(struct store *s)
{
	struct store_totals t;

	ck_assert_msg(store_totals(s, &t, &err), "%s", err.text);
	return t;
}

static inline int
store_boxed(Suite *s)
{
	char dir[UNIT_DIR_MAX];
	int failed;

	if (!unit_dir(dir, "test_store") || chdir(dir) == -1)
		return 1;
	failed = unit_main(s);
	clean_store();
	if (chdir("/") == -1 || rmdir(dir) == -1)
		return 1;
	return failed;
}

#endif
