/*
 * mta/exim_lines.c - lines of any file through a bounded buffer. Pure: bytes come from the caller's source.
 */
#include "mta/exim_lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void
exim_lines_begin(struct exim_lines *lines, struct queue_source *source)
{
	lines->source = source;
	lines->buf = lines->inside;
	lines->room = sizeof lines->inside;
	lines->have = lines->pos = 0;
	lines->base = lines->number = 0;
	lines->error = 0;
	lines->drained = false;
}

void
exim_lines_free(struct exim_lines *lines)
{
	if (lines->buf != lines->inside)
		free(lines->buf);
	lines->buf = lines->inside;
}

uint64_t
exim_lines_offset(const struct exim_lines *lines)
{
	return lines->base + lines->pos;
}

static bool
grow(struct exim_lines *lines)
{
	char *wide = malloc(EXIM_LINE_MAX);

	if (wide == NULL) {
		lines->error = ENOMEM;
		return false;
	}
	memcpy(wide, lines->buf, lines->have);
	lines->buf = wide;
	lines->room = EXIM_LINE_MAX;
	return true;
}

/* More bytes behind those there are. False: no more room, no more bytes, or an error. */
static bool
fill(struct exim_lines *lines)
{
	ssize_t n;

	if (lines->pos > 0) {
		memmove(lines->buf, lines->buf + lines->pos, lines->have - lines->pos);
		lines->base += lines->pos;
		lines->have -= lines->pos;
		lines->pos = 0;
	}
	if (lines->drained || lines->error != 0)
		return false;
	if (lines->have == lines->room && (lines->room == EXIM_LINE_MAX || !grow(lines)))
		return false;
	n = lines->source->at(lines->source->arg, lines->buf + lines->have, lines->room - lines->have,
	    lines->base + lines->have);
	if (n == -1) {
		lines->error = errno != 0 ? errno : EIO;
		return false;
	}
	lines->drained = n == 0;
	lines->have += (size_t)n;
	return n != 0;
}

enum exim_line
exim_lines_next(struct exim_lines *lines, const char **ret, size_t *ret_len)
{
	size_t seen = 0;
	const char *end;

	do {
		size_t len = lines->have - lines->pos;

		end = memchr(lines->buf + lines->pos + seen, '\n', len - seen);
		seen = len;
	} while (end == NULL && fill(lines));
	*ret = lines->buf + lines->pos;
	if (end != NULL) {
		*ret_len = (size_t)(end - *ret);
		lines->pos += *ret_len + 1;
		lines->number++;
		return EXIM_LINE;
	}
	*ret_len = lines->have - lines->pos;
	if (lines->error != 0)
		return EXIM_LINE_FAILED;
	if (!lines->drained)
		return EXIM_LINE_LONG;
	return *ret_len == 0 ? EXIM_LINE_END : EXIM_LINE_CUT;
}

int
exim_lines_peek(struct exim_lines *lines)
{
	if (lines->pos == lines->have && !fill(lines))
		return -1;
	return (unsigned char)lines->buf[lines->pos];
}

uint64_t
exim_lines_skip(struct exim_lines *lines, uint64_t n, bool *nul, char *last)
{
	uint64_t left = n;

	*nul = false;
	while (left != 0 && exim_lines_peek(lines) != -1) {
		size_t part = lines->have - lines->pos;

		if (part > left)
			part = (size_t)left;
		*nul = *nul || memchr(lines->buf + lines->pos, '\0', part) != NULL;
		*last = lines->buf[lines->pos + part - 1];
		lines->pos += part;
		left -= part;
	}
	return n - left;
}
