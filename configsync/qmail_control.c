/*
 * configsync/qmail_control.c - the syntax of each of qmail's control files, as a table. Pure.
 */
#include "configsync/qmail_control.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct line {
	const char	*at;
	size_t		 len;	/* without the blanks at its end, which qmail takes off */
	size_t		 whole;	/* with them */
	unsigned int	 number;
};

typedef bool line_f(const struct line *, struct control_fault *);

struct control_row {
	const char	*name;
	bool		 list;		/* every line counts, "#" begins a comment; otherwise only the first line is read */
	bool		 needed;	/* a value, where the file is there */
	line_f		*judge;		/* of one line; NULL: any text */
	const char	*lack;		/* why it must not go; NULL: it may */
};

static bool __attribute__((format(printf, 3, 4)))
fault(struct control_fault *ret, const struct line *line, const char *fmt, ...)
{
	va_list ap;

	memset(ret, 0, sizeof *ret);
	if (line != NULL) {
		size_t n = line->len < sizeof ret->value - 1 ? line->len : sizeof ret->value - 1;

		ret->line = line->number;
		for (size_t i = 0; i < n; i++)
			ret->value[i] = isprint((unsigned char)line->at[i]) ? line->at[i] : '?';
	}
	va_start(ap, fmt);
	vsnprintf(ret->right, sizeof ret->right, fmt, ap);
	va_end(ap);
	return false;
}

/* ---------------------------------------------------------------- judges of a line */

/* Letters, digits, and what names of hosts have besides; bytes over 127 are let pass (SMTPUTF8). */
static bool
host_chars(const char *at, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)at[i];

		if (!isalnum(c) && c != '.' && c != '-' && c != '_' && c < 128)
			return false;
	}
	return len > 0;
}

static bool
host_word(const char *at, size_t len)
{
	if (len > 2 && at[0] == '[' && at[len - 1] == ']') {	/* an address */
		for (size_t i = 1; i < len - 1; i++)
			if (!isxdigit((unsigned char)at[i]) && at[i] != '.' && at[i] != ':')
				return false;
		return true;
	}
	if (!host_chars(at, len) || at[0] == '.' || at[len - 1] == '.' || len > 255)
		return false;
	return memmem(at, len, "..", 2) == NULL;
}

static bool
host(const struct line *line, struct control_fault *ret)
{
	return host_word(line->at, line->len) || fault(ret, line, "is no name of a host; right is one such as mail.example.org");
}

static bool
host_or_suffix(const struct line *line, struct control_fault *ret)
{
	size_t skip = line->len > 0 && line->at[0] == '.';

	return host_word(line->at + skip, line->len - skip) ||
	    fault(ret, line, "is no domain; right is example.org, or .example.org for all below it, one on a line");
}

static bool
number(const struct line *line, struct control_fault *ret)
{
	size_t digits = 0;

	while (digits < line->len && isdigit((unsigned char)line->at[digits]))
		digits++;
	return (digits == line->len && digits > 0 && digits <= 10) ||
	    fault(ret, line, "is no number, so qmail would silently take its default; right are digits alone");
}

static unsigned long
value_of(const struct line *line)
{
	unsigned long n = 0;

	for (size_t i = 0; i < line->len; i++)
		n = 10 * n + (unsigned long)(line->at[i] - '0');
	return n;
}

static bool
concurrency(const struct line *line, struct control_fault *ret)
{
	if (!number(line, ret))
		return false;
	/* conf-spawn may be at most 255, or with a patch 509; qmail-send cuts to it */
	return value_of(line) <= 509 || fault(ret, line, "is more deliveries at once than any qmail is built for; right is a number up to 255");
}

static bool
lifetime(const struct line *line, struct control_fault *ret)
{
	if (!number(line, ret))
		return false;
	return value_of(line) > 0 || fault(ret, line, "seconds: every message would bounce at its first delay; right is 604800 for a week");
}

/* "user@domain:prepend", "domain:prepend", ".domain:prepend", ":prepend" for all others; no prepend: not virtual. */
static bool
virtual_domain(const struct line *line, struct control_fault *ret)
{
	const char *colon = memchr(line->at, ':', line->len), *at;
	size_t len, skip;

	if (colon == NULL)
		return fault(ret, line, "has no colon; right is domain:prepend, as in example.org:alice");
	len = (size_t)(colon - line->at);
	at = memrchr(line->at, '@', len);
	if (at != NULL && at != line->at)
		return host_word(at + 1, len - (size_t)(at + 1 - line->at)) ||
		    fault(ret, line, "is no address before its colon; right is user@domain:prepend");
	skip = len > 0 && line->at[0] == '.';
	return len == 0 || host_word(line->at + skip, len - skip) ||
	    fault(ret, line, "is no domain before its colon; right is domain:prepend, as in example.org:alice");
}

static bool
port_word(const char *at, size_t len)
{
	unsigned long n = 0;

	for (size_t i = 0; i < len; i++) {
		if (!isdigit((unsigned char)at[i]) || i > 4)
			return false;
		n = 10 * n + (unsigned long)(at[i] - '0');
	}
	return len > 0 && n > 0 && n < 65536;
}

/* "domain:relay:port"; domain may be empty (all), begin with a dot, relay empty (by MX). Behind a blank: a patch's user and password. */
static bool
route(const struct line *line, struct control_fault *ret)
{
	const char *colon = memchr(line->at, ':', line->len), *relay, *port, *blank, *end = line->at + line->len;
	size_t len, skip;

	if (colon == NULL)
		return fault(ret, line, "has no colon; right is domain:relay or domain:relay:port, as in example.org:mx.example.net:25");
	len = (size_t)(colon - line->at);
	skip = len > 0 && line->at[0] == '.';
	if (len > 0 && !host_word(line->at + skip, len - skip))
		return fault(ret, line, "is no domain before its colon; right is domain:relay, or :relay for all domains");
	relay = colon + 1;
	blank = memchr(relay, ' ', (size_t)(end - relay));
	if (blank != NULL)
		end = blank;
	if (relay == end)
		return true;
	if (relay[0] == '[' && (port = memchr(relay, ']', (size_t)(end - relay))) != NULL)
		port++;
	else if ((port = memchr(relay, ':', (size_t)(end - relay))) == NULL)
		port = end;
	if (!host_word(relay, (size_t)(port - relay)))
		return fault(ret, line, "names no host as its relay; right is domain:relay, as in example.org:mx.example.net");
	return port == end || (port[0] == ':' && port_word(port + 1, (size_t)(end - port - 1))) ||
	    fault(ret, line, "has no port from 1 to 65535 behind its relay; right is domain:relay:port");
}

static bool
address(const struct line *line, struct control_fault *ret)
{
	const char *at = memrchr(line->at, '@', line->len);

	return (at != NULL && memchr(line->at, ' ', line->len) == NULL) ||
	    fault(ret, line, "is no address; right is user@example.org, or @example.org for all of a domain");
}

static bool
ip(const struct line *line, struct control_fault *ret)
{
	unsigned int part = 0, value = 0, digits = 0;

	for (size_t i = 0; i < line->len; i++) {
		char c = line->at[i];

		if (c == '.' && digits > 0) {
			part++;
			value = digits = 0;
		} else if (isdigit((unsigned char)c) && digits < 3 && (value = 10 * value + (unsigned int)(c - '0')) < 256) {
			digits++;
		} else {
			part = 9;
			break;
		}
	}
	return (part == 3 && digits > 0) || fault(ret, line, "is no IP address, and names are not looked up here; right is one such as 192.0.2.1");
}

/* clang-format off */
static const struct control_row table[] = {
	/* name			list	needed	judge */
	{ "me",			false,	true,	host,		"no program of qmail runs without it" },
	{ "rcpthosts",		true,	false,	host_or_suffix,	"qmail-smtpd without it takes mail for every domain: an open relay" },
	{ "morercpthosts",	true,	false,	host_or_suffix,	NULL },
	{ "locals",		true,	false,	host,		NULL },
	{ "percenthack",	true,	false,	host,		NULL },
	{ "virtualdomains",	true,	false,	virtual_domain,	NULL },
	{ "smtproutes",		true,	false,	route,		NULL },
	{ "badmailfrom",	true,	false,	address,	NULL },
	{ "badrcptto",		true,	false,	address,	NULL },
	{ "qmqpservers",	true,	false,	ip,		NULL },
	{ "bouncehost",		false,	true,	host,		NULL },
	{ "defaultdomain",	false,	true,	host,		NULL },
	{ "defaulthost",	false,	true,	host,		NULL },
	{ "doublebouncehost",	false,	true,	host,		NULL },
	{ "envnoathost",	false,	true,	host,		NULL },
	{ "helohost",		false,	true,	host,		NULL },
	{ "idhost",		false,	true,	host,		NULL },
	{ "localiphost",	false,	true,	host,		NULL },
	{ "plusdomain",		false,	true,	host,		NULL },
	{ "bouncefrom",		false,	true,	NULL,		NULL },
	{ "doublebounceto",	false,	false,	NULL,		NULL },
	{ "smtpgreeting",	false,	true,	NULL,		NULL },
	{ "concurrencylocal",	false,	true,	concurrency,	NULL },
	{ "concurrencyremote",	false,	true,	concurrency,	NULL },
	{ "concurrencyincoming", false,	true,	number,		NULL },
	{ "concurrencypop3",	false,	true,	number,		NULL },
	{ "queuelifetime",	false,	true,	lifetime,	NULL },
	{ "bouncemaxbytes",	false,	true,	number,		NULL },
	{ "databytes",		false,	true,	number,		NULL },
	{ "timeoutconnect",	false,	true,	lifetime,	NULL },
	{ "timeoutremote",	false,	true,	lifetime,	NULL },
	{ "timeoutsmtpd",	false,	true,	lifetime,	NULL },
};
/* clang-format on */

static const struct control_row *
find(const char *name)
{
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		if (strcmp(table[i].name, name) == 0)
			return &table[i];
	return NULL;
}

bool
control_known(const char *name)
{
	return find(name) != NULL;
}

/* ---------------------------------------------------------------- lines */

/* The next line from *at on; false: no more. */
static bool
next_line(const char **at, const char *end, struct line *line)
{
	const char *eol;

	if (*at == end)
		return false;
	eol = memchr(*at, '\n', (size_t)(end - *at));
	line->at = *at;
	line->whole = (size_t)((eol != NULL ? eol : end) - *at);
	line->len = line->whole;
	while (line->len > 0 && (line->at[line->len - 1] == ' ' || line->at[line->len - 1] == '\t'))
		line->len--;
	line->number++;
	*at = eol != NULL ? eol + 1 : end;
	return true;
}

/* What no text of any of these files may have. */
static bool
clean(const struct line *line, struct control_fault *ret)
{
	if (memchr(line->at, '\0', line->whole) != NULL)
		return fault(ret, line, "has a NUL byte; right is plain text");
	if (memchr(line->at, '\r', line->whole) != NULL)
		return fault(ret, line, "has a carriage return, which would be part of the value; right are lines that end as on Unix");
	return true;
}

bool
control_check(const char *name, const char *bytes, size_t len, struct control_fault *ret)
{
	const struct control_row *row = find(name);
	const char *at = bytes, *end = bytes + len;
	struct line line = { 0 };
	bool some = false;

	while (next_line(&at, end, &line)) {
		if (!clean(&line, ret))
			return false;
		if (row == NULL)
			continue;
		if (row->list && (line.len == 0 || line.at[0] == '#'))
			continue;
		if (line.len > 0 && (line.at[0] == ' ' || line.at[0] == '\t'))
			return fault(ret, &line, "begins with a blank, which would be part of the value; right is without it");
		if (row->needed && line.len == 0)
			return fault(ret, &line, "is empty, and only the first line is read; right is the value in the first line");
		if (row->judge != NULL && line.len > 0 && !row->judge(&line, ret))
			return false;
		some = some || line.len > 0;
		if (!row->list)
			break;
	}
	if (row != NULL && row->needed && !some)
		return fault(ret, NULL, "the file is empty; right is a value in its first line, or no file for the default");
	return true;
}

bool
control_may_lack(const char *name, struct control_fault *ret)
{
	const struct control_row *row = find(name);

	return row == NULL || row->lack == NULL || fault(ret, NULL, "the file is to go: %s; right is to keep it, even if empty where its manual allows that", row->lack);
}

/* ---------------------------------------------------------------- users/assign */

static bool
all_digits(const char *at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isdigit((unsigned char)at[i]))
			return false;
	return len > 0;
}

/* "=local:user:uid:gid:homedir:dash:ext:" or the same with "+" for all that begins so. */
static bool
assignment(const struct line *line, struct control_fault *ret)
{
	static const char right[] = "right is =local:user:uid:gid:homedir:dash:ext: or the same with + for all that begins so";
	const char *field[8], *at = line->at + 1, *end = line->at + line->whole;
	size_t n = 0;

	if (line->whole == 0 || (line->at[0] != '=' && line->at[0] != '+'))
		return fault(ret, line, "begins neither with = nor with +; %s", right);
	while (n < 8 && at < end) {
		const char *colon = memchr(at, ':', (size_t)(end - at));

		field[n++] = at;
		if (colon == NULL)
			break;
		at = colon + 1;
	}
	if (n < 7 || at < field[6] + 1 || memchr(field[6], ':', (size_t)(end - field[6])) == NULL)
		return fault(ret, line, "has not seven fields, each with a colon behind it; %s", right);
	if (field[2] == field[1] + 1)
		return fault(ret, line, "has no user; %s", right);
	if (!all_digits(field[2], (size_t)(field[3] - field[2] - 1)) || !all_digits(field[3], (size_t)(field[4] - field[3] - 1)))
		return fault(ret, line, "has no numbers as uid and gid; %s", right);
	if (field[4][0] != '/')
		return fault(ret, line, "has a home directory that does not begin with a slash; %s", right);
	return true;
}

bool
assign_check(const char *bytes, size_t len, struct control_fault *ret)
{
	const char *at = bytes, *end = bytes + len;
	struct line line = { 0 };

	while (next_line(&at, end, &line)) {
		if (!clean(&line, ret))
			return false;
		if (line.whole == 1 && line.at[0] == '.')
			return true;
		if (!assignment(&line, ret))
			return false;
	}
	return fault(ret, NULL, "there is no line with a dot alone at the end, so qmail-newu would refuse it; right is \".\" as the last line");
}

/* ---------------------------------------------------------------- aliases */

bool
aliases_check(const char *bytes, size_t len, struct control_fault *ret)
{
	const char *at = bytes, *end = bytes + len;
	struct line line = { 0 };
	bool some = false;

	while (next_line(&at, end, &line)) {
		const char *colon, *name = line.at;
		bool quoted = line.len > 1 && name[0] == '"';

		if (!clean(&line, ret))
			return false;
		if (line.len == 0 || line.at[0] == '#')
			continue;
		if (line.at[0] == ' ' || line.at[0] == '\t') {	/* more of the line before */
			if (!some)
				return fault(ret, &line, "goes on with an alias, and there is none before it; right is name: address");
			continue;
		}
		if (quoted && (name = memchr(line.at + 1, '"', line.len - 1)) == NULL)
			return fault(ret, &line, "has a quotation mark that is not closed; right is \"name\": address");
		colon = memchr(name, ':', line.len - (size_t)(name - line.at));
		if (colon == NULL || colon == line.at)
			return fault(ret, &line, "is no alias; right is name: address");
		some = true;
	}
	return true;
}
