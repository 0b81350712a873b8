/*
 * tests/fuzz/fuzz_cdb.c - any bytes as a cdb. Twice the same; each row stands within the bytes; what is refused has a sentence.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "configsync/cdb.h"
#include "configsync/table_rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

struct seen { const uint8_t *from, *end; size_t rows; struct table_rows *all; };

static void
row(void *arg, const void *key, size_t key_len, const void *data, size_t data_len)
{
	struct seen *s = arg;
	const uint8_t *k = key, *d = data;

	assert(k >= s->from + 2048 + 8 && d == k + key_len && d <= s->end && data_len <= (size_t)(s->end - d));
	s->rows++;
	if (s->all != NULL)
		table_rows_add(s->all, key, key_len, data, data_len);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	uint8_t *own = malloc(len + (len == 0));	/* of its very size, so that a byte too far is seen */
	struct seen first = { .from = own, .end = own + len, .all = table_rows_new(len % 2 == 0) }, again = { .from = own, .end = own + len };
	struct err err = { 0 };
	char hex[DIGEST_HEX];
	bool ok;

	assert(own != NULL);
	memcpy(own, bytes, len);
	ok = cdb_each(own, len, row, &first, &err);
	assert(ok == (err.text[0] == '\0'));
	assert(ok == cdb_each(own, len, row, &again, NULL) && first.rows == again.rows);
	table_rows_end(first.all, hex);
	assert(strlen(hex) == DIGEST_HEX - 1);
	free(own);
	return 0;
}
