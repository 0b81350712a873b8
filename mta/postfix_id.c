/*
 * mta/postfix_id.c - queue ids of Postfix as numbers and back. Pure.
 */
#include "mta/postfix_id.h"

#include <string.h>

#define SHORT_USEC 5		/* hexadecimal digits */
#define LONG_SECONDS 6		/* digits to base 52, at least */
#define LONG_USEC 4		/* digits to base 52 */
#define LONG_TIME (LONG_SECONDS + LONG_USEC)
#define SEPARATOR 'z'
#define SECONDS_MAX ((UINT64_C(1) << POSTFIX_SECONDS_BITS) - 1)

static const char safe_digits[] = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";
static const char hex_digits[] = "0123456789ABCDEF";

/* The first len bytes as a number; false: a byte that is no digit, none at all, or more than 64 bits. */
static bool
number(const char *text, size_t len, const char *digits, unsigned int base, uint64_t *ret)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < len; i++) {
		const char *digit = memchr(digits, text[i], base);
		uint64_t value = digit != NULL ? (uint64_t)(digit - digits) : base;

		if (value >= base || sum > (UINT64_MAX - value) / base)
			return false;
		sum = sum * base + value;
	}
	*ret = sum;
	return len > 0;
}

/* At least width digits, zeros in front. Returns their count. */
static size_t
digits_of(uint64_t value, const char *digits, unsigned int base, size_t width, char *buf)
{
	char turned[64];
	size_t len = 0;

	for (; value != 0 || len < width; value /= base)
		turned[len++] = digits[value % base];
	for (size_t i = 0; i < len; i++)
		buf[i] = turned[len - 1 - i];
	return len;
}

/* The last z counts; in front of it there must be room for the time. */
static const char *
separator(const char *name)
{
	const char *z = strrchr(name, SEPARATOR);

	return z != NULL && z - name >= LONG_TIME ? z : NULL;
}

bool
postfix_name_legal(const char *name)
{
	size_t len = 0;

	for (; name[len] != '\0'; len++) {
		char c = name[len];

		if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_'))
			return false;
	}
	return len > 0 && len <= POSTFIX_NAME_MAX;
}

bool
postfix_id_parse(const char *name, struct postfix_id *ret)
{
	struct postfix_id id = { 0 };
	const char *z = separator(name);
	uint64_t usec;
	size_t len = strlen(name);

	if (len >= POSTFIX_ID_SIZE)
		return false;
	/* A zero in front of the inode, or of more than six digits of seconds: not as Postfix writes it. No inode is 0. */
	if (z != NULL) {
		size_t seconds = (size_t)(z - name) - LONG_USEC;

		id.is_long = true;
		if (z[1] == '0' || (seconds > LONG_SECONDS && name[0] == '0') ||
		    !number(name, seconds, safe_digits, 52, &id.seconds) || id.seconds > SECONDS_MAX ||
		    !number(z - LONG_USEC, LONG_USEC, safe_digits, 52, &usec) ||
		    !number(z + 1, len - (size_t)(z - name) - 1, safe_digits, 51, &id.inode))
			return false;
	} else if (len <= SHORT_USEC || name[SHORT_USEC] == '0' || !number(name, SHORT_USEC, hex_digits, 16, &usec) ||
	    !number(name + SHORT_USEC, len - SHORT_USEC, hex_digits, 16, &id.inode)) {
		return false;
	}
	id.usec = (uint32_t)usec;
	*ret = id;
	return true;
}

const char *
postfix_id_print(const struct postfix_id *id, char buf[POSTFIX_ID_SIZE])
{
	size_t len;

	if (id->is_long) {
		len = digits_of(id->seconds, safe_digits, 52, LONG_SECONDS, buf);
		len += digits_of(id->usec, safe_digits, 52, LONG_USEC, buf + len);
		buf[len++] = SEPARATOR;
		len += digits_of(id->inode, safe_digits, 51, 0, buf + len);
	} else {
		len = digits_of(id->usec, hex_digits, 16, SHORT_USEC, buf);
		len += digits_of(id->inode, hex_digits, 16, 1, buf + len);
	}
	buf[len] = '\0';
	return buf;
}

/* A long id is hashed by its microseconds as a short one would show them; what is no number counts as 0. */
const char *
postfix_name_hash(const char *name, uint32_t depth, char buf[POSTFIX_SUB_SIZE])
{
	const char *z = separator(name), *from = name;
	char usec[16] = "";
	uint64_t value = 0;
	size_t len = 0;

	if (z != NULL) {
		if (!number(z - LONG_USEC, LONG_USEC, safe_digits, 52, &value))
			value = 0;
		digits_of(value, hex_digits, 16, SHORT_USEC, usec);
		from = usec;
	}
	if (depth > POSTFIX_DEPTH_MAX)
		depth = POSTFIX_DEPTH_MAX;
	for (uint32_t i = 0; i < depth; i++) {
		if (i > 0)
			buf[len++] = '/';
		buf[len++] = *from != '\0' ? *from++ : '_';
	}
	buf[len] = '\0';
	return buf;
}

bool
postfix_name_inode(const char *name, bool *ret_long, uint64_t *ret_inode)
{
	const char *z = separator(name);
	char upper[POSTFIX_NAME_MAX + 1];
	size_t len = strlen(name);

	if (!postfix_name_legal(name))
		return false;
	*ret_long = z != NULL;
	if (z != NULL)
		return number(z + 1, strlen(z + 1), safe_digits, 51, ret_inode);
	if (len <= SHORT_USEC)
		return false;
	for (size_t i = 0; i <= len; i++)
		upper[i] = name[i] >= 'a' && name[i] <= 'f' ? (char)(name[i] - 'a' + 'A') : name[i];
	return number(upper + SHORT_USEC, len - SHORT_USEC, hex_digits, 16, ret_inode);
}
