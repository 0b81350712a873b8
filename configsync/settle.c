/*
 * configsync/settle.c - pending sets and when they are due. Pure; ends the process where there is no memory, since a change
 * that is forgotten would be one that is lost.
 */
#include "configsync/settle.h"

#include <stdlib.h>
#include <string.h>

struct pending {
	struct settled	*set;
	uint64_t	 first_ms, last_ms;
};

struct settle {
	uint32_t	 quiet_ms, most_ms;
	struct pending	*at;
	size_t		 len;
};

static void *
must(void *memory)
{
	if (memory == NULL)
		abort();
	return memory;
}

struct settle *
settle_new(uint32_t quiet_ms, uint32_t most_ms)
{
	struct settle *s = must(calloc(1, sizeof *s));

	s->quiet_ms = quiet_ms;
	s->most_ms = most_ms;
	return s;
}

void
settled_free(struct settled *set)
{
	if (set == NULL)
		return;
	for (size_t i = 0; i < set->paths; i++)
		free(set->path[i]);
	free(set->path);
	free(set);
}

void
settle_free(struct settle *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->len; i++)
		settled_free(s->at[i].set);
	free(s->at);
	free(s);
}

static uint64_t
due(const struct settle *s, const struct pending *p)
{
	uint64_t quiet = p->last_ms + s->quiet_ms, most = p->first_ms + s->most_ms;

	if (p->set->id.kind == SET_SINGLE)
		return p->first_ms;
	return quiet < most ? quiet : most;
}

/* Single files wait for nothing, so all of them are one. */
static struct pending *
find(struct settle *s, const struct set_id *id)
{
	for (size_t i = 0; i < s->len; i++)
		if (set_same(&s->at[i].set->id, id) || (id->kind == SET_SINGLE && s->at[i].set->id.kind == SET_SINGLE))
			return &s->at[i];
	return NULL;
}

static void
path_add(struct settled *set, const char *path)
{
	size_t low = 0, high = set->paths;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(set->path[middle], path);

		if (order == 0)
			return;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	/* room for twice as many at each power of two */
	if ((set->paths & (set->paths - 1)) == 0)
		set->path = must(realloc(set->path, (set->paths == 0 ? 1 : 2 * set->paths) * sizeof set->path[0]));
	memmove(set->path + low + 1, set->path + low, (set->paths - low) * sizeof set->path[0]);
	set->path[low] = must(strdup(path));
	set->paths++;
}

void
settle_note(struct settle *s, const struct set_rules *rules, const char *path, bool derived, uint64_t now_ms)
{
	struct pending *p;
	struct set_id id;

	set_of(rules, path, &id);
	p = find(s, &id);
	if (p == NULL && derived)
		return;
	if (p == NULL) {
		s->at = must(realloc(s->at, (s->len + 1) * sizeof s->at[0]));
		p = &s->at[s->len++];
		*p = (struct pending){ .set = must(calloc(1, sizeof *p->set)), .first_ms = now_ms };
		p->set->id = id;
	}
	p->last_ms = now_ms;
	if (!derived)
		path_add(p->set, path);
}

bool
settle_due(const struct settle *s, uint64_t *ret_ms)
{
	for (size_t i = 0; i < s->len; i++)
		if (i == 0 || due(s, &s->at[i]) < *ret_ms)
			*ret_ms = due(s, &s->at[i]);
	return s->len != 0;
}

struct settled *
settle_take(struct settle *s, uint64_t now_ms)
{
	struct settled *set;
	size_t first = 0;

	for (size_t i = 1; i < s->len; i++)
		if (due(s, &s->at[i]) < due(s, &s->at[first]))
			first = i;
	if (s->len == 0 || due(s, &s->at[first]) > now_ms)
		return NULL;
	set = s->at[first].set;
	s->len--;
	memmove(s->at + first, s->at + first + 1, (s->len - first) * sizeof s->at[0]);
	return set;
}
