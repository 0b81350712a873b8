/*
 * common/utf8.c - UTF-8 as RFC 3629 has it (table of section 4), and what of a text may be shown. Pure.
 */
#include "common/utf8.h"

#include <string.h>

size_t
utf8_len(const unsigned char *s, size_t left)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t len;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		len = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		len = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		len = 4;
	else
		return 0;
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f;
	if (len > left || s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	return len;
}

const char *
utf8_shown(const char *text, char *buf, size_t size)
{
	size_t left = strlen(text), len = 0;

	while (left > 0 && len + 1 < size) {
		const unsigned char *s = (const unsigned char *)text;
		size_t n = utf8_len(s, left);

		if (n > 1 && len + n >= size)
			break;
		if (n == 0 || s[0] < ' ' || s[0] == 0x7f || (s[0] == 0xc2 && s[1] < 0xa0)) {
			buf[len++] = '?';
		} else {
			memcpy(buf + len, text, n);
			len += n;
		}
		text += n > 0 ? n : 1;
		left -= n > 0 ? n : 1;
	}
	buf[len] = '\0';
	return buf;
}
