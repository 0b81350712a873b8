/*
 * mta/exim_data.c - reads ID-D and ID-J. Pure: bytes in, facts out.
 */
#include "mta/exim_data.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "mta/exim_lines.h"

static bool __attribute__((format(printf, 4, 5)))
fault(struct exim_trouble *trouble, enum exim_fault kind, uint64_t line, const char *fmt, ...)
{
	va_list ap;

	trouble->fault = kind;
	trouble->line = line;
	va_start(ap, fmt);
	vsnprintf(trouble->what, sizeof trouble->what, fmt, ap);
	va_end(ap);
	return false;
}

/* All bytes are NUL: what a crash leaves of a file whose size was on disk before its content. */
static bool
all_nul(const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i] != '\0')
			return false;
	return len != 0;
}

/* The first line, of which no more is read than an id can have. */
static bool
read_name(struct queue_source *source, struct exim_data *data, struct exim_trouble *trouble)
{
	char head[EXIM_ID_SIZE + 3];
	ssize_t n = source->at(source->arg, head, sizeof head, 0);
	const char *end;

	if (n == -1)
		return fault(trouble, EXIM_FAULT_READ, 0, "%.80s", strerror(errno));
	if (n == 0)
		return fault(trouble, EXIM_FAULT_EMPTY, 0, "no byte is in it");
	if (all_nul(head, (size_t)n))
		return fault(trouble, EXIM_FAULT_NUL, 1, "NUL bytes in the place of its name, ID-D");
	end = memchr(head, '\n', (size_t)n);
	if (end == NULL || end - head < 2 || memcmp(end - 2, "-D", 2) != 0 ||
	    !exim_id_parse(head, (size_t)(end - head) - 2, &data->id))
		return fault(trouble, end == NULL && n < (ssize_t)sizeof head ? EXIM_FAULT_CUT : EXIM_FAULT_FORM, 1,
		    "the file's own name, ID-D, must stand here");
	return true;
}

static size_t
count_ends(const char *bytes, size_t len)
{
	size_t count = 0;

	for (const char *p = bytes; (p = memchr(p, '\n', len - (size_t)(p - bytes))) != NULL; p++)
		count++;
	return count;
}

/* As many bytes as there are, however few come at a time: the sum must not depend on that. */
static ssize_t
fill(struct queue_source *source, char *buf, size_t size, uint64_t offset)
{
	size_t have = 0;
	ssize_t n = 1;

	while (have < size && n > 0) {
		n = source->at(source->arg, buf + have, size - have, offset + have);
		have += n > 0 ? (size_t)n : 0;
	}
	return n == -1 ? -1 : (ssize_t)have;
}

/* Eight bytes at a time; parts are multiples of eight but for the last. */
static uint64_t
add_to_sum(uint64_t sum, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i += 8) {
		uint64_t word = 0;

		memcpy(&word, bytes + i, len - i < 8 ? len - i : 8);
		sum = (sum ^ word) * 0x9e3779b97f4a7c15u;
		sum ^= sum >> 32;
	}
	return sum;
}

bool
exim_data_read(struct queue_source *source, bool whole, struct exim_data *ret, struct exim_trouble *trouble)
{
	char part[16384];
	uint64_t from, at;
	ssize_t n;

	memset(ret, 0, sizeof *ret);
	memset(trouble, 0, sizeof *trouble);
	if (!read_name(source, ret, trouble))
		return false;
	from = at = exim_id_length(ret->id) + 3;
	if (source->size > from)
		ret->size = source->size - from;
	if (!whole)
		return true;
	while ((n = fill(source, part, sizeof part, at)) > 0) {
		ret->lines += count_ends(part, (size_t)n);
		ret->sum = add_to_sum(ret->sum, part, (size_t)n);
		ret->nul_end = part[n - 1] == '\0';
		at += (uint64_t)n;
	}
	ret->size = at - from;
	return n == 0 || fault(trouble, EXIM_FAULT_READ, 0, "%.80s", strerror(errno));
}

bool
exim_journal_read(struct queue_source *source, exim_address_f *heard, void *arg, struct exim_journal *ret,
    struct exim_trouble *trouble)
{
	struct exim_lines lines;
	enum exim_line line;
	const char *text;
	size_t len;
	bool nul = false;

	memset(ret, 0, sizeof *ret);
	memset(trouble, 0, sizeof *trouble);
	exim_lines_begin(&lines, source);
	do {
		line = exim_lines_next(&lines, &text, &len);
		if (line == EXIM_LINE_CUT)
			ret->open_end = true;
		nul = (line == EXIM_LINE || line == EXIM_LINE_CUT) && memchr(text, '\0', len) != NULL;
		if (!nul && len != 0 && (line == EXIM_LINE || line == EXIM_LINE_CUT)) {
			ret->addresses++;
			if (heard != NULL)
				heard(arg, text, len);
		}
	} while (line == EXIM_LINE && !nul);
	if (nul)
		fault(trouble, EXIM_FAULT_NUL, ret->addresses + 1, "NUL bytes in the place of an address");
	else if (line == EXIM_LINE_LONG)
		fault(trouble, EXIM_FAULT_FORM, ret->addresses + 1, "an address of more than %d bytes", EXIM_LINE_MAX);
	else if (line == EXIM_LINE_FAILED)
		fault(trouble, EXIM_FAULT_READ, 0, "%.80s", strerror(lines.error));
	exim_lines_free(&lines);
	return trouble->fault == EXIM_FAULT_NONE;
}
