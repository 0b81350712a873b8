/*
 * tests/fuzz/fuzz_state.c - any bytes as the file of what a node remembers: nothing but a verdict, nothing is returned of what
 * was refused, and what is accepted says the same when it is written again.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/statefile.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static bool
same(const struct state *a, const struct state *b)
{
	return a->tenure == b->tenure && a->released == b->released && a->offline == b->offline && a->gave_up == b->gave_up &&
	    a->services_stopped == b->services_stopped && a->queue_refused == b->queue_refused && a->maintenance == b->maintenance &&
	    a->maintenance_until_wall_ms == b->maintenance_until_wall_ms;
}

/* A number is digits: a sign or a letter in it would make another tenure of the one that was meant. */
static bool
has_only_digits(const char *text, const char *key)
{
	for (const char *p = strstr(text, key); p != NULL; p = strstr(p + 1, key)) {
		const char *value = p + strlen(key);

		if (p[-1] == '\n' && value[strspn(value, "0123456789")] != '\n')
			return false;
	}
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	const struct state before = { .tenure = 77, .released = 76 };
	struct state first = before, second;
	char *text = malloc(len + 1), again[1024], *end;
	struct err err = { .text = "" };

	if (text == NULL)
		return 0;
	memcpy(text, bytes, len);
	text[len] = '\0';
	if (!state_parse(text, &first, &err)) {
		assert(err.text[0] != '\0' && same(&first, &before));
	} else {
		assert(state_format(&first, again, sizeof(again)) < sizeof(again));
		assert(state_parse(again, &second, &err) && same(&first, &second));
		end = strstr(text, "\nend\n");
		assert(end != NULL);
		end[1] = '\0';
		assert(has_only_digits(text, "tenure ") && has_only_digits(text, "released "));
	}
	free(text);
	return 0;
}
