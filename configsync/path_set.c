/*
 * configsync/path_set.c - a hash table that is never more than half full. Pure.
 */
#include "configsync/path_set.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "configsync/arena.h"

/* Where it stands, or would. FNV-1a. */
static size_t
place(const struct path_set *s, const char *path)
{
	uint64_t hash = 0xcbf29ce484222325u;
	size_t at;

	for (const char *c = path; *c != '\0'; c++)
		hash = (hash ^ (unsigned char)*c) * 0x100000001b3u;
	for (at = (hash ^ hash >> 32) & s->mask; s->at[at] != NULL && strcmp(s->at[at], path) != 0; at = (at + 1) & s->mask)
		;
	return at;
}

struct path_set
path_set_new(size_t most)
{
	struct path_set s = { .mask = 1 };

	while (s.mask < 2 * most)
		s.mask = 2 * s.mask + 1;
	s.at = need(calloc(s.mask + 1, sizeof *s.at));
	return s;
}

void
path_set_add(struct path_set *s, const char *path)
{
	s->at[place(s, path)] = path;
}

bool
path_set_has(const struct path_set *s, const char *path)
{
	return s->at[place(s, path)] != NULL;
}

void
path_set_free(struct path_set *s)
{
	free(s->at);
	s->at = NULL;
}
