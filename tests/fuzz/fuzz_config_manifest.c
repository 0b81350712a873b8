/*
 * tests/fuzz/fuzz_config_manifest.c - any bytes as a manifest: a verdict, and what is accepted is written again as the same bytes.
 * The checksum is made right, since no fuzzer guesses SHA-256.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "configsync/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void
parse(const uint8_t *bytes, size_t len)
{
	static const struct manifest_limits limits = { 10000, 1 << 24 };
	struct err err = { .sys = 0 };
	struct manifest *m = manifest_parse(bytes, len, &limits, &err);
	uint8_t *again;
	size_t again_len;

	if (m == NULL) {
		assert(err.text[0] != '\0');
		return;
	}
	again = manifest_encode(m, &again_len);
	assert(again_len == len && memcmp(again, bytes, len) == 0);
	for (size_t i = 0; i < m->len; i++)
		assert(entry_path_ok(m->at[i].path) && manifest_find(m, m->at[i].path) == &m->at[i]);
	free(again);
	manifest_free(m);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	size_t body = len > DIGEST_LEN ? len - DIGEST_LEN : 0;
	uint8_t *copy = malloc(len + 1);

	if (copy == NULL)
		return 0;
	parse(bytes, len);
	if (len >= DIGEST_LEN) {
		memcpy(copy, bytes, body);
		digest_sha256(copy, body, copy + body);
		parse(copy, len);
	}
	free(copy);
	return 0;
}
