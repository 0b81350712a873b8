/*
 * mta/exim_header.c - reads ID-H. Pure: bytes in, facts out.
 *
 * The tree of done addresses is only a list to us: in pre-order its shape is whole when the nodes that
 * were announced have all come, which one number tells; no recursion, so no depth can hurt.
 */
#include "mta/exim_header.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mta/exim_lines.h"

struct reading {
	struct exim_lines	 lines;
	const struct exim_listener *listener;
	struct exim_header	*header;
	struct exim_trouble	*trouble;
	const char		*line;	/* the one that is looked at */
	size_t			 len;
};

static bool __attribute__((format(printf, 3, 4)))
fault(struct reading *r, enum exim_fault kind, const char *fmt, ...)
{
	va_list ap;

	r->trouble->fault = kind;
	r->trouble->line = r->lines.number;
	va_start(ap, fmt);
	vsnprintf(r->trouble->what, sizeof r->trouble->what, fmt, ap);
	va_end(ap);
	return false;
}

/* The next line, which holds what. */
static bool
next(struct reading *r, const char *what)
{
	switch (exim_lines_next(&r->lines, &r->line, &r->len)) {
	case EXIM_LINE:
		if (memchr(r->line, '\0', r->len) != NULL)
			return fault(r, EXIM_FAULT_NUL, "NUL bytes in the place of %s", what);
		return true;
	case EXIM_LINE_END:
		if (r->lines.number == 0)
			return fault(r, EXIM_FAULT_EMPTY, "no byte is in it");
		return fault(r, EXIM_FAULT_CUT, "it ends before %s", what);
	case EXIM_LINE_CUT:
		r->lines.number++;
		if (memchr(r->line, '\0', r->len) != NULL)
			return fault(r, EXIM_FAULT_NUL, "NUL bytes in the place of %s", what);
		return fault(r, EXIM_FAULT_CUT, "it ends within %s", what);
	case EXIM_LINE_LONG:
		r->lines.number++;
		return fault(r, EXIM_FAULT_FORM, "a line of more than %d bytes in the place of %s", EXIM_LINE_MAX, what);
	case EXIM_LINE_FAILED:
		break;
	}
	return fault(r, EXIM_FAULT_READ, "%.80s", strerror(r->lines.error));
}

static void
tell(const struct reading *r, exim_address_f *heard, const char *address, size_t len)
{
	if (heard != NULL)
		heard(r->listener->arg, address, len);
}

/* A decimal number at the beginning of text; returns how many bytes it has, 0: none, or too great. */
static size_t
number_at(const char *text, size_t len, int64_t *ret)
{
	size_t i = 0, sign = len > 0 && text[0] == '-' ? 1 : 0;
	int64_t value = 0;

	for (i = sign; i < len && isdigit((unsigned char)text[i]); i++) {
		if (i - sign >= 18)
			return 0;
		value = value * 10 + (text[i] - '0');
	}
	if (i == sign)
		return 0;
	*ret = sign != 0 ? -value : value;
	return i;
}

/* A blank and a number at the end of text. Returns the length of what is before the blank, or len: there is none. */
static size_t
before_number(const char *text, size_t len)
{
	size_t at = len;

	while (at > 0 && (isdigit((unsigned char)text[at - 1]) || text[at - 1] == '-'))
		at--;
	if (at == len || at == 0 || !isdigit((unsigned char)text[len - 1]) || text[at - 1] != ' ')
		return len;
	return at - 1;
}

static bool
read_name(struct reading *r)
{
	if (!next(r, "its name, ID-H"))
		return false;
	if (r->len < 2 || memcmp(r->line + r->len - 2, "-H", 2) != 0 ||
	    !exim_id_parse(r->line, r->len - 2, &r->header->id))
		return fault(r, EXIM_FAULT_FORM, "the file's own name, ID-H, must stand here");
	return true;
}

static bool
read_login(struct reading *r)
{
	size_t uid, login;

	if (!next(r, "login, uid and gid"))
		return false;
	uid = before_number(r->line, r->len);
	login = before_number(r->line, uid);
	if (uid == r->len || login == uid || login == 0)
		return fault(r, EXIM_FAULT_FORM, "\"LOGIN UID GID\" must stand here");
	return true;
}

static bool
read_sender(struct reading *r)
{
	if (!next(r, "the sender"))
		return false;
	if (r->len < 2 || r->line[0] != '<' || r->line[r->len - 1] != '>')
		return fault(r, EXIM_FAULT_FORM, "the sender in <> must stand here");
	r->header->sender_null = r->len == 2;
	tell(r, r->listener->sender, r->line + 1, r->len - 2);
	return true;
}

static bool
read_time(struct reading *r)
{
	int64_t warned;
	size_t n;

	if (!next(r, "the time of arrival"))
		return false;
	n = number_at(r->line, r->len, &r->header->received);
	if (n == 0 || n == r->len || r->line[n] != ' ' || number_at(r->line + n + 1, r->len - n - 1, &warned) != r->len - n - 1)
		return fault(r, EXIM_FAULT_FORM, "\"TIME WARNINGS\", two numbers, must stand here");
	return true;
}

/* name VALUE: the value when the option has that name. */
static const char *
value_of(const char *option, size_t len, const char *name, size_t *ret_len)
{
	size_t n = strlen(name);

	if (len <= n || memcmp(option, name, n) != 0 || option[n] != ' ')
		return NULL;
	*ret_len = len - n - 1;
	return option + n + 1;
}

static bool
is_option(const char *option, size_t len, const char *name)
{
	return len == strlen(name) && memcmp(option, name, len) == 0;
}

/* "-aclc NAME LEN", "-aclm NAME LEN" or the old "-acl NUMBER LEN": LEN bytes of any kind and a line end follow. */
static bool
read_variable(struct reading *r, const char *value, size_t len)
{
	const char *blank = memchr(value, ' ', len);
	size_t rest = blank != NULL ? len - (size_t)(blank + 1 - value) : 0;
	uint64_t got;
	int64_t count;
	bool nul;
	char last = '\0';

	if (rest == 0 || number_at(blank + 1, rest, &count) != rest || count < 0)
		return fault(r, EXIM_FAULT_FORM, "an ACL variable needs its name and its length");
	got = exim_lines_skip(&r->lines, (uint64_t)count + 1, &nul, &last);
	if (r->lines.error != 0)
		return fault(r, EXIM_FAULT_READ, "%.80s", strerror(r->lines.error));
	if (got != (uint64_t)count + 1)
		return fault(r, EXIM_FAULT_CUT, "it ends within an ACL variable of %lld bytes", (long long)count);
	if (last != '\n')
		return fault(r, EXIM_FAULT_FORM, "the ACL variable does not end after its %lld bytes", (long long)count);
	return true;
}

/* What stands behind "-", or behind "--" or "--(LOOKUP)" for text from outside. What is not known is nothing to us. */
static bool
take_option(struct reading *r, const char *option, size_t len)
{
	struct exim_header *h = r->header;
	const char *value;
	size_t value_len;

	if ((value = value_of(option, len, "aclc", &value_len)) != NULL ||
	    (value = value_of(option, len, "aclm", &value_len)) != NULL ||
	    (value = value_of(option, len, "acl", &value_len)) != NULL)
		return read_variable(r, value, value_len);
	if ((value = value_of(option, len, "frozen", &value_len)) != NULL)
		return number_at(value, value_len, &h->frozen) != 0 ||
		    fault(r, EXIM_FAULT_FORM, "-frozen needs the time since when");
	if ((value = value_of(option, len, "body_linecount", &value_len)) != NULL)
		number_at(value, value_len, &h->body_lines);
	else if ((value = value_of(option, len, "received_time_complete", &value_len)) != NULL)
		number_at(value, value_len, &h->complete);
	else if (is_option(option, len, "spool_file_wireformat"))
		h->wireformat = true;
	else if (is_option(option, len, "frozen"))
		return fault(r, EXIM_FAULT_FORM, "-frozen needs the time since when");
	return true;
}

/* All options; leaves the first line that is none. */
static bool
read_options(struct reading *r)
{
	r->header->body_lines = -1;
	for (;;) {
		const char *option;
		size_t len;

		if (!next(r, "the tree of addresses that have it"))
			return false;
		if (r->len == 0 || r->line[0] != '-')
			return true;
		option = r->line + 1;
		len = r->len - 1;
		if (len > 0 && *option == '-') {
			option++;
			len--;
		}
		if (len > 0 && *option == '(') {
			const char *close = memchr(option, ')', len);

			if (close == NULL)
				return fault(r, EXIM_FAULT_FORM, "the name of a lookup is not closed by \")\"");
			len -= (size_t)(close + 1 - option);
			option = close + 1;
		}
		if (!take_option(r, option, len))
			return false;
	}
}

/* "XX", or nodes "[YN][YN] ADDRESS": has it a left, has it a right one below. The first line is there already. */
static bool
read_tree(struct reading *r)
{
	uint64_t due = 1;

	if (is_option(r->line, r->len, "XX"))
		return true;
	for (;;) {
		if (r->len < 4 || strchr("YN", r->line[0]) == NULL || strchr("YN", r->line[1]) == NULL || r->line[2] != ' ')
			return fault(r, EXIM_FAULT_FORM, "\"XX\", or \"YN ADDRESS\" of a tree, must stand here");
		tell(r, r->listener->done, r->line + 3, r->len - 3);
		r->header->done++;
		due += (r->line[0] == 'Y') + (r->line[1] == 'Y');
		if (--due == 0)
			return true;
		if (!next(r, "the rest of the tree of addresses that have it"))
			return false;
	}
}

/* Digits, commas and dashes backwards from end; returns where they begin. */
static size_t
back_over(const char *line, size_t end, const char *set)
{
	while (end > 0 && (isdigit((unsigned char)line[end - 1]) || (line[end - 1] != '\0' && strchr(set, line[end - 1]) != NULL)))
		end--;
	return end;
}

/* " TEXT LEN,NUMBER" at the end of line: the length of what is before it, 0: that is not there. */
static size_t
before_field(const char *line, size_t end)
{
	size_t at = back_over(line, end, ",-");
	int64_t len, number;
	size_t n = number_at(line + at, end - at, &len);

	if (n == 0 || at + n >= end || line[at + n] != ',' || number_at(line + at + n + 1, end - at - n - 1, &number) == 0)
		return 0;
	/* before it: a blank, the text, and the blank that parts it from what is further left */
	if (len < 0 || at < 1 || line[at - 1] != ' ' || (uint64_t)len + 2 > at || line[at - 2 - (size_t)len] != ' ')
		return 0;
	return at - 2 - (size_t)len;
}

size_t
exim_recipient_length(const char *line, size_t len)
{
	size_t at = back_over(line, len, "");
	int64_t bits;

	if (at == 0)
		return 0;
	if (at == len)
		return line[len - 1] == '#' ? 0 : len;
	switch (line[at - 1]) {
	case ',':
		at = back_over(line, at, ",");
		return at > 0 && line[at - 1] == ' ' ? at - 1 : len;
	case ' ':
		return at - 1;
	case '#':
		if (number_at(line + at, len - at, &bits) == 0)
			return 0;
		len = at - 1;
		if ((bits & 1) != 0)
			len = before_field(line, len);
		if ((bits & 2) != 0 && len != 0)
			len = before_field(line, len);
		return (bits & 3) == 0 ? 0 : len;
	default:
		return len;
	}
}

static bool
read_recipients(struct reading *r)
{
	int64_t count;

	if (!next(r, "the number of recipients"))
		return false;
	if (number_at(r->line, r->len, &count) != r->len || count < 0)
		return fault(r, EXIM_FAULT_FORM, "the number of recipients must stand here");
	if (count > EXIM_RECIPIENTS_MAX)
		return fault(r, EXIM_FAULT_FORM, "%lld recipients, Exim reads no more than %d", (long long)count, EXIM_RECIPIENTS_MAX);
	for (int64_t i = 0; i < count; i++) {
		size_t len;

		if (!next(r, "the last of the recipients"))
			return false;
		len = exim_recipient_length(r->line, r->len);
		if (len == 0)
			return fault(r, EXIM_FAULT_FORM, "recipient %lld of %lld must stand here", (long long)i + 1, (long long)count);
		tell(r, r->listener->recipient, r->line, len);
		r->header->recipients++;
	}
	if (!next(r, "the blank line before the header lines"))
		return false;
	return r->len == 0 || fault(r, EXIM_FAULT_FORM, "a blank line must stand between the recipients and the header lines");
}

/* "%03d", a letter, a blank; then that many bytes. */
static bool
read_header_line(struct reading *r)
{
	int64_t size = 0;
	char flag, byte, last = '\0';
	uint64_t got;
	bool nul;
	int c;

	for (int n = 0; (c = exim_lines_peek(&r->lines)) != -1 && isdigit(c); n++) {
		if (n == 9)
			return fault(r, EXIM_FAULT_FORM, "header line %u has a length of more than 9 digits", r->header->headers + 1);
		size = size * 10 + (c - '0');
		exim_lines_skip(&r->lines, 1, &nul, &byte);
	}
	flag = (char)c;
	if (exim_lines_skip(&r->lines, 1, &nul, &byte) != 1 || (c = exim_lines_peek(&r->lines)) == -1)
		return r->lines.error != 0 ? fault(r, EXIM_FAULT_READ, "%.80s", strerror(r->lines.error)) :
		    fault(r, EXIM_FAULT_CUT, "it ends before the text of header line %u", r->header->headers + 1);
	if (!isprint((unsigned char)flag) || c != ' ')
		return fault(r, EXIM_FAULT_FORM, "header line %u must begin with length, letter and blank", r->header->headers + 1);
	exim_lines_skip(&r->lines, 1, &nul, &byte);
	got = exim_lines_skip(&r->lines, (uint64_t)size, &nul, &last);
	if (r->lines.error != 0)
		return fault(r, EXIM_FAULT_READ, "%.80s", strerror(r->lines.error));
	if (nul)
		return fault(r, EXIM_FAULT_NUL, "NUL bytes within header line %u", r->header->headers + 1);
	if (got != (uint64_t)size)
		return fault(r, EXIM_FAULT_CUT, "it ends within header line %u, which has %lld bytes", r->header->headers + 1, (long long)size);
	if (flag != '*') {
		r->header->headers++;
		r->header->header_bytes += (uint64_t)size;
	}
	return true;
}

static bool
read_header_lines(struct reading *r)
{
	int c;

	while ((c = exim_lines_peek(&r->lines)) != -1) {
		if (c == '\0')
			return fault(r, EXIM_FAULT_NUL, "NUL bytes behind header line %u", r->header->headers);
		if (!isdigit(c))
			return fault(r, EXIM_FAULT_FORM, "no header line with its length follows header line %u", r->header->headers);
		if (!read_header_line(r))
			return false;
	}
	return r->lines.error == 0 || fault(r, EXIM_FAULT_READ, "%.80s", strerror(r->lines.error));
}

bool
exim_header_read(struct queue_source *source, const struct exim_listener *listener, struct exim_header *ret,
    struct exim_trouble *trouble)
{
	static const struct exim_listener nobody = { NULL, NULL, NULL, NULL };
	struct reading r = { .listener = listener != NULL ? listener : &nobody, .header = ret, .trouble = trouble };
	bool whole;

	memset(ret, 0, sizeof *ret);
	memset(trouble, 0, sizeof *trouble);
	exim_lines_begin(&r.lines, source);
	whole = read_name(&r) && read_login(&r) && read_sender(&r) && read_time(&r) && read_options(&r) && read_tree(&r) &&
	    read_recipients(&r);
	if (whole) {
		r.lines.number = 0;	/* what follows has no lines of its own to be told by */
		whole = read_header_lines(&r);
	}
	exim_lines_free(&r.lines);
	return whole;
}

const char *
exim_trouble_text(const struct exim_trouble *trouble, char *buf, size_t size)
{
	if (trouble->line != 0)
		snprintf(buf, size, "line %llu: %s", (unsigned long long)trouble->line, trouble->what);
	else
		snprintf(buf, size, "%s", trouble->what);
	return buf;
}
