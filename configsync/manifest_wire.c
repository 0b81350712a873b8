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

/* ---------------------------------------------------------------- writing */

static void
put_xattr(struct bytes_out *o, const struct entry_xattr *x)
{
	bytes_put_text(o, x->name);
	bytes_put_block(o, x->value, x->len, 4);
}

void
manifest_put_entry(struct bytes_out *o, const struct entry *e)
{
	bytes_put(o, e->type, 1);
	bytes_put(o, e->sparse ? FLAG_SPARSE : 0, 1);
	bytes_put(o, e->mode, 2);
	bytes_put(o, e->size, 8);
	bytes_put(o, (uint64_t)e->mtime_s, 8);
	bytes_put(o, e->mtime_ns, 4);
	bytes_put(o, e->user.id, 4);
	bytes_put(o, e->group.id, 4);
	bytes_put_text(o, e->path);
	bytes_put_text(o, e->user.name);
	bytes_put_text(o, e->group.name);
	if (e->type == ENTRY_FILE) {
		bytes_put_block(o, e->digest, DIGEST_LEN, 0);
		bytes_put_text(o, e->hard == NULL ? "" : e->hard);
	} else if (e->type == ENTRY_LINK) {
		bytes_put_text(o, e->target);
	}
	bytes_put(o, e->xattrs, 2);
	for (uint32_t i = 0; i < e->xattrs; i++)
		put_xattr(o, &e->xattr[i]);
}

uint8_t *
manifest_encode_entry(const struct entry *e, size_t *ret_len)
{
	struct bytes_out o = { 0 };

	manifest_put_entry(&o, e);
	*ret_len = o.len;
	return o.at;
}

uint8_t *
manifest_encode(const struct manifest *m, size_t *ret_len)
{
	uint8_t digest[DIGEST_LEN];
	struct bytes_out o = { 0 };

	bytes_put_block(&o, MAGIC, strlen(MAGIC), 0);
	bytes_put(&o, VERSION, 2);
	bytes_put(&o, m->len, 4);
	for (size_t i = 0; i < m->len; i++) {
		size_t begin = bytes_put_begin(&o);

		manifest_put_entry(&o, &m->at[i]);
		bytes_put_end(&o, begin);
	}
	digest_sha256(o.at, o.len, digest);
	bytes_put_block(&o, digest, DIGEST_LEN, 0);
	*ret_len = o.len;
	return o.at;
}

/* ---------------------------------------------------------------- reading */

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
read_xattrs(struct bytes_in *in, struct reading *r)
{
	uint64_t count = bytes_get(in, 2);

	if (count > ENTRY_XATTRS_MAX)
		in->bad = "too many extended attributes";
	for (uint64_t i = 0; i < count && in->bad == NULL; i++) {
		struct entry_xattr *x = &r->xattr[i];

		x->name = bytes_get_text(in, 1, ENTRY_NAME_MAX, r->xattr_name[i], "bad name of an extended attribute");
		x->len = (uint32_t)bytes_get(in, 4);
		if (in->bad == NULL && x->len > ENTRY_XATTR_MAX)
			in->bad = "extended attribute too long";
		x->value = bytes_get_block(in, in->bad == NULL ? x->len : 0);
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
read_head(struct bytes_in *in, struct reading *r)
{
	struct entry *e = &r->e;
	uint64_t type = bytes_get(in, 1), flags = bytes_get(in, 1), mode = bytes_get(in, 2);

	e->size = bytes_get(in, 8);
	e->mtime_s = (int64_t)bytes_get(in, 8);
	e->mtime_ns = (uint32_t)bytes_get(in, 4);
	e->user.id = (uint32_t)bytes_get(in, 4);
	e->group.id = (uint32_t)bytes_get(in, 4);
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
read_entry(struct bytes_in *in, struct reading *r)
{
	struct entry *e = &r->e;

	memset(e, 0, sizeof *e);
	read_head(in, r);
	e->path = bytes_get_text(in, 1, ENTRY_PATH_MAX, r->path, "bad path");
	if (in->bad == NULL && !entry_path_ok(e->path))
		in->bad = "path that is absolute, has an empty component, \".\" or \"..\", or is too long";
	e->user.name = bytes_get_text(in, 0, ENTRY_OWNER_MAX, r->user, "bad name of an owner");
	e->group.name = bytes_get_text(in, 0, ENTRY_OWNER_MAX, r->group, "bad name of a group");
	if (in->bad == NULL && e->type == ENTRY_FILE) {
		memcpy(e->digest, bytes_get_block(in, DIGEST_LEN), DIGEST_LEN);
		bytes_get_text(in, 0, ENTRY_PATH_MAX, r->hard, "bad hard link");
		e->hard = r->hard[0] == '\0' ? NULL : r->hard;
	} else if (in->bad == NULL && e->type == ENTRY_LINK) {
		e->target = bytes_get_text(in, 1, ENTRY_TARGET_MAX, r->target, "bad target of a symbolic link");
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
read_entries(struct manifest *m, struct bytes_in *in, uint64_t count, struct err *err)
{
	struct reading *r = need(malloc(sizeof *r));
	uint64_t i = 0;

	for (; i < count && in->bad == NULL; i++) {
		size_t len = bytes_get(in, 4);
		struct bytes_in one = { .at = bytes_get_block(in, len), .left = len };

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
	struct bytes_in in = { .at = bytes, .left = len };
	uint8_t digest[DIGEST_LEN];
	struct manifest *m;
	const char *wrong;
	uint64_t count;

	if (len > limits->bytes)
		return err_set(err, 0, "manifest of %zu bytes: at most %zu are taken", len, limits->bytes), NULL;
	if (len < HEAD + DIGEST_LEN || memcmp(bytes_get_block(&in, strlen(MAGIC)), MAGIC, strlen(MAGIC)) != 0)
		return err_set(err, 0, "%zu bytes that are no manifest", len), NULL;
	if ((count = bytes_get(&in, 2)) != VERSION)
		return err_set(err, 0, "manifest of version %u, this program knows %u", (unsigned int)count, VERSION), NULL;
	digest_sha256(bytes, len - DIGEST_LEN, digest);
	if (!digest_equal(digest, bytes + len - DIGEST_LEN, DIGEST_LEN))
		return err_set(err, 0, "manifest of %zu bytes whose checksum is wrong", len), NULL;
	in.left -= DIGEST_LEN;
	count = bytes_get(&in, 4);
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
	struct bytes_in in = { .at = bytes, .left = len };
	struct reading *r = need(malloc(sizeof *r));

	read_entry(&in, r);
	if (in.bad == NULL)
		manifest_add(m, &r->e);
	free(r);
	return in.bad == NULL || err_set(err, 0, "entry of %zu bytes: %s", len, in.bad);
}
