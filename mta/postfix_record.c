/*
 * mta/postfix_record.c - reads a queue file of Postfix record by record. Pure.
 *
 * Everything in the file is somebody else's input: a length is believed as far as the file reaches, jumps are counted,
 * and no more bytes are walked over than the file has, since a record that Postfix wrote is met once.
 */
#include "mta/postfix_record.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define WINDOW 16384		/* bytes read at a time; most messages fit */
#define LENGTH_BYTES 5		/* Postfix reads four or five, by its version */
#define BACK_JUMPS_MAX 10000	/* as Postfix: one for each header that a filter added */
#define ADDRESS_MAX 4096	/* bytes of an address that are kept */
#define RECIPIENTS_KEPT 200000	/* for listing; all are counted */
#define HASH_START UINT64_C(0xcbf29ce484222325)	/* FNV-1a */
#define HASH_FACTOR UINT64_C(0x100000001b3)

/* What Postfix's queue manager takes outside of the content: its lists of the envelope and of the extracted records. */
static const char envelope_types[] = "MCTcFILSDRO/WVA>K<ion" "EPre";
static const char dropped_envelope[] = "MCTcFILSDRO/WVA>K<ion";
static const char extracted_types[] = "EDRO/PreAFIL>Kon";

enum section { ENVELOPE, CONTENT, EXTRACTED, ENDED };

struct record { int type; uint64_t at, data, next; uint32_t len; };

struct reader {
	struct queue_source	*source;
	enum postfix_kind	 kind;
	bool			 content;
	struct postfix_mail	*mail;
	struct queue_message	*message;
	enum section		 section;
	uint64_t		 at;		/* of the next record */
	uint64_t		 walked;	/* bytes of all records so far */
	uint64_t		 jumped_to;
	uint32_t		 back_jumps;
	uint64_t		 from;		/* what the window shows: so many bytes from here on */
	size_t			 have;
	uint8_t			*window;
};

static bool __attribute__((format(printf, 4, 5)))
fault(struct reader *r, enum postfix_fault what, uint64_t at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->mail->what, sizeof r->mail->what, fmt, ap);
	va_end(ap);
	r->mail->fault = what;
	r->mail->fault_at = at;
	return false;
}

/* At least len bytes from at on, or as many as there are: their count in *ret_have. NULL: the source failed. */
static const uint8_t *
look(struct reader *r, uint64_t at, size_t len, size_t *ret_have)
{
	bool shown = at >= r->from && at <= r->from + r->have;

	if (!shown || (at + len > r->from + r->have && r->from + r->have < r->source->size)) {
		r->from = at;
		r->have = 0;
		while (r->have < len && at + r->have < r->source->size) {
			ssize_t n = r->source->at(r->source->arg, r->window + r->have, WINDOW - r->have, at + r->have);

			if (n < 0) {
				fault(r, POSTFIX_UNREADABLE, at, "byte %llu cannot be read: %s", (unsigned long long)at,
				    strerror(errno));
				return NULL;
			}
			if (n == 0)
				break;
			r->have += (size_t)n;
		}
	}
	*ret_have = (size_t)(r->from + r->have - at);
	return r->window + (at - r->from);
}

static bool
cut(struct reader *r, uint64_t at)
{
	static const char *const where[] = { "its envelope", "its content", "the records behind its content", "" };

	return fault(r, POSTFIX_TRUNCATED, at, "ends at byte %llu, within %s; an E record should be last",
	    (unsigned long long)r->source->size, where[r->section]);
}

static bool
wrong_type(struct reader *r, uint64_t at, int type)
{
	static const char *const where[] = { "the envelope", "the content", "what follows the content", "" };

	return fault(r, POSTFIX_BAD_RECORD, at, "the record at byte %llu is of type 0x%02x, which does not belong into %s",
	    (unsigned long long)at, (unsigned int)type, where[r->section]);
}

/* NUL bytes only, from at to the end? A file with a hole may be endless: its first and its last part are looked at. */
static bool
nul_to_end(struct reader *r, uint64_t at)
{
	uint64_t size = r->source->size, part = WINDOW;
	uint64_t from[] = { at, at + part < size ? at + part : at, size > at + part ? size - part : at };

	for (size_t i = 0; i < sizeof from / sizeof from[0]; i++) {
		size_t have;
		const uint8_t *byte = look(r, from[i], 1, &have);

		if (byte == NULL || have == 0)
			return false;
		for (size_t n = 0; n < have && n < part; n++)
			if (byte[n] != 0)
				return false;
	}
	return true;
}

/* No record has the type 0. */
static bool
nul_record(struct reader *r)
{
	if (!nul_to_end(r, r->at))
		return wrong_type(r, r->at, 0);
	return fault(r, POSTFIX_NUL_TAIL, r->at, "from byte %llu of %llu on there are only NUL bytes",
	    (unsigned long long)r->at, (unsigned long long)r->source->size);
}

/* The record at r->at, its data not looked at. */
static bool
next_record(struct reader *r, struct record *ret)
{
	const uint8_t *byte;
	uint64_t len = 0;
	size_t have, used = 1;
	unsigned int shift = 0;

	if (r->at >= r->source->size)
		return cut(r, r->at);
	byte = look(r, r->at, 1 + LENGTH_BYTES, &have);
	if (byte == NULL)
		return false;
	if (have == 0)
		return cut(r, r->at);
	if (byte[0] == 0)
		return nul_record(r);
	for (;; used++, shift += 7) {
		if (used == 1 + LENGTH_BYTES)
			return fault(r, POSTFIX_BAD_RECORD, r->at, "the record at byte %llu has a length of more than %d "
			    "bytes", (unsigned long long)r->at, LENGTH_BYTES);
		if (used >= have)
			return cut(r, r->at);
		len |= (uint64_t)(byte[used] & 0x7f) << shift;
		if ((byte[used] & 0x80) == 0)
			break;
	}
	*ret = (struct record){ .type = byte[0], .at = r->at, .data = r->at + used + 1, .len = (uint32_t)len };
	ret->next = ret->data + len;
	if (len > INT32_MAX || ret->next > r->source->size)
		return cut(r, r->at);
	r->walked += ret->next - ret->at;
	if (r->walked > r->source->size)
		return fault(r, POSTFIX_BAD_RECORD, r->at, "the pointers lead in a circle, back to byte %llu",
		    (unsigned long long)r->at);
	r->at = ret->next;
	r->mail->records++;
	return true;
}

/* The data as text, at most size - 1 bytes of it, NUL-ended. Returns their count, or -1. */
static ssize_t
text_of(struct reader *r, const struct record *rec, char *buf, size_t size)
{
	size_t want = rec->len < size - 1 ? rec->len : size - 1, have;
	const uint8_t *byte = look(r, rec->data, want, &have);

	if (byte == NULL)
		return -1;
	if (have < want) {
		cut(r, rec->at);
		return -1;
	}
	memmove(buf, byte, want);	/* of memcpy(3) gcc makes "rep movs", which is slow with the few bytes of a record */
	buf[want] = '\0';
	return (ssize_t)want;
}

/* One number; *text goes behind it. False: none there, or too large. */
static bool
take_number(const char **text, int64_t *ret)
{
	const char *p = *text + strspn(*text, " ");
	bool minus = *p == '-';
	int64_t sum = 0;

	p += minus;
	if (*p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		if (sum > (INT64_MAX - 9) / 10)
			return false;
		sum = sum * 10 + (*p - '0');
	}
	*ret = minus ? -sum : sum;
	*text = p;
	return true;
}

static bool
take_sizes(struct reader *r, const struct record *rec)
{
	struct postfix_mail *m = r->mail;
	int64_t *into[] = { &m->content_size, &m->content_at, &m->said_recipients, &m->flags, &m->user_size };
	char text[128];
	const char *p = text;
	size_t n = 0;

	if (m->content_at != 0 || r->kind == POSTFIX_DROPPED)
		return true;		/* a second one is of an earlier life; in maildrop they are only estimates */
	if (text_of(r, rec, text, sizeof text) == -1)
		return false;
	while (n < sizeof into / sizeof into[0] && take_number(&p, into[n]))
		n++;
	if (n < 3)
		return fault(r, POSTFIX_BAD_RECORD, rec->at, "its C record says \"%.40s\" where six numbers should be", text);
	if (m->content_size == 0 && m->content_at == 0)
		return fault(r, POSTFIX_UNFINISHED, rec->at, "its C record holds zeros: its reception never ended");
	if (m->content_size <= 0 || m->content_at <= 0 || m->user_size < 0)
		return fault(r, POSTFIX_BAD_RECORD, rec->at, "its C record says that %lld bytes of content begin at %lld",
		    (long long)m->content_size, (long long)m->content_at);
	return true;
}

/* "sec usec" */
static bool
take_time(struct reader *r, const struct record *rec)
{
	char text[64];
	const char *p = text;

	if (r->mail->arrived != 0)
		return true;
	if (text_of(r, rec, text, sizeof text) == -1)
		return false;
	if (!take_number(&p, &r->mail->arrived))
		r->mail->arrived = 0;
	else if (!take_number(&p, &r->mail->arrived_usec))
		r->mail->arrived_usec = 0;
	return true;
}

static bool
take_sender(struct reader *r, const struct record *rec)
{
	char text[ADDRESS_MAX + 1];
	ssize_t len;

	if (r->mail->has_sender)
		return true;
	len = text_of(r, rec, text, sizeof text);
	if (len == -1)
		return false;
	r->mail->has_sender = true;
	if (r->message != NULL && r->message->sender == NULL) {
		for (ssize_t i = 0; i < len; i++)
			if (text[i] == '\0')
				text[i] = '?';
		r->message->sender = strdup(text);
	}
	return true;
}

static uint64_t
hashed(uint64_t hash, const void *bytes, size_t len)
{
	const uint8_t *byte = bytes;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ byte[i]) * HASH_FACTOR;
	return hash;
}

static bool
take_recipient(struct reader *r, const struct record *rec)
{
	struct postfix_mail *m = r->mail;
	char text[ADDRESS_MAX + 1];
	ssize_t len = text_of(r, rec, text, sizeof text);

	if (len == -1)
		return false;
	m->recipients_hash = hashed(m->recipients_hash, &rec->at, sizeof rec->at);
	m->recipients_hash = hashed(m->recipients_hash, text, (size_t)len);
	if (rec->type == '/') {
		m->cancelled++;
		return true;
	}
	if (rec->type == 'D') {
		if (m->done < POSTFIX_DONE_MAX)
			m->done_at[m->done] = rec->at <= UINT32_MAX ? (uint32_t)rec->at : 0;
		m->done++;
	} else {
		m->pending++;
	}
	if (r->message != NULL && r->message->recipients < RECIPIENTS_KEPT)
		queue_message_add(r->message, text, (size_t)len, rec->type == 'D');
	return true;
}

/* A named attribute must have a name and "=": else the queue manager gives the whole file up. */
static bool
take_attribute(struct reader *r, const struct record *rec)
{
	static const char ident[] = "log_ident=";
	char text[256];
	const char *equals;

	if (text_of(r, rec, text, sizeof text) == -1)
		return false;
	equals = strchr(text, '=');
	if (equals == NULL && rec->len >= sizeof text)
		return true;
	if (equals == NULL || equals == text)
		return fault(r, POSTFIX_BAD_RECORD, rec->at, "the attribute at byte %llu is \"%.30s\" and should be NAME=VALUE",
		    (unsigned long long)rec->at, text);
	if (r->mail->log_ident[0] == '\0' && strncmp(text, ident, sizeof ident - 1) == 0)
		memcpy(r->mail->log_ident, text + sizeof ident - 1, strnlen(text + sizeof ident - 1, sizeof r->mail->log_ident - 1));
	return true;
}

/* 0 is a place kept free. */
static bool
take_pointer(struct reader *r, const struct record *rec)
{
	char text[32];
	const char *p = text;
	int64_t to = 0;

	if (text_of(r, rec, text, sizeof text) == -1)
		return false;
	p += strspn(p, " ");
	if (*p != '\0' && (*p == '-' || !take_number(&p, &to) || *p != '\0'))
		return fault(r, POSTFIX_BAD_RECORD, rec->at, "the pointer at byte %llu is \"%.20s\" and should be a number",
		    (unsigned long long)rec->at, text);
	if (to == 0)
		return true;
	if ((uint64_t)to >= r->source->size)
		return fault(r, POSTFIX_BAD_RECORD, rec->at, "the pointer at byte %llu leads to %lld, behind the end of the file",
		    (unsigned long long)rec->at, (long long)to);
	if ((uint64_t)to <= r->jumped_to && ++r->back_jumps > BACK_JUMPS_MAX)
		return fault(r, POSTFIX_BAD_RECORD, rec->at, "more than %d pointers lead backwards", BACK_JUMPS_MAX);
	r->jumped_to = (uint64_t)to;
	r->at = (uint64_t)to;
	return true;
}

/* Where the content ends by record C, which may say anything: two positive numbers have room in their sum. */
static uint64_t
said_end(const struct postfix_mail *m)
{
	return (uint64_t)m->content_at + (uint64_t)m->content_size;
}

/* M: the content begins here, which C must know. */
static bool
begin_content(struct reader *r, const struct record *rec)
{
	struct postfix_mail *m = r->mail;

	r->section = CONTENT;
	if (r->kind == POSTFIX_DROPPED)
		return true;
	if (m->content_at == 0)
		return fault(r, POSTFIX_BAD_RECORD, rec->at, "it has no C record");
	if ((uint64_t)m->content_at != rec->next)
		return fault(r, POSTFIX_BAD_RECORD, rec->at, "its content begins at byte %llu, and its C record says %lld",
		    (unsigned long long)rec->next, (long long)m->content_at);
	if (!r->content)
		r->at = said_end(m);
	return true;
}

static bool
end_content(struct reader *r, const struct record *rec)
{
	uint64_t said = said_end(r->mail);

	r->section = EXTRACTED;
	r->mail->extra_at = rec->at;
	if (r->kind == POSTFIX_QUEUED && rec->at != said)
		return fault(r, POSTFIX_BAD_RECORD, rec->at, "its content ends at byte %llu, and its C record says %llu",
		    (unsigned long long)rec->at, (unsigned long long)said);
	return true;
}

static bool
take_content(struct reader *r, const struct record *rec)
{
	if (rec->type == 'X')
		return end_content(r, rec);
	if (r->kind == POSTFIX_QUEUED && !r->content)
		return fault(r, POSTFIX_BAD_RECORD, rec->at, "at byte %llu, where its content ends by its C record, there is no X "
		    "record", (unsigned long long)rec->at);
	return rec->type == 'N' || rec->type == 'L' || rec->type == 'w' || wrong_type(r, rec->at, rec->type);
}

static bool
take_record(struct reader *r, const struct record *rec)
{
	const char *types = r->kind == POSTFIX_QUEUED ? envelope_types :
	    r->section == ENVELOPE ? dropped_envelope : extracted_types;

	if (rec->type == 'p')
		return take_pointer(r, rec);
	if (r->section == CONTENT)
		return take_content(r, rec);
	if (rec->type == 'w' && r->kind == POSTFIX_DROPPED)
		return true;
	if (strchr(types, rec->type) == NULL)
		return wrong_type(r, rec->at, rec->type);
	switch (rec->type) {
	case 'E':
		if (r->section == ENVELOPE)
			return fault(r, POSTFIX_BAD_RECORD, rec->at, "it ends at byte %llu without any content",
			    (unsigned long long)rec->at);
		r->section = ENDED;
		r->mail->end_at = rec->at;
		return true;
	case 'M':
		return r->section != ENVELOPE || begin_content(r, rec);
	case 'C':
		return take_sizes(r, rec);
	case 'T':
		return take_time(r, rec);
	case 'S':
		return take_sender(r, rec);
	case 'R': case 'D': case '/':
		return take_recipient(r, rec);
	case 'A':
		return take_attribute(r, rec);
	default:
		return true;
	}
}

/* All that Postfix wants to know of a message has been seen. */
static bool
complete(struct reader *r)
{
	const struct postfix_mail *m = r->mail;
	const char *missing = !m->has_sender ? "sender" : NULL;

	if (r->kind == POSTFIX_QUEUED && m->arrived == 0)
		missing = "time of arrival";
	if (r->kind == POSTFIX_QUEUED && m->pending + m->done + m->cancelled == 0)
		missing = "recipient";
	return missing == NULL || fault(r, POSTFIX_BAD_RECORD, 0, "it has no %s", missing);
}

static bool
only_end_missing(const struct reader *r)
{
	const struct postfix_mail *m = r->mail;
	bool at_end = r->at == r->source->size;
	bool content = r->section == CONTENT && m->content_at != 0 && r->at == said_end(m);

	return r->kind == POSTFIX_QUEUED && at_end && (content || r->section == EXTRACTED) && m->has_sender &&
	    m->arrived != 0 && m->said_recipients > 0 &&
	    m->pending + m->done + m->cancelled == (uint64_t)m->said_recipients;
}

void
postfix_mail_read(struct queue_source *source, enum postfix_kind kind, bool content, struct postfix_mail *ret,
    struct queue_message *message)
{
	uint8_t window[WINDOW];		/* not cleared: that would cost more than most files */
	struct reader r = { .source = source, .kind = kind, .content = content, .mail = ret, .message = message,
		.window = window };
	struct record rec;
	bool ok = true;

	*ret = (struct postfix_mail){ .recipients_hash = HASH_START };
	if (source->size == 0) {
		fault(&r, POSTFIX_EMPTY, 0, "it is empty");
		return;
	}
	while (ok && r.section != ENDED)
		ok = next_record(&r, &rec) && take_record(&r, &rec);
	if (ok)
		complete(&r);
	if (ret->fault == POSTFIX_TRUNCATED)
		ret->end_missing_only = only_end_missing(&r);
	if (message != NULL) {
		message->size = kind == POSTFIX_QUEUED && ret->content_size > 0 ? (uint64_t)ret->content_size : source->size;
		message->arrived = ret->arrived;
	}
}
