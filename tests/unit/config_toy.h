/*
 * tests/unit/config_toy.h - small random trees, in which everything happens soon: three names, four depths, few contents, all
 * types, hard links, ACLs. The same seed gives the same tree.
 */
#ifndef TESTS_UNIT_CONFIG_TOY_H
#define TESTS_UNIT_CONFIG_TOY_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "configsync/manifest.h"

/* In all that is compared. */
static inline bool
toy_same(const struct manifest *a, const struct manifest *b)
{
	bool same = a->len == b->len;

	for (size_t i = 0; same && i < a->len; i++)
		same = strcmp(a->at[i].path, b->at[i].path) == 0 && entry_diff(&a->at[i], &b->at[i]) == 0;
	return same;
}

struct toy { uint64_t state; };

static inline unsigned int
toy_below(struct toy *t, unsigned int n)
{
	t->state ^= t->state << 13;
	t->state ^= t->state >> 7;
	t->state ^= t->state << 17;
	return (unsigned int)((t->state >> 33) % n);
}

static inline struct toy
toy_of(uint64_t seed)
{
	struct toy t = { seed * 0x9e3779b97f4a7c15u + 0x1234567u };

	for (int i = 0; i < 4; i++)
		toy_below(&t, 2);
	return t;
}

static const struct entry_xattr toy_xattr[] = {
	{ "security.selinux", (const uint8_t *)"a:b:c:s0", 9 },
	{ "system.posix_acl_access", (const uint8_t *)"\x01\x06\0\0\0\0\0" "\x02\x04\0\0\x03\xe8\x02" "bo" "\x04\x04\0\0\0\0\0"
	    "\x10\x04\0\0\0\0\0" "\x20\0\0\0\0\0\0", 37 },
	{ "user.note", (const uint8_t *)"\0x", 2 },
};

/* Any entry for a path; ino from 1 to 3 is shared by all files that have it, with their content. */
static inline struct entry
toy_entry(struct toy *t, const char *path, bool only_directory)
{
	static const char *const owner[] = { "root", "mail", "" };
	static const char *const target[] = { "a", "../b", "/etc/c" };
	struct entry e = { .path = path, .type = only_directory ? ENTRY_DIRECTORY : (enum entry_type)(1 + toy_below(t, 3)) };
	unsigned int what = toy_below(t, 5), who = toy_below(t, 3);

	e.mode = e.type == ENTRY_LINK ? 0777 : (uint16_t[]){ 0600, 0644, 04755 }[toy_below(t, 3)];
	e.user = e.group = (struct entry_owner){ owner[who], who * 100 };
	e.mtime_s = 1000 + toy_below(t, 3);
	e.mtime_ns = toy_below(t, 2) * 999999999;
	if (toy_below(t, 4) == 0) {
		e.xattr = toy_xattr + toy_below(t, 3);
		e.xattrs = 1;
	}
	e.local.dev = 1;
	e.local.links = 1;
	if (e.type == ENTRY_FILE) {
		if (toy_below(t, 4) == 0) {	/* a name of a shared file: all about it follows from its number */
			what = toy_below(t, 3);
			e.mode = 0640;
			e.user = e.group = (struct entry_owner){ "root", 0 };
			e.mtime_s = 2000 + what;
			e.mtime_ns = e.xattrs = 0;
			e.xattr = NULL;
			e.local.ino = what + 1;
			e.local.links = 3;
		}
		e.size = what;
		digest_sha256(&what, sizeof what, e.digest);
	} else if (e.type == ENTRY_LINK) {
		e.target = target[what % 3];
	}
	return e;
}

static inline void
toy_fill(struct manifest *m, struct toy *t, const char *above, unsigned int depth)
{
	for (const char *name = "ab-"; *name != '\0'; name++) {
		char path[64];
		struct entry e;

		if (toy_below(t, 3) == 0)
			continue;
		snprintf(path, sizeof path, "%.40s%s%s%c", above, *above == '\0' ? "" : "/", *name == '-' ? "a" : "", *name);
		e = toy_entry(t, path, depth == 0);
		manifest_add(m, &e);
		if (e.type == ENTRY_DIRECTORY && depth < 3)
			toy_fill(m, t, path, depth + 1);
	}
}

static inline struct manifest *
toy_sealed(struct manifest *m)
{
	struct err err;

	if (!manifest_seal(m, &err)) {
		fprintf(stderr, "toy: %s\n", err.text);
		abort();
	}
	return m;
}

static inline struct manifest *
toy_tree(uint64_t seed)
{
	struct manifest *m = manifest_new();
	struct toy t = toy_of(seed);

	toy_fill(m, &t, "", 0);
	return toy_sealed(m);
}

/* The same tree with some entries gone, changed, or other ones below them. */
static inline struct manifest *
toy_changed(const struct manifest *from, uint64_t seed, unsigned int one_in)
{
	struct manifest *m = manifest_new();
	struct toy t = toy_of(seed);

	for (size_t i = 0; i < from->len; i++) {
		const char *path = from->at[i].path;
		struct entry e;

		if (toy_below(&t, one_in) != 0) {
			e = from->at[i];
			e.hard = NULL;
			manifest_add(m, &e);
			continue;
		}
		e = toy_entry(&t, path, strchr(path, '/') == NULL);
		if (toy_below(&t, 3) != 0)
			manifest_add(m, &e);
		if (from->at[i].type == ENTRY_DIRECTORY) {
			while (i + 1 < from->len && entry_path_within(from->at[i + 1].path, path))
				i++;
		}
		if (m->len > 0 && strcmp(m->at[m->len - 1].path, path) == 0 && e.type == ENTRY_DIRECTORY)
			toy_fill(m, &t, path, 2);
	}
	return toy_sealed(m);
}

#endif
