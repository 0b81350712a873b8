/*
 * tests/sim/fake_digest.c - remembers digests. What is returned is what the production code computed, once: the names of pair and nodes are
 * the same in every beat, and who hears a beat computes what its sender did. Half of the time of a schedule went there.
 */
#include <string.h>

#include "common/digest.h"
#include "supervisor/beat.h"

#define NAMES 8
#define NAME_MAX_LEN 16
#define MACS 256	/* a power of two */
#define KEY_MAX 64

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

void
__wrap_digest_hmac(const void *key, size_t key_len, const void *bytes, size_t len, uint8_t ret_mac[DIGEST_LEN])
{
	static struct { size_t key_len, len; uint8_t key[KEY_MAX], bytes[BEAT_LEN], mac[DIGEST_LEN]; } macs[MACS], *m;
	const uint8_t *at = bytes;
	uint64_t place = 0, word;

	for (size_t i = 0; i + sizeof(word) <= len; i += sizeof(word)) {
		memcpy(&word, at + i, sizeof(word));
		place = (place ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	}
	m = &macs[place >> 32 & (MACS - 1)];
	if (m->len == len && m->key_len == key_len && len != 0 && memcmp(m->bytes, bytes, len) == 0 && memcmp(m->key, key, key_len) == 0) {
		memcpy(ret_mac, m->mac, DIGEST_LEN);
		return;
	}
	__real_digest_hmac(key, key_len, bytes, len, ret_mac);
	if (len > BEAT_LEN || key_len > KEY_MAX)
		return;
	m->len = len;
	m->key_len = key_len;
	memcpy(m->key, key, key_len);
	memcpy(m->bytes, bytes, len);
	memcpy(m->mac, ret_mac, DIGEST_LEN);
}
