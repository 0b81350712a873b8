/*
 * mta/exim_id.c - message ids of Exim as numbers and back. Pure: no clock, no file.
 */
#include "mta/exim_id.h"

#include <string.h>

#define TIME_DIGITS 6

/* The alphabet in the order of its values, which is that of ASCII as well. */
static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* The two forms; the enumerator is what stands in the two upper bits. */
enum form { FORM_NONE, FORM_SHORT, FORM_LONG };
static const struct { uint8_t process, fraction, length; } shape[] = {
	[FORM_NONE] = { 0, 0, 0 },
	[FORM_SHORT] = { 6, 2, EXIM_ID_SHORT },
	[FORM_LONG] = { 11, 4, EXIM_ID_LONG },
};

static int
digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'Z')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 36;
	return -1;
}

static enum form
form_of(struct exim_id id)
{
	return id.hi >> 62 == FORM_LONG ? FORM_LONG : FORM_SHORT;
}

/* Is the character at this place of an id a dash? */
static bool
dash_at(enum form form, size_t at)
{
	return at == TIME_DIGITS || at == (size_t)TIME_DIGITS + 1 + shape[form].process;
}

/* The digits end at the upper end of 126 bits, so that the time is the greatest part in both forms. */
bool
exim_id_parse(const char *text, size_t len, struct exim_id *ret)
{
	enum form form = len == EXIM_ID_LONG ? FORM_LONG : len == EXIM_ID_SHORT ? FORM_SHORT : FORM_NONE;
	struct exim_id id = { 0, 0 };
	unsigned int shift = 126;

	if (form == FORM_NONE)
		return false;
	for (size_t i = 0; i < len; i++) {
		int value;

		if (dash_at(form, i)) {
			if (text[i] != '-')
				return false;
			continue;
		}
		value = digit_value(text[i]);
		if (value == -1)
			return false;
		shift -= 6;
		if (shift >= 64) {
			id.hi |= (uint64_t)value << (shift - 64);
		} else {
			id.lo |= (uint64_t)value << shift;
			if (shift > 58)
				id.hi |= (uint64_t)value >> (64 - shift);
		}
	}
	id.hi |= (uint64_t)form << 62;
	*ret = id;
	return true;
}

/* The next digit from the top of what is left. */
static unsigned int
take_digit(struct exim_id *left)
{
	unsigned int value = (unsigned int)(left->hi >> 58);

	left->hi = left->hi << 6 | left->lo >> 58;
	left->lo <<= 6;
	return value;
}

static struct exim_id
without_form(struct exim_id id)
{
	return (struct exim_id){ id.hi << 2 | id.lo >> 62, id.lo << 2 };
}

const char *
exim_id_print(struct exim_id id, char buf[EXIM_ID_SIZE])
{
	enum form form = form_of(id);
	struct exim_id left = without_form(id);
	size_t i;

	for (i = 0; i < shape[form].length; i++) {
		unsigned int value;

		if (dash_at(form, i)) {
			buf[i] = '-';
			continue;
		}
		value = take_digit(&left);
		buf[i] = value < 62 ? digits[value] : '?';
	}
	buf[i] = '\0';
	return buf;
}

size_t
exim_id_length(struct exim_id id)
{
	return shape[form_of(id)].length;
}

int64_t
exim_id_time(struct exim_id id)
{
	struct exim_id left = without_form(id);
	int64_t seconds = 0;

	for (int i = 0; i < TIME_DIGITS; i++)
		seconds = seconds * 62 + take_digit(&left);
	return seconds;
}

char
exim_id_subdir(struct exim_id id)
{
	char buf[EXIM_ID_SIZE];

	return exim_id_print(id, buf)[TIME_DIGITS - 1];
}
