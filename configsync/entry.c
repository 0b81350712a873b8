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
	if (a == b)
		return 0;
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

/* Many small parts become few large ones: most identities are of one. */
struct parts { struct digest_stream *stream; size_t len; uint8_t bytes[512]; };

static void
add_raw(struct parts *p, const void *bytes, size_t len)
{
	if (len > sizeof p->bytes - p->len) {
		if (p->stream == NULL)
			p->stream = digest_stream_new();
		digest_stream_add(p->stream, p->bytes, p->len);
		p->len = 0;
	}
	if (len > sizeof p->bytes) {
		digest_stream_add(p->stream, bytes, len);
	} else if (len > 0) {
		memcpy(p->bytes + p->len, bytes, len);
		p->len += len;
	}
}

static void
parts_end(struct parts *p, uint8_t ret[DIGEST_LEN])
{
	if (p->stream == NULL) {
		digest_sha256(p->bytes, p->len, ret);
		return;
	}
	digest_stream_add(p->stream, p->bytes, p->len);
	digest_stream_end(p->stream, ret);
}

static void
add_number(struct parts *p, uint64_t number)
{
	uint8_t bytes[8];

	for (unsigned int i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(number >> (56 - 8 * i));
	add_raw(p, bytes, sizeof bytes);
}

static void
add_bytes(struct parts *p, const void *bytes, size_t len)
{
	add_number(p, len);
	add_raw(p, bytes, len);
}

static void
add_text(struct parts *p, const char *text)
{
	add_number(p, text != NULL);
	if (text != NULL)
		add_bytes(p, text, strlen(text));
}

static void
add_owner(struct parts *p, const struct entry_owner *owner)
{
	add_text(p, owner->name);
	add_number(p, owner->name[0] != '\0' ? 0 : owner->id);
}

static void
add_xattr(struct parts *p, const struct entry_xattr *x)
{
	struct acl_one one;
	size_t at = 0;

	add_text(p, x->name);
	if (!acl_is_name(x->name)) {
		add_bytes(p, x->value, x->len);
		return;
	}
	while (at < x->len && acl_next(x->value, x->len, &at, &one)) {
		add_number(p, one.tag);
		add_number(p, one.perm);
		add_number(p, one.name_len != 0 ? 0 : one.id);
		add_bytes(p, one.name, one.name_len);
	}
}

void
entry_identity(const struct entry *e, uint8_t ret[DIGEST_LEN])
{
	struct parts p;

	if (e == NULL) {
		memset(ret, 0, DIGEST_LEN);
		return;
	}
	p.stream = NULL;
	p.len = 0;
	add_number(&p, e->type);
	add_number(&p, e->mode);
	add_number(&p, e->size);
	add_bytes(&p, e->digest, DIGEST_LEN);
	add_text(&p, e->target);
	add_text(&p, e->hard);
	add_owner(&p, &e->user);
	add_owner(&p, &e->group);
	add_number(&p, e->xattrs);
	for (uint32_t i = 0; i < e->xattrs; i++)
		add_xattr(&p, &e->xattr[i]);
	parts_end(&p, ret);
}
