/*
 * tests/sim/fake_digest.c - what is dear and decides nothing. The digests of names are remembered. The MAC of a beat is computed by the production
 * code in scenarios and in each 16th schedule; in the others a cheap sum over key and bytes stands for it, which tells damage and other
 * keys as well. Nobody forges here: that is the business of the unit tests and of tests/fuzz.
 */
#include <string.h>

#include "common/digest.h"
#include "tests/sim/sim.h"

#define NAMES 8
#define NAME_MAX_LEN 16
#define REAL_EVERY 16

void	__wrap_digest_sha256(const void *, size_t, uint8_t [DIGEST_LEN]);
void	__real_digest_sha256(const void *, size_t, uint8_t [DIGEST_LEN]);
void	__wrap_digest_hmac(const void *, size_t, const void *, size_t, uint8_t [DIGEST_LEN]);
void	__real_digest_hmac(const void *, size_t, const void *, size_t, uint8_t [DIGEST_LEN]);

void
__wrap_digest_sha256(const void *bytes, size_t len, uint8_t ret_digest[DIGEST_LEN])
{
	static struct { size_t len; uint8_t bytes[NAME_MAX_LEN], digest[DIGEST_LEN]; } names[NAMES];
	static size_t next;

	for (size_t i = 0; i < NAMES && len != 0; i++) {
		if (names[i].len == len && memcmp(names[i].bytes, bytes, len) == 0) {
			memcpy(ret_digest, names[i].digest, DIGEST_LEN);
			return;
		}
	}
	__real_digest_sha256(bytes, len, ret_digest);
	if (len == 0 || len > NAME_MAX_LEN)
		return;
	names[next].len = len;
	memcpy(names[next].bytes, bytes, len);
	memcpy(names[next].digest, ret_digest, DIGEST_LEN);
	next = (next + 1) % NAMES;
}

static uint64_t
sum(uint64_t s, const uint8_t *bytes, size_t len)
{
	for (uint64_t word = len; len > 0;) {
		size_t n = len < sizeof(word) ? len : sizeof(word);

		memcpy(&word, bytes, n);
		s = (s ^ word) * UINT64_C(0x9e3779b97f4a7c15);
		s ^= s >> 29;
		bytes += n;
		len -= n;
	}
	return s;
}

void
__wrap_digest_hmac(const void *key, size_t key_len, const void *bytes, size_t len, uint8_t ret_mac[DIGEST_LEN])
{
	struct rng more;

	if (sim->script != NULL || sim->plan->seed % REAL_EVERY == 0) {
		__real_digest_hmac(key, key_len, bytes, len, ret_mac);
		return;
	}
	more.s = sum(sum(key_len, key, key_len), bytes, len);
	for (size_t i = 0; i < DIGEST_LEN; i += sizeof(uint64_t)) {
		uint64_t word = rng_next(&more);

		memcpy(ret_mac + i, &word, sizeof(word));
	}
}
