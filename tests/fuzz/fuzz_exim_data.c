/*
 * tests/fuzz/fuzz_exim_data.c - any bytes as a body, a journal and a database of hints of Exim's queue, and as an id: nothing
 * is read out of bounds, what is counted is there, and an id that is taken prints as it was.
 */
#include <stdlib.h>
#include <string.h>

#include "mta/exim_data.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void
must(bool law)
{
	if (!law)
		abort();
}

static void
count(void *arg, const char *address, size_t len)
{
	must(len > 0 && memchr(address, '\0', len) == NULL && memchr(address, '\n', len) == NULL);
	++*(uint64_t *)arg;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len == 0 ? 1 : len);
	struct queue_memory memory = { copy, len };
	struct queue_source source = queue_source_memory(&memory);
	struct exim_trouble trouble;
	struct exim_data data, head;
	struct exim_journal journal;
	struct exim_id id;
	char buf[EXIM_ID_SIZE];
	const char *kind;
	uint64_t told = 0;

	must(copy != NULL);
	if (len > 0)
		memcpy(copy, bytes, len);
	if (exim_id_parse((const char *)copy, len, &id)) {
		must(strlen(exim_id_print(id, buf)) == len && memcmp(buf, copy, len) == 0 && exim_id_length(id) == len);
		must(exim_id_subdir(id) == buf[5] && exim_id_time(id) >= 0);
	}
	if (exim_data_read(&source, true, &data, &trouble)) {
		must(data.size + exim_id_length(data.id) + 3 == len && data.lines <= data.size);
		must(exim_data_read(&source, false, &head, &trouble) && head.size == data.size);
	}
	must(exim_journal_read(&source, count, &told, &journal, &trouble) == (trouble.fault == EXIM_FAULT_NONE));
	must(told == journal.addresses && (!journal.open_end || len > 0));
	if (exim_hints_read(&source, true, &kind, &trouble))
		must(exim_hints_read(&source, false, &kind, &trouble));
	free(copy);
	return 0;
}
