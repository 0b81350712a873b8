/*
 * mta/qmail_record.c - parsers of qmail's queue files. Pure and without memory of their own, so that
 * checks, lists, tests and fuzzers share them; several threads may read at once.
 */
#include "mta/qmail_record.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ROOM 8192			/* more than the longest record */
#define HOLE_MAX (1 << 20)		/* so much of a tail is looked at: a sparse file may be endless */
#define HOLE_MIN 512			/* so many NULs in a row at the end of a message are a hole ... */
#define HOLE_SECTOR_MIN 16		/* ... and so many where they begin with a sector */
#define SECTOR 512
#define BOUNCE_MAX (1 << 20)

static const char mess_begins[] = "Received: (qmail ";
#define MESS_LINE_MAX 400		/* of the first line: fixed words, two numbers and a date */

bool
qmail_number_parse(const char *name, size_t len, uint64_t *ret)
{
	uint64_t number = 0;

	if (len == 0 || name[0] == '0')
		return false;
	for (size_t i = 0; i < len; i++) {
		uint64_t digit;

		if (name[i] < '0' || name[i] > '9')
			return false;
		digit = (uint64_t)(name[i] - '0');
		if (number > (UINT64_MAX - digit) / 10)
			return false;
		number = number * 10 + digit;
	}
	*ret = number;
	return true;
}

bool
qmail_pid_name(const char *name)
{
	uint64_t number;

	for (int i = 0; i < 3; i++) {
		size_t len = strcspn(name, ".");

		if (!qmail_number_parse(name, len, &number) || (name[len] == '.') != (i < 2))
			return false;
		name += len + 1;
	}
	return true;
}

static void __attribute__((format(printf, 4, 5)))
wrong(struct qmail_reading *ret, enum qmail_shape shape, uint64_t offset, const char *fmt, ...)
{
	va_list ap;

	ret->shape = shape;
	ret->offset = offset;
	va_start(ap, fmt);
	vsnprintf(ret->what, sizeof ret->what, fmt, ap);
	va_end(ap);
}

/* Bytes read, 0 at the end; -1: *ret says why. What has grown since its size was taken is not looked at. */
static ssize_t
take(const struct queue_source *source, void *buf, size_t len, uint64_t offset, struct qmail_reading *ret)
{
	ssize_t n;

	if (offset >= source->size)
		return 0;
	if (len > source->size - offset)
		len = (size_t)(source->size - offset);
	n = source->at(source->arg, buf, len, offset);
	if (n == -1) {
		ret->sys = errno;
		wrong(ret, QMAIL_UNREADABLE, offset, "cannot be read: %s", strerror(errno));
	}
	return n;
}

/* Are there only NULs from offset to the end (or as far as is looked)? */
static bool
only_nuls(const struct queue_source *source, uint64_t offset, struct qmail_reading *ret)
{
	static const char nuls[ROOM];
	char buf[ROOM];
	ssize_t n;

	for (uint64_t end = offset + HOLE_MAX; offset < end; offset += (uint64_t)n) {
		n = take(source, buf, sizeof buf, offset, ret);
		if (n <= 0)
			return n == 0;
		if (memcmp(buf, nuls, (size_t)n) != 0)
			return false;
	}
	return true;
}

/* ---------------------------------------------------------------- records */

/* Which records may follow each other: a step of the grammar is a set of types. */
struct step {
	const char	*types;
	bool		 again;		/* may be repeated */
	bool		 number;	/* the value is a number */
	const char	*name;		/* for people */
};

struct grammar {
	size_t		 max;		/* bytes of a value */
	const struct step *step;
	size_t		 steps;
};

static const struct step envelope_steps[] = {
	{ "u", false, true, "uid" }, { "p", false, true, "process number" },
	{ "F", false, false, "sender" }, { "T", true, false, "recipient" },
};
static const struct step info_steps[] = { { "F", false, false, "sender" } };
static const struct step channel_steps[] = { { "TD", true, false, "recipient" } };

static const struct grammar envelope = { QMAIL_ADDRESS_MAX, envelope_steps, 4 },
    info = { QMAIL_ADDRESS_MAX, info_steps, 1 }, channel = { QMAIL_REWRITTEN_MAX, channel_steps, 1 };

struct reader {
	const struct grammar	*grammar;
	size_t			 step;		/* that the next record belongs to; == steps: the end is due */
	bool			 met;		/* a repeated step has had its first */
	qmail_record_f		*each;
	void			*arg;
	struct qmail_reading	*ret;
};

/* "0" is a uid, but no number of a message. */
static bool
is_number(const char *value, size_t len)
{
	uint64_t ignored;

	return (len == 1 && value[0] == '0') || qmail_number_parse(value, len, &ignored);
}

static bool
type_fits(struct reader *r, char type, uint64_t offset)
{
	const struct grammar *g = r->grammar;

	if (r->step == g->steps) {
		wrong(r->ret, QMAIL_BAD, offset, "there is more behind the %s, where it should end", g->step[g->steps - 1].name);
		return false;
	}
	if (strchr(g->step[r->step].types, type) != NULL)
		return true;
	wrong(r->ret, QMAIL_BAD, offset, "a record of type 0x%02x stands where a %s (%s) should be", (unsigned char)type,
	    g->step[r->step].name, g->step[r->step].types);
	return false;
}

/* One whole record of len bytes without its NUL, len > 0. */
static bool
record(struct reader *r, const char *bytes, size_t len, uint64_t offset)
{
	const struct step *step;

	if (!type_fits(r, bytes[0], offset))
		return false;
	step = &r->grammar->step[r->step];
	if (len - 1 > r->grammar->max) {
		wrong(r->ret, QMAIL_BAD, offset, "a %s of more than %zu bytes", step->name, r->grammar->max);
		return false;
	}
	if (step->number && !is_number(bytes + 1, len - 1)) {
		wrong(r->ret, QMAIL_BAD, offset, "the %s is no number", step->name);
		return false;
	}
	if (strchr("TD", bytes[0]) != NULL) {
		r->ret->recipients++;
		r->ret->done += bytes[0] == 'D';
	}
	if (r->each != NULL)
		r->each(r->arg, bytes[0], bytes + 1, len - 1);
	r->met = true;
	if (!step->again) {
		r->step++;
		r->met = false;
	}
	return true;
}

/* A record without a byte: the rest is a hole, or nobody knows what. */
static void
no_record(struct reader *r, const struct queue_source *source, uint64_t offset)
{
	if (only_nuls(source, offset, r->ret))
		wrong(r->ret, QMAIL_NULS, offset, "nothing but NULs from byte %llu on", (unsigned long long)offset);
	else if (r->ret->shape != QMAIL_UNREADABLE)
		wrong(r->ret, QMAIL_BAD, offset, "an empty record at byte %llu", (unsigned long long)offset);
}

/* The file ends here, with left bytes that have no NUL behind them. */
static void
end(struct reader *r, const char *bytes, size_t left, uint64_t offset)
{
	const struct grammar *g = r->grammar;

	if (offset == 0 && left == 0)
		wrong(r->ret, QMAIL_EMPTY, 0, "it is empty");
	else if (left != 0 && type_fits(r, bytes[0], offset))
		wrong(r->ret, QMAIL_CUT, offset, "the last record has no end");
	else if (left == 0 && r->step < g->steps && !(g->step[r->step].again && r->met))
		wrong(r->ret, QMAIL_CUT, offset, "it ends before the %s", g->step[r->step].name);
}

static void
records(const struct queue_source *source, struct reader *r)
{
	char buf[ROOM], *nul;
	size_t len = 0, at = 0;		/* bytes in buf, and of those used */
	uint64_t base = 0;		/* offset of buf[0] */
	ssize_t n;

	for (;;) {
		while (at < len && (nul = memchr(buf + at, '\0', len - at)) != NULL) {
			size_t size = (size_t)(nul - (buf + at));

			if (size == 0) {
				no_record(r, source, base + at);
				return;
			}
			if (!record(r, buf + at, size, base + at))
				return;
			at += size + 1;
		}
		memmove(buf, buf + at, len - at);
		base += at;
		len -= at;
		at = 0;
		if (len > r->grammar->max + 1) {
			if (type_fits(r, buf[0], base))
				wrong(r->ret, QMAIL_BAD, base, "a %s of more than %zu bytes", r->grammar->step[r->step].name,
				    r->grammar->max);
			return;
		}
		n = take(source, buf + len, sizeof buf - len, base + len, r->ret);
		if (n == -1)
			return;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	end(r, buf, len, base);
}

static void
read_by(const struct grammar *grammar, const struct queue_source *source, qmail_record_f *each, void *arg,
    struct qmail_reading *ret)
{
	struct reader r = { .grammar = grammar, .each = each, .arg = arg, .ret = ret };

	*ret = (struct qmail_reading){ .shape = QMAIL_WHOLE };
	records(source, &r);
}

void
qmail_envelope_read(const struct queue_source *source, qmail_record_f *each, void *arg, struct qmail_reading *ret)
{
	read_by(&envelope, source, each, arg, ret);
	ret->may_lack = ret->shape == QMAIL_WHOLE && source->size % QMAIL_BUFFER == 0;
}

void
qmail_info_read(const struct queue_source *source, qmail_record_f *each, void *arg, struct qmail_reading *ret)
{
	read_by(&info, source, each, arg, ret);
}

void
qmail_channel_read(const struct queue_source *source, qmail_record_f *each, void *arg, struct qmail_reading *ret)
{
	read_by(&channel, source, each, arg, ret);
}

/* ---------------------------------------------------------------- texts */

/*
 * NULs may be part of a message, so a few at the end prove nothing. A crash leaves blocks of them, or what follows a
 * sector's border. *ret is set where there is such a hole.
 */
static bool
ends_in_hole(const struct queue_source *source, struct qmail_reading *ret)
{
	char buf[2 * SECTOR];
	uint64_t from = source->size > sizeof buf ? source->size - sizeof buf : 0, run;
	ssize_t n = take(source, buf, sizeof buf, from, ret);
	size_t at;

	if (n <= 0)
		return n == -1;
	for (at = (size_t)n; at > 0 && buf[at - 1] == '\0'; at--)
		;
	run = (uint64_t)n - at;
	if (run >= HOLE_MIN || (run >= HOLE_SECTOR_MIN && (from + at) % SECTOR == 0)) {
		wrong(ret, QMAIL_NULS, from + at, "it ends in %s%llu NULs", at == 0 ? "at least " : "", (unsigned long long)run);
		return true;
	}
	return false;
}

void
qmail_mess_read(const struct queue_source *source, struct qmail_reading *ret)
{
	char line[MESS_LINE_MAX];
	size_t prefix = sizeof mess_begins - 1, compared;
	ssize_t n;

	*ret = (struct qmail_reading){ .shape = QMAIL_WHOLE };
	n = take(source, line, sizeof line, 0, ret);
	if (n == -1)
		return;
	if (n == 0) {
		wrong(ret, QMAIL_EMPTY, 0, "it is empty");
		return;
	}
	compared = (size_t)n < prefix ? (size_t)n : prefix;
	if (memcmp(line, mess_begins, compared) != 0) {
		if (line[0] == '\0' && only_nuls(source, 0, ret))
			wrong(ret, QMAIL_NULS, 0, "it holds nothing but NULs");
		else if (ret->shape != QMAIL_UNREADABLE)
			wrong(ret, QMAIL_BAD, 0, "it does not begin with \"%s\"", mess_begins);
	} else if (memchr(line, '\n', (size_t)n) == NULL) {
		if ((size_t)n < sizeof line)
			wrong(ret, QMAIL_CUT, (uint64_t)n, "it ends in its first line");
		else
			wrong(ret, QMAIL_BAD, 0, "its first line does not end");
	} else {
		ends_in_hole(source, ret);
	}
}

void
qmail_bounce_read(const struct queue_source *source, struct qmail_reading *ret)
{
	char buf[ROOM], last[2] = { '\0', '\0' };
	uint64_t offset = 0;
	const char *nul;
	ssize_t n;

	*ret = (struct qmail_reading){ .shape = QMAIL_WHOLE };
	while (offset < BOUNCE_MAX && (n = take(source, buf, sizeof buf, offset, ret)) > 0) {
		nul = memchr(buf, '\0', (size_t)n);
		if (nul != NULL) {
			wrong(ret, QMAIL_NULS, offset + (uint64_t)(nul - buf), "there are NULs in the text");
			return;
		}
		last[0] = n > 1 ? buf[n - 2] : last[1];
		last[1] = buf[n - 1];
		offset += (uint64_t)n;
	}
	if (ret->shape == QMAIL_UNREADABLE || offset >= BOUNCE_MAX)
		return;
	if (offset == 0)
		wrong(ret, QMAIL_EMPTY, 0, "it is empty");
	else if (last[0] != '\n' || last[1] != '\n')
		wrong(ret, QMAIL_CUT, offset, "its last paragraph has no end");
}
