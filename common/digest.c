/*
 * common/digest.c - SHA-256 from OpenSSL, HMAC (RFC 2104) over it, random bytes from the kernel.
 * Used by every process, by the supervisor for each beat; nothing here blocks but digest_sha256_fd().
 *
 * The low-level SHA256_*() calls are taken on purpose, though OpenSSL 3 calls them deprecated:
 * the first use of its EVP or HMAC layer loads the configuration and all algorithms, which is
 * megabytes of locked memory in a process that must stay small; these touch a few pages.
 */
#define OPENSSL_API_COMPAT 0x10101000L	/* of this file only: SHA256_Init() and friends */
#include "common/digest.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define BLOCK 64	/* of SHA-256, FIPS 180-4 */

void
digest_sha256(const void *bytes, size_t len, uint8_t ret_digest[DIGEST_LEN])
{
	SHA256_CTX ctx;

	SHA256_Init(&ctx);
	SHA256_Update(&ctx, bytes, len);
	SHA256_Final(ret_digest, &ctx);
	OPENSSL_cleanse(&ctx, sizeof(ctx));
}

bool
digest_sha256_fd(int fd, uint8_t ret_digest[DIGEST_LEN])
{
	uint8_t buf[65536];
	SHA256_CTX ctx;
	off_t at = 0;
	ssize_t n;

	SHA256_Init(&ctx);
	while ((n = pread(fd, buf, sizeof(buf), at)) > 0 || (n == -1 && errno == EINTR)) {
		if (n > 0) {
			SHA256_Update(&ctx, buf, (size_t)n);
			at += n;
		}
	}
	if (n == 0)
		SHA256_Final(ret_digest, &ctx);
	return n == 0;
}

struct digest_stream { SHA256_CTX ctx; };

struct digest_stream *
digest_stream_new(void)
{
	struct digest_stream *s = malloc(sizeof *s);

	if (s == NULL)
		abort();
	SHA256_Init(&s->ctx);
	return s;
}

void
digest_stream_add(struct digest_stream *s, const void *bytes, size_t len)
{
	SHA256_Update(&s->ctx, bytes, len);
}

void
digest_stream_end(struct digest_stream *s, uint8_t ret_digest[DIGEST_LEN])
{
	SHA256_Final(ret_digest, &s->ctx);
	OPENSSL_cleanse(s, sizeof(*s));
	free(s);
}

/* One of the two passes: H(key xor pad, bytes). */
static void
hmac_pass(const uint8_t key[BLOCK], uint8_t pad, const void *bytes, size_t len,
    uint8_t ret_digest[DIGEST_LEN])
{
	uint8_t padded[BLOCK];
	SHA256_CTX ctx;

	for (size_t i = 0; i < BLOCK; i++)
		padded[i] = key[i] ^ pad;
	SHA256_Init(&ctx);
	SHA256_Update(&ctx, padded, BLOCK);
	SHA256_Update(&ctx, bytes, len);
	SHA256_Final(ret_digest, &ctx);
	OPENSSL_cleanse(padded, sizeof(padded));
	OPENSSL_cleanse(&ctx, sizeof(ctx));
}

void
digest_hmac(const void *key, size_t key_len, const void *bytes, size_t len,
    uint8_t ret_mac[DIGEST_LEN])
{
	uint8_t block[BLOCK] = { 0 }, inner[DIGEST_LEN];

	if (key_len > BLOCK)
		digest_sha256(key, key_len, block);
	else if (key_len != 0)
		memcpy(block, key, key_len);
	hmac_pass(block, 0x36, bytes, len, inner);
	hmac_pass(block, 0x5c, inner, DIGEST_LEN, ret_mac);
	OPENSSL_cleanse(block, sizeof(block));
}

bool
digest_equal(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}

void
digest_random(void *buf, size_t len)
{
	uint8_t *to = buf;

	while (len > 0) {
		ssize_t n = getrandom(to, len, 0);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			abort();
		to += n;
		len -= (size_t)n;
	}
}

const char *
digest_hex(const uint8_t *bytes, size_t len, char *buf)
{
	static const char digit[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		buf[2 * i] = digit[bytes[i] >> 4];
		buf[2 * i + 1] = digit[bytes[i] & 15];
	}
	buf[2 * len] = '\0';
	return buf;
}
