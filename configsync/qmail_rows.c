/*
 * configsync/qmail_rows.c - users/assign and control/morercpthosts as the rows of their tables. Pure.
 */
#include "configsync/qmail_rows.h"

#include <stdlib.h>
#include <string.h>

#include "configsync/arena.h"

#define COLONS 6u	/* of "=local:user:uid:gid:home:dash:extension:" behind the first */

static void
lower(char *to, const char *from, size_t len)
{
	for (size_t i = 0; i < len; i++)
		to[i] = from[i] >= 'A' && from[i] <= 'Z' ? (char)(from[i] - 'A' + 'a') : from[i];
}

/* What is behind the address, up to the last colon, with NUL for each of the others. The number of bytes; 0: too few fields. */
static size_t
fields(char *text, size_t len)
{
	unsigned int colons = 0;

	for (size_t i = 0; i < len; i++) {
		if (text[i] != ':')
			continue;
		text[i] = '\0';
		if (++colons == COLONS)
			return i;
	}
	return 0;
}

/* line: copied, and written into; len without its newline. "+" begins a wildcard, whose last character is kept. */
static bool
assignment(char *line, size_t len, char wild[256], size_t *wilds, cdb_row_f *row, void *arg)
{
	char *colon = memchr(line, ':', len);
	size_t name, rest;
	bool is_wild = line[0] == '+';

	if (len == 0 || memchr(line, '\0', len) != NULL || colon == NULL || colon == line)
		return false;
	name = (size_t)(colon - line) - 1;
	if (is_wild && name > 0 && memchr(wild, line[name], *wilds) == NULL)
		wild[(*wilds)++] = line[name];
	if ((rest = fields(colon + 1, len - name - 2)) == 0)
		return false;
	line[0] = '!';
	lower(line, line, name + 1);
	*colon = '\0';		/* ends what is no wildcard */
	row(arg, line, name + (is_wild ? 1 : 2), colon + 1, rest);
	return true;
}

static bool
newu(char *text, size_t len, cdb_row_f *row, void *arg)
{
	char wild[256];
	size_t wilds = 0;

	for (char *at = text, *end; at < text + len; at = end + 1) {
		if (*at == '.') {		/* even without a newline behind it */
			row(arg, "", 0, wild, wilds);
			return true;
		}
		end = memchr(at, '\n', len - (size_t)(at - text));
		if (end == NULL || !assignment(at, (size_t)(end - at), wild, &wilds, row, arg))
			return false;
	}
	return false;
}

static bool
newmrh(char *text, size_t len, cdb_row_f *row, void *arg)
{
	lower(text, text, len);
	for (char *at = text, *end = text + len, *next; at < end; at = next) {
		char *newline = memchr(at, '\n', (size_t)(end - at));
		size_t n = (size_t)((newline != NULL ? newline : end) - at);

		next = at + n + 1;
		while (n > 0 && (at[n - 1] == ' ' || at[n - 1] == '\t'))
			n--;
		if (n > 0 && at[0] != '#')
			row(arg, at, n, "", 0);
	}
	return true;
}

bool
qmail_rows(const char *program, const char *text, size_t len, cdb_row_f *row, void *arg)
{
	char *copy = need(malloc(len + 1));
	bool ok = false;

	memcpy(copy, text, len);
	if (strcmp(program, "qmail-newu") == 0)
		ok = newu(copy, len, row, arg);
	else if (strcmp(program, "qmail-newmrh") == 0)
		ok = newmrh(copy, len, row, arg);
	free(copy);
	return ok;
}
