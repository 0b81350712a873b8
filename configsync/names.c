/*
 * configsync/names.c - a small memory before the name service. Used by scans and installations; may block.
 */
#include "configsync/names.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "configsync/arena.h"

/* by_id: what was asked for was the number, so that a second name of the same number does not answer for it. */
struct known { bool group, exists, by_id; uint32_t id; const char *name; };

struct names {
	struct arena	*arena;
	struct known	*at;
	size_t		 len, room;
	size_t		 last[2];	/* index of the last answer for a user and for a group: most are that one */
	char		*buf;
	size_t		 buf_size;
};

struct names *
names_new(void)
{
	struct names *n = need(calloc(1, sizeof *n));

	n->arena = arena_new();
	n->buf_size = 1024;
	n->buf = need(malloc(n->buf_size));
	return n;
}

void
names_free(struct names *n)
{
	if (n == NULL)
		return;
	arena_free(n->arena);
	free(n->at);
	free(n->buf);
	free(n);
}

static const struct known *
remember(struct names *n, struct known k)
{
	if (n->len == n->room) {
		n->room = n->room == 0 ? 16 : 2 * n->room;
		n->at = need(reallocarray(n->at, n->room, sizeof *n->at));
	}
	k.name = arena_text(n->arena, k.name);
	n->last[k.group] = n->len;
	n->at[n->len] = k;
	return &n->at[n->len++];
}

/* An entry may be longer than the buffer: groups list their members. */
static bool
too_small(struct names *n, int sys)
{
	if (sys != ERANGE || n->buf_size > 1u << 24)
		return false;
	n->buf_size *= 2;
	n->buf = need(realloc(n->buf, n->buf_size));
	return true;
}

static const char *
ask_name(struct names *n, bool group, uint32_t id)
{
	struct passwd pw, *user = NULL;
	struct group gr, *found = NULL;

	if (group) {
		while (too_small(n, getgrgid_r(id, &gr, n->buf, n->buf_size, &found)))
			;
		return found == NULL ? NULL : gr.gr_name;
	}
	while (too_small(n, getpwuid_r(id, &pw, n->buf, n->buf_size, &user)))
		;
	return user == NULL ? NULL : pw.pw_name;
}

static bool
ask_id(struct names *n, bool group, const char *name, uint32_t *ret)
{
	struct passwd pw, *user = NULL;
	struct group gr, *found = NULL;

	if (group) {
		while (too_small(n, getgrnam_r(name, &gr, n->buf, n->buf_size, &found)))
			;
		*ret = found == NULL ? 0 : gr.gr_gid;
		return found != NULL;
	}
	while (too_small(n, getpwnam_r(name, &pw, n->buf, n->buf_size, &user)))
		;
	*ret = user == NULL ? 0 : pw.pw_uid;
	return user != NULL;
}

const char *
names_of(struct names *n, bool group, uint32_t id)
{
	const char *name;

	if (n->last[group] < n->len) {
		const struct known *k = &n->at[n->last[group]];

		if (k->by_id && k->group == group && k->id == id)
			return k->name;
	}
	for (size_t i = 0; i < n->len; i++) {
		if (n->at[i].by_id && n->at[i].group == group && n->at[i].id == id) {
			n->last[group] = i;
			return n->at[i].name;
		}
	}
	name = ask_name(n, group, id);
	if (name == NULL || strlen(name) > ENTRY_OWNER_MAX)
		name = "";
	return remember(n, (struct known){ group, name[0] != '\0', true, id, name })->name;
}

void
names_again(struct names *n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n->len; i++)
		if (n->at[i].exists)
			n->at[kept++] = n->at[i];
	if (kept < n->len)
		n->last[0] = n->last[1] = kept;
	n->len = kept;
}

bool
names_find(struct names *n, bool group, const char *name, uint32_t *ret)
{
	struct known k = { .group = group, .name = name };

	for (size_t i = 0; i < n->len; i++) {
		if (!n->at[i].by_id && n->at[i].group == group && strcmp(n->at[i].name, name) == 0) {
			*ret = n->at[i].id;
			return n->at[i].exists;
		}
	}
	k.exists = ask_id(n, group, name, &k.id);
	remember(n, k);
	*ret = k.id;
	return k.exists;
}

enum names_here
names_here(struct names *n, bool group, const struct entry_owner *owner, uint32_t *ret)
{
	if (owner->name[0] != '\0' && names_find(n, group, owner->name, ret))
		return NAMES_KNOWN;
	*ret = owner->id;
	if (names_of(n, group, owner->id)[0] == '\0')
		return owner->name[0] == '\0' ? NAMES_KNOWN : NAMES_BY_NUMBER;
	return owner->name[0] == '\0' ? NAMES_BY_NUMBER : NAMES_STRANGER;
}
