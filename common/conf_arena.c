/*
 * common/conf_arena.c - owns the strings of one struct conf and knows in which line of the file
 * each of its fields was given, so that a rule can point at the line of the value it refuses.
 *
 * Nothing here blocks or fails: without memory for a configuration of at most 256 KiB no daemon
 * of ours can run.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf_parts.h"

struct given {
	const void *field;
	int line;
};

struct conf_arena {
	char **text;
	size_t texts;
	struct given *given;
	size_t givens;
};

struct conf_arena *
conf_arena_new(void)
{
	struct conf_arena *arena = calloc(1, sizeof(*arena));

	assert(arena != NULL);
	return arena;
}

void
conf_arena_free(struct conf_arena *arena)
{
	if (arena == NULL)
		return;
	for (size_t i = 0; i < arena->texts; i++)
		free(arena->text[i]);
	free(arena->text);
	free(arena->given);
	free(arena);
}

const char *
conf_arena_copy(struct conf_arena *arena, const char *text)
{
	arena->text = realloc(arena->text, (arena->texts + 1) * sizeof(*arena->text));
	assert(arena->text != NULL);
	arena->text[arena->texts] = strdup(text);
	assert(arena->text[arena->texts] != NULL);
	return arena->text[arena->texts++];
}

void
conf_arena_line(struct conf_arena *arena, const void *field, int line)
{
	arena->given = realloc(arena->given, (arena->givens + 1) * sizeof(*arena->given));
	assert(arena->given != NULL);
	arena->given[arena->givens++] = (struct given){.field = field, .line = line};
}

int
conf_line(const struct conf *conf, const void *field, int fallback)
{
	for (size_t i = 0; conf->arena != NULL && i < conf->arena->givens; i++)
		if (conf->arena->given[i].field == field)
			return conf->arena->given[i].line;
	return fallback;
}

bool
conf_given(const struct conf *conf, const void *field)
{
	return conf_line(conf, field, 0) != 0;
}
