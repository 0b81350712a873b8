/*
 * configsync/entry.c - comparing entries and judging paths. Pure.
 */
#include "configsync/entry.h"

#include <string.h>

#include "configsync/acl.h"

const char *
entry_type_word(enum entry_type type)
{
	switch (type) {
	case ENTRY_FILE:
		return "file";
	case ENTRY_DIRECTORY:
		return "directory";
	case ENTRY_LINK:
		return "symbolic link";
	case ENTRY_OTHER:
		return "other thing";
	case ENTRY_NONE:
	case ENTRY_COUNT:
		break;
	}
	return "nothing";
}

/* ---------------------------------------------------------------- paths */

/* A slash sorts below every other byte, or "a-b" would stand between "a" and "a/b". */
static unsigned int
weight(unsigned char c)
{
	return c == '/' ? 1u : c == '\0' ? 0u : c + 1u;
}

int
entry_path_order(const char *a, const char *b)
{
	while (*a == *b && *a != '\0') {
		a++;
		b++;
	}
	return (int)weight((unsigned char)*a) - (int)weight((unsigned char)*b);
}

bool
entry_path_ok(const char *path)
{
	size_t total = 0;

	for (;;) {
		size_t len = strcspn(path, "/");

		if (len == 0 || len > ENTRY_NAME_MAX || (total += len + 1) > ENTRY_PATH_MAX)
			return false;
		if (path[0] == '.' && (len == 1 || (len == 2 && path[1] == '.')))
			return false;
		if (path[len] == '\0')
			return true;
		path += len + 1;
	}
}

bool
entry_path_within(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return strncmp(path, dir, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

size_t
entry_path_parent(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? 0 : (size_t)(slash - path);
}

/* ---------------------------------------------------------------- comparing */

bool
entry_owner_same(const struct entry_owner *a, const struct entry_owner *b)
{
	if (a->name[0] != '\0' && b->name[0] != '\0')
		return strcmp(a->name, b->name) == 0;
	return a->id == b->id;
}

static bool
xattr_same(const struct entry_xattr *a, const struct entry_xattr *b)
{
	if (strcmp(a->name, b->name) != 0)
		return false;
	if (acl_is_name(a->name))
		return acl_same(a->value, a->len, b->value, b->len);
	return a->len == b->len && (a->len == 0 || memcmp(a->value, b->value, a->len) == 0);
}

static bool
xattrs_same(const struct entry *a, const struct entry *b)
{
	if (a->xattrs != b->xattrs)
		return false;
	for (uint32_t i = 0; i < a->xattrs; i++) {
		if (!xattr_same(&a->xattr[i], &b->xattr[i]))
			return false;
	}
	return true;
}

static bool
text_same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

unsigned int
entry_diff(const struct entry *a, const struct entry *b)
{
	unsigned int diff = 0;

	if (a == NULL || b == NULL)
		return a == b ? 0 : ENTRY_DIFF_TYPE;
	if (a->type != b->type)
		return ENTRY_DIFF_TYPE;
	if (a->size != b->size || memcmp(a->digest, b->digest, DIGEST_LEN) != 0 || !text_same(a->target, b->target))
		diff |= ENTRY_DIFF_CONTENT;
	if (!entry_owner_same(&a->user, &b->user) || !entry_owner_same(&a->group, &b->group))
		diff |= ENTRY_DIFF_OWNER;
	if (a->mode != b->mode)
		diff |= ENTRY_DIFF_MODE;
	if (!xattrs_same(a, b))
		diff |= ENTRY_DIFF_XATTR;
	if (!text_same(a->hard, b->hard))
		diff |= ENTRY_DIFF_HARD;
	if (a->mtime_s != b->mtime_s || a->mtime_ns != b->mtime_ns)
		diff |= ENTRY_DIFF_TIME;
	return diff;
}

/* ---------------------------------------------------------------- identity */

static void
add_number(struct digest_stream *stream, uint64_t number)
{
	uint8_t bytes[8];

	for (unsigned int i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(number >> (56 - 8 * i));
	digest_stream_add(stream, bytes, sizeof bytes);
}

static void
add_bytes(struct digest_stream *stream, const void *bytes, size_t len)
{
	add_number(stream, len);
	if (len > 0)
		digest_stream_add(stream, bytes, len);
}

static void
add_text(struct digest_stream *stream, const char *text)
{
	add_number(stream, text != NULL);
	if (text != NULL)
		add_bytes(stream, text, strlen(text));
}

static void
add_owner(struct digest_stream *stream, const struct entry_owner *owner)
{
	add_text(stream, owner->name);
	add_number(stream, owner->name[0] != '\0' ? 0 : owner->id);
}

static void
add_xattr(struct digest_stream *stream, const struct entry_xattr *x)
{
	struct acl_one one;
	size_t at = 0;

	add_text(stream, x->name);
	if (!acl_is_name(x->name)) {
		add_bytes(stream, x->value, x->len);
		return;
	}
	while (at < x->len && acl_next(x->value, x->len, &at, &one)) {
		add_number(stream, one.tag);
		add_number(stream, one.perm);
		add_number(stream, one.name_len != 0 ? 0 : one.id);
		add_bytes(stream, one.name, one.name_len);
	}
}

void
entry_identity(const struct entry *e, uint8_t ret[DIGEST_LEN])
{
	struct digest_stream *stream;

	if (e == NULL) {
		memset(ret, 0, DIGEST_LEN);
		return;
	}
	stream = digest_stream_new();
	add_number(stream, e->type);
	add_number(stream, e->mode);
	add_number(stream, e->size);
	add_bytes(stream, e->digest, DIGEST_LEN);
	add_text(stream, e->target);
	add_text(stream, e->hard);
	add_owner(stream, &e->user);
	add_owner(stream, &e->group);
	add_number(stream, e->xattrs);
	for (uint32_t i = 0; i < e->xattrs; i++)
		add_xattr(stream, &e->xattr[i]);
	digest_stream_end(stream, ret);
}
