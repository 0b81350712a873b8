/*
 * tests/fuzz/fuzz_qmail.c - any bytes as each of qmail's queue files. What is whole is told again byte for
 * byte; what is not has a sentence and a place inside the file; how much is read at a time changes nothing;
 * a number that is taken is printed the same.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mta/qmail_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

typedef void read_f(const struct queue_source *, qmail_record_f *, void *, struct qmail_reading *);

struct told { char *text; size_t len, room; };

static void
tell(void *arg, char type, const char *value, size_t len)
{
	struct told *told = arg;

	assert(told->len + len + 2 <= told->room);
	told->text[told->len++] = type;
	memcpy(told->text + told->len, value, len);
	told->len += len;
	told->text[told->len++] = '\0';
}

/* A disk that gives 7 bytes at a time. */
static ssize_t
slowly(void *arg, void *buf, size_t len, uint64_t offset)
{
	struct queue_source all = queue_source_memory(arg);

	return all.at(all.arg, buf, len < 7 ? len : 7, offset);
}

static void
compare(const struct qmail_reading *a, const struct qmail_reading *b, size_t len)
{
	assert(a->shape == b->shape && a->offset == b->offset && a->offset <= len);
	assert(a->recipients == b->recipients && a->done == b->done && a->done <= a->recipients);
	assert(a->may_lack == b->may_lack && strcmp(a->what, b->what) == 0);
	assert((a->shape == QMAIL_WHOLE) == (a->what[0] == '\0') && a->shape != QMAIL_UNREADABLE);
}

static void
records(read_f *read, struct queue_memory *memory)
{
	struct queue_source source = queue_source_memory(memory), slow = source;
	struct told told = { malloc(memory->len + 1), 0, memory->len + 1 };
	struct qmail_reading r, again;

	assert(told.text != NULL);
	slow.at = slowly;
	read(&source, tell, &told, &r);
	read(&slow, NULL, NULL, &again);
	compare(&r, &again, memory->len);
	assert(told.len <= memory->len && (told.len == 0 || memcmp(told.text, memory->bytes, told.len) == 0));
	assert((r.shape == QMAIL_WHOLE) <= (told.len == memory->len));
	free(told.text);
}

static void
text(void (*read)(const struct queue_source *, struct qmail_reading *), struct queue_memory *memory)
{
	struct queue_source source = queue_source_memory(memory);
	struct qmail_reading r, again;

	read(&source, &r);
	read(&source, &again);
	compare(&r, &again, memory->len);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct queue_memory memory = { bytes, len };
	char name[64], printed[32];
	uint64_t number;

	records(qmail_envelope_read, &memory);
	records(qmail_info_read, &memory);
	records(qmail_channel_read, &memory);
	text(qmail_mess_read, &memory);
	text(qmail_bounce_read, &memory);
	snprintf(name, sizeof name, "%.*s", (int)(len < sizeof name ? len : sizeof name - 1), (const char *)bytes);
	if (qmail_number_parse(name, strlen(name), &number)) {
		snprintf(printed, sizeof printed, "%" PRIu64, number);
		assert(number != 0 && strcmp(printed, name) == 0);
	}
	qmail_pid_name(name);
	return 0;
}
