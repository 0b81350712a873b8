/*
 * common/utf8.h - which bytes are text (RFC 3629). Pure.
 */
#ifndef COMMON_UTF8_H
#define COMMON_UTF8_H

#include <stddef.h>

/*
 * Length of the UTF-8 character at s, of which left bytes remain; 0 where it is none: cut, overlong, a surrogate, or
 * beyond U+10FFFF.
 */
size_t	utf8_len(const unsigned char *s, size_t left);

/*
 * What may be shown on a terminal: control characters (of both sets) and bytes that are no text become "?". Cut where
 * it does not fit, never within a character. Returns buf.
 */
const char *utf8_shown(const char *text, char *buf, size_t size);

#endif
