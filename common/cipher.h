/*
 * common/cipher.h - bytes that only who has the key can read, or change unnoticed: AES-256-GCM (NIST SP 800-38D) with a random
 * nonce, which is good for 2^32 seals of one key. Does not block.
 *
 * Sealed: nonce (12), the bytes, tag (16). What it is about is bound to it and has to be said again to open it, so that what was
 * sealed for one place cannot be put in another one.
 */
#ifndef COMMON_CIPHER_H
#define COMMON_CIPHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CIPHER_KEY 32
#define CIPHER_EXTRA (12 + 16)	/* so much longer is what is sealed */
#define CIPHER_MAX (1u << 30)

/* to: len + CIPHER_EXTRA bytes; aborts where OpenSSL has no such cipher. */
void	cipher_seal(const uint8_t key[CIPHER_KEY], const void *about, size_t about_len, const void *bytes, size_t len, uint8_t *to);
/* to: len - CIPHER_EXTRA bytes; false, and they are zeros: another key, or changed. */
bool	cipher_open(const uint8_t key[CIPHER_KEY], const void *about, size_t about_len, const uint8_t *bytes, size_t len, uint8_t *to);

#endif
