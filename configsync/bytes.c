/*
 * configsync/bytes.c - writing and strict reading of binary forms. Pure.
 */
#include "configsync/bytes.h"

#include <stdlib.h>
#include <string.h>

#include "configsync/arena.h"

/* NULL: it is only counted. */
static uint8_t *
room(struct bytes_out *o, size_t len)
{
	o->len += len;
	if (o->count_only)
		return NULL;
	if (o->room < o->len || o->room == 0) {		/* a block of no bytes may be the first */
		while (o->room < o->len || o->room == 0)
			o->room = o->room == 0 ? 512 : 2 * o->room;
		o->at = need(realloc(o->at, o->room));
	}
	return o->at + o->len - len;
}

static void
number(uint8_t *to, uint64_t value, unsigned int len)
{
	while (len-- > 0) {
		to[len] = (uint8_t)value;
		value >>= 8;
	}
}

void
bytes_put(struct bytes_out *o, uint64_t value, unsigned int len)
{
	uint8_t *to = room(o, len);

	if (to != NULL)
		number(to, value, len);
}

void
bytes_put_block(struct bytes_out *o, const void *bytes, size_t len, unsigned int of_len)
{
	uint8_t *to;

	if (of_len > 0)
		bytes_put(o, len, of_len);
	to = room(o, len);
	if (to != NULL && len > 0)
		memcpy(to, bytes, len);
}

void
bytes_put_text(struct bytes_out *o, const char *text)
{
	bytes_put_block(o, text, strlen(text), 2);
}

size_t
bytes_put_begin(struct bytes_out *o)
{
	bytes_put(o, 0, 4);
	return o->len;
}

void
bytes_put_end(struct bytes_out *o, size_t begin)
{
	if (!o->count_only)
		number(o->at + begin - 4, o->len - begin, 4);
}

uint64_t
bytes_get(struct bytes_in *in, unsigned int len)
{
	const uint8_t *from = bytes_get_block(in, len);
	uint64_t value = 0;

	for (unsigned int i = 0; i < len; i++)
		value = value << 8 | from[i];
	return value;
}

const uint8_t *
bytes_get_block(struct bytes_in *in, size_t len)
{
	static const uint8_t none[32];

	if (in->bad == NULL && in->left < len)
		in->bad = "cut short";
	if (in->bad != NULL)
		return none;
	in->at += len;
	in->left -= len;
	return in->at - len;
}

const char *
bytes_get_text(struct bytes_in *in, size_t least, size_t most, char *buf, const char *what)
{
	size_t len = bytes_get(in, 2);
	const uint8_t *bytes;

	buf[0] = '\0';
	if (in->bad == NULL && (len < least || len > most))
		in->bad = what;
	bytes = bytes_get_block(in, in->bad == NULL ? len : 0);
	if (in->bad == NULL && len > 0 && memchr(bytes, '\0', len) != NULL)
		in->bad = what;
	if (in->bad == NULL) {
		memcpy(buf, bytes, len);
		buf[len] = '\0';
	}
	return buf;
}
