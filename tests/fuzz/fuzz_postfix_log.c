/*
 * tests/fuzz/fuzz_postfix_log.c - any bytes as a defer, bounce or trace log: nothing but a verdict, the same one however
 * few bytes the source gives at a time, and what is before whole_to is whole by itself.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "mta/postfix_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static ssize_t
one_byte(void *arg, void *buf, size_t len, uint64_t offset)
{
	const struct queue_memory *memory = arg;

	if (offset >= memory->len || len == 0)
		return 0;
	memcpy(buf, (const uint8_t *)memory->bytes + offset, 1);
	return 1;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct queue_memory memory = { bytes, len };
	struct queue_source source = queue_source_memory(&memory);
	struct postfix_log log, again;

	postfix_log_read(&source, &log);
	assert((log.fault == POSTFIX_LOG_WHOLE) == (log.what[0] == '\0') && log.whole_to <= len);
	source.at = one_byte;
	postfix_log_read(&source, &again);
	assert(again.fault == log.fault && again.entries == log.entries && again.whole_to == log.whole_to);
	memory.len = (size_t)log.whole_to;
	source = queue_source_memory(&memory);
	postfix_log_read(&source, &again);
	assert(again.fault == (log.whole_to == 0 ? POSTFIX_LOG_EMPTY : POSTFIX_LOG_WHOLE));
	return 0;
}
