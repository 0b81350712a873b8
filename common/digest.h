/*
 * common/digest.h - SHA-256, HMAC-SHA-256, randomness. With channel.[ch] the only user of OpenSSL.
 * Source: FIPS 180-4, RFC 2104. Nothing here blocks but digest_sha256_fd().
 */
#ifndef COMMON_DIGEST_H
#define COMMON_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_LEN 32
#define DIGEST_HEX (2 * DIGEST_LEN + 1)

void	digest_sha256(const void *bytes, size_t len, uint8_t ret_digest[DIGEST_LEN]);
/* Of a whole file, from its beginning, by pread(2); false with errno where it cannot be read. Blocks. */
bool	digest_sha256_fd(int fd, uint8_t ret_digest[DIGEST_LEN]);
/* SHA-256 of what comes in pieces. Aborts where memory ends; digest_stream_end() frees it. */
struct digest_stream *digest_stream_new(void);
void	digest_stream_add(struct digest_stream *, const void *bytes, size_t len);
void	digest_stream_end(struct digest_stream *, uint8_t ret_digest[DIGEST_LEN]);
void	digest_hmac(const void *key, size_t key_len, const void *bytes, size_t len, uint8_t ret_mac[DIGEST_LEN]);
bool	digest_equal(const void *a, const void *b, size_t len);	/* in constant time */
void	digest_random(void *buf, size_t len);			/* aborts when the system has none */
const char *digest_hex(const uint8_t *bytes, size_t len, char *buf);	/* buf: 2*len+1; returns buf */

#endif
