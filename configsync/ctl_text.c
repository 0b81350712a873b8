/*
 * configsync/ctl_text.c - questions and answers of config.sock as text: how they are written and read. Pure.
 */
#include "configsync/ctl_priv.h"

#include <stdlib.h>
#include <string.h>

static bool
needs_code(unsigned char c)
{
	return c < 0x20 || c == 0x7f || c == '%';
}

size_t
ctl_encode(const char *value, char *buf)
{
	static const char digit[] = "0123456789abcdef";
	size_t len = 0;

	for (; *value != '\0'; value++) {
		unsigned char c = (unsigned char)*value;

		if (needs_code(c)) {
			buf[len++] = '%';
			buf[len++] = digit[c >> 4];
			buf[len++] = digit[c & 15];
		} else {
			buf[len++] = (char)c;
		}
	}
	return len;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place; false: not as it is written here. */
static bool
decode(char *text)
{
	char *to = text;

	for (; *text != '\0'; text++) {
		if (*text == '%') {
			int high = hex_digit(text[1]), low = high == -1 ? -1 : hex_digit(text[2]);

			if (low == -1 || (high == 0 && low == 0))
				return false;
			*to++ = (char)(high * 16 + low);
			text += 2;
		} else if (needs_code((unsigned char)*text)) {
			return false;
		} else {
			*to++ = *text;
		}
	}
	*to = '\0';
	return true;
}

/* "in_step", "back-to" */
static bool
is_word(const char *text)
{
	return text[0] != '\0' && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-") == strlen(text);
}

const char *
ctl_arg(const struct ctl_request *r, const char *key)
{
	for (size_t i = 0; i < r->args; i++)
		if (strcmp(r->arg[i].key, key) == 0)
			return r->arg[i].value;
	return NULL;
}

void
ctl_request_free(struct ctl_request *r)
{
	free(r->arg);
	r->arg = NULL;
}

bool
ctl_parse(char *text, struct ctl_request *ret, struct err *err)
{
	struct ctl_request r = { .command = text };
	size_t lines = 0;
	char *line;

	for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
		lines++;
	if (lines > CTL_ARGS_MAX)
		return err_set(err, 0, "the question has more than %d lines", CTL_ARGS_MAX);
	(void)strsep(&text, "\n");
	if (!is_word(r.command))
		return err_set(err, 0, "the question does not begin with a command");
	if ((r.arg = calloc(lines + 1, sizeof *r.arg)) == NULL)
		abort();
	while ((line = strsep(&text, "\n")) != NULL && line[0] != '\0') {
		char *value = strchr(line, ' ');

		if (value != NULL)
			*value++ = '\0';
		if (value == NULL || !is_word(line) || !decode(value)) {
			free(r.arg);
			return err_set(err, 0, "line %zu of the question is not written as \"key value\"", r.args + 2);
		}
		r.arg[r.args].key = line;
		r.arg[r.args++].value = value;
	}
	*ret = r;
	return true;
}

const char *
ctl_value(const struct ctl_line *line, const char *key)
{
	for (size_t i = 0; i < line->values; i++)
		if (strcmp(line->value[i].key, key) == 0)
			return line->value[i].text;
	return NULL;
}

/* "key=text", "key#12", "key?yes" */
static bool
parse_value(char *word, struct ctl_value *ret)
{
	char *sign = word + strcspn(word, "=#?");
	enum ctl_type type = *sign == '#' ? CTL_NUMBER : *sign == '?' ? CTL_FACT : CTL_TEXT;

	if (*sign == '\0')
		return false;
	*sign++ = '\0';
	if (!is_word(word) || !decode(sign) || (type == CTL_NUMBER && (sign[0] == '\0' || strspn(sign, "0123456789") != strlen(sign) ||
	    strlen(sign) > 20)))
		return false;
	*ret = (struct ctl_value){ .key = word, .text = sign, .type = type };
	return true;
}

bool
ctl_line_parse(char *text, struct ctl_line *ret, struct err *err)
{
	char *word;

	ret->kind = strsep(&text, "\t");
	ret->values = 0;
	if (!is_word(ret->kind) && strcmp(ret->kind, ".") != 0)
		return err_set(err, 0, "an answer that cannot be read");
	while ((word = strsep(&text, "\t")) != NULL) {
		if (ret->values == CTL_VALUES_MAX || !parse_value(word, &ret->value[ret->values++]))
			return err_set(err, 0, "an answer of kind \"%s\" that cannot be read", ret->kind);
	}
	return true;
}
