/*
 * mta/postfix_log.c - reads a defer, bounce or trace log of Postfix. Pure.
 *
 * Byte by byte with no line kept, so that its length does not matter. As mild as Postfix is with attributes that it does
 * not know; a line of neither form is a fault, since nothing that Postfix writes looks so.
 */
#include "mta/postfix_log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define CHUNK 4096

struct state {
	struct postfix_log	*log;
	uint64_t		 at;		/* of the byte that is looked at */
	uint64_t		 line_at, nul_at;
	char			 first;		/* of the line; NUL: it is empty so far */
	char			 before;	/* the last byte */
	bool			 formed;	/* has its "=" or ">:" */
	bool			 inside;	/* within a paragraph */
	bool			 nul;		/* NULs from nul_at on */
};

static bool __attribute__((format(printf, 3, 4)))
fault(struct state *s, enum postfix_log_fault what, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s->log->what, sizeof s->log->what, fmt, ap);
	va_end(ap);
	s->log->fault = what;
	return false;
}

static bool
named(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool
end_line(struct state *s)
{
	if (s->first == '\0') {
		if (s->inside) {
			s->log->entries++;
			s->log->whole_to = s->at + 1;
		}
		s->inside = false;
	} else if (!s->formed || (s->first != '<' && !named(s->first))) {
		return fault(s, POSTFIX_LOG_BAD_LINE, "the line at byte %llu is neither \"<ADDRESS>: REASON\" nor \"NAME=VALUE\"",
		    (unsigned long long)s->line_at);
	} else {
		s->inside = true;
	}
	s->first = '\0';
	s->formed = false;
	s->line_at = s->at + 1;
	return true;
}

static bool
take(struct state *s, char c)
{
	if (s->nul && c != '\0')
		return fault(s, POSTFIX_LOG_BAD_LINE, "there is a NUL at byte %llu", (unsigned long long)s->nul_at);
	if (c == '\0') {
		s->nul_at = s->nul ? s->nul_at : s->at;
		s->nul = true;
		return true;
	}
	if (c == '\n')
		return end_line(s);
	if (s->first == '\0')
		s->first = c;
	else if (s->first == '<' ? s->before == '>' && c == ':' : c == '=')
		s->formed = true;
	s->before = c;
	return true;
}

void
postfix_log_read(struct queue_source *source, struct postfix_log *ret)
{
	struct state s = { .log = ret };
	char chunk[CHUNK];
	bool ok = true;

	*ret = (struct postfix_log){ 0 };
	while (ok && s.at < source->size) {
		ssize_t n = source->at(source->arg, chunk, sizeof chunk, s.at);

		if (n < 0)
			ok = fault(&s, POSTFIX_LOG_UNREADABLE, "byte %llu cannot be read: %s", (unsigned long long)s.at,
			    strerror(errno));
		if (n <= 0)
			break;
		for (ssize_t i = 0; ok && i < n; i++, s.at++) {
			/* the rest of a line that has its form can only end, or break off */
			for (; s.formed && !s.nul && i + 1 < n && chunk[i] != '\n' && chunk[i] != '\0'; i++)
				s.at++;
			ok = take(&s, chunk[i]);
		}
	}
	if (!ok)
		return;
	if (s.at == 0)
		fault(&s, POSTFIX_LOG_EMPTY, "it is empty");
	else if (s.nul)
		fault(&s, POSTFIX_LOG_NUL_TAIL, "from byte %llu of %llu on there are only NUL bytes",
		    (unsigned long long)s.nul_at, (unsigned long long)source->size);
	else if (s.inside || s.first != '\0')
		fault(&s, POSTFIX_LOG_TRUNCATED, "its last entry is not ended by an empty line");
}
