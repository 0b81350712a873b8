/*
 * common/json.c - writes one JSON document into, or through, a bounded buffer.
 *
 * Pure, used by every program that answers with --json. It leaves the memory and the meaning to the
 * caller: a buffer that is too small is cut, and the returned length tells so. Nothing blocks.
 */
#include "common/json.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/utf8.h"

void
json_init(struct json *j, char *buf, size_t size)
{
	memset(j, 0, sizeof(*j));
	j->buf = buf;
	j->size = size;
	j->lines = 1;
}

void
json_stream(struct json *j, char *buf, size_t size, json_sink_f *sink, void *arg)
{
	json_init(j, buf, size);
	j->sink = sink;
	j->sink_arg = arg;
}

void
json_lines(struct json *j, unsigned int levels)
{
	j->lines = levels;
}

static void
flush(struct json *j)
{
	j->sink(j->sink_arg, j->buf, j->len - j->given);
	j->given = j->len;
}

size_t
json_finish(struct json *j)
{
	assert(j->depth == 0);
	if (j->sink != NULL)
		flush(j);
	else if (j->size > 0)
		j->buf[j->len < j->size ? j->len : j->size - 1] = '\0';
	return j->len;
}

static void
put(struct json *j, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++, j->len++) {
		if (j->sink != NULL && j->len - j->given == j->size)
			flush(j);
		if (j->sink != NULL)
			j->buf[j->len - j->given] = bytes[i];
		else if (j->len + 1 < j->size)
			j->buf[j->len] = bytes[i];
	}
}

static void
put_text(struct json *j, const char *text)
{
	put(j, text, strlen(text));
}

static void __attribute__((format(printf, 2, 3)))
put_format(struct json *j, const char *fmt, ...)
{
	char text[64];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put_text(j, text);
}

static void
put_quoted(struct json *j, const char *value)
{
	const unsigned char *s = (const unsigned char *)value;
	size_t left = strlen(value);

	put(j, "\"", 1);
	while (left > 0) {
		size_t len = utf8_len(s, left);

		if (len == 0) {
			put_text(j, "\\ufffd");
			len = 1;
		} else if (*s == '"' || *s == '\\') {
			put_format(j, "\\%c", *s);
		} else if (*s == '\n') {
			put_text(j, "\\n");
		} else if (*s == '\t') {
			put_text(j, "\\t");
		} else if (*s < 0x20 || *s == 0x7f) {
			put_format(j, "\\u%04x", *s);
		} else {
			put(j, (const char *)s, len);
		}
		s += len;
		left -= len;
	}
	put(j, "\"", 1);
}

/* The comma, the line or blank, and the key in front of a value. */
static void
lead(struct json *j, const char *key)
{
	if (j->depth > 0) {
		if (j->filled[j->depth - 1])
			put(j, ",", 1);
		if (j->depth <= j->lines)
			put_format(j, "\n%*s", (int)(2 * j->depth), "");
		else if (j->filled[j->depth - 1])
			put(j, " ", 1);
		j->filled[j->depth - 1] = true;
	}
	assert((key != NULL) == (j->depth > 0 && j->closing[j->depth - 1] == '}'));
	if (key != NULL) {
		put_quoted(j, key);
		put_text(j, ": ");
	}
}

static void
open_level(struct json *j, const char *key, char opening, char closing)
{
	lead(j, key);
	assert(j->depth < JSON_DEPTH_MAX);
	put(j, &opening, 1);
	j->filled[j->depth] = false;
	j->closing[j->depth] = closing;
	j->depth++;
}

static void
close_level(struct json *j, char closing)
{
	assert(j->depth > 0 && j->closing[j->depth - 1] == closing);
	j->depth--;
	if (j->depth < j->lines && j->filled[j->depth])
		put_format(j, "\n%*s", (int)(2 * j->depth), "");
	put(j, &closing, 1);
	if (j->depth == 0)
		put(j, "\n", 1);
}

void
json_object(struct json *j, const char *key)
{
	open_level(j, key, '{', '}');
}

void
json_object_end(struct json *j)
{
	close_level(j, '}');
}

void
json_array(struct json *j, const char *key)
{
	open_level(j, key, '[', ']');
}

void
json_array_end(struct json *j)
{
	close_level(j, ']');
}

void
json_string(struct json *j, const char *key, const char *value)
{
	lead(j, key);
	if (value == NULL)
		put_text(j, "null");
	else
		put_quoted(j, value);
}

void
json_int(struct json *j, const char *key, int64_t value)
{
	lead(j, key);
	put_format(j, "%" PRId64, value);
}

void
json_uint(struct json *j, const char *key, uint64_t value)
{
	lead(j, key);
	put_format(j, "%" PRIu64, value);
}

void
json_thousandths(struct json *j, const char *key, uint64_t value)
{
	lead(j, key);
	put_format(j, "%" PRIu64, value / 1000);
	if (value % 1000 == 0)
		return;
	if (value % 100 == 0)
		put_format(j, ".%u", (unsigned int)(value % 1000 / 100));
	else if (value % 10 == 0)
		put_format(j, ".%02u", (unsigned int)(value % 1000 / 10));
	else
		put_format(j, ".%03u", (unsigned int)(value % 1000));
}

void
json_bool(struct json *j, const char *key, bool value)
{
	lead(j, key);
	put_text(j, value ? "true" : "false");
}

void
json_null(struct json *j, const char *key)
{
	lead(j, key);
	put_text(j, "null");
}

void
json_fact(struct json *j, const char *key, enum fact value)
{
	lead(j, key);
	put_text(j, value == FACT_YES ? "true" : value == FACT_NO ? "false" : "null");
}
