/*
 * configsync/arena.c - blocks of memory, filled from the front. Pure.
 */
#include "configsync/arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 65536u
#define WORDS 16u

struct block {
	struct block	*next;
	size_t		 used, size;
	alignas(max_align_t) char bytes[];
};

struct arena {
	struct block	*block;
	const char	*word[WORDS];
	unsigned int	 words;		/* ever added; the oldest gives way */
};

struct arena *
arena_new(void)
{
	return need(calloc(1, sizeof(struct arena)));
}

void
arena_free(struct arena *a)
{
	if (a == NULL)
		return;
	for (struct block *b = a->block, *next; b != NULL; b = next) {
		next = b->next;
		free(b);
	}
	free(a);
}

static void *
take(struct arena *a, size_t size, size_t align)
{
	struct block *b = a->block;
	size_t at = b == NULL ? 0 : (b->used + align - 1) & ~(align - 1);

	if (b == NULL || at > b->size || b->size - at < size) {
		size_t room = size > BLOCK ? size : BLOCK;

		b = need(malloc(sizeof *b + room));
		b->next = a->block;
		b->size = room;
		a->block = b;
		at = 0;
	}
	b->used = at + size;
	return b->bytes + at;
}

void *
arena_take(struct arena *a, size_t size)
{
	return take(a, size, alignof(max_align_t));
}

char *
arena_text(struct arena *a, const char *text)
{
	size_t len = strlen(text) + 1;

	return memcpy(take(a, len, 1), text, len);
}

const char *
arena_word(struct arena *a, const char *text)
{
	for (unsigned int i = 0; i < WORDS && i < a->words; i++) {
		if (strcmp(a->word[i], text) == 0)
			return a->word[i];
	}
	return a->word[a->words++ % WORDS] = arena_text(a, text);
}
