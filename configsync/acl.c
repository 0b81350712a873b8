/*
 * configsync/acl.c - ACLs as lists of names instead of numbers. Pure.
 */
#include "configsync/acl.h"

#include <string.h>

#define VERSION 2u
#define TAG_USER 0x02u		/* a named one; so is TAG_GROUP. The rest have no id. */
#define TAG_GROUP 0x08u
#define TAGS 0x3fu		/* each tag is one bit */
#define NO_ID UINT32_MAX	/* what the kernel has where an id means nothing */

bool
acl_is_name(const char *xattr)
{
	return strcmp(xattr, ACL_ACCESS) == 0 || strcmp(xattr, ACL_DEFAULT) == 0;
}

static bool
tag_ok(unsigned int tag, unsigned int perm)
{
	return tag != 0 && (tag & ~TAGS) == 0 && (tag & (tag - 1)) == 0 && perm <= 7;
}

static bool
tag_named(unsigned int tag)
{
	return tag == TAG_USER || tag == TAG_GROUP;
}

bool
acl_next(const uint8_t *bytes, size_t len, size_t *at, struct acl_one *ret)
{
	const uint8_t *p = bytes + *at;

	if (len - *at < 7 || !tag_ok(p[0], p[1]) || len - *at - 7 < p[6])
		return false;
	ret->tag = p[0];
	ret->perm = p[1];
	ret->id = (uint32_t)p[2] << 24 | (uint32_t)p[3] << 16 | (uint32_t)p[4] << 8 | p[5];
	ret->name_len = p[6];
	ret->name = (const char *)p + 7;
	if (!tag_named(ret->tag) && (ret->id != 0 || ret->name_len != 0))
		return false;
	if (memchr(ret->name, '\0', ret->name_len) != NULL)
		return false;
	*at += 7u + ret->name_len;
	return true;
}

bool
acl_ok(const uint8_t *bytes, size_t len)
{
	struct acl_one one;
	size_t at = 0;

	while (at < len && acl_next(bytes, len, &at, &one))
		;
	return len != 0 && at == len;
}

/* As owners are compared: by name, or by number where a name is missing. */
bool
acl_same(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
	size_t a_at = 0, b_at = 0;
	struct acl_one x, y;

	while (a_at < a_len && b_at < b_len) {
		if (!acl_next(a, a_len, &a_at, &x) || !acl_next(b, b_len, &b_at, &y) || x.tag != y.tag || x.perm != y.perm)
			return false;
		if (x.name_len != 0 && y.name_len != 0) {
			if (x.name_len != y.name_len || memcmp(x.name, y.name, x.name_len) != 0)
				return false;
		} else if (x.id != y.id) {
			return false;
		}
	}
	return a_at == a_len && b_at == b_len;
}

size_t
acl_from_kernel(const uint8_t *bytes, size_t len, acl_name_f *name_of, void *arg, uint8_t *to, size_t room)
{
	size_t used = 0;

	if (len < 4 || (len - 4) % 8 != 0 || bytes[0] != VERSION || bytes[1] != 0 || bytes[2] != 0 || bytes[3] != 0)
		return 0;
	for (size_t at = 4; at < len; at += 8) {
		unsigned int tag = bytes[at] | (unsigned int)bytes[at + 1] << 8;
		unsigned int perm = bytes[at + 2] | (unsigned int)bytes[at + 3] << 8;
		uint32_t id = (uint32_t)bytes[at + 7] << 24 | (uint32_t)bytes[at + 6] << 16 | (uint32_t)bytes[at + 5] << 8 | bytes[at + 4];
		const char *name = "";
		size_t name_len;

		if (!tag_ok(tag, perm))
			return 0;
		if (tag_named(tag))
			name = name_of(arg, tag == TAG_GROUP, id);
		else
			id = 0;
		if ((name_len = strlen(name)) > 255)
			name_len = 0;
		if (room - used < 7 + name_len)
			return 0;
		memcpy(to + used, (uint8_t[]){ (uint8_t)tag, (uint8_t)perm, (uint8_t)(id >> 24), (uint8_t)(id >> 16),
		    (uint8_t)(id >> 8), (uint8_t)id, (uint8_t)name_len }, 7);
		memcpy(to + used + 7, name, name_len);
		used += 7 + name_len;
	}
	return used;
}

size_t
acl_to_kernel(const uint8_t *bytes, size_t len, acl_id_f *id_of, void *arg, uint8_t *to, size_t room)
{
	size_t used = 4, at = 0;
	struct acl_one one;

	if (room < 4)
		return 0;
	memcpy(to, (uint8_t[]){ VERSION, 0, 0, 0 }, 4);
	while (at < len) {
		uint32_t id = NO_ID;
		char name[256];

		if (!acl_next(bytes, len, &at, &one) || room - used < 8)
			return 0;
		memcpy(name, one.name, one.name_len);
		name[one.name_len] = '\0';
		if (tag_named(one.tag) && !id_of(arg, one.tag == TAG_GROUP, name, one.id, &id))
			return 0;
		memcpy(to + used, (uint8_t[]){ one.tag, 0, one.perm, 0, (uint8_t)id, (uint8_t)(id >> 8), (uint8_t)(id >> 16),
		    (uint8_t)(id >> 24) }, 8);
		used += 8;
	}
	return used > 4 ? used : 0;
}
