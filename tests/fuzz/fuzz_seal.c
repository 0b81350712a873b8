/*
 * tests/fuzz/fuzz_seal.c - any bytes as a seal: nothing but a verdict, and what is accepted
 * survives being written again. The bytes are also tried with a right sum, since no fuzzer guesses
 * SHA-256.
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/digest.h"
#include "supervisor/seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void
parse(const char *text, size_t len)
{
	struct seal first, second;
	char again[1024];
	struct err err;
	size_t n;

	if (!seal_parse(text, len, &first, &err)) {
		assert(err.text[0] != '\0');
		return;
	}
	n = seal_format(&first, again, sizeof(again));
	assert(n > 0 && seal_parse(again, n, &second, &err));
	assert(strcmp(first.pair, second.pair) == 0 && strcmp(first.node, second.node) == 0);
	assert(strcmp(first.boot, second.boot) == 0 && first.tenure == second.tenure);
	assert(first.at_wall_ms == second.at_wall_ms && first.released == second.released);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	char *text = malloc(len + 80), hex[DIGEST_HEX];
	uint8_t digest[DIGEST_LEN];
	size_t body = len;

	if (text == NULL)
		return 0;
	memcpy(text, bytes, len);
	parse(text, len);
	/* In place of a sum line of 69 bytes at the end, or behind everything. */
	if (len >= 69 && memcmp(bytes + len - 69, "sum ", 4) == 0)
		body = len - 69;
	digest_sha256(text, body, digest);
	parse(text, body + (size_t)snprintf(text + body, 80, "sum %s\n",
			       digest_hex(digest, sizeof(digest), hex)));
	free(text);
	return 0;
}
