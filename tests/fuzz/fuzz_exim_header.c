/*
 * tests/fuzz/fuzz_exim_header.c - any bytes as a header file of Exim's queue: however they are handed over, the same
 * is read; what is whole ends where it does; and each id that is taken prints as it was.
 */
#include <stdlib.h>
#include <string.h>

#include "mta/exim_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

struct told { uint64_t senders, done, recipients, sum; };

static void
must(bool law)
{
	if (!law)
		abort();
}

/* Reads each byte that it is told of. */
static void
sum(struct told *told, const char *address, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		must(address[i] != '\0' && address[i] != '\n');
		told->sum = told->sum * 31 + (unsigned char)address[i];
	}
}

static void
sender(void *arg, const char *address, size_t len)
{
	((struct told *)arg)->senders++;
	sum(arg, address, len);
}

static void
done(void *arg, const char *address, size_t len)
{
	((struct told *)arg)->done++;
	sum(arg, address, len);
}

static void
recipient(void *arg, const char *address, size_t len)
{
	((struct told *)arg)->recipients++;
	must(len > 0);
	sum(arg, address, len);
}

/* A source that gives a few bytes at a time. */
static ssize_t
sparing(void *arg, void *buf, size_t len, uint64_t offset)
{
	const struct queue_memory *memory = arg;
	size_t most = 1 + offset % 7;

	if (offset >= memory->len)
		return 0;
	if (len > most)
		len = most;
	if (len > memory->len - offset)
		len = memory->len - offset;
	memcpy(buf, (const char *)memory->bytes + offset, len);
	return (ssize_t)len;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len + 1);
	struct queue_memory memory = { copy, len };
	struct queue_source source = queue_source_memory(&memory);
	struct told first = { 0 }, second = { 0 };
	struct exim_listener listener = { sender, done, recipient, &first };
	struct exim_header header, again;
	struct exim_trouble trouble, trouble_again;
	char text[160];
	bool whole;

	must(copy != NULL);
	if (len > 0)
		memcpy(copy, bytes, len);
	whole = exim_header_read(&source, &listener, &header, &trouble);
	must(whole == (trouble.fault == EXIM_FAULT_NONE) && trouble.fault != EXIM_FAULT_READ);
	must(header.recipients <= EXIM_RECIPIENTS_MAX && header.recipients == first.recipients && header.done == first.done);
	must(strlen(exim_trouble_text(&trouble, text, sizeof text)) < sizeof text);

	source.at = sparing;
	listener.arg = &second;
	must(exim_header_read(&source, &listener, &again, &trouble_again) == whole);
	must(memcmp(&first, &second, sizeof first) == 0 && again.header_bytes == header.header_bytes);
	must(trouble.fault == trouble_again.fault && trouble.line == trouble_again.line);
	if (whole) {
		copy[len] = '\0';
		memory.len = source.size = len + 1;
		must(!exim_header_read(&source, NULL, &again, &trouble));
	}
	free(copy);
	return 0;
}
