/*
 * configsync/manifest_wire.c - manifests as bytes, and back: strictly, so that one tree has one form and nothing else is
 * accepted. Pure.
 */
#include "configsync/manifest_wire.h"

#include <stdlib.h>
#include <string.h>

#include "configsync/acl.h"
#include "configsync/arena.h"

#define MAGIC "mpconf"
#define VERSION 1u
#define HEAD 12u		/* magic, version, count */
#define ENTRY_LEAST 45u		/* length of the shortest entry with its length before it: a bound for the count */
#define FLAG_SPARSE 1u

enum form { FORM_WIRE, FORM_COMPARED };

/* ---------------------------------------------------------------- writing */

struct out { uint8_t *at; size_t len, room; };

static uint8_t *
out_room(struct out *o, size_t len)
{
	if (o->room - o->len < len) {
		while (o->room - o->len < len)
			o->room = o->room == 0 ? 512 : 2 * o->room;
		o->at = need(realloc(o->at, o->room));
	}
	o->len += len;
	return o->at + o->len - len;
}

static void
put(struct out *o, uint64_t value, unsigned int len)
{
	uint8_t *to = out_room(o, len);

	while (len-- > 0) {
		to[len] = (uint8_t)value;
		value >>= 8;
	}
}

static void
put_bytes(struct out *o, const void *bytes, size_t len, unsigned int of_len)
{
	if (of_len > 0)
		put(o, len, of_len);
	if (len > 0)
		memcpy(out_room(o, len), bytes, len);
}

static void
put_text(struct out *o, const char *text)
{
	put_bytes(o, text, strlen(text), 2);
}

static void
put_owner_id(struct out *o, const struct entry_owner *owner, enum form form)
{
	put(o, form == FORM_COMPARED && owner->name[0] != '\0' ? 0 : owner->id, 4);
}

static void
put_xattr(struct out *o, const struct entry_xattr *x, enum form form)
{
	struct acl_one one;
	size_t at = 0;

	put_text(o, x->name);
	if (form == FORM_WIRE || !acl_is_name(x->name)) {
		put_bytes(o, x->value, x->len, 4);
		return;
	}
	put(o, x->len, 4);
	while (at < x->len && acl_next(x->value, x->len, &at, &one)) {
		put(o, one.tag, 1);
		put(o, one.perm, 1);
		put(o, one.name_len != 0 ? 0 : one.id, 4);
		put_bytes(o, one.name, one.name_len, 1);
	}
}

static void
put_entry(struct out *o, const struct entry *e, enum form form)
{
	put(o, e->type, 1);
	put(o, form == FORM_WIRE && e->sparse ? FLAG_SPARSE : 0, 1);
	put(o, e->mode, 2);
	put(o, e->size, 8);
	put(o, (uint64_t)e->mtime_s, 8);
	put(o, e->mtime_ns, 4);
	put_owner_id(o, &e->user, form);
	put_owner_id(o, &e->group, form);
	put_text(o, e->path);
	put_text(o, e->user.name);
	put_text(o, e->group.name);
	if (e->type == ENTRY_FILE) {
		put_bytes(o, e->digest, DIGEST_LEN, 0);
		put_text(o, e->hard == NULL ? "" : e->hard);
	} else if (e->type == ENTRY_LINK) {
		put_text(o, e->target);
	}
	put(o, e->xattrs, 2);
	for (uint32_t i = 0; i < e->xattrs; i++)
		put_xattr(o, &e->xattr[i], form);
}

uint8_t *
manifest_encode_entry(const struct entry *e, size_t *ret_len)
{
	struct out o = { 0 };

	put_entry(&o, e, FORM_WIRE);
	*ret_len = o.len;
	return o.at;
}

uint8_t *
manifest_encode(const struct manifest *m, size_t *ret_len)
{
	uint8_t digest[DIGEST_LEN];
	struct out o = { 0 };

	put_bytes(&o, MAGIC, strlen(MAGIC), 0);
	put(&o, VERSION, 2);
	put(&o, m->len, 4);
	for (size_t i = 0; i < m->len; i++) {
		size_t before = o.len, len;

		put(&o, 0, 4);
		put_entry(&o, &m->at[i], FORM_WIRE);
		len = o.len - before - 4;
		for (unsigned int k = 0; k < 4; k++)
			o.at[before + k] = (uint8_t)(len >> (24 - 8 * k));
	}
	digest_sha256(o.at, o.len, digest);
	put_bytes(&o, digest, DIGEST_LEN, 0);
	*ret_len = o.len;
	return o.at;
}

void
manifest_digest(const struct manifest *m, uint8_t ret[DIGEST_LEN])
{
	struct digest_stream *stream = digest_stream_new();
	struct out o = { 0 };

	for (size_t i = 0; i < m->len; i++) {
		o.len = 0;
		put_entry(&o, &m->at[i], FORM_COMPARED);
		digest_stream_add(stream, o.at, o.len);
	}
	free(o.at);
	digest_stream_end(stream, ret);
}

/* ---------------------------------------------------------------- reading */

/* bad: what is wrong, NULL as long as nothing is. Reading goes on without effect then. */
struct in { const uint8_t *at; size_t left; const char *bad; };

static uint64_t
get(struct in *in, unsigned int len)
{
	uint64_t value = 0;

	if (in->bad == NULL && in->left < len)
		in->bad = "cut short";
	if (in->bad != NULL)
		return 0;
	for (unsigned int i = 0; i < len; i++)
		value = value << 8 | in->at[i];
	in->at += len;
	in->left -= len;
	return value;
}

static const uint8_t *
get_bytes(struct in *in, size_t len)
{
	static const uint8_t none[DIGEST_LEN];

	if (in->bad == NULL && in->left < len)
		in->bad = "cut short";
	if (in->bad != NULL)
		return none;
	in->at += len;
	in->left -= len;
	return in->at - len;
}

/* At least least and at most most bytes, no NUL among them, copied to buf. */
static const char *
get_text(struct in *in, size_t least, size_t most, char *buf, const char *what)
{
	size_t len = get(in, 2);
	const uint8_t *bytes;

	buf[0] = '\0';
	if (in->bad == NULL && (len < least || len > most))
		in->bad = what;
	bytes = get_bytes(in, in->bad == NULL ? len : 0);
	if (in->bad == NULL && len > 0 && memchr(bytes, '\0', len) != NULL)
		in->bad = what;
	if (in->bad == NULL) {
		memcpy(buf, bytes, len);
		buf[len] = '\0';
	}
	return buf;
}

/* Buffers of one entry while it is read; manifest_add() makes the copies that stay. */
struct reading {
	struct entry		 e;
	char			 path[ENTRY_PATH_MAX + 1], hard[ENTRY_PATH_MAX + 1], target[ENTRY_TARGET_MAX + 1];
	char			 user[ENTRY_OWNER_MAX + 1], group[ENTRY_OWNER_MAX + 1];
	struct entry_xattr	 xattr[ENTRY_XATTRS_MAX];
	char			 xattr_name[ENTRY_XATTRS_MAX][ENTRY_NAME_MAX + 1];
};

/* Nothing that an installer must not set: capabilities are setuid by another name, trusted.* is the system's. */
static bool
xattr_name_ok(const char *name)
{
	return (strncmp(name, "user.", 5) == 0 && name[5] != '\0') || strncmp(name, "trusted.", 8) == 0 ||
	    strcmp(name, "security.selinux") == 0 || acl_is_name(name);
}

static void
read_xattrs(struct in *in, struct reading *r)
{
	uint64_t count = get(in, 2);

	if (count > ENTRY_XATTRS_MAX)
		in->bad = "too many extended attributes";
	for (uint64_t i = 0; i < count && in->bad == NULL; i++) {
		struct entry_xattr *x = &r->xattr[i];

		x->name = get_text(in, 1, ENTRY_NAME_MAX, r->xattr_name[i], "bad name of an extended attribute");
		x->len = (uint32_t)get(in, 4);
		if (in->bad == NULL && x->len > ENTRY_XATTR_MAX)
			in->bad = "extended attribute too long";
		x->value = get_bytes(in, in->bad == NULL ? x->len : 0);
		if (in->bad != NULL)
			return;
		if (!xattr_name_ok(x->name) || (i > 0 && strcmp(x[-1].name, x->name) >= 0))
			in->bad = "extended attribute of a kind that is not carried, or out of order";
		else if (acl_is_name(x->name) && !acl_ok(x->value, x->len))
			in->bad = "malformed ACL";
	}
	r->e.xattr = r->xattr;
	r->e.xattrs = (uint32_t)count;
}

static void
read_head(struct in *in, struct reading *r)
{
	struct entry *e = &r->e;
	uint64_t type = get(in, 1), flags = get(in, 1), mode = get(in, 2);

	e->size = get(in, 8);
	e->mtime_s = (int64_t)get(in, 8);
	e->mtime_ns = (uint32_t)get(in, 4);
	e->user.id = (uint32_t)get(in, 4);
	e->group.id = (uint32_t)get(in, 4);
	if (in->bad != NULL)
		return;
	if (type == ENTRY_NONE || type >= ENTRY_COUNT)
		in->bad = "unknown type";
	else if (flags > FLAG_SPARSE || (flags != 0 && type != ENTRY_FILE))
		in->bad = "unknown flags";
	else if (mode > 07777 || (type == ENTRY_LINK && mode != 0777))
		in->bad = "impossible mode";
	else if (e->mtime_ns > 999999999 || e->size > INT64_MAX || (type != ENTRY_FILE && e->size != 0))
		in->bad = "impossible size or time";
	e->type = (enum entry_type)type;
	e->sparse = flags != 0;
	e->mode = (uint16_t)mode;
}

static bool
other_is_bare(const struct entry *e)
{
	return e->mode == 0 && e->mtime_s == 0 && e->mtime_ns == 0 && e->user.id == 0 && e->group.id == 0 &&
	    e->user.name[0] == '\0' && e->group.name[0] == '\0' && e->xattrs == 0;
}

static void
read_entry(struct in *in, struct reading *r)
{
	struct entry *e = &r->e;

	memset(e, 0, sizeof *e);
	read_head(in, r);
	e->path = get_text(in, 1, ENTRY_PATH_MAX, r->path, "bad path");
	if (in->bad == NULL && !entry_path_ok(e->path))
		in->bad = "path that is absolute, has an empty component, \".\" or \"..\", or is too long";
	e->user.name = get_text(in, 0, ENTRY_OWNER_MAX, r->user, "bad name of an owner");
	e->group.name = get_text(in, 0, ENTRY_OWNER_MAX, r->group, "bad name of a group");
	if (in->bad == NULL && e->type == ENTRY_FILE) {
		memcpy(e->digest, get_bytes(in, DIGEST_LEN), DIGEST_LEN);
		get_text(in, 0, ENTRY_PATH_MAX, r->hard, "bad hard link");
		e->hard = r->hard[0] == '\0' ? NULL : r->hard;
	} else if (in->bad == NULL && e->type == ENTRY_LINK) {
		e->target = get_text(in, 1, ENTRY_TARGET_MAX, r->target, "bad target of a symbolic link");
	}
	read_xattrs(in, r);
	if (in->bad == NULL && e->type == ENTRY_OTHER && !other_is_bare(e))
		in->bad = "says more of a thing that is not carried than that it is there";
	if (in->bad == NULL && in->left != 0)
		in->bad = "bytes behind its end";
}

/* Every group has its first path as leader, all share one file, and there are at least two of them. */
static const char *
hard_links_wrong(const struct manifest *m)
{
	const char *wrong = NULL;
	uint8_t *shared = need(calloc(m->len + 1, 1));

	for (size_t i = 0; i < m->len && wrong == NULL; i++) {
		const struct entry *e = &m->at[i];
		size_t leader = e->hard == NULL ? i : manifest_place(m, e->hard);

		if (e->hard == NULL || leader == i)
			continue;
		if (leader > i || strcmp(m->at[leader].path, e->hard) != 0 || m->at[leader].hard == NULL ||
		    strcmp(m->at[leader].hard, e->hard) != 0 || entry_diff(e, &m->at[leader]) != 0)
			wrong = "hard link to a file that is another one";
		shared[leader] = 1;
	}
	for (size_t i = 0; i < m->len && wrong == NULL; i++) {
		if (m->at[i].hard != NULL && strcmp(m->at[i].hard, m->at[i].path) == 0 && !shared[i])
			wrong = "group of hard links with one name";
	}
	free(shared);
	return wrong;
}

static bool
read_entries(struct manifest *m, struct in *in, uint64_t count, struct err *err)
{
	struct reading *r = need(malloc(sizeof *r));
	uint64_t i = 0;

	for (; i < count && in->bad == NULL; i++) {
		size_t len = get(in, 4);
		struct in one = { .at = get_bytes(in, len), .left = len };

		if (in->bad != NULL)
			break;
		read_entry(&one, r);
		in->bad = one.bad;
		if (in->bad == NULL && m->len > 0 && entry_path_order(m->at[m->len - 1].path, r->path) >= 0)
			in->bad = "path out of order";
		if (in->bad == NULL)
			manifest_add(m, &r->e);
	}
	free(r);
	if (in->bad == NULL && in->left != 0)
		return err_set(err, 0, "manifest: %zu bytes behind the last entry", in->left);
	return in->bad == NULL ||
	    err_set(err, 0, "manifest: entry %llu of %llu: %s", (unsigned long long)i, (unsigned long long)count, in->bad);
}

struct manifest *
manifest_parse(const uint8_t *bytes, size_t len, const struct manifest_limits *limits, struct err *err)
{
	struct in in = { .at = bytes, .left = len };
	uint8_t digest[DIGEST_LEN];
	struct manifest *m;
	const char *wrong;
	uint64_t count;

	if (len > limits->bytes)
		return err_set(err, 0, "manifest of %zu bytes: at most %zu are taken", len, limits->bytes), NULL;
	if (len < HEAD + DIGEST_LEN || memcmp(get_bytes(&in, strlen(MAGIC)), MAGIC, strlen(MAGIC)) != 0)
		return err_set(err, 0, "%zu bytes that are no manifest", len), NULL;
	if ((count = get(&in, 2)) != VERSION)
		return err_set(err, 0, "manifest of version %u, this program knows %u", (unsigned int)count, VERSION), NULL;
	digest_sha256(bytes, len - DIGEST_LEN, digest);
	if (!digest_equal(digest, bytes + len - DIGEST_LEN, DIGEST_LEN))
		return err_set(err, 0, "manifest of %zu bytes whose checksum is wrong", len), NULL;
	in.left -= DIGEST_LEN;
	count = get(&in, 4);
	if (count > limits->entries || count > in.left / ENTRY_LEAST)
		return err_set(err, 0, "manifest of %llu entries in %zu bytes: at most %zu are taken", (unsigned long long)count,
		    len, limits->entries), NULL;
	m = manifest_new();
	if (!read_entries(m, &in, count, err) || !manifest_seal(m, err)) {
		manifest_free(m);
		return NULL;
	}
	if ((wrong = hard_links_wrong(m)) != NULL) {
		err_set(err, 0, "manifest: %s", wrong);
		manifest_free(m);
		return NULL;
	}
	return m;
}

bool
manifest_parse_entry(struct manifest *m, const uint8_t *bytes, size_t len, struct err *err)
{
	struct in in = { .at = bytes, .left = len };
	struct reading *r = need(malloc(sizeof *r));

	read_entry(&in, r);
	if (in.bad == NULL)
		manifest_add(m, &r->e);
	free(r);
	return in.bad == NULL || err_set(err, 0, "entry of %zu bytes: %s", len, in.bad);
}
